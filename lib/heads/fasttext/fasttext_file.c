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
    plk_arrays *memory;
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

/* FNV-1a, 32 bits, over sign-extended bytes. */
static const uint32_t HASH_FIRST = 2166136261u;

static uint32_t hash_byte(uint32_t hash, char byte)
{
    uint32_t extended = (uint32_t)(int32_t)(int8_t)byte;
    return (hash ^ extended) * 16777619u;
}

static uint32_t hash_of(const char *text, size_t length)
{
    uint32_t hash = HASH_FIRST;
    for (size_t i = 0; i < length; i++)
        hash = hash_byte(hash, text[i]);
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
            *slot_of(file, entry->text, entry->length, hash_of(entry->text, entry->length)) = i + 1;
    }
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

/* From the pairs in map->pairs[0 .. n - 1], in any order, n < 2^31, where no from is negative. */
static void build_map(cursor *c, plk_fasttext_prune_map *map)
{
    plk_arrays scratch = {.allocator = c->memory->allocator};
    uint32_t largest = 0;
    for (size_t i = 0; i < map->n; i++)
        largest = from_of(&map->pairs[i]) > largest ? from_of(&map->pairs[i]) : largest;
    map->n_slots = 1;
    while (map->n_slots < map->n)
        map->n_slots *= 2;
    assert(largest <= INT32_MAX);
    for (map->shift = 0; largest >> map->shift >= map->n_slots;)
        map->shift++;
    map->firsts = plk_arrays_add_zero(c->memory, (size_t)map->n_slots + 1, sizeof *map->firsts);
    plk_fasttext_prune *unsorted = plk_arrays_add(&scratch, map->n, sizeof *unsorted);
    c->status = plk_arrays_check(map->firsts ? &scratch : c->memory, c->err);
    if (c->status == PLUCK_OK) {
        memcpy(unsorted, map->pairs, map->n * sizeof *unsorted);
        sort_by_slot(map, unsorted);
    }
    for (size_t i = 1; c->status == PLUCK_OK && i < map->n; i++)
        if (map->pairs[i].from == map->pairs[i - 1].from)
            fail(c, "a pruned feature is listed twice");
    plk_arrays_free(&scratch);
}

/* Where from went, or -1. */
static int32_t find_pruned(const plk_fasttext_prune_map *map, uint32_t from)
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

static void read_pruned(cursor *c, plk_fasttext_file *file)
{
    uint64_t n = (uint64_t)file->n_pruned;
    if (c->status != PLUCK_OK)
        return;
    if (n > (c->size_bytes - c->at) / sizeof(plk_fasttext_prune) || n > INT32_MAX) {
        fail(c, "truncated: pruneidx_size is more than the file holds");
        return;
    }
    plk_fasttext_prune *pairs = plk_arrays_add(c->memory, (size_t)n, sizeof *pairs);
    c->status = plk_arrays_check(c->memory, c->err);
    file->pruned = (plk_fasttext_prune_map){.pairs = pairs, .n = (size_t)n};
    for (uint64_t i = 0; pairs && i < n; i++) {
        pairs[i].from = take_i32(c, "a pruned feature");
        pairs[i].to = take_i32(c, "a pruned feature");
        if (pairs[i].from < 0)
            fail(c, "a pruned feature has a negative number");
    }
    if (c->status == PLUCK_OK)
        build_map(c, &file->pruned);
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
    file->entries = plk_arrays_add(c->memory, (size_t)n, sizeof *file->entries);
    file->slots = plk_arrays_add_zero(c->memory, (size_t)n_slots, sizeof *file->slots);
    c->status = plk_arrays_check(c->memory, c->err);
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
                                    const uint8_t *bytes, uint64_t size_bytes, plk_arrays *memory,
                                    pluck_error *err)
{
    cursor c = {
        .label = label, .bytes = bytes, .size_bytes = size_bytes, .memory = memory, .err = err};
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
    return c.status;
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
 * From a line of text to rows of the input matrix: what Dictionary::getLine, addSubwords,
 * computeSubwords, addWordNgrams and pushHash of fastText 0.9.2 do (dictionary.cc), without making
 * strings: the hash of a subword grows by one code point at a time.
 *
 * Odd but needed:
 *   - word hashes are kept as i32 and sign-extended to u64 in the mixing of n-grams,
 *   - a subword of one code point is left out at either end of "<word>",
 *   - the word "</s>" has no subwords and ends the line, also where the text has it as a word,
 *   - a pruned model drops all features that its map does not have.
 */

static const char end_of_sentence[] = "</s>";

static bool push(const pluck_allocator *allocator, int32_t **items, size_t *n, size_t *capacity,
                 int32_t item)
{
    if (plk_grow(allocator, items, capacity, *n + 1, sizeof **items, NULL) != PLUCK_OK)
        return false;
    (*items)[(*n)++] = item;
    return true;
}

static bool push_feature(plk_fasttext_line *line, int32_t feature)
{
    return push(&line->allocator, &line->features, &line->n_features, &line->features_capacity,
                feature);
}

/* A bucket, which a pruned model maps or drops. */
static bool push_bucket(plk_fasttext_line *line, const plk_fasttext_file *file, int32_t bucket)
{
    if (file->n_pruned == 0 || bucket < 0)
        return true;
    if (file->n_pruned > 0) {
        bucket = find_pruned(&file->pruned, (uint32_t)bucket);
        if (bucket < 0)
            return true;
    }
    return push_feature(line, (int32_t)(file->n_words + (uint32_t)bucket));
}

static bool is_continuation(char byte)
{
    return ((unsigned char)byte & 0xC0u) == 0x80u;
}

static bool push_subwords(plk_fasttext_line *line, const plk_fasttext_file *file, const char *word,
                          size_t length)
{
    const plk_fasttext_args *args = &file->args;
    size_t size = length + 2;
    if (plk_grow(&line->allocator, &line->word, &line->word_capacity, size, 1, NULL) != PLUCK_OK)
        return false;
    char *text = line->word; /* "<word>" */
    text[0] = '<';
    memcpy(text + 1, word, length);
    text[length + 1] = '>';
    for (size_t i = 0; i < size; i++) {
        if (is_continuation(text[i]))
            continue;
        uint32_t hash = HASH_FIRST;
        size_t j = i;
        for (int32_t n = 1; j < size && n <= args->maxn; n++) {
            do
                hash = hash_byte(hash, text[j++]);
            while (j < size && is_continuation(text[j]));
            if (n < args->minn || (n == 1 && (i == 0 || j == size)))
                continue;
            if (!push_bucket(line, file, (int32_t)(hash % (uint32_t)args->bucket)))
                return false;
        }
    }
    return true;
}

static bool push_word_ngrams(plk_fasttext_line *line, const plk_fasttext_file *file)
{
    uint64_t bucket = (uint64_t)file->args.bucket;
    size_t longest = file->args.word_ngrams > 1 ? (size_t)file->args.word_ngrams : 1;
    for (size_t i = 0; i < line->n_hashes; i++) {
        uint64_t hash = (uint64_t)(int64_t)line->hashes[i];
        for (size_t j = i + 1; j < line->n_hashes && j - i < longest; j++) {
            hash = hash * 116049371 + (uint64_t)(int64_t)line->hashes[j];
            if (!push_bucket(line, file, (int32_t)(hash % bucket)))
                return false;
        }
    }
    return true;
}

static bool push_word(plk_fasttext_line *line, const plk_fasttext_file *file,
                      const char *label_prefix, const char *word, size_t length, bool is_end)
{
    uint32_t hash = hash_of(word, length);
    uint32_t id = *slot_of(file, word, length, hash) - 1; /* UINT32_MAX: unknown */
    size_t prefix_length = strlen(label_prefix);
    if (id == UINT32_MAX ? length >= prefix_length && memcmp(word, label_prefix, prefix_length) == 0
                         : id >= file->n_words)
        return true;
    if (id != UINT32_MAX && !push_feature(line, (int32_t)id))
        return false;
    if (!is_end && file->args.maxn > 0 && !push_subwords(line, file, word, length))
        return false;
    return push(&line->allocator, &line->hashes, &line->n_hashes, &line->hashes_capacity,
                (int32_t)hash);
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r') || c == '\0';
}

/* The next word, or false at the end of the text. */
static bool next_word(const char *text, size_t size, size_t *at, const char **word, size_t *length)
{
    while (*at < size && is_space(text[*at])) {
        if (text[(*at)++] == '\n') {
            *word = end_of_sentence;
            *length = sizeof end_of_sentence - 1;
            return true;
        }
    }
    *word = text + *at;
    while (*at < size && !is_space(text[*at]))
        (*at)++;
    *length = (size_t)(text + *at - *word);
    /* A separator is used up with its word, except the newline. */
    if (*at < size && text[*at] != '\n' && *length > 0)
        (*at)++;
    return *length > 0;
}

pluck_status plk_fasttext_line_read(plk_fasttext_line *line, const plk_fasttext_file *file,
                                    const char *label_prefix, const char *text, size_t size_bytes,
                                    size_t *used_bytes, pluck_error *err)
{
    size_t at = 0, length = 0;
    const char *word = NULL;
    bool fits = true, is_end = false;
    line->n_features = 0;
    line->n_hashes = 0;
    while (fits && !is_end && next_word(text, size_bytes, &at, &word, &length)) {
        is_end = length == sizeof end_of_sentence - 1 && memcmp(word, end_of_sentence, length) == 0;
        fits = push_word(line, file, label_prefix, word, length, is_end);
    }
    if (fits)
        fits = push_word_ngrams(line, file);
    if (!fits)
        return plk_fail(err, PLUCK_ERR_NOMEM,
                        "out of memory: the features of a text of %zu bytes could not be kept",
                        size_bytes);
    *used_bytes = at;
    return PLUCK_OK;
}
