/*
 * Says, before the first row, how many exchanges a chain needs for a row in slices. Each stage says
 * in its table what it does with the view of a slice. The chain is walked as it would run, and
 * keeps track of what is known of the row at each stage. After a truncation every rank has the
 * tokens that are left, and the rest needs nothing. Only a nucleus may still wait when the draw
 * comes.
 */
#include "sampler/sampler_impl.h"

static bool only_scales(const plk_link *link)
{
    return link->stage->only_scales && link->stage->only_scales(link->params);
}

plk_slice_use plk_slice_use_of(const plk_link *link, bool has_whole_groups)
{
    plk_slice_use use = link->stage->on_slice;
    if (link->stage->info.kind != PLUCK_STAGE_DRAW && only_scales(link))
        return PLK_SLICE_OWN;
    return use == PLK_SLICE_SPREAD && !has_whole_groups ? PLK_SLICE_ROW : use;
}

/* How far a walk has come. */
typedef struct walk {
    plk_slice_plan plan;
    bool token_only;
    bool is_over;
    bool knows_best; /* which tokens are the best, and so the maximum */
    bool has_nucleus;
    bool is_scaled; /* after the nucleus */
} walk;

static void pass(walk *at, const plk_link *link, plk_slice_use use)
{
    uint32_t n_for_best = at->knows_best ? 0 : 1;
    uint32_t *n = &at->plan.n_exchanges;
    switch (use) {
    case PLK_SLICE_ROW:
    case PLK_SLICE_RAW:
        at->plan.gathers = link->stage->info.name;
        *n = 1;
        break;
    case PLK_SLICE_OWN:
        at->knows_best &= only_scales(link);
        at->is_scaled = at->has_nucleus;
        break;
    case PLK_SLICE_BEST:
        *n += n_for_best;
        at->is_over = true;
        break;
    case PLK_SLICE_SPREAD:
        *n += 1; /* the best tokens come along */
        at->is_over = true;
        break;
    case PLK_SLICE_MASS:
    case PLK_SLICE_NUCLEUS:
        *n += n_for_best + 1;
        at->is_over = use == PLK_SLICE_MASS;
        at->has_nucleus = use == PLK_SLICE_NUCLEUS;
        break;
    case PLK_SLICE_SUMS:
        *n += n_for_best + 1;
        at->knows_best = true;
        break;
    case PLK_SLICE_MAX:
        *n += n_for_best;
        at->knows_best = false;
        break;
    case PLK_SLICE_PICK: /* sums of blocks, which may be the mass for the nucleus; the token */
        *n += at->has_nucleus ? (at->is_scaled ? 2 : 1) : n_for_best + 2;
        break;
    case PLK_SLICE_RACE: /* the race; the mass that the log-probability needs */
        *n += at->has_nucleus ? 0 : at->token_only ? 1 : 2;
        break;
    }
}

plk_slice_plan plk_slice_plan_make(const plk_chain *chain, bool has_whole_groups, bool token_only)
{
    walk at = {.token_only = token_only};
    for (size_t i = 0; i < chain->n && !at.plan.reads_raw; i++) {
        const plk_link *link = chain->links + i;
        at.plan.reads_raw = plk_slice_use_of(link, has_whole_groups) == PLK_SLICE_RAW;
        if (at.plan.reads_raw)
            pass(&at, link, PLK_SLICE_RAW);
    }
    for (size_t i = 0; i < chain->n && !at.plan.gathers && !at.is_over; i++) {
        const plk_link *link = chain->links + i;
        bool settles = at.has_nucleus && link->stage->apply && !only_scales(link);
        if (settles)
            break;
        pass(&at, link, plk_slice_use_of(link, has_whole_groups));
    }
    return at.plan;
}
