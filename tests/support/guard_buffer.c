/*
 * One anonymous mapping whose first and last page are made inaccessible.
 */
#include "support/guard_buffer.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

guard_buffer guard_buffer_create(size_t size_bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t inner = (size_bytes + page - 1) / page * page;
    size_t mapped = inner + 2 * page;
    unsigned char *base =
        mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED || mprotect(base, page, PROT_NONE) != 0 ||
        mprotect(base + page + inner, page, PROT_NONE) != 0) {
        perror("guard_buffer_create");
        exit(EXIT_FAILURE);
    }
    return (guard_buffer){base + page, base + page + inner, mapped};
}

void guard_buffer_destroy(guard_buffer *buffer)
{
    if (!buffer->begin)
        return;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    munmap(buffer->begin - page, buffer->mapped_bytes);
    *buffer = (guard_buffer){NULL, NULL, 0};
}

void *guard_buffer_tail(const guard_buffer *buffer, size_t size_bytes)
{
    assert(size_bytes <= (size_t)(buffer->end - buffer->begin));
    return buffer->end - size_bytes;
}
