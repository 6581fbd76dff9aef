/*
 * A worker keeps the row that it read
 * last, so that a row of many portions is read and started once a worker; a dump that is streamed
 * has one worker, which is all that its order allows.
 */
#include "workers.h"

#include <stdlib.h>

enum { PORTIONS_A_WORKER = 8 };

static int create_worker(worker_team *team, bool has_trace, const pluck_config *config,
                         const token_texts *texts, pluck_isa isa, const char *name)
{
    worker *w = &team->workers[team->n_workers];
    uint32_t n_vocab = team->src->info.n_vocab;
    pluck_sampler_options options = {.struct_size = sizeof options, .isa = isa};
    pluck_error err;
    texts_give(texts, &options);
    w->scratch = malloc(n_vocab * sizeof *w->scratch);
    if (!w->scratch)
        return complain_memory();
    pluck_status status = pluck_sampler_create(&w->sampler, config, n_vocab, &options, &err);
    if (status == PLUCK_OK && has_trace)
        status = pluck_trace_create(&w->trace, w->sampler, NULL, &err);
    if (status != PLUCK_OK) {
        pluck_sampler_destroy(&w->sampler);
        free(w->scratch);
        return complain_about(name, status, &err);
    }
    team->n_workers++;
    return EXIT_DONE;
}

int workers_create(worker_team *team, bool has_trace, const pluck_config *config,
                   const token_texts *texts, pluck_isa isa, const token_list *prompt, source *src,
                   const char *name, size_t n_workers)
{
    *team = (worker_team){.src = src, .prompt = prompt};
    team->n_portions = n_workers > 1 ? n_workers * PORTIONS_A_WORKER : 1;
    team->workers = calloc(n_workers, sizeof *team->workers);
    team->portions = calloc(team->n_portions, sizeof *team->portions);
    int code = EXIT_DONE;
    if (!team->workers || !team->portions ||
        pluck_pool_create(&team->pool, (uint32_t)n_workers, NULL, NULL) != PLUCK_OK)
        code = complain_memory();
    for (size_t i = 0; code == EXIT_DONE && has_trace && i < team->n_portions; i++) {
        team->portions[i].records = calloc(DRAWS_AT_ONCE, sizeof *team->portions[i].records);
        if (!team->portions[i].records)
            code = complain_memory();
    }
    while (code == EXIT_DONE && team->n_workers < n_workers)
        code = create_worker(team, has_trace, config, texts, isa, name);
    if (code != EXIT_DONE)
        workers_destroy(team);
    return code;
}

void workers_destroy(worker_team *team)
{
    pluck_pool_destroy(&team->pool);
    for (size_t i = 0; i < team->n_workers; i++) {
        pluck_trace_destroy(&team->workers[i].trace);
        pluck_sampler_destroy(&team->workers[i].sampler);
        free(team->workers[i].scratch);
    }
    for (size_t i = 0; team->portions && i < team->n_portions; i++)
        free(team->portions[i].records);
    free(team->workers);
    free(team->portions);
    *team = (worker_team){0};
}

/* Reads the row and goes to its stream, unless the worker is there. */
static portion_state take_row(const worker_team *team, worker *w, uint64_t row, pluck_error *err)
{
    if (w->has_row && w->row == row)
        return PORTION_DONE;
    w->has_row = false;
    if (read_logits(team->src->dump, row, w->scratch, &w->logits, err) != PLUCK_OK)
        return PORTION_UNREAD;
    if (!w->logits.data)
        return PORTION_ENDED;
    if (setup_stream(w->sampler, row, team->prompt, err) != PLUCK_OK)
        return PORTION_FAILED;
    w->row = row;
    w->has_row = true;
    w->hash = w->trace ? row_hash(w->logits) : 0;
    return PORTION_DONE;
}

/* A failure is the portion's: whoever prints the results says it in its place. */
static pluck_status do_portion(void *context, uint32_t number, size_t i, pluck_error *err)
{
    worker_team *team = context;
    worker *w = &team->workers[number];
    portion *p = &team->portions[i];
    (void)err;
    p->state = take_row(team, w, p->row, &p->err);
    if (p->state != PORTION_DONE)
        return PLUCK_OK;
    uint64_t position = team->prompt->n + p->first_draw;
    if (pluck_sampler_set_position(w->sampler, position, &p->err) != PLUCK_OK ||
        pluck_sampler_draw_many(w->sampler, w->logits, p->n_draws, p->draws, &p->err) != PLUCK_OK)
        p->state = PORTION_FAILED;
    p->hash = w->hash;
    for (size_t d = 0; w->trace && p->state == PORTION_DONE && d < p->n_draws; d++)
        if (pluck_sampler_set_position(w->sampler, position + d, &p->err) != PLUCK_OK ||
            record_draw(w->sampler, w->logits, w->trace, &p->records[d], &p->err) != PLUCK_OK)
            p->state = PORTION_FAILED;
    return PLUCK_OK;
}

void workers_run(worker_team *team, size_t n)
{
    const pluck_parallel *parallel = pluck_pool_parallel(team->pool);
    plk_parallel_run(parallel, (uint32_t)team->n_workers, n, do_portion, team, NULL, NULL);
}
