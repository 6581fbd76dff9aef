/*
 * What the golden programs have in common: the text of the results, inputs made from integers
 * alone, and the groups of cases, each of which writes its lines in a fixed order. Nothing here
 * takes more than the C library: these programs run on every target.
 */
#ifndef GOLDEN_H
#define GOLDEN_H

#include "base/error.h"

#include <pluck/pluck.h>

#include <stddef.h>
#include <stdint.h>

/* Grows; the end of the program when memory runs out. */
typedef struct golden_text {
    char *chars;
    size_t n, capacity;
    size_t n_results; /* how many numbers the lines stand for */
} golden_text;

void golden_add(golden_text *text, const char *format, ...) PLK_PRINTF(2, 3);

/* The text of a file, with n_results 0; the end of the program if it cannot be read. */
golden_text golden_read(const char *path);

/* Compares line by line. Returns how many lines differ, and describes the first in *first. Lines of
 * *got that end in GOLDEN_SKIPPED agree with any line that has the same first word, and are counted
 * in *n_skipped. */
#define GOLDEN_SKIPPED "skipped"
size_t golden_compare(const golden_text *got, const golden_text *expected, golden_text *first,
                      size_t *n_skipped);

/* The bits of a float and of a double, for "%08" PRIx32 and "%016" PRIx64. */
uint32_t golden_float_bits(float x);
uint64_t golden_double_bits(double x);

/* FNV-1a over n_bytes of 32-bit words, low byte first; h is 0 or the hash of what came before. */
uint32_t golden_hash(uint32_t h, const void *words, size_t n_bytes);
uint32_t golden_hash_bytes(uint32_t h, const void *bytes, size_t n_bytes);

/* Floats, of which all NaN count as one value, and -0 as 0. */
uint32_t golden_hash_floats(uint32_t h, const float *x, size_t n);

/* Row number row of logits: sums of four integers below 2^11, over 256 (f32, within [-16, 16)) or,
 * for the short types, bit patterns of values between 2^-3 and 16 of both signs. */
void golden_row(uint64_t row, pluck_dtype dtype, uint32_t n, void *out);

/* The end of the program, with the message, unless status is PLUCK_OK. */
void golden_require(pluck_status status, const char *what, const pluck_error *err);

/*
 * A chain of stages.
 */
enum { GOLDEN_MAX_VOCAB = 50257, GOLDEN_N_TOKENS = 12, GOLDEN_JSON_BYTES = 1024 };

typedef struct golden_chain {
    const char *name;
    const char *json;
    uint32_t n_vocab;
    pluck_dtype dtype;
    uint64_t stream;
    uint64_t first_row;
    bool with_prompt;
    bool masked;
} golden_chain;

/* The first ones are flat configurations. */
extern const size_t golden_n_flat_chains, golden_n_chains;

/* json: where to write the configuration; draw, unless NULL, takes the place of the chain's own. */
golden_chain golden_chain_at(size_t i, const char *draw, char json[GOLDEN_JSON_BYTES]);

/* At the beginning of its sequence. */
pluck_sampler *golden_sampler(const golden_chain *c, const pluck_config *config, pluck_isa isa);
void golden_prompt(pluck_sampler *sampler, const golden_chain *c);

/* Five in seven tokens are allowed, other ones at each position. */
void golden_mask(pluck_sampler *sampler, uint32_t n_vocab, uint32_t position);

/* Room for GOLDEN_MAX_VOCAB floats, to be freed. */
void *golden_row_buffer(void);

/*
 * The groups. New cases go to the end of a table: the logits of a case follow from its index. folder
 * is that of tests/.
 */

/* The lines of tokens.txt. */
void golden_tokens(golden_text *out, pluck_isa isa);
void golden_chains(golden_text *out, pluck_isa isa);
void golden_states(golden_text *out, pluck_isa isa);
void golden_draws(golden_text *out, pluck_isa isa);
void golden_softmax(golden_text *out);
void golden_weighted(golden_text *out);
void golden_heads(golden_text *out, pluck_isa isa);

/* Those of digests.txt. */
void golden_many(golden_text *out, pluck_isa isa, const char *folder);
void golden_kernels(golden_text *out, pluck_isa isa, const char *folder);
void golden_dumps(golden_text *out, pluck_isa isa, const char *folder);
void golden_saved(golden_text *out, pluck_isa isa, const char *folder);

/* Writes the files that golden_saved() reads. */
void golden_save(const char *folder);

/* Fails the test unless every stage of the library is in a chain, and every stage, draw and mask of
 * a chain changes the distribution somewhere. In golden_bite.c, which needs cmocka. */
void golden_chains_bite(void);

#endif
