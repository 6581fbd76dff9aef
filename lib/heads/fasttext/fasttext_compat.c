/*
 * The arithmetic of fastText 0.9.2 (loss.cc), float by float: dot products summed in order,
 * std_log(x) = log(x + 1e-5), the depth-first search of its hierarchical softmax with the sum of
 * those logarithms, softmax with all outputs, sigmoids by a table of 512 over [-8, 8]. A
 * prediction differs from fastText's by the last bits of exp and log.
 *
 * The depth-first search keeps its stack in the entries of the head's query: at most one entry per
 * leaf.
 *
 * The k best are kept in a binary heap with the worst in front. Saturated sigmoids are often equal,
 * and which of them are kept, and in what order they come out, depends on the steps of the heap: so
 * these are those of push_heap(), pop_heap() and sort_heap() of libstdc++ (bits/stl_heap.h), with
 * which the fasttext command is built. Taking the front out moves the hole down to a leaf, always
 * to the worse child and to the right one of equals, and then the value that fills it up from there
 * (the bottom-up heap of R. W. Floyd, "Algorithm 245: Treesort 3", CACM 7, 1964).
 */
#include "heads/fasttext/fasttext_impl.h"

#include "base/error.h"
#include "simd/scalar_math.h"

#include <math.h>
#include <string.h>

enum { SIGMOID_TABLE = 512 };

static const float MAX_SIGMOID = 8;

static float std_log(float x)
{
    return (float)plk_log((double)x + 1e-5);
}

static float sigmoid(float x)
{
    return (float)(1.0 / (1.0 + (double)(float)plk_exp((double)-x)));
}

static float table_sigmoid(float x)
{
    if (x < -MAX_SIGMOID)
        return 0;
    if (x > MAX_SIGMOID)
        return 1;
    int i = (int)((x + MAX_SIGMOID) * SIGMOID_TABLE / MAX_SIGMOID / 2);
    return sigmoid((float)(i * 2 * (int)MAX_SIGMOID) / SIGMOID_TABLE - MAX_SIGMOID);
}

/* Row row of the output matrix times the hidden state. */
static pluck_status dot_row(const pluck_fasttext_query *query, uint32_t row, float *dot,
                            pluck_error *err)
{
    const plk_rows *rows = &query->model->head->rows;
    const unsigned char *values = rows->data + row * rows->row_size_bytes;
    float sum = 0;
    for (uint32_t j = 0; j < rows->n_cols; j++) {
        float w;
        memcpy(&w, values + j * sizeof w, sizeof w);
        sum += w * query->hidden[j];
    }
    if (isnan(sum))
        return plk_fail(err, PLUCK_ERR_NAN, "fastText prediction: output row %u gives NaN",
                        (unsigned)row);
    *dot = sum;
    return PLUCK_OK;
}

/* Puts a value into a hole of the heap, or above it. */
static void sift_up(plk_fasttext_scored *heap, size_t hole, plk_fasttext_scored value)
{
    while (hole > 0 && heap[(hole - 1) / 2].score > value.score) {
        heap[hole] = heap[(hole - 1) / 2];
        hole = (hole - 1) / 2;
    }
    heap[hole] = value;
}

/* Moves the front of a heap of n >= 1 to its end, which is not part of the heap any more. */
static void pop(plk_fasttext_scored *heap, size_t n)
{
    plk_fasttext_scored value = heap[n - 1];
    size_t hole = 0;
    heap[n - 1] = heap[0];
    for (size_t right = 2; right <= n - 1; right = 2 * hole + 2) {
        bool has_right = right < n - 1;
        size_t child =
            has_right && !(heap[right].score > heap[right - 1].score) ? right : right - 1;
        heap[hole] = heap[child];
        hole = child;
    }
    sift_up(heap, hole, value);
}

/* Whether a score gets among the k best, of which there are n. */
static bool is_wanted(const pluck_fasttext_query *query, uint32_t k, uint32_t n, float score)
{
    return n < k || !(score < query->candidates[0].score);
}

static void keep(pluck_fasttext_query *query, uint32_t k, uint32_t *n, float score, uint32_t output)
{
    plk_fasttext_scored *heap = query->candidates;
    sift_up(heap, *n, (plk_fasttext_scored){score, output});
    if (*n < k)
        (*n)++;
    else
        pop(heap, (size_t)k + 1);
}

static pluck_status search_tree(pluck_fasttext_query *query, uint32_t k, float threshold,
                                uint32_t *n, pluck_error *err)
{
    const pluck_tree *tree = query->model->head->tree;
    float least = std_log(threshold);
    plk_tree_entry *stack = query->head_query->entries;
    size_t n_stack = 1;
    stack[0] = (plk_tree_entry){.node = plk_tree_root(tree)};
    while (n_stack > 0) {
        plk_tree_entry top = stack[--n_stack];
        float score = (float)top.logprob;
        if (score < least || !is_wanted(query, k, *n, score))
            continue;
        if (top.node < tree->n_tokens) {
            keep(query, k, n, score, top.node);
            continue;
        }
        float dot = 0;
        pluck_status status = dot_row(query, top.node - tree->n_tokens, &dot, err);
        if (status != PLUCK_OK)
            return status;
        float right = sigmoid(dot);
        const float scores[2] = {score + std_log((float)(1.0 - (double)right)),
                                 score + std_log(right)};
        for (unsigned side = 2; side-- > 0;)
            stack[n_stack++] = (plk_tree_entry){.node = plk_tree_child(tree, top.node, side),
                                                .logprob = (double)scores[side]};
    }
    return PLUCK_OK;
}

static pluck_status all_outputs(pluck_fasttext_query *query, uint32_t k, float threshold,
                                uint32_t *n, pluck_error *err)
{
    uint32_t n_outputs = query->model->n_outputs;
    float *outputs = query->head_query->scores;
    for (uint32_t i = 0; i < n_outputs; i++) {
        pluck_status status = dot_row(query, i, &outputs[i], err);
        if (status != PLUCK_OK)
            return status;
    }
    if (plk_fasttext_is_distribution(query->model)) {
        float max = outputs[0], sum = 0;
        for (uint32_t i = 1; i < n_outputs; i++)
            max = outputs[i] > max ? outputs[i] : max;
        for (uint32_t i = 0; i < n_outputs; i++) {
            outputs[i] = (float)plk_exp((double)(outputs[i] - max));
            sum += outputs[i];
        }
        for (uint32_t i = 0; i < n_outputs; i++)
            outputs[i] /= sum;
    } else {
        for (uint32_t i = 0; i < n_outputs; i++)
            outputs[i] = table_sigmoid(outputs[i]);
    }
    for (uint32_t i = 0; i < n_outputs; i++) {
        float score = std_log(outputs[i]);
        if (!(outputs[i] < threshold) && is_wanted(query, k, *n, score))
            keep(query, k, n, score, i);
    }
    return PLUCK_OK;
}

pluck_status plk_fasttext_compat(pluck_fasttext_query *query, uint32_t k, float threshold,
                                 uint32_t *n, pluck_error *err)
{
    *n = 0;
    pluck_status status = query->model->head->tree ? search_tree(query, k, threshold, n, err)
                                                   : all_outputs(query, k, threshold, n, err);
    for (size_t left = *n; left > 1; left--)
        pop(query->candidates, left);
    return status;
}
