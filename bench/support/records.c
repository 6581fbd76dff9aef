/* Written by hand: keys are plain words, and text is escaped as JSON asks. */
#include "support/records.h"

#include "support/clock.h"

#include <pluck/pluck.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct bench_records {
    FILE *file;
    const char *path;
    const char *program;
};

static void write_text(FILE *file, const char *text)
{
    fputc('"', file);
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\')
            fprintf(file, "\\%c", *c);
        else if ((unsigned char)*c < 0x20)
            fprintf(file, "\\u%04x", (unsigned)(unsigned char)*c);
        else
            fputc(*c, file);
    }
    fputc('"', file);
}

static void write_number(FILE *file, double value)
{
    if (isfinite(value))
        fprintf(file, "%.6g", value);
    else
        fputs("null", file);
}

bool bench_records_open(bench_records **records, const char *path, const char *program,
                        bool has_cycles)
{
    *records = NULL;
    if (!path)
        return true;
    bench_records *opened = malloc(sizeof *opened);
    FILE *file = opened ? fopen(path, "w") : NULL;
    if (!file) {
        perror(path);
        free(opened);
        return false;
    }
    *opened = (bench_records){file, path, program};
    *records = opened;
    char cpu[128];
    bench_cpu_name(cpu, sizeof cpu);
    fprintf(file, "{\"program\": \"%s\", \"record\": \"machine\", \"cpu\": ", program);
    write_text(file, cpu);
    fprintf(file, ", \"compiler\": ");
#if defined(__clang__)
    write_text(file, "clang " __clang_version__);
#elif defined(__VERSION__)
    write_text(file, "gcc " __VERSION__);
#else
    write_text(file, "unknown");
#endif
    fprintf(
        file, ", \"pluck\": \"%s\", \"l2_bytes\": %zu, \"l3_bytes\": %zu, \"cycle_counter\": %s}\n",
        pluck_version(), bench_cache_bytes(2), bench_cache_bytes(3), has_cycles ? "true" : "false");
    return true;
}

bool bench_records_close(bench_records **records)
{
    bench_records *open = *records;
    if (!open)
        return true;
    bool had_error = ferror(open->file) != 0;
    bool written = fclose(open->file) == 0 && !had_error;
    if (!written)
        perror(open->path);
    free(open);
    *records = NULL;
    return written;
}

void bench_record_begin(bench_records *records)
{
    if (records)
        fprintf(records->file, "{\"program\": \"%s\"", records->program);
}

void bench_record_text(bench_records *records, const char *key, const char *value)
{
    if (!records)
        return;
    fprintf(records->file, ", \"%s\": ", key);
    write_text(records->file, value);
}

void bench_record_integer(bench_records *records, const char *key, int64_t value)
{
    if (records)
        fprintf(records->file, ", \"%s\": %lld", key, (long long)value);
}

void bench_record_number(bench_records *records, const char *key, double value)
{
    if (!records)
        return;
    fprintf(records->file, ", \"%s\": ", key);
    write_number(records->file, value);
}

void bench_record_measure(bench_records *records, const char *key, bench_spread value)
{
    if (!records)
        return;
    fprintf(records->file, ", \"%s\": {\"median\": ", key);
    write_number(records->file, value.median);
    fputs(", \"p10\": ", records->file);
    write_number(records->file, value.p10);
    fputs(", \"p90\": ", records->file);
    write_number(records->file, value.p90);
    fputc('}', records->file);
}

void bench_record_end(bench_records *records)
{
    if (records)
        fputs("}\n", records->file);
}
