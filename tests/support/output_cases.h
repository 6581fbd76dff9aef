/*
 * Random samplers, rows and wanted outputs, for tests that compare pluck_sampler_run() and the
 * calls for many rows with other calls.
 */
#ifndef OUTPUT_CASES_H
#define OUTPUT_CASES_H

#include "support/logit_cases.h"
#include "support/stage_cases.h"

#include <pluck/pluck.h>

enum {
    OUTPUTS_VOCAB = 999, /* at most */
    OUTPUTS_ROWS = 9,    /* at most */
    OUTPUTS_N_TOP = 7,
    OUTPUTS_N_GIVEN = 5,
    OUTPUTS_GAP = 3 /* floats between rows of probs */
};

typedef struct row_case {
    stage_text json;
    uint32_t n_vocab;
    logit_row row;
    int32_t mask[OUTPUTS_VOCAB / 32 + 1];
    bool is_masked;
} row_case;

/* A random chain, with a draw that may learn, and a row. n_vocab 0, dtype -1: any. */
void row_case_make(row_case *c, uint64_t seed, uint32_t n_vocab, int dtype);

/* With some history, the same for the same seed. The end of the program if it cannot be made. */
pluck_sampler *row_case_sampler(const row_case *c, uint64_t seed, pluck_isa isa,
                                pluck_workspace *workspace);

/* All outputs of some rows. */
typedef struct row_results {
    pluck_token tokens[OUTPUTS_ROWS], kept[OUTPUTS_ROWS * OUTPUTS_VOCAB];
    pluck_status statuses[OUTPUTS_ROWS];
    float logprobs[OUTPUTS_ROWS], raw_logprobs[OUTPUTS_ROWS], log_mass[OUTPUTS_ROWS];
    uint32_t n_survivors[OUTPUTS_ROWS];
    pluck_logprob top[OUTPUTS_ROWS * OUTPUTS_N_TOP];
    size_t offsets[OUTPUTS_ROWS + 1];
    float kept_logprobs[OUTPUTS_ROWS * OUTPUTS_VOCAB];
    float given_logprobs[OUTPUTS_ROWS * OUTPUTS_N_GIVEN];
    uint32_t given_ranks[OUTPUTS_ROWS * OUTPUTS_N_GIVEN];
    float probs[OUTPUTS_ROWS * (OUTPUTS_VOCAB + OUTPUTS_GAP)];
} row_results;

enum {
    OUT_TOKENS = 1 << 0,
    OUT_STATUSES = 1 << 1,
    OUT_LOGPROBS = 1 << 2,
    OUT_RAW_LOGPROBS = 1 << 3,
    OUT_SURVIVORS = 1 << 4,
    OUT_TOP = 1 << 5,
    OUT_TOP_FINAL = 1 << 6,
    OUT_OFFSETS = 1 << 7,
    OUT_KEPT = 1 << 8,
    OUT_KEPT_LOGPROBS = 1 << 9,
    OUT_LOG_MASS = 1 << 10,
    OUT_GIVEN_LOGPROBS = 1 << 11,
    OUT_GIVEN_RANKS = 1 << 12,
    OUT_GIVEN_FINAL = 1 << 13,
    OUT_PROBS = 1 << 14,
    OUT_ALL = (1 << 15) - 1
};

/* The wanted ones of n_rows rows; what depends on another one that is not wanted is left out. The
 * memory of these rows is filled with bytes 0x5A. */
pluck_outputs row_outputs(row_results *r, int wanted, size_t n_rows, uint32_t n_vocab,
                          const pluck_token *given);

/* Whether two results, of row a and of row b, have the same bits in every field that the outputs
 * want, kept tokens included. */
bool row_results_equal(const pluck_outputs *x, size_t a, const pluck_outputs *y, size_t b,
                       uint32_t n_vocab);

/* Whether the saved bytes of both are equal; true if the state cannot be saved. */
bool sampler_states_equal(const pluck_sampler *a, const pluck_sampler *b);

#endif
