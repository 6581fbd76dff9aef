/* Normal numbers by the method of G. Box and M. Muller, "A note on the generation of random normal
 * deviates", Ann. Math. Stat. 29, 1958. */
#include "train_problem.h"

#include <math.h>

static double normal(pluck_pcg64 *rng)
{
    double u = pluck_pcg64_uniform(rng), v = pluck_pcg64_uniform(rng);
    return sqrt(-2 * log(1 - u)) * cos(6.283185307179586 * v);
}

static float *normals(pluck_pcg64 *rng, size_t n, double scale)
{
    float *x = malloc(n * sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(scale * normal(rng));
    return x;
}

train_problem train_problem_make(uint32_t n_tokens, uint32_t dim, size_t n_rows)
{
    pluck_pcg64 rng;
    pluck_pcg64_seed(&rng, 7, n_tokens, 0);
    train_problem p = {.n_tokens = n_tokens, .dim = dim, .n_rows = n_rows};
    p.weights = normals(&rng, (size_t)n_tokens * dim, 0.8);
    p.bias = normals(&rng, n_tokens, 0.5);
    p.hidden = normals(&rng, n_rows * dim, 1.0);
    p.targets = malloc(n_rows * sizeof *p.targets);
    assert_non_null(p.targets);
    pluck_matrix weights = {
        .data = p.weights, .dtype = PLUCK_F32, .n_rows = n_tokens, .n_cols = dim};
    assert_int_equal(pluck_head_create_dense(&p.dense, &weights, p.bias, NULL, NULL), PLUCK_OK);
    assert_int_equal(pluck_tree_create_balanced(&p.tree, n_tokens, NULL, NULL), PLUCK_OK);
    pluck_head_batch batch = {.struct_size = sizeof batch,
                              .hidden = p.hidden,
                              .n_rows = n_rows,
                              .temperature = 1,
                              .seed = 1,
                              .tokens = p.targets};
    assert_int_equal(pluck_head_run(p.dense, &batch, NULL), PLUCK_OK);
    return p;
}

void train_problem_free(train_problem *p)
{
    pluck_head_destroy(&p->dense);
    pluck_tree_destroy(&p->tree);
    free(p->hidden);
    free(p->weights);
    free(p->bias);
    free(p->targets);
}
