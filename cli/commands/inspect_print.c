/*
 * A table of stages and a table of tokens with bars. A bar is as long as the token's share of the
 * largest probability, in eighths of a column where the locale has the block characters.
 */
#include "bars.h"
#include "commands/inspect.h"
#include "progress.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIXED_COLUMNS (6 + 9 + 2 + OUTPUT_CELL_COLUMNS + 2 + 9 + 10 + 2)
#define BAR_MIN       8
#define BAR_MAX       60

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

static void print_bar(output *out, const style *s, double share)
{
    output_text(out, s->codes.bar);
    bar_write(out, s->has_blocks, s->bar_columns, share);
    output_text(out, s->codes.off);
}

void inspect_print_token(const inspection *in, output *out, pluck_token token, bool is_padded)
{
    size_t n = 0;
    const char *text = texts_get(&in->texts, token, &n);
    unsigned columns = output_cell(out, text, n, OUTPUT_CELL_COLUMNS);
    if (is_padded)
        output_printf(out, "%*s", (int)(OUTPUT_CELL_COLUMNS + 1 - columns), "");
}

static void print_stages(const inspection *in, output *out, const style *s)
{
    output_printf(out, "\n%s%-22s %10s %9s %9s %10s%s\n", s->codes.head, "stage", "survivors",
                  "mass", "entropy", "effective", s->codes.off);
    for (size_t i = 0; i < in->report->n_stages; i++) {
        const pluck_stage_report *r = in->report->stages[i];
        output_printf(out, "%-22s %10u %9.6f %9.4f %10.2f\n", r->stage, (unsigned)r->n_survivors,
                      r->mass, r->entropy, exp(r->entropy));
    }
}

static void print_top(const inspection *in, output *out, const style *s)
{
    bool has_text = in->texts.name != NULL;
    double cumulative = 0.0;
    output_printf(out, "\n%s%6s %8s  ", s->codes.head, "rank", "token");
    if (has_text)
        output_printf(out, "%-*s ", OUTPUT_CELL_COLUMNS + 1, "text");
    output_printf(out, "%9s %9s%s\n", "p", "sum", s->codes.off);
    for (uint32_t i = 0; i < in->n_top; i++) {
        double p = (double)in->top[i].prob;
        cumulative += p;
        output_printf(out, "%6u %8d  ", (unsigned)i + 1, (int)in->top[i].token);
        if (has_text) {
            inspect_print_token(in, out, in->top[i].token, true);
            output_char(out, ' ');
        }
        output_printf(out, "%9.6f %9.6f  ", p, cumulative);
        print_bar(out, s, p / (double)in->top[0].prob);
        output_char(out, '\n');
    }
    if (in->n_top < in->n_survivors)
        output_printf(out, "       and %u more\n", (unsigned)(in->n_survivors - in->n_top));
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
                  exp(in->entropy), (unsigned)in->n_survivors);
    if (in->flags->explain)
        explain_print_text(in, out, &s.codes);
    else
        print_stages(in, out, &s);
    if (in->n_top > 0)
        print_top(in, out, &s);
}

void inspect_json_member(output *out, const char *name, double value)
{
    output_printf(out, ",\"%s\":", name);
    output_float(out, value);
}

void inspect_print_json(const inspection *in, output *out)
{
    double cumulative = 0.0;
    output_printf(out, "{\"row\":%llu,\"n_vocab\":%u", (unsigned long long)in->row,
                  (unsigned)in->n_vocab);
    inspect_json_member(out, "entropy", in->entropy);
    inspect_json_member(out, "effective", exp(in->entropy));
    output_printf(out, ",\"survivors\":%u,\"stages\":[", (unsigned)in->n_survivors);
    for (size_t i = 0; i < in->report->n_stages; i++) {
        const pluck_stage_report *r = in->report->stages[i];
        output_printf(out, "%s{\"stage\":\"%s\",\"survivors\":%u", i > 0 ? "," : "", r->stage,
                      (unsigned)r->n_survivors);
        inspect_json_member(out, "mass", r->mass);
        inspect_json_member(out, "entropy", r->entropy);
        inspect_json_member(out, "effective", exp(r->entropy));
        if (in->flags->explain)
            explain_json_stage(r, out);
        output_char(out, '}');
    }
    output_text(out, "],\"top\":[");
    for (uint32_t i = 0; i < in->n_top; i++) {
        double p = (double)in->top[i].prob;
        cumulative += p;
        output_printf(out, "%s{\"token\":%d", i > 0 ? "," : "", (int)in->top[i].token);
        inspect_json_member(out, "prob", p);
        inspect_json_member(out, "logprob", log(p));
        inspect_json_member(out, "cumulative", cumulative);
        if (in->texts.name) {
            size_t n = 0;
            const char *text = texts_get(&in->texts, in->top[i].token, &n);
            output_text(out, ",\"text\":");
            output_json_string(out, text, n);
        }
        output_char(out, '}');
    }
    output_char(out, ']');
    if (in->flags->explain)
        explain_json_rest(in, out);
    output_text(out, "}\n");
}
