/*
 * The tensors of a file that names them, which of them are the logits, and the rows of those: read,
 * release and close of the readers of .npz, .safetensors and torch files, whose open() lists the
 * tensors.
 */
#ifndef PLK_TENSOR_ROWS_H
#define PLK_TENSOR_ROWS_H

#include "dump/reader.h"
#include "file/array_file.h"
#include "file/zip.h"

#include <pluck/base.h>

typedef enum plk_tensor_kind {
    PLK_TENSOR_OTHER,
    PLK_TENSOR_FLOATS,
    PLK_TENSOR_INTEGERS
} plk_tensor_kind;

typedef struct plk_tensor {
    const char *name; /* not terminated; the file's, or memory of the list */
    size_t name_length;
    plk_tensor_kind kind;
    plk_stored_values floats;     /* PLK_TENSOR_FLOATS; floats.name is set for every kind */
    plk_stored_integers integers; /* PLK_TENSOR_INTEGERS */
    bool fortran;
    bool has_gaps; /* not contiguous: it cannot be read */
    plk_shape shape;
    bool is_member; /* of a ZIP file: member says which */
    plk_zip_member member;
    uint64_t offset_bytes;    /* of the first value, in the file or in the unpacked member */
    uint64_t available_bytes; /* from there on */
} plk_tensor;

typedef struct plk_tensors {
    const char *where; /* the file, for messages */
    const char *noun;  /* "tensor", "array" */
    plk_tensor *items;
    size_t n, capacity;
    char *names; /* memory of names, if the file does not hold them */
    pluck_allocator allocator;
} plk_tensors;

/* Adds a tensor, all zero. NULL: out of memory. Valid until the next call. */
plk_tensor *plk_tensors_add(plk_tensors *tensors, pluck_error *err);
void plk_tensors_free(plk_tensors *tensors);

/*
 * Chooses the logits. wanted is the name of a tensor, or the common name of numbered ones, without
 * the number. NULL means the tensor called "logits". If there is none, it means the only tensor of
 * floats with at least two axes, or else the only one with one axis. Tensors of one type and shape
 * whose names differ only in the number at the end, from 0 or 1 on without a gap, count as one, and
 * each is a step. "logits" and "scores" with numbers are recognised next to other tensors.
 *
 * *parts, which the caller frees, are the indices in the order of the steps. PLUCK_ERR_INVALID if
 * wanted does not exist, PLUCK_ERR_FORMAT if no tensor or several may be meant. The type of a
 * wanted tensor is not checked.
 */
pluck_status plk_tensors_choose(const plk_tensors *tensors, const char *wanted, size_t **parts,
                                size_t *n_parts, pluck_error *err);

/* The tensor of integers called "targets" or "target"; NULL if there is none. */
const plk_tensor *plk_tensors_targets(const plk_tensors *tensors);

/* Rows of one tensor among several. */
typedef struct plk_tensor_part {
    uint64_t offset_bytes; /* of the first value: in the file, or in what the member unpacks to */
    bool is_member;
    plk_zip_member member;
    _Atomic uint64_t crc_row; /* the next row of the running checksum */
    uint32_t crc;
} plk_tensor_part;

/* pluck_dump.own of these readers. */
typedef struct plk_tensor_rows {
    plk_tensor_part *parts;
    size_t n_parts;
    uint64_t rows_per_part;
    plk_shape shape;      /* of all parts */
    pluck_token *targets; /* NULL: none */

    /* Of deflated parts: the stream of the one that is being read. */
    bool is_packed, is_open;
    size_t current;
    plk_row_layout layout;
    plk_zip_stream stream;
    plk_source unpacked;
} plk_tensor_rows;

/* Chooses the logits, and sets layout, tensor, info and own of dump. The caller keeps tensors, and
 * calls plk_tensor_rows_close() after a failure too. */
pluck_status plk_tensor_rows_open(pluck_dump *dump, const plk_tensors *tensors,
                                  const pluck_dump_options *options, pluck_error *err);

pluck_status plk_tensor_rows_read(pluck_dump *dump, uint64_t row, float *scratch,
                                  pluck_dump_row *out, pluck_error *err);
void plk_tensor_rows_release(pluck_dump *dump, uint64_t row);
void plk_tensor_rows_close(pluck_dump *dump);

#endif
