/*
 * The functions that readers of one matrix share, so that such a reader is a header parser alone.
 */
#include "dump/reader.h"

#include "base/alloc.h"

pluck_status pl_reader_matrix_read(pluck_dump *dump, uint64_t row, float *scratch,
                                   pluck_dump_row *out, pluck_error *err)
{
    return pl_matrix_read(&dump->matrix, &dump->source, row, scratch, &out->logits, err);
}

void pl_reader_matrix_release(pluck_dump *dump, uint64_t row)
{
    pl_matrix_release(&dump->matrix, &dump->source, row);
}

void pl_reader_matrix_close(pluck_dump *dump)
{
    pl_free(&dump->allocator, dump->tensor);
    dump->tensor = NULL;
}

void pl_reader_matrix_info(pluck_dump *dump)
{
    dump->info.n_rows = dump->matrix.n_rows;
    dump->info.n_vocab = dump->matrix.n_vocab;
    dump->info.dtype = pl_stored_dtype(dump->matrix.type);
    dump->info.stored_dtype = dump->matrix.stored_dtype;
    dump->info.tensor = dump->tensor;
    dump->info.n_axes = dump->matrix.shape.n_axes;
    dump->info.axes = dump->matrix.shape.n_axes > 0 ? dump->matrix.shape.axes : NULL;
}
