#!/usr/bin/env python3
"""Writes the seeds of corpus/ that are made by hand, byte by byte, from the formats.

    make_seeds.py FOLDER       corpus/ of this folder, to make them again

Those of dumps are made by make_dump_seeds.py when they are needed; corpus/replay and
corpus/checkpoint hold what the command and the library wrote.
"""
import base64
import gzip
import hashlib
import json
import pathlib
import struct
import sys
import zlib


def floats(n):
    return struct.pack(f"<{n}f", *(((i * 37 + 11) % 64) / 16 - 2 for i in range(n)))


# fastText models

DIM, WORDS, LABELS, BUCKETS = 2, ["</s>", "the", "cat", "\u00e9t\u00e9"], "abc", 10


def codebook(dim, n_subs, sub):
    last = dim - (n_subs - 1) * sub
    return struct.pack("<4i", dim, n_subs, sub, last) + floats(256 * dim)


def matrix(n_rows, quantised):
    if not quantised:
        return struct.pack("<qq", n_rows, DIM) + floats(n_rows * DIM)
    codes = bytes((i * 91 + 3) % 256 for i in range(2 * n_rows))
    norms = bytes((i * 17 + 40) % 256 for i in range(n_rows))
    return (struct.pack("<Bqqi", 1, n_rows, DIM, 2 * n_rows) + codes + codebook(DIM, 2, 1)
            + norms + codebook(1, 1, 1))


def entry(text, count, kind):
    return text.encode() + b"\0" + struct.pack("<qb", count, kind)


def fasttext(loss, ngrams, minn, maxn, quantised=False, pairs=None, version=12):
    args = [DIM, 5, 5, 1, 5, ngrams, loss, 3, BUCKETS, minn, maxn, 100]
    n = len(WORDS) + len(LABELS)
    model = struct.pack("<ii12id", 793712314, version, *args, 0)
    n_pruned = -1 if pairs is None else len(pairs)
    model += struct.pack("<iiiqq", n, len(WORDS), len(LABELS), 100, n_pruned)
    for i, word in enumerate(WORDS):
        model += entry(word, 9 - 2 * i, 0)
    for i, label in enumerate(LABELS):
        model += entry("__label__" + label, 6 - i, 1)
    for pair in pairs or []:
        model += struct.pack("<ii", *pair)
    rows = len(WORDS) + (BUCKETS if pairs is None else len(pairs))
    for n_rows in (rows, len(LABELS)):
        model += struct.pack("<B", quantised) + matrix(n_rows, quantised)
    return model


def fasttext_seeds():
    line = "the cat \u00e9t\u00e9 dog __label__zz __label__a\n".encode()
    models = {
        "softmax": fasttext(3, 3, 0, 0), "tree": fasttext(1, 1, 0, 0),
        "subwords": fasttext(1, 2, 2, 3), "ova": fasttext(4, 1, 1, 2, True),
        "negatives": fasttext(2, 1, 0, 0, True),
        "pruned": fasttext(1, 2, 2, 2, True, [(7, 0), (5, 1), (3, 2)]),
        "pruned_negative": fasttext(1, 1, 0, 0, False, [(-1, 0)]),
        "version_11": fasttext(1, 1, 0, 3, version=11),
    }
    yield "predict_model/subwords", models["subwords"]
    for name, model in models.items():
        yield f"fasttext/{name}", bytes([len(line)]) + line + model
    odd = b"</s> the</s> \xff\xfe\x80 \xf0\x9f\x99\x82 cat\0\t\v\n\n  the"
    yield "predict/lines", line * 3 + odd
    yield "predict/long", b"the cat " * 200
    yield "predict/no_newline", b"__label__b"


# Arrays of targets

def npy(header, data):
    text = repr(header).encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(text)) + text + data


def targets_seeds():
    for kind in ("<i8", "<i4", ">i4", "<i2", "|u1", "<u2"):
        code = {"8": "q", "4": "i", "2": "h", "1": "b"}[kind[2]]
        code = code.upper() if kind[1] == "u" else code
        values = [3, 0, 7] if kind[1] == "u" else [3, -1, 7]
        data = struct.pack((">" if kind[0] == ">" else "<") + "3" + code, *values)
        header = {"descr": kind, "fortran_order": False, "shape": (3,)}
        yield f"targets/{kind[1:]}{'_big' if kind[0] == '>' else ''}.npy", npy(header, data)
    two = {"descr": "<i4", "fortran_order": False, "shape": (2, 2)}
    yield "targets/two_axes.npy", npy(two, struct.pack("<4i", 1, 2, -100, 4))
    real = {"descr": "<f4", "fortran_order": False, "shape": (2,)}
    yield "targets/floats.npy", npy(real, floats(2))
    yield "targets/text.txt", b"3\n-1 7\t8\r\n\n16777215\n"
    yield "targets/bad.txt", b"3\nx\n"


# Vocabularies: the first byte chooses spelling and name

def gguf_text(text, order, size):
    return struct.pack(order + size, len(text)) + text


def gguf(tokens, model, version=3, order="<"):
    size = "I" if version == 1 else "Q"
    keys = [(b"general.name", 8, gguf_text(b"x", order, size)),
            (b"tokenizer.ggml.model", 8, gguf_text(model, order, size)),
            (b"numbers", 9, struct.pack(order + "I" + size + "3H", 2, 3, 1, 2, 3)),
            (b"flag", 7, b"\1"),
            (b"tokenizer.ggml.tokens", 9, struct.pack(order + "I" + size, 8, len(tokens))
             + b"".join(gguf_text(t, order, size) for t in tokens)),
            (b"tokenizer.ggml.token_type", 9, struct.pack(order + "I" + size, 5, len(tokens))
             + struct.pack(f"{order}{len(tokens)}i", *([3] + [1] * (len(tokens) - 1))))]
    body = b"GGUF" + struct.pack(order + "I" + 2 * size, version, 0, len(keys))
    for key, kind, value in keys:
        body += gguf_text(key, order, size) + struct.pack(order + "I", kind) + value
    return body


def field(number, payload):
    return bytes([number << 3 | 2, len(payload)]) + payload


def piece(text, kind):
    """A piece of a SentencePiece model: text, score, type."""
    return field(1, field(1, text) + b"\x15" + struct.pack("<f", -1.5) + bytes([0x18, kind]))


def vocab_seeds():
    tokens = [b"<s>", b"\xe2\x96\x81the", b"\xc4\xa0cat", b"<0x0A>", b"\\n"]
    for model in (b"gpt2", b"llama", b"rwkv"):
        yield f"vocab/{model.decode()}.gguf", b"\0" + gguf(tokens, model)
    yield "vocab/version_1.gguf", b"\0" + gguf(tokens, b"gpt2", 1)
    yield "vocab/big_endian.gguf", b"\0" + gguf(tokens, b"gpt2", 3, ">")
    texts = ["<s>", "\u0120the", "\u2581cat", "<0x0A>", "a\0b", "\U0001f642", "\"\\/\b\f\n\r\t"]
    added = [{"id": 7, "content": "<pad>", "special": True}]
    decoder = {"type": "Sequence", "decoders": [{"type": "Replace"}, {"type": "ByteFallback"}]}
    forms = {
        "list": texts, "map": {t: i for i, t in enumerate(texts)},
        "tokenizer": {"model": {"type": "BPE", "vocab": {t: i for i, t in enumerate(texts)}},
                      "decoder": {"type": "ByteLevel"}, "added_tokens": added},
        "unigram": {"model": {"vocab": [[t, -i / 2] for i, t in enumerate(texts)]},
                    "decoder": decoder},
        "wrong": {"model": {"vocab": {"a": 1.5}}},
    }
    for name, form in forms.items():
        yield f"vocab/{name}.json", b"\4" + json.dumps(form).encode()
    yield "vocab/lines.txt", b"\0" + "<s>\n\u0120the\n\\n\n\u2581cat\n<0x41>\n".encode()
    yield "vocab/plain.txt", b"\3one\ntwo\n"
    pieces = [(t.encode(), i % 6 + 1) for i, t in enumerate(["<unk>", "\u2581the", "<0x41>", "a"])]
    yield "vocab/pieces.model", b"\0" + b"".join(piece(text, kind) for text, kind in pieces) \
        + b"\x12\x02\x08\x01" + b"\x1d\0\0\0\0" + b"\x21" + 8 * b"\0"
    yield "vocab/cut.model", b"\0" + piece(b"abc", 1)[:-3]
    yield "vocab/pieces.vocab", b"\0" + "<unk>\t0\n\u2581the\t-1.5\na\t-2\n".encode()
    coded = [base64.b64encode(t) for t in (b"a", b"b\0", b" the", b"\xff")]
    ranks = [t + b" %d" % i for i, t in enumerate(coded)]
    yield "vocab/ranks.tiktoken", b"\0" + b"\n".join(ranks) + b"\n"
    yield "vocab/gap.tiktoken", b"\0" + ranks[0] + b"\r\n" + ranks[2] + b"\n"
    yield "vocab/bad.tiktoken", b"\0" + b"\n".join(ranks) + b"\nYw== x\n"
    yield "vocab/words.txt", b"\0" + b"[PAD]\n[UNK]\nun\n##able\n##s\n"
    yield "vocab/escapes.txt", b"\1" + b"\xef\xbb\xbfa\\u{1B}\r\n\\xFF\r\n\\\\\r\n"
    yield "vocab/ids.json", b"\4" + json.dumps({"0": "a", "1": "b", "3": "c"}).encode()
    yield "vocab/packed.gz", b"\0" + gzip.compress(b"one\ntwo\n", mtime=0)
    for name, begin in (("elf", b"\x7fELF"), ("zip", b"PK\3\4"), ("pickle", b"\x80\x04\x95")):
        yield f"vocab/{name}", b"\0" + begin + bytes(40)


# Heads

def safetensors(tensors, notes):
    header, data = {"__metadata__": notes}, b""
    for name, (dtype, shape, bytes_of) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape,
                        "data_offsets": [len(data), len(data) + len(bytes_of)]}
        data += bytes_of
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def f32(*shape):
    n = 1
    for axis in shape:
        n *= axis
    return "F32", list(shape), floats(n)


def head_seeds():
    def notes(kind, **more):
        return {"format": "pluck-head", "kind": kind, "dim": "2", **more}

    i32 = struct.pack
    children = ("I32", [3, 2], i32("<6i", 0, 1, 2, 3, 4, 5))
    halves = ("F16", [3, 2], struct.pack("<6e", 1, 2, 3, -1, -2, -3))
    yield "head/dense", safetensors({"bias": f32(3), "weight": f32(3, 2)}, notes("dense"))
    yield "head/dense_f16", safetensors({"weight": halves}, notes("dense"))
    for sign in ("left", "right"):
        yield f"head/tree_{sign}", safetensors(
            {"nodes": f32(3, 2), "bias": f32(3), "children": children},
            notes("hierarchical", sign=sign))
    tails = {"head.weight": f32(4, 2), "head.bias": f32(4), "tail.0.0.weight": f32(1, 2),
             "tail.0.1.weight": f32(3, 1)}
    yield "head/adaptive", safetensors(tails, notes("adaptive"))
    yield "head/adaptive_torch", safetensors({"lm." + k: v for k, v in tails.items()}, {})
    yield "head/bands", safetensors(
        {"band.0.weight": f32(2, 2), "band.1.weight": f32(3, 1), "bias": f32(5),
         "first": ("I32", [2], i32("<2i", 0, 1))}, notes("differentiated"))
    yield "head/no_kind", safetensors({"weight": f32(3, 2)}, notes("other"))


# JSON: the first byte says whether NUL may be in strings

def json_seeds():
    everything = {"a": [1, -2.5, 1e-7, 1e400, 12345678901234567890], "b": {"c": None, "d": True},
                  "\u00e9\U0001f642": "\"\\/\b\f\n\r\t\u0001", "": [[], {}, False], "s": "a\0b"}
    many = {f"key{i}": i for i in range(12)}
    yield "json/ascii.json", b"\1" + json.dumps(everything).encode()
    yield "json/utf8.json", b"\1" + json.dumps(everything, ensure_ascii=False, indent=1).encode()
    yield "json/many.json", b"\0\xef\xbb\xbf" + json.dumps(many).encode()
    yield "json/twice.json", b"\0" + json.dumps(many)[:-1].encode() + b', "key3": 0}'
    yield "json/deepest.json", b"\0" + b"[" * 64 + b"]" * 64
    yield "json/too_deep.json", b"\0" + b'{"a":' * 65 + b"1" + b"}" * 65
    wrong = ["", "{", "[1", '{"a"', '{"a":1,}', "[1,]", "01", "-", "1.", "1e", '"', '"\\x"',
             '"\\u12"', '"\\u0000"', '"\\ud800"', '"\\udc00"', '"\n"', '"\x80"', "'a'", "/* */ 1",
             "NaN", "True", ".5", "x", "nul", "1 2", "[1 2]", '{"a" 1}', "{1:2}", "1" * 128]
    for i, text in enumerate(wrong):
        yield f"json/wrong_{i:02}.json", b"\0" + text.encode("latin-1")


# Tallies of fuzz_tally.c (lib/base/tally.c)


def fnv1a(content):
    value = 0xCBF29CE484222325
    for byte in content:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def tally(counts=(0, 0), sums=(), values=(), firsts=(), pieces=(), failure=b"", about=b"fuzz\0"):
    made = struct.pack("<IIQ", 1, 5, fnv1a(about))
    made += struct.pack("<IQI", 5, 41, len(failure)) + failure if failure else bytes(4)
    for kind in (0, 1):
        made += struct.pack("<IQ2Q", kind, 2, *counts)
    made += struct.pack("<IQ", 2, 2)
    for first, digits, sign in list(sums) + [(0, (), 0)] * (2 - len(sums)):
        made += struct.pack(f"<II{len(digits)}IIQQQ", first, len(digits), *digits, sign, 0, 1, 0)
    made += struct.pack(f"<IQ3Q{len(values)}Q", 3, 2, 1, 0, len(values), *values)
    words = [word for item in firsts for word in item]
    made += struct.pack(f"<3Q{len(words)}Q", 2, 3, len(firsts), *words)
    made += struct.pack("<IQQ", 4, 1, len(pieces))
    for item, stream, text in pieces:
        made += struct.pack("<QIQ", item, stream, len(text)) + text
    return made


def tally_seeds():
    whole = {"counts": (5, 2**63), "sums": [(3, (7, 9), 0), (66, (1,), 2**32 - 1)],
             "values": (1, 1, 2**64 - 1), "firsts": ((7, 7), (7, 8), (7, 9)),
             "pieces": ((2, 0, b""), (2, 1, b"two"), (9, 0, b"nine"))}
    yield "tally/empty", tally()
    yield "tally/whole", tally(**whole)
    yield "tally/failed", tally(failure=b"row 41: the logit of token 7 is NaN", **whole)
    yield "tally/cut", tally(**whole)[:-3]
    yield "tally/longer", tally(**whole) + b"?"
    yield "tally/other_pass", tally(about=b"other\0")
    yield "tally/other_version", b"\2" + tally()[1:]
    yield "tally/other_sections", tally()[:20] + b"\1" + tally()[21:]
    yield "tally/control", tally(failure=b"row 1: \x1b")
    yield "tally/no_such_status", tally(failure=b"row").replace(b"\5\0\0\0\x29", b"\x63\0\0\0\x29")
    yield "tally/no_sum", tally(sums=[(3, (0, 9), 0)])
    yield "tally/unordered_list", tally(values=(2, 1))
    yield "tally/over_limit", tally(firsts=((1, 1),) * 4)
    yield "tally/other_limit", tally(firsts=((9, 9),)).replace(
        struct.pack("<3Q", 2, 3, 1), struct.pack("<3Q", 2, 4, 1))
    yield "tally/doubled_piece", tally(pieces=((2, 0, b""), (2, 0, b"")))
    yield "tally/known_piece", tally(pieces=((2**64 - 10, 1, b"fuzz"),))
    yield "tally/long_piece", tally(pieces=((2, 0, b"x"),))[:-9] + b"\xff" * 8 + b"x"
    yield "tally/many_pieces", tally()[:-8] + b"\xff" * 8


# Partial files

def counted(text):
    return struct.pack("<I", len(text)) + text


def section(kind, content=b"", stream=0):
    return struct.pack("<IIQ", kind, stream, len(content)) + content


def pass_of(number, before, items, after, first, end):
    return section(1, struct.pack("<6Q", number, before, items, after, first, end))


# Kind, name, text, size, digest.
FACTS = [(0, b"command", b"sample", 0, bytes(32)), (1, b"DUMP 1", b"a.npy", 9, bytes(range(32))),
         (2, b"configuration", b"", 2, bytes(32)), (3, b"--output", b"out", 0, bytes(32)),
         (3, b"--kept", b"k.npz", 0, bytes(32))]


def partial(body, shard=1, count=4, words=(b"sample", b"a.npy"), facts=FACTS, api=1,
            n_words=None, n_facts=None, n_bytes=None, format_number=1, identity=None, more=b""):
    lists = b"".join(map(counted, words))
    hashed = hashlib.sha256()
    for kind, name, text, size, digest in facts:
        lists += (struct.pack("<I", kind) + counted(name) + counted(text) + struct.pack("<Q", size)
                  + digest)
        if name != b"--output":
            hashed.update(struct.pack("<IQ", kind, size) + digest + name + b"\0"
                          + (text if kind == 0 else b"") + b"\0")
    lists += more
    file = b"PLUCKPAR" + struct.pack(
        "<6IQ", format_number, api, shard, count, len(words) if n_words is None else n_words,
        len(facts) if n_facts is None else n_facts, len(lists) if n_bytes is None else n_bytes)
    file += lists + (identity or hashed.digest()) + body
    return file + struct.pack("<I", zlib.crc32(file))


def partial_seeds():
    end, shares = section(0), pass_of(0, 2, 20, 4, 6, 13)
    printed = section(2, b"row 4\n") + section(2, b"", 1) + section(3, b"\1\2\3\4")
    last = section(4, tally(counts=(7, 0)))
    whole = shares + printed + last + pass_of(1, 22, 4, 0, 6, 13) + last + end
    seeds = {
        "whole": partial(whole), "empty": partial(end), "plan": partial(whole, 0, 0),
        # One mistake each.
        "no_end": partial(shares + printed), "cut": partial(whole)[:-30],
        "short": partial(b"")[:50], "other": b"PLUCKPAN" + partial(whole)[8:],
        "after_end": partial(whole + end), "long_end": partial(shares + section(0, b"x")),
        "no_pass": partial(printed + end), "kind": partial(shares + section(9) + end),
        "long_section": partial(shares + struct.pack("<IIQ", 2, 0, 1 << 40) + end),
        "pass_size": partial(section(1, bytes(40)) + end),
        "pass_order": partial(shares + pass_of(2, 22, 4, 0, 6, 13) + end),
        "pass_sum": partial(pass_of(0, 2**64 - 1, 20, 4, 6, 13) + end),
        "pass_share": partial(pass_of(0, 2, 20, 4, 13, 6) + end),
        "shard": partial(whole, 4, 4), "plan_shard": partial(whole, 1, 0),
        "format": partial(whole, format_number=2),
        "no_words": partial(whole, words=()), "n_words": partial(whole, n_words=9999),
        "zero": partial(whole, words=(b"sam\0ple",)), "n_facts": partial(whole, n_facts=9),
        "few_facts": partial(whole, n_facts=3), "fact": partial(whole, facts=[(9, *FACTS[0][1:])]),
        "n_bytes": partial(whole, n_bytes=1 << 50), "identity": partial(whole, identity=bytes(32)),
        "more": partial(whole, more=b"more"),
    }
    for name, content in seeds.items():
        yield f"partial/{name}", content


# Records of shards: what the forger sends in each exchange

HONEST = struct.pack("<H", 65535)


def best(start, n_reaching, tokens):
    """A part: tokens and their logits."""
    n = len(tokens)
    logits = (t * 37 % 101 * 0.1 for t in tokens)
    return struct.pack(f"<fII{n}I{n}f", start, n_reaching, n, *tokens, *logits)


def shard(config, *sent, rank=1):
    return bytes((config, rank)) + b"".join(
        HONEST if one is None else struct.pack("<H", len(one)) + one for one in sent)


def shard_seeds():
    infinity = float("inf")
    one = 1 << 39  # the mass of 1
    names = ("greedy", "top_k", "min_p", "min_keep", "large_k", "row", "blocks", "race",
             "nucleus", "nucleus_race", "spread", "typical", "dynamic", "smoothing", "xtc")
    number = {name: i for i, name in enumerate(names)}
    for name in names:
        yield f"shard/honest_{name}", shard(number[name])
    first = best(-infinity, 2048, range(2048, 2168))
    arrival = struct.pack("<IIfd", 1, 2100, 9.5, 3.0)
    sums = struct.pack("<QI", 30 * one, 900)
    for name, *sent in (
            ("greedy", best(-infinity, 2048, [2116])),
            ("greedy", best(-infinity, 0, [])),
            ("top_k", best(-infinity, 2048, [2050, 2060, 2070, 2080, 2090])),
            ("min_p", best(9.8, 200, range(2048, 2168))),
            ("min_p", best(9.8, 200, []), best(9.8, 200, [])),
            ("min_keep", None, best(-infinity, 2048, range(2048, 2624))),
            ("large_k", None, best(5.0, 900, [])),
            ("row", floats(2048)),
            ("row", floats(2047)),
            ("blocks", best(-infinity, 2048, [2116]), sums + floats(96)),
            ("blocks", None, sums + struct.pack("<32d32f", *[1.0] * 32, *[9.0] * 32),
             struct.pack("<IIfd", 0, 0, 0.0, 0.0)),
            ("blocks", None, None, arrival),
            ("race", best(-infinity, 2048, [2116]) + arrival, sums),
            ("race", best(-infinity, 2048, [2116]) + arrival[:-1]),
            ("nucleus_race", first, struct.pack("<Q", 30 * one)),
            ("nucleus_race", first, struct.pack("<Q", 1 << 63)),
            ("nucleus_race", first, struct.pack("<Q", 0)),
            ("spread", first + struct.pack("<4d", 2048, 1, 100, 2000)),
            ("spread", first + struct.pack("<4d", 2048, 1, float("nan"), 2000)),
            ("typical", first, sums + struct.pack("<IIIIQQQ", 34, 1, 1, 0, 0, 0, 0)),
            ("typical", first, sums + struct.pack("<IIIIQQQ", 34, 1, 5, 0xFFFFFFFF, 0, 0, 0)),
            ("dynamic", first, sums + struct.pack("<IIIIQQQ", 33, 1, 7, 0xFFFFFFFF, 0, 0, 0))):
        content = shard(number[name], *sent)
        yield f"shard/{name}_{hashlib.sha256(content).hexdigest()[:4]}", content
    yield "shard/nan", shard(0x40)
    yield "shard/cannot_begin", shard(0, rank=0x41)
    yield "shard/own_head", shard(0x80, struct.pack("<7I", 1, 28, 1, 0, 0, 2, 0) + b"text")
    yield "shard/version", shard(0x80, struct.pack("<7I", 2, 28, 1, 0, 0, 0, 0))
    yield "shard/other_rank", shard(0x80, struct.pack("<7I", 1, 28, 2, 0, 0, 0, 0))
    yield "shard/bad_flags", shard(0x80, struct.pack("<7I", 1, 28, 1, 0, 0, 0, 9))


def main():
    corpus = pathlib.Path(sys.argv[1]) / "corpus"
    for seeds in (fasttext_seeds, targets_seeds, vocab_seeds, head_seeds, json_seeds,
                  tally_seeds, partial_seeds, shard_seeds):
        for name, content in seeds():
            path = corpus / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


if __name__ == "__main__":
    main()
