/*
 * The names of the enumerations of base.h, one table each.
 */
#include <pluck/base.h>

static const char *const status_names[] = {
    "PLUCK_OK",      "PLUCK_ERR_INVALID", "PLUCK_ERR_NOMEM",  "PLUCK_ERR_CONFIG", "PLUCK_ERR_EMPTY",
    "PLUCK_ERR_NAN", "PLUCK_ERR_IO",      "PLUCK_ERR_FORMAT", "PLUCK_ERR_SPACE",
};

static const struct {
    const char *name;
    size_t size_bytes;
} dtypes[] = {{"f32", 4}, {"f16", 2}, {"bf16", 2}, {"f64", 8}};

const char *pluck_version(void)
{
    return PLUCK_VERSION;
}

uint32_t pluck_api_number(void)
{
    return PLUCK_API_NUMBER;
}

const char *pluck_status_name(pluck_status status)
{
    size_t index = (size_t)status;
    return index < sizeof status_names / sizeof *status_names ? status_names[index]
                                                              : "unknown status";
}

const char *pluck_dtype_name(pluck_dtype dtype)
{
    size_t index = (size_t)dtype;
    return index < sizeof dtypes / sizeof *dtypes ? dtypes[index].name : NULL;
}

size_t pluck_dtype_size_bytes(pluck_dtype dtype)
{
    size_t index = (size_t)dtype;
    return index < sizeof dtypes / sizeof *dtypes ? dtypes[index].size_bytes : 0;
}
