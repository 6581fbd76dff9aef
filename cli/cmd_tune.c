/*
 * pluck tune: the temperature that fits a dump, and what it and truncations would do. Files are
 * written last, one after the other, so that an interrupted run leaves none.
 */
#include "commands.h"
#include "tuning.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void write_config(const tuning *t, output *out)
{
    size_t n = 0;
    pluck_config_to_json(t->config, NULL, 0, &n, NULL);
    char *const text = malloc(n + 1);
    if (text != NULL && pluck_config_to_json(t->config, text, n + 1, &n, NULL) == PLUCK_OK)
        output_write(out, text, n);
    else
        out->error = out->error != 0 ? out->error : ENOMEM;
    free(text);
}

static int write_file(const tuning *t, const char *path,
                      void (*write)(const tuning *t, output *out))
{
    output out;
    const arguments *const args = t->args;
    const char *const inputs[] = {args->words[0], args->config, args->targets};
    if (path == NULL)
        return EXIT_DONE;
    const int code = output_open(&out, args->who, path, inputs, 3);
    if (code != EXIT_DONE)
        return code;
    write(t, &out);
    return output_close(&out, true);
}

static int check_arguments(const arguments *args)
{
    const char *const files[] = {args->output, args->svg, args->csv};
    for (size_t i = 0; i < 3; i++) {
        if (files[i] != NULL && strcmp(files[i], "-") == 0)
            return complain(args->who, EXIT_USAGE,
                            "-o, --svg and --csv write files; standard output has the results");
        for (size_t j = 0; j < i; j++)
            if (files[i] != NULL && files[j] != NULL && strcmp(files[i], files[j]) == 0)
                return complain(args->who, EXIT_USAGE, "%s is to be two files", files[i]);
    }
    return EXIT_DONE;
}

int cmd_tune(const arguments *args)
{
    tuning t = {0};
    output out;
    const char *const inputs[] = {args->words[0], args->config, args->targets};
    int code = check_arguments(args);
    if (code == EXIT_DONE)
        code = output_open(&out, args->who, NULL, inputs, 3);
    if (code != EXIT_DONE)
        return code;
    code = tuning_open(&t, args, args->words[0]);
    if (code == EXIT_DONE)
        code = tuning_run(&t, &out);
    if (code == EXIT_DONE)
        code = write_file(&t, args->output, write_config);
    if (code == EXIT_DONE)
        code = write_file(&t, args->svg, tuning_print_svg);
    if (code == EXIT_DONE)
        code = write_file(&t, args->csv, tuning_print_csv);
    if (code == EXIT_DONE && args->format == FORMAT_JSON)
        tuning_print_json(&t, &out);
    else if (code == EXIT_DONE)
        tuning_print_text(&t, &out);
    const int close_code = output_close(&out, code == EXIT_DONE);
    tuning_close(&t);
    return code == EXIT_DONE ? close_code : code;
}
