/*
 * Writes synthetic logits as a .npy file, for peers in other languages and for pluck itself.
 *
 *     write_logits KIND VOCAB_SIZE FILE
 */
#include "support/bench_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEADER_BYTES = 128 }; /* magic, version and length: 10 bytes; then text, padded */

static bool write_file(const char *path, const bench_rows *rows)
{
    char header[HEADER_BYTES + 2];
    memcpy(header, "\x93NUMPY\x01\x00\x76\x00", 10);
    char text[HEADER_BYTES - 11 + 1];
    snprintf(text, sizeof text, "{'descr': '<f4', 'fortran_order': False, 'shape': (%zu, %u), }",
             rows->n_rows, (unsigned)rows->n_vocab);
    snprintf(header + 10, sizeof header - 10, "%-*s\n", HEADER_BYTES - 11, text);
    FILE *file = fopen(path, "wb");
    if (!file) {
        perror(path);
        return false;
    }
    bool done = fwrite(header, HEADER_BYTES, 1, file) == 1;
    for (size_t row = 0; done && row < rows->n_rows; row++) {
        const void *data = bench_rows_at(rows, row).data;
        done = fwrite(data, sizeof(float), rows->n_vocab, file) == rows->n_vocab;
    }
    done = fclose(file) == 0 && done;
    if (!done)
        perror(path);
    return done;
}

int main(int argc, char **argv)
{
    unsigned long n_vocab = argc == 4 ? strtoul(argv[2], NULL, 10) : 0;
    if (n_vocab < 1 || n_vocab > PLUCK_MAX_VOCAB || !bench_rows_synthetic(argv[1])) {
        fprintf(stderr, "usage: write_logits KIND VOCAB_SIZE FILE\n");
        return 2;
    }
    bench_rows rows;
    if (!bench_rows_open(&rows, argv[1], (uint32_t)n_vocab, PLUCK_F32))
        return 1;
    bool done = write_file(argv[3], &rows);
    bench_rows_close(&rows);
    return done ? 0 : 1;
}
