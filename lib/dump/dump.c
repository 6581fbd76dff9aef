/*
 * Opening a dump: the source is opened, the first reader of the registry that recognises its first
 * bytes takes it, and every call after goes to that reader. raw comes last, because it takes
 * anything that it is told to.
 */
#include <pluck/dump.h>

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "dump/reader.h"

static const pl_dump_reader *const readers[] = {
    &pl_dump_npy,   &pl_dump_safetensors, &pl_dump_npz, &pl_dump_llama_kl,
    &pl_dump_jsonl, &pl_dump_raw,         NULL,
};

const char *pluck_dump_format_name(pluck_dump_format format)
{
    if (format == PLUCK_DUMP_AUTO)
        return "auto";
    for (size_t i = 0; readers[i]; i++)
        if (readers[i]->format == format)
            return readers[i]->name;
    return NULL;
}

static pluck_status check_options(const pluck_dump_options *options, pluck_error *err)
{
    if (!pluck_dump_format_name(options->format))
        return pl_fail(err, PLUCK_ERR_INVALID, "format %d is no pluck_dump_format",
                       (int)options->format);
    if (!pluck_dtype_name(options->raw_dtype))
        return pl_fail(err, PLUCK_ERR_INVALID, "raw_dtype %d is no pluck_dtype",
                       (int)options->raw_dtype);
    if (options->raw_n_vocab > PLUCK_MAX_VOCAB)
        return pl_fail(err, PLUCK_ERR_INVALID, "%u raw values a row are more than %u",
                       (unsigned)options->raw_n_vocab, (unsigned)PLUCK_MAX_VOCAB);
    if (options->format == PLUCK_DUMP_RAW && options->raw_n_vocab == 0)
        return pl_fail(err, PLUCK_ERR_INVALID,
                       "raw values were asked for without the number of values a row, 1 to %u",
                       (unsigned)PLUCK_MAX_VOCAB);
    return PLUCK_OK;
}

static pluck_status fail_unknown(const pl_source *source, const uint8_t *bytes, size_t size_bytes,
                                 pluck_error *err)
{
    char begins[16] = "", known[128] = "";
    size_t used = 0;
    for (size_t i = 0; i < size_bytes && i < 4; i++)
        (void)snprintf(begins + 3 * i, sizeof begins - 3 * i, " %02x", (unsigned)bytes[i]);
    for (size_t i = 0; readers[i] && used < sizeof known; i++)
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s",
                                 i == 0           ? ""
                                 : readers[i + 1] ? ", "
                                                  : " or ",
                                 readers[i]->recognised);
    return pl_fail(err, PLUCK_ERR_FORMAT, "%s: unknown format (begins with%s): expected %s",
                   source->label, begins, known);
}

static pluck_status choose_reader(pluck_dump *dump, const pluck_dump_options *options,
                                  pluck_error *err)
{
    const uint8_t *bytes = NULL;
    size_t size_bytes = 0;
    pluck_status status = pl_source_peek(&dump->source, PL_SNIFF_BYTES, &bytes, &size_bytes, err);
    if (status)
        return status;
    if (size_bytes == 0)
        return pl_fail(err, PLUCK_ERR_FORMAT, "%s: is empty", dump->source.label);
    for (size_t i = 0; readers[i] && !dump->reader; i++)
        if (options->format == PLUCK_DUMP_AUTO ? readers[i]->sniff(bytes, size_bytes, options)
                                               : readers[i]->format == options->format)
            dump->reader = readers[i];
    if (!dump->reader)
        return fail_unknown(&dump->source, bytes, size_bytes, err);
    if (options->tensor && !dump->reader->has_tensors)
        return pl_fail(err, PLUCK_ERR_INVALID,
                       "%s: tensor '%s' was asked for, but the tensors of format %s have no names",
                       dump->source.label, options->tensor, dump->reader->name);
    return PLUCK_OK;
}

/* The source is open; the dump takes it over, and closes it on failure. */
static pluck_status finish_open(pluck_dump **out, pluck_dump *dump,
                                const pluck_dump_options *options, pluck_error *err)
{
    pluck_status status = choose_reader(dump, options, err);
    if (status == PLUCK_OK) {
        dump->info.format = dump->reader->format;
        dump->info.streamed = dump->source.streamed;
        status = dump->reader->open(dump, options, err);
    }
    if (status)
        pluck_dump_close(&dump);
    *out = dump;
    return status;
}

static pluck_status allocate(pluck_dump **dump, const pluck_dump_options *options, pluck_error *err)
{
    pluck_status status = check_options(options, err);
    if (status)
        return status;
    const pluck_allocator allocator = pl_allocator_or_default(options->allocator);
    *dump = pl_alloc_zero(&allocator, 1, sizeof **dump);
    if (!*dump)
        return pl_fail_nomem(err, sizeof **dump);
    (*dump)->allocator = allocator;
    return PLUCK_OK;
}

pluck_status pluck_dump_open(pluck_dump **out, const char *path, const pluck_dump_options *options,
                             pluck_error *err)
{
    static const pluck_dump_options defaults = {0};
    if (!out)
        return pl_fail(err, PLUCK_ERR_INVALID, "pluck_dump_open: out is NULL");
    *out = NULL;
    if (!path)
        return pl_fail(err, PLUCK_ERR_INVALID, "pluck_dump_open: path is NULL");
    if (!options)
        options = &defaults;
    pluck_dump *dump = NULL;
    pluck_status status = allocate(&dump, options, err);
    if (status)
        return status;
    status = pl_source_open(&dump->source, path, &dump->allocator, err);
    if (status) {
        const pluck_allocator allocator = dump->allocator;
        pl_free(&allocator, dump);
        return status;
    }
    return finish_open(out, dump, options, err);
}

pluck_status pl_dump_open_memory(pluck_dump **out, const char *name, const void *bytes,
                                 size_t size_bytes, bool streamed,
                                 const pluck_dump_options *options, pluck_error *err)
{
    *out = NULL;
    pluck_dump *dump = NULL;
    pluck_status status = allocate(&dump, options, err);
    if (status)
        return status;
    pl_source_open_memory(&dump->source, name, bytes, size_bytes, streamed, &dump->allocator);
    return finish_open(out, dump, options, err);
}

void pluck_dump_close(pluck_dump **dump)
{
    if (!dump || !*dump)
        return;
    pluck_dump *closing = *dump;
    if (closing->reader)
        closing->reader->close(closing);
    pl_source_close(&closing->source);
    const pluck_allocator allocator = closing->allocator;
    pl_free(&allocator, closing);
    *dump = NULL;
}

pluck_dump_info pluck_dump_get_info(const pluck_dump *dump)
{
    return dump ? dump->info : (pluck_dump_info){0};
}

pluck_status pluck_dump_read(pluck_dump *dump, uint64_t row, float *scratch, pluck_logits *logits,
                             pluck_error *err)
{
    if (!dump || !logits)
        return pl_fail(err, PLUCK_ERR_INVALID, "pluck_dump_read: %s is NULL",
                       dump ? "logits" : "dump");
    pluck_dump_row read = {{0}, PLUCK_NO_TOKEN};
    pluck_status status = dump->reader->read(dump, row, scratch, &read, err);
    if (status == PLUCK_OK)
        *logits = read.logits;
    return status;
}

pluck_status pluck_dump_read_row(pluck_dump *dump, uint64_t row, float *scratch,
                                 pluck_dump_row *row_out, pluck_error *err)
{
    if (!dump || !row_out)
        return pl_fail(err, PLUCK_ERR_INVALID, "pluck_dump_read_row: %s is NULL",
                       dump ? "row_out" : "dump");
    pluck_dump_row read = {{0}, PLUCK_NO_TOKEN};
    pluck_status status = dump->reader->read(dump, row, scratch, &read, err);
    if (status == PLUCK_OK)
        *row_out = read;
    return status;
}

void pluck_dump_release(pluck_dump *dump, uint64_t row)
{
    if (dump)
        dump->reader->release(dump, row);
}
