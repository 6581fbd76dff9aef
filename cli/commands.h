/*
 * The functions that the commands table names; each returns an exit code.
 */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "options.h"

int cmd_sample(const arguments *args);
int cmd_bench(const arguments *args);
int cmd_replay(const arguments *args);
int cmd_compare(const arguments *args);
int cmd_convert(const arguments *args);
int cmd_inspect(const arguments *args);
int cmd_softmax(const arguments *args);
int cmd_report(const arguments *args);
int cmd_tune(const arguments *args);
int cmd_stages(const arguments *args);
int cmd_config_check(const arguments *args);
int cmd_config_show(const arguments *args);
int cmd_config_import(const arguments *args);
int cmd_config_init(const arguments *args);
int cmd_config_schema(const arguments *args);
int cmd_tree_predict(const arguments *args);
int cmd_tree_stats(const arguments *args);
int cmd_tree_fit(const arguments *args);
int cmd_tree_distill(const arguments *args);
int cmd_tree_eval(const arguments *args);
int cmd_completions(const arguments *args);
int cmd_help(const arguments *args);

#endif
