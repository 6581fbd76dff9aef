/*
 * Rows of tensors in a file that names them: read, release and close of the readers of .npz,
 * .safetensors and torch files, whose open() lists the tensors.
 */
#ifndef PL_TENSOR_ROWS_H
#define PL_TENSOR_ROWS_H

#include "dump/reader.h"
#include "dump/tensors.h"

/* Chooses among tensors, which stay the caller's, and opens what was chosen: matrix, tensor, info
 * and own of dump. After a failure pl_tensor_rows_close() is called all the same. */
pluck_status pl_tensor_rows_open(pluck_dump *dump, const pl_tensors *tensors,
                                 const pluck_dump_options *options, pluck_error *err);

pluck_status pl_tensor_rows_read(pluck_dump *dump, uint64_t row, float *scratch,
                                 pluck_dump_row *out, pluck_error *err);
void pl_tensor_rows_release(pluck_dump *dump, uint64_t row);
void pl_tensor_rows_close(pluck_dump *dump);

#endif
