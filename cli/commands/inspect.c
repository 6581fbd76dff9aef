/*
 * pluck inspect: the distribution of one row as people look at it. The tokens come from
 * pluck_sampler_distribution(), the stages from pluck_trace_run(), in the state in which sample
 * makes draw 0 of the row.
 */
#include "commands/inspect.h"
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
    pluck_trace_options options = {
        .struct_size = sizeof options, .max_tokens = follow.n + 1, .max_edits = LISTED_EDITS};
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
        status = pluck_trace_run(in->trace, sampler, logits, tokens, n, err);
    if (status == PLUCK_OK)
        in->report = pluck_trace_get_report(in->trace);
    if (status == PLUCK_OK)
        in->entropy = in->report->stages[in->report->n_stages - 1]->entropy;
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
    uint32_t capacity = in->flags->top < in->n_vocab ? (uint32_t)in->flags->top : in->n_vocab;
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
    row_range range;
    uint64_t end = 0;
    pluck_error err;
    int code = rows_read_one(in->flags->row, &range);
    if (code == EXIT_DONE)
        code = rows_resolve(&range, src->info.n_rows, in->name, &in->row, &end);
    if (code != EXIT_DONE)
        return code;
    pluck_status status = read_logits(src->dump, in->row, src->scratch, logits, &err);
    if (status != PLUCK_OK)
        return complain_error(status, &err);
    if (!logits->data)
        return complain(EXIT_DATA, "%s: ended before row %llu", in->name,
                        (unsigned long long)in->row);
    return EXIT_DONE;
}

/* lists: the prompt, and the tokens to follow. */
static int inspect_row(inspection *in, source *src, const pluck_config *config,
                       const token_list lists[2])
{
    pluck_logits logits;
    pluck_sampler_options options = {.struct_size = sizeof options, .isa = PLUCK_ISA_BEST};
    pluck_error err = {PLUCK_ERR_NOMEM, "out of memory"};
    texts_give(&in->texts, &options);
    int code = setup_isa(in->flags->isa, &options.isa);
    if (code == EXIT_DONE)
        code = texts_check(&in->texts, in->name, src->dump, src->info.n_vocab);
    if (code == EXIT_DONE)
        code = setup_tokens_check("prompt-tokens", &lists[0], src->info.n_vocab);
    if (code == EXIT_DONE)
        code = setup_tokens_check("token", &lists[1], src->info.n_vocab);
    if (code == EXIT_DONE)
        code = read_row(in, src, &logits);
    if (code != EXIT_DONE)
        return code;
    in->n_vocab = src->info.n_vocab;
    pluck_status status = pluck_sampler_create(&in->sampler, config, in->n_vocab, &options, &err);
    if (status == PLUCK_OK)
        status = measure(in, logits, lists, &err);
    if (status != PLUCK_OK)
        code = complain(exit_code_of(status), "%s: row %llu: %s", in->name,
                        (unsigned long long)in->row, err.message);
    return code;
}

static int print(const inspection *in)
{
    const inspect_flags *flags = in->flags;
    output outs[3] = {{.name = NULL}};
    int code = flags->output ? output_open(&outs[0], flags->output)
                             : run_files_open_results(&outs[0], &flags->call);
    if (code == EXIT_DONE && flags->svg)
        code = output_open(&outs[1], flags->svg);
    if (code == EXIT_DONE && flags->csv)
        code = output_open(&outs[2], flags->csv);
    if (code == EXIT_DONE && flags->format == FORMAT_JSON)
        inspect_print_json(in, &outs[0]);
    else if (code == EXIT_DONE)
        inspect_print_text(in, &outs[0]);
    if (code == EXIT_DONE && flags->svg)
        inspect_print_svg(in, &outs[1]);
    if (code == EXIT_DONE && flags->csv)
        inspect_print_csv(in, &outs[2]);
    return outputs_finish(outs, 3, code);
}

static int run(const void *given)
{
    const inspect_flags *flags = given;
    inspection in = {
        .flags = flags, .path = flags->call.words[0], .name = source_name(flags->call.words[0])};
    pluck_config *config = NULL;
    token_list lists[2] = {{NULL, 0}, {NULL, 0}};
    source src = {NULL, {0}, NULL};
    int code = setup_config(&flags->config, &config);
    if (code == EXIT_DONE)
        code = setup_seed(config);
    if (code == EXIT_DONE)
        code = setup_tokens("prompt-tokens", flags->prompt_tokens, &lists[0]);
    if (code == EXIT_DONE)
        code = setup_tokens("token", flags->token, &lists[1]);
    if (code == EXIT_DONE && flags->token && !flags->explain)
        code = complain(EXIT_USAGE,
                        "--token needs --explain, which prints what happened to these tokens");
    if (code == EXIT_DONE)
        code = texts_open(&in.texts, &flags->vocab);
    if (code == EXIT_DONE)
        code = source_open(&flags->input, in.path, &src);
    if (code == EXIT_DONE)
        code = texts_take(&in.texts, in.name, src.dump, src.info.n_vocab);
    if (code == EXIT_DONE) {
        warn_of_rows(source_name(in.path), &src, config, 0, src.info.n_rows);
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

static const flag flags[] = {
    FLAG_TITLE("Inspecting"),
    {FLAG(TEXT, "row", inspect_flags, row), .letter = 'r', .value = "R",
     .help = "number of the row; a negative number counts from the end (default: 0)"},
    {FLAG(COUNT, "top", inspect_flags, top), .max = PLUCK_MAX_VOCAB,
     .help = "number of tokens to list (default: 20)"},
    {FLAG(SWITCH, "explain", inspect_flags, explain),
     .help = "print what each stage did, and how the token of draw 0 was drawn"},
    {FLAG(TEXT, "token", inspect_flags, token), .value = "IDS",
     .help = "with --explain: print what happened to these tokens, separated by commas"},
    FLAG_GROUP(format_flag, inspect_flags, format),
    {FLAG(CHOICE, "color", inspect_flags, color), .value = "auto|always|never",
     .help = "when to use colour (default: auto, on a terminal unless NO_COLOR is set)"},
    {FLAG(OUTPUT, "svg", inspect_flags, svg),
     .help = "write a chart of the probabilities by rank to FILE, as SVG"},
    {FLAG(OUTPUT, "csv", inspect_flags, csv), .help = "write the list of tokens to FILE, as CSV"},
    FLAG_GROUP(prompt_flag, inspect_flags, prompt_tokens),
    FLAG_GROUP(isa_flag, inspect_flags, isa),
    FLAG_GROUP(vocab_group, inspect_flags, vocab),
    FLAG_GROUP(input_group, inspect_flags, input),
    FLAG_GROUP(output_flag, inspect_flags, output),
    FLAG_GROUP(config_group, inspect_flags, config),
    FLAG_END,
};

const command inspect_command = {
    .name = "inspect",
    .synopsis = "DUMP [--row R] [options]",
    .summary = "show the distribution of one row",
    .about = "Shows what each stage does to the row, and the most probable tokens of the final "
             "distribution: what sample draws from for this row. effective is exp(entropy): the "
             "number of equally likely tokens that would be as uncertain.\nWith --explain, each "
             "stage also shows what it removed, the bound between what it kept and what it "
             "removed, the numbers that it worked with and the logits that it changed. Then come "
             "the random numbers of draw 0 and the interval that they hit, and for each token of "
             "--token the stage that removed it and by how much it missed the bound.",
    .usual = "row top vocab temperature top-k top-p explain format",
    COMMAND_FLAGS(flags, inspect_flags),
    .defaults = &(const inspect_flags){.top = 20},
    .examples =
        {"pluck inspect logits.npy --row 3 --vocab vocab.json",
         "pluck inspect logits.npy --row 3 --top-k 5 --temperature 0.8",
         "pluck inspect logits.npy --row -1 --top-p 0.9 --top 3 --format json",
         "pluck inspect logits.npy --row 3 --top-p 0.9 --min-p 0.1 --explain --token 13,426"},
    COMMAND_WORDS(1, 1, "DUMP"),
    .words_are_inputs = true,
    .run = run,
};
