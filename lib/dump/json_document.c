/*
 * One scan from front to back notes where rows are; a row is scanned again when it is read. The
 * recursion is over objects and lists and bounded by MAX_DEPTH.
 */
#include "dump/reader.h"

#include <math.h>
#include <string.h>

#include <pluck/dump.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/scalar_math.h"
#include "base/text.h"
#include "file/file.h"

enum { MAX_DEPTH = 64 };

static const char *const group_names[PLK_JSON_N_GROUPS] = {"logits", "logprobs", "prompt_logprobs",
                                                           "completion_probabilities"};
static const char id_prefix[] = "token_id:"; /* of vLLM's return_tokens_as_token_ids */

typedef struct finder {
    plk_json_document *d;
    plk_json_scan scan;
} finder;

const char *plk_json_group_name(plk_json_group group)
{
    return group_names[group];
}

static void add_place(finder *f, plk_json_place place)
{
    plk_json_document *d = f->d;
    if (f->scan.status == PLUCK_OK)
        f->scan.status = plk_grow(&d->allocator, &d->places, &d->capacity, d->n_places + 1,
                                  sizeof *d->places, f->scan.err);
    if (f->scan.status != PLUCK_OK)
        return;
    d->places[d->n_places++] = place;
    d->n_of[place.group]++;
}

static uint64_t here(const finder *f)
{
    return (uint64_t)(f->scan.at - f->scan.begin);
}

static plk_json_scan scan_at(const plk_json_document *d, uint64_t at, pluck_error *err)
{
    return (plk_json_scan){.begin = d->bytes,
                           .at = d->bytes + at,
                           .end = d->bytes + d->size_bytes,
                           .where = d->where,
                           .number = PLK_JSON_NO_ROW,
                           .err = err};
}

/* [..] of numbers; how many. */
static uint64_t find_numbers(finder *f)
{
    uint64_t at = here(f), n = 0;
    (void)plk_json_enter(&f->scan, '[');
    for (; plk_json_next_element(&f->scan); n++)
        (void)plk_json_take_value(&f->scan);
    add_place(f, (plk_json_place){.at = at, .form = PLK_JSON_NUMBERS, .group = PLK_JSON_LOGITS});
    return n;
}

/* Numbers in lists in lists, whose lengths agree: sets axis and those after it. */
static void find_array(finder *f, plk_shape *shape, size_t axis)
{
    uint64_t n = 0;
    plk_json_scan ahead = f->scan;
    bool is_leaf = !plk_json_take(&ahead, '[') || !plk_json_next_is(&ahead, '[');
    if (axis == PLK_MAX_AXES) {
        plk_json_fail_expected(&f->scan, "at most 64 levels of nesting");
        return;
    }
    if ((shape->n_axes > 0 && is_leaf != (axis + 1 == shape->n_axes)) ||
        !plk_json_next_is(&f->scan, '[')) {
        plk_json_fail_expected(&f->scan, "lists nested to the same depth everywhere");
        return;
    }
    if (is_leaf) {
        n = find_numbers(f);
        shape->n_axes = axis + 1;
    } else {
        (void)plk_json_enter(&f->scan, '[');
        for (; plk_json_next_element(&f->scan); n++)
            find_array(f, shape, axis + 1);
    }
    if (n == 0 || (shape->axes[axis] != 0 && shape->axes[axis] != n))
        plk_json_fail_expected(&f->scan, "non-empty lists of the same length before this");
    shape->axes[axis] = n;
}

static void find_matrix(finder *f)
{
    plk_json_document *d = f->d;
    plk_shape shape = {.n_axes = 0};
    find_array(f, &shape, 0);
    if (f->scan.status != PLUCK_OK)
        return;
    uint64_t n = shape.axes[shape.n_axes - 1];
    if (n > PLUCK_MAX_VOCAB || (d->n_values != 0 && d->n_values != n))
        plk_json_fail_expected(&f->scan, "rows of the same length, up to 2^24, before this");
    d->n_values = (uint32_t)n;
    d->shape = shape;
    d->n_arrays++;
}

static void find_in(finder *f, unsigned depth);

/* What a member of an entry says. Those from PART_LOGPROB on make an object an entry. */
typedef enum part { PART_NONE, PART_TEXT, PART_ID, PART_LOGPROB, PART_PROB, PART_TOP } part;

static part part_of(plk_json_span key)
{
    static const struct {
        const char *key;
        part is;
    } parts[] = {{"token", PART_TEXT},       {"tok_str", PART_TEXT},
                 {"content", PART_TEXT},     {"id", PART_ID},
                 {"logprob", PART_LOGPROB},  {"prob", PART_PROB},
                 {"top_logprobs", PART_TOP}, {"top_probs", PART_TOP},
                 {"probs", PART_TOP}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (plk_json_key_is(key, parts[i].key))
            return parts[i].is;
    return PART_NONE;
}

/* What an object is, from its keys. */
typedef enum object_kind { OBJECT_OTHER, OBJECT_ENTRY, OBJECT_MAP, OBJECT_COLUMNS } object_kind;

static object_kind classify(finder *f)
{
    plk_json_scan s = f->scan;
    plk_json_span key;
    bool has_tokens = false, has_top = false;
    object_kind kind = OBJECT_OTHER;
    (void)plk_json_enter(&s, '{');
    for (size_t n = 0; plk_json_next_key(&s, &key); n++) {
        uint32_t id = 0;
        has_tokens = has_tokens || plk_json_key_is(key, "tokens");
        has_top = has_top || plk_json_key_is(key, "top_logprobs");
        if (n == 0 && plk_json_id(key, &id))
            kind = OBJECT_MAP;
        if (kind == OBJECT_OTHER && part_of(key) >= PART_LOGPROB)
            kind = OBJECT_ENTRY;
        plk_json_skip_value(&s, 0);
    }
    f->scan.status = s.status;
    return has_tokens && has_top ? OBJECT_COLUMNS : kind;
}

/* A list of which each row has an element. */
typedef struct column {
    plk_json_scan scan;
    bool is_list;
    uint64_t at; /* of its last element; NOWHERE: null, or there is no list */
} column;

enum { COLUMN_TOKEN, COLUMN_LOGPROB, COLUMN_TOP, N_COLUMNS };

/* Begins the lists that an object has, and takes the object. */
static void begin_columns(plk_json_scan *object, column *columns)
{
    static const char *const keys[N_COLUMNS] = {"tokens", "token_logprobs", "top_logprobs"};
    plk_json_span key;
    (void)plk_json_enter(object, '{');
    while (plk_json_next_key(object, &key)) {
        for (size_t i = 0; i < N_COLUMNS; i++) {
            if (!plk_json_key_is(key, keys[i]))
                continue;
            columns[i].scan = *object;
            columns[i].is_list = plk_json_enter(&columns[i].scan, '[') || columns[i].is_list;
        }
        plk_json_skip_value(object, 0);
    }
}

/* false: there is no further element. */
static bool next_in_column(column *c)
{
    c->at = PLK_JSON_NOWHERE;
    if (!c->is_list)
        return true;
    if (!plk_json_next_element(&c->scan))
        return false;
    if (!plk_json_next_is(&c->scan, 'n'))
        c->at = (uint64_t)(c->scan.at - c->scan.begin);
    plk_json_skip_value(&c->scan, 0);
    return c->scan.status == PLUCK_OK;
}

/* An element of each column; false: there is no token. */
static bool next_in_columns(finder *f, column *columns)
{
    for (size_t i = 0; i < N_COLUMNS; i++) {
        plk_json_scan *s = &columns[i].scan;
        bool has_more = next_in_column(&columns[i]);
        if (!has_more && i != COLUMN_TOKEN)
            plk_json_fail_expected(s, "the same number of elements as \"tokens\" has");
        f->scan.status = s->status;
        if (!has_more)
            return false;
    }
    return columns[COLUMN_TOKEN].at != PLK_JSON_NOWHERE;
}

/* "tokens", "token_logprobs" and "top_logprobs", of one length: a row for each element. */
static void find_columns(finder *f)
{
    plk_json_scan object = f->scan;
    column columns[N_COLUMNS] = {0};
    begin_columns(&object, columns);
    f->scan = object;
    while (f->scan.status == PLUCK_OK && columns[COLUMN_TOKEN].is_list &&
           next_in_columns(f, columns)) {
        plk_json_place place = {.at = columns[COLUMN_TOP].at,
                                .token = columns[COLUMN_TOKEN].at,
                                .logprob = columns[COLUMN_LOGPROB].at,
                                .form = PLK_JSON_COLUMN,
                                .group = PLK_JSON_LOGPROBS};
        /* The first token of an echoed prompt follows nothing. */
        if (place.logprob != PLK_JSON_NOWHERE || place.at != PLK_JSON_NOWHERE)
            add_place(f, place);
    }
}

/* A value that is a row or has rows inside; entries are rows only as elements of a list. */
static void find_row(finder *f, plk_json_group group, bool is_element, unsigned depth)
{
    object_kind kind = plk_json_next_is(&f->scan, '{') ? classify(f) : OBJECT_OTHER;
    if (kind == OBJECT_COLUMNS) {
        find_columns(f);
    } else if (kind == OBJECT_MAP || (kind == OBJECT_ENTRY && is_element)) {
        plk_json_form form = kind == OBJECT_MAP ? PLK_JSON_MAP : PLK_JSON_ENTRY;
        add_place(f, (plk_json_place){.at = here(f), .form = form, .group = group});
        plk_json_skip_value(&f->scan, 0);
    } else {
        find_in(f, depth);
    }
}

/* The value of a key that may hold rows; the list of its group, or something that has it inside. */
static void find_rows(finder *f, plk_json_group group, unsigned depth)
{
    plk_json_scan ahead = f->scan;
    if (!plk_json_take(&ahead, '[')) {
        find_row(f, group, false, depth);
    } else if (ahead.at < ahead.end && memchr("[-0123456789", *ahead.at, 12)) {
        find_matrix(f);
    } else {
        (void)plk_json_enter(&f->scan, '[');
        while (plk_json_next_element(&f->scan))
            find_row(f, group, true, depth + 1);
    }
}

/* The value of a key of an object. */
static void find_member(finder *f, plk_json_span key, unsigned depth)
{
    size_t group = 0;
    bool is_list = plk_json_next_is(&f->scan, '[');
    while (group < PLK_JSON_N_GROUPS && !plk_json_key_is(key, group_names[group]))
        group++;
    if (group == PLK_JSON_LOGITS && is_list) {
        find_matrix(f);
    } else if (group < PLK_JSON_N_GROUPS) {
        find_rows(f, group == PLK_JSON_LOGITS ? PLK_JSON_LOGPROBS : (plk_json_group)group,
                  depth + 1);
    } else if (plk_json_key_is(key, "content") && is_list) {
        find_rows(f, PLK_JSON_LOGPROBS, depth + 1);
    } else {
        bool is_targets = plk_json_key_is(key, "targets") || plk_json_key_is(key, "target");
        if (is_targets && is_list && depth == 0)
            f->d->targets = here(f);
        f->d->has_weight_map = f->d->has_weight_map || plk_json_key_is(key, "weight_map");
        find_in(f, depth + 1);
    }
}

/* Any value that is not known to be rows. */
static void find_in(finder *f, unsigned depth)
{
    plk_json_span key;
    bool is_object = plk_json_next_is(&f->scan, '{');
    if (!is_object && !plk_json_next_is(&f->scan, '[')) {
        plk_json_skip_value(&f->scan, depth);
    } else if (depth >= MAX_DEPTH) {
        plk_json_fail_expected(&f->scan, "at most 64 levels of nesting");
    } else if (is_object) {
        (void)plk_json_enter(&f->scan, '{');
        while (plk_json_next_key(&f->scan, &key))
            find_member(f, key, depth);
    } else {
        (void)plk_json_enter(&f->scan, '[');
        while (plk_json_next_element(&f->scan))
            find_in(f, depth + 1);
    }
}

/* What servers put around the documents of a stream: "data: {...}", "event: x", "data: [DONE]". */
static bool skip_framing(plk_json_scan *s)
{
    if (plk_json_take_word(s, "data:")) {
        plk_json_skip_space(s);
        (void)plk_json_take_word(s, "[DONE]");
        return true;
    }
    if (!plk_json_take_word(s, "event:"))
        return false;
    while (s->at < s->end && *s->at != '\n')
        s->at++;
    return true;
}

static bool is_number_list(const plk_json_scan *s)
{
    plk_json_scan ahead = *s;
    while (plk_json_take(&ahead, '['))
        ;
    return ahead.at < ahead.end && *ahead.at != '{' && *ahead.at != '"' && *ahead.at != 't' &&
           *ahead.at != 'f';
}

pluck_status plk_json_document_open(plk_json_document *document, const uint8_t *bytes,
                                    size_t size_bytes, const char *where,
                                    const pluck_allocator *allocator, pluck_error *err)
{
    *document = (plk_json_document){.allocator = *allocator,
                                    .bytes = bytes,
                                    .size_bytes = size_bytes,
                                    .where = where,
                                    .targets = PLK_JSON_NOWHERE};
    finder f = {document, scan_at(document, plk_mark_bytes(bytes, size_bytes), err)};
    while (f.scan.status == PLUCK_OK) {
        plk_json_skip_space(&f.scan);
        if (f.scan.at == f.scan.end)
            return PLUCK_OK;
        if (skip_framing(&f.scan))
            continue;
        if (plk_json_next_is(&f.scan, '{'))
            find_in(&f, 0);
        else if (!plk_json_next_is(&f.scan, '['))
            plk_json_fail_expected(&f.scan, "'{' or '['");
        else if (is_number_list(&f.scan))
            find_matrix(&f);
        else
            find_rows(&f, PLK_JSON_LOGPROBS, 0);
    }
    return f.scan.status;
}

void plk_json_document_close(plk_json_document *document)
{
    plk_free(&document->allocator, document->places);
    document->places = NULL;
    document->n_places = document->capacity = 0;
}

bool plk_json_is_row_line(const uint8_t *line, size_t length)
{
    plk_json_scan s = {.begin = line, .at = line, .end = line + length, .number = PLK_JSON_NO_ROW};
    plk_json_span key;
    if (!plk_json_enter(&s, '{'))
        return false;
    while (plk_json_next_key(&s, &key)) {
        bool is_logits = plk_json_key_is(key, "logits");
        plk_json_scan value = s;
        if (is_logits || plk_json_key_is(key, "logprobs")) {
            uint32_t id = 0;
            if (plk_json_take(&value, '['))
                return !plk_json_next_is(&value, '[') && !plk_json_next_is(&value, '{');
            return is_logits || (plk_json_enter(&value, '{') && plk_json_next_key(&value, &key) &&
                                 plk_json_id(key, &id) && !plk_json_next_is(&value, '{'));
        }
        plk_json_skip_value(&s, 0);
    }
    /* A line that only ends too early is the first one of a document. */
    return s.status != PLUCK_OK && s.at < s.end;
}

/* What an entry says. */
typedef struct entry {
    plk_json_token token;
    float value;
    bool has_token, has_value;
    plk_json_scan top; /* the list of the most probable tokens, if has_top */
    bool has_top;
} entry;

/* "token_id:17" is a token by its id. */
static void set_text(plk_json_token *token, plk_json_span t)
{
    size_t prefix = sizeof id_prefix - 1;
    token->text = t.begin;
    token->length = t.length;
    if (t.length > prefix && memcmp(t.begin, id_prefix, prefix) == 0)
        token->has_id =
            plk_json_id((plk_json_span){t.begin + prefix, t.length - prefix}, &token->id);
}

/* A whole number that n follows. */
static bool is_below(double value, uint32_t n)
{
    return value >= 0.0 && value < (double)n && value == floor(value);
}

static void take_part(plk_json_scan *s, part p, entry *e)
{
    bool is_string = plk_json_next_is(s, '"');
    if (p == PART_TEXT && is_string) {
        set_text(&e->token, plk_json_take_string(s));
        e->has_token = true;
    } else if (p == PART_ID && !is_string && !plk_json_next_is(s, 'n')) {
        double id = plk_json_take_number(s);
        if (!is_below(id, PLUCK_MAX_VOCAB)) {
            plk_json_fail_expected(s, "an id below 2^24 before this");
            return;
        }
        e->token.id = (uint32_t)id;
        e->token.has_id = e->has_token = true;
    } else if (p == PART_LOGPROB || p == PART_PROB) {
        e->value = plk_json_take_value(s);
        if (p == PART_PROB)
            e->value = (float)plk_log((double)e->value);
        e->has_value = true;
    } else {
        if (p == PART_TOP) {
            e->top = *s;
            e->has_top = e->has_top || plk_json_next_is(s, '[');
        }
        plk_json_skip_value(s, 0);
    }
}

static void take_entry(plk_json_scan *s, entry *e)
{
    plk_json_span key;
    *e = (entry){.has_top = false};
    if (!plk_json_enter(s, '{'))
        plk_json_fail_expected(s, "'{' and a token");
    while (plk_json_next_key(s, &key))
        take_part(s, part_of(key), e);
}

/* Where the tokens of a row go. */
typedef struct drain {
    plk_json_sink sink;
    void *user;
} drain;

static void pour(plk_json_scan *s, drain to, const plk_json_token *token, float value,
                 bool is_target)
{
    if (s->status == PLUCK_OK)
        s->status = to.sink(to.user, token, value, is_target, s->err);
}

static void read_entry(plk_json_scan *s, drain to)
{
    entry e, other;
    take_entry(s, &e);
    if (e.has_top && s->status == PLUCK_OK) {
        (void)plk_json_enter(&e.top, '[');
        while (plk_json_next_element(&e.top)) {
            take_entry(&e.top, &other);
            if (!other.has_token || !other.has_value)
                plk_json_fail_expected(&e.top, "a token and its logprob before this");
            pour(&e.top, to, &other.token, other.value, false);
        }
        s->status = e.top.status;
    }
    if (!e.has_token)
        plk_json_fail_expected(s, "a token before this");
    pour(s, to, &e.token, e.has_value ? e.value : (float)NAN, true);
}

/* {"17": -0.5, ...} or {"17": {"logprob": -0.5, ...}, ...}; keys may be texts. */
static void read_map(plk_json_scan *s, bool first_came, drain to)
{
    plk_json_span key;
    if (!plk_json_enter(s, '{'))
        plk_json_fail_expected(s, "'{' and tokens");
    for (size_t n = 0; plk_json_next_key(s, &key); n++) {
        entry e = {.has_value = true};
        set_text(&e.token, key);
        if (first_came && !plk_json_id(key, &e.token.id))
            plk_json_fail_expected(s, "the id of a token before this");
        e.token.has_id = e.token.has_id || first_came;
        plk_json_token token = e.token;
        bool is_object = plk_json_next_is(s, '{');
        if (is_object)
            take_entry(s, &e);
        else
            e.value = plk_json_take_value(s);
        if (!e.has_value)
            plk_json_fail_expected(s, "a logprob before this");
        pour(s, to, &token, e.value, false);
        /* vLLM puts the token of the prompt first. */
        if (is_object && n == 0 && first_came)
            pour(s, to, &token, e.value, true);
    }
}

static void read_column(plk_json_scan *s, const plk_json_place *place, drain to)
{
    plk_json_token token = {0};
    float value = NAN;
    if (place->at != PLK_JSON_NOWHERE)
        read_map(s, false, to);
    if (place->logprob != PLK_JSON_NOWHERE && s->status == PLUCK_OK) {
        s->at = s->begin + place->logprob;
        value = plk_json_take_value(s);
    }
    if (s->status != PLUCK_OK)
        return;
    s->at = s->begin + place->token;
    set_text(&token, plk_json_take_string(s));
    pour(s, to, &token, value, true);
}

pluck_status plk_json_document_row(const plk_json_document *document, size_t place,
                                   plk_json_sink sink, void *user, pluck_error *err)
{
    const plk_json_place *p = &document->places[place];
    plk_json_scan s = scan_at(document, p->at == PLK_JSON_NOWHERE ? 0 : p->at, err);
    drain to = {sink, user};
    if (p->form == PLK_JSON_ENTRY)
        read_entry(&s, to);
    else if (p->form == PLK_JSON_MAP)
        read_map(&s, true, to);
    else
        read_column(&s, p, to);
    return s.status;
}

pluck_status plk_json_document_values(const plk_json_document *document, size_t place,
                                      float *values, pluck_error *err)
{
    plk_json_scan s = scan_at(document, document->places[place].at, err);
    (void)plk_json_enter(&s, '[');
    for (size_t n = 0; plk_json_next_element(&s); n++) {
        if (n == document->n_values)
            plk_json_fail_expected(&s, "no more values");
        else
            values[n] = plk_json_take_value(&s);
    }
    return s.status;
}

pluck_status plk_json_document_targets(const plk_json_document *document, uint64_t n,
                                       uint32_t n_vocab, pluck_token *tokens, bool *fits,
                                       pluck_error *err)
{
    plk_json_scan s = scan_at(document, document->targets, err);
    uint64_t found = 0;
    size_t depth = 0;
    do {
        if (plk_json_take(&s, '[')) {
            depth++;
            continue;
        }
        if (plk_json_take(&s, ']')) {
            depth--;
        } else {
            bool is_null = plk_json_take_word(&s, "null");
            double value = is_null ? -1.0 : plk_json_take_number(&s);
            if (value != floor(value) || value >= (double)n_vocab)
                plk_json_fail_expected(&s,
                                       "a target below the number of values per row before this");
            if (found < n && s.status == PLUCK_OK)
                tokens[found] = value < 0.0 ? PLUCK_NO_TOKEN : (pluck_token)value;
            found++;
        }
        (void)plk_json_take(&s, ',');
    } while (depth > 0 && s.status == PLUCK_OK);
    *fits = s.status == PLUCK_OK && found == n;
    return s.status;
}
