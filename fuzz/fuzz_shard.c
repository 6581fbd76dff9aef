/*
 * Records of any content from one of three ranks, while the other two are honest. Whatever it
 * sends, all ranks come to the same token, or to the same refusal in one line, after a bounded
 * number of exchanges.
 *
 * Of the first byte of the input, the low 6 bits choose the configuration, 0x40 makes a logit NaN,
 * and 0x80 means that the forger sends a head of its own too. Of the second, the low 6 bits say
 * which rank forges, and with 0x40 the last rank cannot begin. Then, for each exchange, a u16 with
 * the number of bytes that take the place of what the forger would have sent, and these bytes;
 * 65535 stands for what it would have sent.
 */
#include "fuzz_file.h"

#include <pluck/shard.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

enum { N_VOCAB = 5000, N_RANKS = 3, HEAD_BYTES = 28, MAX_EXCHANGES = 1000, HONEST = 65535 };

static const uint32_t first_token[N_RANKS + 1] = {0, 2048, 4096, N_VOCAB};

static const char *const configurations[] = {
    "{\"temperature\": 0}",
    "{\"top_k\": 5, \"draw\": \"gumbel\"}",
    "{\"min_p\": 0.9}",
    "{\"stages\": [{\"type\": \"min_p\", \"p\": 0.9, \"min_keep\": 700}], \"draw\": "
    "\"categorical\"}",
    "{\"stages\": [{\"type\": \"top_k\", \"k\": 1500}], \"draw\": \"categorical\"}",
    "{\"draw\": \"adaptive_p\"}",
    "{\"temperature\": 0.7}",
    "{\"temperature\": 0.7, \"draw\": \"gumbel\"}",
    "{\"temperature\": 0.7, \"top_p\": 0.9}",
    "{\"top_p\": 0.97, \"draw\": \"gumbel\"}",
    "{\"top_n_sigma\": 1}",
    "{\"typical_p\": 0.9, \"min_keep\": 3}",
    "{\"dynatemp_range\": 0.5, \"draw\": \"gumbel\"}",
    "{\"smoothing_factor\": 0.3, \"epsilon_cutoff\": 0.001}",
    "{\"xtc_probability\": 1, \"xtc_threshold\": 0.001, \"draw\": \"mirostat_v2\"}",
};
enum { N_CONFIGURATIONS = sizeof configurations / sizeof *configurations };

typedef struct ranks {
    float row[N_VOCAB];
    pluck_shard *shards[N_RANKS];
    pluck_sampler *samplers[N_RANKS];
    uint8_t *records[N_RANKS];
    size_t n_bytes[N_RANKS];
} ranks;

static void make(ranks *all, const char *json, bool has_nan, bool last_fails)
{
    pluck_shard_options options = PLUCK_INIT(pluck_shard_options);
    options.n_vocab = N_VOCAB;
    options.n_ranks = N_RANKS;
    options.first_token = first_token;
    for (int i = 0; i < N_VOCAB; i++)
        all->row[i] = (float)(i * 37 % 101) * 0.1f;
    if (has_nan)
        all->row[2500] = NAN;
    for (uint32_t r = 0; r < N_RANKS; r++) {
        options.rank = r;
        pluck_logits slice = {all->row + first_token[r], PLUCK_F32,
                              first_token[r + 1] - first_token[r]};
        bool fails = last_fails && r == N_RANKS - 1;
        slice.n_vocab -= fails;
        fuzz_require(pluck_sampler_from_json(&all->samplers[r], json, strlen(json), N_VOCAB,
                                             NULL) == PLUCK_OK &&
                         pluck_shard_create(&all->shards[r], &options, NULL) == PLUCK_OK &&
                         (pluck_shard_begin(all->shards[r], all->samplers[r], slice, NULL) ==
                          PLUCK_OK) == !fails,
                     "a row begins");
    }
}

/* What one rank sends becomes these bytes, behind the head that it would have sent if keep_head. */
static void forge(ranks *all, uint32_t rank, bool keep_head, const uint8_t *bytes, size_t n)
{
    size_t n_head = keep_head ? HEAD_BYTES : 0;
    uint8_t *forged = malloc(n_head + n + 1);
    fuzz_require(forged != NULL, "memory");
    memcpy(forged, all->records[rank], n_head);
    memcpy(forged + n_head, bytes, n);
    all->n_bytes[rank] = n_head + n;
    for (int i = 0; keep_head && i < 4; i++)
        forged[4 + i] = (uint8_t)((n_head + n) >> 8 * i);
    free(all->records[rank]);
    all->records[rank] = realloc(forged, n_head + n > 0 ? n_head + n : 1);
}

static void write_records(ranks *all)
{
    for (uint32_t r = 0; r < N_RANKS; r++) {
        size_t capacity = pluck_shard_record_bytes(all->shards[r]);
        fuzz_require(capacity <= pluck_shard_max_record_bytes(all->shards[r]),
                     "a bound is a bound");
        all->records[r] = malloc(capacity);
        fuzz_require(all->records[r] != NULL &&
                         pluck_shard_record(all->shards[r], all->records[r], capacity,
                                            &all->n_bytes[r], NULL) == PLUCK_OK,
                     "a record can be written");
    }
}

/* Whether the row goes on. */
static bool merge(ranks *all)
{
    pluck_status first_status = PLUCK_OK;
    pluck_error first_err = {PLUCK_OK, ""};
    bool first_done = false;
    pluck_draw first_draw = {0};
    const void *records[N_RANKS] = {all->records[0], all->records[1], all->records[2]};
    for (uint32_t r = 0; r < N_RANKS; r++) {
        pluck_error err = {PLUCK_OK, ""};
        pluck_draw draw = {0};
        bool is_done = false;
        pluck_status status =
            pluck_shard_merge(all->shards[r], records, all->n_bytes, &is_done, &draw, &err);
        if (r == 0) {
            first_status = status;
            first_err = err;
            first_done = is_done;
            first_draw = draw;
        }
        fuzz_require(status == first_status && is_done == first_done &&
                         strcmp(err.message, first_err.message) == 0 &&
                         memcmp(&draw, &first_draw, sizeof draw) == 0,
                     "all ranks come to the same");
    }
    if (first_status != PLUCK_OK)
        fuzz_require(first_err.message[0] != '\0' && !strpbrk(first_err.message, "\n\r"),
                     "a message is one line");
    else if (first_done)
        fuzz_require(first_draw.token >= 0 && first_draw.token < N_VOCAB &&
                         first_draw.logprob <= 0.0f,
                     "a token is one of the vocabulary");
    return first_status == PLUCK_OK && !first_done;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    if (size_bytes < 2)
        return 0;
    ranks *all = calloc(1, sizeof *all);
    fuzz_require(all != NULL, "memory");
    bool keep_head = data[0] < 0x80;
    uint32_t forger = (data[1] & 0x3F) % N_RANKS;
    make(all, configurations[(data[0] & 0x3F) % N_CONFIGURATIONS], data[0] & 0x40, data[1] & 0x40);
    size_t at = 2;
    bool goes_on = true;
    for (int i = 0; goes_on; i++) {
        fuzz_require(i < MAX_EXCHANGES, "a row comes to an end");
        write_records(all);
        size_t n = at + 2 <= size_bytes ? data[at] + 256u * data[at + 1] : HONEST;
        at += 2;
        if (n != HONEST) {
            size_t left = at < size_bytes ? size_bytes - at : 0;
            n = n < left ? n : left;
            forge(all, forger, keep_head, data + size_bytes - left, n);
            at += n;
        }
        goes_on = merge(all);
        for (uint32_t r = 0; r < N_RANKS; r++)
            free(all->records[r]);
    }
    for (uint32_t r = 0; r < N_RANKS; r++) {
        pluck_shard_destroy(&all->shards[r]);
        pluck_sampler_destroy(&all->samplers[r]);
    }
    free(all);
    return 0;
}
