/*
 * What a pass over many items finds out, in a form that merges exactly and in any order, and the
 * pass itself, over the items of one process or of many (pluck/ranks.h).
 *
 * A tally is a list of sections over arrays that belong to the pass, which fills them directly.
 */
#ifndef PLK_TALLY_H
#define PLK_TALLY_H

#include "base/exact_sum.h"

#include <pluck/ranks.h>

enum { PLK_TALLY_SECTIONS = 8, PLK_TALLY_KEYS = 4, PLK_TALLY_WORDS = 16 };

typedef enum plk_tally_kind {
    PLK_TALLY_COUNTS,   /* uint64_t: added, at most UINT64_MAX */
    PLK_TALLY_INTEGERS, /* int64_t: added modulo 2^64; the pass sees to it that sums fit */
    PLK_TALLY_SUMS,     /* plk_exact_sum */
    PLK_TALLY_LISTS,    /* plk_tally_list */
    PLK_TALLY_TEXT      /* plk_tally_text */
} plk_tally_kind;

/* Items of n_words words, ordered by the first word, then by the next. Only PLK_TALLY_KEYS words
 * are compared: items that agree in these must be equal. All zero but n_words and limit is the
 * empty list. */
typedef struct plk_tally_list {
    size_t n_words;  /* 1 to PLK_TALLY_WORDS */
    size_t limit;    /* only this many are kept, the first ones; 0: all */
    uint64_t *words; /* [n, n_words]; in order after plk_tally_list_sort() */
    size_t n, capacity;
} plk_tally_list;

/* Pieces of bytes, ordered by the number of their item, then by stream. All zero is the empty
 * text. */
typedef struct plk_tally_piece {
    uint64_t item;
    uint32_t stream;
    size_t offset, n_bytes; /* in the bytes of the text */
} plk_tally_piece;

typedef struct plk_tally_text {
    plk_tally_piece *pieces; /* in order after plk_tally_text_sort() */
    size_t n_pieces, piece_capacity;
    char *bytes;
    size_t n_bytes, capacity;
} plk_tally_text;

struct pluck_tally {
    pluck_allocator allocator;
    struct plk_tally_section {
        plk_tally_kind kind;
        size_t n;
        void *array; /* [n] */
    } sections[PLK_TALLY_SECTIONS];
    size_t n_sections;
    plk_byte_writer about; /* what the pass is about: other bytes do not merge */
    pluck_error failure;   /* of the lowest item that failed; PLUCK_OK: none did */
    uint64_t failed_item;
    size_t missing_bytes; /* of an allocation that failed; 0: none did */
};

/* A tally without sections, of the pass with this name. What makes the pass differ from others of
 * that name is put into tally->about. Until plk_tally_close() it may not be copied. */
void plk_tally_open(pluck_tally *tally, const char *name, const pluck_allocator *allocator);

/* Frees what lists and texts hold, not the arrays. */
void plk_tally_close(pluck_tally *tally);

/* Adds a section, for an array of n that is empty (all zero; lists: see above). */
void plk_tally_section_add(pluck_tally *tally, plk_tally_kind kind, void *array, size_t n);

/* Adds to a count. */
static inline void plk_tally_count(uint64_t *count, uint64_t n)
{
    *count = n <= UINT64_MAX - *count ? *count + n : UINT64_MAX;
}

/* Room for n items, in an empty list: one that outgrows it takes twice as much. */
pluck_status plk_tally_list_reserve(const pluck_tally *tally, plk_tally_list *list, uint64_t n,
                                    pluck_error *err);

/* Adds an item of n_words words, or a piece. If memory is short, the pass fails at its end. */
void plk_tally_list_add(pluck_tally *tally, plk_tally_list *list, const uint64_t *words);
void plk_tally_text_add(pluck_tally *tally, plk_tally_text *text, uint64_t item, uint32_t stream,
                        const void *bytes, size_t n_bytes);

/* Put what was added into order, and leave out what is beyond the limit. */
void plk_tally_list_sort(plk_tally_list *list);
void plk_tally_text_sort(plk_tally_text *text);

/* Words whose order is that of the doubles, none of them NaN, with -0 before +0; and back. */
uint64_t plk_tally_word(double value);
double plk_tally_double(uint64_t word);

/* Notes that an item failed with *failure: the lowest one stays. */
void plk_tally_fail(pluck_tally *tally, uint64_t item, const pluck_error *failure);

/* The first of n items in share i of n_shares > 0, which are as equal as can be: floor(n i /
 * n_shares), for i up to n_shares < 2^32. */
uint64_t plk_share_first(uint64_t n, uint64_t i, uint64_t n_shares);

/* *known becomes *ranks, which must be complete; all zero for NULL. */
pluck_status plk_ranks_read(pluck_ranks *known, const pluck_ranks *ranks, pluck_error *err);

/* Does items first to end - 1. On failure *failed, at first the first of them, is the one that
 * failed. */
typedef pluck_status plk_pass_work(void *user, uint64_t first, uint64_t end, uint64_t *failed,
                                   pluck_error *err);

/* Does a pass over n_items items. The tally is empty at first, and that of all ranks afterwards.
 * ranks NULL: this process does all items, in one call of work. Tallies of passes over another
 * number of items do not merge. Returns the failure of the lowest item that failed, if any. */
pluck_status plk_ranks_pass(const pluck_ranks *ranks, uint64_t n_items, pluck_tally *tally,
                            plk_pass_work *work, void *user, pluck_error *err);

/* The same in two halves, for a pass whose items the caller divides itself: if they are not known,
 * it does its own ones in between, and puts them and their failures into the tally. */
pluck_status plk_ranks_begin(const pluck_ranks *ranks, uint64_t n_items, pluck_tally *tally,
                             bool *is_known, pluck_error *err);
pluck_status plk_ranks_end(const pluck_ranks *ranks, pluck_tally *tally, bool is_known,
                           pluck_error *err);

#endif
