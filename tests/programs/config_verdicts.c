/*
 * For test_config_schema.py: reads one configuration a line from standard input and writes "ok" or
 * the message for each.
 */
#include <pluck/config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_BYTES = 1 << 16 };

int main(void)
{
    char *line = malloc(LINE_BYTES);
    if (!line)
        return 4;
    while (fgets(line, LINE_BYTES, stdin)) {
        pluck_config *config = NULL;
        pluck_error err = {PLUCK_OK, "ok"};
        size_t size_bytes = strcspn(line, "\n");
        if (pluck_config_from_json(&config, line, size_bytes, NULL, &err) == PLUCK_OK)
            puts("ok");
        else
            puts(err.message);
        pluck_config_destroy(&config);
    }
    free(line);
    return 0;
}
