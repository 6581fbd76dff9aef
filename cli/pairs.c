/* Pairs of hidden states and the tokens that came next. */
#include "training.h"

#include "thread/pool.h"

#include <stdint.h>
#include <stdlib.h>

static int read_targets(pair_set *pairs, const call *c, const char *hidden, const char *path)
{
    int64_t *values = NULL;
    size_t n = 0;
    plk_shape shape;
    int code = integers_read(c->who, path, &values, &n, &shape);
    if (code != EXIT_DONE)
        return code;
    if (n != pairs->hidden.n_rows)
        code = complain(c->who, EXIT_DATA, "%s: has %zu targets for %llu hidden states", path, n,
                        (unsigned long long)pairs->hidden.n_rows);
    else
        code = source_check_shape(c, hidden, &pairs->hidden.shape, path, &shape);
    pairs->targets = malloc(n * sizeof *pairs->targets);
    if (!pairs->targets)
        code = complain_memory(c->who);
    for (size_t i = 0; code == EXIT_DONE && i < n; i++) {
        if (values[i] < 0 || values[i] >= PLUCK_MAX_VOCAB)
            code = complain(c->who, EXIT_DATA, "%s: target %zu is %lld, no token", path, i,
                            (long long)values[i]);
        pairs->targets[i] = (pluck_token)values[i];
    }
    free(values);
    return code;
}

int pairs_read(pair_set *pairs, const call *c, const input_flags *input, const char *hidden,
               const char *tokens)
{
    *pairs = (pair_set){.targets = NULL};
    int code = float_rows_read(&pairs->hidden, c, input, hidden);
    if (code == EXIT_DONE && pairs->hidden.n_rows > UINT32_MAX)
        code = complain(c->who, EXIT_DATA, "%s: has more than 2^32 - 1 rows", hidden);
    if (code == EXIT_DONE)
        code = read_targets(pairs, c, hidden, tokens);
    if (code != EXIT_DONE)
        pairs_free(pairs);
    return code;
}

void pairs_free(pair_set *pairs)
{
    float_rows_free(&pairs->hidden);
    free(pairs->targets);
    *pairs = (pair_set){.targets = NULL};
}

int pairs_check(const pair_set *pairs, const call *c, const char *hidden, const char *tokens,
                uint32_t n_tokens, uint32_t dim)
{
    if (pairs->hidden.n_cols != dim)
        return complain(c->who, EXIT_DATA, "%s: rows have %u values, expected %u", hidden,
                        (unsigned)pairs->hidden.n_cols, (unsigned)dim);
    for (uint64_t i = 0; i < pairs->hidden.n_rows; i++)
        if ((uint32_t)pairs->targets[i] >= n_tokens)
            return complain(c->who, EXIT_DATA,
                            "%s: row %llu: the target is %d, but there are %u tokens (0 to %u)",
                            tokens, (unsigned long long)i, (int)pairs->targets[i],
                            (unsigned)n_tokens, (unsigned)n_tokens - 1);
    return EXIT_DONE;
}

int pairs_loss(const pair_set *pairs, const call *c, const pluck_head *head, uint32_t n_threads,
               double *loss)
{
    size_t n = (size_t)pairs->hidden.n_rows;
    pluck_head_batch batch = {.hidden = pairs->hidden.values, .n_rows = n, .n_threads = n_threads};
    double *logprobs = malloc(n * sizeof *logprobs);
    pluck_error err;
    if (!logprobs)
        return complain_memory(c->who);
    pluck_status status =
        pluck_head_logprob_rows(head, &batch, pairs->targets, logprobs, NULL, &err);
    double sum = 0;
    for (size_t i = 0; status == PLUCK_OK && i < n; i++)
        sum -= logprobs[i];
    *loss = sum / (double)n;
    free(logprobs);
    return status == PLUCK_OK ? EXIT_DONE
                              : complain(c->who, exit_code_of(status), "%s", err.message);
}
