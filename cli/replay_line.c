/*
 * Lines may come from anywhere: every member is checked for its type and range, and those that say
 * the same thing twice for agreement. Members that are not known are ignored.
 */
#include "replay_line.h"

#include "json/tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_LIMIT_BYTES ((size_t)256 << 20)

static int complain_line(const line_source *lines, const char *what, const char *why)
{
    return complain(lines->who, EXIT_DATA, "%s: line %llu: %s%s", lines->name,
                    (unsigned long long)lines->number, what, why);
}

/* Room for another byte and a NUL. */
static int grow(line_source *lines)
{
    if (lines->n + 1 < lines->capacity)
        return EXIT_DONE;
    if (lines->capacity >= LINE_LIMIT_BYTES)
        return complain_line(lines, "is too long", "");
    size_t capacity = lines->capacity == 0 ? 4096 : 2 * lines->capacity;
    char *larger = realloc(lines->text, capacity);
    if (!larger)
        return complain_memory(lines->who);
    lines->text = larger;
    lines->capacity = capacity;
    return EXIT_DONE;
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
            int code = grow(lines);
            if (code != EXIT_DONE)
                return code;
            lines->text[lines->n++] = (char)c;
            is_blank = is_blank && strchr(" \t\r", c) && c != '\0';
        }
    }
    if (ferror((FILE *)lines->file))
        return complain(lines->who, EXIT_SYSTEM, "%s: cannot be read", lines->name);
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

static bool find(reading *r, json_span object, const char *name, json_span *value)
{
    if (r->code != EXIT_DONE)
        return false;
    json_lookup found = json_member(object, name, value);
    if (found == JSON_TWICE)
        return fail(r, name, " is there twice");
    if (found == JSON_MISSING)
        return fail(r, name, " is missing");
    return true;
}

static uint64_t read_count(reading *r, json_span object, const char *name, uint64_t max)
{
    uint64_t count = 0;
    json_span value;
    if (find(r, object, name, &value) && !json_count(value, max, &count))
        fail(r, name, " is not a whole number in its range");
    return count;
}

static double read_double(reading *r, json_span object, const char *name)
{
    double number = 0;
    json_span value;
    if (find(r, object, name, &value) && !json_double(value, &number))
        fail(r, name, " is not a number");
    return number;
}

static uint64_t read_word(reading *r, json_span object, const char *name)
{
    uint64_t word = 0;
    json_span value;
    if (find(r, object, name, &value) && !json_word(value, &word))
        fail(r, name, " is not \"0x\" and 16 hexadecimal digits");
    return word;
}

static token_list read_tokens(reading *r, json_span object, const char *name, uint32_t n_vocab)
{
    token_list list = {NULL, 0};
    json_span value, rest, element;
    if (!find(r, object, name, &value))
        return list;
    if (!json_array(value, &rest)) {
        fail(r, name, " is not a list of tokens");
        return list;
    }
    list.tokens = calloc(value.n / 2 + 1, sizeof *list.tokens);
    if (!list.tokens) {
        r->code = complain_memory(r->lines->who);
        return list;
    }
    while (r->code == EXIT_DONE && json_next(&rest, &element)) {
        uint64_t token = 0;
        if (!json_count(element, n_vocab - 1, &token))
            fail(r, name, " holds something that is not a token of the vocabulary");
        list.tokens[list.n++] = (pluck_token)token;
    }
    return list;
}

static void read_words(reading *r, json_span trace, draw_record *record)
{
    json_span value, rest, element;
    record->n_words = (size_t)read_count(r, trace, "n_words", UINT32_MAX);
    if (!find(r, trace, "words", &value))
        return;
    size_t n = record->n_words < RECORDED_WORDS ? record->n_words : RECORDED_WORDS;
    size_t i = 0;
    bool ok = json_array(value, &rest);
    for (; ok && json_next(&rest, &element); i++)
        ok = i < n && json_word(element, &record->words[i]);
    if (!ok || i != n)
        fail(r, "words", " are not as many 64-bit numbers as n_words says, at most 16");
}

static pluck_dtype read_dtype(reading *r, json_span trace)
{
    json_span value;
    pluck_dtype dtype = PLUCK_F32;
    if (!find(r, trace, "dtype", &value))
        return dtype;
    while (pluck_dtype_name(dtype) && !json_is(value, pluck_dtype_name(dtype)))
        dtype++;
    if (!pluck_dtype_name(dtype))
        fail(r, "dtype", " is not f32, f16 or bf16");
    return dtype;
}

/* The text of a string; the caller frees it. */
static char *read_name(reading *r, json_span value)
{
    char *name = NULL;
    plk_json json;
    plk_json_problem problem;
    pluck_error err;
    pluck_status status = plk_json_parse(&json, value.text, value.n, 0, NULL, &problem, &err);
    if (status != PLUCK_OK && status != PLUCK_ERR_FORMAT)
        r->code = complain(r->lines->who, exit_code_of(status), "%s", err.message);
    else if (!cJSON_IsString(json.root))
        fail(r, "dump", " is not a text");
    else if (!(name = strdup(json.root->valuestring)))
        r->code = complain_memory(r->lines->who);
    plk_json_close(&json);
    return name;
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

static void read_trace(reading *r, json_span trace, replay_line *line)
{
    draw_origin *o = &line->origin;
    json_span value = {NULL, 0};
    if (r->code == EXIT_DONE && (trace.n == 0 || *trace.text != '{'))
        fail(r, "trace", " is not an object");
    uint64_t format = read_count(r, trace, "format", UINT32_MAX);
    if (r->code == EXIT_DONE && format != TRACE_LINE_FORMAT)
        fail(r, "format", " is not 1, the one that this program knows");
    o->n_vocab = (uint32_t)read_count(r, trace, "n_vocab", PLUCK_MAX_VOCAB);
    if (r->code == EXIT_DONE && o->n_vocab == 0)
        fail(r, "n_vocab", " is 0");
    if (find(r, trace, "config", &value)) {
        o->config = value.text;
        o->config_size_bytes = value.n;
    }
    o->seed = read_count(r, trace, "seed", UINT64_MAX);
    o->stream = read_count(r, trace, "stream", UINT64_MAX);
    o->position = read_count(r, trace, "position", UINT64_MAX);
    o->dtype = read_dtype(r, trace);
    o->hash = read_word(r, trace, "logits");
    o->prompt = read_tokens(r, trace, "prompt", o->n_vocab);
    o->is_sequence = json_member(trace, "first_row", &value) != JSON_MISSING;
    if (o->is_sequence) {
        o->first_row = read_count(r, trace, "first_row", UINT64_MAX);
        o->row_step = 1;
        if (json_member(trace, "row_step", &value) != JSON_MISSING)
            o->row_step = read_count(r, trace, "row_step", UINT32_MAX);
        if (r->code == EXIT_DONE && o->row_step == 0)
            fail(r, "row_step", " is 0");
        o->history = read_tokens(r, trace, "history", o->n_vocab);
    }
    line->record.low = read_double(r, trace, "low");
    line->record.high = read_double(r, trace, "high");
    line->record.at = read_double(r, trace, "at");
    read_words(r, trace, &line->record);
}

int replay_line_read(const line_source *lines, replay_line *line)
{
    reading r = {lines, EXIT_DONE};
    json_span root = {lines->text, lines->n};
    json_span trace = {NULL, 0}, dump;
    plk_json_problem problem;
    memset(line, 0, sizeof *line);
    if (!plk_json_check(lines->text, lines->n, 0, &problem))
        return complain(lines->who, EXIT_DATA, "%s: line %llu: is not valid JSON: byte %zu: %s",
                        lines->name, (unsigned long long)lines->number, problem.at + 1,
                        problem.what);
    if (json_member(root, "trace", &trace) == JSON_MISSING)
        return complain_line(
            lines, "has no trace: ", "pluck sample --format json --trace writes lines with one");
    line->row = read_count(&r, root, "row", UINT64_MAX);
    line->draw = read_count(&r, root, "draw", INT64_MAX);
    line->drawn.token = (pluck_token)read_count(&r, root, "token", PLUCK_MAX_VOCAB - 1);
    line->drawn.logprob = (float)read_double(&r, root, "logprob");
    line->drawn.n_survivors = (uint32_t)read_count(&r, root, "survivors", PLUCK_MAX_VOCAB);
    if (r.code == EXIT_DONE && json_member(root, "dump", &dump) != JSON_MISSING)
        line->dump = read_name(&r, dump);
    if (find(&r, root, "trace", &trace))
        read_trace(&r, trace, line);
    check_agreement(&r, line);
    if (r.code != EXIT_DONE)
        replay_line_free(line);
    return r.code;
}

void replay_line_free(replay_line *line)
{
    free(line->dump);
    line->dump = NULL;
    free(line->origin.prompt.tokens);
    free(line->origin.history.tokens);
    line->origin.prompt = line->origin.history = (token_list){NULL, 0};
}
