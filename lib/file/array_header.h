/*
 * The header of an .npy array, wherever one is stored.
 *
 * Byte by byte (NumPy's "NPY format", numpy.lib.format): "\x93NUMPY", major version, minor version,
 * the length of the text (2 bytes in 1.0, 4 in 2.0 and 3.0, little-endian), and the text: a Python
 * dictionary {'descr': type, 'fortran_order': True or False, 'shape': tuple}, padded with spaces,
 * ended by a newline. The values follow.
 */
#ifndef PLK_ARRAY_HEADER_H
#define PLK_ARRAY_HEADER_H

#include <pluck/base.h>

#include "file/convert.h"
#include "file/shape.h"
#include "file/source.h"

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

/* From the first PLK_NPY_PREFIX_BYTES bytes, or as many as there are: how many bytes prefix and
 * text have together, and where the text begins. */
pluck_status plk_npy_header_size(const uint8_t *bytes, size_t size_bytes, const char *where,
                                 size_t *text_offset, size_t *header_size_bytes, pluck_error *err);

/* The text: bytes [text_offset, header_size_bytes) of the header. */
pluck_status plk_npy_header_fields(const uint8_t *header, size_t text_offset,
                                   size_t header_size_bytes, const char *where,
                                   plk_npy_fields *fields, pluck_error *err);

/* The whole header of the array with which source begins: what it says, and how many bytes it has.
 * Nothing of a stream is read, only peeked at. fields->descr is valid until source is read. */
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

#endif
