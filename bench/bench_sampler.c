/*
 * What a token costs, stage by stage and for the usual chains, as a multiple of R: the time of the
 * scan kernel over the same logits with the same table, measured in the same repetition.
 *
 *     bench_sampler [--isa LIST] [--vocab-size LIST] [--dtype LIST] [--logits LIST] [--only TEXT]
 *                   [--targets] [--json FILE] [--quick]
 *
 * "sample" asks for a token only, "draw" also for its logprob and the number of survivors. Each
 * step accepts its token, as an engine does. What pluck_sampler_run() reports in one call follows,
 * as a multiple of a greedy token.
 */
#include "reports.h"
#include "support/bench_options.h"
#include "support/clock.h"
#include "targets.h"

#include <stdio.h>
#include <string.h>

static void print_measure(const sampler_bench *bench, const bench_chain *chain,
                          const sampler_cost *cost)
{
    char cycles[32] = "-";
    if (bench->plan.cycle_counter >= 0)
        snprintf(cycles, sizeof cycles, "%.2f",
                 cost->sample.cycles.median / (double)bench->rows->n_vocab);
    printf("%-24s %11.0f %11.0f %8.2f %5.2f-%-6.2f %8.2f %5.2f-%-6.2f %9s %9u\n", chain->name,
           cost->sample.ns.median, cost->draw.ns.median, cost->sample.ratio.median,
           cost->sample.ratio.p10, cost->sample.ratio.p90, cost->draw.ratio.median,
           cost->draw.ratio.p10, cost->draw.ratio.p90, cycles, (unsigned)cost->n_survivors);
}

static bool run_chains(sampler_bench *bench, const bench_options *options)
{
    bool done = true, first = true;
    for (size_t i = 0; i < bench_chain_count(); i++) {
        const bench_chain *chain = bench_chain_at(i);
        sampler_cost cost;
        char lacking[64];
        if ((options->only && !strstr(chain->name, options->only)) ||
            bench_chain_lacks(chain, lacking, sizeof lacking))
            continue;
        if (!sampler_bench_measure(bench, chain, &cost)) {
            done = false;
            continue;
        }
        if (first) {
            bench_rows_describe(bench->rows);
            printf("%s: R = %.0f ns = %.1f GB/s\n", bench->kernels->name, cost.scan.ns.median,
                   (double)bench->rows->row_bytes / cost.scan.ns.median);
            printf("%-24s %11s %11s %21s %21s %9s %9s\n", "chain", "sample ns", "draw ns",
                   "sample/R   p10-p90", "draw/R   p10-p90", "cycles/v", "survivors");
            first = false;
        }
        print_measure(bench, chain, &cost);
    }
    return done;
}

static bool run_reports(sampler_bench *bench, const bench_options *options)
{
    bool done = true, first = true;
    for (size_t i = 0; i < bench_report_count(); i++) {
        const bench_report *report = bench_report_at(i);
        bench_timing timings[2];
        if (options->only && !strstr(report->name, options->only))
            continue;
        if (!bench_report_measure(bench, report, timings)) {
            done = false;
            continue;
        }
        if (first)
            printf("%-24s %11s %11s %25s\n", "reported in one call", "ns", "greedy ns",
                   "in greedy tokens  p10-p90");
        first = false;
        printf("%-24s %11.0f %11.0f %12.2f %5.2f-%-6.2f\n", report->name, timings[1].ns.median,
               timings[0].ns.median, timings[1].ratio.median, timings[1].ratio.p10,
               timings[1].ratio.p90);
    }
    return done;
}

static bool run_rows(sampler_bench *bench, const bench_options *options, const bench_rows *rows)
{
    bool done = true;
    for (size_t i = 0; i < options->n_isas; i++) {
        done = sampler_bench_start(bench, rows, options->isas[i]) && done;
        if (bench->rows) {
            done = run_chains(bench, options) && done;
            done = run_reports(bench, options) && done;
            sampler_bench_stop(bench);
        }
    }
    return done;
}

static bool run_source(sampler_bench *bench, const bench_options *options, const char *source)
{
    bool done = true;
    size_t n_sizes = bench_rows_synthetic(source) ? options->n_sizes : 1;
    for (size_t i = 0; i < n_sizes * options->n_dtypes; i++) {
        bench_rows rows;
        pluck_dtype dtype = options->dtypes[i % options->n_dtypes];
        if (bench_rows_open(&rows, source, options->n_vocab[i / options->n_dtypes], dtype)) {
            done = run_rows(bench, options, &rows) && done;
            bench_rows_close(&rows);
        } else {
            done = false;
        }
    }
    return done;
}

int main(int argc, char **argv)
{
    bench_options options;
    int status = bench_options_read(&options, argc, argv, false,
                                    "  --targets           the table of targets, nothing else\n");
    if (status >= 0)
        return status;
    sampler_bench bench = {.plan = bench_plan_default(options.quick)};
    bench.plan.cycle_counter = bench_cycles_open();
    if (!bench_records_open(&bench.records, options.json, "bench_sampler",
                            bench.plan.cycle_counter >= 0))
        return 2;
    printf("processor %d; cycle counter: %s\n", bench_pin(),
           bench.plan.cycle_counter >= 0 ? "yes" : "not available");
    bench_warm_up(0.3);
    bench_chains_report_gaps();
    bool done = true;
    if (options.targets)
        done = targets_run(&bench);
    for (size_t i = 0; !options.targets && i < options.n_logits; i++)
        done = run_source(&bench, &options, options.logits[i]) && done;
    bench_cycles_close(bench.plan.cycle_counter);
    done = bench_records_close(&bench.records) && done;
    return done ? 0 : 1;
}
