/*
 * A gzip file is unpacked once, through a stream whose bytes zlib makes, into memory that grows as
 * they arrive: a file that unpacks to more than the limit costs no more than that. zlib compares
 * the checksum and the size of each member.
 */
#include "file/file.h"

#include <string.h>

#include "base/alloc.h"
#include "base/error.h"

#ifdef PLK_HAVE_ZLIB
#    include <zlib.h>
#endif

enum { PREFIX_BYTES = 4, STEP_BYTES = 1 << 16 };

#ifdef PLK_HAVE_ZLIB

typedef struct gunzip {
    plk_source *packed;
    pluck_allocator allocator;
    z_stream z;
    uint64_t
        offset_bytes; /* of a packed source that is not a stream: what has been given to zlib */
    uint8_t *buffer;  /* STEP_BYTES, of a stream */
    bool ended;
} gunzip;

static void *allocate(void *user, uInt n, uInt size)
{
    return plk_alloc(user, n, size);
}

static void release(void *user, void *memory)
{
    plk_free(user, memory);
}

/* More packed bytes for zlib; none at the end. */
static pluck_status refill(gunzip *g, pluck_error *err)
{
    const uint8_t *bytes = g->buffer;
    size_t n = 0;
    if (g->packed->streamed) {
        pluck_status status = plk_source_read_some(g->packed, g->buffer, STEP_BYTES, &n, err);
        if (status != PLUCK_OK)
            return status;
    } else {
        uint64_t left = g->packed->size_bytes - g->offset_bytes;
        n = left < STEP_BYTES ? (size_t)left : STEP_BYTES;
        if (n > 0)
            bytes = plk_source_at(g->packed, g->offset_bytes, n);
    }
    g->offset_bytes += n;
    g->z.next_in = (z_const Bytef *)(uintptr_t)bytes;
    g->z.avail_in = (uInt)n;
    return PLUCK_OK;
}

static pluck_status fail_damaged(const gunzip *g, const char *why, pluck_error *err)
{
    return plk_fail(err, PLUCK_ERR_FORMAT, "%s: its gzip data is damaged near byte %llu: %s",
                    g->packed->label, (unsigned long long)(g->offset_bytes - g->z.avail_in), why);
}

/* After a member: another one follows, or the end, or bytes that gzip ignores: zeros. */
static pluck_status end_member(gunzip *g, pluck_error *err)
{
    for (;;) {
        while (g->z.avail_in > 0 && *g->z.next_in == 0) {
            g->z.next_in++;
            g->z.avail_in--;
        }
        if (g->z.avail_in > 0)
            break;
        pluck_status status = refill(g, err);
        if (status != PLUCK_OK)
            return status;
        if (g->z.avail_in == 0) {
            g->ended = true;
            return PLUCK_OK;
        }
    }
    if (*g->z.next_in != 0x1F)
        return fail_damaged(g, "bytes follow its end", err);
    return inflateReset(&g->z) == Z_OK ? PLUCK_OK : plk_fail_nomem(err, STEP_BYTES);
}

static pluck_status pull(void *user, uint8_t *to, size_t size_bytes, size_t *n_read,
                         pluck_error *err)
{
    gunzip *g = user;
    size_t most = size_bytes < (size_t)1 << 30 ? size_bytes : (size_t)1 << 30;
    g->z.next_out = to;
    g->z.avail_out = (uInt)most;
    pluck_status status = PLUCK_OK;
    while (status == PLUCK_OK && !g->ended && g->z.avail_out == most && most > 0) {
        if (g->z.avail_in == 0) {
            status = refill(g, err);
            if (status == PLUCK_OK && g->z.avail_in == 0)
                status = fail_damaged(g, "it is truncated", err);
            if (status != PLUCK_OK)
                break;
        }
        int result = inflate(&g->z, Z_NO_FLUSH);
        if (result == Z_STREAM_END)
            status = end_member(g, err);
        else if (result == Z_MEM_ERROR)
            status = plk_fail_nomem(err, (size_t)1 << MAX_WBITS);
        else if (result != Z_OK && result != Z_BUF_ERROR)
            status = fail_damaged(g, g->z.msg ? g->z.msg : "not deflate data", err);
    }
    *n_read = most - g->z.avail_out;
    return status;
}

static pluck_status unpack(plk_source *source, size_t limit_bytes, pluck_error *err)
{
    pluck_allocator allocator = source->allocator;
    gunzip *g = plk_alloc_zero(&allocator, 1, sizeof *g);
    if (!g)
        return plk_fail_nomem(err, sizeof *g);
    plk_source unpacked;
    plk_source_open_pull(&unpacked, source->label, pull, g, &allocator);
    *g = (gunzip){.packed = source, .allocator = allocator};
    g->z.zalloc = allocate;
    g->z.zfree = release;
    g->z.opaque = &g->allocator;
    pluck_status status = PLUCK_OK;
    g->buffer = plk_alloc(&allocator, STEP_BYTES, 1);
    /* 16 more window bits: a gzip header and trailer. */
    bool has_inflater = g->buffer && inflateInit2(&g->z, MAX_WBITS + 16) == Z_OK;
    if (!has_inflater)
        status = plk_fail_nomem(err, STEP_BYTES);
    else
        status = plk_source_load(&unpacked, limit_bytes, err);
    if (has_inflater)
        (void)inflateEnd(&g->z);
    plk_free(&allocator, g->buffer);
    plk_free(&allocator, g);
    if (status == PLUCK_OK)
        plk_source_take_loaded(source, &unpacked);
    plk_source_close(&unpacked);
    return status;
}

#else

static pluck_status unpack(plk_source *source, size_t limit_bytes, pluck_error *err)
{
    (void)limit_bytes;
    return plk_fail(err, PLUCK_ERR_FORMAT,
                    "%s: is packed by gzip, and this build has no zlib: unpack it (gunzip)",
                    source->label);
}

#endif

pluck_status plk_gzip_unpack(plk_source *source, size_t limit_bytes, pluck_error *err)
{
    const uint8_t *bytes = NULL;
    size_t available = 0;
    pluck_status status = plk_source_peek(source, PREFIX_BYTES, &bytes, &available, err);
    /* Two bytes of magic, the only method there is, and flags whose upper three bits are zero. */
    if (status != PLUCK_OK || available < PREFIX_BYTES || bytes[0] != 0x1F || bytes[1] != 0x8B ||
        bytes[2] != 8 || (bytes[3] & 0xE0) != 0)
        return status;
    return unpack(source, limit_bytes, err);
}
