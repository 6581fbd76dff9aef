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
    size_t own_bytes;       /* of pluck_dump.own, which is zero before open(); 0: it has none */

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
    void (*close)(pluck_dump *dump); /* what own and dump->tensor hold; called with own only */

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

/* read and release of readers that have a layout, and its share of info. */
pluck_status plk_reader_layout_read(pluck_dump *dump, uint64_t row, float *scratch,
                                    pluck_dump_row *out, pluck_error *err);
void plk_reader_layout_release(pluck_dump *dump, uint64_t row);
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

/*
 * The tensors of a file that names them, which of them are the logits, and the rows of those: read,
 * release and close of the readers of .npz, .safetensors and torch files, whose open() lists the
 * tensors.
 */

typedef enum plk_tensor_kind {
    PLK_TENSOR_OTHER,
    PLK_TENSOR_FLOATS,
    PLK_TENSOR_INTEGERS
} plk_tensor_kind;

typedef struct plk_tensor {
    const char *name; /* not terminated; the file's, or memory of the list */
    size_t name_length;
    plk_tensor_kind kind;
    plk_stored_values floats;     /* PLK_TENSOR_FLOATS; floats.name is set for every kind */
    plk_stored_integers integers; /* PLK_TENSOR_INTEGERS */
    bool fortran;
    bool has_gaps; /* not contiguous: it cannot be read */
    plk_shape shape;
    bool is_member; /* of a ZIP file: member says which */
    plk_zip_member member;
    uint64_t offset_bytes;    /* of the first value, in the file or in the unpacked member */
    uint64_t available_bytes; /* from there on */
} plk_tensor;

typedef struct plk_tensors {
    const char *where; /* the file, for messages */
    const char *noun;  /* "tensor", "array" */
    plk_tensor *items;
    size_t n, capacity;
    char *names; /* memory of names, if the file does not hold them */
    pluck_allocator allocator;
} plk_tensors;

/* Adds a tensor, all zero. NULL: out of memory. Valid until the next call. */
plk_tensor *plk_tensors_add(plk_tensors *tensors, pluck_error *err);
void plk_tensors_free(plk_tensors *tensors);

/*
 * Chooses the logits. wanted is the name of a tensor, or the common name of numbered ones, without
 * the number. NULL means the tensor called "logits". If there is none, it means the only tensor of
 * floats with at least two axes, or else the only one with one axis. Tensors of one type and shape
 * whose names differ only in the number at the end, from 0 or 1 on without a gap, count as one, and
 * each is a step. "logits" and "scores" with numbers are recognised next to other tensors.
 *
 * *parts, which the caller frees, are the indices in the order of the steps. PLUCK_ERR_INVALID if
 * wanted does not exist, PLUCK_ERR_FORMAT if no tensor or several may be meant. The type of a
 * wanted tensor is not checked.
 */
pluck_status plk_tensors_choose(const plk_tensors *tensors, const char *wanted, size_t **parts,
                                size_t *n_parts, pluck_error *err);

/* The tensor of integers called "targets" or "target"; NULL if there is none. */
const plk_tensor *plk_tensors_targets(const plk_tensors *tensors);

/* Rows of one tensor among several. */
typedef struct plk_tensor_part {
    uint64_t offset_bytes; /* of the first value: in the file, or in what the member unpacks to */
    bool is_member;
    plk_zip_member member;
    _Atomic uint64_t crc_row; /* the next row of the running checksum */
    uint32_t crc;
} plk_tensor_part;

/* pluck_dump.own of these readers. */
typedef struct plk_tensor_rows {
    plk_tensor_part *parts;
    size_t n_parts;
    uint64_t rows_per_part;
    plk_shape shape;      /* of all parts */
    pluck_token *targets; /* NULL: none */

    /* Of deflated parts: the stream of the one that is being read. */
    bool is_packed, is_open;
    size_t current;
    plk_row_layout layout;
    plk_zip_stream stream;
    plk_source unpacked;
} plk_tensor_rows;

/* Chooses the logits, and sets layout, tensor, info and own of dump. The caller keeps tensors, and
 * calls plk_tensor_rows_close() after a failure too. */
pluck_status plk_tensor_rows_open(pluck_dump *dump, const plk_tensors *tensors,
                                  const pluck_dump_options *options, pluck_error *err);

pluck_status plk_tensor_rows_read(pluck_dump *dump, uint64_t row, float *scratch,
                                  pluck_dump_row *out, pluck_error *err);
void plk_tensor_rows_release(pluck_dump *dump, uint64_t row);
void plk_tensor_rows_close(pluck_dump *dump);

/*
 * JSON of dumps: the scanner that lines and documents share, and documents.
 */

/*
 * JSON read from front to back, without a tree: the words of RFC 8259, and -Infinity, Infinity and
 * NaN of Python's json module as values.
 */

#define PLK_JSON_NO_ROW UINT64_MAX

typedef struct plk_json_scan {
    const uint8_t *begin, *at, *end;
    const char *where; /* for messages */
    uint64_t number;   /* of the row, or PLK_JSON_NO_ROW: messages count bytes then */
    pluck_error *err;
    pluck_status status; /* of the first failure; after it no key or element follows */
    bool is_first;       /* no comma before the next key or element */
} plk_json_scan;

/* A string as it is between its quotes, with escapes: for plk_json_unescape(). */
typedef struct plk_json_span {
    const uint8_t *begin;
    size_t length;
} plk_json_span;

bool plk_json_key_is(plk_json_span key, const char *expected);

/* Whether a key is a decimal id below PLUCK_MAX_VOCAB. */
bool plk_json_id(plk_json_span key, uint32_t *id);

/* PLUCK_ERR_FORMAT: what was expected and what is there. */
void plk_json_fail_expected(plk_json_scan *s, const char *expected);

void plk_json_skip_space(plk_json_scan *s);
bool plk_json_next_is(const plk_json_scan *s, char c);

/* Takes c and the white space around it; false, and only white space taken, if it is not there. */
bool plk_json_take(plk_json_scan *s, char c);
bool plk_json_take_word(plk_json_scan *s, const char *word);

plk_json_span plk_json_take_string(plk_json_scan *s);
double plk_json_take_number(plk_json_scan *s);

/* A number rounded to the nearest double and then to the nearest float, or null, which is -inf. */
float plk_json_take_value(plk_json_scan *s);

/* Takes '[' or '{', as plk_json_take(). Then the next element, or the next key with its ':'; false
 * once the closing bracket has been taken, and after a failure. */
bool plk_json_enter(plk_json_scan *s, char bracket);
bool plk_json_next_element(plk_json_scan *s);
bool plk_json_next_key(plk_json_scan *s, plk_json_span *key);

/* Any value, which is inside of depth others. */
void plk_json_skip_value(plk_json_scan *s, unsigned depth);

/*
 * What a JSON text has as rows of logits, wherever they stand in it: arrays of numbers, and the
 * log-probabilities in the answers of servers.
 *
 *   numbers       [..], [[..], ..] or deeper; under the key "logits" of an object, too, perhaps
 *                 next to "targets"
 *   entries       elements of a list "content" in "logprobs" (OpenAI, chat), of "logprobs" (OpenAI,
 *                 responses; ollama), of "completion_probabilities" (llama-server): objects with
 *                 "token" and "id", "logprob" or "prob", and "top_logprobs" or "top_probs", a list
 *                 of such objects; an older llama-server has "content" and "probs"
 *   maps          elements of a list "prompt_logprobs" or "logprobs" (vLLM): null, or an object
 *                 from token ids to numbers or to objects with "logprob"; the first is the token
 *                 that came
 *   columns       "logprobs" (OpenAI, completions): an object with "tokens", "token_logprobs" and
 *                 "top_logprobs", whose elements are null or objects from texts to numbers
 */

typedef enum plk_json_group {
    PLK_JSON_LOGITS,
    PLK_JSON_LOGPROBS,
    PLK_JSON_PROMPT_LOGPROBS,
    PLK_JSON_COMPLETION_PROBABILITIES,
    PLK_JSON_N_GROUPS
} plk_json_group;

typedef enum plk_json_form {
    PLK_JSON_NUMBERS,
    PLK_JSON_ENTRY,
    PLK_JSON_MAP,
    PLK_JSON_COLUMN
} plk_json_form;

#define PLK_JSON_NOWHERE UINT64_MAX

/* A row: where it is in the text. */
typedef struct plk_json_place {
    uint64_t at;             /* of the array or object; of a COLUMN or NOWHERE: its top_logprobs */
    uint64_t token, logprob; /* of a COLUMN: what came */
    plk_json_form form;
    plk_json_group group;
} plk_json_place;

typedef struct plk_json_document {
    pluck_allocator allocator;
    const uint8_t *bytes;
    size_t size_bytes;
    const char *where;
    plk_json_place *places;
    size_t n_places, capacity;
    uint64_t n_of[PLK_JSON_N_GROUPS];
    bool has_weight_map; /* as model.safetensors.index.json has */

    /* Of PLK_JSON_NUMBERS. */
    size_t n_arrays;   /* how many there are that are not inside of another */
    plk_shape shape;   /* of the only one */
    uint32_t n_values; /* of a row */
    uint64_t targets;  /* where they are, or NOWHERE */
} plk_json_document;

/* Finds all rows. bytes and where outlive the document. After a failure only close is allowed. */
pluck_status plk_json_document_open(plk_json_document *document, const uint8_t *bytes,
                                    size_t size_bytes, const char *where,
                                    const pluck_allocator *allocator, pluck_error *err);
void plk_json_document_close(plk_json_document *document);

/* The name of a group: the key that it stands under. */
const char *plk_json_group_name(plk_json_group group);

/* Whether a file that begins with this line is JSON lines of one row each, as jsonl.c reads them,
 * and not a document. */
bool plk_json_is_row_line(const uint8_t *line, size_t length);

/* A token of a sparse row, as the text names it. */
typedef struct plk_json_token {
    bool has_id;
    uint32_t id;
    const uint8_t *text; /* as in the JSON text, escapes as they are */
    size_t length;
} plk_json_token;

/* Takes each token of a row; is_target: it is the one that came, which may be among the others,
 * and whose value then counts once. */
typedef pluck_status (*plk_json_sink)(void *user, const plk_json_token *token, float value,
                                      bool is_target, pluck_error *err);

pluck_status plk_json_document_row(const plk_json_document *document, size_t place,
                                   plk_json_sink sink, void *user, pluck_error *err);

/* The values of a row of numbers. */
pluck_status plk_json_document_values(const plk_json_document *document, size_t place,
                                      float *values, pluck_error *err);

/* The targets next to "logits", n of them; *fits: whether that is their number. */
pluck_status plk_json_document_targets(const plk_json_document *document, uint64_t n,
                                       uint32_t n_vocab, pluck_token *tokens, bool *fits,
                                       pluck_error *err);

#endif
