/*
 * Why: a workspace reserves addresses for the worst case, every token a candidate, but an engine
 * pays for what is written: the rest is never committed. What a chain writes is seen from a pattern
 * that fills all memory before. A draw from all tokens must stay within a 16th of the logits, and
 * what needs block maxima alone within V/16 bytes, plus a constant. Memory that is written late
 * must not be read before: what it held changes no token. Of the 26 bytes per value that are
 * reserved at most, 24 are the candidates and 1.5 what many draws from one row keep.
 */
#include "support/cases.h"
#include "support/logit_cases.h"
#include "support/samplers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SMALL = 1 << 17, LARGE = 1 << 20, N_STEPS = 20, LINE = 64, MAX_PIECES = 64 };

/* Every piece of memory that the library has, whole. */
typedef struct patterned {
    struct {
        unsigned char *memory;
        size_t size_bytes;
    } pieces[MAX_PIECES];
    size_t n;
    size_t n_bytes; /* asked for so far */
    unsigned char pattern;
} patterned;

static void *allocate(void *user, size_t size_bytes)
{
    patterned *p = user;
    unsigned char *memory = malloc(size_bytes);
    if (!memory || p->n == MAX_PIECES)
        abort();
    memset(memory, p->pattern, size_bytes);
    p->pieces[p->n].memory = memory;
    p->pieces[p->n++].size_bytes = size_bytes;
    p->n_bytes += size_bytes;
    return memory;
}

static void release(void *user, void *memory)
{
    patterned *p = user;
    size_t i = 0;
    while (i < p->n && p->pieces[i].memory != memory)
        i++;
    if (i == p->n)
        abort();
    p->pieces[i] = p->pieces[--p->n];
    free(memory);
}

/* Bytes of the cache lines that no longer hold the pattern alone. */
static size_t written(const patterned *p)
{
    size_t n = 0;
    for (size_t i = 0; i < p->n; i++)
        for (size_t at = 0; at < p->pieces[i].size_bytes; at += LINE) {
            bool changed = false;
            for (size_t k = at; k < at + LINE && k < p->pieces[i].size_bytes; k++)
                changed |= p->pieces[i].memory[k] != p->pattern;
            n += changed ? LINE : 0;
        }
    return n;
}

typedef struct memory_case {
    const char *json;
    double at_most; /* so many bytes a value are written, beyond the constant */
} memory_case;

/* Block maxima: 4/64 bytes a value. A dense draw also weighs the blocks, 4/64 + 8/64^2; for a
 * normaliser, and when the weights of a flat row say little, it adds up the blocks, 8/64. */
static const double maxima = 4.0 / 64, dense = 4.0 / 64 + 4.0 / 64 + 8.0 / 4096 + 8.0 / 64;

static void measure(const char *json, uint32_t n_vocab, size_t *sampled, size_t *drawn,
                    size_t *reserved)
{
    float *x = malloc(n_vocab * sizeof *x);
    assert_non_null(x);
    /* Peaked: a few tokens of every thousand stand out. */
    for (uint32_t i = 0; i < n_vocab; i++)
        x[i] = (float)(i * 2654435761u >> 20) / 1024.0f + (i % 5003 == 7 ? 16.0f : 0.0f);
    patterned p = {.pattern = 0xA5};
    pluck_allocator allocator = {allocate, release, &p};
    pluck_sampler_options options = {.struct_size = sizeof options, .allocator = &allocator};
    pluck_config *config = test_config(json);
    pluck_sampler *sampler = NULL;
    assert_int_equal(pluck_sampler_create(&sampler, config, n_vocab, &options, NULL), PLUCK_OK);
    pluck_logits logits = {x, PLUCK_F32, n_vocab};
    for (int i = 0; i < N_STEPS; i++) {
        pluck_token token = -1;
        assert_int_equal(pluck_sampler_sample(sampler, logits, &token, NULL), PLUCK_OK);
        assert_int_equal(pluck_sampler_accept(sampler, token, NULL), PLUCK_OK);
    }
    *sampled = written(&p);
    pluck_draw draw;
    for (int i = 0; i < N_STEPS; i++) {
        assert_int_equal(pluck_sampler_draw(sampler, logits, &draw, NULL), PLUCK_OK);
        assert_int_equal(pluck_sampler_accept(sampler, draw.token, NULL), PLUCK_OK);
    }
    *drawn = written(&p);
    *reserved = p.n_bytes;
    pluck_sampler_destroy(&sampler);
    pluck_config_destroy(&config);
    free(x);
}

static void written_memory_is_a_fraction_of_the_logits(void **state)
{
    (void)state;
    enum { CONSTANT = 8192 };
    const memory_case cases[] = {
        {"{\"temperature\": 0}", maxima},
        {"{\"min_p\": 0.05}", maxima},
        {"{\"top_k\": 40}", maxima},
        {"{\"top_k\": 40, \"top_p\": 0.95, \"min_p\": 0.05, \"temperature\": 0.8}", maxima},
        {"{}", dense},
        {"{\"temperature\": 0.8}", dense},
        {"{\"repeat_penalty\": 1.2, \"logit_bias\": {\"5\": 1}}", dense},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        for (uint32_t n_vocab = SMALL; n_vocab <= LARGE; n_vocab *= 8) {
            size_t sampled, drawn, reserved;
            measure(cases[c].json, n_vocab, &sampled, &drawn, &reserved);
            double slack = (double)CONSTANT / n_vocab;
            print_message("%-70s V = %7u: %.4f B a value, with logprob %.4f, reserved %.2f\n",
                          cases[c].json, n_vocab, (double)sampled / n_vocab,
                          (double)drawn / n_vocab, (double)reserved / n_vocab);
            assert_true((double)drawn / n_vocab <= cases[c].at_most + slack);
            assert_true((double)reserved / n_vocab <= 26.0);
        }
    }
}

/* One token of each block stands out, so that a draw tries many blocks, all over a vocabulary that
 * has more than 64 groups of 64 blocks. */
static void tokens_do_not_depend_on_what_memory_held(void **state)
{
    (void)state;
    enum { N = 73 * 4096, N_TOKENS = 60 };
    static const unsigned char patterns[] = {0x00, 0x3F, 0x7F, 0xA5, 0xFF};
    float *x = malloc(N * sizeof *x);
    assert_non_null(x);
    for (uint32_t i = 0; i < N; i++)
        x[i] = i % 64 == 7 ? (float)(i % 4099) / 8192.0f : -20.0f;
    pluck_logits logits = {x, PLUCK_F32, N};
    pluck_token expected[N_TOKENS];
    pluck_config *config = test_config("{}");
    for (size_t k = 0; k < sizeof patterns; k++) {
        patterned p = {.pattern = patterns[k]};
        pluck_allocator allocator = {allocate, release, &p};
        pluck_sampler_options options = {.struct_size = sizeof options, .allocator = &allocator};
        pluck_sampler *sampler = NULL;
        assert_int_equal(pluck_sampler_create(&sampler, config, N, &options, NULL), PLUCK_OK);
        for (size_t i = 0; i < N_TOKENS; i++) {
            pluck_token token = -1;
            assert_int_equal(pluck_sampler_sample(sampler, logits, &token, NULL), PLUCK_OK);
            assert_int_equal(pluck_sampler_accept(sampler, token, NULL), PLUCK_OK);
            expected[i] = k == 0 ? token : expected[i];
            assert_int_equal(token, expected[i]);
        }
        pluck_sampler_destroy(&sampler);
    }
    pluck_config_destroy(&config);
    free(x);
}

int main(int argc, char **argv)
{
    test_cases_begin(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_memory_is_a_fraction_of_the_logits),
        cmocka_unit_test(tokens_do_not_depend_on_what_memory_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
