/*
 * The whole file is checked before any of it is used: first its checksum, which finds files that
 * were cut short or changed, then its structure. No length in it is trusted, because anybody can
 * write a valid checksum. Only the head stays in memory. The sections are read again, piece by
 * piece, when they are needed, because a shard may have printed more than fits into memory.
 */
#include "partial.h"

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/error.h"
#include "file/array_file.h"

#include <pluck/base.h>

#include <stdlib.h>
#include <string.h>

enum { FORMAT = 1, FIXED_BYTES = 40, SECTION_BYTES = 16, PASS_WORDS = 6, CRC_BYTES = 4 };

static const char magic[8] = {'P', 'L', 'U', 'C', 'K', 'P', 'A', 'R'};

static void write_bytes(partial_writer *w, const void *bytes, size_t n)
{
    w->crc = plk_crc32(w->crc, bytes, n);
    output_write(&w->out, bytes, n);
}

static void put_text(plk_byte_writer *to, const char *text)
{
    plk_put_u32(to, (uint32_t)strlen(text));
    plk_put_bytes(to, text, strlen(text));
}

/* Words and facts. */
static void put_lists(plk_byte_writer *to, const partial_head *head)
{
    for (size_t i = 0; i < head->n_words; i++)
        put_text(to, head->words[i]);
    for (size_t i = 0; i < head->facts.n; i++) {
        const fact *f = &head->facts.items[i];
        plk_put_u32(to, (uint32_t)f->kind);
        put_text(to, f->name);
        put_text(to, f->text);
        plk_put_u64(to, f->size_bytes);
        plk_put_bytes(to, f->digest, sizeof f->digest);
    }
}

int partial_create(partial_writer *w, const char *path, const partial_head *head)
{
    unsigned char fixed[FIXED_BYTES], identity[PLK_SHA256_BYTES];
    plk_byte_writer lists = plk_byte_writer_make(NULL, 0);
    put_lists(&lists, head);
    plk_byte_writer made = plk_byte_writer_make(fixed, sizeof fixed);
    plk_put_bytes(&made, magic, sizeof magic);
    plk_put_u32(&made, FORMAT);
    plk_put_u32(&made, PLUCK_API_NUMBER);
    plk_put_u32(&made, head->shard);
    plk_put_u32(&made, head->count);
    plk_put_u32(&made, (uint32_t)head->n_words);
    plk_put_u32(&made, (uint32_t)head->facts.n);
    plk_put_u64(&made, lists.n_bytes);
    unsigned char *bytes = malloc(lists.n_bytes + 1);
    if (!bytes)
        return complain_memory();
    lists = plk_byte_writer_make(bytes, lists.n_bytes);
    put_lists(&lists, head);
    facts_digest(&head->facts, identity);
    *w = (partial_writer){.crc = 0};
    int code = output_open_file(&w->out, path);
    if (code == EXIT_DONE) {
        write_bytes(w, fixed, sizeof fixed);
        write_bytes(w, bytes, lists.n_bytes);
        write_bytes(w, identity, sizeof identity);
    }
    free(bytes);
    return code;
}

void partial_write(partial_writer *w, section_kind kind, uint32_t stream, const void *bytes,
                   size_t n)
{
    unsigned char head[SECTION_BYTES];
    plk_byte_writer made = plk_byte_writer_make(head, sizeof head);
    plk_put_u32(&made, (uint32_t)kind);
    plk_put_u32(&made, stream);
    plk_put_u64(&made, n);
    write_bytes(w, head, sizeof head);
    if (n > 0)
        write_bytes(w, bytes, n);
}

void partial_write_pass(partial_writer *w, const partial_pass *pass)
{
    unsigned char bytes[PASS_WORDS * 8];
    plk_byte_writer made = plk_byte_writer_make(bytes, sizeof bytes);
    plk_put_u64(&made, pass->number);
    plk_put_u64(&made, pass->n_before);
    plk_put_u64(&made, pass->n_items);
    plk_put_u64(&made, pass->n_after);
    plk_put_u64(&made, pass->first);
    plk_put_u64(&made, pass->end);
    partial_write(w, SECTION_PASS, 0, bytes, sizeof bytes);
}

int partial_give_up(partial_writer *w)
{
    return output_close(&w->out, false);
}

int partial_finish(partial_writer *w)
{
    unsigned char bytes[CRC_BYTES];
    plk_byte_writer made = plk_byte_writer_make(bytes, sizeof bytes);
    partial_write(w, SECTION_END, 0, NULL, 0);
    plk_put_u32(&made, w->crc);
    output_write(&w->out, (const char *)bytes, sizeof bytes);
    return output_close(&w->out, true);
}

/*
 * Reading.
 */

static pluck_status fail(const partial *p, uint64_t at, const char *what, pluck_error *err)
{
    return plk_fail(err, PLUCK_ERR_FORMAT, "%s: at byte %llu: %s", p->name, (unsigned long long)at,
                    what);
}

/* Checks that the last four bytes are the checksum of all bytes before them. */
static pluck_status check_sum(partial *p, pluck_error *err)
{
    uint64_t end = p->source.size_bytes - CRC_BYTES;
    uint32_t crc = 0;
    for (uint64_t at = 0; at < end;) {
        size_t n = end - at < PLK_SOURCE_STEP_BYTES ? (size_t)(end - at) : PLK_SOURCE_STEP_BYTES;
        crc = plk_crc32(crc, plk_source_at(&p->source, at, n), n);
        at += n;
    }
    plk_byte_reader stored = {plk_source_at(&p->source, end, CRC_BYTES), CRC_BYTES, false};
    if (crc == plk_take_u32(&stored))
        return PLUCK_OK;
    return plk_fail(err, PLUCK_ERR_FORMAT,
                    "%s: is damaged or incomplete: its checksum does not match its content; run "
                    "this shard again",
                    p->name);
}

/* Copies a text of the file into memory of malloc(). Texts of a command line have no byte 0. */
static pluck_status take_text(const partial *p, plk_byte_reader *in, char **text, pluck_error *err)
{
    size_t n = plk_take_u32(in);
    plk_byte_reader part = plk_take_part(in, n);
    if (part.is_short || in->is_short || (n > 0 && memchr(part.bytes, 0, n)))
        return fail(p, (uint64_t)(part.bytes - p->source.bytes),
                    "a text of the command line is cut short or has a byte 0 in it", err);
    *text = malloc(n + 1);
    if (!*text)
        return plk_fail_nomem(err, n + 1);
    if (n > 0)
        memcpy(*text, part.bytes, n);
    (*text)[n] = '\0';
    return PLUCK_OK;
}

static pluck_status take_words(partial *p, plk_byte_reader *in, uint32_t n, pluck_error *err)
{
    /* A word takes at least four bytes, so a larger number is refused before memory is
     * allocated. */
    if (n == 0 || n > in->n_bytes / 4)
        return fail(p, 0, "it has no command line", err);
    p->head.words = calloc((size_t)n + 1, sizeof *p->head.words);
    if (!p->head.words)
        return plk_fail_nomem(err, n * sizeof *p->head.words);
    for (; p->head.n_words < n; p->head.n_words++) {
        pluck_status status = take_text(p, in, &p->head.words[p->head.n_words], err);
        if (status != PLUCK_OK)
            return status;
    }
    return PLUCK_OK;
}

static pluck_status take_fact(partial *p, plk_byte_reader *in, pluck_error *err)
{
    char *name = NULL, *text = NULL;
    uint32_t kind = plk_take_u32(in);
    pluck_status status = take_text(p, in, &name, err);
    if (status == PLUCK_OK)
        status = take_text(p, in, &text, err);
    fact *f = status == PLUCK_OK ? facts_add(&p->head.facts, (fact_kind)kind, name, text) : NULL;
    if (status == PLUCK_OK && !f)
        status = plk_fail_nomem(err, sizeof *f);
    free(name);
    free(text);
    if (status != PLUCK_OK)
        return status;
    f->size_bytes = plk_take_u64(in);
    plk_byte_reader digest = plk_take_part(in, sizeof f->digest);
    if (digest.is_short || kind >= N_FACT_KINDS)
        return fail(p, 0, "a fact of the run is not valid", err);
    memcpy(f->digest, digest.bytes, sizeof f->digest);
    return PLUCK_OK;
}

/* What comes before the sections. */
static pluck_status read_head(partial *p, pluck_error *err)
{
    uint64_t size = p->source.size_bytes;
    plk_byte_reader in = {p->source.bytes, size < SIZE_MAX ? (size_t)size : SIZE_MAX, false};
    (void)plk_take_part(&in, sizeof magic + 4);
    uint32_t api = plk_take_u32(&in);
    p->head.shard = plk_take_u32(&in);
    p->head.count = plk_take_u32(&in);
    uint32_t n_words = plk_take_u32(&in), n_facts = plk_take_u32(&in);
    uint64_t n_bytes = plk_take_u64(&in);
    if (api != PLUCK_API_NUMBER)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: was written by a pluck with API number %u, but this one has %u; all "
                        "shards and merge need the same",
                        p->name, (unsigned)api, (unsigned)PLUCK_API_NUMBER);
    if (p->head.count > 0 ? p->head.shard >= p->head.count : p->head.shard > 0)
        return fail(p, 16, "the number of the shard is not below their count", err);
    if (n_bytes > size)
        return fail(p, 32, "the command line is longer than the file", err);
    plk_byte_reader lists = plk_take_part(&in, (size_t)n_bytes);
    pluck_status status = take_words(p, &lists, n_words, err);
    for (uint32_t i = 0; i < n_facts && status == PLUCK_OK; i++)
        status = take_fact(p, &lists, err);
    if (status != PLUCK_OK)
        return status;
    plk_byte_reader identity = plk_take_part(&in, sizeof p->identity);
    unsigned char expected[PLK_SHA256_BYTES];
    facts_digest(&p->head.facts, expected);
    if (!plk_is_read_up(&lists) || identity.is_short ||
        memcmp(identity.bytes, expected, sizeof expected) != 0)
        return fail(p, FIXED_BYTES + n_bytes, "the identity is not that of the facts", err);
    memcpy(p->identity, expected, sizeof expected);
    p->body_bytes = FIXED_BYTES + n_bytes + sizeof expected;
    return PLUCK_OK;
}

/* The bytes of the section may lie outside of the file. */
static partial_section section_at(partial *p, uint64_t at)
{
    plk_byte_reader head = {plk_source_at(&p->source, at, SECTION_BYTES), SECTION_BYTES, false};
    partial_section s = {.kind = plk_take_u32(&head)};
    s.stream = plk_take_u32(&head);
    s.n_bytes = plk_take_u64(&head);
    return s;
}

partial_section partial_next(partial *p, uint64_t *at)
{
    partial_section s = section_at(p, *at);
    *at += SECTION_BYTES;
    if (s.n_bytes > 0)
        s.bytes = (const char *)plk_source_at(&p->source, *at, (size_t)s.n_bytes);
    *at += s.n_bytes;
    return s;
}

/* Begins a pass, which ends the one before. */
static pluck_status add_pass(partial *p, uint64_t at, pluck_error *err)
{
    uint64_t next = at;
    partial_section s = partial_next(p, &next);
    if (s.n_bytes != PASS_WORDS * 8)
        return fail(p, at, "a pass is not described by six numbers", err);
    if (!grow(&p->passes, &p->capacity, p->n_passes + 1, sizeof *p->passes))
        return plk_fail_nomem(err, sizeof *p->passes);
    plk_byte_reader in = {(const unsigned char *)s.bytes, (size_t)s.n_bytes, false};
    partial_pass pass = {.begin_bytes = next, .end_bytes = next};
    pass.number = plk_take_u64(&in);
    pass.n_before = plk_take_u64(&in);
    pass.n_items = plk_take_u64(&in);
    pass.n_after = plk_take_u64(&in);
    pass.first = plk_take_u64(&in);
    pass.end = plk_take_u64(&in);
    uint64_t n = pass.n_before + pass.n_items, all = n + pass.n_after;
    bool follows = p->n_passes == 0 || pass.number == p->passes[p->n_passes - 1].number + 1;
    if (!follows || n < pass.n_before || all < n || pass.first > pass.end || pass.end > all)
        return fail(p, at, "the numbers of a pass contradict each other", err);
    p->passes[p->n_passes++] = pass;
    return PLUCK_OK;
}

static pluck_status read_sections(partial *p, pluck_error *err)
{
    uint64_t at = p->body_bytes, end = p->source.size_bytes - CRC_BYTES;
    for (;;) {
        if (end - at < SECTION_BYTES)
            return fail(p, at, "the section 'end' is missing", err);
        partial_section s = section_at(p, at);
        if (s.n_bytes > end - at - SECTION_BYTES)
            return fail(p, at, "a section is longer than the file", err);
        uint64_t next = at + SECTION_BYTES + s.n_bytes;
        if (s.kind == SECTION_END)
            return next == end && s.n_bytes == 0
                       ? PLUCK_OK
                       : fail(p, at, "bytes follow the section 'end'", err);
        if (s.kind > SECTION_TALLY || (s.kind != SECTION_PASS && p->n_passes == 0))
            return fail(p, at, "a section has an unknown kind, or comes before the first pass",
                        err);
        if (s.kind == SECTION_PASS) {
            pluck_status status = add_pass(p, at, err);
            if (status != PLUCK_OK)
                return status;
        }
        p->passes[p->n_passes - 1].end_bytes = next;
        at = next;
    }
}

static pluck_status read_all(partial *p, pluck_error *err)
{
    plk_byte_reader in = {NULL, 0, false};
    size_t n = 0;
    pluck_status status = plk_source_peek(&p->source, FIXED_BYTES, &in.bytes, &n, err);
    if (status != PLUCK_OK)
        return status;
    if (n < sizeof magic || memcmp(in.bytes, magic, sizeof magic) != 0)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: is not a partial file; --partial writes one, and --plan-out a plan",
                        p->name);
    if (p->source.streamed)
        return plk_fail(err, PLUCK_ERR_IO,
                        "%s: is a stream, but this file is read twice; save it to a file", p->name);
    if (n < FIXED_BYTES || p->source.size_bytes < FIXED_BYTES + SECTION_BYTES + CRC_BYTES)
        return fail(p, n, "the file is shorter than its head", err);
    in.bytes += sizeof magic;
    in.n_bytes = 4;
    uint32_t format = plk_take_u32(&in);
    if (format != FORMAT)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: is a partial file of format %u; this pluck reads format %u", p->name,
                        (unsigned)format, (unsigned)FORMAT);
    status = check_sum(p, err);
    if (status == PLUCK_OK)
        status = read_head(p, err);
    return status == PLUCK_OK ? read_sections(p, err) : status;
}

static pluck_status open_source(partial *p, pluck_error *err)
{
    pluck_status status = read_all(p, err);
    plk_source_drop(&p->source);
    if (status != PLUCK_OK)
        partial_close(p);
    return status;
}

pluck_status partial_open(partial *p, const char *path, pluck_error *err)
{
    pluck_allocator allocator = plk_allocator_or_default(NULL);
    *p = (partial){.name = path};
    pluck_status status = plk_source_open(&p->source, path, false, &allocator, err);
    if (status == PLUCK_OK)
        return open_source(p, err);
    *p = (partial){.name = NULL};
    return status;
}

pluck_status partial_open_memory(partial *p, const char *name, const void *bytes, size_t n,
                                 pluck_error *err)
{
    pluck_allocator allocator = plk_allocator_or_default(NULL);
    *p = (partial){.name = name};
    plk_source_open_memory(&p->source, name, bytes, n, false, &allocator);
    return open_source(p, err);
}

void partial_close(partial *p)
{
    for (size_t i = 0; i < p->head.n_words; i++)
        free(p->head.words[i]);
    free(p->head.words);
    facts_free(&p->head.facts);
    free(p->passes);
    plk_source_close(&p->source);
    *p = (partial){.name = NULL};
}

bool partials_are_same(partial *a, partial *b)
{
    uint64_t n = a->source.size_bytes - a->body_bytes;
    if (n != b->source.size_bytes - b->body_bytes)
        return false;
    n -= CRC_BYTES;
    for (uint64_t done = 0; done < n;) {
        size_t step = n - done < PLK_SOURCE_STEP_BYTES ? (size_t)(n - done) : PLK_SOURCE_STEP_BYTES;
        if (memcmp(plk_source_at(&a->source, a->body_bytes + done, step),
                   plk_source_at(&b->source, b->body_bytes + done, step), step) != 0)
            return false;
        done += step;
    }
    return true;
}

const partial_pass *partial_find(const partial *p, uint64_t number)
{
    uint64_t first = p->n_passes > 0 ? p->passes[0].number : 0;
    return number >= first && number - first < p->n_passes ? &p->passes[number - first] : NULL;
}
