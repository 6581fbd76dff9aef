/*
 * Everything in a tally is merged by an operation that is associative and commutative on its bits:
 * addition of integers (saturated, or modulo 2^64), addition without rounding
 * (base/exact_sum.h), union of multisets of which the first few in a total order stay, union of
 * pieces, and the least of (item, status, message). So no order of merging has to be agreed on.
 *
 * As bytes, little-endian:
 *   u32 format, u32 number of sections, u64 hash of what the pass is about
 *   u32 status of the failure; unless it is 0: u64 item, u32 length, message
 *   for each section: u32 kind, u64 n, and n times
 *     counts, integers  u64
 *     sums              what plk_exact_sum_put() writes
 *     lists             u64 words per item, u64 limit, u64 items, words in order
 *     text              u64 pieces, in order, each: u64 item, u32 stream, u64 length, bytes
 * Reading goes over the bytes twice: once to check them and to find room, once to add.
 */
#include "base/tally.h"

#include "base/alloc.h"
#include "base/error.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { FORMAT = 1 };

typedef struct plk_tally_section section;

void plk_tally_open(pluck_tally *tally, const char *name, const pluck_allocator *allocator)
{
    *tally = (pluck_tally){.allocator = plk_allocator_or_default(allocator),
                           .about = plk_byte_writer_make(NULL, 0)};
    plk_put_bytes(&tally->about, name, strlen(name) + 1);
}

void plk_tally_section_add(pluck_tally *tally, plk_tally_kind kind, void *array, size_t n)
{
    assert(tally->n_sections < PLK_TALLY_SECTIONS);
    tally->sections[tally->n_sections++] = (section){.kind = kind, .n = n, .array = array};
}

void plk_tally_close(pluck_tally *tally)
{
    for (size_t i = 0; i < tally->n_sections; i++) {
        const section *s = &tally->sections[i];
        for (size_t k = 0; k < s->n && s->kind == PLK_TALLY_LISTS; k++) {
            plk_tally_list *list = (plk_tally_list *)s->array + k;
            plk_free(&tally->allocator, list->words);
            *list = (plk_tally_list){.n_words = list->n_words, .limit = list->limit};
        }
        for (size_t k = 0; k < s->n && s->kind == PLK_TALLY_TEXT; k++) {
            plk_tally_text *text = (plk_tally_text *)s->array + k;
            plk_free(&tally->allocator, text->pieces);
            plk_free(&tally->allocator, text->bytes);
            *text = (plk_tally_text){0};
        }
    }
}

void pluck_tally_clear(pluck_tally *tally)
{
    if (!tally)
        return;
    for (size_t i = 0; i < tally->n_sections; i++) {
        const section *s = &tally->sections[i];
        if (s->kind == PLK_TALLY_COUNTS || s->kind == PLK_TALLY_INTEGERS)
            memset(s->array, 0, s->n * sizeof(uint64_t));
        if (s->kind == PLK_TALLY_SUMS)
            memset(s->array, 0, s->n * sizeof(plk_exact_sum));
        for (size_t k = 0; k < s->n && s->kind == PLK_TALLY_LISTS; k++)
            ((plk_tally_list *)s->array + k)->n = 0;
        for (size_t k = 0; k < s->n && s->kind == PLK_TALLY_TEXT; k++) {
            plk_tally_text *text = (plk_tally_text *)s->array + k;
            text->n_pieces = text->n_bytes = 0;
        }
    }
    tally->failure.status = PLUCK_OK;
    tally->missing_bytes = 0;
}

/* Lists and texts. */

static int compare_words(const uint64_t *a, const uint64_t *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (a[i] != b[i])
            return a[i] < b[i] ? -1 : 1;
    return 0;
}

static size_t n_keys(const plk_tally_list *list)
{
    return list->n_words < PLK_TALLY_KEYS ? list->n_words : PLK_TALLY_KEYS;
}

static int compare_1(const void *a, const void *b)
{
    return compare_words(a, b, 1);
}

static int compare_2(const void *a, const void *b)
{
    return compare_words(a, b, 2);
}

static int compare_3(const void *a, const void *b)
{
    return compare_words(a, b, 3);
}

static int compare_4(const void *a, const void *b)
{
    return compare_words(a, b, 4);
}

void plk_tally_list_sort(plk_tally_list *list)
{
    static int (*const compare[PLK_TALLY_KEYS])(const void *, const void *) = {
        compare_1, compare_2, compare_3, compare_4};
    if (list->n > 1)
        qsort(list->words, list->n, list->n_words * sizeof *list->words, compare[n_keys(list) - 1]);
    if (list->limit > 0 && list->n > list->limit)
        list->n = list->limit;
}

/* Room for n items more. A list with a limit is first cut, if it is twice as long. */
static pluck_status grow_list(const pluck_tally *tally, plk_tally_list *list, size_t n,
                              pluck_error *err)
{
    if (list->limit > 0 && list->n / 2 >= list->limit)
        plk_tally_list_sort(list);
    if (n > SIZE_MAX - list->n)
        return plk_fail_nomem(err, SIZE_MAX);
    return plk_grow(&tally->allocator, &list->words, &list->capacity, list->n + n,
                    list->n_words * sizeof *list->words, err);
}

pluck_status plk_tally_list_reserve(const pluck_tally *tally, plk_tally_list *list, uint64_t n,
                                    pluck_error *err)
{
    size_t item_bytes = list->n_words * sizeof *list->words, n_bytes;
    if (n > SIZE_MAX || !plk_mul_size((size_t)n, item_bytes, &n_bytes))
        return plk_fail_nomem(err, SIZE_MAX);
    uint64_t *words = plk_alloc(&tally->allocator, (size_t)n, item_bytes);
    if (!words)
        return plk_fail_nomem(err, n_bytes);
    plk_free(&tally->allocator, list->words);
    list->words = words;
    list->capacity = (size_t)n;
    return PLUCK_OK;
}

void plk_tally_list_add(pluck_tally *tally, plk_tally_list *list, const uint64_t *words)
{
    size_t item_bytes = list->n_words * sizeof *words;
    if (grow_list(tally, list, 1, NULL) != PLUCK_OK) {
        tally->missing_bytes = 2 * (list->n + 1) * item_bytes;
        return;
    }
    memcpy(list->words + list->n * list->n_words, words, item_bytes);
    list->n++;
}

uint64_t plk_tally_word(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits >> 63 ? ~bits : bits | UINT64_C(1) << 63;
}

double plk_tally_double(uint64_t word)
{
    uint64_t bits = word >> 63 ? word & ~(UINT64_C(1) << 63) : ~word;
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static int compare_pieces(const void *left, const void *right)
{
    const plk_tally_piece *a = left, *b = right;
    if (a->item != b->item)
        return a->item < b->item ? -1 : 1;
    return (a->stream > b->stream) - (a->stream < b->stream);
}

void plk_tally_text_sort(plk_tally_text *text)
{
    if (text->n_pieces > 1)
        qsort(text->pieces, text->n_pieces, sizeof *text->pieces, compare_pieces);
}

/* Room for this much more. */
static pluck_status grow_text(const pluck_tally *tally, plk_tally_text *text, size_t n_pieces,
                              size_t n_bytes, pluck_error *err)
{
    if (n_pieces > SIZE_MAX - text->n_pieces || n_bytes > SIZE_MAX - text->n_bytes)
        return plk_fail_nomem(err, SIZE_MAX);
    pluck_status status = plk_grow(&tally->allocator, &text->pieces, &text->piece_capacity,
                                   text->n_pieces + n_pieces, sizeof *text->pieces, err);
    if (status != PLUCK_OK)
        return status;
    return plk_grow(&tally->allocator, &text->bytes, &text->capacity, text->n_bytes + n_bytes, 1,
                    err);
}

static void add_piece(plk_tally_text *text, plk_tally_piece piece, const void *bytes)
{
    piece.offset = text->n_bytes;
    text->pieces[text->n_pieces++] = piece;
    if (piece.n_bytes > 0)
        memcpy(text->bytes + text->n_bytes, bytes, piece.n_bytes);
    text->n_bytes += piece.n_bytes;
}

void plk_tally_text_add(pluck_tally *tally, plk_tally_text *text, uint64_t item, uint32_t stream,
                        const void *bytes, size_t n_bytes)
{
    if (grow_text(tally, text, 1, n_bytes, NULL) != PLUCK_OK)
        tally->missing_bytes = text->n_bytes + n_bytes + sizeof *text->pieces;
    else
        add_piece(text, (plk_tally_piece){.item = item, .stream = stream, .n_bytes = n_bytes},
                  bytes);
}

void plk_tally_fail(pluck_tally *tally, uint64_t item, const pluck_error *failure)
{
    const pluck_error *known = &tally->failure;
    bool is_lower = known->status == PLUCK_OK || item < tally->failed_item;
    if (!is_lower && item == tally->failed_item)
        is_lower = failure->status != known->status ? failure->status < known->status
                                                    : strcmp(failure->message, known->message) < 0;
    if (!is_lower)
        return;
    tally->failure = *failure;
    tally->failed_item = item;
}

/* To bytes. */

static void put_list(plk_tally_list *list, plk_byte_writer *out)
{
    plk_tally_list_sort(list);
    plk_put_u64(out, list->n_words);
    plk_put_u64(out, list->limit);
    plk_put_u64(out, list->n);
    for (size_t i = 0; i < list->n * list->n_words; i++)
        plk_put_u64(out, list->words[i]);
}

static void put_text(plk_tally_text *text, plk_byte_writer *out)
{
    plk_tally_text_sort(text);
    plk_put_u64(out, text->n_pieces);
    for (size_t i = 0; i < text->n_pieces; i++) {
        const plk_tally_piece *piece = &text->pieces[i];
        plk_put_u64(out, piece->item);
        plk_put_u32(out, piece->stream);
        plk_put_u64(out, piece->n_bytes);
        if (piece->n_bytes > 0)
            plk_put_bytes(out, text->bytes + piece->offset, piece->n_bytes);
    }
}

static void put_section(const section *s, plk_byte_writer *out)
{
    plk_put_u32(out, (uint32_t)s->kind);
    plk_put_u64(out, s->n);
    for (size_t i = 0; i < s->n; i++) {
        switch (s->kind) {
        case PLK_TALLY_COUNTS:
        case PLK_TALLY_INTEGERS:
            plk_put_u64(out, ((const uint64_t *)s->array)[i]);
            break;
        case PLK_TALLY_SUMS:
            plk_exact_sum_put((const plk_exact_sum *)s->array + i, out);
            break;
        case PLK_TALLY_LISTS:
            put_list((plk_tally_list *)s->array + i, out);
            break;
        default:
            put_text((plk_tally_text *)s->array + i, out);
        }
    }
}

pluck_status pluck_tally_put(const pluck_tally *tally, void *bytes, size_t capacity_bytes,
                             size_t *needed_bytes, pluck_error *err)
{
    if (!tally || !needed_bytes || (!bytes && capacity_bytes > 0))
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "tally, needed_bytes and, unless capacity_bytes is 0, bytes must not be "
                        "NULL");
    plk_byte_writer out = plk_byte_writer_make(bytes, capacity_bytes);
    const pluck_error *failure = &tally->failure;
    plk_put_u32(&out, FORMAT);
    plk_put_u32(&out, (uint32_t)tally->n_sections);
    plk_put_u64(&out, tally->about.hash);
    plk_put_u32(&out, (uint32_t)failure->status);
    if (failure->status != PLUCK_OK) {
        plk_put_u64(&out, tally->failed_item);
        plk_put_u32(&out, (uint32_t)strlen(failure->message));
        plk_put_bytes(&out, failure->message, strlen(failure->message));
    }
    for (size_t i = 0; i < tally->n_sections; i++)
        put_section(&tally->sections[i], &out);
    *needed_bytes = out.n_bytes;
    if (bytes && out.n_bytes > capacity_bytes)
        return plk_fail(err, PLUCK_ERR_SPACE,
                        "the tally needs %zu bytes, but capacity_bytes is %zu", out.n_bytes,
                        capacity_bytes);
    return PLUCK_OK;
}

/* From bytes. */

/* Bytes that are being merged. In the first of two passes is_adding is false: only room is made. */
typedef struct merger {
    pluck_tally *tally;
    plk_byte_reader in;
    bool is_adding;
    pluck_error *err;
} merger;

static pluck_status refuse(const merger *m, const char *why)
{
    return plk_fail(m->err, PLUCK_ERR_FORMAT,
                    "tally: %s; expected what pluck_tally_put() wrote in the same pass", why);
}

static pluck_status merge_failure(merger *m)
{
    uint32_t status = plk_take_u32(&m->in);
    if (status == PLUCK_OK)
        return PLUCK_OK;
    uint64_t item = plk_take_u64(&m->in);
    uint32_t length = plk_take_u32(&m->in);
    plk_byte_reader part = plk_take_part(&m->in, length);
    char message[sizeof((pluck_error *)NULL)->message] = {0};
    pluck_error failure;
    if (status > PLUCK_ERR_SPACE || part.is_short || length >= sizeof message)
        return refuse(m, "the failure of an item is not valid");
    if (length > 0)
        memcpy(message, part.bytes, length);
    /* A message that plk_fail() made stays as it is. */
    (void)plk_fail(&failure, (pluck_status)status, "%s", message);
    if (strlen(message) != length || strcmp(failure.message, message) != 0)
        return refuse(m, "the message of a failure is not a line of text");
    if (m->is_adding)
        plk_tally_fail(m->tally, item, &failure);
    return PLUCK_OK;
}

static void merge_integer(merger *m, const section *s, size_t i)
{
    uint64_t value = plk_take_u64(&m->in), *number = (uint64_t *)s->array + i;
    if (!m->is_adding)
        return;
    if (s->kind == PLK_TALLY_COUNTS)
        plk_tally_count(number, value);
    else
        *number += value;
}

static pluck_status merge_sum(merger *m, plk_exact_sum *sum)
{
    plk_exact_sum other;
    if (!plk_exact_sum_take(&other, &m->in))
        return refuse(m, "a sum is not valid");
    if (m->is_adding)
        plk_exact_sum_merge(sum, &other);
    return PLUCK_OK;
}

static pluck_status merge_list(merger *m, plk_tally_list *list)
{
    uint64_t n_words = plk_take_u64(&m->in), limit = plk_take_u64(&m->in), n = plk_take_u64(&m->in);
    size_t item_bytes = list->n_words * sizeof(uint64_t);
    if (n_words != list->n_words || limit != list->limit)
        return refuse(m, "a list has items of another size, or another limit");
    if (n > m->in.n_bytes / item_bytes || (limit > 0 && n > limit))
        return refuse(m, "a list is longer than its bytes or its limit");
    pluck_status status = grow_list(m->tally, list, (size_t)n, m->err);
    uint64_t before[PLK_TALLY_WORDS] = {0}, words[PLK_TALLY_WORDS] = {0};
    for (uint64_t i = 0; i < n && status == PLUCK_OK; i++) {
        for (size_t k = 0; k < list->n_words; k++)
            words[k] = plk_take_u64(&m->in);
        if (compare_words(words, before, n_keys(list)) < 0)
            return refuse(m, "the items of a list are not in order");
        memcpy(before, words, sizeof before);
        if (m->is_adding)
            plk_tally_list_add(m->tally, list, words);
    }
    return status;
}

/* The items of two tallies differ, so that none may have the same piece. */
static pluck_status merge_text(merger *m, plk_tally_text *text)
{
    uint64_t n = plk_take_u64(&m->in);
    size_t known = 0, n_bytes = 0;
    plk_tally_piece before = {0};
    if (n > m->in.n_bytes / (2 * sizeof(uint64_t) + sizeof(uint32_t)))
        return refuse(m, "a text has more pieces than bytes");
    if (!m->is_adding)
        plk_tally_text_sort(text);
    for (uint64_t i = 0; i < n; i++) {
        plk_tally_piece piece = {.item = plk_take_u64(&m->in), .stream = plk_take_u32(&m->in)};
        uint64_t length = plk_take_u64(&m->in);
        if (m->in.is_short || length > m->in.n_bytes)
            return refuse(m, "a piece of text is longer than its bytes");
        piece.n_bytes = (size_t)length;
        plk_byte_reader part = plk_take_part(&m->in, piece.n_bytes);
        if (m->is_adding) {
            add_piece(text, piece, part.bytes);
            continue;
        }
        if (i > 0 && compare_pieces(&before, &piece) >= 0)
            return refuse(m, "the pieces of a text are not in order");
        while (known < text->n_pieces && compare_pieces(&text->pieces[known], &piece) < 0)
            known++;
        if (known < text->n_pieces && compare_pieces(&text->pieces[known], &piece) == 0)
            return refuse(m, "an item was done twice");
        before = piece;
        n_bytes += piece.n_bytes;
    }
    return m->is_adding ? PLUCK_OK : grow_text(m->tally, text, (size_t)n, n_bytes, m->err);
}

static pluck_status merge_section(merger *m, const section *s)
{
    uint32_t kind = plk_take_u32(&m->in);
    uint64_t n = plk_take_u64(&m->in);
    if (kind != (uint32_t)s->kind || n != s->n)
        return refuse(m, "it has other sections");
    pluck_status status = PLUCK_OK;
    for (size_t i = 0; i < s->n && status == PLUCK_OK && !m->in.is_short; i++) {
        if (s->kind == PLK_TALLY_COUNTS || s->kind == PLK_TALLY_INTEGERS)
            merge_integer(m, s, i);
        else if (s->kind == PLK_TALLY_SUMS)
            status = merge_sum(m, (plk_exact_sum *)s->array + i);
        else if (s->kind == PLK_TALLY_LISTS)
            status = merge_list(m, (plk_tally_list *)s->array + i);
        else
            status = merge_text(m, (plk_tally_text *)s->array + i);
    }
    return status;
}

static pluck_status merge(merger *m)
{
    const pluck_tally *tally = m->tally;
    uint32_t format = plk_take_u32(&m->in), n_sections = plk_take_u32(&m->in);
    uint64_t hash = plk_take_u64(&m->in);
    if (m->in.is_short || format != FORMAT)
        return refuse(m, "the bytes are not a tally, or one of another version of the library");
    if (n_sections != tally->n_sections || hash != tally->about.hash)
        return refuse(m, "it is of another pass");
    pluck_status status = merge_failure(m);
    for (size_t i = 0; i < tally->n_sections && status == PLUCK_OK; i++)
        status = merge_section(m, &tally->sections[i]);
    if (status == PLUCK_OK && !plk_is_read_up(&m->in))
        status = refuse(m, m->in.is_short ? "it is cut short" : "it has bytes after its end");
    return status;
}

pluck_status pluck_tally_merge(pluck_tally *tally, const void *bytes, size_t n_bytes,
                               pluck_error *err)
{
    if (!tally || !bytes)
        return plk_fail(err, PLUCK_ERR_INVALID, "tally and bytes must not be NULL");
    merger m = {.tally = tally, .in = {bytes, n_bytes, false}, .err = err};
    pluck_status status = merge(&m);
    if (status != PLUCK_OK)
        return status;
    m = (merger){.tally = tally, .in = {bytes, n_bytes, false}, .is_adding = true, .err = err};
    return merge(&m);
}

/* The pass. */

uint64_t plk_share_first(uint64_t n, uint64_t i, uint64_t n_shares)
{
    /* n i may have 96 bits. With n = q n_shares + r it is q i n_shares + r i, and r i has 64. */
    return n / n_shares * i + n % n_shares * i / n_shares;
}

pluck_status plk_ranks_read(pluck_ranks *known, const pluck_ranks *ranks, pluck_error *err)
{
    pluck_status status = PLK_READ_STRUCT(known, ranks, "ranks", pluck_ranks, err);
    if (status != PLUCK_OK || !ranks || (known->begin && known->next && known->combine))
        return status;
    return plk_fail(err, PLUCK_ERR_INVALID, "ranks: begin, next and combine must not be NULL");
}

pluck_status plk_ranks_begin(const pluck_ranks *ranks, uint64_t n_items, pluck_tally *tally,
                             bool *is_known, pluck_error *err)
{
    pluck_ranks known;
    *is_known = false;
    plk_put_u64(&tally->about, n_items);
    pluck_status status = plk_ranks_read(&known, ranks, err);
    if (status != PLUCK_OK || !ranks)
        return status;
    return known.begin(known.user, n_items, tally, is_known, err);
}

pluck_status plk_ranks_end(const pluck_ranks *ranks, pluck_tally *tally, bool is_known,
                           pluck_error *err)
{
    pluck_ranks known;
    pluck_status status = plk_ranks_read(&known, ranks, err);
    if (status == PLUCK_OK && tally->failure.status == PLUCK_OK && tally->missing_bytes > 0) {
        pluck_error failure;
        (void)plk_fail_nomem(&failure, tally->missing_bytes);
        plk_tally_fail(tally, 0, &failure);
    }
    if (status == PLUCK_OK && ranks && !is_known)
        status = known.combine(known.user, tally, err);
    if (status != PLUCK_OK || tally->failure.status == PLUCK_OK)
        return status;
    return plk_fail(err, tally->failure.status, "%s", tally->failure.message);
}

/* Does the items of this rank, up to the first that fails; its failure goes into the tally. */
static pluck_status do_items(const pluck_ranks *ranks, uint64_t n_items, pluck_tally *tally,
                             plk_pass_work *work, void *user, pluck_error *err)
{
    uint64_t first = 0, end = ranks ? 0 : n_items;
    while (tally->failure.status == PLUCK_OK) {
        uint64_t before = end;
        pluck_status status = ranks ? ranks->next(ranks->user, &first, &end, err) : PLUCK_OK;
        if (status != PLUCK_OK || first == end)
            return status;
        if (ranks && (first < before || first > end || end > n_items))
            return plk_fail(err, PLUCK_ERR_INVALID,
                            "ranks: next gave the items from %llu up to, but not including, %llu; "
                            "expected ones from %llu to %llu",
                            (unsigned long long)first, (unsigned long long)end,
                            (unsigned long long)before, (unsigned long long)n_items);
        uint64_t failed = first;
        pluck_error failure;
        status = work(user, first, end, &failed, &failure);
        if (status == PLUCK_OK && tally->missing_bytes > 0)
            status = plk_fail_nomem(&failure, tally->missing_bytes);
        if (status != PLUCK_OK)
            plk_tally_fail(tally, failed, &failure);
        if (!ranks)
            break;
    }
    return PLUCK_OK;
}

pluck_status plk_ranks_pass(const pluck_ranks *ranks, uint64_t n_items, pluck_tally *tally,
                            plk_pass_work *work, void *user, pluck_error *err)
{
    pluck_ranks known;
    bool is_known;
    pluck_status status = plk_ranks_begin(ranks, n_items, tally, &is_known, err);
    if (status == PLUCK_OK)
        status = plk_ranks_read(&known, ranks, err);
    if (status == PLUCK_OK && !is_known)
        status = do_items(ranks ? &known : NULL, n_items, tally, work, user, err);
    if (status != PLUCK_OK)
        return status;
    return plk_ranks_end(ranks, tally, is_known, err);
}
