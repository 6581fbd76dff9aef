/*
 * Rows are copied into memory, so that neither reading a file nor conversion is measured. Made-up
 * logits are like those of a language model: a normal distribution, and a few tokens far above it.
 */
#include "commands/bench.h"

#include <pluck/rng.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_LIMIT_BYTES ((size_t)64 << 20)
enum { MADE_UP_VOCAB = 128256, MADE_UP_ROWS = 2 };

/* Room for up to n rows, as many as are reasonable. */
static int allocate(bench_rows *rows, const bench_flags *flags, size_t n)
{
    rows->row_bytes = rows->n_vocab * pluck_dtype_size_bytes(rows->dtype);
    size_t most = ROWS_LIMIT_BYTES / rows->row_bytes;
    rows->n = n < most ? n : most > 0 ? most : 1;
    rows->data = malloc(rows->n * rows->row_bytes);
    return rows->data ? EXIT_DONE : complain_memory(flags->call.who);
}

static int make_up(bench_rows *rows, const bench_flags *flags)
{
    enum { N_PEAKS = 40, N_SUMMED = 12 };
    rows->name = "made-up logits";
    rows->dtype = PLUCK_F32;
    rows->n_vocab =
        flags->input.vocab_size != 0 ? (uint32_t)flags->input.vocab_size : MADE_UP_VOCAB;
    int code = allocate(rows, flags, MADE_UP_ROWS);
    for (size_t r = 0; code == EXIT_DONE && r < rows->n; r++) {
        float *x = (float *)(void *)(rows->data + r * rows->row_bytes);
        pluck_pcg64 rng;
        pluck_pcg64_seed(&rng, 1, r, 0);
        for (uint32_t i = 0; i < rows->n_vocab; i++) {
            double sum = -N_SUMMED / 2.0;
            for (int k = 0; k < N_SUMMED; k++)
                sum += pluck_pcg64_uniform(&rng);
            x[i] = (float)(2.0 * sum);
        }
        for (int k = 0; k < N_PEAKS; k++) {
            double at = pluck_pcg64_uniform(&rng) * rows->n_vocab;
            x[(uint32_t)at] = (float)(18.0 - 3.0 * log(1.0 + k));
        }
        rows->numbers[r] = r;
    }
    return code;
}

static int copy_row(bench_rows *rows, const bench_flags *flags, source *src, uint64_t number,
                    size_t index)
{
    pluck_logits logits;
    pluck_error err;
    if (read_logits(src->dump, number, src->scratch, &logits, &err) != PLUCK_OK)
        return complain(flags->call.who, exit_code_of(err.status), "%s", err.message);
    if (!logits.data) {
        rows->n = index;
        return EXIT_DONE;
    }
    memcpy(rows->data + index * rows->row_bytes, logits.data, rows->row_bytes);
    rows->numbers[index] = number;
    return EXIT_DONE;
}

static int load(bench_rows *rows, const bench_flags *flags, source *src)
{
    row_range range;
    uint64_t first = 0, end = 0;
    int code = rows_read(&flags->call, flags->rows, &range);
    if (code == EXIT_DONE)
        code = rows_resolve(&range, src->info.n_rows, &flags->call, rows->name, &first, &end);
    if (code != EXIT_DONE)
        return code;
    rows->dtype = src->info.dtype;
    rows->n_vocab = src->info.n_vocab;
    uint64_t n_rows = end - first;
    code = allocate(rows, flags, n_rows < BENCH_MAX_ROWS ? (size_t)n_rows : BENCH_MAX_ROWS);
    for (size_t i = 0; code == EXIT_DONE && i < rows->n; i++) {
        uint64_t step = src->info.streamed ? i : i * (n_rows / rows->n);
        code = copy_row(rows, flags, src, first + step, i);
    }
    if (code == EXIT_DONE && rows->n == 0)
        return complain(flags->call.who, EXIT_DATA, "%s: there are no rows to measure", rows->name);
    return code;
}

int bench_rows_load(bench_rows *rows, const bench_flags *flags, const char *path)
{
    if (!path)
        return make_up(rows, flags);
    source src;
    rows->name = source_name(path);
    int code = source_open(&flags->call, &flags->input, path, &src);
    if (code == EXIT_DONE)
        code = load(rows, flags, &src);
    source_close(&src);
    return code;
}

void bench_rows_free(bench_rows *rows)
{
    free(rows->data);
    rows->data = NULL;
}

pluck_logits bench_row(const bench_rows *rows, size_t index)
{
    size_t r = index % rows->n;
    return (pluck_logits){rows->data + r * rows->row_bytes, rows->dtype, rows->n_vocab};
}
