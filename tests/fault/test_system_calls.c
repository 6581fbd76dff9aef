/*
 * Every writer and reader of files with system calls that fail. After a failed write the old file
 * has to be there, byte for byte, and nothing else; a call that was interrupted is made again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <pluck/dump.h>
#include <pluck/head.h>
#include <pluck/weighted.h>

#include "base/alloc.h"
#include "fault/system_faults.h"
#include "file/file.h"
#include "support/dump_reading.h"
#include "support/head_cases.h"
#include "support/train_problem.h"

enum { PATH_BYTES = 128, MAX_BYTES = 1 << 16, OLD_MODE = 0664, NOBODY = 65534 };

static const char old_text[] = "what was there before";
static const char old_target[] = "nor may this be lost";
static char folder[] = "/tmp/pluck-calls-XXXXXX";
static pluck_error err;
static head_case head;
static train_problem problem;

static const char *in_folder(const char *name)
{
    static char paths[4][PATH_BYTES];
    static unsigned next;
    char *path = paths[next++ % 4];
    int n = snprintf(path, PATH_BYTES, "%s/%s", folder, name);
    assert_in_range(n, 1, PATH_BYTES - 1);
    return path;
}

static void put(const char *name, const char *text)
{
    FILE *file = fopen(in_folder(name), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
}

/* -1: the file does not exist. */
static long get(const char *name, char bytes[MAX_BYTES])
{
    FILE *file = fopen(in_folder(name), "rb");
    if (!file)
        return -1;
    size_t n = fread(bytes, 1, MAX_BYTES, file);
    fclose(file);
    return (long)n;
}

static bool holds(const char *name, const char *text)
{
    char bytes[MAX_BYTES];
    long n = get(name, bytes);
    return text ? n == (long)strlen(text) && memcmp(bytes, text, (size_t)n) == 0 : n < 0;
}

static bool are_equal(const char *a, const char *b)
{
    char x[MAX_BYTES], y[MAX_BYTES];
    long n = get(a, x);
    return n > 0 && get(b, y) == n && memcmp(x, y, (size_t)n) == 0;
}

static int count_names(void)
{
    int n = 0;
    DIR *directory = opendir(folder);
    assert_non_null(directory);
    while (readdir(directory))
        n++;
    closedir(directory);
    return n - 2;
}

static void empty_folder(void)
{
    DIR *directory = opendir(folder);
    assert_non_null(directory);
    for (struct dirent *entry; (entry = readdir(directory));)
        if (entry->d_name[0] != '.' || strlen(entry->d_name) > 2)
            unlink(in_folder(entry->d_name));
    closedir(directory);
}

/* Writers; the second file is for targets. */

static pluck_status save_head(const char *path, const char *second)
{
    (void)second;
    return pluck_head_save(head.head, path, &err);
}

static pluck_status save_trainer(const char *path, const char *second)
{
    (void)second;
    pluck_trainer *trainer = NULL;
    pluck_train_data data = {.struct_size = sizeof data,
                             .hidden = problem.hidden,
                             .n_rows = problem.n_rows,
                             .dim = problem.dim,
                             .targets = problem.targets};
    assert_int_equal(pluck_trainer_create(&trainer, problem.tree, &data, NULL, &err), PLUCK_OK);
    pluck_status status = pluck_trainer_save(trainer, path, &err);
    pluck_trainer_destroy(&trainer);
    return status;
}

static const double weights[] = {1, 2, 0.5, 4};

static pluck_weights four_weights(void)
{
    return (pluck_weights){.data = weights, .dtype = PLUCK_F64, .n = 4};
}

static pluck_status save_weighted(pluck_weighted_kind kind, const char *path)
{
    pluck_weighted *weighted = NULL;
    assert_int_equal(pluck_weighted_create(&weighted, kind, four_weights(), NULL, &err), PLUCK_OK);
    pluck_status status = pluck_weighted_save(weighted, path, &err);
    pluck_weighted_destroy(&weighted);
    return status;
}

static pluck_status save_alias(const char *path, const char *second)
{
    (void)second;
    return save_weighted(PLUCK_WEIGHTED_ALIAS, path);
}

static pluck_status save_sum_tree(const char *path, const char *second)
{
    (void)second;
    return save_weighted(PLUCK_WEIGHTED_SUM_TREE, path);
}

static pluck_status save_huffman(const char *path, const char *second)
{
    (void)second;
    return save_weighted(PLUCK_WEIGHTED_HUFFMAN, path);
}

static pluck_status write_dump(const char *path, const char *second, pluck_dump_format format,
                               uint64_t n_rows)
{
    static const float row[] = {1, 2, 3};
    pluck_dump_row one = {.struct_size = sizeof one,
                          .logits = {.data = row, .n_vocab = 3, .dtype = PLUCK_F32},
                          .target = 1};
    pluck_dump_writer_options options = {.struct_size = sizeof options,
                                         .format = format,
                                         .n_vocab = 3,
                                         .n_rows = n_rows,
                                         .targets_path = second};
    pluck_dump_writer *writer = NULL;
    pluck_status status = pluck_dump_writer_create(&writer, path, &options, &err);
    for (int i = 0; i < 2 && status == PLUCK_OK; i++)
        status = pluck_dump_writer_write(writer, &one, &err);
    if (status == PLUCK_OK)
        status = pluck_dump_writer_finish(writer, &err);
    pluck_dump_writer_destroy(&writer);
    return status;
}

static pluck_status write_rows(const char *path, const char *second)
{
    (void)second;
    return write_dump(path, NULL, PLUCK_DUMP_NPY, 2);
}

static pluck_status write_unknown_rows(const char *path, const char *second)
{
    (void)second;
    return write_dump(path, NULL, PLUCK_DUMP_SAFETENSORS, PLUCK_DUMP_ROWS_UNKNOWN);
}

static pluck_status write_lines(const char *path, const char *second)
{
    (void)second;
    return write_dump(path, NULL, PLUCK_DUMP_JSONL, 2);
}

static pluck_status write_both(const char *path, const char *second)
{
    return write_dump(path, second, PLUCK_DUMP_NPY, PLUCK_DUMP_ROWS_UNKNOWN);
}

static const struct {
    const char *name;
    pluck_status (*write)(const char *path, const char *second);
    bool seeks;
} writers[] = {{"pluck_head_save", save_head, false},
               {"pluck_trainer_save", save_trainer, false},
               {"pluck_weighted_save, alias table", save_alias, false},
               {"pluck_weighted_save, sum tree", save_sum_tree, false},
               {"pluck_weighted_save, Huffman-shaped tree", save_huffman, false},
               {"dump writer", write_rows, false},
               {"dump writer, rows unknown", write_unknown_rows, true},
               {"dump writer, lines", write_lines, false}};

enum { N_WRITERS = sizeof writers / sizeof *writers };

typedef enum outcome {
    KEEPS,    /* PLUCK_ERR_IO, and the old file */
    REPLACES, /* PLUCK_OK, and the new one */
    WARNS     /* PLUCK_ERR_IO, but the new one: only its directory is not on the disk */
} outcome;

/* What each failure has to come to, whoever writes. The second fsync is that of the directory. */
static const struct {
    const char *function;
    int nth, error_number;
    outcome expected;
} faults[] = {
    {"lstat", 1, EIO, KEEPS},        {"lstat", 1, EACCES, KEEPS},
    {"create", 1, EACCES, KEEPS},    {"create", 1, ENOSPC, KEEPS},
    {"create", 1, EEXIST, REPLACES}, {"create", 1, EINTR, REPLACES},
    {"fstat", 1, EIO, KEEPS},        {"fchmod", 1, EIO, KEEPS},
    {"fchmod", 1, EPERM, REPLACES},  {"fchmod", 1, ENOTSUP, REPLACES},
    {"write", 1, EIO, KEEPS},        {"write", 1, ENOSPC, KEEPS},
    {"write", 1, EDQUOT, KEEPS},     {"write", 1, EFBIG, KEEPS},
    {"write", 1, EINTR, REPLACES},   {"write", 1, FAULT_SHORT, REPLACES},
    {"fsync", 1, EIO, KEEPS},        {"fsync", 1, ENOSPC, KEEPS},
    {"fsync", 1, EINTR, REPLACES},   {"close", 1, EIO, KEEPS},
    {"close", 1, ENOSPC, KEEPS},     {"close", 1, EINTR, REPLACES},
    {"rename", 1, EIO, KEEPS},       {"rename", 1, EXDEV, KEEPS},
    {"rename", 1, EACCES, KEEPS},    {"open_directory", 1, EACCES, REPLACES},
    {"fsync", 2, EINVAL, REPLACES},  {"fsync", 2, EINTR, REPLACES},
    {"fsync", 2, EIO, WARNS},
};

static void check(const char *writer, const char *function, int error_number, pluck_status status,
                  outcome expected, const char *old)
{
    bool is_new = are_equal("file", "wanted");
    bool is_old = !is_new && holds("file", old);
    bool has_right_status = status == (expected == REPLACES ? PLUCK_OK : PLUCK_ERR_IO);
    int n_names = 1 + (is_new || old);
    if (has_right_status && (expected == KEEPS ? is_old : is_new) && count_names() == n_names)
        return;
    fail_msg("%s, %s fails with %d, %s: %s (%s); file is %s, %d names", writer, function,
             error_number, old ? "replacing" : "new", pluck_status_name(status),
             status != PLUCK_OK ? err.message : "",
             is_new   ? "new"
             : is_old ? "old"
                      : "broken",
             count_names());
}

static void run(size_t w, size_t f, const char *old)
{
    const char *path = in_folder("file");
    if (old) {
        put("file", old);
        assert_int_equal(chmod(path, OLD_MODE), 0);
    }
    fault_arm(faults[f].function, faults[f].nth, faults[f].error_number);
    pluck_status status = writers[w].write(path, NULL);
    int n = fault_calls();
    fault_arm(NULL, 0, 0);
    bool needs_old =
        strcmp(faults[f].function, "fchmod") == 0 || strcmp(faults[f].function, "fstat") == 0;
    if (needs_old && !old)
        assert_int_equal(n, 0);
    else
        assert_true(n >= faults[f].nth);
    check(writers[w].name, faults[f].function, faults[f].error_number, status,
          n == 0 ? REPLACES : faults[f].expected, old);
    if (status == PLUCK_OK && old) {
        struct stat info;
        assert_int_equal(stat(path, &info), 0);
        bool may_differ = strcmp(faults[f].function, "fchmod") == 0;
        assert_true(may_differ || (info.st_mode & 0777) == OLD_MODE);
    }
    unlink(path);
}

static void a_failed_write_leaves_the_old_file(void **state)
{
    (void)state;
    mode_t mask = umask(022);
    for (size_t w = 0; w < N_WRITERS; w++) {
        empty_folder();
        assert_int_equal(writers[w].write(in_folder("wanted"), NULL), PLUCK_OK);
        for (size_t f = 0; f < sizeof faults / sizeof *faults; f++) {
            run(w, f, old_text);
            run(w, f, NULL);
        }
    }
    umask(mask);
}

static void a_failed_seek_leaves_the_old_file(void **state)
{
    (void)state;
    for (size_t w = 0; w < N_WRITERS; w++) {
        empty_folder();
        assert_int_equal(writers[w].write(in_folder("wanted"), NULL), PLUCK_OK);
        put("file", old_text);
        fault_arm("lseek", 1, EIO);
        pluck_status status = writers[w].write(in_folder("file"), NULL);
        fault_arm(NULL, 0, 0);
        check(writers[w].name, "lseek", EIO, status, writers[w].seeks ? KEEPS : REPLACES, old_text);
    }
}

static void a_link_that_cannot_be_read_stays(void **state)
{
    (void)state;
    for (size_t w = 0; w < N_WRITERS; w++) {
        empty_folder();
        assert_int_equal(writers[w].write(in_folder("wanted"), NULL), PLUCK_OK);
        put("target", old_text);
        assert_int_equal(symlink("target", in_folder("link")), 0);
        fault_arm("readlink", 1, EIO);
        assert_int_equal(writers[w].write(in_folder("link"), NULL), PLUCK_ERR_IO);
        fault_arm(NULL, 0, 0);
        assert_true(holds("target", old_text));
        assert_int_equal(writers[w].write(in_folder("link"), NULL), PLUCK_OK);
        assert_true(are_equal("target", "wanted"));
        struct stat info;
        assert_int_equal(lstat(in_folder("link"), &info), 0);
        assert_true(S_ISLNK(info.st_mode));
        assert_int_equal(count_names(), 3);
    }
}

static void the_owner_is_kept_where_that_can_be(void **state)
{
    (void)state;
    static const int errors[] = {0, EPERM, EIO};
    if (geteuid() != 0) {
        print_message("skipped: only root can give a file away\n");
        skip();
    }
    empty_folder();
    assert_int_equal(save_alias(in_folder("wanted"), NULL), PLUCK_OK);
    for (size_t i = 0; i < 3; i++) {
        struct stat info;
        put("file", old_text);
        assert_int_equal(chown(in_folder("file"), NOBODY, NOBODY), 0);
        assert_int_equal(chmod(in_folder("file"), 0600), 0);
        fault_arm("fchown", errors[i] ? 1 : 0, errors[i]);
        pluck_status status = save_alias(in_folder("file"), NULL);
        assert_int_equal(fault_calls(), 1);
        fault_arm(NULL, 0, 0);
        check("pluck_weighted_save", "fchown", errors[i], status,
              errors[i] == EIO ? KEEPS : REPLACES, old_text);
        assert_int_equal(stat(in_folder("file"), &info), 0);
        assert_int_equal(info.st_mode & 0777, 0600);
        assert_int_equal(info.st_uid, errors[i] == EPERM ? geteuid() : NOBODY);
        unlink(in_folder("file"));
    }
}

/* Whatever fails, each of the two files is the old or the new one, nothing else is there, and the
 * message names what was completed. */
static void of_two_files_the_completed_one_is_named(void **state)
{
    (void)state;
    static const char *const functions[] = {"create", "write", "fsync", "close", "lseek", "rename"};
    empty_folder();
    assert_int_equal(write_both(in_folder("wanted"), in_folder("wanted2")), PLUCK_OK);
    for (size_t f = 0; f < sizeof functions / sizeof *functions; f++) {
        for (int nth = 1;; nth++) {
            put("file", old_text);
            put("second", old_target);
            fault_arm(functions[f], nth, EIO);
            pluck_status status = write_both(in_folder("file"), in_folder("second"));
            int n = fault_calls();
            fault_arm(NULL, 0, 0);
            bool is_new = are_equal("file", "wanted");
            bool is_new2 = are_equal("second", "wanted2");
            assert_true(is_new || holds("file", old_text));
            assert_true(is_new2 || holds("second", old_target));
            assert_int_equal(count_names(), 4);
            if (n < nth) {
                assert_int_equal(status, PLUCK_OK);
                assert_true(is_new && is_new2);
                assert_true(nth > 2);
                break;
            }
            assert_int_equal(status, PLUCK_ERR_IO);
            bool is_directory = strcmp(functions[f], "fsync") == 0 && nth > 2;
            assert_true(is_directory || !is_new);
            if (strcmp(functions[f], "rename") == 0 && nth == 2) {
                assert_true(is_new2);
                assert_non_null(strstr(err.message, "completed: "));
                assert_non_null(strstr(err.message, "second"));
            } else {
                assert_true(is_directory || !is_new2);
            }
        }
    }
}

/* Readers. */

static pluck_status open_dump(const char *path)
{
    pluck_dump *dump = NULL;
    pluck_logits logits;
    float scratch[3];
    pluck_status status = pluck_dump_open(&dump, path, NULL, &err);
    assert_true(status == PLUCK_OK || !dump);
    for (uint64_t row = 0; row < 2 && status == PLUCK_OK; row++) {
        status = read_logits(dump, row, scratch, &logits, &err);
        if (status == PLUCK_OK) {
            assert_non_null(logits.data);
            assert_memory_equal(logits.data, ((const float[]){1, 2, 3}), sizeof scratch);
        }
    }
    pluck_dump_destroy(&dump);
    return status;
}

static pluck_status open_head(const char *path)
{
    pluck_head *loaded = NULL;
    pluck_status status = pluck_head_open(&loaded, path, NULL, &err);
    assert_true((status == PLUCK_OK) == (loaded != NULL));
    pluck_head_destroy(&loaded);
    return status;
}

static pluck_status open_weighted(const char *path)
{
    pluck_weighted *weighted = NULL;
    pluck_status status = pluck_weighted_open(&weighted, path, NULL, &err);
    assert_true((status == PLUCK_OK) == (weighted != NULL));
    pluck_weighted_destroy(&weighted);
    return status;
}

static pluck_status open_targets(const char *path)
{
    pluck_targets *targets = NULL;
    pluck_status status = pluck_targets_open(&targets, path, NULL, &err);
    assert_true((status == PLUCK_OK) == (targets != NULL));
    pluck_targets_destroy(&targets);
    return status;
}

static void a_file_that_cannot_be_read_is_an_error(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        pluck_status (*write)(const char *path, const char *second);
        pluck_status (*read)(const char *path);
    } readers[] = {{"pluck_dump_open", write_rows, open_dump},
                   {"pluck_dump_open of lines", write_lines, open_dump},
                   {"pluck_head_open", save_head, open_head},
                   {"pluck_weighted_open", save_alias, open_weighted}};
    static const struct {
        const char *function;
        int error_number;
        pluck_status expected;
    } cases[] = {{"open", EACCES, PLUCK_ERR_IO}, {"open", EINTR, PLUCK_OK},
                 {"fstat", EIO, PLUCK_ERR_IO},   {"mmap", ENOMEM, PLUCK_ERR_IO},
                 {"mmap", EIO, PLUCK_ERR_IO},    {"mmap", ENODEV, PLUCK_OK},
                 {"munmap", EIO, PLUCK_OK}};
    empty_folder();
    for (size_t r = 0; r < sizeof readers / sizeof *readers; r++) {
        assert_int_equal(readers[r].write(in_folder("file"), NULL), PLUCK_OK);
        for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
            fault_arm(cases[c].function, 1, cases[c].error_number);
            pluck_status status = readers[r].read(in_folder("file"));
            int n = fault_calls();
            fault_arm(NULL, 0, 0);
            if (n < 1 || status != cases[c].expected)
                fail_msg("%s, %s fails with %d: %s, %d calls", readers[r].name, cases[c].function,
                         cases[c].error_number, pluck_status_name(status), n);
        }
    }
    assert_int_equal(write_both(in_folder("file"), in_folder("second")), PLUCK_OK);
    for (size_t c = 0; c < 2; c++) {
        fault_arm(cases[c].function, 1, cases[c].error_number);
        assert_int_equal(open_targets(in_folder("second")), cases[c].expected);
        assert_true(fault_calls() >= 1);
        fault_arm(NULL, 0, 0);
    }
}

/* Standard input is a pipe that a child fills, late, and that does not block. */
static pluck_status read_late_pipe(const char *function, int error_number, int *n_calls)
{
    char bytes[MAX_BYTES];
    int ends[2];
    long n = get("file", bytes);
    assert_true(n > 0);
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(ends[0]);
        for (long at = 0; at < n; at += 50) {
            usleep(2000);
            size_t step = n - at < 50 ? (size_t)(n - at) : 50;
            if (write(ends[1], bytes + at, step) != (ssize_t)step)
                _exit(1);
        }
        _exit(0);
    }
    close(ends[1]);
    int before = dup(STDIN_FILENO);
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    assert_true(dup2(ends[0], STDIN_FILENO) == STDIN_FILENO);
    close(ends[0]);
    fault_arm(function, 1, error_number);
    pluck_status status = open_dump("-");
    *n_calls = fault_calls();
    fault_arm(NULL, 0, 0);
    assert_true(dup2(before, STDIN_FILENO) == STDIN_FILENO);
    close(before);
    waitpid(child, NULL, 0);
    return status;
}

static void a_stream_is_waited_for_and_its_errors_are_told(void **state)
{
    (void)state;
    static const struct {
        const char *function;
        int error_number;
        pluck_status expected;
    } cases[] = {{"read", EIO, PLUCK_ERR_IO}, {"read", EINTR, PLUCK_OK},
                 {"read", EAGAIN, PLUCK_OK},  {"poll", EINTR, PLUCK_OK},
                 {"poll", EIO, PLUCK_ERR_IO}, {"poll", ENOMEM, PLUCK_ERR_IO}};
    empty_folder();
    assert_int_equal(write_rows(in_folder("file"), NULL), PLUCK_OK);
    signal(SIGPIPE, SIG_IGN);
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        int n = 0;
        pluck_status status = read_late_pipe(cases[c].function, cases[c].error_number, &n);
        if (n < 1 || status != cases[c].expected)
            fail_msg("%s fails with %d: %s, %d calls", cases[c].function, cases[c].error_number,
                     pluck_status_name(status), n);
    }
}

/* A pipe that is full and does not block, whose reader takes its time. */
static void a_full_pipe_is_waited_for(void **state)
{
    (void)state;
    enum { N = 1 << 20 };
    static char bytes[N];
    pluck_allocator allocator = plk_allocator_or_default(NULL);
    static const struct {
        int error_number;
        pluck_status expected;
    } cases[] = {{0, PLUCK_OK}, {EINTR, PLUCK_OK}, {EIO, PLUCK_ERR_IO}};
    for (size_t c = 0; c < 3; c++) {
        int ends[2], result = 0;
        char path[PATH_BYTES];
        plk_new_file file;
        assert_int_equal(pipe(ends), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            static char got[N];
            size_t n = 0;
            close(ends[1]);
            for (ssize_t step = 1; step > 0; n += step > 0 ? (size_t)step : 0) {
                usleep(100);
                step = read(ends[0], got + n, N - n < 30000 ? N - n : 30000);
            }
            _exit(n == N && memcmp(got, bytes, N) == 0 ? 0 : 1);
        }
        close(ends[0]);
        assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
        snprintf(path, sizeof path, "/dev/fd/%d", ends[1]);
        assert_int_equal(plk_new_file_open(&file, path, &allocator, &err), PLUCK_OK);
        assert_int_equal(file.place.kind, PLK_PLACE_DESCRIPTOR);
        fault_arm("poll", cases[c].error_number ? 1 : 0, cases[c].error_number);
        pluck_status status = plk_new_file_write(&file, bytes, N, &err);
        assert_true(fault_calls() >= 1);
        fault_arm(NULL, 0, 0);
        if (status == PLUCK_OK)
            status = plk_new_file_finish(&file, &err);
        assert_int_equal(status, cases[c].expected);
        plk_new_file_close(&file);
        assert_int_equal(close(ends[1]), 0);
        assert_true(waitpid(child, &result, 0) == child);
        assert_int_equal(WEXITSTATUS(result) == 0, status == PLUCK_OK);
    }
}

static int set_up(void **state)
{
    (void)state;
    head = head_case_make(PLUCK_HEAD_DENSE, 1, 7, 3);
    problem = train_problem_make(9, 4, 20);
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    empty_folder();
    head_case_free(&head);
    train_problem_free(&problem);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failed_write_leaves_the_old_file),
        cmocka_unit_test(a_failed_seek_leaves_the_old_file),
        cmocka_unit_test(a_link_that_cannot_be_read_stays),
        cmocka_unit_test(the_owner_is_kept_where_that_can_be),
        cmocka_unit_test(of_two_files_the_completed_one_is_named),
        cmocka_unit_test(a_file_that_cannot_be_read_is_an_error),
        cmocka_unit_test(a_stream_is_waited_for_and_its_errors_are_told),
        cmocka_unit_test(a_full_pipe_is_waited_for),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
