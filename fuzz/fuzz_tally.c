/*
 * Bytes of a tally of any content. What is accepted is exactly what would be written; what is
 * refused changes nothing; and merging it with what is there already does not depend on the order.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/tally.h"

enum { N = 2, LIMIT = 3 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct sample {
    pluck_tally tally;
    uint64_t counts[N];
    int64_t integers[N];
    plk_exact_sum sums[N];
    plk_tally_list lists[N];
    plk_tally_text text;
    size_t n_bytes;
    char *bytes;
} sample;

static void require(bool condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "%s\n", what);
    abort();
}

static void sample_open(sample *s)
{
    *s = (sample){.lists = {{.n_words = 1}, {.n_words = 2, .limit = LIMIT}}};
    plk_tally_open(&s->tally, "fuzz", NULL);
    plk_tally_section_add(&s->tally, PLK_TALLY_COUNTS, s->counts, N);
    plk_tally_section_add(&s->tally, PLK_TALLY_INTEGERS, s->integers, N);
    plk_tally_section_add(&s->tally, PLK_TALLY_SUMS, s->sums, N);
    plk_tally_section_add(&s->tally, PLK_TALLY_LISTS, s->lists, N);
    plk_tally_section_add(&s->tally, PLK_TALLY_TEXT, &s->text, 1);
}

static void sample_close(sample *s)
{
    plk_tally_close(&s->tally);
    free(s->bytes);
}

/* Something that most inputs can be merged with: the text is of other items. */
static void sample_fill(sample *s)
{
    uint64_t words[] = {7, 8};
    s->counts[0] = UINT64_MAX - 3;
    s->integers[1] = INT64_MIN;
    plk_exact_sum_add(&s->sums[0], 0.1);
    plk_tally_list_add(&s->tally, &s->lists[0], words);
    plk_tally_list_add(&s->tally, &s->lists[1], words);
    plk_tally_text_add(&s->tally, &s->text, UINT64_MAX - 9, 1, "fuzz", 4);
}

static void sample_put(sample *s)
{
    size_t needed = 0;
    require(pluck_tally_put(&s->tally, NULL, 0, &s->n_bytes, NULL) == PLUCK_OK, "put fails");
    free(s->bytes);
    s->bytes = malloc(s->n_bytes);
    require(s->bytes != NULL, "no memory");
    require(pluck_tally_put(&s->tally, s->bytes, s->n_bytes, &needed, NULL) == PLUCK_OK &&
                needed == s->n_bytes,
            "put fails");
}

static bool are_equal(const sample *s, const void *bytes, size_t n_bytes)
{
    return s->n_bytes == n_bytes && memcmp(s->bytes, bytes, n_bytes) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static sample a, b, ab;
    pluck_error err = {.status = PLUCK_OK};
    sample_open(&a);
    sample_open(&b);
    sample_open(&ab);
    sample_fill(&b);
    sample_put(&a);
    size_t n_before = a.n_bytes;
    char *before = a.bytes;
    a.bytes = NULL;
    pluck_status status = pluck_tally_merge(&a.tally, data, size, &err);
    require(status == PLUCK_OK || status == PLUCK_ERR_FORMAT, "unexpected status");
    sample_put(&a);
    if (status != PLUCK_OK)
        require(are_equal(&a, before, n_before), "what was refused changed the tally");
    else
        require(are_equal(&a, data, size), "what was accepted is written differently");
    free(before);
    sample_put(&b);
    status = pluck_tally_merge(&ab.tally, a.bytes, a.n_bytes, &err);
    require(status == PLUCK_OK, "what was written is refused");
    pluck_status other = pluck_tally_merge(&ab.tally, b.bytes, b.n_bytes, &err);
    status = pluck_tally_merge(&b.tally, a.bytes, a.n_bytes, &err);
    require(status == other, "merging depends on the order");
    sample_put(&ab);
    sample_put(&b);
    require(status != PLUCK_OK || are_equal(&ab, b.bytes, b.n_bytes),
            "the merged tally depends on the order");
    sample_close(&a);
    sample_close(&b);
    sample_close(&ab);
    return 0;
}
