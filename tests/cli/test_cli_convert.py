#!/usr/bin/env python3
"""pluck convert: what it writes is what NumPy and other readers expect, and nothing is left of a
conversion that fails: half a dump under its full name would be taken for a whole one."""
import json
import pathlib
import signal
import struct
import subprocess
import time
import unittest
import zipfile

from command_case import CommandCase, main

try:
    import numpy
except ImportError:
    numpy = None


def tokens_of(case, name, flags=""):
    return case.run_line(f"pluck sample '{name}' {flags} --draws 3 --format csv")


class Convert(CommandCase):
    def test_every_format_gives_the_same_tokens(self):
        expected = tokens_of(self, "logits.npy")
        for name in ("out.npy", "out.safetensors", "out.jsonl", "d\u00fcmp \u2603.npy"):
            self.run_line(f"pluck convert logits.npy -o '{name}'")
            self.assertEqual(tokens_of(self, name), expected)
        self.run_line("pluck convert - --to safetensors -o b < out.jsonl")
        self.run_line("pluck convert b --to npy -o c")
        self.assertEqual((self.folder / "c").read_bytes(), (self.folder / "out.npy").read_bytes())

    def test_text_from_a_pipe_is_no_raw_values(self):
        """A size of the vocabulary allows raw values; text whose first line is long is still text.
        """
        for lines in (",0,1,2,target\n0,0.5,1,2,1\n1,1,1,1,-100\n",
                      "index,first,second,third\n0,1,2,3\n",
                      "# a comment of some length\n0.5 1 2\n",
                      "#" + "é" * 50 + "\n0.5 1 2\n"):
            (self.folder / "text.csv").write_text(lines)
            line = "pluck convert {} --vocab-size 3 -o - --to jsonl"
            expected = self.run_line(line.format("text.csv"))
            self.assertIn(b'{"logits":[', expected)
            self.assertEqual(self.run_line("cat text.csv | " + line.format("-")), expected)

    def test_a_target_column_that_lines_lack_is_refused(self):
        (self.folder / "text.csv").write_text(",0,1,2,3,target\n0,0.5,1,2,1\n1,1,1,1,1\n")
        self.run_line("pluck convert text.csv -o - --to jsonl", 3)
        self.assertIn("line 1 names 6 columns, but line 2 has 5", self.stderr)

    def test_rows_are_those_asked_for(self):
        self.run_line("pluck convert logits.npy -o part.npy --rows 3:5")
        whole, part = ((self.folder / n).read_bytes() for n in ("logits.npy", "part.npy"))
        begin = len(whole) - 64 * 2048 + 3 * 2048
        self.assertEqual(part[-4096:], whole[begin:begin + 4096])
        self.run_line("pluck convert - -o p2.npy --rows 3:5 < logits.npy")
        self.assertEqual(part, (self.folder / "p2.npy").read_bytes())
        self.run_line("pluck convert logits.npy -o x.npy --rows 99:", code=3)
        self.run_line("pluck convert logits.npy -o x.npy --rows 99", code=3)
        self.run_line("pluck convert - --vocab-size 512 -o x.npy --rows 99: < logits.raw", code=3)
        self.assertNotIn("x.npy", self.names())

    def test_targets_go_along(self):
        (self.folder / "t.txt").write_text("\n".join(str(i) for i in [5, -1, 7, 0, 2]))
        self.run_line("pluck convert small.npy -o s.jsonl --targets t.txt --targets-out t.npy")
        lines = [json.loads(s) for s in (self.folder / "s.jsonl").read_text().splitlines()]
        self.assertEqual([line.get("target") for line in lines], [5, None, 7, 0, 2])
        self.assertIsNone(lines[2]["logits"][1])
        content = (self.folder / "t.npy").read_bytes()
        self.assertEqual(struct.unpack("<5i", content[128:]), (5, -1, 7, 0, 2))
        self.run_line("pluck convert s.jsonl -o s.npy --targets-out t2.npy --rows 2:")
        self.assertEqual(struct.unpack("<3i", (self.folder / "t2.npy").read_bytes()[128:]),
                         (7, 0, 2))
        self.run_line("pluck convert small.npy -o x.npy --targets-out y.npy", code=3)
        self.assertIn("has no targets", self.stderr)
        (self.folder / "t.txt").write_text("1 2 3 4 8")
        self.run_line("pluck convert small.npy -o x.npy --targets t.txt", code=3)
        self.assertIn("target 4 is 8, outside the vocabulary of 8 tokens", self.stderr)
        (self.folder / "t.txt").write_text("1 2 3 4")
        self.run_line("pluck convert small.npy -o x.npy --targets t.txt", code=3)
        self.assertIn("has 4 targets, but small.npy has 5 rows", self.stderr)
        self.assertFalse({"x.npy", "y.npy"} & set(self.names()))

    def test_the_command_line_is_checked(self):
        (self.folder / "t.txt").write_text("1 2 3 4 5")
        before = self.names()
        for line, code, said in [
                ("small.npy", 2, "-o FILE is missing"),
                ("small.npy -o out.bin", 2, "--to says what to write"),
                ("small.npy -o small.npy", 2, "is an input file too"),
                ("small.npy -o x.npy --targets-out x.npy", 2, "are the same file"),
                ("small.npy -o x.npy --targets small.raw --targets-out ./small.raw", 2, "input"),
                ("- -o x.npy --targets -", 2, "named more than once"),
                ("small.npy -o x.npy --rows q", 2, "is not a range"),
                ("text.npy -o x.npy", 3, "unknown format"),
                ("empty.npy -o x.npy", 3, "is empty"),
                ("folder.npy -o x.npy", 4, "is a directory"),
                ("small.npy -o folder.npy", 4, "Is a directory"),
                ("small.npy -o none/x.npy", 4, "No such file"),
                ("small.npy -o x.npy --targets t.txt --targets-out none/x.npy", 4, "No such file"),
                ("truncated.npy -o x.npy", 3, "truncated"),
                ("nan.npy -o x.jsonl", 3, "row 3: the logit of token 17 is NaN"),
                ("small.npy --to npy -o /dev/full", 4, "No space left"),
                ("small.npy -o x.npy --targets small.npy", 3, "are not integers")]:
            self.run_line("pluck convert " + line, code=code)
            self.assertIn(said, self.stderr)
            self.assertEqual(self.names(), before)

    def test_a_closed_pipe_ends_it_quietly(self):
        line = "set -o pipefail; pluck convert gpt2.npy --to jsonl -o - | head -c 10 > /dev/null"
        done = subprocess.run(["bash", "-c", line], cwd=self.folder, env=self.env,
                              capture_output=True, timeout=250)
        self.assertEqual((done.returncode, done.stderr), (128 + signal.SIGPIPE, b""))

    def test_an_interruption_leaves_nothing(self):
        before = self.names()
        header = (self.folder / "small.npy").read_bytes()[:-160].replace(b"(5, 8)", b"(9, 8)")
        line = ["pluck", "convert", "-", "-o", "x.npy", "--targets", "t", "--targets-out", "y.npy"]
        (self.folder / "t").write_text("1 " * 9)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with subprocess.Popen(line, env=self.env, stdin=subprocess.PIPE, cwd=self.folder,
                                  preexec_fn=lambda: signal.signal(number, signal.SIG_DFL)) as p:
                p.stdin.write(header + bytes(64))
                p.stdin.flush()
                deadline = time.monotonic() + 60
                while len(self.names()) < len(before) + 3 and time.monotonic() < deadline:
                    time.sleep(0.01)
                time.sleep(0.2)
                p.send_signal(number)
                self.assertEqual(p.wait(timeout=60), -number)
            self.assertEqual(self.names(), sorted(before + ["t"]))

    def test_values_are_as_numpy_rounds_them(self):
        if numpy is None:
            self.skipTest("NumPy is not installed (Debian: python3-numpy)")
        values = (numpy.random.default_rng(5).standard_normal((20, 300)) *
                  10.0 ** numpy.random.default_rng(6).uniform(-12, 6, (20, 300)))
        for stored in ("<f8", ">f4", "<f2"):
            with numpy.errstate(over="ignore"):
                numpy.save(self.folder / "in.npy", values.astype(stored))
                exact = values.astype(stored).astype("<f4")
                self.run_line("pluck convert in.npy -o f32.npy --to-dtype f32")
                self.run_line("pluck convert in.npy -o f16.npy --to-dtype f16")
                self.run_line("pluck convert in.npy -o bf16.npy --to-dtype bf16")
                if stored != "<f2":
                    half = exact.astype("<f2")
                else:
                    half = values.astype("<f2")
            numpy.testing.assert_array_equal(numpy.load(self.folder / "f32.npy"), exact)
            numpy.testing.assert_array_equal(numpy.load(self.folder / "f16.npy"), half)
            upper = exact.view("<u4").astype("u8")
            upper = (upper + 0x7FFF + (upper >> 16 & 1)) >> 16
            stored_upper = numpy.load(self.folder / "bf16.npy").view("<u2")
            numpy.testing.assert_array_equal(stored_upper, upper.astype("<u2"))

    def test_a_large_stored_array_is_checked_at_its_end(self):
        """Above 64 MiB the checksum is that of the rows as they are read."""
        n_rows, n_vocab = 33, 1 << 20
        text = f"{{'descr': '<f2', 'fortran_order': False, 'shape': ({n_rows}, {n_vocab})}}\n"
        head = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()
        path = self.folder / "large.npz"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            with archive.open("a.npy", "w", force_zip64=True) as member:
                member.write(head)
                for _ in range(n_rows):
                    member.write(bytes(2 * n_vocab))
        self.run_line("pluck convert large.npz --to npy -o /dev/null")
        with open(path, "r+b") as file:
            file.seek(40 << 20)
            file.write(b"\x01")
        self.run_line("pluck convert large.npz --to npy -o /dev/null", code=3)
        self.assertIn("'a.npy' is damaged", self.stderr)
        self.run_line("pluck convert large.npz --to npy -o /dev/null --rows 7")

    def test_memory_does_not_grow_with_the_dump(self):
        with open(self.folder / "sparse.raw", "wb") as file:
            file.truncate(300 << 20)
        code = ("import resource, subprocess, sys\n"
                "subprocess.run(sys.argv[1:], check=True)\n"
                "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)")
        out = "--to npy -o /dev/null --rows :2000"
        peak = int(self.run_line(f"python3 -c '{code}' pluck convert sparse.raw --vocab-size 32768 "
                                 f"{out}"))
        self.assertLess(peak, 100 << 10)


if __name__ == "__main__":
    main()
