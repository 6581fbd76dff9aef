/*
 * Opening a dump with memory that runs out: the N-th allocation fails, for N = 1, 2, 3 and so on
 * until an open succeeds without meeting a failure. Each failure has to be reported, leave nothing
 * allocated, and leave no dump.
 */
#include "test_dump_files.h"

#include <cjson/cJSON.h>

typedef struct failing_allocator {
    uint64_t fail_at; /* that many allocations succeed, the next one fails */
    uint64_t n_live;
    bool failed;
} failing_allocator;

static void *failing_alloc(void *user, size_t size_bytes)
{
    failing_allocator *allocator = user;
    if (!allocator->failed && allocator->fail_at-- == 0) {
        allocator->failed = true;
        return NULL;
    }
    void *memory = malloc(size_bytes);
    assert_non_null(memory);
    allocator->n_live++;
    return memset(memory, 0xA5, size_bytes);
}

static void failing_free(void *user, void *memory)
{
    ((failing_allocator *)user)->n_live--;
    free(memory);
}

typedef struct content {
    const char *name;
    byte_string bytes;
    bool streamed;
    pluck_dump_options options;
} content;

enum { N_CONTENTS = 6, VOCAB = 3 };

static void make_contents(content contents[N_CONTENTS])
{
    static const char json[] =
        "{\"logits\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
        "\"other\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[24,36]}}";
    static const char text[] = "{'descr':'<f4','fortran_order':False,'shape':(2,3)}";
    byte_string npy = npy_header(1, text), npy_again = npy_header(2, text);
    byte_string raw = {0}, raw_again = {0};
    bytes_append_zeros(&npy, 24);
    bytes_append_zeros(&npy_again, 24);
    bytes_append_zeros(&raw, 24);
    bytes_append_zeros(&raw_again, 24);
    const pluck_dump_options raw_options = {.raw_n_vocab = VOCAB};
    const content made[N_CONTENTS] = {
        {.name = "npy", .bytes = npy},
        {.name = "npy stream", .bytes = npy_again, .streamed = true},
        {.name = "safetensors", .bytes = safetensors_file(json, 36)},
        {.name = "named tensor",
         .bytes = safetensors_file(json, 36),
         .options = {.tensor = "other"}},
        {.name = "raw", .bytes = raw, .options = raw_options},
        {.name = "raw stream", .bytes = raw_again, .streamed = true, .options = raw_options},
    };
    memcpy(contents, made, sizeof made);
}

/* Opens and reads a row. */
static pluck_status try_content(const content *c, const pluck_allocator *allocator, bool from_path,
                                pluck_error *err)
{
    pluck_dump *dump = NULL;
    pluck_dump_options options = c->options;
    options.allocator = allocator;
    pluck_status status = PLUCK_OK;
    if (from_path) {
        temporary_file file = temporary_file_write(c->bytes);
        status = pluck_dump_open(&dump, file.path, &options, err);
        unlink(file.path);
    } else {
        status = pl_dump_open_memory(&dump, c->name, c->bytes.data, c->bytes.size, c->streamed,
                                     &options, err);
    }
    if (status) {
        assert_null(dump);
        return status;
    }
    float scratch[VOCAB];
    pluck_logits logits;
    assert_status(pluck_dump_read(dump, 0, scratch, &logits, err), PLUCK_OK, *err);
    pluck_dump_close(&dump);
    return PLUCK_OK;
}

static void test_a_failed_allocation_leaves_nothing(void **state)
{
    (void)state;
    content contents[N_CONTENTS];
    make_contents(contents);
    for (size_t i = 0; i < N_CONTENTS; i++)
        for (int from_path = 0; from_path < (contents[i].streamed ? 1 : 2); from_path++) {
            bool failed = true;
            for (uint64_t n = 0; failed; n++) {
                failing_allocator allocator = {.fail_at = n};
                const pluck_allocator interface = {failing_alloc, failing_free, &allocator};
                pluck_error err = {0};
                pluck_status status = try_content(&contents[i], &interface, from_path == 1, &err);
                failed = allocator.failed;
                if (status != (failed ? PLUCK_ERR_NOMEM : PLUCK_OK) || allocator.n_live != 0)
                    fail_msg("%s: allocation %llu failing: %s (%s), %llu blocks left",
                             contents[i].name, (unsigned long long)n + 1, pluck_status_name(status),
                             err.message, (unsigned long long)allocator.n_live);
            }
        }
    for (size_t i = 0; i < N_CONTENTS; i++)
        bytes_free(&contents[i].bytes);
}

/* Memory of the JSON parser does not come from the caller's allocator, so it fails by itself. */
static failing_allocator json_memory;

static void *json_allocate(size_t size)
{
    return failing_alloc(&json_memory, size);
}

static void json_free(void *memory)
{
    if (memory)
        failing_free(&json_memory, memory);
}

static void test_a_failed_allocation_of_the_json_parser_leaves_nothing(void **state)
{
    (void)state;
    cJSON_Hooks hooks = {json_allocate, json_free};
    content contents[N_CONTENTS];
    make_contents(contents);
    bool failed = true;
    for (uint64_t n = 0; failed; n++) {
        failing_allocator allocator = {.fail_at = UINT64_MAX};
        const pluck_allocator interface = {failing_alloc, failing_free, &allocator};
        pluck_error err = {0};
        json_memory = (failing_allocator){.fail_at = n};
        cJSON_InitHooks(&hooks);
        pluck_status status = try_content(&contents[2], &interface, false, &err);
        cJSON_InitHooks(NULL);
        failed = json_memory.failed;
        /* The parser does not tell this from text that is no JSON. */
        assert_int_equal(status, failed ? PLUCK_ERR_FORMAT : PLUCK_OK);
        assert_int_equal(allocator.n_live, 0);
        assert_int_equal(json_memory.n_live, 0);
    }
    for (size_t i = 0; i < N_CONTENTS; i++)
        bytes_free(&contents[i].bytes);
}

/* What is refused leaves nothing either. */
static void test_a_refused_dump_leaves_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        size_t data_size;
    } cases[] = {
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2,0],\"data_offsets\":[0,0]}}", 0},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 9},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"b\":{}}", 8},
        {"{\"a\":{\"dtype\":\"I8\",\"shape\":[2],\"data_offsets\":[0,2]}}", 2},
        {"{\"a\":", 0},
    };
    for (size_t i = 0; i <= sizeof cases / sizeof *cases; i++)
        for (int streamed = 0; streamed < 2; streamed++) {
            failing_allocator allocator = {.fail_at = UINT64_MAX};
            const pluck_allocator interface = {failing_alloc, failing_free, &allocator};
            const pluck_dump_options options = {.allocator = &interface};
            pluck_dump *dump = NULL;
            if (i == sizeof cases / sizeof *cases) {
                assert_int_equal(pluck_dump_open(&dump, "/nowhere/at all", &options, NULL),
                                 PLUCK_ERR_IO);
            } else {
                byte_string bytes = safetensors_file(cases[i].json, cases[i].data_size);
                assert_int_equal(pl_dump_open_memory(&dump, "refused", bytes.data, bytes.size,
                                                     streamed == 1, &options, NULL),
                                 PLUCK_ERR_FORMAT);
                bytes_free(&bytes);
            }
            assert_null(dump);
            assert_int_equal(allocator.n_live, 0);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_failed_allocation_leaves_nothing),
        cmocka_unit_test(test_a_refused_dump_leaves_nothing),
        cmocka_unit_test(test_a_failed_allocation_of_the_json_parser_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
