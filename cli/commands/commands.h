/*
 * The commands; each is described where it is.
 */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "flags.h"

extern const command sample_command, inspect_command, replay_command, tune_command, report_command,
    compare_command, convert_command, bench_command, softmax_command, stages_command,
    config_check_command, config_show_command, config_import_command, config_init_command,
    config_schema_command, tree_predict_command, tree_stats_command, tree_fit_command,
    tree_distill_command, tree_eval_command, completions_command;

#endif
