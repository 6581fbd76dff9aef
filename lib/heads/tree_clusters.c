/*
 * A tree by 2-means from the root down (S. Lloyd, "Least squares quantization in PCM", IEEE Trans.
 * Inf. Theory 28, 1982).
 *
 * With two centres c0 and c1, a vector x is nearer to c1 iff (c1 - c0) . x > (c1 - c0) . (c0 + c1)
 * / 2: one dot product a vector and a round. When the rounds are over, the vectors are sorted by
 * that projection (ties by token) and cut where it passes the threshold, but not within a
 * sixteenth of either end: a chain of outliers would make a tree as deep as it has leaves, and the
 * work quadratic.
 *
 * The vectors of a node are a range of one array. Sums are in double in the order of the range, dot
 * products are those of the kernel table, the sort is total: the same tree on every machine.
 */
#include "heads/heads.h"

#include "base/alloc.h"
#include "base/error.h"
#include "simd/fp_state.h"
#include "simd/kernels.h"

#include <pluck/rng.h>

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ROUNDS = 16, MIN_SHARE = 16 };

static const float LARGEST = 1e15f;

typedef struct projected {
    double at;
    uint32_t token;
} projected;

typedef struct clustering {
    const plk_kernels *kernels;
    const unsigned char *vectors;
    size_t stride_bytes;
    uint32_t n, dim;
    pluck_pcg64 rng;
    projected *items;
    double *sums;      /* [2][dim] */
    float *direction;  /* [dim] */
    float *centres[2]; /* [dim] */
} clustering;

static const float *row_of(const clustering *c, uint32_t token)
{
    return (const float *)(const void *)(c->vectors + token * c->stride_bytes);
}

static const float *vector_of(const clustering *c, uint32_t item)
{
    return row_of(c, c->items[item].token);
}

/* One vector by chance, and the one farthest from it; false if all are the same. */
static bool choose_centres(clustering *c, uint32_t begin, uint32_t end)
{
    uint32_t first = begin + (uint32_t)pluck_pcg64_below(&c->rng, end - begin);
    uint32_t farthest = first;
    double largest = 0;
    memcpy(c->centres[0], vector_of(c, first), c->dim * sizeof(float));
    for (uint32_t i = begin; i < end; i++) {
        const float *x = vector_of(c, i);
        for (uint32_t j = 0; j < c->dim; j++)
            c->direction[j] = x[j] - c->centres[0][j];
        double distance = c->kernels->dot_f32(c->direction, c->direction, c->dim);
        if (distance > largest) {
            largest = distance;
            farthest = i;
        }
    }
    memcpy(c->centres[1], vector_of(c, farthest), c->dim * sizeof(float));
    return largest > 0;
}

/* Projects the range on the line between the centres; returns the threshold. */
static double project(clustering *c, uint32_t begin, uint32_t end)
{
    for (uint32_t j = 0; j < c->dim; j++)
        c->direction[j] = c->centres[1][j] - c->centres[0][j];
    double threshold = (c->kernels->dot_f32(c->direction, c->centres[0], c->dim) +
                        c->kernels->dot_f32(c->direction, c->centres[1], c->dim)) /
                       2;
    for (uint32_t i = begin; i < end; i++)
        c->items[i].at = c->kernels->dot_f32(c->direction, vector_of(c, i), c->dim);
    return threshold;
}

/* The means of the two sides; how many are on the right. */
static uint32_t move_centres(clustering *c, uint32_t begin, uint32_t end, double threshold)
{
    uint32_t n_side[2] = {0, 0};
    memset(c->sums, 0, 2 * (size_t)c->dim * sizeof *c->sums);
    for (uint32_t i = begin; i < end; i++) {
        size_t side = c->items[i].at > threshold;
        const float *x = vector_of(c, i);
        double *sum = c->sums + side * c->dim;
        n_side[side]++;
        for (uint32_t j = 0; j < c->dim; j++)
            sum[j] += (double)x[j];
    }
    for (size_t side = 0; side < 2; side++)
        for (uint32_t j = 0; n_side[side] != 0 && j < c->dim; j++)
            c->centres[side][j] = (float)(c->sums[side * c->dim + j] / n_side[side]);
    return n_side[1];
}

static int ascending(const void *a, const void *b)
{
    const projected *x = a, *y = b;
    if (x->at < y->at || x->at > y->at)
        return x->at < y->at ? -1 : 1;
    return (x->token > y->token) - (x->token < y->token);
}

/* Puts the range in order; returns where the right side begins. */
static uint32_t split(void *context, uint32_t begin, uint32_t end)
{
    clustering *c = context;
    uint32_t n = end - begin;
    uint32_t n_left = n / 2;
    bool apart = choose_centres(c, begin, end);
    if (apart) {
        double threshold = project(c, begin, end);
        uint32_t n_right = 0;
        for (int round = 0; round < MAX_ROUNDS; round++) {
            uint32_t before = n_right;
            n_right = move_centres(c, begin, end, threshold);
            threshold = project(c, begin, end);
            /* The count is a cheap sign of rest; a round that only swaps vectors costs little. */
            if (n_right == before)
                break;
        }
        n_left = 0;
        for (uint32_t i = begin; i < end; i++)
            n_left += c->items[i].at <= threshold;
    } else {
        for (uint32_t i = begin; i < end; i++)
            c->items[i].at = 0;
    }
    qsort(c->items + begin, n, sizeof *c->items, ascending);
    uint32_t least = (n + MIN_SHARE - 1) / MIN_SHARE;
    n_left = n_left < least ? least : n_left;
    n_left = n_left > n - least ? n - least : n_left;
    return begin + n_left;
}

/* Fills in what says where the vectors are. */
static pluck_status read_vectors(clustering *c, const pluck_matrix *vectors, pluck_error *err)
{
    static const char function[] = "pluck_tree_create_clustered";
    pluck_status status = plk_matrix_check(vectors, "vectors", 1, err);
    if (status == PLUCK_OK)
        status = plk_tree_check_size(function, (uint32_t)vectors->n_rows, err);
    if (status != PLUCK_OK)
        return status;
    c->vectors = vectors->data;
    c->stride_bytes = plk_matrix_stride(vectors);
    c->n = (uint32_t)vectors->n_rows;
    c->dim = vectors->n_cols;
    if (vectors->dtype != PLUCK_F32 || (uintptr_t)c->vectors % sizeof(float) != 0 ||
        c->stride_bytes % sizeof(float) != 0)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "%s: vectors must be PLUCK_F32, and aligned as floats", function);
    for (uint32_t i = 0; i < c->n; i++)
        for (uint32_t j = 0; j < c->dim; j++)
            if (!(fabsf(row_of(c, i)[j]) <= LARGEST))
                return plk_fail(err, PLUCK_ERR_INVALID,
                                "%s: value %u of vector %u is %g; magnitudes must be at most 1e15",
                                function, (unsigned)j, (unsigned)i, (double)row_of(c, i)[j]);
    return PLUCK_OK;
}

pluck_status pluck_tree_create_clustered(pluck_tree **out, const pluck_matrix *vectors,
                                         uint64_t seed, const pluck_allocator *allocator,
                                         pluck_error *err)
{
    if (!out || !vectors)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_tree_create_clustered: out and vectors must not be NULL");
    *out = NULL;
    plk_arrays memory = {.allocator = plk_allocator_or_default(allocator)};
    clustering c = {.kernels = plk_kernels_get(PLUCK_ISA_BEST)};
    pluck_status status = read_vectors(&c, vectors, err);
    if (status != PLUCK_OK)
        return status;
    c.items = plk_arrays_add(&memory, c.n, sizeof *c.items);
    c.sums = plk_arrays_add(&memory, 2 * (size_t)c.dim, sizeof *c.sums);
    c.direction = plk_arrays_add(&memory, c.dim, sizeof(float));
    c.centres[0] = plk_arrays_add(&memory, c.dim, sizeof(float));
    c.centres[1] = plk_arrays_add(&memory, c.dim, sizeof(float));
    status = plk_arrays_check(&memory, err);
    for (uint32_t i = 0; status == PLUCK_OK && i < c.n; i++)
        c.items[i] = (projected){0, i};
    if (status == PLUCK_OK) {
        plk_fp_state fp = plk_fp_enter();
        pluck_pcg64_seed(&c.rng, seed, 0, 0);
        status = plk_tree_from_ranges(out, c.n, split, &c, allocator, err);
        plk_fp_leave(fp);
    }
    /* Leaves have the numbers of their places so far. */
    for (size_t i = 0; status == PLUCK_OK && i < 2 * (size_t)(c.n - 1); i++) {
        int32_t *child = &(*out)->children[i];
        if ((uint32_t)*child < c.n)
            *child = (int32_t)c.items[*child].token;
    }
    plk_arrays_free(&memory);
    return status;
}
