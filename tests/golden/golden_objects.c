/*
 * Stored distributions and heads. Weights of heads are multiples of 2^-6 or the short types' bit
 * patterns, hidden states multiples of 2^-9.
 */
#include "golden/golden.h"

#include <pluck/head.h>
#include <pluck/rng.h>
#include <pluck/weighted.h>

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_WEIGHTS = 3000, N_DRAWS = 12 };

/* Positive, over nine powers of two, with zeros. */
static void make_weights(float *weights)
{
    golden_row(300000, PLUCK_F32, N_WEIGHTS, weights);
    for (int i = 0; i < N_WEIGHTS; i++) {
        float x = weights[i] > 0 ? weights[i] : 0;
        weights[i] = x * (float)(1u << i % 9);
    }
}

/* Draws from one distribution and the probabilities of what was drawn. */
static void add_weighted(golden_text *out, const char *name, pluck_weighted_kind kind,
                         pluck_weights weights)
{
    pluck_error err = {.status = PLUCK_OK};
    pluck_weighted *weighted = NULL;
    pluck_pcg64 rng;
    uint32_t indices[N_DRAWS];
    pluck_pcg64_seed(&rng, 61, weights.dtype == PLUCK_F64, 0);
    golden_require(pluck_weighted_create(&weighted, kind, weights, NULL, &err), name, &err);
    golden_require(pluck_weighted_draw(weighted, &rng, N_DRAWS, indices, &err), name, &err);
    for (int i = 0; i < N_DRAWS; i++) {
        double p = 0;
        golden_require(pluck_weighted_probability(weighted, indices[i], &p, &err), name, &err);
        golden_add(out, "%s %d %" PRIu32 " %016" PRIx64 "\n", name, i, indices[i],
                   golden_double_bits(p));
    }
    pluck_weighted_destroy(&weighted);
}

void golden_weighted(golden_text *out)
{
    static float singles[N_WEIGHTS];
    static double doubles[N_WEIGHTS];
    make_weights(singles);
    for (int i = 0; i < N_WEIGHTS; i++)
        doubles[i] = (double)singles[i] * 0x1.fp-300;
    pluck_weights f32 = {singles, PLUCK_F32, N_WEIGHTS};
    pluck_weights f64 = {doubles, PLUCK_F64, N_WEIGHTS};
    add_weighted(out, "alias", PLUCK_WEIGHTED_ALIAS, f32);
    add_weighted(out, "alias_double", PLUCK_WEIGHTED_ALIAS, f64);
    add_weighted(out, "sum_tree", PLUCK_WEIGHTED_SUM_TREE, f32);
    add_weighted(out, "sum_tree_double", PLUCK_WEIGHTED_SUM_TREE, f64);
    add_weighted(out, "huffman", PLUCK_WEIGHTED_HUFFMAN, f32);
    add_weighted(out, "huffman_double", PLUCK_WEIGHTED_HUFFMAN, f64);
}

enum { N_VOCAB = 300, DIM = 37, N_ROWS = 6, SHORT_LIST = 40, N_PICKED = 5 };

static char weights[(N_VOCAB + 8) * DIM * sizeof(float)];

static pluck_matrix matrix_at(size_t first, pluck_dtype dtype, uint32_t n_rows, uint32_t n_cols)
{
    return (pluck_matrix){.data = weights + first * pluck_dtype_size_bytes(dtype),
                          .dtype = dtype,
                          .n_rows = n_rows,
                          .n_cols = n_cols};
}

static pluck_head *make_hierarchical(const float *bias, const pluck_head_options *options,
                                     pluck_dtype dtype, pluck_error *err)
{
    int64_t counts[N_VOCAB];
    pluck_tree *tree = NULL;
    pluck_head *head = NULL;
    for (int i = 0; i < N_VOCAB; i++)
        counts[i] = 1 + 100000 / (1 + i * 7 % N_VOCAB);
    golden_require(pluck_tree_create_huffman(&tree, counts, N_VOCAB, NULL, err), "tree", err);
    pluck_matrix nodes = matrix_at(0, dtype, N_VOCAB - 1, DIM);
    golden_require(
        pluck_head_create_hierarchical(&head, tree, &nodes, bias, PLUCK_TREE_RIGHT, options, err),
        "hierarchical", err);
    pluck_tree_destroy(&tree);
    return head;
}

static pluck_head *make_head(pluck_head_kind kind, pluck_dtype dtype, const float *bias,
                             pluck_isa isa)
{
    pluck_head *head = NULL;
    pluck_error err = {.status = PLUCK_OK};
    pluck_head_options options = {.struct_size = sizeof options, .isa = isa};
    pluck_status status = PLUCK_OK;
    pluck_matrix all = matrix_at(0, dtype, N_VOCAB, DIM);
    pluck_matrix root = matrix_at(0, dtype, SHORT_LIST + 2, DIM);
    size_t rest = (SHORT_LIST + 2) * DIM;
    pluck_head_tail tails[] = {
        {matrix_at(rest, dtype, 9, DIM), matrix_at(rest + 9 * DIM, dtype, 60, 9)},
        {matrix_at(rest + 2 * DIM, dtype, 3, DIM), matrix_at(rest + 4 * DIM, dtype, 200, 3)}};
    pluck_head_band bands[] = {{matrix_at(0, dtype, 50, DIM), 0},
                               {matrix_at(50 * DIM, dtype, 100, 17), 20},
                               {matrix_at(80 * DIM, dtype, 150, 8), 3}};
    switch (kind) {
    case PLUCK_HEAD_DENSE:
        status = pluck_head_create_dense(&head, &all, bias, &options, &err);
        break;
    case PLUCK_HEAD_HIERARCHICAL:
        return make_hierarchical(bias, &options, dtype, &err);
    case PLUCK_HEAD_ADAPTIVE:
        status = pluck_head_create_adaptive(&head, &root, bias, tails, 2, &options, &err);
        break;
    case PLUCK_HEAD_DIFFERENTIATED:
        status = pluck_head_create_differentiated(&head, DIM, bands, 3, bias, &options, &err);
        break;
    }
    golden_require(status, "head", &err);
    return head;
}

/* ln p of a listed token in double, which the list has rounded. */
static double logprob_of(pluck_head_query *query, const float *hidden, pluck_logprob listed)
{
    pluck_error err = {.status = PLUCK_OK};
    double logprob = 0;
    golden_require(pluck_head_query_logprob(query, hidden, listed.token, &logprob, &err),
                   "log-probability", &err);
    if (!(fabs(logprob - (double)listed.logprob) <= 0x1p-23 * fabs(logprob)))
        golden_require(PLUCK_ERR_INVALID, "a list has another log-probability", &err);
    return logprob;
}

static uint32_t hash_tokens(uint32_t h, pluck_head_query *query, const float *hidden,
                            const pluck_logprob *tokens, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        uint64_t bits = golden_double_bits(logprob_of(query, hidden, tokens[i]));
        uint32_t words[3] = {(uint32_t)tokens[i].token, (uint32_t)bits, (uint32_t)(bits >> 32)};
        h = golden_hash(h, words, sizeof words);
    }
    return h;
}

/* Token and log-probability of a draw, the numbers of top-p and min-p, the best token, and a hash
 * of everything that was listed. */
static void add_row(golden_text *out, const char *name, int row, pluck_head_query *query,
                    const float *hidden)
{
    pluck_error err = {.status = PLUCK_OK};
    pluck_pcg64 rng;
    pluck_selection top_k = {.struct_size = sizeof top_k, .top_k = N_PICKED},
                    top_p = {.struct_size = sizeof top_p, .top_p = 0.7},
                    min_p = {.struct_size = sizeof min_p, .min_p = 0.1},
                    greedy = {.struct_size = sizeof greedy, .top_k = 1};
    pluck_logprob drawn, best, picked[N_PICKED];
    float logprobs[N_VOCAB];
    double mass = 0;
    uint32_t n = 0, n_top_p = 0, n_min_p = 0;
    pluck_pcg64_seed(&rng, 71, 0, (uint64_t)row);
    golden_require(pluck_head_query_sample(query, hidden, 0.8, &rng, 1, &drawn, &n, &err), name,
                   &err);
    golden_require(pluck_head_query_sample(query, hidden, 1.2, &rng, N_PICKED, picked, &n, &err),
                   name, &err);
    uint32_t h = hash_tokens(0, query, hidden, picked, n);
    golden_require(pluck_head_query_select(query, hidden, &top_k, picked, N_PICKED, &n, &err), name,
                   &err);
    h = hash_tokens(h, query, hidden, picked, n);
    golden_require(pluck_head_query_select(query, hidden, &top_p, picked, N_PICKED, &n_top_p, &err),
                   name, &err);
    golden_require(pluck_head_query_select(query, hidden, &min_p, picked, N_PICKED, &n_min_p, &err),
                   name, &err);
    golden_require(pluck_head_query_select(query, hidden, &greedy, &best, 1, &n, &err), name, &err);
    golden_require(pluck_head_query_logprobs(query, hidden, logprobs, &err), name, &err);
    golden_require(pluck_head_query_log_mass(query, hidden, &mass, &err), name, &err);
    h = golden_hash(h, logprobs, sizeof logprobs);
    uint64_t mass_bits = golden_double_bits(mass);
    uint32_t mass_words[2] = {(uint32_t)mass_bits, (uint32_t)(mass_bits >> 32)};
    h = golden_hash(h, mass_words, sizeof mass_words);
    golden_add(out, "%s %d %d %016" PRIx64 " %" PRIu32 " %" PRIu32 " %d %08" PRIx32 "\n", name, row,
               drawn.token, golden_double_bits(logprob_of(query, hidden, drawn)), n_top_p, n_min_p,
               best.token, h);
}

static void add_head(golden_text *out, const char *name, uint64_t case_number, pluck_head_kind kind,
                     pluck_dtype dtype, pluck_isa isa)
{
    float hidden[DIM], bias[N_VOCAB];
    int32_t mask[(N_VOCAB + 31) / 32];
    pluck_error err = {.status = PLUCK_OK};
    golden_row(310000 + case_number, dtype, sizeof weights / sizeof(float), weights);
    golden_row(320000 + case_number, PLUCK_F32, N_VOCAB, bias);
    for (size_t i = 0; dtype == PLUCK_F32 && i < sizeof weights; i += sizeof(float)) {
        float x;
        memcpy(&x, weights + i, sizeof x);
        x *= 0.25f;
        memcpy(weights + i, &x, sizeof x);
    }
    for (size_t i = 0; i < sizeof mask / sizeof *mask; i++)
        mask[i] = (int32_t)(0x5B6DB6DBu >> i);
    pluck_head *head = make_head(kind, dtype, case_number % 2 ? bias : NULL, isa);
    pluck_head_query *query = NULL;
    golden_require(pluck_head_query_create(&query, head, NULL, &err), name, &err);
    for (int row = 0; row < N_ROWS; row++) {
        golden_row(330000 + case_number * 100 + (uint64_t)row, PLUCK_F32, DIM, hidden);
        for (int i = 0; i < DIM; i++)
            hidden[i] *= 0x1p-4f;
        if (row == N_ROWS / 2)
            golden_require(pluck_head_query_set_mask(query, mask, sizeof mask / sizeof *mask, &err),
                           name, &err);
        add_row(out, name, row, query, hidden);
    }
    pluck_head_query_destroy(&query);
    pluck_head_destroy(&head);
}

void golden_heads(golden_text *out, pluck_isa isa)
{
    static const struct {
        const char *name;
        pluck_head_kind kind;
    } kinds[] = {{"dense", PLUCK_HEAD_DENSE},
                 {"hierarchical", PLUCK_HEAD_HIERARCHICAL},
                 {"adaptive", PLUCK_HEAD_ADAPTIVE},
                 {"differentiated", PLUCK_HEAD_DIFFERENTIATED}};
    static const char *const dtypes[] = {"f32", "f16", "bf16"};
    for (uint64_t k = 0; k < 4; k++) {
        for (uint64_t dtype = PLUCK_F32; dtype <= PLUCK_BF16; dtype++) {
            char name[64];
            snprintf(name, sizeof name, "head_%s_%s", kinds[k].name, dtypes[dtype]);
            add_head(out, name, 3 * k + dtype, kinds[k].kind, (pluck_dtype)dtype, isa);
        }
    }
}
