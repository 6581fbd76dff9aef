/*
 * A row that lies in slices on several ranks: what a view of one slice finds out about the whole
 * row.
 *
 * The stages run on the view of the slice as they do on a row. A function that needs to know of the
 * other slices (which tokens are the best, what all exponentials add up to) asks the share of the
 * view. If the answer is known, it goes on with it. Otherwise it has put its own part into the
 * share, which waits from then on: the function goes on with a harmless answer, whatever it and the
 * stage do is thrown away, and when the parts of all ranks have been taken, the stage is run again,
 * from the same view. All ranks run the same stages with the same answers, so they ask the same
 * questions in the same order. Nothing but answers may decide what is asked next.
 *
 * A truncation leaves the tokens of the whole row on every rank. The view is then compact, has no
 * share any more, and is like any other.
 */
#ifndef PLK_SHARE_H
#define PLK_SHARE_H

#include "base/bytes.h"
#include "base/exact_sum.h"
#include "select/order.h"
#include "select/pick.h"
#include "select/view.h"

typedef enum plk_question {
    PLK_ASKS_NOTHING,
    PLK_ASKS_BEST,   /* which tokens are the best; nothing else */
    PLK_ASKS_MASS,   /* of all tokens */
    PLK_ASKS_REPORT, /* the same, and how many tokens have a positive probability */
    PLK_ASKS_MOMENT, /* the mass, the moment, and how many tokens are above -inf */
    PLK_ASKS_SPREAD, /* of the stored logits */
    PLK_ASKS_RACE,   /* the token that arrives first */
    PLK_ASKS_BLOCKS, /* maxima and sums of blocks, and what a report needs */
    PLK_ASKS_TOKEN,  /* which token of a block is drawn: its owner says it */
    PLK_ASKS_ROW     /* the logits, from which all starts anew: the share does not take them */
} plk_question;

/* Tokens of a slice: of those whose stored logit is at least from, the n best, ascending by token.
 * There are up to n_reaching of those. */
typedef struct plk_best_part {
    float from;
    uint32_t n_reaching;
    uint32_t n;
} plk_best_part;

/* What is known of a question, or what one rank knows: the fields that the question names. */
typedef struct plk_answer {
    plk_question question;
    double scale;   /* of the view that asked */
    uint32_t block; /* asked for: a block, and where in its mass the draw fell */
    double fraction;
    plk_mass mass;
    uint32_t count;
    plk_exact_sum moment;
    plk_spread spread;
    plk_arrival arrival; /* the token; h and l of a race */
    float stored;        /* its logit */
} plk_answer;

enum { PLK_MAX_ANSWERS = 6 };

struct plk_share {
    const uint32_t *first_token; /* [n_ranks + 1] */
    uint32_t rank, n_ranks;
    uint32_t n_worth; /* best tokens that take no more bytes than the logits of a slice */

    plk_question asks;
    bool has_best;   /* the best tokens are asked for too */
    uint32_t n_most; /* how many no rank's part exceeds */
    plk_best_part own_best;
    plk_answer own;

    /* Tokens with their stored logits, ascending by token: the best of all ranks, or of the own
     * part while they are asked for. */
    uint32_t *ids;
    float *values;
    uint32_t n;
    bool is_known;
    plk_key complete;      /* every token of the row with a key from here on is among them */
    uint32_t n_known_most; /* n_most when they were asked for */
    float max;             /* of the row; -inf: not known */

    /* Of the last parts, also where n_most was 0 and tokens were only counted: the largest. */
    float from;
    uint32_t n_reaching;

    /* The answers of the stage that is running, as long as no logit has changed. */
    plk_answer answers[PLK_MAX_ANSWERS];
    uint32_t n_answers;

    /* Of the blocks of the row, and of their groups; of the slice, in its place, while they are
     * asked for. */
    plk_spread *spreads;
    double *block_sums;
    float *block_max;
};

/* Bytes of memory for a share of n_vocab tokens. */
size_t plk_share_bytes(uint32_t n_vocab);

/* For a row of which each slice has up to n_slice_bytes: nothing is known. memory has
 * plk_share_bytes() and is aligned for any type. */
plk_share plk_share_make(const uint32_t *first_token, uint32_t rank, uint32_t n_ranks,
                         size_t n_slice_bytes, void *memory);

static inline uint32_t plk_share_n_tokens(const plk_share *share, uint32_t rank)
{
    return share->first_token[rank + 1] - share->first_token[rank];
}

/* Whether an answer is missing. */
static inline bool plk_share_waits(const plk_view *view)
{
    return view->share && view->share->asks != PLK_ASKS_NOTHING;
}

/* Forgets what is known of the row. Whatever changes logits calls this. */
void plk_share_forget(const plk_view *view);

/* The answers that a stage had are not those of the next one. */
void plk_share_next_stage(plk_share *share);

/*
 * Questions, of a dense view with a share.
 */

/* plk_view_gather() and plk_view_gather_best_own() for the whole row. */
uint32_t plk_share_gather(const plk_view *view, float threshold);
uint32_t plk_share_gather_best(const plk_view *view, uint32_t k);

/* Asks for the n best tokens of each rank, 0: for more than a few, if the maximum of the row is not
 * known. Afterwards view->max is that. */
void plk_share_find_max(const plk_view *view, uint32_t n);

/* The stored logit from which on all tokens are known; -FLT_MAX: all. */
float plk_share_known_from(const plk_view *view);

/* Asks for more of the best tokens than are known; false if all are. */
bool plk_share_ask_more(const plk_view *view);

/* Any of the others but PLK_ASKS_TOKEN and PLK_ASKS_ROW. */
const plk_answer *plk_share_ask(const plk_view *view, plk_question question);

/* PLK_ASKS_BLOCKS, after which the scratch memory has the maxima of all blocks of the row. False if
 * the answer is missing. */
bool plk_share_find_blocks(const plk_view *view);

/* The token where the fraction lies of a block's mass, 0 <= fraction < 1. */
uint32_t plk_share_pick_inside(const plk_view *view, uint32_t block, double fraction);

/* The stored logit of the token that PLK_ASKS_RACE or PLK_ASKS_TOKEN found. */
float plk_share_stored(const plk_share *share, uint32_t token);

/* The mass of the known tokens with low <= stored logit < high: that of the row if all from low on
 * are known. */
plk_mass plk_share_mass_between(const plk_view *view, float low, float high);

/*
 * The parts, as bytes in the order of this machine.
 */

/* Of the own part; and what no part of a slice of up to n_tokens exceeds now, or ever if share is
 * NULL. */
size_t plk_share_part_bytes(const plk_share *share);
size_t plk_share_most_bytes(const plk_share *share, uint32_t n_tokens);

/* bytes has plk_share_part_bytes(). */
void plk_share_put(const plk_share *share, unsigned char *bytes);

/* Takes the parts of all ranks, which may be any bytes: PLUCK_ERR_FORMAT if one is not a part. The
 * share then no longer waits. */
pluck_status plk_share_take(plk_share *share, const plk_byte_reader *parts, pluck_error *err);

#endif
