/*
 * A signal only sets a flag: the step is finished, the checkpoint written, and then the process
 * ends by that signal. A second signal ends it at once, the unfinished files removed.
 */
#include "run_files.h"
#include "training.h"
#include "unfinished.h"

#include "base/alloc.h"
#include "file/file.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t caught_signal;

static void on_signal(int number)
{
    caught_signal = number;
    unfinished_watch_signals();
}

void checkpoint_watch_signals(const checkpoint *c)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action, old;
    memset(&action, 0, sizeof action);
    sigemptyset(&action.sa_mask);
    action.sa_handler = on_signal;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers && c->path; i++)
        if (sigaction(numbers[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            sigaction(numbers[i], &action, NULL);
}

int checkpoint_signal(void)
{
    return caught_signal;
}

void checkpoint_end_by_signal(void)
{
    signal(caught_signal, SIG_DFL);
    raise(caught_signal);
}

/* Only the output's name gives a checkpoint a name of its own. */
static int name(checkpoint *c)
{
    const char *head = c->flags->output;
    pluck_allocator allocator = plk_allocator_or_default(NULL);
    plk_place place;
    pluck_error err;
    pluck_status status = plk_place_find(&place, head, &allocator, &err);
    if (status != PLUCK_OK)
        return complain(c->flags->call.who, exit_code_of(status), "%s", err.message);
    c->output_is_file = place.kind == PLK_PLACE_FILE;
    plk_place_free(&place);
    c->path = c->flags->checkpoint;
    if (c->path || !c->output_is_file)
        return EXIT_DONE;
    size_t size = strlen(head) + sizeof ".checkpoint";
    c->memory = malloc(size);
    if (!c->memory)
        return complain_memory(c->flags->call.who);
    snprintf(c->memory, size, "%s.checkpoint", head);
    c->path = c->memory;
    return EXIT_DONE;
}

static int check_place(checkpoint *c)
{
    const training_flags *flags = c->flags;
    pluck_allocator allocator = plk_allocator_or_default(NULL);
    plk_place place;
    pluck_error err;
    pluck_status status = plk_place_find(&place, c->path, &allocator, &err);
    if (status != PLUCK_OK)
        return complain(flags->call.who, exit_code_of(status), "%s", err.message);
    if (place.kind != PLK_PLACE_FILE)
        return complain(flags->call.who, EXIT_USAGE,
                        "%s: is not a regular file; a checkpoint has to be one", c->path);
    c->target = place.target;
    if (place.exists && !flags->resume && !flags->overwrite)
        return complain(flags->call.who, EXIT_USAGE,
                        "%s: a checkpoint is there already; --resume goes on from it, --overwrite "
                        "replaces it, --checkpoint names another file",
                        c->path);
    return EXIT_DONE;
}

int checkpoint_check(checkpoint *c, const training_flags *flags)
{
    c->flags = flags;
    if (flags->resume && flags->overwrite)
        return complain(flags->call.who, EXIT_USAGE, "--resume and --overwrite exclude each other");
    int code = name(c);
    if (code == EXIT_DONE && !c->path && (flags->resume || flags->overwrite))
        return complain(flags->call.who, EXIT_USAGE,
                        "-o %s: is written in place and names no checkpoint; give --checkpoint "
                        "FILE",
                        flags->output);
    if (code == EXIT_DONE && c->memory)
        code = run_files_check(&flags->call, c->path);
    if (code == EXIT_DONE && c->path)
        code = check_place(c);
    return code;
}

void checkpoint_free(checkpoint *c)
{
    pluck_allocator allocator = plk_allocator_or_default(NULL);
    free(c->memory);
    plk_free(&allocator, c->target);
    *c = (checkpoint){.path = NULL};
}

int checkpoint_resume(checkpoint *c, pluck_trainer *trainer)
{
    pluck_error err;
    if (!c->flags->resume)
        return EXIT_DONE;
    pluck_status status = pluck_trainer_restore(trainer, c->path, &err);
    c->is_own = status == PLUCK_OK;
    return status == PLUCK_OK
               ? EXIT_DONE
               : complain(c->flags->call.who, exit_code_of(status), "%s", err.message);
}

int checkpoint_save(checkpoint *c, const pluck_trainer *trainer)
{
    pluck_error err;
    /* The library does not tell the name of its unfinished file: no signal comes in between. */
    unfinished_hold_signals(true);
    pluck_status status = pluck_trainer_save(trainer, c->path, &err);
    c->is_own = c->is_own || status == PLUCK_OK;
    unfinished_hold_signals(false);
    return status == PLUCK_OK
               ? EXIT_DONE
               : complain(c->flags->call.who, exit_code_of(status), "%s", err.message);
}

int checkpoint_remove(checkpoint *c)
{
    if (!c->is_own || unlink(c->target) == 0 || errno == ENOENT)
        return EXIT_DONE;
    return complain(c->flags->call.who, EXIT_SYSTEM, "%s: %s", c->path, strerror(errno));
}
