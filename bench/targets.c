/*
 * Bounds hold for V = 128256 and peaked logits; the slope compares V = 32000 with V = 1048576 on a
 * doubly logarithmic scale, where 1 is linear. Memory is what V = 1048576 touches beyond a
 * constant, which covers the pages that arrays share and the sampler itself.
 */
#include "targets.h"

#include "reports.h"

#include <math.h>
#include <stdio.h>

enum { TARGET_VOCAB = 128256, SMALL_VOCAB = 32000, LARGE_VOCAB = 1048576, CONSTANT_BYTES = 65536 };

typedef enum target_kind {
    TARGET_SAMPLE, /* of the chain, in R */
    TARGET_DRAW,
    TARGET_ADDED /* what the chain costs beyond the base chain, in R */
} target_kind;

typedef struct target {
    const char *chain;
    target_kind kind;
    double bound;
    const char *base;
} target;

static const target targets[] = {
    {"greedy", TARGET_SAMPLE, 2, NULL},
    {"min_p", TARGET_SAMPLE, 2, NULL},
    {"top_k 40", TARGET_SAMPLE, 2, NULL},
    {"default", TARGET_SAMPLE, 2.5, NULL},
    {"top_n_sigma", TARGET_SAMPLE, 2.5, NULL},
    {"temperature 0.8", TARGET_SAMPLE, 2, NULL},
    {"temperature 1.5", TARGET_SAMPLE, 2, NULL},
    {"gumbel", TARGET_SAMPLE, 2.5, NULL},
    {"temperature 0.8, gumbel", TARGET_SAMPLE, 2.5, NULL},
    {"top_p, temperature", TARGET_SAMPLE, 3, NULL},
    {"top_p, temperature", TARGET_DRAW, 12, NULL},
    {"typical", TARGET_SAMPLE, 12, NULL},
    {"mirostat_v2", TARGET_SAMPLE, 12, NULL},
    {"penalties, default", TARGET_ADDED, 0.5, "default"},
    {"penalties, dry, default", TARGET_ADDED, 0.5, "default"},
};

static const char *const scaled[] = {"greedy",      "temperature 0.8",    "min_p",
                                     "default",     "top_p, temperature", "typical",
                                     "mirostat_v2", "top_n_sigma"};

enum { N_SCALED = sizeof scaled / sizeof *scaled };

static const char *const kind_names[] = {
    [TARGET_SAMPLE] = "token only", [TARGET_DRAW] = "with logprob", [TARGET_ADDED] = "added"};

static void print_line(sampler_bench *bench, const char *what, const char *kind, double bound,
                       bench_spread ratio, const char *unit)
{
    char range[32];
    snprintf(range, sizeof range, "%.2f-%.2f", ratio.p10, ratio.p90);
    printf("%-7s %-24s %-13s %7.3g %8.2f %-15s %-3s %s\n", bench->kernels->name, what, kind, bound,
           ratio.median, range, unit, ratio.median <= bound ? "met" : "NOT MET");
    bench_record_begin(bench->records);
    bench_record_text(bench->records, "target", what);
    bench_record_text(bench->records, "kind", kind);
    bench_record_text(bench->records, "isa", bench->kernels->name);
    bench_record_text(bench->records, "unit", unit);
    bench_record_number(bench->records, "at_most", bound);
    bench_record_measure(bench->records, "target_ratio", ratio);
    bench_record_end(bench->records);
}

static bool run_target(sampler_bench *bench, const target *t)
{
    const bench_chain *chain = bench_chain_find(t->chain);
    char lacking[64];
    if (!chain || bench_chain_lacks(chain, lacking, sizeof lacking)) {
        printf("%-7s %-24s %-13s %7.3g skipped: no stage %s\n", bench->kernels->name, t->chain,
               kind_names[t->kind], t->bound, chain ? lacking : "of that name");
        return true;
    }
    bench_spread ratio;
    sampler_cost cost;
    if (t->kind == TARGET_ADDED) {
        if (!sampler_bench_difference(bench, bench_chain_find(t->base), chain, &ratio))
            return false;
    } else {
        if (!sampler_bench_measure(bench, chain, &cost))
            return false;
        ratio = t->kind == TARGET_SAMPLE ? cost.sample.ratio : cost.draw.ratio;
    }
    print_line(bench, t->chain, kind_names[t->kind], t->bound, ratio, "R");
    return true;
}

/* The first report of the table, in greedy tokens. */
static bool run_everything(sampler_bench *bench)
{
    double bound = 7.5;
    bench_timing timings[2];
    if (!bench_report_measure(bench, bench_report_at(0), timings))
        return false;
    print_line(bench, bench_report_at(0)->name, "one call", bound, timings[1].ratio,
               "greedy tokens");
    return true;
}

static bool run_bounds(sampler_bench *bench, pluck_isa isa)
{
    bench_rows rows;
    if (!bench_rows_open(&rows, "peaked", TARGET_VOCAB, PLUCK_F32))
        return false;
    bool done = sampler_bench_start(bench, &rows, isa);
    if (done) {
        for (size_t i = 0; i < sizeof targets / sizeof *targets; i++)
            done = run_target(bench, &targets[i]) && done;
        done = run_everything(bench) && done;
        sampler_bench_stop(bench);
    }
    bench_rows_close(&rows);
    return done;
}

/* The cost of every chain of scaled[] at one size; n_survivors 0 marks one that cannot run. */
static bool measure_size(sampler_bench *bench, pluck_isa isa, uint32_t n_vocab, sampler_cost *costs)
{
    bench_rows rows;
    if (!bench_rows_open(&rows, "peaked", n_vocab, PLUCK_F32))
        return false;
    bool done = sampler_bench_start(bench, &rows, isa);
    for (size_t i = 0; done && i < N_SCALED; i++) {
        const bench_chain *chain = bench_chain_find(scaled[i]);
        char lacking[64];
        costs[i] = (sampler_cost){0};
        if (chain && !bench_chain_lacks(chain, lacking, sizeof lacking))
            done = sampler_bench_measure(bench, chain, &costs[i]);
    }
    if (bench->rows)
        sampler_bench_stop(bench);
    bench_rows_close(&rows);
    return done;
}

static double slope(double small, double large)
{
    return log(large / small) / log((double)LARGE_VOCAB / SMALL_VOCAB);
}

static bench_spread slope_of(bench_spread small, bench_spread large)
{
    return (bench_spread){slope(small.median, large.median), slope(small.p90, large.p10),
                          slope(small.p10, large.p90)};
}

/* The larger row may lie in a slower cache than the smaller one: the slope of R, printed first,
 * says how much of a slope is that. */
static bool run_scaling(sampler_bench *bench, pluck_isa isa)
{
    sampler_cost small[N_SCALED], large[N_SCALED];
    if (!measure_size(bench, isa, SMALL_VOCAB, small) ||
        !measure_size(bench, isa, LARGE_VOCAB, large))
        return false;
    print_line(bench, "scan (R itself)", "32k to 1M", 1.1,
               slope_of(small[0].scan.ns, large[0].scan.ns), "");
    for (size_t i = 0; i < N_SCALED; i++) {
        if (small[i].n_survivors != 0)
            print_line(bench, scaled[i], "32k to 1M", 1.1,
                       slope_of(small[i].sample.ns, large[i].sample.ns), "");
    }
    for (size_t i = 0; i < N_SCALED; i++) {
        if (small[i].n_survivors == 0)
            continue;
        double bytes = (double)large[i].sampler_bytes - (double)CONSTANT_BYTES;
        double a_value = bytes > 0.0 ? bytes / LARGE_VOCAB : 0.0;
        print_line(bench, scaled[i], "bytes per value", 1.0 / 16,
                   (bench_spread){a_value, a_value, a_value}, "B");
    }
    return true;
}

bool targets_run(sampler_bench *bench)
{
    static const pluck_isa sets[] = {PLUCK_ISA_AVX2, PLUCK_ISA_AVX512, PLUCK_ISA_NEON};
    bool done = true, any = false;
    printf("\nV = %d, peaked logits, f32; slope and memory: V = %d against %d\n", TARGET_VOCAB,
           SMALL_VOCAB, LARGE_VOCAB);
    printf("%-7s %-24s %-13s %7s %8s %-15s\n", "isa", "work", "kind", "at most", "measured",
           "p10-p90");
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        if (!pluck_isa_supported(sets[i]))
            continue;
        any = true;
        done = run_bounds(bench, sets[i]) && run_scaling(bench, sets[i]) && done;
    }
    if (!any)
        done = run_bounds(bench, PLUCK_ISA_SCALAR) && run_scaling(bench, PLUCK_ISA_SCALAR);
    return done;
}
