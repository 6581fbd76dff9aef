#!/usr/bin/env python3
"""Why: what the command reads and writes must be the same bytes on every system, whatever that
system does to names, line ends and files that are in use.

    test_ports.py --pluck PLUCK [unittest's arguments]

In a cross build the command runs through MESON_EXE_WRAPPER, which Meson sets: Wine for Windows.
"""
import os
import pathlib
import shlex
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
CLI = HERE.parent / "cli"
sys.path.insert(0, str(CLI))
import command_case  # noqa: E402
from command_case import DATA_FOLDER, CommandCase  # noqa: E402

NAME = "Größe 日本"
DUMPS = ["tiny.npy", "tiny_targets.npy", "stories260K.npy", "stories260K_vocab.json"]

# Command lines that write {out}; {in} and {targets} are a real dump and its targets.
LINES = {
    "sample": "pluck sample {in} --temperature 0.8 --top-p 0.9 --draws 2 -f json -o {out}.jsonl",
    "sample_csv": "pluck sample {in} -f csv --seed 7 --threads 2 -o {out}.csv",
    "trace": "pluck sample {in} --top-k 5 -f json --trace -o {out}.jsonl",
    "compare": "pluck config init precise > {out}.config; "
               "pluck compare {in} --config-b {out}.config --targets {targets} -o {out}.txt",
    "tune": "pluck tune {in} --targets {targets} -f json -o {out}.json",
    "inspect": "pluck inspect {in} --row 3 --top-p 0.9 > {out}.txt",
    "report": "pluck report {in} --targets {targets} -o {out}.html",
    "convert_npy": "pluck convert {in} --to-dtype f16 -o {out}.npy",
    "convert_safetensors": "pluck convert {in} -o {out}.safetensors",
    "convert_jsonl": "pluck convert {in} --rows 0:4 -o {out}.jsonl",
    "merge": "for i in 0 1; do pluck sample {in} --draws 2 -f json --shard $i/2 "
             "--partial {out}.part$i; done; pluck merge {out}.part0 {out}.part1 -o {out}.jsonl",
    "pipe_in": "pluck convert - -o {out}.npy < {in}",
    "pipe_out": "pluck convert {in} --to npy -o - | cat > {out}.npy",
    "pipe_both": "cat {in} | pluck convert - --to npy --to-dtype bf16 -o - | cat > {out}.npy",
}

# What has line ends that an editor on Windows makes, and a line that reads it.
TEXTS = {
    "config": ('{\n  "temperature": 0.7,\n  "top_k": 3\n}\n',
               "pluck sample in.npy --config {file} -f json"),
    # Such targets fit badly, which is exit status 1.
    "targets": ("3\n" * 32, "pluck tune in.npy --targets {file} -f json"),
    "rows": ('{"logits": [1, 2, 3]}\n{"logits": [3, 1, 2]}\n',
             "pluck sample {file} --input-format jsonl -f json"),
    "vocab": ("a\nb\nc\n", "printf '{{\"logits\": [1, 2, 3]}}\\n' | pluck sample - "
              "--input-format jsonl --vocab {file} -f json"),
}


class Ports(CommandCase):
    def setUp(self):
        super().setUp()
        for name in DUMPS:
            (self.folder / name).write_bytes((DATA_FOLDER / name).read_bytes())

    def written(self, line, name):
        """What the line writes to a file of this name, once its own name is out of it."""
        for part, source in (("in", "tiny.npy"), ("targets", "tiny_targets.npy")):
            to = self.folder / f"{name}_{part}.npy"
            to.write_bytes((self.folder / source).read_bytes())
        before = set(self.names())
        words = {key: shlex.quote(f"{name}_{key}.npy") for key in ("in", "targets")}
        self.run_line(line.format(**words, out=shlex.quote(f"{name}_out")))
        made = sorted(set(self.names()) - before)
        return {file.replace(name, ""):
                (self.folder / file).read_bytes().replace(name.encode(), b"")
                for file in made if ".part" not in file}

    def test_a_path_of_any_letters_changes_no_byte(self):
        for case, line in LINES.items():
            with self.subTest(case=case):
                plain, other = self.written(line, case + "-plain"), self.written(line, case + NAME)
                self.assertEqual(list(plain), list(other))
                self.assertTrue(plain and all(plain.values()))
                sizes = [[len(text) for text in files.values()] for files in (plain, other)]
                self.assertTrue(plain == other, f"the bytes differ: {sizes}")

    def test_text_has_one_kind_of_line_end(self):
        for case in ("sample", "sample_csv", "inspect", "tune"):
            with self.subTest(case=case):
                for text in self.written(LINES[case], NAME + case).values():
                    self.assertNotIn(b"\r", text)
                    self.assertTrue(text.endswith(b"\n"))

    def test_binary_pipes_keep_every_byte(self):
        """All 16-bit patterns but those of NaN and +inf, so 0x0D, 0x0A and 0x1A in every place."""
        values = [v for v in range(1 << 16) if v & 0x7FFF <= 0x7C00 and v != 0x7C00]
        header = b"{'descr': '<f2', 'fortran_order': False, 'shape': (1, %d), }" % len(values)
        header += b" " * (117 - len(header)) + b"\n"
        bytes_in = (b"\x93NUMPY\x01\x00v\x00" + header
                    + b"".join(v.to_bytes(2, "little") for v in values))
        (self.folder / "all.npy").write_bytes(bytes_in)
        out = self.run_line("pluck convert - --to npy -o - < all.npy | cat")
        self.assertEqual(bytes_in[-2 * len(values):], out[-2 * len(values):])
        self.assertEqual(out, self.run_line("cat all.npy | pluck convert - --to npy -o -"))

    def test_inputs_may_have_other_line_ends(self):
        (self.folder / "in.npy").write_bytes((self.folder / "tiny.npy").read_bytes())
        for case, (text, line) in TEXTS.items():
            with self.subTest(case=case):
                results = []
                for end in ("\n", "\r\n"):
                    (self.folder / "text.txt").write_bytes(text.replace("\n", end).encode())
                    results.append(self.run_line(line.format(file="text.txt"), (0, 1)))
                self.assertEqual(*results)

    def test_messages_name_what_is_wrong_as_everywhere(self):
        for line, code, text in (
                (f"pluck inspect '{NAME}.npy'", 4,
                 f"pluck inspect: {NAME}.npy: cannot be opened: No such file or directory\n"),
                ("pluck inspect .", 4, "pluck inspect: .: is a directory\n"),
                ("pluck convert tiny.npy -o none/x.npy", 4, "none/x.npy"),
                ("pluck convert tiny.npy -o ./tiny.npy", 2, "is an input file too")):
            with self.subTest(line=line):
                self.run_line(line, code)
                self.assertIn(text, self.stderr)
                self.assertEqual(1, self.stderr.count("\n"))

    def test_a_file_is_replaced_or_said_to_be_in_use(self):
        old = (self.folder / "tiny.npy").read_bytes()
        (self.folder / "old.npy").write_bytes(old)
        before = self.names()
        with self.start("pluck compare old.npy -") as reader:
            self.wait_for(lambda: self.is_mapped(reader))
            self.run_line("pluck convert stories260K.npy -o old.npy", (0, 4))
            reader.stdin.close()
            reader.wait()
        now = (self.folder / "old.npy").read_bytes()
        self.assertEqual(before, self.names())
        if self.code == 4:
            self.assertIn("old.npy: cannot be replaced: it is in use", self.stderr)
            self.assertEqual(old, now)
        else:
            self.assertNotEqual(old, now)
        self.run_line("pluck convert stories260K.npy -o old.npy")

    def test_an_interrupted_command_leaves_no_file(self):
        before = self.names()
        with self.start("pluck convert - -o new.npy") as writer:
            writer.stdin.write((self.folder / "tiny.npy").read_bytes()[:3000])
            writer.stdin.flush()
            self.wait_for(lambda: self.names() != before)
            writer.send_signal(signal.SIGINT)
            writer.stdin.close()
            self.assertNotEqual(0, writer.wait())
        self.assertEqual(before, self.names())

    def start(self, line):
        return subprocess.Popen(["sh", "-c", "exec " + line], cwd=self.folder, env=self.env,
                                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)

    def is_mapped(self, process):
        maps = pathlib.Path(f"/proc/{process.pid}/maps").read_text(encoding="utf-8")
        return str(self.folder / "old.npy") in maps

    def wait_for(self, has_happened):
        for _ in range(1000):
            if has_happened():
                return
            time.sleep(0.02)
        self.fail("nothing happened for 20 seconds")


class Cases(unittest.TestCase):
    def test_the_table_of_command_lines_has_the_same_results(self):
        """In a cross build only; elsewhere a test of its own runs the table."""
        if "MESON_EXE_WRAPPER" not in os.environ:
            self.skipTest("this is not a cross build")
        cases = [line[1:-1] for line in (CLI / "cases.txt").read_text(encoding="utf-8").split("\n")
                 if line.startswith("[")]
        done = subprocess.run([sys.executable, CLI / "run_cases.py", "--pluck", command_case.PLUCK,
                               *command_case.some(cases, 6)], capture_output=True)
        self.assertEqual(0, done.returncode, done.stdout.decode())


def main():
    wrapper = os.environ.get("MESON_EXE_WRAPPER")
    if not wrapper:
        command_case.main()
        return
    with tempfile.TemporaryDirectory() as folder:
        at = sys.argv.index("--pluck") + 1
        program = pathlib.Path(folder, "pluck")
        program.write_text(f'#!/bin/sh\nexec {wrapper} {shlex.quote(os.path.abspath(sys.argv[at]))}'
                           ' "$@"\n', encoding="utf-8")
        program.chmod(0o755)
        sys.argv[at] = str(program)
        command_case.main()


if __name__ == "__main__":
    main()
