/* pluck tree fit and pluck tree distill: a hierarchical head from pairs, or from another head. */
#include "training.h"

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
    int code = training_check(&t);
    if (code == EXIT_DONE)
        code = pairs_read(&t.pairs, &flags->input, flags->call.words[0], flags->call.words[1]);
    if (code == EXIT_DONE)
        code = count_tokens(&t);
    if (code == EXIT_DONE)
        code = training_run(&t);
    training_free(&t);
    return code;
}

static int distill(const void *given)
{
    const training_flags *flags = given;
    training t = {.flags = flags};
    int code = training_check(&t);
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
        code = training_run(&t);
    training_free(&t);
    return code;
}

static const flag training_table[] = {
    FLAG_TITLE("Training"),
    {FLAG(CHOICE, "tree", training_flags, tree), .value = "huffman|balanced|clusters",
     .help = "tree to train: huffman (of --counts, or of the targets), balanced, or clusters (of "
             "near --vectors) (default: huffman)"},
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
     .help = "seed for shuffling the rows (default: 0)"},
    {FLAG(INPUT, "validation", training_flags, validation),
     .help = "held-out hidden states: their perplexity is printed after every epoch"},
    {FLAG(INPUT, "validation-targets", training_flags, validation_targets),
     .help = "tokens of --validation"},
    {FLAG(OUTPUT, "checkpoint", training_flags, checkpoint),
     .help = "save what is learned to FILE after every epoch and when interrupted (default: the "
             "output's name and .checkpoint, only when interrupted)"},
    {FLAG(SWITCH, "resume", training_flags, resume), .help = "continue from the checkpoint"},
    {FLAG(SWITCH, "overwrite", training_flags, overwrite),
     .help = "replace a checkpoint that exists"},
    FLAG_GROUP(threads_flag, training_flags, threads),
    FLAG_GROUP(format_flag, training_flags, format),
    FLAG_GROUP(quiet_flag, training_flags, call),
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
