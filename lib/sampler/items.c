/*
 * A row of logits out of an array of structs.
 *
 * Arrays of candidates nearly always hold all tokens in order, so the tokens are compared with
 * their places first, and their logits copied, as far as that goes; for the layout of llama.cpp a
 * kernel does it. What is left is scattered. A token that comes twice shows without further memory:
 * each item leaves its number at its token's place in the row, and then each looks whether it is
 * still there. Only one item of each token finds its own.
 */
#include "base/error.h"
#include "simd/kernels.h"

#include <pluck/sampler.h>

#include <math.h>
#include <string.h>

typedef struct layout {
    const unsigned char *items;
    size_t stride_bytes, id_offset_bytes, logit_offset_bytes;
} layout;

static int32_t id_at(const layout *l, size_t i)
{
    int32_t id;
    memcpy(&id, l->items + i * l->stride_bytes + l->id_offset_bytes, sizeof id);
    return id;
}

static float logit_at(const layout *l, size_t i)
{
    float logit;
    memcpy(&logit, l->items + i * l->stride_bytes + l->logit_offset_bytes, sizeof logit);
    return logit;
}

/* Copies the items that are in their places, from the first on; returns how many. */
static size_t copy_leading(const layout *l, size_t n, float *row)
{
    if (l->stride_bytes == sizeof(plk_item) && l->id_offset_bytes == offsetof(plk_item, token) &&
        l->logit_offset_bytes == offsetof(plk_item, logit))
        return plk_kernels_get(PLUCK_ISA_BEST)->copy_items(l->items, n, row);
    size_t i = 0;
    for (; i < n && (uint32_t)id_at(l, i) == i; i++)
        row[i] = logit_at(l, i);
    return i;
}

/* The items from first on; the places before it in the row are taken. */
static pluck_status scatter(const layout *l, size_t first, size_t n, float *row, uint32_t n_vocab,
                            pluck_error *err)
{
    for (size_t t = first; t < n_vocab; t++)
        row[t] = -INFINITY;
    for (size_t i = first; i < n; i++) {
        int32_t id = id_at(l, i);
        uint32_t number = (uint32_t)i;
        if ((uint32_t)id >= n_vocab)
            return plk_fail(err, PLUCK_ERR_INVALID,
                            "items: token %d of item %zu is outside [0, %u]", (int)id, i,
                            n_vocab - 1);
        if ((uint32_t)id < first)
            return plk_fail(err, PLUCK_ERR_INVALID,
                            "items: token %d comes twice; each may be listed once", (int)id);
        memcpy(row + id, &number, sizeof number);
    }
    for (size_t i = first; i < n; i++) {
        int32_t id = id_at(l, i);
        uint32_t number;
        memcpy(&number, row + id, sizeof number);
        if (number != i)
            return plk_fail(err, PLUCK_ERR_INVALID,
                            "items: token %d comes twice; each may be listed once", (int)id);
        row[id] = logit_at(l, i);
    }
    return PLUCK_OK;
}

pluck_status pluck_logits_from_items(const void *items, size_t stride_bytes, size_t id_offset_bytes,
                                     size_t logit_offset_bytes, size_t n, float *row,
                                     uint32_t n_vocab, pluck_error *err)
{
    if ((!items && n > 0) || !row)
        return plk_fail(err, PLUCK_ERR_INVALID, "items and row must not be NULL");
    if (n_vocab == 0 || n_vocab > PLUCK_MAX_VOCAB)
        return plk_fail(err, PLUCK_ERR_INVALID, "n_vocab is %u; it must be in [1, %u]", n_vocab,
                        (unsigned)PLUCK_MAX_VOCAB);
    if (stride_bytes < sizeof(int32_t) || id_offset_bytes > stride_bytes - sizeof(int32_t) ||
        logit_offset_bytes > stride_bytes - sizeof(float))
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "stride_bytes is %zu; the 4 bytes of the id, from byte %zu, and of the "
                        "logit, from byte %zu, must lie within it",
                        stride_bytes, id_offset_bytes, logit_offset_bytes);
    if (n > n_vocab)
        return plk_fail(
            err, PLUCK_ERR_INVALID,
            "items: n is %zu, but the vocabulary has %u tokens; each token may be listed once", n,
            n_vocab);
    layout l = {items, stride_bytes, id_offset_bytes, logit_offset_bytes};
    return scatter(&l, copy_leading(&l, n, row), n, row, n_vocab, err);
}
