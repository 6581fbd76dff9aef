/*
 * The text is read in pieces of up to 256 KiB. What follows the last whole line of a piece is moved
 * to the front of the buffer, which grows if one line is longer than it.
 */
#include "model.h"

#include "base/platform_file.h"

#include <stdlib.h>
#include <string.h>

enum { PIECE_BYTES = 1 << 18 };

static const char end_word[] = "</s>";
enum { END_WORD_BYTES = sizeof end_word - 1 };

int lines_open(line_reader *reader, const char *path)
{
    bool is_stdin = !path || strcmp(path, "-") == 0;
    *reader = (line_reader){.name = is_stdin ? "standard input" : path};
    reader->fd = PLK_STDIN;
    int error_code = is_stdin ? 0 : plk_file_open(path, PLK_OPEN_READ, &reader->fd);
    return error_code == 0 ? EXIT_DONE : complain_system(path, NULL, error_code);
}

void lines_close(line_reader *reader)
{
    if (reader->fd > PLK_STDIN)
        (void)plk_file_close(reader->fd);
    free(reader->text);
    free(reader->lines);
    *reader = (line_reader){.fd = -1};
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r') || c == '\0';
}

/* The length of the line at text[0 .. n - 1], which has no newline but perhaps its last byte, up to
 * and with the first word "</s>" and the space behind it. */
static size_t cut_at_end_word(const char *text, size_t n)
{
    for (size_t at = 0; n - at >= END_WORD_BYTES; at++) {
        const char *found = memchr(text + at, '<', n - at - (END_WORD_BYTES - 1));
        if (!found)
            return n;
        at = (size_t)(found - text);
        size_t end = at + END_WORD_BYTES;
        if (memcmp(found, end_word, END_WORD_BYTES) == 0 && (at == 0 || is_space(found[-1])) &&
            (end == n || is_space(text[end])))
            return end < n && text[end] != '\n' ? end + 1 : end;
    }
    return n;
}

/* Takes the whole lines of the text; at the end of the input what is left too. */
static bool split(line_reader *reader)
{
    for (;;) {
        const char *newline =
            memchr(reader->text + reader->n_searched, '\n', reader->n - reader->n_searched);
        reader->n_searched = newline ? (size_t)(newline - reader->text) + 1 : reader->n;
        if (!newline && !reader->has_ended)
            return true;
        while (reader->n_used < reader->n_searched) {
            size_t n =
                cut_at_end_word(reader->text + reader->n_used, reader->n_searched - reader->n_used);
            if (!grow(&reader->lines, &reader->lines_capacity, reader->n_lines + 1,
                      sizeof *reader->lines))
                return false;
            reader->lines[reader->n_lines++] = (text_line){reader->n_used, n};
            reader->n_used += n;
        }
        if (!newline)
            return true;
    }
}

static bool make_room(line_reader *reader)
{
    if (reader->n_used > 0)
        memmove(reader->text, reader->text + reader->n_used, reader->n - reader->n_used);
    reader->n -= reader->n_used;
    reader->n_searched -= reader->n_used;
    reader->n_used = 0;
    return grow(&reader->text, &reader->capacity, reader->n + PIECE_BYTES, 1);
}

int lines_next(line_reader *reader)
{
    reader->n_lines = 0;
    while (reader->n_lines == 0 && !reader->has_ended) {
        if (!make_room(reader))
            return complain_memory();
        size_t got = 0;
        int error_code = plk_file_read(reader->fd, reader->text + reader->n, PIECE_BYTES, &got);
        if (error_code != 0)
            return complain_system(reader->name, NULL, error_code);
        reader->n += got;
        reader->has_ended = got == 0;
        if (!split(reader))
            return complain_memory();
    }
    return EXIT_DONE;
}
