/*
 * Rows give examples, in parallel. A counting sort puts the examples of each node together, in the
 * order of the rows. Then the nodes learn, in parallel. A node depends only on its examples and
 * their order, so the number of workers changes nothing.
 *
 * Learning is elementwise arithmetic in float and dot products of the kernel table: the same bits
 * on every machine. Each sum of a step (squared gradients, losses) belongs to one node or is taken
 * in the order of the nodes.
 *
 * A step moves u by at most rate |h|, and so a logit by rate |h|^2: without more, the useful rates
 * depend on the unit of h. So nodes learn as if from h / k, where k^2 = spread is in proportion to
 * the mean of |h|^2: u k moves by step h / k, hence u by step h / spread. Stored is u scale, where
 * scale is the power of two nearest to k: its floats neither over- nor underflow, logits are
 * (h . u scale) / scale + b, and with h 2^n every number of a training stays the same to the bit.
 */
#include "heads/train/trainer.h"

#include "base/alloc.h"
#include "base/error.h"

#include <pluck/softmax.h>

#include <math.h>
#include <stdint.h>
#include <string.h>

/*
 * With a target, a row is an example for every node on the path of the token.
 *
 * With a teacher it is one for every inner node v, weighted by the teacher's probability P(v | h)
 * of the tokens below it, nearly all of which is very small. So that a row costs hundreds of
 * updates and not n_tokens, v is taken with probability min(1, P(v | h) / FLOOR), and then weighs
 * max(P(v | h), FLOOR): the expectation of the gradient stays exactly that of the whole sum. One
 * uniform u per row decides for all nodes, P(v | h) > u FLOOR: no node is more probable than its
 * parent, so what is taken is connected, and a descent from the root finds it.
 */

static const double FLOOR = PLK_TRAIN_FLOOR;

static bool is_mine(const pluck_trainer *trainer, uint32_t node)
{
    return !trainer->is_mine || trainer->is_mine[node];
}

static pluck_status push(const pluck_trainer *trainer, plk_visit_list *list, uint32_t node,
                         double target, double weight, pluck_error *err)
{
    pluck_status status = plk_grow(&trainer->memory.allocator, &list->visits, &list->capacity,
                                   list->n + 1, sizeof *list->visits, err);
    if (status != PLUCK_OK)
        return status;
    list->visits[list->n++] = (plk_visit){node, (float)target, (float)weight};
    return PLUCK_OK;
}

static pluck_status visit_path(const pluck_trainer *trainer, plk_visit_list *list, uint32_t token,
                               pluck_error *err)
{
    const pluck_tree *tree = trainer->tree;
    uint32_t root = plk_tree_root(tree);
    pluck_status status = PLUCK_OK;
    for (uint32_t node = token; status == PLUCK_OK && node != root;) {
        uint32_t parent = trainer->parents[node];
        uint32_t inner = parent - tree->n_tokens;
        bool is_right = plk_tree_child(tree, parent, 1) == node;
        if (is_mine(trainer, inner))
            status = push(trainer, list, inner, is_right ? 1.0 : 0.0, 1.0, err);
        node = parent;
    }
    return status;
}

static double mass_of(const plk_train_worker *w, uint32_t n_tokens, uint32_t node)
{
    return node < n_tokens ? (double)w->probs[node] : w->masses[node - n_tokens];
}

/* The teacher's probabilities of all tokens and inner nodes. */
static pluck_status ask_teacher(const pluck_trainer *trainer, plk_train_worker *w,
                                const float *hidden, pluck_error *err)
{
    const pluck_tree *tree = trainer->tree;
    pluck_status status = pluck_head_query_logprobs(w->query, hidden, w->probs, err);
    if (status == PLUCK_OK)
        status = pluck_softmax(w->probs, tree->n_tokens, 1.0f, w->probs, err);
    for (uint32_t i = 0; status == PLUCK_OK && i < trainer->n_inner; i++) {
        uint32_t node = tree->n_tokens + i;
        w->masses[i] = mass_of(w, tree->n_tokens, plk_tree_child(tree, node, 0)) +
                       mass_of(w, tree->n_tokens, plk_tree_child(tree, node, 1));
    }
    return status;
}

static pluck_status visit_masses(const pluck_trainer *trainer, plk_train_worker *w, double least,
                                 pluck_error *err)
{
    const pluck_tree *tree = trainer->tree;
    size_t n = 0;
    pluck_status status = PLUCK_OK;
    w->stack[n++] = plk_tree_root(tree);
    while (status == PLUCK_OK && n > 0) {
        uint32_t node = w->stack[--n];
        double mass = w->masses[node - tree->n_tokens];
        uint32_t right = plk_tree_child(tree, node, 1);
        status = push(trainer, &w->list, node - tree->n_tokens,
                      mass_of(w, tree->n_tokens, right) / mass, mass > FLOOR ? mass : FLOOR, err);
        for (unsigned side = 0; side < 2; side++) {
            uint32_t child = plk_tree_child(tree, node, side);
            if (child >= tree->n_tokens && w->masses[child - tree->n_tokens] > least)
                w->stack[n++] = child;
        }
    }
    return status;
}

/* Appends the examples of the row at place place of the step to the list of the worker, and says in
 * row_visits where they are. */
static pluck_status visit_row(void *context, uint32_t worker, size_t place, pluck_error *err)
{
    pluck_trainer *trainer = context;
    const pluck_train_data *data = &trainer->data;
    plk_train_worker *w = &trainer->workers[worker];
    size_t row = trainer->order[trainer->first_row + place], first = w->list.n;
    pluck_status status = PLUCK_OK;
    if (trainer->n_inner > 0 && data->targets) {
        status = visit_path(trainer, &w->list, (uint32_t)data->targets[row], err);
    } else if (trainer->n_inner > 0) {
        pluck_pcg64 rng;
        pluck_pcg64_seed(&rng, trainer->options.seed, row, trainer->epoch);
        pluck_error why;
        status = ask_teacher(trainer, w, data->hidden + row * data->dim, &why);
        if (status == PLUCK_OK)
            status = visit_masses(trainer, w, FLOOR * pluck_pcg64_uniform(&rng), err);
        else
            status = plk_fail(err, status, "training: row %zu: the teacher: %s", row, why.message);
    }
    trainer->row_visits[place] = (plk_row_visits){
        .worker = worker,
        .n = (uint32_t)(w->list.n - first),
        .first = first,
        .square = plk_train_square(data, row) / trainer->spread,
    };
    return status;
}

/* Added to the sum of squared gradients: a gradient below its root moves a node in proportion. */
static const double SMALL_SQUARE = 1e-6;

pluck_status plk_train_step_open(pluck_trainer *trainer, pluck_error *err)
{
    plk_arrays *memory = &trainer->memory;
    size_t n_inner = trainer->n_inner;
    trainer->workers = plk_arrays_add_zero(memory, trainer->n_workers, sizeof *trainer->workers);
    trainer->row_visits = plk_arrays_add(memory, trainer->rows_a_step, sizeof *trainer->row_visits);
    trainer->n_of_node = plk_arrays_add_zero(memory, n_inner, sizeof *trainer->n_of_node);
    trainer->touched = plk_arrays_add(memory, n_inner, sizeof *trainer->touched);
    trainer->ends = plk_arrays_add(memory, n_inner, sizeof *trainer->ends);
    trainer->node_losses = plk_arrays_add(memory, n_inner, sizeof *trainer->node_losses);
    pluck_status status = plk_arrays_check(memory, err);
    for (uint32_t i = 0; trainer->data.teacher && status == PLUCK_OK && i < trainer->n_workers;
         i++) {
        plk_train_worker *w = &trainer->workers[i];
        w->probs = plk_arrays_add(memory, trainer->tree->n_tokens, sizeof *w->probs);
        w->masses = plk_arrays_add(memory, n_inner, sizeof *w->masses);
        w->stack = plk_arrays_add(memory, n_inner, sizeof *w->stack);
        status = pluck_head_query_create(&w->query, trainer->data.teacher, &memory->allocator, err);
    }
    return status == PLUCK_OK ? plk_arrays_check(memory, err) : status;
}

void plk_train_step_free(pluck_trainer *trainer)
{
    for (uint32_t i = 0; trainer->workers && i < trainer->n_workers; i++) {
        plk_free(&trainer->memory.allocator, trainer->workers[i].list.visits);
        pluck_head_query_destroy(&trainer->workers[i].query);
    }
    plk_free(&trainer->memory.allocator, trainer->examples);
}

double plk_train_square(const pluck_train_data *data, size_t row)
{
    const float *h = data->hidden + row * data->dim;
    double sum = 0;
    for (uint32_t j = 0; j < data->dim; j++)
        sum += (double)h[j] * (double)h[j];
    return sum;
}

/* The list of a tree with one token has never been allocated. */
const plk_visit *plk_train_visits(const pluck_trainer *trainer, size_t place)
{
    const plk_row_visits *row = &trainer->row_visits[place];
    return row->n > 0 ? trainer->workers[row->worker].list.visits + row->first : NULL;
}

/* Counts the examples of each node of this rank, and lists the nodes as they are first met: parents
 * first. */
static size_t count(pluck_trainer *trainer, size_t n_rows)
{
    size_t n = 0;
    trainer->n_touched = 0;
    for (size_t r = 0; r < n_rows; r++) {
        const plk_visit *visits = plk_train_visits(trainer, r);
        for (uint32_t i = trainer->row_visits[r].n; i-- > 0;) {
            if (!is_mine(trainer, visits[i].node))
                continue;
            if (trainer->n_of_node[visits[i].node]++ == 0)
                trainer->touched[trainer->n_touched++] = visits[i].node;
            n++;
        }
    }
    return n;
}

/* The examples of touched[i] become examples[ends[i - 1] .. ends[i] - 1]. */
static pluck_status gather(pluck_trainer *trainer, size_t n_rows, pluck_error *err)
{
    size_t n = count(trainer, n_rows);
    if (n > UINT32_MAX)
        return plk_fail(err, PLUCK_ERR_NOMEM,
                        "training: one step has %zu examples; at most 2^32 - 1 are possible", n);
    pluck_status status = plk_grow(&trainer->memory.allocator, &trainer->examples,
                                   &trainer->examples_capacity, n, sizeof *trainer->examples, err);
    if (status != PLUCK_OK)
        return status;
    size_t at = 0;
    for (size_t i = 0; i < trainer->n_touched; i++) {
        uint32_t *of_node = &trainer->n_of_node[trainer->touched[i]];
        uint32_t here = *of_node;
        *of_node = (uint32_t)at;
        at += here;
        trainer->ends[i] = at;
    }
    for (size_t r = 0; r < n_rows; r++) {
        const plk_visit *visits = plk_train_visits(trainer, r);
        for (uint32_t i = 0; i < trainer->row_visits[r].n; i++)
            if (is_mine(trainer, visits[i].node))
                trainer->examples[trainer->n_of_node[visits[i].node]++] =
                    (plk_example){(uint32_t)r, visits[i].target, visits[i].weight};
    }
    for (size_t i = 0; i < trainer->n_touched; i++)
        trainer->n_of_node[trainer->touched[i]] = 0;
    trainer->n_examples += n;
    return PLUCK_OK;
}

static pluck_status learn_node(void *context, uint32_t worker, size_t item, pluck_error *err)
{
    pluck_trainer *trainer = context;
    (void)worker;
    const pluck_train_data *data = &trainer->data;
    const pluck_train_options *options = &trainer->options;
    uint32_t node = trainer->touched[item];
    float *u = trainer->nodes + (size_t)node * data->dim;
    double factor = trainer->scale / trainer->spread;
    double bias = (double)trainer->bias[node], squares = (double)trainer->squares[node], loss = 0;
    for (size_t i = item > 0 ? trainer->ends[item - 1] : 0; i < trainer->ends[item]; i++) {
        plk_example example = trainer->examples[i];
        const float *h =
            data->hidden + trainer->order[trainer->first_row + example.row] * (size_t)data->dim;
        double target = (double)example.target, weight = (double)example.weight;
        double logit = trainer->kernels->dot_f32(h, u, data->dim) / trainer->scale + bias;
        double square = trainer->row_visits[example.row].square;
        if (!isfinite(logit))
            return plk_fail(
                err, PLUCK_ERR_NAN, "training: the logit of inner node %u is not finite in row %u",
                (unsigned)node, (unsigned)(trainer->order[trainer->first_row + example.row]));
        plk_log_sigmoid right = plk_log_sigmoid_of(logit);
        loss -= weight * (target * right.positive + (1 - target) * right.negative);
        double gradient = weight * (plk_sigmoid(logit) - target);
        squares += gradient * gradient * (square + (options->without_bias ? 0 : 1));
        double rate = (trainer->first_rate - trainer->rate_a_row * example.row) /
                      sqrt(squares + SMALL_SQUARE);
        double keep = options->l2 > 0 ? 1 / (1 + rate * weight * options->l2) : 1;
        float kept = (float)keep, step = (float)(-rate * gradient * factor);
        for (size_t j = 0; j < data->dim; j++)
            u[j] = kept * u[j] + step * h[j];
        bias -= options->without_bias ? 0 : rate * gradient;
    }
    trainer->bias[node] = (float)bias;
    trainer->squares[node] = (float)squares;
    trainer->node_losses[item] = loss;
    return PLUCK_OK;
}

/*
 * With ranks the teacher is asked for each row by one of them, in a pass over the rows of the step.
 * The examples of a row cross as a piece: for each of them u32 node, f32 target, f32 weight.
 */

enum { VISIT_BYTES = 12 };

/* Failures of rows come after those that a rank has recorded before. */
#define ROW_FAILURES (UINT64_C(1) << 63)

typedef struct sharing {
    pluck_trainer *trainer;
    pluck_tally tally;
    plk_tally_text text;
    size_t first;         /* of the rows that are being visited */
    unsigned char *piece; /* room for the examples of a row */
    size_t piece_capacity;
} sharing;

static pluck_status visit_shared_row(void *context, uint32_t worker, size_t item, pluck_error *err)
{
    sharing *s = context;
    return visit_row(s->trainer, worker, s->first + item, err);
}

static pluck_status add_piece(sharing *s, size_t place, pluck_error *err)
{
    const plk_visit *visits = plk_train_visits(s->trainer, place);
    size_t n = s->trainer->row_visits[place].n;
    pluck_status status = plk_grow(&s->trainer->memory.allocator, &s->piece, &s->piece_capacity,
                                   n * VISIT_BYTES, 1, err);
    if (status != PLUCK_OK)
        return status;
    plk_byte_writer out = plk_byte_writer_make(s->piece, s->piece_capacity);
    for (size_t i = 0; i < n; i++) {
        plk_put_u32(&out, visits[i].node);
        plk_train_put(&out, visits[i].target);
        plk_train_put(&out, visits[i].weight);
    }
    plk_tally_text_add(&s->tally, &s->text, place, 0, s->piece, out.n_bytes);
    return PLUCK_OK;
}

static pluck_status do_rows(void *user, uint64_t first, uint64_t end, uint64_t *failed,
                            pluck_error *err)
{
    sharing *s = user;
    const pluck_trainer *trainer = s->trainer;
    size_t n_done = 0;
    s->first = (size_t)first;
    pluck_status status =
        plk_parallel_run(trainer->options.parallel, trainer->n_workers, (size_t)(end - first),
                         visit_shared_row, s, &n_done, err);
    *failed = ROW_FAILURES + first + n_done;
    for (uint64_t place = first; place < end && status == PLUCK_OK; place++)
        status = add_piece(s, (size_t)place, err);
    return status;
}

/* The examples of a row from its piece; false if that is not valid. */
static bool take_piece(const sharing *s, size_t place, plk_visit_list *list)
{
    const plk_tally_piece *piece = &s->text.pieces[place];
    if (piece->item != place || piece->stream != 0 || piece->n_bytes % VISIT_BYTES != 0)
        return false;
    for (size_t at = 0; at < piece->n_bytes; at += VISIT_BYTES) {
        plk_byte_reader in = {(const unsigned char *)s->text.bytes + piece->offset + at,
                              VISIT_BYTES, false};
        plk_visit *visit = &list->visits[list->n++];
        visit->node = plk_take_u32(&in);
        visit->target = plk_train_take(&in);
        visit->weight = plk_train_take(&in);
        if (visit->node >= s->trainer->n_inner)
            return false;
    }
    return true;
}

/* Makes the pieces of all ranks the examples of the step. */
static pluck_status take_pieces(sharing *s, size_t n_rows, pluck_error *err)
{
    pluck_trainer *trainer = s->trainer;
    plk_visit_list *list = &trainer->workers[0].list;
    plk_tally_text_sort(&s->text);
    list->n = 0;
    pluck_status status = plk_grow(&trainer->memory.allocator, &list->visits, &list->capacity,
                                   s->text.n_bytes / VISIT_BYTES, sizeof *list->visits, err);
    if (status != PLUCK_OK)
        return status;
    for (size_t place = 0; place < n_rows; place++) {
        size_t row = trainer->order[trainer->first_row + place], first = list->n;
        if (place >= s->text.n_pieces || !take_piece(s, place, list))
            return plk_fail(err, PLUCK_ERR_FORMAT,
                            "training: row %zu: its examples from the other ranks are missing or "
                            "not valid",
                            row);
        trainer->row_visits[place] = (plk_row_visits){
            .n = (uint32_t)(list->n - first),
            .first = first,
            .square = plk_train_square(&trainer->data, row) / trainer->spread,
        };
    }
    return PLUCK_OK;
}

static pluck_status visit_shared(pluck_trainer *trainer, size_t n_rows, pluck_error *err)
{
    sharing s = {.trainer = trainer};
    plk_tally_open(&s.tally, "training, rows", &trainer->memory.allocator);
    plk_tally_section_add(&s.tally, PLK_TALLY_TEXT, &s.text, 1);
    plk_put_u64(&s.tally.about, trainer->checksum);
    plk_put_u64(&s.tally.about, trainer->epoch);
    plk_put_u64(&s.tally.about, trainer->first_row);
    if (trainer->failure.status != PLUCK_OK)
        plk_tally_fail(&s.tally, trainer->failed_item, &trainer->failure);
    pluck_status status =
        plk_ranks_pass(trainer->options.ranks, n_rows, &s.tally, do_rows, &s, err);
    pluck_error failure;
    if (status == PLUCK_OK && take_pieces(&s, n_rows, &failure) != PLUCK_OK)
        plk_train_note(trainer, 0, SIZE_MAX, &failure);
    plk_tally_close(&s.tally);
    plk_free(&trainer->memory.allocator, s.piece);
    return status;
}

/* The sums of the step and of the epoch, of the nodes that have learnt. */
static void add_losses(pluck_trainer *trainer)
{
    for (size_t i = 0; i < trainer->n_touched; i++) {
        plk_exact_sum_add(&trainer->losses[0], trainer->node_losses[i]);
        plk_exact_sum_add(&trainer->losses[1], trainer->node_losses[i]);
    }
}

/* Visits the rows, unless that was done together with the other ranks, and learns. *failed is the
 * node that failed, as a place in touched, or SIZE_MAX; then *place is the row. */
static pluck_status run_alone(pluck_trainer *trainer, size_t n_rows, size_t *place, size_t *failed,
                              pluck_error *err)
{
    const pluck_parallel *parallel = trainer->options.parallel;
    pluck_status status = PLUCK_OK;
    *place = 0;
    *failed = SIZE_MAX;
    if (!trainer->is_shared)
        status =
            plk_parallel_run(parallel, trainer->n_workers, n_rows, visit_row, trainer, place, err);
    if (status != PLUCK_OK)
        return status;
    *place = 0;
    status = gather(trainer, n_rows, err);
    if (status != PLUCK_OK)
        return status;
    return plk_parallel_run(parallel, trainer->n_workers, trainer->n_touched, learn_node, trainer,
                            failed, err);
}

pluck_status plk_train_step_run(pluck_trainer *trainer, size_t n_rows, pluck_error *err)
{
    pluck_error failure;
    size_t place, failed;
    pluck_status status = PLUCK_OK;
    if (trainer->is_known || (!trainer->is_shared && trainer->failure.status != PLUCK_OK))
        return PLUCK_OK;
    for (uint32_t i = 0; i < trainer->n_workers; i++)
        trainer->workers[i].list.n = 0;
    if (trainer->is_shared)
        status = visit_shared(trainer, n_rows, err);
    if (status != PLUCK_OK || trainer->failure.status != PLUCK_OK)
        return status;
    status = run_alone(trainer, n_rows, &place, &failed, &failure);
    if (status == PLUCK_OK)
        add_losses(trainer);
    else if (!trainer->is_mine)
        status = plk_fail(err, status, "%s", failure.message);
    else {
        plk_train_note(trainer, place, failed, &failure);
        status = PLUCK_OK;
    }
    return status;
}
