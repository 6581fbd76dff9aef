#!/usr/bin/env python3
"""pluck against NumPy, in one process, by turns, on the same logits.

    bench_numpy.py --library LIBPLUCK LOGITS.npy... [--json FILE] [--quick]

The chains are written as a careful user of NumPy would: in float32, with argpartition instead of a
sort where only the largest are needed. Exit status 77 if NumPy is not installed.
"""
import sys

try:
    import numpy
except ImportError:
    print("skipped: NumPy is not installed (Debian: python3-numpy)")
    sys.exit(77)

import peer_chains

generator = numpy.random.Generator(numpy.random.PCG64(7))


def softmax(logits):
    e = numpy.exp(logits - logits.max())
    return e / e.sum()


def draw(p):
    """Inverse transform, scaled by the last sum so that rounding cannot run past the end."""
    cumulated = numpy.cumsum(p)
    return int(numpy.searchsorted(cumulated, generator.random() * cumulated[-1], side="right"))


def top_k(logits, k):
    ids = numpy.argpartition(logits, len(logits) - k)[-k:]
    return ids, logits[ids]


def nucleus(logits, mass):
    """Positions of the shortest prefix, in descending order, whose mass reaches mass."""
    order = numpy.argsort(-logits, kind="stable")
    cumulated = numpy.cumsum(softmax(logits[order]))
    return order[:int(numpy.searchsorted(cumulated, mass)) + 1]


def sample_top_k(logits):
    ids, values = top_k(logits, 40)
    return int(ids[draw(softmax(values))])


def sample_top_p(logits):
    kept = nucleus(logits, 0.95)
    return int(kept[draw(softmax(logits[kept]))])


def sample_min_p(logits):
    kept = numpy.flatnonzero(logits >= logits.max() + numpy.float32(numpy.log(0.05)))
    return int(kept[draw(softmax(logits[kept]))])


def sample_default(logits):
    ids, values = top_k(logits, 40)
    kept = nucleus(values, 0.95)
    ids, values = ids[kept], values[kept]
    large = values >= values.max() + numpy.float32(numpy.log(0.05))
    ids, values = ids[large], values[large]
    return int(ids[draw(softmax(values / numpy.float32(0.8)))])


CHAINS = {
    "greedy": lambda logits: int(numpy.argmax(logits)),
    "softmax": lambda logits: draw(softmax(logits)),
    "temperature 0.8": lambda logits: draw(softmax(logits / numpy.float32(0.8))),
    "top_k 40": sample_top_k,
    "min_p": sample_min_p,
    "top_p": sample_top_p,
    "default": sample_default,
}

if __name__ == "__main__":
    peer_chains.main("numpy", lambda row: CHAINS, numpy)
