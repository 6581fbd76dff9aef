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
        text = self.run_line(f"pluck help {command}").decode()
        return re.findall(r"^  (?:-\w, )?(--[a-z-]+)", text, re.M)

    def test_every_command_has_help(self):
        self.assertIn("sample", self.commands())
        for command in self.commands():
            text = self.run_line(f"pluck help {command}")
            self.assertEqual(self.run_line(f"pluck {command} --help"), text)
            self.assertEqual(self.run_line(f"pluck {command} -h"), text)
            self.assertEqual(self.stderr, "")
            self.assertTrue(text.startswith(f"Usage: pluck {command}".encode()))
        self.assertEqual(self.run_line("pluck --help"), self.run_line("pluck help"))

    def test_help_has_at_most_100_columns(self):
        for command in ["", *self.commands()]:
            for line in self.run_line(f"pluck help {command}").decode().split("\n"):
                self.assertLessEqual(len(line), 100, line)

    def test_every_example_runs(self):
        n_run = 0
        for command in self.commands():
            text = self.run_line(f"pluck help {command}").decode()
            for example in re.findall(r"^  \$ (.*)", text.split("Examples:\n")[1], re.M):
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
        text = self.run_line("pluck help sample").decode().split("Configuration keys")[1]
        defaults = dict(re.findall(r"^  --([a-z-]+) [NX] +[\[(][^\])]*[\])],\s+default (\S+):",
                                   text, re.M))
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

    def test_manual_page_is_good_roff(self):
        page = self.run_line("pluck help --man")
        self.assertTrue(page.startswith(b".TH PLUCK 1"))
        for flag in self.flags("sample"):
            self.assertIn(flag.replace("-", "\\-").encode(), page)
        if not shutil.which("groff"):
            self.skipTest("groff is not installed")
        self.run_line("pluck help --man | groff -man -Tutf8 -ww -z")
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
                         ["--top-n-sigma", "--top-k", "--top-p", "--top-a", "--top-h"])
        self.assertEqual(self.complete("pluck sample x.npy --format "), ["text", "json", "csv"])
        self.assertEqual(self.complete("pluck config show --form"), ["--format"])
        self.assertEqual(self.complete("pluck sample x.npy --vocab "), [])

    def test_bash_completes_words_of_commands_and_letters(self):
        self.assertEqual(self.complete("pluck completions "), ["bash", "zsh", "fish"])
        self.assertEqual(self.complete("pluck sample -f "), ["text", "json", "csv"])
        self.assertEqual(self.complete("pluck stages xt"), ["xtc"])
        self.assertEqual(self.complete("pluck config init pre"), ["precise"])
        self.assertEqual(self.complete("pluck help repl"), ["replay"])
        self.assertEqual(self.complete("pluck sample --draw ad"), ["adaptive_p"])
        self.assertEqual(self.complete("pluck sample --mirostat "), ["0", "1", "2"])
        self.assertEqual(self.complete("pluck replay "), [])

    def test_fish_completes_what_bash_does(self):
        if not shutil.which("fish"):
            self.skipTest("fish is not installed")
        self.run_line("pluck completions fish > c.fish")
        for line, words in (("pluck sam", ["sample"]), ("pluck config sh", ["show"]),
                            ("pluck sample --form", ["--format"]),
                            ("pluck sample -f ", ["csv", "json", "text"]),
                            ("pluck stages xt", ["xtc"]), ("pluck config init pre", ["precise"]),
                            ("pluck sample config8", ["config8.json"]),
                            ("pluck help repl", ["replay"])):
            out = self.run_line(f"fish -N -c \"source c.fish; complete -C '{line}'\"").decode()
            self.assertEqual([x.split("\t")[0] for x in out.splitlines()], words, line)


if __name__ == "__main__":
    main()
