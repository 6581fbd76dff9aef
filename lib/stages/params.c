/*
 * Blocks are walked parameter by parameter through one table of operations a type. A clone starts
 * as a plain copy of the block, so that bytes which no parameter describes are kept too; the values
 * that own memory are then replaced by their own copies.
 */
#include "stages/stage_impl.h"

#include "base/error.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

static void init_number(void *value, const pluck_param *param)
{
    *(double *)value = param->default_value;
}

static void init_integer(void *value, const pluck_param *param)
{
    *(int64_t *)value = (int64_t)param->default_value;
}

static void init_bias_map(void *value, const pluck_param *param)
{
    (void)param;
    *(pluck_bias_map *)value = (pluck_bias_map){NULL, 0};
}

static void init_boolean(void *value, const pluck_param *param)
{
    *(bool *)value = param->default_value != 0.0;
}

static void init_tokens(void *value, const pluck_param *param)
{
    (void)param;
    *(pluck_token_set *)value = (pluck_token_set){NULL, 0};
}

static void init_sequences(void *value, const pluck_param *param)
{
    (void)param;
    *(pluck_sequences *)value = (pluck_sequences){NULL, NULL, 0};
}

static pluck_status clone_8_bytes(void *out, const void *value, const pluck_allocator *allocator,
                                  pluck_error *err)
{
    (void)allocator;
    (void)err;
    memcpy(out, value, 8);
    return PLUCK_OK;
}

/* *copy = a copy of n items; NULL for none. */
static pluck_status clone_array(void **copy, const void *items, size_t n, size_t size_bytes,
                                const pluck_allocator *allocator, pluck_error *err)
{
    *copy = NULL;
    if (n == 0)
        return PLUCK_OK;
    *copy = plk_alloc(allocator, n, size_bytes);
    if (!*copy)
        return plk_fail_nomem(err, n * size_bytes);
    memcpy(*copy, items, n * size_bytes);
    return PLUCK_OK;
}

static pluck_status clone_bias_map(void *out, const void *value, const pluck_allocator *allocator,
                                   pluck_error *err)
{
    const pluck_bias_map *map = value;
    void *items;
    pluck_status status =
        clone_array(&items, map->items, map->n, sizeof *map->items, allocator, err);
    if (status == PLUCK_OK)
        *(pluck_bias_map *)out = (pluck_bias_map){items, map->n};
    return status;
}

static pluck_status clone_boolean(void *out, const void *value, const pluck_allocator *allocator,
                                  pluck_error *err)
{
    (void)allocator;
    (void)err;
    *(bool *)out = *(const bool *)value;
    return PLUCK_OK;
}

static pluck_status clone_tokens(void *out, const void *value, const pluck_allocator *allocator,
                                 pluck_error *err)
{
    const pluck_token_set *set = value;
    void *items;
    pluck_status status =
        clone_array(&items, set->items, set->n, sizeof *set->items, allocator, err);
    if (status == PLUCK_OK)
        *(pluck_token_set *)out = (pluck_token_set){items, set->n};
    return status;
}

static size_t n_tokens_of(const pluck_sequences *sequences)
{
    return sequences->n != 0 ? sequences->ends[sequences->n - 1] : 0;
}

static pluck_status clone_sequences(void *out, const void *value, const pluck_allocator *allocator,
                                    pluck_error *err)
{
    const pluck_sequences *sequences = value;
    void *tokens, *ends;
    pluck_status status = clone_array(&tokens, sequences->tokens, n_tokens_of(sequences),
                                      sizeof *sequences->tokens, allocator, err);
    if (status != PLUCK_OK)
        return status;
    status =
        clone_array(&ends, sequences->ends, sequences->n, sizeof *sequences->ends, allocator, err);
    if (status == PLUCK_OK)
        *(pluck_sequences *)out = (pluck_sequences){tokens, ends, sequences->n};
    else
        plk_free(allocator, tokens);
    return status;
}

static void free_nothing(void *value, const pluck_allocator *allocator)
{
    (void)value;
    (void)allocator;
}

static void free_bias_map(void *value, const pluck_allocator *allocator)
{
    pluck_bias_map *map = value;
    plk_free(allocator, map->items);
    *map = (pluck_bias_map){NULL, 0};
}

static void free_tokens(void *value, const pluck_allocator *allocator)
{
    pluck_token_set *set = value;
    plk_free(allocator, set->items);
    *set = (pluck_token_set){NULL, 0};
}

static void free_sequences(void *value, const pluck_allocator *allocator)
{
    pluck_sequences *sequences = value;
    plk_free(allocator, sequences->tokens);
    plk_free(allocator, sequences->ends);
    *sequences = (pluck_sequences){NULL, NULL, 0};
}

static bool equal_8_bytes(const void *a, const void *b)
{
    return memcmp(a, b, 8) == 0;
}

/* Item by item: the padding of pluck_bias has no defined bytes. */
static bool equal_bias_map(const void *a, const void *b)
{
    const pluck_bias_map *left = a, *right = b;
    if (left->n != right->n)
        return false;
    for (size_t i = 0; i < left->n; i++) {
        if (left->items[i].token != right->items[i].token ||
            !equal_8_bytes(&left->items[i].bias, &right->items[i].bias))
            return false;
    }
    return true;
}

static bool equal_boolean(const void *a, const void *b)
{
    return *(const bool *)a == *(const bool *)b;
}

static bool equal_array(const void *a, const void *b, size_t n, size_t size_bytes)
{
    return n == 0 || memcmp(a, b, n * size_bytes) == 0;
}

static bool equal_tokens(const void *a, const void *b)
{
    const pluck_token_set *left = a, *right = b;
    return left->n == right->n &&
           equal_array(left->items, right->items, left->n, sizeof *left->items);
}

static bool equal_sequences(const void *a, const void *b)
{
    const pluck_sequences *left = a, *right = b;
    return left->n == right->n &&
           equal_array(left->ends, right->ends, left->n, sizeof *left->ends) &&
           equal_array(left->tokens, right->tokens, n_tokens_of(left), sizeof *left->tokens);
}

static void put_number(const void *value, plk_byte_writer *out)
{
    plk_put_f64(out, *(const double *)value);
}

static void put_integer(const void *value, plk_byte_writer *out)
{
    plk_put_u64(out, (uint64_t) * (const int64_t *)value);
}

static void put_boolean(const void *value, plk_byte_writer *out)
{
    plk_put_u32(out, *(const bool *)value);
}

static void put_bias_map(const void *value, plk_byte_writer *out)
{
    const pluck_bias_map *map = value;
    plk_put_u64(out, map->n);
    for (size_t i = 0; i < map->n; i++) {
        plk_put_u32(out, (uint32_t)map->items[i].token);
        plk_put_f64(out, map->items[i].bias);
    }
}

static void put_tokens(const void *value, plk_byte_writer *out)
{
    const pluck_token_set *set = value;
    plk_put_u64(out, set->n);
    for (size_t i = 0; i < set->n; i++)
        plk_put_u32(out, (uint32_t)set->items[i]);
}

static void put_sequences(const void *value, plk_byte_writer *out)
{
    const pluck_sequences *sequences = value;
    plk_put_u64(out, sequences->n);
    for (size_t i = 0; i < sequences->n; i++)
        plk_put_u64(out, sequences->ends[i]);
    for (size_t i = 0; i < n_tokens_of(sequences); i++)
        plk_put_u32(out, (uint32_t)sequences->tokens[i]);
}

static size_t aligned(size_t n_bytes)
{
    size_t alignment = _Alignof(max_align_t);
    return (n_bytes + alignment - 1) / alignment * alignment;
}

/* A copy at *room; NULL for none. */
static void *pack_array(const void *items, size_t n_bytes, unsigned char **room)
{
    if (n_bytes == 0)
        return NULL;
    void *copy = memcpy(*room, items, n_bytes);
    *room += aligned(n_bytes);
    return copy;
}

static size_t packed_bytes_of_bias_map(const void *value)
{
    const pluck_bias_map *map = value;
    return aligned(map->n * sizeof *map->items);
}

static void pack_bias_map(void *value, unsigned char **room)
{
    pluck_bias_map *map = value;
    map->items = pack_array(map->items, map->n * sizeof *map->items, room);
}

static size_t packed_bytes_of_tokens(const void *value)
{
    const pluck_token_set *set = value;
    return aligned(set->n * sizeof *set->items);
}

static void pack_tokens(void *value, unsigned char **room)
{
    pluck_token_set *set = value;
    set->items = pack_array(set->items, set->n * sizeof *set->items, room);
}

static size_t packed_bytes_of_sequences(const void *value)
{
    const pluck_sequences *sequences = value;
    return aligned(n_tokens_of(sequences) * sizeof *sequences->tokens) +
           aligned(sequences->n * sizeof *sequences->ends);
}

static void pack_sequences(void *value, unsigned char **room)
{
    pluck_sequences *sequences = value;
    size_t n_tokens = n_tokens_of(sequences);
    sequences->tokens = pack_array(sequences->tokens, n_tokens * sizeof *sequences->tokens, room);
    sequences->ends = pack_array(sequences->ends, sequences->n * sizeof *sequences->ends, room);
}

/* Indexed by pluck_param_type. */
static const plk_param_ops ops[] = {
    [PLUCK_PARAM_NUMBER] = {.size_bytes = sizeof(double),
                            .init = init_number,
                            .clone = clone_8_bytes,
                            .free = free_nothing,
                            .equal = equal_8_bytes,
                            .put = put_number},
    [PLUCK_PARAM_INTEGER] = {.size_bytes = sizeof(int64_t),
                             .init = init_integer,
                             .clone = clone_8_bytes,
                             .free = free_nothing,
                             .equal = equal_8_bytes,
                             .put = put_integer},
    [PLUCK_PARAM_BIAS_MAP] = {.size_bytes = sizeof(pluck_bias_map),
                              .init = init_bias_map,
                              .clone = clone_bias_map,
                              .free = free_bias_map,
                              .equal = equal_bias_map,
                              .put = put_bias_map,
                              .packed_bytes = packed_bytes_of_bias_map,
                              .pack = pack_bias_map},
    [PLUCK_PARAM_BOOLEAN] = {.size_bytes = sizeof(bool),
                             .init = init_boolean,
                             .clone = clone_boolean,
                             .free = free_nothing,
                             .equal = equal_boolean,
                             .put = put_boolean},
    [PLUCK_PARAM_TOKENS] = {.size_bytes = sizeof(pluck_token_set),
                            .init = init_tokens,
                            .clone = clone_tokens,
                            .free = free_tokens,
                            .equal = equal_tokens,
                            .put = put_tokens,
                            .packed_bytes = packed_bytes_of_tokens,
                            .pack = pack_tokens},
    [PLUCK_PARAM_SEQUENCES] = {.size_bytes = sizeof(pluck_sequences),
                               .init = init_sequences,
                               .clone = clone_sequences,
                               .free = free_sequences,
                               .equal = equal_sequences,
                               .put = put_sequences,
                               .packed_bytes = packed_bytes_of_sequences,
                               .pack = pack_sequences},
};

const plk_param_ops *plk_param_ops_of(pluck_param_type type)
{
    assert((size_t)type < sizeof ops / sizeof *ops);
    return &ops[type];
}

void *plk_param_at(void *params, const pluck_param *param)
{
    return (char *)params + param->offset_bytes;
}

const void *plk_param_at_const(const void *params, const pluck_param *param)
{
    return (const char *)params + param->offset_bytes;
}

/* Frees the values of the first n parameters and the block. */
static void destroy_first(const pluck_stage *stage, void *params, size_t n,
                          const pluck_allocator *allocator)
{
    for (size_t i = 0; i < n; i++) {
        const pluck_param *param = &stage->params[i];
        plk_param_ops_of(param->type)->free(plk_param_at(params, param), allocator);
    }
    plk_free(allocator, params);
}

pluck_status plk_params_create(void **out, const pluck_stage *stage,
                               const pluck_allocator *allocator, pluck_error *err)
{
    size_t size_bytes = stage->params_size_bytes != 0 ? stage->params_size_bytes : 1;
    *out = NULL;
    char *params = plk_alloc_zero(allocator, 1, size_bytes);
    if (!params)
        return plk_fail_nomem(err, size_bytes);
    for (size_t i = 0; i < stage->n_params; i++) {
        const pluck_param *param = &stage->params[i];
        plk_param_ops_of(param->type)->init(plk_param_at(params, param), param);
    }
    *out = params;
    return PLUCK_OK;
}

pluck_status plk_params_clone(void **out, const pluck_stage *stage, const void *params,
                              const pluck_allocator *allocator, pluck_error *err)
{
    size_t size_bytes = stage->params_size_bytes != 0 ? stage->params_size_bytes : 1;
    *out = NULL;
    char *copy = plk_alloc(allocator, 1, size_bytes);
    if (!copy)
        return plk_fail_nomem(err, size_bytes);
    memcpy(copy, params, stage->params_size_bytes);
    for (size_t i = 0; i < stage->n_params; i++) {
        const pluck_param *param = &stage->params[i];
        pluck_status status = plk_param_ops_of(param->type)
                                  ->clone(plk_param_at(copy, param),
                                          plk_param_at_const(params, param), allocator, err);
        if (status != PLUCK_OK) {
            destroy_first(stage, copy, i, allocator);
            return status;
        }
    }
    *out = copy;
    return PLUCK_OK;
}

size_t plk_params_packed_bytes(const pluck_stage *stage, const void *params)
{
    size_t n_bytes = aligned(stage->params_size_bytes);
    for (size_t i = 0; i < stage->n_params; i++) {
        const pluck_param *param = &stage->params[i];
        const plk_param_ops *param_ops = plk_param_ops_of(param->type);
        if (param_ops->packed_bytes)
            n_bytes += param_ops->packed_bytes(plk_param_at_const(params, param));
    }
    return n_bytes;
}

void *plk_params_pack(const pluck_stage *stage, const void *params, unsigned char **room)
{
    void *copy = memcpy(*room, params, stage->params_size_bytes);
    *room += aligned(stage->params_size_bytes);
    for (size_t i = 0; i < stage->n_params; i++) {
        const pluck_param *param = &stage->params[i];
        const plk_param_ops *param_ops = plk_param_ops_of(param->type);
        if (param_ops->pack)
            param_ops->pack(plk_param_at(copy, param), room);
    }
    return copy;
}

void plk_params_destroy(const pluck_stage *stage, void *params, const pluck_allocator *allocator)
{
    if (params)
        destroy_first(stage, params, stage->n_params, allocator);
}

bool plk_params_equal(const pluck_stage *stage, const void *a, const void *b)
{
    for (size_t i = 0; i < stage->n_params; i++) {
        const pluck_param *param = &stage->params[i];
        if (!plk_param_ops_of(param->type)
                 ->equal(plk_param_at_const(a, param), plk_param_at_const(b, param)))
            return false;
    }
    return true;
}

void plk_params_put(const pluck_stage *stage, const void *params, plk_byte_writer *out)
{
    for (size_t i = 0; i < stage->n_params; i++) {
        const pluck_param *param = &stage->params[i];
        const plk_param_ops *param_ops = plk_param_ops_of(param->type);
        plk_param_value unset; /* defaults own no memory */
        param_ops->init(&unset, param);
        if (param_ops->equal(plk_param_at_const(params, param), &unset))
            continue;
        plk_put_bytes(out, param->name, strlen(param->name) + 1);
        param_ops->put(plk_param_at_const(params, param), out);
    }
}

static pluck_status fail_token(const char *stage, pluck_token token, uint32_t n_vocab,
                               pluck_error *err)
{
    return plk_fail(err, PLUCK_ERR_CONFIG, "%s: token %d is outside the vocabulary of %u tokens",
                    stage, token, n_vocab);
}

pluck_status plk_check_token_set(const char *stage, const pluck_token_set *set, uint32_t n_vocab,
                                 pluck_error *err)
{
    if (set->n > 0 && (uint32_t)set->items[set->n - 1] >= n_vocab)
        return fail_token(stage, set->items[set->n - 1], n_vocab, err);
    return PLUCK_OK;
}

pluck_status plk_check_sequences(const char *stage, const pluck_sequences *sequences,
                                 uint32_t n_vocab, pluck_error *err)
{
    size_t n = sequences->n != 0 ? sequences->ends[sequences->n - 1] : 0;
    for (size_t i = 0; i < n; i++)
        if ((uint32_t)sequences->tokens[i] >= n_vocab)
            return fail_token(stage, sequences->tokens[i], n_vocab, err);
    return PLUCK_OK;
}
