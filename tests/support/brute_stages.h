/*
 * The inside of brute_force.h: what the definitions of stages share, and one function a stage.
 */
#ifndef BRUTE_STAGES_H
#define BRUTE_STAGES_H

#include "support/brute_force.h"

#include <pluck/rng.h>

/* How far decisions by mass may be off, relatively. */
#define BRUTE_MARGIN 1e-6L

typedef struct brute_context {
    const pluck_stage *stage;
    const void *params;
    const pluck_token *history;
    size_t n_history;
    pluck_pcg64 *rng; /* of the position */
} brute_context;

typedef void brute_stage_function(brute_force *row, const brute_context *context);

/* A parameter by its name. */
const void *brute_param(const brute_context *context, const char *name);
double brute_number(const brute_context *context, const char *name);
int64_t brute_integer(const brute_context *context, const char *name);

/* Candidates in their order, for qsort. */
int brute_compare(const void *a, const void *b);

/* Keeps the n best; a doubt if the next one may be as good as the last. */
void brute_keep(brute_force *row, uint64_t n);

/* n, or min_keep if that is more. */
uint64_t brute_at_least(uint64_t n, const brute_context *context);

/* How many have a logit >= threshold; a doubt if one is nearer to it than margin and its slack. The
 * best, which always stays, gives none. */
uint32_t brute_count_from(brute_force *row, long double threshold, long double margin);

/* The new logit is kept as a float, in the units of the row before all temperatures. */
void brute_change(const brute_force *row, brute_candidate *item, long double logit);

/* The largest slack of all logits. */
long double brute_max_slack(const brute_force *row);

long double brute_entropy_of(const brute_force *row);

brute_stage_function brute_top_k;
brute_stage_function brute_top_p;
brute_stage_function brute_min_p;
brute_stage_function brute_top_a;
brute_stage_function brute_temperature;
brute_stage_function brute_logit_bias;
brute_stage_function brute_penalties;
brute_stage_function brute_epsilon_cutoff;
brute_stage_function brute_eta_cutoff;
brute_stage_function brute_p_less;
brute_stage_function brute_top_h;
brute_stage_function brute_tail_free;
brute_stage_function brute_typical;
brute_stage_function brute_top_n_sigma;
brute_stage_function brute_xtc;
brute_stage_function brute_infill;
brute_stage_function brute_dynamic_temperature;
brute_stage_function brute_smoothing;
brute_stage_function brute_entmax;
brute_stage_function brute_mirostat_v2;
brute_stage_function brute_mirostat;
brute_stage_function brute_adaptive_p;
brute_stage_function brute_mask;
brute_stage_function brute_bad_words;
brute_stage_function brute_no_repeat_ngram;
brute_stage_function brute_min_tokens;
brute_stage_function brute_exp_decay_length;
brute_stage_function brute_dry;
brute_stage_function brute_greedy;
brute_stage_function brute_categorical;

#endif
