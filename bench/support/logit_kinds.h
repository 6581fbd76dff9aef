/*
 * Synthetic logits, the same on every machine: kinds of distribution that a sampler meets, and
 * kinds that are meant to hurt it.
 */
#ifndef BENCH_LOGIT_KINDS_H
#define BENCH_LOGIT_KINDS_H

#include <pluck/base.h>

typedef struct bench_logit_kind {
    const char *name;
    const char *summary;
    /* Fills x[0 .. n); seed chooses among rows of the kind. dtype is what x will be rounded to. */
    void (*fill)(float *x, size_t n, uint64_t seed, pluck_dtype dtype);
} bench_logit_kind;

size_t bench_logit_kind_count(void);
const bench_logit_kind *bench_logit_kind_at(size_t index);

/* NULL if there is no kind of this name. */
const bench_logit_kind *bench_logit_kind_find(const char *name);

/* Entropy of softmax(x) in nats, and the size of its nucleus of mass 0.95, for a line that says
 * what was measured. Sorts a copy: *nucleus is 0 if there is no memory for one. */
double bench_entropy(const float *x, size_t n, size_t *nucleus);

#endif
