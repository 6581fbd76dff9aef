#!/usr/bin/env python3
"""Why: a job that is divided into shards must give what one process gives, byte for byte, or say
what is wrong with its parts: never a file that looks whole and is not."""
import os
import pathlib
import random
import re
import struct
import unittest
import zlib

from command_case import CommandCase, main

# Command lines, and the files that they write.
SAMPLES = [
    ("sample logits.npy --temperature 0.8", ()),
    ("sample logits.npy -f json --top-k 40 --draws 3 --vocab vocab.json", ()),
    ("sample logits.npy -f csv --rows 3:50 --top-logprobs 2 -o out.csv", ("out.csv",)),
    ("sample logits.npy -f openai --rows -20: --vocab vocab.json --top-logprobs 3", ()),
    ("sample logits.npy -f json --trace --rows :9 --top-p 0.9 -o out.jsonl", ("out.jsonl",)),
    ("sample logits.npy --distinct 3 --top-k 20 --draws 1", ()),
    ("sample logits.npy --top-k 9 --kept out.npz", ("out.npz",)),
    ("sample small.npy --mask kept8.npz --temperature 2 --draws 40 -f csv --vocab vocab8.json", ()),
    ("sample logits.npy --draws 1500 --rows 5:8 -f csv", ()),
    ("sample a.npy small.npy one.npy --draws 2", ()),
    ("sample small.npy a.npy one.npy small.npy --rows 1: -f json", ()),
    ("sample small.npy one.npy b.npy --rows 7:", ()),
    ("sample small.npy --rows 5:9", ()),
    ("sample small.npy --config config8.json --prompt-tokens 1,2 --vocab vocab8.txt", ()),
    ("sample small.raw --vocab-size 8 --row -1", ()),
    ("sample nan.npy --skip-bad -f openai", ()),
    ("sample nan.npy banned.npy --vocab-size 20 --skip-bad", ()),
    ("sample nan.npy --skip-bad --kept out.npz -o out.txt", ("out.npz", "out.txt")),
]
CONVERSIONS = [
    ("convert logits.npy -o out.npy --to-dtype f16", ("out.npy",)),
    ("convert logits.npy -o out.safetensors --rows 7: --targets targets.npy --targets-out t.npy "
     "--to-dtype bf16", ("out.safetensors", "t.npy")),
    ("convert logits.npy -o out.jsonl --rows 2:30 --targets targets.npy", ("out.jsonl",)),
    ("convert small.raw --vocab-size 8 -o out --to jsonl --to-dtype f16", ("out",)),
    ("convert nan.npy -o - --to jsonl", ()),
    ("convert one.npy -o out.npy", ("out.npy",)),
]
COMPARISONS = [
    ("compare logits.npy --config-b config8.json -f csv --targets targets.npy -o out.csv",
     ("out.csv",)),
    ("compare small.npy small.npy --config-a config8.json -f json --worst 2", ()),
    ("compare gpt2.npy --config-a config8.json --config-b config8.json --targets gpt2_targets.npy",
     ()),
    ("compare logits.npy --config-b config8.json -f json --targets targets.npy -q", ()),
    ("compare small.npy small.npy -f csv --rows 1:4 --vocab vocab8.json", ()),
    ("compare small.npy --config-b config8.json --max-kl 0.001", ()),
]
TUNES = [
    ("tune logits.npy --targets targets.npy --truncate top_p -f json -o out.json --csv out.csv",
     ("out.json", "out.csv")),
    ("tune logits.npy --objective entropy=2 --rows 5: --no-curves", ()),
    ("tune gpt2.npy --targets gpt2_targets.npy --cross-validate --equal-mass -f json --svg out.svg",
     ("out.svg",)),
    ("report logits.npy --targets targets.npy --explore 2 -o out.html", ("out.html",)),
    ("report small.npy a.npy small.npy --rows 1: --explore 3 --vocab-size 512", ()),
]
TREES = [
    ("tree fit hidden.npy next.npy --epochs 2 -o out.st", ("out.st",)),
    ("tree fit hidden.npy next.npy --tree clusters --vectors head.npy --epochs 1 -f json --no-bias "
     "-o out.st", ("out.st",)),
    ("tree distill head.npy hidden.npy next.npy --bias bias.npy --counts counts.txt --epochs 1 "
     "-o out.st", ("out.st",)),
    ("tree fit hidden.npy next.npy --epochs 1 --rate 0 --seed 3 -o out.st", ("out.st",)),
]


class Shards(CommandCase):
    def shard(self, line, i, n, name=None, code=0, env=None):
        """Runs shard i of n, which writes nothing but its partial."""
        name = name or f"part.{i}"
        before = set(self.names())
        command, rest = re.fullmatch("((?:tree )?[a-z]+) (.*)", line).groups()
        line = f"exec pluck {command} --shard {i}/{n} --partial {name} {rest}"
        out = self.run_line(line, code, env)
        self.assertEqual(out, b"")
        self.assertEqual(set(self.names()) - before, {name} if code == 0 else set())
        return name

    def read(self, files):
        return [self.folder.joinpath(name).read_bytes() for name in files]

    def check(self, line, files, n, rand):
        plain = self.run_line("pluck " + line, code=(0, 1, 3))
        code, said = self.code, self.stderr
        written = self.read(files)
        for name in files:
            self.folder.joinpath(name).unlink()
        parts, merged = self.rounds(line, n, rand)
        self.assertEqual((merged, self.code), (plain, code), line)
        self.assertEqual(self.read(files), written, line)
        # Notes and warnings; what is said of single rows, a shard has said.
        for text in self.stderr.splitlines():
            self.assertIn(text.split(": ", 1)[1], said)
        for name in parts + list(files):
            self.folder.joinpath(name).unlink()

    def rounds(self, line, n, rand):
        """Shards and merges until there are results: the last parts, and what merge prints."""
        plan = ""
        for number in range(1, 20):
            threads = "" if line.startswith("convert") else f" --threads {rand.randint(1, 3)}"
            parts = [self.shard(line + threads + plan, i, n) for i in range(n)]
            rand.shuffle(parts)
            merged = self.run_line("exec pluck merge --plan-out next " + " ".join(parts), (0, 1, 3))
            if "next" not in self.names():
                return parts, merged
            self.assertEqual((merged, self.code), (b"", 0))
            self.assertIn("another round is needed", self.stderr)
            (self.folder / "next").rename(self.folder / "plan")
            for name in parts:
                (self.folder / name).unlink()
            plan = " --plan plan"
        raise AssertionError("no end of rounds")

    def check_all(self, lines):
        rand = random.Random(len(lines))
        for i, (line, files) in enumerate(lines):
            with self.subTest(line=line):
                self.check(line, files, 1 + i % 7, rand)

    def test_samples_are_those_of_one_process(self):
        self.check_all(SAMPLES)

    def test_conversions_are_those_of_one_process(self):
        self.check_all(CONVERSIONS)

    def test_comparisons_are_those_of_one_process(self):
        self.check_all(COMPARISONS)

    def test_tunes_and_reports_are_those_of_one_process(self):
        self.check_all(TUNES)

    def test_trees_are_those_of_one_process(self):
        self.check_all(TREES)

    def test_what_a_tree_cannot_do_in_parts(self):
        line = "tree fit hidden.npy next.npy -o out.st"
        for more, said in [
                ("--validation valid_hidden.npy --validation-targets valid_next.npy",
                 "--validation cannot be combined with --shard: it needs the whole head after "
                 "every epoch; leave it out, and measure the head with pluck tree eval"),
                ("--checkpoint c", "--checkpoint cannot be combined with --shard"),
                ("--resume", "--resume cannot be combined with --shard"),
                ("--overwrite", "--overwrite cannot be combined with --shard")]:
            self.shard(f"{line} {more}", 0, 2, code=2)
            self.assertIn(said, self.stderr)
        self.shard(line, 1, 3)
        self.refuse("part.1", "shards 0 and 2 of 3 are missing\n")

    def test_more_shards_than_rows(self):
        self.check("sample small.npy -f json", (), 13, random.Random(1))

    def test_lines_for_people_are_as_wide_as_in_one_process(self):
        line = "sample logits.npy --rows :5 --vocab vocab.json --top-logprobs 5 --draws 2"
        for columns in ("40", "200"):
            env = {"COLUMNS": columns}
            plain = self.run_line("pluck " + line, env=env)
            parts = [self.shard(line, i, 3, env=env) for i in range(3)]
            self.assertEqual(self.run_line("exec pluck merge " + " ".join(parts), env=env), plain)
            self.run_line("rm part.*")

    def test_any_way_to_type_the_same_run_is_the_same_run(self):
        plain = self.run_line("pluck sample small.npy --draws 2 -f json --top-k 5 --temperature .7 "
                              "--seed 3")
        config = self.folder / "spaced.json"
        config.write_text('{ "seed":3,\n\n "top_k" : 5.0, "temperature":0.70 }')
        self.folder.joinpath("folder").mkdir()
        self.folder.joinpath("folder/other.npy").write_bytes(self.read(["small.npy"])[0])
        self.shard("sample small.npy --draws 2 -f json --config config8.json", 0, 4)
        self.shard("sample folder/other.npy -n2 --format=json -c spaced.json --isa scalar", 1, 4)
        self.shard("sample -q --no-map --top-k 5 --temp 7e-1 --seed 3 -n 2 -f json -- small.npy",
                   2, 4)
        self.shard("sample --draws=2 -f csv -f json small.npy -c config8.json --threads 0", 3, 4)
        self.assertEqual(self.run_line("exec pluck merge part.2 part.0 part.3 part.1"), plain)

    def test_a_shard_can_run_again(self):
        plain = self.run_line("pluck sample logits.npy -f json")
        for i in range(3):
            self.shard("sample logits.npy -f json", i, 3)
        self.shard("sample a.npy --threads 3 -f json", 1, 3, "again")
        self.assertEqual(self.run_line("exec pluck merge again part.*"), plain)

    def refuse(self, line, said, code=3):
        """A merge that prints and writes nothing."""
        before = self.names()
        self.assertEqual(self.run_line("exec pluck merge " + line, code), b"")
        self.assertEqual(self.stderr.count("\n"), 1)
        self.assertIn("pluck merge: ", self.stderr)
        self.assertIn(said, self.stderr)
        self.assertEqual(self.names(), before)

    def test_parts_of_different_runs_are_told_apart(self):
        line = "sample small.npy -f json"
        self.shard(line, 0, 2)
        self.folder.joinpath("larger.npy").write_bytes(self.read(["logits.npy"])[0])
        changed = bytearray(self.read(["small.npy"])[0])
        changed[-3] ^= 1
        self.folder.joinpath("changed.npy").write_bytes(changed)
        for other, said in [
                ("sample changed.npy -f json", "another DUMP 1 (changed.npy) than part.0: the size "
                 "is the same"),
                ("sample larger.npy -f json", "DUMP 1 (larger.npy) than part.0: 131200 bytes, not"),
                (line + " --draws 7", "with --draws (7), part.0 of one without it"),
                (line + " --rows 2", "with --rows (2)"),
                (line + " --seed 1", "another configuration than part.0"),
                (line + " --vocab vocab8.txt", "with --vocab (vocab8.txt)"),
                (line + " --kept k.npz", "with --kept (k.npz)"),
                (line + " small.npy", "DUMP 2 (small.npy)"),
                ("sample small.npy -f csv", "with --format csv, part.0 of one with json")]:
            with self.subTest(line=other):
                self.shard(other, 1, 2, "other")
                self.refuse("part.0 other", said)
                self.folder.joinpath("other").unlink()
        self.shard(line, 1, 3, "other")
        self.refuse("other part.0", "part.0: is shard 0 of 2, other is shard 1 of 3")
        self.shard(line + " -o a", 1, 2, "named")
        self.refuse("part.0 named", "with --output a, part.0 of one with standard output")
        self.run_line("exec pluck merge part.0 named -o b")

    def test_names_that_are_printed_belong_to_the_run(self):
        for i, line in enumerate(("compare a.npy b.npy", "compare b.npy a.npy")):
            self.shard(line + " -f csv", i, 2, f"csv.{i}")
            self.shard(line + " -f json", i, 2, f"json.{i}")
        self.refuse("json.0 json.1", "json.1: is of a run with another name of A than json.0")
        self.assertEqual(self.run_line("exec pluck merge csv.*"),
                         self.run_line("pluck compare a.npy b.npy -f csv"))

    def test_missing_shards_are_named(self):
        line = "sample logits.npy --rows 1:"
        for i in range(0, 12, 4):
            self.shard(line, i, 12)
        self.refuse("part.*", "shards 1, 2, 3, 5, 6, 7, 9, 10 and 1 more of 12 are missing (rows "
                    "5:10, 10:15, 15:21, 26:31, 31:36, 36:42, 47:52, 52:57, ... of 63)")
        for i in range(12):
            if i % 4 and i not in (3, 10):
                self.shard(line, i, 12)
        self.refuse("part.*", "shards 3 and 10 of 12 are missing (rows 15:21 and 52:57 of 63)")
        self.shard(line, 3, 12)
        self.refuse("part.*", "shard 10 of 12 is missing (rows 52:57 of 63)")

    def test_a_shard_twice_must_be_the_same(self):
        for i in range(2):
            self.shard("sample small.npy -f json", i, 2)
        part = self.folder.joinpath("part.1").read_bytes()
        other = part[:-4].replace(b'"row":4', b'"row":3')
        self.assertNotEqual(part[:-4], other)
        self.folder.joinpath("forged").write_bytes(other + struct.pack("<I", zlib.crc32(other)))
        self.refuse("part.0 part.1 forged", "both are shard 1 of 2, but their results differ")

    def test_inputs_must_be_those_of_the_shards(self):
        for i in range(2):
            self.shard("sample small.npy", i, 2)
        small = self.folder / "small.npy"
        content = small.read_bytes()
        small.write_bytes(content[:-1] + b"\x7f")
        self.refuse("part.*", "part.0: is of a run on another DUMP 1 (small.npy) than the one now")
        small.unlink()
        self.refuse("part.*", "small.npy: cannot be opened: No such file or directory; merge "
                    "compares the inputs with those of the shards", 4)
        small.write_bytes(content)
        self.run_line("exec pluck merge part.*")

    def test_damaged_files(self):
        line = "sample logits.npy -f json --rows :30"
        for i in range(2):
            self.shard(line, i, 2)
        part = self.folder.joinpath("part.1").read_bytes()
        rand = random.Random(5)
        lengths = {0, 1, 7, 8, 11, 12, 20, 39, 40, 59, 60, 100, len(part) // 2, len(part) - 21,
                   len(part) - 5, len(part) - 4, len(part) - 1}
        bad = [part[:n] for n in sorted(lengths)] + [part + b"\0", part + part]
        for _ in range(25):
            flipped = bytearray(part)
            flipped[rand.randrange(len(part))] ^= 1 << rand.randrange(8)
            bad.append(bytes(flipped))
        for content in bad:
            self.folder.joinpath("part.1").write_bytes(content)
            self.refuse("part.0 part.1", "part.1: ")

    def test_rounds(self):
        line = "tune logits.npy --targets targets.npy --no-curves"
        for i in range(2):
            self.shard(line, i, 2)
        self.refuse("part.*", "the run needs another round: merge with --plan-out NEXT", 2)
        self.refuse("part.* --plan-out /dev/full", "/dev/full: No space left on device", 4)
        self.refuse("part.* --plan-out part.0", "part.0: is an input file too", 2)
        self.refuse("part.* --plan-out logits.npy", "logits.npy: is an input file too", 2)
        self.assertEqual(self.run_line("exec pluck merge part.* --plan-out plan"), b"")
        plan = self.folder.joinpath("plan").read_bytes()
        self.refuse("part.0 plan", "plan: is a plan, not a partial; give it to the shards")
        for other, said in [
                (" --objective brier", "without --objective (brier), the one now of one with it"),
                (" --bins 3", "plan: is of a run without --bins (3)"),
                (" --seed 1", "another configuration than the one now")]:
            self.shard(f"{line} {other} --plan plan", 0, 2, "other", code=3)
            self.assertIn(said, self.stderr)
        self.shard(line + " --plan part.0", 0, 2, "other", code=3)
        self.assertIn("part.0: is the partial of a shard; a plan is written by", self.stderr)
        for i in range(2):
            self.shard(line + " --plan plan", i, 2, f"second.{i}")
        self.refuse("second.0 part.1", "part.1: is of a run without --plan (plan), second.0 of one")
        changed = plan[:-40] + bytes([plan[-40] ^ 1]) + plan[-39:-4]
        forged = changed + struct.pack("<I", zlib.crc32(changed))
        for content, said in ((plan[:-9], "plan: is damaged or incomplete"),
                              (None, "plan: cannot be opened"), (forged, "another --plan")):
            self.folder.joinpath("plan").unlink()
            if content:
                self.folder.joinpath("plan").write_bytes(content)
            self.run_line("exec pluck merge second.* --plan-out x", code=(3, 4))
            self.assertIn(said, self.stderr)
            self.folder.joinpath("plan").write_bytes(plan)
        self.run_line("exec pluck merge second.* --plan-out last")

    def test_a_row_that_fails_is_said_by_its_shard(self):
        line = "tune nan.npy --objective entropy=1"
        self.shard(line, 0, 2)
        self.shard(line, 1, 2, code=3)
        plain = self.stderr
        self.run_line("pluck " + line, code=3)
        self.assertEqual(self.stderr, plain)

    def test_another_version(self):
        for i in range(2):
            self.shard("sample small.npy", i, 2)
        part = self.folder.joinpath("part.1").read_bytes()
        for at, said in ((8, "a partial file of format 7"), (12, "with API number 7")):
            other = part[:at] + struct.pack("<I", 7) + part[at + 4:-4]
            self.folder.joinpath("part.1").write_bytes(other + struct.pack("<I", zlib.crc32(other)))
            self.refuse("part.*", said)

    def test_what_cannot_be_divided(self):
        for line, said in [
                ("sample small.npy --sequence", "--sequence cannot be combined with --shard: rows "
                 "depend on each other"),
                ("sample - < small.npy", "standard input: is a stream, which only one process"),
                ("sample <(cat small.npy)", "which only one process can read; save it to a file"),
                ("sample small.npy -c - < config8.json", "standard input: is a stream"),
                ("sample small.npy --seed random", "seed random cannot be combined with --shard")]:
            self.run_line(f"pluck {line} --shard 0/2 --partial part", code=2)
            self.assertIn(said, self.stderr)
            self.assertNotIn("part", self.names())

    def test_which_shard(self):
        for shard in ("2/2", "-1/2", "1", "1/", "/2", "0/0", "a/b", "0/2/3", "0/2 ", "1.5/2", "",
                      "0/4294967296", "99999999999999999999999999/2", "SLURM"):
            self.run_line(f"pluck sample small.npy --shard='{shard}' --partial part", code=2)
            self.assertIn(f"'{shard}' is not a shard; expected I/N", self.stderr)
        self.run_line("pluck sample small.npy --shard 0/2", code=2)
        self.assertIn("--shard needs --partial FILE", self.stderr)
        self.run_line("pluck sample small.npy --partial part", code=2)
        self.assertIn("--partial needs --shard I/N", self.stderr)
        self.run_line("pluck sample small.npy --plan small.npy", code=2)
        self.assertIn("--plan needs --shard I/N", self.stderr)
        self.assertNotIn("part", self.names())

    def test_tasks_of_a_job_array(self):
        def task(**values):
            return {f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in values.items()}

        line = "pluck sample small.npy --shard slurm --partial part"
        for env, said in [
                (task(ID=1, MIN=0, MAX=3), "the variable SLURM_ARRAY_TASK_COUNT is not set"),
                (task(MIN=0, MAX=3, COUNT=4), "the variable SLURM_ARRAY_TASK_ID is not set"),
                (task(ID="x", MIN=0, MAX=3, COUNT=4), "SLURM_ARRAY_TASK_ID is 'x'"),
                (task(ID=2, MIN=0, MAX=6, COUNT=4), "has 4 tasks from 0 to 6; expected one without "
                 "gaps"),
                (task(ID=9, MIN=0, MAX=3, COUNT=4), "the task 9 is not from 0 to 3"),
                (task(ID=2, MIN=3, MAX=0, COUNT=4), "has 4 tasks from 3 to 0")]:
            self.run_line(line, code=2, env=env)
            self.assertIn("--shard slurm: ", self.stderr)
            self.assertIn(said, self.stderr)
        plain = self.run_line("pluck sample small.npy")
        for i in range(3):
            self.run_line(f"{line}.{i}", env=task(ID=5 + i, MIN=5, MAX=7, COUNT=3))
        self.assertEqual(self.run_line("exec pluck merge part.*"), plain)

    def test_a_shard_that_fails_leaves_nothing(self):
        # Row 3 has a NaN: it is in the second of these shards.
        self.shard("sample nan.npy", 0, 2)
        self.shard("sample nan.npy", 1, 2, code=3)
        self.assertIn("row 3: the logit of token 17 is NaN", self.stderr)
        self.refuse("part.0", "shard 1 of 2 is missing (rows 2:5 of 5)")
        for name in ("small.npy", "/dev/full", "folder.npy", "no/where"):
            self.run_line(f"pluck sample small.npy --shard 0/2 --partial {name}", code=(2, 4))
            self.assertEqual(self.stderr.count("\n"), 1)
            self.assertIn(name, self.stderr)
        self.assertNotIn("part.1", self.names())

    def test_a_merge_that_fails_leaves_nothing(self):
        for i in range(2):
            self.shard("sample logits.npy -f json -o out.jsonl", i, 2)
        self.refuse("part.* -o part.1", "part.1: is an input file too", 2)
        self.refuse("part.* -o logits.npy", "logits.npy: is an input file too", 2)
        self.refuse("part.0 part.1 -o /dev/full", "/dev/full: No space left on device", 4)
        self.refuse("part.* -o no/where", "no/where: cannot be created", 4)
        self.run_line("exec pluck merge part.* -o - | head -c 1", code=0)

    def test_a_name_of_an_output_may_be_that_of_a_partial(self):
        self.shard("sample small.npy -o part.1", 0, 2)
        self.shard("sample small.npy -o part.1", 1, 2, "other")
        self.folder.joinpath("other").rename(self.folder / "part.1")
        self.refuse("part.0 part.1", "part.1: is an input file too", 2)
        self.run_line("exec pluck merge part.0 part.1 -o out")
        self.assertEqual(self.read(["out"])[0], self.run_line("pluck sample small.npy"))

    def test_names_of_any_bytes(self):
        names = [b"caf\xc3\xa9 \x1b[31m.npy", b"\xff\n'.npy"]
        for name in names:
            pathlib.Path(os.fsdecode(os.fsencode(self.folder) + b"/" + name)).write_bytes(
                self.read(["small.npy"])[0])
        words = r"$'caf\xc3\xa9 \x1b[31m.npy' $'\xff\n\'.npy'"
        self.check(f"sample {words} -f json", (), 3, random.Random(3))

    def test_a_merge_is_for_partials(self):
        self.shard("sample small.npy", 0, 1)
        self.refuse("small.npy", "small.npy: is not a partial file")
        self.refuse("empty.npy", "empty.npy: is empty")
        self.refuse("folder.npy", "folder.npy: ", 4)
        self.refuse("nothing", "nothing: cannot be opened: No such file", 4)
        self.run_line("cat part.0 | pluck merge -", code=4)
        self.assertIn("is a stream, but this file is read twice", self.stderr)
        self.run_line("pluck merge", code=2)


if __name__ == "__main__":
    main()
