/*
 * Writes the JSON Schema of configurations: write_schema pluck.schema.json. scripts/generate-schema
 * refreshes the copy in configs/ with it; a test compares that copy with the stage tables.
 */
#include <pluck/config.h>

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    size_t size_bytes = 0;
    pluck_error err = {PLUCK_OK, ""};
    if (argc != 2) {
        fprintf(stderr, "usage: write_schema FILE\n");
        return 2;
    }
    (void)pluck_config_schema(NULL, 0, &size_bytes, NULL);
    char *text = malloc(size_bytes);
    if (!text || pluck_config_schema(text, size_bytes, &size_bytes, &err) != PLUCK_OK) {
        fprintf(stderr, "write_schema: %s\n", text ? err.message : "out of memory");
        free(text);
        return 4;
    }
    FILE *file = fopen(argv[1], "wb");
    bool written = file && fputs(text, file) >= 0;
    free(text);
    if ((file && fclose(file) != 0) || !written) {
        perror(argv[1]);
        return 4;
    }
    return 0;
}
