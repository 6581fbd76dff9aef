/*
 * What the processor can do, and whether the operating system lets it: an instruction set counts
 * only if CPUID reports it and XCR0 says that the system saves its registers.
 *
 * CPUID is slow where a hypervisor intercepts it (microseconds), slower than a softmax of a few
 * thousand values. So the answer is remembered; it is a constant of the machine, whichever thread
 * finds it first.
 */
#include "simd/kernels.h"

#include "base/error.h"

#include <stdatomic.h>
#include <string.h>

#if defined(__x86_64__)
#    include <cpuid.h>
#endif

static const char *const isa_names[] = {"best", "scalar", "avx2", "avx512", "neon"};

enum { N_ISAS = sizeof isa_names / sizeof *isa_names };

static unsigned bit_of(pluck_isa isa)
{
    return 1u << (unsigned)isa;
}

#if defined(__x86_64__)

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

static unsigned supported_set(void)
{
    static atomic_uint remembered; /* 0: not known yet */
    unsigned set = atomic_load_explicit(&remembered, memory_order_relaxed);
    if (set == 0) {
        set = detect() | bit_of(PLUCK_ISA_BEST);
        atomic_store_explicit(&remembered, set, memory_order_relaxed);
    }
    return set;
}

bool pluck_isa_supported(pluck_isa isa)
{
    return (unsigned)isa < N_ISAS && (supported_set() & bit_of(isa)) != 0;
}

const char *pluck_isa_name(pluck_isa isa)
{
    return (unsigned)isa < N_ISAS ? isa_names[isa] : NULL;
}

pluck_status pluck_isa_from_name(const char *name, pluck_isa *isa, pluck_error *err)
{
    if (!name || !isa)
        return pl_fail(err, PLUCK_ERR_INVALID, "instruction set: name and isa must not be NULL");
    for (unsigned i = 0; i < N_ISAS; i++) {
        if (strcmp(name, isa_names[i]) != 0)
            continue;
        if (!pluck_isa_supported((pluck_isa)i))
            return pl_fail(err, PLUCK_ERR_INVALID,
                           "instruction set '%s' is not supported by this machine or this build",
                           name);
        *isa = (pluck_isa)i;
        return PLUCK_OK;
    }
    return pl_fail(err, PLUCK_ERR_INVALID,
                   "instruction set '%s' is unknown: best, scalar, avx2, avx512 or neon", name);
}
