/*
 * Two rows of logits that become one: classifier-free guidance and contrastive decoding. The third
 * row goes to a sampler like any other.
 *
 * Common to both: the rows have the same n_vocab and any types, out has room for n_vocab floats and
 * may be the buffer of a row that is PLUCK_F32, but must not overlap one otherwise. A token that is
 * -inf in either row is -inf in out: what one side rules out cannot be compared. Finite results
 * stay finite: beyond the range of float they are its largest or smallest number. Each is within
 * 2^-24 relative, plus (1 + |scale|) 2e-6 that is the same for all tokens and thus without effect
 * on the distribution, of the exact one. Nothing is allocated; results are the same bits on every
 * instruction set.
 *
 * NaN or +inf in a row gives PLUCK_ERR_NAN naming row and token, no token above -inf in both rows
 * PLUCK_ERR_EMPTY, a NULL buffer, unequal sizes or a parameter out of its range PLUCK_ERR_INVALID.
 * On failure out is not written.
 */
#ifndef PLUCK_GUIDANCE_H
#define PLUCK_GUIDANCE_H

#include <pluck/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Classifier-free guidance (Sanchez et al., "Stay on topic with Classifier-Free Guidance", 2023; as
 * Hugging Face Transformers computes it): with log-softmax L of each row,
 *
 *     out = L(unconditional) + scale (L(conditional) - L(unconditional))
 *
 * conditional: from the whole prompt; unconditional: without the part to stress, or from a negative
 * prompt. scale: any finite number; 1 is the conditional row alone, above 1 stresses the prompt.
 */
PLUCK_API pluck_status pluck_guidance_combine(pluck_logits conditional, pluck_logits unconditional,
                                              double scale, float *out, pluck_error *err);

/*
 * Contrastive decoding (Li et al., "Contrastive Decoding: Open-ended Text Generation as
 * Optimization", 2022): among the tokens that the expert gives at least alpha times its largest
 * probability, out = ln p_expert - ln p_amateur; the others are -inf. alpha in [0, 1]; the paper
 * uses 0.1.
 */
PLUCK_API pluck_status pluck_guidance_contrast(pluck_logits expert, pluck_logits amateur,
                                               double alpha, float *out, pluck_error *err);

#ifdef __cplusplus
}
#endif

#endif
