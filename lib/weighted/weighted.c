/*
 * Stored distributions: what the three kinds share. Arguments are checked and the floating-point
 * environment is entered here.
 *
 * Weights are summed in one pass with a compensated sum (A. Neumaier, "Rundungsfehleranalyse
 * einiger Verfahren zur Summation endlicher Summen", ZAMM 54, 1974): what each addition loses is
 * added up on its own. For terms of one sign the result is off by at most 2^-53 + n^2 2^-106
 * relative, below 2^-52 for n <= 2^26 and in practice for any n.
 */
#include "weighted/kinds.h"

#include "base/alloc.h"
#include "base/error.h"
#include "file/array_file.h"
#include "simd/fp_state.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

static const plk_weighted_ops *const kinds[] = {&plk_weighted_alias, &plk_weighted_sum_tree,
                                                &plk_weighted_huffman};

enum { N_KINDS = sizeof kinds / sizeof *kinds };

double plk_weight_at(pluck_weights weights, uint32_t i)
{
    const unsigned char *data = weights.data;
    if (weights.dtype == PLUCK_F64) {
        double value;
        memcpy(&value, data + (size_t)i * sizeof value, sizeof value);
        return value;
    }
    float value;
    memcpy(&value, data + (size_t)i * sizeof value, sizeof value);
    return (double)value;
}

pluck_status plk_weights_fail_sum(pluck_error *err)
{
    return plk_fail(
        err, PLUCK_ERR_INVALID,
        "pluck_weighted_create: the sum of the weights overflows a double; scale them down");
}

pluck_status plk_weights_check(pluck_weights weights, double *total, uint32_t *n_positive,
                               pluck_error *err)
{
    if (!weights.data)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_weighted_create: weights.data must not be NULL");
    if (weights.dtype != PLUCK_F32 && weights.dtype != PLUCK_F64)
        return plk_fail(
            err, PLUCK_ERR_INVALID,
            "pluck_weighted_create: weights.dtype is %d; it must be PLUCK_F32 or PLUCK_F64",
            (int)weights.dtype);
    if (weights.n == 0 || weights.n > PLUCK_MAX_WEIGHTS)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_weighted_create: weights.n is %u; it must be from 1 to 2^30",
                        (unsigned)weights.n);
    double sum = 0, lost = 0;
    uint32_t n = 0;
    for (uint32_t i = 0; i < weights.n; i++) {
        double weight = plk_weight_at(weights, i);
        if (!isfinite(weight))
            return plk_fail(err, PLUCK_ERR_NAN,
                            "pluck_weighted_create: weight %u is %s; weights must be finite",
                            (unsigned)i, isnan(weight) ? "NaN" : "infinite");
        if (weight < 0)
            return plk_fail(err, PLUCK_ERR_INVALID,
                            "pluck_weighted_create: weight %u is %g; weights must not be negative",
                            (unsigned)i, weight);
        double next = sum + weight;
        lost += sum >= weight ? (sum - next) + weight : (weight - next) + sum;
        sum = next;
        n += weight > 0;
    }
    if (!isfinite(sum + lost))
        return plk_weights_fail_sum(err);
    if (n == 0)
        return plk_fail(err, PLUCK_ERR_EMPTY,
                        "pluck_weighted_create: all weights are 0; at least one must be positive");
    *total = sum + lost;
    *n_positive = n;
    return PLUCK_OK;
}

double plk_weights_scale(double total)
{
    return total < 0x1p-960 ? 0x1p200 : 1.0;
}

/* One without its arrays; NULL if memory is short. */
static pluck_weighted *create_empty(const plk_weighted_ops *ops, uint32_t n,
                                    const pluck_allocator *allocator, pluck_error *err)
{
    plk_arrays memory = {.allocator = plk_allocator_or_default(allocator)};
    pluck_weighted *weighted = plk_arrays_add_zero(&memory, 1, sizeof *weighted);
    if (weighted)
        *weighted = (pluck_weighted){.memory = memory, .ops = ops, .n = n};
    else
        (void)plk_arrays_check(&memory, err);
    return weighted;
}

static pluck_status create(pluck_weighted **out, const plk_weighted_ops *ops, pluck_weights weights,
                           const pluck_allocator *allocator, pluck_error *err)
{
    double total;
    uint32_t n_positive;
    pluck_status status = plk_weights_check(weights, &total, &n_positive, err);
    if (status != PLUCK_OK)
        return status;
    pluck_weighted *weighted = create_empty(ops, weights.n, allocator, err);
    if (!weighted)
        return PLUCK_ERR_NOMEM;
    status = ops->build(weighted, weights, total, n_positive, err);
    if (status == PLUCK_OK)
        status = plk_arrays_check(&weighted->memory, err);
    if (status != PLUCK_OK)
        pluck_weighted_destroy(&weighted);
    *out = weighted;
    return status;
}

pluck_status pluck_weighted_create(pluck_weighted **out, pluck_weighted_kind kind,
                                   pluck_weights weights, const pluck_allocator *allocator,
                                   pluck_error *err)
{
    if (!out)
        return plk_fail(err, PLUCK_ERR_INVALID, "pluck_weighted_create: out must not be NULL");
    *out = NULL;
    if ((size_t)kind >= N_KINDS)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_weighted_create: kind %d is not a pluck_weighted_kind", (int)kind);
    PLK_RETURN_IN_FP(create(out, kinds[kind], weights, allocator, err));
}

void pluck_weighted_destroy(pluck_weighted **weighted)
{
    if (!weighted || !*weighted)
        return;
    plk_arrays_free(&(*weighted)->memory);
    *weighted = NULL;
}

uint32_t pluck_weighted_size(const pluck_weighted *weighted)
{
    return weighted ? weighted->n : 0;
}

double pluck_weighted_total(const pluck_weighted *weighted)
{
    if (!weighted)
        return 0;
    switch (weighted->ops->kind) {
    case PLUCK_WEIGHTED_SUM_TREE:
        return plk_sum_tree_total(weighted);
    case PLUCK_WEIGHTED_HUFFMAN:
        return weighted->huffman.total;
    default:
        return 1;
    }
}

double pluck_weighted_mean_depth(const pluck_weighted *weighted)
{
    if (!weighted)
        return 0;
    switch (weighted->ops->kind) {
    case PLUCK_WEIGHTED_SUM_TREE:
        return PLK_SUM_TREE_FAN * weighted->sum_tree.n_levels;
    case PLUCK_WEIGHTED_HUFFMAN:
        return weighted->huffman.mean_depth;
    default:
        return 1;
    }
}

/* Whether all weights of a sum tree were set to 0. Compares bits: a caller's floating-point
 * settings may take a subnormal total for 0. */
static bool is_empty(const pluck_weighted *weighted)
{
    static const double zero = 0;
    if (weighted->ops->kind != PLUCK_WEIGHTED_SUM_TREE)
        return false;
    double total = plk_sum_tree_total(weighted);
    return memcmp(&total, &zero, sizeof total) == 0;
}

static pluck_status fail_empty(const char *function, pluck_error *err)
{
    return plk_fail(err, PLUCK_ERR_EMPTY, "%s: all weights are 0; set one to more", function);
}

pluck_status pluck_weighted_draw(const pluck_weighted *weighted, pluck_pcg64 *rng, size_t n,
                                 uint32_t *indices, pluck_error *err)
{
    if (!weighted || !rng || (!indices && n > 0))
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_weighted_draw: weighted, rng and indices must not be NULL");
    if (weighted->ops->kind == PLUCK_WEIGHTED_ALIAS) { /* in integers */
        plk_weighted_alias.draw(weighted, rng, n, indices);
        return PLUCK_OK;
    }
    if (is_empty(weighted))
        return fail_empty("pluck_weighted_draw", err);
    plk_fp_state fp = plk_fp_enter();
    weighted->ops->draw(weighted, rng, n, indices);
    plk_fp_leave(fp);
    return PLUCK_OK;
}

static pluck_status check_index(const char *function, const pluck_weighted *weighted,
                                uint32_t index, pluck_error *err)
{
    if (index < weighted->n)
        return PLUCK_OK;
    return plk_fail(err, PLUCK_ERR_INVALID, "%s: index %u is not below %u, the number of entries",
                    function, (unsigned)index, (unsigned)weighted->n);
}

pluck_status pluck_weighted_probability(const pluck_weighted *weighted, uint32_t index,
                                        double *prob, pluck_error *err)
{
    static const char function[] = "pluck_weighted_probability";
    if (!weighted || !prob)
        return plk_fail(err, PLUCK_ERR_INVALID, "%s: weighted and prob must not be NULL", function);
    pluck_status status = check_index(function, weighted, index, err);
    if (status != PLUCK_OK)
        return status;
    if (is_empty(weighted))
        return fail_empty(function, err);
    plk_fp_state fp = plk_fp_enter();
    *prob = weighted->ops->probability(weighted, index);
    plk_fp_leave(fp);
    return PLUCK_OK;
}

pluck_status pluck_weighted_probabilities(const pluck_weighted *weighted, double *probs,
                                          pluck_error *err)
{
    static const char function[] = "pluck_weighted_probabilities";
    if (!weighted || !probs)
        return plk_fail(err, PLUCK_ERR_INVALID, "%s: weighted and probs must not be NULL",
                        function);
    if (is_empty(weighted))
        return fail_empty(function, err);
    plk_fp_state fp = plk_fp_enter();
    if (weighted->ops->probabilities)
        weighted->ops->probabilities(weighted, probs);
    for (uint32_t i = 0; !weighted->ops->probabilities && i < weighted->n; i++)
        probs[i] = weighted->ops->probability(weighted, i);
    plk_fp_leave(fp);
    return PLUCK_OK;
}

/* The checks of set and get; pointer is the second one that must not be NULL. */
static pluck_status check_sum_tree(const char *function, const pluck_weighted *tree,
                                   const void *pointer, uint32_t index, pluck_error *err)
{
    if (!tree || !pointer)
        return plk_fail(err, PLUCK_ERR_INVALID, "%s: tree and weight must not be NULL", function);
    if (tree->ops->kind != PLUCK_WEIGHTED_SUM_TREE)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "%s: the kind is %s; only a sum tree has weights that can be read and set",
                        function, tree->ops->name);
    return check_index(function, tree, index, err);
}

static pluck_status set(pluck_weighted *tree, uint32_t index, double weight, pluck_error *err)
{
    if (!isfinite(weight))
        return plk_fail(err, PLUCK_ERR_NAN,
                        "pluck_weighted_set: the weight is %g; it must be finite", weight);
    if (weight < 0)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_weighted_set: the weight is %g; it must not be negative", weight);
    double before = tree->sum_tree.levels[0][index];
    plk_sum_tree_set(tree, index, weight);
    if (isfinite(plk_sum_tree_total(tree)))
        return PLUCK_OK;
    plk_sum_tree_set(tree, index, before);
    return plk_fail(err, PLUCK_ERR_INVALID,
                    "pluck_weighted_set: the sum of the weights would overflow a double");
}

pluck_status pluck_weighted_set(pluck_weighted *tree, uint32_t index, double weight,
                                pluck_error *err)
{
    pluck_status status = check_sum_tree("pluck_weighted_set", tree, tree, index, err);
    if (status != PLUCK_OK)
        return status;
    PLK_RETURN_IN_FP(set(tree, index, weight, err));
}

pluck_status pluck_weighted_get(const pluck_weighted *tree, uint32_t index, double *weight,
                                pluck_error *err)
{
    pluck_status status = check_sum_tree("pluck_weighted_get", tree, weight, index, err);
    if (status == PLUCK_OK)
        *weight = tree->sum_tree.levels[0][index];
    return status;
}

/*
 * Files have one tensor each. The reader of .safetensors checks it against the file; here follows
 * whether it is the right one, and whether its numbers are: an alias table of any cells is a
 * distribution as long as no alias is outside of it, and weights go through create(), whose
 * complaints about a caller's array become complaints about the file.
 */

static plk_safetensors_tensor tensor_of(const pluck_weighted *weighted)
{
    switch (weighted->ops->kind) {
    case PLUCK_WEIGHTED_SUM_TREE:
        return plk_safetensors_tensor_of("weights", "F64", weighted->sum_tree.levels[0],
                                         weighted->n, 0);
    case PLUCK_WEIGHTED_HUFFMAN:
        return plk_safetensors_tensor_of("weights", "F64", weighted->huffman.weights, weighted->n,
                                         0);
    default:
        return plk_safetensors_tensor_of("cells", "U32", weighted->cells, weighted->n, 2);
    }
}

pluck_status pluck_weighted_save(const pluck_weighted *weighted, const char *path, pluck_error *err)
{
    if (!weighted || !path)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_weighted_save: weighted and path must not be NULL");
    if (is_empty(weighted))
        return fail_empty("pluck_weighted_save", err);
    if (plk_is_swapped(true))
        return plk_fail(err, PLUCK_ERR_IO,
                        "%s: stored distributions are little-endian, but this machine is not",
                        path);
    const plk_safetensors_note notes[] = {{"format", "pluck-weighted"},
                                          {"kind", weighted->ops->name}};
    plk_safetensors_tensor tensor = tensor_of(weighted);
    return plk_safetensors_write(path, notes, sizeof notes / sizeof *notes, &tensor, 1,
                                 &weighted->memory.allocator, err);
}

typedef struct tensor_data {
    const uint8_t *bytes;
    uint32_t n;
} tensor_data;

static pluck_status find_kind(const plk_safetensors_header *header, const char *label,
                              const plk_weighted_ops **ops, pluck_error *err)
{
    for (size_t i = 0; i < N_KINDS; i++) {
        *ops = kinds[i];
        if (plk_safetensors_note_is(header, "format", "pluck-weighted") &&
            plk_safetensors_note_is(header, "kind", kinds[i]->name))
            return PLUCK_OK;
    }
    return plk_fail(err, PLUCK_ERR_FORMAT,
                    "%s: expected metadata 'format' = 'pluck-weighted' and 'kind' = 'alias', "
                    "'sum_tree' or 'huffman'",
                    label);
}

/* The only tensor, which must have the name, the dtype and the axes that the kind has. */
static pluck_status find_tensor(const plk_safetensors_header *header, const plk_source *source,
                                bool cells, tensor_data *tensor, pluck_error *err)
{
    const char *name = cells ? "cells" : "weights", *dtype = cells ? "U32" : "F64";
    size_t n_axes = cells ? 2 : 1;
    plk_shape shape = {0};
    const plk_safetensors_entry *entry = header->n_entries == 1 ? header->entries : NULL;
    if (entry)
        plk_safetensors_shape(entry, &shape);
    if (!entry || strcmp(entry->name, name) != 0 || strcmp(entry->dtype, dtype) != 0 ||
        shape.n_axes != n_axes || shape.axes[0] == 0 || shape.axes[0] > PLUCK_MAX_WEIGHTS ||
        (cells && shape.axes[1] != 2))
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: expected one tensor, '%s', of %s, with %s from 1 to 2^30 entries",
                        source->label, name, dtype, cells ? "two columns and" : "one axis and");
    tensor->bytes = plk_safetensors_data(header, source, entry);
    tensor->n = (uint32_t)shape.axes[0];
    return PLUCK_OK;
}

static pluck_status read_cells(pluck_weighted **out, const tensor_data *tensor, const char *label,
                               const pluck_allocator *allocator, pluck_error *err)
{
    pluck_weighted *alias = create_empty(&plk_weighted_alias, tensor->n, allocator, err);
    if (!alias)
        return PLUCK_ERR_NOMEM;
    alias->cells = plk_arrays_add(&alias->memory, tensor->n, sizeof *alias->cells);
    pluck_status status = plk_arrays_check(&alias->memory, err);
    if (alias->cells)
        memcpy(alias->cells, tensor->bytes, tensor->n * sizeof *alias->cells);
    for (uint32_t i = 0; i < tensor->n && status == PLUCK_OK; i++)
        if (alias->cells[i].alias >= tensor->n)
            status = plk_fail(err, PLUCK_ERR_FORMAT,
                              "%s: cell %u has the alias %u; expected an entry below %u", label,
                              (unsigned)i, (unsigned)alias->cells[i].alias, (unsigned)tensor->n);
    if (status != PLUCK_OK)
        pluck_weighted_destroy(&alias);
    *out = alias;
    return status;
}

static pluck_status read_weights(pluck_weighted **out, const plk_weighted_ops *ops,
                                 const tensor_data *tensor, const char *label,
                                 const pluck_allocator *allocator, pluck_error *err)
{
    pluck_error why;
    pluck_weights weights = {tensor->bytes, PLUCK_F64, tensor->n};
    pluck_status status = create(out, ops, weights, allocator, &why);
    if (status == PLUCK_ERR_NOMEM)
        return plk_fail(err, status, "%s", why.message);
    return status == PLUCK_OK ? PLUCK_OK
                              : plk_fail(err, PLUCK_ERR_FORMAT, "%s: %s", label, why.message);
}

pluck_status plk_weighted_read(pluck_weighted **out, const plk_source *source,
                               const pluck_allocator *allocator, pluck_error *err)
{
    plk_safetensors_header header = {0};
    const plk_weighted_ops *ops = NULL;
    tensor_data tensor = {.n = 0};
    if (source->streamed)
        return plk_fail(
            err, PLUCK_ERR_FORMAT,
            "%s: a stored distribution cannot be read from a stream; store it as a file",
            source->label);
    if (plk_is_swapped(true))
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: stored distributions are little-endian, but this machine is not",
                        source->label);
    pluck_status status = plk_safetensors_header_parse(&header, source->bytes, source->size_bytes,
                                                       source->label, &source->allocator, err);
    if (status != PLUCK_OK)
        return status;
    status = find_kind(&header, source->label, &ops, err);
    bool cells = ops == &plk_weighted_alias;
    if (status == PLUCK_OK)
        status = find_tensor(&header, source, cells, &tensor, err);
    if (status == PLUCK_OK)
        status = cells ? read_cells(out, &tensor, source->label, allocator, err)
                       : read_weights(out, ops, &tensor, source->label, allocator, err);
    plk_safetensors_header_free(&header, &source->allocator);
    return status;
}

pluck_status pluck_weighted_open(pluck_weighted **out, const char *path,
                                 const pluck_allocator *allocator, pluck_error *err)
{
    if (out)
        *out = NULL;
    if (!out || !path)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_weighted_open: out and path must not be NULL");
    pluck_allocator memory = plk_allocator_or_default(allocator);
    plk_source source;
    pluck_status status = plk_source_open(&source, path, false, &memory, err);
    if (status != PLUCK_OK)
        return status;
    plk_fp_state fp = plk_fp_enter();
    status = plk_weighted_read(out, &source, allocator, err);
    plk_fp_leave(fp);
    plk_source_close(&source);
    return status;
}
