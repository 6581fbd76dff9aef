/*
 * What a batch costs beside single calls: 256 sequences, each with a row of logits of its own, on
 * the wall's clock, because threads are what it is about. The single calls are made by one thread
 * with the same samplers; both do every row once in a repetition, in turn.
 *
 *     bench_batch [--isa LIST] [--vocab-size LIST] [--dtype LIST] [--logits LIST] [--only TEXT]
 *                 [--json FILE] [--quick]
 *
 * "sharing" is batch time * threads / single time: 1 is perfect. On a machine with fewer idle
 * processors than threads it says how busy the machine is, and nothing else; "processor", the
 * processor time of all threads over that of the single calls, then still says what sharing adds.
 */
#include "support/bench_options.h"
#include "support/bench_rows.h"
#include "support/chains.h"
#include "support/clock.h"
#include "support/records.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { N_ROWS = 256, MAX_REPETITIONS = 40 };

static const uint32_t thread_counts[] = {1, 2};
enum { N_COUNTS = sizeof thread_counts / sizeof *thread_counts };

typedef struct batch {
    pluck_pool *pool;
    uint32_t n_threads; /* of a batch */
    pluck_workspace *workspace;
    pluck_sampler *samplers[N_ROWS];
    unsigned char *copies; /* a row for each sampler, as an engine has them */
    pluck_logits logits[N_ROWS];
    pluck_matrix rows;
    pluck_token single[N_ROWS], tokens[N_ROWS];
    pluck_error err;
} batch;

static void close_batch(batch *b)
{
    for (size_t i = 0; i < N_ROWS; i++)
        pluck_sampler_destroy(&b->samplers[i]);
    pluck_workspace_destroy(&b->workspace);
    pluck_pool_destroy(&b->pool);
    free(b->copies);
}

/* The pool with all its threads, or with the calling one. */
static void run_tasks(void *user, size_t n, void (*task)(void *data, uint32_t worker, size_t item),
                      void *data)
{
    const batch *b = user;
    const pluck_parallel *pool = pluck_pool_parallel(b->pool);
    if (b->n_threads > 1)
        pool->run(pool->user, n, task, data);
    for (size_t i = 0; b->n_threads == 1 && i < n; i++)
        task(data, 0, i);
}

static bool open_batch(batch *b, const bench_rows *rows, const bench_chain *chain, pluck_isa isa)
{
    uint32_t most = thread_counts[N_COUNTS - 1];
    memset(b, 0, sizeof *b);
    b->copies = malloc(N_ROWS * rows->row_bytes);
    const pluck_parallel parallel = {.run = run_tasks, .user = b, .n_workers = most};
    if (!b->copies || pluck_pool_create(&b->pool, most, NULL, NULL) != PLUCK_OK ||
        pluck_workspace_create(&b->workspace, rows->n_vocab, &parallel, NULL, NULL) != PLUCK_OK) {
        fprintf(stderr, "bench: no memory for %d rows\n", N_ROWS);
        close_batch(b);
        return false;
    }
    b->rows = (pluck_matrix){.data = b->copies,
                             .dtype = rows->dtype,
                             .n_cols = rows->n_vocab,
                             .n_rows = N_ROWS,
                             .row_stride_bytes = rows->row_bytes};
    for (size_t i = 0; i < N_ROWS; i++) {
        pluck_sampler_options options = {
            .struct_size = sizeof options, .isa = isa, .stream = i, .workspace = b->workspace};
        pluck_logits row = bench_rows_at(rows, i);
        unsigned char *copy = b->copies + i * rows->row_bytes;
        memcpy(copy, row.data, rows->n_vocab * pluck_dtype_size_bytes(rows->dtype));
        b->logits[i] = (pluck_logits){copy, row.dtype, row.n_vocab};
        b->samplers[i] = bench_chain_create(chain, rows->n_vocab, &options);
        if (!b->samplers[i]) {
            close_batch(b);
            return false;
        }
    }
    return true;
}

static bool run_single(batch *b)
{
    pluck_status status = PLUCK_OK;
    for (size_t i = 0; i < N_ROWS && status == PLUCK_OK; i++)
        status = pluck_sampler_sample(b->samplers[i], b->logits[i], &b->single[i], &b->err);
    return status == PLUCK_OK;
}

static bool run_batch(batch *b, uint32_t threads)
{
    pluck_outputs outputs = PLUCK_INIT(pluck_outputs);
    outputs.tokens = b->tokens;
    b->n_threads = threads;
    return pluck_workspace_run(b->workspace, b->samplers, &b->rows, &outputs, &b->err) ==
               PLUCK_OK &&
           memcmp(b->tokens, b->single, sizeof b->tokens) == 0;
}

static bool accept_all(batch *b)
{
    pluck_status status = PLUCK_OK;
    for (size_t i = 0; i < N_ROWS && status == PLUCK_OK; i++)
        status = pluck_sampler_accept(b->samplers[i], b->single[i], &b->err);
    return status == PLUCK_OK;
}

typedef struct batch_times {
    double wall[N_COUNTS + 1][MAX_REPETITIONS];
    double cpu[N_COUNTS + 1][MAX_REPETITIONS];
    double cost[N_COUNTS][MAX_REPETITIONS];
    double cpu_ratio[N_COUNTS][MAX_REPETITIONS];
} batch_times;

/* Processor time of all threads. */
static double process_ns(void)
{
    struct timespec t = {0, 0};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return 1e9 * (double)t.tv_sec + (double)t.tv_nsec;
}

/* Subject 0 is the single calls, subject t the batch with the t-th number of threads. */
static bool run_subject(batch *b, size_t subject)
{
    return subject == 0 ? run_single(b) : run_batch(b, thread_counts[subject - 1]);
}

/* One untimed repetition starts the threads. The order changes from one to the next, because what
 * comes first finds other rows in the caches. */
static bool measure(batch *b, size_t n_repetitions, batch_times *times)
{
    bool done = true;
    for (size_t r = 0; r <= n_repetitions && done; r++) {
        size_t at = r > 0 ? r - 1 : 0;
        done = run_single(b);
        for (size_t i = 0; i <= N_COUNTS && done; i++) {
            size_t subject = (i + r) % (N_COUNTS + 1);
            double start = bench_now_ns(), cpu_start = process_ns();
            done = run_subject(b, subject);
            times->wall[subject][at] = bench_now_ns() - start;
            times->cpu[subject][at] = process_ns() - cpu_start;
        }
        for (size_t t = 0; t < N_COUNTS; t++) {
            times->cost[t][at] = times->wall[t + 1][at] * thread_counts[t] / times->wall[0][at];
            times->cpu_ratio[t][at] = times->cpu[t + 1][at] / times->cpu[0][at];
        }
        done = done && accept_all(b);
    }
    if (!done)
        fprintf(stderr, "bench: a batch failed, or gave other tokens than single calls: %s\n",
                b->err.message);
    return done;
}

static void report(bench_records *records, const bench_rows *rows, const bench_chain *chain,
                   const char *isa, size_t n, batch_times *times)
{
    bench_spread single = bench_spread_of(times->wall[0], n);
    for (size_t t = 0; t < N_COUNTS; t++) {
        bench_spread ns = bench_spread_of(times->wall[t + 1], n);
        bench_spread cost = bench_spread_of(times->cost[t], n);
        bench_spread cpu = bench_spread_of(times->cpu_ratio[t], n);
        printf("%-16s %7s %7u %12.1f %12.1f %8.2f %5.2f-%-6.2f %8.2f %5.2f-%-6.2f\n", chain->name,
               isa, (unsigned)thread_counts[t], single.median / 1e3, ns.median / 1e3, cost.median,
               cost.p10, cost.p90, cpu.median, cpu.p10, cpu.p90);
        bench_record_begin(records);
        bench_record_text(records, "chain", chain->name);
        bench_record_text(records, "isa", isa);
        bench_record_text(records, "logits", rows->name);
        bench_record_integer(records, "n_vocab", rows->n_vocab);
        bench_record_text(records, "dtype", pluck_dtype_name(rows->dtype));
        bench_record_integer(records, "batch_rows", N_ROWS);
        bench_record_integer(records, "threads", thread_counts[t]);
        bench_record_measure(records, "single_ns", single);
        bench_record_measure(records, "batch_ns", ns);
        bench_record_measure(records, "sharing_ratio", cost);
        bench_record_measure(records, "cpu_ratio", cpu);
        bench_record_end(records);
    }
}

static bool run_chain(bench_records *records, const bench_options *options, const bench_rows *rows,
                      const bench_chain *chain, pluck_isa isa)
{
    static batch b;
    static batch_times times;
    size_t n = options->quick ? 5 : MAX_REPETITIONS;
    if (!open_batch(&b, rows, chain, isa))
        return false;
    pluck_sampler_info info = PLUCK_INIT(pluck_sampler_info);
    bool done =
        measure(&b, n, &times) && pluck_sampler_get_info(b.samplers[0], &info, NULL) == PLUCK_OK;
    if (done)
        report(records, rows, chain, pluck_isa_name(info.isa), n, &times);
    close_batch(&b);
    return done;
}

static bool run_rows(bench_records *records, const bench_options *options, const bench_rows *rows)
{
    const char *only = options->only ? options->only : "default";
    bool done = true;
    bench_rows_describe(rows);
    printf("%d rows: copies of these, %.0f MB in all\n", N_ROWS,
           (double)rows->row_bytes * N_ROWS / 1e6);
    printf("%-16s %7s %7s %12s %12s %21s %21s\n", "chain", "isa", "threads", "single us",
           "batch us", "sharing   p10-p90", "processor   p10-p90");
    for (size_t i = 0; i < options->n_isas; i++)
        for (size_t c = 0; c < bench_chain_count(); c++) {
            const bench_chain *chain = bench_chain_at(c);
            char lacking[64];
            bool wanted =
                options->only ? strstr(chain->name, only) != NULL : strcmp(chain->name, only) == 0;
            if (wanted && !bench_chain_lacks(chain, lacking, sizeof lacking))
                done = run_chain(records, options, rows, chain, options->isas[i]) && done;
        }
    return done;
}

int main(int argc, char **argv)
{
    bench_options options;
    bench_records *records = NULL;
    int status = bench_options_read(&options, argc, argv, false, "");
    if (status >= 0)
        return status;
    if (!bench_records_open(&records, options.json, "bench_batch", false))
        return 2;
    bench_warm_up(0.3);
    bool done = true;
    for (size_t l = 0; l < options.n_logits; l++) {
        size_t n_sizes = bench_rows_synthetic(options.logits[l]) ? options.n_sizes : 1;
        for (size_t i = 0; i < n_sizes * options.n_dtypes; i++) {
            bench_rows rows;
            if (!bench_rows_open(&rows, options.logits[l], options.n_vocab[i / options.n_dtypes],
                                 options.dtypes[i % options.n_dtypes])) {
                done = false;
                continue;
            }
            done = run_rows(records, &options, &rows) && done;
            bench_rows_close(&rows);
        }
    }
    done = bench_records_close(&records) && done;
    return done ? 0 : 1;
}
