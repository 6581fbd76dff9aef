/*
 * The layout of a fastText model, byte by byte (fasttext.cc, dictionary.cc, args.cc, matrix and
 * quantmatrix of fastText 0.9.2). Little-endian, nothing is padded.
 *
 *   i32 magic 793712314, i32 version <= 12
 *   12 x i32: dim, ws, epoch, minCount, neg, wordNgrams, loss (hs 1, ns 2, softmax 3, ova 4), model
 *     (cbow 1, sg 2, sup 3), bucket, minn, maxn, lrUpdateRate; f64 t. In version 11 a supervised
 *     model has no subwords, whatever maxn says
 *   i32 size, nwords, nlabels
 *   i64 ntokens
 *   i64 pruneidx_size, -1 if not pruned
 *   size x { bytes, 0x00, i64 count, i8 type: 0 word, 1 label }, words first
 *   pruneidx_size x { i32 from, i32 to }
 *   u8 quantised, input matrix
 *   u8 output quantised (it counts only if the input is), output matrix
 *
 *   dense matrix:     i64 m, i64 n, f32[m n]
 *   quantised matrix: u8 qnorm, i64 m, i64 n, i32 codesize = m nsubq, u8[codesize], codebook, and
 *                     with qnorm u8[m], codebook of dim 1
 *   codebook:         i32 dim, nsubq, dsub, lastdsub, f32[256 dim]: centroid c of piece s is at
 *                     (256 s + c) dsub, that of the last piece at 256 s dsub + c lastdsub
 *
 * No size is believed: a cursor gives bytes only as far as the file goes, and arrays are allocated
 * for what has been seen to fit (an entry takes at least 10 bytes, a pruned pair 8).
 */
#include "heads/fasttext/fasttext_impl.h"

#include "base/alloc.h"
#include "base/error.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAGIC = 793712314,
    OLDEST_VERSION = 11,
    NEWEST_VERSION = 12,
    MAX_NGRAM = 255, /* words or code points: what a line can cost */
    MIN_ENTRY_BYTES = 10,
    N_CENTROIDS = 256
};

typedef struct cursor {
    const char *label;
    const uint8_t *bytes;
    uint64_t size_bytes, at;
    pluck_error *err;
    pluck_status status;
} cursor;

static void fail(cursor *c, const char *what)
{
    if (c->status == PLUCK_OK)
        c->status = plk_fail(c->err, PLUCK_ERR_FORMAT, "%s: byte %llu: %s", c->label,
                             (unsigned long long)c->at, what);
}

/* The next n bytes, or NULL if the file ends before. */
static const uint8_t *read_bytes(cursor *c, uint64_t n, const char *what)
{
    if (c->status != PLUCK_OK)
        return NULL;
    if (n > c->size_bytes - c->at) {
        c->status = plk_fail(c->err, PLUCK_ERR_FORMAT,
                             "%s: truncated: %s needs %llu bytes from byte %llu, the file has %llu",
                             c->label, what, (unsigned long long)n, (unsigned long long)c->at,
                             (unsigned long long)c->size_bytes);
        return NULL;
    }
    const uint8_t *bytes = c->bytes + c->at;
    c->at += n;
    return bytes;
}

static uint64_t read_integer(cursor *c, unsigned n_bytes, const char *what)
{
    const uint8_t *bytes = read_bytes(c, n_bytes, what);
    uint64_t value = 0;
    for (unsigned i = n_bytes; bytes && i-- > 0;)
        value = value << 8 | bytes[i];
    return value;
}

static int32_t take_i32(cursor *c, const char *what)
{
    return (int32_t)(uint32_t)read_integer(c, 4, what);
}

static int64_t take_i64(cursor *c, const char *what)
{
    return (int64_t)read_integer(c, 8, what);
}

static void read_args(cursor *c, plk_fasttext_args *args)
{
    static const char what[] = "the arguments";
    if (take_i32(c, what) != MAGIC)
        fail(c, "the file does not begin with fastText's magic number 793712314");
    int32_t version = take_i32(c, what);
    if (version < OLDEST_VERSION || version > NEWEST_VERSION)
        fail(c, "the version must be 11 or 12");
    int32_t *const fields[] = {&args->dim,    &args->window,      &args->epoch, &args->min_count,
                               &args->neg,    &args->word_ngrams, &args->loss,  &args->model,
                               &args->bucket, &args->minn,        &args->maxn,  &args->update_rate};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        *fields[i] = take_i32(c, what);
    (void)read_bytes(c, 8, what);
    if (version == OLDEST_VERSION && args->model == PLUCK_FASTTEXT_SUPERVISED)
        args->maxn = 0;
    if (args->maxn < 0)
        args->maxn = 0;
    if (args->dim < 1)
        fail(c, "dim must be at least 1");
    if (args->loss < PLUCK_FASTTEXT_HS || args->loss > PLUCK_FASTTEXT_OVA)
        fail(c, "the loss must be 1 (hs), 2 (ns), 3 (softmax) or 4 (ova)");
    if (args->model < PLUCK_FASTTEXT_CBOW || args->model > PLUCK_FASTTEXT_SUPERVISED)
        fail(c, "the model must be 1 (cbow), 2 (skip-gram) or 3 (supervised)");
    if (args->word_ngrams > MAX_NGRAM || args->maxn > MAX_NGRAM)
        fail(c, "wordNgrams or maxn exceeds 255");
    if ((args->word_ngrams > 1 || args->maxn > 0) && args->bucket < 1)
        fail(c, "n-grams need buckets, but there are none");
}

uint32_t plk_fasttext_hash(const char *text, size_t length)
{
    uint32_t hash = PLK_FASTTEXT_HASH_FIRST;
    for (size_t i = 0; i < length; i++)
        hash = plk_fasttext_hash_byte(hash, text[i]);
    return hash;
}

/* The slot that holds this text, or the free one where it would go: at least half are free. */
static uint32_t *slot_of(const plk_fasttext_file *file, const char *text, size_t length,
                         uint32_t hash)
{
    for (uint32_t i = hash & file->slot_mask;; i = (i + 1) & file->slot_mask) {
        uint32_t *slot = &file->slots[i];
        if (*slot == 0)
            return slot;
        const plk_fasttext_entry *entry = &file->entries[*slot - 1];
        if (entry->length == length && memcmp(entry->text, text, length) == 0)
            return slot;
    }
}

uint32_t plk_fasttext_find(const plk_fasttext_file *file, const char *text, size_t length,
                           uint32_t hash)
{
    return *slot_of(file, text, length, hash) - 1;
}

/* Of two entries with the same text the later one counts, as in fastText. */
static void read_entries(cursor *c, plk_fasttext_file *file, uint32_t n)
{
    for (uint32_t i = 0; i < n && c->status == PLUCK_OK; i++) {
        plk_fasttext_entry *entry = &file->entries[i];
        const uint8_t *text = c->bytes + c->at;
        uint64_t left = c->size_bytes - c->at;
        const uint8_t *end = left != 0 ? memchr(text, 0, (size_t)left) : NULL;
        if (!end) {
            fail(c, "truncated: a word of the dictionary does not end");
            return;
        }
        entry->text = (const char *)text;
        entry->length = (size_t)(end - text);
        c->at += entry->length + 1;
        entry->count = take_i64(c, "a count");
        uint64_t type = read_integer(c, 1, "a type");
        if (c->status == PLUCK_OK && type != (i >= file->n_words))
            fail(c, "the dictionary must hold nwords words, type 0, then nlabels labels, type 1");
        if (c->status == PLUCK_OK && entry->count < 0)
            fail(c, "a count is negative");
        if (c->status == PLUCK_OK)
            *slot_of(file, entry->text, entry->length,
                     plk_fasttext_hash(entry->text, entry->length)) = i + 1;
    }
}

static void read_pruned(cursor *c, plk_fasttext_file *file)
{
    uint64_t n = (uint64_t)file->n_pruned;
    if (c->status != PLUCK_OK)
        return;
    if (n > (c->size_bytes - c->at) / sizeof(plk_fasttext_prune) || n > INT32_MAX) {
        fail(c, "truncated: pruneidx_size is more than the file holds");
        return;
    }
    plk_fasttext_prune *pairs = plk_alloc(&file->allocator, (size_t)n, sizeof *pairs);
    file->pruned = (plk_fasttext_prune_map){.pairs = pairs, .n = (size_t)n};
    for (uint64_t i = 0; pairs && i < n; i++) {
        pairs[i].from = take_i32(c, "a pruned feature");
        pairs[i].to = take_i32(c, "a pruned feature");
        if (pairs[i].from < 0)
            fail(c, "a pruned feature has a negative number");
    }
    if (c->status != PLUCK_OK)
        return;
    bool is_twice = false;
    if (!pairs || !plk_fasttext_prune_build(&file->pruned, &file->allocator, &is_twice))
        c->status = plk_fail_nomem(c->err, (size_t)n * sizeof *pairs);
    if (is_twice)
        fail(c, "a pruned feature is listed twice");
}

static void read_dictionary(cursor *c, plk_fasttext_file *file)
{
    static const char what[] = "the dictionary";
    int32_t n = take_i32(c, what), n_words = take_i32(c, what), n_labels = take_i32(c, what);
    (void)read_bytes(c, 8, what);
    file->n_pruned = take_i64(c, what);
    if (c->status == PLUCK_OK &&
        (n < 0 || n_words < 0 || n_labels < 0 || (int64_t)n_words + n_labels != n))
        fail(c, "nwords and nlabels of the dictionary do not add up to its size");
    if (c->status == PLUCK_OK && (uint64_t)n > (c->size_bytes - c->at) / MIN_ENTRY_BYTES)
        fail(c, "truncated: the dictionary has more entries than the file can hold");
    if (c->status != PLUCK_OK)
        return;
    file->n_words = (uint32_t)n_words;
    file->n_labels = (uint32_t)n_labels;
    uint64_t n_slots = 4;
    while (n_slots < 2 * (uint64_t)n)
        n_slots *= 2;
    file->slot_mask = (uint32_t)(n_slots - 1);
    file->entries = plk_alloc(&file->allocator, (size_t)n, sizeof *file->entries);
    file->slots = plk_alloc_zero(&file->allocator, (size_t)n_slots, sizeof *file->slots);
    if (!file->entries || !file->slots) {
        c->status = plk_fail_nomem(c->err, (size_t)n * sizeof *file->entries);
        return;
    }
    read_entries(c, file, (uint32_t)n);
    if (file->n_pruned >= 0)
        read_pruned(c, file);
}

static void read_codebook(cursor *c, uint32_t dim, plk_fasttext_codebook *book)
{
    static const char what[] = "a codebook";
    int32_t stored = take_i32(c, what), n_subs = take_i32(c, what), sub = take_i32(c, what),
            last_sub = take_i32(c, what);
    if (c->status != PLUCK_OK)
        return;
    if (stored < 1 || (uint32_t)stored != dim || n_subs < 1 || sub < 1 || last_sub < 1 ||
        (int64_t)(n_subs - 1) * sub + last_sub != stored) {
        fail(c, "the pieces of a codebook do not add up to the length of a row");
        return;
    }
    *book =
        (plk_fasttext_codebook){.dim = dim,
                                .n_subs = (uint32_t)n_subs,
                                .sub = (uint32_t)sub,
                                .last_sub = (uint32_t)last_sub,
                                .centroids = read_bytes(c, 4 * N_CENTROIDS * (uint64_t)dim, what)};
}

/* n a b bytes, if that is no more than the file has. */
static const uint8_t *read_product(cursor *c, uint64_t a, uint64_t b, const char *what)
{
    if (c->status == PLUCK_OK && b != 0 && a > (c->size_bytes - c->at) / b)
        fail(c, "truncated: a matrix is larger than the rest of the file");
    return read_bytes(c, a * b, what);
}

static void read_matrix(cursor *c, const plk_fasttext_file *file, bool quantised,
                        plk_fasttext_matrix *matrix)
{
    bool has_norms = quantised && read_integer(c, 1, "qnorm") != 0;
    int64_t m = take_i64(c, "a matrix"), n = take_i64(c, "a matrix");
    if (c->status == PLUCK_OK && (m < 0 || n != file->args.dim))
        fail(c, "the rows of a matrix do not have dim values");
    matrix->n_rows = (uint64_t)m;
    matrix->n_cols = (uint32_t)file->args.dim;
    if (!quantised) {
        matrix->values = read_product(c, matrix->n_rows, 4 * (uint64_t)matrix->n_cols, "a matrix");
        return;
    }
    int32_t n_codes = take_i32(c, "codesize");
    matrix->codes = read_product(c, (uint64_t)(n_codes < 0 ? 0 : n_codes), 1, "the codes");
    read_codebook(c, matrix->n_cols, &matrix->book);
    if (c->status == PLUCK_OK && (n_codes < 0 || matrix->n_rows > (uint64_t)n_codes ||
                                  matrix->n_rows * matrix->book.n_subs != (uint64_t)n_codes))
        fail(c, "codesize is not the number of rows times the number of pieces per row");
    if (!has_norms)
        return;
    plk_fasttext_codebook norms = {0};
    matrix->norm_codes = read_product(c, matrix->n_rows, 1, "the codes of norms");
    read_codebook(c, 1, &norms);
    matrix->norms = norms.centroids;
}

/* Every feature of any text has a row. */
static void check_rows(cursor *c, const plk_fasttext_file *file)
{
    const plk_fasttext_args *args = &file->args;
    uint64_t n_rows = file->input.n_rows, n_words = file->n_words;
    uint64_t n_outputs = args->model == PLUCK_FASTTEXT_SUPERVISED ? file->n_labels : file->n_words;
    bool hashed = args->maxn > 0 || args->word_ngrams > 1;
    if (n_rows > INT32_MAX)
        fail(c, "the input matrix has more than 2^31 - 1 rows");
    if (n_words > n_rows)
        fail(c, "the input matrix has fewer rows than the dictionary has words");
    if (hashed && file->n_pruned < 0 && n_words + (uint64_t)args->bucket > n_rows)
        fail(c, "the input matrix has fewer rows than words and buckets");
    for (int64_t i = 0; i < file->n_pruned; i++)
        if (file->pruned.pairs[i].to < 0 || n_words + (uint64_t)file->pruned.pairs[i].to >= n_rows)
            fail(c, "a pruned feature points beyond the input matrix");
    if (n_outputs < 1 || n_outputs > PLUCK_MAX_VOCAB)
        fail(c, "the model has no outputs, or more than 2^24");
    if (file->output.n_rows < n_outputs)
        fail(c, "the output matrix has fewer rows than there are outputs");
}

pluck_status plk_fasttext_file_read(plk_fasttext_file *file, const char *label,
                                    const uint8_t *bytes, uint64_t size_bytes,
                                    const pluck_allocator *allocator, pluck_error *err)
{
    cursor c = {.label = label, .bytes = bytes, .size_bytes = size_bytes, .err = err};
    *file = (plk_fasttext_file){.allocator = *allocator};
    read_args(&c, &file->args);
    read_dictionary(&c, file);
    bool quantised = read_integer(&c, 1, "the quantised flag") != 0;
    read_matrix(&c, file, quantised, &file->input);
    bool is_output_quantised = read_integer(&c, 1, "the output's quantised flag") != 0;
    read_matrix(&c, file, quantised && is_output_quantised, &file->output);
    if (c.status == PLUCK_OK)
        check_rows(&c, file);
    if (c.status == PLUCK_OK && c.at != size_bytes)
        fail(&c, "oversized: the file continues behind the output matrix");
    if (c.status != PLUCK_OK)
        plk_fasttext_file_free(file);
    return c.status;
}

void plk_fasttext_file_free(plk_fasttext_file *file)
{
    plk_free(&file->allocator, file->entries);
    plk_free(&file->allocator, file->slots);
    plk_fasttext_prune_free(&file->pruned, &file->allocator);
    file->entries = NULL;
    file->slots = NULL;
}

static float float_at(const uint8_t *values, uint64_t i)
{
    float x;
    memcpy(&x, values + i * sizeof x, sizeof x);
    return x;
}

/* fastText adds norm * centroid, rounded, to the sum. */
static void add_quantised(const plk_fasttext_matrix *matrix, uint64_t row, float *sum)
{
    const plk_fasttext_codebook *book = &matrix->book;
    float norm = matrix->norms ? float_at(matrix->norms, matrix->norm_codes[row]) : 1;
    const uint8_t *codes = matrix->codes + row * book->n_subs;
    for (uint32_t s = 0; s < book->n_subs; s++) {
        uint32_t length = s + 1 == book->n_subs ? book->last_sub : book->sub;
        uint64_t first = (uint64_t)N_CENTROIDS * s * book->sub + (uint64_t)codes[s] * length;
        float *part = sum + (size_t)s * book->sub;
        for (uint32_t j = 0; j < length; j++)
            part[j] += norm * float_at(book->centroids, first + j);
    }
}

void plk_fasttext_add_row(const plk_fasttext_matrix *matrix, uint64_t row, float *sum)
{
    if (!matrix->values) {
        add_quantised(matrix, row, sum);
        return;
    }
    const uint8_t *values = matrix->values + row * matrix->n_cols * sizeof *sum;
    for (uint32_t j = 0; j < matrix->n_cols; j++)
        sum[j] += float_at(values, j);
}

/*
 * Most lookups are of features that were pruned away, and they are the larger part of the work of
 * reading a line. The pairs are sorted by from, and the upper bits of from (from >> shift) index
 * where the pairs with these bits begin. The number of slots is near that of pairs, so that a
 * lookup reads one or two neighbouring numbers, and a pair in every second case. What is left in a
 * slot is searched by halves: a map made to crowd into one slot costs log2 n steps, not n.
 */

enum { SHORT = 16 };

static uint32_t from_of(const plk_fasttext_prune *pair)
{
    return (uint32_t)pair->from;
}

static int by_from(const void *a, const void *b)
{
    uint32_t x = from_of(a), y = from_of(b);
    return (x > y) - (x < y);
}

static void sort_slot(plk_fasttext_prune *pairs, size_t n)
{
    if (n > SHORT) {
        qsort(pairs, n, sizeof *pairs, by_from);
        return;
    }
    for (size_t i = 1; i < n; i++) {
        plk_fasttext_prune pair = pairs[i];
        size_t j = i;
        for (; j > 0 && from_of(&pairs[j - 1]) > from_of(&pair); j--)
            pairs[j] = pairs[j - 1];
        pairs[j] = pair;
    }
}

/* Counting sort by slot: firsts[s] is the end of slot s before its pairs are put in from behind,
 * and its beginning after. */
static void sort_by_slot(plk_fasttext_prune_map *map, const plk_fasttext_prune *unsorted)
{
    for (size_t i = 0; i < map->n; i++)
        map->firsts[from_of(&unsorted[i]) >> map->shift]++;
    for (uint32_t s = 1; s <= map->n_slots; s++)
        map->firsts[s] += map->firsts[s - 1];
    for (size_t i = map->n; i-- > 0;)
        map->pairs[--map->firsts[from_of(&unsorted[i]) >> map->shift]] = unsorted[i];
    for (uint32_t s = 0; s < map->n_slots; s++)
        sort_slot(map->pairs + map->firsts[s], map->firsts[s + 1] - map->firsts[s]);
}

bool plk_fasttext_prune_build(plk_fasttext_prune_map *map, const pluck_allocator *allocator,
                              bool *is_twice)
{
    uint32_t largest = 0;
    for (size_t i = 0; i < map->n; i++)
        largest = from_of(&map->pairs[i]) > largest ? from_of(&map->pairs[i]) : largest;
    map->n_slots = 1;
    while (map->n_slots < map->n)
        map->n_slots *= 2;
    assert(largest <= INT32_MAX);
    for (map->shift = 0; largest >> map->shift >= map->n_slots;)
        map->shift++;
    map->firsts = plk_alloc_zero(allocator, (size_t)map->n_slots + 1, sizeof *map->firsts);
    plk_fasttext_prune *unsorted = plk_alloc(allocator, map->n, sizeof *unsorted);
    *is_twice = false;
    if (map->firsts && unsorted) {
        memcpy(unsorted, map->pairs, map->n * sizeof *unsorted);
        sort_by_slot(map, unsorted);
        for (size_t i = 1; i < map->n; i++)
            *is_twice |= map->pairs[i].from == map->pairs[i - 1].from;
    }
    bool fits = map->firsts && unsorted;
    plk_free(allocator, unsorted);
    return fits;
}

void plk_fasttext_prune_free(plk_fasttext_prune_map *map, const pluck_allocator *allocator)
{
    plk_free(allocator, map->pairs);
    plk_free(allocator, map->firsts);
    *map = (plk_fasttext_prune_map){.pairs = NULL};
}

int32_t plk_fasttext_prune_find(const plk_fasttext_prune_map *map, uint32_t from)
{
    uint32_t slot = from >> map->shift;
    if (slot >= map->n_slots)
        return -1;
    uint32_t low = map->firsts[slot], high = map->firsts[slot + 1];
    while (low < high) {
        uint32_t middle = low + (high - low) / 2, here = from_of(&map->pairs[middle]);
        if (here == from)
            return map->pairs[middle].to;
        if (here < from)
            low = middle + 1;
        else
            high = middle;
    }
    return -1;
}
