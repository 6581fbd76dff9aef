/*
 * What a token costs where the vocabulary is small (actions, bytes, classes), against the loop that
 * a program would write itself: the largest logit, expf, a sum, a uniform number, a search.
 * Subjects run by turns (support/interleave.h). The bound is 60 ns + 1.2 times that loop, for up to
 * 64 tokens.
 *
 *     bench_small [--isa LIST] [--vocab-size LIST] [--json FILE] [--quick]
 *
 * "sample" is pluck_sampler_sample(), "next" also accepts the token.
 */
#include "support/bench_options.h"
#include "support/clock.h"
#include "support/records.h"

#include <pluck/rng.h>
#include <pluck/sampler.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_ROWS = 256, MAX_SMALL = 4096, BOUND_VOCAB = 64 };

typedef struct small_subjects {
    uint32_t n_vocab;
    float *rows; /* [N_ROWS][n_vocab] */
    pluck_sampler *sampler;
    pluck_pcg64 rng;
    uint64_t sum; /* of the tokens, so that nothing is left out */
    pluck_status status;
} small_subjects;

/* What is measured is expf as programs call it. */
static uint32_t naive_softmax(const float *logits, uint32_t n, double uniform)
{
    float e[MAX_SMALL];
    float max = logits[0], sum = 0.0f;
    for (uint32_t i = 1; i < n; i++)
        max = logits[i] > max ? logits[i] : max;
    for (uint32_t i = 0; i < n; i++) {
        e[i] = expf(logits[i] - max);
        sum += e[i];
    }
    float at = (float)uniform * sum;
    for (uint32_t i = 0; i + 1 < n; i++) {
        at -= e[i];
        if (at < 0.0f)
            return i;
    }
    return n - 1;
}

static void run_naive(void *context, size_t n)
{
    small_subjects *s = context;
    for (size_t i = 0; i < n; i++)
        s->sum += naive_softmax(s->rows + i % N_ROWS * s->n_vocab, s->n_vocab,
                                pluck_pcg64_uniform(&s->rng));
}

static pluck_logits row_at(const small_subjects *s, size_t i)
{
    return (pluck_logits){s->rows + i % N_ROWS * s->n_vocab, PLUCK_F32, s->n_vocab};
}

static void run_sample(void *context, size_t n)
{
    small_subjects *s = context;
    for (size_t i = 0; i < n; i++) {
        pluck_token token = 0;
        s->status |= pluck_sampler_sample(s->sampler, row_at(s, i), &token, NULL);
        s->sum += (uint64_t)token;
    }
}

static void run_next(void *context, size_t n)
{
    small_subjects *s = context;
    for (size_t i = 0; i < n; i++) {
        pluck_token token = 0;
        s->status |= pluck_sampler_next(s->sampler, row_at(s, i), &token, NULL);
        s->sum += (uint64_t)token;
    }
}

/* Sums of four uniform numbers, about normal with a deviation of 2. */
static void fill_rows(small_subjects *s)
{
    pluck_pcg64_seed(&s->rng, 1, s->n_vocab, 0);
    for (size_t i = 0; i < (size_t)N_ROWS * s->n_vocab; i++) {
        double sum = 0.0;
        for (int k = 0; k < 4; k++)
            sum += pluck_pcg64_uniform(&s->rng) - 0.5;
        s->rows[i] = (float)(3.5 * sum);
    }
}

static bool run_size(const bench_plan *plan, bench_records *records, pluck_isa isa,
                     uint32_t n_vocab)
{
    static const char json[] = "{\"seed\": 7, \"stages\": []}";
    pluck_sampler_options options = {.struct_size = sizeof options, .isa = isa};
    pluck_config *config = NULL;
    small_subjects s = {.n_vocab = n_vocab};
    s.rows = malloc((size_t)N_ROWS * n_vocab * sizeof *s.rows);
    if (!s.rows || pluck_config_from_json(&config, json, strlen(json), NULL, NULL) != PLUCK_OK ||
        pluck_sampler_create(&s.sampler, config, n_vocab, &options, NULL) != PLUCK_OK) {
        fprintf(stderr, "bench: no memory, or the instruction set is not supported here\n");
        pluck_config_destroy(&config);
        free(s.rows);
        return false;
    }
    fill_rows(&s);
    const bench_subject subjects[] = {{run_naive, &s}, {run_sample, &s}, {run_next, &s}};
    bench_timing timings[3];
    bench_interleave(subjects, 3, plan, timings);
    double bound = 60.0 + 1.2 * timings[0].ns.median;
    const char *met = n_vocab > BOUND_VOCAB           ? ""
                      : timings[1].ns.median <= bound ? "met"
                                                      : "NOT MET";
    printf("%-7s %6u %9.0f %9.0f %9.0f %8.2f %5.2f-%-6.2f %9.0f %s\n", pluck_isa_name(isa),
           (unsigned)n_vocab, timings[0].ns.median, timings[1].ns.median, timings[2].ns.median,
           timings[1].ratio.median, timings[1].ratio.p10, timings[1].ratio.p90, bound, met);
    bench_record_begin(records);
    bench_record_text(records, "isa", pluck_isa_name(isa));
    bench_record_integer(records, "n_vocab", n_vocab);
    bench_record_measure(records, "naive_ns", timings[0].ns);
    bench_record_measure(records, "sample_ns", timings[1].ns);
    bench_record_measure(records, "next_ns", timings[2].ns);
    bench_record_measure(records, "sample_ratio", timings[1].ratio);
    bench_record_end(records);
    if (s.status != PLUCK_OK)
        fprintf(stderr, "bench: a sampler failed\n");
    pluck_sampler_destroy(&s.sampler);
    pluck_config_destroy(&config);
    free(s.rows);
    return s.status == PLUCK_OK;
}

int main(int argc, char **argv)
{
    static const uint32_t small[] = {4, 8, 16, 32, 64, 128, 256, 1000};
    bench_options options;
    int status = bench_options_read(&options, argc, argv, false, "");
    if (status >= 0)
        return status;
    bool is_default = options.n_sizes == 1 && options.n_vocab[0] > MAX_SMALL;
    size_t n_sizes = is_default ? sizeof small / sizeof *small : options.n_sizes;
    const uint32_t *sizes = is_default ? small : options.n_vocab;
    bench_plan plan = bench_plan_default(options.quick);
    bench_records *records;
    if (!bench_records_open(&records, options.json, "bench_small", false))
        return 2;
    printf("processor %d\n", bench_pin());
    bench_warm_up(0.3);
    printf("%-7s %6s %9s %9s %9s %21s %9s\n", "isa", "V", "naive ns", "sample ns", "next ns",
           "sample/naive  p10-p90", "bound ns");
    bool done = true;
    for (size_t i = 0; i < options.n_isas; i++)
        for (size_t j = 0; j < n_sizes; j++) {
            if (sizes[j] > MAX_SMALL) {
                fprintf(stderr, "bench_small: at most %d tokens\n", MAX_SMALL);
                return 2;
            }
            done = run_size(&plan, records, options.isas[i], sizes[j]) && done;
        }
    done = bench_records_close(&records) && done;
    return done ? 0 : 1;
}
