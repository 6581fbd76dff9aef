/*
 * Targets are integers (file/array_file.h) that are tokens, which is checked when they are read.
 */
#include "dump/reader.h"

#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "file/array_file.h"

enum { AT_ONCE = 256 };

struct pluck_targets {
    plk_integers integers;
};

static pluck_status allocate(pluck_targets **targets, const pluck_allocator *given,
                             pluck_error *err)
{
    pluck_allocator allocator = plk_allocator_or_default(given);
    *targets = plk_alloc_zero(&allocator, 1, sizeof **targets);
    return *targets ? PLUCK_OK : plk_fail_nomem(err, sizeof **targets);
}

/* Takes over what opening gave. */
static pluck_status finish_open(pluck_targets **out, pluck_targets *targets, pluck_status status)
{
    *out = targets;
    if (status != PLUCK_OK) {
        pluck_allocator allocator = targets->integers.allocator;
        plk_free(&allocator, targets);
        *out = NULL;
    }
    return status;
}

pluck_status pluck_targets_open(pluck_targets **out, const char *path,
                                const pluck_allocator *allocator, pluck_error *err)
{
    if (!out)
        return plk_fail(err, PLUCK_ERR_INVALID, "pluck_targets_open: out is NULL");
    *out = NULL;
    if (!path)
        return plk_fail(err, PLUCK_ERR_INVALID, "pluck_targets_open: path is NULL");
    pluck_targets *targets = NULL;
    pluck_status status = allocate(&targets, allocator, err);
    if (status != PLUCK_OK)
        return status;
    return finish_open(out, targets, plk_integers_open(&targets->integers, path, allocator, err));
}

pluck_status plk_targets_open_memory(pluck_targets **out, const char *name, const void *bytes,
                                     size_t size_bytes, bool streamed,
                                     const pluck_allocator *allocator, pluck_error *err)
{
    *out = NULL;
    pluck_targets *targets = NULL;
    pluck_status status = allocate(&targets, allocator, err);
    if (status != PLUCK_OK)
        return status;
    return finish_open(out, targets,
                       plk_integers_open_memory(&targets->integers, name, bytes, size_bytes,
                                                streamed, allocator, err));
}

void pluck_targets_destroy(pluck_targets **targets)
{
    if (!targets || !*targets)
        return;
    pluck_allocator allocator = (*targets)->integers.allocator;
    plk_integers_close(&(*targets)->integers);
    plk_free(&allocator, *targets);
    *targets = NULL;
}

uint64_t pluck_targets_count(const pluck_targets *targets)
{
    return targets ? targets->integers.n : 0;
}

size_t pluck_targets_axes(const pluck_targets *targets, const uint64_t **axes)
{
    if (axes)
        *axes = targets ? targets->integers.shape.axes : NULL;
    return targets ? targets->integers.shape.n_axes : 0;
}

pluck_status plk_target_token(int64_t value, uint64_t index, const char *where, pluck_token *token,
                              pluck_error *err)
{
    if (value >= PLUCK_MAX_VOCAB)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: target %llu is %lld: expected a token below %u, or a negative number "
                        "for none",
                        where, (unsigned long long)index, (long long)value,
                        (unsigned)PLUCK_MAX_VOCAB);
    *token = value < 0 ? PLUCK_NO_TOKEN : (pluck_token)value;
    return PLUCK_OK;
}

pluck_status pluck_targets_read(pluck_targets *targets, uint64_t first, size_t n,
                                pluck_token *tokens, pluck_error *err)
{
    if (!targets || (!tokens && n > 0))
        return plk_fail(err, PLUCK_ERR_INVALID, "pluck_targets_read: %s is NULL",
                        targets ? "tokens" : "targets");
    plk_integers *integers = &targets->integers;
    const char *label = integers->source.label;
    if (first > integers->n || n > integers->n - first)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "%s: %zu targets from target %llu on were requested, but the file has only "
                        "%llu targets",
                        label, n, (unsigned long long)first, (unsigned long long)integers->n);
    int64_t values[AT_ONCE];
    for (size_t done = 0; done < n;) {
        size_t step = n - done < AT_ONCE ? n - done : AT_ONCE;
        pluck_status status = plk_integers_read(integers, first + done, step, values, err);
        for (size_t i = 0; i < step && status == PLUCK_OK; i++)
            status = plk_target_token(values[i], first + done + i, label, tokens + done + i, err);
        if (status != PLUCK_OK)
            return status;
        done += step;
    }
    return PLUCK_OK;
}
