/*
 * Why: a host passes NULL where it should not, once, in a path that is rarely taken. That must be a
 * status or a 0, not the end of the process. Each public function is called with each pointer
 * argument NULL in turn, all others valid, in a child process that starts with the same objects.
 * The call without NULL is made on a thread with a stack of 64 KiB, as a host may have.
 *
 *     test_null_arguments FOLDER     FOLDER is writable, and has "model.ftz"
 */
#include "base/tally.h"
#include "support/custom_stages.h"

#include <pluck/dump.h>
#include <pluck/fasttext.h>
#include <pluck/head.h>
#include <pluck/pluck.h>
#include <pluck/sampled_softmax.h>
#include <pluck/shard.h>
#include <pluck/speculative.h>
#include <pluck/trace.h>
#include <pluck/tune.h>
#include <pluck/weighted.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { N = 8, DIM = 4, MAX_POINTERS = 8, TIMEOUT_SECONDS = 60 };

/* The sanitizers need more than what is promised. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { STACK_BYTES = 1024 * 1024 };
#else
enum { STACK_BYTES = 64 * 1024 };
#endif

#define NULL_LOGITS  ((pluck_logits){NULL, PLUCK_F32, N})
#define NULL_WEIGHTS ((pluck_weights){NULL, PLUCK_F32, N})

typedef struct outcome {
    bool has_status, is_nothing;
    pluck_status status;
} outcome;

typedef struct null_call {
    const char *name;
    void (*call)(int at, outcome *seen, pluck_error *err);
    bool in_stage;
    size_t n_pointers;
    struct {
        int at;
        bool is_optional;
    } pointers[MAX_POINTERS];
} null_call;

static void *take(void *user, size_t size_bytes)
{
    (void)user;
    return malloc(size_bytes);
}

static void give(void *user, void *memory)
{
    (void)user;
    free(memory);
}

static void report(void *user, const char *key, pluck_import_fate fate, const char *note)
{
    (void)user, (void)key, (void)fate, (void)note;
}

static double double_logit(void *user, pluck_token token, double logit)
{
    (void)user, (void)token;
    return 2 * logit;
}

static bool keeps_all(void *user, pluck_token token, double logit)
{
    (void)user, (void)token, (void)logit;
    return true;
}

static pluck_allocator allocator = {take, give, NULL};

/* Values */
static const float z[N] = {1, 2, 3, 4, 0, -1, -2, 0.5f};
static const float uniform[N] = {0.125f, 0.125f, 0.125f, 0.125f, 0.125f, 0.125f, 0.125f, 0.125f};
static const float weights[N * DIM] = {1, 2, 3, 4, 4, 3, 2, 1, 0, 1, 0, 1, 1};
static const float hidden[2 * DIM] = {1, -1, 0.5f, 2, 0, 1, 2, 3};
static const double ones[N] = {1, 1, 1, 1, 1, 1, 1, 1};
static const pluck_token two_tokens[2] = {1, 2};
static const pluck_token view_tokens[2] = {0, 1};
static const int32_t mask[1] = {0xff};
static const int64_t counts[N] = {1, 2, 3, 4, 5, 6, 7, 8};
static const uint8_t bits[2] = {0, 1};
static const size_t bit_ends[2] = {1, 2};
static const int32_t children[2] = {0, 1};
static const pluck_weights weights_of = {z, PLUCK_F32, 4};
static const pluck_logits logits = {z, PLUCK_F32, N};
static const void *const row_starts[3] = {z, z, z};
static const pluck_matrix logit_rows = {
    .rows = row_starts, .dtype = PLUCK_F32, .n_cols = N, .n_rows = 2};
static const pluck_matrix draft_rows = {
    .rows = row_starts, .dtype = PLUCK_F32, .n_cols = N, .n_rows = 3};
static const pluck_matrix matrix = {
    .data = weights, .dtype = PLUCK_F32, .n_rows = N, .n_cols = DIM};
static const pluck_head_tail tail = {
    {.data = weights, .dtype = PLUCK_F32, .n_rows = 2, .n_cols = DIM},
    {.data = weights, .dtype = PLUCK_F32, .n_rows = 3, .n_cols = 2}};
static const pluck_head_band band = {
    {.data = weights, .dtype = PLUCK_F32, .n_rows = N, .n_cols = DIM}, 0};
static const pluck_head_batch batch = {.struct_size = sizeof batch, .hidden = hidden, .n_rows = 2};
static const pluck_selection selection = {.struct_size = sizeof selection, .top_k = 2};
static const pluck_fasttext_request label_request = {.struct_size = sizeof label_request, .k = 1};
static const pluck_prob half[2] = {{1, 0.5f}, {2, 0.5f}};
static const pluck_support supports[3] = {{half, 2}, {half, 2}, {half, 2}};
static const pluck_drafts drafts = {two_tokens, supports, 2};
static const double temperatures[1] = {1};

/* Options: what is not given is NULL in them already. */
static pluck_config_options config_options = {.struct_size = sizeof config_options};
static const pluck_dump_options dump_options = {.struct_size = sizeof dump_options};
static const pluck_dump_writer_options writer_options = {
    .struct_size = sizeof writer_options, .format = PLUCK_DUMP_NPY, .n_vocab = N, .n_rows = 1};
static const pluck_fasttext_options model_options = {.struct_size = sizeof model_options};
static const pluck_head_options head_options = {.struct_size = sizeof head_options};
static const uint32_t cuts[2] = {0, N};
static const pluck_shard_options shard_options = {
    .struct_size = sizeof shard_options, .n_vocab = N, .n_ranks = 1, .first_token = cuts};
static const pluck_sampler_options sampler_options = {.struct_size = sizeof sampler_options};
static const pluck_trace_options trace_options = {.struct_size = sizeof trace_options,
                                                  .max_tokens = 4};
static const pluck_train_data train_data = {.struct_size = sizeof train_data,
                                            .hidden = hidden,
                                            .n_rows = 2,
                                            .dim = DIM,
                                            .targets = two_tokens};
static const pluck_train_options train_options = {.struct_size = sizeof train_options,
                                                  .n_epochs = 2};
static const pluck_tune_options tune_options = {.struct_size = sizeof tune_options,
                                                .n_bootstrap = 2};
static const pluck_dump_row written_row = {
    .struct_size = sizeof written_row, .logits = {z, PLUCK_F32, N}, .target = 1};

static const pluck_bias biases[1] = {{1, 0.5}};
static pluck_token sequence_tokens[1] = {1};
static size_t sequence_ends[1] = {1};
static const pluck_sequences sequences = {sequence_tokens, sequence_ends, 1};

/* Results */
static pluck_isa isa;
static pluck_import_format kind;
static pluck_comparison comparison = {.struct_size = sizeof comparison};
static pluck_config_info config_info = {.struct_size = sizeof config_info};
static pluck_config_stage config_stage = {.struct_size = sizeof config_stage};
static pluck_dump_info dump_info = {.struct_size = sizeof dump_info};
static pluck_dump_row dump_row = {.struct_size = sizeof dump_row};
static pluck_token token, tokens[N];
static bool is_done;
static const char *gathers;
static pluck_status statuses[2];
static pluck_draw draw, draws[2];
static pluck_logprob logprobs[4];
static pluck_outputs outputs = {.struct_size = sizeof outputs,
                                .accept = true,
                                .tokens = tokens,
                                .statuses = statuses,
                                .n_top = 2,
                                .top = logprobs};
static pluck_outputs row_outputs = {
    .struct_size = sizeof row_outputs, .tokens = tokens, .n_top = 2, .top = logprobs};
static pluck_sampler_info sampler_info = {.struct_size = sizeof sampler_info};
static pluck_prob probs[N];
static pluck_logprob scored[2 * N];
static pluck_head_info head_info = {.struct_size = sizeof head_info};
static pluck_fasttext_info model_info = {.struct_size = sizeof model_info};
static int64_t label_count;
static pluck_fasttext_label labels[2];
static pluck_tree_stats tree_stats = {.struct_size = sizeof tree_stats};
static pluck_head_stats stats = {.struct_size = sizeof stats};
static pluck_verdict verdict;
static pluck_train_progress progress = {.struct_size = sizeof progress};
static pluck_tune_fit fit = {.struct_size = sizeof fit};
static pluck_tune_cut cut = {.kind = PLUCK_TUNE_TOP_K, .setting = 2};
static pluck_tune_stats tune_stats;
static pluck_softmax_state state = {4, 1.7};
static pluck_pcg64 rng;
static pluck_pcg32 small_rng;
static char text[1 << 16], bytes[4096], saved[4096];
static uint8_t code[64];
static size_t size, used, saved_size, model_size;
static uint32_t count, many_counts[N];
static uint64_t seed, tries;
static double number, doubles[N];
static float floats[N * DIM], more_floats[N];
static const uint64_t *axes;
static const int32_t *features;
static const float *hidden_row;

/* Files */
static char dump_path[512], targets_path[512], new_path[512], model_path[512], head_path[512];
static char checkpoint_path[512], weighted_path[512];
static char *model_bytes;

/* Objects, and where new ones go */
static pluck_pool *pool, *new_pool;
static pluck_workspace *workspace, *new_workspace;
static pluck_sampler *sampler, *samplers[2], *new_sampler;
static pluck_config *config, *new_config;
static pluck_dump *dump, *new_dump;
static pluck_targets *targets, *new_targets;
static pluck_dump_writer *writer, *new_writer;
static pluck_fasttext *model, *new_model;
static pluck_fasttext_query *model_query, *new_model_query;
static pluck_tree *tree, *new_tree;
static pluck_head *head, *tree_head, *new_head;
static pluck_head_query *query, *new_query;
static pluck_registry *registry, *new_registry;
static pluck_candidate_sampler *candidates, *new_candidates;
static pluck_shard *shard, *new_shard;
static pluck_speculation *speculation, *new_speculation;
static pluck_trace *trace, *new_trace;
static pluck_trainer *trainer, *new_trainer;
static pluck_tune_data tune_data;
static const pluck_tune_request request = {
    .struct_size = sizeof request, .temperatures = temperatures, .n = 1, .stats = &tune_stats};
static pluck_weighted *weighted, *new_weighted;
static pluck_tally tally_of_nothing, *tally;
static char tally_bytes[20];
static pluck_view *view;
static const pluck_context *context;

static void made(pluck_status status, const char *what, const pluck_error *err)
{
    if (status == PLUCK_OK)
        return;
    printf("%s: %s\n", what, err->message);
    exit(2);
}

/* MADE(pluck_thing_create(...)): the end of the program if that fails. */
#define MADE(call) made(call, #call, &err)

/* Made in the child that finishes it, for its files are there once. */
static pluck_dump_writer *written_writer(void)
{
    pluck_error err = {.status = PLUCK_OK};
    MADE(pluck_dump_writer_create(&new_writer, new_path, &writer_options, &err));
    MADE(pluck_dump_writer_write(new_writer, &written_row, &err));
    return new_writer;
}

/* Of a writer that is made in the child, like the one above. */
static const char *const *unfinished(void)
{
    static pluck_dump_writer *joined;
    static const char *paths[2];
    pluck_error err = {.status = PLUCK_OK};
    MADE(pluck_dump_writer_create(&joined, new_path, &writer_options, &err));
    paths[0] = pluck_dump_writer_temporary(joined, 0);
    return paths;
}

static pluck_shard *begun_shard(void)
{
    pluck_error err = {.status = PLUCK_OK};
    MADE(pluck_shard_begin(shard, sampler, logits, &err));
    return shard;
}

static const void *const *one_record(void)
{
    static const void *const records[1] = {bytes};
    pluck_error err = {.status = PLUCK_OK};
    MADE(pluck_shard_record(begun_shard(), bytes, sizeof bytes, &size, &err));
    return records;
}

#include "null_calls.inc"

static void make_files(const char *folder)
{
    pluck_error err = {.status = PLUCK_OK};
    const struct {
        char *path;
        const char *name;
    } files[] = {
        {dump_path, "dump.npy"},        {targets_path, "targets.txt"},
        {new_path, "new.npy"},          {model_path, "model.ftz"},
        {head_path, "head.st"},         {checkpoint_path, "checkpoint.st"},
        {weighted_path, "weighted.st"},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        snprintf(files[i].path, sizeof dump_path, "%s/%s", folder, files[i].name);
    pluck_dump_writer_options options = writer_options;
    options.n_rows = 2;
    MADE(pluck_dump_writer_create(&new_writer, dump_path, &options, &err));
    MADE(pluck_dump_writer_write(new_writer, &written_row, &err));
    MADE(pluck_dump_writer_write(new_writer, &written_row, &err));
    MADE(pluck_dump_writer_finish(new_writer, &err));
    pluck_dump_writer_destroy(&new_writer);
    FILE *file = fopen(targets_path, "w");
    if (!file || fputs("1\n2\n", file) < 0 || fclose(file) != 0)
        exit(2);
    file = fopen(model_path, "rb");
    model_bytes = malloc(1 << 20);
    if (!file || !model_bytes)
        exit(2);
    model_size = fread(model_bytes, 1, 1 << 20, file);
    fclose(file);
}

static void make_samplers(void)
{
    pluck_error err = {.status = PLUCK_OK};
    MADE(pluck_pool_create(&pool, 2, NULL, &err));
    MADE(pluck_workspace_create(&workspace, N, pluck_pool_parallel(pool), NULL, &err));
    MADE(pluck_config_from_json(&config, "{\"seed\": 7, \"top_k\": 5}", 23, NULL, &err));
    pluck_sampler_options options = {.struct_size = sizeof options, .workspace = workspace};
    MADE(pluck_sampler_create(&sampler, config, N, NULL, &err));
    MADE(pluck_sampler_create(&samplers[0], config, N, &options, &err));
    MADE(pluck_sampler_create(&samplers[1], config, N, &options, &err));
    MADE(pluck_sampler_accept(sampler, 1, &err));
    MADE(pluck_sampler_save(sampler, saved, sizeof saved, &saved_size, &err));
    MADE(pluck_trace_create(&trace, sampler, NULL, &err));
    MADE(pluck_trace_run(trace, sampler, logits, two_tokens, 2, &err));
    MADE(pluck_registry_create(&registry, NULL, &err));
    MADE(pluck_candidate_sampler_create(&candidates, N, NULL, &err));
    MADE(pluck_speculation_create(&speculation, N, 1, 0, NULL, &err));
    MADE(pluck_shard_create(&shard, &shard_options, &err));
    pluck_pcg64_seed(&rng, 1, 2, 3);
    pluck_pcg32_init(&small_rng, 1, 2);
}

static void make_rest(void)
{
    pluck_error err = {.status = PLUCK_OK};
    MADE(pluck_dump_open(&dump, dump_path, NULL, &err));
    MADE(pluck_targets_open(&targets, targets_path, NULL, &err));
    tune_data = (pluck_tune_data){.struct_size = sizeof tune_data,
                                  .dump = dump,
                                  .targets = targets,
                                  .parallel = pluck_pool_parallel(pool)};
    MADE(pluck_dump_writer_create(&writer, new_path, &writer_options, &err));
    MADE(pluck_fasttext_open(&model, model_path, NULL, &err));
    MADE(pluck_fasttext_query_create(&model_query, model, NULL, &err));
    MADE(pluck_tree_create_balanced(&tree, N, NULL, &err));
    MADE(pluck_head_create_dense(&head, &matrix, NULL, NULL, &err));
    MADE(pluck_head_create_hierarchical(&tree_head, tree, &matrix, NULL, PLUCK_TREE_RIGHT, NULL,
                                        &err));
    MADE(pluck_head_save(head, head_path, &err));
    MADE(pluck_head_query_create(&query, head, NULL, &err));
    MADE(pluck_trainer_create(&trainer, tree, &train_data, NULL, &err));
    MADE(pluck_trainer_save(trainer, checkpoint_path, &err));
    plk_tally_open(&tally_of_nothing, "nothing", NULL);
    tally = &tally_of_nothing;
    MADE(pluck_tally_put(tally, tally_bytes, sizeof tally_bytes, &size, &err));
    MADE(pluck_weighted_create(&weighted, PLUCK_WEIGHTED_SUM_TREE, weights_of, NULL, &err));
    MADE(pluck_weighted_save(weighted, weighted_path, &err));
}

/* The call under test */
static const null_call *tested;
static int tested_at;
static outcome seen;
static pluck_error seen_err;

static pluck_status call_in_stage(const void *params, void *own_state, pluck_view *v,
                                  const pluck_context *c, pluck_error *err)
{
    (void)params, (void)own_state, (void)err;
    view = v;
    context = c;
    tested->call(tested_at, &seen, &seen_err);
    return PLUCK_OK;
}

static void run_in_stage(void)
{
    pluck_error err = {.status = PLUCK_OK};
    pluck_custom_stage stage = {.struct_size = sizeof stage,
                                .info = {.name = "own_call",
                                         .kind = PLUCK_STAGE_REWEIGHT,
                                         .params = test_own_params,
                                         .n_params = 1,
                                         .params_size_bytes = sizeof(one_number)},
                                .apply = call_in_stage};
    const char *json =
        "{\"stages\": [{\"type\": \"own_call\", \"x\": 1}], \"draw\": \"categorical\"}";
    MADE(pluck_registry_add(registry, &stage, &err));
    config_options.registry = registry;
    MADE(pluck_config_from_json(&new_config, json, strlen(json), &config_options, &err));
    MADE(pluck_sampler_create(&new_sampler, new_config, N, NULL, &err));
    MADE(pluck_sampler_accept(new_sampler, 1, &err));
    MADE(pluck_sampler_sample(new_sampler, logits, &token, &err));
}

static void *call_tested(void *unused)
{
    if (tested->in_stage)
        run_in_stage();
    else
        tested->call(tested_at, &seen, &seen_err);
    return unused;
}

static void call_on_small_stack(void)
{
    pthread_attr_t attributes;
    pthread_t id;
    if (pthread_attr_init(&attributes) != 0 ||
        pthread_attr_setstacksize(&attributes, STACK_BYTES) != 0 ||
        pthread_create(&id, &attributes, call_tested, NULL) != 0 || pthread_join(id, NULL) != 0)
        exit(2);
}

/* In the child: what is wrong, or NULL. */
static const char *problem_of(bool is_valid)
{
    if (tested_at < 0)
        call_on_small_stack();
    else
        call_tested(NULL);
    if (!seen.has_status)
        return is_valid || seen.is_nothing ? NULL : "is not 0, NULL or false";
    if (is_valid)
        return seen.status == PLUCK_OK ? NULL : "fails";
    if (seen.status != PLUCK_ERR_INVALID)
        return "is not PLUCK_ERR_INVALID";
    if (seen_err.status != PLUCK_ERR_INVALID || seen_err.message[0] == '\0')
        return "has no message";
    return NULL;
}

/* at: which argument is NULL, or -1. False, after a line that says why, if that is not right. */
static bool check(const null_call *c, int at, bool is_valid)
{
    tested = c;
    tested_at = at;
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        exit(2);
    if (pid == 0) {
        alarm(TIMEOUT_SECONDS);
        const char *problem = problem_of(is_valid);
        if (problem)
            printf("%s, argument %d NULL: %s (%s: %s)\n", c->name, at + 1, problem,
                   pluck_status_name(seen.status), seen_err.message);
        fflush(NULL);
        _exit(problem ? 1 : 0);
    }
    int status = 0;
    if (waitpid(pid, &status, 0) != pid)
        exit(2);
    if (WIFSIGNALED(status))
        printf("%s, argument %d NULL: ended by signal %d\n", c->name, at + 1, WTERMSIG(status));
    else if (WEXITSTATUS(status) > 1)
        printf("%s, argument %d NULL: exit status %d\n", c->name, at + 1, WEXITSTATUS(status));
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    make_files(argv[1]);
    make_samplers();
    make_rest();
    size_t n_calls = 0, n_failed = 0;
    for (const char *const *problem = problems; *problem; problem++) {
        printf("%s\n", *problem);
        n_failed++;
    }
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        const null_call *c = &calls[i];
        n_failed += !check(c, -1, true);
        for (size_t p = 0; p < c->n_pointers; p++)
            n_failed += !check(c, c->pointers[p].at, c->pointers[p].is_optional);
        n_calls += 1 + c->n_pointers;
    }
    printf("%zu functions, %zu calls, %zu failed\n", sizeof calls / sizeof *calls, n_calls,
           n_failed);
    return n_failed > 0;
}
