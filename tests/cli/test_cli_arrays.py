#!/usr/bin/env python3
"""Files of integers and arrays of several axes: what their shapes say decides, in every command.

A file of targets or counts that is read too short, too long or in the wrong order gives plausible
numbers, so every kind of file is tried with every command that takes one, and the expected ends are
written by hand.
"""
import ast
import json
import struct
import subprocess
import zipfile

import command_case
from command_case import CommandCase, some

DONE, DATA = 0, 3


def npy(descr, shape, values, fortran=False, version=1):
    header = f"{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n".encode()
    order = ">" if descr[0] == ">" else "<"
    letter = {"i1": "b", "i2": "h", "i4": "i", "i8": "q", "u1": "B", "u2": "H", "u4": "I",
              "u8": "Q", "f4": "f", "f8": "d"}[descr[1:]]
    length = struct.pack("<H" if version == 1 else "<I", len(header))
    return (b"\x93NUMPY" + bytes([version, 0]) + length + header
            + struct.pack(f"{order}{len(values)}{letter}", *values))


# Eight integers, each a token of the eight of small.npy's rows.
EIGHT = [3, 1, 4, 1, 5, 2, 6, 5]
# What is in the file, and how reading it as eight integers ends: None, or words of the message.
INTEGER_FILES = {
    "plain.npy": (npy("<i4", "(8,)", EIGHT), None),
    "column.npy": (npy("<i4", "(8, 1)", EIGHT), None),
    "line.npy": (npy("<i8", "(1, 8)", EIGHT), None),
    "three.npy": (npy("|u1", "(1, 8, 1)", EIGHT), None),
    "big.npy": (npy(">i2", "(8,)", EIGHT), None),
    "unsigned.npy": (npy("<u8", "(8,)", EIGHT, version=2), None),
    "fortran_column.npy": (npy("<i4", "(8, 1)", EIGHT, fortran=True), None),
    "text.txt": (b"3 1 4 1\n5,2,6\t5\r\n", None),
    "list.json": (b"[3, 1, 4, 1, 5, 2, 6, 5]\n", None),
    "nested.json": (b"[[3], [1], [4], [1], [5], [2], [6], [5]]", None),
    "mark.txt": (b"\xef\xbb\xbf3\n1\n4\n1\n5\n2\n6\n5\n", None),
    "savetxt.txt": (b"".join(b"%.18e\n" % v for v in EIGHT), None),
    "cut.npy": (npy("<i4", "(8,)", EIGHT[:5]), "do not fit the 20 bytes"),
    "cut_value.npy": (npy("<i4", "(8,)", EIGHT)[:-1], "do not fit the 31 bytes"),
    "long.npy": (npy("<i4", "(8,)", EIGHT + [7]), "do not fit the 36 bytes"),
    "lie.npy": (npy("<i4", "(4, 8)", EIGHT), "do not fit the 32 bytes"),
    "huge.npy": (npy("<i4", "(4611686018427387904, 8)", EIGHT), "do not fit"),
    "none.npy": (npy("<i4", "(0, 8)", []), "do not fit"),
    "floats.npy": (npy("<f4", "(8,)", EIGHT), "are not integers"),
    "cut_header.npy": (npy("<i4", "(8,)", EIGHT)[:40], "truncated: the .npy header"),
    "fortran.npy": (npy("<i4", "(2, 4)", EIGHT, fortran=True), "in Fortran order"),
    "key.npy": (npy("<i4", "(8,)", EIGHT).replace(b"'shape'", b"'shap3'"), "unknown key 'shap3'"),
    "half.txt": (b"3 1 4 1 5 2 6 5.5", "expected a whole number, found '5.5'"),
    "word.txt": (b"3 1 4 1 5 2 6 x", "expected a whole number, found 'x'"),
    "open.json": (b"[3, 1, 4", "expected ']' at the end"),
    "ragged.json": (b"[[3, 1], [4]]", "non-empty arrays of the same length"),
    "empty.txt": (b" \n", "does not hold integers"),
    "too_large.txt": (b"3 1 4 1 5 2 6 9223372036854775808", "expected at most 2^63 - 1"),
}
# Every command that takes such a file; {} is its name.
INTEGER_COMMANDS = {
    "tune": "pluck tune eight.npy --targets {} -q --bootstrap 0 -o /dev/null",
    "report": "pluck report eight.npy --targets {} -o page.html -q",
    "compare": "pluck compare eight.npy eight.npy --targets {} -q",
    "convert": "pluck convert eight.npy --targets {} -o out.jsonl -q",
    "stats": "pluck tree stats --counts {}",
    "fit": "pluck tree fit hidden.npy {} --epochs 1 -o head.st -q",
    "fit counts": "pluck tree fit hidden.npy plain.npy --counts {} --vocab-size 8 --epochs 1 "
                  "-o head.st -q",
    "eval": "pluck tree eval weights.npy hidden.npy {}",
}


class Arrays(CommandCase):
    def write(self, name, data):
        (self.folder / name).write_bytes(data)

    def end_of(self, line, code, said):
        """The code 0 or 1 (a result that is not good) is a file that was read."""
        done = self.run_any(line)
        if code == DONE:
            self.assertIn(done, (0, 1), f"{line}\n{self.stderr}")
        else:
            self.assertEqual(done, code, f"{line}\n{self.stderr}")
        if said:
            self.assertIn(said, self.stderr, line)

    def run_any(self, line):
        done = subprocess.run(["bash", "-c", line], cwd=self.folder, capture_output=True,
                              env=self.env, stdin=subprocess.DEVNULL, timeout=100)
        self.stderr = done.stderr.decode()
        self.stdout = done.stdout
        return done.returncode

    def test_every_file_of_integers_ends_alike_in_every_command(self):
        rows = [0.25 * ((7 * r + 3 * c) % 11) for r in range(8) for c in range(8)]
        self.write("eight.npy", npy("<f4", "(8, 8)", rows))
        self.write("weights.npy", npy("<f4", "(8, 4)", rows[:32]))
        self.write("hidden.npy", npy("<f4", "(8, 4)", rows[32:]))
        for name, (data, _) in INTEGER_FILES.items():
            self.write(name, data)
        for what, command in INTEGER_COMMANDS.items():
            for name, (_, said) in some(INTEGER_FILES.items()):
                with self.subTest(command=what, file=name):
                    self.end_of(command.format(name), DATA if said else DONE, said)

    def test_the_values_are_those_of_the_file(self):
        self.write("eight.npy", npy("<f4", "(8, 8)", [float(i % 5) for i in range(64)]))
        for name, (data, said) in INTEGER_FILES.items():
            if said:
                continue
            self.write(name, data)
            out = self.run_line(f"pluck convert eight.npy --targets {name} -o - --to jsonl -q")
            targets = [json.loads(line)["target"] for line in out.splitlines()]
            self.assertEqual(targets, EIGHT, name)

    def test_axes_of_rows_and_targets_agree(self):
        rows = [0.25 * ((5 * r + 3 * c) % 13) for r in range(6) for c in range(8)]
        shapes = {"flat": "(6, 8)", "tbv": "(3, 2, 8)", "one": "(1, 6, 8)", "t1v": "(6, 1, 8)",
                  "four": "(3, 1, 2, 8)"}
        targets = {"f": "(6,)", "tb": "(3, 2)", "bt": "(2, 3)", "col": "(6, 1)", "row": "(1, 6)",
                   "tb1": "(3, 2, 1)"}
        refused = {("tbv", "bt"), ("four", "bt")}
        for name, shape in shapes.items():
            self.write(name + ".npy", npy("<f4", shape, rows))
        for name, shape in targets.items():
            self.write(name + "_t.npy", npy("<i4", shape, [1, 2, 3, 4, 5, 6]))
        self.write("bt_t.json", b"[[1, 2, 3], [4, 5, 6]]")
        lines = ["pluck tune {0}.npy --targets {1} -q --bootstrap 0 -o /dev/null",
                 "pluck report {0}.npy --targets {1} -o page.html -q",
                 "pluck compare {0}.npy {0}.npy --targets {1} -q",
                 "pluck convert {0}.npy --targets {1} -o out.jsonl -q",
                 "pluck tree fit {0}.npy {1} --epochs 1 -o head.st -q"]
        for line in lines:
            for dump in shapes:
                for name in some(targets):
                    with self.subTest(line=line, dump=dump, targets=name):
                        bad = (dump, name) in refused
                        self.end_of(line.format(dump, name + "_t.npy"), DATA if bad else DONE,
                                    f"has targets of shape {targets[name]}" if bad else None)
            self.end_of(line.format("tbv", "bt_t.json"), DATA, "has targets of shape (2, 3)")

    def tokens(self, line):
        return [json.loads(row)["token"] for row in self.run_line(line).splitlines()]

    def test_each_text_of_a_batch_is_a_sequence(self):
        n_steps, n_texts, n_vocab = 7, 3, 8
        values = [[[((5 * s + 3 * t + 2 * v) % 11) / 4 for v in range(n_vocab)]
                   for t in range(n_texts)] for s in range(n_steps)]

        def flat(rows):
            return [v for row in rows for v in row]
        for t in range(n_texts):
            alone = [values[s][t] for s in range(n_steps)]
            self.write(f"text{t}.npy", npy("<f4", f"({n_steps}, {n_vocab})", flat(alone)))
        steps_first = flat(flat(values))
        texts_first = flat(values[s][t] for t in range(n_texts) for s in range(n_steps))
        self.write("sb.npy", npy("<f4", f"({n_steps}, {n_texts}, {n_vocab})", steps_first))
        self.write("bs.npy", npy("<f4", f"({n_texts}, {n_steps}, {n_vocab})", texts_first))
        self.write("sb1.npy", npy("<f4", f"({n_steps}, 1, {n_texts}, {n_vocab})", steps_first))
        self.write("fortran.npy", npy("<f4", f"({n_texts}, {n_steps}, {n_vocab})", flat(
            [values[s][t][v] for t in range(n_texts)] for v in range(n_vocab)
            for s in range(n_steps)), fortran=True))
        flags = "-q --format json --sequence --seed 5 --repeat-penalty 3 --temperature 1.5"
        expected = [self.tokens(f"pluck sample text{t}.npy {flags} --stream {t}")
                    for t in range(n_texts)]
        shifted = [self.tokens(f"pluck sample text{t}.npy {flags} --stream {t + 4}")
                   for t in range(n_texts)]
        self.assertNotEqual(expected, shifted)
        for name, axes in [("sb", "step,batch"), ("bs", "batch,step"), ("sb1", "step,batch"),
                           ("fortran", "batch,step")]:
            line = f"pluck sample {name}.npy {flags} --axes {axes}"
            self.assertEqual(self.tokens(line), flat(expected), line)
            self.assertEqual(self.tokens(line + " --stream 4"), flat(shifted), line)
            out = self.run_line(f"{line} --trace | tee trace.jsonl | pluck replay - {name}.npy")
            self.assertIn(b"21", out)
            self.run_line(f"pluck sample {name}.npy {flags.replace('-q ', '')}", code=2)
            self.assertIn("--sequence needs --axes step,batch or --axes batch,step", self.stderr)
        # Which rows: those of each text, in its order.
        rows = [json.loads(row)["row"] for row in self.run_line(
            f"pluck sample sb.npy {flags} --axes step,batch --rows 4:13").splitlines()]
        self.assertEqual(rows, [6, 9, 12, 4, 7, 10, 5, 8, 11])
        self.assertEqual(self.tokens(f"cat bs.npy | pluck sample - {flags} --axes batch,step"),
                         flat(expected))
        for line, code, said in [
                (f"cat sb.npy | pluck sample - {flags} --axes step,batch", 2, "in any order"),
                (f"pluck sample text0.npy {flags} --axes step,batch", 2, "leave out --axes"),
                ("pluck sample sb.npy --axes step,batch", 2, "--axes needs --sequence"),
                (f"pluck sample sb.npy {flags} --axes steps", 2, "not one of")]:
            self.assertEqual(self.run_line(line, code=code), b"", line)
            self.assertIn(said, self.stderr)
        # A refusal comes before the heading of the table.
        self.write("four.npy", npy("<f4", "(1, 7, 2, 3, 8)", [0] * 336))
        for line, said in [
                ("text0.npy --axes step,batch", "has one axis of rows, (7,); it is one text"),
                ("sb.npy", "needs --axes step,batch or --axes batch,step"),
                ("four.npy --axes step,batch", "reshape the array to (step, batch, token)")]:
            line = f"pluck sample {line} --sequence --quiet"
            self.assertEqual(self.run_line(line, code=2), b"", line)
            self.assertIn(said, self.stderr)
        # Axes of length 1 say nothing: this is one text.
        for shape in ["(1, 7, 8)", "(7, 1, 8)", "(1, 7, 1, 8)"]:
            self.write("one.npy", npy("<f4", shape, flat(values[s][0] for s in range(n_steps))))
            self.assertEqual(self.tokens(f"pluck sample one.npy {flags}"), expected[0])

    def test_converted_arrays_keep_their_axes(self):
        rows = [float(i) for i in range(48)]
        for shape in ["(6, 8)", "(3, 2, 8)", "(2, 3, 1, 8)", "(1, 1, 6, 8)"]:
            self.write("a.npy", npy("<f4", shape, rows))
            self.run_line("pluck convert a.npy -o b.safetensors -q")
            header = (self.folder / "b.safetensors").read_bytes()[8:200]
            self.assertIn(b'"shape":' + shape.replace("(", "[").replace(")", "]").replace(
                " ", "").encode(), header)
            self.run_line("pluck convert b.safetensors -o c.npy -q")
            data = (self.folder / "c.npy").read_bytes()
            self.assertEqual(ast.literal_eval(data[10:128].decode())["shape"],
                             ast.literal_eval(shape))
            self.assertEqual(data[128:], struct.pack("<48f", *rows))
            self.run_line("pluck convert a.npy -o d.npy --rows :4 -q")
            self.assertIn(b"'shape': (4, 8)", (self.folder / "d.npy").read_bytes())

    def test_the_answer_of_a_server_shows_its_texts(self):
        top = [{"token": t, "logprob": p} for t, p in [(" Paris", -0.25), (" the", -2.5)]]
        answer = {"choices": [{"logprobs": {"content": [
            {"token": " Paris", "logprob": -0.25, "top_logprobs": top}]}}]}
        (self.folder / "answer.json").write_text(json.dumps(answer, indent=1))
        out = self.run_line("pluck inspect answer.json")
        self.assertIn(b'" Paris"', out)
        self.assertIn("its tokens have no ids; the 2 different texts", self.stderr)
        out = self.run_line("cat answer.json | pluck sample - --format json -n 50 -q")
        self.assertEqual({json.loads(line)["text"] for line in out.splitlines()},
                         {" Paris", " the"})
        shown = json.loads(self.run_line("pluck compare answer.json answer.json --format json -q"))
        self.assertEqual(shown["worst"][0]["text_a"], " Paris")
        self.assertIn(b'[[0," Paris"]', self.run_line("pluck report answer.json -q"))
        # More tokens than texts.
        for command in ("sample answer.json", "inspect answer.json", "report answer.json",
                        "compare answer.json answer.json"):
            out = self.run_line(f"pluck {command} --vocab-size 10")
            self.assertIn(b'" Paris"', out, command)
            self.assertIn("the 2 different texts", self.stderr, command)
        self.run_line("pluck tune answer.json -q --bootstrap 0 -o /dev/null", code=1)
        (self.folder / "v.txt").write_text("a\nb\n")
        self.run_line("pluck inspect answer.json --vocab v.txt", code=2)
        self.assertIn("names its tokens by texts", self.stderr)

    def test_steps_and_targets_in_an_archive_are_told(self):
        rows = [0.25 * ((5 * r + 3 * c) % 13) for r in range(6) for c in range(8)]
        with zipfile.ZipFile(self.folder / "steps.npz", "w") as archive:
            for i in range(3):
                archive.writestr(f"arr_{i}.npy", npy("<f4", "(2, 8)", rows[16 * i:16 * i + 16]))
            archive.writestr("targets.npy", npy("<i8", "(3, 2)", [1, 2, 3, 4, 5, -100]))
        out = self.run_line("pluck convert steps.npz -o - --to jsonl")
        self.assertIn("steps.npz: arr_0 to arr_2 are 3 consecutive steps\n", self.stderr)
        self.assertIn("steps.npz: (3, 2, 8): 6 rows\n", self.stderr)
        self.assertIn("steps.npz: the targets are those in the file\n", self.stderr)
        lines = [json.loads(line) for line in out.splitlines()]
        self.assertEqual([v for line in lines for v in line["logits"]], rows)
        self.assertEqual([line.get("target") for line in lines], [1, 2, 3, 4, 5, None])
        (self.folder / "t.txt").write_text("7 6 5 4 3 2")
        out = self.run_line("pluck convert steps.npz -o - --to jsonl --targets t.txt")
        self.assertNotIn("the targets are", self.stderr)
        self.assertEqual([json.loads(line)["target"] for line in out.splitlines()],
                         [7, 6, 5, 4, 3, 2])

    def test_a_command_says_how_it_counts_rows(self):
        self.write("tbv.npy", npy("<f4", "(3, 2, 8)", [float(i) for i in range(48)]))
        for line in ["pluck inspect tbv.npy", "pluck sample tbv.npy",
                     "pluck compare tbv.npy tbv.npy"]:
            self.run_line(line)
            self.assertIn("tbv.npy: (3, 2, 8): 6 rows", self.stderr, line)
        self.run_line("pluck sample tbv.npy -q")
        self.assertEqual(self.stderr, "")


if __name__ == "__main__":
    command_case.main()
