#!/usr/bin/env python3
"""Why: a check of style that finds nothing may be blind. Every rule of scripts/check_includes.py is
broken here once, in a small tree that is otherwise in order, and the violation must be found; what
is allowed must not be.

    test_check_includes.py SCRIPTS_DIR
"""
import pathlib
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv.pop(1) if len(sys.argv) > 1 else "scripts")
from check_includes import Checker  # noqa: E402

USER = "".join(f'#include "{name}"\n' for name in (
    "base/alloc.h", "simd/kernels.h", "select/view.h", "stages/stage_impl.h", "stages/dry_match.h",
    "dump/npy_header.h", "options.h"))
GOOD_TREE = {
    "include/pluck/rng.h": "#include <pluck/base.h>\n#include <stdint.h>\n",
    "include/pluck/base.h": "#include <stdint.h>\n",
    "lib/base/alloc.h": "#include <pluck/base.h>\nint alloc(void);\n",
    "lib/base/alloc.c": '#include "base/alloc.h"\n',
    "lib/rng/rng.c": '#include <pluck/rng.h>\n#include "base/alloc.h"\n',
    "lib/simd/kernels.h": "int kernels(void);\n",
    "lib/simd/kernels_avx2.c": '#include <immintrin.h>\n#include "simd/kernels.h"\n',
    "lib/select/view.h": "int view(void);\n",
    "lib/stages/stage_impl.h": '#include "select/view.h"\nint stage(void);\n',
    "lib/stages/top_k.c":
        '#include "stages/stage_impl.h"\nconst plk_stage plk_stage_top_k = {0};\n',
    "lib/stages/dry.c": '#include "stages/dry_match.h"\nconst plk_stage plk_stage_dry = {0};\n',
    "lib/stages/dry_match.c": '#include "stages/dry_match.h"\n',
    "lib/stages/dry_match.h": '#include "stages/stage_impl.h"\nint dry(void);\n',
    "lib/dump/npy.c": '#include "dump/npy_header.h"\nconst plk_dump_reader plk_dump_npy = {0};\n',
    "lib/dump/npy_header.c": '#include "dump/npy_header.h"\n',
    "lib/dump/npy_header.h": "int npy(void);\n",
    "lib/dump/raw.c": "const plk_dump_reader plk_dump_raw = {0};\n",
    "cli/options.h": "int options(void);\n",
    "cli/main.c": '#include "options.h"\n#include <pluck/rng.h>\n#include <stdio.h>\n',
    "examples/embed.c": "#include <pluck/rng.h>\n",
    # So that a test may change any other file, and each header still has two users.
    "tests/unit/first_user.c": USER,
    "tests/unit/second_user.c": USER,
    "tests/unit/test_alloc.c": '#include "base/alloc.h"\n#include <xmmintrin.h>\n',
}


def lines(n):
    return "    f();\n" * n


def rows(n):
    return "    {1, 2},\n" * n


def violations(changes):
    with tempfile.TemporaryDirectory() as root:
        for name, text in {**GOOD_TREE, **changes}.items():
            path = pathlib.Path(root, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return Checker(root).run()


class CheckIncludes(unittest.TestCase):
    def found(self, path, text, message, more=None):
        found = violations({path: text, **(more or {})})
        self.assertEqual(len(found), 1, found)
        self.assertTrue(found[0].startswith(path + ":"), found)
        self.assertIn(message, found[0])

    def fine(self, changes):
        self.assertEqual(violations(changes), [])

    def test_a_tree_in_order_has_no_violation(self):
        self.fine({})

    def test_includes_point_downward(self):
        self.found("lib/base/alloc.c", '#include "simd/kernels.h"\n', "may include nothing only")
        self.found("lib/rng/rng.c", '#include "select/view.h"\n', "may include base only")
        self.found("lib/rng/rng.c", '\n #  include "simd/kernels.h"\n', "rng.c:2: simd/kernels.h")

    def test_includes_in_comments_do_not_count(self):
        self.fine({"lib/base/alloc.c": '/*\n#include "simd/kernels.h"\n*/\n// #include "x.h"\n'})

    def test_internal_headers_are_named_from_lib(self):
        self.found("lib/base/alloc.c", '#include "alloc.h"\n', "no such file in lib/")
        self.found("lib/base/alloc.c", '#include "base/../base/alloc.h"\n', "no such file in lib/")
        self.found("lib/rng/rng.c", "#include <base/alloc.h>\n", 'included with ""')
        self.found("lib/rng/rng.c", '#include "pluck/rng.h"\n', "included with <>")
        self.found("lib/rng/rng.c", "#include <pluck/rgn.h>\n", "no such public header")

    def test_a_new_part_must_be_given_its_place(self):
        self.found("lib/extra/new.c", '#include "base/alloc.h"\n', "lib/extra/ is not in ALLOWED")

    def test_stages_and_readers_do_not_know_each_other(self):
        stage = '#include "stages/dry_match.h"\nconst plk_stage plk_stage_top_k = {0};\n'
        self.found("lib/stages/top_k.c", stage, "top_k may not depend on dry")
        reader = '#include "dump/npy_header.h"\nconst plk_dump_reader plk_dump_raw = {0};\n'
        self.found("lib/dump/raw.c", reader, "raw may not depend on npy")

    def test_intrinsics_stay_in_simd(self):
        self.found("lib/rng/rng.c", "#include <immintrin.h>\n", "is for lib/simd/ only")
        self.found("include/pluck/rng.h", "#include <arm_neon.h>\n", "is for lib/simd/ only")
        self.found("cli/main.c", "#include <x86intrin.h>\n", "is for lib/simd/ only")
        self.found("lib/simd/kernels_avx2.c", "#include <unistd.h>\n", "platform*.c only")

    def test_systems_are_for_the_platform_layer(self):
        for header in ("unistd.h", "sys/stat.h", "pthread.h", "threads.h", "omp.h", "windows.h",
                       "strings.h", "poll.h", "alloca.h"):
            for path in ("lib/rng/rng.c", "cli/main.c", "include/pluck/rng.h"):
                self.found(path, f"#include <{header}>\n", "is for lib/base/platform*.c only")
        self.fine({"lib/base/platform_posix.c": "#include <unistd.h>\n#ifdef __APPLE__\n#endif\n",
                   "examples/embed.c": "#include <unistd.h>\n",
                   "lib/rng/rng.c": "#include <signal.h>\n#include <stdatomic.h>\n",
                   "tests/unit/test_alloc.c": "#include <pthread.h>\n"})

    def test_no_other_file_asks_for_a_system(self):
        for line in ("#ifdef _WIN32", "#if defined(__linux__)", "#  elif !defined(__APPLE__)",
                     "#if X || defined(__wasi__)", "#ifndef __FreeBSD__", "#if _POSIX_C_SOURCE"):
            self.found("lib/rng/rng.c", f"\n{line}\n#endif\n", "alone ask for a system")
            self.found("cli/main.c", f"\n{line}\n#endif\n", "alone ask for a system")
        self.fine({"lib/rng/rng.c": "/* #ifdef _WIN32 */\n#ifdef __AVX2__\n#endif\n",
                   "include/pluck/base.h": "#ifdef _WIN32\n#endif\n",
                   "tests/unit/test_alloc.c": "#ifdef __linux__\n#endif\n"})

    def test_libraries_have_one_user(self):
        self.found("lib/rng/rng.c", "#include <cjson/cJSON.h>\n", "lib/json/cjson_nodes.c only")
        self.found("lib/rng/rng.c", "#include <zlib.h>\n", "is for lib/file/gzip.c and zip.c only")
        self.found("cli/main.c", "#include <mpi.h>\n", "is for lib/mpi/ and cli/mpi/ only")
        for path in ("lib/mpi/world.c", "cli/mpi/deal.c", "include/pluck/mpi.h"):
            self.fine({path: "#include <mpi.h>\n"})

    def test_programs_see_public_headers_only(self):
        for include in ('"base/alloc.h"', '"../lib/base/alloc.h"', "<base/alloc.h>"):
            self.found("examples/embed.c", f"#include {include}\n", "its own and system headers")
        self.found("examples/embed.c", '#include "../cli/options.h"\n', "its own and system")

    def test_the_command_sees_the_floor_too(self):
        self.fine({"cli/main.c": '#include "base/alloc.h"\n'})
        for include in ('"rng/pcg64_step.h"', '"../lib/base/alloc.h"', "<base/alloc.h>"):
            self.found("cli/main.c", f"#include {include}\n", "its own and system headers")

    def test_public_headers_see_public_headers_only(self):
        self.found("include/pluck/rng.h", '#include "base/alloc.h"\n', "a public header includes")
        self.found("include/pluck/rng.h", "#include <base/alloc.h>\n", "a public header includes")

    def test_file_names_are_unique(self):
        self.found("tests/unit/main.c", "", "cli/main.c has the same name")
        self.found("cli/rng.c", "", "has the same name")
        self.fine({"cli/commands/rng.c": ""})
        self.found("examples/engine/main.c", "", "cli/main.c has the same name")
        self.fine({"examples/engine/embed.c": ""})
        found = violations({"lib/rng/rng.h": "int rng(void);\n"})
        self.assertEqual(found, ["include/pluck/rng.h:1: lib/rng/rng.h has the same name"])
        self.found("cli/alloc.h", "int a(void);\n", "lib/base/alloc.h has the same name")

    def test_a_header_is_shared_and_declares_something(self):
        text = "int own(void);\n"
        found = violations({"lib/rng/own.h": text, "lib/rng/rng.c": '#include "rng/own.h"\n'})
        self.assertEqual(
            found, ["lib/rng/own.h:1: 1 files include this header: its text belongs there"])
        self.found("lib/select/view.h", "/* nothing; */\n", "declares nothing")
        self.fine({"lib/simd/vocabulary_avx2.h": text})

    def test_functions_are_short(self):
        body = "static int\nlong_one(int a)\n{\n%s}\n"
        self.found("cli/main.c", body % lines(77), "long_one() has 81 lines")
        self.found("cli/main.c", "\n" + body % lines(77), ":2: long_one()")
        linkage = 'extern "C" {\n%s}\n' % (body % lines(77))
        self.found("include/pluck/base.h", linkage, ":2: long_one()")
        self.fine({"cli/main.c": body % lines(76)})

    def test_braces_in_text_and_in_directives_do_not_count(self):
        text = 'int f(void)\n{\n    g("}{", \'{\'); /* } */ // }\n%s}\n' % lines(30)
        macro = "#define M(x) {  \\\n        x; }}}\n"
        self.fine({"cli/main.c": macro + text + text})

    def test_lines_of_tables_do_not_count(self):
        table = "static const row rows[] = {\n%s};\n"
        self.fine({"cli/main.c": table % rows(900)})
        self.fine({"cli/main.c": "int main(void)\n{\n%s    return 0;\n}\n" % (table % rows(80))})
        self.found("cli/main.c", table % rows(10) + "int x;\n" * 699, "701 lines")

    def test_files_are_short(self):
        self.found("cli/main.c", "int x;\n" * 701, "701 lines")
        self.fine({"cli/main.c": "int x;\n" * 700})
        self.found("scripts/tool.py", "x = 1\n" * 701, "701 lines")
        self.found("scripts/tool", "#!/bin/sh\n" + "true\n" * 700, "701 lines")

    def test_python_functions_are_short(self):
        self.found("scripts/tool.py", "def f():\n" + "    g()\n" * 80, "f() has 81 lines")

    def test_lines_are_narrow_counted_in_characters(self):
        self.found("cli/main.c", "// " + "x" * 98 + "\n", "101 columns")
        self.fine({"cli/main.c": "// " + "é" * 97 + "\n"})

    def test_braces_that_do_not_pair_are_reported(self):
        self.found("cli/main.c", "int f(void)\n{\n", "has no }")
        self.found("cli/main.c", "int f(void)\n{\n}\n}\n", "has no {")


if __name__ == "__main__":
    unittest.main()
