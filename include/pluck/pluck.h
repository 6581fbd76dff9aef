/*
 * pluck: from a language model's logits to tokens. This header includes what an engine needs to
 * sample: configurations, stages, samplers, the softmax family, random numbers, and the ranks of a
 * job over many processes. The other headers (dumps, heads, tuning, traces and more) are included
 * by those who use them.
 *
 *     #include <pluck/pluck.h>
 *
 *     pluck_sampler *sampler = NULL;
 *     pluck_error err;
 *     const char json[] = "{\"temperature\": 0.8, \"top_k\": 40, \"top_p\": 0.95, \"seed\": 42}";
 *     if (pluck_sampler_from_json(&sampler, json, sizeof json - 1, n_vocab, &err) != PLUCK_OK)
 *         fail(err.message);
 *     pluck_token token;
 *     pluck_logits row = {logits, PLUCK_F32, n_vocab};
 *     if (pluck_sampler_next(sampler, row, &token, &err) != PLUCK_OK)
 *         fail(err.message);
 *     pluck_sampler_destroy(&sampler);
 */
#ifndef PLUCK_PLUCK_H
#define PLUCK_PLUCK_H

#include <pluck/base.h>
#include <pluck/config.h>
#include <pluck/ranks.h>
#include <pluck/rng.h>
#include <pluck/sampler.h>
#include <pluck/softmax.h>
#include <pluck/stage.h>

#endif
