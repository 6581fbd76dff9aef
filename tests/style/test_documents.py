#!/usr/bin/env python3
"""The documents must stay true: the C and C++ that they show compiles without a warning, whole
programs run, links inside the repository lead somewhere, and numbers and tables that other files
have too are the same there.

    tests/style/test_documents.py --source SOURCE_DIR --library LIBPLUCK.A [--compiler CC] [TEST...]

A block ```c with a main is a program. One that includes a header of lib/ is a file of the library.
Every other block of C or C++ is the body of a function that has the names of
tests/headers/example_names.h.
"""

import argparse
import importlib.util
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
arguments = None

FENCED = re.compile(r"^( *)```([^\n`]*)\n(.*?)^\1```", re.S | re.M)


def pages():
    """Every Markdown file of the repository, build directories and hidden ones left out."""
    for folder, folders, files in os.walk(arguments.source):
        folders[:] = sorted(name for name in folders
                            if not name.startswith((".", "build")) and name != "subprojects")
        for name in sorted(files):
            if name.endswith(".md"):
                yield pathlib.Path(folder) / name


def shown_as(page):
    return page.relative_to(arguments.source)


def blocks(language):
    """(page, line, text) of every block of a language in README.md, CONTRIBUTING.md and docs/."""
    for page in pages():
        if shown_as(page).parts[0] not in ("README.md", "CONTRIBUTING.md", "docs"):
            continue
        text = page.read_text(encoding="utf-8")
        for block in FENCED.finditer(text):
            if block.group(2).strip() == language:
                yield page, text.count("\n", 0, block.start(3)) + 1, block.group(3)


def is_program(text):
    return re.search(r"\bint main\b", text) is not None


def anchors(page):
    """The fragments that headings of a page give rise to, as GitHub makes them."""
    text = FENCED.sub("", page.read_text(encoding="utf-8"))
    seen = {}
    for heading in re.findall(r"^#+ +(.*?) *#*$", text, re.M):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        name = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        seen[name] = seen.get(name, -1) + 1
        yield name if seen[name] == 0 else f"{name}-{seen[name]}"


class Documentation(unittest.TestCase):
    def test_every_complete_program_compiles_and_runs(self):
        found = [block for block in blocks("c") if is_program(block[2])]
        self.assertTrue(found, "no complete C program in README.md or docs/")
        for page, line, text in found:
            with self.subTest(page=str(shown_as(page)), line=line), \
                    tempfile.TemporaryDirectory() as scratch:
                self.compile_and_run(pathlib.Path(scratch), page, line, text)

    def test_every_part_of_a_program_compiles(self):
        n_found = 0
        for language, standard in (("c", "-std=c11"), ("cpp", "-std=c++17")):
            for page, line, text in blocks(language):
                if is_program(text):
                    continue
                n_found += 1
                with self.subTest(page=str(shown_as(page)), line=line), \
                        tempfile.TemporaryDirectory() as scratch:
                    self.compile_part(pathlib.Path(scratch), page, line, text, language, standard)
        self.assertGreater(n_found, 3)

    def compile_part(self, scratch, page, line, text, language, standard):
        includes = "".join(re.findall(r"^#include .*\n", text, re.M))
        place = f'#line {line} "{shown_as(page)}"\n'
        if '#include "' in includes:
            shown = place + text
        else:
            body = re.sub(r"^#include .*$", "", text, flags=re.M)
            shown = (f"{includes}#include \"example_names.h\"\nvoid example(void);\n"
                     f"void example(void)\n{{\n{place}{body}}}\n")
        path = scratch / f"shown.{language}"
        path.write_text(shown)
        tests = arguments.source / "tests"
        compiler = [arguments.compiler]
        if language == "cpp":
            compiler = [shutil.which("c++") or self.skipTest("there is no C++ compiler")]
        done = subprocess.run(
            [*compiler, standard, "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-Wno-unused",
             f"-I{arguments.source / 'include'}", f"-I{arguments.source / 'lib'}",
             f"-I{tests / 'headers'}", f"-I{tests / 'llama'}", path],
            capture_output=True, text=True, timeout=120)
        self.assertEqual(0, done.returncode, done.stderr)

    def compile_and_run(self, scratch, page, line, text):
        (scratch / "shown.c").write_text(f'#line {line} "{shown_as(page)}"\n{text}')
        command = [arguments.compiler, "-std=c11", "-Wall", "-Wextra", "-Werror",
                   f"-I{arguments.source / 'include'}", scratch / "shown.c", "-o",
                   scratch / "shown", arguments.library, "-lcjson", "-lm", "-pthread"]
        if arguments.sanitize != "none":
            command.append(f"-fsanitize={arguments.sanitize}")
        if arguments.zlib:
            command.append("-lz")
        for words in (command, [scratch / "shown"]):
            done = subprocess.run(words, cwd=arguments.source, stdin=subprocess.DEVNULL,
                                  capture_output=True, text=True, timeout=120)
            self.assertEqual(0, done.returncode, done.stdout + done.stderr)

    def test_every_link_inside_the_repository_leads_somewhere(self):
        broken = []
        for page in pages():
            text = re.sub(r"`[^`\n]*`", "", FENCED.sub("", page.read_text(encoding="utf-8")))
            targets = re.findall(r"\]\(<?([^)\s>]+)>?(?: +\"[^\"]*\")?\)", text)
            targets += re.findall(r"^\[[^]]+\]: +(\S+)", text, re.M)
            for target in targets:
                if re.match(r"[a-z][a-z+.-]*:", target):
                    continue
                path, _, fragment = target.partition("#")
                leads_to = page.parent / path if path else page
                if not leads_to.exists():
                    broken.append(f"{shown_as(page)}: {target}: no such file")
                elif fragment and leads_to.suffix == ".md" \
                        and fragment not in set(anchors(leads_to)):
                    broken.append(f"{shown_as(page)}: {target}: no such heading")
        self.assertEqual([], broken)


    def test_every_file_that_is_named_exists(self):
        """A path in backquotes is one from the root, the folder of the page, lib/ or include/."""
        folders = sorted(path.name for root in ("", "lib", "include")
                         for path in (arguments.source / root).iterdir()
                         if path.is_dir() and not path.name.startswith((".", "build")))
        path_span = re.compile(rf"`((?:{'|'.join(folders)})/[\w./*-]*)`")
        missing = []
        n_found = 0
        for page in pages():
            text = FENCED.sub("", page.read_text(encoding="utf-8"))
            for name in path_span.findall(text):
                n_found += 1
                roots = (arguments.source, page.parent, arguments.source / "lib",
                         arguments.source / "include")
                if not any(list(root.glob(name.rstrip("/"))) for root in roots):
                    missing.append(f"{shown_as(page)}: {name}")
        self.assertEqual([], missing)
        self.assertGreater(n_found, 100)

    def test_the_table_of_folders_has_the_rules_that_are_checked(self):
        path = arguments.source / "scripts" / "check_includes.py"
        spec = importlib.util.spec_from_file_location("check_includes", path)
        rules = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(rules)
        page = (arguments.source / "docs" / "architecture.md").read_text(encoding="utf-8")
        table = dict(re.findall(r"^\| `lib/(\w+)/` \|.*\| *(.*?) *\|$", page, re.M))
        self.assertEqual({part: set(names.split()) for part, names in rules.ALLOWED.items()},
                         {part: set(names.split(", ")) - {""} for part, names in table.items()})
        below = []
        for part, names in table.items():
            self.assertLessEqual(set(names.split(", ")) - {""}, set(below), part)
            below.append(part)

    def test_counts_of_the_readme_are_those_of_the_tests(self):
        readme = (arguments.source / "README.md").read_text(encoding="utf-8")
        golden = (arguments.source / "tests" / "golden" / "tokens.txt").read_text().splitlines()
        n_cases = len({line.split()[0] for line in golden})
        self.assertIn(f"{len(golden)} results of {n_cases} cases", readme)
        # README names seven stages.
        stages = (arguments.source / "lib" / "stages" / "registry.c").read_text()
        n_stages = len(re.findall(r"^    X\(\w+\)", stages, re.M))
        self.assertIn(f"and {n_stages - 7} more stages and draws", readme)
        performance = (arguments.source / "docs" / "performance.md").read_text(encoding="utf-8")
        for chain, vocabulary, words in (("default", "128,256", "{} µs per token, and {} µs in"),
                                         ("top_p", "128,256", "{} µs instead of {} µs")):
            row = re.search(rf"^\| peaked \| {vocabulary} \| {chain} \| (\S+) \| (\S+) \| (\d+) \|",
                            performance, re.M)
            mine = f"{float(row[1]):.0f}"
            self.assertIn(words.format(mine, row[2]), readme)
            self.assertIn(f"{row[3]} times as fast", readme)


def main():
    global arguments
    parser = argparse.ArgumentParser()
    parser.add_argument("--source", type=pathlib.Path, required=True)
    parser.add_argument("--library", type=pathlib.Path, required=True)
    parser.add_argument("--compiler", default="cc")
    parser.add_argument("--sanitize", default="none")
    parser.add_argument("--zlib", action="store_true")
    arguments, rest = parser.parse_known_args()
    arguments.source = arguments.source.resolve()
    arguments.library = arguments.library.resolve()
    unittest.main(argv=[sys.argv[0], "-v", *rest])


if __name__ == "__main__":
    main()
