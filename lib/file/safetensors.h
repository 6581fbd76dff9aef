/*
 * .safetensors files: reading the header, which says where each tensor is, and writing.
 *
 * Byte by byte (Hugging Face, "safetensors format"): the length n of the header (8 bytes,
 * little-endian); n bytes of JSON, {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets":
 * [begin, end]}, ..., "__metadata__": {"key": "value", ...}}, which may be padded with spaces; then
 * the data, where the offsets count from. The tensors cover the data without gap or overlap.
 */
#ifndef PLK_SAFETENSORS_H
#define PLK_SAFETENSORS_H

#include "file/array_file.h"
#include "json/tree.h"

#include <pluck/base.h>

enum {
    PLK_SAFETENSORS_PREFIX_BYTES = 8,
    PLK_SAFETENSORS_MAX_HEADER_BYTES = 100 * 1000 * 1000, /* the limit of the format */
    PLK_SAFETENSORS_MAX_VALUES = 1 << 20 /* JSON values: what a hostile header costs in memory */
};

typedef struct plk_safetensors_entry {
    const char *name;
    const char *dtype;
    const plk_json_node *shape;
    size_t n_axes;
    uint64_t begin, end; /* bytes from the beginning of the data */
} plk_safetensors_entry;

typedef struct plk_safetensors_header {
    plk_json json; /* owns the strings of the entries; its text is not kept */
    plk_safetensors_entry *entries;
    size_t n_entries;
    uint64_t data_size_bytes; /* the data is the end of the file */
} plk_safetensors_header;

/* Whether a file that begins so may be one: a length below 4 GiB and an opening brace. */
bool plk_safetensors_has_prefix(const uint8_t *bytes, size_t size_bytes);

/* Reads and checks all of it; bytes is the whole file. Entries come in the order of their names. On
 * failure nothing is held. */
pluck_status plk_safetensors_header_parse(plk_safetensors_header *header, const uint8_t *bytes,
                                          uint64_t size_bytes, const char *where,
                                          const pluck_allocator *allocator, pluck_error *err);

void plk_safetensors_header_free(plk_safetensors_header *header, const pluck_allocator *allocator);

/* Whether the dtype of the entry can be read, and as what. */
bool plk_safetensors_type(const plk_safetensors_entry *entry, plk_stored_type *type);

/* The shape of an entry that has been checked. */
void plk_safetensors_shape(const plk_safetensors_entry *entry, plk_shape *shape);

/* What "__metadata__" says under this key; NULL if nothing. */
const char *plk_safetensors_read_note(const plk_safetensors_header *header, const char *key);
bool plk_safetensors_note_is(const plk_safetensors_header *header, const char *key,
                             const char *value);

/* Where the values of an entry are, in the file that the header is of. */
const uint8_t *plk_safetensors_data(const plk_safetensors_header *header, const plk_source *source,
                                    const plk_safetensors_entry *entry);

/* Writing. */
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
 * leads, and when the file appears, file.h says. */
pluck_status plk_safetensors_write(const char *path, const plk_safetensors_note *notes,
                                   size_t n_notes, const plk_safetensors_tensor *tensors,
                                   size_t n_tensors, const pluck_allocator *allocator,
                                   pluck_error *err);

#endif
