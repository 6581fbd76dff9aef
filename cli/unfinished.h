/*
 * Files that are removed when a signal ends the command.
 */
#ifndef CLI_UNFINISHED_H
#define CLI_UNFINISHED_H

#include <stdbool.h>

/* Removes the unfinished files if a signal ends the process, by a closed pipe too. Called at the
 * start, and again by who had own handlers in between. */
void unfinished_watch_signals(void);

/* Removes the unfinished files; for signal handlers. */
void unfinished_unlink(void);

/* Adds the path of an unfinished file. Returns its number, or -1 if it cannot be remembered. */
int unfinished_add(const char *path);

/* The file is finished or gone. -1 is allowed. */
void unfinished_remove(int number);

/* Lets signals that end the command wait, true, and lets them come again, false: around making a
 * file and adding it, and around calls of the library that make and finish one. */
void unfinished_hold_signals(bool hold);

#endif
