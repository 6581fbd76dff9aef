/*
 * .safetensors: file/safetensors.c reads the header, which says where each tensor is.
 */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "dump/reader.h"
#include "file/array_file.h"

static bool sniff(const uint8_t *bytes, size_t size_bytes, const pluck_dump_options *options)
{
    (void)options;
    return plk_safetensors_has_prefix(bytes, size_bytes);
}

static void set_kind(const plk_safetensors_entry *entry, pluck_dtype as, plk_tensor *tensor)
{
    static const struct {
        const char *name;
        unsigned size_bytes;
        bool is_signed;
    } integers[] = {{"I64", 8, true},  {"I32", 4, true},  {"I16", 2, true},  {"I8", 1, true},
                    {"U64", 8, false}, {"U32", 4, false}, {"U16", 2, false}, {"U8", 1, false}};
    bool swapped = plk_is_swapped(true);
    tensor->floats.swapped = swapped;
    (void)snprintf(tensor->floats.name, sizeof tensor->floats.name, "%s", entry->dtype);
    if (plk_safetensors_type(entry, &tensor->floats.type))
        tensor->kind = PLK_TENSOR_FLOATS;
    for (size_t i = 0; i < sizeof integers / sizeof *integers; i++) {
        if (strcmp(entry->dtype, integers[i].name) != 0)
            continue;
        tensor->kind = PLK_TENSOR_INTEGERS;
        tensor->integers =
            (plk_stored_integers){integers[i].size_bytes, integers[i].is_signed, swapped};
    }
    if (tensor->kind == PLK_TENSOR_INTEGERS && tensor->integers.size_bytes == 2 &&
        as != PLUCK_F32) {
        tensor->kind = PLK_TENSOR_FLOATS;
        tensor->floats.type = as == PLUCK_F16 ? PLK_STORED_F16 : PLK_STORED_BF16;
    }
}

static pluck_status list_tensors(const pluck_dump *dump, const plk_safetensors_header *header,
                                 pluck_dtype as, plk_tensors *tensors, pluck_error *err)
{
    uint64_t data = dump->source.size_bytes - header->data_size_bytes;
    for (size_t i = 0; i < header->n_entries; i++) {
        const plk_safetensors_entry *entry = &header->entries[i];
        plk_tensor *tensor = plk_tensors_add(tensors, err);
        if (!tensor)
            return PLUCK_ERR_NOMEM;
        tensor->name = entry->name;
        tensor->name_length = strlen(entry->name);
        tensor->offset_bytes = data + entry->begin;
        tensor->available_bytes = entry->end - entry->begin;
        plk_safetensors_shape(entry, &tensor->shape);
        set_kind(entry, as, tensor);
    }
    return PLUCK_OK;
}

static pluck_status open_tensor(pluck_dump *dump, const pluck_dump_options *options,
                                pluck_error *err)
{
    const plk_source *source = &dump->source;
    plk_tensors tensors = {.where = source->label, .noun = "tensor", .allocator = dump->allocator};
    if (source->streamed)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: a .safetensors file cannot be read from a stream; store it as a file",
                        source->label);
    plk_safetensors_header header;
    pluck_status status = plk_safetensors_header_parse(&header, source->bytes, source->size_bytes,
                                                       source->label, &dump->allocator, err);
    if (status != PLUCK_OK)
        return status;
    status = list_tensors(dump, &header, options->raw_dtype, &tensors, err);
    if (status == PLUCK_OK)
        status = plk_tensor_rows_open(dump, &tensors, options, err);
    plk_tensors_free(&tensors);
    plk_safetensors_header_free(&header, &dump->allocator);
    return status;
}

const plk_dump_reader plk_dump_safetensors = {
    .format = PLUCK_DUMP_SAFETENSORS,
    .name = "safetensors",
    .recognised = ".safetensors",
    .has_tensors = true,
    .own_bytes = sizeof(plk_tensor_rows),
    .sniff = sniff,
    .open = open_tensor,
    .read = plk_tensor_rows_read,
    .release = plk_tensor_rows_release,
    .close = plk_tensor_rows_close,
};
