#!/usr/bin/env python3
"""Why: the tree commands are used behind pipes, with many threads, and are interrupted; what they
print and store may not depend on any of it.

    test_cli_tree.py --pluck PLUCK [TEST...]
"""
import json
import random
import shutil
import signal
import subprocess

import command_case
from command_case import CommandCase, main
from make_models import WORDS

FIT = "tree fit hidden.npy next.npy -q --epochs 400"


class Tree(CommandCase):
    def start(self, line, **pipes):
        return subprocess.Popen([command_case.PLUCK, *line.split()], cwd=self.folder, env=self.env,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, **pipes)

    def many_lines(self, n):
        source = random.Random(4)
        words = [w for w, _ in WORDS] + ["", "unknown", "\t", "a" * 300]
        return "".join(" ".join(source.choice(words) for _ in range(source.randint(0, 9)))
                       + source.choice(["\n", "\n", "\n\n", " </s> red\n"]) for _ in range(n))

    def test_threads_change_no_byte(self):
        (self.folder / "many.txt").write_text(self.many_lines(20000))
        for flags in ("-k 3", "--compat", "--sample --temperature 0.5 -k 0", "--format json"):
            one = self.run_line(f"pluck tree predict model.ftz many.txt {flags}")
            many = self.run_line(f"pluck tree predict model.ftz {flags} --threads 5 < many.txt")
            self.assertEqual(one, many, flags)
            self.assertGreater(one.count(b"\n"), 20000)

    def test_a_line_is_answered_before_the_next_one_is_asked(self):
        with self.start("tree predict model.ftz", stdin=subprocess.PIPE) as process:
            answers = []
            for line in (b"red\n", b"blue sky\n"):
                process.stdin.write(line)
                process.stdin.flush()
                answers.append(process.stdout.readline())
            process.stdin.close()
            self.assertEqual(process.wait(60), 0)
            self.assertTrue(all(a.startswith(b"__label__") for a in answers), answers)

    def test_a_closed_pipe_ends_it_quietly(self):
        (self.folder / "many.txt").write_text(self.many_lines(50000))
        self.run_line("pluck tree predict model.ftz many.txt | head -n 1")
        self.assertEqual(self.stderr, "")

    def test_one_long_line_is_one_line(self):
        (self.folder / "long.txt").write_text("red blue " * 200000)
        self.assertEqual(self.run_line("pluck tree predict model.ftz long.txt").count(b"\n"), 1)

    def test_it_prints_what_fasttext_prints(self):
        if not shutil.which("fasttext"):
            self.skipTest("the fasttext command is not installed (Debian: fasttext)")
        (self.folder / "many.txt").write_text(self.many_lines(300))
        theirs = self.run_line("fasttext predict-prob model.ftz many.txt 3").decode()
        mine = self.run_line("pluck tree predict model.ftz many.txt -k 3 --compat").decode()
        self.assertEqual(len(mine.split("\n")), len(theirs.split("\n")))
        for a, b in zip(mine.split("\n"), theirs.split("\n")):
            self.assertEqual(a.split(" ")[0::2], b.split(" ")[0::2])
            for x, y in zip(a.split(" ")[1::2], b.split(" ")[1::2]):
                self.assertAlmostEqual(float(x), float(y), delta=2e-6 + 1e-4 * float(y))

    def test_an_interrupted_training_goes_on_to_the_same_bytes(self):
        validation = "--validation valid_hidden.npy --validation-targets valid_next.npy"
        self.run_line(f"pluck {FIT} -o whole.safetensors")
        process = self.start(f"{FIT} {validation} -o part.safetensors")
        first = process.stdout.readline()
        self.assertIn(b"epoch   1 of 400", first)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=120)
        self.assertEqual(process.returncode, -signal.SIGINT, errors)
        self.assertIn(b"To continue, give the same command with --resume", errors)
        self.assertNotIn("part.safetensors", self.names())
        self.assertIn("part.safetensors.checkpoint", self.names())
        self.run_line(f"pluck {FIT} -o part.safetensors --resume --threads 3")
        self.assertEqual((self.folder / "part.safetensors").read_bytes(),
                         (self.folder / "whole.safetensors").read_bytes())
        self.assertNotIn("part.safetensors.checkpoint", self.names())

    def test_a_tree_is_judged_beside_its_dense_head(self):
        line = self.run_line("pluck tree distill head.npy hidden.npy next.npy --bias bias.npy "
                             "-o t.safetensors --tree clusters -q").decode()
        self.assertRegex(line, r"perplexity on 600 training rows: dense [0-9.]+, tree [0-9.]+ \(")
        self.run_line("pluck tree stats t.safetensors")
        text = self.run_line("pluck tree predict t.safetensors valid_hidden.npy -k 12").decode()
        for line in text.strip().split("\n"):
            self.assertAlmostEqual(sum(map(float, line.split()[1::2])), 1, delta=1e-4)

    def test_tokens_that_never_occur_get_codes_of_usual_length(self):
        fit = "pluck tree fit hidden.npy next.npy --vocab-size 3000 --epochs 1 -o t.safetensors"
        for flags, is_long in (("", False), (" --keep-zero-counts", True), (" -q", False)):
            self.run_line(fit + flags)
            noted = "2988 of 3000 tokens never occur and are counted once" in self.stderr
            self.assertEqual(noted, flags == "", flags + self.stderr)
            stats = json.loads(self.run_line("pluck tree stats t.safetensors -f json"))
            self.assertEqual(stats["max_length"] > 64, is_long, stats["max_length"])
            self.assertEqual("the longest code has" in self.stderr, is_long, self.stderr)

    def test_the_file_of_a_wrong_target_is_named(self):
        self.run_line("pluck tree fit hidden.npy next.npy --epochs 1 -q -o t.safetensors")
        (self.folder / "far.txt").write_text("12\n" * 600)
        for line in ("fit hidden.npy far.txt --vocab-size 12 -o u.safetensors",
                     "distill head.npy hidden.npy far.txt --bias bias.npy -o u.safetensors",
                     "fit hidden.npy next.npy --validation hidden.npy --validation-targets far.txt "
                     "-o u.safetensors",
                     "eval t.safetensors hidden.npy far.txt"):
            self.run_line(f"pluck tree {line}", code=3)
            self.assertIn("far.txt: row 0: the target is 12, but there are 12 tokens (0 to 11)",
                          self.stderr, line)

    def test_a_training_that_diverges_says_so(self):
        for flags in ("--rate 1e6", "--rate 1e6 --no-bias", "--rate 1e6 --tree balanced"):
            self.run_line("pluck tree fit hidden.npy next.npy --epochs 1 -q -o t.safetensors "
                          f"{flags}", code=1)
            self.assertIn("is not below", self.stderr)
            self.assertIn("lower --rate", self.stderr)
        self.run_line("pluck tree fit hidden.npy next.npy --epochs 1 -q -o t.safetensors")
        self.assertEqual(self.stderr, "")


if __name__ == "__main__":
    main()
