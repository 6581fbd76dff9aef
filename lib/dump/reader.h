/*
 * What a dump format is: one reader a file, one line each in the registry of dump.c. A new format
 * needs nothing else (and its name in pluck_dump_format).
 */
#ifndef PLK_READER_H
#define PLK_READER_H

#include <pluck/dump.h>

#include "dump/matrix.h"
#include "file/file.h"

/* Bytes of a stream that every sniff() gets, unless it is shorter; no more than a stream of any
 * format may end with. Of a file it gets all bytes. */
enum { PLK_SNIFF_BYTES = 12 };

typedef struct plk_dump_reader {
    pluck_dump_format format;
    const char *name;       /* of the format, as pluck_dump_format_name() gives it */
    const char *recognised; /* for the message that lists what is read: name and how it begins */
    bool has_tensors;       /* pluck_dump_options.tensor means something */

    /* Whether a file that begins so is of this format; AUTO takes the first that says so. */
    bool (*sniff)(const uint8_t *bytes, size_t size_bytes, const pluck_dump_options *options);

    /* Reads the header. Sets info (all but format and streamed) and what read() needs. After a
     * failure close() is called all the same. */
    pluck_status (*open)(pluck_dump *dump, const pluck_dump_options *options, pluck_error *err);

    /* One row; out->target is PLUCK_NO_TOKEN before. */
    pluck_status (*read)(pluck_dump *dump, uint64_t row, float *scratch, pluck_dump_row *out,
                         pluck_error *err);
    void (*release)(pluck_dump *dump, uint64_t row);
    void (*close)(pluck_dump *dump);

    /* NULL: the format has no texts of tokens. The contract of pluck_dump_token_text(). */
    const char *(*token_text)(const pluck_dump *dump, pluck_token token, size_t *length);
} plk_dump_reader;

struct pluck_dump {
    pluck_allocator allocator;
    const plk_dump_reader *reader;
    pluck_dump_info info;
    plk_source source;
    plk_matrix matrix; /* of readers whose rows are one matrix of fixed-size values */
    char *tensor;      /* its name; the reader's */
    void *own;         /* what else the reader keeps; its close() frees it */
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

/* read, release and close of readers that have a matrix, and its share of info. */
pluck_status plk_reader_matrix_read(pluck_dump *dump, uint64_t row, float *scratch,
                                    pluck_dump_row *out, pluck_error *err);
void plk_reader_matrix_release(pluck_dump *dump, uint64_t row);
void plk_reader_matrix_close(pluck_dump *dump);
void plk_reader_matrix_info(pluck_dump *dump);

/* As pluck_dump_open(), of bytes in memory that outlive the dump, as a file or as a stream that
 * gives a few bytes at a time. name stands for the path in messages. */
pluck_status plk_dump_open_memory(pluck_dump **out, const char *name, const void *bytes,
                                  size_t size_bytes, bool streamed,
                                  const pluck_dump_options *options, pluck_error *err);

#endif
