#!/usr/bin/env python3
"""What an embedding program meets: an installed copy used through pkg-config, from C and from C++,
shared and static, and each way of docs/install.md, by the command lines of that page. An
installation can be broken while every test inside the build passes: a header that is not installed,
a flag missing from the .pc file.

The example's output is tests/install/embed.stdout: the same everywhere, so it changes only when a
change of the tokens is meant; then BUILD_DIR/examples/embed writes the new one.

    tests/install/test_install.py [--build BUILD_DIR] --source SOURCE_DIR [--cjson FOLDER] [TEST...]

Installed needs the build directory, and installs it. CMake builds the library four times. FOLDER
has the source of cJSON, or gets it (scripts/get-cjson); without it, that is fetched each time.
"""

import argparse
import os
import pathlib
import re
import shlex
import shutil
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
import page  # noqa: E402

build = source = scratch = prefix = cjson = None


def run(*command, cwd=None, env=None):
    """Runs a command that must succeed; returns what it wrote on standard output."""
    return page.run(list(command), cwd, {**os.environ, **(env or {})})


def version():
    return re.search(r"^  version: '(.*)'", (source / "meson.build").read_text(), re.M)[1]


def cjson_source(test):
    """A folder with the source of cJSON: --cjson, or what scripts/get-cjson can get."""
    folder = cjson or scratch / "cjson"
    try:
        run(source / "scripts" / "get-cjson", folder)
    except AssertionError as error:
        test.skipTest(str(error).splitlines()[-1])
    return folder.resolve()


def expected_output(example="embed"):
    return (source / "tests" / "install" / f"{example}.stdout").read_text()


class Way(unittest.TestCase):
    """Follows a section of the page, in folders of its own."""

    def folders(self):
        folder = pathlib.Path(tempfile.mkdtemp(dir=scratch))
        program = folder / "program"
        program.mkdir()
        for suffix in (".c", ".cpp"):
            shutil.copy(source / "examples" / f"embed{suffix}", program / f"program{suffix}")
        return {"pluck": folder / "pluck", "the program": program}

    def follow(self, heading, folders, env=None, files_end="", instead=()):
        page.follow(page.ways(source)[heading], folders, {**os.environ, **(env or {})}, files_end,
                    instead)

    def check(self, program, env=None):
        self.assertEqual(expected_output(), run(program, env=env))


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


class Installed(Way):
    @classmethod
    def setUpClass(cls):
        if not build:
            raise unittest.SkipTest("no build directory was given")
        install()

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
        self.assertEqual(expected_output(), output)

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
        self.assertEqual(expected_output("custom_stage"), output)

    def test_custom_stage_with_the_shared_library(self):
        self.check_custom_stage(self.compile("custom-stage-shared", self.c_compiler(),
                                             self.shared_flags(), example="custom_stage"))

    def test_custom_stage_in_cxx17_with_the_static_library(self):
        self.check_custom_stage(self.compile("custom-stage-static-cxx", self.cxx_compiler(),
                                             ["-x", "none", *self.static_flags()],
                                             example="custom_stage"))

    def test_the_page_says_how(self):
        """In a folder of pluck whose build directory is the one that was given."""
        folders = self.folders()
        (page.copy_of(source, folders["pluck"]) / "build").symlink_to(build)
        tools = folders["pluck"].parent / "bin"
        tools.mkdir()
        root = tools.parent / "root"
        for name, options in (("pkg-config", f"--define-variable=prefix={prefix}"),):
            tool = tools / name
            tool.write_text(f'#!/bin/sh\nexec {shutil.which(name)} {options} "$@"\n')
            tool.chmod(0o755)
        self.follow("Meson", folders, {"DESTDIR": str(root),
                                       "PATH": f"{tools}:{os.environ['PATH']}"})
        self.assertEqual([pathlib.Path("pluck.pc")],
                         [path.relative_to(path.parent) for path in root.rglob("pluck.pc")])
        self.check_output(folders["the program"] / "program")

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


class Page(unittest.TestCase):
    def test_every_section_is_followed(self):
        texts = [path.read_text() for path in pathlib.Path(__file__).parent.glob("test_*.py")]
        followed = set(re.findall(r'\bfollow\(\s*"([^"]+)"', "".join(texts)))
        self.assertEqual(set(page.ways(source)), followed)


class Subproject(Way):
    def test_parent_project_finds_it_by_name_and_by_variable(self):
        folders = self.folders()
        parent = folders["the program"]
        (parent / "subprojects").mkdir()
        (parent / "subprojects" / "pluck").symlink_to(source, target_is_directory=True)
        by_variable = ("executable('by_variable', 'program.c',\n"
                       "  dependencies: subproject('pluck').get_variable('pluck_dep'))\n")
        self.follow("Meson subproject", folders, {"PKG_CONFIG_PATH": "", "LDFLAGS": ""},
                    by_variable)
        for program in ("program", "by_variable"):
            self.check(parent / "build" / program)
        self.assertEqual([], list((parent / "build").rglob("test_*")),
                         "a subproject's tests are built without being asked for")


# The C++ face, in the project of the page.
CMAKE_END = """
enable_language(CXX)
add_executable(face program.cpp)
target_link_libraries(face PRIVATE pluck::pluck)
set_target_properties(face PROPERTIES CXX_STANDARD 17)
"""


@unittest.skipUnless(shutil.which("cmake"), "no cmake")
class CMake(Way):
    def check_programs(self, folders):
        for name in ("program", "face"):
            self.check(folders["the program"] / "build" / name)

    def find_package(self, *instead):
        """Follows that section, with (text, other text) instead in its lines."""
        folders = self.folders()
        page.copy_of(source, folders["pluck"])
        root = folders["pluck"].parent / "root"
        self.follow("CMake: find_package", folders,
                    {"DESTDIR": str(root), "CMAKE_PREFIX_PATH": str(root / "usr" / "local")},
                    CMAKE_END, instead)
        return folders, root / "usr" / "local"

    def test_find_package_of_a_shared_library(self):
        folders, prefix = self.find_package()
        self.check_programs(folders)
        self.assertIn("libpluck.so.1", needed_libraries(folders["the program"] / "build/program"))
        config = "".join(path.read_text() for path in prefix.rglob("pluckConfig.cmake"))
        self.assertNotIn("find_dependency(Threads)", config)
        kept = sorted(path.name for path in (source / "include" / "pluck").glob("*.h*"))
        kept.remove("mpi.h")
        self.assertEqual(kept, sorted(path.name for path in (prefix / "include").rglob("*.h*")))
        self.check_versions(prefix)

    def test_find_package_of_a_static_library(self):
        folders, _ = self.find_package(("BUILD_SHARED_LIBS=ON", "BUILD_SHARED_LIBS=OFF"))
        self.check_programs(folders)
        self.assertNotIn("libpluck.so.1",
                         needed_libraries(folders["the program"] / "build/program"))

    def accepts(self, wanted, prefix):
        """Whether find_package takes the installed version."""
        folder = pathlib.Path(tempfile.mkdtemp(dir=scratch))
        (folder / "CMakeLists.txt").write_text(
            "cmake_minimum_required(VERSION 3.18)\nproject(version NONE)\n"
            f"find_package(pluck {wanted} QUIET)\n"
            f"file(WRITE {folder / 'found'} \"${{pluck_FOUND}}\")\n")
        run("cmake", "-S", folder, "-B", folder / "build", f"-DCMAKE_PREFIX_PATH={prefix}")
        return (folder / "found").read_text() in ("1", "TRUE", "ON")

    def check_versions(self, prefix):
        """Before 1.0 a minor version may change the API."""
        major, minor, patch = map(int, version().split("."))
        self.assertTrue(self.accepts(version(), prefix))
        self.assertTrue(self.accepts("", prefix))
        for other in (f"{major}.{minor}.{patch + 1}", f"{major}.{minor + 1}", f"{major + 1}.0"):
            self.assertFalse(self.accepts(other, prefix), other)
        self.assertEqual(major > 0, self.accepts(f"{major}.{minor - 1}" if minor else "0.0",
                                                 prefix))

    def check_parent_is_left_alone(self, folders):
        """Nothing is installed, and no choice is made for the project."""
        build_dir = folders["the program"] / "build"
        root = build_dir / "installed"
        run("cmake", "--install", build_dir, env={"DESTDIR": str(root)})
        self.assertEqual([], list(root.rglob("*")))
        self.assertNotRegex((build_dir / "CMakeCache.txt").read_text(), "BUILD_SHARED_LIBS")

    def test_fetch_content(self):
        folders = self.folders()
        archive = page.copy_of(source, folders["pluck"])
        run("tar", "-chzf", folders["the program"] / f"pluck-{version()}.tar.gz",
            "-C", archive.parent, "--exclude=tests", "--exclude=build", archive.name)
        self.follow("CMake: FetchContent", folders, files_end=CMAKE_END)
        self.check_programs(folders)
        self.check_parent_is_left_alone(folders)

    def test_add_subdirectory(self):
        """With cJSON in the library, so that the program does not know it."""
        folders = self.folders()
        page.copy_of(source, folders["the program"] / "pluck")
        self.follow("CMake: add_subdirectory", folders, files_end=CMAKE_END, instead=[
            ("-S . ", f"-S . -DPLUCK_JSON_SOURCE={shlex.quote(str(cjson_source(self)))} ")])
        names = run("nm", "-g", folders["the program"] / "build/program")
        self.assertIn("plk_cJSON_Delete", names)
        self.assertNotRegex(names, r"\bcJSON_")
        self.check_programs(folders)
        self.check_parent_is_left_alone(folders)


class Amalgamation(Way):
    def check_with(self, compiler):
        if not shutil.which(compiler):
            self.skipTest(f"no {compiler}")
        folders = self.folders()
        pluck = page.copy_of(source, folders["pluck"])
        program = folders["the program"]
        (pluck / "build").mkdir()
        (pluck / "build" / "cjson").symlink_to(cjson_source(self))
        for text in (program / "program.c", source / "tests/programs/run_self_test.c"):
            (program / text.name).write_text(re.sub(r"<pluck/\w+\.h>", '"pluck.h"',
                                                    text.read_text()))
        tools = pluck.parent / "bin"
        tools.mkdir()
        (tools / "cc").symlink_to(shutil.which(compiler))
        env = {"PATH": f"{tools}:{os.environ['PATH']}"}
        written = pluck / "build" / "amalgamation"
        self.follow("Amalgamation", folders, env, instead=[
            ("cc -std=c11", f"cp {written}/pluck.[ch] . && cc -Wall -Wextra -Werror -std=c11")])
        self.check(program / "program")
        run("cc", "run_self_test.c", "pluck.o", "-lm", "-o", "run_self_test", cwd=program, env=env)
        run(program / "run_self_test")

    def test_gcc(self):
        self.check_with("gcc")

    def test_clang(self):
        self.check_with("clang")

    def test_without_json(self):
        folder = scratch / "without-json"
        run(source / "scripts" / "amalgamate", folder)
        zlib = ["-DPLK_HAVE_ZLIB"] if pathlib.Path("/usr/include/zlib.h").exists() else []
        for compiler in ("gcc", "clang"):
            if shutil.which(compiler):
                run(compiler, "-std=c11", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", *zlib,
                    folder / "pluck.c")


class OtherSystems(Way):
    NOT_OPTIMISED = [("--buildtype=release", "-Dbuildtype=debug -Doptimization=0 -Dcli=disabled "
                      "-Dexamples=disabled -Dtests=disabled"), (" --no-rebuild", "")]

    def folders_with_cjson(self, *tools):
        for tool in tools:
            if not shutil.which(tool):
                self.skipTest(f"no {tool}")
        folders = self.folders()
        page.copy_of(source, folders["pluck"])
        shutil.copytree(cjson_source(self), folders["pluck"] / "cjson")
        return folders

    def test_windows(self):
        folders = self.folders_with_cjson("x86_64-w64-mingw32-gcc-win32", "wine")
        self.follow("Windows", folders, instead=self.NOT_OPTIMISED)
        printed = run("wine", folders["the program"] / "program.exe",
                      env={"WINEDEBUG": "-all", "WINEPREFIX": str(scratch / "wine")})
        self.assertEqual(expected_output(), printed.replace("\r", ""))

    def test_webassembly(self):
        folders = self.folders_with_cjson("clang-14", "node")
        self.follow("WebAssembly", folders, instead=self.NOT_OPTIMISED)
        script = """
            const { WASI } = require("node:wasi"), fs = require("fs");
            const wasi = new WASI({ version: "preview1", args: process.argv.slice(1) });
            WebAssembly.instantiate(fs.readFileSync(process.argv[1]),
                { wasi_snapshot_preview1: wasi.wasiImport })
                .then((made) => wasi.start(made.instance));
            """
        printed = run("node", "--no-warnings", "-e", script,
                      folders["the program"] / "program.wasm")
        self.assertEqual(expected_output(), printed)


def main():
    global build, source, scratch, cjson
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=pathlib.Path)
    parser.add_argument("--source", type=pathlib.Path, required=True)
    parser.add_argument("--cjson", type=pathlib.Path)
    arguments, rest = parser.parse_known_args()
    build = arguments.build and arguments.build.resolve()
    source = arguments.source.resolve()
    cjson = arguments.cjson and arguments.cjson.resolve()
    with tempfile.TemporaryDirectory(prefix="pluck-install-") as name:
        scratch = pathlib.Path(name)
        unittest.main(argv=[sys.argv[0], "-v", *rest])


if __name__ == "__main__":
    main()
