/*
 * Vocabulary files of any content: JSON, GGUF metadata or lines. The first byte chooses the
 * spelling. Whatever is read, every text must lie inside of the block of texts.
 *
 *     fuzz_vocab -close_fd_mask=2 CORPUS      refusals are told on standard error
 */
#include "vocab.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    arguments args = {.who = "fuzz", .vocab = "vocab", .vocab_encoding = data[0] % 4};
    size_t n = size - 1;
    char *text = malloc(n + 1);
    vocab v;
    memset(&v, 0, sizeof v);
    if (!text)
        return 0;
    memcpy(text, data + 1, n);
    text[n] = '\0';
    if (vocab_parse(&v, &args, data[0] & 4 ? "v.json" : "v", &text, n) == EXIT_DONE) {
        unsigned sum = 0;
        for (uint32_t id = 0; id < v.n; id++) {
            size_t length = 0;
            const char *piece = vocab_text(&v, (pluck_token)id, &length);
            for (size_t i = 0; i < length; i++)
                sum += (unsigned char)piece[i];
        }
        if (v.n == 0 || v.n > PLUCK_MAX_VOCAB || sum == UINT32_MAX)
            abort();
    }
    vocab_free(&v);
    free(text);
    return 0;
}
