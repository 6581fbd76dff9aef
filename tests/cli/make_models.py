"""A small fastText model and its text, hidden states and their targets, written with the standard
library alone. docs of the layout: lib/heads/fasttext/fasttext_file.c."""
import random
import struct

WORDS = [("</s>", 9), ("red", 5), ("green", 4), ("blue", 3), ("sky", 1)]
LABELS = [("__label__warm", 7), ("__label__cold", 5), ("__label__fresh", 2), ("__label__rare", 1)]
DIM = 3
TEXT = "red red\nblue sky\n\nnothing known\ngreen </s> blue\nlast line red"


def fasttext_model(loss=1):
    """Supervised, hierarchical softmax (1) or one against all (4), neither subwords nor n-grams."""
    source = random.Random(11)

    def matrix(n_rows):
        values = [source.uniform(-2, 2) for _ in range(n_rows * DIM)]
        return struct.pack("<qq", n_rows, DIM) + struct.pack(f"<{len(values)}f", *values)

    model = struct.pack("<ii", 793712314, 12)
    model += struct.pack("<12i", DIM, 5, 5, 1, 5, 1, loss, 3, 0, 0, 0, 100)
    model += struct.pack("<d", 1e-4)
    model += struct.pack("<3i", len(WORDS) + len(LABELS), len(WORDS), len(LABELS))
    model += struct.pack("<qq", 22, -1)
    for kind, entries in enumerate((WORDS, LABELS)):
        for text, count in entries:
            model += text.encode() + b"\0" + struct.pack("<qb", count, kind)
    return model + b"\0" + matrix(len(WORDS)) + b"\0" + matrix(len(LABELS))


def pairs(n_rows, n_tokens, dim, seed):
    """Hidden states, and targets drawn from a softmax of them, so that there is something to learn.
    The weights are the same for every seed."""
    source = random.Random(5)
    weights = [[source.gauss(0, 1.5) for _ in range(dim)] for _ in range(n_tokens)]
    source = random.Random(seed)
    hidden, targets = [], []
    for _ in range(n_rows):
        row = [source.gauss(0, 1) for _ in range(dim)]
        logits = [sum(w * h for w, h in zip(weight, row)) - 0.3 * token
                  for token, weight in enumerate(weights)]
        most = max(logits)
        hidden.append(row)
        targets.append(source.choices(range(n_tokens), [2.718281828 ** (x - most)
                                                        for x in logits])[0])
    return weights, hidden, targets
