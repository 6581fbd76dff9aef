/*
 * One anonymous mapping whose first and last page are made inaccessible.
 */
#include "support/guard_buffer.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef _WIN32
#    include <windows.h>

static size_t page_bytes(void)
{
    SYSTEM_INFO info;
    GetSystemInfo(&info);
    return info.dwPageSize;
}

static unsigned char *map_pages(size_t n_bytes)
{
    return VirtualAlloc(NULL, n_bytes, MEM_COMMIT | MEM_RESERVE, PAGE_READWRITE);
}

static bool forbid_page(unsigned char *page)
{
    DWORD before = 0;
    return VirtualProtect(page, page_bytes(), PAGE_NOACCESS, &before) != 0;
}

static void unmap_pages(unsigned char *base, size_t n_bytes)
{
    (void)n_bytes;
    VirtualFree(base, 0, MEM_RELEASE);
}
#else
#    include <sys/mman.h>
#    include <unistd.h>

static size_t page_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static unsigned char *map_pages(size_t n_bytes)
{
    void *base = mmap(NULL, n_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return base != MAP_FAILED ? base : NULL;
}

static bool forbid_page(unsigned char *page)
{
    return mprotect(page, page_bytes(), PROT_NONE) == 0;
}

static void unmap_pages(unsigned char *base, size_t n_bytes)
{
    munmap(base, n_bytes);
}
#endif

guard_buffer guard_buffer_create(size_t size_bytes)
{
    size_t page = page_bytes();
    size_t inner = (size_bytes + page - 1) / page * page;
    size_t mapped = inner + 2 * page;
    unsigned char *base = map_pages(mapped);
    if (!base || !forbid_page(base) || !forbid_page(base + page + inner)) {
        fprintf(stderr, "guard_buffer_create: no memory\n");
        exit(EXIT_FAILURE);
    }
    return (guard_buffer){base + page, base + page + inner, mapped};
}

void guard_buffer_destroy(guard_buffer *buffer)
{
    if (!buffer->begin)
        return;
    unmap_pages(buffer->begin - page_bytes(), buffer->mapped_bytes);
    *buffer = (guard_buffer){NULL, NULL, 0};
}

void *guard_buffer_tail(const guard_buffer *buffer, size_t size_bytes)
{
    assert(size_bytes <= (size_t)(buffer->end - buffer->begin));
    return buffer->end - size_bytes;
}
