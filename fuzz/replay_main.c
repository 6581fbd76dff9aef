/*
 * Runs a fuzz target on the files that are given: for compilers without libFuzzer, and to look at
 * one input in a debugger.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = NULL;
    size_t size = 0, n = 0;
    if (!file) {
        perror(path);
        return 1;
    }
    do {
        enum { STEP = 1 << 16 };
        uint8_t *grown = realloc(data, size + STEP);
        if (!grown) {
            fprintf(stderr, "%s: out of memory\n", path);
            break;
        }
        data = grown;
        n = fread(data + size, 1, STEP, file);
        size += n;
    } while (n > 0);
    int failed = ferror(file) != 0 || !feof(file);
    fclose(file);
    if (failed == 0)
        LLVMFuzzerTestOneInput(data, size);
    free(data);
    return failed;
}

int main(int argc, char **argv)
{
    int failed = 0;
    for (int i = 1; i < argc; i++)
        failed |= replay(argv[i]);
    printf("%d inputs\n", argc - 1);
    return failed;
}
