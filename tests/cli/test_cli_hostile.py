#!/usr/bin/env python3
"""Why: token texts, labels, file names and keys come from strangers. Whatever they hold, nothing
that a terminal acts on reaches standard output, standard error or a written file, in any command
and format. And whatever numbers rows hold, what is called JSON is JSON."""
import json
import os
import re
import struct
import subprocess
import unittest

import command_case
from command_case import CommandCase, main, some
from make_inputs import npy
from make_models import LABELS, fasttext_model

# C0 (without the line feed that ends lines), DEL, C1, marks that change the direction, separators.
RAW = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")

# What is in a text, and how each notation shows it; written by hand from docs/command.md.
SHOWN = [
    # bytes, in messages and tables, in JSON
    (b"\x1b[31m", r"\u{1B}[31m", r"\u001b[31m"),
    (b"\x07\x08\x7f", r"\u{7}\u{8}\u{7F}", r"\u0007\u0008\u007f"),
    (b"a\rb\tc\nd", r"a\rb\tc\nd", r"a\rb\tc\nd"),
    ("\x9b31m\x80\x9f".encode(), r"\u{9B}31m\u{80}\u{9F}", r"\u009b31m\u0080\u009f"),
    ("\u202e\u202a\u2066\u2069".encode(), r"\u{202E}\u{202A}\u{2066}\u{2069}",
     r"\u202e\u202a\u2066\u2069"),
    ("\u200e\u200f\u061c".encode(), r"\u{200E}\u{200F}\u{61C}", r"\u200e\u200f\u061c"),
    ("\u2028\u2029\ufeff".encode(), r"\u{2028}\u{2029}\u{FEFF}", r"\u2028\u2029\ufeff"),
    (b"\x9b\xff\xc3(\xed\xa0\x80", r"\x9B\xFF\xC3(\xED\xA0\x80",
     "\ufffd\ufffd\ufffd(\ufffd\ufffd\ufffd"),
    ("caf\u00e9 \u4e2d \U0001f600".encode(), "caf\u00e9 \u4e2d \U0001f600",
     "caf\u00e9 \u4e2d \U0001f600"),
]
NAMES = [raw for raw, _, _ in SHOWN]


def vocabulary_line(raw):
    return b"".join(b"\\x%02x" % b for b in raw) + b"\n"


class ListCase(CommandCase):
    def write(self, name, content):
        path = os.path.join(os.fsencode(self.folder), os.fsencode(name))
        with open(path, "wb") as file:
            file.write(content)

    def run_list(self, words, stdin=b""):
        """Runs pluck with words of text or bytes; returns both streams, checked, and the status."""
        words = [os.fsencode(w) for w in words]
        pluck = os.fsencode(command_case.PLUCK)
        done = subprocess.run([pluck, *words], cwd=self.folder,
                              input=stdin, capture_output=True, env=self.env, timeout=120)
        self.check(done.stdout, words)
        self.check(done.stderr, words)
        return done.stdout.decode(), done.stderr.decode(), done.returncode

    def check(self, data, what):
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            self.fail(f"{what}: not UTF-8: {data[error.start - 20:error.end + 20]!r}")
        found = RAW.search(text)
        self.assertIsNone(found, f"{what}: {found and text[max(0, found.start() - 30):][:60]!r}")


class Hostile(ListCase):
    def setUp(self):
        super().setUp()
        texts = NAMES[:8]
        self.write("v8.txt", b"".join(map(vocabulary_line, texts)))
        self.write("flat.npy", npy([[0.0] * 8] * 5))

    def check_file(self, name):
        self.check((self.folder / name).read_bytes(), name)

    def test_texts_of_tokens(self):
        for k, (_, plain, in_json) in enumerate(SHOWN[:8]):
            row = [-9.0] * 8
            row[k] = 9.0
            self.write("row.npy", npy([row], "(8,)"))
            flags = ["row.npy", "--vocab", "v8.txt", "--temperature", "0"]
            quoted = plain if "\\" not in plain else plain.replace("\\\\", "\\")
            out = {f: self.run_list(["sample", *flags, "-f", f])[0]
                   for f in ("text", "json", "csv")}
            self.assertIn(f'"{quoted}"', out["text"])
            self.assertIn(f'"text":"{in_json}"', out["json"])
            self.assertIn(f',"{quoted}"\n', out["csv"])
            self.assertEqual(json.loads(out["json"])["text"], NAMES[k].decode("utf-8", "replace"))
            self.assertIn(f'"text":"{in_json}"',
                          self.run_list(["inspect", *flags[:3], "-f", "json"])[0])

    def test_every_command_with_texts(self):
        flags = ["--vocab", "v8.txt"]
        targets = ["--targets", "t.txt"]
        self.write("t.txt", b"0\n1\n2\n3\n4\n")
        for words in [
                ["sample", "flat.npy", *flags, "--draws", "40"],
                ["sample", "flat.npy", *flags, "--draws", "40", "-f", "csv"],
                ["sample", "flat.npy", *flags, "--draws", "40", "-f", "json", "--trace"],
                ["inspect", "flat.npy", *flags, "--top", "8", "--explain", "--token", "3,4"],
                ["inspect", "flat.npy", *flags, "--explain", "-f", "json", "--token", "3,4"],
                ["inspect", "flat.npy", *flags, "--csv", "out.csv", "--svg", "out.svg"],
                ["compare", "small.npy", "flat.npy", *flags, *targets],
                ["compare", "small.npy", "flat.npy", *flags, *targets, "-f", "json"],
                ["compare", "small.npy", "flat.npy", *flags, *targets, "-f", "csv"],
                ["report", "small.npy", *flags, *targets, "-o", "page.html"]]:
            _, err, code = self.run_list(words)
            self.assertEqual(code, 0, err)
        for name in ("out.csv", "out.svg", "page.html"):
            self.check_file(name)

    def test_labels_of_models(self):
        for raw, plain, in_json in SHOWN:
            if any(b in b" \t\n\r\v\f\0" for b in raw):
                continue  # fastText splits labels there
            label = b"__label__" + raw
            old = LABELS[0][0].encode()
            self.write("m.bin", fasttext_model().replace(old + b"\0", label + b"\0"))
            text, _, code = self.run_list(["tree", "predict", "m.bin", "lines.txt", "-k", "0"])
            self.assertEqual(code, 0)
            self.assertIn("__label__" + plain + " ", text)
            text, _, _ = self.run_list(["tree", "predict", "m.bin", "lines.txt", "-k", "0", "-f",
                                        "json"])
            self.assertIn(f'"__label__{in_json}"', text)
            self.run_list(["tree", "stats", "m.bin"])
            self.run_list(["tree", "stats", "m.bin", "-f", "json"])

    def test_names_of_files(self):
        """A good file, a bad one, and one that is missing, in every command that reads one."""
        for raw in NAMES:
            for content in (npy([[0.5, 0.25, 0, 1, 2, 3, 4, 5]] * 3), b"\x00no dump", None):
                name = b"x" + raw + b".npy"
                if content is not None:
                    self.write(name, content)
                for words in some([
                        ["sample", name], ["sample", name, "small.npy"],
                        ["sample", name, "small.npy", "-f", "json"],
                        ["sample", name, "small.npy", "-f", "csv"],
                        ["sample", "small.npy", "--vocab", name],
                        ["sample", "small.npy", "--config", name],
                        ["sample", "small.npy", "-o", b"no/" + name],
                        ["inspect", name], ["inspect", name, "-f", "json"],
                        ["inspect", name, "--svg", "s.svg"],
                        ["compare", name, "small.npy"],
                        ["compare", name, "small.npy", "-f", "json"],
                        ["convert", name, "-o", "c.npy"],
                        ["bench", name, *(["-x"] if content else [])],
                        ["tune", name, "--targets", name],
                        ["report", name, "-o", "page.html"],
                        ["config", "check", name], ["config", "import", name],
                        ["config", "show", name], ["tree", "predict", name, name],
                        ["tree", "stats", name], ["tree", "eval", name, name, name],
                        ["tree", "fit", name, name, "-o", "h.st"],
                        ["tree", "stats", "--counts", name], ["softmax", name],
                        ["replay", name, name]]):
                    self.run_list(words)
                for made in ("page.html", "s.svg"):
                    if (self.folder / made).exists():
                        self.check_file(made)
                        (self.folder / made).unlink()
                if content is not None:
                    os.unlink(os.path.join(os.fsencode(self.folder), name))

    def test_words_of_the_command_line(self):
        for raw in NAMES:
            for words in some([
                    [raw], ["config", raw], ["help", raw], ["stages", raw],
                    ["sample", b"--" + raw],
                    ["sample", "small.npy", b"--temperature=" + raw],
                    ["sample", "small.npy", b"--order=" + raw],
                    ["sample", "small.npy", b"--draw=" + raw],
                    ["sample", "small.npy", b"--preset=" + raw],
                    ["sample", "small.npy", b"--tensor=" + raw],
                    ["sample", "small.npy", b"--rows=" + raw],
                    ["sample", "small.npy", b"--isa=" + raw],
                    ["sample", "small.npy", b"--draws=" + raw],
                    ["sample", "small.npy", b"--format=" + raw],
                    ["sample", "small.npy", b"--logit-bias=" + raw],
                    ["sample", "small.npy", b"--prompt-tokens=" + raw],
                    ["inspect", "small.npy", b"--row=" + raw],
                    ["config", "import", "config.json", b"--from=" + raw],
                    ["config", "init", raw], ["completions", raw], ["softmax", raw],
                    ["tune", "small.npy", b"--objective=" + raw]]):
                _, err, code = self.run_list(words)
                self.assertNotEqual(code, 0, words)
                self.assertNotEqual(err, "", words)

    def test_what_files_hold(self):
        """Keys and values that messages quote."""
        for raw in NAMES:
            text = raw.decode("utf-8", "replace")
            self.write("c.json", json.dumps({text: 1}).encode())
            self.write("k.json", json.dumps({"temperature": 0.5, text: 1},
                                            ensure_ascii=False).encode())
            self.write("v.json", json.dumps({text: 1.5}).encode())
            self.write("w.json", json.dumps({text: 0, text + "x": 0}).encode())
            self.write("d.jsonl", json.dumps({"logits": [1, text]}).encode())
            self.write("r.jsonl", json.dumps({"row": text, text: 1}).encode())
            self.write("n.txt", raw + b"\n")
            header = json.dumps({text: {"dtype": text, "shape": [1, 8], "data_offsets": [0, 32]}},
                                ensure_ascii=False).encode()
            self.write("t.safetensors", struct.pack("<Q", len(header)) + header + b"\0" * 32)
            header = json.dumps({text + n: {"dtype": "F32", "shape": [1, 8],
                                            "data_offsets": [0, 32]} for n in "ab"}).encode()
            self.write("u.safetensors", struct.pack("<Q", len(header)) + header + b"\0" * 32)
            for words in [["config", "check", "c.json"], ["config", "show", "c.json"],
                          ["config", "import", "k.json", "--from", "vllm"],
                          ["config", "import", "k.json", "--from", "vllm", "-f", "json"],
                          ["sample", "small.npy", "--vocab", "v.json"],
                          ["sample", "small.npy", "--vocab", "w.json"],
                          ["sample", "d.jsonl"], ["replay", "r.jsonl", "small.npy"],
                          ["tune", "small.npy", "--targets", "n.txt"],
                          ["tree", "stats", "--counts", "n.txt"], ["softmax", "n.txt"],
                          ["sample", "t.safetensors"], ["sample", "u.safetensors"]]:
                _, err, code = self.run_list(words)
                self.assertNotEqual(err + str(code), "0", words)

    def test_long_messages_keep_their_beginning_and_end(self):
        """The name of a file is where a message starts, the reason is where it ends."""
        for length in (200, 3000):
            name = "/".join(["d" * 99] * (length // 100)) + "/f.npy"
            for words in [["sample", name], ["config", "check", name],
                          ["tree", "stats", name], ["sample", "small.npy", "--vocab", name]]:
                _, err, code = self.run_list(words)
                self.assertEqual(code, 4, err)
                self.assertRegex(err, r": (\.\.\.)?ddddd")
                self.assertTrue(err.endswith(": No such file or directory\n"), err[-80:])

    def test_texts_in_tables_are_cut(self):
        self.write("long.txt", b"".join(b"%d" % k + b"y" * 9999 + b"\n" for k in range(8)))
        for words, columns in [(["sample", "small.npy"], 70), (["inspect", "small.npy"], 20),
                               (["compare", "small.npy", "flat.npy"], 20)]:
            out, _, code = self.run_list([*words, "--vocab", "long.txt"])
            self.assertEqual(code, 0)
            self.assertRegex(out, '"[0-7]' + "y" * (columns - 1) + '">')
            self.assertLess(max(map(len, out.splitlines())), 200)
        self.run_list(["report", "small.npy", "--vocab", "long.txt", "-o", "page.html"])
        page = (self.folder / "page.html").read_text()
        self.assertIn("y" * 79 + "\u2026", page)
        self.assertNotIn("y" * 81, page)

    def test_machines_get_whole_texts(self):
        self.write("long.txt", b"".join(b"%d" % k + b"y" * 9999 + b"\n" for k in range(8)))
        for form in ("json", "csv"):
            out, _, _ = self.run_list(["sample", "small.npy", "-f", form, "--vocab", "long.txt"])
            self.assertIn("y" * 9999, out)

    def test_csv_texts_are_a_vocabulary(self):
        """The cells are in the notation of vocabularies of lines: nothing is lost."""
        self.run_list(["inspect", "flat.npy", "--vocab", "v8.txt", "--csv", "list.csv"])
        lines = (self.folder / "list.csv").read_text().splitlines()[1:]
        cells = {int(line.split(",")[1]): line.split(",", 5)[5][1:-1].replace('""', '"')
                 for line in lines}
        self.write("again.txt", "".join(cells[k] + "\n" for k in range(8)).encode())
        outs = [self.run_list(["sample", "flat.npy", "--vocab", v, "-f", "csv"])[0]
                for v in ("v8.txt", "again.txt")]
        self.assertEqual(*outs)


def strict(text):
    """JSON as RFC 8259 has it: Python's parser without NaN and infinities, no key twice."""
    def refuse(word):
        raise ValueError(word)

    def unique(pairs):
        keys = [k for k, _ in pairs]
        if len(keys) != len(set(keys)):
            raise ValueError(f"a key twice in {keys}")
        return dict(pairs)

    return json.loads(text, parse_constant=refuse, object_pairs_hook=unique)


FLT_MAX = 3.4028234663852886e38
INF = float("inf")
ROWS = {
    "equal": [1.0] * 8,
    "largest": [FLT_MAX] * 8,
    "smallest": [-FLT_MAX] * 8,
    "both": [FLT_MAX, -FLT_MAX] * 4,
    "one": [-INF] * 7 + [0.5],
    "one_large": [-INF] * 7 + [FLT_MAX],
    "one_small": [-FLT_MAX] + [-INF] * 7,
    "subnormal": [1e-45, -1e-45, 1e-40, 0.0, -0.0, 2e-45, -1e-40, 1e-44],
    "far": [0.0, -1e30, 1e30, -200.0, 200.0, -INF, 88.0, -88.0],
}
CHAINS = ["", "--dynatemp-range 1e300 --temperature 2", "--temperature 1e-300",
          "--temperature 1e300", "--temperature 0", "--top-p 0.5 --min-p 0.1", "--typical-p 0.5",
          "--top-n-sigma 1", "--mirostat 2", "--xtc-probability 1 --xtc-threshold 0.01",
          "--draw greedy", "--smoothing-factor 1e30", "--top-k 1",
          "--epsilon-cutoff 0.1 --eta-cutoff 0.1", "--dynatemp-range 0.5",
          "--tfs-z 0.5 --top-a 0.5", "--p-less true", "--top-h 0.4", "--entmax-alpha 1.5",
          "--adaptive-target 0.5", "--repeat-penalty 1e30 --prompt-tokens 1",
          '--logit-bias {"0":1e308,"1":-1e308}']


class StrictJson(ListCase):
    def parse(self, words):
        out, err, code = self.run_list(words)
        self.assertIn(code, (0, 1, 2, 3), err)
        is_whole = words[0] in ("stages", "config")
        for line in [out] if is_whole else out.splitlines():
            try:
                strict(line)
            except ValueError as error:
                self.fail(f"{words}: {error}: {line[:300]}")
        return out

    def test_rows_and_chains(self):
        n_answers = n_asked = 0
        for name, row in ROWS.items():
            self.write(f"{name}.npy", npy([row], "(1, 8)"))
            for chain in some(CHAINS):
                flags = chain.split()
                for words in [["sample", f"{name}.npy", "--trace", "-f", "json"],
                              ["inspect", f"{name}.npy", "--explain", "--token", "0,7", "-f",
                               "json"]]:
                    n_answers += self.parse([*words, *flags]).count("\n")
                    n_asked += 1
        self.assertGreater(n_answers, 0.75 * n_asked)

    def test_other_commands(self):
        rows = list(ROWS.values())
        self.write("rows.npy", npy(rows))
        self.write("t.txt", b"".join(b"%d\n" % (k % 8) for k in range(len(rows))))
        self.write("h.npy", npy([[1e19, -1e19, 1e19, 1e19], [0.0] * 4, [1e-40] * 4]))
        self.write("t3.txt", b"0\n1\n2\n")
        for name in ROWS:
            self.write(f"{name}.npy", npy([ROWS[name]], "(1, 8)"))
        commands = [["compare", "rows.npy", "rows.npy", "--targets", "t.txt"],
                    ["compare", "rows.npy", "rows.npy", "--temperature", "2"],
                    ["tune", "rows.npy", "--targets", "t.txt"],
                    ["tune", "rows.npy", "--targets", "t.txt", "--cross-validate"],
                    ["tune", "rows.npy", "--objective", "entropy=1"],
                    ["tree", "eval", "head.npy", "h.npy", "t3.txt"],
                    ["tree", "eval", "head.npy", "h.npy", "t3.txt", "--bias", "bias.npy"],
                    ["tree", "fit", "h.npy", "t3.txt", "-o", "h.safetensors"],
                    ["tree", "stats", "model.ftz"], ["tree", "stats", "--counts", "counts.txt"],
                    ["tree", "predict", "model.ftz", "lines.txt", "-k", "0"],
                    ["bench", "small.npy", "--seconds", "1"], ["stages"], ["stages", "top_p"],
                    ["config", "import", "generation_config.json"]]
        for name in ROWS:
            commands += [["compare", f"{name}.npy", "rows.npy", "--rows", "0"],
                         ["tune", f"{name}.npy", "--targets", "t3.txt"]]
        for numbers in ("1 1 1", "3.4e38 -3.4e38", "inf 0", "-inf -inf 0", "1e-45 0", "5",
                        "1e308 0", "-inf -inf"):
            for flags in ("", "--log", "--lse --entropy", "--sparsemax", "--entmax 1.5",
                          "--gradient", "--temperature 0", "--temperature 1e-300",
                          "--base 1e300", "--argmax"):
                commands.append(["softmax", *flags.split(), "--", *numbers.split()])
                if flags == "--gradient":
                    commands[-1][2:2] = ["--target", "0"]
        n_answers, commands = 0, some(commands)
        for words in commands:
            at = words.index("--") if "--" in words else len(words)
            n_answers += self.parse([*words[:at], "-f", "json", *words[at:]]).count("\n")
        self.assertGreater(n_answers, 0.5 * len(commands))


if __name__ == "__main__":
    main()
