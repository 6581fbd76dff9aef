/*
 * Readers that the tables of all engines share. A value that has the right type but is out of
 * range never ends an import: what the engine does with it decides, and where pluck cannot do that,
 * the key is refused. A value of the wrong type is an error, as it is for the engines.
 */
#include "config/import_impl.h"

#include "base/alloc.h"
#include "json/reader.h"
#include "json/write.h"

#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { NOTE_BYTES = 400, VALUE_BYTES = 40 };

static void tell(plk_import *import, const char *key, pluck_import_fate fate, const char *format,
                 va_list arguments)
{
    char note[NOTE_BYTES] = "";
    if (format)
        vsnprintf(note, sizeof note, format, arguments);
    if (import->report)
        import->report(import->user, key, fate, note);
}

pluck_status plk_import_say(plk_import *import, pluck_import_fate fate, const char *format, ...)
{
    const plk_import_member *member = import->current;
    va_list arguments;
    va_start(arguments, format);
    tell(import, member->path ? member->path : plk_json_key(member->node), fate, format, arguments);
    va_end(arguments);
    return PLUCK_OK;
}

pluck_status plk_import_say_of(plk_import *import, const char *key, pluck_import_fate fate,
                               const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    tell(import, key, fate, format, arguments);
    va_end(arguments);
    return PLUCK_OK;
}

const plk_json_node *plk_import_member_of(const plk_import *import, const char *key)
{
    for (size_t i = 0; i < import->n_members; i++) {
        const plk_import_member *member = &import->members[i];
        if (!member->instead && strcmp(plk_json_key(member->node), key) == 0)
            return plk_json_is(member->node, PLK_JSON_NULL) || member->is_refused ? NULL
                                                                                  : member->node;
    }
    return NULL;
}

bool plk_import_is_true(const plk_import *import, const char *key)
{
    const plk_json_node *node = plk_import_member_of(import, key);
    return node && plk_json_is(node, PLK_JSON_TRUE);
}

double plk_import_number_at(const plk_import *import, const char *key, double absent)
{
    const plk_json_node *node = plk_import_member_of(import, key);
    plk_import quiet = {.importer = import->importer, .json = import->json};
    double value = absent;
    return node && plk_import_number_of(&quiet, node, &value) == PLUCK_OK ? value : absent;
}

/* Digits, at least one; returns what follows, or NULL. */
static const char *skip_digits(const char *text)
{
    size_t n = strspn(text, "0123456789");
    return n > 0 ? text + n : NULL;
}

/* Whether a whole text is a number as JSON writes it. */
static bool is_number_text(const char *text)
{
    const char *at = skip_digits(text + (*text == '-'));
    if (at && *at == '.')
        at = skip_digits(at + 1);
    if (at && (*at == 'e' || *at == 'E'))
        at = skip_digits(at + 1 + (at[1] == '+' || at[1] == '-'));
    return at && *at == '\0' && strlen(text) <= PLK_NUMBER_MAX_TEXT;
}

pluck_status plk_import_number_of(const plk_import *import, const plk_json_node *node,
                                  double *value)
{
    if (plk_json_is(node, PLK_JSON_NUMBER)) {
        *value = plk_json_number(node);
        return PLUCK_OK;
    }
    if (import->importer->lax && plk_json_is(node, PLK_JSON_STRING) &&
        is_number_text(plk_json_string(node))) {
        *value = plk_number_read(plk_json_string(node), strlen(plk_json_string(node)));
        return PLUCK_OK;
    }
    return plk_json_fail(import->json, node, import->err, "expected a number, not %s",
                         plk_json_kind_name(node));
}

bool plk_import_token_of(const plk_json_node *node, pluck_token *token)
{
    double value = plk_json_is(node, PLK_JSON_NUMBER) ? plk_json_number(node) : -1;
    if (!(value >= 0 && value < PLUCK_MAX_VOCAB) || value != floor(value))
        return false;
    *token = (pluck_token)value;
    return true;
}

/* Whether a number is one of off. */
static bool number_is_off(const char *off, double value)
{
    for (const char *word = off; word && *word != '\0';) {
        size_t n = strcspn(word, " ");
        size_t sign = strspn(word, "<>=");
        if (skip_digits(word + sign + (word[sign] == '-'))) {
            double bound = plk_number_read(word + sign, n - sign);
            bool equal = sign == 0 || word[sign - 1] == '=';
            if ((equal && value == bound) || (*word == '<' && value < bound) ||
                (*word == '>' && value > bound))
                return true;
        }
        word += n + (word[n] == ' ');
    }
    return false;
}

/* The word for a node that is not a number. A string is its own word; "" has two quotes. */
static const char *word_of(const plk_json_node *node)
{
    if (plk_json_is(node, PLK_JSON_STRING))
        return plk_json_string(node)[0] == '\0' ? "\"\"" : plk_json_string(node);
    if (plk_json_is_bool(node))
        return plk_json_is(node, PLK_JSON_TRUE) ? "true" : "false";
    if (plk_json_is(node, PLK_JSON_NULL))
        return "null";
    return plk_json_child(node) ? "" : plk_json_is(node, PLK_JSON_ARRAY) ? "[]" : "{}";
}

bool plk_import_is_off(const plk_import *import, const char *off, const plk_json_node *node)
{
    plk_import quiet = {.importer = import->importer, .json = import->json};
    double value = 0;
    if (plk_import_number_of(&quiet, node, &value) == PLUCK_OK)
        return number_is_off(off, value);
    const char *wanted = word_of(node);
    for (const char *word = off; word && *word != '\0';) {
        size_t n = strcspn(word, " ");
        if (strlen(wanted) == n && memcmp(word, wanted, n) == 0)
            return true;
        word += n + (word[n] == ' ');
    }
    return false;
}

pluck_status plk_import_ignore(plk_import *import, const plk_import_rule *rule,
                               const plk_json_node *node)
{
    (void)node;
    return plk_import_say(import, PLUCK_IMPORT_IGNORED, "%s", rule->note);
}

pluck_status plk_import_refuse(plk_import *import, const plk_import_rule *rule,
                               const plk_json_node *node)
{
    if (plk_import_is_off(import, rule->off, node))
        return plk_import_say(import, PLUCK_IMPORT_IGNORED, "this value has no effect");
    return plk_import_say(import, PLUCK_IMPORT_REFUSED, "%s", rule->note);
}

pluck_status plk_import_format(plk_import *import, const plk_import_rule *rule,
                               const plk_json_node *node)
{
    const plk_json_node *type =
        plk_json_is(node, PLK_JSON_OBJECT) ? plk_json_member(node, "type") : node;
    return plk_import_refuse(import, rule, type ? type : node);
}

pluck_status plk_import_text(plk_import *import, const plk_import_rule *rule,
                             const plk_json_node *node)
{
    const plk_json_node *format =
        plk_json_is(node, PLK_JSON_OBJECT) ? plk_json_member(node, "format") : NULL;
    if (!format || plk_json_is(format, PLK_JSON_NULL))
        return plk_import_say(import, PLUCK_IMPORT_IGNORED, "asks for no format");
    return plk_import_format(import, rule, format);
}

pluck_status plk_import_set(plk_import *import, const char *flat_key, const char *json_value,
                            bool *done)
{
    pluck_error inner = {.status = PLUCK_OK};
    pluck_config **part = &import->parts[import->part]; /* made when it is first needed */
    pluck_status status =
        *part ? PLUCK_OK : plk_config_create(part, import->allocator, import->err);
    if (status != PLUCK_OK)
        return status;
    status = pluck_config_set_json(*part, flat_key, json_value, &inner);
    if (done)
        *done = status == PLUCK_OK;
    if (status != PLUCK_ERR_CONFIG)
        return status == PLUCK_OK ? status : plk_fail(import->err, status, "%s", inner.message);
    if (!done)
        return plk_fail(import->err, status, "%s", inner.message);
    return import->current ? plk_import_say(import, PLUCK_IMPORT_REFUSED,
                                            "pluck cannot do this: %s", inner.message)
                           : plk_import_say_of(import, flat_key, PLUCK_IMPORT_REFUSED,
                                               "pluck cannot do this: %s", inner.message);
}

pluck_status plk_import_set_number(plk_import *import, const char *flat_key, double value,
                                   bool *done)
{
    char text[PLK_NUMBER_TEXT_BYTES];
    plk_number_write(value, text);
    return plk_import_set(import, flat_key, text, done);
}

pluck_status plk_import_default(plk_import *import, const char *key, const char *flat_key,
                                const char *json_value)
{
    pluck_status status = plk_import_set(import, flat_key, json_value, NULL);
    if (status != PLUCK_OK)
        return status;
    return plk_import_say_of(import, key, PLUCK_IMPORT_MAPPED,
                             "%s: absent; the default of %s is %s", flat_key,
                             import->importer->title, json_value);
}

/* A value for notes: as it is written, cut to what a note can bear. */
static void quote_value(const plk_import *import, const plk_json_node *node,
                        char quoted[VALUE_BYTES])
{
    size_t n = 0;
    const char *text = plk_json_source(import->json, node, &n);
    snprintf(quoted, VALUE_BYTES, "%.*s%s", n > 24 ? 24 : (int)n, text, n > 24 ? "..." : "");
}

static pluck_status say_rejected(plk_import *import, const plk_import_limits *limits,
                                 const plk_json_node *node)
{
    char value[VALUE_BYTES], low[PLK_NUMBER_TEXT_BYTES], high[PLK_NUMBER_TEXT_BYTES] = "";
    bool is_bounded = isfinite(limits->high);
    quote_value(import, node, value);
    plk_number_write(limits->low, low);
    if (is_bounded)
        plk_number_write(limits->high, high);
    return plk_import_say(import, PLUCK_IMPORT_REFUSED, "%s rejects %s: it has to be %s %s%s%s",
                          import->importer->title, value, limits->above_low ? "above" : "at least",
                          low, is_bounded ? " and at most " : "", high);
}

/* Whether a number is within limits. */
static bool is_within(const plk_import_limits *limits, double value)
{
    return value <= limits->high &&
           (limits->above_low ? value > limits->low : value >= limits->low);
}

static pluck_status map_number(plk_import *import, const plk_import_rule *rule,
                               const plk_json_node *node, double value)
{
    char given[VALUE_BYTES], used[PLK_NUMBER_TEXT_BYTES] = "", text[PLK_NUMBER_MAX_TEXT + 1];
    double result = value;
    size_t n = 0;
    bool done = true;
    const char *source = plk_json_is(node, PLK_JSON_NUMBER)
                             ? plk_json_source(import->json, node, &n)
                             : plk_json_string(node);
    n = plk_json_is(node, PLK_JSON_NUMBER) ? n : strlen(source);
    snprintf(text, sizeof text, "%.*s", (int)n, source);
    if (rule->limits && rule->limits->whole)
        result = trunc(result);
    if (rule->limits)
        result = fmin(fmax(result, rule->limits->low), rule->limits->high);
    if (result != value && isfinite(result)) {
        plk_number_write(result, used);
        snprintf(text, sizeof text, "%s", used);
    }
    pluck_status status = plk_import_set(import, rule->flat_key, text, &done);
    if (status != PLUCK_OK || !done)
        return status;
    quote_value(import, node, given);
    if (used[0] != '\0')
        return plk_import_say(import, PLUCK_IMPORT_MAPPED, "%s: %s takes %s for %s", rule->flat_key,
                              import->importer->title, used, given);
    return plk_import_say(import, PLUCK_IMPORT_MAPPED, "%s%s%s", rule->flat_key,
                          rule->note ? ": " : "", rule->note ? rule->note : "");
}

pluck_status plk_import_number(plk_import *import, const plk_import_rule *rule,
                               const plk_json_node *node)
{
    double value = 0;
    pluck_status status = plk_import_number_of(import, node, &value);
    if (status != PLUCK_OK)
        return status;
    if (number_is_off(rule->off, value)) {
        const char *as = rule->off_as ? rule->off_as : "0";
        status = plk_import_set(import, rule->flat_key, as, NULL);
        if (status != PLUCK_OK)
            return status;
        if (value == plk_number_read(as, strlen(as)))
            return plk_import_say(import, PLUCK_IMPORT_MAPPED, "%s", rule->flat_key);
        char given[VALUE_BYTES];
        quote_value(import, node, given);
        return plk_import_say(import, PLUCK_IMPORT_MAPPED, "%s: %s is off in %s", rule->flat_key,
                              given, import->importer->title);
    }
    if (rule->limits && rule->limits->outside == PLK_IMPORT_REJECTS &&
        !is_within(rule->limits, value))
        return say_rejected(import, rule->limits, node);
    return map_number(import, rule, node, value);
}

pluck_status plk_import_random_number(plk_import *import, const plk_import_rule *rule,
                                      const plk_json_node *node)
{
    if (!import->greedy)
        return plk_import_number(import, rule, node);
    return plk_import_say(import, PLUCK_IMPORT_IGNORED,
                          "the most probable token is taken, so this does not matter");
}

pluck_status plk_import_seed(plk_import *import, const plk_import_rule *rule,
                             const plk_json_node *node)
{
    double value = 0;
    uint64_t magnitude = 0;
    bool negative = false, done = true;
    size_t n = 0;
    char text[32];
    pluck_status status = plk_import_number_of(import, node, &value);
    if (status != PLUCK_OK)
        return status;
    if (number_is_off(rule->off ? rule->off : "-1", value)) {
        status = plk_import_set(import, "seed", "\"random\"", NULL);
        return status == PLUCK_OK ? plk_import_say(import, PLUCK_IMPORT_MAPPED, "seed: random")
                                  : status;
    }
    const char *source = plk_json_is(node, PLK_JSON_NUMBER)
                             ? plk_json_source(import->json, node, &n)
                             : plk_json_string(node);
    n = plk_json_is(node, PLK_JSON_NUMBER) ? n : strlen(source);
    if (plk_number_whole(source, n, &negative, &magnitude) != PLK_WHOLE)
        return plk_json_fail(import->json, node, import->err,
                             "a seed is a whole number below 2^64, not %.*s", n > 24 ? 24 : (int)n,
                             source);
    snprintf(text, sizeof text, "%llu",
             (unsigned long long)(negative ? UINT64_C(0) - magnitude : magnitude));
    status = plk_import_set(import, "seed", text, &done);
    if (status != PLUCK_OK || !done)
        return status;
    return plk_import_say(import, PLUCK_IMPORT_MAPPED,
                          negative ? "seed: its two's complement" : "seed");
}

/* A token id as engines that call int() read it: digits, perhaps with a sign or spaces around. */
static bool token_of_key(const char *key, pluck_token *token)
{
    static const char whitespace[] = " \t\r\n\f\v";
    char digits[16];
    key += strspn(key, whitespace);
    key += *key == '+';
    size_t n = strspn(key, "0123456789");
    if (n == 0 || n >= sizeof digits || key[n + strspn(key + n, whitespace)] != '\0')
        return false;
    snprintf(digits, sizeof digits, "%.*s", (int)n, key);
    double value = plk_number_read(digits, n);
    *token = value < PLUCK_MAX_VOCAB ? (pluck_token)value : 0;
    return value < PLUCK_MAX_VOCAB;
}

pluck_status plk_import_bias_map(plk_import *import, const plk_import_rule *rule,
                                 const plk_json_node *node)
{
    size_t n_before = import->n_biases;
    bool clamped = false;
    if (!plk_json_is(node, PLK_JSON_OBJECT))
        return plk_json_fail(import->json, node, import->err,
                             "expected an object from token ids to biases, not %s",
                             plk_json_kind_name(node));
    for (const plk_json_node *item = plk_json_child(node); item; item = plk_json_sibling(item)) {
        pluck_token token = 0;
        double value = 0;
        if (!token_of_key(plk_json_key(item), &token)) {
            import->n_biases = n_before;
            return plk_import_say(import, PLUCK_IMPORT_REFUSED,
                                  "'%.24s' is not a token id; %s takes ids only",
                                  plk_json_key(item), import->importer->title);
        }
        pluck_status status = plk_import_number_of(import, item, &value);
        if (status != PLUCK_OK)
            return status;
        if (rule->limits && !is_within(rule->limits, value)) {
            if (rule->limits->outside == PLK_IMPORT_REJECTS) {
                import->n_biases = n_before;
                return say_rejected(import, rule->limits, item);
            }
            value = fmin(fmax(value, rule->limits->low), rule->limits->high);
            clamped = true;
        }
        status = plk_import_add_bias(import, token, value);
        if (status != PLUCK_OK)
            return status;
    }
    if (!plk_json_child(node))
        return plk_import_say(import, PLUCK_IMPORT_IGNORED, "this value has no effect");
    if (clamped) {
        char low[PLK_NUMBER_TEXT_BYTES], high[PLK_NUMBER_TEXT_BYTES];
        plk_number_write(rule->limits->low, low);
        plk_number_write(rule->limits->high, high);
        return plk_import_say(import, PLUCK_IMPORT_MAPPED, "logit_bias: %s limits each to [%s, %s]",
                              import->importer->title, low, high);
    }
    return plk_import_say(import, PLUCK_IMPORT_MAPPED, "logit_bias");
}

pluck_status plk_import_ban_list(plk_import *import, const plk_import_rule *rule,
                                 const plk_json_node *node)
{
    size_t n_banned = 0, n_skipped = 0;
    (void)rule;
    if (!plk_json_is(node, PLK_JSON_ARRAY))
        return plk_json_fail(import->json, node, import->err,
                             "expected an array of token ids, not %s", plk_json_kind_name(node));
    for (const plk_json_node *item = plk_json_child(node); item; item = plk_json_sibling(item)) {
        pluck_token token = 0;
        if (!plk_json_is(item, PLK_JSON_NUMBER))
            return plk_json_fail(import->json, item, import->err, "expected a token id, not %s",
                                 plk_json_kind_name(item));
        if (!plk_import_token_of(item, &token)) {
            n_skipped++;
            continue;
        }
        pluck_status status = plk_import_add_bias(import, token, -(double)INFINITY);
        if (status != PLUCK_OK)
            return status;
        n_banned++;
    }
    if (n_banned == 0)
        return plk_import_say(import, PLUCK_IMPORT_IGNORED, "this value has no effect");
    return plk_import_say(import, PLUCK_IMPORT_MAPPED, "logit_bias: these tokens are banned%s",
                          n_skipped > 0 ? ", except those that are not token ids" : "");
}

pluck_status plk_import_ban_text(plk_import *import, const plk_import_rule *rule,
                                 const plk_json_node *node)
{
    size_t n_before = import->n_biases;
    size_t n_banned = 0;
    (void)rule;
    if (!plk_json_is(node, PLK_JSON_STRING))
        return plk_json_fail(import->json, node, import->err,
                             "expected a string of token ids, not %s", plk_json_kind_name(node));
    for (const char *at = plk_json_string(node); *at != '\0';) {
        size_t n = strcspn(at, ",");
        char word[24];
        pluck_token token = 0;
        snprintf(word, sizeof word, "%.*s", n < sizeof word ? (int)n : 23, at);
        at += n + (at[n] == ',');
        if (word[strspn(word, " \t\n")] == '\0')
            continue;
        if (!token_of_key(word, &token)) {
            import->n_biases = n_before;
            return plk_import_say(import, PLUCK_IMPORT_REFUSED, "'%s' is not a token id", word);
        }
        pluck_status status = plk_import_add_bias(import, token, -(double)INFINITY);
        if (status != PLUCK_OK)
            return status;
        n_banned++;
    }
    if (n_banned == 0)
        return plk_import_say(import, PLUCK_IMPORT_IGNORED, "this value has no effect");
    return plk_import_say(import, PLUCK_IMPORT_MAPPED, "logit_bias: these tokens are banned");
}

pluck_status plk_import_add_bias(plk_import *import, pluck_token token, double value)
{
    pluck_status status = plk_grow(import->allocator, &import->biases, &import->biases_capacity,
                                   import->n_biases + 1, sizeof *import->biases, import->err);
    if (status != PLUCK_OK)
        return status;
    import->biases[import->n_biases++] = (pluck_bias){.token = token, .bias = value};
    return PLUCK_OK;
}

/* Sorts, and makes one bias of those of the same token. */
static pluck_status merge_biases(plk_import *import)
{
    size_t n = import->n_biases;
    pluck_bias *scratch = plk_alloc(import->allocator, n, sizeof *scratch);
    if (!scratch)
        return plk_fail_nomem(import->err, n * sizeof *scratch);
    plk_sort(import->biases, scratch, n, sizeof *scratch, plk_bias_before);
    plk_free(import->allocator, scratch);
    size_t last = 0;
    for (size_t i = 1; i < n; i++) {
        pluck_bias *merged = &import->biases[last];
        const pluck_bias *next = &import->biases[i];
        if (next->token != merged->token)
            import->biases[++last] = *next;
        else if (isinf(merged->bias) || isinf(next->bias))
            merged->bias = -(double)INFINITY;
        else
            merged->bias =
                import->importer->merge == PLK_IMPORT_SUM ? merged->bias + next->bias : next->bias;
    }
    import->n_biases = last + 1;
    return PLUCK_OK;
}

pluck_status plk_import_set_biases(plk_import *import)
{
    enum { ITEM_BYTES = PLK_NUMBER_TEXT_BYTES + 16 };
    if (import->n_biases == 0)
        return PLUCK_OK;
    pluck_status status = merge_biases(import);
    if (status != PLUCK_OK)
        return status;
    size_t capacity = import->n_biases * ITEM_BYTES + 3;
    char *text = plk_alloc(import->allocator, capacity, 1);
    size_t n = 0;
    if (!text)
        return plk_fail_nomem(import->err, capacity);
    for (size_t i = 0; i < import->n_biases; i++) {
        char number[PLK_NUMBER_TEXT_BYTES] = "false";
        if (!isinf(import->biases[i].bias))
            plk_number_write(import->biases[i].bias, number);
        n += (size_t)snprintf(text + n, capacity - n, "%c\"%u\":%s", i != 0 ? ',' : '{',
                              (unsigned)import->biases[i].token, number);
    }
    snprintf(text + n, capacity - n, "}");
    bool done = true;
    status = plk_import_set(import, "logit_bias", text, &done);
    plk_free(import->allocator, text);
    return status;
}

/* Writes the n tokens, each once. text has room for 10 bytes of each. */
static void write_tokens(char *text, pluck_token *tokens, size_t n)
{
    size_t at = 0;
    plk_sort(tokens, tokens + n, n, sizeof *tokens, plk_token_before);
    text[at++] = '[';
    for (size_t i = 0; i < n; i++)
        if (i == 0 || tokens[i] != tokens[i - 1])
            at += (size_t)snprintf(text + at, 12, "%s%u", i != 0 ? "," : "", (unsigned)tokens[i]);
    memcpy(text + at, "]", 2);
}

pluck_status plk_import_token_list(plk_import *import, const plk_json_node *node, char **text)
{
    size_t capacity = 1, n = 0;
    *text = NULL;
    for (const plk_json_node *item = plk_json_child(node); item; item = plk_json_sibling(item))
        capacity++;
    pluck_token *tokens = plk_alloc(import->allocator, capacity, 2 * sizeof *tokens);
    if (!tokens)
        return plk_fail_nomem(import->err, capacity * 2 * sizeof *tokens);
    if (plk_json_is(node, PLK_JSON_NUMBER) && plk_import_token_of(node, &tokens[0]))
        n = 1;
    for (const plk_json_node *item = plk_json_is(node, PLK_JSON_ARRAY) ? plk_json_child(node)
                                                                       : NULL;
         item; item = plk_json_sibling(item))
        n += plk_import_token_of(item, &tokens[n]);
    if (n > 0) {
        *text = plk_alloc(import->allocator, n + 2, 11);
        if (*text)
            write_tokens(*text, tokens, n);
    }
    plk_free(import->allocator, tokens);
    return n > 0 && !*text ? plk_fail_nomem(import->err, n * 11) : PLUCK_OK;
}
