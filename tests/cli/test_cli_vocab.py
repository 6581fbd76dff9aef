#!/usr/bin/env python3
"""Vocabularies out of GGUF models and of tokenizer.json: each spelling of bytes gives the text that
the model means, and a file that is cut or lies is refused in one line, quickly."""
import json
import re
import struct
import unittest

from command_case import DATA_FOLDER, CommandCase, main
from make_inputs import gpt2_alphabet

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
        self.refuse(gguf.file([("tokenizer.ggml.tokens", ARRAY, (4, [1, 2]))]), "is no list")
        self.refuse(gguf.file([("tokenizer.ggml.tokens", ARRAY, (STRING, []))]), "holds no token")
        self.refuse(gguf.file([("tokenizer.ggml.tokens", ARRAY, (STRING, [b"x" * 65536]))]),
                    "a token of 65536 bytes or more")
        self.refuse(gguf.file([("tokenizer.ggml.token_type", ARRAY, (6, [1.0]))]), "is no list")
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
        self.refuse(tokens + gguf.pack("IIQ", 9, 8, huge), "is no list of at most 2^24")
        self.refuse(tokens + gguf.pack("IIQQ", 9, 8, 1 << 24, huge) + b"x", "truncated")
        self.refuse(tokens + gguf.pack("IIQ", 9, 8, 1 << 24) + gguf.text("a") * 5, "truncated")

    def test_every_prefix_is_refused(self):
        content = Gguf().file(vocabulary(["a"] * 8, "llama", [1] * 8), b"")
        for length in range(4, len(content), 7):
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
            self.assertIn("in a file too small for as many tokens", self.stderr)

    def test_a_token_of_any_width_is_listed(self):
        """A text has 20 columns between its quotes; a longer one is cut and marked with '>'."""
        for character, columns in (("x", 1), ("\u4e2d", 2), ("\u0301", 0), ("\n", 2), ("\x1b", 6)):
            shown = {"\n": "\\n", "\x1b": "\\u{1B}"}.get(character, character)
            for first in range(0, 44, 8):
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
