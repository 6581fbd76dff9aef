/*
 * pluck tree predict: lines of text or hidden states in, labels and their probabilities out, as
 * "fasttext predict-prob" prints them.
 */
#include "commands.h"
#include "output.h"
#include "predictors.h"
#include "progress.h"
#include "setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct prediction {
    const arguments *args;
    const char *input; /* as typed, or NULL */
    head_model model;
    source src;
    line_reader lines;
    bool has_lines;
    predictor_team team;
    token_texts texts;
    output out;
    progress bar;
} prediction;

static const char *label_text(const prediction *p, const pluck_fasttext_label *label, size_t *n)
{
    if (label->text) {
        *n = strlen(label->text);
        return label->text;
    }
    return texts_get(&p->texts, (pluck_token)label->output, n);
}

static void print_json(prediction *p, uint64_t item, const pluck_fasttext_label *labels, uint32_t n)
{
    output *out = &p->out;
    output_printf(out, "{\"%s\":%llu,\"labels\":[", p->has_lines ? "line" : "row",
                  (unsigned long long)item);
    for (uint32_t i = 0; i < n; i++) {
        size_t length = 0;
        const char *text = label_text(p, &labels[i], &length);
        output_printf(out, "%s{\"label\":%u,\"prob\":", i > 0 ? "," : "",
                      (unsigned)labels[i].output);
        output_float(out, labels[i].prob);
        if (p->has_lines || p->texts.name) {
            output_text(out, ",\"text\":");
            output_json_string(out, text, length);
        }
        output_char(out, '}');
    }
    output_text(out, "]}\n");
}

/* fastText prints floats with six digits. */
static void print_text(prediction *p, const pluck_fasttext_label *labels, uint32_t n)
{
    output *out = &p->out;
    char number[32];
    for (uint32_t i = 0; i < n; i++) {
        size_t length = 0;
        const char *text = label_text(p, &labels[i], &length);
        if (i > 0)
            output_char(out, ' ');
        if (labels[i].text)
            output_shown(out, PLK_PLAIN, text, length);
        else if (p->texts.name)
            output_quoted(out, text, length);
        else
            output_printf(out, "%u", (unsigned)labels[i].output);
        snprintf(number, sizeof number, " %g", (double)(float)labels[i].prob);
        output_text(out, number);
    }
    output_char(out, '\n');
}

/* Predicts and prints items first .. first + n - 1. */
static int predict(prediction *p, uint64_t first, uint64_t n)
{
    predictor_team *team = &p->team;
    const char *what = p->has_lines ? "line" : "row";
    for (uint64_t at = 0; at < n && p->out.error == 0; at += team->n_items) {
        size_t now = n - at < team->n_items ? (size_t)(n - at) : team->n_items;
        pluck_error err;
        size_t n_done = 0;
        pluck_status status = predictors_run(team, first + at, now, &n_done, &err);
        for (size_t i = 0; i < n_done; i++) {
            const pluck_fasttext_label *labels = team->labels + i * team->n_labels;
            if (p->args->format == FORMAT_JSON)
                print_json(p, first + at + i, labels, team->n_found[i]);
            else
                print_text(p, labels, team->n_found[i]);
        }
        if (status != PLUCK_OK) {
            progress_clear(&p->bar);
            return complain(p->args->who, exit_code_of(status), "%s: %s %llu: %s",
                            p->input ? source_name(p->input) : "standard input", what,
                            (unsigned long long)(first + at + n_done), err.message);
        }
        progress_update(&p->bar, first + at + now);
    }
    return EXIT_DONE;
}

static int predict_lines(prediction *p)
{
    int code = lines_open(&p->lines, p->args->who, p->input);
    p->has_lines = code == EXIT_DONE;
    if (code == EXIT_DONE)
        code = predictors_create(&p->team, p->args, &p->model, NULL, &p->lines);
    uint64_t n_before = 0;
    while (code == EXIT_DONE && p->out.error == 0) {
        code = lines_next(&p->lines);
        if (code != EXIT_DONE || p->lines.n_lines == 0)
            break;
        p->team.first_item = n_before;
        code = predict(p, n_before, p->lines.n_lines);
        n_before += p->lines.n_lines;
        /* Whoever asked may wait for the answers before going on. */
        if (!p->out.file.temporary)
            output_flush(&p->out);
    }
    return code;
}

static int predict_rows(prediction *p)
{
    const arguments *args = p->args;
    pluck_head_info head = pluck_head_get_info(p->model.head);
    const char *path = p->input ? p->input : "-";
    int code = source_open(args, path, &p->src);
    if (code != EXIT_DONE)
        return code;
    uint64_t n_rows = p->src.info.n_rows;
    if (p->src.info.n_vocab != head.dim)
        code = complain(args->who, EXIT_DATA, "%s: rows have %u values, the head takes %u",
                        source_name(path), (unsigned)p->src.info.n_vocab, (unsigned)head.dim);
    if (code == EXIT_DONE && n_rows == PLUCK_DUMP_ROWS_UNKNOWN)
        code = complain(args->who, EXIT_DATA, "%s: raw hidden states are read from a file",
                        source_name(path));
    if (code == EXIT_DONE)
        code = texts_check(&p->texts, args->who, args->words[0], head.n_vocab);
    if (code == EXIT_DONE)
        code = predictors_create(&p->team, args, &p->model, &p->src, NULL);
    progress_start(&p->bar, n_rows, args->quiet, &p->out);
    return code == EXIT_DONE ? predict(p, 0, n_rows) : code;
}

static int check_arguments(const prediction *p)
{
    const arguments *args = p->args;
    if (args->sample && args->compat)
        return complain(args->who, EXIT_USAGE, "--sample and --compat exclude each other");
    if (!args->sample && args->draw_temperature != 1.0)
        return complain(args->who, EXIT_USAGE, "--temperature changes only what --sample draws");
    if (!p->model.text && args->compat)
        return complain(args->who, EXIT_USAGE, "--compat is for fastText models; %s is none",
                        args->words[0]);
    if (p->model.text && args->vocab)
        return complain(args->who, EXIT_USAGE, "--vocab is for stored heads; %s has its own labels",
                        args->words[0]);
    if (!p->model.head && args->sample)
        return complain(args->who, EXIT_DATA,
                        "%s: its outputs are no distribution (loss ova or ns) to draw from",
                        args->words[0]);
    return EXIT_DONE;
}

int cmd_tree_predict(const arguments *args)
{
    const char *input = args->n_words > 1 ? args->words[1] : NULL;
    prediction p = {.args = args, .input = input};
    int code = head_model_open(&p.model, args, args->words[0]);
    if (code == EXIT_DONE)
        code = check_arguments(&p);
    if (code == EXIT_DONE)
        code = texts_open(&p.texts, args);
    if (code == EXIT_DONE)
        code = output_open(&p.out, args->who, args->output);
    if (code == EXIT_DONE)
        code = p.model.text ? predict_lines(&p) : predict_rows(&p);
    progress_clear(&p.bar);
    int close_code = output_close(&p.out, code == EXIT_DONE);
    predictors_destroy(&p.team);
    if (p.has_lines)
        lines_close(&p.lines);
    if (p.src.dump)
        source_close(&p.src);
    texts_close(&p.texts);
    head_model_close(&p.model);
    return code != EXIT_DONE ? code : close_code;
}
