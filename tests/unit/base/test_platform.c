/*
 * The platform layer where nothing above it would notice a mistake: rights of files that threads
 * make, kinds of files, what cannot be mapped, reads and waits of descriptors. What a failed system
 * call comes to is in tests/fault/test_system_calls.c, threads are in tests/unit/thread/.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/platform.h"
#include "base/platform_file.h"
#include "base/platform_program.h"

enum { PATH_BYTES = 128, N_FILES = 5000, STACK_BYTES = 1 << 18 };

static char folder[] = "/tmp/pluck-platform-XXXXXX";

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
    int file = -1;
    assert_int_equal(plk_file_create(in_folder(name), NULL, &file), 0);
    assert_int_equal(plk_file_write(file, text, strlen(text)), 0);
    assert_int_equal(plk_file_close(file), 0);
}

static unsigned mode_of(const char *path)
{
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    return (unsigned)info.st_mode & 0777;
}

static void messages_are_cut_and_end(void **state)
{
    (void)state;
    char whole[128], cut[4] = "xyz";
    plk_system_message(ENOENT, whole, sizeof whole);
    assert_string_equal(whole, strerror(ENOENT));
    plk_system_message(ENOENT, cut, sizeof cut);
    assert_true(strlen(cut) == 3 && strncmp(cut, whole, 3) == 0);
    plk_system_message(123456, whole, sizeof whole);
    assert_null(strchr(whole, '\n'));
}

/* 600 bytes take three calls of getentropy(). Were a part left out, all of its bytes would be 0. */
static void random_bytes_fill_all_that_is_asked_for(void **state)
{
    (void)state;
    unsigned char bytes[600], others[600];
    memset(bytes, 0, sizeof bytes);
    memset(others, 0, sizeof others);
    assert_int_equal(plk_random_bytes(bytes, sizeof bytes), 0);
    assert_int_equal(plk_random_bytes(others, sizeof others), 0);
    for (size_t at = 0; at < sizeof bytes; at += 20)
        assert_memory_not_equal(bytes + at, others + at, 20);
    assert_int_equal(plk_random_bytes(NULL, 0), 0);
}

static void clocks_do_not_go_back(void **state)
{
    (void)state;
    uint64_t before = plk_clock_ns(), worked = plk_thread_cpu_ns();
    plk_sleep_ns(2000000);
    assert_true(plk_clock_ns() - before >= 2000000);
    assert_true(plk_thread_cpu_ns() >= worked);
}

static void a_process_has_processors_and_a_number(void **state)
{
    (void)state;
    assert_true(plk_processor_count() >= 1);
    uint64_t own = plk_process_id();
    assert_true(own != 0 && own == plk_process_id());
    pid_t child = fork();
    if (child == 0)
        _exit(plk_process_id() != own ? 0 : 1);
    int result = -1;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_int_equal(result, 0);
}

/* Rights. */

typedef struct maker {
    const char *name;
    unsigned rights; /* all that the files have */
    int code;
    atomic_int *n_ready; /* both begin at once */
} maker;

static void make_files(void *argument)
{
    maker *m = argument;
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, "%s/%s", folder, m->name);
    atomic_fetch_add(m->n_ready, 1);
    while (atomic_load(m->n_ready) < 2)
        continue;
    for (int i = 0; i < N_FILES && m->code == 0; i++) {
        plk_file_info info = {.mode = 0};
        int file = -1;
        m->code = plk_file_create(path, NULL, &file);
        if (m->code != 0)
            break;
        m->code = plk_descriptor_info(file, &info);
        m->rights |= info.mode;
        (void)plk_file_close(file);
        (void)plk_file_remove(path);
    }
}

/* Asking for the umask means setting it: files of other threads would be writable for all. */
static void two_threads_make_files_with_the_rights_of_the_umask(void **state)
{
    (void)state;
    static const mode_t masks[] = {022, 077};
    for (size_t i = 0; i < sizeof masks / sizeof *masks; i++) {
        atomic_int n_ready = 0;
        maker makers[2] = {{"one", 0, 0, &n_ready}, {"two", 0, 0, &n_ready}};
        plk_thread threads[2];
        mode_t before = umask(masks[i]);
        for (int t = 0; t < 2; t++)
            assert_int_equal(plk_thread_start(&threads[t], make_files, &makers[t], STACK_BYTES), 0);
        for (int t = 0; t < 2; t++)
            plk_thread_join(&threads[t]);
        assert_int_equal(umask(before), masks[i]);
        for (int t = 0; t < 2; t++) {
            assert_int_equal(makers[t].code, 0);
            assert_int_equal(makers[t].rights, 0666 & ~masks[i]);
        }
    }
}

static void a_file_for_an_old_one_gets_its_mode(void **state)
{
    (void)state;
    static const unsigned modes[] = {0600, 0664, 0777, 0444, 0640};
    mode_t before = umask(027);
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        plk_file_info old;
        const char *what = NULL;
        int file = -1;
        put("old", "old");
        assert_int_equal(chmod(in_folder("old"), (mode_t)modes[i]), 0);
        assert_int_equal(plk_path_info(in_folder("old"), &old), 0);
        assert_int_equal(plk_file_create(in_folder("new"), &old, &file), 0);
        /* Nobody may read it before it has its owner whom the old one kept out. */
        assert_int_equal(mode_of(in_folder("new")) & ~modes[i], 0);
        assert_int_equal(plk_file_keep_rights(file, &old, &what), 0);
        assert_int_equal(mode_of(in_folder("new")), modes[i]);
        assert_int_equal(plk_file_close(file), 0);
        assert_int_equal(plk_file_replace(in_folder("new"), in_folder("old")), 0);
        assert_int_equal(mode_of(in_folder("old")), modes[i]);
        assert_int_equal(plk_path_info(in_folder("new"), &old), ENOENT);
        assert_int_equal(plk_file_remove(in_folder("old")), 0);
    }
    umask(before);
}

static void what_has_the_name_is_never_written_to(void **state)
{
    (void)state;
    int file = -1;
    put("there", "kept");
    assert_int_equal(symlink("nowhere", in_folder("dangling")), 0);
    assert_int_equal(plk_file_create(in_folder("there"), NULL, &file), EEXIST);
    assert_int_equal(plk_file_create(in_folder("dangling"), NULL, &file), EEXIST);
    assert_int_equal(plk_file_open(in_folder("dangling"), PLK_OPEN_WRITE, &file), ENOENT);
    assert_int_equal(plk_file_remove(in_folder("dangling")), 0);
    assert_int_equal(symlink("there", in_folder("link")), 0);
    assert_int_not_equal(plk_file_open(in_folder("link"), PLK_OPEN_WRITE_NO_LINK, &file), 0);
    assert_int_equal(plk_file_open(in_folder("link"), PLK_OPEN_WRITE, &file), 0);
    assert_int_equal(plk_file_close(file), 0);
    assert_int_equal(plk_file_remove(in_folder("link")), 0);
    assert_int_equal(plk_file_remove(in_folder("there")), 0);
    assert_int_equal(plk_file_remove(in_folder("there")), ENOENT);
    assert_int_equal(plk_directory_create(in_folder("sub")), 0);
    assert_int_equal(plk_directory_create(in_folder("sub")), EEXIST);
    assert_int_equal(plk_file_replace(in_folder("there"), in_folder("sub")), ENOENT);
    assert_int_equal(rmdir(in_folder("sub")), 0);
}

/* Kinds. */

static plk_file_info info_of(const char *name)
{
    plk_file_info info;
    assert_int_equal(plk_path_info(in_folder(name), &info), 0);
    return info;
}

static void kinds_of_files_are_told_apart(void **state)
{
    (void)state;
    put("regular", "four");
    assert_int_equal(mkfifo(in_folder("pipe"), 0600), 0);
    assert_int_equal(symlink("pipe", in_folder("link")), 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", in_folder("socket"));
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);

    assert_int_equal(info_of("regular").kind, PLK_FILE_REGULAR);
    assert_int_equal(info_of("regular").size_bytes, 4);
    assert_int_equal(info_of("").kind, PLK_FILE_DIRECTORY);
    assert_int_equal(info_of("pipe").kind, PLK_FILE_PIPE);
    assert_int_equal(info_of("link").kind, PLK_FILE_PIPE);
    assert_int_equal(info_of("socket").kind, PLK_FILE_SOCKET);
    plk_file_info link, pipe = info_of("pipe");
    assert_int_equal(plk_link_info(in_folder("link"), &link), 0);
    assert_int_equal(link.kind, PLK_FILE_LINK);
    assert_false(plk_file_is_same(&link, &pipe));
    link = info_of("link");
    assert_true(plk_file_is_same(&link, &pipe));
    char text[5];
    size_t n = 0;
    assert_int_equal(plk_link_read(in_folder("link"), text, sizeof text, &n), 0);
    assert_int_equal(n, 4);
    assert_memory_equal(text, "pipe", 4);
    assert_int_equal(plk_link_read(in_folder("link"), text, 4, &n), ENAMETOOLONG);
    close(listener);
    static const char *const names[] = {"regular", "pipe", "link", "socket"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_int_equal(plk_file_remove(in_folder(names[i])), 0);
}

static void two_nodes_of_a_disk_are_one_file(void **state)
{
    (void)state;
    dev_t memory = makedev(1, 3), disk = makedev(7, 200);
    if (mknod(in_folder("null"), S_IFCHR | 0600, memory) != 0)
        skip();
    assert_int_equal(mknod(in_folder("disk"), S_IFBLK | 0600, disk), 0);
    assert_int_equal(mknod(in_folder("same-disk"), S_IFBLK | 0600, disk), 0);
    assert_int_equal(mknod(in_folder("other-disk"), S_IFBLK | 0600, makedev(7, 201)), 0);
    plk_file_info null = info_of("null"), one = info_of("disk"), same = info_of("same-disk"),
                  other = info_of("other-disk");
    assert_int_equal(null.kind, PLK_FILE_CHARACTERS);
    assert_int_equal(one.kind, PLK_FILE_BLOCKS);
    assert_true(plk_file_is_same(&one, &same));
    assert_false(plk_file_is_same(&one, &other));
    assert_false(plk_file_is_same(&one, &null));
    static const char *const names[] = {"null", "disk", "same-disk", "other-disk"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_int_equal(plk_file_remove(in_folder(names[i])), 0);
}

static void paths_know_their_directory_and_descriptor(void **state)
{
    (void)state;
    assert_int_equal(plk_path_directory_bytes("a"), 0);
    assert_int_equal(plk_path_directory_bytes("/a"), 1);
    assert_int_equal(plk_path_directory_bytes("a/b/"), 4);
    assert_int_equal(plk_path_descriptor("3"), -1);
    assert_int_equal(plk_path_descriptor(in_folder("3")), -1);
    if (access("/proc/self/fd", F_OK) == 0) {
        assert_int_equal(plk_path_descriptor("/proc/self/fd/3"), 3);
        assert_int_equal(plk_path_descriptor("/proc/self/../self/fd/12"), 12);
        assert_int_equal(plk_path_descriptor("/proc/self/fd/3x"), -1);
    }
    assert_int_equal(plk_path_check_writable(folder, true), 0);
    assert_int_equal(plk_path_check_writable(in_folder("nothing"), false), ENOENT);
}

/* Bytes. */

static void only_what_has_bytes_is_mapped(void **state)
{
    (void)state;
    static const char text[] = "some bytes of a file";
    size_t n = sizeof text - 1;
    plk_map map;
    int file = -1;
    put("mapped", text);
    assert_int_equal(plk_file_open(in_folder("mapped"), PLK_OPEN_READ, &file), 0);
    assert_int_equal(plk_map_open(&map, file, n), 0);
    assert_int_equal(plk_file_close(file), 0);
    assert_memory_equal(map.bytes, text, n);
    plk_map_drop(&map, 0, UINT64_MAX);
    plk_map_drop(&map, 1 << 20, 1);
    assert_memory_equal(map.bytes, text, n);
    assert_int_equal(plk_file_remove(in_folder("mapped")), 0);
    assert_memory_equal(map.bytes, text, n);
    plk_map_close(&map);
    assert_null(map.bytes);
    plk_map_close(&map);

    put("empty", "");
    assert_int_equal(plk_file_open(in_folder("empty"), PLK_OPEN_READ, &file), 0);
    assert_int_not_equal(plk_map_open(&map, file, 0), 0);
    assert_null(map.bytes);
    char byte = 'x';
    size_t n_read = 7;
    assert_int_equal(plk_file_read(file, &byte, 1, &n_read), 0);
    assert_int_equal(n_read, 0);
    assert_int_equal(plk_file_close(file), 0);
    assert_int_equal(plk_file_remove(in_folder("empty")), 0);

    /* A pipe says that it maps nothing: callers read it instead. */
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(plk_map_open(&map, ends[0], 1), ENOTSUP);
    close(ends[0]);
    close(ends[1]);
}

static void reads_at_an_offset_leave_the_descriptor_where_it_is(void **state)
{
    (void)state;
    char bytes[8] = "";
    size_t n = 0;
    int file = -1, copy = -1;
    put("digits", "0123456789");
    assert_int_equal(plk_file_open(in_folder("digits"), PLK_OPEN_READ, &file), 0);
    assert_int_equal(plk_file_read_at(file, 7, bytes, sizeof bytes, &n), 0);
    assert_int_equal(n, 3);
    assert_memory_equal(bytes, "789", 3);
    assert_int_equal(plk_file_read_at(file, 99, bytes, 1, &n), 0);
    assert_int_equal(n, 0);
    assert_int_equal(plk_file_read(file, bytes, 2, &n), 0);
    assert_memory_equal(bytes, "01", 2);
    assert_int_equal(plk_file_seek(file, 5), 0);
    assert_int_equal(plk_file_duplicate(file, &copy), 0);
    assert_int_equal(plk_file_close(file), 0);
    assert_int_equal(fcntl(copy, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(plk_file_read(copy, bytes, 1, &n), 0);
    assert_int_equal(bytes[0], '5');
    assert_int_equal(plk_file_close(copy), 0);
    assert_int_equal(plk_file_close(copy), EBADF);
    assert_int_equal(plk_file_remove(in_folder("digits")), 0);
}

typedef struct pipe_writer {
    const char *path;
    int code;
} pipe_writer;

static void write_late(void *argument)
{
    pipe_writer *w = argument;
    int file = -1;
    w->code = plk_file_open(w->path, PLK_OPEN_WRITE, &file);
    plk_sleep_ns(20000000);
    if (w->code == 0)
        w->code = plk_file_write(file, "late", 4);
    if (w->code == 0)
        w->code = plk_file_close(file);
}

/* Of a FIFO whose descriptor does not block. */
static void a_read_waits_for_the_first_byte(void **state)
{
    (void)state;
    char path[PATH_BYTES], bytes[8];
    size_t n = 0;
    plk_thread thread;
    assert_true(snprintf(path, sizeof path, "%s/fifo", folder) < PATH_BYTES);
    assert_int_equal(mkfifo(path, 0600), 0);
    pipe_writer writer = {path, -1};
    assert_int_equal(plk_thread_start(&thread, write_late, &writer, STACK_BYTES), 0);
    int file = -1;
    assert_int_equal(plk_file_open(path, PLK_OPEN_READ, &file), 0);
    assert_int_equal(fcntl(file, F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(plk_file_read(file, bytes, sizeof bytes, &n), 0);
    assert_int_equal(n, 4);
    assert_memory_equal(bytes, "late", 4);
    assert_int_equal(plk_file_read(file, bytes, sizeof bytes, &n), 0);
    assert_int_equal(n, 0);
    plk_thread_join(&thread);
    assert_int_equal(writer.code, 0);
    assert_int_equal(plk_file_close(file), 0);
    assert_int_equal(plk_file_remove(path), 0);
}

static void nothing_here_is_a_terminal(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_false(plk_is_terminal(ends[0]));
    assert_int_equal(plk_terminal_columns(ends[0]), 0);
    close(ends[0]);
    close(ends[1]);
}

/* A child without standard streams gets stand-ins that fail, and no file takes their numbers. */
static void closed_streams_are_reserved(void **state)
{
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        int argc = 0, file = -1;
        char **argv = NULL, byte = 0;
        size_t n = 0;
        close(PLK_STDIN);
        close(PLK_STDOUT);
        bool is_good = plk_program_start(&argc, &argv) &&
                       plk_file_open("/dev/null", PLK_OPEN_READ, &file) == 0 && file > PLK_STDERR &&
                       plk_file_read(PLK_STDIN, &byte, 1, &n) == EBADF &&
                       plk_file_write(PLK_STDOUT, "x", 1) == EBADF;
        plk_program_exit(is_good ? 0 : 1);
    }
    int result = -1;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_int_equal(result, 0);
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

/* Fails if a test has left anything. */
static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_are_cut_and_end),
        cmocka_unit_test(random_bytes_fill_all_that_is_asked_for),
        cmocka_unit_test(clocks_do_not_go_back),
        cmocka_unit_test(a_process_has_processors_and_a_number),
        cmocka_unit_test(two_threads_make_files_with_the_rights_of_the_umask),
        cmocka_unit_test(a_file_for_an_old_one_gets_its_mode),
        cmocka_unit_test(what_has_the_name_is_never_written_to),
        cmocka_unit_test(kinds_of_files_are_told_apart),
        cmocka_unit_test(two_nodes_of_a_disk_are_one_file),
        cmocka_unit_test(paths_know_their_directory_and_descriptor),
        cmocka_unit_test(only_what_has_bytes_is_mapped),
        cmocka_unit_test(reads_at_an_offset_leave_the_descriptor_where_it_is),
        cmocka_unit_test(a_read_waits_for_the_first_byte),
        cmocka_unit_test(nothing_here_is_a_terminal),
        cmocka_unit_test(closed_streams_are_reserved),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
