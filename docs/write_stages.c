/*
 * Writes the reference of the stages from their tables: write_stages docs/stages.md. With --check
 * it compares instead, and says at which line the file differs.
 *
 * Every stage has an example below, whose result the library computes while the page is written; a
 * stage without one is an error.
 */
#include <pluck/pluck.h>

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_TOKENS = 6, MAX_HISTORY = 8, END = -1 };

/* ln .40, ln .25, ln .15, ln .10, ln .06, ln .04 */
static const float logits[N_TOKENS] = {-0.916291f, -1.386294f, -1.897120f,
                                       -2.302585f, -2.813411f, -3.218876f};

typedef struct example {
    const char *stage;
    const char *json;
    pluck_token history[MAX_HISTORY]; /* up to END */
} example;

static const example examples[] = {
    {"mask", "{\"mask\": true}", {END}},
    {"bad_words", "{\"bad_words_ids\": [[0, 1, 2], [4]]}", {0, 1, END}},
    {"no_repeat_ngram", "{\"no_repeat_ngram_size\": 3}", {0, 1, 2, 0, 1, END}},
    {"min_tokens", "{\"min_tokens\": 2, \"min_tokens_ids\": [0]}", {3, END}},
    {"logit_bias", "{\"logit_bias\": {\"0\": -1, \"5\": false}}", {END}},
    {"exp_decay_length",
     "{\"exp_decay_start\": 2, \"exp_decay_factor\": 1.5, \"exp_decay_tokens\": [5]}",
     {0, 1, 2, 0, END}},
    {"penalties",
     "{\"repeat_penalty\": 1.2, \"frequency_penalty\": 0.1, \"presence_penalty\": 0.2}",
     {0, 1, 2, 0, 1, END}},
    {"dry", "{\"dry_multiplier\": 1, \"dry_base\": 1.75}", {0, 1, 2, 0, 1, END}},
    {"top_n_sigma", "{\"top_n_sigma\": 1}", {END}},
    {"top_k", "{\"top_k\": 3}", {END}},
    {"typical", "{\"typical_p\": 0.5}", {END}},
    {"tail_free", "{\"tfs_z\": 0.9}", {END}},
    {"top_p", "{\"top_p\": 0.7}", {END}},
    {"top_a", "{\"top_a\": 0.5}", {END}},
    {"min_p", "{\"min_p\": 0.2}", {END}},
    {"epsilon_cutoff", "{\"epsilon_cutoff\": 0.08}", {END}},
    {"eta_cutoff", "{\"eta_cutoff\": 0.1}", {END}},
    {"top_h", "{\"top_h\": 0.5}", {END}},
    {"p_less", "{\"p_less\": true}", {END}},
    {"xtc", "{\"xtc_probability\": 1, \"xtc_threshold\": 0.14}", {END}},
    {"infill", "{\"infill_eog\": [5]}", {END}},
    {"temperature", "{\"temperature\": 0.5}", {END}},
    {"dynamic_temperature", "{\"temperature\": 1, \"dynatemp_range\": 0.5}", {END}},
    {"smoothing", "{\"smoothing_factor\": 0.5}", {END}},
    {"entmax", "{\"entmax_alpha\": 1.5}", {END}},
    {"categorical", "{\"draw\": \"categorical\"}", {END}},
    {"greedy", "{\"draw\": \"greedy\"}", {END}},
    {"mirostat", "{\"mirostat\": 1, \"mirostat_tau\": 1}", {END}},
    {"mirostat_v2", "{\"mirostat\": 2, \"mirostat_tau\": 1}", {END}},
    {"adaptive_p", "{\"draw\": \"adaptive_p\", \"adaptive_target\": 0.2}", {END}},
    {"gumbel", "{\"draw\": \"gumbel\"}", {END}},
};

/* What infill compares: tokens 1 and 3 continue token 0, and token 5 ends the text. */
static const char *text_of(void *user, pluck_token token, size_t *size_bytes)
{
    static const char *const texts[N_TOKENS] = {"hel", "hell", "dum", "hello", "wor", ""};
    (void)user;
    *size_bytes = strlen(texts[token]);
    return texts[token];
}

/* The page as it grows; the end of the program if memory is short. */
typedef struct page {
    char *text;
    size_t n, capacity;
} page;

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "write_stages: %s: %s\n", what, why);
    exit(1);
}

#ifdef __GNUC__
__attribute__((format(printf, 2, 3)))
#endif
static void
add(page *p, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    const int n = vsnprintf(NULL, 0, format, values);
    va_end(values);
    if (n < 0)
        fail("vsnprintf", format);
    if (p->n + (size_t)n >= p->capacity) {
        p->capacity = 2 * (p->n + (size_t)n) + 1024;
        p->text = realloc(p->text, p->capacity);
    }
    if (!p->text)
        fail("page", "out of memory");
    va_start(values, format);
    vsnprintf(p->text + p->n, p->capacity - p->n, format, values);
    va_end(values);
    p->n += (size_t)n;
}

/* The probability of each token under the configuration; 0: it is gone. */
static void run(const char *json, const pluck_token *history, int32_t mask, const float *x,
                uint32_t n, double *p)
{
    pluck_error err;
    pluck_sampler *sampler = NULL;
    pluck_prob probs[N_TOKENS];
    uint32_t n_total = 0;
    pluck_sampler_options options = PLUCK_INIT(pluck_sampler_options);
    options.token_text = text_of;
    pluck_config *config = NULL;
    pluck_status status = pluck_config_from_json(&config, json, strlen(json), NULL, &err);
    if (status == PLUCK_OK)
        status = pluck_sampler_create(&sampler, config, n, &options, &err);
    pluck_config_destroy(&config);
    for (; status == PLUCK_OK && *history != END; history++)
        status = pluck_sampler_accept(sampler, *history, &err);
    if (status == PLUCK_OK && mask != 0)
        status = pluck_sampler_set_mask(sampler, &mask, 1, &err);
    if (status == PLUCK_OK)
        status = pluck_sampler_distribution(sampler, (pluck_logits){x, PLUCK_F32, n}, probs, n,
                                            &n_total, &err);
    if (status != PLUCK_OK)
        fail(json, err.message);
    for (uint32_t i = 0; i < n; i++)
        p[i] = 0.0;
    for (uint32_t i = 0; i < n_total; i++)
        p[probs[i].token] = (double)probs[i].prob;
    pluck_sampler_destroy(&sampler);
}

static void add_row(page *out, const char *name, const double *p, uint32_t n)
{
    add(out, "| %s |", name);
    for (uint32_t i = 0; i < n; i++)
        if (p[i] > 0.0)
            add(out, " %.4f |", p[i]);
        else
            add(out, " – |");
    add(out, "\n");
}

static void add_example(page *out, const example *e)
{
    static const pluck_token nothing[] = {END};
    const int32_t mask = strcmp(e->stage, "mask") == 0 ? 1 << 1 | 1 << 3 | 1 << 4 : 0;
    double before[N_TOKENS], after[N_TOKENS];
    run("{}", nothing, 0, logits, N_TOKENS, before);
    run(e->json, e->history, mask, logits, N_TOKENS, after);
    add(out, "`%s`", e->json);
    for (size_t i = 0; e->history[i] != END; i++)
        add(out, "%s %d",
            i                      ? ","
            : e->history[1] == END ? " after the token"
                                   : " after the tokens",
            (int)e->history[i]);
    if (strcmp(e->stage, "infill") == 0)
        add(out, ", where the texts are hel, hell, dum, hello, wor, and token 5 ends the text");
    if (mask != 0)
        add(out, ", where an application's mask allows tokens 1, 3 and 4");
    add(out, ":\n\n| token |");
    for (int i = 0; i < N_TOKENS; i++)
        add(out, " %d |", i);
    add(out, "\n|---|---|---|---|---|---|---|\n");
    add_row(out, "before", before, N_TOKENS);
    add_row(out, "after", after, N_TOKENS);
    add(out, "\n");
}

static const char *kind_of(const pluck_stage *stage)
{
    switch (stage->kind) {
    case PLUCK_STAGE_REWEIGHT:
        return "Reweighting";
    case PLUCK_STAGE_TRUNCATE:
        return "Truncating";
    default:
        return "Draw";
    }
}

static void add_number(page *out, double value)
{
    if (fabs(value) > 1e15)
        add(out, "%sinf", value < 0 ? "-" : "");
    else
        add(out, "%.15g", value);
}

static void add_range(page *out, const pluck_param *p)
{
    static const char *const shapes[] = {[PLUCK_PARAM_BIAS_MAP] = "{\"token\": bias}",
                                         [PLUCK_PARAM_TOKENS] = "[token, …]",
                                         [PLUCK_PARAM_SEQUENCES] = "[[token, …], …]"};
    if (p->type == PLUCK_PARAM_BOOLEAN) {
        add(out, "true or false | %s | %s", p->default_value != 0.0 ? "true" : "false",
            p->neutral != 0.0 ? "true" : "false");
        return;
    }
    if (p->type != PLUCK_PARAM_NUMBER && p->type != PLUCK_PARAM_INTEGER) {
        add(out, "`%s` | empty | ", shapes[p->type]);
        return;
    }
    const bool open_below = p->flags & PLUCK_PARAM_MIN_OPEN || p->min < -1e15;
    const bool open_above = p->flags & PLUCK_PARAM_MAX_OPEN || p->max > 1e15;
    add(out, "%s%s", p->type == PLUCK_PARAM_INTEGER ? "whole, " : "", open_below ? "(" : "[");
    add_number(out, p->min);
    add(out, ", ");
    add_number(out, p->max);
    add(out, "%s | ", open_above ? ")" : "]");
    add_number(out, p->default_value);
    add(out, " | ");
    if (isnan(p->neutral))
        add(out, "none");
    else
        add_number(out, p->neutral);
}

static void add_params(page *out, const pluck_stage *stage)
{
    if (stage->n_params == 0)
        return;
    add(out, "| parameter | flat key | range | default | neutral | meaning |\n"
             "|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < stage->n_params; i++) {
        const pluck_param *const p = stage->params + i;
        add(out, "| `%s` | ", p->name);
        if (p->flat_key)
            add(out, "`%s`", p->flat_key);
        add(out, " | ");
        add_range(out, p);
        add(out, " | %s |\n", p->summary);
    }
    add(out, "\n");
}

static void add_stage(page *out, const pluck_stage *stage)
{
    const example *found = NULL;
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++)
        if (strcmp(examples[i].stage, stage->name) == 0)
            found = examples + i;
    if (!found || !stage->cost)
        fail(stage->name, found ? "has no cost" : "has no example in docs/write_stages.c");
    add(out, "### %s\n\n%s: %s.\n\n    %s\n\n", stage->name, kind_of(stage), stage->summary,
        stage->formula);
    add(out, "* Source: %s\n* Cost: %s\n\n", stage->source, stage->cost);
    add_params(out, stage);
    add_example(out, found);
}

static void add_words(page *out)
{
    add(out,
        "# The stages\n\n"
        "Written by `docs/write_stages.c` from the tables of the stages (`ninja docs`); "
        "`pluck stages NAME` prints the same\ntables. Examples are computed by the library when "
        "this page is written, on six tokens with the probabilities .40, .25,\n.15, .10, .06, "
        ".04; each row is what the configuration leaves, – is a token that cannot be drawn any "
        "more.\n\n"
        "In formulas l is the logit and l' the new one, p = softmax(l) over the tokens that are "
        "left, n their number, H the entropy\nof p in nats, max the largest l. A *neutral* value "
        "makes the stage do nothing: a sampler then leaves it out. Costs are\nbeyond the one "
        "reading of the logits that every token needs; an exponential pass goes over all tokens "
        "that are left.\n\n");
}

static void add_order(page *out)
{
    static const pluck_token nothing[] = {END};
    static const float slope[] = {3, 2, 1};
    static const char *const orders[] = {
        "{\"top_p\": 0.8, \"temperature\": 0.5, \"order\": [\"top_p\", \"temperature\"]}",
        "{\"top_p\": 0.8, \"temperature\": 0.5, \"order\": [\"temperature\", \"top_p\"]}"};
    add(out, "## Order\n\nThe flat form runs the stages that its keys configure in this order, "
             "whatever the order of the keys; `\"order\"` and the\nexplicit form run them in the "
             "order that they are written ([configuration.md](configuration.md)).\n\n");
    for (size_t i = 0; pluck_stage_at(i); i++)
        if (pluck_stage_at(i)->kind != PLUCK_STAGE_DRAW)
            add(out, "%zu. [%s](#%s)\n", i + 1, pluck_stage_at(i)->name, pluck_stage_at(i)->name);
    size_t n_draws = 0;
    add(out, "\nThe draw is the last; each of these ends a chain:\n");
    for (size_t i = 0; pluck_stage_at(i); i++)
        if (pluck_stage_at(i)->kind == PLUCK_STAGE_DRAW)
            add(out, "%s[%s](#%s)", n_draws++ > 0 ? ", " : "", pluck_stage_at(i)->name,
                pluck_stage_at(i)->name);
    add(out, ".\n\nOrder matters where a stage looks at probabilities, which every stage before it "
             "changes. Logits 3, 2, 1:\n\n"
             "| configuration | p of token 0 | 1 | 2 |\n|---|---|---|---|\n");
    for (size_t i = 0; i < 2; i++) {
        char name[128];
        double p[N_TOKENS];
        run(orders[i], nothing, 0, slope, 3, p);
        snprintf(name, sizeof name, "`%s`", orders[i]);
        add_row(out, name, p, 3);
    }
    add(out, "\n[engines.md](engines.md) has more on this, and on what "
             "other engines do.\n\n");
}

static void add_bounds(page *out)
{
    add(out,
        "## Boundaries\n\n"
        "* Between equal logits the lower token wins, everywhere.\n"
        "* A truncating stage never removes the last token; `min_keep` tokens stay where a stage "
        "has that parameter.\n"
        "* Comparisons are as the formula has them: >= keeps a token that is exactly at the "
        "threshold. Logits are floats, so a\n  probability or mass that misses its threshold by no "
        "more than their rounding, 2^-22, counts as reaching it\n  "
        "([numerics.md](numerics.md)).\n"
        "* Where other engines decide otherwise at a boundary, "
        "[engines.md](engines.md) says so.\n\n");
}

static void write_page(page *out)
{
    add_words(out);
    add_order(out);
    add_bounds(out);
    add(out, "## Each stage\n");
    for (size_t i = 0; pluck_stage_at(i); i++) {
        add(out, "\n");
        add_stage(out, pluck_stage_at(i));
        out->text[--out->n] = '\0'; /* one empty line between two */
    }
}

/* Compares with the file; the number of the first line that differs, or 0. */
static size_t first_difference(const page *p, const char *path)
{
    FILE *const file = fopen(path, "rb");
    size_t line = 1, at = 0;
    int c = 0;
    if (!file)
        fail(path, "cannot be read");
    while ((c = getc(file)) != EOF && at < p->n && p->text[at] == (char)c) {
        line += c == '\n';
        at++;
    }
    fclose(file);
    return c == EOF && at == p->n ? 0 : line;
}

int main(int argc, char **argv)
{
    page out = {NULL, 0, 0};
    const bool is_check = argc == 3 && strcmp(argv[1], "--check") == 0;
    if (argc != 2 && !is_check) {
        fputs("usage: write_stages [--check] FILE\n", stderr);
        return 2;
    }
    write_page(&out);
    const char *const path = argv[argc - 1];
    if (is_check) {
        const size_t line = first_difference(&out, path);
        free(out.text);
        if (line > 0)
            fprintf(stderr, "%s:%zu: is not what is generated; ninja docs\n", path, line);
        return line > 0;
    }
    FILE *const file = fopen(path, "wb");
    const bool written = file && fwrite(out.text, 1, out.n, file) == out.n;
    free(out.text);
    if ((file && fclose(file) != 0) || !written) {
        perror(path);
        return 4;
    }
    return 0;
}
