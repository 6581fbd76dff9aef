/*
 * Which instruction sets this machine supports.
 */
#ifndef PLK_CPU_H
#define PLK_CPU_H

#include <pluck/base.h>

/* Bit i is set if the pluck_isa of value i can be used; PLUCK_ISA_BEST and PLUCK_ISA_SCALAR always
 * can. */
unsigned plk_cpu_isa_set(void);

#endif
