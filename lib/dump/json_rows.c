/*
 * JSON that is not lines of one row each: arrays of numbers, and the answers of servers
 * (reader.h says where their rows are). The text stays in memory or mapped; where its rows
 * are is found when it is opened.
 *
 * Tokens of an answer are ids, or texts without ids. Texts are numbered in the order in which they
 * first appear, so that each different one is a token; what they are can be asked for. The tokens
 * that a row does not name are impossible (-inf), and two tokens of a row that have one text count
 * together.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/scalar_math.h"
#include "base/text.h"
#include "dump/reader.h"
#include "json/json.h"

enum { FIRST_SLOTS = 256 };

/* A token by its text. */
typedef struct text_place {
    size_t begin, length; /* in the arena */
} text_place;

typedef struct json_file {
    plk_json_document document;
    uint64_t *rows;  /* places of the rows that were chosen; NULL: all */
    plk_shape shape; /* of an array of numbers */
    pluck_token *targets;
    bool by_text, by_id;
    uint32_t largest_id;

    /* Texts: one after the other in the arena, and a hash table of their numbers + 1. */
    char *arena;
    size_t arena_size, arena_capacity;
    text_place *texts;
    size_t n_texts, texts_capacity;
    uint32_t *slots;
    size_t n_slots;
} json_file;

static bool sniff(const uint8_t *bytes, size_t size_bytes, const pluck_dump_options *options)
{
    size_t at = plk_first_byte(bytes, size_bytes);
    (void)options;
    if (at == size_bytes)
        return false;
    if (bytes[at] == '{') {
        const uint8_t *newline = memchr(bytes + at, '\n', size_bytes - at);
        size_t length = newline ? (size_t)(newline - bytes) - at : size_bytes - at;
        return !plk_json_is_row_line(bytes + at, length);
    }
    if (bytes[at] == '[') {
        /* Numbers, lists and objects begin so, and few other things. */
        static const char after[] = "[{]0123456789-nNI \t\r\n";
        return at + 1 == size_bytes || (bytes[at + 1] != '\0' && strchr(after, bytes[at + 1]));
    }
    return size_bytes - at > 6 &&
           (memcmp(bytes + at, "data: ", 6) == 0 || memcmp(bytes + at, "event:", 6) == 0);
}

static uint64_t hash(const char *text, size_t length)
{
    uint64_t h = 0xCBF29CE484222325u;
    for (size_t i = 0; i < length; i++)
        h = (h ^ (uint8_t)text[i]) * 0x100000001B3u;
    return h ^ h >> 29;
}

/* The slot of a text: where it is, or where it would be. */
static size_t find_slot(const json_file *file, const char *text, size_t length)
{
    size_t at = (size_t)hash(text, length) & (file->n_slots - 1);
    while (file->slots[at] != 0) {
        const text_place *t = &file->texts[file->slots[at] - 1];
        if (t->length == length && memcmp(file->arena + t->begin, text, length) == 0)
            break;
        at = (at + 1) & (file->n_slots - 1);
    }
    return at;
}

static pluck_status grow_slots(json_file *file, const pluck_allocator *allocator, pluck_error *err)
{
    size_t n = file->n_slots > 0 ? 2 * file->n_slots : FIRST_SLOTS;
    uint32_t *slots = plk_alloc_zero(allocator, n, sizeof *slots);
    if (!slots)
        return plk_fail_nomem(err, n * sizeof *slots);
    plk_free(allocator, file->slots);
    file->slots = slots;
    file->n_slots = n;
    for (size_t i = 0; i < file->n_texts; i++) {
        const text_place *t = &file->texts[i];
        file->slots[find_slot(file, file->arena + t->begin, t->length)] = (uint32_t)i + 1;
    }
    return PLUCK_OK;
}

typedef struct collection {
    json_file *file;
    const pluck_dump *dump;
} collection;

/* Opening: which tokens there are. */
static pluck_status collect(void *user, const plk_json_token *token, float value, bool is_target,
                            pluck_error *err)
{
    const collection *c = user;
    json_file *file = c->file;
    const pluck_allocator *allocator = &c->dump->allocator;
    (void)value;
    (void)is_target;
    file->by_id = file->by_id || token->has_id;
    file->by_text = file->by_text || !token->has_id;
    if (file->by_id && file->by_text)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: gives some tokens by their ids and some by text; expected ids for "
                        "all, or for none",
                        c->dump->source.label);
    if (token->has_id) {
        file->largest_id = token->id > file->largest_id ? token->id : file->largest_id;
        return PLUCK_OK;
    }
    pluck_status status = plk_grow(allocator, &file->arena, &file->arena_capacity,
                                   file->arena_size + token->length + 1, 1, err);
    if (status == PLUCK_OK)
        status = plk_grow(allocator, &file->texts, &file->texts_capacity, file->n_texts + 1,
                          sizeof *file->texts, err);
    if (status == PLUCK_OK && 2 * file->n_texts >= file->n_slots)
        status = grow_slots(file, allocator, err);
    if (status != PLUCK_OK)
        return status;
    char *text = file->arena + file->arena_size;
    size_t length = plk_json_unescape((const char *)token->text, token->length, text);
    size_t slot = find_slot(file, text, length);
    if (file->slots[slot] != 0)
        return PLUCK_OK;
    if (file->n_texts == PLUCK_MAX_VOCAB)
        return plk_fail(err, PLUCK_ERR_FORMAT, "%s: has more than 2^24 different tokens",
                        c->dump->source.label);
    file->texts[file->n_texts] = (text_place){file->arena_size, length};
    file->arena_size += length;
    file->slots[slot] = (uint32_t)++file->n_texts;
    return PLUCK_OK;
}

typedef struct sparse_row {
    const json_file *file;
    float *values;
    uint32_t n_vocab;
    pluck_token target;
} sparse_row;

/* Reading: a token's value. A text that was not collected cannot come. */
static pluck_status fill(void *user, const plk_json_token *token, float value, bool is_target,
                         pluck_error *err)
{
    sparse_row *row = user;
    uint32_t id = token->id;
    char text[1024];
    if (!token->has_id) {
        const json_file *file = row->file;
        char *unescaped = text;
        if (token->length > sizeof text) {
            unescaped = plk_alloc(&file->document.allocator, token->length, 1);
            if (!unescaped)
                return plk_fail_nomem(err, token->length);
        }
        size_t length = plk_json_unescape((const char *)token->text, token->length, unescaped);
        id = file->slots[find_slot(file, unescaped, length)] - 1;
        if (unescaped != text)
            plk_free(&file->document.allocator, unescaped);
    }
    float *known = &row->values[id];
    if (is_target) {
        row->target = (pluck_token)id;
        *known = *known == -INFINITY && !isnan(value) ? value : *known;
    } else if (*known == -INFINITY || isnan(value)) {
        *known = value;
    } else if (value > -INFINITY) {
        double larger = (double)fmaxf(value, *known), smaller = (double)fminf(value, *known);
        *known = (float)(larger + plk_log(1.0 + plk_exp(smaller - larger)));
    }
    return PLUCK_OK;
}

/* The group that is asked for, or the only one. */
static pluck_status choose_group(const pluck_dump *dump, const plk_json_document *document,
                                 const char *wanted, plk_json_group *chosen, pluck_error *err)
{
    char names[96] = "";
    size_t n = 0;
    for (plk_json_group g = 0; g < PLK_JSON_N_GROUPS; g++) {
        if (document->n_of[g] == 0)
            continue;
        size_t used = strlen(names);
        (void)snprintf(names + used, sizeof names - used, "%s'%s'", used > 0 ? ", " : "",
                       plk_json_group_name(g));
        if (wanted ? strcmp(wanted, plk_json_group_name(g)) == 0 : true) {
            *chosen = g;
            n++;
        }
    }
    if (n == 1)
        return PLUCK_OK;
    if (wanted)
        return plk_fail(err, PLUCK_ERR_INVALID, "%s: has no rows under '%.40s'; it has %s",
                        dump->source.label, wanted, names[0] != '\0' ? names : "none");
    if (n == 0 && document->has_weight_map)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: is the index of a model in several files and not a file of logits",
                        dump->source.label);
    if (n == 0)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: JSON without rows: expected lists of numbers, \"logits\", or the "
                        "logprobs in the answer of a server that was asked for them",
                        dump->source.label);
    return plk_fail(err, PLUCK_ERR_FORMAT,
                    "%s: has rows of several kinds, name one with --tensor: %s", dump->source.label,
                    names);
}

static pluck_status choose_rows(pluck_dump *dump, json_file *file, plk_json_group group,
                                pluck_error *err)
{
    const plk_json_document *document = &file->document;
    uint64_t n = 0;
    dump->info.n_rows = document->n_of[group];
    if (dump->info.n_rows == document->n_places)
        return PLUCK_OK;
    file->rows = plk_alloc(&dump->allocator, (size_t)dump->info.n_rows, sizeof *file->rows);
    if (!file->rows)
        return plk_fail_nomem(err, (size_t)dump->info.n_rows * sizeof *file->rows);
    for (size_t i = 0; i < document->n_places; i++)
        if (document->places[i].group == group)
            file->rows[n++] = i;
    return PLUCK_OK;
}

static pluck_status open_numbers(pluck_dump *dump, json_file *file, pluck_error *err)
{
    const plk_json_document *document = &file->document;
    dump->info.n_vocab = document->n_values;
    if (document->n_arrays == 1) {
        file->shape = document->shape;
        dump->info.n_axes = file->shape.n_axes;
        dump->info.axes = file->shape.axes;
    }
    if (document->targets == PLK_JSON_NOWHERE)
        return PLUCK_OK;
    size_t n = (size_t)dump->info.n_rows;
    file->targets = plk_alloc(&dump->allocator, n, sizeof *file->targets);
    if (!file->targets)
        return plk_fail_nomem(err, n * sizeof *file->targets);
    return plk_json_document_targets(document, n, document->n_values, file->targets,
                                     &dump->info.has_targets, err);
}

static pluck_status open_sparse(pluck_dump *dump, json_file *file, uint32_t wanted,
                                pluck_error *err)
{
    collection c = {file, dump};
    for (uint64_t row = 0; row < dump->info.n_rows; row++) {
        size_t place = (size_t)(file->rows ? file->rows[row] : row);
        pluck_status status = plk_json_document_row(&file->document, place, collect, &c, err);
        if (status != PLUCK_OK)
            return status;
    }
    uint32_t n = file->by_text ? (uint32_t)file->n_texts : file->largest_id + 1;
    if (wanted != 0 && wanted < n)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: has %s%u%s, which do not fit a vocabulary of %u tokens; expected "
                        "--vocab-size (raw_n_vocab) %u or more",
                        dump->source.label, file->by_text ? "" : "ids up to ",
                        (unsigned)(file->by_text ? n : n - 1),
                        file->by_text ? " different tokens" : "", (unsigned)wanted, (unsigned)n);
    dump->info.n_vocab = wanted != 0 ? wanted : n;
    dump->info.is_sparse = true;
    dump->info.has_targets = true;
    return PLUCK_OK;
}

static pluck_status open_json(pluck_dump *dump, const pluck_dump_options *options, pluck_error *err)
{
    plk_source *source = &dump->source;
    json_file *file = dump->own;
    plk_json_group group = PLK_JSON_LOGITS;
    pluck_status status = plk_source_load(source, PLK_MAX_LOADED_BYTES, err);
    if (status == PLUCK_OK)
        status = plk_json_document_open(&file->document, source->bytes, (size_t)source->size_bytes,
                                        source->label, &dump->allocator, err);
    if (status == PLUCK_OK)
        status = choose_group(dump, &file->document, options->tensor, &group, err);
    if (status == PLUCK_OK)
        status = choose_rows(dump, file, group, err);
    if (status == PLUCK_OK)
        status = group == PLK_JSON_LOGITS ? open_numbers(dump, file, err)
                                          : open_sparse(dump, file, options->raw_n_vocab, err);
    if (status != PLUCK_OK)
        return status;
    if (options->raw_n_vocab != 0 && options->raw_n_vocab != dump->info.n_vocab)
        return plk_fail(err, PLUCK_ERR_FORMAT, "%s: has rows of %u values, expected %u",
                        source->label, (unsigned)dump->info.n_vocab,
                        (unsigned)options->raw_n_vocab);
    dump->info.streamed = false;
    dump->info.dtype = PLUCK_F32;
    dump->info.stored_dtype = "json";
    dump->info.tensor = group == PLK_JSON_LOGITS ? NULL : plk_json_group_name(group);
    return PLUCK_OK;
}

static pluck_status read_row(pluck_dump *dump, uint64_t row, float *scratch, pluck_dump_row *out,
                             pluck_error *err)
{
    const json_file *file = dump->own;
    size_t place = (size_t)(file->rows ? file->rows[row] : row);
    sparse_row sparse = {file, scratch, dump->info.n_vocab, PLUCK_NO_TOKEN};
    pluck_status status = PLUCK_OK;
    if (!dump->info.is_sparse) {
        status = plk_json_document_values(&file->document, place, scratch, err);
        sparse.target =
            file->targets && dump->info.has_targets ? file->targets[row] : PLUCK_NO_TOKEN;
    } else {
        for (uint32_t i = 0; i < dump->info.n_vocab; i++)
            scratch[i] = -INFINITY;
        status = plk_json_document_row(&file->document, place, fill, &sparse, err);
    }
    if (status != PLUCK_OK)
        return status;
    out->target = sparse.target;
    return PLUCK_OK;
}

static const char *token_text(const pluck_dump *dump, pluck_token token, size_t *length)
{
    const json_file *file = dump->own;
    if (token < 0 || (size_t)token >= file->n_texts)
        return NULL;
    *length = file->texts[token].length;
    return file->arena + file->texts[token].begin;
}

static void close_json(pluck_dump *dump)
{
    json_file *file = dump->own;
    if (file->document.places)
        plk_json_document_close(&file->document);
    plk_free(&dump->allocator, file->rows);
    plk_free(&dump->allocator, file->targets);
    plk_free(&dump->allocator, file->arena);
    plk_free(&dump->allocator, file->texts);
    plk_free(&dump->allocator, file->slots);
}

const plk_dump_reader plk_dump_json = {
    .format = PLUCK_DUMP_JSON,
    .name = "json",
    .recognised = "JSON",
    .has_tensors = true,
    .needs_scratch = true,
    .own_bytes = sizeof(json_file),
    .sniff = sniff,
    .open = open_json,
    .read = read_row,
    .close = close_json,
    .token_text = token_text,
};
