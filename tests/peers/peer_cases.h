/*
 * Random chains on random logits for libllama and pluck alike.
 */
#ifndef PEER_CASES_H
#define PEER_CASES_H

#include <pluck/pluck.h>

enum {
    MAX_VOCAB = 128256,
    MAX_STAGES = 6,
    MAX_HISTORY = 400,
    MAX_BREAKERS = 5,
    MAX_BREAKER = 3,
    TEXT_BYTES = 4096
};

typedef enum stage_kind {
    TOP_K,
    TOP_P,
    MIN_P,
    TYPICAL,
    TEMPERATURE,
    DYNAMIC,
    TOP_N_SIGMA,
    XTC,
    PENALTIES,
    DRY,
    BIAS,
    N_STAGES,
    MIROSTAT = N_STAGES,
    MIROSTAT_V2,
    ADAPTIVE_P,
    CATEGORICAL
} stage_kind;

typedef struct breaker {
    int32_t tokens[MAX_BREAKER];
    size_t n;
} breaker;

typedef struct stage {
    stage_kind kind;
    double a, b, c;
    int32_t n, min_keep;
    breaker breakers[MAX_BREAKERS]; /* of dry */
    size_t n_breakers;
} stage;

typedef struct peer_case {
    uint64_t seed;
    uint32_t n_vocab;
    float *logits;
    pluck_token history[MAX_HISTORY];
    size_t n_history;
    stage stages[MAX_STAGES];
    size_t n_stages;
    stage draw;
    bool ties;
    bool chance; /* one xtc acts with a probability below 1 */
} peer_case;

/* logits has room for MAX_VOCAB values. A seed always makes the same case. */
void peer_case_make(peer_case *c, uint64_t seed);

/* dry alone, after a history in which much is repeated, with up to MAX_BREAKERS breakers of tokens
 * that occur in it. */
void peer_case_make_dry(peer_case *c, uint64_t seed);

/* The configuration for pluck. loose: how much looser each parameter is, so that more tokens
 * survive; < 0: fewer. acts: whether stages of chance (xtc) act. */
void peer_case_json(const peer_case *c, double loose, bool acts, char text[TEXT_BYTES]);

/* Makes equal logits different, the lower token the larger one, by as little as floats can. */
void peer_case_break_ties(peer_case *c);

bool peer_case_has(const peer_case *c, stage_kind kind);

#endif
