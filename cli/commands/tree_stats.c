/* pluck tree stats: the shape of a code tree, and what its codes cost. */
#include "model.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct stats_flags {
    call call;
    input_flags input; /* nothing */
    head_flags head;   /* nothing */
    const char *counts;
    int format;
} stats_flags;

typedef struct tree_report {
    const stats_flags *flags;
    head_model model;
    pluck_tree *built; /* from counts alone */
    int64_t *counts;   /* NULL: none */
    size_t n_counts;
    const pluck_tree *tree;
    pluck_tree_stats stats, plain; /* weighted by the counts; over tokens */
    uint32_t *histogram;           /* of code lengths, up to stats.max_length */
} tree_report;

/* The counts of a fastText model stand in its dictionary. */
static int take_counts(tree_report *r)
{
    const stats_flags *flags = r->flags;
    if (flags->counts)
        return integers_read(flags->counts, &r->counts, &r->n_counts, NULL);
    if (!r->model.text)
        return EXIT_DONE;
    r->n_counts = head_model_n_outputs(&r->model);
    r->counts = malloc(r->n_counts * sizeof *r->counts);
    if (!r->counts)
        return complain_memory();
    for (size_t i = 0; i < r->n_counts; i++)
        (void)pluck_fasttext_output(r->model.text, (uint32_t)i, &r->counts[i]);
    return EXIT_DONE;
}

static int take_tree(tree_report *r)
{
    const stats_flags *flags = r->flags;
    if (flags->call.n_words == 0) {
        pluck_error err;
        if (r->n_counts > PLUCK_MAX_VOCAB)
            return complain(EXIT_DATA, "%s: has %zu counts; expected at most %u, one per token",
                            flags->counts, r->n_counts, (unsigned)PLUCK_MAX_VOCAB);
        pluck_status status =
            pluck_tree_create_huffman(&r->built, r->counts, (uint32_t)r->n_counts, NULL, &err);
        r->tree = r->built;
        return complain_about(source_name(flags->counts), status, &err);
    }
    r->tree = pluck_head_tree(r->model.head);
    if (!r->tree)
        return complain(EXIT_DATA, "%s: is a %s head, which has no tree", flags->call.words[0],
                        pluck_head_kind_name(head_model_info(&r->model).kind));
    if (r->counts && r->n_counts != pluck_tree_n_tokens(r->tree))
        return complain(
            EXIT_DATA,
            "%s: has %zu counts, but the tree has %u tokens; expected one count per token",
            flags->counts, r->n_counts, (unsigned)pluck_tree_n_tokens(r->tree));
    return EXIT_DONE;
}

/* A draw or a log-probability takes one dot product per bit. */
static void warn_of_long_codes(const tree_report *r)
{
    enum { LONG_CODE_BITS = 64 };
    if (r->stats.max_length > LONG_CODE_BITS)
        complain(EXIT_DONE,
                 "the longest code has %u bits, which is common where counts are 0: give every "
                 "token a count of at least 1",
                 (unsigned)r->stats.max_length);
}

static int measure(tree_report *r)
{
    pluck_error err;
    r->plain = r->stats = PLUCK_INIT(pluck_tree_stats);
    pluck_status status = pluck_tree_get_stats(r->tree, NULL, &r->plain, &err);
    size_t n = (size_t)r->plain.max_length + 1;
    r->histogram = calloc(n, sizeof *r->histogram);
    if (!r->histogram)
        return complain_memory();
    r->stats.histogram = r->histogram;
    r->stats.n_histogram = n;
    if (status == PLUCK_OK)
        status = pluck_tree_get_stats(r->tree, r->counts, &r->stats, &err);
    return complain_error(status, &err);
}

static void print_text(const tree_report *r, output *out)
{
    const pluck_tree_stats *s = &r->stats;
    double loss = s->mean_length - s->entropy_bits;
    output_wrap(out);
    output_printf(out, "tokens           %u\n", (unsigned)s->n_tokens);
    output_printf(out, "code length      min %u, mean %.4f, max %u bits, over tokens\n",
                  (unsigned)s->min_length, r->plain.mean_length, (unsigned)s->max_length);
    if (!r->counts) {
        output_printf(out, "balanced         %.4f bits would be the least mean\n", s->entropy_bits);
    } else {
        output_printf(out, "entropy H        %.4f bits, of the counts\n", s->entropy_bits);
        output_printf(out, "mean by counts   %.4f bits = H + %.4f%s\n", s->mean_length, loss,
                      loss >= 0 && loss < 1 ? ", within [H, H + 1)" : "");
    }
    static const table_column columns[] = {{.title = "bits", .width = 8},
                                           {.title = "tokens", .width = 10}};
    output_char(out, '\n');
    table t = table_begin(out, columns, 2, "", "");
    for (uint32_t l = 0; l <= s->max_length; l++) {
        if (r->histogram[l] == 0)
            continue;
        table_count(&t, l);
        table_count(&t, r->histogram[l]);
        table_end_row(&t);
    }
}

static void print_json(const tree_report *r, output *out)
{
    const pluck_tree_stats *s = &r->stats;
    json_open(out, NULL, '{');
    json_count(out, "tokens", s->n_tokens);
    json_count(out, "min_length", s->min_length);
    json_count(out, "max_length", s->max_length);
    json_double(out, "mean_length", r->plain.mean_length);
    if (r->counts) {
        json_double(out, "entropy_bits", s->entropy_bits);
        json_double(out, "mean_length_by_counts", s->mean_length);
    }
    json_open(out, "lengths", '{');
    for (uint32_t l = 0; l <= s->max_length; l++) {
        char key[16];
        snprintf(key, sizeof key, "%u", (unsigned)l);
        if (r->histogram[l] > 0)
            json_count(out, key, r->histogram[l]);
    }
    output_text(out, "}}\n");
}

static int run(const void *given)
{
    const stats_flags *flags = given;
    tree_report r = {.flags = flags};
    output out;
    int code = EXIT_DONE;
    if (flags->call.n_words == 0 && !flags->counts)
        return complain(EXIT_USAGE, "needs a MODEL or --counts FILE");
    if (flags->call.n_words > 0)
        code = head_model_open_head(&r.model, &flags->head, &flags->input, flags->call.words[0]);
    if (code == EXIT_DONE)
        code = take_counts(&r);
    if (code == EXIT_DONE)
        code = take_tree(&r);
    if (code == EXIT_DONE)
        code = measure(&r);
    if (code == EXIT_DONE)
        code = output_open(&out, NULL);
    if (code == EXIT_DONE) {
        if (flags->format == FORMAT_JSON)
            print_json(&r, &out);
        else
            print_text(&r, &out);
        warn_of_long_codes(&r);
        code = output_close(&out, true);
    }
    free(r.counts);
    free(r.histogram);
    pluck_tree_destroy(&r.built);
    if (flags->call.n_words > 0)
        head_model_close(&r.model);
    return code;
}

static const flag flags[] = {
    FLAG_TITLE("Counts"),
    {FLAG(INPUT, "counts", stats_flags, counts),
     .help = "how often each token occurs: whole numbers as .npy or text, in the order of the "
             "tokens"},
    FLAG_GROUP(format_flag, stats_flags, format),
    FLAG_END,
};

const command tree_stats_command = {
    .name = "tree stats",
    .synopsis = "[MODEL] [options]",
    .summary = "print the shape of a code tree and the lengths of its codes",
    .about = "Prints the number of tokens, the code lengths, and their mean weighted by the counts "
             "next to the entropy of the counts, which is the lower limit of that mean. The tree "
             "is that of MODEL (a fastText model with hierarchical softmax, or a stored "
             "hierarchical head), or the Huffman tree of --counts.",
    COMMAND_FLAGS(flags, stats_flags),
    .examples = {"pluck tree stats model.ftz",
                 "echo 5 1 1 2 9 | pluck tree stats --counts - --format json"},
    COMMAND_WORDS(0, 1, "MODEL"),
    .words_are_inputs = true,
    .run = run,
};
