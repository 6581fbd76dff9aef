/* pluck config import: configurations of other engines. */
#include "setup.h"

#include <pluck/config.h>

#include <stdlib.h>
#include <string.h>

typedef struct import_flags {
    call call;
    int from, format;
} import_flags;

/* What becomes of the report: JSON items in out, or lines on standard error. */
typedef struct import_report {
    output *keys; /* NULL: lines */
    bool quiet;   /* only of what was refused */
    size_t n_refused;
} import_report;

static void tell_key(void *user, const char *key, pluck_import_fate fate, const char *note)
{
    import_report *report = user;
    const char *name = pluck_import_fate_name(fate);
    report->n_refused += fate == PLUCK_IMPORT_REFUSED;
    if (!report->keys && report->quiet && fate != PLUCK_IMPORT_REFUSED)
        return;
    if (!report->keys) {
        say(name, "%s%s%s", key, *note != '\0' ? ": " : "", note);
        return;
    }
    json_open(report->keys, NULL, '{');
    json_string(report->keys, "key", key);
    json_string(report->keys, "fate", name);
    json_string(report->keys, "note", note);
    output_char(report->keys, '}');
}

/* --from, whose choices are auto and then the kinds of the library. */
static int find_kind(const import_flags *flags, const char *json, size_t n,
                     pluck_import_format *kind)
{
    pluck_error err;
    if (flags->from > 0) {
        *kind = (pluck_import_format)(flags->from - 1);
        return EXIT_DONE;
    }
    pluck_status status = pluck_import_guess(json, n, kind, &err);
    return complain_about(flags->call.words[0], status, &err);
}

/* Prints what was imported from the text. The configuration comes after the keys in JSON too, since
 * it is known after them. */
static int import_text(const import_flags *flags, const char *json, size_t n, output *out)
{
    import_report report = {.keys = flags->format == FORMAT_JSON ? out : NULL,
                            .quiet = flags->call.is_quiet};
    pluck_import_format kind = PLUCK_IMPORT_HUGGINGFACE;
    pluck_config *config = NULL;
    pluck_error err;
    int code = find_kind(flags, json, n, &kind);
    if (code != EXIT_DONE)
        return code;
    /* First without a report, so that a text that fails prints nothing but why. */
    pluck_status status = pluck_config_import(&config, kind, json, n, NULL, NULL, NULL, &err);
    pluck_config_destroy(&config);
    if (status == PLUCK_OK && report.keys) {
        json_open(out, NULL, '{');
        json_string(out, "from", pluck_import_format_name(kind));
        json_open(out, "keys", '[');
    }
    if (status == PLUCK_OK)
        status = pluck_config_import(&config, kind, json, n, tell_key, &report, NULL, &err);
    if (status != PLUCK_OK)
        return complain_about(flags->call.words[0], status, &err);
    size_t size = 0;
    char *text = setup_config_json(config, &size);
    pluck_config_destroy(&config);
    if (!text)
        return complain_memory();
    if (report.keys)
        output_text(out, "],\"config\":");
    output_write(out, text, report.keys ? size - 1 : size); /* without its line break */
    if (report.keys)
        output_text(out, "}\n");
    free(text);
    return report.n_refused > 0 ? EXIT_NEGATIVE : EXIT_DONE;
}

static int run(const void *given)
{
    const import_flags *flags = given;
    enum { LIMIT_BYTES = 1 << 28 };
    char *json = NULL;
    size_t n = 0;
    output out;
    int code = read_file(flags->call.words[0], LIMIT_BYTES, &json, &n);
    if (code == EXIT_DONE)
        code = output_open(&out, NULL);
    if (code == EXIT_DONE) {
        code = import_text(flags, json, n, &out);
        int close_code = output_close(&out, code <= EXIT_NEGATIVE);
        code = close_code != EXIT_DONE ? close_code : code;
    }
    free(json);
    return code;
}

static const flag flags[] = {
    FLAG_TITLE("Import"),
    {FLAG(CHOICE, "from", import_flags, from),
     .value =
         "auto|huggingface|llama.cpp|vllm|openai|text-generation-webui|koboldcpp|ollama|exllamav3",
     .help = "engine that FILE was written for (default: auto, by the keys or the form of FILE)"},
    FLAG_GROUP(format_flag, import_flags, format),
    {FLAG(SWITCH, "quiet", import_flags, call.is_quiet), .letter = 'q',
     .help = "print on standard error only the keys that were refused"},
    FLAG_END,
};

const command config_import_command = {
    .name = "config import",
    .synopsis = "FILE [options]",
    .summary = "translate the configuration of another engine",
    .about = "Reads a generation_config.json of Hugging Face Transformers, the body of a "
             "request to llama.cpp's server, vLLM, OpenAI's API, text-generation-webui, "
             "KoboldCpp or Ollama, a preset of text-generation-webui, a Modelfile, or "
             "arguments of ExLlamaV3. Prints a configuration that does the same, in that "
             "engine's order and with its defaults. Standard error says what became of each "
             "key: mapped, ignored because it does not change which token is drawn, or refused "
             "because it may. Status 1 if any was refused. --format json prints one object "
             "with from, config and keys. - is standard input.",
    COMMAND_FLAGS(flags, import_flags),
    .examples =
        {"pluck config import generation_config.json -q > mine.json",
         "pluck config import Modelfile --format json",
         "echo '{\"temperature\": 0.7, \"top_p\": 0.9}' | pluck config import --from vllm - -q"},
    COMMAND_WORDS(1, 1, "FILE"),
    .words_are_inputs = true,
    .run = run,
};
