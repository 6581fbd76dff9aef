/*
 * What all heads share: taking over weights, ending, saying what they are. Matrices are borrowed
 * unless asked otherwise, because they are large and often mapped; biases are copied, because they
 * are small and that frees the rest of the code from their alignment.
 */
#include "heads/heads.h"

#include "base/alloc.h"
#include "base/error.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

const char *pluck_head_kind_name(pluck_head_kind kind)
{
    static const char *const names[] = {"dense", "hierarchical", "adaptive", "differentiated"};
    return (size_t)kind < sizeof names / sizeof *names ? names[kind] : NULL;
}

pluck_status plk_head_alloc(pluck_head **out, pluck_head_kind kind, uint32_t n_vocab, uint32_t dim,
                            const pluck_head_options *options, pluck_error *err)
{
    static const plk_head_ops *const ops[] = {&plk_head_dense, &plk_head_hierarchical,
                                              &plk_head_adaptive, &plk_head_dense};
    pluck_head_options o;
    pluck_status status = PLK_READ_STRUCT(&o, options, "options", pluck_head_options, err);
    if (status != PLUCK_OK)
        return status;
    plk_arrays memory = {.allocator = plk_allocator_or_default(o.allocator)};
    const plk_kernels *kernels = plk_kernels_get(o.isa);
    if (!kernels)
        return plk_fail(
            err, PLUCK_ERR_INVALID,
            "head: options.isa is an instruction set that this machine does not support");
    if (n_vocab < 1 || n_vocab > PLUCK_MAX_VOCAB)
        return plk_fail(err, PLUCK_ERR_INVALID, "head: n_vocab = %u is outside [1, %u]",
                        (unsigned)n_vocab, (unsigned)PLUCK_MAX_VOCAB);
    if (dim < 1)
        return plk_fail(err, PLUCK_ERR_INVALID, "head: dim must be at least 1");
    pluck_head *head = plk_arrays_add_zero(&memory, 1, sizeof *head);
    if (!head)
        return plk_arrays_check(&memory, err);
    head->memory = memory;
    head->kind = kind;
    head->ops = ops[kind];
    head->kernels = kernels;
    head->n_vocab = n_vocab;
    head->dim = dim;
    head->is_copy = o.copy;
    *out = head;
    return PLUCK_OK;
}

pluck_status plk_head_fail_empty(pluck_error *err)
{
    return plk_fail(err, PLUCK_ERR_EMPTY, "head: no allowed token has a probability above 0");
}

size_t plk_matrix_stride(const pluck_matrix *matrix)
{
    size_t row_bytes = matrix->n_cols * pluck_dtype_size_bytes(matrix->dtype);
    return matrix->row_stride_bytes > 0 ? matrix->row_stride_bytes : row_bytes;
}

pluck_status plk_matrix_check(const pluck_matrix *matrix, const char *what, uint32_t n_rows,
                              pluck_error *err)
{
    if (!matrix || (!matrix->data && n_rows > 0))
        return plk_fail(err, PLUCK_ERR_INVALID, "head: %s must not be NULL", what);
    if (matrix->rows)
        return plk_fail(err, PLUCK_ERR_INVALID, "head: %s: rows must be NULL; weights are at data",
                        what);
    if (!plk_is_logit_dtype(matrix->dtype))
        return plk_fail(err, PLUCK_ERR_INVALID, "head: %s has an unknown dtype, %d", what,
                        (int)matrix->dtype);
    if (matrix->n_cols < 1)
        return plk_fail(err, PLUCK_ERR_INVALID, "head: %s: n_cols must be at least 1", what);
    if (matrix->n_rows < n_rows)
        return plk_fail(err, PLUCK_ERR_INVALID, "head: %s has %zu rows, expected %u", what,
                        matrix->n_rows, (unsigned)n_rows);
    size_t row_bytes = 0, size = 0;
    bool fits = matrix->n_rows <= UINT32_MAX &&
                plk_mul_size(matrix->n_cols, pluck_dtype_size_bytes(matrix->dtype), &row_bytes);
    size_t stride = matrix->row_stride_bytes > 0 ? matrix->row_stride_bytes : row_bytes;
    if (!fits || !plk_mul_size(stride, matrix->n_rows, &size) || size > PTRDIFF_MAX)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "head: %s of %zu x %u values exceeds the address space", what,
                        matrix->n_rows, (unsigned)matrix->n_cols);
    if (stride < row_bytes)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "head: %s: row_stride_bytes is %zu, but a row has %zu bytes", what, stride,
                        row_bytes);
    return PLUCK_OK;
}

void plk_head_set_rows(pluck_head *head, const pluck_matrix *matrix, uint32_t n_rows,
                       plk_rows *rows)
{
    const plk_kernels *kernels = head->kernels;
    size_t row_bytes = matrix->n_cols * pluck_dtype_size_bytes(matrix->dtype);
    size_t stride = plk_matrix_stride(matrix);
    *rows = (plk_rows){.data = matrix->data,
                       .row_size_bytes = stride,
                       .n_rows = n_rows,
                       .n_cols = matrix->n_cols,
                       .dtype = matrix->dtype,
                       .dot = matrix->dtype == PLUCK_F32   ? kernels->dot_f32
                              : matrix->dtype == PLUCK_F16 ? kernels->dot_f16
                                                           : kernels->dot_bf16};
    if (!head->is_copy || n_rows == 0)
        return;
    unsigned char *copy = plk_arrays_add(&head->memory, n_rows, row_bytes);
    for (size_t i = 0; copy && i < n_rows; i++)
        memcpy(copy + i * row_bytes, rows->data + i * stride, row_bytes);
    rows->data = copy;
    rows->row_size_bytes = row_bytes;
}

void plk_head_alloc_parts(pluck_head *head, uint32_t n_parts)
{
    head->parts = plk_arrays_add_zero(&head->memory, n_parts, sizeof *head->parts);
    head->n_parts = head->parts ? n_parts : 0;
}

const plk_head_part *plk_head_part_of(const pluck_head *head, uint32_t token)
{
    for (uint32_t i = 0; i < head->n_parts; i++) {
        const plk_head_part *part = &head->parts[i];
        if (token >= part->first_token && token - part->first_token < part->n_tokens)
            return part;
    }
    return NULL;
}

pluck_status plk_head_finish(pluck_head **out, pluck_head *head, const float *bias, size_t n,
                             pluck_error *err)
{
    size_t i = 0;
    while (bias && i < n && isfinite(bias[i]))
        i++;
    if (bias)
        head->bias = plk_arrays_add(&head->memory, n, sizeof *bias);
    if (head->bias && n > 0)
        memcpy(head->bias, bias, n * sizeof *bias);
    pluck_status status = plk_arrays_check(&head->memory, err);
    if (bias && i < n)
        status = plk_fail(err, PLUCK_ERR_NAN, "head: bias[%zu] is not finite", i);
    if (status != PLUCK_OK)
        pluck_head_destroy(&head);
    *out = head;
    return status;
}

void pluck_head_destroy(pluck_head **head)
{
    if (!head || !*head)
        return;
    pluck_tree_destroy(&(*head)->tree);
    if ((*head)->has_source)
        plk_source_close(&(*head)->source);
    plk_arrays_free(&(*head)->memory);
    *head = NULL;
}

pluck_status pluck_head_get_info(const pluck_head *head, pluck_head_info *info, pluck_error *err)
{
    if (!head || !info)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_head_get_info: head and info must not be NULL");
    pluck_head_info known = {.kind = head->kind,
                             .n_vocab = head->n_vocab,
                             .dim = head->dim,
                             .dtype = head->rows.dtype,
                             .n_parts = head->tree ? head->n_vocab - 1 : head->n_parts};
    return PLK_WRITE_STRUCT(info, &known, "info", pluck_head_info, err);
}

const pluck_tree *pluck_head_tree(const pluck_head *head)
{
    return head ? head->tree : NULL;
}
