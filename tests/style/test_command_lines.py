#!/usr/bin/env python3
"""Why: readers type what the documents show, and compare what they see. Runs every command line of
README.md, CONTRIBUTING.md, docs/ and every README.md below and compares the output that is shown.

    tests/style/test_command_lines.py --source SOURCE_DIR --pluck PLUCK [--build BUILD_DIR]
        [--refresh] [TEST...]

How documents show command lines:

 * A block ```console has them after "$ "; a line that ends in a backslash goes on. What follows is
   their standard output, then, if they fail, their standard error. Nothing below a command line
   means that its output is not shown: then only its exit status is checked.
 * "..." alone on a line stands for any number of lines, and within a line for any text. What is
   around it is compared.
 * <!-- exit status N --> before a block: its last command line ends with N instead of 0.
 * <!-- not run: REASON --> before a block: it is not run. It needs files that the repository does
   not have, takes too long or changes the machine.

Lines run in the order of the page, in one folder per page. It has the files of
tests/cli/make_inputs.py, and tests/data/, configs/ and build/ as the repository and BUILD_DIR have
them. A picture img/X of a page whose lines write a file X must be that file.

--refresh writes what the command lines print now, and the pictures, into the pages; look at the
difference.
"""
import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "cli"))
from make_inputs import copy_inputs, environment, write_inputs  # noqa: E402

arguments = None

FENCED = re.compile(r"^( *)```([^\n`]*)\n(.*?)^\1```", re.S | re.M)
BEFORE = re.compile(r"<!--\s*(not run|exit status)\b:?\s*(.*?)\s*-->\s*\Z", re.S)
# Programs of the repository, and what builds it: a line that begins so is a command line.
PROGRAM = re.compile(r"(\$ |(?:.*[|;&] *)?pluck [a-z]|scripts/|bench/|build/|meson |ninja |cc )")
LANGUAGES = {"c", "cpp", "json", "text", "console", "python", "cmake", "meson"}


class Block:
    def __init__(self, page, text, match):
        before = BEFORE.search(text[:match.start()])
        self.page = page
        self.line = text.count("\n", 0, match.start()) + 1
        self.language = match.group(2).strip()
        self.body = match.group(3)
        self.place = f"{page.relative_to(arguments.source)}:{self.line}"
        self.reason = before.group(2) if before and before.group(1) == "not run" else None
        self.status = int(before.group(2)) if before and before.group(1) != "not run" else 0

    def commands(self):
        """(command line, output shown or ""), in their order."""
        found = []
        lines = iter(self.body.splitlines(keepends=True))
        for line in lines:
            if line.startswith("$ "):
                while line.endswith("\\\n"):
                    line += next(lines)
                found.append([line[2:].rstrip("\n"), ""])
            elif found:
                found[-1][1] += line
        return found


def pages():
    names = ["README.md", "CONTRIBUTING.md"]
    for folder in ("bench", "examples", "tests", "fuzz"):
        names += sorted(str(path.relative_to(arguments.source))
                        for path in (arguments.source / folder).rglob("README.md"))
    yield from (arguments.source / name for name in names)
    yield from sorted((arguments.source / "docs").glob("*.md"))


def blocks(page):
    text = page.read_text(encoding="utf-8")
    return [Block(page, text, match) for match in FENCED.finditer(text)]


def is_shown(shown, printed):
    """Whether a text with ellipses is what was printed."""
    pattern = ""
    for line in shown.splitlines(keepends=True):
        if line.strip() == "...":
            pattern += r"(?:.*\n)*"
        else:
            pattern += ".*".join(re.escape(part) for part in line.split("..."))
    return re.fullmatch(pattern, printed) is not None


class CommandLines(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.env = environment(arguments.pluck)
        cls.template = tempfile.mkdtemp()
        write_inputs(cls.template)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.template)

    def folder_for_a_page(self):
        parent = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, parent, ignore_errors=True)
        copy_inputs(self.template, parent / "work")
        (parent / "work" / "tests").mkdir()
        for name in ("tests/data", "configs"):
            (parent / "work" / name).symlink_to(arguments.source / name)
        if arguments.build:
            (parent / "work" / "build").symlink_to(arguments.build)
        return parent / "work"

    def run_block(self, block, folder):
        """Runs the lines; the block as it should be."""
        commands = block.commands()
        for program in re.findall(r"^\$ (build/\S+)", block.body, re.M):
            if not (folder / program).exists():
                self.skipTest(f"{program} is not built")
        self.assertTrue(commands, f"{block.place}: no line begins with \"$ \"")
        done = ""
        for n, (command, shown) in enumerate(commands):
            status = block.status if n == len(commands) - 1 else 0
            ran = subprocess.run(["bash", "-c", command], cwd=folder, env=self.env, text=True,
                                 capture_output=True, stdin=subprocess.DEVNULL, timeout=250)
            self.assertEqual(ran.returncode, status, f"{block.place}: {command}\n{ran.stderr}")
            printed = ran.stdout + (ran.stderr if status else "")
            if shown and not is_shown(shown, printed):
                if not arguments.refresh:
                    self.assertEqual(shown, printed, f"{block.place}: {command}")
                shown = printed
            done += f"$ {command}\n{shown}"
        return done

    def test_command_lines_print_what_is_shown(self):
        n_run = 0
        for page in pages():
            folder = self.folder_for_a_page()
            text = page.read_text(encoding="utf-8")
            for block in blocks(page):
                if block.language == "console" and block.reason is None:
                    with self.subTest(place=block.place):
                        done = self.run_block(block, folder)
                        n_run += 1
                        text = text.replace(f"```console\n{block.body}```",
                                            f"```console\n{done}```", 1)
            if arguments.refresh:
                page.write_text(text, encoding="utf-8")
            self.compare_pictures(page, text, folder)
        self.assertGreater(n_run, 20)

    def compare_pictures(self, page, text, folder):
        for name in re.findall(r"\]\(img/([^)]+)\)", text):
            picture = page.parent / "img" / name
            if not (folder / name).exists():
                continue
            if arguments.refresh:
                shutil.copy(folder / name, picture)
            with self.subTest(picture=name):
                self.assertEqual((folder / name).read_bytes(), picture.read_bytes())

    def test_every_command_line_is_marked_as_one(self):
        """So that none escapes the test above."""
        wrong = []
        for page in pages():
            for block in blocks(page):
                is_commands = any(PROGRAM.match(line) for line in block.body.splitlines())
                if block.language not in LANGUAGES:
                    wrong.append(f"{block.place}: say what the block is: {sorted(LANGUAGES)}")
                elif is_commands and block.language not in ("console", "python"):
                    wrong.append(f"{block.place}: command lines are for a block of console")
                elif block.reason is not None and len(block.reason.split()) < 3:
                    wrong.append(f"{block.place}: not run, but why?")
            outside = FENCED.sub(lambda m: "\n" * m.group().count("\n"),
                                 page.read_text(encoding="utf-8"))
            for n, line in enumerate(outside.splitlines()):
                if line.startswith("    ") and PROGRAM.match(line.strip()):
                    wrong.append(f"{page.relative_to(arguments.source)}:{n + 1}: a command line "
                                 "is not in a block of console")
        self.assertEqual(wrong, [])

    def printed(self, *words):
        return subprocess.run([arguments.pluck, *words], env=self.env, text=True, check=True,
                              capture_output=True).stdout

    def test_commands_and_flags_in_the_text_exist(self):
        """`pluck tune --keep` within a sentence: tune is a command, and --keep one of its flags."""
        listed = self.printed("help").split("Commands:\n")[1].split("\n\n")[0]
        commands = re.findall(r"^  (\w+(?: \w+)?)  ", listed, re.M)
        groups = {command.split()[0] for command in commands}
        helps = {}
        wrong = []
        n_flags = 0
        for page in [*pages(), arguments.source / "NEWS.md"]:
            for span in re.findall(r"`pluck ([a-z][^`:]*)`", page.read_text(encoding="utf-8")):
                words = span.split()
                command = next((c for c in (" ".join(words[:2]), words[0]) if c in commands), None)
                if command is None:
                    if words[0] not in groups:
                        wrong.append(f"{page.name}: pluck {span}: no such command")
                    continue
                if command not in helps:
                    helps[command] = self.printed(*command.split(), "--help=all")
                for flag in re.findall(r"(?:^| )(--?[a-z][a-z-]*)", span):
                    n_flags += 1
                    if not re.search(rf"(?<![\w-]){flag}(?![\w-])", helps[command]):
                        wrong.append(f"{page.name}: pluck {span}: no flag {flag}")
        self.assertEqual(wrong, [])
        self.assertGreater(n_flags, 5)

    def test_configurations_are_read(self):
        """Blocks of json are configurations, unless marked as not run."""
        folder = self.folder_for_a_page()
        for page in pages():
            for block in blocks(page):
                if block.language == "json" and block.reason is None:
                    with self.subTest(place=block.place):
                        ran = subprocess.run([arguments.pluck, "config", "check", "-"], cwd=folder,
                                             input=block.body, text=True, capture_output=True)
                        self.assertEqual(ran.returncode, 0, ran.stderr)

    def test_ellipses_stand_for_text_and_lines_and_for_nothing_else(self):
        printed = "one 1.25\ntwo\nthree\n"
        for shown in (printed, "one ...\ntwo\nthree\n", "one 1.25\n...\n", "...\nthree\n", "...\n"):
            self.assertTrue(is_shown(shown, printed), shown)
        for shown in ("one ...\nthree\n", "one\n...\n", "...\ntwo\n", "", "one 1.2...\n"):
            self.assertFalse(is_shown(shown, printed), shown)


def main():
    global arguments
    parser = argparse.ArgumentParser()
    parser.add_argument("--source", type=pathlib.Path, required=True)
    parser.add_argument("--pluck", type=pathlib.Path, required=True)
    parser.add_argument("--build", type=pathlib.Path)
    parser.add_argument("--refresh", action="store_true")
    arguments, rest = parser.parse_known_args()
    arguments.source = arguments.source.resolve()
    arguments.pluck = str(arguments.pluck.resolve())
    arguments.build = arguments.build and arguments.build.resolve()
    unittest.main(argv=[sys.argv[0], *rest])


if __name__ == "__main__":
    main()
