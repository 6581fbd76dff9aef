/*
 * A head as tensors. Those of four bytes a value come first, so that all of them are aligned in the
 * file whatever the sizes of the others.
 */
#include "heads/heads.h"

#include "base/alloc.h"
#include "base/error.h"
#include "file/convert.h"
#include "file/safetensors_write.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { N_NOTES = 3, FIXED_TENSORS = 3, TENSORS_A_PART = 2 };

typedef struct tensor_list {
    plk_safetensors_tensor *tensors;
    size_t n;
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

static plk_safetensors_tensor *add_rows(tensor_list *list, const plk_rows *rows)
{
    static const char *const names[] = {"F32", "F16", "BF16"};
    plk_safetensors_tensor *tensor =
        add(list, names[rows->dtype], rows->data, rows->n_rows * rows->row_size_bytes);
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
                        "%s: heads are stored little-endian, this machine is not", path);
    char dim[16];
    (void)snprintf(dim, sizeof dim, "%u", (unsigned)head->dim);
    const plk_safetensors_note notes[N_NOTES + 1] = {
        {"format", "pluck-head"},
        {"kind", pluck_head_kind_name(head->ops->kind)},
        {"dim", dim},
        {"sign", head->sign == PLUCK_TREE_RIGHT ? "right" : "left"}};
    size_t n_parts = head->n_parts;
    size_t capacity = FIXED_TENSORS + n_parts * TENSORS_A_PART;
    tensor_list list = {.tensors =
                            plk_alloc_zero(&head->allocator, capacity, sizeof *list.tensors)};
    int32_t *firsts = plk_alloc(&head->allocator, n_parts, sizeof *firsts);
    pluck_status status = PLUCK_OK;
    if (!list.tensors || !firsts) {
        status = plk_fail_nomem(err, capacity * sizeof *list.tensors);
    } else {
        list_tensors(&list, head, firsts);
        qsort(list.tensors, list.n, sizeof *list.tensors, by_alignment);
        status = plk_safetensors_write(path, notes, N_NOTES + (head->tree != NULL), list.tensors,
                                       list.n, &head->allocator, err);
    }
    plk_free(&head->allocator, list.tensors);
    plk_free(&head->allocator, firsts);
    return status;
}
