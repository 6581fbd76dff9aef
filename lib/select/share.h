/*
 * A row that lies in slices on several ranks: what a view of one slice finds out about the whole
 * row.
 *
 * The stages run on the view of the slice as they do on a row. A function that needs to know of the
 * other slices (which tokens are the best, what all exponentials add up to) asks the share of the
 * view. If the answer is known, it goes on with it. Otherwise it has put its own part into the
 * share, which waits from then on: the function goes on with a harmless answer, whatever it and the
 * stage do is thrown away, and when the parts of all ranks have been taken, the stage is run again,
 * from the same view. All ranks run the same stages with the same answers, so they all ask the same
 * questions in the same order, and that nothing but answers may decide what is asked next.
 *
 * A truncation leaves the tokens of the whole row on every rank. The view is then compact, has no
 * share any more, and is like any other.
 */
#ifndef PLK_SHARE_H
#define PLK_SHARE_H

#include "base/bytes.h"
#include "select/order.h"
#include "select/view.h"

typedef enum plk_question {
    PLK_ASKS_NOTHING,
    PLK_ASKS_BEST, /* which tokens are the best */
    PLK_ASKS_ROW   /* the logits: the share does not do this */
} plk_question;

/* Tokens of a slice: of those whose stored logit is at least from, the n best, ascending by token.
 * There are up to n_reaching of those. */
typedef struct plk_best_part {
    float from;
    uint32_t n_reaching;
    uint32_t n;
} plk_best_part;

struct plk_share {
    const uint32_t *first_token; /* [n_ranks + 1] */
    uint32_t rank, n_ranks;

    plk_question asks;
    uint32_t n_most; /* tokens that no rank's part exceeds */
    plk_best_part own;

    /* Tokens with their stored logits, ascending by token: the best of all ranks, or of the own
     * part while that is asked for. */
    uint32_t *ids;
    float *values;
    uint32_t n;
    bool is_known;
    plk_key complete;    /* every token of the row with a key from here on is among them */
    float from;          /* the largest of all ranks */
    uint32_t n_reaching; /* the largest of all ranks */
    float max;           /* of the row; -inf: not known */
};

/* Bytes of memory of share->ids and values for n_vocab tokens. */
size_t plk_share_bytes(uint32_t n_vocab);

/* For a row: nothing is known. memory has plk_share_bytes(). */
plk_share plk_share_make(const uint32_t *first_token, uint32_t rank, uint32_t n_ranks,
                         void *memory);

/* Whether an answer is missing. */
static inline bool plk_share_waits(const plk_view *view)
{
    return view->share && view->share->asks != PLK_ASKS_NOTHING;
}

/* What is known of the tokens is no longer true: logits have changed. */
void plk_share_forget(const plk_view *view);

/* plk_view_gather() and plk_view_gather_best_own() for the whole row. */
uint32_t plk_share_gather(const plk_view *view, float threshold);
uint32_t plk_share_gather_best(const plk_view *view, uint32_t k);

/*
 * The parts, as bytes in the order of this machine.
 */

/* Of the own part; and what no part of a slice of up to n_tokens exceeds now, or ever if share is
 * NULL. */
size_t plk_share_part_bytes(const plk_share *share);
size_t plk_share_most_bytes(const plk_share *share, uint32_t n_tokens);

void plk_share_put(const plk_share *share, unsigned char *bytes);

/* Takes the parts of all ranks, which may be any bytes: PLUCK_ERR_FORMAT if one is not a part. The
 * share then waits no more. */
pluck_status plk_share_take(plk_share *share, const plk_byte_reader *parts, pluck_error *err);

#endif
