/*
 * A power-of-two ring indexed by position modulo capacity. oldest is the first position whose token
 * is still stored: a push that overwrites a slot moves it on, a pop does not move it back, so that
 * after rewinding nothing stale can be read.
 */
#include "history/history.h"

#include "base/error.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

enum { MIN_CAPACITY = 16, FIRST_UNLIMITED_CAPACITY = 256 };

size_t plk_history_limit(size_t n)
{
    size_t power = MIN_CAPACITY;
    while (power < n) {
        if (power > SIZE_MAX / 4)
            return SIZE_MAX;
        power *= 2;
    }
    return power;
}

static size_t slot(const plk_history *history, uint64_t position)
{
    return plk_history_slot(history, position);
}

enum { ENTRY_BYTES = sizeof(pluck_token) + sizeof(uint32_t) };

static void lay_out(plk_history *history, void *memory, size_t capacity)
{
    history->capacity = capacity;
    history->ring = memory;
    history->generated_ring = (uint32_t *)(void *)(history->ring + capacity);
}

/* New rings, whose content is undefined. On failure there are none. */
static pluck_status allocate(plk_history *history, size_t capacity, pluck_error *err)
{
    void *memory = plk_alloc(&history->allocator, capacity, ENTRY_BYTES);
    if (!memory)
        return plk_fail_nomem(err, capacity * ENTRY_BYTES);
    lay_out(history, memory, capacity);
    history->is_lent = false;
    return PLUCK_OK;
}

/* Copies the tokens of [from, to), which go on at the start of either ring where it ends. */
static void copy_rings(plk_history *out, const plk_history *history, uint64_t from, uint64_t to)
{
    while (from < to) {
        size_t source = slot(history, from), target = slot(out, from);
        uint64_t n = to - from;
        n = n < history->capacity - source ? n : history->capacity - source;
        n = n < out->capacity - target ? n : out->capacity - target;
        memcpy(out->ring + target, history->ring + source, (size_t)n * sizeof *out->ring);
        memcpy(out->generated_ring + target, history->generated_ring + source,
               (size_t)n * sizeof *out->generated_ring);
        from += n;
    }
}

pluck_status plk_history_create(plk_history *history, size_t n_at_once, size_t n_kept,
                                const pluck_allocator *allocator, pluck_error *err)
{
    size_t capacity = plk_history_limit(n_at_once);
    *history = (plk_history){.allocator = *allocator, .limit = plk_history_limit(n_kept)};
    return allocate(history, capacity < SIZE_MAX ? capacity : FIRST_UNLIMITED_CAPACITY, err);
}

void plk_history_destroy(plk_history *history)
{
    if (!history->is_lent)
        plk_free(&history->allocator, history->ring);
    history->ring = NULL;
    history->generated_ring = NULL;
}

size_t plk_history_bytes(const plk_history *history)
{
    return history->capacity < history->limit ? 0 : history->capacity * ENTRY_BYTES;
}

pluck_status plk_history_clone(plk_history *out, const plk_history *history, void *memory,
                               pluck_error *err)
{
    pluck_status status = PLUCK_OK;
    *out = *history;
    out->ring = NULL;
    out->is_lent = plk_history_bytes(history) != 0;
    if (out->is_lent)
        lay_out(out, memory, history->capacity);
    else
        status = allocate(out, history->capacity, err);
    if (status == PLUCK_OK)
        copy_rings(out, history, history->oldest, history->position);
    return status;
}

void plk_history_clear(plk_history *history)
{
    history->position = 0;
    history->oldest = 0;
    history->n_generated = 0;
}

/* Moves to rings of this capacity unless those it has are as large. */
static pluck_status grow(plk_history *history, size_t capacity, pluck_error *err)
{
    if (capacity <= history->capacity)
        return PLUCK_OK;
    plk_history larger = *history;
    pluck_status status = allocate(&larger, capacity, err);
    if (status != PLUCK_OK)
        return status;
    copy_rings(&larger, history, history->oldest, history->position);
    plk_history_destroy(history);
    *history = larger;
    return PLUCK_OK;
}

pluck_status plk_history_reserve(plk_history *history, size_t n, pluck_error *err)
{
    size_t capacity = history->capacity;
    while (capacity < history->limit && capacity - (history->position - history->oldest) < n)
        capacity *= 2;
    return grow(history, capacity, err);
}

pluck_status plk_history_widen(plk_history *history, size_t n_at_once, size_t n_kept,
                               pluck_error *err)
{
    size_t capacity = plk_history_limit(n_at_once), limit = plk_history_limit(n_kept);
    pluck_status status =
        grow(history, capacity < SIZE_MAX ? capacity : FIRST_UNLIMITED_CAPACITY, err);
    if (status == PLUCK_OK)
        history->limit = limit > history->capacity ? limit : history->capacity;
    return status;
}

plk_history plk_history_until(const plk_history *history, uint64_t position)
{
    plk_history past = *history;
    past.position = position;
    if (position < history->position)
        past.n_generated = history->generated_ring[slot(history, position)];
    return past;
}

void plk_history_save(const plk_history *history, size_t n_most, plk_byte_writer *out)
{
    size_t n = plk_history_length(history);
    uint64_t first = n > n_most ? history->position - n_most : history->oldest;
    plk_put_u64(out, history->position);
    plk_put_u64(out, first);
    plk_put_u64(out, history->n_generated);
    for (uint64_t at = first; at < history->position; at++) {
        plk_put_u32(out, (uint32_t)history->ring[slot(history, at)]);
        plk_put_u32(out, history->generated_ring[slot(history, at)]);
    }
}

/* After a token n_generated is 0 (it was of a prompt), or one more. */
static bool may_follow(uint32_t before, uint32_t after)
{
    return after == 0 || (before == UINT32_MAX ? after == before : after == before + 1);
}

/* The tokens from first on; of those that do not fit the last ones stay. */
static pluck_status load_tokens(plk_history *history, uint64_t first, uint32_t n_vocab,
                                plk_byte_reader *in, pluck_error *err)
{
    uint32_t n_generated = 0;
    for (uint64_t at = first; at < history->position; at++) {
        uint32_t token = plk_take_u32(in), before = plk_take_u32(in);
        bool follows = at == first ? at > 0 || before == 0 : may_follow(n_generated, before);
        if (token >= n_vocab || !follows)
            return plk_fail(err, PLUCK_ERR_FORMAT,
                            "the state is damaged: its token at position %llu is impossible",
                            (unsigned long long)at);
        history->ring[slot(history, at)] = (pluck_token)token;
        history->generated_ring[slot(history, at)] = before;
        n_generated = before;
    }
    bool is_empty = history->position == first;
    if (is_empty ? history->position == 0 && history->n_generated != 0
                 : !may_follow(n_generated, history->n_generated))
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "the state is damaged: its number of generated tokens is impossible");
    return PLUCK_OK;
}

pluck_status plk_history_load(plk_history *history, size_t window, uint32_t n_vocab,
                              plk_byte_reader *in, pluck_error *err)
{
    size_t entry_bytes = 8;
    uint64_t most = UINT64_MAX / 4; /* no sequence is as long, and sums do not overflow */
    history->position = plk_take_u64(in);
    uint64_t first = plk_take_u64(in);
    uint64_t n_generated = plk_take_u64(in);
    history->n_generated = (uint32_t)n_generated;
    uint64_t n = history->position - first;
    if (history->position > most || n_generated > UINT32_MAX || first > history->position ||
        n > in->n_bytes / entry_bytes || (first > 0 && n < window))
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "the state has %llu tokens of a sequence of %llu; it is damaged, or of a "
                        "configuration that keeps fewer tokens",
                        (unsigned long long)n, (unsigned long long)history->position);
    size_t n_kept = n < history->limit ? (size_t)n : history->limit;
    history->oldest = history->position - n_kept;
    if (n_kept > history->capacity) {
        plk_history_destroy(history);
        pluck_status status = allocate(history, plk_history_limit(n_kept), err);
        if (status != PLUCK_OK)
            return status;
    }
    return load_tokens(history, first, n_vocab, in, err);
}

void plk_history_push(plk_history *history, pluck_token token, bool is_prompt)
{
    size_t at = slot(history, history->position);
    history->ring[at] = token;
    history->generated_ring[at] = history->n_generated;
    if (is_prompt)
        history->n_generated = 0;
    else if (history->n_generated < UINT32_MAX)
        history->n_generated++;
    history->position++;
    if (history->position - history->oldest > history->capacity)
        history->oldest = history->position - history->capacity;
}

void plk_history_pop(plk_history *history)
{
    history->n_generated = plk_history_generated_before(history);
    history->position--;
}

uint32_t plk_history_generated_before(const plk_history *history)
{
    return history->generated_ring[slot(history, history->position - 1)];
}

size_t plk_history_length(const plk_history *history)
{
    return (size_t)(history->position - history->oldest);
}

static uint32_t highest_bit(uint64_t bits)
{
#ifdef __GNUC__
    return 63 - (uint32_t)__builtin_clzll(bits);
#else
    uint32_t bit = 0;
    for (uint32_t half = 32; half > 0; half /= 2)
        if (bits >> (bit + half) != 0)
            bit += half;
    return bit;
#endif
}

/* The tokens of a group lie together in the ring. */
bool plk_history_next(const plk_history *history, plk_history_search *search)
{
    while (search->bits == 0) {
        if (search->end <= search->lowest)
            return false;
        size_t end = slot(history, search->end - 1) + 1;
        size_t run =
            search->end - search->lowest < end ? (size_t)(search->end - search->lowest) : end;
        size_t begin = search->kernels->find_last(history->ring + (end - run), run, search->token,
                                                  &search->bits);
        search->end -= run - begin;
    }
    uint32_t bit = highest_bit(search->bits);
    search->bits ^= (uint64_t)1 << bit;
    search->position = search->end + bit;
    return true;
}

/*
 * The undo ring is indexed by position too: slot position % max_rewind holds the values before the
 * token of that position.
 */

/* A ring of this shape with memory of its own for what was before; NULL: no memory. */
static plk_undo_ring *allocate_ring(const plk_undo_ring *shape, pluck_error *err)
{
    size_t n = shape->max_rewind;
    plk_undo_ring *ring = plk_alloc(&shape->allocator, 1, sizeof *ring);
    double(*before)[PLK_UNDO_VALUES] = plk_alloc(&shape->allocator, n, sizeof *before);
    if (!ring || !before) {
        plk_free(&shape->allocator, ring);
        plk_free(&shape->allocator, before);
        (void)plk_fail_nomem(err, sizeof *ring + n * sizeof *before);
        return NULL;
    }
    *ring = *shape;
    ring->before = before;
    return ring;
}

pluck_status plk_undo_ring_create(void **out, const double start[PLK_UNDO_VALUES],
                                  uint32_t max_rewind, const pluck_allocator *allocator,
                                  pluck_error *err)
{
    plk_undo_ring shape = {.allocator = *allocator, .max_rewind = max_rewind};
    memcpy(shape.start, start, sizeof shape.start);
    plk_undo_ring_reset(&shape);
    plk_undo_ring *ring = allocate_ring(&shape, err);
    if (!ring)
        return PLUCK_ERR_NOMEM;
    for (uint32_t i = 0; i < max_rewind; i++)
        memcpy(ring->before[i], start, sizeof ring->before[i]);
    *out = ring;
    return PLUCK_OK;
}

void plk_undo_ring_destroy(void *ring)
{
    plk_undo_ring *r = ring;
    pluck_allocator allocator = r->allocator;
    plk_free(&allocator, r->before);
    plk_free(&allocator, r);
}

pluck_status plk_undo_ring_clone(void **out, const void *ring, pluck_error *err)
{
    const plk_undo_ring *from = ring;
    plk_undo_ring *copy = allocate_ring(from, err);
    if (!copy)
        return PLUCK_ERR_NOMEM;
    memcpy(copy->before, from->before, from->max_rewind * sizeof *copy->before);
    *out = copy;
    return PLUCK_OK;
}

void plk_undo_ring_reset(void *ring)
{
    plk_undo_ring *r = ring;
    memcpy(r->values, r->start, sizeof r->values);
}

/* Of the last token of the history. */
static double *ring_slot(const plk_undo_ring *ring, const plk_history *history)
{
    return ring->before[(history->position - 1) % ring->max_rewind];
}

void plk_undo_ring_accept(plk_undo_ring *ring, const plk_history *history)
{
    memcpy(ring_slot(ring, history), ring->values, sizeof ring->values);
}

void plk_undo_ring_rewind(const void *params, void *ring, const plk_history *history)
{
    (void)params;
    plk_undo_ring *r = ring;
    memcpy(r->values, ring_slot(r, history), sizeof r->values);
}

/* The first token whose slot is kept. */
static uint64_t first_kept(const plk_undo_ring *ring, const plk_history *history)
{
    return history->position > ring->max_rewind ? history->position - ring->max_rewind : 0;
}

void plk_undo_ring_save(const void *params, const void *ring, const plk_history *history,
                        plk_byte_writer *out)
{
    (void)params;
    const plk_undo_ring *r = ring;
    for (int v = 0; v < PLK_UNDO_VALUES; v++)
        plk_put_f64(out, r->values[v]);
    for (uint64_t at = first_kept(r, history); at < history->position; at++)
        for (int v = 0; v < PLK_UNDO_VALUES; v++)
            plk_put_f64(out, r->before[at % r->max_rewind][v]);
}

pluck_status plk_undo_ring_load(const void *params, void *ring, const plk_history *history,
                                plk_byte_reader *in, pluck_error *err)
{
    (void)params;
    plk_undo_ring *r = ring;
    bool all_finite = true;
    for (int v = 0; v < PLK_UNDO_VALUES; v++) {
        r->values[v] = plk_take_f64(in);
        all_finite &= isfinite(r->values[v]) != 0;
    }
    for (uint64_t at = first_kept(r, history); at < history->position && !in->is_short; at++)
        for (int v = 0; v < PLK_UNDO_VALUES; v++) {
            double value = plk_take_f64(in);
            r->before[at % r->max_rewind][v] = value;
            all_finite &= isfinite(value) != 0;
        }
    if (in->is_short || !all_finite)
        return plk_fail(err, PLUCK_ERR_FORMAT, "the saved values are cut off or not finite");
    return PLUCK_OK;
}
