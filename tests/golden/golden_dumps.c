/*
 * Files of every format that dumps come in, each read row by row: a line is the file, what it
 * holds, and a hash of its values and targets. The files are small; tests/data/README.md says how
 * they were made. Those of text formats depend on how numbers are read, the others on the order of
 * bytes.
 */
#include "golden/golden.h"

#include <pluck/dump.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    uint32_t n_vocab;
    pluck_dtype raw_dtype;
    bool needs_zlib;
} files[] = {
    {"f4.npy", 0, PLUCK_F32, false},
    {"f2_fortran.npy", 0, PLUCK_F32, false},
    {"f8_big_endian.npy", 0, PLUCK_F32, false},
    {"bfloat16.npy", 0, PLUCK_BF16, false},
    {"stored.npz", 0, PLUCK_F32, false},
    {"deflated.npz", 0, PLUCK_F32, true},
    {"f16.safetensors", 0, PLUCK_F32, false},
    {"steps.safetensors", 0, PLUCK_F32, false},
    {"bf16.pt", 0, PLUCK_F32, false},
    {"llama.kld", 0, PLUCK_F32, false},
    {"rows.jsonl", 0, PLUCK_F32, false},
    {"sparse.jsonl", 96, PLUCK_F32, false},
    {"gzip.jsonl.gz", 0, PLUCK_F32, true},
    {"rows.json", 0, PLUCK_F32, false},
    {"chat.json", 0, PLUCK_F32, false},
    {"rows.csv", 0, PLUCK_F32, false},
    {"f32.raw", 96, PLUCK_F32, false},
    {"bf16.raw", 96, PLUCK_BF16, false},
};
enum { N_FILES = sizeof files / sizeof *files };

static uint32_t hash_row(uint32_t h, const pluck_dump_row *row, size_t value_bytes)
{
    const unsigned char *values = row->logits.data;
    for (size_t i = 0; i < row->logits.n_vocab; i++) {
        uint32_t word = 0;
        uint16_t half = 0;
        if (value_bytes == sizeof word)
            memcpy(&word, values + i * value_bytes, sizeof word);
        else
            memcpy(&half, values + i * value_bytes, sizeof half);
        word |= half;
        h = golden_hash(h, &word, sizeof word);
    }
    return golden_hash(h, &row->target, sizeof row->target);
}

static void add_file(golden_text *out, const char *folder, size_t i)
{
    char path[256];
    const char *name = files[i].name;
    pluck_error err = {.status = PLUCK_OK};
    pluck_dump *dump = NULL;
    pluck_dump_info info = PLUCK_INIT(pluck_dump_info);
    pluck_dump_options options = PLUCK_INIT(pluck_dump_options);
    options.raw_n_vocab = files[i].n_vocab;
    options.raw_dtype = files[i].raw_dtype;
    snprintf(path, sizeof path, "%s/data/dumps/%s", folder, name);
    pluck_status status = pluck_dump_open(&dump, path, &options, &err);
    if (status != PLUCK_OK && files[i].needs_zlib && strstr(err.message, "zlib")) {
        golden_add(out, "%s " GOLDEN_SKIPPED "\n", name);
        return;
    }
    golden_require(status, path, &err);
    golden_require(pluck_dump_get_info(dump, &info, &err), path, &err);
    float *scratch = golden_row_buffer();
    uint32_t h = 0;
    for (uint64_t r = 0; r < info.n_rows; r++) {
        pluck_dump_row row = PLUCK_INIT(pluck_dump_row);
        golden_require(pluck_dump_read(dump, r, scratch, &row, &err), path, &err);
        h = hash_row(h, &row, pluck_dtype_size_bytes(row.logits.dtype));
        out->n_results += row.logits.n_vocab;
    }
    golden_add(out, "%s %s %" PRIu64 " %" PRIu32 " %08" PRIx32 "\n", name,
               pluck_dump_format_name(info.format), info.n_rows, info.n_vocab, h);
    pluck_dump_destroy(&dump);
    free(scratch);
}

static void add_targets(golden_text *out, const char *folder, const char *name)
{
    char path[256];
    pluck_error err = {.status = PLUCK_OK};
    pluck_targets *targets = NULL;
    pluck_token tokens[64];
    snprintf(path, sizeof path, "%s/data/%s", folder, name);
    golden_require(pluck_targets_open(&targets, path, NULL, &err), path, &err);
    size_t n = (size_t)pluck_targets_count(targets);
    n = n < sizeof tokens / sizeof *tokens ? n : sizeof tokens / sizeof *tokens;
    golden_require(pluck_targets_read(targets, 0, n, tokens, &err), path, &err);
    golden_add(out, "%s %zu %08" PRIx32 "\n", name, n, golden_hash(0, tokens, n * sizeof *tokens));
    out->n_results += n;
    pluck_targets_destroy(&targets);
}

void golden_dumps(golden_text *out, pluck_isa isa, const char *folder)
{
    (void)isa;
    for (size_t i = 0; i < N_FILES; i++)
        add_file(out, folder, i);
    add_targets(out, folder, "stories260K_targets.npy");
    add_targets(out, folder, "dumps/i2_big_endian_targets.npy");
    add_targets(out, folder, "dumps/targets.txt");
}
