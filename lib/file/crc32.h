/*
 * CRC-32 of ISO 3309, as ZIP files have it: polynomial 0xEDB88320, bits reflected, inverted before
 * and after.
 */
#ifndef PLK_CRC32_H
#define PLK_CRC32_H

#include <stddef.h>
#include <stdint.h>

/* The checksum of bytes that follow those whose checksum is crc; 0 for none before. */
uint32_t plk_crc32(uint32_t crc, const uint8_t *bytes, size_t size_bytes);

#endif
