/*
 * A table of stages and a table of tokens with bars. A bar is as long as the token's share of the
 * largest probability, in eighths of a column where the locale has the block characters.
 *
 * The table of --csv and the chart of --svg.
 *
 * pluck inspect --explain for people: one line per stage, and under it what it did, one fact per
 * line.
 *
 * pluck inspect --explain --format json. The keys are the names of <pluck/trace.h>, which says what
 * they mean. Missing numbers are written as null.
 */
#include "base/scalar_math.h"
#include "commands/inspect.h"
#include "help.h"
#include "setup.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIXED_COLUMNS  (6 + 9 + 2 + OUTPUT_CELL_COLUMNS + 2 + 9 + 10 + 2)
#define BAR_MIN        8
#define BAR_MAX        60
#define SHOWN_WORDS    64
#define SHOWN_EDITS    8 /* of each stage */
#define WORDS_PER_LINE 4
#define INDENT         "    "

/* Terminal codes, or "". */
typedef struct paint {
    const char *head, *bar, *off;
} paint;

typedef struct style {
    paint codes;
    bool has_blocks;
    unsigned bar_columns;
} style;

static style find_style(const inspection *in, const output *out)
{
    const char *no_color = getenv("NO_COLOR");
    bool is_colored =
        in->flags->color == COLOR_ALWAYS ||
        (in->flags->color == COLOR_AUTO && out->is_terminal && (!no_color || *no_color == '\0'));
    unsigned width = output_width(out, 80);
    style s = {{"", "", ""}, bars_have_blocks(), 0};
    if (is_colored)
        s.codes = (paint){"\033[1m", "\033[36m", "\033[0m"};
    if (width >= FIXED_COLUMNS + BAR_MIN)
        s.bar_columns = width - FIXED_COLUMNS < BAR_MAX ? width - FIXED_COLUMNS : BAR_MAX;
    return s;
}

static void print_top(const inspection *in, output *out, const style *s)
{
    bool has_text = in->texts.name != NULL;
    table_column columns[] = {
        {.title = "rank", .width = 6},
        {.title = "token", .width = 8},
        {.title = "text", .width = -(OUTPUT_CELL_COLUMNS + 1), .gap = 1},
        {.title = "p", .width = 9, .format = "%.6f", .gap = !has_text},
        {.title = "sum", .width = 9, .format = "%.6f"},
    };
    if (!has_text)
        memmove(&columns[2], &columns[3], 2 * sizeof *columns);
    double cumulative = 0.0;
    output_char(out, '\n');
    table t = table_begin(out, columns, has_text ? 5 : 4, s->codes.head, s->codes.off);
    for (uint32_t i = 0; i < in->n_top; i++) {
        double p = (double)in->top[i].prob;
        cumulative += p;
        table_count(&t, (uint64_t)i + 1);
        table_token(&t, in->top[i].token);
        texts_cell(&in->texts, &t, in->top[i].token, OUTPUT_CELL_COLUMNS);
        table_number(&t, p);
        table_number(&t, cumulative);
        output_text(out, "  ");
        output_text(out, s->codes.bar);
        bar_write(out, s->has_blocks, s->bar_columns, p / (double)in->top[0].prob);
        output_text(out, s->codes.off);
        table_end_row(&t);
    }
    if (in->n_top < in->n_survivors)
        output_printf(out, "       and %u more\n", (unsigned)(in->n_survivors - in->n_top));
}

/* "17 "text"" */
static void print_token(const inspection *in, output *out, pluck_token token)
{
    output_printf(out, "%d", (int)token);
    if (!in->texts.name)
        return;
    size_t n = 0;
    const char *text = texts_get(&in->texts, token, &n);
    output_char(out, ' ');
    (void)output_cell(out, text, n, OUTPUT_CELL_COLUMNS);
}

static void print_place(const inspection *in, output *out, const char *what,
                        const pluck_place *place)
{
    output_printf(out, INDENT "%s: l %.6g, p %.6g, token ", what, place->logit, place->prob);
    print_token(in, out, place->token);
    output_char(out, '\n');
}

static void print_bound(const inspection *in, output *out, const pluck_stage_report *r)
{
    switch (r->bound) {
    case PLUCK_BOUND_FORMULA:
        output_printf(out, INDENT "threshold: l >= %.6g, which is p >= %.6g\n", r->bound_logit,
                      r->bound_prob);
        break;
    case PLUCK_BOUND_BEST_KEPT:
        print_place(in, out, "best kept", &r->best_kept);
        break;
    case PLUCK_BOUND_BAND:
        print_place(in, out, "best kept", &r->best_kept);
        print_place(in, out, "worst kept", &r->worst_kept);
        break;
    default:
        break;
    }
    bool is_prefix = r->bound == PLUCK_BOUND_FORMULA || r->bound == PLUCK_BOUND_WORST_KEPT;
    if (is_prefix && r->n_removed > 0)
        print_place(in, out, "worst kept", &r->worst_kept);
    if (r->bound != PLUCK_BOUND_NONE && r->n_removed > 0)
        print_place(in, out, "best removed", &r->best_removed);
}

static void print_edits(const inspection *in, output *out, const pluck_stage_report *r)
{
    uint32_t n = r->n_listed < SHOWN_EDITS ? r->n_listed : SHOWN_EDITS;
    for (uint32_t i = 0; i < n; i++) {
        const pluck_trace_edit *e = &r->edits[i];
        output_printf(out, INDENT "l %.6g -> %.6g: token ", e->before, e->after);
        print_token(in, out, e->token);
        output_char(out, '\n');
    }
    if (n < r->n_edits)
        output_printf(out, INDENT "and %u more tokens\n", (unsigned)(r->n_edits - n));
}

static void print_words(output *out, const uint64_t *words, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        bool starts_line = n > 1 && i % WORDS_PER_LINE == 0;
        output_printf(out, "%s0x%016llx", starts_line ? "\n" INDENT INDENT : " ",
                      (unsigned long long)words[i]);
    }
    output_char(out, '\n');
}

/* Lists may be long: how many entries they have. */
static void print_param(output *out, const pluck_param *p, const void *value)
{
    bool is_list = p->type == PLUCK_PARAM_BIAS_MAP || p->type == PLUCK_PARAM_TOKENS ||
                   p->type == PLUCK_PARAM_SEQUENCES;
    output_printf(out, is_list ? "%s (entries) = " : "%s = ", p->name);
    switch (p->type) {
    case PLUCK_PARAM_INTEGER:
        output_printf(out, "%lld", (long long)*(const int64_t *)value);
        break;
    case PLUCK_PARAM_BOOLEAN:
        output_text(out, *(const bool *)value ? "true" : "false");
        break;
    case PLUCK_PARAM_BIAS_MAP:
        output_printf(out, "%zu", ((const pluck_bias_map *)value)->n);
        break;
    case PLUCK_PARAM_TOKENS:
        output_printf(out, "%zu", ((const pluck_token_set *)value)->n);
        break;
    case PLUCK_PARAM_SEQUENCES:
        output_printf(out, "%zu", ((const pluck_sequences *)value)->n);
        break;
    default:
        output_printf(out, "%.6g", *(const double *)value);
    }
}

static void print_facts(const inspection *in, output *out, const pluck_stage_report *r)
{
    size_t n_params = r->info ? r->info->n_params : 0;
    for (size_t i = 0; i < n_params; i++) {
        const pluck_param *p = &r->info->params[i];
        output_text(out, i == 0 ? INDENT : ", ");
        print_param(out, p, (const char *)r->params + p->offset_bytes);
        output_text(out, i + 1 == n_params ? "\n" : "");
    }
    for (size_t i = 0; i < r->n_values; i++)
        output_printf(out, "%s%s = %.6g%s", i == 0 ? INDENT "worked with " : ", ",
                      r->values[i].name, r->values[i].value, i + 1 == r->n_values ? "\n" : "");
    if (r->n_words > 0) {
        output_printf(out, INDENT "random numbers (%zu):", r->n_words);
        print_words(out, r->words, r->n_words < PLUCK_TRACE_WORDS ? r->n_words : PLUCK_TRACE_WORDS);
    }
    print_bound(in, out, r);
    print_edits(in, out, r);
}

/* With --explain, each in bold and followed by its facts. */
static void print_stages(const inspection *in, output *out, const paint *codes)
{
    bool is_explained = in->flags->explain;
    table_column columns[] = {
        {.title = "stage", .width = -22},
        {.title = "survivors", .width = 10},
        {.title = "removed", .width = 10},
        {.title = "mass", .width = 9, .format = "%.6f"},
        {.title = "entropy", .width = 9, .format = "%.4f"},
        {.title = "effective", .width = 10, .format = "%.2f"},
    };
    if (!is_explained)
        memmove(&columns[2], &columns[3], 3 * sizeof *columns);
    output_char(out, '\n');
    table t = table_begin(out, columns, is_explained ? 6 : 5, codes->head, codes->off);
    for (size_t i = 0; i < in->report->n_stages; i++) {
        const pluck_stage_report *r = in->report->stages[i];
        output_text(out, is_explained ? codes->head : "");
        table_word(&t, r->stage);
        table_count(&t, r->n_survivors);
        if (is_explained)
            table_count(&t, r->n_removed);
        table_number(&t, r->mass);
        table_number(&t, r->entropy);
        table_number(&t, plk_exp(r->entropy));
        output_text(out, is_explained ? codes->off : "");
        table_end_row(&t);
        if (is_explained)
            print_facts(in, out, r);
    }
}

static void print_draw(const inspection *in, output *out, const paint *codes)
{
    const pluck_trace_draw *d = in->report->draw;
    pluck_sampler_info info = setup_sampler_info(in->sampler);
    output_printf(out, "\n%sdraw%s of seed %llu, stream %llu, position %llu: token ", codes->head,
                  codes->off, (unsigned long long)info.seed, (unsigned long long)info.stream,
                  (unsigned long long)info.position);
    print_token(in, out, d->drawn.token);
    output_printf(out, "\n" INDENT "p %.6g, logprob %.6g\n", d->high - d->low,
                  d->drawn.logprob == 0.0f ? 0.0 : (double)d->drawn.logprob);
    output_printf(out, INDENT "interval [%.9f, %.9f) of the probabilities laid out by token id\n",
                  d->low, d->high);
    if (d->n_words == 0) {
        output_text(out, INDENT "without random numbers\n");
        return;
    }
    output_printf(out, INDENT "drawn at %.9f, %s\n", d->at,
                  d->inverse ? "the last random number as a fraction"
                             : "what the random numbers amount to (rejection)");
    size_t n_shown = d->n_words < SHOWN_WORDS ? d->n_words : SHOWN_WORDS;
    output_printf(out, INDENT "random numbers (%zu):", d->n_words);
    print_words(out, d->words, n_shown);
    if (n_shown < d->n_words)
        output_printf(out, INDENT INDENT "and %zu more\n", d->n_words - n_shown);
}

static void print_verdict(const inspection *in, output *out, const pluck_token_fate *f)
{
    if (f->removed_by == PLUCK_TRACE_SURVIVED) {
        output_text(out, " survived\n");
        return;
    }
    if (f->removed_by == 0) {
        output_text(out, " came as -inf\n");
        return;
    }
    const pluck_stage_report *r =
        f->removed_by < in->report->n_stages ? in->report->stages[f->removed_by] : NULL;
    output_printf(out, " removed by %s\n", r->stage);
    if (r->bound == PLUCK_BOUND_NONE)
        output_text(out, INDENT "banned by its id, whatever its logit\n");
    else if (f->lacked_logit > 0)
        output_printf(out, INDENT "lacked %.6g in its logit, %.6g in probability\n",
                      f->lacked_logit, f->lacked_prob);
    else if (f->lacked_logit < 0)
        output_printf(out, INDENT "too probable: by %.6g in its logit, %.6g in probability\n",
                      -f->lacked_logit, -f->lacked_prob);
    else
        output_text(out, INDENT "tied with the last token kept: lower tokens win\n");
}

static void print_fate(const inspection *in, output *out, const pluck_token_fate *f,
                       const paint *codes)
{
    output_printf(out, "\n%stoken%s ", codes->head, codes->off);
    print_token(in, out, f->token);
    print_verdict(in, out, f);
    if (f->removed_by == 0)
        return;
    static const table_column columns[] = {
        {.title = "after", .width = -22},
        {.title = "logit", .width = 12, .format = "%.6g"},
        {.title = "p", .width = 12, .format = "%.6g"},
        {.title = "rank", .width = 8},
        {.title = "above", .width = 12, .format = "%.6g"},
    };
    output_text(out, INDENT);
    table t = table_begin(out, columns, 5, "", "");
    for (size_t i = 0; i < in->report->n_stages && i <= f->removed_by; i++) {
        const pluck_token_step *s = &f->steps[i];
        output_text(out, INDENT);
        table_word(&t, in->report->stages[i]->stage);
        if (i == f->removed_by) {
            table_word(&t, "removed");
        } else {
            table_number(&t, s->logit);
            table_number(&t, s->prob);
            table_count(&t, s->rank);
            table_number(&t, s->above);
        }
        table_end_row(&t);
    }
}

static void json_place(output *out, const char *name, const pluck_place *place)
{
    if (place->token < 0) {
        json_string(out, name, NULL);
        return;
    }
    json_open(out, name, '{');
    json_token(out, "token", place->token);
    json_float(out, "logit", place->logit);
    json_float(out, "prob", place->prob);
    output_char(out, '}');
}

static void json_words(output *out, const uint64_t *words, size_t n, size_t n_listed)
{
    json_count(out, "n_words", n);
    json_open(out, "words", '[');
    for (size_t i = 0; i < n && i < n_listed; i++)
        json_word64(out, NULL, words[i]);
    output_char(out, ']');
}

static void explain_json_stage(const pluck_stage_report *r, output *out)
{
    static const char *const bounds[] = {"none", "formula", "worst_kept", "best_kept", "band"};
    json_key(out, "params");
    if (r->info)
        print_params(out, r->info, r->params, true);
    else
        output_text(out, "{}");
    json_count(out, "removed", r->n_removed);
    json_float(out, "entropy_before", r->entropy_before);
    json_float(out, "temperature", r->temperature);
    json_string(out, "bound", bounds[r->bound]);
    json_float(out, "bound_logit", r->bound_logit);
    json_float(out, "bound_prob", r->bound_prob);
    json_place(out, "worst_kept", &r->worst_kept);
    json_place(out, "best_kept", &r->best_kept);
    json_place(out, "best_removed", &r->best_removed);
    json_open(out, "values", '{');
    for (size_t i = 0; i < r->n_values; i++)
        json_float(out, r->values[i].name, r->values[i].value);
    output_char(out, '}');
    json_count(out, "n_edits", r->n_edits);
    json_open(out, "edits", '[');
    for (uint32_t i = 0; i < r->n_listed; i++) {
        json_open(out, NULL, '{');
        json_token(out, "token", r->edits[i].token);
        json_float(out, "before", r->edits[i].before);
        json_float(out, "after", r->edits[i].after);
        output_char(out, '}');
    }
    output_char(out, ']');
    json_words(out, r->words, r->n_words, PLUCK_TRACE_WORDS);
}

static void json_draw(const inspection *in, output *out)
{
    const pluck_trace_draw *d = in->report->draw;
    pluck_sampler_info info = setup_sampler_info(in->sampler);
    json_open(out, "draw", '{');
    json_count(out, "seed", info.seed);
    json_count(out, "stream", info.stream);
    json_count(out, "position", info.position);
    json_token(out, "token", d->drawn.token);
    json_float(out, "logprob", (double)d->drawn.logprob);
    json_double(out, "low", d->low);
    json_double(out, "high", d->high);
    json_double(out, "at", d->at);
    json_bool(out, "inverse", d->inverse);
    json_words(out, d->words, d->n_words, PLUCK_TRACE_DRAW_WORDS);
    output_char(out, '}');
}

static void json_fate(const inspection *in, output *out, const pluck_token_fate *f)
{
    json_open(out, NULL, '{');
    json_token(out, "token", f->token);
    texts_json(&in->texts, out, "text", f->token);
    bool is_removed = f->removed_by < in->report->n_stages;
    json_string(out, "removed_by", is_removed ? in->report->stages[f->removed_by]->stage : NULL);
    json_float(out, "lacked_logit", f->lacked_logit);
    json_float(out, "lacked_prob", f->lacked_prob);
    json_open(out, "steps", '[');
    for (size_t i = 0; i < in->report->n_stages && i < f->removed_by; i++) {
        const pluck_token_step *s = &f->steps[i];
        json_open(out, NULL, '{');
        json_string(out, "stage", in->report->stages[i]->stage);
        json_float(out, "logit", s->logit);
        json_float(out, "prob", s->prob);
        json_count(out, "rank", s->rank);
        json_float(out, "above", s->above);
        output_char(out, '}');
    }
    output_text(out, "]}");
}

void inspect_print_text(const inspection *in, output *out)
{
    style s = find_style(in, out);
    output_wrap(out);
    output_text(out, "dump ");
    output_quoted(out, in->name, strlen(in->name));
    output_printf(out, ", row %llu, %u tokens\n", (unsigned long long)in->row,
                  (unsigned)in->n_vocab);
    output_printf(out, "entropy %.4f nats, effective %.2f tokens, survivors %u\n", in->entropy,
                  plk_exp(in->entropy), (unsigned)in->n_survivors);
    print_stages(in, out, &s.codes);
    if (in->flags->explain)
        print_draw(in, out, &s.codes);
    for (size_t i = 0; in->flags->explain && i < in->report->n_tokens; i++)
        print_fate(in, out, in->report->tokens[i], &s.codes);
    if (in->n_top > 0)
        print_top(in, out, &s);
}

void inspect_print_json(const inspection *in, output *out)
{
    double cumulative = 0.0;
    json_open(out, NULL, '{');
    json_count(out, "row", in->row);
    json_count(out, "n_vocab", in->n_vocab);
    json_float(out, "entropy", in->entropy);
    json_float(out, "effective", plk_exp(in->entropy));
    json_count(out, "survivors", in->n_survivors);
    json_open(out, "stages", '[');
    for (size_t i = 0; i < in->report->n_stages; i++) {
        const pluck_stage_report *r = in->report->stages[i];
        json_open(out, NULL, '{');
        json_string(out, "stage", r->stage);
        json_count(out, "survivors", r->n_survivors);
        json_float(out, "mass", r->mass);
        json_float(out, "entropy", r->entropy);
        json_float(out, "effective", plk_exp(r->entropy));
        if (in->flags->explain)
            explain_json_stage(r, out);
        output_char(out, '}');
    }
    output_char(out, ']');
    json_open(out, "top", '[');
    for (uint32_t i = 0; i < in->n_top; i++) {
        double p = (double)in->top[i].prob;
        cumulative += p;
        json_open(out, NULL, '{');
        json_token(out, "token", in->top[i].token);
        json_float(out, "prob", p);
        json_float(out, "logprob", plk_log(p));
        json_float(out, "cumulative", cumulative);
        texts_json(&in->texts, out, "text", in->top[i].token);
        output_char(out, '}');
    }
    output_char(out, ']');
    if (in->flags->explain) {
        json_draw(in, out);
        json_open(out, "tokens", '[');
        for (size_t i = 0; i < in->report->n_tokens; i++)
            json_fate(in, out, in->report->tokens[i]);
        output_char(out, ']');
    }
    output_text(out, "}\n");
}

void inspect_print_csv(const inspection *in, output *out)
{
    double cumulative = 0;
    static const table_column columns[] = {{.title = "rank"},       {.title = "token"},
                                           {.title = "prob"},       {.title = "logprob"},
                                           {.title = "cumulative"}, {.title = "text"}};
    table t = table_begin_csv(out, columns, in->texts.name ? 6 : 5);
    for (uint32_t i = 0; i < in->n_top; i++) {
        double p = (double)in->top[i].prob;
        cumulative += p;
        table_count(&t, (uint64_t)i + 1);
        table_token(&t, in->top[i].token);
        table_number(&t, p);
        table_number(&t, plk_log(p));
        table_number(&t, cumulative);
        texts_cell(&in->texts, &t, in->top[i].token, 0);
        table_end_row(&t);
    }
}

void inspect_print_svg(const inspection *in, output *out)
{
    double *ranks = calloc((size_t)in->n_top + 1, 2 * sizeof *ranks);
    if (!ranks) {
        out->error = out->error != 0 ? out->error : ENOMEM;
        return;
    }
    double *probs = ranks + in->n_top;
    for (uint32_t i = 0; i < in->n_top; i++) {
        ranks[i] = i + 1;
        probs[i] = (double)in->top[i].prob;
    }
    chart c = {.title = "Probability by rank",
               .x_label = "rank of the token",
               .y_label = "probability",
               .is_log_x = true,
               .is_log_y = true,
               .series = {{.x = ranks,
                           .y = probs,
                           .n = in->n_top,
                           .has_line = true,
                           .has_dots = in->n_top <= 60}},
               .n_series = 1};
    chart_write_file(out, &c, 1);
    free(ranks);
}
