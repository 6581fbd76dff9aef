/*
 * What a server pays for sequences beyond sampling: creating, cloning and reconfiguring a sampler,
 * parking its state as bytes, and the memory of many samplers that share one workspace.
 *
 *     bench_sequences [N_SAMPLERS]     memory of that many (default: 100000)
 *
 * Times are medians of blocks. Memory is what the library asks its allocator for.
 */
#include <pluck/pluck.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { N_VOCAB = 128256, N_TOKENS = 100, N_BLOCKS = 51, N_CALLS = 200, SIZE_BYTES = 16 };

static const char *const chains[] = {
    "{}",
    "{\"temperature\": 0.8, \"top_k\": 40, \"top_p\": 0.95, \"min_p\": 0.05}",
    "{\"temperature\": 0.8, \"top_p\": 0.95, \"repeat_penalty\": 1.1, \"logit_bias\": {\"5\": 1, "
    "\"9\": false}}",
    "{\"temperature\": 0.8, \"repeat_penalty\": 1.1, \"repeat_last_n\": -1, \"dry_multiplier\": "
    "0.8}",
    "{\"mirostat\": 2}",
};
enum { N_CHAINS = sizeof chains / sizeof *chains };

static pluck_error err;

static void check(pluck_status status)
{
    if (status == PLUCK_OK)
        return;
    fprintf(stderr, "bench_sequences: %s\n", err.message);
    exit(1);
}

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values)
{
    qsort(values, N_BLOCKS, sizeof *values, compare);
    return values[N_BLOCKS / 2];
}

static pluck_config *config_of(const char *json)
{
    pluck_config *config = NULL;
    check(pluck_config_from_json(&config, json, strlen(json), NULL, &err));
    return config;
}

static void accept_some(pluck_sampler *sampler, size_t n)
{
    for (size_t i = 0; i < n; i++)
        check(pluck_sampler_accept(sampler, (pluck_token)(i * 7919 % 4001), &err));
}

/* Nanoseconds of destroying a clone and making it again, one after the other of a few hundred that
 * live, as beams do. */
static double time_clones(const pluck_sampler *sampler)
{
    static pluck_sampler *copies[N_CALLS];
    double blocks[N_BLOCKS];
    for (size_t b = 0; b < N_BLOCKS; b++) {
        double start = now_ns();
        for (size_t i = 0; i < N_CALLS; i++) {
            pluck_sampler_destroy(&copies[i]);
            check(pluck_sampler_clone(&copies[i], sampler, &err));
        }
        blocks[b] = (now_ns() - start) / N_CALLS;
    }
    for (size_t i = 0; i < N_CALLS; i++)
        pluck_sampler_destroy(&copies[i]);
    return median(blocks);
}

/* Nanoseconds of changing one number back and forth. */
static double time_reconfigure(pluck_sampler *sampler, const pluck_config *a, const pluck_config *b)
{
    double blocks[N_BLOCKS];
    for (size_t k = 0; k < N_BLOCKS; k++) {
        double start = now_ns();
        for (size_t i = 0; i < N_CALLS; i++)
            check(pluck_sampler_reconfigure(sampler, i % 2 ? a : b, &err));
        blocks[k] = (now_ns() - start) / N_CALLS;
    }
    return median(blocks);
}

static void print_times(const char *json, size_t n_tokens, pluck_workspace *workspace)
{
    pluck_config *config = config_of(json), *hotter = config_of(json), *biased = config_of(json);
    check(pluck_config_set_number(hotter, "temperature", 1.25, &err));
    pluck_bias biases[2] = {{5, 2.5}, {17, -1}};
    check(pluck_config_set_biases(biased, "logit_bias", biases, 2, &err));
    pluck_sampler_options options = PLUCK_INIT(pluck_sampler_options);
    options.workspace = workspace;
    pluck_sampler *sampler = NULL;
    check(pluck_sampler_create(&sampler, config, N_VOCAB, &options, &err));
    accept_some(sampler, n_tokens);
    double clone_ns = time_clones(sampler);
    double temperature_ns = time_reconfigure(sampler, config, hotter);
    double bias_ns = time_reconfigure(sampler, config, biased);
    size_t n_bytes = 0;
    check(pluck_sampler_save(sampler, NULL, 0, &n_bytes, &err));
    printf("%6zu %10.0f %12.0f %10.0f %10zu   %s\n", n_tokens, clone_ns, temperature_ns, bias_ns,
           n_bytes, json);
    pluck_sampler_destroy(&sampler);
    pluck_config_destroy(&config);
    pluck_config_destroy(&hotter);
    pluck_config_destroy(&biased);
}

static void *allocate_counted(void *user, size_t size_bytes)
{
    unsigned char *memory = malloc(SIZE_BYTES + size_bytes);
    if (!memory)
        return NULL;
    memcpy(memory, &size_bytes, sizeof size_bytes);
    *(size_t *)user += size_bytes;
    return memory + SIZE_BYTES;
}

static void free_counted(void *user, void *memory)
{
    size_t size_bytes;
    unsigned char *start = (unsigned char *)memory - SIZE_BYTES;
    memcpy(&size_bytes, start, sizeof size_bytes);
    *(size_t *)user -= size_bytes;
    free(start);
}

/* n samplers that borrow one workspace and have accepted some tokens. */
static void print_memory(const char *json, size_t n, pluck_workspace *workspace)
{
    size_t n_live = 0;
    pluck_allocator allocator = {allocate_counted, free_counted, &n_live};
    pluck_sampler_options options = PLUCK_INIT(pluck_sampler_options);
    options.workspace = workspace;
    options.allocator = &allocator;
    pluck_config *config = config_of(json);
    pluck_sampler **samplers = malloc(n * sizeof(pluck_sampler *));
    if (!samplers)
        exit(1);
    for (size_t i = 0; i < n; i++) {
        check(pluck_sampler_create(&samplers[i], config, N_VOCAB, &options, &err));
        accept_some(samplers[i], N_TOKENS);
    }
    size_t n_bytes = 0, n_history = pluck_sampler_history(samplers[0], NULL, 0);
    check(pluck_sampler_save(samplers[0], NULL, 0, &n_bytes, &err));
    printf("%8zu %10zu %10zu %10zu   %s\n", n, n_live / n, n_history, n_bytes, json);
    for (size_t i = 0; i < n; i++)
        pluck_sampler_destroy(&samplers[i]);
    free(samplers);
    pluck_config_destroy(&config);
    if (n_live != 0)
        exit(1);
}

int main(int argc, char **argv)
{
    size_t n = argc > 1 ? strtoull(argv[1], NULL, 10) : 100000;
    pluck_workspace *workspace = NULL;
    check(pluck_workspace_create(&workspace, N_VOCAB, NULL, NULL, &err));
    printf("nanoseconds of destroying and cloning, and of reconfigure with another temperature or "
           "bias\n");
    printf("%6s %10s %12s %10s %10s\n", "tokens", "clone", "temperature", "bias", "saved B");
    for (size_t c = 0; c < N_CHAINS; c++)
        for (size_t n_tokens = 10; n_tokens <= 1000; n_tokens *= 10)
            print_times(chains[c], n_tokens, workspace);
    printf("\nbytes per sampler that borrows a workspace, after %d tokens\n", N_TOKENS);
    printf("%8s %10s %10s %10s\n", "samplers", "bytes", "tokens", "saved B");
    for (size_t c = 0; c < N_CHAINS; c++)
        print_memory(chains[c], n, workspace);
    pluck_workspace_destroy(&workspace);
    return 0;
}
