/*
 * Which tokens are the best. A part has the best tokens of a slice, with a key down to which it is
 * complete. What is wanted is either every token from a threshold on or the k best; both end at a
 * key, and all is known once the parts of all ranks are complete down to it.
 *   1. Each rank sends some: at most FIRST of those that reach the threshold, which is perhaps not
 *      the true one yet, because it knows the maximum of its own slice only; or about its share of
 *      the k best. Usually that is enough.
 *   2. The k-th best of these is a lower bound of the k-th best of the row, and the threshold is
 *      known now. Where more tokens reach it than are there, the ranks send all that do. So that
 *      records have the same size on all ranks, they count them first, unless they are few anyway.
 * Where the tokens to send would take more bytes than the logits, the row is gathered.
 */
#include "select/share.h"

#include "base/error.h"
#include "select/keep.h"
#include "select/mass.h"

#include <float.h>
#include <math.h>

enum {
    FIRST = 120,       /* tokens of a part that nothing else limits: below 1 KiB */
    FIRST_MOST = 1024, /* and of one that has its share of the k best */
    FEW = 512          /* are sent without counting them */
};

static size_t n_items(uint32_t n_vocab)
{
    return (size_t)n_vocab + PLK_SLACK;
}

static size_t n_groups(uint32_t n_vocab)
{
    return ((size_t)n_vocab - 1) / (PLK_MOMENTS_BLOCKS * PLK_BLOCK) + 1;
}

static size_t n_blocks(uint32_t n_vocab)
{
    return ((size_t)n_vocab - 1) / PLK_BLOCK + 1;
}

size_t plk_share_bytes(uint32_t n_vocab)
{
    return n_groups(n_vocab) * sizeof(plk_spread) +
           n_blocks(n_vocab) * (sizeof(double) + sizeof(float)) +
           n_items(n_vocab) * (sizeof(uint32_t) + sizeof(float));
}

plk_share plk_share_make(const uint32_t *first_token, uint32_t rank, uint32_t n_ranks,
                         size_t n_slice_bytes, void *memory)
{
    uint32_t n_vocab = first_token[n_ranks];
    plk_spread *spreads = memory;
    double *block_sums = (double *)(void *)(spreads + n_groups(n_vocab));
    float *block_max = (float *)(void *)(block_sums + n_blocks(n_vocab));
    uint32_t *ids = (uint32_t *)(void *)(block_max + n_blocks(n_vocab));
    return (plk_share){.first_token = first_token,
                       .rank = rank,
                       .n_ranks = n_ranks,
                       .n_worth = (uint32_t)(n_slice_bytes / (sizeof *ids + sizeof(float))),
                       .ids = ids,
                       .values = (float *)(void *)(ids + n_items(n_vocab)),
                       .max = -INFINITY,
                       .spreads = spreads,
                       .block_sums = block_sums,
                       .block_max = block_max};
}

void plk_share_forget(const plk_view *view)
{
    if (!view->share)
        return;
    view->share->is_known = false;
    view->share->max = -INFINITY;
    view->share->n_answers = 0;
}

void plk_share_next_stage(plk_share *share)
{
    share->n_answers = 0;
}

/* The least key of a token with this logit. */
static plk_key first_key(float logit)
{
    return plk_key_of(logit, UINT32_MAX);
}

/*
 * Asking.
 */

/* Asks for the n_most best of each rank's tokens from a stored logit on, and a question. */
static void ask_with(const plk_view *view, float from, uint32_t n_most, plk_question question)
{
    plk_share *share = view->share;
    const plk_scratch *w = view->scratch;
    bool has_threshold = from > -INFINITY;
    uint32_t n =
        has_threshold ? plk_view_gather_own(view, from) : plk_view_gather_best_own(view, n_most);
    plk_best_part *own = &share->own_best;
    *own = (plk_best_part){from, n, n};
    if (n > n_most)
        own->n = n_most > 0 ? plk_view_narrow(view, n, n_most) : 0;
    if (!has_threshold && n == n_most)
        own->n_reaching = plk_share_n_tokens(share, share->rank);
    memcpy(share->ids, w->ids, own->n * sizeof *w->ids);
    memcpy(share->values, w->values, own->n * sizeof *w->values);
    share->n_most = n_most;
    share->has_best = true;
    share->asks = question;
}

static void ask(const plk_view *view, float from, uint32_t n_most)
{
    if (n_most > FIRST && n_most > view->share->n_worth)
        view->share->asks = PLK_ASKS_ROW;
    else
        ask_with(view, from, n_most, PLK_ASKS_BEST);
}

/* Until the tokens of the row are known, one stands for all of them. */
static uint32_t unknown(const plk_view *view)
{
    view->scratch->ids[0] = 0;
    view->scratch->values[0] = view->max > -INFINITY ? view->max : 0.0f;
    return 1;
}

/* Copies the known tokens from a key on. */
static uint32_t take_from(const plk_view *view, plk_key least)
{
    const plk_share *share = view->share;
    plk_scratch *w = view->scratch;
    uint32_t n = 0;
    for (uint32_t i = 0; i < share->n; i++) {
        w->ids[n] = share->ids[i];
        w->values[n] = share->values[i];
        n += plk_key_of(share->values[i], share->ids[i]) >= least;
    }
    return n;
}

uint32_t plk_share_gather(const plk_view *view, float threshold)
{
    const plk_share *share = view->share;
    if (plk_share_waits(view))
        return unknown(view);
    if (threshold == INFINITY)
        return 0;
    if (share->is_known && share->complete <= first_key(threshold))
        return take_from(view, first_key(threshold));
    bool is_counted =
        share->from == threshold || (share->from < threshold && share->n_reaching <= FEW);
    if (share->max == -INFINITY)
        ask(view, threshold, FIRST);
    else
        ask(view, threshold, is_counted ? share->n_reaching : 0);
    return unknown(view);
}

/* About how many of the k best a slice has, and some more. */
static uint32_t share_of(uint32_t k, uint32_t n_ranks)
{
    if (k <= FIRST)
        return k;
    double each = (double)k / n_ranks;
    double n = each + 3.0 * sqrt(each) + 16.0;
    n = n < FIRST_MOST ? n : FIRST_MOST;
    return n < k ? (uint32_t)n : k;
}

/* The key of the k-th best known token. */
static plk_key key_of_rank(const plk_view *view, uint32_t k)
{
    const plk_share *share = view->share;
    plk_scratch *w = view->scratch;
    for (uint32_t i = 0; i < share->n; i++)
        w->keys[i] = plk_key_of(share->values[i], share->ids[i]);
    return plk_key_select(w->keys, share->n, k, w->spare);
}

uint32_t plk_share_gather_best(const plk_view *view, uint32_t k)
{
    const plk_share *share = view->share;
    if (plk_share_waits(view))
        return unknown(view);
    if (!share->is_known) {
        ask(view, -INFINITY, share_of(k, share->n_ranks));
        return unknown(view);
    }
    uint32_t n = take_from(view, share->complete);
    if (n >= k || share->complete <= first_key(-INFINITY))
        return plk_view_narrow(view, n, k);
    if (share->n < k)
        ask(view, -INFINITY, k);
    else
        ask(view, plk_key_logit(key_of_rank(view, k)), k);
    return unknown(view);
}

void plk_share_find_max(const plk_view *view, uint32_t n)
{
    if (!plk_share_waits(view) && view->share->max == -INFINITY)
        ask(view, -INFINITY, n > 0 ? n : FIRST);
}

float plk_share_known_from(const plk_view *view)
{
    plk_key complete = view->share->complete;
    if (complete <= first_key(-FLT_MAX))
        return -FLT_MAX;
    if (complete == UINT64_MAX)
        return INFINITY;
    float logit = plk_key_logit(complete);
    return complete == first_key(logit) ? logit : nextafterf(logit, INFINITY);
}

bool plk_share_ask_more(const plk_view *view)
{
    enum { GROWTH = 8 };
    const plk_share *share = view->share;
    if (plk_share_waits(view) || share->complete <= first_key(-FLT_MAX))
        return false;
    uint32_t n = share->n_known_most > FIRST ? share->n_known_most : FIRST;
    ask(view, -INFINITY, n < PLUCK_MAX_VOCAB / GROWTH ? GROWTH * n : PLUCK_MAX_VOCAB);
    return true;
}

/* The maxima and sums of the blocks of the slice, to their place. */
static void answer_blocks(const plk_view *view)
{
    const plk_scratch *w = view->scratch;
    plk_share *share = view->share;
    size_t first = view->first_block, n = view->end_block - first;
    share->own.mass = plk_view_block_sums(view);
    share->own.count = plk_view_count(view);
    memcpy(share->block_max + first, w->block_max + first, n * sizeof *w->block_max);
    memcpy(share->block_sums + first, w->block_sums + first, n * sizeof *w->block_sums);
}

static void answer_token(const plk_view *view)
{
    plk_answer *own = &view->share->own;
    own->arrival.is_there = own->block >= view->first_block && own->block < view->end_block;
    if (!own->arrival.is_there)
        return;
    own->arrival.token = plk_view_pick_inside(view, own->block, own->fraction);
    own->stored = plk_view_stored(view, own->arrival.token);
}

/* The part of this rank, where share->own says what is asked. */
static void answer_own(const plk_view *view)
{
    plk_share *share = view->share;
    plk_answer *own = &share->own;
    uint32_t first = view->first_block / PLK_MOMENTS_BLOCKS;
    switch (own->question) {
    case PLK_ASKS_MASS:
        own->mass = plk_view_mass_own(view);
        break;
    case PLK_ASKS_REPORT:
        own->mass = plk_view_mass_own(view);
        own->count = plk_view_count(view);
        break;
    case PLK_ASKS_MOMENT:
        own->mass = plk_view_moment_own(view, &own->moment);
        own->count = plk_view_n_candidates_own(view);
        break;
    case PLK_ASKS_SPREAD:
        plk_view_spreads(view, first, plk_view_n_spreads(view) - first, share->spreads + first);
        break;
    case PLK_ASKS_RACE:
        if (view->max > -INFINITY)
            own->arrival = plk_view_race(view, NULL, 0);
        own->stored = own->arrival.is_there ? plk_view_stored(view, own->arrival.token) : 0.0f;
        break;
    case PLK_ASKS_BLOCKS:
        answer_blocks(view);
        break;
    case PLK_ASKS_TOKEN:
        answer_token(view);
        break;
    case PLK_ASKS_NOTHING:
    case PLK_ASKS_BEST:
    case PLK_ASKS_ROW:
        break;
    }
}

/* What stands for an answer until it is known. */
static const plk_answer nothing_known = {
    .mass = (plk_mass)1 << 39, .count = 1, .spread = {.n = 1.0}, .arrival = {.is_there = true}};

/* Whether an answer to one question is one to another. */
static bool includes(plk_question known, plk_question question)
{
    bool has_report = known == PLK_ASKS_REPORT || known == PLK_ASKS_BLOCKS;
    return known == question || (question == PLK_ASKS_REPORT && has_report) ||
           (question == PLK_ASKS_MASS && (has_report || known == PLK_ASKS_MOMENT));
}

static const plk_answer *find(const plk_share *share, const plk_answer *asked)
{
    for (uint32_t i = 0; i < share->n_answers; i++) {
        const plk_answer *known = share->answers + i;
        if (includes(known->question, asked->question) && known->scale == asked->scale &&
            known->block == asked->block && known->fraction == asked->fraction)
            return known;
    }
    return NULL;
}

static const plk_answer *ask_for(const plk_view *view, plk_answer asked)
{
    plk_share *share = view->share;
    plk_question question = asked.question;
    bool needs_max = question != PLK_ASKS_SPREAD && question != PLK_ASKS_RACE;
    const plk_answer *known = find(share, &asked);
    if (known)
        return known;
    if (needs_max)
        plk_share_find_max(view, 0);
    if (plk_share_waits(view))
        return &nothing_known;
    share->own = asked;
    answer_own(view);
    if (share->is_known) {
        share->has_best = false;
        share->asks = question;
    } else {
        ask_with(view, -INFINITY, question == PLK_ASKS_RACE ? 1 : FIRST, question);
    }
    return &nothing_known;
}

const plk_answer *plk_share_ask(const plk_view *view, plk_question question)
{
    return ask_for(view, (plk_answer){.question = question, .scale = view->scale});
}

bool plk_share_find_blocks(const plk_view *view)
{
    const plk_share *share = view->share;
    plk_scratch *w = view->scratch;
    (void)plk_share_ask(view, PLK_ASKS_BLOCKS);
    if (plk_share_waits(view))
        return false;
    memcpy(w->block_max, share->block_max, w->n_blocks * sizeof *w->block_max);
    return true;
}

uint32_t plk_share_pick_inside(const plk_view *view, uint32_t block, double fraction)
{
    plk_answer asked = {
        .question = PLK_ASKS_TOKEN, .scale = view->scale, .block = block, .fraction = fraction};
    return ask_for(view, asked)->arrival.token;
}

float plk_share_stored(const plk_share *share, uint32_t token)
{
    for (uint32_t i = 0; i < share->n_answers; i++) {
        const plk_answer *known = share->answers + i;
        bool names = known->question == PLK_ASKS_RACE || known->question == PLK_ASKS_TOKEN;
        if (names && known->arrival.token == token)
            return known->stored;
    }
    return -INFINITY;
}

plk_mass plk_share_mass_between(const plk_view *view, float low, float high)
{
    const plk_share *share = view->share;
    plk_mass mass = 0;
    for (uint32_t i = 0, next; i < share->n; i = next) {
        uint32_t block = share->ids[i] / PLK_BLOCK;
        float x[PLK_BLOCK];
        for (uint32_t k = 0; k < PLK_BLOCK; k++)
            x[k] = -INFINITY;
        for (next = i; next < share->n && share->ids[next] / PLK_BLOCK == block; next++)
            if (share->values[next] >= low && share->values[next] < high)
                x[share->ids[next] % PLK_BLOCK] = share->values[next];
        mass += plk_view_mass_of(view, x, 1, -FLT_MAX);
    }
    return mass;
}
