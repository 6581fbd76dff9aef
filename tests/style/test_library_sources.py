#!/usr/bin/env python3
"""Why: a file that only Meson compiles is missing in every program that is built by CMake or from
the amalgamation. Their list of files is cmake/sources.cmake, and it must be what the Meson files
say and what this build has compiled, with the same flags for single files.

    tests/style/test_library_sources.py --source SOURCE_DIR --build BUILD_DIR [--compiler CC]
        [TEST...]
"""
import argparse
import json
import os
import pathlib
import shlex
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
arguments = None


class LibrarySources(unittest.TestCase):
    def setUp(self):
        sys.path.insert(0, str(arguments.source / "scripts"))
        import library_sources
        self.module = library_sources
        self.listed = {source.path: source for source in library_sources.sources()}

    def compiled(self):
        """{path: words of its command line} of what belongs to libpluck."""
        commands = json.loads((arguments.build / "compile_commands.json").read_text())
        found = {}
        for command in commands:
            path = os.path.realpath(pathlib.Path(command["directory"], command["file"]))
            path = os.path.relpath(path, arguments.source)
            if path.startswith("lib/") and not path.startswith(self.module.OTHER_LIBRARIES):
                if "/test" not in command["output"]:
                    found[path] = shlex.split(command["command"])
        return found

    def is_true(self, condition):
        done = subprocess.run([arguments.compiler, "-E", "-P", "-"], text=True, check=True,
                              input=f"#if {condition}\nyes\n#endif\n", capture_output=True)
        return "yes" in done.stdout

    def test_the_committed_file_is_what_the_meson_files_say(self):
        self.assertEqual(self.module.as_cmake(), self.module.OUTPUT.read_text(encoding="utf-8"))

    def test_this_build_compiles_the_same_files(self):
        expected = {path for path, source in self.listed.items()
                    if not source.condition or self.is_true(source.condition)}
        self.assertEqual(expected, set(self.compiled()))

    def test_this_build_gives_single_files_the_same_flags(self):
        compiled = self.compiled()
        some = next(path for path, source in self.listed.items() if not source.condition)
        for path, source in self.listed.items():
            if path in compiled and source.condition:
                self.assertEqual([], [flag for flag in source.flags if flag not in compiled[path]])
                own = [word for word in compiled[path]
                       if word.startswith(("-m", "-O")) and word not in compiled[some]]
                self.assertEqual([], [word for word in own if word not in source.flags], path)

    def test_a_file_that_no_list_has_is_found(self):
        saved = self.module.OTHER_LIBRARIES
        self.module.OTHER_LIBRARIES = tuple(path for path in saved if path != "lib/mpi/")
        try:
            with self.assertRaisesRegex(self.module.Problem, "lib/mpi/mpi.c: it must be"):
                self.module.sources()
        finally:
            self.module.OTHER_LIBRARIES = saved


def main():
    global arguments
    parser = argparse.ArgumentParser()
    parser.add_argument("--source", type=pathlib.Path, required=True)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--compiler", default="cc")
    arguments, rest = parser.parse_known_args()
    arguments.source = arguments.source.resolve()
    unittest.main(argv=[sys.argv[0], *rest])


if __name__ == "__main__":
    main()
