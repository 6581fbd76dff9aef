/*
 * Shards, and the replay of a run from the results of its passes.
 *
 * Passes over at least one row are numbered in the order in which they begin, so that every process
 * that runs the same command line numbers them alike. A pass is known if the plan or, in a merge,
 * the partials have its result. A shard does its share of the first pass that is not known, and of
 * those that go together with it, writes its partial and ends the command: ranks_pass() or, for
 * passes of its own, the library returns a failure, the command closes what it has open, and
 * ranks_end() returns the status of success.
 */
#include "run_ranks.h"

#include "base/error.h"
#include "base/tally.h"
#include "partial.h"
#include "resume.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum run_mode { MODE_PEERS, MODE_RESUME, MODE_SHARD, MODE_MERGE } run_mode;

/* A tally of all shards. */
typedef struct known_tally {
    void *bytes; /* NULL: the pass has none */
    size_t n;
} known_tally;

static struct run {
    run_mode mode;
    partial_head head; /* of the files that this process writes; its words are those of argv */
    uint64_t n_passes; /* how many have begun */
    bool has_ended;    /* before the command, whose failure then has no message of its own */
    int end_code;      /* the exit code of the process in this case */

    partial plan;
    bool has_plan;
    partial *const *parts; /* [n_parts] MODE_MERGE */
    size_t n_parts;
    const char *plan_out;
    known_tally *tallies; /* [n_passes] for plan_out */
    size_t tallies_capacity;

    partial_writer writer; /* MODE_SHARD */
    const char *writer_path;
    bool is_writing;

    const row_pass *pass; /* whose rows are being done */
    const ranks_sink *sink;
    pluck_ranks ranks;      /* for the library */
    partial_pass described; /* its pass that is being done */
    uint64_t next_first, next_end;
    bool has_next; /* the library has asked for items */
} run;

static const char plan_name[] = "--plan";

bool ranks_are_alone(void)
{
    return run.mode == MODE_PEERS && peers_are_alone();
}

const char *ranks_name(void)
{
    if (run.mode == MODE_PEERS)
        return peers_name();
    return run.mode == MODE_RESUME ? "--partials" : "--shard";
}

bool ranks_writes(void)
{
    return run.mode <= MODE_RESUME ? peers_write() : run.mode == MODE_MERGE;
}

bool ranks_write_together(void)
{
    return run.mode == MODE_PEERS && !peers_are_alone();
}

bool ranks_share_seed(void)
{
    return run.mode == MODE_PEERS;
}

/*
 * The facts of the run.
 */

/* Notes the command line in the form that partials have. */
static int take_words(const call *c)
{
    run.head.words = calloc(c->n_line + 1, sizeof *run.head.words);
    if (!run.head.words)
        return complain_memory();
    const char *name = c->command->name;
    run.head.words[0] = (char *)(uintptr_t)name;
    for (size_t i = 0; i < c->n_line; i++)
        run.head.words[i + 1] = (char *)(uintptr_t)c->line[i];
    run.head.n_words = c->n_line + 1;
    return EXIT_DONE;
}

static int open_plan(const char *path)
{
    pluck_error err;
    pluck_status status = partial_open(&run.plan, path, &err);
    if (status != PLUCK_OK)
        return complain_error(status, &err);
    run.has_plan = true;
    if (run.plan.head.count > 0)
        return complain(EXIT_DATA,
                        "%s: is the partial of a shard; a plan is written by pluck "
                        "merge --plan-out",
                        path);
    return EXIT_DONE;
}

/* Compares the facts of the run, of these kinds, with those of the files. */
static int compare(unsigned kinds)
{
    const partial *const files[] = {run.n_parts > 0 ? run.parts[0] : NULL,
                                    run.has_plan ? &run.plan : NULL};
    const char *const except[] = {NULL, plan_name};
    const fact *in_file = NULL, *now = NULL;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (files[i] &&
            facts_differ(&files[i]->head.facts, &run.head.facts, kinds, except[i], &in_file, &now))
            return facts_complain(files[i]->name, in_file, "the one now", now);
    return EXIT_DONE;
}

static int start(const call *c)
{
    int code = take_words(c);
    if (code == EXIT_DONE)
        code = facts_add_call(&run.head.facts, c, run.mode == MODE_MERGE);
    if (code == EXIT_DONE && c->shard.plan)
        code = open_plan(c->shard.plan);
    /* What the command adds is compared later. */
    return code == EXIT_DONE ? compare(FACTS_ALL & ~(1u << FACT_CONTENT)) : code;
}

/* All processes must have the same arguments and files. */
static int start_peers(const call *c)
{
    unsigned char digest[PLK_SHA256_BYTES];
    int code = start(c);
    if (code == EXIT_DONE) {
        facts_digest(&run.head.facts, digest);
        code = peers_agree(digest);
    }
    if (code == EXIT_DONE && run.mode == MODE_RESUME)
        code = resume_start(c->shard.partials, (uint32_t)c->shard.n_shards, &run.head);
    return code == EXIT_DONE ? code : ranks_end(code);
}

static int check_flags(const call *c)
{
    const shard_flags *flags = &c->shard;
    if (!flags->shard && (flags->partial || flags->plan))
        return complain(EXIT_USAGE, "--%s needs --shard I/N", flags->partial ? "partial" : "plan");
    if (flags->shard && !flags->partial)
        return complain(EXIT_USAGE,
                        "--shard needs --partial FILE, the file for the results of this shard");
    if (flags->n_shards > 0 && !flags->partials)
        return complain(EXIT_USAGE, "--shards needs --partials FOLDER; to do one shard, give "
                                    "--shard I/N");
    if (flags->partials && strncmp(c->command->name, "tree ", strlen("tree ")) == 0)
        return complain(EXIT_USAGE, "--partials: a training keeps checkpoints; --checkpoint names "
                                    "the file, and --resume goes on from it");
    if (flags->shard && flags->partials)
        return complain(EXIT_USAGE, "--shard cannot be combined with --partials, with which one "
                                    "run does all shards");
    if (flags->shard && !peers_are_alone())
        return complain(EXIT_USAGE, "--shard cannot be combined with %s", peers_name());
    return EXIT_DONE;
}

int ranks_start(const call *c)
{
    const shard_flags *flags = &c->shard;
    int code = check_flags(c);
    if (code != EXIT_DONE)
        return code;
    if (flags->partials)
        run.mode = MODE_RESUME;
    if (!flags->shard)
        return ranks_are_alone() ? EXIT_DONE : start_peers(c);
    run.mode = MODE_SHARD;
    run.writer_path = flags->partial;
    code = ranks_read_shard(flags->shard, &run.head.shard, &run.head.count);
    if (code == EXIT_DONE)
        code = start(c);
    return code == EXIT_DONE ? code : ranks_end(code);
}

void ranks_merge(partial *const *partials, size_t n, const char *plan_out)
{
    run.mode = MODE_MERGE;
    run.parts = partials;
    run.n_parts = n;
    run.plan_out = plan_out;
}

int ranks_start_replay(const call *c)
{
    int code = start(c);
    return code == EXIT_DONE ? code : ranks_end(code);
}

int ranks_identify(const char *name, const void *bytes, size_t n)
{
    char own[64];
    size_t same = 1;
    if (run.mode == MODE_PEERS)
        return EXIT_DONE;
    assert(run.n_passes == 0);
    for (size_t i = 0; i < run.head.facts.n; i++)
        same += run.head.facts.items[i].kind == FACT_CONTENT;
    snprintf(own, sizeof own, same > 1 ? "%.40s (%zu)" : "%.40s", name, same);
    int code = facts_add_content(&run.head.facts, own, bytes, n);
    const fact *known = run.n_parts > 0 ? facts_find(&run.parts[0]->head.facts, own) : NULL;
    const fact *now = facts_find(&run.head.facts, own);
    /* Now, since the command may print before its first pass. */
    if (code == EXIT_DONE && known && memcmp(known->digest, now->digest, sizeof now->digest) != 0)
        return facts_complain(run.parts[0]->name, known, "the one now", now);
    return code;
}

/* Before the first pass all facts of the run are known. */
static int settle(void)
{
    return run.n_passes > 0 ? EXIT_DONE : compare(FACTS_ALL);
}

/* From here on the command writes nothing, and the message with which it ends is not printed. */
int ranks_end_run(int code)
{
    run.has_ended = true;
    run.end_code = code;
    message_end();
    return EXIT_SYSTEM;
}

/*
 * Passes whose results are known.
 */

/* The files that have the result of the pass with this number; *n is 0 if none has. */
static partial *const *find_files(uint64_t number, size_t *n)
{
    static partial *plan = &run.plan;
    *n = 0;
    if (run.has_plan && partial_find(&run.plan, number)) {
        *n = 1;
        return &plan;
    }
    if (run.n_parts == 0 || !partial_find(run.parts[0], number))
        return NULL;
    *n = run.n_parts;
    return run.parts;
}

static bool reserve_tally(uint64_t number)
{
    size_t old = run.tallies_capacity;
    if (!grow(&run.tallies, &run.tallies_capacity, (size_t)number + 1, sizeof *run.tallies))
        return false;
    memset(run.tallies + old, 0, (run.tallies_capacity - old) * sizeof *run.tallies);
    return true;
}

void *ranks_tally_bytes(const pluck_tally *tally, size_t *n)
{
    size_t size = 0;
    (void)pluck_tally_put(tally, NULL, 0, &size, NULL);
    void *bytes = malloc(size + 1);
    if (bytes && pluck_tally_put(tally, bytes, size, n, NULL) == PLUCK_OK)
        return bytes;
    free(bytes);
    return NULL;
}

/* Keeps what all shards found, for the next plan. */
static pluck_status keep_tally(uint64_t number, const pluck_tally *tally, pluck_error *err)
{
    if (!run.plan_out)
        return PLUCK_OK;
    if (!reserve_tally(number))
        return plk_fail_nomem(err, sizeof *run.tallies);
    known_tally *kept = &run.tallies[number];
    kept->bytes = ranks_tally_bytes(tally, &kept->n);
    return kept->bytes ? PLUCK_OK : plk_fail_nomem(err, 0);
}

static pluck_status check_rows(const partial *p, uint64_t number, uint64_t n_items,
                               pluck_error *err)
{
    const partial_pass *known = partial_find(p, number);
    if (known->n_items == n_items)
        return PLUCK_OK;
    return plk_fail(err, PLUCK_ERR_FORMAT, "%s: pass %llu has %llu rows there, but %llu here",
                    p->name, (unsigned long long)number, (unsigned long long)known->n_items,
                    (unsigned long long)n_items);
}

static pluck_status merge_tally(const partial *p, const partial_section *s, pluck_tally *tally,
                                pluck_error *err)
{
    pluck_error reason = {.status = PLUCK_ERR_FORMAT, .message = "this pass has no tally"};
    pluck_status status =
        tally ? pluck_tally_merge(tally, s->bytes, (size_t)s->n_bytes, &reason) : PLUCK_ERR_FORMAT;
    return status == PLUCK_OK ? status : plk_fail(err, status, "%s: %s", p->name, reason.message);
}

/* Merges the tallies of a pass. */
static pluck_status merge_tallies(partial *const *files, size_t n_files, uint64_t number,
                                  uint64_t n_items, pluck_tally *tally, pluck_error *err)
{
    for (size_t i = 0; i < n_files; i++) {
        pluck_status status = check_rows(files[i], number, n_items, err);
        const partial_pass *known = partial_find(files[i], number);
        for (uint64_t at = known->begin_bytes; status == PLUCK_OK && at < known->end_bytes;) {
            partial_section s = partial_next(files[i], &at);
            if (s.kind == SECTION_TALLY)
                status = merge_tally(files[i], &s, tally, err);
        }
        plk_source_drop(&files[i]->source);
        if (status != PLUCK_OK)
            return status;
    }
    return tally ? keep_tally(number, tally, err) : PLUCK_OK;
}

bool ranks_can_write(const row_pass *pass)
{
    for (size_t i = 0; i < pass->n_outs; i++)
        if (pass->outs[i].error != 0)
            return false;
    return true;
}

int ranks_play(const row_pass *pass, uint32_t stream, const char *bytes, size_t n)
{
    if (stream == RANKS_RECORD && pass->record)
        return pass->record(pass->user, bytes, n);
    if (stream >= pass->n_outs)
        return complain(EXIT_DATA,
                        "a partial has results for an output that this run does not have");
    output_replay(&pass->outs[stream], bytes, n);
    return EXIT_DONE;
}

/* Prints and records what a pass gave. */
static int play(partial *const *files, size_t n_files, uint64_t number, const row_pass *pass)
{
    pluck_error err;
    pluck_status status =
        merge_tallies(files, n_files, number, pass->end - pass->first, pass->tally, &err);
    if (status != PLUCK_OK)
        return complain_error(status, &err);
    for (size_t i = 0; i < n_files; i++) {
        const partial_pass *known = partial_find(files[i], number);
        for (uint64_t at = known->begin_bytes; at < known->end_bytes && ranks_can_write(pass);) {
            partial_section s = partial_next(files[i], &at);
            if (s.kind == SECTION_TALLY)
                continue;
            int code = ranks_play(pass, s.kind == SECTION_RECORD ? RANKS_RECORD : s.stream, s.bytes,
                                  (size_t)s.n_bytes);
            if (code != EXIT_DONE)
                return code;
        }
        plk_source_drop(&files[i]->source);
    }
    return EXIT_DONE;
}

/*
 * The plan of the next round.
 */

static void copy_pass(partial_writer *w, uint64_t number)
{
    size_t n = 0;
    partial *const *files = find_files(number, &n);
    partial_pass pass = *partial_find(files[0], number);
    pass.first = 0;
    pass.end = pass.n_before + pass.n_items + pass.n_after;
    partial_write_pass(w, &pass);
    for (size_t i = 0; i < n; i++) {
        const partial_pass *known = partial_find(files[i], number);
        for (uint64_t at = known->begin_bytes; at < known->end_bytes;) {
            partial_section s = partial_next(files[i], &at);
            if (s.kind != SECTION_TALLY)
                partial_write(w, (section_kind)s.kind, s.stream, s.bytes, (size_t)s.n_bytes);
        }
    }
    if (number < run.tallies_capacity && run.tallies[number].bytes)
        partial_write(w, SECTION_TALLY, 0, run.tallies[number].bytes, run.tallies[number].n);
}

/* A merge has come to a pass, with this number, whose result is not known. */
static int write_plan(uint64_t number)
{
    partial_writer w;
    if (!run.plan_out)
        return complain(EXIT_USAGE,
                        "the run needs another round: merge with --plan-out NEXT, run the shards "
                        "again with --plan NEXT, and merge their partials");
    int code = partial_create(&w, run.plan_out, &run.head);
    for (uint64_t i = 0; code == EXIT_DONE && i < number; i++)
        copy_pass(&w, i);
    if (code == EXIT_DONE)
        code = partial_finish(&w);
    if (code != EXIT_DONE)
        return code;
    complain(EXIT_DONE,
             "another round is needed: run the shards again with --plan %s, and merge their "
             "partials",
             run.plan_out);
    return ranks_end_run(EXIT_DONE);
}

/*
 * What a shard does.
 */

static int start_writing(void)
{
    if (run.is_writing)
        return EXIT_DONE;
    int code = partial_create(&run.writer, run.writer_path, &run.head);
    run.is_writing = code == EXIT_DONE;
    return code;
}

/* Finishes the partial, or removes it if code is not EXIT_DONE. Returns the code with which the
 * command fails. */
static int end_writing(int code)
{
    if (!run.is_writing)
        return code;
    run.is_writing = false;
    if (code == EXIT_DONE)
        return ranks_end_run(partial_finish(&run.writer));
    (void)partial_give_up(&run.writer);
    return ranks_end_run(code);
}

/* Describes the pass, and finds the rows of it that this shard has, counted from its first. */
static int start_pass(partial_pass *pass, uint64_t *first, uint64_t *end)
{
    uint64_t n = pass->n_before + pass->n_items + pass->n_after;
    int code = start_writing();
    if (code != EXIT_DONE)
        return code;
    pass->first = plk_share_first(n, run.head.shard, run.head.count);
    pass->end = plk_share_first(n, run.head.shard + 1, run.head.count);
    uint64_t from = pass->first > pass->n_before ? pass->first - pass->n_before : 0;
    uint64_t to = pass->end > pass->n_before ? pass->end - pass->n_before : 0;
    *end = to < pass->n_items ? to : pass->n_items;
    *first = from < *end ? from : *end;
    return EXIT_DONE;
}

static bool write_tally(const pluck_tally *tally)
{
    size_t n = 0;
    void *bytes = ranks_tally_bytes(tally, &n);
    if (bytes)
        partial_write(&run.writer, SECTION_TALLY, 0, bytes, n);
    free(bytes);
    return bytes != NULL;
}

bool ranks_put_piece(void *writer, uint32_t stream, const char *bytes, size_t n)
{
    partial_writer *w = writer;
    bool is_record = stream == RANKS_RECORD;
    partial_write(w, is_record ? SECTION_RECORD : SECTION_TEXT, is_record ? 0 : stream, bytes, n);
    return w->out.error == 0;
}

static int do_share(uint64_t number, const row_pass *pass)
{
    uint64_t first = 0, end = 0;
    partial_pass described = {.number = number,
                              .n_before = pass->n_before,
                              .n_items = pass->end - pass->first,
                              .n_after = pass->n_after};
    int code = start_pass(&described, &first, &end);
    if (code == EXIT_DONE)
        partial_write_pass(&run.writer, &described);
    if (code == EXIT_DONE && first < end)
        code = ranks_capture(pass, pass->first + first, pass->first + end,
                             &(ranks_sink){ranks_put_piece, &run.writer});
    if (code == EXIT_DONE && pass->tally && !write_tally(pass->tally))
        code = complain_memory();
    return code == EXIT_DONE && pass->n_after > 0 ? EXIT_DONE : end_writing(code);
}

int ranks_capture(const row_pass *pass, uint64_t first, uint64_t end, const ranks_sink *sink)
{
    output_sink *sinks = calloc(pass->n_outs + 1, sizeof *sinks);
    if (!sinks)
        return complain_memory();
    for (size_t i = 0; i < pass->n_outs; i++) {
        sinks[i].take = sink->take;
        sinks[i].user = sink->user;
        sinks[i].stream = (uint32_t)i;
        (void)output_divert(&pass->outs[i], &sinks[i]);
    }
    run.pass = pass;
    run.sink = sink;
    int code = pass->rows(pass->user, first, end);
    run.sink = NULL;
    for (size_t i = 0; i < pass->n_outs; i++)
        if (!output_divert(&pass->outs[i], NULL) && code == EXIT_DONE)
            code = EXIT_SYSTEM;
    free(sinks);
    return code;
}

int ranks_record(const void *bytes, size_t n)
{
    const row_pass *pass = run.pass;
    if (!run.sink)
        return pass->record(pass->user, bytes, n);
    return run.sink->take(run.sink->user, RANKS_RECORD, bytes, n) ? EXIT_DONE : EXIT_SYSTEM;
}

bool ranks_hand_on(void)
{
    return run.sink != NULL;
}

uint64_t ranks_count(uint64_t n)
{
    if (run.mode != MODE_SHARD)
        return run.mode == MODE_MERGE ? 0 : n;
    return plk_share_first(n, run.head.shard + 1, run.head.count) -
           plk_share_first(n, run.head.shard, run.head.count);
}

int ranks_pass(const row_pass *pass)
{
    size_t n = 0;
    if (pass->first == pass->end)
        return EXIT_DONE;
    run.pass = pass;
    if (run.mode == MODE_PEERS)
        return peers_pass(pass);
    if (run.mode == MODE_RESUME)
        return resume_pass(pass);
    int code = settle();
    if (code != EXIT_DONE)
        return code;
    uint64_t number = run.n_passes++;
    partial *const *files = find_files(number, &n);
    if (n > 0)
        return play(files, n, number, pass);
    return run.mode == MODE_MERGE ? write_plan(number) : do_share(number, pass);
}

/*
 * Passes of the library. It fails in the pass with which the command ends.
 */

static pluck_status stop(int code, pluck_error *err)
{
    if (!run.has_ended)
        (void)ranks_end_run(code);
    return plk_fail(err, PLUCK_ERR_IO, "the run ends with this pass");
}

static pluck_status begin_pass(void *user, uint64_t n_items, pluck_tally *tally, bool *is_known,
                               pluck_error *err)
{
    size_t n = 0;
    (void)user;
    int code = settle();
    if (code != EXIT_DONE)
        return stop(code, err);
    uint64_t number = run.n_passes++;
    partial *const *files = find_files(number, &n);
    *is_known = n > 0;
    if (*is_known)
        return merge_tallies(files, n, number, n_items, tally, err);
    if (run.mode == MODE_MERGE)
        return stop(write_plan(number), err);
    run.described = (partial_pass){.number = number, .n_items = n_items};
    run.has_next = false;
    code = start_pass(&run.described, &run.next_first, &run.next_end);
    return code == EXIT_DONE ? PLUCK_OK : stop(code, err);
}

static pluck_status next_items(void *user, uint64_t *first, uint64_t *end, pluck_error *err)
{
    (void)user;
    (void)err;
    *first = run.next_first;
    *end = run.next_end;
    run.next_first = run.next_end;
    run.has_next = true;
    return PLUCK_OK;
}

static pluck_status combine(void *user, pluck_tally *tally, pluck_error *err)
{
    (void)user;
    /* If the library has not asked for items, it divides them in its own way, not into shards. */
    if (!run.has_next)
        run.described.first = run.described.end = 0;
    partial_write_pass(&run.writer, &run.described);
    if (tally->failure.status == PLUCK_OK)
        return stop(end_writing(write_tally(tally) ? EXIT_DONE : complain_memory()), err);
    run.is_writing = false;
    (void)partial_give_up(&run.writer);
    *err = tally->failure; /* the command prints it */
    return err->status;
}

const pluck_ranks *ranks_get(void)
{
    if (run.mode == MODE_PEERS)
        return peers_get();
    if (run.mode == MODE_RESUME)
        return resume_ranks();
    run.ranks = (pluck_ranks){.struct_size = sizeof run.ranks,
                              .begin = begin_pass,
                              .next = next_items,
                              .combine = combine,
                              .rank = run.head.shard, /* 0 in a merge, which does no items */
                              .n_ranks = run.mode == MODE_SHARD ? run.head.count : 1,
                              .avoids_passes = true};
    return &run.ranks;
}

/* The command has ended without the pass that a shard does or a merge looks for. */
static int end_early(int code)
{
    if (code == EXIT_DONE)
        code = settle();
    if (run.mode == MODE_SHARD && code == EXIT_DONE)
        code = start_writing();
    (void)end_writing(code);
    return run.has_ended ? run.end_code : code;
}

int ranks_end(int code)
{
    if (run.mode == MODE_PEERS)
        return code;
    code = run.has_ended ? run.end_code : end_early(code);
    for (size_t i = 0; i < run.tallies_capacity; i++)
        free(run.tallies[i].bytes);
    free(run.tallies);
    free(run.head.words);
    facts_free(&run.head.facts);
    if (run.has_plan)
        partial_close(&run.plan);
    run = (struct run){.mode = MODE_PEERS};
    return code;
}
