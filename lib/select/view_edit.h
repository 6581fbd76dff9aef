/*
 * Changing the logits of single tokens at a cost that follows their number, not the vocabulary.
 */
#ifndef PLK_VIEW_EDIT_H
#define PLK_VIEW_EDIT_H

#include "select/view.h"

/* A new logit from an old one, both in the units of the stage's formula (scale applied). index is
 * that of the token in the list given to plk_view_edit; -INFINITY bans; NaN and +inf never. */
typedef double (*plk_edit_function)(const void *context, size_t index, double logit);

/* The tokens to change: the uint32_t at tokens, tokens + stride_bytes, …; ascending, each once, all
 * below the vocabulary's size. */
typedef struct plk_token_list {
    const void *tokens;
    size_t stride_bytes;
    size_t n;
} plk_token_list;

/* Changes the logits of the listed tokens; those banned or truncated stay so. The list, together
 * with edits made before, must fit in the scratch memory's max_edits. PLUCK_ERR_EMPTY if no
 * token is left; the view is then unusable. */
pluck_status plk_view_edit(plk_view *view, plk_token_list list, plk_edit_function function,
                           const void *context, pluck_error *err);

/* Gives every token above -inf a new logit; the index is that of the candidate, and the scale is 1
 * afterwards. The view becomes compact. PLUCK_ERR_EMPTY as above. */
pluck_status plk_view_edit_all(plk_view *view, plk_edit_function function, const void *context,
                               pluck_error *err);

/* Makes every token above -inf a candidate of a compact view. */
void plk_view_make_compact(plk_view *view);

#endif
