/* Where the system cannot say which pages are resident, all are taken to be. */
#include "support/page_allocator.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MAPPED_FROM_BYTES = 1 << 16, PAGES_AT_ONCE = 1024 };

static void *allocate(void *user, size_t size_bytes)
{
    page_allocator *a = user;
    bool is_mapped = size_bytes >= MAPPED_FROM_BYTES;
    if (a->n_pieces == PAGE_ALLOCATOR_PIECES)
        return NULL;
    void *memory = NULL;
    if (is_mapped) {
        memory = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        memory = memory == MAP_FAILED ? NULL : memory;
    } else {
        memory = malloc(size_bytes);
    }
    if (!memory)
        return NULL;
    a->pieces[a->n_pieces].memory = memory;
    a->pieces[a->n_pieces].size_bytes = size_bytes;
    a->pieces[a->n_pieces++].is_mapped = is_mapped;
    a->n_allocations++;
    a->n_bytes += size_bytes;
    return memory;
}

static void release(void *user, void *memory)
{
    page_allocator *a = user;
    for (size_t i = 0; i < a->n_pieces; i++) {
        if (a->pieces[i].memory != memory)
            continue;
        if (a->pieces[i].is_mapped)
            munmap(memory, a->pieces[i].size_bytes);
        else
            free(memory);
        a->pieces[i] = a->pieces[--a->n_pieces];
        return;
    }
}

void page_allocator_init(page_allocator *allocator)
{
    *allocator = (page_allocator){.interface = {allocate, release, allocator}};
}

static size_t resident_bytes(unsigned char *memory, size_t size_bytes)
{
#ifdef __linux__
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char resident[PAGES_AT_ONCE];
    size_t n = 0;
    for (size_t at = 0; at < size_bytes; at += page * PAGES_AT_ONCE) {
        size_t left = size_bytes - at;
        size_t length = left < page * PAGES_AT_ONCE ? left : page * PAGES_AT_ONCE;
        if (mincore(memory + at, length, resident) != 0)
            return size_bytes;
        for (size_t i = 0; i < (length + page - 1) / page; i++)
            n += resident[i] & 1;
    }
    return n * page;
#else
    (void)memory;
    return size_bytes;
#endif
}

size_t page_allocator_touched(const page_allocator *allocator)
{
    size_t n = 0;
    for (size_t i = 0; i < allocator->n_pieces; i++)
        n += allocator->pieces[i].is_mapped
                 ? resident_bytes(allocator->pieces[i].memory, allocator->pieces[i].size_bytes)
                 : allocator->pieces[i].size_bytes;
    return n;
}
