/*
 * What an importer is: a table of keys, and functions that see what no single key says: the order
 * of the stages, and what absent keys mean.
 *
 * A text is read key by key into flat configurations, the parts. Part 0 holds nearly everything;
 * another part holds the parameters of a stage that runs a second time with other values. The chain
 * lists stages in the engine's order, each with its part. In the end the chain becomes "order" if
 * no stage occurs twice, else the explicit form.
 *
 * A failure stays in the import: after it nothing is set, added or said any more, numbers are NaN,
 * and the one place that calls a reader looks at it.
 */
#ifndef PLK_IMPORT_IMPL_H
#define PLK_IMPORT_IMPL_H

#include "base/error.h"
#include "config/config_impl.h"
#include "json/json.h"

#include <pluck/config.h>

typedef struct plk_import plk_import;
typedef struct plk_import_rule plk_import_rule;
typedef struct plk_importer plk_importer;

typedef void (*plk_import_reader)(plk_import *import, const plk_import_rule *rule,
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
    plk_import_reader read; /* NULL: plk_import_number */
    const char *note;     /* why it is ignored or refused; of mapped keys: what differs, or NULL */
    const char *flat_key; /* NULL: has the same name */
    const char *stage;    /* of flat_key, for engines that name their stages */
    const char *off;      /* values without effect, by spaces: plk_import_is_off() */
    const char *off_as;   /* the flat key's value for those; NULL: "0" */
    const plk_import_limits *limits;
};

#define PLK_REFUSE(name, values, why)                                                              \
    {                                                                                              \
        .key = name, .read = plk_import_refuse, .off = values, .note = why                         \
    }

/* Keys that do not matter here, by spaces, and why. */
typedef struct plk_import_group {
    const char *note, *keys;
} plk_import_group;

/* What an absent key means. */
typedef struct plk_import_default {
    const char *key, *flat_key, *json_value;
    const char *stage; /* only if it runs in part 0; NULL: always */
} plk_import_default;

/* Biases of one token that come together. */
typedef enum plk_import_merge {
    PLK_IMPORT_LAST, /* the last counts, but a ban always does */
    PLK_IMPORT_SUM
} plk_import_merge;

struct plk_importer {
    const char *name;
    const char *title;               /* the engine's name for messages */
    const plk_import_rule *rules;    /* up to one without a key */
    const plk_import_group *ignored; /* up to one without a note */
    bool is_chat;      /* its requests may have those keys of OpenAI's that do not matter either */
    const char *order; /* the chain, unless start sets another; by spaces */
    const char *wrappers; /* its own keys whose objects hold more keys; by spaces, or NULL */
    plk_import_merge merge;
    bool lax; /* "0.7" in quotes is the number 0.7 */
    void (*start)(plk_import *import);
    /* Why a key has no effect in this text, whatever its value is; NULL: it has. */
    const char *(*why_idle)(const plk_import *import, const plk_import_rule *rule);
    const plk_import_default *defaults; /* up to one without a key; set before finish */
    void (*finish)(plk_import *import); /* what else absent keys mean */
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
    pluck_status status; /* of the first failure */
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

#define PLK_NO_EFFECT "this value has no effect"

/* import_read.c: readers of keys that the tables of all engines share, and what an engine's own
 * readers need. */

/* What engines do with numbers, by far the most of them. */
extern const plk_import_limits plk_rejects_below_0, plk_rejects_below_1, plk_rejects_to_0,
    plk_rejects_outside_1, plk_rejects_to_0_above_1, plk_clamps_at_0, plk_clamps_at_0_and_1,
    plk_clamps_whole;

/* Readers that rules name. null never reaches them. */

/* Does not matter here: note says why. */
void plk_import_ignore(plk_import *import, const plk_import_rule *rule, const plk_json_node *node);

/* Is what the flat key or draw is that note names. */
void plk_import_mapped(plk_import *import, const plk_import_rule *rule, const plk_json_node *node);

/* Refused with its note unless the value is one of off. */
void plk_import_refuse(plk_import *import, const plk_import_rule *rule, const plk_json_node *node);

/* A number as the value of flat_key, by off and limits. */
void plk_import_number(plk_import *import, const plk_import_rule *rule, const plk_json_node *node);

/* The same, which does nothing in a greedy import. */
void plk_import_random_number(plk_import *import, const plk_import_rule *rule,
                              const plk_json_node *node);

/* A seed of 64 bits, below 0 its two's complement; -1 is random. */
void plk_import_seed(plk_import *import, const plk_import_rule *rule, const plk_json_node *node);

/* true or false; note says what it sets, NULL: whether tokens are drawn at random. */
void plk_import_switch(plk_import *import, const plk_import_rule *rule, const plk_json_node *node);

/* An object from token ids to numbers; limits are of the numbers. */
void plk_import_bias_map(plk_import *import, const plk_import_rule *rule,
                         const plk_json_node *node);

/* An array of token ids that are banned. Negative ones are none. */
void plk_import_ban_list(plk_import *import, const plk_import_rule *rule,
                         const plk_json_node *node);

/* "3, 17": ids of tokens that are banned, by commas. */
void plk_import_ban_text(plk_import *import, const plk_import_rule *rule,
                         const plk_json_node *node);

/* Refused unless its "type" is one of off. */
void plk_import_format(plk_import *import, const plk_import_rule *rule, const plk_json_node *node);

/* The same for the member "format" of an object; without one the key is ignored with its note. */
void plk_import_text(plk_import *import, const plk_import_rule *rule, const plk_json_node *node);

/* For readers. */

/* What became of the key that is read. format may be NULL. */
void plk_import_say(plk_import *import, pluck_import_fate fate, const char *format, ...)
    PLK_PRINTF(3, 4);

/* The same of an absent key. */
void plk_import_say_of(plk_import *import, const char *key, pluck_import_fate fate,
                       const char *format, ...) PLK_PRINTF(4, 5);

/* Fails at the node: "expected ", what, and what is there instead. */
void plk_import_fail_kind(plk_import *import, const plk_json_node *node, const char *expected);

/* Fails with PLUCK_ERR_CONFIG, or PLUCK_ERR_NOMEM. */
void plk_import_fail(plk_import *import, pluck_status status);

/* Whether a value is one of off: words "0", "<=0", ">=1", "true", "null", "[]", "{}", "\"\"", or a
 * string itself. off may be NULL. */
bool plk_import_is_off(const plk_import *import, const char *off, const plk_json_node *node);

/* The number that a node is. Fails at the node for what is not one. */
double plk_import_number_of(plk_import *import, const plk_json_node *node);

/* A token id; false for what is not one. */
bool plk_import_token_of(const plk_json_node *node, pluck_token *token);

/* Sets a flat key of the current part, and returns whether it is set. A value that is refused is an
 * error. */
bool plk_import_set(plk_import *import, const char *flat_key, const char *json_value);

/* The same for a value of the text, whose refusal is said of the key that is read. */
bool plk_import_try(plk_import *import, const char *flat_key, const char *json_value);
bool plk_import_try_number(plk_import *import, const char *flat_key, double value);

/* Sets flat_key and says it as the meaning of an absent key. */
void plk_import_set_default(plk_import *import, const char *key, const char *flat_key,
                            const char *json_value);

/* A member of the text that is not overridden; NULL too if it is null. */
const plk_json_node *plk_import_member_of(const plk_import *import, const char *key);
bool plk_import_is_true(const plk_import *import, const char *key);
/* absent: also of what is not a number. */
double plk_import_number_at(const plk_import *import, const char *key, double absent);

/* Biases and lists of tokens; and import.c: the chain, and the configuration that is made of it. */

/* value: -infinity bans. */
void plk_import_add_bias(plk_import *import, pluck_token token, double value);

/* Merges what was added, as the engine merges biases of one token, and sets it. */
void plk_import_set_biases(plk_import *import);

/* "[2,7]": the ids of an array or of one number, each once, without negative ones; freed with
 * plk_free(). NULL if there are none, or memory is short. node may be NULL. */
char *plk_import_token_list(plk_import *import, const plk_json_node *node);

/* Starts the chain anew, or goes on with it, from names of stages by spaces. */
void plk_import_start_chain(plk_import *import, const char *stages);
void plk_import_append(plk_import *import, const char *stages, unsigned part);
bool plk_import_runs(const plk_import *import, const char *stage);
bool plk_import_runs_in(const plk_import *import, const char *stage, unsigned part);

/* Whether the current part configures a stage. */
bool plk_import_configures(const plk_import *import, const char *stage);

/* Penalties of a part, if it has any: of the last n tokens (as JSON; "-1": all), of the output
 * alone or of the prompt too. */
void plk_import_set_window(plk_import *import, unsigned part, const char *last_n,
                           bool ignore_prompt);

/* import_text.c: texts that are not JSON, as JSON, for plk_importer.convert. */

pluck_status plk_import_modelfile(const char *text, size_t n, const pluck_allocator *allocator,
                                  char **json, pluck_error *err);
pluck_status plk_import_yaml(const char *text, size_t n, const pluck_allocator *allocator,
                             char **json, pluck_error *err);

#endif
