/*
 * The text format: the answer first, then tables, widest bars last.
 *
 * One object. What is not known is null.
 *
 * The tables of --csv, in one table, and the charts of --svg.
 */
#include "base/scalar_math.h"
#include "tuning.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BAR_COLUMNS 24u

static void print_answer(const tuning *t, output *out)
{
    const pluck_tune_fit *f = &t->fit;
    output_text(out, "dump ");
    output_quoted(out, t->name, strlen(t->name));
    output_printf(out, ", %llu rows, objective %s", (unsigned long long)f->rows,
                  pluck_tune_objective_name(t->options.objective));
    if (t->options.objective >= PLUCK_TUNE_ENTROPY)
        output_printf(out, " = %g", t->options.value);
    output_printf(out, "\ntemperature %.4f", f->temperature);
    if (isfinite(f->low))
        output_printf(out, ", %g%% interval %.4f to %.4f", 95.0, f->low, f->high);
    if (isfinite(f->standard_error))
        output_printf(out, ", standard error %.4f", f->standard_error);
    if (f->limit != PLUCK_TUNE_INSIDE)
        output_printf(out, ", the %s that is tried: not an answer",
                      f->limit == PLUCK_TUNE_AT_MIN ? "lowest" : "highest");
    output_char(out, '\n');
}

static void print_line(table *t, const char *name, double before, double after)
{
    table_word(t, name);
    table_number(t, before);
    table_number(t, after);
    table_number(t, after - before);
    table_end_row(t);
}

static void print_before_after(const tuning *t, output *out)
{
    const pluck_tune_stats *b = &t->stats[0], *a = &t->stats[1];
    char heading[32];
    snprintf(heading, sizeof heading, "T = %.4f", a->temperature);
    const table_column columns[] = {
        {.title = "mean", .width = -14},
        {.title = "T = 1", .width = 12, .format = "%.6f"},
        {.title = heading, .width = 12, .format = "%.6f"},
        {.title = "change", .width = 12, .format = "%+.6f"},
    };
    output_char(out, '\n');
    table means = table_begin(out, columns, 4, "", "");
    if (t->has_targets) {
        print_line(&means, "nll", b->nll, a->nll);
        print_line(&means, "perplexity", plk_exp(b->nll), plk_exp(a->nll));
        print_line(&means, "ece", b->ece, a->ece);
        print_line(&means, "brier", b->brier, a->brier);
        print_line(&means, "accuracy", b->accuracy, a->accuracy);
    }
    print_line(&means, "confidence", b->confidence, a->confidence);
    print_line(&means, "entropy", b->entropy, a->entropy);
    print_line(&means, "effective", b->effective, a->effective);
    if (!t->has_folds)
        return;
    output_printf(out,
                  "\ncross-validation: each half at the temperature of the other, %.4f and %.4f\n",
                  t->folds[1].temperature, t->folds[0].temperature);
    if (t->has_targets) {
        print_line(&means, "nll", t->held_out[0].nll, t->held_out[1].nll);
        print_line(&means, "brier", t->held_out[0].brier, t->held_out[1].brier);
    }
    print_line(&means, "entropy", t->held_out[0].entropy, t->held_out[1].entropy);
}

static void print_curve(const tuning *t, output *out, bool has_blocks)
{
    output_printf(out, "\n%s for T = %g to %g\n  ", pluck_tune_objective_name(t->options.objective),
                  t->fit.grid_t[0], t->fit.grid_t[PLUCK_TUNE_GRID - 1]);
    spark_write(out, has_blocks, t->fit.grid_value, PLUCK_TUNE_GRID);
    size_t at = 0;
    while (at + 1 < PLUCK_TUNE_GRID && t->fit.grid_t[at + 1] <= t->fit.temperature * 1.1)
        at++;
    output_printf(out, "\n  %*s^ T = %.4f\n", (int)at, "", t->fit.temperature);
}

static void print_bins(const tuning *t, output *out, bool has_blocks)
{
    const pluck_tune_bin *before = t->bins, *after = t->bins + t->n_bins;
    output_printf(out, "\n%-17s %26s %26s\n", "", "T = 1", "fitted");
    static const table_column columns[] = {
        {.title = "confidence", .width = -17},
        {.title = "rows", .width = 8},
        {.title = "mean", .width = 8, .format = "%.4f"},
        {.title = "correct", .width = 8, .format = "%.4f"},
        {.title = "rows", .width = 8},
        {.title = "mean", .width = 8, .format = "%.4f"},
        {.title = "correct", .width = 8, .format = "%.4f"},
        {.title = "accuracy", .gap = 1},
    };
    table bins = table_begin(out, columns, 8, "", "");
    for (uint32_t b = 0; b < t->n_bins; b++) {
        if (before[b].rows + after[b].rows == 0)
            continue;
        bool is_left = t->options.binning.closed_left;
        char range[32];
        snprintf(range, sizeof range, "%c%.4f, %.4f%c", is_left ? '[' : '(', before[b].low,
                 before[b].high, is_left && b + 1 < t->n_bins ? ')' : ']');
        table_word(&bins, t->options.binning.equal_mass ? "equal mass" : range);
        for (int k = 0; k < 2; k++) {
            const pluck_tune_bin *bin = k == 0 ? &before[b] : &after[b];
            table_count(&bins, bin->rows);
            if (bin->rows == 0) {
                table_word(&bins, "-");
                table_word(&bins, "-");
            } else {
                table_number(&bins, bin->confidence);
                table_number(&bins, bin->accuracy);
            }
        }
        output_text(out, after[b].rows > 0 && after[b].accuracy > 0 ? "  " : "");
        bar_write(out, has_blocks, BAR_COLUMNS, after[b].accuracy);
        table_end_row(&bins);
    }
}

/* What the bars of a part show. */
static double value_of_part(const tuning *t, size_t i)
{
    return t->has_targets ? t->parts[i][1].nll : t->parts[i][1].entropy;
}

static void print_parts(const tuning *t, output *out, bool has_blocks)
{
    double largest = 0;
    for (size_t i = 0; i < t->n_parts; i++)
        largest = fmax(largest, value_of_part(t, i));
    output_printf(out, "\n%-17s %8s %17s %17s %8s  %s\n", "position", "rows", "entropy T=1, fit",
                  t->has_targets ? "nll T=1, fit" : "", t->has_targets ? "correct" : "",
                  t->has_targets ? "nll" : "entropy");
    for (size_t i = 0; i < t->n_parts; i++) {
        const pluck_tune_stats *p = t->parts[i];
        char range[48];
        snprintf(range, sizeof range, "%llu:%llu",
                 (unsigned long long)tuning_part_first(t, t->n_parts, i),
                 (unsigned long long)tuning_part_first(t, t->n_parts, i + 1));
        output_printf(out, "%-17s %8llu", range, (unsigned long long)p->rows);
        if (p->rows > 0) {
            output_printf(out, " %8.4f %8.4f", p[0].entropy, p[1].entropy);
            if (t->has_targets)
                output_printf(out, " %8.4f %8.4f %8.4f", p[0].nll, p[1].nll, p->accuracy);
            output_text(out, "  ");
            bar_write(out, has_blocks, BAR_COLUMNS,
                      largest > 0 ? value_of_part(t, i) / largest : 0);
        }
        output_char(out, '\n');
    }
}

static void print_cuts(const tuning *t, output *out)
{
    static const table_column columns[] = {
        {.title = "truncation", .width = -14},
        {.title = "setting", .width = 9},
        {.title = "target kept", .width = 12, .format = "%.4f"},
        {.title = "tokens kept", .width = 13, .format = "%.2f"},
        {.title = "mass kept", .width = 12, .format = "%.6f"},
        {.title = "(alone, at T = 1)", .gap = 2},
    };
    output_char(out, '\n');
    table cuts = table_begin(out, columns, 6, "", "");
    for (size_t i = 0; i < TUNING_CUTS; i++) {
        const pluck_tune_cut *c = &t->cuts[i];
        table_word(&cuts, pluck_tune_cut_name(c->kind));
        table_number(&cuts, c->setting);
        if (t->has_targets)
            table_number(&cuts, c->target_kept);
        else
            table_word(&cuts, "-");
        table_number(&cuts, c->tokens_kept);
        table_number(&cuts, c->mass_kept);
        table_end_row(&cuts);
    }
    if (!t->has_targets)
        return;
    output_printf(out, "\nTightest settings that keep the target in %g%% of the rows:\n ",
                  100 * t->keep);
    for (int k = 0; k < PLUCK_TUNE_N_CUT_KINDS; k++) {
        pluck_tune_cut_kind kind = (pluck_tune_cut_kind)k;
        output_printf(out, "%s %s ", k > 0 ? "," : "", pluck_tune_cut_name(kind));
        if (tuning_is_off(t, kind, t->needed[k]))
            output_text(out, "off");
        else
            output_printf(out, "%.6g", t->needed[k]);
    }
    output_char(out, '\n');
}

void tuning_print_text(const tuning *t, output *out)
{
    bool has_blocks = bars_have_blocks();
    output_wrap(out);
    print_answer(t, out);
    print_before_after(t, out);
    print_curve(t, out, has_blocks);
    if (t->has_targets)
        print_bins(t, out, has_blocks);
    print_parts(t, out, has_blocks);
    if (t->has_cuts)
        print_cuts(t, out);
}

static void before_after(output *out, const char *name, double before, double after)
{
    char key[64];
    snprintf(key, sizeof key, "%s_before", name);
    json_double(out, key, before);
    snprintf(key, sizeof key, "%s_after", name);
    json_double(out, key, after);
}

static void write_fit(const tuning *t, output *out)
{
    static const char *const limits[] = {"inside", "at_min", "at_max"};
    const pluck_tune_fit *f = &t->fit;
    bool has_aim = t->options.objective >= PLUCK_TUNE_ENTROPY;
    json_string(out, "dump", t->name);
    json_count(out, "rows", f->rows);
    json_string(out, "objective", pluck_tune_objective_name(t->options.objective));
    json_double(out, "value", has_aim ? t->options.value : (double)NAN);
    json_double(out, "temperature", f->temperature);
    json_string(out, "limit", limits[f->limit]);
    json_double(out, "standard_error", f->standard_error);
    json_double(out, "interval_low", f->low);
    json_double(out, "interval_high", f->high);
    json_count(out, "passes", f->n_passes);
}

static void write_stats(const tuning *t, output *out)
{
    const pluck_tune_stats *b = &t->stats[0], *a = &t->stats[1];
    before_after(out, "nll", b->nll, a->nll);
    before_after(out, "perplexity", plk_exp(b->nll), plk_exp(a->nll));
    before_after(out, "ece", b->ece, a->ece);
    before_after(out, "brier", b->brier, a->brier);
    before_after(out, "entropy", b->entropy, a->entropy);
    before_after(out, "effective", b->effective, a->effective);
    before_after(out, "confidence", b->confidence, a->confidence);
    json_double(out, "accuracy", b->accuracy);
}

static void write_bins(const tuning *t, output *out)
{
    json_open(out, "binning", '{');
    json_count(out, "bins", t->n_bins);
    json_string(out, "edges", t->options.binning.closed_left ? "left" : "right");
    json_bool(out, "equal_mass", t->options.binning.equal_mass);
    output_char(out, '}');
    for (uint32_t i = 0; i < 2 * t->n_bins; i++) {
        const pluck_tune_bin *bin = &t->bins[i];
        if (i == t->n_bins)
            output_char(out, ']');
        if (i % t->n_bins == 0)
            json_open(out, i > 0 ? "bins_after" : "bins_before", '[');
        json_open(out, NULL, '{');
        json_count(out, "rows", bin->rows);
        json_double(out, "low", bin->low);
        json_double(out, "high", bin->high);
        json_double(out, "confidence", bin->rows > 0 ? bin->confidence : (double)NAN);
        json_double(out, "accuracy", bin->rows > 0 ? bin->accuracy : (double)NAN);
        output_char(out, '}');
    }
    output_char(out, ']');
}

static void write_parts(const tuning *t, output *out)
{
    json_open(out, "positions", '[');
    for (size_t i = 0; i < t->n_parts; i++) {
        const pluck_tune_stats *p = t->parts[i];
        json_open(out, NULL, '{');
        json_count(out, "first", tuning_part_first(t, t->n_parts, i));
        json_count(out, "end", tuning_part_first(t, t->n_parts, i + 1));
        json_count(out, "rows", p->rows);
        before_after(out, "entropy", p[0].entropy, p[1].entropy);
        before_after(out, "confidence", p[0].confidence, p[1].confidence);
        before_after(out, "nll", p[0].nll, p[1].nll);
        json_double(out, "accuracy", p->accuracy);
        output_char(out, '}');
    }
    output_char(out, ']');
}

static void write_curve(const tuning *t, output *out)
{
    json_open(out, "curve", '[');
    for (size_t i = 0; i < PLUCK_TUNE_GRID; i++) {
        json_open(out, NULL, '{');
        json_double(out, "temperature", t->fit.grid_t[i]);
        json_double(out, "value", t->fit.grid_value[i]);
        output_char(out, '}');
    }
    output_char(out, ']');
}

static void write_folds(const tuning *t, output *out)
{
    json_open(out, "cross_validation", '{');
    json_double(out, "temperature_even", t->folds[0].temperature);
    json_double(out, "temperature_odd", t->folds[1].temperature);
    before_after(out, "nll", t->held_out[0].nll, t->held_out[1].nll);
    before_after(out, "brier", t->held_out[0].brier, t->held_out[1].brier);
    before_after(out, "entropy", t->held_out[0].entropy, t->held_out[1].entropy);
    output_char(out, '}');
}

static void write_cuts(const tuning *t, output *out)
{
    json_open(out, "truncation", '{');
    json_double(out, "keep", t->keep);
    if (t->has_targets)
        json_open(out, "needed", '{');
    else
        json_string(out, "needed", NULL);
    for (int k = 0; k < PLUCK_TUNE_N_CUT_KINDS && t->has_targets; k++)
        json_double(out, pluck_tune_cut_name((pluck_tune_cut_kind)k), t->needed[k]);
    output_text(out, t->has_targets ? "}" : "");
    json_open(out, "curve", '[');
    for (size_t i = 0; i < TUNING_CUTS; i++) {
        const pluck_tune_cut *c = &t->cuts[i];
        json_open(out, NULL, '{');
        json_string(out, "stage", pluck_tune_cut_name(c->kind));
        json_double(out, "setting", c->setting);
        json_double(out, "target_kept", c->target_kept);
        json_double(out, "tokens_kept", c->tokens_kept);
        json_double(out, "mass_kept", c->mass_kept);
        output_char(out, '}');
    }
    output_text(out, "]}");
}

/* The configuration's own JSON, on one line: its strings hold no line breaks. */
static void write_config(const tuning *t, output *out)
{
    json_key(out, "config");
    if (!t->has_answer) {
        output_text(out, "null");
        return;
    }
    size_t n = 0;
    char *text = setup_config_json(t->config, &n);
    if (!text) {
        out->error = ENOMEM;
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if (text[i] != '\n')
            output_char(out, text[i]);
        else
            while (text[i + 1] == ' ')
                i++;
    }
    free(text);
}

void tuning_print_json(const tuning *t, output *out)
{
    json_open(out, NULL, '{');
    write_fit(t, out);
    write_stats(t, out);
    write_bins(t, out);
    write_parts(t, out);
    write_curve(t, out);
    if (t->has_folds)
        write_folds(t, out);
    if (t->has_cuts)
        write_cuts(t, out);
    write_config(t, out);
    json_open(out, "warnings", '[');
    for (size_t i = 0; i < t->n_warnings; i++)
        json_string(out, NULL, t->warnings[i]);
    output_text(out, "]}\n");
}

/* What is not finite is left out. */
static void cell(table *t, double value)
{
    if (isfinite(value))
        table_number(t, value);
    else
        table_word(t, "");
}

static void line(table *t, const char *series, double x, double y, uint64_t rows,
                 const pluck_tune_cut *cut)
{
    table_word(t, series);
    cell(t, x);
    cell(t, y);
    cell(t, (double)rows);
    cell(t, cut ? cut->tokens_kept : (double)NAN);
    cell(t, cut ? cut->mass_kept : (double)NAN);
    table_end_row(t);
}

void tuning_print_csv(const tuning *t, output *out)
{
    static const table_column columns[] = {
        {.title = "series"},
        {.title = "x", .is_double = true},
        {.title = "y", .is_double = true},
        {.title = "rows", .is_double = true},
        {.title = "tokens_kept", .is_double = true},
        {.title = "mass_kept", .is_double = true},
    };
    table lines = table_begin_csv(out, columns, 6);
    for (size_t i = 0; i < PLUCK_TUNE_GRID; i++)
        line(&lines, pluck_tune_objective_name(t->options.objective), t->fit.grid_t[i],
             t->fit.grid_value[i], t->fit.rows, NULL);
    for (uint32_t i = 0; i < 2 * t->n_bins && t->has_targets; i++)
        if (t->bins[i].rows > 0)
            line(&lines, i < t->n_bins ? "reliability_before" : "reliability_after",
                 t->bins[i].confidence, t->bins[i].accuracy, t->bins[i].rows, NULL);
    for (size_t i = 0; i < TUNING_CUTS && t->has_cuts; i++) {
        const pluck_tune_cut *c = &t->cuts[i];
        line(&lines, pluck_tune_cut_name(c->kind), c->setting, c->target_kept, t->fit.rows, c);
    }
}

const char *tuning_fitted_name(const tuning *t, char text[TUNING_NAME_BYTES])
{
    if (t->fit.limit == PLUCK_TUNE_INSIDE)
        return "fitted";
    snprintf(text, TUNING_NAME_BYTES, "T = %g, an end", t->fit.temperature);
    return text;
}

chart tuning_chart_of_curve(const tuning *t)
{
    const char *name = pluck_tune_objective_name(t->options.objective);
    chart c = {.title = "Objective against temperature",
               .x_label = "temperature T",
               .y_label = name,
               .is_log_x = true,
               .has_mark = t->fit.limit == PLUCK_TUNE_INSIDE,
               .mark_x = t->fit.temperature,
               .n_series = 1};
    c.series[0] = (chart_series){.x = t->fit.grid_t,
                                 .y = t->fit.grid_value,
                                 .n = PLUCK_TUNE_GRID,
                                 .has_line = true,
                                 .has_dots = true};
    snprintf(c.mark_text, sizeof c.mark_text, "T = %.4f", t->fit.temperature);
    /* A flat start or a steep end would hide the minimum: from a third to three times it. */
    if (t->options.objective < PLUCK_TUNE_ENTROPY && c.has_mark) {
        c.x_low = fmax(t->fit.grid_t[0], t->fit.temperature / 3);
        c.x_high = fmin(t->fit.grid_t[PLUCK_TUNE_GRID - 1], t->fit.temperature * 3);
    }
    return c;
}

chart tuning_chart_of_reliability(const tuning *t, tuning_points *points)
{
    chart c = {.title = "Reliability",
               .x_label = "confidence",
               .y_label = "accuracy",
               .x_high = 1,
               .y_high = 1,
               .has_diagonal = true,
               .n_series = 2};
    for (uint32_t i = 0; i < 2 * t->n_bins; i++) {
        points->x[i] = t->bins[i].confidence;
        points->y[i] = t->bins[i].rows > 0 ? t->bins[i].accuracy : (double)NAN;
        points->rows[i] = t->bins[i].rows;
    }
    for (uint32_t k = 0; k < 2; k++)
        c.series[k] = (chart_series){.name = k == 0 ? "T = 1" : tuning_fitted_name(t, points->name),
                                     .x = points->x + k * t->n_bins,
                                     .y = points->y + k * t->n_bins,
                                     .rows = points->rows + k * t->n_bins,
                                     .n = t->n_bins,
                                     .has_line = true,
                                     .has_dots = true};
    return c;
}

void tuning_print_svg(const tuning *t, output *out)
{
    tuning_points *points = malloc(sizeof *points);
    if (!points) {
        out->error = ENOMEM;
        return;
    }
    const chart charts[2] = {tuning_chart_of_curve(t), tuning_chart_of_reliability(t, points)};
    chart_write_file(out, charts, t->has_targets ? 2 : 1);
    free(points);
}
