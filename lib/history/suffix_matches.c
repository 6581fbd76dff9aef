/*
 * After one more token t the lengths follow from those before: a place i that has t continues the
 * match of place i - 1, if that had the token before t, else it starts one of length 1. Going from
 * the end back, this is done in place, at the cost of finding the places.
 *
 * After a rewind or many tokens at once (a prompt) all lengths are computed by the Z-algorithm on
 * the reversed window (Gusfield, Algorithms on Strings, Trees and Sequences, 1997, section 1.4), in
 * time proportional to it. Lengths may then reach beyond the window; they are cut when asked for.
 */
#include "history/history.h"

#include "base/error.h"

#include <string.h>

enum {
    FIRST_CAPACITY = 256,
    EDITS_STEP = 256,
    MAX_STEPS = 8 /* tokens after which the Z-algorithm is cheaper */
};

static uint32_t *slot(const plk_suffix_matches *matches, uint64_t position)
{
    return matches->lengths + (size_t)(position & (matches->capacity - 1));
}

/* Of this shape, with lengths of its own; NULL: no memory. */
static plk_suffix_matches *allocate(const plk_suffix_matches *shape, pluck_error *err)
{
    plk_suffix_matches *matches = plk_alloc(&shape->allocator, 1, sizeof *matches);
    uint32_t *lengths = plk_alloc_zero(&shape->allocator, shape->capacity, sizeof *lengths);
    if (!matches || !lengths) {
        plk_free(&shape->allocator, matches);
        plk_free(&shape->allocator, lengths);
        (void)plk_fail_nomem(err, sizeof *matches + shape->capacity * sizeof *lengths);
        return NULL;
    }
    *matches = *shape;
    matches->lengths = lengths;
    return matches;
}

pluck_status plk_suffix_matches_create(void **out, size_t window, const pluck_allocator *allocator,
                                       pluck_error *err)
{
    size_t capacity = FIRST_CAPACITY;
    while (window != SIZE_MAX && capacity <= window)
        capacity *= 2;
    plk_suffix_matches shape = {.allocator = *allocator, .capacity = capacity, .window = window};
    *out = allocate(&shape, err);
    return *out ? PLUCK_OK : PLUCK_ERR_NOMEM;
}

void plk_suffix_matches_destroy(void *matches)
{
    plk_suffix_matches *m = matches;
    pluck_allocator allocator = m->allocator;
    plk_free(&allocator, m->lengths);
    plk_free(&allocator, m);
}

pluck_status plk_suffix_matches_clone(void **out, const void *matches, pluck_error *err)
{
    const plk_suffix_matches *from = matches;
    plk_suffix_matches *copy = allocate(from, err);
    *out = copy;
    if (!copy)
        return PLUCK_ERR_NOMEM;
    memcpy(copy->lengths, from->lengths, from->capacity * sizeof *copy->lengths);
    return PLUCK_OK;
}

void plk_suffix_matches_reset(void *matches)
{
    plk_suffix_matches *m = matches;
    m->n_accepted = 0;
    m->position = 0;
}

/* Room for n tokens, if all are looked back on. */
static pluck_status make_room(plk_suffix_matches *matches, uint64_t n, pluck_error *err)
{
    size_t capacity = matches->capacity;
    while (matches->window == SIZE_MAX && capacity < n)
        capacity *= 2;
    if (capacity == matches->capacity)
        return PLUCK_OK;
    uint32_t *lengths = plk_alloc_zero(&matches->allocator, capacity, sizeof *lengths);
    if (!lengths)
        return plk_fail_nomem(err, capacity * sizeof *lengths);
    memcpy(lengths, matches->lengths, matches->capacity * sizeof *lengths);
    plk_free(&matches->allocator, matches->lengths);
    matches->lengths = lengths;
    matches->capacity = capacity;
    return PLUCK_OK;
}

pluck_status plk_suffix_matches_reserve(void *matches, const pluck_token *tokens, size_t n,
                                        pluck_error *err)
{
    (void)tokens;
    plk_suffix_matches *m = matches;
    return make_room(m, m->n_accepted + n, err);
}

pluck_status plk_suffix_matches_load(const void *params, void *matches, const plk_history *history,
                                     plk_byte_reader *in, pluck_error *err)
{
    (void)params;
    (void)in;
    plk_suffix_matches *m = matches;
    pluck_status status = make_room(m, history->position, err);
    if (status != PLUCK_OK)
        return status;
    m->n_accepted = history->position;
    m->position = 0;
    return PLUCK_OK;
}

void plk_suffix_matches_accept(const void *params, void *matches, const plk_history *history,
                               const plk_accepted *accepted)
{
    (void)params;
    (void)history;
    (void)accepted;
    ((plk_suffix_matches *)matches)->n_accepted++;
}

void plk_suffix_matches_rewind(const void *params, void *matches, const plk_history *history)
{
    (void)params;
    (void)history;
    plk_suffix_matches *m = matches;
    m->n_accepted--;
    if (m->position > m->n_accepted)
        m->position = 0;
}

size_t plk_suffix_matches_max_edits(const void *params, const void *matches, uint64_t n_tokens,
                                    uint32_t n_vocab)
{
    (void)params;
    size_t window = ((const plk_suffix_matches *)matches)->window;
    uint64_t n = window;
    if (window == SIZE_MAX)
        n = (n_tokens / EDITS_STEP + 1) * EDITS_STEP;
    return n < n_vocab ? (size_t)n : n_vocab;
}

static pluck_token token_at(const plk_history *history, uint64_t position)
{
    return plk_history_at(history, (size_t)(history->position - 1 - position));
}

/* The first position inside the window of the history's first n tokens. */
static uint64_t window_start(const plk_suffix_matches *matches, uint64_t n)
{
    return n > matches->window ? n - matches->window : 0;
}

/* The lengths of the first n tokens from those of the first n - 1. */
static void step(plk_suffix_matches *matches, const plk_history *history,
                 const plk_kernels *kernels, uint64_t n)
{
    uint64_t last = n - 1, lowest = window_start(matches, n);
    pluck_token before = last > lowest ? token_at(history, last - 1) : 0;
    plk_history_search search = {
        .kernels = kernels, .token = token_at(history, last), .lowest = lowest, .end = last};
    while (plk_history_next(history, &search)) {
        uint64_t place = search.position;
        bool continues = place > lowest && token_at(history, place - 1) == before;
        *slot(matches, place) = continues ? *slot(matches, place - 1) + 1 : 1;
    }
}

static void compute_all(plk_suffix_matches *matches, const plk_history *history)
{
    uint64_t last = history->position - 1;
    size_t n = (size_t)(history->position - window_start(matches, history->position));
    size_t left = 0, right = 0; /* ages [left, right) match ages [0, right - left) */
    for (size_t age = 1; age < n; age++) {
        size_t length = 0;
        if (age < right) {
            length = *slot(matches, last - (age - left));
            length = length < right - age ? length : right - age;
        }
        if (age + length >= right) {
            while (age + length < n &&
                   plk_history_at(history, age + length) == plk_history_at(history, length))
                length++;
            left = age;
            right = age + length;
        }
        *slot(matches, last - age) = (uint32_t)length;
    }
}

plk_suffix_match plk_suffix_matches_update(plk_suffix_matches *matches, const plk_history *history,
                                           const plk_kernels *kernels)
{
    uint64_t n = history->position;
    plk_suffix_match match = {.search = {.kernels = kernels}};
    if (n > 0 && (matches->position == 0 || n - matches->position > MAX_STEPS))
        compute_all(matches, history);
    else
        for (uint64_t i = matches->position; i < n; i++)
            step(matches, history, kernels, i + 1);
    matches->position = n;
    if (n > 0) {
        match.search.token = plk_history_at(history, 0);
        match.search.lowest = window_start(matches, n);
        match.search.end = n - 1;
    }
    return match;
}

bool plk_suffix_matches_next(const plk_suffix_matches *matches, const plk_history *history,
                             plk_suffix_match *match)
{
    if (!plk_history_next(history, &match->search))
        return false;
    match->position = match->search.position;
    size_t inside = (size_t)(match->position - match->search.lowest) + 1;
    size_t length = *slot(matches, match->position);
    match->length = length < inside ? length : inside;
    return true;
}
