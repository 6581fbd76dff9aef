/*
 * Files of stored distributions with any content. The first byte says what they are read as; what
 * opens must give draws within its entries, and probabilities between 0 and 1 that add up to 1.
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "weighted/kinds.h"

enum { N_DRAWS = 64, MAX_ADDED = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition, const char *what, const pluck_error *err)
{
    if (condition)
        return;
    fprintf(stderr, "%s: %s\n", what, err->message);
    abort();
}

static void check_draws(const uint32_t *drawn, uint32_t n)
{
    pluck_error err = {.message = "a draw"};
    for (int i = 0; i < N_DRAWS; i++)
        require(drawn[i] < n, "outside of the entries", &err);
}

static void use_alias(const pluck_alias *alias, pluck_pcg64 *rng)
{
    pluck_error err = {0};
    uint32_t drawn[N_DRAWS];
    static double probs[MAX_ADDED];
    uint32_t n = pluck_alias_size(alias);
    require(pluck_alias_draw_many(alias, rng, N_DRAWS, drawn, &err) == PLUCK_OK, "draw", &err);
    check_draws(drawn, n);
    if (n > MAX_ADDED)
        return;
    require(pluck_alias_probabilities(alias, probs, &err) == PLUCK_OK, "probabilities", &err);
    double sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += probs[i];
    require(fabs(sum - 1) < 1e-12, "the sum is not 1", &err);
}

static void use_sum_tree(pluck_sum_tree *tree, pluck_pcg64 *rng)
{
    pluck_error err = {0};
    uint32_t drawn[N_DRAWS];
    double p = -1;
    uint32_t n = pluck_sum_tree_size(tree);
    require(pluck_sum_tree_draw_many(tree, rng, N_DRAWS, drawn, &err) == PLUCK_OK, "draw", &err);
    check_draws(drawn, n);
    for (int i = 0; i < N_DRAWS; i++) {
        require(pluck_sum_tree_probability(tree, drawn[i], &p, &err) == PLUCK_OK, "p", &err);
        require(p > 0 && p <= 1, "drawn with an impossible probability", &err);
    }
}

static void use_huffman(const pluck_huffman *huffman, pluck_pcg64 *rng)
{
    pluck_error err = {0};
    uint32_t drawn[N_DRAWS];
    uint32_t n = pluck_huffman_size(huffman);
    require(pluck_huffman_draw_many(huffman, rng, N_DRAWS, drawn, &err) == PLUCK_OK, "draw", &err);
    check_draws(drawn, n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    pluck_allocator allocator = plk_allocator_or_default(NULL);
    pluck_error err = {0};
    pluck_alias *alias = NULL;
    pluck_sum_tree *tree = NULL;
    pluck_huffman *huffman = NULL;
    pluck_pcg64 rng;
    if (size == 0)
        return 0;
    pluck_pcg64_seed(&rng, size, 0, 0);
    plk_source source;
    plk_source_open_memory(&source, "fuzzed", data + 1, size - 1, false, &allocator);
    pluck_status status = data[0] % 3 == 0   ? plk_alias_read(&alias, &source, NULL, &err)
                          : data[0] % 3 == 1 ? plk_sum_tree_read(&tree, &source, NULL, &err)
                                             : plk_huffman_read(&huffman, &source, NULL, &err);
    require(status == PLUCK_OK || status == PLUCK_ERR_FORMAT || status == PLUCK_ERR_NOMEM,
            "unexpected status", &err);
    if (alias)
        use_alias(alias, &rng);
    if (tree)
        use_sum_tree(tree, &rng);
    if (huffman)
        use_huffman(huffman, &rng);
    pluck_alias_destroy(&alias);
    pluck_sum_tree_destroy(&tree);
    pluck_huffman_destroy(&huffman);
    plk_source_close(&source);
    return 0;
}
