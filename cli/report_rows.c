/*
 * Rows for the explorer of a report. A row is sorted as the library orders tokens; its largest
 * logits are written as base64 of little-endian binary32, as many as the page has room for, and the
 * others as bins [centre, n, s1, s2, s3, s4]: of differences d to the largest logit, with s_k = sum
 * of (d - centre)^k. cli/report/report.js says what it makes of them.
 */
#include "commands/report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TEXTS_A_ROW = 200, PAGE_TEXT_COLUMNS = 80, REST_BINS = 64, POWERS = 4 };

typedef struct ranked {
    float logit;
    uint32_t token;
} ranked;

static int best_first(const void *left, const void *right)
{
    const ranked *a = left, *b = right;
    if (a->logit != b->logit)
        return a->logit > b->logit ? -1 : 1;
    return a->token < b->token ? -1 : 1;
}

static float half_value(uint16_t bits, pluck_dtype dtype)
{
    if (dtype == PLUCK_BF16) {
        uint32_t wide = (uint32_t)bits << 16;
        float value;
        memcpy(&value, &wide, sizeof value);
        return value;
    }
    int exponent = bits >> 10 & 31, fraction = bits & 1023;
    double value = exponent == 0 ? ldexp(fraction, -24) : ldexp(1024 + fraction, exponent - 25);
    double finite = exponent < 31 ? value : fraction != 0 ? (double)NAN : (double)INFINITY;
    return (float)(bits & 0x8000 ? -finite : finite);
}

static float logit_at(pluck_logits logits, uint32_t i)
{
    if (logits.dtype == PLUCK_F32) {
        float value;
        memcpy(&value, (const char *)logits.data + (size_t)i * sizeof value, sizeof value);
        return value;
    }
    uint16_t bits;
    memcpy(&bits, (const char *)logits.data + (size_t)i * sizeof bits, sizeof bits);
    return half_value(bits, logits.dtype);
}

static void write_base64(output *out, const ranked *row, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t at = 0; at < 4 * n; at += 3) {
        uint32_t group = 0;
        for (size_t k = 0; k < 3; k++) {
            uint32_t bits = 0;
            if (at + k < 4 * n)
                memcpy(&bits, &row[(at + k) / 4].logit, sizeof bits);
            group = group << 8 | (bits >> 8 * ((at + k) % 4) & 255);
        }
        for (size_t k = 0; k < 4; k++)
            output_char(out, at + k > 4 * n ? '=' : digits[group >> (18 - 6 * k) & 63]);
    }
}

/* The text of a token, or null without a vocabulary. */
static void write_name(const report *r, output *out, uint32_t token)
{
    size_t length = 0;
    const char *text = texts_get(&r->texts, (pluck_token)token, &length);
    if (r->texts.name)
        output_script_string(out, text, length, PAGE_TEXT_COLUMNS);
    else
        output_text(out, "null");
}

/* Tokens with their texts, as many as a list may show. */
static void write_tokens(const report *r, output *out, const ranked *row, size_t n)
{
    for (size_t i = 0; i < n && i < TEXTS_A_ROW; i++) {
        output_printf(out, "%s[%u,", i > 0 ? "," : "", (unsigned)row[i].token);
        write_name(r, out, row[i].token);
        output_char(out, ']');
    }
}

/* Bins of equal width over row[0 .. n - 1], with their power sums around their means. */
static void write_rest(output *out, const ranked *row, size_t n, double max)
{
    double high = n > 0 ? (double)row[0].logit : 0, low = n > 0 ? (double)row[n - 1].logit : 0;
    double width = (high - low) / REST_BINS;
    bool is_first = true;
    for (size_t at = 0; at < n;) {
        double end = (double)row[at].logit - width;
        double sum = 0, powers[POWERS] = {0};
        size_t next = at;
        for (; next < n && ((double)row[next].logit >= end || next == at); next++)
            sum += (double)row[next].logit - max;
        double centre = sum / (double)(next - at);
        /* What is far out weighs nothing, and its powers would overflow. */
        for (size_t i = at; i < next && centre > -2000; i++) {
            double d = (double)row[i].logit - max - centre;
            double power = 1;
            for (size_t k = 0; k < POWERS; k++)
                powers[k] += power *= d;
        }
        output_printf(out, "%s[", is_first ? "" : ",");
        output_double(out, centre);
        output_printf(out, ",%zu", next - at);
        for (size_t k = 0; k < POWERS; k++) {
            output_char(out, ',');
            output_double(out, powers[k]);
        }
        output_char(out, ']');
        is_first = false;
        at = next;
    }
}

/* Where the token that followed is among all tokens that are possible, and how far below the best
 * one: the page may hold neither its logit nor, in its list, its name. */
static void write_target(const report *r, output *out, const ranked *row, size_t n,
                         pluck_token target)
{
    size_t place = 0;
    if (target < 0) {
        output_text(out, "null");
        return;
    }
    while (place < n && row[place].token != (uint32_t)target)
        place++;
    output_printf(out, "%d,\"target_place\":%zu,\"target_d\":", (int)target, place);
    if (place < n)
        output_double(out, (double)row[place].logit - (double)row[0].logit);
    else
        output_text(out, "null");
    output_text(out, ",\"target_text\":");
    write_name(r, out, (uint32_t)target);
}

static void write_row(const report *r, output *out, size_t dump, uint64_t index, const ranked *row,
                      size_t n, pluck_token target)
{
    size_t room = (size_t)REPORT_LOGIT_BYTES / r->n_explored * 3 / 16;
    size_t n_written = n < room ? n : room;
    output_printf(out, "{\"dump\":%zu,\"row\":%llu,\"logits\":\"", dump, (unsigned long long)index);
    write_base64(out, row, n_written);
    output_text(out, "\",\"rest\":[");
    write_rest(out, row + n_written, n - n_written, (double)row[0].logit);
    output_text(out, "],\"tokens\":[");
    write_tokens(r, out, row, n_written);
    output_text(out, "],\"target\":");
    write_target(r, out, row, n, target);
    output_char(out, '}');
}

static int explore_row(const report *r, output *out, size_t dump, uint64_t index, ranked *row)
{
    const report_dump *d = &r->dumps[dump];
    pluck_dump_row read = PLUCK_INIT(pluck_dump_row);
    pluck_error err;
    pluck_token target = PLUCK_NO_TOKEN;
    pluck_status status = pluck_dump_read(d->t.src.dump, index, d->t.src.scratch, &read, &err);
    if (status != PLUCK_OK)
        return complain(r->flags->tuning.call.who, exit_code_of(status), "%s", err.message);
    int code = targets_get(&d->t.truth, index, &read, &target);
    if (code != EXIT_DONE)
        return code;
    size_t n = 0;
    for (uint32_t i = 0; i < read.logits.n_vocab; i++) {
        float logit = logit_at(read.logits, i);
        if (isnan(logit) || logit == INFINITY)
            return complain(r->flags->tuning.call.who, EXIT_DATA,
                            "%s: row %llu: the logit of token %u is NaN or +inf", d->t.name,
                            (unsigned long long)index, (unsigned)i);
        if (logit > -INFINITY)
            row[n++] = (ranked){logit, i};
    }
    if (n == 0)
        return complain(r->flags->tuning.call.who, EXIT_DATA, "%s: row %llu: every logit is -inf",
                        d->t.name, (unsigned long long)index);
    qsort(row, n, sizeof *row, best_first);
    write_row(r, out, dump, index, row, n, target);
    return EXIT_DONE;
}

uint64_t report_row(const report_dump *d, size_t i)
{
    uint64_t n = d->t.data.end - d->t.data.first;
    return d->t.data.first + (uint64_t)((double)n * (double)i / (double)d->n_explored);
}

int report_write_rows(const report *r, output *out)
{
    int code = EXIT_DONE;
    output_text(out, "{\"rows\":[");
    for (size_t k = 0; k < r->n_dumps && code == EXIT_DONE; k++) {
        const report_dump *d = &r->dumps[k];
        ranked *row = malloc(d->t.src.info.n_vocab * sizeof *row);
        if (!row)
            return complain_memory(r->flags->tuning.call.who);
        for (size_t i = 0; i < d->n_explored && code == EXIT_DONE; i++) {
            if (i + k > 0)
                output_text(out, ",\n");
            code = explore_row(r, out, k, report_row(d, i), row);
        }
        free(row);
    }
    output_text(out, "]}");
    return code;
}
