/*
 * Training over many processes. A node depends only on its examples and their order, so nodes are
 * divided among the ranks, and each rank learns its own from all rows. With targets nothing crosses
 * until the nodes are collected: then they are the items of a pass, and each is a piece of its
 * tally, f32 weights, f32 bias, f32 sum of squares. With a teacher, asking it costs most, so that
 * the rows of each step are divided too (train_step.c).
 *
 * Nodes are divided by the number of examples that they expect: the node with the most is given to
 * the rank with the fewest so far, and so on (R. L. Graham, "Bounds on multiprocessing timing
 * anomalies", SIAM J. Appl. Math. 17, 1969). The root has an example in each row, so that equal
 * numbers of nodes would be far from equal work.
 *
 * A failure of one rank must not leave the others waiting: it is kept, and the next pass tells all
 * of them. Of several it is the first one, as one process would have met it.
 */
#include "heads/train/trainer.h"

#include "base/alloc.h"
#include "base/error.h"

#include <string.h>

void plk_train_put(plk_byte_writer *out, float value)
{
    uint32_t word;
    memcpy(&word, &value, sizeof word);
    plk_put_u32(out, word);
}

float plk_train_take(plk_byte_reader *in)
{
    uint32_t word = plk_take_u32(in);
    float value;
    memcpy(&value, &word, sizeof value);
    return value;
}

/* Dividing the nodes. */

typedef struct share {
    double n_expected; /* examples */
    uint32_t node;
} share;

static bool is_larger(const void *left, const void *right)
{
    const share *a = left, *b = right;
    return a->n_expected != b->n_expected ? a->n_expected > b->n_expected : a->node < b->node;
}

/* Estimates the number of examples of each node. With targets they are the rows whose token is
 * below the node; with a teacher, every token is taken to have the same probability. expected has
 * room for all nodes of the tree. */
static void expect_examples(const pluck_trainer *trainer, double *expected, share *shares)
{
    const pluck_tree *tree = trainer->tree;
    const pluck_train_data *data = &trainer->data;
    double most = data->targets ? (double)data->n_rows : PLK_TRAIN_FLOOR;
    for (uint32_t token = 0; token < tree->n_tokens; token++)
        expected[token] = data->targets ? 0 : 1 / (double)tree->n_tokens;
    for (size_t r = 0; data->targets && r < data->n_rows; r++)
        expected[data->targets[r]]++;
    for (uint32_t i = 0; i < trainer->n_inner; i++) {
        uint32_t node = tree->n_tokens + i;
        double n =
            expected[plk_tree_child(tree, node, 0)] + expected[plk_tree_child(tree, node, 1)];
        expected[node] = n;
        shares[i] = (share){.n_expected = n < most ? n : most, .node = i};
    }
}

static pluck_status divide_nodes(pluck_trainer *trainer, uint32_t n_ranks, pluck_error *err)
{
    size_t n = trainer->n_inner;
    plk_arrays memory = {.allocator = trainer->memory.allocator};
    double *expected = plk_arrays_add(&memory, 2 * n + 1, sizeof *expected);
    share *shares = plk_arrays_add(&memory, n, 2 * sizeof *shares);
    double *given = plk_arrays_add_zero(&memory, n_ranks, sizeof *given);
    trainer->is_mine = plk_arrays_add_zero(&trainer->memory, n, sizeof *trainer->is_mine);
    pluck_status status = plk_arrays_check(&memory, err);
    if (status == PLUCK_OK)
        status = plk_arrays_check(&trainer->memory, err);
    if (status == PLUCK_OK) {
        expect_examples(trainer, expected, shares);
        plk_sort(shares, shares + n, n, sizeof *shares, is_larger);
    }
    for (size_t i = 0; i < n && status == PLUCK_OK; i++) {
        uint32_t least = 0;
        for (uint32_t rank = 1; rank < n_ranks; rank++)
            least = given[rank] < given[least] ? rank : least;
        given[least] += shares[i].n_expected;
        trainer->is_mine[shares[i].node] = least == trainer->rank;
    }
    plk_arrays_free(&memory);
    return status;
}

pluck_status plk_train_ranks_open(pluck_trainer *trainer, pluck_error *err)
{
    pluck_ranks known;
    pluck_status status = plk_ranks_read(&known, trainer->options.ranks, err);
    if (status != PLUCK_OK || !trainer->options.ranks)
        return status;
    if (known.rank >= known.n_ranks)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "ranks: rank is %u and n_ranks %u; training needs both, and rank below "
                        "n_ranks",
                        (unsigned)known.rank, (unsigned)known.n_ranks);
    trainer->rank = known.rank;
    trainer->is_shared = trainer->data.teacher && !known.avoids_passes;
    return divide_nodes(trainer, known.n_ranks, err);
}

/* Failures. */

/* The place of the node touched[item] among the nodes that its first row meets. */
static size_t position_of(const pluck_trainer *trainer, size_t item, size_t place)
{
    uint32_t node = trainer->touched[item], n_tokens = trainer->tree->n_tokens;
    size_t position = 0;
    if (trainer->data.targets) { /* touched has only nodes of this rank */
        for (uint32_t at = n_tokens + node; at != plk_tree_root(trainer->tree); position++)
            at = trainer->parents[at];
        return position;
    }
    const plk_visit *visits = plk_train_visits(trainer, place);
    while (visits[trainer->row_visits[place].n - 1 - position].node != node)
        position++;
    return position;
}

/* Failures are ordered as one process would meet them: by step; within a step first those of rows,
 * then those of nodes, by the row and the place in it where they are met first. */
void plk_train_note(pluck_trainer *trainer, size_t place, size_t failed, const pluck_error *failure)
{
    enum { POSITION_BITS = 24, PLACE_BITS = 13, STEP_BITS = 25 };
    uint64_t n_steps = (trainer->data.n_rows - 1) / trainer->rows_a_step + 1;
    uint64_t step = trainer->epoch * n_steps + trainer->first_row / trainer->rows_a_step;
    uint64_t last_step = (UINT64_C(1) << STEP_BITS) - 1, position = 0;
    bool is_node = failed != SIZE_MAX;
    if (is_node) {
        place = trainer->examples[failed > 0 ? trainer->ends[failed - 1] : 0].row;
        position = position_of(trainer, failed, place) & ((1u << POSITION_BITS) - 1);
    }
    step = step < last_step ? step : last_step;
    trainer->failure = *failure;
    trainer->failed_item =
        ((step << 1 | is_node) << PLACE_BITS | place) << POSITION_BITS | position;
}

/* Collecting. */

pluck_status plk_train_ranks_begin(pluck_trainer *trainer, pluck_error *err)
{
    char text[PLK_TRAIN_TEXT_BYTES];
    const pluck_tree *tree = trainer->tree;
    plk_byte_writer *about = &trainer->tally.about;
    if (trainer->is_begun)
        return PLUCK_OK;
    plk_train_describe(trainer, text);
    trainer->all_losses[0] = trainer->all_losses[1] = (plk_exact_sum){0};
    trainer->all_examples = 0;
    plk_tally_open(&trainer->tally, "training, nodes", &trainer->memory.allocator);
    plk_tally_section_add(&trainer->tally, PLK_TALLY_TEXT, &trainer->texts, 1);
    plk_tally_section_add(&trainer->tally, PLK_TALLY_SUMS, trainer->all_losses, 2);
    plk_tally_section_add(&trainer->tally, PLK_TALLY_COUNTS, &trainer->all_examples, 1);
    plk_put_bytes(about, text, strlen(text) + 1);
    plk_put_u64(about, trainer->checksum);
    plk_put_u32(about, trainer->data.dim);
    for (size_t i = 0; i < 2 * (size_t)trainer->n_inner; i++)
        plk_put_u32(about, (uint32_t)tree->children[i]);
    plk_put_u32(about, trainer->epoch);
    plk_put_u64(about, trainer->next_row);
    trainer->is_begun = true;
    return plk_ranks_begin(trainer->options.ranks, trainer->n_inner, &trainer->tally,
                           &trainer->is_known, err);
}

/* The nodes of this rank, or the failure because of which it has none. */
static void put_nodes(pluck_trainer *trainer)
{
    const pluck_allocator *allocator = &trainer->memory.allocator;
    size_t dim = trainer->data.dim, n_bytes = (dim + 2) * sizeof(float);
    if (trainer->failure.status != PLUCK_OK) {
        plk_tally_fail(&trainer->tally, trainer->failed_item, &trainer->failure);
        return;
    }
    unsigned char *bytes = plk_alloc(allocator, n_bytes, 1);
    if (!bytes) {
        (void)plk_fail_nomem(&trainer->failure, n_bytes);
        plk_tally_fail(&trainer->tally, 0, &trainer->failure);
        return;
    }
    for (uint32_t node = 0; node < trainer->n_inner; node++) {
        if (!trainer->is_mine[node])
            continue;
        plk_byte_writer out = plk_byte_writer_make(bytes, n_bytes);
        for (size_t j = 0; j < dim; j++)
            plk_train_put(&out, trainer->nodes[node * dim + j]);
        plk_train_put(&out, trainer->bias[node]);
        plk_train_put(&out, trainer->squares[node]);
        plk_tally_text_add(&trainer->tally, &trainer->texts, node, 0, bytes, n_bytes);
    }
    plk_free(allocator, bytes);
    memcpy(trainer->all_losses, trainer->losses, sizeof trainer->losses);
    trainer->all_examples = trainer->n_examples;
}

static pluck_status take_nodes(pluck_trainer *trainer, pluck_error *err)
{
    plk_tally_text *texts = &trainer->texts;
    size_t dim = trainer->data.dim, n_bytes = (dim + 2) * sizeof(float);
    bool are_all = texts->n_pieces == trainer->n_inner;
    plk_tally_text_sort(texts);
    for (size_t i = 0; i < texts->n_pieces; i++)
        are_all = are_all && texts->pieces[i].item == i && texts->pieces[i].stream == 0 &&
                  texts->pieces[i].n_bytes == n_bytes;
    if (!are_all)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "training: the ranks have %zu nodes of %u; expected ranks from 0 to "
                        "n_ranks - 1, with the same n_ranks",
                        texts->n_pieces, (unsigned)trainer->n_inner);
    for (size_t i = 0; i < texts->n_pieces; i++) {
        plk_byte_reader in = {(const unsigned char *)texts->bytes + texts->pieces[i].offset,
                              n_bytes, false};
        for (size_t j = 0; j < dim; j++)
            trainer->nodes[i * dim + j] = plk_train_take(&in);
        trainer->bias[i] = plk_train_take(&in);
        trainer->squares[i] = plk_train_take(&in);
    }
    memcpy(trainer->losses, trainer->all_losses, sizeof trainer->losses);
    trainer->n_examples = trainer->all_examples;
    trainer->is_whole = true;
    return PLUCK_OK;
}

pluck_status pluck_trainer_collect(pluck_trainer *trainer, pluck_error *err)
{
    if (!trainer)
        return plk_fail(err, PLUCK_ERR_INVALID, "pluck_trainer_collect: trainer must not be NULL");
    if (trainer->is_whole)
        return PLUCK_OK;
    pluck_status status = plk_train_ranks_begin(trainer, err);
    if (status == PLUCK_OK && !trainer->is_known)
        put_nodes(trainer);
    if (status == PLUCK_OK)
        status = plk_ranks_end(trainer->options.ranks, &trainer->tally, trainer->is_known, err);
    if (status == PLUCK_OK)
        status = take_nodes(trainer, err);
    plk_tally_close(&trainer->tally);
    trainer->is_begun = trainer->is_known = false;
    return status;
}
