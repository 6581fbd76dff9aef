/*
 * The bytes of a member of a ZIP file, unpacked from front to back, in memory that does not depend
 * on its size.
 */
#ifndef PLK_ZIP_STREAM_H
#define PLK_ZIP_STREAM_H

#include <pluck/base.h>

#include "file/source.h"
#include "file/zip.h"

typedef struct plk_zip_stream {
    plk_source *file; /* the ZIP file, mapped or in memory */
    plk_zip_member member;
    uint64_t n_packed, n_out; /* how many bytes went in and came out */
    uint32_t crc;
    bool ended;
    void *inflater; /* of a deflated member */
    pluck_allocator allocator;
} plk_zip_stream;

/* A deflated member needs zlib, else PLUCK_ERR_FORMAT says so. On failure nothing is held. */
pluck_status plk_zip_stream_open(plk_zip_stream *stream, plk_source *file,
                                 const plk_zip_member *member, const pluck_allocator *allocator,
                                 pluck_error *err);

void plk_zip_stream_close(plk_zip_stream *stream);

/* A plk_source_pull with a plk_zip_stream as user. At the end the size and the checksum of all
 * bytes are compared with the directory: PLUCK_ERR_FORMAT if they differ. */
pluck_status plk_zip_stream_pull(void *user, uint8_t *to, size_t size_bytes, size_t *n_read,
                                 pluck_error *err);

#endif
