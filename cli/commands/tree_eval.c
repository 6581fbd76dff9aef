/* pluck tree eval: what a head is worth on pairs, and what its answers cost. */
#include "base/platform.h"
#include "base/scalar_math.h"
#include "model.h"

#include <math.h>

typedef struct eval_flags {
    call call;
    input_flags input;
    head_flags head;
    uint64_t seed;
    double temperature;
    int format;
} eval_flags;

typedef enum question { ASK_LOGPROB, ASK_SAMPLE, ASK_GREEDY, N_QUESTIONS } question;

typedef struct evaluation {
    const eval_flags *flags;
    head_model model;
    pair_set pairs;
    progress bar;
    double loss;
    uint64_t n_hits; /* rows whose most probable token is the target */
    double microseconds[N_QUESTIONS], dots[N_QUESTIONS];
} evaluation;

/* Processor time, which stands still while other programs run. */
static double now(void)
{
    return 1e-3 * (double)plk_thread_cpu_ns();
}

static pluck_status ask(evaluation *e, pluck_head_query *query, question what, uint64_t row,
                        pluck_error *err)
{
    const float *hidden = e->pairs.hidden.values + row * e->pairs.hidden.n_cols;
    pluck_selection greedy = {.struct_size = sizeof greedy, .top_k = 1};
    pluck_logprob found = {.token = 0};
    uint32_t n = 0;
    double logprob = 0;
    pluck_status status = PLUCK_OK;
    pluck_pcg64 rng;
    switch (what) {
    case ASK_LOGPROB:
        status = pluck_head_query_logprob(query, hidden, e->pairs.targets[row], &logprob, err);
        e->loss -= logprob;
        break;
    case ASK_SAMPLE:
        pluck_pcg64_seed(&rng, e->flags->seed, row, 0);
        status =
            pluck_head_query_sample(query, hidden, e->flags->temperature, &rng, 1, &found, &n, err);
        break;
    default:
        status = pluck_head_query_select(query, hidden, &greedy, &found, 1, &n, err);
        e->n_hits += found.token == e->pairs.targets[row];
    }
    return status;
}

static int measure(evaluation *e)
{
    uint64_t n = e->pairs.hidden.n_rows;
    pluck_head_query *query = NULL;
    pluck_head_stats cost = PLUCK_INIT(pluck_head_stats);
    pluck_error err;
    progress_start(&e->bar, N_QUESTIONS * n, NULL);
    pluck_status status = pluck_head_query_create(&query, e->model.head, NULL, &err);
    for (int q = 0; q < N_QUESTIONS && status == PLUCK_OK; q++) {
        uint64_t n_dots = 0;
        double start = now();
        for (uint64_t row = 0; row < n && status == PLUCK_OK; row++) {
            progress_update(&e->bar, (uint64_t)q * n + row);
            status = ask(e, query, (question)q, row, &err);
            if (status == PLUCK_OK)
                status = pluck_head_query_get_stats(query, &cost, &err);
            n_dots += cost.n_dots;
        }
        e->microseconds[q] = (now() - start) / (double)n;
        e->dots[q] = (double)n_dots / (double)n;
    }
    progress_clear(&e->bar);
    e->loss /= (double)n;
    pluck_head_query_destroy(&query);
    return complain_error(status, &err);
}

static const char *const names[N_QUESTIONS] = {"logprob", "sample", "top1"};

static void print_json(const evaluation *e, output *out)
{
    pluck_head_info info = head_model_info(&e->model);
    json_open(out, NULL, '{');
    json_string(out, "kind", pluck_head_kind_name(info.kind));
    json_count(out, "tokens", info.n_vocab);
    json_count(out, "dim", info.dim);
    json_count(out, "rows", e->pairs.hidden.n_rows);
    json_float(out, "loss", e->loss);
    json_float(out, "perplexity", plk_exp(e->loss));
    json_float(out, "accuracy", (double)e->n_hits / (double)e->pairs.hidden.n_rows);
    for (int q = 0; q < N_QUESTIONS; q++)
        output_printf(out, ",\"%s\":{\"us\":%.3f,\"dots\":%.1f}", names[q], e->microseconds[q],
                      e->dots[q]);
    output_text(out, "}\n");
}

static void print_text(const evaluation *e, output *out)
{
    static const table_column columns[] = {
        {.title = "", .width = -8},
        {.title = "us per token", .width = 14, .format = "%.2f"},
        {.title = "dot products", .width = 18, .format = "%.1f"},
    };
    pluck_head_info info = head_model_info(&e->model);
    uint64_t n = e->pairs.hidden.n_rows;
    output_wrap(out);
    output_printf(out, "%s head, %u tokens, dim %u; %llu rows\n", pluck_head_kind_name(info.kind),
                  (unsigned)info.n_vocab, (unsigned)info.dim, (unsigned long long)n);
    output_printf(out, "loss %.4f nats, perplexity %.4f, top-1 accuracy %.4f\n\n", e->loss,
                  plk_exp(e->loss), (double)e->n_hits / (double)n);
    table t = table_begin(out, columns, 3, "", "");
    for (int q = 0; q < N_QUESTIONS; q++) {
        table_word(&t, names[q]);
        table_number(&t, e->microseconds[q]);
        table_number(&t, e->dots[q]);
        table_end_row(&t);
    }
}

static int run(const void *given)
{
    const eval_flags *flags = given;
    evaluation e = {.flags = flags};
    output out;
    int code = head_model_open_head(&e.model, &flags->head, &flags->input, flags->call.words[0]);
    if (code == EXIT_DONE)
        code = pairs_read(&e.pairs, &flags->input, flags->call.words[1], flags->call.words[2]);
    if (code == EXIT_DONE) {
        pluck_head_info info = head_model_info(&e.model);
        code = pairs_check(&e.pairs, flags->call.words[1], flags->call.words[2], info.n_vocab,
                           info.dim);
    }
    if (code == EXIT_DONE)
        code = measure(&e);
    if (code == EXIT_DONE)
        warn_of_loss(flags->call.words[2], e.pairs.hidden.n_rows, head_model_info(&e.model).n_vocab,
                     e.loss);
    if (code == EXIT_DONE)
        code = output_open(&out, NULL);
    if (code == EXIT_DONE) {
        if (flags->format == FORMAT_JSON)
            print_json(&e, &out);
        else
            print_text(&e, &out);
        code = output_close(&out, true);
    }
    pairs_free(&e.pairs);
    head_model_close(&e.model);
    return code;
}

static const flag flags[] = {
    FLAG_TITLE("Measuring"),
    {FLAG(NUMBER, "temperature", eval_flags, temperature), .letter = 't', .value = "T",
     .high = 1000000, .help = "temperature of the tokens that are drawn (default: 1)"},
    {FLAG(COUNT, "seed", eval_flags, seed), .max = UINT64_MAX,
     .help = "seed of the tokens that are drawn (default: 0)"},
    FLAG_GROUP(format_flag, eval_flags, format),
    FLAG_GROUP(quiet_flag, eval_flags, call),
    FLAG_GROUP(head_group, eval_flags, head),
    FLAG_GROUP(map_group, eval_flags, input),
    FLAG_END,
};

const command tree_eval_command = {
    .name = "tree eval",
    .synopsis = "HEAD HIDDEN TARGETS [options]",
    .summary = "print the perplexity of a head, and the cost of its answers",
    .about = "For each pair of hidden state and target, asks a head for the probability of the "
             "target, for a drawn token and for the most probable token. Prints loss and "
             "perplexity, how often the most probable token is the target, and for each of the "
             "three questions the processor time and the number of dot products per token.",
    COMMAND_FLAGS(flags, eval_flags),
    .defaults = &(const eval_flags){.temperature = 1},
    .examples = {"pluck tree eval head.npy valid_hidden.npy valid_next.npy --bias bias.npy"},
    COMMAND_WORDS(3, 3, "HEAD HIDDEN TARGETS"),
    .words_are_inputs = true,
    .run = run,
};
