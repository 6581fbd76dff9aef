#include "support/fake_ranks.h"

#include "support/random.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_PASSES = 64, RESULT_BYTES = 1 << 16 };

/* What a rank found out in a pass. */
typedef struct part {
    void *bytes;
    size_t n_bytes;
} part;

/* Ends the program where the fake ranks themselves fail. They may be in a thread, in which
 * assertions of cmocka do not work. */
static void require(bool condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "ranks: %s\n", what);
    abort();
}

static part part_of(const pluck_tally *tally)
{
    part p;
    size_t needed = 0;
    require(pluck_tally_put(tally, NULL, 0, &p.n_bytes, NULL) == PLUCK_OK, "size of a tally");
    p.bytes = malloc(p.n_bytes);
    require(p.bytes != NULL, "no memory");
    require(pluck_tally_put(tally, p.bytes, p.n_bytes, &needed, NULL) == PLUCK_OK, "tally");
    return p;
}

/* Merges, in random order, the parts of all ranks except the rank but, which is n_ranks if none is
 * left out. */
static pluck_status merge_parts(pluck_tally *tally, const part *parts, unsigned n_ranks,
                                unsigned but, test_random *random, pluck_error *err)
{
    unsigned order[TEST_MAX_RANKS];
    for (unsigned i = 0; i < n_ranks; i++) {
        unsigned k = (unsigned)test_random_below(random, i + 1);
        order[i] = order[k];
        order[k] = i;
    }
    pluck_status status = PLUCK_OK;
    for (unsigned i = 0; i < n_ranks && status == PLUCK_OK; i++)
        if (order[i] != but)
            status = pluck_tally_merge(tally, parts[order[i]].bytes, parts[order[i]].n_bytes, err);
    return status;
}

/* The next piece of the items from *first on. */
static uint64_t random_end(test_random *random, uint64_t first, uint64_t n_items)
{
    uint64_t most = n_items / 3 + 1, n = 1 + test_random_below(random, (size_t)most);
    return n < n_items - first ? first + n : n_items;
}

/* Replay. */

typedef struct replay {
    unsigned n_ranks, rank;
    uint64_t seed;
    part parts[MAX_PASSES][TEST_MAX_RANKS];
    unsigned n_known; /* passes */
    bool is_cut;      /* the call ended because its pass did */

    /* Of the call that runs: */
    unsigned n_begun;
    uint64_t n_items, at;
    test_random random;
} replay;

static pluck_status replay_begin(void *user, uint64_t n_items, pluck_tally *tally, bool *is_known,
                                 pluck_error *err)
{
    replay *r = user;
    unsigned pass = r->n_begun++;
    require(pass < MAX_PASSES && pass <= r->n_known, "too many passes");
    r->n_items = n_items;
    r->at = 0;
    r->random = test_random_make(r->seed * MAX_PASSES + pass);
    *is_known = pass < r->n_known;
    if (!*is_known)
        return PLUCK_OK;
    test_random order = test_random_make(r->seed + 1000 * pass + r->rank);
    return merge_parts(tally, r->parts[pass], r->n_ranks, r->n_ranks, &order, err);
}

/* All ranks draw the same pieces and owners. */
static pluck_status replay_next(void *user, uint64_t *first, uint64_t *end, pluck_error *err)
{
    replay *r = user;
    (void)err;
    while (r->at < r->n_items) {
        *first = r->at;
        r->at = *end = random_end(&r->random, *first, r->n_items);
        if (test_random_below(&r->random, r->n_ranks) == r->rank)
            return PLUCK_OK;
    }
    *first = *end = r->n_items;
    return PLUCK_OK;
}

static pluck_status replay_combine(void *user, pluck_tally *tally, pluck_error *err)
{
    replay *r = user;
    r->parts[r->n_known][r->rank] = part_of(tally);
    r->is_cut = true;
    if (err)
        *err = (pluck_error){PLUCK_ERR_IO, "the part is written"};
    return PLUCK_ERR_IO;
}

pluck_status test_ranks_replay(unsigned n_ranks, uint64_t seed, test_rank_job *job,
                               const void *user, void *result, unsigned *n_rounds, pluck_error *err)
{
    static replay r;
    r = (replay){.n_ranks = n_ranks, .seed = seed};
    pluck_ranks ranks = {.struct_size = sizeof ranks,
                         .begin = replay_begin,
                         .next = replay_next,
                         .combine = replay_combine,
                         .user = &r,
                         .n_ranks = n_ranks};
    pluck_status status = PLUCK_OK;
    do {
        for (r.rank = 0; r.rank < n_ranks; r.rank++) {
            r.n_begun = 0;
            r.is_cut = false;
            ranks.rank = r.rank;
            status = job(user, &ranks, result, err);
            require(r.is_cut || r.rank == 0, "ranks ask for different passes");
            if (!r.is_cut)
                break;
            require(status == PLUCK_ERR_IO && strstr(err->message, "the part is written"),
                    "the failure of combine is not returned");
        }
        r.n_known += r.is_cut;
    } while (r.is_cut);
    *n_rounds = r.n_known;
    for (unsigned pass = 0; pass < r.n_known; pass++)
        for (unsigned i = 0; i < n_ranks; i++)
            free(r.parts[pass][i].bytes);
    return status;
}

/* Threads. */

typedef struct shared {
    unsigned n_ranks;
    uint64_t seed;
    test_rank_job *job;
    const void *user;
    part parts[TEST_MAX_RANKS];
    pthread_barrier_t barrier;
    pthread_mutex_t mutex;
    uint64_t n_items, at;
    test_random random;
} shared;

typedef struct thread_rank {
    shared *shared;
    unsigned rank;
    pthread_t thread;
    pluck_status status;
    pluck_error err;
    void *result;
} thread_rank;

static pluck_status thread_begin(void *user, uint64_t n_items, pluck_tally *tally, bool *is_known,
                                 pluck_error *err)
{
    thread_rank *t = user;
    (void)tally;
    (void)is_known;
    (void)err;
    pthread_mutex_lock(&t->shared->mutex);
    t->shared->n_items = n_items;
    pthread_mutex_unlock(&t->shared->mutex);
    return PLUCK_OK;
}

static pluck_status thread_next(void *user, uint64_t *first, uint64_t *end, pluck_error *err)
{
    thread_rank *t = user;
    shared *s = t->shared;
    (void)err;
    pthread_mutex_lock(&s->mutex);
    *first = *end = s->at;
    if (s->at < s->n_items)
        s->at = *end = random_end(&s->random, *first, s->n_items);
    pthread_mutex_unlock(&s->mutex);
    return PLUCK_OK;
}

static pluck_status thread_combine(void *user, pluck_tally *tally, pluck_error *err)
{
    thread_rank *t = user;
    shared *s = t->shared;
    s->parts[t->rank] = part_of(tally);
    pthread_barrier_wait(&s->barrier);
    test_random order = test_random_make(s->seed + t->rank);
    pluck_status status = merge_parts(tally, s->parts, s->n_ranks, t->rank, &order, err);
    if (t->rank == 0)
        s->at = 0;
    pthread_barrier_wait(&s->barrier);
    free(s->parts[t->rank].bytes);
    return status;
}

static void *run_rank(void *user)
{
    thread_rank *t = user;
    const pluck_ranks ranks = {.struct_size = sizeof ranks,
                               .begin = thread_begin,
                               .next = thread_next,
                               .combine = thread_combine,
                               .user = t,
                               .rank = t->rank,
                               .n_ranks = t->shared->n_ranks};
    t->status = t->shared->job(t->shared->user, &ranks, t->result, &t->err);
    return NULL;
}

pluck_status test_ranks_threads(unsigned n_ranks, uint64_t seed, test_rank_job *job,
                                const void *user, void *result, size_t result_bytes,
                                pluck_error *err)
{
    static unsigned char results[TEST_MAX_RANKS][RESULT_BYTES];
    static thread_rank ranks[TEST_MAX_RANKS];
    shared s = {.n_ranks = n_ranks,
                .seed = seed,
                .job = job,
                .user = user,
                .random = test_random_make(seed)};
    assert_true(result_bytes <= RESULT_BYTES);
    assert_int_equal(pthread_barrier_init(&s.barrier, NULL, n_ranks), 0);
    assert_int_equal(pthread_mutex_init(&s.mutex, NULL), 0);
    for (unsigned i = 0; i < n_ranks; i++) {
        memset(results[i], 0, result_bytes);
        ranks[i] = (thread_rank){.shared = &s, .rank = i, .result = results[i]};
        assert_int_equal(pthread_create(&ranks[i].thread, NULL, run_rank, &ranks[i]), 0);
    }
    for (unsigned i = 0; i < n_ranks; i++)
        assert_int_equal(pthread_join(ranks[i].thread, NULL), 0);
    pthread_barrier_destroy(&s.barrier);
    pthread_mutex_destroy(&s.mutex);
    for (unsigned i = 1; i < n_ranks; i++) {
        assert_int_equal(ranks[i].status, ranks[0].status);
        if (ranks[0].status != PLUCK_OK)
            assert_string_equal(ranks[i].err.message, ranks[0].err.message);
        assert_memory_equal(results[i], results[0], result_bytes);
    }
    memcpy(result, results[0], result_bytes);
    *err = ranks[0].err;
    return ranks[0].status;
}
