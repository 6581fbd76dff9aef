/*
 * Readers that the tables of all engines share. A value that has the right type but is out of
 * range never ends an import: what the engine does with it decides, and where pluck cannot do that,
 * the key is refused. A value of the wrong type is an error, as it is for the engines.
 */
#include "config/import_impl.h"

#include "base/alloc.h"
#include "json/json.h"

#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { NOTE_BYTES = 400, VALUE_BYTES = 40 };

const plk_import_limits plk_rejects_below_0 = {
    .low = 0, .high = (double)INFINITY, .outside = PLK_IMPORT_REJECTS};
const plk_import_limits plk_rejects_below_1 = {
    .low = 1, .high = (double)INFINITY, .outside = PLK_IMPORT_REJECTS};
const plk_import_limits plk_rejects_to_0 = {
    .low = 0, .high = (double)INFINITY, .outside = PLK_IMPORT_REJECTS, .above_low = true};
const plk_import_limits plk_rejects_outside_1 = {
    .low = 0, .high = 1, .outside = PLK_IMPORT_REJECTS};
const plk_import_limits plk_rejects_to_0_above_1 = {
    .low = 0, .high = 1, .outside = PLK_IMPORT_REJECTS, .above_low = true};
const plk_import_limits plk_clamps_at_0 = {.low = 0, .high = (double)INFINITY};
const plk_import_limits plk_clamps_at_0_and_1 = {.low = 0, .high = 1};
const plk_import_limits plk_clamps_whole = {.low = 0, .high = INT32_MAX, .whole = true};

static void tell(plk_import *import, const char *key, pluck_import_fate fate, const char *format,
                 va_list arguments)
{
    char note[NOTE_BYTES] = "";
    if (import->status != PLUCK_OK)
        return;
    if (format)
        vsnprintf(note, sizeof note, format, arguments);
    if (import->report)
        import->report(import->user, key, fate, note);
}

void plk_import_say(plk_import *import, pluck_import_fate fate, const char *format, ...)
{
    const plk_import_member *member = import->current;
    va_list arguments;
    va_start(arguments, format);
    tell(import, member->path ? member->path : plk_json_key(member->node), fate, format, arguments);
    va_end(arguments);
}

void plk_import_say_of(plk_import *import, const char *key, pluck_import_fate fate,
                       const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    tell(import, key, fate, format, arguments);
    va_end(arguments);
}

void plk_import_fail(plk_import *import, pluck_status status)
{
    if (import->status == PLUCK_OK)
        import->status = status;
}

void plk_import_fail_kind(plk_import *import, const plk_json_node *node, const char *expected)
{
    if (import->status == PLUCK_OK)
        import->status = plk_json_fail_kind(import->json, node, import->err, expected);
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
    return plk_json_is(plk_import_member_of(import, key), PLK_JSON_TRUE);
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

/* The text of a number; NULL: the node is not one. */
static const char *number_text(const plk_import *import, const plk_json_node *node, size_t *length)
{
    *length = 0;
    if (plk_json_is(node, PLK_JSON_NUMBER))
        return plk_json_source(import->json, node, length);
    const char *text = import->importer->lax ? plk_json_string(node) : NULL;
    if (!text || !is_number_text(text))
        return NULL;
    *length = strlen(text);
    return text;
}

/* The number that a node is, or absent. */
static double number_or(const plk_import *import, const plk_json_node *node, double absent)
{
    size_t n = 0;
    if (plk_json_is(node, PLK_JSON_NUMBER))
        return plk_json_number(node);
    const char *text = number_text(import, node, &n);
    return text ? plk_number_read(text, n) : absent;
}

double plk_import_number_at(const plk_import *import, const char *key, double absent)
{
    return number_or(import, plk_import_member_of(import, key), absent);
}

double plk_import_number_of(plk_import *import, const plk_json_node *node)
{
    double value = number_or(import, node, (double)NAN);
    if (isnan(value))
        plk_import_fail_kind(import, node, "a number");
    return import->status == PLUCK_OK ? value : (double)NAN;
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
    double value = number_or(import, node, (double)NAN);
    if (!isnan(value))
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

void plk_import_ignore(plk_import *import, const plk_import_rule *rule, const plk_json_node *node)
{
    (void)node;
    plk_import_say(import, PLUCK_IMPORT_IGNORED, "%s", rule->note);
}

void plk_import_mapped(plk_import *import, const plk_import_rule *rule, const plk_json_node *node)
{
    (void)node;
    plk_import_say(import, PLUCK_IMPORT_MAPPED, "%s", rule->note);
}

void plk_import_refuse(plk_import *import, const plk_import_rule *rule, const plk_json_node *node)
{
    if (plk_import_is_off(import, rule->off, node))
        plk_import_say(import, PLUCK_IMPORT_IGNORED, PLK_NO_EFFECT);
    else
        plk_import_say(import, PLUCK_IMPORT_REFUSED, "%s", rule->note);
}

void plk_import_format(plk_import *import, const plk_import_rule *rule, const plk_json_node *node)
{
    const plk_json_node *type =
        plk_json_is(node, PLK_JSON_OBJECT) ? plk_json_member(node, "type") : node;
    plk_import_refuse(import, rule, type ? type : node);
}

void plk_import_text(plk_import *import, const plk_import_rule *rule, const plk_json_node *node)
{
    const plk_json_node *format = plk_json_member(node, "format");
    if (!format || plk_json_is(format, PLK_JSON_NULL))
        plk_import_say(import, PLUCK_IMPORT_IGNORED, "asks for no format");
    else
        plk_import_format(import, rule, format);
}

void plk_import_switch(plk_import *import, const plk_import_rule *rule, const plk_json_node *node)
{
    const char *drawn = plk_json_is(node, PLK_JSON_TRUE) ? "draw: categorical" : "draw: greedy";
    if (!plk_json_is_bool(node))
        plk_import_fail_kind(import, node, "true or false");
    plk_import_say(import, PLUCK_IMPORT_MAPPED, "%s", rule->note ? rule->note : drawn);
}

/* Whether the value was set; *refusal: why not, if pluck refuses it. */
static bool set(plk_import *import, const char *flat_key, const char *json_value,
                pluck_error *refusal)
{
    pluck_config **part = &import->parts[import->part]; /* made when it is first needed */
    if (import->status == PLUCK_OK && !*part)
        import->status = plk_config_create(part, import->allocator, import->err);
    if (import->status != PLUCK_OK)
        return false;
    pluck_status status = pluck_config_set_json(*part, flat_key, json_value, refusal);
    if (status != PLUCK_OK && status != PLUCK_ERR_CONFIG)
        import->status = plk_fail(import->err, status, "%s", refusal->message);
    return status == PLUCK_OK;
}

bool plk_import_set(plk_import *import, const char *flat_key, const char *json_value)
{
    pluck_error refusal = {.status = PLUCK_OK};
    bool is_set = set(import, flat_key, json_value, &refusal);
    if (!is_set && import->status == PLUCK_OK)
        import->status = plk_fail(import->err, refusal.status, "%s", refusal.message);
    return is_set;
}

bool plk_import_try(plk_import *import, const char *flat_key, const char *json_value)
{
    static const char format[] = "pluck cannot do this: %s";
    pluck_error refusal = {.status = PLUCK_OK};
    bool is_set = set(import, flat_key, json_value, &refusal);
    if (!is_set && import->current)
        plk_import_say(import, PLUCK_IMPORT_REFUSED, format, refusal.message);
    else if (!is_set)
        plk_import_say_of(import, flat_key, PLUCK_IMPORT_REFUSED, format, refusal.message);
    return is_set;
}

bool plk_import_try_number(plk_import *import, const char *flat_key, double value)
{
    char text[PLK_NUMBER_TEXT_BYTES];
    plk_number_write(value, text);
    return plk_import_try(import, flat_key, text);
}

void plk_import_set_default(plk_import *import, const char *key, const char *flat_key,
                            const char *json_value)
{
    if (plk_import_set(import, flat_key, json_value))
        plk_import_say_of(import, key, PLUCK_IMPORT_MAPPED, "%s: absent; the default of %s is %s",
                          flat_key, import->importer->title, json_value);
}

/* A value for notes: as it is written, cut to what a note can bear. */
static void quote_value(const plk_import *import, const plk_json_node *node,
                        char quoted[VALUE_BYTES])
{
    size_t n = 0;
    const char *text = plk_json_source(import->json, node, &n);
    snprintf(quoted, VALUE_BYTES, "%.*s%s", n > 24 ? 24 : (int)n, text, n > 24 ? "..." : "");
}

static void say_rejected(plk_import *import, const plk_import_limits *limits,
                         const plk_json_node *node)
{
    char value[VALUE_BYTES], low[PLK_NUMBER_TEXT_BYTES], high[PLK_NUMBER_TEXT_BYTES] = "";
    bool is_bounded = isfinite(limits->high);
    quote_value(import, node, value);
    plk_number_write(limits->low, low);
    if (is_bounded)
        plk_number_write(limits->high, high);
    plk_import_say(import, PLUCK_IMPORT_REFUSED, "%s rejects %s: it has to be %s %s%s%s",
                   import->importer->title, value, limits->above_low ? "above" : "at least", low,
                   is_bounded ? " and at most " : "", high);
}

/* Whether a number is one that the engine answers with an error. */
static bool is_rejected(const plk_import_limits *limits, double value)
{
    return limits && limits->outside == PLK_IMPORT_REJECTS &&
           !(value <= limits->high &&
             (limits->above_low ? value > limits->low : value >= limits->low));
}

static void map_number(plk_import *import, const plk_import_rule *rule, const plk_json_node *node,
                       double value)
{
    char given[VALUE_BYTES], used[PLK_NUMBER_TEXT_BYTES] = "", text[PLK_NUMBER_MAX_TEXT + 1];
    const plk_import_limits *limits = rule->limits;
    double result = value;
    size_t n = 0;
    const char *source = number_text(import, node, &n);
    snprintf(text, sizeof text, "%.*s", (int)n, source);
    if (limits)
        result = fmin(fmax(limits->whole ? trunc(value) : value, limits->low), limits->high);
    if (result != value && isfinite(result)) {
        plk_number_write(result, used);
        snprintf(text, sizeof text, "%s", used);
    }
    if (!plk_import_try(import, rule->flat_key, text))
        return;
    quote_value(import, node, given);
    if (used[0] != '\0')
        plk_import_say(import, PLUCK_IMPORT_MAPPED, "%s: %s takes %s for %s", rule->flat_key,
                       import->importer->title, used, given);
    else
        plk_import_say(import, PLUCK_IMPORT_MAPPED, "%s%s%s", rule->flat_key,
                       rule->note ? ": " : "", rule->note ? rule->note : "");
}

void plk_import_number(plk_import *import, const plk_import_rule *rule, const plk_json_node *node)
{
    char given[VALUE_BYTES];
    double value = plk_import_number_of(import, node);
    if (isnan(value))
        return;
    if (number_is_off(rule->off, value)) {
        const char *as = rule->off_as ? rule->off_as : "0";
        bool is_same = value == plk_number_read(as, strlen(as));
        quote_value(import, node, given);
        if (plk_import_set(import, rule->flat_key, as) && is_same)
            plk_import_say(import, PLUCK_IMPORT_MAPPED, "%s", rule->flat_key);
        else
            plk_import_say(import, PLUCK_IMPORT_MAPPED, "%s: %s is off in %s", rule->flat_key,
                           given, import->importer->title);
    } else if (is_rejected(rule->limits, value)) {
        say_rejected(import, rule->limits, node);
    } else {
        map_number(import, rule, node, value);
    }
}

void plk_import_random_number(plk_import *import, const plk_import_rule *rule,
                              const plk_json_node *node)
{
    if (!import->greedy)
        plk_import_number(import, rule, node);
    else
        plk_import_say(import, PLUCK_IMPORT_IGNORED,
                       "the most probable token is taken, so this does not matter");
}

void plk_import_seed(plk_import *import, const plk_import_rule *rule, const plk_json_node *node)
{
    uint64_t magnitude = 0;
    bool negative = false;
    size_t n = 0;
    char text[32];
    double value = plk_import_number_of(import, node);
    if (isnan(value))
        return;
    if (number_is_off(rule->off ? rule->off : "-1", value)) {
        if (plk_import_set(import, "seed", "\"random\""))
            plk_import_say(import, PLUCK_IMPORT_MAPPED, "seed: random");
        return;
    }
    const char *source = number_text(import, node, &n);
    if (plk_number_whole(source, n, &negative, &magnitude) != PLK_WHOLE)
        plk_import_fail(import, plk_json_fail(import->json, node, import->err,
                                              "a seed is a whole number below 2^64, not %.*s",
                                              n > 24 ? 24 : (int)n, source));
    snprintf(text, sizeof text, "%llu",
             (unsigned long long)(negative ? UINT64_C(0) - magnitude : magnitude));
    if (plk_import_try(import, "seed", text))
        plk_import_say(import, PLUCK_IMPORT_MAPPED,
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

void plk_import_bias_map(plk_import *import, const plk_import_rule *rule, const plk_json_node *node)
{
    const plk_import_limits *limits = rule->limits;
    size_t n_before = import->n_biases;
    bool clamped = false;
    if (!plk_json_is(node, PLK_JSON_OBJECT))
        plk_import_fail_kind(import, node, "an object from token ids to biases");
    for (const plk_json_node *item = plk_json_child(node); item && import->status == PLUCK_OK;
         item = plk_json_sibling(item)) {
        pluck_token token = 0;
        if (!token_of_key(plk_json_key(item), &token)) {
            import->n_biases = n_before;
            plk_import_say(import, PLUCK_IMPORT_REFUSED,
                           "'%.24s' is not a token id, and %s takes ids only; no bias is used",
                           plk_json_key(item), import->importer->title);
            return;
        }
        double value = plk_import_number_of(import, item);
        if (is_rejected(limits, value) && import->status == PLUCK_OK) {
            import->n_biases = n_before;
            say_rejected(import, limits, item);
            return;
        }
        double used = limits ? fmin(fmax(value, limits->low), limits->high) : value;
        clamped = clamped || used < value || used > value;
        plk_import_add_bias(import, token, used);
    }
    if (!plk_json_child(node)) {
        plk_import_say(import, PLUCK_IMPORT_IGNORED, PLK_NO_EFFECT);
    } else if (clamped) {
        char low[PLK_NUMBER_TEXT_BYTES], high[PLK_NUMBER_TEXT_BYTES];
        plk_number_write(limits->low, low);
        plk_number_write(limits->high, high);
        plk_import_say(import, PLUCK_IMPORT_MAPPED, "logit_bias: %s limits each to [%s, %s]",
                       import->importer->title, low, high);
    } else {
        plk_import_say(import, PLUCK_IMPORT_MAPPED, "logit_bias");
    }
}

static void say_banned(plk_import *import, bool any, const char *except)
{
    if (any)
        plk_import_say(import, PLUCK_IMPORT_MAPPED, "logit_bias: these tokens are banned%s",
                       except);
    else
        plk_import_say(import, PLUCK_IMPORT_IGNORED, PLK_NO_EFFECT);
}

void plk_import_ban_list(plk_import *import, const plk_import_rule *rule, const plk_json_node *node)
{
    size_t n_banned = 0, n_skipped = 0;
    (void)rule;
    if (!plk_json_is(node, PLK_JSON_ARRAY))
        plk_import_fail_kind(import, node, "an array of token ids");
    for (const plk_json_node *item = plk_json_child(node); item && import->status == PLUCK_OK;
         item = plk_json_sibling(item)) {
        pluck_token token = 0;
        bool is_token = plk_import_token_of(item, &token);
        if (!plk_json_is(item, PLK_JSON_NUMBER))
            plk_import_fail_kind(import, item, "a token id");
        if (is_token)
            plk_import_add_bias(import, token, -(double)INFINITY);
        n_banned += is_token;
        n_skipped += !is_token;
    }
    say_banned(import, n_banned > 0, n_skipped > 0 ? ", except those that are not token ids" : "");
}

void plk_import_ban_text(plk_import *import, const plk_import_rule *rule, const plk_json_node *node)
{
    size_t n_before = import->n_biases;
    (void)rule;
    if (!plk_json_is(node, PLK_JSON_STRING)) {
        plk_import_fail_kind(import, node, "a string of token ids");
        return;
    }
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
            plk_import_say(import, PLUCK_IMPORT_REFUSED, "'%s' is not a token id", word);
            return;
        }
        plk_import_add_bias(import, token, -(double)INFINITY);
    }
    say_banned(import, import->n_biases > n_before, "");
}

void plk_import_add_bias(plk_import *import, pluck_token token, double value)
{
    if (import->status == PLUCK_OK)
        import->status = plk_grow(import->allocator, &import->biases, &import->biases_capacity,
                                  import->n_biases + 1, sizeof *import->biases, import->err);
    if (import->status == PLUCK_OK)
        import->biases[import->n_biases++] = (pluck_bias){.token = token, .bias = value};
}

/* Memory, or a failure. */
static void *allocate(plk_import *import, size_t n, size_t size_bytes)
{
    void *memory = import->status == PLUCK_OK ? plk_alloc(import->allocator, n, size_bytes) : NULL;
    if (!memory && import->status == PLUCK_OK)
        import->status = plk_fail_nomem(import->err, n * size_bytes);
    return memory;
}

/* Sorts, and makes one bias of those of the same token. */
static void merge_biases(plk_import *import)
{
    size_t n = import->n_biases, last = 0;
    pluck_bias *scratch = allocate(import, n, sizeof *scratch);
    if (!scratch)
        return;
    plk_sort(import->biases, scratch, n, sizeof *scratch, plk_bias_before);
    plk_free(import->allocator, scratch);
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
}

void plk_import_set_biases(plk_import *import)
{
    enum { ITEM_BYTES = PLK_NUMBER_TEXT_BYTES + 16 };
    if (import->n_biases == 0)
        return;
    merge_biases(import);
    size_t capacity = import->n_biases * ITEM_BYTES + 3, n = 0;
    char *text = allocate(import, capacity, 1);
    if (!text)
        return;
    for (size_t i = 0; i < import->n_biases; i++) {
        char number[PLK_NUMBER_TEXT_BYTES] = "false";
        if (!isinf(import->biases[i].bias))
            plk_number_write(import->biases[i].bias, number);
        n += (size_t)snprintf(text + n, capacity - n, "%c\"%u\":%s", i != 0 ? ',' : '{',
                              (unsigned)import->biases[i].token, number);
    }
    snprintf(text + n, capacity - n, "}");
    (void)plk_import_try(import, "logit_bias", text);
    plk_free(import->allocator, text);
}

char *plk_import_token_list(plk_import *import, const plk_json_node *node)
{
    enum { ITEM_BYTES = 11 };
    size_t capacity = 1, n = 0, at = 0;
    const plk_json_node *first = plk_json_is(node, PLK_JSON_ARRAY) ? plk_json_child(node) : node;
    for (const plk_json_node *item = plk_json_child(node); item; item = plk_json_sibling(item))
        capacity++;
    pluck_token *tokens = allocate(import, capacity, 2 * sizeof *tokens);
    char *text = tokens ? allocate(import, capacity + 2, ITEM_BYTES) : NULL;
    for (const plk_json_node *item = text ? first : NULL; item;
         item = item == node ? NULL : plk_json_sibling(item))
        n += plk_import_token_of(item, &tokens[n]);
    if (n > 0)
        plk_sort(tokens, tokens + n, n, sizeof *tokens, plk_token_before);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || tokens[i] != tokens[i - 1])
            at += (size_t)snprintf(text + at, ITEM_BYTES, "%c%u", i != 0 ? ',' : '[',
                                   (unsigned)tokens[i]);
    plk_free(import->allocator, tokens);
    if (n > 0) {
        memcpy(text + at, "]", 2);
        return text;
    }
    plk_free(import->allocator, text);
    return NULL;
}
