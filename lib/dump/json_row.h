/*
 * One line of a JSON lines dump, which is one row:
 *
 *     {"logits": [1.5, null, -2e-3], "target": 2}
 *     {"logprobs": {"17": -0.25, "3": -1.5}}
 *
 * One of "logits" and "logprobs", each an array with a value for every token, or an object from
 * token ids to values, in which the tokens that are not named have -inf. null is -inf, and so is
 * the -Infinity of Python's json module, whose NaN and Infinity are read too. "target" is the token
 * that came next, null or a negative number for none. All other keys are skipped.
 */
#ifndef PLK_JSON_ROW_H
#define PLK_JSON_ROW_H

#include <pluck/base.h>

typedef struct plk_json_row {
    uint32_t n_values;  /* how many values are given */
    bool is_sparse;     /* as an object */
    pluck_token target; /* PLUCK_NO_TOKEN for none */
} plk_json_row;

/*
 * Reads a line without its end. values has room for n_vocab floats, or is NULL if only the form is
 * of interest: then n_vocab may be 0 for "not known", and ids are compared with PLUCK_MAX_VOCAB.
 * Numbers are rounded to the nearest double, then to the nearest float. where and number name the
 * file and the row in messages.
 */
pluck_status plk_json_row_read(const uint8_t *line, size_t length, float *values, uint32_t n_vocab,
                               const char *where, uint64_t number, plk_json_row *row,
                               pluck_error *err);

#endif
