/*
 * pluck tune: the temperature that fits a dump, and what it and truncations would do. Files are
 * written last, one after the other, so that an interrupted run leaves none.
 */
#include "commands.h"
#include "run_files.h"
#include "tuning.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void write_config(const tuning *t, output *out)
{
    size_t n = 0;
    pluck_config_to_json(t->config, NULL, 0, &n, NULL);
    char *text = malloc(n + 1);
    if (text && pluck_config_to_json(t->config, text, n + 1, &n, NULL) == PLUCK_OK)
        output_write(out, text, n);
    else
        out->error = out->error != 0 ? out->error : ENOMEM;
    free(text);
}

enum { RESULTS, CONFIG, SVG, CSV, N_OUTPUTS };

/* Without an answer there is no configuration. */
static int open_files(const tuning *t, output outs[N_OUTPUTS])
{
    const arguments *args = t->args;
    const char *config = t->has_answer ? args->output : NULL;
    const char *const paths[N_OUTPUTS] = {NULL, config, args->svg, args->csv};
    int code = EXIT_DONE;
    if (args->output && !config)
        complain(args->who, EXIT_DONE, "%s is not written: there is no answer", args->output);
    for (size_t i = CONFIG; i < N_OUTPUTS && code == EXIT_DONE; i++)
        if (paths[i])
            code = output_open(&outs[i], args->who, paths[i]);
    return code;
}

static void print(const tuning *t, output outs[N_OUTPUTS])
{
    if (t->args->format == FORMAT_JSON)
        tuning_print_json(t, &outs[RESULTS]);
    else
        tuning_print_text(t, &outs[RESULTS]);
    if (outs[CONFIG].is_open)
        write_config(t, &outs[CONFIG]);
    if (outs[SVG].is_open)
        tuning_print_svg(t, &outs[SVG]);
    if (outs[CSV].is_open)
        tuning_print_csv(t, &outs[CSV]);
}

int cmd_tune(const arguments *args)
{
    tuning t = {0};
    output outs[N_OUTPUTS] = {{.who = args->who}};
    int code = run_files_open_results(&outs[RESULTS], args);
    if (code != EXIT_DONE)
        return code;
    code = tuning_open(&t, args, args->words[0]);
    if (code == EXIT_DONE)
        code = tuning_run(&t, &outs[RESULTS]);
    if (code == EXIT_DONE)
        code = open_files(&t, outs);
    if (code == EXIT_DONE)
        print(&t, outs);
    int close_code = outputs_close(outs, N_OUTPUTS, code == EXIT_DONE);
    tuning_close(&t);
    if (code == EXIT_DONE)
        code = close_code;
    return code == EXIT_DONE && !t.has_answer ? EXIT_NEGATIVE : code;
}
