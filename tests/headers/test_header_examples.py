#!/usr/bin/env python3
"""Why: readers copy the examples of the public headers. Each must compile as it stands.

    test_header_examples.py COMPILER INCLUDE_DIR

An example is a block of a comment that is indented by four spaces after the "* " and calls a
function of pluck. It becomes the body of a function in a file of its own, which includes its header
and example_names.h, where the names that examples take from the reader's program are declared. C++
headers are compiled as C++17.
"""
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
# What a header's examples take from the reader's program besides example_names.h.
NAMES = {
    "fasttext.h": "static const char *line;",
    "head.h": "static pluck_tree *tree; static pluck_train_data data; static pluck_head *head;"
              "static pluck_train_options options; void show(const pluck_train_progress *);",
    "llama.h": "static struct llama_sampler *chain; static struct llama_context *ctx;"
               "static const struct llama_vocab *vocab; static struct llama_sampler *smpl;"
               "void llama_sampler_chain_add(struct llama_sampler *, struct llama_sampler *);"
               "llama_token llama_sampler_sample(struct llama_sampler *, struct llama_context *,"
               " int);",
    "mpi.h": "static pluck_shard *shard; static pluck_draw draw; pluck_logits model_slice(void);",
    "sampled_softmax.h": "static pluck_pcg64 rng; static pluck_token target;"
                         "static uint64_t n_tries;"
                         "static double expected[65], loss; static float logits[65], gradient[65];"
                         "float your_logit(const float *, pluck_token);",
    "sampler.h": "static pluck_pool *pool; static pluck_workspace *workspace; static size_t n;"
                 "static pluck_sampler **samplers; static pluck_sampler_options options;"
                 "static const pluck_token **prompts; static const size_t *n_prompts;"
                 "pluck_matrix model_rows(void); bool is_done(void);",
    "shard.h": "static pluck_shard *shard; static uint32_t rank, n_ranks, *first_token;"
               "static void *record; static const void *const *records; static size_t *sizes;"
               "static pluck_draw draw; pluck_logits model_slice(void);"
               "void all_gather(const void *, size_t, const void *const *);",
    "speculative.h": "static pluck_sampler *draft, *target; static pluck_speculation *speculation;"
                     "static pluck_prob *probs[9]; static pluck_support supports[9];"
                     "static uint32_t n; static pluck_verdict verdict;"
                     "pluck_logits draft_row(uint32_t); pluck_matrix target_model(pluck_token *);",
    "stage.h": "static pluck_registry *registry; static pluck_custom_stage my_stage;"
               "static size_t size;",
    "trace.h": "static pluck_logits logits; void show(const pluck_stage_report *);",
    "weighted.h": "static const float *w; static uint32_t n;",
    "pluck.hpp": "static std::vector<pluck_token> prompt;",
}
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
BLOCK = re.compile(r"(?:^ \*\n)((?:^ \*(?:     .*)?\n)+)", re.MULTILINE)


def examples(header):
    """(line, code)"""
    text = header.read_text(encoding="utf-8")
    for comment in COMMENT.finditer(text):
        for block in BLOCK.finditer(comment.group()):
            code = re.sub(r"^ \*(?:     )?", "", block.group(1), flags=re.MULTILINE).rstrip()
            if re.search(r"\b(pluck_\w+|PLUCK_INIT|\w+\.\w+)\(", code):
                start = comment.start() + block.start(1)
                yield text.count("\n", 0, start) + 1, code


def program(header, line, code):
    includes = "\n".join(re.findall(r"^#include.*$", code, re.MULTILINE))
    body = re.sub(r"^#include.*$", "", code, flags=re.MULTILINE)
    return (f"#include <pluck/{header.name}>\n{includes}\n#include \"example_names.h\"\n"
            f"void example(void);\nvoid example(void)\n{{\n{NAMES.get(header.name, '')}\n"
            f"{{\n#line {line} \"{header}\"\n{body}\n}}\n}}\n")


def main():
    compiler, include_dir = sys.argv[1].split(), pathlib.Path(sys.argv[2])
    n_examples = n_failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for header in sorted((include_dir / "pluck").glob("*.h*")):
            is_cpp = header.suffix == ".hpp"
            for line, code in examples(header):
                n_examples += 1
                path = pathlib.Path(folder) / ("example.cpp" if is_cpp else "example.c")
                path.write_text(program(header, line, code), encoding="utf-8")
                language = ["-x", "c++", "-std=c++17"] if is_cpp else ["-x", "c", "-std=c11"]
                done = subprocess.run(
                    [*compiler, *language, "-fsyntax-only", "-Wall", "-Wextra", "-Werror",
                     "-Wno-unused", "-I", str(include_dir), "-I", str(HERE),
                     "-I", str(HERE.parent / "llama"), str(path)],
                    capture_output=True, text=True)
                if done.returncode != 0:
                    n_failed += 1
                    print(f"{header.name}:{line}:\n{done.stderr}")
    print(f"{n_examples} examples, {n_failed} failed")
    return 1 if n_failed or n_examples < 10 else 0


if __name__ == "__main__":
    sys.exit(main())
