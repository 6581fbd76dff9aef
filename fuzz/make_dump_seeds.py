#!/usr/bin/env python3
"""Writes the inputs that fuzzing of dumps starts from: small dumps of every layout.

    make_dump_seeds.py FOLDER            write them
    make_dump_seeds.py --run PROGRAM     run a fuzz target on them, as a test

Fuzzing itself, with 4096 bytes as the longest input:

    make_dump_seeds.py corpus
    fuzz_dump -dict=fuzz/fuzz_dump.dict -max_len=4096 -max_total_time=600 corpus
"""
import itertools
import json
import pathlib
import struct
import subprocess
import sys
import tempfile

AUTO, NPY, SAFETENSORS, RAW = range(4)


def seed(content, file_format=AUTO, raw_dtype=0, raw_n_vocab=0, tensor=0):
    """The three bytes that fuzz_dump.c takes its options from, and the file."""
    return bytes([file_format + 4 * raw_dtype, raw_n_vocab, tensor]) + content


def npy(descr, size, fortran, shape, major):
    text = repr({"descr": descr, "fortran_order": fortran, "shape": shape}) + "\n"
    length = struct.pack("<H" if major == 1 else "<I", len(text))
    n = 1
    for axis in shape:
        n *= axis
    return b"\x93NUMPY" + bytes([major, 0]) + length + text.encode() + bytes(range(n * size))


def safetensors(*tensors):
    header, data = {}, b""
    for name, dtype, size, shape in tensors:
        n = size
        for axis in shape:
            n *= axis
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + n]}
        data += bytes(n)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def seeds():
    types = [("<f4", 4), (">f2", 2), ("<f8", 8), ("<V2", 2)]
    shapes = [(3,), (2, 3), (2, 1, 3)]
    for (descr, size), fortran, shape, major in itertools.product(types, [False, True], shapes,
                                                                  [1, 2, 3]):
        yield seed(npy(descr, size, fortran, shape, major))
    yield seed(npy("<f4", 4, False, (2, 3), 1), NPY)
    yield seed(npy("<i4", 4, False, (2, 3), 1))
    yield seed(safetensors(("a", "F32", 4, [2, 3])))
    yield seed(safetensors(("a", "F16", 2, [3]), ("logits", "F64", 8, [2, 2])), SAFETENSORS)
    yield seed(safetensors(("a", "BF16", 2, [3]), ("b", "I64", 8, [2])), tensor=1)
    yield seed(safetensors(("logits", "F32", 4, [1, 1, 3]), ("x", "F32", 4, [1, 2])), tensor=2)
    yield seed(safetensors(("__metadata__", "U8", 1, [0]), ("b", "F32", 4, [2])))
    for dtype, size in enumerate([4, 2, 2]):
        yield seed(bytes(range(6 * size)), RAW, dtype, 3)
        yield seed(bytes(range(6 * size + 1)), AUTO, dtype, 3)


def write(folder):
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, content in enumerate(seeds()):
        paths.append(folder / f"seed_{number:03}")
        paths[-1].write_bytes(content)
    return paths


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "--run":
        with tempfile.TemporaryDirectory() as folder:
            paths = write(pathlib.Path(folder))
            sys.exit(subprocess.run([sys.argv[2], *map(str, paths)], check=False).returncode)
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print(f"{len(write(pathlib.Path(sys.argv[1])))} files")


if __name__ == "__main__":
    main()
