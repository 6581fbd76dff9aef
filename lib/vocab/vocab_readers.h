/*
 * The readers of vocabulary files, one for each format. Each takes the whole file, n bytes followed
 * by a NUL that n does not count, adds texts with vocab_set() and returns an exit code, after
 * complain() if it is not EXIT_DONE; path is for messages.
 */
#ifndef CLI_VOCAB_FORMATS_H
#define CLI_VOCAB_FORMATS_H

#include "vocab.h"

typedef struct vocab_file {
    const char *who, *path;
    char *text; /* a reader may change it */
    size_t n;
} vocab_file;

/* One token per line, with the escapes of vocab_unescape(); or SentencePiece's .vocab, each line of
 * which is a piece, a tab and a score. */
int vocab_read_lines(vocab *v, const vocab_file *file);

/* tiktoken: lines of a token in base64, a space and its rank, which is its id. */
bool vocab_is_tiktoken(const vocab_file *file);
int vocab_read_tiktoken(vocab *v, const vocab_file *file);

/* SentencePiece's .model, a message of protocol buffers. */
bool vocab_is_pieces(const vocab_file *file);
int vocab_read_pieces(vocab *v, const vocab_file *file);

/* The JSON forms; and of a file of added tokens, which take the place of others of the same id. */
int vocab_read_json(vocab *v, const vocab_file *file);
int vocab_read_added(vocab *v, const vocab_file *file);

/* EXIT_DATA after complain() if the file is of a known kind that is not a vocabulary, or is not
 * text. */
int vocab_refuse_binary(const vocab_file *file);

#endif
