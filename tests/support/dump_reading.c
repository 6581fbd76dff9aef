/* Calls of pluck/dump.h, each with the struct that it fills in. */
#include "support/dump_reading.h"

pluck_dump_info info_of_dump(const pluck_dump *dump)
{
    pluck_dump_info info = PLUCK_INIT(pluck_dump_info);
    (void)pluck_dump_get_info(dump, &info, NULL);
    return info;
}

pluck_status read_logits(pluck_dump *dump, uint64_t row, float *scratch, pluck_logits *logits,
                         pluck_error *err)
{
    pluck_dump_row read = PLUCK_INIT(pluck_dump_row);
    pluck_status status = pluck_dump_read(dump, row, scratch, logits ? &read : NULL, err);
    if (status == PLUCK_OK)
        *logits = read.logits;
    return status;
}
