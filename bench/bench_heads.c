/*
 * What a token costs from a tree and from the dense head of the same size, and how that grows.
 *
 *     bench_heads [--json FILE] [--only TEXT] [--quick] [--all]
 *
 * Both heads are made up and share one matrix of f16 numbers: its rows are the nodes of the one and
 * the tokens of the other. Counts fall as 1/rank; the biases give both heads these frequencies at a
 * hidden state of zeros, and random weights move the log-odds of a node, or the logit of a token,
 * by a normal number of deviation 1.5. Answers are exact, and taken at 64 hidden states in turn.
 *
 * By default dim 256 for 10^3 to 10^6 tokens, and dim 64 and 1024 for 10^5; --all takes every
 * combination, which needs 2 GiB of memory. --only TEXT: cases like "1000x64" that contain TEXT.
 */
#include "support/clock.h"
#include "support/interleave.h"
#include "support/records.h"

#include <pluck/head.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_HIDDEN = 64, TOP = 5, TILE = 1000003, N_SIZES = 4, N_DIMS = 3 };

static const uint32_t sizes[N_SIZES] = {1000, 10000, 100000, 1000000};
static const uint32_t dims[N_DIMS] = {64, 256, 1024};
static const double DEVIATION = 1.5;

typedef struct settings {
    const char *json, *only;
    bool quick, all;
} settings;

typedef enum question { SAMPLE, SAMPLE_COLD, TOP_1, TOP_5, LOGPROB, N_QUESTIONS } question;

static const char *const question_names[N_QUESTIONS] = {"sample T=1", "sample T=0.7", "top-1",
                                                        "top-5", "logprob"};

/* A question to one head. */
typedef struct subject {
    pluck_head_query *query;
    const float *hidden;
    uint32_t dim, n_tokens;
    question what;
    size_t at;
    uint64_t n_dots;
    bool failed;
} subject;

static void ask(void *context, size_t n)
{
    subject *s = context;
    const pluck_selection top_1 = {.struct_size = sizeof top_1, .top_k = 1},
                          top_5 = {.struct_size = sizeof top_5, .top_k = TOP};
    pluck_head_stats cost = PLUCK_INIT(pluck_head_stats);
    pluck_logprob tokens[TOP];
    pluck_token token = 0;
    double logprob = 0;
    uint32_t found = 0;
    pluck_pcg64 rng;
    pluck_status status = PLUCK_OK;
    for (size_t i = 0; i < n; i++, s->at++) {
        const float *h = s->hidden + s->at % N_HIDDEN * s->dim;
        switch (s->what) {
        case SAMPLE:
        case SAMPLE_COLD:
            pluck_pcg64_seed(&rng, 1, s->at, 0);
            status = pluck_head_query_sample(s->query, h, s->what == SAMPLE ? 1.0 : 0.7, &rng, 1,
                                             tokens, &found, NULL);
            break;
        case TOP_1:
            status = pluck_head_query_select(s->query, h, &top_1, tokens, 1, &found, NULL);
            break;
        case TOP_5:
            status = pluck_head_query_select(s->query, h, &top_5, tokens, TOP, &found, NULL);
            break;
        default:
            token = (pluck_token)((uint64_t)s->at * 7919 % s->n_tokens);
            status = pluck_head_query_logprob(s->query, h, token, &logprob, NULL);
        }
        s->failed |= status != PLUCK_OK;
        (void)pluck_head_query_get_stats(s->query, &cost, NULL);
        s->n_dots += cost.n_dots;
    }
}

static double normal(pluck_pcg64 *rng)
{
    double u = pluck_pcg64_uniform(rng), v = pluck_pcg64_uniform(rng);
    return sqrt(-2 * log(1 - u)) * cos(6.283185307179586 * v);
}

/* Normal numbers only; what is smaller becomes 0. */
static uint16_t half_of(double x)
{
    int exponent = 0;
    double fraction = frexp(fabs(x), &exponent);
    unsigned sign = x < 0 ? 0x8000u : 0u;
    if (exponent < -13 || fraction <= 0)
        return (uint16_t)sign;
    unsigned mantissa = (unsigned)(fraction * 2048);
    return (uint16_t)(sign | ((unsigned)(exponent + 14) << 10) | (mantissa & 0x3ffu));
}

/* Pseudo-random rows: a tile whose length divides no row length, again and again. */
static uint16_t *make_weights(size_t n, uint32_t dim)
{
    uint16_t *w = malloc(n * sizeof *w);
    pluck_pcg64 rng;
    pluck_pcg64_seed(&rng, 3, dim, 0);
    size_t n_first = n < TILE ? n : TILE;
    for (size_t i = 0; w && i < n_first; i++)
        w[i] = half_of(normal(&rng) * DEVIATION / sqrt(dim));
    for (size_t i = n_first; w && i < n; i += TILE)
        memcpy(w + i, w, (n - i < TILE ? n - i : TILE) * sizeof *w);
    return w;
}

typedef struct model {
    uint32_t n_tokens, dim;
    uint16_t *weights;
    float *hidden;
    pluck_head *heads[2]; /* tree, dense */
    pluck_head_query *queries[2];
    pluck_tree_stats shape;
} model;

/* ln(right count / left count) of every inner node, and ln count of every token. */
static bool make_biases(const pluck_tree *tree, const int64_t *counts, float *nodes, float *tokens)
{
    uint32_t n = pluck_tree_n_tokens(tree);
    const int32_t *children = pluck_tree_children(tree);
    double *sums = malloc((2 * (size_t)n - 1) * sizeof *sums);
    for (uint32_t t = 0; sums && t < n; t++) {
        sums[t] = (double)counts[t];
        tokens[t] = (float)log(sums[t]);
    }
    for (uint32_t i = 0; sums && i + 1 < n; i++) {
        double left = sums[children[2 * (size_t)i]], right = sums[children[2 * (size_t)i + 1]];
        sums[n + i] = left + right;
        nodes[i] = (float)log(right / left);
    }
    bool done = sums != NULL;
    free(sums);
    return done;
}

static bool make_heads(model *m)
{
    uint32_t n = m->n_tokens;
    int64_t *counts = malloc(n * sizeof *counts);
    float *nodes = malloc(n * sizeof *nodes), *tokens = malloc(n * sizeof *tokens);
    pluck_tree *tree = NULL;
    m->shape = PLUCK_INIT(pluck_tree_stats);
    for (uint32_t t = 0; counts && t < n; t++)
        counts[t] = 1000000000 / ((int64_t)t + 1);
    pluck_matrix rows = {.data = m->weights, .dtype = PLUCK_F16, .n_rows = n, .n_cols = m->dim};
    bool done = counts && nodes && tokens &&
                pluck_tree_create_huffman(&tree, counts, n, NULL, NULL) == PLUCK_OK &&
                make_biases(tree, counts, nodes, tokens) &&
                pluck_tree_get_stats(tree, counts, &m->shape, NULL) == PLUCK_OK &&
                pluck_head_create_hierarchical(&m->heads[0], tree, &rows, nodes, PLUCK_TREE_RIGHT,
                                               NULL, NULL) == PLUCK_OK &&
                pluck_head_create_dense(&m->heads[1], &rows, tokens, NULL, NULL) == PLUCK_OK &&
                pluck_head_query_create(&m->queries[0], m->heads[0], NULL, NULL) == PLUCK_OK &&
                pluck_head_query_create(&m->queries[1], m->heads[1], NULL, NULL) == PLUCK_OK;
    pluck_tree_destroy(&tree);
    free(counts);
    free(nodes);
    free(tokens);
    return done;
}

static bool model_create(model *m, uint32_t n_tokens, uint32_t dim)
{
    pluck_pcg64 rng;
    *m = (model){.n_tokens = n_tokens, .dim = dim};
    m->weights = make_weights((size_t)n_tokens * dim, dim);
    m->hidden = malloc(N_HIDDEN * (size_t)dim * sizeof *m->hidden);
    pluck_pcg64_seed(&rng, 4, dim, 0);
    for (size_t i = 0; m->hidden && i < N_HIDDEN * (size_t)dim; i++)
        m->hidden[i] = (float)normal(&rng);
    return m->weights && m->hidden && make_heads(m);
}

static void model_destroy(model *m)
{
    for (size_t i = 0; i < 2; i++) {
        pluck_head_query_destroy(&m->queries[i]);
        pluck_head_destroy(&m->heads[i]);
    }
    free(m->weights);
    free(m->hidden);
}

/* What the summary needs: nanoseconds and dot products of the tree at dim 256. */
typedef struct growth {
    size_t n;
    double log2_tokens[N_SIZES], ns[N_QUESTIONS][N_SIZES], dots[N_QUESTIONS][N_SIZES];
    double dense_ns[N_QUESTIONS][N_SIZES];
} growth;

static void report(bench_records *records, const model *m, const subject *s, const double *dots,
                   const bench_timing *timings)
{
    for (size_t q = 0; q < N_QUESTIONS; q++) {
        const bench_timing *tree = &timings[2 * q], *dense = &timings[2 * q + 1];
        printf("%9u %6u  %-13s %10.2f %12.2f %9.0f %11.1f %10u\n", (unsigned)m->n_tokens,
               (unsigned)m->dim, question_names[q], tree->ns.median / 1e3, dense->ns.median / 1e3,
               dense->ns.median / tree->ns.median, dots[2 * q], (unsigned)m->n_tokens);
        for (size_t side = 0; side < 2; side++) {
            bench_record_begin(records);
            bench_record_text(records, "head", side == 0 ? "tree" : "dense");
            bench_record_text(records, "question", question_names[s[2 * q].what]);
            bench_record_integer(records, "tokens", m->n_tokens);
            bench_record_integer(records, "dim", m->dim);
            bench_record_number(records, "dots", dots[2 * q + side]);
            bench_record_measure(records, "ns", timings[2 * q + side].ns);
            bench_record_end(records);
        }
    }
}

static bool run_case(bench_records *records, const settings *set, uint32_t n_tokens, uint32_t dim,
                     growth *g)
{
    subject subjects[2 * N_QUESTIONS];
    bench_subject measured[2 * N_QUESTIONS];
    bench_timing timings[2 * N_QUESTIONS];
    double dots[2 * N_QUESTIONS];
    model m;
    bool done = model_create(&m, n_tokens, dim);
    bench_plan plan = bench_plan_default(set->quick);
    plan.budget_ns = set->quick ? 2e8 : 1e9;
    plan.min_repetitions = 3;
    for (size_t i = 0; done && i < 2 * N_QUESTIONS; i++) {
        subjects[i] = (subject){.query = m.queries[i % 2],
                                .hidden = m.hidden,
                                .dim = dim,
                                .n_tokens = n_tokens,
                                .what = (question)(i / 2)};
        measured[i] = (bench_subject){ask, &subjects[i]};
        /* Nodes, over every hidden state once; of a dense head they are known. */
        if (i % 2 == 0)
            ask(&subjects[i], N_HIDDEN);
        dots[i] = i % 2 == 0 ? (double)subjects[i].n_dots / N_HIDDEN : n_tokens;
    }
    if (done) {
        bench_interleave(measured, 2 * N_QUESTIONS, &plan, timings);
        report(records, &m, subjects, dots, timings);
    }
    for (size_t i = 0; done && i < 2 * N_QUESTIONS; i++)
        done = !subjects[i].failed;
    if (done && dim == 256) {
        g->log2_tokens[g->n] = log2(n_tokens);
        for (size_t q = 0; q < N_QUESTIONS; q++) {
            g->ns[q][g->n] = timings[2 * q].ns.median;
            g->dense_ns[q][g->n] = timings[2 * q + 1].ns.median;
            g->dots[q][g->n] = dots[2 * q];
        }
        g->n++;
    }
    model_destroy(&m);
    return done;
}

/* Least squares over log2 of the number of tokens. */
static double slope(const growth *g, const double *y)
{
    double mean_x = 0, mean_y = 0, xy = 0, xx = 0;
    for (size_t i = 0; i < g->n; i++) {
        mean_x += g->log2_tokens[i] / (double)g->n;
        mean_y += y[i] / (double)g->n;
    }
    for (size_t i = 0; i < g->n; i++) {
        xy += (g->log2_tokens[i] - mean_x) * (y[i] - mean_y);
        xx += (g->log2_tokens[i] - mean_x) * (g->log2_tokens[i] - mean_x);
    }
    return xy / xx;
}

static void print_growth(const growth *g)
{
    if (g->n < 2)
        return;
    size_t last = g->n - 1;
    printf("\nGrowth at dim 256, from %.0f to %.0f tokens\n", exp2(g->log2_tokens[0]),
           exp2(g->log2_tokens[last]));
    printf("%-13s %22s %18s %13s %13s\n", "", "tree: nodes a doubling", "ns a doubling",
           "tree, in all", "dense, in all");
    for (size_t q = 0; q < N_QUESTIONS; q++)
        printf("%-13s %22.2f %18.0f %12.1fx %12.0fx\n", question_names[q], slope(g, g->dots[q]),
               slope(g, g->ns[q]), g->ns[q][last] / g->ns[q][0],
               g->dense_ns[q][last] / g->dense_ns[q][0]);
}

static bool is_wanted(const settings *set, uint32_t n_tokens, uint32_t dim)
{
    char name[32];
    snprintf(name, sizeof name, "%ux%u", (unsigned)n_tokens, (unsigned)dim);
    if (set->only)
        return strstr(name, set->only) != NULL;
    return set->all || dim == 256 || n_tokens == 100000;
}

static int read_settings(settings *set, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--quick") == 0)
            set->quick = true;
        else if (strcmp(argv[i], "--all") == 0)
            set->all = true;
        else if (strcmp(argv[i], "--json") == 0 && i + 1 < argc)
            set->json = argv[++i];
        else if (strcmp(argv[i], "--only") == 0 && i + 1 < argc)
            set->only = argv[++i];
        else {
            bool is_help = strcmp(argv[i], "--help") == 0;
            fprintf(is_help ? stdout : stderr,
                    "usage: %s [--json FILE] [--only TEXT] [--quick] [--all]\n", argv[0]);
            return is_help ? 0 : 2;
        }
    }
    return -1;
}

int main(int argc, char **argv)
{
    settings set = {.quick = false};
    int status = read_settings(&set, argc, argv);
    if (status >= 0)
        return status;
    bench_records *records = NULL;
    growth g = {.n = 0};
    if (!bench_records_open(&records, set.json, "bench_heads", false))
        return 2;
    bench_pin();
    bench_warm_up(0.3);
    printf("%9s %6s  %-13s %10s %12s %9s %11s %10s\n", "tokens", "dim", "question", "tree us",
           "dense us", "times", "tree nodes", "dense rows");
    bool done = true;
    for (size_t d = 0; done && d < N_DIMS; d++)
        for (size_t k = 0; done && k < N_SIZES; k++)
            if (is_wanted(&set, sizes[k], dims[d]))
                done = run_case(records, &set, sizes[k], dims[d], &g);
    print_growth(&g);
    done = bench_records_close(&records) && done;
    if (!done)
        fprintf(stderr, "bench_heads: no memory, or a head failed\n");
    return done ? 0 : 1;
}
