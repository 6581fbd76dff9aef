/*
 * The header is put together in one buffer, whose size is bounded by what its pieces can take, and
 * padded with spaces so that the data begins at a multiple of 64 bytes: then a mapped matrix is
 * aligned.
 */
#include "file/safetensors_write.h"

#include "base/alloc.h"
#include "base/error.h"
#include "file/file.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum {
    PREFIX_BYTES = 8,
    ALIGNMENT = 64,
    TENSOR_BYTES =
        PLK_SAFETENSORS_NAME_BYTES + 192, /* of header text, five 64-bit numbers included */
    NOTE_EXTRA_BYTES = 8,
    FRAME_BYTES = 64
};

typedef struct text_buffer {
    char *text;
    size_t size, capacity;
} text_buffer;

PLK_PRINTF(2, 3) static void append(text_buffer *buffer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    size_t room = buffer->capacity - buffer->size;
    int n = vsnprintf(buffer->text + buffer->size, room, format, arguments);
    va_end(arguments);
    buffer->size += n > 0 && (size_t)n < room ? (size_t)n : 0;
}

/* The prefix and the header. */
static void make_header(text_buffer *buffer, const plk_safetensors_note *notes, size_t n_notes,
                        const plk_safetensors_tensor *tensors, size_t n_tensors)
{
    uint64_t at = 0;
    buffer->size = PREFIX_BYTES;
    append(buffer, "{\"__metadata__\":{");
    for (size_t i = 0; i < n_notes; i++)
        append(buffer, "%s\"%s\":\"%s\"", i != 0 ? "," : "", notes[i].key, notes[i].value);
    append(buffer, "}");
    for (size_t i = 0; i < n_tensors; i++) {
        const plk_safetensors_tensor *tensor = &tensors[i];
        append(buffer, ",\"%s\":{\"dtype\":\"%s\",\"shape\":[", tensor->name, tensor->dtype);
        for (uint32_t axis = 0; axis < tensor->n_axes; axis++)
            append(buffer, "%s%llu", axis != 0 ? "," : "", (unsigned long long)tensor->axes[axis]);
        append(buffer, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)at,
               (unsigned long long)(at + tensor->size_bytes));
        at += tensor->size_bytes;
    }
    append(buffer, "}");
    while (buffer->size % ALIGNMENT)
        append(buffer, " ");
    uint64_t length = buffer->size - PREFIX_BYTES;
    for (unsigned i = 0; i < PREFIX_BYTES; i++)
        buffer->text[i] = (char)(unsigned char)(length >> (8 * i));
}

pluck_status plk_safetensors_write(const char *path, const plk_safetensors_note *notes,
                                   size_t n_notes, const plk_safetensors_tensor *tensors,
                                   size_t n_tensors, const pluck_allocator *allocator,
                                   pluck_error *err)
{
    text_buffer header = {.capacity = PREFIX_BYTES + FRAME_BYTES + ALIGNMENT};
    header.capacity += n_tensors * TENSOR_BYTES;
    for (size_t i = 0; i < n_notes; i++)
        header.capacity += strlen(notes[i].key) + strlen(notes[i].value) + NOTE_EXTRA_BYTES;
    header.text = plk_alloc(allocator, header.capacity, 1);
    if (!header.text)
        return plk_fail_nomem(err, header.capacity);
    make_header(&header, notes, n_notes, tensors, n_tensors);
    plk_new_file file;
    pluck_status status = plk_new_file_open(&file, path, allocator, err);
    if (status == PLUCK_OK) {
        status = plk_new_file_write(&file, header.text, header.size, err);
        for (size_t i = 0; i < n_tensors && status == PLUCK_OK; i++)
            status = plk_new_file_write(&file, tensors[i].data, tensors[i].size_bytes, err);
        if (status == PLUCK_OK)
            status = plk_new_file_finish(&file, err);
        plk_new_file_close(&file);
    }
    plk_free(allocator, header.text);
    return status;
}
