/*
 * Each worker has a query of its own; items are handed out one by one, and results have their
 * places, so that they are printed in order.
 *
 * pluck tree predict: lines of text or hidden states in, labels and their probabilities out, as
 * "fasttext predict-prob" prints them.
 */
#include "model.h"
#include "setup.h"

#include "base/scalar_math.h"
#include "thread/thread.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct predict_flags {
    call call;
    input_flags input;
    head_flags head;
    vocab_flags vocab;
    const char *output;
    uint64_t top, seed, threads;
    double threshold, temperature;
    int format;
    bool sample, compat;
} predict_flags;

typedef struct predictor {
    pluck_fasttext_query *text; /* NULL: hidden states */
    pluck_head_query *head;     /* NULL: a fastText model that is not drawn from */
    float *hidden;              /* one row; NULL for text */
    pluck_logprob *tokens;      /* n_labels; NULL for a fastText model that is not drawn from */
} predictor;

typedef struct predictor_team {
    const predict_flags *flags;
    const head_model *model;
    source *src;              /* of hidden states; NULL for text */
    const line_reader *lines; /* of text; NULL for hidden states */
    uint32_t n_labels;        /* the limit per item: --top, or all */
    uint64_t first_now;       /* number of the first item of this run */
    uint64_t first_item;      /* number of the first item in the input: its random stream */
    pluck_pool *pool;
    predictor *workers;
    size_t n_workers;
    size_t n_items;               /* the limit at a time */
    pluck_fasttext_label *labels; /* [n_items, n_labels]; text is NULL for hidden states */
    uint32_t *n_found;            /* [n_items] */
} predictor_team;

enum { ITEMS_A_WORKER = 512, LABELS_AT_ONCE = 1 << 18 };

static int create_worker(predictor_team *team)
{
    predictor *p = &team->workers[team->n_workers++];
    pluck_error err;
    pluck_status status = PLUCK_OK;
    if (team->lines)
        status = pluck_fasttext_query_create(&p->text, team->model->text, NULL, &err);
    if (status == PLUCK_OK && (!team->lines || team->flags->sample))
        status = pluck_head_query_create(&p->head, team->model->head, NULL, &err);
    if (status != PLUCK_OK)
        return complain_error(status, &err);
    if (team->src)
        p->hidden = malloc(team->src->info.n_vocab * sizeof *p->hidden);
    if (p->head)
        p->tokens = malloc(team->n_labels * sizeof *p->tokens);
    if ((team->src && !p->hidden) || (p->head && !p->tokens))
        return complain_memory();
    return EXIT_DONE;
}

static void predictors_destroy(predictor_team *team)
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

static int predictors_create(predictor_team *team, const predict_flags *flags,
                             const head_model *model, source *src, const line_reader *lines)
{
    *team = (predictor_team){.flags = flags, .model = model, .src = src, .lines = lines};
    uint32_t n_outputs = head_model_n_outputs(model);
    bool is_all = flags->top == 0 || flags->top > n_outputs;
    team->n_labels = is_all ? n_outputs : (uint32_t)flags->top;
    /* Streams are read in order, and so by one. */
    size_t n_workers = src && src->info.streamed ? 1 : plk_thread_count((uint32_t)flags->threads);
    size_t wanted = ITEMS_A_WORKER * n_workers;
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
        code = complain_memory();
    while (code == EXIT_DONE && team->n_workers < n_workers)
        code = create_worker(team);
    if (code != EXIT_DONE)
        predictors_destroy(team);
    return code;
}

/* Tokens of the head as labels: those that reach the threshold. */
static pluck_status take_tokens(const predictor_team *team, predictor *p, const float *hidden,
                                uint32_t n, size_t place, pluck_error *err)
{
    pluck_fasttext_label *labels = team->labels + place * team->n_labels;
    uint32_t n_kept = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t label = (uint32_t)p->tokens[i].token;
        /* ln p before it was rounded: those of an adaptive head are floats already. */
        double logprob = (double)p->tokens[i].logprob;
        pluck_status status = PLUCK_OK;
        if (head_model_info(team->model).kind != PLUCK_HEAD_ADAPTIVE)
            status = pluck_head_query_logprob(p->head, hidden, p->tokens[i].token, &logprob, err);
        if (status != PLUCK_OK)
            return status;
        double prob = plk_exp(logprob);
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

typedef struct prediction {
    const predict_flags *flags;
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
    json_open(out, NULL, '{');
    json_count(out, p->has_lines ? "line" : "row", item);
    json_open(out, "labels", '[');
    for (uint32_t i = 0; i < n; i++) {
        size_t length = 0;
        const char *text = label_text(p, &labels[i], &length);
        json_open(out, NULL, '{');
        json_count(out, "label", labels[i].output);
        json_float(out, "prob", labels[i].prob);
        if (p->has_lines || p->texts.name) {
            json_key(out, "text");
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
        team->first_now = first + at;
        pluck_status status =
            plk_parallel_run(pluck_pool_parallel(team->pool), (uint32_t)team->n_workers, now,
                             do_item, team, &n_done, &err);
        for (size_t i = 0; i < n_done; i++) {
            const pluck_fasttext_label *labels = team->labels + i * team->n_labels;
            if (p->flags->format == FORMAT_JSON)
                print_json(p, first + at + i, labels, team->n_found[i]);
            else
                print_text(p, labels, team->n_found[i]);
        }
        if (status != PLUCK_OK) {
            progress_clear(&p->bar);
            return complain(exit_code_of(status), "%s: %s %llu: %s",
                            p->input ? source_name(p->input) : "standard input", what,
                            (unsigned long long)(first + at + n_done), err.message);
        }
        progress_update(&p->bar, first + at + now);
    }
    return EXIT_DONE;
}

static int predict_lines(prediction *p)
{
    int code = lines_open(&p->lines, p->input);
    p->has_lines = code == EXIT_DONE;
    if (code == EXIT_DONE)
        code = predictors_create(&p->team, p->flags, &p->model, NULL, &p->lines);
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
    const predict_flags *flags = p->flags;
    pluck_head_info head = head_model_info(&p->model);
    const char *path = p->input ? p->input : "-";
    int code = source_open(&flags->input, path, &p->src);
    if (code != EXIT_DONE)
        return code;
    uint64_t n_rows = p->src.info.n_rows;
    if (p->src.info.n_vocab != head.dim)
        code = complain(EXIT_DATA,
                        "%s: rows have %u values, the head takes %u; expected the same number",
                        source_name(path), (unsigned)p->src.info.n_vocab, (unsigned)head.dim);
    if (code == EXIT_DONE && n_rows == PLUCK_DUMP_ROWS_UNKNOWN)
        code = complain(EXIT_DATA,
                        "%s: raw hidden states cannot be read from a stream; store them as a file",
                        source_name(path));
    if (code == EXIT_DONE)
        code = texts_check(&p->texts, flags->call.words[0], NULL, head.n_vocab);
    if (code == EXIT_DONE)
        code = predictors_create(&p->team, flags, &p->model, &p->src, NULL);
    progress_start(&p->bar, n_rows, &p->out);
    return code == EXIT_DONE ? predict(p, 0, n_rows) : code;
}

static int check_arguments(const prediction *p)
{
    const predict_flags *flags = p->flags;
    if (flags->sample && flags->compat)
        return complain(EXIT_USAGE, "--sample cannot be combined with --compat; tokens are drawn "
                                    "from the exact probabilities");
    if (!flags->sample && flags->temperature != 1.0)
        return complain(EXIT_USAGE, "--temperature needs --sample; it changes only what is drawn");
    if (!p->model.text && flags->compat)
        return complain(EXIT_USAGE, "--compat is for fastText models; %s is not one",
                        flags->call.words[0]);
    if (p->model.text && flags->vocab.file)
        return complain(EXIT_USAGE, "--vocab is for stored heads; %s has its own labels",
                        flags->call.words[0]);
    if (!p->model.head && flags->sample)
        return complain(EXIT_DATA,
                        "%s: its outputs are not a distribution (loss ova or ns), so nothing can "
                        "be drawn from them",
                        flags->call.words[0]);
    return EXIT_DONE;
}

static int run(const void *given)
{
    const predict_flags *flags = given;
    const char *input = flags->call.n_words > 1 ? flags->call.words[1] : NULL;
    prediction p = {.flags = flags, .input = input};
    int code = head_model_open(&p.model, &flags->head, &flags->input, flags->call.words[0]);
    if (code == EXIT_DONE)
        code = check_arguments(&p);
    if (code == EXIT_DONE)
        code = texts_open(&p.texts, &flags->vocab);
    if (code == EXIT_DONE)
        code = output_open(&p.out, flags->output);
    if (code == EXIT_DONE)
        code = p.model.text ? predict_lines(&p) : predict_rows(&p);
    progress_clear(&p.bar);
    code = output_finish(&p.out, code);
    predictors_destroy(&p.team);
    if (p.has_lines)
        lines_close(&p.lines);
    if (p.src.dump)
        source_close(&p.src);
    texts_close(&p.texts);
    head_model_close(&p.model);
    return code;
}

static const flag flags[] = {
    FLAG_TITLE("Predicting"),
    {FLAG(COUNT, "top", predict_flags, top), .letter = 'k', .max = PLUCK_MAX_VOCAB,
     .help = "number of labels per line, the most probable ones; 0: all (default: 1)"},
    {FLAG(NUMBER, "threshold", predict_flags, threshold), .value = "P", .high = 1,
     .help = "print only labels of at least this probability (default: 0)"},
    {FLAG(SWITCH, "sample", predict_flags, sample),
     .help = "draw N different labels per line (N of --top) instead of the most probable ones, and "
             "print them in the order drawn"},
    {FLAG(NUMBER, "temperature", predict_flags, temperature), .letter = 't', .value = "T",
     .high = 1000000,
     .help = "with --sample: draw from the probabilities to the power 1/T (default: 1)"},
    {FLAG(COUNT, "seed", predict_flags, seed), .max = UINT64_MAX,
     .help = "with --sample: the seed; line or row r, counted from 0, uses stream r (default: 0)"},
    {FLAG(SWITCH, "compat", predict_flags, compat),
     .help = "print the probabilities that fastText prints: its arithmetic adds 1e-5 inside each "
             "logarithm"},
    {FLAG(TEXT, "label-prefix", predict_flags, head.label_prefix), .value = "TEXT",
     .help = "text that labels begin with (default: __label__)"},
    FLAG_GROUP(threads_flag, predict_flags, threads),
    FLAG_GROUP(format_flag, predict_flags, format),
    FLAG_GROUP(quiet_flag, predict_flags, call),
    FLAG_GROUP(head_group, predict_flags, head),
    FLAG_GROUP(vocab_group, predict_flags, vocab),
    FLAG_GROUP(input_group, predict_flags, input),
    FLAG_GROUP(output_flag, predict_flags, output),
    FLAG_END,
};

const command tree_predict_command = {
    .name = "tree predict",
    .synopsis = "MODEL [INPUT] [options]",
    .summary = "predict labels for lines of text, or tokens for hidden states",
    .about = "With a fastText model (.bin, .ftz): for each line of INPUT (standard input if it is "
             "not given) prints the most probable labels, each followed by its probability, as "
             "'fasttext predict-prob MODEL INPUT N' does; a line without any known word gives an "
             "empty line. Probabilities are exact; fastText's own are a little larger "
             "(--compat).\nWith a head (.safetensors, or the weights of a dense head as .npy): "
             "INPUT holds one hidden state per row, and the labels are tokens.",
    .usual = "top threshold sample temperature threads format",
    COMMAND_FLAGS(flags, predict_flags),
    .defaults = &(const predict_flags){.top = 1, .threads = 1, .temperature = 1},
    .examples = {"pluck tree predict model.ftz -k 3 < lines.txt",
                 "pluck tree predict model.ftz lines.txt -k 5 --threshold 0.1 --threads 0",
                 "pluck tree predict model.ftz lines.txt --sample --temperature 0.7 --seed 7 "
                 "--format json"},
    COMMAND_WORDS(1, 2, "MODEL"),
    .words_are_inputs = true,
    .run = run,
};
