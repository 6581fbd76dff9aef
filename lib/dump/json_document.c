/*
 * One scan from front to back notes where rows are; a row is scanned again when it is read. The
 * recursion is over objects and lists and bounded by MAX_DEPTH.
 */
#include "dump/json_text.h"

#include <math.h>
#include <string.h>

#include <pluck/dump.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/text.h"
#include "file/file.h"
#include "simd/scalar_math.h"

enum { MAX_DEPTH = 64, MAX_ID_DIGITS = 8 };

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

static bool is_key(plk_json_string t, const char *key)
{
    return t.length == strlen(key) && memcmp(t.begin, key, t.length) == 0;
}

/* A decimal id below PLUCK_MAX_VOCAB. */
static bool parse_id(const uint8_t *begin, size_t length, uint32_t *id)
{
    *id = 0;
    for (size_t i = 0; i < length; i++) {
        if (length > MAX_ID_DIGITS || begin[i] < '0' || begin[i] > '9')
            return false;
        *id = 10 * *id + (uint32_t)(begin[i] - '0');
    }
    return length > 0 && *id < PLUCK_MAX_VOCAB;
}

static pluck_status add_place(finder *f, plk_json_place place)
{
    plk_json_document *d = f->d;
    pluck_status status = plk_grow(&d->allocator, &d->places, &d->capacity, d->n_places + 1,
                                   sizeof *d->places, f->scan.err);
    if (status != PLUCK_OK)
        return status;
    d->places[d->n_places++] = place;
    d->n_of[place.group]++;
    return PLUCK_OK;
}

static uint64_t here(const finder *f)
{
    return (uint64_t)(f->scan.at - f->scan.begin);
}

/* [..] of numbers; how many. */
static pluck_status find_numbers(finder *f, uint64_t *n)
{
    bool ended = false;
    float ignored = 0.0f;
    uint64_t at = here(f);
    (void)plk_json_take(&f->scan, '[');
    for (*n = 0;; ++*n) {
        pluck_status status = plk_json_next_element(&f->scan, *n == 0, &ended);
        if (status == PLUCK_OK && !ended)
            status = plk_json_take_value(&f->scan, &ignored);
        if (status != PLUCK_OK || ended)
            return status != PLUCK_OK ? status
                                      : add_place(f, (plk_json_place){.at = at,
                                                                      .form = PLK_JSON_NUMBERS,
                                                                      .group = PLK_JSON_LOGITS});
    }
}

/* Numbers in lists in lists, whose lengths agree: sets axis and those after it. */
static pluck_status find_array(finder *f, plk_shape *shape, size_t axis)
{
    if (axis == PLK_MAX_AXES)
        return plk_json_fail_expected(&f->scan, "at most 64 levels of nesting");
    uint64_t n = 0;
    plk_json_scan ahead = f->scan;
    bool ended = false, is_leaf = !plk_json_take(&ahead, '[') || !plk_json_next_is(&ahead, '[');
    if ((shape->n_axes > 0 && is_leaf != (axis + 1 == shape->n_axes)) ||
        !plk_json_next_is(&f->scan, '['))
        return plk_json_fail_expected(&f->scan, "lists nested to the same depth everywhere");
    pluck_status status = PLUCK_OK;
    if (is_leaf) {
        status = find_numbers(f, &n);
        shape->n_axes = axis + 1;
    } else {
        (void)plk_json_take(&f->scan, '[');
        for (;; n++) {
            status = plk_json_next_element(&f->scan, n == 0, &ended);
            if (status != PLUCK_OK || ended)
                break;
            status = find_array(f, shape, axis + 1);
            if (status != PLUCK_OK)
                return status;
        }
    }
    if (status != PLUCK_OK)
        return status;
    if (n == 0 || (shape->axes[axis] != 0 && shape->axes[axis] != n))
        return plk_json_fail_expected(&f->scan,
                                      "before this a list of the same length as the others");
    shape->axes[axis] = n;
    return PLUCK_OK;
}

static pluck_status find_matrix(finder *f)
{
    plk_json_document *d = f->d;
    plk_shape shape = {.n_axes = 0};
    pluck_status status = find_array(f, &shape, 0);
    if (status != PLUCK_OK)
        return status;
    uint64_t n = shape.axes[shape.n_axes - 1];
    if (n > PLUCK_MAX_VOCAB || (d->n_values != 0 && d->n_values != n))
        return plk_json_fail_expected(&f->scan, "before this rows of the same length, up to 2^24");
    d->n_values = (uint32_t)n;
    d->shape = shape;
    d->n_arrays++;
    return PLUCK_OK;
}

static pluck_status find_in(finder *f, unsigned depth);

/* What a member of an entry says. Those from PART_LOGPROB on make an object an entry. */
typedef enum part { PART_NONE, PART_TEXT, PART_ID, PART_LOGPROB, PART_PROB, PART_TOP } part;

static part part_of(plk_json_string key)
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
        if (is_key(key, parts[i].key))
            return parts[i].is;
    return PART_NONE;
}

/* What an object is, from its keys. */
typedef enum object_kind { OBJECT_OTHER, OBJECT_ENTRY, OBJECT_MAP, OBJECT_COLUMNS } object_kind;

static pluck_status classify(plk_json_scan s, object_kind *kind)
{
    bool ended = false, has_tokens = false, has_top = false;
    *kind = OBJECT_OTHER;
    (void)plk_json_take(&s, '{');
    for (bool is_first = true;; is_first = false) {
        plk_json_string key = {0};
        uint32_t id = 0;
        pluck_status status = plk_json_next_key(&s, is_first, &key, &ended);
        if (status != PLUCK_OK)
            return status;
        if (ended)
            break;
        has_tokens = has_tokens || is_key(key, "tokens");
        has_top = has_top || is_key(key, "top_logprobs");
        if (is_first && parse_id(key.begin, key.length, &id))
            *kind = OBJECT_MAP;
        if (*kind == OBJECT_OTHER && part_of(key) >= PART_LOGPROB)
            *kind = OBJECT_ENTRY;
        status = plk_json_skip_value(&s, 0);
        if (status != PLUCK_OK)
            return status;
    }
    if (has_tokens && has_top)
        *kind = OBJECT_COLUMNS;
    return PLUCK_OK;
}

/* A list of which each row has an element. */
typedef struct column {
    plk_json_scan scan;
    bool is_list;
    uint64_t at; /* of its last element; NOWHERE: null, or there is no list */
} column;

enum { COLUMN_TOKEN, COLUMN_LOGPROB, COLUMN_TOP, N_COLUMNS };

/* Begins the lists that an object has, and takes the object. */
static pluck_status begin_columns(plk_json_scan *object, column *columns)
{
    static const char *const keys[N_COLUMNS] = {"tokens", "token_logprobs", "top_logprobs"};
    bool ended = false;
    (void)plk_json_take(object, '{');
    for (bool is_first = true;; is_first = false) {
        plk_json_string key = {0};
        pluck_status status = plk_json_next_key(object, is_first, &key, &ended);
        if (status != PLUCK_OK || ended)
            return status;
        for (size_t i = 0; i < N_COLUMNS; i++) {
            if (!is_key(key, keys[i]))
                continue;
            columns[i].scan = *object;
            columns[i].is_list = plk_json_take(&columns[i].scan, '[') || columns[i].is_list;
        }
        status = plk_json_skip_value(object, 0);
        if (status != PLUCK_OK)
            return status;
    }
}

static pluck_status next_in_column(column *c, bool is_first, bool *ended)
{
    *ended = false;
    c->at = PLK_JSON_NOWHERE;
    if (!c->is_list)
        return PLUCK_OK;
    pluck_status status = plk_json_next_element(&c->scan, is_first, ended);
    if (status != PLUCK_OK || *ended)
        return status;
    if (!plk_json_next_is(&c->scan, 'n'))
        c->at = (uint64_t)(c->scan.at - c->scan.begin);
    return plk_json_skip_value(&c->scan, 0);
}

/* An element of each column; *ended: there is no token. */
static pluck_status next_in_columns(column *columns, bool is_first, bool *ended)
{
    *ended = false;
    for (size_t i = 0; i < N_COLUMNS && !*ended; i++) {
        pluck_status status = next_in_column(&columns[i], is_first, ended);
        if (status != PLUCK_OK)
            return status;
        if (*ended && i != COLUMN_TOKEN)
            return plk_json_fail_expected(&columns[i].scan,
                                          "the same number of elements as \"tokens\" has");
    }
    *ended = columns[COLUMN_TOKEN].at == PLK_JSON_NOWHERE;
    return PLUCK_OK;
}

/* "tokens", "token_logprobs" and "top_logprobs", of one length: a row for each element. */
static pluck_status find_columns(finder *f)
{
    plk_json_scan object = f->scan;
    column columns[N_COLUMNS] = {0};
    pluck_status status = begin_columns(&object, columns);
    bool ended = !columns[COLUMN_TOKEN].is_list;
    for (bool is_first = true; status == PLUCK_OK && !ended; is_first = false) {
        status = next_in_columns(columns, is_first, &ended);
        plk_json_place place = {.at = columns[COLUMN_TOP].at,
                                .token = columns[COLUMN_TOKEN].at,
                                .logprob = columns[COLUMN_LOGPROB].at,
                                .form = PLK_JSON_COLUMN,
                                .group = PLK_JSON_LOGPROBS};
        /* The first token of an echoed prompt follows nothing. */
        bool is_row = place.logprob != PLK_JSON_NOWHERE || place.at != PLK_JSON_NOWHERE;
        if (status == PLUCK_OK && !ended && is_row)
            status = add_place(f, place);
    }
    if (status == PLUCK_OK)
        f->scan.at = object.at;
    return status;
}

static pluck_status add_row(finder *f, plk_json_form form, plk_json_group group)
{
    pluck_status status =
        add_place(f, (plk_json_place){.at = here(f), .form = form, .group = group});
    return status != PLUCK_OK ? status : plk_json_skip_value(&f->scan, 0);
}

/* A value that is a row or has rows inside; entries are rows only as elements of a list. */
static pluck_status find_row(finder *f, plk_json_group group, bool is_element, unsigned depth)
{
    object_kind kind = OBJECT_OTHER;
    pluck_status status = plk_json_next_is(&f->scan, '{') ? classify(f->scan, &kind) : PLUCK_OK;
    if (status != PLUCK_OK)
        return status;
    if (kind == OBJECT_COLUMNS)
        return find_columns(f);
    if (kind == OBJECT_MAP)
        return add_row(f, PLK_JSON_MAP, group);
    if (kind == OBJECT_ENTRY && is_element)
        return add_row(f, PLK_JSON_ENTRY, group);
    return find_in(f, depth);
}

/* The value of a key that may hold rows; the list of its group, or something that has it inside. */
static pluck_status find_rows(finder *f, plk_json_group group, unsigned depth)
{
    plk_json_scan ahead = f->scan;
    bool ended = false;
    if (!plk_json_take(&ahead, '['))
        return find_row(f, group, false, depth);
    if (ahead.at < ahead.end && memchr("[-0123456789", *ahead.at, 12))
        return find_matrix(f);
    f->scan = ahead;
    for (bool is_first = true;; is_first = false) {
        pluck_status status = plk_json_next_element(&f->scan, is_first, &ended);
        if (status == PLUCK_OK && !ended)
            status = find_row(f, group, true, depth + 1);
        if (status != PLUCK_OK || ended)
            return status;
    }
}

static pluck_status find_in_object(finder *f, unsigned depth)
{
    bool ended = false;
    (void)plk_json_take(&f->scan, '{');
    for (bool is_first = true;; is_first = false) {
        plk_json_string key = {0};
        pluck_status status = plk_json_next_key(&f->scan, is_first, &key, &ended);
        if (status != PLUCK_OK || ended)
            return status;
        size_t group = 0;
        while (group < PLK_JSON_N_GROUPS && !is_key(key, group_names[group]))
            group++;
        bool is_list = plk_json_next_is(&f->scan, '[');
        if (group == PLK_JSON_LOGITS && is_list) {
            status = find_matrix(f);
        } else if (group < PLK_JSON_N_GROUPS) {
            status = find_rows(
                f, group == PLK_JSON_LOGITS ? PLK_JSON_LOGPROBS : (plk_json_group)group, depth + 1);
        } else if (is_key(key, "content") && is_list) {
            status = find_rows(f, PLK_JSON_LOGPROBS, depth + 1);
        } else {
            if ((is_key(key, "targets") || is_key(key, "target")) && is_list && depth == 0)
                f->d->targets = here(f);
            f->d->has_weight_map = f->d->has_weight_map || is_key(key, "weight_map");
            status = find_in(f, depth + 1);
        }
        if (status != PLUCK_OK)
            return status;
    }
}

/* Any value that is not known to be rows. */
static pluck_status find_in(finder *f, unsigned depth)
{
    bool ended = false;
    bool is_object = plk_json_next_is(&f->scan, '{');
    if (!is_object && !plk_json_next_is(&f->scan, '['))
        return plk_json_skip_value(&f->scan, depth);
    if (depth >= MAX_DEPTH)
        return plk_json_fail_expected(&f->scan, "at most 64 levels of nesting");
    if (is_object)
        return find_in_object(f, depth);
    (void)plk_json_take(&f->scan, '[');
    for (bool is_first = true;; is_first = false) {
        pluck_status status = plk_json_next_element(&f->scan, is_first, &ended);
        if (status != PLUCK_OK || ended)
            return status;
        status = find_in(f, depth + 1);
        if (status != PLUCK_OK)
            return status;
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
    finder f = {document, {bytes, bytes, bytes + size_bytes, where, PLK_JSON_NO_ROW, err}};
    f.scan.at += plk_mark_bytes(bytes, size_bytes);
    for (;;) {
        plk_json_skip_space(&f.scan);
        if (f.scan.at == f.scan.end)
            return PLUCK_OK;
        if (skip_framing(&f.scan))
            continue;
        bool is_list = plk_json_next_is(&f.scan, '[');
        if (!is_list && !plk_json_next_is(&f.scan, '{'))
            return plk_json_fail_expected(&f.scan, "'{' or '['");
        pluck_status status = is_list && is_number_list(&f.scan) ? find_matrix(&f)
                              : is_list ? find_rows(&f, PLK_JSON_LOGPROBS, 0)
                                        : find_in(&f, 0);
        if (status != PLUCK_OK)
            return status;
    }
}

void plk_json_document_close(plk_json_document *document)
{
    plk_free(&document->allocator, document->places);
    document->places = NULL;
    document->n_places = document->capacity = 0;
}

bool plk_json_is_row_line(const uint8_t *line, size_t length)
{
    plk_json_scan s = {line, line, line + length, "", PLK_JSON_NO_ROW, NULL};
    bool ended = false;
    if (!plk_json_take(&s, '{'))
        return false;
    for (bool is_first = true;; is_first = false) {
        plk_json_string key = {0};
        /* A line that only ends too early is the first one of a document. */
        if (plk_json_next_key(&s, is_first, &key, &ended) != PLUCK_OK)
            return s.at < s.end;
        if (ended)
            return false;
        bool is_logits = is_key(key, "logits"), is_logprobs = is_key(key, "logprobs");
        plk_json_scan value = s;
        if (is_logits || is_logprobs) {
            uint32_t id = 0;
            if (plk_json_take(&value, '['))
                return !plk_json_next_is(&value, '[') && !plk_json_next_is(&value, '{');
            bool is_map = plk_json_take(&value, '{') && !plk_json_take(&value, '}') &&
                          plk_json_next_key(&value, true, &key, &ended) == PLUCK_OK && !ended &&
                          parse_id(key.begin, key.length, &id) && !plk_json_next_is(&value, '{');
            return is_map || is_logits;
        }
        if (plk_json_skip_value(&s, 0) != PLUCK_OK)
            return s.at < s.end;
    }
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
static void set_text(plk_json_token *token, plk_json_string t)
{
    size_t prefix = sizeof id_prefix - 1;
    token->text = t.begin;
    token->length = t.length;
    if (t.length > prefix && memcmp(t.begin, id_prefix, prefix) == 0)
        token->has_id = parse_id(t.begin + prefix, t.length - prefix, &token->id);
}

static pluck_status take_text(plk_json_scan *s, entry *e)
{
    plk_json_string t = {0};
    pluck_status status = plk_json_take_string(s, &t.begin, &t.length);
    set_text(&e->token, t);
    e->has_token = true;
    return status;
}

static pluck_status take_id(plk_json_scan *s, entry *e)
{
    double id = 0.0;
    pluck_status status = plk_json_take_number(s, &id);
    if (status != PLUCK_OK)
        return status;
    if (!(id >= 0.0 && id < (double)PLUCK_MAX_VOCAB && id == floor(id)))
        return plk_json_fail_expected(s, "before this an id below 2^24");
    e->token.id = (uint32_t)id;
    e->token.has_id = e->has_token = true;
    return PLUCK_OK;
}

static pluck_status take_part(plk_json_scan *s, part p, entry *e)
{
    bool is_string = plk_json_next_is(s, '"');
    if (p == PART_TEXT && is_string)
        return take_text(s, e);
    if (p == PART_ID && !is_string && !plk_json_next_is(s, 'n'))
        return take_id(s, e);
    if (p == PART_LOGPROB || p == PART_PROB) {
        pluck_status status = plk_json_take_value(s, &e->value);
        if (p == PART_PROB)
            e->value = (float)plk_log((double)e->value);
        e->has_value = true;
        return status;
    }
    if (p == PART_TOP) {
        e->top = *s;
        e->has_top = e->has_top || plk_json_next_is(s, '[');
    }
    return plk_json_skip_value(s, 0);
}

static pluck_status take_entry(plk_json_scan *s, entry *e)
{
    bool ended = false;
    *e = (entry){.has_top = false};
    if (!plk_json_take(s, '{'))
        return plk_json_fail_expected(s, "'{' and a token");
    for (bool is_first = true;; is_first = false) {
        plk_json_string key = {0};
        pluck_status status = plk_json_next_key(s, is_first, &key, &ended);
        if (status == PLUCK_OK && !ended)
            status = take_part(s, part_of(key), e);
        if (status != PLUCK_OK || ended)
            return status;
    }
}

static pluck_status read_entry(plk_json_scan *s, plk_json_sink sink, void *user)
{
    entry e, other;
    bool ended = false;
    pluck_status status = take_entry(s, &e);
    if (status == PLUCK_OK && e.has_top) {
        plk_json_scan top = e.top;
        (void)plk_json_take(&top, '[');
        for (bool is_first = true;; is_first = false) {
            status = plk_json_next_element(&top, is_first, &ended);
            if (status != PLUCK_OK || ended)
                break;
            status = take_entry(&top, &other);
            if (status == PLUCK_OK && (!other.has_token || !other.has_value))
                status = plk_json_fail_expected(&top, "before this a token and its logprob");
            if (status == PLUCK_OK)
                status = sink(user, &other.token, other.value, false, s->err);
            if (status != PLUCK_OK)
                break;
        }
    }
    if (status == PLUCK_OK && !e.has_token)
        return plk_json_fail_expected(s, "before this a token");
    return status == PLUCK_OK
               ? sink(user, &e.token, e.has_value ? e.value : (float)NAN, true, s->err)
               : status;
}

/* {"17": -0.5, ...} or {"17": {"logprob": -0.5, ...}, ...}; keys may be texts. */
static pluck_status read_map(plk_json_scan *s, bool first_came, plk_json_sink sink, void *user)
{
    bool ended = false;
    if (!plk_json_take(s, '{'))
        return plk_json_fail_expected(s, "'{' and tokens");
    for (bool is_first = true;; is_first = false) {
        plk_json_string key = {0};
        pluck_status status = plk_json_next_key(s, is_first, &key, &ended);
        if (status != PLUCK_OK || ended)
            return status;
        entry e = {.has_value = true};
        set_text(&e.token, key);
        if (first_came && !parse_id(key.begin, key.length, &e.token.id))
            return plk_json_fail_expected(s, "before this the id of a token");
        e.token.has_id = e.token.has_id || first_came;
        plk_json_token token = e.token;
        bool is_object = plk_json_next_is(s, '{');
        status = is_object ? take_entry(s, &e) : plk_json_take_value(s, &e.value);
        if (status == PLUCK_OK && !e.has_value)
            status = plk_json_fail_expected(s, "before this a logprob");
        if (status == PLUCK_OK)
            status = sink(user, &token, e.value, false, s->err);
        /* vLLM puts the token of the prompt first. */
        if (status == PLUCK_OK && is_object && is_first && first_came)
            status = sink(user, &token, e.value, true, s->err);
        if (status != PLUCK_OK)
            return status;
    }
}

static pluck_status read_column(const plk_json_scan *all, const plk_json_place *place,
                                plk_json_sink sink, void *user)
{
    plk_json_scan s = *all;
    plk_json_string t = {0};
    plk_json_token token = {0};
    float value = NAN;
    pluck_status status = PLUCK_OK;
    if (place->at != PLK_JSON_NOWHERE) {
        s.at = all->begin + place->at;
        status = read_map(&s, false, sink, user);
    }
    if (status == PLUCK_OK && place->logprob != PLK_JSON_NOWHERE) {
        s.at = all->begin + place->logprob;
        status = plk_json_take_value(&s, &value);
    }
    s.at = all->begin + place->token;
    if (status == PLUCK_OK)
        status = plk_json_take_string(&s, &t.begin, &t.length);
    if (status != PLUCK_OK)
        return status;
    set_text(&token, t);
    return sink(user, &token, value, true, s.err);
}

static plk_json_scan scan_at(const plk_json_document *d, uint64_t at, pluck_error *err)
{
    return (plk_json_scan){d->bytes, d->bytes + at,   d->bytes + d->size_bytes,
                           d->where, PLK_JSON_NO_ROW, err};
}

pluck_status plk_json_document_row(const plk_json_document *document, size_t place,
                                   plk_json_sink sink, void *user, pluck_error *err)
{
    const plk_json_place *p = &document->places[place];
    plk_json_scan s = scan_at(document, p->at == PLK_JSON_NOWHERE ? 0 : p->at, err);
    if (p->form == PLK_JSON_ENTRY)
        return read_entry(&s, sink, user);
    if (p->form == PLK_JSON_MAP)
        return read_map(&s, true, sink, user);
    return read_column(&s, p, sink, user);
}

pluck_status plk_json_document_values(const plk_json_document *document, size_t place,
                                      float *values, pluck_error *err)
{
    plk_json_scan s = scan_at(document, document->places[place].at, err);
    bool ended = false;
    (void)plk_json_take(&s, '[');
    for (size_t n = 0;; n++) {
        pluck_status status = plk_json_next_element(&s, n == 0, &ended);
        if (status != PLUCK_OK || ended)
            return status;
        if (n == document->n_values)
            return plk_json_fail_expected(&s, "no more values");
        status = plk_json_take_value(&s, &values[n]);
        if (status != PLUCK_OK)
            return status;
    }
}

pluck_status plk_json_document_targets(const plk_json_document *document, uint64_t n,
                                       uint32_t n_vocab, pluck_token *tokens, bool *fits,
                                       pluck_error *err)
{
    plk_json_scan s = scan_at(document, document->targets, err);
    uint64_t found = 0;
    size_t depth = 0;
    *fits = false;
    do {
        double value = 0.0;
        if (plk_json_take(&s, '[')) {
            depth++;
        } else if (plk_json_take(&s, ']')) {
            depth--;
            (void)plk_json_take(&s, ',');
        } else {
            bool is_null = plk_json_take_word(&s, "null");
            pluck_status status = is_null ? PLUCK_OK : plk_json_take_number(&s, &value);
            if (status != PLUCK_OK)
                return status;
            if (value != floor(value) || value >= (double)n_vocab)
                return plk_json_fail_expected(&s,
                                              "before this a target below the number of values");
            if (found < n)
                tokens[found] = is_null || value < 0.0 ? PLUCK_NO_TOKEN : (pluck_token)value;
            found++;
            (void)plk_json_take(&s, ',');
        }
    } while (depth > 0);
    *fits = found == n;
    return PLUCK_OK;
}
