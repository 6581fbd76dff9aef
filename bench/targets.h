/*
 * The table of targets: what each kind of work may cost at most, in R.
 */
#ifndef BENCH_TARGETS_H
#define BENCH_TARGETS_H

#include "sampler_bench.h"

/* Measures each target on AVX2 and AVX-512 where supported (else on the best set) and prints it
 * beside the bound, met or not met. A target that is not met is no failure: false only if something
 * could not be measured. */
bool targets_run(sampler_bench *bench);

#endif
