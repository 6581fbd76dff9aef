/*
 * Parameter blocks: the memory that a stage's table describes. Everything here follows the table,
 * so that a new stage needs no code, and a new parameter type one row in params.c.
 */
#ifndef PLK_PARAMS_H
#define PLK_PARAMS_H

#include "base/alloc.h"
#include "base/bytes.h"

#include <pluck/stage.h>

/* What can be done with a value of one pluck_param_type, given the address of the value. */
typedef struct plk_param_ops {
    size_t size_bytes;
    void (*init)(void *value, const pluck_param *param); /* the default */
    pluck_status (*clone)(void *out, const void *value, const pluck_allocator *allocator,
                          pluck_error *err);
    void (*free)(void *value, const pluck_allocator *allocator);
    bool (*equal)(const void *a, const void *b); /* bit for bit */
    void (*put)(const void *value, plk_byte_writer *out);
} plk_param_ops;

/* A value of any type: where one is kept before it moves into a block. */
typedef union plk_param_value {
    double number;
    int64_t integer;
    pluck_bias_map bias_map;
    bool boolean;
    pluck_token_set tokens;
    pluck_sequences sequences;
} plk_param_value;

const plk_param_ops *plk_param_ops_of(pluck_param_type type);

/* Where a parameter is inside a block. */
void *plk_param_at(void *params, const pluck_param *param);
const void *plk_param_at_const(const void *params, const pluck_param *param);

/* A block with the defaults of every parameter. On failure *out is NULL. */
pluck_status plk_params_create(void **out, const pluck_stage *stage,
                               const pluck_allocator *allocator, pluck_error *err);

/* An independent copy. On failure *out is NULL. */
pluck_status plk_params_clone(void **out, const pluck_stage *stage, const void *params,
                              const pluck_allocator *allocator, pluck_error *err);

/* params may be NULL. */
void plk_params_destroy(const pluck_stage *stage, void *params, const pluck_allocator *allocator);

/* Whether every parameter has the same bits: 0 and -0 differ. */
bool plk_params_equal(const pluck_stage *stage, const void *a, const void *b);

/* Name and value of every parameter that is not at its default: two blocks give the same bytes
 * exactly if they are equal, on every machine, and a parameter that a later version adds changes
 * none. */
void plk_params_put(const pluck_stage *stage, const void *params, plk_byte_writer *out);

#endif
