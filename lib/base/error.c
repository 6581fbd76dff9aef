/*
 * One line of text per error, formatted into the fixed buffer: escaped, because it quotes bytes of
 * hostile files, and without its middle when it is too long. Numbers in it are rounded to nearest,
 * whatever the rounding mode of the program is.
 */
#include "base/error.h"

#include "base/escape.h"

#include <fenv.h>
#include <stdarg.h>
#include <stdio.h>

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
