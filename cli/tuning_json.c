/* One object. What is not known is null. */
#include "tuning.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void member(output *out, const char *name, double value)
{
    output_printf(out, ",\"%s\":", name);
    output_double(out, value);
}

static void before_after(output *out, const char *name, double before, double after)
{
    output_printf(out, ",\"%s_before\":", name);
    output_double(out, before);
    output_printf(out, ",\"%s_after\":", name);
    output_double(out, after);
}

static void write_fit(const tuning *t, output *out)
{
    static const char *const limits[] = {"inside", "at_min", "at_max"};
    const pluck_tune_fit *f = &t->fit;
    output_text(out, "{\"dump\":");
    output_json_string(out, t->name, strlen(t->name));
    output_printf(out, ",\"rows\":%llu,\"objective\":\"%s\"", (unsigned long long)f->rows,
                  pluck_tune_objective_name(t->options.objective));
    member(out, "value",
           t->options.objective >= PLUCK_TUNE_ENTROPY ? t->options.value : (double)NAN);
    member(out, "temperature", f->temperature);
    output_printf(out, ",\"limit\":\"%s\"", limits[f->limit]);
    member(out, "standard_error", f->standard_error);
    member(out, "interval_low", f->low);
    member(out, "interval_high", f->high);
    output_printf(out, ",\"passes\":%u", (unsigned)f->n_passes);
}

static void write_stats(const tuning *t, output *out)
{
    const pluck_tune_stats *b = &t->stats[0], *a = &t->stats[1];
    before_after(out, "nll", b->nll, a->nll);
    before_after(out, "perplexity", exp(b->nll), exp(a->nll));
    before_after(out, "ece", b->ece, a->ece);
    before_after(out, "brier", b->brier, a->brier);
    before_after(out, "entropy", b->entropy, a->entropy);
    before_after(out, "effective", b->effective, a->effective);
    before_after(out, "confidence", b->confidence, a->confidence);
    member(out, "accuracy", b->accuracy);
}

static void write_bins(const tuning *t, output *out)
{
    output_printf(out, ",\"binning\":{\"bins\":%u,\"edges\":\"%s\",\"equal_mass\":%s}",
                  (unsigned)t->n_bins, t->options.binning.closed_left ? "left" : "right",
                  t->options.binning.equal_mass ? "true" : "false");
    for (uint32_t i = 0; i < 2 * t->n_bins; i++) {
        const pluck_tune_bin *bin = &t->bins[i];
        if (i % t->n_bins == 0)
            output_printf(out, "%s,\"%s\":[", i > 0 ? "]" : "",
                          i > 0 ? "bins_after" : "bins_before");
        output_printf(out, "%s{\"rows\":%llu", i % t->n_bins > 0 ? "," : "",
                      (unsigned long long)bin->rows);
        member(out, "low", bin->low);
        member(out, "high", bin->high);
        member(out, "confidence", bin->rows > 0 ? bin->confidence : (double)NAN);
        member(out, "accuracy", bin->rows > 0 ? bin->accuracy : (double)NAN);
        output_char(out, '}');
    }
    output_char(out, ']');
}

static void write_parts(const tuning *t, output *out)
{
    output_text(out, ",\"positions\":[");
    for (size_t i = 0; i < t->n_parts; i++) {
        const tuning_part *p = &t->parts[i];
        output_printf(out, "%s{\"first\":%llu,\"end\":%llu,\"rows\":%llu", i > 0 ? "," : "",
                      (unsigned long long)p->first, (unsigned long long)p->end,
                      (unsigned long long)p->rows);
        before_after(out, "entropy", p->entropy[0], p->entropy[1]);
        before_after(out, "confidence", p->confidence[0], p->confidence[1]);
        before_after(out, "nll", p->nll[0], p->nll[1]);
        member(out, "accuracy", t->has_targets ? p->accuracy : (double)NAN);
        output_char(out, '}');
    }
    output_char(out, ']');
}

static void write_curve(const tuning *t, output *out)
{
    output_text(out, ",\"curve\":[");
    for (size_t i = 0; i < PLUCK_TUNE_GRID; i++) {
        output_printf(out, "%s{\"temperature\":", i > 0 ? "," : "");
        output_double(out, t->fit.grid_t[i]);
        member(out, "value", t->fit.grid_value[i]);
        output_char(out, '}');
    }
    output_char(out, ']');
}

static void write_folds(const tuning *t, output *out)
{
    output_text(out, ",\"cross_validation\":{\"temperature_even\":");
    output_double(out, t->folds[0].temperature);
    member(out, "temperature_odd", t->folds[1].temperature);
    before_after(out, "nll", t->held_out[0].nll, t->held_out[1].nll);
    before_after(out, "brier", t->held_out[0].brier, t->held_out[1].brier);
    before_after(out, "entropy", t->held_out[0].entropy, t->held_out[1].entropy);
    output_char(out, '}');
}

static void write_cuts(const tuning *t, output *out)
{
    output_text(out, ",\"truncation\":{\"keep\":");
    output_double(out, t->keep);
    output_text(out, ",\"needed\":");
    for (int k = 0; k < PLUCK_TUNE_N_CUT_KINDS && t->has_targets; k++) {
        output_printf(out, "%s\"%s\":", k == 0 ? "{" : ",",
                      pluck_tune_cut_name((pluck_tune_cut_kind)k));
        output_double(out, t->needed[k]);
    }
    output_text(out, t->has_targets ? "},\"curve\":[" : "null,\"curve\":[");
    for (size_t i = 0; i < TUNING_CUTS; i++) {
        const pluck_tune_cut *c = &t->cuts[i];
        output_printf(out, "%s{\"stage\":\"%s\"", i > 0 ? "," : "", pluck_tune_cut_name(c->kind));
        member(out, "setting", c->setting);
        member(out, "target_kept", c->target_kept);
        member(out, "tokens_kept", c->tokens_kept);
        member(out, "mass_kept", c->mass_kept);
        output_char(out, '}');
    }
    output_text(out, "]}");
}

/* The configuration's own JSON, on one line: its strings hold no line breaks. */
static void write_config(const tuning *t, output *out)
{
    output_text(out, ",\"config\":");
    if (!t->has_answer) {
        output_text(out, "null");
        return;
    }
    size_t n = 0;
    pluck_config_to_json(t->config, NULL, 0, &n, NULL);
    char *text = malloc(n + 1);
    if (!text || pluck_config_to_json(t->config, text, n + 1, &n, NULL) != PLUCK_OK) {
        out->error = ENOMEM;
        free(text);
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

static void write_warnings(const tuning *t, output *out)
{
    output_text(out, ",\"warnings\":[");
    for (size_t i = 0; i < t->n_warnings; i++) {
        output_text(out, i > 0 ? "," : "");
        output_json_string(out, t->warnings[i], strlen(t->warnings[i]));
    }
    output_char(out, ']');
}

void tuning_print_json(const tuning *t, output *out)
{
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
    write_warnings(t, out);
    output_text(out, "}\n");
}
