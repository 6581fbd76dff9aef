/*
 * What inspect found out about one row, and its two notations.
 */
#ifndef CLI_INSPECT_H
#define CLI_INSPECT_H

#include "input.h"

#include <pluck/trace.h>

enum { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER };

typedef struct inspect_flags {
    call call;
    input_flags input;
    vocab_flags vocab;
    config_flags config;
    const char *row, *token, *prompt_tokens, *isa, *output, *svg, *csv;
    uint64_t top;
    int format, color;
    bool explain;
} inspect_flags;

typedef struct inspection {
    const inspect_flags *flags;
    const char *path; /* as typed */
    const char *name; /* in messages */
    uint64_t row;
    uint32_t n_vocab;
    uint32_t n_survivors; /* tokens with p > 0 in the final distribution */
    double entropy;       /* of the final distribution, in nats */
    pluck_prob *top;      /* the most probable tokens */
    uint32_t n_top;
    pluck_sampler *sampler; /* whose trace it is */
    pluck_trace *trace;
    const pluck_trace_report *report; /* of the trace */
    token_texts texts;
} inspection;

void inspect_print_text(const inspection *in, output *out);
void inspect_print_json(const inspection *in, output *out);
void inspect_print_csv(const inspection *in, output *out);
void inspect_print_svg(const inspection *in, output *out);

#endif
