/*
 * The work of tune: a fit, and for cross-validation one to each half of the rows; then one pass
 * that measures with all temperatures, then one for truncations.
 *
 * When the answer of tune should not be believed. What says so is printed at once and kept for the
 * JSON and the page of a report.
 */
#include "tuning.h"

#include "run_ranks.h"

#include "base/tally.h"

#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double cut_settings[PLUCK_TUNE_N_CUT_KINDS][TUNING_CUTS / PLUCK_TUNE_N_CUT_KINDS] = {
    {0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999},
    {0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001},
    {1, 5, 10, 20, 40, 100, 200, 1000},
    {0.5, 1, 1.5, 2, 2.5, 3, 4, 5},
};

static int parse_objective(tuning *t)
{
    const char *text = t->flags->objective ? t->flags->objective : "nll";
    size_t n = strcspn(text, "=");
    for (int i = 0; pluck_tune_objective_name((pluck_tune_objective)i); i++) {
        const char *name = pluck_tune_objective_name((pluck_tune_objective)i);
        if (strlen(name) != n || strncmp(name, text, n) != 0)
            continue;
        bool takes_value = i >= PLUCK_TUNE_ENTROPY;
        t->options.objective = (pluck_tune_objective)i;
        if (text[n] == '\0' && !takes_value)
            return EXIT_DONE;
        if (text[n] == '=' && takes_value) {
            if (parse_number(text + n + 1, -DBL_MAX, DBL_MAX, &t->options.value))
                return EXIT_DONE;
        }
    }
    return complain(EXIT_USAGE,
                    "--objective: '%s' is not an objective; expected nll, ece, brier, entropy=H, "
                    "perplexity=P or diversity=N%s",
                    text, text[n] == '=' ? number_hint(text + n + 1) : "");
}

static void show_progress(void *user, uint64_t done, uint64_t total)
{
    progress *bar = user;
    bar->total = total;
    progress_update(bar, done < total ? done : total);
}

static int open_data(tuning *t, const char *path)
{
    const tuning_flags *flags = t->flags;
    row_range range;
    pluck_isa isa = PLUCK_ISA_BEST;
    uint64_t first = 0, end = 0;
    int code = source_open(&flags->input, path, &t->src);
    if (code == EXIT_DONE)
        code = rows_read(flags->rows, &range);
    if (code == EXIT_DONE && t->src.info.streamed)
        code = complain(
            EXIT_DATA,
            "%s: can be read only once, because it is a pipe or a compressed array of an .npz "
            "file; this command reads rows several times: store it with pluck convert",
            t->name);
    if (code == EXIT_DONE)
        code = targets_open(&t->truth, flags->targets, &t->src, t->name);
    if (code == EXIT_DONE)
        code = rows_resolve(&range, t->src.info.n_rows, t->name, &first, &end);
    if (code == EXIT_DONE && first >= end)
        code = complain(EXIT_DATA, "%s: has no rows in the range that --rows names", t->name);
    if (code == EXIT_DONE)
        code = ranks_identify("name of a dump", t->name, strlen(t->name));
    if (code == EXIT_DONE)
        code = setup_isa(flags->isa, &isa);
    if (code != EXIT_DONE)
        return code;
    pluck_error err;
    pluck_status status = pluck_pool_create(&t->pool, (uint32_t)flags->threads, NULL, &err);
    if (status != PLUCK_OK)
        return complain_error(status, &err);
    t->has_targets = t->truth.is_known;
    t->data = (pluck_tune_data){.struct_size = sizeof(pluck_tune_data),
                                .dump = t->src.dump,
                                .targets = t->truth.file,
                                .first = first,
                                .end = end,
                                .parallel = pluck_pool_parallel(t->pool),
                                .isa = isa,
                                .ranks = ranks_get(),
                                .progress = show_progress,
                                .user = &t->bar};
    return EXIT_DONE;
}

int tuning_open(tuning *t, const tuning_flags *flags, const char *path)
{
    memset(t, 0, sizeof *t);
    t->flags = flags;
    t->name = source_name(path);
    t->fit = t->folds[0] = t->folds[1] = PLUCK_INIT(pluck_tune_fit);
    t->options = PLUCK_INIT(pluck_tune_options);
    t->options.binning = (pluck_tune_binning){.n = (uint32_t)flags->bins,
                                              .closed_left = flags->bin_edges == 1,
                                              .equal_mass = flags->equal_mass};
    t->options.n_bootstrap = (uint32_t)flags->bootstrap;
    int code = parse_objective(t);
    t->keep = flags->keep;
    if (code == EXIT_DONE)
        code = setup_config(&flags->config, &t->config);
    if (code == EXIT_DONE)
        code = setup_seed(t->config);
    if (code == EXIT_DONE)
        code = open_data(t, path);
    if (code == EXIT_DONE && flags->truncate > 0 && (!t->has_targets || flags->no_curves))
        code = complain(
            EXIT_USAGE,
            "--truncate needs targets (--targets FILE) and cannot be combined with --no-curves");
    if (code == EXIT_DONE) {
        t->options.seed = setup_config_info(t->config).seed;
        tuning_doubt_rows(t);
    }
    t->n_bins = flags->bins > 0 ? (uint32_t)flags->bins : 15;
    t->bins = calloc((flags->cross_validate ? 3 : 2) * (size_t)t->n_bins, sizeof *t->bins);
    return code == EXIT_DONE && !t->bins ? complain_memory() : code;
}

void tuning_close(tuning *t)
{
    progress_clear(&t->bar);
    targets_close(&t->truth);
    source_close(&t->src);
    pluck_pool_destroy(&t->pool);
    pluck_config_destroy(&t->config);
    free(t->bins);
    t->bins = NULL;
}

uint64_t tuning_part_first(const tuning *t, size_t n_parts, size_t i)
{
    return t->data.first + plk_share_first(t->data.end - t->data.first, i, n_parts);
}

static pluck_status fit_halves(tuning *t, pluck_error *err)
{
    pluck_status status = PLUCK_OK;
    pluck_tune_options options = t->options;
    options.n_bootstrap = 0;
    for (int h = 0; h < 2 && status == PLUCK_OK; h++) {
        options.half = h == 0 ? PLUCK_TUNE_EVEN : PLUCK_TUNE_ODD;
        status = pluck_tune_temperature(&t->data, &options, &t->folds[h], err);
    }
    t->has_folds = status == PLUCK_OK;
    return status;
}

/* Before and after, and with cross-validation at the temperature that was fitted to the half of
 * rows that a row does not belong to. */
static pluck_status measure(tuning *t, pluck_error *err)
{
    enum { PLAIN, FITTED, HELD_OUT, MOST };
    const double even[MOST] = {1, t->fit.temperature, t->folds[1].temperature};
    const double odd[MOST] = {1, t->fit.temperature, t->folds[0].temperature};
    size_t n = t->has_folds ? MOST : HELD_OUT;
    pluck_tune_stats stats[MOST], parts[TUNING_PARTS * MOST];
    uint64_t n_rows = t->data.end - t->data.first;
    t->n_parts = n_rows < TUNING_PARTS ? (size_t)n_rows : TUNING_PARTS;
    pluck_tune_request request = {.struct_size = sizeof request,
                                  .temperatures = even,
                                  .odd_temperatures = t->has_folds ? odd : NULL,
                                  .n = n,
                                  .binning = t->options.binning,
                                  .stats = stats,
                                  .bins = t->bins,
                                  .n_parts = t->n_parts,
                                  .parts = parts};
    pluck_status status = pluck_tune_measure(&t->data, &request, err);
    if (status != PLUCK_OK)
        return status;
    memcpy(t->stats, stats, sizeof t->stats);
    for (size_t i = 0; i < t->n_parts; i++)
        memcpy(t->parts[i], parts + i * n, sizeof t->parts[i]);
    if (t->has_folds) {
        t->held_out[0] = stats[PLAIN];
        t->held_out[1] = stats[HELD_OUT];
    }
    return PLUCK_OK;
}

static pluck_status find_cuts(tuning *t, pluck_error *err)
{
    size_t a_kind = TUNING_CUTS / PLUCK_TUNE_N_CUT_KINDS;
    for (size_t i = 0; i < TUNING_CUTS; i++)
        t->cuts[i] = (pluck_tune_cut){.kind = (pluck_tune_cut_kind)(i / a_kind),
                                      .setting = cut_settings[i / a_kind][i % a_kind]};
    t->has_cuts = true;
    return pluck_tune_cuts(&t->data, 1, t->cuts, TUNING_CUTS, t->keep,
                           t->has_targets ? t->needed : NULL, err);
}

/* The fitted temperature, and the truncation that was asked for, in the configuration. */
static pluck_status set_config(tuning *t, pluck_error *err)
{
    char value[32];
    snprintf(value, sizeof value, "%.6g", t->fit.temperature);
    pluck_status status = pluck_config_set_json(t->config, "temperature", value, err);
    if (status == PLUCK_OK && t->flags->truncate > 0) {
        pluck_tune_cut_kind kind = (pluck_tune_cut_kind)(t->flags->truncate - 1);
        snprintf(value, sizeof value, "%.9g", t->needed[kind]);
        status = pluck_config_set_json(t->config, pluck_tune_cut_name(kind), value, err);
    }
    return status;
}

int tuning_run(tuning *t)
{
    pluck_error err;
    progress_start(&t->bar, 1, NULL);
    pluck_status status = pluck_tune_temperature(&t->data, &t->options, &t->fit, &err);
    if (status == PLUCK_OK && t->flags->cross_validate)
        status = fit_halves(t, &err);
    if (status == PLUCK_OK)
        status = measure(t, &err);
    if (status == PLUCK_OK && !t->flags->no_curves)
        status = find_cuts(t, &err);
    if (status == PLUCK_OK)
        status = set_config(t, &err);
    progress_clear(&t->bar);
    if (status == PLUCK_OK) {
        tuning_doubt_answer(t);
        return EXIT_DONE;
    }
    return complain_about(t->name, status, &err);
}

enum { FEW_ROWS = 100 };

static void warn(tuning *t, const char *format, ...) PLK_PRINTF(2, 3);

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
    complain(EXIT_DONE, "warning: %s: %s", t->name, text);
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
        warn(t, "%s = %g cannot be reached: at T = %g, the %s that is tried, it is %.6g", name,
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
    if (has_no_error || (!has_aim && is_flat(&t->fit))) {
        /* Where all temperatures are equally good, an end of the range is not an answer. */
        t->has_answer = t->has_answer && t->fit.limit == PLUCK_TUNE_INSIDE;
        warn(t, "every temperature gives the same %s: the rows do not determine one",
             pluck_tune_objective_name(t->options.objective));
    } else {
        doubt_limit(t);
    }
    doubt_folds(t);
    doubt_truncation(t);
}
