/*
 * A small language model and pluck make text; train.py has the same forward pass in Python.
 *
 *     cc -std=c11 -O2 generate.c $(pkg-config --cflags --libs pluck) -lm -o generate
 *
 * A seed gives the same text on every machine: sums are computed in the order in which they are
 * written, and the only function of <math.h> is sqrtf, which rounds correctly.
 */
#include <pluck/dump.h>
#include <pluck/pluck.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_VOCAB = 1024, DIM = 128, N_LAYERS = 3, N_HEADS = 4, HEAD = DIM / N_HEADS };
enum { MAX_TOKENS = 4096, MAX_BYTES = 32 };
enum { PROMPT, CONFIG, SEED, TOKENS, LOGITS, TARGETS, N_OPTIONS };

typedef struct model {
    struct {
        float embedding[N_VOCAB][DIM]; /* of the tokens, and the weights of the output */
        struct {
            float qkv[DIM * 3 * DIM], out[DIM * DIM], up[DIM * 4 * DIM], down[4 * DIM * DIM];
        } layers[N_LAYERS]; /* matrices with one row per input */
    } weights;              /* in the order of the file */
    float keys[N_LAYERS][N_HEADS][MAX_TOKENS][HEAD], values[N_LAYERS][N_HEADS][MAX_TOKENS][HEAD];
    size_t n_tokens; /* read so far */
    float logits[N_VOCAB];
    char texts[N_VOCAB][MAX_BYTES]; /* of the tokens */
} model;

static void fail(const char *subject, const char *fact)
{
    fprintf(stderr, "generate: %s: %s\n", subject, fact);
    exit(1);
}

static void check(pluck_status status, const pluck_error *err)
{
    if (status != PLUCK_OK)
        fail(pluck_status_name(status), err->message);
}

/* The values end the file. The bits of a binary16, read as binary32's, are 2^-112 of its value. */
static void load_weights(model *m, const char *path)
{
    float *weights = (float *)&m->weights;
    size_t count = sizeof m->weights / sizeof *weights;
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, -2 * (long)count, SEEK_END) != 0)
        fail(path, "not a file with the weights of this model");
    for (size_t i = 0; i < count; i++) {
        uint32_t low = (uint32_t)getc(file), high = (uint32_t)getc(file);
        uint32_t bits = (high & 128) << 24 | (high & 127) << 21 | low << 13;
        memcpy(&weights[i], &bits, sizeof bits);
        weights[i] *= 0x1p112f;
    }
    fclose(file);
}

/* One token per line, in which \xHH stands for a byte. */
static void load_vocabulary(model *m, const char *path)
{
    char line[4 * MAX_BYTES];
    FILE *file = fopen(path, "rb");
    for (int i = 0; i < N_VOCAB; i++) {
        if (!file || !fgets(line, sizeof line, file))
            fail(path, "not a file of 1,024 lines");
        const char *c = line;
        for (int n = 0; *c && *c != '\n' && n < MAX_BYTES - 1; n++) {
            unsigned value = (unsigned char)*c;
            c += sscanf(c, "\\x%2x", &value) == 1 ? 4 : 1;
            m->texts[i][n] = (char)value;
        }
    }
    fclose(file);
}

/* out += in * w */
static void multiply_add(float *out, const float *in, size_t n_in, const float *w, size_t n_out)
{
    for (size_t i = 0; i < n_in; i++)
        for (size_t j = 0; j < n_out; j++)
            out[j] += in[i] * w[i * n_out + j];
}

static float dot(const float *a, const float *b, size_t n)
{
    float sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static void normalise(float *out, const float *x)
{
    float scale = 1 / sqrtf(dot(x, x, DIM) / DIM + 1e-5f);
    for (int i = 0; i < DIM; i++)
        out[i] = x[i] * scale;
}

/* Each head takes a mean of the values so far, weighted by how well their keys fit its query. */
static void attend(model *m, int layer, const float *qkv, float *mixed)
{
    size_t at = m->n_tokens;
    for (int h = 0; h < N_HEADS; h++, qkv += HEAD, mixed += HEAD) {
        float(*keys)[HEAD] = m->keys[layer][h], (*values)[HEAD] = m->values[layer][h];
        float scores[MAX_TOKENS], slope = 1.0f / (float)(4 << 2 * h);
        double mean[HEAD];
        pluck_softmax_state state = {0};
        pluck_error err;
        memcpy(keys[at], qkv + DIM, sizeof keys[at]);
        memcpy(values[at], qkv + 2 * DIM, sizeof values[at]);
        for (size_t i = 0; i <= at; i++)
            scores[i] = dot(qkv, keys[i], HEAD) / sqrtf(HEAD) - slope * (float)(at - i);
        check(pluck_softmax_state_add_mean(&state, mean, scores, at + 1, 1, *values, HEAD, &err),
              &err);
        for (int i = 0; i < HEAD; i++)
            mixed[i] = (float)mean[i];
    }
}

/* Reads one more token and computes the logits of the next one. */
static void forward(model *m, pluck_token token)
{
    float x[DIM], normal[DIM], mixed[DIM];
    memcpy(x, m->weights.embedding[token], sizeof x);
    for (int i = 0; i < N_LAYERS; i++) {
        float qkv[3 * DIM] = {0}, hidden[4 * DIM] = {0};
        normalise(normal, x);
        multiply_add(qkv, normal, DIM, m->weights.layers[i].qkv, 3 * DIM);
        attend(m, i, qkv, mixed);
        multiply_add(x, mixed, DIM, m->weights.layers[i].out, DIM);
        normalise(normal, x);
        multiply_add(hidden, normal, DIM, m->weights.layers[i].up, 4 * DIM);
        for (int j = 0; j < 4 * DIM; j++)
            hidden[j] = hidden[j] > 0 ? hidden[j] * hidden[j] : 0;
        multiply_add(x, hidden, 4 * DIM, m->weights.layers[i].down, DIM);
    }
    normalise(normal, x);
    for (int i = 0; i < N_VOCAB; i++)
        m->logits[i] = dot(normal, m->weights.embedding[i], DIM);
    m->n_tokens++;
}

/* The token that two tokens make together; N_VOCAB if there is none. */
static pluck_token join(const model *m, const pluck_token *two)
{
    char text[2 * MAX_BYTES];
    snprintf(text, sizeof text, "%s%s", m->texts[two[0]], m->texts[two[1]]);
    for (pluck_token i = 1; i < N_VOCAB; i++)
        if (strcmp(m->texts[i], text) == 0)
            return i;
    return N_VOCAB;
}

/* Byte-pair encoding: in each word, the neighbours that make the token of lowest id merge first. */
static size_t encode(const model *m, const char *text, pluck_token *tokens)
{
    size_t n = 0;
    for (size_t word = 0; *text; word = n) {
        while (*text && (n == word || (*text != ' ' && *text != '\n')))
            tokens[n++] = (unsigned char)*text++;
        for (;;) {
            pluck_token best = N_VOCAB;
            size_t at = 0;
            for (size_t i = word; i + 1 < n; i++) {
                pluck_token joined = join(m, tokens + i);
                at = joined < best ? i : at;
                best = joined < best ? joined : best;
            }
            if (best == N_VOCAB)
                break;
            tokens[at] = best;
            memmove(tokens + at + 1, tokens + at + 2, (--n - at - 1) * sizeof *tokens);
        }
    }
    return n;
}

/* The loop of an engine: the prompt, then token after token. */
static void generate(model *m, const pluck_token *prompt, size_t n_prompt, const char **values)
{
    const char *json = values[CONFIG], *seed = values[SEED];
    pluck_logits logits = {m->logits, PLUCK_F32, N_VOCAB};
    pluck_sampler *sampler = NULL;
    pluck_error err;
    check(pluck_sampler_from_json(&sampler, json, strlen(json), N_VOCAB, &err), &err);
    if (seed)
        check(pluck_sampler_start(sampler, strtoull(seed, NULL, 10), 0, &err), &err);
    check(pluck_sampler_prompt(sampler, prompt, n_prompt, &err), &err);
    for (size_t i = 0; i < n_prompt; i++)
        forward(m, prompt[i]);
    fputs(values[PROMPT], stdout);
    for (size_t i = strtoul(values[TOKENS], NULL, 10); i > 0; i--) {
        pluck_token token = 0;
        check(pluck_sampler_next(sampler, logits, &token, &err), &err);
        fputs(m->texts[token], stdout);
        fflush(stdout);
        forward(m, token);
    }
    putchar('\n');
    pluck_sampler_destroy(&sampler);
}

/* Writes the logits after each token but the last, and which token comes there. */
static void write_logits(model *m, const pluck_token *tokens, size_t n, const char **values)
{
    pluck_dump_writer_options options = PLUCK_INIT(pluck_dump_writer_options);
    pluck_dump_row row = {.struct_size = sizeof row, .logits = {m->logits, PLUCK_F32, N_VOCAB}};
    pluck_dump_writer *writer = NULL;
    pluck_error err;
    options.format = PLUCK_DUMP_NPY;
    options.n_vocab = N_VOCAB;
    options.n_rows = n - 1;
    options.targets_path = values[TARGETS];
    check(pluck_dump_writer_create(&writer, values[LOGITS], &options, &err), &err);
    for (size_t i = 0; i + 1 < n; i++) {
        row.target = tokens[i + 1];
        forward(m, tokens[i]);
        check(pluck_dump_writer_write(writer, &row, &err), &err);
    }
    check(pluck_dump_writer_finish(writer, &err), &err);
    pluck_dump_writer_destroy(&writer);
}

int main(int argc, char **argv)
{
    static model m;
    static pluck_token tokens[1 << 17]; /* no argument is longer */
    const char *names[] = {"--prompt", "--config", "--seed", "--tokens", "--logits", "--targets"};
    const char *values[N_OPTIONS] = {"", "{}", NULL, "100"};
    int n_known = 0;
    for (int i = 3; i + 1 < argc; i += 2)
        for (int j = 0; j < N_OPTIONS; j++)
            if (strcmp(names[j], argv[i]) == 0 && ++n_known)
                values[j] = argv[i + 1];
    if (argc != 3 + 2 * n_known)
        fail("usage", "generate WEIGHTS VOCABULARY [OPTION VALUE]...; README.md has the options");
    load_weights(&m, argv[1]);
    load_vocabulary(&m, argv[2]);
    tokens[0] = '\n'; /* a paragraph begins */
    size_t n = 1 + encode(&m, values[PROMPT], tokens + 1);
    size_t n_new = values[LOGITS] ? 0 : strtoul(values[TOKENS], NULL, 10);
    if (n > MAX_TOKENS || n_new > MAX_TOKENS - n)
        fail("text", "more than 4,096 tokens with those to generate");
    (values[LOGITS] ? write_logits : generate)(&m, tokens, n, values);
    return 0;
}
