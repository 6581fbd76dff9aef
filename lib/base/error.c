/*
 * One line of text an error: formatted into the fixed buffer, cut at a character boundary when too
 * long, and kept to one line even when it quotes bytes of a hostile file. Numbers in it are rounded
 * to nearest, whatever the program's rounding mode is.
 */
#include "base/error.h"

#include <fenv.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The largest length <= limit at which text can be cut without splitting a UTF-8 character. */
static size_t cut_length(const char *text, size_t limit)
{
    size_t length = limit;
    while (length > 0 && ((unsigned char)text[length] & 0xC0u) == 0x80u)
        length--;
    return length;
}

pluck_status pl_fail(pluck_error *err, pluck_status status, const char *format, ...)
{
    if (!err)
        return status;
    char text[2 * sizeof err->message];
    const int rounding = fegetround();
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
    size_t length = strlen(text);
    if (length >= sizeof err->message)
        length = cut_length(text, sizeof err->message - 1);
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)text[i];
        err->message[i] = byte < 0x20 || byte == 0x7F ? '?' : text[i];
    }
    err->message[length] = '\0';
    err->status = status;
    return status;
}

pluck_status pl_fail_nomem(pluck_error *err, size_t size_bytes)
{
    return pl_fail(err, PLUCK_ERR_NOMEM, "out of memory: %zu bytes were asked for", size_bytes);
}
