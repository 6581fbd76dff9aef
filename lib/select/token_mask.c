/*
 * A scan of the logits under the mask gives the block maxima of what is allowed, and counts it.
 * When the mask acts before everything else, it is the scan that opens the view.
 *   few tokens allowed   they are gathered, and the view is compact: nothing else is read.
 *   otherwise            the view stays dense and remembers the mask. From then on view.c makes
 *                        every block that is not allowed as a whole in its buffer, with -inf for
 *                        what is banned, and reads the others where they lie.
 * So a mask costs one pass, and a copy of the blocks that somebody looks into.
 */
#include "select/view.h"

#include "base/error.h"
#include "select/share.h"

#include <math.h>
#include <string.h>

enum { WORD_BITS = 32, GATHER_SHARE = 8 /* dense unless a vocabulary's 8th or less is allowed */ };

size_t plk_mask_words(uint32_t n_vocab)
{
    return ((size_t)n_vocab + WORD_BITS - 1) / WORD_BITS;
}

/* The bits of a block that belong to tokens. */
static uint64_t bits_of(const plk_view *view, uint32_t block)
{
    uint32_t words[PLK_BLOCK / WORD_BITS] = {0};
    uint32_t left = view->logits.n_vocab - block * PLK_BLOCK;
    const int32_t *at = view->mask + (size_t)block * (PLK_BLOCK / WORD_BITS);
    if (left >= PLK_BLOCK) {
        memcpy(words, at, sizeof words);
        return (uint64_t)words[1] << WORD_BITS | words[0];
    }
    memcpy(words, at, plk_mask_words(left) * sizeof *words);
    return ((uint64_t)words[1] << WORD_BITS | words[0]) & (((uint64_t)1 << left) - 1);
}

const int32_t *plk_mask_at(const plk_view *view, uint32_t block, uint32_t n_blocks, int32_t *buffer)
{
    size_t words_per_block = PLK_BLOCK / WORD_BITS;
    if (block + n_blocks <= view->logits.n_vocab / PLK_BLOCK)
        return view->mask + block * words_per_block;
    for (uint32_t b = 0; b < n_blocks; b++) {
        uint64_t bits = bits_of(view, block + b);
        for (size_t w = 0; w < words_per_block; w++, bits >>= WORD_BITS) {
            uint32_t word = (uint32_t)bits;
            memcpy(buffer + b * words_per_block + w, &word, sizeof word);
        }
    }
    return buffer;
}

bool plk_mask_allows(const plk_view *view, uint32_t token)
{
    uint32_t word;
    memcpy(&word, view->mask + token / WORD_BITS, sizeof word);
    return word >> token % WORD_BITS & 1u;
}

uint32_t plk_mask_whole_blocks(const plk_view *view, uint32_t block, uint32_t n_blocks)
{
    uint32_t n = 0;
    while (n < n_blocks && bits_of(view, block + n) == UINT64_MAX)
        n++;
    return n;
}

void plk_mask_values(const plk_view *view, uint32_t block, uint32_t n_blocks, const float *values,
                     float *out)
{
    int32_t words[PLK_RUN_BLOCKS * (PLK_BLOCK / WORD_BITS)];
    const int32_t *mask = plk_mask_at(view, block, n_blocks, words);
    view->kernels->mask_values(values, mask, n_blocks, out);
}

/* Blocks that have to be made are made a few at a time, and only if they have a token. */
static void gather_allowed(plk_view *view)
{
    plk_scratch *w = view->scratch;
    float buffer[PLK_RUN_BLOCKS * PLK_BLOCK];
    int32_t words[PLK_RUN_BLOCKS * (PLK_BLOCK / WORD_BITS)];
    size_t n = 0;
    for (uint32_t b = 0, n_blocks = 1; b < w->n_blocks; b += n_blocks) {
        n_blocks = 1;
        if (bits_of(view, b) == 0)
            continue;
        n_blocks = w->n_blocks - b;
        const float *x = plk_view_blocks(view, b, &n_blocks, buffer);
        n += view->kernels->gather_masked(x, plk_mask_at(view, b, n_blocks, words), n_blocks,
                                          b * PLK_BLOCK, w->ids + n, w->values + n);
    }
    view->max = -INFINITY;
    if (n > 0)
        plk_view_become_compact(view, (uint32_t)n);
}

/* How many tokens of the vocabulary the mask allows. */
static size_t count_allowed(const plk_view *view)
{
    size_t n = 0;
    for (uint32_t b = 0; b < view->scratch->n_blocks; b++)
        n += (size_t)__builtin_popcountll(bits_of(view, b));
    return n;
}

/* After plk_view_scan_masked(). */
static void finish_dense(plk_view *view, size_t n_allowed)
{
    plk_scratch *w = view->scratch;
    uint32_t n_vocab = view->logits.n_vocab;
    float buffer[PLK_BLOCK];
    if (view->share)
        n_allowed = count_allowed(view);
    view->few_allowed = n_allowed <= n_vocab / GATHER_SHARE;
    if (view->few_allowed && !view->share) {
        gather_allowed(view);
        return;
    }
    view->masked = n_allowed < n_vocab;
    for (uint32_t i = 0; i < view->n_edits; i++)
        if (!plk_mask_allows(view, view->edits[i].token))
            view->edits[i].logit = -INFINITY;
    for (uint32_t i = 0; i < view->n_edits; i++) {
        uint32_t block = view->edits[i].token / PLK_BLOCK;
        if (i == 0 || block != view->edits[i - 1].token / PLK_BLOCK)
            w->block_max[block] = view->kernels->max(plk_view_block(view, block, buffer), 1);
    }
    view->max = view->kernels->max(w->block_max, (w->n_blocks + PLK_BLOCK - 1) / PLK_BLOCK);
}

bool plk_view_open_masked(plk_view *view, plk_scratch *scratch, const plk_kernels *kernels,
                          pluck_logits logits, const int32_t *mask)
{
    size_t n_allowed;
    *view = plk_view_of(scratch, kernels, logits);
    view->mask = mask;
    if (plk_view_scan_masked(view, &n_allowed))
        return false;
    finish_dense(view, n_allowed);
    return view->max > -INFINITY;
}

static void mask_compact(plk_view *view)
{
    plk_scratch *w = view->scratch;
    uint32_t n = 0;
    for (uint32_t i = 0; i < view->n; i++) {
        w->ids[n] = w->ids[i];
        w->values[n] = w->values[i];
        n += plk_mask_allows(view, w->ids[i]);
    }
    view->max = -INFINITY;
    if (n > 0)
        plk_view_become_compact(view, n);
}

pluck_status plk_view_apply_mask(plk_view *view, pluck_error *err)
{
    if (!view->mask)
        return PLUCK_OK;
    size_t n_allowed;
    if (view->compact) {
        mask_compact(view);
    } else {
        plk_share_forget(view);
        (void)plk_view_scan_masked(view, &n_allowed); /* in an open view no logit is bad */
        if (view->bent)
            plk_view_bend_maxima(view);
        finish_dense(view, n_allowed);
    }
    if (view->max == -INFINITY && !view->share)
        return plk_fail(err, PLUCK_ERR_EMPTY,
                        "no token can be chosen: the mask allows no token above -inf");
    return PLUCK_OK;
}
