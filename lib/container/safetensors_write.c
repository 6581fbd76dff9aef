/*
 * The header is put together in one buffer, whose size is bounded by what its pieces can take, and
 * padded with spaces so that the data begins at a multiple of 64 bytes: then a mapped matrix is
 * aligned. The new file is complete, and on the disk, before it takes the name of the old one.
 */
#include "container/safetensors_write.h"

#include "base/alloc.h"
#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    PREFIX_BYTES = 8,
    ALIGNMENT = 64,
    TENSOR_BYTES =
        PL_SAFETENSORS_NAME_BYTES + 192, /* of header text, five 64-bit numbers included */
    NOTE_EXTRA_BYTES = 8,
    FRAME_BYTES = 64,
    MAX_ATTEMPTS = 100,
    PATH_EXTRA_BYTES = 16
};

typedef struct text_buffer {
    char *text;
    size_t size, capacity;
} text_buffer;

PL_PRINTF(2, 3) static void append(text_buffer *buffer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const size_t room = buffer->capacity - buffer->size;
    const int n = vsnprintf(buffer->text + buffer->size, room, format, arguments);
    va_end(arguments);
    buffer->size += n > 0 && (size_t)n < room ? (size_t)n : 0;
}

/* The prefix and the header. */
static void make_header(text_buffer *buffer, const pl_safetensors_note *notes, size_t n_notes,
                        const pl_safetensors_tensor *tensors, size_t n_tensors)
{
    uint64_t at = 0;
    buffer->size = PREFIX_BYTES;
    append(buffer, "{\"__metadata__\":{");
    for (size_t i = 0; i < n_notes; i++)
        append(buffer, "%s\"%s\":\"%s\"", i ? "," : "", notes[i].key, notes[i].value);
    append(buffer, "}");
    for (size_t i = 0; i < n_tensors; i++) {
        const pl_safetensors_tensor *tensor = &tensors[i];
        append(buffer, ",\"%s\":{\"dtype\":\"%s\",\"shape\":[", tensor->name, tensor->dtype);
        for (uint32_t axis = 0; axis < tensor->n_axes; axis++)
            append(buffer, "%s%" PRIu64, axis ? "," : "", tensor->axes[axis]);
        append(buffer, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", at,
               at + tensor->size_bytes);
        at += tensor->size_bytes;
    }
    append(buffer, "}");
    while (buffer->size % ALIGNMENT)
        append(buffer, " ");
    const uint64_t length = buffer->size - PREFIX_BYTES;
    for (unsigned i = 0; i < PREFIX_BYTES; i++)
        buffer->text[i] = (char)(unsigned char)(length >> (8 * i));
}

static pluck_status fail_system(const char *path, const char *what, pluck_error *err)
{
    char reason[128];
    if (strerror_r(errno, reason, sizeof reason) != 0)
        reason[0] = '\0';
    return pl_fail(err, PLUCK_ERR_IO, "%s: %s: %s", path, what, reason);
}

/* A new file beside path, whose name is put into *beside. */
static int create_beside(const char *path, char *beside, size_t capacity)
{
    int fd = -1;
    for (int i = 0; fd < 0 && i < MAX_ATTEMPTS; i++) {
        (void)snprintf(beside, capacity, "%s.new%d", path, i);
        fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd < 0 && errno != EEXIST)
            break;
    }
    return fd;
}

static bool write_all(int fd, const void *bytes, size_t n)
{
    const size_t most = (size_t)1 << 30;
    const char *at = bytes;
    while (n > 0) {
        const ssize_t written = write(fd, at, n < most ? n : most);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return false;
        at += written;
        n -= (size_t)written;
    }
    return true;
}

static bool write_file(int fd, const text_buffer *header, const pl_safetensors_tensor *tensors,
                       size_t n_tensors)
{
    bool written = write_all(fd, header->text, header->size);
    for (size_t i = 0; i < n_tensors && written; i++)
        written = write_all(fd, tensors[i].data, tensors[i].size_bytes);
    return written && fsync(fd) == 0;
}

static pluck_status write_and_rename(const char *path, char *beside, size_t beside_bytes,
                                     const text_buffer *header,
                                     const pl_safetensors_tensor *tensors, size_t n_tensors,
                                     pluck_error *err)
{
    const int fd = create_beside(path, beside, beside_bytes);
    if (fd < 0)
        return fail_system(path, "cannot be created", err);
    pluck_status status = PLUCK_OK;
    if (!write_file(fd, header, tensors, n_tensors))
        status = fail_system(path, "cannot be written", err);
    if (close(fd) != 0 && status == PLUCK_OK)
        status = fail_system(path, "cannot be written", err);
    if (status == PLUCK_OK && rename(beside, path) != 0)
        status = fail_system(path, "cannot be replaced", err);
    if (status)
        (void)unlink(beside);
    return status;
}

pluck_status pl_safetensors_write(const char *path, const pl_safetensors_note *notes,
                                  size_t n_notes, const pl_safetensors_tensor *tensors,
                                  size_t n_tensors, const pluck_allocator *allocator,
                                  pluck_error *err)
{
    text_buffer header = {.capacity = PREFIX_BYTES + FRAME_BYTES + ALIGNMENT};
    header.capacity += n_tensors * TENSOR_BYTES;
    for (size_t i = 0; i < n_notes; i++)
        header.capacity += strlen(notes[i].key) + strlen(notes[i].value) + NOTE_EXTRA_BYTES;
    const size_t beside_bytes = strlen(path) + PATH_EXTRA_BYTES;
    char *beside = pl_alloc(allocator, beside_bytes, 1);
    header.text = pl_alloc(allocator, header.capacity, 1);
    pluck_status status = PLUCK_OK;
    if (!beside || !header.text) {
        status = pl_fail_nomem(err, header.capacity);
    } else {
        make_header(&header, notes, n_notes, tensors, n_tensors);
        status = write_and_rename(path, beside, beside_bytes, &header, tensors, n_tensors, err);
    }
    pl_free(allocator, beside);
    pl_free(allocator, header.text);
    return status;
}
