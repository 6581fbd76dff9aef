/*
 * Steps and their times. All steps run in turn within a round, each for about a millisecond of
 * processor time, and ratios are formed within the round: what disturbs one disturbs all. Reported
 * are medians over rounds. A step does what an engine does: choose a token, accept it.
 *
 * Rows are copied into memory, so that neither reading a file nor conversion is measured. Made-up
 * logits are like those of a language model: a normal distribution, and a few tokens far above it.
 */
#include "commands/bench.h"

#include <pluck/rng.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const double round_us = 1000.0;

static int add_step(bench_plan *plan, step_kind kind, const pluck_stage *stage,
                    const pluck_config *config, pluck_isa isa)
{
    bench_step *step = &plan->steps[plan->n_steps];
    pluck_sampler_options options = {.struct_size = sizeof options, .isa = isa};
    pluck_error err;
    *step = (bench_step){.kind = kind, .stage = stage, .name = stage ? stage->name : ""};
    if (pluck_sampler_create(&step->sampler, config, plan->rows.n_vocab, &options, &err) !=
        PLUCK_OK)
        return complain(exit_code_of(err.status), "%s", err.message);
    plan->n_steps++;
    return EXIT_DONE;
}

/* A step that runs some of the stages. */
static int add_variant(bench_plan *plan, step_kind kind, const pluck_stage *stage,
                       const size_t *indices, size_t n, bool own_draw, pluck_isa isa)
{
    pluck_error err;
    pluck_config *config = bench_variant(plan->config, indices, n, own_draw, &err);
    if (!config)
        return complain(exit_code_of(err.status), "%s", err.message);
    int code = add_step(plan, kind, stage, config, isa);
    pluck_config_destroy(&config);
    return code;
}

static int add_read(bench_plan *plan, pluck_isa isa)
{
    bool bans = setup_config_info(plan->config).on_nan == PLUCK_ON_NAN_BAN;
    const char *greedy =
        bans ? "{\"draw\": \"greedy\", \"on_nan\": \"ban\"}" : "{\"draw\": \"greedy\"}";
    pluck_config *config = NULL;
    pluck_error err;
    if (pluck_config_from_json(&config, greedy, strlen(greedy), NULL, &err) != PLUCK_OK)
        return complain(exit_code_of(err.status), "%s", err.message);
    int code = add_step(plan, STEP_READ, NULL, config, isa);
    pluck_config_destroy(&config);
    return code;
}

/* Moves top_k to the front of the stages, if stages before it remove tokens. */
static bool swap_top_k(const pluck_config *config, size_t *indices, size_t n)
{
    bool any_before = false;
    for (size_t i = 0; i < n; i++) {
        const pluck_stage *stage = setup_config_stage(config, indices[i]).stage;
        if (strcmp(stage->name, "top_k") == 0) {
            size_t top_k = indices[i];
            memmove(indices + 1, indices, i * sizeof *indices);
            indices[0] = top_k;
            return any_before;
        }
        any_before |= stage->kind == PLUCK_STAGE_TRUNCATE;
    }
    return false;
}

int bench_plan_steps(bench_plan *plan, pluck_isa isa)
{
    size_t n_stages = setup_config_info(plan->config).n_stages;
    const pluck_stage *draw = setup_config_stage(plan->config, n_stages - 1).stage;
    size_t *indices = calloc(n_stages, sizeof *indices);
    plan->steps = calloc(n_stages + 4, sizeof *plan->steps);
    if (!indices || !plan->steps) {
        free(indices);
        return complain_memory();
    }
    size_t n = 0;
    int code = add_read(plan, isa);
    for (size_t i = 0; i + 1 < n_stages && code == EXIT_DONE; i++) {
        pluck_config_stage part = setup_config_stage(plan->config, i);
        if (part.is_neutral)
            continue;
        indices[n++] = i;
        code = add_variant(plan, STEP_STAGE, part.stage, indices, n, false, isa);
    }
    plan->token = plan->n_steps;
    if (code == EXIT_DONE)
        code = add_step(plan, STEP_DRAW, draw, plan->config, isa);
    if (code == EXIT_DONE)
        code = add_step(plan, STEP_LOGPROB, NULL, plan->config, isa);
    if (code == EXIT_DONE && swap_top_k(plan->config, indices, n))
        code = add_variant(plan, STEP_SWAPPED, NULL, indices, n, true, isa);
    free(indices);
    return code;
}

void bench_plan_free(bench_plan *plan)
{
    for (size_t i = 0; i < plan->n_steps; i++)
        pluck_sampler_destroy(&plan->steps[i].sampler);
    free(plan->steps);
    bench_rows_free(&plan->rows);
}

static double seconds_on(clockid_t clock)
{
    struct timespec t = {0, 0};
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Microseconds a token over n tokens; negative after complain() if one failed. */
static double run_step(const bench_plan *plan, const bench_step *step, size_t n, int *code)
{
    pluck_error err;
    double start = seconds_on(CLOCK_THREAD_CPUTIME_ID);
    for (size_t i = 0; i < n; i++) {
        pluck_logits logits = bench_row(&plan->rows, i);
        pluck_draw drawn = {0, 0.0f, 0};
        pluck_status status = step->kind == STEP_LOGPROB
                                  ? pluck_sampler_draw(step->sampler, logits, &drawn, &err)
                                  : pluck_sampler_sample(step->sampler, logits, &drawn.token, &err);
        if (status == PLUCK_OK)
            status = pluck_sampler_accept(step->sampler, drawn.token, &err);
        if (status != PLUCK_OK) {
            *code = complain(exit_code_of(err.status), "%s: row %llu: %s", plan->rows.name,
                             (unsigned long long)plan->rows.numbers[i % plan->rows.n], err.message);
            break;
        }
    }
    return 1e6 * (seconds_on(CLOCK_THREAD_CPUTIME_ID) - start) / (double)n;
}

/* Fills the history, and finds out how many tokens a round takes: whole turns of the rows. */
static int calibrate(bench_plan *plan)
{
    enum { WARM_UP = 64 };
    int code = EXIT_DONE;
    for (size_t s = 0; s < plan->n_steps && code == EXIT_DONE; s++) {
        size_t n_rows = plan->rows.n;
        size_t n = n_rows > WARM_UP ? n_rows : (WARM_UP + n_rows - 1) / n_rows * n_rows;
        double us = run_step(plan, &plan->steps[s], n, &code);
        double turns = round_us / (us > 0.01 ? us : 0.01) / (double)n_rows;
        plan->steps[s].n_tokens = n_rows * (turns < 1.0 ? 1 : turns < 1e4 ? (size_t)turns : 10000);
    }
    return code;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t n)
{
    qsort(values, n, sizeof *values, compare_doubles);
    return n % 2 != 0 ? values[n / 2] : 0.5 * (values[n / 2 - 1] + values[n / 2]);
}

int bench_measure(bench_plan *plan, double seconds)
{
    enum { MIN_ROUNDS = 5 };
    double start = seconds_on(CLOCK_MONOTONIC);
    int code = calibrate(plan);
    while (code == EXIT_DONE && plan->n_rounds < BENCH_MAX_ROUNDS &&
           (plan->n_rounds < MIN_ROUNDS || seconds_on(CLOCK_MONOTONIC) - start < seconds)) {
        size_t round = plan->n_rounds++;
        for (size_t s = 0; s < plan->n_steps && code == EXIT_DONE; s++) {
            bench_step *step = &plan->steps[s];
            step->us[round] = run_step(plan, step, step->n_tokens, &code);
            step->ratios[round] = step->us[round] / plan->steps[0].us[round];
        }
    }
    for (size_t s = 0; s < plan->n_steps && code == EXIT_DONE; s++) {
        bench_step *step = &plan->steps[s];
        step->median_us = median(step->us, plan->n_rounds);
        step->median_ratio = median(step->ratios, plan->n_rounds);
    }
    return code;
}

#define ROWS_LIMIT_BYTES ((size_t)64 << 20)
enum { MADE_UP_VOCAB = 128256, MADE_UP_ROWS = 2 };

/* Room for up to n rows within ROWS_LIMIT_BYTES. */
static int allocate(bench_rows *rows, size_t n)
{
    rows->row_bytes = rows->n_vocab * pluck_dtype_size_bytes(rows->dtype);
    size_t most = ROWS_LIMIT_BYTES / rows->row_bytes;
    rows->n = n < most ? n : most > 0 ? most : 1;
    rows->data = malloc(rows->n * rows->row_bytes);
    return rows->data ? EXIT_DONE : complain_memory();
}

static int make_up(bench_rows *rows, const bench_flags *flags)
{
    enum { N_PEAKS = 40, N_SUMMED = 12 };
    rows->name = "made-up logits";
    rows->dtype = PLUCK_F32;
    rows->n_vocab =
        flags->input.vocab_size != 0 ? (uint32_t)flags->input.vocab_size : MADE_UP_VOCAB;
    int code = allocate(rows, MADE_UP_ROWS);
    for (size_t r = 0; code == EXIT_DONE && r < rows->n; r++) {
        float *x = (float *)(void *)(rows->data + r * rows->row_bytes);
        pluck_pcg64 rng;
        pluck_pcg64_seed(&rng, 1, r, 0);
        for (uint32_t i = 0; i < rows->n_vocab; i++) {
            double sum = -N_SUMMED / 2.0;
            for (int k = 0; k < N_SUMMED; k++)
                sum += pluck_pcg64_uniform(&rng);
            x[i] = (float)(2.0 * sum);
        }
        for (int k = 0; k < N_PEAKS; k++) {
            double at = pluck_pcg64_uniform(&rng) * rows->n_vocab;
            x[(uint32_t)at] = (float)(18.0 - 3.0 * log(1.0 + k));
        }
        rows->numbers[r] = r;
    }
    return code;
}

static int copy_row(bench_rows *rows, source *src, uint64_t number, size_t index)
{
    pluck_logits logits;
    pluck_error err;
    if (read_logits(src->dump, number, src->scratch, &logits, &err) != PLUCK_OK)
        return complain(exit_code_of(err.status), "%s", err.message);
    if (!logits.data) {
        rows->n = index;
        return EXIT_DONE;
    }
    memcpy(rows->data + index * rows->row_bytes, logits.data, rows->row_bytes);
    rows->numbers[index] = number;
    return EXIT_DONE;
}

static int load(bench_rows *rows, const bench_flags *flags, source *src)
{
    row_range range;
    uint64_t first = 0, end = 0;
    int code = rows_read(flags->rows, &range);
    if (code == EXIT_DONE)
        code = rows_resolve(&range, src->info.n_rows, rows->name, &first, &end);
    if (code != EXIT_DONE)
        return code;
    rows->dtype = src->info.dtype;
    rows->n_vocab = src->info.n_vocab;
    uint64_t n_rows = end - first;
    code = allocate(rows, n_rows < BENCH_MAX_ROWS ? (size_t)n_rows : BENCH_MAX_ROWS);
    for (size_t i = 0; code == EXIT_DONE && i < rows->n; i++) {
        uint64_t step = src->info.streamed ? i : i * (n_rows / rows->n);
        code = copy_row(rows, src, first + step, i);
    }
    if (code == EXIT_DONE && rows->n == 0)
        return complain(EXIT_DATA, "%s: no rows to measure", rows->name);
    return code;
}

int bench_rows_load(bench_rows *rows, const bench_flags *flags, const char *path)
{
    if (!path)
        return make_up(rows, flags);
    source src;
    rows->name = source_name(path);
    int code = source_open(&flags->input, path, &src);
    if (code == EXIT_DONE)
        code = load(rows, flags, &src);
    source_close(&src);
    return code;
}

void bench_rows_free(bench_rows *rows)
{
    free(rows->data);
    rows->data = NULL;
}

pluck_logits bench_row(const bench_rows *rows, size_t index)
{
    size_t r = index % rows->n;
    return (pluck_logits){rows->data + r * rows->row_bytes, rows->dtype, rows->n_vocab};
}

/* A parameter of the stage of this name that is last in variant. */
static pluck_status copy_param(pluck_config *variant, const char *stage, const pluck_param *param,
                               const void *value, pluck_error *err)
{
    char key[128];
    snprintf(key, sizeof key, "%s.%s", stage, param->name);
    switch (param->type) {
    case PLUCK_PARAM_INTEGER:
        return pluck_config_set_integer(variant, key, *(const int64_t *)value, err);
    case PLUCK_PARAM_BOOLEAN:
        return pluck_config_set_bool(variant, key, *(const bool *)value, err);
    case PLUCK_PARAM_BIAS_MAP: {
        const pluck_bias_map *map = value;
        return pluck_config_set_biases(variant, key, map->items, map->n, err);
    }
    case PLUCK_PARAM_TOKENS: {
        const pluck_token_set *set = value;
        return pluck_config_set_tokens(variant, key, set->items, set->n, err);
    }
    case PLUCK_PARAM_SEQUENCES:
        return pluck_config_set_sequences(variant, key, value, err);
    default:
        return pluck_config_set_number(variant, key, *(const double *)value, err);
    }
}

static pluck_status copy_stage(pluck_config *variant, const pluck_config *config, size_t index,
                               pluck_error *err)
{
    pluck_config_stage part = setup_config_stage(config, index);
    pluck_status status = pluck_config_add_stage(variant, part.stage->name, err);
    for (size_t i = 0; i < part.stage->n_params && status == PLUCK_OK; i++) {
        const pluck_param *param = &part.stage->params[i];
        status = copy_param(variant, part.stage->name, param,
                            (const char *)part.params + param->offset_bytes, err);
    }
    return status;
}

pluck_config *bench_variant(const pluck_config *config, const size_t *indices, size_t n,
                            bool own_draw, pluck_error *err)
{
    pluck_config *variant = NULL;
    pluck_config_info info = setup_config_info(config);
    pluck_status status = pluck_config_create(&variant, NULL, err);
    if (status == PLUCK_OK && info.on_nan == PLUCK_ON_NAN_BAN)
        status = pluck_config_set_text(variant, "on_nan", "ban", err);
    if (status == PLUCK_OK)
        status = info.seed_is_random ? pluck_config_set_text(variant, "seed", "random", err)
                                     : pluck_config_set_seed(variant, info.seed, err);
    for (size_t i = 0; i < n && status == PLUCK_OK; i++)
        status = copy_stage(variant, config, indices[i], err);
    if (own_draw && status == PLUCK_OK)
        status = copy_stage(variant, config, info.n_stages - 1, err);
    if (status != PLUCK_OK)
        pluck_config_destroy(&variant);
    return variant;
}
