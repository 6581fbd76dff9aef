/*
 * Parameters as JSON: reading, writing and the schema, one row a pluck_param_type.
 */
#ifndef PLK_PARAM_JSON_H
#define PLK_PARAM_JSON_H

#include "stages/stage_impl.h"
#include "json/tree.h"
#include "json/write.h"

typedef struct plk_param_reader {
    const plk_json *json;
    const pluck_allocator *allocator;
    bool name_value; /* messages say "p = 1.7", not only "1.7": the path does not end in the name */
    pluck_error *err;
} plk_param_reader;

/* Checks type and range. *value is the caller's afterwards, to be moved into a block or freed; on
 * failure nothing is written. */
pluck_status plk_param_read(const plk_param_reader *reader, const plk_json_node *node,
                            const pluck_param *param, plk_param_value *value);

/* The value alone. */
void plk_param_write(plk_writer *writer, const pluck_param *param, const void *value);

/* The schema of the value: an object. */
void plk_param_schema(plk_writer *writer, const pluck_param *param);

/* node is a number: a finite one inside the range? Messages begin with name. */
pluck_status plk_param_read_finite(const plk_param_reader *reader, const plk_json_node *node,
                                   const pluck_param *param, const char *name, double *value);

/* The range, as members of a schema that is open. */
void plk_param_schema_limits(plk_writer *writer, const pluck_param *param);

/* Whether a double inside the table's range stands for "no limit". */
bool plk_is_unbounded(double limit);

#endif
