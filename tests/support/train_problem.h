/*
 * Something to learn: hidden states, and tokens drawn from the softmax of a random dense head.
 */
#ifndef TRAIN_PROBLEM_H
#define TRAIN_PROBLEM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <pluck/head.h>

typedef struct train_problem {
    float *hidden, *weights, *bias;
    pluck_token *targets;
    uint32_t n_tokens, dim;
    size_t n_rows;
    pluck_head *dense;
    pluck_tree *tree;
} train_problem;

/* The same for the same sizes; tree is balanced. Fails the test if memory is short. */
train_problem train_problem_make(uint32_t n_tokens, uint32_t dim, size_t n_rows);
void train_problem_free(train_problem *p);

#endif
