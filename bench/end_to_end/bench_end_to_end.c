/*
 * Tokens per second of a program that uses llama.cpp: with llama.cpp's samplers, with pluck as the
 * sampler of its chain, and with pluck alone.
 *
 *     bench_end_to_end --model FILE --backends FOLDER [--quick] [--only TEXT] [--json FILE]
 *
 * FILE is written first (gguf_model.h). The three ways take turns by blocks of tokens in one
 * process, on one context, with one thread; times are processor time of this thread. Within each
 * block decoding and sampling are timed apart; ratios are formed within a round of three blocks,
 * and medians over the rounds are reported. The second table has no decoding: the three ways sample
 * from the same logits, in turn.
 *
 * bench/end_to_end/run builds and runs it.
 */
#include "gguf_model.h"
#include "support/chains.h"
#include "support/clock.h"
#include "support/interleave.h"
#include "support/records.h"

#include <pluck/llama.h>
#include <pluck/pluck.h>

#include <ggml-backend.h>
#include <llama.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEED = 7, BLOCK_TOKENS = 32, N_PROMPT = 512, N_WARM = 2, MAX_ROUNDS = 31 };

typedef enum way { LLAMA, IN_CHAIN, DIRECT, N_WAYS } way;

static const char *const way_names[N_WAYS] = {"llama.cpp", "pluck in the chain", "pluck alone"};

typedef struct bench {
    struct llama_model *model;
    const struct llama_vocab *vocab;
    struct llama_context *ctx;
    bench_records *records;
    const char *only;
    size_t n_rounds;
    bool is_quick;
} bench;

static void add(struct llama_sampler *chain, struct llama_sampler *sampler)
{
    llama_sampler_chain_add(chain, sampler);
}

static void add_dist(const bench *b, struct llama_sampler *chain)
{
    (void)b;
    add(chain, llama_sampler_init_dist(SEED));
}

static void add_greedy(const bench *b, struct llama_sampler *chain)
{
    (void)b;
    add(chain, llama_sampler_init_greedy());
}

static void add_temperature(const bench *b, struct llama_sampler *chain)
{
    add(chain, llama_sampler_init_temp(0.8f));
    add_dist(b, chain);
}

static void add_top_k(const bench *b, struct llama_sampler *chain)
{
    add(chain, llama_sampler_init_top_k(40));
    add_dist(b, chain);
}

static void add_default(const bench *b, struct llama_sampler *chain)
{
    add(chain, llama_sampler_init_top_k(40));
    add(chain, llama_sampler_init_top_p(0.95f, 1));
    add(chain, llama_sampler_init_min_p(0.05f, 1));
    add_temperature(b, chain);
}

static void add_penalties(const bench *b, struct llama_sampler *chain)
{
    int32_t n_vocab = llama_vocab_n_tokens(b->vocab);
    add(chain, llama_sampler_init_penalties(n_vocab, 64, 1.1f, 0.1f, 0.1f));
}

static void add_penalties_default(const bench *b, struct llama_sampler *chain)
{
    add_penalties(b, chain);
    add_default(b, chain);
}

static void add_penalties_dry_default(const bench *b, struct llama_sampler *chain)
{
    add_penalties(b, chain);
    add(chain, llama_sampler_init_dry(b->vocab, 0.8f, 1.75f, 2, 1024, NULL, 0));
    add_default(b, chain);
}

static void add_min_p(const bench *b, struct llama_sampler *chain)
{
    add(chain, llama_sampler_init_min_p(0.05f, 1));
    add_dist(b, chain);
}

static void add_top_p(const bench *b, struct llama_sampler *chain)
{
    add(chain, llama_sampler_init_top_p(0.95f, 1));
    add_dist(b, chain);
}

static void add_typical(const bench *b, struct llama_sampler *chain)
{
    add(chain, llama_sampler_init_typical(0.95f, 1));
    add_dist(b, chain);
}

static void add_top_n_sigma(const bench *b, struct llama_sampler *chain)
{
    add(chain, llama_sampler_init_top_n_sigma(1.0f));
    add_dist(b, chain);
}

static void add_xtc(const bench *b, struct llama_sampler *chain)
{
    add(chain, llama_sampler_init_xtc(1.0f, 0.1f, 1, SEED));
    add_dist(b, chain);
}

static void add_mirostat_v2(const bench *b, struct llama_sampler *chain)
{
    (void)b;
    add(chain, llama_sampler_init_mirostat_v2(SEED, 5.0f, 0.1f));
}

typedef struct named_chain {
    const char *name; /* in support/chains.c */
    void (*add)(const bench *b, struct llama_sampler *chain);
    bool end_to_end; /* in the first table too */
} named_chain;

static const named_chain named_chains[] = {
    {"default", add_default, true},
    {"min_p", add_min_p, true},
    {"penalties, dry, default", add_penalties_dry_default, true},
    {"temperature 0.8", add_temperature, true},
    {"top_p", add_top_p, true},
    {"greedy", add_greedy, true},
    {"top_k 40", add_top_k, false},
    {"penalties, default", add_penalties_default, false},
    {"typical", add_typical, false},
    {"top_n_sigma", add_top_n_sigma, false},
    {"xtc", add_xtc, false},
    {"mirostat_v2", add_mirostat_v2, false},
};
enum { N_CHAINS = sizeof named_chains / sizeof *named_chains };

/* The three samplers of a chain, after the same prompt of few different tokens, so that penalties
 * and dry have something to do. */
typedef struct samplers {
    struct llama_sampler *of[N_WAYS];
} samplers;

static void accept_prompt(struct llama_sampler *sampler)
{
    for (int i = 0; i < N_PROMPT; i++)
        llama_sampler_accept(sampler, 1000 + i * i % 97);
}

static bool samplers_create(samplers *s, const bench *b, const named_chain *chain)
{
    const char *json = bench_chain_find(chain->name)->json;
    int32_t n_vocab = llama_vocab_n_tokens(b->vocab);
    struct llama_sampler *inner = pluck_llama_sampler_init(json, n_vocab);
    s->of[LLAMA] = llama_sampler_chain_init(llama_sampler_chain_default_params());
    s->of[IN_CHAIN] = llama_sampler_chain_init(llama_sampler_chain_default_params());
    s->of[DIRECT] = pluck_llama_sampler_init(json, n_vocab);
    if (!inner || !s->of[DIRECT]) {
        fprintf(stderr, "bench_end_to_end: %s cannot be made\n", json);
        return false;
    }
    chain->add(b, s->of[LLAMA]);
    add(s->of[IN_CHAIN], inner);
    for (int i = 0; i < N_WAYS; i++)
        accept_prompt(s->of[i]);
    return true;
}

static void samplers_destroy(samplers *s)
{
    for (int i = 0; i < N_WAYS; i++)
        llama_sampler_free(s->of[i]);
}

static llama_token sample(const bench *b, way how, struct llama_sampler *sampler)
{
    return how == DIRECT ? pluck_llama_sample(sampler, b->ctx, -1)
                         : llama_sampler_sample(sampler, b->ctx, -1);
}

/* Means over a block, in nanoseconds per token. */
typedef struct block_times {
    double decode, sample;
} block_times;

static bool decode(const bench *b, llama_token token)
{
    if (token >= 0 && llama_decode(b->ctx, llama_batch_get_one(&token, 1)) == 0 &&
        llama_get_logits_ith(b->ctx, -1))
        return true;
    fputs("bench_end_to_end: a token could not be sampled or decoded\n", stderr);
    return false;
}

/* A text of its own: context and sampler begin anew. Adds its tokens to *sum. */
static bool run_block(const bench *b, way how, struct llama_sampler *sampler, block_times *times,
                      uint64_t *sum)
{
    llama_token token = 17;
    *times = (block_times){.decode = 0.0};
    llama_memory_clear(llama_get_memory(b->ctx), true);
    llama_sampler_reset(sampler);
    accept_prompt(sampler);
    for (int i = 0; i < N_WARM + BLOCK_TOKENS; i++) {
        double start = bench_cpu_ns();
        if (!decode(b, token))
            return false;
        double decoded = bench_cpu_ns();
        token = sample(b, how, sampler);
        double sampled = bench_cpu_ns();
        if (i >= N_WARM) {
            times->decode += (decoded - start) / BLOCK_TOKENS;
            times->sample += (sampled - decoded) / BLOCK_TOKENS;
        }
        *sum = *sum * 31 + (uint64_t)token;
    }
    return true;
}

typedef struct way_values {
    double decode[MAX_ROUNDS], sample[MAX_ROUNDS], token[MAX_ROUNDS], ratio[MAX_ROUNDS];
} way_values;

static void report_way(const bench *b, const named_chain *chain, way how, way_values *v)
{
    size_t n = b->n_rounds;
    bench_spread decoding = bench_spread_of(v->decode, n);
    bench_spread sampling = bench_spread_of(v->sample, n);
    bench_spread token = bench_spread_of(v->token, n), ratio = bench_spread_of(v->ratio, n);
    printf("%-24s %-20s %10.0f %10.0f %12.1f %10.3f %6.3f-%.3f\n", how == LLAMA ? chain->name : "",
           way_names[how], decoding.median / 1e3, sampling.median / 1e3, 1e9 / token.median,
           1.0 / ratio.median, 1.0 / ratio.p90, 1.0 / ratio.p10);
    bench_record_begin(b->records);
    bench_record_text(b->records, "part", "end to end");
    bench_record_text(b->records, "chain", chain->name);
    bench_record_text(b->records, "way", way_names[how]);
    bench_record_integer(b->records, "n_vocab", llama_vocab_n_tokens(b->vocab));
    bench_record_measure(b->records, "decode_ns", decoding);
    bench_record_measure(b->records, "sample_ns", sampling);
    bench_record_measure(b->records, "token_ns", token);
    bench_record_measure(b->records, "token_ratio", ratio);
    bench_record_end(b->records);
}

static bool run_end_to_end(const bench *b, const named_chain *chain)
{
    static way_values values[N_WAYS];
    samplers s;
    bool done = samplers_create(&s, b, chain);
    for (size_t round = 0; done && round < b->n_rounds; round++) {
        block_times times[N_WAYS];
        uint64_t sums[N_WAYS] = {0};
        for (size_t i = 0; done && i < N_WAYS; i++) {
            way how = (way)((i + round) % N_WAYS);
            done = run_block(b, how, s.of[how], &times[how], &sums[how]);
        }
        for (int how = 0; done && how < N_WAYS; how++) {
            double token = times[how].decode + times[how].sample;
            values[how].decode[round] = times[how].decode;
            values[how].sample[round] = times[how].sample;
            values[how].token[round] = token;
            values[how].ratio[round] = token / (times[LLAMA].decode + times[LLAMA].sample);
        }
        /* Both ways of pluck draw the same tokens; llama.cpp has other random numbers. */
        bool is_greedy = strcmp(chain->name, "greedy") == 0;
        if (done &&
            (sums[IN_CHAIN] != sums[DIRECT] || (is_greedy && sums[LLAMA] != sums[DIRECT]))) {
            fprintf(stderr, "bench_end_to_end: %s: the ways give other tokens\n", chain->name);
            done = false;
        }
    }
    for (int how = 0; done && how < N_WAYS; how++)
        report_way(b, chain, (way)how, &values[how]);
    samplers_destroy(&s);
    return done;
}

typedef struct subject {
    const bench *b;
    way how;
    struct llama_sampler *sampler;
    llama_token last;
} subject;

static void run_subject(void *context, size_t n)
{
    subject *s = context;
    for (size_t i = 0; i < n; i++)
        s->last = sample(s->b, s->how, s->sampler);
}

/* Other logits in each repetition. */
static void prepare_logits(void *context, size_t repetition)
{
    const bench *b = context;
    llama_memory_clear(llama_get_memory(b->ctx), true);
    (void)decode(b, (llama_token)(17 + repetition * 101));
}

static bool run_in_chain(bench *b, const named_chain *chain)
{
    samplers s;
    subject contexts[N_WAYS];
    bench_subject subjects[N_WAYS];
    bench_timing timings[N_WAYS];
    bench_plan plan = bench_plan_default(b->is_quick);
    if (!samplers_create(&s, b, chain)) {
        samplers_destroy(&s);
        return false;
    }
    for (int how = 0; how < N_WAYS; how++) {
        contexts[how] = (subject){.b = b, .how = (way)how, .sampler = s.of[how]};
        subjects[how] = (bench_subject){run_subject, &contexts[how]};
    }
    plan.batch_ns *= 10;
    plan.budget_ns *= 4;
    plan.prepare = prepare_logits;
    plan.prepare_context = b;
    prepare_logits(b, 0);
    bench_interleave(subjects, N_WAYS, &plan, timings);
    const bench_timing *in = &timings[IN_CHAIN], *alone = &timings[DIRECT];
    printf("%-24s %10.0f %10.0f %10.0f %12.3f %6.3f-%-6.3f %10.3f\n", chain->name,
           timings[LLAMA].ns.median / 1e3, in->ns.median / 1e3, alone->ns.median / 1e3,
           in->ratio.median, in->ratio.p10, in->ratio.p90, alone->ratio.median);
    bench_record_begin(b->records);
    bench_record_text(b->records, "part", "in a chain");
    bench_record_text(b->records, "chain", chain->name);
    bench_record_integer(b->records, "n_vocab", llama_vocab_n_tokens(b->vocab));
    bench_record_measure(b->records, "llama_ns", timings[LLAMA].ns);
    bench_record_measure(b->records, "chain_ns", in->ns);
    bench_record_measure(b->records, "direct_ns", alone->ns);
    bench_record_measure(b->records, "chain_ratio", in->ratio);
    bench_record_measure(b->records, "direct_ratio", alone->ratio);
    bench_record_end(b->records);
    samplers_destroy(&s);
    return contexts[LLAMA].last >= 0 && contexts[IN_CHAIN].last >= 0 && contexts[DIRECT].last >= 0;
}

static bool is_wanted(const bench *b, const named_chain *chain)
{
    return !b->only || strstr(chain->name, b->only);
}

static bool run_all(bench *b)
{
    bool done = true;
    printf("%-24s %-20s %10s %10s %12s %10s %s\n", "chain", "sampler", "decode us", "sample us",
           "tokens/s", "times", "p10-p90");
    for (size_t i = 0; done && i < N_CHAINS; i++)
        if (named_chains[i].end_to_end && is_wanted(b, &named_chains[i]))
            done = run_end_to_end(b, &named_chains[i]);
    printf("\n%-24s %10s %10s %10s %12s %-13s %10s\n", "sampling only, us", "llama.cpp", "in chain",
           "alone", "chain ratio", "p10-p90", "alone");
    for (size_t i = 0; done && i < N_CHAINS; i++)
        if (is_wanted(b, &named_chains[i]))
            done = run_in_chain(b, &named_chains[i]);
    return done;
}

static void quiet(enum ggml_log_level level, const char *message, void *user)
{
    (void)user;
    if (level == GGML_LOG_LEVEL_ERROR)
        fputs(message, stderr);
}

static bool open_model(bench *b, const char *path)
{
    struct llama_model_params model_params = llama_model_default_params();
    struct llama_context_params params = llama_context_default_params();
    model_params.n_gpu_layers = 0;
    params.n_ctx = 256;
    params.n_threads = params.n_threads_batch = 1;
    b->model = llama_model_load_from_file(path, model_params);
    b->ctx = b->model ? llama_init_from_model(b->model, params) : NULL;
    if (!b->ctx) {
        fprintf(stderr, "bench_end_to_end: %s is not a model that this llama.cpp loads\n", path);
        return false;
    }
    b->vocab = llama_model_get_vocab(b->model);
    return true;
}

typedef struct arguments {
    const char *model, *backends, *only, *json;
    bool quick;
} arguments;

static bool parse(int argc, char **argv, arguments *a)
{
    *a = (arguments){.quick = false};
    for (int i = 1; i < argc; i++) {
        const char **value = strcmp(argv[i], "--model") == 0      ? &a->model
                             : strcmp(argv[i], "--backends") == 0 ? &a->backends
                             : strcmp(argv[i], "--only") == 0     ? &a->only
                             : strcmp(argv[i], "--json") == 0     ? &a->json
                                                                  : NULL;
        if (strcmp(argv[i], "--quick") == 0)
            a->quick = true;
        else if (value && i + 1 < argc)
            *value = argv[++i];
        else
            return false;
    }
    return a->model && a->backends;
}

int main(int argc, char **argv)
{
    arguments a;
    if (!parse(argc, argv, &a)) {
        fputs("usage: bench_end_to_end --model FILE --backends FOLDER [--quick] [--only TEXT] "
              "[--json FILE]\n",
              stderr);
        return 2;
    }
    bench b = {.only = a.only, .n_rounds = a.quick ? 3 : 21, .is_quick = a.quick};
    llama_log_set(quiet, NULL);
    ggml_backend_load_all_from_path(a.backends);
    if (!gguf_model_write(a.model) || !open_model(&b, a.model) ||
        !bench_records_open(&b.records, a.json, "bench_end_to_end", false))
        return EXIT_FAILURE;
    printf("processor %d\n", bench_pin());
    bench_warm_up(0.3);
    bool done = run_all(&b);
    done = bench_records_close(&b.records) && done;
    llama_free(b.ctx);
    llama_model_free(b.model);
    return done ? EXIT_SUCCESS : EXIT_FAILURE;
}
