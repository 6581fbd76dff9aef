/*
 * Little-endian bytes, whatever the machine: written to memory that may be too small, read from
 * memory that may hold anything.
 */
#ifndef PLK_BYTES_H
#define PLK_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Counts and hashes everything, stores what fits: with capacity_bytes 0 it measures. */
typedef struct plk_byte_writer {
    unsigned char *bytes;
    size_t capacity_bytes;
    size_t n_bytes; /* given so far */
    uint64_t hash;  /* FNV-1a, 64 bits, of them */
} plk_byte_writer;

plk_byte_writer plk_byte_writer_make(void *bytes, size_t capacity_bytes);
void plk_put_bytes(plk_byte_writer *writer, const void *bytes, size_t n_bytes);
/* n_bytes that are already where the next ones belong, if they fit. */
void plk_put_made(plk_byte_writer *writer, size_t n_bytes);
void plk_put_u32(plk_byte_writer *writer, uint32_t value);
void plk_put_u64(plk_byte_writer *writer, uint64_t value);
void plk_put_f64(plk_byte_writer *writer, double value);

/* Reading beyond the end gives zeros and makes it short. */
typedef struct plk_byte_reader {
    const unsigned char *bytes;
    size_t n_bytes; /* left */
    bool is_short;
} plk_byte_reader;

uint32_t plk_take_u32(plk_byte_reader *reader);
uint64_t plk_take_u64(plk_byte_reader *reader);
double plk_take_f64(plk_byte_reader *reader);

/* A reader of the next n_bytes, which this one passes over. */
plk_byte_reader plk_take_part(plk_byte_reader *reader, size_t n_bytes);

/* Whether exactly everything was read. */
bool plk_is_read_up(const plk_byte_reader *reader);

/* FNV-1a, 64 bits (Fowler, Noll, Vo), of n_bytes. */
uint64_t plk_fnv1a(const void *bytes, size_t n_bytes);

#endif
