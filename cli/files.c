/* Grows a buffer by doubling, so that pipes work as well as files. */
#include "files.h"
#include "message.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Makes room for at least one more byte and the NUL. */
static int grow(const char *who, char **text, size_t n, size_t *capacity)
{
    if (n + 1 < *capacity)
        return EXIT_DONE;
    size_t wanted = *capacity == 0 ? 16384 : *capacity * 2;
    char *larger = realloc(*text, wanted);
    if (!larger)
        return complain_memory(who);
    *text = larger;
    *capacity = wanted;
    return EXIT_DONE;
}

static int read_all(const char *who, const char *name, int fd, size_t limit, char **text, size_t *n)
{
    size_t capacity = 0;
    for (;;) {
        int code = grow(who, text, *n, &capacity);
        if (code != EXIT_DONE)
            return code;
        ssize_t got = read(fd, *text + *n, capacity - *n - 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return complain(who, EXIT_SYSTEM, "%s: %s", name, strerror(errno));
        *n += (size_t)got;
        if (*n > limit)
            return complain(who, EXIT_DATA, "%s: is larger than %zu bytes", name, limit);
        if (got == 0) {
            (*text)[*n] = '\0';
            return EXIT_DONE;
        }
    }
}

int read_file(const char *who, const char *path, size_t limit, char **text, size_t *n)
{
    bool is_stdin = strcmp(path, "-") == 0;
    int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY);
    *text = NULL;
    *n = 0;
    if (fd < 0)
        return complain(who, EXIT_SYSTEM, "%s: %s", path, strerror(errno));
    int code = read_all(who, is_stdin ? "standard input" : path, fd, limit, text, n);
    if (!is_stdin)
        close(fd);
    if (code != EXIT_DONE) {
        free(*text);
        *text = NULL;
    }
    return code;
}
