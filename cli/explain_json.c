/*
 * pluck inspect --explain --format json. The keys are the names of <pluck/trace.h>, which says what
 * they mean. Missing numbers are written as null.
 */
#include "commands/inspect.h"
#include "keys.h"
#include "setup.h"

#include <string.h>

static void json_place(output *out, const char *name, const pluck_place *place)
{
    if (place->token < 0) {
        output_printf(out, ",\"%s\":null", name);
        return;
    }
    output_printf(out, ",\"%s\":{\"token\":%d", name, (int)place->token);
    inspect_json_member(out, "logit", place->logit);
    inspect_json_member(out, "prob", place->prob);
    output_char(out, '}');
}

static void json_words(output *out, const uint64_t *words, size_t n)
{
    output_text(out, ",\"words\":[");
    for (size_t i = 0; i < n; i++)
        output_printf(out, "%s\"0x%016llx\"", i > 0 ? "," : "", (unsigned long long)words[i]);
    output_char(out, ']');
}

static void json_edits(output *out, const pluck_stage_report *r)
{
    output_printf(out, ",\"n_edits\":%u,\"edits\":[", (unsigned)r->n_edits);
    for (uint32_t i = 0; i < r->n_listed; i++) {
        output_printf(out, "%s{\"token\":%d", i > 0 ? "," : "", (int)r->edits[i].token);
        inspect_json_member(out, "before", r->edits[i].before);
        inspect_json_member(out, "after", r->edits[i].after);
        output_char(out, '}');
    }
    output_char(out, ']');
}

void explain_json_stage(const pluck_stage_report *r, output *out)
{
    static const char *const bounds[] = {"none", "formula", "worst_kept", "best_kept", "band"};
    output_text(out, ",\"params\":");
    if (r->info)
        print_params_json(out, r->info, r->params);
    else
        output_text(out, "{}");
    output_printf(out, ",\"removed\":%u", (unsigned)r->n_removed);
    inspect_json_member(out, "entropy_before", r->entropy_before);
    inspect_json_member(out, "temperature", r->temperature);
    output_printf(out, ",\"bound\":\"%s\"", bounds[r->bound]);
    inspect_json_member(out, "bound_logit", r->bound_logit);
    inspect_json_member(out, "bound_prob", r->bound_prob);
    json_place(out, "worst_kept", &r->worst_kept);
    json_place(out, "best_kept", &r->best_kept);
    json_place(out, "best_removed", &r->best_removed);
    output_text(out, ",\"values\":{");
    for (size_t i = 0; i < r->n_values; i++) {
        output_printf(out, "%s\"%s\":", i > 0 ? "," : "", r->values[i].name);
        output_float(out, r->values[i].value);
    }
    output_char(out, '}');
    json_edits(out, r);
    output_printf(out, ",\"n_words\":%zu", r->n_words);
    json_words(out, r->words, r->n_words < PLUCK_TRACE_WORDS ? r->n_words : PLUCK_TRACE_WORDS);
}

static void json_draw(const inspection *in, output *out)
{
    const pluck_trace_draw *d = in->report->draw;
    pluck_sampler_info info = setup_sampler_info(in->sampler);
    output_printf(out, ",\"draw\":{\"seed\":%llu,\"stream\":%llu,\"position\":%llu,\"token\":%d",
                  (unsigned long long)info.seed, (unsigned long long)info.stream,
                  (unsigned long long)info.position, (int)d->drawn.token);
    inspect_json_member(out, "logprob", (double)d->drawn.logprob);
    const struct {
        const char *name;
        double value;
    } doubles[] = {{"low", d->low}, {"high", d->high}, {"at", d->at}};
    for (size_t i = 0; i < sizeof doubles / sizeof *doubles; i++) {
        output_printf(out, ",\"%s\":", doubles[i].name);
        output_double(out, doubles[i].value);
    }
    output_printf(out, ",\"inverse\":%s", d->inverse ? "true" : "false");
    output_printf(out, ",\"n_words\":%zu", d->n_words);
    json_words(out, d->words,
               d->n_words < PLUCK_TRACE_DRAW_WORDS ? d->n_words : PLUCK_TRACE_DRAW_WORDS);
    output_char(out, '}');
}

static void json_fate(const inspection *in, output *out, const pluck_token_fate *f)
{
    output_printf(out, "{\"token\":%d", (int)f->token);
    if (in->texts.name) {
        size_t n = 0;
        const char *text = texts_get(&in->texts, f->token, &n);
        output_text(out, ",\"text\":");
        output_json_string(out, text, n);
    }
    const pluck_stage_report *r =
        f->removed_by < in->report->n_stages ? in->report->stages[f->removed_by] : NULL;
    if (!r)
        output_text(out, ",\"removed_by\":null");
    else
        output_printf(out, ",\"removed_by\":\"%s\"", r->stage);
    inspect_json_member(out, "lacked_logit", f->lacked_logit);
    inspect_json_member(out, "lacked_prob", f->lacked_prob);
    output_text(out, ",\"steps\":[");
    for (size_t i = 0; i < in->report->n_stages && i < f->removed_by; i++) {
        const pluck_token_step *s = &f->steps[i];
        output_printf(out, "%s{\"stage\":\"%s\"", i > 0 ? "," : "", in->report->stages[i]->stage);
        inspect_json_member(out, "logit", s->logit);
        inspect_json_member(out, "prob", s->prob);
        output_printf(out, ",\"rank\":%u", (unsigned)s->rank);
        inspect_json_member(out, "above", s->above);
        output_char(out, '}');
    }
    output_text(out, "]}");
}

void explain_json_rest(const inspection *in, output *out)
{
    json_draw(in, out);
    output_text(out, ",\"tokens\":[");
    for (size_t i = 0; i < in->report->n_tokens; i++) {
        output_text(out, i > 0 ? "," : "");
        json_fate(in, out, in->report->tokens[i]);
    }
    output_char(out, ']');
}
