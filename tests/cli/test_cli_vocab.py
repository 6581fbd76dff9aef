#!/usr/bin/env python3
"""Vocabularies out of GGUF models and of tokenizer.json: each spelling of bytes gives the text that
the model means, and a file that is cut or lies is refused in one line, quickly."""
import array
import base64
import gzip
import json
import os
import pathlib
import re
import struct
import subprocess
import unittest

from command_case import DATA_FOLDER, CommandCase, main, some
from make_inputs import gpt2_alphabet, npy
from make_models import fasttext_model

STRING, ARRAY = 8, 9
SIZES = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}


class Gguf:
    def __init__(self, version=3, order="<"):
        self.version, self.order = version, order
        self.length = "I" if version == 1 else "Q"

    def pack(self, code, *values):
        return struct.pack(self.order + code, *values)

    def text(self, text):
        data = text if isinstance(text, bytes) else text.encode()
        return self.pack(self.length, len(data)) + data

    def value(self, kind, value):
        if kind == STRING:
            return self.text(value)
        if kind == ARRAY:
            element, values = value
            return (self.pack("I", element) + self.pack(self.length, len(values)) +
                    b"".join(self.value(element, v) for v in values))
        return self.pack(SIZES[kind], value)

    def file(self, keys, tail=b"tensors, which nobody reads"):
        out = b"GGUF" + self.pack("I", self.version) + self.pack(self.length * 2, 7, len(keys))
        for name, kind, value in keys:
            out += self.text(name) + self.pack("I", kind) + self.value(kind, value)
        return out + tail


def vocabulary(tokens, model, types=None):
    keys = [("general.name", STRING, "a model"), ("x.list", ARRAY, (ARRAY, [(4, [1, 2]), (6, [])])),
            ("a.very." + "long." * 40 + "key", 12, 0.5), ("x.bool", 7, True), ("x.b", 0, 255),
            ("tokenizer.ggml.model", STRING, model),
            ("tokenizer.ggml.tokens", ARRAY, (STRING, tokens)),
            ("tokenizer.ggml.scores", ARRAY, (6, [0.5] * len(tokens)))]
    if types:
        keys.append(("tokenizer.ggml.token_type", ARRAY, (5, types)))
    return keys


def varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def field(number_, data):
    return varint(number_ << 3 | 2) + varint(len(data)) + data


def number(number_, value):
    return varint(number_ << 3 | 5) + struct.pack("<f", value)


def piece_model(pieces):
    """A ModelProto: pieces with scores and types, then a trainer_spec."""
    model = b"".join(field(1, field(1, text.encode()) + number(2, -1.5) + varint(3 << 3) +
                           varint(kind)) for text, kind in pieces)
    return model + field(2, field(1, b"in.txt") + varint(4 << 3) + varint(len(pieces)))


PIECES = ["<unk>", "<s>\n", "<0x0A>", "\u2581the", "\u2581", "a\u2581b", "<0xC3>", "\u2581<user>"]
TYPES = [2, 3, 6, 1, 1, 1, 6, 4]
RAW = [b" the", b"\n", b"\xc3", b"\xa9", b"\xff\x00", b"a", b"\xad\x7f", b"<|end of text|>"]


class Vocabularies(CommandCase):
    def texts(self, name, flags="", code=0):
        """The texts of the eight tokens, from rows that are certain of one each."""
        rows = "".join(json.dumps({"logits": [0 if i == k else None for i in range(8)]}) + "\n"
                       for k in range(8))
        (self.folder / "rows.jsonl").write_text(rows)
        out = self.run_line(f"pluck sample rows.jsonl --vocab {name} {flags} --format json",
                            code=code)
        return [json.loads(line)["text"] for line in out.splitlines()]

    def test_pieces_are_read_in_every_version_and_byte_order(self):
        expected = ["<unk>", "<s>\n", "\n", " the", " ", "a b", "\ufffd", "\u2581<user>"]
        for version in (1, 2, 3):
            for order in "<>":
                content = Gguf(version, order).file(vocabulary(PIECES, "llama", TYPES))
                (self.folder / "model.gguf").write_bytes(content)
                self.assertEqual(self.texts("model.gguf"), expected)
        self.assertEqual(self.texts("- < model.gguf"), expected)
        self.assertEqual(self.texts("model.gguf", "--vocab-encoding plain"), PIECES)

    def test_the_model_says_the_alphabet(self):
        spelt = [gpt2_alphabet(r) for r in RAW]
        keys = vocabulary(spelt[:7] + ["<|end of text|>"], "gpt2", [1] * 7 + [3])
        (self.folder / "m.gguf").write_bytes(Gguf().file(keys))
        self.assertEqual(self.texts("m.gguf"), [r.decode("utf-8", "replace") for r in RAW])
        escaped = [r"\n", r"\x41", r"\\", "b c", r"\t", "\u00e9", "x", "y"]
        (self.folder / "m.gguf").write_bytes(Gguf().file(vocabulary(escaped, "rwkv")))
        self.assertEqual(self.texts("m.gguf"), ["\n", "A", "\\", "b c", "\t", "\u00e9", "x", "y"])
        (self.folder / "m.gguf").write_bytes(Gguf().file(vocabulary(spelt, "none")))
        self.assertEqual(self.texts("m.gguf")[0], " the")  # found in the tokens
        types_first = sorted(vocabulary(PIECES, "t5", TYPES), key=lambda k: k[0] != "x" and k[1])
        (self.folder / "m.gguf").write_bytes(Gguf().file(list(reversed(types_first))))
        self.assertEqual(self.texts("m.gguf")[3], " the")

    def refuse(self, content, said):
        (self.folder / "bad.gguf").write_bytes(content)
        self.run_line("pluck sample small.npy --vocab bad.gguf", code=3)
        self.assertIn(said, self.stderr)
        self.assertEqual(self.stderr.count("\n"), 1)

    def test_what_is_no_vocabulary_is_refused(self):
        gguf = Gguf()
        good = vocabulary(PIECES, "llama", TYPES)
        tokens = good[6]
        self.refuse(gguf.file([k for k in good if "tokens" not in k[0]]),
                    "no tokenizer.ggml.tokens")
        self.refuse(gguf.file(good + [tokens]), "is given twice")
        self.refuse(gguf.file(good + [good[8]]), "is given twice")
        self.refuse(gguf.file(good[:8] + [("tokenizer.ggml.token_type", ARRAY, (5, [1, 2]))]),
                    "has 8 tokens, but 2 types")
        self.refuse(gguf.file([("tokenizer.ggml.tokens", ARRAY, (4, [1, 2]))]), "is not an array")
        self.refuse(gguf.file([("tokenizer.ggml.tokens", ARRAY, (STRING, []))]), "holds no token")
        self.refuse(gguf.file([("tokenizer.ggml.tokens", ARRAY, (STRING, [b"x" * 65536]))]),
                    "a token of 65536 bytes or more")
        self.refuse(gguf.file([("tokenizer.ggml.token_type", ARRAY, (6, [1.0]))]),
                    "is not an array")
        self.refuse(Gguf(4).file(good), "expected version 1, 2 or 3")
        self.refuse(b"GGUF", "truncated")
        nested = gguf.text("x") + gguf.pack("I", 9) + gguf.pack("IQ", 9, 1) * 100000
        self.refuse(gguf.file([])[:16] + gguf.pack("Q", 1) + nested, "nested too deep")
        self.refuse(gguf.file([])[:16] + gguf.pack("Q", 1) + gguf.text("x") + gguf.pack("I", 13),
                    "expected the type of a value")

    def test_lengths_are_not_believed(self):
        gguf = Gguf()
        begin = gguf.file([])[:16]
        huge = 2**64 - 1
        for kind in (0, 4, 8, 9, 12):
            key = gguf.text("x") + gguf.pack("IIQ", 9, kind, huge)
            self.refuse(begin + gguf.pack("Q", huge) + key, "truncated")
        self.refuse(begin + gguf.pack("QQ", 1, huge) + b"key", "truncated")
        tokens = begin + gguf.pack("Q", 1) + gguf.text("tokenizer.ggml.tokens")
        self.refuse(tokens + gguf.pack("IIQ", 9, 8, huge), "is not an array of at most 2^24")
        self.refuse(tokens + gguf.pack("IIQQ", 9, 8, 1 << 24, huge) + b"x", "truncated")
        self.refuse(tokens + gguf.pack("IIQ", 9, 8, 1 << 24) + gguf.text("a") * 5, "truncated")

    def test_every_prefix_is_refused(self):
        content = Gguf().file(vocabulary(["a"] * 8, "llama", [1] * 8), b"")
        for length in some(range(4, len(content), 7)):
            self.refuse(content[:length], "truncated")

    def test_a_large_model_costs_its_metadata(self):
        with open(self.folder / "large.gguf", "wb") as file:
            file.write(Gguf().file(vocabulary(PIECES, "llama", TYPES)))
            file.truncate(8 << 30)
        self.assertEqual(self.texts("large.gguf")[3], " the")

    def test_a_small_file_cannot_cost_much_memory(self):
        added = {"model": {"vocab": {"a": 0}}, "added_tokens": [{"id": 70000, "content": "x"}]}
        for value in ({"a": 0, "b": 16777215}, added):
            (self.folder / "gap.json").write_text(json.dumps(value))
            self.run_line("pluck sample small.npy --vocab gap.json", code=3)
            self.assertIn("too small for that number of tokens", self.stderr)

    def test_a_token_of_any_width_is_listed(self):
        """A text has 20 columns between its quotes; a longer one is cut and marked with '>'."""
        for character, columns in (("x", 1), ("\u4e2d", 2), ("\u0301", 0), ("\n", 2), ("\x1b", 6)):
            shown = {"\n": "\\n", "\x1b": "\\u{1B}"}.get(character, character)
            for first in some(range(0, 44, 8)):
                texts = [character * n for n in range(first, first + 8)]
                (self.folder / "widths.json").write_text(json.dumps(texts))
                out = self.run_line("pluck inspect small.npy --row 3 --vocab widths.json").decode()
                for token, n in enumerate(range(first, first + 8)):
                    kept = n if columns * n <= 20 else 20 // columns
                    mark = "" if kept == n else ">"
                    self.assertRegex(out, f'(?m)^ +[1-8] +{token}  '
                                     + re.escape('"' + shown * kept + '"' + mark) + " +0.125000")

    def test_every_row_of_shipped_data_is_listed(self):
        dump = DATA_FOLDER / "gpt2bpe50k.npy"
        for row in range(4):
            out = self.run_line(f"pluck inspect {dump} --row {row} "
                                f"--vocab {DATA_FOLDER}/gpt2bpe50k_vocab.json").decode()
            self.assertEqual(len(re.findall(r'(?m)^ +\d+ +\d+  ".*"', out)), 20)

    def read(self, name, content, flags="", n=8):
        """The texts of n tokens, as bytes that csv cells show."""
        (self.folder / name).write_bytes(content)
        rows = "".join(json.dumps({"logits": [0 if i == k else None for i in range(n)]}) + "\n"
                       for k in range(n))
        (self.folder / "rows.jsonl").write_text(rows)
        out = self.run_line(f"pluck sample rows.jsonl --vocab {name} {flags} -f csv").decode()
        cells = [line.split(",", 5)[5][1:-1] for line in out.splitlines()[1:]]
        return [cell.replace('""', '"') for cell in cells]

    def refuse_all(self, name, cases):
        for content, said in cases:
            (self.folder / name).write_bytes(content)
            self.run_line(f"pluck sample small.npy --vocab {name}", code=3)
            self.assertIn(said, self.stderr, content[:80])
            self.assertEqual(self.stderr.count("\n"), 1)

    def check_prefixes(self, name, content):
        """Every prefix is either refused in one line or read; nothing else happens."""
        for length in some(range(len(content))):
            (self.folder / name).write_bytes(content[:length])
            done = subprocess.run(["pluck", "sample", "small.npy", "--vocab", name],
                                  cwd=self.folder, env=self.env, capture_output=True, timeout=60)
            self.assertIn(done.returncode, (0, 3), (length, done.stderr))
            self.assertEqual(done.stderr.count(b"\n"), done.returncode and 1)

    def test_tiktoken(self):
        tokens = [b"!", b"\0a", b"\xff\xfe", b" the", b"abc", b"#\n", b"\xc3\xa9", b"x" * 5]
        lines = b"".join(base64.b64encode(t) + b" %d\n" % k for k, t in enumerate(tokens))
        shown = ["!", "\\u{0}a", "\\xFF\\xFE", " the", "abc", "#\\n", "\u00e9", "xxxxx"]
        for name in ("v.tiktoken", "v", "v.txt"):
            self.assertEqual(self.read(name, lines), shown)
        self.assertEqual(self.read("v", lines.replace(b"\n", b"\r\n")), shown)
        self.assertEqual(self.read("v", lines[:-1]), shown)
        self.assertEqual(self.read("v.gz", gzip.compress(lines)), shown)
        shuffled = b"".join(reversed(lines.splitlines(keepends=True)))
        self.assertEqual(self.read("v", shuffled), shown)
        # Ranks may have gaps.
        gap = b"".join(line for line in lines.splitlines(keepends=True) if b" 6" not in line)
        self.assertEqual(self.read("v", gap), [*shown[:6], "", shown[7]])
        # Lines of a word and a number are not base64 with ranks.
        self.assertEqual(self.read("v", b"".join(b"word %d\n" % k for k in range(8)))[3],
                         "\\u{8A}\\xDD")  # these are
        self.assertEqual(self.read("v", b"".join(b"words %d\n" % k for k in range(8)))[3],
                         "words 3")

    def test_tiktoken_that_lies(self):
        good = b"".join(base64.b64encode(bytes([65 + k])) + b" %d\n" % k for k in range(8))
        self.refuse_all("v.tiktoken", [
            (good + b"QQ== 7\n", "line 9: a second token of rank 7"),
            (good + b"QQ== 99999999\n", "line 9: rank 99999999, but the file is too small"),
            (good + b"QQ== 16777216\n", "too small for that number of tokens"),
            (good + b"QQ== 70000\n", "too small for that number of tokens"),
            (good + b"QQ==  8\n", "line 9: expected a token in base64"),
            (good + b"QQ== -8\n", "line 9: expected"), (good + b"QQ== 08\n", "line 9: expected"),
            (good + b"QQ==\n", "line 9: expected"), (good + b"QQ=  8\n", "line 9: expected"),
            (good + b"QR== 8\n", "line 9: expected"), (good + b"Q=== 8\n", "line 9: expected"),
            (good + b"QQ==QQ== 8\n", "line 9: expected"), (good + b"=QQ= 8\n", "line 9: expected"),
            (good + b" 8\n", "line 9: expected"), (good + b"\n\nQQ== 8\n", "line 9: expected"),
            (good + b"Q\xc3\xa9= 8\n", "line 9: expected"), (b"", "is empty"),
            (good + b"QQ== 8 9\n", "line 9: expected"), (b"QQ== 1x", "line 1: expected")])
        self.check_prefixes("v.tiktoken", good)
        # Whatever its name is, a damaged file is not read as texts.
        self.refuse_all("v.txt", [
            (good[:-3], "line 8: expected a token in base64"),
            (good.replace(b" 0", b" -1"), "line 1: expected a token in base64"),
            (good.replace(b" 7", b""), "line 8: expected a token in base64"),
            (b"QQ== 0\nQ!== 1\n", "line 2: expected a token in base64")])

    def test_sentencepiece(self):
        pieces = [("<unk>", 2), ("<s>", 3), ("\u2581the", 1), ("<0x0A>", 6), ("<0xFF>", 6),
                  ("\u2581\u2581", 4), ("a\0b", 1), ("\u00e9", 5)]
        model = piece_model(pieces)
        shown = ["<unk>", "<s>", " the", "\\n", "\\xFF", "  ", "a\\u{0}b", "\u00e9"]
        for name in ("tokenizer.model", "spm", "v.txt"):
            self.assertEqual(self.read(name, model), shown)
        self.assertEqual(self.read("m.gz", gzip.compress(model)), shown)
        # Without the fields that have their default, and with fields that nobody knows.
        bare = b"".join(field(1, field(1, t.encode()) + number(2, 1.0)) for t, _ in pieces)
        self.assertEqual(self.read("m", bare)[2], " the")
        more = field(9, b"?") + varint(7 << 3) + varint(2**64 - 1) + varint(8 << 3 | 1) + b"\0" * 8
        self.assertEqual(self.read("m", model + more), shown)
        self.assertEqual(self.read("m", model, "--vocab-encoding plain")[2], "\u2581the")

    def test_sentencepiece_that_lies(self):
        good = piece_model([("a", 1)] * 8)
        huge = varint(1 << 3 | 2) + varint(2**63)
        self.refuse_all("t.model", [
            (good + huge, "truncated: a field is longer than what follows"),
            (good + varint(1 << 3 | 2) + b"\xff" * 11, "a number of more than 64 bits"),
            (good + varint(1 << 3 | 3), "a field of unknown kind"),
            (good + varint(2), "a field of number 0"),
            (good + field(1, b""), "a piece without a text"),
            (good + field(1, number(2, 0.5)), "a piece without a text"),
            (good + field(1, field(1, b"a") + varint(3 << 3) + varint(7)), "of unknown type"),
            (good + field(1, varint(1 << 3 | 2) + varint(9) + b"a"), "truncated"),
            (good + b"\x80", "truncated"),
            (b"\n", "truncated")])
        self.check_prefixes("t.model", good)

    def test_lines_that_look_like_a_model(self):
        """A text whose first token is empty begins with the byte of a piece."""
        self.assertEqual(self.read("v", b"\na\nb\nc\nd\ne\nf\ng\n"), ["", *"abcdefg"])
        self.assertEqual(self.read("v", b"\n" * 8), [""] * 8)

    def test_pieces_with_scores(self):
        lines = "<unk>\t0\n\u2581the\t-1.5\n\u2581\t-2e-3\na\t-3\nb\t4\nc\t5\nd\t-0\ne\t7\n"
        shown = ["<unk>", " the", " ", "a", "b", "c", "d", "e"]
        self.assertEqual(self.read("spm.vocab", lines.encode()), shown)
        other = self.read("v", lines.replace("b\t4", "b\tc").encode())
        self.assertEqual(other[3:5], ["a\\t-3", "b\\tc"])

    def test_word_pieces(self):
        lines = "[PAD]\n[UNK]\n[CLS]\nthe\n##ing\n##s\n!\n[unused1]\n"
        shown = ["[PAD]", "[UNK]", "[CLS]", " the", "ing", "s", " !", "[unused1]"]
        self.assertEqual(self.read("vocab.txt", lines.encode()), shown)
        self.assertEqual(self.read("v.txt", lines.encode(), "--vocab-encoding plain")[4], "##ing")
        tokens = {t: k for k, t in enumerate(lines.split("\n")[:8])}
        tokenizer = {"model": {"type": "WordPiece", "vocab": tokens},
                     "decoder": {"type": "WordPiece", "prefix": "##"}}
        self.assertEqual(self.read("t.json", json.dumps(tokenizer).encode()), shown)
        # Headings are not continuations of words.
        plain = ["#", "##", "###", "####", "a", "b", "c", "d"]
        self.assertEqual(self.read("v.txt", "\n".join(plain).encode()), plain)

    def test_marks_and_line_ends(self):
        mark = b"\xef\xbb\xbf"
        words = [b"a", b"b", b"c", b"d", b"e", b"f", b"g", b"h"]
        plain = [w.decode() for w in words]
        self.assertEqual(self.read("v", mark + b"\n".join(words)), plain)
        self.assertEqual(self.read("v", mark + b"\r\n".join(words) + b"\r\n"), plain)
        self.assertEqual(self.read("v", b"\r\n".join(words)), plain)
        self.assertEqual(self.read("v", mark + json.dumps(plain).encode()), plain)
        self.assertEqual(self.read("v.json", mark + json.dumps(plain).encode()), plain)
        self.assertEqual(self.read("v", b"a\r\n" + b"\n".join(words[1:]))[0], "a\\r")
        self.assertEqual(self.read("v", b"a\0b\n" + b"\n".join(words[1:]))[0], "a\\u{0}b")
        self.assertEqual(self.read("v.json", b'["a\\u0000b",1]'.replace(b",1", b',"x"' * 7))[0],
                         "a\\u{0}b")

    def test_maps_both_ways(self):
        words = ["a", "b\n", "c", "d", "e", "f", "g", "7"]
        shown = ["a", "b\\n", "c", "d", "e", "f", "g", "7"]
        ids = {str(k): w for k, w in enumerate(words)}
        self.assertEqual(self.read("v.json", json.dumps(ids).encode()), shown)
        self.assertEqual(self.read("v.gz", gzip.compress(json.dumps(ids).encode())), shown)
        digits = {str(9 - k): k for k in range(8)}
        self.assertEqual(self.read("v.json", json.dumps(digits).encode())[0], "9")
        self.refuse_all("v.json", [
            (b'{"0": "a", "x": "b"}', '"x" is not a token id'),
            (b'{"0": "a", "01": "b"}', '"01" is not a token id'),
            (b'{"0": "a", "1": 2}', '"1" is not a token id (0 to 16777215) with a text'),
            (b'{"0": "a", "-1": "b"}', '"-1" is not a token id'),
            (b'{"0": "a", "16777216": "b"}', '"16777216" is not a token id'),
            (b'{"0": "a", "900000": "b"}', "too small for that number of tokens"),
            (b'{"0": "a", "0": "b"}', "0"), (b"{}", "holds no token")])

    def test_added_tokens(self):
        words = {"a": 0, "b": 1, "c": 2, "d": 3, "e": 4, "f": 5}
        (self.folder / "base.json").write_text(json.dumps(words))
        both = {"<x>\u0120": 6, "<y>": 7, "F": 5}
        decoder = {"added_tokens_decoder": {str(k): {"content": t} for t, k in both.items()}}
        items = [{"id": k, "content": t} for t, k in both.items()]
        for added in (both, decoder, items, {"added_tokens": items}):
            for data in (json.dumps(added).encode(), gzip.compress(json.dumps(added).encode())):
                (self.folder / "added.json").write_bytes(data)
                self.assertEqual(self.read("base.json", json.dumps(words).encode(),
                                           "--added-tokens added.json"),
                                 ["a", "b", "c", "d", "e", "F", "<x>\u0120", "<y>"])
        self.run_line("pluck sample small.npy --added-tokens base.json", code=2)
        (self.folder / "config.json").write_text(json.dumps(decoder))
        self.run_line("pluck sample small.npy --vocab config.json", code=3)
        self.assertIn("--added-tokens", self.stderr)
        for bad in ("[1]", "7", '{"a": -1}', '{"added_tokens_decoder": {"x": {"content": "a"}}}',
                    '{"a": 70000}', "\x80\x04"):
            (self.folder / "bad.json").write_text(bad, "latin-1")
            self.run_line("pluck sample small.npy --vocab base.json --added-tokens bad.json",
                          code=3)

    def test_other_files_are_refused_by_name(self):
        nul = b"\xff\0" * 40
        header = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
        self.refuse_all("v.bin", [
            (b"PK\x03\x04" + nul, "a ZIP archive (PyTorch, .npz), not a vocabulary; expected one"),
            (b"\x80\x02}q\x00." + nul, "a Python pickle (PyTorch)"),
            (b"\x80\x04\x95", "a Python pickle (PyTorch)"),
            (npy([[0.0] * 8]), "a NumPy array"), (b"\x89HDF\r\n\x1a\n" + nul, "an HDF5 file"),
            (struct.pack("<Q", len(header)) + header + b"\xff" * 4, "a .safetensors file"),
            (b"\x28\xb5\x2f\xfd" + nul, "packed by zstd"), (b"BZh9" + nul, "packed by bzip2"),
            (b"\xfd7zXZ\0" + nul, "packed by xz"), (fasttext_model(), "a fastText model"),
            (b"SQLite format 3\0" + nul, "an SQLite database"),
            (b"PAR1" + nul, "a Parquet file"), ("a\nb\n".encode("utf-16"), "text in UTF-16"),
            (b"#version: 0.2\n\xc4\xa0 t\n", "the merges of a BPE"),
            (b"\x7fELF\2" + nul, "a program"), (nul, "a binary file of unknown kind"),
            (gzip.compress(nul), "a binary file of unknown kind"),
            (gzip.compress(b"a\n" * 900)[:-9], "truncated"), (b"\x1f\x8b\x08\0", "truncated"),
            (gzip.compress(b"a\n" * 8)[:-8] + b"\0" * 8, "gzip")])
        for word in (b"BZh", b"PAR1", b"lmgg"):  # tokens may be called so
            self.assertEqual(self.read("v", word + b"\nb\nc\nd\ne\nf\ng\nh\n")[0], word.decode())

    def test_packed_models_and_tokenizers(self):
        gguf = Gguf().file(vocabulary(PIECES, "llama", TYPES))
        expected = ["<unk>", "<s>\\n", "\\n", " the", " ", "a b", "\\xC3", "\u2581<user>"]
        self.assertEqual(self.read("m.gguf", gguf), expected)
        self.assertEqual(self.read("m.gguf.gz", gzip.compress(gguf)), expected)
        halves = gzip.compress(gguf[:100]) + gzip.compress(gguf[100:])
        self.assertEqual(self.read("m", halves), expected)
        tokenizer = (self.folder / "tokenizer.json").read_bytes()
        self.assertEqual(self.read("t.json.gz", gzip.compress(tokenizer)),
                         self.read("t.json", tokenizer))

    def test_large_tokenizers(self):
        """Real ones, where PLUCK_SHARED_DATA names their folder: every token has a text."""
        folder = pathlib.Path(os.environ.get("PLUCK_SHARED_DATA", "none"), "grammar")
        for name, n, token, text in [
                ("vocab_qwen3_151669_tokenizer.json.gz", 151669, 151645, "<|im_end|>"),
                ("vocab_gptoss_200019_tokenizer.json.gz", 200019, 199999, "<|endoftext|>")]:
            if not (folder / name).exists():
                self.skipTest(f"{name} is not here")
            row = array.array("f", [0.0]) * n
            row[token] = 99.0
            (self.folder / "row.raw").write_bytes(row.tobytes())
            out = self.run_line(f"pluck sample row.raw --vocab-size {n} --dtype f32 "
                                f"--vocab {folder / name} -f json")
            self.assertEqual(json.loads(out)["text"], text)

    def test_the_decoder_of_a_tokenizer_says_the_spelling(self):
        model = {"type": "BPE", "vocab": {t: i for i, t in enumerate(PIECES)}}
        tokens = {**model, "vocab": {**model["vocab"], "a real space": 8}}
        plain = [p for p in PIECES]
        pieces = ["<unk>", "<s>\n", "\n", " the", " ", "a b", "\ufffd", " <user>"]
        for decoder, expected in [
                (None, plain),
                ({"type": "Metaspace"}, pieces),
                ({"type": "Sequence", "decoders": [{"type": "Fuse"}, {"type": "ByteFallback"}]},
                 pieces),
                ({"type": "Unknown", "decoders": 5}, plain)]:
            (self.folder / "t.json").write_text(json.dumps({"model": tokens, "decoder": decoder}))
            rows = "".join(json.dumps({"logits": [0 if i == k else None for i in range(9)]}) + "\n"
                           for k in range(8))
            (self.folder / "r9.jsonl").write_text(rows)
            out = self.run_line("pluck sample r9.jsonl --vocab t.json -f json")
            self.assertEqual([json.loads(line)["text"] for line in out.splitlines()], expected)


if __name__ == "__main__":
    main()
