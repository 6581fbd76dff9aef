/*
 * The JSON forms of a vocabulary. A map from text to id must give every id once; added_tokens of a
 * tokenizer.json come last, because they take the place of an entry of the same id.
 */
#include "vocab/vocab_readers.h"

#include "base/alloc.h"
#include "base/error.h"
#include "json/json.h"

#include <stdlib.h>
#include <string.h>

typedef struct reader {
    plk_vocab *v;
    const char *name;
    pluck_error *err;
    pluck_status status; /* of the first failure */
    size_t n_ids;        /* ids are below this number: what a small file can cost in memory */
} reader;

enum { LEAST_IDS = 1 << 16 };

/* Sets the text that node is, or that its key is: bytes, which may be 0. */
static void add(reader *r, uint32_t id, const plk_json_node *node, bool is_key, bool is_literal)
{
    const char *text = is_key ? plk_json_key(node) : plk_json_string(node);
    size_t n = is_key ? plk_json_key_bytes(node) : plk_json_string_bytes(node);
    if (id >= r->n_ids)
        r->status = plk_fail(
            r->err, PLUCK_ERR_FORMAT,
            "%s: \"%s\" has the id %u, but the file is too small for that number of tokens",
            r->name, text, (unsigned)id);
    else if (!plk_vocab_set(r->v, id, text, n, is_literal))
        r->status = plk_fail_nomem(r->err, n);
}

static bool read_id(const plk_json_node *item, uint32_t *id)
{
    if (!plk_json_is(item, PLK_JSON_NUMBER) ||
        !(plk_json_number(item) >= 0 && plk_json_number(item) < PLUCK_MAX_VOCAB))
        return false;
    *id = (uint32_t)plk_json_number(item);
    return (double)*id == plk_json_number(item);
}

/* A list of texts, or of [text, score] as Unigram models have it. */
static void read_list(reader *r, const plk_json_node *list)
{
    uint32_t id = 0;
    for (const plk_json_node *item = plk_json_child(list); item && r->status == PLUCK_OK;
         item = plk_json_sibling(item), id++) {
        const plk_json_node *text = plk_json_is(item, PLK_JSON_ARRAY) ? plk_json_child(item) : item;
        if (id >= PLUCK_MAX_VOCAB)
            r->status = plk_fail(r->err, PLUCK_ERR_FORMAT, "%s: has more than %u tokens", r->name,
                                 PLUCK_MAX_VOCAB);
        else if (!plk_json_is(text, PLK_JSON_STRING))
            r->status = plk_fail(r->err, PLUCK_ERR_FORMAT, "%s: entry %u of the list is not a text",
                                 r->name, (unsigned)id);
        else
            add(r, id, text, false, false);
    }
}

/* Of a text, or a key with the id. */
static void add_once(reader *r, uint32_t id, const plk_json_node *node, bool is_key, bool is_added)
{
    if (!is_added && id < r->v->n && r->v->entries[id].is_set)
        r->status =
            plk_fail(r->err, PLUCK_ERR_FORMAT, "%s: two texts have the id %u; the second is \"%s\"",
                     r->name, (unsigned)id, is_key ? plk_json_key(node) : plk_json_string(node));
    else
        add(r, id, node, is_key, is_added);
}

/* The id that a key is: decimal digits without leading zeros. */
static bool read_key_id(const plk_json_node *item, uint32_t *id)
{
    const char *key = plk_json_key(item);
    size_t n = strlen(key);
    if (n == 0 || n > 8 || strspn(key, "0123456789") != n || (key[0] == '0' && n > 1))
        return false;
    *id = (uint32_t)strtoul(key, NULL, 10);
    return *id < PLUCK_MAX_VOCAB;
}

/* A map from id to text, or to an object with the text as "content". */
static void read_ids(reader *r, const plk_json_node *map, bool is_added)
{
    for (const plk_json_node *item = plk_json_child(map); item && r->status == PLUCK_OK;
         item = plk_json_sibling(item)) {
        const plk_json_node *text =
            plk_json_is(item, PLK_JSON_OBJECT) ? plk_json_member(item, "content") : item;
        uint32_t id = 0;
        if (read_key_id(item, &id) && plk_json_is(text, PLK_JSON_STRING))
            add_once(r, id, text, false, is_added);
        else
            r->status = plk_fail(r->err, PLUCK_ERR_FORMAT,
                                 "%s: \"%s\" is not a token id (0 to %u) with a text, as its first "
                                 "entry is",
                                 r->name, plk_json_key(item), PLUCK_MAX_VOCAB - 1);
    }
}

/* A map from text to id. */
static void read_map(reader *r, const plk_json_node *map, bool is_added)
{
    for (const plk_json_node *item = plk_json_child(map); item && r->status == PLUCK_OK;
         item = plk_json_sibling(item)) {
        uint32_t id = 0;
        if (read_id(item, &id))
            add_once(r, id, item, true, is_added);
        else
            r->status = plk_fail(r->err, PLUCK_ERR_FORMAT,
                                 "%s: the value of \"%s\" is not a token id (0 to %u)", r->name,
                                 plk_json_key(item), PLUCK_MAX_VOCAB - 1);
    }
}

static void read_added(reader *r, const plk_json_node *list)
{
    size_t index = 0;
    for (const plk_json_node *item = plk_json_is(list, PLK_JSON_ARRAY) ? plk_json_child(list)
                                                                       : NULL;
         item && r->status == PLUCK_OK; item = plk_json_sibling(item), index++) {
        const plk_json_node *text = plk_json_member(item, "content");
        uint32_t id = 0;
        if (plk_json_is(text, PLK_JSON_STRING) && read_id(plk_json_member(item, "id"), &id))
            add(r, id, text, false, true);
        else
            r->status =
                plk_fail(r->err, PLUCK_ERR_FORMAT,
                         "%s: added_tokens[%zu]: expected an \"id\" from 0 to %u and a text "
                         "as \"content\"",
                         r->name, index, PLUCK_MAX_VOCAB - 1);
    }
}

/* What the decoder of a tokenizer.json says of the spelling. A sequence of decoders is searched. */
static plk_encoding find_encoding(const plk_json_node *decoder, unsigned depth)
{
    static const struct {
        const char *type;
        plk_encoding encoding;
    } known[] = {{"ByteLevel", PLK_ENCODING_GPT2},
                 {"Metaspace", PLK_ENCODING_SENTENCEPIECE},
                 {"ByteFallback", PLK_ENCODING_SENTENCEPIECE},
                 {"WordPiece", PLK_ENCODING_WORDPIECE}};
    const plk_json_node *type = plk_json_member(decoder, "type");
    for (size_t i = 0; plk_json_is(type, PLK_JSON_STRING) && i < sizeof known / sizeof *known; i++)
        if (strcmp(plk_json_string(type), known[i].type) == 0)
            return known[i].encoding;
    const plk_json_node *list = plk_json_member(decoder, "decoders");
    plk_encoding found = PLK_ENCODING_AUTO;
    for (const plk_json_node *item =
             depth < 4 && plk_json_is(list, PLK_JSON_ARRAY) ? plk_json_child(list) : NULL;
         item && found == PLK_ENCODING_AUTO; item = plk_json_sibling(item))
        found = find_encoding(item, depth + 1);
    return found;
}

static void read_root(reader *r, const plk_json_node *root)
{
    const plk_json_node *model = plk_json_member(root, "model"), *entries = root;
    bool is_tokenizer = plk_json_is(model, PLK_JSON_OBJECT);
    if (is_tokenizer)
        entries = plk_json_member(model, "vocab");
    if (plk_json_is(entries, PLK_JSON_ARRAY))
        read_list(r, entries);
    else if (!plk_json_is(entries, PLK_JSON_OBJECT))
        r->status = plk_fail(r->err, PLUCK_ERR_FORMAT,
                             "%s: is neither a list of texts, a map from text to id or from id to "
                             "text, nor a tokenizer.json with model.vocab",
                             r->name);
    else if (!is_tokenizer && plk_json_member(root, "added_tokens_decoder"))
        r->status = plk_fail(r->err, PLUCK_ERR_FORMAT,
                             "%s: a tokenizer_config.json, which has added tokens only; give the "
                             "vocabulary, and this file as --added-tokens",
                             r->name);
    else if (!is_tokenizer && plk_json_is(plk_json_child(root), PLK_JSON_STRING))
        read_ids(r, root, false);
    else
        read_map(r, entries, false);
    if (!is_tokenizer || r->status != PLUCK_OK)
        return;
    r->v->encoding = find_encoding(plk_json_member(root, "decoder"), 0);
    read_added(r, plk_json_member(root, "added_tokens"));
}

/* added_tokens.json (a map from text to id), tokenizer_config.json, a tokenizer.json, or its
 * list. */
static void read_added_root(reader *r, const plk_json_node *root)
{
    const plk_json_node *list =
        plk_json_is(root, PLK_JSON_ARRAY) ? root : plk_json_member(root, "added_tokens");
    const plk_json_node *ids = plk_json_member(root, "added_tokens_decoder");
    if (plk_json_is(list, PLK_JSON_ARRAY))
        read_added(r, list);
    else if (plk_json_is(ids, PLK_JSON_OBJECT))
        read_ids(r, ids, true);
    else if (plk_json_is(root, PLK_JSON_OBJECT))
        read_map(r, root, true);
    else
        r->status = plk_fail(r->err, PLUCK_ERR_FORMAT,
                             "%s: is neither a map from text to id, a list of added tokens, nor a "
                             "tokenizer_config.json or tokenizer.json",
                             r->name);
}

static pluck_status read_json(plk_vocab *v, const plk_vocab_file *file,
                              void (*read)(reader *r, const plk_json_node *root))
{
    plk_json json;
    plk_json_problem problem;
    pluck_error err;
    pluck_status status =
        plk_json_parse(&json, file->text, file->n, PLK_JSON_NUL, &v->allocator, &problem, &err);
    if (status == PLUCK_ERR_FORMAT) {
        size_t line = 1;
        for (size_t i = 0; i < problem.at; i++)
            line += file->text[i] == '\n';
        return plk_fail(file->err, PLUCK_ERR_FORMAT, "%s: line %zu: is not valid JSON: %s",
                        file->name, line, problem.what);
    }
    if (status != PLUCK_OK)
        return plk_fail(file->err, status, "%s: %s", file->name, err.message);
    size_t n_ids = v->n + file->n;
    reader r = {
        .v = v,
        .name = file->name,
        .err = file->err,
        .n_ids = n_ids > LEAST_IDS ? n_ids : LEAST_IDS,
    };
    read(&r, json.root);
    plk_json_close(&json);
    return r.status;
}

pluck_status plk_vocab_read_json(plk_vocab *v, const plk_vocab_file *file)
{
    return read_json(v, file, read_root);
}

pluck_status plk_vocab_read_added(plk_vocab *v, const plk_vocab_file *file)
{
    return read_json(v, file, read_added_root);
}
