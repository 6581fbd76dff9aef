/*
 * A worker keeps the row that it read
 * last, so that a row of many portions is read and started once a worker; a dump that is streamed
 * has one worker, which is all that its order allows.
 */
#include "workers.h"

#include <stdlib.h>

enum { PORTIONS_A_WORKER = 8 };

static size_t mask_words(uint32_t n_vocab)
{
    return ((size_t)n_vocab + 31) / 32;
}

static int create_worker(worker_team *team, const pluck_config *config, const token_texts *texts,
                         pluck_isa isa, const char *name)
{
    worker *w = &team->workers[team->n_workers];
    uint32_t n_vocab = team->src->info.n_vocab;
    pluck_sampler_options options = {.struct_size = sizeof options, .isa = isa};
    pluck_error err;
    texts_give(texts, &options);
    w->scratch = malloc(n_vocab * sizeof *w->scratch);
    if (team->plan->mask)
        w->mask = malloc(mask_words(n_vocab) * sizeof *w->mask);
    if (!w->scratch || (team->plan->mask && !w->mask)) {
        free(w->scratch);
        free(w->mask);
        return complain_memory();
    }
    pluck_status status = pluck_sampler_create(&w->sampler, config, n_vocab, &options, &err);
    if (status == PLUCK_OK && team->plan->has_trace)
        status = pluck_trace_create(&w->trace, w->sampler, NULL, &err);
    if (status != PLUCK_OK) {
        pluck_sampler_destroy(&w->sampler);
        free(w->scratch);
        free(w->mask);
        return complain_about(name, status, &err);
    }
    team->n_workers++;
    return EXIT_DONE;
}

static bool reserve_report(const worker_plan *plan, uint32_t n_vocab, row_report *report)
{
    if (plan->has_kept)
        report->kept = malloc(n_vocab * sizeof *report->kept);
    if (plan->n_top > 0)
        report->top = calloc(plan->n_top, sizeof *report->top);
    if (plan->has_raw)
        report->raw = calloc(DRAWS_AT_ONCE, sizeof *report->raw);
    return (report->top || plan->n_top == 0) && (report->raw || !plan->has_raw) &&
           (report->kept || !plan->has_kept);
}

static bool reserve_portion(const worker_plan *plan, uint32_t n_vocab, portion *p)
{
    if (plan->has_trace)
        p->records = calloc(DRAWS_AT_ONCE, sizeof *p->records);
    return (p->records || !plan->has_trace) && reserve_report(plan, n_vocab, &p->report);
}

int workers_create(worker_team *team, const worker_plan *plan, const pluck_config *config,
                   const token_texts *texts, pluck_isa isa, const token_list *prompt, source *src,
                   const char *name, size_t n_workers)
{
    *team = (worker_team){.plan = plan, .src = src, .prompt = prompt};
    team->n_portions = n_workers > 1 ? n_workers * PORTIONS_A_WORKER : 1;
    team->workers = calloc(n_workers, sizeof *team->workers);
    team->portions = calloc(team->n_portions, sizeof *team->portions);
    int code = EXIT_DONE;
    if (!team->workers || !team->portions ||
        pluck_pool_create(&team->pool, (uint32_t)n_workers, NULL, NULL) != PLUCK_OK)
        code = complain_memory();
    for (size_t i = 0; code == EXIT_DONE && i < team->n_portions; i++)
        if (!reserve_portion(plan, src->info.n_vocab, &team->portions[i]))
            code = complain_memory();
    while (code == EXIT_DONE && team->n_workers < n_workers)
        code = create_worker(team, config, texts, isa, name);
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
        free(team->workers[i].mask);
    }
    for (size_t i = 0; team->portions && i < team->n_portions; i++) {
        free(team->portions[i].records);
        free(team->portions[i].report.top);
        free(team->portions[i].report.raw);
        free(team->portions[i].report.kept);
    }
    free(team->workers);
    free(team->portions);
    *team = (worker_team){0};
}

pluck_status workers_mask(const worker_team *team, worker *w, uint64_t row, pluck_error *err)
{
    uint32_t n_vocab = team->src->info.n_vocab;
    if (!team->plan->mask)
        return PLUCK_OK;
    pluck_status status = kept_sets_mask(team->plan->mask, row, n_vocab, w->mask, err);
    if (status != PLUCK_OK)
        return status;
    return pluck_sampler_set_mask(w->sampler, w->mask, mask_words(n_vocab), err);
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
    if (workers_mask(team, w, row, err) != PLUCK_OK)
        return PORTION_UNREAD;
    w->row = row;
    w->has_row = true;
    w->hash = w->trace ? row_hash(w->logits) : 0;
    return PORTION_DONE;
}

pluck_status workers_report(const worker_team *team, worker *w, pluck_logits logits, size_t n,
                            const pluck_draw *draws, row_report *report, pluck_error *err)
{
    const worker_plan *plan = team->plan;
    pluck_outputs outputs = PLUCK_INIT(pluck_outputs);
    if (plan->n_top == 0 && !plan->has_raw && !plan->has_kept)
        return PLUCK_OK;
    if (plan->has_kept) {
        outputs.kept_offsets = report->kept_offsets;
        outputs.kept = report->kept;
        outputs.kept_capacity = team->src->info.n_vocab;
        outputs.kept_log_mass = &report->kept_log_mass;
    }
    outputs.n_top = plan->n_top;
    outputs.top_kind = plan->top_kind;
    outputs.top = report->top;
    for (size_t i = 0; i < n; i++)
        w->tokens[i] = draws[i].token;
    outputs.n_given = (uint32_t)n;
    outputs.given = w->tokens;
    outputs.given_kind = PLUCK_LOGPROB_RAW;
    outputs.given_logprobs = report->raw;
    return pluck_sampler_run(w->sampler, logits, &outputs, err);
}

static pluck_status draw_portion(const worker_team *team, worker *w, portion *p)
{
    uint64_t position = team->prompt->n + p->first_draw;
    pluck_status status = pluck_sampler_set_position(w->sampler, position, &p->err);
    p->n_drawn = p->n_draws;
    if (status != PLUCK_OK)
        return status;
    if (team->plan->is_distinct)
        status = pluck_sampler_draw_distinct(w->sampler, w->logits, p->n_draws, p->draws,
                                             &p->n_drawn, &p->err);
    else
        status = pluck_sampler_draw_many(w->sampler, w->logits, p->n_draws, p->draws, &p->err);
    if (status == PLUCK_OK)
        status = workers_report(team, w, w->logits, p->n_drawn, p->draws, &p->report, &p->err);
    for (size_t d = 0; w->trace && status == PLUCK_OK && d < p->n_drawn; d++) {
        status = pluck_sampler_set_position(w->sampler, position + d, &p->err);
        if (status == PLUCK_OK)
            status = record_draw(w->sampler, w->logits, w->trace, &p->records[d], &p->err);
    }
    return status;
}

/* A failure is the portion's: whoever prints the results says it in its place. */
static pluck_status do_portion(void *context, uint32_t number, size_t i, pluck_error *err)
{
    worker_team *team = context;
    worker *w = &team->workers[number];
    portion *p = &team->portions[i];
    (void)err;
    p->state = take_row(team, w, p->row, &p->err);
    if (p->state == PORTION_DONE && draw_portion(team, w, p) != PLUCK_OK)
        p->state = PORTION_FAILED;
    p->hash = w->hash;
    return PLUCK_OK;
}

void workers_run(worker_team *team, size_t n)
{
    const pluck_parallel *parallel = pluck_pool_parallel(team->pool);
    plk_parallel_run(parallel, (uint32_t)team->n_workers, n, do_portion, team, NULL, NULL);
}
