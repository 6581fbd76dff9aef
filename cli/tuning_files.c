/* The tables of --csv, in one table, and the charts of --svg. */
#include "chart.h"
#include "tuning.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void cell(output *out, double value)
{
    output_char(out, ',');
    if (isfinite(value))
        output_double(out, value);
}

static void line(output *out, const char *series, double x, double y, double rows)
{
    output_text(out, series);
    cell(out, x);
    cell(out, y);
    cell(out, rows);
}

void tuning_print_csv(const tuning *t, output *out)
{
    const char *objective = pluck_tune_objective_name(t->options.objective);
    output_text(out, "series,x,y,rows,tokens_kept,mass_kept\n");
    for (size_t i = 0; i < PLUCK_TUNE_GRID; i++) {
        line(out, objective, t->fit.grid_t[i], t->fit.grid_value[i], (double)t->fit.rows);
        output_text(out, ",,\n");
    }
    for (uint32_t i = 0; i < 2 * t->n_bins && t->has_targets; i++) {
        if (t->bins[i].rows == 0)
            continue;
        line(out, i < t->n_bins ? "reliability_before" : "reliability_after", t->bins[i].confidence,
             t->bins[i].accuracy, (double)t->bins[i].rows);
        output_text(out, ",,\n");
    }
    for (size_t i = 0; i < TUNING_CUTS && t->has_cuts; i++) {
        const pluck_tune_cut *c = &t->cuts[i];
        line(out, pluck_tune_cut_name(c->kind), c->setting, c->target_kept, (double)t->fit.rows);
        cell(out, c->tokens_kept);
        cell(out, c->mass_kept);
        output_char(out, '\n');
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
