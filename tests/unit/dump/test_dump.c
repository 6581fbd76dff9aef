/*
 * Every layout that a dump can have holds the same matrix here, and has to give it back bit by bit:
 * types, byte orders, axis orders, header versions, numbers of axes, as a file and as a stream.
 * Wrong strides or swaps would show as plausible logits, so nothing less than bits is compared.
 */
#include "test_dump_files.h"

#include <inttypes.h>
#include <math.h>

#include "support/dump_reading.h"

enum { MAX_VALUES = 256 };

typedef struct layout {
    unsigned version;
    const char *descr;
    size_t size_bytes;
    pluck_dtype dtype;
    bool big_endian;
    bool fortran;
    size_t n_axes;
    size_t axes[4];
} layout;

/* Values that show a swap or a misplaced bit: zeros, infinities, subnormals, a signalling NaN. */
static const uint32_t patterns_32[] = {0x00000000, 0x80000000, 0x7F800000, 0xFF800000,
                                       0x00000001, 0x807FFFFF, 0x7FA00001, 0x3F800000,
                                       0xC2F6E979, 0x00800000, 0x12345678};
static const uint16_t patterns_16[] = {0x0000, 0x8000, 0x7C00, 0xFC00, 0x0001, 0x83FF,
                                       0x7D01, 0x3C00, 0xC2F6, 0x0400, 0x1234};
static const double patterns_64[] = {
    0.0, -0.0, (double)INFINITY, -(double)INFINITY, 0x1p-149,     -0x1.fffffcp-127,
    1.0, 1.0,  -0x1.edd2f2p6,    0x1p-126,          0x1.68acfp-91};

/* The bits of value i as they are stored, and as they have to come back. */
static uint64_t stored_bits(const layout *l, size_t i, uint32_t *read_bits)
{
    size_t which = i % 11;
    if (l->size_bytes == 2) {
        *read_bits = (uint16_t)(patterns_16[which] ^ (uint16_t)(i / 11));
        return *read_bits;
    }
    if (l->size_bytes == 4) {
        *read_bits = patterns_32[which] ^ (uint32_t)(i / 11);
        return *read_bits;
    }
    double value = i < 11 ? patterns_64[which] : (double)i * 0.5;
    float rounded = (float)value;
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof bits);
    memcpy(read_bits, &rounded, sizeof rounded);
    return bits;
}

static size_t layout_values(const layout *l)
{
    size_t n = 1;
    for (size_t i = 0; i < l->n_axes; i++)
        n *= l->axes[i];
    return n;
}

/* Where in the file value i of the C order is. */
static size_t place_of(const layout *l, size_t i)
{
    size_t index[4] = {0}, place = 0, stride = 1;
    for (size_t axis = l->n_axes; axis-- > 0;) {
        index[axis] = i % l->axes[axis];
        i /= l->axes[axis];
    }
    if (!l->fortran) {
        for (size_t axis = l->n_axes; axis-- > 0; stride *= l->axes[axis])
            place += index[axis] * stride;
    } else {
        for (size_t axis = 0; axis < l->n_axes; stride *= l->axes[axis], axis++)
            place += index[axis] * stride;
    }
    return place;
}

static byte_string make_npy(const layout *l, uint32_t *read_bits)
{
    char shape[64] = "(", text[160];
    for (size_t i = 0; i < l->n_axes; i++)
        snprintf(shape + strlen(shape), sizeof shape - strlen(shape), "%zu, ", l->axes[i]);
    if (l->n_axes > 1)
        shape[strlen(shape) - 2] = '\0';
    snprintf(text, sizeof text, "{'descr': '%s', 'fortran_order': %s, 'shape': %s), }  \n",
             l->descr, l->fortran ? "True" : "False", shape);
    byte_string bytes = npy_header(l->version, text);
    size_t n = layout_values(l);
    uint64_t placed[MAX_VALUES];
    for (size_t i = 0; i < n; i++)
        placed[place_of(l, i)] = stored_bits(l, i, &read_bits[i]);
    for (size_t i = 0; i < n; i++)
        bytes_append_number(&bytes, placed[i], l->size_bytes, l->big_endian);
    return bytes;
}

static void check_rows(pluck_dump *dump, const layout *l, const uint32_t *read_bits)
{
    pluck_dump_info info = info_of_dump(dump);
    size_t n_vocab = l->axes[l->n_axes - 1], size = l->size_bytes == 2 ? 2 : 4;
    pluck_error err = {0};
    assert_int_equal(info.n_vocab, n_vocab);
    assert_int_equal(info.n_rows, layout_values(l) / n_vocab);
    assert_int_equal(info.dtype, l->dtype);
    assert_string_equal(info.stored_dtype, l->descr);
    assert_null(info.tensor);
    float *scratch = malloc(n_vocab * sizeof *scratch);
    assert_non_null(scratch);
    for (uint64_t row = 0; row < info.n_rows; row++) {
        pluck_logits logits;
        assert_status(read_logits(dump, row, scratch, &logits, &err), PLUCK_OK, err);
        assert_int_equal(logits.n_vocab, n_vocab);
        assert_int_equal(logits.dtype, l->dtype);
        for (size_t column = 0; column < n_vocab; column++) {
            uint32_t bits = 0;
            uint16_t half = 0;
            memcpy(size == 2 ? (void *)&half : (void *)&bits,
                   (const uint8_t *)logits.data + column * size, size);
            assert_int_equal(size == 2 ? half : bits, read_bits[row * n_vocab + column]);
        }
    }
    free(scratch);
}

static void check_layout(const layout *l)
{
    uint32_t read_bits[MAX_VALUES];
    pluck_error err = {0};
    pluck_dump *dump = NULL;
    pluck_dump_options options = PLUCK_INIT(pluck_dump_options);
    byte_string bytes = make_npy(l, read_bits);
    temporary_file file = temporary_file_write(bytes);
    assert_status(pluck_dump_open(&dump, file.path, NULL, &err), PLUCK_OK, err);
    unlink(file.path);
    assert_false(info_of_dump(dump).streamed);
    assert_int_equal(info_of_dump(dump).format, PLUCK_DUMP_NPY);
    check_rows(dump, l, read_bits);
    check_rows(dump, l, read_bits);
    pluck_dump_destroy(&dump);
    assert_null(dump);

    if (!l->fortran || layout_values(l) == l->axes[l->n_axes - 1]) {
        assert_status(
            plk_dump_open_memory(&dump, "stream", bytes.data, bytes.size, true, &options, &err),
            PLUCK_OK, err);
        assert_true(info_of_dump(dump).streamed);
        check_rows(dump, l, read_bits);
        pluck_dump_destroy(&dump);
    }
    bytes_free(&bytes);
}

static void test_every_npy_layout_gives_the_same_bits(void **state)
{
    (void)state;
    uint16_t one = 1;
    bool big_endian_host = *(const uint8_t *)&one == 0;
    const layout types[] = {
        {.descr = "<f4", .size_bytes = 4, .dtype = PLUCK_F32},
        {.descr = ">f4", .size_bytes = 4, .dtype = PLUCK_F32, .big_endian = true},
        {.descr = "=f4", .size_bytes = 4, .dtype = PLUCK_F32, .big_endian = big_endian_host},
        {.descr = "<f2", .size_bytes = 2, .dtype = PLUCK_F16},
        {.descr = ">f2", .size_bytes = 2, .dtype = PLUCK_F16, .big_endian = true},
        {.descr = "=f2", .size_bytes = 2, .dtype = PLUCK_F16, .big_endian = big_endian_host},
        {.descr = "<f8", .size_bytes = 8, .dtype = PLUCK_F32},
        {.descr = ">f8", .size_bytes = 8, .dtype = PLUCK_F32, .big_endian = true},
        {.descr = "=f8", .size_bytes = 8, .dtype = PLUCK_F32, .big_endian = big_endian_host},
        {.descr = "<V2", .size_bytes = 2, .dtype = PLUCK_BF16},
        {.descr = "|V2", .size_bytes = 2, .dtype = PLUCK_BF16},
        {.descr = "bfloat16", .size_bytes = 2, .dtype = PLUCK_BF16},
    };
    static const struct {
        size_t n_axes, axes[4];
    } shapes[] = {
        {1, {7}},          {1, {1}},          {2, {1, 7}},    {2, {5, 1}},
        {2, {1, 1}},       {2, {5, 7}},       {3, {2, 3, 7}}, {3, {3, 2, 1}},
        {4, {2, 1, 3, 5}}, {4, {4, 3, 2, 5}}, {2, {2, 120}},
    };
    for (size_t t = 0; t < sizeof types / sizeof *types; t++)
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
            for (unsigned variant = 0; variant < 6; variant++) {
                layout l = types[t];
                l.version = 1 + variant / 2;
                l.fortran = variant % 2 == 1;
                l.n_axes = shapes[s].n_axes;
                memcpy(l.axes, shapes[s].axes, sizeof l.axes);
                check_layout(&l);
            }
}

/* Fortran rows wider than one gather step, and streams of f8 wider than one buffer. */
static void test_wide_rows_are_complete(void **state)
{
    (void)state;
    enum { ROWS = 3, VOCAB = 5000 };
    for (int fortran = 0; fortran < 2; fortran++) {
        char text[128];
        snprintf(text, sizeof text, "{'descr': '>f8', 'fortran_order': %s, 'shape': (%d, %d)}\n",
                 fortran ? "True" : "False", ROWS, VOCAB);
        byte_string bytes = npy_header(1, text);
        for (size_t i = 0; i < (size_t)ROWS * VOCAB; i++) {
            size_t row = fortran ? i % ROWS : i / VOCAB;
            size_t column = fortran ? i / ROWS : i % VOCAB;
            double value = (double)(row * 10000 + column);
            uint64_t bits = 0;
            memcpy(&bits, &value, sizeof bits);
            bytes_append_number(&bytes, bits, 8, true);
        }
        for (int streamed = 0; streamed < (fortran ? 1 : 2); streamed++) {
            pluck_dump_options options = PLUCK_INIT(pluck_dump_options);
            pluck_dump *dump = NULL;
            pluck_error err = {0};
            static float scratch[VOCAB];
            assert_status(plk_dump_open_memory(&dump, "wide", bytes.data, bytes.size, streamed == 1,
                                               &options, &err),
                          PLUCK_OK, err);
            for (size_t row = 0; row < ROWS; row++) {
                pluck_logits logits;
                assert_status(read_logits(dump, row, scratch, &logits, &err), PLUCK_OK, err);
                assert_ptr_equal(logits.data, scratch);
                for (size_t column = 0; column < VOCAB; column++)
                    assert_true(scratch[column] == (float)(row * 10000 + column));
            }
            pluck_dump_destroy(&dump);
        }
        bytes_free(&bytes);
    }
}

static void test_f8_rounds_to_the_nearest_float_ties_to_even(void **state)
{
    (void)state;
    static const struct {
        double stored;
        float read;
    } cases[] = {
        {0x1.000001p0, 1.0f},                     /* a tie, down to even */
        {0x1.000003p0, 0x1.000004p0f},            /* a tie, up to even */
        {0x1.0000010000001p0, 0x1.000002p0f},     /* just above a tie */
        {0x1.0000008p0, 1.0f},                    /* below a tie */
        {0x1.fffffep127, 0x1.fffffep127f},        /* the largest float */
        {0x1.fffffefffffffp127, 0x1.fffffep127f}, /* below the tie to infinity */
        {0x1.ffffffp127, INFINITY},               /* the tie to infinity */
        {1e300, INFINITY},
        {-1e300, -INFINITY},
        {0x1p-149, 0x1p-149f},
        {0x1p-150, 0.0f}, /* a tie between 0 and the least float */
        {0x1.0000000000001p-150, 0x1p-149f},
        {-0x1p-151, -0.0f},
        {-0.0, -0.0f},
        {0x1.8p-149, 0x1p-148f}, /* a tie between subnormals, up to even */
        {5e-324, 0.0f},
        {-(double)INFINITY, -INFINITY},
    };
    enum { N = sizeof cases / sizeof *cases };
    char text[96];
    snprintf(text, sizeof text, "{'descr': '<f8', 'fortran_order': False, 'shape': (%d,)}", N);
    byte_string bytes = npy_header(1, text);
    for (size_t i = 0; i < N; i++) {
        uint64_t bits = 0;
        memcpy(&bits, &cases[i].stored, sizeof bits);
        bytes_append_number(&bytes, bits, 8, false);
    }
    pluck_dump_options options = PLUCK_INIT(pluck_dump_options);
    pluck_dump *dump = NULL;
    pluck_error err = {0};
    pluck_logits logits;
    float scratch[N];
    assert_status(plk_dump_open_memory(&dump, "f8", bytes.data, bytes.size, false, &options, &err),
                  PLUCK_OK, err);
    assert_status(read_logits(dump, 0, scratch, &logits, &err), PLUCK_OK, err);
    for (size_t i = 0; i < N; i++)
        if (memcmp(&scratch[i], &cases[i].read, sizeof(float)) != 0)
            fail_msg("%a became %a, expected %a", cases[i].stored, (double)scratch[i],
                     (double)cases[i].read);
    pluck_dump_destroy(&dump);
    bytes_free(&bytes);
}

/* Spaces, quotes and order that NumPy does not write, but other writers may. */
static void test_npy_header_may_be_written_freely(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{'descr':'<f4','fortran_order':False,'shape':(2,3)}",
        "{\"shape\": (2, 3,), \"descr\": \"<f4\", \"fortran_order\": False}",
        "  { 'fortran_order' : False , 'shape' : ( 2 , 3 , ) , 'descr' : '<f4' , }  \n\n",
        "{'descr':\t'<f4',\n'shape':(2,3),\r\n'fortran_order':False,}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        pluck_dump_options options = PLUCK_INIT(pluck_dump_options);
        pluck_dump *dump = NULL;
        pluck_error err = {0};
        byte_string bytes = npy_header(1, texts[i]);
        bytes_append_zeros(&bytes, 24);
        assert_status(
            plk_dump_open_memory(&dump, "free", bytes.data, bytes.size, false, &options, &err),
            PLUCK_OK, err);
        assert_int_equal(info_of_dump(dump).n_rows, 2);
        assert_int_equal(info_of_dump(dump).n_vocab, 3);
        pluck_dump_destroy(&dump);
        bytes_free(&bytes);
    }
}

static void test_raw_values_are_little_endian_rows(void **state)
{
    (void)state;
    for (pluck_dtype dtype = PLUCK_F32; dtype <= PLUCK_BF16; dtype++)
        for (int streamed = 0; streamed < 2; streamed++) {
            size_t size = pluck_dtype_size_bytes(dtype);
            pluck_dump_options options = {
                .struct_size = sizeof options, .raw_dtype = dtype, .raw_n_vocab = 5};
            pluck_dump *dump = NULL;
            pluck_error err = {0};
            byte_string bytes = {0};
            for (uint64_t i = 0; i < 20; i++)
                bytes_append_number(&bytes, 0x40414203u + i, size, false);
            assert_status(plk_dump_open_memory(&dump, "raw", bytes.data, bytes.size, streamed == 1,
                                               &options, &err),
                          PLUCK_OK, err);
            pluck_dump_info info = info_of_dump(dump);
            assert_int_equal(info.format, PLUCK_DUMP_RAW);
            assert_true(info.n_rows == (streamed ? PLUCK_DUMP_ROWS_UNKNOWN : 4));
            assert_string_equal(info.stored_dtype, pluck_dtype_name(dtype));
            for (uint64_t row = 0; row < 4; row++) {
                float scratch[5];
                pluck_logits logits;
                assert_status(read_logits(dump, row, scratch, &logits, &err), PLUCK_OK, err);
                assert_int_equal(logits.dtype, dtype);
                for (size_t i = 0; i < 5; i++) {
                    uint32_t expected = 0x40414203u + (uint32_t)(row * 5 + i), bits = 0;
                    uint16_t half = 0;
                    memcpy(size == 2 ? (void *)&half : (void *)&bits,
                           (const uint8_t *)logits.data + i * size, size);
                    assert_int_equal(size == 2 ? half : bits,
                                     size == 2 ? (uint16_t)expected : expected);
                }
            }
            pluck_dump_destroy(&dump);
            bytes_free(&bytes);
        }
}

/* raw_n_vocab alone does not turn a recognised file into raw values, the format does. */
static void test_content_comes_before_raw_options(void **state)
{
    (void)state;
    byte_string bytes = npy_header(1, "{'descr':'<f4','fortran_order':False,'shape':(1,)} ");
    bytes_append_zeros(&bytes, 4 + 3);
    pluck_dump *dump = NULL;
    pluck_error err = {0};
    pluck_dump_options options = {
        .struct_size = sizeof options, .raw_n_vocab = 1, .raw_dtype = PLUCK_F16};
    assert_int_equal(bytes.size % 2, 0);
    assert_status(
        plk_dump_open_memory(&dump, "x", bytes.data, bytes.size - 3, false, &options, &err),
        PLUCK_OK, err);
    assert_int_equal(info_of_dump(dump).format, PLUCK_DUMP_NPY);
    pluck_dump_destroy(&dump);
    options.format = PLUCK_DUMP_RAW;
    assert_status(plk_dump_open_memory(&dump, "x", bytes.data, bytes.size, false, &options, &err),
                  PLUCK_OK, err);
    assert_int_equal(info_of_dump(dump).format, PLUCK_DUMP_RAW);
    pluck_dump_destroy(&dump);
    bytes_free(&bytes);
}

/* Opens, checks which tensor was taken and the first bits of its last row. */
static void check_tensor(byte_string bytes, const char *asked, const char *taken, uint64_t n_rows,
                         uint32_t n_vocab, const char *stored, uint32_t last_row_bits)
{
    pluck_dump_options options = {.struct_size = sizeof options, .tensor = asked};
    pluck_dump *dump = NULL;
    pluck_error err = {0};
    pluck_logits logits;
    float scratch[16];
    uint32_t bits = 0;
    assert_status(plk_dump_open_memory(&dump, "st", bytes.data, bytes.size, false, &options, &err),
                  PLUCK_OK, err);
    pluck_dump_info info = info_of_dump(dump);
    assert_int_equal(info.format, PLUCK_DUMP_SAFETENSORS);
    assert_string_equal(info.tensor, taken);
    assert_string_equal(info.stored_dtype, stored);
    assert_int_equal(info.n_rows, n_rows);
    assert_int_equal(info.n_vocab, n_vocab);
    assert_status(read_logits(dump, n_rows - 1, scratch, &logits, &err), PLUCK_OK, err);
    memcpy(&bits, logits.data, pluck_dtype_size_bytes(logits.dtype));
    assert_int_equal(bits, last_row_bits);
    pluck_dump_destroy(&dump);
}

static void test_safetensors_gives_the_tensor_that_is_meant(void **state)
{
    (void)state;
    static const char json[] =
        "{\"__metadata__\":{\"format\":\"pt\"},"
        "\"ids\":{\"dtype\":\"I64\",\"shape\":[2],\"data_offsets\":[0,16]},"
        "\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[16,40]},"
        "\"b\":{\"dtype\":\"BF16\",\"shape\":[4],\"data_offsets\":[40,48]},"
        "\"c\":{\"data_offsets\":[48,56],\"shape\":[4],\"dtype\":\"F16\"},"
        "\"none\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[56,56]},"
        "\"wide\":{\"dtype\":\"F64\",\"shape\":[],\"data_offsets\":[56,64]}}  ";
    byte_string bytes = safetensors_file(json, 0);
    for (uint32_t i = 0; i < 16; i++)
        bytes_append_number(&bytes, 0x01020300u + i, 4, false);
    /* The only one with two axes; by name; F32 of the last row: word 4 + 3. */
    check_tensor(bytes, NULL, "a", 2, 3, "F32", 0x01020307);
    check_tensor(bytes, "a", "a", 2, 3, "F32", 0x01020307);
    check_tensor(bytes, "b", "b", 1, 4, "BF16", 0x030A);
    check_tensor(bytes, "c", "c", 1, 4, "F16", 0x030C);
    bytes_free(&bytes);

    bytes = safetensors_file(
        "{\"x\":{\"dtype\":\"F64\",\"shape\":[2,1,1],\"data_offsets\":[0,16]}}", 8);
    double last = -2.5;
    bytes_append(&bytes, &last, 8);
    check_tensor(bytes, NULL, "x", 2, 1, "F64", 0xC0200000);
    bytes_free(&bytes);

    /* No second axis anywhere: the only one with one. */
    bytes = safetensors_file("{\"y\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
                             "\"n\":{\"dtype\":\"U8\",\"shape\":[1,1],\"data_offsets\":[8,9]}}",
                             9);
    check_tensor(bytes, NULL, "y", 1, 2, "F32", 0);
    bytes_free(&bytes);
}

/* Data of a .safetensors file need not be aligned; the pointer into it is used as it is. */
static void test_rows_of_usable_values_are_not_copied(void **state)
{
    (void)state;
    byte_string bytes = safetensors_file(
        "{\"odd\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]}}", 16);
    temporary_file file = temporary_file_write(bytes);
    pluck_dump *dump = NULL;
    pluck_error err = {0};
    pluck_logits first, again;
    float scratch[2];
    assert_status(pluck_dump_open(&dump, file.path, NULL, &err), PLUCK_OK, err);
    unlink(file.path);
    assert_status(read_logits(dump, 1, NULL, &first, &err), PLUCK_OK, err);
    assert_status(read_logits(dump, 1, scratch, &again, &err), PLUCK_OK, err);
    assert_ptr_equal(first.data, again.data);
    assert_ptr_not_equal(again.data, scratch);
    pluck_dump_destroy(&dump);
    bytes_free(&bytes);
}

static void test_paths_are_utf_8(void **state)
{
    (void)state;
    char directory[] = "/tmp/pluck_dump_XXXXXX", path[128];
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/logits \xC3\xA9\xE6\x97\xA5 \xF0\x9F\x90\xA4.npy", directory);
    byte_string bytes = npy_header(1, "{'descr':'<f4','fortran_order':False,'shape':(1,)}");
    bytes_append_zeros(&bytes, 4);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes.data, 1, bytes.size, file), bytes.size);
    fclose(file);
    pluck_dump *dump = NULL;
    pluck_error err = {0};
    assert_status(pluck_dump_open(&dump, path, NULL, &err), PLUCK_OK, err);
    pluck_dump_destroy(&dump);
    unlink(path);
    assert_status(pluck_dump_open(&dump, path, NULL, &err), PLUCK_ERR_IO, err);
    assert_non_null(strstr(err.message, "\xF0\x9F\x90\xA4.npy: cannot be opened: "));
    rmdir(directory);
    bytes_free(&bytes);
}

static void test_format_names_cover_the_enumeration(void **state)
{
    (void)state;
    assert_string_equal(pluck_dump_format_name(PLUCK_DUMP_AUTO), "auto");
    assert_string_equal(pluck_dump_format_name(PLUCK_DUMP_NPY), "npy");
    assert_string_equal(pluck_dump_format_name(PLUCK_DUMP_SAFETENSORS), "safetensors");
    assert_string_equal(pluck_dump_format_name(PLUCK_DUMP_RAW), "raw");
    assert_string_equal(pluck_dump_format_name(PLUCK_DUMP_NPZ), "npz");
    assert_string_equal(pluck_dump_format_name(PLUCK_DUMP_LLAMA_KL), "llama-kl");
    assert_string_equal(pluck_dump_format_name(PLUCK_DUMP_JSONL), "jsonl");
    assert_string_equal(pluck_dump_format_name(PLUCK_DUMP_TORCH), "torch");
    assert_string_equal(pluck_dump_format_name(PLUCK_DUMP_TEXT), "text");
    assert_string_equal(pluck_dump_format_name(PLUCK_DUMP_JSON), "json");
    assert_null(pluck_dump_format_name((pluck_dump_format)10));
    assert_null(pluck_dump_format_name((pluck_dump_format)-1));
}

static void test_nothing_can_be_closed_and_asked(void **state)
{
    (void)state;
    pluck_dump *none = NULL;
    pluck_dump_destroy(NULL);
    pluck_dump_destroy(&none);
    pluck_dump_release(NULL, 3);
    assert_int_equal(info_of_dump(NULL).n_vocab, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_npy_layout_gives_the_same_bits),
        cmocka_unit_test(test_wide_rows_are_complete),
        cmocka_unit_test(test_f8_rounds_to_the_nearest_float_ties_to_even),
        cmocka_unit_test(test_npy_header_may_be_written_freely),
        cmocka_unit_test(test_raw_values_are_little_endian_rows),
        cmocka_unit_test(test_content_comes_before_raw_options),
        cmocka_unit_test(test_safetensors_gives_the_tensor_that_is_meant),
        cmocka_unit_test(test_rows_of_usable_values_are_not_copied),
        cmocka_unit_test(test_paths_are_utf_8),
        cmocka_unit_test(test_format_names_cover_the_enumeration),
        cmocka_unit_test(test_nothing_can_be_closed_and_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
