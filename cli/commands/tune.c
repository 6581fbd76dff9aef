/*
 * pluck tune: the temperature that fits a dump, and what it and truncations would do. Files are
 * written last, one after the other, so that an interrupted run leaves none.
 */
#include "run_files.h"
#include "tuning.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef struct tune_flags {
    tuning_flags tuning;
    const char *output, *svg, *csv;
    int format;
} tune_flags;

enum { RESULTS, CONFIG, SVG, CSV, N_OUTPUTS };

/* A configuration is written only with an answer. */
static int open_files(const tuning *t, const tune_flags *flags, output outs[N_OUTPUTS])
{
    const char *config = t->has_answer ? flags->output : NULL;
    const char *const paths[N_OUTPUTS] = {NULL, config, flags->svg, flags->csv};
    int code = EXIT_DONE;
    if (flags->output && !config)
        complain(EXIT_DONE, "%s is not written, because no temperature fits", flags->output);
    for (size_t i = CONFIG; i < N_OUTPUTS && code == EXIT_DONE; i++)
        if (paths[i])
            code = output_open(&outs[i], paths[i]);
    return code;
}

static void print(const tuning *t, const tune_flags *flags, output outs[N_OUTPUTS])
{
    if (flags->format == FORMAT_JSON)
        tuning_print_json(t, &outs[RESULTS]);
    else
        tuning_print_text(t, &outs[RESULTS]);
    if (outs[CONFIG].is_open)
        setup_print_config(&outs[CONFIG], t->config);
    if (outs[SVG].is_open)
        tuning_print_svg(t, &outs[SVG]);
    if (outs[CSV].is_open)
        tuning_print_csv(t, &outs[CSV]);
}

static int run_tune(const void *given)
{
    const tune_flags *flags = given;
    tuning t = {0};
    output outs[N_OUTPUTS] = {{.name = NULL}};
    int code = run_files_open_results(&outs[RESULTS], &flags->tuning.call);
    if (code != EXIT_DONE)
        return code;
    code = tuning_open(&t, &flags->tuning, flags->tuning.call.words[0]);
    if (code == EXIT_DONE)
        code = tuning_run(&t);
    if (code == EXIT_DONE)
        code = open_files(&t, flags, outs);
    if (code == EXIT_DONE)
        print(&t, flags, outs);
    code = outputs_finish(outs, N_OUTPUTS, code);
    tuning_close(&t);
    return code == EXIT_DONE && !t.has_answer ? EXIT_NEGATIVE : code;
}

static const flag flags[] = {
    FLAG_TITLE("Tuning"),
    FLAG_GROUP(targets_flag, tune_flags, tuning.targets),
    {FLAG(TEXT, "objective", tune_flags, tuning.objective), .value = "NAME",
     .words = "nll|ece|brier|entropy=|perplexity=|diversity=",
     .help = "what to fit: nll, ece or brier (need targets), or the value to reach: entropy=H, "
             "perplexity=P, diversity=N (default: nll)"},
    FLAG_GROUP(rows_flag, tune_flags, tuning.rows),
    {FLAG(COUNT, "bins", tune_flags, tuning.bins), .min = 1, .max = PLUCK_TUNE_MAX_BINS,
     .help = "number of bins of the calibration error (default: 15)"},
    {FLAG(CHOICE, "bin-edges", tune_flags, tuning.bin_edges), .value = "right|left",
     .help = "edge that belongs to each bin: right, (low, high], or left, [low, high) (default: "
             "right)"},
    {FLAG(SWITCH, "equal-mass", tune_flags, tuning.equal_mass),
     .help = "use bins with the same number of rows instead of the same width"},
    {FLAG(COUNT, "bootstrap", tune_flags, tuning.bootstrap), .max = 100000,
     .help = "bootstrap resamples for the confidence interval, 0: no interval (default: 1000)"},
    {FLAG(SWITCH, "cross-validate", tune_flags, tuning.cross_validate),
     .help = "also fit each half of the rows and measure it on the other half"},
    {FLAG(NUMBER, "keep", tune_flags, tuning.keep), .value = "PART", .high = 1, .is_low_open = true,
     .help = "fraction of rows whose target must survive truncation, in the settings that are "
             "printed and in the one that --truncate adds (default: 0.99)"},
    {FLAG(CHOICE, "truncate", tune_flags, tuning.truncate),
     .value = "none|top_p|min_p|top_k|top_n_sigma",
     .help = "add this stage to the configuration, with its tightest setting that keeps the part "
             "of the targets that --keep says (default: none)"},
    {FLAG(SWITCH, "no-curves", tune_flags, tuning.no_curves),
     .help = "print no table of truncations, and skip the pass that sorts every row"},
    FLAG_GROUP(threads_flag, tune_flags, tuning.threads),
    FLAG_GROUP(isa_flag, tune_flags, tuning.isa),
    FLAG_GROUP(format_flag, tune_flags, format),
    FLAG_GROUP(quiet_flag, tune_flags, tuning.call),
    FLAG_GROUP(shard_group, tune_flags, tuning.call.shard),
    FLAG_GROUP(input_group, tune_flags, tuning.input),
    FLAG_TITLE("Output"),
    {FLAG(OUTPUT, "output", tune_flags, output), .letter = 'o',
     .help = "write the configuration with the fitted temperature to FILE"},
    {FLAG(OUTPUT, "svg", tune_flags, svg),
     .help = "write charts of the objective and of the reliability to FILE, as SVG"},
    {FLAG(OUTPUT, "csv", tune_flags, csv), .help = "write the curves to FILE, as CSV"},
    FLAG_GROUP(config_group, tune_flags, tuning.config),
    FLAG_END,
};

const command tune_command = {
    .name = "tune",
    .synopsis = "DUMP [--targets FILE] [options]",
    .summary = "find the temperature that fits, and the effect of truncations",
    .about = "Reads all rows of a dump and finds the temperature that minimises the mean negative "
             "log-likelihood of the tokens that followed (nll), the calibration error (ece) or the "
             "Brier score, or at which the mean entropy, the perplexity (exp of the mean entropy) "
             "or the diversity (the mean of exp(entropy)) has a given value. Prints the "
             "temperature with its confidence interval, what it changes, how well the model's "
             "confidence agrees with its accuracy, and how often each truncation would have "
             "forbidden the token that followed.\n-o writes a configuration with this "
             "temperature: the one of --config, --preset and the flags for keys, or an empty one. "
             "Its stages do not take part in the fit, which sees the raw logits.\nThe dump is "
             "read several times, so it cannot be a stream. Memory does not grow with its size.",
    .usual = "targets objective truncate output rows threads format",
    COMMAND_FLAGS(flags, tune_flags),
    .defaults = &(const tune_flags){.tuning = {.threads = 1, .bootstrap = 1000, .keep = 0.99}},
    .examples = {"pluck tune logits.npy --targets targets.npy",
                 "pluck tune logits.npy --targets targets.npy --format json --threads 0",
                 "pluck tune logits.npy --targets targets.npy --truncate top_p -o tuned.json",
                 "pluck tune logits.npy --objective entropy=2.5 --no-curves",
                 "pluck tune logits.npy --targets targets.npy --cross-validate --svg tuned.svg "
                 "--csv tuned.csv"},
    COMMAND_WORDS(1, 1, "DUMP"),
    .words_are_inputs = true,
    .run = run_tune,
};
