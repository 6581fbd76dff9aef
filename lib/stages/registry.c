/*
 * All stages, in the order in which the flat form runs them, draws last. The order is llama.cpp's
 * default one. Stages that llama.cpp does not have stand next to those that they are like. Bans
 * come first, as in Hugging Face and vLLM, and the application's own before all, so that few tokens
 * are left to the rest. Truncation by probability follows top_p and min_p; what replaces or bends
 * the distribution follows the temperature. A new stage is one file and one line here: X(name) for
 * plk_stage_name.
 */
#include "stages/stage_impl.h"

#include "base/text.h"

#include <string.h>

#define STAGES(X)                                                                                  \
    X(mask)                                                                                        \
    X(bad_words)                                                                                   \
    X(no_repeat_ngram)                                                                             \
    X(min_tokens)                                                                                  \
    X(logit_bias)                                                                                  \
    X(exp_decay_length)                                                                            \
    X(penalties)                                                                                   \
    X(dry)                                                                                         \
    X(top_n_sigma)                                                                                 \
    X(top_k)                                                                                       \
    X(typical)                                                                                     \
    X(tail_free)                                                                                   \
    X(top_p)                                                                                       \
    X(top_a)                                                                                       \
    X(min_p)                                                                                       \
    X(epsilon_cutoff)                                                                              \
    X(eta_cutoff)                                                                                  \
    X(top_h)                                                                                       \
    X(p_less)                                                                                      \
    X(xtc)                                                                                         \
    X(infill)                                                                                      \
    X(temperature)                                                                                 \
    X(dynamic_temperature)                                                                         \
    X(smoothing)                                                                                   \
    X(entmax)                                                                                      \
    X(categorical)                                                                                 \
    X(greedy)                                                                                      \
    X(mirostat)                                                                                    \
    X(mirostat_v2)                                                                                 \
    X(adaptive_p)                                                                                  \
    X(gumbel)

#define DECLARE(name) extern const plk_stage plk_stage_##name;
STAGES(DECLARE)

#define ADDRESS(name) &plk_stage_##name,
const plk_stage *const plk_stages[] = {STAGES(ADDRESS) NULL};

enum { N_STAGES = sizeof plk_stages / sizeof *plk_stages - 1 };

const plk_stage *plk_stage_find(const char *name)
{
    for (size_t i = 0; plk_stages[i]; i++)
        if (strcmp(plk_stages[i]->info.name, name) == 0)
            return plk_stages[i];
    return NULL;
}

const plk_stage *plk_stage_of(const pluck_stage *info)
{
    return (const plk_stage *)(const void *)info;
}

const pluck_stage *pluck_stage_at(size_t index)
{
    return index < N_STAGES ? &plk_stages[index]->info : NULL;
}

const pluck_stage *pluck_stage_find(const char *name)
{
    const plk_stage *stage = name ? plk_stage_find(name) : NULL;
    return stage ? &stage->info : NULL;
}

const char *pluck_stage_nearest(const char *name)
{
    plk_suggestion nearest = plk_suggest(name);
    for (size_t i = 0; name && plk_stages[i]; i++)
        plk_suggest_offer(&nearest, plk_stages[i]->info.name, NULL);
    return nearest.best;
}
