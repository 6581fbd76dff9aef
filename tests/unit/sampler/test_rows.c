/*
 * Why: a server gives up its loop over sequences only if a batch gives every sequence the tokens
 * and the numbers that a call of its own would have given, however many threads there are, in
 * whatever order they work, and whatever happens to the other rows. So random batches are compared
 * with single calls, bit for bit: any chains, any types, rows that lie anywhere with NaN between
 * them, rows without a sampler, rows that fail, too little room for what is kept. Rows without
 * samplers are compared with new samplers.
 *
 * PLUCK_BATCHES=1000000 runs a million random batches.
 */
#include "support/cases.h"
#include "support/output_cases.h"
#include "support/samplers.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { N_ROWS = OUTPUTS_ROWS, MAX_GAP = 9, MAX_WORKERS = 7, N_GIVEN = OUTPUTS_N_GIVEN };

static uint32_t worker_counts[] = {1, 2, 3, MAX_WORKERS};
enum { N_COUNTS = sizeof worker_counts / sizeof *worker_counts };

static pluck_pool *pools[N_COUNTS];

static int make_pools(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_COUNTS; i++)
        if (pluck_pool_create(&pools[i], worker_counts[i], NULL, NULL) != PLUCK_OK)
            return -1;
    return 0;
}

static int destroy_pools(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_COUNTS; i++)
        pluck_pool_destroy(&pools[i]);
    return 0;
}

/* Somebody else's threads, in the worst order. */
static void run_backwards(void *user, size_t n,
                          void (*task)(void *data, uint32_t worker, size_t item), void *data)
{
    const uint32_t *n_workers = user;
    for (size_t i = n; i-- > 0;)
        task(data, (uint32_t)(i % *n_workers), i);
}

/* Anyone's threads, or none. */
static pluck_workspace *make_workspace(uint32_t n_vocab, test_random *random)
{
    size_t i = test_random_below(random, N_COUNTS);
    const pluck_parallel backwards = {
        .run = run_backwards, .user = &worker_counts[i], .n_workers = worker_counts[i]};
    const pluck_parallel *parallels[] = {NULL, pluck_pool_parallel(pools[i]), &backwards};
    pluck_workspace *workspace = NULL;
    assert_int_equal(pluck_workspace_create(&workspace, n_vocab,
                                            parallels[test_random_below(random, 3)], NULL, NULL),
                     PLUCK_OK);
    return workspace;
}

/* Rows of a batch, each with a random chain. */
typedef struct batch_case {
    uint32_t n_vocab;
    row_case rows[N_ROWS];
    unsigned char data[N_ROWS * (OUTPUTS_VOCAB * sizeof(float) + MAX_GAP)];
    const void *starts[N_ROWS];
    pluck_matrix matrix;
    pluck_token given[N_ROWS * N_GIVEN];
} batch_case;

/* NaN, or -inf, of any type. */
static void put_bad(unsigned char *row, pluck_dtype dtype, uint32_t token, bool is_nan)
{
    static const float values[] = {-INFINITY, NAN};
    static const uint16_t f16[] = {0xFC00, 0x7E01}, bf16[] = {0xFF80, 0x7FC1};
    if (dtype == PLUCK_F32)
        memcpy(row + token * sizeof *values, &values[is_nan], sizeof *values);
    else
        memcpy(row + token * sizeof *f16, dtype == PLUCK_F16 ? &f16[is_nan] : &bf16[is_nan],
               sizeof *f16);
}

/* Some rows cannot be sampled, some samplers ban the tokens whose logits are bad. */
static void spoil(row_case *c, unsigned char *row, test_random *random)
{
    stage_text json = {.n = 0};
    if (test_random_below(random, 4) == 0) {
        stage_text_add(&json, "{\"on_nan\": \"ban\", %s", c->json.text + 1);
        c->json = json;
    }
    size_t kind = test_random_below(random, 16);
    if (kind < 2)
        put_bad(row, c->row.logits.dtype, (uint32_t)test_random_below(random, c->n_vocab), true);
    for (uint32_t i = 0; kind == 2 && i < c->n_vocab; i++)
        put_bad(row, c->row.logits.dtype, i, false);
    if (kind == 3) {
        c->is_masked = true;
        memset(c->mask, 0, sizeof c->mask);
    }
}

static void make_batch(batch_case *b, test_random *random)
{
    static const uint32_t sizes[] = {1, 2, 17, 63, 64, 65, 130, 200, 333, OUTPUTS_VOCAB};
    enum { POISON = 0xFF }; /* NaN in all types */
    b->n_vocab = sizes[test_random_below(random, sizeof sizes / sizeof *sizes)];
    pluck_dtype dtype = (pluck_dtype)test_random_below(random, 3);
    size_t row_bytes = b->n_vocab * pluck_dtype_size_bytes(dtype);
    size_t stride = row_bytes + test_random_below(random, MAX_GAP + 1);
    size_t n_rows = test_random_below(random, N_ROWS + 1);
    memset(b->data, POISON, N_ROWS * stride);
    for (size_t r = 0; r < n_rows; r++) {
        unsigned char *row = b->data + r * stride;
        row_case_make(&b->rows[r], test_random_bits(random), b->n_vocab, (int)dtype);
        memcpy(row, b->rows[r].row.logits.data, row_bytes);
        spoil(&b->rows[r], row, random);
        b->starts[r] = row;
        logit_row_destroy(&b->rows[r].row);
    }
    b->matrix = (pluck_matrix){.data = b->data,
                               .rows = test_random_below(random, 3) == 0 ? b->starts : NULL,
                               .dtype = dtype,
                               .n_cols = b->n_vocab,
                               .n_rows = n_rows,
                               .row_stride_bytes = stride};
    for (size_t i = 0; i < n_rows * N_GIVEN; i++)
        b->given[i] = (pluck_token)test_random_below(random, b->n_vocab);
}

static pluck_logits logits_of(const batch_case *b, size_t row)
{
    return (pluck_logits){b->starts[row], b->matrix.dtype, b->n_vocab};
}

/* What single calls give: of row r in results[r]. */
typedef struct single_calls {
    row_results results[N_ROWS];
    pluck_outputs outputs[N_ROWS];
    pluck_status statuses[N_ROWS];
    pluck_error first; /* of the first row that failed */
    size_t first_failed;
    size_t n_kept;
} single_calls;

static void call_one_by_one(const batch_case *b, pluck_sampler *const *alone, int wanted,
                            single_calls *s)
{
    s->n_kept = 0;
    s->first_failed = b->matrix.n_rows;
    for (size_t r = 0; r < b->matrix.n_rows; r++) {
        if (!alone[r])
            continue;
        pluck_error err = {.status = PLUCK_OK};
        s->outputs[r] = row_outputs(&s->results[r], wanted, 1, b->n_vocab, b->given + r * N_GIVEN);
        s->statuses[r] = pluck_sampler_run(alone[r], logits_of(b, r), &s->outputs[r], &err);
        if (s->statuses[r] != PLUCK_OK && s->first_failed == b->matrix.n_rows) {
            s->first_failed = r;
            s->first = err;
        }
        if (s->outputs[r].kept_offsets)
            s->n_kept += s->outputs[r].kept_offsets[1];
    }
}

static bool is_skipped(const pluck_outputs *o, size_t row)
{
    return (!o->tokens || o->tokens[row] == PLUCK_NO_TOKEN) &&
           (!o->statuses || o->statuses[row] == PLUCK_OK) &&
           (!o->logprobs || isnan(o->logprobs[row])) &&
           (!o->kept_offsets || o->kept_offsets[row] == o->kept_offsets[row + 1]);
}

/* The result of the whole call: the first row that failed. */
static bool result_agrees(const single_calls *s, size_t n_rows, pluck_status status,
                          const pluck_error *err)
{
    char message[sizeof err->message + 32];
    if (s->first_failed == n_rows)
        return status == PLUCK_OK || test_case_failed("the batch fails: %s", err->message);
    snprintf(message, sizeof message, "row %zu: %s", s->first_failed, s->first.message);
    message[sizeof err->message - 1] = '\0';
    return (status == s->first.status && strcmp(err->message, message) == 0) ||
           test_case_failed("the batch gives %s \"%s\", not \"%s\"", pluck_status_name(status),
                            err->message, message);
}

static bool rows_agree(const batch_case *b, const single_calls *s, const pluck_outputs *outputs,
                       pluck_sampler *const *alone)
{
    for (size_t r = 0; r < b->matrix.n_rows; r++)
        if (alone[r] ? !row_results_equal(outputs, r, &s->outputs[r], 0, b->n_vocab)
                     : !is_skipped(outputs, r))
            return test_case_failed("row %zu of %zu, %u logits: %s", r, b->matrix.n_rows,
                                    b->n_vocab, b->rows[r].json.text);
    return true;
}

static void destroy_all(pluck_sampler **samplers)
{
    for (size_t r = 0; r < N_ROWS; r++)
        pluck_sampler_destroy(&samplers[r]);
}

/* Too little room: nothing is kept, nothing drawn, no sampler has changed. */
static bool space_is_missed(const batch_case *b, const single_calls *s, pluck_workspace *workspace,
                            pluck_sampler *const *samplers, const pluck_outputs *outputs)
{
    size_t n_rows = b->matrix.n_rows;
    pluck_sampler *before[N_ROWS] = {NULL};
    for (size_t r = 0; r < n_rows; r++)
        if (samplers[r])
            assert_int_equal(pluck_sampler_clone(&before[r], samplers[r], NULL), PLUCK_OK);
    pluck_status status = pluck_workspace_run(workspace, samplers, &b->matrix, outputs, NULL);
    bool agrees = status == PLUCK_ERR_SPACE && outputs->kept_offsets[n_rows] == s->n_kept;
    for (size_t r = 0; r < n_rows && agrees; r++) {
        pluck_status expected = samplers[r] ? PLUCK_ERR_SPACE : PLUCK_OK;
        agrees = (!outputs->statuses || outputs->statuses[r] == expected) &&
                 (!outputs->tokens || outputs->tokens[r] == PLUCK_NO_TOKEN) &&
                 (!samplers[r] || sampler_states_equal(samplers[r], before[r]));
    }
    destroy_all(before);
    return agrees || test_case_failed("%s for too little room, or a sampler has changed",
                                      pluck_status_name(status));
}

/* One step of the sequences, by a batch and by single calls. */
static bool step_agrees(const batch_case *b, pluck_workspace *workspace,
                        pluck_sampler *const *samplers, pluck_sampler *const *alone,
                        test_random *random)
{
    static row_results all;
    static single_calls s;
    size_t n_rows = b->matrix.n_rows;
    int wanted = (int)(test_random_bits(random) & OUT_ALL);
    if (test_random_below(random, 2) == 0)
        wanted |= OUT_TOKENS;
    call_one_by_one(b, alone, wanted, &s);
    pluck_outputs outputs = row_outputs(&all, wanted, n_rows, b->n_vocab, b->given);
    outputs.accept = outputs.tokens && test_random_below(random, 4) > 0;
    if (outputs.kept && s.n_kept > 0 && test_random_below(random, 5) == 0) {
        outputs.kept_capacity = s.n_kept - 1 - test_random_below(random, s.n_kept);
        if (!space_is_missed(b, &s, workspace, samplers, &outputs))
            return false;
    }
    if (outputs.kept)
        outputs.kept_capacity = s.n_kept;
    pluck_error err = {.status = PLUCK_OK};
    pluck_status status = pluck_workspace_run(workspace, samplers, &b->matrix, &outputs, &err);
    bool agrees = result_agrees(&s, n_rows, status, &err) && rows_agree(b, &s, &outputs, alone);
    for (size_t r = 0; r < n_rows && agrees; r++) {
        if (!alone[r])
            continue;
        if (outputs.accept && s.statuses[r] == PLUCK_OK)
            assert_int_equal(pluck_sampler_accept(alone[r], s.results[r].tokens[0], NULL),
                             PLUCK_OK);
        agrees = sampler_states_equal(samplers[r], alone[r]) ||
                 test_case_failed("the sampler of row %zu differs: %s", r, b->rows[r].json.text);
    }
    return agrees;
}

static bool batch_agrees(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)context;
    static batch_case b;
    test_random random = test_random_make(seed);
    make_batch(&b, &random);
    pluck_workspace *workspace = make_workspace(b.n_vocab, &random);
    pluck_sampler *samplers[N_ROWS] = {NULL}, *alone[N_ROWS] = {NULL};
    for (size_t r = 0; r < b.matrix.n_rows; r++) {
        if (test_random_below(&random, 7) == 0)
            continue;
        samplers[r] = row_case_sampler(&b.rows[r], r, isa, workspace);
        alone[r] = row_case_sampler(&b.rows[r], r, isa, NULL);
    }
    bool agrees = true;
    for (size_t n = 1 + test_random_below(&random, 3); n > 0 && agrees; n--)
        agrees = step_agrees(&b, workspace, samplers, alone, &random);
    destroy_all(samplers);
    destroy_all(alone);
    pluck_workspace_destroy(&workspace);
    return agrees;
}

static void any_batch_has_the_bits_of_single_calls(void **state)
{
    (void)state;
    const char *text = getenv("PLUCK_BATCHES");
    uint64_t n = text ? strtoull(text, NULL, 10) : 1500;
    test_cases_run_once("any_batch_has_the_bits_of_single_calls", 1, n, batch_agrees, NULL);
    if (text)
        printf("%llu batches\n", (unsigned long long)n);
}

/* A batch whose rows all have the chain of the first one, and no history. */
static bool new_samplers_agree(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)isa, (void)context;
    static batch_case b;
    static row_results all;
    static single_calls s;
    test_random random = test_random_make(seed);
    do
        make_batch(&b, &random);
    while (b.matrix.n_rows == 0);
    pluck_workspace *workspace =
        test_random_below(&random, 3) > 0 ? make_workspace(b.n_vocab, &random) : NULL;
    uint64_t keys = test_random_bits(&random), stream0 = test_random_bits(&random);
    uint64_t position = test_random_below(&random, 2) == 0 ? 0 : test_random_bits(&random);
    int wanted = (int)(test_random_bits(&random) & OUT_ALL);
    pluck_config *config = test_config(b.rows[0].json.text);
    pluck_sampler *alone[N_ROWS] = {NULL};
    pluck_status creation = PLUCK_OK; /* chains that need the texts of tokens have none here */
    for (size_t r = 0; r < b.matrix.n_rows && creation == PLUCK_OK; r++) {
        creation = pluck_sampler_create(&alone[r], config, b.n_vocab, NULL, NULL);
        if (creation != PLUCK_OK)
            break;
        assert_int_equal(pluck_sampler_start(alone[r], keys, stream0 + r, NULL), PLUCK_OK);
        assert_int_equal(pluck_sampler_set_position(alone[r], position, NULL), PLUCK_OK);
    }
    pluck_outputs outputs = row_outputs(&all, wanted, b.matrix.n_rows, b.n_vocab, b.given);
    s.n_kept = 0;
    if (creation == PLUCK_OK)
        call_one_by_one(&b, alone, wanted, &s);
    bool is_short = outputs.kept && s.n_kept > 0 && test_random_below(&random, 5) == 0;
    if (is_short)
        outputs.kept_capacity = s.n_kept - 1;
    pluck_error err = {.status = PLUCK_OK};
    pluck_status status =
        pluck_sample_rows(workspace, config, keys, stream0, position, &b.matrix, &outputs, &err);
    bool agrees = status == creation;
    if (is_short)
        agrees = status == PLUCK_ERR_SPACE && outputs.kept_offsets[b.matrix.n_rows] == s.n_kept;
    else if (creation == PLUCK_OK)
        agrees =
            result_agrees(&s, b.matrix.n_rows, status, &err) && rows_agree(&b, &s, &outputs, alone);
    destroy_all(alone);
    pluck_config_destroy(&config);
    pluck_workspace_destroy(&workspace);
    return agrees;
}

static void rows_without_samplers_are_those_of_new_samplers(void **state)
{
    (void)state;
    test_cases_run_once("rows_without_samplers_are_those_of_new_samplers", 1, 1000,
                        new_samplers_agree, NULL);
}

static void mistakes_without_samplers_write_nothing(void **state)
{
    (void)state;
    static const float x[4] = {1, 2, 3, 4};
    pluck_config *config = test_config("{}"),
                 *outside = test_config("{\"logit_bias\": {\"4\": 1}}");
    pluck_workspace *workspace = NULL, *other = NULL;
    assert_int_equal(pluck_workspace_create(&workspace, 2, NULL, NULL, NULL), PLUCK_OK);
    assert_int_equal(pluck_workspace_create(&other, 4, NULL, NULL, NULL), PLUCK_OK);
    pluck_matrix rows = {.data = x, .dtype = PLUCK_F32, .n_cols = 2, .n_rows = 2};
    pluck_matrix empty = {.dtype = PLUCK_F32, .n_cols = 0};
    pluck_token tokens[2] = {-7, -7};
    pluck_outputs outputs = PLUCK_INIT(pluck_outputs);
    outputs.tokens = tokens;
    pluck_status bad = PLUCK_ERR_INVALID;
    pluck_error err = {.status = PLUCK_OK};
    assert_int_equal(pluck_sample_rows(other, config, 1, 2, 3, &rows, &outputs, &err), bad);
    assert_non_null(strstr(err.message, "rows of 2 logits"));
    assert_int_equal(pluck_sample_rows(NULL, outside, 1, 2, 3, &rows, &outputs, &err),
                     PLUCK_ERR_CONFIG);
    assert_int_equal(pluck_sample_rows(NULL, config, 1, 2, 3, &empty, &outputs, &err), bad);
    rows.dtype = PLUCK_F64;
    assert_int_equal(pluck_sample_rows(NULL, config, 1, 2, 3, &rows, &outputs, &err), bad);
    rows.dtype = PLUCK_F32;
    outputs.accept = true;
    assert_int_equal(pluck_sample_rows(workspace, config, 1, 2, 3, &rows, &outputs, &err), bad);
    assert_non_null(strstr(err.message, "outputs.accept must be false"));
    assert_int_equal(tokens[0], -7);
    assert_int_equal(tokens[1], -7);
    outputs.accept = false;
    assert_int_equal(pluck_sample_rows(workspace, config, 1, 2, 3, &rows, &outputs, &err),
                     PLUCK_OK);
    rows.n_rows = 0;
    size_t offsets[1] = {7};
    outputs.kept_offsets = offsets;
    assert_int_equal(pluck_sample_rows(workspace, config, 1, 2, 3, &rows, &outputs, &err),
                     PLUCK_OK);
    assert_int_equal(offsets[0], 0);
    pluck_workspace_destroy(&workspace);
    pluck_workspace_destroy(&other);
    pluck_config_destroy(&config);
    pluck_config_destroy(&outside);
}

enum { FORK_VOCAB = 500, N_STEPS = 6 };

/* Goes on with all sequences; each step's rows are those of its number. */
static bool go_on(pluck_workspace *workspace, pluck_sampler *const *samplers, size_t first_step,
                  pluck_token *tokens)
{
    static float x[N_ROWS * FORK_VOCAB];
    for (size_t step = 0; step < N_STEPS; step++) {
        for (size_t r = 0; r < N_ROWS; r++)
            logit_fill((logit_kind)TEST_VECTOR_NORMAL, first_step + step * N_ROWS + r, FORK_VOCAB,
                       x + r * FORK_VOCAB);
        pluck_matrix rows = {.data = x, .dtype = PLUCK_F32, .n_cols = FORK_VOCAB, .n_rows = N_ROWS};
        size_t offsets[N_ROWS + 1];
        pluck_outputs outputs = PLUCK_INIT(pluck_outputs);
        outputs.accept = true;
        outputs.tokens = tokens + step * N_ROWS;
        outputs.kept_offsets = step % 2 == 0 ? offsets : NULL;
        if (pluck_workspace_run(workspace, samplers, &rows, &outputs, NULL) != PLUCK_OK)
            return false;
    }
    return true;
}

/* The child has copies of everything but the threads. Both go on, and give the same tokens. */
static void a_fork_in_the_middle_splits_the_sequences(void **state)
{
    (void)state;
    pluck_workspace *workspace = NULL;
    pluck_sampler *samplers[N_ROWS] = {NULL};
    pluck_token tokens[N_STEPS * N_ROWS], of_child[N_STEPS * N_ROWS];
    int ends[2];
    pluck_config *config =
        test_config("{\"repeat_penalty\": 1.2, \"top_p\": 0.9, \"draw\": \"mirostat_v2\"}");
    assert_int_equal(pluck_workspace_create(&workspace, FORK_VOCAB,
                                            pluck_pool_parallel(pools[N_COUNTS - 1]), NULL, NULL),
                     PLUCK_OK);
    for (size_t r = 0; r < N_ROWS; r++) {
        pluck_sampler_options options = {
            .struct_size = sizeof options, .stream = r, .workspace = workspace};
        assert_int_equal(pluck_sampler_create(&samplers[r], config, FORK_VOCAB, &options, NULL),
                         PLUCK_OK);
    }
    assert_true(go_on(workspace, samplers, 0, tokens));
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        alarm(20);
        bool is_done = go_on(workspace, samplers, 100, tokens) &&
                       write(ends[1], tokens, sizeof tokens) == (ssize_t)sizeof tokens;
        destroy_all(samplers);
        pluck_workspace_destroy(&workspace);
        _exit(is_done ? 0 : 1);
    }
    assert_true(go_on(workspace, samplers, 100, tokens));
    int status = -1;
    assert_int_equal(read(ends[0], of_child, sizeof of_child), sizeof of_child);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_memory_equal(tokens, of_child, sizeof tokens);
    close(ends[0]);
    close(ends[1]);
    destroy_all(samplers);
    pluck_workspace_destroy(&workspace);
    pluck_config_destroy(&config);
}

int main(int argc, char **argv)
{
    test_cases_begin(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_batch_has_the_bits_of_single_calls),
        cmocka_unit_test(rows_without_samplers_are_those_of_new_samplers),
        cmocka_unit_test(mistakes_without_samplers_write_nothing),
        cmocka_unit_test(a_fork_in_the_middle_splits_the_sequences),
    };
    return cmocka_run_group_tests(tests, make_pools, destroy_pools);
}
