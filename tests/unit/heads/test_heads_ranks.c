/*
 * Why: what many processes train together must be the head that one process trains. So: nodes,
 * biases, sums of squares and progress have the same bits for 1 to 7 ranks, over files and over
 * threads, with targets and with a teacher, however often nodes are collected; a failure has the
 * message of one process; and ranks that do not fit together are noticed.
 */
#include "heads/train/trainer.h"
#include "support/allocator.h"
#include "support/fake_ranks.h"
#include "support/random.h"
#include "support/train_problem.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { N_TOKENS = 40, DIM = 6, N_ROWS = 300, N_EPOCHS = 3, MAX_RANKS = 7 };

typedef struct result {
    float nodes[N_TOKENS * DIM], bias[N_TOKENS], squares[N_TOKENS];
    double counts[N_EPOCHS][3]; /* examples, losses of the last step and of the epoch */
} result;

typedef struct job {
    const char *name;
    bool has_teacher, avoids_passes, collects, without_bias;
    double l2;
    uint32_t n_workers; /* of the pool; 0: none */
    unsigned n_passes;  /* over files */
} job;

typedef struct call {
    const job *job;
    const train_problem *problem;
    const pluck_head *start;
    const pluck_allocator *allocator;
} call;

static pluck_pool *pools[4];

static pluck_status learn(const job *j, pluck_trainer *trainer, result *out, pluck_error *err)
{
    pluck_train_progress now = PLUCK_INIT(pluck_train_progress);
    pluck_status status = PLUCK_OK;
    while (status == PLUCK_OK && !now.is_done) {
        uint32_t epoch = now.epoch;
        status = pluck_trainer_step(trainer, err);
        if (status == PLUCK_OK)
            status = pluck_trainer_get_progress(trainer, &now, err);
        if (status != PLUCK_OK || now.epoch == epoch || !(j->collects || now.is_done))
            continue;
        status = pluck_trainer_collect(trainer, err);
        if (status == PLUCK_OK)
            status = pluck_trainer_get_progress(trainer, &now, err);
        if (status != PLUCK_OK)
            continue;
        const double counts[3] = {(double)now.n_examples, now.loss, now.epoch_loss};
        memcpy(out->counts[epoch], counts, sizeof counts);
    }
    return status;
}

static pluck_train_data data_of(const train_problem *p, bool has_teacher)
{
    return (pluck_train_data){.struct_size = sizeof(pluck_train_data),
                              .hidden = p->hidden,
                              .n_rows = p->n_rows,
                              .dim = p->dim,
                              .targets = has_teacher ? NULL : p->targets,
                              .teacher = has_teacher ? p->dense : NULL};
}

static pluck_status run(const void *user, const pluck_ranks *ranks, void *given, pluck_error *err)
{
    const call *c = user;
    result *out = given;
    pluck_trainer *trainer = NULL;
    pluck_ranks own = ranks ? *ranks : PLUCK_INIT(pluck_ranks);
    pluck_train_data data = data_of(c->problem, c->job->has_teacher);
    pluck_train_options options = {.struct_size = sizeof options,
                                   .n_epochs = N_EPOCHS,
                                   .l2 = c->job->l2,
                                   .seed = 5,
                                   .without_bias = c->job->without_bias,
                                   .start = c->start,
                                   .allocator = c->allocator,
                                   .ranks = ranks ? &own : NULL};
    own.avoids_passes = c->job->avoids_passes;
    if (c->job->n_workers > 0 && !c->allocator) /* the allocator of tests is for one thread */
        options.parallel = pluck_pool_parallel(pools[c->job->n_workers - 1]);
    memset(out, 0, sizeof *out);
    pluck_status status = pluck_trainer_create(&trainer, c->problem->tree, &data, &options, err);
    if (status == PLUCK_OK)
        status = learn(c->job, trainer, out, err);
    if (status == PLUCK_OK) {
        size_t n = trainer->n_inner;
        memcpy(out->nodes, trainer->nodes, n * c->problem->dim * sizeof *out->nodes);
        memcpy(out->bias, trainer->bias, n * sizeof *out->bias);
        memcpy(out->squares, trainer->squares, n * sizeof *out->squares);
    }
    pluck_trainer_destroy(&trainer);
    return status;
}

/* Alone, and over ranks in both ways. */
static void compare(const call *c, unsigned n_ranks, uint64_t seed, const char *what)
{
    static result alone, shared;
    pluck_error expected = {.status = PLUCK_OK}, err = {.status = PLUCK_OK};
    unsigned n_passes = 0;
    pluck_status status = run(c, NULL, &alone, &expected);
    for (int way = 0; way < 2; way++) {
        pluck_status found =
            way == 0 ? test_ranks_replay(n_ranks, seed, run, c, &shared, &n_passes, &err)
                     : test_ranks_threads(n_ranks, seed, run, c, &shared, sizeof shared, &err);
        if (found != status || (status != PLUCK_OK && strcmp(err.message, expected.message) != 0))
            fail_msg("%s, %s, %u ranks: status %d, %s; alone %d, %s", c->job->name, what, n_ranks,
                     (int)found, err.message, (int)status, expected.message);
        if (status == PLUCK_OK && memcmp(&alone, &shared, sizeof alone) != 0)
            fail_msg("%s, %s, %u ranks, way %d: other bits", c->job->name, what, n_ranks, way);
    }
    if (status == PLUCK_OK && n_passes != c->job->n_passes)
        fail_msg("%s, %s: %u passes, expected %u", c->job->name, what, n_passes, c->job->n_passes);
}

static const job jobs[] = {
    {"targets", .n_passes = 1},
    {"targets, collected", .collects = true, .l2 = 0.01, .n_workers = 3, .n_passes = N_EPOCHS},
    {"targets, no bias", .without_bias = true, .avoids_passes = true, .n_passes = 1},
    {"teacher", .has_teacher = true, .n_workers = 2, .n_passes = 2 * N_EPOCHS + 1},
    {"teacher, collected", .has_teacher = true, .collects = true, .n_passes = 3 * N_EPOCHS},
    {"teacher, avoided", .has_teacher = true, .avoids_passes = true, .n_workers = 4, .n_passes = 1},
    {"teacher, avoided and collected", .has_teacher = true, .avoids_passes = true, .collects = true,
     .l2 = 0.1, .n_passes = N_EPOCHS},
};

static void the_head_does_not_depend_on_the_ranks(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {N_TOKENS, 3, 1};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        train_problem p = train_problem_make(sizes[s], DIM, N_ROWS);
        for (size_t i = 0; i < sizeof jobs / sizeof *jobs; i++)
            for (unsigned n_ranks = 1; n_ranks <= MAX_RANKS; n_ranks += 1 + n_ranks / 2) {
                call c = {.job = &jobs[i], .problem = &p};
                compare(&c, n_ranks, 10 * i + n_ranks, s == 0 ? "many" : "few");
            }
        train_problem_free(&p);
    }
}

/* A start with NaN in some nodes: the first of them that learns fails. */
static void a_failure_is_that_of_one_process(void **state)
{
    (void)state;
    test_random random = test_random_make(4);
    train_problem p = train_problem_make(N_TOKENS, DIM, N_ROWS);
    static float nodes[N_TOKENS * DIM];
    pluck_matrix matrix = {
        .data = nodes, .dtype = PLUCK_F32, .n_rows = N_TOKENS - 1, .n_cols = DIM};
    for (int round = 0; round < 30; round++) {
        call c = {.job = &jobs[round % (int)(sizeof jobs / sizeof *jobs)], .problem = &p};
        pluck_head *start = NULL;
        static result out;
        pluck_error err = {.status = PLUCK_OK};
        memset(nodes, 0, sizeof nodes);
        for (int i = 0; i < 3; i++)
            nodes[test_random_below(&random, N_TOKENS - 2) * DIM] = NAN; /* not of the root */
        assert_int_equal(pluck_head_create_hierarchical(&start, p.tree, &matrix, NULL,
                                                        PLUCK_TREE_RIGHT, NULL, &err),
                         PLUCK_OK);
        c.start = start;
        assert_int_equal(run(&c, NULL, &out, &err), PLUCK_ERR_NAN);
        assert_non_null(strstr(err.message, "the logit of inner node"));
        compare(&c, 2 + (unsigned)round % 4, (uint64_t)round, "NaN in nodes");
        pluck_head_destroy(&start);
    }
    /* And rows that the teacher refuses. */
    for (uint32_t j = 0; j < DIM; j++)
        p.hidden[100 * DIM + j] = p.hidden[7 * DIM + j] = 3e38f;
    for (size_t i = 3; i < sizeof jobs / sizeof *jobs; i++) {
        call c = {.job = &jobs[i], .problem = &p};
        static result out;
        pluck_error err = {.status = PLUCK_OK};
        assert_int_equal(run(&c, NULL, &out, &err), PLUCK_ERR_NAN);
        assert_non_null(strstr(err.message, ": the teacher: "));
        compare(&c, 3, i, "a row too large");
    }
    train_problem_free(&p);
}

/* The other ranks wait for a rank that runs out of memory, so it tells them. */
static void without_memory_all_ranks_fail(void **state)
{
    (void)state;
    static result out;
    train_problem p = train_problem_make(5, DIM, 20);
    for (size_t i = 0; i < sizeof jobs / sizeof *jobs; i++) {
        call c = {.job = &jobs[i], .problem = &p};
        uint64_t n = 0;
        for (pluck_status status = PLUCK_ERR_NOMEM; status != PLUCK_OK; n++) {
            pluck_error err = {.status = PLUCK_OK};
            test_allocator allocator;
            test_allocator_init(&allocator);
            allocator.fail_at = n;
            c.allocator = &allocator.interface;
            status = test_ranks_threads(1, 1, run, &c, &out, sizeof out, &err);
            assert_int_equal(allocator.n_live, 0);
            assert_int_equal(status, allocator.failed ? PLUCK_ERR_NOMEM : PLUCK_OK);
        }
        assert_true(n > 20);
    }
    train_problem_free(&p);
}

/* Trained by three ranks up to a checkpoint, which is the file that one process writes; continued
 * by two. */
typedef struct leg {
    const train_problem *problem;
    const char *from, *to;
    uint32_t n_steps;
} leg;

static pluck_status run_leg(const void *user, const pluck_ranks *ranks, void *given,
                            pluck_error *err)
{
    const leg *l = user;
    bool *has_saved = given;
    pluck_trainer *trainer = NULL;
    pluck_train_data data = data_of(l->problem, true);
    pluck_train_options options = {
        .struct_size = sizeof options, .n_epochs = N_EPOCHS, .seed = 5, .ranks = ranks};
    pluck_status status = pluck_trainer_create(&trainer, l->problem->tree, &data, &options, err);
    if (status == PLUCK_OK && l->from)
        status = pluck_trainer_restore(trainer, l->from, err);
    for (uint32_t i = 0; i < l->n_steps && status == PLUCK_OK; i++)
        status = pluck_trainer_step(trainer, err);
    if (status == PLUCK_OK)
        status = pluck_trainer_collect(trainer, err);
    if (status == PLUCK_OK && (!ranks || ranks->rank == 0)) {
        status = pluck_trainer_save(trainer, l->to, err);
        *has_saved = true;
    }
    pluck_trainer_destroy(&trainer);
    return status;
}

static size_t read_file(const char *path, char *bytes, size_t capacity_bytes)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t n = fread(bytes, 1, capacity_bytes, file);
    fclose(file);
    return n;
}

static void checkpoints_do_not_depend_on_the_ranks(void **state)
{
    (void)state;
    enum { MAX_BYTES = 1 << 16 };
    static char expected[MAX_BYTES], found[MAX_BYTES];
    char paths[2][32] = {"/tmp/pluck_ranks_XXXXXX", "/tmp/pluck_ranks_XXXXXX"};
    train_problem p = train_problem_make(N_TOKENS, DIM, N_ROWS);
    pluck_error err;
    unsigned n_passes;
    for (int i = 0; i < 2; i++)
        close(mkstemp(paths[i]));
    leg legs[2] = {{.problem = &p, .to = paths[0], .n_steps = 3},
                   {.problem = &p, .from = paths[0], .to = paths[1], .n_steps = 3}};
    for (int i = 0; i < 2; i++) {
        bool has_saved = false;
        assert_int_equal(run_leg(&legs[i], NULL, &has_saved, &err), PLUCK_OK);
        size_t n = read_file(legs[i].to, expected, MAX_BYTES);
        assert_true(n > 0 && n < MAX_BYTES);
        assert_int_equal(unlink(legs[i].to), 0);
        assert_int_equal(
            test_ranks_replay(3 - (unsigned)i, 1, run_leg, &legs[i], &has_saved, &n_passes, &err),
            PLUCK_OK);
        assert_int_equal(read_file(legs[i].to, found, MAX_BYTES), n);
        assert_memory_equal(expected, found, n);
    }
    for (int i = 0; i < 2; i++)
        unlink(paths[i]);
    train_problem_free(&p);
}

/* A rank whose combine adds nothing, or what another one found. */

typedef struct lonely {
    const void *bytes;
    size_t n_bytes;
    void *kept;
    size_t n_kept;
} lonely;

static pluck_status lonely_begin(void *user, uint64_t n_items, pluck_tally *tally, bool *is_known,
                                 pluck_error *err)
{
    (void)user;
    (void)n_items;
    (void)tally;
    (void)is_known;
    (void)err;
    return PLUCK_OK;
}

static pluck_status lonely_next(void *user, uint64_t *first, uint64_t *end, pluck_error *err)
{
    (void)user;
    (void)err;
    *first = *end;
    return PLUCK_OK;
}

static pluck_status lonely_combine(void *user, pluck_tally *tally, pluck_error *err)
{
    lonely *l = user;
    (void)pluck_tally_put(tally, NULL, 0, &l->n_kept, err);
    free(l->kept);
    l->kept = malloc(l->n_kept);
    assert_non_null(l->kept);
    assert_int_equal(pluck_tally_put(tally, l->kept, l->n_kept, &l->n_kept, err), PLUCK_OK);
    return l->bytes ? pluck_tally_merge(tally, l->bytes, l->n_bytes, err) : PLUCK_OK;
}

static void ranks_that_do_not_fit_together_are_noticed(void **state)
{
    (void)state;
    static result out;
    train_problem p = train_problem_make(N_TOKENS, DIM, N_ROWS);
    lonely first = {NULL, 0, NULL, 0};
    pluck_ranks ranks = {.struct_size = sizeof ranks,
                         .begin = lonely_begin,
                         .next = lonely_next,
                         .combine = lonely_combine,
                         .user = &first,
                         .rank = 1,
                         .n_ranks = 2};
    call c = {.job = &jobs[0], .problem = &p};
    pluck_error err;
    assert_int_equal(run(&c, &ranks, &out, &err), PLUCK_ERR_INVALID);
    assert_non_null(strstr(err.message, "nodes of 39"));
    lonely second = {first.kept, first.n_kept, NULL, 0};
    ranks.user = &second;
    assert_int_equal(run(&c, &ranks, &out, &err), PLUCK_ERR_FORMAT);
    assert_non_null(strstr(err.message, "done twice"));
    /* Nobody asks the teacher. */
    c.job = &jobs[3];
    assert_int_equal(run(&c, &ranks, &out, &err), PLUCK_ERR_FORMAT);
    second.bytes = NULL;
    assert_int_equal(run(&c, &ranks, &out, &err), PLUCK_ERR_FORMAT);
    assert_non_null(strstr(err.message, "its examples from the other ranks are missing"));
    free(second.kept);
    free(first.kept);
    c.job = &jobs[0];
    ranks.rank = 2;
    assert_int_equal(run(&c, &ranks, &out, &err), PLUCK_ERR_INVALID);
    assert_non_null(strstr(err.message, "rank is 2 and n_ranks 2"));
    ranks.combine = NULL;
    assert_int_equal(run(&c, &ranks, &out, &err), PLUCK_ERR_INVALID);
    train_problem_free(&p);
}

static void nodes_are_not_given_away_before_they_are_collected(void **state)
{
    (void)state;
    train_problem p = train_problem_make(N_TOKENS, DIM, N_ROWS);
    lonely l = {NULL, 0, NULL, 0};
    pluck_ranks ranks = {.struct_size = sizeof ranks,
                         .begin = lonely_begin,
                         .next = lonely_next,
                         .combine = lonely_combine,
                         .user = &l,
                         .n_ranks = 1};
    pluck_train_data data = data_of(&p, false);
    pluck_train_options options = {.struct_size = sizeof options, .n_epochs = 2, .ranks = &ranks};
    pluck_trainer *trainer = NULL;
    pluck_head *head = NULL;
    pluck_error err;
    assert_int_equal(pluck_trainer_create(&trainer, p.tree, &data, &options, &err), PLUCK_OK);
    assert_int_equal(pluck_trainer_step(trainer, &err), PLUCK_OK);
    assert_int_equal(pluck_head_create_trained(&head, trainer, &err), PLUCK_ERR_INVALID);
    assert_non_null(strstr(err.message, "pluck_trainer_collect"));
    assert_int_equal(pluck_trainer_save(trainer, "/nowhere", &err), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_trainer_collect(trainer, &err), PLUCK_OK);
    assert_int_equal(pluck_head_create_trained(&head, trainer, &err), PLUCK_OK);
    pluck_head_destroy(&head);
    pluck_trainer_destroy(&trainer);
    free(l.kept);
    train_problem_free(&p);
}

static int open_pools(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(pluck_pool_create(&pools[i], i + 1, NULL, NULL), PLUCK_OK);
    return 0;
}

static int close_pools(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 4; i++)
        pluck_pool_destroy(&pools[i]);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_head_does_not_depend_on_the_ranks),
        cmocka_unit_test(a_failure_is_that_of_one_process),
        cmocka_unit_test(without_memory_all_ranks_fail),
        cmocka_unit_test(checkpoints_do_not_depend_on_the_ranks),
        cmocka_unit_test(ranks_that_do_not_fit_together_are_noticed),
        cmocka_unit_test(nodes_are_not_given_away_before_they_are_collected),
    };
    return cmocka_run_group_tests(tests, open_pools, close_pools);
}
