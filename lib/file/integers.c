/*
 * The values of an .npy file stay in it: the file is mapped, and what is read is converted. Text is
 * parsed once into an array, in two passes of which the first only counts. A stream is read to its
 * end first.
 */
#include "file/array_file.h"

#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/text.h"
#include "file/file.h"
#include "json/json.h"

static pluck_status open_npy(plk_integers *integers, pluck_error *err)
{
    plk_source *source = &integers->source;
    plk_npy_fields fields;
    char text[PLK_SHAPE_TEXT_BYTES];
    size_t header_size = 0;
    pluck_status status = plk_npy_header_read(source, source->label, &fields, &header_size, err);
    if (status != PLUCK_OK)
        return status;
    if (!plk_npy_integer_values(&fields, &integers->type))
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: .npy values of type '%.*s' at byte %zu are not integers; expected "
                        "integers, such as '<i4'",
                        source->label, (int)(fields.descr_length < 32 ? fields.descr_length : 32),
                        fields.descr, fields.descr_offset);
    uint64_t n = 0, needed = 0, available = source->size_bytes - header_size;
    bool fits = plk_count_values(fields.shape.axes, fields.shape.n_axes, 1, &n);
    if (fields.fortran && plk_shape_squeezed(&fields.shape).n_axes > 1)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: integers of shape %s in Fortran order; store them in C order "
                        "(numpy.ascontiguousarray)",
                        source->label, plk_shape_text(&fields.shape, text));
    if (!fits || !plk_mul_u64(n, integers->type.size_bytes, &needed) || n == 0 ||
        needed != available)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: integers of shape %s and %u bytes each do not fit the %llu bytes "
                        "from offset %zu",
                        source->label, plk_shape_text(&fields.shape, text),
                        integers->type.size_bytes, (unsigned long long)available, header_size);
    integers->n = n;
    integers->shape = fields.shape;
    integers->offset_bytes = header_size;
    return PLUCK_OK;
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

typedef struct text_reader {
    const plk_integers *integers;
    const uint8_t *at, *end;
    size_t depth;                  /* open brackets */
    uint64_t counts[PLK_MAX_AXES]; /* elements so far of each that is open */
    plk_shape shape;               /* n_axes: depth of the numbers, 0: no number yet; an axis is 0
                                    until the first array of its depth ends */
    uint64_t n;
    enum { AT_BEGIN, AFTER_COMMA, AFTER_ELEMENT } last; /* of the text or of an array: AT_BEGIN */
    pluck_error *err;
} text_reader;

static pluck_status fail_text(const text_reader *r, const char *expected)
{
    const plk_source *source = &r->integers->source;
    unsigned long long line = 1;
    for (const uint8_t *c = source->bytes; c < r->at; c++)
        line += *c == '\n';
    size_t length = r->at < r->end;
    while (r->at + length < r->end && length < 20 && r->at[length] != ',' &&
           !plk_is_space(r->at[length]))
        length++;
    if (length == 0)
        return plk_fail(r->err, PLUCK_ERR_FORMAT, "%s: expected %s, found the end of the file",
                        source->label, expected);
    return plk_fail(r->err, PLUCK_ERR_FORMAT, "%s: line %llu: expected %s, found '%.*s'",
                    source->label, line, expected, (int)length, (const char *)r->at);
}

static void skip_digits(text_reader *r)
{
    while (r->at < r->end && is_digit(*r->at))
        r->at++;
}

static bool take_either(text_reader *r, char a, char b)
{
    bool is_there = r->at < r->end && (*r->at == a || *r->at == b);
    r->at += is_there;
    return is_there;
}

/* Digits, perhaps a point, digits, and an exponent; false: not a number. */
static bool skip_decimal(text_reader *r)
{
    const uint8_t *begin = r->at;
    skip_digits(r);
    bool has_digits = r->at > begin;
    if (take_either(r, '.', '.'))
        skip_digits(r);
    if (!take_either(r, 'e', 'E'))
        return has_digits;
    (void)take_either(r, '-', '+');
    begin = r->at;
    skip_digits(r);
    return has_digits && r->at > begin;
}

/* The next number. A negative one below -2^63 is as good as -2^63: it is negative. */
static pluck_status take_integer(text_reader *r, int64_t *value)
{
    const uint8_t *begin = r->at;
    bool is_negative = take_either(r, '-', '-'), is_ignored = false;
    if (!is_negative)
        (void)take_either(r, '+', '+');
    const uint8_t *digits = r->at;
    bool is_number = skip_decimal(r);
    size_t length = (size_t)(r->at - digits);
    uint64_t magnitude = 0;
    plk_whole whole = PLK_WHOLE_FRACTION;
    if (is_number && length <= PLK_NUMBER_MAX_TEXT)
        whole = plk_number_whole((const char *)digits, length, &is_ignored, &magnitude);
    if (whole == PLK_WHOLE_FRACTION) {
        r->at = begin;
        return fail_text(r, "a whole number");
    }
    bool is_large = whole == PLK_WHOLE_TOO_LARGE || magnitude > INT64_MAX;
    if (is_large && !is_negative)
        return plk_fail(r->err, PLUCK_ERR_FORMAT,
                        "%s: number %llu is %.*s: expected at most 2^63 - 1",
                        r->integers->source.label, (unsigned long long)r->n,
                        (int)(length < 32 ? length : 32), (const char *)digits);
    *value = is_large ? INT64_MIN : is_negative ? -(int64_t)magnitude : (int64_t)magnitude;
    return PLUCK_OK;
}

/* '[' or the end of the array that is open. */
static pluck_status take_bracket(text_reader *r)
{
    if (*r->at == '[') {
        if (r->depth == PLK_MAX_AXES || (r->shape.n_axes > 0 && r->depth == r->shape.n_axes))
            return fail_text(r, "arrays nested to the same depth everywhere, at most 64");
        if (r->depth > 0)
            r->counts[r->depth - 1]++;
        r->counts[r->depth++] = 0;
    } else {
        uint64_t *axis = &r->shape.axes[--r->depth];
        if (r->counts[r->depth] == 0 || (*axis != 0 && *axis != r->counts[r->depth]))
            return fail_text(r, "non-empty arrays of the same length");
        *axis = r->counts[r->depth];
    }
    r->at++;
    return PLUCK_OK;
}

static pluck_status take_number(text_reader *r, int64_t *values)
{
    int64_t value = 0;
    pluck_status status = take_integer(r, &value);
    if (status != PLUCK_OK)
        return status;
    if (r->depth > 0) {
        if (r->shape.n_axes == 0)
            r->shape.n_axes = r->depth;
        if (r->depth != r->shape.n_axes)
            return fail_text(r, "arrays nested to the same depth everywhere");
        r->counts[r->depth - 1]++;
    }
    if (values)
        values[r->n] = value;
    r->n++;
    return PLUCK_OK;
}

/* is_joined: nothing is between it and the element before. */
static pluck_status take_item(text_reader *r, bool is_joined, int64_t *values)
{
    if (*r->at == ',' && r->last == AFTER_ELEMENT) {
        r->at++;
        r->last = AFTER_COMMA;
        return PLUCK_OK;
    }
    if (*r->at == ']' && r->depth > 0 && r->last != AFTER_COMMA) {
        r->last = AFTER_ELEMENT;
        return take_bracket(r);
    }
    bool is_array = *r->at == '[' && (r->depth > 0 || r->n == 0);
    if (is_joined)
        return fail_text(r, is_array ? "white space or a comma between arrays"
                                     : "white space or a comma after a whole number");
    r->last = is_array ? AT_BEGIN : AFTER_ELEMENT;
    return is_array ? take_bracket(r) : take_number(r, values);
}

/* All numbers into values, or NULL. Outside of brackets a comma may stand at the end, as editors
 * and spreadsheets leave it. */
static pluck_status read_text(text_reader *r, int64_t *values)
{
    for (;;) {
        const uint8_t *before = r->at;
        while (r->at < r->end && plk_is_space(*r->at))
            r->at++;
        if (r->at == r->end)
            return r->depth > 0 ? fail_text(r, "']' at the end") : PLUCK_OK;
        if (r->shape.n_axes > 0 && r->depth == 0)
            return fail_text(r, "nothing after ']'");
        bool is_joined = r->last == AFTER_ELEMENT && r->at == before;
        pluck_status status = take_item(r, is_joined, values);
        if (status != PLUCK_OK)
            return status;
    }
}

static pluck_status open_text(plk_integers *integers, const uint8_t *begin, pluck_error *err)
{
    const plk_source *source = &integers->source;
    text_reader start = {
        .integers = integers, .at = begin, .end = source->bytes + source->size_bytes, .err = err};
    text_reader r = start;
    pluck_status status = read_text(&r, NULL);
    if (status != PLUCK_OK)
        return status;
    if (r.n == 0)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: does not hold integers; expected whole numbers, as text or .npy",
                        source->label);
    integers->values = plk_alloc(&integers->allocator, (size_t)r.n, sizeof *integers->values);
    if (!integers->values)
        return plk_fail_nomem(err, (size_t)r.n * sizeof *integers->values);
    integers->n = r.n;
    integers->shape = r.shape;
    if (r.shape.n_axes == 0)
        integers->shape = (plk_shape){.n_axes = 1, .axes = {r.n}};
    r = start;
    return read_text(&r, integers->values);
}

/* The source is open; it is closed on failure. */
static pluck_status finish_open(plk_integers *integers, pluck_error *err)
{
    plk_source *source = &integers->source;
    pluck_status status = plk_gzip_unpack(source, PLK_MAX_LOADED_BYTES, err);
    if (status == PLUCK_OK)
        status = plk_source_load(source, PLK_MAX_LOADED_BYTES, err);
    if (status == PLUCK_OK) {
        const uint8_t *begin = source->bytes, *end = begin + source->size_bytes;
        begin += plk_first_byte(begin, (size_t)source->size_bytes);
        if (plk_npy_has_magic(source->bytes, (size_t)source->size_bytes))
            status = open_npy(integers, err);
        else if (begin < end &&
                 (is_digit(*begin) || *begin == '-' || *begin == '+' || *begin == '['))
            status = open_text(integers, begin, err);
        else
            status = plk_fail(
                err, PLUCK_ERR_FORMAT,
                "%s: does not hold integers; expected .npy of integers, or integers as text",
                source->label);
    }
    if (status != PLUCK_OK)
        plk_integers_close(integers);
    return status;
}

pluck_status plk_integers_open(plk_integers *integers, const char *path,
                               const pluck_allocator *allocator, pluck_error *err)
{
    *integers = (plk_integers){.allocator = plk_allocator_or_default(allocator)};
    pluck_status status =
        plk_source_open(&integers->source, path, false, &integers->allocator, err);
    return status == PLUCK_OK ? finish_open(integers, err) : status;
}

pluck_status plk_integers_open_memory(plk_integers *integers, const char *name, const void *bytes,
                                      size_t size_bytes, bool streamed,
                                      const pluck_allocator *allocator, pluck_error *err)
{
    *integers = (plk_integers){.allocator = plk_allocator_or_default(allocator)};
    plk_source_open_memory(&integers->source, name, bytes, size_bytes, streamed,
                           &integers->allocator);
    return finish_open(integers, err);
}

void plk_integers_close(plk_integers *integers)
{
    plk_source_close(&integers->source);
    plk_free(&integers->allocator, integers->values);
    integers->values = NULL;
    integers->n = 0;
}

int64_t plk_integer_at(const uint8_t *bytes, const plk_stored_integers *type, bool *is_large)
{
    bool little = plk_is_swapped(true) == type->swapped;
    unsigned size = type->size_bytes;
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value = value << 8 | bytes[little ? size - 1 - i : i];
    bool is_negative = type->is_signed && value >> (8 * size - 1) != 0;
    if (is_negative && size < 8)
        value |= UINT64_MAX << (8 * size);
    *is_large = !is_negative && value > INT64_MAX;
    int64_t result;
    memcpy(&result, &value, sizeof result);
    return result;
}

pluck_status plk_integers_read(plk_integers *integers, uint64_t first, size_t n, int64_t *values,
                               pluck_error *err)
{
    if (integers->values) {
        if (n > 0)
            memcpy(values, integers->values + first, n * sizeof *values);
        return PLUCK_OK;
    }
    unsigned size = integers->type.size_bytes;
    for (size_t i = 0; i < n; i++) {
        bool is_large = false;
        const uint8_t *bytes =
            plk_source_at(&integers->source, integers->offset_bytes + (first + i) * size, size);
        values[i] = plk_integer_at(bytes, &integers->type, &is_large);
        if (is_large)
            return plk_fail(err, PLUCK_ERR_FORMAT,
                            "%s: number %llu is %llu: expected at most 2^63 - 1",
                            integers->source.label, (unsigned long long)(first + i),
                            (unsigned long long)values[i]);
    }
    return PLUCK_OK;
}
