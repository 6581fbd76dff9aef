/*
 * infill: for a text that has to meet the text after a gap. It ends the text as soon as the tokens
 * that end it together are likely enough, and else keeps the few likely continuations, counting
 * tokens that begin alike as one.
 *
 * Each token, best first, looks for tokens whose text begins with its own, or is the same. It joins
 * the best of those that were looked at before and stand for themselves; without one it stands for
 * itself and takes in all others. (The first that takes in a token is also the best that it is a
 * continuation of.) The texts are sorted, so that every token lies behind its longest prefix among
 * the candidates: following these links from token to token finds all its prefixes. So n candidates
 * cost n log n comparisons of texts and n times the length of such a path, where comparing each
 * with each costs n^2.
 *
 * A token that is looked at has taken in nothing yet, and none that was looked at before is less
 * probable. So joining the better one of two is the rule of llama.cpp, which compares the sums; at
 * equal probabilities llama.cpp's order is that of its sort, and here the lower token is the better
 * one. Sums are of double, of exponentials that are right to 2^-22; a probability that misses a
 * limit by plk_mass_margin reaches it.
 */
#include "base/error.h"
#include "select/keep.h"
#include "select/mass.h"
#include "select/rules.h"
#include "stages/stage_impl.h"

#include <math.h>
#include <string.h>

static const double end_weight = 3.0;  /* of the tokens that end the text, for each candidate */
static const double least_share = 0.2; /* of a continuation */

#define NONE UINT32_MAX

typedef struct infill_params {
    pluck_token_set eog;
} infill_params;

/* The candidates, best first. All arrays are the scratch memory's, with room for each of them. */
typedef struct group_table {
    const pluck_token_set *eog;
    const plk_token_texts *texts;
    uint32_t n;
    uint32_t *tokens;
    float *logits;    /* as they are stored */
    double *p;        /* after combine(): 0 for a token that joined another one */
    uint32_t *parent; /* the candidate with the longest text that this one's begins with; or NONE */
    uint32_t *first;  /* the best candidate that stands for itself and whose text begins with this
                       * one's, itself included, of those looked at; or NONE */
} group_table;

static const pluck_token_set *eog_of(const void *params)
{
    return &((const infill_params *)params)->eog;
}

static bool is_neutral(const void *params)
{
    return eog_of(params)->n == 0;
}

static pluck_status check(const void *params, uint32_t n_vocab, pluck_error *err)
{
    return plk_check_token_set("infill", eog_of(params), n_vocab, err);
}

/* There is no state. */
static pluck_status create(void **state, const void *params, const plk_stage_setup *setup,
                           pluck_error *err)
{
    (void)params;
    *state = NULL;
    if (setup->texts.get)
        return PLUCK_OK;
    return plk_fail(err, PLUCK_ERR_CONFIG,
                    "infill: needs the texts of the tokens, which were not given (token_text of "
                    "pluck_sampler_options, --vocab)");
}

static bool ends_text(const pluck_token_set *eog, uint32_t token)
{
    size_t low = 0, high = eog->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if ((uint32_t)eog->items[middle] < token)
            low = middle + 1;
        else
            high = middle;
    }
    return low < eog->n && (uint32_t)eog->items[low] == token;
}

typedef struct token_text {
    const char *bytes;
    size_t n;
} token_text;

/* Tokens that end the text have none. */
static token_text text_of(const group_table *g, uint32_t rank)
{
    token_text text = {NULL, 0};
    if (ends_text(g->eog, g->tokens[rank]))
        return text;
    text.bytes = g->texts->get(g->texts->user, (pluck_token)g->tokens[rank], &text.n);
    return text.bytes ? text : (token_text){NULL, 0};
}

static bool begins_with(token_text text, token_text prefix)
{
    return prefix.n <= text.n && memcmp(text.bytes, prefix.bytes, prefix.n) == 0;
}

/* By text; of equal ones the better token is first. */
static bool text_is_before(const group_table *g, uint32_t a, uint32_t b)
{
    token_text x = text_of(g, a), y = text_of(g, b);
    size_t n = x.n < y.n ? x.n : y.n;
    int order = n > 0 ? memcmp(x.bytes, y.bytes, n) : 0;
    if (order != 0 || x.n != y.n)
        return order != 0 ? order < 0 : x.n < y.n;
    return a < b;
}

static bool token_is_before(const group_table *g, uint32_t a, uint32_t b)
{
    return g->tokens[a] < g->tokens[b];
}

typedef bool (*rank_order)(const group_table *g, uint32_t a, uint32_t b);

/* Merges two sorted runs of from, which begin at low and at middle, into to. */
static void merge_runs(const group_table *g, rank_order is_before, const uint32_t *from,
                       uint32_t *to, uint32_t low, uint32_t middle, uint32_t high)
{
    uint32_t a = low, b = middle;
    for (uint32_t i = low; i < high; i++) {
        bool takes_b = a == middle || (b < high && is_before(g, from[b], from[a]));
        to[i] = takes_b ? from[b++] : from[a++];
    }
}

/* Sorts n ranks; spare has room for n. */
static void sort_ranks(const group_table *g, rank_order is_before, uint32_t *ranks, uint32_t *spare,
                       uint32_t n)
{
    uint32_t *from = ranks, *to = spare;
    for (uint64_t width = 1; width < n; width *= 2) {
        for (uint64_t low = 0; low < n; low += 2 * width) {
            uint64_t middle = low + width < n ? low + width : n;
            uint64_t high = low + 2 * width < n ? low + 2 * width : n;
            merge_runs(g, is_before, from, to, (uint32_t)low, (uint32_t)middle, (uint32_t)high);
        }
        uint32_t *swap = from;
        from = to;
        to = swap;
    }
    if (from != ranks)
        memcpy(ranks, from, n * sizeof *ranks);
}

/* Moves the candidates of a compact view into the table. */
static group_table list_candidates(const plk_view *view, const pluck_token_set *eog,
                                   const plk_token_texts *texts)
{
    plk_scratch *w = view->scratch;
    void *doubles = w->keys, *halves = w->spare;
    group_table g = {.eog = eog, .texts = texts, .tokens = w->ids, .logits = w->values};
    g.n = plk_view_best(view, view->n);
    for (uint32_t i = 0; i < g.n; i++) {
        g.tokens[i] = plk_key_token(w->keys[i]);
        g.logits[i] = plk_key_logit(w->keys[i]);
    }
    g.p = doubles;
    g.first = halves;
    g.parent = g.first + view->logits.n_vocab;
    return g;
}

static void find_probabilities(const plk_view *view, const group_table *g)
{
    double sum = 0.0;
    for (uint32_t low = 0; low < g->n; low += PLK_BLOCK) {
        float x[PLK_BLOCK];
        uint32_t n = g->n - low < PLK_BLOCK ? g->n - low : PLK_BLOCK;
        for (uint32_t i = 0; i < PLK_BLOCK; i++)
            x[i] = i < n ? g->logits[low + i] : -INFINITY;
        plk_view_exp_values(view, x, 1, x);
        for (uint32_t i = 0; i < n; i++) {
            g->p[low + i] = (double)x[i];
            sum += (double)x[i];
        }
    }
    for (uint32_t i = 0; i < g->n; i++)
        g->p[i] /= sum;
}

static double end_probability(const group_table *g)
{
    double sum = 0.0;
    for (uint32_t i = 0; i < g->n; i++)
        if (ends_text(g->eog, g->tokens[i]))
            sum += g->p[i];
    return sum;
}

/* Uses first for the sorted ranks. A rank's prefixes are the ones on the path from its predecessor
 * that it begins with. */
static void find_parents(const group_table *g)
{
    uint32_t *sorted = g->first;
    for (uint32_t i = 0; i < g->n; i++)
        sorted[i] = i;
    sort_ranks(g, text_is_before, sorted, g->parent, g->n);
    for (uint32_t i = 0; i < g->n; i++) {
        token_text text = text_of(g, sorted[i]);
        uint32_t above = i > 0 && text.n > 0 ? sorted[i - 1] : NONE;
        if (above != NONE && text_of(g, above).n == 0)
            above = NONE;
        while (above != NONE && !begins_with(text, text_of(g, above)))
            above = g->parent[above];
        g->parent[sorted[i]] = above;
    }
}

/* Joins rank to the best token that it is a continuation of, or else to the best continuation of
 * it. false: it stands for itself. */
static bool join(const group_table *g, uint32_t rank)
{
    uint32_t taker = NONE;
    for (uint32_t above = g->parent[rank]; above != NONE; above = g->parent[above])
        if (g->first[above] == above && above < taker)
            taker = above;
    if (taker == NONE)
        taker = g->first[rank];
    if (taker == NONE)
        return false;
    g->p[taker] += g->p[rank];
    g->p[rank] = 0.0;
    return true;
}

static void combine(const group_table *g)
{
    find_parents(g);
    for (uint32_t i = 0; i < g->n; i++)
        g->first[i] = NONE;
    for (uint32_t i = 0; i < g->n; i++) {
        if (join(g, i))
            continue;
        for (uint32_t at = i; at != NONE; at = g->parent[at])
            if (g->first[at] == NONE)
                g->first[at] = i;
    }
}

/* Lists in first the continuations of at least this probability, and the tokens that end the
 * text. Returns how many; *n_text: how many do not end it, *sum: their probabilities. */
static uint32_t list_from(const group_table *g, double least, uint32_t *n_text, double *sum)
{
    uint32_t n = 0;
    *n_text = 0;
    *sum = 0.0;
    for (uint32_t i = 0; i < g->n; i++) {
        bool is_end = ends_text(g->eog, g->tokens[i]);
        if (!is_end && g->p[i] < least * (1.0 - plk_mass_margin))
            continue;
        g->first[n++] = i;
        *n_text += !is_end;
        *sum += g->p[i];
    }
    return n;
}

/* The n >= 1 ranks in first stay. */
static void keep_listed(plk_view *view, const group_table *g, uint32_t n)
{
    sort_ranks(g, token_is_before, g->first, g->parent, n);
    for (uint32_t i = 0; i < n; i++) {
        g->p[i] = (double)g->logits[g->first[i]];
        g->parent[i] = g->tokens[g->first[i]];
    }
    for (uint32_t i = 0; i < n; i++) {
        view->scratch->ids[i] = g->parent[i];
        view->scratch->values[i] = (float)g->p[i];
    }
    plk_view_become_compact(view, n);
}

/* The best token that ends the text, in the logits as they came: a stage before may have removed
 * it. NONE if the mask or a logit of -inf forbids all of them. */
static uint32_t best_end(const plk_view *view, const pluck_token_set *eog, float *logit)
{
    uint32_t best = NONE;
    for (size_t i = 0; i < eog->n; i++) {
        uint32_t token = (uint32_t)eog->items[i];
        float x = plk_view_raw(view, token);
        bool is_allowed = !view->mask || plk_mask_allows(view, token);
        if (!is_allowed || !(x > -INFINITY && x < INFINITY) || (best != NONE && x <= *logit))
            continue;
        best = token;
        *logit = x;
    }
    return best;
}

/* No continuation is likely: one token stays, the best that ends the text. */
static void end_text(plk_view *view, const group_table *g)
{
    uint32_t rank = 0;
    while (rank < g->n && !ends_text(g->eog, g->tokens[rank]))
        rank++;
    float logit = 0.0f;
    uint32_t token = rank < g->n ? NONE : best_end(view, g->eog, &logit);
    if (rank == g->n)
        rank = 0;
    view->scratch->ids[0] = token != NONE ? token : g->tokens[rank];
    view->scratch->values[0] = token != NONE ? logit : g->logits[rank];
    plk_view_become_compact(view, 1);
}

static pluck_status apply(const void *params, void *state, plk_view *view,
                          const plk_stage_context *context, pluck_error *err)
{
    (void)state;
    (void)err;
    uint32_t n_text;
    double sum;
    plk_view_make_compact(view);
    group_table g = list_candidates(view, eog_of(params), &context->texts);
    find_probabilities(view, &g);
    double end = end_probability(&g);
    if (end_weight * end * g.n > 1.0 - end) {
        keep_listed(view, &g, list_from(&g, HUGE_VAL, &n_text, &sum));
        return PLUCK_OK;
    }
    combine(&g);
    (void)list_from(&g, least_share, &n_text, &sum);
    if (n_text == 0)
        end_text(view, &g);
    else
        keep_listed(view, &g, list_from(&g, fmax(least_share, sum / (n_text + 1)), &n_text, &sum));
    return PLUCK_OK;
}

static const pluck_param params[] = {
    {
        .name = "eog",
        .flat_key = "infill_eog",
        .type = PLUCK_PARAM_TOKENS,
        .neutral = (double)NAN,
        .summary = "tokens that end the text; without any the stage does nothing",
        .offset_bytes = offsetof(infill_params, eog),
    },
};

const plk_stage plk_stage_infill = {
    .info = {.name = "infill",
             .kind = PLUCK_STAGE_TRUNCATE,
             .summary = "fills a gap: ends the text early, and keeps only likely continuations",
             .formula = "only eog if 3 n p(eog) > p(the rest), else eog and the tokens that have, "
                        "with their prefixes and continuations, p >= 0.2 and p >= 1 / (number of "
                        "these + 1) of all that stays, and one of eog if there are none",
             .source = "llama.cpp, llama_sampler_init_infill",
             .params = params,
             .n_params = sizeof params / sizeof *params,
             .params_size_bytes = sizeof(infill_params),
             .cost = "sorts the texts of the candidates: put it after top_k or top_p"},
    .is_neutral = is_neutral,
    .check = check,
    .on_slice = PLK_SLICE_RAW,
    .apply = apply,
    .create = create,
};
