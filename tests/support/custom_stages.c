/*
 * Each applies one or two of the functions of the view; own_seen has a state.
 */
#include "support/custom_stages.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

const pluck_param test_own_params[] = {
    {"x", NULL, PLUCK_PARAM_NUMBER, 0, -1000, 1000, 0, 0, "a number", offsetof(one_number, x)}};

static double x_of(const void *params)
{
    return ((const one_number *)params)->x;
}

static bool is_zero(const void *params)
{
    return x_of(params) == 0;
}

#define APPLY(name)                                                                                \
    static pluck_status name(const void *params, void *state, pluck_view *view,                    \
                             const pluck_context *context, pluck_error *err)

APPLY(scale)
{
    (void)state, (void)context, (void)err;
    pluck_view_scale(view, x_of(params));
    return PLUCK_OK;
}

APPLY(top)
{
    (void)state, (void)context, (void)err;
    pluck_view_keep_top_k(view, (uint32_t)x_of(params));
    return PLUCK_OK;
}

APPLY(mass)
{
    (void)state, (void)context, (void)err;
    pluck_view_keep_top_p(view, x_of(params));
    return PLUCK_OK;
}

static double raise_or_ban(void *user, pluck_token token, double logit)
{
    return token % 2 ? logit + *(const double *)user : (double)-INFINITY;
}

/* Raises token 3 by x and bans token 10. */
APPLY(bias)
{
    (void)state, (void)context;
    static const pluck_token tokens[] = {3, 10};
    double x = x_of(params);
    return pluck_view_edit(view, tokens, 2, raise_or_ban, &x, err);
}

static bool is_odd(void *user, pluck_token token, double logit)
{
    (void)user;
    return token % 2 == 1 && logit > (double)-INFINITY;
}

APPLY(odd)
{
    (void)params, (void)state, (void)context;
    return pluck_view_keep_if(view, is_odd, NULL, err);
}

/* p -> p^x by way of the probabilities, and looks at everything that can be looked at. */
static double power(void *user, pluck_token token, double logit)
{
    const double *c = user; /* x, ln of the normaliser, largest logit */
    (void)token;
    return c[0] * (logit - c[2] - c[1]);
}

APPLY(sharpen)
{
    (void)state, (void)context;
    double c[3] = {x_of(params), pluck_view_log_normaliser(view), pluck_view_max_logit(view)};
    if (pluck_view_count(view) == 0 || !(pluck_view_entropy(view) >= 0) ||
        pluck_view_logit(view, 0) > c[2])
        abort();
    return pluck_view_edit_all(view, power, c, err);
}

APPLY(toss)
{
    (void)state, (void)err;
    if (pluck_context_uniform(context) < x_of(params))
        pluck_view_keep_above(view, pluck_view_max_logit(view));
    return PLUCK_OK;
}

static double not_a_number(void *user, pluck_token token, double logit)
{
    (void)user, (void)token, (void)logit;
    return (double)NAN;
}

/* What goes wrong is up to x. */
APPLY(faulty)
{
    static const pluck_token falling[] = {2, 1}, beyond[] = {OWN_MAX_VOCAB};
    (void)state, (void)context;
    switch ((int)x_of(params)) {
    case 1:
        return pluck_view_edit(view, falling, 2, not_a_number, NULL, err);
    case 2:
        return pluck_view_edit(view, beyond, 1, not_a_number, NULL, err);
    case 3:
        return pluck_view_edit_all(view, not_a_number, NULL, err);
    default:
        return PLUCK_ERR_IO; /* without a message */
    }
}

/* How often each token was accepted: 255 times at most, which no test reaches. */
typedef struct counts {
    uint32_t n_vocab;
    unsigned char n[OWN_MAX_VOCAB];
} counts;

static pluck_status create_counts(void **state, const void *params, uint32_t n_vocab,
                                  uint32_t max_rewind, pluck_error *err)
{
    (void)params, (void)max_rewind;
    counts *c = calloc(1, sizeof *c);
    if (!c) {
        strcpy(err->message, "no memory for counts");
        return PLUCK_ERR_NOMEM;
    }
    c->n_vocab = n_vocab;
    *state = c;
    return PLUCK_OK;
}

static pluck_status clone_counts(void **out, const void *state, pluck_error *err)
{
    pluck_status status = create_counts(out, NULL, 0, 0, err);
    if (status == PLUCK_OK)
        memcpy(*out, state, sizeof(counts));
    return status;
}

static void reset_counts(void *state)
{
    memset(((counts *)state)->n, 0, OWN_MAX_VOCAB);
}

static void count_one(const void *params, void *state, const pluck_context *context)
{
    (void)params;
    assert_int_equal(pluck_context_n_vocab(context), ((counts *)state)->n_vocab);
    ((counts *)state)->n[pluck_context_token(context, 0)]++;
}

static void count_back(const void *params, void *state, const pluck_context *context)
{
    (void)params;
    ((counts *)state)->n[pluck_context_token(context, 0)]--;
}

static size_t save_counts(const void *params, const void *state, void *bytes, size_t capacity)
{
    const counts *c = state;
    (void)params;
    if (capacity >= c->n_vocab)
        memcpy(bytes, c->n, c->n_vocab);
    return c->n_vocab;
}

static pluck_status load_counts(const void *params, void *state, const void *bytes, size_t n,
                                pluck_error *err)
{
    counts *c = state;
    (void)params, (void)err;
    if (n != c->n_vocab)
        return PLUCK_ERR_FORMAT;
    memcpy(c->n, bytes, n);
    return PLUCK_OK;
}

static double lower(void *user, pluck_token token, double logit)
{
    (void)token;
    return logit - *(const double *)user;
}

APPLY(seen)
{
    const counts *c = state;
    pluck_token tokens[OWN_MAX_VOCAB];
    size_t n = 0;
    double x = x_of(params);
    (void)context;
    for (uint32_t t = 0; t < c->n_vocab; t++)
        if (c->n[t] > 0)
            tokens[n++] = (pluck_token)t;
    return pluck_view_edit(view, tokens, n, lower, &x, err);
}

static bool yes(const void *params)
{
    (void)params;
    return true;
}

static size_t all_tokens(const void *params, uint32_t n_vocab)
{
    (void)params;
    return n_vocab;
}

#define TABLE(stage_name, stage_kind)                                                              \
    .struct_size = sizeof(pluck_custom_stage), .info = {.name = stage_name,                        \
                                                        .kind = stage_kind,                        \
                                                        .params = test_own_params,                 \
                                                        .n_params = 1,                             \
                                                        .params_size_bytes = sizeof(one_number)}

const pluck_custom_stage custom_stages[] = {
    {TABLE("own_scale", PLUCK_STAGE_REWEIGHT), .apply = scale},
    {TABLE("own_top", PLUCK_STAGE_TRUNCATE), .apply = top},
    {TABLE("own_mass", PLUCK_STAGE_TRUNCATE), .apply = mass},
    {TABLE("own_bias", PLUCK_STAGE_REWEIGHT), .is_neutral = is_zero, .apply = bias,
     .max_edits = all_tokens},
    {TABLE("own_bias_without_memory", PLUCK_STAGE_REWEIGHT), .apply = bias},
    {TABLE("own_odd", PLUCK_STAGE_TRUNCATE), .apply = odd},
    {TABLE("own_sharpen", PLUCK_STAGE_REWEIGHT), .apply = sharpen},
    {TABLE("own_toss", PLUCK_STAGE_TRUNCATE), .is_random = yes, .apply = toss},
    {TABLE("own_faulty", PLUCK_STAGE_REWEIGHT), .apply = faulty},
    {TABLE("own_seen", PLUCK_STAGE_REWEIGHT), .apply = seen, .max_edits = all_tokens,
     .create = create_counts, .destroy = free, .clone = clone_counts, .reset = reset_counts,
     .accept = count_one, .rewind = count_back, .save = save_counts, .load = load_counts},
    {TABLE("own_unsaveable", PLUCK_STAGE_REWEIGHT), .apply = seen, .create = create_counts,
     .destroy = free, .clone = clone_counts, .reset = reset_counts},
};

const size_t n_custom_stages = sizeof custom_stages / sizeof *custom_stages;
