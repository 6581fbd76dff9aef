/*
 * .npy: one array, whose header file/array_header.c reads and whose values are a matrix. A
 * stream gives rows in C order only: the first row of a Fortran-order matrix is complete only at
 * its end.
 */
#include "base/error.h"
#include "dump/reader.h"
#include "file/array_file.h"

static bool sniff(const uint8_t *bytes, size_t size_bytes, const pluck_dump_options *options)
{
    (void)options;
    return plk_npy_has_magic(bytes, size_bytes);
}

static pluck_status open_array(pluck_dump *dump, const pluck_dump_options *options,
                               pluck_error *err)
{
    plk_source *source = &dump->source;
    plk_row_layout *layout = &dump->layout;
    size_t header_size = 0;
    pluck_status status = plk_layout_read_header(layout, source, options->raw_dtype, source->label,
                                                 &header_size, err);
    if (status != PLUCK_OK)
        return status;
    layout->offset_bytes = header_size;
    if (!source->streamed) {
        status =
            plk_layout_check_size(layout, source->size_bytes - header_size, source->label, err);
    } else if (layout->fortran) {
        status =
            plk_fail(err, PLUCK_ERR_FORMAT,
                     "%s: an array in Fortran order cannot be read from a stream, because "
                     "its rows are complete only at the end; store it in C order, or as a file",
                     source->label);
    } else {
        size_t n_read = 0;
        status = plk_source_read(source, NULL, header_size, &n_read, err);
    }
    if (status == PLUCK_OK)
        plk_reader_layout_info(dump);
    return status;
}

const plk_dump_reader plk_dump_npy = {
    .format = PLUCK_DUMP_NPY,
    .name = "npy",
    .recognised = ".npy",
    .sniff = sniff,
    .open = open_array,
    .read = plk_reader_layout_read,
    .release = plk_reader_layout_release,
};
