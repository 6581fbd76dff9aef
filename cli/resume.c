/*
 * The processes of the run take the shards of a pass one by one. A shard whose partial is in the
 * folder is skipped. Each of the others is done, and its partial appears when it is complete. When
 * all partials are there, each process merges the tallies of some of them, and then all processes
 * merge theirs. One process writes what the partials have for the outputs, in the order of the
 * shards, so that memory does not grow with their number. Messages of a shard are in its partial
 * too, and are printed then.
 *
 * The library hands over the tally of a pass only at the beginning of the pass, and adds to it what
 * it finds. So when it asks for the items of the next shard, the tally is written as the partial of
 * the last one, and cleared.
 */
#include "resume.h"

#include "base/error.h"
#include "base/platform_file.h"
#include "base/tally.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The stream of messages. */
#define STREAM_MESSAGE (RANKS_RECORD - 1)
enum { PATH_BYTES = 4096 + 64, DEFAULT_SHARDS = 64 };

static struct {
    const char *folder;
    uint32_t n_shards;
    const partial_head *head;
    uint64_t number; /* of the pass */
    uint64_t n_items;

    partial_writer writer;
    bool is_writing;
    pluck_tally *tally; /* of a pass of the library */
    uint32_t shard;     /* that is being done */
    bool has_shard, has_items;
} run;

int resume_start(const char *folder, uint32_t n_shards, const partial_head *head)
{
    run.folder = folder;
    run.n_shards = n_shards > 0 ? n_shards : DEFAULT_SHARDS;
    run.head = head;
    if (strlen(folder) + 64 > PATH_BYTES)
        return complain(EXIT_USAGE, "--partials: the path has %zu bytes; expected up to %d",
                        strlen(folder), PATH_BYTES - 64);
    int error_code = plk_directory_create(folder);
    if (error_code == 0 || error_code == EEXIST)
        return EXIT_DONE;
    return complain_system(folder, "cannot be created", error_code);
}

static void path_of(uint64_t shard, char path[PATH_BYTES])
{
    snprintf(path, PATH_BYTES, "%s/pass-%llu.shard-%llu-of-%u", run.folder,
             (unsigned long long)run.number, (unsigned long long)shard, (unsigned)run.n_shards);
}

/* Whether a shard has items; there may be more shards than items. */
static bool find_items(uint64_t shard, uint64_t *first, uint64_t *end)
{
    *first = plk_share_first(run.n_items, (uint32_t)shard, run.n_shards);
    *end = plk_share_first(run.n_items, (uint32_t)shard + 1, run.n_shards);
    return *first < *end;
}

static int check(const partial *p)
{
    const fact *in_file = NULL, *now = NULL;
    if (facts_differ(&p->head.facts, &run.head->facts, FACTS_ALL, NULL, &in_file, &now))
        return facts_complain(p->name, in_file, "the one now", now);
    const partial_pass *pass = partial_find(p, run.number);
    if (!pass || pass->n_items != run.n_items)
        return complain(EXIT_DATA,
                        "%s: is not the partial of the pass and shard in its name, or is of "
                        "another run; each run needs its own folder",
                        p->name);
    return EXIT_DONE;
}

/* Opens the partial of a shard. If the file does not exist, *is_there becomes false, and nothing is
 * open. */
static int open_partial(partial *p, uint64_t shard, char path[PATH_BYTES], bool *is_there)
{
    plk_file_info info;
    pluck_error err;
    path_of(shard, path);
    *is_there = plk_path_info(path, &info) != ENOENT;
    if (!*is_there)
        return EXIT_DONE;
    pluck_status status = partial_open(p, path, &err);
    if (status != PLUCK_OK)
        return complain_error(status, &err);
    int code = check(p);
    if (code != EXIT_DONE)
        partial_close(p);
    return code;
}

static int is_done(uint64_t shard, bool *is_there)
{
    char path[PATH_BYTES];
    partial p;
    int code = open_partial(&p, shard, path, is_there);
    if (code == EXIT_DONE && *is_there)
        partial_close(&p);
    return code;
}

/*
 * Writing.
 */

static int begin_partial(uint64_t shard, uint64_t first, uint64_t end, char path[PATH_BYTES])
{
    partial_head head = *run.head;
    head.shard = (uint32_t)shard;
    head.count = run.n_shards;
    path_of(shard, path);
    int code = partial_create(&run.writer, path, &head);
    run.is_writing = code == EXIT_DONE;
    if (run.is_writing)
        partial_write_pass(&run.writer, &(partial_pass){.number = run.number,
                                                        .n_items = run.n_items,
                                                        .first = first,
                                                        .end = end});
    return code;
}

static int end_partial(const pluck_tally *tally, int code)
{
    size_t n = 0;
    void *bytes = tally && code == EXIT_DONE ? ranks_tally_bytes(tally, &n) : NULL;
    if (bytes)
        partial_write(&run.writer, SECTION_TALLY, 0, bytes, n);
    else if (tally && code == EXIT_DONE)
        code = complain_memory();
    free(bytes);
    run.is_writing = false;
    if (code == EXIT_DONE)
        return partial_finish(&run.writer);
    (void)partial_give_up(&run.writer);
    return code;
}

/* The last complaint, which says why the shard failed, if it does. */
static void take_message(void *user, const char *line, bool is_complaint)
{
    char *last = user;
    if (is_complaint)
        snprintf(last, MESSAGE_LINE_BYTES, "%s", line);
    if (run.is_writing)
        partial_write(&run.writer, SECTION_TEXT, STREAM_MESSAGE, line, strlen(line));
}

static int do_shard(const row_pass *pass, uint64_t shard)
{
    char path[PATH_BYTES];
    uint64_t first = 0, end = 0;
    bool is_there = false;
    int code = find_items(shard, &first, &end) ? is_done(shard, &is_there) : EXIT_DONE;
    if (code != EXIT_DONE || first == end || is_there)
        return code;
    code = begin_partial(shard, first, end, path);
    if (code != EXIT_DONE)
        return code;
    code = ranks_capture(pass, pass->first + first, pass->first + end,
                         &(ranks_sink){ranks_put_piece, &run.writer});
    code = end_partial(pass->tally, code);
    if (pass->tally)
        pluck_tally_clear(pass->tally);
    return code;
}

/*
 * Merging.
 */

static pluck_status merge_sections(partial *p, pluck_tally *tally, pluck_error *err)
{
    const partial_pass *pass = partial_find(p, run.number);
    pluck_status status = PLUCK_OK;
    for (uint64_t at = pass->begin_bytes; status == PLUCK_OK && at < pass->end_bytes;) {
        partial_section s = partial_next(p, &at);
        if (s.kind == SECTION_TALLY)
            status = pluck_tally_merge(tally, s.bytes, (size_t)s.n_bytes, err);
    }
    return status;
}

/* Merges the tallies of this process's share of the partials, and then those of all processes. */
static int merge(pluck_tally *tally)
{
    uint32_t process = 0, n_processes = 1;
    char path[PATH_BYTES];
    pluck_error err;
    int code = EXIT_DONE;
    peers_number(&process, &n_processes);
    for (uint64_t s = process; code == EXIT_DONE && s < run.n_shards; s += n_processes) {
        partial p;
        uint64_t first = 0, end = 0;
        bool is_there = false;
        if (!find_items(s, &first, &end))
            continue;
        code = open_partial(&p, s, path, &is_there);
        if (code == EXIT_DONE && !is_there)
            code = complain(
                EXIT_SYSTEM,
                "%s: was removed during the run; do not change the folder while a run uses it",
                path);
        if (code != EXIT_DONE)
            break;
        code = complain_about(path, merge_sections(&p, tally, &err), &err);
        partial_close(&p);
    }
    code = peers_settle(code, 0, NULL);
    return code == EXIT_DONE ? exit_code_of(peers_combine(tally, &err)) : code;
}

static int play_partial(const row_pass *pass, uint64_t shard)
{
    char path[PATH_BYTES];
    partial p;
    bool is_there = false;
    int code = open_partial(&p, shard, path, &is_there);
    if (code != EXIT_DONE || !is_there)
        return code;
    const partial_pass *known = partial_find(&p, run.number);
    for (uint64_t at = known->begin_bytes; code == EXIT_DONE && at < known->end_bytes;) {
        partial_section s = partial_next(&p, &at);
        if (s.kind == SECTION_TEXT && s.stream == STREAM_MESSAGE)
            fwrite(s.bytes, 1, (size_t)s.n_bytes, stderr);
        else if (s.kind != SECTION_TALLY)
            code = ranks_play(pass, s.kind == SECTION_RECORD ? RANKS_RECORD : s.stream, s.bytes,
                              (size_t)s.n_bytes);
    }
    partial_close(&p);
    return code;
}

static int play(const row_pass *pass)
{
    int code = EXIT_DONE;
    for (uint64_t s = 0; code == EXIT_DONE && s < run.n_shards && peers_write(); s++) {
        uint64_t first = 0, end = 0;
        if (ranks_can_write(pass) && find_items(s, &first, &end))
            code = play_partial(pass, s);
    }
    return code;
}

int resume_pass(const row_pass *pass)
{
    char said[MESSAGE_LINE_BYTES] = "";
    uint64_t shard = 0, failed = UINT64_MAX;
    run.n_items = pass->end - pass->first;
    int code = peers_begin_pass(run.n_items);
    while (code == EXIT_DONE && peers_take(run.n_shards, &shard)) {
        message_sink old = message_divert((message_sink){take_message, said});
        code = do_shard(pass, shard);
        (void)message_divert(old);
        if (code != EXIT_DONE)
            peers_stop(failed = shard);
    }
    code = peers_settle(code, failed, said);
    if (code == EXIT_DONE && pass->tally)
        code = merge(pass->tally);
    if (code == EXIT_DONE)
        code = play(pass);
    run.number++;
    return code;
}

/*
 * Passes of the library.
 */

/* The message of the failure has been printed. */
static pluck_status stop(int code, pluck_error *err)
{
    (void)ranks_end_run(code);
    return plk_fail(err, PLUCK_ERR_IO, "the run ends with this pass");
}

static pluck_status begin(void *user, uint64_t n_items, pluck_tally *tally, bool *is_known,
                          pluck_error *err)
{
    (void)user;
    (void)is_known;
    run.n_items = n_items;
    run.tally = tally;
    run.has_shard = run.has_items = false;
    int code = peers_begin_pass(n_items);
    return code == EXIT_DONE ? PLUCK_OK : stop(code, err);
}

static int end_shard(void)
{
    char path[PATH_BYTES];
    uint64_t first = 0, end = 0;
    if (!run.has_shard)
        return EXIT_DONE;
    run.has_shard = false;
    (void)find_items(run.shard, &first, &end);
    int code = begin_partial(run.shard, first, end, path);
    if (code == EXIT_DONE)
        code = end_partial(run.tally, code);
    pluck_tally_clear(run.tally);
    return code;
}

static pluck_status next(void *user, uint64_t *first, uint64_t *end, pluck_error *err)
{
    uint64_t shard = 0;
    int code = end_shard();
    run.has_items = true;
    (void)user;
    *first = *end = run.n_items;
    while (code == EXIT_DONE && peers_take(run.n_shards, &shard)) {
        bool is_there = false;
        uint64_t from = 0, to = 0;
        if (!find_items(shard, &from, &to))
            continue;
        code = is_done(shard, &is_there);
        if (code != EXIT_DONE || is_there)
            continue;
        run.shard = (uint32_t)shard;
        run.has_shard = true;
        *first = from;
        *end = to;
        return PLUCK_OK;
    }
    return code == EXIT_DONE ? PLUCK_OK : stop(code, err);
}

/* The failure of an item is in the tally of the process that did it. A pass that did not ask for
 * items is combined, but not kept in the folder. */
static pluck_status combine(void *user, pluck_tally *tally, pluck_error *err)
{
    (void)user;
    if (tally->failure.status != PLUCK_OK)
        peers_stop(run.shard);
    pluck_status status = peers_combine(tally, err);
    if (status != PLUCK_OK || tally->failure.status != PLUCK_OK)
        return status;
    if (!run.has_items)
        return PLUCK_OK;
    pluck_tally_clear(tally);
    int code = merge(tally);
    run.number++;
    return code == EXIT_DONE ? PLUCK_OK : stop(code, err);
}

const pluck_ranks *resume_ranks(void)
{
    static pluck_ranks ranks = {
        .struct_size = sizeof ranks, .begin = begin, .next = next, .combine = combine};
    peers_number(&ranks.rank, &ranks.n_ranks);
    return &ranks;
}
