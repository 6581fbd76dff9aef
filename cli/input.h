/*
 * What a command reads: dumps, which of their rows, the tokens that followed, and the texts of
 * tokens.
 */
#ifndef CLI_INPUT_H
#define CLI_INPUT_H

#include "flags.h"

#include <pluck/config.h>
#include <pluck/dump.h>
#include <pluck/sampler.h>

#include "file/array_file.h"
#include "vocab/vocab.h"

/* A dump and memory for one of its rows. */
typedef struct source {
    pluck_dump *dump;
    pluck_dump_info info;
    float *scratch;
} source;

/* What messages call a dump: its path, or "standard input". */
const char *source_name(const char *path);

/* The axes of a dump that are rows; none for a format without a shape. */
plk_shape source_shape(const pluck_dump_info *info);

/* Whether targets are in the order of the rows, as far as the shapes tell: else EXIT_DATA after
 * complain(). Both are known to be of the same number. */
int source_check_shape(const char *dump_name, const plk_shape *rows, const char *targets_name,
                       const plk_shape *of);

int source_open(const input_flags *flags, const char *path, source *src);
void source_close(source *src);

/* pluck_dump_read() without the target. */
pluck_status read_logits(pluck_dump *dump, uint64_t row, float *scratch, pluck_logits *logits,
                         pluck_error *err);

/* The values of a row as floats; f16 and bf16 are widened exactly. values may be those of the row
 * if they are floats. */
void widen_row(pluck_logits row, float *values);

/* The texts of tokens: those of --vocab, or of a dump whose rows name their tokens so. */
typedef struct token_texts {
    plk_vocab vocab;
    const char *name; /* of the file or dump that they are from; NULL: there are none */
    bool is_of_dump;
    bool may_be_short; /* fewer than the rows have values */
} token_texts;

/* Those of --vocab, if it is given. */
int texts_open(token_texts *texts, const vocab_flags *flags);
void texts_close(token_texts *texts);

/* Whether they have the length of the rows of a dump called name (NULL: of a head) and may belong
 * to it: else an exit code after complain(). */
int texts_check(const token_texts *texts, const char *name, const pluck_dump *dump,
                uint32_t n_vocab);

/* Those of a dump called name; without them nothing happens. */
int texts_take(token_texts *texts, const char *name, const pluck_dump *dump, uint32_t n_vocab);

/* "" for a token without a text; *n: its bytes. */
const char *texts_get(const token_texts *texts, pluck_token token, size_t *n);

/* Gives the texts to a sampler that will be made with these options, if there are any; they must
 * outlive it. */
void texts_give(const token_texts *texts, pluck_sampler_options *options);

/* The text of a token as a member of a JSON object and as a cell of a table; nothing if there are
 * no texts. */
void texts_json(const token_texts *texts, output *out, const char *name, pluck_token token);
void texts_cell(const token_texts *texts, table *t, pluck_token token, unsigned columns);

typedef struct row_range {
    bool is_single;
    bool has_first, has_end;
    int64_t first, end; /* negative: from the end */
} row_range;

/* A range as Python writes it: "3", "3:7", "3:", ":7", "-2:", ":"; NULL is every row. */
int rows_read(const char *text, row_range *range);

/* The number of one row; NULL is the first. */
int rows_read_one(const char *text, row_range *range);

/* The rows of a dump with n_rows rows (PLUCK_DUMP_ROWS_UNKNOWN for a stream) that the range means:
 * *first .. *end - 1. A range is clipped, as in Python; a single row must exist. */
int rows_resolve(const row_range *range, uint64_t n_rows, const char *path, uint64_t *first,
                 uint64_t *end);

/* How many rows of a dump a range means, without the notes of source_open(). */
int source_count_rows(const input_flags *flags, const char *path, const row_range *range,
                      uint64_t *n);

typedef struct targets {
    const char *name; /* of the file, or of the dump, in messages */
    pluck_targets *file;
    uint32_t n_vocab;
    bool is_known; /* there are targets, of a file or of the dump */
} targets;

/* Opens path if it is given (then the file must have one target for each row of src, if
 * their number is known), else takes those of the dump, if it has any; else t->is_known is false.
 * dump_name stands for src in messages. */
int targets_open(targets *t, const char *path, const source *src, const char *dump_name);
void targets_close(targets *t);

/* The target of row number row, which has been read as read, in *token: PLUCK_NO_TOKEN where there
 * is none. Many threads may ask. */
pluck_status targets_get(const targets *t, uint64_t row, const pluck_dump_row *read,
                         pluck_token *token, pluck_error *err);

/*
 * What makes the input of a command doubtful although it can be read: rows that are not logits, and
 * targets that do not belong to their rows. Each function writes a sentence without its full stop
 * into text, at most DOUBT_BYTES with the final zero.
 */

enum { DOUBT_BYTES = 320 };

/* Looks at up to 32 of the rows first .. end - 1. true: they are probabilities, or negated
 * logarithms of probabilities; or logarithms, and config (or NULL), which is to run on them, looks
 * at their sign. False for a stream, of which no row may be read ahead. */
bool doubt_rows(const source *src, const pluck_config *config, uint64_t first, uint64_t end,
                char text[DOUBT_BYTES]);

/* Writes what doubt_rows() says of this dump to standard error. */
void warn_of_rows(const char *name, const source *src, const pluck_config *config, uint64_t first,
                  uint64_t end);

/* Means over rows with a target, at T = 1. */
typedef struct target_facts {
    uint64_t rows;
    uint32_t n_vocab;
    double nll, confidence, accuracy; /* confidence NaN: not known, like accuracy */
} target_facts;

/* true: these targets are worse than chance, or correct far less often than the rows say. */
bool doubt_targets(const target_facts *facts, char text[DOUBT_BYTES]);

/* doubt_targets() of a loss, to standard error; name: of the targets. */
void warn_of_loss(const char *name, uint64_t rows, uint32_t n_vocab, double loss);

/* Adds to the sentence of doubt_targets() what a shift of the targets by one would change, as seen
 * in up to 256 of the rows first .. end - 1. Not for streams. */
void doubt_add_shift(const source *src, const targets *truth, uint64_t first, uint64_t end,
                     char text[DOUBT_BYTES]);

#endif
