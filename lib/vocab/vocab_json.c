/*
 * The JSON forms of a vocabulary. A map from text to id must give every id once; added_tokens of a
 * tokenizer.json come last, because they take the place of an entry of the same id.
 */
#include "vocab_readers.h"

#include "json/json_tree.h"

#include <stdlib.h>
#include <string.h>

typedef struct reader {
    vocab *v;
    const plk_json *json;
    char *bytes; /* of one text; as long as the whole file */
    const char *who, *path;
    size_t n_ids; /* ids are below this number: what a small file can cost in memory */
} reader;

enum { LEAST_IDS = 1 << 16 };

/* Sets the text that node is, or that its key is: bytes, which may be 0. */
static int add(const reader *r, uint32_t id, const cJSON *node, bool is_key, bool is_literal)
{
    if (id >= r->n_ids)
        return complain(r->who, EXIT_DATA,
                        "%s: \"%s\" has the id %u, in a file too small for as many tokens", r->path,
                        is_key ? node->string : node->valuestring, (unsigned)id);
    size_t n =
        is_key ? plk_json_key(r->json, node, r->bytes) : plk_json_string(r->json, node, r->bytes);
    return vocab_set(r->v, id, r->bytes, n, is_literal) ? EXIT_DONE : complain_memory(r->who);
}

static bool read_id(const cJSON *item, uint32_t *id)
{
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble < PLUCK_MAX_VOCAB))
        return false;
    *id = (uint32_t)item->valuedouble;
    return (double)*id == item->valuedouble;
}

/* A list of texts, or of [text, score] as Unigram models have it. */
static int read_list(const reader *r, const cJSON *list)
{
    uint32_t id = 0;
    for (const cJSON *item = list->child; item; item = item->next, id++) {
        const cJSON *text = cJSON_IsArray(item) ? item->child : item;
        if (id >= PLUCK_MAX_VOCAB)
            return complain(r->who, EXIT_DATA, "%s: has more than %u tokens", r->path,
                            PLUCK_MAX_VOCAB);
        if (!text || !cJSON_IsString(text))
            return complain(r->who, EXIT_DATA, "%s: entry %u of the list is not a text", r->path,
                            (unsigned)id);
        int code = add(r, id, text, false, false);
        if (code != EXIT_DONE)
            return code;
    }
    return EXIT_DONE;
}

static int fail_twice(const reader *r, uint32_t id, const char *text)
{
    return complain(r->who, EXIT_DATA, "%s: two texts have the id %u; the second is \"%s\"",
                    r->path, (unsigned)id, text);
}

/* The id that a key is: decimal digits without leading zeros. */
static bool read_key_id(const cJSON *item, uint32_t *id)
{
    const char *key = item->string;
    size_t n = strlen(key);
    if (n == 0 || n > 8 || strspn(key, "0123456789") != n || (key[0] == '0' && n > 1))
        return false;
    *id = (uint32_t)strtoul(key, NULL, 10);
    return *id < PLUCK_MAX_VOCAB;
}

/* A map from id to text, or to an object with the text as "content". */
static int read_ids(const reader *r, const cJSON *map, bool is_added)
{
    for (const cJSON *item = map->child; item; item = item->next) {
        const cJSON *text = cJSON_IsObject(item) ? plk_json_member(item, "content") : item;
        uint32_t id = 0;
        if (!read_key_id(item, &id) || !cJSON_IsString(text))
            return complain(r->who, EXIT_DATA,
                            "%s: \"%s\" is not a token id (0 to %u) with a text, as its first "
                            "entry is",
                            r->path, item->string, PLUCK_MAX_VOCAB - 1);
        if (!is_added && id < r->v->n && r->v->entries[id].is_set)
            return fail_twice(r, id, text->valuestring);
        int code = add(r, id, text, false, is_added);
        if (code != EXIT_DONE)
            return code;
    }
    return EXIT_DONE;
}

/* A map from text to id. */
static int read_map(const reader *r, const cJSON *map, bool is_added)
{
    for (const cJSON *item = map->child; item; item = item->next) {
        uint32_t id = 0;
        if (!read_id(item, &id))
            return complain(r->who, EXIT_DATA,
                            "%s: the value of \"%s\" is not a token id (0 to %u)", r->path,
                            item->string, PLUCK_MAX_VOCAB - 1);
        if (!is_added && id < r->v->n && r->v->entries[id].is_set)
            return fail_twice(r, id, item->string);
        int code = add(r, id, item, true, is_added);
        if (code != EXIT_DONE)
            return code;
    }
    return EXIT_DONE;
}

static int read_added(const reader *r, const cJSON *list)
{
    for (const cJSON *item = cJSON_IsArray(list) ? list->child : NULL; item; item = item->next) {
        const cJSON *text = plk_json_member(item, "content");
        uint32_t id = 0;
        if (!cJSON_IsString(text) || !read_id(plk_json_member(item, "id"), &id))
            return complain(r->who, EXIT_DATA, "%s: an entry of added_tokens has no id or content",
                            r->path);
        int code = add(r, id, text, false, true);
        if (code != EXIT_DONE)
            return code;
    }
    return EXIT_DONE;
}

/* What the decoder of a tokenizer.json says of the spelling. A sequence of decoders is searched. */
static int find_encoding(const cJSON *decoder, unsigned depth)
{
    static const struct {
        const char *type;
        int encoding;
    } known[] = {{"ByteLevel", ENCODING_GPT2},
                 {"Metaspace", ENCODING_SENTENCEPIECE},
                 {"ByteFallback", ENCODING_SENTENCEPIECE},
                 {"WordPiece", ENCODING_WORDPIECE}};
    const cJSON *type = plk_json_member(decoder, "type");
    for (size_t i = 0; cJSON_IsString(type) && i < sizeof known / sizeof *known; i++)
        if (strcmp(type->valuestring, known[i].type) == 0)
            return known[i].encoding;
    const cJSON *list = plk_json_member(decoder, "decoders");
    int found = ENCODING_AUTO;
    for (const cJSON *item = depth < 4 && cJSON_IsArray(list) ? list->child : NULL;
         item && found == ENCODING_AUTO; item = item->next)
        found = find_encoding(item, depth + 1);
    return found;
}

static int read_object(const reader *r, const cJSON *root)
{
    if (plk_json_member(root, "added_tokens_decoder"))
        return complain(r->who, EXIT_DATA,
                        "%s: a tokenizer_config.json, which has added tokens only; give the "
                        "vocabulary, and this file as --added-tokens",
                        r->path);
    return cJSON_IsString(root->child) ? read_ids(r, root, false) : read_map(r, root, false);
}

static int read_root(const reader *r, const cJSON *root)
{
    if (cJSON_IsArray(root))
        return read_list(r, root);
    const cJSON *model = plk_json_member(root, "model");
    if (cJSON_IsObject(root) && !cJSON_IsObject(model))
        return read_object(r, root);
    const cJSON *entries = plk_json_member(model, "vocab");
    if (!cJSON_IsArray(entries) && !cJSON_IsObject(entries))
        return complain(r->who, EXIT_DATA,
                        "%s: is neither a list of texts, a map from text to id or from id to "
                        "text, nor a tokenizer.json with model.vocab",
                        r->path);
    int code = cJSON_IsArray(entries) ? read_list(r, entries) : read_map(r, entries, false);
    if (code != EXIT_DONE)
        return code;
    r->v->encoding = find_encoding(plk_json_member(root, "decoder"), 0);
    return read_added(r, plk_json_member(root, "added_tokens"));
}

/* added_tokens.json, a map from text to id; tokenizer_config.json; a tokenizer.json, or its
 * list. */
static int read_added_root(const reader *r, const cJSON *root)
{
    const cJSON *list = cJSON_IsArray(root) ? root : plk_json_member(root, "added_tokens");
    const cJSON *ids = plk_json_member(root, "added_tokens_decoder");
    if (cJSON_IsArray(list))
        return read_added(r, list);
    if (cJSON_IsObject(ids))
        return read_ids(r, ids, true);
    if (cJSON_IsObject(root))
        return read_map(r, root, true);
    return complain(r->who, EXIT_DATA,
                    "%s: is neither a map from text to id, a list of added tokens, nor a "
                    "tokenizer_config.json or tokenizer.json",
                    r->path);
}

static int read_json(vocab *v, const vocab_file *file,
                     int (*read)(const reader *r, const cJSON *root))
{
    plk_json json;
    plk_json_problem problem;
    pluck_error err;
    pluck_status status =
        plk_json_parse(&json, file->text, file->n, PLK_JSON_NUL, NULL, &problem, &err);
    if (status == PLUCK_ERR_FORMAT) {
        size_t line = 1;
        for (size_t i = 0; i < problem.at; i++)
            line += file->text[i] == '\n';
        return complain(file->who, EXIT_DATA, "%s: line %zu: is not valid JSON: %s", file->path,
                        line, problem.what);
    }
    if (status != PLUCK_OK)
        return complain(file->who, exit_code_of(status), "%s: %s", file->path, err.message);
    size_t n_ids = v->n + file->n;
    reader r = {
        .v = v,
        .json = &json,
        .bytes = malloc(file->n),
        .who = file->who,
        .path = file->path,
        .n_ids = n_ids > LEAST_IDS ? n_ids : LEAST_IDS,
    };
    int code = !r.bytes ? complain_memory(file->who) : read(&r, json.root);
    plk_json_close(&json);
    free(r.bytes);
    return code;
}

int vocab_read_json(vocab *v, const vocab_file *file)
{
    return read_json(v, file, read_root);
}

int vocab_read_added(vocab *v, const vocab_file *file)
{
    return read_json(v, file, read_added_root);
}
