#!/usr/bin/env python3
"""Why: a result that cannot be written, or is interrupted, must leave what was there before, and
nothing else; the message must say which of several files are complete.

    test_cli_trouble.py --pluck PLUCK [TEST...]

The variable SYSTEM_FAULTS names the library that lets system calls fail; without it those tests
are skipped.
"""
import os
import re
import resource
import signal
import subprocess

from command_case import main
from output_case import ENDING_SIGNALS, KEPT_MODE, OLD, OutputCase, rows, take_signals

NOBODY = 65534


class Trouble(OutputCase):
    """A folder that cannot be written to, a disk that is full, signals, system calls that fail."""

    def with_old_file(self, line, flag):
        self.fresh(line)
        if flag != "--checkpoint":
            (self.folder / "out").write_bytes(OLD)
            (self.folder / "out").chmod(KEPT_MODE)
        return self.states()

    @staticmethod
    def of_directory(command, needed):
        """Which fsync is the first of a directory: convert and sample complete both files before
        it."""
        return 3 if command in ("convert", "sample") and "-o" in needed else 2

    def skip_unless_somebody_can_run_pluck(self):
        if subprocess.run(["sh", "-c", "exec pluck --version"], env=self.env, capture_output=True,
                          **self.somebody()).returncode != 0:
            self.skipTest("the user nobody cannot run this build")

    def test_read_only_folder(self):
        self.skip_unless_somebody_can_run_pluck()
        for command, line, flag, needed in rows():
            self.fresh(line)
            (self.folder / "closed").mkdir()
            (self.folder / "closed" / "old").write_bytes(OLD)
            (self.folder / "closed").chmod(0o555)
            self.folder.chmod(0o777)
            before = self.states()
            for name in ("out", "old"):
                full = f"{command} {line} {needed} {flag} closed/{name}"
                code = self.run_pluck(full, **self.somebody())
                self.check_refused(full, before, code, 4)
                self.assertEqual(os.listdir(self.folder / "closed"), ["old"])

    def test_a_protected_file_is_not_replaced(self):
        self.skip_unless_somebody_can_run_pluck()
        for command, line, flag, needed in rows():
            self.fresh(line)
            (self.folder / "out").write_bytes(OLD)
            (self.folder / "out").chmod(0o444)
            if os.geteuid() == 0:
                os.chown(self.folder / "out", NOBODY, NOBODY)
            self.folder.chmod(0o777)
            before = self.states()
            full = f"{command} {line} {needed} {flag} out"
            self.check_refused(full, before, self.run_pluck(full, **self.somebody()), 4)

    def test_a_pipe_without_a_reader_can_be_given_up(self):
        for line in ("sample small.npy -o out", "convert small.npy --to npy -o out",
                     "convert small.npy --targets t8.txt --to npy -o x --targets-out out",
                     "tree fit hidden.npy next.npy --epochs 1 -q -o out",
                     "inspect small.npy -o x --csv out"):
            self.fresh(line)
            os.mkfifo(self.folder / "out")
            before = self.states()
            with subprocess.Popen(["sh", "-c", f"exec pluck {line}"], cwd=self.folder,
                                  env=self.env, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                  stdout=subprocess.DEVNULL, preexec_fn=take_signals) as process:
                with self.assertRaises(subprocess.TimeoutExpired):
                    process.wait(timeout=0.4)
                # The first one may have been taken for a checkpoint.
                for _ in range(2):
                    process.send_signal(signal.SIGTERM)
                    try:
                        process.wait(timeout=0.4)
                    except subprocess.TimeoutExpired:
                        pass
                self.assertEqual(process.wait(timeout=60), -signal.SIGTERM, line)
            self.assertEqual(self.states(), before, line)

    @staticmethod
    def somebody():
        return {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}

    def test_full_disk(self):
        """Files end after 8 bytes: with an error, and with the signal that comes by default."""
        def limit(action):
            signal.signal(signal.SIGXFSZ, action)
            resource.setrlimit(resource.RLIMIT_FSIZE, (8, 8))
        for action, expected in ((signal.SIG_IGN, 4), (signal.SIG_DFL, -signal.SIGXFSZ)):
            for command, line, flag, needed in rows():
                before = self.with_old_file(line, flag)
                full = f"{command} {line} {needed} {flag} out"
                code = self.run_pluck(full, preexec_fn=lambda: limit(action))
                self.assertEqual(code, expected, f"{full}: {self.stderr}")
                self.assertEqual(self.states(), before, full)

    def test_full_file_system(self):
        inside = ("mount -t tmpfs -o size=8k none full && "
                  "(head -c 100000 /dev/zero > full/filler; true) 2> /dev/null && ")
        line = "sample small.npy"
        self.fresh(line)
        (self.folder / "full").mkdir()
        if subprocess.run(["unshare", "-m", "sh", "-c", inside + "ls full/filler"],
                          cwd=self.folder, capture_output=True).returncode != 0:
            self.skipTest("a small file system cannot be mounted here")
        for command, line, flag, needed in rows():
            self.fresh(line)
            (self.folder / "full").mkdir()
            script = (f"{inside} pluck {command} {line} {needed} {flag} full/out > /dev/null; "
                      "code=$?; ls -A full; exit $code")
            done = subprocess.run(["unshare", "-m", "sh", "-c", script], cwd=self.folder,
                                  env=self.env, capture_output=True, timeout=60)
            self.assertEqual(done.returncode, 4, f"{script}\n{done.stderr}")
            self.assertEqual(done.stdout.split(), [b"filler"], script)

    def test_signals_while_a_file_is_unfinished(self):
        """Each comes just before the file is written to the disk. A head is written by the library
        while signals wait: then it is whole."""
        for command, line, flag, needed in rows():
            wanted = self.expected_result(command, line, flag, needed)
            many = (command, flag) in (("sample", "-o"), ("tree fit", "--checkpoint"))
            for number in ENDING_SIGNALS if many else [signal.SIGQUIT]:
                before = self.with_old_file(line, flag)
                full = f"{command} {line} {needed} {flag} out"
                code = self.run_pluck(full, env=self.preload("fsync", 1, -number),
                                      preexec_fn=take_signals)
                self.assertEqual(code, -number, f"{full}: {self.stderr}")
                after = self.states()
                if flag == "--checkpoint":
                    # The checkpoint of the first epoch.
                    self.assertEqual(set(after) - set(before), {"out"}, full)
                    del after["out"]
                elif command.startswith("tree") and after["out"] != before["out"]:
                    self.assertEqual(after["out"][1:], (KEPT_MODE, 0, wanted), full)
                    after["out"] = before["out"]
                self.assertEqual(after, before, full)

    def test_system_calls_that_fail(self):
        for command, line, flag, needed in rows():
            for function, nth, error, expected in (
                    ("create", 1, 28, 4), ("write", 1, 5, 4), ("write", 1, 4, 0),
                    ("write", 1, -1000, 0), ("fsync", 1, 5, 4),
                    ("fsync", self.of_directory(command, needed), 22, 0),
                    ("close", 1, 5, 4), ("rename", 1, 5, 4)):
                before = self.with_old_file(line, flag)
                full = f"{command} {line} {needed} {flag} out"
                code = self.run_pluck(full, env=self.preload(function, nth, error))
                what = f"{full}, {function} {error}: {self.stderr}"
                self.assertEqual(code, expected, what)
                if expected == 0:
                    self.assertEqual(set(self.names()) - {"x.out", "out"},
                                     set(before) - {"out"}, what)
                else:
                    self.assertEqual(self.states(), before, what)

    def test_a_directory_that_cannot_be_written_to_the_disk_is_told(self):
        for command, line, flag, needed in rows():
            self.fresh(line)
            code = self.run_pluck(f"{command} {line} {needed} {flag} out",
                                  env=self.preload("fsync", self.of_directory(command, needed),
                                                   5))
            self.assertEqual(code, 4, self.stderr)
            self.assertIn("out: is complete, but its directory cannot be written", self.stderr)
            self.assertFalse([n for n in self.names() if n.startswith(".")])

    def test_of_several_outputs_the_completed_ones_are_named(self):
        for line, names in (
                ("inspect logits.npy -o a --svg b --csv c", "abc"),
                ("tune logits.npy --targets targets.npy --bootstrap 0 -q --no-curves "
                 "-o a --svg b --csv c", "abc"),
                ("convert small.npy --targets t8.txt --to npy -o b --targets-out a", "ab"),
                ("sample small.npy -q -o a --kept b", "ab")):
            for nth in range(1, len(names) + 1):
                self.fresh(line)
                for name in names:
                    (self.folder / name).write_bytes(OLD)
                code = self.run_pluck(line, env=self.preload("rename", nth, 5))
                self.assertEqual(code, 4, f"{line}: {self.stderr}")
                for i, name in enumerate(names):
                    is_old = (self.folder / name).read_bytes() == OLD
                    self.assertEqual(is_old, i >= nth - 1, f"{line}, rename {nth}, {name}")
                done = re.search(r"; completed: (.*)\n", self.stderr)
                listed = done.group(1).split(", ") if done else []
                self.assertEqual([n for n in listed if n != "standard output"],
                                 list(names[:nth - 1]), f"{line}, rename {nth}: {self.stderr}")


if __name__ == "__main__":
    os.umask(0o022)
    main()
