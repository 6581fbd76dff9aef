/*
 * What both versions of mirostat share: mu, the surprise that they aim at, and how it follows the
 * tokens drawn. params of either begins with tau and eta.
 */
#ifndef PLK_SURPRISE_STATE_H
#define PLK_SURPRISE_STATE_H

#include "history/undo_ring.h"
#include "stages/stage_impl.h"

typedef struct plk_mirostat_params {
    double tau;
    double eta;
} plk_mirostat_params;

/* mu = 2 tau to begin with, in bits. */
double plk_mirostat_mu(const void *state);

/* The functions of the descriptor; destroy, clone and reset are those of the undo ring. After a
 * token of probability p was drawn and accepted, mu -= eta (-log2 p - tau). */
pluck_status plk_mirostat_create(void **state, const void *params, const plk_stage_setup *setup,
                                 pluck_error *err);
double plk_mirostat_observe(const void *params, const void *state, const plk_view *view,
                            uint32_t token);
void plk_mirostat_accept(const void *params, void *state, const plk_history *history,
                         const plk_accepted *accepted);
void plk_mirostat_rewind(const void *params, void *state, const plk_history *history);
void plk_mirostat_save(const void *params, const void *state, const plk_history *history,
                       plk_byte_writer *out);
pluck_status plk_mirostat_load(const void *params, void *state, const plk_history *history,
                               plk_byte_reader *in, pluck_error *err);

/* tau and eta for the tables. */
#define PLK_MIROSTAT_PARAMS(params_type)                                                           \
    {.name = "tau",                                                                                \
     .flat_key = "mirostat_tau",                                                                   \
     .type = PLUCK_PARAM_NUMBER,                                                                   \
     .min = 0,                                                                                     \
     .max = 1000,                                                                                  \
     .default_value = 5,                                                                           \
     .neutral = (double)NAN,                                                                       \
     .summary = "the surprise to aim at, in bits",                                                 \
     .offset_bytes = offsetof(params_type, common.tau)},                                           \
    {                                                                                              \
        .name = "eta", .flat_key = "mirostat_eta", .type = PLUCK_PARAM_NUMBER, .min = 0,           \
        .max = 1000, .default_value = 0.1, .neutral = (double)NAN,                                 \
        .summary = "how fast the aim is corrected by the surprise of each token",                  \
        .offset_bytes = offsetof(params_type, common.eta)                                          \
    }

#endif
