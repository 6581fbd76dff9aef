/*
 * The directory of a ZIP file: which members it has, and where.
 *
 * Byte by byte, all little-endian (PKWARE, APPNOTE.TXT 6.3, sections 4.3 and 4.5), from the end:
 *
 *    end record       "PK\5\6"; this disk, disk of the directory (u16 each); entries on this disk,
 *                     in all (u16); size and offset of the directory (u32); length of the comment
 *                     (u16), and the comment, with which the file ends
 *    zip64 locator    20 bytes before the end record, if any of its numbers is all ones: "PK\6\7";
 *                     disk (u32); offset of the zip64 end record (u64); number of disks (u32)
 *    zip64 end record "PK\6\6"; its size (u64); versions (u16 x 2); disks (u32 x 2); entries on
 *                     this disk, in all; size and offset of the directory (u64 each)
 *    directory        entries of 46 bytes: "PK\1\2"; versions (u16 x 2); flags, method, time, date
 *                     (u16); CRC-32, packed size, size (u32); lengths of name, extra and comment
 *                     (u16); disk, attributes (u16, u16, u32); offset of the local header (u32);
 *                     then name, extra and comment. Extra is blocks of id and length (u16 each); in
 *                     block 1, sizes and offset that are all ones above follow as u64
 *    local header     30 bytes: "PK\3\4"; 22 bytes as above; lengths of name and extra (u16); name
 *                     and extra; then the packed bytes
 */
#ifndef PLK_ZIP_H
#define PLK_ZIP_H

#include "file/array_file.h"
#include "file/file.h"

#include <pluck/base.h>

#include <stddef.h>
#include <stdint.h>

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

/*
 * The bytes of a member of a ZIP file, unpacked from front to back, in memory that does not depend
 * on its size.
 */

typedef struct plk_zip_stream {
    plk_source *file; /* the ZIP file, mapped or in memory */
    plk_zip_member member;
    uint64_t n_packed, n_out; /* how many bytes went in and came out */
    uint32_t crc;
    bool ended;
    void *inflater; /* of a deflated member */
    pluck_allocator allocator;
} plk_zip_stream;

/* A deflated member needs zlib, else PLUCK_ERR_FORMAT says so. On failure nothing is held. */
pluck_status plk_zip_stream_open(plk_zip_stream *stream, plk_source *file,
                                 const plk_zip_member *member, const pluck_allocator *allocator,
                                 pluck_error *err);

void plk_zip_stream_close(plk_zip_stream *stream);

/* A plk_source_pull with a plk_zip_stream as user. At the end the size and the checksum of all
 * bytes are compared with the directory: PLUCK_ERR_FORMAT if they differ. */
pluck_status plk_zip_stream_pull(void *user, uint8_t *to, size_t size_bytes, size_t *n_read,
                                 pluck_error *err);

/*
 * CRC-32 of ISO 3309, as ZIP files have it: polynomial 0xEDB88320, bits reflected, inverted before
 * and after.
 */

/* The checksum of bytes that follow those whose checksum is crc; 0 for none before. */
uint32_t plk_crc32(uint32_t crc, const uint8_t *bytes, size_t size_bytes);

/*
 * The pickle in a file of torch.save(): which tensors it names, and where their values are.
 *
 * A pickle is a program for a stack machine (Python, Lib/pickletools.py). What torch.save() writes
 * for tensors in dicts, lists and tuples uses a small part of it; of what it calls, only the
 * functions that rebuild a tensor and OrderedDict are known, and these are not called but noted.
 * Nothing is executed, and every other call is refused by its name.
 */

typedef struct plk_torch_tensor {
    char *name; /* "logits", "scores.0"; "tensor" for one that stands alone */
    const char
        *storage; /* the class of its storage, "FloatStorage"; in the pickle, not terminated */
    size_t storage_length;
    const char *key; /* the storage: member data/KEY of the file; the same */
    size_t key_length;
    uint64_t offset; /* of the first value, in values */
    plk_shape shape;
    bool is_contiguous; /* in C order, without gaps */
} plk_torch_tensor;

typedef struct plk_torch_tensors {
    plk_torch_tensor *items;
    size_t n, capacity;
    pluck_allocator allocator;
} plk_torch_tensors;

/* Reads the pickle, whose bytes must outlive tensors. On failure tensors holds nothing. */
pluck_status plk_torch_pickle_read(plk_torch_tensors *tensors, const uint8_t *bytes,
                                   size_t size_bytes, const char *where,
                                   const pluck_allocator *allocator, pluck_error *err);

void plk_torch_tensors_free(plk_torch_tensors *tensors);

#endif
