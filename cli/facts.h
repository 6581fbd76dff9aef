/*
 * The facts of a run: its arguments, and the content of the files that it reads, whatever their
 * names. Two runs with the same facts have the same results. Parts of runs with different facts are
 * not put together.
 */
#ifndef CLI_FACTS_H
#define CLI_FACTS_H

#include "flags.h"

#include "base/sha256.h"

typedef enum fact_kind {
    FACT_ARGUMENT, /* text: the value of a flag, or a word that is not a file */
    FACT_FILE,     /* text: its path; size and digest */
    FACT_CONTENT,  /* size and digest of bytes that the command added */
    FACT_OUTPUT    /* text: its path. Only whether it is named counts, and not for --output */
} fact_kind;
enum { N_FACT_KINDS = FACT_OUTPUT + 1 };

typedef struct fact {
    fact_kind kind;
    char *name; /* "--draws", "DUMP 1" */
    char *text;
    uint64_t size_bytes;
    unsigned char digest[PLK_SHA256_BYTES];
} fact;

/* All zero: no facts. */
typedef struct fact_list {
    fact *items;
    size_t n, capacity;
} fact_list;

void facts_free(fact_list *facts);

/* Adds a fact with copies of name and text. NULL: memory ran out. */
fact *facts_add(fact_list *facts, fact_kind kind, const char *name, const char *text);

/* Adds the facts of a command line. The digest of a file of at most 4 MiB covers all its bytes,
 * that of a larger one its size, its first and its last MiB, and 64 pieces of 4 KiB between them.
 * Streams are refused, because only one process can read them. is_merge: messages say why files are
 * opened. */
int facts_add_call(fact_list *facts, const call *c, bool is_merge);

/* Adds bytes that name stands for. */
int facts_add_content(fact_list *facts, const char *name, const void *bytes, size_t n);

/* Writes the digest of all facts. */
void facts_digest(const fact_list *facts, unsigned char digest[PLK_SHA256_BYTES]);

/* Finds the first fact that differs between two lists: *in_a and *in_b are the fact in each list,
 * NULL in a list that does not have a fact of this name. Compares only the kinds in the bits 1 <<
 * fact_kind, and leaves out the fact named except, which may be NULL. Returns false if no fact
 * differs. */
enum { FACTS_ALL = (1 << N_FACT_KINDS) - 1 };
bool facts_differ(const fact_list *a, const fact_list *b, unsigned kinds, const char *except,
                  const fact **in_a, const fact **in_b);

/* The fact of this name, or NULL. */
const fact *facts_find(const fact_list *facts, const char *name);

/* Prints how the run of the file a differs from that of b, which may be "the one now". Returns
 * EXIT_DATA. */
int facts_complain(const char *a, const fact *in_a, const char *b, const fact *in_b);

#endif
