/*
 * What the processor can do, and whether the operating system lets it: an instruction set counts
 * only if CPUID reports it and XCR0 says that the system saves its registers.
 *
 * CPUID is slow where a hypervisor intercepts it: microseconds, more than a softmax of a few
 * thousand values takes. The library keeps no state, so it cannot remember the answer; but the GNU
 * C library does (2.33 and later): its "active" bits are those of CPUID that pass the test of XCR0
 * too. Elsewhere CPUID is asked each time. PLK_CPU_ASK_CPUID asks it in any case.
 */
#include "simd/kernels_tables.h"

#include <stdbool.h>

static unsigned bit_of(pluck_isa isa)
{
    return 1u << (unsigned)isa;
}

#if defined(__x86_64__)

#    if !defined(PLK_CPU_ASK_CPUID) && defined(__has_include)
#        if __has_include(<sys/platform/x86.h>)
#            define HAVE_ACTIVE_FEATURES 1
#        endif
#    endif

/* Intel SDM volume 2, CPUID: leaf 1 in ECX, leaf 7 in EBX. */
#    define FMA      (1u << 12)
#    define POPCNT   (1u << 23)
#    define OSXSAVE  (1u << 27)
#    define AVX      (1u << 28)
#    define F16C     (1u << 29)
#    define AVX2     (1u << 5)
#    define AVX512F  (1u << 16)
#    define AVX512DQ (1u << 17)
#    define AVX512BW (1u << 30)
#    define AVX512VL (1u << 31)

/* The bits of what can be used; nothing is promised about the others. */
typedef struct features {
    unsigned leaf1_ecx, leaf7_ebx;
} features;

static bool has_all(unsigned value, unsigned bits)
{
    return (value & bits) == bits;
}

#    if defined(HAVE_ACTIVE_FEATURES)

#        include <sys/platform/x86.h>

/* The header's own macros shift 1 into the sign of an int. */
static features usable_features(void)
{
    const struct cpuid_feature *leaf1 = __x86_get_cpuid_feature_leaf(CPUID_INDEX_1);
    const struct cpuid_feature *leaf7 = __x86_get_cpuid_feature_leaf(CPUID_INDEX_7);
    return (features){leaf1->active_array[cpuid_register_index_ecx],
                      leaf7->active_array[cpuid_register_index_ebx]};
}

#    else

#        include <cpuid.h>

/* Intel SDM volume 1, 13.3: which registers the system saves. */
#        define XCR0_AVX    (1u << 1 | 1u << 2)                      /* XMM, upper halves of YMM */
#        define XCR0_AVX512 (XCR0_AVX | 1u << 5 | 1u << 6 | 1u << 7) /* masks and ZMM */

/* Allowed only if CPUID reports OSXSAVE. The upper 32 bits hold nothing of interest. */
static unsigned read_xcr0(void)
{
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

static features usable_features(void)
{
    features usable = {0, 0};
    unsigned a, d, unused;
    if (!__get_cpuid(1, &a, &unused, &usable.leaf1_ecx, &d) ||
        !has_all(usable.leaf1_ecx, OSXSAVE | AVX))
        return (features){0, 0};
    const unsigned xcr0 = read_xcr0();
    if (!has_all(xcr0, XCR0_AVX) || !__get_cpuid_count(7, 0, &a, &usable.leaf7_ebx, &unused, &d))
        return (features){0, 0};
    if (!has_all(xcr0, XCR0_AVX512))
        usable.leaf7_ebx &= ~AVX512F;
    return usable;
}

#    endif

static unsigned detect(void)
{
    features usable = usable_features();
    unsigned set = bit_of(PLUCK_ISA_SCALAR) | bit_of(PLUCK_ISA_SSE2);
    if (!has_all(usable.leaf1_ecx, AVX | FMA | F16C | POPCNT) || !has_all(usable.leaf7_ebx, AVX2))
        return set;
    set |= bit_of(PLUCK_ISA_AVX2);
    if (has_all(usable.leaf7_ebx, AVX512F | AVX512BW | AVX512DQ | AVX512VL))
        set |= bit_of(PLUCK_ISA_AVX512);
    return set;
}

#else

/* What the build was made for is there. */
static unsigned detect(void)
{
    unsigned set = bit_of(PLUCK_ISA_SCALAR);
#    if defined(PLK_TABLE_SSE2)
    set |= bit_of(PLUCK_ISA_SSE2);
#    elif defined(PLK_TABLE_NEON)
    set |= bit_of(PLUCK_ISA_NEON);
#    elif defined(PLK_TABLE_WASM)
    set |= bit_of(PLUCK_ISA_WASM);
#    elif defined(PLK_TABLE_VECTOR)
    set |= bit_of(PLUCK_ISA_VECTOR);
#    endif
    return set;
}

#endif

unsigned plk_cpu_isa_set(void)
{
    return detect() | bit_of(PLUCK_ISA_BEST);
}
