/*
 * Vocabularies in models.
 *
 * GGUF, byte by byte (ggml, docs/gguf.md; little-endian, or all of it big-endian, which shows in
 * the version): "GGUF"; version (u32: 1, 2 or 3); number of tensors, number of keys (u64; u32 in
 * version 1); then the keys, each a string, the type of its value (u32) and the value. A string is
 * its length (u64; u32 in version 1) and its bytes. Types: 0, 1, 7 one byte; 2, 3 two; 4, 5, 6
 * four; 10, 11, 12 eight; 8 a string; 9 an array: the type of its elements (u32), their number (as
 * that of the keys), and the elements. What follows the keys is not read. Lengths in the file are
 * believed only as far as bytes follow.
 *
 * Keys: tokenizer.ggml.tokens, an array of strings; tokenizer.ggml.token_type, an array of 32-bit
 * integers (1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte), of which only normal
 * ones and bytes are in the alphabet of the model; tokenizer.ggml.model, which alphabet that is.
 *
 * SentencePiece's .model: the message ModelProto of sentencepiece_model.proto in the wire format of
 * protocol buffers. A message is a series of fields; each begins with a varint, the number of the
 * field times 8 plus the kind of its value: 0 a varint (7 bits per byte, the lowest first, bit 7
 * set in all but the last), 1 eight bytes, 2 a varint and that number of bytes, 5 four bytes.
 * Field 1 of a ModelProto is a piece, again a message: 1 its text, 2 its score (a float), 3 its
 * type. The index of a piece is the id of its token; everything else is skipped.
 */
#include "vocab/vocab_readers.h"

#include "base/error.h"

#include <string.h>

enum {
    MAGIC_BYTES = 4,
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
    const char *name;
    pluck_error *err;
    pluck_status status; /* PLUCK_OK until something fails; then all reads give zeros */
    const uint8_t *begin, *at, *end;
    bool is_swapped, has_short_lengths;

    plk_vocab *v;
    bool has_tokens;
    const uint8_t *types; /* of 4 bytes each */
    size_t n_types;
    const char *model; /* NULL: not given */
    uint64_t n_model;
} reader;

static pluck_status fail(reader *r, const char *what)
{
    if (r->status == PLUCK_OK)
        r->status = plk_fail(r->err, PLUCK_ERR_FORMAT, "%s: byte %zu: %s", r->name,
                             (size_t)(r->at - r->begin), what);
    return r->status;
}

/* The next n bytes; NULL if there are fewer, or after a failure. */
static const uint8_t *take(reader *r, uint64_t n)
{
    const uint8_t *bytes = r->at;
    if (r->status != PLUCK_OK)
        return NULL;
    if (n > (uint64_t)(r->end - r->at)) {
        r->at = r->end;
        (void)fail(r, "truncated: the file ends inside the GGUF metadata");
        return NULL;
    }
    r->at += n;
    return bytes;
}

static uint64_t number_at(const reader *r, const uint8_t *bytes, size_t size)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++)
        value = value << 8 | bytes[r->is_swapped ? i : size - 1 - i];
    return value;
}

static uint64_t take_number(reader *r, size_t size)
{
    const uint8_t *bytes = take(r, size);
    return bytes ? number_at(r, bytes, size) : 0;
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
        (void)take(r, type_size(type));
    } else if (type == TYPE_STRING) {
        uint64_t n = take_length(r);
        (void)take(r, n);
    } else if (type == TYPE_ARRAY && depth < MAX_DEPTH) {
        uint64_t element = take_number(r, 4), n = take_length(r);
        size_t size = type_size(element);
        if (size > 0 && n <= UINT64_MAX / size)
            (void)take(r, n * size);
        else
            for (uint64_t i = 0; i < n && r->status == PLUCK_OK; i++)
                skip_value(r, element, depth + 1);
    } else {
        (void)fail(r, type == TYPE_ARRAY ? "arrays are nested too deep"
                                         : "expected the type of a value, 0 to 12");
    }
}

/* A string of the file; NULL if it failed. */
static const char *take_string(reader *r, uint64_t *length)
{
    *length = take_length(r);
    return (const char *)take(r, *length);
}

static bool is_text(const char *text, uint64_t n, const char *wanted)
{
    return text && strlen(wanted) == n && memcmp(text, wanted, (size_t)n) == 0;
}

static void read_tokens(reader *r)
{
    uint64_t element = take_number(r, 4), n = take_length(r);
    size_t total = 0;
    if (r->status == PLUCK_OK && (element != TYPE_STRING || n > PLUCK_MAX_VOCAB))
        (void)fail(r, "tokenizer.ggml.tokens is not an array of at most 2^24 strings");
    for (uint32_t id = 0; id < n && r->status == PLUCK_OK; id++) {
        uint64_t length = 0;
        const char *text = take_string(r, &length);
        if (!text)
            return;
        total += (size_t)length;
        if (length >= MAX_TEXT_BYTES)
            (void)fail(r, "a token of 65536 bytes or more; expected less");
        else if (total > MAX_TEXTS_BYTES)
            (void)fail(r, "the texts of the tokens are longer than 256 MiB");
        else if (!plk_vocab_set(r->v, id, text, (size_t)length, false))
            r->status = plk_fail_nomem(r->err, total);
    }
    r->has_tokens = true;
}

static void read_types(reader *r)
{
    uint64_t element = take_number(r, 4), n = take_length(r);
    if (r->status == PLUCK_OK && ((element != 4 && element != 5) || n > PLUCK_MAX_VOCAB))
        (void)fail(r, "tokenizer.ggml.token_type is not an array of at most 2^24 integers");
    if (r->status != PLUCK_OK)
        return;
    r->types = take(r, 4 * n);
    r->n_types = (size_t)n;
}

static void read_key(reader *r)
{
    uint64_t length = 0;
    const char *key = take_string(r, &length);
    uint64_t type = take_number(r, 4);
    if (r->status != PLUCK_OK)
        return;
    if (is_text(key, length, "tokenizer.ggml.tokens") && type == TYPE_ARRAY) {
        if (r->has_tokens)
            (void)fail(r, "tokenizer.ggml.tokens is given twice");
        else
            read_tokens(r);
    } else if (is_text(key, length, "tokenizer.ggml.token_type") && type == TYPE_ARRAY) {
        if (r->n_types > 0)
            (void)fail(r, "tokenizer.ggml.token_type is given twice");
        else
            read_types(r);
    } else if (is_text(key, length, "tokenizer.ggml.model") && type == TYPE_STRING) {
        r->model = take_string(r, &r->n_model);
    } else {
        skip_value(r, type, 0);
    }
}

static void read_keys(reader *r)
{
    (void)take(r, MAGIC_BYTES);
    uint64_t version = take_number(r, 4);
    if (version > 0xFFFF) {
        r->is_swapped = true;
        version = (version >> 24 & 0xFF) | (version >> 8 & 0xFF00);
    }
    if (r->status == PLUCK_OK && (version < 1 || version > 3)) {
        r->at -= 4;
        (void)fail(r, "expected version 1, 2 or 3 of GGUF");
    }
    r->has_short_lengths = version == 1;
    (void)take_length(r);
    uint64_t n_keys = take_length(r);
    for (uint64_t i = 0; i < n_keys && r->status == PLUCK_OK; i++)
        read_key(r);
}

/* SentencePiece's alphabet for those of llama.cpp's tokenizers that write U+2581. */
static plk_encoding find_encoding(const reader *r)
{
    static const struct {
        const char *model;
        plk_encoding encoding;
    } known[] = {{"gpt2", PLK_ENCODING_GPT2},
                 {"llama", PLK_ENCODING_SENTENCEPIECE},
                 {"t5", PLK_ENCODING_SENTENCEPIECE},
                 {"bert", PLK_ENCODING_SENTENCEPIECE},
                 {"rwkv", PLK_ENCODING_PLAIN}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (is_text(r->model, r->n_model, known[i].model))
            return known[i].encoding;
    return PLK_ENCODING_AUTO;
}

static pluck_status apply(reader *r)
{
    plk_vocab *v = r->v;
    if (!r->has_tokens)
        return plk_fail(
            r->err, PLUCK_ERR_FORMAT,
            "%s: its metadata has no tokenizer.ggml.tokens; give a GGUF file with a vocabulary",
            r->name);
    if (r->n_types > 0 && r->n_types != v->n)
        return plk_fail(r->err, PLUCK_ERR_FORMAT,
                        "%s: has %u tokens, but %zu types of tokens; expected one type per token",
                        r->name, (unsigned)v->n, r->n_types);
    for (size_t id = 0; id < r->n_types; id++) {
        uint64_t type = number_at(r, r->types + 4 * id, 4);
        v->entries[id].is_literal = type != TOKEN_NORMAL && type != TOKEN_BYTE;
    }
    v->encoding = find_encoding(r);
    /* RWKV's texts are written with the escapes of Python. */
    if (v->encoding == PLK_ENCODING_PLAIN)
        plk_vocab_unescape(v);
    return PLUCK_OK;
}

bool plk_vocab_is_gguf(const void *bytes, size_t n)
{
    return n >= MAGIC_BYTES && memcmp(bytes, "GGUF", MAGIC_BYTES) == 0;
}

pluck_status plk_vocab_read_gguf(plk_vocab *v, const char *name, const void *bytes, size_t n,
                                 pluck_error *err)
{
    reader r = {.name = name,
                .err = err,
                .begin = bytes,
                .at = bytes,
                .end = (const uint8_t *)bytes + n,
                .v = v};
    read_keys(&r);
    return r.status == PLUCK_OK ? apply(&r) : r.status;
}

enum {
    MODEL_PIECE = 1,
    PIECE_TEXT = 1,
    PIECE_SCORE = 2,
    PIECE_TYPE = 3,
    TYPE_NORMAL = 1,
    TYPE_UNKNOWN = 2,
    TYPE_CONTROL = 3,
    TYPE_LAST = 6,
    KIND_VARINT = 0,
    KIND_8_BYTES = 1,
    KIND_BYTES = 2,
    KIND_4_BYTES = 5
};

typedef struct message {
    const unsigned char *at, *end;
    const char *problem; /* of the first field that cannot be read */
} message;

typedef struct field {
    uint64_t number;
    unsigned kind;
    uint64_t value;             /* of a varint */
    const unsigned char *bytes; /* of the other kinds */
    size_t n_bytes;
} field;

typedef struct piece {
    const char *text; /* NULL: it has none */
    size_t n;
    uint64_t type;
    bool has_score;
} piece;

static bool fail_message(message *m, const char *problem)
{
    m->problem = problem;
    return false;
}

static bool take_varint(message *m, uint64_t *value)
{
    *value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (m->at == m->end)
            return fail_message(m, "truncated");
        unsigned char byte = *m->at++;
        if (shift == 63 && byte > 1)
            break;
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return true;
    }
    return fail_message(m, "a number of more than 64 bits");
}

/* false: the message is at its end, or cannot be read: then problem is set. */
static bool take_field(message *m, field *f)
{
    uint64_t key = 0;
    if (m->at == m->end || !take_varint(m, &key))
        return false;
    *f = (field){.number = key >> 3, .kind = (unsigned)(key & 7)};
    uint64_t n = f->kind == KIND_8_BYTES ? 8 : 4;
    if (f->number == 0)
        return fail_message(m, "a field of number 0");
    if (f->kind == KIND_VARINT)
        return take_varint(m, &f->value);
    if (f->kind != KIND_8_BYTES && f->kind != KIND_BYTES && f->kind != KIND_4_BYTES)
        return fail_message(m, "a field of unknown kind");
    if (f->kind == KIND_BYTES && !take_varint(m, &n))
        return false;
    if (n > (uint64_t)(m->end - m->at))
        return fail_message(m, "truncated: a field is longer than what follows");
    f->bytes = m->at;
    f->n_bytes = (size_t)n;
    m->at += n;
    return true;
}

static bool read_piece(message *m, const field *whole, piece *p)
{
    message inner = {whole->bytes, whole->bytes + whole->n_bytes, NULL};
    field f;
    *p = (piece){.type = TYPE_NORMAL};
    while (take_field(&inner, &f)) {
        if (f.number == PIECE_TEXT && f.kind == KIND_BYTES) {
            p->text = (const char *)f.bytes;
            p->n = f.n_bytes;
        } else if (f.number == PIECE_TYPE && f.kind == KIND_VARINT) {
            p->type = f.value;
        } else if (f.number == PIECE_SCORE && f.kind == KIND_4_BYTES) {
            p->has_score = true;
        }
    }
    if (inner.problem)
        return fail_message(m, inner.problem);
    if (!p->text)
        return fail_message(m, "a piece without a text");
    return p->type >= TYPE_NORMAL && p->type <= TYPE_LAST
               ? true
               : fail_message(m, "a piece of unknown type");
}

static message begin(const plk_vocab_file *file)
{
    const unsigned char *bytes = (const unsigned char *)file->text;
    return (message){bytes, bytes + file->n, NULL};
}

/* The first piece of a model has a score. A text that begins with an empty line begins with the
 * same byte, but not with a piece. */
bool plk_vocab_is_pieces(const plk_vocab_file *file)
{
    message m = begin(file);
    field f;
    piece p;
    return take_field(&m, &f) && f.number == MODEL_PIECE && f.kind == KIND_BYTES &&
           read_piece(&m, &f, &p) && p.has_score;
}

pluck_status plk_vocab_read_pieces(plk_vocab *v, const plk_vocab_file *file)
{
    message m = begin(file);
    field f;
    piece p;
    while (take_field(&m, &f)) {
        if (f.number != MODEL_PIECE || f.kind != KIND_BYTES)
            continue;
        if (!read_piece(&m, &f, &p))
            break;
        if (v->n >= PLUCK_MAX_VOCAB)
            return plk_fail(file->err, PLUCK_ERR_FORMAT, "%s: has more than %u pieces", file->name,
                            PLUCK_MAX_VOCAB);
        /* The texts of <s> and <unk> are not in the alphabet of the others. */
        bool is_literal = p.type == TYPE_UNKNOWN || p.type == TYPE_CONTROL;
        if (!plk_vocab_set(v, v->n, p.text, p.n, is_literal))
            return plk_fail_nomem(file->err, p.n);
    }
    if (m.problem)
        return plk_fail(file->err, PLUCK_ERR_FORMAT, "%s: SentencePiece model: %s, near byte %zu",
                        file->name, m.problem, (size_t)(m.at - (unsigned char *)file->text));
    v->encoding = PLK_ENCODING_SENTENCEPIECE;
    return PLUCK_OK;
}
