/*
 * Stages as an application would write them, for tests of what registering them does. All have one
 * parameter, "x".
 */
#ifndef CUSTOM_STAGES_H
#define CUSTOM_STAGES_H

#include <pluck/pluck.h>

enum { OWN_MAX_VOCAB = 300 };

typedef struct one_number {
    double x;
} one_number;

/* The table of "x". */
extern const pluck_param test_own_params[1];

/*
 * own_scale: logits times x; own_top: the x best; own_mass: the nucleus of x; own_bias: token 3
 * raised by x, token 10 banned, identity at 0 (own_bias_without_memory: the same, without
 * max_edits); own_odd: odd tokens; own_sharpen: p to the power of x; own_toss: with probability x
 * only the best and its equals; own_faulty: fails in way x; own_seen: accepted tokens lowered by x;
 * own_unsaveable: has a state that cannot be saved.
 */
extern const pluck_custom_stage custom_stages[];
extern const size_t n_custom_stages;

#endif
