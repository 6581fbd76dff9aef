/*
 * The bits and the list share one array of the scratch memory, the values are in another.
 */
#include "select/view.h"

#include <string.h>

enum { WORD_BITS = 64 };

static size_t n_words(uint32_t n_vocab)
{
    return ((size_t)n_vocab + WORD_BITS - 1) / WORD_BITS;
}

plk_token_marks plk_token_marks_init(const plk_view *view)
{
    plk_scratch *w = view->scratch;
    plk_token_marks marks = {.n_vocab = w->n_vocab,
                             .bits = w->spare,
                             .values = (uint32_t *)(void *)w->keys,
                             .tokens = (uint32_t *)(void *)w->spare + w->n_blocks * PLK_BLOCK};
    memset(marks.bits, 0, n_words(marks.n_vocab) * sizeof *marks.bits);
    return marks;
}

void plk_token_mark(const plk_token_marks *marks, uint32_t token, uint32_t value)
{
    uint64_t bit = (uint64_t)1 << token % WORD_BITS;
    uint64_t *word = marks->bits + token / WORD_BITS;
    if ((*word & bit) == 0 || marks->values[token] < value)
        marks->values[token] = value;
    *word |= bit;
}

void plk_token_unmark(const plk_token_marks *marks, uint32_t token)
{
    marks->bits[token / WORD_BITS] &= ~((uint64_t)1 << token % WORD_BITS);
}

plk_token_list plk_token_marks_list(const plk_token_marks *marks)
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
    return (plk_token_list){marks->tokens, sizeof *marks->tokens, n};
}
