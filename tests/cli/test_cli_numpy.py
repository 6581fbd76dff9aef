#!/usr/bin/env python3
"""Why: the tokens must have the distribution that the configuration says, computed here a second
time by NumPy in double precision from the dump itself.

    test_cli_numpy.py --pluck PLUCK [TEST...]
"""
import json
import math
import pathlib
import sys

try:
    import numpy as np
except ImportError:
    print("skipped: python3-numpy is not installed")
    sys.exit(77)

from command_case import CommandCase, main  # noqa: E402

DATA = pathlib.Path(__file__).resolve().parent.parent / "data"

# A correct sampler fails less than once in 10^6 runs; the seeds are fixed besides.
P_MIN = 1e-6


def chi_square_tail(x, dof):
    """P(chi-square with dof degrees of freedom > x): the recursion of the incomplete gamma function
    Q(a + 1, y) = Q(a, y) + y^a e^-y / Gamma(a + 1) (DLMF 8.8.6), from Q(1/2, y) = erfc(sqrt y) or
    Q(1, y) = e^-y."""
    y = x / 2
    a = 0.5 if dof % 2 else 1.0
    tail = math.erfc(math.sqrt(y)) if dof % 2 else math.exp(-y)
    while a < dof / 2:
        tail += math.exp(a * math.log(y) - y - math.lgamma(a + 1))
        a += 1
    return tail


def final_distribution(logits, temperature, top_k, top_p):
    """top_k, then top_p, then temperature, ties to the lower token."""
    logits = logits.astype(np.float64)
    kept = np.lexsort((np.arange(logits.size), -logits))[:top_k]
    p = np.exp(logits[kept] - logits[kept[0]])
    n = np.searchsorted(np.cumsum(p / p.sum()), top_p) + 1
    kept = kept[:n]
    p = np.exp((logits[kept] - logits[kept[0]]) / temperature)
    return kept, p / p.sum()


class AgreesWithNumpy(CommandCase):
    def lines(self, line):
        return [json.loads(x) for x in self.run_line(line).splitlines()]

    def test_the_tail_is_that_of_chi_square(self):
        for x, dof, tail in ((3.841458820694124, 1, 0.05), (5.991464547107979, 2, 0.05),
                             (18.307038053275146, 10, 0.05), (29.141237740672796, 14, 0.01)):
            self.assertAlmostEqual(chi_square_tail(x, dof), tail, places=12)

    def test_temperature_0_is_the_arg_max_of_every_row(self):
        for name in ("logits", "gpt2"):
            logits = np.load(self.folder / f"{name}.npy")
            drawn = self.lines(f"pluck sample {name}.npy --temperature 0 --format json")
            self.assertEqual([d["token"] for d in drawn], logits.argmax(axis=1).tolist())
            self.assertEqual([d["row"] for d in drawn], list(range(len(logits))))

    def check_draws(self, name, row, n):
        logits = np.load(self.folder / f"{name}.npy")[row]
        tokens, p = final_distribution(logits, 0.8, 40, 0.95)
        line = (f"pluck sample {name}.npy --rows {row} --draws {n} --temperature 0.8 --top-k 40 "
                "--top-p 0.95 --seed 1 --format csv -o draws.csv")
        self.run_line(line)
        table = np.loadtxt(self.folder / "draws.csv", delimiter=",", skiprows=1)
        self.assertEqual(table[:, 1].tolist(), list(range(n)))
        self.assertEqual(set(table[:, 4]), {float(len(tokens))})

        logprob = dict(zip(tokens.tolist(), np.log(p)))
        for token, value in {(int(t), v) for t, v in table[:, 2:4]}:
            self.assertAlmostEqual(value, logprob[token], delta=2e-6)

        counts = np.bincount(table[:, 2].astype(int), minlength=logits.size)[tokens]
        self.assertEqual(counts.sum(), n)
        # Cells with fewer than ten expected draws are one cell together.
        small = p * n < 10
        expected = np.append(p[~small] * n, p[small].sum() * n)
        observed = np.append(counts[~small], counts[small].sum())
        used = expected > 0
        x = float(((observed - expected)[used] ** 2 / expected[used]).sum())
        self.assertGreater(used.sum(), 5)
        self.assertGreater(chi_square_tail(x, int(used.sum()) - 1), P_MIN, f"{line}: {x}")

    def test_a_million_draws_pass_chi_square(self):
        self.check_draws("logits", 22, 1000000)

    def test_draws_from_a_large_vocabulary_pass_chi_square(self):
        self.check_draws("gpt2", 2, 30000)

    def test_entropy_is_that_of_the_final_distribution(self):
        logits = np.load(self.folder / "gpt2.npy")
        for row in range(len(logits)):
            _, p = final_distribution(logits[row], 0.8, 40, 0.95)
            shown = json.loads(self.run_line(
                f"pluck inspect gpt2.npy --row {row} --temperature 0.8 --top-k 40 --top-p 0.95 "
                "--format json"))
            self.assertAlmostEqual(shown["entropy"], float(-(p * np.log(p)).sum()), delta=1e-5)
            self.assertEqual(shown["survivors"], len(p))
            np.testing.assert_allclose([t["prob"] for t in shown["top"]], p[:20], rtol=1e-5)


if __name__ == "__main__":
    main()
