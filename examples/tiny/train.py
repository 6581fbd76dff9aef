#!/usr/bin/env python3
"""Trains the small language model whose weights are tests/data/tiny.safetensors.

    apt-get install python3-torch libopenblas0-pthread bible-kjv
    apt-get download r-cran-janeaustenr && dpkg -x r-cran-janeaustenr_*.deb austen
    python3 examples/tiny/train.py --austen austen tests/data

These packages (of Debian 12) have all the text: the King James Bible, which the command `bible`
prints, and the six novels of Jane Austen, from an R package that is unpacked and need not be
installed. README.md has origins and licences. The seeds are fixed: the same versions of the
packages on the same processor give the same weights. --steps 100 runs every part in a minute.

The last argument is the folder to write to:

    tiny.safetensors     the weights, binary16
    tiny_vocab.txt       one token per line; the number of a line is its id, and its rank in merging
    tiny_heldout.txt     the beginning of the held-out text
    tiny.npy             logits before its first 32 tokens, computed in binary64, stored in binary32
    tiny_targets.npy     these tokens

The model is a transformer: RMS normalisation without gains before each part (Zhang, Sennrich,
2019), attention with linear biases instead of positions (ALiBi: Press, Smith, Lewis, 2022), squared
ReLU (So et al., 2021), and the embedding as weights of the output. It needs no function of a C
library but sqrt; the softmax of generate.c is pluck's.
"""
import argparse
import json
import math
import os
import re
import struct
import subprocess
import time
import unicodedata
import zlib

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")  # read when NumPy starts

import numpy as np
import torch
import torch.nn.functional as F

N_VOCAB, DIM, N_LAYERS, N_HEADS, CONTEXT = 1024, 128, 3, 4, 256
BATCH, STEPS, WARMUP, RATE_ADAM, RATE_MUON, DECAY = 16, 3900, 100, 4e-3, 0.02, 0.05
NEWLINE, N_ROWS, N_SHOWN = 10, 32, 4000


# ---- text ----

def bible():
    """The King James Version, one verse per line, without its number."""
    command = ["bible", "-f", "Gen1:1-Rev22:21"]
    verses = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    return [line.split(" ", 1)[1].strip() for line in verses.splitlines() if " " in line]


def r_strings(data):
    """The strings of an R character vector, in the XDR form of serialize()."""
    at = data.index(b"UTF-8") + 5
    kind, count = struct.unpack_from(">II", data, at)
    assert kind & 255 == 16, "not a character vector"
    at += 8
    for _ in range(count):
        _, size = struct.unpack_from(">Ii", data, at)
        yield data[at + 8:at + 8 + max(size, 0)].decode()
        at += 8 + max(size, 0)


def austen(folder):
    """The novels, one paragraph per line, without headings."""
    path = os.path.join(folder, "usr/lib/R/site-library/janeaustenr/data/Rdata.rdb")
    with open(path, "rb") as file:
        data = file.read()
    at = 0
    while at < len(data):
        unpack = zlib.decompressobj()
        lines = list(r_strings(unpack.decompress(data[at + 4:])))  # 4 bytes: a size
        at = len(data) - len(unpack.unused_data)
        for paragraph in "\n".join(lines).split("\n\n"):
            text = " ".join(paragraph.split())
            if len(text) > 40 or text.endswith(('."', '?"', '!"')):
                yield text


def plain(text):
    """ASCII with straight quotes, without the underscores that stand for italics."""
    text = text.translate({0x2018: "'", 0x2019: "'", 0x201c: '"', 0x201d: '"', 0x2014: "--",
                           0x2013: "-", ord("_"): None})
    return " ".join(unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().split())


def split(paragraphs):
    """Training text and held-out text: of every 25 blocks of 20,000 bytes, the 13th is held out."""
    parts, block, size = ([], []), 0, 0
    for paragraph in paragraphs:
        parts[block % 25 == 12].append(paragraph + "\n")
        size += len(paragraph) + 1
        block = size // 20000
    return ["".join(part).encode() for part in parts]


# ---- tokens ----

CHUNK = re.compile(rb" ?[A-Za-z]+| ?[^A-Za-z\s]+|\s")  # no token reaches from one into the next


def train_tokens(text, n_vocab):
    """Byte-pair encoding (Gage, 1994; Sennrich et al., 2016): the 256 bytes, then joins the most
    frequent pair of neighbours, again and again."""
    counts = {}
    for chunk in CHUNK.findall(text):
        counts[chunk] = counts.get(chunk, 0) + 1
    words = [[bytes([b]) for b in chunk] for chunk in counts]
    weight = list(counts.values())
    pairs, where = {}, {}
    for w, word in enumerate(words):
        for pair in zip(word, word[1:]):
            pairs[pair] = pairs.get(pair, 0) + weight[w]
            where.setdefault(pair, set()).add(w)
    tokens = [bytes([b]) for b in range(256)]
    known = set(tokens)
    while len(tokens) < n_vocab:
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        joined = best[0] + best[1]
        if joined not in known:
            known.add(joined)
            tokens.append(joined)
        for w in where.pop(best):
            word = words[w]
            for pair in zip(word, word[1:]):
                pairs[pair] -= weight[w]
            merged, i = [], 0
            while i < len(word):
                two = i + 1 < len(word) and (word[i], word[i + 1]) == best
                merged.append(joined if two else word[i])
                i += 2 if two else 1
            words[w] = merged
            for pair in zip(merged, merged[1:]):
                pairs[pair] = pairs.get(pair, 0) + weight[w]
                where.setdefault(pair, set()).add(w)
        pairs.pop(best, None)
    return tokens


def encode(text, tokens):
    """As generate.c: the two neighbours join that make the token of the lowest id, the first such
    two first, again and again."""
    rank = {token: i for i, token in enumerate(tokens)}
    seen, ids = {}, []
    for chunk in CHUNK.findall(text):
        if chunk not in seen:
            word = [bytes([b]) for b in chunk]
            while len(word) > 1:
                joined = [rank.get(a + b, len(rank)) for a, b in zip(word, word[1:])]
                if min(joined) == len(rank):
                    break
                best = joined.index(min(joined))
                word[best:best + 2] = [word[best] + word[best + 1]]
            seen[chunk] = [rank[piece] for piece in word]
        ids += seen[chunk]
    return np.array(ids, dtype=np.int64)


# ---- model ----

def shapes():
    """Names and shapes of the weights; a matrix has one row per input."""
    yield "embedding", (N_VOCAB, DIM)
    for layer in range(N_LAYERS):
        yield f"{layer}.qkv", (DIM, 3 * DIM)
        yield f"{layer}.out", (DIM, DIM)
        yield f"{layer}.up", (DIM, 4 * DIM)
        yield f"{layer}.down", (4 * DIM, DIM)


def begin_weights():
    weights = {}
    for name, shape in shapes():
        scale = 0.02 if name == "embedding" else 1 / math.sqrt(shape[0])
        if name.endswith(("out", "down")):
            scale /= math.sqrt(2 * N_LAYERS)
        weights[name] = torch.nn.Parameter(torch.randn(shape) * scale)
    return weights


def normalise(x):
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-5)


def biases(size):
    """Head h adds -distance / 4^(h + 1) to the scores; what comes later is out of reach."""
    distance = torch.arange(size)[:, None] - torch.arange(size)[None, :]
    slopes = torch.tensor([4.0 ** -(h + 1) for h in range(N_HEADS)])
    return torch.where(distance >= 0, -slopes[:, None, None] * distance, torch.tensor(-math.inf))


def forward(weights, tokens, bias):
    n, size = tokens.shape
    x = F.embedding(tokens, weights["embedding"])
    for layer in range(N_LAYERS):
        qkv = normalise(x) @ weights[f"{layer}.qkv"]
        q, k, v = qkv.view(n, size, 3, N_HEADS, DIM // N_HEADS).permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-1, -2) / math.sqrt(DIM // N_HEADS) + bias
        mixed = (scores.softmax(-1) @ v).transpose(1, 2).reshape(n, size, DIM)
        x = x + mixed @ weights[f"{layer}.out"]
        hidden = F.relu(normalise(x) @ weights[f"{layer}.up"]).square()
        x = x + hidden @ weights[f"{layer}.down"]
    return normalise(x) @ weights["embedding"].T


# ---- training ----

class Muon(torch.optim.Optimizer):
    """Steps along the orthogonal matrix that is nearest to the momentum (Jordan et al., 2024); five
    steps of Newton and Schulz come close enough to it."""

    def __init__(self, weights, lr):
        super().__init__(weights, {"lr": lr})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for weight in group["params"]:
                momentum = self.state[weight].setdefault("momentum", torch.zeros_like(weight))
                momentum.lerp_(weight.grad, 0.05)
                x = torch.lerp(weight.grad, momentum, 0.95)
                wide = x if x.shape[0] <= x.shape[1] else x.T
                wide = wide / (wide.norm() + 1e-7)
                for _ in range(5):
                    square = wide @ wide.T
                    wide = 3.4445 * wide + (-4.7750 * square + 2.0315 * square @ square) @ wide
                x = wide if x.shape[0] <= x.shape[1] else wide.T
                weight.mul_(1 - group["lr"] * DECAY)
                weight.add_(x, alpha=-group["lr"] * math.sqrt(max(1, x.shape[1] / x.shape[0])))


def train(text, steps):
    weights = begin_weights()
    embedding = [weights["embedding"]]
    matrices = [weight for name, weight in weights.items() if name != "embedding"]
    optimizers = [torch.optim.AdamW(embedding, lr=RATE_ADAM, betas=(0.9, 0.98), weight_decay=0),
                  Muon(matrices, RATE_MUON)]
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["most"] = group["lr"]
    bias = biases(CONTEXT)
    text = torch.from_numpy(text)
    begin = time.time()
    for step in range(steps):
        # Up, level, slowly down from step 2300 on, faster from step 3136 on.
        scale = min((step + 1) / WARMUP, 1, 2 * (1 - step / 4600), (steps - step) / 1200)
        starts = torch.randint(len(text) - CONTEXT, (BATCH,))
        rows = torch.stack([text[s:s + CONTEXT + 1] for s in starts])
        logits = forward(weights, rows[:, :-1], bias)
        loss = F.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten())
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss.backward()
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["most"] * scale
            optimizer.step()
        if step % 50 == 0 or step == steps - 1:
            seconds = time.time() - begin
            print(f"step {step} of {steps}: {loss.item():.4f} nats per token, {seconds:.0f} s",
                  flush=True)
    return {name: weight.detach() for name, weight in weights.items()}


# ---- evaluation ----

def model_bits(weights, ids, n_bytes):
    """Bits per byte of all tokens but the first. Each is predicted from CONTEXT / 2 tokens before
    it or more, where there are that many."""
    bias, nats, at = biases(CONTEXT), 0.0, 0
    ids = torch.from_numpy(ids)
    while at + 1 < len(ids):
        row = ids[at:at + CONTEXT + 1]
        size = len(row) - 1
        logits = forward(weights, row[None, :-1], bias[:, :size, :size])[0]
        losses = F.cross_entropy(logits, row[1:], reduction="none")
        nats += losses[0 if at == 0 else CONTEXT // 2:].double().sum().item()
        if size < CONTEXT:
            break
        at += CONTEXT // 2
    return nats / math.log(2) / n_bytes


def order_2_bits(text, held_out):
    """Bits per byte of a model that knows the two bytes before, from counts of the training text;
    orders 2, 1 and 0 are blended as Witten and Bell (1991) do."""
    def pairs(data):
        a = np.frombuffer(data, np.uint8).astype(np.int64)
        return a[:-2] << 8 | a[1:-1], a[2:]

    def blend(counts, lower):
        kinds = (counts > 0).sum(1, keepdims=True)
        seen = counts.sum(1, keepdims=True)
        return (counts + kinds * lower) / np.maximum(seen + kinds, 1) + (kinds == 0) * lower
    before, byte = pairs(text)
    one = np.bincount(byte, minlength=256)
    two = np.bincount((before & 255) << 8 | byte, minlength=1 << 16).reshape(256, 256)
    three = np.bincount(before << 8 | byte, minlength=1 << 24).reshape(1 << 16, 256)
    p0 = (one + 1 / 256) / (one.sum() + 1)
    p2 = blend(three, np.tile(blend(two, p0[None, :]), (256, 1)))
    before, byte = pairs(held_out)
    return -np.log2(p2[before, byte]).mean()


# ---- files ----

def write_weights(path, weights):
    header, data = {}, b""
    for name, weight in weights.items():
        values = weight.numpy().astype("<f2").tobytes()
        header[name] = {"dtype": "F16", "shape": list(weight.shape),
                        "data_offsets": [len(data), len(data) + len(values)]}
        data += values
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def write_tokens(path, tokens):
    """One per line, as pluck --vocab reads it."""
    with open(path, "w", encoding="ascii") as file:
        for token in tokens:
            file.write("".join(chr(b) if 32 <= b < 127 and b != 92 else f"\\x{b:02X}"
                               for b in token) + "\n")


def write_files(folder, weights, tokens, held_out):
    ids = np.concatenate([[NEWLINE], encode(held_out, tokens)])
    with torch.no_grad():
        bits = model_bits(weights, ids, len(held_out))
        print(f"model, weights in binary16: {bits:.4f} bits per byte of the same text")
        exact = {name: weight.double() for name, weight in weights.items()}
        rows = forward(exact, torch.from_numpy(ids[None, :N_ROWS]), biases(N_ROWS).double())[0]
    np.save(os.path.join(folder, "tiny.npy"), rows.numpy().astype("<f4"))
    np.save(os.path.join(folder, "tiny_targets.npy"), ids[1:N_ROWS + 1].astype("<i4"))
    write_weights(os.path.join(folder, "tiny.safetensors"), weights)
    write_tokens(os.path.join(folder, "tiny_vocab.txt"), tokens)
    with open(os.path.join(folder, "tiny_heldout.txt"), "wb") as file:
        file.write(held_out[:held_out.index(b"\n", N_SHOWN) + 1])


def main():
    parser = argparse.ArgumentParser(description="trains the small language model of the demo")
    parser.add_argument("--austen", required=True,
                        help="folder that the package r-cran-janeaustenr was unpacked into")
    parser.add_argument("--steps", type=int, default=STEPS,
                        help=f"steps of the optimiser (default: {STEPS})")
    parser.add_argument("folder", help="folder to write to")
    arguments = parser.parse_args()
    torch.manual_seed(1)
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)

    sources = [split(plain(p) for p in source) for source in (austen(arguments.austen), bible())]
    text, held_out = (b"".join(source[part] for source in sources) for part in (0, 1))
    tokens = train_tokens(text, N_VOCAB)
    ids = encode(text, tokens)
    print(f"text: {len(text)} bytes, {len(ids)} tokens; held out: {len(held_out)} bytes")
    print(f"order-2 byte model: {order_2_bits(text, held_out):.4f} bits per byte of the held-out "
          "text", flush=True)
    weights = train(ids, arguments.steps)
    print(f"parameters: {sum(weight.numel() for weight in weights.values())}")
    weights = {name: weight.half().float() for name, weight in weights.items()}
    write_files(arguments.folder, weights, tokens, held_out)


if __name__ == "__main__":
    main()
