/*
 * Logit dumps: a matrix of logits [n_rows, n_vocab] in a file that other tools write. The format is
 * recognised by content, never by name. Files are memory-mapped: opening costs O(1) (JSON lines:
 * one reading), and reading any number of rows takes constant memory. A file that another process
 * shortens while it is open raises SIGBUS, as any mapped file does.
 *
 * Formats
 *   .npy         versions 1.0 to 3.0; f4, f2 and f8 in both byte orders, bfloat16 (stored as <V2,
 *                |V2 or bfloat16); C and Fortran order; 1-D is one row, the leading axes of more
 *                than 2-D are flattened into rows. Fortran order is slow: each row is gathered from
 *                the whole file, of which at most 512 MiB stay resident.
 *   .safetensors F32, F16, BF16 and F64; one tensor of the file, axes as for .npy.
 *   torch        tensors in a file of torch.save() (PyTorch 1.6 and later), alone or in dicts and
 *                lists: f32, f16, bf16 and f64, contiguous. Its pickle is read and never executed.
 *   .npz         an .npy array in a ZIP file, named or the only one that can be meant, stored or
 *                deflated (if the library has zlib); zip64. Checksums are compared: of a deflated
 *                array when its last row is read; of a stored one of up to 64 MiB when it is
 *                opened, of a larger one when its last row is read, if all rows were read in
 *                order. A deflated array is unpacked from front to back: info.streamed.
 *   llama-kl     the base file of llama.cpp's KL-divergence measurement (llama-perplexity
 *                --kl-divergence-base): rows are log-probabilities in steps of 1/65535 of their
 *                range, cut 16 below the largest; targets from the text that is in the file.
 *   JSON lines   {"logits": [...]} or {"logprobs": {"id": value, ...}} a line, and "target" if
 *                there is one. In an object the tokens that are not named have -inf, and
 *                raw_n_vocab says how many there are; null is -inf. Numbers are rounded to double,
 *                then to float.
 *   json         lists of numbers, in lists or not, also under "logits" of an object, and the
 *                log-probabilities in answers of servers: OpenAI's (chat, completions, responses)
 *                and vLLM's logprobs, vLLM's prompt_logprobs, llama-server's
 *                completion_probabilities, ollama's. Each position is a row of the tokens that it
 *                names; what came is the target. Tokens without ids are numbered in the order in
 *                which their texts appear. The whole text is scanned when it is opened; a stream is
 *                read whole, up to 1 GiB. tensor chooses among rows of several kinds.
 *   text         CSV, TSV or numbers with white space between them, one row per line, or one number
 *                per line, which is one row; names of columns, a column of row numbers and one of
 *                targets are recognised. A stream is read whole, up to 1 GiB.
 *   raw          rows of little-endian values and nothing else; the options say what they are.
 *
 * Several tensors of one type and shape whose names differ only in the number at their end, arr_0,
 * arr_1, ... or scores.0, scores.1, ..., are the rows of consecutive steps. A tensor of integers
 * that is called targets or target and has the shape of the rows holds the targets.
 *
 * Any of these may be packed by gzip, if the library has zlib: it is unpacked into memory, up to
 * 1 GiB.
 *
 * A file must have exactly the bytes that its header declares, at least one row, and 1 to
 * PLUCK_MAX_VOCAB values a row. Values are not looked at: NaN is the sampler's to refuse.
 *
 * Streams: "-", pipes and whatever else is no regular file are read once, from front to back, as
 * .npy in C order, llama-kl, JSON lines or raw. Rows can be read only in ascending order, one
 * thread at a time. Reading the last row of an .npy or llama-kl stream waits for the end of the
 * stream, because a byte that follows is an error.
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
    PLUCK_DUMP_RAW = 3,
    PLUCK_DUMP_NPZ = 4,
    PLUCK_DUMP_LLAMA_KL = 5,
    PLUCK_DUMP_JSONL = 6,
    PLUCK_DUMP_TORCH = 7,
    PLUCK_DUMP_TEXT = 8,
    PLUCK_DUMP_JSON = 9
} pluck_dump_format;

/* "auto", "npy", "safetensors", "raw", "npz", "llama-kl", "jsonl", "torch", "text", "json"; NULL
 * for a value that is not in the enumeration. */
PLUCK_API const char *pluck_dump_format_name(pluck_dump_format format);

/* The strings are needed only during the call. */
typedef struct pluck_dump_options {
    size_t struct_size; /* PLUCK_INIT(pluck_dump_options) */
    pluck_dump_format format;

    /* .safetensors, torch, .npz: which tensor (.npz: which array, without the .npy of its member),
     * or the name of several without the numbers at its end. NULL: the one called logits; else, of
     * those whose type can be read, the only one with two axes or more, else the only one with one
     * axis; an error that lists them if there are several. With a format whose tensors have no
     * names: PLUCK_ERR_INVALID. */
    const char *tensor;

    pluck_dtype raw_dtype; /* raw: type of the values; f16 and bf16 also say what 16-bit integers of
                            * the formats above are, which NumPy users store bfloat16 in */
    uint32_t raw_n_vocab; /* raw: values a row; 0: not a raw file. JSON lines: values a row, or 0 */

    /* NULL: malloc and free. Must outlive the dump. The parser of .safetensors headers uses malloc
     * in any case, for what it frees before the call returns. */
    const pluck_allocator *allocator;

    /* Files are mapped. Reading a row of a mapped file that has become shorter meanwhile ends the
     * process with SIGBUS, and a network file system may do so whenever it likes. With no_map the
     * whole file is read into memory of the allocator instead: then nothing that happens to it
     * later matters, and a file that becomes shorter while it is read is PLUCK_ERR_IO. */
    bool no_map;
} pluck_dump_options;

/* Opens path, or standard input for "-". options may be NULL. A missing tensor is
 * PLUCK_ERR_INVALID. On failure *out is NULL. Opening a named pipe waits for its writer. */
PLUCK_API pluck_status pluck_dump_open(pluck_dump **out, const char *path,
                                       const pluck_dump_options *options, pluck_error *err);

/* NULL and a pointer to NULL are allowed. Rows that were read in place are gone. Standard input
 * stays open. */
PLUCK_API void pluck_dump_destroy(pluck_dump **dump);

#define PLUCK_DUMP_ROWS_UNKNOWN UINT64_MAX

/* What a dump holds. tensor is NULL unless the format names its tensors. */
typedef struct pluck_dump_info {
    size_t struct_size; /* PLUCK_INIT(pluck_dump_info) */
    pluck_dump_format format;
    uint64_t n_rows; /* PLUCK_DUMP_ROWS_UNKNOWN for a stream of raw values or JSON lines */
    uint32_t n_vocab;
    pluck_dtype dtype;        /* of the rows that pluck_dump_read() gives  */
    const char *stored_dtype; /* as stored: "<f4", "BF16", …; valid while the dump is open */
    const char *tensor;
    bool streamed;    /* rows only in ascending order */
    bool has_targets; /* pluck_dump_read() gives targets; JSON lines: of the first row */
    bool is_sparse;   /* the first row names some tokens only: all others are -inf */

    /* The array as it is stored, if the format has one: its last axis is the vocabulary, the others
     * are rows, the last of them varying fastest. llama-kl: chunks, rows of a chunk, vocabulary. 0
     * and NULL for other formats. Valid while the dump is open. */
    size_t n_axes;
    const uint64_t *axes;
    size_t n_tensors; /* how many follow each other as steps, named "first to last"; 0: no names */
} pluck_dump_info;

/* Fills in *info. */
PLUCK_API pluck_status pluck_dump_get_info(const pluck_dump *dump, pluck_dump_info *info,
                                           pluck_error *err);

/* A row, and what the dump knows of its place in the text: the token that really came next, whose
 * logit is among these. */
typedef struct pluck_dump_row {
    size_t struct_size; /* PLUCK_INIT(pluck_dump_row) */
    pluck_logits logits;
    pluck_token target; /* PLUCK_NO_TOKEN: none, or it is not known */
} pluck_dump_row;

/*
 * Row row in *out. If the stored values are usable as they are (not f8, in the byte order of this
 * machine, in C order, not streamed, not llama-kl or JSON lines), out->logits.data points into the
 * file, at any alignment, and stays valid until the dump is closed; scratch may then be NULL. Else
 * the row is copied into scratch (n_vocab floats, the caller's, one a thread) and out->logits.data
 * = scratch. f8 values are rounded to the nearest float, whatever the rounding mode of the calling
 * thread is; one beyond the range of float becomes an infinity. All other values keep their bits.
 *
 * Many threads may read one dump at once unless it is streamed. row >= n_rows: PLUCK_ERR_INVALID. A
 * target is below n_vocab, else the file is PLUCK_ERR_FORMAT. On failure *out is unchanged.
 *
 * On a streamed dump: a row before the next unread one is PLUCK_ERR_INVALID; rows between are
 * skipped; when a stream of unknown length has ended the status is PLUCK_OK and out->logits.data is
 * NULL. After PLUCK_ERR_FORMAT or PLUCK_ERR_IO every further read fails with the same status.
 */
PLUCK_API pluck_status pluck_dump_read(pluck_dump *dump, uint64_t row, float *scratch,
                                       pluck_dump_row *out, pluck_error *err);

/* The text of a token and in *length (or NULL) its bytes, in a format whose rows name tokens by
 * texts and not by ids: the answers of servers in JSON. NULL: it has none, or there is no such
 * token. Valid while the dump is open. */
PLUCK_API const char *pluck_dump_token_text(const pluck_dump *dump, pluck_token token,
                                            size_t *length);

/*
 * Rows before row will not be read again soon: their pages may leave memory. They can still be
 * read, and pointers to them stay valid. Calling it is optional (of a large file, only the 32 MiB
 * that were read last stay resident anyway) and cheap enough for every row. Any thread may call it
 * at any time; on streams and in Fortran order it does nothing.
 */
PLUCK_API void pluck_dump_release(pluck_dump *dump, uint64_t row);

/*
 * Targets in a file of their own, one per row: an .npy array of integers of 1, 2, 4 or 8 bytes in
 * either byte order (mapped, O(1) to open; the last of several axes varies fastest), or text:
 * whole numbers with white space or commas between them, or a JSON array. A negative number is a
 * row without a target (PLUCK_NO_TOKEN); one of PLUCK_MAX_VOCAB or more is PLUCK_ERR_FORMAT.
 * Whether targets are below the n_vocab of a dump is for the caller to check.
 */
typedef struct pluck_targets pluck_targets;

/* Opens path, or standard input for "-". allocator as in pluck_dump_options. On failure *out is
 * NULL. Text and streams (of at most 1 GiB) are read whole. */
PLUCK_API pluck_status pluck_targets_open(pluck_targets **out, const char *path,
                                          const pluck_allocator *allocator, pluck_error *err);

/* NULL and a pointer to NULL are allowed. */
PLUCK_API void pluck_targets_destroy(pluck_targets **targets);

/* How many there are; 0 for NULL. */
PLUCK_API uint64_t pluck_targets_count(const pluck_targets *targets);

/* The number of axes that the file has, and in *axes (or NULL) their lengths, valid until the
 * targets are closed; text has one, JSON arrays in arrays have more. 0 for NULL. */
PLUCK_API size_t pluck_targets_axes(const pluck_targets *targets, const uint64_t **axes);

/* Targets first to first + n - 1; tokens has room for n. Many threads may read at once. Past the
 * last one: PLUCK_ERR_INVALID. On failure tokens is undefined. */
PLUCK_API pluck_status pluck_targets_read(pluck_targets *targets, uint64_t first, size_t n,
                                          pluck_token *tokens, pluck_error *err);

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

typedef struct pluck_dump_writer pluck_dump_writer;

/* The strings are needed only during the call that takes them. */
typedef struct pluck_dump_writer_options {
    size_t struct_size;       /* PLUCK_INIT(pluck_dump_writer_options) */
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
PLUCK_API const char *pluck_dump_writer_temporary(const pluck_dump_writer *writer, unsigned index);

#ifdef __cplusplus
}
#endif

#endif
