/*
 * pluck inspect: the distribution of one row as people look at it. The tokens come from
 * pluck_sampler_distribution(), the stages from pluck_trace_run(), in the state in which sample
 * makes draw 0 of the row.
 */
#include "commands/inspect.h"
#include "commands.h"
#include "doubts.h"
#include "rows.h"
#include "run_files.h"
#include "setup.h"

#include <stdlib.h>
#include <string.h>

#define LISTED_EDITS 32 /* of each stage, in JSON too */

/* The trace of draw 0. Followed are its token and those of --token, each once. */
static pluck_status trace(inspection *in, pluck_sampler *sampler, pluck_logits logits,
                          token_list follow, pluck_error *err)
{
    pluck_token *tokens = calloc(follow.n + 1, sizeof *tokens);
    if (!tokens)
        return PLUCK_ERR_NOMEM;
    pluck_trace_options options = {.max_tokens = follow.n + 1, .max_edits = LISTED_EDITS};
    pluck_status status = pluck_sampler_sample(sampler, logits, &tokens[0], err);
    size_t n = 1;
    for (size_t i = 0; i < follow.n; i++) {
        bool is_new = true;
        for (size_t j = 0; j < n; j++)
            is_new = is_new && tokens[j] != follow.tokens[i];
        if (is_new)
            tokens[n++] = follow.tokens[i];
    }
    if (status == PLUCK_OK)
        status = pluck_trace_create(&in->trace, sampler, &options, err);
    if (status == PLUCK_OK)
        status = pluck_trace_run(sampler, logits, tokens, n, in->trace, err);
    if (status == PLUCK_OK)
        in->entropy =
            pluck_trace_stage_at(in->trace, pluck_trace_stage_count(in->trace) - 1)->entropy;
    free(tokens);
    return status;
}

static pluck_status measure(inspection *in, pluck_logits logits, const token_list lists[2],
                            pluck_error *err)
{
    pluck_sampler *sampler = in->sampler;
    pluck_status status = setup_stream(sampler, in->row, &lists[0], err);
    if (status == PLUCK_OK)
        status = trace(in, sampler, logits, lists[1], err);
    uint32_t capacity = in->args->top < in->n_vocab ? (uint32_t)in->args->top : in->n_vocab;
    in->top = calloc((size_t)capacity + 1, sizeof *in->top);
    if (!in->top)
        return PLUCK_ERR_NOMEM;
    if (status == PLUCK_OK)
        status =
            pluck_sampler_distribution(sampler, logits, in->top, capacity, &in->n_survivors, err);
    in->n_top = in->n_survivors < capacity ? in->n_survivors : capacity;
    return status;
}

/* The row that --row means, read. */
static int read_row(inspection *in, source *src, pluck_logits *logits)
{
    const char *who = in->args->who;
    row_range range;
    uint64_t end = 0;
    pluck_error err;
    if (!rows_parse(in->args->row ? in->args->row : "0", &range) || !range.is_single)
        return complain(who, EXIT_USAGE, "--row: '%s' is not the number of a row", in->args->row);
    int code = rows_resolve(&range, src->info.n_rows, who, in->name, &in->row, &end);
    if (code != EXIT_DONE)
        return code;
    pluck_status status = pluck_dump_read(src->dump, in->row, src->scratch, logits, &err);
    if (status != PLUCK_OK)
        return complain(who, exit_code_of(status), "%s", err.message);
    if (!logits->data)
        return complain(who, EXIT_DATA, "%s: ended before row %llu", in->name,
                        (unsigned long long)in->row);
    return EXIT_DONE;
}

/* lists: the prompt, and the tokens to follow. */
static int inspect_row(inspection *in, source *src, const pluck_config *config,
                       const token_list lists[2])
{
    pluck_logits logits;
    pluck_sampler_options options = {.isa = PLUCK_ISA_BEST};
    pluck_error err = {PLUCK_ERR_NOMEM, "out of memory"};
    int code = setup_isa(in->args, &options.isa);
    if (code == EXIT_DONE)
        code = texts_check(&in->texts, in->args->who, in->name, src->info.n_vocab);
    if (code == EXIT_DONE)
        code = setup_prompt_check(in->args, &lists[0], src->info.n_vocab);
    if (code == EXIT_DONE)
        code = setup_tokens_check(in->args, "token", &lists[1], src->info.n_vocab);
    if (code == EXIT_DONE)
        code = read_row(in, src, &logits);
    if (code != EXIT_DONE)
        return code;
    in->n_vocab = src->info.n_vocab;
    pluck_status status = pluck_sampler_create(&in->sampler, config, in->n_vocab, &options, &err);
    if (status == PLUCK_OK)
        status = measure(in, logits, lists, &err);
    if (status != PLUCK_OK)
        code = complain(in->args->who, exit_code_of(status), "%s: row %llu: %s", in->name,
                        (unsigned long long)in->row, err.message);
    return code;
}

static int print(const inspection *in)
{
    const arguments *args = in->args;
    output outs[3] = {{.who = args->who}};
    int code = args->output ? output_open(&outs[0], args->who, args->output)
                            : run_files_open_results(&outs[0], args);
    if (code == EXIT_DONE && args->svg)
        code = output_open(&outs[1], args->who, args->svg);
    if (code == EXIT_DONE && args->csv)
        code = output_open(&outs[2], args->who, args->csv);
    if (code == EXIT_DONE && args->format == FORMAT_JSON)
        inspect_print_json(in, &outs[0]);
    else if (code == EXIT_DONE)
        inspect_print_text(in, &outs[0]);
    if (code == EXIT_DONE && args->svg)
        inspect_print_svg(in, &outs[1]);
    if (code == EXIT_DONE && args->csv)
        inspect_print_csv(in, &outs[2]);
    int close_code = outputs_close(outs, 3, code == EXIT_DONE);
    return code == EXIT_DONE ? close_code : code;
}

int cmd_inspect(const arguments *args)
{
    inspection in = {.args = args, .path = args->words[0], .name = source_name(args->words[0])};
    pluck_config *config = NULL;
    token_list lists[2] = {{NULL, 0}, {NULL, 0}};
    source src = {NULL, {0}, NULL};
    int code = setup_config(args, args->config, &config);
    if (code == EXIT_DONE)
        code = setup_seed(args, config);
    if (code == EXIT_DONE)
        code = setup_prompt(args, &lists[0]);
    if (code == EXIT_DONE)
        code = setup_tokens(args, "token", args->follow, &lists[1]);
    if (code == EXIT_DONE && args->follow && !args->explain)
        code = complain(args->who, EXIT_USAGE, "--token needs --explain");
    if (code == EXIT_DONE)
        code = texts_open(&in.texts, args);
    if (code == EXIT_DONE)
        code = source_open(args, in.path, &src);
    if (code == EXIT_DONE)
        code = texts_take(&in.texts, args->who, in.name, src.dump, src.info.n_vocab);
    if (code == EXIT_DONE) {
        warn_of_rows(args, source_name(in.path), &src, config, 0, src.info.n_rows);
        code = inspect_row(&in, &src, config, lists);
    }
    if (code == EXIT_DONE)
        code = print(&in);
    source_close(&src);
    texts_close(&in.texts);
    free(in.top);
    pluck_trace_destroy(&in.trace);
    pluck_sampler_destroy(&in.sampler);
    free(lists[0].tokens);
    free(lists[1].tokens);
    pluck_config_destroy(&config);
    return code;
}
