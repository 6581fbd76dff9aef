/*
 * Models come from elsewhere, so the reader is shown what no trainer writes: files cut short at
 * every byte, sizes that overflow, every byte changed. What it reads from right ones is compared
 * with fastText itself in test_fasttext_peer.py; here a model made by hand shows which features a
 * line has, and the published language-identification model what comes out in the end.
 *
 * PLUCK_SHARED_DATA names the folder with lid.176.ftz and hs_lid176_*; without it that test is
 * skipped.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pluck/dump.h>
#include <pluck/fasttext.h>

#include "support/dump_reading.h"

static pluck_error err;

#define assert_ok(call)                                                                            \
    do {                                                                                           \
        if ((call) != PLUCK_OK)                                                                    \
            fail_msg("%s: %s", #call, err.message);                                                \
    } while (0)

typedef struct file_bytes {
    unsigned char bytes[8192];
    size_t n;
} file_bytes;

static void put(file_bytes *f, uint64_t value, size_t n_bytes)
{
    for (size_t i = 0; i < n_bytes; i++)
        f->bytes[f->n++] = (unsigned char)(value >> (8 * i));
}

static void put_floats(file_bytes *f, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float value = (float)((double)((i * 37 + 11) % 64) / 16 - 2);
        memcpy(f->bytes + f->n, &value, sizeof value);
        f->n += sizeof value;
    }
}

static void put_entry(file_bytes *f, const char *text, int64_t count, int type)
{
    memcpy(f->bytes + f->n, text, strlen(text) + 1);
    f->n += strlen(text) + 1;
    put(f, (uint64_t)count, 8);
    put(f, (uint64_t)type, 1);
}

enum { DIM = 2, N_WORDS = 4, N_LABELS = 3, N_BUCKETS = 10 };

typedef struct recipe {
    int loss, ngrams, minn, maxn;
    bool quantised, pruned;
} recipe;

static void put_codebook(file_bytes *f, uint64_t dim, uint64_t n_subs, uint64_t sub)
{
    put(f, dim, 4);
    put(f, n_subs, 4);
    put(f, sub, 4);
    put(f, dim - (n_subs - 1) * sub, 4);
    put_floats(f, 256 * dim);
}

static void put_matrix(file_bytes *f, uint64_t n_rows, bool quantised)
{
    if (!quantised) {
        put(f, n_rows, 8);
        put(f, DIM, 8);
        put_floats(f, n_rows * DIM);
        return;
    }
    put(f, 1, 1);
    put(f, n_rows, 8);
    put(f, DIM, 8);
    put(f, n_rows * 2, 4);
    for (uint64_t i = 0; i < n_rows * 2; i++)
        put(f, (i * 91 + 3) % 256, 1);
    put_codebook(f, DIM, 2, 1);
    for (uint64_t i = 0; i < n_rows; i++)
        put(f, (i * 17 + 40) % 256, 1);
    put_codebook(f, 1, 1, 1);
}

static file_bytes make_model(recipe r)
{
    file_bytes f = {.n = 0};
    const int args[12] = {DIM, 5, 5, 1, 5, r.ngrams, r.loss, 3, N_BUCKETS, r.minn, r.maxn, 100};
    put(&f, 793712314, 4);
    put(&f, 12, 4);
    for (size_t i = 0; i < 12; i++)
        put(&f, (uint64_t)args[i], 4);
    put(&f, 0, 8);
    put(&f, N_WORDS + N_LABELS, 4);
    put(&f, N_WORDS, 4);
    put(&f, N_LABELS, 4);
    put(&f, 100, 8);
    put(&f, r.pruned ? 3 : UINT64_MAX, 8);
    put_entry(&f, "</s>", 9, 0);
    put_entry(&f, "the", 7, 0);
    put_entry(&f, "cat", 5, 0);
    put_entry(&f, "\xC3\xA9t\xC3\xA9", 2, 0);
    put_entry(&f, "__label__a", 6, 1);
    put_entry(&f, "__label__b", 3, 1);
    put_entry(&f, "__label__c", 2, 1);
    for (uint64_t i = 0; r.pruned && i < 3; i++) {
        put(&f, 7 - 2 * i, 4);
        put(&f, i, 4);
    }
    put(&f, r.quantised, 1);
    put_matrix(&f, N_WORDS + (r.pruned ? 3 : N_BUCKETS), r.quantised);
    put(&f, r.quantised, 1);
    put_matrix(&f, N_LABELS, r.quantised);
    return f;
}

static const recipe recipes[] = {
    {1, 1, 0, 0, false, false}, {1, 2, 2, 3, false, false}, {3, 3, 0, 0, false, false},
    {4, 1, 1, 2, true, false},  {1, 2, 2, 2, true, true},   {2, 1, 0, 0, true, false},
};

enum { N_RECIPES = sizeof recipes / sizeof *recipes };

static pluck_status open_bytes(pluck_fasttext **model, const unsigned char *bytes, size_t n)
{
    return pluck_fasttext_open_memory(model, "made", bytes, n, NULL, &err);
}

static pluck_status predict(pluck_fasttext_query *query, const char *line, size_t size, uint32_t k,
                            bool compat, pluck_fasttext_label *labels, uint32_t *n)
{
    pluck_fasttext_request request = {.struct_size = sizeof request, .k = k, .compat = compat};
    return pluck_fasttext_query_predict(query, line, size, &request, labels, n, &err);
}

/* Whatever the file says, a line ends in labels or in an error. */
static void try_model(pluck_fasttext *model)
{
    static const char line[] = "the cat \xC3\xA9t\xC3\xA9 dog __label__zz __label__a\n";
    pluck_fasttext_query *query = NULL;
    assert_ok(pluck_fasttext_query_create(&query, model, NULL, &err));
    pluck_fasttext_label labels[N_LABELS];
    uint32_t n = 0;
    pluck_status status = predict(query, line, sizeof line - 1, N_LABELS, false, labels, &n);
    if (status == PLUCK_OK)
        assert_true(n >= 1 && n <= N_LABELS);
    else
        assert_true(status == PLUCK_ERR_NAN || status == PLUCK_ERR_EMPTY);
    (void)predict(query, line, sizeof line - 1, N_LABELS, true, labels, &n);
    pluck_fasttext_query_destroy(&query);
}

static void test_models_made_by_hand_open_and_predict(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_RECIPES; i++) {
        file_bytes f = make_model(recipes[i]);
        pluck_fasttext *model = NULL;
        assert_ok(open_bytes(&model, f.bytes, f.n));
        pluck_fasttext_info info = PLUCK_INIT(pluck_fasttext_info);
        int64_t count = 0;
        assert_ok(pluck_fasttext_get_info(model, &info, &err));
        assert_int_equal(info.n_outputs, N_LABELS);
        assert_int_equal(info.loss, recipes[i].loss);
        assert_int_equal(info.is_pruned, recipes[i].pruned);
        assert_string_equal(pluck_fasttext_output(model, 1, NULL), "__label__b");
        assert_non_null(pluck_fasttext_output(model, 2, &count));
        assert_int_equal(count, 2);
        assert_null(pluck_fasttext_output(model, N_LABELS, &count));
        assert_int_equal(count, 0);
        assert_true((pluck_fasttext_head(model) != NULL) ==
                    (recipes[i].loss == 1 || recipes[i].loss == 3));
        try_model(model);
        pluck_fasttext_destroy(&model);
    }
}

/* What put_floats() writes. */
static double stored(size_t i)
{
    return (double)((i * 37 + 11) % 64) / 16 - 2;
}

/* A row of a quantised matrix is its norm times the centroids that its codes name: put_matrix().
 * All numbers here are so short that no sum rounds. */
static void test_quantised_rows_are_norms_times_centroids(void **state)
{
    (void)state;
    static const char *const lines[] = {"the\n", "cat the cat\n", "\xC3\xA9t\xC3\xA9\n"};
    file_bytes f = make_model((recipe){2, 1, 0, 0, true, false});
    pluck_fasttext *model = NULL;
    pluck_fasttext_query *query = NULL;
    assert_ok(open_bytes(&model, f.bytes, f.n));
    assert_ok(pluck_fasttext_query_create(&query, model, NULL, &err));
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        const int32_t *features = NULL;
        const float *hidden = NULL;
        size_t n = 0, size = strlen(lines[i]);
        double sums[DIM] = {0};
        assert_ok(pluck_fasttext_query_features(query, lines[i], size, &features, &n, NULL, &err));
        assert_true(n > 1);
        for (size_t k = 0; k < n; k++)
            for (size_t s = 0; s < DIM; s++) {
                size_t row = (size_t)features[k], code = ((2 * row + s) * 91 + 3) % 256;
                sums[s] += stored((row * 17 + 40) % 256) * stored(256 * s + code);
            }
        float scale = (float)(1.0 / (double)n);
        assert_ok(pluck_fasttext_query_hidden(query, lines[i], size, &hidden, &err));
        for (size_t s = 0; s < DIM; s++)
            assert_true(hidden[s] == (float)sums[s] * scale);
    }
    pluck_fasttext_query_destroy(&query);
    pluck_fasttext_destroy(&model);
}

static void test_ngrams_are_limited(void **state)
{
    (void)state;
    for (int length = 254; length < 258; length++)
        for (int of_bytes = 0; of_bytes < 2; of_bytes++) {
            recipe r = {3, of_bytes ? 1 : length, of_bytes, of_bytes ? length : 0, false, false};
            file_bytes f = make_model(r);
            pluck_fasttext *model = NULL;
            assert_int_equal(open_bytes(&model, f.bytes, f.n),
                             length <= 255 ? PLUCK_OK : PLUCK_ERR_FORMAT);
            if (!model)
                assert_non_null(strstr(err.message, "exceeds 255"));
            pluck_fasttext_destroy(&model);
        }
}

/* fastText keeps the best outputs in a heap; the fewer are wanted, the more are thrown out. */
static void test_fewer_labels_are_the_first_of_all(void **state)
{
    (void)state;
    static const char *const lines[] = {"the\n",
                                        "cat\n",
                                        "the cat\n",
                                        "cat cat the\n",
                                        "\xC3\xA9t\xC3\xA9 the\n",
                                        "\xC3\xA9t\xC3\xA9\n",
                                        "\n"};
    for (size_t i = 0; i < N_RECIPES; i++)
        for (size_t l = 0; l < sizeof lines / sizeof *lines; l++)
            for (int compat = 0; compat < 2; compat++) {
                file_bytes f = make_model(recipes[i]);
                pluck_fasttext *model = NULL;
                pluck_fasttext_query *query = NULL;
                pluck_fasttext_label all[N_LABELS], some[N_LABELS];
                pluck_fasttext_request request = PLUCK_INIT(pluck_fasttext_request);
                uint32_t n_all = 0, n = 0;
                request.compat = compat == 1;
                request.k = N_LABELS;
                assert_ok(open_bytes(&model, f.bytes, f.n));
                assert_ok(pluck_fasttext_query_create(&query, model, NULL, &err));
                assert_ok(pluck_fasttext_query_predict(query, lines[l], strlen(lines[l]), &request,
                                                       all, &n_all, &err));
                for (request.k = 1; request.k < N_LABELS && request.k <= n_all; request.k++) {
                    assert_ok(pluck_fasttext_query_predict(query, lines[l], strlen(lines[l]),
                                                           &request, some, &n, &err));
                    assert_int_equal(n, request.k);
                    for (uint32_t k = 0; k < n; k++)
                        assert_true(some[k].prob == all[k].prob);
                }
                for (uint32_t k = 1; k < n_all; k++)
                    assert_true(all[k - 1].prob >= all[k].prob);
                pluck_fasttext_query_destroy(&query);
                pluck_fasttext_destroy(&model);
            }
}

static void check_features(const recipe *r, const char *line, const int32_t *expected, size_t n,
                           size_t used)
{
    file_bytes f = make_model(*r);
    pluck_fasttext *model = NULL;
    pluck_fasttext_query *query = NULL;
    const int32_t *features = NULL;
    size_t n_features = 0, used_bytes = 0;
    assert_ok(open_bytes(&model, f.bytes, f.n));
    assert_ok(pluck_fasttext_query_create(&query, model, NULL, &err));
    assert_ok(pluck_fasttext_query_features(query, line, strlen(line), &features, &n_features,
                                            &used_bytes, &err));
    assert_int_equal(n_features, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(features[i], expected[i]);
    assert_int_equal(used_bytes, used);
    pluck_fasttext_query_destroy(&query);
    pluck_fasttext_destroy(&model);
}

/* FNV-1a by itself, for ASCII. */
static uint32_t hash_of(const char *text)
{
    uint32_t hash = 2166136261u;
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 16777619u;
    return hash;
}

static int32_t bucket_of(const char *text)
{
    return N_WORDS + (int32_t)(hash_of(text) % N_BUCKETS);
}

static void test_lines_are_split_as_fasttext_does(void **state)
{
    (void)state;
    recipe plain = {1, 1, 0, 0, false, false};
    check_features(&plain, "the cat", (const int32_t[]){1, 2}, 2, 7);
    check_features(&plain, " \t the\vcat\n", (const int32_t[]){1, 2, 0}, 3, 11);
    check_features(&plain, "the\ncat", (const int32_t[]){1, 0}, 2, 4);
    check_features(&plain, "\nthe", (const int32_t[]){0}, 1, 1);
    check_features(&plain, "cat </s> the", (const int32_t[]){2, 0}, 2, 9);
    check_features(&plain, "dog __label__a __label__zz", NULL, 0, 26);
    check_features(&plain, "", NULL, 0, 0);
}

static void test_subwords_and_ngrams_come_in_the_order_of_fasttext(void **state)
{
    (void)state;
    recipe subwords = {1, 1, 1, 2, false, false}, bigrams = {1, 2, 0, 0, false, false};
    const int32_t known[] = {2,
                             bucket_of("<c"),
                             bucket_of("c"),
                             bucket_of("ca"),
                             bucket_of("a"),
                             bucket_of("at"),
                             bucket_of("t"),
                             bucket_of("t>")};
    check_features(&subwords, "cat", known, 8, 3);
    const int32_t unknown[] = {bucket_of("<o"), bucket_of("o"), bucket_of("o>"), 0};
    check_features(&subwords, "o\n", unknown, 4, 2);
    uint64_t the = (uint64_t)(int64_t)(int32_t)hash_of("the");
    uint64_t cat = (uint64_t)(int64_t)(int32_t)hash_of("cat");
    const int32_t pair[] = {1, 2, N_WORDS + (int32_t)((the * 116049371 + cat) % N_BUCKETS)};
    check_features(&bigrams, "the cat", pair, 3, 7);
}

static void test_files_cut_short_are_refused_at_every_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_RECIPES; i++) {
        file_bytes f = make_model(recipes[i]);
        for (size_t n = 1; n < f.n; n++) {
            unsigned char *cut = malloc(n);
            memcpy(cut, f.bytes, n);
            pluck_fasttext *model = NULL;
            if (open_bytes(&model, cut, n) != PLUCK_ERR_FORMAT)
                fail_msg("recipe %zu, cut at %zu of %zu: %s", i, n, f.n, err.message);
            assert_null(model);
            free(cut);
        }
        file_bytes longer = f;
        put(&longer, 0, 1);
        pluck_fasttext *model = NULL;
        assert_int_equal(open_bytes(&model, longer.bytes, longer.n), PLUCK_ERR_FORMAT);
        assert_non_null(strstr(err.message, "oversized"));
    }
}

/* The product with the bytes of a row is that of the right number, modulo 2^64. */
static void test_sizes_of_matrices_that_wrap_around_are_refused(void **state)
{
    (void)state;
    enum { ROW_BYTES = DIM * sizeof(float), SHAPE_BYTES = 16 };
    const uint64_t more = UINT64_MAX / ROW_BYTES + 1;
    const size_t output_bytes = N_LABELS * ROW_BYTES + SHAPE_BYTES;
    const size_t input_bytes = (N_WORDS + N_BUCKETS) * ROW_BYTES + SHAPE_BYTES + 1;
    const size_t ends[] = {output_bytes, output_bytes + input_bytes};
    const uint64_t rows[] = {N_LABELS, N_WORDS + N_BUCKETS};
    for (size_t i = 0; i < 2; i++) {
        file_bytes f = make_model(recipes[0]);
        size_t whole = f.n;
        pluck_fasttext *model = NULL;
        f.n = whole - ends[i];
        put(&f, rows[i], 8);
        assert_ok(open_bytes(&model, f.bytes, whole));
        pluck_fasttext_destroy(&model);
        f.n = whole - ends[i];
        put(&f, rows[i] + more, 8);
        assert_int_equal(open_bytes(&model, f.bytes, whole), PLUCK_ERR_FORMAT);
        assert_non_null(strstr(err.message, "a matrix is larger than the rest of the file"));
    }
}

static void test_changed_bytes_end_in_labels_or_in_an_error(void **state)
{
    (void)state;
    static const unsigned char values[] = {0x00, 0x01, 0x7F, 0x80, 0xFF};
    for (size_t i = 0; i < N_RECIPES; i++) {
        file_bytes f = make_model(recipes[i]);
        for (size_t at = 0; at < f.n; at++) {
            for (size_t v = 0; v < sizeof values; v++) {
                file_bytes changed = f;
                changed.bytes[at] = values[v];
                pluck_fasttext *model = NULL;
                if (open_bytes(&model, changed.bytes, changed.n) == PLUCK_OK)
                    try_model(model);
                pluck_fasttext_destroy(&model);
            }
            if (at == 400)
                at = f.n - 400;
        }
    }
}

/* Where the pruned pairs of make_model() begin: behind the last label. */
static size_t first_pair(const file_bytes *f)
{
    static const char last_label[] = "__label__c";
    size_t at = 0;
    while (memcmp(f->bytes + at, last_label, sizeof last_label) != 0)
        at++;
    return at + sizeof last_label + 9;
}

/* Word numbers of pruned pairs are kept apart by their upper bits; no value may keep that from
 * ending. */
static void test_pruned_pairs_of_any_number_end_in_a_model_or_an_error(void **state)
{
    (void)state;
    static const struct {
        uint32_t n_pairs, from;
        const char *fragment; /* NULL: it opens */
    } cases[] = {
        {1, 0, NULL},
        {1, 1, NULL},
        {1, 0x40000000, NULL},
        {1, 0x7FFFFFFF, NULL},
        {1, 0x80000000, "a pruned feature has a negative number"},
        {1, 0xFFFFFFFF, "a pruned feature has a negative number"},
        {2, 0x7FFFFFFF, NULL},
        {2, 0x80000000, "a pruned feature has a negative number"},
        {3, 0x7FFFFFFF, NULL},
        {3, 0xFFFFFFFF, "a pruned feature has a negative number"},
        {3, 5, "a pruned feature is listed twice"},
    };
    recipe pruned = {1, 2, 2, 2, true, true};
    file_bytes whole = make_model(pruned);
    size_t at = first_pair(&whole), count_at = 4 * 14 + 8 + 3 * 4 + 8;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t n_dropped = 8 * (3 - cases[i].n_pairs);
        file_bytes f = {.n = count_at};
        memcpy(f.bytes, whole.bytes, whole.n);
        put(&f, cases[i].n_pairs, 8);
        f.n = at;
        put(&f, cases[i].from, 4);
        memmove(f.bytes + at + 8, whole.bytes + at + 8 + n_dropped, whole.n - at - 8 - n_dropped);
        f.n = whole.n - n_dropped;
        pluck_fasttext *model = NULL;
        pluck_status status = open_bytes(&model, f.bytes, f.n);
        if (cases[i].fragment) {
            assert_int_equal(status, PLUCK_ERR_FORMAT);
            assert_non_null(strstr(err.message, cases[i].fragment));
        } else {
            assert_ok(status);
            try_model(model);
        }
        pluck_fasttext_destroy(&model);
    }
}

/* A label costs a file one byte of code, and 4,000 bytes when it is expanded. */
static void test_what_a_quantised_output_expands_to_is_limited(void **state)
{
    (void)state;
    enum { WIDE = 1000, N_MANY = 200000, ENTRY_BYTES = 10 };
    for (uint64_t n_labels = 2; n_labels <= N_MANY; n_labels += N_MANY - 2) {
        size_t book_bytes = 16 + 4 * 256 * WIDE;
        unsigned char *bytes = calloc(1, 4096 + 2 * book_bytes + n_labels * (8 + ENTRY_BYTES + 1));
        assert_non_null(bytes);
        size_t n = 0;
        file_bytes f = {.n = 0};
        const uint64_t args[12] = {WIDE, 5, 5, 1, 5, 1, 3, 3, 0, 0, 0, 100};
        put(&f, 793712314, 4);
        put(&f, 12, 4);
        for (size_t i = 0; i < 12; i++)
            put(&f, args[i], 4);
        put(&f, 0, 8);
        put(&f, n_labels + 1, 4);
        put(&f, 1, 4);
        put(&f, n_labels, 4);
        put(&f, 100, 8);
        put(&f, UINT64_MAX, 8);
        put_entry(&f, "</s>", 1, 0);
        memcpy(bytes, f.bytes, f.n);
        n = f.n;
        for (uint64_t i = 0; i < n_labels; i++) {
            n += (size_t)snprintf((char *)bytes + n, 8, "%06llu", (unsigned long long)i) + 1;
            n += 8;
            bytes[n++] = 1;
        }
        for (int matrix = 0; matrix < 2; matrix++) {
            uint64_t n_rows = matrix ? n_labels : 1;
            f.n = 0;
            put(&f, 1, 1); /* quantised */
            put(&f, 0, 1); /* without norms */
            put(&f, n_rows, 8);
            put(&f, WIDE, 8);
            put(&f, n_rows, 4);
            memcpy(bytes + n, f.bytes, f.n);
            n += f.n + n_rows;
            f.n = 0;
            put(&f, WIDE, 4);
            put(&f, 1, 4);
            put(&f, WIDE, 4);
            put(&f, WIDE, 4);
            memcpy(bytes + n, f.bytes, f.n);
            n += book_bytes;
        }
        pluck_fasttext *model = NULL;
        pluck_status status = open_bytes(&model, bytes, n);
        if (n_labels == 2) {
            assert_ok(status);
        } else {
            assert_int_equal(status, PLUCK_ERR_FORMAT);
            assert_non_null(strstr(err.message, "expands to more than 64 times the file"));
        }
        pluck_fasttext_destroy(&model);
        free(bytes);
    }
}

static void test_callers_mistakes_are_refused(void **state)
{
    (void)state;
    file_bytes f = make_model(recipes[0]);
    pluck_fasttext *model = NULL;
    pluck_fasttext_query *query = NULL;
    pluck_fasttext_label label;
    uint32_t n = 5;
    assert_int_equal(pluck_fasttext_open(&model, "/nonexistent/model.bin", NULL, &err),
                     PLUCK_ERR_IO);
    assert_int_equal(pluck_fasttext_open(NULL, "x", NULL, &err), PLUCK_ERR_INVALID);
    pluck_fasttext_options no_size = {.no_map = true};
    pluck_fasttext_info info = {.dim = 3};
    pluck_head_stats stats = {.n_dots = 3};
    assert_int_equal(pluck_fasttext_open_memory(&model, "made", f.bytes, f.n, &no_size, &err),
                     PLUCK_ERR_INVALID);
    assert_non_null(strstr(err.message, "PLUCK_INIT(pluck_fasttext_options)"));
    assert_ok(open_bytes(&model, f.bytes, f.n));
    assert_int_equal(pluck_fasttext_query_create(&query, NULL, NULL, &err), PLUCK_ERR_INVALID);
    assert_ok(pluck_fasttext_query_create(&query, model, NULL, &err));
    assert_int_equal(pluck_fasttext_get_info(model, &info, &err), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_fasttext_query_get_stats(query, &stats, &err), PLUCK_ERR_INVALID);
    assert_true(info.dim == 3 && stats.n_dots == 3);
    pluck_fasttext_request request = {.struct_size = sizeof request, .threshold = 1.5};
    assert_int_equal(pluck_fasttext_query_predict(query, "the", 3, &request, &label, &n, &err),
                     PLUCK_ERR_INVALID);
    request = (pluck_fasttext_request){.k = 1};
    assert_int_equal(pluck_fasttext_query_predict(query, "the", 3, &request, &label, &n, &err),
                     PLUCK_ERR_INVALID);
    assert_int_equal(predict(query, "the", 3, 1, false, NULL, &n), PLUCK_ERR_INVALID);
    assert_int_equal(n, 5);
    assert_ok(predict(query, "nothing known", 13, 1, false, &label, &n));
    assert_int_equal(n, 0);
    assert_ok(pluck_fasttext_query_predict(query, "the", 3, NULL, &label, &n, &err));
    assert_int_equal(n, 1);
    pluck_fasttext_query_destroy(&query);
    pluck_fasttext_destroy(&model);
}

static const char *shared_file(const char *name)
{
    static char path[4][1024];
    static int next;
    const char *folder = getenv("PLUCK_SHARED_DATA");
    if (!folder || !*folder) {
        print_message("PLUCK_SHARED_DATA is not set: skipped\n");
        skip();
    }
    next = (next + 1) % 4;
    (void)snprintf(path[next], sizeof path[next], "%s/%s", folder, name);
    return path[next];
}

static pluck_dump *open_dump(const char *name)
{
    pluck_dump *dump = NULL;
    assert_ok(pluck_dump_open(&dump, shared_file(name), NULL, &err));
    return dump;
}

/* The published model against its leaf log-probabilities, computed elsewhere. */
static void test_the_published_model_gives_its_reference_probabilities(void **state)
{
    (void)state;
    enum { N = 176, N_LINES = 53, LID_DIM = 16 };
    const char *path = shared_file("lid.176.ftz");
    pluck_dump *hidden = open_dump("hs_lid176_hidden_f32.npy");
    pluck_dump *truth = open_dump("hs_lid176_leaf_logprob_f32.npy");
    FILE *text = fopen(shared_file("hs_lid176_sentences.txt"), "r");
    pluck_fasttext *model = NULL;
    pluck_fasttext_query *query = NULL;
    char *line = NULL;
    size_t capacity = 0;
    assert_non_null(text);
    assert_ok(pluck_fasttext_open(&model, path, NULL, &err));
    assert_ok(pluck_fasttext_query_create(&query, model, NULL, &err));
    uint64_t row = 0;
    for (ssize_t size; (size = getline(&line, &capacity, text)) >= 0; row++) {
        pluck_fasttext_label labels[N];
        float scratch[N];
        pluck_logits expected = {0}, expected_hidden = {0};
        const float *found = NULL;
        uint32_t n = 0;
        assert_ok(read_logits(truth, row, scratch, &expected, &err));
        assert_ok(read_logits(hidden, row, scratch, &expected_hidden, &err));
        assert_ok(pluck_fasttext_query_hidden(query, line, (size_t)size, &found, &err));
        for (int j = 0; j < LID_DIM; j++)
            assert_true(fabs((double)found[j] - (double)((const float *)expected_hidden.data)[j]) <
                        1e-5);
        assert_ok(predict(query, line, (size_t)size, N, false, labels, &n));
        assert_int_equal(n, N);
        double sum = 0;
        for (int i = 0; i < N; i++) {
            double logprob = (double)((const float *)expected.data)[labels[i].output];
            sum += labels[i].prob;
            if (!(fabs(labels[i].prob - exp(logprob)) < 1e-5))
                fail_msg("line %d: %s has %g, expected %g", (int)row, labels[i].text,
                         labels[i].prob, exp(logprob));
        }
        assert_true(fabs(sum - 1) < 1e-12);
    }
    assert_int_equal(row, N_LINES);
    free(line);
    fclose(text);
    pluck_fasttext_query_destroy(&query);
    pluck_fasttext_destroy(&model);
    pluck_dump_destroy(&hidden);
    pluck_dump_destroy(&truth);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quantised_rows_are_norms_times_centroids),
        cmocka_unit_test(test_ngrams_are_limited),
        cmocka_unit_test(test_fewer_labels_are_the_first_of_all),
        cmocka_unit_test(test_models_made_by_hand_open_and_predict),
        cmocka_unit_test(test_lines_are_split_as_fasttext_does),
        cmocka_unit_test(test_subwords_and_ngrams_come_in_the_order_of_fasttext),
        cmocka_unit_test(test_files_cut_short_are_refused_at_every_byte),
        cmocka_unit_test(test_sizes_of_matrices_that_wrap_around_are_refused),
        cmocka_unit_test(test_changed_bytes_end_in_labels_or_in_an_error),
        cmocka_unit_test(test_pruned_pairs_of_any_number_end_in_a_model_or_an_error),
        cmocka_unit_test(test_what_a_quantised_output_expands_to_is_limited),
        cmocka_unit_test(test_callers_mistakes_are_refused),
        cmocka_unit_test(test_the_published_model_gives_its_reference_probabilities),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
