/*
 * The functions that readers of one matrix share, so that such a reader is a header parser alone.
 */
#include "dump/reader.h"

#include "base/alloc.h"

pluck_status plk_reader_matrix_read(pluck_dump *dump, uint64_t row, float *scratch,
                                    pluck_dump_row *out, pluck_error *err)
{
    return plk_matrix_read(&dump->matrix, &dump->source, row, scratch, &out->logits, err);
}

void plk_reader_matrix_release(pluck_dump *dump, uint64_t row)
{
    plk_matrix_release(&dump->matrix, &dump->source, row);
}

void plk_reader_matrix_close(pluck_dump *dump)
{
    plk_free(&dump->allocator, dump->tensor);
    dump->tensor = NULL;
}

void plk_reader_matrix_info(pluck_dump *dump)
{
    dump->info.n_rows = dump->matrix.n_rows;
    dump->info.n_vocab = dump->matrix.n_vocab;
    dump->info.dtype = plk_stored_dtype(dump->matrix.type);
    dump->info.stored_dtype = dump->matrix.stored_dtype;
    dump->info.tensor = dump->tensor;
    dump->info.n_axes = dump->matrix.shape.n_axes;
    dump->info.axes = dump->matrix.shape.n_axes > 0 ? dump->matrix.shape.axes : NULL;
}
