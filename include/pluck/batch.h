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
#ifndef PLUCK_BATCH_H
#define PLUCK_BATCH_H

#include <pluck/base.h>
#include <pluck/sampler.h>

#ifdef __cplusplus
extern "C" {
#endif

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
