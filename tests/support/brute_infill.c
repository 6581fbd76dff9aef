/*
 * The definition of infill, compared token by token: each candidate with each, best first.
 */
#include "support/brute_stages.h"
#include "support/token_texts.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Comparing each token with each takes too long for more. */
enum { MAX_CANDIDATES = 5000 };

static const long double margin = 1e-5L;

static bool is_eog(const brute_context *context, uint32_t token)
{
    const pluck_token_set *eog = brute_param(context, "eog");
    for (size_t i = 0; i < eog->n; i++)
        if (eog->items[i] == (pluck_token)token)
            return true;
    return false;
}

/* Whether the text of one token begins with that of another, which is not empty. */
static bool continues(const brute_context *context, uint32_t token, uint32_t prefix)
{
    size_t n = 0, n_prefix = 0;
    const char *text = test_token_text(NULL, (pluck_token)token, &n);
    const char *begin = test_token_text(NULL, (pluck_token)prefix, &n_prefix);
    if (is_eog(context, token) || is_eog(context, prefix))
        return false;
    return begin && text && n_prefix > 0 && n_prefix <= n && memcmp(text, begin, n_prefix) == 0;
}

/* joined: which candidates are part of another one. */
static void combine(brute_force *row, const brute_context *context, bool *joined)
{
    brute_candidate *items = row->items;
    for (uint32_t a = 0; a < row->n; a++)
        for (uint32_t b = 0; b < row->n && !joined[a]; b++) {
            if (a == b || joined[b] || !continues(context, items[b].token, items[a].token))
                continue;
            bool b_is_better = items[b].p > items[a].p || (items[b].p == items[a].p && b < a);
            uint32_t to = b_is_better ? b : a, from = b_is_better ? a : b;
            items[to].p += items[from].p;
            joined[from] = true;
        }
}

/* Marks as joined what has less than the limit; returns how many texts are left. */
static uint32_t drop_below(brute_force *row, const brute_context *context, long double limit,
                           bool *joined, long double *sum)
{
    uint32_t n_text = 0;
    *sum = 0;
    for (uint32_t i = 0; i < row->n; i++) {
        bool ends = is_eog(context, row->items[i].token);
        if (joined[i])
            continue;
        row->doubt |= !ends && limit < 1 && fabsl(row->items[i].p - limit) <= margin;
        joined[i] = !ends && row->items[i].p < limit;
        *sum += joined[i] ? 0 : row->items[i].p;
        n_text += !joined[i] && !ends;
    }
    return n_text;
}

/* The best of eog that is left, or that the logits as they came allow; else the best token. */
static void end_text(brute_force *row, const brute_context *context)
{
    const pluck_token_set *eog = brute_param(context, "eog");
    uint32_t best = 0;
    while (best < row->n && !is_eog(context, row->items[best].token))
        best++;
    if (best < row->n) {
        row->items[0] = row->items[best];
    } else {
        float most = -INFINITY;
        for (size_t i = 0; i < eog->n; i++) {
            uint32_t token = (uint32_t)eog->items[i];
            bool masked = row->mask && !((uint32_t)row->mask[token / 32] >> token % 32 & 1u);
            if (masked || !(row->logits[token] > most && row->logits[token] < HUGE_VALF))
                continue;
            most = row->logits[token];
            row->items[0] = (brute_candidate){.token = token, .logit = (long double)most};
        }
    }
    row->n = 1;
}

static void keep_rest(brute_force *row, const bool *joined)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < row->n; i++)
        if (!joined[i])
            row->items[n++] = row->items[i];
    row->n = n;
}

void brute_infill(brute_force *row, const brute_context *context)
{
    long double end = 0, sum;
    bool *joined = calloc(row->n, sizeof *joined);
    assert(joined);
    for (uint32_t i = 0; i < row->n; i++) {
        end += is_eog(context, row->items[i].token) ? row->items[i].p : 0;
        row->doubt |= i > 0 && row->items[i].slack > 0 &&
                      row->items[i - 1].logit - row->items[i].logit <=
                          row->items[i - 1].slack + row->items[i].slack;
    }
    row->doubt |= row->mean_slack > 1e-7L || fabsl(3 * end * row->n - (1 - end)) <= margin;
    if (3 * end * row->n > 1 - end) {
        (void)drop_below(row, context, HUGE_VALL, joined, &sum);
        keep_rest(row, joined);
    } else if (row->n > MAX_CANDIDATES) {
        row->doubt = true;
    } else {
        combine(row, context, joined);
        uint32_t n_text = drop_below(row, context, 0.2L, joined, &sum);
        if (n_text > 0)
            (void)drop_below(row, context, sum / (n_text + 1), joined, &sum);
        if (n_text > 0)
            keep_rest(row, joined);
        else
            end_text(row, context);
    }
    free(joined);
}
