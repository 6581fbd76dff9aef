/*
 * What a configuration says, as values: a test that asks wrongly ends at once.
 */
#ifndef TESTS_CONFIG_PARTS_H
#define TESTS_CONFIG_PARTS_H

#include <stdio.h>
#include <stdlib.h>

#include <pluck/config.h>

static inline pluck_config_info config_info(const pluck_config *config)
{
    pluck_config_info info = PLUCK_INIT(pluck_config_info);
    pluck_error err;
    if (pluck_config_get_info(config, &info, &err) != PLUCK_OK) {
        puts(err.message);
        abort();
    }
    return info;
}

static inline pluck_config_stage config_stage(const pluck_config *config, size_t index)
{
    pluck_config_stage stage = PLUCK_INIT(pluck_config_stage);
    pluck_error err;
    if (pluck_config_get_stage(config, index, &stage, &err) != PLUCK_OK) {
        puts(err.message);
        abort();
    }
    return stage;
}

static inline size_t config_n_stages(const pluck_config *config)
{
    return config_info(config).n_stages;
}

/* All stages of the library. */
static inline size_t n_known_stages(void)
{
    size_t n = 0;
    while (pluck_stage_at(n))
        n++;
    return n;
}

#endif
