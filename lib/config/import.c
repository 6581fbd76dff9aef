/*
 * A text of another engine is read key by key. A rule of that engine's table sets flat keys of an
 * empty configuration, says why the key does not matter, or refuses it; the engine then adds what
 * its absent keys mean, and the order comes last, when all stages are there. All values go through
 * pluck_config_set_json(), so that types and ranges are those of the flat form.
 *
 * Bodies are often wrapped: {"options": {"top_k": 40}}. The members of such an object count as if
 * they stood outside; where a key comes twice, the inner one wins, as it does in the clients that
 * merge such objects into the body.
 */
#include "config/import_impl.h"

#include "base/alloc.h"
#include "base/text.h"
#include "simd/fp_state.h"

#include <pluck/config.h>

#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* By pluck_import_format. */
static const plk_importer *const importers[] = {
    &plk_import_huggingface, &plk_import_llama_cpp, &plk_import_vllm,   &plk_import_openai,
    &plk_import_webui,       &plk_import_koboldcpp, &plk_import_ollama, &plk_import_exllamav3};
enum { N_IMPORTERS = sizeof importers / sizeof *importers };

/* The formats from here on share most keys with the others: only a key that no other has makes a
 * text theirs. */
enum { FIRST_RELATIVE = PLUCK_IMPORT_TEXT_GENERATION_WEBUI };

/* Of requests in the form of OpenAI's chats and completions. */
static const plk_import_group chat_ignored[] = {
    {PLK_NOTE_COUNT, "n"},
    {PLK_NOTE_LENGTH, "max_tokens max_completion_tokens"},
    {PLK_NOTE_END, "stop"},
    {PLK_NOTE_MODEL, "model"},
    {PLK_NOTE_PROMPT, "messages prompt"},
    {PLK_NOTE_SERVER, "echo logprobs stream stream_options top_logprobs"},
    {NULL, NULL},
};

/* Keys whose objects hold more keys, for all engines. */
static const char wrappers[] = "body default_generation_settings extra_body generation_config "
                               "generation_settings options parameters params sampling_params";

const char *pluck_import_format_name(pluck_import_format format)
{
    return (unsigned)format < N_IMPORTERS ? importers[format]->name : NULL;
}

pluck_status pluck_import_format_from_name(const char *name, pluck_import_format *format,
                                           pluck_error *err)
{
    char list[160];
    size_t n = 0;
    if (!name || !format)
        return plk_fail(err, PLUCK_ERR_INVALID, "name or format is NULL");
    for (unsigned i = 0; i < N_IMPORTERS; i++) {
        if (strcmp(importers[i]->name, name) == 0) {
            *format = (pluck_import_format)i;
            return PLUCK_OK;
        }
        n += (size_t)snprintf(list + n, sizeof list - n, "%s%s", n != 0 ? ", " : "",
                              importers[i]->name);
    }
    return plk_fail(err, PLUCK_ERR_INVALID, "unknown format '%.40s'; expected one of %s", name,
                    list);
}

const char *pluck_import_fate_name(pluck_import_fate fate)
{
    static const char *const names[] = {"mapped", "ignored", "refused"};
    return (unsigned)fate < sizeof names / sizeof *names ? names[fate] : NULL;
}

/* Whether a word is one of a list by spaces. */
static bool is_listed(const char *list, const char *word)
{
    size_t n = strlen(word);
    if (n == 0 || strchr(word, ' '))
        return false;
    for (const char *at = list; at && (at = strstr(at, word)); at += n)
        if ((at == list || at[-1] == ' ') && (at[n] == ' ' || at[n] == '\0'))
            return true;
    return false;
}

/* What an engine does with a key: a row of its table, or of one that ignores; false if it does not
 * know the key. */
static bool find_rule(const plk_importer *importer, const char *key, plk_import_rule *rule)
{
    const plk_import_group *groups[] = {importer->ignored, importer->is_chat ? chat_ignored : NULL};
    for (const plk_import_rule *row = importer->rules; row->key; row++) {
        if (strcmp(row->key, key) == 0) {
            *rule = *row;
            rule->read = row->read ? row->read : plk_import_number;
            rule->flat_key = row->flat_key ? row->flat_key : key;
            return true;
        }
    }
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        for (const plk_import_group *group = groups[i]; group && group->note; group++) {
            if (is_listed(group->keys, key)) {
                *rule =
                    (plk_import_rule){.key = key, .read = plk_import_ignore, .note = group->note};
                return true;
            }
        }
    }
    return false;
}

static bool knows(const plk_importer *importer, const char *key)
{
    plk_import_rule rule;
    return find_rule(importer, key, &rule);
}

enum { WORD_BYTES = 64 };

/* Offers the keys of groups; the nearest one is kept in best. */
static void offer_ignored(plk_suggestion *suggestion, const plk_import_group *groups,
                          char best[WORD_BYTES])
{
    for (; groups && groups->note; groups++) {
        for (const char *at = groups->keys; *at != '\0';) {
            char word[WORD_BYTES];
            size_t n = strcspn(at, " ");
            (void)snprintf(word, sizeof word, "%.*s", (int)n, at);
            plk_suggest_offer(suggestion, word, NULL);
            if (suggestion->best == word) {
                memcpy(best, word, sizeof word);
                suggestion->best = best;
            }
            at += n + (at[n] == ' ');
        }
    }
}

static bool is_wrapper(const plk_importer *importer, const plk_json_node *node)
{
    if (!plk_json_is(node, PLK_JSON_OBJECT))
        return false;
    return is_listed(importer->wrappers, plk_json_key(node)) ||
           (is_listed(wrappers, plk_json_key(node)) && !knows(importer, plk_json_key(node)));
}

static size_t count_members(const plk_importer *importer, const plk_json_node *object)
{
    size_t n = 0;
    for (const plk_json_node *node = plk_json_child(object); node; node = plk_json_sibling(node))
        n += is_wrapper(importer, node) ? count_members(importer, node) : 1;
    return n;
}

static pluck_status collect(plk_import *import, const plk_json_node *object, const char *prefix,
                            unsigned depth)
{
    for (const plk_json_node *node = plk_json_child(object); node; node = plk_json_sibling(node)) {
        size_t n = strlen(prefix) + strlen(plk_json_key(node)) + 2;
        bool wraps = is_wrapper(import->importer, node);
        char *path = NULL;
        if (wraps || depth > 0) {
            path = plk_alloc(import->allocator, n, 1);
            if (!path)
                return plk_fail_nomem(import->err, n);
            snprintf(path, n, "%s%s%s", prefix, plk_json_key(node), wraps ? "." : "");
        }
        if (!wraps) {
            import->members[import->n_members++] =
                (plk_import_member){.node = node, .path = path, .depth = depth};
            continue;
        }
        pluck_status status = collect(import, node, path, depth + 1);
        plk_free(import->allocator, path);
        if (status != PLUCK_OK)
            return status;
    }
    return PLUCK_OK;
}

/* By key; of equal keys the one that counts comes last. */
static bool member_before(const void *a, const void *b)
{
    const plk_import_member *left = *(plk_import_member *const *)a;
    const plk_import_member *right = *(plk_import_member *const *)b;
    int order = strcmp(plk_json_key(left->node), plk_json_key(right->node));
    return order != 0 ? order < 0 : left->depth < right->depth;
}

/* Finds keys that come twice. */
static pluck_status find_overridden(plk_import *import)
{
    size_t n = import->n_members;
    plk_import_member **order = plk_alloc(import->allocator, n, 2 * sizeof(plk_import_member *));
    if (!order)
        return plk_fail_nomem(import->err, n * 2 * sizeof(plk_import_member *));
    for (size_t i = 0; i < n; i++)
        order[i] = &import->members[i];
    plk_sort(order, order + n, n, sizeof(plk_import_member *), member_before);
    for (size_t i = n; i-- > 1;) {
        plk_import_member *member = order[i - 1], *next = order[i];
        if (strcmp(plk_json_key(member->node), plk_json_key(next->node)) == 0)
            member->instead = next->instead ? next->instead : next;
    }
    plk_free(import->allocator, order);
    return PLUCK_OK;
}

static pluck_status open_members(plk_import *import)
{
    const plk_json_node *root = import->json->root;
    if (!plk_json_is(root, PLK_JSON_OBJECT))
        return plk_json_fail(import->json, root, import->err,
                             "a configuration is an object, not %s", plk_json_kind_name(root));
    size_t n = count_members(import->importer, root);
    import->members = plk_alloc(import->allocator, n, sizeof *import->members);
    if (!import->members)
        return plk_fail_nomem(import->err, n * sizeof *import->members);
    pluck_status status = collect(import, root, "", 0);
    return status == PLUCK_OK ? find_overridden(import) : status;
}

void plk_import_append(plk_import *import, const char *stages, unsigned part)
{
    while (*stages != '\0') {
        char name[32];
        size_t n = strcspn(stages, " ");
        snprintf(name, sizeof name, "%.*s", (int)n, stages);
        const plk_stage *found = plk_stage_find(name);
        assert(found && part < PLK_IMPORT_PARTS);
        if (import->n_chain < PLK_IMPORT_CHAIN)
            import->chain[import->n_chain++] = (plk_import_link){found, part};
        stages += n + (stages[n] == ' ');
    }
}

void plk_import_start_chain(plk_import *import, const char *stages)
{
    import->n_chain = 0;
    plk_import_append(import, stages, 0);
}

bool plk_import_runs_in(const plk_import *import, const char *stage, unsigned part)
{
    for (size_t i = 0; i < import->n_chain; i++)
        if (import->chain[i].part == part && strcmp(import->chain[i].stage->info.name, stage) == 0)
            return true;
    return false;
}

bool plk_import_runs(const plk_import *import, const char *stage)
{
    bool runs = false;
    for (unsigned part = 0; part < PLK_IMPORT_PARTS; part++)
        runs = runs || plk_import_runs_in(import, stage, part);
    return runs;
}

/* What a link runs: the configured entry of its stage, or of one that replaces it. NULL: none. */
static const plk_config_entry *entry_of(const plk_import *import, const plk_import_link *link)
{
    const pluck_config *config = import->parts[link->part];
    for (size_t i = 0; config && i < config->n_running; i++) {
        const plk_config_entry *entry = &config->entries[config->running[i]];
        const char *replaces = entry->stage->replaces;
        if (entry->stage == link->stage ||
            (replaces && strcmp(replaces, link->stage->info.name) == 0))
            return entry;
    }
    return NULL;
}

bool plk_import_configures(const plk_import *import, const char *stage)
{
    plk_import_link link = {plk_stage_find(stage), import->part};
    return entry_of(import, &link) != NULL;
}

void plk_import_set_window(plk_import *import, unsigned part, const char *last_n,
                           bool ignore_prompt)
{
    import->part = part;
    if (plk_import_configures(import, "penalties") &&
        plk_import_set(import, "repeat_last_n", last_n) && ignore_prompt)
        (void)plk_import_set(import, "repeat_ignore_prompt", "true");
    import->part = 0;
}

/* Whether two links that run have the same stage, or one is of another part. */
static bool needs_explicit_form(const plk_import *import)
{
    for (size_t i = 0; i < import->n_chain; i++) {
        if (!entry_of(import, &import->chain[i]))
            continue;
        if (import->chain[i].part > 0)
            return true;
        for (size_t j = 0; j < i; j++)
            if (import->chain[j].stage == import->chain[i].stage)
                return true;
    }
    return false;
}

/* Names each stage once, those too that are not configured: a user may add them. */
static void set_order(plk_import *import)
{
    char order[1024] = "[";
    size_t n = 1;
    for (size_t i = 0; i < import->n_chain; i++) {
        bool again = false;
        for (size_t j = 0; j < i; j++)
            again = again || import->chain[j].stage == import->chain[i].stage;
        if (!again)
            n += (size_t)snprintf(order + n, sizeof order - n, "%s\"%s\"", n > 1 ? ", " : "",
                                  import->chain[i].stage->info.name);
    }
    snprintf(order + n, sizeof order - n, "]");
    (void)plk_import_set(import, "order", order);
}

static pluck_status make_explicit(plk_import *import)
{
    const plk_config_entry *entries[PLK_IMPORT_CHAIN];
    pluck_config *config = NULL;
    size_t n = 0;
    for (size_t i = 0; i < import->n_chain; i++) {
        entries[n] = entry_of(import, &import->chain[i]);
        n += entries[n] != NULL;
    }
    pluck_status status =
        plk_config_make_explicit(&config, import->parts[0], entries, n, import->err);
    if (status == PLUCK_OK)
        plk_config_move(import->parts[0], config);
    pluck_config_destroy(&config);
    return status;
}

static void read_unknown(plk_import *import, const plk_json_node *node)
{
    char nearest[PLK_SUGGESTION_BYTES], best[WORD_BYTES];
    const plk_importer *importer = import->importer;
    plk_suggestion suggestion = plk_suggest(plk_json_key(node));
    for (const plk_import_rule *rule = importer->rules; rule->key; rule++)
        plk_suggest_offer(&suggestion, rule->key, NULL);
    offer_ignored(&suggestion, importer->is_chat ? chat_ignored : NULL, best);
    offer_ignored(&suggestion, importer->ignored, best);
    plk_suggest_write(&suggestion, nearest);
    if (plk_import_is_off(import, "false \"\" [] {}", node))
        plk_import_say(import, PLUCK_IMPORT_IGNORED,
                       "not a known key of %s, but its value is empty or off%s", importer->title,
                       nearest);
    else
        plk_import_say(import, PLUCK_IMPORT_REFUSED, "not a known key of %s%s", importer->title,
                       nearest);
}

/* A value of a type that the engine does not take costs its key, and not the rest. */
static void read_rule(plk_import *import, const plk_import_rule *rule, plk_import_member *member)
{
    pluck_error own = {.status = PLUCK_OK};
    pluck_error *outer = import->err;
    size_t n_biases = import->n_biases, n_chain = import->n_chain;
    plk_import_link chain[PLK_IMPORT_CHAIN];
    memcpy(chain, import->chain, sizeof chain);
    import->err = &own;
    rule->read(import, rule, member->node);
    import->err = outer;
    if (import->status == PLUCK_ERR_CONFIG) {
        import->status = PLUCK_OK;
        import->n_biases = n_biases;
        import->n_chain = n_chain;
        memcpy(import->chain, chain, sizeof chain);
        member->is_refused = true;
        plk_import_say(import, PLUCK_IMPORT_REFUSED, "%s", own.message);
    } else if (import->status != PLUCK_OK && outer) {
        *outer = own;
    }
}

static void read_member(plk_import *import, plk_import_member *member)
{
    plk_import_rule rule;
    const plk_importer *importer = import->importer;
    import->current = member;
    import->part = 0;
    if (member->instead)
        plk_import_say(import, PLUCK_IMPORT_IGNORED, "%s is used instead",
                       member->instead->path ? member->instead->path
                                             : plk_json_key(member->instead->node));
    else if (plk_json_is(member->node, PLK_JSON_NULL))
        plk_import_say(import, PLUCK_IMPORT_IGNORED, "null: not set");
    else if (!find_rule(importer, plk_json_key(member->node), &rule))
        read_unknown(import, member->node);
    else {
        const char *idle = importer->why_idle ? importer->why_idle(import, &rule) : NULL;
        if (idle)
            plk_import_say(import, PLUCK_IMPORT_IGNORED, "%s", idle);
        else
            read_rule(import, &rule, member);
    }
}

/* A seed is only for random draws. */
static void set_defaults(plk_import *import)
{
    const plk_import_default *row = import->importer->defaults;
    for (; row && row->key; row++) {
        bool is_idle = (row->stage && !plk_import_runs_in(import, row->stage, 0)) ||
                       (import->greedy && strcmp(row->flat_key, "seed") == 0);
        if (!is_idle && !plk_import_member_of(import, row->key))
            plk_import_set_default(import, row->key, row->flat_key, row->json_value);
    }
}

static pluck_status read_all(plk_import *import)
{
    const plk_importer *importer = import->importer;
    plk_import_start_chain(import, importer->order);
    if (importer->start)
        importer->start(import);
    for (size_t i = 0; i < import->n_members && import->status == PLUCK_OK; i++)
        read_member(import, &import->members[i]);
    import->current = NULL;
    import->part = 0;
    set_defaults(import);
    if (importer->finish)
        importer->finish(import);
    import->part = 0;
    plk_import_set_biases(import);
    if (import->status == PLUCK_OK && needs_explicit_form(import))
        return make_explicit(import);
    set_order(import);
    return import->status;
}

/* Whether a text is meant as JSON: what is empty is, too, so that the message is about that. */
static bool looks_like_json(const char *text, size_t n)
{
    size_t i = plk_first_byte(text, n);
    return i == n || strchr("{[\"", text[i]);
}

/* The text, or what it means as JSON; *owned is freed with plk_free(). */
static pluck_status convert(const plk_importer *importer, const char **text, size_t *n,
                            char **owned, const pluck_allocator *allocator, pluck_error *err)
{
    *owned = NULL;
    if (!importer->convert || looks_like_json(*text, *n))
        return PLUCK_OK;
    pluck_status status = importer->convert(*text, *n, allocator, owned, err);
    if (status == PLUCK_OK && *owned) {
        *text = *owned;
        *n = strlen(*owned);
    }
    return status;
}

pluck_status pluck_config_import(pluck_config **out, pluck_import_format format, const char *json,
                                 size_t json_size_bytes, pluck_import_report report, void *user,
                                 const pluck_allocator *allocator, pluck_error *err)
{
    plk_json tree = {.root = NULL};
    char *converted = NULL;
    if (!out)
        return plk_fail(err, PLUCK_ERR_INVALID, "pluck_config_import: out is NULL");
    *out = NULL;
    if ((unsigned)format >= N_IMPORTERS || (!json && json_size_bytes > 0))
        return plk_fail(err, PLUCK_ERR_INVALID, "pluck_config_import: %s",
                        (unsigned)format >= N_IMPORTERS ? "unknown format" : "json is NULL");
    pluck_status status = plk_json_available(err);
    if (status != PLUCK_OK)
        return status;
    pluck_allocator memory = plk_allocator_or_default(allocator);
    plk_import import = {.importer = importers[format],
                         .json = &tree,
                         .allocator = &memory,
                         .report = report,
                         .user = user,
                         .err = err};
    plk_fp_state fp = plk_fp_enter_text();
    status = plk_config_create(&import.parts[0], allocator, err);
    if (status == PLUCK_OK)
        status = convert(import.importer, &json, &json_size_bytes, &converted, &memory, err);
    if (status == PLUCK_OK)
        status = plk_json_open(&tree, json, json_size_bytes, 0, NULL, &memory, err);
    if (status == PLUCK_OK)
        status = open_members(&import);
    if (status == PLUCK_OK)
        status = read_all(&import);
    for (size_t i = 0; i < import.n_members; i++)
        plk_free(import.allocator, import.members[i].path);
    plk_free(import.allocator, import.members);
    plk_json_close(&tree);
    plk_fp_leave(fp);
    plk_free(&memory, converted);
    plk_free(&memory, import.biases);
    if (status == PLUCK_OK) {
        *out = import.parts[0];
        import.parts[0] = NULL;
    }
    for (unsigned i = 0; i < PLK_IMPORT_PARTS; i++)
        pluck_config_destroy(&import.parts[i]);
    return status;
}

/* Counts the keys that each format knows. own: whether it alone knows one of them. */
static void count_known(const plk_json_node *object, size_t known[N_IMPORTERS],
                        bool own[N_IMPORTERS])
{
    for (const plk_json_node *node = plk_json_child(object); node; node = plk_json_sibling(node)) {
        size_t n = 0, last = 0;
        bool wraps = false;
        for (size_t i = 0; i < N_IMPORTERS; i++) {
            bool listed = is_listed(importers[i]->wrappers, plk_json_key(node));
            wraps = wraps || is_wrapper(importers[i], node);
            if (!listed && !knows(importers[i], plk_json_key(node)))
                continue;
            known[i]++;
            n++;
            last = i;
        }
        if (n == 1)
            own[last] = true;
        if (wraps)
            count_known(node, known, own);
    }
}

static pluck_status choose_format(const plk_json_node *root, pluck_import_format *format,
                                  pluck_error *err)
{
    size_t known[N_IMPORTERS] = {0}, most = 0, n_most = 0;
    bool own[N_IMPORTERS] = {false};
    count_known(root, known, own);
    for (size_t i = FIRST_RELATIVE; i < N_IMPORTERS; i++)
        known[i] = own[i] ? known[i] : 0;
    /* vLLM knows OpenAI's keys and takes them alike, and llama.cpp those of chats: a text with
     * these alone is OpenAI's. */
    if (known[PLUCK_IMPORT_VLLM] == known[PLUCK_IMPORT_OPENAI])
        known[PLUCK_IMPORT_VLLM] = 0;
    if (known[PLUCK_IMPORT_LLAMA_CPP] == known[PLUCK_IMPORT_OPENAI] &&
        plk_json_member(root, "messages"))
        known[PLUCK_IMPORT_LLAMA_CPP] = 0;
    for (unsigned i = 0; i < N_IMPORTERS; i++) {
        n_most = known[i] > most ? 1 : n_most + (known[i] == most);
        most = known[i] > most ? known[i] : most;
    }
    if (n_most != 1 || most == 0)
        return plk_fail(err, PLUCK_ERR_CONFIG,
                        "cannot tell which engine this configuration is for (%s); use --from",
                        most == 0 ? "it has no known key" : "several engines have these keys");
    for (unsigned i = 0; i < N_IMPORTERS; i++)
        if (known[i] == most)
            *format = (pluck_import_format)i;
    return PLUCK_OK;
}

pluck_status pluck_import_guess(const char *json, size_t json_size_bytes,
                                pluck_import_format *format, pluck_error *err)
{
    plk_json tree = {.root = NULL};
    if (!format || (!json && json_size_bytes > 0))
        return plk_fail(err, PLUCK_ERR_INVALID, "json or format is NULL");
    pluck_status status = plk_json_available(err);
    if (status != PLUCK_OK)
        return status;
    pluck_allocator allocator = plk_allocator_or_default(NULL);
    for (unsigned i = 0; i < N_IMPORTERS && !looks_like_json(json, json_size_bytes); i++) {
        char *converted = NULL;
        if (!importers[i]->convert)
            continue;
        status = importers[i]->convert(json, json_size_bytes, &allocator, &converted, err);
        bool found = converted != NULL;
        plk_free(&allocator, converted);
        if (status != PLUCK_OK)
            return status;
        if (found) {
            *format = (pluck_import_format)i;
            return PLUCK_OK;
        }
    }
    status = plk_json_open(&tree, json, json_size_bytes, 0, NULL, &allocator, err);
    if (status == PLUCK_OK && !plk_json_is(tree.root, PLK_JSON_OBJECT))
        status = plk_json_fail(&tree, tree.root, err, "a configuration is an object, not %s",
                               plk_json_kind_name(tree.root));
    if (status == PLUCK_OK)
        status = choose_format(tree.root, format, err);
    plk_json_close(&tree);
    return status;
}
