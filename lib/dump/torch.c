/*
 * Files of torch.save() (PyTorch 1.6 and later): a ZIP file whose members stand in one folder.
 *
 *   data.pkl     the pickle of the object (file/torch_pickle.c)
 *   data/KEY     the values of a storage, as they are in memory
 *   byteorder    "little" or "big"; without it, little
 *   version and others, which do not matter here
 */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "dump/reader.h"
#include "file/array_file.h"

/* What a pickle of plain tensors takes: some 200 bytes each. */
enum { MAX_PICKLE_BYTES = 1 << 24 };

static const char pickle_name[] = "data.pkl", data_folder[] = "data/";

/* The member of that name in the folder in which folder_length bytes of name end. */
static bool ends_with(const plk_zip_member *member, const char *name, size_t *folder_length)
{
    size_t length = strlen(name);
    if (member->name_length < length ||
        memcmp(member->name + member->name_length - length, name, length) != 0)
        return false;
    *folder_length = member->name_length - length;
    return *folder_length == 0 || member->name[*folder_length - 1] == '/';
}

static pluck_status find_member(const plk_zip *zip, const char *folder, size_t folder_length,
                                const char *name, size_t name_length, plk_zip_member *found,
                                bool *is_there, pluck_error *err)
{
    uint64_t at = zip->directory_begin;
    *is_there = false;
    for (uint64_t i = 0; i < zip->n_members && !*is_there; i++) {
        pluck_status status = plk_zip_next(zip, &at, found, err);
        if (status != PLUCK_OK)
            return status;
        *is_there = found->name_length == folder_length + name_length &&
                    memcmp(found->name, folder, folder_length) == 0 &&
                    memcmp(found->name + folder_length, name, name_length) == 0;
    }
    return PLUCK_OK;
}

/* The whole file can be seen, unless it is a stream. */
static bool sniff(const uint8_t *bytes, size_t size_bytes, const pluck_dump_options *options)
{
    plk_zip zip;
    size_t folder = 0;
    (void)options;
    if (!plk_zip_has_prefix(bytes, size_bytes) ||
        plk_zip_open(&zip, bytes, size_bytes, "", NULL) != PLUCK_OK)
        return false;
    uint64_t at = zip.directory_begin;
    for (uint64_t i = 0; i < zip.n_members; i++) {
        plk_zip_member member;
        if (plk_zip_next(&zip, &at, &member, NULL) != PLUCK_OK)
            return false;
        if (ends_with(&member, pickle_name, &folder))
            return true;
    }
    return false;
}

/* All of a small member. */
static pluck_status read_member(pluck_dump *dump, const plk_zip_member *member, uint8_t **bytes,
                                pluck_error *err)
{
    plk_zip_stream stream;
    plk_source unpacked;
    size_t n = 0;
    uint8_t after = 0;
    if (member->size_bytes > MAX_PICKLE_BYTES)
        return plk_fail(err, PLUCK_ERR_FORMAT, "%s: its pickle has %llu bytes, expected at most %d",
                        dump->source.label, (unsigned long long)member->size_bytes,
                        MAX_PICKLE_BYTES);
    *bytes = plk_alloc(&dump->allocator, (size_t)member->size_bytes + 1, 1);
    if (!*bytes)
        return plk_fail_nomem(err, (size_t)member->size_bytes + 1);
    pluck_status status =
        plk_zip_stream_open(&stream, &dump->source, member, &dump->allocator, err);
    if (status != PLUCK_OK)
        return status;
    plk_source_open_pull(&unpacked, dump->source.label, plk_zip_stream_pull, &stream,
                         &dump->allocator);
    status = plk_source_read(&unpacked, *bytes, (size_t)member->size_bytes, &n, err);
    /* The end is where the checksum is compared. */
    if (status == PLUCK_OK)
        status = plk_source_read(&unpacked, &after, 1, &n, err);
    plk_source_close(&unpacked);
    plk_zip_stream_close(&stream);
    return status;
}

static void set_kind(const plk_torch_tensor *found, bool big_endian, pluck_dtype as,
                     plk_tensor *tensor, unsigned *size_bytes)
{
    static const struct {
        const char *storage, *name;
        plk_tensor_kind kind;
        plk_stored_type type;
        unsigned size_bytes;
        bool is_signed;
    } types[] = {
        {"FloatStorage", "float32", PLK_TENSOR_FLOATS, PLK_STORED_F32, 4, true},
        {"HalfStorage", "float16", PLK_TENSOR_FLOATS, PLK_STORED_F16, 2, true},
        {"BFloat16Storage", "bfloat16", PLK_TENSOR_FLOATS, PLK_STORED_BF16, 2, true},
        {"DoubleStorage", "float64", PLK_TENSOR_FLOATS, PLK_STORED_F64, 8, true},
        {"LongStorage", "int64", PLK_TENSOR_INTEGERS, PLK_STORED_F32, 8, true},
        {"IntStorage", "int32", PLK_TENSOR_INTEGERS, PLK_STORED_F32, 4, true},
        {"ShortStorage", "int16", PLK_TENSOR_INTEGERS, PLK_STORED_F32, 2, true},
        {"CharStorage", "int8", PLK_TENSOR_INTEGERS, PLK_STORED_F32, 1, true},
        {"ByteStorage", "uint8", PLK_TENSOR_INTEGERS, PLK_STORED_F32, 1, false},
    };
    bool swapped = plk_is_swapped(!big_endian);
    *size_bytes = 1;
    (void)snprintf(tensor->floats.name, sizeof tensor->floats.name, "%.*s",
                   (int)(found->storage_length < 15 ? found->storage_length : 15), found->storage);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (found->storage_length != strlen(types[i].storage) ||
            memcmp(found->storage, types[i].storage, found->storage_length) != 0)
            continue;
        tensor->kind = types[i].kind;
        tensor->floats.type = types[i].type;
        tensor->floats.swapped = swapped;
        tensor->integers = (plk_stored_integers){types[i].size_bytes, types[i].is_signed, swapped};
        *size_bytes = types[i].size_bytes;
        (void)snprintf(tensor->floats.name, sizeof tensor->floats.name, "%s", types[i].name);
    }
    if (tensor->kind == PLK_TENSOR_INTEGERS && *size_bytes == 2 && as != PLUCK_F32) {
        tensor->kind = PLK_TENSOR_FLOATS;
        tensor->floats.type = as == PLUCK_F16 ? PLK_STORED_F16 : PLK_STORED_BF16;
    }
}

/* Where the values of a tensor are: the rest of a storage, cut to what the tensor needs, since
 * others may share it. */
static pluck_status place(const pluck_dump *dump, const plk_torch_tensor *found,
                          unsigned size_bytes, plk_tensor *tensor, pluck_error *err)
{
    uint64_t needed = size_bytes, skipped = 0;
    bool fits = plk_mul_u64(found->offset, size_bytes, &skipped) &&
                plk_count_values(found->shape.axes, found->shape.n_axes, size_bytes, &needed);
    if (tensor->member.method == PLK_ZIP_STORED &&
        tensor->member.size_bytes != tensor->member.packed_size_bytes)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: the storage of tensor '%.64s' takes %llu bytes in the archive; "
                        "expected the %llu that its directory says",
                        dump->source.label, found->name,
                        (unsigned long long)tensor->member.packed_size_bytes,
                        (unsigned long long)tensor->member.size_bytes);
    if (tensor->kind != PLK_TENSOR_OTHER && !tensor->has_gaps &&
        (!fits || skipped > tensor->member.size_bytes ||
         needed > tensor->member.size_bytes - skipped))
        return plk_fail(
            err, PLUCK_ERR_FORMAT,
            "%s: tensor '%.64s' needs %llu bytes from byte %llu of its storage on, which "
            "has %llu",
            dump->source.label, found->name, (unsigned long long)needed,
            (unsigned long long)skipped, (unsigned long long)tensor->member.size_bytes);
    tensor->available_bytes = needed;
    tensor->offset_bytes = skipped;
    if (tensor->member.method == PLK_ZIP_STORED)
        tensor->offset_bytes += tensor->member.offset_bytes;
    return PLUCK_OK;
}

typedef struct torch_file {
    plk_zip zip;
    plk_zip_member pickle;
    const char *folder;
    size_t folder_length;
    bool big_endian;
    plk_zip_member *storages; /* name NULL: none of that number */
} torch_file;

/* A decimal number below most. */
static bool parse_key(const char *text, size_t length, size_t most, size_t *number)
{
    *number = 0;
    for (size_t i = 0; i < length; i++) {
        if (length > 6 || text[i] < '0' || text[i] > '9')
            return false;
        *number = 10 * *number + (size_t)(text[i] - '0');
    }
    return length > 0 && *number < most;
}

/* Storages are numbered from 0 on, so that the number of one is its place. */
static pluck_status list_storages(pluck_dump *dump, torch_file *file, pluck_error *err)
{
    uint64_t at = file->zip.directory_begin;
    size_t n = (size_t)file->zip.n_members;
    file->storages = plk_alloc_zero(&dump->allocator, n, sizeof *file->storages);
    if (!file->storages)
        return plk_fail_nomem(err, n * sizeof *file->storages);
    for (size_t i = 0; i < n; i++) {
        plk_zip_member member;
        pluck_status status = plk_zip_next(&file->zip, &at, &member, err);
        if (status != PLUCK_OK)
            return status;
        size_t before = file->folder_length + sizeof data_folder - 1, place = 0;
        if (member.name_length > before &&
            memcmp(member.name, file->folder, file->folder_length) == 0 &&
            memcmp(member.name + file->folder_length, data_folder, sizeof data_folder - 1) == 0 &&
            parse_key(member.name + before, member.name_length - before, n, &place))
            file->storages[place] = member;
    }
    return PLUCK_OK;
}

static pluck_status add_tensor(pluck_dump *dump, const torch_file *file,
                               const plk_torch_tensor *found, pluck_dtype as, plk_tensors *tensors,
                               pluck_error *err)
{
    size_t at = 0;
    unsigned size_bytes = 0;
    plk_tensor *tensor = plk_tensors_add(tensors, err);
    if (!tensor)
        return PLUCK_ERR_NOMEM;
    bool is_there = parse_key(found->key, found->key_length, (size_t)file->zip.n_members, &at);
    if (is_there)
        tensor->member = file->storages[at];
    if (!tensor->member.name)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: tensor '%.64s' is in data/%.*s, which is missing", dump->source.label,
                        found->name, (int)(found->key_length < 32 ? found->key_length : 32),
                        found->key);
    tensor->name = found->name;
    tensor->name_length = strlen(found->name);
    tensor->is_member = true;
    tensor->shape = found->shape;
    tensor->has_gaps = !found->is_contiguous;
    set_kind(found, file->big_endian, as, tensor, &size_bytes);
    return place(dump, found, size_bytes, tensor, err);
}

static pluck_status open_zip(pluck_dump *dump, torch_file *file, pluck_error *err)
{
    static const char order_name[] = "byteorder";
    const plk_source *source = &dump->source;
    plk_zip_member member;
    bool is_there = false;
    pluck_status status =
        plk_zip_open(&file->zip, source->bytes, source->size_bytes, source->label, err);
    uint64_t at = file->zip.directory_begin;
    for (uint64_t i = 0; status == PLUCK_OK && i < file->zip.n_members && !is_there; i++) {
        status = plk_zip_next(&file->zip, &at, &file->pickle, err);
        is_there =
            status == PLUCK_OK && ends_with(&file->pickle, pickle_name, &file->folder_length);
    }
    if (status != PLUCK_OK)
        return status;
    if (!is_there)
        return plk_fail(err, PLUCK_ERR_FORMAT, "%s: has no data.pkl, as files of torch.save() do",
                        source->label);
    file->folder = file->pickle.name;
    status = find_member(&file->zip, file->folder, file->folder_length, order_name,
                         sizeof order_name - 1, &member, &is_there, err);
    if (status == PLUCK_OK && is_there && member.method == PLK_ZIP_STORED)
        file->big_endian =
            member.size_bytes == 3 && memcmp(source->bytes + member.offset_bytes, "big", 3) == 0;
    return status;
}

static pluck_status open_file(pluck_dump *dump, const pluck_dump_options *options, pluck_error *err)
{
    const char *label = dump->source.label;
    torch_file file = {.folder = NULL};
    plk_torch_tensors found = {.n = 0};
    plk_tensors tensors = {.where = label, .noun = "tensor", .allocator = dump->allocator};
    uint8_t *pickle = NULL;
    if (dump->source.streamed)
        return plk_fail(
            err, PLUCK_ERR_FORMAT,
            "%s: a file of torch.save() cannot be read from a stream; store it as a file", label);
    pluck_status status = open_zip(dump, &file, err);
    if (status == PLUCK_OK)
        status = read_member(dump, &file.pickle, &pickle, err);
    if (status == PLUCK_OK)
        status = plk_torch_pickle_read(&found, pickle, (size_t)file.pickle.size_bytes, label,
                                       &dump->allocator, err);
    if (status == PLUCK_OK)
        status = list_storages(dump, &file, err);
    for (size_t i = 0; i < found.n && status == PLUCK_OK; i++)
        status = add_tensor(dump, &file, &found.items[i], options->raw_dtype, &tensors, err);
    if (status == PLUCK_OK)
        status = plk_tensor_rows_open(dump, &tensors, options, err);
    plk_tensors_free(&tensors);
    if (found.items)
        plk_torch_tensors_free(&found);
    plk_free(&dump->allocator, pickle);
    plk_free(&dump->allocator, file.storages);
    return status;
}

const plk_dump_reader plk_dump_torch = {
    .format = PLUCK_DUMP_TORCH,
    .name = "torch",
    .recognised = "torch.save()",
    .has_tensors = true,
    .own_bytes = sizeof(plk_tensor_rows),
    .sniff = sniff,
    .open = open_file,
    .read = plk_tensor_rows_read,
    .release = plk_tensor_rows_release,
    .close = plk_tensor_rows_close,
};
