/* Pairs of hidden states and the tokens that came next. */
#include "training.h"

#include "thread/pool.h"

#include <stdint.h>
#include <stdlib.h>

uint32_t training_threads(const arguments *args)
{
    return plk_thread_count((uint32_t)args->threads);
}

static int read_targets(pair_set *pairs, const arguments *args, const char *hidden,
                        const char *path)
{
    int64_t *values = NULL;
    size_t n = 0;
    plk_shape shape;
    int code = integers_read(args->who, path, &values, &n, &shape);
    if (code != EXIT_DONE)
        return code;
    if (n != pairs->hidden.n_rows)
        code = complain(args->who, EXIT_DATA, "%s: has %zu targets for %llu hidden states", path, n,
                        (unsigned long long)pairs->hidden.n_rows);
    else
        code = source_check_shape(args, hidden, &pairs->hidden.shape, path, &shape);
    pairs->targets = malloc(n * sizeof *pairs->targets);
    if (!pairs->targets)
        code = complain_memory(args->who);
    for (size_t i = 0; code == EXIT_DONE && i < n; i++) {
        if (values[i] < 0 || values[i] >= PLUCK_MAX_VOCAB)
            code = complain(args->who, EXIT_DATA, "%s: target %zu is %lld, no token", path, i,
                            (long long)values[i]);
        pairs->targets[i] = (pluck_token)values[i];
    }
    free(values);
    return code;
}

int pairs_read(pair_set *pairs, const arguments *args, const char *hidden, const char *targets)
{
    *pairs = (pair_set){.targets = NULL};
    int code = float_rows_read(&pairs->hidden, args, hidden);
    if (code == EXIT_DONE && pairs->hidden.n_rows > UINT32_MAX)
        code = complain(args->who, EXIT_DATA, "%s: has more than 2^32 - 1 rows", hidden);
    if (code == EXIT_DONE)
        code = read_targets(pairs, args, hidden, targets);
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

int pairs_check(const pair_set *pairs, const arguments *args, const char *hidden,
                const char *targets, uint32_t n_tokens, uint32_t dim)
{
    if (pairs->hidden.n_cols != dim)
        return complain(args->who, EXIT_DATA, "%s: rows have %u values, expected %u", hidden,
                        (unsigned)pairs->hidden.n_cols, (unsigned)dim);
    for (uint64_t i = 0; i < pairs->hidden.n_rows; i++)
        if ((uint32_t)pairs->targets[i] >= n_tokens)
            return complain(args->who, EXIT_DATA,
                            "%s: row %llu: the target is %d, but there are %u tokens (0 to %u)",
                            targets, (unsigned long long)i, (int)pairs->targets[i],
                            (unsigned)n_tokens, (unsigned)n_tokens - 1);
    return EXIT_DONE;
}

int pairs_loss(const pair_set *pairs, const arguments *args, const pluck_head *head,
               uint32_t n_threads, double *loss)
{
    size_t n = (size_t)pairs->hidden.n_rows;
    pluck_head_batch batch = {.hidden = pairs->hidden.values, .n_rows = n, .n_threads = n_threads};
    double *logprobs = malloc(n * sizeof *logprobs);
    pluck_error err;
    if (!logprobs)
        return complain_memory(args->who);
    pluck_status status =
        pluck_head_logprob_rows(head, &batch, pairs->targets, logprobs, NULL, &err);
    double sum = 0;
    for (size_t i = 0; status == PLUCK_OK && i < n; i++)
        sum -= logprobs[i];
    *loss = sum / (double)n;
    free(logprobs);
    return status == PLUCK_OK ? EXIT_DONE
                              : complain(args->who, exit_code_of(status), "%s", err.message);
}
