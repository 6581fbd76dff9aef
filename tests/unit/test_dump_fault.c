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

enum { N_CONTENTS = 11, VOCAB = 3 };

/* Python's zipfile: a.npy, two rows of three zeros, deflated. */
static const uint8_t deflated_npz[] = {
    0x50, 0x4b, 0x03, 0x04, 0x14, 0x00, 0x00, 0x00, 0x08, 0x00, 0x00, 0x00, 0x21, 0x00, 0x0f, 0xf3,
    0xd5, 0x25, 0x44, 0x00, 0x00, 0x00, 0x5c, 0x00, 0x00, 0x00, 0x05, 0x00, 0x00, 0x00, 0x61, 0x2e,
    0x6e, 0x70, 0x79, 0x9b, 0xec, 0x17, 0xea, 0x1b, 0x10, 0xc9, 0xc8, 0x60, 0xc5, 0x50, 0xad, 0x9e,
    0x92, 0x5a, 0x9c, 0x5c, 0xa4, 0x6e, 0xa5, 0xa0, 0x6e, 0x93, 0x66, 0xa2, 0xae, 0xa3, 0xa0, 0x9e,
    0x96, 0x5f, 0x54, 0x52, 0x94, 0x98, 0x17, 0x9f, 0x5f, 0x94, 0x92, 0x0a, 0x12, 0x77, 0x4b, 0xcc,
    0x29, 0x4e, 0x05, 0x8a, 0x17, 0x67, 0x24, 0x16, 0xa4, 0x02, 0xf9, 0x1a, 0x46, 0x3a, 0x0a, 0xc6,
    0x9a, 0xb5, 0x5c, 0x0c, 0x38, 0x00, 0x00, 0x50, 0x4b, 0x01, 0x02, 0x14, 0x03, 0x14, 0x00, 0x00,
    0x00, 0x08, 0x00, 0x00, 0x00, 0x21, 0x00, 0x0f, 0xf3, 0xd5, 0x25, 0x44, 0x00, 0x00, 0x00, 0x5c,
    0x00, 0x00, 0x00, 0x05, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x80,
    0x01, 0x00, 0x00, 0x00, 0x00, 0x61, 0x2e, 0x6e, 0x70, 0x79, 0x50, 0x4b, 0x05, 0x06, 0x00, 0x00,
    0x00, 0x00, 0x01, 0x00, 0x01, 0x00, 0x33, 0x00, 0x00, 0x00, 0x67, 0x00, 0x00, 0x00, 0x00, 0x00};

static byte_string make_llama_kl(void)
{
    byte_string bytes = {0};
    bytes_append(&bytes, "_logits_", 8);
    bytes_append_number(&bytes, 4, 4, false);
    bytes_append_number(&bytes, VOCAB, 4, false);
    bytes_append_number(&bytes, 1, 4, false);
    bytes_append_zeros(&bytes, 4 * 4 + 8 + 2 * 4);
    return bytes;
}

static byte_string copy_of(const void *data, size_t size)
{
    byte_string bytes = {0};
    bytes_append(&bytes, data, size);
    return bytes;
}

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
    pluck_dump_options raw_options = {.raw_n_vocab = VOCAB};
    static const char lines[] = "{\"logits\":[1,2,3]}\n{\"logits\":[4,5,6]}\n";
    const content made[N_CONTENTS] = {
        {.name = "llama-kl", .bytes = make_llama_kl()},
        {.name = "llama-kl stream", .bytes = make_llama_kl(), .streamed = true},
        {.name = "json lines", .bytes = copy_of(lines, sizeof lines - 1)},
        {.name = "json lines stream", .bytes = copy_of(lines, sizeof lines - 1), .streamed = true},
        {.name = "npz", .bytes = copy_of(deflated_npz, sizeof deflated_npz)},
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
        status = plk_dump_open_memory(&dump, c->name, c->bytes.data, c->bytes.size, c->streamed,
                                      &options, err);
    }
    if (status) {
        assert_null(dump);
        return status;
    }
    float scratch[VOCAB];
    pluck_logits logits;
    status = pluck_dump_read(dump, 0, scratch, &logits, err);
    pluck_dump_destroy(&dump);
    return status;
}

/* The .npz is deflated. */
static bool can_read(const content *c)
{
#ifdef PLK_HAVE_ZLIB
    (void)c;
    return true;
#else
    return strcmp(c->name, "npz") != 0;
#endif
}

static void test_a_failed_allocation_leaves_nothing(void **state)
{
    (void)state;
    content contents[N_CONTENTS];
    make_contents(contents);
    for (size_t i = 0; i < N_CONTENTS; i++)
        for (int from_path = 0; from_path < (contents[i].streamed ? 1 : 2); from_path++) {
            bool failed = can_read(&contents[i]);
            for (uint64_t n = 0; failed; n++) {
                failing_allocator allocator = {.fail_at = n};
                pluck_allocator interface = {failing_alloc, failing_free, &allocator};
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
        pluck_allocator interface = {failing_alloc, failing_free, &allocator};
        pluck_error err = {0};
        json_memory = (failing_allocator){.fail_at = n};
        cJSON_InitHooks(&hooks);
        pluck_status status = try_content(&contents[2], &interface, false, &err);
        cJSON_InitHooks(NULL);
        failed = json_memory.failed;
        assert_int_equal(status, failed ? PLUCK_ERR_NOMEM : PLUCK_OK);
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
            pluck_allocator interface = {failing_alloc, failing_free, &allocator};
            pluck_dump_options options = {.allocator = &interface};
            pluck_dump *dump = NULL;
            if (i == sizeof cases / sizeof *cases) {
                assert_int_equal(pluck_dump_open(&dump, "/nowhere/at all", &options, NULL),
                                 PLUCK_ERR_IO);
            } else {
                byte_string bytes = safetensors_file(cases[i].json, cases[i].data_size);
                assert_int_equal(plk_dump_open_memory(&dump, "refused", bytes.data, bytes.size,
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
