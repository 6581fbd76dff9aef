/*
 * A struct grows at its end only, so what two versions have in common is a prefix. What the caller
 * has beyond the prefix must be zero, which means the default in every version.
 */
#include "base/structs.h"

#include "base/error.h"

#include <string.h>

static size_t size_of(const void *given)
{
    size_t bytes = 0;
    memcpy(&bytes, given, sizeof bytes);
    return bytes;
}

static pluck_status fail_size(size_t bytes, const char *name, const char *type, pluck_error *err)
{
    return plk_fail(err, PLUCK_ERR_INVALID,
                    "%s.struct_size is %zu; initialise it with PLUCK_INIT(%s)", name, bytes, type);
}

pluck_status plk_read_struct(void *known, size_t known_bytes, const void *given, const char *name,
                             const char *type, pluck_error *err)
{
    memset(known, 0, known_bytes);
    if (!given) {
        memcpy(known, &known_bytes, sizeof known_bytes);
        return PLUCK_OK;
    }
    size_t bytes = size_of(given);
    if (bytes < sizeof bytes)
        return fail_size(bytes, name, type, err);
    for (size_t i = known_bytes; i < bytes; i++)
        if (((const unsigned char *)given)[i] != 0)
            return plk_fail(err, PLUCK_ERR_INVALID,
                            "%s: a %s of %zu bytes has a field set that this version of pluck does "
                            "not know; it knows the first %zu bytes",
                            name, type, bytes, known_bytes);
    memcpy(known, given, bytes < known_bytes ? bytes : known_bytes);
    memcpy(known, &known_bytes, sizeof known_bytes);
    return PLUCK_OK;
}

pluck_status plk_write_struct(void *given, const void *known, size_t known_bytes, const char *name,
                              const char *type, pluck_error *err)
{
    size_t bytes = size_of(given);
    if (bytes < sizeof bytes)
        return fail_size(bytes, name, type, err);
    size_t n = bytes < known_bytes ? bytes : known_bytes;
    memcpy((char *)given + sizeof bytes, (const char *)known + sizeof bytes, n - sizeof bytes);
    memset((char *)given + n, 0, bytes - n);
    return PLUCK_OK;
}

bool plk_is_logit_dtype(pluck_dtype dtype)
{
    return dtype != PLUCK_F64 && pluck_dtype_name(dtype) != NULL;
}
