#!/usr/bin/env python3
"""Writes the inputs that fuzzing of dumps starts from: small dumps of every layout.

    make_dump_seeds.py FOLDER            write them
    make_dump_seeds.py --run PROGRAM     run a fuzz target on them, as a test

Fuzzing itself, with 4096 bytes as the longest input:

    make_dump_seeds.py corpus
    fuzz_dump -dict=fuzz/fuzz_dump.dict -max_len=4096 -max_total_time=600 corpus
"""
import gzip
import io
import itertools
import json
import pathlib
import struct
import subprocess
import sys
import tempfile
import zipfile

# Files of torch.save() are written by a test.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "unit" / "dump"))
sys.dont_write_bytecode = True
from test_dump_foreign import Torch  # noqa: E402

AUTO, NPY, SAFETENSORS, RAW, NPZ, LLAMA_KL, JSONL, TORCH, TEXT, JSON = range(10)


def seed(content, file_format=AUTO, raw_dtype=0, raw_n_vocab=0, tensor=0):
    """The three bytes that fuzz_dump.c takes its options from, and the file."""
    return bytes([file_format + 10 * raw_dtype, raw_n_vocab, tensor]) + content


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

# One mistake each.
BAD_JSON_LINES = [
    '{"logits": [1, 2, 3], "logits": [1, 2, 3]}', '{"logits": 3}', '{"logits": [1 2]}',
    '{"logits": []}', '{"logits": [1, 2, 3]} x', '{"logits": [1, 2, 3], "target": 9}',
    '{"target": 1, "target": 2}', '{"target": "a", "logits": [1, 2, 3]}', '{"x": 1}', "[1, 2]",
    '{"logprobs": {"0": -1, "0": -2}}', '{"logprobs": {"0" -1}}', '{"logprobs": {}}',
    '{"logprobs": {"0": -1 "1": 2}}', '{"logprobs": {"77": -1}}', '{"logprobs": {"a": -1}}',
    '{"logits" [1]}', '{"logits": [1, 2, 3], }', '{"logits": [1, "2", 3]}', " \n\n",
    '{"logits": [1, 2, 3]}\n{"logits": [1, 2]}', '{"logits": [1, 2, 3]}\n{"logprobs": {"5": 1}}',
]


JSON_TEXTS = [
    "[[1, 2, null], [3, -4.5, 1e2]]", '{"logits":\n[[[1, 2]], [[3, 4]]], "targets": [[1], [-1]]}',
    '{"choices": [{"logprobs": {"content": [{"token": "a", "logprob": -1, "top_logprobs": '
    '[{"token": "\\u00e9\\n", "logprob": -2}]}]}}]}',
    '{"choices": [{"logprobs": {"tokens": ["a"], "token_logprobs": [-1], "top_logprobs": '
    '[{"a": -1, "b": -2}]}}]}',
    '{"completion_probabilities": [{"content": "a", "probs": [{"tok_str": "a", "prob": 0.5}]}]}',
    '{"prompt_logprobs": [null, {"5": {"logprob": -1, "rank": 1}, "7": {"logprob": -2}}]}',
    'data: {"logprobs": [{"id": 3, "token": "x", "logprob": -1}]}\n\ndata: [DONE]\n']
TEXTS = [
    "0.5,-1,2e-3\n1,2,3\n", "a\tb\tc\n1\t2\tnan\n-inf\t0\t1\n", "# note\n1.5 2 3\r\n4 5 6\r\n\n",
    ",0,1,2,target\n0,0.5,1,2,1\n1,1,1,1,-100\n", "0.5\n-1\n2\n", "0: -1.25\n1: 3.5\n2: 0\n",
    "[[1, 2.5, -3], [0, 0, 1e5]]", "[1, 2, 3]\n[4, 5, 6]\n", "token;logit\n0;1.5\n1;2\n",
    ",0,1,2,3,target\n0,0.5,1,2,1\n", "\ufeff1;2;3\n4;5;6\n", "1,2,3\n4,5\n", "1,x,3\n",
    '{"choices": [{"logprobs": {"content": [{"token": "a", "logprob": -0.5, "top_logprobs": '
    '[{"token": "a", "logprob": -0.5}]}]}}]}',
]


def torch_seeds():
    """Tensors alone, by name, as steps, of every type, and with strides that are not rows."""
    kinds = {"FloatStorage": 4, "HalfStorage": 2, "BFloat16Storage": 2, "DoubleStorage": 8}
    for kind, size in kinds.items():
        t = Torch(zipfile.ZIP_DEFLATED if size == 2 else zipfile.ZIP_STORED)
        yield t.file(t.tensor((2, 3), bytes(range(6 * size)), kind))
    t = Torch(order="big")
    yield t.file(t.tensor((2, 3), bytes(24)))
    t = Torch()
    yield t.file(t.tensor((3, 2), bytes(24), strides=[1, 3]))
    t = Torch(folder="")
    targets = t.tensor((2,), struct.pack("<2q", 2, -100), "LongStorage")
    yield t.file(t.dict(a=t.tensor((2, 3), bytes(24)), targets=targets, n=b"K\5", s=b"X\1\0\0\0x"))
    t = Torch()
    yield t.file(t.list(*(t.tensor((3,), bytes(12)) for _ in range(3))))


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
    for content in torch_seeds():
        yield seed(content)
    yield seed(content, TORCH, tensor=1)
    steps = [(f"arr_{i}", vector) for i in range(3)]
    yield seed(npz(zipfile.ZIP_STORED, *steps, ("targets", npy("<i8", 8, False, (3,), 1))))
    for content in (matrix, safetensors(("a", "F32", 4, [2, 3])), JSON_LINES[0].encode(),
                    npz(zipfile.ZIP_STORED, ("a", matrix)), gzip.compress(matrix)):
        yield seed(gzip.compress(content, mtime=0))
    yield seed(llama_kl(4, 3, 2))
    yield seed(llama_kl(7, 6, 1), LLAMA_KL)
    yield seed(llama_kl(4, 3, 2)[:-3])
    yield seed(llama_kl(4, 3, 2) + b"xyz")
    for numbers in ((2, 3, 2), (4, 0, 2), (4, 3, 0), (4, 3, 1 << 30), (-1, -1, -1)):
        yield seed(b"_logits_" + struct.pack("<iii", *numbers) + bytes(64), LLAMA_KL)
    yield seed(b"_logits", LLAMA_KL)
    for lines in JSON_LINES + BAD_JSON_LINES:
        yield seed(lines.encode(), raw_n_vocab=3)
        yield seed(lines.encode(), JSONL)
    for text in JSON_TEXTS:
        yield seed(text.encode())
        yield seed(text.encode(), JSON)
    for text in TEXTS:
        yield seed(text.encode(), raw_n_vocab=3)
        yield seed(text.encode(), TEXT)
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
