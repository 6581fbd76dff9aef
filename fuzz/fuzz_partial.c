/*
 * Partial files of any content, as they are and with the API number and the checksum of this
 * library. What is read must lie inside of the file, and its numbers must not contradict each
 * other.
 */
#include "partial.h"

#include "base/bytes.h"
#include "file/array_file.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { API_AT = 12 }; /* in the file */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_head(const partial *p, size_t size)
{
    const partial_head *head = &p->head;
    size_t n = 0;
    for (size_t i = 0; i < head->n_words; i++)
        n += strlen(head->words[i]);
    for (size_t i = 0; i < head->facts.n; i++) {
        const fact *f = &head->facts.items[i];
        n += strlen(f->name) + strlen(f->text);
        if ((unsigned)f->kind >= (unsigned)N_FACT_KINDS)
            abort();
    }
    if (n > size || head->n_words == 0 || (head->count > 0 && head->shard >= head->count))
        abort();
}

static void check_pass(partial *p, const partial_pass *pass, const uint8_t *bytes, size_t size)
{
    uint64_t n = pass->n_before + pass->n_items + pass->n_after;
    if (partial_find(p, pass->number) != pass || pass->first > pass->end || pass->end > n)
        abort();
    for (uint64_t at = pass->begin_bytes; at < pass->end_bytes;) {
        partial_section s = partial_next(p, &at);
        if (s.kind <= SECTION_PASS || s.kind > SECTION_TALLY || at > pass->end_bytes ||
            s.n_bytes > size)
            abort();
        if (s.n_bytes > 0 && memcmp(s.bytes, bytes + (at - s.n_bytes), (size_t)s.n_bytes) != 0)
            abort();
    }
}

static void read_file(const uint8_t *bytes, size_t size)
{
    partial p;
    pluck_error err;
    if (partial_open_memory(&p, "file", bytes, size, &err) != PLUCK_OK)
        return;
    check_head(&p, size);
    for (size_t i = 0; i < p.n_passes; i++)
        check_pass(&p, &p.passes[i], bytes, size);
    if (!partials_are_same(&p, &p))
        abort();
    partial_close(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *bytes = malloc(size + 1);
    if (!bytes)
        return 0;
    memcpy(bytes, data, size);
    read_file(bytes, size);
    if (size >= API_AT + 8) {
        plk_byte_writer api = plk_byte_writer_make(bytes + API_AT, 4);
        plk_put_u32(&api, PLUCK_API_NUMBER);
        plk_byte_writer sum = plk_byte_writer_make(bytes + size - 4, 4);
        plk_put_u32(&sum, plk_crc32(0, bytes, size - 4));
        read_file(bytes, size);
    }
    free(bytes);
    return 0;
}
