"""What the tests of the command share: a folder with the inputs, and running command lines."""
import argparse
import itertools
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
from make_inputs import copy_inputs, environment, write_inputs  # noqa: E402

PLUCK = None
DATA_FOLDER = pathlib.Path(__file__).resolve().parent.parent / "data"


TURNS = itertools.count()


def some(items, share=4):
    """All items of a table; where time is short (PLUCK_CASE_STEP, as in tests/support/cases.h), one
    of four: others the next time. Starting the command under a sanitizer takes 20 times as long as
    what it does, and these tables cross every input with every command."""
    items = list(items)
    if not os.environ.get("PLUCK_CASE_STEP") or not items:
        return items
    return items[next(TURNS) % min(share, len(items))::share]


class CommandCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.env = environment(PLUCK)
        cls.template = tempfile.mkdtemp()
        write_inputs(cls.template)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.template)

    def setUp(self):
        parent = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, parent, ignore_errors=True)
        self.folder = pathlib.Path(parent, "work")
        copy_inputs(self.template, self.folder)

    def run_line(self, line, code=0, env=None):
        """Runs a command line in the folder; returns its standard output as bytes. code: the exit
        status, or several that are allowed."""
        done = subprocess.run(["bash", "-c", line], cwd=self.folder, capture_output=True,
                              env={**self.env, **(env or {})}, stdin=subprocess.DEVNULL,
                              timeout=250)
        allowed = code if isinstance(code, tuple) else (code,)
        self.assertIn(done.returncode, allowed, f"{line}\n{done.stderr.decode()}")
        self.stderr, self.code = done.stderr.decode(), done.returncode
        return done.stdout

    def names(self):
        return sorted(p.name for p in self.folder.iterdir())


def main():
    """For a test file: --pluck PLUCK [unittest's arguments]."""
    global PLUCK
    parser = argparse.ArgumentParser()
    parser.add_argument("--pluck", required=True)
    args, rest = parser.parse_known_args()
    PLUCK = str(pathlib.Path(args.pluck).resolve())
    if subprocess.run([PLUCK, "inspect", DATA_FOLDER / "stories260K.npy"], env=environment(PLUCK),
                      capture_output=True).returncode == 2:
        print("skipped: PLUCK_ISA names a set that is not supported here")
        sys.exit(77)
    unittest.main(module="__main__", argv=[sys.argv[0], *rest])
