#!/usr/bin/env python3
"""The documentation must stay true: every complete C program that it shows (a ```c block with a
main) compiles without a warning and runs, and every link inside the repository leads somewhere.

    tests/style/test_readme.py --source SOURCE_DIR --library LIBPLUCK.A [--compiler CC] [TEST...]
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

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


def programs():
    """(page, line, text) of every complete C program in README.md and docs/."""
    for page in pages():
        if shown_as(page).parts[0] not in ("README.md", "docs"):
            continue
        text = page.read_text(encoding="utf-8")
        for block in FENCED.finditer(text):
            if block.group(2).strip() == "c" and re.search(r"\bint main\b", block.group(3)):
                yield page, text.count("\n", 0, block.start(3)) + 1, block.group(3)


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
        if not (arguments.source / "README.md").exists():
            self.skipTest("there is no README.md")
        found = list(programs())
        self.assertTrue(found, "no complete C program in README.md or docs/")
        for page, line, text in found:
            with self.subTest(page=str(shown_as(page)), line=line), \
                    tempfile.TemporaryDirectory() as scratch:
                self.compile_and_run(pathlib.Path(scratch), page, line, text)

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
