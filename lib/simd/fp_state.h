/*
 * The floating-point environment that all results are defined in: round to nearest, no
 * flush-to-zero, no denormals-are-zero, no trapping. Every public function that computes enters it
 * first and leaves it last, so that the caller's settings neither matter nor change.
 */
#ifndef PLK_FP_STATE_H
#define PLK_FP_STATE_H

#include <pluck/base.h>

typedef struct plk_fp_state {
    uint64_t saved;
    int saved_rounding; /* of the C library; FE_TONEAREST if it was not looked at */
} plk_fp_state;

plk_fp_state plk_fp_enter(void);

/* The same for a function that reads or writes numbers as text: the C library rounds these by its
 * own idea of the mode, which on x86-64 is another register. */
plk_fp_state plk_fp_enter_text(void);

void plk_fp_leave(plk_fp_state state);

/* Returns the status of call, which is made in that environment. What it calls is in another
 * translation unit, so that no compiler moves arithmetic out of the pair. */
#define PLK_RETURN_IN_FP(call)                                                                     \
    do {                                                                                           \
        plk_fp_state state_ = plk_fp_enter();                                                      \
        pluck_status status_ = (call);                                                             \
        plk_fp_leave(state_);                                                                      \
        return status_;                                                                            \
    } while (false)

#endif
