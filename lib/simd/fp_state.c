/*
 * Entering and leaving the default floating-point environment. Reading the control register is
 * cheap, writing it is not: it is written only when it differs, so the usual call costs a few
 * cycles.
 */
#include "simd/fp_state.h"

#include <fenv.h>
#include <stdbool.h>

#if defined(__SSE2__)

#    include <xmmintrin.h>

/* MXCSR: bits 0 to 5 are sticky flags that do not change results; the default masks every
 * exception. */
enum { MXCSR_FLAGS = 0x3F, MXCSR_DEFAULT = 0x1F80 };

static uint64_t read_control(void)
{
    return _mm_getcsr();
}

static void write_control(uint64_t control)
{
    _mm_setcsr((unsigned)control);
}

static bool is_default(uint64_t control)
{
    return (control & ~(uint64_t)MXCSR_FLAGS) == MXCSR_DEFAULT;
}

static const uint64_t default_control = MXCSR_DEFAULT;

#elif defined(__aarch64__)

static uint64_t read_control(void)
{
    uint64_t control;
    __asm__ volatile("mrs %0, fpcr" : "=r"(control));
    return control;
}

static void write_control(uint64_t control)
{
    __asm__ volatile("msr fpcr, %0" : : "r"(control) : "memory");
}

static bool is_default(uint64_t control)
{
    return control == 0;
}

static const uint64_t default_control = 0;

#else

static uint64_t read_control(void)
{
    return (uint64_t)fegetround();
}

static void write_control(uint64_t control)
{
    fesetround((int)control);
}

static bool is_default(uint64_t control)
{
    return control == (uint64_t)FE_TONEAREST;
}

static const uint64_t default_control = FE_TONEAREST;

#endif

plk_fp_state plk_fp_enter(void)
{
    plk_fp_state state = {read_control(), FE_TONEAREST};
    if (!is_default(state.saved))
        write_control(default_control);
    return state;
}

/* fesetround() also writes the register that plk_fp_enter() does, so it comes first here and there.
 */
plk_fp_state plk_fp_enter_text(void)
{
    int rounding = fegetround();
    uint64_t saved = read_control();
    if (rounding != FE_TONEAREST)
        (void)fesetround(FE_TONEAREST);
    if (!is_default(saved))
        write_control(default_control);
    return (plk_fp_state){saved, rounding};
}

void plk_fp_leave(plk_fp_state state)
{
    if (state.saved_rounding != FE_TONEAREST)
        (void)fesetround(state.saved_rounding);
    if (!is_default(state.saved))
        write_control(state.saved);
}
