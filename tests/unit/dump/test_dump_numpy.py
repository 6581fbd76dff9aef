#!/usr/bin/env python3
"""Reads back what NumPy writes, and compares every bit.

Why: .npy is what NumPy says it is. The C tests make their files from the same description as the
reader does, so a shared misunderstanding would pass them; here NumPy itself writes the files.

    test_dump_numpy.py DUMP_ROWS [SEED]

DUMP_ROWS is the program built from dump_rows.c; SEED chooses the values and is printed when a case
fails. Exit status 77 (skipped, for Meson) if NumPy is not installed.
"""
import io
import json
import struct
import sys
import tempfile

try:
    import numpy
except ImportError:
    print("skipped: NumPy is not installed (Debian: python3-numpy)")
    sys.exit(77)

sys.dont_write_bytecode = True
from dump_program import DumpProgram  # noqa: E402

SHAPES = [(6,), (1,), (4, 6), (1, 6), (4, 1), (2, 3, 5), (3, 1, 2, 5), (3, 700)]
FLOATS = ["<f2", ">f2", "<f4", ">f4", "<f8", ">f8"]
SPECIAL = [0.0, -0.0, float("inf"), float("-inf"), float("nan"), 1e-45, -5e-324, 6e-8, 65504.0]


def values(generator, shape, dtype):
    """Random magnitudes over most of the range of the type, with the special values among them."""
    exponents = {2: 4, 4: 37, 8: 45}[numpy.dtype(dtype).itemsize]
    n = int(numpy.prod(shape))
    x = generator.standard_normal(n) * 10.0 ** generator.uniform(-exponents, exponents, n)
    x[generator.random(n) < 0.2] = generator.choice(SPECIAL)
    with numpy.errstate(over="ignore"):
        return x.reshape(shape).astype(dtype)


def row_lines(array):
    """What dump_rows prints for the rows of an array in C order."""
    rows = array.reshape(-1, array.shape[-1])
    if rows.dtype.kind == "V":
        bits = numpy.ascontiguousarray(rows).view("<u2")
    elif rows.dtype.itemsize == 2:
        bits = numpy.ascontiguousarray(rows.astype("=f2")).view("=u2")
    else:
        with numpy.errstate(over="ignore"):
            bits = numpy.ascontiguousarray(rows.astype("=f4")).view("=u4")
    width = 2 * bits.dtype.itemsize
    return [" ".join(f"{int(b):0{width}x}" for b in row) for row in bits]


def npy_bytes(array, version):
    out = io.BytesIO()
    numpy.lib.format.write_array(out, array, version=version)
    return out.getvalue()


class Checker(DumpProgram):
    def __init__(self, program, seed, folder):
        super().__init__(program, folder)
        self.seed = seed

    def check(self, what, content, facts, array, arguments=(), streamed=(False, True)):
        for stream in streamed:
            result = self.run(content, arguments, stream)
            expected = [facts] + row_lines(array)
            got = result.stdout.splitlines()
            if result.returncode != 0 or got != expected:
                wrong = next((i for i, (g, e) in enumerate(zip(got, expected)) if g != e), "count")
                sys.exit(f"seed {self.seed}: {what}, streamed {stream}: line {wrong} differs: "
                         f"{got[:3]} instead of {expected[:3]} {result.stderr}")

    def refuse(self, what, content, fragment):
        result = self.run(content)
        if result.returncode != 1 or fragment not in result.stderr:
            sys.exit(f"seed {self.seed}: {what}: {result.stderr!r} instead of {fragment!r}")


def check_npy(checker, generator):
    for dtype in FLOATS + ["V2"]:
        for shape in SHAPES:
            for order in "CF":
                if dtype == "V2":
                    array = generator.integers(0, 1 << 16, shape).astype("<u2").view("V2")
                else:
                    array = values(generator, shape, dtype)
                array = numpy.array(array, order=order)
                stored = array.dtype.str
                read = {"V2": "bf16"}.get(dtype, "f16" if dtype.endswith("2") else "f32")
                facts = f"npy {stored} {read} {shape[-1]} -"
                in_c_order = array.flags.c_contiguous
                for version in [(1, 0), (2, 0), (3, 0)]:
                    checker.check(f"{dtype} {shape} {order} {version}", npy_bytes(array, version),
                                  facts, array, streamed=(False, True) if in_c_order else (False,))


def check_saved(checker, generator):
    """numpy.save() itself, which chooses the version."""
    array = values(generator, (5, 9), "<f4")
    out = io.BytesIO()
    numpy.save(out, array)
    checker.check("numpy.save", out.getvalue(), "npy <f4 f32 9 -", array)


def check_refused(checker):
    """Arrays that are no logits."""
    refused = [
        (numpy.zeros((2, 3), "<i8"), "(integers)"),
        (numpy.zeros((2, 3), "?"), "(booleans)"),
        (numpy.zeros((2, 3), "<c8"), "(complex numbers)"),
        (numpy.zeros((2, 3), "U4"), "(text)"),
        (numpy.zeros((2, 3), "M8[ns]"), "(times)"),
        (numpy.zeros((2, 3), "V4"), "(opaque bytes)"),
        (numpy.zeros((2, 3), numpy.longdouble), "(floats of another size)"),
        (numpy.zeros(3, [("a", "<f4"), ("b", "<f4")]), "records (a structured type)"),
        (numpy.zeros((), "<f4"), "is a single value"),
        (numpy.zeros((0, 3), "<f4"), "has no rows"),
        (numpy.zeros((3, 0), "<f4"), "is the vocabulary"),
    ]
    for array, fragment in refused:
        checker.refuse(str(array.dtype), npy_bytes(array, (1, 0)), fragment)
    out = io.BytesIO()
    numpy.save(out, numpy.array([None, 1], dtype=object), allow_pickle=True)
    checker.refuse("object", out.getvalue(), "(pickled Python objects)")


def check_safetensors(checker, generator):
    tensors = {
        "lm_head.logits": ("F32", values(generator, (2, 3, 7), "<f4")),
        "half": ("F16", values(generator, (5,), "<f2")),
        "brain": ("BF16", generator.integers(0, 1 << 16, (4,)).astype("<u2").view("V2")),
        "wide \u00e9": ("F64", values(generator, (3,), "<f8")),
        "ids": ("I64", numpy.arange(6, dtype="<i8").reshape(2, 3)),
    }
    header, data = {"__metadata__": {"made": "by hand"}}, b""
    for name, (dtype, array) in tensors.items():
        begin = len(data)
        data += array.tobytes()
        header[name] = {"dtype": dtype, "shape": list(array.shape),
                        "data_offsets": [begin, len(data)]}
    text = json.dumps(header).encode()
    content = struct.pack("<Q", len(text)) + text + data
    for name, (dtype, array) in tensors.items():
        if name != "ids":
            read = {"F16": "f16", "BF16": "bf16"}.get(dtype, "f32")
            checker.check(name, content, f"safetensors {dtype} {read} {array.shape[-1]} {name}",
                          array, (name,), (False,))
    checker.check("the only one with rows", content, "safetensors F32 f32 7 lm_head.logits",
                  tensors["lm_head.logits"][1], (), (False,))


def check_npz(checker, generator):
    for save in (numpy.savez, numpy.savez_compressed):
        out = io.BytesIO()
        logits = values(generator, (7, 33), "<f4")
        save(out, logits=logits, ids=numpy.arange(7), half=values(generator, (5,), "<f2"))
        checker.check(save.__name__, out.getvalue(), "npz <f4 f32 33 logits", logits,
                      streamed=(False,))


def check_raw(checker, generator):
    for name, dtype in [("f32", "<f4"), ("f16", "<f2")]:
        array = values(generator, (4, 11), dtype)
        checker.check("raw " + name, array.tobytes(), f"raw {name} {name} 11 -", array,
                      ("", name, "11"))


def main():
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 20240229
    generator = numpy.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as folder, Checker(sys.argv[1], seed, folder) as checker:
        check_npy(checker, generator)
        check_saved(checker, generator)
        check_refused(checker)
        check_safetensors(checker, generator)
        check_npz(checker, generator)
        check_raw(checker, generator)
    print(f"{checker.n_cases} dumps are as NumPy {numpy.__version__} wrote them")


if __name__ == "__main__":
    main()
