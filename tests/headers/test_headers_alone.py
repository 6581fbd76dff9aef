#!/usr/bin/env python3
"""Why: a user includes whichever header they need, first, from C or from C++, with their own
warnings. So each public header must compile alone, and twice, as C11 and as C++17, without one
warning of gcc or clang.

    test_headers_alone.py c|c++ INCLUDE_DIR

Exit status 77 (skipped, for Meson) if this machine has no compiler for the language.
"""
import pathlib
import shutil
import subprocess
import sys

from public_names import header_paths

LANGUAGES = {
    "c": (["gcc", "clang", "cc"], "-std=c11", ["-Wstrict-prototypes"], "#include <stdint.h>"),
    "c++": (["g++", "clang++", "c++"], "-std=c++17", [], "#include <cstdint>"),
}
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wundef", "-Wshadow", "-Werror"]


def compile_text(command, text):
    """None, or what the compiler says."""
    run = subprocess.run([*command, "-"], input=text, capture_output=True, text=True)
    return None if run.returncode == 0 else run.stderr or f"exit status {run.returncode}"


def usable_compilers(names, probe, language, standard):
    """One path a compiler: cc and c++ are often another name of one already there."""
    found = {}
    for name in names:
        path = shutil.which(name)
        if path and compile_text([path, standard, "-x", language, "-fsyntax-only"], probe) is None:
            found.setdefault(pathlib.Path(path).resolve(), path)
    return list(found.values())


def main():
    language, include_dir = sys.argv[1], pathlib.Path(sys.argv[2])
    names, standard, warnings, probe = LANGUAGES[language]
    compilers = usable_compilers(names, probe + "\n", language, standard)
    if not compilers:
        print(f"skipped: no {language} compiler ({', '.join(names)}) works here")
        return 77
    headers = [*header_paths(include_dir), include_dir / "pluck" / "mpi.h"]
    if not headers:
        print(f"{include_dir}/pluck has no header")
        return 1
    n_failed = 0
    for compiler in compilers:
        command = [compiler, standard, "-x", language, "-fsyntax-only", *WARNINGS, *warnings]
        # llama.h and mpi.h, which headers expect of their users, are the tests' stand-ins.
        tests = include_dir / ".." / "tests"
        command += ["-I", include_dir, "-I", tests / "llama", "-I", tests / "headers"]
        for header in headers:
            include = f"#include <pluck/{header.name}>\n"
            # A file that declares nothing would be worth a pedantic warning of its own.
            complaint = compile_text(command, include * 2 + "extern int something;\n")
            if complaint:
                n_failed += 1
                print(f"{header.name} with: {' '.join(command)}\n{complaint}")
    print(f"{len(headers)} headers, {', '.join(compilers)}: {n_failed} failures")
    return 1 if n_failed else 0


if __name__ == "__main__":
    sys.exit(main())
