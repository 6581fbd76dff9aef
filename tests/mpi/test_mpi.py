#!/usr/bin/env python3
"""Why: however many ranks share the rows, the user must see what one process would have printed:
the same bytes, the same first message, the same exit status; and whatever is killed, no file may
appear half-written under its final name.

    test_mpi.py --pluck PLUCK --pluck-mpi PLUCK_MPI [--ranks 1,2,3,4] [--all] [--step N] [TEST...]
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "cli"))
from make_inputs import write_inputs  # noqa: E402
from mpi_launch import Launcher, environment  # noqa: E402

ARGS = None
LAUNCHER = None
AT_ONCE = 4
SECONDS = 40

# Command lines; every word that begins with "out" is a file that is written.
LINES = [
    "sample logits.npy --seed 3 --temperature .8 --top-k 40 --draws 3 --vocab vocab.json",
    "sample logits.npy --seed 3 --temperature .8 --format json --threads 2 --rows 3:61",
    "sample logits.npy a.npy --seed 4 --top-p .9 --format csv -o out.csv -q",
    "sample logits.npy --seed 5 --min-p .1 --top-logprobs 4 --format openai --vocab vocab.json",
    "sample logits.npy --seed 6 --top-k 9 --kept out.npz -o out.txt",
    "sample logits.npy --seed 7 --draws 20000 --rows 5 -o out.txt",
    "compare a.npy logits.npy --targets targets.npy --config-b config.json --worst 9 "
    "--vocab vocab.json",
    "compare a.npy --config-b config.json --format csv -o out.csv --rows 3:60",
    "compare small.npy small.npy --config-b config8.json --format json --max-kl 0.001",
    "tune logits.npy --targets targets.npy --truncate top_p --cross-validate --format json "
    "-o out.json --csv out.csv --svg out.svg",
    "tune logits.npy --objective entropy=2 --rows 5: --no-curves",
    "report logits.npy --targets targets.npy --explore 2 --vocab vocab.json -o out.html",
    "report small.npy a.npy one.npy --rows :50 --vocab-size 512 --explore 3",
    "convert logits.npy -o out.npy --to-dtype bf16 --rows 3:60 --targets targets.npy "
    "--targets-out out.targets.npy",
    "convert logits.npy -o out.safetensors",
    "convert logits.npy -o out.jsonl --rows 9:55 --targets targets.npy",
    "convert gpt2.npy -o out.npy --to npy --to-dtype f32",
    "tree fit hidden.npy next.npy --counts counts.txt --validation valid_hidden.npy "
    "--validation-targets valid_next.npy --epochs 2 -o out.st",
    "tree distill head.npy hidden.npy next.npy --bias bias.npy --counts counts.txt --epochs 2 "
    "--format json -o out.st",
    "tree fit hidden.npy next.npy --epochs 2 -o out.st --checkpoint out.checkpoint --threads 2",
    "sample logits.npy --seed 3 --kept out.npz -o out.txt --partials parts --shards 6",
    "tune logits.npy --targets targets.npy --partials parts --shards 5",
    # Failing rows.
    "report banned.npy",
    "convert nan.npy -o out.jsonl",
    "convert small.npy -o out.npy --targets late.txt",
    "tune nan.npy --objective entropy=1",
    "compare nan.npy nan.npy --format csv",
    "sample nan.npy --seed 3",
    "sample nan.npy --seed 3 --skip-bad --format json",
    "sample banned.npy --seed 3 --skip-bad --kept out.npz -o out.txt",
    "sample banned.npy logits.npy --seed 3",
    # Arguments, files.
    "sample logits.npy --no-such-flag",
    "sample missing.npy",
    "sample logits.npy -o missing/out.txt",
    "sample logits.npy -o /dev/full",
    "sample logits.npy --seed 3 --sequence",
    "sample - --seed 3",
    # Not shared: one rank does it.
    "inspect logits.npy --row 5 --top-p .9",
    "config check config.json",
    "--version",
    "sample --help",
]

# What differs by intent: the word of more than one rank, and the name of the MPI.
REFUSED = {"sample logits.npy --seed 3 --sequence": b"pluck sample: --sequence cannot be combined "
           b"with more than one rank: rows depend on each other\n",
           "sample - --seed 3": b"pluck sample: standard input: is a stream, which only "
           b"one process can read; save it to a file\n"}


class Result:
    """What a run gave: status, standard output, messages, files that are new."""

    def __init__(self, line, words, template, launcher=None, env=None):
        parent = tempfile.mkdtemp()
        folder = pathlib.Path(parent, "work")
        shutil.copytree(template, folder)
        before = {p.name for p in folder.iterdir()}
        try:
            done = subprocess.run([*line, *words], cwd=folder, capture_output=True,
                                  stdin=subprocess.DEVNULL, timeout=SECONDS,
                                  env={**environment(), "LC_ALL": "C.UTF-8", **(env or {})})
            self.files = {p.name: p.read_bytes() if p.is_file() else sorted(os.listdir(p))
                          for p in folder.iterdir() if p.name not in before}
        finally:
            shutil.rmtree(parent)
        self.code, self.out, self.messages = done.returncode, done.stdout, done.stderr
        if launcher:
            self.messages = launcher.messages(done.stderr.decode()).encode()

    def __eq__(self, other):
        return vars(self) == vars(other)

    def __repr__(self):
        files = {name: len(data) for name, data in self.files.items()}
        return (f"status {self.code}, {len(self.out)} bytes, files {files}, "
                f"messages {self.messages.decode()!r}, output {self.out[-300:]!r}")


class MpiCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.template = tempfile.mkdtemp()
        write_inputs(cls.template)
        pathlib.Path(cls.template, "late.txt").write_text("0 1 2 99 3\n")

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.template)

    def alone(self, line):
        return Result([ARGS.pluck], shlex.split(line), self.template)

    def ranks(self, line, n, env=None):
        return Result(LAUNCHER.line(n, env=env), shlex.split(line), self.template, LAUNCHER, env)


class SameBytes(MpiCase):
    def check(self, line, n, env=None):
        expected, found = self.alone(line), self.ranks(line, n, env)
        if n > 1 and line in REFUSED:
            expected.code, expected.out, expected.messages = 2, b"", REFUSED[line]
        if line == "--version":
            found.out = found.out.split(b"MPI: ")[0]
        return line, n, expected, found

    def check_all(self, cases):
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            for line, n, expected, found in pool.map(lambda case: self.check(*case), cases):
                with self.subTest(line=line, ranks=n):
                    self.assertEqual(expected, found)

    def test_any_number_of_ranks_prints_the_bytes_of_one_process(self):
        """Without --all each line has one number of ranks, and the next line another one."""
        self.check_all([(line, n) for i, line in enumerate(LINES[::ARGS.step])
                        for k, n in enumerate(ARGS.ranks)
                        if ARGS.all or (i + k) % len(ARGS.ranks) == 0])

    def test_nodes_change_nothing(self):
        """One machine stands for several."""
        most = max(ARGS.ranks)
        self.check_all([(line, most, {"PLUCK_MPI_NODE_RANKS": str(n)}) for n in range(1, most)
                        for line in LINES[n::1 if ARGS.all else 7]])

    def test_random_seeds_are_the_same_for_all_ranks(self):
        found = self.ranks("sample logits.npy --seed random --temperature 2", max(ARGS.ranks))
        said = found.messages.decode().split()
        self.assertEqual(said[:3], ["pluck", "sample:", "seed"])
        expected = self.alone(f"sample logits.npy --seed {said[3]} --temperature 2")
        self.assertEqual(expected.out, found.out)


class Progress(MpiCase):
    def test_lines_of_progress_are_of_all_ranks_together(self):
        found = self.ranks("sample logits.npy --seed 3 --draws 20000 -o out.txt", max(ARGS.ranks),
                           {"PLUCK_MPI_PROGRESS_SECONDS": "0.02"})
        form = re.compile(r"pluck sample: +(\d+)%  (\d+) draws, [0-9.]+[kM]?/s")
        lines = [form.fullmatch(text) for text in found.messages.decode().splitlines()]
        self.assertGreater(len(lines), 2, found.messages)
        self.assertTrue(all(lines), found.messages)
        done = [int(match[2]) for match in lines]
        self.assertEqual(done, sorted(done))
        # Each rank does about a part of the draws; a rank alone would not come so far.
        self.assertGreater(done[-1], 64 * 20000 * .6)
        self.assertLessEqual(done[-1], 64 * 20000)
        self.assertEqual([int(match[1]) for match in lines], [n * 100 // 1280000 for n in done])
        found = self.ranks("sample logits.npy --seed 3 -q -o out.txt", max(ARGS.ranks),
                           {"PLUCK_MPI_PROGRESS_SECONDS": "0"})
        self.assertEqual(found.messages, b"")


class WrongLauncher(MpiCase):
    def test_processes_that_are_alone_are_refused(self):
        for size, rank in (("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"),
                           ("PMI_SIZE", "PMI_RANK"), ("SLURM_NTASKS", "SLURM_PROCID")):
            for number in (0, 1):
                env = {**environment(), size: "4", rank: str(number)}
                if LAUNCHER.kind == ("MPICH" if size == "PMI_SIZE" else "Open MPI"):
                    continue
                done = subprocess.run([ARGS.pluck_mpi, "--version"], env=env, text=True,
                                      capture_output=True, timeout=SECONDS)
                said = done.stderr
                self.assertEqual((done.returncode, done.stdout), (2, ""), said)
                for word in (LAUNCHER.version, f"{size}=4") if number == 0 else ():
                    self.assertIn(word, said)
                self.assertEqual(said.count("\n"), 1 - number, said)


def children_of(pid):
    """All processes that it started, and those that these started."""
    parents = {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
    found = []
    for child in parents:
        at = parents[child]
        while at in parents and at != pid:
            at = parents[at]
        if at == pid:
            found.append(child)
    return found


def is_alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


class Killed(MpiCase):
    """A run that takes long is killed in the middle."""
    # Some minutes: Open MPI waits, before it tells ranks to end, as long as it lets them end.
    LINE = "sample logits.npy --seed 3 --draws 3000000 -q -o out.txt"
    SHORTER_LINE = "sample logits.npy --seed 3 --draws 60000 -q -o out.txt"

    def start(self, kill_seconds=None, line=LINE, more=()):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        shutil.copytree(self.template, self.folder, dirs_exist_ok=True)
        # The launcher is the first of its own session, as in a terminal.
        job = subprocess.Popen(LAUNCHER.line(max(ARGS.ranks), *shlex.split(line), *more,
                                             kill_seconds=kill_seconds),
                               cwd=self.folder, env=environment(), stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               start_new_session=True)
        self.wait_for(lambda: self.temporaries() or self.partials(), "the run has begun to write")
        ranks = [p for p in children_of(job.pid) if self.name_of(p) == "pluck-mpi"]
        self.assertEqual(len(ranks), max(ARGS.ranks))
        return job, sorted(ranks)

    @staticmethod
    def name_of(pid):
        path = pathlib.Path(f"/proc/{pid}/comm")
        return path.read_text().strip()[:9] if path.exists() else ""

    def partials(self):
        return {p.name: p.stat().st_ino for p in self.folder.glob("parts/pass*")}

    def temporaries(self):
        return [p for p in self.folder.glob(".out.txt.*") if p.stat().st_size > 0]

    def wait_for(self, condition, what):
        end = time.monotonic() + SECONDS
        while not condition():
            self.assertLess(time.monotonic(), end, f"waited for: {what}")
            time.sleep(.02)

    def finish(self, job, ranks, leaves_temporary):
        code = job.wait(SECONDS)
        # MPICH's launcher returns 0 now and then when it is interrupted.
        self.assertTrue(code != 0 or LAUNCHER.kind == "MPICH")
        self.wait_for(lambda: not any(map(is_alive, ranks)), "all ranks have ended")
        self.assertFalse((self.folder / "out.txt").exists())
        if not leaves_temporary:
            self.assertEqual(self.temporaries(), [])

    def test_an_interrupted_launcher_leaves_nothing(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(number):
                # The second after which Open MPI's kills may be too short on a busy machine.
                job, ranks = self.start(kill_seconds=2)
                job.send_signal(number)
                # That of MPICH may kill ranks at once.
                self.finish(job, ranks, LAUNCHER.kind == "MPICH")

    def test_a_killed_rank_ends_the_run(self):
        for i in (0, -1):
            with self.subTest(rank=i):
                job, ranks = self.start()
                os.kill(ranks[i], signal.SIGKILL)
                self.finish(job, ranks, True)

    def test_a_killed_launcher_ends_the_ranks(self):
        job, ranks = self.start()
        job.kill()
        self.finish(job, ranks, True)

    def test_a_rerun_completes_a_killed_run(self):
        more = ["--partials", "parts", "--shards", "24"]
        job, ranks = self.start(line=self.SHORTER_LINE, more=more)
        os.kill(ranks[-1], signal.SIGKILL)
        self.finish(job, ranks, True)
        done = self.partials()
        self.assertLess(len(done), 24)
        line = LAUNCHER.line(2, *shlex.split(self.SHORTER_LINE), *more)
        subprocess.run(line, cwd=self.folder, env=environment(), stdin=subprocess.DEVNULL,
                       check=True, timeout=4 * SECONDS)
        self.assertEqual({**self.partials(), **done}, self.partials())
        found = (self.folder / "out.txt").read_bytes()
        subprocess.run([ARGS.pluck, *shlex.split(self.SHORTER_LINE)], cwd=self.folder, check=True)
        self.assertEqual((self.folder / "out.txt").read_bytes(), found)


def main():
    global ARGS, LAUNCHER
    parser = argparse.ArgumentParser()
    parser.add_argument("--pluck", required=True)
    parser.add_argument("--pluck-mpi", required=True)
    parser.add_argument("--ranks", default="1,2,3,4",
                        type=lambda text: [int(n) for n in text.split(",")])
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--step", type=int, default=1, help="only every STEP-th line")
    ARGS, rest = parser.parse_known_args()
    ARGS.pluck, ARGS.pluck_mpi = (str(pathlib.Path(p).resolve())
                                  for p in (ARGS.pluck, ARGS.pluck_mpi))
    LAUNCHER = Launcher(ARGS.pluck_mpi)
    unittest.main(module="__main__", argv=[sys.argv[0], *rest])


if __name__ == "__main__":
    main()
