/*
 * Files of targets of any content, as a file and as a stream: the two must agree on every token or
 * on the refusal, and a token is below PLUCK_MAX_VOCAB or PLUCK_NO_TOKEN.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dump/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition, const char *what, const pluck_error *err)
{
    if (condition)
        return;
    fprintf(stderr, "%s: %s\n", what, err->message);
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    pluck_targets *opened[2] = {NULL, NULL};
    pluck_error err = {0};
    if (size == 0)
        return 0;
    for (int i = 0; i < 2; i++) {
        pluck_status status =
            plk_targets_open_memory(&opened[i], "targets", data, size, i == 1, NULL, &err);
        require(status == PLUCK_OK || status == PLUCK_ERR_FORMAT, "unexpected status", &err);
    }
    require(!opened[0] == !opened[1], "the stream is refused, the file is not", &err);
    uint64_t n = pluck_targets_count(opened[0]);
    require(n == pluck_targets_count(opened[1]) && n <= size, "counts differ", &err);
    for (uint64_t i = 0; i < n; i++) {
        pluck_token a = -2, b = -2;
        pluck_status status = pluck_targets_read(opened[0], i, 1, &a, &err);
        require(pluck_targets_read(opened[1], i, 1, &b, &err) == status, "one is refused", &err);
        require(status != PLUCK_OK || (a == b && a >= PLUCK_NO_TOKEN && a < (1 << 24)),
                "targets differ", &err);
    }
    require(pluck_targets_read(opened[0], n, 1, &(pluck_token){0}, &err) == PLUCK_ERR_INVALID,
            "read past the end", &err);
    pluck_targets_destroy(&opened[0]);
    pluck_targets_destroy(&opened[1]);
    return 0;
}
