/*
 * Filling in a pluck_error, and what public functions check of a caller's structs. Every failing
 * path of the library ends in plk_fail().
 */
#ifndef PLK_ERROR_H
#define PLK_ERROR_H

#include <pluck/base.h>

/* MinGW has two kinds of printf; the build asks for the one that knows %zu (meson.build). */
#if defined(__USE_MINGW_ANSI_STDIO)
#    define PLK_PRINTF(format_index, first_index)                                                  \
        __attribute__((format(gnu_printf, format_index, first_index)))
#elif defined(__GNUC__)
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

/*
 * Structs of the public headers begin with struct_size (base.h, PLUCK_INIT).
 *
 * Copies the struct that a caller gave to known, the struct as this library knows it, of
 * known_bytes; fields that the caller's header does not have become zero. given NULL: all fields
 * become zero, and PLUCK_OK is returned. name is that of the parameter, type that of its struct.
 * PLUCK_ERR_INVALID as base.h says.
 */
pluck_status plk_read_struct(void *known, size_t known_bytes, const void *given, const char *name,
                             const char *type, pluck_error *err);

/*
 * Fills in a caller's struct from known, up to the size that the caller gave; fields that this
 * library does not know become zero. given is not NULL. PLUCK_ERR_INVALID if its struct_size is
 * less than sizeof(size_t).
 */
pluck_status plk_write_struct(void *given, const void *known, size_t known_bytes, const char *name,
                              const char *type, pluck_error *err);

/* PLUCK_ERR_INVALID as plk_write_struct() would return it, before there is something to write. */
pluck_status plk_check_struct(const void *given, const char *name, const char *type,
                              pluck_error *err);

/* Whether logits, and weights of heads, may have this type: every type but PLUCK_F64. */
bool plk_is_logit_dtype(pluck_dtype dtype);

#define PLK_READ_STRUCT(known, given, name, type, err)                                             \
    plk_read_struct(known, sizeof(type), given, name, #type, err)
#define PLK_CHECK_STRUCT(given, name, type, err) plk_check_struct(given, name, #type, err)
#define PLK_WRITE_STRUCT(given, known, name, type, err)                                            \
    plk_write_struct(given, known, sizeof(type), name, #type, err)

#endif
