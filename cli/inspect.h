/*
 * What inspect found out about one row, and its two notations.
 */
#ifndef CLI_INSPECT_H
#define CLI_INSPECT_H

#include "output.h"
#include "vocab.h"

#include <pluck/sampler.h>

typedef struct inspection {
    const arguments *args;
    const char *path; /* as typed */
    const char *name; /* in messages */
    uint64_t row;
    uint32_t n_vocab;
    uint32_t n_survivors; /* tokens with p > 0 in the final distribution */
    double entropy;       /* of the final distribution, in nats */
    pluck_prob *top;      /* the most probable tokens */
    uint32_t n_top;
    pluck_stage_report *stages;
    size_t n_stages;
    vocab v;
} inspection;

void inspect_print_text(const inspection *in, output *out);
void inspect_print_json(const inspection *in, output *out);
void inspect_print_csv(const inspection *in, output *out);
void inspect_print_svg(const inspection *in, output *out);

#endif
