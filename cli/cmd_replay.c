/*
 * pluck replay: lines of sample --trace in, whether each draw comes out again.
 */
#include "commands/commands.h"
#include "replay.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct replay_flags {
    call call;
    input_flags input;
    const char *isa, *output;
    int format;
} replay_flags;

typedef struct replay_run {
    const replay_flags *flags;
    line_source lines;
    source *sources; /* one a DUMP */
    size_t n_sources;
    replay state;
    output out;
    uint64_t n_lines, n_different;
} replay_run;

/* The dump that the line is about: of several the one that it names. */
static source *source_of(replay_run *run, const replay_line *line)
{
    for (size_t i = 0; i < run->n_sources && run->n_sources > 1; i++)
        if (line->dump && strcmp(line->dump, run->flags->call.words[i + 1]) == 0)
            return &run->sources[i];
    return run->n_sources == 1 ? run->sources : NULL;
}

static void print_json(replay_run *run, const replay_line *line)
{
    output *out = &run->out;
    const replay *r = &run->state;
    output_printf(out, "{\"line\":%llu,\"row\":%llu,\"draw\":%llu,\"same\":%s,\"differences\":[",
                  (unsigned long long)run->lines.number, (unsigned long long)line->row,
                  (unsigned long long)line->draw, r->n_differences == 0 ? "true" : "false");
    for (size_t i = 0; i < r->n_differences; i++) {
        const difference *d = &r->differences[i];
        output_printf(out, "%s{\"what\":\"%s\",\"line\":\"%s\",\"replayed\":\"%s\"}",
                      i > 0 ? "," : "", d->what, d->line, d->replayed);
    }
    output_text(out, "]}\n");
}

static void print_text(replay_run *run, const replay_line *line)
{
    for (size_t i = 0; i < run->state.n_differences; i++) {
        const difference *d = &run->state.differences[i];
        output_printf(&run->out,
                      "line %llu: row %llu, draw %llu: %s: %s in the line, %s replayed\n",
                      (unsigned long long)run->lines.number, (unsigned long long)line->row,
                      (unsigned long long)line->draw, d->what, d->line, d->replayed);
    }
}

static int replay_one(replay_run *run)
{
    replay_line line;
    int code = replay_line_read(&run->lines, &line);
    if (code != EXIT_DONE)
        return code;
    source *src = source_of(run, &line);
    if (!src)
        code = complain(run->flags->call.who, EXIT_DATA,
                        "%s: line %llu: names none of the dumps given", run->lines.name,
                        (unsigned long long)run->lines.number);
    else
        code = replay_draw(&run->state, &line, src);
    if (code == EXIT_DONE) {
        run->n_lines++;
        run->n_different += run->state.n_differences > 0;
        if (run->flags->format == FORMAT_JSON)
            print_json(run, &line);
        else
            print_text(run, &line);
    }
    replay_line_free(&line);
    return code;
}

static void print_summary(replay_run *run)
{
    output_printf(&run->out, "%llu line%s replayed: ", (unsigned long long)run->n_lines,
                  run->n_lines == 1 ? "" : "s");
    if (run->n_different == 0)
        output_text(&run->out, "the same, bit for bit\n");
    else
        output_printf(&run->out, "%llu differ%s\n", (unsigned long long)run->n_different,
                      run->n_different == 1 ? "s" : "");
}

static int replay_all(replay_run *run)
{
    bool is_end = false;
    int code = next_line(&run->lines, &is_end);
    while (code == EXIT_DONE && !is_end && run->out.error == 0) {
        code = replay_one(run);
        if (code == EXIT_DONE)
            code = next_line(&run->lines, &is_end);
    }
    if (code == EXIT_DONE && is_end && run->n_lines == 0)
        return complain(run->flags->call.who, EXIT_DATA, "%s: has no lines", run->lines.name);
    if (code == EXIT_DONE && run->flags->format == FORMAT_TEXT)
        print_summary(run);
    return code;
}

static int open_lines(replay_run *run)
{
    const char *path = run->flags->call.words[0];
    run->lines.who = run->flags->call.who;
    run->lines.name = source_name(path);
    run->lines.file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    if (!run->lines.file)
        return complain(run->flags->call.who, EXIT_SYSTEM, "%s: %s", path, strerror(errno));
    return EXIT_DONE;
}

static int open_sources(replay_run *run)
{
    size_t n = run->flags->call.n_words - 1;
    run->sources = calloc(n, sizeof *run->sources);
    if (!run->sources)
        return complain_memory(run->flags->call.who);
    int code = EXIT_DONE;
    while (code == EXIT_DONE && run->n_sources < n) {
        code =
            source_open(&run->flags->call, &run->flags->input,
                        run->flags->call.words[run->n_sources + 1], &run->sources[run->n_sources]);
        run->n_sources += code == EXIT_DONE;
    }
    return code;
}

static int run(const void *given)
{
    const replay_flags *flags = given;
    replay_run run = {.flags = flags, .state = {.call = &flags->call}};
    run.state.lines = &run.lines;
    int code = setup_isa(&flags->call, flags->isa, &run.state.isa);
    if (code == EXIT_DONE)
        code = open_lines(&run);
    if (code == EXIT_DONE)
        code = open_sources(&run);
    if (code == EXIT_DONE)
        code = output_open(&run.out, flags->call.who, flags->output);
    if (code == EXIT_DONE && flags->format == FORMAT_TEXT)
        output_wrap(&run.out);
    if (code == EXIT_DONE) {
        code = replay_all(&run);
        int close_code = output_close(&run.out, code == EXIT_DONE);
        code = code != EXIT_DONE ? code : close_code;
    }
    if (code == EXIT_DONE && run.n_different > 0)
        code = EXIT_NEGATIVE;
    for (size_t i = 0; i < run.n_sources; i++)
        source_close(&run.sources[i]);
    free(run.sources);
    free(run.lines.text);
    if (run.lines.file && run.lines.file != stdin)
        fclose(run.lines.file);
    replay_free(&run.state);
    return code;
}

static const flag flags[] = {
    FLAG_TITLE("Replaying"),
    FLAG_GROUP(isa_flag, replay_flags, isa),
    FLAG_GROUP(format_flag, replay_flags, format),
    FLAG_GROUP(input_group, replay_flags, input),
    FLAG_GROUP(output_flag, replay_flags, output),
    FLAG_END,
};

static const char *const examples[] = {
    "pluck sample logits.npy --top-p 0.9 --format json --trace | pluck replay - logits.npy",
    "pluck sample a.npy -f json --trace > lines.jsonl && pluck replay lines.jsonl a.npy", NULL};

const command replay_command = {
    .name = "replay",
    .synopsis = "LINES DUMP... [options]",
    .summary = "make draws again from the lines that sample --trace wrote",
    .about = "Reads the lines of pluck sample --format json --trace from the file LINES (- is "
             "standard input), makes each draw again from the row of the dump, and says what "
             "differs: token, logprob, survivors, the interval and point of the draw, the random "
             "numbers, or the logits themselves. Equal means equal bits, on whatever machine the "
             "lines were written. Status 1 if a line differs, 3 if one cannot be understood.\n"
             "With several dumps each line names its own, as it was written when it was sampled.",
    .flags = flags,
    .flags_bytes = sizeof(replay_flags),
    .examples = examples,
    .min_words = 2,
    .max_words = SIZE_MAX,
    .word_name = "file of LINES and a DUMP",
    .words_are_inputs = true,
    .run = run,
};
