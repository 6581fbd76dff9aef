/*
 * Why: a server parks sessions as bytes, and bytes come back from disks and networks. Whatever they
 * are, loading gives the sampler that was saved or leaves the one there is untouched. That a loaded
 * sampler goes on like the saved one, from any state, is for the random walks of the sequence laws;
 * here are the format itself, byte by byte as documented, and everything that may be wrong with it.
 */
#include "base/bytes.h"
#include "support/cases.h"
#include "support/logit_cases.h"
#include "support/random.h"
#include "support/samplers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N_VOCAB = 100, MAX_BYTES = 1 << 16 };

/* Every stage that has a state, and windows of all sorts. */
static const char *const configurations[] = {
    "{}",
    "{\"seed\": 9, \"repeat_penalty\": 1.2, \"repeat_last_n\": 16, \"temperature\": 0.7}",
    ("{\"repeat_penalty\": 1.2, \"repeat_last_n\": -1, \"repeat_ignore_prompt\": true, "
     "\"dry_multiplier\": 0.8}"),
    "{\"no_repeat_ngram_size\": 3, \"mirostat\": 2}",
    "{\"mirostat\": 1}",
    "{\"draw\": {\"type\": \"adaptive_p\", \"target\": 0.3}}",
};
enum { N_CONFIGURATIONS = sizeof configurations / sizeof *configurations };

static float x[N_VOCAB];

static pluck_logits logits(void)
{
    return (pluck_logits){x, PLUCK_F32, N_VOCAB};
}

static pluck_sampler *sampler_of(const char *json)
{
    return test_sampler(json, N_VOCAB, PLUCK_ISA_BEST, 3);
}

/* n tokens: the first ones a prompt, then what is drawn, now and then another. */
static void play(pluck_sampler *sampler, int n)
{
    for (int i = 0; i < n; i++) {
        pluck_token token = i * 7 % N_VOCAB;
        if (i >= 5 && i % 4)
            assert_int_equal(pluck_sampler_sample(sampler, logits(), &token, NULL), PLUCK_OK);
        assert_int_equal(i < 5 ? pluck_sampler_prompt(sampler, &token, 1, NULL)
                               : pluck_sampler_accept(sampler, token, NULL),
                         PLUCK_OK);
    }
}

typedef struct state_bytes {
    unsigned char bytes[MAX_BYTES];
    size_t n;
} state_bytes;

static void save(const pluck_sampler *sampler, state_bytes *out)
{
    assert_int_equal(pluck_sampler_save(sampler, out->bytes, sizeof out->bytes, &out->n, NULL),
                     PLUCK_OK);
}

static bool is_unchanged(const pluck_sampler *sampler, const state_bytes *before)
{
    state_bytes *now = malloc(sizeof *now);
    assert_non_null(now);
    save(sampler, now);
    bool same = now->n == before->n && memcmp(now->bytes, before->bytes, now->n) == 0;
    free(now);
    return same;
}

/* Makes the size and the checksum right again after a change. */
static void seal(state_bytes *state)
{
    plk_byte_writer size = plk_byte_writer_make(state->bytes + 16, 8);
    plk_put_u64(&size, state->n);
    plk_byte_writer sum = plk_byte_writer_make(state->bytes + state->n - 8, 8);
    plk_put_u64(&sum, plk_fnv1a(state->bytes, state->n - 8));
}

static void the_bytes_are_those_of_the_format(void **state)
{
    (void)state;
    pluck_sampler *sampler = sampler_of("{\"seed\": 258, \"mirostat\": 2, \"mirostat_tau\": 1}");
    assert_int_equal(pluck_sampler_prompt(sampler, (const pluck_token[]){7}, 1, NULL), PLUCK_OK);
    assert_int_equal(pluck_sampler_accept(sampler, 99, NULL), PLUCK_OK);
    state_bytes saved;
    save(sampler, &saved);
    static const unsigned char head[] = {
        'P', 'L', 'U', 'C', 'K', 'S', 'M', 'P', 1, 0, 0, 0, /* version */
        100, 0,   0,   0,                                   /* n_vocab */
        192, 0,   0,   0,   0,   0,   0,   0,               /* bytes in all */
    };
    static const unsigned char middle[] = {
        0,  1, 0, 0,                               /* max_rewind 256 */
        0,  0, 0, 0,                               /* nothing drawn */
        2,  1, 0, 0,    0, 0, 0, 0,                /* seed 258 */
        3,  0, 0, 0,    0, 0, 0, 0,                /* stream 3 */
        2,  0, 0, 0,    0, 0, 0, 0,                /* position 2 */
        2,  0, 0, 0,    0, 0, 0, 0,                /* furthest 2 */
        0,  0, 0, 0,    1, 0, 0, 0,                /* no token; one stage */
        0,  0, 0, 0,    0, 0, 0, 0,                /* nothing observed */
        2,  0, 0, 0,    0, 0, 0, 0,                /* two tokens */
        0,  0, 0, 0,    0, 0, 0, 0,                /* from the first one on */
        1,  0, 0, 0,    0, 0, 0, 0,                /* one generated */
        7,  0, 0, 0,    0, 0, 0, 0,                /* token 7 */
        99, 0, 0, 0,    0, 0, 0, 0,                /* token 99 */
        48, 0, 0, 0,    0, 0, 0, 0,                /* mirostat_v2 has 48 bytes */
        0,  0, 0, 0,    0, 0, 0, 0x40,             /* mu 2, before and after */
        0,  0, 0, 0,    0, 0, 0, 0,    0, 0, 0, 0, /* unused */
        0,  0, 0, 0x40, 0, 0, 0, 0,    0, 0, 0, 0, /* … */
        0,  0, 0, 0,    0, 0, 0, 0x40, 0, 0, 0, 0, /* … */
        0,  0, 0, 0,
    };
    assert_int_equal(saved.n, sizeof head + 8 + sizeof middle + 8);
    assert_memory_equal(saved.bytes, head, sizeof head);
    assert_memory_equal(saved.bytes + sizeof head + 8, middle, sizeof middle);
    /* What hashes of strings of bytes must be, on any machine. */
    plk_byte_writer identity = plk_byte_writer_make(NULL, 0);
    plk_put_u32(&identity, 0);
    plk_put_bytes(&identity, "mirostat_v2\0tau\0\0\0\0\0\0\0\xF0\x3F\0\0\0", 28);
    plk_byte_reader in = {saved.bytes + sizeof head, 8, false};
    assert_int_equal(plk_take_u64(&in), identity.hash);
    assert_int_equal(plk_fnv1a("foobar", 6), 0x85944171F73967E8u); /* of the FNV reference code */
    in = (plk_byte_reader){saved.bytes + saved.n - 8, 8, false};
    assert_int_equal(plk_take_u64(&in), plk_fnv1a(saved.bytes, saved.n - 8));
    pluck_sampler_destroy(&sampler);
}

static void the_size_is_told_and_kept_to(void **state)
{
    (void)state;
    pluck_sampler *sampler = sampler_of(configurations[3]);
    play(sampler, 40);
    state_bytes saved;
    save(sampler, &saved);
    unsigned char *exact = malloc(saved.n);
    assert_non_null(exact);
    for (size_t capacity = 0; capacity < saved.n; capacity += 13) {
        size_t needed = 0;
        pluck_error err = {.message = ""};
        memset(exact, 0x5A, saved.n);
        assert_int_equal(pluck_sampler_save(sampler, exact, capacity, &needed, &err),
                         PLUCK_ERR_SPACE);
        assert_int_equal(needed, saved.n);
        assert_int_equal(exact[0], 0x5A);
    }
    size_t needed = 0;
    assert_int_equal(pluck_sampler_save(sampler, NULL, 0, &needed, NULL), PLUCK_OK);
    assert_int_equal(needed, saved.n);
    assert_int_equal(pluck_sampler_save(sampler, exact, saved.n, &needed, NULL), PLUCK_OK);
    assert_memory_equal(exact, saved.bytes, saved.n);
    assert_int_equal(pluck_sampler_save(sampler, NULL, 5, &needed, NULL), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_sampler_save(sampler, exact, 5, NULL, NULL), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_sampler_save(NULL, exact, 5, &needed, NULL), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_sampler_restore(sampler, NULL, 5, NULL), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_sampler_restore(NULL, exact, saved.n, NULL), PLUCK_ERR_INVALID);
    free(exact);
    pluck_sampler_destroy(&sampler);
}

/* Every cut and every changed byte, as it is and with the checksum made right again: refused, or a
 * sampler that can be used. */
static void hostile_bytes_are_refused_or_harmless(void **state)
{
    (void)state;
    state_bytes *saved = malloc(sizeof *saved), *bad = malloc(sizeof *bad);
    assert_true(saved && bad);
    for (int c = 0; c < N_CONFIGURATIONS; c++) {
        pluck_sampler *sampler = sampler_of(configurations[c]);
        play(sampler, 12);
        save(sampler, saved);
        for (size_t n = 0; n < saved->n; n++) {
            *bad = *saved;
            bad->n = n;
            assert_int_equal(pluck_sampler_restore(sampler, bad->bytes, n, NULL), PLUCK_ERR_FORMAT);
            if (n >= 128) {
                seal(bad);
                assert_int_equal(pluck_sampler_restore(sampler, bad->bytes, n, NULL),
                                 PLUCK_ERR_FORMAT);
            }
        }
        assert_true(is_unchanged(sampler, saved));
        test_random random = test_random_make(77);
        for (size_t i = 0; i < saved->n; i++) {
            *bad = *saved;
            bad->bytes[i] ^= (unsigned char)(1 + test_random_below(&random, 255));
            assert_int_equal(pluck_sampler_restore(sampler, bad->bytes, bad->n, NULL),
                             PLUCK_ERR_FORMAT);
            seal(bad);
            pluck_error err = {.status = PLUCK_OK};
            pluck_status status = pluck_sampler_restore(sampler, bad->bytes, bad->n, &err);
            if (status == PLUCK_OK) {
                pluck_token token = 0;
                (void)pluck_sampler_sample(sampler, logits(), &token, NULL);
                assert_int_equal(pluck_sampler_accept(sampler, token, NULL), PLUCK_OK);
                (void)pluck_sampler_rewind(sampler, 3, NULL);
                assert_int_equal(pluck_sampler_restore(sampler, saved->bytes, saved->n, NULL),
                                 PLUCK_OK);
            } else {
                assert_true(status == PLUCK_ERR_FORMAT || status == PLUCK_ERR_CONFIG);
                assert_true(strlen(err.message) > 0);
            }
            assert_true(is_unchanged(sampler, saved));
        }
        pluck_sampler_destroy(&sampler);
    }
    free(saved);
    free(bad);
}

static void every_error_says_what_is_wrong(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        unsigned char byte;
        pluck_status status;
        const char *message;
    } changes[] = {
        {0, 'X', PLUCK_ERR_FORMAT, "not the state of a sampler"},
        {8, 2, PLUCK_ERR_FORMAT, "the state has format version 2; this library reads version 1"},
        {12, 99, PLUCK_ERR_CONFIG,
         "the state is of a sampler for 99 tokens with max_rewind 256; "
         "this sampler is for 100 tokens with max_rewind 256"},
        {24, 0, PLUCK_ERR_CONFIG, "with different stages, parameters or on_nan"},
        {36, 2, PLUCK_ERR_FORMAT, "the state is damaged: its last draw is impossible"},
        {64, 0, PLUCK_ERR_FORMAT, "the state is damaged: its largest position is impossible"},
        {72, 100, PLUCK_ERR_FORMAT, "the state is damaged: its last draw is impossible"},
        {88, 255, PLUCK_ERR_FORMAT, "tokens of a sequence"},
        {104, 77, PLUCK_ERR_FORMAT, "number of generated tokens is impossible"},
        {112, 100, PLUCK_ERR_FORMAT, "token at position 0 is impossible"},
        {116, 1, PLUCK_ERR_FORMAT, "token at position 0 is impossible"},
    };
    pluck_sampler *sampler = sampler_of("{\"mirostat\": 2}");
    play(sampler, 12);
    state_bytes saved;
    save(sampler, &saved);
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        state_bytes bad = saved;
        pluck_error err = {.message = ""};
        bad.bytes[changes[i].at] = changes[i].byte;
        seal(&bad);
        assert_int_equal(pluck_sampler_restore(sampler, bad.bytes, bad.n, &err), changes[i].status);
        assert_int_equal(err.status, changes[i].status);
        if (!strstr(err.message, changes[i].message))
            fail_msg("byte %zu: %s", changes[i].at, err.message);
    }
    state_bytes longer = saved;
    longer.n += 8;
    memset(longer.bytes + saved.n, 0, 8);
    pluck_error err = {.message = ""};
    assert_int_equal(pluck_sampler_restore(sampler, longer.bytes, longer.n, &err),
                     PLUCK_ERR_FORMAT);
    seal(&longer);
    assert_int_equal(pluck_sampler_restore(sampler, longer.bytes, longer.n, &err),
                     PLUCK_ERR_FORMAT);
    assert_non_null(strstr(err.message, "missing or left over"));
    pluck_sampler_destroy(&sampler);
}

/* What changes no result does not count, everything else does. */
static void states_belong_to_one_configuration(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        bool fits;
    } others[] = {
        {"{\"seed\": 1, \"top_k\": 20, \"repeat_penalty\": 1.5}", true},
        {"{\"seed\": \"random\", \"top_k\": 20, \"repeat_penalty\": 1.5, \"top_p\": 1}", true},
        {"{\"stages\": [{\"type\": \"penalties\", \"repeat\": 1.5}, {\"type\": \"top_k\", "
         "\"k\": 20}], \"description\": \"the same\"}",
         true},
        {"{\"top_k\": 21, \"repeat_penalty\": 1.5}", false},
        {"{\"top_k\": 20, \"repeat_penalty\": 1.5, \"repeat_last_n\": 63}", false},
        {"{\"top_k\": 20, \"repeat_penalty\": 1.5, \"temperature\": 0.5}", false},
        {"{\"top_k\": 20, \"repeat_penalty\": 1.5, \"on_nan\": \"ban\"}", false},
        {"{\"top_k\": 20, \"repeat_penalty\": 1.5, \"logit_bias\": {\"1\": 2}}", false},
        {"{\"stages\": [{\"type\": \"top_k\", \"k\": 20}, {\"type\": \"penalties\", "
         "\"repeat\": 1.5}]}",
         false},
    };
    pluck_sampler *sampler = sampler_of("{\"seed\": 5, \"top_k\": 20, \"repeat_penalty\": 1.5}");
    play(sampler, 30);
    state_bytes saved;
    save(sampler, &saved);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        pluck_sampler *other = sampler_of(others[i].json);
        assert_int_equal(pluck_sampler_restore(other, saved.bytes, saved.n, NULL),
                         others[i].fits ? PLUCK_OK : PLUCK_ERR_CONFIG);
        if (others[i].fits) {
            assert_int_equal(test_info_of(other).seed, 5);
            assert_true(is_unchanged(other, &saved));
        }
        pluck_sampler_destroy(&other);
    }
    pluck_sampler_destroy(&sampler);
}

/* Each place of each kind of parameter: first, middle and last, key and value. */
static void a_state_knows_every_part_of_every_parameter(void **state)
{
    (void)state;
    static const struct {
        const char *saved, *others[6];
    } cases[] = {
        {"{\"logit_bias\": {\"3\": 1.5, \"7\": -2, \"90\": 0.25}}",
         {"{\"logit_bias\": {\"3\": 1.25, \"7\": -2, \"90\": 0.25}}",
          "{\"logit_bias\": {\"2\": 1.5, \"7\": -2, \"90\": 0.25}}",
          "{\"logit_bias\": {\"3\": 1.5, \"7\": false, \"90\": 0.25}}",
          "{\"logit_bias\": {\"3\": 1.5, \"7\": -2, \"90\": 0.5}}",
          "{\"logit_bias\": {\"3\": 1.5, \"7\": -2, \"91\": 0.25}}",
          "{\"logit_bias\": {\"7\": -2, \"90\": 0.25}}"}},
        {"{\"min_tokens\": 9, \"min_tokens_ids\": [2, 5, 8]}",
         {"{\"min_tokens\": 9, \"min_tokens_ids\": [1, 5, 8]}",
          "{\"min_tokens\": 9, \"min_tokens_ids\": [2, 6, 8]}",
          "{\"min_tokens\": 9, \"min_tokens_ids\": [2, 5, 9]}",
          "{\"min_tokens\": 9, \"min_tokens_ids\": [2, 5]}",
          "{\"min_tokens\": 8, \"min_tokens_ids\": [2, 5, 8]}",
          "{\"min_tokens\": 9, \"min_tokens_ids\": [5, 8]}"}},
        {"{\"bad_words_ids\": [[1, 2], [3]]}",
         {"{\"bad_words_ids\": [[4, 2], [3]]}", "{\"bad_words_ids\": [[1, 4], [3]]}",
          "{\"bad_words_ids\": [[1, 2], [4]]}", "{\"bad_words_ids\": [[1], [2, 3]]}",
          "{\"bad_words_ids\": [[1, 2, 3]]}", "{\"bad_words_ids\": [[3], [1, 2]]}"}},
        {"{\"repeat_penalty\": 1.5, \"repeat_ignore_prompt\": true}",
         {"{\"repeat_penalty\": 1.5}", "{\"repeat_penalty\": 1.5000000000000002, "
                                       "\"repeat_ignore_prompt\": true}"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pluck_sampler *sampler = sampler_of(cases[i].saved), *same = sampler_of(cases[i].saved);
        state_bytes saved;
        play(sampler, 12);
        save(sampler, &saved);
        assert_int_equal(pluck_sampler_restore(same, saved.bytes, saved.n, NULL), PLUCK_OK);
        for (size_t j = 0; j < 6 && cases[i].others[j]; j++) {
            pluck_sampler *other = sampler_of(cases[i].others[j]);
            if (pluck_sampler_restore(other, saved.bytes, saved.n, NULL) != PLUCK_ERR_CONFIG)
                fail_msg("%s takes the state of %s", cases[i].others[j], cases[i].saved);
            pluck_sampler_destroy(&other);
        }
        pluck_sampler_destroy(&sampler);
        pluck_sampler_destroy(&same);
    }
}

/* What was drawn is known after loading: accepting it teaches mirostat as if nothing had been. */
static void a_drawn_token_is_learnt_from_after_loading(void **state)
{
    (void)state;
    pluck_sampler *sampler = sampler_of(configurations[3]), *other = sampler_of(configurations[3]);
    play(sampler, 20);
    pluck_token token = -1;
    assert_int_equal(pluck_sampler_sample(sampler, logits(), &token, NULL), PLUCK_OK);
    state_bytes saved;
    save(sampler, &saved);
    assert_int_equal(pluck_sampler_restore(other, saved.bytes, saved.n, NULL), PLUCK_OK);
    assert_int_equal(pluck_sampler_accept(sampler, token, NULL), PLUCK_OK);
    assert_int_equal(pluck_sampler_accept(other, token, NULL), PLUCK_OK);
    save(sampler, &saved);
    assert_true(is_unchanged(other, &saved));
    pluck_sampler_destroy(&sampler);
    pluck_sampler_destroy(&other);
}

static void a_mask_is_not_saved_and_loading_drops_it(void **state)
{
    (void)state;
    pluck_sampler *sampler = sampler_of("{\"draw\": \"greedy\"}");
    static const int32_t only_one[] = {2, 0, 0, 0};
    pluck_token before = -1, masked = -1, after = -1;
    pluck_sampler_sample(sampler, logits(), &before, NULL);
    assert_int_equal(pluck_sampler_set_mask(sampler, only_one, 4, NULL), PLUCK_OK);
    pluck_sampler_sample(sampler, logits(), &masked, NULL);
    assert_int_equal(masked, 1);
    state_bytes saved;
    save(sampler, &saved);
    assert_int_equal(pluck_sampler_restore(sampler, saved.bytes, saved.n, NULL), PLUCK_OK);
    pluck_sampler_sample(sampler, logits(), &after, NULL);
    assert_int_equal(after, before);
    pluck_sampler_destroy(&sampler);
}

/* 100,000 different tokens are counted in time that grows little faster than their number. */
static void a_long_history_is_loaded_at_once(void **state)
{
    (void)state;
    enum { LENGTH = 100000, VOCAB = 1 << 17 };
    static const char json[] = "{\"repeat_penalty\": 1.1, \"repeat_last_n\": -1, "
                               "\"dry_multiplier\": 1}";
    pluck_sampler *sampler = test_sampler(json, VOCAB, PLUCK_ISA_BEST, 0);
    pluck_sampler *other = test_sampler(json, VOCAB, PLUCK_ISA_BEST, 0);
    float *row = calloc(VOCAB, sizeof *row);
    assert_non_null(row);
    for (int i = 0; i < LENGTH; i++)
        assert_int_equal(pluck_sampler_accept(sampler, i, NULL), PLUCK_OK);
    size_t n = 0;
    assert_int_equal(pluck_sampler_save(sampler, NULL, 0, &n, NULL), PLUCK_OK);
    assert_in_range(n, 8 * LENGTH, 8 * LENGTH + 200);
    unsigned char *bytes = malloc(n);
    assert_non_null(bytes);
    assert_int_equal(pluck_sampler_save(sampler, bytes, n, &n, NULL), PLUCK_OK);
    assert_int_equal(pluck_sampler_restore(other, bytes, n, NULL), PLUCK_OK);
    pluck_logits logits_row = {row, PLUCK_F32, VOCAB};
    test_distribution a = test_distribution_of(sampler, logits_row);
    test_distribution b = test_distribution_of(other, logits_row);
    assert_int_equal(a.status, PLUCK_OK);
    assert_true(test_distribution_equal(&a, &b));
    test_distribution_free(&a);
    test_distribution_free(&b);
    free(row);
    free(bytes);
    pluck_sampler_destroy(&sampler);
    pluck_sampler_destroy(&other);
}

static int setup(void **state)
{
    (void)state;
    logit_fill((logit_kind)TEST_VECTOR_NORMAL, 3, N_VOCAB, x);
    return 0;
}

int main(int argc, char **argv)
{
    test_cases_begin(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_bytes_are_those_of_the_format),
        cmocka_unit_test(the_size_is_told_and_kept_to),
        cmocka_unit_test(hostile_bytes_are_refused_or_harmless),
        cmocka_unit_test(every_error_says_what_is_wrong),
        cmocka_unit_test(states_belong_to_one_configuration),
        cmocka_unit_test(a_state_knows_every_part_of_every_parameter),
        cmocka_unit_test(a_drawn_token_is_learnt_from_after_loading),
        cmocka_unit_test(a_mask_is_not_saved_and_loading_drops_it),
        cmocka_unit_test(a_long_history_is_loaded_at_once),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
