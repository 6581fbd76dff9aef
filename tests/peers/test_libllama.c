/*
 * Why: the stages that llama.cpp has too must do what people know from it. Random chains on random
 * logits, 1 to 128,256 of them, with ties and -inf, after random histories, go through pluck and
 * through libllama; the sorted probabilities of what is left must agree to 1e-5.
 *
 *     test_libllama [--cases N] [--seed S] [--dry]      PLUCK_LIBLLAMA = folder of libllama
 *
 * N is 1000 unless given, S, the first case, 1; --dry: dry alone, with breakers. What disagrees
 * must be explained by one of the deviations of docs/engines.md, by showing that it goes
 * away when the reason does: where libllama's candidates carry what confuses it, its samplers are
 * applied one at a time and the array is put in order between them; where equal logits are ordered
 * by chance, they are made different. Decisions closer than libllama's floats are told by running
 * pluck twice more, with every parameter a little tighter and a little looser: libllama's number of
 * survivors must lie between. Everything else fails.
 */
#include "peers/libllama.h"
#include "peers/peer_cases.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SKIPPED = 77 };

/* Why a case agrees. */
typedef enum verdict {
    AGREES,
    ROUNDING,
    BANNED,
    STILL_SORTED,
    UNDERFLOW_OF_P,
    SEVERAL,
    TIES,
    DRY_OVERFLOW,
    K_OVERFLOW,
    UNEXPLAINED,
    N_VERDICTS
} verdict;

static const char *const verdict_names[N_VERDICTS] = {
    "agree to 1e-5",
    "decisions and sums in float",
    "candidates at -inf count",
    "array still marked sorted after logit_bias",
    "typical where a probability underflows",
    "several of these three",
    "order of equal logits",
    "dry penalty overflows",
    "mirostat's k overflows",
    "unexplained",
};

/* Bits: what is put in order between libllama's samplers. */
enum { DROP_BANNED = 1, UNSORT = 2, DROP_UNDERFLOW = 4, ALL = 7 };

/* The probabilities, largest first; returns how many, 0 after an error. */
static uint32_t run_pluck(const peer_case *c, double loose, bool acts, pluck_prob *probs)
{
    char json[TEXT_BYTES];
    pluck_sampler *sampler = NULL;
    pluck_error err;
    uint32_t n = 0;
    peer_case_json(c, loose, acts, json);
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

static llama_sampler *make_dry(const libllama *api, const stage *s)
{
    llama_vector breakers[MAX_BREAKERS];
    for (size_t b = 0; b < s->n_breakers; b++) {
        const int32_t *tokens = s->breakers[b].tokens, *end = tokens + s->breakers[b].n;
        breakers[b] = (llama_vector){tokens, end, end};
    }
    const llama_vector *end = breakers + s->n_breakers;
    if (s->n_breakers == 0)
        return api->dry(NULL, (float)s->a, (float)s->b, s->min_keep, s->n, NULL, 0);
    return api->dry_testing((float)s->a, (float)s->b, s->min_keep, s->n,
                            &(llama_vector){breakers, end, end});
}

static llama_sampler *make_peer(const libllama *api, const peer_case *c, const stage *s)
{
    llama_logit_bias bias = {s->n, (float)s->a};
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
        return api->xtc((float)s->b, (float)s->a, (size_t)s->min_keep, (uint32_t)c->seed);
    case PENALTIES:
        return api->penalties((int32_t)c->n_vocab, s->n, (float)s->a, (float)s->b, (float)s->c);
    case DRY:
        return make_dry(api, s);
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

/* Removes what bits name from the candidates. */
static void tidy(unsigned bits, bool for_typical, llama_token_data_array *array)
{
    float best = -INFINITY;
    size_t n = 0;
    for (size_t i = 0; i < array->size; i++)
        best = fmaxf(best, array->data[i].logit);
    for (size_t i = 0; i < array->size; i++) {
        float logit = array->data[i].logit;
        bool banned = (bits & DROP_BANNED) && !(logit > -INFINITY);
        bool underflows = (bits & DROP_UNDERFLOW) && for_typical && expf(logit - best) < 1e-37f;
        if (!banned && !underflows)
            array->data[n++] = array->data[i];
    }
    array->size = n;
    if (bits & UNSORT)
        array->sorted = false;
}

/* Applies libllama's samplers after the history, all at once or one by one, tidied between. */
static void apply_peer(const libllama *api, const peer_case *c, unsigned bits,
                       llama_token_data_array *array)
{
    llama_sampler *chain = NULL;
    for (size_t i = 0; i <= c->n_stages; i++) {
        const stage *s = i < c->n_stages ? &c->stages[i] : &c->draw;
        if (!chain)
            chain = api->chain_init((llama_sampler_chain_params){true});
        if (s->kind != CATEGORICAL)
            api->chain_add(chain, make_peer(api, c, s));
        if (bits == 0 && i < c->n_stages)
            continue;
        for (size_t j = 0; j < c->n_history; j++)
            api->accept(chain, c->history[j]);
        tidy(bits, s->kind == TYPICAL, array);
        if (array->size > 0)
            api->apply(chain, array);
        api->free(chain);
        chain = NULL;
    }
}

static int descending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x > y ? -1 : x < y;
}

/* The same of libllama: softmax of the logits that its chain leaves. */
static uint32_t run_peer(const libllama *api, const peer_case *c, unsigned bits,
                         llama_token_data *data, double *probs)
{
    llama_token_data_array array = {data, c->n_vocab, -1, false};
    for (uint32_t i = 0; i < c->n_vocab; i++)
        data[i] = (llama_token_data){(int32_t)i, c->logits[i], 0};
    apply_peer(api, c, bits, &array);
    uint32_t n = 0;
    double best = -(double)INFINITY, sum = 0;
    for (size_t i = 0; i < array.size; i++)
        best = fmax(best, (double)array.data[i].logit);
    for (size_t i = 0; i < array.size; i++) {
        double e = exp((double)array.data[i].logit - best);
        if (e > 0) {
            sum += e;
            probs[n++] = e;
        }
    }
    for (uint32_t i = 0; i < n; i++)
        probs[i] /= sum;
    qsort(probs, n, sizeof *probs, descending);
    return n;
}

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

typedef struct buffers {
    pluck_prob *probs;
    double *peer;
    llama_token_data *data;
    comparison last;
} buffers;

/* Whether libllama's number of survivors is between those of slightly different parameters. */
static bool is_between(const peer_case *c, bool acts, const comparison *r, pluck_prob *probs)
{
    /* Each of n_vocab additions in float may be off by 2^-25, equal ones all in one direction. */
    double margin = 1e-4 + 3e-7 * c->n_vocab;
    uint32_t fewer = r->n, more = r->n;
    for (int side = -1; side <= 1; side += 2) {
        uint32_t other = run_pluck(c, side * margin, acts, probs);
        fewer = other < fewer ? other : fewer;
        more = other > more ? other : more;
    }
    return fewer < more && r->n_peer >= fewer && r->n_peer <= more;
}

static bool is_rounding(const peer_case *c, bool acts, buffers *b)
{
    const comparison *r = &b->last;
    bool in_float = (peer_case_has(c, DYNAMIC) && r->off <= 5e-4) ||
                    (peer_case_has(c, ADAPTIVE_P) && r->off <= 1e-4 + 3e-8 * c->n_vocab);
    uint32_t apart = r->n > r->n_peer ? r->n - r->n_peer : r->n_peer - r->n;
    if ((r->off <= 1e-5 && r->extra <= 1e-4) || (r->n == r->n_peer && in_float))
        return true;
    if (peer_case_has(c, MIROSTAT) && apart <= 1 + r->n / 1000)
        return true;
    return is_between(c, acts, r, b->probs);
}

/* What explains the results when libllama runs tidied by bits. */
static verdict judge_tidied(const libllama *api, const peer_case *c, bool acts, unsigned bits,
                            buffers *b)
{
    uint32_t n = run_pluck(c, 0, acts, b->probs);
    uint32_t n_peer = run_peer(api, c, bits, b->data, b->peer);
    comparison r = b->last = compare(b->probs, n, b->peer, n_peer);
    if (n == n_peer && r.off <= 1e-5)
        return AGREES;
    if (n_peer == 0 && peer_case_has(c, DRY))
        return DRY_OVERFLOW;
    if (peer_case_has(c, MIROSTAT) && n_peer == 1)
        return K_OVERFLOW;
    return is_rounding(c, acts, b) ? ROUNDING : UNEXPLAINED;
}

/* The first reason that suffices. */
static verdict judge(const libllama *api, peer_case *c, bool acts, buffers *b)
{
    static const struct {
        unsigned bits;
        verdict reason;
    } steps[] = {{DROP_BANNED, BANNED},
                 {UNSORT, STILL_SORTED},
                 {DROP_UNDERFLOW, UNDERFLOW_OF_P},
                 {ALL, SEVERAL}};
    verdict found = judge_tidied(api, c, acts, 0, b);
    if (found == AGREES || found == ROUNDING)
        return found;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        verdict tidied = judge_tidied(api, c, acts, steps[i].bits, b);
        if (tidied == AGREES || tidied == ROUNDING)
            return steps[i].reason;
        found = found == UNEXPLAINED ? tidied : found;
    }
    return found;
}

typedef struct totals {
    unsigned verdicts[N_VERDICTS];
    unsigned n_chance, n_acted; /* cases in which xtc may act and it would be seen */
    double expected, variance;
} totals;

/* A stage of chance acted in libllama or not: either may be what happened. */
static verdict judge_chance(const libllama *api, peer_case *c, buffers *b, totals *t)
{
    double probability = 1;
    uint32_t n_acting = run_pluck(c, 0, true, b->probs);
    bool seen = run_pluck(c, 0, false, b->probs) != n_acting;
    for (size_t i = 0; i < c->n_stages; i++)
        if (c->stages[i].kind == XTC)
            probability = fmin(probability, c->stages[i].b);
    bool acted = seen && judge_tidied(api, c, true, 0, b) == AGREES;
    if (acted || (seen && judge_tidied(api, c, false, 0, b) == AGREES)) {
        t->n_chance++;
        t->n_acted += acted;
        t->expected += probability;
        t->variance += probability * (1 - probability);
        return AGREES;
    }
    verdict acting = judge(api, c, true, b);
    return acting != UNEXPLAINED ? acting : judge(api, c, false, b);
}

static verdict judge_all(const libllama *api, peer_case *c, buffers *b, totals *t)
{
    verdict found = c->chance ? judge_chance(api, c, b, t) : judge(api, c, true, b);
    if (found != UNEXPLAINED || !c->ties)
        return found;
    comparison first = b->last;
    totals unused = {.expected = 0};
    peer_case_break_ties(c);
    found = c->chance ? judge_chance(api, c, b, &unused) : judge(api, c, true, b);
    b->last = first;
    return found == UNEXPLAINED ? found : TIES;
}

static void report(const totals *t, uint64_t count)
{
    printf("%-45s %8s\n", "chains", "number");
    for (int i = 0; i < N_VERDICTS; i++)
        printf("%-45s %8u\n", verdict_names[i], t->verdicts[i]);
    printf("%-45s %8llu\n", "all", (unsigned long long)count);
    printf("xtc acted in %u of %u chains where it shows; %.0f expected, standard deviation %.1f\n",
           t->n_acted, t->n_chance, t->expected, sqrt(t->variance));
}

/* Whether every option was understood. */
static bool parse(int argc, char **argv, uint64_t *count, uint64_t *first, bool *dry)
{
    for (int i = 1; i < argc; i += 2) {
        if (strcmp(argv[i], "--dry") == 0) {
            *dry = true;
            i--;
            continue;
        }
        uint64_t *value = strcmp(argv[i], "--cases") == 0  ? count
                          : strcmp(argv[i], "--seed") == 0 ? first
                                                           : NULL;
        if (!value || i + 1 == argc)
            return false;
        *value = strtoull(argv[i + 1], NULL, 10);
    }
    return true;
}

int main(int argc, char **argv)
{
    uint64_t count = 1000, first = 1;
    bool dry = false;
    libllama api;
    if (!parse(argc, argv, &count, &first, &dry)) {
        fputs("usage: test_libllama [--cases N] [--seed S] [--dry]\n", stderr);
        return 2;
    }
    const char *folder = getenv("PLUCK_LIBLLAMA");
    if (!folder) {
        puts("skipped: PLUCK_LIBLLAMA does not name a folder with libllama");
        return SKIPPED;
    }
    if (!libllama_open(&api, folder))
        return EXIT_FAILURE;
    peer_case *c = calloc(1, sizeof *c);
    float *logits = calloc(MAX_VOCAB, sizeof *logits);
    buffers b = {calloc(MAX_VOCAB, sizeof *b.probs),
                 calloc(MAX_VOCAB, sizeof *b.peer),
                 calloc(MAX_VOCAB, sizeof *b.data),
                 {.n = 0}};
    if (!c || !logits || !b.probs || !b.peer || !b.data)
        return EXIT_FAILURE;
    c->logits = logits;
    totals t = {.expected = 0};
    for (uint64_t seed = first; seed < first + count; seed++) {
        if (dry)
            peer_case_make_dry(c, seed);
        else
            peer_case_make(c, seed);
        verdict found = judge_all(&api, c, &b, &t);
        t.verdicts[found]++;
        if (found == UNEXPLAINED) {
            char json[TEXT_BYTES];
            peer_case_json(c, 0, true, json);
            fprintf(stderr,
                    "--cases 1 --seed %llu%s: %u logits, history of %zu: %u tokens, libllama %u; "
                    "largest difference of p %g, on other tokens %g\n    %s\n",
                    (unsigned long long)seed, dry ? " --dry" : "", c->n_vocab, c->n_history,
                    b.last.n, b.last.n_peer, b.last.off, b.last.extra, json);
        }
    }
    report(&t, count);
    bool by_chance = fabs(t.n_acted - t.expected) <= 5 * sqrt(t.variance) + 1;
    free(b.data);
    free(b.peer);
    free(b.probs);
    free(logits);
    free(c);
    libllama_close(&api);
    return t.verdicts[UNEXPLAINED] || !by_chance ? EXIT_FAILURE : EXIT_SUCCESS;
}
