/*
 * pluck tree fit and pluck tree distill: a hierarchical head from pairs, or from another head.
 *
 * The loop stands still after every step, which takes milliseconds to seconds, and asks whether a
 * signal came. A signal only sets a flag: the step is finished, the checkpoint written, and then
 * the process ends by that signal. A second signal ends it at once, the unfinished files removed.
 */
#include "model.h"
#include "run_files.h"
#include "run_ranks.h"
#include "setup.h"

#include "base/alloc.h"
#include "base/platform_program.h"
#include "base/scalar_math.h"
#include "file/file.h"
#include "thread/thread.h"

#include <pluck/head.h>

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct training_flags {
    call call;
    input_flags input;
    head_flags head; /* of the teacher */
    const char *counts, *vectors, *start, *validation, *validation_targets, *checkpoint, *output;
    uint64_t epochs, seed, threads;
    double rate, l2;
    int tree, format;
    bool keep_zero_counts, no_bias, resume, overwrite;
} training_flags;

/* Where what is learned is kept. */
typedef struct checkpoint {
    const training_flags *flags;
    const char *path; /* NULL: the head is written without one */
    char *memory;     /* of path, if the output named it */
    char *target;     /* behind all links: what is removed in the end */
    bool output_is_file;
    bool is_own; /* this run has written it or goes on from it */
} checkpoint;

typedef struct training {
    const training_flags *flags;
    pair_set pairs, validation; /* validation may be empty */
    head_model teacher;         /* of distill */
    head_model start;           /* --start */
    uint32_t n_tokens;
    pluck_tree *tree;
    pluck_pool *pool;
    pluck_trainer *trainer;
    checkpoint checkpoint;
    bool is_saved; /* the head */
    output out;
    progress bar;
    double dense_loss; /* of the teacher on the pairs that are judged by */
} training;

/* A shard has its nodes alone, and only until it ends. */
static bool has_shards(void)
{
    return ranks_get() && ranks_get()->avoids_passes;
}

static int refuse_with_shards(const training_flags *flags)
{
    if (!has_shards())
        return EXIT_DONE;
    if (flags->validation)
        return complain(EXIT_USAGE,
                        "--validation cannot be combined with %s: it needs the whole head after "
                        "every epoch; leave it out, and measure the head with pluck tree eval",
                        ranks_name());
    if (flags->checkpoint || flags->resume || flags->overwrite)
        return complain(EXIT_USAGE,
                        "--%s cannot be combined with %s: a shard has its nodes alone; one that is "
                        "interrupted is run again",
                        flags->checkpoint ? "checkpoint"
                        : flags->resume   ? "resume"
                                          : "overwrite",
                        ranks_name());
    return EXIT_DONE;
}

/* Only the output's name gives a checkpoint a name of its own. */
static int name(checkpoint *c)
{
    const char *head = c->flags->output;
    pluck_allocator allocator = plk_allocator_or_default(NULL);
    plk_place place;
    pluck_error err;
    pluck_status status = plk_place_find(&place, head, &allocator, &err);
    if (status != PLUCK_OK)
        return complain_error(status, &err);
    c->output_is_file = place.kind == PLK_PLACE_FILE;
    plk_place_free(&place);
    c->path = c->flags->checkpoint;
    if (c->path || !c->output_is_file || has_shards())
        return EXIT_DONE;
    size_t size = strlen(head) + sizeof ".checkpoint";
    c->memory = malloc(size);
    if (!c->memory)
        return complain_memory();
    snprintf(c->memory, size, "%s.checkpoint", head);
    c->path = c->memory;
    return EXIT_DONE;
}

static int check_place(checkpoint *c)
{
    const training_flags *flags = c->flags;
    pluck_allocator allocator = plk_allocator_or_default(NULL);
    plk_place place;
    pluck_error err;
    pluck_status status = plk_place_find(&place, c->path, &allocator, &err);
    if (status != PLUCK_OK)
        return complain_error(status, &err);
    if (place.kind != PLK_PLACE_FILE)
        return complain(EXIT_USAGE,
                        "%s: is not a regular file; expected a regular file for the checkpoint "
                        "(--checkpoint FILE)",
                        c->path);
    c->target = place.target;
    if (place.exists && !flags->resume && !flags->overwrite)
        return complain(EXIT_USAGE,
                        "%s: a checkpoint is there already; --resume continues from it, "
                        "--overwrite replaces it, --checkpoint uses another file",
                        c->path);
    return EXIT_DONE;
}

/* Names the checkpoint, and refuses one that is there unless --resume or --overwrite is given, or
 * that is not a file. */
static int checkpoint_check(checkpoint *c, const training_flags *flags)
{
    c->flags = flags;
    if (flags->resume && flags->overwrite)
        return complain(EXIT_USAGE, "--resume continues from the checkpoint and cannot be combined "
                                    "with --overwrite, which replaces it");
    int code = name(c);
    if (code == EXIT_DONE && !c->path && (flags->resume || flags->overwrite))
        return complain(EXIT_USAGE,
                        "-o %s: is not a regular file, so the checkpoint cannot get its name from "
                        "it; give --checkpoint FILE",
                        flags->output);
    if (code == EXIT_DONE && c->memory)
        code = run_files_check(&flags->call, c->path);
    if (code == EXIT_DONE && c->path)
        code = check_place(c);
    return code;
}

static void checkpoint_free(checkpoint *c)
{
    pluck_allocator allocator = plk_allocator_or_default(NULL);
    free(c->memory);
    plk_free(&allocator, c->target);
    *c = (checkpoint){.path = NULL};
}

/* With --resume, puts the trainer where the checkpoint is. */
static int checkpoint_resume(checkpoint *c, pluck_trainer *trainer)
{
    pluck_error err;
    if (!c->flags->resume)
        return EXIT_DONE;
    pluck_status status = pluck_trainer_restore(trainer, c->path, &err);
    c->is_own = status == PLUCK_OK;
    return complain_error(status, &err);
}

static int checkpoint_save(checkpoint *c, const pluck_trainer *trainer)
{
    pluck_error err;
    /* The library does not tell the name of its unfinished file: no signal comes in between. */
    plk_signals_hold(true);
    pluck_status status = pluck_trainer_save(trainer, c->path, &err);
    c->is_own = c->is_own || status == PLUCK_OK;
    plk_signals_hold(false);
    return complain_error(status, &err);
}

/* Removes what this run has written: its work is in the head now. */
static int checkpoint_remove(checkpoint *c)
{
    int error_code = c->is_own ? plk_file_remove(c->target) : 0;
    if (error_code == 0 || error_code == ENOENT)
        return EXIT_DONE;
    return complain_system(c->path, NULL, error_code);
}

enum { TREE_HUFFMAN, TREE_BALANCED, TREE_CLUSTERS };

static int64_t *count_targets(const training *t, const pair_set *pairs)
{
    int64_t *counts = calloc(t->n_tokens, sizeof *counts);
    for (uint64_t i = 0; counts && i < pairs->hidden.n_rows; i++)
        counts[pairs->targets[i]]++;
    return counts;
}

/* Huffman's procedure chains tokens that never occurred: thousands of them give codes of thousands
 * of bits. Counted once, they share a balanced subtree. */
static void raise_zeros(const training *t, int64_t *counts)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->n_tokens; i++)
        if (counts[i] == 0) {
            counts[i] = 1;
            n++;
        }
    if (n > 0)
        note("%u of %u tokens never occur and are counted once; --keep-zero-counts counts them "
             "as 0",
             (unsigned)n, (unsigned)t->n_tokens);
}

static int build_huffman(training *t)
{
    const training_flags *flags = t->flags;
    int64_t *counts = NULL;
    size_t n = t->n_tokens;
    pluck_error err;
    int code = EXIT_DONE;
    if (flags->counts)
        code = integers_read(flags->counts, &counts, &n, NULL);
    else
        counts = count_targets(t, &t->pairs);
    if (code == EXIT_DONE && !counts)
        code = complain_memory();
    if (code == EXIT_DONE && n != t->n_tokens)
        code = complain(EXIT_DATA,
                        "%s: has %zu counts, but there are %u tokens; expected one count per token",
                        flags->counts, n, (unsigned)t->n_tokens);
    if (code == EXIT_DONE && !flags->keep_zero_counts)
        raise_zeros(t, counts);
    if (code == EXIT_DONE) {
        pluck_status status = pluck_tree_create_huffman(&t->tree, counts, t->n_tokens, NULL, &err);
        code = complain_about(flags->counts ? flags->counts : "the targets", status, &err);
    }
    free(counts);
    return code;
}

/* Of --vectors, else of the rows of a dense teacher in arrays. */
static int build_clusters(training *t)
{
    const training_flags *flags = t->flags;
    const char *path = flags->vectors           ? flags->vectors
                       : t->teacher.arrays.dump ? flags->call.words[0]
                                                : NULL;
    float_rows rows;
    pluck_error err;
    if (!path)
        return complain(EXIT_USAGE, "--tree clusters needs --vectors FILE, with one row per token");
    int code = float_rows_read(&rows, &flags->input, path);
    if (code != EXIT_DONE)
        return code;
    if (rows.n_rows != t->n_tokens)
        code = complain(EXIT_DATA, "%s: has %llu rows, but --tree clusters needs one per token: %u",
                        path, (unsigned long long)rows.n_rows, (unsigned)t->n_tokens);
    if (code == EXIT_DONE) {
        pluck_matrix vectors = {
            .data = rows.values, .dtype = PLUCK_F32, .n_rows = t->n_tokens, .n_cols = rows.n_cols};
        pluck_status status =
            pluck_tree_create_clustered(&t->tree, &vectors, flags->seed, NULL, &err);
        code = complain_about(path, status, &err);
    }
    float_rows_free(&rows);
    return code;
}

/* The tree of --start, which cannot be another, or the one that --tree says. */
static int build_tree(training *t)
{
    const training_flags *flags = t->flags;
    pluck_error err;
    pluck_status status = PLUCK_OK;
    if (flags->start) {
        int code = head_model_open_head(&t->start, &flags->head, &flags->input, flags->start);
        const pluck_tree *tree = pluck_head_tree(t->start.head);
        if (code == EXIT_DONE && (!tree || pluck_tree_n_tokens(tree) != t->n_tokens))
            code = complain(EXIT_DATA,
                            "%s: not a hierarchical head of %u tokens; expected one for --start",
                            flags->start, (unsigned)t->n_tokens);
        if (code != EXIT_DONE)
            return code;
        status = pluck_tree_create_from_children(&t->tree, pluck_tree_children(tree), t->n_tokens,
                                                 NULL, &err);
    } else if (flags->tree == TREE_HUFFMAN) {
        return build_huffman(t);
    } else if (flags->tree == TREE_CLUSTERS) {
        return build_clusters(t);
    } else {
        status = pluck_tree_create_balanced(&t->tree, t->n_tokens, NULL, &err);
    }
    return complain_error(status, &err);
}

static int create_trainer(training *t)
{
    const training_flags *flags = t->flags;
    pluck_error err;
    pluck_status status =
        pluck_pool_create(&t->pool, plk_thread_count((uint32_t)flags->threads), NULL, &err);
    pluck_train_data data = {
        .struct_size = sizeof data,
        .hidden = t->pairs.hidden.values,
        .n_rows = (size_t)t->pairs.hidden.n_rows,
        .dim = t->pairs.hidden.n_cols,
        .targets = !t->teacher.head ? t->pairs.targets : NULL,
        .teacher = t->teacher.head,
    };
    pluck_train_options options = {
        .struct_size = sizeof options,
        .n_epochs = (uint32_t)flags->epochs,
        .learning_rate = flags->rate,
        .l2 = flags->l2,
        .seed = flags->seed,
        .parallel = pluck_pool_parallel(t->pool),
        .without_bias = flags->no_bias,
        .start = t->start.head,
        .ranks = ranks_get(),
    };
    if (status == PLUCK_OK)
        status = pluck_trainer_create(&t->trainer, t->tree, &data, &options, &err);
    return status == PLUCK_OK ? checkpoint_resume(&t->checkpoint, t->trainer)
                              : complain_error(status, &err);
}

/* The loss of the head as it is now, on the held-out pairs or else on those it learns from. */
static int judge(training *t, double *loss)
{
    const pair_set *pairs = t->validation.targets ? &t->validation : &t->pairs;
    pluck_head *head = NULL;
    pluck_error err;
    pluck_status status = pluck_head_create_trained(&head, t->trainer, &err);
    if (status != PLUCK_OK)
        return complain_error(status, &err);
    int code = pairs_loss(pairs, head, plk_thread_count((uint32_t)t->flags->threads), loss);
    pluck_head_destroy(&head);
    return code;
}

static void print_epoch(training *t, const pluck_train_progress *now, double loss)
{
    output *out = &t->out;
    if (t->flags->format == FORMAT_JSON) {
        json_open(out, NULL, '{');
        json_count(out, "epoch", now->epoch);
        json_float(out, "loss", now->epoch_loss);
        json_float(out, "validation_perplexity", plk_exp(loss));
        output_text(out, "}\n");
    } else {
        output_printf(out, "epoch %3u of %u  loss %.4f  validation perplexity %.4f\n",
                      (unsigned)now->epoch, (unsigned)now->n_epochs, now->epoch_loss,
                      plk_exp(loss));
    }
    output_flush(out);
}

/* After an epoch: what it came to, and a checkpoint if one was asked for. */
static int epoch_done(training *t)
{
    pluck_train_progress now = PLUCK_INIT(pluck_train_progress);
    pluck_error err;
    double loss = 0;
    progress_clear(&t->bar);
    if (!t->validation.targets && !t->flags->checkpoint)
        return EXIT_DONE;
    pluck_status status = pluck_trainer_collect(t->trainer, &err);
    if (status == PLUCK_OK)
        status = pluck_trainer_get_progress(t->trainer, &now, &err);
    int code = complain_error(status, &err);
    if (code != EXIT_DONE || !ranks_writes())
        return code;
    if (t->validation.targets)
        code = judge(t, &loss);
    if (code == EXIT_DONE && t->validation.targets)
        print_epoch(t, &now, loss);
    if (code == EXIT_DONE && t->flags->checkpoint && !now.is_done)
        code = checkpoint_save(&t->checkpoint, t->trainer);
    return code;
}

static int train(training *t)
{
    pluck_train_progress now = PLUCK_INIT(pluck_train_progress);
    pluck_error err;
    (void)pluck_trainer_get_progress(t->trainer, &now, NULL);
    progress_start(&t->bar, now.n_rows, NULL);
    /* All of them are at the same row. */
    const pluck_ranks *ranks = ranks_get();
    uint64_t n_together = ranks && !ranks->avoids_passes ? ranks->n_ranks : 1;
    while (!now.is_done) {
        uint32_t epoch = now.epoch;
        pluck_status status = pluck_trainer_step(t->trainer, &err);
        if (status == PLUCK_OK)
            status = pluck_trainer_get_progress(t->trainer, &now, &err);
        if (status != PLUCK_OK)
            return complain_error(status, &err);
        progress_update(&t->bar, now.n_rows_done / n_together);
        if (now.epoch != epoch) {
            int code = epoch_done(t);
            if (code != EXIT_DONE)
                return code;
        }
        if (plk_interrupt_is_caught() && !now.is_done) {
            progress_clear(&t->bar);
            int code = checkpoint_save(&t->checkpoint, t->trainer);
            if (code != EXIT_DONE)
                return code;
            complain(
                EXIT_DONE,
                "interrupted; what is learned is in %s. To continue, give the same command with "
                "--resume (in the place of --overwrite)",
                t->checkpoint.path);
            output_close(&t->out, true);
            /* As the parent expects. */
            plk_interrupt_end();
        }
    }
    progress_clear(&t->bar);
    return EXIT_DONE;
}

static void print_result(training *t, double loss)
{
    output *out = &t->out;
    bool held_out = t->validation.targets != NULL, has_dense = t->teacher.head != NULL;
    uint64_t n = held_out ? t->validation.hidden.n_rows : t->pairs.hidden.n_rows;
    if (t->flags->format == FORMAT_JSON) {
        json_open(out, NULL, '{');
        json_count(out, "rows", n);
        json_bool(out, "held_out", held_out);
        json_float(out, "tree_perplexity", plk_exp(loss));
        if (has_dense)
            json_float(out, "dense_perplexity", plk_exp(t->dense_loss));
        output_text(out, "}\n");
        return;
    }
    output_printf(out, "perplexity on %llu %s rows: ", (unsigned long long)n,
                  held_out ? "held-out" : "training");
    if (has_dense)
        output_printf(out, "dense %.4f, tree %.4f (%+.2f %%)\n", plk_exp(t->dense_loss),
                      plk_exp(loss), 100 * (plk_exp(loss - t->dense_loss) - 1));
    else
        output_printf(out, "%.4f\n", plk_exp(loss));
}

/* An untrained tree gives a token probability 2^-length. EXIT_NEGATIVE, after complain(), if the
 * trained one is not better than that on the pairs that it is judged by. */
static int check_converged(const training *t, double loss)
{
    const pair_set *pairs = t->validation.targets ? &t->validation : &t->pairs;
    int64_t *counts = count_targets(t, pairs);
    pluck_tree_stats stats = PLUCK_INIT(pluck_tree_stats);
    pluck_error err;
    if (!counts)
        return complain_memory();
    pluck_status status = pluck_tree_get_stats(t->tree, counts, &stats, &err);
    free(counts);
    if (status != PLUCK_OK)
        return complain_error(status, &err);
    double untrained = stats.mean_length * plk_log(2);
    if (t->n_tokens < 2 || loss < untrained)
        return EXIT_DONE;
    return complain(EXIT_NEGATIVE,
                    "perplexity %.6g is not below %.6g, that of the untrained tree: the training "
                    "diverged, or the hidden states say nothing about these tokens; lower --rate",
                    plk_exp(loss), plk_exp(untrained));
}

static int finish(training *t)
{
    pluck_head *head = NULL;
    pluck_error err;
    double loss = 0;
    if (!ranks_writes())
        return EXIT_DONE;
    int code = judge(t, &loss);
    if (code != EXIT_DONE)
        return code;
    pluck_status status = pluck_head_create_trained(&head, t->trainer, &err);
    /* The library does not tell the name of its unfinished file: no signal comes in between. One
     * that is written in place has none, and a pipe may take for ever. */
    if (t->checkpoint.output_is_file)
        plk_signals_hold(true);
    if (status == PLUCK_OK)
        status = pluck_head_save(head, t->flags->output, &err);
    if (t->checkpoint.output_is_file)
        plk_signals_hold(false);
    pluck_head_destroy(&head);
    if (status != PLUCK_OK)
        return complain_error(status, &err);
    t->is_saved = true;
    print_result(t, loss);
    code = checkpoint_remove(&t->checkpoint);
    return code != EXIT_DONE ? code : check_converged(t, loss);
}

static int read_validation(training *t)
{
    const training_flags *flags = t->flags;
    if (!flags->validation)
        return EXIT_DONE;
    int code =
        pairs_read(&t->validation, &flags->input, flags->validation, flags->validation_targets);
    return code != EXIT_DONE
               ? code
               : pairs_check(&t->validation, flags->validation, flags->validation_targets,
                             t->n_tokens, t->pairs.hidden.n_cols);
}

/* Checks the flags, before anything is read. */
static int check_flags(training *t)
{
    const training_flags *flags = t->flags;
    if (!flags->output)
        return complain(EXIT_USAGE, "-o FILE is missing: the file to write the head to");
    if (!flags->validation && flags->validation_targets)
        return complain(EXIT_USAGE, "--validation-targets needs --validation");
    if (flags->validation && !flags->validation_targets)
        return complain(EXIT_USAGE, "--validation needs --validation-targets");
    int code = refuse_with_shards(flags);
    return code != EXIT_DONE ? code : checkpoint_check(&t->checkpoint, flags);
}

/* Trains on what is set (pairs, n_tokens, teacher), and writes the head to flags->output. */
static int run(training *t)
{
    const training_flags *flags = t->flags;
    int code = read_validation(t);
    if (code == EXIT_DONE)
        code = run_files_open_results(&t->out, &flags->call);
    if (code == EXIT_DONE && flags->format == FORMAT_TEXT)
        output_wrap(&t->out);
    /* There is a checkpoint, and one process alone to write it. */
    if (code == EXIT_DONE && t->checkpoint.path && ranks_are_alone())
        plk_interrupt_catch();
    if (code == EXIT_DONE)
        code = build_tree(t);
    if (code == EXIT_DONE && t->teacher.head && ranks_writes())
        code = pairs_loss(t->validation.targets ? &t->validation : &t->pairs, t->teacher.head,
                          plk_thread_count((uint32_t)flags->threads), &t->dense_loss);
    if (code == EXIT_DONE)
        code = create_trainer(t);
    if (code == EXIT_DONE)
        code = train(t);
    if (code == EXIT_DONE)
        code = finish(t);
    code = output_finish(&t->out, code);
    if (t->is_saved && code != EXIT_DONE)
        complain(EXIT_DONE, "completed: %s", flags->output);
    return code;
}

static void free_training(training *t)
{
    pluck_trainer_destroy(&t->trainer);
    pluck_pool_destroy(&t->pool);
    pluck_tree_destroy(&t->tree);
    head_model_close(&t->teacher);
    head_model_close(&t->start);
    pairs_free(&t->pairs);
    pairs_free(&t->validation);
    checkpoint_free(&t->checkpoint);
}

/* As many tokens as the file says that the tree is built from, else as the targets need. */
static int count_tokens(training *t)
{
    const training_flags *flags = t->flags;
    uint32_t n = (uint32_t)flags->input.vocab_size;
    if (n == 0)
        for (uint64_t i = 0; i < t->pairs.hidden.n_rows; i++)
            n = (uint32_t)t->pairs.targets[i] >= n ? (uint32_t)t->pairs.targets[i] + 1 : n;
    t->n_tokens = n;
    return pairs_check(&t->pairs, flags->call.words[0], flags->call.words[1], n,
                       t->pairs.hidden.n_cols);
}

static int fit(const void *given)
{
    const training_flags *flags = given;
    training t = {.flags = flags};
    int code = check_flags(&t);
    if (code == EXIT_DONE)
        code = pairs_read(&t.pairs, &flags->input, flags->call.words[0], flags->call.words[1]);
    if (code == EXIT_DONE)
        code = count_tokens(&t);
    if (code == EXIT_DONE)
        code = run(&t);
    free_training(&t);
    return code;
}

static int distill(const void *given)
{
    const training_flags *flags = given;
    training t = {.flags = flags};
    int code = check_flags(&t);
    if (code == EXIT_DONE)
        code = head_model_open_head(&t.teacher, &flags->head, &flags->input, flags->call.words[0]);
    if (code == EXIT_DONE)
        code = pairs_read(&t.pairs, &flags->input, flags->call.words[1], flags->call.words[2]);
    if (code == EXIT_DONE) {
        pluck_head_info info = head_model_info(&t.teacher);
        t.n_tokens = info.n_vocab;
        code = pairs_check(&t.pairs, flags->call.words[1], flags->call.words[2], info.n_vocab,
                           info.dim);
    }
    if (code == EXIT_DONE)
        code = run(&t);
    free_training(&t);
    return code;
}

static const flag training_table[] = {
    FLAG_TITLE("Training"),
    {FLAG(CHOICE, "tree", training_flags, tree), .value = "huffman|balanced|clusters",
     .help = "tree to train: huffman (of --counts, or of the targets), balanced, or clusters "
             "(groups tokens whose --vectors are near) (default: huffman)"},
    {FLAG(INPUT, "counts", training_flags, counts),
     .help = "how often each token occurs: whole numbers as .npy or text, in the order of the "
             "tokens"},
    {FLAG(SWITCH, "keep-zero-counts", training_flags, keep_zero_counts),
     .help = "count tokens that never occur as 0, as word2vec does, instead of 1: their codes "
             "get long"},
    {FLAG(INPUT, "vectors", training_flags, vectors),
     .help = "one vector per token, for --tree clusters"},
    {FLAG(INPUT, "start", training_flags, start),
     .help = "start from the tree and the weights of this head"},
    {FLAG(COUNT, "epochs", training_flags, epochs), .min = 1, .max = 100000,
     .help = "use every row N times (default: 5)"},
    {FLAG(NUMBER, "rate", training_flags, rate), .high = 1000000,
     .help = "learning rate at the start (default: 0.3)"},
    {FLAG(NUMBER, "l2", training_flags, l2), .high = 1000000,
     .help = "weight decay: each example moves its node towards 0 in proportion to X (default: 0)"},
    {FLAG(SWITCH, "no-bias", training_flags, no_bias),
     .help = "keep all biases 0, as word2vec and fastText do"},
    {FLAG(COUNT, "seed", training_flags, seed), .max = UINT64_MAX,
     .help = "seed of the random choices of training, such as the order of the rows (default: 0)"},
    {FLAG(INPUT, "validation", training_flags, validation),
     .help = "held-out hidden states, with --validation-targets: their perplexity is printed after "
             "every epoch"},
    {FLAG(INPUT, "validation-targets", training_flags, validation_targets),
     .help = "tokens that followed at the rows of --validation"},
    {FLAG(OUTPUT, "checkpoint", training_flags, checkpoint),
     .help = "save what is learned to FILE after every epoch and when interrupted (default: only "
             "when interrupted, to the file of -o with .checkpoint added to its name)"},
    {FLAG(SWITCH, "resume", training_flags, resume),
     .help = "continue from the checkpoint; the data and the options of training must be the same"},
    {FLAG(SWITCH, "overwrite", training_flags, overwrite),
     .help = "start anew, and replace a checkpoint that exists"},
    FLAG_GROUP(threads_flag, training_flags, threads),
    FLAG_GROUP(format_flag, training_flags, format),
    FLAG_GROUP(quiet_flag, training_flags, call),
    FLAG_GROUP(shard_group, training_flags, call.shard),
    FLAG_TITLE("Output"),
    {FLAG(OUTPUT, "output", training_flags, output), .letter = 'o',
     .help = "write the head to FILE, as .safetensors"},
    FLAG_END,
};

static const flag fit_table[] = {
    FLAG_GROUP(training_table, training_flags, call),
    FLAG_TITLE("Tokens"),
    {FLAG(COUNT, "vocab-size", training_flags, input.vocab_size), .min = 1, .max = PLUCK_MAX_VOCAB,
     .help = "number of tokens (default: enough for the targets)"},
    FLAG_GROUP(map_group, training_flags, input),
    FLAG_END,
};

static const flag distill_table[] = {
    FLAG_GROUP(training_table, training_flags, call),
    FLAG_GROUP(head_group, training_flags, head),
    FLAG_GROUP(map_group, training_flags, input),
    FLAG_END,
};

const command tree_fit_command = {
    .name = "tree fit",
    .synopsis = "HIDDEN TARGETS -o FILE [options]",
    .summary = "train a hierarchical head on hidden states and their tokens",
    .about = "HIDDEN has one row of numbers per position (.npy, .safetensors), and TARGETS the "
             "token that followed at each position (.npy of integers, or text). Fits the inner "
             "nodes of a code tree by stochastic gradient descent with a learning rate that falls "
             "linearly to 0. The result does not depend on the number of threads.\nIf it is "
             "interrupted (Ctrl-C), it finishes the step, writes the checkpoint and ends with "
             "status 130. The same command with --resume continues from there, and gives the same "
             "result.",
    .usual = "output tree epochs rate validation validation-targets threads",
    COMMAND_FLAGS(fit_table, training_flags),
    .defaults = &(const training_flags){.threads = 1},
    .examples =
        {"pluck tree fit hidden.npy next.npy -o tree.safetensors --threads 0",
         "pluck tree fit hidden.npy next.npy --tree clusters --vectors head.npy --epochs 20 -o "
         "t.safetensors"},
    COMMAND_WORDS(2, 2, "HIDDEN TARGETS"),
    .words_are_inputs = true,
    .run = fit,
};

const command tree_distill_command = {
    .name = "tree distill",
    .synopsis = "HEAD HIDDEN TARGETS -o FILE [options]",
    .summary = "train a hierarchical head to imitate another head",
    .about = "HEAD is a stored head, or a .npy file with the weights of a dense head (see --bias). "
             "The tree learns the probabilities that HEAD gives at the hidden states. The targets "
             "are used only to measure how much worse the tree is than HEAD, on the validation "
             "pairs if there are any; the last line says the result. Everything else is as in tree "
             "fit.",
    .usual = "output bias epochs rate validation validation-targets threads",
    COMMAND_FLAGS(distill_table, training_flags),
    .defaults = &(const training_flags){.threads = 1},
    .examples =
        {"pluck tree distill head.npy hidden.npy next.npy --bias bias.npy -o tree.safetensors"},
    COMMAND_WORDS(3, 3, "HEAD HIDDEN TARGETS"),
    .words_are_inputs = true,
    .run = distill,
};
