/*
 * System calls that fail when a test says so.
 */
#ifndef SYSTEM_FAULTS_H
#define SYSTEM_FAULTS_H

enum {
    FAULT_SHORT = -1000 /* write() takes one byte only, every time from the nth on */
};

/* The nth call from now on of the function of this name ("fsync", "rename", ...) fails with this
 * error number; or, if that is -S, signal S comes just before it. NULL: none does. Of write and
 * close only those of files count that open() has made. */
void fault_arm(const char *function, int nth, int error_number);

/* How often the armed function has been called since. */
int fault_calls(void);

#endif
