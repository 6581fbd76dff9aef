/*
 * pluck inspect: the distribution of one row as people look at it. The tokens come from
 * pluck_sampler_distribution(), the stages from pluck_sampler_trace(), in the state in which sample
 * makes draw 0 of the row.
 */
#include "commands.h"
#include "inspect.h"
#include "rows.h"
#include "setup.h"

#include <stdlib.h>
#include <string.h>

static pluck_status trace(inspection *in, pluck_sampler *sampler, pluck_logits logits,
                          pluck_error *err)
{
    pluck_status status = pluck_sampler_trace(sampler, logits, NULL, 0, &in->n_stages, err);
    if (status != PLUCK_OK)
        return status;
    in->stages = calloc(in->n_stages, sizeof *in->stages);
    if (in->stages == NULL)
        return PLUCK_ERR_NOMEM;
    status = pluck_sampler_trace(sampler, logits, in->stages, in->n_stages, &in->n_stages, err);
    if (status == PLUCK_OK)
        in->entropy = in->stages[in->n_stages - 1].entropy;
    return status;
}

static pluck_status measure(inspection *in, pluck_sampler *sampler, pluck_logits logits,
                            token_list prompt, pluck_error *err)
{
    pluck_status status = pluck_sampler_set_stream(sampler, in->row, err);
    for (size_t i = 0; status == PLUCK_OK && i < prompt.n; i++)
        status = pluck_sampler_accept(sampler, prompt.tokens[i], err);
    if (status == PLUCK_OK)
        status = trace(in, sampler, logits, err);
    const uint32_t capacity = in->args->top < in->n_vocab ? (uint32_t)in->args->top : in->n_vocab;
    in->top = calloc((size_t)capacity + 1, sizeof *in->top);
    if (in->top == NULL)
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
    const char *const who = in->args->who;
    row_range range;
    uint64_t end = 0;
    pluck_error err;
    if (!rows_parse(in->args->row != NULL ? in->args->row : "0", &range) || !range.is_single)
        return complain(who, EXIT_USAGE, "--row: '%s' is not the number of a row", in->args->row);
    const int code = rows_resolve(&range, src->info.n_rows, who, in->name, &in->row, &end);
    if (code != EXIT_DONE)
        return code;
    const pluck_status status = pluck_dump_read(src->dump, in->row, src->scratch, logits, &err);
    if (status != PLUCK_OK)
        return complain(who, exit_code_of(status), "%s", err.message);
    if (logits->data == NULL)
        return complain(who, EXIT_DATA, "%s: ended before row %llu", in->name,
                        (unsigned long long)in->row);
    return EXIT_DONE;
}

static int inspect_row(inspection *in, source *src, const pluck_config *config, token_list prompt)
{
    pluck_logits logits;
    pluck_sampler *sampler = NULL;
    pluck_sampler_options options = {.isa = PLUCK_ISA_BEST};
    pluck_error err = {PLUCK_ERR_NOMEM, "out of memory"};
    int code = setup_isa(in->args, &options.isa);
    if (code == EXIT_DONE)
        code = vocab_check(&in->v, in->args, in->name, src->info.n_vocab);
    if (code == EXIT_DONE)
        code = setup_prompt_check(in->args, &prompt, src->info.n_vocab);
    if (code == EXIT_DONE)
        code = read_row(in, src, &logits);
    if (code != EXIT_DONE)
        return code;
    in->n_vocab = src->info.n_vocab;
    pluck_status status = pluck_sampler_create(&sampler, config, in->n_vocab, &options, &err);
    if (status == PLUCK_OK)
        status = measure(in, sampler, logits, prompt, &err);
    if (status != PLUCK_OK)
        code = complain(in->args->who, exit_code_of(status), "%s: row %llu: %s", in->name,
                        (unsigned long long)in->row, err.message);
    pluck_sampler_destroy(&sampler);
    return code;
}

static int write(const inspection *in, const char *path,
                 void (*notation)(const inspection *in, output *out))
{
    output out;
    const char *const inputs[] = {in->path, in->args->config, in->args->vocab};
    const int code = output_open(&out, in->args->who, path, inputs, 3);
    if (code != EXIT_DONE)
        return code;
    notation(in, &out);
    return output_close(&out, true);
}

static int print(const inspection *in)
{
    const arguments *const args = in->args;
    int code = EXIT_DONE;
    if ((args->svg != NULL && strcmp(args->svg, "-") == 0) ||
        (args->csv != NULL && strcmp(args->csv, "-") == 0))
        return complain(args->who, EXIT_USAGE,
                        "--svg and --csv write files; standard output has the results");
    if (args->svg != NULL)
        code = write(in, args->svg, inspect_print_svg);
    if (code == EXIT_DONE && args->csv != NULL)
        code = write(in, args->csv, inspect_print_csv);
    if (code == EXIT_DONE)
        code = write(in, args->output,
                     args->format == FORMAT_JSON ? inspect_print_json : inspect_print_text);
    return code;
}

int cmd_inspect(const arguments *args)
{
    inspection in = {.args = args, .path = args->words[0], .name = source_name(args->words[0])};
    pluck_config *config = NULL;
    token_list prompt = {NULL, 0};
    source src = {NULL, {0}, NULL};
    int code = setup_config(args, args->config, &config);
    if (code == EXIT_DONE)
        code = setup_seed(args, config);
    if (code == EXIT_DONE)
        code = setup_prompt(args, &prompt);
    if (code == EXIT_DONE)
        code = vocab_load(&in.v, args);
    if (code == EXIT_DONE)
        code = source_open(args, in.path, &src);
    if (code == EXIT_DONE)
        code = inspect_row(&in, &src, config, prompt);
    if (code == EXIT_DONE)
        code = print(&in);
    source_close(&src);
    vocab_free(&in.v);
    free(in.top);
    free(in.stages);
    free(prompt.tokens);
    pluck_config_destroy(&config);
    return code;
}
