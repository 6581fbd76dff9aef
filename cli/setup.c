/* Configuration values typed as flags become JSON texts here; the library checks them. */
#include "setup.h"
#include "files.h"
#include "presets.h"

#include "json/tree.h"

#include <pluck/rng.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONFIG_LIMIT_BYTES ((size_t)16 << 20)

static int load_config(const arguments *args, const char *file, pluck_config **config)
{
    pluck_error err;
    const char *json = NULL;
    char *text = NULL;
    size_t n = 0;
    if (args->preset) {
        const preset *p = preset_find(args->preset);
        const char *near = preset_nearest(args->preset);
        if (!p && near)
            return complain(args->who, EXIT_USAGE, "unknown preset '%s'; did you mean '%s'?",
                            args->preset, near);
        if (!p)
            return complain(args->who, EXIT_USAGE,
                            "unknown preset '%s'; pluck config init --list shows them",
                            args->preset);
        json = p->json;
        n = p->size_bytes;
    } else if (file) {
        int code = read_file(args->who, file, CONFIG_LIMIT_BYTES, &text, &n);
        if (code != EXIT_DONE)
            return code;
        json = text;
    }
    pluck_status status = !json ? pluck_config_create(config, NULL, &err)
                                : pluck_config_from_json(config, json, n, NULL, &err);
    free(text);
    if (status == PLUCK_OK)
        return EXIT_DONE;
    return complain(args->who, exit_code_of(status), "%s: %s",
                    args->preset ? args->preset
                    : file       ? file
                                 : "configuration",
                    err.message);
}

/* Writes a number as JSON writes it: people also type .8, 1. and +1. false: not a number. */
static bool number_json(const char *typed, char *json, size_t capacity)
{
    const char *c = typed;
    size_t n = 0;
    if (strlen(typed) + 3 > capacity)
        return false;
    if (*c == '-')
        json[n++] = '-';
    c += *c == '-' || *c == '+';
    if (!isdigit((unsigned char)c[0]) && !(c[0] == '.' && isdigit((unsigned char)c[1])))
        return false;
    /* JSON has no leading zeros. */
    while (c[0] == '0' && isdigit((unsigned char)c[1]))
        c++;
    if (*c == '.')
        json[n++] = '0';
    while (isdigit((unsigned char)*c))
        json[n++] = *c++;
    if (*c == '.') {
        json[n++] = *c++;
        if (!isdigit((unsigned char)*c))
            json[n++] = '0';
        while (isdigit((unsigned char)*c))
            json[n++] = *c++;
    }
    if (*c == 'e' || *c == 'E') {
        json[n++] = *c++;
        if (*c == '-' || *c == '+')
            json[n++] = *c++;
        if (!isdigit((unsigned char)*c))
            return false;
        while (isdigit((unsigned char)*c))
            json[n++] = *c++;
    }
    json[n] = '\0';
    return *c == '\0';
}

/* Appends a bare word as a JSON string; words with quotes, backslashes or control characters are no
 * names, and stay what they are: wrong. */
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

static int set_key(const arguments *args, const assignment *a, pluck_config *config)
{
    const option *o = a->option;
    size_t capacity = 4 * strlen(a->value) + 8;
    char *json = malloc(capacity);
    if (!json)
        return complain_memory(args->who);
    int code = EXIT_DONE;
    bool is_order = strcmp(o->key, "order") == 0;
    bool is_json =
        strcmp(o->value_name, "JSON") == 0 || is_boolean_key(o) || strchr("[{\"", a->value[0]);
    bool is_name = strcmp(o->key, "draw") == 0 || strcmp(o->key, "on_nan") == 0 ||
                   (strcmp(o->key, "seed") == 0 && isalpha((unsigned char)a->value[0]));
    if (is_json && a->value[0] != '\0')
        memcpy(json, a->value, strlen(a->value) + 1);
    else if (is_order)
        list_json(a->value, json);
    else if (is_name)
        quote(json, a->value, strlen(a->value));
    else if (!number_json(a->value, json, capacity))
        code = complain(args->who, EXIT_USAGE, "--%s: '%s' is not a number%s", o->name, a->value,
                        number_hint(a->value));

    pluck_error err;
    pluck_status status = PLUCK_OK;
    if (code == EXIT_DONE)
        status = pluck_config_set_json(config, o->key, json, &err);
    if (status != PLUCK_OK) {
        char quoted[PLK_QUOTE_BYTES];
        plk_quote(quoted, a->value, strlen(a->value));
        code =
            complain(args->who, exit_code_of(status), "--%s %s: %s", o->name, quoted, err.message);
    }
    free(json);
    return code;
}

int setup_config(const arguments *args, const char *file, pluck_config **config)
{
    *config = NULL;
    if (file && args->preset)
        return complain(args->who, EXIT_USAGE, "a configuration file and --preset are both given");
    int code = load_config(args, file, config);
    /* A new order comes first: it may name stages that the other flags set up. */
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; code == EXIT_DONE && i < args->n_assignments; i++) {
            bool is_order = strcmp(args->assignments[i].option->key, "order") == 0;
            if (is_order == (pass == 0))
                code = set_key(args, &args->assignments[i], *config);
        }
    }
    if (code != EXIT_DONE)
        pluck_config_destroy(config);
    return code;
}

int setup_seed(const arguments *args, pluck_config *config)
{
    pluck_error err;
    uint64_t seed = 0;
    if (!pluck_config_seed(config, &seed))
        return EXIT_DONE;
    pluck_status status = pluck_random_seed(&seed, &err);
    char json[32];
    snprintf(json, sizeof json, "%llu", (unsigned long long)seed);
    if (status == PLUCK_OK)
        status = pluck_config_set_json(config, "seed", json, &err);
    if (status != PLUCK_OK)
        return complain(args->who, exit_code_of(status), "%s", err.message);
    return args->quiet ? EXIT_DONE : complain(args->who, EXIT_DONE, "seed %s", json);
}

int setup_isa(const arguments *args, pluck_isa *isa)
{
    const char *variable = getenv("PLUCK_ISA");
    const char *name = args->isa ? args->isa : variable;
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
    return complain(args->who, EXIT_USAGE, "%s: '%s' is not an instruction set of this machine; %s",
                    args->isa ? "--isa" : "PLUCK_ISA", name, known);
}

int setup_tokens(const arguments *args, const char *flag, const char *ids, token_list *list)
{
    list->tokens = NULL;
    list->n = 0;
    if (!ids)
        return EXIT_DONE;
    list->tokens = calloc(strlen(ids) / 2 + 1, sizeof *list->tokens);
    if (!list->tokens)
        return complain_memory(args->who);
    for (const char *c = ids; *c != '\0';) {
        char digits[64] = "";
        size_t n = strcspn(c, ",");
        uint64_t token = 0;
        strncat(digits, c, n < sizeof digits ? n : sizeof digits - 1);
        if (n >= sizeof digits || !parse_count(digits, 0, PLUCK_MAX_VOCAB - 1, &token)) {
            free(list->tokens);
            list->tokens = NULL;
            return complain(args->who, EXIT_USAGE, "--%s: '%.*s' is not a token id", flag, (int)n,
                            c);
        }
        list->tokens[list->n++] = (pluck_token)token;
        c += n + (c[n] == ',');
    }
    return EXIT_DONE;
}

int setup_prompt(const arguments *args, token_list *list)
{
    return setup_tokens(args, "prompt-tokens", args->prompt_tokens, list);
}

int setup_tokens_check(const arguments *args, const char *flag, const token_list *list,
                       uint32_t n_vocab)
{
    for (size_t i = 0; i < list->n; i++)
        if ((uint32_t)list->tokens[i] >= n_vocab)
            return complain(args->who, EXIT_DATA,
                            "--%s: token %d is outside the vocabulary of %u tokens", flag,
                            (int)list->tokens[i], (unsigned)n_vocab);
    return EXIT_DONE;
}

int setup_prompt_check(const arguments *args, const token_list *list, uint32_t n_vocab)
{
    return setup_tokens_check(args, "prompt-tokens", list, n_vocab);
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

const char *source_name(const char *path)
{
    return strcmp(path, "-") == 0 ? "standard input" : path;
}

plk_shape source_shape(const pluck_dump_info *info)
{
    plk_shape shape = {.n_axes = 0};
    if (info->n_axes > 1) {
        shape.n_axes = info->n_axes - 1;
        memcpy(shape.axes, info->axes, shape.n_axes * sizeof *shape.axes);
    }
    return shape;
}

int source_check_shape(const arguments *args, const char *dump_name, const plk_shape *rows,
                       const char *targets_name, const plk_shape *targets)
{
    char of_rows[PLK_SHAPE_TEXT_BYTES], of_targets[PLK_SHAPE_TEXT_BYTES];
    if (plk_shapes_agree(rows, targets))
        return EXIT_DONE;
    return complain(args->who, EXIT_DATA,
                    "%s: has targets of shape %s, but the rows of %s have the shape %s; give the "
                    "targets in the order of the rows",
                    targets_name, plk_shape_text(targets, of_targets), dump_name,
                    plk_shape_text(rows, of_rows));
}

/* How the rows of an array of three axes and more are counted: from the last axis but one. */
static void note_shape(const arguments *args, const char *path, const pluck_dump_info *info)
{
    char text[PLK_SHAPE_TEXT_BYTES];
    plk_shape whole = {.n_axes = info->n_axes};
    if (args->quiet)
        return;
    if (info->n_tensors > 1)
        complain(args->who, EXIT_DONE, "%s: %s are %zu consecutive steps", source_name(path),
                 info->tensor, info->n_tensors);
    if (info->n_axes < 3)
        return;
    memcpy(whole.axes, info->axes, whole.n_axes * sizeof *whole.axes);
    complain(args->who, EXIT_DONE, "%s: %s: %llu rows", source_name(path),
             plk_shape_text(&whole, text), (unsigned long long)info->n_rows);
}

int source_open(const arguments *args, const char *path, source *src)
{
    pluck_dump_options options = {.format = (pluck_dump_format)args->input_format,
                                  .tensor = args->tensor,
                                  .raw_dtype = (pluck_dtype)args->dtype,
                                  .raw_n_vocab = (uint32_t)args->vocab_size,
                                  .no_map = args->no_map};
    pluck_error err;
    memset(src, 0, sizeof *src);
    if (options.format == PLUCK_DUMP_RAW && options.raw_n_vocab == 0)
        return complain(args->who, EXIT_USAGE,
                        "--input-format raw needs --vocab-size N: how many "
                        "values a row has");
    pluck_status status = pluck_dump_open(&src->dump, path, &options, &err);
    if (status != PLUCK_OK)
        return complain(args->who, exit_code_of(status), "%s", err.message);
    src->info = pluck_dump_get_info(src->dump);
    if (pluck_dump_token_text(src->dump, 0, NULL)) {
        if (args->vocab) {
            source_close(src);
            return complain(
                args->who, EXIT_USAGE,
                "%s: names its tokens by texts and not by ids, so --vocab does not fit it",
                source_name(path));
        }
        uint32_t n = 0;
        while (n < src->info.n_vocab && pluck_dump_token_text(src->dump, (pluck_token)n, NULL))
            n++;
        if (!args->quiet)
            complain(args->who, EXIT_DONE,
                     "%s: its tokens have no ids; the %u different texts are numbered in the order "
                     "in which they appear",
                     source_name(path), (unsigned)n);
    }
    if (src->info.is_sparse && !args->quiet)
        complain(args->who, EXIT_DONE,
                 "%s: rows name some of their tokens; all others count as impossible (-inf)",
                 source_name(path));
    note_shape(args, path, &src->info);
    src->scratch = malloc(src->info.n_vocab * sizeof *src->scratch);
    if (!src->scratch) {
        source_close(src);
        return complain_memory(args->who);
    }
    return EXIT_DONE;
}

void source_close(source *src)
{
    pluck_dump_destroy(&src->dump);
    free(src->scratch);
    src->scratch = NULL;
}

int texts_open(token_texts *texts, const arguments *args)
{
    pluck_error err;
    *texts = (token_texts){.may_be_short = args->short_vocab};
    if (!args->vocab)
        return !args->added_tokens
                   ? EXIT_DONE
                   : complain(args->who, EXIT_USAGE, "--added-tokens needs --vocab");
    texts->name = source_name(args->vocab);
    pluck_status status = plk_vocab_open(&texts->vocab, args->vocab, args->added_tokens,
                                         (plk_encoding)args->vocab_encoding, NULL, &err);
    return status == PLUCK_OK ? EXIT_DONE
                              : complain(args->who, exit_code_of(status), "%s", err.message);
}

void texts_close(token_texts *texts)
{
    plk_vocab_close(&texts->vocab);
    *texts = (token_texts){.name = NULL};
}

int texts_check(const token_texts *texts, const char *who, const char *path, uint32_t n_vocab)
{
    uint32_t n = texts->vocab.n;
    if (!texts->name || n == n_vocab || (texts->may_be_short && n < n_vocab))
        return EXIT_DONE;
    return complain(who, EXIT_DATA, "%s: has %u tokens, but rows of %s have %u values%s",
                    texts->name, (unsigned)n, path, (unsigned)n_vocab,
                    n < n_vocab ? "; --short-vocab allows that" : "");
}

int texts_take(token_texts *texts, const char *who, const char *name, const pluck_dump *dump,
               uint32_t n_vocab)
{
    size_t n = 0;
    if (!pluck_dump_token_text(dump, 0, &n))
        return EXIT_DONE;
    plk_vocab_init(&texts->vocab, NULL);
    for (uint32_t i = 0; i < n_vocab; i++) {
        const char *text = pluck_dump_token_text(dump, (pluck_token)i, &n);
        if (text && !plk_vocab_set(&texts->vocab, i, text, n, true))
            return complain_memory(who);
    }
    texts->name = name;
    texts->may_be_short = true; /* --vocab-size may leave room for tokens without a text */
    return EXIT_DONE;
}

const char *texts_get(const token_texts *texts, pluck_token token, size_t *n)
{
    return plk_vocab_text(&texts->vocab, token, n);
}
