#!/usr/bin/env python3
"""What linkers make of the library: programs without any shared library, two copies in one process,
programs with another cJSON, a parent project, a library without JSON. Each fails in its own way if
a name leaks from the library or a flag is missing, and no test inside the build can see it.

    tests/install/test_linking.py --build BUILD_DIR --source SOURCE_DIR [--cjson FOLDER] [TEST...]

BUILD_DIR has both kinds of library. FOLDER has the source of cJSON, or gets it
(scripts/get-cjson). The libraries that the tests build are not optimised, which takes a fifth of
the time.
"""

import argparse
import json
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

build = source = scratch = cjson = None

CC = shlex.split(os.environ.get("CC", "cc"))


def run(*command, cwd=None, env=None):
    return page.run(list(command), cwd, {**os.environ, **(env or {})})


def expected_output():
    return (source / "tests" / "install" / "embed.stdout").read_text()


def cjson_source():
    """A folder with the source of cJSON."""
    folder = cjson or scratch / "cjson"
    try:
        run(source / "scripts" / "get-cjson", folder)
    except AssertionError as error:
        raise unittest.SkipTest(str(error).splitlines()[-1]) from None
    return folder.resolve()


def setup(folder, *options):
    run("meson", "setup", folder, source, "-Dbuildtype=debug", "-Doptimization=0",
        "-Dcli=disabled", "-Dexamples=disabled", "-Dmpi=disabled", *options)


def follow(heading, folders, env, instead):
    page.follow(page.ways(source)[heading], folders, {**os.environ, **env}, instead=instead)


def static_prefix():
    """A prefix with a static library alone, in which cJSON is private, and a program made with it:
    those of the page."""
    root = scratch / "static"
    prefix = root / "usr" / "local"
    if not root.exists():
        folders = {"pluck": scratch / "pluck", "the program": scratch / "static-program"}
        cjson_folder = cjson_source()
        page.copy_of(source, folders["pluck"])
        folders["the program"].mkdir()
        shutil.copy(source / "examples" / "embed.c", folders["the program"] / "program.c")
        (scratch / "bin").mkdir()
        tool = scratch / "bin" / "pkg-config"
        tool.write_text(f'#!/bin/sh\nPKG_CONFIG_PATH="$(dirname "$(find {root} -name pluck.pc)")" '
                        f'exec {shutil.which("pkg-config")} --define-variable=prefix={prefix} '
                        '"$@"\n')
        tool.chmod(0o755)
        follow("A static program", folders,
               {"DESTDIR": str(root), "PATH": f"{scratch / 'bin'}:{os.environ['PATH']}"},
               [("scripts/get-cjson", f"cp -r {shlex.quote(str(cjson_folder))}"),
                ("--buildtype=release", "-Dbuildtype=debug -Doptimization=0 -Dcli=disabled "
                 "-Dexamples=disabled -Dtests=disabled -Dmpi=disabled"),
                (" --no-rebuild", "")])
    return prefix


def static_library():
    [library] = static_prefix().rglob("libpluck.a")
    return library


def pkg_config(*options):
    """Of the static prefix."""
    static_prefix()
    return shlex.split(run(scratch / "bin" / "pkg-config", *options, "pluck"))


def needed_libraries(program):
    return re.findall(r"NEEDED.*\[(.*)\]", run("readelf", "-d", program))


def global_names(library, *options):
    names = re.findall(r"^\S+ [A-Z] (\S+)$", run("nm", "-g", "--defined-only", *options, library),
                       re.M)
    return [name.split("@")[0] for name in names]


class Static(unittest.TestCase):
    def compile(self, *flags):
        program = scratch / "static-linked"
        run(*CC, source / "examples" / "embed.c", "-o", program, *flags,
            *pkg_config("--static", "--cflags", "--libs"))
        self.assertEqual(expected_output(), run(program))
        return needed_libraries(program)

    def test_the_flags_of_pkg_config_are_enough(self):
        self.assertNotIn("libpluck.so.1", self.compile())

    def test_as_needed(self):
        self.assertNotIn("libpluck.so.1", self.compile("-Wl,--as-needed"))

    def test_no_shared_library_at_all(self):
        static_prefix()
        program = scratch / "static-program" / "program"
        self.assertEqual(expected_output(), run(program))
        self.assertEqual([], needed_libraries(program))

    def test_requirements_are_those_of_the_library(self):
        [path] = static_prefix().rglob("pluck.pc")
        self.assertNotIn("cjson", path.read_text())
        for flag in ("-lm", "-pthread"):
            self.assertIn(flag, pkg_config("--static", "--libs"))

    def test_who_links_the_shared_library_links_nothing_else(self):
        text = (build / "meson-private" / "pluck.pc").read_text()
        self.assertIn("Libs: -L${libdir} -lpluck\n", text)
        self.assertNotRegex(text, r"(?m)^Requires:")
        self.assertRegex(text, r"(?m)^Libs.private: .*-lm -pthread")

    def test_names_are_those_of_pluck(self):
        names = global_names(static_library())
        self.assertIn("plk_cJSON_Delete", names)
        self.assertEqual([], [name for name in names if not re.match("pl(uc)?k_", name)])

    def test_functions_are_hidden(self):
        symbols = run("readelf", "-sW", static_library())
        shown = re.findall(r" GLOBAL DEFAULT +\d+ (\S+)", symbols)
        self.assertEqual([], shown)


class Copies(unittest.TestCase):
    def compile(self, output, main, is_plugin, *flags):
        """examples/embed.c and two_copies.c, linked with a library."""
        folder = pathlib.Path(tempfile.mkdtemp(dir=scratch))
        common = [*CC, "-Wall", "-Werror", "-fPIC", f"-I{source / 'include'}"]
        run(*common, "-c", f"-Dmain={main}", source / "examples" / "embed.c", "-o",
            folder / "embed.o")
        run(*common, *(["-DPLUGIN", "-shared"] if is_plugin else []), folder / "embed.o",
            source / "tests" / "programs" / "two_copies.c", "-o", output, *flags, "-ldl")
        return output

    def shared_flags(self):
        if not (build / "lib" / "libpluck.so").exists():
            self.skipTest("built without the shared library")
        return [f"-L{build / 'lib'}", f"-Wl,-rpath,{build / 'lib'}", "-l:libpluck.so"]

    def static_flags(self):
        return pkg_config("--static", "--libs")

    def both_flags(self):
        """The static library of a build that has both kinds: it exports its functions."""
        if not (build / "lib" / "libpluck.a").exists():
            self.skipTest("built without the static library")
        return [build / "lib" / "libpluck.a", "-Wl,--exclude-libs,ALL", "-lcjson", "-lz", "-lm",
                "-pthread"]

    def test_two_copies_do_not_meet(self):
        ways = {"shared": self.shared_flags(), "static": self.static_flags(),
                "both": self.both_flags()}
        other_cjson = [source / "tests" / "programs" / "other_cjson.c", "-DOTHER_FRONT",
                       "-rdynamic"]
        cases = [  # the program's, more flags of it, the plugin's
            ("shared", [], "static"),
            ("shared", ["-Wl,--no-as-needed", "-lcjson"], "static"),
            ("shared", [], "both"),
            ("shared", ["-rdynamic"], "static"),
            ("static", [], "shared"),
            ("static", ["-rdynamic"], "shared"),
            ("static", ["-rdynamic"], "static"),
            ("static", other_cjson, "static"),
        ]
        for number, (own, more, other) in enumerate(cases):
            with self.subTest(program=own, flags=more, plugin=other):
                plugin = self.compile(scratch / f"plugin{number}.so", "plugin_main", True,
                                      *ways[other])
                program = self.compile(scratch / f"copies{number}", "embed_main", False, *more,
                                       *ways[own])
                self.assertEqual(2 * expected_output() + "two copies\n", run(program, plugin))
                if other != "shared":
                    self.assertEqual(["plugin_main", "plugin_version"],
                                     sorted(global_names(plugin, "-D")))

    def test_one_shared_library_is_one_copy(self):
        flags = self.shared_flags()
        plugin = self.compile(scratch / "plugin.so", "plugin_main", True, *flags)
        program = self.compile(scratch / "copies", "embed_main", False, *flags)
        self.assertEqual(2 * expected_output() + "one copy\n", run(program, plugin))


class OtherCjson(unittest.TestCase):
    def test_a_private_one_leaves_that_of_the_program_alone(self):
        """The cases of tests/cjson/meson.build, which has those of the system's cJSON."""
        text = (source / "tests" / "cjson" / "meson.build").read_text()
        cases = re.findall(r"^  '(\w+)': \[\[(.*?)\], '\w+'\],$", text, re.M)
        self.assertGreater(len(cases), 7)
        for name, flags in cases:
            with self.subTest(cjson=name):
                program = scratch / f"other-{name}"
                run(*CC, source / "tests" / "cjson" / "test_other_cjson.c",
                    source / "tests" / "programs" / "other_cjson.c", *re.findall("'(.*?)'", flags),
                    "-D_DEFAULT_SOURCE", "-o", program,
                    *pkg_config("--static", "--cflags", "--libs"))
                run(program, "unused")


class WithoutJson(unittest.TestCase):
    def test_setters_work_and_the_rest_is_refused(self):
        setup(scratch / "none", "-Djson=none", "-Dtests=enabled", "-Ddefault_library=shared")
        run("meson", "test", "-C", scratch / "none")
        needed = needed_libraries(scratch / "none" / "lib" / "libpluck.so")
        self.assertEqual([], [name for name in needed if "cjson" in name])
        self.assertEqual(global_names(build / "lib" / "libpluck.so", "-D"),
                         global_names(scratch / "none" / "lib" / "libpluck.so", "-D"))


PARENT = """project('parent', 'c', default_options: ['default_library=static',
  'buildtype=debugoptimized', 'c_std=c99', 'warning_level=1'])
executable('program', 'program.c', dependencies: dependency('pluck', fallback: 'pluck'))
"""


class Subproject(unittest.TestCase):
    def setup_parent(self, *options):
        """The commands that compile the program, and those that compile the library."""
        parent = pathlib.Path(tempfile.mkdtemp(dir=scratch))
        (parent / "subprojects").mkdir()
        (parent / "subprojects" / "pluck").symlink_to(source, target_is_directory=True)
        (parent / "meson.build").write_text(PARENT)
        shutil.copy(source / "examples" / "embed.c", parent / "program.c")
        self.output = run("meson", "setup", "--force-fallback-for=pluck", parent / "build", parent,
                          *options, env={"PKG_CONFIG_PATH": ""})
        targets = json.loads(run("meson", "introspect", "--targets", parent / "build"))
        self.kinds = {target["name"]: target["type"] for target in targets}
        entries = json.loads((parent / "build" / "compile_commands.json").read_text())
        commands = {pathlib.Path(entry["file"]).name: shlex.split(entry["command"])
                    for entry in entries}
        return commands["program.c"], commands["config.c"]

    def test_it_follows_its_parent_and_leaves_it_alone(self):
        program, library = self.setup_parent("-Dpluck:json=private",
                                             f"-Dpluck:json_source={cjson_source()}")
        self.assertEqual("static library", self.kinds["pluck"])
        self.assertIn("private, from", self.output)
        self.assertIn("-O2", library)
        self.assertIn("-std=c11", library)
        self.assertIn("-ffp-contract=off", library)
        own = {word for word in library if word.startswith(("-D", "-f", "-W", "-O", "-std"))}
        self.assertEqual({"-O2", "-Wall", "-fdiagnostics-color=always", "-D_FILE_OFFSET_BITS=64",
                          "-Winvalid-pch"}, own & set(program) - {"-fPIC"})
        self.assertIn("-std=c99", program)

    def test_by_the_wrap_file(self):
        parent = pathlib.Path(tempfile.mkdtemp(dir=scratch))
        (parent / "subprojects" / "packagefiles").mkdir(parents=True)
        shutil.copy(source / "pluck.wrap", parent / "subprojects")
        [name] = re.findall(r"^directory = (.*)$", (source / "pluck.wrap").read_text(), re.M)
        archive = page.copy_of(source, parent / name)
        run("tar", "-chzf", parent / "subprojects" / "packagefiles" / f"{name}.tar.gz",
            "-C", parent, "--exclude=tests", "--exclude=build", archive.name)
        (parent / "meson.build").write_text(PARENT.replace(", fallback: 'pluck'", ""))
        shutil.copy(source / "examples" / "embed.c", parent / "program.c")
        output = run("meson", "setup", "--force-fallback-for=pluck", parent / "build", parent)
        self.assertRegex(output, rf"Project version: {name.split('-')[1]}\n")

    def test_a_shared_one_where_the_parent_says_so(self):
        self.setup_parent("-Ddefault_library=shared", "-Dpluck:json=none")
        self.assertEqual("shared library", self.kinds["pluck"])


CROSS = """[binaries]
c = 'riscv64-linux-gnu-gcc'
ar = 'riscv64-linux-gnu-ar'
[host_machine]
system = 'linux'
cpu_family = 'riscv64'
cpu = 'rv64gc'
endian = 'little'
"""


class Cross(unittest.TestCase):
    def test_without_a_way_to_run_programs(self):
        if not shutil.which("riscv64-linux-gnu-gcc"):
            self.skipTest("no riscv64-linux-gnu-gcc")
        cross = scratch / "riscv64.ini"
        cross.write_text(CROSS)
        environment = {name: value for name, value in os.environ.items()
                       if name not in ("CC", "CXX", "CFLAGS", "LDFLAGS")}
        page.run(["meson", "setup", "--cross-file", cross, scratch / "cross", source,
                  "-Doptimization=0", "-Djson=private", f"-Djson_source={cjson_source()}"],
                 None, environment)
        page.run(["ninja", "-C", scratch / "cross", "cli/pluck"], None, environment)
        self.assertIn("RISC-V", run("readelf", "-h", scratch / "cross" / "cli" / "pluck"))


def main():
    global build, source, scratch, cjson
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--source", type=pathlib.Path, required=True)
    parser.add_argument("--cjson", type=pathlib.Path)
    arguments, rest = parser.parse_known_args()
    build, source = arguments.build.resolve(), arguments.source.resolve()
    cjson = arguments.cjson and arguments.cjson.resolve()
    with tempfile.TemporaryDirectory(prefix="pluck-linking-") as name:
        scratch = pathlib.Path(name)
        unittest.main(argv=[sys.argv[0], "-v", *rest])


if __name__ == "__main__":
    main()
