/* Numbers are written so that they read back to the same bits. */
#include "trace_line.h"

#include <stdlib.h>
#include <string.h>

/* words: the first n_recorded of n. */
static void add_words(draw_record *record, const uint64_t *words, size_t n, size_t n_recorded)
{
    for (size_t i = 0; i < n && i < n_recorded && record->n_words + i < RECORDED_WORDS; i++)
        record->words[record->n_words + i] = words[i];
    record->n_words += n;
}

pluck_status record_draw(pluck_sampler *sampler, pluck_logits logits, pluck_trace *trace,
                         draw_record *record, pluck_error *err)
{
    pluck_status status = pluck_trace_run(trace, sampler, logits, NULL, 0, err);
    if (status != PLUCK_OK)
        return status;
    const pluck_trace_report *report = pluck_trace_get_report(trace);
    const pluck_trace_draw *d = report->draw;
    *record = (draw_record){.low = d->low, .high = d->high, .at = d->at};
    for (size_t i = 0; i < report->n_stages; i++) {
        const pluck_stage_report *r = report->stages[i];
        add_words(record, r->words, r->n_words, PLUCK_TRACE_WORDS);
    }
    add_words(record, d->words, d->n_words, PLUCK_TRACE_DRAW_WORDS);
    return PLUCK_OK;
}

static void print_list(output *out, const char *name, const token_list *list)
{
    output_printf(out, ",\"%s\":[", name);
    for (size_t i = 0; i < list->n; i++)
        output_printf(out, "%s%d", i > 0 ? "," : "", (int)list->tokens[i]);
    output_char(out, ']');
}

static void print_double(output *out, const char *name, double value)
{
    output_printf(out, ",\"%s\":", name);
    output_double(out, value);
}

void print_origin(output *out, const draw_origin *origin, const draw_record *record)
{
    output_printf(out, ",\"trace\":{\"format\":%d,\"config\":", TRACE_LINE_FORMAT);
    output_write(out, origin->config, origin->config_size_bytes);
    output_printf(out, ",\"seed\":%llu,\"stream\":%llu,\"position\":%llu",
                  (unsigned long long)origin->seed, (unsigned long long)origin->stream,
                  (unsigned long long)origin->position);
    print_list(out, "prompt", &origin->prompt);
    if (origin->is_sequence) {
        output_printf(out, ",\"first_row\":%llu", (unsigned long long)origin->first_row);
        if (origin->row_step != 1)
            output_printf(out, ",\"row_step\":%llu", (unsigned long long)origin->row_step);
        print_list(out, "history", &origin->history);
    }
    output_printf(out, ",\"n_vocab\":%u,\"dtype\":\"%s\",\"logits\":\"0x%016llx\"",
                  (unsigned)origin->n_vocab, pluck_dtype_name(origin->dtype),
                  (unsigned long long)origin->hash);
    print_double(out, "low", record->low);
    print_double(out, "high", record->high);
    print_double(out, "at", record->at);
    output_printf(out, ",\"n_words\":%zu,\"words\":[", record->n_words);
    size_t n = record->n_words < RECORDED_WORDS ? record->n_words : RECORDED_WORDS;
    for (size_t i = 0; i < n; i++)
        output_printf(out, "%s\"0x%016llx\"", i > 0 ? "," : "",
                      (unsigned long long)record->words[i]);
    output_text(out, "]}");
}

/* The finaliser of SplitMix64 (Steele, Lea, Flood 2014). */
static uint64_t mix(uint64_t x)
{
    x += UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
    return x ^ x >> 31;
}

uint64_t row_hash(pluck_logits logits)
{
    size_t size_bytes = pluck_dtype_size_bytes(logits.dtype);
    const unsigned char *at = logits.data;
    uint64_t hash = mix((uint64_t)logits.dtype << 32 | logits.n_vocab);
    for (uint32_t i = 0; i < logits.n_vocab; i++, at += size_bytes) {
        uint32_t bits = 0;
        uint16_t half = 0;
        if (size_bytes == sizeof bits) {
            memcpy(&bits, at, sizeof bits);
        } else {
            memcpy(&half, at, sizeof half);
            bits = half;
        }
        hash = mix(hash ^ bits);
    }
    return hash;
}

/* Takes white space out that is not in a string; returns the new length. */
static size_t squeeze(char *json, size_t n)
{
    size_t used = 0;
    bool in_string = false;
    for (size_t i = 0; i < n; i++) {
        if (!in_string && strchr(" \n\t\r", json[i]))
            continue;
        if (in_string && json[i] == '\\' && i + 1 < n)
            json[used++] = json[i++];
        else if (json[i] == '"')
            in_string = !in_string;
        json[used++] = json[i];
    }
    return used;
}

char *config_line(const pluck_config *config, size_t *size_bytes)
{
    size_t n = 0;
    /* Fails because nothing fits, but says what would. */
    (void)pluck_config_to_json(config, NULL, 0, &n, NULL);
    char *text = malloc(n + 1);
    if (!text || pluck_config_to_json(config, text, n + 1, &n, NULL) != PLUCK_OK) {
        free(text);
        return NULL;
    }
    *size_bytes = squeeze(text, n);
    return text;
}
