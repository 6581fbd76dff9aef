/*
 * The table of commands and flags.
 */
#include "commands.h"

#include <pluck/rng.h>
#include <pluck/tune.h>

#define AT(member)   offsetof(arguments, member)
#define COUNT(table) (sizeof(table) / sizeof *(table))
/* In every table of inputs. */
#define NO_MAP                                                                                     \
    {                                                                                              \
        "no-map", 0, OPTION_SWITCH, NULL,                                                          \
            "read dumps and models into memory instead of mapping them: for files that change "    \
            "meanwhile, and slow networks",                                                        \
            AT(no_map), 0, 0, NULL                                                                 \
    }
#define TABLE(name, title, table) static const option_table name = {title, table, COUNT(table)}

static const option general_options[] = {
    {"help", 'h', OPTION_SWITCH, NULL, "print this help", AT(help), 0, 0, NULL},
};
TABLE(general_table, "Help", general_options);

static const option output_options[] = {
    {"output", 'o', OPTION_OUTPUT, "FILE",
     "write to FILE instead of standard output; it appears only when it is complete", AT(output), 0,
     0, NULL},
};
TABLE(output_table, "Output", output_options);

static const option dump_options[] = {
    {"tensor", 0, OPTION_TEXT, "NAME",
     "npz, safetensors, torch: which tensor holds the logits; default: 'logits', or the only one",
     AT(tensor), 0, 0, NULL},
    {"vocab-size", 0, OPTION_COUNT, "N",
     "raw files, rows that name some tokens: number of values per row", AT(vocab_size), 1,
     PLUCK_MAX_VOCAB, NULL},
    {"dtype", 0, OPTION_CHOICE, "f32|f16|bf16",
     "raw files, and 16-bit integers in others: the type of a value; default f32", AT(dtype), 0, 0,
     NULL},
    {"input-format", 0, OPTION_CHOICE,
     "auto|npy|safetensors|raw|npz|llama-kl|jsonl|torch|text|json",
     "what the dump is; default auto: by its content", AT(input_format), 0, 0, NULL},
    NO_MAP,
};
TABLE(dump_table, "Input", dump_options);

static const option map_options[] = {NO_MAP};
TABLE(map_table, "Input", map_options);

static const option vocab_options[] = {
    {"vocab", 0, OPTION_INPUT, "FILE",
     "the texts of the tokens: one per line, JSON (a list, a map, a tokenizer.json), tiktoken, a "
     "SentencePiece .model, or a GGUF model; any of these packed by gzip",
     AT(vocab), 0, 0, NULL},
    {"added-tokens", 0, OPTION_INPUT, "FILE",
     "tokens that are not in --vocab: added_tokens.json or tokenizer_config.json", AT(added_tokens),
     0, 0, NULL},
    {"vocab-encoding", 0, OPTION_CHOICE, "auto|plain|gpt2|sentencepiece|wordpiece",
     "how it spells bytes; default auto: by its tokens", AT(vocab_encoding), 0, 0, NULL},
    {"short-vocab", 0, OPTION_SWITCH, NULL,
     "allow a vocabulary shorter than the rows: the last tokens have no text", AT(short_vocab), 0,
     0, NULL},
};
TABLE(vocab_table, "Vocabulary", vocab_options);

static const option config_options[] = {
    {"config", 'c', OPTION_INPUT, "FILE", "read the configuration from a JSON file; - is stdin",
     AT(config), 0, 0, NULL},
    {"preset", 0, OPTION_TEXT, "NAME", "start from a built-in configuration (pluck config init)",
     AT(preset), 0, 0, NULL},
};
TABLE(config_table, "Configuration", config_options);

static const option run_options[] = {
    {"prompt-tokens", 0, OPTION_TEXT, "IDS",
     "token ids of the prompt, separated by commas: penalties look back on them, but they do not "
     "count as generated",
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
    {"axes", 0, OPTION_CHOICE, "none|step,batch|batch,step",
     "with --sequence: which two axes the rows have; each text of the batch is a sequence and a "
     "stream of its own (default: none)",
     AT(axes), 0, 0, NULL},
    {"stream", 0, OPTION_COUNT, "S",
     "with --sequence: which stream of the seed the first text is; default 0", AT(stream), 0,
     UINT64_MAX, NULL},
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
    {"svg", 0, OPTION_OUTPUT, "FILE", "draw the probabilities by rank", AT(svg), 0, 0, NULL},
    {"csv", 0, OPTION_OUTPUT, "FILE", "write the list of tokens as a table", AT(csv), 0, 0, NULL},
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

static const option targets_options[] = {
    {"targets", 0, OPTION_INPUT, "FILE",
     "the tokens that really followed, one a row: .npy of integers, or text; default those of the "
     "dump",
     AT(targets), 0, 0, NULL},
};
TABLE(targets_table, "Targets", targets_options);

static const option convert_options[] = {
    {"output", 'o', OPTION_OUTPUT, "FILE",
     "write to FILE; it appears only when it is complete; - is standard output", AT(output), 0, 0,
     NULL},
    {"to", 0, OPTION_CHOICE, "auto|npy|safetensors|jsonl",
     "what to write; default auto: by the ending of the output's name", AT(to), 0, 0, NULL},
    {"to-dtype", 0, OPTION_CHOICE, "same|f32|f16|bf16",
     "the type of the values written; default same: that of the dump", AT(to_dtype), 0, 0, NULL},
    {"rows", 'r', OPTION_TEXT, "A:B",
     "rows A to B - 1 of the dump; A:, :B, one row A; negative ones count from the end", AT(rows),
     0, 0, NULL},
    {"targets-out", 0, OPTION_OUTPUT, "FILE", "write the targets, too: .npy of int32, -1 for none",
     AT(targets_out), 0, 0, NULL},
    {"quiet", 'q', OPTION_SWITCH, NULL, "no progress bar, no notes", AT(quiet), 0, 0, NULL},
};
TABLE(convert_table, "Writing", convert_options);

static const option compare_options[] = {
    {"config-a", 0, OPTION_INPUT, "FILE", "compare what this configuration makes of A",
     AT(config_a), 0, 0, NULL},
    {"config-b", 0, OPTION_INPUT, "FILE",
     "compare what this configuration makes of B, or of A again", AT(config_b), 0, 0, NULL},
    {"rows", 'r', OPTION_TEXT, "A:B",
     "rows A to B - 1 of the dumps; A:, :B, one row A; negative ones count from the end", AT(rows),
     0, 0, NULL},
    {"max-kl", 0, OPTION_TEXT, "X", "end with status 1 if the mean KL(A || B) is above X nats",
     AT(max_kl), 0, 0, NULL},
    {"worst", 0, OPTION_COUNT, "N", "how many of the rows that differ most to list; default 5",
     AT(worst), 0, 1000000, NULL},
    {"isa", 0, OPTION_TEXT, "NAME",
     "force an instruction set: best, scalar, avx2, avx512, neon (same results, other speed)",
     AT(isa), 0, 0, NULL},
    {"format", 'f', OPTION_CHOICE, "text|json|csv",
     "default text; json is one object, csv a line a row", AT(format), 0, 0, NULL},
    {"quiet", 'q', OPTION_SWITCH, NULL, "no progress bar, no notes", AT(quiet), 0, 0, NULL},
};
TABLE(compare_table, "Comparing", compare_options);

static const option tune_options[] = {
    {"targets", 't', OPTION_INPUT, "FILE",
     "the tokens that really followed, one a row: .npy of integers, or numbers as text; default "
     "those that the dump holds",
     AT(targets), 0, 0, NULL},
    {"objective", 0, OPTION_TEXT, "NAME",
     "nll, ece or brier: as small as possible (need targets); entropy=H, perplexity=P or "
     "diversity=N: the mean that is to be met; default nll",
     AT(objective), 0, 0, NULL},
    {"rows", 'r', OPTION_TEXT, "A:B",
     "rows A to B - 1; A:, :B, one row A; negative ones count from the end", AT(rows), 0, 0, NULL},
    {"bins", 0, OPTION_COUNT, "N", "of the calibration error; default 15", AT(bins), 1,
     PLUCK_TUNE_MAX_BINS, NULL},
    {"bin-edges", 0, OPTION_CHOICE, "right|left",
     "which edge of a bin belongs to it; default right: (low, high]", AT(bin_edges), 0, 0, NULL},
    {"equal-mass", 0, OPTION_SWITCH, NULL, "bins of equally many rows instead of equal width",
     AT(equal_mass), 0, 0, NULL},
    {"bootstrap", 0, OPTION_COUNT, "N",
     "resamples of the rows for the interval; 0: none; default 1000", AT(bootstrap), 0, 100000,
     NULL},
    {"cross-validate", 0, OPTION_SWITCH, NULL,
     "also fit each half of the rows, and measure it on the other", AT(cross_validate), 0, 0, NULL},
    {"keep", 0, OPTION_TEXT, "PART",
     "the part of the rows whose target a truncation has to keep; default 0.99", AT(keep), 0, 0,
     NULL},
    {"truncate", 0, OPTION_CHOICE, "none|top_p|min_p|top_k|top_n_sigma",
     "add the tightest such setting of this stage to the configuration; default none", AT(truncate),
     0, 0, NULL},
    {"no-curves", 0, OPTION_SWITCH, NULL,
     "no table of truncations: saves the pass that sorts every row", AT(no_curves), 0, 0, NULL},
    {"threads", 0, OPTION_COUNT, "N",
     "work on N rows at once, with the same results; 0: one thread a processor; default 1",
     AT(threads), 0, 1024, NULL},
    {"isa", 0, OPTION_TEXT, "NAME",
     "force an instruction set: best, scalar, avx2, avx512, neon (same results, other speed)",
     AT(isa), 0, 0, NULL},
    {"format", 'f', OPTION_CHOICE, "text|json", "default text; json is one object", AT(format), 0,
     0, NULL},
    {"quiet", 'q', OPTION_SWITCH, NULL, "no progress bar, no notes", AT(quiet), 0, 0, NULL},
};
TABLE(tune_table, "Tuning", tune_options);

static const option tune_output_options[] = {
    {"output", 'o', OPTION_OUTPUT, "FILE",
     "write the configuration, with the fitted temperature, to FILE", AT(output), 0, 0, NULL},
    {"svg", 0, OPTION_OUTPUT, "FILE", "draw the objective and the reliability diagram", AT(svg), 0,
     0, NULL},
    {"csv", 0, OPTION_OUTPUT, "FILE", "write the curves as a table", AT(csv), 0, 0, NULL},
};
TABLE(tune_output_table, "Output", tune_output_options);

static const option report_options[] = {
    {"targets", 't', OPTION_INPUT, "FILE",
     "the tokens that really followed, one a row: .npy of integers, or numbers as text; default "
     "those that the dump holds",
     AT(targets), 0, 0, NULL},
    {"rows", 'r', OPTION_TEXT, "A:B",
     "rows A to B - 1; A:, :B, one row A; negative ones count from the end", AT(rows), 0, 0, NULL},
    {"explore", 0, OPTION_COUNT, "N",
     "how many rows, evenly spread, can be explored live; default 12", AT(explore), 1, 200, NULL},
    {"threads", 0, OPTION_COUNT, "N",
     "work on N rows at once, with the same results; 0: one thread a processor; default 1",
     AT(threads), 0, 1024, NULL},
    {"quiet", 'q', OPTION_SWITCH, NULL, "no progress bar, no notes", AT(quiet), 0, 0, NULL},
};
TABLE(report_table, "Report", report_options);

static const option format_options[] = {
    {"format", 'f', OPTION_CHOICE, "text|json", "default text", AT(format), 0, 0, NULL},
};
TABLE(format_table, "Format", format_options);

static const option init_options[] = {
    {"list", 'l', OPTION_SWITCH, NULL, "list the presets", AT(list), 0, 0, NULL},
};
TABLE(init_table, "Presets", init_options);

static const option import_options[] = {
    {"from", 0, OPTION_CHOICE,
     "auto|huggingface|llama.cpp|vllm|openai|text-generation-webui|koboldcpp|ollama|exllamav3",
     "the engine that the configuration is for (default: auto, by its keys or its form)", AT(from),
     0, 0, NULL},
    {"format", 'f', OPTION_CHOICE, "text|json", "default text", AT(format), 0, 0, NULL},
    {"quiet", 'q', OPTION_SWITCH, NULL, "only what was refused", AT(quiet), 0, 0, NULL},
};
TABLE(import_table, "Import", import_options);

static const option help_options[] = {
    {"man", 0, OPTION_SWITCH, NULL, "print the manual page, for man(1)", AT(man), 0, 0, NULL},
};
TABLE(help_table, "Manual", help_options);

static const option isa_options[] = {
    {"isa", 0, OPTION_TEXT, "NAME",
     "force an instruction set: best, scalar, avx2, avx512, neon (same results, other speed)",
     AT(isa), 0, 0, NULL},
};
TABLE(isa_table, "Run", isa_options);

static const option predict_options[] = {
    {"top", 'k', OPTION_COUNT, "N", "the N most probable labels a line; 0: all; default 1",
     AT(n_labels), 0, PLUCK_MAX_VOCAB, NULL},
    {"threshold", 0, OPTION_NUMBER, "P", "only labels of at least this probability; default 0",
     AT(threshold), 0, 1, NULL},
    {"sample", 0, OPTION_SWITCH, NULL,
     "draw N different labels instead, one after the other, in the order drawn", AT(sample), 0, 0,
     NULL},
    {"temperature", 't', OPTION_NUMBER, "T",
     "with --sample: draw from the probabilities to the power 1/T; default 1", AT(draw_temperature),
     0, 1000000, NULL},
    {"seed", 0, OPTION_COUNT, "N", "with --sample: the seed; line r uses its stream r; default 0",
     AT(seed), 0, UINT64_MAX, NULL},
    {"compat", 0, OPTION_SWITCH, NULL,
     "fastText's own arithmetic, which adds 1e-5 inside each logarithm", AT(compat), 0, 0, NULL},
    {"label-prefix", 0, OPTION_TEXT, "TEXT", "what labels begin with; default __label__",
     AT(label_prefix), 0, 0, NULL},
    {"threads", 0, OPTION_COUNT, "N",
     "work on N lines at once, with the same output; 0: one thread a processor; default 1",
     AT(threads), 0, 1024, NULL},
    {"format", 'f', OPTION_CHOICE, "text|json", "default text; json is one object a line",
     AT(format), 0, 0, NULL},
    {"quiet", 'q', OPTION_SWITCH, NULL, "no progress bar", AT(quiet), 0, 0, NULL},
};
TABLE(predict_table, "Predicting", predict_options);

static const option dense_options[] = {
    {"bias", 0, OPTION_INPUT, "FILE", "the bias of a dense head whose weights are a .npy file",
     AT(bias), 0, 0, NULL},
};
TABLE(dense_table, "Dense heads", dense_options);

static const option counts_options[] = {
    {"counts", 0, OPTION_INPUT, "FILE",
     "how often each token occurs: whole numbers as .npy or text, in the order of the tokens",
     AT(counts), 0, 0, NULL},
};
TABLE(counts_table, "Counts", counts_options);

static const option train_options[] = {
    {"tree", 0, OPTION_CHOICE, "huffman|balanced|clusters",
     "which tree: of --counts (or of the targets), of equal depth, or of near --vectors; default "
     "huffman",
     AT(tree), 0, 0, NULL},
    {"counts", 0, OPTION_INPUT, "FILE",
     "how often each token occurs: whole numbers as .npy or text, in the order of the tokens",
     AT(counts), 0, 0, NULL},
    {"keep-zero-counts", 0, OPTION_SWITCH, NULL,
     "count tokens that never occur as 0, as word2vec does, and not once: their codes get long",
     AT(keep_zero_counts), 0, 0, NULL},
    {"vectors", 0, OPTION_INPUT, "FILE", "a vector for each token, for --tree clusters",
     AT(vectors), 0, 0, NULL},
    {"start", 0, OPTION_INPUT, "FILE", "begin with the nodes and the tree of this head", AT(start),
     0, 0, NULL},
    {"epochs", 'e', OPTION_COUNT, "N", "use every row N times; default 5", AT(epochs), 1, 100000,
     NULL},
    {"rate", 0, OPTION_NUMBER, "X", "the learning rate at the start; default 0.3", AT(rate), 0,
     1000000, NULL},
    {"l2", 0, OPTION_NUMBER, "X", "each example also pulls its node towards 0, times X; default 0",
     AT(l2), 0, 1000000, NULL},
    {"no-bias", 0, OPTION_SWITCH, NULL, "keep all biases 0, as word2vec and fastText do",
     AT(no_bias), 0, 0, NULL},
    {"seed", 0, OPTION_COUNT, "N", "of the order of the rows; default 0", AT(seed), 0, UINT64_MAX,
     NULL},
    {"validation", 0, OPTION_INPUT, "FILE",
     "held-out hidden states: their perplexity is printed after every epoch", AT(validation), 0, 0,
     NULL},
    {"validation-targets", 0, OPTION_INPUT, "FILE", "and their tokens", AT(validation_targets), 0,
     0, NULL},
    {"checkpoint", 0, OPTION_OUTPUT, "FILE",
     "where to keep what is learned, after every epoch and when interrupted; default, when "
     "interrupted only: the output's name and .checkpoint",
     AT(checkpoint), 0, 0, NULL},
    {"resume", 0, OPTION_SWITCH, NULL, "go on from the checkpoint", AT(resume), 0, 0, NULL},
    {"overwrite", 0, OPTION_SWITCH, NULL, "replace a checkpoint that is there already",
     AT(overwrite), 0, 0, NULL},
    {"threads", 0, OPTION_COUNT, "N",
     "share the work among N threads, with the same result; 0: one a processor; default 1",
     AT(threads), 0, 1024, NULL},
    {"format", 'f', OPTION_CHOICE, "text|json", "default text; json is one object a line",
     AT(format), 0, 0, NULL},
    {"quiet", 'q', OPTION_SWITCH, NULL, "no progress bar", AT(quiet), 0, 0, NULL},
    {"output", 'o', OPTION_OUTPUT, "FILE", "where the head goes, as .safetensors", AT(output), 0, 0,
     NULL},
};
TABLE(train_table, "Training", train_options);

static const option eval_options[] = {
    {"temperature", 't', OPTION_NUMBER, "T", "of the tokens that are drawn; default 1",
     AT(draw_temperature), 0, 1000000, NULL},
    {"seed", 0, OPTION_COUNT, "N", "of the tokens that are drawn; default 0", AT(seed), 0,
     UINT64_MAX, NULL},
    {"format", 'f', OPTION_CHOICE, "text|json", "default text", AT(format), 0, 0, NULL},
};
TABLE(eval_table, "Measuring", eval_options);

static const option size_options[] = {
    {"vocab-size", 0, OPTION_COUNT, "N", "how many tokens; default: as many as the targets need",
     AT(vocab_size), 1, PLUCK_MAX_VOCAB, NULL},
};
TABLE(size_table, "Tokens", size_options);

static const option_table *const sample_tables[] = {&sample_table,  &config_table, &run_table,
                                                    &vocab_table,   &dump_table,   &output_table,
                                                    &general_table, NULL};
static const option_table *const inspect_tables[] = {&inspect_table, &config_table, &run_table,
                                                     &vocab_table,   &dump_table,   &output_table,
                                                     &general_table, NULL};
static const option_table *const replay_tables[] = {&replay_table, &dump_table, &output_table,
                                                    &general_table, NULL};

static const option_table *const compare_tables[] = {
    &compare_table, &targets_table, &vocab_table, &dump_table, &output_table, &general_table, NULL};
static const option_table *const convert_tables[] = {&convert_table, &targets_table, &dump_table,
                                                     &general_table, NULL};
static const option_table *const bench_tables[] = {&bench_table,  &config_table,  &dump_table,
                                                   &output_table, &general_table, NULL};
static const option_table *const softmax_tables[] = {&softmax_table, &output_table, &general_table,
                                                     NULL};

static const option_table *const tune_tables[] = {&tune_table,        &config_table,  &dump_table,
                                                  &tune_output_table, &general_table, NULL};
static const option_table *const report_tables[] = {&report_table, &vocab_table,   &dump_table,
                                                    &output_table, &general_table, NULL};
static const option_table *const stages_tables[] = {&format_table, &general_table, NULL};
static const option_table *const show_tables[] = {&format_table, &config_table, &general_table,
                                                  NULL};
static const option_table *const import_tables[] = {&import_table, &general_table, NULL};
static const option_table *const init_tables[] = {&init_table, &general_table, NULL};
static const option_table *const plain_tables[] = {&general_table, NULL};
static const option_table *const help_tables[] = {&help_table, &general_table, NULL};

static const option_table *const predict_tables[] = {&predict_table, &isa_table,  &dense_table,
                                                     &vocab_table,   &dump_table, &output_table,
                                                     &general_table, NULL};
static const option_table *const tree_stats_tables[] = {&counts_table, &format_table,
                                                        &general_table, NULL};

static const option_table *const fit_tables[] = {&train_table, &size_table, &map_table,
                                                 &general_table, NULL};
static const option_table *const distill_tables[] = {&train_table, &dense_table,   &isa_table,
                                                     &map_table,   &general_table, NULL};
static const option_table *const eval_tables[] = {&eval_table, &dense_table,   &isa_table,
                                                  &map_table,  &general_table, NULL};

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

static const char *const compare_examples[] = {
    "pluck compare a.npy b.npy",
    "pluck compare logits.npy --config-b config.json --targets targets.npy --vocab vocab.json",
    "pluck compare a.npy b.npy --max-kl 0.01 --format json",
    "pluck compare a.npy b.npy --format csv --rows 0:10 -o rows.csv", NULL};
static const char *const convert_examples[] = {
    "pluck convert logits.npy -o small.npy --to-dtype f16",
    "pluck convert logits.npy -o rows.jsonl --rows 0:4 --targets targets.npy",
    "pluck convert logits.raw --vocab-size 512 -o logits.safetensors",
    "pluck convert logits.npy --to jsonl --rows 0 -o - | pluck sample -", NULL};
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

static const char *const tune_examples[] = {
    "pluck tune logits.npy --targets targets.npy",
    "pluck tune logits.npy --targets targets.npy --format json --threads 0",
    "pluck tune logits.npy --targets targets.npy --truncate top_p -o tuned.json",
    "pluck tune logits.npy --objective entropy=2.5 --no-curves",
    "pluck tune logits.npy -t targets.npy --cross-validate --svg tuned.svg --csv tuned.csv",
    NULL};
static const char *const report_examples[] = {
    "pluck report logits.npy --targets targets.npy --vocab vocab.json -o report.html",
    "pluck report a.npy b.npy --vocab vocab.json -o report.html", NULL};
static const char *const stages_examples[] = {"pluck stages", "pluck stages top_p",
                                              "pluck stages --format json", NULL};
static const char *const check_examples[] = {
    "pluck config check config.json", "echo '{\"top_p\": 0.9}' | pluck config check -", NULL};
static const char *const show_examples[] = {
    "pluck config show config.json", "pluck config show config.json --top-k 20 --format json",
    "pluck config show --preset balanced", NULL};
static const char *const import_examples[] = {
    "pluck config import generation_config.json -q > mine.json",
    "pluck config import Modelfile --format json",
    "echo '{\"temperature\": 0.7, \"top_p\": 0.9}' | pluck config import --from vllm - -q", NULL};
static const char *const init_examples[] = {"pluck config init > config.json",
                                            "pluck config init --list", NULL};
static const char *const schema_examples[] = {"pluck config schema > pluck.schema.json", NULL};
static const char *const predict_examples[] = {
    "pluck tree predict model.ftz -k 3 < lines.txt",
    "pluck tree predict model.ftz lines.txt -k 5 --threshold 0.1 --threads 0",
    "pluck tree predict model.ftz lines.txt --sample --temperature 0.7 --seed 7 --format json",
    NULL};
static const char *const tree_stats_examples[] = {
    "pluck tree stats model.ftz", "echo 5 1 1 2 9 | pluck tree stats --counts - --format json",
    NULL};
static const char *const fit_examples[] = {
    "pluck tree fit hidden.npy next.npy -o tree.safetensors --threads 0",
    "pluck tree fit hidden.npy next.npy --tree clusters --vectors head.npy -e 20 -o "
    "t.safetensors",
    NULL};
static const char *const distill_examples[] = {
    "pluck tree distill head.npy hidden.npy next.npy --bias bias.npy -o tree.safetensors", NULL};
static const char *const eval_examples[] = {
    "pluck tree eval head.npy valid_hidden.npy valid_next.npy --bias bias.npy", NULL};
static const char *const completions_examples[] = {"pluck completions bash > pluck.bash", NULL};
static const char *const help_examples[] = {"pluck help sample", "pluck help --man > pluck.1",
                                            NULL};

static const command sample_command = {
    "sample",
    "DUMP... [options]",
    "draw tokens from the rows of logit dumps",
    "Reads rows of logits (.npy, .npz, .safetensors, torch.save, llama.cpp's KL-divergence base, "
    "JSON, CSV, text or raw values, packed by gzip or not; - is standard input), runs the "
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
    cmd_sample,
    true};

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
    cmd_inspect,
    true};

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
    cmd_replay,
    true};

static const command compare_command = {
    "compare",
    "A B [options] | A --config-a FILE --config-b FILE",
    "measure how far two dumps, or two configurations, are apart",
    "Compares softmax(logits) of A and B row by row: the Kullback-Leibler divergence both ways, "
    "total "
    "variation, Spearman's rank correlation of the 100 tokens most probable in A, how often the "
    "most "
    "probable token is the same, and, with targets, both perplexities: means with their standard "
    "errors, and quantiles over the rows. The rows that differ most are listed.\n"
    "With one dump, or with configurations, the distributions that tokens would be drawn from are "
    "compared; a side without a configuration is softmax(logits). Where one side bans a token that "
    "the other allows, the divergence is infinite; such rows are counted.\n"
    "Ends with status 1 if the mean KL(A || B) is above --max-kl.",
    compare_tables,
    false,
    compare_examples,
    1,
    2,
    "DUMP",
    cmd_compare,
    true};

static const command convert_command = {
    "convert",
    "DUMP -o FILE [options]",
    "write a dump in another format or type",
    "Reads rows of any dump and writes them as .npy, .safetensors or JSON lines, in constant "
    "memory. "
    "Values of another type are rounded to the nearest; bfloat16 in .npy is stored as <V2. JSON "
    "lines hold the target of each row as well, and -inf as null.",
    convert_tables,
    false,
    convert_examples,
    1,
    1,
    "DUMP",
    cmd_convert,
    true};

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
    cmd_bench,
    true};

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
    cmd_softmax,
    false};

static const command tune_command = {
    "tune",
    "DUMP [--targets FILE] [options]",
    "find the temperature that fits, and what truncations would do",
    "Reads all rows of a dump and finds the temperature with the least objective: the likelihood "
    "of the tokens that followed (nll), the calibration error (ece), the Brier score, or a mean "
    "entropy, perplexity (its exponential) or diversity (the mean of exp(entropy)) to be met. "
    "Prints it with its interval, what it changes, how well confidence says what is correct, and "
    "how often each truncation would have forbidden the token that followed.\n"
    "-o writes a configuration with this temperature: the one of --config, --preset and the flags "
    "for keys, or an empty one. Its stages do not take part in the fit, which sees the raw "
    "logits.\n"
    "The dump is read several times, so that it cannot be a stream. Memory does not grow with it.",
    tune_tables,
    true,
    tune_examples,
    1,
    1,
    "DUMP",
    cmd_tune,
    true};

static const command report_command = {
    "report",
    "DUMP... [options]",
    "make a page that shows dumps, with live controls",
    "Writes one HTML page that needs nothing else: the distribution of some rows, with sliders for "
    "temperature, top-k, typical, top-p and min-p that act as the library does and can be saved as "
    "a configuration; entropy, perplexity and nucleus size over the rows; and with targets the "
    "likelihood against temperature and the reliability diagram, before and after.",
    report_tables,
    false,
    report_examples,
    1,
    100,
    "DUMP",
    cmd_report,
    true};

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
    cmd_stages,
    false};

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
    cmd_config_check,
    true};

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
    cmd_config_show,
    true};

static const command config_import_command = {
    "config import",
    "FILE [options]",
    "turn a configuration of another engine into one of pluck",
    "Reads a generation_config.json of Hugging Face Transformers; the body of a request to "
    "llama.cpp's server, vLLM, OpenAI's API, text-generation-webui, KoboldCpp or Ollama; a preset "
    "of text-generation-webui, a Modelfile, or arguments of ExLlamaV3. Prints a configuration that "
    "does the same, in that engine's order and with its defaults. Standard error says what became "
    "of each key: mapped, ignored because it does not change which token is drawn, or refused "
    "because it may. Status 1 if any was refused. --format json prints one object with from, "
    "config and keys. - is standard input.",
    import_tables,
    false,
    import_examples,
    1,
    1,
    "FILE",
    cmd_config_import,
    true};

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
    cmd_config_init,
    false};

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
    cmd_config_schema,
    false};

static const command tree_predict_command = {
    "tree predict",
    "MODEL [INPUT] [options]",
    "labels of lines of text, or tokens of hidden states",
    "With a fastText model (.bin, .ftz): for each line of INPUT (standard input if it is not "
    "given) prints the most probable labels, each followed by its probability, as 'fasttext "
    "predict-prob MODEL INPUT N' does; a line without any known word gives an empty one. "
    "Probabilities are exact; fastText's own are a little larger (--compat).\n"
    "With a head (.safetensors, or the weights of a dense one as .npy): INPUT holds hidden states, "
    "a row each, and the labels are tokens.",
    predict_tables,
    false,
    predict_examples,
    1,
    2,
    "MODEL",
    cmd_tree_predict,
    true};

static const command tree_stats_command = {
    "tree stats",
    "[MODEL] [options]",
    "the shape of a code tree, and what its codes cost",
    "Of the tree of MODEL (a fastText model with hierarchical softmax, or a stored hierarchical "
    "head), or of the Huffman tree of --counts: tokens, code lengths, their mean by the counts "
    "beside the entropy of the counts, which no code can beat.",
    tree_stats_tables,
    false,
    tree_stats_examples,
    0,
    1,
    "MODEL",
    cmd_tree_stats,
    true};

static const command tree_fit_command = {
    "tree fit",
    "HIDDEN TARGETS -o FILE [options]",
    "train a hierarchical head on hidden states and their tokens",
    "HIDDEN has a row of numbers for each position (.npy, .safetensors), TARGETS the token that "
    "came there (.npy of integers, or text). Fits the inner nodes of a code tree by stochastic "
    "gradient descent with a learning rate that falls linearly to 0. The result does not depend on "
    "the number of threads.\n"
    "Interrupted (Ctrl-C), it finishes the step, writes the checkpoint and ends by the signal "
    "(status 130); the same command with --resume goes on, to the same result.",
    fit_tables,
    false,
    fit_examples,
    2,
    2,
    "HIDDEN TARGETS",
    cmd_tree_fit,
    true};

static const command tree_distill_command = {
    "tree distill",
    "HEAD HIDDEN TARGETS -o FILE [options]",
    "train a hierarchical head to say what another head says",
    "HEAD is the weights of a dense head (.npy, --bias) or a stored head. The tree learns the "
    "probabilities that it gives at the hidden states; the targets only measure both, on the "
    "validation pairs if there are some: a tree is lossy, and the last line says by how much. "
    "Otherwise as tree fit.",
    distill_tables,
    false,
    distill_examples,
    3,
    3,
    "HEAD HIDDEN TARGETS",
    cmd_tree_distill,
    true};

static const command tree_eval_command = {
    "tree eval",
    "HEAD HIDDEN TARGETS [options]",
    "perplexity of a head, and what its answers cost",
    "Asks a head about each pair: the probability of the target, a token drawn, the most probable "
    "token. Prints loss and perplexity, how often the most probable token is the target, and for "
    "each question the processor time and the dot products a token.",
    eval_tables,
    false,
    eval_examples,
    3,
    3,
    "HEAD HIDDEN TARGETS",
    cmd_tree_eval,
    true};

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
    cmd_completions,
    false};

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
                                     cmd_help,
                                     false};

const command *const commands[] = {&sample_command,
                                   &inspect_command,
                                   &replay_command,
                                   &tune_command,
                                   &report_command,
                                   &compare_command,
                                   &convert_command,
                                   &bench_command,
                                   &softmax_command,
                                   &stages_command,
                                   &config_check_command,
                                   &config_show_command,
                                   &config_import_command,
                                   &config_init_command,
                                   &config_schema_command,
                                   &tree_predict_command,
                                   &tree_stats_command,
                                   &tree_fit_command,
                                   &tree_distill_command,
                                   &tree_eval_command,
                                   &completions_command,
                                   &help_command,
                                   NULL};
