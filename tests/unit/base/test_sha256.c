/*
 * Why: partial files of different runs must never be taken for those of one. So: the digests are
 * those that NIST publishes for FIPS 180-4 (Cryptographic Standards and Guidelines, "Examples with
 * Intermediate Values", SHA256.pdf and SHA2_Additional.pdf), however the text is given.
 */
#include "base/sha256.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct example {
    const char *text; /* repeated */
    size_t n_times;
    const char *digest;
} example;

static const example examples[] = {
    {"abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnop"
     "qrsmnopqrstnopqrstu",
     1, "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
    {"", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"\xbd", 1, "68325720aabd7c82f30f554b313d0570c95accbb7dc4b5aae11204c08ffe732b"},
    {"\xc9\x8c\x8e\x55", 1, "7abc22c0ae5af26ce93dbb94433a0e0b2e119d014f8e7f65bd56c61ccccd9504"},
    {"A", 1000, "c2e686823489ced2017f6059b8b239318b6364f6dcd835d0a519105a1eadd6e4"},
    {"a", 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
};

static void digest_of(const example *e, size_t step, char text[2 * PLK_SHA256_BYTES + 1])
{
    size_t length = strlen(e->text), n = length * e->n_times;
    char *all = malloc(n + 1);
    assert_non_null(all);
    for (size_t i = 0; i < n; i++)
        all[i] = e->text[i % length];
    plk_sha256 hash;
    unsigned char digest[PLK_SHA256_BYTES];
    plk_sha256_start(&hash);
    for (size_t at = 0; at < n; at += step)
        plk_sha256_add(&hash, all + at, n - at < step ? n - at : step);
    plk_sha256_finish(&hash, digest);
    for (size_t i = 0; i < PLK_SHA256_BYTES; i++)
        snprintf(text + 2 * i, 3, "%02x", digest[i]);
    free(all);
}

static void the_published_examples(void **state)
{
    (void)state;
    static const size_t steps[] = {1, 3, 55, 56, 63, 64, 65, 1000, 2000000};
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++)
        for (size_t k = 0; k < sizeof steps / sizeof *steps; k++) {
            char text[2 * PLK_SHA256_BYTES + 1];
            digest_of(&examples[i], steps[k], text);
            assert_string_equal(text, examples[i].digest);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_published_examples)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
