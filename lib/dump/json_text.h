/*
 * JSON of dumps: the scanner that lines and documents share, and documents.
 */
#ifndef PLK_JSON_TEXT_H
#define PLK_JSON_TEXT_H

#include <pluck/base.h>

#include "file/array_file.h"

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
