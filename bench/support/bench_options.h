/*
 * The command line that the benchmarks share.
 */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include <pluck/base.h>

enum { BENCH_MAX_LIST = 16 };

typedef struct bench_options {
    pluck_isa isas[BENCH_MAX_LIST];
    size_t n_isas;
    uint32_t n_vocab[BENCH_MAX_LIST];
    size_t n_sizes;
    pluck_dtype dtypes[BENCH_MAX_LIST];
    size_t n_dtypes;
    const char *logits[BENCH_MAX_LIST]; /* kinds or paths */
    size_t n_logits;
    const char *only; /* --only TEXT: cases whose name contains it; NULL: all */
    const char *json; /* path, or NULL */
    bool quick;
    bool targets;        /* bench_sampler only */
    const char *library; /* bench_llama only: folder of libllama */
} bench_options;

/*
 * Reads argv. What is not given: the best instruction set (or all of them, if all_isas), 128256,
 * f32, "peaked". extra names the options that only this program has, as usage text; "" for none.
 * Returns -1 to go on; else the program is to end with this status (0 after --help, 2 after a
 * mistake, which is named on standard error).
 */
int bench_options_read(bench_options *options, int argc, char **argv, bool all_isas,
                       const char *extra);

#endif
