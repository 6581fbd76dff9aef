/*
 * What a pluck_config is inside, its list of stages, and its parts as JSON. The public accessors of
 * <pluck/config.h> are all that a sampler needs.
 */
#ifndef PLK_CONFIG_IMPL_H
#define PLK_CONFIG_IMPL_H

#include "base/alloc.h"
#include "base/text.h"
#include "stages/stage_impl.h"
#include "json/json.h"

#include <pluck/config.h>

/* A stage that the configuration says something about. Bit i of given: parameter i was set, and is
 * written back; given_in_draw: it was set inside "draw". */
typedef struct plk_config_entry {
    const plk_stage *stage;
    void *params;
    uint64_t given;
    uint64_t given_in_draw;
} plk_config_entry;

/*
 * entries: in the explicit form, the stages in running order and then the draw; in the flat form,
 * any order, the draw among them, and stages that only a shared key ("min_keep") mentions and that
 * do not run.
 */
struct pluck_config {
    pluck_allocator allocator;
    const pluck_registry *registry; /* of the application, or NULL */
    bool explicit_form;
    plk_config_entry *entries;
    size_t n_entries, capacity;
    size_t *running; /* indices of entries in running order, the draw last */
    size_t n_running;
    const plk_stage *draw;
    bool has_draw;     /* "draw" was given */
    bool has_mirostat; /* "mirostat" was given, … */
    int mirostat;      /* … as 0: no, 1 or 2: the draw of this version */
    bool has_order;
    const plk_stage **order;
    size_t n_order;
    bool has_seed, random_seed;
    uint64_t seed;
    bool has_on_nan;
    pluck_on_nan on_nan;
    char *schema_uri;  /* "$schema", or NULL     */
    char *description; /* "description", or NULL */
};

/* Bits of given: a stage has at most this many parameters. */
enum { PLK_MAX_PARAMS = 64 };

bool plk_is_draw(const plk_stage *stage);

/* Whether more than one stage has this flat key as its own: such a key configures no stage by
 * itself. */
bool plk_flat_key_is_shared(const char *flat_key);

/* Index of the stage's first entry; n_entries if there is none. */
size_t plk_config_find(const pluck_config *config, const plk_stage *stage);

/* A new entry at this index, with defaults. */
pluck_status plk_config_insert(pluck_config *config, size_t index, const plk_stage *stage,
                               pluck_error *err);
void plk_config_remove(pluck_config *config, size_t index);

/* Makes stage the draw: its entry exists afterwards, and what "draw" had set is forgotten. */
pluck_status plk_config_choose_draw(pluck_config *config, const plk_stage *stage, pluck_error *err);

/* Sets the running order. In the flat form with "order": the first stage that is configured but not
 * in it goes to *missing (else NULL). */
void plk_config_arrange(pluck_config *config, const plk_stage **missing);

/* {}: pluck_config_create with an allocator, which may be NULL. On failure *out is NULL. */
pluck_status plk_config_create(pluck_config **out, const pluck_allocator *allocator,
                               pluck_error *err);

/* "$schema" and "description" of another configuration; config has none. */
pluck_status plk_config_copy_texts(pluck_config *config, const pluck_config *from,
                                   pluck_error *err);

/* Moves the content of *from into *to, which is freed first. */
void plk_config_move(pluck_config *to, pluck_config *from);

/* The explicit form of a configuration in the flat one, with copies of these entries as its stages
 * and the draw that the flat one has. On failure *out is NULL. */
pluck_status plk_config_make_explicit(pluck_config **out, const pluck_config *flat,
                                      const plk_config_entry *const *entries, size_t n,
                                      pluck_error *err);

/* param_json.c: parameters as JSON, one row per pluck_param_type. */

typedef struct plk_param_reader {
    const plk_json *json;
    const pluck_allocator *allocator;
    bool name_value; /* messages say "p = 1.7", not only "1.7": the path does not end in the name */
    pluck_error *err;
} plk_param_reader;

/* Checks type and range. *value is the caller's afterwards, to be moved into a block or freed; on
 * failure nothing is written. */
pluck_status plk_param_read(const plk_param_reader *reader, const plk_json_node *node,
                            const pluck_param *param, plk_param_value *value);

/* The order of biases and of tokens, for plk_sort(). */
bool plk_bias_before(const void *a, const void *b);
bool plk_token_before(const void *a, const void *b);

/* A value of a parameter's type. */
void plk_value_write(plk_writer *writer, pluck_param_type type, const void *value);

/* The schema of the value: an object. */
void plk_param_schema(plk_writer *writer, const pluck_param *param);

/* The keys at the top of a configuration that belong to no stage: one row each, with how it is
 * read, written and described. */

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
    const char *not_explicit; /* of keys of the flat form: why not next to "stages" */
} plk_config_key;

/* In the order in which they are written. */
extern const plk_config_key plk_config_keys[];
extern const size_t plk_n_config_keys;

/* From a JSON tree to a configuration. */

/* The tree is a whole text in either form; reader->config is as just created. On failure it is half
 * changed. */
pluck_status plk_config_read(const plk_config_reader *reader);

/* The tree is the value of one flat key or "stage.param": pluck_config_set_json. On failure
 * reader->config is half changed. */
pluck_status plk_config_read_key(const plk_config_reader *reader, const char *key);

/* config_stages.c: the keys that say which stages run: "stages", "order", "draw" and the flat keys
 * of the stages. */

pluck_status plk_read_order(const plk_config_reader *reader, const plk_json_node *value);
pluck_status plk_read_stages(const plk_config_reader *reader, const plk_json_node *value);
pluck_status plk_read_draw(const plk_config_reader *reader, const plk_json_node *value);
pluck_status plk_read_mirostat(const plk_config_reader *reader, const plk_json_node *value);

/* A flat key of stages in the flat form; PLUCK_OK and *found = false if no stage has it. */
pluck_status plk_read_flat_key(const plk_config_reader *reader, const char *key,
                               const plk_json_node *value, bool *found);

/* pluck_config_set_json on an explicit configuration: as plk_read_flat_key. */
pluck_status plk_set_in_stages(const plk_config_reader *reader, const char *key,
                               const plk_json_node *value, bool *found);

/* The parameter that "stage.param" or a flat key names; NULL if there is none. */
const pluck_param *plk_find_param(const pluck_config *config, const char *key);

/* A stage or draw by its name. NULL, if there is none: nearest is "; did you mean", or "". */
const plk_stage *plk_find_stage(const pluck_registry *registry, const char *name,
                                char nearest[PLK_SUGGESTION_BYTES]);

/* The first stage of the registry with this flat key, or NULL; *rank: its place there, *index: that
 * of the parameter. */
const plk_stage *plk_find_owner(const char *key, size_t *rank, size_t *index);

/* "stage.param": in the last stage of that name. */
pluck_status plk_set_in_stage(const plk_config_reader *reader, const char *key,
                              const plk_json_node *value);

void plk_write_order(const pluck_config *config, plk_writer *writer);
void plk_write_flat_keys(const pluck_config *config, plk_writer *writer);
void plk_write_stages(const pluck_config *config, plk_writer *writer);
void plk_write_draw(const pluck_config *config, plk_writer *writer);
void plk_write_mirostat(const pluck_config *config, plk_writer *writer);

/* Whether parameter i of stage s of the registry is the first there with its flat key. */
bool plk_is_first_of_key(size_t s, size_t i);

/* The schemas of these keys. */

void plk_schema_order(plk_writer *writer);
void plk_schema_flat_keys(plk_writer *writer);
void plk_schema_stages(plk_writer *writer);
void plk_schema_draw(plk_writer *writer);
void plk_schema_mirostat(plk_writer *writer);

#endif
