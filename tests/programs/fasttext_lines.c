/*
 * Prints what a fastText model predicts for each line of a file, as "fasttext predict-prob" does,
 * for test_fasttext_peer.py: fasttext_lines MODEL TEXT K exact|compat. With "hidden" for the last
 * word: the hidden state of each line without its newline, as "fasttext print-word-vectors" does.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pluck/fasttext.h>

static int fail(const pluck_error *err)
{
    fprintf(stderr, "%s\n", err->message);
    return 1;
}

/* The line and its hidden state. */
static pluck_status print_hidden(pluck_fasttext_query *query, const pluck_fasttext *model,
                                 const char *line, size_t size, pluck_error *err)
{
    const float *hidden = NULL;
    size_t n = size > 0 && line[size - 1] == '\n' ? size - 1 : size;
    pluck_status status = pluck_fasttext_query_hidden(query, line, n, &hidden, err);
    printf("%.*s", (int)n, line);
    pluck_fasttext_info info = PLUCK_INIT(pluck_fasttext_info);
    if (status == PLUCK_OK)
        status = pluck_fasttext_get_info(model, &info, err);
    for (uint32_t i = 0; hidden && i < info.dim; i++)
        printf(" %.9g", (double)hidden[i]);
    printf("\n");
    return status;
}

int main(int argc, char **argv)
{
    pluck_error err;
    pluck_fasttext *model = NULL;
    pluck_fasttext_query *query = NULL;
    if (argc != 5)
        return 2;
    pluck_fasttext_request request = PLUCK_INIT(pluck_fasttext_request);
    request.k = (uint32_t)atoi(argv[3]);
    request.compat = strcmp(argv[4], "compat") == 0;
    FILE *text = fopen(argv[2], "r");
    if (!text)
        return 2;
    if (pluck_fasttext_open(&model, argv[1], NULL, &err) != PLUCK_OK ||
        pluck_fasttext_query_create(&query, model, NULL, &err) != PLUCK_OK)
        return fail(&err);
    pluck_fasttext_label *labels = calloc(request.k, sizeof *labels);
    char *line = NULL;
    size_t capacity = 0;
    for (ssize_t size; (size = getline(&line, &capacity, text)) >= 0;) {
        uint32_t n = 0;
        if (strcmp(argv[4], "hidden") == 0) {
            if (print_hidden(query, model, line, (size_t)size, &err) != PLUCK_OK)
                return fail(&err);
            continue;
        }
        pluck_status status =
            pluck_fasttext_query_predict(query, line, (size_t)size, &request, labels, &n, &err);
        if (status != PLUCK_OK)
            return fail(&err);
        for (uint32_t i = 0; i < n; i++)
            printf("%s%s %.9g", i ? " " : "", labels[i].text, labels[i].prob);
        printf("\n");
    }
    free(line);
    free(labels);
    fclose(text);
    pluck_fasttext_query_destroy(&query);
    pluck_fasttext_destroy(&model);
    return 0;
}
