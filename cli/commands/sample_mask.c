/*
 * Kept sets as masks, and the configuration that goes with them.
 *
 * A stage that truncates only removes tokens, and what it removes is not in the set: without it and
 * with the set as the mask, in the place where the last token was removed, the stages after it see
 * the same tokens with the same logits. That does not hold for a stage before that place whose
 * result for one token depends on which others there are; such chains are refused. A draw that
 * truncates (mirostat) becomes the categorical draw.
 */
#include "commands/sample_kept.h"

#include "base/alloc.h"
#include "base/error.h"
#include "setup.h"

#include <pluck/dump.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail(pluck_status status, const pluck_error *err)
{
    return complain(exit_code_of(status), "%s", err->message);
}

/* The bytes of a member, which is checked against its checksum. */
static pluck_status read_member(kept_sets *sets, const plk_zip_member *member, kept_array *array,
                                const uint8_t **bytes, pluck_error *err)
{
    pluck_allocator allocator = plk_allocator_or_default(NULL);
    plk_zip_stream stream;
    uint8_t step[4096];
    size_t n_read = 0, used = 0, capacity = (size_t)member->size_bytes;
    bool is_stored = member->method == PLK_ZIP_STORED;
    if (!is_stored && member->size_bytes > PLK_MAX_LOADED_BYTES)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: a deflated array of more than 1 GiB; store it without compression",
                        sets->path);
    if (!is_stored) {
        array->unpacked = malloc(capacity + 1);
        if (!array->unpacked)
            return plk_fail_nomem(err, capacity + 1);
    }
    pluck_status status = plk_zip_stream_open(&stream, &sets->source, member, &allocator, err);
    if (status != PLUCK_OK)
        return status;
    do {
        /* One byte of room more, so that the end is seen. */
        uint8_t *to = is_stored ? step : array->unpacked + used;
        size_t room = is_stored ? sizeof step : capacity + 1 - used;
        status = plk_zip_stream_pull(&stream, to, room, &n_read, err);
        used += n_read;
    } while (status == PLUCK_OK && n_read > 0);
    plk_zip_stream_close(&stream);
    *bytes = is_stored ? sets->source.bytes + member->offset_bytes : array->unpacked;
    return status;
}

/* plk_integers_open_memory() refuses an array of no values. */
static pluck_status open_values(kept_sets *sets, const char *name, kept_array *array,
                                const uint8_t *bytes, size_t size_bytes, pluck_error *err)
{
    pluck_allocator allocator = plk_allocator_or_default(NULL);
    plk_source source;
    plk_npy_fields fields;
    plk_stored_integers type;
    size_t header_size = 0;
    char where[PLK_SOURCE_LABEL_BYTES];
    snprintf(where, sizeof where, "%.60s: %s", sets->path, name);
    plk_source_open_memory(&source, where, bytes, size_bytes, false, &allocator);
    pluck_status status = plk_npy_header_read(&source, where, &fields, &header_size, err);
    if (status == PLUCK_OK && !plk_npy_integer_values(&fields, &type))
        status =
            plk_fail(err, PLUCK_ERR_FORMAT, "%s: values of type '%.*s'; expected integers", where,
                     (int)(fields.descr_length < 16 ? fields.descr_length : 16), fields.descr);
    if (status == PLUCK_OK && fields.shape.n_axes != 1)
        status = plk_fail(err, PLUCK_ERR_FORMAT, "%s: has %zu axes; expected one", where,
                          fields.shape.n_axes);
    plk_source_close(&source);
    array->is_found = true;
    if (status != PLUCK_OK || (fields.shape.axes[0] == 0 && size_bytes == header_size))
        return status;
    status = plk_integers_open_memory(&array->integers, where, bytes, size_bytes, false, &allocator,
                                      err);
    array->is_open = status == PLUCK_OK;
    array->n = array->is_open ? array->integers.n : 0;
    return status;
}

static bool is_named(const plk_zip_member *member, const char *name)
{
    size_t n = strlen(name);
    return member->name_length == n + 4 && memcmp(member->name, name, n) == 0 &&
           memcmp(member->name + n, ".npy", 4) == 0;
}

static pluck_status open_array(kept_sets *sets, const plk_zip_member *member, const char *name,
                               kept_array *array, pluck_error *err)
{
    const uint8_t *bytes = NULL;
    if (array->is_found || !is_named(member, name))
        return PLUCK_OK;
    pluck_status status = read_member(sets, member, array, &bytes, err);
    if (status != PLUCK_OK)
        return status;
    return open_values(sets, name, array, bytes, (size_t)member->size_bytes, err);
}

static pluck_status open_arrays(kept_sets *sets, pluck_error *err)
{
    plk_source *source = &sets->source;
    plk_zip zip;
    if (!plk_zip_has_prefix(source->bytes, (size_t)source->size_bytes))
        return plk_fail(err, PLUCK_ERR_FORMAT, "%s: not an .npz file; --kept writes one",
                        sets->path);
    pluck_status status = plk_zip_open(&zip, source->bytes, source->size_bytes, sets->path, err);
    if (status != PLUCK_OK)
        return status;
    uint64_t at = zip.directory_begin;
    for (uint64_t i = 0; i < zip.n_members && status == PLUCK_OK; i++) {
        plk_zip_member member;
        status = plk_zip_next(&zip, &at, &member, err);
        if (status == PLUCK_OK)
            status = open_array(sets, &member, "tokens", &sets->tokens, err);
        if (status == PLUCK_OK)
            status = open_array(sets, &member, "offsets", &sets->offsets, err);
    }
    if (status == PLUCK_OK && (!sets->tokens.is_found || !sets->offsets.is_found))
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: has no array '%s'; expected tokens and offsets, as --kept writes "
                        "them",
                        sets->path, sets->tokens.is_found ? "offsets" : "tokens");
    return status;
}

/* Offsets first to first + n - 1, which may not be there. */
static pluck_status read_offsets(kept_sets *sets, uint64_t first, size_t n, int64_t *offsets,
                                 pluck_error *err)
{
    return plk_integers_read(&sets->offsets.integers, first, n, offsets, err);
}

enum { AT_ONCE = 512 };

/* They ascend from 0 to the number of tokens. */
static pluck_status check_offsets(kept_sets *sets, pluck_error *err)
{
    int64_t before = 0, offsets[AT_ONCE];
    uint64_t n = sets->offsets.n;
    if (n == 0)
        return plk_fail(err, PLUCK_ERR_FORMAT, "%s: offsets is empty; expected at least one value",
                        sets->path);
    for (uint64_t first = 0; first < n; first += AT_ONCE) {
        size_t n_now = n - first < AT_ONCE ? (size_t)(n - first) : AT_ONCE;
        pluck_status status = read_offsets(sets, first, n_now, offsets, err);
        if (status != PLUCK_OK)
            return status;
        if (first == 0 && offsets[0] != 0)
            return plk_fail(err, PLUCK_ERR_FORMAT, "%s: offsets[0] is %lld; expected 0", sets->path,
                            (long long)offsets[0]);
        for (size_t i = 0; i < n_now; i++) {
            if (offsets[i] < before)
                return plk_fail(err, PLUCK_ERR_FORMAT,
                                "%s: offsets[%llu] is %lld, less than the %lld before it; expected "
                                "ascending offsets",
                                sets->path, (unsigned long long)(first + i), (long long)offsets[i],
                                (long long)before);
            before = offsets[i];
        }
    }
    if ((uint64_t)before != sets->tokens.n)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: the last offset is %lld, but there are %llu tokens", sets->path,
                        (long long)before, (unsigned long long)sets->tokens.n);
    sets->n_sets = n - 1;
    return PLUCK_OK;
}

int kept_sets_open(kept_sets *sets, const char *path)
{
    pluck_allocator allocator = plk_allocator_or_default(NULL);
    pluck_error err;
    *sets = (kept_sets){.path = strcmp(path, "-") == 0 ? "standard input" : path};
    pluck_status status = plk_source_open(&sets->source, path, false, &allocator, &err);
    if (status != PLUCK_OK) {
        sets->path = NULL;
        return fail(status, &err);
    }
    status = plk_source_load(&sets->source, PLK_MAX_LOADED_BYTES, &err);
    if (status == PLUCK_OK)
        status = open_arrays(sets, &err);
    if (status == PLUCK_OK)
        status = check_offsets(sets, &err);
    return status == PLUCK_OK ? EXIT_DONE : fail(status, &err);
}

static void close_array(kept_array *array)
{
    if (array->is_open)
        plk_integers_close(&array->integers);
    free(array->unpacked);
}

void kept_sets_close(kept_sets *sets)
{
    if (!sets->path)
        return;
    close_array(&sets->tokens);
    close_array(&sets->offsets);
    plk_source_close(&sets->source);
    *sets = (kept_sets){.path = NULL};
}

/* Checks the tokens of a set, and sets their bits in words unless it is NULL. */
static pluck_status read_set(kept_sets *sets, uint64_t set, uint32_t n_vocab, int32_t *words,
                             pluck_error *err)
{
    int64_t ends[2], tokens[AT_ONCE], before = -1;
    pluck_status status = read_offsets(sets, set, 2, ends, err);
    for (int64_t first = ends[0]; status == PLUCK_OK && first < ends[1]; first += AT_ONCE) {
        size_t n = ends[1] - first < AT_ONCE ? (size_t)(ends[1] - first) : AT_ONCE;
        status = plk_integers_read(&sets->tokens.integers, (uint64_t)first, n, tokens, err);
        for (size_t i = 0; i < n && status == PLUCK_OK; i++) {
            int64_t token = tokens[i];
            if (token < 0 || token >= n_vocab)
                return plk_fail(err, PLUCK_ERR_FORMAT,
                                "%s: set %llu has token %lld, which is outside the vocabulary of "
                                "%u tokens",
                                sets->path, (unsigned long long)set, (long long)token,
                                (unsigned)n_vocab);
            if (token <= before)
                return plk_fail(err, PLUCK_ERR_FORMAT,
                                "%s: set %llu has token %lld after token %lld; expected ascending "
                                "tokens",
                                sets->path, (unsigned long long)set, (long long)token,
                                (long long)before);
            before = token;
            if (words)
                words[token / 32] = (int32_t)((uint32_t)words[token / 32] | 1u << token % 32);
        }
    }
    return status;
}

int kept_sets_check(kept_sets *sets, uint32_t n_vocab, uint64_t first, uint64_t end,
                    uint64_t n_rows, const char *name)
{
    pluck_error err;
    for (uint64_t set = 0; set < sets->n_sets; set++) {
        pluck_status status = read_set(sets, set, n_vocab, NULL, &err);
        if (status != PLUCK_OK)
            return fail(status, &err);
    }
    bool is_known = n_rows != PLUCK_DUMP_ROWS_UNKNOWN;
    sets->first_row = is_known && sets->n_sets == n_rows ? 0 : first;
    if (!is_known || sets->n_sets == n_rows || sets->n_sets == end - first)
        return EXIT_DONE;
    return complain(EXIT_DATA,
                    "%s: has %llu sets, but %llu of the %llu rows of %s are to be sampled; "
                    "expected a set for each of these rows, or for all",
                    sets->path, (unsigned long long)sets->n_sets, (unsigned long long)(end - first),
                    (unsigned long long)n_rows, name);
}

int kept_sets_check_end(const kept_sets *sets, uint64_t end, const char *name)
{
    uint64_t n = end - sets->first_row;
    if (n >= sets->n_sets)
        return EXIT_DONE;
    return complain(EXIT_DATA, "%s: has %llu sets, but %s ended after %llu rows", sets->path,
                    (unsigned long long)sets->n_sets, name, (unsigned long long)n);
}

pluck_status kept_sets_mask(kept_sets *sets, uint64_t row, uint32_t n_vocab, int32_t *words,
                            pluck_error *err)
{
    uint64_t set = row - sets->first_row;
    memset(words, 0, ((size_t)n_vocab + 31) / 32 * sizeof *words);
    if (set < sets->n_sets)
        return read_set(sets, set, n_vocab, words, err);
    return plk_fail(err, PLUCK_ERR_FORMAT, "%s: has %llu sets, and none for row %llu", sets->path,
                    (unsigned long long)sets->n_sets, (unsigned long long)row);
}

/*
 * The configuration.
 */

static bool truncates(const pluck_config_stage *part)
{
    const char *name = part->stage->name;
    return part->stage->kind == PLUCK_STAGE_TRUNCATE || strcmp(name, "mirostat") == 0 ||
           strcmp(name, "mirostat_v2") == 0;
}

/* Whether the new logit of a token depends on which others there are. */
static bool looks_at_all(const char *name)
{
    static const char *const names[] = {"dynamic_temperature", "adaptive_p", "smoothing", "entmax"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

/* The index of the last stage that truncates; the draw's if there is none. */
static size_t find_last(const pluck_config *config)
{
    size_t n = setup_config_info(config).n_stages, last = n - 1;
    for (size_t i = 0; i < n; i++) {
        pluck_config_stage part = setup_config_stage(config, i);
        last = truncates(&part) && !part.is_neutral ? i : last;
    }
    return last;
}

static int check_chain(const pluck_config *config, size_t last)
{
    pluck_config_stage end = setup_config_stage(config, last);
    for (size_t i = 0; i < last && truncates(&end); i++) {
        pluck_config_stage part = setup_config_stage(config, i);
        if (!part.is_neutral && looks_at_all(part.stage->name))
            return complain(EXIT_USAGE,
                            "--mask: the set does not say what %s did, which comes before the last "
                            "truncation, %s; put it after that",
                            part.stage->name, end.stage->name);
    }
    return EXIT_DONE;
}

static pluck_status copy_param(pluck_config *out, const pluck_stage *stage, const void *params,
                               const pluck_param *param, pluck_error *err)
{
    char key[128];
    const void *value = (const char *)params + param->offset_bytes;
    snprintf(key, sizeof key, "%s.%s", stage->name, param->name);
    switch (param->type) {
    case PLUCK_PARAM_NUMBER:
        return pluck_config_set_number(out, key, *(const double *)value, err);
    case PLUCK_PARAM_INTEGER:
        return pluck_config_set_integer(out, key, *(const int64_t *)value, err);
    case PLUCK_PARAM_BOOLEAN:
        return pluck_config_set_bool(out, key, *(const bool *)value, err);
    case PLUCK_PARAM_TOKENS: {
        const pluck_token_set *set = value;
        return pluck_config_set_tokens(out, key, set->items, set->n, err);
    }
    case PLUCK_PARAM_SEQUENCES:
        return pluck_config_set_sequences(out, key, value, err);
    case PLUCK_PARAM_BIAS_MAP: {
        const pluck_bias_map *map = value;
        return pluck_config_set_biases(out, key, map->items, map->n, err);
    }
    }
    return PLUCK_OK;
}

static pluck_status copy_stage(pluck_config *out, const pluck_config_stage *part, pluck_error *err)
{
    pluck_status status = pluck_config_add_stage(out, part->stage->name, err);
    for (size_t i = 0; i < part->stage->n_params && status == PLUCK_OK; i++)
        status = copy_param(out, part->stage, part->params, part->stage->params + i, err);
    return status;
}

typedef struct names {
    char text[512];
    size_t n;
} names;

static void add_name(names *list, const char *name)
{
    if (list->n < sizeof list->text)
        list->n += (size_t)snprintf(list->text + list->n, sizeof list->text - list->n, "%s%s",
                                    list->n > 0 ? ", " : "", name);
}

/* Appends what takes the place of a stage. */
static pluck_status replace_stage(pluck_config *out, const pluck_config_stage *part, bool is_last,
                                  names *removed, names *left, pluck_error *err)
{
    pluck_status status = PLUCK_OK;
    bool is_draw = part->stage->kind == PLUCK_STAGE_DRAW, goes = truncates(part);
    if (is_last) {
        status = pluck_config_add_stage(out, "mask", err);
        add_name(left, "mask");
    }
    if (goes && !part->is_neutral)
        add_name(removed, part->stage->name);
    if (goes || part->is_neutral) {
        if (goes && is_draw)
            add_name(left, "categorical");
        return status;
    }
    add_name(left, part->stage->name);
    return status == PLUCK_OK ? copy_stage(out, part, err) : status;
}

int kept_config(pluck_config **out, const pluck_config *config, const char *path)
{
    pluck_error err;
    names removed = {.n = 0}, left = {.n = 0};
    pluck_config_info info = setup_config_info(config);
    size_t last = find_last(config);
    int code = check_chain(config, last);
    if (code != EXIT_DONE)
        return code;
    pluck_status status = pluck_config_create(out, NULL, &err);
    if (status == PLUCK_OK)
        status = pluck_config_set_seed(*out, info.seed, &err);
    if (status == PLUCK_OK)
        status = pluck_config_set_text(*out, "on_nan",
                                       info.on_nan == PLUCK_ON_NAN_BAN ? "ban" : "error", &err);
    for (size_t i = 0; i < info.n_stages && status == PLUCK_OK; i++) {
        pluck_config_stage part = setup_config_stage(config, i);
        status = replace_stage(*out, &part, i == last, &removed, &left, &err);
    }
    if (status != PLUCK_OK)
        return fail(status, &err);
    note("%s: the sets take the place of %s; the stages are %s", path,
         removed.n > 0 ? removed.text : "no stage", left.text);
    return EXIT_DONE;
}
