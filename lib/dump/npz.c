/*
 * .npz: a ZIP file (file/array_file.h) of .npy arrays, each a member NAME.npy (numpy.savez).
 */
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "dump/reader.h"
#include "file/array_file.h"

static bool sniff(const uint8_t *bytes, size_t size_bytes, const pluck_dump_options *options)
{
    (void)options;
    return plk_zip_has_prefix(bytes, size_bytes);
}

/* The name of the array that a member is; false: it is none. */
static bool array_name(const plk_zip_member *member, size_t *length)
{
    static const char ending[] = ".npy";
    size_t n = sizeof ending - 1;
    if (member->name_length < n || memcmp(member->name + member->name_length - n, ending, n) != 0)
        return false;
    *length = member->name_length - n;
    return true;
}

/* Reads the header of an array. One that is damaged is an array of another kind, unless it is the
 * one that is wanted. */
static pluck_status read_header(pluck_dump *dump, const pluck_dump_options *options,
                                plk_tensor *array, pluck_error *err)
{
    plk_zip_stream stream;
    plk_source unpacked;
    plk_npy_fields fields;
    size_t header_size = 0;
    pluck_error ignored;
    const plk_zip_member *member = &array->member;
    bool is_wanted = options->tensor && strlen(options->tensor) == array->name_length &&
                     memcmp(options->tensor, array->name, array->name_length) == 0;
    pluck_error *told = is_wanted ? err : &ignored;
    pluck_status status =
        plk_zip_stream_open(&stream, &dump->source, member, &dump->allocator, err);
    if (status != PLUCK_OK)
        return status;
    plk_source_open_pull(&unpacked, dump->source.label, plk_zip_stream_pull, &stream,
                         &dump->allocator);
    status = plk_npy_header_read(&unpacked, dump->source.label, &fields, &header_size, told);
    if (status == PLUCK_OK) {
        array->fortran = fields.fortran;
        array->shape = fields.shape;
        array->offset_bytes = header_size;
        array->available_bytes =
            member->size_bytes < header_size ? 0 : member->size_bytes - header_size;
        if (member->method == PLK_ZIP_STORED)
            array->offset_bytes += member->offset_bytes;
        status = plk_npy_float_values(&fields, options->raw_dtype, dump->source.label,
                                      &array->floats, told);
        if (status == PLUCK_OK)
            array->kind = PLK_TENSOR_FLOATS;
        else if (plk_npy_integer_values(&fields, &array->integers))
            array->kind = PLK_TENSOR_INTEGERS;
    }
    plk_source_close(&unpacked);
    plk_zip_stream_close(&stream);
    if (status != PLUCK_ERR_FORMAT && status != PLUCK_OK && !is_wanted && err)
        *err = ignored;
    return status == PLUCK_ERR_FORMAT && !is_wanted ? PLUCK_OK : status;
}

static pluck_status list_arrays(pluck_dump *dump, const pluck_dump_options *options,
                                plk_tensors *arrays, pluck_error *err)
{
    plk_source *source = &dump->source;
    plk_zip zip;
    pluck_status status = plk_zip_open(&zip, source->bytes, source->size_bytes, source->label, err);
    if (status != PLUCK_OK)
        return status;
    uint64_t at = zip.directory_begin;
    for (uint64_t i = 0; i < zip.n_members; i++) {
        plk_zip_member member;
        size_t length = 0;
        status = plk_zip_next(&zip, &at, &member, err);
        if (status != PLUCK_OK)
            return status;
        if (!array_name(&member, &length))
            continue;
        plk_tensor *array = plk_tensors_add(arrays, err);
        if (!array)
            return PLUCK_ERR_NOMEM;
        array->name = member.name;
        array->name_length = length;
        array->is_member = true;
        array->member = member;
        status = read_header(dump, options, array, err);
        if (status != PLUCK_OK)
            return status;
    }
    return PLUCK_OK;
}

static pluck_status open_archive(pluck_dump *dump, const pluck_dump_options *options,
                                 pluck_error *err)
{
    plk_tensors arrays = {
        .where = dump->source.label, .noun = "array", .allocator = dump->allocator};
    if (dump->source.streamed)
        return plk_fail(
            err, PLUCK_ERR_FORMAT,
            "%s: an .npz file cannot be read from a stream, because its directory is at "
            "the end; store it as a file",
            dump->source.label);
    pluck_status status = list_arrays(dump, options, &arrays, err);
    if (status == PLUCK_OK)
        status = plk_tensor_rows_open(dump, &arrays, options, err);
    plk_tensors_free(&arrays);
    return status;
}

const plk_dump_reader plk_dump_npz = {
    .format = PLUCK_DUMP_NPZ,
    .name = "npz",
    .recognised = ".npz",
    .has_tensors = true,
    .own_bytes = sizeof(plk_tensor_rows),
    .sniff = sniff,
    .open = open_archive,
    .read = plk_tensor_rows_read,
    .release = plk_tensor_rows_release,
    .close = plk_tensor_rows_close,
};
