/*
 * Which instruction sets a test program covers. The environment variable PLUCK_ISA limits a run to
 * one; a set that this machine lacks ends the program with exit
 * status 77, which Meson counts as skipped, and an unknown name ends it with 99.
 */
#ifndef ISA_H
#define ISA_H

#include "simd/kernels.h"

/* The set named by PLUCK_ISA; PLUCK_ISA_BEST if the variable is unset or empty. */
pluck_isa test_isa(void);

/* The table of test_isa(). */
const plk_kernels *test_kernels(void);

/* Every table to test, the scalar one first, at most TEST_MAX_TABLES; returns how many. With
 * PLUCK_ISA set, that one only. */
enum { TEST_MAX_TABLES = 8 };
size_t test_all_kernels(const plk_kernels **tables);

#endif
