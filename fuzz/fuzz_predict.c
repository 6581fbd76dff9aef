/*
 * Text for pluck tree predict: any bytes are cut into lines as the command does, and each line
 * into words, subwords and n-grams of a small model, that of corpus/fasttext/subwords. A line must
 * end in labels; whole or as a stream makes no difference.
 *
 * PLUCK_FUZZ_MODEL names the model: meson.build and scripts/fuzz set it.
 */
#define _GNU_SOURCE
#include "model.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <pluck/fasttext.h>

enum { MAX_LABELS = 3 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition, const char *what, const pluck_error *err)
{
    if (condition)
        return;
    fprintf(stderr, "%s: %s\n", what, err->message);
    abort();
}

static pluck_fasttext_query *the_query(void)
{
    static pluck_fasttext *model;
    static pluck_fasttext_query *query;
    pluck_error err = {0};
    const char *path = getenv("PLUCK_FUZZ_MODEL");
    if (query)
        return query;
    require(path != NULL, "PLUCK_FUZZ_MODEL is not set", &err);
    require(pluck_fasttext_open(&model, path, NULL, &err) == PLUCK_OK, "model", &err);
    require(pluck_fasttext_query_create(&query, model, NULL, &err) == PLUCK_OK, "query", &err);
    return query;
}

static void predict(const char *line, size_t n)
{
    pluck_error err = {0};
    pluck_fasttext_request request = {.struct_size = sizeof request, .k = MAX_LABELS};
    pluck_fasttext_request compat = {.struct_size = sizeof compat, .k = MAX_LABELS, .compat = true};
    pluck_fasttext_label labels[MAX_LABELS];
    uint32_t n_labels = 0;
    pluck_status status =
        pluck_fasttext_query_predict(the_query(), line, n, &request, labels, &n_labels, &err);
    require(status == PLUCK_OK || status == PLUCK_ERR_EMPTY, "unexpected status", &err);
    for (uint32_t i = 0; status == PLUCK_OK && i < n_labels; i++)
        require(labels[i].prob >= 0 && labels[i].prob <= 1 && labels[i].text, "labels", &err);
    status = pluck_fasttext_query_predict(the_query(), line, n, &compat, labels, &n_labels, &err);
    require(status == PLUCK_OK || status == PLUCK_ERR_EMPTY, "unexpected status", &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    line_reader reader;
    size_t n_bytes = 0;
    int fd = memfd_create("text", MFD_CLOEXEC);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (fd < 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
        abort();
    if (lines_open(&reader, path) != EXIT_DONE)
        abort();
    while (lines_next(&reader) == EXIT_DONE && reader.n_lines > 0)
        for (size_t i = 0; i < reader.n_lines; i++) {
            n_bytes += reader.lines[i].n;
            predict(reader.text + reader.lines[i].offset, reader.lines[i].n);
        }
    if (n_bytes > 2 * size)
        abort();
    lines_close(&reader);
    close(fd);
    return 0;
}
