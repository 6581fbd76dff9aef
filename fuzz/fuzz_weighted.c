/*
 * Files of stored distributions with any content. What opens must give draws within its entries,
 * and probabilities between 0 and 1 that add up to 1.
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

static void use(const pluck_weighted *weighted, size_t seed)
{
    pluck_error err = {0};
    pluck_pcg64 rng;
    uint32_t drawn[N_DRAWS];
    static double probs[MAX_ADDED];
    uint32_t n = pluck_weighted_size(weighted);
    pluck_pcg64_seed(&rng, seed, 0, 0);
    require(pluck_weighted_draw(weighted, &rng, N_DRAWS, drawn, &err) == PLUCK_OK, "draw", &err);
    for (int i = 0; i < N_DRAWS; i++)
        require(drawn[i] < n, "a draw outside of the entries", &err);
    if (n > MAX_ADDED)
        return;
    require(pluck_weighted_probabilities(weighted, probs, &err) == PLUCK_OK, "probabilities", &err);
    for (int i = 0; i < N_DRAWS; i++)
        require(probs[drawn[i]] > 0 && probs[drawn[i]] <= 1, "an impossible draw", &err);
    double sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += probs[i];
    require(fabs(sum - 1) < 1e-12, "the sum is not 1", &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    pluck_allocator allocator = plk_allocator_or_default(NULL);
    pluck_error err = {0};
    pluck_weighted *weighted = NULL;
    plk_source source;
    plk_source_open_memory(&source, "fuzzed", data, size, false, &allocator);
    pluck_status status = plk_weighted_read(&weighted, &source, NULL, &err);
    require(status == PLUCK_OK || status == PLUCK_ERR_FORMAT || status == PLUCK_ERR_NOMEM,
            "unexpected status", &err);
    if (weighted)
        use(weighted, size);
    pluck_weighted_destroy(&weighted);
    plk_source_close(&source);
    return 0;
}
