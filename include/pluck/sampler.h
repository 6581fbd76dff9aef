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
 * allocates only if the sampler keeps more tokens than its stages need (keep_history), or if a
 * stage looks back on the whole history. Such stages are no_repeat_ngram, penalties and dry with
 * "last_n": -1 (the default of dry), and a custom stage whose window is SIZE_MAX. In both cases
 * memory grows with the sequence, by doubling. A sampler does not refer to the configuration or the
 * JSON text that it was made from.
 *
 * Reproducibility: which token is drawn depends only on the configuration, the mask, the seed, the
 * stream, the position, the history and the logits. It does not depend on the instruction set, the
 * compiler, the thread, the rounding mode or the flush-to-zero setting. The position is the number
 * of accepted tokens, unless pluck_sampler_set_position() has changed it.
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
    uint32_t max_rewind; /* most tokens that can be undone; 0: PLUCK_DEFAULT_MAX_REWIND */
    /* The sampler keeps at least this number of the last accepted tokens, also after a rewind, even
     * if no stage looks back on them. pluck_sampler_history() reads them, and
     * pluck_sampler_reconfigure() gives them to the stages of a new configuration. Each takes 8
     * bytes. UINT64_MAX: all accepted tokens. */
    uint64_t keep_history;
    const pluck_allocator *allocator; /* NULL: malloc and free */
    pluck_workspace *workspace; /* borrowed until the sampler is destroyed; NULL: own memory */

    /* The texts of tokens, for a stage that compares them (infill). If the configuration has such a
     * stage and token_text is NULL, the result is PLUCK_ERR_CONFIG. token_text returns the bytes of
     * a token's text and writes their number to *size_bytes, which is 0 on entry. For a token
     * without a text it returns NULL or leaves 0 bytes; control tokens should have no text. A text
     * must not change while the sampler or a clone of it exists. Each thread that samples calls the
     * function; for a batch, several threads call it at once. */
    const char *(*token_text)(void *user, pluck_token token, size_t *size_bytes);
    void *token_text_user;
} pluck_sampler_options;

#define PLUCK_DEFAULT_MAX_REWIND 256u

/* Makes a sampler for n_vocab tokens, in [1, PLUCK_MAX_VOCAB]. options may be NULL. On failure *out
 * is NULL. */
PLUCK_API pluck_status pluck_sampler_create(pluck_sampler **out, const pluck_config *config,
                                            uint32_t n_vocab, const pluck_sampler_options *options,
                                            pluck_error *err);

/* Makes a sampler without options from the JSON text of a configuration, which need not be
 * NUL-terminated. PLUCK_ERR_CONFIG also if the library was built without JSON. */
PLUCK_API pluck_status pluck_sampler_from_json(pluck_sampler **out, const char *json,
                                               size_t json_size_bytes, uint32_t n_vocab,
                                               pluck_error *err);

/* Makes an independent copy with the same configuration, seed, stream, history, position and states
 * of stages: given the same logits, both samplers give the same tokens from here on. If sampler
 * borrows a workspace, the copy borrows it too; otherwise the copy has memory of its own. On
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

/* Accepts n tokens, oldest first. If one is outside the vocabulary, or if memory runs out, none is
 * accepted. n may be 0. */
PLUCK_API pluck_status pluck_sampler_accept_many(pluck_sampler *sampler, const pluck_token *tokens,
                                                 size_t n, pluck_error *err);

/* Accepts n tokens, as pluck_sampler_accept_many() does, that were not generated: a prompt, or the
 * next turn of a chat. Stages that count generated tokens (min_tokens, exp_decay_length, penalties
 * with "ignore_prompt") start to count again after the last of these tokens. */
PLUCK_API pluck_status pluck_sampler_prompt(pluck_sampler *sampler, const pluck_token *tokens,
                                            size_t n, pluck_error *err);

/* Undoes the last n accepts exactly, and removes the mask unless n is 0. PLUCK_ERR_INVALID, and
 * nothing changes, if fewer than n tokens were accepted, if n is above the position, or if fewer
 * tokens would be left than the largest number that the sequence ever had minus max_rewind. */
PLUCK_API pluck_status pluck_sampler_rewind(pluck_sampler *sampler, uint32_t n, pluck_error *err);

/* Makes the sampler as it was after its creation: position 0, no history, no mask, stages in their
 * first state. The stream and the seed stay, even a random seed. */
PLUCK_API pluck_status pluck_sampler_reset(pluck_sampler *sampler, pluck_error *err);

/* Does what pluck_sampler_reset() does, and sets a new seed and a new stream. */
PLUCK_API pluck_status pluck_sampler_start(pluck_sampler *sampler, uint64_t seed, uint64_t stream,
                                           pluck_error *err);

/* Sets the position: the next draws take the random numbers of this position. The history stays,
 * and the next accept adds 1 to this position. To make several independent draws from one row of
 * logits, draw once at each of several positions. */
PLUCK_API pluck_status pluck_sampler_set_position(pluck_sampler *sampler, uint64_t position,
                                                  pluck_error *err);

/*
 * Goes on with a new configuration from here. History, position, stream and seed stay (the seed in
 * the configuration is ignored), and the mask is removed. A stage keeps its state if the old
 * configuration has a stage of the same name and parameters; of several stages with one name, the
 * first corresponds to the first, the second to the second and so on. The state of any other stage
 * is made from the accepted tokens. State that does not follow from accepted tokens starts anew: mu
 * of mirostat, and the sums of adaptive_p.
 *
 * Apart from that, the sampler is then what it would be if it had had the new configuration from
 * the start, and it stays so if it is rewound to a place before this call. PLUCK_ERR_INVALID if a
 * stage looks back on more tokens than the sampler still holds; options.keep_history makes it hold
 * more. pluck_sampler_rewind() fails for the same reason if it would leave a stage too few tokens.
 * The call drops no token that the sampler holds. On failure nothing changes. The cost is that of
 * copying the parameters and of making the new states.
 */
PLUCK_API pluck_status pluck_sampler_reconfigure(pluck_sampler *sampler, const pluck_config *config,
                                                 pluck_error *err);

/*
 * Sets the mask, the tokens that the next draw may choose, for constrained decoding. The layout is
 * that of xgrammar and llguidance. Bit t % 32 of words[t / 32] is 1 if token t is allowed. n_words
 * is n_vocab / 32, rounded up; bits beyond the vocabulary are ignored. (NULL, 0) removes the mask.
 *
 * The words are borrowed until the mask is removed: every call that computes the distribution reads
 * them. Accepting, rewinding by at least one token, reset, start, restore and reconfigure remove
 * the mask, so that the mask of one position is never used at another. A clone borrows the words
 * too. A call that fails leaves the mask as it was.
 *
 * The mask acts before all stages, unless the configuration gives it a place ("mask" in "order", or
 * {"type": "mask"} among "stages"). PLUCK_ERR_EMPTY comes from the draw if the mask allows no token
 * whose logit is above -inf. Unless the configuration has "on_nan": "ban", a logit that is NaN or
 * +inf is PLUCK_ERR_NAN even if the mask bans its token. The cost is proportional to the number of
 * words, plus the number of allowed tokens or the number of blocks of 64 tokens that are allowed in
 * part, whichever is smaller.
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

/* Does what pluck_sampler_sample() does, and also reports on the token. The log-probability can
 * cost a pass over the tokens that sampling alone does not need. */
PLUCK_API pluck_status pluck_sampler_draw(pluck_sampler *sampler, pluck_logits logits,
                                          pluck_draw *draw, pluck_error *err);

/* Makes n >= 1 draws from the same logits and history: draws[i] is what pluck_sampler_draw() gives
 * at position + i. The stages run once for all draws, unless a stage uses random numbers itself
 * (xtc); work that the draws have in common is done once. The position of the sampler does not
 * change. */
PLUCK_API pluck_status pluck_sampler_draw_many(pluck_sampler *sampler, pluck_logits logits,
                                               size_t n, pluck_draw *draws, pluck_error *err);

/*
 * Draws n >= 1 different tokens, for beam search and lists of candidates. draws[0] is what
 * pluck_sampler_draw() gives; each further token is drawn from the final distribution without the
 * tokens drawn before. This gives the same distribution as taking the n largest values of logit +
 * Gumbel noise (Kool et al. 2019; Efraimidis and Spirakis 2006). logprob is that of the whole final
 * distribution, not renormalised without the tokens drawn before. *n_drawn becomes the number of
 * tokens drawn, which is less than n only if the stages keep fewer than n. The random numbers are
 * those of (seed, stream, position), and the position of the sampler does not change. In addition
 * to the stages and the log-probabilities, which are computed once, each token costs a look at one
 * or a few blocks of 64 tokens.
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

/* *logprob becomes ln p(token) in the distribution that kind names. It is -INFINITY if the token is
 * banned or removed there. For PLUCK_LOGPROB_FINAL, *logprob rounded to float is the logprob of a
 * pluck_draw of this token. */
PLUCK_API pluck_status pluck_sampler_logprob(pluck_sampler *sampler, pluck_logits logits,
                                             pluck_logprob_kind kind, pluck_token token,
                                             double *logprob, pluck_error *err);

/*
 * The results for one row, or for the n_rows rows of a batch. Each pointer says where a result
 * goes; if the pointer is NULL, that result is not computed. A result of a row that succeeds does
 * not depend on which other results are wanted. A row fails if any wanted result cannot be
 * computed.
 *
 * The logits are scanned once and the stages run once, whatever is wanted. Log-probabilities need a
 * pass over all exponentials, which costs as much as several scans: one pass for all raw ones, and
 * one for all final ones if no stage truncated the distribution. At temperature 1 both can use the
 * same pass.
 *
 * The results of a row that failed, or that has no sampler, are these: the token is PLUCK_NO_TOKEN,
 * log-probabilities and probabilities are NAN, counts and ranks are 0, all of top is
 * {PLUCK_NO_TOKEN, -INFINITY}, and the row has no tokens in kept.
 */
typedef struct pluck_outputs {
    size_t struct_size;

    /* true: after all rows have been sampled, each sampler accepts the token of its row. The
     * samplers of rows that failed accept nothing. If memory runs out while tokens are accepted, no
     * sampler accepts anything, and all rows fail with PLUCK_ERR_NOMEM. */
    bool accept;

    /* [n_rows] The tokens that pluck_sampler_sample() draws. NULL: nothing is drawn; then accept
     * must be false, and logprobs and raw_logprobs must be NULL. */
    pluck_token *tokens;
    pluck_status *statuses; /* [n_rows] PLUCK_OK, or why the row failed */
    float *logprobs;        /* [n_rows] ln p(token), as pluck_draw.logprob */
    float *raw_logprobs;    /* [n_rows] ln p(token) in the softmax of the logits as they came */
    uint32_t *n_survivors;  /* [n_rows] as pluck_draw.n_survivors */

    /* [n_rows, n_top] The n_top most probable tokens in the distribution that top_kind names, best
     * first, ties by lower token. If fewer tokens are above -inf, the rest is {PLUCK_NO_TOKEN,
     * -INFINITY}. */
    uint32_t n_top;
    pluck_logprob_kind top_kind;
    pluck_logprob *top;

    /* The survivors: the tokens that pluck_sampler_distribution() reports. Those of row r are
     * kept[i], in ascending order, for i from kept_offsets[r] up to but not including
     * kept_offsets[r + 1]. If kept is NULL and kept_capacity is 0, only kept_offsets is written. If
     * kept_capacity is too small, the result is PLUCK_ERR_SPACE: then kept_offsets[n_rows] is the
     * number needed, all rows have failed, and no sampler has changed. */
    size_t *kept_offsets; /* [n_rows + 1] */
    pluck_token *kept;    /* [kept_capacity] */
    float *kept_logprobs; /* [kept_capacity] final, in the same places; may be NULL */
    size_t kept_capacity;
    float *kept_log_mass; /* [n_rows] ln of the survivors' share of the softmax of the logits as
                           * they came; <= 0 */

    /* Tokens to score in each row, in the distribution that given_kind names, whatever is drawn.
     * The rank of a token is the number of tokens that come before it in the order of top, so the
     * best has rank 0. A token at -inf has the number of tokens above -inf as its rank. */
    uint32_t n_given;
    const pluck_token *given; /* [n_rows, n_given] */
    pluck_logprob_kind given_kind;
    float *given_logprobs; /* [n_rows, n_given] */
    uint32_t *given_ranks; /* [n_rows, n_given] */

    float *probs;        /* [n_rows, n_vocab] the final distribution; 0 for removed tokens */
    size_t probs_stride; /* floats from one row of probs to the next, >= n_vocab; 0: n_vocab */
} pluck_outputs;

/* Computes outputs for one row, with n_rows = 1. If an argument is wrong, the result is
 * PLUCK_ERR_INVALID and nothing is written. After any other failure each output has the value of a
 * row that failed; after PLUCK_ERR_SPACE kept_offsets[1] is the capacity needed. */
PLUCK_API pluck_status pluck_sampler_run(pluck_sampler *sampler, pluck_logits logits,
                                         const pluck_outputs *outputs, pluck_error *err);

/*
 * Makes a row of logits from an array of structs, such as llama.cpp's llama_token_data. Item i is
 * at items + i * stride_bytes, at any alignment; its token is an int32_t at id_offset_bytes in it,
 * its logit a float at logit_offset_bytes. row has n_vocab floats, for pluck_logits: row[t] becomes
 * the logit of token t, bit for bit, or -inf if no item has token t. n may be 0.
 *
 * The call costs little more than reading the array if item i has token i for all i, and if items
 * are 12 bytes with the token first and the logit next, as in llama_token_data.
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
 * docs/state-format.md describes every byte; the bytes are the same on every machine. The state has
 * about 8 to 16 bytes for each of n + max_rewind tokens, where n is the largest number of tokens
 * that a stage looks back on, or keep_history if that is larger. If a stage looks back on all
 * tokens, the state has about 8 bytes per accepted token.
 *
 * *needed_bytes becomes the number of bytes of the state. The call with (NULL, 0) asks for that
 * number and returns PLUCK_OK. PLUCK_ERR_SPACE if capacity_bytes is smaller; then only
 * *needed_bytes is written. PLUCK_ERR_INVALID if a custom stage has a state but no save function.
 * Nothing is allocated.
 */
PLUCK_API pluck_status pluck_sampler_save(const pluck_sampler *sampler, void *bytes,
                                          size_t capacity_bytes, size_t *needed_bytes,
                                          pluck_error *err);

/*
 * Makes sampler continue exactly where the saved one was, with its seed and stream: it gives the
 * same tokens and can rewind equally far. Both samplers must have the same n_vocab, the same
 * max_rewind, and equal configurations, except for the seed and for what changes no result (the
 * form, neutral stages); else PLUCK_ERR_CONFIG. keep_history may differ: of the saved tokens,
 * sampler holds those that it would have kept itself. The bytes may come from an untrusted source.
 * PLUCK_ERR_FORMAT if pluck_sampler_save() did not write them; forged bytes can at worst give a
 * sequence that did not happen, but never tokens outside the vocabulary. The memory that the call
 * takes grows with size_bytes. On failure the sampler is unchanged; on success its mask is removed.
 */
PLUCK_API pluck_status pluck_sampler_restore(pluck_sampler *sampler, const void *bytes,
                                             size_t size_bytes, pluck_error *err);

/* The number of accepted tokens, unless pluck_sampler_set_position() has changed it. */
PLUCK_API uint64_t pluck_sampler_position(const pluck_sampler *sampler);

/* Returns the number of accepted tokens that the sampler still holds, and writes the last capacity
 * of them to tokens, oldest first, or all if they are fewer. The call with (NULL, 0) only asks for
 * the number. The sampler holds what its stages look back on, what rewinding needs, and
 * options.keep_history tokens. */
PLUCK_API size_t pluck_sampler_history(const pluck_sampler *sampler, pluck_token *tokens,
                                       size_t capacity);

typedef struct pluck_sampler_info {
    size_t struct_size;
    uint32_t n_vocab;
    uint32_t max_rewind; /* never 0 */
    uint64_t seed;       /* the seed in use; with "seed": "random" the one that was drawn */
    uint64_t stream;
    uint64_t position;
    uint64_t n_prompt;  /* accepted tokens up to the last one given to pluck_sampler_prompt() */
    uint64_t n_history; /* accepted tokens that the sampler still holds */
    pluck_isa isa;      /* the instruction set that runs: never PLUCK_ISA_BEST */
} pluck_sampler_info;

PLUCK_API pluck_status pluck_sampler_get_info(const pluck_sampler *sampler,
                                              pluck_sampler_info *info, pluck_error *err);

/*
 * Many sequences at once. All samplers of a server share one workspace. The workspace has the
 * memory whose size depends on the vocabulary, and knows whose threads to use. A sampler that
 * borrows a workspace is small: a few hundred bytes, and 8 bytes for each token that stages look
 * back on and for each token that max_rewind allows to undo. The loop of an engine with n
 * sequences:
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
 * Only one thread at a time may sample with the samplers that borrow one workspace. Creating,
 * cloning, accepting, rewinding and destroying different samplers of a workspace may happen on
 * different threads at once.
 */

/*
 * Makes a workspace, with memory for sampling from n_vocab logits for each worker of parallel:
 * about 25 bytes of address space per logit and worker. The operating system commits only the part
 * that is used, which is small when few tokens survive. parallel says whose threads
 * pluck_workspace_run() uses; the struct is copied, and the threads must outlive the workspace.
 * NULL: the calling thread alone. On failure *out is NULL.
 */
PLUCK_API pluck_status pluck_workspace_create(pluck_workspace **out, uint32_t n_vocab,
                                              const pluck_parallel *parallel,
                                              const pluck_allocator *allocator, pluck_error *err);

/* Samplers that borrow the workspace must be destroyed first. */
PLUCK_API void pluck_workspace_destroy(pluck_workspace **workspace);

/*
 * Does what pluck_sampler_run() does for each row of a matrix, row r with samplers[r]. Each sampler
 * must borrow this workspace, and may be listed once. If samplers[r] is NULL, row r is skipped, and
 * its status is PLUCK_OK. Rows have the n_vocab logits of the workspace. Results do not depend on
 * the number of threads. Nothing is allocated, except the stacks of a pool's threads when they
 * start.
 *
 * A row that fails does not stop the others. If rows failed, the result is the status of the failed
 * row with the lowest number, and the message begins with that number: "row 17: ". If an argument
 * is wrong, the result is PLUCK_ERR_INVALID and no row is sampled.
 */
PLUCK_API pluck_status pluck_workspace_run(pluck_workspace *workspace,
                                           pluck_sampler *const *samplers, const pluck_matrix *rows,
                                           const pluck_outputs *outputs, pluck_error *err);

/*
 * Computes outputs for rows that do not belong to a sequence: for scoring a prompt, for evaluation,
 * for rows of a file. Row r gives what a new sampler of this configuration gives at this position,
 * with an empty history and the stream stream0 + r. The seed is the parameter seed; that of the
 * configuration is ignored. outputs->accept must be false. For example, if row r predicts the token
 * next[r] of a prompt, this computes the log-probabilities and ranks that prompt_logprobs of an
 * OpenAI-style API reports:
 *
 *     pluck_outputs outputs = PLUCK_INIT(pluck_outputs);
 *     outputs.n_given = 1;
 *     outputs.given = next;
 *     outputs.given_logprobs = logprobs;
 *     outputs.given_ranks = ranks;
 *     pluck_sample_rows(workspace, config, 0, 0, 0, &rows, &outputs, &err);
 *
 * If workspace is NULL, the calling thread works alone, with memory that is freed before the call
 * returns. With a workspace, each call allocates one small sampler per worker, and frees it. A
 * configuration with a stage that needs the texts of tokens is PLUCK_ERR_CONFIG.
 */
PLUCK_API pluck_status pluck_sample_rows(pluck_workspace *workspace, const pluck_config *config,
                                         uint64_t seed, uint64_t stream0, uint64_t position,
                                         const pluck_matrix *rows, const pluck_outputs *outputs,
                                         pluck_error *err);

#ifdef __cplusplus
}
#endif

#endif
