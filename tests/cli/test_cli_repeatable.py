#!/usr/bin/env python3
"""Why: the same seed must give the same tokens whatever the machine does with them: instruction
set, split of the rows, way of reading, order of the flags.

    test_cli_repeatable.py --pluck PLUCK [TEST...]
"""
import json
import struct

from command_case import CommandCase, main

CHAIN = "--temperature 0.8 --top-k 40 --top-p 0.95 --seed 42 --format json"


class Repeatable(CommandCase):
    def test_every_instruction_set_gives_the_same_bytes(self):
        names = self.run_line("pluck --version").decode().split("instruction sets:")[1].split()
        self.assertIn("scalar", names)
        for dump in ("logits.npy", "gpt2.npy"):
            for chain in (CHAIN, "--seed 5 --format json --min-p 0.02 --temperature 1.3"):
                line = f"pluck sample {dump} --draws 20 {chain}"
                outputs = {n: self.run_line(line, env={"PLUCK_ISA": n}) for n in names}
                self.assertEqual(len(set(outputs.values())), 1, f"{line}: {names}")
                flag = self.run_line(line + " --isa scalar", env={"PLUCK_ISA": names[-1]})
                self.assertEqual(flag, outputs["scalar"])

    def test_explanations_are_the_same_bytes_on_every_instruction_set(self):
        names = self.run_line("pluck --version").decode().split("instruction sets:")[1].split()
        for flags in ("--top-p .9 --temperature .8", "--mirostat 1 --temperature 2",
                      "--xtc-probability .9 --typical-p .95",
                      "--entmax-alpha 1.5 --draw adaptive_p",
                      "--repeat-penalty 1.3 --prompt-tokens 5,6,7 --temperature 0"):
            for form in ("text", "json"):
                line = (f"pluck inspect logits.npy --row 5 --explain --token 1,286,400 -f {form} "
                        f"{flags}")
                outputs = {n: self.run_line(line, env={"PLUCK_ISA": n}) for n in names}
                self.assertEqual(len(set(outputs.values())), 1, f"{line}: {names}")

    def test_explanations_fit_on_100_columns(self):
        for flags in ("--temperature 1.3", "--repeat-penalty 1.3 --prompt-tokens 5,6,7 --top-k 9",
                      "--dry-multiplier 1 --prompt-tokens 5,6,7,5,6 --xtc-probability 1",
                      "--logit-bias '{\"5\":-1.2345678901,\"6\":false}' --tfs-z .123456789012"):
            line = f"pluck inspect gpt2.npy --row 0 --explain --token 1,2,3 --top 0 {flags}"
            for text in self.run_line(f"{line} --vocab gpt2_vocab.json").decode().split("\n"):
                self.assertLessEqual(len(text), 100, text)

    def test_rows_in_parts_are_the_rows(self):
        whole = self.run_line(f"pluck sample logits.npy --rows 0:20 {CHAIN}")
        parts = [self.run_line(f"pluck sample logits.npy --rows {r} {CHAIN}")
                 for r in ("0:10", "10:20")]
        self.assertEqual(b"".join(parts), whole)
        self.assertEqual(len(whole.splitlines()), 20)
        single = self.run_line(f"pluck sample logits.npy --rows 13 {CHAIN}")
        self.assertEqual(single, whole.splitlines(True)[13])

    def test_more_draws_begin_with_the_fewer(self):
        few = self.run_line(f"pluck sample logits.npy --rows 1 --draws 5 {CHAIN}")
        many = self.run_line(f"pluck sample logits.npy --rows 1 --draws 500 {CHAIN}")
        self.assertTrue(many.startswith(few))

    def test_draws_of_a_row_differ_and_seeds_differ(self):
        line = "pluck sample small.npy --rows 3 --draws 400 --format json --seed "
        tokens = [[json.loads(x)["token"] for x in self.run_line(line + s).splitlines()]
                  for s in ("1", "2")]
        self.assertEqual(set(tokens[0]), set(range(8)))
        self.assertNotEqual(*tokens)

    def test_any_number_of_threads_gives_the_same_bytes(self):
        lines = [
            f"pluck sample logits.npy a.npy {CHAIN}",
            "pluck sample gpt2.npy --rows :3 --draws 300 --temperature 1.5 --top-p 0.9 -f csv",
            "pluck sample logits.npy --draws 70 --repeat-penalty 1.3 --prompt-tokens 5,6,7",
            "pluck sample small.npy --rows -1 --draws 9000 --format json",
            f"pluck sample logits.npy --rows 4:2 {CHAIN}",
            f"pluck sample logits.raw --vocab-size 512 --vocab vocab.json {CHAIN}",
            f"cat logits.npy | pluck sample - --draws 1500 {CHAIN}",
            "pluck report logits.npy --targets targets.npy --explore 1",
            "pluck report small.npy gpt2.npy --rows :5 --explore 1",
        ]
        for line in lines:
            one = self.run_line(line)
            for n in (0, 1, 2, 3, 7):
                self.assertEqual(self.run_line(f"{line} --threads {n}"), one, f"{n}: {line}")

    def test_a_bad_row_ends_or_is_skipped_alike_with_any_threads(self):
        for flags in ("", "--skip-bad"):
            for dump in ("nan.npy", "banned.npy", "inf.npy"):
                line = f"pluck sample {dump} --draws 2500 --format json {flags}"
                one = self.run_line(line, 3), self.stderr
                for n in (2, 5):
                    many = self.run_line(f"{line} --threads {n}", 3), self.stderr
                    self.assertEqual(many, one, f"{n}: {line}")

    def test_a_pipe_gives_what_the_file_gives(self):
        whole = self.run_line(f"pluck sample logits.npy {CHAIN}")
        self.assertEqual(self.run_line(f"cat logits.npy | pluck sample - {CHAIN}"), whole)
        self.assertEqual(self.run_line(f"pluck sample logits.raw --vocab-size 512 {CHAIN}"), whole)

    def test_flags_are_the_file(self):
        (self.folder / "c.json").write_text('{"temperature": 0.8, "top_k": 40, "top_p": 0.95, '
                                            '"seed": 42}')
        self.assertEqual(self.run_line("pluck sample logits.npy --config c.json --format json"),
                         self.run_line(f"pluck sample logits.npy {CHAIN}"))

    def test_shown_configuration_reads_back_to_itself(self):
        flags = "--seed 9 --temperature 0.1 --top-p 0.3 --logit-bias '{\"3\": 0.1, \"9\": false}'"
        shown = self.run_line(f"pluck config show {flags} --format json")
        (self.folder / "shown.json").write_bytes(shown)
        self.assertEqual(self.run_line("pluck config show shown.json --format json"), shown)

    def test_random_seed_that_was_told_repeats_the_run(self):
        line = "pluck sample logits.npy --temperature 2 --format json --seed "
        tokens = self.run_line(line + "random")
        self.assertEqual(self.run_line(line + self.stderr.split()[-1]), tokens)
        self.assertNotEqual(self.run_line(line + "random"), tokens)

    def test_sequence_with_a_stream_is_the_prompt_by_prompt_run(self):
        """Position p of a sequence is what row-by-row sampling with the first tokens as prompt
        gives, when the stream is the row."""
        flags = "--presence-penalty 2 --temperature 1.5 --format json"
        tokens = [json.loads(x)["token"] for x in self.run_line(
            f"pluck sample small.npy --sequence --stream 4 {flags}").splitlines()]
        prompt = ",".join(map(str, tokens[:4]))
        last = json.loads(self.run_line(
            f"pluck sample small.npy --rows 4 --prompt-tokens {prompt} {flags}"))
        self.assertEqual(last["token"], tokens[4])

    def test_lines_are_json_with_fixed_keys(self):
        for line in self.run_line("pluck sample gpt2.npy --temperature 2 --draws 50 -f json "
                                  "--vocab gpt2_vocab.json").splitlines():
            pairs = json.loads(line, object_pairs_hook=list)
            self.assertEqual([k for k, _ in pairs],
                             ["row", "draw", "token", "logprob", "survivors", "text"])

    def test_numbers_read_back_to_the_same_float(self):
        for line in self.run_line(f"pluck sample logits.npy --draws 9 {CHAIN}").splitlines():
            printed = line.split(b'"logprob":')[1].split(b",")[0].decode()
            value = struct.unpack("<f", struct.pack("<f", float(printed)))[0]
            self.assertEqual(f"{value:.9g}", printed)
            self.assertNotEqual(printed, "-0")

    def test_inspect_shows_what_sample_draws_from(self):
        shown = json.loads(self.run_line("pluck inspect logits.npy --row 6 --format json --top 512"
                                         " --top-k 9 --temperature 1.7"))
        probs = {t["token"]: t["prob"] for t in shown["top"]}
        self.assertEqual(len(probs), 9)
        self.assertEqual(shown["survivors"], 9)
        for line in self.run_line("pluck sample logits.npy --rows 6 --draws 300 --format json"
                                  " --top-k 9 --temperature 1.7").splitlines():
            drawn = json.loads(line)
            self.assertEqual(drawn["survivors"], 9)
            self.assertAlmostEqual(2.718281828459045 ** drawn["logprob"], probs[drawn["token"]],
                                   delta=1e-6)


if __name__ == "__main__":
    main()
