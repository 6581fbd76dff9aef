/*
 * A head that was stored must come back as the same head, bit for bit, borrowed from the mapped
 * file or copied; weights under PyTorch's names must be found; and a file that is cut short,
 * changed or hostile must end in an error that names it. test_heads_files.py reads the files with
 * NumPy.
 *
 *     test_heads_files FOLDER    writes one file a kind there, for that script, and ends
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/head_cases.h"

static pluck_error err;
static char folder[] = "/tmp/pluck-heads-XXXXXX";

#define assert_ok(call)                                                                            \
    do {                                                                                           \
        if ((call) != PLUCK_OK)                                                                    \
            fail_msg("%s: %s", #call, err.message);                                                \
    } while (0)

enum { N_VOCAB = 70, DIM = 8 };

static const char *path_of(const char *name)
{
    static char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void write_bytes(const char *path, const void *bytes, size_t n)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    assert_int_equal(fclose(file), 0);
}

static unsigned char *read_bytes(const char *path, size_t *n)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    *n = (size_t)ftell(file);
    rewind(file);
    unsigned char *bytes = malloc(*n + 1);
    assert_int_equal(fread(bytes, 1, *n, file), *n);
    fclose(file);
    return bytes;
}

static void logprobs_of(const pluck_head *head, const float *hidden, float *logprobs)
{
    pluck_head_query *query = NULL;
    assert_ok(pluck_head_query_create(&query, head, NULL, &err));
    assert_ok(pluck_head_query_logprobs(query, hidden, logprobs, &err));
    pluck_head_query_destroy(&query);
}

static void check_same(const head_case *c, const pluck_head *loaded)
{
    float expected[N_VOCAB], found[N_VOCAB], hidden[DIM];
    test_random random = test_random_make(c->seed);
    pluck_head_info a = head_info(c->head), b = head_info(loaded);
    head_case_hidden(&random, c, hidden);
    assert_true(a.kind == b.kind && a.n_vocab == b.n_vocab && a.dim == b.dim &&
                a.dtype == b.dtype && a.n_parts == b.n_parts);
    logprobs_of(c->head, hidden, expected);
    logprobs_of(loaded, hidden, found);
    if (memcmp(expected, found, c->n_vocab * sizeof *found) != 0)
        fail_msg("%s: other log-probabilities after loading", head_case_text(c));
}

static void test_heads_come_back_bit_for_bit(void **state)
{
    (void)state;
    const char *path = path_of("head.safetensors");
    for (int kind = 0; kind < HEAD_CASE_KINDS; kind++) {
        for (uint64_t seed = 0; seed < 40; seed++) {
            uint32_t n_vocab = seed == 0 ? 1 : 2 + (uint32_t)seed % (N_VOCAB - 1);
            head_case c = head_case_make((pluck_head_kind)kind, seed, n_vocab, DIM);
            assert_ok(pluck_head_save(c.head, path, &err));
            for (int copy = 0; copy < 2; copy++) {
                pluck_head_options options = {.struct_size = sizeof options, .copy = copy != 0};
                pluck_head *loaded = NULL;
                assert_ok(pluck_head_open(&loaded, path, &options, &err));
                check_same(&c, loaded);
                pluck_head_destroy(&loaded);
            }
            head_case_free(&c);
        }
    }
}

/* Overwriting leaves what is mapped alone. */
static void test_saving_over_a_loaded_head_is_safe(void **state)
{
    (void)state;
    const char *path = path_of("head.safetensors");
    head_case first = head_case_make(PLUCK_HEAD_HIERARCHICAL, 1, N_VOCAB, DIM);
    head_case second = head_case_make(PLUCK_HEAD_DENSE, 2, N_VOCAB, DIM);
    pluck_head *loaded = NULL;
    assert_ok(pluck_head_save(first.head, path, &err));
    assert_ok(pluck_head_open(&loaded, path, NULL, &err));
    assert_ok(pluck_head_save(loaded, path, &err));
    assert_ok(pluck_head_save(second.head, path, &err));
    check_same(&first, loaded);
    pluck_head_destroy(&loaded);
    assert_ok(pluck_head_open(&loaded, path, NULL, &err));
    check_same(&second, loaded);
    pluck_head_destroy(&loaded);
    assert_int_equal(pluck_head_save(first.head, "/nonexistent/head", &err), PLUCK_ERR_IO);
    assert_int_equal(pluck_head_open(&loaded, path_of("none"), NULL, &err), PLUCK_ERR_IO);
    assert_int_equal(pluck_head_open(&loaded, NULL, NULL, &err), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_head_save(NULL, path, &err), PLUCK_ERR_INVALID);
    head_case_free(&first);
    head_case_free(&second);
}

/* A file of this header, its length written down, and so many bytes of data. */
static size_t make_file(unsigned char *bytes, const char *json, size_t n_data)
{
    size_t n = strlen(json);
    for (size_t i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(n >> (8 * i));
    memcpy(bytes + 8, json, n);
    for (size_t i = 0; i < n_data / 4; i++) {
        float value = (float)((double)(i % 7) / 4 - 0.75);
        memcpy(bytes + 8 + n + 4 * i, &value, 4);
    }
    return 8 + n + n_data;
}

static void test_pytorch_names_are_found_behind_any_prefix(void **state)
{
    (void)state;
    static const char json[] =
        "{\"crit.head.bias\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]},"
        "\"crit.head.weight\":{\"dtype\":\"F32\",\"shape\":[4,4],\"data_offsets\":[16,80]},"
        "\"crit.tail.0.0.weight\":{\"dtype\":\"F32\",\"shape\":[2,4],\"data_offsets\":[80,112]},"
        "\"crit.tail.0.1.weight\":{\"dtype\":\"F32\",\"shape\":[3,2],\"data_offsets\":[112,136]},"
        "\"other\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[136,144]}}";
    unsigned char bytes[2048];
    const char *path = path_of("torch.safetensors");
    write_bytes(path, bytes, make_file(bytes, json, 144));
    pluck_head *head = NULL;
    assert_ok(pluck_head_open(&head, path, NULL, &err));
    pluck_head_info info = head_info(head);
    assert_int_equal(info.kind, PLUCK_HEAD_ADAPTIVE);
    assert_int_equal(info.n_vocab, 6);
    assert_int_equal(info.dim, 4);
    assert_int_equal(info.n_parts, 1);
    pluck_head_destroy(&head);
}

/* Borrowed rows with gaps between them, which hold what must not get into the file. */
static void test_rows_with_gaps_are_saved_without_them(void **state)
{
    (void)state;
    enum { N = 9, GAP = 3 };
    const char *path = path_of("head.safetensors");
    test_random random = test_random_make(17);
    float values[N * DIM], with_gaps[N * (DIM + GAP)], hidden[DIM];
    for (size_t i = 0; i < N * (DIM + GAP); i++)
        with_gaps[i] = NAN;
    for (size_t i = 0; i < N * DIM; i++) {
        values[i] = (float)test_random_normal(&random);
        with_gaps[i / DIM * (DIM + GAP) + i % DIM] = values[i];
    }
    for (size_t i = 0; i < DIM; i++)
        hidden[i] = (float)test_random_normal(&random);
    for (int copy = 0; copy < 2; copy++) {
        pluck_matrix plain = {.data = values, .dtype = PLUCK_F32, .n_rows = N, .n_cols = DIM};
        pluck_matrix gaps = {.data = with_gaps,
                             .dtype = PLUCK_F32,
                             .n_rows = N,
                             .n_cols = DIM,
                             .row_stride_bytes = (DIM + GAP) * sizeof(float)};
        pluck_head_options options = {.struct_size = sizeof options, .copy = copy != 0};
        pluck_head *expected = NULL, *head = NULL, *opened = NULL;
        float of_plain[N], of_gaps[N], of_file[N];
        assert_ok(pluck_head_create_dense(&expected, &plain, NULL, &options, &err));
        assert_ok(pluck_head_create_dense(&head, &gaps, NULL, &options, &err));
        assert_ok(pluck_head_save(head, path, &err));
        assert_ok(pluck_head_open(&opened, path, NULL, &err));
        logprobs_of(expected, hidden, of_plain);
        logprobs_of(head, hidden, of_gaps);
        logprobs_of(opened, hidden, of_file);
        assert_memory_equal(of_gaps, of_plain, sizeof of_plain);
        assert_memory_equal(of_file, of_plain, sizeof of_plain);
        pluck_head_destroy(&expected);
        pluck_head_destroy(&head);
        pluck_head_destroy(&opened);
    }
}

static void refused(const char *json, size_t n_data, const char *part)
{
    unsigned char bytes[2048];
    const char *path = path_of("refused.safetensors");
    pluck_head *head = NULL;
    write_bytes(path, bytes, make_file(bytes, json, n_data));
    assert_int_equal(pluck_head_open(&head, path, NULL, &err), PLUCK_ERR_FORMAT);
    assert_null(head);
    if (!strstr(err.message, part))
        fail_msg("message '%s' does not say '%s'", err.message, part);
}

#define OWN(kind) "\"__metadata__\":{\"format\":\"pluck-head\",\"kind\":\"" kind "\",\"dim\":\"2\"}"
#define NODES     "\"nodes\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[0,8]}"

static void test_files_that_hold_no_head_are_refused(void **state)
{
    (void)state;
    refused("{}", 0, "not a head; expected metadata");
    refused("{" OWN("odd") "}", 0, "'kind' must be");
    refused("{" OWN("dense") "}", 0, "expected tensor 'weight' with rows of");
    refused("{" OWN("dense") ",\"weight\":{\"dtype\":\"F64\",\"shape\":[1,1],"
                             "\"data_offsets\":[0,8]}}",
            8, "expected tensor 'weight' with rows of");
    refused("{" OWN("dense") ",\"weight\":{\"dtype\":\"F32\",\"shape\":[0,2],"
                             "\"data_offsets\":[0,0]}}",
            0, "head: ");
    refused("{" OWN("hierarchical") "," NODES "}", 8, "'sign' must be");
    refused("{" OWN("differentiated") "}", 0, "expected tensor 'first'");
    refused("{\"head.weight\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[0,8]}}", 8,
            "not a head; expected metadata");
}

/* Whatever a byte becomes, there is a head that answers, or an error. */
static void test_cut_and_changed_files_end_in_an_error_or_a_head(void **state)
{
    (void)state;
    const char *saved = path_of("head.safetensors");
    char path[256];
    (void)snprintf(path, sizeof path, "%s/changed.safetensors", folder);
    for (int kind = 0; kind < HEAD_CASE_KINDS; kind++) {
        head_case c = head_case_make((pluck_head_kind)kind, 3, 5, DIM);
        const float hidden[DIM * 4] = {1, 2, 3};
        size_t n = 0;
        assert_ok(pluck_head_save(c.head, path_of("head.safetensors"), &err));
        unsigned char *bytes = read_bytes(saved, &n);
        for (size_t at = 0; at < 2 * n; at++) {
            bool cut = at >= n;
            unsigned char kept = bytes[at % n];
            bytes[at % n] = cut ? kept : (unsigned char)(kept ^ (at % 5 ? 1 : 0x80));
            write_bytes(path, bytes, cut ? at - n : n);
            pluck_head *head = NULL;
            pluck_status status = pluck_head_open(&head, path, NULL, &err);
            assert_true(status == PLUCK_OK || status == PLUCK_ERR_FORMAT);
            assert_true(!cut || status == PLUCK_ERR_FORMAT);
            if (status == PLUCK_OK && head_info(head).dim <= DIM * 4 &&
                head_info(head).n_vocab <= N_VOCAB) {
                pluck_head_query *query = NULL;
                pluck_logprob token;
                assert_ok(pluck_head_query_create(&query, head, NULL, &err));
                (void)head_greedy(query, hidden, &token, &err);
                pluck_head_query_destroy(&query);
            }
            pluck_head_destroy(&head);
            bytes[at % n] = kept;
        }
        free(bytes);
        head_case_free(&c);
    }
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    static const char *const names[] = {"head.safetensors", "torch.safetensors",
                                        "refused.safetensors", "changed.safetensors"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        (void)unlink(path_of(names[i]));
    return rmdir(folder);
}

/* For the script: a head a kind, the hidden state and the log-probabilities as text. */
static int write_examples(const char *where)
{
    for (int kind = 0; kind < HEAD_CASE_KINDS; kind++) {
        head_case c = head_case_make((pluck_head_kind)kind, 9, N_VOCAB, DIM);
        const char *name = pluck_head_kind_name((pluck_head_kind)kind);
        test_random random = test_random_make(10);
        float hidden[DIM], logprobs[N_VOCAB];
        char path[512];
        head_case_hidden(&random, &c, hidden);
        logprobs_of(c.head, hidden, logprobs);
        (void)snprintf(path, sizeof path, "%s/%s.safetensors", where, name);
        if (pluck_head_save(c.head, path, &err) != PLUCK_OK)
            return 1;
        (void)snprintf(path, sizeof path, "%s/%s.txt", where, name);
        FILE *file = fopen(path, "w");
        for (size_t i = 0; i < DIM; i++)
            fprintf(file, "%.9g ", (double)hidden[i]);
        for (size_t i = 0; i < N_VOCAB; i++)
            fprintf(file, "%.9g ", (double)logprobs[i]);
        fclose(file);
        head_case_free(&c);
    }
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heads_come_back_bit_for_bit),
        cmocka_unit_test(test_rows_with_gaps_are_saved_without_them),
        cmocka_unit_test(test_saving_over_a_loaded_head_is_safe),
        cmocka_unit_test(test_pytorch_names_are_found_behind_any_prefix),
        cmocka_unit_test(test_files_that_hold_no_head_are_refused),
        cmocka_unit_test(test_cut_and_changed_files_end_in_an_error_or_a_head),
    };
    if (argc == 2)
        return write_examples(argv[1]);
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
