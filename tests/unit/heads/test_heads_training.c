/*
 * Why: a trainer that learns something looks like one that learns the right thing. So it is
 * compared with problems whose answer is known, and what it promises about threads, interruptions
 * and checkpoints is checked bit for bit.
 */
#include "support/cases.h"
#include "support/train_problem.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { DIM = 6, N_ROWS = 3000, N_TOKENS = 9, MAX_TOKENS = 15000 };

static pluck_train_data data_of(const train_problem *p, const pluck_head *teacher)
{
    return (pluck_train_data){.struct_size = sizeof(pluck_train_data),
                              .hidden = p->hidden,
                              .n_rows = p->n_rows,
                              .dim = p->dim,
                              .targets = teacher ? NULL : p->targets,
                              .teacher = teacher};
}

static pluck_trainer *create(const train_problem *p, const pluck_head *teacher,
                             const pluck_train_options *options)
{
    pluck_train_data data = data_of(p, teacher);
    pluck_trainer *trainer = NULL;
    pluck_error err;
    if (pluck_trainer_create(&trainer, p->tree, &data, options, &err) != PLUCK_OK)
        fail_msg("%s", err.message);
    return trainer;
}

static pluck_train_progress progress_of(const pluck_trainer *trainer)
{
    pluck_train_progress progress = PLUCK_INIT(pluck_train_progress);
    assert_int_equal(pluck_trainer_get_progress(trainer, &progress, NULL), PLUCK_OK);
    return progress;
}

static void run_to_the_end(pluck_trainer *trainer)
{
    pluck_error err;
    while (!progress_of(trainer).is_done)
        if (pluck_trainer_step(trainer, &err) != PLUCK_OK)
            fail_msg("%s", err.message);
}

static pluck_head *head_of(const pluck_trainer *trainer)
{
    pluck_head *head = NULL;
    assert_int_equal(pluck_head_create_trained(&head, trainer, NULL), PLUCK_OK);
    return head;
}

static pluck_head *train(const train_problem *p, const pluck_head *teacher,
                         const pluck_train_options *options)
{
    pluck_trainer *trainer = create(p, teacher, options);
    run_to_the_end(trainer);
    pluck_head *head = head_of(trainer);
    pluck_trainer_destroy(&trainer);
    return head;
}

/* ln p of all tokens at every row. */
static float *all_logprobs(const train_problem *p, const pluck_head *head)
{
    float *logprobs = malloc(p->n_rows * p->n_tokens * sizeof *logprobs);
    pluck_head_query *query = NULL;
    assert_non_null(logprobs);
    assert_int_equal(pluck_head_query_create(&query, head, NULL, NULL), PLUCK_OK);
    for (size_t r = 0; r < p->n_rows; r++)
        assert_int_equal(pluck_head_query_logprobs(query, p->hidden + r * p->dim,
                                                   logprobs + r * p->n_tokens, NULL),
                         PLUCK_OK);
    pluck_head_query_destroy(&query);
    return logprobs;
}

static bool same_bits(const train_problem *p, const pluck_head *a, const pluck_head *b)
{
    float *x = all_logprobs(p, a), *y = all_logprobs(p, b);
    bool same = memcmp(x, y, p->n_rows * p->n_tokens * sizeof *x) == 0;
    free(x);
    free(y);
    return same;
}

/* Mean of the cross-entropy of the heads, and of the first one's entropy. */
static void compare(const train_problem *p, const pluck_head *truth, const pluck_head *head,
                    double *cross, double *entropy)
{
    float *x = all_logprobs(p, truth), *y = all_logprobs(p, head);
    *cross = *entropy = 0;
    for (size_t i = 0; i < p->n_rows * p->n_tokens; i++) {
        *cross -= exp((double)x[i]) * (double)y[i] / (double)p->n_rows;
        *entropy -= exp((double)x[i]) * (double)x[i] / (double)p->n_rows;
    }
    free(x);
    free(y);
}

static double loss_of(const train_problem *p, const pluck_head *head)
{
    float *logprobs = all_logprobs(p, head);
    double loss = 0;
    for (size_t r = 0; r < p->n_rows; r++)
        loss -= (double)logprobs[r * p->n_tokens + (size_t)p->targets[r]] / (double)p->n_rows;
    free(logprobs);
    return loss;
}

/* The least loss of logistic regression with dim weights and a bias: Newton's method. */
static double least_loss(const train_problem *p)
{
    enum { N = DIM + 1 };
    double w[N] = {0}, loss = 0;
    for (int round = 0; round < 30; round++) {
        double gradient[N] = {0}, hessian[N][N] = {{0}};
        loss = 0;
        for (size_t r = 0; r < p->n_rows; r++) {
            double x[N], logit = 0;
            for (int j = 0; j < N; j++)
                x[j] = j < DIM ? (double)p->hidden[r * DIM + (size_t)j] : 1.0;
            for (int j = 0; j < N; j++)
                logit += w[j] * x[j];
            double q = 1 / (1 + exp(-logit));
            loss -= log(p->targets[r] == 1 ? q : 1 - q) / (double)p->n_rows;
            for (int j = 0; j < N; j++) {
                gradient[j] += (q - p->targets[r]) * x[j];
                for (int k = 0; k < N; k++)
                    hessian[j][k] += q * (1 - q) * x[j] * x[k];
            }
        }
        for (int j = 0; j < N; j++) /* Gauss-Jordan: the hessian is positive definite */
            for (int i = 0; i < N; i++) {
                if (i == j)
                    continue;
                double factor = hessian[i][j] / hessian[j][j];
                for (int k = 0; k < N; k++)
                    hessian[i][k] -= factor * hessian[j][k];
                gradient[i] -= factor * gradient[j];
            }
        for (int j = 0; j < N; j++)
            w[j] -= gradient[j] / hessian[j][j];
    }
    return loss;
}

static void test_two_tokens_reach_the_least_loss(void **state)
{
    (void)state;
    train_problem p = train_problem_make(2, DIM, N_ROWS);
    pluck_train_options options = {.struct_size = sizeof options, .n_epochs = 20};
    pluck_head *head = train(&p, NULL, &options);
    double least = least_loss(&p), loss = loss_of(&p, head);
    assert_true(loss >= least - 1e-6);
    assert_true(loss < least + 1e-3);
    pluck_head_destroy(&head);
    train_problem_free(&p);
}

static void test_a_dense_head_of_two_tokens_is_its_own_tangent(void **state)
{
    (void)state;
    train_problem p = train_problem_make(2, DIM, 100);
    pluck_train_options options = {.struct_size = sizeof options, .n_epochs = 1};
    pluck_trainer *trainer = create(&p, p.dense, &options);
    pluck_head *head = head_of(trainer);
    double cross = 0, entropy = 0;
    compare(&p, p.dense, head, &cross, &entropy);
    assert_true(fabs(cross - entropy) < 1e-6);
    pluck_head_destroy(&head);
    pluck_trainer_destroy(&trainer);
    train_problem_free(&p);
}

static void test_a_tree_learns_to_say_what_the_same_tree_says(void **state)
{
    (void)state;
    train_problem p = train_problem_make(N_TOKENS, DIM, N_ROWS);
    pluck_train_options fitting = {.struct_size = sizeof fitting, .n_epochs = 5},
                        distilling = {.struct_size = sizeof distilling, .n_epochs = 10};
    pluck_head *teacher = train(&p, NULL, &fitting);
    pluck_head *head = train(&p, teacher, &distilling);
    double cross = 0, entropy = 0;
    compare(&p, teacher, head, &cross, &entropy);
    assert_true(cross - entropy < 1e-3);
    pluck_head_destroy(&teacher);
    pluck_head_destroy(&head);
    train_problem_free(&p);
}

static void test_distilling_beats_its_start_and_fitting_beats_none(void **state)
{
    (void)state;
    train_problem p = train_problem_make(N_TOKENS, DIM, N_ROWS);
    pluck_train_options options = {.struct_size = sizeof options, .n_epochs = 5};
    pluck_trainer *trainer = create(&p, p.dense, &options);
    pluck_head *start = head_of(trainer);
    run_to_the_end(trainer);
    pluck_head *head = head_of(trainer), *fitted = train(&p, NULL, &options);
    double first = 0, last = 0, entropy = 0, cross = 0;
    compare(&p, p.dense, start, &first, &entropy);
    compare(&p, p.dense, head, &last, &entropy);
    compare(&p, p.dense, fitted, &cross, &entropy);
    assert_true(last >= entropy - 1e-6);
    assert_true(last < first - 0.01);
    assert_true(cross < log(N_TOKENS) - 0.5);
    /* Probabilities teach more than the tokens that were drawn from them. */
    assert_true(last < cross);
    pluck_head_destroy(&start);
    pluck_head_destroy(&head);
    pluck_head_destroy(&fitted);
    pluck_trainer_destroy(&trainer);
    train_problem_free(&p);
}

/* With a rate that moves nothing every epoch is one more estimate of what all nodes together give,
 * though nearly all nodes of so large a tree are too improbable to be taken each time. */
static void test_taking_a_part_of_the_nodes_is_unbiased(void **state)
{
    enum { N_EPOCHS = 16 };
    (void)state;
    if (test_n_repeats(N_EPOCHS) == 0)
        skip(); /* a mean needs all of them */
    train_problem p = train_problem_make(MAX_TOKENS, 2, 24);
    pluck_train_options options = {
        .struct_size = sizeof options, .n_epochs = N_EPOCHS, .learning_rate = 1e-30};
    pluck_trainer *trainer = create(&p, p.dense, &options);
    pluck_train_progress progress = progress_of(trainer);
    pluck_head *head = head_of(trainer);
    double cross = 0, entropy = 0, sum = 0, squares = 0;
    compare(&p, p.dense, head, &cross, &entropy);
    for (int i = 0; i < N_EPOCHS; i++) {
        assert_int_equal(pluck_trainer_step(trainer, NULL), PLUCK_OK);
        progress = progress_of(trainer);
        sum += progress.loss;
        squares += progress.loss * progress.loss;
    }
    assert_true(progress.is_done);
    double mean = sum / N_EPOCHS;
    double error = sqrt((squares / N_EPOCHS - mean * mean) / (N_EPOCHS - 1));
    double part = (double)progress.n_examples / (double)progress.n_rows / (MAX_TOKENS - 1);
    print_message("exact %.4f, estimated %.4f +- %.4f from %.2f of the nodes\n", cross, mean, error,
                  part);
    assert_true(part < 0.7);
    assert_true(error < 0.02 * cross);
    assert_true(fabs(mean - cross) < 4 * error);
    pluck_head_destroy(&head);
    pluck_trainer_destroy(&trainer);
    train_problem_free(&p);
}

static void test_the_number_of_threads_changes_no_bit(void **state)
{
    (void)state;
    train_problem p = train_problem_make(N_TOKENS, DIM, N_ROWS);
    for (int distilled = 0; distilled < 2; distilled++) {
        const pluck_head *teacher = distilled ? p.dense : NULL;
        pluck_train_options options = {.struct_size = sizeof options, .n_epochs = 2, .l2 = 1e-3};
        pluck_head *one = train(&p, teacher, &options);
        pluck_pool *pool = NULL;
        assert_int_equal(pluck_pool_create(&pool, 4, NULL, NULL), PLUCK_OK);
        options.parallel = pluck_pool_parallel(pool);
        pluck_head *four = train(&p, teacher, &options);
        assert_true(same_bits(&p, one, four));
        options.seed = 1;
        pluck_head *other = train(&p, teacher, &options);
        assert_false(same_bits(&p, one, other));
        pluck_pool_destroy(&pool);
        pluck_head_destroy(&one);
        pluck_head_destroy(&four);
        pluck_head_destroy(&other);
    }
    train_problem_free(&p);
}

static void name_file(char path[64])
{
    strcpy(path, "/tmp/pluck_training_XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
}

static void test_a_resumed_training_ends_with_the_same_bits(void **state)
{
    (void)state;
    char path[64];
    name_file(path);
    train_problem p = train_problem_make(N_TOKENS, DIM, 900);
    pluck_train_options options = {.struct_size = sizeof options, .n_epochs = 3, .seed = 5};
    pluck_head *whole = train(&p, p.dense, &options);
    size_t n_steps = 3 * ((900 + 255) / 256);
    for (size_t stop = 0; stop <= n_steps; stop += 5) {
        pluck_trainer *first = create(&p, p.dense, &options);
        for (size_t i = 0; i < stop; i++)
            assert_int_equal(pluck_trainer_step(first, NULL), PLUCK_OK);
        assert_int_equal(pluck_trainer_save(first, path, NULL), PLUCK_OK);
        pluck_head *so_far = head_of(first), *stored = NULL;
        assert_int_equal(pluck_head_open(&stored, path, NULL, NULL), PLUCK_OK);
        assert_true(same_bits(&p, so_far, stored));
        pluck_trainer *second = create(&p, p.dense, &options);
        pluck_error err;
        if (pluck_trainer_restore(second, path, &err) != PLUCK_OK)
            fail_msg("%s", err.message);
        run_to_the_end(second);
        pluck_head *resumed = head_of(second);
        assert_true(same_bits(&p, whole, resumed));
        pluck_head_destroy(&so_far);
        pluck_head_destroy(&stored);
        pluck_head_destroy(&resumed);
        pluck_trainer_destroy(&first);
        pluck_trainer_destroy(&second);
    }
    pluck_head_destroy(&whole);
    train_problem_free(&p);
    unlink(path);
}

static void refuses(const train_problem *p, const pluck_head *teacher,
                    const pluck_train_options *options, const char *path, const char *expected)
{
    pluck_trainer *trainer = create(p, teacher, options);
    pluck_head *before = head_of(trainer);
    pluck_error err;
    assert_int_not_equal(pluck_trainer_restore(trainer, path, &err), PLUCK_OK);
    if (!strstr(err.message, expected))
        fail_msg("'%s' is not in '%s'", expected, err.message);
    pluck_head *after = head_of(trainer);
    assert_true(same_bits(p, before, after));
    pluck_head_destroy(&before);
    pluck_head_destroy(&after);
    pluck_trainer_destroy(&trainer);
}

static void test_a_checkpoint_of_something_else_is_refused(void **state)
{
    (void)state;
    char path[64];
    name_file(path);
    train_problem p = train_problem_make(N_TOKENS, DIM, 400);
    pluck_train_options options = {.struct_size = sizeof options, .n_epochs = 2};
    pluck_trainer *trainer = create(&p, NULL, &options);
    assert_int_equal(pluck_trainer_step(trainer, NULL), PLUCK_OK);
    assert_int_equal(pluck_trainer_save(trainer, path, NULL), PLUCK_OK);
    refuses(&p, p.dense, &options, path, "different options");
    options.l2 = 1e-3;
    refuses(&p, NULL, &options, path, "different options");
    options.l2 = 0;
    float kept = p.hidden[17];
    p.hidden[17] = kept + 1;
    refuses(&p, NULL, &options, path, "different data");
    p.hidden[17] = kept;
    p.targets[3] = (p.targets[3] + 1) % N_TOKENS;
    refuses(&p, NULL, &options, path, "different data");
    p.targets[3] = (p.targets[3] + N_TOKENS - 1) % N_TOKENS;
    const int64_t counts[N_TOKENS] = {100, 50, 20, 9, 7, 4, 2, 1, 1};
    pluck_tree_destroy(&p.tree);
    assert_int_equal(pluck_tree_create_huffman(&p.tree, counts, N_TOKENS, NULL, NULL), PLUCK_OK);
    refuses(&p, NULL, &options, path, "same tree");
    pluck_head *head = head_of(trainer);
    assert_int_equal(pluck_head_save(head, path, NULL), PLUCK_OK);
    refuses(&p, NULL, &options, path, "different options (none");
    pluck_head_destroy(&head);
    pluck_trainer_destroy(&trainer);
    train_problem_free(&p);
    unlink(path);
}

static void test_a_head_to_start_from_is_where_it_starts(void **state)
{
    (void)state;
    train_problem p = train_problem_make(N_TOKENS, DIM, 400);
    pluck_train_options options = {.struct_size = sizeof options, .n_epochs = 2};
    pluck_head *head = train(&p, NULL, &options);
    options.start = head;
    pluck_trainer *trainer = create(&p, p.dense, &options);
    pluck_head *start = head_of(trainer);
    assert_true(same_bits(&p, head, start));
    pluck_trainer_destroy(&trainer);
    options.start = p.dense;
    pluck_train_data data = data_of(&p, NULL);
    assert_int_equal(pluck_trainer_create(&trainer, p.tree, &data, &options, NULL),
                     PLUCK_ERR_INVALID);
    pluck_head_destroy(&start);
    pluck_head_destroy(&head);
    train_problem_free(&p);
}

/* Hidden states in another unit: times 2^k all losses and biases keep their bits and the nodes are
 * exactly 2^-k of what they were, so that all log-probabilities keep their bits too. */
static void test_a_power_of_two_in_h_is_folded_back_exactly(void **state)
{
    static const int powers[] = {-40, -17, -1, 1, 2, 9, 40};
    (void)state;
    train_problem p = train_problem_make(N_TOKENS, DIM, 600);
    pluck_train_options options = {.struct_size = sizeof options, .n_epochs = 2, .l2 = 1e-4};
    for (int kind = 0; kind < 2; kind++) {
        pluck_head *teacher = kind == 0 ? NULL : train(&p, NULL, &options);
        const float *teacher_logprobs = teacher ? all_logprobs(&p, teacher) : NULL;
        pluck_head *usual = train(&p, teacher, &options);
        float *expected = all_logprobs(&p, usual);
        for (size_t i = 0; i < sizeof powers / sizeof *powers; i++) {
            train_problem scaled = p;
            scaled.hidden = malloc(p.n_rows * DIM * sizeof *scaled.hidden);
            assert_non_null(scaled.hidden);
            for (size_t j = 0; j < p.n_rows * DIM; j++)
                scaled.hidden[j] = ldexpf(p.hidden[j], powers[i]);
            /* A teacher for the same unit: trained on it, it says the same. */
            pluck_head *its_teacher = teacher ? train(&scaled, NULL, &options) : NULL;
            if (its_teacher) {
                float *said = all_logprobs(&scaled, its_teacher);
                assert_memory_equal(said, teacher_logprobs, p.n_rows * N_TOKENS * sizeof *said);
                free(said);
            }
            pluck_head *head = train(&scaled, its_teacher, &options);
            float *logprobs = all_logprobs(&scaled, head);
            assert_memory_equal(logprobs, expected, p.n_rows * N_TOKENS * sizeof *logprobs);
            free(logprobs);
            free(scaled.hidden);
            pluck_head_destroy(&head);
            pluck_head_destroy(&its_teacher);
        }
        free(expected);
        free((void *)teacher_logprobs);
        pluck_head_destroy(&usual);
        pluck_head_destroy(&teacher);
    }
    train_problem_free(&p);
}

static void test_any_unit_of_h_gives_the_same_loss(void **state)
{
    static const double factors[] = {1e-8, 0.001, 0.01, 0.7, 1.4, 10, 100, 1000, 1e15};
    (void)state;
    train_problem p = train_problem_make(N_TOKENS, DIM, N_ROWS);
    pluck_train_options options = {.struct_size = sizeof options, .n_epochs = 5};
    pluck_head *usual = train(&p, NULL, &options);
    double expected = loss_of(&p, usual);
    float *hidden = p.hidden;
    p.hidden = malloc(p.n_rows * DIM * sizeof *p.hidden);
    assert_non_null(p.hidden);
    for (size_t i = 0; i < sizeof factors / sizeof *factors; i++) {
        for (size_t j = 0; j < p.n_rows * DIM; j++)
            p.hidden[j] = (float)(factors[i] * (double)hidden[j]);
        pluck_head *head = train(&p, NULL, &options);
        double loss = loss_of(&p, head);
        print_message("h times %g: perplexity %.4f, at h %.4f\n", factors[i], exp(loss),
                      exp(expected));
        assert_true(fabs(exp(loss - expected) - 1) < 1e-4);
        pluck_head_destroy(&head);
    }
    free(hidden);
    pluck_head_destroy(&usual);
    train_problem_free(&p);
}

/* 2^-126 in h would need weights of 2^126 and more. */
static void test_weights_that_no_float_holds_are_an_error(void **state)
{
    (void)state;
    train_problem p = train_problem_make(2, DIM, 100);
    for (size_t j = 0; j < p.n_rows * DIM; j++)
        p.hidden[j] = ldexpf(j % DIM == 0 ? (float)p.targets[j / DIM] - 0.5f : 0, -126);
    pluck_train_data data = data_of(&p, NULL);
    pluck_train_options options = {.struct_size = sizeof options, .n_epochs = 50};
    pluck_trainer *trainer = NULL;
    pluck_head *head = NULL;
    pluck_error err;
    assert_int_equal(pluck_trainer_create(&trainer, p.tree, &data, &options, NULL), PLUCK_OK);
    pluck_status status = PLUCK_OK;
    while (status == PLUCK_OK && !progress_of(trainer).is_done)
        status = pluck_trainer_step(trainer, &err);
    if (status == PLUCK_OK)
        status = pluck_head_create_trained(&head, trainer, &err);
    assert_int_equal(status, PLUCK_ERR_NAN);
    assert_null(head);
    pluck_trainer_destroy(&trainer);
    train_problem_free(&p);
}

static void test_without_bias_none_is_learned(void **state)
{
    (void)state;
    train_problem p = train_problem_make(N_TOKENS, DIM, 400);
    pluck_train_options options = {
        .struct_size = sizeof options, .n_epochs = 2, .without_bias = true};
    memset(p.hidden, 0, DIM * sizeof *p.hidden);
    for (int distilled = 0; distilled < 2; distilled++) {
        pluck_head *head = train(&p, distilled ? p.dense : NULL, &options);
        pluck_head_query *query = NULL;
        double logprob = 0;
        assert_int_equal(pluck_head_query_create(&query, head, NULL, NULL), PLUCK_OK);
        /* At a hidden state of zeros every node is even; the code of the last token has 3 bits. */
        assert_int_equal(pluck_head_query_logprob(query, p.hidden, N_TOKENS - 1, &logprob, NULL),
                         PLUCK_OK);
        assert_true(fabs(logprob + 3 * log(2)) < 1e-12);
        pluck_head_query_destroy(&query);
        pluck_head_destroy(&head);
    }
    train_problem_free(&p);
}

static void test_one_token_has_nothing_to_learn(void **state)
{
    (void)state;
    train_problem p = train_problem_make(1, DIM, 50);
    for (int distilled = 0; distilled < 2; distilled++) {
        pluck_head *head = train(&p, distilled ? p.dense : NULL, NULL);
        assert_true(loss_of(&p, head) < 1e-12);
        pluck_head_destroy(&head);
    }
    train_problem_free(&p);
}

static void test_callers_mistakes_are_named(void **state)
{
    (void)state;
    train_problem p = train_problem_make(N_TOKENS, DIM, 50);
    pluck_train_data good = data_of(&p, NULL);
    pluck_train_data data[6];
    for (int i = 0; i < 6; i++)
        data[i] = good;
    data[0].targets = NULL;
    data[1].teacher = p.dense;
    data[2].n_rows = 0;
    data[3].targets = NULL;
    data[3].teacher = p.dense;
    data[3].dim = DIM - 1;
    data[4].hidden = NULL;
    data[5].dim = 0;
    pluck_trainer *trainer = (pluck_trainer *)&p;
    for (int i = 0; i < 6; i++) {
        assert_int_equal(pluck_trainer_create(&trainer, p.tree, &data[i], NULL, NULL),
                         PLUCK_ERR_INVALID);
        assert_null(trainer);
    }
    const pluck_parallel nobody = {NULL, NULL, 4};
    const pluck_train_options bad[] = {{.struct_size = sizeof *bad, .learning_rate = -1},
                                       {.struct_size = sizeof *bad, .l2 = (double)NAN},
                                       {.struct_size = sizeof *bad, .parallel = &nobody},
                                       {.n_epochs = 1}};
    for (int i = 0; i < 4; i++)
        assert_int_equal(pluck_trainer_create(&trainer, p.tree, &good, &bad[i], NULL),
                         PLUCK_ERR_INVALID);
    pluck_error err;
    pluck_train_progress progress = PLUCK_INIT(pluck_train_progress);
    p.targets[7] = N_TOKENS;
    assert_int_equal(pluck_trainer_create(&trainer, p.tree, &good, NULL, &err), PLUCK_ERR_INVALID);
    assert_non_null(strstr(err.message, "targets[7] = 9"));
    p.targets[7] = 0;
    p.hidden[2 * DIM + 1] = NAN;
    assert_int_equal(pluck_trainer_create(&trainer, p.tree, &good, NULL, &err), PLUCK_ERR_NAN);
    assert_non_null(strstr(err.message, "hidden[2][1]"));
    assert_int_equal(pluck_trainer_step(NULL, NULL), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_trainer_save(NULL, "x", NULL), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_trainer_restore(NULL, "x", NULL), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_trainer_get_progress(NULL, &progress, NULL), PLUCK_ERR_INVALID);
    pluck_trainer_destroy(NULL);
    train_problem_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_tokens_reach_the_least_loss),
        cmocka_unit_test(test_a_dense_head_of_two_tokens_is_its_own_tangent),
        cmocka_unit_test(test_a_tree_learns_to_say_what_the_same_tree_says),
        cmocka_unit_test(test_distilling_beats_its_start_and_fitting_beats_none),
        cmocka_unit_test(test_taking_a_part_of_the_nodes_is_unbiased),
        cmocka_unit_test(test_the_number_of_threads_changes_no_bit),
        cmocka_unit_test(test_a_resumed_training_ends_with_the_same_bits),
        cmocka_unit_test(test_a_checkpoint_of_something_else_is_refused),
        cmocka_unit_test(test_a_head_to_start_from_is_where_it_starts),
        cmocka_unit_test(test_a_power_of_two_in_h_is_folded_back_exactly),
        cmocka_unit_test(test_any_unit_of_h_gives_the_same_loss),
        cmocka_unit_test(test_weights_that_no_float_holds_are_an_error),
        cmocka_unit_test(test_without_bias_none_is_learned),
        cmocka_unit_test(test_one_token_has_nothing_to_learn),
        cmocka_unit_test(test_callers_mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
