/*
 * The header of an .npy array, wherever one is stored.
 *
 * Byte by byte (NumPy's "NPY format", numpy.lib.format): "\x93NUMPY", major version, minor version,
 * the length of the text (2 bytes in 1.0, 4 in 2.0 and 3.0, little-endian), and the text: a Python
 * dictionary {'descr': type, 'fortran_order': True or False, 'shape': tuple}, padded with spaces,
 * ended by a newline. The values follow.
 */
#ifndef PL_ARRAY_HEADER_H
#define PL_ARRAY_HEADER_H

#include "dump/matrix.h"

enum {
    PL_NPY_MAGIC_BYTES = 6,
    PL_NPY_PREFIX_BYTES = 12, /* never more than the smallest header that is complete */
    PL_NPY_MAX_HEADER_BYTES = 1 << 20
};

/* What the dictionary says; the type is not looked at. */
typedef struct pl_npy_fields {
    const char *descr; /* in the header, not terminated */
    size_t descr_length, descr_offset;
    bool fortran;
    pl_shape shape;
} pl_npy_fields;

/* Whether the type begins with a byte order: '<', '>', '=' or '|'. */
bool pl_npy_has_order(const pl_npy_fields *fields);

bool pl_npy_has_magic(const uint8_t *bytes, size_t size_bytes);

/* From the first PL_NPY_PREFIX_BYTES bytes, or as many as there are: how many bytes prefix and text
 * have together, and where the text begins. */
pluck_status pl_npy_header_size(const uint8_t *bytes, size_t size_bytes, const char *where,
                                size_t *text_offset, size_t *header_size_bytes, pluck_error *err);

/* The text: bytes [text_offset, header_size_bytes) of the header. */
pluck_status pl_npy_header_fields(const uint8_t *header, size_t text_offset,
                                  size_t header_size_bytes, const char *where,
                                  pl_npy_fields *fields, pluck_error *err);

/* The same text as that of a matrix of logits: sets type, byte order, axis
 * order, stored_dtype and shape of *matrix, and what follows from them, but not offset_bytes. */
pluck_status pl_npy_header_parse(const uint8_t *header, size_t text_offset,
                                 size_t header_size_bytes, const char *where, pl_matrix *matrix,
                                 pluck_error *err);

#endif
