#!/usr/bin/env python3
"""Why: sample --kept writes what trainers load with NumPy, and --mask must give the same
distribution again. Files that are not what --kept writes come from anywhere.

    test_cli_kept.py --pluck PLUCK [unittest's arguments]
"""
import ast
import io
import json
import math
import signal
import struct
import subprocess
import sys
import zipfile

from command_case import CommandCase, main
from make_inputs import SMALL, npy

N_VOCAB = 512  # of logits.npy
FORMATS = {"<i4": "i", "<i8": "q", "<f4": "f", "<i2": "h", "<f8": "d", ">i4": None}


def read_npy(data):
    length = struct.unpack("<H", data[8:10])[0]
    header = ast.literal_eval(data[10:10 + length].decode())
    values = data[10 + length:]
    kind = FORMATS[header["descr"]]
    n = len(values) // struct.calcsize("<" + kind)
    return header, list(struct.unpack(f"<{n}{kind}", values))


def read_npz(path):
    """{name: values}, after the checksums of the file were compared."""
    with zipfile.ZipFile(path) as file:
        assert file.testzip() is None
        return {name[:-4]: read_npy(file.read(name)) for name in file.namelist()}


def array(values, descr="<i4", shape=None):
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape or (len(values),)}, }}"
    header += " " * (-(len(header) + 11) % 64) + "\n"
    kind = FORMATS[descr]
    values = struct.pack(f"<{len(values)}{kind}", *values) if kind else \
        struct.pack(f">{len(values)}i", *values)
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + values


def npz(arrays, method=zipfile.ZIP_STORED):
    to = io.BytesIO()
    with zipfile.ZipFile(to, "w", method) as file:
        for name, data in arrays.items():
            file.writestr(name + ".npy", data)
    return to.getvalue()


class KeptCase(CommandCase):
    def lines(self, line):
        return [json.loads(text) for text in self.run_line(line).splitlines()]

    def distributions(self, line, top=N_VOCAB):
        """The final log-probabilities of each row: {token: logprob}."""
        rows = self.lines(f"pluck sample {line} --top-kind final --top-logprobs {top} -f json -q")
        return [{t["token"]: t["logprob"] for t in row["top_logprobs"]} for row in rows]


class KeptSets(KeptCase):
    def test_they_are_the_tokens_of_the_distribution(self):
        for flags in ("--top-k 7", "--top-p 0.8 --temperature 0.7", "--min-p 0.05", "",
                      "--draw greedy", "--typical-p 0.6",
                      "--xtc-probability 1 --xtc-threshold 0.05",
                      "--sequence --repeat-penalty 1.3 --top-p 0.9"):
            line = f"logits.npy --rows :20 --seed 5 {flags}"
            final = self.distributions(line)
            raw = self.lines(f"pluck sample {line} --top-logprobs {N_VOCAB} -f json -q")
            self.run_line(f"pluck sample {line} --kept k.npz -q -o x")
            arrays = read_npz(self.folder / "k.npz")
            self.assertEqual(list(arrays), ["tokens", "offsets", "log_mass"])
            self.assertEqual([a[0]["descr"] for a in arrays.values()], ["<i4", "<i8", "<f4"])
            self.assertEqual([a[0]["shape"] for a in arrays.values()],
                             [(len(a[1]),) for a in arrays.values()])
            tokens, offsets, log_mass = (a[1] for a in arrays.values())
            self.assertEqual(len(offsets), 21)
            for r in range(20):
                kept = tokens[offsets[r]:offsets[r + 1]]
                self.assertEqual(kept, sorted(final[r]), (flags, r))
                share = math.fsum(math.exp(t["logprob"]) for t in raw[r]["top_logprobs"]
                                  if t["token"] in final[r])
                self.assertLess(abs(math.exp(log_mass[r]) - share), 2e-6)
                self.assertLessEqual(log_mass[r], 0)

    def test_threads_and_distinct_draws_change_nothing(self):
        line = "pluck sample logits.npy --top-p 0.9 -o x -q"
        self.run_line(f"{line} --kept one.npz")
        one = (self.folder / "one.npz").read_bytes()
        for more in ("--threads 3", "--distinct 4", "--format openai", "--top-logprobs 2"):
            self.run_line(f"{line} --kept more.npz {more}")
            self.assertEqual((self.folder / "more.npz").read_bytes(), one, more)
        self.run_line("cat logits.npy | pluck sample - --top-p 0.9 -o x --kept - -q | "
                      "cat > piped.npz")
        self.assertEqual((self.folder / "piped.npz").read_bytes(), one)

    def test_a_row_that_is_skipped_has_an_empty_set(self):
        self.run_line("pluck sample banned.npy --skip-bad --top-k 2 --kept k.npz -o x", code=3)
        arrays = read_npz(self.folder / "k.npz")
        self.assertEqual(arrays["offsets"][1], [0, 2, 2, 4, 6, 8])
        self.assertTrue(math.isnan(arrays["log_mass"][1][1]))
        self.run_line("pluck sample banned.npy --rows 1 --skip-bad --kept k.npz -o x", code=3)
        arrays = read_npz(self.folder / "k.npz")
        self.assertEqual((arrays["tokens"][1], arrays["offsets"][1]), ([], [0, 0]))
        self.run_line("pluck sample banned.npy --rows 1 --skip-bad --mask k.npz -o x", code=3)
        self.assertIn("skipped", self.stderr)

    def test_nothing_is_left_of_a_run_that_fails(self):
        before = self.names()
        self.run_line("pluck sample nan.npy --kept k.npz", code=3)
        self.run_line("ulimit -f 1; pluck sample logits.npy --kept k.npz -o x -q",
                      code=(4, -signal.SIGXFSZ))
        self.run_line("pluck sample logits.npy --kept k.npz -f json --top-logprobs 512 | true; "
                      "exit ${PIPESTATUS[0]}", code=(4, 141))
        self.run_line("pluck sample logits.npy --kept k.npz > /dev/full", code=4)
        self.assertEqual(self.names(), before)
        self.run_line("pluck sample logits.npy --kept /dev/full -q -o x", code=4)
        self.run_line("pluck sample small.npy --kept small.npy", code=2)
        self.run_line("pluck sample small.npy --kept -", code=2)
        self.run_line("pluck sample small.npy --kept x -o x", code=2)


class Masks(KeptCase):
    CHAINS = [
        "--top-k 9", "--top-k 40 --top-p 0.9 --min-p 0.02 --temperature 0.7", "--top-p 0.5",
        "--min-p 0.01 --temperature 1.6", "--typical-p 0.4", "--top-n-sigma 1",
        "--xtc-probability 0.7 --xtc-threshold 0.05 --top-k 30", "--tfs-z 0.8",
        "--top-k 5 --repeat-penalty 1.4 --presence-penalty 0.3 --prompt-tokens 1,2,3,300",
        "--logit-bias '{\"300\": 2, \"5\": false}' --top-k 12 --temperature 0.6",
        "--mirostat 2 --mirostat-tau 2", "--mirostat 1 --mirostat-tau 3", "--draw greedy",
        "--top-k 20 --smoothing-factor 0.3", "--top-k 20 --dynatemp-range 0.4",
        "--top-k 20 --draw adaptive_p --adaptive-target 0.3", "--top-k 8 --entmax-alpha 1.5",
        "--temperature 0.5 --top-p 0.6 --order temperature,top_p",
    ]

    def test_they_give_the_same_distribution(self):
        """Bit for bit where at most an eighth of the vocabulary is kept."""
        n_exact = n_wide = 0
        for chain in self.CHAINS + ["--top-p 0.99", "--min-p 1e-5", ""]:
            line = f"logits.npy --rows :30 --seed 8 {chain}"
            before = self.distributions(line)
            self.run_line(f"pluck sample {line} --kept k.npz -o x -q")
            after = self.distributions(f"{line} --mask k.npz")
            for r, (b, a) in enumerate(zip(before, after)):
                self.assertEqual(b.keys(), a.keys(), (chain, r))
                if len(b) <= N_VOCAB // 8 and "entmax" not in chain:
                    self.assertEqual(b, a, (chain, r))
                    n_exact += 1
                else:
                    n_wide += 1
                for token in b:
                    self.assertLessEqual(abs(b[token] - a[token]), 2 ** -22 * max(1, -b[token]))
        self.assertGreater(n_exact, 400)
        self.assertGreater(n_wide, 30)

    def test_large_vocabularies(self):
        line = "gpt2.npy --top-p 0.9 --temperature 0.8"
        before = self.distributions(line, 1024)
        self.run_line(f"pluck sample {line} --kept k.npz -o x -q")
        self.assertEqual(self.distributions(f"{line} --mask k.npz", 1024), before)
        self.assertEqual(self.distributions(f"{line} --mask k.npz --threads 3", 1024), before)

    def test_a_sequence_has_a_set_per_position(self):
        line = "logits.npy --rows :40 --sequence --top-k 12 --repeat-penalty 1.2 --seed 3"
        plain = self.lines(f"pluck sample {line} -f json --kept k.npz -q")
        masked = self.lines(f"pluck sample {line} -f json --mask k.npz -q")
        self.assertEqual(plain, masked)

    def test_sets_are_of_the_rows_that_are_sampled_or_of_all(self):
        self.run_line("pluck sample logits.npy --top-k 3 --kept all.npz -q -o x")
        self.run_line("pluck sample logits.npy --top-k 3 --rows 5:9 --kept some.npz -q -o x")
        whole = self.run_line("pluck sample logits.npy --top-k 3 --mask all.npz --rows 5:9 -q")
        part = self.run_line("pluck sample logits.npy --top-k 3 --mask some.npz --rows 5:9 -q")
        self.assertEqual(whole, part)
        self.run_line("pluck sample logits.npy --mask some.npz --rows 5:10", code=3)
        self.assertIn("4 sets, but 5 of the", self.stderr)

    def test_streams_of_unknown_length(self):
        rows = "\n".join(json.dumps({"logits": row}) for row in SMALL[:2] + SMALL[3:])
        (self.folder / "s.jsonl").write_text(rows + "\n")
        for n, code, text in ((4, 0, ""), (5, 3, "ended after 4 rows"), (3, 3, "none for row 3")):
            (self.folder / "k.npz").write_bytes(npz({
                "tokens": array([0, 3] * n), "offsets": array(range(0, 2 * n + 1, 2))}))
            self.run_line("cat s.jsonl | pluck sample - --input-format jsonl --mask k.npz -q",
                          code=code)
            self.assertIn(text, self.stderr)

    def test_what_the_command_does_is_said(self):
        self.run_line("pluck sample small.npy --top-k 2 --kept k.npz -o x")
        self.assertEqual(self.stderr, "pluck sample: k.npz: 5 sets of 10 tokens in all\n")
        self.run_line("pluck sample small.npy --min-p .1 --top-k 2 --temperature 2 --mask k.npz "
                      "-o x")
        self.assertEqual(self.stderr, "pluck sample: k.npz: the sets take the place of top_k, "
                         "min_p; the stages are mask, temperature, categorical\n")
        for flags in ("--kept k.npz", "--mask k.npz"):
            self.run_line(f"pluck sample small.npy {flags} -o x -q")
            self.assertEqual(self.stderr, "")

    def test_chains_whose_effect_the_sets_do_not_hold_are_refused(self):
        self.run_line("pluck sample small.npy --top-k 2 --kept k.npz -o x -q")
        for stage, flags in (("dynamic_temperature", "--dynatemp-range 0.3"),
                             ("smoothing", "--smoothing-factor 1"),
                             ("entmax", "--entmax-alpha 1.4")):
            self.run_line(f"pluck sample small.npy --top-k 2 {flags} --order {stage},top_k "
                          "--mask k.npz", code=2)
            self.assertIn(stage + " did", self.stderr)
            self.run_line(f"pluck sample small.npy --top-k 2 {flags} --order top_k,{stage} "
                          "--mask k.npz")

    def test_combinations_that_make_no_sense_are_refused(self):
        self.run_line("pluck sample small.npy --top-k 2 --kept k.npz -o x -q")
        for line, text in (("small.npy --kept x --draws 2", "--draws"),
                           ("small.npy one.npy --kept x", "one dump"),
                           ("small.npy one.npy --mask k.npz", "one dump"),
                           ("small.npy --mask k.npz --trace -f json", "--trace"),
                           ("small.npy --kept x --sequence --axes step,batch", "--axes")):
            self.run_line(f"pluck sample {line}", code=2)
            self.assertIn(text, self.stderr)
        self.run_line("pluck sample small.npy --mask k.npz --draws 3 --threads 2")
        self.run_line("pluck sample small.npy --mask k.npz --distinct 3 --kept again.npz -o x")
        self.assertEqual(read_npz(self.folder / "again.npz"), read_npz(self.folder / "k.npz"))


class StrangeFiles(KeptCase):
    GOOD = {"tokens": array([1, 2, 0, 0, 7, 5, 3]), "offsets": array([0, 2, 3, 5, 6, 7])}

    def check(self, data, text, code=3):
        (self.folder / "k.npz").write_bytes(data)
        self.run_line("pluck sample small.npy --mask k.npz -q", code=code)
        self.assertIn(text, self.stderr)
        self.assertLessEqual(len(self.stderr.splitlines()), 1)

    def test_other_integers_and_packed_files_are_read(self):
        self.check(npz(self.GOOD), "", 0)
        plain = self.run_line("pluck sample small.npy --mask k.npz -q")
        tokens, offsets = ([1, 2, 0, 0, 7, 5, 3], [0, 2, 3, 5, 6, 7])
        for descr in ("<i8", "<i2", ">i4"):
            for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                self.check(npz({"other": array([1.5], "<f8"), "offsets": array(offsets, descr),
                                "tokens": array(tokens, descr)}, method), "", 0)
                self.assertEqual(self.run_line("pluck sample small.npy --mask k.npz -q"), plain)
        self.assertEqual(self.run_line("cat k.npz | pluck sample small.npy --mask - -q"), plain)

    def test_what_is_wrong_is_said(self):
        def changed(**arrays):
            return npz({**self.GOOD, **arrays})
        self.check(npz({"offsets": self.GOOD["offsets"]}), "has no array 'tokens'")
        self.check(npz({"tokens": self.GOOD["tokens"]}), "has no array 'offsets'")
        self.check(npz({}), "has no array")
        self.check(changed(tokens=array([1.0] * 7, "<f4")), "tokens: values of type '<f4'")
        self.check(changed(offsets=array([0.0] * 6, "<f8")), "offsets: values of type '<f8'")
        self.check(changed(tokens=array([1] * 7, shape=(1, 7))), "has 2 axes")
        self.check(changed(offsets=array([])), "offsets is empty")
        self.check(changed(offsets=array([1, 2, 3, 5, 6, 7])), "offsets[0] is 1; expected 0")
        self.check(changed(offsets=array([0, 3, 2, 5, 6, 7])), "offsets[2] is 2, less than the 3")
        self.check(changed(offsets=array([0, 2, 3, 5, 6, 6])), "the last offset is 6")
        self.check(changed(offsets=array([0, 2, 3, 5, 6, 8])), "but there are 7 tokens")
        self.check(changed(tokens=array([1, 2, 0, 0, 7, 5]), offsets=array([0, 2, 3, 5, 6])),
                   "4 sets, but 5 of the")
        self.check(changed(tokens=array([1, 2, 0, 0, 8, 5, 3])), "set 2 has token 8")
        self.check(changed(tokens=array([1, 2, -1, 0, 7, 5, 3])), "set 1 has token -1")
        self.check(changed(tokens=array([2, 1, 0, 0, 7, 5, 3])), "token 1 after token 2")
        self.check(changed(tokens=array([2, 2, 0, 0, 7, 5, 3])), "token 2 after token 2")
        self.check(changed(tokens=b"no array at all"), "")
        self.check(b"", "is empty")
        self.check(npy(SMALL), "not an .npz file")
        self.run_line("pluck sample small.npy --mask nothing.npz", code=4)
        self.run_line("pluck sample small.npy --mask folder.npy", code=4)

    def test_a_file_that_is_cut_or_changed_is_refused_or_read(self):
        for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            good = npz(self.GOOD, method)
            for n in range(0, len(good), 7):
                (self.folder / "k.npz").write_bytes(good[:n])
                self.run_line("pluck sample small.npy --mask k.npz -q", code=3)
            for at in range(0, len(good), 5):
                (self.folder / "k.npz").write_bytes(
                    good[:at] + bytes([good[at] ^ 0x41]) + good[at + 1:])
                self.run_line("pluck sample small.npy --mask k.npz -q", code=(0, 3))

    def test_a_byte_of_the_values_that_changed_is_found(self):
        good = npz(self.GOOD)
        at = good.index(self.GOOD["tokens"]) + len(self.GOOD["tokens"]) - 4
        self.check(good[:at] + b"\4" + good[at + 1:], "CRC-32")


class LoadedByNumPy(KeptCase):
    def test_numpy_reads_the_file(self):
        self.run_line("pluck sample logits.npy --top-k 4 --kept k.npz -q -o x")
        code = ("import numpy; z = numpy.load('k.npz'); "
                "print(z['tokens'].shape, z['offsets'].dtype, z['log_mass'].dtype)")
        done = subprocess.run([sys.executable, "-c", code], cwd=self.folder, capture_output=True)
        if b"No module named" in done.stderr:
            self.skipTest("NumPy is not installed")
        n = len(read_npz(self.folder / "k.npz")["tokens"][1])
        self.assertEqual(done.stdout.decode(), f"({n},) int64 float32\n")


if __name__ == "__main__":
    main()
