/*
 * The readers of vocabulary files, one for each format. Each takes the whole file, n bytes followed
 * by a NUL that n does not count, and adds texts with plk_vocab_set(). A message begins with the
 * name.
 */
#ifndef PLK_VOCAB_READERS_H
#define PLK_VOCAB_READERS_H

#include "vocab/vocab.h"

typedef struct plk_vocab_file {
    const char *name; /* in messages */
    char *text;       /* a reader may change it */
    size_t n;
    pluck_error *err;
} plk_vocab_file;

/* One token per line, with the escapes of plk_vocab_unescape(); or SentencePiece's .vocab, each
 * line of which is a piece, a tab and a score. */
pluck_status plk_vocab_read_lines(plk_vocab *v, const plk_vocab_file *file);

/* tiktoken: lines of a token in base64, a space and its rank, which is its id. */
bool plk_vocab_is_tiktoken(const plk_vocab_file *file);
pluck_status plk_vocab_read_tiktoken(plk_vocab *v, const plk_vocab_file *file);

/* The JSON forms; and of a file of added tokens. */
pluck_status plk_vocab_read_json(plk_vocab *v, const plk_vocab_file *file);
pluck_status plk_vocab_read_added(plk_vocab *v, const plk_vocab_file *file);

/* SentencePiece's .model, a message of protocol buffers. */
bool plk_vocab_is_pieces(const plk_vocab_file *file);
pluck_status plk_vocab_read_pieces(plk_vocab *v, const plk_vocab_file *file);

/* The metadata at the beginning of a GGUF model: what follows it is not read. */
bool plk_vocab_is_gguf(const void *bytes, size_t n);
pluck_status plk_vocab_read_gguf(plk_vocab *v, const char *name, const void *bytes, size_t n,
                                 pluck_error *err);

/* PLUCK_ERR_FORMAT if the file is of a known kind that is not a vocabulary, or is not text. */
pluck_status plk_vocab_refuse_binary(const plk_vocab_file *file);

/* Undoes the escapes of all texts: \n, \t, \r, \\, \xHH, \u{HEX}. */
void plk_vocab_unescape(plk_vocab *v);

#endif
