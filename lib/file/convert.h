/*
 * Values as they are stored, and as pluck_dump_read() gives them.
 */
#ifndef PLK_CONVERT_H
#define PLK_CONVERT_H

#include <pluck/base.h>

typedef enum plk_stored_type {
    PLK_STORED_F32 = 0, /* the first three: the values of pluck_dtype */
    PLK_STORED_F16 = 1,
    PLK_STORED_BF16 = 2,
    PLK_STORED_F64 = 3
} plk_stored_type;

size_t plk_stored_size_bytes(plk_stored_type type);

/* What values of this type are given as: f64 as f32, the others as they are. */
pluck_dtype plk_stored_dtype(plk_stored_type type);

/* Whether little-endian values (or big-endian ones) are not in the byte order of this machine. */
bool plk_is_swapped(bool little_endian);

/*
 * n values at from, stride_bytes apart and not aligned, into to as plk_stored_dtype(type), in the
 * byte order of this machine. f64 is rounded to the nearest f32 (or as the caller's rounding mode
 * says, if it has set another one); beyond the range it becomes an infinity. The others keep their
 * bits. to may be from itself when stride_bytes is the size of a value and type is not f64.
 */
void plk_convert(const uint8_t *from, uint64_t stride_bytes, size_t n, plk_stored_type type,
                 bool swapped, void *to);

#endif
