/*
 * What an importer is: a table of keys, and a function that adds what absent keys mean.
 */
#ifndef PL_IMPORT_IMPL_H
#define PL_IMPORT_IMPL_H

#include "config/config_impl.h"
#include "json/json_tree.h"

#include <pluck/import.h>

typedef struct pl_import pl_import;
typedef struct pl_import_rule pl_import_rule;
typedef struct pl_importer pl_importer;

typedef pluck_status (*pl_import_reader)(pl_import *import, const pl_import_rule *rule,
                                         const cJSON *node);

/* One key. read says what is done with it; the rest is what read needs. */
struct pl_import_rule {
    const char *key;
    pl_import_reader read;
    const char *note; /* why it is ignored or refused; of mapped keys: what differs, or NULL */
    const char *flat_key;
    const char *stage; /* of flat_key, for engines that name their stages */
    double neutral;    /* the number at which a refused key has no effect */
};

struct pl_importer {
    const char *name;
    const pl_import_rule *rules; /* up to one without a key */
    const char *order;           /* the value of "order", unless finish sets another */
    pluck_status (*start)(pl_import *import);
    pluck_status (*finish)(pl_import *import); /* what absent keys mean */
};

enum { PL_IMPORT_ORDER_BYTES = 512 };

struct pl_import {
    const pl_importer *importer;
    const pl_json *json;
    pluck_config *config;
    pluck_import_report report;
    void *user;
    pluck_error *err;
    bool greedy;     /* stages that only matter to random draws are left out */
    char *biases;    /* members of a bias map as JSON: "7": -2, "9": false */
    size_t n_biases; /* bytes of them */
    size_t biases_capacity;
    char order[PL_IMPORT_ORDER_BYTES]; /* the value of "order" */
};

extern const pl_importer pl_import_huggingface;
extern const pl_importer pl_import_llama_cpp;
extern const pl_importer pl_import_vllm;
extern const pl_importer pl_import_openai;

/* Readers that rules name. A value of null is "not set" for all of them. */

/* Does not matter here: note says why. */
pluck_status pl_import_ignore(pl_import *import, const pl_import_rule *rule, const cJSON *node);

/* Refused with its note unless the value has no effect: false, 0, the neutral number, "", [],
 * {}. */
pluck_status pl_import_refuse(pl_import *import, const pl_import_rule *rule, const cJSON *node);

/* The value of flat_key. */
pluck_status pl_import_copy(pl_import *import, const pl_import_rule *rule, const cJSON *node);

/* The same for a number that at 0 and below means "off", which pluck writes as 0. */
pluck_status pl_import_at_least_0(pl_import *import, const pl_import_rule *rule, const cJSON *node);

/* A number below 0, and what all bits set is in 32, ask the system for a seed. */
pluck_status pl_import_seed(pl_import *import, const pl_import_rule *rule, const cJSON *node);

/* A map from token ids to biases. */
pluck_status pl_import_bias_map(pl_import *import, const pl_import_rule *rule, const cJSON *node);

/* For readers. */

/* What became of a key; note may be NULL. */
void pl_import_tell(pl_import *import, const char *key, pluck_import_fate fate, const char *note);

/* Sets a flat key; an error is told at node. */
pluck_status pl_import_set(pl_import *import, const cJSON *node, const char *flat_key,
                           const char *json_value);

/* The same, told as the meaning of an absent key. */
pluck_status pl_import_default(pl_import *import, const char *key, const char *flat_key,
                               const char *json_value);

/* Sets a flat key to the value of node as it is written in the text. */
pluck_status pl_import_set_copy(pl_import *import, const cJSON *node, const char *flat_key);

/* Adds a member to the bias map that is set at the end. value: its JSON. */
pluck_status pl_import_add_bias(pl_import *import, const cJSON *node, const char *token,
                                const char *value);

/* The text of a value, from the source; freed with pl_free(). NULL after pl_fail(). */
char *pl_import_text(pl_import *import, const cJSON *node, size_t *length);

/* A member of the whole object; NULL too if it is null. */
const cJSON *pl_import_member(const pl_import *import, const char *key);

/* Whether a member is there and is the number 0, "true" and so on. */
bool pl_import_is_true(const pl_import *import, const char *key);
double pl_import_number(const pl_import *import, const char *key, double absent);

#endif
