/*
 * Dumps are larger than memory. Opening one has to cost nothing, reading through it must keep only
 * a fixed part resident, and many threads may do so at once. The files are sparse, so they cost the
 * disk little.
 */
#include "test_dump_files.h"

#include <errno.h>
#include <pthread.h>

#include "support/dump_reading.h"
#include "support/random.h"

#define GIB ((uint64_t)1 << 30)
#define MIB ((uint64_t)1 << 20)

/* Resident bytes of mapped files (without the memory of a sanitizer); 0 where the system does not
 * tell. */
static uint64_t resident_bytes(void)
{
    unsigned long long kib = 0, total_kib = 0;
    char line[256];
    FILE *file = fopen("/proc/self/status", "r");
    if (!file)
        return 0;
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "RssFile: %llu kB", &kib) == 1 ||
            sscanf(line, "RssShmem: %llu kB", &kib) == 1)
            total_kib += kib;
    fclose(file);
    return total_kib * 1024;
}

/* A file of zeros; false if there can be none of that size here. */
static bool create_sparse(temporary_file *file, int *fd, uint64_t size_bytes)
{
    *fd = temporary_file_create(file);
    if (ftruncate(*fd, (off_t)size_bytes) == 0)
        return true;
    print_message("no sparse file of %llu bytes: %s\n", (unsigned long long)size_bytes,
                  strerror(errno));
    close(*fd);
    unlink(file->path);
    return false;
}

static pluck_dump *open_unlinked(const temporary_file *file, int fd,
                                 const pluck_dump_options *options)
{
    pluck_dump *dump = NULL;
    pluck_error err = {0};
    pluck_status status = pluck_dump_open(&dump, file->path, options, &err);
    close(fd);
    unlink(file->path);
    assert_status(status, PLUCK_OK, err);
    return dump;
}

/* One value of each page of the row, so that all of it becomes resident. */
static float touch(const pluck_logits *logits)
{
    volatile float sum = 0.0f;
    for (size_t i = 0; i < logits->n_vocab; i += 256) {
        float value = 0.0f;
        memcpy(&value, (const char *)logits->data + i * sizeof value, sizeof value);
        sum += value;
    }
    return sum;
}

static void test_any_row_of_20_gib_is_at_hand(void **state)
{
    (void)state;
    enum { VOCAB = 1 << 17 };
    uint64_t row_size = VOCAB * sizeof(float), n_rows = 20 * GIB / row_size;
    const uint64_t rows[] = {0, n_rows / 2, n_rows - 1};
    pluck_dump_options options = {.struct_size = sizeof options, .raw_n_vocab = VOCAB};
    temporary_file file;
    int fd = -1;
    if (!create_sparse(&file, &fd, 20 * GIB))
        skip();
    for (size_t i = 0; i < 3; i++) {
        float value = (float)i + 1.5f;
        assert_int_equal(pwrite(fd, &value, 4, (off_t)(rows[i] * row_size)), 4);
    }
    uint64_t before = resident_bytes();
    pluck_dump *dump = open_unlinked(&file, fd, &options);
    assert_true(info_of_dump(dump).n_rows == n_rows);
    for (size_t i = 0; i < 3; i++) {
        pluck_logits logits;
        pluck_error err = {0};
        assert_status(read_logits(dump, rows[i], NULL, &logits, &err), PLUCK_OK, err);
        assert_true(touch(&logits) == (float)i + 1.5f);
    }
    assert_true(resident_bytes() < before + 16 * MIB);
    pluck_dump_destroy(&dump);
}

/* Nobody calls pluck_dump_release() here. */
static void test_reading_through_a_file_keeps_little_of_it(void **state)
{
    (void)state;
    enum { VOCAB = 100000, ROWS = 900 };
    pluck_dump_options options = {.struct_size = sizeof options, .raw_n_vocab = VOCAB};
    temporary_file file;
    int fd = -1;
    if (!create_sparse(&file, &fd, (uint64_t)ROWS * VOCAB * sizeof(float)))
        skip();
    pluck_dump *dump = open_unlinked(&file, fd, &options);
    uint64_t before = resident_bytes();
    uint64_t most = before;
    for (uint64_t row = 0; row < ROWS; row++) {
        pluck_logits logits;
        assert_int_equal(read_logits(dump, row, NULL, &logits, NULL), PLUCK_OK);
        assert_true(touch(&logits) == 0.0f);
        uint64_t now = resident_bytes();
        most = now > most ? now : most;
    }
    if (most - before >= 64 * MIB)
        fail_msg("%llu MiB became resident", (unsigned long long)((most - before) / MIB));
    pluck_dump_destroy(&dump);
}

static void test_released_rows_leave_memory_and_can_be_read(void **state)
{
    (void)state;
    enum { VOCAB = 1 << 16, ROWS = 64 };
    pluck_dump_options options = {.struct_size = sizeof options, .raw_n_vocab = VOCAB};
    temporary_file file;
    int fd = -1;
    if (!create_sparse(&file, &fd, (uint64_t)ROWS * VOCAB * sizeof(float)))
        skip();
    float mark = 7.0f;
    assert_int_equal(pwrite(fd, &mark, 4, (off_t)(3 * VOCAB * sizeof(float))), 4);
    pluck_dump *dump = open_unlinked(&file, fd, &options);
    pluck_logits third, logits;
    assert_int_equal(read_logits(dump, 3, NULL, &third, NULL), PLUCK_OK);
    for (uint64_t row = 0; row < ROWS; row++) {
        assert_int_equal(read_logits(dump, row, NULL, &logits, NULL), PLUCK_OK);
        (void)touch(&logits);
    }
    uint64_t full = resident_bytes();
    pluck_dump_release(dump, ROWS / 2);
    uint64_t half = resident_bytes();
    pluck_dump_release(dump, 1);
    pluck_dump_release(dump, UINT64_MAX);
    uint64_t empty = resident_bytes();
    if (full > 0) {
        assert_true(half + 7 * MIB < full);
        assert_true(empty + 7 * MIB < half);
    }
    /* A pointer from before the release is still good. */
    assert_true(touch(&third) == mark);
    assert_int_equal(read_logits(dump, 3, NULL, &logits, NULL), PLUCK_OK);
    assert_ptr_equal(logits.data, third.data);
    pluck_dump_destroy(&dump);
}

/* Each row of a Fortran-order file is spread over all of it. */
static void test_gathering_rows_keeps_a_bounded_part(void **state)
{
    (void)state;
    enum { VOCAB = 1000, ROWS = 400000, READ = 24 };
    static float scratch[VOCAB];
    byte_string header =
        npy_header(1, "{'descr':'<f4','fortran_order':True,'shape':(400000,1000)}");
    temporary_file file;
    int fd = -1;
    if (!create_sparse(&file, &fd, header.size + (uint64_t)ROWS * VOCAB * sizeof(float)))
        skip();
    assert_int_equal(pwrite(fd, header.data, header.size, 0), header.size);
    pluck_dump *dump = open_unlinked(&file, fd, NULL);
    bytes_free(&header);
    uint64_t before = resident_bytes();
    uint64_t most = before;
    for (uint64_t i = 0; i < READ; i++) {
        pluck_logits logits;
        assert_int_equal(read_logits(dump, i * (ROWS / READ), scratch, &logits, NULL), PLUCK_OK);
        uint64_t now = resident_bytes();
        most = now > most ? now : most;
    }
    if (most - before >= 640 * MIB)
        fail_msg("%llu MiB became resident", (unsigned long long)((most - before) / MIB));
    pluck_dump_destroy(&dump);
}

enum { THREADS = 8, THREAD_ROWS = 700, THREAD_VOCAB = 16000, THREAD_READS = 1500 };

typedef struct reader_thread {
    pluck_dump *dump;
    uint64_t seed;
    uint64_t bad_row; /* UINT64_MAX: none */
} reader_thread;

static float thread_value(uint64_t row, size_t column)
{
    return (float)(row * 16384 + column);
}

static void *read_rows(void *argument)
{
    reader_thread *thread = argument;
    test_random random = test_random_make(thread->seed);
    float *scratch = malloc(THREAD_VOCAB * sizeof *scratch);
    for (uint64_t i = 0; i < THREAD_READS && scratch; i++) {
        /* Half of the threads read in order, the others anywhere. */
        uint64_t row = thread->seed % 2 ? i % THREAD_ROWS : test_random_below(&random, THREAD_ROWS);
        pluck_logits logits = {0};
        if (read_logits(thread->dump, row, scratch, &logits, NULL) != PLUCK_OK)
            thread->bad_row = row;
        for (size_t column = 0; column < THREAD_VOCAB && logits.data; column += 37) {
            float value = 0.0f;
            memcpy(&value, (const char *)logits.data + column * sizeof value, sizeof value);
            if (value != thread_value(row, column))
                thread->bad_row = row;
        }
        if (i % 100 == 0)
            pluck_dump_release(thread->dump, row);
    }
    free(scratch);
    return NULL;
}

/* 45 MB, so that parts are dropped while others read them. */
static void test_many_threads_may_read_one_dump(void **state)
{
    (void)state;
    static const char *const types[] = {"<f4", ">f4"};
    for (size_t type = 0; type < 2; type++) {
        char text[96];
        snprintf(text, sizeof text, "{'descr':'%s','fortran_order':False,'shape':(%d,%d)}",
                 types[type], THREAD_ROWS, THREAD_VOCAB);
        byte_string bytes = npy_header(1, text);
        for (uint64_t r = 0; r < THREAD_ROWS; r++)
            for (size_t c = 0; c < THREAD_VOCAB; c++) {
                float value = thread_value(r, c);
                uint32_t bits = 0;
                memcpy(&bits, &value, sizeof bits);
                uint8_t *to = bytes_extend(&bytes, 4);
                for (size_t i = 0; i < 4; i++)
                    to[i] = (uint8_t)(bits >> (8 * (type == 1 ? 3 - i : i)));
            }
        temporary_file file = temporary_file_write(bytes);
        bytes_free(&bytes);
        pluck_dump *dump = NULL;
        pluck_error err = {0};
        assert_status(pluck_dump_open(&dump, file.path, NULL, &err), PLUCK_OK, err);
        unlink(file.path);
        pthread_t threads[THREADS];
        reader_thread readers[THREADS];
        for (size_t i = 0; i < THREADS; i++) {
            readers[i] = (reader_thread){dump, i, UINT64_MAX};
            assert_int_equal(pthread_create(&threads[i], NULL, read_rows, &readers[i]), 0);
        }
        for (size_t i = 0; i < THREADS; i++)
            assert_int_equal(pthread_join(threads[i], NULL), 0);
        for (size_t i = 0; i < THREADS; i++)
            if (readers[i].bad_row != UINT64_MAX)
                fail_msg("thread of seed %zu: row %llu of %s is wrong", i,
                         (unsigned long long)readers[i].bad_row, types[type]);
        pluck_dump_destroy(&dump);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_row_of_20_gib_is_at_hand),
        cmocka_unit_test(test_reading_through_a_file_keeps_little_of_it),
        cmocka_unit_test(test_released_rows_leave_memory_and_can_be_read),
        cmocka_unit_test(test_gathering_rows_keeps_a_bounded_part),
        cmocka_unit_test(test_many_threads_may_read_one_dump),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
