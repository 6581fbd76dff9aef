/*
 * Sources that are packed by gzip, as if they were not.
 */
#ifndef PLK_GZIP_H
#define PLK_GZIP_H

#include <pluck/base.h>

#include "file/source.h"

/*
 * If source, of which nothing has been read, begins as a gzip file does (RFC 1952), replaces its
 * content by what it unpacks to, all members of it, in memory: then it is a source that is neither
 * streamed nor mapped. More than limit_bytes is PLUCK_ERR_FORMAT, as is damaged data; a build
 * without zlib says so. Other sources stay as they are. After a failure source can only be closed.
 */
pluck_status plk_gzip_unpack(plk_source *source, size_t limit_bytes, pluck_error *err);

#endif
