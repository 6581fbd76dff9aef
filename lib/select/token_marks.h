/*
 * A set of tokens with a number each, gathered in any order and listed ascending, in scratch memory
 * of the workspace: for stages that find the tokens to change by looking through the history. Valid
 * until the view is changed.
 */
#ifndef PL_TOKEN_MARKS_H
#define PL_TOKEN_MARKS_H

#include "select/view_edit.h"

typedef struct pl_token_marks {
    uint32_t n_vocab;
    uint64_t *bits;   /* one a token */
    uint32_t *values; /* of the tokens whose bit is set */
    uint32_t *tokens; /* the list */
} pl_token_marks;

/* None marked. */
pl_token_marks pl_token_marks_begin(const pl_view *view);

/* Marks the token with the value, or with the larger one if it is marked already. */
void pl_token_mark(const pl_token_marks *marks, uint32_t token, uint32_t value);

void pl_token_unmark(const pl_token_marks *marks, uint32_t token);

/* The marked tokens. */
pl_token_list pl_token_marks_list(const pl_token_marks *marks);

/* Bans the marked tokens. */
pluck_status pl_view_ban_marked(pl_view *view, const pl_token_marks *marks, pluck_error *err);

#endif
