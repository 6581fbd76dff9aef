/*
 * pluck against libllama, in one process, alternating, on the same logits.
 *
 *     bench_llama --library FOLDER [--isa LIST] [--vocab-size LIST] [--logits LIST] [--json FILE]
 *                 [--quick]
 *
 * What libllama is timed for is what its callers do for every token: build the array of candidates
 * from the logits, apply the chain, accept the token. pluck samples and accepts; "draw" also gives
 * the logprob and the number of survivors, which is compared with what libllama's chain leaves.
 */
#include "peers/libllama.h"
#include "support/bench_options.h"
#include "support/clock.h"
#include "support/records.h"
#include "support/sampler_subjects.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEED = 7 };

/* A chain that is being made. */
typedef struct new_chain {
    const libllama *llama;
    llama_sampler *chain;
    int32_t n_vocab;
} new_chain;

static void append(const new_chain *p, llama_sampler *sampler)
{
    p->llama->chain_add(p->chain, sampler);
}

static void add_greedy(const new_chain *p)
{
    append(p, p->llama->greedy());
}

static void add_dist(const new_chain *p)
{
    append(p, p->llama->dist(SEED));
}

static void add_temperature(const new_chain *p)
{
    append(p, p->llama->temp(0.8f));
    add_dist(p);
}

static void add_top_k(const new_chain *p)
{
    append(p, p->llama->top_k(40));
    add_dist(p);
}

static void add_default(const new_chain *p)
{
    append(p, p->llama->top_k(40));
    append(p, p->llama->top_p(0.95f, 1));
    append(p, p->llama->min_p(0.05f, 1));
    add_temperature(p);
}

static void add_penalties_default(const new_chain *p)
{
    append(p, p->llama->penalties(p->n_vocab, 64, 1.1f, 0.1f, 0.1f));
    add_default(p);
}

static void add_top_p(const new_chain *p)
{
    append(p, p->llama->top_p(0.95f, 1));
    add_dist(p);
}

static void add_top_p_temperature(const new_chain *p)
{
    append(p, p->llama->top_p(0.95f, 1));
    add_temperature(p);
}

static void add_min_p(const new_chain *p)
{
    append(p, p->llama->min_p(0.05f, 1));
    add_dist(p);
}

static void add_typical(const new_chain *p)
{
    append(p, p->llama->typical(0.95f, 1));
    add_dist(p);
}

static void add_top_n_sigma(const new_chain *p)
{
    append(p, p->llama->top_n_sigma(1.0f));
    add_dist(p);
}

static void add_xtc(const new_chain *p)
{
    append(p, p->llama->xtc(1.0f, 0.1f, 1, SEED));
    add_dist(p);
}

static void add_mirostat_v2(const new_chain *p)
{
    append(p, p->llama->mirostat_v2(SEED, 5.0f, 0.1f));
}

typedef struct peer_chain {
    const char *name; /* in support/chains.c */
    void (*add)(const new_chain *p);
    /* The number of survivors depends on the parameters alone, not on what was drawn before. */
    bool comparable;
} peer_chain;

static const peer_chain peer_chains[] = {
    {"greedy", add_greedy, false},
    {"softmax", add_dist, true},
    {"temperature 0.8", add_temperature, true},
    {"top_k 40", add_top_k, true},
    {"default", add_default, true},
    {"penalties, default", add_penalties_default, false},
    {"min_p", add_min_p, true},
    {"top_p", add_top_p, true},
    {"top_p, temperature", add_top_p_temperature, true},
    {"typical", add_typical, true},
    {"top_n_sigma", add_top_n_sigma, false},
    {"xtc", add_xtc, true},
    {"mirostat_v2", add_mirostat_v2, false},
};

typedef struct llama_stepper {
    const bench_place *place;
    const libllama *llama;
    llama_sampler *chain;
    llama_token_data *candidates; /* n_vocab of them */
    size_t n_survivors;           /* of the last step */
} llama_stepper;

static void llama_step(llama_stepper *s, const float *logits)
{
    size_t n_vocab = s->place->rows->n_vocab;
    for (size_t i = 0; i < n_vocab; i++)
        s->candidates[i] = (llama_token_data){(int32_t)i, logits[i], 0};
    llama_token_data_array array = {s->candidates, n_vocab, -1, false};
    s->llama->apply(s->chain, &array);
    s->n_survivors = array.size;
    s->llama->accept(s->chain, array.data[array.selected].id);
}

static void llama_run(void *stepper, size_t n)
{
    llama_stepper *s = stepper;
    for (size_t i = 0; i < n; i++) {
        size_t row = s->place->first_row + i % s->place->rows->rotation;
        llama_step(s, bench_rows_at(s->place->rows, row).data);
    }
}

typedef struct peer_bench {
    const bench_options *options;
    bench_records *records;
    bench_plan plan;
    libllama llama;
    bench_place place;
    llama_token_data *candidates;
    pluck_isa isa;
} peer_bench;

typedef struct peer_cost {
    bench_timing sample, draw, peer; /* ratios are to sample */
    size_t n_survivors, n_peer_survivors;
} peer_cost;

static void report(const peer_bench *b, const peer_chain *chain, const peer_cost *cost)
{
    const char *isa = plk_kernels_get(b->isa)->name;
    const char *remark = "";
    if (chain->comparable && cost->n_survivors != cost->n_peer_survivors)
        remark = "  survivors differ";
    printf("%-20s %12.0f %12.0f %12.0f %9.1f %7.1f-%-8.1f %9zu %9zu%s\n", chain->name,
           cost->sample.ns.median, cost->draw.ns.median, cost->peer.ns.median,
           cost->peer.ratio.median, cost->peer.ratio.p10, cost->peer.ratio.p90, cost->n_survivors,
           cost->n_peer_survivors, remark);
    bench_spread times = cost->peer.ratio;
    bench_record_begin(b->records);
    bench_record_text(b->records, "peer", "libllama");
    bench_record_text(b->records, "chain", chain->name);
    bench_record_text(b->records, "isa", isa);
    bench_record_text(b->records, "logits", b->place.rows->name);
    bench_record_integer(b->records, "n_vocab", b->place.rows->n_vocab);
    bench_record_measure(b->records, "sample_ns", cost->sample.ns);
    bench_record_measure(b->records, "draw_ns", cost->draw.ns);
    bench_record_measure(b->records, "peer_ns", cost->peer.ns);
    bench_record_measure(b->records, "peer_ratio",
                         (bench_spread){1 / times.median, 1 / times.p90, 1 / times.p10});
    bench_record_number(b->records, "survivors", (double)cost->n_survivors);
    bench_record_number(b->records, "peer_survivors", (double)cost->n_peer_survivors);
    bench_record_end(b->records);
}

/* The survivors of both, after a step on the same row. */
static void count_survivors(bench_stepper *mine, llama_stepper *peer, peer_cost *cost)
{
    bench_stepper_draw(mine, 1);
    llama_run(peer, 1);
    cost->n_survivors = mine->last.n_survivors;
    cost->n_peer_survivors = peer->n_survivors;
}

static bool run_chain(peer_bench *b, const peer_chain *chain)
{
    pluck_sampler_options options = {.struct_size = sizeof options, .isa = b->isa};
    bench_stepper mine = {.place = &b->place};
    mine.sampler =
        bench_chain_create(bench_chain_find(chain->name), b->place.rows->n_vocab, &options);
    if (!mine.sampler)
        return false;
    llama_stepper peer = {&b->place, &b->llama,
                          b->llama.chain_init((llama_sampler_chain_params){true}), b->candidates,
                          0};
    chain->add(&(const new_chain){&b->llama, peer.chain, (int32_t)b->place.rows->n_vocab});
    const bench_subject subjects[] = {
        {bench_stepper_sample, &mine},
        {bench_stepper_draw, &mine},
        {llama_run, &peer},
    };
    bench_timing timings[3];
    bench_interleave(subjects, 3, &b->plan, timings);
    peer_cost cost = {.sample = timings[0], .draw = timings[1], .peer = timings[2]};
    count_survivors(&mine, &peer, &cost);
    b->llama.free(peer.chain);
    pluck_sampler_destroy(&mine.sampler);
    if (mine.err.status != PLUCK_OK) {
        fprintf(stderr, "bench_llama: chain %s: %s\n", chain->name, mine.err.message);
        return false;
    }
    report(b, chain, &cost);
    return true;
}

static bool run_rows(peer_bench *b, const bench_rows *rows)
{
    bool done = true;
    b->place = (bench_place){.rows = rows};
    b->plan.prepare = bench_place_prepare;
    b->plan.prepare_context = &b->place;
    bench_rows_describe(rows);
    printf("%s\n%-20s %12s %12s %12s %9s %16s %9s %9s\n", plk_kernels_get(b->isa)->name, "chain",
           "sample ns", "draw ns", "libllama ns", "times", "p10-p90", "survivors", "libllama's");
    for (size_t i = 0; i < sizeof peer_chains / sizeof *peer_chains; i++) {
        const peer_chain *chain = &peer_chains[i];
        char lacking[64];
        if (b->options->only && !strstr(chain->name, b->options->only))
            continue;
        if (!bench_chain_lacks(bench_chain_find(chain->name), lacking, sizeof lacking))
            done = run_chain(b, chain) && done;
        else
            printf("skipped: %s (this library has no stage %s)\n", chain->name, lacking);
    }
    return done;
}

static bool run_source(peer_bench *b, const char *source, uint32_t n_vocab)
{
    bench_rows rows;
    if (!bench_rows_open(&rows, source, n_vocab, PLUCK_F32))
        return false;
    bool done = false;
    b->candidates = malloc(rows.n_vocab * sizeof *b->candidates);
    if (b->candidates) {
        done = true;
        for (size_t i = 0; i < b->options->n_isas; i++) {
            b->isa = b->options->isas[i];
            done = run_rows(b, &rows) && done;
        }
    }
    free(b->candidates);
    bench_rows_close(&rows);
    return done;
}

int main(int argc, char **argv)
{
    bench_options options;
    int status = bench_options_read(&options, argc, argv, false,
                                    "  --library FOLDER    where libllama.so is\n");
    if (status >= 0)
        return status;
    peer_bench b = {.options = &options, .plan = bench_plan_default(options.quick)};
    b.plan.cycle_counter = -1;
    if (!options.library) {
        fprintf(stderr,
                "bench_llama: --library FOLDER is missing: see bench/peers/install-llama\n");
        return 2;
    }
    if (!libllama_open(&b.llama, options.library) ||
        !bench_records_open(&b.records, options.json, "bench_llama", false))
        return 2;
    printf("processor %d\n", bench_pin());
    bench_warm_up(0.3);
    bool done = true;
    for (size_t i = 0; i < options.n_logits; i++) {
        size_t n_sizes = bench_rows_synthetic(options.logits[i]) ? options.n_sizes : 1;
        for (size_t j = 0; j < n_sizes; j++)
            done = run_source(&b, options.logits[i], options.n_vocab[j]) && done;
    }
    done = bench_records_close(&b.records) && done;
    libllama_close(&b.llama);
    return done ? 0 : 1;
}
