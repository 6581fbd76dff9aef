/*
 * The pickle in a file of torch.save(): which tensors it names, and where their values are.
 *
 * A pickle is a program for a stack machine (Python, Lib/pickletools.py). What torch.save() writes
 * for tensors in dicts, lists and tuples uses a small part of it; of what it calls, only the
 * functions that rebuild a tensor and OrderedDict are known, and these are not called but noted.
 * Nothing is executed, and every other call is refused by its name.
 */
#ifndef PLK_TORCH_PICKLE_H
#define PLK_TORCH_PICKLE_H

#include <pluck/base.h>

#include "file/shape.h"

typedef struct plk_torch_tensor {
    char *name; /* "logits", "scores.0"; "tensor" for one that stands alone */
    const char
        *storage; /* the class of its storage, "FloatStorage"; in the pickle, not terminated */
    size_t storage_length;
    const char *key; /* the storage: member data/KEY of the file; the same */
    size_t key_length;
    uint64_t offset; /* of the first value, in values */
    plk_shape shape;
    bool is_contiguous; /* in C order, without gaps */
} plk_torch_tensor;

typedef struct plk_torch_tensors {
    plk_torch_tensor *items;
    size_t n, capacity;
    pluck_allocator allocator;
} plk_torch_tensors;

/* Reads the pickle, whose bytes must outlive tensors. On failure tensors holds nothing. */
pluck_status plk_torch_pickle_read(plk_torch_tensors *tensors, const uint8_t *bytes,
                                   size_t size_bytes, const char *where,
                                   const pluck_allocator *allocator, pluck_error *err);

void plk_torch_tensors_free(plk_torch_tensors *tensors);

#endif
