/*
 * Checkpoints of any content, for one small training. What is resumed must train to its end; what
 * is refused must leave the trainer as it was.
 */
#include "fuzz_file.h"

#include <stdio.h>
#include <stdlib.h>

#include <pluck/head.h>

enum { N_ROWS = 6, DIM = 2, N_TOKENS = 4 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition, const char *what, const pluck_error *err)
{
    if (condition)
        return;
    fprintf(stderr, "%s: %s\n", what, err->message);
    abort();
}

/* The checkpoint in corpus/checkpoint was saved by such a trainer. */
static void create(pluck_trainer **trainer, const pluck_tree *tree)
{
    static const float hidden[N_ROWS * DIM] = {1, 0, 0, 1, -1, 0, 0, -1, 1, 1, -1, -1};
    static const pluck_token targets[N_ROWS] = {0, 1, 2, 3, 0, 2};
    static const pluck_train_data data = {.struct_size = sizeof data,
                                          .hidden = hidden,
                                          .n_rows = N_ROWS,
                                          .dim = DIM,
                                          .targets = targets};
    pluck_train_options options = {.struct_size = sizeof options, .n_epochs = 3, .seed = 1};
    pluck_error err = {0};
    require(pluck_trainer_create(trainer, tree, &data, &options, &err) == PLUCK_OK, "create", &err);
}

static void train(pluck_trainer *trainer)
{
    pluck_error err = {0};
    pluck_train_progress progress = PLUCK_INIT(pluck_train_progress);
    for (int i = 0; i < 100 && !progress.is_done; i++) {
        pluck_status status = pluck_trainer_step(trainer, &err);
        if (status == PLUCK_OK)
            status = pluck_trainer_get_progress(trainer, &progress, &err);
        require(status == PLUCK_OK || status == PLUCK_ERR_NAN, "step", &err);
        if (status != PLUCK_OK)
            return;
    }
    require(progress.is_done, "the training does not end", &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[FUZZ_PATH_BYTES];
    pluck_error err = {0};
    pluck_tree *tree = NULL;
    pluck_trainer *trainer = NULL;
    require(pluck_tree_create_balanced(&tree, N_TOKENS, NULL, &err) == PLUCK_OK, "tree", &err);
    create(&trainer, tree);
    const char *saved = getenv("PLUCK_FUZZ_SAVE");
    if (saved) { /* how the seed was made */
        require(pluck_trainer_step(trainer, &err) == PLUCK_OK, "step", &err);
        require(pluck_trainer_save(trainer, saved, &err) == PLUCK_OK, "save", &err);
    }
    fuzz_file(data, size, path);
    pluck_status status = pluck_trainer_restore(trainer, path, &err);
    require(status == PLUCK_OK || status == PLUCK_ERR_FORMAT || status == PLUCK_ERR_INVALID ||
                status == PLUCK_ERR_NAN || status == PLUCK_ERR_IO,
            "unexpected status", &err);
    train(trainer);
    pluck_trainer_destroy(&trainer);
    pluck_tree_destroy(&tree);
    return 0;
}
