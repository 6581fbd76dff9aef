/*
 * Lines for pluck replay of any content: what is read must have tokens of its own vocabulary.
 *
 *     fuzz_replay -close_fd_mask=2 CORPUS      refusals are told on standard error
 */
#include "trace_line.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_tokens(const token_list *list, uint32_t n_vocab)
{
    for (size_t i = 0; i < list->n; i++)
        if (list->tokens[i] < 0 || (uint32_t)list->tokens[i] >= n_vocab)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FILE *file = size > 0 ? fmemopen((void *)(uintptr_t)data, size, "r") : NULL;
    line_source lines = {.name = "lines", .file = file};
    bool is_end = !file;
    while (!is_end && next_line(&lines, &is_end) == EXIT_DONE && !is_end) {
        replay_line line;
        if (replay_line_read(&lines, &line) != EXIT_DONE)
            continue;
        check_tokens(&line.origin.prompt, line.origin.n_vocab);
        check_tokens(&line.origin.history, line.origin.n_vocab);
        if (line.dump && strlen(line.dump) > size)
            abort();
        replay_line_free(&line);
    }
    free(lines.text);
    if (file)
        fclose(file);
    return 0;
}
