/*
 * What a draw from a stored distribution costs, and what building it costs: the three kinds of
 * <pluck/weighted.h>, a table of cumulated weights with binary search, and GSL's gsl_ran_discrete
 * if the build found it. Subjects run by turns (support/interleave.h); "x alias" is the ratio to
 * the alias table within a repetition. Weights are Zipf's (1 / rank, in random order) or uniform.
 *
 *     bench_weighted [--vocab-size LIST] [--only TEXT] [--json FILE] [--quick]
 *
 * --vocab-size is the number of entries; --only limits the weights.
 */
#include "support/bench_options.h"
#include "support/clock.h"
#include "support/records.h"

#include <pluck/weighted.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef HAVE_GSL
#    include <gsl/gsl_randist.h>
#    include <gsl/gsl_rng.h>
#endif

enum { N_DRAWS = 1024, N_UPDATES = 1024 };

typedef struct subjects {
    uint32_t n;
    double *weights;
    double *cumulated;
    pluck_weighted *alias;
    pluck_weighted *tree;
    pluck_weighted *huffman;
    pluck_pcg64 rng;
    uint32_t drawn[N_DRAWS];
    uint64_t sum; /* of what was drawn, so that nothing is left out */
#ifdef HAVE_GSL
    gsl_ran_discrete_t *gsl;
    gsl_rng *gsl_rng;
#endif
} subjects;

static void run_alias(void *context, size_t n)
{
    subjects *s = context;
    while (n-- > 0)
        (void)pluck_weighted_draw(s->alias, &s->rng, N_DRAWS, s->drawn, NULL);
}

static void run_alias_single(void *context, size_t n)
{
    subjects *s = context;
    for (; n > 0; n--)
        for (size_t i = 0; i < N_DRAWS; i++)
            (void)pluck_weighted_draw(s->alias, &s->rng, 1, &s->drawn[i], NULL);
}

static void run_sum_tree(void *context, size_t n)
{
    subjects *s = context;
    while (n-- > 0)
        (void)pluck_weighted_draw(s->tree, &s->rng, N_DRAWS, s->drawn, NULL);
}

/* Weights are set to what they are: the same work, and the distribution stays. */
static void run_sum_tree_updates(void *context, size_t n)
{
    subjects *s = context;
    for (; n > 0; n--)
        for (size_t i = 0; i < N_UPDATES; i++) {
            uint32_t at = (uint32_t)pluck_pcg64_below(&s->rng, s->n);
            (void)pluck_weighted_set(s->tree, at, s->weights[at], NULL);
        }
}

static void run_huffman(void *context, size_t n)
{
    subjects *s = context;
    while (n-- > 0)
        (void)pluck_weighted_draw(s->huffman, &s->rng, N_DRAWS, s->drawn, NULL);
}

static void run_cumulated(void *context, size_t n)
{
    subjects *s = context;
    for (; n > 0; n--) {
        for (size_t i = 0; i < N_DRAWS; i++) {
            double at = pluck_pcg64_uniform(&s->rng) * s->cumulated[s->n - 1];
            uint32_t low = 0, high = s->n - 1;
            while (low < high) {
                uint32_t middle = low + (high - low) / 2;
                if (s->cumulated[middle] <= at)
                    low = middle + 1;
                else
                    high = middle;
            }
            s->drawn[i] = low;
        }
    }
}

#ifdef HAVE_GSL
static void run_gsl(void *context, size_t n)
{
    subjects *s = context;
    for (; n > 0; n--)
        for (size_t i = 0; i < N_DRAWS; i++)
            s->drawn[i] = (uint32_t)gsl_ran_discrete(s->gsl_rng, s->gsl);
}
#endif

/* Milliseconds of each build, the last of three. */
typedef struct build_times {
    double alias, tree, huffman, cumulated, gsl;
} build_times;

static double since_ms(double start)
{
    return (bench_cpu_ns() - start) / 1e6;
}

static void close_subjects(subjects *s)
{
    pluck_weighted_destroy(&s->alias);
    pluck_weighted_destroy(&s->tree);
    pluck_weighted_destroy(&s->huffman);
    free(s->weights);
    free(s->cumulated);
#ifdef HAVE_GSL
    if (s->gsl)
        gsl_ran_discrete_free(s->gsl);
    if (s->gsl_rng)
        gsl_rng_free(s->gsl_rng);
#endif
}

static void fill_weights(subjects *s, bool zipf)
{
    pluck_pcg64 rng;
    pluck_pcg64_seed(&rng, 1, s->n, 0);
    for (uint32_t i = 0; i < s->n; i++)
        s->weights[i] = zipf ? 1 / (double)(i + 1) : pluck_pcg64_uniform(&rng);
    for (uint32_t i = s->n; i > 1 && zipf; i--) {
        uint32_t k = (uint32_t)pluck_pcg64_below(&rng, i);
        double swap = s->weights[i - 1];
        s->weights[i - 1] = s->weights[k];
        s->weights[k] = swap;
    }
}

static void build_others(subjects *s, build_times *times)
{
    double start = bench_cpu_ns(), sum = 0;
    for (uint32_t i = 0; i < s->n; i++)
        s->cumulated[i] = sum += s->weights[i];
    times->cumulated = since_ms(start);
#ifdef HAVE_GSL
    start = bench_cpu_ns();
    s->gsl = gsl_ran_discrete_preproc(s->n, s->weights);
    times->gsl = since_ms(start);
    s->gsl_rng = gsl_rng_alloc(gsl_rng_mt19937);
#endif
}

static bool open_subjects(subjects *s, uint32_t n, bool zipf, build_times *times)
{
    memset(s, 0, sizeof *s);
    s->n = n;
    s->weights = malloc(n * sizeof *s->weights);
    s->cumulated = malloc(n * sizeof *s->cumulated);
    if (!s->weights || !s->cumulated)
        return false;
    fill_weights(s, zipf);
    pluck_pcg64_seed(&s->rng, 2, n, 0);
    pluck_weights weights = {s->weights, PLUCK_F64, n};
    bool good = true;
    for (int i = 0; i < 3 && good; i++) {
        pluck_weighted_destroy(&s->alias);
        pluck_weighted_destroy(&s->tree);
        pluck_weighted_destroy(&s->huffman);
        double start = bench_cpu_ns();
        good =
            pluck_weighted_create(&s->alias, PLUCK_WEIGHTED_ALIAS, weights, NULL, NULL) == PLUCK_OK;
        times->alias = since_ms(start);
        start = bench_cpu_ns();
        good = good && pluck_weighted_create(&s->tree, PLUCK_WEIGHTED_SUM_TREE, weights, NULL,
                                             NULL) == PLUCK_OK;
        times->tree = since_ms(start);
        start = bench_cpu_ns();
        good = good && pluck_weighted_create(&s->huffman, PLUCK_WEIGHTED_HUFFMAN, weights, NULL,
                                             NULL) == PLUCK_OK;
        times->huffman = since_ms(start);
    }
    build_others(s, times);
    return good;
}

static void report(bench_records *records, const char *weights, uint32_t n, const char *name,
                   double build_ms, const bench_timing *timing)
{
    double scale = 1.0 / N_DRAWS;
    bench_spread ns = {timing->ns.median * scale, timing->ns.p10 * scale, timing->ns.p90 * scale};
    printf("%-8s %9u %-22s %9.2f %7.2f  %5.2f-%-6.2f %10.3f\n", weights, n, name, ns.median,
           timing->ratio.median, timing->ratio.p10, timing->ratio.p90, build_ms);
    bench_record_begin(records);
    bench_record_text(records, "weights", weights);
    bench_record_integer(records, "n", n);
    bench_record_text(records, "subject", name);
    bench_record_measure(records, "ns", ns);
    bench_record_measure(records, "ratio", timing->ratio);
    bench_record_number(records, "build_ms", build_ms);
    bench_record_end(records);
}

static bool run_size(bench_records *records, bool quick, uint32_t n, bool zipf)
{
    static subjects s;
    build_times times = {0};
    if (!open_subjects(&s, n, zipf, &times)) {
        fprintf(stderr, "bench: no memory for %u weights\n", n);
        close_subjects(&s);
        return false;
    }
    const struct {
        const char *name;
        void (*run)(void *context, size_t n);
        double build_ms;
    } list[] = {
        {"alias", run_alias, times.alias},
        {"alias, one by one", run_alias_single, times.alias},
        {"sum tree", run_sum_tree, times.tree},
        {"sum tree, update", run_sum_tree_updates, times.tree},
        {"huffman", run_huffman, times.huffman},
        {"cumulated, search", run_cumulated, times.cumulated},
#ifdef HAVE_GSL
        {"gsl_ran_discrete", run_gsl, times.gsl},
#endif
    };
    enum { N_SUBJECTS = sizeof list / sizeof *list };
    bench_subject subject[N_SUBJECTS];
    bench_timing timings[N_SUBJECTS];
    for (size_t i = 0; i < N_SUBJECTS; i++)
        subject[i] = (bench_subject){list[i].run, &s};
    bench_plan plan = bench_plan_default(quick);
    bench_interleave(subject, N_SUBJECTS, &plan, timings);
    for (size_t i = 0; i < N_SUBJECTS; i++)
        report(records, zipf ? "zipf" : "uniform", n, list[i].name, list[i].build_ms, &timings[i]);
    printf("         mean depth of the Huffman-shaped tree: %.2f\n",
           pluck_weighted_mean_depth(s.huffman));
    close_subjects(&s);
    return true;
}

int main(int argc, char **argv)
{
    bench_options options;
    bench_records *records = NULL;
    int status = bench_options_read(&options, argc, argv, false, "");
    if (status >= 0)
        return status;
    if (!bench_records_open(&records, options.json, "bench_weighted", false))
        return 2;
    (void)bench_pin();
    bench_warm_up(0.3);
    bool done = true;
    printf("%-8s %9s %-22s %9s %7s  %-12s %10s\n", "weights", "entries", "", "ns", "x alias",
           "p10-p90", "build ms");
    for (size_t i = 0; i < options.n_sizes; i++)
        for (int zipf = 1; zipf >= 0; zipf--)
            if (!options.only || strstr(zipf != 0 ? "zipf" : "uniform", options.only))
                done = run_size(records, options.quick, options.n_vocab[i], zipf) && done;
    done = bench_records_close(&records) && done;
    return done ? 0 : 1;
}
