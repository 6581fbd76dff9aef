#!/usr/bin/env python3
"""Writes the inputs that fuzzing of dumps starts from: small dumps of every layout.

    make_dump_seeds.py FOLDER            write them
    make_dump_seeds.py --run PROGRAM     run a fuzz target on them, as a test

Fuzzing itself, with 4096 bytes as the longest input:

    make_dump_seeds.py corpus
    fuzz_dump -dict=fuzz/fuzz_dump.dict -max_len=4096 -max_total_time=600 corpus
"""
import io
import itertools
import json
import pathlib
import struct
import subprocess
import sys
import tempfile
import zipfile

AUTO, NPY, SAFETENSORS, RAW, NPZ, LLAMA_KL, JSONL = range(7)


def seed(content, file_format=AUTO, raw_dtype=0, raw_n_vocab=0, tensor=0):
    """The three bytes that fuzz_dump.c takes its options from, and the file."""
    return bytes([file_format + 7 * raw_dtype, raw_n_vocab, tensor]) + content


def npy(descr, size, fortran, shape, major):
    text = repr({"descr": descr, "fortran_order": fortran, "shape": shape}) + "\n"
    length = struct.pack("<H" if major == 1 else "<I", len(text))
    n = 1
    for axis in shape:
        n *= axis
    values = bytes(i % 256 for i in range(n * size))
    return b"\x93NUMPY" + bytes([major, 0]) + length + text.encode() + values


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


def npz(method, *arrays):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in arrays:
            with archive.open(name + ".npy", "w", force_zip64=len(name) > 1) as member:
                member.write(content)
    return out.getvalue()


def llama_kl(n_ctx, n_vocab, n_chunk):
    tokens = [i % n_vocab for i in range(n_ctx * n_chunk)]
    row = struct.pack("<ff", 0.001, -9.0) + bytes(range(4 * ((n_vocab + 1) // 2)))
    return (b"_logits_" + struct.pack("<iii", n_ctx, n_vocab, n_chunk) +
            struct.pack(f"<{len(tokens)}i", *tokens) + row * (n_ctx - 1 - n_ctx // 2) * n_chunk)


JSON_LINES = [
    '{"logits": [1.5, -2e-3, null], "target": 2}\n{"logits":[0,-0.0,1E3]}\n',
    '{"logprobs": {"0": -0.25, "2": -1.5}, "text": ["a\\"", {"b": [true, false]}]}\n\n',
    '{"logprobs": [-0.1, -Infinity, NaN], "target": null}',
    ' {"target": -1, "logits": [12345678901234567890.5e-10, 1e-400, 1e400]} \r\n \n',
]


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
    matrix, vector = npy("<f4", 4, False, (2, 3), 1), npy("<f2", 2, False, (3,), 2)
    for method in [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]:
        yield seed(npz(method, ("logits", matrix)))
        yield seed(npz(method, ("a", vector), ("b", npy("<i4", 4, False, (3,), 1))), NPZ)
        yield seed(npz(method, ("a", vector), ("logits", matrix)), tensor=2)
        yield seed(npz(method, ("a", npy(">f8", 8, True, (2, 3), 1))), tensor=1)
        yield seed(npz(method, ("a", npy("<f4", 4, False, (40, 20), 1))))
    yield seed(llama_kl(4, 3, 2))
    yield seed(llama_kl(7, 6, 1), LLAMA_KL)
    for lines in JSON_LINES:
        yield seed(lines.encode(), raw_n_vocab=3)
        yield seed(lines.encode(), JSONL)
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
