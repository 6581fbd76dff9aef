/* One message is formatted into a fixed buffer, so that running out of memory can be reported too;
 * what does not fit is cut. */
#include "message.h"

#include <stdarg.h>
#include <stdio.h>

int complain(const char *who, int code, const char *format, ...)
{
    char text[2048];
    va_list values;
    va_start(values, format);
    vsnprintf(text, sizeof text, format, values);
    va_end(values);

    char line[4 * sizeof text + 1];
    size_t n = 0;
    for (const char *c = text; *c != '\0'; c++) {
        const unsigned char byte = (unsigned char)*c;
        if (byte < 0x20 || byte == 0x7f)
            n += (size_t)snprintf(line + n, 5, "\\x%02x", byte);
        else
            line[n++] = *c;
    }
    line[n] = '\0';
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
