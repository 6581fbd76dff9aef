/*
 * Writing .safetensors files, whose layout safetensors_header.h describes.
 */
#ifndef PLK_SAFETENSORS_WRITE_H
#define PLK_SAFETENSORS_WRITE_H

#include <pluck/base.h>

enum { PLK_SAFETENSORS_NAME_BYTES = 48 };

/* A tensor of up to two axes. Names and dtypes are plain ASCII without quotes. */
typedef struct plk_safetensors_tensor {
    char name[PLK_SAFETENSORS_NAME_BYTES];
    const char *dtype; /* a name of the format: "F32", "I32" */
    uint32_t n_axes;
    uint64_t axes[2];
    const void *data; /* little-endian, one row after the other */
    size_t size_bytes;
} plk_safetensors_tensor;

/* A key and a value of "__metadata__"; plain ASCII without quotes. */
typedef struct plk_safetensors_note {
    const char *key, *value;
} plk_safetensors_note;

/* Writes the tensors in this order, the first one at a multiple of 64 bytes. Where path
 * leads, and when the file appears, new_file.h says. */
pluck_status plk_safetensors_write(const char *path, const plk_safetensors_note *notes,
                                   size_t n_notes, const plk_safetensors_tensor *tensors,
                                   size_t n_tensors, const pluck_allocator *allocator,
                                   pluck_error *err);

#endif
