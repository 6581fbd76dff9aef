#!/usr/bin/env python3
"""docs/platforms.md says what legs of scripts/matrix gave, and what each leg is.

Why: the table is written by a run that takes minutes, so that somebody may add a leg and forget the
page. A leg that differs must not be written down as if that were a result.

    test_platforms.py --source FOLDER
"""
import argparse
import re
import sys
import unittest

COLUMNS = ["leg", "instruction sets", "golden", "kernels", "dumps", "states"]


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


class Platforms(unittest.TestCase):
    source = "."

    def setUp(self):
        self.page = read(f"{self.source}/docs/platforms.md")
        script = read(f"{self.source}/scripts/matrix")
        self.legs = re.search(r'^all_parts="([^"]*)"', script, re.M).group(1).replace("\\\n", "")
        self.legs = self.legs.split()
        table = re.search(r"^\| leg \| instruction.*\n\|---.*\n((?:\|.*\n)*)", self.page, re.M)
        head, _, *rows = table.group(0).splitlines()
        self.head = [cell.strip() for cell in head.strip("|").split("|")]
        self.rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]

    def test_rows_are_legs_in_order(self):
        self.assertEqual(self.head, COLUMNS)
        names = [row[0] for row in self.rows]
        self.assertEqual(names, [leg for leg in self.legs if leg in names])
        self.assertGreater(len(names), 0)

    def test_nothing_differs(self):
        for leg, sets, *results in self.rows:
            self.assertEqual(len(results), 4, leg)
            for result in results:
                self.assertRegex(result, r"^([1-9]\d* \(0\)|-)$", leg)
            if sets.startswith("none:"):
                continue
            n_sets = len(sets.split(","))
            self.assertGreaterEqual(int(results[0].split()[0]), 100000 * n_sets, leg)

    def test_each_leg_is_explained(self):
        explained = re.findall(r"`([^`]+)`", self.page.split("| leg | what it is |")[1])
        self.assertEqual(explained, self.legs)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--source", required=True)
    arguments = parser.parse_args()
    Platforms.source = arguments.source
    unittest.main(argv=sys.argv[:1])
