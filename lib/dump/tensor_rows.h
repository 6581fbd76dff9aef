/*
 * Rows of tensors in a file that names them: read, release and close of the readers of .npz,
 * .safetensors and torch files, whose open() lists the tensors.
 */
#ifndef PLK_TENSOR_ROWS_H
#define PLK_TENSOR_ROWS_H

#include "dump/reader.h"
#include "dump/tensors.h"

/* Chooses among tensors, which stay the caller's, and opens what was chosen: matrix, tensor, info
 * and own of dump. After a failure plk_tensor_rows_close() is called all the same. */
pluck_status plk_tensor_rows_open(pluck_dump *dump, const plk_tensors *tensors,
                                  const pluck_dump_options *options, pluck_error *err);

pluck_status plk_tensor_rows_read(pluck_dump *dump, uint64_t row, float *scratch,
                                  pluck_dump_row *out, pluck_error *err);
void plk_tensor_rows_release(pluck_dump *dump, uint64_t row);
void plk_tensor_rows_close(pluck_dump *dump);

#endif
