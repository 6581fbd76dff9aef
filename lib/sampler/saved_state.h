/*
 * Samplers as bytes: the inside of pluck_sampler_save() and pluck_sampler_restore(). The format is
 * in docs/state-format.md.
 */
#ifndef PLK_SAVED_STATE_H
#define PLK_SAVED_STATE_H

#include "sampler/sampler_impl.h"

/* What must be equal for one sampler's state to be another's: a hash of the stages in running
 * order, their parameters, and what is done about NaN. */
uint64_t plk_sampler_identity(const pluck_sampler *sampler);

/* All bytes, the checksum included. */
void plk_sampler_put(const pluck_sampler *sampler, size_t size_bytes, plk_byte_writer *out);

#endif
