/*
 * A program that has another cJSON (other_cjson.c) in front of the one that libpluck was built
 * with. Every call that reads JSON must say so, before it gives that cJSON a text; if the other one
 * has the same layout, it must be used. A library with a private cJSON must work, and leave the
 * program's alone.
 *
 *     test_other_cjson refused|accepted|unused
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <pluck/config.h>
#include <pluck/dump.h>
#include <pluck/head.h>
#include <pluck/sampler.h>
#include <pluck/weighted.h>

/* The program uses the other cJSON too: a shared library that nobody uses is not even loaded. */
const char *cJSON_Version(void);

/* How many nodes it has made. */
unsigned other_cjson_nodes(void);

enum { N_TRIED = 4 }; /* nodes that show the layout */

static bool is_refused, is_unused;
static int n_failed;
static unsigned n_before;

static void check(const char *call, pluck_status status, const pluck_error *err)
{
    unsigned n_made = other_cjson_nodes() - n_before;
    n_before += n_made;
    if (is_refused ? status == PLUCK_ERR_INVALID && n_made <= N_TRIED &&
                         strstr(err->message, "cJSON: the program was linked with a cJSON of ")
                   : status != PLUCK_ERR_INVALID && (is_unused ? n_made == 0 : n_made > N_TRIED))
        return;
    printf("%s: status %d, \"%s\", %u nodes made\n", call, (int)status,
           status != PLUCK_OK ? err->message : "", n_made);
    n_failed++;
}

static void check_files(void)
{
    static const char header[] = "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}";
    const unsigned char length[8] = {sizeof header - 1};
    char path[] = "/tmp/pluck_other_cjson_XXXXXX";
    pluck_error err = {0};
    pluck_dump *dump = NULL;
    pluck_head *head = NULL;
    pluck_weighted *weighted = NULL;
    int fd = mkstemp(path);
    if (fd < 0 || write(fd, length, 8) != 8 ||
        write(fd, header, sizeof header - 1) != (ssize_t)(sizeof header - 1) ||
        write(fd, "\0\0\0", 4) != 4) {
        puts("the file cannot be written");
        n_failed++;
        return;
    }
    close(fd);
    check("pluck_dump_open", pluck_dump_open(&dump, path, NULL, &err), &err);
    check("pluck_head_open", pluck_head_open(&head, path, NULL, &err), &err);
    check("pluck_weighted_open", pluck_weighted_open(&weighted, path, NULL, &err), &err);
    pluck_dump_destroy(&dump);
    (void)unlink(path);
}

int main(int argc, char **argv)
{
    static const char text[] = "{\"temperature\": 0.5}";
    size_t n = sizeof text - 1;
    pluck_error err = {0};
    pluck_config *config = NULL;
    pluck_sampler *sampler = NULL;
    pluck_import_format kind = PLUCK_IMPORT_OPENAI;
    if (argc != 2)
        return 2;
    is_refused = strcmp(argv[1], "refused") == 0;
    is_unused = strcmp(argv[1], "unused") == 0;
    printf("the other cJSON has version %s\n", cJSON_Version());
    check("pluck_config_from_json", pluck_config_from_json(&config, text, n, NULL, &err), &err);
    pluck_config_destroy(&config);
    check("pluck_config_import",
          pluck_config_import(&config, kind, text, n, NULL, NULL, NULL, &err), &err);
    check("pluck_import_guess", pluck_import_guess(text, n, &kind, &err), &err);
    check("pluck_sampler_from_json", pluck_sampler_from_json(&sampler, text, n, 9, &err), &err);
    pluck_sampler_destroy(&sampler);
    pluck_config_destroy(&config);
    if (pluck_config_create(&config, NULL, &err) != PLUCK_OK)
        return 1;
    check("pluck_config_set_json", pluck_config_set_json(config, "temperature", "0.5", &err), &err);
    pluck_config_destroy(&config);
    check_files();
    return n_failed > 0;
}
