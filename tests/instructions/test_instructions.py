#!/usr/bin/env python3
"""Counts the instructions that a token takes, and holds them to expected.json.

Why: a regression of a few percent drowns in the noise of any clock, but the number of instructions
is the same on every run. valgrind --tool=callgrind counts them for a loop over real logits, inside
the function that samples and nowhere else.

    test_instructions.py --program SAMPLING_LOOP --dump FILE --compiler ID-MAJOR [--refresh]

A chain that takes more than 5 percent above its figure fails; one that takes 5 percent less is
named, so that the figure can follow. The figures hold for one compiler: with another one, or
without valgrind, the test is skipped (exit status 77). --refresh writes this compiler's figures.
"""
import argparse
import json
import pathlib
import re
import shutil
import subprocess
import sys

ISA = "avx2"  # the widest that valgrind knows
CHAINS = ["greedy", "temperature", "default", "top_p", "penalties"]
N_TOKENS = 64
TOLERANCE = 0.05
EXPECTED = pathlib.Path(__file__).resolve().parent / "expected.json"
SKIPPED = 77


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(SKIPPED)


def count(program, dump, chain):
    """Instructions a token."""
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
               "--toggle-collect=sample_tokens", program, dump, chain, ISA, str(N_TOKENS)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode == SKIPPED:
        skip(f"under valgrind, {run.stdout.strip().removeprefix('skipped: ')}")
    collected = re.search(r"Collected : (\d+)", run.stderr)
    if run.returncode != 0 or not collected or int(collected.group(1)) == 0:
        print(run.stdout + run.stderr)
        sys.exit(f"failed: {' '.join(command)}")
    return round(int(collected.group(1)) / N_TOKENS)


def judge(figures, expected):
    """Prints one line a chain; returns how many fail."""
    n_failed = 0
    for chain, figure in figures.items():
        if chain not in expected:
            print(f"{chain:<12} {figure:9d} a token: expected.json has no figure")
            n_failed += 1
            continue
        change = figure / expected[chain] - 1
        word = "as expected"
        if change > TOLERANCE:
            word, n_failed = "TOO MANY", n_failed + 1
        elif change < -TOLERANCE:
            word = "fewer: refresh the figures"
        print(f"{chain:<12} {figure:9d} a token, expected {expected[chain]:9d} "
              f"({100 * change:+.1f} %): {word}")
    return n_failed


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--program", required=True)
    parser.add_argument("--dump", required=True)
    parser.add_argument("--compiler", required=True, help="as in expected.json: gcc-12")
    parser.add_argument("--refresh", action="store_true", help="write this compiler's figures")
    options = parser.parse_args()
    if not shutil.which("valgrind"):
        skip("valgrind is not installed (Debian: valgrind)")
    expected = json.loads(EXPECTED.read_text(encoding="utf-8")) if EXPECTED.exists() else {}
    if options.compiler not in expected and not options.refresh:
        skip(f"expected.json has no figures for {options.compiler}, only for "
             f"{', '.join(expected) or 'none'}; --refresh adds them")
    figures = {chain: count(options.program, options.dump, chain) for chain in CHAINS}
    if options.refresh:
        expected[options.compiler] = figures
        text = json.dumps(expected, indent=2, sort_keys=True)
        EXPECTED.write_text(text + "\n", encoding="utf-8")
        print(text)
        return
    n_failed = judge(figures, expected[options.compiler])
    if n_failed > 0:
        print(f"\n{n_failed} of {len(figures)} chains take more instructions than {EXPECTED.name} "
              "allows.\nIf that is meant, write new figures:\n"
              "    meson compile -C BUILD refresh_instructions")
        sys.exit(1)


if __name__ == "__main__":
    main()
