/*
 * Packed bytes are handed to zlib in steps, through pl_source_at(), so that those that are done can
 * leave memory; zlib keeps a window of 32 KiB. A member that unpacks to more than its directory
 * says is refused at the first byte too many.
 */
#include "container/zip_stream.h"

#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "container/crc32.h"

#ifdef PL_HAVE_ZLIB
#    include <zlib.h>
#endif

enum { STEP_BYTES = 1 << 16 };

static int name_length(const pl_zip_stream *stream)
{
    return (int)(stream->member.name_length < 40 ? stream->member.name_length : 40);
}

static pluck_status fail_size(const pl_zip_stream *stream, const char *how, pluck_error *err)
{
    return pl_fail(err, PLUCK_ERR_FORMAT,
                   "%s: member '%.*s' unpacks to %s than the %" PRIu64
                   " bytes that the ZIP directory says",
                   stream->file->label, name_length(stream), stream->member.name, how,
                   stream->member.size_bytes);
}

/* After the last byte. */
static pluck_status check_end(pl_zip_stream *stream, pluck_error *err)
{
    const pl_zip_member *member = &stream->member;
    stream->ended = true;
    if (stream->n_out < member->size_bytes)
        return fail_size(stream, "less", err);
    if (stream->n_packed < member->packed_size_bytes)
        return pl_fail(err, PLUCK_ERR_FORMAT,
                       "%s: member '%.*s': %" PRIu64 " bytes follow the end of its packed data",
                       stream->file->label, name_length(stream), member->name,
                       member->packed_size_bytes - stream->n_packed);
    if (stream->crc != member->crc)
        return pl_fail(
            err, PLUCK_ERR_FORMAT,
            "%s: member '%.*s' is damaged: its CRC-32 is %08" PRIx32 ", expected %08" PRIx32,
            stream->file->label, name_length(stream), member->name, stream->crc, member->crc);
    return PLUCK_OK;
}

static size_t packed_left(const pl_zip_stream *stream, size_t most)
{
    const uint64_t left = stream->member.packed_size_bytes - stream->n_packed;
    return left < most ? (size_t)left : most;
}

static pluck_status pull_stored(pl_zip_stream *stream, uint8_t *to, size_t size_bytes,
                                size_t *n_read, pluck_error *err)
{
    const size_t n = packed_left(stream, size_bytes);
    if (n == 0)
        return check_end(stream, err);
    memcpy(to, pl_source_at(stream->file, stream->member.offset_bytes + stream->n_packed, n), n);
    stream->n_packed += n;
    *n_read = n;
    return PLUCK_OK;
}

#ifdef PL_HAVE_ZLIB

static void *allocate(void *user, uInt n, uInt size)
{
    return pl_alloc(user, n, size);
}

static void release(void *user, void *memory)
{
    pl_free(user, memory);
}

static pluck_status open_inflater(pl_zip_stream *stream, pluck_error *err)
{
    z_stream *z = pl_alloc_zero(&stream->allocator, 1, sizeof *z);
    if (!z)
        return pl_fail_nomem(err, sizeof *z);
    z->zalloc = allocate;
    z->zfree = release;
    z->opaque = &stream->allocator;
    /* A negative number of window bits: deflate without a header of its own. */
    if (inflateInit2(z, -MAX_WBITS) != Z_OK) {
        pl_free(&stream->allocator, z);
        return pl_fail_nomem(err, (size_t)1 << MAX_WBITS);
    }
    stream->inflater = z;
    return PLUCK_OK;
}

static void close_inflater(pl_zip_stream *stream)
{
    (void)inflateEnd(stream->inflater);
}

static pluck_status pull_deflated(pl_zip_stream *stream, uint8_t *to, size_t size_bytes,
                                  size_t *n_read, pluck_error *err)
{
    z_stream *z = stream->inflater;
    int result = Z_OK;
    z->next_out = to;
    z->avail_out = (uInt)size_bytes;
    while (result == Z_OK && z->avail_out == size_bytes) {
        const size_t n = packed_left(stream, STEP_BYTES);
        z->avail_in = (uInt)n;
        if (n > 0)
            z->next_in = (z_const Bytef *)(uintptr_t)pl_source_at(
                stream->file, stream->member.offset_bytes + stream->n_packed, n);
        result = inflate(z, Z_NO_FLUSH);
        stream->n_packed += n - z->avail_in;
        if (n == 0 && result != Z_STREAM_END && z->avail_out == size_bytes)
            return fail_size(stream, "less", err);
    }
    *n_read = size_bytes - z->avail_out;
    if (result == Z_MEM_ERROR)
        return pl_fail_nomem(err, (size_t)1 << MAX_WBITS);
    if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
        return pl_fail(err, PLUCK_ERR_FORMAT,
                       "%s: member '%.*s': its packed data is damaged near byte %" PRIu64 ": %s",
                       stream->file->label, name_length(stream), stream->member.name,
                       stream->member.offset_bytes + stream->n_packed,
                       z->msg ? z->msg : "no deflate data");
    if (result == Z_STREAM_END && *n_read == 0)
        return check_end(stream, err);
    return PLUCK_OK;
}

#else

static pluck_status open_inflater(pl_zip_stream *stream, pluck_error *err)
{
    return pl_fail(err, PLUCK_ERR_FORMAT,
                   "%s: member '%.*s' is compressed, and this build has no zlib: store it "
                   "uncompressed",
                   stream->file->label, name_length(stream), stream->member.name);
}

static void close_inflater(pl_zip_stream *stream)
{
    (void)stream;
}

static pluck_status pull_deflated(pl_zip_stream *stream, uint8_t *to, size_t size_bytes,
                                  size_t *n_read, pluck_error *err)
{
    (void)to;
    (void)size_bytes;
    *n_read = 0;
    return open_inflater(stream, err);
}

#endif

pluck_status pl_zip_stream_open(pl_zip_stream *stream, pl_source *file, const pl_zip_member *member,
                                const pluck_allocator *allocator, pluck_error *err)
{
    *stream = (pl_zip_stream){.file = file, .member = *member, .allocator = *allocator};
    if (member->method == PL_ZIP_STORED) {
        if (member->size_bytes == member->packed_size_bytes)
            return PLUCK_OK;
        return fail_size(stream, member->size_bytes > member->packed_size_bytes ? "less" : "more",
                         err);
    }
    if (member->method != PL_ZIP_DEFLATED)
        return pl_fail(err, PLUCK_ERR_FORMAT,
                       "%s: member '%.*s' is compressed by method %u: expected 0 (stored) or 8 "
                       "(deflated)",
                       file->label, name_length(stream), member->name, member->method);
    return open_inflater(stream, err);
}

void pl_zip_stream_close(pl_zip_stream *stream)
{
    if (!stream->inflater)
        return;
    close_inflater(stream);
    pl_free(&stream->allocator, stream->inflater);
    stream->inflater = NULL;
}

pluck_status pl_zip_stream_pull(void *user, uint8_t *to, size_t size_bytes, size_t *n_read,
                                pluck_error *err)
{
    pl_zip_stream *stream = user;
    const size_t most = size_bytes < (size_t)1 << 30 ? size_bytes : (size_t)1 << 30;
    *n_read = 0;
    if (stream->ended || size_bytes == 0)
        return PLUCK_OK;
    pluck_status status = stream->inflater ? pull_deflated(stream, to, most, n_read, err)
                                           : pull_stored(stream, to, most, n_read, err);
    stream->crc = pl_crc32(stream->crc, to, *n_read);
    stream->n_out += *n_read;
    if (status == PLUCK_OK && stream->n_out > stream->member.size_bytes)
        return fail_size(stream, "more", err);
    return status;
}
