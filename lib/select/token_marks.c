/*
 * Few tokens are a sorted list from the start. Beyond that there is a bit for every token of the
 * vocabulary, from which the list is made at the end: clearing the bits and looking through them
 * would cost more than all else where a handful is marked. The bits and the list share one array of
 * the scratch memory, the values are in another.
 */
#include "select/view.h"

#include <string.h>

enum { WORD_BITS = 64, MAX_FEW = 64 };

static size_t n_words(uint32_t n_vocab)
{
    return ((size_t)n_vocab + WORD_BITS - 1) / WORD_BITS;
}

plk_token_marks plk_token_marks_init(const plk_view *view)
{
    plk_scratch *w = view->scratch;
    return (plk_token_marks){.n_vocab = w->n_vocab,
                             .bits = w->spare,
                             .values = (uint32_t *)(void *)w->keys,
                             .tokens = (uint32_t *)(void *)w->spare + w->n_blocks * PLK_BLOCK};
}

static uint64_t bit_of(uint32_t token)
{
    return (uint64_t)1 << token % WORD_BITS;
}

/* The index in the list of the token, or of the place where it belongs. */
static size_t find(const plk_token_marks *marks, uint32_t token)
{
    size_t low = 0, high = marks->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (marks->tokens[middle] < token)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool has_at(const plk_token_marks *marks, size_t at, uint32_t token)
{
    return at < marks->n && marks->tokens[at] == token;
}

static void become_many(plk_token_marks *marks)
{
    marks->are_many = true;
    memset(marks->bits, 0, n_words(marks->n_vocab) * sizeof *marks->bits);
    for (size_t i = 0; i < marks->n; i++)
        marks->bits[marks->tokens[i] / WORD_BITS] |= bit_of(marks->tokens[i]);
}

/* Whether the token was marked before. */
static bool mark(plk_token_marks *marks, uint32_t token)
{
    if (!marks->are_many) {
        size_t at = find(marks, token);
        if (has_at(marks, at, token))
            return true;
        if (marks->n < MAX_FEW) {
            uint32_t *place = marks->tokens + at;
            memmove(place + 1, place, (marks->n - at) * sizeof *place);
            *place = token;
            marks->n++;
            return false;
        }
        become_many(marks);
    }
    uint64_t *word = marks->bits + token / WORD_BITS;
    bool was_marked = (*word & bit_of(token)) != 0;
    *word |= bit_of(token);
    return was_marked;
}

void plk_token_mark(plk_token_marks *marks, uint32_t token, uint32_t value)
{
    if (!mark(marks, token) || marks->values[token] < value)
        marks->values[token] = value;
}

void plk_token_unmark(plk_token_marks *marks, uint32_t token)
{
    if (marks->are_many) {
        marks->bits[token / WORD_BITS] &= ~bit_of(token);
        return;
    }
    size_t at = find(marks, token);
    if (!has_at(marks, at, token))
        return;
    marks->n--;
    memmove(marks->tokens + at, marks->tokens + at + 1, (marks->n - at) * sizeof *marks->tokens);
}

static void list_many(plk_token_marks *marks)
{
    size_t n = 0;
    for (size_t i = 0; i < n_words(marks->n_vocab); i++) {
        for (uint64_t word = marks->bits[i]; word != 0; word &= word - 1) {
            uint64_t lowest = word & (~word + 1);
            uint32_t bit = 0;
            for (uint32_t half = WORD_BITS / 2; half > 0; half /= 2)
                if (lowest >> (bit + half))
                    bit += half;
            marks->tokens[n++] = (uint32_t)(i * WORD_BITS) + bit;
        }
    }
    marks->n = n;
}

plk_token_list plk_token_marks_list(plk_token_marks *marks)
{
    if (marks->are_many)
        list_many(marks);
    return (plk_token_list){marks->tokens, sizeof *marks->tokens, marks->n};
}
