#!/usr/bin/env python3
"""Why: people see the command on a terminal: progress, colour and text that cannot take the
terminal over; programs must see none of it.

    test_cli_terminal.py --pluck PLUCK [TEST...]
"""
import os
import pty
import subprocess
import time

from command_case import CommandCase, main

SLOW = ["pluck", "sample", "logits.npy", "--rows", "0", "--draws", "1000000000", "--format", "json"]


class Terminal(CommandCase):
    def on_terminal(self, args, stream, seconds=None, env=None):
        """What the command writes to a terminal that is its stdout or stderr."""
        main_end, its_end = pty.openpty()
        streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, stream: its_end}
        seen = b""
        with subprocess.Popen(args, cwd=self.folder, env={**self.env, **(env or {})},
                              stdin=subprocess.DEVNULL, **streams) as process:
            os.close(its_end)
            if seconds is not None:
                time.sleep(seconds)
                process.terminate()
            while True:
                try:
                    data = os.read(main_end, 65536)
                except OSError:
                    break
                if not data:
                    break
                seen += data
        os.close(main_end)
        return seen.decode("utf-8")

    def test_progress_is_shown_after_a_second(self):
        seen = self.on_terminal(SLOW, "stderr", seconds=2.5)
        for part in ("\r[", "%", "/s", "left"):
            self.assertIn(part, seen)

    def test_no_progress_before_a_second(self):
        self.assertEqual(self.on_terminal(SLOW, "stderr", seconds=0.5), "")

    def test_no_progress_when_quiet(self):
        self.assertEqual(self.on_terminal([*SLOW, "--quiet"], "stderr", seconds=2), "")

    def test_no_progress_off_a_terminal(self):
        self.run_line("timeout 2 " + " ".join(SLOW) + " > /dev/null", code=124)
        self.assertEqual(self.stderr, "")

    def test_progress_is_taken_away_at_the_end(self):
        seen = self.on_terminal(["bash", "-c", "(cat small.raw; sleep 2; cat small.raw) | "
                                 "pluck sample - --vocab-size 8"], "stderr")
        self.assertIn("draws", seen)
        self.assertTrue(seen.endswith("\r\x1b[K"), repr(seen))

    def test_colour_only_on_a_terminal_and_without_no_color(self):
        line = ["pluck", "inspect", "small.npy"]
        self.assertIn("\x1b[", self.on_terminal(line, "stdout"))
        self.assertIn("\x1b[", self.on_terminal(line, "stdout", env={"NO_COLOR": ""}))
        self.assertNotIn("\x1b[", self.on_terminal(line, "stdout", env={"NO_COLOR": "1"}))
        self.assertNotIn("\x1b[", self.on_terminal([*line, "--color", "never"], "stdout"))
        self.assertNotIn(b"\x1b[", self.run_line("pluck inspect small.npy"))

    def test_bars_fill_the_terminal_and_no_more(self):
        for columns in (60, 80, 100, 140):
            seen = self.on_terminal(["pluck", "inspect", "small.npy", "--vocab", "vocab8.json"],
                                    "stdout", env={"COLUMNS": str(columns), "NO_COLOR": "1"})
            longest = max(len(line.rstrip()) for line in seen.split("\n"))
            self.assertLessEqual(longest, max(columns, 72))
            if columns >= 80:
                self.assertEqual(longest, min(columns, 62 + 60))

    def test_text_of_every_command_fits_the_screen(self):
        """Lines are wrapped or cut, and a wrapped table has the same numbers in the same order."""
        vocab = "--vocab vocab.json"
        self.run_line("pluck sample small.npy -f json --trace > lines.jsonl; "
                      "pluck tree fit hidden.npy next.npy -q -o t.safetensors --epochs 1")
        lines = [f"sample logits.npy --rows :20 {vocab}", f"inspect logits.npy {vocab}",
                 f"inspect logits.npy --top-p 0.9 --explain --token 1,2 {vocab}",
                 "replay lines.jsonl logits.npy", "tune logits.npy --targets targets.npy",
                 f"compare logits.npy a.npy {vocab} --targets targets.npy", "stages",
                 "stages top_p", "config show --preset llama-cpp", "config check config.json",
                 "config init --list", "tree stats t.safetensors", "tree",
                 "tree eval t.safetensors hidden.npy next.npy",
                 "tree fit hidden.npy next.npy -o u.safetensors --epochs 1 --validation "
                 "hidden.npy --validation-targets next.npy"]
        for line in lines:
            line = line.replace("tree", "help tree") if line == "tree" else line
            plain = self.run_line(f"pluck {line} 2> /dev/null", code=(0, 1)).decode()
            for width in (40, 80, 200):
                text = self.run_line(f"COLUMNS={width} LC_ALL=C.UTF-8 pluck {line} 2> /dev/null",
                                     code=(0, 1)).decode()
                for printed in text.split("\n"):
                    self.assertLessEqual(len(printed), width, (line, printed))
                if width == 200 and "tree eval" not in line:
                    self.assertEqual([w for w in text.split() if w[0].isalnum()],
                                     [w for w in plain.split() if w[0].isalnum()], line)

    def test_running_text_cannot_command_the_terminal(self):
        line = ["pluck", "sample", "small.npy", "--sequence", "--vocab", "vocab8.json",
                "--logit-bias", '{"5": 100}']
        self.assertEqual(self.on_terminal(line, "stdout"), "\\u{1B}[31m" * 5 + "\r\n")
        raw = self.run_line(" ".join(line[:-1]) + " '{\"5\": 100}'")
        self.assertEqual(raw, b"\x1b[31m" * 5 + b"\n")

    def test_characters_cut_between_tokens_come_whole(self):
        (self.folder / "cut.txt").write_bytes(
            b"\\xC3\n\\xA9\n" + b"x\n" * 5 + b"\\xFF\n")
        line = ["pluck", "sample", "small.npy", "--sequence", "--vocab", "cut.txt", "--order",
                "penalties,logit_bias", "--draw", "greedy", "--logit-bias",
                '{"0": 90, "1": 70, "7": 40}', "--presence-penalty", "50", "--rows", ":3"]
        self.assertEqual(self.on_terminal(line, "stdout"), "\u00e9\ufffd\r\n")


if __name__ == "__main__":
    main()
