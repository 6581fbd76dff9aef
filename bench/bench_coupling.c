/*
 * How often two draws with the same seed, stream and position give the same token, if the logits of
 * the second are a little different: those of another device or batch, another temperature, a
 * smaller model. Nothing is measured in time, and results are the same on every machine.
 *
 *     bench_coupling [--logits FILE,...] [--isa ISA]      (default: two dumps of tests/data)
 *
 * Prints a table per file, as docs/gumbel.md has it. TV is the total variation between both
 * distributions: no way of drawing agrees more often than 1 - TV, and gumbel is known to agree in
 * at least (1 - TV) / (1 + TV) (M. Daliri, C. Musco, A. T. Suresh, "Coupling without communication
 * and drafter-invariant speculative decoding", 2024).
 */
#include "support/bench_options.h"
#include "support/bench_rows.h"

#include "base/scalar_math.h"

#include <pluck/pluck.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_PAIRS = 1500 };

typedef enum change_kind { RELATIVE, SCALED, ADDED } change_kind;

static const struct {
    const char *name;
    change_kind kind;
    double size;
} changes[] = {
    {"logits times 1 + normal(0, 0.001²)", RELATIVE, 0.001},
    {"temperature 0.9", SCALED, 1 / 0.9},
    {"logits + normal(0, 0.3²)", ADDED, 0.3},
    {"logits + normal(0, 1)", ADDED, 1},
};
enum { N_CHANGES = sizeof changes / sizeof *changes };

static const char *const draws[] = {"gumbel", "categorical"};
enum { N_DRAWS = sizeof draws / sizeof *draws };

typedef struct pairs {
    const bench_rows *rows;
    pluck_sampler *samplers[N_DRAWS];
    float *logits[2], *probs[2]; /* of both sides */
    pluck_pcg64 rng;
} pairs;

typedef struct agreement {
    double same[N_DRAWS], at_most, at_least; /* means over all pairs */
} agreement;

/* G. Marsaglia's polar method, with a logarithm that is the same on every machine. */
static double normal(pluck_pcg64 *rng)
{
    double u, v, square;
    do {
        u = 2 * pluck_pcg64_uniform(rng) - 1;
        v = 2 * pluck_pcg64_uniform(rng) - 1;
        square = u * u + v * v;
    } while (square >= 1 || square == 0);
    return u * sqrt(-2 * plk_log(square) / square);
}

static void fill_pair(pairs *p, size_t row, size_t change)
{
    for (uint32_t i = 0; i < p->rows->n_vocab; i++) {
        double x = (double)bench_rows_value(p->rows, row, i), size = changes[change].size;
        double changed = x * size;
        if (changes[change].kind == RELATIVE)
            changed = x * (1 + size * normal(&p->rng));
        else if (changes[change].kind == ADDED)
            changed = x + size * normal(&p->rng);
        p->logits[0][i] = (float)x;
        p->logits[1][i] = (float)changed;
    }
}

static bool draw_pair(pairs *p, size_t draw, uint64_t position, bool *same)
{
    pluck_token tokens[2] = {0};
    for (int side = 0; side < 2; side++) {
        pluck_logits row = {p->logits[side], PLUCK_F32, p->rows->n_vocab};
        if (pluck_sampler_set_position(p->samplers[draw], position, NULL) != PLUCK_OK ||
            pluck_sampler_sample(p->samplers[draw], row, &tokens[side], NULL) != PLUCK_OK)
            return false;
    }
    *same = tokens[0] == tokens[1];
    return true;
}

static bool total_variation(pairs *p, double *tv)
{
    *tv = 0;
    for (int side = 0; side < 2; side++)
        if (pluck_softmax(p->logits[side], p->rows->n_vocab, 1, p->probs[side], NULL) != PLUCK_OK)
            return false;
    for (uint32_t i = 0; i < p->rows->n_vocab; i++)
        *tv += 0.5 * fabs((double)p->probs[0][i] - (double)p->probs[1][i]);
    return true;
}

static bool measure(pairs *p, size_t change, agreement *a)
{
    *a = (agreement){.at_most = 0};
    pluck_pcg64_seed(&p->rng, 1, change, 0);
    for (size_t pair = 0; pair < N_PAIRS; pair++) {
        double tv;
        fill_pair(p, pair % p->rows->n_rows, change);
        if (!total_variation(p, &tv))
            return false;
        a->at_most += (1 - tv) / N_PAIRS;
        a->at_least += (1 - tv) / (1 + tv) / N_PAIRS;
        for (size_t d = 0; d < N_DRAWS; d++) {
            bool same;
            if (!draw_pair(p, d, pair, &same))
                return false;
            a->same[d] += (double)same / N_PAIRS;
        }
    }
    return true;
}

static bool open_pairs(pairs *p, const bench_rows *rows, pluck_isa isa)
{
    pluck_sampler_options options = {.struct_size = sizeof options, .isa = isa};
    bool done = true;
    *p = (pairs){.rows = rows};
    for (size_t d = 0; done && d < N_DRAWS; d++) {
        char json[64];
        pluck_config *config = NULL;
        snprintf(json, sizeof json, "{\"seed\": 1, \"stages\": [], \"draw\": \"%s\"}", draws[d]);
        done = pluck_config_from_json(&config, json, strlen(json), NULL, NULL) == PLUCK_OK &&
               pluck_sampler_create(&p->samplers[d], config, rows->n_vocab, &options, NULL) ==
                   PLUCK_OK;
        pluck_config_destroy(&config);
    }
    for (int side = 0; side < 2; side++) {
        p->logits[side] = malloc(rows->n_vocab * sizeof(float));
        p->probs[side] = malloc(rows->n_vocab * sizeof(float));
        done = done && p->logits[side] && p->probs[side];
    }
    return done;
}

static void close_pairs(pairs *p)
{
    for (size_t d = 0; d < N_DRAWS; d++)
        pluck_sampler_destroy(&p->samplers[d]);
    for (int side = 0; side < 2; side++) {
        free(p->logits[side]);
        free(p->probs[side]);
    }
}

static bool run_file(const char *path, pluck_isa isa)
{
    bench_rows rows;
    pairs p;
    if (!bench_rows_open(&rows, path, 0, PLUCK_F32))
        return false;
    bool done = open_pairs(&p, &rows, isa);
    printf("%s: %u tokens, %zu rows, %d pairs per line\n\n", rows.name, (unsigned)rows.n_vocab,
           rows.n_rows, N_PAIRS);
    printf("| second draw | 1 − TV | (1 − TV) / (1 + TV) | gumbel | categorical |\n"
           "|---|---|---|---|---|\n");
    for (size_t c = 0; done && c < N_CHANGES; c++) {
        agreement a;
        done = measure(&p, c, &a);
        if (done)
            printf("| %s | %.3f | %.3f | %.3f | %.3f |\n", changes[c].name, a.at_most, a.at_least,
                   a.same[0], a.same[1]);
    }
    printf("\n");
    close_pairs(&p);
    bench_rows_close(&rows);
    if (!done)
        fprintf(stderr, "bench_coupling: %s: no memory, or the rows cannot be drawn from\n", path);
    return done;
}

int main(int argc, char **argv)
{
    static const char *const shipped[] = {BENCH_DATA "/gpt2bpe50k.npy",
                                          BENCH_DATA "/stories260K.npy"};
    bench_options options;
    int status = bench_options_read(&options, argc, argv, false, "");
    if (status >= 0)
        return status;
    bool is_default = bench_rows_synthetic(options.logits[0]);
    size_t n_files = is_default ? sizeof shipped / sizeof *shipped : options.n_logits;
    bool done = true;
    for (size_t i = 0; i < n_files; i++)
        done = run_file(is_default ? shipped[i] : options.logits[i], options.isas[0]) && done;
    return done ? 0 : 1;
}
