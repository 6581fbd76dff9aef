/*
 * Heads as .safetensors files, and back.
 */
#include "heads/heads.h"

#include "base/alloc.h"
#include "base/error.h"
#include "file/array_file.h"

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
    plk_arrays memory; /* of the tensors, and of copies without gaps */
    plk_safetensors_tensor *tensors;
    size_t n;
} tensor_list;

static void add(tensor_list *list, const char *name, const char *dtype, const void *data,
                uint64_t n_rows, uint64_t n_cols)
{
    list->tensors[list->n++] = plk_safetensors_tensor_of(name, dtype, data, n_rows, n_cols);
}

/* The rows without gaps: where they are, or in a copy. */
static void add_rows(tensor_list *list, const char *name, const plk_rows *rows)
{
    static const char *const names[] = {"F32", "F16", "BF16"};
    size_t row_bytes = rows->n_cols * pluck_dtype_size_bytes(rows->dtype);
    const void *data = rows->data;
    if (rows->row_size_bytes != row_bytes) {
        char *packed = plk_arrays_add(&list->memory, rows->n_rows, row_bytes);
        for (size_t i = 0; packed && i < rows->n_rows; i++)
            memcpy(packed + i * row_bytes, rows->data + i * rows->row_size_bytes, row_bytes);
        data = packed;
    }
    add(list, name, names[rows->dtype], data, rows->n_rows, rows->n_cols);
}

static void add_parts(tensor_list *list, const pluck_head *head)
{
    char name[PLK_SAFETENSORS_NAME_BYTES];
    bool adaptive = head->kind == PLUCK_HEAD_ADAPTIVE;
    for (uint32_t i = 0; i < head->n_parts; i++) {
        if (adaptive) {
            (void)snprintf(name, sizeof name, "tail.%u.0.weight", (unsigned)i);
            add_rows(list, name, &head->parts[i].projection);
        }
        (void)snprintf(name, sizeof name, adaptive ? "tail.%u.1.weight" : "band.%u.weight",
                       (unsigned)i);
        add_rows(list, name, &head->parts[i].rows);
    }
}

/* firsts: n_parts numbers, for a differentiated head. */
static void list_tensors(tensor_list *list, const pluck_head *head, int32_t *firsts)
{
    static const char *const names[] = {"weight", "nodes", "head.weight", NULL};
    const char *name = names[head->kind];
    if (head->bias)
        add(list, head->kind == PLUCK_HEAD_ADAPTIVE ? "head.bias" : "bias", "F32", head->bias,
            name ? head->rows.n_rows : head->n_vocab, 0);
    if (head->tree)
        add(list, "children", "I32", head->tree->children, head->n_vocab - 1, 2);
    if (head->kind == PLUCK_HEAD_DIFFERENTIATED) {
        for (uint32_t i = 0; i < head->n_parts; i++)
            firsts[i] = (int32_t)head->parts[i].first_dim;
        add(list, "first", "I32", firsts, head->n_parts, 0);
    }
    if (name)
        add_rows(list, name, &head->rows);
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
        {"kind", pluck_head_kind_name(head->kind)},
        {"dim", dim},
        {"sign", head->sign == PLUCK_TREE_RIGHT ? "right" : "left"}};
    tensor_list list = {.memory = {.allocator = head->memory.allocator}};
    list.tensors = plk_arrays_add_zero(
        &list.memory, FIXED_TENSORS + (size_t)head->n_parts * TENSORS_A_PART, sizeof *list.tensors);
    int32_t *firsts = plk_arrays_add(&list.memory, head->n_parts, sizeof *firsts);
    if (firsts)
        list_tensors(&list, head, firsts);
    pluck_status status = plk_arrays_check(&list.memory, err);
    if (status == PLUCK_OK) {
        qsort(list.tensors, list.n, sizeof *list.tensors, by_alignment);
        status = plk_safetensors_write(path, notes, N_NOTES + (head->tree != NULL), list.tensors,
                                       list.n, &head->memory.allocator, err);
    }
    plk_arrays_free(&list.memory);
    return status;
}

/*
 * A head from tensors. The container's reader has checked every tensor against the file; what is
 * left is whether there are the right ones, and whether they fit each other, which the functions
 * that create heads check. Their complaints, about a caller's arrays, become complaints about the
 * file.
 *
 * A failure sticks: after the first one nothing is read and no head is created.
 *
 * The mapping goes to the head, unless its matrices are copied.
 */

enum { NAME_BYTES = 192, MAX_PARTS = 1024 };

typedef struct head_file {
    plk_source source;
    plk_safetensors_header header;
    char prefix[128];
    plk_arrays memory; /* of what the head copies */
    pluck_status status;
    pluck_error why;
    pluck_head **out;
    const pluck_head_options *options;
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

static void fail_tensor(head_file *file, const char *name, const char *expected)
{
    if (file->status == PLUCK_OK)
        file->status = plk_fail(&file->why, PLUCK_ERR_FORMAT, "%s: expected tensor '%s%s' with %s",
                                file->source.label, file->prefix, name, expected);
}

/* The shape of an entry, and where its values are; no axes, and NULL, for NULL. *type becomes F64
 * unless they are F32, F16 or BF16. */
static const uint8_t *look_at(const head_file *file, const plk_safetensors_entry *entry,
                              plk_shape *shape, plk_stored_type *type)
{
    *shape = (plk_shape){0};
    *type = PLK_STORED_F64;
    if (!entry)
        return NULL;
    (void)plk_safetensors_type(entry, type);
    plk_safetensors_shape(entry, shape);
    return plk_safetensors_data(&file->header, &file->source, entry);
}

/* A matrix of F32, F16 or BF16 where it is mapped. */
static pluck_matrix get_matrix(head_file *file, const char *name)
{
    plk_stored_type type;
    plk_shape shape;
    const uint8_t *data = look_at(file, find(file, name), &shape, &type);
    if (type == PLK_STORED_F64 || shape.n_axes != 2 || shape.axes[0] > UINT32_MAX ||
        shape.axes[1] > UINT32_MAX) {
        fail_tensor(file, name, "rows of F32, F16 or BF16");
        return (pluck_matrix){.data = NULL};
    }
    return (pluck_matrix){.data = data,
                          .dtype = (pluck_dtype)type,
                          .n_rows = (uint32_t)shape.axes[0],
                          .n_cols = (uint32_t)shape.axes[1]};
}

/* n floats in memory of their own; NULL if the tensor is missing. */
static float *get_bias(head_file *file, const char *name, size_t n)
{
    const plk_kernels *kernels = plk_kernels_get(PLUCK_ISA_BEST);
    plk_stored_type type;
    plk_shape shape;
    const uint8_t *data = look_at(file, find(file, name), &shape, &type);
    if (!data || file->status != PLUCK_OK)
        return NULL;
    if (type == PLK_STORED_F64 || shape.n_axes != 1 || shape.axes[0] != n) {
        fail_tensor(file, name, "one value of F32, F16 or BF16 per row, or no such tensor");
        return NULL;
    }
    float *bias = plk_arrays_add(&file->memory, n, sizeof *bias);
    if (bias && type == PLK_STORED_F32 && n > 0)
        memcpy(bias, data, n * sizeof *bias);
    else if (bias && type == PLK_STORED_F16)
        kernels->widen_f16(data, n, bias);
    else if (bias && type == PLK_STORED_BF16)
        kernels->widen_bf16(data, n, bias);
    return bias;
}

/* *n_rows rows of n_cols (0: one axis) numbers of I32, in memory of their own. */
static int32_t *get_integers(head_file *file, const char *name, uint64_t n_cols, uint64_t *n_rows)
{
    const plk_safetensors_entry *entry = find(file, name);
    plk_stored_type type;
    plk_shape shape;
    const uint8_t *data = look_at(file, entry, &shape, &type);
    *n_rows = 0;
    if (!entry || strcmp(entry->dtype, "I32") != 0 || shape.n_axes != (n_cols != 0 ? 2 : 1) ||
        (n_cols != 0 && shape.axes[1] != n_cols)) {
        fail_tensor(file, name, n_cols != 0 ? "pairs of I32" : "a list of I32");
        return NULL;
    }
    size_t n = (size_t)(shape.axes[0] * (n_cols != 0 ? n_cols : 1));
    int32_t *values = plk_arrays_add(&file->memory, n, sizeof *values);
    if (values && n > 0)
        memcpy(values, data, n * sizeof *values);
    *n_rows = shape.axes[0];
    return values;
}

/* Whether all was read, in which case the head can be created. */
static bool is_read(head_file *file)
{
    if (file->status == PLUCK_OK)
        file->status = plk_arrays_check(&file->memory, &file->why);
    return file->status == PLUCK_OK;
}

static void load_dense(head_file *file)
{
    pluck_matrix weights = get_matrix(file, "weight");
    const float *bias = get_bias(file, "bias", weights.n_rows);
    if (is_read(file))
        file->status =
            pluck_head_create_dense(file->out, &weights, bias, file->options, &file->why);
}

static void load_hierarchical(head_file *file)
{
    uint64_t n_inner = 0;
    pluck_tree *tree = NULL;
    bool left = plk_safetensors_note_is(&file->header, "sign", "left");
    pluck_matrix nodes = get_matrix(file, "nodes");
    if (file->status == PLUCK_OK && !left &&
        !plk_safetensors_note_is(&file->header, "sign", "right"))
        file->status = plk_fail(&file->why, PLUCK_ERR_FORMAT,
                                "%s: metadata 'sign' must be left or right", file->source.label);
    const int32_t *children = get_integers(file, "children", 2, &n_inner);
    if (n_inner != nodes.n_rows)
        fail_tensor(file, "children", "a pair for each row of 'nodes'");
    const float *bias = get_bias(file, "bias", (size_t)n_inner);
    if (n_inner >= PLUCK_MAX_VOCAB)
        fail_tensor(file, "children", "fewer than 2^24 pairs");
    if (is_read(file))
        file->status = pluck_tree_create_from_children(&tree, children, (uint32_t)n_inner + 1,
                                                       &file->memory.allocator, &file->why);
    if (file->status == PLUCK_OK)
        file->status = pluck_head_create_hierarchical(file->out, tree, &nodes, bias,
                                                      left ? PLUCK_TREE_LEFT : PLUCK_TREE_RIGHT,
                                                      file->options, &file->why);
    pluck_tree_destroy(&tree);
}

static void load_adaptive(head_file *file)
{
    char name[64];
    uint32_t n_tails = 0;
    pluck_head_tail *tails = plk_arrays_add(&file->memory, MAX_PARTS, sizeof *tails);
    pluck_matrix root = get_matrix(file, "head.weight");
    const float *bias = get_bias(file, "head.bias", root.n_rows);
    for (; tails && n_tails < MAX_PARTS; n_tails++) {
        (void)snprintf(name, sizeof name, "tail.%u.0.weight", (unsigned)n_tails);
        if (!find(file, name))
            break;
        tails[n_tails].projection = get_matrix(file, name);
        (void)snprintf(name, sizeof name, "tail.%u.1.weight", (unsigned)n_tails);
        tails[n_tails].output = get_matrix(file, name);
    }
    if (is_read(file))
        file->status = pluck_head_create_adaptive(file->out, &root, bias, tails, n_tails,
                                                  file->options, &file->why);
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

static void load_differentiated(head_file *file)
{
    char name[64];
    uint64_t n_bands = 0;
    size_t n_vocab = 0;
    const int32_t *firsts = get_integers(file, "first", 0, &n_bands);
    if (n_bands > MAX_PARTS)
        fail_tensor(file, "first", "at most 1024 numbers");
    if (!is_read(file))
        return;
    pluck_head_band *bands = plk_arrays_add(&file->memory, (size_t)n_bands, sizeof *bands);
    for (size_t i = 0; bands && i < n_bands; i++) {
        (void)snprintf(name, sizeof name, "band.%u.weight", (unsigned)i);
        bands[i] =
            (pluck_head_band){.weights = get_matrix(file, name), .first = (uint32_t)firsts[i]};
        if (firsts[i] < 0)
            fail_tensor(file, "first", "numbers from 0 on");
        n_vocab += bands[i].weights.n_rows;
    }
    const float *bias = get_bias(file, "bias", n_vocab);
    if (is_read(file))
        file->status = pluck_head_create_differentiated(
            file->out, number_of(plk_safetensors_read_note(&file->header, "dim")), bands,
            (uint32_t)n_bands, bias, file->options, &file->why);
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

static void load_kind(head_file *file)
{
    static void (*const loads[])(head_file *) = {load_dense, load_hierarchical, load_adaptive,
                                                 load_differentiated};
    bool own = plk_safetensors_note_is(&file->header, "format", "pluck-head");
    for (size_t kind = 0; own && kind < sizeof loads / sizeof *loads; kind++)
        if (plk_safetensors_note_is(&file->header, "kind",
                                    pluck_head_kind_name((pluck_head_kind)kind))) {
            loads[kind](file);
            return;
        }
    if (own)
        file->status =
            plk_fail(&file->why, PLUCK_ERR_FORMAT,
                     "%s: metadata 'kind' must be dense, hierarchical, adaptive or differentiated",
                     file->source.label);
    else if (find_prefix(file))
        load_adaptive(file);
    else
        file->status =
            plk_fail(&file->why, PLUCK_ERR_FORMAT,
                     "%s: not a head; expected metadata 'format' = 'pluck-head', or the tensors "
                     "head.weight and tail.0.0.weight of an adaptive softmax",
                     file->source.label);
}

static pluck_status load_file(head_file *file, pluck_error *err)
{
    const pluck_allocator *allocator = &file->memory.allocator;
    const char *label = file->source.label;
    if (file->source.streamed)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: a head cannot be read from a stream; store it as a file", label);
    if (plk_is_swapped(true))
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: heads are stored little-endian, but this machine is not", label);
    pluck_status status = plk_safetensors_header_parse(
        &file->header, file->source.bytes, file->source.size_bytes, label, allocator, err);
    if (status != PLUCK_OK)
        return status;
    load_kind(file);
    plk_arrays_free(&file->memory);
    plk_safetensors_header_free(&file->header, allocator);
    if (file->status == PLUCK_ERR_INVALID || file->status == PLUCK_ERR_NAN)
        return plk_fail(err, PLUCK_ERR_FORMAT, "%s: %s", label, file->why.message);
    return file->status != PLUCK_OK ? plk_fail(err, file->status, "%s", file->why.message)
                                    : PLUCK_OK;
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
    head_file file = {
        .memory = {.allocator = plk_allocator_or_default(o.allocator)}, .out = out, .options = &o};
    if (!plk_kernels_get(o.isa))
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_head_open: options.isa is an instruction set that this machine does "
                        "not support");
    status = plk_source_open(&file.source, path, o.no_map, &file.memory.allocator, err);
    if (status != PLUCK_OK)
        return status;
    /* The source goes to the head, or is closed. */
    status = load_file(&file, err);
    if (status == PLUCK_OK && !o.copy) {
        (*out)->source = file.source;
        (*out)->has_source = true;
    } else {
        plk_source_close(&file.source);
    }
    return status;
}
