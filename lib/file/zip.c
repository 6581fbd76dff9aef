/*
 * Nothing is believed before it is compared with the size of the file: every offset is checked
 * against what comes after it, with subtractions that cannot wrap.
 */
#include "file/zip.h"

#include <stdint.h>
#include <string.h>

#include "base/error.h"

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
    return (uint16_t)(bytes[0] | bytes[1] << 8);
}

static uint32_t read_u32(const uint8_t *bytes)
{
    return (uint32_t)read_u16(bytes) | (uint32_t)read_u16(bytes + 2) << 16;
}

static uint64_t read_u64(const uint8_t *bytes)
{
    return (uint64_t)read_u32(bytes) | (uint64_t)read_u32(bytes + 4) << 32;
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
        return plk_fail(
            err, PLUCK_ERR_FORMAT,
            "%s: the zip64 locator at byte %llu points to byte %llu, where no end record is",
            zip->where, (unsigned long long)(*end - LOCATOR_BYTES), (unsigned long long)at);
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
