#!/usr/bin/env python3
"""Why: docs/tuning.md quotes what commands print, and a reader compares. Runs every command of its
console blocks, in order, and compares what follows it in the page.

    test_cli_tuning_page.py --pluck PLUCK [--refresh]

--refresh writes what the commands print now, and the picture, into docs/; look at the difference.
"""
import pathlib
import re
import shutil
import sys

from command_case import CommandCase, main

PAGE = pathlib.Path(__file__).resolve().parent.parent.parent / "docs" / "tuning.md"
BLOCK = re.compile(r"(```console\n)(.*?)(```)", re.S)
REFRESH = "--refresh" in sys.argv


class PageIsTrue(CommandCase):
    def rerun(self, match):
        lines = [line for line in match.group(2).splitlines() if line.startswith("$ ")]
        done = [f"{line}\n{self.run_line(line[2:]).decode()}" for line in lines]
        return match.group(1) + "".join(done) + match.group(3)

    def test_quoted_outputs_are_what_the_commands_print(self):
        quoted = PAGE.read_text(encoding="utf-8")
        printed = BLOCK.sub(self.rerun, quoted)
        self.assertGreater(len(BLOCK.findall(quoted)), 5)
        picture = PAGE.parent / "img" / "tuned.svg"
        if REFRESH:
            PAGE.write_text(printed, encoding="utf-8")
            shutil.copy(self.folder / "tuned.svg", picture)
        self.maxDiff = None
        self.assertEqual(printed, quoted if not REFRESH else printed)
        self.assertEqual((self.folder / "tuned.svg").read_text(), picture.read_text())


if __name__ == "__main__":
    if REFRESH:
        sys.argv.remove("--refresh")
    main()
