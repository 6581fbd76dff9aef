/*
 * Why: who reads files that others change asks for no mapping, and then nothing that happens to a
 * file after it was opened may matter. Each format is opened in both ways: the rows are the same
 * bytes, and stay so when the file is cut to nothing. A file in memory also shows whether a reader
 * looks beyond its end: the memory can end where the file does.
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

#include "support/dump_reading.h"
#include "support/guard_buffer.h"

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
    pluck_dump_writer_options options = {.struct_size = sizeof options,
                                         .format = files[f].format,
                                         .dtype = files[f].dtype,
                                         .n_vocab = N_VOCAB,
                                         .n_rows = N_ROWS};
    pluck_dump_writer *writer = NULL;
    assert_int_equal(pluck_dump_writer_create(&writer, path, &options, NULL), PLUCK_OK);
    for (size_t r = 0; r < N_ROWS; r++) {
        pluck_dump_row row = {.struct_size = sizeof row,
                              .logits = {rows + r * N_VOCAB, PLUCK_F32, N_VOCAB},
                              .target = PLUCK_NO_TOKEN};
        assert_int_equal(pluck_dump_writer_write(writer, &row, NULL), PLUCK_OK);
    }
    assert_int_equal(pluck_dump_writer_finish(writer, NULL), PLUCK_OK);
    pluck_dump_writer_destroy(&writer);
}

static pluck_dump *open_file(size_t f, bool no_map)
{
    char path[256];
    path_of(files[f].name, path);
    pluck_dump_options options = {.struct_size = sizeof options, .no_map = no_map};
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
    size_t row_bytes = N_VOCAB * pluck_dtype_size_bytes(info_of_dump(dump).dtype);
    unsigned char *all = malloc(N_ROWS * row_bytes);
    assert_non_null(all);
    for (size_t r = 0; r < N_ROWS; r++) {
        pluck_logits logits;
        assert_int_equal(read_logits(dump, r, scratch, &logits, NULL), PLUCK_OK);
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

    pluck_head_options options = {.struct_size = sizeof options, .no_map = true};
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
    pluck_dump_options options = {.struct_size = sizeof options, .no_map = true};
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

enum { MAX_BUFFERS = 64 };

/* The sizes are multiples of the alignment of what is kept there, so the beginning is aligned. */
static void *guarded_alloc(void *user, size_t size_bytes)
{
    guard_buffer *buffers = user;
    for (size_t i = 0; i < MAX_BUFFERS; i++)
        if (!buffers[i].begin) {
            buffers[i] = guard_buffer_create(size_bytes);
            return guard_buffer_tail(&buffers[i], size_bytes);
        }
    return NULL;
}

static void guarded_free(void *user, void *memory)
{
    guard_buffer *buffers = user;
    for (size_t i = 0; i < MAX_BUFFERS; i++)
        if ((unsigned char *)memory >= buffers[i].begin && (unsigned char *)memory < buffers[i].end)
            guard_buffer_destroy(&buffers[i]);
}

/* Whether every row is read. */
static bool read_guarded(const char *path)
{
    static guard_buffer buffers[MAX_BUFFERS];
    pluck_allocator allocator = {guarded_alloc, guarded_free, buffers};
    pluck_dump_options options = {
        .struct_size = sizeof options, .no_map = true, .allocator = &allocator};
    pluck_dump *dump = NULL;
    pluck_status status = pluck_dump_open(&dump, path, &options, NULL);
    if (status == PLUCK_OK) {
        pluck_dump_info info = info_of_dump(dump);
        float *scratch = malloc(info.n_vocab * sizeof *scratch);
        assert_non_null(scratch);
        pluck_logits logits;
        for (uint64_t row = 0; row < info.n_rows && status == PLUCK_OK; row++)
            status = read_logits(dump, row, scratch, &logits, NULL);
        free(scratch);
        pluck_dump_destroy(&dump);
    }
    for (size_t i = 0; i < MAX_BUFFERS; i++)
        assert_null(buffers[i].begin);
    return status == PLUCK_OK;
}

static void no_reader_looks_beyond_the_end_of_a_file(void **state)
{
    (void)state;
#define TEXT(text)                                                                                 \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }
    static const struct {
        const char *bytes;
        size_t size_bytes;
    } samples[] = {
        TEXT("# a comment\n \t\n1 2 -3.5e-1\n\n4 5 inf\n  # the end\n \t "),
        TEXT("a;b;\"c \"\"\"\n1.5;2;nan\n"),
        TEXT("\xef\xbb\xbf{\"logits\": [1, 2, 3], \"target\": 1}\n\n"
             "{\"logits\": {\"0\": 0.1, \"2\": -1e-3}}\n "),
        TEXT("[[1, 2.25, -3e2], [0.5, 6, 7]] "),
        TEXT("{\"choices\": [{\"logprobs\": {\"content\": [{\"token\": \"\\u0061\", "
             "\"logprob\": -0.5, \"top_logprobs\": [{\"token\": \"b\", \"logprob\": -1}]}]}}]}"),
        TEXT("\x93NUMPY\1\0\x38\0{'descr': '<f2', 'fortran_order': False, 'shape': (2,2)}"
             "\0\x3c\0\x40\0\x42\0\x44"),
        TEXT("\x38\0\0\0\0\0\0\0{\"x\":{\"dtype\":\"F16\",\"shape\":[1,3],"
             "\"data_offsets\":[0,6]}}\0\x3c\0\x40\0\x42"),
    };
#undef TEXT
    char path[256];
    path_of("beyond", path);
    for (size_t s = 0; s < sizeof samples / sizeof *samples; s++)
        for (size_t size = 1; size <= samples[s].size_bytes; size++) {
            FILE *file = fopen(path, "wb");
            assert_non_null(file);
            assert_int_equal(fwrite(samples[s].bytes, 1, size, file), size);
            assert_int_equal(fclose(file), 0);
            assert_true(read_guarded(path) || size < samples[s].size_bytes);
        }
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
        cmocka_unit_test(no_reader_looks_beyond_the_end_of_a_file),
    };
    int n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    rmdir(folder);
    return n_failed;
}
