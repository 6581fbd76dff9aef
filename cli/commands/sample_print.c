/*
 * What pluck sample prints of a draw: a row of a table, a line of JSON, running text, or an entry
 * of "logprobs" as OpenAI's API has it (chat completions: "content", an array of {"token",
 * "logprob", "bytes", "top_logprobs"}).
 */
#include "commands/sample.h"

#include <stdio.h>
#include <string.h>

bool sample_prints_running_text(const run *all)
{
    const sample_flags *flags = all->flags;
    return flags->sequence && all->texts.name && flags->format == FORMAT_TEXT && flags->n_top == 0;
}

/* The state in which the draw was made. */
static void print_trace(job *j, const drawn_token *drawn)
{
    const run *all = j->all;
    bool is_sequence = all->flags->sequence;
    uint64_t n_before = is_sequence ? j->history.n : drawn->number;
    draw_origin origin = {.config = all->config_text,
                          .config_size_bytes = all->config_size_bytes,
                          .seed = setup_sampler_info(j->team.workers[0].sampler).seed,
                          .stream = is_sequence ? j->stream : j->row,
                          .position = all->prompt.n + n_before,
                          .prompt = all->prompt,
                          .is_sequence = is_sequence,
                          .first_row = j->first_row,
                          .row_step = j->row_step,
                          .history = j->history,
                          .n_vocab = j->src.info.n_vocab,
                          .dtype = j->src.info.dtype,
                          .hash = drawn->hash};
    print_origin(&j->all->outs[RESULTS], &origin, drawn->record);
}

/* ,"text":"…" if there are texts. */
static void print_text(const run *all, output *out, pluck_token token)
{
    size_t n = 0;
    if (!all->texts.name)
        return;
    const char *text = texts_get(&all->texts, token, &n);
    output_text(out, ",\"text\":");
    output_json_string(out, text, n);
}

/* How many of the best tokens there are. */
static uint32_t count_top(const run *all, const drawn_token *drawn)
{
    uint32_t n = 0;
    while (n < all->plan.n_top && drawn->report->top[n].token != PLUCK_NO_TOKEN)
        n++;
    return n;
}

static void print_json(job *j, const drawn_token *drawn)
{
    run *all = j->all;
    output *out = &all->outs[RESULTS];
    const pluck_draw *d = drawn->draw;
    output_char(out, '{');
    if (all->flags->call.n_words > 1) {
        output_text(out, "\"dump\":");
        output_json_string(out, j->path, strlen(j->path));
        output_char(out, ',');
    }
    output_printf(out, "\"row\":%llu,\"draw\":%llu,\"token\":%d,\"logprob\":",
                  (unsigned long long)j->row, (unsigned long long)drawn->number, (int)d->token);
    output_float(out, (double)d->logprob);
    output_printf(out, ",\"survivors\":%u", (unsigned)d->n_survivors);
    print_text(all, out, d->token);
    if (all->plan.has_raw) {
        output_text(out, ",\"raw_logprob\":");
        output_float(out, (double)drawn->raw_logprob);
    }
    if (all->plan.n_top > 0) {
        uint32_t n = count_top(all, drawn);
        output_text(out, ",\"top_logprobs\":[");
        for (uint32_t i = 0; i < n; i++) {
            const pluck_logprob *top = &drawn->report->top[i];
            output_printf(out, "%s{\"token\":%d,\"logprob\":", i > 0 ? "," : "", (int)top->token);
            output_float(out, (double)top->logprob);
            print_text(all, out, top->token);
            output_char(out, '}');
        }
        output_char(out, ']');
    }
    if (all->flags->trace)
        print_trace(j, drawn);
    output_text(out, "}\n");
}

/* "token":"…","logprob":…,"bytes":[…]. A token without a text is named by its id, as vLLM does
 * (return_tokens_as_token_ids), and has no bytes. */
static void print_openai_token(const run *all, output *out, pluck_token token, float logprob)
{
    size_t n = 0;
    const char *text = texts_get(&all->texts, token, &n);
    output_text(out, "\"token\":");
    if (all->texts.name)
        output_json_string(out, text, n);
    else
        output_printf(out, "\"token_id:%d\"", (int)token);
    output_text(out, ",\"logprob\":");
    output_float(out, (double)logprob);
    output_text(out, all->texts.name ? ",\"bytes\":[" : ",\"bytes\":null");
    for (size_t i = 0; i < n; i++)
        output_printf(out, "%s%u", i > 0 ? "," : "", (unsigned)(unsigned char)text[i]);
    output_text(out, all->texts.name ? "]" : "");
}

static void print_openai(job *j, const drawn_token *drawn)
{
    run *all = j->all;
    output *out = &all->outs[RESULTS];
    bool is_first = !all->flags->sequence || j->row == j->first_row;
    uint32_t n = count_top(all, drawn);
    if (!all->flags->sequence)
        sample_print_begin(j);
    output_text(out, is_first ? "{" : ",{");
    print_openai_token(all, out, drawn->draw->token,
                       all->plan.has_raw ? drawn->raw_logprob : drawn->draw->logprob);
    output_text(out, ",\"top_logprobs\":[");
    for (uint32_t i = 0; i < n; i++) {
        output_text(out, i > 0 ? ",{" : "{");
        print_openai_token(all, out, drawn->report->top[i].token, drawn->report->top[i].logprob);
        output_char(out, '}');
    }
    output_text(out, "]}");
    if (!all->flags->sequence)
        sample_print_end(j);
}

void sample_print_begin(job *j)
{
    if (j->all->flags->format == FORMAT_OPENAI)
        output_text(&j->all->outs[RESULTS], "{\"content\":[");
}

void sample_print_end(job *j)
{
    output *out = &j->all->outs[RESULTS];
    if (j->all->flags->format == FORMAT_OPENAI)
        output_text(out, "]}\n");
    if (!sample_prints_running_text(j->all))
        return;
    output_screen(out, &j->screen, NULL, 0);
    output_char(out, '\n');
}

void sample_print_skipped(job *j)
{
    if (j->all->flags->format == FORMAT_OPENAI)
        output_text(&j->all->outs[RESULTS], "{\"content\":null}\n");
}

/* dump comes first in CSV, and text and top last, if they are there. */
static const table_column columns[] = {
    {.title = "dump"},
    {.title = "row", .width = 8},
    {.title = "draw", .width = 8},
    {.title = "token", .width = 8},
    {.title = "logprob", .width = 12, .format = "%.6f"},
    {.title = "survivors", .width = 10},
    {.title = "text", .gap = 1},
    {.title = "top", .gap = 1},
};
enum { TEXT_COLUMN = 6 };

/* Token and log-probability of each, best first. */
static void print_top(table *t, const run *all, const drawn_token *drawn)
{
    output *out = t->out;
    uint32_t n = count_top(all, drawn);
    table_word(t, "");
    for (uint32_t i = 0; i < n; i++) {
        const pluck_logprob *top = &drawn->report->top[i];
        double logprob = top->logprob == 0.0f ? 0.0 : (double)top->logprob;
        output_printf(out, "%s%d:", i > 0 ? " " : "", (int)top->token);
        if (t->is_csv)
            output_float(out, logprob);
        else
            output_printf(out, "%.6f", logprob);
    }
}

static void print_row(job *j, const drawn_token *drawn)
{
    const run *all = j->all;
    const pluck_draw *d = drawn->draw;
    table *t = &j->all->table;
    if (strcmp(t->columns->title, "dump") == 0)
        table_text(t, j->path, strlen(j->path), 0);
    table_count(t, j->row);
    table_count(t, drawn->number);
    table_token(t, d->token);
    table_number(t, d->logprob == 0.0f ? 0.0 : (double)d->logprob);
    table_count(t, d->n_survivors);
    if (all->texts.name) {
        size_t n = 0;
        const char *text = texts_get(&all->texts, d->token, &n);
        table_text(t, text, n, all->plan.n_top > 0 ? OUTPUT_CELL_COLUMNS : OUTPUT_TEXT_COLUMNS);
    }
    if (all->plan.n_top > 0)
        print_top(t, all, drawn);
    table_end_row(t);
}

static void print_running(job *j, const pluck_draw *d)
{
    output *out = &j->all->outs[RESULTS];
    size_t n = 0;
    const char *text = texts_get(&j->all->texts, d->token, &n);
    if (out->is_terminal)
        output_screen(out, &j->screen, text, n);
    else
        output_write(out, text, n);
}

void sample_print_draw(job *j, const drawn_token *drawn)
{
    int format = j->all->flags->format;
    if (format == FORMAT_JSON)
        print_json(j, drawn);
    else if (format == FORMAT_OPENAI)
        print_openai(j, drawn);
    else if (sample_prints_running_text(j->all))
        print_running(j, drawn->draw);
    else
        print_row(j, drawn);
    progress_update(&j->all->bar, ++j->all->n_drawn);
}

/* Picks the columns that this run has; returns how many. */
static size_t choose_columns(run *all)
{
    bool has_dump = all->flags->call.n_words > 1 && all->flags->format == FORMAT_CSV;
    size_t n = 0;
    for (size_t i = has_dump ? 0 : 1; i < SAMPLE_COLUMNS; i++) {
        if ((i == TEXT_COLUMN && !all->texts.name) ||
            (i == TEXT_COLUMN + 1 && all->plan.n_top == 0))
            continue;
        all->columns[n] = columns[i];
        if (i == TEXT_COLUMN && all->plan.n_top > 0)
            all->columns[n].width = -(OUTPUT_CELL_COLUMNS + 3);
        n++;
    }
    return n;
}

void sample_print_heading(job *j, bool is_first)
{
    run *all = j->all;
    output *out = &all->outs[RESULTS];
    bool has_dump = all->flags->call.n_words > 1, is_csv = all->flags->format == FORMAT_CSV;
    size_t n = choose_columns(all);
    if (is_csv && is_first)
        all->table = table_begin_csv(out, all->columns, n);
    if (all->flags->format != FORMAT_TEXT)
        return;
    if (is_first && !sample_prints_running_text(all))
        output_wrap(out);
    if (has_dump) {
        output_printf(out, "%sdump ", is_first ? "" : "\n");
        output_quoted(out, j->path, strlen(j->path));
        output_char(out, '\n');
    }
    if (!sample_prints_running_text(all))
        all->table = table_begin(out, all->columns, n, "", "");
}
