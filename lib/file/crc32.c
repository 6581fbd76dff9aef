/*
 * zlib's where there is zlib; else four bits at a time by a table of 16 remainders, which
 * is slower, but the table can be checked by eye: entry i is i divided by the polynomial.
 */
#include "file/crc32.h"

#ifdef PLK_HAVE_ZLIB

#    include <zlib.h>

uint32_t plk_crc32(uint32_t crc, const uint8_t *bytes, size_t size_bytes)
{
    return (uint32_t)crc32_z(crc, bytes, size_bytes);
}

#else

uint32_t plk_crc32(uint32_t crc, const uint8_t *bytes, size_t size_bytes)
{
    static const uint32_t remainders[16] = {0x00000000, 0x1DB71064, 0x3B6E20C8, 0x26D930AC,
                                            0x76DC4190, 0x6B6B51F4, 0x4DB26158, 0x5005713C,
                                            0xEDB88320, 0xF00F9344, 0xD6D6A3E8, 0xCB61B38C,
                                            0x9B64C2B0, 0x86D3D2D4, 0xA00AE278, 0xBDBDF21C};
    crc = ~crc;
    for (size_t i = 0; i < size_bytes; i++) {
        crc ^= bytes[i];
        crc = (crc >> 4) ^ remainders[crc & 15];
        crc = (crc >> 4) ^ remainders[crc & 15];
    }
    return ~crc;
}

#endif
