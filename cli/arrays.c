/* Rows come through the dump reader, integers through that of the library's containers. */
#include "arrays.h"

#include "file/array_file.h"

#include <stdlib.h>
#include <string.h>

/* The 16 bits at data as f16: the exponent is rebased by a multiplication, which is exact. */
static float f16_value(uint32_t bits)
{
    uint32_t sign = (bits & 0x8000u) << 16, rest = bits & 0x7fffu;
    float value;
    uint32_t wide = rest << 13;
    if (rest >= 0x7c00u) {
        wide |= 0x7f800000u;
        memcpy(&value, &wide, sizeof value);
    } else {
        memcpy(&value, &wide, sizeof value);
        value *= 0x1p112f;
    }
    memcpy(&wide, &value, sizeof wide);
    wide |= sign;
    memcpy(&value, &wide, sizeof value);
    return value;
}

void widen_row(pluck_logits row, float *values)
{
    const unsigned char *bytes = row.data;
    if (row.dtype == PLUCK_F32) {
        memmove(values, bytes, row.n_vocab * sizeof *values);
        return;
    }
    for (uint32_t i = 0; i < row.n_vocab; i++) {
        uint16_t bits;
        memcpy(&bits, bytes + 2 * (size_t)i, sizeof bits);
        uint32_t wide = (uint32_t)bits << 16;
        if (row.dtype == PLUCK_F16)
            values[i] = f16_value(bits);
        else
            memcpy(&values[i], &wide, sizeof wide);
    }
}

/* Room for one more row, by doubling: a stream does not say how many it has. */
static bool grow_rows(float_rows *rows, uint64_t *capacity)
{
    if (rows->n_rows < *capacity)
        return true;
    uint64_t wanted = 2 * *capacity + 64;
    if (wanted > SIZE_MAX / sizeof(float) / rows->n_cols)
        return false;
    float *larger = realloc(rows->values, (size_t)wanted * rows->n_cols * sizeof *rows->values);
    if (!larger)
        return false;
    rows->values = larger;
    *capacity = wanted;
    return true;
}

int float_rows_read(float_rows *rows, const call *c, const input_flags *input, const char *path)
{
    source src;
    pluck_error err;
    uint64_t capacity = 0;
    *rows = (float_rows){.values = NULL};
    int code = source_open(c, input, path, &src);
    if (code != EXIT_DONE)
        return code;
    rows->n_cols = src.info.n_vocab;
    rows->shape = source_shape(&src.info);
    while (code == EXIT_DONE && rows->n_rows < src.info.n_rows) {
        pluck_logits row;
        pluck_status status = read_logits(src.dump, rows->n_rows, src.scratch, &row, &err);
        if (status != PLUCK_OK)
            code = complain(c->who, exit_code_of(status), "%s", err.message);
        else if (!row.data)
            break;
        else if (!grow_rows(rows, &capacity))
            code = complain_memory(c->who);
        else
            widen_row(row, rows->values + rows->n_rows++ * rows->n_cols);
        pluck_dump_release(src.dump, rows->n_rows);
    }
    source_close(&src);
    if (code != EXIT_DONE)
        float_rows_free(rows);
    return code;
}

void float_rows_free(float_rows *rows)
{
    free(rows->values);
    *rows = (float_rows){.values = NULL};
}

int integers_read(const char *who, const char *path, int64_t **values, size_t *n, plk_shape *shape)
{
    plk_integers integers;
    pluck_error err;
    *values = NULL;
    *n = 0;
    pluck_status status = plk_integers_open(&integers, path, NULL, &err);
    if (status != PLUCK_OK)
        return complain(who, exit_code_of(status), "%s", err.message);
    char text[PLK_SHAPE_TEXT_BYTES];
    int code = EXIT_DONE;
    if (!shape && plk_shape_squeezed(&integers.shape).n_axes > 1)
        code =
            complain(who, EXIT_DATA, "%s: has the shape %s; expected one axis, or (n, 1), (1, n)",
                     source_name(path), plk_shape_text(&integers.shape, text));
    else if (integers.n > SIZE_MAX / sizeof **values ||
             !(*values = malloc((size_t)integers.n * sizeof **values)))
        code = complain_memory(who);
    if (code == EXIT_DONE) {
        status = plk_integers_read(&integers, 0, (size_t)integers.n, *values, &err);
        if (status != PLUCK_OK)
            code = complain(who, exit_code_of(status), "%s", err.message);
    }
    if (code == EXIT_DONE) {
        *n = (size_t)integers.n;
        if (shape)
            *shape = integers.shape;
    } else {
        free(*values);
        *values = NULL;
    }
    plk_integers_close(&integers);
    return code;
}
