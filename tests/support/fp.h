/*
 * Floating-point settings that a caller may have made, to test that they neither matter nor change.
 */
#ifndef FP_H
#define FP_H

#include <stddef.h>
#include <stdint.h>

/* How many hostile settings test_fp_set knows: flushing of subnormals, other roundings, and both. 0
 * on a processor that it does not know. */
size_t test_fp_count(void);
const char *test_fp_name(size_t index);

/* Makes the setting of this index; index = test_fp_count() makes the default one. */
void test_fp_set(size_t index);

/* The control bits now in force, without sticky flags. */
uint64_t test_fp_control(void);

#endif
