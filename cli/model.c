/*
 * What a model is, its first bytes say; a name says nothing. Rows of hidden states come through the
 * dump reader, integers through that of lib/file.
 */
#include "model.h"
#include "setup.h"

#include "base/platform_file.h"
#include "file/array_file.h"
#include "thread/thread.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const flag head_group[] = {
    FLAG_TITLE("Dense heads"),
    {FLAG(INPUT, "bias", head_flags, bias),
     .help =
         "bias of a dense head whose weights are a .npy file: one value per token (default: 0)"},
    FLAG_GROUP(isa_flag, head_flags, isa),
    FLAG_END,
};

static const unsigned char fasttext_magic[4] = {0xba, 0x16, 0x4f, 0x2f};
static const unsigned char npy_magic[4] = {0x93, 'N', 'U', 'M'};

static int first_bytes(const char *path, unsigned char bytes[4])
{
    int fd = -1;
    int error_code = plk_file_open(path, PLK_OPEN_READ, &fd);
    if (error_code != 0)
        return complain_system(path, NULL, error_code);
    size_t n = 0, got = 1;
    for (; n < 4 && got > 0 && error_code == 0; n += got)
        error_code = plk_file_read(fd, bytes + n, 4 - n, &got);
    (void)plk_file_close(fd);
    if (error_code != 0)
        return complain_system(path, NULL, error_code);
    return n == 4
               ? EXIT_DONE
               : complain(
                     EXIT_DATA,
                     "%s: not a model; expected a fastText file (.bin, .ftz), .safetensors or .npy",
                     path);
}

/* The bias of a dense head in arrays; NULL if none was given. */
static int read_bias(const head_flags *flags, const input_flags *input, uint32_t n_vocab,
                     float **bias)
{
    float_rows rows = {0};
    *bias = NULL;
    if (!flags->bias)
        return EXIT_DONE;
    int code = float_rows_read(&rows, input, flags->bias);
    if (code == EXIT_DONE && rows.n_rows * rows.n_cols != n_vocab) {
        float_rows_free(&rows);
        return complain(
            EXIT_DATA,
            "%s: has %llu values, but the head has %u tokens; expected one value per token",
            flags->bias, (unsigned long long)(rows.n_rows * rows.n_cols), (unsigned)n_vocab);
    }
    *bias = rows.values;
    return code;
}

static int open_arrays(head_model *model, const head_flags *flags, const input_flags *input,
                       const char *path, const pluck_head_options *options)
{
    pluck_logits first;
    pluck_error err;
    float *bias = NULL;
    int code = source_open(input, path, &model->arrays);
    if (code != EXIT_DONE)
        return code;
    const pluck_dump_info *info = &model->arrays.info;
    pluck_status status = read_logits(model->arrays.dump, 0, model->arrays.scratch, &first, &err);
    if (status == PLUCK_OK && (info->n_rows > PLUCK_MAX_VOCAB || info->streamed ||
                               first.data == (const void *)model->arrays.scratch))
        code = complain(EXIT_DATA,
                        "%s: the weights of a head must be f4 or f2 in C order, at most %u rows",
                        path, (unsigned)PLUCK_MAX_VOCAB);
    if (status == PLUCK_OK && code == EXIT_DONE)
        code = read_bias(flags, input, (uint32_t)info->n_rows, &bias);
    if (status == PLUCK_OK && code == EXIT_DONE) {
        pluck_matrix weights = {.data = first.data,
                                .dtype = first.dtype,
                                .n_rows = (uint32_t)info->n_rows,
                                .n_cols = info->n_vocab};
        status = pluck_head_create_dense(&model->own, &weights, bias, options, &err);
    }
    free(bias);
    if (status != PLUCK_OK)
        code = complain_about(path, status, &err);
    return code;
}

int head_model_open(head_model *model, const head_flags *flags, const input_flags *input,
                    const char *path)
{
    unsigned char bytes[4];
    pluck_head_options options = {.struct_size = sizeof options, .no_map = input->no_map};
    pluck_error err;
    pluck_status status = PLUCK_OK;
    *model = (head_model){.text = NULL};
    int code = setup_isa(flags->isa, &options.isa);
    if (code == EXIT_DONE)
        code = first_bytes(path, bytes);
    if (code != EXIT_DONE)
        return code;
    bool is_arrays = memcmp(bytes, npy_magic, sizeof npy_magic) == 0;
    if (flags->bias && !is_arrays)
        return complain(
            EXIT_USAGE,
            "--bias belongs to a head whose weights are a .npy file; %s is not a .npy file", path);
    if (is_arrays) {
        code = open_arrays(model, flags, input, path, &options);
    } else if (memcmp(bytes, fasttext_magic, sizeof fasttext_magic) == 0) {
        pluck_fasttext_options text = {.struct_size = sizeof text,
                                       .label_prefix = flags->label_prefix,
                                       .isa = options.isa,
                                       .no_map = input->no_map};
        status = pluck_fasttext_open(&model->text, path, &text, &err);
        model->head = pluck_fasttext_head(model->text);
    } else {
        status = pluck_head_open(&model->own, path, &options, &err);
    }
    if (status != PLUCK_OK)
        code = complain_error(status, &err);
    if (model->own)
        model->head = model->own;
    if (code != EXIT_DONE)
        head_model_close(model);
    return code;
}

int head_model_open_head(head_model *model, const head_flags *flags, const input_flags *input,
                         const char *path)
{
    int code = head_model_open(model, flags, input, path);
    if (code != EXIT_DONE || model->head)
        return code;
    head_model_close(model);
    return complain(
        EXIT_DATA,
        "%s: its outputs are not a distribution (loss ova or ns), so it does not have a head",
        path);
}

pluck_head_info head_model_info(const head_model *model)
{
    pluck_head_info info = PLUCK_INIT(pluck_head_info);
    (void)pluck_head_get_info(model->head, &info, NULL);
    return info;
}

uint32_t head_model_n_outputs(const head_model *model)
{
    pluck_fasttext_info info = PLUCK_INIT(pluck_fasttext_info);
    if (!model->text)
        return head_model_info(model).n_vocab;
    (void)pluck_fasttext_get_info(model->text, &info, NULL);
    return info.n_outputs;
}

void head_model_close(head_model *model)
{
    pluck_fasttext_destroy(&model->text);
    pluck_head_destroy(&model->own);
    if (model->arrays.dump)
        source_close(&model->arrays);
    *model = (head_model){.text = NULL};
}

int float_rows_read(float_rows *rows, const input_flags *input, const char *path)
{
    source src;
    pluck_error err;
    size_t capacity = 0;
    *rows = (float_rows){.values = NULL};
    int code = source_open(input, path, &src);
    if (code != EXIT_DONE)
        return code;
    rows->n_cols = src.info.n_vocab;
    rows->shape = source_shape(&src.info);
    while (code == EXIT_DONE && rows->n_rows < src.info.n_rows) {
        pluck_logits row;
        pluck_status status = read_logits(src.dump, rows->n_rows, src.scratch, &row, &err);
        if (status != PLUCK_OK)
            code = complain_error(status, &err);
        else if (!row.data)
            break;
        else if (!grow(&rows->values, &capacity, (size_t)rows->n_rows + 1,
                       rows->n_cols * sizeof *rows->values))
            code = complain_memory();
        else
            widen_row(row, rows->values + rows->n_rows++ * rows->n_cols);
        pluck_dump_release(src.dump, rows->n_rows);
    }
    source_close(&src);
    if (code != EXIT_DONE)
        float_rows_free(rows);
    return code;
}

void float_rows_free(float_rows *rows)
{
    free(rows->values);
    *rows = (float_rows){.values = NULL};
}

int integers_read(const char *path, int64_t **values, size_t *n, plk_shape *shape)
{
    plk_integers integers;
    pluck_error err;
    *values = NULL;
    *n = 0;
    pluck_status status = plk_integers_open(&integers, path, NULL, &err);
    if (status != PLUCK_OK)
        return complain_error(status, &err);
    char text[PLK_SHAPE_TEXT_BYTES];
    int code = EXIT_DONE;
    if (!shape && plk_shape_squeezed(&integers.shape).n_axes > 1)
        code = complain(EXIT_DATA, "%s: has the shape %s; expected one axis, or (n, 1), (1, n)",
                        source_name(path), plk_shape_text(&integers.shape, text));
    else if (integers.n > SIZE_MAX / sizeof **values ||
             !(*values = malloc((size_t)integers.n * sizeof **values)))
        code = complain_memory();
    if (code == EXIT_DONE) {
        status = plk_integers_read(&integers, 0, (size_t)integers.n, *values, &err);
        if (status != PLUCK_OK)
            code = complain_error(status, &err);
    }
    if (code == EXIT_DONE) {
        *n = (size_t)integers.n;
        if (shape)
            *shape = integers.shape;
    } else {
        free(*values);
        *values = NULL;
    }
    plk_integers_close(&integers);
    return code;
}

static int read_targets(pair_set *pairs, const char *hidden, const char *path)
{
    int64_t *values = NULL;
    size_t n = 0;
    plk_shape shape;
    int code = integers_read(path, &values, &n, &shape);
    if (code != EXIT_DONE)
        return code;
    if (n != pairs->hidden.n_rows)
        code = complain(
            EXIT_DATA,
            "%s: has %zu targets for %llu hidden states; expected one target per hidden state",
            path, n, (unsigned long long)pairs->hidden.n_rows);
    else
        code = source_check_shape(hidden, &pairs->hidden.shape, path, &shape);
    pairs->targets = malloc(n * sizeof *pairs->targets);
    if (!pairs->targets)
        code = complain_memory();
    for (size_t i = 0; code == EXIT_DONE && i < n; i++) {
        if (values[i] < 0 || values[i] >= PLUCK_MAX_VOCAB)
            code =
                complain(EXIT_DATA, "%s: target %zu is %lld, not a token; expected 0 to 2^24 - 1",
                         path, i, (long long)values[i]);
        pairs->targets[i] = (pluck_token)values[i];
    }
    free(values);
    return code;
}

int pairs_read(pair_set *pairs, const input_flags *input, const char *hidden, const char *tokens)
{
    *pairs = (pair_set){.targets = NULL};
    int code = float_rows_read(&pairs->hidden, input, hidden);
    if (code == EXIT_DONE && pairs->hidden.n_rows > UINT32_MAX)
        code = complain(
            EXIT_DATA,
            "%s: has more than 2^32 - 1 rows; training and evaluation take at most that number",
            hidden);
    if (code == EXIT_DONE)
        code = read_targets(pairs, hidden, tokens);
    if (code != EXIT_DONE)
        pairs_free(pairs);
    return code;
}

void pairs_free(pair_set *pairs)
{
    float_rows_free(&pairs->hidden);
    free(pairs->targets);
    *pairs = (pair_set){.targets = NULL};
}

int pairs_check(const pair_set *pairs, const char *hidden, const char *tokens, uint32_t n_tokens,
                uint32_t dim)
{
    if (pairs->hidden.n_cols != dim)
        return complain(EXIT_DATA, "%s: rows have %u values, expected %u", hidden,
                        (unsigned)pairs->hidden.n_cols, (unsigned)dim);
    for (uint64_t i = 0; i < pairs->hidden.n_rows; i++)
        if ((uint32_t)pairs->targets[i] >= n_tokens)
            return complain(EXIT_DATA,
                            "%s: row %llu: the target is %d, but there are %u tokens (0 to %u)",
                            tokens, (unsigned long long)i, (int)pairs->targets[i],
                            (unsigned)n_tokens, (unsigned)n_tokens - 1);
    return EXIT_DONE;
}

/* Each worker has its own query, and a row its place. */
typedef struct loss_job {
    const pair_set *pairs;
    pluck_head_query **queries;
    double *logprobs;
} loss_job;

static pluck_status score_row(void *context, uint32_t worker, size_t row, pluck_error *err)
{
    const loss_job *job = context;
    const pair_set *pairs = job->pairs;
    return pluck_head_query_logprob(job->queries[worker],
                                    pairs->hidden.values + row * pairs->hidden.n_cols,
                                    pairs->targets[row], &job->logprobs[row], err);
}

/* Not pluck_head_run(), which rounds log-probabilities to float. */
static pluck_status score(loss_job *job, const pluck_head *head, size_t n, uint32_t n_threads,
                          pluck_error *err)
{
    pluck_status status = PLUCK_OK;
    pluck_error why;
    size_t failed = n;
    for (uint32_t i = 0; i < n_threads && status == PLUCK_OK; i++)
        status = pluck_head_query_create(&job->queries[i], head, NULL, err);
    if (status != PLUCK_OK)
        return status;
    status = plk_parallel_over(n_threads, n, score_row, job, &failed, NULL, &why);
    if (status == PLUCK_OK)
        return PLUCK_OK;
    *err = why;
    if (failed < n)
        (void)snprintf(err->message, sizeof err->message, "row %zu: %.200s", failed, why.message);
    return status;
}

int pairs_loss(const pair_set *pairs, const pluck_head *head, uint32_t n_threads, double *loss)
{
    size_t n = (size_t)pairs->hidden.n_rows;
    loss_job job = {.pairs = pairs,
                    .queries = calloc(n_threads, sizeof *job.queries),
                    .logprobs = malloc(n * sizeof *job.logprobs)};
    pluck_error err;
    pluck_status status = PLUCK_ERR_NOMEM;
    bool has_memory = job.queries && job.logprobs;
    if (has_memory)
        status = score(&job, head, n, n_threads, &err);
    double sum = 0;
    for (size_t i = 0; status == PLUCK_OK && i < n; i++)
        sum -= job.logprobs[i];
    *loss = sum / (double)n;
    for (uint32_t i = 0; job.queries && i < n_threads; i++)
        pluck_head_query_destroy(&job.queries[i]);
    free(job.queries);
    free(job.logprobs);
    if (!has_memory)
        return complain_memory();
    return complain_error(status, &err);
}
