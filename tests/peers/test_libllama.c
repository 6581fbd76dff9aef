/*
 * Why: the stages that llama.cpp has too must do what people know from it. Random chains on random
 * logits, 1 to 128,256 of them, with ties and -inf, after random histories, go through pluck and
 * through libllama; the sorted probabilities of what is left must agree to 1e-5.
 *
 *     test_libllama [COUNT [FIRST_SEED]]        PLUCK_LIBLLAMA = folder of libllama
 *
 * libllama computes in float and adds up in the order of a sort, so decisions closer than that may
 * differ. Such a case is told from a real disagreement by running pluck twice more, with every
 * parameter a little tighter and a little looser: libllama's number of survivors must lie
 * between. The other explanations are those of docs/stages-and-engines.md, each with a condition
 * below that must hold; everything else fails.
 */
#include "peers/llama_api.h"
#include "support/test_random.h"

#include <pluck/pluck.h>

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_VOCAB = 128256, MAX_STAGES = 5, MAX_HISTORY = 400, TEXT_BYTES = 4096, SKIPPED = 77 };

typedef enum stage_kind {
    TOP_K,
    TOP_P,
    MIN_P,
    TYPICAL,
    TEMPERATURE,
    DYNAMIC,
    TOP_N_SIGMA,
    XTC,
    PENALTIES,
    DRY,
    BIAS,
    N_STAGES,
    MIROSTAT = N_STAGES,
    MIROSTAT_V2,
    ADAPTIVE_P,
    CATEGORICAL
} stage_kind;

typedef struct stage {
    stage_kind kind;
    double a, b, c;
    int32_t n, min_keep;
} stage;

typedef struct peer_case {
    uint32_t n_vocab;
    float *logits;
    pluck_token history[MAX_HISTORY];
    size_t n_history;
    stage stages[MAX_STAGES];
    size_t n_stages;
    stage draw;
} peer_case;

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

/* libllama's top_n_sigma leaves tokens of -inf among the candidates, which confuses these. */
static bool counts_candidates(stage_kind kind)
{
    return kind == TYPICAL || kind == DYNAMIC || kind == TOP_N_SIGMA || kind == MIROSTAT ||
           kind == TOP_K || kind == XTC;
}

/* Which of equal tokens libllama's sort leaves is undefined; with these it would matter. */
static bool names_tokens(stage_kind kind)
{
    return kind == PENALTIES || kind == DRY || kind == BIAS;
}

static void make_case(peer_case *c, uint64_t seed)
{
    static const uint32_t sizes[] = {1, 2, 3, 10, 100, 1000, 5000, 32000};
    test_random random = test_random_make(seed);
    c->n_vocab = sizes[test_random_below(&random, sizeof sizes / sizeof *sizes)];
    if (test_random_below(&random, 40) == 0)
        c->n_vocab = MAX_VOCAB;
    bool ties = test_random_below(&random, 3) == 0;
    make_logits(c, ties, &random);
    c->n_history = test_random_below(&random, MAX_HISTORY);
    size_t range = c->n_vocab < 6 ? c->n_vocab : 6;
    for (size_t i = 0; i < c->n_history; i++)
        c->history[i] = (pluck_token)test_random_below(&random, range);
    c->n_stages = test_random_below(&random, MAX_STAGES);
    bool counts = true;  /* a stage that counts candidates may come */
    bool typical = true; /* no p underflows to 0, which makes libllama's entropy NaN */
    for (size_t i = 0; i < c->n_stages; i++) {
        stage_kind kind = (stage_kind)test_random_below(&random, N_STAGES);
        if ((!counts && counts_candidates(kind)) || (ties && i > 0 && names_tokens(kind)))
            kind = TEMPERATURE;
        if (i > 0 && kind == BIAS) /* it does not tell libllama that the order has changed */
            kind = TOP_P;
        if (kind == TYPICAL && (!typical || c->n_vocab == MAX_VOCAB)) /* the order is in float */
            kind = MIN_P;
        typical = typical && kind != TEMPERATURE && kind != DYNAMIC && kind != DRY;
        counts = counts && kind != TOP_N_SIGMA;
        c->stages[i] = make_stage(&random, kind);
        c->stages[i].n %= kind == BIAS ? (int32_t)c->n_vocab : INT32_MAX;
    }
    stage_kind draws[] = {CATEGORICAL, MIROSTAT, MIROSTAT_V2, ADAPTIVE_P};
    stage_kind draw = draws[test_random_below(&random, 12) % 6 % 4];
    c->draw = make_stage(&random, !counts && counts_candidates(draw) ? CATEGORICAL : draw);
}

/* loose: how much looser each parameter is, so that more tokens survive; < 0: fewer. */
static int stage_json(char *text, size_t capacity, const stage *s, double loose)
{
    const double more = 1 + loose, less = 1 - loose;
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
                        "{\"type\": \"xtc\", \"probability\": 1, \"threshold\": %.17g, "
                        "\"min_keep\": %d}",
                        s->a * more, s->min_keep);
    case PENALTIES:
        return snprintf(text, capacity,
                        "{\"type\": \"penalties\", \"last_n\": %d, \"repeat\": %.17g, "
                        "\"frequency\": %.17g, \"presence\": %.17g}",
                        s->n, s->a, s->b, s->c);
    case DRY:
        return snprintf(text, capacity,
                        "{\"type\": \"dry\", \"multiplier\": %.17g, \"base\": %.17g, "
                        "\"allowed_length\": %d, \"last_n\": %d}",
                        s->a, s->b, s->min_keep, s->n);
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

static void case_json(const peer_case *c, double loose, char text[TEXT_BYTES])
{
    size_t n = (size_t)snprintf(text, TEXT_BYTES, "{\"stages\": [");
    for (size_t i = 0; i < c->n_stages; i++) {
        n += (size_t)snprintf(text + n, TEXT_BYTES - n, i ? ", " : "");
        n += (size_t)stage_json(text + n, TEXT_BYTES - n, &c->stages[i], loose);
    }
    n += (size_t)snprintf(text + n, TEXT_BYTES - n, "], \"draw\": ");
    n += (size_t)stage_json(text + n, TEXT_BYTES - n, &c->draw, loose);
    snprintf(text + n, TEXT_BYTES - n, "}");
}

/* The probabilities, largest first; returns how many, 0 after an error. */
static uint32_t run_pluck(const peer_case *c, double loose, pluck_prob *probs)
{
    char json[TEXT_BYTES];
    pluck_sampler *sampler = NULL;
    pluck_error err;
    uint32_t n = 0;
    case_json(c, loose, json);
    if (pluck_sampler_from_json(&sampler, json, strlen(json), c->n_vocab, &err) != PLUCK_OK) {
        fprintf(stderr, "%s: %s\n", json, err.message);
        exit(EXIT_FAILURE);
    }
    for (size_t i = 0; i < c->n_history; i++)
        pluck_sampler_accept(sampler, c->history[i], NULL);
    pluck_logits logits = {c->logits, PLUCK_F32, c->n_vocab};
    if (pluck_sampler_distribution(sampler, logits, probs, c->n_vocab, &n, &err) != PLUCK_OK)
        n = 0;
    pluck_sampler_destroy(&sampler);
    return n;
}

static llama_sampler *make_peer(const llama_api *api, const peer_case *c, const stage *s)
{
    const llama_logit_bias bias = {s->n, (float)s->a};
    switch (s->kind) {
    case TOP_K:
        return api->top_k(s->n);
    case TOP_P:
        return api->top_p((float)s->a, (size_t)s->min_keep);
    case TYPICAL:
        return api->typical((float)s->a, (size_t)s->min_keep);
    case MIN_P:
        return api->min_p((float)s->a, (size_t)s->min_keep);
    case TEMPERATURE:
        return api->temp((float)s->a);
    case DYNAMIC:
        return api->temp_ext((float)s->a, (float)s->b, (float)s->c);
    case TOP_N_SIGMA:
        return api->top_n_sigma((float)s->a);
    case XTC:
        return api->xtc(1, (float)s->a, (size_t)s->min_keep, 1);
    case PENALTIES:
        return api->penalties((int32_t)c->n_vocab, s->n, (float)s->a, (float)s->b, (float)s->c);
    case DRY:
        return api->dry(NULL, (float)s->a, (float)s->b, s->min_keep, s->n, NULL, 0);
    case BIAS:
        return api->logit_bias((int32_t)c->n_vocab, 1, &bias);
    case MIROSTAT:
        return api->mirostat((int32_t)c->n_vocab, 1, (float)s->a, 0.1f, 100);
    case MIROSTAT_V2:
        return api->mirostat_v2(1, (float)s->a, 0.1f);
    default:
        return api->adaptive_p((float)s->a, 0.9f, 1);
    }
}

static int descending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x > y ? -1 : x < y;
}

/* The same of libllama: softmax of the logits that its chain leaves. */
static uint32_t run_peer(const llama_api *api, const peer_case *c, llama_token_data *data,
                         double *probs)
{
    /* Banned tokens are left out: see docs/stages-and-engines.md. */
    llama_token_data_array array = {data, 0, -1, false};
    for (uint32_t i = 0; i < c->n_vocab; i++)
        if (c->logits[i] > -INFINITY)
            data[array.size++] = (llama_token_data){(int32_t)i, c->logits[i], 0};
    llama_sampler *chain = api->chain_init((llama_sampler_chain_params){true});
    for (size_t i = 0; i < c->n_stages; i++)
        api->chain_add(chain, make_peer(api, c, &c->stages[i]));
    if (c->draw.kind != CATEGORICAL)
        api->chain_add(chain, make_peer(api, c, &c->draw));
    for (size_t i = 0; i < c->n_history; i++)
        api->accept(chain, c->history[i]);
    api->apply(chain, &array);
    uint32_t n = 0;
    double best = -(double)INFINITY, sum = 0;
    for (size_t i = 0; i < array.size; i++)
        best = fmax(best, (double)array.data[i].logit);
    for (size_t i = 0; i < array.size; i++) {
        double e = exp((double)array.data[i].logit - best);
        sum += e;
        if (e > 0)
            probs[n++] = e;
    }
    for (uint32_t i = 0; i < n; i++)
        probs[i] /= sum;
    qsort(probs, n, sizeof *probs, descending);
    api->free(chain);
    return n;
}

typedef struct totals {
    unsigned equal, rounding, overflow, k_overflow, failed;
} totals;

typedef struct comparison {
    uint32_t n, n_peer;
    double off;   /* largest difference of sorted probabilities */
    double extra; /* probability of what only one of them has */
} comparison;

static comparison compare(const pluck_prob *probs, uint32_t n, const double *peer, uint32_t n_peer)
{
    comparison c = {.n = n, .n_peer = n_peer};
    for (uint32_t i = 0; i < n || i < n_peer; i++) {
        double p = i < n ? (double)probs[i].prob : 0, q = i < n_peer ? peer[i] : 0;
        if (i < n && i < n_peer)
            c.off = fmax(c.off, fabs(p - q));
        else
            c.extra += p + q;
    }
    return c;
}

static bool has(const peer_case *c, stage_kind kind)
{
    for (size_t i = 0; i < c->n_stages; i++)
        if (c->stages[i].kind == kind)
            return true;
    return c->draw.kind == kind;
}

/* Whether libllama's number of survivors is between those of slightly different parameters. */
static bool is_between(const peer_case *c, uint32_t n, uint32_t n_peer, pluck_prob *probs)
{
    /* Each of n_vocab additions in float may be off by 2^-25, equal ones all in one direction. */
    const double margin = 1e-4 + 3e-7 * c->n_vocab;
    uint32_t fewer = n, more = n;
    for (int side = -1; side <= 1; side += 2) {
        uint32_t other = run_pluck(c, side * margin, probs);
        fewer = other < fewer ? other : fewer;
        more = other > more ? other : more;
    }
    return fewer < more && n_peer >= fewer && n_peer <= more;
}

static void judge(const llama_api *api, const peer_case *c, uint64_t seed, totals *t)
{
    pluck_prob *probs = calloc(c->n_vocab, sizeof *probs);
    double *peer = calloc(c->n_vocab, sizeof *peer);
    llama_token_data *data = calloc(c->n_vocab, sizeof *data);
    if (!probs || !peer || !data)
        exit(EXIT_FAILURE);
    uint32_t n = run_pluck(c, 0, probs), n_peer = run_peer(api, c, data, peer);
    comparison r = compare(probs, n, peer, n_peer);
    bool in_float = (has(c, DYNAMIC) && r.off <= 5e-4) ||
                    (has(c, ADAPTIVE_P) && r.off <= 1e-4 + 3e-8 * c->n_vocab);
    uint32_t apart = n > n_peer ? n - n_peer : n_peer - n;
    if (n == n_peer && r.off <= 1e-5)
        t->equal++;
    else if (n_peer == 0 && has(c, DRY))
        t->overflow++;
    else if (has(c, MIROSTAT) && n_peer == 1)
        t->k_overflow++;
    else if ((r.off <= 1e-5 && r.extra <= 1e-4) || (n == n_peer && in_float))
        t->rounding++;
    else if (has(c, MIROSTAT) && apart <= 1 + n / 1000)
        t->rounding++;
    else if (is_between(c, n, n_peer, probs))
        t->rounding++;
    else {
        char json[TEXT_BYTES];
        case_json(c, 0, json);
        t->failed++;
        fprintf(stderr,
                "seed %llu, %u logits, history of %zu: %u tokens, libllama %u; largest difference "
                "of p %g, on other tokens %g\n    %s\n",
                (unsigned long long)seed, c->n_vocab, c->n_history, n, n_peer, r.off, r.extra,
                json);
    }
    free(probs);
    free(peer);
    free(data);
}

int main(int argc, char **argv)
{
    const uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000;
    const uint64_t first = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    llama_api api;
    if (!llama_api_open(&api, getenv("PLUCK_LIBLLAMA"))) {
        puts("skipped: PLUCK_LIBLLAMA does not name a folder with libllama");
        return SKIPPED;
    }
    peer_case *c = calloc(1, sizeof *c);
    float *logits = calloc(MAX_VOCAB, sizeof *logits);
    if (!c || !logits)
        return EXIT_FAILURE;
    c->logits = logits;
    totals t = {0};
    for (uint64_t seed = first; seed < first + count; seed++) {
        make_case(c, seed);
        judge(&api, c, seed, &t);
    }
    printf("%u chains agree; libllama's float rounding %u, overflow of dry %u, of mirostat's k "
           "%u; unexplained %u\n",
           t.equal, t.rounding, t.overflow, t.k_overflow, t.failed);
    free(logits);
    free(c);
    llama_api_close(&api);
    return t.failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
