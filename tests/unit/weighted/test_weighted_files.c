/*
 * Why: that a stored distribution comes back from its file to the same draws, and that a file of
 * any other bytes is refused or is a distribution all the same: cut off at every length, every byte
 * changed, and well-formed files with the wrong thing in them.
 */
#include "base/alloc.h"
#include "file/array_file.h"
#include "support/random.h"
#include "support/weight_cases.h"
#include "weighted/kinds.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { N = 37, N_DRAWS = 500, MAX_BYTES = 4096, N_KINDS = 3 };

static pluck_error err;
static char path[] = "/tmp/pluck-weighted-XXXXXX";

#define assert_ok(call)                                                                            \
    do {                                                                                           \
        if ((call) != PLUCK_OK)                                                                    \
            fail_msg("%s: %s", #call, err.message);                                                \
    } while (0)

static pluck_weighted *create(int kind, const double *weights)
{
    pluck_weighted *weighted = NULL;
    assert_ok(pluck_weighted_create(&weighted, (pluck_weighted_kind)kind,
                                    (pluck_weights){weights, PLUCK_F64, N}, NULL, &err));
    return weighted;
}

static pluck_status read_bytes(pluck_weighted **out, const uint8_t *bytes, size_t size)
{
    pluck_allocator allocator = plk_allocator_or_default(NULL);
    plk_source source;
    plk_source_open_memory(&source, "bytes", bytes, size, false, &allocator);
    *out = NULL;
    pluck_status status = plk_weighted_read(out, &source, NULL, &err);
    plk_source_close(&source);
    return status;
}

static void draw(const pluck_weighted *weighted, uint32_t *out)
{
    pluck_pcg64 rng;
    pluck_pcg64_seed(&rng, 5, 0, 0);
    assert_ok(pluck_weighted_draw(weighted, &rng, N_DRAWS, out, &err));
}

static size_t read_file(uint8_t *bytes)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t n = fread(bytes, 1, MAX_BYTES, file);
    fclose(file);
    assert_true(n < MAX_BYTES);
    return n;
}

static void what_is_saved_is_opened_to_the_same_draws(void **state)
{
    (void)state;
    double weights[N];
    uint32_t before[N_DRAWS], after[N_DRAWS];
    for (int weights_kind = 0; weights_kind < WEIGHTS_KINDS; weights_kind++) {
        weights_fill((weight_kind)weights_kind, 9, N, weights);
        for (int kind = 0; kind < N_KINDS; kind++) {
            pluck_weighted *saved = create(kind, weights), *back = NULL;
            assert_ok(pluck_weighted_save(saved, path, &err));
            assert_ok(pluck_weighted_open(&back, path, NULL, &err));
            draw(saved, before);
            draw(back, after);
            assert_memory_equal(before, after, sizeof before);
            assert_true(back->ops == saved->ops);
            assert_true(pluck_weighted_total(back) == pluck_weighted_total(saved));
            assert_true(pluck_weighted_mean_depth(back) == pluck_weighted_mean_depth(saved));
            pluck_weighted_destroy(&saved);
            pluck_weighted_destroy(&back);
        }
    }
}

/* What is read must be usable, or refused as a bad file; nothing in between. */
static void read_hostile(const uint8_t *bytes, size_t size)
{
    pluck_weighted *weighted = NULL;
    uint32_t drawn[N_DRAWS];
    uint8_t *exact = malloc(size + 1); /* so that a sanitizer sees a read beyond the end */
    assert_non_null(exact);
    memcpy(exact, bytes, size);
    pluck_status status = read_bytes(&weighted, exact, size);
    if (status == PLUCK_OK) {
        draw(weighted, drawn);
        for (int i = 0; i < N_DRAWS; i++)
            assert_true(drawn[i] < pluck_weighted_size(weighted));
    } else {
        assert_int_equal(status, PLUCK_ERR_FORMAT);
        assert_null(weighted);
    }
    pluck_weighted_destroy(&weighted);
    free(exact);
}

static void files_that_are_cut_off_or_changed_are_refused_or_usable(void **state)
{
    (void)state;
    double weights[N];
    static uint8_t bytes[MAX_BYTES];
    weights_fill(WEIGHTS_ZIPF, 9, N, weights);
    for (int kind = 0; kind < N_KINDS; kind++) {
        pluck_weighted *saved = create(kind, weights);
        assert_ok(pluck_weighted_save(saved, path, &err));
        pluck_weighted_destroy(&saved);
        size_t size = read_file(bytes);
        for (size_t n = 0; n < size; n++) {
            assert_int_equal(read_bytes(&saved, bytes, n), PLUCK_ERR_FORMAT);
            const uint8_t values[] = {0, 0xFF, (uint8_t)(bytes[n] ^ 0x80), (uint8_t)(bytes[n] + 1)};
            uint8_t right = bytes[n];
            for (size_t v = 0; v < sizeof values; v++) {
                bytes[n] = values[v];
                read_hostile(bytes, size);
            }
            bytes[n] = right;
        }
    }
}

typedef struct wrong_file {
    const char *format, *kind, *tensor, *dtype;
    uint32_t n_axes;
    uint64_t axes[2];
    size_t size_bytes;
} wrong_file;

static void well_formed_files_of_other_things_are_refused(void **state)
{
    (void)state;
    static const double weights[4] = {1, 2, 3, 4};
    pluck_allocator allocator = plk_allocator_or_default(NULL);
    pluck_weighted *weighted = NULL;
    const wrong_file files[] = {
        {"pluck-head", "sum_tree", "weights", "F64", 1, {4, 0}, 32},
        {"pluck-weighted", "sum-tree", "weights", "F64", 1, {4, 0}, 32},
        {"pluck-weighted", "sum_tree", "weight", "F64", 1, {4, 0}, 32},
        {"pluck-weighted", "sum_tree", "weights", "F32", 1, {8, 0}, 32},
        {"pluck-weighted", "sum_tree", "weights", "F64", 2, {2, 2}, 32},
        {"pluck-weighted", "sum_tree", "weights", "F64", 1, {0, 0}, 0},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        const wrong_file *f = &files[i];
        const plk_safetensors_note notes[] = {{"format", f->format}, {"kind", f->kind}};
        plk_safetensors_tensor tensor = {.dtype = f->dtype,
                                         .n_axes = f->n_axes,
                                         .axes = {f->axes[0], f->axes[1]},
                                         .data = weights,
                                         .size_bytes = f->size_bytes};
        snprintf(tensor.name, sizeof tensor.name, "%s", f->tensor);
        assert_ok(plk_safetensors_write(path, notes, 2, &tensor, 1, &allocator, &err));
        if (pluck_weighted_open(&weighted, path, NULL, &err) != PLUCK_ERR_FORMAT)
            fail_msg("file %zu is taken", i);
    }
    assert_int_equal(pluck_weighted_open(&weighted, "/nonexistent/x", NULL, &err), PLUCK_ERR_IO);
}

static int make_path(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    if (fd >= 0)
        close(fd);
    return fd < 0;
}

static int remove_path(void **state)
{
    (void)state;
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_saved_is_opened_to_the_same_draws),
        cmocka_unit_test(files_that_are_cut_off_or_changed_are_refused_or_usable),
        cmocka_unit_test(well_formed_files_of_other_things_are_refused),
    };
    return cmocka_run_group_tests(tests, make_path, remove_path);
}
