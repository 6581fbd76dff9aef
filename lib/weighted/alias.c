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

static uint32_t next_of(bool heavy, const uint64_t *units, uint32_t n, uint32_t i)
{
    while (i < n && (units[i] > CELL) != heavy)
        i++;
    return i;
}

/* Of entry i, which has units of it; the rest is another's. */
static plk_alias_cell cell_of(uint64_t units, uint32_t i, uint32_t other)
{
    return units == CELL ? (plk_alias_cell){.threshold = 0, .alias = i}
                         : (plk_alias_cell){.threshold = (uint32_t)units, .alias = other};
}

static void sweep(const uint64_t *units, uint32_t n, plk_alias_cell *cells)
{
    uint32_t light = next_of(false, units, n, 0), heavy = next_of(true, units, n, 0);
    uint64_t left = heavy < n ? units[heavy] : 0;
    while (heavy < n) {
        if (left > CELL) {
            cells[light] = cell_of(units[light], light, heavy);
            left -= CELL - units[light];
            light = next_of(false, units, n, light + 1);
            continue;
        }
        uint32_t next = next_of(true, units, n, heavy + 1);
        cells[heavy] = cell_of(left, heavy, next);
        left = next < n ? units[next] - (CELL - left) : 0;
        heavy = next;
    }
    while (light < n) {
        cells[light] = cell_of(CELL, light, light);
        light = next_of(false, units, n, light + 1);
    }
}

static pluck_status build(pluck_weighted *weighted, pluck_weights weights, double total,
                          uint32_t n_positive, pluck_error *err)
{
    (void)n_positive;
    plk_arrays scratch = {.allocator = weighted->memory.allocator};
    weighted->cells = plk_arrays_add(&weighted->memory, weights.n, sizeof *weighted->cells);
    uint64_t *units = plk_arrays_add(&scratch, weights.n, sizeof *units);
    pluck_status status = plk_arrays_check(&scratch, err);
    if (weighted->cells && units) {
        plk_alias_units(weights, total, units);
        sweep(units, weights.n, weighted->cells);
    }
    plk_arrays_free(&scratch);
    return status;
}

/* By masks: a branch could not be predicted. */
static uint32_t entry_of(const plk_alias_cell *cells, plk_u128 product)
{
    uint32_t i = (uint32_t)product.hi;
    plk_alias_cell cell = cells[i];
    uint32_t keep = 0 - (uint32_t)((uint32_t)(product.lo >> 32) < cell.threshold);
    return (i & keep) | (cell.alias & ~keep);
}

enum { AHEAD = 16, IN_CACHE = 1 << 14 };

static void prefetch(const plk_alias_cell *cell)
{
#if defined(__GNUC__)
    __builtin_prefetch(cell);
#else
    (void)cell;
#endif
}

/* Random numbers are drawn AHEAD draws before their cells are read: about the time of a cache miss.
 * */
static void draw_ahead(const plk_alias_cell *cells, uint32_t n_cells, pluck_pcg64 *rng, size_t n,
                       uint32_t *indices)
{
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

static void draw(const pluck_weighted *weighted, pluck_pcg64 *rng, size_t n, uint32_t *indices)
{
    const plk_alias_cell *cells = weighted->cells;
    if (n ==
        1) { /* a copy of rng, read with wide loads, would wait for the stores of the last call */
        *indices = entry_of(cells, plk_mul_full(plk_pcg64_step(rng), weighted->n));
        return;
    }
    pluck_pcg64 own = *rng;
    if (weighted->n > IN_CACHE && n > AHEAD) {
        draw_ahead(cells, weighted->n, &own, n, indices);
    } else {
        for (size_t i = 0; i < n; i++)
            indices[i] = entry_of(cells, plk_mul_full(plk_pcg64_step(&own), weighted->n));
    }
    *rng = own;
}

/* Entry i has its threshold, and what is above the thresholds of the cells that name it. */
static double probability(const pluck_weighted *weighted, uint32_t index)
{
    const plk_alias_cell *cells = weighted->cells;
    uint64_t units = cells[index].threshold;
    for (uint32_t i = 0; i < weighted->n; i++)
        units += cells[i].alias == index ? CELL - cells[i].threshold : 0;
    return (double)units * 0x1p-32 / (double)weighted->n;
}

/* In units: sums of at most 2^62, of which a double keeps 53 bits. */
static void probabilities(const pluck_weighted *weighted, double *probs)
{
    const plk_alias_cell *cells = weighted->cells;
    for (uint32_t i = 0; i < weighted->n; i++)
        probs[i] = (double)cells[i].threshold;
    for (uint32_t i = 0; i < weighted->n; i++)
        probs[cells[i].alias] += (double)(CELL - cells[i].threshold);
    for (uint32_t i = 0; i < weighted->n; i++)
        probs[i] = probs[i] * 0x1p-32 / (double)weighted->n;
}

const plk_weighted_ops plk_weighted_alias = {
    .kind = PLUCK_WEIGHTED_ALIAS,
    .name = "alias",
    .build = build,
    .draw = draw,
    .probability = probability,
    .probabilities = probabilities,
};
