#!/usr/bin/env python3
"""Stored distributions of pluck against NumPy, in one process, by turns.

    bench_weighted_numpy.py --library LIBPLUCK [--entries LIST] [--json FILE] [--quick]

NumPy's Generator.choice builds a table of cumulated probabilities at every call and searches it;
"choice" is that, a million draws a call so that building weighs little, and "searchsorted" the
search alone on a table that is kept. Exit status 77 if NumPy is not installed.
"""
import argparse
import ctypes
import json
import statistics
import sys
import time

try:
    import numpy
except ImportError:
    print("skipped: NumPy is not installed (Debian: python3-numpy)")
    sys.exit(77)

N_DRAWS = 1_000_000


class Weights(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("dtype", ctypes.c_int), ("n", ctypes.c_uint32)]


def alias_of(library, weights):
    """A function that draws N_DRAWS entries from an alias table."""
    table, rng = ctypes.c_void_p(), (ctypes.c_uint64 * 4)(1, 2, 3, 5)
    drawn = numpy.empty(N_DRAWS, numpy.uint32)
    alias, f64 = 0, 3
    status = library.pluck_weighted_create(
        ctypes.byref(table), alias, Weights(weights.ctypes.data, f64, len(weights)), None, None)
    if status != 0:
        raise RuntimeError(f"pluck_weighted_create: status {status}")

    def draw():
        library.pluck_weighted_draw(table, rng, ctypes.c_size_t(N_DRAWS),
                                    ctypes.c_void_p(drawn.ctypes.data), None)

    return draw


def subjects_of(library, n):
    generator = numpy.random.Generator(numpy.random.PCG64(7))
    weights = 1.0 / numpy.arange(1, n + 1)
    generator.shuffle(weights)
    p = weights / weights.sum()
    cumulated = numpy.cumsum(p)
    return {
        "alias": alias_of(library, weights),
        "choice": lambda: generator.choice(n, size=N_DRAWS, p=p),
        "searchsorted": lambda: numpy.searchsorted(cumulated, generator.random(N_DRAWS)),
    }


def measure(subjects, n_repetitions):
    times = {name: [] for name in subjects}
    for repetition in range(n_repetitions + 1):
        for name, run in subjects.items():
            start = time.thread_time_ns()
            run()
            if repetition > 0:  # the first warms up
                times[name].append((time.thread_time_ns() - start) / N_DRAWS)
    return times


def spread(values):
    tenths = statistics.quantiles(values, n=10)
    return {"median": statistics.median(values), "p10": tenths[0], "p90": tenths[-1]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--library", required=True)
    parser.add_argument("--entries", default="1000,10000,131072,1000000")
    parser.add_argument("--json")
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    library = ctypes.CDLL(args.library)
    records = []
    print(f"{'entries':>9} {'':14} {'ns':>8} {'x alias':>8}")
    for n in map(int, args.entries.split(",")):
        times = measure(subjects_of(library, n), 3 if args.quick else 9)
        for name, values in times.items():
            ratios = [value / alias for value, alias in zip(values, times["alias"])]
            records.append({"weights": "zipf", "n": n, "subject": f"NumPy {name}",
                            "ns": spread(values), "ratio": spread(ratios)})
            print(f"{n:9} {name:14} {statistics.median(values):8.2f} "
                  f"{statistics.median(ratios):8.2f}")
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            for record in records:
                if record["subject"] != "NumPy alias":
                    file.write(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
