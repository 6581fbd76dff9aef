#!/usr/bin/env python3
"""Why: a checkpoint may hold days of work, and what has its name may be something else altogether.

    test_cli_checkpoints.py --pluck PLUCK [TEST...]

The variable SYSTEM_FAULTS names the library that lets system calls fail; without it some tests
are skipped.
"""
import os
import pathlib
import signal

from command_case import main
from output_case import OLD, OutputCase, take_signals


class Checkpoints(OutputCase):
    LINE = "hidden.npy next.npy --epochs 2 -q"

    def fit(self, rest, **more):
        return self.run_pluck(f"tree fit {self.LINE} {rest}", **more)

    def interrupted(self, rest, name):
        """A checkpoint of the first epoch, made by a run that was ended after it."""
        self.fresh(self.LINE)
        env = self.preload("rename", 1, -int(signal.SIGQUIT))
        self.assertEqual(self.fit(rest, env=env, preexec_fn=take_signals),
                         -signal.SIGQUIT)
        self.assertIn(name, self.names())

    def test_an_old_checkpoint_is_refused(self):
        for rest, name in (("-o o.st", "o.st.checkpoint"), ("-o o.st --checkpoint c", "c"),
                           ("-o o.st --checkpoint ./c", "c")):
            self.fresh(self.LINE)
            (self.folder / name).write_bytes(OLD)
            before = self.states()
            self.check_refused(rest, before, self.fit(rest), 2)
            for word in ("--resume", "--overwrite"):
                self.assertIn(word, self.stderr)

    def test_it_is_resumed_or_overwritten(self):
        self.fresh(self.LINE)
        self.assertEqual(self.fit("-o whole.st"), 0)
        whole = (self.folder / "whole.st").read_bytes()
        for more in ("--resume", "--overwrite"):
            self.interrupted("-o o.st --checkpoint c", "c")
            self.assertEqual(self.fit(f"-o o.st --checkpoint c {more}"), 0, self.stderr)
            self.assertEqual((self.folder / "o.st").read_bytes(), whole)
            self.assertEqual(set(self.names()), {"hidden.npy", "next.npy", "o.st"})
        self.assertEqual(self.fit("-o o.st --checkpoint c --resume --overwrite"), 2)

    def test_a_link_to_it_is_followed(self):
        self.interrupted("-o o.st --checkpoint c", "c")
        (self.folder / "c").rename(self.folder / "real")
        (self.folder / "c").symlink_to("real")
        self.assertEqual(self.fit("-o o.st --checkpoint c --resume"), 0, self.stderr)
        self.assertEqual(set(self.names()), {"hidden.npy", "next.npy", "o.st", "c"})

    def test_one_that_this_run_has_not_made_stays(self):
        """Without --checkpoint nothing is written unless the run is interrupted."""
        self.fresh(self.LINE)
        (self.folder / "o.st.checkpoint").write_bytes(OLD)
        self.assertEqual(self.fit("-o o.st --overwrite"), 0, self.stderr)
        self.assertEqual((self.folder / "o.st.checkpoint").read_bytes(), OLD)

    def test_what_is_no_checkpoint_is_not_resumed_and_stays(self):
        self.fresh(self.LINE)
        (self.folder / "c").write_bytes(OLD)
        before = self.states()
        self.check_refused("resume", before, self.fit("-o o.st --checkpoint c --resume"), 3)

    def test_an_input_with_the_name_of_the_checkpoint_stays(self):
        for name in ("hidden.npy", "next.npy"):
            for more in ("", "--overwrite", "--resume"):
                self.fresh(self.LINE)
                (self.folder / name).rename(self.folder / "o.st.checkpoint")
                line = self.LINE.replace(name, "o.st.checkpoint")
                before = self.states()
                code = self.run_pluck(f"tree fit {line} -o o.st {more}")
                self.check_refused(f"{line} {more}", before, code, 2)
                self.assertIn("input", self.stderr)

    def test_a_head_in_place_has_no_checkpoint_of_its_own(self):
        self.fresh(self.LINE)
        self.assertEqual(self.fit("-o -"), 0)
        self.assertEqual(self.fit("-o /dev/null"), 0)
        self.assertEqual(set(self.names()), {"hidden.npy", "next.npy"})
        for more in ("--resume", "--overwrite"):
            self.assertEqual(self.fit(f"-o - {more}"), 2)
        self.assertEqual(self.fit("-o - --checkpoint -"), 2)
        self.assertFalse(pathlib.Path("/dev/null.checkpoint").exists())


if __name__ == "__main__":
    os.umask(0o022)
    main()
