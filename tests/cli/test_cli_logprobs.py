#!/usr/bin/env python3
"""Why: log-probabilities of tokens that were not drawn, and the shape in which programs written for
OpenAI's API read them.

    test_cli_logprobs.py --pluck PLUCK [unittest's arguments]
"""
import csv
import io
import json
import math

from command_case import CommandCase, main
from make_inputs import SMALL


def log_softmax(row):
    log_sum = math.log(math.fsum(math.exp(x) for x in row))
    return [x - log_sum for x in row]


class LogprobsCase(CommandCase):
    def lines(self, line):
        return [json.loads(text) for text in self.run_line("pluck sample " + line).splitlines()]


class TopTokens(LogprobsCase):
    def test_raw_ones_are_the_softmax_of_the_logits(self):
        lines = self.lines("small.npy --top-logprobs 9 --temperature 3 -f json")
        for row, line in enumerate(lines):
            exact = log_softmax(SMALL[row])
            best = sorted((t for t in range(8) if exact[t] > -math.inf),
                          key=lambda t: (-SMALL[row][t], t))
            self.assertEqual([t["token"] for t in line["top_logprobs"]], best)
            for t in line["top_logprobs"]:
                self.assertLess(abs(t["logprob"] - exact[t["token"]]), 1e-6)
            self.assertLess(abs(line["raw_logprob"] - exact[line["token"]]), 1e-6)

    def test_final_ones_are_the_distribution_of_each_draw(self):
        """xtc makes a new distribution for every draw."""
        for flags in ("--top-p 0.9", "--xtc-probability 0.5 --xtc-threshold 0.05"):
            lines = self.lines(f"logits.npy --rows :8 --draws 6 {flags} -f json --top-kind final "
                               "--top-logprobs 512")
            self.assertEqual(len(lines), 48)
            for line in lines:
                top = {t["token"]: t["logprob"] for t in line["top_logprobs"]}
                self.assertEqual(len(top), line["survivors"])
                self.assertEqual(top[line["token"]], line["logprob"])
                self.assertNotIn("raw_logprob", line)

    def test_they_change_no_draw(self):
        line = "logits.npy --rows :30 --draws 3 --temperature 0.8 --xtc-probability 0.3"
        plain = self.lines(f"{line} -f json")
        for more in ("--top-logprobs 4", "--top-logprobs 4 --top-kind final",
                     "--threads 3 --top-logprobs 1"):
            lines = self.lines(f"{line} {more} -f json")
            for a in lines:
                a.pop("top_logprobs")
                a.pop("raw_logprob", None)
            self.assertEqual(lines, plain)

    def test_text_and_csv_have_them_in_the_last_column(self):
        json_lines = self.lines("small.npy --top-logprobs 3 --vocab vocab8.json -f json")
        text = self.run_line("pluck sample small.npy --top-logprobs 3 --vocab vocab8.json -f csv")
        rows = list(csv.DictReader(io.StringIO(text.decode())))
        self.assertEqual(list(rows[0])[-2:], ["text", "top"])
        for row, line in zip(rows, json_lines):
            pairs = [pair.split(":") for pair in row["top"].split(" ")]
            self.assertEqual([int(token) for token, _ in pairs],
                             [t["token"] for t in line["top_logprobs"]])
            for (_, logprob), t in zip(pairs, line["top_logprobs"]):
                self.assertEqual(float(logprob), t["logprob"])
        table = self.run_line("pluck sample small.npy --top-logprobs 3").decode().splitlines()
        self.assertEqual(table[0].split()[-1], "top")
        self.assertEqual([len(line.split()) for line in table[1:]], [8] * 5)
        # A text with its best tokens is a table.
        running = self.run_line("pluck sample small.npy --sequence --vocab vocab8.json "
                                "--top-logprobs 1").decode()
        self.assertEqual(len(running.splitlines()), 6)

    def test_traces_can_have_them_and_are_still_replayed(self):
        self.run_line("pluck sample small.npy --top-logprobs 2 --trace -f json > t.jsonl")
        self.run_line("pluck replay t.jsonl small.npy")


class DistinctTokens(LogprobsCase):
    def test_they_differ_and_are_as_many_as_there_are(self):
        plain = self.lines("logits.npy --top-k 5 --temperature 2 --seed 9 -f json")
        lines = self.lines("logits.npy --top-k 5 --temperature 2 --seed 9 -f json --distinct 9 "
                           "--threads 2")
        for row in range(len(plain)):
            tokens = lines[5 * row:5 * row + 5]
            self.assertEqual(tokens[0], plain[row])
            self.assertEqual([t["draw"] for t in tokens], list(range(5)))
            self.assertEqual([t["row"] for t in tokens], [row] * 5)
            self.assertEqual(len({t["token"] for t in tokens}), 5)
            self.assertLess(abs(math.fsum(math.exp(t["logprob"]) for t in tokens) - 1), 1e-5)

    def test_what_it_cannot_be_combined_with(self):
        for flags in ("--draws 2", "--sequence", "--trace -f json"):
            self.run_line(f"pluck sample small.npy --distinct 2 {flags}", code=2)
            self.assertIn("--distinct cannot be combined with " + flags.split()[0], self.stderr)
        for value in ("0", "1025", "x"):
            self.run_line(f"pluck sample small.npy --distinct {value}", code=2)


class OpenAIShape(LogprobsCase):
    def test_a_line_per_draw(self):
        plain = self.lines("small.npy --draws 2 --temperature 2 -f json --top-logprobs 3 "
                           "--vocab vocab8.json")
        lines = self.lines("small.npy --draws 2 --temperature 2 -f openai --top-logprobs 3 "
                           "--vocab vocab8.json")
        self.assertEqual(len(lines), len(plain))
        for line, p in zip(lines, plain):
            self.assertEqual(list(line), ["content"])
            entry, = line["content"]
            self.assertEqual(list(entry), ["token", "logprob", "bytes", "top_logprobs"])
            self.assertEqual((entry["token"], entry["logprob"]), (p["text"], p["raw_logprob"]))
            self.assertEqual(bytes(entry["bytes"]).decode(), p["text"])
            for top, t in zip(entry["top_logprobs"], p["top_logprobs"]):
                self.assertEqual(list(top), ["token", "logprob", "bytes"])
                self.assertEqual((top["token"], top["logprob"]), (t["text"], t["logprob"]))
            self.assertEqual(len(entry["top_logprobs"]), len(p["top_logprobs"]))

    def test_a_line_per_text_of_a_sequence(self):
        line, = self.lines("logits.npy --sequence --rows :30 --top-kind final --min-p 0.1 "
                           "--vocab vocab.json -f openai --top-logprobs 2")
        text = self.run_line("pluck sample logits.npy --sequence --rows :30 --min-p 0.1 "
                             "--vocab vocab.json")
        plain = self.lines("logits.npy --sequence --rows :30 --min-p 0.1 -f json")
        self.assertEqual(b"".join(bytes(e["bytes"]) for e in line["content"]) + b"\n", text)
        self.assertEqual([e["logprob"] for e in line["content"]], [p["logprob"] for p in plain])

    def test_without_texts_tokens_are_named_by_their_ids(self):
        for line in self.lines("small.npy -f openai --top-logprobs 1"):
            entry, = line["content"]
            self.assertRegex(entry["token"], r"^token_id:\d$")
            self.assertIsNone(entry["bytes"])
            self.assertIsNone(entry["top_logprobs"][0]["bytes"])
        entry, = self.lines("small.npy -f openai --rows 0")[0]["content"]
        self.assertEqual(entry["top_logprobs"], [])

    def test_bytes_are_exact_where_the_text_is_not_utf_8(self):
        raw = [b" the", b"\n", b"\xc3", b"\xa9", b"\xff\x00", b"a", b"\xad\x7f", b"x"]
        top, = self.lines("small.npy --rows 3 -f openai --top-logprobs 8 --vocab vocab8_gpt2.json "
                          "--vocab-encoding gpt2")
        entries = top["content"][0]["top_logprobs"]
        self.assertEqual([bytes(e["bytes"]) for e in entries], raw)
        self.assertEqual([e["token"] for e in entries],
                         [r.decode("utf-8", "replace") for r in raw])

    def test_a_row_that_is_skipped_keeps_its_line(self):
        text = self.run_line("pluck sample banned.npy --skip-bad -f openai --draws 2", code=3)
        lines = [json.loads(line) for line in text.splitlines()]
        self.assertEqual([i for i, line in enumerate(lines) if line["content"] is None], [2])
        self.assertEqual(len(lines), 9)

    def test_threads_change_no_byte(self):
        line = "pluck sample logits.npy --draws 3 -f openai --top-logprobs 3 --vocab vocab.json"
        self.assertEqual(self.run_line(line), self.run_line(line + " --threads 4"))


if __name__ == "__main__":
    main()
