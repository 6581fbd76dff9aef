/*
 * .npz: a ZIP file (container/zip.h) of .npy arrays, each a member NAME.npy (numpy.savez). Of many
 * arrays, the one that was asked for, or the only one that can be meant: of those whose type can be
 * read, the only one with two axes or more, else the only one with one.
 *
 * A stored array is a matrix of the file, mapped like any other. A deflated one is a stream within
 * the file, unpacked from front to back. Checksums: that of a deflated array is compared after its
 * last row; that of a stored one of up to 64 MiB when it is opened, of a larger one after its last
 * row, if the rows were read in order by one thread at a time, since anything else would read the
 * file twice.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/text.h"
#include "container/crc32.h"
#include "container/zip.h"
#include "container/zip_stream.h"
#include "dump/reader.h"

enum { LIST_BYTES = 128, NAME_BYTES = 64, CRC_STEP_BYTES = 1 << 20 };

#define CRC_AT_OPEN_BYTES ((uint64_t)64 << 20)
#define CRC_BUSY          (UINT64_MAX - 1)
#define CRC_OFF           UINT64_MAX

typedef struct npz_file {
    pl_zip_stream stream; /* of the array */
    pl_source unpacked;   /* its bytes, if it is deflated */
    bool is_packed;
    _Atomic uint64_t crc_row; /* the next row of the running checksum */
    uint32_t crc;
} npz_file;

static bool sniff(const uint8_t *bytes, size_t size_bytes, const pluck_dump_options *options)
{
    (void)options;
    return pl_zip_has_prefix(bytes, size_bytes);
}

/* The name of the array that a member is; false: it is none. */
static bool array_name(const pl_zip_member *member, size_t *length)
{
    static const char ending[] = ".npy";
    const size_t n = sizeof ending - 1;
    if (member->name_length < n || memcmp(member->name + member->name_length - n, ending, n) != 0)
        return false;
    *length = member->name_length - n;
    return true;
}

static void copy_name(const pl_zip_member *member, char name[NAME_BYTES])
{
    size_t length = 0;
    (void)array_name(member, &length);
    length = length < NAME_BYTES - 1 ? length : NAME_BYTES - 1;
    memcpy(name, member->name, length);
    name[length] = '\0';
}

/* 2 for two axes or more, 1 for one, 0 for what cannot be rows of logits. */
static pluck_status find_rank(pluck_dump *dump, const pl_zip_member *member, pluck_dtype as,
                              int *rank, pluck_error *err)
{
    pl_zip_stream stream;
    pl_source unpacked;
    pl_matrix matrix = {0};
    size_t header_size = 0;
    *rank = 0;
    pluck_status status = pl_zip_stream_open(&stream, &dump->source, member, &dump->allocator, err);
    if (status)
        return status;
    pl_source_open_pull(&unpacked, dump->source.label, pl_zip_stream_pull, &stream,
                        &dump->allocator);
    status = pl_matrix_read_header(&matrix, &unpacked, as, dump->source.label, &header_size, err);
    if (status == PLUCK_OK)
        *rank = matrix.shape.n_axes > 1 ? 2 : 1;
    pl_source_close(&unpacked);
    pl_zip_stream_close(&stream);
    return status == PLUCK_ERR_FORMAT ? PLUCK_OK : status;
}

static void append_name(char list[LIST_BYTES], const char *name)
{
    const size_t used = strlen(list), length = strlen(name);
    if (used + length + 12 < LIST_BYTES)
        (void)snprintf(list + used, LIST_BYTES - used, "%s'%s'", used ? ", " : "", name);
    else if (used + 6 < LIST_BYTES && (used < 3 || strcmp(list + used - 3, "...") != 0))
        (void)snprintf(list + used, LIST_BYTES - used, "%s...", used ? ", " : "");
}

static pluck_status find_named(const pluck_dump *dump, const pl_zip *zip, const char *wanted,
                               pl_zip_member *chosen, pluck_error *err)
{
    char name[NAME_BYTES], near[NAME_BYTES] = "", list[LIST_BYTES] = "";
    size_t least = SIZE_MAX, length = 0;
    uint64_t at = zip->directory_begin;
    for (uint64_t i = 0; i < zip->n_members; i++) {
        pl_zip_member member;
        pluck_status status = pl_zip_next(zip, &at, &member, err);
        if (status)
            return status;
        if (!array_name(&member, &length))
            continue;
        if (length == strlen(wanted) && memcmp(member.name, wanted, length) == 0) {
            *chosen = member;
            return PLUCK_OK;
        }
        copy_name(&member, name);
        append_name(list, name);
        const size_t distance = pl_edit_distance(wanted, name);
        if (distance < least) {
            least = distance;
            memcpy(near, name, sizeof near);
        }
    }
    if (least != SIZE_MAX && pl_is_near(least, near))
        return pl_fail(err, PLUCK_ERR_INVALID, "%s: has no array '%.64s', did you mean '%s'?",
                       dump->source.label, wanted, near);
    return pl_fail(err, PLUCK_ERR_INVALID, "%s: has no array '%.40s'; it has %s",
                   dump->source.label, wanted, list[0] ? list : "none");
}

static pluck_status find_only(pluck_dump *dump, const pl_zip *zip, pluck_dtype as,
                              pl_zip_member *chosen, pluck_error *err)
{
    char lists[2][LIST_BYTES] = {"", ""}, name[NAME_BYTES];
    size_t n_of[2] = {0, 0}, length = 0;
    pl_zip_member found[2] = {{0}, {0}};
    uint64_t at = zip->directory_begin;
    for (uint64_t i = 0; i < zip->n_members; i++) {
        pl_zip_member member;
        int rank = 0;
        pluck_status status = pl_zip_next(zip, &at, &member, err);
        if (status == PLUCK_OK && array_name(&member, &length))
            status = find_rank(dump, &member, as, &rank, err);
        if (status)
            return status;
        if (rank == 0)
            continue;
        copy_name(&member, name);
        append_name(lists[rank - 1], name);
        found[rank - 1] = member;
        n_of[rank - 1]++;
    }
    for (int rank = 2; rank >= 1; rank--) {
        *chosen = found[rank - 1];
        if (n_of[rank - 1] == 1)
            return PLUCK_OK;
        if (n_of[rank - 1] > 1)
            return pl_fail(err, PLUCK_ERR_FORMAT,
                           "%s: has %zu arrays that may be logits, name one of them: %s",
                           dump->source.label, n_of[rank - 1], lists[rank - 1]);
    }
    return pl_fail(err, PLUCK_ERR_FORMAT,
                   "%s: none of its %llu members is an .npy array of floats with an axis",
                   dump->source.label, (unsigned long long)zip->n_members);
}

/* The checksum of a stored array: all of it now, or that of its header. */
static pluck_status start_crc(pluck_dump *dump, npz_file *npz, size_t header_size, pluck_error *err)
{
    const pl_zip_member *member = &npz->stream.member;
    const bool is_small = member->size_bytes <= CRC_AT_OPEN_BYTES;
    const uint64_t n = is_small ? member->size_bytes : header_size;
    for (uint64_t done = 0; done < n;) {
        const size_t step = n - done < CRC_STEP_BYTES ? (size_t)(n - done) : CRC_STEP_BYTES;
        const uint8_t *bytes = pl_source_at(&dump->source, member->offset_bytes + done, step);
        npz->crc = pl_crc32(npz->crc, bytes, step);
        done += step;
    }
    atomic_init(&npz->crc_row, is_small || dump->matrix.fortran ? CRC_OFF : 0);
    if (!is_small || npz->crc == member->crc)
        return PLUCK_OK;
    return pl_fail(err, PLUCK_ERR_FORMAT,
                   "%s: array '%s' is damaged: its CRC-32 is %08x, expected %08x",
                   dump->source.label, dump->tensor, (unsigned)npz->crc, (unsigned)member->crc);
}

static pluck_status open_member(pluck_dump *dump, npz_file *npz, const pl_zip_member *member,
                                pluck_dtype as, pluck_error *err)
{
    pl_matrix *matrix = &dump->matrix;
    const char *label = dump->source.label;
    size_t header_size = 0, name_length = 0, n_read = 0;
    (void)array_name(member, &name_length);
    dump->tensor = pl_alloc(&dump->allocator, name_length + 1, 1);
    if (!dump->tensor)
        return pl_fail_nomem(err, name_length + 1);
    memcpy(dump->tensor, member->name, name_length);
    dump->tensor[name_length] = '\0';
    pluck_status status =
        pl_zip_stream_open(&npz->stream, &dump->source, member, &dump->allocator, err);
    if (status)
        return status;
    pl_source_open_pull(&npz->unpacked, label, pl_zip_stream_pull, &npz->stream, &dump->allocator);
    status = pl_matrix_read_header(matrix, &npz->unpacked, as, label, &header_size, err);
    if (status)
        return status;
    npz->is_packed = npz->stream.inflater != NULL;
    matrix->offset_bytes = header_size;
    status = pl_matrix_check_size(
        matrix, member->size_bytes < header_size ? 0 : member->size_bytes - header_size, label,
        err);
    if (status == PLUCK_OK && npz->is_packed && matrix->fortran)
        return pl_fail(err, PLUCK_ERR_FORMAT,
                       "%s: array '%s' is compressed and in Fortran order, so that its rows are "
                       "complete only at the end; store it in C order, or uncompressed",
                       label, dump->tensor);
    if (status == PLUCK_OK && npz->is_packed)
        return pl_source_read(&npz->unpacked, NULL, header_size, &n_read, err);
    matrix->offset_bytes += member->offset_bytes;
    return status ? status : start_crc(dump, npz, header_size, err);
}

static pluck_status open_archive(pluck_dump *dump, const pluck_dump_options *options,
                                 pluck_error *err)
{
    pl_source *source = &dump->source;
    pl_zip zip;
    pl_zip_member member = {0};
    if (source->streamed)
        return pl_fail(err, PLUCK_ERR_FORMAT,
                       "%s: an .npz file cannot be read from a stream, since its directory is at "
                       "the end; store it as a file",
                       source->label);
    npz_file *npz = pl_alloc_zero(&dump->allocator, 1, sizeof *npz);
    if (!npz)
        return pl_fail_nomem(err, sizeof *npz);
    dump->own = npz;
    pluck_status status = pl_zip_open(&zip, source->bytes, source->size_bytes, source->label, err);
    if (status == PLUCK_OK)
        status = options->tensor ? find_named(dump, &zip, options->tensor, &member, err)
                                 : find_only(dump, &zip, options->raw_dtype, &member, err);
    if (status == PLUCK_OK)
        status = open_member(dump, npz, &member, options->raw_dtype, err);
    if (status)
        return status;
    pl_reader_matrix_info(dump);
    dump->info.streamed = npz->is_packed;
    return PLUCK_OK;
}

/* Takes the row into the running checksum, if it is its turn; compares it after the last. */
static pluck_status add_row(pluck_dump *dump, npz_file *npz, uint64_t row, pluck_error *err)
{
    const pl_matrix *matrix = &dump->matrix;
    uint64_t expected = row;
    if (!atomic_compare_exchange_strong(&npz->crc_row, &expected, CRC_BUSY))
        return PLUCK_OK;
    const uint8_t *bytes = dump->source.bytes + matrix->offset_bytes + row * matrix->row_size_bytes;
    npz->crc = pl_crc32(npz->crc, bytes, (size_t)matrix->row_size_bytes);
    const bool differs = row + 1 == matrix->n_rows && npz->crc != npz->stream.member.crc;
    const uint32_t crc = npz->crc;
    atomic_store(&npz->crc_row, row + 1);
    if (!differs)
        return PLUCK_OK;
    return pl_fail(
        err, PLUCK_ERR_FORMAT, "%s: array '%s' is damaged: its CRC-32 is %08x, expected %08x",
        dump->source.label, dump->tensor, (unsigned)crc, (unsigned)npz->stream.member.crc);
}

static pluck_status read_row(pluck_dump *dump, uint64_t row, float *scratch, pluck_dump_row *out,
                             pluck_error *err)
{
    npz_file *npz = dump->own;
    if (npz->is_packed)
        return pl_matrix_read(&dump->matrix, &npz->unpacked, row, scratch, &out->logits, err);
    pluck_status status =
        pl_matrix_read(&dump->matrix, &dump->source, row, scratch, &out->logits, err);
    return status ? status : add_row(dump, npz, row, err);
}

static void release_rows(pluck_dump *dump, uint64_t row)
{
    const npz_file *npz = dump->own;
    if (npz->is_packed)
        pl_source_release(&dump->source, npz->stream.member.offset_bytes + npz->stream.n_packed);
    else
        pl_matrix_release(&dump->matrix, &dump->source, row);
}

static void close_archive(pluck_dump *dump)
{
    npz_file *npz = dump->own;
    pl_reader_matrix_close(dump);
    if (!npz)
        return;
    if (npz->unpacked.pull)
        pl_source_close(&npz->unpacked);
    pl_zip_stream_close(&npz->stream);
    pl_free(&dump->allocator, npz);
    dump->own = NULL;
}

const pl_dump_reader pl_dump_npz = {
    .format = PLUCK_DUMP_NPZ,
    .name = "npz",
    .recognised = ".npz",
    .has_tensors = true,
    .sniff = sniff,
    .open = open_archive,
    .read = read_row,
    .release = release_rows,
    .close = close_archive,
};
