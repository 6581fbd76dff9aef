/*
 * Streams come in pieces of any size, are interrupted, end early or go on too long. Here they come
 * through real pipes, from a child that writes a few bytes at a time, by descriptor, by path and as
 * standard input.
 */
#include "test_dump_files.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#include "support/dump_reading.h"

enum { ROWS = 40, VOCAB = 30 };

static const char npy_text[] = "{'descr':'>f4','fortran_order':False,'shape':(40,30)}\n";

/* ROWS rows of VOCAB big-endian f4 values row * 100 + column. */
static byte_string numbered_rows(const char *header)
{
    byte_string bytes = {0};
    if (header)
        bytes = npy_header(1, header);
    for (size_t i = 0; i < (size_t)ROWS * VOCAB; i++) {
        float value = (float)(i / VOCAB * 100 + i % VOCAB);
        uint32_t bits = 0;
        memcpy(&bits, &value, sizeof bits);
        bytes_append_number(&bytes, bits, 4, header != NULL);
    }
    return bytes;
}

/* A child writes bytes to fd, step of them at a time, with a pause after the first ones. */
static pid_t start_writer(int fd, byte_string bytes, size_t step)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child > 0)
        return child;
    signal(SIGPIPE, SIG_IGN);
    struct timespec pause = {0, 2000000};
    for (size_t done = 0; done < bytes.size;) {
        size_t left = bytes.size - done;
        ssize_t n = write(fd, bytes.data + done, left < step ? left : step);
        if (n < 0)
            _exit(0);
        done += (size_t)n;
        if (done < 40)
            nanosleep(&pause, NULL);
    }
    _exit(0);
}

static void wait_for(pid_t child)
{
    int status = 0;
    while (waitpid(child, &status, 0) < 0)
        ;
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* Path of a pipe that gives bytes; *fd has to be closed. */
static pid_t pipe_of(byte_string bytes, size_t step, int *fd, char path[32])
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = start_writer(ends[1], bytes, step);
    close(ends[1]);
    *fd = ends[0];
    snprintf(path, 32, "/dev/fd/%d", ends[0]);
    return child;
}

static void check_row(pluck_dump *dump, uint64_t row, const char *found_in)
{
    float scratch[VOCAB];
    pluck_logits logits;
    pluck_error err = {0};
    assert_status(read_logits(dump, row, scratch, &logits, &err), PLUCK_OK, err);
    assert_ptr_equal(logits.data, scratch);
    for (size_t column = 0; column < VOCAB; column++)
        if (scratch[column] != (float)(row * 100 + column))
            fail_msg("%s: row %u, column %zu is %g", found_in, (unsigned)row, column,
                     (double)scratch[column]);
}

static void test_pieces_of_any_size_make_the_same_rows(void **state)
{
    (void)state;
    static const size_t steps[] = {1, 3, 119, 120, 121, 100000};
    for (int raw = 0; raw < 2; raw++) {
        byte_string bytes = numbered_rows(raw ? NULL : npy_text);
        for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
            pluck_dump_options options = {.struct_size = sizeof options, .raw_n_vocab = VOCAB};
            pluck_dump *dump = NULL;
            pluck_error err = {0};
            char path[32];
            int fd = -1;
            pid_t child = pipe_of(bytes, steps[i], &fd, path);
            assert_status(pluck_dump_open(&dump, path, &options, &err), PLUCK_OK, err);
            close(fd);
            pluck_dump_info info = info_of_dump(dump);
            assert_true(info.streamed);
            assert_true(info.n_rows == (raw ? PLUCK_DUMP_ROWS_UNKNOWN : ROWS));
            for (uint64_t row = 0; row < ROWS; row++)
                check_row(dump, row, path);
            pluck_logits logits = {0};
            float scratch[VOCAB];
            if (raw) {
                for (int again = 0; again < 2; again++) {
                    logits.data = scratch;
                    assert_status(read_logits(dump, ROWS + 7, scratch, &logits, &err), PLUCK_OK,
                                  err);
                    assert_null(logits.data);
                }
            } else {
                assert_int_equal(read_logits(dump, ROWS, scratch, &logits, &err),
                                 PLUCK_ERR_INVALID);
            }
            pluck_dump_release(dump, 3);
            pluck_dump_destroy(&dump);
            wait_for(child);
        }
        bytes_free(&bytes);
    }
}

/* Blank lines come first, then a row, and its writer waits for an answer: the row is read though
 * the stream neither ends nor goes on. */
static void test_a_row_after_blank_lines_is_not_kept_waiting(void **state)
{
    (void)state;
    static const char row[] = "{\"logits\": [0, 1, 2]}\n";
    static const size_t blanks[] = {13, 300, 5000};
    for (size_t i = 0; i < sizeof blanks / sizeof *blanks; i++) {
        char path[32], *blank = malloc(blanks[i]);
        int ends[2];
        assert_non_null(blank);
        memset(blank, '\n', blanks[i]);
        assert_int_equal(pipe(ends), 0);
        assert_true(write(ends[1], blank, blanks[i]) == (ssize_t)blanks[i]);
        free(blank);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            nanosleep(&(struct timespec){0, 20000000}, NULL);
            ssize_t n = write(ends[1], row, sizeof row - 1);
            alarm(60);
            pause();
            _exit(n != 0);
        }
        close(ends[1]);
        snprintf(path, sizeof path, "/dev/fd/%d", ends[0]);
        pluck_dump *dump = NULL;
        pluck_error err = {0};
        pluck_logits logits = {0};
        float scratch[3];
        alarm(10);
        assert_status(pluck_dump_open(&dump, path, NULL, &err), PLUCK_OK, err);
        assert_int_equal(info_of_dump(dump).format, PLUCK_DUMP_JSONL);
        assert_status(read_logits(dump, 0, scratch, &logits, &err), PLUCK_OK, err);
        alarm(0);
        assert_true(scratch[0] == 0 && scratch[1] == 1 && scratch[2] == 2);
        pluck_dump_destroy(&dump);
        close(ends[0]);
        assert_int_equal(kill(child, SIGTERM), 0);
        assert_int_equal(waitpid(child, NULL, 0), child);
    }
}

static void test_rows_may_be_skipped_but_not_read_again(void **state)
{
    (void)state;
    byte_string bytes = numbered_rows(npy_text);
    pluck_dump *dump = NULL;
    pluck_error err = {0};
    pluck_logits logits;
    float scratch[VOCAB];
    char path[32];
    int fd = -1;
    pid_t child = pipe_of(bytes, 50, &fd, path);
    assert_status(pluck_dump_open(&dump, path, NULL, &err), PLUCK_OK, err);
    close(fd);
    check_row(dump, 3, path);
    assert_int_equal(read_logits(dump, 3, scratch, &logits, &err), PLUCK_ERR_INVALID);
    assert_non_null(strstr(err.message, "row 3 of a stream has passed; the next one is 4"));
    assert_int_equal(read_logits(dump, 5, NULL, &logits, &err), PLUCK_ERR_INVALID);
    assert_non_null(strstr(err.message, "scratch is NULL"));
    pluck_dump_row unsized = {.target = 7};
    assert_int_equal(pluck_dump_read(dump, 4, scratch, &unsized, &err), PLUCK_ERR_INVALID);
    assert_string_equal(err.message,
                        "out.struct_size is 0; initialise it with PLUCK_INIT(pluck_dump_row)");
    assert_int_equal(unsized.target, 7);
    check_row(dump, 4, path);
    check_row(dump, 38, path);
    check_row(dump, 39, path);
    pluck_dump_destroy(&dump);
    wait_for(child);
    bytes_free(&bytes);
}

static void ignore_signal(int number)
{
    (void)number;
}

/* Signals arrive all the time, without SA_RESTART: read() returns early with EINTR. */
static void test_interrupted_reads_go_on(void **state)
{
    (void)state;
    struct sigaction action = {.sa_handler = ignore_signal};
    struct sigaction old;
    struct itimerval often = {{0, 500}, {0, 500}}, never = {{0, 0}, {0, 0}};
    byte_string bytes = numbered_rows(npy_text);
    pluck_dump *dump = NULL;
    pluck_error err = {0};
    char path[32];
    int fd = -1;
    pid_t child = pipe_of(bytes, 1, &fd, path);
    assert_int_equal(sigaction(SIGALRM, &action, &old), 0);
    assert_int_equal(setitimer(ITIMER_REAL, &often, NULL), 0);
    assert_status(pluck_dump_open(&dump, path, NULL, &err), PLUCK_OK, err);
    close(fd);
    for (uint64_t row = 0; row < ROWS; row++)
        check_row(dump, row, path);
    setitimer(ITIMER_REAL, &never, NULL);
    sigaction(SIGALRM, &old, NULL);
    pluck_dump_destroy(&dump);
    wait_for(child);
    bytes_free(&bytes);
}

/* A shell may hand over a pipe that does not block. */
static void test_a_pipe_that_does_not_block_is_waited_for(void **state)
{
    (void)state;
    byte_string bytes = numbered_rows(npy_text);
    pluck_dump *dump = NULL;
    pluck_error err = {0};
    char path[32];
    int fd = -1, old_stdin = dup(STDIN_FILENO);
    pid_t child = pipe_of(bytes, 1, &fd, path);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(dup2(fd, STDIN_FILENO), STDIN_FILENO);
    close(fd);
    assert_status(pluck_dump_open(&dump, "-", NULL, &err), PLUCK_OK, err);
    for (uint64_t row = 0; row < ROWS; row++)
        check_row(dump, row, "standard input");
    pluck_dump_destroy(&dump);
    /* Standard input is not the library's to close. */
    assert_true(fcntl(STDIN_FILENO, F_GETFD) >= 0);
    assert_int_equal(dup2(old_stdin, STDIN_FILENO), STDIN_FILENO);
    close(old_stdin);
    wait_for(child);
    bytes_free(&bytes);
}

/* "dump < file": standard input is streamed even when it is a file. */
static void test_standard_input_is_streamed(void **state)
{
    (void)state;
    byte_string bytes = numbered_rows(npy_text);
    temporary_file file = temporary_file_write(bytes);
    pluck_dump *dump = NULL;
    pluck_error err = {0};
    int old_stdin = dup(STDIN_FILENO), fd = open(file.path, O_RDONLY);
    assert_int_equal(dup2(fd, STDIN_FILENO), STDIN_FILENO);
    close(fd);
    unlink(file.path);
    assert_status(pluck_dump_open(&dump, "-", NULL, &err), PLUCK_OK, err);
    assert_true(info_of_dump(dump).streamed);
    check_row(dump, 11, "standard input");
    pluck_dump_destroy(&dump);
    /* All is read now but what follows row 11: no .npy any more. */
    assert_status(pluck_dump_open(&dump, "-", NULL, &err), PLUCK_ERR_FORMAT, err);
    assert_non_null(
        strstr(err.message, "standard input: unknown format (begins with 44 96 00 00)"));
    assert_int_equal(dup2(old_stdin, STDIN_FILENO), STDIN_FILENO);
    close(old_stdin);
    bytes_free(&bytes);
}

static void test_a_named_pipe_is_streamed(void **state)
{
    (void)state;
    char directory[] = "/tmp/pluck_dump_XXXXXX", path[64];
    byte_string bytes = numbered_rows(npy_text);
    pluck_dump *dump = NULL;
    pluck_error err = {0};
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/logits.npy", directory);
    assert_int_equal(mkfifo(path, 0600), 0);
    pid_t child = fork();
    if (child == 0) {
        int fd = open(path, O_WRONLY);
        _exit(write(fd, bytes.data, bytes.size) == (ssize_t)bytes.size ? 0 : 1);
    }
    assert_true(child > 0);
    assert_status(pluck_dump_open(&dump, path, NULL, &err), PLUCK_OK, err);
    for (uint64_t row = 0; row < ROWS; row++)
        check_row(dump, row, path);
    pluck_dump_destroy(&dump);
    wait_for(child);
    unlink(path);
    rmdir(directory);
    bytes_free(&bytes);
}

/* Opens what bytes gives and reads all rows: the error of the first call that fails. */
static void check_stream_refused(byte_string bytes, const pluck_dump_options *options,
                                 const char *fragment)
{
    pluck_dump *dump = NULL;
    pluck_error err = {0};
    pluck_logits logits;
    float scratch[VOCAB];
    char path[32];
    int fd = -1;
    pid_t child = pipe_of(bytes, 77, &fd, path);
    pluck_status status = pluck_dump_open(&dump, path, options, &err);
    close(fd);
    for (uint64_t row = 0; status == PLUCK_OK && row < ROWS; row++) {
        status = read_logits(dump, row, scratch, &logits, &err);
        if (status) {
            /* A stream that has failed stays so, with the same status. */
            pluck_error again = {0};
            assert_int_equal(read_logits(dump, ROWS - 1, scratch, &logits, &again), status);
            assert_non_null(strstr(again.message, "the stream has failed before, at row "));
        }
    }
    if (status != PLUCK_ERR_FORMAT || !strstr(err.message, fragment))
        fail_msg("%s: \"%s\", expected \"%s\"", pluck_status_name(status), err.message, fragment);
    pluck_dump_destroy(&dump);
    wait_for(child);
}

static void test_streams_that_are_wrong_say_where(void **state)
{
    (void)state;
    pluck_dump_options options = PLUCK_INIT(pluck_dump_options);
    pluck_dump_options raw = {.struct_size = sizeof raw, .raw_n_vocab = VOCAB};
    pluck_dump_options npy = {.struct_size = sizeof npy, .format = PLUCK_DUMP_NPY};
    pluck_dump_options safetensors = {.struct_size = sizeof safetensors,
                                      .format = PLUCK_DUMP_SAFETENSORS};
    byte_string none = {0}, bytes = numbered_rows(npy_text);
    size_t header_size = 10 + strlen(npy_text), row_size = 4 * VOCAB;

    check_stream_refused(none, &options, "is empty");
    check_stream_refused(none, &raw, "is empty");
    check_stream_refused(none, &npy, "is empty");

    byte_string cut = bytes;
    cut.size = 9;
    check_stream_refused(cut, &options, "truncated: the .npy header ends after 9 bytes");
    cut.size = header_size - 1;
    check_stream_refused(cut, &options, "truncated: the .npy header has 64 bytes, the file has 63");
    cut.size = header_size;
    check_stream_refused(cut, &options,
                         "truncated: the stream ended at offset 64, 0 bytes into row 0, which has "
                         "120 bytes (30 values of >f4)");
    cut.size = header_size + 2 * row_size + 5;
    check_stream_refused(cut, &options, "ended at offset 309, 5 bytes into row 2");
    bytes_append(&bytes, "x", 1);
    check_stream_refused(bytes, &options,
                         "oversized: bytes follow the 40 x 30 values of >f4, at offset 4864");
    bytes_free(&bytes);

    bytes = numbered_rows(NULL);
    bytes.size = 3 * row_size + 4;
    check_stream_refused(bytes, &raw,
                         "ended at offset 364, 4 bytes into row 3, which has 120 bytes (30 values "
                         "of f32)");
    check_stream_refused(bytes, &options, "unknown format (begins with 00 00 00 00)");
    check_stream_refused(bytes, &npy, "is not an .npy file");
    bytes_free(&bytes);

    bytes = npy_header(1, "{'descr':'<f4','fortran_order':True,'shape':(2,3)}");
    bytes_append_zeros(&bytes, 24);
    check_stream_refused(bytes, &options, "an array in Fortran order cannot be read from a stream");
    bytes_free(&bytes);

    bytes = safetensors_file("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4);
    check_stream_refused(bytes, &options, "a .safetensors file cannot be read from a stream");
    check_stream_refused(bytes, &safetensors, "a .safetensors file cannot be read from a stream");
    bytes_free(&bytes);
}

/* A header may say anything about rows that have not come yet: nothing is allocated for them. */
static void test_a_stream_may_declare_more_than_memory(void **state)
{
    (void)state;
    pluck_dump_options options = PLUCK_INIT(pluck_dump_options);
    byte_string bytes =
        npy_header(1, "{'descr':'<f2','fortran_order':False,'shape':(100000000000,3)}");
    bytes_append(&bytes, "\1\2\3\4\5\6", 6);
    pluck_dump *dump = NULL;
    pluck_error err = {0};
    pluck_logits logits;
    float scratch[3];
    assert_status(plk_dump_open_memory(&dump, "x", bytes.data, bytes.size, true, &options, &err),
                  PLUCK_OK, err);
    assert_true(info_of_dump(dump).n_rows == 100000000000);
    assert_status(read_logits(dump, 0, scratch, &logits, &err), PLUCK_OK, err);
    assert_memory_equal(logits.data, "\1\2\3\4\5\6", 6);
    assert_int_equal(read_logits(dump, 99999999999, scratch, &logits, &err), PLUCK_ERR_FORMAT);
    pluck_dump_destroy(&dump);
    bytes_free(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces_of_any_size_make_the_same_rows),
        cmocka_unit_test(test_a_row_after_blank_lines_is_not_kept_waiting),
        cmocka_unit_test(test_rows_may_be_skipped_but_not_read_again),
        cmocka_unit_test(test_interrupted_reads_go_on),
        cmocka_unit_test(test_a_pipe_that_does_not_block_is_waited_for),
        cmocka_unit_test(test_standard_input_is_streamed),
        cmocka_unit_test(test_a_named_pipe_is_streamed),
        cmocka_unit_test(test_streams_that_are_wrong_say_where),
        cmocka_unit_test(test_a_stream_may_declare_more_than_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
