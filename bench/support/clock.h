/*
 * The machine under a benchmark: one processor to stay on, a clock, and a cycle counter where the
 * system lets a program have one.
 */
#ifndef BENCH_CLOCK_H
#define BENCH_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Keeps this thread on the processor it runs on now. Returns its number, or -1 if the system does
 * not offer that. */
int bench_pin(void);

/* Runs arithmetic for about this long, so that the clock rate has risen. */
void bench_warm_up(double seconds);

/* Monotonic, in nanoseconds: for budgets. */
double bench_now_ns(void);

/* Processor time of this thread, in nanoseconds: for measurements. Unlike a clock on the wall it
 * stands still while another program has the processor; on a busy machine that happens to every
 * batch of many milliseconds and to few of 0.2 ms, which would favour the shorter. A reading takes
 * below a microsecond. */
double bench_cpu_ns(void);

/* Cycles of this thread in user mode: perf_event_open on Linux. -1 if it is not available. */
int bench_cycles_open(void);
uint64_t bench_cycles_read(int counter);
void bench_cycles_close(int counter);

/* The model of the processor, as the system names it, into text. */
void bench_cpu_name(char *text, size_t capacity_bytes);

/* Bytes of the cache of this level (2 or 3) that one processor sees; 0 if not known. */
size_t bench_cache_bytes(int level);

#endif
