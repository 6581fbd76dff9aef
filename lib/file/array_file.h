/*
 * Arrays in files: values as they are stored and as pluck_dump_read() gives them, shapes, the
 * header of .npy, arrays of integers.
 */
#ifndef PLK_ARRAY_FILE_H
#define PLK_ARRAY_FILE_H

#include "file/file.h"

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

#endif
