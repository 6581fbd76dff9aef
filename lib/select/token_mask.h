/*
 * Masks: one bit a token, set by the caller for one position; bit i % 32 of word i / 32 is token i,
 * 1 = allowed. A block of 64 tokens is two words.
 */
#ifndef PLK_TOKEN_MASK_H
#define PLK_TOKEN_MASK_H

#include "select/view.h"

/* Bans the tokens whose bit in view->mask is 0. PLUCK_ERR_EMPTY if no token is left; the view is
 * then unusable. Without a mask nothing changes. */
pluck_status plk_view_apply_mask(plk_view *view, pluck_error *err);

/* The words that a mask for so many tokens has. */
size_t plk_mask_words(uint32_t n_vocab);

/* For view.c, of a dense view: whether the token is allowed; how many of the n_blocks blocks from
 * block on are allowed as a whole, up to the first that is not; bans in x, which holds blocks block
 * .. block + n_blocks - 1. */
bool plk_mask_allows(const plk_view *view, uint32_t token);
uint32_t plk_mask_whole_blocks(const plk_view *view, uint32_t block, uint32_t n_blocks);
void plk_mask_values(const plk_view *view, uint32_t block, uint32_t n_blocks, float *x);

#endif
