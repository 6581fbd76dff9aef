/* The notations of a comparison. JSON has no infinity and no NaN: both are null there, and the
 * number of infinite rows is told; CSV has "inf", and nothing for what is not defined. */
#include "base/scalar_math.h"
#include "commands/compare.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name; /* in JSON */
    const char *title;
} titles[N_LISTED] = {
    {"kl_ab", "KL(A || B), nats"},
    {"kl_ba", "KL(B || A), nats"},
    {"total_variation", "total variation"},
    {"rank_correlation", "rank correlation"},
    {"target_change", "change of p(target)"},
    {"kept_a", "mass of A kept by B"},
    {"kept_b", "mass of B kept by A"},
};

/* A divergence that is infinite in every row says nothing more; the kept mass says how much was
 * cut off, and is 1 throughout where nothing was. */
static bool is_worth_a_line(const comparison *all, measure m)
{
    const series *s = &all->measures[m];
    if (m == MEASURE_KEPT_A || m == MEASURE_KEPT_B)
        return all->measures[m == MEASURE_KEPT_A ? MEASURE_KL_AB : MEASURE_KL_BA].n_infinite > 0;
    return s->n > s->n_infinite;
}

static double percent_of(uint64_t part, uint64_t whole)
{
    return whole > 0 ? 100.0 * (double)part / (double)whole : 0.0;
}

static void print_measures(const comparison *all, output *out)
{
    static const table_column columns[] = {
        {.title = "", .width = -20},
        {.title = "mean", .width = 11, .format = "%.4g"},
        {.title = "+-", .width = 10, .format = "%.3g"},
        {.title = "min", .width = 10, .format = "%.4g"},
        {.title = "1%", .width = 10, .format = "%.4g"},
        {.title = "5%", .width = 10, .format = "%.4g"},
        {.title = "median", .width = 10, .format = "%.4g"},
        {.title = "95%", .width = 10, .format = "%.4g"},
        {.title = "99%", .width = 10, .format = "%.4g"},
        {.title = "99.9%", .width = 10, .format = "%.4g"},
        {.title = "max", .width = 10, .format = "%.4g"},
    };
    output_char(out, '\n');
    table t = table_begin(out, columns, sizeof columns / sizeof *columns, "", "");
    for (measure i = 0; i < N_LISTED; i++) {
        const series *s = &all->measures[i];
        if (!is_worth_a_line(all, i))
            continue;
        table_word(&t, titles[i].title);
        table_number(&t, s->mean);
        if (isfinite(s->error))
            table_number(&t, s->error);
        else
            table_word(&t, "");
        for (size_t k = 0; k < N_QUANTILES; k++)
            table_number(&t, s->quantiles[k]);
        table_end_row(&t);
    }
}

static void print_perplexity(output *out, const char *title, const series *nll)
{
    output_printf(out, "%-20s %11.4f", title, plk_exp(nll->mean));
    if (nll->n_infinite > 0)
        output_printf(out, ": %llu of %llu targets are banned", (unsigned long long)nll->n_infinite,
                      (unsigned long long)nll->n);
    else if (isfinite(nll->error))
        output_printf(out, " +- %.4f", plk_exp(nll->mean) * nll->error);
    output_char(out, '\n');
}

static void print_targets(const comparison *all, output *out)
{
    const series *a = &all->measures[MEASURE_NLL_A];
    const series *change = &all->measures[MEASURE_NLL_CHANGE];
    output_printf(out, "\n%-20s %11llu rows\n", "with a target", (unsigned long long)a->n);
    print_perplexity(out, "perplexity A", a);
    print_perplexity(out, "perplexity B", &all->measures[MEASURE_NLL_B]);
    if (isfinite(change->mean)) {
        print_perplexity(out, "B / A", change);
        output_printf(out, "%-20s %11.6f", "ln(B / A)", change->mean);
    }
    if (isfinite(change->error))
        output_printf(out, " +- %.6f", change->error);
    if (isfinite(all->nll_correlation))
        output_printf(out, "\n%-20s %11.6f", "correlation of ln p", all->nll_correlation);
    output_printf(out, "%s%-20s %11.6f\n", isfinite(change->mean) ? "\n" : "", "RMS change of p",
                  all->measures[MEASURE_TARGET].root_mean_square);
}

static void print_token(const comparison *all, output *out, pluck_token token, double p)
{
    size_t n = 0;
    output_printf(out, "  %8d %6.4f", (int)token, p);
    if (all->texts.name) {
        const char *text = texts_get(&all->texts, token, &n);
        output_char(out, ' ');
        (void)output_cell(out, text, n, OUTPUT_CELL_COLUMNS);
    }
}

static void print_worst(const comparison *all, output *out)
{
    bool has_kl = is_worth_a_line(all, MEASURE_KL_AB);
    const table_column columns[] = {
        {.title = "row", .width = 8},
        {.title = has_kl ? "KL(A || B)" : "A kept by B", .width = 12, .format = "%.4g"},
        {.title = "variation", .width = 10, .format = "%.4g"},
        {.title = "the most probable token of A, of B and the target, each with its probability",
         .gap = 1},
    };
    output_char(out, '\n');
    table t = table_begin(out, columns, 4, "", "");
    for (size_t i = 0; i < all->n_worst; i++) {
        compared_row w = comparison_row(all, i);
        table_count(&t, w.row);
        table_number(&t, has_kl ? w.kl_ab : w.kept_a);
        table_number(&t, w.total_variation);
        print_token(all, out, (pluck_token)w.top_a, w.top_prob_a);
        print_token(all, out, (pluck_token)w.top_b, w.top_prob_b);
        if (w.target != PLUCK_NO_TOKEN) {
            print_token(all, out, (pluck_token)w.target, plk_exp(-w.nll_a));
            output_printf(out, " -> %.4f", plk_exp(-w.nll_b));
        }
        table_end_row(&t);
    }
}

void compare_print_text(const comparison *all, output *out)
{
    output_wrap(out);
    output_text(out, "A ");
    output_quoted(out, all->name_a, strlen(all->name_a));
    output_text(out, ", B ");
    output_quoted(out, all->name_b, strlen(all->name_b));
    output_printf(out, ", %llu rows, %u tokens\n", (unsigned long long)all->rows.n,
                  (unsigned)all->n_vocab);
    print_measures(all, out);
    output_printf(out, "\n%-20s %10.3f%% of rows\n", "same top token",
                  percent_of(all->n_same_top, all->rows.n));
    for (measure m = MEASURE_KL_AB; m <= MEASURE_KL_BA; m++)
        if (all->measures[m].n_infinite > 0)
            output_printf(out,
                          "%s is infinite in %llu rows: tokens that %s allows are banned in %s\n",
                          m == MEASURE_KL_AB ? "KL(A || B)" : "KL(B || A)",
                          (unsigned long long)all->measures[m].n_infinite,
                          m == MEASURE_KL_AB ? "A" : "B", m == MEASURE_KL_AB ? "B" : "A");
    if (all->measures[MEASURE_NLL_A].n > 0)
        print_targets(all, out);
    if (all->n_worst > 0)
        print_worst(all, out);
}

static void json_series(output *out, const char *name, const series *s)
{
    static const char *const names[N_QUANTILES] = {"min", "p1",  "p5",   "median",
                                                   "p95", "p99", "p999", "max"};
    json_open(out, name, '{');
    json_count(out, "rows", s->n);
    json_count(out, "infinite_rows", s->n_infinite);
    json_double(out, "mean", s->mean);
    json_double(out, "error", s->error);
    for (size_t i = 0; i < N_QUANTILES; i++)
        json_double(out, names[i], s->quantiles[i]);
    output_char(out, '}');
}

static void json_worst(const comparison *all, output *out)
{
    json_open(out, "worst", '[');
    for (size_t i = 0; i < all->n_worst; i++) {
        compared_row w = comparison_row(all, i);
        json_open(out, NULL, '{');
        json_count(out, "row", w.row);
        json_double(out, "kl_ab", w.kl_ab);
        json_double(out, "kl_ba", w.kl_ba);
        json_double(out, "total_variation", w.total_variation);
        json_token(out, "top_a", (pluck_token)w.top_a);
        json_token(out, "top_b", (pluck_token)w.top_b);
        texts_json(&all->texts, out, "text_a", (pluck_token)w.top_a);
        texts_json(&all->texts, out, "text_b", (pluck_token)w.top_b);
        json_double(out, "prob_a", w.top_prob_a);
        json_double(out, "prob_b", w.top_prob_b);
        if (w.target != PLUCK_NO_TOKEN) {
            json_token(out, "target", (pluck_token)w.target);
            texts_json(&all->texts, out, "text", (pluck_token)w.target);
            json_double(out, "nll_a", w.nll_a);
            json_double(out, "nll_b", w.nll_b);
        }
        output_char(out, '}');
    }
    output_char(out, ']');
}

static void json_mean(output *out, const char *name, const char *error_name, const series *s)
{
    json_double(out, name, s->mean);
    json_double(out, error_name, s->error);
}

void compare_print_json(const comparison *all, output *out)
{
    const series *nll_a = &all->measures[MEASURE_NLL_A], *nll_b = &all->measures[MEASURE_NLL_B];
    json_open(out, NULL, '{');
    json_string(out, "a", all->name_a);
    json_string(out, "b", all->name_b);
    json_count(out, "rows", all->rows.n);
    json_count(out, "n_vocab", all->n_vocab);
    json_double(out, "same_top", percent_of(all->n_same_top, all->rows.n) / 100.0);
    for (size_t i = 0; i < MEASURE_KEPT_A; i++)
        if (all->measures[i].n > 0)
            json_series(out, titles[i].name, &all->measures[i]);
    if (nll_a->n > 0) {
        json_count(out, "targets", nll_a->n);
        json_mean(out, "nll_a", "nll_a_error", nll_a);
        json_mean(out, "nll_b", "nll_b_error", nll_b);
        json_mean(out, "nll_change", "nll_change_error", &all->measures[MEASURE_NLL_CHANGE]);
        json_double(out, "nll_correlation", all->nll_correlation);
        json_double(out, "perplexity_a", plk_exp(nll_a->mean));
        json_double(out, "perplexity_b", plk_exp(nll_b->mean));
        json_double(out, "target_change_rms", all->measures[MEASURE_TARGET].root_mean_square);
    }
    if (all->n_worst > 0)
        json_worst(all, out);
    for (size_t i = MEASURE_KEPT_A; i <= MEASURE_KEPT_B; i++)
        json_series(out, titles[i].name, &all->measures[i]);
    json_open(out, "warnings", '[');
    if (all->warning[0] != '\0')
        json_string(out, NULL, all->warning);
    output_text(out, "]}\n");
}

static const table_column csv_columns[] = {
    {.title = "row"},
    {.title = "kl_ab", .is_double = true},
    {.title = "kl_ba", .is_double = true},
    {.title = "total_variation", .is_double = true},
    {.title = "rank_correlation", .is_double = true},
    {.title = "entropy_a", .is_double = true},
    {.title = "entropy_b", .is_double = true},
    {.title = "top_a"},
    {.title = "top_b"},
    {.title = "target"},
    {.title = "nll_a", .is_double = true},
    {.title = "nll_b", .is_double = true},
    {.title = "text_a"},
    {.title = "text_b"},
    {.title = "text"},
};
enum { N_CSV_COLUMNS = sizeof csv_columns / sizeof *csv_columns, N_CSV_TEXTS = 3 };

table compare_print_csv_heading(const comparison *all, output *out)
{
    return table_begin_csv(out, csv_columns, N_CSV_COLUMNS - (all->texts.name ? 0 : N_CSV_TEXTS));
}

void compare_print_csv_row(const comparison *all, table *t, uint64_t row, pluck_token target,
                           const pluck_comparison *c)
{
    const double values[] = {c->kl_ab,     c->kl_ba,    c->total_variation, c->rank_correlation,
                             c->entropy_a, c->entropy_b};
    const pluck_token tokens[N_CSV_TEXTS] = {c->top_a, c->top_b, target};
    table_count(t, row);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        table_number(t, values[i]);
    table_token(t, c->top_a);
    table_token(t, c->top_b);
    if (target != PLUCK_NO_TOKEN)
        table_token(t, target);
    else
        table_word(t, "");
    table_number(t, c->nll_a);
    table_number(t, c->nll_b);
    for (size_t i = 0; i < N_CSV_TEXTS; i++)
        texts_cell(&all->texts, t, tokens[i], 0);
    table_end_row(t);
}
