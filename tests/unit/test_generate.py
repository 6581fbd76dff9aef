#!/usr/bin/env python3
"""examples/tiny/generate.c has to compute the model that examples/tiny/train.py trained, and to
make the same text everywhere: the demo shows its text, and readers will copy its code.

    test_generate.py GENERATE SOURCE_DIR

PyTorch computed the stored logits in binary64 from the weights of tests/data, and rounded them to
binary32. TOLERANCE is what binary32 may change: a product with a matrix of n rows, at most 512,
errs by at most n 2^-24 times the sum of the absolute values of its terms. Errors of that size with
random signs, in every product and score of the binary64 computation, moved the logits by MOVED
at most in 200 runs. Twice that is allowed.
"""
import array
import math
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

MOVED = 0.0036
TOLERANCE = 2 * MOVED
ORDER_2_BITS = 2.6659  # of the byte model of train.py, per byte of all the held-out text

generate = source = None


def run(*options, **environment):
    data = source / "tests" / "data"
    command = [generate, data / "tiny.safetensors", data / "tiny_vocab.txt", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60,
                          env={**os.environ, **environment})


def read(path, kind):
    """The values of a little-endian .npy file in C order, and the part of its header with the
    shape."""
    data = path.read_bytes()
    size = 10 + int.from_bytes(data[8:10], "little")
    values = array.array(kind, data[size:])
    if sys.byteorder == "big":
        values.byteswap()
    return values, data[10:size].decode().split("'shape': ")[1].split(")")[0]


class Generate(unittest.TestCase):
    def test_the_logits_are_those_of_the_training_framework(self):
        stored, _ = read(source / "tests" / "data" / "tiny.npy", "f")
        targets, _ = read(source / "tests" / "data" / "tiny_targets.npy", "i")
        text = (source / "tests" / "data" / "tiny_heldout.txt").read_text(encoding="ascii")[:1500]
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            done = run("--prompt", text, "--logits", folder / "logits.npy",
                       "--targets", folder / "targets.npy")
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            logits, shape = read(folder / "logits.npy", "f")
            tokens, _ = read(folder / "targets.npy", "i")
        self.assertEqual(shape, f"({len(tokens)}, 1024")
        self.assertEqual(tokens[:len(targets)], targets, "the text is cut into other tokens")
        self.assertEqual(len(stored), 1024 * len(targets))
        worst = max(abs(a - b) for a, b in zip(stored, logits))
        print(f"the logits differ by {worst:.2g} at most; {TOLERANCE:.2g} is allowed")
        self.assertLessEqual(worst, TOLERANCE)

        bits = 0
        for row, token in enumerate(tokens):
            values = logits[1024 * row:1024 * (row + 1)]
            most = max(values)
            total = sum(math.exp(value - most) for value in values)
            bits -= (values[token] - most - math.log(total)) / math.log(2) / len(text)
        print(f"{bits:.4f} bits per byte of held-out text")
        self.assertLess(bits, ORDER_2_BITS)

    def test_a_seed_gives_the_stored_text_on_every_instruction_set(self):
        cases = (source / "tests" / "unit" / "generated.txt").read_text(encoding="ascii")
        self.assertGreater(cases.count("=== "), 2)
        for case in cases.split("=== ")[1:]:
            options, expected = case.split("\n", 1)
            prompt, config, seed = options.split(" | ")
            for environment in ({}, {"PLUCK_ISA": "scalar"}):
                done = run("--prompt", prompt, "--config", config, "--seed", seed,
                           "--tokens", "60", **environment)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertEqual(done.stdout, expected, f"{options}: another text")

    def test_a_mistake_is_named(self):
        for options in (["--promt", "a"], ["--prompt"], ["--config", "{\"temprature\": 1}"],
                        ["--prompt", "x " * 4096], ["--tokens", "-1"],
                        ["--tokens", "99999999999999999999"]):
            done = run(*options)
            self.assertEqual(done.returncode, 1, options)
            self.assertRegex(done.stderr, r"\Agenerate: [^\n]+\n\Z")


if __name__ == "__main__":
    generate, source = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    unittest.main(argv=sys.argv[:1])
