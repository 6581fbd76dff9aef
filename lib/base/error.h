/*
 * Filling in a pluck_error. Every failing path of the library ends in plk_fail().
 */
#ifndef PLK_ERROR_H
#define PLK_ERROR_H

#include <pluck/base.h>

#if defined(__GNUC__)
#    define PLK_PRINTF(format_index, first_index)                                                  \
        __attribute__((format(printf, format_index, first_index)))
#else
#    define PLK_PRINTF(format_index, first_index)
#endif

/* Writes status and the formatted message into err unless err is NULL; returns status. Characters
 * that a terminal acts on are escaped (a message quotes bytes of files), and an ellipsis stands for
 * the middle of a message that is too long: see plk_show_line(). */
pluck_status plk_fail(pluck_error *err, pluck_status status, const char *format, ...)
    PLK_PRINTF(3, 4);

/* PLUCK_ERR_NOMEM with how much was asked for. */
pluck_status plk_fail_nomem(pluck_error *err, size_t size_bytes);

#endif
