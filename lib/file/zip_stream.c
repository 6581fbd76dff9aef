/*
 * Packed bytes are handed to zlib in steps, through plk_source_at(), so that those that are done
 * can leave memory; zlib keeps a window of 32 KiB. A member that unpacks to more than its directory
 * says is refused at the first byte too many.
 */
#include "file/zip_stream.h"

#include <stdint.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "file/crc32.h"

#ifdef PLK_HAVE_ZLIB
#    include <zlib.h>
#endif

enum { STEP_BYTES = 1 << 16 };

static int name_length(const plk_zip_stream *stream)
{
    return (int)(stream->member.name_length < 40 ? stream->member.name_length : 40);
}

static pluck_status fail_size(const plk_zip_stream *stream, const char *how, pluck_error *err)
{
    return plk_fail(
        err, PLUCK_ERR_FORMAT,
        "%s: member '%.*s' unpacks to %s than the %llu bytes that the ZIP directory says",
        stream->file->label, name_length(stream), stream->member.name, how,
        (unsigned long long)stream->member.size_bytes);
}

/* After the last byte. */
static pluck_status check_end(plk_zip_stream *stream, pluck_error *err)
{
    const plk_zip_member *member = &stream->member;
    stream->ended = true;
    if (stream->n_out < member->size_bytes)
        return fail_size(stream, "less", err);
    if (stream->n_packed < member->packed_size_bytes)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: member '%.*s': %llu bytes follow the end of its packed data",
                        stream->file->label, name_length(stream), member->name,
                        (unsigned long long)(member->packed_size_bytes - stream->n_packed));
    if (stream->crc != member->crc)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: member '%.*s' is damaged: its CRC-32 is %08x, expected %08x",
                        stream->file->label, name_length(stream), member->name,
                        (unsigned)stream->crc, (unsigned)member->crc);
    return PLUCK_OK;
}

static size_t packed_left(const plk_zip_stream *stream, size_t most)
{
    uint64_t left = stream->member.packed_size_bytes - stream->n_packed;
    return left < most ? (size_t)left : most;
}

static pluck_status pull_stored(plk_zip_stream *stream, uint8_t *to, size_t size_bytes,
                                size_t *n_read, pluck_error *err)
{
    size_t n = packed_left(stream, size_bytes);
    if (n == 0)
        return check_end(stream, err);
    memcpy(to, plk_source_at(stream->file, stream->member.offset_bytes + stream->n_packed, n), n);
    stream->n_packed += n;
    *n_read = n;
    return PLUCK_OK;
}

#ifdef PLK_HAVE_ZLIB

static void *allocate(void *user, uInt n, uInt size)
{
    return plk_alloc(user, n, size);
}

static void release(void *user, void *memory)
{
    plk_free(user, memory);
}

static pluck_status open_inflater(plk_zip_stream *stream, pluck_error *err)
{
    z_stream *z = plk_alloc_zero(&stream->allocator, 1, sizeof *z);
    if (!z)
        return plk_fail_nomem(err, sizeof *z);
    z->zalloc = allocate;
    z->zfree = release;
    z->opaque = &stream->allocator;
    /* A negative number of window bits: deflate without a header of its own. */
    if (inflateInit2(z, -MAX_WBITS) != Z_OK) {
        plk_free(&stream->allocator, z);
        return plk_fail_nomem(err, (size_t)1 << MAX_WBITS);
    }
    stream->inflater = z;
    return PLUCK_OK;
}

static void close_inflater(plk_zip_stream *stream)
{
    (void)inflateEnd(stream->inflater);
}

static pluck_status pull_deflated(plk_zip_stream *stream, uint8_t *to, size_t size_bytes,
                                  size_t *n_read, pluck_error *err)
{
    z_stream *z = stream->inflater;
    int result = Z_OK;
    z->next_out = to;
    z->avail_out = (uInt)size_bytes;
    while (result == Z_OK && z->avail_out == size_bytes) {
        size_t n = packed_left(stream, STEP_BYTES);
        z->avail_in = (uInt)n;
        if (n > 0)
            z->next_in = (z_const Bytef *)(uintptr_t)plk_source_at(
                stream->file, stream->member.offset_bytes + stream->n_packed, n);
        result = inflate(z, Z_NO_FLUSH);
        stream->n_packed += n - z->avail_in;
        if (n == 0 && result != Z_STREAM_END && z->avail_out == size_bytes)
            return fail_size(stream, "less", err);
    }
    *n_read = size_bytes - z->avail_out;
    if (result == Z_MEM_ERROR)
        return plk_fail_nomem(err, (size_t)1 << MAX_WBITS);
    if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: member '%.*s': its packed data is damaged near byte %llu: %s",
                        stream->file->label, name_length(stream), stream->member.name,
                        (unsigned long long)(stream->member.offset_bytes + stream->n_packed),
                        z->msg ? z->msg : "no deflate data");
    if (result == Z_STREAM_END && *n_read == 0)
        return check_end(stream, err);
    return PLUCK_OK;
}

#else

static pluck_status open_inflater(plk_zip_stream *stream, pluck_error *err)
{
    return plk_fail(err, PLUCK_ERR_FORMAT,
                    "%s: member '%.*s' is compressed, and this build has no zlib: store it "
                    "uncompressed",
                    stream->file->label, name_length(stream), stream->member.name);
}

static void close_inflater(plk_zip_stream *stream)
{
    (void)stream;
}

static pluck_status pull_deflated(plk_zip_stream *stream, uint8_t *to, size_t size_bytes,
                                  size_t *n_read, pluck_error *err)
{
    (void)to;
    (void)size_bytes;
    *n_read = 0;
    return open_inflater(stream, err);
}

#endif

pluck_status plk_zip_stream_open(plk_zip_stream *stream, plk_source *file,
                                 const plk_zip_member *member, const pluck_allocator *allocator,
                                 pluck_error *err)
{
    *stream = (plk_zip_stream){.file = file, .member = *member, .allocator = *allocator};
    if (member->method == PLK_ZIP_STORED) {
        if (member->size_bytes == member->packed_size_bytes)
            return PLUCK_OK;
        return fail_size(stream, member->size_bytes > member->packed_size_bytes ? "less" : "more",
                         err);
    }
    if (member->method != PLK_ZIP_DEFLATED)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: member '%.*s' is compressed by method %u: expected 0 (stored) or 8 "
                        "(deflated)",
                        file->label, name_length(stream), member->name, member->method);
    return open_inflater(stream, err);
}

void plk_zip_stream_close(plk_zip_stream *stream)
{
    if (!stream->inflater)
        return;
    close_inflater(stream);
    plk_free(&stream->allocator, stream->inflater);
    stream->inflater = NULL;
}

pluck_status plk_zip_stream_pull(void *user, uint8_t *to, size_t size_bytes, size_t *n_read,
                                 pluck_error *err)
{
    plk_zip_stream *stream = user;
    size_t most = size_bytes < (size_t)1 << 30 ? size_bytes : (size_t)1 << 30;
    *n_read = 0;
    if (stream->ended || size_bytes == 0)
        return PLUCK_OK;
    pluck_status status = stream->inflater ? pull_deflated(stream, to, most, n_read, err)
                                           : pull_stored(stream, to, most, n_read, err);
    stream->crc = plk_crc32(stream->crc, to, *n_read);
    stream->n_out += *n_read;
    if (status == PLUCK_OK && stream->n_out > stream->member.size_bytes)
        return fail_size(stream, "more", err);
    return status;
}
