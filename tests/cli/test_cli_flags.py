#!/usr/bin/env python3
"""Why: a number or a flag that is typed as people type it is either understood or refused with what
to type instead; never read as another one."""
import json
import unittest

from command_case import CommandCase, main

# What is typed for a flag that takes a number, and for one that takes a whole number: what it is
# read as, or None.
NUMBERS = [("1e3", 1000, 1000), ("1E3", 1000, 1000), ("1e+3", 1000, 1000), ("+.5", 0.5, None),
           ("07", 7, 7), ("2.", 2, 2), ("2.0", 2, 2), ("0.5", 0.5, None), ("0x10", None, None),
           ("0X1p3", None, None), ("1e", None, None), ("e3", None, None), (".", None, None),
           ("", None, None), (" 1", None, None), ("1 ", None, None), ("inf", None, None),
           ("0.99999999999999999999", 1, None), ("5000e-3", 5, 5), ("2.50e1", 25, 25),
           ("nan", None, None), ("1e999", None, None), ("0,8", None, None), ("1_000", None, None),
           ("1.2.3", None, None), ("1e3e3", None, None), ("--1", None, None)]


class Flags(CommandCase):
    def refuse(self, line, said=""):
        self.assertEqual(self.run_line(line, code=2), b"")
        self.assertIn(said, self.stderr)

    def test_numbers(self):
        for typed, number, whole in NUMBERS:
            line = f"pluck sample small.npy --rows 0 -f json --draws='{typed}'"
            if whole is None:
                self.refuse(line, "--draws")
            else:
                self.assertEqual(self.run_line(line).count(b"\n"), whole)
            line = f"pluck compare small.npy small.npy --max-kl='{typed}'"
            if number is None:
                self.refuse(line, "--max-kl")
            else:
                self.run_line(line)
            line = f"pluck tree predict model.ftz lines.txt --sample --temperature='{typed}'"
            if number is None:
                self.refuse(line, "--temperature")
            else:
                self.run_line(line)
            line = f"pluck softmax -- '{typed}' 0"
            if number is None and typed not in (" 1", "1 ", "0,8", "", "--1"):
                self.assertEqual(self.run_line(line, code=3), b"")

    def test_what_is_nearly_whole_is_not(self):
        for flag in ("--rows", "--threads", "--draws", "--prompt-tokens"):
            for typed in ("1e-400", "1e-5", "1.00000000000000000001", "1.5e0"):
                self.refuse(f"pluck sample small.npy {flag} {typed}", flag)

    def test_a_long_number_is_not_cut(self):
        expected = self.run_line("pluck sample small.npy --prompt-tokens 3,1 --repeat-penalty 9")
        for zeros in (15, 20, 50):
            ids = "0" * zeros + "3,1." + "0" * zeros
            line = f"pluck sample small.npy --prompt-tokens {ids} --repeat-penalty 9"
            self.assertEqual(self.run_line(line), expected)
        for ids in ("0" * 70 + "3", "1." + "0" * 70 + "1", "1" + "0" * 70):
            self.refuse(f"pluck sample small.npy --prompt-tokens {ids}", "is not a token id")
            self.refuse(f"pluck inspect small.npy --explain --token {ids}", "is not a token id")

    def test_a_decimal_comma_gets_a_hint(self):
        for line in ("sample small.npy --temperature 0,8", "sample small.npy --draws 0,8",
                     "compare small.npy small.npy --max-kl 0,8",
                     "tree predict model.ftz lines.txt --threshold 0,8",
                     "tune small.npy --keep 0,8"):
            self.refuse("pluck " + line, "'0,8' is not a")
            self.assertIn("; the decimal point is '.'", self.stderr)
        self.refuse("pluck sample small.npy --temperature 0,8,9")
        self.assertNotIn("decimal point", self.stderr)

    def config(self, flags):
        out = self.run_line(f"pluck sample small.npy --rows 0 --trace -f json {flags}")
        return json.loads(out.splitlines()[0])["trace"]["config"]

    def test_boolean_keys(self):
        for flag, key in (("--p-less", "p_less"),
                          ("--repeat-penalty 1.5 --repeat-ignore-prompt",
                           "repeat_ignore_prompt")):
            given = json.dumps(self.config(f"{flag} true"))
            self.assertEqual(json.dumps(self.config(flag)), given)
            self.assertEqual(json.dumps(self.config(f"{flag}=true")), given)
            self.assertEqual(json.dumps(self.config(f"{flag} --quiet")), given)
            without = json.dumps(self.config(f"{flag} false"))
            self.assertEqual(json.dumps(self.config(f"{flag}=false")), without)
            self.assertNotEqual(given, without, key)
            self.run_line(f"pluck sample small.npy {flag}=7", code=3)
            self.run_line(f"pluck sample small.npy {flag}=yes", code=3)
        # sample has a flag of its own for masks.
        self.assertEqual(self.run_line("pluck inspect small.npy --mask false"),
                         self.run_line("pluck inspect small.npy"))
        self.run_line("pluck sample small.npy --mask false", code=4)
        # The next word is a value only if it can be one.
        first = self.run_line("pluck sample --p-less small.npy --rows 0 -f json")
        self.assertEqual(first, self.run_line("pluck sample small.npy --p-less --row 0 -f json"))

    def test_other_names(self):
        for one, other in [
                ("sample small.npy --row 2", "sample small.npy --rows 2"),
                ("inspect small.npy --rows 2", "inspect small.npy --row 2"),
                ("sample small.npy --temp 0.5", "sample small.npy --temperature 0.5"),
                ("softmax 1 2 --temp 0.5", "softmax 1 2 --temperature 0.5"),
                ("compare small.npy small.npy --row=1", "compare small.npy small.npy --rows=1"),
                ("sample small.npy --row 1:3", "sample small.npy --rows 1:3")]:
            self.assertEqual(self.run_line("pluck " + one), self.run_line("pluck " + other))
        self.refuse("pluck inspect small.npy --rows 1:3", "'1:3' is not the number of a row")
        self.refuse("pluck config init --temp 1", "unknown option '--temp'")
        self.refuse("pluck softmax 1 --row 1", "unknown option '--row'")


if __name__ == "__main__":
    main()
