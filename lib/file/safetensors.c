/*
 * What a small file can make the JSON parser allocate is bounded first, by counting the values from
 * the punctuation outside of strings. Then every entry is checked, readable or not, since one that
 * is wrong says that the file is not what it seems: sizes against shapes, and, with the entries in
 * the order of their offsets, that they cover the data. Numbers are doubles, so those of 2^53 and
 * more are refused.
 */
#include "file/array_file.h"

#include "base/alloc.h"
#include "base/error.h"
#include "file/file.h"
#include "json/json.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char metadata_name[] = "__metadata__";

/* The types of the format whose values are whole bytes. */
static const struct {
    const char *name;
    unsigned size_bytes;
    bool readable;
    plk_stored_type type;
} dtypes[] = {
    {"F32", 4, true, PLK_STORED_F32},
    {"F16", 2, true, PLK_STORED_F16},
    {"BF16", 2, true, PLK_STORED_BF16},
    {"F64", 8, true, PLK_STORED_F64},
    {"BOOL", 1, false, 0},
    {"U8", 1, false, 0},
    {"I8", 1, false, 0},
    {"F8_E5M2", 1, false, 0},
    {"F8_E4M3", 1, false, 0},
    {"F8_E8M0", 1, false, 0},
    {"I16", 2, false, 0},
    {"U16", 2, false, 0},
    {"I32", 4, false, 0},
    {"U32", 4, false, 0},
    {"I64", 8, false, 0},
    {"U64", 8, false, 0},
    {"C64", 8, false, 0},
};

enum { N_DTYPES = sizeof dtypes / sizeof *dtypes };

static size_t find_dtype(const char *name)
{
    size_t i = 0;
    while (i < N_DTYPES && strcmp(dtypes[i].name, name) != 0)
        i++;
    return i;
}

bool plk_safetensors_has_prefix(const uint8_t *bytes, size_t size_bytes)
{
    static const uint8_t no_bytes[4] = {0};
    return size_bytes > PLK_SAFETENSORS_PREFIX_BYTES && memcmp(bytes + 4, no_bytes, 4) == 0 &&
           bytes[PLK_SAFETENSORS_PREFIX_BYTES] == '{';
}

static pluck_status json_size(const uint8_t *bytes, uint64_t size_bytes, const char *where,
                              size_t *n, pluck_error *err)
{
    if (size_bytes < PLK_SAFETENSORS_PREFIX_BYTES + 1)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: truncated: a .safetensors file has more than 8 bytes, this one %llu",
                        where, (unsigned long long)size_bytes);
    uint64_t length = plk_read_little(bytes, PLK_SAFETENSORS_PREFIX_BYTES);
    if (length > PLK_SAFETENSORS_MAX_HEADER_BYTES)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: .safetensors header of %llu bytes at byte 0, expected at most %d",
                        where, (unsigned long long)length, PLK_SAFETENSORS_MAX_HEADER_BYTES);
    if (length > size_bytes - PLK_SAFETENSORS_PREFIX_BYTES)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: truncated: the .safetensors header has %llu bytes from offset 8, the "
                        "file has %llu",
                        where, (unsigned long long)length,
                        (unsigned long long)(size_bytes - PLK_SAFETENSORS_PREFIX_BYTES));
    if (length == 0 || bytes[PLK_SAFETENSORS_PREFIX_BYTES] != '{')
        return plk_fail(err, PLUCK_ERR_FORMAT, "%s: byte 8: expected '{' of a .safetensors header",
                        where);
    *n = (size_t)length;
    return PLUCK_OK;
}

/* At least the number of JSON values in the text. */
static size_t count_values(const char *text, size_t n)
{
    size_t count = 1;
    bool in_string = false;
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        if (in_string && c == '\\')
            i++;
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string && (c == ',' || c == '[' || c == '{'))
            count++;
    }
    return count;
}

static pluck_status parse_json(plk_safetensors_header *header, const char *text, size_t n,
                               const char *where, const pluck_allocator *allocator,
                               pluck_error *err)
{
    plk_json_problem problem;
    if (count_values(text, n) > PLK_SAFETENSORS_MAX_VALUES)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: the .safetensors header has more than %d JSON values", where,
                        PLK_SAFETENSORS_MAX_VALUES);
    pluck_status status = plk_json_parse(&header->json, text, n, 0, allocator, &problem, err);
    if (status == PLUCK_ERR_FORMAT)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: byte %zu: the .safetensors header is not valid JSON: %s", where,
                        problem.at + PLK_SAFETENSORS_PREFIX_BYTES, problem.what);
    return status;
}

/* A whole number in [0, 2^53). */
static bool whole(const plk_json_node *item, uint64_t *value)
{
    if (!plk_json_is(item, PLK_JSON_NUMBER) ||
        !(plk_json_number(item) >= 0 && plk_json_number(item) < 0x1p53))
        return false;
    *value = (uint64_t)plk_json_number(item);
    return (double)*value == plk_json_number(item);
}

/* The member of that name; NULL, and a message, if there is none or more than one. */
static const plk_json_node *member(const plk_json_node *object, const char *key, const char *where,
                                   const char *tensor, pluck_error *err)
{
    const plk_json_node *found = NULL;
    for (const plk_json_node *item = plk_json_child(object); item; item = plk_json_sibling(item)) {
        if (strcmp(plk_json_key(item), key) != 0)
            continue;
        if (found) {
            (void)plk_fail(err, PLUCK_ERR_FORMAT, "%s: tensor '%.64s': \"%s\" is listed twice",
                           where, tensor, key);
            return NULL;
        }
        found = item;
    }
    if (!found)
        (void)plk_fail(err, PLUCK_ERR_FORMAT, "%s: tensor '%.64s': \"%s\" is missing", where,
                       tensor, key);
    return found;
}

void plk_safetensors_shape(const plk_safetensors_entry *entry, plk_shape *shape)
{
    shape->n_axes = 0;
    for (const plk_json_node *item = plk_json_child(entry->shape); item;
         item = plk_json_sibling(item))
        (void)whole(item, &shape->axes[shape->n_axes++]);
}

static pluck_status read_shape(const plk_json_node *json, const char *where,
                               plk_safetensors_entry *entry, pluck_error *err)
{
    uint64_t axis = 0;
    bool right = plk_json_is(json, PLK_JSON_ARRAY);
    entry->n_axes = 0;
    for (const plk_json_node *item = plk_json_child(json); item; item = plk_json_sibling(item)) {
        right = right && whole(item, &axis) && entry->n_axes < PLK_MAX_AXES;
        entry->n_axes++;
    }
    if (!right)
        return plk_fail(
            err, PLUCK_ERR_FORMAT,
            "%s: tensor '%.64s': shape must be an array of at most %d whole numbers from 0 "
            "to 2^53",
            where, entry->name, PLK_MAX_AXES);
    entry->shape = json;
    return PLUCK_OK;
}

static pluck_status read_offsets(const plk_json_node *json, uint64_t data_size, const char *where,
                                 plk_safetensors_entry *entry, pluck_error *err)
{
    const plk_json_node *first = plk_json_is(json, PLK_JSON_ARRAY) ? plk_json_child(json) : NULL;
    const plk_json_node *second = first ? plk_json_sibling(first) : NULL;
    if (!second || plk_json_sibling(second) || !whole(first, &entry->begin) ||
        !whole(second, &entry->end))
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: tensor '%.64s': data_offsets must be two whole numbers", where,
                        entry->name);
    if (entry->begin > entry->end || entry->end > data_size)
        return plk_fail(
            err, PLUCK_ERR_FORMAT,
            "%s: tensor '%.64s': data_offsets [%llu, %llu] are outside the %llu bytes of data",
            where, entry->name, (unsigned long long)entry->begin, (unsigned long long)entry->end,
            (unsigned long long)data_size);
    return PLUCK_OK;
}

static pluck_status check_entry_size(const plk_safetensors_entry *entry, const char *where,
                                     pluck_error *err)
{
    size_t dtype = find_dtype(entry->dtype);
    if (dtype == N_DTYPES)
        return PLUCK_OK;
    plk_shape shape;
    plk_safetensors_shape(entry, &shape);
    uint64_t needed = 0;
    bool fits = plk_count_values(shape.axes, shape.n_axes, dtypes[dtype].size_bytes, &needed);
    if (fits && needed == entry->end - entry->begin)
        return PLUCK_OK;
    char text[PLK_SHAPE_TEXT_BYTES];
    return plk_fail(err, PLUCK_ERR_FORMAT,
                    "%s: tensor '%.64s': shape %s of %s does not fill data_offsets [%llu, %llu], "
                    "which hold %llu bytes",
                    where, entry->name, plk_shape_text(&shape, text), entry->dtype,
                    (unsigned long long)entry->begin, (unsigned long long)entry->end,
                    (unsigned long long)(entry->end - entry->begin));
}

static pluck_status read_entry(const plk_json_node *json, uint64_t data_size, const char *where,
                               plk_safetensors_entry *entry, pluck_error *err)
{
    entry->name = plk_json_key(json);
    if (!plk_json_is(json, PLK_JSON_OBJECT))
        return plk_fail(err, PLUCK_ERR_FORMAT, "%s: tensor '%.64s' must be a JSON object", where,
                        entry->name);
    const plk_json_node *dtype = member(json, "dtype", where, entry->name, err);
    const plk_json_node *shape = dtype ? member(json, "shape", where, entry->name, err) : NULL;
    const plk_json_node *offsets =
        shape ? member(json, "data_offsets", where, entry->name, err) : NULL;
    if (!offsets)
        return PLUCK_ERR_FORMAT;
    if (!plk_json_is(dtype, PLK_JSON_STRING))
        return plk_fail(err, PLUCK_ERR_FORMAT, "%s: tensor '%.64s': dtype must be a string", where,
                        entry->name);
    entry->dtype = plk_json_string(dtype);
    pluck_status status = read_shape(shape, where, entry, err);
    if (status == PLUCK_OK)
        status = read_offsets(offsets, data_size, where, entry, err);
    return status != PLUCK_OK ? status : check_entry_size(entry, where, err);
}

static int compare_offsets(const void *a, const void *b)
{
    const plk_safetensors_entry *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

static int compare_names(const void *a, const void *b)
{
    const plk_safetensors_entry *x = a, *y = b;
    return strcmp(x->name, y->name);
}

/* The entries in the order of their offsets must cover the data, and in the order of their names
 * must all be different. */
static pluck_status check_entries(const plk_safetensors_header *header, const char *where,
                                  pluck_error *err)
{
    uint64_t data_size = header->data_size_bytes;
    plk_safetensors_entry *entries = header->entries;
    uint64_t covered = 0;
    qsort(entries, header->n_entries, sizeof *entries, compare_offsets);
    for (size_t i = 0; i < header->n_entries; i++) {
        if (entries[i].begin != covered)
            return plk_fail(err, PLUCK_ERR_FORMAT,
                            "%s: tensor '%.64s': data_offsets [%llu, %llu] leave a gap or overlap: "
                            "expected %llu for the first",
                            where, entries[i].name, (unsigned long long)entries[i].begin,
                            (unsigned long long)entries[i].end, (unsigned long long)covered);
        covered = entries[i].end;
    }
    if (covered != data_size)
        return plk_fail(
            err, PLUCK_ERR_FORMAT,
            "%s: oversized: the tensors end after %llu bytes of data, the file has %llu", where,
            (unsigned long long)covered, (unsigned long long)data_size);
    qsort(entries, header->n_entries, sizeof *entries, compare_names);
    for (size_t i = 1; i < header->n_entries; i++)
        if (strcmp(entries[i - 1].name, entries[i].name) == 0)
            return plk_fail(err, PLUCK_ERR_FORMAT, "%s: tensor '%.64s' is listed twice", where,
                            entries[i].name);
    return PLUCK_OK;
}

static pluck_status read_entries(plk_safetensors_header *header, const char *where,
                                 const pluck_allocator *allocator, pluck_error *err)
{
    uint64_t data_size = header->data_size_bytes;
    size_t n = 0;
    for (const plk_json_node *item = plk_json_child(header->json.root); item;
         item = plk_json_sibling(item))
        n++;
    header->entries = plk_alloc_zero(allocator, n, sizeof *header->entries);
    if (!header->entries)
        return plk_fail_nomem(err, n * sizeof *header->entries);
    for (const plk_json_node *item = plk_json_child(header->json.root); item;
         item = plk_json_sibling(item)) {
        if (strcmp(plk_json_key(item), metadata_name) == 0)
            continue;
        pluck_status status =
            read_entry(item, data_size, where, &header->entries[header->n_entries], err);
        if (status != PLUCK_OK)
            return status;
        header->n_entries++;
    }
    return check_entries(header, where, err);
}

pluck_status plk_safetensors_header_parse(plk_safetensors_header *header, const uint8_t *bytes,
                                          uint64_t size_bytes, const char *where,
                                          const pluck_allocator *allocator, pluck_error *err)
{
    *header = (plk_safetensors_header){0};
    size_t n = 0;
    pluck_status status = json_size(bytes, size_bytes, where, &n, err);
    if (status != PLUCK_OK)
        return status;
    status = parse_json(header, (const char *)bytes + PLK_SAFETENSORS_PREFIX_BYTES, n, where,
                        allocator, err);
    header->data_size_bytes = size_bytes - PLK_SAFETENSORS_PREFIX_BYTES - n;
    if (status == PLUCK_OK)
        status = read_entries(header, where, allocator, err);
    if (status != PLUCK_OK)
        plk_safetensors_header_free(header, allocator);
    return status;
}

void plk_safetensors_header_free(plk_safetensors_header *header, const pluck_allocator *allocator)
{
    plk_json_close(&header->json);
    plk_free(allocator, header->entries);
    *header = (plk_safetensors_header){0};
}

bool plk_safetensors_type(const plk_safetensors_entry *entry, plk_stored_type *type)
{
    size_t dtype = find_dtype(entry->dtype);
    if (dtype == N_DTYPES || !dtypes[dtype].readable)
        return false;
    *type = dtypes[dtype].type;
    return true;
}

const char *plk_safetensors_read_note(const plk_safetensors_header *header, const char *key)
{
    const plk_json_node *notes = plk_json_member(header->json.root, metadata_name);
    const plk_json_node *note = plk_json_member(notes, key);
    return plk_json_string(note);
}

bool plk_safetensors_note_is(const plk_safetensors_header *header, const char *key,
                             const char *value)
{
    const char *note = plk_safetensors_read_note(header, key);
    return note && strcmp(note, value) == 0;
}

const uint8_t *plk_safetensors_data(const plk_safetensors_header *header, const plk_source *source,
                                    const plk_safetensors_entry *entry)
{
    return source->bytes + (source->size_bytes - header->data_size_bytes) + entry->begin;
}

/*
 * The header is put together in one buffer, whose size is bounded by what its pieces can take, and
 * padded with spaces so that the data begins at a multiple of 64 bytes: then a mapped matrix is
 * aligned.
 */

enum {
    PREFIX_BYTES = 8,
    ALIGNMENT = 64,
    TENSOR_BYTES =
        PLK_SAFETENSORS_NAME_BYTES + 192, /* of header text, five 64-bit numbers included */
    NOTE_EXTRA_BYTES = 8,
    FRAME_BYTES = 64
};

plk_safetensors_tensor plk_safetensors_tensor_of(const char *name, const char *dtype,
                                                 const void *data, uint64_t n_rows, uint64_t n_cols)
{
    uint64_t n = n_cols != 0 ? n_rows * n_cols : n_rows;
    plk_safetensors_tensor tensor = {.dtype = dtype,
                                     .n_axes = n_cols != 0 ? 2 : 1,
                                     .axes = {n_rows, n_cols},
                                     .data = data,
                                     .size_bytes =
                                         (size_t)n * dtypes[find_dtype(dtype)].size_bytes};
    (void)snprintf(tensor.name, sizeof tensor.name, "%s", name);
    return tensor;
}

typedef struct text_buffer {
    char *text;
    size_t size, capacity;
} text_buffer;

PLK_PRINTF(2, 3) static void append(text_buffer *buffer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    size_t room = buffer->capacity - buffer->size;
    int n = vsnprintf(buffer->text + buffer->size, room, format, arguments);
    va_end(arguments);
    buffer->size += n > 0 && (size_t)n < room ? (size_t)n : 0;
}

/* The prefix and the header. */
static void make_header(text_buffer *buffer, const plk_safetensors_note *notes, size_t n_notes,
                        const plk_safetensors_tensor *tensors, size_t n_tensors)
{
    uint64_t at = 0;
    buffer->size = PREFIX_BYTES;
    append(buffer, "{\"__metadata__\":{");
    for (size_t i = 0; i < n_notes; i++)
        append(buffer, "%s\"%s\":\"%s\"", i != 0 ? "," : "", notes[i].key, notes[i].value);
    append(buffer, "}");
    for (size_t i = 0; i < n_tensors; i++) {
        const plk_safetensors_tensor *tensor = &tensors[i];
        append(buffer, ",\"%s\":{\"dtype\":\"%s\",\"shape\":[", tensor->name, tensor->dtype);
        for (uint32_t axis = 0; axis < tensor->n_axes; axis++)
            append(buffer, "%s%llu", axis != 0 ? "," : "", (unsigned long long)tensor->axes[axis]);
        append(buffer, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)at,
               (unsigned long long)(at + tensor->size_bytes));
        at += tensor->size_bytes;
    }
    append(buffer, "}");
    while (buffer->size % ALIGNMENT)
        append(buffer, " ");
    plk_write_little(buffer->text, buffer->size - PREFIX_BYTES, PREFIX_BYTES);
}

pluck_status plk_safetensors_write(const char *path, const plk_safetensors_note *notes,
                                   size_t n_notes, const plk_safetensors_tensor *tensors,
                                   size_t n_tensors, const pluck_allocator *allocator,
                                   pluck_error *err)
{
    text_buffer header = {.capacity = PREFIX_BYTES + FRAME_BYTES + ALIGNMENT};
    header.capacity += n_tensors * TENSOR_BYTES;
    for (size_t i = 0; i < n_notes; i++)
        header.capacity += strlen(notes[i].key) + strlen(notes[i].value) + NOTE_EXTRA_BYTES;
    header.text = plk_alloc(allocator, header.capacity, 1);
    if (!header.text)
        return plk_fail_nomem(err, header.capacity);
    make_header(&header, notes, n_notes, tensors, n_tensors);
    plk_new_file file;
    pluck_status status = plk_new_file_open(&file, path, allocator, err);
    if (status == PLUCK_OK) {
        status = plk_new_file_write(&file, header.text, header.size, err);
        for (size_t i = 0; i < n_tensors && status == PLUCK_OK; i++)
            status = plk_new_file_write(&file, tensors[i].data, tensors[i].size_bytes, err);
        if (status == PLUCK_OK)
            status = plk_new_file_finish(&file, err);
        plk_new_file_close(&file);
    }
    plk_free(allocator, header.text);
    return status;
}
