/*
 * Predictions for lines of text or for hidden states, on several threads. What an item gives
 * depends on the item alone.
 */
#ifndef CLI_PREDICTORS_H
#define CLI_PREDICTORS_H

#include "head_model.h"
#include "lines.h"

#include "thread/pool.h"

typedef struct predict_flags {
    call call;
    input_flags input;
    head_flags head;
    vocab_flags vocab;
    const char *output;
    uint64_t top, seed, threads;
    double threshold, temperature;
    int format;
    bool sample, compat;
} predict_flags;

typedef struct predictor {
    pluck_fasttext_query *text; /* NULL: hidden states */
    pluck_head_query *head;     /* NULL: a fastText model that is not drawn from */
    float *hidden;              /* one row; NULL for text */
    pluck_logprob *tokens;      /* n_labels; NULL for a fastText model that is not drawn from */
} predictor;

typedef struct predictor_team {
    const predict_flags *flags;
    const head_model *model;
    source *src;              /* of hidden states; NULL for text */
    const line_reader *lines; /* of text; NULL for hidden states */
    uint32_t n_labels;        /* at most so many an item: --top, or all */
    uint64_t first_now;       /* number of the first item of this run */
    uint64_t first_item;      /* number of the first item in the input: its random stream */
    pluck_pool *pool;
    predictor *workers;
    size_t n_workers;
    size_t n_items;               /* at most so many at a time */
    pluck_fasttext_label *labels; /* [n_items, n_labels]; text is NULL for hidden states */
    uint32_t *n_found;            /* [n_items] */
} predictor_team;

/* src or lines is the input, and must live as long as the team. Returns an exit code, after
 * complain() if it is not EXIT_DONE; then there is nothing to destroy. */
int predictors_create(predictor_team *team, const predict_flags *flags, const head_model *model,
                      source *src, const line_reader *lines);
void predictors_destroy(predictor_team *team);

/* Predicts items first .. first + n - 1 (lines of the reader, rows of the source); n <= n_items. On
 * failure *n_done is how many there are before the first that failed, and err says why. */
pluck_status predictors_run(predictor_team *team, uint64_t first, size_t n, size_t *n_done,
                            pluck_error *err);

#endif
