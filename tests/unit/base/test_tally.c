/*
 * Why: what many processes find out has to be the same however the items were divided and whoever
 * merged first, and bytes that come from a file or another machine may hold anything. So: tallies
 * of parts, merged in random order and in random trees, have the bytes of the tally of the whole;
 * bytes that are not such a tally are refused and change nothing; and a pass returns the failure of
 * the lowest item, as one process would.
 */
#include "base/tally.h"

#include "base/alloc.h"
#include "base/error.h"
#include "support/allocator.h"
#include "support/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
    N_COUNTS = 3,
    N_SUMS = 2,
    N_LISTS = 2,
    LIMIT = 5,
    WIDE = 7,
    MAX_PARTS = 7,
    MAX_BYTES = 1 << 18
};

/* Everything that a tally can hold. */
typedef struct sample {
    pluck_tally tally;
    uint64_t counts[N_COUNTS];
    int64_t integers[1];
    plk_exact_sum sums[N_SUMS];
    plk_tally_list lists[N_LISTS];
    plk_tally_text text;
} sample;

static void sample_open(sample *s, const char *name, const pluck_allocator *allocator)
{
    *s = (sample){.lists = {{.n_words = 1}, {.n_words = WIDE, .limit = LIMIT}}};
    plk_tally_open(&s->tally, name, allocator);
    plk_tally_section_add(&s->tally, PLK_TALLY_COUNTS, s->counts, N_COUNTS);
    plk_tally_section_add(&s->tally, PLK_TALLY_INTEGERS, s->integers, 1);
    plk_tally_section_add(&s->tally, PLK_TALLY_SUMS, s->sums, N_SUMS);
    plk_tally_section_add(&s->tally, PLK_TALLY_LISTS, s->lists, N_LISTS);
    plk_tally_section_add(&s->tally, PLK_TALLY_TEXT, &s->text, 1);
}

/* What an item adds depends on its number alone. Every fourth item says nothing. */
static void add_item(sample *s, uint64_t item)
{
    test_random random = test_random_make(item);
    double x = ldexp(test_random_normal(&random), (int)test_random_below(&random, 200) - 100);
    uint64_t equal_first[WIDE] = {test_random_below(&random, 3), item};
    uint64_t word = plk_tally_word(x);
    char text[40];
    for (size_t i = 2; i < WIDE; i++)
        equal_first[i] = test_random_bits(&random);
    if (item % 4 == 0)
        return;
    s->counts[item % N_COUNTS]++;
    s->integers[0] += (int64_t)(test_random_bits(&random) >> 8) - (INT64_C(1) << 55);
    plk_exact_sum_add(&s->sums[0], x);
    plk_exact_sum_add(&s->sums[1], -1 / x);
    plk_tally_list_add(&s->tally, &s->lists[0], &word);
    plk_tally_list_add(&s->tally, &s->lists[1], equal_first);
    int n = snprintf(text, sizeof text, "item %llu", (unsigned long long)item);
    plk_tally_text_add(&s->tally, &s->text, item, 1, text, (size_t)n);
    plk_tally_text_add(&s->tally, &s->text, item, 0, NULL, 0);
}

static void fail_item(sample *s, uint64_t item)
{
    pluck_error err;
    (void)plk_fail(&err, PLUCK_ERR_NAN, "item %llu: \xE2\x80\xA6 \n", (unsigned long long)item);
    plk_tally_fail(&s->tally, item, &err);
}

typedef struct bytes {
    size_t n;
    unsigned char at[MAX_BYTES];
} bytes;

static void sample_put(const sample *s, bytes *b)
{
    pluck_error err;
    size_t again = 0;
    assert_int_equal(pluck_tally_put(&s->tally, NULL, 0, &b->n, &err), PLUCK_OK);
    assert_true(b->n <= MAX_BYTES);
    assert_int_equal(pluck_tally_put(&s->tally, b->at, b->n - 1, &again, &err), PLUCK_ERR_SPACE);
    assert_int_equal(again, b->n);
    assert_int_equal(pluck_tally_put(&s->tally, b->at, b->n, &again, &err), PLUCK_OK);
    assert_int_equal(again, b->n);
}

static void assert_same_bytes(const bytes *a, const bytes *b, const char *what)
{
    if (a->n != b->n || memcmp(a->at, b->at, a->n) != 0)
        fail_msg("%s: %zu and %zu bytes differ", what, a->n, b->n);
}

static bytes given, expected, found;

/* Merges b into a, through bytes. */
static void merge_into(sample *a, const sample *b)
{
    pluck_error err;
    sample_put(b, &given);
    if (pluck_tally_merge(&a->tally, given.at, given.n, &err) != PLUCK_OK)
        fail_msg("%s", err.message);
}

static void parts_merged_in_any_order_are_the_whole(void **state)
{
    (void)state;
    test_random random = test_random_make(20270104);
    for (int round = 0; round < 200; round++) {
        size_t n_items = test_random_below(&random, 120), n_failed = test_random_below(&random, 3);
        size_t n_parts = 1 + test_random_below(&random, MAX_PARTS);
        static sample whole, parts[MAX_PARTS];
        sample_open(&whole, "whole", NULL);
        for (size_t i = 0; i < n_parts; i++)
            sample_open(&parts[i], "whole", NULL);
        for (uint64_t item = 0; item < n_items; item++) {
            add_item(&whole, item);
            add_item(&parts[test_random_below(&random, n_parts)], item);
        }
        for (size_t i = 0; n_items > 0 && i < n_failed; i++) {
            uint64_t item = test_random_below(&random, n_items);
            fail_item(&whole, item);
            fail_item(&parts[test_random_below(&random, n_parts)], item);
        }
        /* Merges in the form of a random tree: two of the tallies that are left, one into the
         * other, until one is left. */
        size_t left[MAX_PARTS];
        for (size_t i = 0; i < n_parts; i++)
            left[i] = i;
        for (size_t n = n_parts; n > 1; n--) {
            size_t a = test_random_below(&random, n), b = test_random_below(&random, n - 1);
            b += b >= a;
            merge_into(&parts[left[a]], &parts[left[b]]);
            plk_tally_close(&parts[left[b]].tally);
            left[b] = left[n - 1];
        }
        sample_put(&whole, &expected);
        sample_put(&parts[left[0]], &found);
        assert_same_bytes(&expected, &found, "merged");
        pluck_tally_clear(&parts[left[0]].tally);
        merge_into(&parts[left[0]], &whole);
        sample_put(&parts[left[0]], &found);
        assert_same_bytes(&expected, &found, "cleared and merged");
        plk_tally_close(&whole.tally);
        plk_tally_close(&parts[left[0]].tally);
    }
}

static void a_merged_tally_says_what_was_added(void **state)
{
    (void)state;
    static sample s, other;
    sample_open(&s, "s", NULL);
    sample_open(&other, "s", NULL);
    for (uint64_t item = 0; item < 40; item++)
        add_item(item % 3 == 0 ? &other : &s, item);
    fail_item(&s, 9);
    fail_item(&other, 7);
    s.counts[2] = other.counts[2] = UINT64_MAX / 2 + 1;
    merge_into(&s, &other);
    assert_int_equal(s.counts[0] + s.counts[1], 20);
    assert_true(s.counts[2] == UINT64_MAX);
    assert_int_equal(s.lists[0].n, 30);
    plk_tally_list_sort(&s.lists[1]);
    assert_int_equal(s.lists[1].n, LIMIT);
    for (size_t i = 0; i < LIMIT; i++)
        assert_int_equal(s.lists[1].words[WIDE * i], 0);
    plk_tally_text_sort(&s.text);
    assert_int_equal(s.text.n_pieces, 60);
    for (size_t i = 0; i < 60; i++) {
        const plk_tally_piece *piece = &s.text.pieces[i];
        char text[40] = "";
        if (i % 2 == 1)
            snprintf(text, sizeof text, "item %zu", i / 6 * 4 + i % 6 / 2 + 1);
        assert_int_equal(piece->stream, i % 2);
        assert_int_equal(piece->n_bytes, strlen(text));
        assert_memory_equal(s.text.bytes + piece->offset, text, strlen(text));
    }
    assert_int_equal(s.tally.failed_item, 7);
    assert_string_equal(s.tally.failure.message, "item 7: \xE2\x80\xA6 \\n");
    plk_tally_close(&s.tally);
    plk_tally_close(&other.tally);
}

/* Bytes of a tally, changed in one place. */
typedef struct change {
    const char *name;
    size_t at;
    uint64_t value;
    size_t n_bytes;
    const char *message; /* a part of it */
} change;

static void assert_refused(sample *s, const bytes *b, const char *name, const char *part)
{
    pluck_error err = {.status = PLUCK_OK};
    pluck_status status = pluck_tally_merge(&s->tally, b->at, b->n, &err);
    if (status != PLUCK_ERR_FORMAT || !strstr(err.message, part))
        fail_msg("%s: status %d, %s; expected '%s'", name, (int)status, err.message, part);
    sample_put(s, &found);
    assert_same_bytes(&expected, &found, name);
}

static void other_bytes_are_refused_and_change_nothing(void **state)
{
    (void)state;
    static sample s, other;
    static bytes valid, changed;
    sample_open(&s, "s", NULL);
    sample_open(&other, "s", NULL);
    for (uint64_t item = 1; item < 4; item++)
        add_item(&other, item);
    for (uint64_t item = 5; item < 8; item++)
        add_item(&s, item);
    fail_item(&other, 2);
    sample_put(&s, &expected);
    sample_put(&other, &valid);
    size_t failure = 20 + 8, message = failure + 4, counts = message + strlen("item 2: ... \\n");
    size_t integers = counts + 12 + 8 * N_COUNTS, sums = integers + 12 + 8;
    size_t text = valid.n - (12 + 8 + 6 * 20 + 3 * strlen("item 1"));
    size_t lists = text - (12 + N_LISTS * 24 + 3 * 8 + 3 * 8 * WIDE);
    const change changes[] = {
        {"another version", 0, 2, 4, "another version"},
        {"fewer sections", 4, 4, 4, "another pass"},
        {"another pass", 8, 1, 8, "another pass"},
        {"a status that does not exist", 16, 9, 4, "failure of an item is not valid"},
        {"a longer message", failure, 256, 4, "failure of an item is not valid"},
        {"a huge message", failure, UINT32_MAX, 4, "failure of an item is not valid"},
        {"an escape in the message", message, 0x1b, 1, "not a line of text"},
        {"a NUL in the message", message, 0, 1, "not a line of text"},
        {"a byte in the message that is not UTF-8", message, 0xff, 1, "not a line of text"},
        {"another kind", counts, PLK_TALLY_INTEGERS, 4, "other sections"},
        {"a kind that does not exist", counts, 99, 4, "other sections"},
        {"more counts", counts + 4, N_COUNTS + 1, 8, "other sections"},
        {"a huge number of integers", integers + 4, UINT64_MAX, 8, "other sections"},
        {"a sum with a limb too many", sums + 12, 70, 4, "a sum is not valid"},
        {"a sum of too many limbs", sums + 16, UINT32_MAX, 4, "a sum is not valid"},
        {"larger items in a list", lists + 12, 2, 8, "another size"},
        {"another limit", lists + 20, 3, 8, "another limit"},
        {"a list that is longer than its bytes", lists + 28, 1000, 8, "longer than its bytes"},
        {"a huge list", lists + 28, UINT64_MAX / 8 + 2, 8, "longer than its bytes"},
        {"a list out of order", lists + 36, UINT64_MAX, 8, "not in order"},
        {"a huge number of pieces", text + 12, UINT64_MAX / 4, 8, "more pieces than bytes"},
        {"a huge piece", text + 32, UINT64_MAX - 7, 8, "longer than its bytes"},
        {"pieces out of order", text + 20, 3, 8, "not in order"},
        {"the same piece twice", text + 28, 1, 4, "not in order"},
    };
    assert_int_equal(valid.at[counts], PLK_TALLY_COUNTS);
    assert_int_equal(valid.at[integers], PLK_TALLY_INTEGERS);
    assert_int_equal(valid.at[lists], PLK_TALLY_LISTS);
    assert_int_equal(valid.at[text], PLK_TALLY_TEXT);
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        const change *c = &changes[i];
        changed = valid;
        for (size_t k = 0; k < c->n_bytes; k++)
            changed.at[c->at + k] = (unsigned char)(c->value >> 8 * k);
        assert_refused(&s, &changed, c->name, c->message);
    }
    for (changed = valid; changed.n-- > 0;)
        assert_refused(&s, &changed, "cut short", "tally: ");
    changed = valid;
    changed.at[changed.n++] = 0;
    assert_refused(&s, &changed, "a byte more", "after its end");
    sample_put(&s, &changed);
    assert_refused(&s, &changed, "the same items", "done twice");
    plk_tally_close(&s.tally);
    plk_tally_close(&other.tally);
}

/* Sections, limits, names and what else the pass is about. */
static void tallies_of_other_passes_do_not_merge(void **state)
{
    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        static sample s;
        pluck_tally other;
        uint64_t counts[2] = {0};
        sample_open(&s, "s", NULL);
        add_item(&s, 5);
        plk_tally_open(&other, kind == 0 ? "t" : "s", NULL);
        if (kind == 1)
            plk_put_f64(&other.about, 0.5);
        plk_tally_section_add(&other, PLK_TALLY_COUNTS, counts, kind == 2 ? 2 : 1);
        for (int i = kind == 3 ? 3 : 0; i < 4; i++)
            plk_tally_section_add(&other, PLK_TALLY_COUNTS, counts, 0);
        assert_int_equal(pluck_tally_put(&other, given.at, MAX_BYTES, &given.n, NULL), PLUCK_OK);
        sample_put(&s, &expected);
        assert_refused(&s, &given, "another pass", kind == 2 ? "other sections" : "another pass");
        plk_tally_close(&s.tally);
    }
}

static void without_memory_nothing_changes(void **state)
{
    (void)state;
    static sample s, other;
    sample_open(&other, "s", NULL);
    for (uint64_t item = 10; item < 100; item++)
        add_item(&other, item);
    sample_put(&other, &given);
    uint64_t n_failed = 0;
    for (pluck_status status = PLUCK_ERR_NOMEM; status != PLUCK_OK;) {
        pluck_error err;
        test_allocator allocator;
        test_allocator_init(&allocator);
        sample_open(&s, "s", &allocator.interface);
        for (uint64_t item = 0; item < 10; item++)
            add_item(&s, item);
        sample_put(&s, &expected);
        allocator.fail_at = n_failed;
        status = pluck_tally_merge(&s.tally, given.at, given.n, &err);
        if (status != PLUCK_OK) {
            assert_int_equal(status, PLUCK_ERR_NOMEM);
            sample_put(&s, &found);
            assert_same_bytes(&expected, &found, "no memory");
            n_failed++;
        }
        plk_tally_close(&s.tally);
        assert_int_equal(allocator.n_live, 0);
    }
    assert_int_equal(n_failed, 3); /* a list, pieces and their bytes */
    plk_tally_close(&other.tally);
}

static void words_are_in_the_order_of_their_doubles(void **state)
{
    (void)state;
    static const double ascending[] = {(double)-INFINITY, -1e300, -1,   -0x1p-1074,      -0.0, 0.0,
                                       0x1p-1074,         0.5,    1e10, (double)INFINITY};
    for (size_t i = 0; i < sizeof ascending / sizeof *ascending; i++) {
        double back = plk_tally_double(plk_tally_word(ascending[i]));
        assert_memory_equal(&back, &ascending[i], sizeof back);
        assert_true(i == 0 || plk_tally_word(ascending[i - 1]) < plk_tally_word(ascending[i]));
    }
}

/* Passes. A fake pluck_ranks gives the items from a table. */

typedef struct fake {
    uint64_t ranges[4][2];
    size_t n_ranges, n_given, n_combined;
    const bytes *known;
    pluck_status status; /* of the function that fails, if any */
    char failing;        /* b, n or c */
} fake;

static pluck_status answer(const fake *f, char function, pluck_error *err)
{
    if (f->failing != function)
        return PLUCK_OK;
    return plk_fail(err, f->status, "the function %c failed", function);
}

static pluck_status fake_begin(void *user, uint64_t n_items, pluck_tally *tally, bool *is_known,
                               pluck_error *err)
{
    const fake *f = user;
    assert_int_equal(n_items, 20);
    assert_false(*is_known);
    *is_known = f->known != NULL;
    if (f->known)
        return pluck_tally_merge(tally, f->known->at, f->known->n, err);
    return answer(f, 'b', err);
}

static pluck_status fake_next(void *user, uint64_t *first, uint64_t *end, pluck_error *err)
{
    fake *f = user;
    *first = *end;
    if (f->n_given < f->n_ranges) {
        *first = f->ranges[f->n_given][0];
        *end = f->ranges[f->n_given++][1];
    }
    return answer(f, 'n', err);
}

static pluck_status fake_combine(void *user, pluck_tally *tally, pluck_error *err)
{
    fake *f = user;
    f->n_combined++;
    (void)tally;
    return answer(f, 'c', err);
}

typedef struct job {
    sample sample;
    uint64_t failing; /* item; none: UINT64_MAX */
} job;

static pluck_status work(void *user, uint64_t first, uint64_t end, uint64_t *failed,
                         pluck_error *err)
{
    job *j = user;
    assert_int_equal(*failed, first);
    for (uint64_t item = first; item < end; item++) {
        *failed = item;
        if (item == j->failing)
            return plk_fail(err, PLUCK_ERR_NAN, "item %llu", (unsigned long long)item);
        add_item(&j->sample, item);
    }
    return PLUCK_OK;
}

static void a_pass_does_the_items_that_it_is_given(void **state)
{
    (void)state;
    static bytes known;
    static job whole;
    pluck_error err;
    whole = (job){.failing = UINT64_MAX};
    sample_open(&whole.sample, "s", NULL);
    assert_int_equal(plk_ranks_pass(NULL, 20, &whole.sample.tally, work, &whole, &err), PLUCK_OK);
    sample_put(&whole.sample, &known);
    const struct {
        const char *name;
        fake fake;
        uint64_t failing;
        bool is_alone;
        size_t n_given, n_combined;
        pluck_status status;
        const char *message; /* or NULL */
    } cases[] = {
        {"alone", {.n_ranges = 0}, UINT64_MAX, true, 0, 0, PLUCK_OK, NULL},
        {"alone, a failing item", {.n_ranges = 0}, 6, true, 0, 0, PLUCK_ERR_NAN, "item 6"},
        {"two ranges",
         {.ranges = {{0, 7}, {7, 20}}, .n_ranges = 2},
         UINT64_MAX,
         false,
         2,
         1,
         PLUCK_OK,
         NULL},
        {"the first fails",
         {.ranges = {{0, 7}, {7, 20}}, .n_ranges = 2},
         3,
         false,
         1,
         1,
         PLUCK_ERR_NAN,
         "item 3"},
        {"the second fails",
         {.ranges = {{0, 7}, {7, 20}}, .n_ranges = 2},
         19,
         false,
         2,
         1,
         PLUCK_ERR_NAN,
         "item 19"},
        {"known", {.known = &known}, UINT64_MAX, false, 0, 0, PLUCK_OK, NULL},
        {"backwards",
         {.ranges = {{9, 12}, {3, 5}}, .n_ranges = 2},
         UINT64_MAX,
         false,
         2,
         0,
         PLUCK_ERR_INVALID,
         "from 3"},
        {"twice",
         {.ranges = {{0, 5}, {4, 6}}, .n_ranges = 2},
         UINT64_MAX,
         false,
         2,
         0,
         PLUCK_ERR_INVALID,
         "from 4"},
        {"too far",
         {.ranges = {{18, 21}}, .n_ranges = 1},
         UINT64_MAX,
         false,
         1,
         0,
         PLUCK_ERR_INVALID,
         "including, 21"},
        {"inverted",
         {.ranges = {{6, 5}}, .n_ranges = 1},
         UINT64_MAX,
         false,
         1,
         0,
         PLUCK_ERR_INVALID,
         "from 6"},
        {"begin fails",
         {.failing = 'b', .status = PLUCK_ERR_IO},
         UINT64_MAX,
         false,
         0,
         0,
         PLUCK_ERR_IO,
         "function b"},
        {"next fails",
         {.failing = 'n', .status = PLUCK_ERR_NOMEM},
         UINT64_MAX,
         false,
         0,
         0,
         PLUCK_ERR_NOMEM,
         "function n"},
        {"combine fails after a failing item",
         {.ranges = {{0, 20}}, .n_ranges = 1, .failing = 'c', .status = PLUCK_ERR_IO},
         4,
         false,
         1,
         1,
         PLUCK_ERR_IO,
         "function c"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static job j;
        fake f = cases[i].fake;
        pluck_ranks ranks = PLUCK_INIT(pluck_ranks);
        ranks.begin = fake_begin;
        ranks.next = fake_next;
        ranks.combine = fake_combine;
        ranks.user = &f;
        j = (job){.failing = cases[i].failing};
        sample_open(&j.sample, "s", NULL);
        err = (pluck_error){.status = PLUCK_OK};
        pluck_status status =
            plk_ranks_pass(cases[i].is_alone ? NULL : &ranks, 20, &j.sample.tally, work, &j, &err);
        if (status != cases[i].status || err.status != status || f.n_given != cases[i].n_given ||
            f.n_combined != cases[i].n_combined ||
            (cases[i].message && !strstr(err.message, cases[i].message)))
            fail_msg("%s: status %d, %zu ranges, %zu times combined, %s", cases[i].name,
                     (int)status, f.n_given, f.n_combined, err.message);
        sample_put(&j.sample, &found);
        if (status == PLUCK_OK)
            assert_same_bytes(&known, &found, cases[i].name);
        plk_tally_close(&j.sample.tally);
    }
    plk_tally_close(&whole.sample.tally);
}

static void a_pass_without_memory_fails(void **state)
{
    (void)state;
    static job j;
    test_allocator allocator;
    for (uint64_t i = 0;; i++) {
        pluck_error err = {.status = PLUCK_OK};
        test_allocator_init(&allocator);
        allocator.fail_at = i;
        j = (job){.failing = UINT64_MAX};
        sample_open(&j.sample, "s", &allocator.interface);
        pluck_status status = plk_ranks_pass(NULL, 20, &j.sample.tally, work, &j, &err);
        plk_tally_close(&j.sample.tally);
        assert_int_equal(allocator.n_live, 0);
        if (status == PLUCK_OK)
            break;
        assert_true(allocator.failed);
        assert_int_equal(status, PLUCK_ERR_NOMEM);
        assert_int_equal(err.status, PLUCK_ERR_NOMEM);
    }
    assert_false(allocator.failed);
}

static void ranks_need_their_functions(void **state)
{
    (void)state;
    static job j;
    sample_open(&j.sample, "s", NULL);
    for (int missing = 0; missing < 4; missing++) {
        fake f = {.failing = '\0'};
        pluck_error err;
        pluck_ranks ranks = {.struct_size = missing == 3 ? 0 : sizeof ranks,
                             .begin = missing == 0 ? NULL : fake_begin,
                             .next = missing == 1 ? NULL : fake_next,
                             .combine = missing == 2 ? NULL : fake_combine,
                             .user = &f};
        assert_int_equal(plk_ranks_pass(&ranks, 20, &j.sample.tally, work, &j, &err),
                         PLUCK_ERR_INVALID);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_merged_in_any_order_are_the_whole),
        cmocka_unit_test(a_merged_tally_says_what_was_added),
        cmocka_unit_test(other_bytes_are_refused_and_change_nothing),
        cmocka_unit_test(tallies_of_other_passes_do_not_merge),
        cmocka_unit_test(without_memory_nothing_changes),
        cmocka_unit_test(words_are_in_the_order_of_their_doubles),
        cmocka_unit_test(a_pass_does_the_items_that_it_is_given),
        cmocka_unit_test(a_pass_without_memory_fails),
        cmocka_unit_test(ranks_need_their_functions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
