/*
 * Filling in a pluck_error. Every failing path of the library ends in pl_fail().
 */
#ifndef PL_ERROR_H
#define PL_ERROR_H

#include <pluck/base.h>

#if defined(__GNUC__)
#    define PL_PRINTF(format_index, first_index)                                                   \
        __attribute__((format(printf, format_index, first_index)))
#else
#    define PL_PRINTF(format_index, first_index)
#endif

/* Writes status and the formatted message into err unless err is NULL; returns status. Characters
 * that a terminal acts on are escaped (a message quotes bytes of files), and an ellipsis stands for
 * the middle of a message that is too long: see pl_show_line(). */
pluck_status pl_fail(pluck_error *err, pluck_status status, const char *format, ...)
    PL_PRINTF(3, 4);

/* PLUCK_ERR_NOMEM with how much was asked for. */
pluck_status pl_fail_nomem(pluck_error *err, size_t size_bytes);

#endif
