/*
 * Texts generated from the tables of flags: help and the manual page.
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

/* One page about a command: its usual flags and two examples; or everything. */
void help_print(output *out, const command *about, const flag_set *set, help_kind kind);

/* The manual page of a command, or that of pluck for NULL, in roff's man macros. false: memory ran
 * out. */
bool help_manual(output *out, const command *c);

/* What holds for every command; ends with a NULL name. */
typedef struct help_fact {
    const char *name, *text;
} help_fact;
extern const help_fact help_exit_statuses[], help_variables[], help_files[];

/* A name, and next to it a summary, wrapped from column on. */
void help_entry(output *out, const char *name, const char *summary, size_t column);

/* "-o, --output FILE" */
void help_flag_name(const flag *f, char *text, size_t capacity);

#endif
