/*
 * Build tool: writes the C source of the presets table. embed OUT.c FILE.json...
 * Bytes are written as numbers, because a string literal has a length limit in C11.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int embed(FILE *out, const char *path, int index)
{
    FILE *const in = fopen(path, "rb");
    if (in == NULL) {
        perror(path);
        return 1;
    }
    fprintf(out, "static const char preset_%d[] = {", index);
    int n = 0;
    for (int c; (c = getc(in)) != EOF; n++)
        fprintf(out, "%s%d,", n % 16 == 0 ? "\n    " : " ", c < 128 ? c : c - 256);
    fprintf(out, "\n    0};\n\n");
    fclose(in);
    return 0;
}

static void entry(FILE *out, const char *path, int index)
{
    const char *const slash = strrchr(path, '/');
    const char *const base = slash == NULL ? path : slash + 1;
    fprintf(out, "    {\"%.*s\", preset_%d, sizeof preset_%d - 1},\n", (int)strcspn(base, "."),
            base, index, index);
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    FILE *const out = fopen(argv[1], "w");
    if (out == NULL) {
        perror(argv[1]);
        return 1;
    }
    fprintf(out,
            "/* Generated from configs/ by cli/embed_presets.c. */\n#include \"presets.h\"\n\n");
    int code = 0;
    for (int i = 2; i < argc; i++)
        code |= embed(out, argv[i], i);
    fprintf(out, "const preset presets[] = {\n");
    for (int i = 2; i < argc; i++)
        entry(out, argv[i], i);
    fprintf(out, "    {NULL, NULL, 0}};\n");
    return fclose(out) != 0 || code != 0;
}
