/*
 * Why: different samplers may be used by different threads at once, over the same logits and made
 * from the same configuration. Threads that share both must give what one thread gives alone; under
 * ThreadSanitizer this also shows that nothing behind them is shared and written.
 */
#include "support/cases.h"
#include "support/isa.h"
#include "support/logit_cases.h"
#include "support/samplers.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N_VOCAB = 2000, N_ROWS = 50, N_TOKENS = 300, N_THREADS = 4 };

typedef struct shared_data {
    const pluck_config *config;
    const float *rows;
} shared_data;

typedef struct sequence {
    const shared_data *shared;
    uint64_t stream;
    pluck_draw draws[N_TOKENS];
    pluck_status status;
} sequence;

/* One sequence from creation to destruction, with a clone in the middle. */
static void *run_sequence(void *argument)
{
    sequence *s = argument;
    pluck_sampler_options options = {
        .struct_size = sizeof options, .isa = test_isa(), .stream = s->stream};
    pluck_sampler *sampler = NULL, *copy = NULL;
    s->status = pluck_sampler_create(&sampler, s->shared->config, N_VOCAB, &options, NULL);
    for (int i = 0; i < N_TOKENS && s->status == PLUCK_OK; i++) {
        if (i == N_TOKENS / 2) {
            s->status = pluck_sampler_clone(&copy, sampler, NULL);
            pluck_sampler_destroy(&sampler);
            sampler = copy;
        }
        pluck_logits logits = {s->shared->rows + (size_t)(i % N_ROWS) * N_VOCAB, PLUCK_F32,
                               N_VOCAB};
        if (s->status == PLUCK_OK)
            s->status = pluck_sampler_draw(sampler, logits, s->draws + i, NULL);
        if (s->status == PLUCK_OK)
            s->status = pluck_sampler_accept(sampler, s->draws[i].token, NULL);
    }
    pluck_sampler_destroy(&sampler);
    return NULL;
}

static void threads_give_what_one_thread_gives(void **state)
{
    (void)state;
    float *rows = malloc(N_ROWS * N_VOCAB * sizeof *rows);
    sequence *sequences = calloc(2 * N_THREADS, sizeof *sequences);
    assert_non_null(rows);
    assert_non_null(sequences);
    logit_fill((logit_kind)TEST_VECTOR_NORMAL, 1, N_ROWS * N_VOCAB, rows);
    pluck_config *config = test_config(
        "{\"seed\": 5, \"logit_bias\": {\"3\": 2}, \"repeat_penalty\": 1.2, \"repeat_last_n\": -1, "
        "\"top_k\": 500, \"top_p\": 0.95, \"min_p\": 0.001, \"temperature\": 1.1}");
    shared_data shared = {config, rows};
    for (int i = 0; i < 2 * N_THREADS; i++)
        sequences[i] = (sequence){.shared = &shared, .stream = (uint64_t)i % N_THREADS};
    pthread_t threads[N_THREADS];
    for (int i = 0; i < N_THREADS; i++)
        assert_int_equal(pthread_create(threads + i, NULL, run_sequence, sequences + i), 0);
    for (int i = 0; i < N_THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (int i = 0; i < N_THREADS; i++) {
        run_sequence(sequences + N_THREADS + i);
        assert_int_equal(sequences[i].status, PLUCK_OK);
        assert_memory_equal(sequences[i].draws, sequences[N_THREADS + i].draws,
                            sizeof sequences[i].draws);
    }
    pluck_config_destroy(&config);
    free(sequences);
    free(rows);
}

int main(int argc, char **argv)
{
    test_cases_begin(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_give_what_one_thread_gives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
