#!/usr/bin/env python3
"""Makes a table of what sampling from slices costs: exchanges and bytes per token, and instructions
of one rank against those of one process that has the whole row.

    shard_table.py --program BUILD/bench/bench_shard --dump DUMP [--ranks 2,4,8] [--tokens 64]

Instructions are counted by valgrind, if it is there.
"""
import argparse
import re
import shutil
import subprocess

CHAINS = [
    ("greedy", '{"temperature": 0}'),
    ("the default chain", '{"temperature": 0.8, "top_k": 40, "top_p": 0.95, "min_p": 0.05}'),
    ("the same with penalties",
     '{"temperature": 0.8, "top_k": 40, "top_p": 0.95, "min_p": 0.05, "repeat_penalty": 1.1}'),
    ("min_p 0.05, temperature 1.5", '{"temperature": 1.5, "min_p": 0.05}'),
    ("top_n_sigma 1", '{"top_n_sigma": 1}'),
    ("top_p 0.9, temperature 0.8, gumbel",
     '{"temperature": 0.8, "top_p": 0.9, "draw": "gumbel"}'),
    ("temperature 0.8, gumbel", '{"temperature": 0.8, "draw": "gumbel"}'),
    ("typical 0.9", '{"typical_p": 0.9}'),
    ("temperature 0.8", '{"temperature": 0.8}'),
    ("temperature 0.8, then top_p 0.9",
     '{"stages": [{"type": "temperature", "t": 0.8}, {"type": "top_p", "p": 0.9}],'
     ' "draw": "categorical"}'),
    ("top_p 0.9, then temperature 0.8", '{"temperature": 0.8, "top_p": 0.9}'),
    ("mirostat_v2, tau 3", '{"draw": {"type": "mirostat_v2", "tau": 3}}'),
    ("adaptive_p", '{"draw": "adaptive_p"}'),
]


def run(args, *words):
    return subprocess.run([args.program, args.dump, *map(str, words)], capture_output=True,
                          text=True, check=True).stdout.split()


def instructions(args, function, *words):
    """Per token."""
    if not shutil.which("valgrind"):
        return None
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
               f"--toggle-collect={function}", args.program, args.dump, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(re.search(r"Collected : (\d+)", done.stderr).group(1)) / args.tokens


def number(x):
    return f"{x:,.0f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--program", required=True)
    parser.add_argument("--dump", required=True)
    parser.add_argument("--ranks", default="2,4,8")
    parser.add_argument("--tokens", type=int, default=64)
    args = parser.parse_args()
    ranks = args.ranks.split(",")
    heads = [f"bytes, {n} ranks" for n in ranks] + [f"instructions, {n} ranks" for n in ranks]
    print("| chain | exchanges: usual | mean | most | " + " | ".join(heads) + " |")
    print("|---" * (4 + len(heads)) + "|")
    for name, chain in CHAINS:
        figures = [run(args, n, chain, args.tokens) for n in ranks]
        whole = instructions(args, "work_of_sampler", 1, chain, args.tokens, "whole")
        cells = [f[3] for f in figures]
        for n in ranks:
            own = instructions(args, "work_of_rank", n, chain, args.tokens)
            cells.append(f"{own / whole:.2f} of {number(whole)}" if whole else "")
        usual = "the row" if figures[0][0] == "row" else figures[0][0]
        mean = max(float(f[1]) for f in figures)
        most = max(int(f[2]) for f in figures)
        print(f"| {name} | {usual} | {mean:.2f} | {most} | "
              + " | ".join(number(float(c)) if i < len(ranks) else c for i, c in enumerate(cells))
              + " |", flush=True)


if __name__ == "__main__":
    main()
