#!/usr/bin/env python3
"""Why: a run with --partials that is started again, after whatever happened to the first one, must
print what a run without it prints, and do only the shards that are missing.

    test_cli_resume.py --pluck PLUCK [TEST...]
"""
import random
import signal
import subprocess
import time

from command_case import CommandCase, main

LINES = [
    "sample logits.npy --seed 3 --temperature .8 --top-k 40 --draws 3 --vocab vocab.json",
    "sample logits.npy a.npy --seed 4 --format csv -o out.csv --rows 3:50",
    "sample nan.npy --seed 3 --skip-bad --format json --kept out.npz -o out.txt",
    "compare a.npy logits.npy --targets targets.npy --config-b config.json --worst 9",
    "convert logits.npy -o out.npy --to-dtype f16 --rows 5:44",
    "convert logits.npy -o out.jsonl --targets targets.npy --rows 5:44",
    "tune logits.npy --targets targets.npy --svg out.svg",
    "report logits.npy --targets targets.npy --vocab vocab.json -o out.html",
]


class Resume(CommandCase):
    def run_pluck(self, line, code):
        before = set(self.names())
        out = self.run_line("pluck " + line, code)
        new = [n for n in self.names() if n.startswith("out")]
        self.assertLessEqual(set(new), set(self.names()) - before)
        files = {n: (self.folder / n).read_bytes() for n in new}
        for name in new:
            (self.folder / name).unlink()
        return self.code, out, self.stderr, files

    def partials(self):
        """The files of the folder, with their inode numbers, which are others if made anew."""
        return {p.name: p.stat().st_ino for p in (self.folder / "parts").iterdir()}

    def test_a_run_prints_the_same_whatever_partials_are_there(self):
        rand = random.Random(7)
        for line in LINES:
            with self.subTest(line):
                expected = self.run_pluck(line, (0, 3))
                resumed = f"{line} --partials parts --shards {rand.randint(1, 9)}"
                self.assertEqual(self.run_pluck(resumed, (0, 3)), expected)
                all_partials = self.partials()
                self.assertGreater(len(all_partials), 0)
                removed = rand.sample(sorted(all_partials), (len(all_partials) + 1) // 2)
                for name in removed:
                    (self.folder / "parts" / name).unlink()
                self.assertEqual(self.run_pluck(resumed, (0, 3)), expected)
                after = self.partials()
                self.assertEqual(after.keys(), all_partials.keys())
                for name in after.keys() - set(removed):
                    self.assertEqual(after[name], all_partials[name], f"{name} was made again")
                self.run_line("rm -r parts")

    def test_a_row_that_fails_keeps_what_was_done(self):
        line = "sample nan.npy --seed 3 -q"
        expected = self.run_line(f"pluck {line} -o all.txt", 3)
        said = self.stderr
        self.assertEqual(self.run_line(f"pluck {line} --partials parts --shards 5", 3)[:8],
                         b"     row")
        self.assertEqual(self.stderr, said)
        self.assertEqual(sorted(self.partials()), [f"pass-0.shard-{i}-of-5" for i in range(3)])
        self.assertEqual(expected, b"")

    def test_a_killed_run_is_completed(self):
        line = "sample logits.npy --seed 3 --draws 20000 -q -o out.txt"
        expected = self.run_pluck(line, 0)
        resumed = f"{line} --partials parts --shards 16"
        job = subprocess.Popen(["pluck", *resumed.split()], cwd=self.folder, env=self.env)
        end = time.monotonic() + 60
        while len(list(self.folder.glob("parts/pass-*"))) < 3 and time.monotonic() < end:
            time.sleep(.01)
        job.send_signal(signal.SIGKILL)
        job.wait()
        self.assertNotIn("out.txt", self.names())
        done = self.partials()
        self.assertEqual(self.run_pluck(resumed, 0), expected)
        for name, number in done.items():
            if not name.startswith("."):
                self.assertEqual(self.partials()[name], number)

    def test_what_does_not_belong_to_the_run_is_refused(self):
        line = "pluck sample logits.npy --seed 3 --partials parts --shards 4"
        self.run_line(line)
        for changed, said in ((line.replace("--seed 3", "--seed 4"), "another configuration"),
                              (line + " --draws 2", "--draws"),
                              (line.replace("logits.npy", "small.npy"), "DUMP 1")):
            self.run_line(changed, 3)
            self.assertIn(said, self.stderr)
        path = self.folder / "parts" / "pass-0.shard-2-of-4"
        good = path.read_bytes()
        for bad in (b"", good[:-9], good[:200] + bytes([good[200] ^ 1]) + good[201:],
                    (self.folder / "parts" / "pass-0.shard-2-of-4").read_bytes() + b"x"):
            path.write_bytes(bad)
            self.assertEqual(self.run_line(line, 3).count(b"\n"), 1)
            self.assertIn("pass-0.shard-2-of-4", self.stderr)

    def test_arguments_that_contradict_are_refused(self):
        for flags, said in (("--shards 3", "--shards needs --partials"),
                            ("--partials d --shard 0/2 --partial p", "cannot be combined"),
                            ("--partials d --seed random", "seed random cannot be combined with"),
                            ("--partials d --sequence", "--sequence cannot be combined with")):
            self.run_line(f"pluck sample logits.npy {flags}", 2)
            self.assertIn(said, self.stderr)
        self.run_line("pluck sample logits.npy --partials small.npy/d", 4)
        self.assertIn("small.npy/d: cannot be created: Not a directory", self.stderr)
        self.run_line("pluck sample - --partials d", 2)
        self.assertIn("standard input: is a stream", self.stderr)


main()
