#!/usr/bin/env python3
"""Sampling 1,000 tokens allocates exactly as often as sampling 10: whatever is allocated, by the
library or behind its back by the C library, is allocated before the first token.

    test_process_allocations.py VALGRIND SAMPLE_TOKENS

Valgrind counts. Without it (an empty VALGRIND), or where it cannot run the program, the test is
skipped: exit status 77.
"""
import os
import re
import subprocess
import sys

SKIPPED = 77


def n_allocations(valgrind, program, n_tokens):
    run = subprocess.run([valgrind, "--tool=memcheck", "--leak-check=no", "--error-exitcode=9",
                          program, str(n_tokens)], capture_output=True, text=True, check=False)
    total = re.search(r"total heap usage: ([\d,]+) allocs", run.stderr)
    if not total:
        print(f"skipped: valgrind does not run {program}:\n{run.stderr[-500:]}")
        sys.exit(SKIPPED)
    if run.returncode:
        sys.exit(f"{program} {n_tokens} under valgrind:\n{run.stderr}")
    return int(total.group(1).replace(",", ""))


def main():
    valgrind, program = sys.argv[1:3]
    if not valgrind:
        print("skipped: valgrind is not installed")
        return SKIPPED
    with open(program, "rb") as file:
        image = file.read()
    if b"__asan_init" in image or b"__tsan_init" in image:
        print("skipped: valgrind cannot run a program built with a sanitizer")
        return SKIPPED
    few, many = (n_allocations(valgrind, program, n) for n in (10, 1000))
    print(f"{few} allocations for 10 tokens, {many} for 1,000")
    return 0 if few == many else 1


if __name__ == "__main__":
    sys.exit(main())
