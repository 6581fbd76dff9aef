/*
 * A sampler turns logits into tokens. It has an ordered list of stages, a draw, the history of one
 * sequence, and its own random numbers.
 *
 * The loop of an engine:
 *
 *     pluck_sampler_prompt(sampler, prompt, n_prompt, &err);
 *     while (pluck_sampler_next(sampler, model_logits(), &token, &err) == PLUCK_OK &&
 *            token != end_of_text)
 *         emit(token);
 *
 * A sampler allocates its memory when it is created. Sampling allocates nothing. Accepting a token
 * allocates only if the sampler keeps more tokens than it needs (keep_history), or if a stage looks
 * back on the whole history: no_repeat_ngram, penalties and dry with "last_n": -1 (the default of
 * dry), and a custom stage whose window is SIZE_MAX. Then memory grows with the sequence, by
 * doubling. A sampler does not refer to the configuration or the JSON text that it was made from.
 *
 * Reproducibility: a token depends on the configuration, the seed, the stream, the position, the
 * history and the logits, and on nothing else: not on the instruction set, the compiler, the
 * thread, the rounding mode or the flush-to-zero setting. The position is the number of accepted
 * tokens, unless pluck_sampler_set_position() has changed it.
 *
 * Threads: one thread at a time may use a sampler. Samplers that share a workspace count as one
 * object while they sample.
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

/* Options of pluck_sampler_create(). */
typedef struct pluck_sampler_options {
    size_t struct_size;
    pluck_isa isa;       /* the instruction set; PLUCK_ERR_INVALID if it is not supported here */
    uint64_t stream;     /* which of the 2^64 independent random streams of the seed */
    uint32_t max_rewind; /* accepted tokens that can be undone; 0: PLUCK_DEFAULT_MAX_REWIND */
    /* At least this many of the last accepted tokens can be read back with pluck_sampler_history(),
     * and serve the stages of a new configuration, even if no stage looks back on them now, and
     * after any rewind. Each takes 8 bytes. UINT64_MAX: all. */
    uint64_t keep_history;
    const pluck_allocator *allocator; /* NULL: malloc and free */
    pluck_workspace *workspace;       /* borrowed; NULL: the sampler has memory of its own */

    /* The texts of tokens, for a stage that compares them (infill). If the configuration has such a
     * stage and token_text is NULL, the result is PLUCK_ERR_CONFIG. token_text returns the bytes of
     * a token's text and writes their number; *size_bytes is 0 on entry. A token without a text has
     * 0 bytes or NULL: control tokens should. A text must not change while the sampler or a clone
     * of it exists. Any thread that samples calls the function, several at once for a batch. */
    const char *(*token_text)(void *user, pluck_token token, size_t *size_bytes);
    void *token_text_user;
} pluck_sampler_options;

#define PLUCK_DEFAULT_MAX_REWIND 256u

/* n_vocab is in [1, PLUCK_MAX_VOCAB]. options may be NULL. On failure *out is NULL. */
PLUCK_API pluck_status pluck_sampler_create(pluck_sampler **out, const pluck_config *config,
                                            uint32_t n_vocab, const pluck_sampler_options *options,
                                            pluck_error *err);

/* The same from the JSON text of a configuration, which need not end in a NUL, and without
 * options. */
PLUCK_API pluck_status pluck_sampler_from_json(pluck_sampler **out, const char *json,
                                               size_t json_size_bytes, uint32_t n_vocab,
                                               pluck_error *err);

/* An independent copy with the same history, position and state: both give the same tokens from
 * here on. The copy borrows the workspace that sampler borrows, or else has memory of its own. On
 * failure *out is NULL. */
PLUCK_API pluck_status pluck_sampler_clone(pluck_sampler **out, const pluck_sampler *sampler,
                                           pluck_error *err);

PLUCK_API void pluck_sampler_destroy(pluck_sampler **sampler);

/*
 * The sequence.
 */

/* Draws one token and accepts it: pluck_sampler_sample(), then pluck_sampler_accept(). This is what
 * llama.cpp's llama_sampler_sample() does. */
PLUCK_API pluck_status pluck_sampler_next(pluck_sampler *sampler, pluck_logits logits,
                                          pluck_token *token, pluck_error *err);

/* Draws one token for the current position and does not accept it: a second call gives the same
 * token. logits.n_vocab must be the sampler's. PLUCK_ERR_NAN names the first token whose logit is
 * NaN or +inf, unless the configuration has "on_nan": "ban". PLUCK_ERR_EMPTY: no token can be
 * chosen. */
PLUCK_API pluck_status pluck_sampler_sample(pluck_sampler *sampler, pluck_logits logits,
                                            pluck_token *token, pluck_error *err);

/* Tells the sampler which token the sequence took, and moves to the next position. A draw that
 * learns from its tokens (mirostat, adaptive_p) learns from this one only if it is the token that
 * was drawn last at this position. */
PLUCK_API pluck_status pluck_sampler_accept(pluck_sampler *sampler, pluck_token token,
                                            pluck_error *err);

/* Accepts n tokens, oldest first: all of them, or none if one is outside the vocabulary or memory
 * runs out. n may be 0. */
PLUCK_API pluck_status pluck_sampler_accept_many(pluck_sampler *sampler, const pluck_token *tokens,
                                                 size_t n, pluck_error *err);

/* The same for tokens that were not generated: a prompt, or the next turn of a chat. Stages that
 * count generated tokens (min_tokens, exp_decay_length, penalties with "ignore_prompt") count from
 * the last of these. */
PLUCK_API pluck_status pluck_sampler_prompt(pluck_sampler *sampler, const pluck_token *tokens,
                                            size_t n, pluck_error *err);

/* Undoes the last n accepts exactly. PLUCK_ERR_INVALID, and nothing changes, if n is above the
 * position, or if it goes further back than max_rewind tokens before the last position that the
 * sequence ever reached. */
PLUCK_API pluck_status pluck_sampler_rewind(pluck_sampler *sampler, uint32_t n, pluck_error *err);

/* Makes the sampler as it was when it was created: position 0, no history, no mask. It keeps the
 * seed, a random one too, and the stream. */
PLUCK_API pluck_status pluck_sampler_reset(pluck_sampler *sampler, pluck_error *err);

/* pluck_sampler_reset() with a new seed and a new stream. */
PLUCK_API pluck_status pluck_sampler_start(pluck_sampler *sampler, uint64_t seed, uint64_t stream,
                                           pluck_error *err);

/* The next draws take the random numbers of this position. The history stays, and the next accept
 * moves on from here. Draw d of several independent draws from one row is that of position d. */
PLUCK_API pluck_status pluck_sampler_set_position(pluck_sampler *sampler, uint64_t position,
                                                  pluck_error *err);

/*
 * Goes on with a new configuration from here. History, position, stream and seed stay (the seed of
 * the configuration does not count), and the mask is removed. A stage keeps its state if the old
 * configuration has it too, with the same parameters, and as the first, second, … of its name. The
 * state of any other stage is made from the accepted tokens. What these cannot tell starts anew:
 * mu of mirostat, and the sums of adaptive_p.
 *
 * The sampler then is what it would be if the new configuration had always been there, after
 * rewinding too. PLUCK_ERR_INVALID if a stage looks back further than the tokens that are left:
 * options.keep_history keeps more. pluck_sampler_rewind() cannot leave a stage with fewer tokens
 * than it looks back on either. The call itself drops no token that the sampler holds. On failure
 * nothing changes. The cost is that of copying the parameters, and of the states that are made
 * anew.
 */
PLUCK_API pluck_status pluck_sampler_reconfigure(pluck_sampler *sampler, const pluck_config *config,
                                                 pluck_error *err);

/*
 * Sets the tokens that the next draw may choose: for constrained decoding, in the layout of
 * xgrammar and llguidance. Bit t % 32 of words[t / 32] is 1 if token t is allowed. n_words is
 * n_vocab / 32, rounded up; bits beyond the vocabulary are ignored. (NULL, 0) removes the mask.
 *
 * The words are borrowed until the sequence moves: every call that computes the distribution reads
 * them. Accepting, rewinding by at least one token, reset, start and reconfigure remove the mask,
 * so that no position gets the mask of a different one. A clone borrows it too. A call that fails
 * leaves the mask as it was.
 *
 * The mask acts before all stages, unless the configuration gives it a place ("mask" in "order", or
 * {"type": "mask"} among "stages"). PLUCK_ERR_EMPTY comes from the draw if the mask allows no token
 * whose logit is above -inf. Unless the configuration has "on_nan": "ban", a logit that is NaN or
 * +inf is PLUCK_ERR_NAN even if the mask bans its token. The cost follows the words, and either the
 * allowed tokens or the blocks of 64 tokens that are allowed in part, whichever are fewer.
 */
PLUCK_API pluck_status pluck_sampler_set_mask(pluck_sampler *sampler, const int32_t *words,
                                              size_t n_words, pluck_error *err);

/*
 * Reports.
 */

typedef struct pluck_draw {
    pluck_token token;    /* the token that pluck_sampler_sample() gives */
    float logprob;        /* ln p(token) in the final distribution, after every stage */
    uint32_t n_survivors; /* tokens with p > 0 in the final distribution */
} pluck_draw;

typedef struct pluck_prob {
    pluck_token token;
    float prob;
} pluck_prob;

/* The distribution that a log-probability belongs to. */
typedef enum pluck_logprob_kind {
    PLUCK_LOGPROB_RAW = 0,  /* the softmax of the logits as they came: no stage, no mask, T = 1,
                             * as OpenAI-style APIs report it */
    PLUCK_LOGPROB_FINAL = 1 /* after every stage: the distribution of a draw */
} pluck_logprob_kind;

/* pluck_sampler_sample(), with a report on the token. It can cost a normaliser that sampling alone
 * does not need. */
PLUCK_API pluck_status pluck_sampler_draw(pluck_sampler *sampler, pluck_logits logits,
                                          pluck_draw *draw, pluck_error *err);

/* Makes n >= 1 draws from the same logits and history: draws[i] is what pluck_sampler_draw() gives
 * at position + i. The stages run once, unless one is random itself (xtc), and what the draws have
 * in common is computed once. The position stays; draws[0] is the draw of this position. */
PLUCK_API pluck_status pluck_sampler_draw_many(pluck_sampler *sampler, pluck_logits logits,
                                               size_t n, pluck_draw *draws, pluck_error *err);

/*
 * Draws n >= 1 different tokens, for beams and candidates: draws[0] is what pluck_sampler_draw()
 * gives, and each next token is drawn from the final distribution without those before it. That is
 * the distribution of the n largest values of logit + Gumbel noise (Kool et al. 2019; Efraimidis
 * and Spirakis 2006). logprob is that of the final distribution, not renormalised. *n_drawn is the
 * number of tokens drawn: fewer than n only if the stages keep fewer. The random numbers are those
 * of (seed, stream, position); the position stays, and draws[0] is the draw of this position.
 * Besides the stages and the log-probabilities, a token costs a look at one or a few blocks of 64.
 */
PLUCK_API pluck_status pluck_sampler_draw_distinct(pluck_sampler *sampler, pluck_logits logits,
                                                   size_t n, pluck_draw *draws, size_t *n_drawn,
                                                   pluck_error *err);

/*
 * Writes the final distribution for these logits at this position, the one that
 * pluck_sampler_sample() draws from: most probable token first, ties by lower token, at most
 * capacity entries. probs may be NULL if capacity is 0. *n_total is the number of tokens with
 * p > 0: every token that the stages keep and whose p, relative to the largest, is a positive
 * double (above e^-745). A p below the smallest positive float (2^-149) is written as that float.
 */
PLUCK_API pluck_status pluck_sampler_distribution(pluck_sampler *sampler, pluck_logits logits,
                                                  pluck_prob *probs, uint32_t capacity,
                                                  uint32_t *n_total, pluck_error *err);

/* ln p(token); -INFINITY if the token is banned or was removed. As a float it is what a draw of the
 * token reports. */
PLUCK_API pluck_status pluck_sampler_logprob(pluck_sampler *sampler, pluck_logits logits,
                                             pluck_logprob_kind kind, pluck_token token,
                                             double *logprob, pluck_error *err);

/*
 * The results for one row, or for the n_rows rows of a batch. Each pointer receives a result; where
 * it is NULL, the result is not computed. While a row succeeds, no result depends on which others
 * are wanted. A row fails if a result that is wanted cannot be computed.
 *
 * The logits are scanned once and the stages run once, whatever is wanted. A log-probability needs
 * a pass over all exponentials, which costs several scans: one pass for all raw ones, and one for
 * all final ones if no truncation came before. Both take the same one at temperature 1.
 *
 * A row that failed, or that has no sampler, gets PLUCK_NO_TOKEN as its token, NAN as
 * log-probability and probability, 0 as count and rank, {PLUCK_NO_TOKEN, -INFINITY} in top, and
 * keeps no token.
 */
typedef struct pluck_outputs {
    size_t struct_size;

    /* true: each sampler accepts its token, after all rows have been sampled. The samplers of rows
     * that failed accept nothing. If memory runs out, no sampler accepts anything, and all rows
     * have failed with PLUCK_ERR_NOMEM. */
    bool accept;

    /* [n_rows] The tokens that pluck_sampler_sample() draws. NULL: nothing is drawn; then accept
     * must be false, and logprobs and raw_logprobs must be NULL. */
    pluck_token *tokens;
    pluck_status *statuses; /* [n_rows] */
    float *logprobs;        /* [n_rows] ln p(token), as pluck_draw.logprob */
    float *raw_logprobs;    /* [n_rows] ln p(token) in the softmax of the logits as they came */
    uint32_t *n_survivors;  /* [n_rows] as pluck_draw.n_survivors */

    /* [n_rows, n_top] The most probable tokens, best first, ties by lower token;
     * {PLUCK_NO_TOKEN, -INFINITY} where there are fewer above -inf. */
    uint32_t n_top;
    pluck_logprob_kind top_kind;
    pluck_logprob *top;

    /* The survivors, the tokens that pluck_sampler_distribution() reports. Those of row r are
     * kept[i], ascending, for i from kept_offsets[r] up to but not including kept_offsets[r + 1].
     * If kept is NULL and kept_capacity is 0, only kept_offsets is written. If kept_capacity is too
     * small, the result is PLUCK_ERR_SPACE: then kept_offsets[n_rows] is the number needed, all
     * rows have failed, and no sampler has changed. */
    size_t *kept_offsets; /* [n_rows + 1] */
    pluck_token *kept;    /* [kept_capacity] */
    float *kept_logprobs; /* [kept_capacity] final, in the same places; may be NULL */
    size_t kept_capacity;
    float *kept_log_mass; /* [n_rows] ln of the survivors' share of the softmax of the logits as
                           * they came; <= 0 */

    /* Tokens to score in each row, whatever is drawn. The rank of a token is the number of tokens
     * that come before it in the order of top; for a token at -inf it is the number of tokens above
     * -inf. */
    uint32_t n_given;
    const pluck_token *given; /* [n_rows, n_given] */
    pluck_logprob_kind given_kind;
    float *given_logprobs; /* [n_rows, n_given] */
    uint32_t *given_ranks; /* [n_rows, n_given] */

    float *probs;        /* [n_rows, n_vocab] the final distribution; 0 for removed tokens */
    size_t probs_stride; /* floats from one row of probs to the next; 0: n_vocab */
} pluck_outputs;

/* The outputs of one row: n_rows is 1. If an argument is wrong, the result is PLUCK_ERR_INVALID and
 * nothing is written. After any other failure each output has the value of a row that failed; after
 * PLUCK_ERR_SPACE kept_offsets[1] is the capacity needed. */
PLUCK_API pluck_status pluck_sampler_run(pluck_sampler *sampler, pluck_logits logits,
                                         const pluck_outputs *outputs, pluck_error *err);

/*
 * Makes a row of logits from an array of structs, such as llama.cpp's llama_token_data. Item i is
 * at items + i * stride_bytes, at any alignment; its token is an int32_t at id_offset_bytes in it,
 * its logit a float at logit_offset_bytes. row[t] becomes the logit of token t bit for bit, and
 * -inf for each token that no item has: a row of n_vocab floats for pluck_logits. n may be 0.
 *
 * Where all tokens are in order (item i has token i) it costs little more than reading the array,
 * if items are 12 bytes with the token first and the logit next, which llama_token_data is.
 *
 * PLUCK_ERR_INVALID if a token is outside [0, n_vocab) or comes twice, or if id or logit do not fit
 * into stride_bytes. After a failure the values in row are unspecified.
 */
PLUCK_API pluck_status pluck_logits_from_items(const void *items, size_t stride_bytes,
                                               size_t id_offset_bytes, size_t logit_offset_bytes,
                                               size_t n, float *row, uint32_t n_vocab,
                                               pluck_error *err);

/*
 * State.
 */

/*
 * Writes the state of the sequence as bytes, so that a server can park a session and go on with it
 * later, elsewhere: the history, the position, the seed and the stream, what the stages have
 * learnt, and what rewinding needs. The configuration and the mask are not part of it.
 * docs/state-format.md describes every byte; the bytes are the same on every machine. If the
 * configuration looks back on n tokens, they are about 8 (n + max_rewind); if it looks back on all
 * tokens, 8 per accepted token. The tokens that keep_history asks for are among them.
 *
 * *needed_bytes becomes the number of bytes of the state. (NULL, 0) asks for it, and is PLUCK_OK.
 * PLUCK_ERR_SPACE if capacity_bytes is less, and nothing else is written. PLUCK_ERR_INVALID if a
 * stage of the application has a state that it cannot save. Nothing is allocated.
 */
PLUCK_API pluck_status pluck_sampler_save(const pluck_sampler *sampler, void *bytes,
                                          size_t capacity_bytes, size_t *needed_bytes,
                                          pluck_error *err);

/*
 * Makes sampler go on exactly where the saved one was: the same tokens and the same depth of
 * rewinding, with the saved seed and stream. The configurations must be equal except for the seed
 * and what changes no result (their form, neutral stages), and so must n_vocab and max_rewind: else
 * PLUCK_ERR_CONFIG. keep_history may differ: sampler then holds those of the saved tokens that it
 * would have kept itself. The bytes may come from anywhere: PLUCK_ERR_FORMAT if
 * pluck_sampler_save() did not write them; bytes that were forged can at worst give a sequence that
 * did not happen, never one with tokens outside the vocabulary. Memory grows with size_bytes. On
 * failure the sampler is as it was; otherwise its mask is removed.
 */
PLUCK_API pluck_status pluck_sampler_restore(pluck_sampler *sampler, const void *bytes,
                                             size_t size_bytes, pluck_error *err);

/* The number of accepted tokens, unless pluck_sampler_set_position() has changed it. */
PLUCK_API uint64_t pluck_sampler_position(const pluck_sampler *sampler);

/* The last accepted tokens, oldest first: writes min(capacity, kept) of them to tokens, and returns
 * kept, the number of tokens that the sampler still holds. (NULL, 0) asks for it. The sampler holds
 * what its stages look back on, what rewinding needs, and options.keep_history tokens. */
PLUCK_API size_t pluck_sampler_history(const pluck_sampler *sampler, pluck_token *tokens,
                                       size_t capacity);

typedef struct pluck_sampler_info {
    size_t struct_size;
    uint32_t n_vocab;
    uint32_t max_rewind; /* never 0 */
    uint64_t seed;       /* the one in use, a random one too */
    uint64_t stream;
    uint64_t position;
    uint64_t n_prompt;  /* accepted tokens up to the last one given to pluck_sampler_prompt() */
    uint64_t n_history; /* accepted tokens that the sampler still holds */
    pluck_isa isa;      /* the instruction set that runs: never PLUCK_ISA_BEST */
} pluck_sampler_info;

PLUCK_API pluck_status pluck_sampler_get_info(const pluck_sampler *sampler,
                                              pluck_sampler_info *info, pluck_error *err);

/*
 * Many sequences at once. All samplers of a server share one workspace. It has the memory whose
 * size depends on the vocabulary, and knows whose threads to use. A sampler that borrows a
 * workspace is small: a few hundred bytes and its history, 8 bytes for each token that stages look
 * back on and for each one that max_rewind allows to undo. The loop of an engine with n sequences:
 *
 *     pluck_pool_create(&pool, 0, NULL, &err);
 *     pluck_workspace_create(&workspace, n_vocab, pluck_pool_parallel(pool), NULL, &err);
 *     options.workspace = workspace;
 *     for (size_t i = 0; i < n; i++) {
 *         pluck_sampler_create(&samplers[i], config, n_vocab, &options, &err);
 *         pluck_sampler_prompt(samplers[i], prompts[i], n_prompts[i], &err);
 *     }
 *     pluck_outputs outputs = PLUCK_INIT(pluck_outputs);
 *     outputs.accept = true;
 *     outputs.tokens = tokens;
 *     while (!is_done()) {
 *         pluck_matrix rows = model_rows();
 *         pluck_workspace_run(workspace, samplers, &rows, &outputs, &err);
 *     }
 *
 * Sampling with a sampler that borrows a workspace is a use of the workspace: one thread at a time.
 * Creating, cloning, accepting, rewinding and destroying are not.
 */

/*
 * Takes memory for sampling from n_vocab logits, once for each worker of parallel: about 25 bytes
 * of address space per logit. The system commits only what is used, which is little when few tokens
 * survive. parallel says whose threads pluck_workspace_run() uses; the struct is copied, and the
 * threads must outlive the workspace. NULL: the calling thread alone. On failure *out is NULL.
 */
PLUCK_API pluck_status pluck_workspace_create(pluck_workspace **out, uint32_t n_vocab,
                                              const pluck_parallel *parallel,
                                              const pluck_allocator *allocator, pluck_error *err);

/* Samplers that borrow it must be destroyed first. */
PLUCK_API void pluck_workspace_destroy(pluck_workspace **workspace);

/*
 * Does pluck_sampler_run() for each row of a matrix: row r with samplers[r], which borrows this
 * workspace and is listed once. If samplers[r] is NULL, the row is skipped, and its status is
 * PLUCK_OK. Each row has n_vocab logits. Results do not depend on the number of threads. Nothing is
 * allocated, except the stacks of a pool's threads when they start.
 *
 * Every row is done. If some failed, the result is the status of the first of them, and the message
 * begins with its number: "row 17: ". PLUCK_ERR_INVALID for a mistake in the arguments: then
 * nothing is done.
 */
PLUCK_API pluck_status pluck_workspace_run(pluck_workspace *workspace,
                                           pluck_sampler *const *samplers, const pluck_matrix *rows,
                                           const pluck_outputs *outputs, pluck_error *err);

/*
 * The same for rows that belong to no sequence: scoring a prompt, draws for evaluation, rows of a
 * file. Row r gives what a new sampler of this configuration, with the stream stream0 + r of this
 * seed, gives at this position with an empty history; the seed of the configuration is ignored.
 * outputs->accept must be false. Log-probabilities and ranks of the tokens of a prompt, as
 * prompt_logprobs of an OpenAI-style API wants them, where row r predicts the token next[r]:
 *
 *     pluck_outputs outputs = PLUCK_INIT(pluck_outputs);
 *     outputs.n_given = 1;
 *     outputs.given = next;
 *     outputs.given_logprobs = logprobs;
 *     outputs.given_ranks = ranks;
 *     pluck_sample_rows(workspace, config, 0, 0, 0, &rows, &outputs, &err);
 *
 * workspace NULL: the calling thread alone, with memory for this call. With a workspace, the call
 * allocates a small sampler for each worker, once. A stage that needs the texts of tokens is
 * PLUCK_ERR_CONFIG.
 */
PLUCK_API pluck_status pluck_sample_rows(pluck_workspace *workspace, const pluck_config *config,
                                         uint64_t seed, uint64_t stream0, uint64_t position,
                                         const pluck_matrix *rows, const pluck_outputs *outputs,
                                         pluck_error *err);

#ifdef __cplusplus
}
#endif

#endif
