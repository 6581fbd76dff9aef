#!/usr/bin/env python3
"""Why: a service runs the command where processes, stacks and files are limited or change under
it. It must give the results that it gives elsewhere, or say what went wrong, and leave no halves.

    test_cli_limits.py --pluck PLUCK [unittest's arguments]
"""
import os
import resource
import shutil
import subprocess
import unittest

import command_case
from command_case import CommandCase

NOBODY = 65534

# Command lines that share work between threads; {} is the number of threads.
THREADED = [
    "sample gpt2.npy --draws 3000 --format json --threads {}",
    "tree predict model.ftz lines.txt --top 3 --threads {}",
    "tune logits.npy --targets targets.npy --format json --bootstrap 20 --threads {}",
]


def become_nobody_without_processes():
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))


class Limits(CommandCase):
    def run_as_nobody(self, line):
        done = subprocess.run([self.folder / "pluck", *line.split()], cwd=self.folder,
                              capture_output=True, stdin=subprocess.DEVNULL, timeout=250,
                              env=self.env, preexec_fn=become_nobody_without_processes)
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


if __name__ == "__main__":
    command_case.main()
