/* One message is formatted into a fixed buffer, so that running out of memory can be reported too;
 * an ellipsis stands for the middle of what does not fit. */
#include "message.h"

#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>

/* The longest path and what is said about it. */
enum { TEXT_BYTES = 4096 + 1024 };

int complain(const char *who, int code, const char *format, ...)
{
    char text[TEXT_BYTES], line[TEXT_BYTES];
    va_list values;
    va_start(values, format);
    int n = vsnprintf(text, sizeof text, format, values);
    va_end(values);
    if (n < 0)
        text[0] = '\0';
    plk_show_line(line, sizeof line, text);
    fprintf(stderr, "%s: %s\n", who, line);
    return code;
}

int complain_memory(const char *who)
{
    return complain(who, EXIT_SYSTEM, "out of memory");
}

int exit_code_of(pluck_status status)
{
    switch (status) {
    case PLUCK_OK:
        return EXIT_DONE;
    case PLUCK_ERR_NOMEM:
    case PLUCK_ERR_IO:
        return EXIT_SYSTEM;
    default:
        return EXIT_DATA;
    }
}
