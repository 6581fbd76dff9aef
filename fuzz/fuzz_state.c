/*
 * Any bytes are the state of a sampler or are refused, and refused bytes leave the sampler as it
 * was. The first byte of the input chooses a configuration and whether size, identity and checksum
 * are made right, without which nearly everything would be refused at the door; the rest is the
 * state. What was loaded is used: sampled from, accepted, rewound, cloned, saved again.
 */
#include "fuzz_file.h"

#include <pluck/pluck.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

enum { N_VOCAB = 70, HEAD_BYTES = 40, SUM_BYTES = 8, MAX_BYTES = 1 << 16 };

static const char *const configurations[] = {
    "{\"repeat_penalty\": 1.2, \"repeat_last_n\": 5}",
    "{\"repeat_penalty\": 1.2, \"repeat_last_n\": -1, \"repeat_ignore_prompt\": true}",
    "{\"dry_multiplier\": 0.8, \"no_repeat_ngram_size\": 3}",
    "{\"dry_multiplier\": 0.8, \"dry_penalty_last_n\": 20, \"mirostat\": 1}",
    "{\"mirostat\": 2}",
    "{\"draw\": {\"type\": \"adaptive_p\", \"target\": 0.3}}",
    "{}",
};
enum { N_CONFIGURATIONS = sizeof configurations / sizeof *configurations };

static void put_u64(uint8_t *bytes, uint64_t value)
{
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(value >> 8 * i);
}

/* Magic to max_rewind are those of a state that fits; size and checksum are right. */
static void seal(uint8_t *bytes, size_t n, const uint8_t *fitting)
{
    uint64_t hash = 0xCBF29CE484222325u;
    memcpy(bytes, fitting, HEAD_BYTES - 4);
    put_u64(bytes + 16, n);
    for (size_t i = 0; i < n - SUM_BYTES; i++)
        hash = (hash ^ bytes[i]) * 0x100000001B3u;
    put_u64(bytes + n - SUM_BYTES, hash);
}

static size_t saved(const pluck_sampler *sampler, uint8_t *bytes)
{
    size_t n = 0;
    fuzz_require(pluck_sampler_save(sampler, bytes, MAX_BYTES, &n, NULL) == PLUCK_OK,
                 "it can be saved");
    return n;
}

static pluck_sampler *make_sampler(const char *json)
{
    pluck_config *config = NULL;
    pluck_sampler *sampler = NULL;
    pluck_sampler_options options = {.struct_size = sizeof options, .max_rewind = 7};
    fuzz_require(pluck_config_from_json(&config, json, strlen(json), NULL, NULL) == PLUCK_OK &&
                     pluck_sampler_create(&sampler, config, N_VOCAB, &options, NULL) == PLUCK_OK,
                 "memory");
    pluck_config_destroy(&config);
    for (pluck_token i = 0; i < 9; i++)
        pluck_sampler_accept(sampler, i % 4, NULL);
    return sampler;
}

static void use(pluck_sampler *sampler)
{
    float x[N_VOCAB];
    for (int i = 0; i < N_VOCAB; i++)
        x[i] = (float)(i * 37 % 11) * 0.5f;
    pluck_logits logits = {x, PLUCK_F32, N_VOCAB};
    for (int i = 0; i < 12; i++) {
        pluck_token token = i;
        pluck_status status = pluck_sampler_sample(sampler, logits, &token, NULL);
        fuzz_require(status == PLUCK_OK || status == PLUCK_ERR_EMPTY, "it can be sampled from");
        fuzz_require(token >= 0 && token < N_VOCAB, "a token is one of the vocabulary");
        fuzz_require(pluck_sampler_accept(sampler, token, NULL) == PLUCK_OK, "it can accept");
        (void)pluck_sampler_rewind(sampler, (uint32_t)i % 5, NULL);
    }
}

/* Saving what was loaded, and loading that, gives the same state again. */
static void check_loaded(pluck_sampler *sampler, uint8_t *bytes, uint8_t *again)
{
    pluck_sampler *copy = NULL;
    size_t n = saved(sampler, bytes);
    fuzz_require(pluck_sampler_clone(&copy, sampler, NULL) == PLUCK_OK, "it can be cloned");
    fuzz_require(saved(copy, again) == n && memcmp(bytes, again, n) == 0,
                 "a clone is the same state");
    use(sampler);
    fuzz_require(pluck_sampler_restore(sampler, bytes, n, NULL) == PLUCK_OK,
                 "what it saves it loads");
    use(sampler);
    use(copy);
    size_t n_used = saved(sampler, bytes);
    fuzz_require(saved(copy, again) == n_used && memcmp(bytes, again, n_used) == 0,
                 "loaded and cloned go on alike");
    pluck_sampler_destroy(&copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    if (size_bytes < 1 || size_bytes > MAX_BYTES / 4)
        return 0;
    uint8_t choice = data[0];
    pluck_sampler *sampler = make_sampler(configurations[(choice & 0x7F) % N_CONFIGURATIONS]);
    uint8_t *bytes = malloc(size_bytes), *before = malloc(MAX_BYTES), *after = malloc(MAX_BYTES);
    fuzz_require(bytes && before && after, "memory");
    size_t n = size_bytes - 1, n_before = saved(sampler, before);
    memcpy(bytes, data + 1, n);
    if ((choice & 0x80) == 0 && n >= HEAD_BYTES + SUM_BYTES)
        seal(bytes, n, before);
    pluck_error err = {PLUCK_OK, ""};
    pluck_status status = pluck_sampler_restore(sampler, bytes, n, &err);
    if (status == PLUCK_OK) {
        check_loaded(sampler, before, after);
    } else {
        fuzz_require(status == PLUCK_ERR_FORMAT || status == PLUCK_ERR_CONFIG,
                     "refused as bad bytes");
        fuzz_require(err.message[0] != '\0' && !strpbrk(err.message, "\n\r"),
                     "a message is one line");
        fuzz_require(saved(sampler, after) == n_before && memcmp(before, after, n_before) == 0,
                     "a refusal changes nothing");
    }
    free(bytes);
    free(before);
    free(after);
    pluck_sampler_destroy(&sampler);
    return 0;
}
