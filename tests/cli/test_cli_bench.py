#!/usr/bin/env python3
"""Why: pluck bench must measure the chain that it was given, stage by stage, and say so in a form
that programs can read. Times are not looked at: they are the machine's.

    test_cli_bench.py --pluck PLUCK [TEST...]
"""
import json
import re

from command_case import CommandCase, main

QUICK = "--seconds 0 --format json"


class Bench(CommandCase):
    def bench(self, flags):
        return json.loads(self.run_line(f"pluck bench {QUICK} {flags}"))

    def stages(self, flags):
        return [s["stage"] for s in self.bench(flags)["stages"]]

    def check_times(self, times):
        self.assertGreater(times["us"], 0)
        self.assertGreater(times["ratio"], 0)

    def test_json_has_fixed_keys_and_positive_times(self):
        line = self.run_line(f"pluck bench logits.npy {QUICK} --top-k 40 --temperature 0.8")
        self.assertEqual(line.count(b"\n"), 1)
        pairs = json.loads(line, object_pairs_hook=list)
        self.assertEqual([k for k, _ in pairs],
                         ["logits", "n_vocab", "dtype", "rows", "isa", "rounds", "read", "stages",
                          "draw", "token", "logprob", "tokens_per_second", "advice"])
        shown = json.loads(line)
        self.assertEqual(shown["n_vocab"], 512)
        self.assertEqual(shown["draw"], "categorical")
        self.assertGreaterEqual(shown["rounds"], 5)
        self.assertEqual(shown["read"]["ratio"], 1)
        for times in (shown["read"], shown["token"], shown["logprob"], *shown["stages"]):
            self.check_times(times)
        self.assertGreater(shown["tokens_per_second"], 0)
        self.assertTrue(all(isinstance(text, str) for text in shown["advice"]))

    def test_every_stage_that_does_something_is_measured_in_order(self):
        self.assertEqual(self.stages("--vocab-size 300"), [])
        self.assertEqual(self.stages("--vocab-size 300 --top-k 0 --temperature 0.5"),
                         ["temperature"])
        self.assertEqual(
            self.stages("logits.npy --logit-bias '{\"3\": 1, \"4\": false}' --repeat-penalty 1.1"
                        " --top-k 9 --top-p 0.9 --min-p 0.1 --min-keep 2 --temperature 0.5"),
            ["logit_bias", "penalties", "top_k", "top_p", "min_p", "temperature"])
        self.assertEqual(
            self.stages("logits.npy --top-p 0.9 --temperature 0.5 --order temperature,top_p"),
            ["temperature", "top_p"])

    def test_an_explicit_configuration_may_repeat_stages(self):
        (self.folder / "c.json").write_text(json.dumps({
            "seed": 18446744073709551615, "on_nan": "ban", "draw": {"type": "greedy"},
            "stages": [{"type": "min_p", "p": 0.01}, {"type": "temperature", "t": 2},
                       {"type": "min_p", "p": 0.1}, {"type": "top_k", "k": 0}]}))
        shown = self.bench("nan.npy --config c.json")
        self.assertEqual([s["stage"] for s in shown["stages"]], ["min_p", "temperature", "min_p"])
        self.assertEqual(shown["draw"], "greedy")

    def test_every_preset_can_be_measured(self):
        names = re.findall(r"^  (\S+)", self.run_line("pluck config init --list").decode(), re.M)
        self.assertIn("balanced", names)
        for name in names:
            self.check_times(self.bench(f"gpt2.npy --preset {name}")["token"])

    def test_top_k_behind_another_truncation_is_tried_in_front(self):
        self.assertNotIn("top_k_first", self.bench("logits.npy --top-k 9 --top-p 0.9"))
        shown = self.bench("logits.npy --top-k 9 --top-p 0.9 --order top_p,top_k")
        self.check_times(shown["top_k_first"])
        shown = self.bench("logits.npy --top-k 9 --temperature 2 --order temperature,top_k")
        self.assertNotIn("top_k_first", shown)

    def test_advice_knows_what_the_chain_truncates_already(self):
        for flags, part in (
                ("--min-p 0.05", None), ("--top-k 40", None), ("--top-k 20000", None),
                ("--top-p 0.9 --min-p 0.05", "with min_p before"),
                ("--eta-cutoff 0.01 --min-p 0.1 --order eta_cutoff,min_p", "with min_p before"),
                ("--min-p 0.05 --eta-cutoff 0.01 --order min_p,eta_cutoff", None),
                ("--typical-p 0.9 --top-k 40 --order typical,top_k", None),
                ("--eta-cutoff 0.01", "after a top_k or min_p"),
                ("--temperature 0.7", None)):
            for text in self.bench(f"--vocab-size 50000 {flags}")["advice"]:
                if "it would see" in text:
                    self.assertIsNotNone(part, f"{flags}: {text}")
                    self.assertIn(part, text, flags)

    def test_what_is_measured_is_what_was_named(self):
        shown = self.bench("gpt2.npy --rows 1:3")
        self.assertEqual((shown["logits"], shown["rows"], shown["dtype"]), ("gpt2.npy", 2, "f16"))
        self.assertEqual(self.bench("logits.npy --rows -1")["rows"], 1)
        self.assertEqual(self.bench("logits.npy --rows 3:")["rows"], 16)
        shown = self.bench("")
        self.assertEqual((shown["logits"], shown["n_vocab"]), ("made-up logits", 128256))
        self.assertEqual(self.bench("--vocab-size 1")["n_vocab"], 1)
        self.assertEqual(self.bench("--isa scalar")["isa"], "scalar")
        self.assertEqual(self.bench("- < logits.npy")["logits"], "standard input")
        (self.folder / "zero.raw").write_bytes(bytes(2048))
        self.assertEqual(self.bench("zero.raw --vocab-size 512 --dtype bf16")["dtype"], "bf16")

    def test_the_table_has_a_line_for_each_step(self):
        text = self.run_line("pluck bench logits.npy --seconds 0 --top-p 0.9 --temperature 2"
                             " -o table.txt")
        self.assertEqual(text, b"")
        text = (self.folder / "table.txt").read_text()
        lines = text.splitlines()
        self.assertEqual(lines[0].split(";")[0], '"logits.npy": 512 logits, f32, 16 rows')
        starts = [line[:24].strip() for line in lines[2:8]]
        self.assertEqual(starts, ["up to", "reading the logits", "top_p", "temperature",
                                  "categorical", "with logprob"])
        self.assertIn("tokens per second", text)

    def test_bad_input_is_named(self):
        self.run_line(f"pluck bench nan.npy {QUICK}", 3)
        self.assertIn("nan.npy: row 3: the logit of token 17 is NaN", self.stderr)
        self.run_line(f"pluck bench banned.npy {QUICK} --rows 1:", 3)
        self.assertIn("banned.npy: row 1: ", self.stderr)
        self.run_line(f"pluck bench logits.npy {QUICK} --rows 5:5", 3)
        self.assertIn("no rows", self.stderr)
        self.run_line(f"pluck bench logits.npy {QUICK} --rows 1-2", 2)
        self.run_line(f"pluck bench {QUICK} --rows 1", 2)
        self.run_line(f"pluck bench missing.npy {QUICK}", 4)
        self.run_line(f"pluck bench {QUICK} --vocab-size 9 --logit-bias '{{\"9\": 1}}'", 3)
        self.run_line(f"pluck bench truncated.npy {QUICK}", 3)


if __name__ == "__main__":
    main()
