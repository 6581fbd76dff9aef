/*
 * Why: who reads files that others change asks for no mapping, and then nothing that happens to a
 * file after it was opened may matter. Each format is opened in both ways: the rows are the same
 * bytes, and stay so when the file is cut to nothing.
 */
#include <pluck/dump.h>
#include <pluck/head.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { N_ROWS = 300, N_VOCAB = 700, DIM = 16 };

static char folder[] = "/tmp/pluck-no-map-XXXXXX";
static float rows[N_ROWS * N_VOCAB];

static const struct {
    const char *name;
    pluck_dump_format format;
    pluck_dtype dtype;
} files[] = {
    {"a.npy", PLUCK_DUMP_NPY, PLUCK_F32},
    {"b.npy", PLUCK_DUMP_NPY, PLUCK_F16},
    {"c.safetensors", PLUCK_DUMP_SAFETENSORS, PLUCK_BF16},
    {"d.jsonl", PLUCK_DUMP_JSONL, PLUCK_F32},
};
enum { N_FILES = sizeof files / sizeof *files };

static void path_of(const char *name, char *path)
{
    snprintf(path, 256, "%s/%s", folder, name);
}

static void write_file(size_t f)
{
    char path[256];
    path_of(files[f].name, path);
    pluck_dump_writer_options options = {
        .format = files[f].format, .dtype = files[f].dtype, .n_vocab = N_VOCAB, .n_rows = N_ROWS};
    pluck_dump_writer *writer = NULL;
    assert_int_equal(pluck_dump_writer_create(&writer, path, &options, NULL), PLUCK_OK);
    for (size_t r = 0; r < N_ROWS; r++) {
        pluck_dump_row row = {{rows + r * N_VOCAB, PLUCK_F32, N_VOCAB}, PLUCK_NO_TOKEN};
        assert_int_equal(pluck_dump_writer_write(writer, &row, NULL), PLUCK_OK);
    }
    assert_int_equal(pluck_dump_writer_finish(writer, NULL), PLUCK_OK);
    pluck_dump_writer_destroy(&writer);
}

static pluck_dump *open_file(size_t f, bool no_map)
{
    char path[256];
    path_of(files[f].name, path);
    pluck_dump_options options = {.no_map = no_map};
    pluck_error err = {.status = PLUCK_OK};
    pluck_dump *dump = NULL;
    if (pluck_dump_open(&dump, path, &options, &err) != PLUCK_OK)
        fail_msg("%s", err.message);
    return dump;
}

/* All rows one after the other; the caller frees them. */
static unsigned char *read_rows(pluck_dump *dump, size_t *size)
{
    static float scratch[N_VOCAB];
    size_t row_bytes = N_VOCAB * pluck_dtype_size_bytes(pluck_dump_get_info(dump).dtype);
    unsigned char *all = malloc(N_ROWS * row_bytes);
    assert_non_null(all);
    for (size_t r = 0; r < N_ROWS; r++) {
        pluck_logits logits;
        assert_int_equal(pluck_dump_read(dump, r, scratch, &logits, NULL), PLUCK_OK);
        memcpy(all + r * row_bytes, logits.data, row_bytes);
        pluck_dump_release(dump, r);
    }
    *size = N_ROWS * row_bytes;
    return all;
}

static void rows_survive_what_happens_to_their_file(void **state)
{
    (void)state;
    for (size_t f = 0; f < N_FILES; f++) {
        char path[256];
        size_t n_mapped = 0, n_read = 0;
        write_file(f);
        pluck_dump *mapped = open_file(f, false);
        unsigned char *expected = read_rows(mapped, &n_mapped);
        pluck_dump_destroy(&mapped);
        pluck_dump *dump = open_file(f, true);
        path_of(files[f].name, path);
        assert_int_equal(truncate(path, 0), 0);
        unsigned char *found = read_rows(dump, &n_read);
        assert_int_equal(n_read, n_mapped);
        assert_memory_equal(found, expected, n_mapped);
        free(found);
        free(expected);
        pluck_dump_destroy(&dump);
        unlink(path);
    }
}

static void a_head_survives_what_happens_to_its_file(void **state)
{
    (void)state;
    char path[256];
    path_of("head.safetensors", path);
    pluck_matrix weights = {.data = rows, .dtype = PLUCK_F32, .n_rows = N_VOCAB, .n_cols = DIM};
    pluck_head *head = NULL, *loaded = NULL;
    pluck_head_query *query = NULL;
    static float expected[N_VOCAB], found[N_VOCAB];
    assert_int_equal(pluck_head_create_dense(&head, &weights, NULL, NULL, NULL), PLUCK_OK);
    assert_int_equal(pluck_head_save(head, path, NULL), PLUCK_OK);
    assert_int_equal(pluck_head_query_create(&query, head, NULL, NULL), PLUCK_OK);
    assert_int_equal(pluck_head_query_logprobs(query, rows, expected, NULL), PLUCK_OK);
    pluck_head_query_destroy(&query);
    pluck_head_destroy(&head);

    pluck_head_options options = {.no_map = true};
    assert_int_equal(pluck_head_open(&loaded, path, &options, NULL), PLUCK_OK);
    assert_int_equal(truncate(path, 0), 0);
    assert_int_equal(pluck_head_query_create(&query, loaded, NULL, NULL), PLUCK_OK);
    assert_int_equal(pluck_head_query_logprobs(query, rows, found, NULL), PLUCK_OK);
    assert_memory_equal(found, expected, sizeof expected);
    pluck_head_query_destroy(&query);
    pluck_head_destroy(&loaded);
    unlink(path);
}

static void an_empty_or_missing_file_is_refused_alike(void **state)
{
    (void)state;
    char path[256];
    pluck_dump_options options = {.no_map = true};
    pluck_dump *dump = NULL;
    pluck_error err = {.status = PLUCK_OK};
    path_of("none.npy", path);
    assert_int_equal(pluck_dump_open(&dump, path, &options, &err), PLUCK_ERR_IO);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
    assert_int_equal(pluck_dump_open(&dump, path, &options, &err), PLUCK_ERR_FORMAT);
    assert_non_null(strstr(err.message, "is empty"));
    unlink(path);
}

int main(void)
{
    for (size_t i = 0; i < N_ROWS * N_VOCAB; i++)
        rows[i] = (float)((i * 2654435761u) % 4096) / 256 - 8;
    if (!mkdtemp(folder))
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_survive_what_happens_to_their_file),
        cmocka_unit_test(a_head_survives_what_happens_to_its_file),
        cmocka_unit_test(an_empty_or_missing_file_is_refused_alike),
    };
    int n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    rmdir(folder);
    return n_failed;
}
