/* One anonymous file for the whole run: making a file takes longer than most inputs. */
#define _GNU_SOURCE
#include "fuzz_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

void fuzz_file(const uint8_t *data, size_t size, char path[FUZZ_PATH_BYTES])
{
    static int fd = -1;
    if (fd < 0)
        fd = memfd_create("fuzzed", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, 0) != 0 || pwrite(fd, data, size, 0) != (ssize_t)size) {
        perror("fuzz_file");
        abort();
    }
    (void)snprintf(path, FUZZ_PATH_BYTES, "/proc/self/fd/%d", fd);
}

void fuzz_require(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "violated: %s\n", what);
    abort();
}
