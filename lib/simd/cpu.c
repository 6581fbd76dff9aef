/*
 * What the processor can do, and whether the operating system lets it: an instruction set counts
 * only if CPUID reports it and XCR0 says that the system saves its registers.
 *
 * CPUID is slow where a hypervisor intercepts it: microseconds, more than a softmax of a few
 * thousand values takes. The library keeps no state, so it cannot remember the answer; but the GNU
 * C library does (2.33 and later), whose "active" features are those that pass both tests.
 * Elsewhere CPUID is asked each time. PL_CPU_ASK_CPUID asks it in any case.
 */
#include "simd/cpu.h"

#if defined(__x86_64__) && !defined(PL_CPU_ASK_CPUID) && defined(__has_include)
#    if __has_include(<sys/platform/x86.h>)
#        define HAVE_ACTIVE_FEATURES 1
#        include <sys/platform/x86.h>
#    endif
#endif
#if defined(__x86_64__) && !defined(HAVE_ACTIVE_FEATURES)
#    include <cpuid.h>
#endif

static unsigned bit_of(pluck_isa isa)
{
    return 1u << (unsigned)isa;
}

#if defined(HAVE_ACTIVE_FEATURES)

static unsigned detect(void)
{
    unsigned set = bit_of(PLUCK_ISA_SCALAR);
    if (!CPU_FEATURE_ACTIVE(AVX2) || !CPU_FEATURE_ACTIVE(FMA) || !CPU_FEATURE_ACTIVE(F16C) ||
        !CPU_FEATURE_ACTIVE(POPCNT))
        return set;
    set |= bit_of(PLUCK_ISA_AVX2);
    if (CPU_FEATURE_ACTIVE(AVX512F) && CPU_FEATURE_ACTIVE(AVX512BW) &&
        CPU_FEATURE_ACTIVE(AVX512DQ) && CPU_FEATURE_ACTIVE(AVX512VL))
        set |= bit_of(PLUCK_ISA_AVX512);
    return set;
}

#elif defined(__x86_64__)

/* Intel SDM volume 1, 14.3 and 15.2 to 15.4. */
enum {
    LEAF1_ECX_AVX2 =
        1 << 12 | 1 << 23 | 1 << 27 | 1 << 28 | 1 << 29, /* FMA POPCNT OSXSAVE AVX F16C */
    LEAF7_EBX_AVX2 = 1 << 5,
    LEAF7_EBX_AVX512 = 1 << 16 | 1 << 17 | 1 << 30,    /* F DQ BW; VL is bit 31 */
    XCR0_AVX2 = 1 << 1 | 1 << 2,                       /* XMM, upper halves of YMM */
    XCR0_AVX512 = XCR0_AVX2 | 1 << 5 | 1 << 6 | 1 << 7 /* masks, upper halves of ZMM, ZMM 16-31 */
};

static bool has_all(unsigned value, unsigned bits)
{
    return (value & bits) == bits;
}

/* Allowed only if CPUID reports OSXSAVE. The upper 32 bits hold nothing of interest. */
static unsigned read_xcr0(void)
{
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

static unsigned detect(void)
{
    unsigned set = bit_of(PLUCK_ISA_SCALAR);
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !has_all(c, LEAF1_ECX_AVX2))
        return set;
    unsigned xcr0 = read_xcr0();
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !has_all(b, LEAF7_EBX_AVX2) ||
        !has_all(xcr0, XCR0_AVX2))
        return set;
    set |= bit_of(PLUCK_ISA_AVX2);
    if (has_all(b, LEAF7_EBX_AVX512 | 1u << 31) && has_all(xcr0, XCR0_AVX512))
        set |= bit_of(PLUCK_ISA_AVX512);
    return set;
}

#elif defined(__aarch64__)

static unsigned detect(void)
{
    return bit_of(PLUCK_ISA_SCALAR) | bit_of(PLUCK_ISA_NEON);
}

#else

static unsigned detect(void)
{
    return bit_of(PLUCK_ISA_SCALAR);
}

#endif

unsigned pl_cpu_isa_set(void)
{
    return detect() | bit_of(PLUCK_ISA_BEST);
}
