/*
 * The descriptor of a dump format, and what readers share: the layout of rows, the lines of a file,
 * targets. A new format is one file with a descriptor, one line in the registry of dump.c, and a
 * name in pluck_dump_format.
 */
#ifndef PLK_READER_H
#define PLK_READER_H

#include "file/array_file.h"
#include "file/file.h"

#include <pluck/base.h>
#include <pluck/dump.h>

/* How rows lie in a source whose values have a fixed size: what most formats come down to once
 * their header is read. */
typedef struct plk_row_layout {
    plk_stored_type type;
    bool swapped; /* not in the byte order of this machine */
    bool fortran; /* the first axis varies fastest */
    plk_shape shape;
    uint64_t n_rows; /* UINT64_MAX: until the stream ends */
    uint32_t n_vocab;
    uint64_t row_size_bytes;
    uint64_t offset_bytes; /* of the first value in the source */
    char stored_dtype[16]; /* as the file names it */

    uint64_t next_row; /* of a stream */
    bool ended;
    pluck_status failure; /* of an earlier read of the stream, which cannot go on */
} plk_row_layout;

/* Sets the shape and what follows from it: the last axis is the vocabulary, the others are rows.
 * type is set before. where names the thing in messages: a path, or a path and a tensor. */
pluck_status plk_layout_set_shape(plk_row_layout *layout, const plk_shape *shape, const char *where,
                                  pluck_error *err);

/* The header of the .npy array with which source begins: sets everything but offset_bytes. as: see
 * plk_npy_float_values(). */
pluck_status plk_layout_read_header(plk_row_layout *layout, plk_source *source, pluck_dtype as,
                                    const char *where, size_t *header_size_bytes, pluck_error *err);

/* Compares the bytes that all rows need with those that there are. */
pluck_status plk_layout_check_size(const plk_row_layout *layout, uint64_t available_bytes,
                                   const char *where, pluck_error *err);

/* One row that exists; the contract of pluck_dump_read(). */
pluck_status plk_layout_read(plk_row_layout *layout, plk_source *source, uint64_t row,
                             float *scratch, pluck_logits *logits, pluck_error *err);

/* Of a stream that stands before next_row, or whose reading has failed, whether row can be read. */
pluck_status plk_check_stream(const plk_source *source, pluck_status failure, uint64_t next_row,
                              uint64_t row, pluck_error *err);

/* PLUCK_ERR_INVALID: a row has to be copied. */
pluck_status plk_fail_scratch(const plk_source *source, pluck_error *err);

/* The contract of pluck_dump_release(). */
void plk_layout_release(const plk_row_layout *layout, plk_source *source, uint64_t row);

/* Where the lines of a file are: those that are not blank. */
typedef struct plk_lines {
    uint64_t begin_bytes; /* where the first line begins */
    uint8_t comment;      /* lines that begin with it count as blank; 0: none do */
    uint64_t n;
    uint64_t *places; /* of the lines 0, stride, 2 stride, ... */
    size_t n_places;
    uint64_t stride;
} plk_lines;

/* Reads the source, which is not a stream, once from begin_bytes on, and keeps the place of every
 * stride-th line. stride is a power of two that grows with the file, so that the index stays below
 * 1 MiB. After a failure only plk_lines_close() is allowed. */
pluck_status plk_lines_open(plk_lines *lines, plk_source *source, uint64_t begin_bytes,
                            uint8_t comment, pluck_error *err);

/* The bytes of a line without its newline; line < n. */
const uint8_t *plk_lines_find(const plk_lines *lines, plk_source *source, uint64_t line,
                              size_t *length);

/* The lines before line may leave memory. */
void plk_lines_release(const plk_lines *lines, plk_source *source, uint64_t line);

void plk_lines_close(plk_lines *lines, const pluck_allocator *allocator);

/* Every sniff() gets this many bytes of a stream, unless the stream is shorter, and all bytes of a
 * file. It is small, so that a short stream is not waited for. */
enum { PLK_SNIFF_BYTES = 12 };

typedef struct plk_dump_reader {
    pluck_dump_format format;
    const char *name;       /* of the format, as pluck_dump_format_name() gives it */
    const char *recognised; /* for the message that lists what is read: name and how it begins */
    bool has_tensors;       /* pluck_dump_options.tensor means something */
    bool needs_scratch;     /* no row is ever in place; read() gets rows of f32 */
    size_t own_bytes;       /* of pluck_dump.own, which is zero before open() */

    /* Whether a file that begins with these bytes has this format. AUTO takes the first reader that
     * returns true. */
    bool (*sniff)(const uint8_t *bytes, size_t size_bytes, const pluck_dump_options *options);

    /* Reads the header. Sets info (all but format and streamed) and what read() needs. After a
     * failure close() is called all the same. */
    pluck_status (*open)(pluck_dump *dump, const pluck_dump_options *options, pluck_error *err);

    /* One row that exists; out->target is PLUCK_NO_TOKEN before, and of readers that need scratch
     * out->logits is scratch. */
    pluck_status (*read)(pluck_dump *dump, uint64_t row, float *scratch, pluck_dump_row *out,
                         pluck_error *err);
    void (*release)(pluck_dump *dump, uint64_t row); /* NULL: nothing leaves memory */
    void (*close)(pluck_dump *dump);                 /* what own and dump->tensor hold */

    /* NULL: the format has no texts of tokens. The contract of pluck_dump_token_text(). */
    const char *(*token_text)(const pluck_dump *dump, pluck_token token, size_t *length);
} plk_dump_reader;

struct pluck_dump {
    pluck_allocator allocator;
    const plk_dump_reader *reader;
    pluck_dump_info info;
    plk_source source;
    plk_row_layout layout; /* of readers whose values all have one size */
    char *tensor;          /* its name; the reader's */
    void *own;             /* what else the reader keeps */
};

extern const plk_dump_reader plk_dump_npy;
extern const plk_dump_reader plk_dump_safetensors;
extern const plk_dump_reader plk_dump_torch;
extern const plk_dump_reader plk_dump_npz;
extern const plk_dump_reader plk_dump_llama_kl;
extern const plk_dump_reader plk_dump_json;
extern const plk_dump_reader plk_dump_jsonl;
extern const plk_dump_reader plk_dump_text;
extern const plk_dump_reader plk_dump_raw;

/* read, release and close of readers that have a layout, and its share of info. */
pluck_status plk_reader_layout_read(pluck_dump *dump, uint64_t row, float *scratch,
                                    pluck_dump_row *out, pluck_error *err);
void plk_reader_layout_release(pluck_dump *dump, uint64_t row);
void plk_reader_layout_close(pluck_dump *dump);
void plk_reader_layout_info(pluck_dump *dump);

/* As pluck_dump_open(), of bytes in memory that outlive the dump, as a file or as a stream that
 * gives a few bytes at a time. name stands for the path in messages. */
pluck_status plk_dump_open_memory(pluck_dump **out, const char *name, const void *bytes,
                                  size_t size_bytes, bool streamed,
                                  const pluck_dump_options *options, pluck_error *err);

/* As pluck_targets_open(), of bytes in memory that outlive the targets, as a file or as a stream
 * that gives a few bytes at a time. name stands for the path in messages. */
pluck_status plk_targets_open_memory(pluck_targets **out, const char *name, const void *bytes,
                                     size_t size_bytes, bool streamed,
                                     const pluck_allocator *allocator, pluck_error *err);

/* A value as a token: PLUCK_NO_TOKEN for a negative one; one that is too large is refused. index
 * and where are for the message. */
pluck_status plk_target_token(int64_t value, uint64_t index, const char *where, pluck_token *token,
                              pluck_error *err);

#endif
