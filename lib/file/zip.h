/*
 * The directory of a ZIP file: which members it has, and where.
 *
 * Byte by byte, all little-endian (PKWARE, APPNOTE.TXT 6.3, sections 4.3 and 4.5), from the end:
 *
 *   end record       "PK\5\6"; this disk, disk of the directory (u16 each); entries on this disk,
 *                    in all (u16); size and offset of the directory (u32); length of the comment
 *                    (u16), and the comment, with which the file ends
 *   zip64 locator    20 bytes before the end record, if any of its numbers is all ones: "PK\6\7";
 *                    disk (u32); offset of the zip64 end record (u64); number of disks (u32)
 *   zip64 end record "PK\6\6"; its size (u64); versions (u16 x 2); disks (u32 x 2); entries on this
 *                    disk, in all; size and offset of the directory (u64 each)
 *   directory        entries of 46 bytes: "PK\1\2"; versions (u16 x 2); flags, method, time, date
 *                    (u16); CRC-32, packed size, size (u32); lengths of name, extra and comment
 *                    (u16); disk, attributes (u16, u16, u32); offset of the local header (u32);
 *                    then name, extra and comment. Extra is blocks of id and length (u16 each); in
 *                    block 1, sizes and offset that are all ones above follow as u64
 *   local header     30 bytes: "PK\3\4"; 22 bytes as above; lengths of name and extra (u16); name
 *                    and extra; then the packed bytes
 */
#ifndef PLK_ZIP_H
#define PLK_ZIP_H

#include <pluck/base.h>

enum { PLK_ZIP_STORED = 0, PLK_ZIP_DEFLATED = 8, PLK_ZIP_MAX_MEMBERS = 1 << 16 };

typedef struct plk_zip {
    const uint8_t *bytes; /* the whole file */
    uint64_t size_bytes;
    const char *where; /* for messages */
    uint64_t directory_begin, directory_end;
    uint64_t n_members;
} plk_zip;

typedef struct plk_zip_member {
    const char *name; /* in the file, not terminated */
    size_t name_length;
    unsigned method;
    uint32_t crc;
    uint64_t packed_size_bytes, size_bytes;
    uint64_t offset_bytes; /* of the packed bytes, which are inside of the file */
} plk_zip_member;

bool plk_zip_has_prefix(const uint8_t *bytes, size_t size_bytes);

/* Finds the directory. bytes and where must outlive zip; nothing is allocated. */
pluck_status plk_zip_open(plk_zip *zip, const uint8_t *bytes, uint64_t size_bytes,
                          const char *where, pluck_error *err);

/* The member whose entry begins at *at, which is directory_begin at first; moves *at to the next
 * one. There are n_members of them. */
pluck_status plk_zip_next(const plk_zip *zip, uint64_t *at, plk_zip_member *member,
                          pluck_error *err);

#endif
