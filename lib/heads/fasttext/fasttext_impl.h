/*
 * What an open fastText model and its queries are made of.
 */
#ifndef PLK_FASTTEXT_IMPL_H
#define PLK_FASTTEXT_IMPL_H

#include "heads/fasttext/fasttext_features.h"
#include "heads/fasttext/fasttext_file.h"
#include "heads/heads.h"

struct pluck_fasttext {
    pluck_allocator allocator;
    plk_source source;
    plk_fasttext_file file;
    char *label_prefix;
    uint32_t n_outputs;
    const plk_fasttext_entry *outputs; /* the entries that are outputs */
    float *expanded;                   /* a quantised output matrix as floats */
    pluck_head *head;
};

/* An output and the logarithm of its probability, as fastText carries it. */
typedef struct plk_fasttext_scored {
    float score;
    uint32_t output;
} plk_fasttext_scored;

struct pluck_fasttext_query {
    pluck_allocator allocator;
    const pluck_fasttext *model;
    pluck_head_query *head_query;
    plk_fasttext_line line;
    float *hidden;
    pluck_scored_token *scored;      /* n_outputs */
    plk_fasttext_scored *candidates; /* n_outputs */
};

/* Whether the outputs are a distribution. */
static inline bool plk_fasttext_is_distribution(const pluck_fasttext *model)
{
    return model->file.args.loss == PLUCK_FASTTEXT_HS ||
           model->file.args.loss == PLUCK_FASTTEXT_SOFTMAX;
}

/* fastText's own prediction from the hidden state of the query: candidates are the k best of those
 * that reach the threshold, in fastText's order, *n how many there are. */
pluck_status plk_fasttext_compat(pluck_fasttext_query *query, uint32_t k, float threshold,
                                 uint32_t *n, pluck_error *err);

#endif
