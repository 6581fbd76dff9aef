/*
 * fastText models of any content. The first byte is the length of a line of text, which follows;
 * the rest is the model. What opens must predict, exactly and by fastText's arithmetic, without
 * touching anything outside of the model; probabilities must be in order and between 0 and 1.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pluck/fasttext.h>

enum { MAX_LABELS = 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition, const char *what, const pluck_error *err)
{
    if (condition)
        return;
    fprintf(stderr, "%s: %s\n", what, err->message);
    abort();
}

static void predict(pluck_fasttext *model, const char *line, size_t size)
{
    pluck_error err = {0};
    pluck_fasttext_query *query = NULL;
    pluck_fasttext_request request = {.struct_size = sizeof request, .k = MAX_LABELS};
    pluck_fasttext_request compat = {.struct_size = sizeof compat, .k = MAX_LABELS, .compat = true};
    pluck_fasttext_label labels[MAX_LABELS];
    uint32_t n = 0;
    if (pluck_fasttext_query_create(&query, model, NULL, &err) != PLUCK_OK)
        return;
    pluck_status status =
        pluck_fasttext_query_predict(query, line, size, &request, labels, &n, &err);
    require(status == PLUCK_OK || status == PLUCK_ERR_NAN || status == PLUCK_ERR_EMPTY,
            "unexpected status", &err);
    for (uint32_t i = 0; status == PLUCK_OK && i < n; i++) {
        require(labels[i].prob >= 0 && labels[i].prob <= 1, "probability out of range", &err);
        require(i == 0 || labels[i].prob <= labels[i - 1].prob, "out of order", &err);
        require(labels[i].text && strlen(labels[i].text) < SIZE_MAX, "no text", &err);
    }
    status = pluck_fasttext_query_predict(query, line, size, &compat, labels, &n, &err);
    require(status == PLUCK_OK || status == PLUCK_ERR_NAN, "unexpected status", &err);
    pluck_fasttext_query_destroy(&query);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t line_size = size > 0 ? data[0] : 0;
    pluck_error err = {0};
    pluck_fasttext *model = NULL;
    if (size < 2 + line_size)
        return 0;
    const uint8_t *line = data + 1, *bytes = line + line_size;
    pluck_status status =
        pluck_fasttext_open_memory(&model, "fuzzed", bytes, size - 1 - line_size, NULL, &err);
    require(status == PLUCK_OK || status == PLUCK_ERR_FORMAT || status == PLUCK_ERR_NOMEM,
            "unexpected status", &err);
    if (status == PLUCK_OK)
        predict(model, (const char *)line, line_size);
    pluck_fasttext_destroy(&model);
    return 0;
}
