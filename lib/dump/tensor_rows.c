/*
 * The logits are one tensor, or several of one shape that follow each other: parts. A part that is
 * stored as it is is a matrix of the file, mapped like any other. One that is deflated is a stream
 * within the file, unpacked from front to back.
 *
 * Checksums of ZIP members: that of a deflated one is compared after its last row; those of stored
 * ones of up to 64 MiB together when the file is opened, of larger ones after the last row of each,
 * if its rows were read in order by one thread at a time, since anything else would read the file
 * twice.
 */
#include "dump/reader.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/text.h"
#include "file/array_file.h"

#include <stdio.h>
#include <string.h>

enum { CRC_STEP_BYTES = 1 << 20, TARGETS_AT_ONCE = 512 };

#define CRC_AT_OPEN_BYTES ((uint64_t)64 << 20)
#define CRC_BUSY          (UINT64_MAX - 1)
#define CRC_OFF           UINT64_MAX

static void close_stream(plk_tensor_rows *rows)
{
    if (!rows->is_open)
        return;
    plk_source_close(&rows->unpacked);
    plk_zip_stream_close(&rows->stream);
    rows->is_open = false;
}

/* Opens a deflated part at its first row. */
static pluck_status open_stream(pluck_dump *dump, plk_tensor_rows *rows, size_t index,
                                pluck_error *err)
{
    const plk_tensor_part *p = &rows->parts[index];
    size_t n_read = 0;
    close_stream(rows);
    rows->current = index;
    rows->layout = dump->layout;
    rows->layout.failure =
        plk_zip_stream_open(&rows->stream, &dump->source, &p->member, &dump->allocator, err);
    if (rows->layout.failure != PLUCK_OK)
        return rows->layout.failure;
    plk_source_open_pull(&rows->unpacked, dump->source.label, plk_zip_stream_pull, &rows->stream,
                         &dump->allocator);
    rows->is_open = true;
    rows->layout.failure =
        plk_source_read(&rows->unpacked, NULL, (size_t)p->offset_bytes, &n_read, err);
    return rows->layout.failure;
}

static pluck_status fail_crc(const pluck_dump *dump, const plk_tensor_part *p, uint32_t crc,
                             pluck_error *err)
{
    return plk_fail(err, PLUCK_ERR_FORMAT,
                    "%s: '%.*s' is damaged: its CRC-32 is %08x, expected %08x", dump->source.label,
                    (int)(p->member.name_length < 40 ? p->member.name_length : 40), p->member.name,
                    (unsigned)crc, (unsigned)p->member.crc);
}

/* The checksum of a stored member: all of it now, or that of what stands before its rows. */
static pluck_status start_crc(pluck_dump *dump, plk_tensor_part *p, bool is_small, pluck_error *err)
{
    const plk_zip_member *member = &p->member;
    uint64_t n = is_small ? member->size_bytes : p->offset_bytes - member->offset_bytes;
    for (uint64_t done = 0; done < n;) {
        size_t step = n - done < CRC_STEP_BYTES ? (size_t)(n - done) : CRC_STEP_BYTES;
        const uint8_t *bytes = plk_source_at(&dump->source, member->offset_bytes + done, step);
        p->crc = plk_crc32(p->crc, bytes, step);
        done += step;
    }
    uint64_t end = p->offset_bytes + dump->layout.n_rows * dump->layout.row_size_bytes;
    bool ends_with_rows = end == member->offset_bytes + member->size_bytes;
    atomic_init(&p->crc_row, is_small || dump->layout.fortran || !ends_with_rows ? CRC_OFF : 0);
    return is_small && p->crc != member->crc ? fail_crc(dump, p, p->crc, err) : PLUCK_OK;
}

/* Takes the row into the running checksum, if it is its turn; compares it after the last. */
static pluck_status add_row(pluck_dump *dump, plk_tensor_part *p, uint64_t row, pluck_error *err)
{
    const plk_row_layout *layout = &dump->layout;
    uint64_t expected = row;
    if (!p->is_member || !atomic_compare_exchange_strong(&p->crc_row, &expected, CRC_BUSY))
        return PLUCK_OK;
    const uint8_t *bytes = dump->source.bytes + p->offset_bytes + row * layout->row_size_bytes;
    uint32_t crc = plk_crc32(p->crc, bytes, (size_t)layout->row_size_bytes);
    p->crc = crc;
    bool differs = row + 1 == layout->n_rows && crc != p->member.crc;
    atomic_store(&p->crc_row, row + 1);
    return differs ? fail_crc(dump, p, crc, err) : PLUCK_OK;
}

static pluck_status fail_type(const plk_tensors *tensors, const plk_tensor *tensor,
                              pluck_error *err)
{
    const char *hint = tensor->kind == PLK_TENSOR_INTEGERS && tensor->integers.size_bytes == 2
                           ? "; --dtype bf16 (raw_dtype) if these are the bits of bfloat16"
                           : "";
    return plk_fail(err, PLUCK_ERR_FORMAT,
                    "%s: %s '%.*s': values of %s are not logits: expected F32, F16, BF16 or F64%s",
                    tensors->where, tensors->noun,
                    (int)(tensor->name_length < 64 ? tensor->name_length : 64), tensor->name,
                    tensor->floats.name, hint);
}

/* The layout of one part. */
static pluck_status set_matrix(pluck_dump *dump, const plk_tensors *tensors,
                               const plk_tensor *tensor, pluck_error *err)
{
    plk_row_layout *layout = &dump->layout;
    char where[PLK_SOURCE_LABEL_BYTES + 64];
    (void)snprintf(where, sizeof where, "%s: %s '%.*s'", tensors->where, tensors->noun,
                   (int)(tensor->name_length < 40 ? tensor->name_length : 40), tensor->name);
    if (tensor->kind != PLK_TENSOR_FLOATS)
        return fail_type(tensors, tensor, err);
    if (tensor->has_gaps)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s is a view that is not contiguous; save logits.contiguous()", where);
    layout->type = tensor->floats.type;
    layout->swapped = tensor->floats.swapped;
    memcpy(layout->stored_dtype, tensor->floats.name, sizeof layout->stored_dtype);
    pluck_status status = plk_layout_set_shape(layout, &tensor->shape, where, err);
    if (status != PLUCK_OK)
        return status;
    layout->fortran = tensor->fortran && layout->n_rows > 1;
    layout->offset_bytes = tensor->offset_bytes;
    if (layout->fortran && tensor->is_member && tensor->member.method != PLK_ZIP_STORED)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s is compressed and in Fortran order, so its rows are complete only "
                        "at the end; store it in C order, or uncompressed",
                        where);
    return PLUCK_OK;
}

static pluck_status take_parts(pluck_dump *dump, plk_tensor_rows *rows, const plk_tensors *tensors,
                               const size_t *indices, size_t n, pluck_error *err)
{
    uint64_t total = 0;
    rows->parts = plk_alloc_zero(&dump->allocator, n, sizeof *rows->parts);
    if (!rows->parts)
        return plk_fail_nomem(err, n * sizeof *rows->parts);
    rows->n_parts = n;
    for (size_t i = 0; i < n; i++) {
        const plk_tensor *tensor = &tensors->items[indices[i]];
        plk_tensor_part *p = &rows->parts[i];
        pluck_status status = set_matrix(dump, tensors, tensor, err);
        if (status == PLUCK_OK)
            status =
                plk_layout_check_size(&dump->layout, tensor->available_bytes, tensors->where, err);
        if (status != PLUCK_OK)
            return status;
        p->offset_bytes = tensor->offset_bytes;
        p->is_member = tensor->is_member;
        p->member = tensor->member;
        atomic_init(&p->crc_row, CRC_OFF);
        bool is_packed = tensor->is_member && tensor->member.method != PLK_ZIP_STORED;
        if (i > 0 && is_packed != rows->is_packed)
            return plk_fail(err, PLUCK_ERR_FORMAT,
                            "%s: some %ss of logits are compressed and some are not",
                            tensors->where, tensors->noun);
        rows->is_packed = is_packed;
        total += tensor->is_member ? tensor->member.size_bytes : 0;
    }
    rows->rows_per_part = dump->layout.n_rows;
    for (size_t i = 0; i < n && !rows->is_packed && rows->parts[i].is_member; i++) {
        pluck_status status = start_crc(dump, &rows->parts[i], total <= CRC_AT_OPEN_BYTES, err);
        if (status != PLUCK_OK)
            return status;
    }
    return PLUCK_OK;
}

/* "scores.0" and 19 more are "scores.0 to scores.19". */
static pluck_status set_name(pluck_dump *dump, const plk_tensor *first, const plk_tensor *last,
                             pluck_error *err)
{
    static const char between[] = " to ";
    size_t size = first->name_length + 1, used = first->name_length;
    if (first != last)
        size += last->name_length + sizeof between - 1;
    dump->tensor = plk_alloc(&dump->allocator, size, 1);
    if (!dump->tensor)
        return plk_fail_nomem(err, size);
    memcpy(dump->tensor, first->name, first->name_length);
    if (first != last) {
        memcpy(dump->tensor + used, between, sizeof between - 1);
        memcpy(dump->tensor + used + sizeof between - 1, last->name, last->name_length);
    }
    dump->tensor[size - 1] = '\0';
    return PLUCK_OK;
}

/* Integers from source, which is at the first of them. */
static pluck_status read_integers(plk_source *source, const plk_tensor *tensor, pluck_token *tokens,
                                  uint64_t n, uint32_t n_vocab, pluck_error *err)
{
    uint8_t bytes[TARGETS_AT_ONCE * 8];
    size_t size = tensor->integers.size_bytes, n_read = 0;
    for (uint64_t done = 0; done < n;) {
        size_t step = n - done < TARGETS_AT_ONCE ? (size_t)(n - done) : TARGETS_AT_ONCE;
        pluck_status status = plk_source_read(source, bytes, step * size, &n_read, err);
        if (status != PLUCK_OK)
            return status;
        if (n_read < step * size)
            return plk_fail(err, PLUCK_ERR_FORMAT, "%s: its targets are truncated", source->label);
        for (size_t i = 0; i < step; i++) {
            bool is_large = false;
            int64_t value = plk_integer_at(bytes + i * size, &tensor->integers, &is_large);
            if (is_large || value >= (int64_t)n_vocab)
                return plk_fail(
                    err, PLUCK_ERR_FORMAT,
                    "%s: target %llu of '%.*s' is %lld: expected a token below %u, or a "
                    "negative number for none",
                    source->label, (unsigned long long)(done + i), (int)tensor->name_length,
                    tensor->name, (long long)value, (unsigned)n_vocab);
            tokens[done + i] = value < 0 ? PLUCK_NO_TOKEN : (pluck_token)value;
        }
        done += step;
    }
    return PLUCK_OK;
}

/* Targets that are in the file, if they have the shape of the rows. */
static pluck_status take_targets(pluck_dump *dump, plk_tensor_rows *rows, const plk_tensor *tensor,
                                 pluck_error *err)
{
    plk_shape of_rows = rows->shape;
    uint64_t n = 0;
    bool fits = plk_count_values(tensor->shape.axes, tensor->shape.n_axes, 1, &n);
    of_rows.n_axes--;
    if (!fits || n != dump->info.n_rows || !plk_shapes_agree(&of_rows, &tensor->shape) ||
        (tensor->fortran && plk_shape_squeezed(&tensor->shape).n_axes > 1) ||
        tensor->available_bytes / tensor->integers.size_bytes < n)
        return PLUCK_OK;
    rows->targets = plk_alloc(&dump->allocator, (size_t)n, sizeof *rows->targets);
    if (!rows->targets)
        return plk_fail_nomem(err, (size_t)n * sizeof *rows->targets);
    plk_source values;
    plk_zip_stream stream = {0};
    pluck_status status = PLUCK_OK;
    size_t n_read = 0;
    if (tensor->is_member) {
        status =
            plk_zip_stream_open(&stream, &dump->source, &tensor->member, &dump->allocator, err);
        if (status != PLUCK_OK)
            return status;
        plk_source_open_pull(&values, dump->source.label, plk_zip_stream_pull, &stream,
                             &dump->allocator);
        uint64_t skipped = tensor->member.method == PLK_ZIP_STORED
                               ? tensor->offset_bytes - tensor->member.offset_bytes
                               : tensor->offset_bytes;
        status = plk_source_read(&values, NULL, (size_t)skipped, &n_read, err);
    } else {
        plk_source_open_memory(&values, dump->source.label,
                               dump->source.bytes + tensor->offset_bytes,
                               (size_t)tensor->available_bytes, true, &dump->allocator);
    }
    if (status == PLUCK_OK)
        status = read_integers(&values, tensor, rows->targets, n, dump->info.n_vocab, err);
    plk_source_close(&values);
    plk_zip_stream_close(&stream);
    dump->info.has_targets = status == PLUCK_OK;
    return status;
}

static void set_info(pluck_dump *dump, plk_tensor_rows *rows)
{
    plk_reader_layout_info(dump);
    rows->shape = dump->layout.shape;
    if (rows->n_parts > 1) {
        memmove(rows->shape.axes + 1, rows->shape.axes,
                (PLK_MAX_AXES - 1) * sizeof *rows->shape.axes);
        rows->shape.axes[0] = rows->n_parts;
        rows->shape.n_axes++;
    }
    dump->info.n_rows = rows->n_parts * rows->rows_per_part;
    dump->info.n_axes = rows->shape.n_axes;
    dump->info.axes = rows->shape.axes;
    dump->info.n_tensors = rows->n_parts;
    dump->info.streamed = rows->is_packed;
}

pluck_status plk_tensor_rows_open(pluck_dump *dump, const plk_tensors *tensors,
                                  const pluck_dump_options *options, pluck_error *err)
{
    plk_tensor_rows *rows = dump->own;
    size_t *indices = NULL, n = 0;
    pluck_status status = plk_tensors_choose(tensors, options->tensor, &indices, &n, err);
    if (status != PLUCK_OK)
        return status;
    status = set_name(dump, &tensors->items[indices[0]], &tensors->items[indices[n - 1]], err);
    if (status == PLUCK_OK)
        status = take_parts(dump, rows, tensors, indices, n, err);
    plk_free(&tensors->allocator, indices);
    if (status != PLUCK_OK)
        return status;
    if (n > 1 && (dump->layout.shape.n_axes == PLK_MAX_AXES ||
                  rows->rows_per_part > UINT64_MAX / n / dump->layout.row_size_bytes))
        return plk_fail(err, PLUCK_ERR_FORMAT, "%s: its %ss are larger than any file",
                        tensors->where, tensors->noun);
    set_info(dump, rows);
    const plk_tensor *targets = plk_tensors_targets(tensors);
    if (targets)
        status = take_targets(dump, rows, targets, err);
    if (status == PLUCK_OK && rows->is_packed)
        status = open_stream(dump, rows, 0, err);
    return status;
}

static pluck_status read_packed(pluck_dump *dump, plk_tensor_rows *rows, uint64_t row,
                                float *scratch, pluck_logits *logits, pluck_error *err)
{
    size_t index = (size_t)(row / rows->rows_per_part);
    uint64_t first = index * rows->rows_per_part;
    pluck_status status = PLUCK_OK;
    if (index < rows->current)
        return plk_check_stream(&dump->source, PLUCK_OK,
                                rows->current * rows->rows_per_part + rows->layout.next_row, row,
                                err);
    if (index > rows->current)
        status = open_stream(dump, rows, index, err);
    if (status == PLUCK_OK)
        status = plk_layout_read(&rows->layout, &rows->unpacked, row - first, scratch, logits, err);
    return status;
}

pluck_status plk_tensor_rows_read(pluck_dump *dump, uint64_t row, float *scratch,
                                  pluck_dump_row *out, pluck_error *err)
{
    plk_tensor_rows *rows = dump->own;
    pluck_status status = PLUCK_OK;
    if (rows->is_packed) {
        status = read_packed(dump, rows, row, scratch, &out->logits, err);
    } else {
        plk_tensor_part *p = &rows->parts[row / rows->rows_per_part];
        uint64_t own_row = row % rows->rows_per_part;
        plk_row_layout layout = dump->layout;
        layout.offset_bytes = p->offset_bytes;
        status = plk_layout_read(&layout, &dump->source, own_row, scratch, &out->logits, err);
        if (status == PLUCK_OK)
            status = add_row(dump, p, own_row, err);
    }
    if (status == PLUCK_OK && rows->targets)
        out->target = rows->targets[row];
    return status;
}

void plk_tensor_rows_release(pluck_dump *dump, uint64_t row)
{
    plk_tensor_rows *rows = dump->own;
    if (rows->is_packed) {
        plk_source_release(&dump->source, rows->stream.member.offset_bytes + rows->stream.n_packed);
    } else if (rows->n_parts == 1) {
        plk_layout_release(&dump->layout, &dump->source, row);
    }
}

void plk_tensor_rows_close(pluck_dump *dump)
{
    plk_tensor_rows *rows = dump->own;
    plk_free(&dump->allocator, dump->tensor);
    close_stream(rows);
    plk_free(&dump->allocator, rows->parts);
    plk_free(&dump->allocator, rows->targets);
}

/*
 * Choosing the logits: names are compared as bytes. A number at the end of a name splits it into a
 * stem and a number, so that "scores.9" comes before "scores.10" wherever they stand in the file.
 */

enum { LIST_BYTES = 128, NAME_BYTES = 64, MAX_DIGITS = 9 };

plk_tensor *plk_tensors_add(plk_tensors *tensors, pluck_error *err)
{
    if (plk_grow(&tensors->allocator, &tensors->items, &tensors->capacity, tensors->n + 1,
                 sizeof *tensors->items, err) != PLUCK_OK)
        return NULL;
    plk_tensor *added = &tensors->items[tensors->n++];
    memset(added, 0, sizeof *added);
    return added;
}

void plk_tensors_free(plk_tensors *tensors)
{
    plk_free(&tensors->allocator, tensors->items);
    plk_free(&tensors->allocator, tensors->names);
    tensors->items = NULL;
    tensors->names = NULL;
    tensors->n = tensors->capacity = 0;
}

static bool is_named(const plk_tensor *tensor, const char *name)
{
    return tensor->name_length == strlen(name) &&
           memcmp(tensor->name, name, tensor->name_length) == 0;
}

/* 2 for two axes or more, 1 for one, 0 for what cannot be rows of logits. */
static int rank(const plk_tensor *tensor)
{
    if (tensor->kind != PLK_TENSOR_FLOATS || tensor->shape.n_axes == 0)
        return 0;
    return tensor->shape.n_axes == 1 ? 1 : 2;
}

/* "'a', 'b', ..." of the tensors of at least that rank. */
static const char *list_names(const plk_tensors *tensors, int least, char text[LIST_BYTES])
{
    static const char cut[] = ", ...";
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < tensors->n; i++) {
        size_t length = tensors->items[i].name_length, before = used > 0 ? 2 : 0;
        if (rank(&tensors->items[i]) < least)
            continue;
        if (length > LIST_BYTES || used + before + length + 2 + sizeof cut > LIST_BYTES) {
            memcpy(text + used, used != 0 ? cut : cut + 2, used != 0 ? sizeof cut : sizeof cut - 2);
            return text;
        }
        memcpy(text + used, ", ", before);
        used += before;
        text[used++] = '\'';
        memcpy(text + used, tensors->items[i].name, length);
        used += length;
        memcpy(text + used, "'", 2);
        used++;
    }
    return used != 0 ? text : "none";
}

/* The number at the end of a name; false: there is none. *stem: what stands before it. */
static bool split_name(const plk_tensor *tensor, size_t *stem, uint32_t *number)
{
    size_t begin = tensor->name_length;
    while (begin > 0 && tensor->name[begin - 1] >= '0' && tensor->name[begin - 1] <= '9')
        begin--;
    size_t n_digits = tensor->name_length - begin;
    if (n_digits == 0 || n_digits > MAX_DIGITS)
        return false;
    *stem = begin;
    *number = 0;
    for (size_t i = begin; i < tensor->name_length; i++)
        *number = 10 * *number + (uint32_t)(tensor->name[i] - '0');
    return true;
}

/* Puts the index of each of n numbered tensors at the place of its number; false: they are not
 * alike, or the numbers have gaps. */
static bool order_group(const plk_tensors *tensors, const size_t *found, size_t n, size_t *parts)
{
    size_t stem = 0, other = 0;
    uint32_t number = 0, least = UINT32_MAX;
    const plk_tensor *first = &tensors->items[found[0]];
    for (size_t i = 0; i < n; i++) {
        const plk_tensor *tensor = &tensors->items[found[i]];
        if (!split_name(tensor, &other, &number) || (i > 0 && other != stem))
            return false;
        stem = other;
        if (memcmp(first->name, tensor->name, stem) != 0 ||
            first->floats.type != tensor->floats.type ||
            first->floats.swapped != tensor->floats.swapped ||
            first->shape.n_axes != tensor->shape.n_axes ||
            memcmp(first->shape.axes, tensor->shape.axes,
                   first->shape.n_axes * sizeof *first->shape.axes) != 0)
            return false;
        least = number < least ? number : least;
        parts[i] = SIZE_MAX;
    }
    for (size_t i = 0; i < n && least <= 1; i++) {
        (void)split_name(&tensors->items[found[i]], &other, &number);
        if (number - least >= n || parts[number - least] != SIZE_MAX)
            return false;
        parts[number - least] = found[i];
    }
    return least <= 1;
}

static pluck_status fail_no_name(const plk_tensors *tensors, const char *name, pluck_error *err)
{
    char near[NAME_BYTES] = "", other[NAME_BYTES], names[LIST_BYTES];
    size_t least = SIZE_MAX;
    plk_suggestion nearest = plk_suggest(name);
    for (size_t i = 0; i < tensors->n; i++) {
        (void)snprintf(other, sizeof other, "%.*s", (int)tensors->items[i].name_length,
                       tensors->items[i].name);
        plk_suggest_offer(&nearest, other, near);
        if (nearest.best && nearest.distance < least) {
            least = nearest.distance;
            memcpy(near, other, sizeof near);
        }
    }
    if (nearest.best)
        return plk_fail(err, PLUCK_ERR_INVALID, "%s: has no %s '%.64s', did you mean '%s'?",
                        tensors->where, tensors->noun, name, near);
    return plk_fail(err, PLUCK_ERR_INVALID, "%s: has no %s '%.40s'; it has %s", tensors->where,
                    tensors->noun, name, list_names(tensors, 0, names));
}

/* Whether the name is wanted, perhaps a '.', '_', '-' or '/', and a number. */
static bool is_numbered(const plk_tensor *tensor, const char *wanted)
{
    size_t stem = 0, length = strlen(wanted);
    uint32_t number = 0;
    if (!split_name(tensor, &stem, &number) || stem < length || stem > length + 1 ||
        memcmp(tensor->name, wanted, length) != 0)
        return false;
    return stem == length || strchr("._-/", tensor->name[length]);
}

/* What may be meant: the tensors of a rank, or those that wanted and a number name. */
static size_t find_all(const plk_tensors *tensors, const char *wanted, int wanted_rank,
                       size_t *found)
{
    size_t n = 0;
    for (size_t i = 0; i < tensors->n; i++) {
        const plk_tensor *tensor = &tensors->items[i];
        if (wanted ? rank(tensor) > 0 && is_numbered(tensor, wanted) : rank(tensor) == wanted_rank)
            found[n++] = i;
    }
    return n;
}

/* Steps under a name that says what they are, among other tensors. */
static bool find_known_group(const plk_tensors *tensors, size_t *found, size_t *parts,
                             size_t *n_parts)
{
    static const char *const stems[] = {"logits", "scores"};
    for (size_t i = 0; i < sizeof stems / sizeof *stems; i++) {
        *n_parts = find_all(tensors, stems[i], 0, found);
        if (*n_parts > 0 && order_group(tensors, found, *n_parts, parts))
            return true;
    }
    return false;
}

/* *n_parts = 0: none. */
static pluck_status choose(const plk_tensors *tensors, const char *wanted, size_t *found,
                           size_t *parts, size_t *n_parts, pluck_error *err)
{
    char names[LIST_BYTES];
    const char *exact = wanted ? wanted : "logits";
    *n_parts = 1;
    for (size_t i = 0; i < tensors->n; i++) {
        parts[0] = i;
        if (is_named(&tensors->items[i], exact) && (wanted || rank(&tensors->items[i]) > 0))
            return PLUCK_OK;
    }
    for (int wanted_rank = 2; wanted_rank >= 1; wanted_rank--) {
        size_t n = find_all(tensors, wanted, wanted_rank, found);
        if (n == 0)
            continue;
        parts[0] = found[0];
        if (n == 1)
            return PLUCK_OK;
        *n_parts = n;
        if (order_group(tensors, found, n, parts) ||
            (!wanted && find_known_group(tensors, found, parts, n_parts)))
            return PLUCK_OK;
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: has %zu %ss that may be logits; name one with --tensor: %s",
                        tensors->where, n, tensors->noun, list_names(tensors, wanted_rank, names));
    }
    *n_parts = 0;
    return PLUCK_OK;
}

pluck_status plk_tensors_choose(const plk_tensors *tensors, const char *wanted, size_t **parts,
                                size_t *n_parts, pluck_error *err)
{
    char names[LIST_BYTES];
    size_t *found = plk_alloc(&tensors->allocator, 2 * tensors->n, sizeof *found);
    *parts = NULL;
    if (!found)
        return plk_fail_nomem(err, 2 * tensors->n * sizeof *found);
    /* The first half of the memory is what is given. */
    pluck_status status = choose(tensors, wanted, found + tensors->n, found, n_parts, err);
    if (status == PLUCK_OK && *n_parts == 0)
        status = wanted ? fail_no_name(tensors, wanted, err)
                        : plk_fail(err, PLUCK_ERR_FORMAT,
                                   "%s: has no %s of floats with an axis; it has %s",
                                   tensors->where, tensors->noun, list_names(tensors, 0, names));
    if (status != PLUCK_OK)
        plk_free(&tensors->allocator, found);
    else
        *parts = found;
    return status;
}

const plk_tensor *plk_tensors_targets(const plk_tensors *tensors)
{
    static const char *const known[] = {"targets", "target"};
    for (size_t k = 0; k < sizeof known / sizeof *known; k++)
        for (size_t i = 0; i < tensors->n; i++)
            if (tensors->items[i].kind == PLK_TENSOR_INTEGERS &&
                is_named(&tensors->items[i], known[k]))
                return &tensors->items[i];
    return NULL;
}
