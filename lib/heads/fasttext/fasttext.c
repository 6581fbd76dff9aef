/*
 * fastText models: a file, a line reader and a head put together. The output matrix becomes a head:
 * with hierarchical softmax the tree is built from the counts in the order of the dictionary, which
 * is the order in which the model was trained. A dense output matrix is used where it is mapped; a
 * quantised one is expanded to floats, if that is in proportion to the file.
 */
#include "heads/fasttext/fasttext_impl.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/scalar_math.h"
#include "file/array_file.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

/* The limit for an expanded output matrix: the larger of this size and a multiple of the file. */
enum { EXPANDED_BYTES = 64 << 20, EXPANDED_RATIO = 64 };

/* Sums of counts stay exact, and below what fastText's sentinel compares with. */
static const int64_t LARGEST_TOTAL = 1000000000000000;

/* Whether the outputs are a distribution. */
static bool is_distribution(const pluck_fasttext *model)
{
    return model->file.args.loss == PLUCK_FASTTEXT_HS ||
           model->file.args.loss == PLUCK_FASTTEXT_SOFTMAX;
}

static pluck_status build_tree(const pluck_fasttext *model, pluck_tree **tree, pluck_error *err)
{
    plk_arrays scratch = {.allocator = model->memory.allocator};
    uint32_t n = model->n_outputs;
    int64_t *counts = plk_arrays_add(&scratch, n, sizeof *counts);
    int64_t *sums = plk_arrays_add(&scratch, n, sizeof *sums);
    int64_t total = 0;
    pluck_status status = plk_arrays_check(&scratch, err);
    for (uint32_t i = 0; status == PLUCK_OK && i < n; i++) {
        counts[i] = model->outputs[i].count;
        if (counts[i] > LARGEST_TOTAL - total)
            status = plk_fail(err, PLUCK_ERR_FORMAT,
                              "%s: the counts of the outputs add up to more than 10^15",
                              model->source.label);
        else
            total += counts[i];
    }
    if (status == PLUCK_OK)
        status = plk_tree_alloc(tree, n, &scratch.allocator, err);
    if (status == PLUCK_OK)
        plk_tree_huffman_merge(counts, NULL, n, sums, (*tree)->children);
    plk_arrays_free(&scratch);
    return status;
}

static pluck_status expand(pluck_fasttext *model, pluck_error *err)
{
    const plk_fasttext_matrix *output = &model->file.output;
    uint64_t n = (uint64_t)model->n_outputs * output->n_cols;
    uint64_t ratio = n * sizeof(float) / EXPANDED_RATIO;
    if (n > EXPANDED_BYTES / sizeof(float) && ratio > model->source.size_bytes)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: the quantised output matrix expands to more than 64 times the file",
                        model->source.label);
    model->expanded = plk_arrays_add_zero(&model->memory, (size_t)n, sizeof(float));
    for (uint32_t row = 0; model->expanded && row < model->n_outputs; row++)
        plk_fasttext_add_row(output, row, model->expanded + (size_t)row * output->n_cols);
    return plk_arrays_check(&model->memory, err);
}

static pluck_status create_head(pluck_fasttext *model, pluck_isa isa, pluck_error *err)
{
    const plk_fasttext_matrix *output = &model->file.output;
    pluck_head_options options = PLUCK_INIT(pluck_head_options);
    options.isa = isa;
    options.allocator = &model->memory.allocator;
    pluck_status status = output->values ? PLUCK_OK : expand(model, err);
    if (status != PLUCK_OK)
        return status;
    pluck_matrix matrix = {.data = output->values ? (const void *)output->values : model->expanded,
                           .dtype = PLUCK_F32,
                           .n_rows = model->n_outputs,
                           .n_cols = output->n_cols};
    if (model->file.args.loss != PLUCK_FASTTEXT_HS)
        return pluck_head_create_dense(&model->head, &matrix, NULL, &options, err);
    pluck_tree *tree = NULL;
    status = build_tree(model, &tree, err);
    if (status == PLUCK_OK)
        status = pluck_head_create_hierarchical(&model->head, tree, &matrix, NULL, PLUCK_TREE_RIGHT,
                                                &options, err);
    pluck_tree_destroy(&tree);
    return status;
}

/* What follows once the bytes are there. */
static pluck_status read_model(pluck_fasttext *model, const pluck_fasttext_options *options,
                               pluck_error *err)
{
    const char *prefix = options->label_prefix ? options->label_prefix : "__label__";
    size_t prefix_bytes = strlen(prefix) + 1;
    if (model->source.streamed)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: a fastText model cannot be read from a stream; store it as a file",
                        model->source.label);
    if (plk_is_swapped(true))
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: fastText models are little-endian, but this machine is not",
                        model->source.label);
    model->label_prefix = plk_arrays_add(&model->memory, prefix_bytes, 1);
    if (!model->label_prefix)
        return plk_arrays_check(&model->memory, err);
    memcpy(model->label_prefix, prefix, prefix_bytes);
    pluck_status status =
        plk_fasttext_file_read(&model->file, model->source.label, model->source.bytes,
                               model->source.size_bytes, &model->memory, err);
    if (status != PLUCK_OK)
        return status;
    bool supervised = model->file.args.model == PLUCK_FASTTEXT_SUPERVISED;
    model->n_outputs = supervised ? model->file.n_labels : model->file.n_words;
    model->outputs = model->file.entries + (supervised ? model->file.n_words : 0);
    return create_head(model, options->isa, err);
}

static pluck_status open_model(pluck_fasttext **out, const char *name, const void *bytes,
                               size_t size_bytes, const pluck_fasttext_options *given,
                               pluck_error *err)
{
    *out = NULL;
    pluck_fasttext_options options;
    pluck_status status = PLK_READ_STRUCT(&options, given, "options", pluck_fasttext_options, err);
    if (status != PLUCK_OK)
        return status;
    plk_arrays memory = {.allocator = plk_allocator_or_default(options.allocator)};
    pluck_fasttext *model = plk_arrays_add_zero(&memory, 1, sizeof *model);
    if (!model)
        return plk_arrays_check(&memory, err);
    model->memory = memory;
    if (bytes)
        plk_source_open_memory(&model->source, name, bytes, size_bytes, false, &memory.allocator);
    else
        status = plk_source_open(&model->source, name, options.no_map, &memory.allocator, err);
    if (status != PLUCK_OK) {
        plk_arrays_free(&memory);
        return status;
    }
    plk_fp_state fp = plk_fp_enter();
    status = read_model(model, &options, err);
    plk_fp_leave(fp);
    if (status != PLUCK_OK)
        pluck_fasttext_destroy(&model);
    *out = model;
    return status;
}

pluck_status pluck_fasttext_open(pluck_fasttext **out, const char *path,
                                 const pluck_fasttext_options *options, pluck_error *err)
{
    if (!out || !path)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_fasttext_open: out and path must not be NULL");
    return open_model(out, path, NULL, 0, options, err);
}

pluck_status pluck_fasttext_open_memory(pluck_fasttext **out, const char *name, const void *bytes,
                                        size_t size_bytes, const pluck_fasttext_options *options,
                                        pluck_error *err)
{
    if (!out || !name || !bytes)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_fasttext_open_memory: out, name and bytes must not be NULL");
    return open_model(out, name, bytes, size_bytes, options, err);
}

void pluck_fasttext_destroy(pluck_fasttext **model)
{
    if (!model || !*model)
        return;
    pluck_head_destroy(&(*model)->head);
    plk_source_close(&(*model)->source);
    plk_arrays_free(&(*model)->memory);
    *model = NULL;
}

pluck_status pluck_fasttext_get_info(const pluck_fasttext *model, pluck_fasttext_info *info,
                                     pluck_error *err)
{
    if (!model || !info)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_fasttext_get_info: model and info must not be NULL");
    const plk_fasttext_file *file = &model->file;
    const plk_fasttext_args *args = &file->args;
    pluck_fasttext_info known = {
        .kind = (pluck_fasttext_kind)args->model,
        .loss = (pluck_fasttext_loss)args->loss,
        .dim = (uint32_t)args->dim,
        .n_words = file->n_words,
        .n_labels = file->n_labels,
        .n_outputs = model->n_outputs,
        .word_ngrams = args->word_ngrams > 1 ? (uint32_t)args->word_ngrams : 1,
        .min_subword = args->minn > 0 ? (uint32_t)args->minn : 0,
        .max_subword = (uint32_t)args->maxn,
        .n_buckets = args->bucket > 0 ? (uint32_t)args->bucket : 0,
        .is_input_quantised = !file->input.values,
        .is_output_quantised = !file->output.values,
        .is_pruned = file->n_pruned >= 0,
    };
    return PLK_WRITE_STRUCT(info, &known, "info", pluck_fasttext_info, err);
}

const char *pluck_fasttext_output(const pluck_fasttext *model, uint32_t output, int64_t *count)
{
    bool is_there = model && output < model->n_outputs;
    if (count)
        *count = is_there ? model->outputs[output].count : 0;
    return is_there ? model->outputs[output].text : NULL;
}

const pluck_head *pluck_fasttext_head(const pluck_fasttext *model)
{
    return model && is_distribution(model) ? model->head : NULL;
}

/*
 * From a line to labels. The hidden state is summed in float in the order of the features and
 * multiplied by the rounded 1/n, as fastText does it, so that both put the same vector into the
 * output layer; from there on the exact prediction is that of the head.
 */

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
    if (is_distribution(query->model)) {
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

/* candidates are the k best of those that reach the threshold, in fastText's order, *n how many
 * there are. */
static pluck_status predict_compat(pluck_fasttext_query *query, uint32_t k, float threshold,
                                   uint32_t *n, pluck_error *err)
{
    *n = 0;
    pluck_status status = query->model->head->tree ? search_tree(query, k, threshold, n, err)
                                                   : all_outputs(query, k, threshold, n, err);
    for (size_t left = *n; left > 1; left--)
        pop(query->candidates, left);
    return status;
}

pluck_status pluck_fasttext_query_create(pluck_fasttext_query **out, const pluck_fasttext *model,
                                         const pluck_allocator *allocator, pluck_error *err)
{
    if (!out || !model)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_fasttext_query_create: out and model must not be NULL");
    *out = NULL;
    plk_arrays memory = {.allocator = plk_allocator_or_default(allocator)};
    size_t dim = (size_t)model->file.args.dim, n = model->n_outputs;
    pluck_fasttext_query *query = plk_arrays_add_zero(&memory, 1, sizeof *query);
    if (!query)
        return plk_arrays_check(&memory, err);
    query->hidden = plk_arrays_add(&memory, dim, sizeof *query->hidden);
    query->scored = plk_arrays_add(&memory, n, sizeof *query->scored);
    query->exact = plk_arrays_add(&memory, n, sizeof *query->exact);
    query->candidates = plk_arrays_add(&memory, n, sizeof *query->candidates);
    query->memory = memory;
    query->line.allocator = memory.allocator;
    query->model = model;
    pluck_status status = plk_arrays_check(&memory, err);
    if (status == PLUCK_OK)
        status = pluck_head_query_create(&query->head_query, model->head, &memory.allocator, err);
    if (status != PLUCK_OK)
        pluck_fasttext_query_destroy(&query);
    *out = query;
    return status;
}

void pluck_fasttext_query_destroy(pluck_fasttext_query **query)
{
    if (!query || !*query)
        return;
    const plk_fasttext_line *line = &(*query)->line;
    pluck_head_query_destroy(&(*query)->head_query);
    plk_free(&line->allocator, line->features);
    plk_free(&line->allocator, line->hashes);
    plk_free(&line->allocator, line->word);
    plk_arrays_free(&(*query)->memory);
    *query = NULL;
}

pluck_status pluck_fasttext_query_get_stats(const pluck_fasttext_query *query,
                                            pluck_head_stats *stats, pluck_error *err)
{
    if (!query || !stats)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_fasttext_query_get_stats: query and stats must not be NULL");
    return pluck_head_query_get_stats(query->head_query, stats, err);
}

pluck_status pluck_fasttext_query_features(pluck_fasttext_query *query, const char *text,
                                           size_t size_bytes, const int32_t **features, size_t *n,
                                           size_t *used_bytes, pluck_error *err)
{
    if (!query || (!text && size_bytes != 0) || !features || !n)
        return plk_fail(
            err, PLUCK_ERR_INVALID,
            "pluck_fasttext_query_features: query, text, features and n must not be NULL");
    size_t used = 0;
    pluck_status status =
        plk_fasttext_line_read(&query->line, &query->model->file, query->model->label_prefix, text,
                               size_bytes, &used, err);
    if (status != PLUCK_OK)
        return status;
    *features = query->line.features;
    *n = query->line.n_features;
    if (used_bytes)
        *used_bytes = used;
    return PLUCK_OK;
}

pluck_status pluck_fasttext_query_hidden(pluck_fasttext_query *query, const char *text,
                                         size_t size_bytes, const float **hidden, pluck_error *err)
{
    const int32_t *features = NULL;
    size_t n = 0;
    if (!hidden)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_fasttext_query_hidden: hidden must not be NULL");
    pluck_status status =
        pluck_fasttext_query_features(query, text, size_bytes, &features, &n, NULL, err);
    if (status != PLUCK_OK)
        return status;
    *hidden = NULL;
    if (n == 0)
        return PLUCK_OK;
    const plk_fasttext_matrix *input = &query->model->file.input;
    plk_fp_state fp = plk_fp_enter();
    memset(query->hidden, 0, input->n_cols * sizeof *query->hidden);
    for (size_t i = 0; i < n; i++)
        plk_fasttext_add_row(input, (uint64_t)features[i], query->hidden);
    float scale = (float)(1.0 / (double)n);
    for (uint32_t j = 0; j < input->n_cols; j++)
        query->hidden[j] *= scale;
    plk_fp_leave(fp);
    *hidden = query->hidden;
    return PLUCK_OK;
}

/* The k largest of the outputs, into query->scored and query->exact. Outputs that are not a
 * distribution have their logits as scores. */
static pluck_status find_largest(pluck_fasttext_query *query, uint32_t k, uint32_t *n,
                                 pluck_error *err)
{
    pluck_head_query *head_query = query->head_query;
    plk_selection selection = {
        .rule = PLK_SELECT_TOP_K, .k = k, .capacity = k, .list = {query->scored, query->exact}};
    pluck_status status = PLUCK_OK;
    if (is_distribution(query->model)) {
        status = plk_head_select(head_query, query->hidden, &selection, err);
    } else {
        head_query->stats = (pluck_head_stats){.n_dots = 0};
        status = plk_dense_logits(head_query, query->hidden, err);
        if (status == PLUCK_OK)
            status = plk_flat_pick(head_query, &selection, 0.0, err);
    }
    *n = selection.n;
    return status;
}

static pluck_status predict_exact(pluck_fasttext_query *query,
                                  const pluck_fasttext_request *request,
                                  pluck_fasttext_label *labels, uint32_t *n, pluck_error *err)
{
    const pluck_fasttext *model = query->model;
    bool has_logprobs = is_distribution(model);
    uint32_t n_found = 0, n_kept = 0;
    pluck_status status = find_largest(
        query, request->k < model->n_outputs ? request->k : model->n_outputs, &n_found, err);
    if (status != PLUCK_OK)
        return status;
    for (; n_kept < n_found; n_kept++) {
        uint32_t output = (uint32_t)query->scored[n_kept].token;
        double score = query->exact[n_kept];
        double prob = has_logprobs ? plk_exp(score) : plk_sigmoid(score);
        if (prob < request->threshold)
            break;
        labels[n_kept] = (pluck_fasttext_label){output, model->outputs[output].text, prob};
    }
    *n = n_kept;
    return PLUCK_OK;
}

static pluck_status predict_as_fasttext(pluck_fasttext_query *query,
                                        const pluck_fasttext_request *request,
                                        pluck_fasttext_label *labels, uint32_t *n, pluck_error *err)
{
    uint32_t n_found = 0;
    pluck_status status =
        predict_compat(query, request->k, (float)request->threshold, &n_found, err);
    if (status != PLUCK_OK)
        return status;
    for (uint32_t i = 0; i < n_found; i++) {
        uint32_t output = query->candidates[i].output;
        labels[i] =
            (pluck_fasttext_label){output, query->model->outputs[output].text,
                                   (double)(float)plk_exp((double)query->candidates[i].score)};
    }
    *n = n_found;
    return PLUCK_OK;
}

pluck_status pluck_fasttext_query_predict(pluck_fasttext_query *query, const char *text,
                                          size_t size_bytes, const pluck_fasttext_request *request,
                                          pluck_fasttext_label *labels, uint32_t *n,
                                          pluck_error *err)
{
    static const char function[] = "pluck_fasttext_query_predict";
    if (!query || !labels || !n)
        return plk_fail(err, PLUCK_ERR_INVALID, "%s: query, labels and n must not be NULL",
                        function);
    pluck_fasttext_request r;
    pluck_status status = PLK_READ_STRUCT(&r, request, "request", pluck_fasttext_request, err);
    if (status != PLUCK_OK)
        return status;
    if (!(r.threshold >= 0 && r.threshold <= 1))
        return plk_fail(err, PLUCK_ERR_INVALID, "%s: request.threshold = %g is outside [0, 1]",
                        function, r.threshold);
    r.k = r.k > 0 ? r.k : 1;
    const float *hidden = NULL;
    status = pluck_fasttext_query_hidden(query, text, size_bytes, &hidden, err);
    if (status != PLUCK_OK)
        return status;
    if (!hidden) {
        *n = 0;
        return PLUCK_OK;
    }
    PLK_RETURN_IN_FP((r.compat ? predict_as_fasttext : predict_exact)(query, &r, labels, n, err));
}
