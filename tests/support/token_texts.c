/*
 * A text is a piece of one string of few different bytes, 0 and bytes above 127 among them.
 */
#include "support/token_texts.h"

#include <stdint.h>

enum { N_PLACES = 40, MAX_LENGTH = 7 };

static const char pool[N_PLACES + MAX_LENGTH + 1] = "aabab\0aab\xFF"
                                                    "abbaba\0\0abaabba\xFF\xFF"
                                                    "ababbabaabbaababa\0ab";

const char *test_token_text(void *user, pluck_token token, size_t *size_bytes)
{
    (void)user;
    uint32_t hash = ((uint32_t)token + 1) * 2654435761u;
    hash ^= hash >> 15;
    *size_bytes = (hash >> 20) % (MAX_LENGTH + 1);
    return *size_bytes == 0 && hash % 2 ? NULL : pool + hash % N_PLACES;
}
