/*
 * pluck compare: two dumps row by row, or one dump under two configurations. A side is a dump and,
 * if it has a configuration, a sampler, whose exact distribution takes the place of the row: the
 * logarithms of its probabilities, -inf for what it removed.
 */
#include "commands/compare.h"
#include "commands.h"
#include "doubts.h"
#include "progress.h"
#include "row_targets.h"
#include "rows.h"
#include "setup.h"

#include <pluck/sampler.h>

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RELEASE_INTERVAL 64 /* rows after which pages of the dumps are given back */

typedef struct side {
    const char *name; /* of the dump, in messages */
    source *src;
    pluck_config *config; /* NULL: the rows as they are */
    pluck_sampler *sampler;
    pluck_prob *probs;
    float *row;
    targets known;
} side;

typedef struct run {
    const arguments *args;
    comparison all;
    source sources[2];
    size_t n_sources;
    side sides[2];
    uint64_t first, end;
    double max_kl; /* negative: none */
    output out;
    progress bar;
} run;

static int check_arguments(run *r)
{
    const arguments *args = r->args;
    if (args->n_words == 1 && !args->config_a && !args->config_b)
        return complain(args->who, EXIT_USAGE,
                        "one dump is compared under two configurations: give --config-a or "
                        "--config-b, or a second dump");
    r->max_kl = -1.0;
    if (!args->max_kl)
        return EXIT_DONE;
    if (!parse_number(args->max_kl, 0, DBL_MAX, &r->max_kl))
        return complain(args->who, EXIT_USAGE, "--max-kl: '%s' is not a number of 0 or more%s",
                        args->max_kl, number_hint(args->max_kl));
    return EXIT_DONE;
}

static int open_side(run *r, size_t i, pluck_isa isa)
{
    const arguments *args = r->args;
    side *s = &r->sides[i];
    const char *file = i == 0 ? args->config_a : args->config_b;
    size_t dump = i < args->n_words ? i : 0;
    s->name = source_name(args->words[dump]);
    s->src = &r->sources[dump];
    int code = EXIT_DONE;
    if (dump == i) {
        code = source_open(args, args->words[dump], s->src);
        r->n_sources += code == EXIT_DONE;
    }
    if (code == EXIT_DONE && dump == i)
        warn_of_rows(args, s->name, s->src, NULL, 0, s->src->info.n_rows);
    if (code == EXIT_DONE)
        code = texts_check(&r->all.texts, args->who, s->name, s->src->info.n_vocab);
    /* A file of targets is opened once, and comes before what the dumps hold. */
    if (code == EXIT_DONE && (i == 0 || !args->targets))
        code = targets_open(&s->known, args, s->src, s->name);
    if (code != EXIT_DONE || !file)
        return code;
    code = setup_config(args, file, &s->config);
    if (code == EXIT_DONE)
        code = setup_seed(args, s->config);
    if (code != EXIT_DONE)
        return code;
    pluck_sampler_options options = {.isa = isa};
    uint32_t n = s->src->info.n_vocab;
    pluck_error err;
    pluck_status status = pluck_sampler_create(&s->sampler, s->config, n, &options, &err);
    if (status != PLUCK_OK)
        return complain(args->who, exit_code_of(status), "%s: %s", file, err.message);
    s->probs = malloc(n * sizeof *s->probs);
    s->row = malloc(n * sizeof *s->row);
    return s->probs && s->row ? EXIT_DONE : complain_memory(args->who);
}

static bool same_text(const pluck_dump *a, const pluck_dump *b, pluck_token token)
{
    size_t n_a = 0, n_b = 0;
    const char *text_a = pluck_dump_token_text(a, token, &n_a);
    const char *text_b = pluck_dump_token_text(b, token, &n_b);
    return !text_a || !text_b ? text_a == text_b : n_a == n_b && memcmp(text_a, text_b, n_a) == 0;
}

/* Tokens without ids are numbered by each dump on its own: a token of one is another of the other
 * dump, unless all their texts are the same. */
static int check_texts(const run *r)
{
    const side *a = &r->sides[0], *b = &r->sides[1];
    uint32_t n_a = a->src->info.n_vocab, n_b = b->src->info.n_vocab;
    for (uint32_t i = 0; a->src != b->src && i < (n_a > n_b ? n_a : n_b); i++)
        if (!same_text(a->src->dump, b->src->dump, (pluck_token)i))
            return complain(r->args->who, EXIT_DATA,
                            "%s and %s: token %u is not the same text in both, because tokens "
                            "without ids are numbered by each file; ask the server for token ids",
                            a->name, b->name, (unsigned)i);
    return EXIT_DONE;
}

/* The rows of both, which must be as many. */
static int resolve_rows(run *r, const row_range *range)
{
    const arguments *args = r->args;
    pluck_dump_info a = r->sides[0].src->info, b = r->sides[1].src->info;
    bool is_a_known = a.n_rows != PLUCK_DUMP_ROWS_UNKNOWN;
    bool is_b_known = b.n_rows != PLUCK_DUMP_ROWS_UNKNOWN;
    int text_code = check_texts(r);
    if (text_code != EXIT_DONE)
        return text_code;
    if (a.n_vocab != b.n_vocab)
        return complain(args->who, EXIT_DATA, "%s has %u values a row, %s has %u", r->sides[0].name,
                        (unsigned)a.n_vocab, r->sides[1].name, (unsigned)b.n_vocab);
    if (is_a_known && is_b_known && a.n_rows != b.n_rows)
        return complain(args->who, EXIT_DATA, "%s has %llu rows, %s has %llu", r->sides[0].name,
                        (unsigned long long)a.n_rows, r->sides[1].name,
                        (unsigned long long)b.n_rows);
    r->all.n_vocab = a.n_vocab;
    uint64_t n = is_a_known ? a.n_rows : b.n_rows;
    int code = rows_resolve(range, n, args->who, r->sides[0].name, &r->first, &r->end);
    if (code == EXIT_DONE && r->first == r->end)
        return complain(args->who, EXIT_DATA, "%s: --rows %s names none of its rows",
                        r->sides[0].name, args->rows);
    return code;
}

/* The distribution that the configuration makes of a row, as logits. */
static pluck_status configure_row(side *s, uint64_t row, pluck_logits *logits, pluck_error *err)
{
    uint32_t n = 0;
    uint32_t n_vocab = s->src->info.n_vocab;
    pluck_status status = setup_stream(s->sampler, row, &(token_list){.n = 0}, err);
    if (status == PLUCK_OK)
        status = pluck_sampler_distribution(s->sampler, *logits, s->probs, n_vocab, &n, err);
    if (status != PLUCK_OK)
        return status;
    for (uint32_t i = 0; i < n_vocab; i++)
        s->row[i] = -INFINITY;
    for (uint32_t i = 0; i < n; i++)
        s->row[s->probs[i].token] = (float)log((double)s->probs[i].prob);
    *logits = (pluck_logits){s->row, PLUCK_F32, n_vocab};
    return PLUCK_OK;
}

static int read_rows(run *r, uint64_t row, pluck_dump_row read[2])
{
    const char *who = r->args->who;
    for (size_t i = 0; i < 2; i++) {
        side *s = &r->sides[i];
        pluck_error err;
        if (i == 1 && s->src == r->sides[0].src) {
            read[1] = read[0];
            continue;
        }
        pluck_status status =
            pluck_dump_read_row(s->src->dump, row, s->src->scratch, &read[i], &err);
        if (status != PLUCK_OK)
            return complain(who, exit_code_of(status), "%s", err.message);
    }
    size_t ended = !read[0].logits.data ? 0 : 1;
    if ((!read[0].logits.data) != (!read[1].logits.data))
        return complain(who, EXIT_DATA, "%s ended before row %llu, %s has more rows",
                        r->sides[ended].name, (unsigned long long)row, r->sides[1 - ended].name);
    return EXIT_DONE;
}

/* What both say really followed; two dumps that hold targets must agree. */
static int find_target(run *r, uint64_t row, const pluck_dump_row read[2], pluck_token *target)
{
    pluck_token other = PLUCK_NO_TOKEN;
    int code = targets_get(&r->sides[0].known, row, &read[0], target);
    if (code == EXIT_DONE && !r->args->targets)
        code = targets_get(&r->sides[1].known, row, &read[1], &other);
    if (code == EXIT_DONE && *target >= 0 && other >= 0 && *target != other)
        return complain(r->args->who, EXIT_DATA,
                        "row %llu has the target %d in %s, and %d in %s: these are other texts",
                        (unsigned long long)row, (int)*target, r->sides[0].name, (int)other,
                        r->sides[1].name);
    *target = *target >= 0 ? *target : other;
    return code;
}

static int compare_row(run *r, uint64_t row, bool *has_ended)
{
    pluck_dump_row read[2];
    pluck_token target = PLUCK_NO_TOKEN;
    pluck_comparison c;
    pluck_error err;
    int code = read_rows(r, row, read);
    *has_ended = code == EXIT_DONE && !read[0].logits.data;
    if (code == EXIT_DONE && !*has_ended)
        code = find_target(r, row, read, &target);
    if (code != EXIT_DONE || *has_ended)
        return code;
    pluck_status status = PLUCK_OK;
    for (size_t i = 0; i < 2 && status == PLUCK_OK; i++)
        if (r->sides[i].sampler)
            status = configure_row(&r->sides[i], row, &read[i].logits, &err);
    if (status == PLUCK_OK)
        status = pluck_compare_rows(read[0].logits, read[1].logits, target, &c, &err);
    if (status != PLUCK_OK)
        return complain(r->args->who, exit_code_of(status), "row %llu: %s", (unsigned long long)row,
                        err.message);
    if (r->args->format == FORMAT_CSV)
        compare_print_csv_row(&r->all, &r->out, row, target, &c);
    return comparison_add(&r->all, row, target, &c) ? EXIT_DONE : complain_memory(r->args->who);
}

static int compare_rows(run *r)
{
    bool is_known = r->end != PLUCK_DUMP_ROWS_UNKNOWN;
    bool has_ended = false;
    int code = EXIT_DONE;
    progress_start(&r->bar, is_known ? r->end - r->first : 0, r->args->quiet, &r->out);
    r->bar.unit = "rows";
    if (r->args->format == FORMAT_CSV)
        compare_print_csv_heading(&r->all, &r->out);
    for (uint64_t row = r->first; code == EXIT_DONE && !has_ended && row < r->end; row++) {
        code = compare_row(r, row, &has_ended);
        if (row % RELEASE_INTERVAL == 0)
            for (size_t i = 0; i < r->n_sources; i++)
                pluck_dump_release(r->sources[i].dump, row);
        progress_update(&r->bar, row - r->first + 1);
        if (r->out.error != 0)
            break;
    }
    progress_clear(&r->bar);
    if (code == EXIT_DONE && r->all.n_rows == 0 && r->out.error == 0)
        code = complain(r->args->who, EXIT_DATA, "%s: ended before row %llu", r->sides[0].name,
                        (unsigned long long)r->first);
    return code;
}

static int prepare(run *r)
{
    const arguments *args = r->args;
    row_range range;
    pluck_isa isa = PLUCK_ISA_BEST;
    int code = check_arguments(r);
    if (code == EXIT_DONE && !rows_parse(args->rows, &range))
        code = complain(args->who, EXIT_USAGE, "--rows: '%s' is not a range; 3, 3:7, 3: and :7 are",
                        args->rows);
    if (code == EXIT_DONE)
        code = setup_isa(args, &isa);
    if (code == EXIT_DONE)
        code = texts_open(&r->all.texts, args);
    for (size_t i = 0; i < 2 && code == EXIT_DONE; i++)
        code = open_side(r, i, isa);
    if (code == EXIT_DONE)
        code = resolve_rows(r, &range);
    r->all.args = args;
    if (code == EXIT_DONE)
        code = texts_take(&r->all.texts, args->who, r->sides[0].name, r->sides[0].src->dump,
                          r->all.n_vocab);
    r->all.name_a = args->n_words == 1 && args->config_a ? args->config_a : r->sides[0].name;
    r->all.name_b = args->n_words == 1 && args->config_b ? args->config_b : r->sides[1].name;
    return code;
}

/* Of a side without a configuration, which may ban what followed. */
static void doubt_side(run *r)
{
    comparison *all = &r->all;
    size_t i = !r->sides[0].sampler ? 0 : 1;
    const side *s = &r->sides[i];
    double n = (double)all->nll_a.n;
    target_facts facts = {.rows = all->nll_a.n,
                          .n_vocab = all->n_vocab,
                          .nll = i == 0 ? all->nll_a.mean : all->nll_b.mean,
                          .confidence = all->top_probs[i] / n,
                          .accuracy = (double)all->n_correct[i] / n};
    if (s->sampler || !doubt_targets(&facts, all->warning))
        return;
    const targets *truth = &r->sides[s->known.is_known ? i : 0].known;
    if (truth->is_known)
        doubt_add_shift(s->src, truth, r->first, r->first + all->n_rows, all->warning);
    complain(r->args->who, EXIT_DONE, "warning: %s: %s", s->name, all->warning);
}

static int conclude(run *r)
{
    double mean = r->all.measures[MEASURE_KL_AB].mean;
    if (r->max_kl < 0.0 || mean <= r->max_kl)
        return EXIT_DONE;
    return complain(r->args->who, EXIT_NEGATIVE, "the mean KL(A || B) is %g, above --max-kl %s",
                    mean, r->args->max_kl);
}

static void close_all(run *r)
{
    for (size_t i = 0; i < 2; i++) {
        side *s = &r->sides[i];
        targets_close(&s->known);
        pluck_sampler_destroy(&s->sampler);
        pluck_config_destroy(&s->config);
        free(s->probs);
        free(s->row);
        source_close(&r->sources[i]);
    }
    comparison_free(&r->all);
}

int cmd_compare(const arguments *args)
{
    run r = {.args = args};
    int code = prepare(&r);
    if (code == EXIT_DONE)
        code = output_open(&r.out, args->who, args->output);
    if (code == EXIT_DONE)
        code = compare_rows(&r);
    if (code == EXIT_DONE) {
        comparison_finish(&r.all);
        doubt_side(&r);
        if (args->format == FORMAT_JSON)
            compare_print_json(&r.all, &r.out);
        else if (args->format == FORMAT_TEXT)
            compare_print_text(&r.all, &r.out);
    }
    int close_code = output_close(&r.out, code == EXIT_DONE);
    if (code == EXIT_DONE)
        code = close_code;
    if (code == EXIT_DONE)
        code = conclude(&r);
    close_all(&r);
    return code;
}
