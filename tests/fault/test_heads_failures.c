/*
 * Heads with memory that runs out: for each way to make and use one, the N-th allocation fails, N
 * = 1, 2, 3 and so on until a run meets no failure. Each failure has to be reported as such, and
 * leave nothing allocated. Queries, once created, ask for no memory at all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <pluck/fasttext.h>
#include <pluck/head.h>

#include "support/allocator.h"
#include "support/head_cases.h"

static pluck_error err;
static char path[] = "/tmp/pluck-heads-XXXXXX";

#define assert_ok(call)                                                                            \
    do {                                                                                           \
        if ((call) != PLUCK_OK)                                                                    \
            fail_msg("%s: %s", #call, err.message);                                                \
    } while (0)

enum { N = 40, DIM = 6, N_ROWS = 3 };

/* Runs with an allocator that fails, and frees what it made. */
typedef pluck_status (*attempt)(const pluck_allocator *allocator);

static void fail_each_allocation(const char *what, attempt run)
{
    for (uint64_t n = 0;; n++) {
        test_allocator allocator;
        test_allocator_init(&allocator);
        allocator.fail_at = n;
        pluck_status status = run(&allocator.interface);
        if (allocator.n_live != 0)
            fail_msg("%s: allocation %" PRIu64 " fails: %" PRIu64 " blocks are left", what, n,
                     allocator.n_live);
        if (!allocator.failed) {
            if (status != PLUCK_OK)
                fail_msg("%s: %s", what, err.message);
            assert_true(n > 0);
            return;
        }
        if (status != PLUCK_ERR_NOMEM)
            fail_msg("%s: allocation %" PRIu64 " fails: status %s", what, n,
                     pluck_status_name(status));
        assert_true(test_allocator_explains(&allocator, &err));
    }
}

static pluck_status make_huffman(const pluck_allocator *allocator)
{
    int64_t counts[N];
    pluck_tree *tree = NULL;
    pluck_tree_stats stats = PLUCK_INIT(pluck_tree_stats);
    for (int i = 0; i < N; i++)
        counts[i] = 1000 / (i + 1);
    pluck_status status = pluck_tree_create_huffman(&tree, counts, N, allocator, &err);
    if (status == PLUCK_OK)
        status = pluck_tree_get_stats(tree, counts, &stats, &err);
    pluck_tree_destroy(&tree);
    return status;
}

static pluck_status make_other_trees(const pluck_allocator *allocator)
{
    static const uint8_t bits[] = {0, 1, 0, 1, 1};
    static const size_t ends[] = {1, 3, 5};
    static const int32_t children[] = {0, 1, 3, 2};
    static const float values[] = {1, 2, 3, 4, 5, 6};
    const pluck_matrix vectors = {.data = values, .dtype = PLUCK_F32, .n_rows = 3, .n_cols = 2};
    pluck_tree *trees[4] = {NULL};
    pluck_status status = pluck_tree_create_balanced(&trees[0], 9, allocator, &err);
    if (status == PLUCK_OK)
        status = pluck_tree_create_from_codes(&trees[1], bits, ends, 3, allocator, &err);
    if (status == PLUCK_OK)
        status = pluck_tree_create_from_children(&trees[2], children, 3, allocator, &err);
    if (status == PLUCK_OK)
        status = pluck_tree_create_clustered(&trees[3], &vectors, 1, allocator, &err);
    for (size_t i = 0; i < 4; i++)
        pluck_tree_destroy(&trees[i]);
    return status;
}

/* Loads the head at path, asks it everything, stores it again. */
static pluck_status use_head(const pluck_allocator *allocator, bool copy)
{
    pluck_head_options options = {
        .struct_size = sizeof options, .copy = copy, .allocator = allocator};
    const float hidden[DIM * N_ROWS] = {1, -1, 2, 0.5F, 1, 1};
    pluck_pool *pool = NULL;
    pluck_head *head = NULL;
    pluck_head_query *query = NULL;
    pluck_token drawn[N_ROWS];
    pluck_status status = pluck_pool_create(&pool, 2, allocator, &err);
    if (status == PLUCK_OK)
        status = pluck_head_open(&head, path, &options, &err);
    if (status == PLUCK_OK)
        status = pluck_head_query_create(&query, head, allocator, &err);
    pluck_head_batch batch = {.struct_size = sizeof batch,
                              .hidden = hidden,
                              .n_rows = N_ROWS,
                              .parallel = pluck_pool_parallel(pool),
                              .temperature = 0.7,
                              .tokens = drawn};
    if (status == PLUCK_OK)
        status = pluck_head_run(head, &batch, &err);
    if (status == PLUCK_OK)
        status = pluck_head_save(head, path, &err);
    pluck_head_query_destroy(&query);
    pluck_head_destroy(&head);
    pluck_pool_destroy(&pool);
    return status;
}

static pluck_status use_borrowed_head(const pluck_allocator *allocator)
{
    return use_head(allocator, false);
}

static pluck_status use_copied_head(const pluck_allocator *allocator)
{
    return use_head(allocator, true);
}

static void test_every_allocation_of_a_tree_may_fail(void **state)
{
    (void)state;
    fail_each_allocation("Huffman tree", make_huffman);
    fail_each_allocation("other trees", make_other_trees);
}

/* A head of each kind from matrices in memory, of which it makes copies. */
static pluck_status create_heads(const pluck_allocator *allocator)
{
    static const float weights[N * DIM] = {1, 2, 3}, bias[N] = {1};
    pluck_head_options options = {
        .struct_size = sizeof options, .copy = true, .allocator = allocator};
    pluck_matrix all = {.data = weights, .dtype = PLUCK_F32, .n_rows = N, .n_cols = DIM},
                 root = {.data = weights, .dtype = PLUCK_F32, .n_rows = 10, .n_cols = DIM},
                 inner = {.data = weights, .dtype = PLUCK_F32, .n_rows = N - 1, .n_cols = DIM};
    const pluck_head_tail tails[2] = {
        {{.data = weights, .dtype = PLUCK_F32, .n_rows = 2, .n_cols = DIM},
         {.data = weights, .dtype = PLUCK_F32, .n_rows = 20, .n_cols = 2}},
        {{.data = weights, .dtype = PLUCK_F32, .n_rows = 1, .n_cols = DIM},
         {.data = weights, .dtype = PLUCK_F32, .n_rows = 12, .n_cols = 1}},
    };
    const pluck_head_band bands[2] = {
        {{.data = weights, .dtype = PLUCK_F32, .n_rows = 10, .n_cols = DIM}, 0},
        {{.data = weights, .dtype = PLUCK_F32, .n_rows = 30, .n_cols = 2}, 2}};
    pluck_tree *tree = NULL;
    pluck_head *heads[4] = {NULL};
    pluck_head_query *query = NULL;
    pluck_status status = pluck_tree_create_balanced(&tree, N, allocator, &err);
    if (status == PLUCK_OK)
        status = pluck_head_create_dense(&heads[0], &all, bias, &options, &err);
    if (status == PLUCK_OK)
        status = pluck_head_create_hierarchical(&heads[1], tree, &inner, bias, PLUCK_TREE_LEFT,
                                                &options, &err);
    if (status == PLUCK_OK)
        status = pluck_head_create_adaptive(&heads[2], &root, bias, tails, 2, &options, &err);
    if (status == PLUCK_OK)
        status = pluck_head_create_differentiated(&heads[3], DIM, bands, 2, bias, &options, &err);
    for (int i = 0; i < 4 && status == PLUCK_OK; i++) {
        status = pluck_head_query_create(&query, heads[i], allocator, &err);
        pluck_head_query_destroy(&query);
    }
    for (int i = 0; i < 4; i++)
        pluck_head_destroy(&heads[i]);
    pluck_tree_destroy(&tree);
    return status;
}

static void test_every_allocation_of_a_created_head_may_fail(void **state)
{
    (void)state;
    fail_each_allocation("heads from memory", create_heads);
}

static void test_every_allocation_of_a_head_may_fail(void **state)
{
    (void)state;
    for (int kind = 0; kind < HEAD_CASE_KINDS; kind++) {
        head_case c = head_case_make((pluck_head_kind)kind, 2, N, DIM);
        assert_ok(pluck_head_save(c.head, path, &err));
        fail_each_allocation(head_case_text(&c), use_borrowed_head);
        fail_each_allocation(head_case_text(&c), use_copied_head);
        head_case_free(&c);
    }
}

static void ask_everything(pluck_head_query *query, const float *hidden)
{
    const int32_t mask[2] = {0x55555555, 0x55};
    pluck_logprob tokens[N];
    pluck_pcg64 rng;
    uint32_t n = 0;
    double number = 0;
    float all[N];
    pluck_pcg64_seed(&rng, 1, 2, 3);
    for (int masked = 0; masked < 2; masked++) {
        assert_ok(pluck_head_query_set_mask(query, masked ? mask : NULL, 2, &err));
        assert_ok(pluck_head_query_logprob(query, hidden, 3, &number, &err));
        assert_ok(pluck_head_query_logprobs(query, hidden, all, &err));
        assert_ok(pluck_head_query_log_mass(query, hidden, &number, &err));
        assert_ok(head_draw(query, hidden, 1, &rng, tokens, &err));
        assert_ok(head_draw(query, hidden, 0.5, &rng, tokens, &err));
        assert_ok(pluck_head_query_sample(query, hidden, 2, &rng, N, tokens, &n, &err));
        assert_ok(pluck_head_query_select(query, hidden, TOP_K(N), tokens, N, &n, &err));
        assert_ok(pluck_head_query_select(query, hidden, TOP_P(0.9), tokens, N, &n, &err));
        assert_ok(pluck_head_query_select(query, hidden, MIN_P(0.01), tokens, N, &n, &err));
    }
}

static void test_queries_allocate_nothing(void **state)
{
    (void)state;
    for (int kind = 0; kind < HEAD_CASE_KINDS; kind++) {
        head_case c = head_case_make((pluck_head_kind)kind, 2, N, DIM);
        const float hidden[DIM] = {1, -1, 2, 0.5F, 1, 1};
        test_allocator allocator;
        pluck_head_query *query = NULL;
        test_allocator_init(&allocator);
        assert_ok(pluck_head_query_create(&query, c.head, &allocator.interface, &err));
        uint64_t before = allocator.n_allocations;
        ask_everything(query, hidden);
        assert_int_equal(allocator.n_allocations, before);
        pluck_head_query_destroy(&query);
        assert_int_equal(allocator.n_live, 0);
        head_case_free(&c);
    }
}

typedef struct model_bytes {
    unsigned char bytes[1024];
    size_t n;
} model_bytes;

static model_bytes model;

static void put(uint64_t value, size_t n_bytes)
{
    for (size_t i = 0; i < n_bytes; i++)
        model.bytes[model.n++] = (unsigned char)(value >> (8 * i));
}

/* Hierarchical softmax over two labels; bigrams and a pruned dictionary. */
static void make_model(void)
{
    static const uint32_t header[] = {793712314, 12, 1, 5, 5, 1, 5, 2, 1, 3, 9, 0, 0, 100};
    static const char *const words[] = {"the", "__label__a", "__label__b"};
    model.n = 0;
    for (size_t i = 0; i < sizeof header / sizeof *header; i++)
        put(header[i], 4);
    put(0, 8);
    put(3, 4);
    put(1, 4);
    put(2, 4);
    put(9, 8);
    put(1, 8);
    for (size_t i = 0; i < 3; i++) {
        memcpy(model.bytes + model.n, words[i], strlen(words[i]) + 1);
        model.n += strlen(words[i]) + 1;
        put(5 - i, 8);
        put(i > 0, 1);
    }
    put(4, 4);
    put(0, 4);
    for (int matrix = 0; matrix < 2; matrix++) {
        put(0, 1);
        put(2, 8);
        put(1, 8);
        put(0x3F800000, 4);
        put(0x3F000000, 4);
    }
}

static pluck_status use_model(const pluck_allocator *allocator)
{
    enum { LINE_BYTES = 20000 };
    static char line[LINE_BYTES];
    for (size_t i = 0; i < LINE_BYTES; i++)
        line[i] = i < LINE_BYTES / 2 ? "the "[i % 4] : 'x';
    pluck_fasttext_options options = {.struct_size = sizeof options, .allocator = allocator};
    pluck_fasttext *opened = NULL;
    pluck_fasttext_query *query = NULL;
    pluck_fasttext_request request = {.struct_size = sizeof request, .k = 2};
    pluck_fasttext_label labels[2];
    uint32_t n = 0;
    pluck_status status =
        pluck_fasttext_open_memory(&opened, "made", model.bytes, model.n, &options, &err);
    if (status == PLUCK_OK)
        status = pluck_fasttext_query_create(&query, opened, allocator, &err);
    if (status == PLUCK_OK)
        status = pluck_fasttext_query_predict(query, "the the\n", 8, &request, labels, &n, &err);
    /* Lines and words that outgrow what the query holds. */
    if (status == PLUCK_OK)
        status = pluck_fasttext_query_predict(query, line, LINE_BYTES, &request, labels, &n, &err);
    request.compat = true;
    if (status == PLUCK_OK)
        status = pluck_fasttext_query_predict(query, line, LINE_BYTES, &request, labels, &n, &err);
    pluck_fasttext_query_destroy(&query);
    pluck_fasttext_destroy(&opened);
    return status;
}

static void test_every_allocation_of_a_fasttext_model_may_fail(void **state)
{
    (void)state;
    make_model();
    fail_each_allocation("fastText model", use_model);
}

/* A dense head, or targets, taught to a tree; by one thread, so that the N-th allocation is always
 * the same. */
static pluck_status train(const pluck_allocator *allocator, bool distilled)
{
    static float weights[N * DIM], hidden[N_ROWS * DIM];
    static const pluck_token targets[N_ROWS] = {3, 0, 39};
    pluck_head_options head_options = {.struct_size = sizeof head_options, .allocator = allocator};
    pluck_train_options options = {
        .struct_size = sizeof options, .n_epochs = 1, .allocator = allocator};
    pluck_matrix matrix = {.data = weights, .dtype = PLUCK_F32, .n_rows = N, .n_cols = DIM};
    pluck_train_data data = {
        .struct_size = sizeof data, .hidden = hidden, .n_rows = N_ROWS, .dim = DIM};
    pluck_train_progress progress = PLUCK_INIT(pluck_train_progress);
    pluck_head *dense = NULL, *head = NULL;
    pluck_tree *tree = NULL;
    pluck_trainer *trainer = NULL;
    for (int i = 0; i < N * DIM; i++)
        weights[i] = (float)(i * 7 % 11) / 8;
    for (int i = 0; i < N_ROWS * DIM; i++)
        hidden[i] = (float)(i * 5 % 7) / 4;
    pluck_status status = pluck_head_create_dense(&dense, &matrix, NULL, &head_options, &err);
    if (status == PLUCK_OK)
        status = pluck_tree_create_balanced(&tree, N, allocator, &err);
    data.teacher = distilled ? dense : NULL;
    data.targets = distilled ? NULL : targets;
    if (status == PLUCK_OK)
        status = pluck_trainer_create(&trainer, tree, &data, &options, &err);
    while (status == PLUCK_OK && !progress.is_done) {
        status = pluck_trainer_step(trainer, &err);
        if (status == PLUCK_OK)
            status = pluck_trainer_get_progress(trainer, &progress, &err);
    }
    if (status == PLUCK_OK)
        status = pluck_trainer_save(trainer, path, &err);
    if (status == PLUCK_OK)
        status = pluck_trainer_restore(trainer, path, &err);
    if (status == PLUCK_OK)
        status = pluck_head_create_trained(&head, trainer, &err);
    pluck_head_destroy(&head);
    pluck_trainer_destroy(&trainer);
    pluck_tree_destroy(&tree);
    pluck_head_destroy(&dense);
    return status;
}

static pluck_status fit(const pluck_allocator *allocator)
{
    return train(allocator, false);
}

static pluck_status distill(const pluck_allocator *allocator)
{
    return train(allocator, true);
}

static void test_every_allocation_of_a_training_may_fail(void **state)
{
    (void)state;
    fail_each_allocation("fitting", fit);
    fail_each_allocation("distilling", distill);
}

static int make_file(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_allocation_of_a_tree_may_fail),
        cmocka_unit_test(test_every_allocation_of_a_head_may_fail),
        cmocka_unit_test(test_every_allocation_of_a_created_head_may_fail),
        cmocka_unit_test(test_queries_allocate_nothing),
        cmocka_unit_test(test_every_allocation_of_a_fasttext_model_may_fail),
        cmocka_unit_test(test_every_allocation_of_a_training_may_fail),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
