/* Configuration values typed as flags become JSON texts here; the library checks them. */
#include "setup.h"

#include "run_ranks.h"

#include "base/platform_file.h"
#include "base/text.h"
#include "json/json.h"

#include <pluck/rng.h>

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONFIG_LIMIT_BYTES = 16 << 20, PIECE_BYTES = 16384 };

int read_file(const char *path, size_t limit, char **text, size_t *n)
{
    bool is_stdin = strcmp(path, "-") == 0;
    const char *name = is_stdin ? "standard input" : path;
    int fd = PLK_STDIN;
    size_t capacity = 0, got = 1;
    *text = NULL;
    *n = 0;
    int error_code = is_stdin ? 0 : plk_file_open(path, PLK_OPEN_READ, &fd);
    int code = error_code == 0 ? EXIT_DONE : complain_system(path, NULL, error_code);
    while (code == EXIT_DONE && got != 0) {
        if (!grow(text, &capacity, *n + PIECE_BYTES, 1)) {
            code = complain_memory();
            break;
        }
        error_code = plk_file_read(fd, *text + *n, capacity - *n - 1, &got);
        if (error_code != 0)
            code = complain_system(name, NULL, error_code);
        *n += got;
        (*text)[*n] = '\0';
        if (*n > limit)
            code = complain(EXIT_DATA, "%s: is larger than %zu bytes, the limit for this input",
                            name, limit);
    }
    if (fd > PLK_STDIN)
        (void)plk_file_close(fd);
    if (code != EXIT_DONE) {
        free(*text);
        *text = NULL;
    }
    return code;
}

const preset *preset_find(const char *name)
{
    for (const preset *p = presets; p->name; p++)
        if (strcmp(p->name, name) == 0)
            return p;
    return NULL;
}

const char *preset_nearest(const char *name)
{
    plk_suggestion nearest = plk_suggest(name);
    for (const preset *p = presets; p->name; p++)
        plk_suggest_offer(&nearest, p->name, NULL);
    return nearest.best;
}

static int load_config(const config_flags *flags, pluck_config **config)
{
    pluck_error err;
    const char *json = NULL;
    char *text = NULL;
    size_t n = 0;
    const char *file = flags->file;
    if (flags->preset) {
        const preset *p = preset_find(flags->preset);
        const char *near = preset_nearest(flags->preset);
        if (!p && near)
            return complain(EXIT_USAGE, "unknown preset '%s'; did you mean '%s'?", flags->preset,
                            near);
        if (!p)
            return complain(EXIT_USAGE, "unknown preset '%s'; pluck config init --list shows them",
                            flags->preset);
        json = p->json;
        n = p->size_bytes;
    } else if (file) {
        int code = read_file(file, CONFIG_LIMIT_BYTES, &text, &n);
        if (code != EXIT_DONE)
            return code;
        json = text;
    }
    pluck_status status = !json ? pluck_config_create(config, NULL, &err)
                                : pluck_config_from_json(config, json, n, NULL, &err);
    free(text);
    if (status == PLUCK_OK)
        return EXIT_DONE;
    return complain(exit_code_of(status), "%s: %s",
                    flags->preset ? flags->preset
                    : file        ? file
                                  : "configuration",
                    err.message);
}

/* Appends a bare word as a JSON string. Words with quotes, backslashes or control characters are
 * not names and are refused later. */
static size_t quote(char *json, const char *word, size_t n)
{
    size_t used = 0;
    json[used++] = '"';
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)word[i];
        if (c == '"' || c == '\\')
            json[used++] = '\\';
        json[used++] = (char)(c < 0x20 ? '?' : c);
    }
    json[used++] = '"';
    json[used] = '\0';
    return used;
}

/* "top_k,temperature" becomes ["top_k","temperature"]. */
static void list_json(const char *typed, char *json)
{
    size_t used = 0;
    json[used++] = '[';
    while (*typed != '\0') {
        size_t n = strcspn(typed, ",");
        used += quote(json + used, typed, n);
        typed += n;
        if (*typed == ',') {
            json[used++] = ',';
            typed++;
        }
    }
    json[used++] = ']';
    json[used] = '\0';
}

static int set_key(const key_value *a, pluck_config *config)
{
    const flag *f = a->flag;
    size_t capacity = 4 * strlen(a->value) + 8;
    char *json = malloc(capacity);
    if (!json)
        return complain_memory();
    int code = EXIT_DONE;
    bool is_order = strcmp(f->key, "order") == 0;
    bool is_json =
        strcmp(f->value, "JSON") == 0 || is_boolean_key(f) || strchr("[{\"", a->value[0]);
    bool is_name = strcmp(f->key, "draw") == 0 || strcmp(f->key, "on_nan") == 0 ||
                   (strcmp(f->key, "seed") == 0 && isalpha((unsigned char)a->value[0]));
    if (is_json && a->value[0] != '\0')
        memcpy(json, a->value, strlen(a->value) + 1);
    else if (is_order)
        list_json(a->value, json);
    else if (is_name)
        quote(json, a->value, strlen(a->value));
    else if (!number_json(a->value, json, capacity))
        code = complain(EXIT_USAGE, "--%s: '%s' is not a number%s", f->name, a->value,
                        number_hint(a->value));

    pluck_error err;
    pluck_status status = PLUCK_OK;
    if (code == EXIT_DONE)
        status = pluck_config_set_json(config, f->key, json, &err);
    if (status != PLUCK_OK) {
        char quoted[PLK_QUOTE_BYTES];
        plk_quote(quoted, a->value, strlen(a->value));
        code = complain(exit_code_of(status), "--%s %s: %s", f->name, quoted, err.message);
    }
    free(json);
    return code;
}

int setup_config(const config_flags *flags, pluck_config **config)
{
    *config = NULL;
    if (flags->file && flags->preset)
        return complain(EXIT_USAGE,
                        "a configuration file and --preset are both given; give one of them");
    int code = load_config(flags, config);
    /* A new order comes first: it may name stages that the other flags set up. */
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; code == EXIT_DONE && i < flags->keys.n; i++) {
            const key_value *key = &flags->keys.items[i];
            if ((strcmp(key->flag->key, "order") == 0) == (pass == 0))
                code = set_key(key, *config);
        }
    }
    if (code != EXIT_DONE)
        pluck_config_destroy(config);
    return code;
}

/* Neither fails for a configuration and an index of one of its stages. */
pluck_config_info setup_config_info(const pluck_config *config)
{
    pluck_config_info info = PLUCK_INIT(pluck_config_info);
    (void)pluck_config_get_info(config, &info, NULL);
    return info;
}

pluck_config_stage setup_config_stage(const pluck_config *config, size_t index)
{
    pluck_config_stage stage = PLUCK_INIT(pluck_config_stage);
    (void)pluck_config_get_stage(config, index, &stage, NULL);
    return stage;
}

static pluck_status write_json(const pluck_config *config, char *text, size_t size, size_t *needed)
{
    return config ? pluck_config_to_json(config, text, size, needed, NULL)
                  : pluck_config_schema(text, size, needed, NULL);
}

char *setup_config_json(const pluck_config *config, size_t *n_bytes)
{
    size_t needed = 0;
    pluck_status status = write_json(config, NULL, 0, &needed);
    char *text = status == PLUCK_OK ? malloc(needed) : NULL;
    if (text && write_json(config, text, needed, &needed) != PLUCK_OK) {
        free(text);
        return NULL;
    }
    *n_bytes = text ? needed - 1 : 0;
    return text;
}

void setup_print_config(output *out, const pluck_config *config)
{
    size_t n = 0;
    char *text = setup_config_json(config, &n);
    if (!text)
        out->error = out->error != 0 ? out->error : ENOMEM;
    output_write(out, text ? text : "", n);
    free(text);
}

/* All processes of a run must have the same configuration. */
static int identify_config(const pluck_config *config)
{
    size_t n = 0;
    char *text = ranks_are_alone() ? NULL : setup_config_json(config, &n);
    if (ranks_are_alone())
        return EXIT_DONE;
    int code = text ? ranks_identify("configuration", text, n) : complain_memory();
    free(text);
    return code;
}

int setup_seed(pluck_config *config)
{
    pluck_error err;
    uint64_t seed = 0;
    if (!setup_config_info(config).seed_is_random)
        return identify_config(config);
    if (!ranks_share_seed())
        return complain(EXIT_USAGE,
                        "seed random cannot be combined with %s: all processes need the same seed; "
                        "give a number",
                        ranks_name());
    pluck_status status = pluck_random_seed(&seed, &err);
    int code = complain_error(status, &err);
    if (code == EXIT_DONE)
        code = peers_share(&seed, sizeof seed);
    if (code != EXIT_DONE)
        return code;
    if (status == PLUCK_OK)
        status = pluck_config_set_seed(config, seed, &err);
    if (status != PLUCK_OK)
        return complain_error(status, &err);
    note("seed %llu", (unsigned long long)seed);
    return EXIT_DONE;
}

int setup_isa(const char *given, pluck_isa *isa)
{
    const char *variable = getenv("PLUCK_ISA");
    const char *name = given ? given : variable;
    *isa = PLUCK_ISA_BEST;
    if (!name || *name == '\0')
        return EXIT_DONE;
    if (pluck_isa_from_name(name, isa, NULL) == PLUCK_OK)
        return EXIT_DONE;

    char known[128] = "best";
    for (pluck_isa i = PLUCK_ISA_SCALAR; pluck_isa_name(i); i++) {
        if (pluck_isa_supported(i)) {
            strncat(known, ", ", sizeof known - strlen(known) - 1);
            strncat(known, pluck_isa_name(i), sizeof known - strlen(known) - 1);
        }
    }
    return complain(EXIT_USAGE, "%s: '%s' is not an instruction set of this machine; %s",
                    given ? "--isa" : "PLUCK_ISA", name, known);
}

int setup_tokens(const char *name, const char *ids, token_list *list)
{
    list->tokens = NULL;
    list->n = 0;
    if (!ids)
        return EXIT_DONE;
    list->tokens = calloc(strlen(ids) / 2 + 1, sizeof *list->tokens);
    if (!list->tokens)
        return complain_memory();
    for (const char *at = ids; *at != '\0';) {
        char digits[64] = "";
        size_t n = strcspn(at, ",");
        uint64_t token = 0;
        strncat(digits, at, n < sizeof digits ? n : sizeof digits - 1);
        if (n >= sizeof digits || !parse_count(digits, 0, PLUCK_MAX_VOCAB - 1, &token)) {
            free(list->tokens);
            list->tokens = NULL;
            return complain(EXIT_USAGE, "--%s: '%.*s' is not a token id", name, (int)n, at);
        }
        list->tokens[list->n++] = (pluck_token)token;
        at += n + (at[n] == ',');
    }
    return EXIT_DONE;
}

int setup_tokens_check(const char *name, const token_list *list, uint32_t n_vocab)
{
    for (size_t i = 0; i < list->n; i++)
        if ((uint32_t)list->tokens[i] >= n_vocab)
            return complain(EXIT_DATA, "--%s: token %d is outside the vocabulary of %u tokens",
                            name, (int)list->tokens[i], (unsigned)n_vocab);
    return EXIT_DONE;
}

pluck_status setup_stream(pluck_sampler *sampler, uint64_t stream, const token_list *prompt,
                          pluck_error *err)
{
    pluck_status status =
        pluck_sampler_start(sampler, setup_sampler_info(sampler).seed, stream, err);
    if (status == PLUCK_OK)
        status = pluck_sampler_prompt(sampler, prompt->tokens, prompt->n, err);
    return status;
}

pluck_sampler_info setup_sampler_info(const pluck_sampler *sampler)
{
    pluck_sampler_info info = PLUCK_INIT(pluck_sampler_info);
    (void)pluck_sampler_get_info(sampler, &info, NULL);
    return info;
}
