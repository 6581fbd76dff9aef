/*
 * What the tests of configurations share: parsing that must work or must fail, an allocator that
 * counts and can be told to fail, and reading a file of the source tree.
 */
#ifndef TEST_CONFIG_HELPERS_H
#define TEST_CONFIG_HELPERS_H

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <pluck/config.h>

/* Parses text that must be right. */
static inline pluck_config *must_read(const char *json)
{
    pluck_error err = {PLUCK_OK, ""};
    pluck_config *config = NULL;
    if (pluck_config_from_json(&config, json, strlen(json), NULL, &err) != PLUCK_OK)
        fail_msg("%s\n  refused: %s", json, err.message);
    return config;
}

/* The text of a configuration; to be freed. */
static inline char *must_write(const pluck_config *config)
{
    size_t size_bytes = 0, size_again = 0;
    pluck_error err = {PLUCK_OK, ""};
    (void)pluck_config_to_json(config, NULL, 0, &size_bytes, NULL);
    char *text = malloc(size_bytes);
    assert_non_null(text);
    if (pluck_config_to_json(config, text, size_bytes, &size_again, &err) != PLUCK_OK)
        fail_msg("%s", err.message);
    assert_int_equal(size_bytes, size_again);
    assert_int_equal(strlen(text) + 1, size_bytes);
    return text;
}

/* json must be refused with this message, whole. */
static inline void must_refuse(const char *json, size_t size_bytes, const char *message)
{
    pluck_error err = {PLUCK_OK, ""};
    pluck_config *config = (pluck_config *)&err;
    pluck_status status = pluck_config_from_json(&config, json, size_bytes, NULL, &err);
    if (status != PLUCK_ERR_CONFIG || config || strcmp(err.message, message) != 0)
        fail_msg("%.*s\n  expected: %s\n  got:      %s (%s)", (int)size_bytes, json, message,
                 err.message, pluck_status_name(status));
}

#define COMMA_FOLDER "/tmp/pluck-locale-XXXXXX"

/* Sets a locale whose decimal point is a comma, one of the system's or one that localedef makes in
 * folder, which is COMMA_FOLDER. Its name; NULL if there is none. */
static inline const char *set_comma_locale(char *folder)
{
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "de_DE"};
    char command[256], probe[8];
    const char *name = NULL;
    for (size_t i = 0; i < sizeof names / sizeof *names && !name; i++)
        name = setlocale(LC_ALL, names[i]) ? names[i] : NULL;
    if (!name && mkdtemp(folder)) {
        snprintf(command, sizeof command,
                 "localedef -c -i de_DE -f UTF-8 %s/de_DE.UTF-8 >%s/log 2>&1", folder, folder);
        if (system(command) != -1 && setenv("LOCPATH", folder, 1) == 0)
            name = setlocale(LC_ALL, names[0]) ? names[0] : NULL;
    }
    snprintf(probe, sizeof probe, "%.1f", 0.5);
    return name && strcmp(probe, "0,5") == 0 ? name : NULL;
}

static inline void leave_comma_locale(const char *folder)
{
    char command[64];
    setlocale(LC_ALL, "C");
    snprintf(command, sizeof command, "rm -rf %s", folder);
    if (access(folder, F_OK) == 0)
        assert_int_equal(system(command), 0);
}

/* Seconds of processor time since the program began. */
static inline double seconds(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

/* Counts what is allocated; allocation number fail_at (from 1) fails, 0: none. */
typedef struct counting_memory {
    size_t n_allocated, n_live, fail_at;
} counting_memory;

static inline void *counting_alloc(void *user, size_t size_bytes)
{
    counting_memory *memory = user;
    if (++memory->n_allocated == memory->fail_at)
        return NULL;
    memory->n_live++;
    return malloc(size_bytes);
}

static inline void counting_free(void *user, void *block)
{
    ((counting_memory *)user)->n_live--;
    free(block);
}

static inline pluck_allocator counting_allocator(counting_memory *memory)
{
    return (pluck_allocator){counting_alloc, counting_free, memory};
}

/* A file below the source tree, NUL-terminated, to be freed; the environment variable
 * PLUCK_SOURCE_ROOT says where the tree is. */
static inline char *source_file(const char *path)
{
    char full[4096];
    const char *root = getenv("PLUCK_SOURCE_ROOT");
    snprintf(full, sizeof full, "%s/%s", root ? root : ".", path);
    FILE *file = fopen(full, "rb");
    if (!file)
        fail_msg("cannot open %s (PLUCK_SOURCE_ROOT is %s)", full, root ? root : "not set");
    char *text = NULL;
    size_t size_bytes = 0, n_read = 0;
    do {
        text = realloc(text, size_bytes + 65536);
        assert_non_null(text);
        n_read = fread(text + size_bytes, 1, 65535, file);
        size_bytes += n_read;
    } while (n_read > 0);
    fclose(file);
    text[size_bytes] = '\0';
    return text;
}

#endif
