/* pluck config check, show, init, schema: configurations as text. */
#include "commands.h"
#include "help.h"
#include "output.h"
#include "params_print.h"
#include "presets.h"
#include "setup.h"

#include "json/tree.h"

#include <pluck/config.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void print_settings(output *out, const pluck_config *config)
{
    uint64_t seed = 0;
    if (pluck_config_seed(config, &seed))
        output_text(out, "seed random");
    else
        output_printf(out, "seed %llu", (unsigned long long)seed);
    output_printf(out, ", NaN in the logits %s\n",
                  pluck_config_on_nan(config) == PLUCK_ON_NAN_BAN ? "is banned" : "is an error");
}

static void print_stages(output *out, const pluck_config *config)
{
    unsigned number = 0;
    for (size_t i = 0; i < pluck_config_stage_count(config); i++) {
        const pluck_stage *stage = pluck_config_stage_at(config, i);
        bool is_neutral = pluck_config_neutral_at(config, i);
        if (is_neutral)
            output_text(out, " -");
        else
            output_printf(out, "%2u", ++number);
        output_printf(out, "  %s", stage->name);
        if (stage->n_params > 0) {
            output_printf(out, "%*s",
                          strlen(stage->name) < 20 ? (int)(20 - strlen(stage->name)) : 1, "");
            print_params(out, stage, pluck_config_params_at(config, i));
        }
        output_printf(out, "%s\n", is_neutral ? "  (does nothing: left out)" : "");
    }
}

typedef pluck_status (*text_writer)(const pluck_config *config, char *text, size_t capacity,
                                    size_t *size, pluck_error *err);

static pluck_status write_schema(const pluck_config *config, char *text, size_t capacity,
                                 size_t *size, pluck_error *err)
{
    (void)config;
    return pluck_config_schema(text, capacity, size, err);
}

/* Prints what a function of the library writes into a buffer whose size it tells. */
static int print_written(output *out, const arguments *args, const pluck_config *config,
                         text_writer writer)
{
    pluck_error err = {PLUCK_ERR_NOMEM, "out of memory"};
    size_t size = 0;
    /* Fails because nothing fits, but says what would. */
    pluck_status sized = writer(config, NULL, 0, &size, &err);
    if (sized != PLUCK_OK && sized != PLUCK_ERR_INVALID)
        return complain(args->who, exit_code_of(sized), "%s", err.message);
    char *text = malloc(size + 1);
    if (!text)
        return complain_memory(args->who);
    pluck_status status = writer(config, text, size + 1, &size, &err);
    if (status == PLUCK_OK)
        output_write(out, text, size);
    free(text);
    return status == PLUCK_OK ? EXIT_DONE
                              : complain(args->who, exit_code_of(status), "%s", err.message);
}

int cmd_config_check(const arguments *args)
{
    pluck_config *config = NULL;
    output out;
    int code = setup_config(args, args->words[0], &config);
    if (code == EXIT_DONE)
        code = output_open(&out, args->who, NULL);
    if (code == EXIT_DONE) {
        output_shown(&out, PLK_PLAIN, args->words[0], strlen(args->words[0]));
        output_text(&out, ": valid:");
        for (size_t i = 0; i < pluck_config_stage_count(config); i++)
            if (!pluck_config_neutral_at(config, i))
                output_printf(&out, " %s", pluck_config_stage_at(config, i)->name);
        output_char(&out, '\n');
        code = output_close(&out, true);
    }
    pluck_config_destroy(&config);
    return code;
}

int cmd_config_show(const arguments *args)
{
    pluck_config *config = NULL;
    output out;
    if (args->n_words > 0 && args->config)
        return complain(args->who, EXIT_USAGE, "FILE and --config are both given");
    int code = setup_config(args, args->n_words > 0 ? args->words[0] : args->config, &config);
    if (code == EXIT_DONE)
        code = output_open(&out, args->who, NULL);
    if (code == EXIT_DONE) {
        if (args->format == FORMAT_JSON) {
            code = print_written(&out, args, config, pluck_config_to_json);
        } else {
            print_settings(&out, config);
            print_stages(&out, config);
        }
        int close_code = output_close(&out, true);
        code = code != EXIT_DONE ? code : close_code;
    }
    pluck_config_destroy(&config);
    return code;
}

int cmd_config_schema(const arguments *args)
{
    output out;
    int code = output_open(&out, args->who, NULL);
    if (code != EXIT_DONE)
        return code;
    int written = print_written(&out, args, NULL, write_schema);
    int closed = output_close(&out, true);
    return written != EXIT_DONE ? written : closed;
}

/* A preset and what it says about itself. */
static int print_preset_line(output *out, const char *who, const preset *p)
{
    plk_json json;
    pluck_error err;
    pluck_status status = plk_json_open(&json, p->json, p->size_bytes, p->name, NULL, &err);
    if (status != PLUCK_OK)
        return complain(who, exit_code_of(status), "%s", err.message);
    const char *about = plk_json_string(plk_json_member(json.root, "description"));
    help_entry(out, p->name, about ? about : "", 16);
    plk_json_close(&json);
    return EXIT_DONE;
}

/* JSON has no comments, so the explanation goes beside it. */
static int explain(const arguments *args, const preset *p)
{
    pluck_config *config = NULL;
    pluck_error err;
    pluck_status status = pluck_config_from_json(&config, p->json, p->size_bytes, NULL, &err);
    if (status != PLUCK_OK)
        return complain(args->who, exit_code_of(status), "%s: %s", p->name, err.message);
    for (size_t i = 0; i < pluck_config_stage_count(config); i++) {
        const pluck_stage *stage = pluck_config_stage_at(config, i);
        complain("#", EXIT_DONE, "%s: %s", stage->name, stage->summary);
    }
    complain("#", EXIT_DONE, "all stages and keys: pluck stages");
    pluck_config_destroy(&config);
    return EXIT_DONE;
}

int cmd_config_init(const arguments *args)
{
    const char *name = args->n_words > 0 ? args->words[0] : "balanced";
    const preset *p = preset_find(name);
    const char *near = preset_nearest(name);
    output out;
    if (!p && !args->list)
        return complain(args->who, EXIT_USAGE, "unknown preset '%s'%s%s%s", name,
                        near ? "; did you mean '" : "; --list shows them", near ? near : "",
                        near ? "'?" : "");
    int code = EXIT_DONE;
    if (!args->list && isatty(STDERR_FILENO))
        code = explain(args, p);
    if (code == EXIT_DONE)
        code = output_open(&out, args->who, NULL);
    if (code != EXIT_DONE)
        return code;
    for (const preset *each = presets; args->list && each->name && code == EXIT_DONE; each++)
        code = print_preset_line(&out, args->who, each);
    if (!args->list)
        output_write(&out, p->json, p->size_bytes);
    int close_code = output_close(&out, true);
    return code != EXIT_DONE ? code : close_code;
}
