/*
 * The one writer of files, as a library uses it: a file that is open for reading may be replaced,
 * long names and links work, and two paths are known to be one file before it exists.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <pluck/dump.h>

#include "base/alloc.h"
#include "file/file.h"
#include "support/dump_reading.h"
#include "support/head_cases.h"

enum { PATH_BYTES = 512, NAME_BYTES = 255, MAX_VOCAB = 64 };

static char folder[] = "/tmp/pluck-new-file-XXXXXX";
static pluck_error err;

static const char *in_folder(const char *name)
{
    static char paths[4][PATH_BYTES];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, PATH_BYTES, "%s/%s", folder, name);
    return path;
}

static pluck_status write_text(const char *path, const char *text)
{
    pluck_allocator allocator = plk_allocator_or_default(NULL);
    plk_new_file file;
    pluck_status status = plk_new_file_open(&file, path, &allocator, &err);
    if (status != PLUCK_OK)
        return status;
    status = plk_new_file_write(&file, text, strlen(text), &err);
    if (status == PLUCK_OK)
        status = plk_new_file_finish(&file, &err);
    plk_new_file_close(&file);
    return status;
}

static void assert_holds(const char *path, const char *text)
{
    char bytes[PATH_BYTES];
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t n = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    assert_int_equal(n, strlen(text));
    assert_memory_equal(bytes, text, n);
}

static int count_names(bool remove_them)
{
    int n = 0;
    DIR *directory = opendir(folder);
    assert_non_null(directory);
    for (struct dirent *entry; (entry = readdir(directory)); n++)
        if (remove_them && strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            unlink(in_folder(entry->d_name));
    closedir(directory);
    return n - 2;
}

static void logprobs_of(const pluck_head *head, float logprobs[MAX_VOCAB])
{
    static const float hidden[] = {0.5f, -1.0f, 2.0f, 0.25f};
    pluck_head_query *query = NULL;
    assert_int_equal(pluck_head_query_create(&query, head, NULL, &err), PLUCK_OK);
    assert_int_equal(pluck_head_query_logprobs(query, hidden, logprobs, &err), PLUCK_OK);
    pluck_head_query_destroy(&query);
}

static void an_open_head_may_be_saved_over(void **state)
{
    (void)state;
    const char *path = in_folder("head.safetensors");
    float before[MAX_VOCAB] = {0}, after[MAX_VOCAB] = {0}, other[MAX_VOCAB] = {0};
    head_case first = head_case_make(PLUCK_HEAD_DENSE, 1, MAX_VOCAB, 4);
    head_case second = head_case_make(PLUCK_HEAD_DENSE, 2, MAX_VOCAB, 4);
    pluck_head *mapped = NULL;
    assert_int_equal(pluck_head_save(first.head, path, &err), PLUCK_OK);
    assert_int_equal(pluck_head_open(&mapped, path, NULL, &err), PLUCK_OK);
    logprobs_of(mapped, before);
    assert_int_equal(pluck_head_save(second.head, path, &err), PLUCK_OK);
    logprobs_of(mapped, after);
    assert_memory_equal(before, after, sizeof before);
    /* Over itself too. */
    assert_int_equal(pluck_head_save(mapped, path, &err), PLUCK_OK);
    pluck_head_destroy(&mapped);
    assert_int_equal(pluck_head_open(&mapped, path, NULL, &err), PLUCK_OK);
    logprobs_of(mapped, other);
    assert_memory_equal(before, other, sizeof before);
    pluck_head_destroy(&mapped);
    head_case_free(&first);
    head_case_free(&second);
    assert_int_equal(count_names(true), 1);
}

static void write_rows(const char *path, const float row[2], pluck_dump *from)
{
    pluck_dump_writer_options options = {.struct_size = sizeof options,
                                         .format = PLUCK_DUMP_NPY,
                                         .n_vocab = 2,
                                         .n_rows = PLUCK_DUMP_ROWS_UNKNOWN};
    pluck_dump_row one = {
        .struct_size = sizeof one, .logits = {.data = row, .n_vocab = 2}, .target = PLUCK_NO_TOKEN};
    pluck_dump_writer *writer = NULL;
    float scratch[2];
    assert_int_equal(pluck_dump_writer_create(&writer, path, &options, &err), PLUCK_OK);
    for (uint64_t i = 0; i < 3; i++) {
        if (from)
            assert_int_equal(read_logits(from, i, scratch, &one.logits, &err), PLUCK_OK);
        assert_int_equal(pluck_dump_writer_write(writer, &one, &err), PLUCK_OK);
    }
    assert_int_equal(pluck_dump_writer_finish(writer, &err), PLUCK_OK);
    pluck_dump_writer_destroy(&writer);
}

static void an_open_dump_may_be_written_over(void **state)
{
    (void)state;
    static const float first[] = {1, 2}, second[] = {3, 4};
    const char *path = in_folder("dump.npy");
    pluck_dump *dump = NULL;
    pluck_logits logits;
    float scratch[2];
    write_rows(path, first, NULL);
    assert_int_equal(pluck_dump_open(&dump, path, NULL, &err), PLUCK_OK);
    write_rows(path, second, NULL);
    assert_int_equal(read_logits(dump, 2, scratch, &logits, &err), PLUCK_OK);
    assert_memory_equal(logits.data, first, sizeof first);
    write_rows(path, NULL, dump);
    pluck_dump_destroy(&dump);
    assert_int_equal(pluck_dump_open(&dump, path, NULL, &err), PLUCK_OK);
    assert_int_equal(read_logits(dump, 2, scratch, &logits, &err), PLUCK_OK);
    assert_memory_equal(logits.data, first, sizeof first);
    pluck_dump_destroy(&dump);
    assert_int_equal(count_names(true), 1);
}

static void rows_and_targets_are_two_files(void **state)
{
    (void)state;
    pluck_dump_writer_options options = {
        .struct_size = sizeof options, .format = PLUCK_DUMP_NPY, .n_vocab = 2, .n_rows = 1};
    pluck_dump_writer *writer = NULL;
    assert_int_equal(write_text(in_folder("old"), "old"), PLUCK_OK);
    assert_int_equal(link(in_folder("old"), in_folder("again")), 0);
    assert_int_equal(symlink("new", in_folder("dangling")), 0);
    static const char *const pairs[][2] = {
        {"old", "old"}, {"old", "again"}, {"new", "new"}, {"new", "./new"}, {"new", "dangling"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        options.targets_path = in_folder(pairs[i][1]);
        assert_int_equal(pluck_dump_writer_create(&writer, in_folder(pairs[i][0]), &options, &err),
                         PLUCK_ERR_INVALID);
        assert_null(writer);
        assert_non_null(strstr(err.message, "the same file"));
        assert_holds(in_folder("old"), "old");
        assert_int_equal(count_names(false), 3);
    }
    count_names(true);
}

static void names_of_all_lengths_can_be_written(void **state)
{
    (void)state;
    char name[NAME_BYTES + 2];
    memset(name, 'n', sizeof name);
    for (size_t n = NAME_BYTES - 20; n <= NAME_BYTES; n++) {
        name[n] = '\0';
        assert_int_equal(write_text(in_folder(name), "whole"), PLUCK_OK);
        assert_holds(in_folder(name), "whole");
        assert_int_equal(count_names(true), 1);
        name[n] = 'n';
    }
    name[NAME_BYTES + 1] = '\0';
    assert_int_equal(write_text(in_folder(name), "whole"), PLUCK_ERR_IO);
    assert_int_equal(count_names(true), 0);
    assert_int_equal(write_text("", "whole"), PLUCK_ERR_IO);
    assert_int_equal(write_text(in_folder("none/"), "whole"), PLUCK_ERR_IO);
    assert_int_equal(write_text(folder, "whole"), PLUCK_ERR_IO);
    assert_int_equal(count_names(true), 0);
}

static void a_name_without_a_folder_is_in_the_working_directory(void **state)
{
    (void)state;
    int before = open(".", O_RDONLY);
    assert_true(before >= 0);
    assert_int_equal(chdir(folder), 0);
    assert_int_equal(write_text("plain", "whole"), PLUCK_OK);
    assert_int_equal(symlink("plain", "link"), 0);
    assert_int_equal(write_text("link", "again"), PLUCK_OK);
    assert_int_equal(fchdir(before), 0);
    close(before);
    assert_holds(in_folder("plain"), "again");
    assert_int_equal(count_names(true), 2);
}

static void what_has_failed_is_never_finished(void **state)
{
    (void)state;
    pluck_allocator allocator = plk_allocator_or_default(NULL);
    plk_new_file file;
    assert_int_equal(write_text(in_folder("file"), "old"), PLUCK_OK);
    assert_int_equal(plk_new_file_open(&file, in_folder("file"), &allocator, &err), PLUCK_OK);
    int own = file.fd;
    file.fd = open("/dev/null", O_RDONLY);
    assert_int_equal(plk_new_file_write(&file, "new", 3, &err), PLUCK_OK);
    assert_int_equal(plk_new_file_complete(&file, &err), PLUCK_ERR_IO);
    assert_int_equal(plk_new_file_complete(&file, &err), PLUCK_ERR_IO);
    assert_int_equal(plk_new_file_finish(&file, &err), PLUCK_ERR_IO);
    assert_false(plk_new_file_is_finished(&file));
    plk_new_file_close(&file);
    close(own);
    assert_holds(in_folder("file"), "old");
    assert_int_equal(count_names(true), 1);
}

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_open_head_may_be_saved_over),
        cmocka_unit_test(an_open_dump_may_be_written_over),
        cmocka_unit_test(rows_and_targets_are_two_files),
        cmocka_unit_test(names_of_all_lengths_can_be_written),
        cmocka_unit_test(a_name_without_a_folder_is_in_the_working_directory),
        cmocka_unit_test(what_has_failed_is_never_finished),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
