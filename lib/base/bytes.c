/*
 * Numbers are taken apart by shifts, so that neither byte order nor alignment matters; doubles go
 * by their IEEE bits.
 */
#include "base/bytes.h"

#include <string.h>

static const uint64_t fnv_start = 0xCBF29CE484222325u, fnv_prime = 0x100000001B3u;

static uint64_t hash_more(uint64_t hash, const unsigned char *bytes, size_t n_bytes)
{
    for (size_t i = 0; i < n_bytes; i++)
        hash = (hash ^ bytes[i]) * fnv_prime;
    return hash;
}

uint64_t plk_fnv1a(const void *bytes, size_t n_bytes)
{
    return hash_more(fnv_start, bytes, n_bytes);
}

plk_byte_writer plk_byte_writer_make(void *bytes, size_t capacity_bytes)
{
    return (plk_byte_writer){bytes, capacity_bytes, 0, fnv_start};
}

void plk_put_bytes(plk_byte_writer *writer, const void *bytes, size_t n_bytes)
{
    if (n_bytes == 0)
        return;
    if (writer->n_bytes <= writer->capacity_bytes &&
        n_bytes <= writer->capacity_bytes - writer->n_bytes)
        memcpy(writer->bytes + writer->n_bytes, bytes, n_bytes);
    writer->n_bytes += n_bytes;
    writer->hash = hash_more(writer->hash, bytes, n_bytes);
}

void plk_put_made(plk_byte_writer *writer, size_t n_bytes)
{
    if (writer->n_bytes <= writer->capacity_bytes &&
        n_bytes <= writer->capacity_bytes - writer->n_bytes)
        writer->hash = hash_more(writer->hash, writer->bytes + writer->n_bytes, n_bytes);
    writer->n_bytes += n_bytes;
}

static void put_number(plk_byte_writer *writer, uint64_t value, size_t n_bytes)
{
    unsigned char bytes[8];
    for (size_t i = 0; i < n_bytes; i++)
        bytes[i] = (unsigned char)(value >> 8 * i);
    plk_put_bytes(writer, bytes, n_bytes);
}

void plk_put_u32(plk_byte_writer *writer, uint32_t value)
{
    put_number(writer, value, 4);
}

void plk_put_u64(plk_byte_writer *writer, uint64_t value)
{
    put_number(writer, value, 8);
}

void plk_put_f64(plk_byte_writer *writer, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_number(writer, bits, 8);
}

plk_byte_reader plk_take_part(plk_byte_reader *reader, size_t n_bytes)
{
    plk_byte_reader part = {reader->bytes, n_bytes, false};
    if (n_bytes > reader->n_bytes) {
        reader->is_short = true;
        reader->n_bytes = 0;
        return (plk_byte_reader){reader->bytes, 0, true};
    }
    if (n_bytes > 0)
        reader->bytes += n_bytes;
    reader->n_bytes -= n_bytes;
    return part;
}

static uint64_t take_number(plk_byte_reader *reader, size_t n_bytes)
{
    plk_byte_reader part = plk_take_part(reader, n_bytes);
    uint64_t value = 0;
    for (size_t i = 0; i < part.n_bytes; i++)
        value |= (uint64_t)part.bytes[i] << 8 * i;
    return value;
}

uint32_t plk_take_u32(plk_byte_reader *reader)
{
    return (uint32_t)take_number(reader, 4);
}

uint64_t plk_take_u64(plk_byte_reader *reader)
{
    return take_number(reader, 8);
}

double plk_take_f64(plk_byte_reader *reader)
{
    uint64_t bits = take_number(reader, 8);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

bool plk_is_read_up(const plk_byte_reader *reader)
{
    return !reader->is_short && reader->n_bytes == 0;
}
