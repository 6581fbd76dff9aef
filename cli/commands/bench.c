/*
 * pluck bench: what a chain costs, step by step, on the user's own logits, as a table or as JSON. A
 * step is a sampler that runs the stages up to one of them. All steps run in turn within a round,
 * each for about a millisecond of processor time, and ratios are formed within the round: what
 * disturbs one disturbs all. Reported are medians over rounds. A step does what an engine does:
 * choose a token, accept it.
 *
 * Rows are copied into memory, so that neither reading a file nor conversion is measured. Made-up
 * logits are like those of a language model: a normal distribution, and a few tokens far above it.
 *
 * What the times suggest: each rule looks at one thing and says something only if it was measured
 * to matter; the thresholds keep noise from talking.
 */
#include "base/platform.h"
#include "base/scalar_math.h"
#include "input.h"
#include "setup.h"

#include <pluck/rng.h>
#include <pluck/sampler.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct bench_flags {
    call call;
    input_flags input;
    config_flags config;
    const char *rows, *isa, *output;
    uint64_t seconds;
    int format;
} bench_flags;

enum { BENCH_MAX_ROUNDS = 99, BENCH_MAX_ROWS = 16 };

typedef struct bench_rows {
    const char *name; /* of the dump, or of the made-up logits */
    pluck_dtype dtype;
    uint32_t n_vocab;
    size_t n; /* at most BENCH_MAX_ROWS */
    size_t row_bytes;
    unsigned char *data;
    uint64_t numbers[BENCH_MAX_ROWS]; /* of the rows in the dump */
} bench_rows;

typedef enum step_kind {
    STEP_READ,    /* greedy: reads the logits and little else; the unit R */
    STEP_STAGE,   /* up to a stage, then a draw */
    STEP_DRAW,    /* all stages and the configuration's draw */
    STEP_LOGPROB, /* the same, with the log-probability */
    STEP_SWAPPED  /* as STEP_DRAW, but top_k comes first */
} step_kind;

typedef struct bench_step {
    step_kind kind;
    const char *name; /* of the stage or draw */
    const pluck_stage *stage;
    pluck_sampler *sampler;
    size_t n_tokens; /* a round */
    double us[BENCH_MAX_ROUNDS];
    double ratios[BENCH_MAX_ROUNDS]; /* to the first step, in the same round */
    double median_us, median_ratio;
} bench_step;

typedef struct bench_plan {
    const bench_flags *flags;
    const pluck_config *config;
    bench_rows rows;
    bench_step *steps;
    size_t n_steps;
    size_t token; /* which step is the whole chain */
    size_t n_rounds;
} bench_plan;

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
            x[(uint32_t)at] = (float)(18.0 - 3.0 * plk_log(1.0 + k));
        }
        rows->numbers[r] = r;
    }
    return code;
}

static int copy_row(bench_rows *rows, source *src, uint64_t number, size_t index)
{
    pluck_logits logits;
    pluck_error err;
    pluck_status status = read_logits(src->dump, number, src->scratch, &logits, &err);
    rows->numbers[index] = number;
    if (status == PLUCK_OK && !logits.data)
        rows->n = index;
    else if (status == PLUCK_OK)
        memcpy(rows->data + index * rows->row_bytes, logits.data, rows->row_bytes);
    return complain_error(status, &err);
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

/* The rows of a dump, spread over those that --rows names, or made-up ones if path is NULL.
 * The caller frees rows->data in any case. */
static int load_rows(bench_rows *rows, const bench_flags *flags, const char *path)
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

static const double round_us = 1000.0;

static int add_step(bench_plan *plan, step_kind kind, const pluck_stage *stage,
                    const pluck_config *config, pluck_isa isa)
{
    bench_step *step = &plan->steps[plan->n_steps];
    pluck_sampler_options options = {.struct_size = sizeof options, .isa = isa};
    pluck_error err;
    *step = (bench_step){.kind = kind, .stage = stage, .name = stage ? stage->name : ""};
    pluck_status status =
        pluck_sampler_create(&step->sampler, config, plan->rows.n_vocab, &options, &err);
    plan->n_steps += status == PLUCK_OK;
    return complain_error(status, &err);
}

/* A step that runs n of the stages, those with these indices, in this order, and the draw of the
 * configuration or, if not own_draw, "categorical". */
static int add_variant(bench_plan *plan, step_kind kind, const pluck_stage *stage,
                       const size_t *indices, size_t n, bool own_draw, pluck_isa isa)
{
    pluck_config *variant = NULL;
    pluck_config_info info = setup_config_info(plan->config);
    pluck_error err;
    pluck_status status = pluck_config_create(&variant, NULL, &err);
    if (status == PLUCK_OK && info.on_nan == PLUCK_ON_NAN_BAN)
        status = pluck_config_set_text(variant, "on_nan", "ban", &err);
    if (status == PLUCK_OK)
        status = info.seed_is_random ? pluck_config_set_text(variant, "seed", "random", &err)
                                     : pluck_config_set_seed(variant, info.seed, &err);
    for (size_t i = 0; i < n && status == PLUCK_OK; i++)
        status = copy_stage(variant, plan->config, indices[i], &err);
    if (own_draw && status == PLUCK_OK)
        status = copy_stage(variant, plan->config, info.n_stages - 1, &err);
    int code = status == PLUCK_OK ? add_step(plan, kind, stage, variant, isa)
                                  : complain_error(status, &err);
    pluck_config_destroy(&variant);
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
        return complain_error(err.status, &err);
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

/* Makes the steps of the configuration. */
static int plan_steps(bench_plan *plan, pluck_isa isa)
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

/* Microseconds a token over n tokens; negative after complain() if one failed. */
static double run_step(const bench_plan *plan, const bench_step *step, size_t n, int *code)
{
    const bench_rows *rows = &plan->rows;
    pluck_error err;
    uint64_t start = plk_thread_cpu_ns();
    for (size_t i = 0; i < n; i++) {
        size_t row = i % rows->n;
        pluck_logits logits = {rows->data + row * rows->row_bytes, rows->dtype, rows->n_vocab};
        pluck_draw drawn = {0, 0.0f, 0};
        pluck_status status = step->kind == STEP_LOGPROB
                                  ? pluck_sampler_draw(step->sampler, logits, &drawn, &err)
                                  : pluck_sampler_sample(step->sampler, logits, &drawn.token, &err);
        if (status == PLUCK_OK)
            status = pluck_sampler_accept(step->sampler, drawn.token, &err);
        if (status != PLUCK_OK) {
            *code = complain(exit_code_of(err.status), "%s: row %llu: %s", rows->name,
                             (unsigned long long)rows->numbers[row], err.message);
            break;
        }
    }
    return 1e-3 * (double)(plk_thread_cpu_ns() - start) / (double)n;
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

/* Measures them for about that number of seconds. */
static int measure(bench_plan *plan, double seconds)
{
    enum { MIN_ROUNDS = 5 };
    uint64_t start = plk_clock_ns();
    int code = calibrate(plan);
    while (code == EXIT_DONE && plan->n_rounds < BENCH_MAX_ROUNDS &&
           (plan->n_rounds < MIN_ROUNDS || 1e-9 * (double)(plk_clock_ns() - start) < seconds)) {
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

static const bench_step *find_step(const bench_plan *plan, step_kind kind)
{
    for (size_t i = 0; i < plan->n_steps; i++)
        if (plan->steps[i].kind == kind)
            return &plan->steps[i];
    return NULL;
}

/* The chain with top_k first, if that is worth it; NULL else. */
static const bench_step *better_order(const bench_plan *plan)
{
    double worth_it = 0.8;
    const bench_step *swapped = find_step(plan, STEP_SWAPPED);
    return swapped && swapped->median_ratio <= worth_it * plan->steps[plan->token].median_ratio
               ? swapped
               : NULL;
}

static bool advise_swap(const bench_plan *plan, char *text, size_t capacity)
{
    const bench_step *swapped = better_order(plan);
    if (!swapped)
        return false;
    snprintf(text, capacity,
             "with top_k as the first stage, the time per token would be %.1f us instead of %.1f: "
             "the stages that run before top_k now look at the whole vocabulary (the distribution "
             "changes a little)",
             swapped->median_us, plan->steps[plan->token].median_us);
    return true;
}

/* The stage that adds most, if that is much: NULL else. */
static const bench_step *costliest(const bench_plan *plan, double *added_us)
{
    double much_in_reads = 1.0, much_of_all = 0.3;
    const bench_step *worst = NULL;
    double most = 0.0;
    for (size_t i = 1; i <= plan->token; i++) {
        double added = plan->steps[i].median_ratio - plan->steps[i - 1].median_ratio;
        if (added > most) {
            most = added;
            worst = &plan->steps[i];
            *added_us = plan->steps[i].median_us - plan->steps[i - 1].median_us;
        }
    }
    return most > much_in_reads && most > much_of_all * plan->steps[plan->token].median_ratio
               ? worst
               : NULL;
}

static bool truncates_before(const bench_plan *plan, const bench_step *step)
{
    for (const bench_step *s = plan->steps + 1; s < step; s++)
        if (s->stage->kind == PLUCK_STAGE_TRUNCATE)
            return true;
    return false;
}

/* The first stage that leaves few tokens at the price of a look at each logit; NULL: none. */
static const bench_step *cheap_truncation(const bench_plan *plan)
{
    for (size_t i = 1; i < plan->token; i++) {
        const char *name = plan->steps[i].stage->name;
        if (strcmp(name, "top_k") == 0 || strcmp(name, "min_p") == 0)
            return &plan->steps[i];
    }
    return NULL;
}

/* What would make this truncation cheaper: another one before it, which the chain may have already,
 * behind it. Nothing if one is before it, or if it is such a one itself. */
static void advise_truncation(const bench_plan *plan, const bench_step *step, char *text,
                              size_t capacity)
{
    const bench_step *cheap = cheap_truncation(plan);
    text[0] = '\0';
    if (step->stage->kind != PLUCK_STAGE_TRUNCATE || truncates_before(plan, step) || step == cheap)
        return;
    if (!cheap)
        snprintf(text, capacity,
                 "; after a top_k or min_p, this stage would see few tokens (the distribution "
                 "changes a little)");
    else if (strcmp(cheap->name, "min_p") == 0)
        snprintf(text, capacity,
                 "; with min_p before this stage, it would see few tokens (the distribution "
                 "changes a little)");
}

static bool advise_costliest(const bench_plan *plan, char *text, size_t capacity)
{
    double added = 0.0;
    const bench_step *worst = costliest(plan, &added);
    if (!worst || better_order(plan))
        return false;
    char what[128];
    advise_truncation(plan, worst, what, sizeof what);
    if (strcmp(worst->stage->name, "penalties") == 0)
        snprintf(what, sizeof what, "; a shorter repeat_last_n costs less");
    snprintf(text, capacity, "most time goes to %s, %.1f us%s", worst->name, added, what);
    return true;
}

static bool advise_logprob(const bench_plan *plan, char *text, size_t capacity)
{
    double much = 1.5;
    const bench_step *token = &plan->steps[plan->token];
    const bench_step *logprob = find_step(plan, STEP_LOGPROB);
    if (logprob->median_ratio < much * token->median_ratio)
        return false;
    snprintf(text, capacity,
             "asking for the log-probability of a token costs %.1f us more, for the normaliser "
             "over all tokens that are left; do not ask where it is not used",
             logprob->median_us - token->median_us);
    return true;
}

static bool advise_isa(const bench_plan *plan, char *text, size_t capacity)
{
    pluck_isa used = setup_sampler_info(plan->steps[0].sampler).isa;
    pluck_sampler *best = NULL;
    if (pluck_sampler_create(&best, plan->config, 1, NULL, NULL) != PLUCK_OK)
        return false;
    pluck_isa isa = setup_sampler_info(best).isa;
    pluck_sampler_destroy(&best);
    if (isa == used)
        return false;
    snprintf(text, capacity, "%s was forced; this machine has %s, with the same results",
             pluck_isa_name(used), pluck_isa_name(isa));
    return true;
}

static bool advise_nothing(const bench_plan *plan, char *text, size_t capacity)
{
    double little = 2.5;
    if (plan->steps[plan->token].median_ratio > little)
        return false;
    snprintf(text, capacity,
             "a token costs little more than reading the logits once: nothing to gain here");
    return true;
}

/* The line of advice number index into text; false after the last. */
static bool advise(const bench_plan *plan, size_t index, char *text, size_t capacity)
{
    static bool (*const rules[])(const bench_plan *, char *, size_t) = {
        advise_isa, advise_swap, advise_costliest, advise_logprob, advise_nothing};
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (rules[i](plan, text, capacity) && index-- == 0)
            return true;
    return false;
}

/* Of the steps that no stage gives a name. */
static const char *const labels[] = {[STEP_READ] = "reading the logits",
                                     [STEP_LOGPROB] = "  with logprob",
                                     [STEP_SWAPPED] = "  with top_k first"};

static void print_text(const bench_plan *plan, output *out)
{
    const bench_rows *rows = &plan->rows;
    const bench_step *token = &plan->steps[plan->token];
    char text[256];
    output_wrap(out);
    output_quoted(out, rows->name, strlen(rows->name));
    output_printf(out, ": %u logits, %s, %zu %s; instruction set %s\n\n", (unsigned)rows->n_vocab,
                  pluck_dtype_name(rows->dtype), rows->n, rows->n == 1 ? "row" : "rows",
                  pluck_isa_name(setup_sampler_info(token->sampler).isa));
    static const table_column columns[] = {
        {.title = "up to", .width = -24},
        {.title = "us per token", .width = 12, .format = "%.2f"},
        {.title = "added", .width = 10, .format = "%+.2f"},
        {.title = "times reading", .width = 14, .format = "%.2f"},
    };
    table t = table_begin(out, columns, 4, "", "");
    for (size_t i = 0; i < plan->n_steps; i++) {
        const bench_step *step = &plan->steps[i];
        table_word(&t, labels[step->kind] ? labels[step->kind] : step->name);
        table_number(&t, step->median_us);
        if (i > 0 && i <= plan->token)
            table_number(&t, step->median_us - plan->steps[i - 1].median_us);
        else
            table_word(&t, "");
        table_number(&t, step->median_ratio);
        table_end_row(&t);
    }
    output_printf(out, "\n%.0f tokens per second on one processor\n", 1e6 / token->median_us);
    for (size_t i = 0; advise(plan, i, text, sizeof text); i++)
        output_printf(out, "* %s\n", text);
}

/* key is NULL for an item, whose stage has a name then. Nothing if there is no such step. */
static void print_times(output *out, const char *key, const bench_step *step)
{
    if (!step)
        return;
    json_open(out, key, '{');
    if (!key)
        json_string(out, "stage", step->name);
    json_float(out, "us", step->median_us);
    json_float(out, "ratio", step->median_ratio);
    output_char(out, '}');
}

static void print_json(const bench_plan *plan, output *out)
{
    const bench_rows *rows = &plan->rows;
    const bench_step *token = &plan->steps[plan->token];
    char text[256];
    json_open(out, NULL, '{');
    json_string(out, "logits", rows->name);
    json_count(out, "n_vocab", rows->n_vocab);
    json_string(out, "dtype", pluck_dtype_name(rows->dtype));
    json_count(out, "rows", rows->n);
    json_string(out, "isa", pluck_isa_name(setup_sampler_info(token->sampler).isa));
    json_count(out, "rounds", plan->n_rounds);
    print_times(out, "read", find_step(plan, STEP_READ));
    json_open(out, "stages", '[');
    for (size_t i = 1; i < plan->token; i++)
        print_times(out, NULL, &plan->steps[i]);
    output_char(out, ']');
    json_string(out, "draw", token->name);
    print_times(out, "token", find_step(plan, STEP_DRAW));
    print_times(out, "logprob", find_step(plan, STEP_LOGPROB));
    print_times(out, "top_k_first", find_step(plan, STEP_SWAPPED));
    json_float(out, "tokens_per_second", 1e6 / token->median_us);
    json_open(out, "advice", '[');
    for (size_t i = 0; advise(plan, i, text, sizeof text); i++)
        json_string(out, NULL, text);
    output_text(out, "]}\n");
}

static int run(const void *given)
{
    const bench_flags *flags = given;
    const char *path = flags->call.n_words > 0 ? flags->call.words[0] : NULL;
    bench_plan plan = {.flags = flags};
    pluck_config *config = NULL;
    pluck_isa isa = PLUCK_ISA_BEST;
    output out;
    int code = EXIT_DONE;
    if (!path && (flags->rows || flags->input.tensor || flags->input.dtype != 0))
        code = complain(EXIT_USAGE,
                        "--rows, --tensor and --dtype need a DUMP; made-up logits have only "
                        "--vocab-size");
    if (code == EXIT_DONE)
        code = setup_isa(flags->isa, &isa);
    if (code == EXIT_DONE)
        code = setup_config(&flags->config, &config);
    plan.config = config;
    if (code == EXIT_DONE)
        code = load_rows(&plan.rows, flags, path);
    if (code == EXIT_DONE)
        code = plan_steps(&plan, isa);
    if (code == EXIT_DONE)
        code = measure(&plan, (double)flags->seconds);
    if (code == EXIT_DONE)
        code = output_open(&out, flags->output);
    if (code == EXIT_DONE) {
        if (flags->format == FORMAT_JSON)
            print_json(&plan, &out);
        else
            print_text(&plan, &out);
        code = output_finish(&out, code);
    }
    for (size_t i = 0; i < plan.n_steps; i++)
        pluck_sampler_destroy(&plan.steps[i].sampler);
    free(plan.steps);
    free(plan.rows.data);
    pluck_config_destroy(&config);
    return code;
}

static const flag flags[] = {
    FLAG_TITLE("Measuring"),
    FLAG_GROUP(rows_flag, bench_flags, rows),
    {FLAG(COUNT, "seconds", bench_flags, seconds), .max = 3600,
     .help = "measure for about N seconds (default: 2)"},
    FLAG_GROUP(isa_flag, bench_flags, isa),
    FLAG_GROUP(format_flag, bench_flags, format),
    FLAG_GROUP(input_group, bench_flags, input),
    FLAG_GROUP(output_flag, bench_flags, output),
    FLAG_GROUP(config_group, bench_flags, config),
    FLAG_END,
};

const command bench_command = {
    .name = "bench",
    .synopsis = "[DUMP] [options]",
    .summary = "measure what each stage of a chain costs",
    .about = "Measures the processor time of one thread per token. Each line of the table is a "
             "chain of stages: reading the logits only, then with one stage more per line, then "
             "the whole chain that also computes the log-probability. Times are also given as "
             "multiples of one reading of the logits, which is measured in turn with the rest, so "
             "that these ratios hold on a busy machine. The rows are those of DUMP; without one "
             "they are synthetic, with --vocab-size values (default: 128256). The last lines say "
             "what would make the chain faster.",
    .usual = "temperature top-k top-p config seconds rows",
    COMMAND_FLAGS(flags, bench_flags),
    .defaults = &(const bench_flags){.seconds = 2},
    .examples = {"pluck bench --seconds 1",
                 "pluck bench logits.npy --config config.json --rows 0:8 --seconds 1",
                 "pluck bench --vocab-size 32000 --top-p 0.9 --top-k 40 --seconds 1 --format json"},
    COMMAND_WORDS(0, 1, "DUMP"),
    .words_are_inputs = true,
    .run = run,
};
