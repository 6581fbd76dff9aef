#!/usr/bin/env python3
"""Writes tests/data/dumps: the first rows of tests/data/tiny.npy, narrowed to 96 values, in every
format that dumps come in.

    tests/golden/make_dumps.py

The golden program reads the files on every machine. They are written here from the descriptions of
the formats, by the writers of the tests in tests/unit/dump.
"""
import gzip
import json
import os
import struct
import sys
import zipfile

sys.dont_write_bytecode = True
TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(TESTS, "unit", "dump"))
from test_dump_foreign import Torch, bf16, floats  # noqa: E402
from test_dump_formats import llama_kl, npy  # noqa: E402
from test_dump_text import CHAT  # noqa: E402

N_ROWS, N_VOCAB, N_STORED = 5, 96, 1024
TARGETS = [3, 95, 0, -1, 17]


def real_rows():
    with open(os.path.join(TESTS, "data", "tiny.npy"), "rb") as file:
        content = file.read()
    begin = 10 + struct.unpack("<H", content[8:10])[0]
    return [list(struct.unpack_from(f"<{N_VOCAB}f", content, begin + 4 * N_STORED * row))
            for row in range(N_ROWS)]


def fortran(rows, descr, code):
    text = repr({"descr": descr, "fortran_order": True, "shape": (len(rows), len(rows[0]))}) + "\n"
    columns = [row[i] for i in range(len(rows[0])) for row in rows]
    return (b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() +
            struct.pack(f"<{len(columns)}{code}", *columns))


def array_of_bits(words, descr, shape):
    text = repr({"descr": descr, "fortran_order": False, "shape": shape}) + "\n"
    return (b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() +
            struct.pack(f"<{len(words)}H", *words))


def npz(method, **arrays):
    """With a date of its own: the same bytes each time."""
    path = os.path.join(TESTS, "data", "dumps", "stored.npz" if method == zipfile.ZIP_STORED
                        else "deflated.npz")
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in arrays.items():
            member = zipfile.ZipInfo(name + ".npy", (2020, 1, 1, 0, 0, 0))
            member.compress_type = method
            archive.writestr(member, content)


def safetensors(**tensors):
    header, data = {}, b""
    for name, (dtype, shape, content) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape,
                        "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def halves(rows):
    return struct.pack(f"<{len(rows) * N_VOCAB}e", *(v for row in rows for v in row))


def main():
    rows = real_rows()
    codes = bf16(rows)
    tokens = [(7 * i + 3) % N_VOCAB for i in range(10)]
    quantised = [(0.25, -12.5 + i, [(i * 7919 + k * 104729) % 65536 for k in range(N_VOCAB)])
                 for i in range(4)]
    lines = "".join(json.dumps({"logits": row, "target": target} if target >= 0
                               else {"logits": row}) + "\n" for row, target in zip(rows, TARGETS))
    sparse = "".join(json.dumps({"logprobs": {str(k): row[k] for k in range(i, N_VOCAB, 7)}}) + "\n"
                     for i, row in enumerate(rows))
    torch = Torch()
    tensor = torch.tensor((N_ROWS, N_VOCAB), struct.pack(f"<{len(codes)}H", *codes),
                          "BFloat16Storage")
    steps = {f"scores.{i}": ("BF16", [1, N_VOCAB],
                             struct.pack(f"<{N_VOCAB}H", *codes[i * N_VOCAB:(i + 1) * N_VOCAB]))
             for i in range(N_ROWS)}
    targets = struct.pack(f"<{N_ROWS}i", *TARGETS)
    files = {
        "f4.npy": npy(rows),
        "f2_fortran.npy": fortran(rows, "<f2", "e"),
        "f8_big_endian.npy": npy([[v / 3 for v in row] for row in rows], ">f8", "d"),
        "bfloat16.npy": array_of_bits(codes, "<V2", (N_ROWS, N_VOCAB)),
        "f16.safetensors": safetensors(logits=("F16", [N_ROWS, N_VOCAB], halves(rows)),
                                       targets=("I32", [N_ROWS], targets)),
        "steps.safetensors": safetensors(**steps),
        "bf16.pt": torch.file(tensor),
        "llama.kld": llama_kl(10, tokens, quantised, N_VOCAB),
        "rows.jsonl": lines.encode(),
        "sparse.jsonl": sparse.encode(),
        "gzip.jsonl.gz": gzip.compress(lines.encode(), mtime=0),
        "rows.json": json.dumps({"logits": rows}).encode(),
        "chat.json": json.dumps(CHAT).encode(),
        "rows.csv": "".join(",".join(map(repr, row)) + "\n" for row in rows).encode(),
        "f32.raw": floats(rows),
        "bf16.raw": struct.pack(f"<{len(codes)}H", *codes),
        "i2_big_endian_targets.npy": npy([TARGETS], ">i2", "h", (N_ROWS,)),
        "targets.txt": " ".join(map(str, TARGETS)).encode() + b"\n",
    }
    for name, content in files.items():
        with open(os.path.join(TESTS, "data", "dumps", name), "wb") as file:
            file.write(content)
    npz(zipfile.ZIP_STORED, ids=npy([TARGETS], "<i4", "i", (N_ROWS,)), logits=npy(rows))
    npz(zipfile.ZIP_DEFLATED, logits=npy(rows, ">f4"))


main()
