/*
 * What a token costs against the loop that a program would write without a library: the largest
 * logit, expf() of each difference to it, their sum, and a second pass that adds them up until the
 * random number is reached. For machines whose instruction set has no table of its own here, or no
 * fused multiply-add: there a library that is exact can easily be slower than that loop.
 *
 *     bench_naive [ISA]                   the table: medians in microseconds, and their ratio, from
 *                                         rounds in which the loop and pluck take turns
 *     bench_naive ISA WORK SUBJECT N      N times one of them and nothing else, to count
 *                                         instructions; SUBJECT is loop or pluck
 *
 * Everything is compiled with the same flags. bench/naive_table runs it on three targets.
 */
#include "base/platform.h"
#include "support/logit_kinds.h"

#include <pluck/pluck.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_VOCAB = 128256, N_COUNTED = 16384, N_ROUNDS = 41 };

static const double round_ns = 2e6;

typedef enum answer { ARGMAX, TOKEN, TOKEN_AND_LOGPROB } answer;

typedef struct work_kind {
    const char *name, *json;
    answer answer;
    bool loop_draws; /* or takes the largest logit */
} work_kind;

#define TOP_P "{\"top_p\": 0.95, \"temperature\": 0.8}"
#define USUAL "{\"top_k\": 40, \"top_p\": 0.95, \"min_p\": 0.05, \"temperature\": 0.8}"

static const work_kind works[] = {
    {"temperature, logprob", "{\"temperature\": 0.8}", TOKEN_AND_LOGPROB, true},
    {"temperature", "{\"temperature\": 0.8}", TOKEN, true},
    {"top_p", TOP_P, TOKEN, true},
    {"greedy", "{\"stages\": [], \"draw\": \"greedy\"}", ARGMAX, false},
    {"min_p", "{\"min_p\": 0.05, \"temperature\": 0.8}", TOKEN, false},
    {"default", USUAL, TOKEN, false},
};

enum { N_WORKS = sizeof works / sizeof *works };

typedef struct bench {
    const work_kind *work;
    float *logits, *weights;
    uint32_t n_vocab;
    pluck_sampler *sampler;
    uint64_t position;
    double checksum;
} bench;

static uint32_t loop_argmax(const float *x, uint32_t n)
{
    float max = x[0];
    uint32_t best = 0;
    for (uint32_t i = 1; i < n; i++) {
        if (x[i] > max) {
            max = x[i];
            best = i;
        }
    }
    return best;
}

static uint32_t loop_draw(const float *x, uint32_t n, float uniform, float *weights, float *logprob)
{
    const float temperature = 0.8f;
    float max = x[loop_argmax(x, n)], sum = 0.0f, cumulated = 0.0f;
    uint32_t token = 0;
    for (uint32_t i = 0; i < n; i++) {
        weights[i] = expf((x[i] - max) / temperature);
        sum += weights[i];
    }
    for (; token < n - 1; token++) {
        cumulated += weights[token];
        if (cumulated > uniform * sum)
            break;
    }
    *logprob = logf(weights[token] / sum);
    return token;
}

static void run_loop(bench *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        /* The golden section spreads the numbers evenly. */
        double turn = (double)++b->position * 0.6180339887498949;
        float logprob = 0.0f;
        b->checksum += b->work->loop_draws
                           ? loop_draw(b->logits, b->n_vocab, (float)(turn - floor(turn)),
                                       b->weights, &logprob)
                           : loop_argmax(b->logits, b->n_vocab);
        b->checksum += (double)logprob;
    }
}

static void run_pluck(bench *b, size_t n)
{
    pluck_logits logits = {.data = b->logits, .dtype = PLUCK_F32, .n_vocab = b->n_vocab};
    for (size_t i = 0; i < n; i++) {
        pluck_error err;
        pluck_draw draw = {.token = 0};
        pluck_status status = pluck_sampler_set_position(b->sampler, ++b->position, &err);
        if (status == PLUCK_OK && b->work->answer == TOKEN_AND_LOGPROB)
            status = pluck_sampler_draw(b->sampler, logits, &draw, &err);
        else if (status == PLUCK_OK)
            status = pluck_sampler_sample(b->sampler, logits, &draw.token, &err);
        if (status != PLUCK_OK) {
            fprintf(stderr, "bench_naive: %s\n", err.message);
            exit(1);
        }
        b->checksum += draw.token;
    }
}

typedef void (*subject)(bench *b, size_t n);

static double time_of(bench *b, subject run, size_t n)
{
    uint64_t start = plk_thread_cpu_ns();
    run(b, n);
    return (double)(plk_thread_cpu_ns() - start) / (double)n;
}

static size_t batch_of(bench *b, subject run)
{
    double once = time_of(b, run, 1);
    return once > round_ns ? 1 : (size_t)(round_ns / (once + 1.0)) + 1;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values)
{
    qsort(values, N_ROUNDS, sizeof *values, ascending);
    return values[N_ROUNDS / 2];
}

static void measure(bench *b)
{
    double loop[N_ROUNDS], pluck[N_ROUNDS], ratio[N_ROUNDS];
    size_t n_loop = batch_of(b, run_loop), n_pluck = batch_of(b, run_pluck);
    for (size_t i = 0; i < N_ROUNDS; i++) {
        loop[i] = time_of(b, run_loop, n_loop);
        pluck[i] = time_of(b, run_pluck, n_pluck);
        ratio[i] = pluck[i] / loop[i];
    }
    printf("%-22s %9.1f %9.1f %8.3f\n", b->work->name, median(loop) / 1e3, median(pluck) / 1e3,
           median(ratio));
}

static bool prepare(bench *b, const work_kind *work, pluck_isa isa, pluck_error *err)
{
    pluck_sampler_options options = PLUCK_INIT(pluck_sampler_options);
    pluck_config *config = NULL;
    options.isa = isa;
    b->work = work;
    pluck_status status =
        pluck_config_from_json(&config, work->json, strlen(work->json), NULL, err);
    if (status == PLUCK_OK)
        status = pluck_sampler_create(&b->sampler, config, b->n_vocab, &options, err);
    pluck_config_destroy(&config);
    return status == PLUCK_OK;
}

static int run_works(bench *b, pluck_isa isa, char **counted)
{
    pluck_error err;
    bool any = false;
    for (size_t i = 0; i < N_WORKS; i++) {
        if (counted && strcmp(counted[0], works[i].name) != 0)
            continue;
        any = true;
        if (!prepare(b, &works[i], isa, &err)) {
            fprintf(stderr, "bench_naive: %s\n", err.message);
            return 1;
        }
        if (!counted)
            measure(b);
        else if (strcmp(counted[1], "loop") == 0)
            run_loop(b, (size_t)atol(counted[2]));
        else
            run_pluck(b, (size_t)atol(counted[2]));
        pluck_sampler_destroy(&b->sampler);
    }
    if (!any)
        fprintf(stderr, "bench_naive: unknown work '%s'\n", counted[0]);
    return any ? 0 : 2;
}

int main(int argc, char **argv)
{
    pluck_isa isa = PLUCK_ISA_BEST;
    pluck_error err;
    if (argc != 1 && argc != 2 && argc != 5) {
        fprintf(stderr, "usage: bench_naive [ISA [WORK loop|pluck N]]\n");
        return 2;
    }
    if (argc > 1 && pluck_isa_from_name(argv[1], &isa, &err) != PLUCK_OK) {
        fprintf(stderr, "bench_naive: %s\n", err.message);
        return 2;
    }
    bench b = {.n_vocab = argc == 5 ? N_COUNTED : N_VOCAB};
    b.logits = malloc(b.n_vocab * sizeof *b.logits);
    b.weights = malloc(b.n_vocab * sizeof *b.weights);
    if (!b.logits || !b.weights) {
        fprintf(stderr, "bench_naive: out of memory\n");
        return 1;
    }
    bench_logit_kind_find("peaked")->fill(b.logits, b.n_vocab, 1, PLUCK_F32);
    if (argc != 5)
        printf("%-22s %9s %9s %8s\n", "us a token", "loop", "pluck", "ratio");
    int status = run_works(&b, isa, argc == 5 ? argv + 2 : NULL);
    if (isnan(b.checksum))
        status = 1;
    free(b.weights);
    free(b.logits);
    return status;
}
