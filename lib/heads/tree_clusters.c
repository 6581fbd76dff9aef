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
 * The vectors of a node are a range of one array; the ranges that still need a node form a queue,
 * as in pluck_tree_create_balanced(). Sums are in double in the order of the range, dot products
 * are those of the kernel table, the sort is total: the same tree on every machine.
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

typedef struct range {
    uint32_t begin, end;
} range;

typedef struct clustering {
    const plk_kernels *kernels;
    const unsigned char *vectors;
    size_t stride_bytes;
    uint32_t n, dim;
    projected *items;
    range *ranges;
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
static bool choose_centres(clustering *c, range r, pluck_pcg64 *rng)
{
    uint32_t n = r.end - r.begin;
    uint32_t first = r.begin + (uint32_t)pluck_pcg64_below(rng, n);
    uint32_t farthest = first;
    double largest = 0;
    memcpy(c->centres[0], vector_of(c, first), c->dim * sizeof(float));
    for (uint32_t i = r.begin; i < r.end; i++) {
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
static double project(clustering *c, range r)
{
    for (uint32_t j = 0; j < c->dim; j++)
        c->direction[j] = c->centres[1][j] - c->centres[0][j];
    double threshold = (c->kernels->dot_f32(c->direction, c->centres[0], c->dim) +
                        c->kernels->dot_f32(c->direction, c->centres[1], c->dim)) /
                       2;
    for (uint32_t i = r.begin; i < r.end; i++)
        c->items[i].at = c->kernels->dot_f32(c->direction, vector_of(c, i), c->dim);
    return threshold;
}

/* The means of the two sides; how many are on the right. */
static uint32_t move_centres(clustering *c, range r, double threshold)
{
    uint32_t n_side[2] = {0, 0};
    memset(c->sums, 0, 2 * (size_t)c->dim * sizeof *c->sums);
    for (uint32_t i = r.begin; i < r.end; i++) {
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
static uint32_t split(clustering *c, range r, pluck_pcg64 *rng)
{
    uint32_t n = r.end - r.begin;
    uint32_t n_left = n / 2;
    bool apart = choose_centres(c, r, rng);
    if (apart) {
        double threshold = project(c, r);
        uint32_t n_right = 0;
        for (int round = 0; round < MAX_ROUNDS; round++) {
            uint32_t before = n_right;
            n_right = move_centres(c, r, threshold);
            threshold = project(c, r);
            /* The count is a cheap sign of rest; a round that only swaps vectors costs little. */
            if (n_right == before)
                break;
        }
        n_left = 0;
        for (uint32_t i = r.begin; i < r.end; i++)
            n_left += c->items[i].at <= threshold;
    } else {
        for (uint32_t i = r.begin; i < r.end; i++)
            c->items[i].at = 0;
    }
    qsort(c->items + r.begin, n, sizeof *c->items, ascending);
    uint32_t least = (n + MIN_SHARE - 1) / MIN_SHARE;
    n_left = n_left < least ? least : n_left;
    n_left = n_left > n - least ? n - least : n_left;
    return r.begin + n_left;
}

static void build(clustering *c, uint64_t seed, int32_t *children)
{
    uint32_t n = c->n;
    pluck_pcg64 rng;
    pluck_pcg64_seed(&rng, seed, 0, 0);
    uint32_t n_ranges = 1;
    c->ranges[0] = (range){0, n};
    for (uint32_t i = 0; i + 1 < n; i++) {
        range whole = c->ranges[i];
        uint32_t middle = split(c, whole, &rng);
        const range parts[2] = {{whole.begin, middle}, {middle, whole.end}};
        for (size_t side = 0; side < 2; side++) {
            int32_t *child = &children[2 * (size_t)(n - 2 - i) + side];
            *child = (int32_t)c->items[parts[side].begin].token;
            if (parts[side].end - parts[side].begin > 1) {
                *child = (int32_t)(2 * n - 2 - n_ranges);
                c->ranges[n_ranges++] = parts[side];
            }
        }
    }
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

static void free_scratch(clustering *c, const pluck_allocator *memory)
{
    plk_free(memory, c->items);
    plk_free(memory, c->ranges);
    plk_free(memory, c->sums);
    plk_free(memory, c->direction);
    plk_free(memory, c->centres[0]);
    plk_free(memory, c->centres[1]);
}

static pluck_status alloc_scratch(clustering *c, const pluck_allocator *memory, pluck_error *err)
{
    c->items = plk_alloc(memory, c->n, sizeof *c->items);
    c->ranges = plk_alloc(memory, c->n, sizeof *c->ranges);
    c->sums = plk_alloc(memory, 2 * (size_t)c->dim, sizeof *c->sums);
    c->direction = plk_alloc(memory, c->dim, sizeof(float));
    c->centres[0] = plk_alloc(memory, c->dim, sizeof(float));
    c->centres[1] = plk_alloc(memory, c->dim, sizeof(float));
    if (c->items && c->ranges && c->sums && c->direction && c->centres[0] && c->centres[1])
        return PLUCK_OK;
    free_scratch(c, memory);
    return plk_fail_nomem(err, c->n * sizeof *c->items);
}

pluck_status pluck_tree_create_clustered(pluck_tree **out, const pluck_matrix *vectors,
                                         uint64_t seed, const pluck_allocator *allocator,
                                         pluck_error *err)
{
    if (!out || !vectors)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_tree_create_clustered: out and vectors must not be NULL");
    *out = NULL;
    pluck_allocator memory = plk_allocator_or_default(allocator);
    clustering c = {.kernels = plk_kernels_get(PLUCK_ISA_BEST)};
    pluck_status status = read_vectors(&c, vectors, err);
    if (status == PLUCK_OK)
        status = alloc_scratch(&c, &memory, err);
    if (status != PLUCK_OK)
        return status;
    status = plk_tree_alloc(out, c.n, allocator, err);
    if (status == PLUCK_OK) {
        plk_fp_state fp = plk_fp_enter();
        for (uint32_t i = 0; i < c.n; i++)
            c.items[i] = (projected){0, i};
        build(&c, seed, (*out)->children);
        plk_fp_leave(fp);
    }
    free_scratch(&c, &memory);
    return status;
}
