/*
 * The chains that benchmarks run, in one table: each stage alone, and the usual combinations.
 */
#ifndef BENCH_CHAINS_H
#define BENCH_CHAINS_H

#include <pluck/pluck.h>

typedef struct bench_chain {
    const char *name;
    const char *stages; /* stages and draws that it needs, separated by spaces */
    const char *json;
    unsigned mask_percent; /* sampled under a mask that allows so many tokens; 0: without one */
} bench_chain;

size_t bench_chain_count(void);
const bench_chain *bench_chain_at(size_t index);

/* NULL if there is no such chain. */
const bench_chain *bench_chain_find(const char *name);

/* NULL if this library has all stages of the chain; else the name of the first that it lacks, in
 * name[0 .. capacity_bytes). */
const char *bench_chain_lacks(const bench_chain *chain, char *name, size_t capacity_bytes);

/* On standard output: chains that cannot run because the library lacks a stage, and stages of the
 * library that no chain of the table uses. */
void bench_chains_report_gaps(void);

/* A sampler of the chain. On failure NULL, with a message on standard error. */
pluck_sampler *bench_chain_create(const bench_chain *chain, uint32_t n_vocab,
                                  const pluck_sampler_options *options);

/* The chain's mask, of (n_vocab + 31) / 32 words, to be freed; NULL if it has none. Which tokens it
 * allows follows no pattern of blocks. */
int32_t *bench_chain_mask(const bench_chain *chain, uint32_t n_vocab);

#endif
