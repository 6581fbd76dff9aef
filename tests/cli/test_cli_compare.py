#!/usr/bin/env python3
"""pluck compare against sums by their definitions, with NumPy and in plain Python: a wrong
divergence is a plausible number, so nothing but the definition will do."""
import csv
import json
import math
import unittest

from command_case import CommandCase, main
from make_inputs import INF, SMALL, npy

try:
    import numpy
except ImportError:
    numpy = None

OTHER = [[0.5 * v + 0.125 * i for i, v in enumerate(row)] for row in SMALL]


def log_softmax(row):
    top = max(row)
    norm = top + math.log(math.fsum(math.exp(v - top) for v in row))
    return [v - norm for v in row]


def measures(a, b):
    """(KL(a || b), KL(b || a), total variation) of two rows."""
    def divergence(x, y):
        return math.fsum(math.exp(p) * (p - q) if q > -INF else INF
                         for p, q in zip(x, y) if p > -INF)
    x, y = log_softmax(a), log_softmax(b)
    variation = math.fsum(abs(math.exp(p) - math.exp(q)) for p, q in zip(x, y)) / 2
    return divergence(x, y), divergence(y, x), variation


class Compare(CommandCase):
    def setUp(self):
        super().setUp()
        (self.folder / "other.npy").write_bytes(npy(OTHER))
        (self.folder / "t.txt").write_text("1 0 2 7 -1")

    def compare(self, line, code=0):
        return json.loads(self.run_line(f"pluck compare {line} --format json", code=code))

    def test_tokens_that_each_file_numbers_are_the_same(self):
        """Answers without token ids: a and b change places, and no number would tell."""
        def answer(name, first, second):
            top = [{"token": first, "logprob": -0.1}, {"token": second, "logprob": -2.5}]
            content = [{**top[0], "top_logprobs": top}]
            (self.folder / name).write_text(json.dumps(
                {"choices": [{"logprobs": {"content": content}}]}))
        answer("a.json", "a", "b")
        answer("same.json", "a", "b")
        answer("b.json", "b", "a")
        answer("c.json", "a", "c")
        answer("longer.json", "a", "bb")
        self.assertEqual(self.compare("a.json same.json --quiet")["kl_ab"]["mean"], 0)
        (self.folder / "ids.npy").write_bytes(npy([[1, 2]]))
        for line, token in [("a.json b.json", 0), ("a.json c.json", 1), ("a.json longer.json", 1),
                            ("a.json ids.npy", 0), ("ids.npy a.json", 0),
                            ("a.json other.npy", 0)]:
            out = self.run_line(f"pluck compare {line} --quiet --format json", code=3)
            self.assertEqual(out, b"", line)
            self.assertIn(f"token {token} is not the same text in both", self.stderr)

    def test_rows_are_compared_by_the_definitions(self):
        text = self.run_line("pluck compare small.npy other.npy -f csv --targets t.txt").decode()
        rows = list(csv.DictReader(text.splitlines()))
        summary = self.compare("small.npy other.npy --targets t.txt --worst 2")
        expected = [measures(a, b) for a, b in zip(SMALL, OTHER)]
        self.assertEqual(len(rows), 5)
        for row, values in zip(rows, expected):
            for name, value in zip(("kl_ab", "kl_ba", "total_variation"), values):
                self.assertAlmostEqual(float(row[name]), value, delta=1e-12)
        for i, name in enumerate(("kl_ab", "kl_ba", "total_variation")):
            values = [e[i] for e in expected]
            mean = math.fsum(values) / 5
            error = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / 20)
            self.assertAlmostEqual(summary[name]["mean"], mean, delta=1e-12)
            self.assertAlmostEqual(summary[name]["error"], error, delta=1e-12)
            self.assertAlmostEqual(summary[name]["median"], sorted(values)[2], delta=1e-12)
            self.assertAlmostEqual(summary[name]["min"], min(values), delta=1e-12)
            self.assertAlmostEqual(summary[name]["max"], max(values), delta=1e-12)
        order = sorted(range(5), key=lambda r: -expected[r][0])
        self.assertEqual([w["row"] for w in summary["worst"]], order[:2])
        nll = [-log_softmax(SMALL[r])[t] for r, t in enumerate([1, 0, 2, 7])]
        self.assertEqual((summary["rows"], summary["targets"]), (5, 4))
        self.assertAlmostEqual(summary["perplexity_a"], math.exp(math.fsum(nll) / 4), delta=1e-9)
        self.assertEqual(rows[4]["target"], "")
        self.assertEqual(rows[4]["nll_a"], "")

    def test_equal_dumps_are_no_distance_apart(self):
        summary = self.compare("gpt2.npy gpt2.npy --max-kl 0")
        for name in ("kl_ab", "kl_ba", "total_variation"):
            self.assertEqual([summary[name][k] for k in ("mean", "max")], [0, 0])
        self.assertEqual((summary["same_top"], summary["rank_correlation"]["min"]), (1, 1))

    def test_a_truncation_is_told_by_the_mass_it_keeps(self):
        (self.folder / "two.json").write_text('{"top_k": 2}')
        tops = [sorted(range(8), key=lambda i: (-row[i], i))[:2] for row in SMALL]
        kept = [math.fsum(math.exp(log_softmax(row)[i]) for i in top)
                for row, top in zip(SMALL, tops)]
        summary = self.compare("small.npy --config-b two.json --targets t.txt")
        self.assertEqual(summary["kl_ab"]["infinite_rows"], 5)
        self.assertIsNone(summary["kl_ab"]["mean"])
        for name, values in (("kept_a", kept), ("kept_b", [1] * 5)):
            self.assertAlmostEqual(summary[name]["mean"], math.fsum(values) / 5, delta=1e-7)
            self.assertAlmostEqual(summary[name]["min"], min(values), delta=1e-7)
            self.assertAlmostEqual(summary[name]["max"], max(values), delta=1e-7)
        text = self.run_line(
            "pluck compare small.npy --config-b two.json --targets t.txt").decode()
        self.assertNotIn("inf ", text)
        self.assertRegex(text, r"mass of A kept by B +" + f"{math.fsum(kept) / 5:.4g} ")
        self.assertNotIn("mass of B kept by A", text)
        # Of the targets 1, 0, 2 and 7, the second and the third are kept, as is the first.
        self.assertRegex(text, r"perplexity B +inf: 1 of 4 targets are banned")
        swapped = self.run_line("pluck compare small.npy --config-a two.json").decode()
        self.assertIn("mass of B kept by A", swapped)
        self.assertRegex(swapped, r"row +KL\(A \|\| B\)")
        self.assertRegex(text, r"row +A kept by B")
        both = self.run_line("pluck compare small.npy other.npy").decode()
        self.assertNotIn("kept", both)

    def test_beyond_max_kl_the_status_is_1(self):
        mean = self.compare("small.npy other.npy")["kl_ab"]["mean"]
        self.compare(f"small.npy other.npy --max-kl {mean * 1.001}")
        self.compare(f"small.npy other.npy --max-kl {mean * 0.999}", code=1)
        self.assertIn("above --max-kl", self.stderr)

    def test_bans_are_infinite_and_counted(self):
        banned = [list(row) for row in SMALL]
        banned[0][3] = -INF
        (self.folder / "banned.npy").write_bytes(npy(banned))
        summary = self.compare("small.npy banned.npy --max-kl 1e300", code=1)
        self.assertEqual(summary["kl_ab"]["infinite_rows"], 1)
        self.assertIsNone(summary["kl_ab"]["mean"])
        self.assertIsNone(summary["kl_ab"]["max"])
        self.assertEqual(summary["kl_ab"]["median"], 0)
        self.assertEqual(summary["kl_ba"]["infinite_rows"], 0)
        p = math.exp(log_softmax(SMALL[0])[3])
        self.assertAlmostEqual(summary["kl_ba"]["max"], -math.log1p(-p), delta=1e-12)
        self.assertEqual(summary["worst"][0]["row"], 0)
        text = self.run_line("pluck compare small.npy banned.npy").decode()
        self.assertIn("KL(A || B) is infinite in 1 rows", text)

    def test_configurations_are_compared_by_what_they_draw_from(self):
        (self.folder / "hot.json").write_text('{"temperature": 2}')
        (self.folder / "k2.json").write_text('{"top_k": 2}')
        text = self.run_line("pluck compare small.npy --config-b hot.json -f csv").decode()
        for row, logits in zip(csv.DictReader(text.splitlines()), SMALL):
            expected = measures(logits, [v / 2 for v in logits])
            self.assertAlmostEqual(float(row["kl_ab"]), expected[0], delta=2e-6)
            self.assertAlmostEqual(float(row["total_variation"]), expected[2], delta=2e-6)
        summary = self.compare("small.npy --config-a k2.json --config-b hot.json")
        self.assertEqual(summary["kl_ba"]["infinite_rows"], 5)
        self.assertEqual(summary["kl_ab"]["infinite_rows"], 0)
        self.assertEqual((summary["a"], summary["b"]), ("k2.json", "hot.json"))
        same = self.compare("small.npy small.npy --config-a hot.json --config-b hot.json")
        self.assertEqual(same["kl_ab"]["max"], 0)

    def test_the_order_of_the_rows_changes_nothing_but_their_numbers(self):
        """Values of very different sizes, so that plain sums would differ."""
        rows = [[v * 1.7 ** (i % 23) / 50 for v in SMALL[i % 5]] for i in range(150)]
        turned = [[0.9 * v + 0.01 * (i % 7) * j for j, v in enumerate(row)]
                  for i, row in enumerate(rows)]
        targets = [i % 3 for i in range(150)]
        order = [i * 77 % 150 for i in range(150)]
        summaries = []
        for places in (range(150), order):
            for name, values in (("x", rows), ("y", turned)):
                (self.folder / f"{name}.npy").write_bytes(npy([values[i] for i in places]))
            (self.folder / "of.txt").write_text(" ".join(str(targets[i]) for i in places))
            summary = self.compare("x.npy y.npy --targets of.txt --worst 9 -q")
            for row in summary["worst"]:
                row["row"] = places[row["row"]]
            summaries.append(summary)
        self.assertEqual(*summaries)

    def test_any_number_of_threads_gives_the_same_bytes(self):
        (self.folder / "hot.json").write_text('{"temperature": 2, "typical_p": 0.9}')
        for line in ["logits.npy --config-b hot.json -f csv --targets targets.npy",
                     "logits.npy --config-a config.json --config-b hot.json -f json",
                     "gpt2.npy gpt2.npy --config-a hot.json --targets gpt2_targets.npy",
                     "small.npy other.npy --rows 1:3 -f csv --vocab vocab8.json",
                     "- other.npy -f csv < small.npy"]:
            one = self.run_line(f"pluck compare {line}")
            for n in (0, 2, 3, 7):
                self.assertEqual(self.run_line(f"pluck compare {line} --threads {n}"), one, line)

    def test_a_bad_row_ends_alike_with_any_threads(self):
        rows = [SMALL[i % 5] for i in range(400)]
        banned = [[-INF] * 8 if i in (290, 291, 399) else row for i, row in enumerate(rows)]
        (self.folder / "good.npy").write_bytes(npy(rows))
        (self.folder / "bad.npy").write_bytes(npy(banned))
        (self.folder / "of.txt").write_text("1 " * 290 + "8 " * 110)
        for line, said, n_before in [
                ("good.npy bad.npy", "row 290: the second row: every token is banned", 290),
                ("good.npy bad.npy --rows 295:", "row 399: the second row", 104),
                ("bad.npy --config-b config8.json --rows 100:", "row 290: ", 190),
                ("good.npy good.npy --targets of.txt", "target 290 is 8, outside", 290)]:
            one = self.run_line(f"pluck compare {line} -f csv", code=3), self.stderr
            self.assertIn(said, self.stderr)
            self.assertEqual(len(one[0].splitlines()), 1 + n_before)
            for n in (2, 5):
                many = self.run_line(f"pluck compare {line} -f csv --threads {n}", code=3)
                self.assertEqual((many, self.stderr), one, line)

    def test_streams_and_formats_mix(self):
        self.run_line("pluck convert other.npy -o other.jsonl --targets t.txt")
        expected = self.run_line("pluck compare small.npy other.npy --targets t.txt -f csv")
        line = "pluck compare small.npy - -f csv < other.jsonl"
        self.assertEqual(self.run_line(line), expected)
        line = "pluck compare - other.jsonl -f csv --rows 1:3 < small.npy"
        self.assertEqual(self.run_line(line).splitlines()[1:], expected.splitlines()[2:4])
        self.run_line("head -3 other.jsonl | pluck compare small.npy -", code=3)
        self.assertIn("standard input ended before row 3, small.npy has more rows", self.stderr)

    def test_two_texts_are_not_compared(self):
        for name, targets in (("x", "1 2 3 4 5"), ("y", "1 2 0 4 5")):
            (self.folder / "targets.txt").write_text(targets)
            self.run_line(f"pluck convert small.npy -o {name}.jsonl --targets targets.txt")
        self.run_line("pluck compare x.jsonl y.jsonl", code=3)
        self.assertIn("row 2 has the target 3 in x.jsonl, but 0 in y.jsonl", self.stderr)
        out = self.run_line("pluck compare x.jsonl y.jsonl --targets - -f csv < t.txt").decode()
        self.assertEqual([row["target"] for row in csv.DictReader(out.splitlines())],
                         ["1", "0", "2", "7", ""])

    def test_the_command_line_is_checked(self):
        for line, code, said in [
                ("small.npy", 2, "give --config-a"),
                ("- -", 2, "named more than once"),
                ("small.npy other.npy --max-kl x", 2, "is not a number"),
                ("small.npy other.npy --max-kl -1", 2, "is not a number"),
                ("small.npy other.npy --max-kl nan", 2, "is not a number"),
                ("small.npy logits.npy", 3, "has 8 values per row, logits.npy has 512"),
                ("logits.npy gpt2.npy", 3, "values per row"),
                ("small.npy one.npy", 3, "has 5 rows, one.npy has 1"),
                ("small.npy banned.npy", 3, "row 1: the second row: every token is banned"),
                ("inf.npy small.npy", 3, "row 2: the first row: the logit of token 5 is +inf"),
                ("small.npy other.npy --rows 9:", 3, "names none of its rows"),
                ("small.npy other.npy --rows 9", 3, "row 9 does not exist"),
                ("small.npy --config-b range.json", 3, "top_p"),
                ("small.npy none.npy", 4, "none.npy"),
                ("small.npy other.npy -o small.npy", 2, "is an input file too"),
                ("small.npy other.npy -o /dev/full", 4, "No space left"),
                ("small.npy other.npy --targets t8.txt", 3, "outside the vocabulary")]:
            (self.folder / "t8.txt").write_text("1 2 3 4 8")
            self.run_line("pluck compare " + line, code=code)
            self.assertIn(said, self.stderr)

    def test_real_rows_are_as_numpy_has_them(self):
        if numpy is None:
            self.skipTest("NumPy is not installed (Debian: python3-numpy)")
        self.run_line("pluck convert gpt2.npy -o half.npy --to-dtype f16")
        a = numpy.load(self.folder / "gpt2.npy").astype("f8")
        b = numpy.load(self.folder / "half.npy").astype("f8")

        def log_p(x):
            x = x - x.max(1, keepdims=True)
            return x - numpy.log(numpy.exp(x).sum(1, keepdims=True))
        x, y = log_p(a), log_p(b)
        kl_ab, kl_ba = (numpy.exp(x) * (x - y)).sum(1), (numpy.exp(y) * (y - x)).sum(1)
        variation = abs(numpy.exp(x) - numpy.exp(y)).sum(1) / 2
        summary = self.compare("gpt2.npy half.npy")
        for name, values in (("kl_ab", kl_ab), ("kl_ba", kl_ba), ("total_variation", variation)):
            got = summary[name]
            self.assertAlmostEqual(got["mean"], values.mean(), delta=1e-12)
            for key, level in (("p1", 1), ("p5", 5), ("median", 50), ("p95", 95), ("p999", 99.9)):
                self.assertAlmostEqual(got[key], numpy.percentile(values, level), delta=1e-12)

    def test_a_vocabulary_shows_the_texts(self):
        summary = self.compare("small.npy other.npy --vocab vocab8.json --targets t.txt --worst 9")
        self.assertEqual(len(summary["worst"]), 5)
        self.assertTrue(all("text_a" in w and "text_b" in w for w in summary["worst"]))
        text = self.run_line("pluck compare small.npy other.npy --vocab vocab8.json").decode()
        self.assertNotIn("\x1b", text)


if __name__ == "__main__":
    main()
