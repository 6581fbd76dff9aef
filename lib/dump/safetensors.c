/*
 * .safetensors: of many tensors, the one that was asked for, or the only one that can be meant: of
 * those whose type can be read, the only one with two axes or more, else the only one with one.
 */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/text.h"
#include "container/safetensors_header.h"
#include "dump/reader.h"

enum { LIST_BYTES = 128, WHERE_BYTES = PL_SOURCE_LABEL_BYTES + 64 };

static bool sniff(const uint8_t *bytes, size_t size_bytes, const pluck_dump_options *options)
{
    (void)options;
    return pl_safetensors_has_prefix(bytes, size_bytes);
}

/* 2 for two axes or more, 1 for one, 0 for what cannot be rows of logits. */
static int rank(const pl_safetensors_entry *entry)
{
    pl_stored_type type;
    if (!pl_safetensors_type(entry, &type) || entry->n_axes == 0)
        return 0;
    return entry->n_axes == 1 ? 1 : 2;
}

/* "'a', 'b', ..." of the entries of at least that rank. */
static const char *list_names(const pl_safetensors_header *header, int least, char text[LIST_BYTES])
{
    static const char cut[] = ", ...";
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < header->n_entries; i++) {
        const char *name = header->entries[i].name;
        const size_t length = strlen(name), before = used > 0 ? 2 : 0;
        if (rank(&header->entries[i]) < least)
            continue;
        if (length > LIST_BYTES || used + before + length + 2 + sizeof cut > LIST_BYTES) {
            memcpy(text + used, used ? cut : cut + 2, used ? sizeof cut : sizeof cut - 2);
            return text;
        }
        memcpy(text + used, ", ", before);
        used += before;
        text[used++] = '\'';
        memcpy(text + used, name, length);
        used += length;
        memcpy(text + used, "'", 2);
        used++;
    }
    return used ? text : "none";
}

static pluck_status fail_no_name(const pl_safetensors_header *header, const char *name,
                                 const char *where, pluck_error *err)
{
    const char *nearest = NULL;
    size_t least = SIZE_MAX;
    for (size_t i = 0; i < header->n_entries; i++) {
        const size_t distance = pl_edit_distance(name, header->entries[i].name);
        if (distance < least) {
            least = distance;
            nearest = header->entries[i].name;
        }
    }
    char names[LIST_BYTES];
    if (nearest && pl_is_near(least, nearest))
        return pl_fail(err, PLUCK_ERR_INVALID, "%s: has no tensor '%.64s', did you mean '%.64s'?",
                       where, name, nearest);
    return pl_fail(err, PLUCK_ERR_INVALID, "%s: has no tensor '%.40s'; it has %s", where, name,
                   list_names(header, 0, names));
}

static pluck_status find_named(const pl_safetensors_header *header, const char *name,
                               const char *where, const pl_safetensors_entry **chosen,
                               pluck_error *err)
{
    for (size_t i = 0; i < header->n_entries; i++) {
        const pl_safetensors_entry *entry = &header->entries[i];
        pl_stored_type type;
        if (strcmp(entry->name, name) != 0)
            continue;
        if (!pl_safetensors_type(entry, &type))
            return pl_fail(
                err, PLUCK_ERR_FORMAT,
                "%s: tensor '%.64s': values of %s are no logits: expected F32, F16, BF16 or "
                "F64",
                where, name, entry->dtype);
        *chosen = entry;
        return PLUCK_OK;
    }
    return fail_no_name(header, name, where, err);
}

static pluck_status find_only(const pl_safetensors_header *header, const char *where,
                              const pl_safetensors_entry **chosen, pluck_error *err)
{
    char names[LIST_BYTES];
    for (int wanted = 2; wanted >= 1; wanted--) {
        size_t n = 0;
        for (size_t i = 0; i < header->n_entries; i++) {
            if (rank(&header->entries[i]) != wanted)
                continue;
            *chosen = &header->entries[i];
            n++;
        }
        if (n == 1)
            return PLUCK_OK;
        if (n > 1)
            return pl_fail(err, PLUCK_ERR_FORMAT,
                           "%s: has %zu tensors that may be logits, name one of them: %s", where, n,
                           list_names(header, wanted, names));
    }
    return pl_fail(err, PLUCK_ERR_FORMAT,
                   "%s: has no tensor of F32, F16, BF16 or F64 with an axis; it has %s", where,
                   list_names(header, 0, names));
}

static pluck_status take_entry(pluck_dump *dump, const pl_safetensors_entry *entry,
                               pluck_error *err)
{
    pl_matrix *matrix = &dump->matrix;
    char where[WHERE_BYTES];
    pl_shape shape;
    const size_t size = strlen(entry->name) + 1;
    (void)snprintf(where, sizeof where, "%s: tensor '%.40s'", dump->source.label, entry->name);
    (void)pl_safetensors_type(entry, &matrix->type);
    memcpy(matrix->stored_dtype, entry->dtype, strlen(entry->dtype) + 1);
    matrix->swapped = pl_is_swapped(true);
    pl_safetensors_shape(entry, &shape);
    pluck_status status = pl_matrix_set_shape(matrix, &shape, where, err);
    if (status)
        return status;
    dump->tensor = pl_alloc(&dump->allocator, size, 1);
    if (!dump->tensor)
        return pl_fail_nomem(err, size);
    memcpy(dump->tensor, entry->name, size);
    return PLUCK_OK;
}

static pluck_status open_tensor(pluck_dump *dump, const pluck_dump_options *options,
                                pluck_error *err)
{
    const pl_source *source = &dump->source;
    if (source->streamed)
        return pl_fail(err, PLUCK_ERR_FORMAT,
                       "%s: a .safetensors file cannot be read from a stream; store it as a file",
                       source->label);
    pl_safetensors_header header;
    pluck_status status = pl_safetensors_header_parse(&header, source->bytes, source->size_bytes,
                                                      source->label, &dump->allocator, err);
    if (status)
        return status;
    const pl_safetensors_entry *entry = NULL;
    status = options->tensor ? find_named(&header, options->tensor, source->label, &entry, err)
                             : find_only(&header, source->label, &entry, err);
    if (status == PLUCK_OK)
        status = take_entry(dump, entry, err);
    if (status == PLUCK_OK) {
        dump->matrix.offset_bytes = source->size_bytes - header.data_size_bytes + entry->begin;
        pl_reader_matrix_info(dump);
    }
    pl_safetensors_header_free(&header, &dump->allocator);
    return status;
}

const pl_dump_reader pl_dump_safetensors = {
    .format = PLUCK_DUMP_SAFETENSORS,
    .name = "safetensors",
    .recognised = ".safetensors",
    .has_tensors = true,
    .sniff = sniff,
    .open = open_tensor,
    .read = pl_reader_matrix_read,
    .release = pl_reader_matrix_release,
    .close = pl_reader_matrix_close,
};
