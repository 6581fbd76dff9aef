/*
 * pluck compare: two dumps row by row, or one dump under two configurations. A side is a dump and,
 * if it has a configuration, samplers, whose exact distribution takes the place of the row: the
 * logarithms of its probabilities, -inf for what it removed. Several threads compare a group of
 * rows; then the group is printed in order.
 *
 * What was found out about each row is kept, 112 bytes, since quantiles need all values. Sums
 * are exact, so that the summary does not depend on the order of the rows.
 */
#include "commands/compare.h"
#include "base/error.h"
#include "base/exact_sum.h"
#include "base/scalar_math.h"
#include "run_ranks.h"
#include "setup.h"
#include "thread/thread.h"

#include <pluck/sampler.h>

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double quantile_levels[N_QUANTILES] = {0.0, 0.01, 0.05, 0.5, 0.95, 0.99, 0.999, 1.0};

enum { ROW_WORDS = sizeof(compared_row) / sizeof(uint64_t) };

void comparison_open(comparison *all)
{
    all->rows.n_words = ROW_WORDS;
    plk_tally_open(&all->tally, "compare", NULL);
    plk_tally_section_add(&all->tally, PLK_TALLY_LISTS, &all->rows, 1);
}

static compared_row row_of(const uint64_t *words)
{
    compared_row row;
    memcpy(&row, words, sizeof row);
    return row;
}

compared_row comparison_row(const comparison *all, size_t i)
{
    return row_of(all->rows.words + i * ROW_WORDS);
}

bool comparison_add(comparison *all, uint64_t row, pluck_token target, const pluck_comparison *c)
{
    compared_row compared = {.row = row,
                             .kl_ab = c->kl_ab,
                             .kl_ba = c->kl_ba,
                             .total_variation = c->total_variation,
                             .rank_correlation = c->rank_correlation,
                             .kept_a = c->kept_a,
                             .kept_b = c->kept_b,
                             .nll_a = c->nll_a,
                             .nll_b = c->nll_b,
                             .top_prob_a = c->top_prob_a,
                             .top_prob_b = c->top_prob_b,
                             .top_a = c->top_a,
                             .top_b = c->top_b,
                             .target = target};
    uint64_t words[ROW_WORDS];
    memcpy(words, &compared, sizeof words);
    plk_tally_list_add(&all->tally, &all->rows, words);
    return all->tally.missing_bytes == 0;
}

/* The larger divergence comes first, then the larger variation, then the first row. */
static int worse_first(const void *left, const void *right)
{
    compared_row x = row_of(left), y = row_of(right);
    if (x.kl_ab != y.kl_ab)
        return x.kl_ab > y.kl_ab ? -1 : 1;
    if (x.total_variation != y.total_variation)
        return x.total_variation > y.total_variation ? -1 : 1;
    return x.row < y.row ? -1 : x.row > y.row;
}

/* NaN: the row has no such value. */
static double value_of(const compared_row *r, measure m)
{
    const double values[] = {
        [MEASURE_KL_AB] = r->kl_ab,
        [MEASURE_KL_BA] = r->kl_ba,
        [MEASURE_VARIATION] = r->total_variation,
        [MEASURE_RANKS] = r->rank_correlation,
        [MEASURE_TARGET] = plk_exp(-r->nll_b) - plk_exp(-r->nll_a),
        [MEASURE_KEPT_A] = r->kept_a,
        [MEASURE_KEPT_B] = r->kept_b,
        [MEASURE_NLL_A] = r->nll_a,
        [MEASURE_NLL_B] = r->nll_b,
        [MEASURE_NLL_CHANGE] = isinf(r->nll_a) && isinf(r->nll_b) ? 0.0 : r->nll_b - r->nll_a,
    };
    return values[m];
}

/* -0 before 0, so that equal values are the same value. */
static int compare_values(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x == y ? (signbit(y) != 0) - (signbit(x) != 0) : (x > y) - (x < y);
}

/* Of n >= 1 values in ascending order. */
static double quantile(const double *values, size_t n, double level)
{
    double place = level * (double)(n - 1);
    size_t below = (size_t)place, above = below + 1 < n ? below + 1 : below;
    double part = place - (double)below, low = values[below], high = values[above];
    return part == 0.0 || low == high ? low : low + part * (high - low);
}

/* values has room for one per row. Two passes: the mean first, then squares of what differs from
 * it. */
static void find_series(comparison *all, measure m, double *values)
{
    series *s = &all->measures[m];
    plk_exact_sum sum = {.n_nan = 0}, squares = {.n_nan = 0}, around = {.n_nan = 0};
    size_t n = 0;
    for (size_t i = 0; i < all->rows.n; i++) {
        compared_row row = comparison_row(all, i);
        double value = value_of(&row, m);
        if (isnan(value))
            continue;
        values[n++] = value;
        s->n_infinite += isinf(value) != 0;
        plk_exact_sum_add(&sum, value);
        plk_exact_sum_add_product(&squares, value, value);
    }
    double count = (double)n;
    s->n = n;
    s->mean = n > 0 ? plk_exact_sum_value(&sum) / count : (double)NAN;
    s->root_mean_square = n > 0 ? sqrt(plk_exact_sum_value(&squares) / count) : (double)NAN;
    for (size_t i = 0; i < n; i++)
        plk_exact_sum_add_product(&around, values[i] - s->mean, values[i] - s->mean);
    s->error = n > 1 ? sqrt(plk_exact_sum_value(&around) / (count * (count - 1.0))) : (double)NAN;
    qsort(values, n, sizeof *values, compare_values);
    for (size_t i = 0; n > 0 && i < N_QUANTILES; i++)
        s->quantiles[i] = quantile(values, n, quantile_levels[i]);
}

/* How often the best token is the same, and of the rows with a target how the losses of a and b go
 * together, and how sure and how right both are. */
static void find_agreement(comparison *all)
{
    plk_exact_sum xx = {.n_nan = 0}, yy = {.n_nan = 0}, xy = {.n_nan = 0};
    plk_exact_sum top_probs[2] = {{.n_nan = 0}, {.n_nan = 0}};
    uint64_t n_correct[2] = {0, 0};
    for (size_t i = 0; i < all->rows.n; i++) {
        compared_row r = comparison_row(all, i);
        all->n_same_top += r.top_a == r.top_b;
        if (r.target == PLUCK_NO_TOKEN)
            continue;
        double dx = r.nll_a - all->measures[MEASURE_NLL_A].mean;
        double dy = r.nll_b - all->measures[MEASURE_NLL_B].mean;
        plk_exact_sum_add_product(&xx, dx, dx);
        plk_exact_sum_add_product(&yy, dy, dy);
        plk_exact_sum_add_product(&xy, dx, dy);
        plk_exact_sum_add(&top_probs[0], r.top_prob_a);
        plk_exact_sum_add(&top_probs[1], r.top_prob_b);
        n_correct[0] += r.top_a == r.target;
        n_correct[1] += r.top_b == r.target;
    }
    double x = plk_exact_sum_value(&xx), y = plk_exact_sum_value(&yy);
    double n = (double)all->measures[MEASURE_NLL_A].n;
    all->nll_correlation =
        x > 0.0 && y > 0.0 ? plk_exact_sum_value(&xy) / sqrt(x * y) : (double)NAN;
    for (size_t i = 0; i < 2; i++) {
        all->confidence[i] = plk_exact_sum_value(&top_probs[i]) / n;
        all->accuracy[i] = (double)n_correct[i] / n;
    }
}

bool comparison_finish(comparison *all)
{
    double *values = calloc(all->rows.n + 1, sizeof *values);
    if (!values)
        return false;
    for (measure m = 0; m < N_MEASURES; m++)
        find_series(all, m, values);
    free(values);
    find_agreement(all);
    uint64_t most = all->flags->worst;
    if (most > 0)
        qsort(all->rows.words, all->rows.n, sizeof(compared_row), worse_first);
    all->n_worst = most < all->rows.n ? (size_t)most : all->rows.n;
    return true;
}

void comparison_free(comparison *all)
{
    plk_tally_close(&all->tally);
    texts_close(&all->texts);
}

enum { ROWS_A_WORKER = 32 }; /* of a group */

typedef struct side {
    const char *name; /* of the dump, in messages */
    source *src;
    const char *config_file;
    pluck_config *config; /* NULL: the rows as they are */
    targets known;
} side;

/* Memory for one row, and a sampler for each side that has a configuration. */
typedef struct worker {
    float *scratch[2]; /* of the sources */
    pluck_sampler *samplers[2];
    float *rows[2]; /* what the samplers make of the row */
    pluck_prob *probs;
} worker;

typedef struct result {
    pluck_token target;
    pluck_comparison c;
} result;

typedef struct run {
    const compare_flags *flags;
    comparison all;
    source sources[2];
    size_t n_sources;
    side sides[2];
    pluck_isa isa;
    uint64_t first, end;
    pluck_pool *pool;
    worker *workers;
    size_t n_workers;
    result *results; /* of rows row .. row + n_results - 1 */
    uint64_t row, n_done;
    size_t n_results;
    bool has_ended; /* row is where the streams ended; then there is one worker and one result */
    output out;
    table csv;
    progress bar;
} run;

static int open_side(run *r, size_t i)
{
    const compare_flags *flags = r->flags;
    side *s = &r->sides[i];
    size_t dump = i < flags->call.n_words ? i : 0;
    s->name = source_name(flags->call.words[dump]);
    s->src = &r->sources[dump];
    s->config_file = i == 0 ? flags->config_a : flags->config_b;
    int code = EXIT_DONE;
    if (dump == i) {
        code = source_open(&flags->input, flags->call.words[dump], s->src);
        r->n_sources += code == EXIT_DONE;
    }
    if (code == EXIT_DONE && dump == i)
        warn_of_rows(s->name, s->src, NULL, 0, s->src->info.n_rows);
    if (code == EXIT_DONE)
        code = texts_check(&r->all.texts, s->name, s->src->dump, s->src->info.n_vocab);
    /* A file of targets is opened once, and comes before what the dumps hold. */
    if (code == EXIT_DONE && (i == 0 || !flags->targets))
        code = targets_open(&s->known, flags->targets, s->src, s->name);
    if (code == EXIT_DONE && s->config_file)
        code = setup_config(&(config_flags){.file = s->config_file}, &s->config);
    return code == EXIT_DONE && s->config ? setup_seed(s->config) : code;
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
            return complain(EXIT_DATA,
                            "%s and %s: token %u is not the same text in both, because tokens "
                            "without ids are numbered by each file; ask the server for token ids",
                            a->name, b->name, (unsigned)i);
    return EXIT_DONE;
}

/* The rows of both, which must be the same number. */
static int resolve_rows(run *r, const row_range *range)
{
    const compare_flags *flags = r->flags;
    pluck_dump_info a = r->sides[0].src->info, b = r->sides[1].src->info;
    bool is_a_known = a.n_rows != PLUCK_DUMP_ROWS_UNKNOWN;
    bool is_b_known = b.n_rows != PLUCK_DUMP_ROWS_UNKNOWN;
    int text_code = check_texts(r);
    if (text_code != EXIT_DONE)
        return text_code;
    if (a.n_vocab != b.n_vocab)
        return complain(EXIT_DATA, "%s has %u values per row, %s has %u; expected the same number",
                        r->sides[0].name, (unsigned)a.n_vocab, r->sides[1].name,
                        (unsigned)b.n_vocab);
    if (is_a_known && is_b_known && a.n_rows != b.n_rows)
        return complain(EXIT_DATA,
                        "%s has %llu rows, %s has %llu; expected the same number "
                        "(pluck convert --rows writes a part of a dump)",
                        r->sides[0].name, (unsigned long long)a.n_rows, r->sides[1].name,
                        (unsigned long long)b.n_rows);
    r->all.n_vocab = a.n_vocab;
    uint64_t n = is_a_known ? a.n_rows : b.n_rows;
    int code = rows_resolve(range, n, r->sides[0].name, &r->first, &r->end);
    if (code == EXIT_DONE && r->first == r->end)
        return complain(EXIT_DATA, "%s: --rows %s names none of its rows", r->sides[0].name,
                        flags->rows);
    return code;
}

static int create_sampler(run *r, worker *w, size_t i)
{
    const side *s = &r->sides[i];
    uint32_t n = r->all.n_vocab;
    pluck_sampler_options options = {.struct_size = sizeof options, .isa = r->isa};
    pluck_error err;
    texts_give(&r->all.texts, &options);
    pluck_status status = pluck_sampler_create(&w->samplers[i], s->config, n, &options, &err);
    if (status != PLUCK_OK)
        return complain_about(s->config_file, status, &err);
    w->rows[i] = malloc(n * sizeof *w->rows[i]);
    if (!w->probs)
        w->probs = malloc(n * sizeof *w->probs);
    return w->rows[i] && w->probs ? EXIT_DONE : complain_memory();
}

/* A stream has one worker, which takes one row at a time. */
static int create_workers(run *r)
{
    size_t n_wanted = plk_thread_count((uint32_t)r->flags->threads);
    bool is_streamed = r->end == PLUCK_DUMP_ROWS_UNKNOWN;
    for (size_t i = 0; i < r->n_sources; i++)
        is_streamed |= r->sources[i].info.streamed;
    if (is_streamed)
        n_wanted = 1;
    else if (r->end - r->first < n_wanted)
        n_wanted = (size_t)(r->end - r->first);
    r->n_results = is_streamed ? 1 : n_wanted * ROWS_A_WORKER;
    r->workers = calloc(n_wanted, sizeof *r->workers);
    r->results = calloc(r->n_results, sizeof *r->results);
    if (!r->workers || !r->results ||
        pluck_pool_create(&r->pool, (uint32_t)n_wanted, NULL, NULL) != PLUCK_OK)
        return complain_memory();
    while (r->n_workers < n_wanted) {
        worker *w = &r->workers[r->n_workers++];
        for (size_t i = 0; i < r->n_sources; i++) {
            w->scratch[i] = malloc(r->all.n_vocab * sizeof *w->scratch[i]);
            if (!w->scratch[i])
                return complain_memory();
        }
        for (size_t i = 0; i < 2; i++) {
            int code = r->sides[i].config ? create_sampler(r, w, i) : EXIT_DONE;
            if (code != EXIT_DONE)
                return code;
        }
    }
    return EXIT_DONE;
}

/* The distribution that a configuration makes of a row, as logits. */
static pluck_status configure_row(worker *w, size_t i, uint64_t row, pluck_logits *logits,
                                  pluck_error *err)
{
    uint32_t n = 0, n_vocab = logits->n_vocab;
    pluck_status status = setup_stream(w->samplers[i], row, &(token_list){.n = 0}, err);
    if (status == PLUCK_OK)
        status = pluck_sampler_distribution(w->samplers[i], *logits, w->probs, n_vocab, &n, err);
    if (status != PLUCK_OK)
        return status;
    float *values = w->rows[i];
    for (uint32_t k = 0; k < n_vocab; k++)
        values[k] = -INFINITY;
    for (uint32_t k = 0; k < n; k++)
        values[w->probs[k].token] = (float)plk_log((double)w->probs[k].prob);
    *logits = (pluck_logits){values, PLUCK_F32, n_vocab};
    return PLUCK_OK;
}

static pluck_status read_rows(const run *r, const worker *w, uint64_t row, pluck_dump_row read[2],
                              pluck_error *err)
{
    for (size_t i = 0; i < r->n_sources; i++) {
        pluck_status status =
            pluck_dump_read(r->sources[i].dump, row, w->scratch[i], &read[i], err);
        if (status != PLUCK_OK)
            return status;
    }
    if (r->n_sources == 1)
        read[1] = read[0];
    size_t ended = !read[0].logits.data ? 0 : 1;
    if ((!read[0].logits.data) != (!read[1].logits.data))
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s ended before row %llu, %s has more rows; expected the same number",
                        r->sides[ended].name, (unsigned long long)row, r->sides[1 - ended].name);
    return PLUCK_OK;
}

/* What both say really followed; two dumps that hold targets must agree. */
static pluck_status find_target(const run *r, uint64_t row, const pluck_dump_row read[2],
                                pluck_token *target, pluck_error *err)
{
    const side *a = &r->sides[0], *b = &r->sides[1];
    pluck_token other = PLUCK_NO_TOKEN;
    pluck_status status = targets_get(&a->known, row, &read[0], target, err);
    if (status == PLUCK_OK && !r->flags->targets)
        status = targets_get(&b->known, row, &read[1], &other, err);
    if (status == PLUCK_OK && *target >= 0 && other >= 0 && *target != other)
        return plk_fail(
            err, PLUCK_ERR_FORMAT,
            "row %llu has the target %d in %s, but %d in %s; expected two dumps of the same text",
            (unsigned long long)row, (int)*target, a->name, (int)other, b->name);
    *target = *target >= 0 ? *target : other;
    return status;
}

/* Of number item of the group. */
static pluck_status compare_row(void *context, uint32_t number, size_t item, pluck_error *err)
{
    run *r = context;
    worker *w = &r->workers[number];
    result *found = &r->results[item];
    uint64_t row = r->row + item;
    pluck_dump_row read[2] = {PLUCK_INIT(pluck_dump_row), PLUCK_INIT(pluck_dump_row)};
    pluck_status status = read_rows(r, w, row, read, err);
    if (status == PLUCK_OK && !read[0].logits.data) {
        r->has_ended = true;
        return PLUCK_OK;
    }
    if (status == PLUCK_OK)
        status = find_target(r, row, read, &found->target, err);
    if (status != PLUCK_OK)
        return status;
    for (size_t i = 0; i < 2 && status == PLUCK_OK; i++)
        if (w->samplers[i])
            status = configure_row(w, i, row, &read[i].logits, err);
    found->c = PLUCK_INIT(pluck_comparison);
    if (status == PLUCK_OK)
        status = pluck_compare_rows(read[0].logits, read[1].logits, found->target, &found->c, err);
    if (status == PLUCK_OK)
        return PLUCK_OK;
    pluck_error without_row = *err;
    return plk_fail(err, status, "row %llu: %s", (unsigned long long)row, without_row.message);
}

/* Compares the next group and takes in and prints what was found, up to the first row that
 * fails. */
static int compare_group(run *r, uint64_t end)
{
    uint64_t left = end - r->row;
    size_t n = left < r->n_results ? (size_t)left : r->n_results, n_done = 0;
    pluck_error err;
    pluck_status status = plk_parallel_run(pluck_pool_parallel(r->pool), (uint32_t)r->n_workers, n,
                                           compare_row, r, &n_done, &err);
    for (size_t i = 0; i < n_done && !r->has_ended && r->out.error == 0; i++) {
        const result *found = &r->results[i];
        uint64_t row = r->row + i;
        if (r->flags->format == FORMAT_CSV)
            compare_print_csv_row(&r->all, &r->csv, row, found->target, &found->c);
        if (!comparison_add(&r->all, row, found->target, &found->c))
            return complain_memory();
    }
    r->row += n_done;
    r->n_done += n_done;
    progress_update(&r->bar, r->n_done);
    for (size_t i = 0; i < r->n_sources; i++)
        pluck_dump_release(r->sources[i].dump, r->row);
    if (status != PLUCK_OK)
        progress_clear(&r->bar);
    return complain_error(status, &err);
}

static int compare_part(void *user, uint64_t first, uint64_t end)
{
    run *r = user;
    int code = EXIT_DONE;
    r->row = first;
    while (code == EXIT_DONE && !r->has_ended && r->row < end && r->out.error == 0)
        code = compare_group(r, end);
    return code;
}

static int compare_rows(run *r)
{
    bool is_known = r->end != PLUCK_DUMP_ROWS_UNKNOWN;
    row_pass pass = {.first = r->first,
                     .end = r->end,
                     .tally = &r->all.tally,
                     .writer_has_tally = true,
                     .outs = &r->out,
                     .n_outs = 1,
                     .rows = compare_part,
                     .user = r};
    for (size_t i = 0; i < r->n_sources; i++)
        pass.bytes_per_row += r->all.n_vocab * pluck_dtype_size_bytes(r->sources[i].info.dtype);
    progress_start(&r->bar, is_known ? r->end - r->first : 0,
                   r->flags->format == FORMAT_CSV ? &r->out : NULL);
    r->bar.unit = "rows";
    if (r->flags->format == FORMAT_CSV)
        r->csv = compare_print_csv_heading(&r->all, &r->out);
    int code = ranks_pass(&pass);
    progress_clear(&r->bar);
    if (code == EXIT_DONE && ranks_writes() && r->all.rows.n == 0 && r->out.error == 0)
        code = complain(EXIT_DATA, "%s: ended before row %llu", r->sides[0].name,
                        (unsigned long long)r->first);
    return code;
}

/* Which the summary has. */
static int identify_names(const comparison *all)
{
    int code = ranks_identify("name of A", all->name_a, strlen(all->name_a));
    return code == EXIT_DONE ? ranks_identify("name of B", all->name_b, strlen(all->name_b)) : code;
}

static int prepare(run *r)
{
    const compare_flags *flags = r->flags;
    row_range range;
    if (flags->call.n_words == 1 && !flags->config_a && !flags->config_b)
        return complain(EXIT_USAGE, "one dump is compared with itself under two configurations; "
                                    "give --config-a or --config-b, or a second dump");
    int code = rows_read(flags->rows, &range);
    if (code == EXIT_DONE)
        code = setup_isa(flags->isa, &r->isa);
    if (code == EXIT_DONE)
        code = texts_open(&r->all.texts, &flags->vocab);
    for (size_t i = 0; i < 2 && code == EXIT_DONE; i++)
        code = open_side(r, i);
    if (code == EXIT_DONE)
        code = resolve_rows(r, &range);
    r->all.flags = flags;
    if (code == EXIT_DONE)
        code = texts_take(&r->all.texts, r->sides[0].name, r->sides[0].src->dump, r->all.n_vocab);
    r->all.name_a =
        flags->call.n_words == 1 && flags->config_a ? flags->config_a : r->sides[0].name;
    r->all.name_b =
        flags->call.n_words == 1 && flags->config_b ? flags->config_b : r->sides[1].name;
    return code == EXIT_DONE && flags->format != FORMAT_CSV ? identify_names(&r->all) : code;
}

/* Of a side without a configuration, which may ban what followed. */
static void doubt_side(run *r)
{
    comparison *all = &r->all;
    size_t i = !r->sides[0].config ? 0 : 1;
    const side *s = &r->sides[i];
    target_facts facts = {.rows = all->measures[MEASURE_NLL_A].n,
                          .n_vocab = all->n_vocab,
                          .nll = all->measures[i == 0 ? MEASURE_NLL_A : MEASURE_NLL_B].mean,
                          .confidence = all->confidence[i],
                          .accuracy = all->accuracy[i]};
    if (s->config || !doubt_targets(&facts, all->warning))
        return;
    const targets *truth = &r->sides[s->known.is_known ? i : 0].known;
    if (truth->is_known)
        doubt_add_shift(s->src, truth, r->first, r->first + all->rows.n, all->warning);
    complain(EXIT_DONE, "warning: %s: %s", s->name, all->warning);
}

static void close_all(run *r)
{
    pluck_pool_destroy(&r->pool);
    for (size_t k = 0; k < r->n_workers; k++) {
        worker *w = &r->workers[k];
        for (size_t i = 0; i < 2; i++) {
            pluck_sampler_destroy(&w->samplers[i]);
            free(w->scratch[i]);
            free(w->rows[i]);
        }
        free(w->probs);
    }
    free(r->workers);
    free(r->results);
    for (size_t i = 0; i < 2; i++) {
        side *s = &r->sides[i];
        targets_close(&s->known);
        pluck_config_destroy(&s->config);
        source_close(&r->sources[i]);
    }
    comparison_free(&r->all);
}

/* What all rows together say, where results are written. */
static int print_summary(run *r)
{
    if (!comparison_finish(&r->all))
        return complain_memory();
    doubt_side(r);
    if (r->flags->format == FORMAT_JSON)
        compare_print_json(&r->all, &r->out);
    else if (r->flags->format == FORMAT_TEXT)
        compare_print_text(&r->all, &r->out);
    return EXIT_DONE;
}

static int run_compare(const void *given)
{
    const compare_flags *flags = given;
    run r = {.flags = flags};
    comparison_open(&r.all);
    int code = prepare(&r);
    if (code == EXIT_DONE)
        code = create_workers(&r);
    if (code == EXIT_DONE)
        code = output_open(&r.out, flags->output);
    if (code == EXIT_DONE)
        code = compare_rows(&r);
    bool has_rows = code == EXIT_DONE && ranks_writes();
    if (has_rows)
        code = print_summary(&r);
    code = output_finish(&r.out, code);
    double mean = r.all.measures[MEASURE_KL_AB].mean;
    if (code == EXIT_DONE && has_rows && !isnan(flags->max_kl) && !(mean <= flags->max_kl))
        code = complain(EXIT_NEGATIVE, "the mean KL(A || B) is %g, above --max-kl %g", mean,
                        flags->max_kl);
    close_all(&r);
    return code;
}

static const flag flags[] = {
    FLAG_TITLE("Comparing"),
    {FLAG(INPUT, "config-a", compare_flags, config_a), .help = "apply this configuration to A"},
    {FLAG(INPUT, "config-b", compare_flags, config_b),
     .help = "apply this configuration to B, or to A if there is only one dump"},
    FLAG_GROUP(rows_flag, compare_flags, rows),
    {FLAG(NUMBER, "max-kl", compare_flags, max_kl), .high = DBL_MAX,
     .help = "end with status 1 if the mean KL(A || B) is above X nats (default: no limit)"},
    {FLAG(COUNT, "worst", compare_flags, worst), .max = 1000000,
     .help = "list the N rows that differ most; 0: none (default: 5)"},
    FLAG_GROUP(threads_flag, compare_flags, threads),
    FLAG_GROUP(isa_flag, compare_flags, isa),
    FLAG_GROUP(table_format_flag, compare_flags, format),
    FLAG_GROUP(quiet_flag, compare_flags, call),
    FLAG_GROUP(shard_group, compare_flags, call.shard),
    FLAG_TITLE("Targets"),
    FLAG_GROUP(targets_flag, compare_flags, targets),
    FLAG_GROUP(vocab_group, compare_flags, vocab),
    FLAG_GROUP(input_group, compare_flags, input),
    FLAG_GROUP(output_flag, compare_flags, output),
    FLAG_END,
};

const command compare_command = {
    .name = "compare",
    .synopsis = "A B [options] | A --config-a FILE --config-b FILE",
    .summary = "measure the difference between two dumps, or two configurations",
    .about = "Compares softmax(logits) of A and B row by row: the Kullback-Leibler divergence both "
             "ways, total variation, Spearman's rank correlation of the 100 tokens most probable "
             "in A, how often the most probable token is the same, and, with targets, both "
             "perplexities: means with their standard errors, and quantiles over the rows. The "
             "rows that differ most are listed.\nIf a dump has a configuration, the distribution "
             "from which its tokens would be drawn is compared; otherwise softmax(logits). A "
             "single dump is compared with itself under --config-a, --config-b or both. Where one "
             "side bans a token that the other allows, the divergence is infinite; such rows are "
             "counted.\nEnds with status 1 if the mean KL(A || B) is above --max-kl.",
    .usual = "config-a config-b targets max-kl rows vocab threads format",
    COMMAND_FLAGS(flags, compare_flags),
    .defaults = &(const compare_flags){.worst = 5, .threads = 1, .max_kl = (double)NAN},
    .examples =
        {"pluck compare a.npy b.npy",
         "pluck compare logits.npy --config-b config.json --targets targets.npy --vocab vocab.json",
         "pluck compare a.npy b.npy --max-kl 0.01 --format json",
         "pluck compare a.npy b.npy --format csv --rows 0:10 -o rows.csv"},
    COMMAND_WORDS(1, 2, "DUMP"),
    .words_are_inputs = true,
    .run = run_compare,
};
