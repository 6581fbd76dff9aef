#!/usr/bin/env python3
"""Why: examples/slurm/ is copied and trusted with jobs that take days. It runs here as it is, with
only its three variables set: on a Slurm of one node that lives in a folder of the test, where
Debian's packages are installed, and on a stand-in for sbatch everywhere. The results are those of
one process.

    test_cli_slurm.py --pluck PLUCK [TEST...]       TEST: StandIn, RealSlurm, RealSlurm.test_...

Exit status 77: a test of RealSlurm was named, and packages are missing, which it names.
"""
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import unittest

from command_case import CommandCase, main
from slurm_cluster import Cluster, NotStarted, missing_packages

CLI_FOLDER = pathlib.Path(__file__).resolve().parent
EXAMPLE = CLI_FOLDER.parent.parent / "examples" / "slurm" / "pluck-array"

# The number of tasks, the command, and what it writes besides its output.
CASES = [
    (4, "sample logits.npy --draws 3 --top-p 0.95 --seed 7 -f csv", []),
    (2, "tune logits.npy --targets targets.npy --no-curves --bootstrap 0 -f json "
        "-o tuned.json", ["tuned.json"]),
]


class ArrayJob(CommandCase):
    def set_variables(self, n_parts, command):
        """A copy of the example."""
        text = EXAMPLE.read_text()
        for name, value in (("command", f"({command})"), ("n_parts", n_parts),
                            ("results", "results.txt")):
            text, n = re.subn(rf"^{name}=.*$", f"{name}={value}", text, flags=re.MULTILINE)
            self.assertEqual(n, 1, name)
        script = self.folder / "my-array"
        script.write_text(text)
        script.chmod(0o755)

    def check(self, command, files, code=0):
        """Against one process; nothing but the logs is left of the parts."""
        got = {name: (self.folder / name).read_bytes() for name in ["results.txt", *files]}
        for name in got:
            (self.folder / name).unlink()
        self.assertEqual(self.run_line(f"pluck {command}", code), got["results.txt"])
        for name in files:
            self.assertEqual((self.folder / name).read_bytes(), got[name], name)
        left = [p.name for p in (self.folder / "results.txt.parts").iterdir()]
        self.assertEqual([name for name in left if not name.startswith("log.")], [])
        shutil.rmtree(self.folder / "results.txt.parts")

    def logs(self):
        return "\n".join(f"{p.name}: {p.read_text()}" for p in sorted(
            (self.folder / "results.txt.parts").glob("log.*")))

    def run_case(self, env, n_parts, command, files):
        self.set_variables(n_parts, command)
        self.run_line("./my-array", env=env)
        self.wait()
        self.assertTrue((self.folder / "results.txt").exists(), self.logs())
        self.check(command, files)


class RealSlurm(ArrayJob):
    def setUp(self):
        super().setUp()
        if missing_packages():
            self.skipTest("not installed: " + " ".join(missing_packages()))
        folder = tempfile.mkdtemp(prefix="slurm")
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        self.cluster = Cluster(folder)
        try:
            self.cluster.start()
        except NotStarted as reason:
            self.skipTest(str(reason))
        finally:
            self.addCleanup(self.cluster.stop)

    def wait(self):
        self.assertTrue(self.cluster.wait_for_jobs(200), self.logs())

    def test_one_round(self):
        self.run_case(self.cluster.env, *CASES[0])

    def test_many_rounds(self):
        self.run_case(self.cluster.env, *CASES[1])


class StandIn(ArrayJob):
    """The stand-in runs each job where sbatch is called, so that all are done in the end."""

    def setUp(self):
        super().setUp()
        programs, state = self.folder / "programs", self.folder / "jobs"
        programs.mkdir()
        state.mkdir()
        sbatch = programs / "sbatch"
        sbatch.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} '
                          f'{shlex.quote(str(CLI_FOLDER / "slurm_cluster.py"))} "$@"\n')
        sbatch.chmod(0o755)
        self.calls = self.folder / "calls"
        # Tells what is run, and fails in the task that a file names.
        (programs / "pluck").write_text(
            f'#!/bin/sh\necho "$1 $SLURM_ARRAY_TASK_ID" >> {self.calls}\n'
            '[ "$1" = merge ] || [ ! -e "bad.$SLURM_ARRAY_TASK_ID" ] || exit 4\n'
            f'exec {shutil.which("pluck", path=self.env["PATH"])} "$@"\n')
        (programs / "pluck").chmod(0o755)
        self.path = {"PATH": f"{programs}{os.pathsep}{self.env['PATH']}",
                     "STAND_IN_STATE": str(state)}

    def wait(self):
        pass

    def test_one_round_and_many(self):
        for case in CASES:
            self.run_case(self.path, *case)

    def test_running_it_again_does_what_is_missing(self):
        n_parts, command, files = CASES[0]
        self.set_variables(n_parts, command)
        (self.folder / "bad.2").touch()
        self.run_line("./my-array", env=self.path)
        self.assertFalse((self.folder / "results.txt").exists())
        self.assertNotIn("merge", self.calls.read_text())
        self.calls.unlink()
        (self.folder / "bad.2").unlink()
        self.run_line("./my-array", env=self.path)
        self.assertEqual(self.calls.read_text().split("\n"), ["sample 2", "merge ", ""])
        self.check(command, files)

    def test_status_1_is_an_answer(self):
        command = "compare small.npy --config-b config8.json --max-kl 0.001"
        self.set_variables(2, command)
        self.run_line("./my-array", env=self.path)
        self.check(command, [], code=1)


if __name__ == "__main__":
    if missing_packages() and any(word.startswith("RealSlurm") for word in sys.argv):
        print("skipped: not installed: " + " ".join(missing_packages()))
        sys.exit(77)
    main()
