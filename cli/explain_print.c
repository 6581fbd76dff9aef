/*
 * pluck inspect --explain for people: a line a stage, and under it what it did, one fact a line.
 */
#include "commands/inspect.h"
#include "setup.h"

#include <math.h>

#define SHOWN_WORDS    64
#define SHOWN_EDITS    8 /* of each stage */
#define WORDS_PER_LINE 4
#define INDENT         "    "

/* "17 "text"" */
static void print_token(const inspection *in, output *out, pluck_token token)
{
    output_printf(out, "%d", (int)token);
    if (!in->texts.name)
        return;
    output_char(out, ' ');
    inspect_print_token(in, out, token, false);
}

static void print_place(const inspection *in, output *out, const char *what,
                        const pluck_place *place)
{
    output_printf(out, INDENT "%s: l %.6g, p %.6g, token ", what, place->logit, place->prob);
    print_token(in, out, place->token);
    output_char(out, '\n');
}

static void print_bound(const inspection *in, output *out, const pluck_stage_report *r)
{
    switch (r->bound) {
    case PLUCK_BOUND_FORMULA:
        output_printf(out, INDENT "threshold: l >= %.6g, which is p >= %.6g\n", r->bound_logit,
                      r->bound_prob);
        break;
    case PLUCK_BOUND_BEST_KEPT:
        print_place(in, out, "best kept", &r->best_kept);
        break;
    case PLUCK_BOUND_BAND:
        print_place(in, out, "best kept", &r->best_kept);
        print_place(in, out, "worst kept", &r->worst_kept);
        break;
    default:
        break;
    }
    bool is_prefix = r->bound == PLUCK_BOUND_FORMULA || r->bound == PLUCK_BOUND_WORST_KEPT;
    if (is_prefix && r->n_removed > 0)
        print_place(in, out, "worst kept", &r->worst_kept);
    if (r->bound != PLUCK_BOUND_NONE && r->n_removed > 0)
        print_place(in, out, "best removed", &r->best_removed);
}

static void print_edits(const inspection *in, output *out, const pluck_stage_report *r)
{
    uint32_t n = r->n_listed < SHOWN_EDITS ? r->n_listed : SHOWN_EDITS;
    for (uint32_t i = 0; i < n; i++) {
        const pluck_trace_edit *e = &r->edits[i];
        output_printf(out, INDENT "l %.6g -> %.6g: token ", e->before, e->after);
        print_token(in, out, e->token);
        output_char(out, '\n');
    }
    if (n < r->n_edits)
        output_printf(out, INDENT "and %u more tokens\n", (unsigned)(r->n_edits - n));
}

static void print_words(output *out, const uint64_t *words, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        bool starts_line = n > 1 && i % WORDS_PER_LINE == 0;
        output_printf(out, "%s0x%016llx", starts_line ? "\n" INDENT INDENT : " ",
                      (unsigned long long)words[i]);
    }
    output_char(out, '\n');
}

/* Lists may be long: how many entries they have. */
static void print_param(output *out, const pluck_param *p, const void *value)
{
    bool is_list = p->type == PLUCK_PARAM_BIAS_MAP || p->type == PLUCK_PARAM_TOKENS ||
                   p->type == PLUCK_PARAM_SEQUENCES;
    output_printf(out, is_list ? "%s (entries) = " : "%s = ", p->name);
    switch (p->type) {
    case PLUCK_PARAM_INTEGER:
        output_printf(out, "%lld", (long long)*(const int64_t *)value);
        break;
    case PLUCK_PARAM_BOOLEAN:
        output_text(out, *(const bool *)value ? "true" : "false");
        break;
    case PLUCK_PARAM_BIAS_MAP:
        output_printf(out, "%zu", ((const pluck_bias_map *)value)->n);
        break;
    case PLUCK_PARAM_TOKENS:
        output_printf(out, "%zu", ((const pluck_token_set *)value)->n);
        break;
    case PLUCK_PARAM_SEQUENCES:
        output_printf(out, "%zu", ((const pluck_sequences *)value)->n);
        break;
    default:
        output_printf(out, "%.6g", *(const double *)value);
    }
}

static void print_facts(const inspection *in, output *out, const pluck_stage_report *r)
{
    size_t n_params = r->info ? r->info->n_params : 0;
    for (size_t i = 0; i < n_params; i++) {
        const pluck_param *p = &r->info->params[i];
        output_text(out, i == 0 ? INDENT : ", ");
        print_param(out, p, (const char *)r->params + p->offset_bytes);
        output_text(out, i + 1 == n_params ? "\n" : "");
    }
    for (size_t i = 0; i < r->n_values; i++)
        output_printf(out, "%s%s = %.6g%s", i == 0 ? INDENT "worked with " : ", ",
                      r->values[i].name, r->values[i].value, i + 1 == r->n_values ? "\n" : "");
    if (r->n_words > 0) {
        output_printf(out, INDENT "random numbers (%zu):", r->n_words);
        print_words(out, r->words, r->n_words < PLUCK_TRACE_WORDS ? r->n_words : PLUCK_TRACE_WORDS);
    }
    print_bound(in, out, r);
    print_edits(in, out, r);
}

static void print_stages(const inspection *in, output *out, const paint *codes)
{
    output_printf(out, "\n%s%-22s %10s %10s %9s %9s %10s%s\n", codes->head, "stage", "survivors",
                  "removed", "mass", "entropy", "effective", codes->off);
    for (size_t i = 0; i < in->report->n_stages; i++) {
        const pluck_stage_report *r = in->report->stages[i];
        output_printf(out, "%s%-22s %10u %10u %9.6f %9.4f %10.2f%s\n", codes->head, r->stage,
                      (unsigned)r->n_survivors, (unsigned)r->n_removed, r->mass, r->entropy,
                      exp(r->entropy), codes->off);
        print_facts(in, out, r);
    }
}

static void print_draw(const inspection *in, output *out, const paint *codes)
{
    const pluck_trace_draw *d = in->report->draw;
    pluck_sampler_info info = setup_sampler_info(in->sampler);
    output_printf(out, "\n%sdraw%s of seed %llu, stream %llu, position %llu: token ", codes->head,
                  codes->off, (unsigned long long)info.seed, (unsigned long long)info.stream,
                  (unsigned long long)info.position);
    print_token(in, out, d->drawn.token);
    output_printf(out, "\n" INDENT "p %.6g, logprob %.6g\n", d->high - d->low,
                  d->drawn.logprob == 0.0f ? 0.0 : (double)d->drawn.logprob);
    output_printf(out, INDENT "interval [%.9f, %.9f) of the probabilities laid out by token id\n",
                  d->low, d->high);
    if (d->n_words == 0) {
        output_text(out, INDENT "without random numbers\n");
        return;
    }
    output_printf(out, INDENT "drawn at %.9f, %s\n", d->at,
                  d->inverse ? "the last random number as a fraction"
                             : "what the random numbers amount to (rejection)");
    size_t n_shown = d->n_words < SHOWN_WORDS ? d->n_words : SHOWN_WORDS;
    output_printf(out, INDENT "random numbers (%zu):", d->n_words);
    print_words(out, d->words, n_shown);
    if (n_shown < d->n_words)
        output_printf(out, INDENT INDENT "and %zu more\n", d->n_words - n_shown);
}

static void print_verdict(const inspection *in, output *out, const pluck_token_fate *f)
{
    if (f->removed_by == PLUCK_TRACE_SURVIVED) {
        output_text(out, " survived\n");
        return;
    }
    if (f->removed_by == 0) {
        output_text(out, " came as -inf\n");
        return;
    }
    const pluck_stage_report *r =
        f->removed_by < in->report->n_stages ? in->report->stages[f->removed_by] : NULL;
    output_printf(out, " removed by %s\n", r->stage);
    if (r->bound == PLUCK_BOUND_NONE)
        output_text(out, INDENT "banned by its id, whatever its logit\n");
    else if (f->lacked_logit > 0)
        output_printf(out, INDENT "lacked %.6g in its logit, %.6g in probability\n",
                      f->lacked_logit, f->lacked_prob);
    else if (f->lacked_logit < 0)
        output_printf(out, INDENT "too probable: by %.6g in its logit, %.6g in probability\n",
                      -f->lacked_logit, -f->lacked_prob);
    else
        output_text(out, INDENT "tied with the last token kept: lower tokens win\n");
}

static void print_fate(const inspection *in, output *out, const pluck_token_fate *f,
                       const paint *codes)
{
    output_printf(out, "\n%stoken%s ", codes->head, codes->off);
    print_token(in, out, f->token);
    print_verdict(in, out, f);
    if (f->removed_by == 0)
        return;
    output_printf(out, INDENT "%-22s %12s %12s %8s %12s\n", "after", "logit", "p", "rank", "above");
    for (size_t i = 0; i < in->report->n_stages; i++) {
        const pluck_token_step *s = &f->steps[i];
        output_printf(out, INDENT "%-22s", in->report->stages[i]->stage);
        if (i >= f->removed_by) {
            output_printf(out, " %12s\n", "removed");
            break;
        }
        output_printf(out, " %12.6g %12.6g %8u %12.6g\n", s->logit, s->prob, (unsigned)s->rank,
                      s->above);
    }
}

void explain_print_text(const inspection *in, output *out, const paint *codes)
{
    print_stages(in, out, codes);
    print_draw(in, out, codes);
    for (size_t i = 0; i < in->report->n_tokens; i++)
        print_fate(in, out, in->report->tokens[i], codes);
}
