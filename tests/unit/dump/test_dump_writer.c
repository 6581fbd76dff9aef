/*
 * What is written has to be read back as the same bits, in every format and type, and a file that
 * could not be completed must not be there: half a dump under its full name would be taken for a
 * whole one.
 */
#include "test_dump_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <sys/stat.h>

#include <pluck/dump.h>

#include "file/array_file.h"
#include "support/allocator.h"
#include "support/dump_reading.h"
#include "support/random.h"
#include "json/json.h"

enum { VOCAB = 5003, ROWS = 3 };

typedef struct folder {
    char path[64], file[96], targets[96];
} folder;

static folder make_folder(void)
{
    folder f;
    strcpy(f.path, "/tmp/pluck_writer_XXXXXX");
    assert_non_null(mkdtemp(f.path));
    snprintf(f.file, sizeof f.file, "%s/d\xc3\xbcmp", f.path);
    snprintf(f.targets, sizeof f.targets, "%s/targets", f.path);
    return f;
}

static size_t count_files(const folder *f)
{
    size_t n = 0;
    DIR *directory = opendir(f->path);
    assert_non_null(directory);
    for (struct dirent *entry = readdir(directory); entry; entry = readdir(directory))
        n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(directory);
    return n;
}

static void remove_folder(const folder *f)
{
    unlink(f->file);
    unlink(f->targets);
    assert_int_equal(rmdir(f->path), 0);
}

/* Rows of f32 with zeros, -inf, subnormals and values that lie between those of the narrower types;
 * none that becomes +inf in one of them, which JSON does not have. */
static void make_row(test_random *random, float *values)
{
    static const float special[] = {0.0f, -0.0f,    -INFINITY, 0x1p-149f, 0x1p-24f,     0x1.8p-25f,
                                    1.0f, 65504.0f, 65519.9f,  0x1p-14f,  -0x1.ffcp-15f};
    for (size_t i = 0; i < VOCAB; i++) {
        double scale = ldexp(1.0, (int)(test_random_below(random, 46)) - 30);
        values[i] = (float)(scale * (test_random_uniform(random) - 0.5));
    }
    memcpy(values, special, sizeof special);
}

static void check_same(const pluck_logits *read, const float *values, pluck_dtype dtype)
{
    uint8_t expected[4 * VOCAB], got[4 * VOCAB];
    size_t size = VOCAB * pluck_dtype_size_bytes(dtype);
    plk_store(values, PLUCK_F32, VOCAB, dtype, expected);
    plk_store(read->data, read->dtype, VOCAB, dtype, got);
    assert_memory_equal(got, expected, size);
}

static void write_rows(pluck_dump_writer *writer, uint64_t seed, float *values)
{
    test_random random = test_random_make(seed);
    pluck_error err = {0};
    for (int row = 0; row < ROWS; row++) {
        make_row(&random, values);
        pluck_dump_row r = {.struct_size = sizeof r,
                            .logits = {values, PLUCK_F32, VOCAB},
                            .target = row == 1 ? PLUCK_NO_TOKEN : row};
        assert_status(pluck_dump_writer_write(writer, &r, &err), PLUCK_OK, err);
    }
}

static void check_round_trip(pluck_dump_format format, pluck_dtype dtype, uint64_t n_rows)
{
    uint64_t seed = 100 + (uint64_t)format * 10 + dtype;
    folder f = make_folder();
    float *values = malloc(VOCAB * sizeof *values), *scratch = malloc(VOCAB * sizeof *scratch);
    pluck_dump_writer_options options = {.struct_size = sizeof options,
                                         .format = format,
                                         .dtype = dtype,
                                         .n_vocab = VOCAB,
                                         .n_rows = n_rows,
                                         .tensor = "a \"b\"\n",
                                         .targets_path = f.targets};
    pluck_error err = {0};
    pluck_dump_writer *writer = NULL;
    assert_status(pluck_dump_writer_create(&writer, f.file, &options, &err), PLUCK_OK, err);
    assert_non_null(pluck_dump_writer_temporary(writer, 0));
    assert_non_null(pluck_dump_writer_temporary(writer, 1));
    write_rows(writer, seed, values);
    assert_int_not_equal(access(f.file, F_OK), 0);
    assert_status(pluck_dump_writer_finish(writer, &err), PLUCK_OK, err);
    assert_null(pluck_dump_writer_temporary(writer, 0));
    assert_int_equal(pluck_dump_writer_finish(writer, &err), PLUCK_ERR_INVALID);
    pluck_dump_writer_destroy(&writer);
    assert_int_equal(count_files(&f), 2);

    pluck_dump *dump = NULL;
    assert_status(pluck_dump_open(&dump, f.file, NULL, &err), PLUCK_OK, err);
    pluck_dump_info info = info_of_dump(dump);
    assert_int_equal(info.format, format);
    assert_int_equal(info.n_rows, ROWS);
    assert_int_equal(info.n_vocab, VOCAB);
    if (format == PLUCK_DUMP_SAFETENSORS)
        assert_string_equal(info.tensor, "a \"b\"\n");
    test_random random = test_random_make(seed);
    for (int row = 0; row < ROWS; row++) {
        pluck_dump_row read = PLUCK_INIT(pluck_dump_row);
        make_row(&random, values);
        assert_status(pluck_dump_read(dump, (uint64_t)row, scratch, &read, &err), PLUCK_OK, err);
        check_same(&read.logits, values, dtype);
        assert_int_equal(read.target,
                         format == PLUCK_DUMP_JSONL && row != 1 ? row : PLUCK_NO_TOKEN);
    }
    pluck_dump_destroy(&dump);
    pluck_targets *targets = NULL;
    pluck_token tokens[ROWS];
    assert_status(pluck_targets_open(&targets, f.targets, NULL, &err), PLUCK_OK, err);
    assert_int_equal(pluck_targets_count(targets), ROWS);
    assert_status(pluck_targets_read(targets, 0, ROWS, tokens, &err), PLUCK_OK, err);
    assert_true(tokens[0] == 0 && tokens[1] == PLUCK_NO_TOKEN && tokens[2] == 2);
    pluck_targets_destroy(&targets);
    remove_folder(&f);
    free(values);
    free(scratch);
}

static void every_format_and_type_reads_back(void **state)
{
    (void)state;
    static const pluck_dump_format formats[] = {PLUCK_DUMP_NPY, PLUCK_DUMP_SAFETENSORS,
                                                PLUCK_DUMP_JSONL};
    for (size_t i = 0; i < 3; i++)
        for (pluck_dtype dtype = PLUCK_F32; dtype <= PLUCK_BF16; dtype++) {
            check_round_trip(formats[i], dtype, ROWS);
            check_round_trip(formats[i], dtype, PLUCK_DUMP_ROWS_UNKNOWN);
        }
}

/* Of two neighbouring halves a and b, what lies between them goes to the nearer one, and the middle
 * to the one that is even. */
static void check_between(uint16_t a, uint16_t b, float (*widen)(uint16_t),
                          uint16_t (*narrow)(float))
{
    float low = widen(a), high = widen(b), middle = (float)(0.5 * ((double)low + (double)high));
    assert_int_equal(narrow(low), a);
    assert_int_equal(narrow(-low), a | 0x8000);
    assert_int_equal(narrow(nextafterf(middle, low)), a);
    assert_int_equal(narrow(nextafterf(middle, high)), b);
    assert_int_equal(narrow(middle), a % 2 == 0 ? a : b);
}

static void narrowing_rounds_to_the_nearest_even(void **state)
{
    (void)state;
    for (uint16_t a = 0; a < 0x7BFF; a++)
        check_between(a, (uint16_t)(a + 1), plk_from_f16, plk_to_f16);
    for (uint16_t a = 0; a < 0x7F7F; a++)
        check_between(a, (uint16_t)(a + 1), plk_from_bf16, plk_to_bf16);
    assert_int_equal(plk_to_f16(65519.996f), 0x7BFF);
    assert_int_equal(plk_to_f16(65520.0f), 0x7C00);
    assert_int_equal(plk_to_f16(-INFINITY), 0xFC00);
    assert_int_equal(plk_to_bf16(0x1.ffp127f), 0x7F80);
    assert_int_equal(plk_to_bf16(-INFINITY), 0xFF80);
    assert_true(isnan(plk_from_f16(plk_to_f16(NAN))));
    assert_true(isnan(plk_from_bf16(plk_to_bf16(NAN))));
    assert_true(plk_from_f16(0x7C00) == INFINITY && isnan(plk_from_f16(0x7C01)));
}

/* Half of them of the size of logits. Without an exponent not longer than %.9g: no digit is
 * wasted. */
static void floats_as_text_read_back(void **state)
{
    (void)state;
    test_random random = test_random_make(7);
    for (int i = 0; i < 200000; i++) {
        uint32_t bits = (uint32_t)test_random_bits(&random);
        float value, back;
        char text[PLK_NUMBER_TEXT_BYTES], longest[40];
        memcpy(&value, &bits, sizeof value);
        if (i % 2)
            value = (float)((int)(bits % 2000001) - 1000000) / (float)(1 << (i / 2 % 24));
        if (!isfinite(value))
            continue;
        plk_number_write_float(value, text);
        back = (float)plk_number_read(text, strlen(text));
        if (memcmp(&value, &back, sizeof value) != 0)
            fail_msg("%a is written as %s", (double)value, text);
        snprintf(longest, sizeof longest, "%.9g", (double)value);
        if (!strchr(text, 'e') && strlen(text) > strlen(longest))
            fail_msg("%s is written as %s", longest, text);
    }
}

static void what_is_wrong_is_refused_and_leaves_nothing(void **state)
{
    (void)state;
    folder f = make_folder();
    pluck_error err = {0};
    pluck_dump_writer *w = NULL;
    float values[3] = {1, NAN, 2};
    pluck_dump_writer_options o = {
        .struct_size = sizeof o, .format = PLUCK_DUMP_JSONL, .n_vocab = 3, .n_rows = 2};
    assert_status(pluck_dump_writer_create(&w, f.file, &o, &err), PLUCK_OK, err);
    pluck_dump_row row = {
        .struct_size = sizeof row, .logits = {values, PLUCK_F32, 3}, .target = PLUCK_NO_TOKEN};
    assert_int_equal(pluck_dump_writer_write(w, &row, &err), PLUCK_ERR_NAN);
    assert_non_null(strstr(err.message, "row 0: the logit of token 1 is NaN"));
    values[1] = 0;
    row.target = 3;
    assert_int_equal(pluck_dump_writer_write(w, &row, &err), PLUCK_ERR_INVALID);
    row.target = 2;
    row.logits.n_vocab = 2;
    assert_int_equal(pluck_dump_writer_write(w, &row, &err), PLUCK_ERR_INVALID);
    row.logits.n_vocab = 3;
    row.struct_size = 0;
    assert_int_equal(pluck_dump_writer_write(w, &row, &err), PLUCK_ERR_INVALID);
    row.struct_size = sizeof row;
    assert_int_equal(pluck_dump_writer_finish(w, &err), PLUCK_ERR_INVALID);
    assert_status(pluck_dump_writer_write(w, &row, &err), PLUCK_OK, err);
    assert_int_equal(pluck_dump_writer_finish(w, &err), PLUCK_ERR_INVALID);
    assert_status(pluck_dump_writer_write(w, &row, &err), PLUCK_OK, err);
    assert_int_equal(pluck_dump_writer_write(w, &row, &err), PLUCK_ERR_INVALID);
    pluck_dump_writer_destroy(&w);
    assert_int_equal(count_files(&f), 0);
    o.format = PLUCK_DUMP_RAW;
    assert_int_equal(pluck_dump_writer_create(&w, f.file, &o, &err), PLUCK_ERR_INVALID);
    o.format = PLUCK_DUMP_NPY;
    o.n_vocab = 0;
    assert_int_equal(pluck_dump_writer_create(&w, f.file, &o, &err), PLUCK_ERR_INVALID);
    o.n_vocab = 3;
    o.struct_size = 0;
    assert_int_equal(pluck_dump_writer_create(&w, f.file, &o, &err), PLUCK_ERR_INVALID);
    o.struct_size = sizeof o;
    assert_int_equal(pluck_dump_writer_create(&w, f.path, &o, &err), PLUCK_ERR_IO);
    assert_int_equal(pluck_dump_writer_create(&w, "/nonexistent/x", &o, &err), PLUCK_ERR_IO);
    assert_int_equal(pluck_dump_writer_create(&w, NULL, &o, &err), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_dump_writer_create(NULL, f.file, &o, &err), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_dump_writer_write(NULL, &row, &err), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_dump_writer_finish(NULL, &err), PLUCK_ERR_INVALID);
    pluck_dump_writer_destroy(NULL);
    assert_int_equal(count_files(&f), 0);
    remove_folder(&f);
}

/* /dev/full takes nothing; its header needs the number of rows, as that of any device. */
static void a_full_disk_is_told(void **state)
{
    (void)state;
    if (access("/dev/full", W_OK) != 0)
        skip();
    float values[3] = {1, 2, 3};
    pluck_dump_row row = {
        .struct_size = sizeof row, .logits = {values, PLUCK_F32, 3}, .target = PLUCK_NO_TOKEN};
    pluck_dump_writer_options o = {
        .struct_size = sizeof o, .format = PLUCK_DUMP_NPY, .n_vocab = 3, .n_rows = 1};
    pluck_error err = {0};
    pluck_dump_writer *w = NULL;
    assert_status(pluck_dump_writer_create(&w, "/dev/full", &o, &err), PLUCK_OK, err);
    assert_null(pluck_dump_writer_temporary(w, 0));
    assert_status(pluck_dump_writer_write(w, &row, &err), PLUCK_OK, err);
    assert_int_equal(pluck_dump_writer_finish(w, &err), PLUCK_ERR_IO);
    assert_int_equal(pluck_dump_writer_finish(w, &err), PLUCK_ERR_IO);
    pluck_dump_writer_destroy(&w);
    /* A row beyond the buffer fails at once, and so does every one after it. */
    enum { MANY = 1 << 18 };
    static const float many[MANY];
    pluck_dump_row wide = {
        .struct_size = sizeof wide, .logits = {many, PLUCK_F32, MANY}, .target = PLUCK_NO_TOKEN};
    o.n_vocab = MANY;
    o.n_rows = 9;
    assert_status(pluck_dump_writer_create(&w, "/dev/full", &o, &err), PLUCK_OK, err);
    assert_int_equal(pluck_dump_writer_write(w, &wide, &err), PLUCK_ERR_IO);
    assert_non_null(strstr(err.message, "No space left"));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pluck_dump_writer_write(w, &wide, &err), PLUCK_ERR_IO);
        assert_non_null(strstr(err.message, "an earlier write has failed"));
    }
    pluck_dump_writer_destroy(&w);
    o.n_rows = PLUCK_DUMP_ROWS_UNKNOWN;
    assert_int_equal(pluck_dump_writer_create(&w, "/dev/full", &o, &err), PLUCK_ERR_INVALID);
    assert_non_null(strstr(err.message, "n_rows must be known"));
}

static void an_old_file_stays_until_the_new_one_is_whole(void **state)
{
    (void)state;
    folder f = make_folder();
    char link[96], text[8] = "";
    float values[3] = {1, 2, 3};
    struct stat info;
    pluck_error err = {0};
    pluck_dump_writer *w = NULL;
    pluck_dump_row row = {
        .struct_size = sizeof row, .logits = {values, PLUCK_F32, 3}, .target = PLUCK_NO_TOKEN};
    pluck_dump_writer_options o = {
        .struct_size = sizeof o, .format = PLUCK_DUMP_NPY, .n_vocab = 3, .n_rows = 1};
    FILE *file = fopen(f.file, "w");
    assert_non_null(file);
    fputs("old", file);
    fclose(file);
    assert_int_equal(chmod(f.file, 0640), 0);
    snprintf(link, sizeof link, "%s/link", f.path);
    assert_int_equal(symlink(f.file, link), 0);
    for (int finish = 0; finish < 2; finish++) {
        assert_status(pluck_dump_writer_create(&w, link, &o, &err), PLUCK_OK, err);
        assert_status(pluck_dump_writer_write(w, &row, &err), PLUCK_OK, err);
        file = fopen(f.file, "r");
        assert_non_null(fgets(text, sizeof text, file));
        fclose(file);
        assert_string_equal(text, "old");
        if (finish)
            assert_status(pluck_dump_writer_finish(w, &err), PLUCK_OK, err);
        pluck_dump_writer_destroy(&w);
        assert_int_equal(count_files(&f), 2);
    }
    assert_int_equal(lstat(link, &info), 0);
    assert_true(S_ISLNK(info.st_mode));
    assert_int_equal(stat(f.file, &info), 0);
    assert_int_equal(info.st_size, 128 + 12);
    assert_int_equal(info.st_mode & 0777, 0640);
    unlink(link);
    remove_folder(&f);
}

/* Row r has r + i at i. */
static void write_row(pluck_dump_writer *w, uint64_t r)
{
    float values[5];
    pluck_error err = {0};
    for (uint64_t i = 0; i < 5; i++)
        values[i] = (float)(r + i);
    pluck_dump_row row = {.struct_size = sizeof row,
                          .logits = {values, PLUCK_F32, 5},
                          .target = (pluck_token)(r % 5)};
    assert_status(pluck_dump_writer_write(w, &row, &err), PLUCK_OK, err);
}

static size_t read_whole(const char *path, char *bytes, size_t capacity)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t n = fread(bytes, 1, capacity, file);
    fclose(file);
    return n;
}

/* The writers stand for those of different processes: they have nothing in common. */
static void writers_that_join_write_the_file_of_one(void **state)
{
    (void)state;
    enum { N = 20, CAPACITY = 4096 };
    static const pluck_dump_format formats[] = {PLUCK_DUMP_NPY, PLUCK_DUMP_SAFETENSORS};
    static const pluck_dtype dtypes[] = {PLUCK_F32, PLUCK_F16};
    for (size_t at = 0; at < 4; at++) {
        char expected[2][CAPACITY], found[2][CAPACITY];
        size_t n_expected[2], n_found[2];
        for (int is_shared = 0; is_shared < 2; is_shared++) {
            folder f = make_folder();
            pluck_error err = {0};
            pluck_dump_writer *w = NULL, *joined[2] = {NULL, NULL};
            pluck_dump_writer_options o = {.struct_size = sizeof o,
                                           .format = formats[at / 2],
                                           .dtype = dtypes[at % 2],
                                           .n_vocab = 5,
                                           .n_rows = N,
                                           .targets_path = f.targets};
            assert_status(pluck_dump_writer_create(&w, f.file, &o, &err), PLUCK_OK, err);
            const char *temporary[] = {pluck_dump_writer_temporary(w, 0),
                                       pluck_dump_writer_temporary(w, 1)};
            for (size_t i = 0; i < 2 && is_shared; i++)
                assert_status(pluck_dump_writer_join(&joined[i], f.file, temporary, &o, &err),
                              PLUCK_OK, err);
            /* In pieces of three, from back to front for the second. */
            for (uint64_t r = 0; r < N; r++) {
                uint64_t row = is_shared && r / 3 % 3 == 1 ? r / 3 * 3 + 2 - r % 3 : r;
                pluck_dump_writer *by = r / 3 % 3 < 2 && is_shared ? joined[r / 3 % 3] : w;
                if (is_shared)
                    assert_status(pluck_dump_writer_seek(by, row, &err), PLUCK_OK, err);
                write_row(by, row);
            }
            for (size_t i = 0; i < 2 && is_shared; i++) {
                assert_status(pluck_dump_writer_finish(joined[i], &err), PLUCK_OK, err);
                pluck_dump_writer_destroy(&joined[i]);
                assert_int_equal(count_files(&f), 2);
            }
            assert_int_equal(access(f.file, F_OK), -1);
            assert_status(pluck_dump_writer_finish(w, &err), PLUCK_OK, err);
            pluck_dump_writer_destroy(&w);
            assert_int_equal(count_files(&f), 2);
            char(*bytes)[CAPACITY] = is_shared ? found : expected;
            size_t *n = is_shared ? n_found : n_expected;
            n[0] = read_whole(f.file, bytes[0], CAPACITY);
            n[1] = read_whole(f.targets, bytes[1], CAPACITY);
            remove_folder(&f);
        }
        for (size_t i = 0; i < 2; i++) {
            assert_int_equal(n_found[i], n_expected[i]);
            assert_memory_equal(found[i], expected[i], n_expected[i]);
        }
    }
}

static void rows_without_places_are_not_shared(void **state)
{
    (void)state;
    folder f = make_folder();
    pluck_error err = {0};
    pluck_dump_writer *w = NULL, *joined = NULL;
    const char *temporary[] = {f.targets, NULL};
    pluck_dump_writer_options o = {
        .struct_size = sizeof o, .format = PLUCK_DUMP_JSONL, .n_vocab = 5, .n_rows = 2};
    for (int i = 0; i < 2; i++) {
        assert_status(pluck_dump_writer_create(&w, f.file, &o, &err), PLUCK_OK, err);
        assert_int_equal(pluck_dump_writer_seek(w, 0, &err), PLUCK_ERR_INVALID);
        assert_int_equal(pluck_dump_writer_join(&joined, f.file, temporary, &o, &err),
                         PLUCK_ERR_INVALID);
        assert_null(joined);
        pluck_dump_writer_destroy(&w);
        o.format = PLUCK_DUMP_NPY;
        o.n_rows = PLUCK_DUMP_ROWS_UNKNOWN;
    }
    o.n_rows = 2;
    assert_status(pluck_dump_writer_create(&w, "/dev/null", &o, &err), PLUCK_OK, err);
    assert_int_equal(pluck_dump_writer_seek(w, 0, &err), PLUCK_ERR_INVALID);
    pluck_dump_writer_destroy(&w);
    assert_status(pluck_dump_writer_create(&w, f.file, &o, &err), PLUCK_OK, err);
    assert_int_equal(pluck_dump_writer_seek(w, 3, &err), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_dump_writer_join(&joined, f.file, temporary, &o, &err), PLUCK_ERR_IO);
    temporary[0] = pluck_dump_writer_temporary(w, 0);
    o.targets_path = f.targets;
    assert_int_equal(pluck_dump_writer_join(&joined, f.file, temporary, &o, &err),
                     PLUCK_ERR_INVALID);
    pluck_dump_writer_destroy(&w);
    assert_int_equal(count_files(&f), 0);
    remove_folder(&f);
}

static void a_failed_allocation_leaves_nothing(void **state)
{
    (void)state;
    folder f = make_folder();
    for (pluck_dump_format format = PLUCK_DUMP_NPY; format <= PLUCK_DUMP_SAFETENSORS; format++) {
        bool failed = true;
        for (uint64_t n = 0; failed; n++) {
            test_allocator allocator;
            test_allocator_init(&allocator);
            allocator.fail_at = n;
            pluck_dump_writer_options o = {.struct_size = sizeof o,
                                           .format = format,
                                           .n_vocab = 3,
                                           .n_rows = 1,
                                           .targets_path = f.targets,
                                           .allocator = &allocator.interface};
            pluck_error err = {0};
            pluck_dump_writer *w = NULL;
            pluck_status status = pluck_dump_writer_create(&w, f.file, &o, &err);
            failed = allocator.failed;
            assert_int_equal(status, failed ? PLUCK_ERR_NOMEM : PLUCK_OK);
            pluck_dump_writer_destroy(&w);
            assert_int_equal(allocator.n_live, 0);
            assert_int_equal(count_files(&f), 0);
        }
    }
    remove_folder(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_format_and_type_reads_back),
        cmocka_unit_test(narrowing_rounds_to_the_nearest_even),
        cmocka_unit_test(floats_as_text_read_back),
        cmocka_unit_test(what_is_wrong_is_refused_and_leaves_nothing),
        cmocka_unit_test(a_full_disk_is_told),
        cmocka_unit_test(an_old_file_stays_until_the_new_one_is_whole),
        cmocka_unit_test(writers_that_join_write_the_file_of_one),
        cmocka_unit_test(rows_without_places_are_not_shared),
        cmocka_unit_test(a_failed_allocation_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
