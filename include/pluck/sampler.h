/*
 * A sampler turns logits into tokens: an ordered list of stages, a draw, the history of the
 * sequence and its random numbers.
 *
 * One sampler serves one sequence. Creating it allocates everything; sampling allocates nothing;
 * accepting allocates nothing unless a stage reads the whole history ("repeat_last_n": -1), which
 * then grows by doubling. A sampler keeps no reference to the configuration or the JSON text it
 * came from.
 *
 * The loop of an engine:
 *
 *     for (each prompt token t) pluck_sampler_accept_prompt(sampler, t, &err);
 *     for (;;) {
 *         logits = model(...);
 *         pluck_sampler_sample(sampler, logits, &token, &err);
 *         pluck_sampler_accept(sampler, token, &err);
 *     }
 *
 * Reproducibility: a draw depends on (configuration, seed, stream, position, history, logits) and
 * on nothing else, not on the instruction set, compiler, thread, rounding mode or flush-to-zero
 * setting. position = the number of accepted tokens.
 */
#ifndef PLUCK_SAMPLER_H
#define PLUCK_SAMPLER_H

#include <pluck/base.h>
#include <pluck/config.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pluck_sampler pluck_sampler;
typedef struct pluck_workspace pluck_workspace;

/* json need not be NUL-terminated. n_vocab in [1, 2^24]. On failure *out is NULL. */
PLUCK_API pluck_status pluck_sampler_from_json(pluck_sampler **out, const char *json,
                                               size_t json_size_bytes, uint32_t n_vocab,
                                               pluck_error *err);

/* What pluck_sampler_create takes beyond the configuration; all zero is a good default. */
typedef struct pluck_sampler_options {
    pluck_isa isa;       /* PLUCK_ISA_BEST, or one to force: PLUCK_ERR_INVALID if unsupported */
    uint64_t stream;     /* which of the 2^64 independent streams of the seed */
    uint32_t max_rewind; /* accepted tokens that can be undone; 0: PLUCK_DEFAULT_MAX_REWIND */
    const pluck_allocator *allocator; /* NULL: malloc; must outlive the sampler */
    pluck_workspace *workspace;       /* borrowed; NULL: the sampler has its own */
} pluck_sampler_options;

#define PLUCK_DEFAULT_MAX_REWIND 256u

/* options may be NULL. On failure *out is NULL. */
PLUCK_API pluck_status pluck_sampler_create(pluck_sampler **out, const pluck_config *config,
                                            uint32_t n_vocab, const pluck_sampler_options *options,
                                            pluck_error *err);

PLUCK_API void pluck_sampler_destroy(pluck_sampler **sampler);

/* An independent copy: same history, position and state, so that it gives the same tokens. It
 * borrows the workspace that sampler borrows; else it has its own. sampler is only read. On failure
 * *out is NULL. */
PLUCK_API pluck_status pluck_sampler_clone(pluck_sampler **out, const pluck_sampler *sampler,
                                           pluck_error *err);

/* As just created: position 0, empty history; seed (a random one too) and stream stay. */
PLUCK_API pluck_status pluck_sampler_reset(pluck_sampler *sampler, pluck_error *err);

/* Draws one token for the current position. Does not accept it: calling twice gives the same token.
 * logits.n_vocab must be the sampler's. On PLUCK_ERR_NAN the message names the first such token. */
PLUCK_API pluck_status pluck_sampler_sample(pluck_sampler *sampler, pluck_logits logits,
                                            pluck_token *token, pluck_error *err);

typedef struct pluck_draw {
    pluck_token token;    /* the same token that pluck_sampler_sample() gives            */
    float logprob;        /* ln p(token) in the final distribution, after every stage    */
    uint32_t n_survivors; /* tokens with p > 0 in the final distribution                 */
} pluck_draw;

/* As sample, and what it takes to report on it: may cost a normaliser that sample alone can do
 * without. */
PLUCK_API pluck_status pluck_sampler_draw(pluck_sampler *sampler, pluck_logits logits,
                                          pluck_draw *draw, pluck_error *err);

/* n draws from the same logits and history: draws[i] is what pluck_sampler_draw() gives at position
 * + i (see pluck_sampler_set_position), whatever n is. The stages run once, and what the draws have
 * in common is computed once, unless a stage is random itself (xtc). n >= 1; the position stays,
 * and draws[0] counts as drawn at it. */
PLUCK_API pluck_status pluck_sampler_draw_many(pluck_sampler *sampler, pluck_logits logits,
                                               size_t n, pluck_draw *draws, pluck_error *err);

/*
 * n different tokens, in the order of drawing: draws[0] is what pluck_sampler_draw() gives, each
 * next one is drawn from the final distribution without those before it. That is the law of the n
 * largest of logit + Gumbel noise (Kool et al. 2019; Efraimidis and Spirakis 2006): for beams and
 * candidates. logprob is that of the final distribution, not renormalised. *n_drawn = how many
 * there are: fewer than n if the stages keep fewer, however improbable. Keyed by (seed, stream,
 * position) as every draw; the position stays, and draws[0] counts as drawn at it. Beyond what the
 * stages and the log-probabilities cost, a token costs a look at one or a few blocks of 64.
 */
PLUCK_API pluck_status pluck_sampler_draw_distinct(pluck_sampler *sampler, pluck_logits logits,
                                                   size_t n, pluck_draw *draws, size_t *n_drawn,
                                                   pluck_error *err);

/* Tells the sampler which generated token the sequence really took; moves to the next position. A
 * draw that learns from its tokens (mirostat, adaptive_p) learns from this one only if
 * it is the last that was drawn at this position. */
PLUCK_API pluck_status pluck_sampler_accept(pluck_sampler *sampler, pluck_token token,
                                            pluck_error *err);

/* The same for a token of a prompt: stages that count generated tokens (min_tokens,
 * exp_decay_length, penalties with "ignore_prompt") count from the last one of these. */
PLUCK_API pluck_status pluck_sampler_accept_prompt(pluck_sampler *sampler, pluck_token token,
                                                   pluck_error *err);

/* Undoes the last n accepts exactly. n above the position, or further back than max_rewind tokens
 * before the last position that the sequence ever reached: PLUCK_ERR_INVALID, nothing changed. */
PLUCK_API pluck_status pluck_sampler_rewind(pluck_sampler *sampler, uint32_t n, pluck_error *err);

/* Which distribution a log-probability is of. */
typedef enum pluck_logprob_kind {
    PLUCK_LOGPROB_RAW = 0,  /* softmax of the logits as they came: no stage, no mask, T = 1, as
                             * OpenAI-style APIs report it */
    PLUCK_LOGPROB_FINAL = 1 /* after every stage: what a draw is from */
} pluck_logprob_kind;

typedef struct pluck_logprob {
    pluck_token token;
    float logprob; /* natural logarithm */
} pluck_logprob;

/* The n >= 1 most probable tokens, best first, ties by lower token, without sorting the vocabulary.
 * *n_written = how many there are: fewer than n if fewer are above -inf. */
PLUCK_API pluck_status pluck_sampler_top_logprobs(pluck_sampler *sampler, pluck_logits logits,
                                                  pluck_logprob_kind kind, uint32_t n,
                                                  pluck_logprob *logprobs, uint32_t *n_written,
                                                  pluck_error *err);

/* ln p(token); -INFINITY if it is banned or was removed, or beyond a float's range. The bits are
 * those that a draw of it reports, and those of pluck_sampler_top_logprobs(). */
PLUCK_API pluck_status pluck_sampler_logprob(pluck_sampler *sampler, pluck_logits logits,
                                             pluck_token token, pluck_logprob_kind kind,
                                             float *logprob, pluck_error *err);

/*
 * Which tokens the next draw may choose: for constrained decoding, in the layout of xgrammar and
 * llguidance. Bit i % 32 of bits[i / 32] is token i, 1 = allowed; n_words is n_vocab / 32 rounded
 * up, bits beyond the vocabulary are ignored. (NULL, 0) takes the mask away.
 *
 * The bits are borrowed and read again by every call that computes the distribution (sample, draw,
 * draw_many, distribution, trace), until the sequence moves: accept, rewind of at least one token,
 * reset and set_stream drop the mask, so that no position ever gets that of another one. A clone
 * borrows it too. A call that fails leaves the mask as it was.
 *
 * The mask acts before all stages, unless the configuration places it ("mask" in "order", or
 * {"type": "mask"} among "stages"): then there. PLUCK_ERR_EMPTY from the draw if it allows no token
 * above -inf. A NaN or +inf among the logits is PLUCK_ERR_NAN even where the mask bans its token.
 * The cost follows the words, and the tokens allowed or the blocks of 64 tokens that are neither
 * allowed nor banned as a whole, whichever is less.
 */
PLUCK_API pluck_status pluck_sampler_set_mask(pluck_sampler *sampler, const int32_t *bits,
                                              size_t n_words, pluck_error *err);

/*
 * The state of the sequence as bytes, so that a server can park a session and go on with it later,
 * elsewhere: history, position, seed and stream, what stages have learnt, and what it takes to
 * rewind; not the configuration, and not the mask. docs/state-format.md describes every byte; they
 * are the same on every machine. A sampler whose configuration looks back on n tokens takes about
 * 8 (n + max_rewind) bytes, one that looks back on all of them 8 for each token accepted.
 *
 * Writes at most capacity_bytes (bytes may be NULL if that is 0), and the size needed into
 * *size_bytes. PLUCK_ERR_INVALID if it did not fit: bytes are then undefined. Nothing is allocated.
 */
PLUCK_API pluck_status pluck_sampler_save(const pluck_sampler *sampler, void *bytes,
                                          size_t capacity_bytes, size_t *size_bytes,
                                          pluck_error *err);

/*
 * Makes sampler go on exactly where the saved one was: same tokens, same depth of rewinding, seed
 * and stream included, even if they were others here. The configurations must be the same up to the
 * seed and what changes no result (their form, neutral stages), and so must n_vocab and max_rewind:
 * else PLUCK_ERR_CONFIG. The bytes may come from anywhere: what pluck_sampler_save() did not write
 * is PLUCK_ERR_FORMAT, and at worst a sequence that nobody had, never one outside the vocabulary.
 * Memory grows with size_bytes. On failure the sampler is as it was; otherwise its mask is dropped.
 */
PLUCK_API pluck_status pluck_sampler_restore(pluck_sampler *sampler, const void *bytes,
                                             size_t size_bytes, pluck_error *err);

typedef struct pluck_prob {
    pluck_token token;
    float prob;
} pluck_prob;

/*
 * The exact final distribution for these logits in the current state, most probable first, ties by
 * lower token: what pluck_sampler_sample() draws from. Writes at most capacity entries (probs may
 * be NULL if capacity is 0); *n_total = how many have p > 0: every token that the stages keep whose
 * p, relative to the largest, is a positive double (above e^-745). A p below the smallest positive
 * float (2^-149) is written as that float.
 */
PLUCK_API pluck_status pluck_sampler_distribution(pluck_sampler *sampler, pluck_logits logits,
                                                  pluck_prob *probs, uint32_t capacity,
                                                  uint32_t *n_total, pluck_error *err);

/* What the sampler is. */
PLUCK_API uint32_t pluck_sampler_n_vocab(const pluck_sampler *sampler);
PLUCK_API uint64_t
pluck_sampler_seed(const pluck_sampler *sampler); /* the one in use, a random one too */
PLUCK_API uint64_t pluck_sampler_stream(const pluck_sampler *sampler);
PLUCK_API uint64_t pluck_sampler_position(const pluck_sampler *sampler);
PLUCK_API pluck_isa
pluck_sampler_isa(const pluck_sampler *sampler); /* the set that runs: never BEST */

/* Moves to another stream and starts its sequence: position 0, empty history. For rows of a dump:
 * stream = row. */
PLUCK_API pluck_status pluck_sampler_set_stream(pluck_sampler *sampler, uint64_t stream,
                                                pluck_error *err);

/* The random numbers of the next draws are those of this position; the history stays, and the next
 * accept moves on from here. For several independent draws from one row: draw d is position d. */
PLUCK_API pluck_status pluck_sampler_set_position(pluck_sampler *sampler, uint64_t position,
                                                  pluck_error *err);

/*
 * Many sequences at once: one workspace that all samplers of a server share, and a call that
 * samples a row of logits for each of them.
 *
 * A sampler that borrows a workspace is small: a few hundred bytes and its history, instead of
 * memory that grows with the vocabulary. The loop of an engine with n sequences:
 *
 *     pluck_workspace_create(&workspace, n_vocab, 0, NULL, &err);
 *     options.workspace = workspace;
 *     for (i in sequences) pluck_sampler_create(&samplers[i], config, n_vocab, &options, &err);
 *     for (i in sequences, t in prompts[i]) pluck_sampler_accept_prompt(samplers[i], t, &err);
 *     for (;;) {
 *         rows = model(...);
 *         pluck_sampler_sample_batch(workspace, samplers, rows, n, 0, tokens, statuses, &err);
 *         for (i in sequences) pluck_sampler_accept(samplers[i], tokens[i], &err);
 *     }
 *
 * Creating a sampler that borrows a workspace, and sampling with it, are uses of the workspace: one
 * thread at a time. Cloning, accepting, rewinding and destroying are not.
 */

/*
 * Scratch memory and a pool of threads for sampling from n_vocab logits, for up to `threads`
 * threads at once. 0 means one per processor, and the limit is 1024. Single calls need one. Threads
 * start when a batch first needs them, sleep between batches, and end with the workspace. If the
 * system refuses one, batches run on fewer threads, with the same results. In a process that was
 * forked after they had been started, batches run on the calling thread. Each thread takes about 25
 * bytes of address space per value; of that, what is never used (most of it when few tokens
 * survive) stays uncommitted by the system. allocator may be NULL; it must outlive the workspace.
 * On failure *out is NULL.
 */
PLUCK_API pluck_status pluck_workspace_create(pluck_workspace **out, uint32_t n_vocab,
                                              uint32_t threads, const pluck_allocator *allocator,
                                              pluck_error *err);

/* Samplers that borrow it must be destroyed first. */
PLUCK_API void pluck_workspace_destroy(pluck_workspace **workspace);

/* How many threads it serves, at least 1. */
PLUCK_API uint32_t pluck_workspace_threads(const pluck_workspace *workspace);

/*
 * n samplers, n rows: tokens[i] and statuses[i] are what pluck_sampler_sample(samplers[i],
 * logits[i], &tokens[i], …) gives, whatever the number of threads. threads: how many to use at
 * most; 0: all that the workspace serves. Rows may have different types. Nothing is allocated,
 * except the stacks of threads when they start.
 *
 * Every row is done. If some failed, the result is the status of the first of them and the message
 * begins with "row I: "; tokens of failed rows are unchanged. If a pointer is NULL, a sampler does
 * not borrow this workspace or comes twice, nothing is done: PLUCK_ERR_INVALID.
 */
PLUCK_API pluck_status pluck_sampler_sample_batch(pluck_workspace *workspace,
                                                  pluck_sampler *const *samplers,
                                                  const pluck_logits *logits, size_t n,
                                                  uint32_t threads, pluck_token *tokens,
                                                  pluck_status *statuses, pluck_error *err);

#ifdef __cplusplus
}
#endif

#endif
