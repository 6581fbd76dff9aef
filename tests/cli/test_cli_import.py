#!/usr/bin/env python3
"""Why: weights come from other programs, as arrays. A hierarchical head as word2vec and gensim have
it (syn1, codes and points of a Huffman tree; the sigmoid is the probability of code 0) is written
with NumPy alone, as docs/heads.md shows, and has to give the probabilities that NumPy computes.

    test_cli_import.py --pluck PLUCK [TEST...]
"""
import heapq
import json
import sys

try:
    import numpy as np
except ImportError:
    print("skipped: python3-numpy is not installed")
    sys.exit(77)

from command_case import CommandCase, main  # noqa: E402

N_WORDS, DIM, N_ROWS = 60, 7, 25
DTYPES = {"float32": "F32", "float16": "F16", "int32": "I32"}


def write_safetensors(path, tensors, metadata):
    header, offset = {"__metadata__": metadata}, 0
    for name, array in tensors.items():
        header[name] = {"dtype": DTYPES[array.dtype.name], "shape": list(array.shape),
                        "data_offsets": [offset, offset + array.nbytes]}
        offset += array.nbytes
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for array in tensors.values():
            file.write(np.ascontiguousarray(array).tobytes())


def gensim_codes(counts):
    """For each word its code and points, by a heap as in gensim's word2vec.py."""
    heap = [(count, word) for word, count in enumerate(counts)]
    heapq.heapify(heap)
    children = []
    for i in range(len(counts) - 1):
        a, b = heapq.heappop(heap), heapq.heappop(heap)
        heapq.heappush(heap, (a[0] + b[0], len(counts) + i))
        children.append((a[1], b[1]))
    codes = {}
    stack = [(heap[0][1], [], [])]
    while stack:
        node, code, points = stack.pop()
        if node < len(counts):
            codes[node] = (code, points)
        else:
            row = node - len(counts)
            stack.append((children[row][0], code + [0], points + [row]))
            stack.append((children[row][1], code + [1], points + [row]))
    return codes


def children_of(codes):
    """From codes and points to the children of row i, and the row of each inner node. Inner nodes
    are numbered again so that a node is above its children: by the depth of the path to them."""
    depth = {}
    for _, points in codes.values():
        for d, point in enumerate(points):
            depth[point] = d
    rows = sorted(depth, key=lambda point: -depth[point])
    number = {point: len(codes) + i for i, point in enumerate(rows)}
    children = np.zeros((len(rows), 2), np.int32)
    for word, (code, points) in codes.items():
        below = [number[p] for p in points[1:]] + [word]
        for bit, point, child in zip(code, points, below):
            children[number[point] - len(codes), bit] = child
    return children, rows


class Import(CommandCase):
    def check(self, dtype, tolerance):
        source = np.random.default_rng(8)
        counts = source.zipf(1.4, N_WORDS)
        syn1 = source.normal(size=(N_WORDS - 1, DIM)).astype(dtype)
        hidden = source.normal(size=(N_ROWS, DIM)).astype(np.float32)
        codes = gensim_codes(counts.tolist())
        children, rows = children_of(codes)
        write_safetensors(self.folder / "w2v.safetensors",
                          {"children": children, "nodes": syn1[rows]},
                          {"format": "pluck-head", "kind": "hierarchical", "sign": "left"})
        np.save(self.folder / "h.npy", hidden)
        text = self.run_line("pluck tree predict w2v.safetensors h.npy -k 0 --format json")
        for row, line in zip(hidden.astype(float), text.splitlines()):
            found = {x["label"]: x["prob"] for x in json.loads(line)["labels"]}
            self.assertEqual(len(found), N_WORDS)
            for word, (code, points) in codes.items():
                x = syn1[points].astype(float) @ row
                p = np.prod(1 / (1 + np.exp(-np.where(np.array(code) == 0, x, -x))))
                self.assertAlmostEqual(found[word], p, delta=tolerance)
        self.run_line("pluck tree stats w2v.safetensors")

    def test_a_word2vec_tree_gives_its_probabilities(self):
        self.check(np.float32, 1e-6)

    def test_nodes_may_be_half_precision(self):
        self.check(np.float16, 1e-6)


if __name__ == "__main__":
    main()
