/*
 * Each worker has a query of its own; items are handed out one by one, and results have their
 * places, so that they are printed in order.
 */
#include "predictors.h"
#include "arrays.h"

#include <math.h>
#include <stdlib.h>

enum { ITEMS_A_WORKER = 512, LABELS_AT_ONCE = 1 << 18 };

static pluck_status create_queries(const predictor_team *team, predictor *p, pluck_error *err)
{
    pluck_status status = PLUCK_OK;
    if (team->lines)
        status = pluck_fasttext_query_create(&p->text, team->model->text, NULL, err);
    if (status == PLUCK_OK && (!team->lines || team->flags->sample))
        status = pluck_head_query_create(&p->head, team->model->head, NULL, err);
    return status;
}

static int create_worker(predictor_team *team)
{
    predictor *p = &team->workers[team->n_workers++];
    pluck_error err;
    pluck_status status = create_queries(team, p, &err);
    if (status != PLUCK_OK)
        return complain(team->flags->call.who, exit_code_of(status), "%s", err.message);
    if (team->src)
        p->hidden = malloc(team->src->info.n_vocab * sizeof *p->hidden);
    if (p->head)
        p->tokens = malloc(team->n_labels * sizeof *p->tokens);
    if ((team->src && !p->hidden) || (p->head && !p->tokens))
        return complain_memory(team->flags->call.who);
    return EXIT_DONE;
}

/* Streams are read in order, and so by one. */
static size_t useful_workers(const predictor_team *team)
{
    return team->src && team->src->info.streamed ? 1
                                                 : plk_thread_count((uint32_t)team->flags->threads);
}

int predictors_create(predictor_team *team, const predict_flags *flags, const head_model *model,
                      source *src, const line_reader *lines)
{
    *team = (predictor_team){.flags = flags, .model = model, .src = src, .lines = lines};
    uint32_t n_outputs = head_model_n_outputs(model);
    bool is_all = flags->top == 0 || flags->top > n_outputs;
    team->n_labels = is_all ? n_outputs : (uint32_t)flags->top;
    size_t n_workers = useful_workers(team), wanted = ITEMS_A_WORKER * n_workers;
    size_t fits = LABELS_AT_ONCE / team->n_labels;
    team->n_items = wanted < fits ? wanted : fits > n_workers ? fits : n_workers;
    if (src && src->info.streamed)
        team->n_items = 1;
    team->workers = calloc(n_workers, sizeof *team->workers);
    team->labels = malloc(team->n_items * team->n_labels * sizeof *team->labels);
    team->n_found = malloc(team->n_items * sizeof *team->n_found);
    int code = EXIT_DONE;
    if (!team->workers || !team->labels || !team->n_found ||
        pluck_pool_create(&team->pool, (uint32_t)n_workers, NULL, NULL) != PLUCK_OK)
        code = complain_memory(flags->call.who);
    while (code == EXIT_DONE && team->n_workers < n_workers)
        code = create_worker(team);
    if (code != EXIT_DONE)
        predictors_destroy(team);
    return code;
}

void predictors_destroy(predictor_team *team)
{
    pluck_pool_destroy(&team->pool);
    for (size_t i = 0; i < team->n_workers; i++) {
        pluck_fasttext_query_destroy(&team->workers[i].text);
        pluck_head_query_destroy(&team->workers[i].head);
        free(team->workers[i].hidden);
        free(team->workers[i].tokens);
    }
    free(team->workers);
    free(team->labels);
    free(team->n_found);
    *team = (predictor_team){.flags = NULL};
}

/* ln p of a listed token before it was rounded: an adaptive head's are floats already. */
static pluck_status exact_logprob(const predictor_team *team, predictor *p, const float *hidden,
                                  pluck_logprob listed, double *logprob, pluck_error *err)
{
    *logprob = (double)listed.logprob;
    if (head_model_info(team->model).kind == PLUCK_HEAD_ADAPTIVE)
        return PLUCK_OK;
    return pluck_head_query_logprob(p->head, hidden, listed.token, logprob, err);
}

/* Tokens of the head as labels: those that reach the threshold. */
static pluck_status take_tokens(const predictor_team *team, predictor *p, const float *hidden,
                                uint32_t n, size_t place, pluck_error *err)
{
    pluck_fasttext_label *labels = team->labels + place * team->n_labels;
    uint32_t n_kept = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t label = (uint32_t)p->tokens[i].token;
        double logprob = 0;
        pluck_status status = exact_logprob(team, p, hidden, p->tokens[i], &logprob, err);
        if (status != PLUCK_OK)
            return status;
        double prob = exp(logprob);
        if (prob >= team->flags->threshold)
            labels[n_kept++] = (pluck_fasttext_label){
                label, pluck_fasttext_output(team->model->text, label, NULL), prob};
    }
    team->n_found[place] = n_kept;
    return PLUCK_OK;
}

static pluck_status from_hidden(const predictor_team *team, predictor *p, const float *hidden,
                                uint64_t item, size_t place, pluck_error *err)
{
    uint32_t n = 0;
    pluck_status status = PLUCK_OK;
    if (team->flags->sample) {
        pluck_pcg64 rng;
        pluck_pcg64_seed(&rng, team->flags->seed, item, 0);
        status = pluck_head_query_sample(p->head, hidden, team->flags->temperature, &rng,
                                         team->n_labels, p->tokens, &n, err);
    } else {
        pluck_selection best = {.struct_size = sizeof best, .top_k = team->n_labels};
        status =
            pluck_head_query_select(p->head, hidden, &best, p->tokens, team->n_labels, &n, err);
    }
    return status == PLUCK_OK ? take_tokens(team, p, hidden, n, place, err) : status;
}

static pluck_status from_line(const predictor_team *team, predictor *p, uint64_t item, size_t place,
                              pluck_error *err)
{
    const predict_flags *flags = team->flags;
    text_line line = team->lines->lines[item - team->first_item];
    const char *text = team->lines->text + line.offset;
    pluck_fasttext_label *labels = team->labels + place * team->n_labels;
    uint32_t *n = &team->n_found[place];
    if (flags->sample) {
        const float *hidden = NULL;
        pluck_status status = pluck_fasttext_query_hidden(p->text, text, line.n, &hidden, err);
        *n = 0;
        return status != PLUCK_OK || !hidden ? status
                                             : from_hidden(team, p, hidden, item, place, err);
    }
    pluck_fasttext_request request = {.struct_size = sizeof request,
                                      .k = team->n_labels,
                                      .threshold = flags->threshold,
                                      .compat = flags->compat};
    return pluck_fasttext_query_predict(p->text, text, line.n, &request, labels, n, err);
}

static pluck_status from_row(const predictor_team *team, predictor *p, uint64_t item, size_t place,
                             pluck_error *err)
{
    pluck_logits row;
    pluck_status status = read_logits(team->src->dump, item, p->hidden, &row, err);
    if (status != PLUCK_OK)
        return status;
    team->n_found[place] = 0;
    if (!row.data)
        return PLUCK_OK;
    widen_row(row, p->hidden);
    return from_hidden(team, p, p->hidden, item, place, err);
}

static pluck_status do_item(void *context, uint32_t worker, size_t place, pluck_error *err)
{
    predictor_team *team = context;
    predictor *p = &team->workers[worker];
    uint64_t item = team->first_now + place;
    return team->lines ? from_line(team, p, item, place, err) : from_row(team, p, item, place, err);
}

pluck_status predictors_run(predictor_team *team, uint64_t first, size_t n, size_t *n_done,
                            pluck_error *err)
{
    const pluck_parallel *parallel = pluck_pool_parallel(team->pool);
    team->first_now = first;
    return plk_parallel_run(parallel, (uint32_t)team->n_workers, n, do_item, team, n_done, err);
}
