#!/usr/bin/env python3
"""What an embedding program meets: an installed copy used through pkg-config, from C and from C++,
shared and static, and the project as a Meson subproject. An installation can be broken while every
test inside the build passes: a header that is not installed, a flag missing from the .pc file.

The example's output is tests/install/embed.stdout: the same everywhere, so it changes only when a
change of the tokens is meant; then BUILD_DIR/examples/embed writes the new one.

    tests/install/test_install.py --build BUILD_DIR --source SOURCE_DIR [TEST...]
"""

import argparse
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import unittest

build = source = scratch = prefix = None


def run(*command, cwd=None, env=None):
    """Runs a command that must succeed; returns what it wrote on standard output."""
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=cwd, env={**os.environ, **(env or {})},
                          stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(f"{shlex.join(map(str, command))}: exit status {done.returncode}\n"
                             f"{done.stdout}{done.stderr}")
    return done.stdout


def install():
    """Installs the build under scratch, and finds the prefix there."""
    global prefix
    run("meson", "install", "-C", build, "--no-rebuild", "--destdir", scratch / "root")
    [pc_file] = (scratch / "root").rglob("pluck.pc")
    installed = re.search(r"^prefix=(.*)$", pc_file.read_text(), re.M).group(1)
    prefix = scratch / "root" / installed.lstrip("/")
    os.environ["PKG_CONFIG_PATH"] = str(pc_file.parent)


def pkg_config(*options, library="pluck"):
    return shlex.split(run("pkg-config", f"--define-variable=prefix={prefix}", *options, library))


def library_dir():
    return pathlib.Path(pkg_config("--variable=libdir")[0])


def needed_libraries(program):
    return re.findall(r"NEEDED.*\[(.*)\]", run("readelf", "-d", program))


class Installed(unittest.TestCase):
    def compile(self, name, compiler, link_flags, example="embed", suffix=".c"):
        program = scratch / name
        run(*compiler, "-Wall", "-Wextra", "-Wpedantic", "-Werror", *pkg_config("--cflags"),
            source / "examples" / (example + suffix), "-o", program, *link_flags)
        return program

    def check_output(self, program):
        """Two equal lines of twelve tokens of the vocabulary, the same as in the build."""
        output = run(program, env={"LD_LIBRARY_PATH": str(library_dir())})
        lines = output.splitlines()
        self.assertEqual(2, len(lines), output)
        self.assertEqual(lines[0], lines[1], "reset did not start the same sequence again")
        tokens = [int(word) for word in lines[0].split()]
        self.assertEqual(12, len(tokens), output)
        self.assertTrue(all(0 <= token < 64 for token in tokens), output)
        self.assertEqual((source / "tests" / "install" / "embed.stdout").read_text(), output)

    def shared_flags(self):
        if not list(library_dir().glob("libpluck.so")):
            self.skipTest("built without the shared library")
        return pkg_config("--libs")

    def static_flags(self):
        if not (library_dir() / "libpluck.a").exists():
            self.skipTest("built without the static library")
        flags = pkg_config("--static", "--libs")
        self.assertIn("-lpluck", flags)
        return ["-l:libpluck.a" if flag == "-lpluck" else flag for flag in flags]

    def c_compiler(self):
        return [os.environ.get("CC") or shutil.which("cc") or "gcc", "-std=c11"]

    def cxx_compiler(self):
        compiler = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++") \
            or shutil.which("clang++")
        if not compiler:
            self.skipTest("no C++ compiler")
        return [compiler, "-std=c++17", "-x", "c++"]

    def test_c_program_with_the_shared_library(self):
        program = self.compile("embed-shared", self.c_compiler(), self.shared_flags())
        self.assertIn("libpluck.so.1", needed_libraries(program))
        self.check_output(program)

    def test_c_program_with_the_static_library(self):
        program = self.compile("embed-static", self.c_compiler(), self.static_flags())
        self.assertNotIn("libpluck.so.1", needed_libraries(program))
        self.check_output(program)

    def test_cxx17_program_with_the_shared_library(self):
        program = self.compile("embed-shared-cxx", self.cxx_compiler(),
                               ["-x", "none", *self.shared_flags()])
        self.check_output(program)

    def test_cxx17_program_with_the_static_library(self):
        program = self.compile("embed-static-cxx", self.cxx_compiler(),
                               ["-x", "none", *self.static_flags()])
        self.check_output(program)

    def test_the_cxx_face(self):
        program = self.compile("embed-cxx-face", self.cxx_compiler(),
                               ["-x", "none", *self.shared_flags()], suffix=".cpp")
        self.check_output(program)

    def check_custom_stage(self, program):
        """Two equal lines, the second after rewinding to the start, the same as in the build."""
        output = run(program, env={"LD_LIBRARY_PATH": str(library_dir())})
        first, second = output.splitlines()
        self.assertEqual(first, second, "rewinding did not lead back to the start")
        self.assertEqual((source / "tests" / "install" / "custom_stage.stdout").read_text(), output)

    def test_custom_stage_with_the_shared_library(self):
        self.check_custom_stage(self.compile("custom-stage-shared", self.c_compiler(),
                                             self.shared_flags(), example="custom_stage"))

    def test_custom_stage_in_cxx17_with_the_static_library(self):
        self.check_custom_stage(self.compile("custom-stage-static-cxx", self.cxx_compiler(),
                                             ["-x", "none", *self.static_flags()],
                                             example="custom_stage"))

    def test_every_public_header_is_installed(self):
        kept = sorted(path.name for path in (source / "include" / "pluck").glob("*.h"))
        installed = sorted(path.name for path in (prefix / "include" / "pluck").glob("*.h"))
        if not list(library_dir().glob("libpluck-mpi.*")):
            kept.remove("mpi.h")
        self.assertEqual(kept, installed)

    def test_mpi_program(self):
        if not (library_dir() / "pkgconfig" / "pluck-mpi.pc").exists() or not shutil.which("mpicc"):
            self.skipTest("built without libpluck-mpi, or no mpicc")
        flags = pkg_config("--cflags", "--libs", library="pluck-mpi")
        program = scratch / "tensor_parallel"
        run("mpicc", "-std=c11", source / "examples" / "tensor_parallel.c", "-o", program, *flags)
        self.assertIn("libpluck-mpi.so.1", needed_libraries(program))

    def test_every_preset_is_installed(self):
        kept = sorted(path.name for path in (source / "configs").glob("*.json"))
        installed = sorted(path.name for path in (prefix / "share" / "pluck").rglob("*.json"))
        self.assertTrue(kept)
        self.assertEqual(kept, installed)

    def test_command_runs_from_the_prefix(self):
        command = prefix / "bin" / "pluck"
        if not command.exists():
            self.skipTest("built without the command")
        output = run(command, "--version", env={"LD_LIBRARY_PATH": str(library_dir())})
        self.assertIn(pkg_config("--modversion")[0], output)


PARENT_MESON_BUILD = """
project('parent', 'c', default_options: ['c_std=c11', 'warning_level=3', 'werror=true'])
pluck_dep = dependency('pluck', fallback: 'pluck')
executable('by_name', 'embed.c', dependencies: pluck_dep)
executable('by_variable', 'embed.c', dependencies: subproject('pluck').get_variable('pluck_dep'))
"""


class Subproject(unittest.TestCase):
    def test_parent_project_finds_it_by_name_and_by_variable(self):
        parent = scratch / "parent"
        (parent / "subprojects").mkdir(parents=True)
        (parent / "subprojects" / "pluck").symlink_to(source, target_is_directory=True)
        (parent / "meson.build").write_text(PARENT_MESON_BUILD)
        shutil.copy(source / "examples" / "embed.c", parent)
        environment = {"PKG_CONFIG_PATH": "", "LDFLAGS": ""}
        run("meson", "setup", "--force-fallback-for=pluck", parent / "build", parent,
            env=environment)
        run("ninja", "-C", parent / "build", env=environment)
        expected = (source / "tests" / "install" / "embed.stdout").read_text()
        for program in ("by_name", "by_variable"):
            self.assertEqual(expected, run(parent / "build" / program))
        self.assertEqual([], list((parent / "build").rglob("test_*")),
                         "a subproject's tests are built without being asked for")


def main():
    global build, source, scratch
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--source", type=pathlib.Path, required=True)
    arguments, rest = parser.parse_known_args()
    build, source = arguments.build.resolve(), arguments.source.resolve()
    with tempfile.TemporaryDirectory(prefix="pluck-install-") as name:
        scratch = pathlib.Path(name)
        install()
        unittest.main(argv=[sys.argv[0], "-v", *rest])


if __name__ == "__main__":
    main()
