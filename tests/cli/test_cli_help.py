#!/usr/bin/env python3
"""Why: help, manual and completions promise things; every example must run, and docs/command.md
must explain every flag.

    test_cli_help.py --pluck PLUCK [TEST...]
"""
import json
import pathlib
import re
import shutil

from command_case import CommandCase, main

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs" / "command.md"


class Help(CommandCase):
    def commands(self):
        overview = self.run_line("pluck help").decode()
        listed = overview.split("Commands:\n")[1].split("\n\n")[0]
        return [re.split(r"  +", line.strip())[0] for line in listed.split("\n")]

    def flags(self, command):
        text = self.run_line(f"pluck help --all {command}").decode()
        return re.findall(r"^  (?:-\w, )?(--[a-z0-9-]+)", text, re.M)

    def test_every_command_has_help(self):
        self.assertIn("sample", self.commands())
        for command in self.commands():
            text = self.run_line(f"pluck help {command}")
            self.assertEqual(self.run_line(f"pluck {command} --help"), text)
            self.assertEqual(self.run_line(f"pluck {command} -h"), text)
            self.assertEqual(self.run_line(f"pluck {command} --help=all"),
                             self.run_line(f"pluck help --all {command}"))
            self.assertEqual(self.stderr, "")
            self.assertTrue(text.startswith(f"Usage: pluck {command}".encode()))
        self.assertEqual(self.run_line("pluck --help"), self.run_line("pluck help"))

    def test_help_is_one_page_that_fits_the_screen(self):
        for command in self.commands():
            for width in (80, 100):
                page = self.run_line(f"COLUMNS={width} pluck help {command}").decode()
                self.assertLessEqual(page.count("\n"), 40, command)
                self.assertIn("Examples:\n", page)
                self.assertLessEqual(page.split("Examples:\n")[1].split("\n\n")[0].count("  $ "), 2)
        for command in ["", *self.commands(), *(f"--all {c}" for c in self.commands())]:
            for width in (40, 80, 200):
                text = self.run_line(f"COLUMNS={width} pluck help {command}").decode()
                for line in text.split("\n"):
                    self.assertLessEqual(len(line), min(width, 100), line)

    def test_a_page_begins_with_the_usual_flags_and_names_the_rest(self):
        page = self.run_line("pluck sample -h").decode()
        usual = re.findall(r"^  (-\w), --([a-z-]+)|^  --(seed)", page.split("Examples:")[0], re.M)
        self.assertEqual(["".join(u) for u in usual],
                         ["-ttemperature", "-ktop-k", "-ptop-p", "seed", "-ndraws", "-fformat"])
        for command in self.commands():
            page = self.run_line(f"pluck {command} -h").decode()
            if "a flag for each configuration key" in page:
                continue
            self.assertEqual([f for f in self.flags(command) if f not in page and f != "--help"],
                             [], command)

    def test_a_short_flag_means_the_same_everywhere(self):
        meaning = {"t": "temperature", "k": "top-k", "p": "top-p", "n": "draws", "r": "rows",
                   "f": "format", "o": "output", "c": "config", "q": "quiet", "h": "help"}
        seen = set()
        for command in self.commands():
            text = self.run_line(f"pluck help --all {command}").decode()
            for letter, name in re.findall(r"^  -(\w), --([a-z-]+)", text, re.M):
                expected = {("k", "tree predict"): "top", ("r", "inspect"): "row"}
                self.assertEqual(name, expected.get((letter, command), meaning[letter]), command)
                seen.add(letter)
        self.assertEqual(seen, set(meaning))

    def test_a_long_flag_may_be_cut_short_while_it_means_one(self):
        whole = self.run_line("pluck sample small.npy --temperature 0.5 --seed 3 --format json")
        short = self.run_line("pluck sample small.npy --tempe 0.5 --see 3 --form=json")
        self.assertEqual(whole, short)
        self.run_line("pluck sample small.npy --top 3", code=2)
        self.assertIn("option '--top' is ambiguous; it could be --top-logprobs, --top-kind, ",
                      self.stderr)
        self.run_line("pluck tune logits.npy --targets targets.npy --row :50")  # --rows

    def test_every_example_runs(self):
        n_run = 0
        for i in range(2):  # what pluck merge reads
            self.run_line(f"pluck sample logits.npy --shard {i}/2 --partial part.{i}")
        for command in self.commands():
            text = self.run_line(f"pluck help --all {command}").decode()
            lines = text.split("Examples:\n")[1].replace("\n      ", " ")
            for example in re.findall(r"^  \$ (.*)", lines, re.M):
                with self.subTest(example=example):
                    self.run_line(example)
                    self.assertEqual([line for line in self.stderr.splitlines()
                                      if "64 rows are few" not in line], [])
                    n_run += 1
        self.assertGreater(n_run, 15)

    def test_a_default_is_what_the_absence_of_the_key_means(self):
        def running(flags):
            lines = self.run_line(f"pluck config show {flags}").decode().splitlines()
            return [line for line in lines if "left out" not in line]
        text = self.run_line("pluck help --all sample").decode().split("Configuration keys")[1]
        flat = re.sub(r"\n {8,}", " ", text)
        defaults = dict(re.findall(
            r"^  (?:-\w, )?--([a-z-]+) [NX] .*[\[(][^\])]*[\])] \(default: (\S+)\)$", flat, re.M))
        off = {"temperature", "top-k", "top-p", "min-p", "top-n-sigma", "entmax-alpha"}
        self.assertEqual({key for key, value in defaults.items() if value == "off"}, off)
        self.assertGreater(len(defaults), 30)
        nothing = running("")
        for key, value in defaults.items():
            if value != "off":
                self.assertEqual(running(f"--{key} {value}"), nothing, key)
        for key in off:
            stage = self.run_line(f"pluck stages {key.replace('-', '_').removesuffix('_alpha')}")
            self.assertIn(f"--{key}; without it the stage is off", stage.decode())

    def test_the_documentation_names_every_command_and_flag(self):
        text = DOCS.read_text(encoding="utf-8")
        stages = json.loads(self.run_line("pluck stages --format json"))
        keys = {"--" + p["flat_key"].replace("_", "-")
                for s in stages for p in s["params"] if p["flat_key"]}
        for command in self.commands():
            missing = [name for name in [f"pluck {command}", *set(self.flags(command)) - keys]
                       if name not in text]
            self.assertEqual(missing, [], f"{DOCS.name} does not name them")

    def test_no_flag_has_two_meanings(self):
        for command in self.commands():
            flags = self.flags(command)
            self.assertEqual(len(flags), len(set(flags)), command)

    def test_every_configuration_key_is_a_flag(self):
        flags = self.flags("sample")
        for stage in json.loads(self.run_line("pluck stages --format json")):
            for param in stage["params"]:
                if param["flat_key"]:
                    self.assertIn("--" + param["flat_key"].replace("_", "-"), flags)
        for key in ("--seed", "--order", "--on-nan", "--draw"):
            self.assertIn(key, flags)

    def test_every_stage_is_described(self):
        listed = self.run_line("pluck stages").decode()
        for stage in json.loads(self.run_line("pluck stages --format json")):
            self.assertIn(stage["name"], listed)
            text = self.run_line(f"pluck stages {stage['name']}").decode()
            for part in (stage["summary"], stage["formula"], stage["source"]):
                self.assertIn(part, text)

    def test_every_preset_is_valid(self):
        listed = self.run_line("pluck config init --list").decode()
        presets = re.findall(r"^  ([a-z-]+) {2,}\S", listed, re.M)
        self.assertIn("balanced", presets)
        for preset in presets:
            self.run_line(f"pluck config init {preset} > p.json && pluck config check p.json")
            self.assertEqual(self.run_line(f"pluck config show --preset {preset}"),
                             self.run_line("pluck config show p.json"))

    def test_schema_is_json(self):
        self.assertIn("oneOf", json.loads(self.run_line("pluck config schema")))

    def test_manual_pages_are_good_roff(self):
        build = pathlib.Path(__file__).resolve().parents[2] / "cli" / "completions" / "meson.build"
        installed = build.read_text(encoding="utf-8")
        for command in ["", *self.commands()]:
            page = self.run_line(f"pluck help --man {command} > p.1; cat p.1").decode()
            for section in ("NAME", "SYNOPSIS", "DESCRIPTION", "EXIT STATUS", "ENVIRONMENT",
                            "FILES", "SEE ALSO"):
                self.assertIn(f".SH {section}\n", page, command)
            for flag in self.flags(command) if command else []:
                self.assertIn(flag.replace("-", "\\-"), page)
            if command:
                self.assertIn(f"'{command}'", installed, "is not installed")
            if shutil.which("groff"):
                self.run_line("groff -man -Tutf8 -ww -z p.1")
                self.assertEqual(self.stderr, "")

    def test_completions_are_good_scripts(self):
        for shell in ("bash", "zsh", "fish"):
            script = self.run_line(f"pluck completions {shell} > c.{shell}; cat c.{shell}")
            for word in (b"inspect", b"top-k", b"vocab-encoding"):
                self.assertIn(word, script)
            if shutil.which(shell):
                self.run_line(f"{shell} -n c.{shell}")
        self.run_line("pluck completions tcsh", code=2)

    def complete(self, line):
        words = line.split(" ")
        quoted = " ".join(f"'{w}'" for w in words)
        return self.run_line("source <(pluck completions bash); "
                             f"COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _pluck; "
                             'echo "${COMPREPLY[@]}"').decode().split()

    def test_bash_completes_commands_flags_and_choices(self):
        self.assertEqual(self.complete("pluck sam"), ["sample"])
        self.assertEqual(self.complete("pluck config sh"), ["show"])
        self.assertEqual(self.complete("pluck sample x.npy --top-"),
                         ["--top-logprobs", "--top-kind", "--top-n-sigma", "--top-k", "--top-p",
                          "--top-a", "--top-h"])
        self.assertEqual(self.complete("pluck sample x.npy --format "),
                         ["text", "json", "csv", "openai"])
        self.assertEqual(self.complete("pluck config show --form"), ["--format"])
        self.assertEqual(self.complete("pluck sample x.npy --vocab "), [])

    def test_bash_completes_words_of_commands_and_letters(self):
        self.assertEqual(self.complete("pluck completions "), ["bash", "zsh", "fish"])
        self.assertEqual(self.complete("pluck sample -f "), ["text", "json", "csv", "openai"])
        self.assertEqual(self.complete("pluck stages xt"), ["xtc"])
        self.assertEqual(self.complete("pluck config init pre"), ["precise"])
        self.assertEqual(self.complete("pluck help repl"), ["replay"])
        self.assertEqual(self.complete("pluck sample --draw ad"), ["adaptive_p"])
        self.assertEqual(self.complete("pluck sample --mirostat "), ["0", "1", "2"])
        self.assertEqual(self.complete("pluck replay "), [])

    def test_bash_completes_values_after_an_equals_sign_and_a_comma(self):
        objectives = ["nll", "ece", "brier", "entropy=", "perplexity=", "diversity="]
        self.assertEqual(self.complete("pluck tune x.npy --objective "), objectives)
        self.assertEqual(self.complete("pluck tune x.npy --objective=n"), ["--objective=nll"])
        self.assertEqual(self.complete("pluck sample x.npy --format=c"), ["--format=csv"])
        self.assertEqual(self.complete("pluck sample x.npy --format = "),
                         ["text", "json", "csv", "openai"])
        self.assertEqual(self.complete("pluck sample x.npy --format = c"), ["csv"])
        self.assertIn("top_k", self.complete("pluck sample x.npy --order "))
        self.assertNotIn("greedy", self.complete("pluck sample x.npy --order "))
        self.assertEqual(self.complete("pluck sample x.npy --order top_k,temp"),
                         ["top_k,temperature"])

    def test_fish_completes_what_bash_does(self):
        if not shutil.which("fish"):
            self.skipTest("fish is not installed")
        self.run_line("pluck completions fish > c.fish")
        for line in ("pluck sam", "pluck config sh", "pluck sample --form", "pluck sample -f ",
                     "pluck stages xt", "pluck config init pre", "pluck help repl",
                     "pluck tune --objective "):
            words = sorted(self.complete(line))
            self.assertTrue(words, line)
            out = self.run_line(f"fish -N -c \"source c.fish; complete -C '{line}'\"").decode()
            self.assertEqual([x.split("\t")[0] for x in out.splitlines()], words, line)
        line = "pluck sample config8"  # bash leaves names of files to readline
        out = self.run_line(f"fish -N -c \"source c.fish; complete -C '{line}'\"").decode()
        self.assertEqual([x.split("\t")[0] for x in out.splitlines()], ["config8.json"], line)


if __name__ == "__main__":
    main()
