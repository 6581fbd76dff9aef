/*
 * A head that the tree commands work on: a fastText model, a stored head (.safetensors), or a dense
 * head given as arrays (.npy).
 */
#ifndef CLI_HEAD_MODEL_H
#define CLI_HEAD_MODEL_H

#include "input.h"

#include <pluck/fasttext.h>

typedef struct head_flags {
    const char *bias;         /* a file */
    const char *isa;          /* as of isa_flag */
    const char *label_prefix; /* of a fastText model */
} head_flags;
extern const flag head_group[]; /* --bias and --isa */

typedef struct head_model {
    pluck_fasttext *text; /* NULL: not a fastText model */
    pluck_head *own;      /* NULL: a fastText model */
    const pluck_head
        *head;     /* of either; NULL: a fastText model whose outputs are no distribution */
    source arrays; /* what a dense head borrows; closed if there are none */
} head_model;

/* Opens path, recognised by its content: the magic number of fastText; a .npy file is the weights
 * [tokens, dim] of a dense head, with flags->bias if given; else a .safetensors file. Returns
 * an exit code, after complain() if it is not EXIT_DONE; then nothing is open. */
int head_model_open(head_model *model, const call *c, const head_flags *flags,
                    const input_flags *input, const char *path);
void head_model_close(head_model *model);

/* The same for a head, and not a fastText model without one. */
int head_model_open_head(head_model *model, const call *c, const head_flags *flags,
                         const input_flags *input, const char *path);

pluck_head_info head_model_info(const head_model *model);

/* The labels or words of a fastText model, else the tokens of the head. */
uint32_t head_model_n_outputs(const head_model *model);

#endif
