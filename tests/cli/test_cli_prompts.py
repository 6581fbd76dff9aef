#!/usr/bin/env python3
"""Why: what a user gives as the prompt must not count as generated: with a prompt of ten tokens and
min_tokens 4, the end of the text may not come at once. Each stage that counts generated tokens is
tried by each command that takes a prompt, and by the example that has one.

Every row has the logits 3, 2.9, 2, 1, 0 and draws are greedy, so that the expected tokens are found
by hand.

    test_cli_prompts.py --pluck PLUCK [--embed EMBED] [TEST...]
"""
import argparse
import json
import pathlib
import sys

import command_case
from command_case import CommandCase
from make_inputs import npy

EMBED = None
N_ROWS = 6
PROMPT = "0,1,0,1,0,1,0,1,0,1"

# configuration; the token of a row of its own; the tokens of the rows as one sequence
CASES = {
    # token 0 is banned until 4 tokens are generated
    "min_tokens": ({"min_tokens": 4, "min_tokens_ids": [0]}, 1, [1, 1, 1, 1, 0, 0]),
    # after 3 generated tokens the logit of token 2 is 2 * 2^1 = 4
    "exp_decay_length": ({"exp_decay_start": 2, "exp_decay_factor": 2, "exp_decay_tokens": [2]}, 0,
                         [0, 0, 0, 2, 2, 2]),
    # each generated token loses 5 once; in the end all have, and token 0 is the best again
    "penalties": ({"presence_penalty": 5, "repeat_ignore_prompt": True}, 0, [0, 1, 2, 3, 4, 0]),
}


class Prompts(CommandCase):
    def setUp(self):
        super().setUp()
        (self.folder / "rows.npy").write_bytes(npy([[3, 2.9, 2, 1, 0]] * N_ROWS))
        for name, (config, _, _) in CASES.items():
            (self.folder / f"{name}.json").write_text(json.dumps({**config, "temperature": 0}))

    def tokens(self, command, name, flags=""):
        out = self.run_line(f"pluck {command} rows.npy -c {name}.json --prompt-tokens {PROMPT} "
                            f"--format json {flags}")
        return [json.loads(x)["token"] for x in out.splitlines()]

    def test_sample(self):
        for name, (_, alone, _) in CASES.items():
            for flags in ("", "--threads 2"):
                with self.subTest(name=name, flags=flags):
                    self.assertEqual(self.tokens("sample", name, flags), [alone] * N_ROWS)
            self.assertEqual(self.tokens("sample", name, "--rows 3 --draws 3"), [alone] * 3)

    def test_sample_as_a_sequence(self):
        for name, (_, _, sequence) in CASES.items():
            with self.subTest(name=name):
                self.assertEqual(self.tokens("sample", name, "--sequence"), sequence)

    def test_inspect(self):
        for name, (_, alone, _) in CASES.items():
            with self.subTest(name=name):
                out = json.loads(self.run_line(f"pluck inspect rows.npy -c {name}.json --row 2 "
                                               f"--prompt-tokens {PROMPT} --format json"))
                self.assertEqual([t["token"] for t in out["top"]], [alone])

    def test_replay(self):
        for name, (_, alone, sequence) in CASES.items():
            for flags, expected in (("", [alone] * N_ROWS), ("--sequence", sequence)):
                with self.subTest(name=name, flags=flags):
                    tokens = self.tokens("sample", name, f"{flags} --trace -o lines.jsonl; "
                                                         "cat lines.jsonl")
                    self.assertEqual(tokens, expected)
                    lines = [json.loads(x) for x in
                             (self.folder / "lines.jsonl").read_text().splitlines()]
                    for line in lines:
                        self.assertEqual(line["trace"]["prompt"], json.loads(f"[{PROMPT}]"))
                    self.assertEqual(self.run_line("pluck replay lines.jsonl rows.npy"),
                                     b"6 lines replayed: the same, bit for bit\n")
                    # A line in which a part of the history is called the prompt is another draw.
                    if flags == "":
                        continue
                    line = lines[4]
                    line["trace"]["prompt"] += line["trace"]["history"]
                    line["trace"]["history"] = []
                    line["trace"]["first_row"] = 4
                    (self.folder / "changed.jsonl").write_text(json.dumps(line) + "\n")
                    out = self.run_line("pluck replay changed.jsonl rows.npy", 1).decode()
                    self.assertIn("line 1: row 4, draw 0: token: ", out)

    def test_the_example(self):
        if EMBED is None:
            self.skipTest("no --embed")
        # Its prompt is token 1. After token t its model gives 3 t + 1 the logit 0, 3 t + 2 -0.5 and
        # so on, modulo 64: 4, 13, 40 unless a stage says otherwise.
        for config, first in (
                ({}, [4, 13, 40]),
                # token 4 is banned until one token is generated
                ({"min_tokens": 1, "min_tokens_ids": [4]}, [5, 16, 49]),
                # a token that was generated gains 100
                ({"presence_penalty": -100, "repeat_ignore_prompt": True}, [4, 4, 4]),
                # after n > 0 generated tokens the negative logit of token 5 times 2 - 100^n
                ({"exp_decay_start": 0, "exp_decay_factor": 100, "exp_decay_tokens": [5]},
                 [4, 5, 5])):
            with self.subTest(config=config):
                text = json.dumps({**config, "temperature": 0})
                out = self.run_line(f"'{EMBED}' '{text}'").decode().splitlines()
                self.assertEqual([int(x) for x in out[0].split()[:3]], first)
                self.assertEqual(out[0], out[1])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--embed")
    args, rest = parser.parse_known_args()
    if args.embed:
        EMBED = pathlib.Path(args.embed).resolve()
    sys.argv[1:] = rest
    command_case.main()
