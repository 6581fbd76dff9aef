/*
 * What the times suggest. Each rule looks at one thing and says something only if it was measured
 * to matter; the thresholds keep noise from talking.
 */
#include "commands/bench.h"

#include <stdio.h>
#include <string.h>

static const bench_step *find_step(const bench_plan *plan, step_kind kind)
{
    for (size_t i = 0; i < plan->n_steps; i++)
        if (plan->steps[i].kind == kind)
            return &plan->steps[i];
    return NULL;
}

/* The chain with top_k first, if that is worth it; NULL else. */
static const bench_step *better_order(const bench_plan *plan)
{
    double worth_it = 0.8;
    const bench_step *swapped = find_step(plan, STEP_SWAPPED);
    return swapped && swapped->median_ratio <= worth_it * plan->steps[plan->token].median_ratio
               ? swapped
               : NULL;
}

static bool advise_swap(const bench_plan *plan, char *text, size_t capacity)
{
    const bench_step *swapped = better_order(plan);
    if (!swapped)
        return false;
    snprintf(text, capacity,
             "top_k as the first stage would make it %.1f us instead of %.1f: what comes before it "
             "now looks at the whole vocabulary (the distribution changes a little)",
             swapped->median_us, plan->steps[plan->token].median_us);
    return true;
}

/* The stage that adds most, if that is much: NULL else. */
static const bench_step *costliest(const bench_plan *plan, double *added_us)
{
    double much_in_reads = 1.0, much_of_all = 0.3;
    const bench_step *worst = NULL;
    double most = 0.0;
    for (size_t i = 1; i <= plan->token; i++) {
        double added = plan->steps[i].median_ratio - plan->steps[i - 1].median_ratio;
        if (added > most) {
            most = added;
            worst = &plan->steps[i];
            *added_us = plan->steps[i].median_us - plan->steps[i - 1].median_us;
        }
    }
    return most > much_in_reads && most > much_of_all * plan->steps[plan->token].median_ratio
               ? worst
               : NULL;
}

static bool truncates_before(const bench_plan *plan, const bench_step *step)
{
    for (const bench_step *s = plan->steps + 1; s < step; s++)
        if (s->stage->kind == PLUCK_STAGE_TRUNCATE)
            return true;
    return false;
}

/* The first stage that leaves few tokens at the price of a look at each logit; NULL: none. */
static const bench_step *cheap_truncation(const bench_plan *plan)
{
    for (size_t i = 1; i < plan->token; i++) {
        const char *name = plan->steps[i].stage->name;
        if (strcmp(name, "top_k") == 0 || strcmp(name, "min_p") == 0)
            return &plan->steps[i];
    }
    return NULL;
}

/* What would make this truncation cheaper: another one before it, which the chain may have already,
 * behind it. Nothing if one is before it, or if it is such a one itself. */
static void advise_truncation(const bench_plan *plan, const bench_step *step, char *text,
                              size_t capacity)
{
    const bench_step *cheap = cheap_truncation(plan);
    text[0] = '\0';
    if (step->stage->kind != PLUCK_STAGE_TRUNCATE || truncates_before(plan, step) || step == cheap)
        return;
    if (!cheap)
        snprintf(text, capacity,
                 "; after a top_k or min_p it would see few tokens (the distribution changes a "
                 "little)");
    else if (strcmp(cheap->name, "min_p") == 0)
        snprintf(text, capacity,
                 "; with min_p before it, it would see few tokens (the distribution changes a "
                 "little)");
}

static bool advise_costliest(const bench_plan *plan, char *text, size_t capacity)
{
    double added = 0.0;
    const bench_step *worst = costliest(plan, &added);
    if (!worst || better_order(plan))
        return false;
    char what[128];
    advise_truncation(plan, worst, what, sizeof what);
    if (strcmp(worst->stage->name, "penalties") == 0)
        snprintf(what, sizeof what, "; a shorter repeat_last_n costs less");
    snprintf(text, capacity, "most time goes to %s, %.1f us%s", worst->name, added, what);
    return true;
}

static bool advise_logprob(const bench_plan *plan, char *text, size_t capacity)
{
    double much = 1.5;
    const bench_step *token = &plan->steps[plan->token];
    const bench_step *logprob = find_step(plan, STEP_LOGPROB);
    if (logprob->median_ratio < much * token->median_ratio)
        return false;
    snprintf(
        text, capacity,
        "a logprob costs %.1f us more, for a normaliser over all tokens that are left; leave it "
        "out where nobody reads it",
        logprob->median_us - token->median_us);
    return true;
}

static bool advise_isa(const bench_plan *plan, char *text, size_t capacity)
{
    pluck_isa used = setup_sampler_info(plan->steps[0].sampler).isa;
    pluck_sampler *best = NULL;
    if (pluck_sampler_create(&best, plan->config, 1, NULL, NULL) != PLUCK_OK)
        return false;
    pluck_isa isa = setup_sampler_info(best).isa;
    pluck_sampler_destroy(&best);
    if (isa == used)
        return false;
    snprintf(text, capacity, "%s was forced; this machine has %s, with the same results",
             pluck_isa_name(used), pluck_isa_name(isa));
    return true;
}

static bool advise_nothing(const bench_plan *plan, char *text, size_t capacity)
{
    double little = 2.5;
    if (plan->steps[plan->token].median_ratio > little)
        return false;
    snprintf(text, capacity,
             "a token costs little more than reading the logits once: nothing to gain here");
    return true;
}

bool bench_advice(const bench_plan *plan, size_t index, char *text, size_t capacity)
{
    static bool (*const rules[])(const bench_plan *, char *, size_t) = {
        advise_isa, advise_swap, advise_costliest, advise_logprob, advise_nothing};
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (rules[i](plan, text, capacity) && index-- == 0)
            return true;
    return false;
}
