/*
 * Partials and plans. A partial has the results of one shard of a run, a plan those of all shards
 * so far.
 *
 * A file is little-endian:
 *
 *    8 bytes "PLUCKPAR"
 *    u32     1, the format
 *    u32     PLUCK_API_NUMBER of the program that wrote it
 *    u32 u32 shard and count of shards; 0 0: a plan
 *    u32 u32 n_words, n_facts
 *    u64     bytes of the words and facts that follow here
 *            the command line: n_words times u32 bytes, text
 *            n_facts times u32 kind, u32 bytes, name, u32 bytes, text, u64 size, 32 bytes digest
 *    32      the identity: the digest of all facts
 *            sections: u32 kind, u32 stream, u64 bytes, the bytes
 *    u32     CRC-32 of everything before
 *
 * The first word is the name of the command. Sections follow the passes of the run: SECTION_PASS
 * (six u64: number, rows of the passes that go with it before it, its rows, those after it, the
 * first row and the end of the shard's share of these rows together, or 0 0 where the items are
 * divided in another way), then what the rows printed
 * and recorded, in order, then the tally of the pass, if it has one. SECTION_END is the last.
 */
#ifndef CLI_PARTIAL_H
#define CLI_PARTIAL_H

#include "facts.h"

#include "file/file.h"

typedef enum section_kind {
    SECTION_END,
    SECTION_PASS,
    SECTION_TEXT,   /* of output number stream */
    SECTION_RECORD, /* one record */
    SECTION_TALLY   /* of pluck_tally_put() */
} section_kind;

/* What a file is. */
typedef struct partial_head {
    uint32_t shard, count; /* 0 and 0: a plan */
    char **words;          /* [n_words] the command line */
    size_t n_words;
    fact_list facts;
} partial_head;

/* One pass of a run, and which of its rows are in the file. Rows are numbered from 0 over all
 * passes that go together. */
typedef struct partial_pass {
    uint64_t number;
    uint64_t n_before, n_items, n_after;
    uint64_t first, end;
    uint64_t begin_bytes, end_bytes; /* of its sections in the file */
} partial_pass;

/* A file that was checked. */
typedef struct partial {
    const char *name; /* the path */
    plk_source source;
    partial_head head;
    unsigned char identity[PLK_SHA256_BYTES];
    partial_pass *passes; /* numbers ascend by one */
    size_t n_passes, capacity;
    uint64_t body_bytes; /* of the sections, from the beginning of the file */
} partial;

typedef struct partial_section {
    uint32_t kind, stream;
    uint64_t n_bytes;
    const char *bytes; /* valid until the next section is asked for */
} partial_section;

/* Maps and reads the file once. PLUCK_ERR_FORMAT if it is damaged or something else. On failure
 * nothing is held. */
pluck_status partial_open(partial *p, const char *path, pluck_error *err);

/* The same for bytes in memory. */
pluck_status partial_open_memory(partial *p, const char *name, const void *bytes, size_t n,
                                 pluck_error *err);
void partial_close(partial *p);

/* The section at *at, which moves to the next one. */
partial_section partial_next(partial *p, uint64_t *at);

/* Whether both have the same sections. */
bool partials_are_same(partial *a, partial *b);

/* The pass with this number, or NULL. */
const partial_pass *partial_find(const partial *p, uint64_t number);

/* A file that is being written; failures are kept in out. */
typedef struct partial_writer {
    output out;
    uint32_t crc;
} partial_writer;

int partial_create(partial_writer *w, const char *path, const partial_head *head);
void partial_write(partial_writer *w, section_kind kind, uint32_t stream, const void *bytes,
                   size_t n);
void partial_write_pass(partial_writer *w, const partial_pass *pass);

/* Gives the complete file its name. */
int partial_finish(partial_writer *w);

/* Removes the unfinished file. If writing it has failed, prints a message and returns
 * EXIT_SYSTEM. */
int partial_give_up(partial_writer *w);

#endif
