/*
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
#include "vocab.h"

#include "base/escape.h"

#include <stdlib.h>
#include <string.h>

#define GPT2_SPACE  0x120
#define PIECE_SPACE 0x2581

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

static int find_encoding(const vocab *v)
{
    bool has_gpt2 = false, has_piece = false, has_space = false, has_first = false,
         has_last = false, has_unknown = false, has_rest = false;
    for (uint32_t id = 0; id < v->n; id++) {
        const vocab_entry *e = &v->entries[id];
        if (!e->is_set || e->is_literal)
            continue;
        const char *text = v->bytes + e->offset;
        uint32_t code_point = 0;
        for (size_t i = 0; i < e->n;) {
            size_t length = plk_utf8_decode(text + i, e->n - i, &code_point);
            has_gpt2 |= length > 0 && code_point == GPT2_SPACE;
            has_piece |= length > 0 && code_point == PIECE_SPACE;
            has_space |= text[i] == ' ';
            i += length == 0 ? 1 : length;
        }
        has_unknown |= e->n == 5 && memcmp(text, "[UNK]", 5) == 0;
        has_rest |= e->n > 2 && memcmp(text, "##", 2) == 0 && text[2] != '#';
        int byte = piece_byte(text, e->n);
        has_first |= byte == 0x00;
        has_last |= byte == 0xff;
    }
    if ((has_first && has_last) || (has_piece && !has_space))
        return ENCODING_SENTENCEPIECE;
    if (has_unknown && has_rest && !has_gpt2 && !has_space)
        return ENCODING_WORDPIECE;
    return has_gpt2 && !has_space ? ENCODING_GPT2 : ENCODING_PLAIN;
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

/* Whether it is a name as [CLS] or [unused12]. */
static bool is_bracketed(const char *text, size_t n)
{
    return n > 2 && text[0] == '[' && text[n - 1] == ']';
}

/* A space in front makes a text longer, so that it moves to the end of the block. */
static bool decode_word(vocab *v, uint32_t id)
{
    vocab_entry *e = &v->entries[id];
    char *text = v->bytes + e->offset;
    if (e->n > 2 && memcmp(text, "##", 2) == 0) {
        e->offset += 2;
        e->n -= 2;
        return true;
    }
    if (is_bracketed(text, e->n))
        return true;
    return vocab_prepend(v, id, ' ');
}

bool vocab_decode(vocab *v, int encoding)
{
    if (encoding == ENCODING_AUTO)
        encoding = find_encoding(v);
    for (uint32_t id = 0; encoding != ENCODING_PLAIN && id < v->n; id++) {
        vocab_entry *e = &v->entries[id];
        char *text = e->n > 0 ? v->bytes + e->offset : NULL;
        if (!text || e->is_literal)
            continue;
        if (encoding == ENCODING_GPT2)
            e->n = (uint32_t)decode_gpt2(text, e->n, text);
        else if (encoding == ENCODING_SENTENCEPIECE)
            e->n = (uint32_t)decode_piece(text, e->n, text);
        else if (!decode_word(v, id))
            return false;
    }
    return true;
}
