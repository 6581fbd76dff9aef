#include "support/tune_rows.h"

#include "base/scalar_math.h"
#include "dump/reader.h"
#include "support/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static tune_rows allocate(uint64_t n_rows, uint32_t n_vocab)
{
    tune_rows rows = {.n_rows = n_rows, .n_vocab = n_vocab, .data = PLUCK_INIT(pluck_tune_data)};
    rows.logits = malloc(n_rows * n_vocab * sizeof *rows.logits);
    rows.targets = malloc(n_rows * sizeof *rows.targets);
    rows.text = malloc(n_rows * 12 + 1);
    assert_true(rows.logits && rows.targets && rows.text);
    return rows;
}

static int draw(const float *z, uint32_t n, double temperature, double uniform)
{
    float max = z[0];
    double sum = 0, before = 0;
    for (uint32_t i = 1; i < n; i++)
        max = z[i] > max ? z[i] : max;
    for (uint32_t i = 0; i < n; i++)
        sum += plk_exp(((double)z[i] - (double)max) / temperature);
    for (uint32_t i = 0; i + 1 < n; i++) {
        before += plk_exp(((double)z[i] - (double)max) / temperature);
        if (before > uniform * sum)
            return (int)i;
    }
    return (int)n - 1;
}

tune_rows tune_rows_normal(uint64_t n_rows, uint32_t n_vocab, double temperature, uint64_t seed)
{
    tune_rows rows = allocate(n_rows, n_vocab);
    test_random random = test_random_make(seed);
    for (uint64_t r = 0; r < n_rows; r++) {
        float *z = rows.logits + r * n_vocab;
        for (uint32_t i = 0; i < n_vocab; i++)
            z[i] = (float)(3 * test_random_normal(&random));
        rows.targets[r] = draw(z, n_vocab, temperature, test_random_uniform(&random));
    }
    tune_rows_reopen(&rows);
    return rows;
}

tune_rows tune_rows_two(uint64_t n_rows, float gap, uint64_t n_first)
{
    tune_rows rows = allocate(n_rows, 2);
    for (uint64_t r = 0; r < n_rows; r++) {
        rows.logits[2 * r] = gap;
        rows.logits[2 * r + 1] = 0;
        /* 7919 is prime: each residue once, unless it divides n_rows. */
        rows.targets[r] = r * 7919 % n_rows < n_first ? 0 : 1;
    }
    tune_rows_reopen(&rows);
    return rows;
}

void tune_rows_reopen(tune_rows *rows)
{
    pluck_dump_options options = {
        .struct_size = sizeof options, .format = PLUCK_DUMP_RAW, .raw_n_vocab = rows->n_vocab};
    char *at = rows->text;
    pluck_dump_destroy(&rows->data.dump);
    pluck_targets_destroy(&rows->data.targets);
    for (uint64_t r = 0; r < rows->n_rows; r++)
        at += sprintf(at, "%d\n", rows->targets[r]);
    size_t size_bytes = (size_t)rows->n_rows * rows->n_vocab * sizeof *rows->logits;
    assert_int_equal(plk_dump_open_memory(&rows->data.dump, "rows", rows->logits, size_bytes, false,
                                          &options, NULL),
                     PLUCK_OK);
    assert_int_equal(plk_targets_open_memory(&rows->data.targets, "targets", rows->text,
                                             (size_t)(at - rows->text), false, NULL, NULL),
                     PLUCK_OK);
}

void tune_rows_free(tune_rows *rows)
{
    pluck_dump_destroy(&rows->data.dump);
    pluck_targets_destroy(&rows->data.targets);
    free(rows->logits);
    free(rows->targets);
    free(rows->text);
    *rows = (tune_rows){.n_rows = 0};
}
