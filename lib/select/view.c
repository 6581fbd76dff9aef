/*
 * Opening a view is the one read pass over the logits: block maxima and the check for NaN. Every
 * later access goes through blocks of 64 stored logits. A block is read in place when it is whole,
 * f32, unedited and allowed; otherwise it is made in a small buffer (widened, masked, patched,
 * padded), so that every algorithm sees the same thing whatever the type, the edits, the mask and
 * the length.
 */
#include "select/view.h"

#include "base/error.h"

#include <float.h>
#include <math.h>
#include <string.h>

static const unsigned char *address(const plk_view *view, uint32_t token)
{
    const unsigned char *data = view->logits.data;
    return data + (size_t)token * pluck_dtype_size_bytes(view->logits.dtype);
}

static const float *raw_floats(const plk_view *view, uint32_t block)
{
    return (const float *)(const void *)address(view, block * PLK_BLOCK);
}

/* n raw logits from token on, as floats. */
static void widen(const plk_view *view, uint32_t token, uint32_t n, float *out)
{
    const unsigned char *from = address(view, token);
    if (view->logits.dtype == PLUCK_F32)
        memcpy(out, from, n * sizeof *out);
    else if (view->logits.dtype == PLUCK_F16)
        view->kernels->widen_f16(from, n, out);
    else
        view->kernels->widen_bf16(from, n, out);
}

/* Blocks block .. block + n_blocks - 1 of the raw logits, padded with -inf. */
static void widen_blocks(const plk_view *view, uint32_t block, uint32_t n_blocks, float *out)
{
    uint32_t first = block * PLK_BLOCK;
    uint32_t end = (block + n_blocks) * PLK_BLOCK;
    uint32_t n = (end < view->logits.n_vocab ? end : view->logits.n_vocab) - first;
    widen(view, first, n, out);
    for (uint32_t i = n; i < n_blocks * PLK_BLOCK; i++)
        out[i] = -INFINITY;
}

/* The first token that is NaN or +inf, as an error. */
static pluck_status fail_bad_logit(const plk_view *view, pluck_error *err)
{
    float x[PLK_BLOCK];
    for (uint32_t b = 0; b < view->scratch->n_blocks; b++) {
        widen_blocks(view, b, 1, x);
        for (uint32_t i = 0; i < PLK_BLOCK; i++)
            if (!(x[i] < INFINITY))
                return plk_fail(err, PLUCK_ERR_NAN,
                                "the logit of token %u is %s; logits must be finite or -inf",
                                b * PLK_BLOCK + i, isnan(x[i]) ? "NaN" : "+inf");
    }
    return plk_fail(err, PLUCK_ERR_NAN, "a logit changed while it was read");
}

/* Gathers the usable tokens: NaN compares false with everything, +inf must be left out by hand. */
static void ban_bad_logits(plk_view *view)
{
    plk_scratch *w = view->scratch;
    float x[PLK_BLOCK];
    uint32_t n = 0;
    for (uint32_t b = 0; b < w->n_blocks; b++) {
        widen_blocks(view, b, 1, x);
        for (uint32_t i = 0; i < PLK_BLOCK; i++) {
            w->ids[n] = b * PLK_BLOCK + i;
            w->values[n] = x[i];
            n += x[i] >= -FLT_MAX && x[i] <= FLT_MAX;
        }
    }
    view->max = -INFINITY;
    if (n > 0)
        plk_view_become_compact(view, n);
}

/* The last block, if it is there and not whole, is scanned without a copy where it can be. */
static bool scan_last(const plk_view *view)
{
    uint32_t block = view->logits.n_vocab / PLK_BLOCK, n = view->logits.n_vocab % PLK_BLOCK;
    float x[PLK_BLOCK];
    const float *values = x;
    if (n == 0 || view->end_block <= block)
        return false;
    if (view->logits.dtype == PLUCK_F32)
        values = raw_floats(view, block);
    else
        widen(view, block * PLK_BLOCK, n, x);
    return view->kernels->scan_part(values, n, view->scratch->block_max + block);
}

/* Where the blocks that are whole end. */
static uint32_t whole_end(const plk_view *view)
{
    uint32_t end = view->logits.n_vocab / PLK_BLOCK;
    return view->end_block < end ? view->end_block : end;
}

static bool scan(const plk_view *view)
{
    const plk_kernels *kernels = view->kernels;
    uint32_t first = view->first_block, n_whole = whole_end(view) - first;
    const void *x = address(view, first * PLK_BLOCK);
    float *maxima = view->scratch->block_max + first;
    bool bad = false;
    if (n_whole == 0)
        return scan_last(view);
    if (view->logits.dtype == PLUCK_F32)
        bad = kernels->scan_f32(x, n_whole, maxima);
    else if (view->logits.dtype == PLUCK_F16)
        bad = kernels->scan_f16(x, n_whole, maxima);
    else
        bad = kernels->scan_bf16(x, n_whole, maxima);
    return scan_last(view) || bad;
}

bool plk_view_scan_masked(const plk_view *view, size_t *n_allowed)
{
    const plk_kernels *kernels = view->kernels;
    uint32_t first = view->first_block, end = whole_end(view);
    float *maxima = view->scratch->block_max;
    const int32_t *mask = view->mask + (size_t)first * (PLK_BLOCK / 32);
    const void *x = address(view, first * PLK_BLOCK);
    bool bad = false;
    *n_allowed = 0;
    if (view->logits.dtype == PLUCK_F32)
        bad = kernels->scan_masked_f32(x, mask, end - first, maxima + first, n_allowed);
    else if (view->logits.dtype == PLUCK_F16)
        bad = kernels->scan_masked_f16(x, mask, end - first, maxima + first, n_allowed);
    else
        bad = kernels->scan_masked_bf16(x, mask, end - first, maxima + first, n_allowed);
    if (end < view->end_block) {
        float last[PLK_BLOCK];
        int32_t words[PLK_BLOCK / 32];
        widen_blocks(view, end, 1, last);
        bad |= kernels->scan_masked_f32(last, plk_mask_at(view, end, 1, words), 1, maxima + end,
                                        n_allowed);
    }
    return bad;
}

/* Nothing is known of the logits yet. */
plk_view plk_view_of(plk_scratch *scratch, const plk_kernels *kernels, pluck_logits logits)
{
    scratch->sums_scale = 0.0;
    scratch->unit_mass = 0;
    return (plk_view){.kernels = kernels,
                      .scratch = scratch,
                      .logits = logits,
                      .end_block = scratch->n_blocks,
                      .scale = 1.0};
}

pluck_status plk_view_open(plk_view *view, plk_scratch *scratch, const plk_kernels *kernels,
                           pluck_logits logits, bool ban_nan, pluck_error *err)
{
    *view = plk_view_of(scratch, kernels, logits);
    bool bad = scan(view);
    if (bad && !ban_nan)
        return fail_bad_logit(view, err);
    if (bad)
        ban_bad_logits(view);
    else
        view->max =
            kernels->max(scratch->block_max, (scratch->n_blocks + PLK_BLOCK - 1) / PLK_BLOCK);
    if (view->max == -INFINITY)
        return plk_fail(err, PLUCK_ERR_EMPTY,
                        "no token can be chosen: all %u logits are -inf or banned", logits.n_vocab);
    return PLUCK_OK;
}

bool plk_view_open_slice(plk_view *view, plk_scratch *scratch, const plk_kernels *kernels,
                         pluck_logits slice, uint32_t first_token, plk_share *share)
{
    /* The address at which the whole row would begin. It is computed as a number, because C defines
     * pointer arithmetic only inside an array. */
    size_t value_bytes = pluck_dtype_size_bytes(slice.dtype);
    uintptr_t begin = (uintptr_t)slice.data - first_token * value_bytes;
    pluck_logits row = {(const void *)begin, slice.dtype, scratch->n_vocab};
    uint32_t n_padded = (scratch->n_blocks + PLK_BLOCK - 1) / PLK_BLOCK * PLK_BLOCK;
    *view = plk_view_of(scratch, kernels, row);
    view->share = share;
    view->first_block = first_token / PLK_BLOCK;
    view->end_block = (first_token + slice.n_vocab + PLK_BLOCK - 1) / PLK_BLOCK;
    for (uint32_t b = 0; b < n_padded; b++)
        scratch->block_max[b] = -INFINITY;
    bool bad = scan(view);
    for (uint32_t b = view->first_block; bad && b < view->end_block; b++)
        scratch->block_max[b] = -INFINITY;
    if (bad)
        view->end_block = view->first_block;
    view->max = kernels->max(scratch->block_max, n_padded / PLK_BLOCK);
    return !bad;
}

void plk_view_scale(plk_view *view, double factor)
{
    /* The bounds keep products and quotients by the scale finite; nothing changes beyond them,
     * where already the nearest two floats differ by more than any exponential can show. */
    double smallest = 1e-250, largest = 1e250;
    double scale = view->scale * factor;
    view->scale = scale < smallest ? smallest : scale > largest ? largest : scale;
}

uint32_t plk_view_n_blocks(const plk_view *view)
{
    return view->compact ? (view->n + PLK_BLOCK - 1) / PLK_BLOCK : view->end_block;
}

uint32_t plk_view_token(const plk_view *view, uint32_t index)
{
    return view->compact ? view->scratch->ids[index] : index;
}

uint32_t plk_view_find_edit(const plk_view *view, uint32_t token)
{
    const plk_edit *edits = view->edits;
    uint32_t low = 0, high = view->n_edits;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (edits[middle].token < token)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* How many blocks from block on, at most most, can be read where they lie: up to the next one that
 * is edited, partial or not wholly allowed. edit is the first edit not before block. */
static uint32_t direct_blocks(const plk_view *view, uint32_t edit, uint32_t block, uint32_t most)
{
    if (view->logits.dtype != PLUCK_F32 || view->bent)
        return 0;
    uint32_t end = whole_end(view);
    if (edit < view->n_edits) {
        uint32_t edited = view->edits[edit].token / PLK_BLOCK;
        end = edited < end ? edited : end;
    }
    uint32_t n = end > block ? end - block : 0;
    n = n < most ? n : most;
    return view->masked ? plk_mask_whole_blocks(view, block, n) : n;
}

/* How many blocks are made at once. */
static uint32_t made_blocks(const plk_view *view, uint32_t most)
{
    bool one = view->logits.dtype == PLUCK_F32 && !view->masked && !view->bent;
    uint32_t made = one ? 1 : PLK_RUN_BLOCKS;
    return made < most ? made : most;
}

/* Blocks without edits. What can be read where it lies is not copied first. */
static void make_unedited(const plk_view *view, uint32_t block, uint32_t n_blocks, float *out)
{
    bool is_whole = (block + n_blocks) * PLK_BLOCK <= view->logits.n_vocab;
    const float *values = out;
    if (view->logits.dtype == PLUCK_F32 && is_whole && (view->masked || view->bent))
        values = raw_floats(view, block);
    else
        widen_blocks(view, block, n_blocks, out);
    if (view->masked) {
        plk_mask_values(view, block, n_blocks, values, out);
        values = out;
    }
    if (view->bent)
        view->kernels->bend(values, n_blocks, view->bend, out);
}

/* Makes blocks in out, with what edits from number edit on replace in them; returns the first edit
 * beyond them. */
static uint32_t make_blocks(const plk_view *view, uint32_t edit, uint32_t block, uint32_t n_blocks,
                            float *out)
{
    make_unedited(view, block, n_blocks, out);
    uint32_t end = (block + n_blocks) * PLK_BLOCK;
    const plk_edit *edits = view->edits;
    for (; edit < view->n_edits && edits[edit].token < end; edit++)
        out[edits[edit].token - block * PLK_BLOCK] = edits[edit].logit;
    return edit;
}

uint32_t plk_view_n_direct(const plk_view *view, uint32_t block)
{
    if (view->compact)
        return 0;
    return direct_blocks(view, view->n_edits != 0 ? plk_view_find_edit(view, block * PLK_BLOCK) : 0,
                         block, UINT32_MAX);
}

const float *plk_view_blocks(const plk_view *view, uint32_t block, uint32_t *n_blocks,
                             float *buffer)
{
    if (view->compact)
        return view->scratch->values + (size_t)block * PLK_BLOCK;
    uint32_t edit = view->n_edits != 0 ? plk_view_find_edit(view, block * PLK_BLOCK) : 0;
    uint32_t direct = direct_blocks(view, edit, block, *n_blocks);
    if (direct > 0) {
        *n_blocks = direct;
        return raw_floats(view, block);
    }
    *n_blocks = made_blocks(view, *n_blocks);
    make_blocks(view, edit, block, *n_blocks, buffer);
    return buffer;
}

const float *plk_view_block(const plk_view *view, uint32_t block, float *buffer)
{
    uint32_t n_blocks = 1;
    return plk_view_blocks(view, block, &n_blocks, buffer);
}

const float *plk_view_part(const plk_view *view, uint32_t block, float *buffer, uint32_t *n)
{
    uint32_t n_vocab = view->logits.n_vocab;
    bool is_last = !view->compact && block == n_vocab / PLK_BLOCK;
    *n = is_last ? n_vocab % PLK_BLOCK : PLK_BLOCK;
    if (is_last && view->n_edits == 0 && !view->masked && !view->bent &&
        view->logits.dtype == PLUCK_F32)
        return raw_floats(view, block);
    return plk_view_block(view, block, buffer);
}

float plk_view_raw(const plk_view *view, uint32_t token)
{
    float logit;
    if (!plk_view_has(view, token) || (view->masked && !plk_mask_allows(view, token)))
        return -INFINITY;
    widen(view, token, 1, &logit);
    return view->bent ? plk_bend_value(&view->bend, logit) : logit;
}

float plk_view_stored(const plk_view *view, uint32_t token)
{
    const plk_scratch *w = view->scratch;
    if (view->compact) {
        uint32_t low = 0, high = view->n;
        while (low < high) {
            uint32_t middle = low + (high - low) / 2;
            if (w->ids[middle] < token)
                low = middle + 1;
            else
                high = middle;
        }
        return low < view->n && w->ids[low] == token ? w->values[low] : -INFINITY;
    }
    uint32_t edit = view->n_edits != 0 ? plk_view_find_edit(view, token) : 0;
    if (edit < view->n_edits && view->edits[edit].token == token)
        return view->edits[edit].logit;
    return plk_view_raw(view, token);
}

void plk_run_init(plk_run *run, const plk_view *view)
{
    plk_run_init_at(run, view, view->compact ? 0 : view->first_block);
}

void plk_run_init_at(plk_run *run, const plk_view *view, uint32_t block)
{
    run->view = view;
    run->first_block = block;
    run->n_blocks = 0;
    run->edit = view->n_edits != 0 ? plk_view_find_edit(view, block * PLK_BLOCK) : 0;
    run->x = NULL;
}

bool plk_run_next(plk_run *run)
{
    const plk_view *view = run->view;
    uint32_t n_blocks = plk_view_n_blocks(view);
    uint32_t block = run->first_block + run->n_blocks;
    if (block >= n_blocks)
        return false;
    run->first_block = block;
    if (view->compact) {
        run->x = view->scratch->values;
        run->n_blocks = n_blocks;
        return true;
    }
    run->n_blocks = direct_blocks(view, run->edit, block, n_blocks - block);
    if (run->n_blocks > 0) {
        run->x = raw_floats(view, block);
        return true;
    }
    run->n_blocks = made_blocks(view, n_blocks - block);
    run->edit = make_blocks(view, run->edit, block, run->n_blocks, run->buffer);
    run->x = run->buffer;
    return true;
}

void plk_view_become_compact(plk_view *view, uint32_t n)
{
    plk_scratch *w = view->scratch;
    view->compact = true;
    view->share = NULL;
    view->bent = false;
    view->n = n;
    for (uint32_t i = n; i % PLK_BLOCK != 0; i++)
        w->values[i] = -INFINITY;
    view->max = view->kernels->max(w->values, plk_view_n_blocks(view));
}
