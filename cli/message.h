/*
 * What the command says on standard error, and the exit status that goes with it. A message is
 * always one line: control characters in it (from a file name, say) are escaped (PLK_PLAIN).
 */
#ifndef CLI_MESSAGE_H
#define CLI_MESSAGE_H

#include <pluck/base.h>

enum {
    EXIT_DONE = 0,
    EXIT_NEGATIVE = 1, /* a negative answer: a comparison differs */
    EXIT_USAGE = 2,    /* the command line cannot be understood */
    EXIT_DATA = 3,     /* bad input data or configuration */
    EXIT_SYSTEM = 4    /* the system failed: files, memory */
};

#ifdef __GNUC__
#    define CLI_PRINTF(text, values) __attribute__((format(printf, text, values)))
#else
#    define CLI_PRINTF(text, values)
#endif

/* From now on messages begin with "pluck sample", say, and before that with "pluck". */
void message_start(const char *command, bool is_quiet);
const char *message_who(void);
bool message_is_quiet(void);

/* Writes "who: message" as one line to standard error; returns code, so that a caller can return
 * it. */
int complain(int code, const char *format, ...) CLI_PRINTF(2, 3);

/* complain() about memory. */
int complain_memory(void);

/* The same without a code, unless --quiet is given. */
void note(const char *format, ...) CLI_PRINTF(1, 2);

/* The same with another beginning, in any case. */
void say(const char *head, const char *format, ...) CLI_PRINTF(2, 3);

/* The exit status that belongs to a status of the library. */
int exit_code_of(pluck_status status);

#endif
