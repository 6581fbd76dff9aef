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
            f"void example(void);\nvoid example(void)\n{{\n"
            f"#line {line} \"{header}\"\n{body}\n}}\n")


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
