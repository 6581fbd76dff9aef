/*
 * Three subjects a chain: the scan, sample and draw. The allocator counts, so that the memory that
 * a sampler touches, and that sampling allocates nothing, is seen in the same run.
 */
#include "sampler_bench.h"
#include "support/page_allocator.h"

#include <stdio.h>
#include <stdlib.h>

bool sampler_bench_start(sampler_bench *bench, const bench_rows *rows, pluck_isa isa)
{
    bench->rows = NULL;
    bench->kernels = plk_kernels_get(isa);
    bench->block_max = malloc((rows->n_blocks + PLK_SLACK) * sizeof(float));
    if (!bench->kernels || !bench->block_max) {
        fprintf(stderr, "bench: no memory, or %s is not supported here\n", pluck_isa_name(isa));
        free(bench->block_max);
        return false;
    }
    bench->rows = rows;
    bench->place = (bench_place){.rows = rows};
    bench->plan.prepare = bench_place_prepare;
    bench->plan.prepare_context = &bench->place;
    return true;
}

void sampler_bench_stop(sampler_bench *bench)
{
    free(bench->block_max);
    bench->rows = NULL;
}

/* A stepper with a sampler that has gone through 64 tokens of the rows. On failure false, with a
 * message, and nothing to destroy. */
static bool create_stepper(const sampler_bench *bench, const bench_chain *chain,
                           const pluck_allocator *allocator, bench_stepper *stepper)
{
    pluck_sampler_options options = {
        .struct_size = sizeof options, .isa = bench->kernels->isa, .allocator = allocator};
    *stepper = (bench_stepper){.place = &bench->place,
                               .mask = bench_chain_mask(chain, bench->rows->n_vocab)};
    stepper->sampler = bench_chain_create(chain, bench->rows->n_vocab, &options);
    if (!stepper->sampler) {
        free(stepper->mask);
        return false;
    }
    bench_stepper_sample(stepper, 64);
    return true;
}

static bool finish_stepper(const bench_chain *chain, bench_stepper *stepper)
{
    bool done = stepper->err.status == PLUCK_OK;
    if (!done)
        fprintf(stderr, "bench: chain %s: %s\n", chain->name, stepper->err.message);
    pluck_sampler_destroy(&stepper->sampler);
    free(stepper->mask);
    return done;
}

static void write_record(const sampler_bench *bench, const bench_chain *chain,
                         const sampler_cost *cost)
{
    bench_records *records = bench->records;
    bench_record_begin(records);
    bench_record_text(records, "chain", chain->name);
    bench_record_text(records, "isa", bench->kernels->name);
    bench_record_text(records, "logits", bench->rows->name);
    bench_record_integer(records, "n_vocab", bench->rows->n_vocab);
    bench_record_text(records, "dtype", pluck_dtype_name(bench->rows->dtype));
    bench_record_measure(records, "scan_ns", cost->scan.ns);
    bench_record_measure(records, "sample_ns", cost->sample.ns);
    bench_record_measure(records, "draw_ns", cost->draw.ns);
    bench_record_measure(records, "sample_ratio", cost->sample.ratio);
    bench_record_measure(records, "draw_ratio", cost->draw.ratio);
    if (bench->plan.cycle_counter >= 0)
        bench_record_number(records, "cycles_per_value",
                            cost->sample.cycles.median / (double)bench->rows->n_vocab);
    bench_record_number(records, "survivors", cost->n_survivors);
    bench_record_number(records, "sampler_bytes", (double)cost->sampler_bytes);
    bench_record_number(records, "reserved_bytes", (double)cost->reserved_bytes);
    bench_record_number(records, "late_allocations", (double)cost->n_late_allocations);
    bench_record_end(records);
}

bool sampler_bench_measure(sampler_bench *bench, const bench_chain *chain, sampler_cost *cost)
{
    page_allocator used;
    page_allocator_init(&used);
    bench_scan scan = {&bench->place, bench->kernels, bench->block_max, false};
    bench_stepper stepper;
    if (!create_stepper(bench, chain, &used.interface, &stepper))
        return false;
    size_t n_created = used.n_allocations;
    const bench_subject subjects[] = {
        {bench_scan_run, &scan},
        {bench_stepper_sample, &stepper},
        {bench_stepper_draw, &stepper},
    };
    bench_timing timings[3];
    bench_interleave(subjects, 3, &bench->plan, timings);
    *cost = (sampler_cost){
        .scan = timings[0],
        .sample = timings[1],
        .draw = timings[2],
        .n_survivors = stepper.last.n_survivors,
        .sampler_bytes = page_allocator_touched(&used),
        .reserved_bytes = used.n_bytes,
        .n_late_allocations = used.n_allocations - n_created,
    };
    bool done = finish_stepper(chain, &stepper);
    if (done)
        write_record(bench, chain, cost);
    return done;
}

bool sampler_bench_difference(sampler_bench *bench, const bench_chain *a, const bench_chain *b,
                              bench_spread *ratio)
{
    bench_scan scan = {&bench->place, bench->kernels, bench->block_max, false};
    bench_stepper steppers[2];
    if (!create_stepper(bench, a, NULL, &steppers[0]))
        return false;
    bool done = create_stepper(bench, b, NULL, &steppers[1]);
    if (done) {
        const bench_subject subjects[] = {
            {bench_scan_run, &scan},
            {bench_stepper_sample, &steppers[0]},
            {bench_stepper_sample, &steppers[1]},
        };
        bench_timing timings[3];
        bench_interleave(subjects, 3, &bench->plan, timings);
        *ratio = (bench_spread){
            .median = timings[2].ratio.median - timings[1].ratio.median,
            .p10 = timings[2].ratio.p10 - timings[1].ratio.p90,
            .p90 = timings[2].ratio.p90 - timings[1].ratio.p10,
        };
        done = finish_stepper(b, &steppers[1]);
    }
    return finish_stepper(a, &steppers[0]) && done;
}
