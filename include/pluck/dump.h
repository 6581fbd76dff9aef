/*
 * Logit dumps: a matrix of logits [n_rows, n_vocab] in a file that other tools write. The format is
 * recognised by content, never by name. Files are memory-mapped: opening costs O(1) and reading any
 * number of rows takes constant memory. A file that another process shortens while it is open
 * raises SIGBUS, as any mapped file does.
 *
 * Formats: .npy 1.0 to 3.0 (f4, f2, f8, bfloat16 as <V2; both byte orders, C and Fortran order; 1-D
 * is one row; leading axes of more than 2-D are flattened into rows), .safetensors (F32, F16, BF16,
 * F64), raw values (options say the type and n_vocab), and standard input (.npy in C order or raw),
 * which is streamed: its rows can be read only in ascending order.
 *
 * Errors: PLUCK_ERR_IO when the system refuses the file, PLUCK_ERR_FORMAT when the content is not
 * what its format says (the message has the path, the byte offset, what was found and what was
 * expected), PLUCK_ERR_INVALID for a caller's mistake.
 */
#ifndef PLUCK_DUMP_H
#define PLUCK_DUMP_H

#include <pluck/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pluck_dump pluck_dump;

typedef enum pluck_dump_format {
    /* By content; raw if raw_n_vocab says how, and nothing else fits. */
    PLUCK_DUMP_AUTO = 0,
    PLUCK_DUMP_NPY = 1,
    PLUCK_DUMP_SAFETENSORS = 2,
    PLUCK_DUMP_RAW = 3
} pluck_dump_format;

/* "auto", "npy", "safetensors", "raw"; NULL for a value outside the enumeration. */
PLUCK_API const char *pluck_dump_format_name(pluck_dump_format format);

/* All zero is a good default. */
typedef struct pluck_dump_options {
    pluck_dump_format format;
    const char *tensor;    /* safetensors: which tensor; NULL: the only 2-D one, or the only one  */
    pluck_dtype raw_dtype; /* raw: what the values are, little-endian                             */
    uint32_t raw_n_vocab;  /* raw: values a row; 0: not a raw file                                */
    const pluck_allocator
        *allocator; /* NULL: malloc; must outlive the dump                                 */
} pluck_dump_options;

/* Opens path, or standard input for "-". options may be NULL. On failure *out is NULL. */
PLUCK_API pluck_status pluck_dump_open(pluck_dump **out, const char *path,
                                       const pluck_dump_options *options, pluck_error *err);

PLUCK_API void pluck_dump_close(pluck_dump **dump);

#define PLUCK_DUMP_ROWS_UNKNOWN UINT64_MAX

/* What a dump holds. tensor is NULL unless the format names its tensors. */
typedef struct pluck_dump_info {
    pluck_dump_format format;
    uint64_t n_rows; /* PLUCK_DUMP_ROWS_UNKNOWN for a raw stream */
    uint32_t n_vocab;
    pluck_dtype dtype;        /* of the rows that pluck_dump_read() gives  */
    const char *stored_dtype; /* as stored: "<f4", "BF16", …; valid while the dump is open */
    const char *tensor;
    bool streamed; /* rows only in ascending order */
} pluck_dump_info;

PLUCK_API pluck_dump_info pluck_dump_get_info(const pluck_dump *dump);

/*
 * Row row in *logits. If the stored values are usable as they are, logits->data points into the
 * file and stays valid until the dump is closed; else the row is converted into scratch (n_vocab
 * floats, the caller's, one a thread) and logits->data = scratch. f8 values are rounded to float;
 * one beyond the range of float becomes an infinity. Many threads may read one dump at once unless
 * it is streamed. row >= n_rows: PLUCK_ERR_INVALID. On a streamed dump: a row before the next
 * unread one is PLUCK_ERR_INVALID; rows between are skipped; when the stream has ended
 * (PLUCK_DUMP_ROWS_UNKNOWN) the status is PLUCK_OK and logits->data is NULL.
 */
PLUCK_API pluck_status pluck_dump_read(pluck_dump *dump, uint64_t row, float *scratch,
                                       pluck_logits *logits, pluck_error *err);

/* Rows before row will not be read again soon: their pages may leave memory. They can still be
 * read. */
PLUCK_API void pluck_dump_release(pluck_dump *dump, uint64_t row);

#ifdef __cplusplus
}
#endif

#endif
