/*
 * Arrays in files: values as they are stored and as pluck_dump_read() gives them, shapes, the
 * header of .npy, arrays of integers.
 */
#ifndef PLK_ARRAY_FILE_H
#define PLK_ARRAY_FILE_H

#include "file/file.h"
#include "json/json.h"

#include <pluck/base.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum plk_stored_type {
    PLK_STORED_F32 = 0, /* the first three: the values of pluck_dtype */
    PLK_STORED_F16 = 1,
    PLK_STORED_BF16 = 2,
    PLK_STORED_F64 = 3
} plk_stored_type;

size_t plk_stored_size_bytes(plk_stored_type type);

/* The type as which values are given: f32 for f64, otherwise the same type. */
pluck_dtype plk_stored_dtype(plk_stored_type type);

/* Whether little-endian values (false: big-endian ones) differ from the byte order of this
 * machine. */
bool plk_is_swapped(bool little_endian);

/*
 * n values at from, stride_bytes apart and not aligned, into to as plk_stored_dtype(type), in the
 * byte order of this machine. f64 is rounded to the nearest f32 (or as the caller's rounding mode
 * says, if it has set another one); beyond the range it becomes an infinity. The others keep their
 * bits. to may be from itself when stride_bytes is the size of a value and type is not f64.
 */
void plk_convert(const uint8_t *from, uint64_t stride_bytes, size_t n, plk_stored_type type,
                 bool swapped, void *to);

/* The shape of an array. */
enum { PLK_MAX_AXES = 64, PLK_SHAPE_TEXT_BYTES = 80 };

typedef struct plk_shape {
    size_t n_axes;
    uint64_t axes[PLK_MAX_AXES];
} plk_shape;

/* "(64, 50257)"; a long one ends in "...". */
const char *plk_shape_text(const plk_shape *shape, char text[PLK_SHAPE_TEXT_BYTES]);

/* The same shape without the axes of length 1. */
plk_shape plk_shape_squeezed(const plk_shape *shape);

/* Whether two arrays of the same number of elements have them in the same places: their shapes are
 * the same apart from axes of length 1, or at least one of them has at most one axis that is
 * longer. */
bool plk_shapes_agree(const plk_shape *a, const plk_shape *b);

/* *product = a * b; false, and nothing written, on overflow. */
bool plk_mul_u64(uint64_t a, uint64_t b, uint64_t *product);

/* *n = each times the product of n_axes axes; false on overflow. */
bool plk_count_values(const uint64_t *axes, size_t n_axes, uint64_t each, uint64_t *n);

/* A little-endian number of n_bytes <= 8 bytes. */
uint64_t plk_read_little(const void *bytes, size_t n_bytes);
void plk_write_little(void *bytes, uint64_t value, size_t n_bytes);

/* Rows of logits from one type to another. */

/* The f32 that a half, or the upper half of an f32, stands for: exact. */
float plk_from_f16(uint16_t bits);
float plk_from_bf16(uint16_t bits);

/* The nearest half, ties to even; beyond the range an infinity. A NaN stays one. */
uint16_t plk_to_f16(float value);
uint16_t plk_to_bf16(float value);

/* n values of type from_type at from, in the byte order of this machine and at any alignment, as
 * to_type in little-endian bytes at to. Values of the same type keep their bits. */
void plk_store(const void *from, pluck_dtype from_type, size_t n, pluck_dtype to_type, uint8_t *to);

/* n values as doubles, exactly. */
void plk_widen_double(const void *from, pluck_dtype from_type, size_t n, double *to);

/*
 * The header of an .npy array, wherever one is stored.
 *
 * Byte by byte (NumPy's "NPY format", numpy.lib.format): "\x93NUMPY", major version, minor version,
 * the length of the text (2 bytes in 1.0, 4 in 2.0 and 3.0, little-endian), and the text: a Python
 * dictionary {'descr': type, 'fortran_order': True or False, 'shape': tuple}, padded with spaces,
 * ended by a newline. The values follow.
 */

enum {
    PLK_NPY_MAGIC_BYTES = 6,
    PLK_NPY_PREFIX_BYTES = 12, /* never more than the smallest header that is complete */
    PLK_NPY_MAX_HEADER_BYTES = 1 << 20
};

/* What the dictionary says; the type is not looked at. */
typedef struct plk_npy_fields {
    const char *descr; /* in the header, not terminated */
    size_t descr_length, descr_offset;
    bool fortran;
    plk_shape shape;
} plk_npy_fields;

bool plk_npy_has_magic(const uint8_t *bytes, size_t size_bytes);

/* Finds the size of the header, prefix and text together, and where the text begins. bytes are the
 * first PLK_NPY_PREFIX_BYTES of the array, or all if it is shorter. */
pluck_status plk_npy_header_size(const uint8_t *bytes, size_t size_bytes, const char *where,
                                 size_t *text_offset, size_t *header_size_bytes, pluck_error *err);

/* The text: bytes [text_offset, header_size_bytes) of the header. */
pluck_status plk_npy_header_fields(const uint8_t *header, size_t text_offset,
                                   size_t header_size_bytes, const char *where,
                                   plk_npy_fields *fields, pluck_error *err);

/* Reads the whole header of the array with which source begins, and its size. A stream is only
 * peeked at. fields->descr is valid until source is read. */
pluck_status plk_npy_header_read(plk_source *source, const char *where, plk_npy_fields *fields,
                                 size_t *header_size_bytes, pluck_error *err);

/* Values of an array as they are stored. */
typedef struct plk_stored_values {
    plk_stored_type type;
    bool swapped;  /* not in the byte order of this machine */
    char name[16]; /* as the file names the type */
} plk_stored_values;

/* Floats. as: what integers of 16 bits are taken for, if that is f16 or bf16; else they are
 * refused. */
pluck_status plk_npy_float_values(const plk_npy_fields *fields, pluck_dtype as, const char *where,
                                  plk_stored_values *values, pluck_error *err);

/* Integers as they are stored. */
typedef struct plk_stored_integers {
    unsigned size_bytes; /* of each: 1, 2, 4 or 8 */
    bool is_signed, swapped;
} plk_stored_integers;

/* false: the values are not integers. */
bool plk_npy_integer_values(const plk_npy_fields *fields, plk_stored_integers *values);

/*
 * Arrays of integers in files: targets, counts.
 *
 * Two layouts, told apart by the first bytes: an .npy array of integers, whose header is described
 * above and whose elements are 1, 2, 4 or 8 bytes, signed (i) or not (u), in
 * either byte order; or text: decimal integers with white space or a comma between them, or a JSON
 * array of them, nested or not, whose levels are the axes. Either may be packed by gzip. 5.0 and
 * 5e0 are the integer 5, as NumPy's savetxt() writes it.
 */

typedef struct plk_integers {
    pluck_allocator allocator;
    plk_source source;
    uint64_t n;
    plk_shape shape; /* text that is not an array of arrays has one axis */
    int64_t *values; /* of a text; NULL: the values are in the source */
    uint64_t offset_bytes;
    plk_stored_integers type;
} plk_integers;

/* Opens path, or standard input for "-": O(1) for a file in .npy, which is mapped; text and streams
 * (of at most 1 GiB, gzip files unpacked) are read whole. On failure nothing is held. */
pluck_status plk_integers_open(plk_integers *integers, const char *path,
                               const pluck_allocator *allocator, pluck_error *err);

/* The same of bytes in memory that outlive integers, as a file or as a stream that gives a few
 * bytes at a time. name stands for the path in messages. */
pluck_status plk_integers_open_memory(plk_integers *integers, const char *name, const void *bytes,
                                      size_t size_bytes, bool streamed,
                                      const pluck_allocator *allocator, pluck_error *err);

void plk_integers_close(plk_integers *integers);

/* Integers first to first + n - 1, which must exist, whatever their shape: the last axis varies
 * fastest. One of 2^63 or more is PLUCK_ERR_FORMAT. Many threads may read at once. */
pluck_status plk_integers_read(plk_integers *integers, uint64_t first, size_t n, int64_t *values,
                               pluck_error *err);

/* The value at bytes, which need not be aligned; *is_large: it is 2^63 or more. */
int64_t plk_integer_at(const uint8_t *bytes, const plk_stored_integers *type, bool *is_large);

/*
 * .safetensors files: reading the header, which says where each tensor is, and writing.
 *
 * Byte by byte (Hugging Face, "safetensors format"): the length n of the header (8 bytes,
 * little-endian); n bytes of JSON, {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets":
 * [begin, end]}, ..., "__metadata__": {"key": "value", ...}}, which may be padded with spaces; then
 * the data, where the offsets count from. The tensors cover the data without gap or overlap.
 */

enum {
    PLK_SAFETENSORS_PREFIX_BYTES = 8,
    PLK_SAFETENSORS_MAX_HEADER_BYTES = 100 * 1000 * 1000, /* the limit of the format */
    PLK_SAFETENSORS_MAX_VALUES = 1 << 20 /* JSON values: what a hostile header costs in memory */
};

typedef struct plk_safetensors_entry {
    const char *name;
    const char *dtype;
    const plk_json_node *shape;
    size_t n_axes;
    uint64_t begin, end; /* bytes from the beginning of the data */
} plk_safetensors_entry;

typedef struct plk_safetensors_header {
    plk_json json; /* owns the strings of the entries; its text is not kept */
    plk_safetensors_entry *entries;
    size_t n_entries;
    uint64_t data_size_bytes; /* the data is the end of the file */
} plk_safetensors_header;

/* Whether a file that begins so may be one: a length below 4 GiB and an opening brace. */
bool plk_safetensors_has_prefix(const uint8_t *bytes, size_t size_bytes);

/* Reads and checks all of it; bytes is the whole file. Entries come in the order of their names. On
 * failure nothing is held. */
pluck_status plk_safetensors_header_parse(plk_safetensors_header *header, const uint8_t *bytes,
                                          uint64_t size_bytes, const char *where,
                                          const pluck_allocator *allocator, pluck_error *err);

void plk_safetensors_header_free(plk_safetensors_header *header, const pluck_allocator *allocator);

/* Whether the dtype of the entry can be read, and as what. */
bool plk_safetensors_type(const plk_safetensors_entry *entry, plk_stored_type *type);

/* The shape of an entry that has been checked. */
void plk_safetensors_shape(const plk_safetensors_entry *entry, plk_shape *shape);

/* What "__metadata__" says under this key; NULL if nothing. */
const char *plk_safetensors_read_note(const plk_safetensors_header *header, const char *key);
bool plk_safetensors_note_is(const plk_safetensors_header *header, const char *key,
                             const char *value);

/* Where the values of an entry are, in the file that the header is of. */
const uint8_t *plk_safetensors_data(const plk_safetensors_header *header, const plk_source *source,
                                    const plk_safetensors_entry *entry);

/* Writing. */
enum { PLK_SAFETENSORS_NAME_BYTES = 48 };

/* A tensor of up to two axes. Names and dtypes are plain ASCII without quotes. */
typedef struct plk_safetensors_tensor {
    char name[PLK_SAFETENSORS_NAME_BYTES];
    const char *dtype; /* a name of the format: "F32", "I32" */
    uint32_t n_axes;
    uint64_t axes[2];
    const void *data; /* little-endian, one row after the other */
    size_t size_bytes;
} plk_safetensors_tensor;

/* One of n_rows rows of n_cols values; n_cols 0: one axis of n_rows values. */
plk_safetensors_tensor plk_safetensors_tensor_of(const char *name, const char *dtype,
                                                 const void *data, uint64_t n_rows,
                                                 uint64_t n_cols);

/* A key and a value of "__metadata__"; plain ASCII without quotes. */
typedef struct plk_safetensors_note {
    const char *key, *value;
} plk_safetensors_note;

/* Writes the tensors in this order, the first one at a multiple of 64 bytes. Where path
 * leads, and when the file appears, file.h says. */
pluck_status plk_safetensors_write(const char *path, const plk_safetensors_note *notes,
                                   size_t n_notes, const plk_safetensors_tensor *tensors,
                                   size_t n_tensors, const pluck_allocator *allocator,
                                   pluck_error *err);

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
