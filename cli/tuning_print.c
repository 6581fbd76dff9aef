/* The text format: the answer first, then tables, widest bars last. */
#include "bars.h"
#include "tuning.h"

#include <math.h>
#include <stdio.h>
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

static void print_line(output *out, const char *name, double before, double after)
{
    output_printf(out, "%-14s %12.6f %12.6f %+12.6f\n", name, before, after, after - before);
}

static void print_before_after(const tuning *t, output *out)
{
    const pluck_tune_stats *b = &t->stats[0], *a = &t->stats[1];
    char heading[32];
    snprintf(heading, sizeof heading, "T = %.4f", a->temperature);
    output_printf(out, "\n%-14s %12s %12s %12s\n", "mean", "T = 1", heading, "change");
    if (t->has_targets) {
        print_line(out, "nll", b->nll, a->nll);
        print_line(out, "perplexity", exp(b->nll), exp(a->nll));
        print_line(out, "ece", b->ece, a->ece);
        print_line(out, "brier", b->brier, a->brier);
        print_line(out, "accuracy", b->accuracy, a->accuracy);
    }
    print_line(out, "confidence", b->confidence, a->confidence);
    print_line(out, "entropy", b->entropy, a->entropy);
    print_line(out, "effective", b->effective, a->effective);
    if (!t->has_folds)
        return;
    output_printf(out,
                  "\ncross-validation: each half at the temperature of the other, %.4f and %.4f\n",
                  t->folds[1].temperature, t->folds[0].temperature);
    if (t->has_targets) {
        print_line(out, "nll", t->held_out[0].nll, t->held_out[1].nll);
        print_line(out, "brier", t->held_out[0].brier, t->held_out[1].brier);
    }
    print_line(out, "entropy", t->held_out[0].entropy, t->held_out[1].entropy);
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
    output_printf(out, "%-17s %8s %8s %8s %8s %8s %8s  accuracy\n", "confidence", "rows", "mean",
                  "correct", "rows", "mean", "correct");
    for (uint32_t b = 0; b < t->n_bins; b++) {
        if (before[b].rows + after[b].rows == 0)
            continue;
        bool is_left = t->options.binning.closed_left;
        char range[32];
        snprintf(range, sizeof range, "%c%.4f, %.4f%c", is_left ? '[' : '(', before[b].low,
                 before[b].high, is_left && b + 1 < t->n_bins ? ')' : ']');
        output_printf(out, "%-17s", t->options.binning.equal_mass ? "equal mass" : range);
        for (int k = 0; k < 2; k++) {
            const pluck_tune_bin *bin = k == 0 ? &before[b] : &after[b];
            if (bin->rows == 0)
                output_printf(out, " %8d %8s %8s", 0, "-", "-");
            else
                output_printf(out, " %8llu %8.4f %8.4f", (unsigned long long)bin->rows,
                              bin->confidence, bin->accuracy);
        }
        output_text(out, after[b].rows > 0 && after[b].accuracy > 0 ? "  " : "");
        bar_write(out, has_blocks, BAR_COLUMNS, after[b].accuracy);
        output_char(out, '\n');
    }
}

static void print_parts(const tuning *t, output *out, bool has_blocks)
{
    double largest = 0;
    for (size_t i = 0; i < t->n_parts; i++)
        largest = fmax(largest, t->has_targets ? t->parts[i].nll[1] : t->parts[i].entropy[1]);
    output_printf(out, "\n%-17s %8s %17s %17s %8s  %s\n", "position", "rows", "entropy T=1, fit",
                  t->has_targets ? "nll T=1, fit" : "", t->has_targets ? "correct" : "",
                  t->has_targets ? "nll" : "entropy");
    for (size_t i = 0; i < t->n_parts; i++) {
        const tuning_part *p = &t->parts[i];
        char range[48];
        snprintf(range, sizeof range, "%llu:%llu", (unsigned long long)p->first,
                 (unsigned long long)p->end);
        output_printf(out, "%-17s %8llu %8.4f %8.4f", range, (unsigned long long)p->rows,
                      p->entropy[0], p->entropy[1]);
        if (t->has_targets)
            output_printf(out, " %8.4f %8.4f %8.4f", p->nll[0], p->nll[1], p->accuracy);
        double value = t->has_targets ? p->nll[1] : p->entropy[1];
        output_text(out, "  ");
        bar_write(out, has_blocks, BAR_COLUMNS, largest > 0 ? value / largest : 0);
        output_char(out, '\n');
    }
}

static void print_cuts(const tuning *t, output *out)
{
    output_printf(out, "\n%-14s %9s %12s %13s %12s   (alone, at T = 1)\n", "truncation", "setting",
                  "target kept", "tokens kept", "mass kept");
    for (size_t i = 0; i < TUNING_CUTS; i++) {
        const pluck_tune_cut *c = &t->cuts[i];
        output_printf(out, "%-14s %9g ", pluck_tune_cut_name(c->kind), c->setting);
        if (t->has_targets)
            output_printf(out, "%12.4f", c->target_kept);
        else
            output_printf(out, "%12s", "-");
        output_printf(out, " %13.2f %12.6f\n", c->tokens_kept, c->mass_kept);
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
