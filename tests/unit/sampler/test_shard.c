/*
 * Why: an engine whose logits lie in slices on several ranks must get the token, log-probability
 * and survivors of the whole row, to the bit, whatever the configuration, the row and the cuts; and
 * ranks that are not in step, or bytes that are not records, must be told instead of giving text
 * that drifts apart.
 *
 * PLUCK_SHARD_CASES=1000000 runs this number of random cases, from PLUCK_SHARD_FIRST on (default:
 * 1), as scripts/check-shards does.
 */
#include "support/allocator.h"
#include "support/cases.h"
#include "support/logit_cases.h"
#include "support/output_cases.h"
#include "support/samplers.h"
#include "support/shard_ranks.h"
#include "support/stage_cases.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_VOCAB = 50257, N_TOKENS = 2, MOST_MORE = 9, STEP = PLUCK_SHARD_STEP };

/* A configuration, a row and where it is cut. */
typedef struct shard_case {
    stage_text json;
    uint32_t n_vocab, n_ranks;
    uint32_t first_token[SHARD_RANKS_MAX + 1];
    logit_row row;
    bool is_masked, token_only;
    int32_t mask[MAX_VOCAB / 32 + 1];
} shard_case;

/* Usual configurations, which random chains seldom are. */
static const char *const usual[] = {
    "{\"temperature\": 0}",
    "{\"temperature\": 0.8, \"top_k\": 40, \"top_p\": 0.95, \"min_p\": 0.05}",
    "{\"temperature\": 0.8, \"top_k\": 500, \"repeat_penalty\": 1.1, \"draw\": \"gumbel\"}",
    "{\"temperature\": 1.5, \"min_p\": 0.02}",
    "{\"stages\": [{\"type\": \"min_p\", \"p\": 1e-9, \"min_keep\": 300}], \"draw\": \"gumbel\"}",
    "{\"temperature\": 0.9, \"draw\": \"gumbel\"}",
    "{\"temperature\": 0.7}",
    "{\"temperature\": 1, \"top_p\": 0.97, \"draw\": \"gumbel\"}",
    "{\"temperature\": 1.2, \"top_p\": 0.8}",
    "{\"draw\": \"mirostat_v2\"}",
    "{\"draw\": \"mirostat\", \"presence_penalty\": 0.5, \"dry_multiplier\": 0.8}",
    "{\"temperature\": 1, \"typical_p\": 0.9}",
    "{\"top_n_sigma\": 1, \"temperature\": 1.5}",
    "{\"xtc_probability\": 0.8, \"xtc_threshold\": 0.01, \"draw\": \"gumbel\"}",
    "{\"on_nan\": \"ban\", \"top_k\": 7}",
};

/* Multiples of the step, all different; n_vocab / step may be few. */
static void cut(shard_case *c, test_random *random)
{
    uint32_t n_steps = (c->n_vocab - 1) / STEP + 1;
    uint32_t most = n_steps < SHARD_RANKS_MAX ? n_steps : SHARD_RANKS_MAX;
    c->n_ranks = 1 + (uint32_t)test_random_below(random, most);
    uint32_t at = 0;
    for (uint32_t r = 1; r < c->n_ranks; r++) {
        uint32_t n_free = n_steps - at - 1 - (c->n_ranks - r);
        uint32_t usual_step = 2 * n_free / (c->n_ranks - r + 1);
        at += 1 + (uint32_t)test_random_below(random, usual_step + 1);
        c->first_token[r] = at * STEP;
    }
    c->first_token[0] = 0;
    c->first_token[c->n_ranks] = c->n_vocab;
}

/* What happens to single slices: nothing left, equal logits on both sides of a cut, bad logits. */
static void disturb(shard_case *c, test_random *random)
{
    size_t what = test_random_below(random, 12);
    uint32_t r = (uint32_t)test_random_below(random, c->n_ranks);
    if (what == 0)
        for (uint32_t t = c->first_token[r]; t < c->first_token[r + 1]; t++)
            logit_row_set(&c->row, t, -INFINITY);
    for (uint32_t s = 1; what <= 2 && s < c->n_ranks; s++)
        for (uint32_t t = c->first_token[s] - 2; t < c->first_token[s] + 2; t++)
            logit_row_set(&c->row, t < c->n_vocab ? t : 0, 11.0f);
    bool is_bad = what == 3 && test_random_below(random, 4) == 0;
    for (uint32_t i = 0; is_bad && i < 2; i++)
        logit_row_set(&c->row, (uint32_t)test_random_below(random, c->n_vocab),
                      i == 0 ? NAN : INFINITY);
}

static void make_case(shard_case *c, uint64_t seed)
{
    static float x[MAX_VOCAB];
    static const uint32_t sizes[] = {8192, 8192, 8192, 8192, MAX_VOCAB, 1, 1025, 4000};
    test_random random = test_random_make(seed);
    c->n_vocab = sizes[test_random_below(&random, sizeof sizes / sizeof *sizes)];
    cut(c, &random);
    logit_fill((logit_kind)test_random_below(&random, LOGITS_KINDS), seed, c->n_vocab, x);
    c->row = logit_row_make(x, c->n_vocab, (pluck_dtype)test_random_below(&random, 3), seed % 7);
    disturb(c, &random);
    stage_tokens tokens = {c->n_vocab, NULL};
    stage_begin(&c->json, seed);
    size_t i = test_random_below(&random, 4 * sizeof usual / sizeof *usual);
    if (i < sizeof usual / sizeof *usual) {
        c->json.n = 0;
        stage_text_add(&c->json, "%s", usual[i]);
    } else {
        stage_values values = test_random_below(&random, 6) ? STAGE_MODERATE : STAGE_ANY;
        const pluck_stage *draw = stage_add_chain(&c->json, 4, values, tokens, &random);
        if (!draw && test_random_below(&random, 2))
            draw = pluck_stage_find("gumbel");
        stage_end(&c->json, draw);
    }
    /* infill compares the texts of all candidates with each other. */
    bool is_slow = strstr(c->json.text, "infill") && c->n_vocab > STEP + 1;
    if (is_slow) {
        c->json.n = 0;
        stage_text_add(&c->json, "{}");
    }
    c->token_only = test_random_below(&random, 4) == 0;
    c->is_masked = test_random_below(&random, 4) == 0;
    bool is_sparse = test_random_below(&random, 2);
    for (size_t w = 0; w < sizeof c->mask / sizeof *c->mask; w++)
        c->mask[w] = (int32_t)(is_sparse && w % 8 != seed % 8 ? 0 : test_random_bits(&random));
}

static bool same_draw(const pluck_draw *a, const pluck_draw *b, bool token_only)
{
    if (token_only)
        return a->token == b->token && isnan(b->logprob) && b->n_survivors == 0;
    return memcmp(a, b, sizeof *a) == 0;
}

static bool failed(const shard_case *c, const char *what)
{
    return test_case_failed("%s: %s\n    %u logits of type %s on %u ranks%s%s", c->json.text, what,
                            c->n_vocab, pluck_dtype_name(c->row.logits.dtype), c->n_ranks,
                            c->is_masked ? ", masked" : "", c->token_only ? ", token only" : "");
}

/* How many rows there were, and how many that took more exchanges than usual. */
static unsigned n_rows, n_unusual;

/* Some tokens of a sequence, all from one row. */
static bool compare_sequence(const shard_case *c, pluck_sampler *whole, shard_ranks *ranks)
{
    const char *gathers;
    unsigned n_usual = pluck_shard_exchanges(ranks->shards[0], whole, &gathers);
    for (int i = 0; i < N_TOKENS; i++) {
        pluck_draw expected, draw;
        pluck_error expected_err = {.status = PLUCK_OK}, err;
        pluck_status status = pluck_sampler_draw(whole, c->row.logits, &expected, &expected_err);
        if (shard_ranks_draw(ranks, c->row.logits, &draw, &err) != status)
            return failed(c, "another status") ||
                   test_case_failed("%s; expected %s", err.message, expected_err.message);
        if (ranks->problem)
            return failed(c, ranks->problem);
        if (status != PLUCK_OK)
            return strcmp(err.message, expected_err.message) == 0 || failed(c, err.message);
        if (!same_draw(&expected, &draw, c->token_only))
            return failed(c, "another draw") ||
                   test_case_failed("token %d, expected %d; logprob %a, expected %a; %u survivors, "
                                    "expected %u; gathers %s",
                                    draw.token, expected.token, (double)draw.logprob,
                                    (double)expected.logprob, draw.n_survivors,
                                    expected.n_survivors, gathers ? gathers : "nothing");
        n_rows++;
        n_unusual += ranks->n_exchanges > n_usual;
        if (ranks->n_exchanges > n_usual + MOST_MORE)
            return failed(c, "far more exchanges than usual");
        test_accept(whole, &expected.token, 1);
        shard_ranks_accept(ranks, draw.token);
        if (!sampler_states_equal(whole, ranks->samplers[c->n_ranks - 1]))
            return failed(c, "another state after accepting the token");
        if (c->is_masked)
            for (uint32_t r = 0; r < c->n_ranks; r++)
                pluck_sampler_set_mask(ranks->samplers[r], c->mask, (c->n_vocab + 31) / 32, NULL);
        if (c->is_masked)
            pluck_sampler_set_mask(whole, c->mask, (c->n_vocab + 31) / 32, NULL);
    }
    return true;
}

static bool slices_give_what_the_row_gives(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)isa;
    (void)context;
    static shard_case c;
    pluck_isa isas[8];
    unsigned n_isas = test_all_isas(isas);
    make_case(&c, seed);
    pluck_isa one = seed % 8 == 0 ? isas[seed / 8 % n_isas] : PLUCK_ISA_BEST;
    pluck_sampler *whole = test_sampler(c.json.text, c.n_vocab, one, seed);
    test_random random = test_random_make(seed + 1);
    for (size_t n = test_random_below(&random, 20); n > 0; n--)
        test_accept(whole, &(pluck_token){(pluck_token)test_random_below(&random, c.n_vocab)}, 1);
    if (c.is_masked)
        pluck_sampler_set_mask(whole, c.mask, (c.n_vocab + 31) / 32, NULL);
    shard_ranks ranks = shard_ranks_make(whole, c.n_ranks, c.first_token, c.token_only);
    bool holds = compare_sequence(&c, whole, &ranks);
    shard_ranks_destroy(&ranks);
    pluck_sampler_destroy(&whole);
    logit_row_destroy(&c.row);
    return holds;
}

static void slices_give_the_draw_of_the_whole_row(void **state)
{
    (void)state;
    const char *text = getenv("PLUCK_SHARD_CASES"), *first_text = getenv("PLUCK_SHARD_FIRST");
    uint64_t n = text ? strtoull(text, NULL, 10) : 1000;
    uint64_t first = first_text ? strtoull(first_text, NULL, 10) : 1;
    test_cases_run_once("slices_give_the_draw_of_the_whole_row", first, n,
                        slices_give_what_the_row_gives, NULL);
    if (n_rows > 1000) /* few rows say little */
        assert_true(n_unusual < n_rows / 3);
}

static const uint32_t thirds[] = {0, 1024, 3072, 5000};
enum { THIRDS_VOCAB = 5000 };

/* A small row on three ranks. */
typedef struct three_ranks {
    pluck_sampler *sampler;
    shard_ranks ranks;
    float row[THIRDS_VOCAB];
    pluck_logits logits;
} three_ranks;

static void three_make(three_ranks *three, const char *json)
{
    three->sampler = test_sampler(json, THIRDS_VOCAB, PLUCK_ISA_BEST, 1);
    three->ranks = shard_ranks_make(three->sampler, 3, thirds, false);
    logit_fill((logit_kind)TEST_VECTOR_NORMAL, 5, THIRDS_VOCAB, three->row);
    three->logits = (pluck_logits){three->row, PLUCK_F32, THIRDS_VOCAB};
}

static void three_free(three_ranks *three)
{
    shard_ranks_destroy(&three->ranks);
    pluck_sampler_destroy(&three->sampler);
}

static void the_lowest_bad_token_of_the_row_is_named(void **state)
{
    (void)state;
    three_ranks three;
    pluck_draw draw;
    pluck_error err;
    three_make(&three, "{\"temperature\": 0}");
    three.row[4000] = NAN;
    three.row[2047] = INFINITY;
    assert_int_equal(shard_ranks_draw(&three.ranks, three.logits, &draw, &err), PLUCK_ERR_NAN);
    assert_non_null(strstr(err.message, "token 2047 is +inf"));
    assert_null(three.ranks.problem);
    three_free(&three);
}

/* What a stage found out about the row is not what the next one finds when logits have changed in
 * between: here where the first keeps all tokens of a row that has few. */
static void nothing_is_known_of_the_row_after_logits_have_changed(void **state)
{
    (void)state;
    static const char *const first[] = {
        "{\"type\": \"typical\", \"p\": 0.3, \"min_keep\": 10}",
        "{\"type\": \"eta_cutoff\", \"epsilon\": 0.9, \"min_keep\": 10}",
        "{\"type\": \"top_n_sigma\", \"n\": 1000}",
        "{\"type\": \"dynamic_temperature\", \"t\": 1, \"range\": 0.5}",
        "{\"type\": \"smoothing\", \"factor\": 0.2}",
    };
    static const char *const second[] = {
        "{\"type\": \"mask\"}",
        "{\"type\": \"logit_bias\", \"bias\": {\"1023\": false, \"1025\": -9}}",
        "{\"type\": \"logit_bias\", \"bias\": {\"1022\": 2000}}",
        "{\"type\": \"bad_words\", \"sequences\": [[1023], [1025]]}",
        "{\"type\": \"smoothing\", \"factor\": 0.2}",
    };
    static const char *const draws[] = {"greedy", "categorical", "mirostat", "mirostat_v2",
                                        "gumbel"};
    enum { N_FIRST = 5, N_SECOND = 5, N_DRAWS = 5 };
    int32_t mask[(THIRDS_VOCAB + 31) / 32];
    memset(mask, 0xFF, sizeof mask);
    mask[1023 / 32] &= INT32_MAX;
    mask[1025 / 32] &= ~2;
    for (size_t i = 0; i < N_FIRST * N_SECOND * N_DRAWS; i++) {
        three_ranks three;
        char json[300];
        pluck_draw expected, draw;
        pluck_error err;
        snprintf(json, sizeof json, "{\"seed\": 1, \"stages\": [%s, %s], \"draw\": \"%s\"}",
                 first[i % N_FIRST], second[i / N_FIRST % N_SECOND],
                 draws[i / (N_FIRST * N_SECOND)]);
        three_make(&three, json);
        for (uint32_t t = 0; t < THIRDS_VOCAB; t++)
            three.row[t] = t >= 1022 && t < 1026 ? 11.0f : t == 4000 ? 10.0f : -INFINITY;
        for (uint32_t r = 0; r < 3; r++)
            pluck_sampler_set_mask(three.ranks.samplers[r], mask, (THIRDS_VOCAB + 31) / 32, NULL);
        pluck_sampler_set_mask(three.sampler, mask, (THIRDS_VOCAB + 31) / 32, NULL);
        assert_int_equal(pluck_sampler_draw(three.sampler, three.logits, &expected, &err),
                         PLUCK_OK);
        assert_int_equal(shard_ranks_draw(&three.ranks, three.logits, &draw, &err), PLUCK_OK);
        if (!same_draw(&expected, &draw, false))
            fail_msg("%s: token %d of %u, expected %d of %u", json, draw.token, draw.n_survivors,
                     expected.token, expected.n_survivors);
        three_free(&three);
    }
}

static void a_rank_that_is_not_in_step_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *what, *json;
        uint64_t seed, stream;
        pluck_token accepts;
    } cases[] = {
        {"a seed", NULL, 7, 1, PLUCK_NO_TOKEN},
        {"a stream", NULL, 0, 2, PLUCK_NO_TOKEN},
        {"a token too many", NULL, 0, 1, 3},
        {"a configuration", "{\"temperature\": 0.5}", 0, 1, PLUCK_NO_TOKEN},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        three_ranks three;
        pluck_draw draw;
        pluck_error err;
        three_make(&three, "{\"seed\": 0}");
        pluck_sampler *other = three.ranks.samplers[1];
        assert_int_equal(pluck_sampler_start(other, cases[i].seed, cases[i].stream, NULL),
                         PLUCK_OK);
        if (cases[i].accepts != PLUCK_NO_TOKEN)
            test_accept(other, &cases[i].accepts, 1);
        if (cases[i].json) {
            pluck_config *config = test_config(cases[i].json);
            assert_int_equal(pluck_sampler_reconfigure(other, config, NULL), PLUCK_OK);
            pluck_config_destroy(&config);
        }
        assert_int_equal(shard_ranks_draw(&three.ranks, three.logits, &draw, &err),
                         PLUCK_ERR_INVALID);
        assert_non_null(strstr(err.message, "rank 1: not in step"));
        assert_null(three.ranks.problem);
        three_free(&three);
    }
}

/* Two tokens in the other order: positions agree, histories do not. */
static void histories_are_compared(void **state)
{
    (void)state;
    static const pluck_token tokens[] = {3, 4, 3};
    three_ranks three;
    pluck_draw draw;
    pluck_error err;
    three_make(&three, "{}");
    for (uint32_t r = 0; r < 3; r++)
        test_accept(three.ranks.samplers[r], tokens + r / 2, 2);
    assert_int_equal(shard_ranks_draw(&three.ranks, three.logits, &draw, &err), PLUCK_ERR_INVALID);
    assert_non_null(strstr(err.message, "rank 2: not in step"));
    three_free(&three);
}

/* The first exchange of three ranks. */
typedef struct three_records {
    unsigned char *bytes[3];
    size_t n_bytes[3];
} three_records;

static void write_records(three_ranks *three, three_records *records)
{
    for (uint32_t r = 0; r < 3; r++) {
        pluck_shard *shard = three->ranks.shards[r];
        size_t capacity = pluck_shard_record_bytes(shard);
        records->bytes[r] = malloc(capacity);
        assert_non_null(records->bytes[r]);
        assert_int_equal(
            pluck_shard_record(shard, records->bytes[r], capacity, &records->n_bytes[r], NULL),
            PLUCK_OK);
    }
}

static pluck_status merge(three_ranks *three, const three_records *records, pluck_error *err)
{
    bool is_done = false;
    pluck_draw draw;
    const void *bytes[] = {records->bytes[0], records->bytes[1], records->bytes[2]};
    return pluck_shard_merge(three->ranks.shards[0], bytes, records->n_bytes, &is_done, &draw, err);
}

static void begin_all(three_ranks *three)
{
    for (uint32_t r = 0; r < 3; r++)
        assert_int_equal(pluck_shard_begin(three->ranks.shards[r], three->ranks.samplers[r],
                                           (pluck_logits){three->row + thirds[r], PLUCK_F32,
                                                          thirds[r + 1] - thirds[r]},
                                           NULL),
                         PLUCK_OK);
}

static void put_u32(unsigned char *bytes, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        bytes[i] = (unsigned char)(value >> 8 * i);
}

/* A record with one change, and what is said of it. */
typedef struct bad_record {
    const char *message;
    pluck_status status;
    uint32_t rank, cut_to; /* bytes that are left; 0: all */
    int field;             /* a u32 of the record that is set; -1: none */
    uint32_t value;
} bad_record;

static void refuse(const char *json, const bad_record *cases, size_t n)
{
    three_ranks three;
    three_make(&three, json);
    for (size_t i = 0; i < n; i++) {
        three_records records;
        pluck_error err;
        begin_all(&three);
        write_records(&three, &records);
        if (cases[i].field >= 0)
            put_u32(records.bytes[cases[i].rank] + 4 * cases[i].field, cases[i].value);
        if (cases[i].cut_to > 0)
            records.n_bytes[cases[i].rank] = cases[i].cut_to;
        assert_int_equal(merge(&three, &records, &err), cases[i].status);
        if (!strstr(err.message, cases[i].message))
            fail_msg("case %zu: %s", i, err.message);
        for (uint32_t r = 0; r < 3; r++)
            free(records.bytes[r]);
    }
    three_free(&three);
}

static void bytes_that_are_not_a_record_are_refused(void **state)
{
    (void)state;
    static const bad_record cases[] = {
        {"record of rank 1: it is cut off", PLUCK_ERR_FORMAT, 1, 27, -1, 0},
        {"record of rank 1: it is cut off", PLUCK_ERR_FORMAT, 1, 100, -1, 0},
        {"record of rank 0: it is cut off", PLUCK_ERR_FORMAT, 0, 0, 1, UINT32_MAX},
        {"record of rank 0: it is cut off", PLUCK_ERR_FORMAT, 0, 0, 1, 27},
        {"record of rank 2: its version is 9", PLUCK_ERR_FORMAT, 2, 0, 0, 9},
        {"record of rank 1: it was written by rank 2", PLUCK_ERR_FORMAT, 1, 0, 2, 2},
        {"rank 2: not in step", PLUCK_ERR_INVALID, 2, 0, 3, 1},
        {"rank 2: not in step", PLUCK_ERR_INVALID, 2, 0, 4, 1},
        {"record of rank 1: status 77", PLUCK_ERR_FORMAT, 1, 0, 5, 77},
        {"rank 1: ", PLUCK_ERR_NOMEM, 1, 0, 5, PLUCK_ERR_NOMEM},
        {"record of rank 1: status 0 or flags 2", PLUCK_ERR_FORMAT, 1, 0, 6, 2},
        {"record of rank 1: it has 0 bytes of logits", PLUCK_ERR_FORMAT, 1, 0, 1, 28},
    };
    refuse("{\"draw\": \"adaptive_p\"}", cases, sizeof cases / sizeof *cases);
}

/* After the head: from, n_reaching, n, the tokens, their logits. */
static void tokens_that_are_not_of_the_slice_are_refused(void **state)
{
    (void)state;
    enum { FROM = 7, N_REACHING, N, FIRST_TOKEN, SECOND_TOKEN, FIRST_LOGIT };
    static const char message[] = "record of rank 1: its content is not that of its slice";
    static const bad_record cases[] = {
        {message, PLUCK_ERR_FORMAT, 1, 0, FROM, 0x7FC00000},
        {message, PLUCK_ERR_FORMAT, 1, 0, FROM, 0x7F800000},
        {message, PLUCK_ERR_FORMAT, 1, 0, FROM, 0x42C80000},
        {message, PLUCK_ERR_FORMAT, 1, 0, N_REACHING, 1},
        {message, PLUCK_ERR_FORMAT, 1, 0, N_REACHING, 2049},
        {message, PLUCK_ERR_FORMAT, 1, 0, N, 1},
        {message, PLUCK_ERR_FORMAT, 1, 0, N, 3},
        {message, PLUCK_ERR_FORMAT, 1, 0, N, UINT32_MAX},
        {message, PLUCK_ERR_FORMAT, 1, 0, FIRST_TOKEN, 1023},
        {message, PLUCK_ERR_FORMAT, 1, 0, FIRST_TOKEN, 3071},
        {message, PLUCK_ERR_FORMAT, 1, 0, SECOND_TOKEN, 1024},
        {message, PLUCK_ERR_FORMAT, 1, 0, SECOND_TOKEN, 3072},
        {message, PLUCK_ERR_FORMAT, 1, 0, FIRST_LOGIT, 0x7FC00000},
        {message, PLUCK_ERR_FORMAT, 1, 0, FIRST_LOGIT, 0x7F800000},
        {message, PLUCK_ERR_FORMAT, 1, 0, FIRST_LOGIT, 0xFF800000},
        {message, PLUCK_ERR_FORMAT, 1, 0, 1, 27 + 12},
    };
    refuse("{\"top_k\": 2}", cases, sizeof cases / sizeof *cases);
}

/* A rank that always has more tokens than it sends. */
static void records_that_contradict_each_other_come_to_an_end(void **state)
{
    (void)state;
    three_ranks three;
    pluck_status status = PLUCK_OK;
    pluck_error err;
    three_make(&three, "{\"min_p\": 0.9}");
    begin_all(&three);
    for (int i = 0; status == PLUCK_OK && i < 1000; i++) {
        bool is_done = false;
        pluck_draw draw;
        three_records records;
        write_records(&three, &records);
        put_u32(records.bytes[1] + 32, 300);
        put_u32(records.bytes[1] + 36, 0);
        put_u32(records.bytes[1] + 4, 40);
        for (uint32_t r = 0; r < 3; r++)
            status = pluck_shard_merge(
                three.ranks.shards[r],
                (const void *const[]){records.bytes[0], records.bytes[1], records.bytes[2]},
                records.n_bytes, &is_done, &draw, &err);
        assert_false(is_done);
        for (uint32_t r = 0; r < 3; r++)
            free(records.bytes[r]);
    }
    assert_int_equal(status, PLUCK_ERR_FORMAT);
    assert_non_null(strstr(err.message, "they contradict each other"));
    three_free(&three);
}

static void a_rank_that_cannot_begin_says_why_on_every_rank(void **state)
{
    (void)state;
    three_ranks three;
    three_records records;
    pluck_error own, err;
    three_make(&three, "{\"temperature\": 0}");
    begin_all(&three);
    assert_int_equal(pluck_shard_begin(three.ranks.shards[1], three.ranks.samplers[1],
                                       (pluck_logits){three.row, PLUCK_F32, 77}, &own),
                     PLUCK_ERR_INVALID);
    assert_non_null(strstr(own.message, "the slice has 77 logits"));
    assert_int_equal(pluck_shard_record_bytes(three.ranks.shards[1]),
                     pluck_shard_record_bytes(three.ranks.shards[0]));
    write_records(&three, &records);
    assert_int_equal(merge(&three, &records, &err), PLUCK_ERR_INVALID);
    assert_non_null(strstr(err.message, "rank 1: the slice has 77 logits"));
    for (uint32_t r = 0; r < 3; r++)
        free(records.bytes[r]);
    three_free(&three);
}

static void a_sampler_that_changes_under_a_row_is_noticed(void **state)
{
    (void)state;
    three_ranks three;
    three_records records;
    pluck_error err;
    three_make(&three, "{\"temperature\": 0}");
    begin_all(&three);
    write_records(&three, &records);
    test_accept(three.ranks.samplers[0], &(pluck_token){5}, 1);
    assert_int_equal(merge(&three, &records, &err), PLUCK_ERR_INVALID);
    assert_non_null(strstr(err.message, "the sampler was changed"));
    for (uint32_t r = 0; r < 3; r++)
        free(records.bytes[r]);
    three_free(&three);
}

static void where_the_vocabulary_may_not_be_cut_is_said(void **state)
{
    (void)state;
    static const struct {
        const char *message;
        uint32_t n_vocab, rank, n_ranks, first_token[4];
    } cases[] = {
        {"first_token[1] is 2500; slices begin at multiples of 1024, and the nearest ones are 2048 "
         "and 3072",
         5000,
         0,
         2,
         {0, 2500, 5000}},
        {"first_token[1] is 3072, and first_token[2] is 3072; each rank must have",
         5000,
         0,
         3,
         {0, 3072, 3072, 5000}},
        {"first_token[1] is 3072, and first_token[2] is 2048", 5000, 0, 3, {0, 3072, 2048, 5000}},
        {"the slices are of tokens 0 to 4999; expected 0 to n_vocab = 5000",
         5000,
         0,
         2,
         {0, 1024, 4999}},
        {"the slices are of tokens 1024 to 5000", 5000, 0, 2, {1024, 2048, 5000}},
        {"n_ranks = 6 is outside [1, 5]", 5000, 0, 6, {0}},
        {"n_ranks = 0 is outside", 5000, 0, 0, {0}},
        {"rank = 2 is outside [0, 1]", 5000, 2, 2, {0, 1024, 5000}},
        {"n_vocab = 0 is outside", 0, 0, 1, {0, 0}},
        {"n_vocab = 16777217 is outside", (1 << 24) + 1, 0, 1, {0, (1 << 24) + 1}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pluck_shard_options options = PLUCK_INIT(pluck_shard_options);
        pluck_shard *shard = NULL;
        pluck_error err;
        options.n_vocab = cases[i].n_vocab;
        options.rank = cases[i].rank;
        options.n_ranks = cases[i].n_ranks;
        options.first_token = cases[i].first_token;
        assert_int_equal(pluck_shard_create(&shard, &options, &err), PLUCK_ERR_INVALID);
        assert_null(shard);
        if (!strstr(err.message, cases[i].message))
            fail_msg("case %zu: %s", i, err.message);
    }
}

static void a_record_says_how_much_room_it_needs(void **state)
{
    (void)state;
    three_ranks three;
    pluck_error err;
    size_t needed = 0;
    unsigned char byte = 0x5A;
    three_make(&three, "{}");
    pluck_shard *shard = three.ranks.shards[0];
    assert_int_equal(pluck_shard_record_bytes(shard), 0);
    assert_int_equal(pluck_shard_record(shard, NULL, 0, &needed, &err), PLUCK_ERR_INVALID);
    begin_all(&three);
    assert_int_equal(pluck_shard_record(shard, &byte, 1, &needed, &err), PLUCK_ERR_SPACE);
    assert_int_equal(byte, 0x5A);
    assert_true(needed > 1 && needed <= pluck_shard_record_bytes(shard));
    assert_true(pluck_shard_record_bytes(shard) <= pluck_shard_max_record_bytes(shard));
    three_free(&three);
}

static void shards_fail_whole_and_allocate_only_when_created(void **state)
{
    (void)state;
    static float row[THIRDS_VOCAB];
    static unsigned char record[THIRDS_VOCAB * 16];
    static const uint32_t whole[] = {0, THIRDS_VOCAB};
    pluck_sampler *sampler = test_sampler("{\"top_p\": 0.9}", THIRDS_VOCAB, PLUCK_ISA_BEST, 1);
    pluck_shard_options options = PLUCK_INIT(pluck_shard_options);
    test_allocator allocator;
    test_allocator_init(&allocator);
    options.n_vocab = THIRDS_VOCAB;
    options.n_ranks = 1;
    options.first_token = whole;
    options.allocator = &allocator.interface;
    uint64_t n = 0;
    for (bool failed = true; failed; n++) {
        pluck_error err = {.status = PLUCK_OK};
        pluck_shard *shard = (pluck_shard *)&err;
        allocator.failed = false;
        allocator.fail_at = n;
        pluck_status status = pluck_shard_create(&shard, &options, &err);
        failed = allocator.failed;
        if (failed) {
            assert_int_equal(status, PLUCK_ERR_NOMEM);
            assert_true(test_allocator_explains(&allocator, &err));
            assert_null(shard);
            continue;
        }
        pluck_draw draw;
        size_t n_bytes;
        const void *records[] = {record};
        allocator.fail_at = 0;
        assert_int_equal(
            pluck_shard_begin(shard, sampler, (pluck_logits){row, PLUCK_F32, THIRDS_VOCAB}, &err),
            PLUCK_OK);
        for (bool is_done = false; !is_done;) {
            assert_int_equal(pluck_shard_record(shard, record, sizeof record, &n_bytes, &err),
                             PLUCK_OK);
            assert_int_equal(pluck_shard_merge(shard, records, &n_bytes, &is_done, &draw, &err),
                             PLUCK_OK);
        }
        assert_false(allocator.failed);
        pluck_shard_destroy(&shard);
    }
    assert_true(n > 3);
    assert_int_equal(allocator.n_live, 0);
    pluck_sampler_destroy(&sampler);
}

int main(int argc, char **argv)
{
    test_cases_begin(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slices_give_the_draw_of_the_whole_row),
        cmocka_unit_test(the_lowest_bad_token_of_the_row_is_named),
        cmocka_unit_test(nothing_is_known_of_the_row_after_logits_have_changed),
        cmocka_unit_test(a_rank_that_is_not_in_step_is_named),
        cmocka_unit_test(histories_are_compared),
        cmocka_unit_test(bytes_that_are_not_a_record_are_refused),
        cmocka_unit_test(tokens_that_are_not_of_the_slice_are_refused),
        cmocka_unit_test(records_that_contradict_each_other_come_to_an_end),
        cmocka_unit_test(a_rank_that_cannot_begin_says_why_on_every_rank),
        cmocka_unit_test(a_sampler_that_changes_under_a_row_is_noticed),
        cmocka_unit_test(where_the_vocabulary_may_not_be_cut_is_said),
        cmocka_unit_test(a_record_says_how_much_room_it_needs),
        cmocka_unit_test(shards_fail_whole_and_allocate_only_when_created),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
