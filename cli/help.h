/*
 * Texts generated from the option table: help and the manual page.
 */
#ifndef CLI_HELP_H
#define CLI_HELP_H

#include "flags.h"
#include "output.h"

extern const command help_command;

/* The list of commands: "pluck help"; or with group those of a group ("config"). Returns an exit
 * code, after complain() if it is not EXIT_DONE. */
int help_topic(const char *group);

/* The few lines that "pluck" alone prints. */
void help_short(output *out);

/* Everything about one command. */
void help_print(output *out, const command *about, const flag_set *set);

/* The manual page in roff's man macros. false: memory ran out. */
bool help_manual(output *out);

/* The lines about exit statuses: one at a time, NULL after the last. */
const char *help_exit_status(size_t index);

/* A name, and a summary wrapped beside it from column on. */
void help_entry(output *out, const char *name, const char *summary, size_t column);

/* "-o, --output FILE" */
void help_flag_name(const flag *f, char *text, size_t capacity);

#endif
