/*
 * SentencePiece's .model: the message ModelProto of sentencepiece_model.proto in the wire format of
 * protocol buffers. A message is a row of fields; each begins with a varint, the number of the
 * field times 8 plus the kind of its value: 0 a varint (7 bits per byte, the lowest first, bit 7
 * set in all but the last), 1 eight bytes, 2 a varint and that number of bytes, 5 four bytes.
 * Field 1 of a ModelProto is a piece, again a message: 1 its text, 2 its score (a float), 3 its
 * type. The index of a piece is the id of its token; everything else is passed over.
 */
#include "vocab_readers.h"

#include <string.h>

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

static bool fail(message *m, const char *problem)
{
    m->problem = problem;
    return false;
}

static bool take_varint(message *m, uint64_t *value)
{
    *value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (m->at == m->end)
            return fail(m, "truncated");
        unsigned char byte = *m->at++;
        if (shift == 63 && byte > 1)
            break;
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return true;
    }
    return fail(m, "a number of more than 64 bits");
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
        return fail(m, "a field of number 0");
    if (f->kind == KIND_VARINT)
        return take_varint(m, &f->value);
    if (f->kind != KIND_8_BYTES && f->kind != KIND_BYTES && f->kind != KIND_4_BYTES)
        return fail(m, "a field of unknown kind");
    if (f->kind == KIND_BYTES && !take_varint(m, &n))
        return false;
    if (n > (uint64_t)(m->end - m->at))
        return fail(m, "truncated: a field is longer than what follows");
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
        return fail(m, inner.problem);
    if (!p->text)
        return fail(m, "a piece without a text");
    return p->type >= TYPE_NORMAL && p->type <= TYPE_LAST ? true
                                                          : fail(m, "a piece of unknown type");
}

static message begin(const vocab_file *file)
{
    const unsigned char *bytes = (const unsigned char *)file->text;
    return (message){bytes, bytes + file->n, NULL};
}

/* The first piece of a model has a score. A text that begins with an empty line begins with the
 * same byte, but not with a piece. */
bool vocab_is_pieces(const vocab_file *file)
{
    message m = begin(file);
    field f;
    piece p;
    return take_field(&m, &f) && f.number == MODEL_PIECE && f.kind == KIND_BYTES &&
           read_piece(&m, &f, &p) && p.has_score;
}

int vocab_read_pieces(vocab *v, const vocab_file *file)
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
            return complain(file->who, EXIT_DATA, "%s: has more than %u pieces", file->path,
                            PLUCK_MAX_VOCAB);
        /* The texts of <s> and <unk> are not in the alphabet of the others. */
        bool is_literal = p.type == TYPE_UNKNOWN || p.type == TYPE_CONTROL;
        if (!vocab_set(v, v->n, p.text, p.n, is_literal))
            return complain_memory(file->who);
    }
    if (m.problem)
        return complain(file->who, EXIT_DATA, "%s: SentencePiece model: %s, near byte %zu",
                        file->path, m.problem, (size_t)(m.at - (unsigned char *)file->text));
    v->encoding = ENCODING_SENTENCEPIECE;
    return EXIT_DONE;
}
