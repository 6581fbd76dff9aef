#!/usr/bin/env python3
"""Why: nothing that a user has may be lost to a result. The table of outputs: every command, every
flag that names a file to write, and every way in which that file can be something else already;
all that was there before is compared byte by byte.

    test_cli_outputs.py --pluck PLUCK [TEST...]

Device nodes are made in scratch folders, for which the tests have to run as root.
"""
import os
import re
import stat
import threading

from command_case import main, some
from output_case import ALSO_READ, COMMANDS, KEPT_MODE, OLD, PRINTING, OutputCase, files_of, rows

# What a path is before the command runs, and the exit status: of a result, of a checkpoint.
EXIT_STATUS = {
    "new": (0, 0),
    "old file": (0, 2),
    "link to an old file": (0, 2),
    "dangling link": (0, 0),
    "null device": (0, 2),
    "full device": (4, 2),
    "pipe": (0, 2),
    "folder": (4, 4),
    "link to a folder": (4, 4),
    "name in no folder": (4, 4),
    "name in a file": (4, 4),
    "link that leads to itself": (4, 4),
    "input": (2, 2),
    "input by another path": (2, 2),
    "link to an input": (2, 2),
    "hard link to an input": (2, 2),
    "other output": (2, 2),
    "old other output": (2, 2),
    "other output by another path": (2, 2),
    "link to the other output": (2, 2),
    "dangling link to the other output": (2, 2),
    "hard link to the other output": (2, 2),
    "standard input": (2, 2),
    "standard output": (2, 2),
    "standard error": (2, 2),
}


class TableCase(OutputCase):
    def each(self, situation):
        for command, line, flag, needed in rows():
            expected = EXIT_STATUS[situation][flag == "--checkpoint"]
            self.fresh(line)
            yield command, line, flag, needed, expected

    def refuses(self, situation, prepare, path="out"):
        """Nothing may change."""
        for command, line, flag, needed, expected in self.each(situation):
            self.assertNotEqual(expected, 0)
            prepare()
            before = self.states()
            full = f"{command} {line} {needed} {flag} {path}"
            self.check_refused(full, before, self.run_pluck(full), expected)

    def replaces(self, situation, prepare, target, path="out"):
        """The result is at target, where the old mode is kept; all else is as it was. A refused
        checkpoint changes nothing, and a complete one is gone."""
        for command, line, flag, needed, expected in self.each(situation):
            wanted = self.expected_result(command, line, flag, needed)
            self.fresh(line)
            prepare()
            before = self.states()
            full = f"{command} {line} {needed} {flag} {path}"
            code = self.run_pluck(full)
            if expected != 0:
                self.check_refused(full, before, code, expected)
                continue
            self.assertEqual(code, 0, f"{full}: {self.stderr}")
            after = self.states()
            after.pop("x.out", None)
            made = after.pop(target, None)
            old = before.pop(target, None)
            self.assertEqual(after, before, full)
            if flag == "--checkpoint":
                self.assertIsNone(made, full)
                continue
            self.assertEqual(made[0], stat.S_IFREG, full)
            self.assertEqual(made[1], old[1] if old else 0o644, full)
            if wanted is not None:
                self.assertEqual(made[3], wanted, full)

    def old_file(self, name="out"):
        (self.folder / name).write_bytes(OLD)
        (self.folder / name).chmod(KEPT_MODE)

    def link(self, target, name="out"):
        (self.folder / name).symlink_to(target)


class Table(TableCase):
    def test_every_flag_for_a_file_is_in_the_table(self):
        """A new flag is not forgotten: of each command, every flag that takes a file."""
        script = self.run_line("pluck completions fish").decode()
        found = {}
        for command, name in re.findall(
                r"__fish_seen_subcommand_from (\w+)' -l ([\w-]+)(?: -s \w)? -r -F", script):
            found.setdefault(command, set()).add("--" + name)
        self.assertGreater(len(found), 10)
        letters = {"-o": "--output", "-c": "--config"}
        known = {}
        for command, line, flags in COMMANDS:
            words = line.split() + list(flags)
            known.setdefault(command.split()[-1], set()).update(
                letters.get(w, w) for w in words if w.startswith("-"))
        for command, flags in PRINTING.items():
            known.setdefault(command.split()[-1], set()).update(flags)
        shared = {"--partial", "--plan"}  # one group of flags; sample stands for all
        self.assertLessEqual(shared, known["sample"])
        for command, flags in found.items():
            self.assertEqual(flags - known.get(command, set()) - shared, set(),
                             f"pluck {command}: files that the table of this test does not know")

    def test_new(self):
        os.umask(0o022)
        self.replaces("new", lambda: None, "out")

    def test_old_file(self):
        self.replaces("old file", self.old_file, "out")

    def test_link_to_an_old_file(self):
        def prepare():
            self.old_file("target")
            self.link("target")
        self.replaces("link to an old file", prepare, "target")

    def test_dangling_link(self):
        def prepare():
            self.link("middle")
            self.link("./target", "middle")
        os.umask(0o022)
        self.replaces("dangling link", prepare, "target")

    def test_folder(self):
        self.refuses("folder", lambda: (self.folder / "out").mkdir())

    def test_link_to_a_folder(self):
        def prepare():
            (self.folder / "there").mkdir()
            self.link("there")
        self.refuses("link to a folder", prepare)

    def test_name_in_no_folder(self):
        self.refuses("name in no folder", lambda: None, "nowhere/out")

    def test_name_in_a_file(self):
        self.refuses("name in a file", self.old_file, "out/out")

    def test_link_that_leads_to_itself(self):
        self.refuses("link that leads to itself", lambda: self.link("out"))

    def test_inputs(self):
        for command, line, flag, needed in rows(every_line=True):
            for name in files_of(line):
                for situation, path in some((("input", name),
                                             ("input by another path", f"./{name}"),
                                             ("link to an input", "out"),
                                             ("hard link to an input", "out"))):
                    self.fresh(line)
                    if situation == "link to an input":
                        self.link(name)
                    elif situation == "hard link to an input":
                        os.link(self.folder / name, self.folder / "out")
                    before = self.states()
                    full = f"{command} {line} {needed} {flag} {path}"
                    self.check_refused(full, before, self.run_pluck(full),
                                       EXIT_STATUS[situation][flag == "--checkpoint"])
                    self.assertIn("input", self.stderr)

    def test_other_outputs(self):
        for command, line, flags in COMMANDS:
            pairs = [(a, b) for a in flags for b in flags if a < b]
            for a, b in pairs:
                for situation, path, other in some((
                        ("other output", "out", "out"), ("old other output", "out", "out"),
                        ("other output by another path", "out", "./out"),
                        ("other output by another path", "../work/out", "out"),
                        ("link to the other output", "out", "old"),
                        ("dangling link to the other output", "out", "old"),
                        ("hard link to the other output", "out", "old"))):
                    self.fresh(line)
                    if situation == "dangling link to the other output":
                        self.link("old")
                    elif situation != "other output":
                        self.old_file("old" if "link" in situation else "out")
                    if situation == "link to the other output":
                        self.link("old")
                    elif situation == "hard link to the other output":
                        os.link(self.folder / "old", self.folder / "out")
                    before = self.states()
                    full = f"{command} {line} {a} {path} {b} {other}"
                    self.check_refused(full, before, self.run_pluck(full),
                                       EXIT_STATUS[situation][0])

    def test_standard_output_twice(self):
        for line, refused in (("inspect small.npy -o - --csv -", True),
                              ("inspect small.npy --svg /dev/stdout --csv -", True),
                              ("convert small.npy --to npy -o - --targets t8.txt --targets-out -",
                               True),
                              ("inspect small.npy --svg /dev/null --csv /dev/null", False)):
            self.fresh(line)
            before = self.states()
            code = self.run_pluck(line)
            if refused:
                self.check_refused(line, before, code, 2)
            else:
                self.assertEqual(code, 0, self.stderr)

    def test_standard_streams(self):
        for situation, redirection in (("standard input", "< out"), ("standard output", ">> out"),
                                       ("standard error", "2>> out")):
            for command, line, flag, needed, expected in self.each(situation):
                self.old_file()
                before = self.states()
                full = f"{command} {line} {needed} {flag} out"
                code = self.run_pluck(full, redirection)
                self.assertEqual(code, expected, f"{full} {redirection}: {self.stderr}")
                if redirection.startswith("2"):  # where the message went
                    content = (self.folder / "out").read_bytes()
                    self.assertTrue(content.startswith(OLD) and content.count(b"\n") == 2, full)
                else:
                    self.check_refused(full, before, code, expected)

    def test_streams_that_are_inputs(self):
        for command, line, _ in COMMANDS:
            for name in files_of(line):
                needed = "-o x.out" if command.split()[-1] in ("convert", "fit", "distill") else ""
                for redirection in some((f">> {name}", f"2>> {name}", f"1<> {name}")):
                    self.fresh(line)
                    before = self.states()
                    full = f"{command} {line} {needed}"
                    self.assertEqual(self.run_pluck(full, redirection), 2, f"{full} {redirection}")
                    self.assertEqual(self.states(), before, f"{full} {redirection}")

    def test_standard_output_by_all_its_names(self):
        """What follows >> is appended, and what is printed besides goes to standard error."""
        for command, line, flag, needed in rows():
            if flag == "--checkpoint":
                continue
            wanted = self.expected_result(command, line, flag, needed)
            for path in ("-", "/dev/stdout", "/dev/fd/1", "link"):
                self.fresh(line)
                self.link("/dev/stdout", "link")
                self.old_file("log")
                full = f"{command} {line} {needed} {flag} {path}"
                self.assertEqual(self.run_pluck(full, ">> log"), 0, f"{full}: {self.stderr}")
                content = (self.folder / "log").read_bytes()
                self.assertTrue(content.startswith(OLD), full)
                if wanted is not None:
                    self.assertEqual(content[len(OLD):], wanted, full)
                self.assertEqual(set(self.names()) - {"x.out", *ALSO_READ.get(line, [])},
                                 {"log", "link", *files_of(line)}, full)

    def test_another_descriptor(self):
        line = "sample small.npy"
        self.fresh(line)
        self.old_file("log")
        self.assertEqual(self.run_pluck(f"{line} -o /dev/fd/7", "7>> log"), 0, self.stderr)
        self.assertEqual(self.run_pluck(line), 0)
        self.assertEqual((self.folder / "log").read_bytes(), OLD + self.stdout)
        self.assertEqual(self.run_pluck(f"{line} -o /dev/fd/7"), 4)
        before = self.states()
        code = self.run_pluck(f"{line} -o /dev/fd/7", "7>> small.npy")
        self.check_refused("/dev/fd/7", before, code, 2)

    def test_pipe(self):
        for command, line, flag, needed, expected in self.each("pipe"):
            wanted = self.expected_result(command, line, flag, needed)
            self.fresh(line)
            os.mkfifo(self.folder / "out")
            before = self.states()
            full = f"{command} {line} {needed} {flag} out"
            if expected != 0:
                self.check_refused(full, before, self.run_pluck(full), expected)
                continue
            got = []
            reader = threading.Thread(
                target=lambda: got.append((self.folder / "out").read_bytes()))
            reader.start()
            code = self.run_pluck(full)
            reader.join(60)
            self.assertEqual(code, 0, f"{full}: {self.stderr}")
            after = self.states()
            after.pop("x.out", None)
            self.assertEqual(after, before, full)
            if wanted is not None:
                self.assertEqual(got, [wanted], full)


class Devices(TableCase):
    """Nodes that are made here, numbered like /dev/null and /dev/full."""

    def node(self, minor):
        try:
            os.mknod(self.folder / "out", stat.S_IFCHR | 0o666, os.makedev(1, minor))
            with open(self.folder / "out", "wb"):
                pass
        except OSError as error:
            self.skipTest(f"a device node cannot be made or opened here: {error.strerror}")

    def test_null_device(self):
        for command, line, flag, needed, expected in self.each("null device"):
            self.node(3)
            before = self.states()
            full = f"{command} {line} {needed} {flag} out"
            code = self.run_pluck(full)
            self.assertEqual(code, expected, f"{full}: {self.stderr}")
            after = self.states()
            after.pop("x.out", None)
            self.assertEqual(after, before, full)

    def test_full_device(self):
        for command, line, flag, needed, expected in self.each("full device"):
            self.node(7)
            before = self.states()
            full = f"{command} {line} {needed} {flag} out"
            code = self.run_pluck(full)
            self.assertEqual(code, expected, f"{full}: {self.stderr}")
            self.assertEqual(self.states(), before, full)
            if expected == 4:
                self.assertIn("out: No space left on device", self.stderr)

    def test_of_several_outputs_none_appears_when_one_is_full(self):
        for line in ("inspect logits.npy -o a --csv b --svg out",
                     "inspect logits.npy -o out --csv b --svg a",
                     "tune logits.npy --targets targets.npy --bootstrap 0 -q -o a --svg out "
                     "--csv b",
                     "convert small.npy --targets t8.txt --to npy -o out --targets-out a",
                     "convert small.npy --targets t8.txt --to npy -o a --targets-out out"):
            self.fresh(line)
            self.node(7)
            before = self.states()
            self.assertEqual(self.run_pluck(line), 4, f"{line}: {self.stderr}")
            self.assertEqual(self.states(), before, line)
            if not line.startswith("convert"):
                self.assertIn("completed", self.stderr)

    def test_a_disk_that_is_an_input_by_another_node(self):
        """Nobody opens them: the refusal comes before."""
        line = "sample disk.npy"
        self.fresh("sample")
        try:
            for name in ("disk.npy", "out"):
                os.mknod(self.folder / name, stat.S_IFBLK | 0o600, os.makedev(7, 4095))
        except OSError as error:
            self.skipTest(f"a device node cannot be made here: {error.strerror}")
        before = self.states()
        self.check_refused(line, before, self.run_pluck(f"{line} -o out"), 2)

    def test_a_head_is_named_when_the_results_cannot_be_printed(self):
        for line in ("tree fit hidden.npy next.npy --epochs 1 -q",
                     "tree distill head.npy hidden.npy next.npy --bias bias.npy --epochs 1 -q"):
            self.fresh(line)
            self.node(7)
            self.assertEqual(self.run_pluck(f"{line} -o o.st"), 0, self.stderr)
            wanted = (self.folder / "o.st").read_bytes()
            (self.folder / "o.st").unlink()
            self.assertEqual(self.run_pluck(f"{line} -o o.st", "> out"), 4)
            self.assertIn("standard output: No space left on device\n", self.stderr)
            self.assertIn("completed: o.st\n", self.stderr)
            self.assertEqual((self.folder / "o.st").read_bytes(), wanted)


if __name__ == "__main__":
    os.umask(0o022)
    main()
