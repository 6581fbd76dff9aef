/*
 * Files that people give by mistake, by the bytes that they begin with, so that the message can say
 * what they are.
 */
#include "vocab_readers.h"

#include "base/escape.h"

#include <string.h>

#define EXPECTED                                                                                   \
    "expected one token per line, JSON, tiktoken, a SentencePiece .model or a GGUF model"

typedef struct known {
    const char *magic;
    size_t n, offset;
    bool is_text; /* a line of text could begin so too: the file must be binary */
    const char *what;
} known;

#define BINARY(bytes, what)                                                                        \
    {                                                                                              \
        bytes, sizeof bytes - 1, 0, false, what                                                    \
    }
#define TEXT(bytes, offset, what)                                                                  \
    {                                                                                              \
        bytes, sizeof bytes - 1, offset, true, what                                                \
    }

static const known kinds[] = {
    BINARY("PK\003\004", "a ZIP archive (PyTorch, .npz)"),
    BINARY("PK\005\006", "an empty ZIP archive"),
    BINARY("\x80\002", "a Python pickle (PyTorch)"),
    BINARY("\x80\003", "a Python pickle (PyTorch)"),
    BINARY("\x80\004", "a Python pickle (PyTorch)"),
    BINARY("\x80\005", "a Python pickle (PyTorch)"),
    BINARY("\x93NUMPY", "a NumPy array"),
    BINARY("\x89HDF\r\n", "an HDF5 file"),
    BINARY("\x28\xb5\x2f\xfd", "packed by zstd (unpack it: zstd -d)"),
    BINARY("\xfd\x37zXZ", "packed by xz (unpack it: xz -d)"),
    TEXT("BZh", 0, "packed by bzip2 (unpack it: bzip2 -d)"),
    BINARY("7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    BINARY("\xba\x16\x4f\x2f", "a fastText model"),
    TEXT("SQLite format 3", 0, "an SQLite database"),
    TEXT("ARROW1", 0, "an Arrow file"),
    TEXT("PAR1", 0, "a Parquet file"),
    TEXT("lmgg", 0, "a model in a format of llama.cpp before GGUF"),
    TEXT("fmgg", 0, "a model in a format of llama.cpp before GGUF"),
    TEXT("tjgg", 0, "a model in a format of llama.cpp before GGUF"),
    BINARY("\x7f"
           "ELF",
           "a program"),
    BINARY("\xff\xfe", "text in UTF-16 (convert it: iconv -f UTF-16 -t UTF-8)"),
    BINARY("\xfe\xff", "text in UTF-16 (convert it: iconv -f UTF-16 -t UTF-8)"),
    BINARY("#version: ", "the merges of a BPE (its vocabulary is vocab.json)"),
    TEXT("{\"", 8, "a .safetensors file"),
    TEXT("ustar", 257, "a tar archive"),
};

static bool matches(const vocab_file *file, const known *kind)
{
    return file->n >= kind->offset + kind->n &&
           memcmp(file->text + kind->offset, kind->magic, kind->n) == 0;
}

/* A text may hold a token that is a byte 0, and another one that is half a character. */
static bool is_binary(const vocab_file *file)
{
    bool is_utf8 = true;
    uint32_t code_point = 0;
    for (size_t i = 0; i < file->n && is_utf8;) {
        size_t length = plk_utf8_decode(file->text + i, file->n - i, &code_point);
        is_utf8 = length > 0;
        i += length;
    }
    return !is_utf8 && memchr(file->text, '\0', file->n);
}

int vocab_refuse_binary(const vocab_file *file)
{
    bool binary = is_binary(file);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (matches(file, &kinds[i]) && (binary || !kinds[i].is_text))
            return complain(file->who, EXIT_DATA, "%s: %s, not a vocabulary; " EXPECTED, file->path,
                            kinds[i].what);
    if (binary)
        return complain(file->who, EXIT_DATA, "%s: a binary file of unknown kind; " EXPECTED,
                        file->path);
    return EXIT_DONE;
}
