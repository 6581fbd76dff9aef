/*
 * Heads as .safetensors files, and back.
 */
#include "heads/heads.h"

#include "base/alloc.h"
#include "base/error.h"
#include "file/array_file.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * A head as tensors. Those with four bytes per value come first, so that all of them are aligned in
 * the file, whatever the sizes of the others are.
 */
enum { N_NOTES = 3, FIXED_TENSORS = 3, TENSORS_A_PART = 2 };

typedef struct tensor_list {
    const pluck_allocator *allocator;
    plk_safetensors_tensor *tensors;
    size_t n;
    void **packed; /* one per tensor: a copy without gaps, or NULL */
    bool fits;
} tensor_list;

static plk_safetensors_tensor *add(tensor_list *list, const char *dtype, const void *data,
                                   size_t size_bytes)
{
    plk_safetensors_tensor *tensor = &list->tensors[list->n++];
    tensor->dtype = dtype;
    tensor->data = data;
    tensor->size_bytes = size_bytes;
    return tensor;
}

/* The rows without gaps: where they are, or in a copy. */
static const void *pack(tensor_list *list, const plk_rows *rows, size_t row_bytes)
{
    if (rows->row_size_bytes == row_bytes)
        return rows->data;
    char *packed = plk_alloc(list->allocator, rows->n_rows, row_bytes);
    list->packed[list->n] = packed;
    list->fits = list->fits && packed;
    for (size_t i = 0; packed && i < rows->n_rows; i++)
        memcpy(packed + i * row_bytes, rows->data + i * rows->row_size_bytes, row_bytes);
    return packed;
}

static plk_safetensors_tensor *add_rows(tensor_list *list, const plk_rows *rows)
{
    static const char *const names[] = {"F32", "F16", "BF16"};
    size_t row_bytes = rows->n_cols * pluck_dtype_size_bytes(rows->dtype);
    plk_safetensors_tensor *tensor =
        add(list, names[rows->dtype], pack(list, rows, row_bytes), rows->n_rows * row_bytes);
    tensor->n_axes = 2;
    tensor->axes[0] = rows->n_rows;
    tensor->axes[1] = rows->n_cols;
    return tensor;
}

static void set_name(plk_safetensors_tensor *tensor, const char *name)
{
    (void)snprintf(tensor->name, sizeof tensor->name, "%s", name);
}

/* Up to two axes of 32-bit values. */
static void add_words(tensor_list *list, const char *name, const char *dtype, const void *data,
                      size_t n, size_t n_cols)
{
    plk_safetensors_tensor *tensor = add(list, dtype, data, n * (n_cols != 0 ? n_cols : 1) * 4);
    set_name(tensor, name);
    tensor->n_axes = n_cols != 0 ? 2 : 1;
    tensor->axes[0] = n;
    tensor->axes[1] = n_cols;
}

static void add_parts(tensor_list *list, const pluck_head *head)
{
    bool adaptive = head->ops->kind == PLUCK_HEAD_ADAPTIVE;
    for (uint32_t i = 0; i < head->n_parts; i++) {
        const plk_head_part *part = &head->parts[i];
        if (adaptive) {
            plk_safetensors_tensor *projection = add_rows(list, &part->projection);
            (void)snprintf(projection->name, sizeof projection->name, "tail.%u.0.weight",
                           (unsigned)i);
        }
        plk_safetensors_tensor *rows = add_rows(list, &part->rows);
        (void)snprintf(rows->name, sizeof rows->name,
                       adaptive ? "tail.%" PRIu32 ".1.weight" : "band.%" PRIu32 ".weight", i);
    }
}

/* firsts: n_parts numbers, for a differentiated head. */
static void list_tensors(tensor_list *list, const pluck_head *head, int32_t *firsts)
{
    static const char *const names[] = {"weight", "nodes", "head.weight", NULL};
    pluck_head_kind kind = head->ops->kind;
    size_t n_bias = names[kind] ? head->rows.n_rows : head->n_vocab;
    if (head->bias)
        add_words(list, kind == PLUCK_HEAD_ADAPTIVE ? "head.bias" : "bias", "F32", head->bias,
                  n_bias, 0);
    if (head->tree)
        add_words(list, "children", "I32", head->tree->children, head->n_vocab - 1, 2);
    if (kind == PLUCK_HEAD_DIFFERENTIATED) {
        for (uint32_t i = 0; i < head->n_parts; i++)
            firsts[i] = (int32_t)head->parts[i].first_dim;
        add_words(list, "first", "I32", firsts, head->n_parts, 0);
    }
    if (names[kind])
        set_name(add_rows(list, &head->rows), names[kind]);
    add_parts(list, head);
}

static int by_alignment(const void *a, const void *b)
{
    const plk_safetensors_tensor *x = a, *y = b;
    bool x_wide = x->dtype[1] == '3', y_wide = y->dtype[1] == '3';
    return (int)y_wide - (int)x_wide;
}

pluck_status pluck_head_save(const pluck_head *head, const char *path, pluck_error *err)
{
    if (!head || !path)
        return plk_fail(err, PLUCK_ERR_INVALID, "pluck_head_save: head and path must not be NULL");
    if (plk_is_swapped(true))
        return plk_fail(err, PLUCK_ERR_IO,
                        "%s: heads are stored little-endian, but this machine is not", path);
    char dim[16];
    (void)snprintf(dim, sizeof dim, "%u", (unsigned)head->dim);
    const plk_safetensors_note notes[N_NOTES + 1] = {
        {"format", "pluck-head"},
        {"kind", pluck_head_kind_name(head->ops->kind)},
        {"dim", dim},
        {"sign", head->sign == PLUCK_TREE_RIGHT ? "right" : "left"}};
    size_t n_parts = head->n_parts;
    size_t capacity = FIXED_TENSORS + n_parts * TENSORS_A_PART;
    tensor_list list = {
        .allocator = &head->allocator,
        .tensors = plk_alloc_zero(&head->allocator, capacity, sizeof *list.tensors),
        .packed = plk_alloc_zero(&head->allocator, capacity, sizeof *list.packed),
        .fits = true,
    };
    int32_t *firsts = plk_alloc(&head->allocator, n_parts, sizeof *firsts);
    pluck_status status = PLUCK_OK;
    if (list.tensors && list.packed && firsts)
        list_tensors(&list, head, firsts);
    if (!list.tensors || !list.packed || !firsts || !list.fits) {
        status = plk_fail_nomem(err, capacity * sizeof *list.tensors);
    } else {
        qsort(list.tensors, list.n, sizeof *list.tensors, by_alignment);
        status = plk_safetensors_write(path, notes, N_NOTES + (head->tree != NULL), list.tensors,
                                       list.n, &head->allocator, err);
    }
    for (size_t i = 0; list.packed && i < capacity; i++)
        plk_free(&head->allocator, list.packed[i]);
    plk_free(&head->allocator, list.packed);
    plk_free(&head->allocator, list.tensors);
    plk_free(&head->allocator, firsts);
    return status;
}

/*
 * A head from tensors. The container's reader has checked every tensor against the file; what is
 * left is whether there are the right ones, and whether they fit each other, which the functions
 * that create heads check. Their complaints, about a caller's arrays, become complaints about the
 * file.
 *
 * The mapping goes to the head, unless its matrices are copied.
 */

enum { NAME_BYTES = 192, MAX_PARTS = 1024 };

typedef struct head_file {
    pluck_allocator allocator;
    plk_source source;
    plk_safetensors_header header;
    char prefix[128];
} head_file;

static const plk_safetensors_entry *find(const head_file *file, const char *name)
{
    char whole[NAME_BYTES];
    (void)snprintf(whole, sizeof whole, "%s%s", file->prefix, name);
    for (size_t i = 0; i < file->header.n_entries; i++)
        if (strcmp(file->header.entries[i].name, whole) == 0)
            return &file->header.entries[i];
    return NULL;
}

static pluck_status fail_tensor(const head_file *file, const char *name, const char *expected,
                                pluck_error *err)
{
    return plk_fail(err, PLUCK_ERR_FORMAT, "%s: expected tensor '%s%s' with %s", file->source.label,
                    file->prefix, name, expected);
}

/* A matrix of F32, F16 or BF16 where it is mapped. */
static pluck_status get_matrix(const head_file *file, const char *name, pluck_matrix *matrix,
                               pluck_error *err)
{
    const plk_safetensors_entry *entry = find(file, name);
    plk_stored_type type = PLK_STORED_F64;
    plk_shape shape = {0};
    if (entry && plk_safetensors_type(entry, &type))
        plk_safetensors_shape(entry, &shape);
    if (!entry || type == PLK_STORED_F64 || shape.n_axes != 2 || shape.axes[0] > UINT32_MAX ||
        shape.axes[1] > UINT32_MAX)
        return fail_tensor(file, name, "rows of F32, F16 or BF16", err);
    *matrix = (pluck_matrix){.data = plk_safetensors_data(&file->header, &file->source, entry),
                             .dtype = (pluck_dtype)type,
                             .n_rows = (uint32_t)shape.axes[0],
                             .n_cols = (uint32_t)shape.axes[1]};
    return PLUCK_OK;
}

/* n floats in memory of their own; *bias stays NULL if the tensor is missing. */
static pluck_status get_bias(const head_file *file, const char *name, size_t n, float **bias,
                             pluck_error *err)
{
    const plk_safetensors_entry *entry = find(file, name);
    const plk_kernels *kernels = plk_kernels_get(PLUCK_ISA_BEST);
    plk_stored_type type = PLK_STORED_F64;
    plk_shape shape = {0};
    if (!entry)
        return PLUCK_OK;
    if (plk_safetensors_type(entry, &type))
        plk_safetensors_shape(entry, &shape);
    if (type == PLK_STORED_F64 || shape.n_axes != 1 || shape.axes[0] != n)
        return fail_tensor(file, name, "one value of F32, F16 or BF16 per row, or no such tensor",
                           err);
    *bias = plk_alloc(&file->allocator, n, sizeof **bias);
    if (!*bias)
        return plk_fail_nomem(err, n * sizeof **bias);
    if (type == PLK_STORED_F32 && n > 0)
        memcpy(*bias, plk_safetensors_data(&file->header, &file->source, entry), n * sizeof **bias);
    else if (type == PLK_STORED_F16)
        kernels->widen_f16(plk_safetensors_data(&file->header, &file->source, entry), n, *bias);
    else if (type == PLK_STORED_BF16)
        kernels->widen_bf16(plk_safetensors_data(&file->header, &file->source, entry), n, *bias);
    return PLUCK_OK;
}

/* *n_rows rows of n_cols (0: one axis) numbers of I32, in memory of their own. */
static pluck_status get_integers(const head_file *file, const char *name, uint64_t n_cols,
                                 uint64_t *n_rows, int32_t **values, pluck_error *err)
{
    const plk_safetensors_entry *entry = find(file, name);
    plk_shape shape = {0};
    if (entry)
        plk_safetensors_shape(entry, &shape);
    if (!entry || strcmp(entry->dtype, "I32") != 0 || shape.n_axes != (n_cols != 0 ? 2 : 1) ||
        (n_cols != 0 && shape.axes[1] != n_cols))
        return fail_tensor(file, name, n_cols != 0 ? "pairs of I32" : "a list of I32", err);
    size_t n = (size_t)(shape.axes[0] * (n_cols != 0 ? n_cols : 1));
    *values = plk_alloc(&file->allocator, n, sizeof **values);
    if (!*values)
        return plk_fail_nomem(err, n * sizeof **values);
    if (n > 0)
        memcpy(*values, plk_safetensors_data(&file->header, &file->source, entry),
               n * sizeof **values);
    *n_rows = shape.axes[0];
    return PLUCK_OK;
}

static pluck_status load_dense(head_file *file, pluck_head **out, const pluck_head_options *options,
                               pluck_error *err)
{
    pluck_matrix weights;
    float *bias = NULL;
    pluck_status status = get_matrix(file, "weight", &weights, err);
    if (status == PLUCK_OK)
        status = get_bias(file, "bias", weights.n_rows, &bias, err);
    if (status == PLUCK_OK)
        status = pluck_head_create_dense(out, &weights, bias, options, err);
    plk_free(&file->allocator, bias);
    return status;
}

static pluck_status load_hierarchical(head_file *file, pluck_head **out,
                                      const pluck_head_options *options, pluck_error *err)
{
    pluck_matrix nodes;
    int32_t *children = NULL;
    uint64_t n_inner = 0;
    float *bias = NULL;
    pluck_tree *tree = NULL;
    bool left = plk_safetensors_note_is(&file->header, "sign", "left");
    pluck_status status = get_matrix(file, "nodes", &nodes, err);
    if (status == PLUCK_OK && !left && !plk_safetensors_note_is(&file->header, "sign", "right"))
        status = plk_fail(err, PLUCK_ERR_FORMAT, "%s: metadata 'sign' must be left or right",
                          file->source.label);
    if (status == PLUCK_OK)
        status = get_integers(file, "children", 2, &n_inner, &children, err);
    if (status == PLUCK_OK && n_inner != nodes.n_rows)
        status = fail_tensor(file, "children", "a pair for each row of 'nodes'", err);
    if (status == PLUCK_OK)
        status = get_bias(file, "bias", (size_t)n_inner, &bias, err);
    if (status == PLUCK_OK && n_inner >= PLUCK_MAX_VOCAB)
        status = fail_tensor(file, "children", "fewer than 2^24 pairs", err);
    if (status == PLUCK_OK)
        status = pluck_tree_create_from_children(&tree, children, (uint32_t)n_inner + 1,
                                                 &file->allocator, err);
    if (status == PLUCK_OK)
        status = pluck_head_create_hierarchical(
            out, tree, &nodes, bias, left ? PLUCK_TREE_LEFT : PLUCK_TREE_RIGHT, options, err);
    pluck_tree_destroy(&tree);
    plk_free(&file->allocator, children);
    plk_free(&file->allocator, bias);
    return status;
}

static pluck_status load_tails(const head_file *file, pluck_head_tail *tails, uint32_t *n_tails,
                               pluck_error *err)
{
    char name[64];
    for (*n_tails = 0; *n_tails < MAX_PARTS; (*n_tails)++) {
        (void)snprintf(name, sizeof name, "tail.%u.0.weight", (unsigned)*n_tails);
        if (!find(file, name))
            break;
        pluck_status status = get_matrix(file, name, &tails[*n_tails].projection, err);
        (void)snprintf(name, sizeof name, "tail.%u.1.weight", (unsigned)*n_tails);
        if (status == PLUCK_OK)
            status = get_matrix(file, name, &tails[*n_tails].output, err);
        if (status != PLUCK_OK)
            return status;
    }
    return PLUCK_OK;
}

static pluck_status load_adaptive(head_file *file, pluck_head **out,
                                  const pluck_head_options *options, pluck_error *err)
{
    pluck_matrix root;
    float *bias = NULL;
    uint32_t n_tails = 0;
    pluck_head_tail *tails = plk_alloc(&file->allocator, MAX_PARTS, sizeof *tails);
    if (!tails)
        return plk_fail_nomem(err, MAX_PARTS * sizeof *tails);
    pluck_status status = get_matrix(file, "head.weight", &root, err);
    if (status == PLUCK_OK)
        status = get_bias(file, "head.bias", root.n_rows, &bias, err);
    if (status == PLUCK_OK)
        status = load_tails(file, tails, &n_tails, err);
    if (status == PLUCK_OK)
        status = pluck_head_create_adaptive(out, &root, bias, tails, n_tails, options, err);
    plk_free(&file->allocator, tails);
    plk_free(&file->allocator, bias);
    return status;
}

/* "16" as 16; 0 for a text that is not a number from 1 to 2^31 - 1. */
static uint32_t number_of(const char *text)
{
    uint64_t value = 0;
    for (; text && *text != '\0'; text++) {
        if (*text < '0' || *text > '9' || value > INT32_MAX)
            return 0;
        value = value * 10 + (uint64_t)(*text - '0');
    }
    return value <= INT32_MAX ? (uint32_t)value : 0;
}

static pluck_status load_bands(const head_file *file, const int32_t *firsts, uint32_t n_bands,
                               pluck_head_band *bands, size_t *n_vocab, pluck_error *err)
{
    char name[64];
    for (uint32_t i = 0; i < n_bands; i++) {
        (void)snprintf(name, sizeof name, "band.%u.weight", (unsigned)i);
        pluck_status status = get_matrix(file, name, &bands[i].weights, err);
        if (status != PLUCK_OK)
            return status;
        if (firsts[i] < 0)
            return fail_tensor(file, "first", "numbers from 0 on", err);
        bands[i].first = (uint32_t)firsts[i];
        *n_vocab += bands[i].weights.n_rows;
    }
    return PLUCK_OK;
}

static pluck_status load_differentiated(head_file *file, pluck_head **out,
                                        const pluck_head_options *options, pluck_error *err)
{
    int32_t *firsts = NULL;
    uint64_t n_bands = 0;
    size_t n_vocab = 0;
    float *bias = NULL;
    pluck_head_band *bands = NULL;
    pluck_status status = get_integers(file, "first", 0, &n_bands, &firsts, err);
    if (status == PLUCK_OK && n_bands > MAX_PARTS)
        status = fail_tensor(file, "first", "at most 1024 numbers", err);
    if (status == PLUCK_OK) {
        bands = plk_alloc(&file->allocator, (size_t)n_bands, sizeof *bands);
        status = bands ? load_bands(file, firsts, (uint32_t)n_bands, bands, &n_vocab, err)
                       : plk_fail_nomem(err, (size_t)n_bands * sizeof *bands);
    }
    if (status == PLUCK_OK)
        status = get_bias(file, "bias", n_vocab, &bias, err);
    if (status == PLUCK_OK)
        status = pluck_head_create_differentiated(
            out, number_of(plk_safetensors_read_note(&file->header, "dim")), bands,
            (uint32_t)n_bands, bias, options, err);
    plk_free(&file->allocator, firsts);
    plk_free(&file->allocator, bands);
    plk_free(&file->allocator, bias);
    return status;
}

/* What is before the only name that ends in "head.weight", if that is a whole name or part of a
 * dotted one. */
static bool find_prefix(head_file *file)
{
    static const char name[] = "head.weight";
    size_t n_found = 0;
    for (size_t i = 0; i < file->header.n_entries; i++) {
        const char *whole = file->header.entries[i].name;
        size_t length = strlen(whole), suffix = sizeof name - 1;
        if (length < suffix || strcmp(whole + length - suffix, name) != 0 ||
            (length > suffix && whole[length - suffix - 1] != '.') ||
            length - suffix >= sizeof file->prefix)
            continue;
        memcpy(file->prefix, whole, length - suffix);
        file->prefix[length - suffix] = '\0';
        n_found++;
    }
    return n_found == 1 && find(file, "tail.0.0.weight");
}

static pluck_status load_kind(head_file *file, pluck_head **out, const pluck_head_options *options,
                              pluck_error *err)
{
    static pluck_status (*const loads[])(head_file *, pluck_head **, const pluck_head_options *,
                                         pluck_error *) = {load_dense, load_hierarchical,
                                                           load_adaptive, load_differentiated};
    if (!plk_safetensors_note_is(&file->header, "format", "pluck-head")) {
        if (find_prefix(file))
            return load_adaptive(file, out, options, err);
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: not a head; expected metadata 'format' = 'pluck-head', or the tensors "
                        "head.weight and tail.0.0.weight of an adaptive softmax",
                        file->source.label);
    }
    for (size_t kind = 0; kind < sizeof loads / sizeof *loads; kind++)
        if (plk_safetensors_note_is(&file->header, "kind",
                                    pluck_head_kind_name((pluck_head_kind)kind)))
            return loads[kind](file, out, options, err);
    return plk_fail(err, PLUCK_ERR_FORMAT,
                    "%s: metadata 'kind' must be dense, hierarchical, adaptive or differentiated",
                    file->source.label);
}

/* The source goes to the head, or is closed. */
static pluck_status load_file(head_file *file, pluck_head **out, const pluck_head_options *options,
                              pluck_error *err)
{
    pluck_error why = {.status = PLUCK_OK};
    if (file->source.streamed || plk_is_swapped(true))
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: a head can be read only from a file, and on a little-endian machine",
                        file->source.label);
    pluck_status status =
        plk_safetensors_header_parse(&file->header, file->source.bytes, file->source.size_bytes,
                                     file->source.label, &file->allocator, err);
    if (status != PLUCK_OK)
        return status;
    status = load_kind(file, out, options, &why);
    plk_safetensors_header_free(&file->header, &file->allocator);
    if (status == PLUCK_ERR_INVALID || status == PLUCK_ERR_NAN)
        return plk_fail(err, PLUCK_ERR_FORMAT, "%s: %s", file->source.label, why.message);
    return status != PLUCK_OK ? plk_fail(err, status, "%s", why.message) : PLUCK_OK;
}

pluck_status pluck_head_open(pluck_head **out, const char *path, const pluck_head_options *options,
                             pluck_error *err)
{
    if (!out || !path)
        return plk_fail(err, PLUCK_ERR_INVALID, "pluck_head_open: out and path must not be NULL");
    *out = NULL;
    pluck_head_options o;
    pluck_status status = PLK_READ_STRUCT(&o, options, "options", pluck_head_options, err);
    if (status != PLUCK_OK)
        return status;
    head_file file = {.allocator = plk_allocator_or_default(o.allocator)};
    if (!plk_kernels_get(o.isa))
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_head_open: options.isa is an instruction set that this machine does "
                        "not support");
    status = plk_source_open(&file.source, path, o.no_map, &file.allocator, err);
    if (status != PLUCK_OK)
        return status;
    status = load_file(&file, out, &o, err);
    if (status == PLUCK_OK && !o.copy) {
        (*out)->source = file.source;
        (*out)->has_source = true;
    } else {
        plk_source_close(&file.source);
    }
    return status;
}
