/*
 * Logit dumps: files that other tools write, read as rows of n_vocab logits. Unless the options
 * name the format, the content of the file decides it, never its name. Files are mapped into
 * memory: opening takes constant time, and reading any number of rows takes constant memory, except
 * where the format says otherwise below. If another process shortens a mapped file, reading it
 * raises SIGBUS; see no_map below.
 *
 * Formats
 *   .npy         versions 1.0 to 3.0; f4, f2 and f8 in both byte orders, and bfloat16 (stored as
 *                <V2, |V2 or bfloat16); C and Fortran order. An array with one axis is one row. Of
 *                an array with more than two axes, the last axis is the vocabulary, and the others
 *                are flattened into rows. Fortran order is slow, because each row is gathered from
 *                the whole file; at most 512 MiB of the file stay resident.
 *   .safetensors F32, F16, BF16 and F64. The rows are one tensor of the file, or numbered ones (see
 *                below), with axes as in .npy. PLUCK_ERR_CONFIG if the library was built without
 *                JSON.
 *   torch        tensors in a file of torch.save() (PyTorch 1.6 and later), alone or in dicts and
 *                lists: f32, f16, bf16 and f64, contiguous. The pickle is read but never executed.
 *   .npz         one .npy array in a ZIP file (zip64 included), stored or, if the library has zlib,
 *                deflated. The checksum of a deflated array is compared when its last row is read.
 *                The checksum of a stored array is compared when the file is opened if the array
 *                has at most 64 MiB; otherwise when its last row is read, if all rows were read in
 *                order. A deflated array can only be read from front to back: info.streamed is
 *                true.
 *   llama-kl     the base file of llama.cpp's KL-divergence measurement (llama-perplexity
 *                --kl-divergence-base). Rows are log-probabilities in steps of 1/65535 of their
 *                range. llama.cpp raises values more than 16 below the largest one to the bottom of
 *                that range. Targets come from the text in the file.
 *   JSON lines   one row per line: {"logits": [...]} or {"logprobs": {"id": value, ...}}, and
 *                "target" if it is known. Opening takes one pass over the file. Tokens that
 *                "logprobs" does not name have the logit -inf; the option raw_n_vocab must then
 *                give the size of the vocabulary. null means -inf. Numbers are rounded to double,
 *                then to float.
 *   json         lists of numbers, nested or not, also under the key "logits" of an object; and the
 *                log-probabilities in answers of servers: those of OpenAI (chat, completions,
 *                responses), vLLM (logprobs, prompt_logprobs), llama-server
 *                (completion_probabilities) and ollama. Each position is a row of the tokens that
 *                it names, and the generated token is the target. Tokens without ids are numbered
 *                in the order in which their texts appear. The whole text is scanned when it is
 *                opened; a stream is read whole into memory, up to 1 GiB. If there are rows of
 *                several kinds, the option tensor chooses one.
 *   text         CSV, TSV or numbers between white space: one row per line, or one number per line,
 *                which is a single row. Column names, a column of row numbers and a column of
 *                targets are recognised. A stream is read whole into memory, up to 1 GiB.
 *   raw          little-endian values and nothing else. The options give their type and their
 *                number per row.
 *
 * Tensors of the same type and shape whose names differ only in the number at the end, such as
 * arr_0, arr_1, ... or scores.0, scores.1, ..., are consecutive steps: together they are the rows.
 * A tensor of integers named targets or target holds the targets if it has the axes of the logits
 * without the last one; otherwise it is ignored.
 *
 * A file or stream of any format may be compressed by gzip, if the library was built with zlib. It
 * is unpacked into memory when it is opened, up to 1 GiB, and then read like a file.
 *
 * A file must have exactly the bytes that its header declares, at least one row, and 1 to
 * PLUCK_MAX_VOCAB values per row. The values themselves are not checked here; a sampler refuses NaN
 * and +inf.
 *
 * Streams are "-", pipes and everything else that is not a regular file. A stream of .npy in C
 * order, llama-kl, JSON lines or raw is read once, from front to back: its rows can be read in
 * ascending order only, by one thread at a time. Reading the last row of an .npy or llama-kl stream
 * waits for the end of the stream, because a byte after the last row is an error.
 *
 * Errors: PLUCK_ERR_IO means that the operating system could not open or read the file.
 * PLUCK_ERR_FORMAT means that the content is not what its format demands; the message has the path,
 * the byte offset, what was found and what was expected. PLUCK_ERR_INVALID is a caller's mistake.
 */
#ifndef PLUCK_DUMP_H
#define PLUCK_DUMP_H

#include <pluck/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pluck_dump pluck_dump;

typedef enum pluck_dump_format {
    /* The content decides. Raw is taken only if raw_n_vocab is not 0 and no other format fits. */
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

/* "auto", "npy", "safetensors", "raw", "npz", "llama-kl", "jsonl", "torch", "text" or "json"; NULL
 * for a value outside the enumeration. */
PLUCK_API const char *pluck_dump_format_name(pluck_dump_format format);

/* The strings are borrowed for the call. */
typedef struct pluck_dump_options {
    size_t struct_size; /* PLUCK_INIT(pluck_dump_options) */
    pluck_dump_format format;

    /* .safetensors, torch, .npz: the name of the tensor (.npz: of the array, without ".npy"), or
     * the common name of numbered steps, without the number. NULL: the tensor named logits. If
     * there is none, the only readable tensor with at least two axes; if there is none of these
     * either, the only readable tensor with one axis. If several qualify, the call fails and the
     * message lists them. Must be NULL for a format whose tensors have no names, else
     * PLUCK_ERR_INVALID. */
    const char *tensor;

    /* raw: the type of the values. In the other formats, PLUCK_F16 or PLUCK_BF16 makes 16-bit
     * integers readable, as bits of that type: NumPy users store bfloat16 in integers. */
    pluck_dtype raw_dtype;

    /* Values per row; 0: not known. Raw values need it, and so do JSON lines with "logprobs". For
     * answers of servers (json) it is the size of the vocabulary, which by default just holds all
     * tokens that are named. Other json and text must have this number of values per row. */
    uint32_t raw_n_vocab;

    /* NULL: malloc and free. An allocator must outlive the dump. Headers of .safetensors are parsed
     * with malloc in any case; that memory is freed before the call returns. */
    const pluck_allocator *allocator;

    /* false: the file is mapped. Reading a row of a mapped file that has been shortened ends the
     * process with SIGBUS, and a network file system may raise it at any time. true: the whole file
     * is read into memory of the allocator, and later changes to the file do not matter; a file
     * that is shortened while it is read is PLUCK_ERR_IO. */
    bool no_map;
} pluck_dump_options;

/* Opens path, or standard input for "-". options may be NULL. A tensor that is not in the file is
 * PLUCK_ERR_INVALID. On failure *out is NULL. Opening a named pipe waits for its writer. */
PLUCK_API pluck_status pluck_dump_open(pluck_dump **out, const char *path,
                                       const pluck_dump_options *options, pluck_error *err);

/* dump may be NULL or point to NULL. Rows whose logits point into the file must not be used
 * afterwards. Standard input stays open. */
PLUCK_API void pluck_dump_destroy(pluck_dump **dump);

/* The number of rows of a stream whose header does not give it. */
#define PLUCK_DUMP_ROWS_UNKNOWN UINT64_MAX

/* What a dump holds. Pointers are valid while the dump is open. */
typedef struct pluck_dump_info {
    size_t struct_size; /* PLUCK_INIT(pluck_dump_info) */
    pluck_dump_format format;
    uint64_t n_rows; /* PLUCK_DUMP_ROWS_UNKNOWN for a stream of raw values or JSON lines */
    uint32_t n_vocab;
    pluck_dtype dtype;        /* of the rows that pluck_dump_read() gives */
    const char *stored_dtype; /* the type as the file names it: "<f4", "BF16", … */
    const char *tensor;       /* the name of the tensor; NULL if the format has no names */
    bool streamed;            /* rows can be read in ascending order only */
    bool has_targets;         /* rows have targets; JSON lines: the first row has one */
    bool is_sparse;           /* the first row names only some tokens; the others are -inf */

    /* The axes of the stored array, or 0 and NULL if the format has no array. The last axis is the
     * vocabulary; the other axes number the rows, and the last of those varies fastest. llama-kl
     * has the axes chunks, rows per chunk, vocabulary. */
    size_t n_axes;
    const uint64_t *axes;
    size_t n_tensors; /* the number of tensors that are consecutive steps (tensor is then "FIRST to
                       * LAST", with their names); 0 if the format has no names */
} pluck_dump_info;

/* Fills in *info, whose struct_size the caller has set. */
PLUCK_API pluck_status pluck_dump_get_info(const pluck_dump *dump, pluck_dump_info *info,
                                           pluck_error *err);

/* A row of logits, and its target: the token that followed in the text from which the row was
 * computed. */
typedef struct pluck_dump_row {
    size_t struct_size; /* PLUCK_INIT(pluck_dump_row) */
    pluck_logits logits;
    pluck_token target; /* below n_vocab; PLUCK_NO_TOKEN: there is none, or it is not known */
} pluck_dump_row;

/*
 * Reads one row; row is below n_rows. On failure *out is unchanged.
 *
 * If the stored values can be used as they are, out->logits.data points into the file, at any
 * alignment, and stays valid while the dump is open; scratch may be NULL. Otherwise the row is
 * copied to scratch, n_vocab floats of the caller, and out->logits.data is scratch. Values can be
 * used as they are in .npy, .npz, .safetensors, torch and raw files that are not streamed, if they
 * are f32, f16 or bf16, in the byte order of this machine and in C order. f8 values are rounded to
 * the nearest float, whatever the rounding mode of the thread; values beyond the range of float
 * become infinities. All other values keep their bits.
 *
 * Many threads may read one dump at once, each with its own scratch, unless the dump is streamed.
 *
 * Streamed dumps: rows can be skipped, but not read again; a row before the next unread one is
 * PLUCK_ERR_INVALID. If a stream of unknown length ends before this row, the status is PLUCK_OK and
 * out->logits.data is NULL. After PLUCK_ERR_FORMAT or PLUCK_ERR_IO, every further read fails with
 * the same status.
 *
 * Stored targets, in every format, streamed or not: a target of n_vocab or more is
 * PLUCK_ERR_FORMAT, here or in pluck_dump_open(). Any negative number means PLUCK_NO_TOKEN, but in
 * llama-kl it is PLUCK_ERR_FORMAT.
 */
PLUCK_API pluck_status pluck_dump_read(pluck_dump *dump, uint64_t row, float *scratch,
                                       pluck_dump_row *out, pluck_error *err);

/* Returns the text of a token, in a format whose rows name tokens by text and not by id (the
 * answers of servers in JSON). *length, unless length is NULL, becomes the number of bytes. Returns
 * NULL if the token has no text or is not below n_vocab. The text is valid while the dump is
 * open. */
PLUCK_API const char *pluck_dump_token_text(const pluck_dump *dump, pluck_token token,
                                            size_t *length);

/*
 * Says that rows before row will not be read again soon, so that their pages may leave memory.
 * Those rows can still be read, and pointers to them stay valid. The call is optional: even without
 * it, at most the 32 MiB of a large file that were read last stay resident. The call is cheap
 * enough to make it for every row. Any thread may make it at any time. On streams and in Fortran
 * order it does nothing.
 */
PLUCK_API void pluck_dump_release(pluck_dump *dump, uint64_t row);

/*
 * Targets in a file of their own, one for each row. The file is an .npy array of integers of 1, 2,
 * 4 or 8 bytes in either byte order, or text. An array is mapped and opened in constant time. Text
 * is whole numbers separated by white space or commas, or a JSON array. If there are several axes,
 * the last one varies fastest. A negative number means that the row has no target (PLUCK_NO_TOKEN).
 * A number of PLUCK_MAX_VOCAB or more is PLUCK_ERR_FORMAT. The caller checks that targets are below
 * the n_vocab of a dump.
 */
typedef struct pluck_targets pluck_targets;

/* Opens path, or standard input for "-". Text and streams are read whole into memory, up to 1 GiB.
 * allocator NULL: malloc and free; an allocator must outlive the targets. On failure *out is
 * NULL. */
PLUCK_API pluck_status pluck_targets_open(pluck_targets **out, const char *path,
                                          const pluck_allocator *allocator, pluck_error *err);

/* targets may be NULL or point to NULL. */
PLUCK_API void pluck_targets_destroy(pluck_targets **targets);

/* The number of targets; 0 for NULL. */
PLUCK_API uint64_t pluck_targets_count(const pluck_targets *targets);

/* Returns the number of axes; 0 if targets is NULL. *axes, unless axes is NULL, becomes a pointer
 * to their lengths, which is valid while the targets are open. Text has one axis; nested JSON
 * arrays have more. */
PLUCK_API size_t pluck_targets_axes(const pluck_targets *targets, const uint64_t **axes);

/* Writes n targets to tokens, beginning with target number first. PLUCK_ERR_INVALID if the file has
 * fewer than first + n targets. On failure the content of tokens is undefined. Many threads may
 * read the same targets at once. */
PLUCK_API pluck_status pluck_targets_read(pluck_targets *targets, uint64_t first, size_t n,
                                          pluck_token *tokens, pluck_error *err);

/*
 * Writing dumps, row by row, in constant memory. The rows go to a temporary file next to path;
 * pluck_dump_writer_finish() gives it its name when it is complete.
 *
 * Formats
 *   PLUCK_DUMP_NPY          version 1.0, little-endian, C order: '<f4', '<f2', or '<V2' for
 *                           bfloat16, for which NumPy has no type (ml_dtypes: .view(bfloat16)).
 *   PLUCK_DUMP_SAFETENSORS  one tensor, F32, F16 or BF16.
 *   PLUCK_DUMP_JSONL        {"logits":[...]} per line, with "target" where the row has one. Each
 *                           number has the fewest digits that read back to the same float. -inf is
 *                           null; NaN and +inf, which JSON does not have, are PLUCK_ERR_NAN.
 */
typedef struct pluck_dump_writer pluck_dump_writer;

/* Strings and row_axes are borrowed for the call. */
typedef struct pluck_dump_writer_options {
    size_t struct_size;       /* PLUCK_INIT(pluck_dump_writer_options) */
    pluck_dump_format format; /* PLUCK_DUMP_NPY, PLUCK_DUMP_SAFETENSORS or PLUCK_DUMP_JSONL */
    pluck_dtype dtype;        /* stored type; JSON lines: values are rounded to it */
    uint32_t n_vocab;         /* values per row, 1 to PLUCK_MAX_VOCAB */

    /* The number of rows to come, or PLUCK_DUMP_ROWS_UNKNOWN. If an .npy or .safetensors file goes
     * to a pipe, the number must be known, because it is in the header. */
    uint64_t n_rows;

    const char *tensor;       /* .safetensors: the name of the tensor; NULL: "logits" */
    const char *targets_path; /* .npy file for the targets, '<i4', -1: no target; NULL: no file */
    const pluck_allocator *allocator; /* NULL: malloc and free; must outlive the writer */

    /* .npy, .safetensors: the lengths of the axes that number the rows; the last axis varies
     * fastest, and the product of the lengths is n_rows. NULL: one axis of n_rows. If the header
     * has no room for all axes, one axis is written. */
    const uint64_t *row_axes;
    size_t n_row_axes;
} pluck_dump_writer_options;

/* Begins a file at path, or standard output for "-". Pipes and devices are written in place,
 * without a temporary file. Links are followed. A file that replaces an old one gets the mode of
 * the old one. path and targets_path must not lead to the same file; each may lead to a file that
 * an open dump maps. On failure *out is NULL, and no file is left on the disk. */
PLUCK_API pluck_status pluck_dump_writer_create(pluck_dump_writer **out, const char *path,
                                                const pluck_dump_writer_options *options,
                                                pluck_error *err);

/*
 * Writes the next row: n_vocab logits of any type, and the target. Logits are rounded to the
 * nearest value of the stored type, ties to even; values beyond its range become infinities. After
 * PLUCK_ERR_INVALID and PLUCK_ERR_NAN nothing has been written, and the next row may follow. After
 * PLUCK_ERR_IO every further call fails.
 */
PLUCK_API pluck_status pluck_dump_writer_write(pluck_dump_writer *writer, const pluck_dump_row *row,
                                               pluck_error *err);

/*
 * Several processes can write the rows of one file, if rows have a fixed size (.npy, .safetensors),
 * n_rows is known, and path is a regular file. One of them creates the writer and tells the others
 * the paths of pluck_dump_writer_temporary(). They join it with the same path and options. Each
 * process goes to the rows that it writes. When the others have finished, the first one does.
 */

/* Joins the writer of another process whose unfinished files are temporary[0] and, if there are
 * targets, temporary[1]. pluck_dump_writer_finish() then only sees to it that what this writer has
 * written is on the disk, and pluck_dump_writer_destroy() leaves the files. On failure *out is
 * NULL. */
PLUCK_API pluck_status pluck_dump_writer_join(pluck_dump_writer **out, const char *path,
                                              const char *const *temporary,
                                              const pluck_dump_writer_options *options,
                                              pluck_error *err);

/* The next row that is written is row number row, at most n_rows. From now on
 * pluck_dump_writer_finish() does not check that all rows have been written: that is left to the
 * caller. */
PLUCK_API pluck_status pluck_dump_writer_seek(pluck_dump_writer *writer, uint64_t row,
                                              pluck_error *err);

/* Completes both files and gives them their names, the targets first. If only one of them gets its
 * name, the message says which. At least one row must have been written and, if n_rows is known,
 * exactly n_rows. Afterwards the writer can only be destroyed. */
PLUCK_API pluck_status pluck_dump_writer_finish(pluck_dump_writer *writer, pluck_error *err);

/* Removes files that are not finished. writer may be NULL or point to NULL. */
PLUCK_API void pluck_dump_writer_destroy(pluck_dump_writer **writer);

/* The path of a temporary file (index 0: rows, 1: targets), for programs that remove it when a
 * signal ends them. NULL if there is none. Valid until finish or destroy. */
PLUCK_API const char *pluck_dump_writer_temporary(const pluck_dump_writer *writer, unsigned index);

#ifdef __cplusplus
}
#endif

#endif
