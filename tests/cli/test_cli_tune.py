#!/usr/bin/env python3
"""Why: a fitted temperature is believed because a program printed it. Every number that tune prints
is computed here a second time, by NumPy in double precision, from the dump itself, by formulas that
share nothing with the library's; and wrong inputs must be refused by row and token.

    test_cli_tune.py --pluck PLUCK [--dump DUMP --targets FILE] [TEST...]

With --dump the comparison is made with that dump instead of the shipped ones.
"""
import json
import pathlib
import re
import signal
import struct
import subprocess
import sys
import time

try:
    import numpy as np
except ImportError:
    print("skipped: python3-numpy is not installed")
    sys.exit(77)

import command_case  # noqa: E402
from command_case import CommandCase, main  # noqa: E402

CASES = [("logits.npy", "targets.npy"), ("gpt2.npy", "gpt2_targets.npy")]


def moments(z, y, t):
    """Of each row at temperature t: ln Z, E z, Var z, entropy, NLL, Brier, confidence, correct."""
    z = z.astype(np.float64)
    z = z - z.max(axis=1, keepdims=True)
    x = z / t
    e = np.exp(x)
    total = e.sum(axis=1)
    p = e / total[:, None]
    shifted = np.where(p > 0, z, 0)
    mean = (p * shifted).sum(axis=1)
    variance = (p * (shifted - mean[:, None]) ** 2).sum(axis=1)
    log_z = np.log(total)
    rows = np.arange(len(y))
    target = z[rows, y]
    nll = log_z - target / t
    brier = (p ** 2).sum(axis=1) - 2 * p[rows, y] + 1
    return {"nll": nll, "entropy": log_z - mean / t, "brier": brier, "confidence": p.max(axis=1),
            "correct": z.argmax(axis=1) == y, "slope": mean - target, "variance": variance}


def binned(confidence, correct, n=15, left=False, mass=False):
    """Which rows are in which bin."""
    if mass:
        order = np.lexsort((correct, confidence))
        return np.array_split(order, n)
    edges = np.arange(n + 1) / n
    b = np.digitize(confidence, edges, right=not left) - 1
    return [np.flatnonzero(np.clip(b, 0, n - 1) == i) for i in range(n)]


def ece(m, **kind):
    groups = binned(m["confidence"], m["correct"], **kind)
    return sum(abs(m["correct"][g].mean() - m["confidence"][g].mean()) * len(g)
               for g in groups if len(g)) / len(m["correct"])


def root(function, low, high, steps=40):
    """Of a falling function, by bisection in log T."""
    low, high = np.log(low), np.log(high)
    for _ in range(steps):
        middle = (low + high) / 2
        low, high = (middle, high) if function(np.exp(middle)) > 0 else (low, middle)
    return float(np.exp(low))


class TuneAgreesWithNumpy(CommandCase):
    def load(self, dump, targets):
        return np.load(self.folder / dump), np.load(self.folder / targets)

    def tune(self, dump, targets, flags=""):
        named = f"--targets {targets}" if targets else ""
        shown = json.loads(self.run_line(f"pluck tune {dump} {named} --format json {flags}",
                                         code=(0, 1)))
        self.assertEqual(self.code, 0 if shown["limit"] == "inside" else 1)
        return shown

    def check_statistics(self, z, y, shown, **kind):
        for when, t in (("before", 1.0), ("after", shown["temperature"])):
            m = moments(z, y, t)
            expected = {"nll": m["nll"].mean(), "perplexity": np.exp(m["nll"].mean()),
                        "brier": m["brier"].mean(), "ece": ece(m, **kind),
                        "entropy": m["entropy"].mean(), "confidence": m["confidence"].mean(),
                        "effective": np.exp(m["entropy"]).mean()}
            for name, value in expected.items():
                found = shown[f"{name}_{when}"]
                self.assertLess(abs(found - value), 1e-6 * max(1, value), f"{name} {when}")
            for g, b in zip(binned(m["confidence"], m["correct"], **kind), shown[f"bins_{when}"]):
                self.assertEqual(b["rows"], len(g))
                if len(g):
                    self.assertAlmostEqual(b["accuracy"], m["correct"][g].mean(), places=12)
                    self.assertAlmostEqual(b["confidence"], m["confidence"][g].mean(), delta=1e-6)
            for part in shown["positions"]:
                rows = slice(part["first"], part["end"])
                for name in ("nll", "entropy", "confidence"):
                    self.assertAlmostEqual(part[f"{name}_{when}"], m[name][rows].mean(),
                                           delta=2e-6)
        self.assertEqual(shown["rows"], len(y))
        self.assertEqual(shown["accuracy"], m["correct"].mean())

    def test_nll_is_least_at_the_fitted_temperature(self):
        for dump, targets in CASES:
            z, y = self.load(dump, targets)
            shown = self.tune(dump, targets)
            expected = root(lambda t: moments(z, y, t)["slope"].mean(), 0.05, 20)
            self.assertAlmostEqual(shown["temperature"], expected, delta=1e-6)
            self.check_statistics(z, y, shown)
            m = moments(z, y, expected)
            if shown["limit"] != "inside":
                self.assertIsNone(shown["standard_error"])
                continue
            error = expected ** 2 * np.sqrt((m["slope"] ** 2).sum()) / m["variance"].sum()
            self.assertAlmostEqual(shown["standard_error"], error, delta=1e-5)
            for point in shown["curve"][::4]:
                value = moments(z, y, point["temperature"])["nll"].mean()
                self.assertLess(abs(point["value"] - value), 2e-6 * max(1, value))

    def test_bins_follow_the_convention_that_is_asked_for(self):
        for flags, kind in (("--bins 10", {"n": 10}), ("--bin-edges left", {"left": True}),
                            ("--equal-mass", {"mass": True}),
                            ("--equal-mass --bins 7", {"n": 7, "mass": True})):
            for dump, targets in CASES:
                z, y = self.load(dump, targets)
                self.check_statistics(z, y, self.tune(dump, targets, flags), **kind)

    def test_brier_score_is_least_at_the_fitted_temperature(self):
        z, y = self.load(*CASES[0])

        def slope(t, h=1e-5):
            return moments(z, y, t * (1 - h))["brier"].mean() - \
                moments(z, y, t * (1 + h))["brier"].mean()
        shown = self.tune(*CASES[0], "--objective brier")
        self.assertAlmostEqual(shown["temperature"], root(slope, 0.3, 3), delta=1e-5)

    def test_ece_is_least_on_the_grids(self):
        z, y = self.load(*CASES[0])
        shown = self.tune(*CASES[0], "--objective ece")
        self.assertAlmostEqual(shown["ece_after"], ece(moments(z, y, shown["temperature"])),
                               delta=1e-6)
        best = min(ece(moments(z, y, t)) for t in np.exp(np.linspace(np.log(0.05), np.log(20), 33)))
        self.assertLessEqual(shown["ece_after"], best + 1e-6)

    def test_means_are_met(self):
        for dump, targets in CASES:
            z, y = self.load(dump, targets)
            for name, value, of in (
                    ("entropy", 1.5, lambda m: m["entropy"].mean()),
                    ("perplexity", 4, lambda m: np.exp(m["entropy"].mean())),
                    ("diversity", 12, lambda m: np.exp(m["entropy"]).mean())):
                shown = self.tune(dump, None, f"--objective {name}={value}")
                expected = root(lambda t: value - of(moments(z, y, t)), 0.05, 20)
                self.assertAlmostEqual(shown["temperature"], expected, delta=1e-6, msg=name)
                self.assertIsNone(shown["nll_before"])

    def test_halves_are_fitted_apart(self):
        z, y = self.load(*CASES[0])
        shown = self.tune(*CASES[0], "--cross-validate")["cross_validation"]
        held_out = []
        for half, name in ((0, "even"), (1, "odd")):
            t = root(lambda t: moments(z[half::2], y[half::2], t)["slope"].mean(), 0.05, 20)
            self.assertAlmostEqual(shown[f"temperature_{name}"], t, delta=1e-6)
            held_out += list(moments(z[1 - half::2], y[1 - half::2], t)["nll"])
        self.assertAlmostEqual(shown["nll_after"], np.mean(held_out), delta=1e-6)

    def test_interval_is_that_of_a_bootstrap(self):
        z, y = self.load(*CASES[0])
        shown = self.tune(*CASES[0], "--bootstrap 4000")
        rng = np.random.default_rng(1)
        fits = []
        for _ in range(200):
            pick = rng.integers(0, len(y), len(y))
            fits.append(root(lambda t: moments(z[pick], y[pick], t)["slope"].mean(), 0.3, 3,
                             steps=14))
        width = shown["interval_high"] - shown["interval_low"]
        self.assertAlmostEqual(shown["interval_low"], np.quantile(fits, 0.025), delta=0.2 * width)
        self.assertAlmostEqual(shown["interval_high"], np.quantile(fits, 0.975), delta=0.2 * width)

    def test_truncations_keep_what_brute_force_keeps(self):
        for dump, targets in CASES:
            z, y = self.load(dump, targets)
            z = z.astype(np.float64)
            shown = self.tune(dump, targets)["truncation"]
            p = np.exp(z - z.max(axis=1, keepdims=True))
            p /= p.sum(axis=1, keepdims=True)
            order = np.argsort(-z, axis=1, kind="stable")
            q = np.take_along_axis(p, order, axis=1)
            rank = (order == y[:, None]).argmax(axis=1)
            before = np.cumsum(q, axis=1) - q
            distance = z.max(axis=1, keepdims=True) - z
            deviation = z.std(axis=1, keepdims=True)
            rows = np.arange(len(y))

            def kept(stage, setting):
                sorted_distance = np.take_along_axis(distance, order, axis=1)
                return {"top_p": before < setting,
                        "min_p": np.exp(-sorted_distance) >= setting * (1 - 1e-12),
                        "top_k": np.arange(z.shape[1])[None, :] < setting + np.zeros_like(q),
                        "top_n_sigma": sorted_distance <= setting * deviation}[stage]
            for cut in shown["curve"]:
                mask = kept(cut["stage"], cut["setting"])
                self.assertEqual(cut["target_kept"], mask[rows, rank].mean(), cut)
                self.assertAlmostEqual(cut["tokens_kept"], mask.sum(axis=1).mean(), places=9)
                self.assertAlmostEqual(cut["mass_kept"], (q * mask).sum(axis=1).mean(), delta=1e-6)
            for stage, setting in shown["needed"].items():
                tighter = {"top_p": setting - 3e-6, "min_p": setting * (1 + 3e-6),
                           "top_k": setting - 1, "top_n_sigma": setting - 3e-6}[stage]
                part = [kept(stage, s)[rows, rank].mean() for s in (setting, tighter)]
                self.assertGreaterEqual(part[0], 0.99, stage)
                if rank.max() > 0:
                    self.assertLess(part[1], 0.99, stage)

    def test_library_keeps_the_target_at_the_setting_found(self):
        y = np.load(self.folder / "targets.npy")
        self.run_line("pluck tune logits.npy --targets targets.npy --keep 1 --truncate top_p "
                      "-o c.json")
        for row in range(len(y)):
            shown = json.loads(self.run_line(
                f"pluck inspect logits.npy -r {row} -c c.json --format json --top 512"))
            self.assertIn(y[row], [t["token"] for t in shown["top"]])


class TuneIsRobust(CommandCase):
    def test_results_do_not_depend_on_threads_or_instruction_set(self):
        for flags in ("", "--objective brier", "--equal-mass", "--objective diversity=5"):
            line = f"pluck tune gpt2.npy --targets gpt2_targets.npy --format json {flags}"
            expected = self.run_line(line, code=(0, 1))
            code = self.code
            for more in ("--threads 3", "--threads 0", "--isa scalar"):
                self.assertEqual(self.run_line(f"{line} {more}", code=code), expected, more)

    def write(self, name, rows):
        np.save(self.folder / name, np.array(rows))

    def refused(self, flags, *parts, code=3):
        self.run_line(f"pluck tune {flags}", code=code)
        for part in parts:
            self.assertIn(part, self.stderr)
        self.assertEqual(sum(": warning: " not in line for line in self.stderr.splitlines()), 1)

    def test_wrong_input_is_named(self):
        z = np.load(self.folder / "logits.npy")
        y = np.load(self.folder / "targets.npy")
        bad = y.copy()
        bad[7] = 512
        self.write("bad.npy", bad)
        self.refused("logits.npy --targets bad.npy", "row 7", "target 512", "512 tokens")
        self.write("short.npy", y[:-1])
        self.refused("logits.npy --targets short.npy", "63 targets", "64 rows")
        nan = z.copy()
        nan[5, 17] = np.nan
        self.write("nan.npy", nan)
        self.refused("nan.npy --targets targets.npy", "nan.npy", "row 5", "token 17", "NaN")
        never = z.copy()
        never[3, y[3]] = -np.inf
        self.write("never.npy", never)
        self.refused("never.npy --targets targets.npy", "row 3", f"token {y[3]}", "-inf")
        nothing = z.copy()
        nothing[9] = -np.inf
        self.write("nothing.npy", nothing)
        self.refused("nothing.npy --objective entropy=1", "row 9", "-inf")
        self.refused("logits.npy", "nll needs targets")
        np.savez_compressed(self.folder / "packed.npz", z)
        for dump in ("- < logits.npy", "packed.npz"):
            self.refused(f"--targets targets.npy {dump}", "can be read only once", "pluck convert")
        self.refused("logits.npy --objective entropy", "entropy=H", code=2)
        self.refused("logits.npy --objective entropy=2,5", "expected nll", "decimal point", code=2)
        self.refused("logits.npy --objective perplexity=0.5", "perplexity", "at least 1")
        self.refused("logits.npy --targets targets.npy --keep 2", "--keep", code=2)
        self.refused("logits.npy --targets targets.npy -o a.x --svg a.x", "a.x", code=2)
        self.refused("logits.npy --targets targets.npy -o logits.npy", "input", code=2)
        self.assertEqual(self.names(), sorted(set(self.names()) - {"a.x"}))

    def test_rows_without_a_target_are_left_out(self):
        y = np.load(self.folder / "targets.npy")
        z = np.load(self.folder / "logits.npy")
        some = y.copy()
        some[::3] = -100
        self.write("some.npy", some)
        self.write("z.npy", z[some >= 0])
        self.write("y.npy", some[some >= 0])
        part = json.loads(self.run_line("pluck tune logits.npy --targets some.npy --format json"))
        alone = json.loads(self.run_line("pluck tune z.npy --targets y.npy --format json"))
        for name in ("temperature", "nll_after", "ece_after", "rows", "truncation"):
            self.assertEqual(part[name], alone[name], name)

    def test_separable_and_hopeless_targets_end_at_a_limit(self):
        z = np.load(self.folder / "logits.npy")
        for targets, t, limit in ((z.argmax(axis=1), 0.05, "at_min"),
                                  (z.argmin(axis=1), 20, "at_max")):
            self.write("t.npy", targets)
            for objective in ("nll", "brier"):
                shown = json.loads(self.run_line(
                    f"pluck tune logits.npy --targets t.npy --format json --objective {objective}",
                    code=1))
                self.assertEqual((shown["temperature"], shown["limit"]), (t, limit), objective)
                self.assertIsNone(shown["interval_low"])
            text = self.run_line("pluck tune logits.npy --targets t.npy", code=1).decode()
            self.assertIn("that is tried", text)

    def test_constant_rows_have_no_favourite(self):
        self.write("flat.npy", np.zeros((6, 9), np.float32))
        self.write("t.npy", np.arange(6))
        shown = json.loads(self.run_line("pluck tune flat.npy --targets t.npy --format json"))
        self.assertEqual((shown["temperature"], shown["limit"]), (1, "inside"))
        self.assertAlmostEqual(shown["nll_after"], np.log(9), places=6)

    def test_banned_tokens_and_huge_logits_count_as_they_should(self):
        rows = np.full((3, 70), -np.inf, np.float32)
        rows[:, :3] = [[3e38, 3e38, -3e38], [-3e38, -3e38, -3e38], [1, 2, 3]]
        self.write("odd.npy", rows)
        self.write("t.npy", [0, 2, 1])
        shown = json.loads(self.run_line("pluck tune odd.npy --targets t.npy -f json", code=1))
        m = moments(rows[2:].astype(np.float64), np.array([1]), 1)
        self.assertAlmostEqual(shown["nll_before"],
                               (np.log(2) + np.log(3) + m["nll"][0]) / 3, places=6)

    def test_the_configuration_is_ready(self):
        self.run_line("pluck tune logits.npy --targets targets.npy --top-k 50 --truncate min_p "
                      "-o c.json")
        self.run_line("pluck config check c.json")
        config = json.loads((self.folder / "c.json").read_text())
        self.assertEqual(set(config), {"top_k", "min_p", "temperature"})
        self.run_line("pluck sample logits.npy -c c.json")

    def test_files_are_drawn(self):
        self.run_line("pluck tune logits.npy --targets targets.npy --svg c.svg --csv c.csv -q")
        svg = (self.folder / "c.svg").read_text()
        self.assertEqual(svg.count("<svg"), svg.count("</svg>"))
        self.assertNotRegex(svg, r"nan|inf[^o]")
        for number in re.findall(r'c[xy]="([0-9.]+)"', svg):
            self.assertTrue(0 <= float(number) <= 360)
        lines = (self.folder / "c.csv").read_text().splitlines()
        self.assertTrue(all(line.count(",") == 5 for line in lines))
        self.assertGreater(len(lines), 70)

    def test_an_interrupted_run_leaves_nothing(self):
        rows = struct.pack("<512f", *(float(i % 37) for i in range(512)))
        (self.folder / "long.raw").write_bytes(rows * 60000)
        (self.folder / "t.txt").write_text("36 " * 60000)
        before = self.names()
        run = subprocess.Popen(
            [command_case.PLUCK, "tune", "long.raw", "--vocab-size", "512", "--targets", "t.txt",
             "-o", "c.json", "--svg", "c.svg"],
            cwd=self.folder, stdout=subprocess.PIPE, env=self.env)
        time.sleep(0.3)
        run.send_signal(signal.SIGINT)
        out, _ = run.communicate(timeout=60)
        self.assertEqual((run.returncode, out), (-signal.SIGINT, b""))
        self.assertEqual(self.names(), before)


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


class DoubtsAreSaid(CommandCase):
    """Wrong inputs that can be read all the same: each command that would misreport them says so.
    Rows are made up, with targets drawn from them, so that the truth is known."""
    FEW = "rows are few"
    SHIFT = "are the targets shifted, or of another text?"
    NEXT = "fits the target of row r + 1 better"
    PREVIOUS = "fits the target of row r - 1 better"
    NO_SHIFT = "A shift by one row does not fit better"
    PROBS = "look like probabilities"
    NEGATED = "look like negated log-probabilities"
    SIGNS = "look like log-probabilities, which are all below 0"
    LOWEST = "no temperature from 0.05 to 20 is best: below 0.05"
    HIGHEST = "no temperature from 0.05 to 20 is best: above 20"
    FLAT = "every temperature gives the same"
    OFF = "unless it keeps every token"
    ALL = (FEW, SHIFT, NEXT, PREVIOUS, NO_SHIFT, PROBS, NEGATED, SIGNS, LOWEST, HIGHEST, FLAT,
           "cannot be reached", OFF, "cross-validation: the fit")

    def setUp(self):
        super().setUp()
        rng = np.random.default_rng(7)
        z = (3 * rng.normal(size=(400, 50))).astype(np.float32)
        self.z = z
        self.y = (z + rng.gumbel(size=z.shape)).argmax(axis=1)
        sharp = (5 * z + 5 * rng.gumbel(size=z.shape)).argmax(axis=1)
        p = softmax(z.astype(np.float64))
        unlikely = p.argmin(axis=1)
        save = {"z": z, "y": self.y, "first": z[:99], "first_y": self.y[:99],
                "enough": z[:100], "enough_y": self.y[:100],
                "late": np.roll(self.y, 1), "early": np.roll(self.y, -1), "sharp": 5 * z,
                "sharp_y": sharp, "p": p.astype(np.float32), "p16": p.astype(np.float16),
                "lp": np.log(p).astype(np.float32), "nlp": -np.log(p).astype(np.float32),
                "two": np.stack([z[:, :2].max(axis=1), z[:, :2].min(axis=1)], 1),
                "best": z.argmax(axis=1), "worst": unlikely, "flat": np.zeros_like(z),
                "odd": np.where(np.arange(400) % 2, z.argmax(axis=1), self.y)}
        # One target in fifty that no setting but "off" keeps.
        save["lost_y"] = np.where(np.arange(400) % 50, self.y, unlikely)
        save["lost"] = z * np.where(np.arange(400) % 50, 1, 40)[:, None].astype(np.float32)
        for name, rows in save.items():
            np.save(self.folder / f"{name}.npy", rows)

    def check(self, line, code, expected):
        self.run_line(f"pluck {line}", code=code)
        for text in self.ALL:
            self.assertEqual(text in self.stderr, text in expected,
                             f"{line}: {text!r} in {self.stderr}")
        return [line.split(": warning: ", 1)[1] for line in self.stderr.splitlines()
                if ": warning: " in line]

    def test_tune_says_what_is_doubtful_and_writes_no_configuration_without_an_answer(self):
        low = "--objective perplexity=1.0000001"
        lost = "lost.npy --targets lost_y.npy --objective entropy=1"
        for line, code, expected in (
                ("z.npy --targets y.npy", 0, ()),
                ("enough.npy --targets enough_y.npy", 0, ()),
                ("first.npy --targets first_y.npy", 0, (self.FEW,)),
                ("z.npy --targets y.npy -r :99", 0, (self.FEW,)),
                ("z.npy --objective entropy=1 -r :99", 0, (self.FEW,)),
                # Rows are independent: a target of another row is as likely as chance.
                ("z.npy --targets late.npy", 1, (self.SHIFT, self.NEXT, self.HIGHEST)),
                ("z.npy --targets early.npy", 1, (self.SHIFT, self.PREVIOUS, self.HIGHEST)),
                ("z.npy --targets late.npy --objective brier", 1,
                 (self.SHIFT, self.NEXT, self.HIGHEST)),
                ("z.npy --targets late.npy --objective entropy=1", 0, (self.SHIFT, self.NEXT)),
                ("sharp.npy --targets sharp_y.npy", 0, (self.SHIFT, self.NO_SHIFT)),
                ("p.npy --targets y.npy", 0, (self.PROBS,)),
                ("p16.npy --targets y.npy", 0, (self.PROBS,)),
                ("p.npy --objective entropy=1", 0, (self.PROBS,)),
                ("nlp.npy --targets y.npy", 1,
                 (self.NEGATED, self.SHIFT, self.NO_SHIFT, self.HIGHEST)),
                ("lp.npy --targets y.npy", 0, ()),
                ("lp.npy --targets y.npy --repeat-penalty 1", 0, ()),
                ("lp.npy --targets y.npy --repeat-penalty 1.2", 0, (self.SIGNS,)),
                ("z.npy --targets best.npy", 1, (self.LOWEST,)),
                ("z.npy --targets best.npy --objective brier", 1, (self.LOWEST,)),
                ("z.npy --targets best.npy --objective ece", 1, (self.LOWEST,)),
                ("z.npy --targets worst.npy", 1, (self.HIGHEST, self.SHIFT, self.NO_SHIFT)),
                ("z.npy --targets odd.npy --cross-validate", 0, ("cross-validation: the fit",)),
                ("z.npy --objective entropy=4", 1, ("cannot be reached",)),
                ("z.npy --objective perplexity=50.1", 1, ("cannot be reached",)),
                ("z.npy --objective diversity=51", 1, ("cannot be reached",)),
                (f"z.npy {low}", 1, ("cannot be reached",)),
                ("flat.npy --targets y.npy", 0, (self.FLAT, )),
                ("flat.npy --targets y.npy --objective brier", 0, (self.FLAT, )),
                ("flat.npy --targets y.npy --objective ece", 1, (self.FLAT, )),
                (f"{lost} --truncate top_p --keep 0.9", 0, (self.SHIFT, self.NO_SHIFT)),
                (f"{lost} --truncate top_p --keep 1", 1, (self.SHIFT, self.NO_SHIFT, self.OFF)),
                (f"{lost} --truncate top_k --keep 1", 1, (self.SHIFT, self.NO_SHIFT, self.OFF)),
                (f"{lost} --keep 1", 0, (self.SHIFT, self.NO_SHIFT))):
            warnings = self.check(f"tune {line} --bootstrap 0 -o c.json", code, expected)
            has_answer = self.code == 0
            self.assertEqual("c.json" in self.names(), has_answer, line)
            (self.folder / "c.json").unlink(missing_ok=True)
            shown = json.loads(self.run_line(f"pluck tune {line} --bootstrap 0 -f json",
                                             code=self.code))
            self.assertEqual(shown["warnings"], [w.split(": ", 1)[1] for w in warnings])
            self.assertEqual(list(shown)[-2:], ["config", "warnings"])
            self.assertEqual(shown["config"] is not None, has_answer)
            if not has_answer:
                (self.folder / "c.json").write_text("before")
                self.run_line(f"pluck tune {line} --bootstrap 0 -o c.json --csv c.csv", code=1)
                self.assertEqual((self.folder / "c.json").read_text(), "before")
                self.assertIn("c.json is not written", self.stderr)
                (self.folder / "c.json").unlink()

    def test_other_commands_say_what_is_doubtful(self):
        (self.folder / "penal.json").write_text('{"repeat_penalty": 1.3}')
        (self.folder / "top.json").write_text('{"top_k": 5}')
        head = np.random.default_rng(8).normal(size=(50, 4)).astype(np.float32) * 20
        hidden = np.random.default_rng(9).normal(size=(400, 4)).astype(np.float32)
        np.save(self.folder / "head.npy", head)
        np.save(self.folder / "hidden.npy", hidden)
        np.save(self.folder / "head_y.npy", (hidden @ head.T).argmax(axis=1).astype(np.int32))
        np.save(self.folder / "head_bad.npy", (hidden @ head.T).argmin(axis=1).astype(np.int32))
        for line, expected in (
                ("sample z.npy", ()), ("sample p.npy", (self.PROBS,)),
                ("sample lp.npy", ()), ("sample lp.npy -c penal.json", (self.SIGNS,)),
                ("sample nlp.npy -r 3", (self.NEGATED,)), ("sample z.npy p16.npy", (self.PROBS,)),
                ("inspect p.npy", (self.PROBS,)), ("inspect z.npy", ()),
                ("inspect lp.npy -c penal.json -r 9", (self.SIGNS,)),
                ("compare z.npy p.npy", (self.PROBS,)), ("compare z.npy lp.npy", ()),
                ("compare z.npy sharp.npy --targets y.npy", ()),
                ("compare z.npy sharp.npy --targets late.npy", (self.SHIFT, self.NEXT)),
                ("compare z.npy sharp.npy --targets early.npy", (self.SHIFT, self.PREVIOUS)),
                ("compare z.npy --targets late.npy --config-a top.json", (self.SHIFT, self.NEXT)),
                ("compare z.npy --targets y.npy --config-a top.json", ()),
                ("report p.npy --targets y.npy -o r.html", (self.PROBS,)),
                ("report p.npy -o r.html", (self.PROBS,)), ("report z.npy -o r.html", ()),
                ("report z.npy --targets late.npy -o r.html",
                 (self.SHIFT, self.NEXT, self.HIGHEST)),
                ("report z.npy --targets best.npy -o r.html", (self.LOWEST,)),
                ("tree eval head.npy hidden.npy head_y.npy", ()),
                ("tree eval head.npy hidden.npy head_bad.npy", (self.SHIFT,))):
            self.check(line, 0, expected)
        shown = json.loads(self.run_line(
            "pluck compare z.npy sharp.npy --targets late.npy -f json"))
        self.assertIn(self.NEXT, shown["warnings"][0])
        self.assertEqual(json.loads(self.run_line("pluck compare z.npy p16.npy -f json"))
                         ["warnings"], [])


def take_own_case():
    """--dump and --targets: absolute paths instead of the shipped data."""
    for i, flag in enumerate(("--dump", "--targets")):
        if flag in sys.argv:
            at = sys.argv.index(flag)
            path = str(pathlib.Path(sys.argv[at + 1]).resolve())
            del sys.argv[at:at + 2]
            CASES[:] = [tuple(path if j == i else old for j, old in enumerate(CASES[0]))]


if __name__ == "__main__":
    take_own_case()
    main()
