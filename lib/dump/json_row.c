/*
 * Each row is scanned (json_scan.c) from front to back; nothing of it is kept but its values.
 */
#include "dump/json_row.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#include <pluck/dump.h>

#include "base/error.h"
#include "dump/json_scan.h"

typedef struct reader {
    plk_json_scan scan;
    float *values;
    uint32_t n_vocab;
} reader;

static pluck_status fail_count(const reader *r, uint32_t n)
{
    return plk_fail(r->scan.err, PLUCK_ERR_FORMAT, "%s: row %llu has %s%u values, expected %u",
                    r->scan.where, (unsigned long long)r->scan.number,
                    n > r->n_vocab ? "more than " : "", (unsigned)(n > r->n_vocab ? r->n_vocab : n),
                    (unsigned)r->n_vocab);
}

/* [v, v, ...] */
static pluck_status read_array(reader *r, plk_json_row *row)
{
    uint32_t most = r->n_vocab != 0 ? r->n_vocab : PLUCK_MAX_VOCAB;
    uint32_t n = 0;
    if (plk_json_take(&r->scan, ']'))
        return plk_json_fail_expected(&r->scan, "a value for each token before the ']'");
    do {
        float value = 0.0f;
        pluck_status status = plk_json_take_value(&r->scan, &value);
        if (status != PLUCK_OK)
            return status;
        if (n == most)
            return r->n_vocab != 0 ? fail_count(r, n + 1)
                                   : plk_json_fail_expected(&r->scan, "at most 16777216 values");
        if (r->values)
            r->values[n] = value;
        n++;
    } while (plk_json_take(&r->scan, ','));
    if (!plk_json_take(&r->scan, ']'))
        return plk_json_fail_expected(&r->scan, "',' or ']'");
    row->n_values = n;
    return r->n_vocab != 0 && n != r->n_vocab ? fail_count(r, n) : PLUCK_OK;
}

static pluck_status parse_id(const reader *r, const uint8_t *text, size_t length, uint32_t *id)
{
    uint32_t most = r->n_vocab != 0 ? r->n_vocab : PLUCK_MAX_VOCAB;
    uint32_t value = 0;
    bool is_id = length > 0 && length < 9;
    for (size_t i = 0; i < length && is_id; i++) {
        is_id = text[i] >= '0' && text[i] <= '9';
        value = 10 * value + (uint32_t)(text[i] - '0');
    }
    *id = value;
    if (is_id && value < most)
        return PLUCK_OK;
    return plk_fail(r->scan.err, PLUCK_ERR_FORMAT,
                    "%s: row %llu: \"%.*s\" is no token: expected an id from 0 to %u",
                    r->scan.where, (unsigned long long)r->scan.number,
                    (int)(length < 32 ? length : 32), (const char *)text, (unsigned)(most - 1));
}

/* {"id": v, ...} */
static pluck_status read_map(reader *r, plk_json_row *row)
{
    row->is_sparse = true;
    for (uint32_t i = 0; r->values && i < r->n_vocab; i++)
        r->values[i] = -INFINITY;
    if (plk_json_take(&r->scan, '}'))
        return plk_json_fail_expected(&r->scan, "a value for some token before the '}'");
    do {
        const uint8_t *text = NULL;
        size_t length = 0;
        uint32_t id = 0;
        float value = 0.0f;
        pluck_status status = plk_json_take_string(&r->scan, &text, &length);
        if (status == PLUCK_OK)
            status = parse_id(r, text, length, &id);
        if (status == PLUCK_OK && !plk_json_take(&r->scan, ':'))
            status = plk_json_fail_expected(&r->scan, "':'");
        if (status == PLUCK_OK)
            status = plk_json_take_value(&r->scan, &value);
        if (status != PLUCK_OK)
            return status;
        if (r->values && r->values[id] != -INFINITY)
            return plk_fail(r->scan.err, PLUCK_ERR_FORMAT, "%s: row %llu: token %u is given twice",
                            r->scan.where, (unsigned long long)r->scan.number, (unsigned)id);
        if (r->values)
            r->values[id] = value;
        row->n_values++;
    } while (plk_json_take(&r->scan, ','));
    return plk_json_take(&r->scan, '}') ? PLUCK_OK : plk_json_fail_expected(&r->scan, "',' or '}'");
}

static pluck_status read_target(reader *r, plk_json_row *row)
{
    uint32_t most = r->n_vocab != 0 ? r->n_vocab : PLUCK_MAX_VOCAB;
    double number = 0.0;
    if (plk_json_take_word(&r->scan, "null"))
        return PLUCK_OK;
    pluck_status status = plk_json_take_number(&r->scan, &number);
    if (status != PLUCK_OK || number < 0.0)
        return status;
    if (!(number < (double)most) || number != floor(number))
        return plk_fail(r->scan.err, PLUCK_ERR_FORMAT,
                        "%s: row %llu: the target is %.10g: expected a token from 0 to %u, a "
                        "negative number or null",
                        r->scan.where, (unsigned long long)r->scan.number, number,
                        (unsigned)(most - 1));
    row->target = (pluck_token)number;
    return PLUCK_OK;
}

static bool is_key(const uint8_t *text, size_t length, const char *key)
{
    return length == strlen(key) && memcmp(text, key, length) == 0;
}

/* One "key": value; *has_values and *has_target say what there was before. */
static pluck_status read_pair(reader *r, plk_json_row *row, bool *has_values, bool *has_target)
{
    const uint8_t *text = NULL;
    size_t length = 0;
    pluck_status status = plk_json_take_string(&r->scan, &text, &length);
    if (status != PLUCK_OK)
        return status;
    if (!plk_json_take(&r->scan, ':'))
        return plk_json_fail_expected(&r->scan, "':'");
    if (is_key(text, length, "logits") || is_key(text, length, "logprobs")) {
        if (*has_values)
            return plk_json_fail_expected(&r->scan, "one of \"logits\" and \"logprobs\", once");
        *has_values = true;
        if (plk_json_take(&r->scan, '['))
            return read_array(r, row);
        return plk_json_take(&r->scan, '{') ? read_map(r, row)
                                            : plk_json_fail_expected(&r->scan, "'[' or '{'");
    }
    if (is_key(text, length, "target")) {
        if (*has_target)
            return plk_json_fail_expected(&r->scan, "one \"target\"");
        *has_target = true;
        return read_target(r, row);
    }
    return plk_json_skip_value(&r->scan, 1);
}

pluck_status plk_json_row_read(const uint8_t *line, size_t length, float *values, uint32_t n_vocab,
                               const char *where, uint64_t number, plk_json_row *row,
                               pluck_error *err)
{
    reader r = {{line, line, line + length, where, number, err}, values, n_vocab};
    bool has_values = false, has_target = false;
    *row = (plk_json_row){.target = PLUCK_NO_TOKEN};
    if (!plk_json_take(&r.scan, '{'))
        return plk_json_fail_expected(&r.scan, "'{' and a row on one line");
    do {
        if (plk_json_next_is(&r.scan, '}') && !has_values && !has_target)
            break;
        pluck_status status = read_pair(&r, row, &has_values, &has_target);
        if (status != PLUCK_OK)
            return status;
    } while (plk_json_take(&r.scan, ','));
    if (!plk_json_take(&r.scan, '}'))
        return plk_json_fail_expected(&r.scan, "',' or '}'");
    if (r.scan.at != r.scan.end)
        return plk_json_fail_expected(&r.scan, "the end of the line");
    if (!has_values)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: row %llu has neither \"logits\" nor \"logprobs\"", where,
                        (unsigned long long)number);
    return PLUCK_OK;
}
