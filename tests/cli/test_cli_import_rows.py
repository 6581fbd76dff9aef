#!/usr/bin/env python3
"""Why: an imported configuration must do what its engine does with every key: map it exactly,
refuse it, or leave it out because it has no effect. import/rows.txt has one line for each, from the
engines' sources; import/bodies has whole files; import/keys.json the engines' own lists of keys.

    test_cli_import_rows.py --pluck PLUCK [TEST...]
"""
import json
import pathlib
import re
import subprocess
import unittest

import command_case
from command_case import main

FOLDER = pathlib.Path(__file__).resolve().parent / "import"
ENGINES = ["huggingface", "llama.cpp", "vllm", "openai", "text-generation-webui", "koboldcpp",
           "ollama", "exllamav3"]
FATES = {"m": "mapped", "i": "ignored", "r": "refused"}


def run_import(text, *flags):
    """Exit code, the object that is printed (None after an error) and the message."""
    done = subprocess.run([command_case.PLUCK, "config", "import", *flags, "--format", "json", "-"],
                          input=text.encode(), capture_output=True, timeout=60)
    if done.returncode > 1:
        return done.returncode, None, done.stderr.decode()
    return done.returncode, json.loads(done.stdout), done.stderr.decode()


def rows():
    engine = None
    for number, line in enumerate((FOLDER / "rows.txt").read_text().splitlines(), 1):
        if line.startswith("["):
            engine = line.strip("[]")
        elif line and not line.startswith("#"):
            body, fates, config, *note = [part.strip() for part in re.split(r" \|(?= )", line)]
            yield number, engine, body, fates, json.loads(config), note[0] if note else ""


def keys_of(value):
    if not isinstance(value, dict):
        return
    for key, inner in value.items():
        yield key
        yield from keys_of(inner)


class Rows(unittest.TestCase):
    maxDiff = None
    empty = {}

    def expect(self, engine, body, fates, config, note):
        if engine not in self.empty:
            self.empty[engine] = run_import("{}", "--from", engine)[1]["config"]
        code, found, message = run_import(body, "--from", engine)
        self.assertIsNotNone(found, message)
        mine = set(keys_of(json.loads(body)))
        told = [key for key in found["keys"] if key["key"].split(".")[-1] in mine]
        self.assertEqual(" ".join(f"{key['key']}={key['fate'][0]}" for key in told), fates)
        refused = any(key["fate"] == "refused" for key in found["keys"])
        self.assertEqual(code, 1 if refused else 0)
        self.assertIn(note, "\n".join(key["note"] for key in told))
        if "stages" in config:
            self.assertEqual(found["config"], config)
            return
        wanted = {**self.empty[engine], **config}
        if "order" not in config:
            wanted["order"] = found["config"]["order"]
        self.assertEqual(found["config"], {k: v for k, v in wanted.items() if v is not None})


def add_rows():
    for number, engine, body, fates, config, note in rows():
        def test(self, engine=engine, body=body, fates=fates, config=config, note=note):
            self.expect(engine, body, " ".join(fates.split()), config, note)
        test.__doc__ = f"line {number}: {engine} {body}"
        setattr(Rows, f"test_{number:04}_{engine.replace('.', '_').replace('-', '_')}", test)


class Bodies(unittest.TestCase):
    """Whole files. NAME.expected: engine, fates of all that is reported, configuration."""
    maxDiff = None

    def test_bodies_give_what_was_worked_out_by_hand(self):
        names = sorted(path for path in (FOLDER / "bodies").iterdir() if path.suffix != ".expected")
        self.assertGreaterEqual(len(names), 25)
        for path in names:
            expected = json.loads(path.with_suffix(".expected").read_text())
            with self.subTest(path.name):
                code, found, message = run_import(path.read_text(), "--from", expected["from"])
                self.assertIsNotNone(found, message)
                self.assertEqual([f"{k['key']}={k['fate'][0]}" for k in found["keys"]],
                                 expected["keys"].split())
                self.assertEqual(found["config"], expected["config"])
                self.assertEqual(code, int("=r" in expected["keys"]))

    def test_their_engines_are_found_where_keys_tell(self):
        for path in sorted((FOLDER / "bodies").iterdir()):
            if path.suffix == ".expected":
                continue
            expected = json.loads(path.with_suffix(".expected").read_text())
            with self.subTest(path.name):
                code, found, message = run_import(path.read_text())
                if expected.get("ambiguous"):
                    self.assertEqual(code, 3)
                    self.assertIn("use --from", message)
                else:
                    self.assertIsNotNone(found, message)
                    self.assertEqual(found["from"], expected["from"])


class Keys(unittest.TestCase):
    """The engines' own lists."""

    def is_known(self, engine, key):
        """A value that no rule takes for off: an unknown key is said to be one."""
        code, found, _ = run_import(json.dumps({key: "?"}), "--from", engine)
        return code > 1 or "not a known key" not in found["keys"][0]["note"]

    def test_all_keys_of_each_engine_are_known(self):
        lists = json.loads((FOLDER / "keys.json").read_text())
        self.assertEqual(sorted(lists), sorted(ENGINES))
        for engine in ENGINES:
            keys = {key for keys in lists[engine]["keys"].values() for key in keys.split()}
            unknown = sorted(key for key in keys if not self.is_known(engine, key))
            print(f"{engine}: {len(keys) - len(unknown)} of {len(keys)} keys of "
                  f"{lists[engine]['version']} are known")
            self.assertEqual(unknown, [], engine)

    def test_a_key_that_no_engine_has_is_not_known(self):
        for engine in ENGINES:
            self.assertFalse(self.is_known(engine, "no_such_key"))


add_rows()
if __name__ == "__main__":
    main()
