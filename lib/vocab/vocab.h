/*
 * The texts of tokens, from a vocabulary file: one token per line, JSON (a list, a map, a
 * tokenizer.json), tiktoken, a SentencePiece .model, or a GGUF model; packed by gzip or not. A text
 * is bytes with a length: any byte may be in it, 0 too.
 */
#ifndef PLK_VOCAB_H
#define PLK_VOCAB_H

#include <pluck/base.h>

/* How a file spells bytes; AUTO: what the file says of it, else what its tokens look like. */
typedef enum plk_encoding {
    PLK_ENCODING_AUTO,
    PLK_ENCODING_PLAIN,
    PLK_ENCODING_GPT2,
    PLK_ENCODING_SENTENCEPIECE,
    PLK_ENCODING_WORDPIECE
} plk_encoding;

typedef struct plk_vocab_entry {
    size_t offset; /* in plk_vocab.bytes */
    uint32_t n;
    bool is_set;
    bool is_literal; /* an added token: never in the alphabet of the rest */
} plk_vocab_entry;

/* All zero, or opened by one of the functions below; plk_vocab_close() in any case. */
typedef struct plk_vocab {
    pluck_allocator allocator;
    plk_vocab_entry *entries;
    uint32_t n; /* the largest id + 1 */
    char *bytes;
    size_t capacity, n_bytes, bytes_capacity; /* capacity: of entries */
    plk_encoding encoding; /* what the file says of its spelling; AUTO: nothing */
} plk_vocab;

/* Without any token yet. NULL is malloc and free. */
void plk_vocab_init(plk_vocab *v, const pluck_allocator *allocator);

/* Reads path ("-": standard input) and, unless it is NULL, a file of added tokens, which take the
 * place of others of the same id. A message begins with the path. On failure *v is empty. */
pluck_status plk_vocab_open(plk_vocab *v, const char *path, const char *added,
                            plk_encoding encoding, const pluck_allocator *allocator,
                            pluck_error *err);

/* The same of size_bytes bytes in memory, without added tokens; name stands for the path. */
pluck_status plk_vocab_open_memory(plk_vocab *v, const char *name, const void *bytes,
                                   size_t size_bytes, plk_encoding encoding,
                                   const pluck_allocator *allocator, pluck_error *err);

void plk_vocab_close(plk_vocab *v);

/* Sets the text of one id, below PLUCK_MAX_VOCAB. false: memory ran out. */
bool plk_vocab_set(plk_vocab *v, uint32_t id, const char *text, size_t n, bool is_literal);

/* The bytes of a token's text, which need not be UTF-8, and how many; "" for a token without. */
const char *plk_vocab_text(const plk_vocab *v, pluck_token token, size_t *n);

#endif
