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
 */
#include "select/share.h"

#include "base/error.h"
#include "select/keep.h"

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

size_t plk_share_bytes(uint32_t n_vocab)
{
    return n_items(n_vocab) * (sizeof(uint32_t) + sizeof(float));
}

plk_share plk_share_make(const uint32_t *first_token, uint32_t rank, uint32_t n_ranks, void *memory)
{
    uint32_t *ids = memory;
    return (plk_share){.first_token = first_token,
                       .rank = rank,
                       .n_ranks = n_ranks,
                       .ids = ids,
                       .values = (float *)(void *)(ids + n_items(first_token[n_ranks])),
                       .max = -INFINITY};
}

void plk_share_forget(const plk_view *view)
{
    if (!view->share)
        return;
    view->share->is_known = false;
    view->share->max = -INFINITY;
}

static uint32_t n_tokens_of(const plk_share *share, uint32_t rank)
{
    return share->first_token[rank + 1] - share->first_token[rank];
}

/* The least key of a token with this logit. */
static plk_key first_key(float logit)
{
    return plk_key_of(logit, UINT32_MAX);
}

/*
 * Asking.
 */

/* Makes the own part: the n_most best of the tokens from a stored logit on. */
static void ask(const plk_view *view, float from, uint32_t n_most)
{
    plk_share *share = view->share;
    const plk_scratch *w = view->scratch;
    bool has_threshold = from > -INFINITY;
    uint32_t n =
        has_threshold ? plk_view_gather_own(view, from) : plk_view_gather_best_own(view, n_most);
    share->own = (plk_best_part){from, n, n};
    if (n > n_most)
        share->own.n = n_most > 0 ? plk_view_narrow(view, n, n_most) : 0;
    if (!has_threshold && n == n_most)
        share->own.n_reaching = n_tokens_of(share, share->rank);
    memcpy(share->ids, w->ids, share->own.n * sizeof *w->ids);
    memcpy(share->values, w->values, share->own.n * sizeof *w->values);
    share->n_most = n_most;
    share->asks = PLK_ASKS_BEST;
}

/* What stands for the tokens of the row until they are known: one. */
static uint32_t unknown(const plk_view *view)
{
    view->scratch->ids[0] = 0;
    view->scratch->values[0] = 0.0f;
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
    } else if (share->n < k) {
        if (share->complete <= first_key(-INFINITY))
            return take_from(view, 0);
        ask(view, -INFINITY, k);
    } else {
        plk_key last = key_of_rank(view, k);
        if (share->complete <= last)
            return take_from(view, last);
        ask(view, plk_key_logit(last), k);
    }
    return unknown(view);
}

/*
 * Parts: from, n_reaching, n; then n tokens, and n logits.
 */

enum { PART_HEAD_BYTES = sizeof(float) + 2 * sizeof(uint32_t) };

static size_t part_bytes(uint32_t n)
{
    return PART_HEAD_BYTES + n * (sizeof(uint32_t) + sizeof(float));
}

size_t plk_share_part_bytes(const plk_share *share)
{
    return part_bytes(share->own.n);
}

size_t plk_share_most_bytes(const plk_share *share, uint32_t n_tokens)
{
    return part_bytes(!share || n_tokens < share->n_most ? n_tokens : share->n_most);
}

static unsigned char *put(unsigned char *at, const void *bytes, size_t n_bytes)
{
    memcpy(at, bytes, n_bytes);
    return at + n_bytes;
}

void plk_share_put(const plk_share *share, unsigned char *bytes)
{
    const plk_best_part *own = &share->own;
    bytes = put(bytes, &own->from, sizeof own->from);
    bytes = put(bytes, &own->n_reaching, sizeof own->n_reaching);
    bytes = put(bytes, &own->n, sizeof own->n);
    bytes = put(bytes, share->ids, own->n * sizeof *share->ids);
    (void)put(bytes, share->values, own->n * sizeof *share->values);
}

/* Passes over n_bytes, which become *out; false, and nothing, if there are not enough. */
static bool take(plk_byte_reader *in, void *out, size_t n_bytes)
{
    plk_byte_reader part = plk_take_part(in, n_bytes);
    if (in->is_short)
        return false;
    if (n_bytes > 0)
        memcpy(out, part.bytes, n_bytes);
    return true;
}

/* Whether the n tokens at index are those of a part: ascending, of the slice, from the threshold
 * on. */
static bool are_of_part(const plk_share *share, uint32_t rank, const plk_best_part *part)
{
    const uint32_t *ids = share->ids + share->n;
    const float *values = share->values + share->n;
    uint32_t first = share->first_token[rank], end = share->first_token[rank + 1];
    for (uint32_t i = 0; i < part->n; i++) {
        bool is_next = i > 0 ? ids[i] > ids[i - 1] : ids[i] >= first;
        bool is_finite = values[i] >= -FLT_MAX && values[i] <= FLT_MAX;
        if (!is_next || ids[i] >= end || !is_finite || values[i] < part->from)
            return false;
    }
    return true;
}

/* Appends the tokens of a rank to the known ones. */
static bool take_part(plk_share *share, uint32_t rank, plk_byte_reader in, plk_best_part *part)
{
    bool is_whole = take(&in, &part->from, sizeof part->from) &&
                    take(&in, &part->n_reaching, sizeof part->n_reaching) &&
                    take(&in, &part->n, sizeof part->n);
    if (!is_whole || part->n > share->n_most || part->n > part->n_reaching ||
        part->n_reaching > n_tokens_of(share, rank) || !(part->from <= FLT_MAX))
        return false;
    return take(&in, share->ids + share->n, part->n * sizeof *share->ids) &&
           take(&in, share->values + share->n, part->n * sizeof *share->values) &&
           plk_is_read_up(&in) && are_of_part(share, rank, part);
}

/* Down to where a part has every token of its slice. */
static plk_key complete_from(const plk_share *share, const plk_best_part *part)
{
    if (part->n == part->n_reaching)
        return first_key(part->from);
    plk_key least = UINT64_MAX; /* no token has this key */
    for (uint32_t i = 0; i < part->n; i++) {
        plk_key key = plk_key_of(share->values[share->n + i], share->ids[share->n + i]);
        least = key < least ? key : least;
    }
    return least;
}

pluck_status plk_share_take(plk_share *share, const plk_byte_reader *parts, pluck_error *err)
{
    share->asks = PLK_ASKS_NOTHING;
    share->n = share->n_reaching = 0;
    share->complete = 0;
    share->from = -INFINITY;
    for (uint32_t r = 0; r < share->n_ranks; r++) {
        plk_best_part part;
        if (!take_part(share, r, parts[r], &part))
            return plk_fail(err, PLUCK_ERR_FORMAT,
                            "record of rank %u: these are not tokens of its slice", r);
        plk_key complete = complete_from(share, &part);
        for (uint32_t i = share->n; i < share->n + part.n; i++)
            share->max = share->values[i] > share->max ? share->values[i] : share->max;
        share->complete = complete > share->complete ? complete : share->complete;
        share->from = part.from > share->from ? part.from : share->from;
        share->n_reaching =
            part.n_reaching > share->n_reaching ? part.n_reaching : share->n_reaching;
        share->n += part.n;
    }
    share->is_known = true;
    return PLUCK_OK;
}
