/* What a file is, its first bytes say; a name says nothing. */
#include "head_model.h"
#include "arrays.h"
#include "setup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const flag head_group[] = {
    FLAG_TITLE("Dense heads"),
    {.name = "bias",
     .kind = FLAG_INPUT,
     .value = "FILE",
     .at = offsetof(head_flags, bias),
     .help = "the bias of a dense head whose weights are a .npy file"},
    FLAG_GROUP(isa_flag, head_flags, isa),
    FLAG_END,
};

static const unsigned char fasttext_magic[4] = {0xba, 0x16, 0x4f, 0x2f};
static const unsigned char npy_magic[4] = {0x93, 'N', 'U', 'M'};

static int first_bytes(const call *c, const char *path, unsigned char bytes[4])
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return complain(c->who, EXIT_SYSTEM, "%s: %s", path, strerror(errno));
    size_t n = fread(bytes, 1, 4, file);
    int error = ferror(file) ? errno : 0;
    fclose(file);
    if (error != 0)
        return complain(c->who, EXIT_SYSTEM, "%s: %s", path, strerror(error));
    return n == 4 ? EXIT_DONE
                  : complain(c->who, EXIT_DATA,
                             "%s: is no model: fastText (.bin, .ftz), .safetensors or .npy is read",
                             path);
}

/* The bias of a dense head in arrays; NULL if none was given. */
static int read_bias(const call *c, const head_flags *flags, const input_flags *input,
                     uint32_t n_vocab, float **bias)
{
    float_rows rows = {0};
    *bias = NULL;
    if (!flags->bias)
        return EXIT_DONE;
    int code = float_rows_read(&rows, c, input, flags->bias);
    if (code == EXIT_DONE && rows.n_rows * rows.n_cols != n_vocab) {
        float_rows_free(&rows);
        return complain(c->who, EXIT_DATA, "%s: has %llu values, the head %u tokens", flags->bias,
                        (unsigned long long)(rows.n_rows * rows.n_cols), (unsigned)n_vocab);
    }
    *bias = rows.values;
    return code;
}

static int open_arrays(head_model *model, const call *c, const head_flags *flags,
                       const input_flags *input, const char *path,
                       const pluck_head_options *options)
{
    pluck_logits first;
    pluck_error err;
    float *bias = NULL;
    int code = source_open(c, input, path, &model->arrays);
    if (code != EXIT_DONE)
        return code;
    const pluck_dump_info *info = &model->arrays.info;
    pluck_status status = read_logits(model->arrays.dump, 0, model->arrays.scratch, &first, &err);
    if (status == PLUCK_OK && (info->n_rows > PLUCK_MAX_VOCAB || info->streamed ||
                               first.data == (const void *)model->arrays.scratch))
        code = complain(c->who, EXIT_DATA,
                        "%s: the weights of a head must be f4 or f2 in C order, at most %u rows",
                        path, (unsigned)PLUCK_MAX_VOCAB);
    if (status == PLUCK_OK && code == EXIT_DONE)
        code = read_bias(c, flags, input, (uint32_t)info->n_rows, &bias);
    if (status == PLUCK_OK && code == EXIT_DONE) {
        pluck_matrix weights = {.data = first.data,
                                .dtype = first.dtype,
                                .n_rows = (uint32_t)info->n_rows,
                                .n_cols = info->n_vocab};
        status = pluck_head_create_dense(&model->own, &weights, bias, options, &err);
    }
    free(bias);
    if (status != PLUCK_OK)
        code = complain(c->who, exit_code_of(status), "%s: %s", path, err.message);
    return code;
}

int head_model_open(head_model *model, const call *c, const head_flags *flags,
                    const input_flags *input, const char *path)
{
    unsigned char bytes[4];
    pluck_head_options options = {.struct_size = sizeof options, .no_map = input->no_map};
    pluck_error err;
    pluck_status status = PLUCK_OK;
    *model = (head_model){.text = NULL};
    int code = setup_isa(c, flags->isa, &options.isa);
    if (code == EXIT_DONE)
        code = first_bytes(c, path, bytes);
    if (code != EXIT_DONE)
        return code;
    bool is_arrays = memcmp(bytes, npy_magic, sizeof npy_magic) == 0;
    if (flags->bias && !is_arrays)
        return complain(c->who, EXIT_USAGE, "--bias belongs to a head in .npy files; %s is none",
                        path);
    if (is_arrays) {
        code = open_arrays(model, c, flags, input, path, &options);
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
        code = complain(c->who, exit_code_of(status), "%s", err.message);
    if (model->own)
        model->head = model->own;
    if (code != EXIT_DONE)
        head_model_close(model);
    return code;
}

int head_model_open_head(head_model *model, const call *c, const head_flags *flags,
                         const input_flags *input, const char *path)
{
    int code = head_model_open(model, c, flags, input, path);
    if (code != EXIT_DONE || model->head)
        return code;
    head_model_close(model);
    return complain(c->who, EXIT_DATA,
                    "%s: its outputs are no distribution (loss ova or ns), so it has no head",
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
