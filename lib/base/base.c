/*
 * The names of the enumerations of base.h, messages, and structs that can grow.
 */
#include "base/error.h"

#include "base/text.h"

#include <fenv.h>
#include <float.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* With more precision in between, as x87 has it, the same seed would give other tokens. 16 is about
 * halves alone. */
#if FLT_EVAL_METHOD != 0 && FLT_EVAL_METHOD != 16
#    error "compute in float: -msse2 -mfpmath=sse on x86, -fexcess-precision=fast on s390x"
#endif

/* With this flag sums are reassociated and NaN is not expected, so that a seed gives other tokens
 * than elsewhere. */
#ifdef __FAST_MATH__
#    error "compile pluck without -ffast-math"
#endif

static const char *const status_names[] = {
    "PLUCK_OK",      "PLUCK_ERR_INVALID", "PLUCK_ERR_NOMEM",  "PLUCK_ERR_CONFIG", "PLUCK_ERR_EMPTY",
    "PLUCK_ERR_NAN", "PLUCK_ERR_IO",      "PLUCK_ERR_FORMAT", "PLUCK_ERR_SPACE",
};

static const struct {
    const char *name;
    size_t size_bytes;
} dtypes[] = {{"f32", 4}, {"f16", 2}, {"bf16", 2}, {"f64", 8}};

const char *pluck_version(void)
{
    return PLUCK_VERSION;
}

uint32_t pluck_api_number(void)
{
    return PLUCK_API_NUMBER;
}

const char *pluck_status_name(pluck_status status)
{
    size_t index = (size_t)status;
    return index < sizeof status_names / sizeof *status_names ? status_names[index]
                                                              : "unknown status";
}

const char *pluck_dtype_name(pluck_dtype dtype)
{
    size_t index = (size_t)dtype;
    return index < sizeof dtypes / sizeof *dtypes ? dtypes[index].name : NULL;
}

size_t pluck_dtype_size_bytes(pluck_dtype dtype)
{
    size_t index = (size_t)dtype;
    return index < sizeof dtypes / sizeof *dtypes ? dtypes[index].size_bytes : 0;
}

/*
 * One line of text per error, formatted into the fixed buffer: escaped, because it quotes bytes of
 * hostile files, and without its middle when it is too long. Numbers in it are rounded to nearest,
 * whatever the rounding mode of the program is.
 */

/* The longest path and what is said about it. */
enum { TEXT_BYTES = 4096 + 512 };

pluck_status plk_fail(pluck_error *err, pluck_status status, const char *format, ...)
{
    if (!err)
        return status;
    char text[TEXT_BYTES];
    int rounding = fegetround();
    if (rounding != FE_TONEAREST)
        (void)fesetround(FE_TONEAREST);
    va_list arguments;
    va_start(arguments, format);
    int written = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (rounding != FE_TONEAREST)
        (void)fesetround(rounding);
    if (written < 0)
        text[0] = '\0';
    plk_show_line(err->message, sizeof err->message, text);
    err->status = status;
    return status;
}

pluck_status plk_fail_nomem(pluck_error *err, size_t size_bytes)
{
    return plk_fail(err, PLUCK_ERR_NOMEM, "out of memory: %zu bytes were asked for", size_bytes);
}

/*
 * A struct grows at its end only, so what two versions have in common is a prefix. What the caller
 * has beyond the prefix must be zero, which means the default in every version.
 */

static size_t size_of(const void *given)
{
    size_t bytes = 0;
    memcpy(&bytes, given, sizeof bytes);
    return bytes;
}

pluck_status plk_check_struct(const void *given, const char *name, const char *type,
                              pluck_error *err)
{
    size_t bytes = size_of(given);
    if (bytes >= sizeof bytes)
        return PLUCK_OK;
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
    pluck_status status = plk_check_struct(given, name, type, err);
    if (status != PLUCK_OK)
        return status;
    size_t bytes = size_of(given);
    for (size_t i = known_bytes; i < bytes; i++)
        if (((const unsigned char *)given)[i] != 0)
            return plk_fail(err, PLUCK_ERR_INVALID,
                            "%s: a %s of %zu bytes has a field set that this version of pluck does "
                            "not know; all bytes after the first %zu must be 0",
                            name, type, bytes, known_bytes);
    memcpy(known, given, bytes < known_bytes ? bytes : known_bytes);
    memcpy(known, &known_bytes, sizeof known_bytes);
    return PLUCK_OK;
}

pluck_status plk_write_struct(void *given, const void *known, size_t known_bytes, const char *name,
                              const char *type, pluck_error *err)
{
    pluck_status status = plk_check_struct(given, name, type, err);
    if (status != PLUCK_OK)
        return status;
    size_t bytes = size_of(given);
    size_t n = bytes < known_bytes ? bytes : known_bytes;
    memcpy((char *)given + sizeof bytes, (const char *)known + sizeof bytes, n - sizeof bytes);
    memset((char *)given + n, 0, bytes - n);
    return PLUCK_OK;
}

bool plk_is_logit_dtype(pluck_dtype dtype)
{
    return dtype != PLUCK_F64 && pluck_dtype_name(dtype) != NULL;
}
