/*
 * The texts of tokens for callers in C: what tests/cli/test_cli_vocab.py cannot reach through the
 * command, which is memory. Every allocation of every reader fails once: the answer is
 * PLUCK_ERR_NOMEM, nothing is left behind, and the caller's allocator has served all of it.
 */
#include "support/allocator.h"

#include "vocab/vocab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BYTES(text) text, sizeof(text) - 1

static const struct {
    const char *name, *bytes;
    size_t n;
    const char *expected; /* the text of token 1 */
} files[] = {
    {"lines", BYTES("a\n\\x41\\n\nc\n"), "A\n"},
    {"list.json", BYTES("[\"a\", \"b\\u00e9\"]"), "b\xc3\xa9"},
    {"map.json", BYTES("{\"\xc4\xa0the\": 1, \"x\": 0}"), " the"},
    {"words.json", BYTES("[\"[UNK]\", \"the\", \"##s\"]"), " the"},
    {"ranks", BYTES("IQ== 0\nIHRoZQ== 1\n"), " the"},
    {"pieces",
     BYTES("\n\x08\n\x01"
           "a\x15"
           "abcd"
           "\n\x0b\n\x04\xe2\x96\x81"
           "b\x15"
           "abcd"),
     " b"},
    {"gguf",
     BYTES("GGUF\3\0\0\0"
           "\0\0\0\0\0\0\0\0"
           "\1\0\0\0\0\0\0\0"
           "\x15\0\0\0\0\0\0\0"
           "tokenizer.ggml.tokens"
           "\x09\0\0\0"
           "\x08\0\0\0"
           "\2\0\0\0\0\0\0\0"
           "\1\0\0\0\0\0\0\0"
           "a"
           "\3\0\0\0\0\0\0\0"
           "b c"),
     "b c"},
};

static void every_format_gives_its_texts_or_runs_out_of_memory(void **state)
{
    (void)state;
    for (size_t f = 0; f < sizeof files / sizeof *files; f++) {
        bool is_done = false;
        for (uint64_t fail_at = 0; !is_done; fail_at++) {
            test_allocator allocator;
            pluck_error err = {0};
            plk_vocab v;
            test_allocator_init(&allocator);
            allocator.fail_at = fail_at;
            pluck_status status =
                plk_vocab_open_memory(&v, files[f].name, files[f].bytes, files[f].n,
                                      PLK_ENCODING_AUTO, &allocator.interface, &err);
            is_done = !allocator.failed;
            assert_int_equal(status, is_done ? PLUCK_OK : PLUCK_ERR_NOMEM);
            if (is_done) {
                size_t n = 0;
                const char *text = plk_vocab_text(&v, 1, &n);
                assert_int_equal(n, strlen(files[f].expected));
                assert_memory_equal(text, files[f].expected, n);
                assert_true(fail_at > 0);
            }
            plk_vocab_close(&v);
            assert_int_equal(allocator.n_live, 0);
        }
    }
}

static void a_message_begins_with_the_name_and_leaves_nothing(void **state)
{
    (void)state;
    plk_vocab v;
    pluck_error err;
    assert_int_equal(plk_vocab_open_memory(&v, "v", BYTES("[1]"), PLK_ENCODING_AUTO, NULL, &err),
                     PLUCK_ERR_FORMAT);
    assert_string_equal(err.message, "v: entry 0 of the list is not a text");
    assert_int_equal(v.n, 0);
    assert_int_equal(plk_vocab_open(&v, "/no/such/file", NULL, PLK_ENCODING_AUTO, NULL, &err),
                     PLUCK_ERR_IO);
    assert_memory_equal(err.message, "/no/such/file: ", 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_format_gives_its_texts_or_runs_out_of_memory),
        cmocka_unit_test(a_message_begins_with_the_name_and_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
