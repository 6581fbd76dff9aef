/*
 * Prints a dump for the tests of dumps in Python: a line of facts, then a line a row with the bits
 * of each value in hexadecimal, and one with the target if the dump has targets.
 *
 *     dump_rows PATH [TENSOR [RAW_DTYPE RAW_N_VOCAB]]
 *     dump_rows --many
 *
 * --many reads such arguments from standard input, a line each, separated by tabs. The first is
 * what becomes the standard input for this line. After each it prints "= STATUS MESSAGE".
 */
#include <pluck/dump.h>

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void print_row(const pluck_logits *logits)
{
    size_t size = pluck_dtype_size_bytes(logits->dtype);
    for (size_t i = 0; i < logits->n_vocab; i++) {
        uint32_t bits = 0;
        uint16_t half = 0;
        memcpy(size == 2 ? (void *)&half : (void *)&bits, (const char *)logits->data + i * size,
               size);
        printf("%s%0*" PRIx32, i ? " " : "", (int)(2 * size), size == 2 ? half : bits);
    }
    printf("\n");
}

static pluck_status print_dump(pluck_dump *dump, pluck_error *err)
{
    pluck_dump_info info = PLUCK_INIT(pluck_dump_info);
    if (pluck_dump_get_info(dump, &info, err) != PLUCK_OK)
        return err->status;
    printf("%s %s %s %" PRIu32 " %s\n", pluck_dump_format_name(info.format), info.stored_dtype,
           pluck_dtype_name(info.dtype), info.n_vocab, info.tensor ? info.tensor : "-");
    float *scratch = malloc(info.n_vocab * sizeof *scratch);
    pluck_status status = scratch ? PLUCK_OK : PLUCK_ERR_NOMEM;
    for (uint64_t row = 0; status == PLUCK_OK && row < info.n_rows; row++) {
        pluck_dump_row read = PLUCK_INIT(pluck_dump_row);
        status = pluck_dump_read(dump, row, scratch, &read, err);
        if (status || !read.logits.data)
            break;
        print_row(&read.logits);
        if (info.has_targets)
            printf("target %d\n", (int)read.target);
    }
    free(scratch);
    return status;
}

static pluck_status print_file(int argc, char **argv, pluck_error *err)
{
    pluck_dump_options options = PLUCK_INIT(pluck_dump_options);
    pluck_dump *dump = NULL;
    if (argc > 1 && argv[1][0])
        options.tensor = argv[1];
    if (argc > 3) {
        while (pluck_dtype_name(options.raw_dtype) &&
               strcmp(pluck_dtype_name(options.raw_dtype), argv[2]) != 0)
            options.raw_dtype++;
        options.raw_n_vocab = (uint32_t)strtoul(argv[3], NULL, 10);
    }
    pluck_status status = pluck_dump_open(&dump, argv[0], &options, err);
    if (status == PLUCK_OK)
        status = print_dump(dump, err);
    pluck_dump_destroy(&dump);
    return status;
}

static int print_many(void)
{
    FILE *requests = fdopen(dup(STDIN_FILENO), "r");
    static char line[8192];
    while (requests && fgets(line, sizeof line, requests)) {
        char *arguments[8] = {NULL}, *next = line;
        int n = 0;
        line[strcspn(line, "\n")] = '\0';
        while (next && n < 8) {
            arguments[n++] = next;
            next = strchr(next, '\t');
            if (next)
                *next++ = '\0';
        }
        int fd = open(arguments[0], O_RDONLY);
        if (n < 2 || fd < 0 || dup2(fd, STDIN_FILENO) < 0)
            return 2;
        close(fd);
        pluck_error err = {.status = PLUCK_OK};
        pluck_status status = print_file(n - 1, arguments + 1, &err);
        printf("= %d %s\n", status ? 1 : 0, status ? err.message : "");
        fflush(stdout);
    }
    return requests && fclose(requests) == 0 ? 0 : 2;
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    if (strcmp(argv[1], "--many") == 0)
        return print_many();
    pluck_error err = {.status = PLUCK_OK};
    pluck_status status = print_file(argc - 1, argv + 1, &err);
    if (status)
        fprintf(stderr, "%s\n", err.message);
    return status ? 1 : 0;
}
