/*
 * Is the cJSON that the program was linked with the one whose header this library was compiled
 * with?
 */
#ifndef PLK_JSON_LIBRARY_H
#define PLK_JSON_LIBRARY_H

#include <pluck/base.h>

/* PLUCK_ERR_INVALID, and a message that says so, if it has another layout; PLUCK_ERR_NOMEM. Costs a
 * few small allocations, so it is called wherever cJSON is about to be used. */
pluck_status plk_json_check_library(pluck_error *err);

#endif
