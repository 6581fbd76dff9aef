/*
 * An .npz file is a ZIP file of arrays (file/array_file.h). The array of tokens comes first, so
 * that its values can be written as they come; its two headers, which say how many there are and
 * have a checksum of everything, are written over what was left for them at the beginning of the
 * file. The checksum of header and values follows from those of both: CRC-32 is linear, and n zero
 * bytes after a text multiply the polynomial that it is by x^(8 n) (Williams, "A painless guide to
 * CRC error detection algorithms", 1993). Sizes are those of ZIP64, whatever they are.
 */
#include "commands/sample_kept.h"

#include "base/bytes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    NPY_BYTES = 128,       /* the header of an array */
    NPY_PREFIX_BYTES = 10, /* of it: magic, version, length */
    LOCAL_BYTES = 30,
    LOCAL_EXTRA_BYTES = 20,
    ENTRY_EXTRA_BYTES = 28,
    VERSION_ZIP64 = 45,
    MEMBERS = 3,
    HEAD_BYTES = 256,
    CHUNK = 1024
};

static const uint32_t crc_polynomial = 0xEDB88320u; /* the highest bit is x^0 */

/* a(x) b(x) modulo the polynomial. */
static uint32_t multiply(uint32_t a, uint32_t b)
{
    uint32_t product = 0;
    for (int i = 31; i >= 0; i--) {
        if (a >> i & 1u)
            product ^= b;
        b = b & 1u ? b >> 1 ^ crc_polynomial : b >> 1;
    }
    return product;
}

/* The checksum of n bytes with the checksum after, which follow others with the checksum before. */
static uint32_t join_crc(uint32_t before, uint32_t after, uint64_t n)
{
    uint32_t power = 0x80000000u, base = 0x00800000u; /* x^0, x^8 */
    for (; n > 0; n >>= 1) {
        if (n & 1u)
            power = multiply(power, base);
        base = multiply(base, base);
    }
    return multiply(power, before) ^ after;
}

static void put_u16(plk_byte_writer *to, unsigned value)
{
    unsigned char bytes[2] = {(unsigned char)(value & 0xFF), (unsigned char)(value >> 8)};
    plk_put_bytes(to, bytes, sizeof bytes);
}

/* One member of the file. */
typedef struct member {
    const char *name, *type;
    unsigned value_bytes;
    uint64_t n, offset_bytes;
    uint32_t crc; /* of header and values */
} member;

static uint64_t size_of(const member *m)
{
    return NPY_BYTES + m->n * m->value_bytes;
}

/* The header of NumPy's format 1.0. */
static void put_npy(plk_byte_writer *to, const member *m)
{
    char text[NPY_BYTES - NPY_PREFIX_BYTES + 1];
    int n =
        snprintf(text, sizeof text, "{'descr': '%s', 'fortran_order': False, 'shape': (%llu,), }",
                 m->type, (unsigned long long)m->n);
    memset(text + n, ' ', sizeof text - (size_t)n);
    text[sizeof text - 2] = '\n';
    plk_put_bytes(to, "\x93NUMPY\1\0", 8);
    put_u16(to, NPY_BYTES - NPY_PREFIX_BYTES);
    plk_put_bytes(to, text, sizeof text - 1);
}

/* What local header and directory have in common: version to flags and sizes. */
static void put_description(plk_byte_writer *to, const member *m, unsigned extra_bytes)
{
    put_u16(to, VERSION_ZIP64);
    put_u16(to, 0);
    put_u16(to, PLK_ZIP_STORED);
    plk_put_u32(to, (uint32_t)0x21 << 16); /* the first day that there is: files can be compared */
    plk_put_u32(to, m->crc);
    plk_put_u32(to, UINT32_MAX);
    plk_put_u32(to, UINT32_MAX);
    put_u16(to, (unsigned)strlen(m->name));
    put_u16(to, extra_bytes);
}

static void put_local(plk_byte_writer *to, const member *m)
{
    plk_put_bytes(to, "PK\3\4", 4);
    put_description(to, m, LOCAL_EXTRA_BYTES);
    plk_put_bytes(to, m->name, strlen(m->name));
    put_u16(to, 1);
    put_u16(to, LOCAL_EXTRA_BYTES - 4);
    plk_put_u64(to, size_of(m));
    plk_put_u64(to, size_of(m));
}

static void put_entry(plk_byte_writer *to, const member *m)
{
    plk_put_bytes(to, "PK\1\2", 4);
    put_u16(to, VERSION_ZIP64);
    put_description(to, m, ENTRY_EXTRA_BYTES);
    put_u16(to, 0);
    put_u16(to, 0);
    put_u16(to, 0);
    plk_put_u32(to, 0);
    plk_put_u32(to, UINT32_MAX);
    plk_put_bytes(to, m->name, strlen(m->name));
    put_u16(to, 1);
    put_u16(to, ENTRY_EXTRA_BYTES - 4);
    plk_put_u64(to, size_of(m));
    plk_put_u64(to, size_of(m));
    plk_put_u64(to, m->offset_bytes);
}

/* The ends of the file. */
static void put_end(plk_byte_writer *to, uint64_t offset_bytes, uint64_t size_bytes)
{
    plk_put_bytes(to, "PK\6\6", 4);
    plk_put_u64(to, 44);
    put_u16(to, VERSION_ZIP64);
    put_u16(to, VERSION_ZIP64);
    plk_put_u64(to, 0); /* numbers of disks */
    plk_put_u64(to, MEMBERS);
    plk_put_u64(to, MEMBERS);
    plk_put_u64(to, size_bytes);
    plk_put_u64(to, offset_bytes);
    plk_put_bytes(to, "PK\6\7", 4);
    plk_put_u32(to, 0);
    plk_put_u64(to, offset_bytes + size_bytes);
    plk_put_u32(to, 1);
    plk_put_bytes(to, "PK\5\6", 4);
    plk_put_u32(to, 0);
    plk_put_u32(to, UINT32_MAX); /* entries */
    plk_put_u32(to, UINT32_MAX);
    plk_put_u32(to, UINT32_MAX);
    put_u16(to, 0);
}

static void write_made(output *out, const plk_byte_writer *made)
{
    output_write(out, (const char *)made->bytes, made->n_bytes);
}

/* The beginning of the file. */
static void put_head(plk_byte_writer *to, const member *tokens)
{
    put_local(to, tokens);
    put_npy(to, tokens);
}

static member tokens_member(const kept_writer *w)
{
    return (member){.name = "tokens.npy", .type = "<i4", .value_bytes = 4, .n = w->n_tokens};
}

int kept_writer_open(kept_writer *w, output *out, const char *path)
{
    *w = (kept_writer){.out = out, .path = path};
    int code = output_open(out, path);
    if (code != EXIT_DONE)
        return code;
    if (!out->file.temporary)
        return EXIT_DONE;
    unsigned char head[HEAD_BYTES];
    plk_byte_writer made = plk_byte_writer_make(head, sizeof head);
    member tokens = tokens_member(w);
    put_head(&made, &tokens);
    write_made(out, &made);
    return EXIT_DONE;
}

/* Room for one more set. */
static bool reserve(kept_writer *w)
{
    if (w->n_sets < w->capacity)
        return true;
    size_t capacity = w->capacity == 0 ? 256 : 2 * w->capacity;
    uint64_t *ends = realloc(w->ends, capacity * sizeof *ends);
    w->ends = ends ? ends : w->ends;
    uint32_t *log_mass = realloc(w->log_mass, capacity * sizeof *log_mass);
    w->log_mass = log_mass ? log_mass : w->log_mass;
    if (!ends || !log_mass)
        return false;
    w->capacity = capacity;
    return true;
}

/* Appends tokens to those that are written at the end. */
static bool keep_late(kept_writer *w, const void *tokens, size_t n_bytes)
{
    size_t used = (size_t)w->n_tokens * sizeof(pluck_token);
    if (!grow(&w->late, &w->late_capacity, used + n_bytes, 1))
        return false;
    if (n_bytes > 0)
        memcpy(w->late + used, tokens, n_bytes);
    return true;
}

const char *kept_writer_make(kept_writer *w, const pluck_token *tokens, size_t n, float log_mass,
                             size_t *n_bytes)
{
    uint32_t bits = 0;
    if (!grow(&w->made, &w->made_capacity, sizeof bits + n * sizeof *tokens, 1))
        return NULL;
    plk_byte_writer to = plk_byte_writer_make(w->made, w->made_capacity);
    memcpy(&bits, &log_mass, sizeof bits);
    plk_put_u32(&to, bits);
    for (size_t i = 0; i < n; i++)
        plk_put_u32(&to, (uint32_t)tokens[i]);
    *n_bytes = to.n_bytes;
    return (const char *)w->made;
}

int kept_writer_add(kept_writer *w, const char *bytes, size_t n_bytes)
{
    plk_byte_reader in = {(const unsigned char *)bytes, n_bytes, false};
    uint32_t log_mass = plk_take_u32(&in);
    if (in.is_short || in.n_bytes % sizeof(pluck_token) != 0)
        return complain(EXIT_DATA, "a set of tokens has %zu bytes", n_bytes);
    if (!reserve(w))
        return complain_memory();
    w->crc = plk_crc32(w->crc, in.bytes, in.n_bytes);
    if (w->out->file.temporary)
        output_write(w->out, (const char *)in.bytes, in.n_bytes);
    else if (!keep_late(w, in.bytes, in.n_bytes))
        return complain_memory();
    w->n_tokens += in.n_bytes / sizeof(pluck_token);
    w->ends[w->n_sets] = w->n_tokens;
    w->log_mass[w->n_sets++] = log_mass;
    return EXIT_DONE;
}

/* Writes a member of which value i is put by put, and finds its checksum on the way: first without
 * writing. */
typedef void (*put_value)(const kept_writer *w, uint64_t i, plk_byte_writer *to);

static void put_offset(const kept_writer *w, uint64_t i, plk_byte_writer *to)
{
    plk_put_u64(to, i == 0 ? 0 : w->ends[i - 1]);
}

static void put_log_mass(const kept_writer *w, uint64_t i, plk_byte_writer *to)
{
    plk_put_u32(to, w->log_mass[i]);
}

static void write_member(kept_writer *w, member *m, put_value put)
{
    unsigned char bytes[HEAD_BYTES + CHUNK * 8];
    for (int pass = 0; pass < 2; pass++) {
        plk_byte_writer made = plk_byte_writer_make(bytes, sizeof bytes);
        if (pass == 1) {
            put_local(&made, m);
            write_made(w->out, &made);
        }
        made = plk_byte_writer_make(bytes, sizeof bytes);
        put_npy(&made, m);
        for (uint64_t i = 0; i <= m->n; i++) {
            if (i < m->n)
                put(w, i, &made);
            if (i < m->n && i % CHUNK != CHUNK - 1)
                continue;
            if (pass == 0)
                m->crc = plk_crc32(m->crc, bytes, made.n_bytes);
            else
                write_made(w->out, &made);
            made = plk_byte_writer_make(bytes, sizeof bytes);
        }
    }
}

static uint64_t end_of(const member *m)
{
    return m->offset_bytes + LOCAL_BYTES + strlen(m->name) + LOCAL_EXTRA_BYTES + size_of(m);
}

void kept_writer_finish(kept_writer *w)
{
    output *out = w->out;
    bool is_late = !out->file.temporary;
    member members[MEMBERS] = {
        tokens_member(w),
        {.name = "offsets.npy", .type = "<i8", .value_bytes = 8, .n = w->n_sets + 1},
        {.name = "log_mass.npy", .type = "<f4", .value_bytes = 4, .n = w->n_sets},
    };
    unsigned char head_bytes[HEAD_BYTES], bytes[1024];
    plk_byte_writer made = plk_byte_writer_make(bytes, sizeof bytes);
    plk_byte_writer head = plk_byte_writer_make(head_bytes, sizeof head_bytes);
    uint64_t size_bytes = w->n_tokens * members[0].value_bytes;
    put_npy(&made, &members[0]);
    members[0].crc = join_crc(plk_crc32(0, bytes, made.n_bytes), w->crc, size_bytes);
    put_head(&head, &members[0]);
    if (is_late) {
        write_made(out, &head);
        output_write(out, (const char *)w->late, (size_t)size_bytes);
    }
    members[1].offset_bytes = end_of(&members[0]);
    write_member(w, &members[1], put_offset);
    members[2].offset_bytes = end_of(&members[1]);
    write_member(w, &members[2], put_log_mass);

    made = plk_byte_writer_make(bytes, sizeof bytes);
    for (int i = 0; i < MEMBERS; i++)
        put_entry(&made, &members[i]);
    put_end(&made, end_of(&members[2]), made.n_bytes);
    write_made(out, &made);
    if (!is_late && out->error == 0 &&
        plk_new_file_rewrite(&out->file, head_bytes, head.n_bytes, &out->err) != PLUCK_OK)
        out->error = EIO;
}

void kept_writer_free(kept_writer *w)
{
    free(w->ends);
    free(w->log_mass);
    free(w->late);
    free(w->made);
    *w = (kept_writer){.out = NULL};
}
