/*
 * A power-of-two ring indexed by position modulo capacity. oldest is the first position whose token
 * is still stored: a push that overwrites a slot moves it on, a pop does not move it back, so that
 * after rewinding nothing stale can be read.
 */
#include "history/history.h"

#include "base/error.h"

#include <string.h>

enum { MIN_CAPACITY = 16, FIRST_UNLIMITED_CAPACITY = 1024 };

static size_t round_up_to_power(size_t n)
{
    size_t power = MIN_CAPACITY;
    while (power < n && power <= SIZE_MAX / 4)
        power *= 2;
    return power;
}

static size_t slot(const pl_history *history, uint64_t position)
{
    return (size_t)(position & (history->capacity - 1));
}

pluck_status pl_history_create(pl_history *history, size_t n_kept, const pluck_allocator *allocator,
                               pluck_error *err)
{
    bool unlimited = n_kept == SIZE_MAX;
    size_t capacity = unlimited ? FIRST_UNLIMITED_CAPACITY : round_up_to_power(n_kept);
    *history = (pl_history){
        .allocator = *allocator, .capacity = capacity, .unlimited = unlimited, .ring = NULL};
    history->ring = pl_alloc(allocator, capacity, sizeof *history->ring);
    if (!history->ring)
        return pl_fail_nomem(err, capacity * sizeof *history->ring);
    return PLUCK_OK;
}

void pl_history_destroy(pl_history *history)
{
    pl_free(&history->allocator, history->ring);
    history->ring = NULL;
}

pluck_status pl_history_clone(pl_history *out, const pl_history *history, pluck_error *err)
{
    *out = *history;
    out->ring = pl_alloc(&history->allocator, history->capacity, sizeof *out->ring);
    if (!out->ring)
        return pl_fail_nomem(err, history->capacity * sizeof *out->ring);
    for (uint64_t at = history->oldest; at < history->position; at++)
        out->ring[slot(out, at)] = history->ring[slot(history, at)];
    return PLUCK_OK;
}

void pl_history_clear(pl_history *history)
{
    history->position = 0;
    history->oldest = 0;
}

pluck_status pl_history_reserve(pl_history *history, pluck_error *err)
{
    if (!history->unlimited || history->position - history->oldest < history->capacity)
        return PLUCK_OK;
    size_t capacity = history->capacity * 2;
    pluck_token *ring = pl_alloc(&history->allocator, capacity, sizeof *ring);
    if (!ring)
        return pl_fail_nomem(err, capacity * sizeof *ring);
    for (uint64_t at = history->oldest; at < history->position; at++)
        ring[at & (capacity - 1)] = history->ring[slot(history, at)];
    pl_free(&history->allocator, history->ring);
    history->ring = ring;
    history->capacity = capacity;
    return PLUCK_OK;
}

void pl_history_push(pl_history *history, pluck_token token)
{
    history->ring[slot(history, history->position)] = token;
    history->position++;
    if (history->position - history->oldest > history->capacity)
        history->oldest = history->position - history->capacity;
}

void pl_history_pop(pl_history *history)
{
    history->position--;
}

size_t pl_history_length(const pl_history *history)
{
    return (size_t)(history->position - history->oldest);
}

pluck_token pl_history_at(const pl_history *history, size_t age)
{
    return history->ring[slot(history, history->position - 1 - age)];
}
