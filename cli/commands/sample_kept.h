/*
 * Kept sets: for each row the tokens that the stages keep, as an .npz file of three arrays. Set r
 * is tokens[offsets[r]] to tokens[offsets[r + 1] - 1], ascending.
 *
 *    tokens    int32    of all sets, one after the other
 *    offsets   int64    one more than there are sets; the first is 0
 *    log_mass  float32  ln of each set's share of softmax(logits); NaN for a row that was skipped
 */
#ifndef CLI_SAMPLE_KEPT_H
#define CLI_SAMPLE_KEPT_H

#include "output.h"

#include "file/array_file.h"
#include "file/file.h"

#include <pluck/config.h>
#include <pluck/sampler.h>

/* Writing: the tokens go to the file set by set, and memory grows by 12 bytes per set. What is not
 * a regular file is written at the end, and memory grows by 4 bytes per token too. */
typedef struct kept_writer {
    output *out; /* the caller's */
    const char *path;
    uint64_t n_tokens;
    uint32_t crc; /* of the tokens so far */
    size_t n_sets, capacity;
    uint64_t *ends;      /* [capacity] of each set */
    uint32_t *log_mass;  /* [capacity] its bits */
    unsigned char *late; /* [late_capacity] the tokens, if they are written at the end */
    size_t late_capacity;
    unsigned char *made; /* [made_capacity] a set: the bits of log_mass, then the tokens */
    size_t made_capacity;
} kept_writer;

/* Opens path. Returns an exit code, after complain() if it is not EXIT_DONE. */
int kept_writer_open(kept_writer *w, output *out, const char *path);

/* A set as bytes, which are valid until the next one is made. NULL: memory ran out. */
const char *kept_writer_make(kept_writer *w, const pluck_token *tokens, size_t n, float log_mass,
                             size_t *n_bytes);

/* Appends a set that was made, perhaps by another process. Failures of the file are kept in out. */
int kept_writer_add(kept_writer *w, const char *bytes, size_t n_bytes);

/* Writes all that follows the tokens. The caller closes out. */
void kept_writer_finish(kept_writer *w);
void kept_writer_free(kept_writer *w);

/* One array of an .npz file. */
typedef struct kept_array {
    plk_integers integers;
    uint8_t *unpacked; /* its bytes, if the file has them deflated */
    uint64_t n;
    bool is_open, is_found;
} kept_array;

/* Reading: sets as masks. Many threads may use it at once. */
typedef struct kept_sets {
    const char *path;
    plk_source source;
    kept_array tokens, offsets;
    uint64_t n_sets;
    uint64_t first_row; /* of set 0 */
} kept_sets;

/* Returns an exit code, after complain() if it is not EXIT_DONE; kept_sets_close() in any case. */
int kept_sets_open(kept_sets *sets, const char *path);
void kept_sets_close(kept_sets *sets);

/* Whether the sets are of n_vocab tokens, and the rows first to end - 1 of the n_rows rows of a
 * dump called name have one each: set 0 belongs to the first of these rows, or to row 0 if there is
 * a set for each row of the dump. end and n_rows may be PLUCK_DUMP_ROWS_UNKNOWN. */
int kept_sets_check(kept_sets *sets, uint32_t n_vocab, uint64_t first, uint64_t end,
                    uint64_t n_rows, const char *name);

/* Whether a stream that has ended before row end had a row for every set. */
int kept_sets_check_end(const kept_sets *sets, uint64_t end, const char *name);

/* Writes the mask of a row: ceil(n_vocab / 32) words. */
pluck_status kept_sets_mask(kept_sets *sets, uint64_t row, uint32_t n_vocab, int32_t *words,
                            pluck_error *err);

/* Makes the configuration that gives the final distribution of config again under such masks: the
 * same stages without those that truncate, and the stage mask in the place of the last of these. */
int kept_config(pluck_config **out, const pluck_config *config, const char *path);

#endif
