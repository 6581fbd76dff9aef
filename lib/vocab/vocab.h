/*
 * The texts of tokens, from a vocabulary file of any format that vocab_readers.h lists, packed by
 * gzip or not. A text is bytes with a length: any byte may be in it, 0 too.
 */
#ifndef CLI_VOCAB_H
#define CLI_VOCAB_H

#include "options.h"

#include <pluck/dump.h>

typedef struct vocab_entry {
    size_t offset; /* in vocab.bytes */
    uint32_t n;
    bool is_set;
    bool is_literal; /* an added token: never in the alphabet of the rest */
} vocab_entry;

typedef struct vocab {
    vocab_entry *entries;
    uint32_t n; /* the largest id + 1 */
    uint32_t capacity;
    char *bytes;
    size_t n_bytes, bytes_capacity;
    int encoding; /* ENCODING_*: what the file says of its spelling; auto: nothing */
} vocab;

/* Reads args->vocab if it is given; else *v is empty. Returns an exit code, after complain() if it
 * is not EXIT_DONE. */
int vocab_load(vocab *v, const arguments *args);

/* The same of a file that has been read, path in messages; *text is from malloc(), is followed by a
 * NUL that n does not count, and may be changed or replaced. On failure *v holds what has to be
 * freed. */
int vocab_parse(vocab *v, const arguments *args, const char *path, char **text, size_t n);

/* Whether it has the length of the rows of path; else EXIT_DATA after complain(). */
int vocab_check(const vocab *v, const arguments *args, const char *path, uint32_t n_vocab);

/* The texts of a dump whose rows name their tokens so; without them nothing happens. *args, whose
 * vocab is not given, becomes own, a copy of it with the dump's name there, so that texts are
 * printed. Returns an exit code as vocab_load(). */
int vocab_take_texts(vocab *v, const arguments **args, arguments *own, const char *name,
                     const pluck_dump *dump, uint32_t n_vocab);

void vocab_free(vocab *v);

/* The bytes of a token's text, which need not be UTF-8, and how many; "" for a token without. */
const char *vocab_text(const vocab *v, pluck_token token, size_t *n);

/* For the readers of single formats: sets the text of one id. Returns false when memory ran out. */
bool vocab_set(vocab *v, uint32_t id, const char *text, size_t n, bool is_literal);

/* Puts a byte in front of a text. Returns false when memory ran out. */
bool vocab_prepend(vocab *v, uint32_t id, char c);

/* Undoes the escapes of all texts: \n, \t, \r, \\, \xHH, \u{HEX}. */
void vocab_unescape(vocab *v);

/* Turns the spelling of an encoding (ENCODING_*) into bytes; ENCODING_AUTO finds out which. Returns
 * false when memory ran out. */
bool vocab_decode(vocab *v, int encoding);

#endif
