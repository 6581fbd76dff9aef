/*
 * The keys at the top of a configuration that belong to no stage: one row each, with how it is
 * read, written and described.
 */
#ifndef PLK_CONFIG_KEYS_H
#define PLK_CONFIG_KEYS_H

#include "config/config_impl.h"
#include "json/tree.h"
#include "json/write.h"

typedef struct plk_config_reader {
    const plk_json *json;
    pluck_config *config;
    bool setting; /* pluck_config_set_json: a key replaces what was given before */
    pluck_error *err;
} plk_config_reader;

/* Bits of plk_config_key.forms: where the key may stand. */
enum { PLK_FORM_FLAT = 1, PLK_FORM_EXPLICIT = 2, PLK_FORM_BOTH = 3 };

typedef struct plk_config_key {
    const char *name; /* NULL: stands for the flat keys of all stages */
    unsigned forms;
    pluck_status (*read)(const plk_config_reader *reader, const plk_json_node *value);
    void (*write)(const pluck_config *config, plk_writer *writer); /* key and value, if given */
    void (*schema)(plk_writer *writer);                            /* key and schema */
    const char *not_explicit; /* of keys of the flat form: why not beside "stages" */
} plk_config_key;

/* In the order in which they are written. */
extern const plk_config_key plk_config_keys[];
extern const size_t plk_n_config_keys;

/* The row with this name, or NULL. */
const plk_config_key *plk_config_key_find(const char *name);

#endif
