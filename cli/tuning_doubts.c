/*
 * When the answer of tune should not be believed. What says so is printed at once and kept for the
 * JSON and the page of a report.
 */
#include "tuning.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { FEW_ROWS = 100 };

static void warn(tuning *t, const char *format, ...) CLI_PRINTF(2, 3);

static void warn(tuning *t, const char *format, ...)
{
    char *text = t->warnings[t->n_warnings];
    if (t->n_warnings == TUNING_WARNINGS)
        return;
    va_list values;
    va_start(values, format);
    vsnprintf(text, DOUBT_BYTES, format, values);
    va_end(values);
    t->n_warnings++;
    complain(t->flags->call.who, EXIT_DONE, "warning: %s: %s", t->name, text);
}

void tuning_doubt_rows(tuning *t)
{
    char text[DOUBT_BYTES];
    if (doubt_rows(&t->src, t->config, t->data.first, t->data.end, text))
        warn(t, "%s", text);
}

/* Whether every temperature of the grid gives the same value, up to rounding. */
static bool is_flat(const pluck_tune_fit *f)
{
    double least = f->grid_value[0], most = f->grid_value[0];
    for (size_t i = 1; i < PLUCK_TUNE_GRID; i++) {
        least = fmin(least, f->grid_value[i]);
        most = fmax(most, f->grid_value[i]);
    }
    return most - least <= 1e-12 * fmax(fabs(most), fabs(least));
}

/* Where every temperature is as good as another, the answer is no answer if it is an end. */
static void doubt_flat(tuning *t)
{
    t->has_answer = t->has_answer && t->fit.limit == PLUCK_TUNE_INSIDE;
    warn(t, "every temperature gives the same %s: the rows do not determine one",
         pluck_tune_objective_name(t->options.objective));
}

static void doubt_limit(tuning *t)
{
    const pluck_tune_fit *f = &t->fit;
    const char *name = pluck_tune_objective_name(t->options.objective);
    double low = f->grid_t[0], high = f->grid_t[PLUCK_TUNE_GRID - 1];
    bool is_low = f->limit == PLUCK_TUNE_AT_MIN;
    if (f->limit == PLUCK_TUNE_INSIDE)
        return;
    t->has_answer = false;
    if (t->options.objective >= PLUCK_TUNE_ENTROPY)
        warn(t, "%s = %g cannot be met: at T = %g, the %s that is tried, it is %.6g", name,
             t->options.value, f->temperature, is_low ? "lowest" : "highest",
             f->grid_value[is_low ? 0 : PLUCK_TUNE_GRID - 1]);
    else if (is_low)
        warn(t,
             "no temperature from %g to %g is best: below %g, the lowest that is tried, %s would "
             "be less still, because the most probable token nearly always followed",
             low, high, low, name);
    else
        warn(t,
             "no temperature from %g to %g is best: above %g, the highest that is tried, %s would "
             "be less still, because these logits say less about the targets than chance",
             low, high, high, name);
}

static void doubt_folds(tuning *t)
{
    static const char *const halves[2] = {"even", "odd"};
    for (int h = 0; h < 2 && t->has_folds; h++)
        if (t->folds[h].limit != PLUCK_TUNE_INSIDE)
            warn(t, "cross-validation: the fit to the %s rows ends at T = %g, the %s that is tried",
                 halves[h], t->folds[h].temperature,
                 t->folds[h].limit == PLUCK_TUNE_AT_MIN ? "lowest" : "highest");
}

bool tuning_is_off(const tuning *t, pluck_tune_cut_kind kind, double setting)
{
    switch (kind) {
    case PLUCK_TUNE_TOP_P:
        return setting >= 1;
    case PLUCK_TUNE_TOP_K:
        return setting < 1 || setting >= t->src.info.n_vocab;
    default:
        return setting <= 0;
    }
}

static void doubt_truncation(tuning *t)
{
    pluck_tune_cut_kind kind = (pluck_tune_cut_kind)(t->flags->truncate - 1);
    if (t->flags->truncate == 0 || !tuning_is_off(t, kind, t->needed[kind]))
        return;
    t->has_answer = false;
    warn(t, "no %s keeps the target in %g%% of the rows unless it keeps every token",
         pluck_tune_cut_name(kind), 100 * t->keep);
}

void tuning_doubt_answer(tuning *t)
{
    const pluck_tune_stats *plain = &t->stats[0];
    target_facts facts = {.rows = plain->rows,
                          .n_vocab = t->src.info.n_vocab,
                          .nll = plain->nll,
                          .confidence = plain->confidence,
                          .accuracy = plain->accuracy};
    char text[DOUBT_BYTES];
    t->has_answer = true;
    if (t->has_targets && doubt_targets(&facts, text)) {
        doubt_add_shift(&t->src, &t->truth, t->data.first, t->data.end, text);
        warn(t, "%s", text);
    }
    if (t->fit.rows < FEW_ROWS)
        warn(t, "%llu rows are few: below %d a fitted temperature says little",
             (unsigned long long)t->fit.rows, FEW_ROWS);
    bool has_aim = t->options.objective >= PLUCK_TUNE_ENTROPY;
    bool has_no_error = t->fit.limit == PLUCK_TUNE_INSIDE &&
                        t->options.objective != PLUCK_TUNE_ECE && isnan(t->fit.standard_error);
    if (has_no_error || (!has_aim && is_flat(&t->fit)))
        doubt_flat(t);
    else
        doubt_limit(t);
    doubt_folds(t);
    doubt_truncation(t);
}
