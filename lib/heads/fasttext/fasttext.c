/*
 * fastText models: a file, a line reader and a head put together. The output matrix becomes a head:
 * with hierarchical softmax the tree is built from the counts in the order of the dictionary, which
 * is the order in which the model was trained. A dense output matrix is used where it is mapped; a
 * quantised one is expanded to floats, if that is in proportion to the file.
 */
#include "heads/fasttext/fasttext_impl.h"

#include "base/alloc.h"
#include "base/error.h"
#include "file/array_file.h"
#include "simd/scalar_math.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

/* The limit for an expanded output matrix: the larger of this size and a multiple of the file. */
enum { EXPANDED_BYTES = 64 << 20, EXPANDED_RATIO = 64 };

/* Sums of counts stay exact, and below what fastText's sentinel compares with. */
static const int64_t LARGEST_TOTAL = 1000000000000000;

static pluck_status build_tree(const pluck_fasttext *model, pluck_tree **tree, pluck_error *err)
{
    const pluck_allocator *allocator = &model->allocator;
    uint32_t n = model->n_outputs;
    int64_t *counts = plk_alloc(allocator, n, sizeof *counts);
    int64_t *sums = plk_alloc(allocator, n, sizeof *sums);
    int64_t total = 0;
    pluck_status status =
        counts && sums ? PLUCK_OK : plk_fail_nomem(err, 2 * (size_t)n * sizeof *counts);
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
        status = plk_tree_alloc(tree, n, allocator, err);
    if (status == PLUCK_OK)
        plk_tree_huffman_merge(counts, NULL, n, sums, (*tree)->children);
    plk_free(allocator, counts);
    plk_free(allocator, sums);
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
    model->expanded = plk_alloc_zero(&model->allocator, (size_t)n, sizeof(float));
    if (!model->expanded)
        return plk_fail_nomem(err, (size_t)n * sizeof(float));
    for (uint32_t row = 0; row < model->n_outputs; row++)
        plk_fasttext_add_row(output, row, model->expanded + (size_t)row * output->n_cols);
    return PLUCK_OK;
}

static pluck_status create_head(pluck_fasttext *model, pluck_isa isa, pluck_error *err)
{
    const plk_fasttext_matrix *output = &model->file.output;
    pluck_head_options options = PLUCK_INIT(pluck_head_options);
    options.isa = isa;
    options.allocator = &model->allocator;
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
    model->label_prefix = plk_alloc(&model->allocator, prefix_bytes, 1);
    if (!model->label_prefix)
        return plk_fail_nomem(err, prefix_bytes);
    memcpy(model->label_prefix, prefix, prefix_bytes);
    pluck_status status =
        plk_fasttext_file_read(&model->file, model->source.label, model->source.bytes,
                               model->source.size_bytes, &model->allocator, err);
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
    pluck_allocator memory = plk_allocator_or_default(options.allocator);
    pluck_fasttext *model = plk_alloc_zero(&memory, 1, sizeof *model);
    if (!model)
        return plk_fail_nomem(err, sizeof *model);
    model->allocator = memory;
    model->file.allocator = memory;
    if (bytes)
        plk_source_open_memory(&model->source, name, bytes, size_bytes, false, &memory);
    else
        status = plk_source_open(&model->source, name, options.no_map, &memory, err);
    if (status != PLUCK_OK) {
        plk_free(&memory, model);
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
    pluck_fasttext *m = *model;
    pluck_allocator allocator = m->allocator;
    pluck_head_destroy(&m->head);
    plk_fasttext_file_free(&m->file);
    plk_source_close(&m->source);
    plk_free(&allocator, m->expanded);
    plk_free(&allocator, m->label_prefix);
    plk_free(&allocator, m);
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
    return model && plk_fasttext_is_distribution(model) ? model->head : NULL;
}
