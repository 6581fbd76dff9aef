/*
 * Pinning, clock and cycle counter. perf_event_open counts cycles of this thread only, in user mode
 * only, so that interrupts and other programs are left out of them; many virtual machines have no
 * such counter, and then cycles are not reported at all.
 */
#define _GNU_SOURCE
#include "support/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifdef __linux__
#    include <linux/perf_event.h>
#    include <sched.h>
#    include <sys/syscall.h>
#endif

int bench_pin(void)
{
#ifdef __linux__
    int cpu = sched_getcpu();
    cpu_set_t set;
    CPU_ZERO(&set);
    if (cpu < 0 || cpu >= CPU_SETSIZE)
        return -1;
    CPU_SET((size_t)cpu, &set);
    return sched_setaffinity(0, sizeof set, &set) == 0 ? cpu : -1;
#else
    return -1;
#endif
}

static double read_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

double bench_now_ns(void)
{
    return read_ns(CLOCK_MONOTONIC);
}

double bench_cpu_ns(void)
{
    return read_ns(CLOCK_THREAD_CPUTIME_ID);
}

void bench_warm_up(double seconds)
{
    double end = bench_now_ns() + seconds * 1e9;
    volatile uint64_t sink = 0;
    while (bench_now_ns() < end) {
        for (int i = 0; i < 1000; i++)
            sink = sink * 3 + 1;
    }
}

int bench_cycles_open(void)
{
#ifdef __linux__
    struct perf_event_attr what = {
        .type = PERF_TYPE_HARDWARE,
        .size = sizeof what,
        .config = PERF_COUNT_HW_CPU_CYCLES,
        .exclude_kernel = 1,
        .exclude_hv = 1,
    };
    int counter = (int)syscall(SYS_perf_event_open, &what, 0, -1, -1, 0);
    if (counter < 0)
        return -1;
    /* Some machines open a counter that never moves. */
    uint64_t before = bench_cycles_read(counter);
    bench_warm_up(1e-4);
    if (bench_cycles_read(counter) == before) {
        close(counter);
        return -1;
    }
    return counter;
#else
    return -1;
#endif
}

uint64_t bench_cycles_read(int counter)
{
    uint64_t cycles = 0;
    if (counter < 0 || read(counter, &cycles, sizeof cycles) != (ssize_t)sizeof cycles)
        return 0;
    return cycles;
}

void bench_cycles_close(int counter)
{
    if (counter >= 0)
        close(counter);
}

void bench_cpu_name(char *text, size_t capacity_bytes)
{
    snprintf(text, capacity_bytes, "unknown processor");
    FILE *file = fopen("/proc/cpuinfo", "r");
    if (!file)
        return;
    char line[256];
    while (fgets(line, sizeof line, file)) {
        const char *value = strchr(line, ':');
        if (value && strncmp(line, "model name", 10) == 0) {
            snprintf(text, capacity_bytes, "%s", value + 1 + strspn(value + 1, " \t"));
            text[strcspn(text, "\n")] = '\0';
            break;
        }
    }
    fclose(file);
}

size_t bench_cache_bytes(int level)
{
    long bytes = -1;
#ifdef _SC_LEVEL3_CACHE_SIZE
    bytes = sysconf(level == 2 ? _SC_LEVEL2_CACHE_SIZE : _SC_LEVEL3_CACHE_SIZE);
#else
    (void)level;
#endif
    return bytes > 0 ? (size_t)bytes : 0;
}
