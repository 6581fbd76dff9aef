/*
 * What an importer is: a table of keys, and functions that see what no single key says: the order
 * of the stages, and what absent keys mean.
 *
 * A text is read key by key into flat configurations, the parts. Part 0 holds nearly everything;
 * another part holds the parameters of a stage that runs a second time with other values. The chain
 * lists stages in the engine's order, each with its part. In the end the chain becomes "order" if
 * no stage occurs twice, else the explicit form.
 */
#ifndef PLK_IMPORT_IMPL_H
#define PLK_IMPORT_IMPL_H

#include "base/error.h"
#include "config/config_impl.h"
#include "json/tree.h"

#include <pluck/config.h>

typedef struct plk_import plk_import;
typedef struct plk_import_rule plk_import_rule;
typedef struct plk_importer plk_importer;

typedef pluck_status (*plk_import_reader)(plk_import *import, const plk_import_rule *rule,
                                          const plk_json_node *node);

/* What an engine does with a number outside its limits. */
typedef enum plk_import_outside {
    PLK_IMPORT_CLAMPS, /* takes the nearest limit */
    PLK_IMPORT_REJECTS /* answers with an error: the key is refused */
} plk_import_outside;

typedef struct plk_import_limits {
    double low, high; /* both allowed … */
    plk_import_outside outside;
    bool above_low; /* … except low itself */
    bool whole;     /* a fraction is cut off */
} plk_import_limits;

/* One key. read says what is done with it; the rest is what read needs. */
struct plk_import_rule {
    const char *key;
    plk_import_reader read;
    const char *note; /* why it is ignored or refused; of mapped keys: what differs, or NULL */
    const char *flat_key;
    const char *stage;  /* of flat_key, for engines that name their stages */
    const char *off;    /* values without effect, by spaces: plk_import_is_off() */
    const char *off_as; /* the flat key's value for those; NULL: "0" */
    const plk_import_limits *limits;
};

/* Biases of one token that come together. */
typedef enum plk_import_merge {
    PLK_IMPORT_LAST, /* the last counts, but a ban always does */
    PLK_IMPORT_SUM
} plk_import_merge;

struct plk_importer {
    const char *name;
    const char *title;            /* the engine's name for messages */
    const plk_import_rule *rules; /* up to one without a key */
    const char *order;            /* the chain, unless start sets another; by spaces */
    const char *wrappers; /* its own keys whose objects hold more keys; by spaces, or NULL */
    plk_import_merge merge;
    bool lax; /* "0.7" in quotes is the number 0.7 */
    pluck_status (*start)(plk_import *import);
    pluck_status (*finish)(plk_import *import); /* what absent keys mean */
    /* JSON from another form of text, or NULL in *json if it is not that form: import_text.c. */
    pluck_status (*convert)(const char *text, size_t n, const pluck_allocator *allocator,
                            char **json, pluck_error *err);
};

/* A key that is read, of the object itself or of one inside: "options.top_k". */
typedef struct plk_import_member {
    const plk_json_node *node;
    char *path; /* NULL: the key itself */
    unsigned depth;
    const struct plk_import_member *instead; /* a deeper one with the same key overrides it */
    bool is_refused;                         /* for its type: as good as absent */
} plk_import_member;

typedef struct plk_import_link {
    const plk_stage *stage;
    unsigned part;
} plk_import_link;

enum { PLK_IMPORT_PARTS = 4, PLK_IMPORT_CHAIN = 64 };

struct plk_import {
    const plk_importer *importer;
    const plk_json *json;
    pluck_config *parts[PLK_IMPORT_PARTS]; /* NULL: nothing was set there */
    unsigned part;                         /* the one that is set */
    const pluck_allocator *allocator;
    plk_import_member *members;
    size_t n_members;
    const plk_import_member *current;
    pluck_import_report report;
    void *user;
    pluck_error *err;
    bool greedy;  /* stages that only matter to random draws are left out */
    int mirostat; /* the version that runs; 0: none */
    pluck_bias *biases;
    size_t n_biases, biases_capacity;
    plk_import_link chain[PLK_IMPORT_CHAIN];
    size_t n_chain;
};

extern const plk_importer plk_import_exllamav3;
extern const plk_importer plk_import_huggingface;
extern const plk_importer plk_import_koboldcpp;
extern const plk_importer plk_import_llama_cpp;
extern const plk_importer plk_import_ollama;
extern const plk_importer plk_import_openai;
extern const plk_importer plk_import_vllm;
extern const plk_importer plk_import_webui;

/* import.c */
const plk_import_rule *plk_import_find_rule(const plk_importer *importer, const char *key);

/* Notes that engines share. */
#define PLK_NOTE_PROMPT "about the prompt"
#define PLK_NOTE_LENGTH "limits the length of the output, which pluck does not control"
#define PLK_NOTE_END    "ends the output, which the engine decides"
#define PLK_NOTE_SERVER "about the server's work and its answer"
#define PLK_NOTE_MODEL  "about the model"
#define PLK_NOTE_MEMORY "about memory and speed"
#define PLK_NOTE_MASK   "constrains the text, which an engine does with a mask for each token"
#define PLK_NOTE_COUNT  "the number of outputs: each has a sampler of its own"
#define PLK_NOTE_BEAMS  "beam search is not sampling; pluck does not have it"
#define PLK_NOTE_EOS    "needs the ids of the end-of-text tokens; ban them with logit_bias"
#define PLK_NOTE_WORDS  "words need a vocabulary; give token ids instead"
#define PLK_NOTE_SPEED  "speculative decoding does not change the distribution"

#endif
