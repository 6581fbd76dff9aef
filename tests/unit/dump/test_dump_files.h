/*
 * What the tests of dumps share: files made byte by byte, without the library's code.
 */
#ifndef TEST_DUMP_FILES_H
#define TEST_DUMP_FILES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "dump/reader.h"

typedef struct byte_string {
    uint8_t *data;
    size_t size, capacity;
} byte_string;

static inline uint8_t *bytes_extend(byte_string *bytes, size_t size)
{
    if (bytes->capacity - bytes->size < size || !bytes->data) {
        bytes->capacity = 2 * (bytes->size + size) + 16;
        bytes->data = realloc(bytes->data, bytes->capacity);
        assert_non_null(bytes->data);
    }
    bytes->size += size;
    return bytes->data + bytes->size - size;
}

static inline void bytes_append(byte_string *bytes, const void *data, size_t size)
{
    memcpy(bytes_extend(bytes, size), data, size);
}

static inline void bytes_append_zeros(byte_string *bytes, size_t size)
{
    memset(bytes_extend(bytes, size), 0, size);
}

/* The low n_bytes bytes of value. */
static inline void bytes_append_number(byte_string *bytes, uint64_t value, size_t n_bytes,
                                       bool big_endian)
{
    for (size_t i = 0; i < n_bytes; i++) {
        size_t place = big_endian ? n_bytes - 1 - i : i;
        uint8_t byte = (uint8_t)(value >> (8 * place));
        bytes_append(bytes, &byte, 1);
    }
}

static inline void bytes_free(byte_string *bytes)
{
    free(bytes->data);
    *bytes = (byte_string){0};
}

/* An .npy header with that text, unpadded. */
static inline byte_string npy_header(unsigned major, const char *text)
{
    byte_string bytes = {0};
    const uint8_t version[2] = {(uint8_t)major, 0};
    bytes_append(&bytes, "\x93NUMPY", 6);
    bytes_append(&bytes, version, 2);
    bytes_append_number(&bytes, strlen(text), major == 1 ? 2 : 4, false);
    bytes_append(&bytes, text, strlen(text));
    return bytes;
}

/* A .safetensors file with that header and data_size zeros. */
static inline byte_string safetensors_file(const char *json, size_t data_size)
{
    byte_string bytes = {0};
    bytes_append_number(&bytes, strlen(json), 8, false);
    bytes_append(&bytes, json, strlen(json));
    bytes_append_zeros(&bytes, data_size);
    return bytes;
}

typedef struct temporary_file {
    char path[64];
} temporary_file;

static inline int temporary_file_create(temporary_file *file)
{
    strcpy(file->path, "/tmp/pluck_dump_XXXXXX");
    int fd = mkstemp(file->path);
    assert_true(fd >= 0);
    return fd;
}

static inline temporary_file temporary_file_write(byte_string bytes)
{
    temporary_file file;
    int fd = temporary_file_create(&file);
    for (size_t done = 0; done < bytes.size;) {
        ssize_t n = write(fd, bytes.data + done, bytes.size - done);
        assert_true(n > 0);
        done += (size_t)n;
    }
    close(fd);
    return file;
}

/* cmocka stops a test at the first failed assertion, so what is printed before it counts. */
#define assert_status(status_expression, expected, err)                                            \
    do {                                                                                           \
        pluck_status assert_status_got = (status_expression);                                      \
        if (assert_status_got != (expected))                                                       \
            print_error("%s, expected %s: %s\n", pluck_status_name(assert_status_got),             \
                        pluck_status_name(expected), assert_status_got ? (err).message : "");      \
        assert_int_equal(assert_status_got, expected);                                             \
    } while (0)

#endif
