/*
 * The view: what a stage sees of one row of logits.
 *
 * A view is dense until the first truncation, compact after.
 *   dense    the caller's logits (borrowed, f32/f16/bf16), one maximum a block of 64, and a short
 *            list of edits that replace single logits. The vocabulary is not copied.
 *   compact  the surviving candidates as two arrays, ids and logits, ascending by token.
 * In both, scale multiplies every stored logit: temperature only changes scale.
 *
 * Words: the *stored* logit is what the arrays and edits hold; the *logit* of a stage's formula is
 * scale * stored. Order is the same in both. "Better" means larger logit, or equal and lower token.
 *
 * Invariants: max is the largest stored logit and is finite; block_max[b] is the largest of block b
 * after edits (-inf when all are banned); edits ascend by token; a compact view has 1 <= n
 * candidates, all above -inf, arrays padded with -inf to a whole block.
 */
#ifndef PL_VIEW_H
#define PL_VIEW_H

#include "select/workspace.h"

typedef struct pl_view {
    const pl_kernels *kernels;
    pl_workspace *workspace; /* owns every array below */
    pluck_logits logits;
    double scale;
    float max;
    bool compact;
    uint32_t n_edits; /* dense */
    uint32_t n;       /* compact: candidates */
} pl_view;

/* Scans the logits. PLUCK_ERR_NAN names the first bad token (unless ban_nan), PLUCK_ERR_EMPTY if no
 * logit is above -inf. */
pluck_status pl_view_open(pl_view *view, pl_workspace *workspace, const pl_kernels *kernels,
                          pluck_logits logits, bool ban_nan, pluck_error *err);

/* Multiplies every logit by factor, 0 < factor < inf. */
void pl_view_scale(pl_view *view, double factor);

/* A new logit from an old one. index is that of the token in the list given to pl_view_edit; logits
 * are in the units of the stage's formula (scale applied). -INFINITY bans. */
typedef double (*pl_edit_function)(const void *context, size_t index, double logit);

/* Changes the logits of n tokens, ascending, each once, all < n_vocab; tokens that are banned or
 * truncated stay so. PLUCK_ERR_EMPTY if no token is left. NaN or +inf from the function is
 * PLUCK_ERR_NAN. */
pluck_status pl_view_edit(pl_view *view, const uint32_t *tokens, size_t stride_bytes, size_t n,
                          pl_edit_function function, const void *context, pluck_error *err);

/* Keeps the k best tokens; k >= 1. */
void pl_view_keep_top(pl_view *view, uint32_t k);

/* Keeps the tokens whose logit is >= max logit + offset (offset <= 0, exact), or the min_keep best
 * if those are more. */
void pl_view_keep_near_max(pl_view *view, double offset, uint32_t min_keep);

/* Keeps the shortest prefix of the tokens, best first, whose probability is >= p, at least min_keep
 * tokens. */
void pl_view_keep_nucleus(pl_view *view, double p, uint32_t min_keep);

/* Sum over the tokens left of exp(logit - max logit), and of the same times (logit - max logit). */
typedef struct pl_mass {
    double sum;
    double dot;
} pl_mass;
pl_mass pl_view_mass(pl_view *view);

/* exp(logit - max logit) as an exponent for kernels on stored logits. */
pl_exponent pl_view_exponent(const pl_view *view);

/* How many tokens have a positive probability: see pluck_sampler_distribution(). */
uint32_t pl_view_count(pl_view *view);

/* The best min(k, number of tokens) tokens, best first, with stored logits; into the workspace's
 * sorted arrays (ids, logits); returns how many. The view stays as it is. */
uint32_t pl_view_best(pl_view *view, uint32_t k, const uint32_t **ids, const float **logits);

/* The stored logit of a token: -inf if it is banned or truncated. */
float pl_view_stored(const pl_view *view, uint32_t token);

/* Block b of the stored logits (of the candidates when compact), 64 values, padded with -inf: a
 * pointer into the logits, or buffer (64 floats, written). */
const float *pl_view_block(const pl_view *view, uint32_t block, float *buffer);
uint32_t pl_view_n_blocks(const pl_view *view);

/* The token at an index of the blocks: index itself when dense, the candidate's id when compact. */
uint32_t pl_view_token(const pl_view *view, uint32_t index);

#endif
