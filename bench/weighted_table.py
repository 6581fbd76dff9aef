#!/usr/bin/env python3
"""Writes the table of docs/weighted.md from the results of bench/run-weighted.

    bench/weighted_table.py RESULTS_FOLDER docs/weighted.md
"""
import pathlib
import re
import sys

from performance_tables import load, measured, table, unique

BEGIN, END = "<!-- table: weighted -->\n", "<!-- end of table -->"


def weighted_table(folder):
    records = measured(load(folder, "weighted")) + measured(load(folder, "weighted_numpy"))
    sizes = unique(records, "n") if records else []
    found = {(r["weights"], r["subject"], r["n"]): r for r in records}
    rows = []
    for weights, subject in dict.fromkeys((r["weights"], r["subject"]) for r in records):
        row = [weights, subject]
        for size in sizes:
            record = found.get((weights, subject, size))
            row.append(f"{record['ns']['median']:.1f} (× {record['ratio']['median']:.1f})"
                       if record else "–")
        largest = found.get((weights, subject, sizes[-1]), {})
        row.append(f"{largest['build_ms']:.3g}" if "build_ms" in largest else "–")
        rows.append(row)
    return table(["weights", "", *(f"K = {size:,}" for size in sizes), "build of the last, ms"],
                 rows)


def main():
    if len(sys.argv) != 3:
        print(__doc__)
        return 2
    folder, page = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    machine = load(folder, "weighted")[:1]
    where = f"\nOn {machine[0]['cpu']}, {machine[0]['compiler']}.\n" if machine else ""
    text = page.read_text(encoding="utf-8")
    pattern = re.compile(re.escape(BEGIN) + r".*?" + re.escape(END), re.DOTALL)
    text, n = pattern.subn(lambda _: f"{BEGIN}{weighted_table(folder)}\n{where}{END}", text)
    if n != 1:
        print(f"{page}: {n} places for the table, expected one", file=sys.stderr)
        return 1
    page.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
