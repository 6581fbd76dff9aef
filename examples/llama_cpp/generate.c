/*
 * Text from a GGUF model, with llama.cpp for the model and pluck for the sampling.
 *
 *     generate MODEL [--prompt TEXT] [--config JSON] [--tokens N] [--chain] [--greedy-check]
 *              [--threads N] [--backends FOLDER]
 *
 * Tokens come straight from the logits (pluck_llama_sample), with --chain through a chain of
 * llama.cpp that holds pluck's sampler: the text is the same. --greedy-check prints the most
 * probable tokens by both ways and by llama.cpp's own greedy sampler; exit status 1 if they differ.
 * --threads (default: one per processor, at most 4; more than there are makes llama.cpp crawl).
 * --backends: the folder of libggml-cpu*.so, if it is not that of the libraries.
 * examples/llama_cpp/run builds and runs it.
 */
#include <pluck/llama.h>
#include <pluck/pluck.h>

#include <ggml-backend.h>
#include <llama.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef _WIN32
#    include <windows.h>
#else
#    include <unistd.h>
#endif

enum { MAX_PROMPT = 512, PIECE_BYTES = 256, TEXT_BYTES = 1 << 16, CONTEXT = 2048, MAX_THREADS = 4 };

typedef struct options {
    const char *model, *prompt, *config, *backends;
    int n_tokens, n_threads;
    bool chain, greedy_check;
} options;

typedef struct text {
    char bytes[TEXT_BYTES];
    size_t n;
} text;

/* How a token is got from the logits of the last position. */
typedef enum way { DIRECT, CHAIN, LLAMA_GREEDY } way;

static void quiet(enum ggml_log_level level, const char *message, void *user)
{
    (void)user;
    if (level == GGML_LOG_LEVEL_ERROR)
        fputs(message, stderr);
}

static int default_threads(void)
{
#ifdef _WIN32
    SYSTEM_INFO info;
    GetSystemInfo(&info);
    long n = (long)info.dwNumberOfProcessors;
#else
    long n = sysconf(_SC_NPROCESSORS_ONLN);
#endif
    return n < 1 ? 1 : n < MAX_THREADS ? (int)n : MAX_THREADS;
}

static bool parse(int argc, char **argv, options *o)
{
    *o = (options){.prompt = "Once upon a time",
                   .config = "{}",
                   .n_tokens = 128,
                   .n_threads = default_threads()};
    for (int i = 1; i < argc; i++) {
        const char *next = i + 1 < argc ? argv[i + 1] : NULL;
        bool has_value = next && strncmp(argv[i], "--", 2) == 0;
        if (strcmp(argv[i], "--chain") == 0)
            o->chain = true;
        else if (strcmp(argv[i], "--greedy-check") == 0)
            o->greedy_check = true;
        else if (has_value && strcmp(argv[i], "--prompt") == 0)
            o->prompt = argv[++i];
        else if (has_value && strcmp(argv[i], "--config") == 0)
            o->config = argv[++i];
        else if (has_value && strcmp(argv[i], "--tokens") == 0)
            o->n_tokens = atoi(argv[++i]);
        else if (has_value && strcmp(argv[i], "--threads") == 0)
            o->n_threads = atoi(argv[++i]);
        else if (has_value && strcmp(argv[i], "--backends") == 0)
            o->backends = argv[++i];
        else if (argv[i][0] != '-' && !o->model)
            o->model = argv[i];
        else
            return false;
    }
    return o->model && o->n_threads > 0 && o->n_tokens > 0 && o->n_tokens <= CONTEXT - MAX_PROMPT;
}

static void add_piece(text *t, const struct llama_vocab *vocab, llama_token token)
{
    char piece[PIECE_BYTES];
    int32_t n = llama_token_to_piece(vocab, token, piece, sizeof piece, 0, true);
    if (n > 0 && t->n + (size_t)n < sizeof t->bytes) {
        memcpy(t->bytes + t->n, piece, (size_t)n);
        t->n += (size_t)n;
    }
    t->bytes[t->n] = '\0';
}

/* What turns logits into tokens: pluck's sampler alone or in a chain, or llama.cpp's. */
static struct llama_sampler *make_sampler(way how, const char *config, int32_t n_vocab)
{
    pluck_sampler *sampler = NULL;
    struct llama_sampler *smpl = NULL;
    pluck_error err;
    if (how == LLAMA_GREEDY)
        return llama_sampler_init_greedy();
    if (pluck_sampler_from_json(&sampler, config, strlen(config), (uint32_t)n_vocab, &err) ==
        PLUCK_OK)
        smpl = pluck_llama_sampler_wrap(&sampler, &err);
    if (!smpl) {
        fprintf(stderr, "generate: %s\n", err.message);
        pluck_sampler_destroy(&sampler);
        return NULL;
    }
    if (how == DIRECT)
        return smpl;
    struct llama_sampler *chain = llama_sampler_chain_init(llama_sampler_chain_default_params());
    llama_sampler_chain_add(chain, smpl);
    return chain;
}

/* Decodes the prompt, then token after token. */
static bool decode(struct llama_context *ctx, const struct llama_vocab *vocab, way how,
                   struct llama_sampler *smpl, const options *o, text *out)
{
    llama_token tokens[MAX_PROMPT];
    int32_t n = llama_tokenize(vocab, o->prompt, (int32_t)strlen(o->prompt), tokens, MAX_PROMPT,
                               true, true);
    if (n <= 0) {
        fputs("generate: the prompt is empty or too long\n", stderr);
        return false;
    }
    for (int32_t i = 0; i < n; i++) /* before the first draw: a prompt, not generated tokens */
        llama_sampler_accept(smpl, tokens[i]);
    for (int i = 0; i < o->n_tokens; i++) {
        if (llama_decode(ctx, llama_batch_get_one(tokens, n)) != 0)
            return false;
        llama_token token =
            how == DIRECT ? pluck_llama_sample(smpl, ctx, -1) : llama_sampler_sample(smpl, ctx, -1);
        if (token < 0) {
            pluck_error err;
            if (pluck_llama_sampler_error(smpl, &err) != PLUCK_OK)
                fprintf(stderr, "generate: %s\n", err.message);
            return false;
        }
        if (llama_vocab_is_eog(vocab, token))
            break;
        add_piece(out, vocab, token);
        tokens[0] = token;
        n = 1;
    }
    return true;
}

/* A new context each time, so that no run sees another's. */
static bool generate(struct llama_model *model, way how, const char *config, const options *o,
                     text *out)
{
    const struct llama_vocab *vocab = llama_model_get_vocab(model);
    struct llama_context_params params = llama_context_default_params();
    bool done = false;
    params.n_ctx = CONTEXT;
    params.n_threads = params.n_threads_batch = o->n_threads;
    out->n = 0;
    struct llama_context *ctx = llama_init_from_model(model, params);
    struct llama_sampler *smpl = make_sampler(how, config, llama_vocab_n_tokens(vocab));
    if (ctx && smpl)
        done = decode(ctx, vocab, how, smpl, o, out);
    if (smpl)
        llama_sampler_free(smpl);
    if (ctx)
        llama_free(ctx);
    return done;
}

static int greedy_check(struct llama_model *model, const options *o)
{
    static text direct, chain, llama;
    const char *greedy = "{\"temperature\": 0}";
    if (!generate(model, DIRECT, greedy, o, &direct) ||
        !generate(model, CHAIN, greedy, o, &chain) ||
        !generate(model, LLAMA_GREEDY, NULL, o, &llama))
        return EXIT_FAILURE;
    printf(
        "pluck, from the logits:\n%s%s\n\npluck, in a chain:\n%s%s\n\nllama.cpp's greedy:\n%s%s\n",
        o->prompt, direct.bytes, o->prompt, chain.bytes, o->prompt, llama.bytes);
    bool same = strcmp(direct.bytes, llama.bytes) == 0 && strcmp(chain.bytes, llama.bytes) == 0;
    puts(same ? "\nthe same text" : "\nthe texts differ");
    return same ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    static text out;
    options o;
    if (!parse(argc, argv, &o)) {
        fputs("usage: generate MODEL [--prompt TEXT] [--config JSON] [--tokens N] [--chain] "
              "[--greedy-check] [--threads N] [--backends FOLDER]\n",
              stderr);
        return 2;
    }
    int code = EXIT_FAILURE;
    llama_log_set(quiet, NULL);
    if (o.backends)
        ggml_backend_load_all_from_path(o.backends);
    else
        ggml_backend_load_all();
    struct llama_model *model = llama_model_load_from_file(o.model, llama_model_default_params());
    if (!model)
        fprintf(stderr, "generate: %s is not a model that llama.cpp loads\n", o.model);
    else if (o.greedy_check)
        code = greedy_check(model, &o);
    else if (generate(model, o.chain ? CHAIN : DIRECT, o.config, &o, &out))
        code = printf("%s%s\n", o.prompt, out.bytes) > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    if (model)
        llama_model_free(model);
    return code;
}
