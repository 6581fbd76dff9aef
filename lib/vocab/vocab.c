/*
 * All texts lie in one block of bytes, entries point into it; both grow by doubling.
 */
#include "vocab.h"
#include "files.h"
#include "vocab_readers.h"
#include "vocab_gguf.h"

#include "base/alloc.h"
#include "file/file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define VOCAB_LIMIT_BYTES ((size_t)256 << 20)

static bool reserve_entries(vocab *v, uint32_t n)
{
    uint32_t capacity = v->capacity == 0 ? 1024 : v->capacity;
    while (capacity < n)
        capacity *= 2;
    if (capacity == v->capacity)
        return true;
    vocab_entry *larger = realloc(v->entries, capacity * sizeof *larger);
    if (!larger)
        return false;
    memset(larger + v->capacity, 0, (capacity - v->capacity) * sizeof *larger);
    v->entries = larger;
    v->capacity = capacity;
    return true;
}

static bool reserve_bytes(vocab *v, size_t n)
{
    size_t capacity = v->bytes_capacity == 0 ? 16384 : v->bytes_capacity;
    while (capacity - v->n_bytes < n)
        capacity *= 2;
    if (capacity == v->bytes_capacity)
        return true;
    char *larger = realloc(v->bytes, capacity);
    if (!larger)
        return false;
    v->bytes = larger;
    v->bytes_capacity = capacity;
    return true;
}

bool vocab_set(vocab *v, uint32_t id, const char *text, size_t n, bool is_literal)
{
    if (!reserve_entries(v, id + 1) || !reserve_bytes(v, n))
        return false;
    if (n > 0)
        memcpy(v->bytes + v->n_bytes, text, n);
    v->entries[id] = (vocab_entry){v->n_bytes, (uint32_t)n, true, is_literal};
    v->n_bytes += n;
    v->n = id + 1 > v->n ? id + 1 : v->n;
    return true;
}

bool vocab_prepend(vocab *v, uint32_t id, char c)
{
    vocab_entry *e = &v->entries[id];
    size_t n = e->n;
    if (!reserve_bytes(v, n + 1))
        return false;
    v->bytes[v->n_bytes] = c;
    memcpy(v->bytes + v->n_bytes + 1, v->bytes + e->offset, n);
    e->offset = v->n_bytes;
    e->n++;
    v->n_bytes += n + 1;
    return true;
}

/* Whether the name ends so, or so and then .gz. */
static bool is_named(const char *path, const char *end)
{
    static const char packed[] = ".gz";
    size_t n_end = strlen(end);
    size_t n = strlen(path);
    if (n >= sizeof packed && strcmp(path + n + 1 - sizeof packed, packed) == 0)
        n -= sizeof packed - 1;
    return n >= n_end && memcmp(path + n - n_end, end, n_end) == 0;
}

/* A name ending decides; without one, a JSON list or map starts with its bracket. */
static bool is_json(const vocab_file *file)
{
    char first = file->text[strspn(file->text, " \t\r\n")];
    if (is_named(file->path, ".json"))
        return true;
    return !is_named(file->path, ".txt") && (first == '[' || first == '{');
}

static int finish(vocab *v, const arguments *args, const char *path)
{
    if (v->n == 0)
        return complain(args->who, EXIT_DATA, "%s: holds no token", path);
    bool is_auto = args->vocab_encoding == ENCODING_AUTO;
    return vocab_decode(v, is_auto ? v->encoding : args->vocab_encoding)
               ? EXIT_DONE
               : complain_memory(args->who);
}

/* Replaces a file that gzip packed by what it unpacks to. */
static int unpack(vocab_file *file)
{
    pluck_allocator allocator = plk_allocator_or_default(NULL);
    plk_source source;
    pluck_error err;
    plk_source_open_memory(&source, file->path, file->text, file->n, false, &allocator);
    pluck_status status = plk_gzip_unpack(&source, VOCAB_LIMIT_BYTES, &err);
    int code = EXIT_DONE;
    if (status != PLUCK_OK) {
        code = complain(file->who, exit_code_of(status), "%s", err.message);
    } else if (source.bytes != (const uint8_t *)file->text) {
        size_t n = (size_t)source.size_bytes;
        char *text = malloc(n + 1);
        if (!text) {
            code = complain_memory(file->who);
        } else {
            memcpy(text, source.bytes, n);
            text[n] = '\0';
            free(file->text);
            file->text = text;
            file->n = n;
        }
    }
    plk_source_close(&source);
    return code;
}

static void skip_byte_order_mark(vocab_file *file)
{
    if (file->n >= 3 && memcmp(file->text, "\xef\xbb\xbf", 3) == 0) {
        file->text += 3;
        file->n -= 3;
    }
}

/* What the bytes are decides; the name only where they leave it open. */
static int parse(vocab *v, vocab_file *file)
{
    if (vocab_is_gguf(file->text, file->n))
        return vocab_read_gguf(v, file->who, file->path, -1, file->text, file->n);
    if (vocab_is_pieces(file) || (is_named(file->path, ".model") && file->text[0] == '\n'))
        return vocab_read_pieces(v, file);
    int code = vocab_refuse_binary(file);
    if (code != EXIT_DONE)
        return code;
    skip_byte_order_mark(file);
    if (is_json(file))
        return vocab_read_json(v, file);
    if (is_named(file->path, ".tiktoken") || vocab_is_tiktoken(file))
        return vocab_read_tiktoken(v, file);
    return vocab_read_lines(v, file);
}

static int parse_unpacked(vocab *v, const arguments *args, const char *path, char **text, size_t n)
{
    vocab_file file = {args->who, path, *text, n};
    int code = unpack(&file);
    *text = file.text;
    if (code == EXIT_DONE)
        code = parse(v, &file);
    return code;
}

int vocab_parse(vocab *v, const arguments *args, const char *path, char **text, size_t n)
{
    int code = parse_unpacked(v, args, path, text, n);
    return code == EXIT_DONE ? finish(v, args, path) : code;
}

/* A model is larger than a vocabulary may be: it is read as far as its metadata goes. *is_model:
 * whether the file is one. */
static int load_model(vocab *v, const arguments *args, bool *is_model)
{
    char magic[4];
    int fd = strcmp(args->vocab, "-") == 0 ? -1 : open(args->vocab, O_RDONLY | O_CLOEXEC);
    struct stat info;
    *is_model = false;
    if (fd < 0)
        return EXIT_DONE;
    int code = EXIT_DONE;
    *is_model = fstat(fd, &info) == 0 && S_ISREG(info.st_mode) &&
                read(fd, magic, sizeof magic) == (ssize_t)sizeof magic &&
                vocab_is_gguf(magic, sizeof magic) && lseek(fd, 0, SEEK_SET) == 0;
    if (*is_model)
        code = vocab_read_gguf(v, args->who, args->vocab, fd, NULL, 0);
    close(fd);
    return code;
}

static int load_whole(vocab *v, const arguments *args)
{
    char *text = NULL;
    size_t n = 0;
    int code = read_file(args->who, args->vocab, VOCAB_LIMIT_BYTES, &text, &n);
    if (code == EXIT_DONE)
        code = parse_unpacked(v, args, args->vocab, &text, n);
    free(text);
    return code;
}

static int load_added(vocab *v, const arguments *args)
{
    vocab_file file = {.who = args->who, .path = args->added_tokens};
    int code = read_file(args->who, file.path, VOCAB_LIMIT_BYTES, &file.text, &file.n);
    char *memory = file.text;
    if (code == EXIT_DONE) {
        code = unpack(&file);
        memory = file.text;
    }
    if (code == EXIT_DONE)
        code = vocab_refuse_binary(&file);
    if (code == EXIT_DONE) {
        skip_byte_order_mark(&file);
        code = vocab_read_added(v, &file);
    }
    free(memory);
    return code;
}

int vocab_load(vocab *v, const arguments *args)
{
    bool is_model = false;
    memset(v, 0, sizeof *v);
    if (!args->vocab)
        return !args->added_tokens
                   ? EXIT_DONE
                   : complain(args->who, EXIT_USAGE, "--added-tokens needs --vocab");
    int code = load_model(v, args, &is_model);
    if (!is_model)
        code = load_whole(v, args);
    if (code == EXIT_DONE && args->added_tokens)
        code = load_added(v, args);
    if (code == EXIT_DONE)
        code = finish(v, args, args->vocab);
    if (code != EXIT_DONE)
        vocab_free(v);
    return code;
}

int vocab_check(const vocab *v, const arguments *args, const char *path, uint32_t n_vocab)
{
    if (!args->vocab || v->n == n_vocab || (args->short_vocab && v->n < n_vocab))
        return EXIT_DONE;
    return complain(args->who, EXIT_DATA, "%s: has %u tokens, but rows of %s have %u values%s",
                    args->vocab, (unsigned)v->n, path, (unsigned)n_vocab,
                    v->n < n_vocab ? "; --short-vocab allows that" : "");
}

int vocab_take_texts(vocab *v, const arguments **args, arguments *own, const char *name,
                     const pluck_dump *dump, uint32_t n_vocab)
{
    size_t n = 0;
    if (!pluck_dump_token_text(dump, 0, &n))
        return EXIT_DONE;
    for (uint32_t i = 0; i < n_vocab; i++) {
        const char *text = pluck_dump_token_text(dump, (pluck_token)i, &n);
        if (text && !vocab_set(v, i, text, n, true))
            return complain_memory((*args)->who);
    }
    *own = **args;
    own->vocab = name;
    own->short_vocab = true; /* --vocab-size may leave room for tokens without a text */
    *args = own;
    return EXIT_DONE;
}

void vocab_free(vocab *v)
{
    free(v->entries);
    free(v->bytes);
    memset(v, 0, sizeof *v);
}

const char *vocab_text(const vocab *v, pluck_token token, size_t *n)
{
    *n = 0;
    if (token < 0 || (uint32_t)token >= v->n || !v->entries[token].is_set)
        return "";
    *n = v->entries[token].n;
    return *n > 0 ? v->bytes + v->entries[token].offset : "";
}
