/*
 * The life of a trainer: what it is created from, epochs and steps, the head it makes.
 *
 * Nothing but the nodes and their sums of squared gradients is carried from step to step: the order
 * of the rows follows from seed and epoch, the learning rate from the row. That is what a
 * checkpoint holds.
 */
#include "heads/train/trainer.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/scalar_math.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

enum {
    DEFAULT_EPOCHS = 5,
    ROWS_A_STEP = 8192,
    TEACHER_ROWS_A_STEP = 256,
    USUAL_SQUARE = 128, /* of the length of a hidden state: what the default rate suits */
    MAX_SCALE_BITS = 126
};

static const double DEFAULT_RATE = 0.3;

/* The stream of the seed that orders rows: no row has it. */
static const uint64_t ORDER_STREAM = UINT64_MAX;

static pluck_status read_data(pluck_train_data *data, const pluck_train_data *given,
                              const pluck_tree *tree, pluck_error *err)
{
    pluck_status status = PLK_READ_STRUCT(data, given, "data", pluck_train_data, err);
    if (status != PLUCK_OK)
        return status;
    if (!data->hidden || data->n_rows < 1 || data->n_rows > UINT32_MAX || data->dim < 1)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "training: data.hidden must not be NULL; data.n_rows must be from 1 to "
                        "2^32 - 1, and data.dim at least 1");
    if (!data->targets == !data->teacher)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "training: give exactly one of data.targets and data.teacher");
    for (size_t r = 0; data->targets && r < data->n_rows; r++)
        if (data->targets[r] < 0 || (uint32_t)data->targets[r] >= tree->n_tokens)
            return plk_fail(err, PLUCK_ERR_INVALID,
                            "training: targets[%zu] = %d is outside [0, %u]", r,
                            (int)data->targets[r], (unsigned)(tree->n_tokens - 1));
    if (data->teacher &&
        (data->teacher->n_vocab != tree->n_tokens || data->teacher->dim != data->dim))
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "training: the teacher has %u tokens and dim %u; expected %u and %u",
                        (unsigned)data->teacher->n_vocab, (unsigned)data->teacher->dim,
                        (unsigned)tree->n_tokens, (unsigned)data->dim);
    for (size_t i = 0; i < data->n_rows * data->dim; i++)
        if (!isfinite(data->hidden[i]))
            return plk_fail(err, PLUCK_ERR_NAN, "training: hidden[%zu][%zu] is not finite",
                            i / data->dim, i % data->dim);
    return PLUCK_OK;
}

static pluck_status read_options(pluck_train_options *options, const pluck_train_options *given,
                                 pluck_error *err)
{
    pluck_status status = PLK_READ_STRUCT(options, given, "options", pluck_train_options, err);
    if (status != PLUCK_OK)
        return status;
    options->n_epochs = options->n_epochs != 0 ? options->n_epochs : DEFAULT_EPOCHS;
    if (!(options->learning_rate >= 0 && options->learning_rate <= 1e6) ||
        !(options->l2 >= 0 && options->l2 <= 1e6))
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "training: learning_rate = %g and l2 = %g must be in [0, 1e6]",
                        options->learning_rate, options->l2);
    if (!(options->learning_rate > 0))
        options->learning_rate = DEFAULT_RATE;
    return PLUCK_OK;
}

/* FNV-1a over words: enough to notice that a checkpoint is continued with other data. */
static uint64_t checksum(uint64_t sum, const void *words, size_t n)
{
    const unsigned char *bytes = words;
    for (size_t i = 0; i < n; i++) {
        uint32_t word;
        memcpy(&word, bytes + i * sizeof word, sizeof word);
        sum = (sum ^ word) * UINT64_C(1099511628211);
    }
    return sum;
}

/* Of the data; of a teacher, what it says about the first row. */
static pluck_status sum_data(pluck_trainer *trainer, pluck_error *err)
{
    const pluck_train_data *data = &trainer->data;
    uint64_t sum = checksum(UINT64_C(14695981039346656037), data->hidden, data->n_rows * data->dim);
    pluck_status status = PLUCK_OK;
    if (data->targets) {
        sum = checksum(sum, data->targets, data->n_rows);
    } else {
        const plk_train_worker *w = &trainer->workers[0];
        status = pluck_head_query_logprobs(w->query, data->hidden, w->probs, err);
        if (status == PLUCK_OK)
            sum = checksum(sum, w->probs, trainer->tree->n_tokens);
    }
    trainer->checksum = sum;
    return status;
}

/* The unit of the hidden states. Zeros have none. */
static void measure(pluck_trainer *trainer)
{
    double sum = 0;
    for (size_t r = 0; r < trainer->data.n_rows; r++)
        sum += plk_train_square(&trainer->data, r);
    trainer->spread = sum > 0 ? sum / (double)trainer->data.n_rows / USUAL_SQUARE : 1;
    /* With 2^(e - 1) <= spread < 2^e the power of two nearest to its root, by ratio, is 2^(e / 2),
     * rounded down. */
    int e;
    (void)frexp(trainer->spread, &e);
    int bits = e >= 0 ? e / 2 : -((1 - e) / 2);
    trainer->scale = ldexp(1, bits > MAX_SCALE_BITS    ? MAX_SCALE_BITS
                              : bits < -MAX_SCALE_BITS ? -MAX_SCALE_BITS
                                                       : bits);
}

static pluck_status allocate(pluck_trainer *trainer, pluck_error *err)
{
    plk_arrays *memory = &trainer->memory;
    size_t n_inner = trainer->n_inner;
    trainer->nodes =
        plk_arrays_add_zero(memory, n_inner, trainer->data.dim * sizeof *trainer->nodes);
    trainer->bias = plk_arrays_add_zero(memory, n_inner, sizeof *trainer->bias);
    trainer->squares = plk_arrays_add_zero(memory, n_inner, sizeof *trainer->squares);
    trainer->order = plk_arrays_add(memory, trainer->data.n_rows, sizeof *trainer->order);
    if (trainer->data.targets)
        trainer->parents = plk_arrays_add(memory, 2 * n_inner + 1, sizeof *trainer->parents);
    if (trainer->parents)
        plk_tree_parents(trainer->tree, trainer->parents);
    return plk_arrays_check(memory, err);
}

/*
 * The true log-odds of the right child of v under a dense head with rows w and biases b are
 * c(right) - c(left) with c(S) = ln of the sum over t in S of exp(w_t . h + b_t): convex functions
 * of h, whose gradient is m(S), the mean of the rows in S weighted by their softmax. So the tangent
 * at h0, the mean hidden state, is u = m(right) - m(left), b = c(right) - c(left) - u . h0.
 *
 * c and m of an inner node follow from those of its children: c = ln(e^c0 + e^c1), and m is their
 * mean with weights e^(c0 - c), e^(c1 - c). One pass, children before parents.
 */

static void widen(const pluck_trainer *trainer, const plk_rows *rows, size_t row, float *to)
{
    const unsigned char *from = rows->data + row * rows->row_size_bytes;
    if (rows->dtype == PLUCK_F32)
        memcpy(to, from, rows->n_cols * sizeof *to);
    else if (rows->dtype == PLUCK_F16)
        trainer->kernels->widen_f16(from, rows->n_cols, to);
    else
        trainer->kernels->widen_bf16(from, rows->n_cols, to);
}

pluck_status plk_train_start_from_head(pluck_trainer *trainer, const pluck_head *head,
                                       pluck_error *err)
{
    const pluck_tree *tree = trainer->tree;
    size_t n = 2 * (size_t)trainer->n_inner * sizeof *tree->children;
    if (!head->tree || head->dim != trainer->data.dim || head->n_vocab != tree->n_tokens ||
        memcmp(head->tree->children, tree->children, n) != 0)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "training: options.start is not a hierarchical head of the same tree and "
                        "dim");
    float sign = head->sign == PLUCK_TREE_RIGHT ? 1.0f : -1.0f;
    float factor = sign * (float)trainer->scale;
    for (size_t i = 0; i < trainer->n_inner; i++) {
        float *u = trainer->nodes + i * trainer->data.dim;
        widen(trainer, &head->rows, i, u);
        for (uint32_t j = 0; j < trainer->data.dim; j++)
            u[j] *= factor;
        trainer->bias[i] = head->bias ? sign * head->bias[i] : 0;
    }
    return PLUCK_OK;
}

/* The mean of the hidden states. sums: dim numbers, zero at first. */
static void find_centre(const pluck_train_data *data, double *sums, float *centre)
{
    for (size_t r = 0; r < data->n_rows; r++)
        for (uint32_t j = 0; j < data->dim; j++)
            sums[j] += (double)data->hidden[r * data->dim + j];
    for (uint32_t j = 0; j < data->dim; j++)
        centre[j] = (float)(sums[j] / (double)data->n_rows);
}

typedef struct tangent {
    float *centre;
    double *logs;       /* c: of tokens, then of inner nodes */
    float *means;       /* m of inner nodes */
    float *children[2]; /* m of two tokens */
} tangent;

/* m of a child; of a token its row, widened into the room for that side. */
static const float *mean_of(const pluck_trainer *trainer, const tangent *t, uint32_t node,
                            unsigned side)
{
    uint32_t n_tokens = trainer->tree->n_tokens;
    if (node >= n_tokens)
        return t->means + (size_t)(node - n_tokens) * trainer->data.dim;
    widen(trainer, &trainer->data.teacher->rows, node, t->children[side]);
    return t->children[side];
}

static void set_nodes(pluck_trainer *trainer, tangent *t)
{
    const pluck_tree *tree = trainer->tree;
    const plk_rows *rows = &trainer->data.teacher->rows;
    const float *bias = trainer->data.teacher->bias;
    uint32_t dim = trainer->data.dim;
    for (uint32_t k = 0; k < tree->n_tokens; k++)
        t->logs[k] = plk_rows_dot(rows, k, t->centre) + (bias ? (double)bias[k] : 0);
    for (uint32_t i = 0; i < trainer->n_inner; i++) {
        uint32_t node = tree->n_tokens + i;
        uint32_t left = plk_tree_child(tree, node, 0), right = plk_tree_child(tree, node, 1);
        const float *a = mean_of(trainer, t, left, 0), *b = mean_of(trainer, t, right, 1);
        double c0 = t->logs[left], c1 = t->logs[right], c = plk_log_add(c0, c1);
        float p0 = (float)plk_exp(c0 - c), p1 = (float)plk_exp(c1 - c);
        float *u = trainer->nodes + (size_t)i * dim, *mean = t->means + (size_t)i * dim;
        for (uint32_t j = 0; j < dim; j++) {
            u[j] = (b[j] - a[j]) * (float)trainer->scale;
            mean[j] = p0 * a[j] + p1 * b[j];
        }
        t->logs[node] = c;
        if (!trainer->options.without_bias)
            trainer->bias[i] =
                (float)(c1 - c0 - trainer->kernels->dot_f32(t->centre, u, dim) / trainer->scale);
    }
}

static pluck_status start_from_dense(pluck_trainer *trainer, pluck_error *err)
{
    plk_arrays memory = {.allocator = trainer->memory.allocator};
    size_t dim = trainer->data.dim, n_inner = trainer->n_inner;
    double *sums = plk_arrays_add_zero(&memory, dim, sizeof *sums);
    tangent t = {
        .centre = plk_arrays_add(&memory, dim, sizeof(float)),
        .logs = plk_arrays_add(&memory, 2 * n_inner + 1, sizeof *t.logs),
        .means = plk_arrays_add(&memory, n_inner, dim * sizeof *t.means),
        .children = {plk_arrays_add(&memory, dim, sizeof(float)),
                     plk_arrays_add(&memory, dim, sizeof(float))},
    };
    pluck_status status = plk_arrays_check(&memory, err);
    if (status == PLUCK_OK) {
        find_centre(&trainer->data, sums, t.centre);
        set_nodes(trainer, &t);
    }
    plk_arrays_free(&memory);
    return status;
}

static pluck_status start(pluck_trainer *trainer, pluck_error *err)
{
    const pluck_head *teacher = trainer->data.teacher;
    if (trainer->options.start)
        return plk_train_start_from_head(trainer, trainer->options.start, err);
    if (teacher && teacher->kind == PLUCK_HEAD_DENSE)
        return start_from_dense(trainer, err);
    return PLUCK_OK;
}

static pluck_status prepare(pluck_trainer *trainer, const pluck_tree *tree, pluck_error *err)
{
    pluck_status status = plk_tree_copy(&trainer->tree, tree, &trainer->memory.allocator, err);
    if (status == PLUCK_OK)
        status = allocate(trainer, err);
    if (status == PLUCK_OK)
        status = plk_train_step_open(trainer, err);
    if (status == PLUCK_OK)
        status = plk_train_ranks_open(trainer, err);
    if (status == PLUCK_OK)
        status = sum_data(trainer, err);
    if (status == PLUCK_OK)
        status = start(trainer, err);
    if (status == PLUCK_OK)
        plk_trainer_shuffle(trainer);
    trainer->options.start = NULL;
    return status;
}

pluck_status pluck_trainer_create(pluck_trainer **out, const pluck_tree *tree,
                                  const pluck_train_data *data, const pluck_train_options *options,
                                  pluck_error *err)
{
    if (!out || !tree || !data)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_trainer_create: out, tree and data must not be NULL");
    *out = NULL;
    pluck_trainer made = {.n_inner = tree->n_tokens - 1, .is_whole = true};
    pluck_status status = read_options(&made.options, options, err);
    if (status == PLUCK_OK)
        status = plk_parallel_workers(made.options.parallel, &made.n_workers, err);
    if (status == PLUCK_OK)
        status = read_data(&made.data, data, tree, err);
    if (status != PLUCK_OK)
        return status;
    made.kernels = plk_kernels_get(PLUCK_ISA_BEST);
    made.rows_a_step = made.data.targets ? ROWS_A_STEP : TEACHER_ROWS_A_STEP;
    if (made.rows_a_step > made.data.n_rows)
        made.rows_a_step = made.data.n_rows;
    made.memory.allocator = plk_allocator_or_default(made.options.allocator);
    pluck_trainer *trainer = plk_arrays_add(&made.memory, 1, sizeof *trainer);
    if (!trainer)
        return plk_arrays_check(&made.memory, err);
    *trainer = made;
    plk_fp_state fp = plk_fp_enter();
    measure(trainer);
    status = prepare(trainer, tree, err);
    plk_fp_leave(fp);
    if (status != PLUCK_OK)
        pluck_trainer_destroy(&trainer);
    *out = trainer;
    return status;
}

void pluck_trainer_destroy(pluck_trainer **trainer)
{
    if (!trainer || !*trainer)
        return;
    plk_train_step_free(*trainer);
    plk_tally_close(&(*trainer)->tally);
    pluck_tree_destroy(&(*trainer)->tree);
    plk_arrays_free(&(*trainer)->memory);
    *trainer = NULL;
}

/* R. A. Fisher and F. Yates, as in R. Durstenfeld, "Algorithm 235", CACM 7, 1964. */
void plk_trainer_shuffle(pluck_trainer *trainer)
{
    pluck_pcg64 rng;
    pluck_pcg64_seed(&rng, trainer->options.seed, ORDER_STREAM, trainer->epoch);
    for (size_t i = 0; i < trainer->data.n_rows; i++)
        trainer->order[i] = (uint32_t)i;
    for (size_t i = trainer->data.n_rows - 1; i > 0; i--) {
        size_t j = (size_t)pluck_pcg64_below(&rng, i + 1);
        uint32_t row = trainer->order[i];
        trainer->order[i] = trainer->order[j];
        trainer->order[j] = row;
    }
}

static uint64_t rows_done(const pluck_trainer *trainer)
{
    return trainer->epoch * (uint64_t)trainer->data.n_rows + trainer->next_row;
}

static uint64_t all_rows(const pluck_trainer *trainer)
{
    return trainer->options.n_epochs * (uint64_t)trainer->data.n_rows;
}

static double mean_of_rows(const plk_exact_sum *sum, size_t n_rows)
{
    return n_rows > 0 ? plk_exact_sum_value(sum) / (double)n_rows : 0;
}

pluck_status pluck_trainer_get_progress(const pluck_trainer *trainer,
                                        pluck_train_progress *progress, pluck_error *err)
{
    if (!trainer || !progress)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_trainer_get_progress: trainer and progress must not be NULL");
    pluck_train_progress known = {
        .is_done = trainer->epoch == trainer->options.n_epochs,
        .epoch = trainer->epoch,
        .n_epochs = trainer->options.n_epochs,
        .n_rows_done = rows_done(trainer),
        .n_rows = all_rows(trainer),
        .n_examples = trainer->n_examples,
        .loss = mean_of_rows(&trainer->losses[0], trainer->step_rows),
        .epoch_loss = mean_of_rows(&trainer->losses[1], trainer->epoch_rows),
    };
    return PLK_WRITE_STRUCT(progress, &known, "progress", pluck_train_progress, err);
}

/* What the last step and the epoch add up to begins with nothing; and once every rank knows what
 * all of them found, the first one keeps it. */
static void start_counts(pluck_trainer *trainer, size_t n_rows)
{
    bool is_kept = !trainer->is_mine || !trainer->is_whole || trainer->rank == 0;
    if (!is_kept)
        trainer->n_examples = 0;
    if (!is_kept || trainer->next_row == 0)
        trainer->losses[1] = (plk_exact_sum){0};
    trainer->epoch_rows = (trainer->next_row == 0 ? 0 : trainer->epoch_rows) + n_rows;
    trainer->losses[0] = (plk_exact_sum){0};
    trainer->step_rows = n_rows;
}

static pluck_status step(pluck_trainer *trainer, pluck_error *err)
{
    size_t left = trainer->data.n_rows - trainer->next_row;
    size_t n_rows = left < trainer->rows_a_step ? left : trainer->rows_a_step;
    uint64_t n_all = all_rows(trainer);
    trainer->first_row = trainer->next_row;
    trainer->rate_a_row = trainer->options.learning_rate / (double)n_all;
    trainer->first_rate = trainer->rate_a_row * (double)(n_all - rows_done(trainer));
    pluck_status status = PLUCK_OK;
    if (trainer->is_mine && !trainer->is_shared)
        status = plk_train_ranks_begin(trainer, err);
    start_counts(trainer, n_rows);
    trainer->is_whole = !trainer->is_mine;
    if (status == PLUCK_OK)
        status = plk_train_step_run(trainer, n_rows, err);
    trainer->next_row += n_rows;
    if (trainer->next_row == trainer->data.n_rows) {
        trainer->next_row = 0;
        trainer->epoch++;
        plk_trainer_shuffle(trainer);
    }
    if (status == PLUCK_OK && trainer->epoch == trainer->options.n_epochs)
        status = pluck_trainer_collect(trainer, err);
    return status;
}

pluck_status pluck_trainer_step(pluck_trainer *trainer, pluck_error *err)
{
    if (!trainer)
        return plk_fail(err, PLUCK_ERR_INVALID, "pluck_trainer_step: trainer must not be NULL");
    if (trainer->epoch == trainer->options.n_epochs)
        return PLUCK_OK;
    PLK_RETURN_IN_FP(step(trainer, err));
}

pluck_status pluck_head_create_trained(pluck_head **out, const pluck_trainer *trainer,
                                       pluck_error *err)
{
    if (!out || !trainer)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_head_create_trained: out and trainer must not be NULL");
    if (!trainer->is_whole)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "training: the nodes of the other ranks are not known; call "
                        "pluck_trainer_collect first");
    pluck_matrix nodes = {.data = trainer->nodes,
                          .dtype = PLUCK_F32,
                          .n_rows = trainer->n_inner,
                          .n_cols = trainer->data.dim};
    pluck_head_options options = PLUCK_INIT(pluck_head_options);
    options.allocator = &trainer->memory.allocator;
    pluck_status status = pluck_head_create_hierarchical(
        out, trainer->tree, &nodes, trainer->options.without_bias ? NULL : trainer->bias,
        PLUCK_TREE_RIGHT, &options, err);
    if (status != PLUCK_OK)
        return status;
    plk_arrays *memory = &(*out)->memory;
    size_t n = (size_t)trainer->n_inner * trainer->data.dim;
    float *u = plk_arrays_add(memory, n, sizeof *u);
    bool fits = true;
    for (size_t i = 0; u && i < n; i++) {
        u[i] = (float)((double)trainer->nodes[i] / trainer->scale);
        fits = fits && isfinite(u[i]);
    }
    (*out)->rows.data = (const unsigned char *)u;
    status = plk_arrays_check(memory, err);
    if (!fits)
        status = plk_fail(
            err, PLUCK_ERR_NAN,
            "training: a weight is too large for a float; scale the hidden states up by %g",
            1 / trainer->scale);
    if (status != PLUCK_OK)
        pluck_head_destroy(out);
    return status;
}
