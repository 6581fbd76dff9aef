/*
 * A flag is a fact by its parsed value, in the order of the command's table, and only if the value
 * is not the default. So command lines that mean the same give the same facts. Names of files are
 * kept for messages, but are not part of the digest.
 */
#include "facts.h"

#include "base/bytes.h"
#include "base/platform.h"
#include "base/platform_file.h"
#include "json/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WHOLE_BYTES = 4 << 20, END_BYTES = 1 << 20, PIECE_BYTES = 4096, N_PIECES = 64 };

void facts_free(fact_list *facts)
{
    for (size_t i = 0; i < facts->n; i++) {
        free(facts->items[i].name);
        free(facts->items[i].text);
    }
    free(facts->items);
    *facts = (fact_list){.n = 0};
}

fact *facts_add(fact_list *facts, fact_kind kind, const char *name, const char *text)
{
    if (!grow(&facts->items, &facts->capacity, facts->n + 1, sizeof *facts->items))
        return NULL;
    fact *f = &facts->items[facts->n];
    *f = (fact){.kind = kind, .name = copy_text(name), .text = copy_text(text)};
    if (f->name && f->text) {
        facts->n++;
        return f;
    }
    free(f->name);
    free(f->text);
    return NULL;
}

int facts_add_content(fact_list *facts, const char *name, const void *bytes, size_t n)
{
    fact *f = facts_add(facts, FACT_CONTENT, name, "");
    if (!f)
        return complain_memory();
    plk_sha256 hash;
    plk_sha256_start(&hash);
    plk_sha256_add(&hash, bytes, n);
    plk_sha256_finish(&hash, f->digest);
    f->size_bytes = n;
    return EXIT_DONE;
}

/* Adds the bytes first to end - 1 of a file that may be shorter now. Returns the code of a failure
 * of the system, or 0. */
static int hash_part(plk_sha256 *hash, int fd, uint64_t first, uint64_t end)
{
    unsigned char bytes[1 << 14];
    while (first < end) {
        size_t n = end - first < sizeof bytes ? (size_t)(end - first) : sizeof bytes;
        size_t got = 0;
        int error_code = plk_file_read_at(fd, first, bytes, n, &got);
        if (error_code != 0 || got == 0)
            return error_code;
        plk_sha256_add(hash, bytes, got);
        first += got;
    }
    return 0;
}

static int hash_file(plk_sha256 *hash, int fd, uint64_t size)
{
    if (size <= WHOLE_BYTES)
        return hash_part(hash, fd, 0, size);
    int result = hash_part(hash, fd, 0, END_BYTES);
    uint64_t between = size - 2 * END_BYTES - PIECE_BYTES;
    for (uint64_t i = 0; i < N_PIECES && result == 0; i++) {
        uint64_t at = END_BYTES + between / (N_PIECES - 1) * i;
        result = hash_part(hash, fd, at, at + PIECE_BYTES);
    }
    return result == 0 ? hash_part(hash, fd, size - END_BYTES, size) : result;
}

/* Refuses a file that only one process can read. */
static int check_file(const char *path)
{
    plk_file_info info;
    bool is_stream = strcmp(path, "-") == 0 ||
                     (plk_path_info(path, &info) == 0 && info.kind != PLK_FILE_REGULAR &&
                      info.kind != PLK_FILE_DIRECTORY);
    return !is_stream
               ? EXIT_DONE
               : complain(EXIT_USAGE,
                          "%s: is a stream, which only one process can read; save it to a file",
                          strcmp(path, "-") == 0 ? "standard input" : path);
}

static int add_file(fact_list *facts, const char *name, const char *path, bool is_merge)
{
    plk_file_info info;
    int checked = check_file(path);
    if (checked != EXIT_DONE)
        return checked;
    fact *f = facts_add(facts, FACT_FILE, name, path);
    int fd = -1;
    int error_code = plk_file_open(path, PLK_OPEN_READ, &fd);
    if (error_code == 0)
        error_code = plk_descriptor_info(fd, &info);
    if (error_code != 0) {
        if (fd >= 0)
            (void)plk_file_close(fd);
        char reason[128];
        plk_system_message(error_code, reason, sizeof reason);
        return complain(EXIT_SYSTEM, "%s: cannot be opened: %s%s", path, reason,
                        is_merge ? "; merge compares the inputs with those of the shards" : "");
    }
    plk_sha256 hash;
    plk_sha256_start(&hash);
    int code = f ? EXIT_DONE : complain_memory();
    if (code == EXIT_DONE)
        error_code = hash_file(&hash, fd, info.size_bytes);
    if (error_code != 0)
        code = complain_system(path, NULL, error_code);
    if (code == EXIT_DONE) {
        f->size_bytes = info.size_bytes;
        plk_sha256_finish(&hash, f->digest);
    }
    (void)plk_file_close(fd);
    return code;
}

/* The value of a flag as text; NULL if it is the default. */
static const char *value_of(const call *c, const flag *f, char number[PLK_NUMBER_TEXT_BYTES])
{
    const char *at = (const char *)c + f->at, *defaults = c->command->defaults;
    static const char zeros[sizeof(uint64_t)];
    const void *otherwise = defaults ? defaults + f->at : zeros, *place = at;
    size_t n = 0;
    switch (f->kind) {
    case FLAG_SWITCH:
        return *(const bool *)place ? "true" : NULL;
    case FLAG_COUNT:
        snprintf(number, PLK_NUMBER_TEXT_BYTES, "%llu",
                 (unsigned long long)*(const uint64_t *)place);
        return memcmp(place, otherwise, sizeof(uint64_t)) != 0 ? number : NULL;
    case FLAG_NUMBER:
        plk_number_write(*(const double *)place, number);
        return memcmp(place, otherwise, sizeof(double)) != 0 ? number : NULL;
    case FLAG_CHOICE:
        if (*(const int *)place == *(const int *)otherwise)
            return NULL;
        place = choice_at(f->value, *(const int *)place, &n);
        snprintf(number, PLK_NUMBER_TEXT_BYTES, "%.*s", (int)n, (const char *)place);
        return number;
    default:
        return *(const char *const *)place;
    }
}

static int add_flag(fact_list *facts, const call *c, const flag *f, bool is_merge)
{
    char name[64], number[PLK_NUMBER_TEXT_BYTES];
    if (f->kind == FLAG_HEADING || f->kind == FLAG_KEY || f->share == SHARE_NOT ||
        f->at == offsetof(call, help))
        return EXIT_DONE;
    const char *value = value_of(c, f, number);
    if (!value)
        return EXIT_DONE;
    if (f->share == SHARE_KEYS)
        return f->kind == FLAG_INPUT ? check_file(value) : EXIT_DONE;
    snprintf(name, sizeof name, "--%s", f->name);
    if (f->kind == FLAG_INPUT)
        return add_file(facts, name, value, is_merge);
    fact_kind kind = f->kind == FLAG_OUTPUT ? FACT_OUTPUT : FACT_ARGUMENT;
    return facts_add(facts, kind, name, value) ? EXIT_DONE : complain_memory();
}

int facts_add_call(fact_list *facts, const call *c, bool is_merge)
{
    int code = facts_add(facts, FACT_ARGUMENT, "command", c->command->name) ? EXIT_DONE
                                                                            : complain_memory();
    for (size_t i = 0; code == EXIT_DONE && i < c->n_words; i++) {
        char name[64];
        snprintf(name, sizeof name, "%.30s %zu", c->command->word_name, i + 1);
        if (c->command->words_are_inputs)
            code = add_file(facts, name, c->words[i], is_merge);
        else if (!facts_add(facts, FACT_ARGUMENT, name, c->words[i]))
            code = complain_memory();
    }
    for (size_t i = 0; code == EXIT_DONE && i < c->set->n; i++)
        code = add_flag(facts, c, &c->set->flags[i], is_merge);
    return code;
}

static bool is_named(const fact *f, const char *name)
{
    return name && strcmp(f->name, name) == 0;
}

/* Where the results are written does not change them, and merge may write them elsewhere. */
static bool is_place(const fact *f)
{
    return f->kind == FACT_OUTPUT && is_named(f, "--output");
}

const fact *facts_find(const fact_list *facts, const char *name)
{
    for (size_t i = 0; i < facts->n; i++)
        if (is_named(&facts->items[i], name))
            return &facts->items[i];
    return NULL;
}

/* Whether the values of two facts of one name are the same. */
static bool is_same(const fact *a, const fact *b)
{
    return a->kind == b->kind && a->size_bytes == b->size_bytes &&
           memcmp(a->digest, b->digest, sizeof a->digest) == 0 &&
           (a->kind != FACT_ARGUMENT || strcmp(a->text, b->text) == 0);
}

static void hash_text(plk_sha256 *hash, const char *text)
{
    plk_sha256_add(hash, text, strlen(text) + 1);
}

static void hash_numbers(plk_sha256 *hash, uint32_t a, uint64_t b)
{
    unsigned char bytes[12];
    plk_byte_writer made = plk_byte_writer_make(bytes, sizeof bytes);
    plk_put_u32(&made, a);
    plk_put_u64(&made, b);
    plk_sha256_add(hash, bytes, sizeof bytes);
}

void facts_digest(const fact_list *facts, unsigned char digest[PLK_SHA256_BYTES])
{
    plk_sha256 hash;
    plk_sha256_start(&hash);
    for (size_t i = 0; i < facts->n; i++) {
        const fact *f = &facts->items[i];
        if (is_place(f))
            continue;
        hash_numbers(&hash, (uint32_t)f->kind, f->size_bytes);
        plk_sha256_add(&hash, f->digest, sizeof f->digest);
        hash_text(&hash, f->name);
        hash_text(&hash, f->kind == FACT_ARGUMENT ? f->text : "");
    }
    plk_sha256_finish(&hash, digest);
}

static bool is_compared(const fact *f, unsigned kinds, const char *except)
{
    return (kinds >> f->kind & 1u) != 0 && !is_named(f, except) && !is_place(f);
}

bool facts_differ(const fact_list *a, const fact_list *b, unsigned kinds, const char *except,
                  const fact **in_a, const fact **in_b)
{
    for (size_t i = 0; i < a->n; i++) {
        *in_a = &a->items[i];
        *in_b = facts_find(b, (*in_a)->name);
        if (is_compared(*in_a, kinds, except) && (!*in_b || !is_same(*in_a, *in_b)))
            return true;
    }
    for (size_t i = 0; i < b->n; i++) {
        *in_b = &b->items[i];
        *in_a = facts_find(a, (*in_b)->name);
        if (is_compared(*in_b, kinds, except) && !*in_a)
            return true;
    }
    return false;
}

int facts_complain(const char *a, const fact *in_a, const char *b, const fact *in_b)
{
    const fact *known = in_a ? in_a : in_b;
    if (!in_a || !in_b)
        return complain(EXIT_DATA, "%s: is of a run %s %s (%s), %s of one %s it", a,
                        in_a ? "with" : "without", known->name, known->text, b,
                        in_b ? "with" : "without");
    if (known->kind == FACT_ARGUMENT)
        return complain(EXIT_DATA, "%s: is of a run with %s %s, %s of one with %s", a, known->name,
                        in_a->text, b, in_b->text);
    if (in_a->size_bytes != in_b->size_bytes && known->kind == FACT_FILE)
        return complain(EXIT_DATA,
                        "%s: is of a run on another %s (%s) than %s: %llu bytes, not %llu", a,
                        known->name, known->text, b, (unsigned long long)in_a->size_bytes,
                        (unsigned long long)in_b->size_bytes);
    if (known->kind == FACT_FILE)
        return complain(EXIT_DATA,
                        "%s: is of a run on another %s (%s) than %s: the size is the same, the "
                        "content is not",
                        a, known->name, known->text, b);
    return complain(EXIT_DATA, "%s: is of a run with another %s than %s", a, known->name, b);
}
