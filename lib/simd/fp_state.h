/*
 * The floating-point environment that all results are defined in: round to nearest, no
 * flush-to-zero, no denormals-are-zero, no trapping. Every public function that computes enters it
 * first and leaves it last, so that the caller's settings neither matter nor change.
 */
#ifndef PLK_FP_STATE_H
#define PLK_FP_STATE_H

#include <stdint.h>

typedef struct plk_fp_state {
    uint64_t saved;
    int saved_rounding; /* of the C library; FE_TONEAREST if it was not looked at */
} plk_fp_state;

plk_fp_state plk_fp_enter(void);

/* The same for a function that reads or writes numbers as text: the C library rounds these by its
 * own idea of the mode, which on x86-64 is another register. */
plk_fp_state plk_fp_enter_text(void);

void plk_fp_leave(plk_fp_state state);

#endif
