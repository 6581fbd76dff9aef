/*
 * Nothing is believed before it is compared with the size of the file: every offset is checked
 * against what comes after it, with subtractions that cannot wrap.
 */
#include "file/array_file.h"

#include "base/alloc.h"
#include "base/error.h"

#include <stdint.h>
#include <string.h>

#ifdef PLK_HAVE_ZLIB
#    include <zlib.h>
#endif

enum {
    END_BYTES = 22,
    LOCATOR_BYTES = 20,
    END64_BYTES = 56,
    ENTRY_BYTES = 46,
    LOCAL_BYTES = 30,
    MAX_COMMENT_BYTES = 0xFFFF,
    EXTRA_ZIP64 = 1,
    FLAG_ENCRYPTED = 1
};

static uint16_t read_u16(const uint8_t *bytes)
{
    return (uint16_t)plk_read_little(bytes, 2);
}

static uint32_t read_u32(const uint8_t *bytes)
{
    return (uint32_t)plk_read_little(bytes, 4);
}

static uint64_t read_u64(const uint8_t *bytes)
{
    return plk_read_little(bytes, 8);
}

static bool has_signature(const uint8_t *bytes, unsigned third, unsigned fourth)
{
    return bytes[0] == 'P' && bytes[1] == 'K' && bytes[2] == third && bytes[3] == fourth;
}

bool plk_zip_has_prefix(const uint8_t *bytes, size_t size_bytes)
{
    return size_bytes >= 4 && (has_signature(bytes, 3, 4) || has_signature(bytes, 5, 6));
}

/* The end record is the last one whose comment ends with the file. */
static bool find_end(const plk_zip *zip, uint64_t *end)
{
    if (zip->size_bytes < END_BYTES)
        return false;
    uint64_t last = zip->size_bytes - END_BYTES;
    for (uint64_t back = 0; back <= last && back <= MAX_COMMENT_BYTES; back++) {
        const uint8_t *bytes = zip->bytes + (last - back);
        if (has_signature(bytes, 5, 6) && read_u16(bytes + 20) == back) {
            *end = last - back;
            return true;
        }
    }
    return false;
}

/* The larger record, if there is one: *end becomes its offset. */
static pluck_status read_end64(plk_zip *zip, uint64_t *end, uint64_t *size, uint64_t *offset,
                               pluck_error *err)
{
    const uint8_t *locator = zip->bytes + (*end - LOCATOR_BYTES);
    uint64_t at = read_u64(locator + 8);
    if (at > *end - LOCATOR_BYTES || *end - LOCATOR_BYTES - at < END64_BYTES ||
        !has_signature(zip->bytes + at, 6, 6))
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: the zip64 locator at byte %llu points to byte %llu, which is not "
                        "an end record",
                        zip->where, (unsigned long long)(*end - LOCATOR_BYTES),
                        (unsigned long long)at);
    const uint8_t *bytes = zip->bytes + at;
    zip->n_members = read_u64(bytes + 32);
    *size = read_u64(bytes + 40);
    *offset = read_u64(bytes + 48);
    *end = at;
    return PLUCK_OK;
}

pluck_status plk_zip_open(plk_zip *zip, const uint8_t *bytes, uint64_t size_bytes,
                          const char *where, pluck_error *err)
{
    uint64_t end = 0;
    *zip = (plk_zip){.bytes = bytes, .size_bytes = size_bytes, .where = where};
    if (!find_end(zip, &end))
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: truncated: no ZIP end record in the last bytes of the file", where);
    const uint8_t *record = bytes + end;
    uint64_t size = read_u32(record + 12), offset = read_u32(record + 16);
    zip->n_members = read_u16(record + 10);
    bool has_locator = end >= LOCATOR_BYTES && has_signature(record - LOCATOR_BYTES, 6, 7);
    if (has_locator && (size == UINT32_MAX || offset == UINT32_MAX || zip->n_members == 0xFFFF)) {
        pluck_status status = read_end64(zip, &end, &size, &offset, err);
        if (status != PLUCK_OK)
            return status;
    }
    if (offset > end || size > end - offset)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: the ZIP directory of %llu bytes at byte %llu does not end before its "
                        "end record at byte %llu",
                        where, (unsigned long long)size, (unsigned long long)offset,
                        (unsigned long long)end);
    if (zip->n_members > PLK_ZIP_MAX_MEMBERS || zip->n_members > size / ENTRY_BYTES)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: a ZIP directory of %llu bytes with %llu members: expected %d bytes or "
                        "more each, and at most %d members",
                        where, (unsigned long long)size, (unsigned long long)zip->n_members,
                        ENTRY_BYTES, PLK_ZIP_MAX_MEMBERS);
    zip->directory_begin = offset;
    zip->directory_end = offset + size;
    return PLUCK_OK;
}

/* Takes the 64-bit numbers that stand for those that are all ones. false: one is missing. */
static bool read_extra(const uint8_t *extra, size_t length, plk_zip_member *member, uint64_t *local)
{
    uint64_t *const wide[] = {&member->size_bytes, &member->packed_size_bytes, local};
    size_t n_wanted = 0;
    for (size_t i = 0; i < 3; i++)
        n_wanted += *wide[i] == UINT32_MAX;
    while (n_wanted > 0 && length >= 4) {
        size_t id = read_u16(extra), size = read_u16(extra + 2);
        if (size > length - 4)
            return false;
        if (id == EXTRA_ZIP64) {
            const uint8_t *at = extra + 4;
            if (size < 8 * n_wanted)
                return false;
            for (size_t i = 0; i < 3; i++) {
                if (*wide[i] != UINT32_MAX)
                    continue;
                *wide[i] = read_u64(at);
                at += 8;
            }
            return true;
        }
        extra += 4 + size;
        length -= 4 + size;
    }
    return n_wanted == 0;
}

/* Where the packed bytes begin, from the local header. */
static pluck_status find_bytes(const plk_zip *zip, uint64_t local, plk_zip_member *member,
                               pluck_error *err)
{
    uint64_t end = zip->directory_begin;
    int length = (int)(member->name_length < 40 ? member->name_length : 40);
    if (local > end || end - local < LOCAL_BYTES || !has_signature(zip->bytes + local, 3, 4))
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: member '%.*s': no local ZIP header at byte %llu", zip->where, length,
                        member->name, (unsigned long long)local);
    uint64_t skip = LOCAL_BYTES + (uint64_t)read_u16(zip->bytes + local + 26) +
                    read_u16(zip->bytes + local + 28);
    if (end - local < skip || end - local - skip < member->packed_size_bytes)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: member '%.*s': its %llu bytes from offset %llu do not end before the "
                        "ZIP directory at byte %llu",
                        zip->where, length, member->name,
                        (unsigned long long)member->packed_size_bytes,
                        (unsigned long long)(local + skip), (unsigned long long)end);
    member->offset_bytes = local + skip;
    return PLUCK_OK;
}

pluck_status plk_zip_next(const plk_zip *zip, uint64_t *at, plk_zip_member *member,
                          pluck_error *err)
{
    const uint8_t *entry = zip->bytes + *at;
    uint64_t left = zip->directory_end - *at;
    uint64_t total = ENTRY_BYTES;
    if (left >= ENTRY_BYTES)
        total += (uint64_t)read_u16(entry + 28) + read_u16(entry + 30) + read_u16(entry + 32);
    if (left < total || !has_signature(entry, 1, 2))
        return plk_fail(err, PLUCK_ERR_FORMAT, "%s: no whole ZIP directory entry at byte %llu",
                        zip->where, (unsigned long long)*at);
    size_t name_length = read_u16(entry + 28), extra_length = read_u16(entry + 30);
    const char *name = (const char *)entry + ENTRY_BYTES;
    *member = (plk_zip_member){.name = name,
                               .name_length = name_length,
                               .method = read_u16(entry + 10),
                               .crc = read_u32(entry + 16),
                               .packed_size_bytes = read_u32(entry + 20),
                               .size_bytes = read_u32(entry + 24)};
    uint64_t local = read_u32(entry + 42);
    int length = (int)(name_length < 40 ? name_length : 40);
    if (read_u16(entry + 8) & FLAG_ENCRYPTED)
        return plk_fail(err, PLUCK_ERR_FORMAT, "%s: member '%.*s' is encrypted", zip->where, length,
                        name);
    if (!read_extra(entry + ENTRY_BYTES + name_length, extra_length, member, &local))
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: member '%.*s': its 64-bit sizes are missing in the ZIP directory",
                        zip->where, length, name);
    *at += total;
    return find_bytes(zip, local, member, err);
}

/*
 * Packed bytes are handed to zlib in steps, through plk_source_at(), so that those that are done
 * can leave memory; zlib keeps a window of 32 KiB. A member that unpacks to more than its directory
 * says is refused at the first byte too many.
 */

enum { STEP_BYTES = 1 << 16 };

static int name_length(const plk_zip_stream *stream)
{
    return (int)(stream->member.name_length < 40 ? stream->member.name_length : 40);
}

static pluck_status fail_size(const plk_zip_stream *stream, const char *how, pluck_error *err)
{
    return plk_fail(err, PLUCK_ERR_FORMAT,
                    "%s: member '%.*s' unpacks to %s than the %llu bytes in the ZIP directory",
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
                        z->msg ? z->msg : "not deflate data");
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

/*
 * CRC-32: zlib's where there is zlib; else four bits at a time by a table of 16 remainders, which
 * is slower, but the table can be checked by eye: entry i is i divided by the polynomial.
 */

#ifdef PLK_HAVE_ZLIB

uint32_t plk_crc32(uint32_t crc, const uint8_t *bytes, size_t size_bytes)
{
    return (uint32_t)crc32_z(crc, bytes, size_bytes);
}

#else

uint32_t plk_crc32(uint32_t crc, const uint8_t *bytes, size_t size_bytes)
{
    static const uint32_t remainders[16] = {0x00000000, 0x1DB71064, 0x3B6E20C8, 0x26D930AC,
                                            0x76DC4190, 0x6B6B51F4, 0x4DB26158, 0x5005713C,
                                            0xEDB88320, 0xF00F9344, 0xD6D6A3E8, 0xCB61B38C,
                                            0x9B64C2B0, 0x86D3D2D4, 0xA00AE278, 0xBDBDF21C};
    crc = ~crc;
    for (size_t i = 0; i < size_bytes; i++) {
        crc ^= bytes[i];
        crc = (crc >> 4) ^ remainders[crc & 15];
        crc = (crc >> 4) ^ remainders[crc & 15];
    }
    return ~crc;
}

#endif
