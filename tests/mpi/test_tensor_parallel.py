#!/usr/bin/env python3
"""Why: an engine whose head is split over ranks must get the tokens of the whole row, however many
ranks there are; and what is wrong on one rank must be told on all.

    test_tensor_parallel.py --pluck-mpi PLUCK_MPI --program SHARD_OVER_MPI
                            [--example TENSOR_PARALLEL --dump DUMP] [--ranks 1,2,3,4]

pluck-mpi says which launcher is the right one.
"""
import argparse
import subprocess
import sys

sys.dont_write_bytecode = True
from mpi_launch import Launcher, environment  # noqa: E402

CONFIGURATIONS = [
    '{"temperature": 0}',
    '{"temperature": 0.8, "top_k": 40, "top_p": 0.95, "min_p": 0.05, "repeat_penalty": 1.1}',
    '{"temperature": 1.2, "min_p": 0.02, "draw": "gumbel", "logit_bias": {"257": 2}}',
    '{"temperature": 0.7, "seed": 5}',
    '{"temperature": 1, "top_p": 0.9, "draw": "gumbel"}',
]
SECONDS = 60


def run(line):
    done = subprocess.run(line, capture_output=True, text=True, env=environment(),
                          stdin=subprocess.DEVNULL, timeout=SECONDS)
    if done.returncode != 0:
        sys.exit(f"{' '.join(line)}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def main():
    parser = argparse.ArgumentParser()
    for name in ("--pluck-mpi", "--program"):
        parser.add_argument(name, required=True)
    for name in ("--example", "--dump"):
        parser.add_argument(name)
    parser.add_argument("--ranks", default="1,2,3,4")
    args = parser.parse_args()
    ranks = [int(n) for n in args.ranks.split(",")]
    launcher = Launcher(args.pluck_mpi)
    launcher.program = args.program
    for n in ranks:
        print(run(launcher.line(n)), end="")
    launcher.program = args.example
    for i, configuration in enumerate(CONFIGURATIONS if args.example else []):
        numbers = ranks if i == 0 else sorted({ranks[0], ranks[-1]})
        printed = [run(launcher.line(n, args.dump, configuration)) for n in numbers]
        if len(set(printed)) > 1 or printed[0].count("\nrow ") < 4:
            sys.exit(f"{configuration}: {numbers} ranks print\n" + "\n".join(printed))
        print(f"{configuration}, {numbers} ranks:\n{printed[0]}", end="")


if __name__ == "__main__":
    main()
