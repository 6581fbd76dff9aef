/*
 * A head that the tree commands work on: a fastText model, a stored head (.safetensors), or a dense
 * head given as arrays (.npy).
 *
 * Arrays of numbers that the tree commands read whole: rows of floats, lists of whole numbers.
 */
#ifndef CLI_MODEL_H
#define CLI_MODEL_H

#include "input.h"

#include <pluck/fasttext.h>

typedef struct head_flags {
    const char *bias;         /* a file */
    const char *isa;          /* as of isa_flag */
    const char *label_prefix; /* of a fastText model */
} head_flags;
extern const flag head_group[]; /* --bias and --isa */

typedef struct head_model {
    pluck_fasttext *text; /* NULL: not a fastText model */
    pluck_head *own;      /* NULL: a fastText model */
    const pluck_head
        *head;     /* of either; NULL: a fastText model whose outputs are not a distribution */
    source arrays; /* what a dense head borrows; closed if there are none */
} head_model;

/* Opens path, recognised by its content: a fastText model, a .npy file with the weights [tokens,
 * dim] of a dense head (and flags->bias), or a .safetensors file. If it fails
 * nothing is open. */
int head_model_open(head_model *model, const head_flags *flags, const input_flags *input,
                    const char *path);
void head_model_close(head_model *model);

/* The same for a head, and not a fastText model without one. */
int head_model_open_head(head_model *model, const head_flags *flags, const input_flags *input,
                         const char *path);

pluck_head_info head_model_info(const head_model *model);

/* The labels or words of a fastText model, else the tokens of the head. */
uint32_t head_model_n_outputs(const head_model *model);

/* Rows of floats from .npy or .safetensors of any type that dumps have. */
typedef struct float_rows {
    float *values;
    uint64_t n_rows;
    uint32_t n_cols;
    plk_shape shape; /* of the rows, as source_shape() gives it */
} float_rows;

/* Reads path ("-": standard input). If it fails nothing is held. */
int float_rows_read(float_rows *rows, const input_flags *input, const char *path);
void float_rows_free(float_rows *rows);

/* Integers from .npy or text (file/array_file.h). *shape is theirs; for NULL only one axis may
 * be longer than 1. The caller frees *values, which is NULL after a failure. */
int integers_read(const char *path, int64_t **values, size_t *n, plk_shape *shape);

/* Pairs of hidden states and tokens; all zero: none. */
typedef struct pair_set {
    float_rows hidden;
    pluck_token *targets;
} pair_set;

/* Reads both files, which must have the same number of rows. If it fails nothing is held. */
int pairs_read(pair_set *pairs, const input_flags *input, const char *hidden, const char *targets);
void pairs_free(pair_set *pairs);

/* Whether all targets are below n_tokens and hidden states have dim values; else EXIT_DATA after
 * complain(), which names the file of either. */
int pairs_check(const pair_set *pairs, const char *hidden, const char *targets, uint32_t n_tokens,
                uint32_t dim);

/* Mean of -ln p(target | hidden), in nats. */
int pairs_loss(const pair_set *pairs, const pluck_head *head, uint32_t n_threads, double *loss);

/*
 * Lines of text from a file or a pipe, all that the system has at hand at a time, so that a
 * program at the other end of a pipe gets its answers without closing it.
 */

typedef struct text_line {
    size_t offset, n; /* in line_reader.text; with the newline, if it has one */
} text_line;

typedef struct line_reader {
    const char *name;
    int fd;
    bool has_ended;
    char *text;
    size_t n, capacity;
    size_t n_used;     /* bytes of the lines that were given */
    size_t n_searched; /* bytes in which all newlines are known */
    text_line *lines;
    size_t n_lines, lines_capacity;
} line_reader;

/* path, or standard input for NULL and "-". If it fails nothing is open. */
int lines_open(line_reader *reader, const char *path);
void lines_close(line_reader *reader);

/*
 * The next lines: lines[0 .. n_lines - 1], valid until the next call. None is the end of the text;
 * the last line need not have a newline. The word "</s>" ends a line as a newline does, with one
 * space after it: fastText reads its input so.
 */
int lines_next(line_reader *reader);

#endif
