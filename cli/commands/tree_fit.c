/* pluck tree fit and pluck tree distill: a hierarchical head from pairs, or from another head. */
#include "commands.h"
#include "training.h"

/* As many tokens as the file says that the tree is built from, else as the targets need. */
static int count_tokens(training *t)
{
    const arguments *args = t->args;
    uint32_t n = (uint32_t)args->vocab_size;
    if (n == 0)
        for (uint64_t i = 0; i < t->pairs.hidden.n_rows; i++)
            n = (uint32_t)t->pairs.targets[i] >= n ? (uint32_t)t->pairs.targets[i] + 1 : n;
    t->n_tokens = n;
    return pairs_check(&t->pairs, args, args->words[0], args->words[1], n, t->pairs.hidden.n_cols);
}

int cmd_tree_fit(const arguments *args)
{
    training t = {.args = args};
    int code = training_check(&t);
    if (code == EXIT_DONE)
        code = pairs_read(&t.pairs, args, args->words[0], args->words[1]);
    if (code == EXIT_DONE)
        code = count_tokens(&t);
    if (code == EXIT_DONE)
        code = training_run(&t);
    training_free(&t);
    return code;
}

int cmd_tree_distill(const arguments *args)
{
    training t = {.args = args};
    int code = training_check(&t);
    if (code == EXIT_DONE)
        code = head_model_open_head(&t.teacher, args, args->words[0]);
    if (code == EXIT_DONE)
        code = pairs_read(&t.pairs, args, args->words[1], args->words[2]);
    if (code == EXIT_DONE) {
        pluck_head_info info = pluck_head_get_info(t.teacher.head);
        t.n_tokens = info.n_vocab;
        code = pairs_check(&t.pairs, args, args->words[1], args->words[2], info.n_vocab, info.dim);
    }
    if (code == EXIT_DONE)
        code = training_run(&t);
    training_free(&t);
    return code;
}
