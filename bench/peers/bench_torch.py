#!/usr/bin/env python3
"""pluck against PyTorch on one processor, in one process, by turns, on the same logits.

    bench_torch.py --library LIBPLUCK LOGITS.npy... [--json FILE] [--quick]

The chains are those of common inference code: topk, sort, cumsum, masked_fill, multinomial. Exit
status 77 if PyTorch is not installed.
"""
import sys

try:
    import numpy
    import torch
except ImportError as missing:
    print(f"skipped: {missing.name} is not installed (Debian: python3-numpy, python3-torch)")
    sys.exit(77)

import peer_chains


def draw(logits):
    return int(torch.multinomial(torch.softmax(logits, dim=-1), 1))


def keep_top_p(logits, mass):
    values, order = torch.sort(logits, descending=True)
    p = torch.softmax(values, dim=-1)
    before = torch.cumsum(p, dim=-1) - p
    remove = torch.zeros_like(before, dtype=torch.bool).scatter(0, order, before >= mass)
    return logits.masked_fill(remove, -float("inf"))


def keep_min_p(logits, p):
    bound = logits.max() + torch.log(torch.tensor(p))
    return logits.masked_fill(logits < bound, -float("inf"))


def sample_top_k(logits):
    values, ids = torch.topk(logits, 40)
    return int(ids[draw(values)])


def sample_default(logits):
    values, ids = torch.topk(logits, 40)
    kept = keep_min_p(keep_top_p(values, 0.95), 0.05)
    return int(ids[draw(kept / 0.8)])


FUNCTIONS = {
    "greedy": lambda logits: int(torch.argmax(logits)),
    "softmax": draw,
    "temperature 0.8": lambda logits: draw(logits / 0.8),
    "top_k 40": sample_top_k,
    "min_p": lambda logits: draw(keep_min_p(logits, 0.05)),
    "top_p": lambda logits: draw(keep_top_p(logits, 0.95)),
    "default": sample_default,
}


def chains_of(row):
    """The chains on the tensor of this row, made once: what is timed begins with a tensor."""
    tensor = torch.from_numpy(row)
    return {name: lambda _, function=function: function(tensor)
            for name, function in FUNCTIONS.items()}


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(7)
    peer_chains.main("torch", chains_of, numpy)
