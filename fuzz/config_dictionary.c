/*
 * Writes a libFuzzer dictionary for configurations from the stage tables: config_dictionary FILE.
 */
#include <pluck/stage.h>

#include <math.h>
#include <stdio.h>

static const char *const common[] = {"\"seed\"",
                                     "\"random\"",
                                     "\"on_nan\"",
                                     "\"ban\"",
                                     "\"error\"",
                                     "\"order\"",
                                     "\"stages\"",
                                     "\"draw\"",
                                     "\"type\"",
                                     "\"$schema\"",
                                     "\"description\"",
                                     "true",
                                     "false",
                                     "null",
                                     "1e999",
                                     "-0",
                                     "\\u0000",
                                     "\\ud83d\\ude00",
                                     "18446744073709551615",
                                     "16777215",
                                     "\xEF\xBB\xBF"};

/* One entry; quotes, backslashes and bytes that are not ASCII are escaped. */
static void entry(FILE *out, const char *text)
{
    fputc('"', out);
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\')
            fprintf(out, "\\%c", *c);
        else if (*c < 0x20 || *c == 0x7F)
            fprintf(out, "\\x%02X", (unsigned)(unsigned char)*c);
        else
            fputc(*c, out);
    }
    fputs("\"\n", out);
}

static void name_entry(FILE *out, const char *name)
{
    char quoted[128];
    snprintf(quoted, sizeof quoted, "\"%s\"", name);
    entry(out, quoted);
}

static void number_entry(FILE *out, double number)
{
    char text[32];
    if (!isfinite(number))
        return;
    snprintf(text, sizeof text, "%.17g", number);
    entry(out, text);
}

int main(int argc, char **argv)
{
    FILE *out = argc == 2 ? fopen(argv[1], "w") : NULL;
    if (!out) {
        fprintf(stderr, "usage: config_dictionary FILE\n");
        return 2;
    }
    for (size_t i = 0; i < sizeof common / sizeof *common; i++)
        entry(out, common[i]);
    for (size_t s = 0; pluck_stage_at(s); s++) {
        const pluck_stage *stage = pluck_stage_at(s);
        name_entry(out, stage->name);
        for (size_t p = 0; p < stage->n_params; p++) {
            const pluck_param *param = &stage->params[p];
            name_entry(out, param->name);
            if (param->flat_key)
                name_entry(out, param->flat_key);
            number_entry(out, param->min);
            number_entry(out, param->max);
        }
    }
    return fclose(out) == 0 ? 0 : 4;
}
