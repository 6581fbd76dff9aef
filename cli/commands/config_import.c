/* pluck config import: configurations of other engines. */
#include "commands.h"
#include "files.h"
#include "output.h"

#include <pluck/config.h>

#include <stdlib.h>
#include <string.h>

/* What becomes of the report: JSON items in out, or lines on standard error. */
typedef struct import_report {
    output *keys; /* NULL: lines */
    bool quiet;   /* only of what was refused */
    size_t n, n_refused;
} import_report;

static void tell_key(void *user, const char *key, pluck_import_fate fate, const char *note)
{
    import_report *report = user;
    const char *name = pluck_import_fate_name(fate);
    report->n_refused += fate == PLUCK_IMPORT_REFUSED;
    if (!report->keys && report->quiet && fate != PLUCK_IMPORT_REFUSED)
        return;
    if (!report->keys) {
        complain(name, EXIT_DONE, "%s%s%s", key, *note != '\0' ? ": " : "", note);
        return;
    }
    output_text(report->keys, report->n++ > 0 ? ",{\"key\":" : "{\"key\":");
    output_json_string(report->keys, key, strlen(key));
    output_printf(report->keys, ",\"fate\":\"%s\",\"note\":", name);
    output_json_string(report->keys, note, strlen(note));
    output_char(report->keys, '}');
}

/* The configuration as JSON; freed by the caller. NULL after complain(). */
static char *config_text(const arguments *args, const pluck_config *config, size_t *n)
{
    pluck_error err;
    /* Fails because nothing fits, but says what would. */
    (void)pluck_config_to_json(config, NULL, 0, n, NULL);
    char *text = malloc(*n + 1);
    if (!text) {
        complain_memory(args->who);
        return NULL;
    }
    if (pluck_config_to_json(config, text, *n + 1, n, &err) != PLUCK_OK) {
        complain(args->who, EXIT_DATA, "%s", err.message);
        free(text);
        return NULL;
    }
    return text;
}

/* --from, whose choices are auto and then the kinds of the library. */
static int find_kind(const arguments *args, const char *json, size_t n, pluck_import_format *kind)
{
    pluck_error err;
    if (args->from > 0) {
        *kind = (pluck_import_format)(args->from - 1);
        return EXIT_DONE;
    }
    pluck_status status = pluck_import_guess(json, n, kind, &err);
    return status == PLUCK_OK
               ? EXIT_DONE
               : complain(args->who, exit_code_of(status), "%s: %s", args->words[0], err.message);
}

/* Prints what was imported from the text. The configuration comes after the keys in JSON too, since
 * it is known after them. */
static int import_text(const arguments *args, const char *json, size_t n, output *out)
{
    import_report report = {.keys = args->format == FORMAT_JSON ? out : NULL, .quiet = args->quiet};
    pluck_import_format kind = PLUCK_IMPORT_HUGGINGFACE;
    pluck_config *config = NULL;
    pluck_error err;
    int code = find_kind(args, json, n, &kind);
    if (code != EXIT_DONE)
        return code;
    /* First without a report, so that a text that fails prints nothing but why. */
    pluck_status status = pluck_config_import(&config, kind, json, n, NULL, NULL, NULL, &err);
    pluck_config_destroy(&config);
    if (status == PLUCK_OK && report.keys)
        output_printf(out, "{\"from\":\"%s\",\"keys\":[", pluck_import_format_name(kind));
    if (status == PLUCK_OK)
        status = pluck_config_import(&config, kind, json, n, tell_key, &report, NULL, &err);
    if (status != PLUCK_OK)
        return complain(args->who, exit_code_of(status), "%s: %s", args->words[0], err.message);
    size_t size = 0;
    char *text = config_text(args, config, &size);
    pluck_config_destroy(&config);
    if (!text)
        return EXIT_SYSTEM;
    if (report.keys)
        output_text(out, "],\"config\":");
    output_write(out, text, report.keys ? size - 1 : size); /* without its line break */
    if (report.keys)
        output_text(out, "}\n");
    free(text);
    return report.n_refused > 0 ? EXIT_NEGATIVE : EXIT_DONE;
}

int cmd_config_import(const arguments *args)
{
    enum { LIMIT_BYTES = 1 << 28 };
    char *json = NULL;
    size_t n = 0;
    output out;
    int code = read_file(args->who, args->words[0], LIMIT_BYTES, &json, &n);
    if (code == EXIT_DONE)
        code = output_open(&out, args->who, NULL);
    if (code == EXIT_DONE) {
        code = import_text(args, json, n, &out);
        int close_code = output_close(&out, code <= EXIT_NEGATIVE);
        code = close_code != EXIT_DONE ? close_code : code;
    }
    free(json);
    return code;
}
