/*
 * What the kinds of stored distributions share: the weights they are made from, and files.
 */
#include "weighted/kinds.h"

#include "base/alloc.h"
#include "base/error.h"
#include "file/array_file.h"
#include "file/safetensors_header.h"
#include "file/safetensors_write.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

/*
 * One pass with a compensated sum (A. Neumaier, "Rundungsfehleranalyse einiger Verfahren zur
 * Summation endlicher Summen", ZAMM 54, 1974): what each addition loses is added up on its own.
 * For terms of one sign the result is off by at most 2^-53 + n^2 2^-106 relative, below 2^-52 for
 * n <= 2^26 and in practice for any n.
 */

double plk_weight_at(pluck_weights weights, uint32_t i)
{
    const unsigned char *data = weights.data;
    if (weights.type == PLUCK_WEIGHTS_F64) {
        double value;
        memcpy(&value, data + (size_t)i * sizeof value, sizeof value);
        return value;
    }
    float value;
    memcpy(&value, data + (size_t)i * sizeof value, sizeof value);
    return (double)value;
}

static pluck_status fail_weight(const char *function, uint32_t i, double weight, pluck_error *err)
{
    if (isfinite(weight))
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "%s: weight %u is %g, a weight must not be negative", function, (unsigned)i,
                        weight);
    return plk_fail(err, PLUCK_ERR_NAN, "%s: weight %u is %s, a weight must be finite", function,
                    (unsigned)i, isnan(weight) ? "NaN" : "infinite");
}

pluck_status plk_weights_check(pluck_weights weights, const char *function, double *total,
                               uint32_t *n_positive, pluck_error *err)
{
    if (!weights.data)
        return plk_fail(err, PLUCK_ERR_INVALID, "%s: weights.data is NULL", function);
    if (weights.type != PLUCK_WEIGHTS_F32 && weights.type != PLUCK_WEIGHTS_F64)
        return plk_fail(err, PLUCK_ERR_INVALID, "%s: weights.type %d is not a pluck_weights_type",
                        function, (int)weights.type);
    if (weights.n == 0 || weights.n > PLUCK_MAX_WEIGHTS)
        return plk_fail(err, PLUCK_ERR_INVALID, "%s: %u weights, there must be from 1 to 2^30",
                        function, (unsigned)weights.n);
    double sum = 0, lost = 0;
    uint32_t n = 0;
    for (uint32_t i = 0; i < weights.n; i++) {
        double weight = plk_weight_at(weights, i);
        if (!(weight >= 0 && weight < (double)INFINITY))
            return fail_weight(function, i, weight, err);
        double next = sum + weight;
        lost += sum >= weight ? (sum - next) + weight : (weight - next) + sum;
        sum = next;
        n += weight > 0;
    }
    if (!isfinite(sum))
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "%s: the sum of the weights overflows a double, scale them down", function);
    if (n == 0)
        return plk_fail(err, PLUCK_ERR_EMPTY,
                        "%s: all weights are 0, at least one must be positive", function);
    *total = sum + lost;
    *n_positive = n;
    return PLUCK_OK;
}

double plk_weights_scale(double total)
{
    return total < 0x1p-960 ? 0x1p200 : 1.0;
}

pluck_status plk_weights_check_index(const char *function, uint32_t index, uint32_t n,
                                     pluck_error *err)
{
    if (index < n)
        return PLUCK_OK;
    return plk_fail(err, PLUCK_ERR_INVALID, "%s: index %u is outside of the %u entries", function,
                    (unsigned)index, (unsigned)n);
}

/*
 * One tensor each. The container's reader checks it against the file; here follows whether it is
 * the right one, and whether its numbers are: an alias table of any cells is a distribution as long
 * as no alias is outside of it, and weights go through the functions that make trees, whose
 * complaints about a caller's array become complaints about the file.
 */

static const char alias_kind[] = "alias", sum_tree_kind[] = "sum_tree", huffman_kind[] = "huffman";

static pluck_status save(const char *path, const char *kind, plk_safetensors_tensor tensor,
                         const pluck_allocator *allocator, pluck_error *err)
{
    if (plk_is_swapped(true))
        return plk_fail(err, PLUCK_ERR_IO,
                        "%s: stored distributions are little-endian, this machine is not", path);
    const plk_safetensors_note notes[] = {{"format", "pluck-weighted"}, {"kind", kind}};
    return plk_safetensors_write(path, notes, sizeof notes / sizeof *notes, &tensor, 1, allocator,
                                 err);
}

static pluck_status save_weights(const char *path, const char *kind, const double *weights,
                                 uint32_t n, const pluck_allocator *allocator, pluck_error *err)
{
    return save(path, kind,
                (plk_safetensors_tensor){.name = "weights",
                                         .dtype = "F64",
                                         .n_axes = 1,
                                         .axes = {n},
                                         .data = weights,
                                         .size_bytes = n * sizeof *weights},
                allocator, err);
}

pluck_status pluck_alias_save(const pluck_alias *alias, const char *path, pluck_error *err)
{
    if (!alias || !path)
        return plk_fail(err, PLUCK_ERR_INVALID, "pluck_alias_save: a required pointer is NULL");
    return save(path, alias_kind,
                (plk_safetensors_tensor){.name = "cells",
                                         .dtype = "U32",
                                         .n_axes = 2,
                                         .axes = {alias->n, 2},
                                         .data = alias->cells,
                                         .size_bytes = alias->n * sizeof *alias->cells},
                &alias->allocator, err);
}

pluck_status pluck_sum_tree_save(const pluck_sum_tree *tree, const char *path, pluck_error *err)
{
    if (!tree || !path)
        return plk_fail(err, PLUCK_ERR_INVALID, "pluck_sum_tree_save: a required pointer is NULL");
    double total = pluck_sum_tree_total(tree), zero = 0;
    if (memcmp(&total, &zero, sizeof total) == 0) /* settings may take a subnormal one for 0 */
        return plk_fail(err, PLUCK_ERR_EMPTY, "pluck_sum_tree_save: all weights are 0");
    return save_weights(path, sum_tree_kind, tree->levels[0], tree->n, &tree->allocator, err);
}

pluck_status pluck_huffman_save(const pluck_huffman *huffman, const char *path, pluck_error *err)
{
    if (!huffman || !path)
        return plk_fail(err, PLUCK_ERR_INVALID, "pluck_huffman_save: a required pointer is NULL");
    return save_weights(path, huffman_kind, huffman->weights, huffman->n, &huffman->allocator, err);
}

/* Loading */

typedef struct tensor_data {
    const uint8_t *bytes;
    uint32_t n;
} tensor_data;

static bool note_is(const plk_safetensors_header *header, const char *key, const char *value)
{
    const char *note = plk_safetensors_read_note(header, key);
    return note && strcmp(note, value) == 0;
}

/* The only tensor, which must have this name and dtype and n_axes axes; if two, then 2 columns. */
static pluck_status find_tensor(const plk_safetensors_header *header, const plk_source *source,
                                const char *name, const char *dtype, size_t n_axes,
                                tensor_data *tensor, pluck_error *err)
{
    plk_shape shape = {0};
    const plk_safetensors_entry *entry = header->n_entries == 1 ? header->entries : NULL;
    if (entry)
        plk_safetensors_shape(entry, &shape);
    if (!entry || strcmp(entry->name, name) != 0 || strcmp(entry->dtype, dtype) != 0 ||
        shape.n_axes != n_axes || shape.axes[0] == 0 || shape.axes[0] > PLUCK_MAX_WEIGHTS ||
        (n_axes == 2 && shape.axes[1] != 2))
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: must have one tensor, '%s', of %s, with %s from 1 to 2^30 entries",
                        source->label, name, dtype,
                        n_axes == 2 ? "two columns and" : "one axis and");
    tensor->bytes = source->bytes + (source->size_bytes - header->data_size_bytes) + entry->begin;
    tensor->n = (uint32_t)shape.axes[0];
    return PLUCK_OK;
}

/* What is done with the tensor, once it is found. */
typedef pluck_status take_function(void *out, const tensor_data *tensor, const char *label,
                                   const pluck_allocator *allocator, pluck_error *err);

static pluck_status take_cells(void *out, const tensor_data *tensor, const char *label,
                               const pluck_allocator *allocator, pluck_error *err)
{
    pluck_alias *alias = NULL;
    pluck_status status = plk_alias_alloc(&alias, tensor->n, allocator, err);
    if (status != PLUCK_OK)
        return status;
    memcpy(alias->cells, tensor->bytes, alias->n * sizeof *alias->cells);
    for (uint32_t i = 0; i < alias->n; i++) {
        uint32_t other = alias->cells[i].alias;
        if (other >= alias->n) {
            uint32_t n = alias->n;
            pluck_alias_destroy(&alias);
            return plk_fail(err, PLUCK_ERR_FORMAT, "%s: cell %u names entry %u of %u", label,
                            (unsigned)i, (unsigned)other, (unsigned)n);
        }
    }
    *(pluck_alias **)out = alias;
    return PLUCK_OK;
}

static pluck_weights weights_of(const tensor_data *tensor)
{
    return (pluck_weights){tensor->bytes, PLUCK_WEIGHTS_F64, tensor->n};
}

static pluck_status take_sum_tree(void *out, const tensor_data *tensor, const char *label,
                                  const pluck_allocator *allocator, pluck_error *err)
{
    (void)label;
    return pluck_sum_tree_create(out, weights_of(tensor), allocator, err);
}

static pluck_status take_huffman(void *out, const tensor_data *tensor, const char *label,
                                 const pluck_allocator *allocator, pluck_error *err)
{
    (void)label;
    return pluck_huffman_create(out, weights_of(tensor), allocator, err);
}

static pluck_status read_source(void *out, const plk_source *source, const char *kind,
                                take_function *take, const pluck_allocator *allocator,
                                pluck_error *err)
{
    plk_safetensors_header header = {0};
    pluck_error why = {.status = PLUCK_OK};
    tensor_data tensor;
    bool cells = kind == alias_kind;
    if (source->streamed || plk_is_swapped(true))
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: a stored distribution is read from a file, on a little-endian machine",
                        source->label);
    pluck_status status = plk_safetensors_header_parse(&header, source->bytes, source->size_bytes,
                                                       source->label, &source->allocator, err);
    if (status != PLUCK_OK)
        return status;
    if (!note_is(&header, "format", "pluck-weighted") || !note_is(&header, "kind", kind))
        status = plk_fail(err, PLUCK_ERR_FORMAT,
                          "%s: expected metadata 'format' = 'pluck-weighted' and 'kind' = '%s'",
                          source->label, kind);
    if (status == PLUCK_OK)
        status = find_tensor(&header, source, cells ? "cells" : "weights", cells ? "U32" : "F64",
                             cells ? 2 : 1, &tensor, err);
    if (status == PLUCK_OK) {
        status = take(out, &tensor, source->label, allocator, &why);
        if (status == PLUCK_ERR_FORMAT || status == PLUCK_ERR_NOMEM)
            status = plk_fail(err, status, "%s", why.message);
        else if (status != PLUCK_OK)
            status = plk_fail(err, PLUCK_ERR_FORMAT, "%s: %s", source->label, why.message);
    }
    plk_safetensors_header_free(&header, &source->allocator);
    return status;
}

pluck_status plk_alias_read(pluck_alias **out, const plk_source *source,
                            const pluck_allocator *allocator, pluck_error *err)
{
    return read_source(out, source, alias_kind, take_cells, allocator, err);
}

pluck_status plk_sum_tree_read(pluck_sum_tree **out, const plk_source *source,
                               const pluck_allocator *allocator, pluck_error *err)
{
    return read_source(out, source, sum_tree_kind, take_sum_tree, allocator, err);
}

pluck_status plk_huffman_read(pluck_huffman **out, const plk_source *source,
                              const pluck_allocator *allocator, pluck_error *err)
{
    return read_source(out, source, huffman_kind, take_huffman, allocator, err);
}

static pluck_status load(void *out, const char *path, const char *kind, take_function *take,
                         const pluck_allocator *allocator, pluck_error *err)
{
    pluck_allocator memory = plk_allocator_or_default(allocator);
    plk_source source;
    pluck_status status = plk_source_open(&source, path, false, &memory, err);
    if (status != PLUCK_OK)
        return status;
    status = read_source(out, &source, kind, take, allocator, err);
    plk_source_close(&source);
    return status;
}

static pluck_status fail_null(const char *function, pluck_error *err)
{
    return plk_fail(err, PLUCK_ERR_INVALID, "%s: out and path must not be NULL", function);
}

pluck_status pluck_alias_load(pluck_alias **out, const char *path, const pluck_allocator *allocator,
                              pluck_error *err)
{
    if (out)
        *out = NULL;
    if (!out || !path)
        return fail_null("pluck_alias_load", err);
    return load(out, path, alias_kind, take_cells, allocator, err);
}

pluck_status pluck_sum_tree_load(pluck_sum_tree **out, const char *path,
                                 const pluck_allocator *allocator, pluck_error *err)
{
    if (out)
        *out = NULL;
    if (!out || !path)
        return fail_null("pluck_sum_tree_load", err);
    return load(out, path, sum_tree_kind, take_sum_tree, allocator, err);
}

pluck_status pluck_huffman_load(pluck_huffman **out, const char *path,
                                const pluck_allocator *allocator, pluck_error *err)
{
    if (out)
        *out = NULL;
    if (!out || !path)
        return fail_null("pluck_huffman_load", err);
    return load(out, path, huffman_kind, take_huffman, allocator, err);
}
