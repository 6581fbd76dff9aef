"""Reads stored heads with NumPy alone, and computes their log-probabilities from the arrays.

    test_heads_files.py TEST_HEADS_FILES

The files are to be read by others, in Python above all: what is in them must mean what head.h says,
not only what pluck reads back. Skips (77) without NumPy.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

try:
    import numpy
except ImportError:
    print("skipped: NumPy is not installed (Debian: python3-numpy)")
    sys.exit(77)

DIM = 8


def read(path):
    """The tensors of a .safetensors file as float64 or int32, and its metadata."""
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    assert (8 + size) % 64 == 0, "the data is not aligned"
    header = json.loads(data[8:8 + size])
    metadata = header.pop("__metadata__")
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        raw = data[8 + size + begin:8 + size + end]
        if entry["dtype"] == "BF16":
            wide = numpy.frombuffer(raw, "<u2").astype("<u4") << 16
            values = wide.view("<f4")
        else:
            stored = {"F32": "<f4", "F16": "<f2", "I32": "<i4"}[entry["dtype"]]
            values = numpy.frombuffer(raw, stored)
        kind = numpy.int32 if entry["dtype"] == "I32" else numpy.float64
        tensors[name] = values.reshape(entry["shape"]).astype(kind)
    return tensors, metadata


def log_softmax(x):
    x = x - x.max()
    return x - numpy.log(numpy.exp(x).sum())


def dense(t, h, _):
    return log_softmax(t["weight"] @ h + t.get("bias", 0))


def hierarchical(t, h, metadata):
    x = t["nodes"] @ h + t.get("bias", 0)
    x = x if metadata["sign"] == "right" else -x
    n = len(x) + 1
    logprobs = numpy.zeros(2 * n - 1)
    for i in reversed(range(n - 1)):
        left, right = t["children"][i]
        logprobs[left] = logprobs[n + i] - numpy.logaddexp(0, x[i])
        logprobs[right] = logprobs[n + i] - numpy.logaddexp(0, -x[i])
    return logprobs[:n]


def adaptive(t, h, _):
    n_tails = sum(name.startswith("tail.") for name in t) // 2
    root = log_softmax(t["head.weight"] @ h + t.get("head.bias", 0))
    n_short = len(root) - n_tails
    parts = [root[:n_short]]
    for i in range(n_tails):
        tail = t[f"tail.{i}.1.weight"] @ (t[f"tail.{i}.0.weight"] @ h)
        parts.append(root[n_short + i] + log_softmax(tail))
    return numpy.concatenate(parts)


def differentiated(t, h, _):
    logits = []
    for i, first in enumerate(t["first"]):
        weights = t[f"band.{i}.weight"]
        logits.append(weights @ h[first:first + weights.shape[1]])
    return log_softmax(numpy.concatenate(logits) + t.get("bias", 0))


def main():
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.argv[1], folder], check=True)
        for kind in (dense, hierarchical, adaptive, differentiated):
            path = pathlib.Path(folder) / f"{kind.__name__}.safetensors"
            tensors, metadata = read(path)
            numbers = numpy.array(path.with_suffix(".txt").read_text().split(), float)
            found = kind(tensors, numbers[:DIM], metadata)
            error = abs(found - numbers[DIM:]).max()
            print(f"{kind.__name__}: {sorted(tensors)}, largest difference {error:.2g}")
            failed |= metadata["format"] != "pluck-head" or not error < 1e-5
    return failed


if __name__ == "__main__":
    sys.exit(main())
