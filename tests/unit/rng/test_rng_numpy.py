#!/usr/bin/env python3
"""Compares pluck's pcg64 with NumPy's PCG64, word by word.

Why: the header promises that any NumPy user can replay a run. So NumPy is given what rng.c
documents (how seed and stream become a state, how far a position lies) and must produce the same
state, raw words, doubles and bounded integers.

    test_rng_numpy.py RNG_WORDS [SEED]

RNG_WORDS is the program built from rng_words.c; SEED chooses the cases and is printed when one
fails. Exit status 77 (skipped, for Meson) if NumPy is not installed.
"""
import os
import random
import shlex
import struct
import subprocess
import sys

try:
    import numpy
except ImportError:
    print("skipped: NumPy is not installed (Debian: python3-numpy)")
    sys.exit(77)

MASK = (1 << 64) - 1
GAMMA = 0x9E3779B97F4A7C15
POSITION_STRIDE = 0x9E3779B97F4A7C15
N_CASES = 2000
N_VALUES = 16


def mix(x):
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def numpy_generator(seed, stream):
    """NumPy's generator for position 0, seeded as the comment at the top of lib/rng/rng.c says."""
    w = [seed, stream]
    while len(w) < 8:
        w.append(mix((w[-2] + w[-1] + GAMMA) & MASK))
    bits = numpy.random.PCG64()
    bits.state = {
        "bit_generator": "PCG64",
        "state": {"state": w[4] << 64 | w[5], "inc": w[6] << 64 | w[7] | 1},
        "has_uint32": 0,
        "uinteger": 0,
    }
    return bits


def expected_numbers(seed, stream, position, advance, bound):
    bits = numpy_generator(seed, stream)
    bits.advance(position * POSITION_STRIDE)
    state = bits.state["state"]
    numbers = [state["state"] >> 64, state["state"] & MASK, state["inc"] >> 64, state["inc"] & MASK]
    bits.advance(advance)
    numbers += [int(word) for word in bits.random_raw(N_VALUES)]
    generator = numpy.random.Generator(bits)
    for uniform in generator.random(N_VALUES):
        numbers.append(struct.unpack("<Q", struct.pack("<d", uniform))[0])
    # Below 2^32 NumPy draws from halves of words, which is another sequence.
    numbers += [int(x) for x in generator.integers(0, bound, N_VALUES, dtype=numpy.uint64)]
    return numbers


def make_cases(source):
    edges = [0, 1, 2, MASK - 1, MASK, 1 << 32, 1 << 63]
    bounds = [(1 << 32) + 1, (1 << 63) + 1, 3 << 62, MASK]
    cases = [(s, t, p, 0, bounds[0]) for s in edges for t in edges for p in edges]
    for i in range(N_CASES):
        words = [source.getrandbits(64) >> source.choice([0, 0, 24, 48]) for _ in range(3)]
        advance = source.getrandbits(128) >> source.choice([0, 60, 120, 128])
        bound = bounds[i] if i < len(bounds) else source.randrange((1 << 32) + 1, 1 << 64)
        cases.append((*words, advance, bound))
    return cases


def main():
    program = sys.argv[1]
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    cases = make_cases(random.Random(seed))
    lines = "".join(
        f"{s} {t} {p} {advance >> 64} {advance & MASK} {bound} {N_VALUES}\n"
        for s, t, p, advance, bound in cases
    )
    wrapper = shlex.split(os.environ.get("MESON_EXE_WRAPPER", ""))  # an emulator, or nothing
    run = subprocess.run([*wrapper, program], input=lines, capture_output=True, text=True,
                         check=True)
    rows = run.stdout.splitlines()
    if len(rows) != len(cases):
        print(f"{program} answered {len(rows)} of {len(cases)} cases")
        return 1
    for case, row in zip(cases, rows):
        numbers = [int(field, 16) for field in row.split()]
        expected = expected_numbers(*case)
        if numbers != expected:
            print(f"seed, stream, position, advance, bound = {case} differs from NumPy")
            print("pluck:", *(f"{x:x}" for x in numbers))
            print("NumPy:", *(f"{x:x}" for x in expected))
            print(f"replay: {sys.argv[0]} {program} {seed}")
            return 1
    print(f"{len(cases)} cases equal NumPy {numpy.__version__}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
