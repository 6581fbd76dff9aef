/*
 * One pass over the words, a 64th of the vocabulary, tells blocks that are allowed, banned or mixed
 * as wholes, and counts what is allowed.
 *   few tokens allowed   they are gathered, and the view is compact: nothing else is read.
 *   otherwise            the view stays dense and remembers the mask. Maxima of banned blocks
 *                        become -inf, those of mixed blocks are computed again unless none of the
 *                        banned was one; from then on view.c makes every block that is not allowed
 *                        as a whole in its buffer, with -inf for what is banned, and reads the
 *                        others where they lie.
 * So the cost is that of the words, of the mixed blocks, and of the tokens gathered.
 */
#include "select/view.h"

#include "base/error.h"

#include <math.h>
#include <string.h>

enum { WORD_BITS = 32, GATHER_SHARE = 8 /* dense unless a vocabulary's 8th or less is allowed */ };

size_t plk_mask_words(uint32_t n_vocab)
{
    return ((size_t)n_vocab + WORD_BITS - 1) / WORD_BITS;
}

static uint32_t word_of(const plk_view *view, size_t index)
{
    uint32_t word = 0;
    if (index < plk_mask_words(view->logits.n_vocab))
        memcpy(&word, view->mask + index, sizeof word);
    return word;
}

/* The bits of the block that are tokens. */
static uint64_t tokens_of(const plk_view *view, uint32_t block)
{
    uint32_t left = view->logits.n_vocab - block * PLK_BLOCK;
    return left >= PLK_BLOCK ? UINT64_MAX : ((uint64_t)1 << left) - 1;
}

static uint64_t bits_of(const plk_view *view, uint32_t block)
{
    uint64_t bits =
        (uint64_t)word_of(view, 2 * (size_t)block + 1) << 32 | word_of(view, 2 * (size_t)block);
    return bits & tokens_of(view, block);
}

bool plk_mask_allows(const plk_view *view, uint32_t token)
{
    return word_of(view, token / WORD_BITS) >> token % WORD_BITS & 1u;
}

uint32_t plk_mask_whole_blocks(const plk_view *view, uint32_t block, uint32_t n_blocks)
{
    uint32_t n = 0;
    while (n < n_blocks && bits_of(view, block + n) == tokens_of(view, block + n))
        n++;
    return n;
}

/* The bit of element i is the i-th: comparing with a table of bits is what compilers make vectors
 * of on any instruction set. */
void plk_mask_values(const plk_view *view, uint32_t block, uint32_t n_blocks, float *x)
{
    static const uint32_t bits[WORD_BITS] = {
        1u << 0,  1u << 1,  1u << 2,  1u << 3,  1u << 4,  1u << 5,  1u << 6,  1u << 7,
        1u << 8,  1u << 9,  1u << 10, 1u << 11, 1u << 12, 1u << 13, 1u << 14, 1u << 15,
        1u << 16, 1u << 17, 1u << 18, 1u << 19, 1u << 20, 1u << 21, 1u << 22, 1u << 23,
        1u << 24, 1u << 25, 1u << 26, 1u << 27, 1u << 28, 1u << 29, 1u << 30, 1u << 31,
    };
    size_t words_per_block = PLK_BLOCK / WORD_BITS;
    for (size_t w = 0; w < n_blocks * words_per_block; w++) {
        uint32_t word = word_of(view, block * words_per_block + w);
        float *values = x + w * WORD_BITS;
        for (size_t i = 0; i < WORD_BITS; i++)
            values[i] = (word & bits[i]) != 0 ? values[i] : -INFINITY;
    }
}

static uint32_t count_bits(uint64_t bits)
{
    bits -= bits >> 1 & 0x5555555555555555u;
    bits = (bits & 0x3333333333333333u) + (bits >> 2 & 0x3333333333333333u);
    bits = (bits + (bits >> 4)) & 0x0F0F0F0F0F0F0F0Fu;
    return (uint32_t)(bits * 0x0101010101010101u >> 56);
}

static uint32_t count_allowed(const plk_view *view)
{
    uint32_t n = 0;
    for (uint32_t b = 0; b < view->scratch->n_blocks; b++) {
        uint64_t bits = bits_of(view, b);
        n += bits == UINT64_MAX ? PLK_BLOCK : bits == 0 ? 0 : count_bits(bits);
    }
    return n;
}

/* Which bit is the lowest that is 1; bits != 0. */
static uint32_t lowest_bit(uint64_t bits)
{
#ifdef __GNUC__
    return (uint32_t)__builtin_ctzll(bits);
#else
    return count_bits((bits & (~bits + 1)) - 1);
#endif
}

static void gather_allowed(plk_view *view)
{
    plk_scratch *w = view->scratch;
    uint32_t n = 0;
    for (uint32_t b = 0; b < w->n_blocks; b++) {
        for (uint64_t bits = bits_of(view, b); bits != 0; bits &= bits - 1) {
            w->ids[n] = b * PLK_BLOCK + lowest_bit(bits);
            w->values[n] = plk_view_stored(view, w->ids[n]);
            n += w->values[n] > -INFINITY;
        }
    }
    view->max = -INFINITY;
    if (n > 0)
        plk_view_become_compact(view, n);
}

/* Whether one of the banned tokens, few of them, may have been the maximum of its block. */
static bool bans_maximum(const plk_view *view, uint32_t block, uint64_t banned)
{
    enum { FEW = 8 };
    float max = view->scratch->block_max[block];
    if (count_bits(banned) > FEW)
        return true;
    for (; banned != 0; banned &= banned - 1)
        if (plk_view_stored(view, block * PLK_BLOCK + lowest_bit(banned)) >= max)
            return true;
    return false;
}

/* Which maxima have to be computed again is found out before anything is banned, and marked with
 * NaN. */
static void mark_maxima(const plk_view *view)
{
    const plk_scratch *w = view->scratch;
    for (uint32_t b = 0; b < w->n_blocks; b++) {
        uint64_t bits = bits_of(view, b), tokens = tokens_of(view, b);
        if (bits == 0)
            w->block_max[b] = -INFINITY;
        else if (bits != tokens && bans_maximum(view, b, bits ^ tokens))
            w->block_max[b] = NAN;
    }
}

static void mask_dense(plk_view *view)
{
    plk_scratch *w = view->scratch;
    float buffer[PLK_BLOCK];
    mark_maxima(view);
    for (uint32_t i = 0; i < view->n_edits; i++)
        if (!plk_mask_allows(view, view->edits[i].token))
            view->edits[i].logit = -INFINITY;
    view->masked = true;
    for (uint32_t b = 0; b < w->n_blocks; b++)
        if (isnan(w->block_max[b]))
            w->block_max[b] = view->kernels->max(plk_view_block(view, b, buffer), 1);
    view->max = view->kernels->max(w->block_max, (w->n_blocks + PLK_BLOCK - 1) / PLK_BLOCK);
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
    uint32_t n_vocab = view->logits.n_vocab;
    if (view->compact) {
        mask_compact(view);
    } else {
        uint32_t n_allowed = count_allowed(view);
        if (n_allowed <= n_vocab / GATHER_SHARE)
            gather_allowed(view);
        else if (n_allowed < n_vocab)
            mask_dense(view);
    }
    if (view->max == -INFINITY)
        return plk_fail(err, PLUCK_ERR_EMPTY,
                        "no token can be chosen: the mask allows no token above -inf");
    return PLUCK_OK;
}
