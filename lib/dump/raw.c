/*
 * Raw: rows of little-endian values and nothing else. Only the options say what they are, so the
 * one thing that can be checked is that the size is a whole number of rows.
 */
#include <stdint.h>
#include <string.h>

#include "base/error.h"
#include "dump/reader.h"

static bool sniff(const uint8_t *bytes, size_t size_bytes, const pluck_dump_options *options)
{
    (void)bytes;
    (void)size_bytes;
    return options->raw_n_vocab != 0;
}

static pluck_status open_values(pluck_dump *dump, const pluck_dump_options *options,
                                pluck_error *err)
{
    static const plk_stored_type types[] = {PLK_STORED_F32, PLK_STORED_F16, PLK_STORED_BF16};
    const plk_source *source = &dump->source;
    plk_row_layout *layout = &dump->layout;
    layout->type = types[options->raw_dtype];
    layout->swapped = plk_is_swapped(true);
    const char *name = pluck_dtype_name(options->raw_dtype);
    memcpy(layout->stored_dtype, name, strlen(name) + 1);
    layout->n_vocab = options->raw_n_vocab;
    layout->row_size_bytes = (uint64_t)layout->n_vocab * plk_stored_size_bytes(layout->type);
    layout->n_rows = PLUCK_DUMP_ROWS_UNKNOWN;
    if (!source->streamed) {
        if (source->size_bytes % layout->row_size_bytes != 0)
            return plk_fail(err, PLUCK_ERR_FORMAT,
                            "%s: the file has %llu bytes, which is not a multiple of the row size, "
                            "%llu bytes (%u values of %s)",
                            source->label, (unsigned long long)source->size_bytes,
                            (unsigned long long)layout->row_size_bytes, (unsigned)layout->n_vocab,
                            name);
        layout->n_rows = source->size_bytes / layout->row_size_bytes;
    }
    plk_reader_layout_info(dump);
    return PLUCK_OK;
}

const plk_dump_reader plk_dump_raw = {
    .format = PLUCK_DUMP_RAW,
    .name = "raw",
    .recognised = "raw values",
    .sniff = sniff,
    .open = open_values,
    .read = plk_reader_layout_read,
    .release = plk_reader_layout_release,
};
