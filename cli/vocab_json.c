/*
 * The JSON forms of a vocabulary. A map from text to id must give every id once; added_tokens of a
 * tokenizer.json come last, because they take the place of an entry of the same id.
 */
#include "vocab.h"

#include "json/json_tree.h"

#include <stdlib.h>
#include <string.h>

typedef struct reader {
    vocab *v;
    const pl_json *json;
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
    const size_t n =
        is_key ? pl_json_key(r->json, node, r->bytes) : pl_json_string(r->json, node, r->bytes);
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
    for (const cJSON *item = list->child; item != NULL; item = item->next, id++) {
        const cJSON *const text = cJSON_IsArray(item) ? item->child : item;
        if (id >= PLUCK_MAX_VOCAB)
            return complain(r->who, EXIT_DATA, "%s: has more than %u tokens", r->path,
                            PLUCK_MAX_VOCAB);
        if (text == NULL || !cJSON_IsString(text))
            return complain(r->who, EXIT_DATA, "%s: entry %u of the list is not a text", r->path,
                            (unsigned)id);
        const int code = add(r, id, text, false, false);
        if (code != EXIT_DONE)
            return code;
    }
    return EXIT_DONE;
}

static int read_map(const reader *r, const cJSON *map)
{
    for (const cJSON *item = map->child; item != NULL; item = item->next) {
        uint32_t id = 0;
        if (!read_id(item, &id))
            return complain(r->who, EXIT_DATA,
                            "%s: the value of \"%s\" is not a token id (0 to %u)", r->path,
                            item->string, PLUCK_MAX_VOCAB - 1);
        if (id < r->v->n && r->v->entries[id].is_set)
            return complain(r->who, EXIT_DATA, "%s: two texts have the id %u; the second is \"%s\"",
                            r->path, (unsigned)id, item->string);
        const int code = add(r, id, item, true, false);
        if (code != EXIT_DONE)
            return code;
    }
    return EXIT_DONE;
}

static int read_added(const reader *r, const cJSON *list)
{
    for (const cJSON *item = cJSON_IsArray(list) ? list->child : NULL; item != NULL;
         item = item->next) {
        const cJSON *const text = pl_json_member(item, "content");
        uint32_t id = 0;
        if (!cJSON_IsString(text) || !read_id(pl_json_member(item, "id"), &id))
            return complain(r->who, EXIT_DATA, "%s: an entry of added_tokens has no id or content",
                            r->path);
        const int code = add(r, id, text, false, true);
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
                 {"ByteFallback", ENCODING_SENTENCEPIECE}};
    const cJSON *const type = pl_json_member(decoder, "type");
    for (size_t i = 0; cJSON_IsString(type) && i < sizeof known / sizeof *known; i++)
        if (strcmp(type->valuestring, known[i].type) == 0)
            return known[i].encoding;
    const cJSON *const list = pl_json_member(decoder, "decoders");
    int found = ENCODING_AUTO;
    for (const cJSON *item = depth < 4 && cJSON_IsArray(list) ? list->child : NULL;
         item != NULL && found == ENCODING_AUTO; item = item->next)
        found = find_encoding(item, depth + 1);
    return found;
}

static int read_root(const reader *r, const cJSON *root)
{
    if (cJSON_IsArray(root))
        return read_list(r, root);
    const cJSON *const model = pl_json_member(root, "model");
    if (cJSON_IsObject(root) && !cJSON_IsObject(model))
        return read_map(r, root);
    const cJSON *const entries = pl_json_member(model, "vocab");
    if (!cJSON_IsArray(entries) && !cJSON_IsObject(entries))
        return complain(r->who, EXIT_DATA,
                        "%s: is neither a list of texts, a map from text to id, nor a "
                        "tokenizer.json with model.vocab",
                        r->path);
    const int code = cJSON_IsArray(entries) ? read_list(r, entries) : read_map(r, entries);
    if (code != EXIT_DONE)
        return code;
    r->v->encoding = find_encoding(pl_json_member(root, "decoder"), 0);
    return read_added(r, pl_json_member(root, "added_tokens"));
}

int vocab_read_json(vocab *v, const char *who, const char *path, const char *text, size_t n)
{
    pl_json json;
    pl_json_problem problem;
    pluck_error err;
    const pluck_status status = pl_json_parse(&json, text, n, PL_JSON_NUL, NULL, &problem, &err);
    if (status == PLUCK_ERR_FORMAT) {
        size_t line = 1;
        for (size_t i = 0; i < problem.at; i++)
            line += text[i] == '\n';
        return complain(who, EXIT_DATA, "%s: line %zu: is not valid JSON: %s", path, line,
                        problem.what);
    }
    if (status != PLUCK_OK)
        return complain(who, exit_code_of(status), "%s: %s", path, err.message);
    const reader r = {v, &json, malloc(n), who, path, n > LEAST_IDS ? n : LEAST_IDS};
    const int code = r.bytes == NULL ? complain_memory(who) : read_root(&r, json.root);
    pl_json_close(&json);
    free(r.bytes);
    return code;
}
