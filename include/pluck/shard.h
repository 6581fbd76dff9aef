/*
 * Sampling from a row of logits that lies in slices on several ranks: processes, devices or
 * threads, each with the logits of a part of the vocabulary, as an LM head that is split by tensor
 * parallelism leaves them. The token, its log-probability and the number of survivors have the same
 * bits as if one sampler had seen the whole row, however the row is cut, and the row itself is
 * gathered only where nothing less is enough.
 *
 * Each rank has the sequence in an ordinary sampler of the whole vocabulary, and a shard, which is
 * what one row needs until its token is known. The loop of an engine, on every rank:
 *
 *     pluck_shard_options options = PLUCK_INIT(pluck_shard_options);
 *     options.n_vocab = n_vocab;
 *     options.rank = rank;
 *     options.n_ranks = n_ranks;
 *     options.first_token = first_token; // rank r has the tokens first_token[r] up to but not
 *                                        // including first_token[r + 1]
 *     pluck_shard_create(&shard, &options, &err);
 *     pluck_sampler_prompt(sampler, prompt, n_prompt, &err);
 *     do {
 *         bool is_done = false;
 *         pluck_shard_begin(shard, sampler, model_slice(), &err);
 *         while (!is_done) {
 *             size_t n_bytes = pluck_shard_record_bytes(shard);
 *             pluck_shard_record(shard, record, n_bytes, &n_bytes, &err);
 *             all_gather(record, n_bytes, records); // the engine's; from every rank to every rank
 *             if (pluck_shard_merge(shard, records, sizes, &is_done, &draw, &err) != PLUCK_OK)
 *                 fail(err.message); // on every rank, with the same message
 *         }
 *         pluck_sampler_accept(sampler, draw.token, &err);
 *     } while (draw.token != end_of_text);
 *
 * pluck/mpi.h has this loop over MPI. A record holds what the other ranks must know: the best
 * tokens of the slice, sums, or the slice itself. What is found out from the records depends only
 * on them and on what all ranks have in common, so every rank comes to the same token or to the
 * same error, and nothing has to be sent afterwards.
 *
 * All ranks must do the same with their samplers: the same configuration, options, seed and stream,
 * the same prompts, accepts and rewinds, the same mask (of the whole vocabulary). So history,
 * penalties and what draws learn are on every rank and need no exchange. A random seed ("seed":
 * "random") has to be drawn on one rank and given to the others with pluck_sampler_start(). Records
 * carry a check of these things. If a rank has a different seed or has missed a token,
 * pluck_shard_merge() says which rank it is.
 *
 * pluck_shard_exchanges() says before the first token how many exchanges a row usually takes, and
 * which stage, if any, makes the ranks gather the row. Rows with unusually many candidates take a
 * few more. Whatever the chain, the row is gathered in an exchange more if it has a logit that is
 * NaN or +inf, or if no token can be chosen: then no rank alone can say what is wrong with it.
 *
 * Threads: one thread at a time may use a shard.
 */
#ifndef PLUCK_SHARD_H
#define PLUCK_SHARD_H

#include <pluck/base.h>
#include <pluck/sampler.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What one row needs on one rank. A batch of n rows needs n shards; any number of sequences can
 * take turns with them. */
typedef struct pluck_shard pluck_shard;

/* Tokens: where a slice may begin. */
#define PLUCK_SHARD_STEP 1024u

/* How the vocabulary is cut, the same on all ranks except for rank. */
typedef struct pluck_shard_options {
    size_t struct_size;
    uint32_t n_vocab; /* in [1, PLUCK_MAX_VOCAB], without the rows that pad a head */
    uint32_t rank;    /* of this process, in [0, n_ranks) */
    uint32_t n_ranks;
    /* [n_ranks + 1] Rank r has the tokens first_token[r] up to but not including first_token[r +
     * 1], at least one. The first entry is 0, the last is n_vocab, all others are multiples of
     * PLUCK_SHARD_STEP. Where a head is split elsewhere, ranks give the logits at the edges of
     * their parts to their neighbours first. */
    const uint32_t *first_token;
    /* true: only the token is wanted. draw.logprob is then NAN and draw.n_survivors is 0, and draws
     * from a distribution that no stage has cut down take an exchange less. */
    bool token_only;
    const pluck_allocator *allocator; /* NULL: malloc and free */
} pluck_shard_options;

/* Makes a shard. It takes about 34 bytes of address space per token of the whole vocabulary, of
 * which the operating system commits what is used: little, unless rows are gathered. Nothing is
 * allocated later. If the vocabulary may not be cut so, the message of PLUCK_ERR_INVALID names the
 * nearest places where it may. On failure *out is NULL. */
PLUCK_API pluck_status pluck_shard_create(pluck_shard **out, const pluck_shard_options *options,
                                          pluck_error *err);

PLUCK_API void pluck_shard_destroy(pluck_shard **shard);

PLUCK_API uint32_t pluck_shard_n_ranks(const pluck_shard *shard);

/*
 * Begins a row at the current position of the sampler. slice has the logits of this rank's tokens,
 * with slice.n_vocab their number; the first is that of first_token[rank]. Sampler and slice are
 * borrowed until the token is known: the sampler may not be changed in between, and may not sample.
 * If another row was begun and not finished, it is dropped.
 *
 * A rank whose call fails should take part in the next exchange all the same: its record then says
 * what failed, and pluck_shard_merge() returns that on every rank.
 */
PLUCK_API pluck_status pluck_shard_begin(pluck_shard *shard, pluck_sampler *sampler,
                                         pluck_logits slice, pluck_error *err);

/* The number of bytes that no rank's next record exceeds. Every rank computes the same number, so
 * that records of this size can be exchanged by one collective operation of fixed size; bytes after
 * the end of a record are not looked at. 0 if no row has been begun. */
PLUCK_API size_t pluck_shard_record_bytes(const pluck_shard *shard);

/* Writes what all ranks must know now. *needed_bytes becomes the size of the record, at most
 * pluck_shard_record_bytes(); the call with (NULL, 0) asks for it. PLUCK_ERR_SPACE if
 * capacity_bytes is smaller; then only *needed_bytes is written. A second call writes the same
 * bytes. */
PLUCK_API pluck_status pluck_shard_record(pluck_shard *shard, void *bytes, size_t capacity_bytes,
                                          size_t *needed_bytes, pluck_error *err);

/*
 * Takes the records of all ranks: records[r] has n_bytes[r] bytes, which begin with the record that
 * rank r wrote in this exchange. If they are enough, *is_done becomes true and *draw is written;
 * else *is_done becomes false, and the next exchange begins with pluck_shard_record(). The sampler
 * remembers the token as one that it has drawn, and does not accept it.
 *
 * On failure the row is over, on every rank with the same status and message:
 *   PLUCK_ERR_NAN, PLUCK_ERR_EMPTY  as pluck_sampler_draw() for the whole row
 *   PLUCK_ERR_INVALID               a rank is not in step: "rank 2: ..."
 *   PLUCK_ERR_FORMAT                bytes that are not a record; they may come from anywhere
 *   any other                       what pluck_shard_begin() returned on a rank
 */
PLUCK_API pluck_status pluck_shard_merge(pluck_shard *shard, const void *const *records,
                                         const size_t *n_bytes, bool *is_done, pluck_draw *draw,
                                         pluck_error *err);

/* How many exchanges a row of this sampler usually takes. *gathers becomes the name of the stage or
 * draw for which the ranks gather the row, or NULL if none does; it is valid as long as the
 * sampler. gathers may be NULL. */
PLUCK_API uint32_t pluck_shard_exchanges(const pluck_shard *shard, const pluck_sampler *sampler,
                                         const char **gathers);

/* The number of bytes that no record of this shard exceeds, whatever the sampler and the row: about
 * 8 for each token of the largest slice. For programs that cannot make room later. */
PLUCK_API size_t pluck_shard_max_record_bytes(const pluck_shard *shard);

#ifdef __cplusplus
}
#endif

#endif
