/*
 * Buffers that end exactly where the memory ends: one access beyond either edge kills the program
 * at the instruction that made it, in intrinsics and assembly too.
 */
#ifndef GUARD_BUFFER_H
#define GUARD_BUFFER_H

#include <stddef.h>

typedef struct guard_buffer {
    unsigned char *begin; /* first usable byte; its page follows an inaccessible one */
    unsigned char *end;   /* one past the last usable byte; an inaccessible page starts here */
    size_t mapped_bytes;
} guard_buffer;

/* At least size_bytes of zeroes between two guard pages. Ends the program if memory is short. */
guard_buffer guard_buffer_create(size_t size_bytes);
void guard_buffer_destroy(guard_buffer *buffer);

/* The last size_bytes bytes of the buffer: reading or writing one more faults. */
void *guard_buffer_tail(const guard_buffer *buffer, size_t size_bytes);

#endif
