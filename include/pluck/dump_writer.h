/*
 * Writing logit dumps, row by row, in constant memory. The file appears under its name only when it
 * is complete: it is written next to it, and renamed by pluck_dump_writer_finish().
 *
 * Formats
 *   PLUCK_DUMP_NPY          version 1.0, little-endian, C order: '<f4', '<f2', or '<V2' for
 *                           bfloat16, which NumPy has no type for (ml_dtypes: .view(bfloat16)).
 *   PLUCK_DUMP_SAFETENSORS  one tensor, F32, F16 or BF16.
 *   PLUCK_DUMP_JSONL        {"logits":[...]} a line, and "target" where there is one; each number
 *                           in as few digits as read back to the same float; -inf is null, and NaN
 *                           and +inf, which JSON does not have, are PLUCK_ERR_NAN.
 */
#ifndef PLUCK_DUMP_WRITER_H
#define PLUCK_DUMP_WRITER_H

#include <pluck/base.h>
#include <pluck/dump.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pluck_dump_writer pluck_dump_writer;

/* The strings are needed only during the call that takes them. */
typedef struct pluck_dump_writer_options {
    pluck_dump_format format; /* one of the above */
    pluck_dtype dtype; /* of the values that are stored; JSON lines: they are rounded to it */
    uint32_t n_vocab;  /* values a row, 1 to PLUCK_MAX_VOCAB */

    /* How many rows will come, or PLUCK_DUMP_ROWS_UNKNOWN. A pipe needs it for .npy and
     * .safetensors, whose headers say it. */
    uint64_t n_rows;

    const char *tensor;       /* .safetensors: the name of the tensor; NULL: "logits" */
    const char *targets_path; /* NULL, or a file for the targets too: .npy, '<i4', -1 for none */
    const pluck_allocator *allocator; /* NULL: malloc and free; must outlive the writer */

    /* .npy, .safetensors: the axes of the rows, whose product is n_rows, the last varying fastest;
     * NULL: one axis, which also stands for more than their headers have room for. Needed only
     * during the call. */
    const uint64_t *row_axes;
    size_t n_row_axes;
} pluck_dump_writer_options;

/* Begins a file at path; "-" is standard output. Pipes and devices are written in place, links are
 * followed, and a file that is replaced keeps its mode. path and targets_path must not be the same
 * file; either may be one that an open dump maps. On failure *out is NULL and there is no new file.
 */
PLUCK_API pluck_status pluck_dump_writer_create(pluck_dump_writer **out, const char *path,
                                                const pluck_dump_writer_options *options,
                                                pluck_error *err);

/*
 * The next row: row->logits of n_vocab values of any type, rounded to the nearest value of the type
 * that is stored (ties to even; beyond its range an infinity), and row->target. After
 * PLUCK_ERR_INVALID and PLUCK_ERR_NAN nothing has been written and the next row may follow; after
 * PLUCK_ERR_IO every further call fails.
 */
PLUCK_API pluck_status pluck_dump_writer_write(pluck_dump_writer *writer, const pluck_dump_row *row,
                                               pluck_error *err);

/* Completes both files, then gives them their names, the targets first; if one is left without its
 * name, the message says so of the other. At least one row must have
 * been written, and as many as n_rows said. Then the writer can only be destroyed. */
PLUCK_API pluck_status pluck_dump_writer_finish(pluck_dump_writer *writer, pluck_error *err);

/* Removes what was not finished. NULL and a pointer to NULL are allowed. */
PLUCK_API void pluck_dump_writer_destroy(pluck_dump_writer **writer);

/* The paths of the unfinished files, number index = 0 for the rows and 1 for the targets, for
 * programs that remove them when they are killed; NULL if there is none. Valid until finish or
 * destroy. */
PLUCK_API const char *pluck_dump_writer_unfinished(const pluck_dump_writer *writer, unsigned index);

#ifdef __cplusplus
}
#endif

#endif
