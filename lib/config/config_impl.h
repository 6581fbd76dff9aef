/*
 * What a pluck_config is inside, and its list of stages. The public accessors of <pluck/config.h>
 * are all that a sampler needs.
 */
#ifndef PLK_CONFIG_IMPL_H
#define PLK_CONFIG_IMPL_H

#include "base/alloc.h"
#include "stages/stage_impl.h"

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

/* Moves the content of *from into *to, which is freed first. */
void plk_config_move(pluck_config *to, pluck_config *from);

#endif
