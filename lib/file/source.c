/*
 * Mapped files in constant memory. A mapping costs nothing to open, but its pages stay resident
 * once they are read, until the system is short of memory. So the file is seen as steps of 1 MiB,
 * and a ring remembers the 32 steps that were entered last; a step that falls out of the ring is
 * dropped. Dropping is never wrong: the mapping is read-only, so a
 * dropped page that is read again comes back from the page cache. That makes the ring safe to share
 * between threads with relaxed atomics: a race costs at most a page fault. What remains of dropped
 * pages is their share of the kernel's page tables, 1/512 of what was read.
 *
 * Reads of a Fortran-order file touch pages all over it; there the ring would drop them one at a
 * time, so those reads are only counted, and everything is dropped after each 512 MiB of pages.
 */
#include "file/file.h"

#include "base/alloc.h"
#include "base/error.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* What the kernel maps around a page that is read (fault_around_bytes of Linux). */
enum { FAULT_AROUND_BYTES = 1 << 16 };

enum { MEMORY_STREAM_STEP_BYTES = 7, SKIP_BYTES = 1 << 14, FIRST_LOAD_BYTES = 1 << 16 };

static const char ellipsis[] = "...";

/* A long path is known by its end. */
static void set_label(plk_source *source, const char *path)
{
    size_t length = strlen(path);
    if (length < sizeof source->label) {
        memcpy(source->label, path, length + 1);
        return;
    }
    const char *tail = path + length - (sizeof source->label - sizeof ellipsis);
    while (((unsigned char)*tail & 0xC0u) == 0x80u)
        tail++;
    memcpy(source->label, ellipsis, sizeof ellipsis - 1);
    memcpy(source->label + sizeof ellipsis - 1, tail, strlen(tail) + 1);
}

static void clear(plk_source *source, const char *label, const pluck_allocator *allocator)
{
    memset(source, 0, sizeof *source);
    set_label(source, label);
    source->allocator = *allocator;
    source->fd = -1;
}

static pluck_status fail_system(const plk_source *source, const char *what, int code,
                                pluck_error *err)
{
    return plk_fail_system(source->label, what, code, err);
}

static pluck_status read_all(plk_source *source, uint8_t *to, size_t size_bytes, size_t *n_read,
                             pluck_error *err);

static pluck_status read_file(plk_source *source, int fd, size_t size_bytes, pluck_error *err)
{
    size_t n_read = 0;
    source->head = plk_alloc(&source->allocator, size_bytes, 1);
    if (!source->head)
        return plk_fail_nomem(err, size_bytes);
    source->fd = fd;
    pluck_status status = read_all(source, source->head, size_bytes, &n_read, err);
    source->fd = -1;
    if (status == PLUCK_OK && n_read < size_bytes)
        status = plk_fail(err, PLUCK_ERR_IO, "%s: became shorter while it was read", source->label);
    if (status != PLUCK_OK) {
        plk_free(&source->allocator, source->head);
        source->head = NULL;
        return status;
    }
    source->bytes = source->head;
    source->size_bytes = size_bytes;
    return PLUCK_OK;
}

static pluck_status take_file(plk_source *source, int fd, uint64_t size_bytes, bool no_map,
                              pluck_error *err)
{
    if (size_bytes == 0)
        return plk_fail(err, PLUCK_ERR_FORMAT, "%s: is empty", source->label);
    if (size_bytes > PTRDIFF_MAX)
        return plk_fail(err, PLUCK_ERR_IO, "%s: %llu bytes do not fit into the address space",
                        source->label, (unsigned long long)size_bytes);
    int code = no_map ? ENOTSUP : plk_map_open(&source->map, fd, (size_t)size_bytes);
    if (code == ENOTSUP)
        return read_file(source, fd, (size_t)size_bytes, err);
    if (code != 0)
        return fail_system(source, "cannot be mapped", code, err);
    source->bytes = source->map.bytes;
    source->size_bytes = size_bytes;
    return PLUCK_OK;
}

pluck_status plk_source_open(plk_source *source, const char *path, bool no_map,
                             const pluck_allocator *allocator, pluck_error *err)
{
    bool is_stdin = strcmp(path, "-") == 0;
    clear(source, is_stdin ? "standard input" : path, allocator);
    int fd = PLK_STDIN;
    int code = is_stdin ? 0 : plk_file_open(path, PLK_OPEN_READ, &fd);
    if (code != 0)
        return fail_system(source, "cannot be opened", code, err);

    pluck_status status = PLUCK_OK;
    bool keep_fd = false;
    plk_file_info info;
    code = plk_descriptor_info(fd, &info);
    if (code != 0) {
        status = fail_system(source, "cannot be opened", code, err);
    } else if (info.kind == PLK_FILE_DIRECTORY) {
        status = plk_fail(err, PLUCK_ERR_IO, "%s: is a directory", source->label);
    } else if (info.kind == PLK_FILE_REGULAR && !is_stdin) {
        status = take_file(source, fd, info.size_bytes, no_map, err);
    } else {
        source->streamed = true;
        source->size_bytes = UINT64_MAX;
        source->fd = fd;
        source->owns_fd = !is_stdin;
        keep_fd = true;
    }
    if (!keep_fd && !is_stdin)
        (void)plk_file_close(fd);
    return status;
}

void plk_source_open_memory(plk_source *source, const char *label, const void *bytes,
                            size_t size_bytes, bool streamed, const pluck_allocator *allocator)
{
    clear(source, label, allocator);
    source->streamed = streamed;
    if (streamed) {
        source->memory = bytes;
        source->memory_size_bytes = size_bytes;
        source->size_bytes = UINT64_MAX;
    } else {
        source->bytes = bytes;
        source->size_bytes = size_bytes;
    }
}

void plk_source_open_pull(plk_source *source, const char *label, plk_source_pull pull, void *user,
                          const pluck_allocator *allocator)
{
    clear(source, label, allocator);
    source->streamed = true;
    source->size_bytes = UINT64_MAX;
    source->pull = pull;
    source->pull_user = user;
}

void plk_source_close(plk_source *source)
{
    plk_map_close(&source->map);
    if (source->owns_fd)
        (void)plk_file_close(source->fd);
    plk_free(&source->allocator, source->head);
    plk_free(&source->allocator, source->loaded);
    source->loaded = NULL;
    source->bytes = NULL;
    source->head = NULL;
    source->owns_fd = false;
    source->fd = -1;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* What a stream in memory gives at a time. */
static size_t read_memory(plk_source *source, uint8_t *to, size_t size_bytes)
{
    size_t left = source->memory_size_bytes - source->memory_used_bytes;
    size_t n = smaller(smaller(left, size_bytes), MEMORY_STREAM_STEP_BYTES);
    if (n > 0)
        memcpy(to, source->memory + source->memory_used_bytes, n);
    source->memory_used_bytes += n;
    return n;
}

/* At least one byte, or none at the end. */
static pluck_status read_some(plk_source *source, uint8_t *to, size_t size_bytes, size_t *n_read,
                              pluck_error *err)
{
    *n_read = 0;
    if (source->pull)
        return source->pull(source->pull_user, to, size_bytes, n_read, err);
    if (source->fd < 0) {
        *n_read = read_memory(source, to, size_bytes);
        return PLUCK_OK;
    }
    int code = plk_file_read(source->fd, to, size_bytes, n_read);
    return code == 0 ? PLUCK_OK : fail_system(source, "cannot be read", code, err);
}

static pluck_status read_all(plk_source *source, uint8_t *to, size_t size_bytes, size_t *n_read,
                             pluck_error *err)
{
    *n_read = 0;
    while (*n_read < size_bytes) {
        size_t n = 0;
        pluck_status status = read_some(source, to + *n_read, size_bytes - *n_read, &n, err);
        *n_read += n;
        if (status != PLUCK_OK || n == 0)
            return status;
    }
    return PLUCK_OK;
}

/* Room for more bytes that were peeked at. */
static pluck_status grow_head(plk_source *source, size_t capacity, pluck_error *err)
{
    uint8_t *head = plk_alloc(&source->allocator, capacity, 1);
    if (!head)
        return plk_fail_nomem(err, capacity);
    if (source->head_size_bytes > 0)
        memcpy(head, source->head, source->head_size_bytes);
    plk_free(&source->allocator, source->head);
    source->head = head;
    source->head_capacity_bytes = capacity;
    return PLUCK_OK;
}

pluck_status plk_source_peek(plk_source *source, size_t size_bytes, const uint8_t **bytes,
                             size_t *available, pluck_error *err)
{
    if (!source->streamed) {
        *bytes = source->bytes;
        *available = source->size_bytes < size_bytes ? (size_t)source->size_bytes : size_bytes;
        return PLUCK_OK;
    }
    assert(source->head_used_bytes == 0);
    if (source->head_size_bytes < size_bytes) {
        pluck_status status = PLUCK_OK;
        if (source->head_capacity_bytes < size_bytes)
            status = grow_head(source, size_bytes, err);
        if (status != PLUCK_OK)
            return status;
        size_t n_read = 0;
        status = read_all(source, source->head + source->head_size_bytes,
                          size_bytes - source->head_size_bytes, &n_read, err);
        source->head_size_bytes += n_read;
        if (status != PLUCK_OK)
            return status;
    }
    *bytes = source->head;
    *available = smaller(source->head_size_bytes, size_bytes);
    return PLUCK_OK;
}

/* Takes from the bytes that were peeked at; returns how many. */
static size_t read_head(plk_source *source, uint8_t *to, size_t size_bytes)
{
    size_t n = smaller(source->head_size_bytes - source->head_used_bytes, size_bytes);
    if (n > 0 && to)
        memcpy(to, source->head + source->head_used_bytes, n);
    source->head_used_bytes += n;
    return n;
}

pluck_status plk_source_read(plk_source *source, void *to, size_t size_bytes, size_t *n_read,
                             pluck_error *err)
{
    assert(source->streamed);
    *n_read = read_head(source, to, size_bytes);
    if (*n_read == size_bytes)
        return PLUCK_OK;
    if (to) {
        size_t rest = 0;
        pluck_status status =
            read_all(source, (uint8_t *)to + *n_read, size_bytes - *n_read, &rest, err);
        *n_read += rest;
        return status;
    }
    uint8_t skipped[SKIP_BYTES];
    while (*n_read < size_bytes) {
        size_t wanted = smaller(size_bytes - *n_read, sizeof skipped), n = 0;
        pluck_status status = read_all(source, skipped, wanted, &n, err);
        *n_read += n;
        if (status != PLUCK_OK || n < wanted)
            return status;
    }
    return PLUCK_OK;
}

pluck_status plk_source_read_some(plk_source *source, void *to, size_t size_bytes, size_t *n_read,
                                  pluck_error *err)
{
    assert(source->streamed);
    *n_read = read_head(source, to, size_bytes);
    return *n_read > 0 ? PLUCK_OK : read_some(source, to, size_bytes, n_read, err);
}

/* plk_source_peek_more() of at most most_bytes, which have not all been peeked at. */
static pluck_status peek_more(plk_source *source, size_t most_bytes, bool *ended, pluck_error *err)
{
    assert(source->streamed && source->head_used_bytes == 0);
    if (source->head_size_bytes == source->head_capacity_bytes) {
        size_t capacity = source->head_capacity_bytes;
        capacity = capacity < FIRST_LOAD_BYTES ? FIRST_LOAD_BYTES : 2 * capacity;
        pluck_status status = grow_head(source, smaller(capacity, most_bytes), err);
        if (status != PLUCK_OK)
            return status;
    }
    size_t n = 0;
    pluck_status status = read_some(source, source->head + source->head_size_bytes,
                                    source->head_capacity_bytes - source->head_size_bytes, &n, err);
    source->head_size_bytes += n;
    *ended = status == PLUCK_OK && n == 0;
    return status;
}

pluck_status plk_source_peek_more(plk_source *source, const uint8_t **bytes, size_t *available,
                                  bool *ended, pluck_error *err)
{
    pluck_status status = peek_more(source, SIZE_MAX, ended, err);
    *bytes = source->head;
    *available = source->head_size_bytes;
    return status;
}

pluck_status plk_source_load(plk_source *source, size_t limit_bytes, pluck_error *err)
{
    bool ended = !source->streamed;
    if (ended)
        return PLUCK_OK;
    while (!ended) {
        pluck_status status = peek_more(source, limit_bytes + 1, &ended, err);
        if (status != PLUCK_OK)
            return status;
        if (source->head_size_bytes > limit_bytes)
            return plk_fail(
                err, PLUCK_ERR_FORMAT,
                "%s: has more than %zu bytes, which is too much for memory; store it as "
                "a file that is not packed",
                source->label, limit_bytes);
    }
    if (source->head_size_bytes == 0)
        return plk_fail(err, PLUCK_ERR_FORMAT, "%s: is empty", source->label);
    source->loaded = source->head;
    source->bytes = source->head;
    source->size_bytes = source->head_size_bytes;
    source->streamed = false;
    source->head = NULL;
    source->head_size_bytes = source->head_capacity_bytes = 0;
    return PLUCK_OK;
}

void plk_source_take_loaded(plk_source *source, plk_source *loaded)
{
    plk_source_close(source);
    source->loaded = loaded->loaded;
    source->bytes = loaded->bytes;
    source->size_bytes = loaded->size_bytes;
    source->streamed = false;
    source->head_size_bytes = source->head_used_bytes = source->head_capacity_bytes = 0;
    loaded->loaded = NULL;
    loaded->bytes = NULL;
}

static void keep_step(plk_source *source, uint64_t step)
{
    uint64_t tag = step + 1;
    for (size_t i = 0; i < PLK_SOURCE_N_STEPS; i++)
        if (atomic_load_explicit(&source->kept[i], memory_order_relaxed) == tag)
            return;
    uint32_t slot = atomic_fetch_add_explicit(&source->next_kept, 1, memory_order_relaxed);
    uint64_t old = atomic_exchange_explicit(&source->kept[slot % PLK_SOURCE_N_STEPS], tag,
                                            memory_order_relaxed);
    if (old != 0 && old != tag)
        plk_map_drop(&source->map, (old - 1) * PLK_SOURCE_STEP_BYTES, PLK_SOURCE_STEP_BYTES);
}

const uint8_t *plk_source_at(plk_source *source, uint64_t offset_bytes, size_t size_bytes)
{
    assert(!source->streamed && size_bytes > 0 && offset_bytes <= source->size_bytes &&
           size_bytes <= source->size_bytes - offset_bytes);
    if (source->map.bytes &&
        source->size_bytes > (uint64_t)PLK_SOURCE_STEP_BYTES * PLK_SOURCE_N_STEPS) {
        uint64_t last = (offset_bytes + size_bytes - 1) / PLK_SOURCE_STEP_BYTES;
        for (uint64_t step = offset_bytes / PLK_SOURCE_STEP_BYTES; step <= last; step++)
            keep_step(source, step);
    }
    return source->bytes + offset_bytes;
}

void plk_source_drop(plk_source *source)
{
    if (source->map.bytes)
        plk_map_drop(&source->map, 0, source->size_bytes);
}

void plk_source_scattered(plk_source *source, uint64_t n_reads, uint64_t stride_bytes)
{
    if (!source->map.bytes || source->size_bytes <= PLK_SOURCE_SCATTERED_BYTES)
        return;
    uint64_t each = stride_bytes < FAULT_AROUND_BYTES ? stride_bytes : FAULT_AROUND_BYTES;
    uint64_t before =
        atomic_fetch_add_explicit(&source->scattered_bytes, n_reads * each, memory_order_relaxed);
    if (before / PLK_SOURCE_SCATTERED_BYTES !=
        (before + n_reads * each) / PLK_SOURCE_SCATTERED_BYTES)
        plk_map_drop(&source->map, 0, source->size_bytes);
}

void plk_source_release(plk_source *source, uint64_t offset_bytes)
{
    if (!source->map.bytes)
        return;
    uint64_t end = offset_bytes / PLK_SOURCE_STEP_BYTES * PLK_SOURCE_STEP_BYTES;
    uint64_t begin = atomic_load_explicit(&source->released_bytes, memory_order_relaxed);
    while (begin < end) {
        if (atomic_compare_exchange_weak_explicit(&source->released_bytes, &begin, end,
                                                  memory_order_relaxed, memory_order_relaxed)) {
            plk_map_drop(&source->map, begin, end - begin);
            return;
        }
    }
}
