#!/usr/bin/env python3
"""Why: an imported configuration must do what its engine does with every key: map it exactly,
refuse it, or leave it out because it has no effect. import/rows.txt has one line for each, from the
engines' sources; import/bodies has whole files; import/keys.json the engines' own lists of keys.

    test_cli_import_rows.py --pluck PLUCK [TEST...]
"""
import json
import math
import pathlib
import re
import subprocess
import tempfile
import unittest

import command_case
from command_case import main
from make_inputs import npy

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


# Texts that are not JSON: engine, text, the values that they have, or what is wrong.
OLLAMA, WEBUI = "ollama", "text-generation-webui"
TEXTS = [
    (OLLAMA, "FROM a\nPARAMETER top_k 7", {"top_k": 7}),
    (OLLAMA, "from a\r\nparameter top_k 7\r\n", {"top_k": 7}),
    (OLLAMA, "\ufeff# first\n\nFROM a\nPARAMETER top_k 7\nPARAMETER top_k 8", {"top_k": 8}),
    (OLLAMA, "\ufeff", "the text is empty"),
    (WEBUI, "\ufeff", "the text is empty"),
    (WEBUI, "\ufefftop_k: 7", {"top_k": 7}),
    (OLLAMA, "FROM a\nSYSTEM \"\"\"PARAMETER top_k 7\nPARAMETER top_p 0\"\"\"\nPARAMETER seed 1",
     {"seed": 1}),
    (OLLAMA, "FROM a\nSYSTEM \"x\nPARAMETER top_k 7\n\"\nPARAMETER seed 1", {"seed": 1}),
    (OLLAMA, "FROM a\nTEMPLATE say \"x\" {{ .Prompt }}\nPARAMETER seed 1", {"seed": 1}),
    (OLLAMA, "PARAMETER temperature -.5e-1\nPARAMETER top_p +0.25\nPARAMETER min_p 007.5E-2",
     {"temperature": 0, "top_p": 0.25, "min_p": 0.075}),
    (OLLAMA, "FROM a\nPARAMETER stop \"\\\"\nPARAMETER seed 1", {"seed": 1}),
    (OLLAMA, "FROM a\n\n\nPARAMETERS top_k 7", "line 4: expected a command of a Modelfile"),
    (OLLAMA, "FROM a\nPARAMETER", "line 2: PARAMETER needs a name and a value"),
    (OLLAMA, "FROM a\nSYSTEM \"\"\"x", "the quoted value does not end"),
    (OLLAMA, "FROM a\n" + "PARAMETER x 1\n" * 4096, "4096 settings at most"),
    (WEBUI, "top_k: 7", {"top_k": 7}),
    (WEBUI, "---\n# first\ntop_k:   7   # seven\n\ntop_p: .5\n", {"top_k": 7, "top_p": 0.5}),
    (WEBUI, "top_k: 7\ntop_k: 8\nmin_p: 1e-2\n", {"top_k": 8, "min_p": 0.01}),
    (WEBUI, "do_sample: False\n", {"draw": "greedy", "seed": None}),
    (WEBUI, "top_k: ~\ntop_p:\nseed: null\n", {}),
    (WEBUI, "custom_token_bans: '3, 4'\n", {"logit_bias": {"3": False, "4": False}}),
    (WEBUI, "custom_token_bans: \"3,\\n4\" # two\n", {"logit_bias": {"3": False, "4": False}}),
    (WEBUI, "custom_token_bans: '3,\n  4'\ntop_k: 7\n",
     {"logit_bias": {"3": False, "4": False}, "top_k": 7}),
    (WEBUI, "custom_token_bans: >-\n  3,\n  4\ntop_k: 7\n",
     {"logit_bias": {"3": False, "4": False}, "top_k": 7}),
    (WEBUI, "sampler_priority: [top_k, 'temperature', \"top_p\"]\ntop_k: 7\n", {"top_k": 7}),
    (WEBUI, "sampler_priority: [\n  top_k,\n  top_p\n]\ntop_k: 7\n", {"top_k": 7}),
    (WEBUI, "sampler_priority:\n- top_k\n- top_p\ntop_k: 7\n", {"top_k": 7}),
    (WEBUI, "sampler_priority:\n  - top_k # first\n\n  - top_p\ntop_k: 7\n", {"top_k": 7}),
    (WEBUI, "sampler_priority: |\n  top_k\n\n  top_p\n\ntop_k: 7\n", {"top_k": 7}),
    (WEBUI, "top_k: 7\n'top_p': 1\n", "line 2: expected a name and a value"),
    (WEBUI, "top_k: 7\n\ntop_p: {a: 1}\n",
     "line 3: unsupported YAML; expected a number, a word, a string or a list"),
    (WEBUI, "top_k: &a 7\n", "line 1: unsupported YAML"),
    (WEBUI, "top_k: '7' 8\n", "line 1: nothing may follow the value"),
    (WEBUI, "top_k: [1, 2\ntop_p: 1\n", "the list does not end"),
    (WEBUI, "options:\n  top_k: 7\n", "a setting inside another setting"),
    (WEBUI, "grammar_string: \"\\q\"\n", "unsupported escape"),
    (WEBUI, "top_k: \"7\n", "the quoted value does not end"),
    (WEBUI, "just words\n", "line 1, column 1"),
]


# A value of the wrong type costs its key alone, whole; an absent key's default stands for it.
WRONG_TYPES = [
    (OLLAMA, "FROM a\n\nPARAMETER top_k x\nPARAMETER top_p 0.5", "line 3, column", {"top_p": 0.5}),
    (WEBUI, "top_k: 7 8\ntop_p: 0.5", "expected a number, not a string", {"top_p": 0.5}),
    ("vllm", '{"seed": [1], "top_p": 0.5}', "$.seed: expected a number", {"top_p": 0.5}),
    ("llama.cpp", '{"temperature": {}, "top_p": 0.5}', "not an object", {"top_p": 0.5}),
    ("huggingface", '{"suppress_tokens": [1, "a"], "repetition_penalty": 2}',
     "$.suppress_tokens[1]: expected a token id", {"repeat_penalty": 2, "repeat_last_n": -1}),
    ("koboldcpp", '{"logit_bias": 5}', "expected an object from token ids", {}),
]


class Texts(unittest.TestCase):
    """Modelfiles and YAML."""

    def test_a_value_of_the_wrong_type_costs_its_key_alone(self):
        for engine, text, said, expected in WRONG_TYPES:
            with self.subTest(text=text):
                code, found, message = run_import(text, "--from", engine)
                self.assertEqual(code, 1, message)
                self.assertIn(said, json.dumps(found["keys"]))
                empty = run_import("{}", "--from", engine)[1]["config"]
                self.assertEqual(found["config"], {**empty, **expected})

    def test_texts_are_read_or_refused_where_they_are_wrong(self):
        for engine, text, expected in TEXTS:
            with self.subTest(text=text[:80]):
                code, found, message = run_import(text, "--from", engine)
                if isinstance(expected, str):
                    self.assertEqual(code, 3)
                    self.assertIn(expected, message)
                    continue
                self.assertIsNotNone(found, message)
                empty = run_import("{}", "--from", engine)[1]["config"]
                wanted = {**empty, **expected, "order": found["config"]["order"]}
                self.assertEqual(found["config"],
                                 {k: v for k, v in wanted.items() if v is not None})
                self.assertEqual(run_import(text)[1]["from"], engine)


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


# What engines compute, in a few lines each: a row is a dictionary from token to logit.

def softmax(row):
    top = max(row.values())
    weights = {token: math.exp(logit - top) for token, logit in row.items()}
    total = sum(weights.values())
    return {token: weight / total for token, weight in weights.items()}


def best_first(row):
    return sorted(row, key=lambda token: (-row[token], token))


def bias(row, biases):
    return {token: logit + biases.get(token, 0) for token, logit in row.items()}


def repeat(row, seen, penalty):
    return {token: logit if token not in seen else
            logit / penalty if logit > 0 else logit * penalty for token, logit in row.items()}


def subtract(row, seen, presence, frequency):
    return {token: logit - (token in seen) * presence - seen.count(token) * frequency
            for token, logit in row.items()}


def temperature(row, t):
    return {token: logit / t for token, logit in row.items()}


def top_k(row, k):
    return {token: row[token] for token in best_first(row)[:k]}


def top_p(row, p):
    kept, total, probs = {}, 0, softmax(row)
    for token in best_first(row):
        kept[token] = row[token]
        total += probs[token]
        if total >= p:
            break
    return kept


def min_p(row, p):
    probs = softmax(row)
    return {token: row[token] for token in row if probs[token] >= p * max(probs.values())}


def top_a(row, a):
    probs = softmax(row)
    return {token: row[token] for token in row if probs[token] >= a * max(probs.values()) ** 2}


def epsilon(row, e):
    probs = softmax(row)
    return {token: row[token] for token in row if probs[token] >= e}


def typical(row, mass):
    probs, kept, total = softmax(row), {}, 0
    entropy = -sum(p * math.log(p) for p in probs.values())
    for token in sorted(row, key=lambda token: abs(-math.log(probs[token]) - entropy)):
        kept[token] = row[token]
        total += probs[token]
        if total >= mass:
            break
    return kept


def smoothing(row, factor):
    top = max(row.values())
    return {token: top - factor * (logit - top) ** 2 for token, logit in row.items()}


PROMPT = [1, 4, 4, 9, 6, 2]
LOGITS = [0.4, 3.1, 2.9, -0.7, 2.2, 1.9, 2.4, 0.1, 1.3, -1.5, 1.6, 0.8, 2.05, 1.1, -0.2, 1.75]

# Engine, body, and what the engine does with a row after PROMPT.
ORDERS = [
    ("vllm", {"repetition_penalty": 1.3, "presence_penalty": 0.9, "frequency_penalty": 0.7,
              "temperature": 1.4, "min_p": 0.2, "top_k": 9, "top_p": 0.8, "logit_bias": {"5": 1.5}},
     lambda row: top_p(top_k(min_p(temperature(repeat(bias(row, {5: 1.5}), PROMPT, 1.3), 1.4), 0.2),
                             9), 0.8)),
    ("openai", {"presence_penalty": 0.9, "temperature": 1.4, "top_p": 0.8},
     lambda row: top_p(temperature(row, 1.4), 0.8)),
    ("huggingface", {"do_sample": True, "repetition_penalty": 1.3, "temperature": 1.4, "top_k": 12,
                     "top_p": 0.9, "min_p": 0.25, "typical_p": 0.8, "epsilon_cutoff": 0.05},
     lambda row: epsilon(typical(min_p(top_p(top_k(temperature(repeat(row, PROMPT, 1.3), 1.4), 12),
                                             0.9), 0.25), 0.8), 0.05)),
    ("llama.cpp", {"repeat_penalty": 1.3, "presence_penalty": 0.5, "frequency_penalty": 0.3,
                   "repeat_last_n": 4, "temperature": 1.4, "top_k": 12, "top_p": 0.9, "min_p": 0.25,
                   "typical_p": 0.85},
     lambda row: temperature(min_p(top_p(typical(top_k(subtract(repeat(row, PROMPT[-4:], 1.3),
                                                                PROMPT[-4:], 0.5, 0.3), 12), 0.85),
                                         0.9), 0.25), 1.4)),
    ("llama.cpp", {"samplers": ["temperature", "top_p", "top_k", "temperature"], "temperature": 1.4,
                   "top_p": 0.9, "top_k": 9},
     lambda row: temperature(top_k(top_p(temperature(row, 1.4), 0.9), 9), 1.4)),
    ("text-generation-webui", {"repetition_penalty": 1.3, "presence_penalty": 0.5,
                               "repetition_penalty_range": 3, "temperature": 1.4,
                               "smoothing_factor": 0.3, "top_k": 12, "top_p": 0.9,
                               "epsilon_cutoff": 300, "top_a": 0.4, "min_p": 0.1},
     lambda row: min_p(top_a(epsilon(top_p(top_k(smoothing(temperature(subtract(
         repeat(row, PROMPT[-3:], 1.3), PROMPT[-3:], 0.5, 0), 1.4), 0.3), 12), 0.9), 0.03), 0.4),
         0.1)),
    ("text-generation-webui", {"temperature": 1.4, "top_p": 0.8, "temperature_last": True},
     lambda row: temperature(top_p(row, 0.8), 1.4)),
    ("koboldcpp", {"rep_pen": 1.3, "presence_penalty": 0.5, "rep_pen_range": 4, "temperature": 1.4,
                   "smoothing_factor": 0.3, "top_k": 12, "top_a": 0.2, "typical": 0.9, "top_p": 0.9,
                   "min_p": 0.2, "nsigma": 0},
     lambda row: smoothing(temperature(min_p(top_p(typical(top_a(top_k(subtract(
         repeat(row, PROMPT[-4:], 1.3), PROMPT[-4:], 0.5, 0), 12), 0.2), 0.9), 0.9), 0.2), 1.4),
         0.3)),
    ("ollama", {"options": {"repeat_penalty": 1.3, "repeat_last_n": -1, "top_k": 12, "top_p": 0.9,
                            "min_p": 0.25, "temperature": 1.4}},
     lambda row: temperature(min_p(top_p(top_k(repeat(row, PROMPT, 1.3), 12), 0.9), 0.25), 1.4)),
    ("exllamav3", {"rep_p": 1.3, "pres_p": 0.5, "freq_p": 0.3, "rep_sustain_range": 4,
                   "min_p": 0.25, "top_k": 7, "temperature": 1.4, "temp_last": True},
     lambda row: temperature(top_k(min_p(subtract(repeat(row, PROMPT[-4:], 1.3), PROMPT[-4:], 0.5,
                                                  0.3), 0.25), 7), 1.4)),
    ("exllamav3", {"min_p": 0.25, "top_k": 9, "temperature": 1.4},
     lambda row: top_k(min_p(temperature(row, 1.4), 0.25), 9)),
]


class Orders(unittest.TestCase):
    """The distribution of an imported chain is that of the engine's steps in the engine's order."""

    def test_chains_compute_what_engines_compute(self):
        with tempfile.TemporaryDirectory() as folder:
            dump, config = pathlib.Path(folder, "row.npy"), pathlib.Path(folder, "config.json")
            dump.write_bytes(npy([LOGITS]))
            for engine, body, steps in ORDERS:
                with self.subTest(engine=engine, body=body):
                    code, found, message = run_import(json.dumps(body), "--from", engine)
                    self.assertEqual(code, 0, message)
                    config.write_text(json.dumps(found["config"]))
                    done = subprocess.run(
                        [command_case.PLUCK, "inspect", dump, "--config", config, "--prompt-tokens",
                         ",".join(map(str, PROMPT)), "--format", "json"], capture_output=True,
                        check=True)
                    got = {item["token"]: item["prob"] for item in json.loads(done.stdout)["top"]}
                    wanted = softmax(steps(dict(enumerate(LOGITS))))
                    self.assertEqual(sorted(got), sorted(wanted))
                    for token, prob in wanted.items():
                        self.assertAlmostEqual(got[token], prob, delta=1e-6)
                    self.assertGreater(len(got), 2)
                    self.assertLess(len(got), len(LOGITS))


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
