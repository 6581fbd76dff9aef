/*
 * The true log-odds of the right child of v under a dense head with rows w and biases b are
 * c(right) - c(left) with c(S) = ln of the sum over t in S of exp(w_t . h + b_t): convex functions
 * of h, whose gradient is m(S), the mean of the rows in S weighted by their softmax. So the tangent
 * at h0, the mean hidden state, is u = m(right) - m(left), b = c(right) - c(left) - u . h0.
 *
 * c and m of an inner node follow from those of its children: c = ln(e^c0 + e^c1), and m is their
 * mean with weights e^(c0 - c), e^(c1 - c). One pass, children before parents.
 */
#include "heads/train/trainer.h"

#include "base/alloc.h"
#include "base/error.h"
#include "simd/scalar_math.h"

#include <math.h>
#include <string.h>

static void widen(const pluck_trainer *trainer, const plk_rows *rows, size_t row, float *to)
{
    const unsigned char *from = rows->data + row * rows->row_size_bytes;
    if (rows->dtype == PLUCK_F32)
        memcpy(to, from, rows->n_cols * sizeof *to);
    else if (rows->dtype == PLUCK_F16)
        trainer->kernels->widen_f16(from, rows->n_cols, to);
    else
        trainer->kernels->widen_bf16(from, rows->n_cols, to);
}

pluck_status plk_train_start_from_head(pluck_trainer *trainer, const pluck_head *head,
                                       pluck_error *err)
{
    const pluck_tree *tree = trainer->tree;
    size_t n = 2 * (size_t)trainer->n_inner * sizeof *tree->children;
    if (!head->tree || head->dim != trainer->data.dim || head->n_vocab != tree->n_tokens ||
        memcmp(head->tree->children, tree->children, n) != 0)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "training: options.start is not a hierarchical head of the same tree and "
                        "dim");
    float sign = head->sign == PLUCK_TREE_RIGHT ? 1.0f : -1.0f;
    float factor = sign * (float)trainer->scale;
    for (size_t i = 0; i < trainer->n_inner; i++) {
        float *u = trainer->nodes + i * trainer->data.dim;
        widen(trainer, &head->rows, i, u);
        for (uint32_t j = 0; j < trainer->data.dim; j++)
            u[j] *= factor;
        trainer->bias[i] = head->bias ? sign * head->bias[i] : 0;
    }
    return PLUCK_OK;
}

/* The mean of the hidden states. */
static pluck_status find_centre(const pluck_trainer *trainer, float *centre, pluck_error *err)
{
    const pluck_train_data *data = &trainer->data;
    double *sums = plk_alloc_zero(&trainer->allocator, data->dim, sizeof *sums);
    if (!sums)
        return plk_fail_nomem(err, data->dim * sizeof *sums);
    for (size_t r = 0; r < data->n_rows; r++)
        for (uint32_t j = 0; j < data->dim; j++)
            sums[j] += (double)data->hidden[r * data->dim + j];
    for (uint32_t j = 0; j < data->dim; j++)
        centre[j] = (float)(sums[j] / (double)data->n_rows);
    plk_free(&trainer->allocator, sums);
    return PLUCK_OK;
}

typedef struct tangent {
    float *centre;
    double *logs;       /* c: of tokens, then of inner nodes */
    float *means;       /* m of inner nodes */
    float *children[2]; /* m of two tokens */
} tangent;

/* m of a child; of a token its row, widened into the room for that side. */
static const float *mean_of(const pluck_trainer *trainer, const tangent *t, uint32_t node,
                            unsigned side)
{
    uint32_t n_tokens = trainer->tree->n_tokens;
    if (node >= n_tokens)
        return t->means + (size_t)(node - n_tokens) * trainer->data.dim;
    widen(trainer, &trainer->data.teacher->rows, node, t->children[side]);
    return t->children[side];
}

static void set_nodes(pluck_trainer *trainer, tangent *t)
{
    const pluck_tree *tree = trainer->tree;
    const plk_rows *rows = &trainer->data.teacher->rows;
    const float *bias = trainer->data.teacher->bias;
    uint32_t dim = trainer->data.dim;
    for (uint32_t k = 0; k < tree->n_tokens; k++)
        t->logs[k] = plk_rows_dot(rows, k, t->centre) + (bias ? (double)bias[k] : 0);
    for (uint32_t i = 0; i < trainer->n_inner; i++) {
        uint32_t node = tree->n_tokens + i;
        uint32_t left = plk_tree_child(tree, node, 0), right = plk_tree_child(tree, node, 1);
        const float *a = mean_of(trainer, t, left, 0), *b = mean_of(trainer, t, right, 1);
        double c0 = t->logs[left], c1 = t->logs[right], c = plk_log_add(c0, c1);
        float p0 = (float)plk_exp(c0 - c), p1 = (float)plk_exp(c1 - c);
        float *u = trainer->nodes + (size_t)i * dim, *mean = t->means + (size_t)i * dim;
        for (uint32_t j = 0; j < dim; j++) {
            u[j] = (b[j] - a[j]) * (float)trainer->scale;
            mean[j] = p0 * a[j] + p1 * b[j];
        }
        t->logs[node] = c;
        if (!trainer->options.without_bias)
            trainer->bias[i] =
                (float)(c1 - c0 - trainer->kernels->dot_f32(t->centre, u, dim) / trainer->scale);
    }
}

pluck_status plk_train_start_from_dense(pluck_trainer *trainer, pluck_error *err)
{
    const pluck_allocator *allocator = &trainer->allocator;
    size_t dim = trainer->data.dim, n_inner = trainer->n_inner;
    tangent t = {
        .centre = plk_alloc(allocator, 3 * dim, sizeof(float)),
        .logs = plk_alloc(allocator, 2 * n_inner + 1, sizeof *t.logs),
        .means = plk_alloc(allocator, n_inner, dim * sizeof *t.means),
    };
    pluck_status status = PLUCK_OK;
    if (!t.centre || !t.logs || !t.means) {
        status = plk_fail_nomem(err, n_inner * dim * sizeof *t.means);
        goto cleanup;
    }
    t.children[0] = t.centre + dim;
    t.children[1] = t.centre + 2 * dim;
    status = find_centre(trainer, t.centre, err);
    if (status == PLUCK_OK)
        set_nodes(trainer, &t);
cleanup:
    plk_free(allocator, t.centre);
    plk_free(allocator, t.logs);
    plk_free(allocator, t.means);
    return status;
}
