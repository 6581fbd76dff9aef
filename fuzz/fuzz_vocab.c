/*
 * Vocabulary files of any content: JSON, GGUF metadata or lines. The first byte chooses the
 * spelling. Whatever is read, every text must lie inside of the block of texts.
 */
#include "vocab/vocab.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    plk_vocab v;
    if (size == 0)
        return 0;
    if (plk_vocab_open_memory(&v, data[0] & 4 ? "v.json" : "v", data + 1, size - 1,
                              (plk_encoding)(data[0] % 4), NULL, NULL) == PLUCK_OK) {
        unsigned sum = 0;
        for (uint32_t id = 0; id < v.n; id++) {
            size_t length = 0;
            const char *piece = plk_vocab_text(&v, (pluck_token)id, &length);
            for (size_t i = 0; i < length; i++)
                sum += (unsigned char)piece[i];
        }
        if (v.n == 0 || v.n > PLUCK_MAX_VOCAB || sum == UINT32_MAX)
            abort();
    }
    plk_vocab_close(&v);
    return 0;
}
