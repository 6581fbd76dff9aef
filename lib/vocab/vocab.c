/*
 * All texts lie in one block of bytes, entries point into it; both grow by doubling.
 *
 * How vocabularies spell bytes.
 *
 * GPT-2's byte-level BPE writes each byte as one printable character: the 188 printable ones of
 * Latin-1 stand for themselves, the other 68 bytes are U+0100, U+0101 … in ascending order
 * (bytes_to_unicode() of its encoder.py). So a space is U+0120, and no token holds a real one.
 *
 * SentencePiece writes a space as U+2581 and, with byte fallback, a lone byte as a token <0xHH>.
 *
 * WordPiece marks what continues a word: "##ing" is "ing", and other tokens begin a word, with a
 * space before it. Names in brackets ([CLS]) are not text.
 *
 * Which it is shows in the tokens: U+0120 and no real space anywhere is GPT-2's; both <0x00> and
 * <0xFF>, or U+2581 at the start of some token and no real space, is SentencePiece's.
 */
#include "vocab/vocab_readers.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/text.h"
#include "file/file.h"

#include <stdlib.h>
#include <string.h>

#define LIMIT_BYTES ((size_t)256 << 20)
#define GPT2_SPACE  0x120
#define PIECE_SPACE 0x2581

void plk_vocab_init(plk_vocab *v, const pluck_allocator *allocator)
{
    *v = (plk_vocab){.allocator = plk_allocator_or_default(allocator)};
}

void plk_vocab_close(plk_vocab *v)
{
    if (v->entries)
        plk_free(&v->allocator, v->entries);
    if (v->bytes)
        plk_free(&v->allocator, v->bytes);
    *v = (plk_vocab){.n = 0};
}

static bool reserve_entries(plk_vocab *v, uint32_t n)
{
    size_t old = v->capacity;
    if (plk_grow(&v->allocator, &v->entries, &v->capacity, n, sizeof *v->entries, NULL) != PLUCK_OK)
        return false;
    if (v->capacity > old)
        memset(v->entries + old, 0, (v->capacity - old) * sizeof *v->entries);
    return true;
}

/* Room for n more bytes, and one more: even texts without bytes point into the block. */
static bool reserve_bytes(plk_vocab *v, size_t n)
{
    return plk_grow(&v->allocator, &v->bytes, &v->bytes_capacity, v->n_bytes + n + 1, 1, NULL) ==
           PLUCK_OK;
}

bool plk_vocab_set(plk_vocab *v, uint32_t id, const char *text, size_t n, bool is_literal)
{
    if (!reserve_entries(v, id + 1) || !reserve_bytes(v, n))
        return false;
    if (n > 0)
        memcpy(v->bytes + v->n_bytes, text, n);
    v->entries[id] = (plk_vocab_entry){v->n_bytes, (uint32_t)n, true, is_literal};
    v->n_bytes += n;
    v->n = id + 1 > v->n ? id + 1 : v->n;
    return true;
}

const char *plk_vocab_text(const plk_vocab *v, pluck_token token, size_t *n)
{
    *n = 0;
    if (token < 0 || (uint32_t)token >= v->n || !v->entries[token].is_set)
        return "";
    *n = v->entries[token].n;
    return *n > 0 ? v->bytes + v->entries[token].offset : "";
}

/* Puts a byte in front of a text. */
static bool prepend(plk_vocab *v, uint32_t id, char c)
{
    plk_vocab_entry *e = &v->entries[id];
    size_t n = e->n;
    if (!reserve_bytes(v, n + 1))
        return false;
    v->bytes[v->n_bytes] = c;
    memcpy(v->bytes + v->n_bytes + 1, v->bytes + e->offset, n);
    e->offset = v->n_bytes;
    e->n++;
    v->n_bytes += n + 1;
    return true;
}

/* The byte that a character of GPT-2's alphabet stands for, or -1. */
static int gpt2_byte(uint32_t code_point)
{
    if ((code_point >= 0x21 && code_point <= 0x7e) || (code_point >= 0xa1 && code_point <= 0xac) ||
        (code_point >= 0xae && code_point <= 0xff))
        return (int)code_point;
    if (code_point < 0x100 || code_point >= 0x100 + 68)
        return -1;
    int index = (int)code_point - 0x100;
    if (index < 33)
        return index;                             /* 0x00 to 0x20 */
    return index < 67 ? 0x7f + index - 33 : 0xad; /* 0x7f to 0xa0, then the soft hyphen */
}

/* The byte of a token "<0xHH>", or -1. */
static int piece_byte(const char *text, size_t n)
{
    char digits[3] = "";
    if (n != 6 || memcmp(text, "<0x", 3) != 0 || text[5] != '>')
        return -1;
    memcpy(digits, text + 3, 2);
    if (strspn(digits, "0123456789ABCDEFabcdef") != 2)
        return -1;
    return (int)strtoul(digits, NULL, 16);
}

/* Signs of an encoding in texts of tokens; UNKNOWN is [UNK], REST the rest of a word: ##ing. */
enum { SPACE = 1, GPT2 = 2, PIECE = 4, BYTE_00 = 8, BYTE_FF = 16, UNKNOWN = 32, REST = 64 };

static unsigned find_signs(const char *text, size_t n)
{
    int byte = piece_byte(text, n);
    unsigned signs = byte == 0x00 ? BYTE_00 : byte == 0xff ? BYTE_FF : 0;
    if (n == 5 && memcmp(text, "[UNK]", 5) == 0)
        signs |= UNKNOWN;
    if (n > 2 && memcmp(text, "##", 2) == 0 && text[2] != '#')
        signs |= REST;
    for (size_t i = 0; i < n;) {
        uint32_t code_point = 0;
        size_t length = plk_utf8_decode(text + i, n - i, &code_point);
        signs |= code_point == ' '           ? SPACE
                 : code_point == GPT2_SPACE  ? GPT2
                 : code_point == PIECE_SPACE ? PIECE
                                             : 0;
        i += length == 0 ? 1 : length;
    }
    return signs;
}

static plk_encoding find_encoding(const plk_vocab *v)
{
    unsigned signs = 0;
    for (uint32_t id = 0; id < v->n; id++) {
        const plk_vocab_entry *e = &v->entries[id];
        if (e->is_set && !e->is_literal)
            signs |= find_signs(v->bytes + e->offset, e->n);
    }
    const unsigned bytes = BYTE_00 | BYTE_FF, word_pieces = UNKNOWN | REST;
    if ((signs & bytes) == bytes || (signs & (PIECE | SPACE)) == PIECE)
        return PLK_ENCODING_SENTENCEPIECE;
    if ((signs & (word_pieces | GPT2 | SPACE)) == word_pieces)
        return PLK_ENCODING_WORDPIECE;
    return (signs & (GPT2 | SPACE)) == GPT2 ? PLK_ENCODING_GPT2 : PLK_ENCODING_PLAIN;
}

/* Both decoders write at most n bytes and return how many; characters outside the alphabet stay. */
static size_t decode_gpt2(const char *text, size_t n, char *out)
{
    size_t used = 0;
    for (size_t i = 0; i < n;) {
        uint32_t code_point = 0;
        size_t length = plk_utf8_decode(text + i, n - i, &code_point);
        int byte = length > 0 ? gpt2_byte(code_point) : -1;
        size_t step = length > 0 ? length : 1;
        if (byte >= 0) {
            out[used++] = (char)byte;
        } else {
            memmove(out + used, text + i, step);
            used += step;
        }
        i += step;
    }
    return used;
}

static size_t decode_piece(const char *text, size_t n, char *out)
{
    static const char mark[] = "\xe2\x96\x81";
    int byte = piece_byte(text, n);
    size_t used = 0;
    if (byte >= 0) {
        out[0] = (char)byte;
        return 1;
    }
    for (size_t i = 0; i < n;) {
        if (n - i >= 3 && memcmp(text + i, mark, 3) == 0) {
            out[used++] = ' ';
            i += 3;
        } else {
            out[used++] = text[i++];
        }
    }
    return used;
}

/* A space in front makes a text longer, so that it moves to the end of the block. */
static bool decode_word(plk_vocab *v, uint32_t id)
{
    plk_vocab_entry *e = &v->entries[id];
    char *text = v->bytes + e->offset;
    if (e->n > 2 && memcmp(text, "##", 2) == 0) {
        e->offset += 2;
        e->n -= 2;
        return true;
    }
    /* A name as [CLS] or [unused12]. */
    if (e->n > 2 && text[0] == '[' && text[e->n - 1] == ']')
        return true;
    return prepend(v, id, ' ');
}

/* Turns the spelling of an encoding into bytes. false: memory ran out. */
static bool decode(plk_vocab *v, plk_encoding encoding)
{
    if (encoding == PLK_ENCODING_AUTO)
        encoding = find_encoding(v);
    for (uint32_t id = 0; encoding != PLK_ENCODING_PLAIN && id < v->n; id++) {
        plk_vocab_entry *e = &v->entries[id];
        char *text = e->n > 0 ? v->bytes + e->offset : NULL;
        if (!text || e->is_literal)
            continue;
        if (encoding == PLK_ENCODING_GPT2)
            e->n = (uint32_t)decode_gpt2(text, e->n, text);
        else if (encoding == PLK_ENCODING_SENTENCEPIECE)
            e->n = (uint32_t)decode_piece(text, e->n, text);
        else if (!decode_word(v, id))
            return false;
    }
    return true;
}

/* Whether the name ends so, or so and then .gz. */
static bool is_named(const char *name, const char *end)
{
    static const char packed[] = ".gz";
    size_t n_end = strlen(end), n = strlen(name);
    if (n >= sizeof packed && strcmp(name + n + 1 - sizeof packed, packed) == 0)
        n -= sizeof packed - 1;
    return n >= n_end && memcmp(name + n - n_end, end, n_end) == 0;
}

/* What the bytes are decides; the name only where they leave it open. */
static pluck_status read_text(plk_vocab *v, plk_vocab_file *file, bool is_added)
{
    if (!is_added &&
        (plk_vocab_is_pieces(file) || (is_named(file->name, ".model") && file->text[0] == '\n')))
        return plk_vocab_read_pieces(v, file);
    pluck_status status = plk_vocab_refuse_binary(file);
    if (status != PLUCK_OK)
        return status;
    size_t mark_bytes = plk_mark_bytes(file->text, file->n);
    file->text += mark_bytes;
    file->n -= mark_bytes;
    if (is_added)
        return plk_vocab_read_added(v, file);
    /* A name ending decides; without one, a JSON list or map starts with its bracket. */
    char first = file->text[strspn(file->text, " \t\r\n")];
    if (is_named(file->name, ".json") ||
        (!is_named(file->name, ".txt") && (first == '[' || first == '{')))
        return plk_vocab_read_json(v, file);
    if (is_named(file->name, ".tiktoken") || plk_vocab_is_tiktoken(file))
        return plk_vocab_read_tiktoken(v, file);
    return plk_vocab_read_lines(v, file);
}

/* Reads what source holds, which may be packed. A model is larger than a vocabulary may be: it is
 * read where it is, as far as its metadata goes. */
static pluck_status read_source(plk_vocab *v, plk_source *source, const char *name, bool is_added,
                                pluck_error *err)
{
    pluck_status status = plk_gzip_unpack(source, LIMIT_BYTES, err);
    if (status == PLUCK_OK)
        status = plk_source_load(source, LIMIT_BYTES, err);
    if (status != PLUCK_OK)
        return status;
    if (!is_added && plk_vocab_is_gguf(source->bytes, (size_t)source->size_bytes))
        return plk_vocab_read_gguf(v, name, source->bytes, (size_t)source->size_bytes, err);
    if (source->size_bytes > LIMIT_BYTES)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: is larger than %zu bytes, the limit for a vocabulary", name,
                        LIMIT_BYTES);
    size_t n = (size_t)source->size_bytes;
    char *text = plk_alloc(&v->allocator, n + 1, 1);
    if (!text)
        return plk_fail_nomem(err, n + 1);
    memcpy(text, source->bytes, n);
    text[n] = '\0';
    plk_vocab_file file = {.name = name, .text = text, .n = n, .err = err};
    status = read_text(v, &file, is_added);
    plk_free(&v->allocator, text);
    return status;
}

static pluck_status read_path(plk_vocab *v, const char *path, bool is_added, pluck_error *err)
{
    plk_source source;
    const char *name = strcmp(path, "-") == 0 ? "standard input" : path;
    pluck_status status = plk_source_open(&source, path, false, &v->allocator, err);
    if (status != PLUCK_OK)
        return status;
    status = read_source(v, &source, name, is_added, err);
    plk_source_close(&source);
    return status;
}

static pluck_status finish(plk_vocab *v, const char *name, plk_encoding encoding,
                           pluck_status status, pluck_error *err)
{
    if (status == PLUCK_OK && v->n == 0)
        status = plk_fail(err, PLUCK_ERR_FORMAT, "%s: holds no token; expected at least one", name);
    if (status == PLUCK_OK && !decode(v, encoding == PLK_ENCODING_AUTO ? v->encoding : encoding))
        status = plk_fail_nomem(err, v->n_bytes);
    if (status != PLUCK_OK)
        plk_vocab_close(v);
    return status;
}

pluck_status plk_vocab_open(plk_vocab *v, const char *path, const char *added,
                            plk_encoding encoding, const pluck_allocator *allocator,
                            pluck_error *err)
{
    plk_vocab_init(v, allocator);
    pluck_status status = read_path(v, path, false, err);
    if (status == PLUCK_OK && added)
        status = read_path(v, added, true, err);
    return finish(v, path, encoding, status, err);
}

pluck_status plk_vocab_open_memory(plk_vocab *v, const char *name, const void *bytes,
                                   size_t size_bytes, plk_encoding encoding,
                                   const pluck_allocator *allocator, pluck_error *err)
{
    plk_source source;
    plk_vocab_init(v, allocator);
    plk_source_open_memory(&source, name, bytes, size_bytes, false, &v->allocator);
    pluck_status status = read_source(v, &source, name, false, err);
    plk_source_close(&source);
    return finish(v, name, encoding, status, err);
}
