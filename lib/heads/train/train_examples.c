/*
 * With a target, a row is an example for every node on the path of the token.
 *
 * With a teacher it is one for every inner node v, weighted by the teacher's probability P(v | h)
 * of the tokens below it, nearly all of which is very small. So that a row costs hundreds of
 * updates and not n_tokens, v is taken with probability min(1, P(v | h) / FLOOR), and then weighs
 * max(P(v | h), FLOOR): the expectation of the gradient stays exactly that of the whole sum. One
 * uniform u a row decides for all nodes, P(v | h) > u FLOOR: no node is more probable than its
 * parent, so what is taken is connected, and a descent from the root finds it.
 */
#include "heads/train/trainer.h"

#include "base/alloc.h"
#include "base/error.h"

#include <pluck/softmax.h>

#include <string.h>

static const double FLOOR = 0x1p-12;

static pluck_status push(const pluck_trainer *trainer, plk_visit_list *list, uint32_t node,
                         double target, double weight, pluck_error *err)
{
    if (list->n == list->capacity) {
        size_t larger = list->capacity != 0 ? 2 * list->capacity : 4096;
        plk_visit *moved = plk_alloc(&trainer->allocator, larger, sizeof *moved);
        if (!moved)
            return plk_fail_nomem(err, larger * sizeof *moved);
        if (list->n > 0)
            memcpy(moved, list->visits, list->n * sizeof *moved);
        plk_free(&trainer->allocator, list->visits);
        list->visits = moved;
        list->capacity = larger;
    }
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
        bool is_right = plk_tree_child(tree, parent, 1) == node;
        status = push(trainer, list, parent - tree->n_tokens, is_right ? 1.0 : 0.0, 1.0, err);
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

pluck_status plk_train_visit_row(pluck_trainer *trainer, uint32_t worker, size_t place,
                                 pluck_error *err)
{
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
    trainer->row_visits[place] =
        (plk_row_visits){.worker = worker, .n = (uint32_t)(w->list.n - first), .first = first};
    return status;
}
