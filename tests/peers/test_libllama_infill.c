/*
 * Why: infill must keep the tokens that llama.cpp's sampler keeps. The sampler reads texts from a
 * vocabulary, so a GGUF file with nothing else is written and loaded. Random rows, with and without
 * top_k before, go through both; the probabilities of what is left must agree to 1e-5. Where no
 * continuation is likely libllama takes the token that ends the turn, and pluck the most probable
 * of those that end the text (docs/engines.md): both must then leave one such token.
 *
 *     test_libllama_infill      PLUCK_LIBLLAMA = folder of libllama
 */
#include "peers/libllama.h"
#include "support/random.h"

#include <pluck/pluck.h>

#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { N = 300, N_SPECIAL = 4, N_CASES = 20000, TEXT_BYTES = 12, SKIPPED = 77 };
enum { VOCAB_ONLY = 72 /* offset in llama_model_params of v0.5.0 */ };

typedef struct model_params {
    char bytes[256]; /* more than there are: it is passed in memory */
} model_params;

/* What libllama.h does not have. */
typedef struct vocab_api {
    void (*load_backends)(const char *folder);
    model_params (*default_params)(void);
    void *(*load)(const char *path, model_params params);
    const void *(*vocab_of)(const void *model);
    bool (*is_eog)(const void *vocab, int32_t token);
    llama_sampler *(*infill)(const void *vocab);
} vocab_api;

static char texts[N][TEXT_BYTES] = {"<unk>", "<s>", "</s>", "<end>"};

/* Control tokens have no text in llama.cpp. */
static const char *text_of(void *user, pluck_token token, size_t *size_bytes)
{
    (void)user;
    *size_bytes = token < N_SPECIAL ? 0 : strlen(texts[token]);
    return texts[token];
}

/* Words of a and b, with a third letter where one would occur twice. */
static void make_texts(test_random *random)
{
    for (int t = N_SPECIAL; t < N; t++) {
        size_t n = 1 + test_random_below(random, 7);
        for (size_t i = 0; i < n; i++)
            texts[t][i] = test_random_below(random, 2) ? 'a' : 'b';
        for (int other = 0; other < t; other++)
            if (strcmp(texts[other], texts[t]) == 0) {
                texts[t][n] = (char)('c' + t % 20);
                texts[t][n + 1] = (char)('c' + t / 20);
            }
    }
}

/* GGUF is little-endian, and so are the machines that the library is for. */
static void put(FILE *file, const void *value, size_t n)
{
    if (fwrite(value, 1, n, file) != n)
        exit(EXIT_FAILURE);
}

static void put_u32(FILE *file, uint32_t value)
{
    put(file, &value, sizeof value);
}

static void put_u64(FILE *file, uint64_t value)
{
    put(file, &value, sizeof value);
}

static void put_string(FILE *file, const char *text)
{
    put_u64(file, strlen(text));
    put(file, text, strlen(text));
}

static void put_array(FILE *file, const char *key, uint32_t type)
{
    put_string(file, key);
    put_u32(file, 9);
    put_u32(file, type);
    put_u64(file, N);
}

/* Numbers of types as in gguf.h: 4 u32, 5 i32, 6 f32, 8 string, 9 array. */
static void write_model(const char *path)
{
    FILE *file = fopen(path, "wb");
    if (!file)
        exit(EXIT_FAILURE);
    put(file, "GGUF\3\0\0\0", 8);
    put_u64(file, 0);
    put_u64(file, 7);
    put_string(file, "general.architecture");
    put_u32(file, 8);
    put_string(file, "llama");
    put_string(file, "tokenizer.ggml.model");
    put_u32(file, 8);
    put_string(file, "llama");
    put_array(file, "tokenizer.ggml.tokens", 8);
    for (int t = 0; t < N; t++)
        put_string(file, texts[t]);
    put_array(file, "tokenizer.ggml.scores", 6);
    for (int t = 0; t < N; t++) {
        float score = (float)-t;
        put(file, &score, sizeof score);
    }
    put_array(file, "tokenizer.ggml.token_type", 5);
    for (int t = 0; t < N; t++)
        put_u32(file, t < N_SPECIAL ? 3 : 1); /* control, normal */
    put_string(file, "tokenizer.ggml.bos_token_id");
    put_u32(file, 4);
    put_u32(file, 1);
    put_string(file, "tokenizer.ggml.eos_token_id");
    put_u32(file, 4);
    put_u32(file, 3);
    char padding[64] = "";
    put(file, padding, sizeof padding);
    if (fclose(file) != 0)
        exit(EXIT_FAILURE);
}

static void *symbol(const libllama *api, const char *name)
{
    void *found = dlsym(api->handle, name);
    if (found)
        return found;
    fprintf(stderr, "libllama has no %s\n", name);
    exit(EXIT_FAILURE);
}

/* Functions have the representation of the pointers that dlsym() gives. */
static vocab_api open_vocab_api(const libllama *api)
{
    static const char *const names[] = {"ggml_backend_load_all_from_path",
                                        "llama_model_default_params",
                                        "llama_model_load_from_file",
                                        "llama_model_get_vocab",
                                        "llama_vocab_is_eog",
                                        "llama_sampler_init_infill"};
    void *found[sizeof names / sizeof *names];
    vocab_api result;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        found[i] = symbol(api, names[i]);
    _Static_assert(sizeof found == sizeof result, "one member for each name");
    memcpy(&result, found, sizeof result);
    return result;
}

static const void *load_vocab(const vocab_api *v, const char *folder)
{
    char path[] = "/tmp/pluck_vocab_XXXXXX";
    int fd = mkstemp(path);
    if (fd < 0)
        exit(EXIT_FAILURE);
    (void)close(fd);
    write_model(path);
    v->load_backends(folder);
    model_params params = v->default_params();
    params.bytes[VOCAB_ONLY] = 1;
    void *model = v->load(path, params);
    (void)unlink(path);
    if (!model) {
        fputs("the vocabulary cannot be loaded\n", stderr);
        exit(EXIT_FAILURE);
    }
    return v->vocab_of(model);
}

/* Gumbel noise of some width; what ends the text is near or far below the best. */
static void make_row(test_random *random, const vocab_api *v, const void *vocab, float x[N])
{
    double width = 1 + 9 * test_random_uniform(random);
    double end = 12 * test_random_uniform(random) - 10;
    float best = -INFINITY;
    for (int t = 0; t < N; t++) {
        x[t] = (float)(-width * log(-log(test_random_uniform(random) + 1e-12)));
        best = fmaxf(best, x[t]);
    }
    for (int t = 0; t < N; t++)
        if (v->is_eog(vocab, t))
            x[t] = (float)((double)best + end - 8 * test_random_uniform(random));
}

static uint32_t run_pluck(const char *eog, int k, const float x[N], pluck_prob probs[N])
{
    char json[1200];
    pluck_config *config = NULL;
    pluck_sampler *sampler = NULL;
    pluck_error err = {.status = PLUCK_OK};
    pluck_sampler_options options = PLUCK_INIT(pluck_sampler_options);
    options.token_text = text_of;
    uint32_t n = 0;
    snprintf(
        json, sizeof json,
        "{\"stages\": [{\"type\": \"top_k\", \"k\": %d}, {\"type\": \"infill\", \"eog\": [%s]}]}",
        k, eog);
    if (pluck_config_from_json(&config, json, strlen(json), NULL, &err) != PLUCK_OK ||
        pluck_sampler_create(&sampler, config, N, &options, &err) != PLUCK_OK ||
        pluck_sampler_distribution(sampler, (pluck_logits){x, PLUCK_F32, N}, probs, N, &n, &err) !=
            PLUCK_OK) {
        fprintf(stderr, "%s: %s\n", json, err.message);
        exit(EXIT_FAILURE);
    }
    pluck_sampler_destroy(&sampler);
    pluck_config_destroy(&config);
    return n;
}

/* Whether libllama's candidates have these probabilities. */
static bool agrees(const llama_token_data_array *array, const pluck_prob *probs, uint32_t n)
{
    double sum = 0;
    bool same = n == array->size;
    for (size_t i = 0; i < array->size; i++)
        sum += exp((double)array->data[i].logit - (double)array->data[0].logit);
    for (uint32_t i = 0; i < n && same; i++) {
        double p = -1;
        for (size_t j = 0; j < array->size; j++)
            if (array->data[j].id == probs[i].token)
                p = exp((double)array->data[j].logit - (double)array->data[0].logit) / sum;
        same = fabs(p - (double)probs[i].prob) <= 1e-5;
    }
    return same;
}

int main(void)
{
    libllama api;
    const char *folder = getenv("PLUCK_LIBLLAMA");
    if (!folder) {
        puts("skipped: PLUCK_LIBLLAMA does not name a folder with libllama");
        return SKIPPED;
    }
    if (!libllama_open(&api, folder))
        return EXIT_FAILURE;
    test_random random = test_random_make(1);
    make_texts(&random);
    vocab_api v = open_vocab_api(&api);
    const void *vocab = load_vocab(&v, folder);
    char eog[1024] = "";
    for (int t = 0, n = 0; t < N; t++)
        if (v.is_eog(vocab, t))
            n += snprintf(eog + n, sizeof eog - (size_t)n, "%s%d", n > 0 ? ", " : "", t);
    llama_sampler *infill = v.infill(vocab);
    unsigned n_agree = 0, n_other_end = 0;
    for (int i = 0; i < N_CASES; i++) {
        float x[N];
        pluck_prob probs[N];
        llama_token_data data[N];
        llama_token_data_array array = {data, N, -1, false};
        int k = i % 3 == 0 ? N : 1 + (int)test_random_below(&random, 40);
        make_row(&random, &v, vocab, x);
        for (int t = 0; t < N; t++)
            data[t] = (llama_token_data){t, x[t], 0};
        llama_sampler *top_k = api.top_k(k);
        api.apply(top_k, &array);
        api.apply(infill, &array);
        api.free(top_k);
        uint32_t n = run_pluck(eog, k, x, probs);
        bool same = agrees(&array, probs, n);
        n_agree += same;
        n_other_end += !same && n == 1 && array.size == 1 && v.is_eog(vocab, probs[0].token) &&
                       v.is_eog(vocab, data[0].id);
    }
    api.free(infill);
    libllama_close(&api);
    printf("%d rows: %u agree to 1e-5, %u end the text with another token\n", N_CASES, n_agree,
           n_other_end);
    return n_agree + n_other_end == N_CASES && n_other_end * 100 < N_CASES ? EXIT_SUCCESS
                                                                           : EXIT_FAILURE;
}
