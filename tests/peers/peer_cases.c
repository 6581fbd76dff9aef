/*
 * Sizes, values and parameters are drawn to be common, with the boundaries often enough. Nothing is
 * left out because the engines differ there.
 */
#include "peers/peer_cases.h"
#include "support/random.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* As a float, which is what libllama takes. */
static double uniform(test_random *random, double low, double high)
{
    return (double)(float)(low + (high - low) * test_random_uniform(random));
}

static stage make_stage(test_random *random, stage_kind kind)
{
    stage s = {.kind = kind, .min_keep = 1};
    if (test_random_below(random, 4) == 0)
        s.min_keep = 1 + (int32_t)test_random_below(random, 9);
    switch (kind) {
    case TOP_K:
        s.n = 1 + (int32_t)test_random_below(random, test_random_below(random, 2) ? 60 : 3000);
        break;
    case TOP_P:
    case TYPICAL:
        s.a = uniform(random, 0.02, 0.999);
        break;
    case MIN_P:
        s.a = uniform(random, 0.0005, 0.5);
        break;
    case TEMPERATURE:
        s.a = test_random_below(random, 20) ? uniform(random, 0.3, 2) : 0;
        break;
    case DYNAMIC:
        s.a = uniform(random, 0.5, 1.5);
        s.b = uniform(random, 0.1, 0.6);
        s.c = uniform(random, 0.5, 2);
        break;
    case TOP_N_SIGMA:
        s.a = uniform(random, 0.2, 3);
        break;
    case XTC:
        s.a = uniform(random, 0.01, 0.5);
        s.b = 1;
        break;
    case PENALTIES:
        s.n = (int32_t)test_random_below(random, 100) + 1;
        s.a = uniform(random, 0.8, 1.5);
        s.b = uniform(random, -0.5, 1);
        s.c = uniform(random, -0.5, 1);
        break;
    case DRY:
        s.a = uniform(random, 0.1, 2);
        s.b = uniform(random, 1.05, 3);
        s.n = (int32_t)test_random_below(random, 300) + 1;
        s.min_keep = 1 + (int32_t)test_random_below(random, 4); /* the allowed length */
        break;
    case MIROSTAT:
    case MIROSTAT_V2:
        s.a = uniform(random, 0.5, 8);
        break;
    case ADAPTIVE_P:
        s.a = uniform(random, 0.05, 0.95);
        break;
    default:
        s.n = (int32_t)test_random_below(random, 1000);
        s.a = uniform(random, -3, 3);
    }
    return s;
}

static void make_breakers(stage *s, size_t range, test_random *random)
{
    s->n_breakers = test_random_below(random, MAX_BREAKERS + 1);
    for (size_t b = 0; b < s->n_breakers; b++) {
        s->breakers[b].n = 1 + test_random_below(random, MAX_BREAKER);
        for (size_t i = 0; i < s->breakers[b].n; i++)
            s->breakers[b].tokens[i] = (int32_t)test_random_below(random, range);
    }
}

static void make_logits(peer_case *c, bool ties, test_random *random)
{
    bool bans = test_random_below(random, 3) == 0;
    double spread = uniform(random, 1, 4);
    for (uint32_t i = 0; i < c->n_vocab; i++) {
        double sum = -6;
        for (int j = 0; j < 12; j++)
            sum += test_random_uniform(random);
        c->logits[i] = (float)(spread * sum);
        if (test_random_below(random, 200) == 0)
            c->logits[i] += (float)(4 * spread * test_random_uniform(random));
        if (ties)
            c->logits[i] = roundf(c->logits[i] * 2) / 2;
        if (bans && i > 0 && test_random_below(random, 10) == 0)
            c->logits[i] = -INFINITY;
    }
}

void peer_case_make(peer_case *c, uint64_t seed)
{
    static const uint32_t sizes[] = {1, 2, 3, 10, 100, 1000, 5000, 32000};
    test_random random = test_random_make(seed);
    c->seed = seed;
    c->n_vocab = sizes[test_random_below(&random, sizeof sizes / sizeof *sizes)];
    if (test_random_below(&random, 40) == 0)
        c->n_vocab = MAX_VOCAB;
    c->ties = test_random_below(&random, 3) == 0;
    make_logits(c, c->ties, &random);
    c->n_history = test_random_below(&random, MAX_HISTORY);
    size_t range = c->n_vocab < 6 ? c->n_vocab : 6;
    for (size_t i = 0; i < c->n_history; i++)
        c->history[i] = (pluck_token)test_random_below(&random, range);
    c->n_stages = test_random_below(&random, MAX_STAGES);
    c->chance = false;
    for (size_t i = 0; i < c->n_stages; i++) {
        stage_kind kind = (stage_kind)test_random_below(&random, N_STAGES);
        c->stages[i] = make_stage(&random, kind);
        if (kind == DRY)
            make_breakers(&c->stages[i], range, &random);
        c->stages[i].n %= kind == BIAS ? (int32_t)c->n_vocab : INT32_MAX;
        if (kind == XTC && !c->chance && test_random_below(&random, 2)) {
            c->chance = true;
            c->stages[i].b = uniform(&random, 0.05, 0.95);
        }
    }
    static const stage_kind draws[] = {CATEGORICAL, MIROSTAT, MIROSTAT_V2, ADAPTIVE_P};
    c->draw = make_stage(&random, draws[test_random_below(&random, 12) % 6 % 4]);
}

void peer_case_make_dry(peer_case *c, uint64_t seed)
{
    test_random random = test_random_make(seed);
    c->seed = seed;
    c->n_vocab = 2 + (uint32_t)test_random_below(&random, 40);
    c->ties = c->chance = false;
    make_logits(c, false, &random);
    size_t range = 2 + test_random_below(&random, c->n_vocab - 1);
    c->n_history = test_random_below(&random, MAX_HISTORY);
    for (size_t i = 0; i < c->n_history;) {
        size_t n = 1 + test_random_below(&random, 12);
        size_t from = i > 0 && test_random_below(&random, 2) ? test_random_below(&random, i) : i;
        for (; n > 0 && i < c->n_history; n--, i++, from++)
            c->history[i] =
                from < i ? c->history[from] : (pluck_token)test_random_below(&random, range);
    }
    c->n_stages = 1;
    c->stages[0] = make_stage(&random, DRY);
    c->stages[0].min_keep = 1 + (int32_t)test_random_below(&random, 5);
    make_breakers(&c->stages[0], range, &random);
    c->draw = (stage){.kind = CATEGORICAL};
}

static int dry_json(char *text, size_t capacity, const stage *s)
{
    size_t n = (size_t)snprintf(text, capacity,
                                "{\"type\": \"dry\", \"multiplier\": %.17g, \"base\": %.17g, "
                                "\"allowed_length\": %d, \"last_n\": %d, \"breakers\": [",
                                s->a, s->b, s->min_keep, s->n);
    for (size_t b = 0; b < s->n_breakers; b++)
        for (size_t i = 0; i < s->breakers[b].n; i++)
            n += (size_t)snprintf(text + n, capacity - n, "%s%d%s",
                                  i > 0   ? ", "
                                  : b > 0 ? ", ["
                                          : "[",
                                  s->breakers[b].tokens[i], i + 1 == s->breakers[b].n ? "]" : "");
    return (int)n + snprintf(text + n, capacity - n, "]}");
}

static int stage_json(char *text, size_t capacity, const stage *s, double loose, bool acts)
{
    double more = 1 + loose, less = 1 - loose;
    switch (s->kind) {
    case TOP_K:
        return snprintf(text, capacity, "{\"type\": \"top_k\", \"k\": %d}", s->n);
    case TOP_P:
        return snprintf(text, capacity, "{\"type\": \"top_p\", \"p\": %.17g, \"min_keep\": %d}",
                        s->a * more < 1 ? s->a * more : 1, s->min_keep);
    case TYPICAL:
        return snprintf(text, capacity, "{\"type\": \"typical\", \"p\": %.17g, \"min_keep\": %d}",
                        s->a * more < 1 ? s->a * more : 1, s->min_keep);
    case MIN_P:
        return snprintf(text, capacity, "{\"type\": \"min_p\", \"p\": %.17g, \"min_keep\": %d}",
                        s->a * less, s->min_keep);
    case TEMPERATURE:
        return snprintf(text, capacity, "{\"type\": \"temperature\", \"t\": %.17g}", s->a);
    case DYNAMIC:
        return snprintf(text, capacity,
                        "{\"type\": \"dynamic_temperature\", \"t\": %.17g, \"range\": %.17g, "
                        "\"exponent\": %.17g}",
                        s->a, s->b, s->c);
    case TOP_N_SIGMA:
        return snprintf(text, capacity, "{\"type\": \"top_n_sigma\", \"n\": %.17g}", s->a * more);
    case XTC:
        return snprintf(text, capacity,
                        "{\"type\": \"xtc\", \"probability\": %d, \"threshold\": %.17g, "
                        "\"min_keep\": %d}",
                        s->b >= 1 || acts, s->a * more, s->min_keep);
    case PENALTIES:
        return snprintf(text, capacity,
                        "{\"type\": \"penalties\", \"last_n\": %d, \"repeat\": %.17g, "
                        "\"frequency\": %.17g, \"presence\": %.17g}",
                        s->n, s->a, s->b, s->c);
    case DRY:
        return dry_json(text, capacity, s);
    case BIAS:
        return snprintf(text, capacity, "{\"type\": \"logit_bias\", \"bias\": {\"%d\": %.17g}}",
                        s->n, s->a);
    case MIROSTAT:
        return snprintf(text, capacity, "{\"type\": \"mirostat\", \"tau\": %.17g}", s->a * more);
    case MIROSTAT_V2:
        return snprintf(text, capacity, "{\"type\": \"mirostat_v2\", \"tau\": %.17g}", s->a * more);
    case ADAPTIVE_P:
        return snprintf(text, capacity, "{\"type\": \"adaptive_p\", \"target\": %.17g}", s->a);
    default:
        return snprintf(text, capacity, "\"categorical\"");
    }
}

void peer_case_json(const peer_case *c, double loose, bool acts, char text[TEXT_BYTES])
{
    size_t n = (size_t)snprintf(text, TEXT_BYTES, "{\"stages\": [");
    for (size_t i = 0; i < c->n_stages; i++) {
        n += (size_t)snprintf(text + n, TEXT_BYTES - n, i ? ", " : "");
        n += (size_t)stage_json(text + n, TEXT_BYTES - n, &c->stages[i], loose, acts);
    }
    n += (size_t)snprintf(text + n, TEXT_BYTES - n, "], \"draw\": ");
    n += (size_t)stage_json(text + n, TEXT_BYTES - n, &c->draw, loose, acts);
    snprintf(text + n, TEXT_BYTES - n, "}");
}

bool peer_case_has(const peer_case *c, stage_kind kind)
{
    for (size_t i = 0; i < c->n_stages; i++)
        if (c->stages[i].kind == kind)
            return true;
    return c->draw.kind == kind;
}

typedef struct tied {
    float logit;
    uint32_t token;
} tied;

static int by_logit_then_token(const void *a, const void *b)
{
    const tied *x = a, *y = b;
    if (x->logit != y->logit)
        return x->logit > y->logit ? -1 : 1;
    return x->token < y->token ? -1 : 1;
}

void peer_case_break_ties(peer_case *c)
{
    tied *order = calloc(c->n_vocab, sizeof *order);
    if (!order)
        exit(EXIT_FAILURE);
    for (uint32_t i = 0; i < c->n_vocab; i++)
        order[i] = (tied){c->logits[i], i};
    qsort(order, c->n_vocab, sizeof *order, by_logit_then_token);
    for (uint32_t i = 1; i < c->n_vocab; i++)
        if (order[i].logit > -INFINITY && order[i].logit >= order[i - 1].logit)
            order[i].logit = nextafterf(order[i - 1].logit, -INFINITY);
    for (uint32_t i = 0; i < c->n_vocab; i++)
        c->logits[order[i].token] = order[i].logit;
    free(order);
    c->ties = false;
}
