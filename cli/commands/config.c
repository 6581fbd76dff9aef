/* pluck config check, show, init, schema: configurations as text. */
#include "help.h"
#include "setup.h"

#include "base/platform_program.h"
#include "json/json.h"

#include <pluck/config.h>

#include <stdlib.h>
#include <string.h>

typedef struct show_flags {
    call call;
    config_flags config;
    int format;
} show_flags;

typedef struct init_flags {
    call call;
    bool list;
} init_flags;

static void print_settings(output *out, const pluck_config *config)
{
    pluck_config_info info = setup_config_info(config);
    if (info.seed_is_random)
        output_text(out, "seed random");
    else
        output_printf(out, "seed %llu", (unsigned long long)info.seed);
    output_printf(out, ", NaN in the logits %s\n",
                  info.on_nan == PLUCK_ON_NAN_BAN ? "is banned" : "is an error");
}

static void print_stages(output *out, const pluck_config *config)
{
    unsigned number = 0;
    for (size_t i = 0; i < setup_config_info(config).n_stages; i++) {
        pluck_config_stage part = setup_config_stage(config, i);
        const pluck_stage *stage = part.stage;
        if (part.is_neutral)
            output_text(out, " -");
        else
            output_printf(out, "%2u", ++number);
        output_printf(out, "  %s", stage->name);
        if (stage->n_params > 0) {
            output_printf(out, "%*s",
                          strlen(stage->name) < 20 ? (int)(20 - strlen(stage->name)) : 1, "");
            print_params(out, stage, part.params, false);
        }
        output_printf(out, "%s\n", part.is_neutral ? "  (does nothing: left out)" : "");
    }
}

static int check(const void *given)
{
    const call *c = given;
    pluck_config *config = NULL;
    output out;
    int code = setup_config(&(config_flags){.file = c->words[0]}, &config);
    if (code == EXIT_DONE)
        code = output_open(&out, NULL);
    if (code == EXIT_DONE) {
        output_wrap(&out);
        output_shown(&out, PLK_PLAIN, c->words[0], strlen(c->words[0]));
        output_text(&out, ": valid:");
        for (size_t i = 0; i < setup_config_info(config).n_stages; i++)
            if (!setup_config_stage(config, i).is_neutral)
                output_printf(&out, " %s", setup_config_stage(config, i).stage->name);
        output_char(&out, '\n');
        code = output_close(&out, true);
    }
    pluck_config_destroy(&config);
    return code;
}

static int show(const void *given)
{
    const show_flags *flags = given;
    config_flags from = flags->config;
    pluck_config *config = NULL;
    output out;
    if (flags->call.n_words > 0 && from.file)
        return complain(EXIT_USAGE, "FILE and --config are both given; give one of them");
    if (flags->call.n_words > 0)
        from.file = flags->call.words[0];
    int code = setup_config(&from, &config);
    if (code == EXIT_DONE)
        code = output_open(&out, NULL);
    if (code == EXIT_DONE) {
        if (flags->format == FORMAT_JSON) {
            setup_print_config(&out, config);
        } else {
            output_wrap(&out);
            print_settings(&out, config);
            print_stages(&out, config);
        }
        code = output_finish(&out, code);
    }
    pluck_config_destroy(&config);
    return code;
}

static int schema(const void *given)
{
    (void)given;
    output out;
    int code = output_open(&out, NULL);
    if (code != EXIT_DONE)
        return code;
    setup_print_config(&out, NULL);
    return output_finish(&out, EXIT_DONE);
}

/* A preset and what it says about itself. */
static int print_preset_line(output *out, const preset *p)
{
    plk_json json;
    pluck_error err;
    pluck_status status = plk_json_open(&json, p->json, p->size_bytes, 0, p->name, NULL, &err);
    if (status != PLUCK_OK)
        return complain_error(status, &err);
    const char *about = plk_json_string(plk_json_member(json.root, "description"));
    help_entry(out, p->name, about ? about : "", 16);
    plk_json_close(&json);
    return EXIT_DONE;
}

/* JSON does not have comments, so the explanation goes to standard error. */
static int explain(const preset *p)
{
    pluck_config *config = NULL;
    pluck_error err;
    pluck_status status = pluck_config_from_json(&config, p->json, p->size_bytes, NULL, &err);
    if (status != PLUCK_OK)
        return complain_about(p->name, status, &err);
    for (size_t i = 0; i < setup_config_info(config).n_stages; i++) {
        const pluck_stage *stage = setup_config_stage(config, i).stage;
        say("#", "%s: %s", stage->name, stage->summary);
    }
    say("#", "all stages and keys: pluck stages");
    pluck_config_destroy(&config);
    return EXIT_DONE;
}

static int init(const void *given)
{
    const init_flags *flags = given;
    const char *name = flags->call.n_words > 0 ? flags->call.words[0] : "balanced";
    const preset *p = preset_find(name);
    const char *near = preset_nearest(name);
    output out;
    if (!p && !flags->list)
        return complain(EXIT_USAGE, "unknown preset '%s'%s%s%s", name,
                        near ? "; did you mean '" : "; --list shows them", near ? near : "",
                        near ? "'?" : "");
    int code = EXIT_DONE;
    if (!flags->list && plk_is_terminal(PLK_STDERR))
        code = explain(p);
    if (code == EXIT_DONE)
        code = output_open(&out, NULL);
    if (code != EXIT_DONE)
        return code;
    for (const preset *each = presets; flags->list && each->name && code == EXIT_DONE; each++)
        code = print_preset_line(&out, each);
    if (!flags->list)
        output_write(&out, p->json, p->size_bytes);
    return output_finish(&out, code);
}

const command config_check_command = {
    .name = "config check",
    .synopsis = "FILE",
    .summary = "say whether a configuration is valid",
    .about = "Prints the stages that the configuration runs. If it is not valid, prints what is "
             "wrong, where, and what would be right, and ends with status 3. - is standard input.",
    .examples = {"pluck config check config.json",
                 "echo '{\"top_p\": 0.9}' | pluck config check -"},
    COMMAND_WORDS(1, 1, "FILE"),
    .words_are_inputs = true,
    .run = check,
};

const command config_schema_command = {
    .name = "config schema",
    .synopsis = "",
    .summary = "print the JSON Schema of configurations",
    .about = "Prints a JSON Schema (draft 2020-12) that editors can check configuration files "
             "with.",
    .examples = {"pluck config schema > pluck.schema.json"},
    .word_name = "",
    .run = schema,
};

static const flag show_table[] = {
    FLAG_TITLE("Format"),
    FLAG_GROUP(format_flag, show_flags, format),
    FLAG_GROUP(config_group, show_flags, config),
    FLAG_END,
};

const command config_show_command = {
    .name = "config show",
    .synopsis = "[FILE] [options]",
    .summary = "show what a configuration runs, in order",
    .about = "Shows the stages in running order with all parameters, defaults included; a stage "
             "whose parameters make it do nothing is marked. --format json prints the "
             "configuration as JSON that reads back to the same.",
    .usual = "config preset temperature top-k top-p format",
    COMMAND_FLAGS(show_table, show_flags),
    .examples = {"pluck config show config.json",
                 "pluck config show config.json --top-k 20 --format json",
                 "pluck config show --preset balanced"},
    COMMAND_WORDS(0, 1, "FILE"),
    .words_are_inputs = true,
    .run = show,
};

static const flag init_table[] = {
    FLAG_TITLE("Presets"),
    {FLAG(SWITCH, "list", init_flags, list), .help = "list the presets"},
    FLAG_END,
};

const command config_init_command = {
    .name = "config init",
    .synopsis = "[PRESET]",
    .summary = "print a configuration to start from",
    .about = "Prints a preset as JSON, ready for --config (default: balanced). If standard error "
             "is a terminal, an explanation of the keys is printed there.",
    COMMAND_FLAGS(init_table, init_flags),
    .examples = {"pluck config init > config.json", "pluck config init --list"},
    COMMAND_WORDS(0, 1, "PRESET"),
    .run = init,
};
