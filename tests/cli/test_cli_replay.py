#!/usr/bin/env python3
"""Why: a line that claims to be enough to make a draw again must be enough, anywhere; a replay that
finds no difference where there is one is worthless; and lines come from strangers.

    test_cli_replay.py --pluck PLUCK [TEST...]
"""
import json
import random

from command_case import CommandCase, main, some

CHAINS = [
    "--seed 3",
    "--seed 18446744073709551615 --temperature 0.8 --top-k 40 --top-p 0.95",
    "--temperature 0",
    "--top-p 0.7 --temperature 2 --xtc-probability 0.5 --xtc-threshold 0.05",
    "--repeat-penalty 1.3 --dry-multiplier 1 --prompt-tokens 5,6,7,5,6",
    "--mirostat 2 --mirostat-tau 3 --logit-bias '{\"5\":1.25,\"7\":false}'",
    "--draw adaptive_p --min-p 0.01 --prompt-tokens 1,2,3",
]
SAME = b": the same, bit for bit\n"


class Replay(CommandCase):
    def trace(self, flags, name="lines.jsonl"):
        """The lines as dictionaries; the file is left in the folder."""
        self.run_line(f"pluck sample {flags} --format json --trace -o {name}")
        return [json.loads(x) for x in (self.folder / name).read_bytes().splitlines()]

    def write(self, lines, name="changed.jsonl"):
        (self.folder / name).write_text("".join(json.dumps(x) + "\n" for x in lines))

    def check_same(self, line, n):
        self.assertEqual(self.run_line(f"pluck replay {line}"),
                         f"{n} line{'s' * (n != 1)} replayed".encode() + SAME)

    def test_draws_of_every_chain_come_out_again(self):
        for chain in CHAINS:
            n = len(self.trace(f"logits.npy --rows :9 --draws 3 {chain}"))
            self.check_same("lines.jsonl logits.npy", n)
            n = len(self.trace(f"logits.npy --sequence --stream 4 {chain}"))
            self.check_same("lines.jsonl logits.npy", n)

    def test_every_instruction_set_replays_every_other(self):
        names = self.run_line("pluck --version").decode().split("instruction sets:")[1].split()
        lines = {}
        for name in names:
            self.trace(f"gpt2.npy --rows :3 --draws 4 {CHAINS[3]} --isa {name}", f"{name}.jsonl")
            lines[name] = (self.folder / f"{name}.jsonl").read_bytes()
            for other in names:
                self.check_same(f"{name}.jsonl gpt2.npy --isa {other}", 12)
        self.assertEqual(len(set(lines.values())), 1)

    def test_lines_in_any_order_and_one_alone_come_out_again(self):
        for flags in ("--draws 4", "--sequence --mirostat 1 --repeat-penalty 1.2"):
            lines = self.trace(f"logits.npy --rows 2:8 --temperature 1.4 {flags}")
            self.write(lines[::-1])
            self.check_same("changed.jsonl logits.npy", len(lines))
            self.write(lines[-1:])
            self.check_same("changed.jsonl logits.npy", 1)
            self.write(lines * 2)
            self.check_same("changed.jsonl logits.npy", 2 * len(lines))

    def test_a_trace_leaves_the_rest_of_the_line_alone(self):
        for flags in ("--draws 3 --vocab vocab.json", "--sequence --mirostat 2"):
            plain = [json.loads(x) for x in self.run_line(
                f"pluck sample logits.npy --temperature 1.5 {flags} -f json").splitlines()]
            traced = self.trace(f"logits.npy --temperature 1.5 {flags}")
            for line in traced:
                del line["trace"]
            self.assertEqual(traced, plain)

    def test_threads_and_pipes_and_files_give_the_same_lines(self):
        flags = "--draws 1100 --temperature 1.2 --top-k 9 --rows :2"
        self.trace(f"logits.npy {flags}")
        self.trace(f"logits.npy {flags} --threads 3", "threads.jsonl")
        one = (self.folder / "lines.jsonl").read_bytes()
        self.assertEqual((self.folder / "threads.jsonl").read_bytes(), one)
        self.assertEqual(self.run_line(f"cat logits.npy | pluck sample - {flags} -f json --trace"),
                         one)
        self.check_same("- logits.npy < lines.jsonl", 2200)
        self.check_same("lines.jsonl - < logits.npy", 2200)

    def test_lines_of_several_dumps_find_their_own(self):
        n = len(self.trace("small.npy gpt2.npy logits.npy --rows :2 --draws 2"))
        self.check_same("lines.jsonl logits.npy gpt2.npy small.npy", n)
        self.run_line("pluck replay lines.jsonl logits.npy a.npy", 3)
        self.assertEqual(self.stderr, "pluck replay: lines.jsonl: line 1: names none of the dumps "
                                      "given; give the dumps under the names that they had for "
                                      "sample\n")

    def test_every_changed_member_is_found(self):
        lines = self.trace("logits.npy --rows 5 --xtc-probability 0.5 --temperature 2 --seed 4")
        changes = [("token", 7), ("logprob", -1.5), ("survivors", 3)]
        inside = [("low", 0.25), ("high", 0.75), ("at", 0.5), ("n_words", 9), ("dtype", "f16"),
                  ("logits", "0x0123456789abcdef"), ("n_vocab", 513)]
        for name, value in changes + inside:
            line = json.loads(json.dumps(lines[0]))
            (line if (name, value) in changes else line["trace"])[name] = value
            if name == "n_words":
                line["trace"]["words"] = (line["trace"]["words"] * 9)[:9]
            self.write([lines[0], line])
            out = self.run_line("pluck replay changed.jsonl logits.npy", 1).decode().splitlines()
            self.assertTrue(out[0].startswith(f"line 2: row 5, draw 0: {name}: "), out)
            self.assertEqual(out[-1], "2 lines replayed: 1 differs")
            told = json.loads(self.run_line("pluck replay changed.jsonl logits.npy -f json", 1)
                              .splitlines()[1])
            self.assertFalse(told["same"])
            self.assertEqual(told["differences"][0]["what"], name)

    def test_changed_states_are_found(self):
        lines = self.trace("logits.npy --rows 8 --temperature 2 --draws 2 --repeat-penalty 1.5 "
                           "--prompt-tokens 286,382,301 --seed 4")
        for name, value in (("stream", 9), ("seed", 5), ("prompt", [287, 382, 300])):
            line = json.loads(json.dumps(lines[1]))
            line["trace"][name] = value
            if name == "seed":
                line["trace"]["config"]["seed"] = 5
            self.write([line])
            self.run_line("pluck replay changed.jsonl logits.npy", 1)
        lines = self.trace("logits.npy --sequence --temperature 2 --mirostat 2")
        lines[20]["trace"]["history"][3] ^= 1
        self.write(lines[20:21])
        out = self.run_line("pluck replay changed.jsonl logits.npy", 1).decode()
        self.assertIn("line 1: row 20, draw 0: history: ", out)

    def test_one_changed_bit_of_the_logits_is_found(self):
        self.trace("small.npy --draws 2")
        dump = self.folder / "small.npy"
        data = bytearray(dump.read_bytes())
        data[-5] ^= 1
        dump.write_bytes(data)
        out = self.run_line("pluck replay lines.jsonl small.npy", 1).decode()
        self.assertEqual(out.count(": logits: "), 2)
        self.assertIn("10 lines replayed: 2 differ", out)

    def test_bad_lines_are_named(self):
        good = self.trace("small.npy --rows 3 --seed 2")[0]
        text = json.dumps(good)

        def changed(name, value, inside=True):
            line = json.loads(text)
            (line["trace"] if inside else line)[name] = value
            return json.dumps(line)

        def without(name, inside=True):
            line = json.loads(text)
            del (line["trace"] if inside else line)[name]
            return json.dumps(line)

        cases = [
            ("{", "is not valid JSON"), ("[1]", "has no trace"), ("7", "has no trace"),
            (text[:-1], "is not valid JSON"), (text + " x", "is not valid JSON"),
            ("[" * 5000, "byte 65: nested more than 64 levels deep"),
            (text + "\0", "is not valid JSON"),
            ('{"row":0,"draw":0,"token":1,"logprob":0,"survivors":1}', "has no trace"),
            (without("row", False), "row is missing"), (without("config"), "config is missing"),
            (without("logits"), "logits is missing"), (without("words"), "words is missing"),
            (text[:-1] + ',"row":3}', "row is there twice"),
            (text[:-1] + ',"trace":{}}', "trace is there twice"),
            (changed("row", -1, False), "row is not a whole number"),
            (changed("row", 1e99, False), "row is not a whole number"),
            (changed("row", 5, False), "row 5"),
            (changed("row", "3", False), "row is not a whole number"),
            (changed("token", 1 << 40, False), "token is not a whole number"),
            (changed("logprob", "x", False), "logprob is not a number"),
            (changed("dump", 3, False), "dump is not a text"),
            (changed("trace", [], False), "trace is not an object"),
            (changed("format", 2), "format is not 1"),
            (changed("n_vocab", 0), "n_vocab is 0"),
            (changed("n_vocab", 1 << 60), "n_vocab is not a whole number"),
            (changed("dtype", "f64"), "dtype is not"),
            (changed("logits", "0x12"), "logits is not"),
            (changed("logits", 12), "logits is not"),
            (changed("prompt", 3), "prompt is not a list"),
            (changed("prompt", [8]), "prompt holds something"),
            (changed("prompt", [1.5]), "prompt holds something"),
            (changed("prompt", [1]), "position is not"),
            (changed("position", 4), "position is not"),
            (changed("first_row", 9), "history is missing"),
            (changed("words", []), "words are not"),
            (changed("n_words", 1 << 50), "n_words is not a whole number"),
            (changed("words", ["0x0"]), "words are not"),
            (changed("at", None), "at is not a number"),
            (changed("seed", 7), "seed is not the one of its config"),
            (changed("config", {"seed": "random"}), "seed is not the one of its config"),
            (changed("config", {"top_p": 7}), "config: line 1, column 11: $.top_p"),
            (changed("config", {"logit_bias": {"9": 1}, "seed": 2}), "config: logit_bias"),
            (changed("config", 3), "config: "),
        ]
        for line, says in cases:
            (self.folder / "bad.jsonl").write_text(text + "\n\n" + line + "\n")
            out = self.run_line("pluck replay bad.jsonl small.npy", 3).decode()
            self.assertIn("pluck replay: bad.jsonl: line 3: ", self.stderr)
            self.assertIn(says, self.stderr)
            self.assertEqual(self.stderr.count("\n"), 1, self.stderr)
            self.assertNotIn("the same", out)

    def test_a_row_that_cannot_be_sampled_is_an_error(self):
        line = self.trace("small.npy --rows 1 --temperature 2")[0]
        line["trace"]["config"] = {"logit_bias": {str(i): False for i in range(8)}}
        self.write([line])
        self.run_line("pluck replay changed.jsonl small.npy", 3)
        self.assertIn("line 1: ", self.stderr)

    def test_no_lines_are_an_error(self):
        (self.folder / "blank.jsonl").write_text("\n  \n")
        for name in ("blank.jsonl", "empty.npy", "/dev/null"):
            self.run_line(f"pluck replay {name} small.npy", 3)
            self.assertIn("has no lines", self.stderr)
        self.run_line("pluck replay nothing.jsonl small.npy", 4)
        self.run_line("pluck replay - - < small.npy", 2)
        self.run_line("pluck replay lines.jsonl", 2)
        self.run_line("pluck sample small.npy --trace", 2)
        self.assertEqual(self.stderr, "pluck sample: --trace needs --format json; other formats "
                                      "have no place for it\n")

    def test_damaged_lines_end_in_an_answer(self):
        """Any bytes: same, different or refused, never a crash."""
        dice = random.Random(7)
        self.trace("small.npy --rows 1:4 --sequence --temperature 2 --xtc-probability .5 "
                   "--repeat-penalty 1.1 --prompt-tokens 1,2")
        good = (self.folder / "lines.jsonl").read_bytes()
        script = []
        for i in some(range(150)):
            data = bytearray(good)
            for _ in range(dice.randrange(1, 4)):
                at = dice.randrange(len(data))
                kind = dice.randrange(4)
                if kind == 0:
                    data[at] = dice.randrange(256)
                elif kind == 1:
                    del data[at:at + dice.randrange(1, 30)]
                elif kind == 2:
                    data[at:at] = bytes([dice.choice(b'0123456789-.,:"[]{}\\\n eE')])
                else:
                    end = at + dice.randrange(1, 40)
                    data[at:at] = data[at:end]
            (self.folder / f"d{i}.jsonl").write_bytes(data)
            script.append(f"pluck replay d{i}.jsonl small.npy > out 2> err; code=$?; "
                          f"case $code$(wc -l < err) in 00|10|31) ;; *) echo {i} $code;; esac")
        self.assertEqual(self.run_line("\n".join(script)), b"")


if __name__ == "__main__":
    main()
