#!/usr/bin/env python3
"""Why: pluck_self_test() is there for programs that compile pluck with flags of their own, so it
has to fail, and to name the flag, in each build that computes something else. Single files are
compiled with a wrong flag here and linked in front of the right library.

    tests/kernels/test_self_test.py --source SOURCE_DIR --library LIBPLUCK.A [--compiler CC]
        [TEST...]
"""
import argparse
import pathlib
import platform
import subprocess
import sys
import tempfile
import unittest

arguments = None

# (flags, what the message says)
WRONG_FLAGS = [
    (["-ffast-math", "-U__FAST_MATH__"], "compile pluck without -ffast-math and "),
    (["-fassociative-math", "-fno-signed-zeros", "-fno-trapping-math"], " -fassociative-math"),
    (["-freciprocal-math"], " -freciprocal-math"),
    (["-ffinite-math-only"], " -ffinite-math-only"),
    (["-fno-signed-zeros"], " -fno-signed-zeros"),
]


class SelfTest(unittest.TestCase):
    def run_with(self, sources=(), flags=()):
        """Compiles these files of the library with the flags; what the self-test prints."""
        lib = arguments.source / "lib"
        compiler = [arguments.compiler, "-std=c11", "-O2", "-w", "-ffp-contract=off",
                    "-D_DEFAULT_SOURCE", f"-I{arguments.source / 'include'}", f"-I{lib}"]
        with tempfile.TemporaryDirectory() as scratch:
            objects = []
            for source in sources:
                objects.append(pathlib.Path(scratch, pathlib.Path(source).stem + ".o"))
                subprocess.run([*compiler, *flags, "-c", lib / source, "-o", objects[-1]],
                               check=True)
            program = pathlib.Path(scratch, "self_test")
            main = arguments.source / "tests/programs/run_self_test.c"
            subprocess.run([*compiler, main, *objects, arguments.library, "-lm", "-o", program],
                           check=True)
            done = subprocess.run([program], text=True, capture_output=True)
        self.assertIn(done.returncode, (0, 1), done.stderr)
        self.assertEqual(done.returncode == 0, done.stdout == "")
        return done.stdout

    def fma_flags(self):
        """For the machine's fused multiply-add, without which nothing is contracted."""
        if platform.machine() != "x86_64":
            return []
        if " fma " not in pathlib.Path("/proc/cpuinfo").read_text():
            self.skipTest("this processor has no fused multiply-add")
        return ["-mfma"]

    def test_the_library_passes(self):
        self.assertEqual("", self.run_with())

    def test_the_right_flags_pass(self):
        self.assertEqual("", self.run_with(["simd/self_test.c"]))

    def test_wrong_flags_are_named(self):
        for flags, message in WRONG_FLAGS:
            with self.subTest(flags=flags):
                self.assertIn(message, self.run_with(["simd/self_test.c"], flags))

    def test_contraction_is_named(self):
        printed = self.run_with(["simd/self_test.c"], [*self.fma_flags(), "-ffp-contract=fast"])
        self.assertIn("allowed to contract a product and a sum", printed)
        self.assertIn("compile pluck with -ffp-contract=off", printed)

    def test_one_wrong_file_is_found(self):
        printed = self.run_with(["base/scalar_math.c"], ["-ffast-math"])
        self.assertRegex(printed, r"self-test: scalar function \d on scalar is 0x[0-9a-f]+, not 0x")

    def test_fast_math_does_not_compile(self):
        done = subprocess.run(
            [arguments.compiler, "-std=c11", "-ffast-math", "-D_DEFAULT_SOURCE", "-fsyntax-only",
             '-DPLUCK_VERSION=""', f"-I{arguments.source / 'include'}",
             f"-I{arguments.source / 'lib'}", arguments.source / "lib/base/base.c"],
            text=True, capture_output=True)
        self.assertNotEqual(0, done.returncode)
        self.assertIn("-ffast-math", done.stderr)


def main():
    global arguments
    parser = argparse.ArgumentParser()
    parser.add_argument("--source", type=pathlib.Path, required=True)
    parser.add_argument("--library", type=pathlib.Path, required=True)
    parser.add_argument("--compiler", default="cc")
    arguments, rest = parser.parse_known_args()
    arguments.source = arguments.source.resolve()
    unittest.main(argv=[sys.argv[0], *rest])


if __name__ == "__main__":
    main()
