/* One message is formatted into a fixed buffer, so that running out of memory can be reported too;
 * an ellipsis stands for the middle of what does not fit. */
#include "output.h"

#include "base/alloc.h"
#include "base/platform.h"
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The longest path and what is said about it. */
enum { TEXT_BYTES = 4096 + 1024, BEGINNING_BYTES = MESSAGE_LINE_BYTES - TEXT_BYTES - 4 };

/* Of the process, as its standard error is. */
static char beginning[BEGINNING_BYTES] = "pluck";
static bool is_quiet, has_ended;

static message_sink sink;

message_sink message_divert(message_sink to)
{
    message_sink old = sink;
    sink = to;
    return old;
}

void message_start(const char *command, bool quiet)
{
    snprintf(beginning, sizeof beginning, "pluck %s", command);
    is_quiet = quiet;
}

void message_end(void)
{
    has_ended = true;
}

const char *message_who(void)
{
    return beginning;
}

bool message_is_quiet(void)
{
    return is_quiet;
}

static void say_values(bool is_complaint, const char *head, const char *format, va_list values)
{
    char text[TEXT_BYTES], line[TEXT_BYTES], whole[MESSAGE_LINE_BYTES];
    int n = vsnprintf(text, sizeof text, format, values);
    if (has_ended)
        return;
    if (n < 0)
        text[0] = '\0';
    plk_show_line(line, sizeof line, text);
    snprintf(whole, sizeof whole, "%s: %s\n", head, line);
    if (sink.take)
        sink.take(sink.user, whole, is_complaint);
    else
        fputs(whole, stderr);
}

int complain(int code, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    say_values(true, beginning, format, values);
    va_end(values);
    return code;
}

int complain_system(const char *name, const char *what, int code)
{
    char reason[128];
    plk_system_message(code, reason, sizeof reason);
    return complain(EXIT_SYSTEM, "%s: %s%s%s", name, what ? what : "", what ? ": " : "", reason);
}

int complain_memory(void)
{
    return complain(EXIT_SYSTEM, "out of memory");
}

void note(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    if (!is_quiet)
        say_values(false, beginning, format, values);
    va_end(values);
}

void say(const char *head, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    say_values(false, head, format, values);
    va_end(values);
}

char *copy_text(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = malloc(size);
    return copy ? memcpy(copy, text, size) : NULL;
}

bool grow(void *items, size_t *capacity, size_t n, size_t size_bytes)
{
    pluck_allocator allocator = plk_allocator_or_default(NULL);
    return plk_grow(&allocator, items, capacity, n, size_bytes, NULL) == PLUCK_OK;
}

int exit_code_of(pluck_status status)
{
    if (status == PLUCK_ERR_NOMEM || status == PLUCK_ERR_IO)
        return EXIT_SYSTEM;
    return status == PLUCK_OK ? EXIT_DONE : EXIT_DATA;
}

int complain_error(pluck_status status, const pluck_error *err)
{
    return status == PLUCK_OK ? EXIT_DONE : complain(exit_code_of(status), "%s", err->message);
}

int complain_about(const char *subject, pluck_status status, const pluck_error *err)
{
    return status == PLUCK_OK ? EXIT_DONE
                              : complain(exit_code_of(status), "%s: %s", subject, err->message);
}
