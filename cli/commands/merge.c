/*
 * pluck merge: makes the results of a run from the partials of all its shards.
 *
 * The files contain the command line of the run. It is run again here, and takes the results of its
 * passes from the files. Before that the files are compared: they must be all the shards of one
 * run.
 */
#include "base/tally.h"
#include "partial.h"
#include "run_files.h"
#include "run_ranks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct merge_flags {
    call call;
    const char *output, *plan_out;
} merge_flags;

typedef struct merge {
    const merge_flags *flags;
    partial *files; /* [n_files] as named */
    size_t n_files;
    partial **shards; /* [n_shards] in their order, each once */
    size_t n_shards;
} merge;

enum { LISTED = 8, LIST_BYTES = 1024 };

static int open_files(merge *m)
{
    const call *c = &m->flags->call;
    pluck_error err;
    m->files = calloc(c->n_words, sizeof *m->files);
    m->shards = calloc(c->n_words, sizeof *m->shards);
    if (!m->files || !m->shards)
        return complain_memory();
    progress bar;
    progress_start(&bar, c->n_words, NULL);
    bar.unit = "files";
    for (size_t i = 0; i < c->n_words; i++) {
        partial *p = &m->files[i];
        progress_update(&bar, i);
        pluck_status status = partial_open(p, c->words[i], &err);
        if (status != PLUCK_OK || i + 1 == c->n_words)
            progress_clear(&bar);
        if (status != PLUCK_OK)
            return complain_error(status, &err);
        m->shards[m->n_files++] = p;
        if (p->head.count == 0)
            return complain(EXIT_DATA,
                            "%s: is a plan, not a partial; give it to the shards with --plan, and "
                            "merge the partials that they write",
                            p->name);
    }
    return EXIT_DONE;
}

/* Whether a pass of a file is the same as that of the first file, and has the items of its shard. A
 * pass that divides its items in its own way does not list them. */
static bool is_share(const partial *p, const partial_pass *a, const partial_pass *b)
{
    uint64_t n = a->n_before + a->n_items + a->n_after;
    bool is_whole = a->first == plk_share_first(n, p->head.shard, p->head.count) &&
                    a->end == plk_share_first(n, p->head.shard + 1, p->head.count);
    return a->number == b->number && a->n_before == b->n_before && a->n_items == b->n_items &&
           a->n_after == b->n_after && (is_whole || a->end == 0);
}

/* Checks that a file is of the same run as the first one, and divided in the same way. */
static int check_run(const partial *p, const partial *first)
{
    const fact *in_p = NULL, *in_first = NULL;
    if (p->head.count != first->head.count)
        return complain(EXIT_DATA,
                        "%s: is shard %u of %u, %s is shard %u of %u; expected the shards of one "
                        "division",
                        p->name, (unsigned)p->head.shard, (unsigned)p->head.count, first->name,
                        (unsigned)first->head.shard, (unsigned)first->head.count);
    if (facts_differ(&p->head.facts, &first->head.facts, FACTS_ALL, NULL, &in_p, &in_first))
        return facts_complain(p->name, in_p, first->name, in_first);
    bool is_same = p->n_passes == first->n_passes &&
                   memcmp(p->identity, first->identity, sizeof p->identity) == 0;
    for (size_t i = 0; is_same && i < p->n_passes; i++)
        is_same = is_share(p, &p->passes[i], &first->passes[i]);
    return is_same ? EXIT_DONE
                   : complain(EXIT_DATA, "%s: does not have the passes and rows of shard %u of %u",
                              p->name, (unsigned)p->head.shard, (unsigned)p->head.count);
}

/* Checks that both name the same outputs: merge can write a file only under one name. */
static int check_outputs(const merge *m, const partial *a, const partial *b)
{
    for (size_t i = 0; i < a->head.facts.n; i++) {
        const fact *f = &a->head.facts.items[i], *other = facts_find(&b->head.facts, f->name);
        bool is_place = strcmp(f->name, "--output") == 0;
        if (f->kind != FACT_OUTPUT || (is_place && m->flags->output) ||
            (other && strcmp(f->text, other->text) == 0))
            continue;
        return complain(EXIT_DATA,
                        "%s: is of a run with %s %s, %s of one with %s; expected the same in all "
                        "shards%s",
                        a->name, f->name, f->text, b->name, other ? other->text : "standard output",
                        is_place ? ", or -o FILE here" : "");
    }
    return EXIT_DONE;
}

static int by_shard(const void *a, const void *b)
{
    const partial *x = *(partial *const *)a, *y = *(partial *const *)b;
    if (x->head.shard != y->head.shard)
        return x->head.shard < y->head.shard ? -1 : 1;
    return x < y ? -1 : x > y;
}

/* Drops copies of a shard that is given more than once. */
static int drop_doubles(merge *m)
{
    for (size_t i = 0; i < m->n_files; i++) {
        partial *last = m->n_shards > 0 ? m->shards[m->n_shards - 1] : NULL, *p = m->shards[i];
        if (!last || last->head.shard != p->head.shard)
            m->shards[m->n_shards++] = p;
        else if (!partials_are_same(last, p))
            return complain(EXIT_DATA,
                            "%s and %s: both are shard %u of %u, but their results differ; give "
                            "one of them",
                            last->name, p->name, (unsigned)p->head.shard, (unsigned)p->head.count);
    }
    return EXIT_DONE;
}

/* Adds to a list of which count items follow this one. */
static void list_item(char list[LIST_BYTES], size_t index, size_t count, const char *item)
{
    size_t used = strlen(list);
    const char *between = index == 0 ? "" : index + 1 == count ? " and " : ", ";
    snprintf(list + used, LIST_BYTES - used, "%s%s", between, item);
}

/* How many rows all shards have together; 0 if the files do not say it, or do not divide rows. */
static uint64_t count_rows(const merge *m)
{
    for (size_t i = 0; i < m->n_shards; i++) {
        const partial *p = m->shards[i];
        if (p->n_passes > 0 && p->passes->end > 0)
            return p->passes->n_before + p->passes->n_items + p->passes->n_after;
    }
    return 0;
}

static int check_missing(const merge *m)
{
    uint64_t n = count_rows(m);
    uint32_t count = m->shards[0]->head.count;
    size_t n_missing = count - m->n_shards, n_listed = n_missing < LISTED ? n_missing : LISTED;
    char shards[LIST_BYTES] = "", list[LIST_BYTES] = "", more[64] = "", item[64];
    char rows[LIST_BYTES + 64] = "";
    if (n_missing == 0)
        return EXIT_DONE;
    for (size_t i = 0, shard = 0, at = 0; i < n_listed; shard++) {
        if (at < m->n_shards && m->shards[at]->head.shard == shard) {
            at++;
            continue;
        }
        snprintf(item, sizeof item, "%zu", shard);
        list_item(shards, i, n_missing, item);
        snprintf(item, sizeof item, "%llu:%llu",
                 (unsigned long long)plk_share_first(n, shard, count),
                 (unsigned long long)plk_share_first(n, shard + 1, count));
        list_item(list, i, n_missing, item);
        i++;
    }
    if (n_missing > n_listed)
        snprintf(more, sizeof more, " and %zu more", n_missing - n_listed);
    if (n > 0)
        snprintf(rows, sizeof rows, " (rows %s%s of %llu)", list, *more != '\0' ? ", ..." : "",
                 (unsigned long long)n);
    return complain(EXIT_DATA, "shard%s %s%s of %u %s missing%s", n_missing > 1 ? "s" : "", shards,
                    more, (unsigned)count, n_missing > 1 ? "are" : "is", rows);
}

static int check_files(merge *m)
{
    int code = EXIT_DONE;
    for (size_t i = 0; i < m->n_files && code == EXIT_DONE; i++) {
        code = check_run(&m->files[i], &m->files[0]);
        if (code == EXIT_DONE)
            code = check_outputs(m, &m->files[i], &m->files[0]);
        if (code == EXIT_DONE)
            code = check_outputs(m, &m->files[0], &m->files[i]);
    }
    if (code != EXIT_DONE)
        return code;
    qsort(m->shards, m->n_files, sizeof *m->shards, by_shard);
    code = drop_doubles(m);
    return code == EXIT_DONE ? check_missing(m) : code;
}

static bool has_shards(const flag *entries)
{
    for (const flag *f = entries; f && f->kind != FLAG_LAST; f++)
        if (f->kind == FLAG_TABLE && (f->group == shard_group || has_shards(f->group)))
            return true;
    return false;
}

/* Finds the command that the files are of. */
static const command *find_command(const partial *p)
{
    for (const command *const *c = commands; *c; c++)
        if (strcmp((*c)->name, p->head.words[0]) == 0 && has_shards((*c)->flags))
            return *c;
    return NULL;
}

static int replay(const merge *m)
{
    const partial_head *head = &m->shards[0]->head;
    const command *c = find_command(m->shards[0]);
    if (!c)
        return complain(EXIT_DATA,
                        "%s: is of 'pluck %s', which this pluck cannot divide into shards",
                        m->shards[0]->name, head->words[0]);
    run_files_also_read(m->flags->call.words, m->flags->call.n_words);
    ranks_merge(m->shards, m->n_shards, m->flags->plan_out);
    return command_replay(c, (int)head->n_words - 1, head->words + 1,
                          &(replay_files){m->flags->output, m->flags->plan_out});
}

static int run(const void *given)
{
    merge m = {.flags = given};
    int code = open_files(&m);
    if (code == EXIT_DONE)
        code = check_files(&m);
    if (code == EXIT_DONE)
        code = replay(&m);
    for (size_t i = 0; m.files && i < m.flags->call.n_words; i++)
        if (m.files[i].name)
            partial_close(&m.files[i]);
    free(m.files);
    free(m.shards);
    return code;
}

static const flag flags[] = {
    FLAG_TITLE("Merging"),
    {FLAG(OUTPUT, "output", merge_flags, output), .letter = 'o',
     .help = "write the results to FILE (default: where the shards would have written them)"},
    {FLAG(OUTPUT, "plan-out", merge_flags, plan_out),
     .help = "if the run needs another round, write its plan to FILE, for --plan of the shards"},
    FLAG_GROUP(quiet_flag, merge_flags, call),
    FLAG_END,
};

const command merge_command = {
    .name = "merge",
    .synopsis = "PARTIAL... [options]",
    .summary = "combine the results of all shards of a run",
    .about =
        "Reads the partials of all shards of one command (--shard I/N --partial FILE), in any "
        "order, and does what the command would have done in one process: it prints the same, "
        "writes the same files, and exits with the same status. The partials contain the command "
        "line. The input files that it names must be readable here under the same paths, because "
        "merge compares them with those that the shards have read.\nSome commands read their rows "
        "in several rounds, and each round needs the results of all shards in the round before. "
        "After every round but the last, --plan-out writes a plan, and nothing else is written: "
        "run the shards again with --plan, and merge their new partials.",
    COMMAND_FLAGS(flags, merge_flags),
    .examples = {"pluck merge part.*", "pluck merge part.* -o tokens.jsonl",
                 "pluck merge part.* --plan-out next.plan"},
    COMMAND_WORDS(1, SIZE_MAX, "PARTIAL"),
    .words_are_inputs = true,
    .run = run,
};
