/*
 * From weights to integers. The ideal share of entry i is x_i = n 2^32 w_i / W, computed in double
 * with a relative error below 2^-51.4. Rounding carries on: what an entry gains or loses goes to
 * the next one (error diffusion), so that partial sums stay within 1/2 of those of the x_i, and the
 * whole sum misses n 2^32 by what the doubles lost alone. The largest entry, which is at least 2^32
 * units, takes that difference: the sum is exact.
 *
 * From integers to cells, by sweeping (L. Huebschle-Schneider, P. Sanders, "Parallel weighted
 * random sampling", ESA 2019). Entries up to one cell of 2^32 units are light, the others heavy.
 * One cursor walks over the light ones, another over the heavy ones, of which the present one has
 * some units left. While these are more than a cell, it fills up the next light cell; else its own
 * cell takes them and is filled up by the next heavy entry. In integers nothing is lost, and the
 * last cell comes out full. No worklists are needed, and neighbours in the table share aliases.
 *
 * A draw multiplies 64 random bits by n: the upper half of the 128-bit product is the cell, the
 * upper half of the rest is compared with the threshold. Many draws from a large table fetch cells
 * some draws ahead, so that their cache misses overlap.
 */
#include "weighted/kinds.h"

#include "base/alloc.h"
#include "base/error.h"
#include "rng/pcg64_step.h"
#include "simd/fp_state.h"

static const uint64_t CELL = UINT64_C(1) << 32;

void plk_alias_units(pluck_weights weights, double total, uint64_t *units)
{
    double all = (double)weights.n * (double)CELL;
    uint64_t left = (uint64_t)weights.n << 32;
    uint32_t largest = 0;
    double carry = 0;
    for (uint32_t i = 0; i < weights.n; i++) {
        double weight = plk_weight_at(weights, i);
        units[i] = 0;
        if (weight == 0)
            continue;
        double share = weight / total * all;
        int64_t whole = (int64_t)share; /* below 2^62 + 2^10 */
        carry += share - (double)whole;
        int64_t more = carry >= 0.5;
        carry -= (double)more;
        units[i] = (uint64_t)(whole + more);
        left -= units[i]; /* modulo 2^64: may be a little below 0 at the end */
        if (units[i] > units[largest])
            largest = i;
    }
    units[largest] += left;
}

static uint32_t next_light(const uint64_t *units, uint32_t n, uint32_t i)
{
    while (i < n && units[i] > CELL)
        i++;
    return i;
}

static uint32_t next_heavy(const uint64_t *units, uint32_t n, uint32_t i)
{
    while (i < n && units[i] <= CELL)
        i++;
    return i;
}

static plk_alias_cell full_cell(uint32_t i)
{
    return (plk_alias_cell){.threshold = 0, .alias = i};
}

static void sweep(const uint64_t *units, uint32_t n, plk_alias_cell *cells)
{
    uint32_t light = next_light(units, n, 0), heavy = next_heavy(units, n, 0);
    uint64_t left = heavy < n ? units[heavy] : 0;
    while (heavy < n) {
        if (left > CELL) {
            cells[light] = units[light] == CELL ? full_cell(light)
                                                : (plk_alias_cell){(uint32_t)units[light], heavy};
            left -= CELL - units[light];
            light = next_light(units, n, light + 1);
            continue;
        }
        uint32_t next = next_heavy(units, n, heavy + 1);
        cells[heavy] = left == CELL ? full_cell(heavy) : (plk_alias_cell){(uint32_t)left, next};
        left = next < n ? units[next] - (CELL - left) : 0;
        heavy = next;
    }
    while (light < n) {
        cells[light] = full_cell(light);
        light = next_light(units, n, light + 1);
    }
}

pluck_status plk_alias_alloc(pluck_alias **out, uint32_t n, const pluck_allocator *allocator,
                             pluck_error *err)
{
    pluck_allocator memory = plk_allocator_or_default(allocator);
    pluck_alias *alias = plk_alloc(&memory, 1, sizeof *alias);
    plk_alias_cell *cells = plk_alloc(&memory, n, sizeof *cells);
    if (!alias || !cells) {
        plk_free(&memory, alias);
        plk_free(&memory, cells);
        return plk_fail_nomem(err, n * sizeof *cells);
    }
    *alias = (pluck_alias){memory, n, cells};
    *out = alias;
    return PLUCK_OK;
}

static pluck_status create(pluck_alias **out, pluck_weights weights,
                           const pluck_allocator *allocator, pluck_error *err)
{
    double total;
    uint32_t n_positive;
    pluck_alias *alias = NULL;
    pluck_status status =
        plk_weights_check(weights, "pluck_alias_create", &total, &n_positive, err);
    if (status == PLUCK_OK)
        status = plk_alias_alloc(&alias, weights.n, allocator, err);
    if (status != PLUCK_OK)
        return status;
    uint64_t *units = plk_alloc(&alias->allocator, weights.n, sizeof *units);
    if (units) {
        plk_alias_units(weights, total, units);
        sweep(units, weights.n, alias->cells);
        plk_free(&alias->allocator, units);
        *out = alias;
        return PLUCK_OK;
    }
    pluck_alias_destroy(&alias);
    return plk_fail_nomem(err, weights.n * sizeof *units);
}

pluck_status pluck_alias_create(pluck_alias **out, pluck_weights weights,
                                const pluck_allocator *allocator, pluck_error *err)
{
    if (!out)
        return plk_fail(err, PLUCK_ERR_INVALID, "pluck_alias_create: out is NULL");
    *out = NULL;
    plk_fp_state fp = plk_fp_enter();
    pluck_status status = create(out, weights, allocator, err);
    plk_fp_leave(fp);
    return status;
}

void pluck_alias_destroy(pluck_alias **alias)
{
    if (!alias || !*alias)
        return;
    pluck_allocator allocator = (*alias)->allocator;
    plk_free(&allocator, (*alias)->cells);
    plk_free(&allocator, *alias);
    *alias = NULL;
}

uint32_t pluck_alias_size(const pluck_alias *alias)
{
    return alias ? alias->n : 0;
}

/* By masks: a branch could not be predicted. */
static uint32_t entry_of(const plk_alias_cell *cells, plk_u128 product)
{
    uint32_t i = (uint32_t)product.hi;
    plk_alias_cell cell = cells[i];
    uint32_t keep = 0 - (uint32_t)((uint32_t)(product.lo >> 32) < cell.threshold);
    return (i & keep) | (cell.alias & ~keep);
}

pluck_status pluck_alias_draw(const pluck_alias *alias, pluck_pcg64 *rng, uint32_t *index,
                              pluck_error *err)
{
    if (!alias || !rng || !index)
        return plk_fail(err, PLUCK_ERR_INVALID, "pluck_alias_draw: a required pointer is NULL");
    *index = entry_of(alias->cells, plk_mul_full(plk_pcg64_step(rng), alias->n));
    return PLUCK_OK;
}

static void prefetch(const plk_alias_cell *cell)
{
#if defined(__GNUC__)
    __builtin_prefetch(cell);
#else
    (void)cell;
#endif
}

/* The numbers run ahead of the cells by as many draws as a miss of the cache takes. */
static void draw_ahead(const plk_alias_cell *cells, uint32_t n_cells, pluck_pcg64 *rng, size_t n,
                       uint32_t *indices)
{
    enum { AHEAD = 16 };
    plk_u128 products[AHEAD];
    for (size_t i = 0; i < n + AHEAD; i++) {
        if (i >= AHEAD)
            indices[i - AHEAD] = entry_of(cells, products[i % AHEAD]);
        if (i < n) {
            products[i % AHEAD] = plk_mul_full(plk_pcg64_step(rng), n_cells);
            prefetch(&cells[products[i % AHEAD].hi]);
        }
    }
}

pluck_status pluck_alias_draw_many(const pluck_alias *alias, pluck_pcg64 *rng, size_t n_draws,
                                   uint32_t *indices, pluck_error *err)
{
    enum { IN_CACHE = 1 << 14 };
    if (!alias || !rng || (!indices && n_draws > 0))
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_alias_draw_many: a required pointer is NULL");
    pluck_pcg64 own = *rng;
    if (alias->n > IN_CACHE) {
        draw_ahead(alias->cells, alias->n, &own, n_draws, indices);
    } else {
        for (size_t i = 0; i < n_draws; i++)
            indices[i] = entry_of(alias->cells, plk_mul_full(plk_pcg64_step(&own), alias->n));
    }
    *rng = own;
    return PLUCK_OK;
}

/* Entry i has its threshold, and what is above the thresholds of the cells that name it. */
pluck_status pluck_alias_probability(const pluck_alias *alias, uint32_t index, double *prob,
                                     pluck_error *err)
{
    if (!alias || !prob)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_alias_probability: a required pointer is NULL");
    pluck_status status = plk_weights_check_index("pluck_alias_probability", index, alias->n, err);
    if (status != PLUCK_OK)
        return status;
    uint64_t units = alias->cells[index].threshold;
    for (uint32_t i = 0; i < alias->n; i++)
        units += alias->cells[i].alias == index ? CELL - alias->cells[i].threshold : 0;
    plk_fp_state fp = plk_fp_enter();
    *prob = (double)units * 0x1p-32 / (double)alias->n;
    plk_fp_leave(fp);
    return PLUCK_OK;
}

pluck_status pluck_alias_probabilities(const pluck_alias *alias, double *probs, pluck_error *err)
{
    if (!alias || !probs)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_alias_probabilities: a required pointer is NULL");
    plk_fp_state fp = plk_fp_enter();
    /* In units: sums of at most 2^62, of which a double keeps 53 bits. */
    for (uint32_t i = 0; i < alias->n; i++)
        probs[i] = (double)alias->cells[i].threshold;
    for (uint32_t i = 0; i < alias->n; i++)
        probs[alias->cells[i].alias] += (double)(CELL - alias->cells[i].threshold);
    for (uint32_t i = 0; i < alias->n; i++)
        probs[i] = probs[i] * 0x1p-32 / (double)alias->n;
    plk_fp_leave(fp);
    return PLUCK_OK;
}
