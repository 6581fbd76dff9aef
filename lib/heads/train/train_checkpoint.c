/*
 * A checkpoint is a head file with the tensor "train.squares" and the metadata
 *   train.options  everything that the result depends on next to tree and data, as text
 *   train.data     a checksum of the data, 16 hexadecimal digits
 *   train.place    the epoch and the row within it, decimal
 * Reading it back leaves the head to pluck_head_open(), and compares before it changes anything.
 */
#include "heads/train/trainer.h"

#include "base/alloc.h"
#include "base/error.h"
#include "file/array_file.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_TENSORS = 4 };

/* Numbers in hexadecimal: exactly as they are. */
void plk_train_describe(const pluck_trainer *trainer, char text[PLK_TRAIN_TEXT_BYTES])
{
    const pluck_train_options *o = &trainer->options;
    (void)snprintf(
        text, PLK_TRAIN_TEXT_BYTES, "%s epochs %u rate %a l2 %a seed %llu bias %d rows %zu",
        trainer->data.targets ? "targets" : "teacher", (unsigned)o->n_epochs, o->learning_rate,
        o->l2, (unsigned long long)o->seed, !o->without_bias, trainer->data.n_rows);
}

pluck_status pluck_trainer_save(const pluck_trainer *trainer, const char *path, pluck_error *err)
{
    if (!trainer || !path)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_trainer_save: trainer and path must not be NULL");
    if (plk_is_swapped(true))
        return plk_fail(err, PLUCK_ERR_IO,
                        "%s: heads are stored little-endian, but this machine is not", path);
    pluck_head *head = NULL;
    pluck_status status = pluck_head_create_trained(&head, trainer, err);
    if (status != PLUCK_OK)
        return status;
    char options[PLK_TRAIN_TEXT_BYTES], place[PLK_TRAIN_TEXT_BYTES], sum[PLK_TRAIN_TEXT_BYTES],
        dim[PLK_TRAIN_TEXT_BYTES];
    plk_train_describe(trainer, options);
    (void)snprintf(sum, sizeof sum, "%016llx", (unsigned long long)trainer->checksum);
    (void)snprintf(place, sizeof place, "%u %zu", (unsigned)trainer->epoch, trainer->next_row);
    (void)snprintf(dim, sizeof dim, "%u", (unsigned)trainer->data.dim);
    const plk_safetensors_note notes[] = {
        {"format", "pluck-head"}, {"kind", "hierarchical"},   {"dim", dim},
        {"sign", "right"},        {"train.options", options}, {"train.data", sum},
        {"train.place", place}};
    uint64_t n = trainer->n_inner;
    const plk_safetensors_tensor tensors[N_TENSORS] = {
        plk_safetensors_tensor_of("bias", "F32", trainer->bias, n, 0),
        plk_safetensors_tensor_of("children", "I32", trainer->tree->children, n, 2),
        plk_safetensors_tensor_of("train.squares", "F32", trainer->squares, n, 0),
        plk_safetensors_tensor_of("nodes", "F32", head->rows.data, n, trainer->data.dim)};
    status = plk_safetensors_write(path, notes, sizeof notes / sizeof *notes, tensors, N_TENSORS,
                                   &trainer->memory.allocator, err);
    pluck_head_destroy(&head);
    return status;
}

typedef struct checkpoint {
    plk_source source;
    plk_safetensors_header header;
    pluck_head *head;
    const uint8_t *squares;
    uint32_t epoch;
    size_t row;
} checkpoint;

/* The tensor of squares and the place; FORMAT if they are not there, or impossible. */
static pluck_status read_state(checkpoint *c, const pluck_trainer *trainer, pluck_error *err)
{
    const char *place = plk_safetensors_read_note(&c->header, "train.place");
    for (size_t i = 0; i < c->header.n_entries; i++) {
        const plk_safetensors_entry *entry = &c->header.entries[i];
        if (strcmp(entry->name, "train.squares") == 0 && strcmp(entry->dtype, "F32") == 0 &&
            entry->end - entry->begin == (uint64_t)trainer->n_inner * sizeof(float))
            c->squares = plk_safetensors_data(&c->header, &c->source, entry);
    }
    char *middle = NULL, *end = NULL;
    unsigned long long epoch = place ? strtoull(place, &middle, 10) : 0;
    unsigned long long row = place && *middle == ' ' ? strtoull(middle + 1, &end, 10) : 0;
    if (!c->squares || !place || *middle != ' ' || *end != '\0' ||
        epoch > trainer->options.n_epochs || row >= trainer->data.n_rows ||
        (row > 0 && epoch == trainer->options.n_epochs))
        return plk_fail(
            err, PLUCK_ERR_FORMAT,
            "%s: not a checkpoint of a training; expected train.squares and train.place",
            c->source.label);
    c->epoch = (uint32_t)epoch;
    c->row = (size_t)row;
    return PLUCK_OK;
}

static pluck_status check_same(const checkpoint *c, const pluck_trainer *trainer, pluck_error *err)
{
    char options[PLK_TRAIN_TEXT_BYTES], sum[PLK_TRAIN_TEXT_BYTES];
    plk_train_describe(trainer, options);
    (void)snprintf(sum, sizeof sum, "%016llx", (unsigned long long)trainer->checksum);
    const char *their_options = plk_safetensors_read_note(&c->header, "train.options"),
               *their_sum = plk_safetensors_read_note(&c->header, "train.data");
    if (!their_options || strcmp(their_options, options) != 0)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "%s: written with different options (%s); expected these: %s",
                        c->source.label, their_options ? their_options : "none", options);
    if (!their_sum || strcmp(their_sum, sum) != 0)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "%s: written by a training with different data; expected the same hidden "
                        "states and targets or teacher",
                        c->source.label);
    return PLUCK_OK;
}

static pluck_status open_checkpoint(checkpoint *c, const pluck_trainer *trainer, const char *path,
                                    pluck_error *err)
{
    pluck_head_options options = PLUCK_INIT(pluck_head_options);
    options.allocator = &trainer->memory.allocator;
    pluck_status status = pluck_head_open(&c->head, path, &options, err);
    if (status != PLUCK_OK)
        return status;
    status = plk_source_open(&c->source, path, false, &trainer->memory.allocator, err);
    if (status != PLUCK_OK)
        return status;
    if (c->source.streamed)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: a checkpoint cannot be read from a stream; store it as a file",
                        c->source.label);
    status = plk_safetensors_header_parse(&c->header, c->source.bytes, c->source.size_bytes,
                                          c->source.label, &trainer->memory.allocator, err);
    if (status == PLUCK_OK)
        status = check_same(c, trainer, err);
    return status != PLUCK_OK ? status : read_state(c, trainer, err);
}

pluck_status pluck_trainer_restore(pluck_trainer *trainer, const char *path, pluck_error *err)
{
    if (!trainer || !path)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_trainer_restore: trainer and path must not be NULL");
    checkpoint c = {.source = {.fd = -1}};
    plk_fp_state fp = plk_fp_enter();
    pluck_status status = open_checkpoint(&c, trainer, path, err);
    if (status == PLUCK_OK)
        status = plk_train_start_from_head(trainer, c.head, err);
    if (status == PLUCK_OK) {
        if (trainer->n_inner > 0)
            memcpy(trainer->squares, c.squares, trainer->n_inner * sizeof *trainer->squares);
        trainer->epoch = c.epoch;
        trainer->next_row = c.row;
        trainer->n_examples = 0;
        trainer->epoch_rows = 0;
        trainer->losses[1] = (plk_exact_sum){0};
        trainer->is_whole = true;
        plk_trainer_shuffle(trainer);
    }
    plk_fp_leave(fp);
    plk_safetensors_header_free(&c.header, &trainer->memory.allocator);
    plk_source_close(&c.source);
    pluck_head_destroy(&c.head);
    return status;
}
