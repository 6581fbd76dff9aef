/*
 * A set of tokens with a number each, gathered in any order and listed ascending, in arrays of the
 * scratch memory: for stages that find the tokens to change by looking through the history. Valid
 * until the view is changed.
 */
#ifndef PLK_TOKEN_MARKS_H
#define PLK_TOKEN_MARKS_H

#include "select/view_edit.h"

typedef struct plk_token_marks {
    uint32_t n_vocab;
    uint64_t *bits;   /* one a token */
    uint32_t *values; /* of the tokens whose bit is set */
    uint32_t *tokens; /* the list */
} plk_token_marks;

/* None marked. */
plk_token_marks plk_token_marks_begin(const plk_view *view);

/* Marks the token with the value, or with the larger one if it is marked already. */
void plk_token_mark(const plk_token_marks *marks, uint32_t token, uint32_t value);

void plk_token_unmark(const plk_token_marks *marks, uint32_t token);

/* The marked tokens. */
plk_token_list plk_token_marks_list(const plk_token_marks *marks);

/* Bans the marked tokens. */
pluck_status plk_view_ban_marked(plk_view *view, const plk_token_marks *marks, pluck_error *err);

#endif
