/*
 * Numbers are written so that they read back to the same bits.
 *
 * Lines may come from anywhere: every member is checked for its type and range, and those that say
 * the same thing twice for agreement. Members that are not known are ignored.
 */
#include "trace_line.h"

#include "json/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* words: the first n_recorded of n. */
static void add_words(draw_record *record, const uint64_t *words, size_t n, size_t n_recorded)
{
    for (size_t i = 0; i < n && i < n_recorded && record->n_words + i < RECORDED_WORDS; i++)
        record->words[record->n_words + i] = words[i];
    record->n_words += n;
}

pluck_status record_draw(pluck_sampler *sampler, pluck_logits logits, pluck_trace *trace,
                         draw_record *record, pluck_error *err)
{
    pluck_status status = pluck_trace_run(trace, sampler, logits, NULL, 0, err);
    if (status != PLUCK_OK)
        return status;
    const pluck_trace_report *report = pluck_trace_get_report(trace);
    const pluck_trace_draw *d = report->draw;
    *record = (draw_record){.low = d->low, .high = d->high, .at = d->at};
    for (size_t i = 0; i < report->n_stages; i++) {
        const pluck_stage_report *r = report->stages[i];
        add_words(record, r->words, r->n_words, PLUCK_TRACE_WORDS);
    }
    add_words(record, d->words, d->n_words, PLUCK_TRACE_DRAW_WORDS);
    return PLUCK_OK;
}

static void print_list(output *out, const char *name, const token_list *list)
{
    json_open(out, name, '[');
    for (size_t i = 0; i < list->n; i++)
        json_token(out, NULL, list->tokens[i]);
    output_char(out, ']');
}

void print_origin(output *out, const draw_origin *origin, const draw_record *record)
{
    json_open(out, "trace", '{');
    json_count(out, "format", TRACE_LINE_FORMAT);
    json_key(out, "config");
    output_write(out, origin->config, origin->config_size_bytes);
    json_count(out, "seed", origin->seed);
    json_count(out, "stream", origin->stream);
    json_count(out, "position", origin->position);
    print_list(out, "prompt", &origin->prompt);
    if (origin->is_sequence) {
        json_count(out, "first_row", origin->first_row);
        if (origin->row_step != 1)
            json_count(out, "row_step", origin->row_step);
        print_list(out, "history", &origin->history);
    }
    json_count(out, "n_vocab", origin->n_vocab);
    json_string(out, "dtype", pluck_dtype_name(origin->dtype));
    json_word64(out, "logits", origin->hash);
    json_double(out, "low", record->low);
    json_double(out, "high", record->high);
    json_double(out, "at", record->at);
    json_count(out, "n_words", record->n_words);
    json_open(out, "words", '[');
    for (size_t i = 0; i < record->n_words && i < RECORDED_WORDS; i++)
        json_word64(out, NULL, record->words[i]);
    output_text(out, "]}");
}

/* The finaliser of SplitMix64 (Steele, Lea, Flood 2014). */
static uint64_t mix(uint64_t x)
{
    x += UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
    return x ^ x >> 31;
}

uint64_t row_hash(pluck_logits logits)
{
    size_t size_bytes = pluck_dtype_size_bytes(logits.dtype);
    const unsigned char *at = logits.data;
    uint64_t hash = mix((uint64_t)logits.dtype << 32 | logits.n_vocab);
    for (uint32_t i = 0; i < logits.n_vocab; i++, at += size_bytes) {
        uint32_t bits = 0;
        uint16_t half = 0;
        if (size_bytes == sizeof bits) {
            memcpy(&bits, at, sizeof bits);
        } else {
            memcpy(&half, at, sizeof half);
            bits = half;
        }
        hash = mix(hash ^ bits);
    }
    return hash;
}

/* Takes white space out that is not in a string; returns the new length. */
static size_t squeeze(char *json, size_t n)
{
    size_t used = 0;
    bool in_string = false;
    for (size_t i = 0; i < n; i++) {
        if (!in_string && strchr(" \n\t\r", json[i]))
            continue;
        if (in_string && json[i] == '\\' && i + 1 < n)
            json[used++] = json[i++];
        else if (json[i] == '"')
            in_string = !in_string;
        json[used++] = json[i];
    }
    return used;
}

char *config_line(const pluck_config *config, size_t *size_bytes)
{
    size_t n = 0;
    char *text = setup_config_json(config, &n);
    if (text)
        *size_bytes = squeeze(text, n);
    return text;
}

#define LINE_LIMIT_BYTES ((size_t)256 << 20)

static int complain_line(const line_source *lines, const char *what, const char *why)
{
    return complain(EXIT_DATA, "%s: line %llu: %s%s", lines->name,
                    (unsigned long long)lines->number, what, why);
}

/* Room for another byte and a NUL. */
static int make_room(line_source *lines)
{
    if (lines->n + 1 < lines->capacity)
        return EXIT_DONE;
    if (lines->capacity >= LINE_LIMIT_BYTES)
        return complain_line(lines, "is too long", "");
    bool ok = grow(&lines->text, &lines->capacity, lines->n + 2, 1);
    return ok ? EXIT_DONE : complain_memory();
}

int next_line(line_source *lines, bool *is_end)
{
    bool is_blank = true;
    int c = 0;
    *is_end = false;
    while (is_blank && c != EOF) {
        lines->n = 0;
        lines->number++;
        while ((c = getc(lines->file)) != EOF && c != '\n') {
            int code = make_room(lines);
            if (code != EXIT_DONE)
                return code;
            lines->text[lines->n++] = (char)c;
            is_blank = is_blank && strchr(" \t\r", c) && c != '\0';
        }
    }
    if (ferror((FILE *)lines->file))
        return complain(EXIT_SYSTEM, "%s: cannot be read", lines->name);
    *is_end = is_blank;
    if (!is_blank)
        lines->text[lines->n] = '\0';
    return EXIT_DONE;
}

/* A line while it is read: the first thing that is wrong with it is kept. */
typedef struct reading {
    const line_source *lines;
    int code;
} reading;

static bool fail(reading *r, const char *what, const char *why)
{
    if (r->code == EXIT_DONE)
        r->code = complain_line(r->lines, what, why);
    return false;
}

/* The member with this name; NULL, and a message, if there is none or more than one. */
static const plk_json_node *find(reading *r, const plk_json_node *object, const char *name)
{
    const plk_json_node *found = plk_json_member(object, name);
    if (r->code != EXIT_DONE)
        return NULL;
    if (!found)
        (void)fail(r, name, " is missing");
    for (const plk_json_node *node = found; node && r->code == EXIT_DONE;
         node = plk_json_sibling(node))
        if (node != found && strcmp(plk_json_key(node), name) == 0)
            (void)fail(r, name, " is there twice");
    return r->code == EXIT_DONE ? found : NULL;
}

/* A whole number in [0, max]. */
static bool is_count(const plk_json *json, const plk_json_node *node, uint64_t max, uint64_t *count)
{
    bool is_negative = false;
    size_t length = 0;
    const char *text = plk_json_source(json, node, &length);
    return plk_json_is(node, PLK_JSON_NUMBER) &&
           plk_number_whole(text, length, &is_negative, count) == PLK_WHOLE &&
           (!is_negative || *count == 0) && *count <= max;
}

static uint64_t read_count(reading *r, const plk_json *json, const plk_json_node *object,
                           const char *name, uint64_t max)
{
    uint64_t count = 0;
    const plk_json_node *node = find(r, object, name);
    if (node && !is_count(json, node, max, &count))
        (void)fail(r, name, " is not a whole number in its range");
    return count;
}

static double read_double(reading *r, const plk_json_node *object, const char *name)
{
    const plk_json_node *node = find(r, object, name);
    if (node && !plk_json_is(node, PLK_JSON_NUMBER))
        (void)fail(r, name, " is not a number");
    return plk_json_is(node, PLK_JSON_NUMBER) ? plk_json_number(node) : 0.0;
}

/* "0x" and 16 hexadecimal digits. */
static bool is_word(const plk_json_node *node, uint64_t *word)
{
    static const char digits[] = "0123456789abcdefABCDEF";
    const char *text = plk_json_string(node);
    if (!text || strncmp(text, "0x", 2) != 0 || strlen(text) != 18 ||
        strspn(text + 2, digits) != 16)
        return false;
    *word = strtoull(text + 2, NULL, 16);
    return true;
}

static uint64_t read_word(reading *r, const plk_json_node *object, const char *name)
{
    uint64_t word = 0;
    const plk_json_node *node = find(r, object, name);
    if (node && !is_word(node, &word))
        (void)fail(r, name, " is not \"0x\" and 16 hexadecimal digits");
    return word;
}

static size_t count_items(const plk_json_node *array)
{
    size_t n = 0;
    for (const plk_json_node *item = plk_json_child(array); item; item = plk_json_sibling(item))
        n++;
    return n;
}

static token_list read_tokens(reading *r, const plk_json *json, const plk_json_node *object,
                              const char *name, uint32_t n_vocab)
{
    token_list list = {NULL, 0};
    const plk_json_node *node = find(r, object, name);
    if (!node)
        return list;
    if (!plk_json_is(node, PLK_JSON_ARRAY)) {
        (void)fail(r, name, " is not a list of tokens");
        return list;
    }
    list.tokens = calloc(count_items(node) + 1, sizeof *list.tokens);
    if (!list.tokens) {
        r->code = complain_memory();
        return list;
    }
    for (const plk_json_node *item = plk_json_child(node); item && r->code == EXIT_DONE;
         item = plk_json_sibling(item)) {
        uint64_t token = 0;
        if (!is_count(json, item, n_vocab - 1, &token))
            (void)fail(r, name, " holds something that is not a token of the vocabulary");
        else
            list.tokens[list.n++] = (pluck_token)token;
    }
    return list;
}

static void read_words(reading *r, const plk_json *json, const plk_json_node *trace,
                       draw_record *record)
{
    record->n_words = (size_t)read_count(r, json, trace, "n_words", UINT32_MAX);
    const plk_json_node *node = find(r, trace, "words");
    size_t n = record->n_words < RECORDED_WORDS ? record->n_words : RECORDED_WORDS;
    if (!node)
        return;
    bool ok = plk_json_is(node, PLK_JSON_ARRAY) && count_items(node) == n;
    const plk_json_node *item = ok ? plk_json_child(node) : NULL;
    for (size_t i = 0; item && ok; item = plk_json_sibling(item))
        ok = is_word(item, &record->words[i++]);
    if (!ok)
        (void)fail(r, "words", " are not the number of 64-bit numbers that n_words says, up to 16");
}

/* Of logits, which are never f64. */
static pluck_dtype read_dtype(reading *r, const plk_json_node *trace)
{
    const plk_json_node *node = find(r, trace, "dtype");
    const char *name = plk_json_string(node);
    for (pluck_dtype dtype = PLUCK_F32; name && dtype <= PLUCK_BF16; dtype++)
        if (strcmp(name, pluck_dtype_name(dtype)) == 0)
            return dtype;
    if (node)
        (void)fail(r, "dtype", " is not f32, f16 or bf16");
    return PLUCK_F32;
}

/* The dump that the line names, which the caller frees; NULL if none. */
static char *read_name(reading *r, const plk_json_node *root)
{
    const plk_json_node *node = plk_json_member(root, "dump");
    const char *name = plk_json_string(node);
    if (r->code != EXIT_DONE || !node)
        return NULL;
    char *copy = name ? copy_text(name) : NULL;
    if (!name)
        (void)fail(r, "dump", " is not a text");
    else if (!copy)
        r->code = complain_memory();
    return copy;
}

/* Rows, draws and positions that contradict each other. */
static void check_agreement(reading *r, const replay_line *line)
{
    const draw_origin *o = &line->origin;
    if (r->code != EXIT_DONE)
        return;
    uint64_t n_before = o->is_sequence ? o->history.n : line->draw;
    if (o->position != o->prompt.n + n_before)
        fail(r, "position", " is not the number of tokens and draws before");
    else if (o->is_sequence &&
             (line->row < o->first_row || (line->row - o->first_row) / o->row_step != n_before ||
              (line->row - o->first_row) % o->row_step != 0))
        fail(r, "history", " does not have a token for each row from first_row on");
    else if (o->is_sequence && line->draw != 0)
        fail(r, "draw", " is not 0 in a sequence");
}

static void read_trace(reading *r, const plk_json *json, const plk_json_node *trace,
                       replay_line *line)
{
    draw_origin *o = &line->origin;
    if (!plk_json_is(trace, PLK_JSON_OBJECT))
        (void)fail(r, "trace", " is not an object");
    uint64_t format = read_count(r, json, trace, "format", UINT32_MAX);
    if (r->code == EXIT_DONE && format != TRACE_LINE_FORMAT)
        fail(r, "format", " is not 1, the one that this program knows");
    o->n_vocab = (uint32_t)read_count(r, json, trace, "n_vocab", PLUCK_MAX_VOCAB);
    if (r->code == EXIT_DONE && o->n_vocab == 0)
        fail(r, "n_vocab", " is 0");
    const plk_json_node *config = find(r, trace, "config");
    if (config)
        o->config = plk_json_source(json, config, &o->config_size_bytes);
    o->seed = read_count(r, json, trace, "seed", UINT64_MAX);
    o->stream = read_count(r, json, trace, "stream", UINT64_MAX);
    o->position = read_count(r, json, trace, "position", UINT64_MAX);
    o->dtype = read_dtype(r, trace);
    o->hash = read_word(r, trace, "logits");
    o->prompt = read_tokens(r, json, trace, "prompt", o->n_vocab);
    o->is_sequence = plk_json_member(trace, "first_row") != NULL;
    if (o->is_sequence) {
        o->first_row = read_count(r, json, trace, "first_row", UINT64_MAX);
        o->row_step = 1;
        if (plk_json_member(trace, "row_step"))
            o->row_step = read_count(r, json, trace, "row_step", UINT32_MAX);
        if (r->code == EXIT_DONE && o->row_step == 0)
            fail(r, "row_step", " is 0");
        o->history = read_tokens(r, json, trace, "history", o->n_vocab);
    }
    line->record.low = read_double(r, trace, "low");
    line->record.high = read_double(r, trace, "high");
    line->record.at = read_double(r, trace, "at");
    read_words(r, json, trace, &line->record);
}

static int read_root(const line_source *lines, const plk_json *json, replay_line *line)
{
    reading r = {lines, EXIT_DONE};
    const plk_json_node *root = json->root;
    if (!plk_json_member(root, "trace"))
        return complain_line(
            lines, "has no trace: ", "pluck sample --format json --trace writes lines with one");
    line->row = read_count(&r, json, root, "row", UINT64_MAX);
    line->draw = read_count(&r, json, root, "draw", INT64_MAX);
    line->drawn.token = (pluck_token)read_count(&r, json, root, "token", PLUCK_MAX_VOCAB - 1);
    line->drawn.logprob = (float)read_double(&r, root, "logprob");
    line->drawn.n_survivors = (uint32_t)read_count(&r, json, root, "survivors", PLUCK_MAX_VOCAB);
    line->dump = read_name(&r, root);
    const plk_json_node *trace = find(&r, root, "trace");
    if (trace)
        read_trace(&r, json, trace, line);
    check_agreement(&r, line);
    return r.code;
}

int replay_line_read(const line_source *lines, replay_line *line)
{
    plk_json json;
    plk_json_problem problem;
    pluck_error err;
    memset(line, 0, sizeof *line);
    pluck_status status = plk_json_parse(&json, lines->text, lines->n, 0, NULL, &problem, &err);
    if (status == PLUCK_ERR_FORMAT)
        return complain(EXIT_DATA, "%s: line %llu: is not valid JSON: byte %zu: %s", lines->name,
                        (unsigned long long)lines->number, problem.at + 1, problem.what);
    if (status != PLUCK_OK)
        return complain_error(status, &err);
    int code = read_root(lines, &json, line);
    plk_json_close(&json);
    if (code != EXIT_DONE)
        replay_line_free(line);
    return code;
}

void replay_line_free(replay_line *line)
{
    free(line->dump);
    line->dump = NULL;
    free(line->origin.prompt.tokens);
    free(line->origin.history.tokens);
    line->origin.prompt = line->origin.history = (token_list){NULL, 0};
}
