/*
 * The golden program: whether this machine gives the tokens and the bits that every machine gives.
 * It takes the library and the C library alone, so that it runs on every target, in emulators too.
 *
 *   golden [FOLDER]             compares; FOLDER is tests/ (default: tests)
 *   golden --print COLUMN       what this machine gives: tokens, many, kernels, dumps or saved
 *   golden --save FOLDER        writes the files of FOLDER/data/saved
 *
 * PLUCK_ISA limits a run to one instruction set.
 *
 * The table has a line for each instruction set, and says for each column how many results were
 * compared and, in parentheses, how many lines of them differ. The last line is for programs:
 * "golden: sets=SET,... golden=RESULTS/DIFFERENT ...", where a column that is not built is "-".
 * Exit status 0 if no line differs.
 */
#include "golden/golden.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef void group_function(golden_text *out, pluck_isa isa, const char *folder);

static void tokens(golden_text *out, pluck_isa isa, const char *folder)
{
    (void)folder;
    golden_tokens(out, isa);
}

/* Groups of one column stand next to each other. */
static const struct {
    const char *column, *name, *file;
    group_function *run;
} groups[] = {
    {"golden", "tokens", "golden/tokens.txt", tokens},
    {"golden", "many", "golden/many.txt", golden_many},
#ifndef GOLDEN_WITHOUT_KERNELS
    {"kernels", "kernels", "golden/kernels.txt", golden_kernels},
#else
    {"kernels", NULL, NULL, NULL},
#endif
    {"dumps", "dumps", "golden/dumps.txt", golden_dumps},
    {"states", "saved", "golden/saved.txt", golden_saved},
};
enum { N_GROUPS = sizeof groups / sizeof *groups, MAX_COLUMNS = 8, MAX_ISA = 32 };

typedef struct column {
    const char *name;
    bool is_built;
    size_t n_results, n_different;
} column;

/* The columns of one run; returns how many there are. */
static size_t run(pluck_isa isa, const char *folder, column *columns, golden_text *remarks)
{
    size_t n_columns = 0;
    for (size_t i = 0; i < N_GROUPS; i++) {
        if (n_columns == 0 || strcmp(columns[n_columns - 1].name, groups[i].column) != 0)
            columns[n_columns++] = (column){.name = groups[i].column};
        if (!groups[i].run)
            continue;
        column *c = columns + n_columns - 1;
        char path[256];
        golden_text got = {.chars = NULL}, first = {.chars = NULL};
        size_t n_skipped = 0;
        snprintf(path, sizeof path, "%s/%s", folder, groups[i].file);
        golden_text expected = golden_read(path);
        groups[i].run(&got, isa, folder);
        size_t n_different = golden_compare(&got, &expected, &first, &n_skipped);
        if (n_skipped > 0)
            golden_add(remarks, "%s, %s: %zu lines of what is not built or refused\n",
                       pluck_isa_name(isa), groups[i].name, n_skipped);
        if (n_different > 0)
            golden_add(remarks, "%s, %s: %s\n", pluck_isa_name(isa), groups[i].name, first.chars);
        c->is_built = true;
        c->n_results += got.n_results;
        c->n_different += n_different;
        free(got.chars);
        free(first.chars);
        free(expected.chars);
    }
    return n_columns;
}

static void print_row(const char *name, const column *columns, size_t n)
{
    printf("%-8s", name);
    for (size_t i = 0; i < n; i++) {
        char cell[64] = "-";
        if (columns[i].is_built)
            snprintf(cell, sizeof cell, "%zu (%zu)", columns[i].n_results, columns[i].n_different);
        printf(" %14s", cell);
    }
    putchar('\n');
}

/* Whether a run takes the set: one that the machine has, and the one of PLUCK_ISA if that is set. */
static bool is_wanted(pluck_isa isa)
{
    const char *only = getenv("PLUCK_ISA");
    return isa != PLUCK_ISA_BEST && pluck_isa_supported(isa) &&
           (!only || !*only || strcmp(only, pluck_isa_name(isa)) == 0);
}

static int compare(const char *folder)
{
    enum { EXIT_SKIPPED = 77 };
    column total[MAX_COLUMNS] = {{.name = NULL}};
    size_t n_columns = 0, n_different = 0, n_sets = 0;
    char sets[256] = "";
    golden_text remarks = {.chars = NULL};
    for (int i = 0; i < MAX_ISA; i++) {
        pluck_isa isa = (pluck_isa)i;
        if (!is_wanted(isa))
            continue;
        column columns[MAX_COLUMNS];
        n_columns = run(isa, folder, columns, &remarks);
        if (n_sets++ == 0)
            printf("%-8s %14s %14s %14s %14s\n", "set", columns[0].name, columns[1].name,
                   columns[2].name, columns[3].name);
        print_row(pluck_isa_name(isa), columns, n_columns);
        fflush(stdout);
        size_t n = strlen(sets);
        snprintf(sets + n, sizeof sets - n, "%s%s", n > 0 ? "," : "", pluck_isa_name(isa));
        for (size_t c = 0; c < n_columns; c++) {
            n_different += columns[c].n_different;
            columns[c].n_results += total[c].n_results;
            columns[c].n_different += total[c].n_different;
            total[c] = columns[c];
        }
    }
    if (n_sets == 0) {
        puts("this machine has no instruction set of the name in PLUCK_ISA");
        return EXIT_SKIPPED;
    }
    if (remarks.n > 0)
        printf("\n%s\n", remarks.chars);
    printf("golden: sets=%s", sets);
    for (size_t c = 0; c < n_columns; c++) {
        if (total[c].is_built)
            printf(" %s=%zu/%zu", total[c].name, total[c].n_results, total[c].n_different);
        else
            printf(" %s=-", total[c].name);
    }
    putchar('\n');
    free(remarks.chars);
    return n_different > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int print(const char *name, const char *folder)
{
    for (size_t i = 0; i < N_GROUPS; i++) {
        if (!groups[i].run || strcmp(groups[i].name, name) != 0)
            continue;
        golden_text out = {.chars = NULL};
        groups[i].run(&out, PLUCK_ISA_BEST, folder);
        fwrite(out.chars, 1, out.n, stdout);
        free(out.chars);
        return EXIT_SUCCESS;
    }
    fprintf(stderr, "golden: unknown column '%s'\n", name);
    return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    if (argc > 2 && strcmp(argv[1], "--print") == 0)
        return print(argv[2], argc > 3 ? argv[3] : "tests");
    if (argc > 2 && strcmp(argv[1], "--save") == 0) {
        golden_save(argv[2]);
        return EXIT_SUCCESS;
    }
    return compare(argc > 1 ? argv[1] : "tests");
}
