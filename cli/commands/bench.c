/*
 * pluck bench: times of the user's own chain on the user's own logits, as a table or as JSON.
 *
 * What the times suggest. Each rule looks at one thing and says something only if it was measured
 * to matter; the thresholds keep noise from talking.
 */
#include "commands/bench.h"

#include <stdio.h>
#include <string.h>

static const char *step_label(const bench_step *step)
{
    switch (step->kind) {
    case STEP_READ:
        return "reading the logits";
    case STEP_LOGPROB:
        return "  with logprob";
    case STEP_SWAPPED:
        return "  with top_k first";
    default:
        return step->name;
    }
}

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
        table_word(&t, step_label(step));
        table_number(&t, step->median_us);
        if (i > 0 && i <= plan->token)
            table_number(&t, step->median_us - plan->steps[i - 1].median_us);
        else
            table_word(&t, "");
        table_number(&t, step->median_ratio);
        table_end_row(&t);
    }
    output_printf(out, "\n%.0f tokens per second on one processor\n", 1e6 / token->median_us);
    for (size_t i = 0; bench_advice(plan, i, text, sizeof text); i++)
        output_printf(out, "* %s\n", text);
}

static void print_times(output *out, const bench_step *step)
{
    output_text(out, "\"us\":");
    output_float(out, step->median_us);
    output_text(out, ",\"ratio\":");
    output_float(out, step->median_ratio);
}

/* "key":{…} if the plan has such a step. */
static void print_member(output *out, const bench_plan *plan, const char *key, step_kind kind)
{
    for (size_t i = 0; i < plan->n_steps; i++) {
        if (plan->steps[i].kind == kind) {
            output_printf(out, ",\"%s\":{", key);
            print_times(out, &plan->steps[i]);
            output_char(out, '}');
        }
    }
}

static void print_json(const bench_plan *plan, output *out)
{
    const bench_rows *rows = &plan->rows;
    const bench_step *token = &plan->steps[plan->token];
    char text[256];
    output_text(out, "{\"logits\":");
    output_json_string(out, rows->name, strlen(rows->name));
    output_printf(out,
                  ",\"n_vocab\":%u,\"dtype\":\"%s\",\"rows\":%zu,\"isa\":\"%s\",\"rounds\":%zu",
                  (unsigned)rows->n_vocab, pluck_dtype_name(rows->dtype), rows->n,
                  pluck_isa_name(setup_sampler_info(token->sampler).isa), plan->n_rounds);
    print_member(out, plan, "read", STEP_READ);
    output_text(out, ",\"stages\":[");
    for (size_t i = 1; i < plan->token; i++) {
        output_printf(out, "%s{\"stage\":\"%s\",", i > 1 ? "," : "", plan->steps[i].name);
        print_times(out, &plan->steps[i]);
        output_char(out, '}');
    }
    output_printf(out, "],\"draw\":\"%s\"", token->name);
    print_member(out, plan, "token", STEP_DRAW);
    print_member(out, plan, "logprob", STEP_LOGPROB);
    print_member(out, plan, "top_k_first", STEP_SWAPPED);
    output_text(out, ",\"tokens_per_second\":");
    output_float(out, 1e6 / token->median_us);
    output_text(out, ",\"advice\":[");
    for (size_t i = 0; bench_advice(plan, i, text, sizeof text); i++) {
        output_text(out, i > 0 ? "," : "");
        output_json_string(out, text, strlen(text));
    }
    output_text(out, "]}\n");
}

static int print(const bench_plan *plan)
{
    const bench_flags *flags = plan->flags;
    output out;
    int code = output_open(&out, flags->output);
    if (code != EXIT_DONE)
        return code;
    if (flags->format == FORMAT_JSON)
        print_json(plan, &out);
    else
        print_text(plan, &out);
    return output_close(&out, true);
}

static int run(const void *given)
{
    const bench_flags *flags = given;
    const char *path = flags->call.n_words > 0 ? flags->call.words[0] : NULL;
    bench_plan plan = {.flags = flags};
    pluck_config *config = NULL;
    pluck_isa isa = PLUCK_ISA_BEST;
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
        code = bench_rows_load(&plan.rows, flags, path);
    if (code == EXIT_DONE)
        code = bench_plan_steps(&plan, isa);
    if (code == EXIT_DONE)
        code = bench_measure(&plan, (double)flags->seconds);
    if (code == EXIT_DONE)
        code = print(&plan);
    bench_plan_free(&plan);
    pluck_config_destroy(&config);
    return code;
}

static const flag flags[] = {
    FLAG_TITLE("Measuring"),
    FLAG_GROUP(rows_flag, bench_flags, rows),
    {.name = "seconds",
     .kind = FLAG_COUNT,
     .value = "N",
     .at = offsetof(bench_flags, seconds),
     .max = 3600,
     .help = "measure for about N seconds (default: 2)"},
    FLAG_GROUP(isa_flag, bench_flags, isa),
    FLAG_GROUP(format_flag, bench_flags, format),
    FLAG_GROUP(input_group, bench_flags, input),
    FLAG_GROUP(output_flag, bench_flags, output),
    FLAG_GROUP(config_group, bench_flags, config),
    FLAG_END,
};

static const char *const examples[] = {
    "pluck bench --seconds 1", "pluck bench logits.npy --config config.json --rows 0:8 --seconds 1",
    "pluck bench --vocab-size 32000 --top-p 0.9 --top-k 40 --seconds 1 --format json", NULL};

const command bench_command = {
    .name = "bench",
    .synopsis = "[DUMP] [options]",
    .summary = "measure what each stage of a chain costs",
    .about = "Measures the time per token after each stage, of the whole chain, and of the chain "
             "with the log-probability. The rows are those of DUMP; without one they are "
             "synthetic, with --vocab-size values (default: 128256). Each line is the cost of a "
             "token with the stages up to there. The unit is one reading of the logits, measured "
             "in turn with the rest, so that ratios hold on a busy machine; times are processor "
             "time of one thread. Says what would make it faster.",
    .usual = "temperature top-k top-p config seconds rows",
    .flags = flags,
    .flags_bytes = sizeof(bench_flags),
    .defaults = &(const bench_flags){.seconds = 2},
    .examples = examples,
    .max_words = 1,
    .word_name = "DUMP",
    .words_are_inputs = true,
    .run = run,
};

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
             "top_k as the first stage would make it %.1f us instead of %.1f: what comes before it "
             "now looks at the whole vocabulary (the distribution changes a little)",
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
                 "; after a top_k or min_p it would see few tokens (the distribution changes a "
                 "little)");
    else if (strcmp(cheap->name, "min_p") == 0)
        snprintf(text, capacity,
                 "; with min_p before it, it would see few tokens (the distribution changes a "
                 "little)");
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
    snprintf(
        text, capacity,
        "a logprob costs %.1f us more, for a normaliser over all tokens that are left; leave it "
        "out where nobody reads it",
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

bool bench_advice(const bench_plan *plan, size_t index, char *text, size_t capacity)
{
    static bool (*const rules[])(const bench_plan *, char *, size_t) = {
        advise_isa, advise_swap, advise_costliest, advise_logprob, advise_nothing};
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (rules[i](plan, text, capacity) && index-- == 0)
            return true;
    return false;
}
