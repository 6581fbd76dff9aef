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
#include "base/text.h"
#include "dump/reader.h"
#include "file/file.h"
#include "simd/fp_state.h"

/* By so much of a stream text is told from raw values. */
#define TEXT_BYTES ((size_t)256)

static const plk_dump_reader *const readers[] = {
    &plk_dump_npy,  &plk_dump_safetensors, &plk_dump_torch, &plk_dump_npz, &plk_dump_llama_kl,
    &plk_dump_json, &plk_dump_jsonl,       &plk_dump_text,  &plk_dump_raw, NULL,
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
        return plk_fail(err, PLUCK_ERR_INVALID, "format %d is not a pluck_dump_format",
                        (int)options->format);
    if (!plk_is_logit_dtype(options->raw_dtype))
        return plk_fail(err, PLUCK_ERR_INVALID, "raw_dtype %d is not a type of logits",
                        (int)options->raw_dtype);
    if (options->raw_n_vocab > PLUCK_MAX_VOCAB)
        return plk_fail(err, PLUCK_ERR_INVALID, "raw_n_vocab is %u, expected at most %u",
                        (unsigned)options->raw_n_vocab, (unsigned)PLUCK_MAX_VOCAB);
    if (options->format == PLUCK_DUMP_RAW && options->raw_n_vocab == 0)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "raw_n_vocab is 0; raw values need the number of values per row, 1 to %u",
                        (unsigned)PLUCK_MAX_VOCAB);
    return PLUCK_OK;
}

/* Formats that are not read: how they begin, and what to do. */
typedef struct foreign_format {
    const char *bytes;
    size_t n, offset;
    const char *name, *advice;
} foreign_format;

#define BYTES(text) text, sizeof(text) - 1

static const foreign_format foreign[] = {
    {BYTES("\x89HDF\r\n\x1A\n"), 0, "an HDF5 file",
     "convert it: numpy.save('x.npy', h5py.File(FILE)[NAME][:])"},
    {BYTES("GGUF"), 0, "a GGUF model",
     "it holds weights and no logits; llama-perplexity --kl-divergence-base FILE writes logits"},
    {BYTES("ggml"), 0, "a model of llama.cpp", "it holds weights and no logits"},
    {BYTES("PAR1"), 0, "a Parquet file",
     "convert it: numpy.save('x.npy', pandas.read_parquet(FILE).to_numpy())"},
    {BYTES("ARROW1"), 0, "an Arrow file",
     "convert it: numpy.save('x.npy', pandas.read_feather(FILE).to_numpy())"},
    {BYTES("FEA1"), 0, "a Feather file",
     "convert it: numpy.save('x.npy', pandas.read_feather(FILE).to_numpy())"},
    {BYTES("\x80\x02\x8A\x0A\x6C\xFC\x9C\x46\xF9\x20\x6A\xA8"), 0,
     "a file of torch.save() from before PyTorch 1.6, a bare pickle",
     "convert it: torch.save(torch.load(FILE), 'x.pt')"},
    {BYTES("\x80\x02"), 0, "a Python pickle",
     "convert it: numpy.save('x.npy', pickle.load(open(FILE, 'rb')))"},
    {BYTES("\x80\x03"), 0, "a Python pickle",
     "convert it: numpy.save('x.npy', pickle.load(open(FILE, 'rb')))"},
    {BYTES("\x80\x04"), 0, "a Python pickle",
     "convert it: numpy.save('x.npy', pickle.load(open(FILE, 'rb')))"},
    {BYTES("\x80\x05"), 0, "a Python pickle",
     "convert it: numpy.save('x.npy', pickle.load(open(FILE, 'rb')))"},
    {BYTES("MATLAB 5.0"), 0, "a MATLAB file",
     "convert it: numpy.save('x.npy', scipy.io.loadmat(FILE)[NAME])"},
    {BYTES("SQLite format 3"), 0, "an SQLite database", "export rows of numbers as CSV"},
    {BYTES("RDX"), 0, "an R data file",
     "convert it: write.csv(logits, 'x.csv', row.names = FALSE)"},
    {BYTES("\xFD"
           "7zXZ"),
     0, "packed by xz", "unpack it: xz -d FILE"},
    {BYTES("\x28\xB5\x2F\xFD"), 0, "packed by zstd", "unpack it: zstd -d FILE"},
    {BYTES("BZh"), 0, "packed by bzip2", "unpack it: bunzip2 FILE"},
    {BYTES("\x04\x22\x4D\x18"), 0, "packed by lz4", "unpack it: lz4 -d FILE"},
    {BYTES("7z\xBC\xAF"), 0, "a 7z archive", "unpack it: 7z x FILE"},
    {BYTES("Rar!"), 0, "a RAR archive", "unpack it: unrar x FILE"},
    {BYTES("ustar"), 257, "a tar archive", "unpack it: tar xf FILE"},
    {BYTES("version https://git-lfs"), 0, "a pointer of Git LFS and not the file itself",
     "fetch it: git lfs pull"},
    {BYTES("\xFF\xFE"), 0, "UTF-16 text", "convert it: iconv -f UTF-16 -t UTF-8 FILE"},
    {BYTES("\xFE\xFF"), 0, "UTF-16 text", "convert it: iconv -f UTF-16 -t UTF-8 FILE"},
    {BYTES("\xBA\x16\x4F\x2F"), 0, "a fastText model", "the commands of pluck tree read it"},
    {BYTES("<!DOCTYPE"), 0, "an HTML page", "the download has failed"},
    {BYTES("<html"), 0, "an HTML page", "the download has failed"},
    {BYTES("<?xml"), 0, "an XML file", "write the logits as CSV, JSON or .npy"},
    {BYTES("%PDF"), 0, "a PDF file", "write the logits as CSV, JSON or .npy"},
};

/* Of at least n bytes; NULL: none. */
static const foreign_format *find_foreign(const uint8_t *bytes, size_t size_bytes, size_t n)
{
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
        const foreign_format *f = &foreign[i];
        if (f->n >= n && size_bytes >= f->offset + f->n &&
            memcmp(bytes + f->offset, f->bytes, f->n) == 0)
            return f;
    }
    return NULL;
}

static pluck_status fail_unknown(const plk_source *source, const uint8_t *bytes, size_t size_bytes,
                                 pluck_error *err)
{
    const foreign_format *f = find_foreign(bytes, size_bytes, 0);
    if (f)
        return plk_fail(err, PLUCK_ERR_FORMAT, "%s: is %s, which is not read as logits; %s",
                        source->label, f->name, f->advice);
    char begins[16] = "", known[192] = "", raw[64] = "";
    size_t used = 0;
    for (size_t i = 0; i < size_bytes && i < 4; i++)
        (void)snprintf(begins + 3 * i, sizeof begins - 3 * i, " %02x", (unsigned)bytes[i]);
    for (size_t i = 0; readers[i] && used < sizeof known; i++)
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s",
                                 i == 0           ? ""
                                 : readers[i + 1] ? ", "
                                                  : " or ",
                                 readers[i]->recognised);
    /* What llama-debug --save-logits writes. */
    bool is_row = !source->streamed && source->size_bytes % 4 == 0 &&
                  source->size_bytes / 4 <= PLUCK_MAX_VOCAB;
    (void)snprintf(raw, sizeof raw, is_row ? "%llu if it is one row of f32" : "N",
                   (unsigned long long)(source->size_bytes / 4));
    return plk_fail(err, PLUCK_ERR_FORMAT,
                    "%s: unknown format (begins with%s): expected %s (--vocab-size %s)",
                    source->label, begins, known, raw);
}

/* The one that is asked for, or that recognises the content; NULL: none. */
static const plk_dump_reader *find_reader(const uint8_t *bytes, size_t size_bytes,
                                          const pluck_dump_options *options)
{
    /* Raw values that nobody asked for must not begin as a foreign file does. */
    enum { ENOUGH_BYTES = 4 }; /* that values do not begin so by chance */
    for (size_t i = 0; readers[i]; i++)
        if (options->format == PLUCK_DUMP_AUTO
                ? readers[i]->sniff(bytes, size_bytes, options) &&
                      (readers[i]->format != PLUCK_DUMP_RAW ||
                       !find_foreign(bytes, size_bytes, ENOUGH_BYTES))
                : readers[i]->format == options->format)
            return readers[i];
    return NULL;
}

/* Whether the beginning of a stream may be that of text. Of random bytes one in eight is a control
 * character, so hardly any TEXT_BYTES of raw values look like text; those that do are told from it
 * when all of them are there. */
static bool may_be_text(const uint8_t *bytes, size_t size_bytes)
{
    for (size_t i = 0; i < size_bytes; i++)
        if (bytes[i] < 0x20 && !plk_is_space(bytes[i]))
            return false;
    return true;
}

static bool begins_json(const uint8_t *bytes, size_t size_bytes)
{
    size_t at = plk_first_byte(bytes, size_bytes);
    return at < size_bytes && (bytes[at] == '{' || bytes[at] == '[');
}

/* Of a stream that may be text or raw values as much as tells them apart; not of JSON, whose writer
 * may wait for an answer to its first line. */
static pluck_status peek_text(plk_source *source, const uint8_t **bytes, size_t *size_bytes,
                              pluck_error *err)
{
    bool ended = false;
    pluck_status status = PLUCK_OK;
    while (status == PLUCK_OK && !ended && *size_bytes < TEXT_BYTES &&
           may_be_text(*bytes, *size_bytes) && !begins_json(*bytes, *size_bytes))
        status = plk_source_peek_more(source, bytes, size_bytes, &ended, err);
    return status;
}

/* Of a stream that may be JSON the first line, which tells a row from the answer of a server. */
static pluck_status peek_line(plk_source *source, const uint8_t **bytes, size_t *size_bytes,
                              pluck_error *err)
{
    bool ended = false;
    size_t searched = 0;
    for (;;) {
        size_t at = plk_first_byte(*bytes, *size_bytes);
        size_t from = at < searched ? searched : at;
        if ((at < *size_bytes && !begins_json(*bytes, *size_bytes)) || ended ||
            memchr(*bytes + from, '\n', *size_bytes - from) || *size_bytes > PLK_MAX_LOADED_BYTES)
            return PLUCK_OK;
        searched = *size_bytes;
        pluck_status status = plk_source_peek_more(source, bytes, size_bytes, &ended, err);
        if (status != PLUCK_OK)
            return status;
    }
}

static pluck_status choose_reader(pluck_dump *dump, const pluck_dump_options *options,
                                  pluck_error *err)
{
    const uint8_t *bytes = NULL;
    size_t size_bytes = 0;
    pluck_status status = plk_gzip_unpack(&dump->source, PLK_MAX_LOADED_BYTES, err);
    if (status == PLUCK_OK)
        status = plk_source_peek(&dump->source, PLK_SNIFF_BYTES, &bytes, &size_bytes, err);
    if (status != PLUCK_OK)
        return status;
    if (size_bytes == 0)
        return plk_fail(err, PLUCK_ERR_FORMAT, "%s: is empty", dump->source.label);
    if (!dump->source.streamed)
        size_bytes = (size_t)dump->source.size_bytes;
    bool is_guessed = dump->source.streamed && options->format == PLUCK_DUMP_AUTO;
    if (is_guessed && options->raw_n_vocab != 0)
        status = peek_text(&dump->source, &bytes, &size_bytes, err);
    if (status != PLUCK_OK)
        return status;
    bool is_seen = !is_guessed || !may_be_text(bytes, size_bytes);
    if (!is_seen)
        status = peek_line(&dump->source, &bytes, &size_bytes, err);
    if (status != PLUCK_OK)
        return status;
    dump->reader = find_reader(bytes, size_bytes, options);
    if (!is_seen && dump->reader != &plk_dump_json && dump->reader != &plk_dump_jsonl) {
        /* One line of other text is not enough to tell its format. */
        status = plk_source_load(&dump->source, PLK_MAX_LOADED_BYTES, err);
        if (status != PLUCK_OK)
            return status;
        bytes = dump->source.bytes;
        size_bytes = (size_t)dump->source.size_bytes;
        dump->reader = find_reader(bytes, size_bytes, options);
    }
    if (!dump->reader)
        return fail_unknown(&dump->source, bytes, size_bytes, err);
    if (options->tensor && !dump->reader->has_tensors)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "%s: tensor '%s' was requested, but tensors of format %s have no names",
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
        size_t own_bytes = dump->reader->own_bytes;
        if (own_bytes > 0)
            dump->own = plk_alloc_zero(&dump->allocator, 1, own_bytes);
        plk_fp_state fp = plk_fp_enter_text();
        status = own_bytes == 0 || dump->own ? dump->reader->open(dump, options, err)
                                             : plk_fail_nomem(err, own_bytes);
        plk_fp_leave(fp);
    }
    if (status != PLUCK_OK)
        pluck_dump_destroy(&dump);
    *out = dump;
    return status;
}

/* Reads the options of the caller, NULL for none, into options. */
static pluck_status allocate(pluck_dump **dump, pluck_dump_options *options,
                             const pluck_dump_options *given, pluck_error *err)
{
    pluck_status status = PLK_READ_STRUCT(options, given, "options", pluck_dump_options, err);
    if (status == PLUCK_OK)
        status = check_options(options, err);
    if (status != PLUCK_OK)
        return status;
    pluck_allocator allocator = plk_allocator_or_default(options->allocator);
    *dump = plk_alloc_zero(&allocator, 1, sizeof **dump);
    if (!*dump)
        return plk_fail_nomem(err, sizeof **dump);
    (*dump)->allocator = allocator;
    return PLUCK_OK;
}

pluck_status pluck_dump_open(pluck_dump **out, const char *path, const pluck_dump_options *options,
                             pluck_error *err)
{
    pluck_dump_options known;
    if (!out)
        return plk_fail(err, PLUCK_ERR_INVALID, "pluck_dump_open: out is NULL");
    *out = NULL;
    if (!path)
        return plk_fail(err, PLUCK_ERR_INVALID, "pluck_dump_open: path is NULL");
    pluck_dump *dump = NULL;
    pluck_status status = allocate(&dump, &known, options, err);
    if (status != PLUCK_OK)
        return status;
    status = plk_source_open(&dump->source, path, known.no_map, &dump->allocator, err);
    if (status != PLUCK_OK) {
        pluck_allocator allocator = dump->allocator;
        plk_free(&allocator, dump);
        return status;
    }
    return finish_open(out, dump, &known, err);
}

pluck_status plk_dump_open_memory(pluck_dump **out, const char *name, const void *bytes,
                                  size_t size_bytes, bool streamed,
                                  const pluck_dump_options *options, pluck_error *err)
{
    pluck_dump_options known;
    *out = NULL;
    pluck_dump *dump = NULL;
    pluck_status status = allocate(&dump, &known, options, err);
    if (status != PLUCK_OK)
        return status;
    plk_source_open_memory(&dump->source, name, bytes, size_bytes, streamed, &dump->allocator);
    return finish_open(out, dump, &known, err);
}

void pluck_dump_destroy(pluck_dump **dump)
{
    if (!dump || !*dump)
        return;
    pluck_dump *closing = *dump;
    if (closing->own)
        closing->reader->close(closing);
    plk_free(&closing->allocator, closing->own);
    plk_source_close(&closing->source);
    pluck_allocator allocator = closing->allocator;
    plk_free(&allocator, closing);
    *dump = NULL;
}

pluck_status pluck_dump_get_info(const pluck_dump *dump, pluck_dump_info *info, pluck_error *err)
{
    if (!dump || !info)
        return plk_fail(err, PLUCK_ERR_INVALID, "pluck_dump_get_info: %s is NULL",
                        dump ? "info" : "dump");
    return PLK_WRITE_STRUCT(info, &dump->info, "info", pluck_dump_info, err);
}

pluck_status pluck_dump_read(pluck_dump *dump, uint64_t row, float *scratch, pluck_dump_row *out,
                             pluck_error *err)
{
    if (!dump || !out)
        return plk_fail(err, PLUCK_ERR_INVALID, "pluck_dump_read: %s is NULL",
                        dump ? "out" : "dump");
    pluck_status status = PLK_CHECK_STRUCT(out, "out", pluck_dump_row, err);
    if (status != PLUCK_OK)
        return status;
    if (row >= dump->info.n_rows)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "%s: row %llu does not exist; the dump has %llu rows, the first is row 0",
                        dump->source.label, (unsigned long long)row,
                        (unsigned long long)dump->info.n_rows);
    if (dump->reader->needs_scratch && !scratch)
        return plk_fail_scratch(&dump->source, err);
    pluck_dump_row read = {.target = PLUCK_NO_TOKEN};
    if (dump->reader->needs_scratch)
        read.logits = (pluck_logits){scratch, PLUCK_F32, dump->info.n_vocab};
    plk_fp_state fp = plk_fp_enter_text();
    status = dump->reader->read(dump, row, scratch, &read, err);
    plk_fp_leave(fp);
    if (status != PLUCK_OK)
        return status;
    return PLK_WRITE_STRUCT(out, &read, "out", pluck_dump_row, err);
}

const char *pluck_dump_token_text(const pluck_dump *dump, pluck_token token, size_t *length)
{
    size_t ignored = 0;
    if (!dump || !dump->reader->token_text)
        return NULL;
    return dump->reader->token_text(dump, token, length ? length : &ignored);
}

void pluck_dump_release(pluck_dump *dump, uint64_t row)
{
    if (dump && dump->reader->release)
        dump->reader->release(dump, row);
}
