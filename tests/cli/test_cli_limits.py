#!/usr/bin/env python3
"""Why: a service runs the command where processes, stacks and files are limited or change under
it. It must give the results that it gives elsewhere, or say what went wrong, and leave no halves.

    test_cli_limits.py --pluck PLUCK [unittest's arguments]
"""
import os
import resource
import shutil
import signal
import struct
import subprocess
import unittest

import command_case
from command_case import CommandCase

NOBODY = 65534

# Command lines that share work between threads; {} is the number of threads.
THREADED = [
    "sample gpt2.npy --draws 3000 --format json --threads {}",
    "tree predict model.ftz lines.txt --top 3 --threads {}",
    "tree fit hidden.npy next.npy -o - --threads {}",
    "tune logits.npy --targets targets.npy --format json --bootstrap 20 --threads {}",
]

# LeakSanitizer looks at a process from another one, which it may not start.
NO_LEAK_CHECK = {"ASAN_OPTIONS": "detect_leaks=0"}


def become_nobody_without_processes():
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))


class Limits(CommandCase):
    def run_as_nobody(self, line):
        done = subprocess.run([self.folder / "pluck", *line.split()], cwd=self.folder,
                              capture_output=True, stdin=subprocess.DEVNULL, timeout=250,
                              env={**self.env, **NO_LEAK_CHECK},
                              preexec_fn=become_nobody_without_processes)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        return done.stdout

    def test_a_limit_of_processes_changes_no_byte(self):
        if os.getuid() != 0:
            self.skipTest("needs root, to become a user with a limit")
        os.chmod(self.folder.parent, 0o755)
        os.chmod(self.folder, 0o755)
        shutil.copy(command_case.PLUCK, self.folder / "pluck")
        for line in THREADED:
            with self.subTest(line=line):
                one = self.run_line("pluck " + line.format(1))
                self.assertNotEqual(one, b"")
                self.assertEqual(self.run_as_nobody(line.format(4)), one)

    def test_charts_and_pages_need_little_stack(self):
        """The lines of cases.txt run with this limit too."""
        for line in ("pluck tune logits.npy --targets targets.npy --bins 1000 --svg x.svg",
                     "pluck report logits.npy --targets targets.npy -o x.html",
                     "pluck convert gpt2.npy -o x.safetensors",
                     "pluck bench gpt2.npy --seconds 0"):
            with self.subTest(line=line):
                self.run_line("ulimit -s 64; " + line)

    def write_large(self, name, n_rows=3000, n_vocab=8192):
        """Rows of zeros: a file with holes, which takes no space."""
        header = "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }" % (n_rows, n_vocab)
        header += " " * (-(len(header) + 11) % 64) + "\n"
        with open(self.folder / name, "wb") as file:
            file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode())
            file.truncate(file.tell() + 4 * n_rows * n_vocab)

    def shorten_while_it_runs(self, line, name):
        """Stops the command when it has begun to read, cuts the file, and lets it go on."""
        process = subprocess.Popen(["bash", "-c", f"exec {line}"], cwd=self.folder, env=self.env,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, bufsize=0,
                                   stderr=subprocess.PIPE)
        first = process.stdout.read(1)
        process.send_signal(signal.SIGSTOP)
        os.truncate(self.folder / name, 4096)
        process.send_signal(signal.SIGCONT)
        out, err = process.communicate(timeout=100)
        return process.returncode, first + out, err.decode()

    def test_a_file_that_is_shortened_is_named_and_nothing_is_left(self):
        for line in ("pluck sample gpt2.npy large.npy --format json --threads 1",
                     "pluck sample large.npy --format json --threads 3",
                     "pluck convert large.npy --to jsonl -o -"):
            with self.subTest(line=line):
                self.write_large("large.npy")
                before = self.names()
                code, _, err = self.shorten_while_it_runs(line, "large.npy")
                self.assertEqual(code, 3, err)
                self.assertEqual(err.count("\n"), 1)
                who = " ".join(line.split()[:2])
                self.assertTrue(err.startswith(f"{who}: large.npy: became shorter"), err)
                self.assertIn("--no-map", err)
                self.assertEqual(self.names(), before)

    def test_an_unfinished_output_is_removed(self):
        for line in ("pluck sample large.npy --format json -o out.jsonl",
                     "pluck convert large.npy -o out.safetensors --dtype f16"):
            with self.subTest(line=line):
                self.write_large("large.npy")
                before = self.names()
                process = subprocess.Popen(line.split(), cwd=self.folder, env=self.env,
                                           stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
                while not any(p.name.startswith(".out") and p.stat().st_size > 0
                              for p in self.folder.iterdir()):
                    self.assertIsNone(process.poll(), "it ended before it could be stopped")
                process.send_signal(signal.SIGSTOP)
                self.assertNotEqual(self.names(), before)
                os.truncate(self.folder / "large.npy", 4096)
                process.send_signal(signal.SIGCONT)
                _, err = process.communicate(timeout=100)
                self.assertEqual(process.returncode, 3, err)
                self.assertIn("large.npy: became shorter", err.decode())
                self.assertEqual(self.names(), before)

    def test_without_a_mapping_nothing_happens(self):
        self.write_large("large.npy", 1000)
        line = "pluck sample large.npy --format json --no-map"
        expected = self.run_line(line)
        self.assertEqual(self.run_line("pluck sample large.npy --format json"), expected)
        code, out, err = self.shorten_while_it_runs(line, "large.npy")
        self.assertEqual((code, err), (0, ""))
        self.assertEqual(out, expected)

    def test_models_without_a_mapping_give_the_same(self):
        self.run_line("pluck tree fit hidden.npy next.npy -o tree.safetensors --quiet")
        for line in ("pluck tree predict model.ftz lines.txt",
                     "pluck tree predict tree.safetensors hidden.npy",
                     "pluck tree predict head.npy --bias bias.npy hidden.npy"):
            with self.subTest(line=line):
                self.assertEqual(self.run_line(line + " --no-map"), self.run_line(line))


if __name__ == "__main__":
    command_case.main()
