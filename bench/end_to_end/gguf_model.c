/*
 * A GGUF file (version 3): header, metadata, descriptions of the tensors, their data, each tensor
 * at a multiple of 32 bytes. The architecture is "llama" with the vocabulary "none", which is a
 * number of tokens without texts.
 *
 * The output matrix has nearly all of the weights. They are of type Q8_0, blocks of a scale in half
 * precision and 32 bytes, and each is a sum of four uniform numbers: over N_EMBD of them a logit is
 * normal with standard deviation 4, which is an entropy of about 4 nats.
 */
#include "gguf_model.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum {
    N_VOCAB = 128256,
    N_EMBD = 192,
    N_FF = 256,
    N_HEADS = 3,
    N_LAYERS = 2,
    CONTEXT = 2048,
    ALIGNMENT = 32,
    Q8_BLOCK = 32
};

/* As the format numbers them. */
enum { GGUF_UINT32 = 4, GGUF_FLOAT32 = 6, GGUF_STRING = 8 };
typedef enum tensor_type { TYPE_F32 = 0, TYPE_Q8_0 = 8 } tensor_type;

typedef struct tensor {
    const char *name; /* with %d for the layer */
    tensor_type type;
    uint64_t n_columns, n_rows; /* n_rows 0: a vector of ones */
    uint16_t scale;             /* of a Q8_0 block, in half precision */
} tensor;

static const tensor shared_tensors[] = {
    {"token_embd.weight", TYPE_Q8_0, N_EMBD, N_VOCAB, 0x2C00 /* 0.0625 */},
    {"output.weight", TYPE_Q8_0, N_EMBD, N_VOCAB, 0x2400 /* 0.015625 */},
    {"output_norm.weight", TYPE_F32, N_EMBD, 0, 0},
};
static const tensor layer_tensors[] = {
    {"blk.%d.attn_norm.weight", TYPE_F32, N_EMBD, 0, 0},
    {"blk.%d.attn_q.weight", TYPE_F32, N_EMBD, N_EMBD, 0},
    {"blk.%d.attn_k.weight", TYPE_F32, N_EMBD, N_EMBD, 0},
    {"blk.%d.attn_v.weight", TYPE_F32, N_EMBD, N_EMBD, 0},
    {"blk.%d.attn_output.weight", TYPE_F32, N_EMBD, N_EMBD, 0},
    {"blk.%d.ffn_norm.weight", TYPE_F32, N_EMBD, 0, 0},
    {"blk.%d.ffn_gate.weight", TYPE_F32, N_EMBD, N_FF, 0},
    {"blk.%d.ffn_up.weight", TYPE_F32, N_EMBD, N_FF, 0},
    {"blk.%d.ffn_down.weight", TYPE_F32, N_FF, N_EMBD, 0},
};
enum {
    N_SHARED = sizeof shared_tensors / sizeof *shared_tensors,
    N_A_LAYER = sizeof layer_tensors / sizeof *layer_tensors,
    N_TENSORS = N_SHARED + N_LAYERS * N_A_LAYER
};

static const struct {
    const char *key;
    uint32_t value;
} numbers[] = {
    {"llama.vocab_size", N_VOCAB},
    {"llama.context_length", CONTEXT},
    {"llama.embedding_length", N_EMBD},
    {"llama.block_count", N_LAYERS},
    {"llama.feed_forward_length", N_FF},
    {"llama.attention.head_count", N_HEADS},
    {"llama.attention.head_count_kv", N_HEADS},
    {"llama.rope.dimension_count", N_EMBD / N_HEADS},
    {"general.alignment", ALIGNMENT},
};
static const struct {
    const char *key, *value;
} texts[] = {
    {"general.architecture", "llama"},
    {"general.name", "end to end"},
    {"tokenizer.ggml.model", "none"},
};
enum { N_NUMBERS = sizeof numbers / sizeof *numbers, N_TEXTS = sizeof texts / sizeof *texts };

/* Little-endian machines write values as they are: the libraries are for x86-64. */
static void write_u32(FILE *file, uint32_t value)
{
    fwrite(&value, sizeof value, 1, file);
}

static void write_u64(FILE *file, uint64_t value)
{
    fwrite(&value, sizeof value, 1, file);
}

static void write_text(FILE *file, const char *text)
{
    write_u64(file, strlen(text));
    fwrite(text, 1, strlen(text), file);
}

static void write_metadata(FILE *file)
{
    fwrite("GGUF", 1, 4, file);
    write_u32(file, 3);
    write_u64(file, N_TENSORS);
    write_u64(file, N_NUMBERS + N_TEXTS + 1);
    for (size_t i = 0; i < N_TEXTS; i++) {
        write_text(file, texts[i].key);
        write_u32(file, GGUF_STRING);
        write_text(file, texts[i].value);
    }
    for (size_t i = 0; i < N_NUMBERS; i++) {
        write_text(file, numbers[i].key);
        write_u32(file, GGUF_UINT32);
        write_u32(file, numbers[i].value);
    }
    float epsilon = 1e-5f;
    write_text(file, "llama.attention.layer_norm_rms_epsilon");
    write_u32(file, GGUF_FLOAT32);
    fwrite(&epsilon, sizeof epsilon, 1, file);
}

/* Tensor i of the file, and its name. */
static tensor tensor_at(size_t i, char name[64])
{
    if (i < N_SHARED) {
        snprintf(name, 64, "%s", shared_tensors[i].name);
        return shared_tensors[i];
    }
    const tensor *t = &layer_tensors[(i - N_SHARED) % N_A_LAYER];
    const char *layer = strstr(t->name, "%d");
    snprintf(name, 64, "%.*s%zu%s", (int)(layer - t->name), t->name, (i - N_SHARED) / N_A_LAYER,
             layer + 2);
    return *t;
}

static uint64_t n_values(const tensor *t)
{
    return t->n_columns * (t->n_rows > 0 ? t->n_rows : 1);
}

static uint64_t n_bytes(const tensor *t)
{
    return t->type == TYPE_F32 ? n_values(t) * 4 : n_values(t) / Q8_BLOCK * (Q8_BLOCK + 2);
}

static uint64_t padded(uint64_t bytes)
{
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* SplitMix64 (Steele, Lea and Flood 2014). */
static uint64_t next_bits(uint64_t *state)
{
    uint64_t z = (*state += 0x9E3779B97F4A7C15u);
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

/* A sum of four uniform bytes, centred: mean 0, standard deviation 18.5, at most 63. */
static int random_weight(uint32_t bits)
{
    int sum = (int)((bits & 255u) + (bits >> 8 & 255u) + (bits >> 16 & 255u) + (bits >> 24));
    return (sum - 510) / 8;
}

static void write_q8_0(FILE *file, const tensor *t, uint64_t *state)
{
    for (uint64_t b = 0; b < n_values(t) / Q8_BLOCK; b++) {
        int8_t weights[Q8_BLOCK];
        for (size_t i = 0; i < Q8_BLOCK; i += 2) {
            uint64_t bits = next_bits(state);
            weights[i] = (int8_t)random_weight((uint32_t)bits);
            weights[i + 1] = (int8_t)random_weight((uint32_t)(bits >> 32));
        }
        fwrite(&t->scale, sizeof t->scale, 1, file);
        fwrite(weights, 1, sizeof weights, file);
    }
}

static void write_f32(FILE *file, const tensor *t, uint64_t *state)
{
    for (uint64_t i = 0; i < n_values(t); i++) {
        float value = 1.0f;
        if (t->n_rows > 0)
            value = (float)random_weight((uint32_t)next_bits(state)) * 0.004f;
        fwrite(&value, sizeof value, 1, file);
    }
}

static void write_padding(FILE *file, uint64_t written)
{
    for (uint64_t i = written; i < padded(written); i++)
        fputc(0, file);
}

static void write_tensors(FILE *file)
{
    char name[64];
    uint64_t offset = 0, state = 1;
    for (size_t i = 0; i < N_TENSORS; i++) {
        tensor t = tensor_at(i, name);
        write_text(file, name);
        write_u32(file, t.n_rows > 0 ? 2 : 1);
        write_u64(file, t.n_columns);
        if (t.n_rows > 0)
            write_u64(file, t.n_rows);
        write_u32(file, (uint32_t)t.type);
        write_u64(file, offset);
        offset += padded(n_bytes(&t));
    }
    write_padding(file, (uint64_t)ftell(file));
    for (size_t i = 0; i < N_TENSORS; i++) {
        tensor t = tensor_at(i, name);
        if (t.type == TYPE_F32)
            write_f32(file, &t, &state);
        else
            write_q8_0(file, &t, &state);
        write_padding(file, n_bytes(&t));
    }
}

bool gguf_model_write(const char *path)
{
    FILE *file = fopen(path, "wb");
    if (!file) {
        perror(path);
        return false;
    }
    write_metadata(file);
    write_tensors(file);
    bool failed = ferror(file) != 0;
    if (fclose(file) != 0 || failed) {
        fprintf(stderr, "%s: the model could not be written\n", path);
        return false;
    }
    return true;
}
