/*
 * Little-endian bytes, whatever the machine: written to memory that may be too small, read from
 * memory that may hold anything.
 */
#ifndef PL_BYTES_H
#define PL_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Counts and hashes everything, stores what fits: with capacity_bytes 0 it measures. */
typedef struct pl_byte_writer {
    unsigned char *bytes;
    size_t capacity_bytes;
    size_t n_bytes; /* given so far */
    uint64_t hash;  /* FNV-1a, 64 bits, of them */
} pl_byte_writer;

pl_byte_writer pl_byte_writer_make(void *bytes, size_t capacity_bytes);
void pl_put_bytes(pl_byte_writer *writer, const void *bytes, size_t n_bytes);
/* n_bytes that are already where the next ones belong, if they fit. */
void pl_put_made(pl_byte_writer *writer, size_t n_bytes);
void pl_put_u32(pl_byte_writer *writer, uint32_t value);
void pl_put_u64(pl_byte_writer *writer, uint64_t value);
void pl_put_f64(pl_byte_writer *writer, double value);

/* Reading beyond the end gives zeros and makes it short. */
typedef struct pl_byte_reader {
    const unsigned char *bytes;
    size_t n_bytes; /* left */
    bool is_short;
} pl_byte_reader;

uint32_t pl_take_u32(pl_byte_reader *reader);
uint64_t pl_take_u64(pl_byte_reader *reader);
double pl_take_f64(pl_byte_reader *reader);

/* A reader of the next n_bytes, which this one passes over. */
pl_byte_reader pl_take_part(pl_byte_reader *reader, size_t n_bytes);

/* Whether exactly everything was read. */
bool pl_is_read_up(const pl_byte_reader *reader);

/* FNV-1a, 64 bits (Fowler, Noll, Vo), of n_bytes. */
uint64_t pl_fnv1a(const void *bytes, size_t n_bytes);

#endif
