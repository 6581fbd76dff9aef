/*
 * The view: what a stage sees of one row of logits.
 *
 * A view is dense until the first truncation, compact after.
 *   dense    the caller's logits (borrowed, f32/f16/bf16), one maximum a block of 64, a short list
 *            of edits that replace single logits, and perhaps the caller's mask. The vocabulary is
 *            not copied. It may be bent: then every logit is mapped when it is read.
 *   compact  the surviving candidates as two arrays, ids and values, ascending by token.
 * A dense view may have only the blocks of a slice (share.h): then the logits outside of them are
 * -inf, and so are their block maxima.
 * In both, scale multiplies every stored logit: temperature only changes scale.
 *
 * Words: the *stored* logit is what the arrays and edits hold; the *logit* of a stage's formula is
 * scale * stored. The order is the same in both. "Better" means larger logit, or equal and lower
 * token.
 *
 * Invariants: max is the largest stored logit and is finite. block_max[b] is the largest of block b
 * after edits and mask (-inf when all are banned). Edits ascend by token. A compact view has n >= 1
 * candidates, all above -inf, and values is padded with -inf to a whole block.
 */
#ifndef PLK_VIEW_H
#define PLK_VIEW_H

#include "select/scratch.h"

#include <string.h>

/*
 * A truncation by mass that was asked for on a dense view and that nothing has needed yet. A draw
 * can often do without it: whether one token belongs to the nucleus is cheaper to find out than
 * where the nucleus ends (membership.c). Whoever needs the survivors calls plk_view_settle() first.
 */
typedef struct plk_deferred_nucleus {
    double p;     /* 0: none is waiting */
    double scale; /* the view's scale when it was asked for */
} plk_deferred_nucleus;

/* A stored logit that replaces the caller's. */
typedef struct plk_edit {
    uint32_t token;
    float logit;
} plk_edit;

typedef struct plk_share plk_share;

typedef struct plk_view {
    const plk_kernels *kernels;
    plk_scratch *scratch; /* owns every array but edits */
    pluck_logits logits;  /* of a slice: as if all were there; those outside may not be read */
    uint32_t first_block, end_block; /* dense: the blocks that it has */
    plk_share *share;                /* dense: what other ranks know of a row in slices; or NULL */
    double scale;
    float max;
    bool compact;
    plk_edit *edits; /* [max_edits] dense: ascending by token; memory of the sampler's */
    size_t max_edits;
    size_t edits_left; /* how many more tokens pluck_view_edit() takes as edits */
    uint32_t n_edits;
    uint32_t n;          /* compact: how many candidates it holds */
    const int32_t *mask; /* the caller's for this row, or NULL; see plk_view_apply_mask() */
    bool masked;         /* dense: tokens whose bit is 0 are banned */
    bool few_allowed;    /* so that the view of a whole row becomes compact */
    bool bent;           /* dense: logits that no edit replaces are mapped by bend */
    plk_bend bend;
    float bend_from; /* the largest logit that bend maps */
    plk_deferred_nucleus deferred;
    bool is_race;    /* the draw is a race with this noise, not inverse transform (race.c) */
    plk_noise noise; /* of the position */
} plk_view;

/* Scans the logits. The view has no memory for edits: whoever opens it sets edits and max_edits
 * before the first edit. PLUCK_ERR_NAN names the first bad token, unless ban_nan treats such tokens
 * as banned; PLUCK_ERR_EMPTY if no logit is above -inf. */
pluck_status plk_view_open(plk_view *view, plk_scratch *scratch, const plk_kernels *kernels,
                           pluck_logits logits, bool ban_nan, pluck_error *err);

/* Opens a view of the slice that begins at first_token, a multiple of PLK_BLOCK, of a row of
 * scratch->n_vocab tokens. If a logit is NaN or +inf, the view has no block, and the result is
 * false. share says what the other ranks know; it may be NULL for views of whole rows. */
bool plk_view_open_slice(plk_view *view, plk_scratch *scratch, const plk_kernels *kernels,
                         pluck_logits slice, uint32_t first_token, plk_share *share);

/* Opens a view under a mask that acts before everything else, in one pass. False, and nothing said
 * of why, if plk_view_open() or plk_view_apply_mask() would fail, or if a bad logit is banned:
 * these two then have to do it. */
bool plk_view_open_masked(plk_view *view, plk_scratch *scratch, const plk_kernels *kernels,
                          pluck_logits logits, const int32_t *mask);

/* Multiplies every logit by factor > 0. */
void plk_view_scale(plk_view *view, double factor);

/* Where the blocks of 64 stored logits end: those of the vocabulary from first_block on when dense,
 * those of the candidates from 0 on when compact. */
uint32_t plk_view_n_blocks(const plk_view *view);

/* The token at an index of the blocks: the index itself when dense, else the candidate's id. */
uint32_t plk_view_token(const plk_view *view, uint32_t index);

/* Block b, padded with -inf: a pointer into the logits, or buffer (64 floats, then written). */
const float *plk_view_block(const plk_view *view, uint32_t block, float *buffer);

/* The same, but only the first *n values, beyond which the block is padding. */
const float *plk_view_part(const plk_view *view, uint32_t block, float *buffer, uint32_t *n);

/* A value of such a block, which has the alignment of the caller's logits: any. Kernels know. */
static inline float plk_float_at(const float *x, size_t i)
{
    float value;
    memcpy(&value, (const unsigned char *)x + i * sizeof value, sizeof value);
    return value;
}

/* The same for *n_blocks consecutive blocks. *n_blocks is cut to what can be had in one piece, at
 * least 1. buffer holds PLK_RUN_BLOCKS blocks. */
const float *plk_view_blocks(const plk_view *view, uint32_t block, uint32_t *n_blocks,
                             float *buffer);

/* How many blocks from this one on are what the caller's logits hold: whole, f32, without edits,
 * not masked. 0 if this one is not. */
uint32_t plk_view_n_direct(const plk_view *view, uint32_t block);

/* Whether the token is in the blocks that the view was opened with. */
static inline bool plk_view_has(const plk_view *view, uint32_t token)
{
    uint32_t block = token / PLK_BLOCK;
    return block >= view->first_block && block < view->end_block;
}

/* The caller's logit of a token, as a float, bent if the view is; -inf if a dense view's mask bans
 * it, or if the view does not have it. */
float plk_view_raw(const plk_view *view, uint32_t token);

/* The stored logit of a token: -inf if it is banned or truncated. */
float plk_view_stored(const plk_view *view, uint32_t token);

/*
 * All blocks in order, as few and long runs as possible: for passes over everything.
 *     plk_run run;
 *     plk_run_init(&run, &view);
 *     while (plk_run_next(&run))
 *         kernel(run.x, run.n_blocks, …);     block run.first_block is the first of them
 */
enum { PLK_RUN_BLOCKS = 16 };
typedef struct plk_run {
    const float *x;
    uint32_t first_block;
    uint32_t n_blocks;
    const plk_view *view;
    uint32_t edit; /* the first edit not yet passed */
    float buffer[PLK_RUN_BLOCKS *
                 PLK_BLOCK]; /* where runs that are not part of the logits are made */
} plk_run;

void plk_run_init(plk_run *run, const plk_view *view);

/* The same from this block on. */
void plk_run_init_at(plk_run *run, const plk_view *view, uint32_t block);
bool plk_run_next(plk_run *run);

/* For functions that truncate: the candidates are now the first n of ids and values; pads them and
 * finds the maximum. n >= 1. */
void plk_view_become_compact(plk_view *view, uint32_t n);

/* Index of the first edit whose token is >= token. */
uint32_t plk_view_find_edit(const plk_view *view, uint32_t token);

/*
 * Changing the logits of single tokens at a cost that follows their number, not the vocabulary.
 */

/* A new logit from an old one, both in the units of the stage's formula (scale applied). index
 * is that of the token in the list given to plk_view_edit. -INFINITY bans; NaN and +inf must not
 * be. */
typedef double (*plk_edit_function)(const void *context, size_t index, double logit);

/* The tokens to change: the uint32_t at tokens, tokens + stride_bytes, …; ascending, each once, all
 * below the vocabulary's size. */
typedef struct plk_token_list {
    const void *tokens;
    size_t stride_bytes;
    size_t n;
} plk_token_list;

/* Changes the logits of the listed tokens; those banned or truncated stay so. The number of tokens
 * that were listed since the view was opened is at most max_edits. PLUCK_ERR_EMPTY if no token is
 * left; the view is then unusable. */
pluck_status plk_view_edit(plk_view *view, plk_token_list list, plk_edit_function function,
                           const void *context, pluck_error *err);

/* The same for a logit of -inf. */
pluck_status plk_view_ban(plk_view *view, plk_token_list list, pluck_error *err);

/* Gives every token above -inf a new logit; the index is that of the candidate, and the scale is 1
 * afterwards. The view becomes compact. PLUCK_ERR_EMPTY as above. */
pluck_status plk_view_edit_all(plk_view *view, plk_edit_function function, const void *context,
                               pluck_error *err);

/* Gives every logit above -inf a new one, and sets the scale to 1. bend->scale is the view's, max
 * its largest logit. A dense view stays dense if the map keeps the order (rises: cube >= 0 >=
 * square), and if it is not bent already. */
void plk_view_bend(plk_view *view, const plk_bend *bend);

/* For a bent view whose block maxima are those of the logits before the map: maps them. */
void plk_view_bend_maxima(const plk_view *view);

/* The new logit of one. */
float plk_bend_value(const plk_bend *bend, float x);

/* Gives the candidates of a compact view the logits that plk_preference makes of their weights, and
 * sets the scale to 1. weights: whole blocks; what belongs to no candidate may be any number >= 0.
 */
void plk_view_prefer(plk_view *view, const float *weights, plk_preference preference);

/* For a bent view: the smallest logit that is mapped to at least the threshold. If no logit of the
 * view is, one above all of them: edits, in a slice those of other ranks, can raise the maximum. */
float plk_view_unbend(const plk_view *view, float threshold);

/* Makes every token above -inf a candidate of a compact view. */
void plk_view_make_compact(plk_view *view);

/*
 * Masks: one bit per token, set by the caller for one position; bit i % 32 of word i / 32 is token
 * i, 1 = allowed. A block of 64 tokens is two words.
 */

/* Bans the tokens whose bit in view->mask is 0. PLUCK_ERR_EMPTY if no token is left; the view is
 * then unusable. Without a mask nothing changes. */
pluck_status plk_view_apply_mask(plk_view *view, pluck_error *err);

/* The number of words of a mask for n_vocab tokens. */
size_t plk_mask_words(uint32_t n_vocab);

/*
 * Between view.c and token_mask.c, of a dense view.
 */

/* A view of the whole row, not scanned yet. */
plk_view plk_view_of(plk_scratch *scratch, const plk_kernels *kernels, pluck_logits logits);

/* The scan under view->mask: the maxima of what is allowed, of the logits without edits, and how
 * many tokens that is. True if some logit, banned or not, is NaN or +inf. */
bool plk_view_scan_masked(const plk_view *view, size_t *n_allowed);

/* The words of n_blocks <= PLK_RUN_BLOCKS blocks: where they lie, or in buffer, two per block,
 * where the last word or token is not that of a whole block. */
const int32_t *plk_mask_at(const plk_view *view, uint32_t block, uint32_t n_blocks,
                           int32_t *buffer);

/* The first says whether the token is allowed, the second how many of the n_blocks blocks from
 * block on are allowed as a whole, up to the first that is not. The third writes blocks block ..
 * block + n_blocks - 1 of values to out, with -inf for what is banned; out may be values. */
bool plk_mask_allows(const plk_view *view, uint32_t token);
uint32_t plk_mask_whole_blocks(const plk_view *view, uint32_t block, uint32_t n_blocks);
void plk_mask_values(const plk_view *view, uint32_t block, uint32_t n_blocks, const float *values,
                     float *out);

/*
 * A set of tokens with a number each, gathered in any order and listed ascending, in arrays of the
 * scratch memory: for stages that find the tokens to change by looking through the history. Valid
 * until the view is changed.
 */

typedef struct plk_token_marks {
    uint32_t n_vocab;
    uint64_t *bits;   /* one per token; only if they are many */
    uint32_t *values; /* [n_vocab] of the tokens that are marked */
    uint32_t *tokens; /* the list, ascending */
    size_t n;         /* how many it holds; if they are many, once it has been asked for */
    bool are_many;
} plk_token_marks;

/* None marked. */
plk_token_marks plk_token_marks_init(const plk_view *view);

/* Marks the token with the value, or with the larger one if it is marked already. */
void plk_token_mark(plk_token_marks *marks, uint32_t token, uint32_t value);

void plk_token_unmark(plk_token_marks *marks, uint32_t token);

/* The marked tokens. */
plk_token_list plk_token_marks_list(plk_token_marks *marks);

#endif
