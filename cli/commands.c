/*
 * The table of commands and flags.
 */
#include "commands.h"

#include <pluck/rng.h>

#define AT(member)                offsetof(arguments, member)
#define COUNT(table)              (sizeof(table) / sizeof *(table))
#define TABLE(name, title, table) static const option_table name = {title, table, COUNT(table)}

static const option general_options[] = {
    {"help", 'h', OPTION_SWITCH, NULL, "print this help", AT(help), 0, 0, NULL},
};
TABLE(general_table, "Help", general_options);

static const option output_options[] = {
    {"output", 'o', OPTION_FILE, "FILE",
     "write to FILE instead of standard output; it appears only when it is complete", AT(output), 0,
     0, NULL},
};
TABLE(output_table, "Output", output_options);

static const option dump_options[] = {
    {"tensor", 0, OPTION_TEXT, "NAME",
     "safetensors: which tensor holds the logits; default the only 2-D one", AT(tensor), 0, 0,
     NULL},
    {"vocab-size", 0, OPTION_COUNT, "N", "raw files: values a row", AT(vocab_size), 1,
     PLUCK_MAX_VOCAB, NULL},
    {"dtype", 0, OPTION_CHOICE, "f32|f16|bf16", "raw files: the type of a value; default f32",
     AT(dtype), 0, 0, NULL},
    {"input-format", 0, OPTION_CHOICE, "auto|npy|safetensors|raw",
     "what the dump is; default auto: by its content", AT(input_format), 0, 0, NULL},
};
TABLE(dump_table, "Input", dump_options);

static const option vocab_options[] = {
    {"vocab", 0, OPTION_FILE, "FILE",
     "the texts of the tokens: one a line, a JSON list, a JSON map from text to id, or a "
     "tokenizer.json",
     AT(vocab), 0, 0, NULL},
    {"vocab-encoding", 0, OPTION_CHOICE, "auto|plain|gpt2|sentencepiece",
     "how it spells bytes; default auto: by its tokens", AT(vocab_encoding), 0, 0, NULL},
    {"short-vocab", 0, OPTION_SWITCH, NULL,
     "allow a vocabulary shorter than the rows: the last tokens have no text", AT(short_vocab), 0,
     0, NULL},
};
TABLE(vocab_table, "Vocabulary", vocab_options);

static const option config_options[] = {
    {"config", 'c', OPTION_FILE, "FILE", "read the configuration from a JSON file; - is stdin",
     AT(config), 0, 0, NULL},
    {"preset", 0, OPTION_TEXT, "NAME", "start from a built-in configuration (pluck config init)",
     AT(preset), 0, 0, NULL},
};
TABLE(config_table, "Configuration", config_options);

static const option run_options[] = {
    {"prompt-tokens", 0, OPTION_TEXT, "IDS",
     "token ids that came before, separated by commas: what penalties look back on",
     AT(prompt_tokens), 0, 0, NULL},
    {"isa", 0, OPTION_TEXT, "NAME",
     "force an instruction set: best, scalar, avx2, avx512, neon (same results, other speed)",
     AT(isa), 0, 0, NULL},
};
TABLE(run_table, "Run", run_options);

static const option sample_options[] = {
    {"rows", 'r', OPTION_TEXT, "A:B",
     "rows A to B - 1 of each dump; A:, :B, one row A; negative ones count from the end", AT(rows),
     0, 0, NULL},
    {"draws", 'n', OPTION_COUNT, "N", "independent draws a row; default 1", AT(draws), 1,
     1000000000, NULL},
    {"sequence", 0, OPTION_SWITCH, NULL,
     "the rows are consecutive positions of one text: each token is accepted", AT(sequence), 0, 0,
     NULL},
    {"stream", 0, OPTION_COUNT, "S", "with --sequence: which stream of the seed; default 0",
     AT(stream), 0, UINT64_MAX, NULL},
    {"threads", 0, OPTION_COUNT, "N",
     "work on N rows at once, with the same output; 0: one thread a processor; default 1",
     AT(threads), 0, 1024, NULL},
    {"skip-bad", 0, OPTION_SWITCH, NULL,
     "go on after a row with NaN or without any token; ends with status 3 all the same",
     AT(skip_bad), 0, 0, NULL},
    {"format", 'f', OPTION_CHOICE, "text|json|csv", "default text; json is one object a line",
     AT(format), 0, 0, NULL},
    {"trace", 0, OPTION_SWITCH, NULL,
     "with --format json: all that pluck replay needs to make the draw again", AT(trace), 0, 0,
     NULL},
    {"quiet", 'q', OPTION_SWITCH, NULL, "no progress bar, no notes", AT(quiet), 0, 0, NULL},
};
TABLE(sample_table, "Sampling", sample_options);

static const option inspect_options[] = {
    {"row", 'r', OPTION_TEXT, "R", "which row; a negative one counts from the end; default 0",
     AT(row), 0, 0, NULL},
    {"top", 'n', OPTION_COUNT, "N", "how many tokens to list; default 20", AT(top), 0,
     PLUCK_MAX_VOCAB, NULL},
    {"explain", 'e', OPTION_SWITCH, NULL,
     "everything that each stage did, and how the token of draw 0 was drawn", AT(explain), 0, 0,
     NULL},
    {"token", 't', OPTION_TEXT, "IDS",
     "with --explain: what became of these tokens, separated by commas", AT(follow), 0, 0, NULL},
    {"format", 'f', OPTION_CHOICE, "text|json", "default text", AT(format), 0, 0, NULL},
    {"color", 0, OPTION_CHOICE, "auto|always|never",
     "default auto: on a terminal, unless NO_COLOR is set", AT(color), 0, 0, NULL},
};
TABLE(inspect_table, "Inspecting", inspect_options);

static const option replay_options[] = {
    {"isa", 0, OPTION_TEXT, "NAME",
     "force an instruction set: best, scalar, avx2, avx512, neon (same results, other speed)",
     AT(isa), 0, 0, NULL},
    {"format", 'f', OPTION_CHOICE, "text|json", "default text; json is one object a line",
     AT(format), 0, 0, NULL},
};
TABLE(replay_table, "Replaying", replay_options);

static const option bench_options[] = {
    {"rows", 'r', OPTION_TEXT, "A:B",
     "rows A to B - 1 of each dump; A:, :B, one row A; negative ones count from the end", AT(rows),
     0, 0, NULL},
    {"seconds", 0, OPTION_COUNT, "N", "measure for about so long; default 2", AT(seconds), 0, 3600,
     NULL},
    {"isa", 0, OPTION_TEXT, "NAME",
     "force an instruction set: best, scalar, avx2, avx512, neon (same results, other speed)",
     AT(isa), 0, 0, NULL},
    {"format", 'f', OPTION_CHOICE, "text|json", "default text", AT(format), 0, 0, NULL},
};
TABLE(bench_table, "Measuring", bench_options);

static const option softmax_options[] = {
    {"temperature", 't', OPTION_TEXT, "T",
     "divide the numbers by T; 0 is the limit, the largest alone; negative prefers the smallest",
     AT(temperature), 0, 0, NULL},
    {"beta", 0, OPTION_TEXT, "B", "multiply the numbers by B: 1 / temperature", AT(beta), 0, 0,
     NULL},
    {"base", 0, OPTION_TEXT, "B", "powers of B instead of e", AT(base), 0, 0, NULL},
    {"sparsemax", 0, OPTION_SWITCH, NULL, "sparsemax instead of softmax: --entmax 2", AT(sparsemax),
     0, 0, NULL},
    {"entmax", 0, OPTION_TEXT, "ALPHA", "alpha-entmax, from 1 (softmax) to 100", AT(entmax), 0, 0,
     NULL},
    {"gumbel", 0, OPTION_TEXT, "SEED",
     "Gumbel-softmax: add Gumbel noise of this seed to the numbers before", AT(gumbel), 0, 0, NULL},
    {"log", 0, OPTION_SWITCH, NULL, "print logarithms of the probabilities", AT(log), 0, 0, NULL},
    {"lse", 0, OPTION_SWITCH, NULL, "print the log-sum-exp instead of probabilities", AT(lse), 0, 0,
     NULL},
    {"entropy", 0, OPTION_SWITCH, NULL, "print the entropy in nats instead of probabilities",
     AT(entropy), 0, 0, NULL},
    {"argmax", 0, OPTION_SWITCH, NULL,
     "print the index of the most probable number, from 0, instead of probabilities", AT(argmax), 0,
     0, NULL},
    {"target", 0, OPTION_TEXT, "I",
     "print the cross-entropy of number I, from 0, instead of probabilities", AT(target), 0, 0,
     NULL},
    {"gradient", 0, OPTION_SWITCH, NULL, "with --target: print its gradient", AT(gradient), 0, 0,
     NULL},
    {"lines", 0, OPTION_SWITCH, NULL, "each line of standard input is a vector of its own",
     AT(lines), 0, 0, NULL},
    {"format", 'f', OPTION_CHOICE, "text|json|csv", "default text; json is one object a vector",
     AT(format), 0, 0, NULL},
};
TABLE(softmax_table, "Softmax", softmax_options);

static const option format_options[] = {
    {"format", 'f', OPTION_CHOICE, "text|json", "default text", AT(format), 0, 0, NULL},
};
TABLE(format_table, "Format", format_options);

static const option init_options[] = {
    {"list", 'l', OPTION_SWITCH, NULL, "list the presets", AT(list), 0, 0, NULL},
};
TABLE(init_table, "Presets", init_options);

static const option help_options[] = {
    {"man", 0, OPTION_SWITCH, NULL, "print the manual page, for man(1)", AT(man), 0, 0, NULL},
};
TABLE(help_table, "Manual", help_options);

static const option_table *const sample_tables[] = {&sample_table,  &config_table, &run_table,
                                                    &vocab_table,   &dump_table,   &output_table,
                                                    &general_table, NULL};
static const option_table *const inspect_tables[] = {&inspect_table, &config_table, &run_table,
                                                     &vocab_table,   &dump_table,   &output_table,
                                                     &general_table, NULL};
static const option_table *const replay_tables[] = {&replay_table, &dump_table, &output_table,
                                                    &general_table, NULL};
static const option_table *const bench_tables[] = {&bench_table,  &config_table,  &dump_table,
                                                   &output_table, &general_table, NULL};
static const option_table *const softmax_tables[] = {&softmax_table, &output_table, &general_table,
                                                     NULL};
static const option_table *const stages_tables[] = {&format_table, &general_table, NULL};
static const option_table *const show_tables[] = {&format_table, &config_table, &general_table,
                                                  NULL};
static const option_table *const init_tables[] = {&init_table, &general_table, NULL};
static const option_table *const plain_tables[] = {&general_table, NULL};
static const option_table *const help_tables[] = {&help_table, &general_table, NULL};

static const char *const sample_examples[] = {
    "pluck sample logits.npy",
    "pluck sample logits.npy --temperature 0 --format json",
    "pluck sample logits.npy --temperature 0.8 --top-k 40 --top-p 0.95 --seed 7 --rows 0:10",
    "pluck sample logits.npy --config config.json --rows -1 --draws 5 --vocab vocab.json",
    "pluck sample logits.npy --sequence --temperature 0.5 --vocab vocab.json",
    "pluck sample a.npy b.npy --preset balanced --format csv -o tokens.csv",
    "pluck sample logits.npy --draws 1000 --temperature 1.5 --threads 0 --format csv",
    "pluck sample - --rows :3 < logits.npy",
    "pluck sample logits.raw --vocab-size 512 --dtype f32 --rows 0",
    NULL};
static const char *const inspect_examples[] = {
    "pluck inspect logits.npy --row 3 --vocab vocab.json",
    "pluck inspect logits.npy --row 3 --top-k 5 --temperature 0.8",
    "pluck inspect logits.npy --row -1 --top-p 0.9 --top 3 --format json",
    "pluck inspect logits.npy --row 3 --top-p 0.9 --min-p 0.1 --explain --token 13,426", NULL};
static const char *const replay_examples[] = {
    "pluck sample logits.npy --top-p 0.9 --format json --trace | pluck replay - logits.npy",
    "pluck sample a.npy -f json --trace > lines.jsonl && pluck replay lines.jsonl a.npy", NULL};
static const char *const bench_examples[] = {
    "pluck bench --seconds 1", "pluck bench logits.npy --config config.json --rows 0:8 --seconds 1",
    "pluck bench --vocab-size 32000 --top-p 0.9 --top-k 40 --seconds 1 --format json", NULL};
static const char *const softmax_examples[] = {
    "echo 1 2 3 4 1 2 3 | pluck softmax --temperature 10",
    "pluck softmax -2 0 0.5 --sparsemax",
    "pluck softmax 1 2 3 -inf --log --format json",
    "pluck softmax 0 1 2 --base 2",
    "printf '1 2\\n3 4 5\\n' | pluck softmax --lines --entropy --argmax --format csv",
    "pluck softmax 0.5 1 -1 --target 1 --gradient",
    NULL};
static const char *const stages_examples[] = {"pluck stages", "pluck stages top_p",
                                              "pluck stages --format json", NULL};
static const char *const check_examples[] = {
    "pluck config check config.json", "echo '{\"top_p\": 0.9}' | pluck config check -", NULL};
static const char *const show_examples[] = {
    "pluck config show config.json", "pluck config show config.json --top-k 20 --format json",
    "pluck config show --preset balanced", NULL};
static const char *const init_examples[] = {"pluck config init > config.json",
                                            "pluck config init --list", NULL};
static const char *const schema_examples[] = {"pluck config schema > pluck.schema.json", NULL};
static const char *const completions_examples[] = {"pluck completions bash > pluck.bash", NULL};
static const char *const help_examples[] = {"pluck help sample", "pluck help --man > pluck.1",
                                            NULL};

static const command sample_command = {
    "sample",
    "DUMP... [options]",
    "draw tokens from the rows of logit dumps",
    "Reads rows of logits (.npy, .safetensors or raw values; - is standard input), runs the "
    "configured stages on each and draws tokens. Without a configuration it draws from "
    "softmax(logits). Flags override the keys of the configuration file.\n"
    "Row r uses stream r of the seed and draw d of a row uses position d (after the prompt "
    "tokens), so that any split of the rows gives the same tokens. Rows are numbered within each "
    "dump.\n"
    "A line of JSON is {\"row\":0,\"draw\":0,\"token\":123,\"logprob\":-1.23,\"survivors\":17}, "
    "then \"text\" if a vocabulary was given; with several dumps \"dump\" comes first. survivors "
    "is how many tokens could have been drawn, logprob the natural logarithm of the token's "
    "probability among them. With --sequence and a vocabulary the text format is the running "
    "text.",
    sample_tables,
    true,
    sample_examples,
    1,
    SIZE_MAX,
    "DUMP",
    cmd_sample};

static const command inspect_command = {
    "inspect",
    "DUMP [--row R] [options]",
    "show the distribution of one row",
    "Shows what each stage does to the row, and the most probable tokens of the final "
    "distribution: what sample draws from for this row. effective is exp(entropy): the number of "
    "equally likely tokens that would be as uncertain.\n"
    "With --explain: for each stage also what it removed, the bound between what it kept and what "
    "it removed, the numbers that it worked with and the logits that it changed; the random "
    "numbers "
    "of draw 0 and the interval that they hit; and for each token of --token which stage removed "
    "it "
    "and how much it lacked.",
    inspect_tables,
    true,
    inspect_examples,
    1,
    1,
    "DUMP",
    cmd_inspect};

static const command replay_command = {
    "replay",
    "LINES DUMP... [options]",
    "make draws again from the lines that sample --trace wrote",
    "Reads the lines of pluck sample --format json --trace from the file LINES (- is standard "
    "input), makes each draw again from the row of the dump, and says what differs: token, "
    "logprob, "
    "survivors, the interval and point of the draw, the random numbers, or the logits themselves. "
    "Equal means equal bits, on whatever machine the lines were written. Status 1 if a line "
    "differs, 3 if one cannot be understood.\n"
    "With several dumps each line names its own, as it was written when it was sampled.",
    replay_tables,
    false,
    replay_examples,
    2,
    SIZE_MAX,
    "file of LINES and a DUMP",
    cmd_replay};

static const command bench_command = {
    "bench",
    "[DUMP] [options]",
    "measure what each stage of a chain costs",
    "Times the chain on rows of a dump, or on made-up logits (--vocab-size of them, 128256 if that "
    "is "
    "not given) if there is no DUMP: after each stage, the whole chain, and the chain with its "
    "logprob. Each line is what a token costs with the stages up to there. The unit is one reading "
    "of the logits, measured in turn with the rest, so that ratios hold on a busy machine; times "
    "are processor time of one thread. Says what would make it faster.",
    bench_tables,
    true,
    bench_examples,
    0,
    1,
    "DUMP",
    cmd_bench};

static const command softmax_command = {
    "softmax",
    "[NUMBER...] [options]",
    "print the softmax of numbers, or a relative of it",
    "The numbers are arguments, or else standard input: separated by blanks, commas, brackets or "
    "line ends, all of it one vector (but see --lines). -inf is a number of probability 0. Prints "
    "the probabilities; --lse, --entropy, --argmax and --target print numbers instead, in this "
    "order if several are given. Text is one line a vector, of as many digits as a person needs; "
    "json and csv have as many as read back to the same numbers.",
    softmax_tables,
    false,
    softmax_examples,
    0,
    SIZE_MAX,
    "NUMBER",
    cmd_softmax};

static const command stages_command = {
    "stages",
    "[NAME] [options]",
    "list the stages, or describe one",
    "Lists every stage with its parameters, their ranges and defaults, in the order in which a "
    "flat configuration runs them. With NAME: everything about that one.",
    stages_tables,
    false,
    stages_examples,
    0,
    1,
    "NAME",
    cmd_stages};

static const command config_check_command = {
    "config check",
    "FILE",
    "say whether a configuration is valid",
    "Prints the stages that it runs, or what is wrong with it, where, and what would be right "
    "(status 3). - is standard input.",
    plain_tables,
    false,
    check_examples,
    1,
    1,
    "FILE",
    cmd_config_check};

static const command config_show_command = {
    "config show",
    "[FILE] [options]",
    "show what a configuration runs, in order",
    "Shows the stages in running order with all parameters, defaults included; a stage whose "
    "parameters make it do nothing is marked. --format json prints the configuration as JSON that "
    "reads back to the same.",
    show_tables,
    true,
    show_examples,
    0,
    1,
    "FILE",
    cmd_config_show};

static const command config_init_command = {
    "config init",
    "[PRESET]",
    "print a configuration to start from",
    "Prints a preset as JSON, ready for --config. Without PRESET: balanced. What the keys mean is "
    "explained on standard error if that is a terminal.",
    init_tables,
    false,
    init_examples,
    0,
    1,
    "PRESET",
    cmd_config_init};

static const command config_schema_command = {
    "config schema",
    "",
    "print the JSON Schema of configurations",
    "Prints a JSON Schema (draft 2020-12) that editors can check configuration files with.",
    plain_tables,
    false,
    schema_examples,
    0,
    0,
    "",
    cmd_config_schema};

static const command completions_command = {
    "completions",
    "bash|zsh|fish",
    "print completions for a shell",
    "Prints a script to be read by the shell: for bash, put it into "
    "~/.local/share/bash-completion/completions/pluck; for zsh, into a directory of $fpath as "
    "_pluck; for fish, into ~/.config/fish/completions/pluck.fish.",
    plain_tables,
    false,
    completions_examples,
    1,
    1,
    "SHELL",
    cmd_completions};

static const command help_command = {"help",
                                     "[COMMAND]",
                                     "explain a command",
                                     "Without COMMAND: the list of commands.",
                                     help_tables,
                                     false,
                                     help_examples,
                                     0,
                                     2,
                                     "COMMAND",
                                     cmd_help};

const command *const commands[] = {&sample_command,
                                   &inspect_command,
                                   &replay_command,
                                   &bench_command,
                                   &softmax_command,
                                   &stages_command,
                                   &config_check_command,
                                   &config_show_command,
                                   &config_init_command,
                                   &config_schema_command,
                                   &completions_command,
                                   &help_command,
                                   NULL};
