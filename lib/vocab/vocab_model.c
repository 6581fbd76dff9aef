/*
 * A reader that goes through the keys from front to back with one buffer, so that a model of any
 * size costs its metadata only. Lengths in the file are believed only as far as bytes follow:
 * what is kept grows with what has been read, and what is skipped is read over.
 */
#include "vocab_gguf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    BUFFER_BYTES = 1 << 16,
    MAX_KEY_BYTES = 128, /* of the keys that are looked for; longer ones are others */
    MAX_TEXT_BYTES = 1 << 16,
    MAX_DEPTH = 8,
    TYPE_STRING = 8,
    TYPE_ARRAY = 9,
    N_TYPES = 13,
    TOKEN_NORMAL = 1,
    TOKEN_BYTE = 6
};

#define MAX_TEXTS_BYTES ((size_t)256 << 20)

typedef struct reader {
    const char *who, *path;
    int fd;
    uint64_t offset; /* of what is read next */
    bool is_swapped, has_short_lengths;
    int code; /* EXIT_DONE until something fails; then all reads give zeros */
    const unsigned char *at, *end;
    unsigned char *buffer;

    vocab *v;
    bool has_tokens, has_model;
    unsigned char *types;
    size_t n_types, types_capacity;
    char model[32];
    char text[MAX_TEXT_BYTES];
} reader;

static int fail(reader *r, const char *what)
{
    if (r->code == EXIT_DONE)
        r->code = complain(r->who, EXIT_DATA, "%s: byte %llu: %s", r->path,
                           (unsigned long long)r->offset, what);
    return r->code;
}

/* More bytes at r->at; false at the end, or after a failure. */
static bool refill(reader *r)
{
    ssize_t n = 0;
    if (r->at < r->end)
        return true;
    if (r->code != EXIT_DONE || r->fd < 0)
        return false;
    do
        n = read(r->fd, r->buffer, BUFFER_BYTES);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        r->code = complain(r->who, EXIT_SYSTEM, "%s: %s", r->path, strerror(errno));
    r->at = r->buffer;
    r->end = r->buffer + (n > 0 ? n : 0);
    return n > 0;
}

/* n bytes into to, or over them if it is NULL. */
static bool take(reader *r, void *to, uint64_t n)
{
    unsigned char *out = to;
    while (n > 0) {
        if (!refill(r)) {
            (void)fail(r, "truncated: the GGUF metadata goes on here");
            return false;
        }
        uint64_t there = (uint64_t)(r->end - r->at), step = there < n ? there : n;
        if (out) {
            memcpy(out, r->at, (size_t)step);
            out += step;
        }
        r->at += step;
        r->offset += step;
        n -= step;
    }
    return r->code == EXIT_DONE;
}

static uint64_t take_number(reader *r, size_t size)
{
    unsigned char bytes[8] = {0};
    uint64_t value = 0;
    if (!take(r, bytes, size))
        return 0;
    for (size_t i = 0; i < size; i++)
        value = value << 8 | bytes[r->is_swapped ? i : size - 1 - i];
    return value;
}

static uint64_t take_length(reader *r)
{
    return take_number(r, r->has_short_lengths ? 4 : 8);
}

/* Bytes of a value of a type; 0 for strings, arrays and unknown types. */
static size_t type_size(uint64_t type)
{
    static const unsigned char sizes[N_TYPES] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    return type < N_TYPES ? sizes[type] : 0;
}

static void skip_value(reader *r, uint64_t type, unsigned depth)
{
    if (type_size(type) > 0) {
        (void)take(r, NULL, type_size(type));
    } else if (type == TYPE_STRING) {
        uint64_t n = take_length(r);
        (void)take(r, NULL, n);
    } else if (type == TYPE_ARRAY && depth < MAX_DEPTH) {
        uint64_t element = take_number(r, 4), n = take_length(r);
        size_t size = type_size(element);
        if (size > 0 && n <= UINT64_MAX / size)
            (void)take(r, NULL, n * size);
        else
            for (uint64_t i = 0; i < n && r->code == EXIT_DONE; i++)
                skip_value(r, element, depth + 1);
    } else {
        (void)fail(r, type == TYPE_ARRAY ? "arrays are nested too deep"
                                         : "expected the type of a value, 0 to 12");
    }
}

/* A string of less than capacity bytes, terminated. false: it is longer, and skipped, or failed. */
static bool take_string(reader *r, char *to, size_t capacity, size_t *length)
{
    uint64_t n = take_length(r);
    bool fits = n < capacity;
    *length = fits ? (size_t)n : 0;
    if (!take(r, fits ? to : NULL, n))
        return false;
    to[*length] = '\0';
    return fits;
}

static void read_tokens(reader *r)
{
    uint64_t element = take_number(r, 4), n = take_length(r);
    size_t total = 0;
    if (r->code == EXIT_DONE && (element != TYPE_STRING || n > PLUCK_MAX_VOCAB))
        (void)fail(r, "tokenizer.ggml.tokens is no list of at most 2^24 texts");
    for (uint32_t id = 0; id < n && r->code == EXIT_DONE; id++) {
        size_t length = 0;
        if (!take_string(r, r->text, sizeof r->text, &length)) {
            (void)fail(r, "a token of 65536 bytes or more");
            return;
        }
        total += length;
        if (total > MAX_TEXTS_BYTES)
            (void)fail(r, "the texts of the tokens are longer than 256 MiB");
        else if (!vocab_set(r->v, id, r->text, length, false))
            r->code = complain_memory(r->who);
    }
    r->has_tokens = true;
}

static void read_types(reader *r)
{
    uint64_t element = take_number(r, 4), n = take_length(r);
    if (r->code == EXIT_DONE && ((element != 4 && element != 5) || n > PLUCK_MAX_VOCAB))
        (void)fail(r, "tokenizer.ggml.token_type is no list of at most 2^24 integers");
    for (uint64_t i = 0; i < n && r->code == EXIT_DONE; i++) {
        uint64_t type = take_number(r, 4);
        if (r->n_types == r->types_capacity) {
            size_t capacity = r->types_capacity == 0 ? 4096 : 2 * r->types_capacity;
            unsigned char *larger = realloc(r->types, capacity);
            if (!larger) {
                r->code = complain_memory(r->who);
                return;
            }
            r->types = larger;
            r->types_capacity = capacity;
        }
        r->types[r->n_types++] = (unsigned char)(type < 256 ? type : 0);
    }
}

static void read_key(reader *r)
{
    char key[MAX_KEY_BYTES];
    size_t length = 0;
    bool is_short = take_string(r, key, sizeof key, &length);
    uint64_t type = take_number(r, 4);
    if (r->code != EXIT_DONE)
        return;
    if (is_short && strcmp(key, "tokenizer.ggml.tokens") == 0 && type == TYPE_ARRAY) {
        if (r->has_tokens)
            (void)fail(r, "tokenizer.ggml.tokens is given twice");
        else
            read_tokens(r);
    } else if (is_short && strcmp(key, "tokenizer.ggml.token_type") == 0 && type == TYPE_ARRAY) {
        if (r->n_types > 0)
            (void)fail(r, "tokenizer.ggml.token_type is given twice");
        else
            read_types(r);
    } else if (is_short && strcmp(key, "tokenizer.ggml.model") == 0 && type == TYPE_STRING) {
        r->has_model = take_string(r, r->model, sizeof r->model, &length);
    } else {
        skip_value(r, type, 0);
    }
}

static void read_keys(reader *r)
{
    char magic[4];
    if (!take(r, magic, sizeof magic))
        return;
    uint64_t version = take_number(r, 4);
    if (version > 0xFFFF) {
        r->is_swapped = true;
        version = (version >> 24 & 0xFF) | (version >> 8 & 0xFF00);
    }
    if (r->code == EXIT_DONE && (version < 1 || version > 3))
        (void)fail(r, "expected version 1, 2 or 3 of GGUF before here");
    r->has_short_lengths = version == 1;
    (void)take_length(r);
    uint64_t n_keys = take_length(r);
    for (uint64_t i = 0; i < n_keys && r->code == EXIT_DONE; i++)
        read_key(r);
}

/* The alphabets of llama.cpp's tokenizers: SentencePiece's for those that write U+2581. */
static int find_encoding(const reader *r)
{
    static const char *const pieces[] = {"llama", "t5", "bert"};
    if (strcmp(r->model, "gpt2") == 0)
        return ENCODING_GPT2;
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++)
        if (strcmp(r->model, pieces[i]) == 0)
            return ENCODING_SENTENCEPIECE;
    return strcmp(r->model, "rwkv") == 0 ? ENCODING_PLAIN : ENCODING_AUTO;
}

static int apply(reader *r)
{
    vocab *v = r->v;
    if (!r->has_tokens)
        return complain(r->who, EXIT_DATA, "%s: its metadata has no tokenizer.ggml.tokens",
                        r->path);
    if (r->n_types > 0 && r->n_types != v->n)
        return complain(r->who, EXIT_DATA, "%s: has %u tokens, but %zu types of tokens", r->path,
                        (unsigned)v->n, r->n_types);
    for (size_t id = 0; id < r->n_types; id++)
        v->entries[id].is_literal = r->types[id] != TOKEN_NORMAL && r->types[id] != TOKEN_BYTE;
    v->encoding = find_encoding(r);
    /* RWKV's texts are written with the escapes of Python. */
    if (strcmp(r->model, "rwkv") == 0)
        vocab_unescape(v);
    return EXIT_DONE;
}

bool vocab_is_gguf(const char *bytes, size_t n)
{
    return n >= 4 && memcmp(bytes, "GGUF", 4) == 0;
}

int vocab_read_gguf(vocab *v, const char *who, const char *path, int fd, const char *bytes,
                    size_t n)
{
    reader *r = calloc(1, sizeof *r);
    unsigned char *buffer = malloc(BUFFER_BYTES);
    if (!r || !buffer) {
        free(r);
        free(buffer);
        return complain_memory(who);
    }
    r->who = who;
    r->path = path;
    r->fd = fd;
    r->v = v;
    r->buffer = buffer;
    r->at = fd < 0 ? (const unsigned char *)bytes : buffer;
    r->end = fd < 0 ? r->at + n : buffer;
    read_keys(r);
    int code = r->code == EXIT_DONE ? apply(r) : r->code;
    free(r->types);
    free(buffer);
    free(r);
    return code;
}
