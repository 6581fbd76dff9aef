/*
 * MXCSR on x86 (Intel SDM volume 1, 10.2.3), FPCR on AArch64 (Arm ARM, C5.2.8), elsewhere what C
 * can set.
 */
#include "support/fp.h"

typedef struct setting {
    const char *name;
    uint64_t control;
} setting;

#if defined(__SSE2__)

static const setting settings[] = {
    {"flush to zero, denormals are zero", 0x9FC0},
    {"round down", 0x3F80},
    {"round up", 0x5F80},
    {"round toward zero, flush to zero, denormals are zero", 0xFFC0},
    {"default", 0x1F80},
};

static void write_control(uint64_t control)
{
    unsigned value = (unsigned)control;
    __asm__ volatile("ldmxcsr %0" : : "m"(value) : "memory");
}

uint64_t test_fp_control(void)
{
    unsigned value;
    __asm__ volatile("stmxcsr %0" : "=m"(value) : : "memory");
    return value & ~0x3Fu;
}

#elif defined(__aarch64__)

static const setting settings[] = {
    {"flush to zero", UINT64_C(1) << 24},
    {"round down", UINT64_C(2) << 22},
    {"round up", UINT64_C(1) << 22},
    {"round toward zero, flush to zero, default NaN, alternative half",
     UINT64_C(3) << 22 | UINT64_C(1) << 24 | UINT64_C(1) << 25 | UINT64_C(1) << 26},
    {"default", 0},
};

static void write_control(uint64_t control)
{
    __asm__ volatile("msr fpcr, %0" : : "r"(control) : "memory");
}

uint64_t test_fp_control(void)
{
    uint64_t control;
    __asm__ volatile("mrs %0, fpcr" : "=r"(control) : : "memory");
    return control;
}

#else

#    include <fenv.h>

static const setting settings[] = {
#    ifdef FE_DOWNWARD
    {"round down", FE_DOWNWARD},
#    endif
#    ifdef FE_UPWARD
    {"round up", FE_UPWARD},
#    endif
#    ifdef FE_TOWARDZERO
    {"round toward zero", FE_TOWARDZERO},
#    endif
    {"default", FE_TONEAREST},
};

static void write_control(uint64_t control)
{
    fesetround((int)control);
}

uint64_t test_fp_control(void)
{
    return (uint64_t)fegetround();
}

#endif

size_t test_fp_count(void)
{
    return sizeof settings / sizeof *settings - 1;
}

const char *test_fp_name(size_t index)
{
    return settings[index].name;
}

void test_fp_set(size_t index)
{
    write_control(settings[index].control);
}
