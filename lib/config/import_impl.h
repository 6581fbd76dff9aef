/*
 * What an importer is: a table of keys, and functions that see what no single key says: the order
 * of the stages, and what absent keys mean.
 *
 * A text is read key by key into flat configurations, the parts. Part 0 holds nearly everything;
 * another part holds the parameters of a stage that runs a second time with other values. The chain
 * lists stages in the engine's order, each with its part. In the end the chain becomes "order" if
 * no stage occurs twice, else the explicit form.
 */
#ifndef PL_IMPORT_IMPL_H
#define PL_IMPORT_IMPL_H

#include "base/error.h"
#include "config/config_impl.h"
#include "json/json_tree.h"

#include <pluck/import.h>

typedef struct pl_import pl_import;
typedef struct pl_import_rule pl_import_rule;
typedef struct pl_importer pl_importer;

typedef pluck_status (*pl_import_reader)(pl_import *import, const pl_import_rule *rule,
                                         const cJSON *node);

/* What an engine does with a number outside its limits. */
typedef enum pl_import_outside {
    PL_IMPORT_CLAMPS, /* takes the nearest limit */
    PL_IMPORT_REJECTS /* answers with an error: the key is refused */
} pl_import_outside;

typedef struct pl_import_limits {
    double low, high; /* both allowed … */
    pl_import_outside outside;
    bool above_low; /* … except low itself */
    bool whole;     /* a fraction is cut off */
} pl_import_limits;

/* One key. read says what is done with it; the rest is what read needs. */
struct pl_import_rule {
    const char *key;
    pl_import_reader read;
    const char *note; /* why it is ignored or refused; of mapped keys: what differs, or NULL */
    const char *flat_key;
    const char *stage;  /* of flat_key, for engines that name their stages */
    const char *off;    /* values without effect, by spaces: pl_import_is_off() */
    const char *off_as; /* the flat key's value for those; NULL: "0" */
    const pl_import_limits *limits;
};

/* Biases of one token that come together. */
typedef enum pl_import_merge {
    PL_IMPORT_LAST, /* the last counts, but a ban always does */
    PL_IMPORT_SUM
} pl_import_merge;

struct pl_importer {
    const char *name;
    const char *title;           /* the engine's name for messages */
    const pl_import_rule *rules; /* up to one without a key */
    const char *order;           /* the chain, unless start sets another; by spaces */
    const char *wrappers;        /* its own keys whose objects hold more keys; by spaces, or NULL */
    pl_import_merge merge;
    bool lax; /* "0.7" in quotes is the number 0.7 */
    pluck_status (*start)(pl_import *import);
    pluck_status (*finish)(pl_import *import); /* what absent keys mean */
    /* JSON from another form of text, or NULL in *json if it is not that form: import_text.c. */
    pluck_status (*convert)(const char *text, size_t n, const pluck_allocator *allocator,
                            char **json, pluck_error *err);
};

/* A key that is read, of the object itself or of one inside: "options.top_k". */
typedef struct pl_import_member {
    const cJSON *node;
    char *path; /* NULL: the key itself */
    unsigned depth;
    const struct pl_import_member *instead; /* a deeper one with the same key overrides it */
    bool is_refused;                        /* for its type: as good as absent */
} pl_import_member;

typedef struct pl_import_link {
    const pl_stage *stage;
    unsigned part;
} pl_import_link;

enum { PL_IMPORT_PARTS = 4, PL_IMPORT_CHAIN = 64 };

struct pl_import {
    const pl_importer *importer;
    const pl_json *json;
    pluck_config *parts[PL_IMPORT_PARTS]; /* NULL: nothing was set there */
    unsigned part;                        /* the one that is set */
    const pluck_allocator *allocator;
    pl_import_member *members;
    size_t n_members;
    const pl_import_member *current;
    pluck_import_report report;
    void *user;
    pluck_error *err;
    bool greedy;  /* stages that only matter to random draws are left out */
    int mirostat; /* the version that runs; 0: none */
    pluck_bias *biases;
    size_t n_biases, biases_capacity;
    pl_import_link chain[PL_IMPORT_CHAIN];
    size_t n_chain;
};

extern const pl_importer pl_import_exllamav3;
extern const pl_importer pl_import_huggingface;
extern const pl_importer pl_import_koboldcpp;
extern const pl_importer pl_import_llama_cpp;
extern const pl_importer pl_import_ollama;
extern const pl_importer pl_import_openai;
extern const pl_importer pl_import_vllm;
extern const pl_importer pl_import_webui;

/* import.c */
const pl_import_rule *pl_import_find_rule(const pl_importer *importer, const char *key);

/* Notes that engines share. */
#define PL_NOTE_PROMPT "about the prompt"
#define PL_NOTE_LENGTH "limits the length of the output, which pluck does not control"
#define PL_NOTE_END    "ends the output, which the engine decides"
#define PL_NOTE_SERVER "about the server's work and its answer"
#define PL_NOTE_MODEL  "about the model"
#define PL_NOTE_MEMORY "about memory and speed"
#define PL_NOTE_MASK   "constrains the text, which an engine does with a mask for each token"
#define PL_NOTE_COUNT  "the number of outputs: each has a sampler of its own"
#define PL_NOTE_BEAMS  "beam search is not sampling; pluck does not have it"
#define PL_NOTE_EOS    "needs the ids of the end-of-text tokens; ban them with logit_bias"
#define PL_NOTE_WORDS  "words need a vocabulary; give token ids instead"
#define PL_NOTE_SPEED  "speculative decoding does not change the distribution"

#endif
