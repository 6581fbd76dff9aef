/*
 * A case proves something only if what it is about changes the distribution. A stage is taken out
 * by setting its keys to their neutral values, a draw by putting another one in its place; the
 * chain without it goes through the tokens of the chain with it.
 */
#include "golden/golden.h"

#include "support/config_parts.h"
#include "support/samplers.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Whether the distributions of two configurations differ somewhere on the tokens of the first. */
static bool differ(const golden_chain *c, const pluck_config *with, const pluck_config *without,
                   bool masked_without, void *row)
{
    pluck_sampler *a = golden_sampler(c, with, PLUCK_ISA_BEST);
    pluck_sampler *b = golden_sampler(c, without, PLUCK_ISA_BEST);
    bool found = false;
    for (uint32_t i = 0; i < GOLDEN_N_TOKENS && !found; i++) {
        golden_row(c->first_row + i / 3, c->dtype, c->n_vocab, row);
        pluck_logits logits = {row, c->dtype, c->n_vocab};
        pluck_token token = -1, other = -1;
        pluck_error err = {.status = PLUCK_OK};
        if (c->masked)
            golden_mask(a, c->n_vocab, i);
        if (masked_without)
            golden_mask(b, c->n_vocab, i);
        test_distribution p = test_distribution_of(a, logits);
        test_distribution q = test_distribution_of(b, logits);
        found = !test_distribution_equal(&p, &q);
        test_distribution_free(&p);
        test_distribution_free(&q);
        golden_require(pluck_sampler_sample(a, logits, &token, &err), c->name, &err);
        golden_require(pluck_sampler_sample(b, logits, &other, &err), c->name, &err);
        golden_require(pluck_sampler_accept(a, token, &err), c->name, &err);
        golden_require(pluck_sampler_accept(b, token, &err), c->name, &err);
    }
    pluck_sampler_destroy(&a);
    pluck_sampler_destroy(&b);
    return found;
}

/* A copy of the configuration in which the stage does nothing. */
static pluck_config *without_stage(const pluck_config *config, const pluck_stage *stage)
{
    pluck_config *copy = NULL;
    pluck_error err = {.status = PLUCK_OK};
    golden_require(pluck_config_clone(&copy, config, &err), stage->name, &err);
    for (const pluck_param *p = stage->params; p < stage->params + stage->n_params; p++) {
        char value[32];
        if (p->type == PLUCK_PARAM_BIAS_MAP)
            strcpy(value, "{}");
        else if (p->type == PLUCK_PARAM_TOKENS || p->type == PLUCK_PARAM_SEQUENCES)
            strcpy(value, "[]");
        else if (p->type == PLUCK_PARAM_BOOLEAN)
            strcpy(value, p->neutral != 0.0 ? "true" : "false");
        else if (!isnan(p->neutral))
            snprintf(value, sizeof value, "%.17g", p->neutral);
        else
            continue;
        golden_require(pluck_config_set_json(copy, p->flat_key, value, &err), p->flat_key, &err);
    }
    return copy;
}

static size_t index_of(const pluck_stage *stage)
{
    for (size_t i = 0; pluck_stage_at(i); i++)
        if (pluck_stage_at(i) == stage)
            return i;
    fail_msg("%s is not a stage of the library", stage->name);
    return 0;
}

/* seen: for each stage of the library, whether a chain has it. */
static void check_stages(const golden_chain *c, bool *seen, void *row)
{
    pluck_config *config = test_config(c->json);
    for (size_t i = 0; i < config_n_stages(config); i++) {
        const pluck_stage *stage = config_stage(config, i).stage;
        if (config_stage(config, i).is_neutral || stage->kind == PLUCK_STAGE_DRAW)
            continue;
        seen[index_of(stage)] = true;
        pluck_config *without = without_stage(config, stage);
        if (!differ(c, config, without, c->masked, row))
            fail_msg("%s: %s changes nothing", c->name, stage->name);
        pluck_config_destroy(&without);
    }
    if (c->masked && !differ(c, config, config, false, row))
        fail_msg("%s: the mask changes nothing", c->name);
    pluck_config_destroy(&config);
}

/* As a whole: what they were before stages were looked at one by one stays. */
static void check_flat(const golden_chain *c, void *row)
{
    pluck_config *config = test_config(c->json), *empty = test_config("{}");
    if (config_n_stages(config) > 1 && !differ(c, config, empty, false, row))
        fail_msg("%s: the stages change nothing", c->name);
    pluck_config_destroy(&empty);
    pluck_config_destroy(&config);
}

static void check_draw(size_t i, bool *seen, void *row)
{
    char json[GOLDEN_JSON_BYTES], other_json[GOLDEN_JSON_BYTES];
    golden_chain c = golden_chain_at(i, NULL, json);
    pluck_config *config = test_config(c.json);
    const pluck_stage *draw = config_stage(config, config_n_stages(config) - 1).stage;
    seen[index_of(draw)] = true;
    /* The two that have the distribution as the stages left it. */
    bool is_plain = strcmp(draw->name, "categorical") == 0 || strcmp(draw->name, "gumbel") == 0;
    golden_chain_at(i, is_plain ? "\"greedy\"" : "\"categorical\"", other_json);
    pluck_config *other = test_config(other_json);
    if (!differ(&c, config, other, c.masked, row))
        fail_msg("%s: %s changes nothing", c.name, draw->name);
    pluck_config_destroy(&other);
    pluck_config_destroy(&config);
}

void golden_chains_bite(void)
{
    bool *seen = calloc(n_known_stages(), sizeof *seen);
    char json[GOLDEN_JSON_BYTES];
    void *row = golden_row_buffer();
    if (!seen)
        abort();
    for (size_t i = 0; i < golden_n_chains; i++) {
        golden_chain c = golden_chain_at(i, NULL, json);
        if (i < golden_n_flat_chains) {
            check_flat(&c, row);
            continue;
        }
        check_stages(&c, seen, row);
        check_draw(i, seen, row);
    }
    for (size_t i = 0; pluck_stage_at(i); i++)
        if (!seen[i])
            fail_msg("no chain has the stage %s", pluck_stage_at(i)->name);
    free(row);
    free(seen);
}
