/*
 * Results as JSON, one object a line, for bench/compare and the tables of docs/performance.md.
 *
 * A record's text and whole numbers say what was measured and identify it; its measures are objects
 * {"median": m, "p10": a, "p90": b}, of which the smaller is the better.
 */
#ifndef BENCH_RECORDS_H
#define BENCH_RECORDS_H

#include "support/interleave.h"

#include <stdint.h>

typedef struct bench_records bench_records;

/* path NULL: everything below does nothing. Else truncates the file and writes a first record that
 * describes the machine. On failure says why on standard error and returns false. */
bool bench_records_open(bench_records **records, const char *path, const char *program,
                        bool has_cycles);

/* False, with a message on standard error, if something could not be written. */
bool bench_records_close(bench_records **records);

void bench_record_begin(bench_records *records);
void bench_record_text(bench_records *records, const char *key, const char *value);
void bench_record_integer(bench_records *records, const char *key, int64_t value);
void bench_record_number(bench_records *records, const char *key, double value);
void bench_record_measure(bench_records *records, const char *key, bench_spread value);
void bench_record_end(bench_records *records);

#endif
