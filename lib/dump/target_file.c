/*
 * The targets of an .npy file stay in it: the file is mapped, and what is read is converted. Text
 * is parsed once into an array, in two passes of which the first only counts. A stream is read to
 * its end first. Tokens are checked when they are read, those of a text when it is parsed.
 */
#include "dump/target_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "container/convert.h"
#include "container/source.h"
#include "dump/array_header.h"

enum { FIRST_BYTES = 1 << 16 };

/* What a stream may hold: 2^28 targets as text of 4 bytes each. */
#define MAX_STREAM_BYTES ((size_t)1 << 30)

struct pluck_targets {
    pluck_allocator allocator;
    pl_source source;
    uint8_t *stream_bytes; /* all of a stream */
    uint64_t n;
    pluck_token *tokens; /* of a text; NULL: the values are in the source */
    uint64_t offset_bytes;
    unsigned size_bytes; /* of a value */
    bool is_signed, swapped;
};

static pluck_status fail_token(const pluck_targets *targets, uint64_t index, const char *value,
                               size_t length, pluck_error *err)
{
    return pl_fail(err, PLUCK_ERR_FORMAT,
                   "%s: target %" PRIu64 " is %.*s: expected a token below %" PRIu32
                   ", or a negative number for none",
                   targets->source.label, index, (int)(length < 32 ? length : 32), value,
                   PLUCK_MAX_VOCAB);
}

/* The stream to its end, into memory that then takes the place of a mapped file. */
static pluck_status read_stream(pluck_targets *targets, pluck_error *err)
{
    pl_source *source = &targets->source;
    size_t capacity = 0, used = 0, n_read = 0;
    do {
        const size_t larger = capacity ? 2 * capacity : FIRST_BYTES;
        if (larger > MAX_STREAM_BYTES)
            return pl_fail(err, PLUCK_ERR_FORMAT,
                           "%s: a stream of targets of more than %zu bytes; store it as a file",
                           source->label, capacity);
        uint8_t *bytes = pl_alloc(&targets->allocator, larger, 1);
        if (!bytes)
            return pl_fail_nomem(err, larger);
        if (used > 0)
            memcpy(bytes, targets->stream_bytes, used);
        pl_free(&targets->allocator, targets->stream_bytes);
        targets->stream_bytes = bytes;
        capacity = larger;
        pluck_status status = pl_source_read(source, bytes + used, capacity - used, &n_read, err);
        if (status)
            return status;
        used += n_read;
    } while (used == capacity);
    if (used == 0)
        return pl_fail(err, PLUCK_ERR_FORMAT, "%s: is empty", source->label);
    source->bytes = targets->stream_bytes;
    source->size_bytes = used;
    source->streamed = false;
    return PLUCK_OK;
}

static bool set_integer_type(pluck_targets *targets, const pl_npy_fields *fields)
{
    const char *text = fields->descr;
    if (fields->descr_length != 3 || !pl_npy_has_order(fields) || !strchr("iu", text[1]) ||
        !strchr("1248", text[2]) || text[1] == '\0' || text[2] == '\0' ||
        (text[0] == '|') != (text[2] == '1'))
        return false;
    targets->is_signed = text[1] == 'i';
    targets->size_bytes = (unsigned)(text[2] - '0');
    targets->swapped = text[0] != '=' && text[0] != '|' && pl_is_swapped(text[0] == '<');
    return true;
}

static pluck_status set_values(pluck_targets *targets, const pl_npy_fields *fields,
                               size_t header_size, pluck_error *err)
{
    const pl_source *source = &targets->source;
    char text[PL_SHAPE_TEXT_BYTES];
    uint64_t n = 1, needed = 0;
    bool fits = true;
    unsigned n_long = 0;
    for (size_t i = 0; i < fields->shape.n_axes && fits; i++) {
        fits = pl_mul_u64(n, fields->shape.axes[i], &n);
        n_long += fields->shape.axes[i] > 1;
    }
    if (!set_integer_type(targets, fields))
        return pl_fail(err, PLUCK_ERR_FORMAT,
                       "%s: .npy values of type '%.*s' at byte %zu are no tokens: expected "
                       "integers, such as '<i4'",
                       source->label, (int)(fields->descr_length < 32 ? fields->descr_length : 32),
                       fields->descr, fields->descr_offset);
    if (fields->fortran && n_long > 1)
        return pl_fail(err, PLUCK_ERR_FORMAT,
                       "%s: targets of shape %s in Fortran order: store them in C order",
                       source->label, pl_shape_text(&fields->shape, text));
    if (!fits || !pl_mul_u64(n, targets->size_bytes, &needed) || n == 0 ||
        needed != source->size_bytes - header_size)
        return pl_fail(err, PLUCK_ERR_FORMAT,
                       "%s: targets of shape %s and %u bytes each do not fit the %" PRIu64
                       " bytes from offset %zu",
                       source->label, pl_shape_text(&fields->shape, text), targets->size_bytes,
                       source->size_bytes - header_size, header_size);
    targets->n = n;
    targets->offset_bytes = header_size;
    return PLUCK_OK;
}

static pluck_status open_npy(pluck_targets *targets, pluck_error *err)
{
    const pl_source *source = &targets->source;
    const size_t prefix =
        source->size_bytes < PL_NPY_PREFIX_BYTES ? (size_t)source->size_bytes : PL_NPY_PREFIX_BYTES;
    size_t text_offset = 0, header_size = 0;
    pluck_status status =
        pl_npy_header_size(source->bytes, prefix, source->label, &text_offset, &header_size, err);
    if (status)
        return status;
    if (source->size_bytes < header_size)
        return pl_fail(err, PLUCK_ERR_FORMAT,
                       "%s: truncated: the .npy header has %zu bytes, the file has %" PRIu64,
                       source->label, header_size, source->size_bytes);
    pl_npy_fields fields;
    status =
        pl_npy_header_fields(source->bytes, text_offset, header_size, source->label, &fields, err);
    return status ? status : set_values(targets, &fields, header_size, err);
}

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

typedef struct text_reader {
    const pluck_targets *targets;
    const uint8_t *at, *end;
    bool in_brackets;
    pluck_error *err;
} text_reader;

static pluck_status fail_text(const text_reader *r, const char *expected)
{
    const pl_source *source = &r->targets->source;
    uint64_t line = 1;
    for (const uint8_t *c = source->bytes; c < r->at; c++)
        line += *c == '\n';
    return pl_fail(r->err, PLUCK_ERR_FORMAT, "%s: line %" PRIu64 ": expected %s", source->label,
                   line, expected);
}

/* The next number; a value outside of the tokens is refused. */
static pluck_status take_token(text_reader *r, uint64_t index, pluck_token *token)
{
    const uint8_t *begin = r->at;
    const bool is_negative = r->at < r->end && *r->at == '-';
    r->at += is_negative;
    if (r->at == r->end || !is_digit(*r->at)) {
        r->at = begin;
        return fail_text(r, "a token id");
    }
    uint64_t value = 0;
    for (; r->at < r->end && is_digit(*r->at); r->at++)
        value = value < PLUCK_MAX_VOCAB ? 10 * value + (uint64_t)(*r->at - '0') : value;
    *token = PLUCK_NO_TOKEN;
    if (is_negative && value > 0)
        return PLUCK_OK;
    if (value >= PLUCK_MAX_VOCAB)
        return fail_token(r->targets, index, (const char *)begin, (size_t)(r->at - begin), r->err);
    *token = (pluck_token)value;
    return PLUCK_OK;
}

/* All numbers; counts them if tokens is NULL. */
static pluck_status read_text(text_reader *r, pluck_token *tokens, uint64_t *n)
{
    bool after_comma = false;
    *n = 0;
    for (;;) {
        while (r->at < r->end && is_space(*r->at))
            r->at++;
        if (r->at == r->end || (r->in_brackets && *r->at == ']'))
            break;
        pluck_token token = PLUCK_NO_TOKEN;
        pluck_status status = take_token(r, *n, &token);
        if (status)
            return status;
        if (tokens)
            tokens[*n] = token;
        ++*n;
        const uint8_t *after = r->at;
        while (r->at < r->end && is_space(*r->at))
            r->at++;
        after_comma = r->at < r->end && *r->at == ',';
        r->at += after_comma;
        const bool may_end = r->at == r->end || (r->in_brackets && *r->at == ']');
        if (r->at == after && !may_end)
            return fail_text(r, "white space or a comma after a token id");
    }
    if (after_comma && r->in_brackets)
        return fail_text(r, "a token id after the comma");
    if (!r->in_brackets)
        return PLUCK_OK;
    if (r->at == r->end)
        return fail_text(r, "']' at the end");
    for (r->at++; r->at < r->end; r->at++)
        if (!is_space(*r->at))
            return fail_text(r, "nothing after ']'");
    return PLUCK_OK;
}

static pluck_status open_text(pluck_targets *targets, const uint8_t *begin, pluck_error *err)
{
    const pl_source *source = &targets->source;
    const uint8_t *end = source->bytes + source->size_bytes;
    const bool in_brackets = *begin == '[';
    const text_reader start = {targets, begin + in_brackets, end, in_brackets, err};
    text_reader r = start;
    pluck_status status = read_text(&r, NULL, &targets->n);
    if (status)
        return status;
    if (targets->n == 0)
        return pl_fail(err, PLUCK_ERR_FORMAT, "%s: holds no target", source->label);
    targets->tokens = pl_alloc(&targets->allocator, targets->n, sizeof *targets->tokens);
    if (!targets->tokens)
        return pl_fail_nomem(err, targets->n * sizeof *targets->tokens);
    r = start;
    return read_text(&r, targets->tokens, &targets->n);
}

static pluck_status open_content(pluck_targets *targets, pluck_error *err)
{
    if (targets->source.streamed) {
        pluck_status status = read_stream(targets, err);
        if (status)
            return status;
    }
    const pl_source *source = &targets->source;
    const uint8_t *begin = source->bytes, *end = begin + source->size_bytes;
    if (pl_npy_has_magic(begin, (size_t)source->size_bytes))
        return open_npy(targets, err);
    while (begin < end && is_space(*begin))
        begin++;
    if (begin < end && (is_digit(*begin) || *begin == '-' || *begin == '['))
        return open_text(targets, begin, err);
    return pl_fail(err, PLUCK_ERR_FORMAT,
                   "%s: holds no targets: expected .npy of integers, or token ids as text",
                   source->label);
}

static pluck_status allocate(pluck_targets **targets, const pluck_allocator *given,
                             pluck_error *err)
{
    const pluck_allocator allocator = pl_allocator_or_default(given);
    *targets = pl_alloc_zero(&allocator, 1, sizeof **targets);
    if (!*targets)
        return pl_fail_nomem(err, sizeof **targets);
    (*targets)->allocator = allocator;
    return PLUCK_OK;
}

/* The source is open; the targets take it over, and close it on failure. */
static pluck_status finish_open(pluck_targets **out, pluck_targets *targets, pluck_error *err)
{
    pluck_status status = open_content(targets, err);
    if (status)
        pluck_targets_close(&targets);
    *out = targets;
    return status;
}

pluck_status pluck_targets_open(pluck_targets **out, const char *path,
                                const pluck_allocator *allocator, pluck_error *err)
{
    if (!out)
        return pl_fail(err, PLUCK_ERR_INVALID, "pluck_targets_open: out is NULL");
    *out = NULL;
    if (!path)
        return pl_fail(err, PLUCK_ERR_INVALID, "pluck_targets_open: path is NULL");
    pluck_targets *targets = NULL;
    pluck_status status = allocate(&targets, allocator, err);
    if (status)
        return status;
    status = pl_source_open(&targets->source, path, &targets->allocator, err);
    if (status) {
        const pluck_allocator own = targets->allocator;
        pl_free(&own, targets);
        return status;
    }
    return finish_open(out, targets, err);
}

pluck_status pl_targets_open_memory(pluck_targets **out, const char *name, const void *bytes,
                                    size_t size_bytes, bool streamed,
                                    const pluck_allocator *allocator, pluck_error *err)
{
    *out = NULL;
    pluck_targets *targets = NULL;
    pluck_status status = allocate(&targets, allocator, err);
    if (status)
        return status;
    pl_source_open_memory(&targets->source, name, bytes, size_bytes, streamed, &targets->allocator);
    return finish_open(out, targets, err);
}

void pluck_targets_close(pluck_targets **targets)
{
    if (!targets || !*targets)
        return;
    pluck_targets *closing = *targets;
    pl_source_close(&closing->source);
    pl_free(&closing->allocator, closing->stream_bytes);
    pl_free(&closing->allocator, closing->tokens);
    const pluck_allocator allocator = closing->allocator;
    pl_free(&allocator, closing);
    *targets = NULL;
}

uint64_t pluck_targets_count(const pluck_targets *targets)
{
    return targets ? targets->n : 0;
}

static uint64_t value_at(pluck_targets *targets, uint64_t index)
{
    const unsigned size = targets->size_bytes;
    const uint8_t *bytes =
        pl_source_at(&targets->source, targets->offset_bytes + index * size, size);
    const bool little = pl_is_swapped(true) == targets->swapped;
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value = value << 8 | bytes[little ? size - 1 - i : i];
    return value;
}

pluck_status pluck_targets_read(pluck_targets *targets, uint64_t first, size_t n,
                                pluck_token *tokens, pluck_error *err)
{
    if (!targets || (!tokens && n > 0))
        return pl_fail(err, PLUCK_ERR_INVALID, "pluck_targets_read: %s is NULL",
                       targets ? "tokens" : "targets");
    if (first > targets->n || n > targets->n - first)
        return pl_fail(err, PLUCK_ERR_INVALID,
                       "%s: %zu targets from %" PRIu64 " on were asked for, there are %" PRIu64,
                       targets->source.label, n, first, targets->n);
    if (targets->tokens) {
        memcpy(tokens, targets->tokens + first, n * sizeof *tokens);
        return PLUCK_OK;
    }
    const uint64_t sign = (uint64_t)1 << (8 * targets->size_bytes - 1);
    for (size_t i = 0; i < n; i++) {
        const uint64_t value = value_at(targets, first + i);
        const bool is_negative = targets->is_signed && (value & sign) != 0;
        char text[24];
        if (!is_negative && value >= PLUCK_MAX_VOCAB) {
            (void)snprintf(text, sizeof text, "%" PRIu64, value);
            return fail_token(targets, first + i, text, strlen(text), err);
        }
        tokens[i] = is_negative ? PLUCK_NO_TOKEN : (pluck_token)value;
    }
    return PLUCK_OK;
}
