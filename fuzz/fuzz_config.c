/*
 * Any bytes are a configuration or are refused with a message; a configuration that was read is
 * written and read back unchanged. Input that starts with '=' is a key, a line break and a value
 * for pluck_config_set_json; input that starts with '@' and a digit is a configuration of another
 * engine; all other input is a whole text.
 */
#include "fuzz_file.h"

#include <pluck/config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

static char *written(const pluck_config *config, size_t *size_bytes)
{
    size_t needed = 0;
    (void)pluck_config_to_json(config, NULL, 0, &needed, NULL);
    char *text = malloc(needed);
    fuzz_require(text != NULL, "memory");
    fuzz_require(pluck_config_to_json(config, text, needed, size_bytes, NULL) == PLUCK_OK &&
                     *size_bytes == needed && strlen(text) + 1 == needed,
                 "the size that is told first is the size that is written");
    return text;
}

static void check_config(const pluck_config *config)
{
    pluck_config *again = NULL, *clone = NULL;
    pluck_error err = {PLUCK_OK, ""};
    size_t n = 0, n_again = 0;
    char *text = written(config, &n);
    if (pluck_config_from_json(&again, text, n - 1, NULL, &err) != PLUCK_OK)
        fprintf(stderr, "%s\n%s\n", text, err.message);
    fuzz_require(again != NULL, "what is written can be read");
    fuzz_require(pluck_config_equal(config, again), "it reads back as an equal configuration");
    char *text_again = written(again, &n_again);
    fuzz_require(n == n_again && memcmp(text, text_again, n) == 0,
                 "writing again gives the same text");
    fuzz_require(pluck_config_clone(&clone, config, NULL) == PLUCK_OK &&
                     pluck_config_equal(clone, config),
                 "a clone is equal");
    pluck_config_info info = PLUCK_INIT(pluck_config_info);
    pluck_config_stage stage = PLUCK_INIT(pluck_config_stage);
    fuzz_require(pluck_config_get_info(config, &info, &err) == PLUCK_OK, "it says what it is");
    for (size_t i = 0; i < info.n_stages; i++)
        fuzz_require(pluck_config_get_stage(config, i, &stage, &err) == PLUCK_OK,
                     "its stages are there");
    pluck_config_destroy(&again);
    pluck_config_destroy(&clone);
    free(text);
    free(text_again);
}

static void check_failure(pluck_status status, const pluck_error *err)
{
    fuzz_require(status == PLUCK_ERR_CONFIG && err->status == status,
                 "a refusal is PLUCK_ERR_CONFIG");
    fuzz_require(err->message[0] != '\0' && !strpbrk(err->message, "\n\r"),
                 "a message is one line");
}

/* key, '\n', value */
static void fuzz_set(const char *base, const uint8_t *data, size_t size_bytes)
{
    pluck_config *config = NULL;
    pluck_error err = {PLUCK_OK, ""};
    char *key = malloc(size_bytes + 1);
    fuzz_require(key && pluck_config_from_json(&config, base, strlen(base), NULL, NULL) == PLUCK_OK,
                 "memory");
    memcpy(key, data, size_bytes);
    key[size_bytes] = '\0';
    char *value = strchr(key, '\n');
    if (value) {
        *value++ = '\0';
        pluck_status status = pluck_config_set_json(config, key, value, &err);
        if (status != PLUCK_OK)
            check_failure(status, &err);
        check_config(config);
    }
    pluck_config_destroy(&config);
    free(key);
}

static void count_key(void *user, const char *key, pluck_import_fate fate, const char *note)
{
    ++*(size_t *)user;
    fuzz_require(key && note && pluck_import_fate_name(fate),
                 "a report has a key, a fate and a note");
}

static void fuzz_import(char digit, const char *json, size_t size_bytes)
{
    pluck_config *config = NULL;
    pluck_error err = {PLUCK_OK, ""};
    pluck_import_format kind = (pluck_import_format)((unsigned)(digit - '0') % 8);
    size_t n_told = 0;
    if (digit == '?')
        (void)pluck_import_guess(json, size_bytes, &kind, NULL);
    pluck_status status =
        pluck_config_import(&config, kind, json, size_bytes, count_key, &n_told, NULL, &err);
    if (status == PLUCK_OK)
        check_config(config);
    else
        check_failure(status, &err);
    pluck_config_destroy(&config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    pluck_config *config = NULL;
    pluck_error err = {PLUCK_OK, ""};
    if (size_bytes > 0 && data[0] == '=') {
        fuzz_set("{\"top_p\": 0.5, \"order\": [\"temperature\", \"top_p\", \"top_k\"]}", data + 1,
                 size_bytes - 1);
        fuzz_set("{\"stages\": [{\"type\": \"top_p\"}, {\"type\": \"logit_bias\"}]}", data + 1,
                 size_bytes - 1);
        return 0;
    }
    if (size_bytes > 1 && data[0] == '@') {
        fuzz_import((char)data[1], (const char *)data + 2, size_bytes - 2);
        return 0;
    }
    pluck_status status =
        pluck_config_from_json(&config, (const char *)data, size_bytes, NULL, &err);
    if (status == PLUCK_OK)
        check_config(config);
    else
        check_failure(status, &err);
    pluck_config_destroy(&config);
    return 0;
}
