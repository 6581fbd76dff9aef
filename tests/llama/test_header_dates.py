#!/usr/bin/env python3
"""Why: llama.h has no version, so its user says of which date it is. A date that fits must compile
without a warning; one that does not fit must say so, instead of a table of functions in which
llama.cpp calls the wrong one.

    test_header_dates.py INCLUDE_DIR COMPILER [C++ COMPILER]
"""
import pathlib
import subprocess
import sys

DATES = [202502, 202601, 202608]
HERE = pathlib.Path(__file__).resolve().parent
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]


def compile_with(compiler, language, include_dir, stand_in, header):
    """What the compiler says; empty if it compiles."""
    command = [compiler, "-x", language, "-fsyntax-only", *WARNINGS, "-I", include_dir, "-I", HERE,
               f"-DLLAMA_STAND_IN={stand_in}", f"-DPLUCK_LLAMA_HEADER={header}", "-"]
    text = "#include <pluck/llama.h>\nextern int something;\n"
    run = subprocess.run(command, input=text, capture_output=True, text=True)
    return "" if run.returncode == 0 else run.stderr or "no message"


def main():
    include_dir, compilers = sys.argv[1], zip(["c", "c++"], sys.argv[2:])
    n_failed = 0
    for language, compiler in compilers:
        for stand_in in DATES:
            for header in DATES:
                said = compile_with(compiler, language, include_dir, stand_in, header)
                expected = "" if header == stand_in else "define PLUCK_LLAMA_HEADER as 202502"
                if (said == "") != (expected == "") or expected not in said:
                    n_failed += 1
                    print(f"{language}: llama.h of {stand_in}, PLUCK_LLAMA_HEADER {header}: "
                          f"{said or 'compiles'}")
    print(f"{n_failed} failures")
    return 1 if n_failed else 0


if __name__ == "__main__":
    sys.exit(main())
