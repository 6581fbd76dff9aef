/*
 * A strict reader of the dictionary in an .npy header. NumPy evaluates it as a Python literal; the
 * writers in use all write these three keys with a string, a boolean and a tuple, so that is the
 * whole grammar here: keys in any order, either quote, a comma after the last element, white space
 * anywhere between. The parser does not recurse. Everything else is an error with its byte offset.
 */
#include "file/array_file.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"

enum { N_KEYS = 3, V1_TEXT_OFFSET = 10, V2_TEXT_OFFSET = 12 };

static const char magic[] = "\x93NUMPY";
static const char *const key_names[N_KEYS] = {"descr", "fortran_order", "shape"};

typedef struct parser {
    const uint8_t *begin; /* of the header, so that offsets are those of the file */
    const uint8_t *at, *end;
    const char *where;
    pluck_error *err;
    pluck_status status; /* of the first failure */
} parser;

typedef struct literal {
    const uint8_t *text;
    size_t length;
} literal;

bool plk_npy_has_magic(const uint8_t *bytes, size_t size_bytes)
{
    return size_bytes >= PLK_NPY_MAGIC_BYTES && memcmp(bytes, magic, PLK_NPY_MAGIC_BYTES) == 0;
}

pluck_status plk_npy_header_size(const uint8_t *bytes, size_t size_bytes, const char *where,
                                 size_t *text_offset, size_t *header_size_bytes, pluck_error *err)
{
    if (!plk_npy_has_magic(bytes, size_bytes))
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: is not an .npy file: expected \\x93NUMPY at the beginning", where);
    if (size_bytes < PLK_NPY_PREFIX_BYTES)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: truncated: the .npy header ends after %zu bytes", where, size_bytes);
    unsigned major = bytes[6], minor = bytes[7];
    if (major < 1 || major > 3 || minor != 0)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: .npy version %u.%u at byte 6, expected 1.0, 2.0 or 3.0", where, major,
                        minor);
    size_t length = (size_t)plk_read_little(bytes + 8, major > 1 ? 4 : 2);
    *text_offset = major > 1 ? V2_TEXT_OFFSET : V1_TEXT_OFFSET;
    if (length > PLK_NPY_MAX_HEADER_BYTES - V2_TEXT_OFFSET)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: a header of %zu bytes at byte 8, expected at most %d", where, length,
                        PLK_NPY_MAX_HEADER_BYTES - V2_TEXT_OFFSET);
    *header_size_bytes = *text_offset + length;
    return PLUCK_OK;
}

static void skip_space(parser *p)
{
    while (p->at < p->end && plk_is_space(*p->at))
        p->at++;
}

static bool next_is(const parser *p, char c)
{
    return p->at < p->end && *p->at == (uint8_t)c;
}

static void fail_expected(parser *p, const char *expected)
{
    char found[32];
    if (p->status != PLUCK_OK)
        return;
    if (p->at == p->end)
        snprintf(found, sizeof found, "the end of the header");
    else if (*p->at >= 0x20 && *p->at < 0x7F)
        snprintf(found, sizeof found, "'%c'", *p->at);
    else
        snprintf(found, sizeof found, "byte 0x%02x", (unsigned)*p->at);
    p->status =
        plk_fail(p->err, PLUCK_ERR_FORMAT, "%s: .npy header, byte %td: expected %s, found %s",
                 p->where, p->at - p->begin, expected, found);
}

/* One character and the white space around it. */
static void take(parser *p, char c, const char *expected)
{
    skip_space(p);
    if (next_is(p, c))
        p->at++;
    else
        fail_expected(p, expected);
    skip_space(p);
}

static literal take_string(parser *p, const char *expected)
{
    literal string = {p->at, 0};
    if (!next_is(p, '\'') && !next_is(p, '"')) {
        fail_expected(p, expected);
        return string;
    }
    uint8_t quote = *p->at++;
    string.text = p->at;
    while (p->at < p->end && *p->at != quote) {
        if (*p->at == '\\' || *p->at < 0x20)
            fail_expected(p, "a string without escapes");
        p->at++;
    }
    string.length = (size_t)(p->at - string.text);
    if (p->at == p->end)
        fail_expected(p, "a closing quote");
    else
        p->at++;
    return string;
}

static bool literal_is(literal string, const char *text)
{
    return string.length == strlen(text) && memcmp(string.text, text, string.length) == 0;
}

/* What the kind letter of a NumPy type stands for, for messages. */
static const char *kind_name(char kind)
{
    switch (kind) {
    case 'b':
    case '?':
        return "booleans";
    case 'i':
    case 'u':
        return "integers";
    case 'c':
        return "complex numbers";
    case 'O':
        return "pickled Python objects";
    case 'S':
    case 'U':
    case 'a':
        return "text";
    case 'V':
        return "opaque bytes";
    case 'M':
    case 'm':
        return "times";
    case 'f':
        return "floats of another size";
    default:
        return "unknown";
    }
}

static bool float_type(char digit, plk_stored_type *type)
{
    switch (digit) {
    case '2':
        *type = PLK_STORED_F16;
        return true;
    case '4':
        *type = PLK_STORED_F32;
        return true;
    case '8':
        *type = PLK_STORED_F64;
        return true;
    default:
        return false;
    }
}

static void parse_descr(parser *p, plk_npy_fields *fields)
{
    if (next_is(p, '[') || next_is(p, '(')) {
        p->status = plk_fail(p->err, PLUCK_ERR_FORMAT,
                             "%s: .npy header, byte %td: records (a structured type) are not "
                             "logits: expected a type such as '<f4'",
                             p->where, p->at - p->begin);
        return;
    }
    literal descr = take_string(p, "a type such as '<f4'");
    fields->descr = (const char *)descr.text;
    fields->descr_length = descr.length;
    fields->descr_offset = (size_t)(descr.text - p->begin);
}

static void parse_order(parser *p, plk_npy_fields *fields)
{
    static const char *const words[] = {"False", "True"};
    for (size_t i = 0; i < 2; i++) {
        size_t length = strlen(words[i]);
        if ((size_t)(p->end - p->at) >= length && memcmp(p->at, words[i], length) == 0) {
            p->at += length;
            fields->fortran = i == 1;
            return;
        }
    }
    fail_expected(p, "True or False");
}

static uint64_t parse_axis(parser *p)
{
    const uint8_t *begin = p->at;
    uint64_t axis = 0;
    if (p->at == p->end || *p->at < '0' || *p->at > '9')
        fail_expected(p, "a length of 0 or more, or ')'");
    for (; p->at < p->end && *p->at >= '0' && *p->at <= '9'; p->at++) {
        unsigned digit = (unsigned)(*p->at - '0');
        if (axis > (UINT64_MAX - digit) / 10 || axis * 10 + digit > INT64_MAX) {
            p->at = begin;
            fail_expected(p, "a length below 2^63");
            break;
        }
        axis = axis * 10 + digit;
    }
    return axis;
}

static void parse_shape(parser *p, plk_shape *shape)
{
    shape->n_axes = 0;
    take(p, '(', "a tuple");
    while (p->status == PLUCK_OK && !next_is(p, ')')) {
        if (shape->n_axes == PLK_MAX_AXES) {
            fail_expected(p, "at most 64 axes");
            return;
        }
        shape->axes[shape->n_axes++] = parse_axis(p);
        skip_space(p);
        if (!next_is(p, ')') || shape->n_axes == 1)
            take(p, ',', shape->n_axes > 1 ? "',' or ')'" : "','");
    }
    take(p, ')', "')'");
}

/* One "key: value"; *seen has a bit for each key so far. */
static void parse_pair(parser *p, unsigned *seen, plk_npy_fields *fields)
{
    const uint8_t *begin = p->at;
    literal name = take_string(p, "'descr', 'fortran_order', 'shape' or '}'");
    size_t key = 0;
    while (key < N_KEYS && !literal_is(name, key_names[key]))
        key++;
    if (p->status == PLUCK_OK && (key == N_KEYS || (*seen & 1u << key) != 0))
        p->status =
            plk_fail(p->err, PLUCK_ERR_FORMAT,
                     "%s: .npy header, byte %td: %s key '%.*s': expected descr, fortran_order and "
                     "shape",
                     p->where, begin - p->begin, key == N_KEYS ? "unknown" : "repeated",
                     (int)(name.length < 32 ? name.length : 32), (const char *)name.text);
    *seen |= 1u << key;
    take(p, ':', "':'");
    if (p->status != PLUCK_OK)
        return;
    if (key == 0)
        parse_descr(p, fields);
    else if (key == 1)
        parse_order(p, fields);
    else
        parse_shape(p, &fields->shape);
}

static void parse_dictionary(parser *p, plk_npy_fields *fields)
{
    unsigned seen = 0;
    take(p, '{', "'{'");
    while (p->status == PLUCK_OK && !next_is(p, '}')) {
        parse_pair(p, &seen, fields);
        skip_space(p);
        if (!next_is(p, '}'))
            take(p, ',', "',' or '}'");
    }
    take(p, '}', "'}'");
    for (size_t key = 0; key < N_KEYS && p->status == PLUCK_OK; key++)
        if ((seen & 1u << key) == 0)
            p->status =
                plk_fail(p->err, PLUCK_ERR_FORMAT, "%s: .npy header: the key '%s' is missing",
                         p->where, key_names[key]);
    if (p->at != p->end)
        fail_expected(p, "nothing but spaces after '}'");
}

/* Whether the type begins with a byte order: '<', '>', '=' or '|'. */
static bool has_order(const plk_npy_fields *fields)
{
    return fields->descr_length > 0 && fields->descr[0] != '\0' && strchr("<>=|", fields->descr[0]);
}

bool plk_npy_integer_values(const plk_npy_fields *fields, plk_stored_integers *values)
{
    const char *text = fields->descr;
    if (fields->descr_length != 3 || !has_order(fields) || !strchr("iu", text[1]) ||
        !strchr("1248", text[2]) || text[1] == '\0' || text[2] == '\0' ||
        (text[0] == '|') != (text[2] == '1'))
        return false;
    values->is_signed = text[1] == 'i';
    values->size_bytes = (unsigned)(text[2] - '0');
    values->swapped = text[0] != '=' && text[0] != '|' && plk_is_swapped(text[0] == '<');
    return true;
}

/* ml_dtypes, the bfloat16 of NumPy users, is stored as two opaque bytes. */
pluck_status plk_npy_float_values(const plk_npy_fields *fields, pluck_dtype as, const char *where,
                                  plk_stored_values *values, pluck_error *err)
{
    const char *text = fields->descr;
    literal descr = {(const uint8_t *)text, fields->descr_length};
    plk_stored_integers integers;
    bool is_16_bits = plk_npy_integer_values(fields, &integers) && integers.size_bytes == 2;
    bool ordered = has_order(fields), known = false;
    size_t kind_at = ordered ? 1 : 0;
    if (literal_is(descr, "<V2") || literal_is(descr, "|V2") || literal_is(descr, "bfloat16")) {
        values->type = PLK_STORED_BF16;
        values->swapped = plk_is_swapped(true);
        known = true;
    } else if (descr.length == 3 && ordered && text[0] != '|' && text[1] == 'f') {
        known = float_type(text[2], &values->type);
        values->swapped = text[0] != '=' && plk_is_swapped(text[0] == '<');
    } else if (is_16_bits && as != PLUCK_F32) {
        values->type = as == PLUCK_F16 ? PLK_STORED_F16 : PLK_STORED_BF16;
        values->swapped = integers.swapped;
        known = true;
    }
    if (!known)
        return plk_fail(
            err, PLUCK_ERR_FORMAT,
            "%s: .npy values of type '%.*s' (%s) at byte %zu are not logits: expected f2, "
            "f4, f8 with '<', '>' or '=', or bfloat16 as '<V2'%s",
            where, (int)(descr.length < 32 ? descr.length : 32), text,
            kind_name(descr.length > kind_at ? text[kind_at] : '\0'), fields->descr_offset,
            is_16_bits ? "; --dtype bf16 (raw_dtype) if these are the bits of bfloat16" : "");
    memcpy(values->name, text, descr.length);
    values->name[descr.length] = '\0';
    return PLUCK_OK;
}

pluck_status plk_npy_header_fields(const uint8_t *header, size_t text_offset,
                                   size_t header_size_bytes, const char *where,
                                   plk_npy_fields *fields, pluck_error *err)
{
    parser p = {.begin = header,
                .at = header + text_offset,
                .end = header + header_size_bytes,
                .where = where,
                .err = err};
    *fields = (plk_npy_fields){0};
    parse_dictionary(&p, fields);
    return p.status;
}

pluck_status plk_npy_header_read(plk_source *source, const char *where, plk_npy_fields *fields,
                                 size_t *header_size_bytes, pluck_error *err)
{
    const uint8_t *bytes = NULL;
    size_t available = 0, text_offset = 0;
    pluck_status status = plk_source_peek(source, PLK_NPY_PREFIX_BYTES, &bytes, &available, err);
    if (status == PLUCK_OK)
        status = plk_npy_header_size(bytes, available, where, &text_offset, header_size_bytes, err);
    if (status == PLUCK_OK)
        status = plk_source_peek(source, *header_size_bytes, &bytes, &available, err);
    if (status != PLUCK_OK)
        return status;
    if (available < *header_size_bytes)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: truncated: the .npy header has %zu bytes, the file has %zu", where,
                        *header_size_bytes, available);
    return plk_npy_header_fields(bytes, text_offset, *header_size_bytes, where, fields, err);
}
