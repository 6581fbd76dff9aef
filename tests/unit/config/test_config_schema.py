#!/usr/bin/env python3
"""An editor that follows the schema must say what the reader will say: a configuration that one of
them accepts and the other refuses misleads its author. Both judge the presets, and values at and
just outside the ends of every range of the schema, in both forms.

    tests/unit/config/test_config_schema.py CONFIGS_DIR CONFIG_VERDICTS

Needs the Python module jsonschema (4.0 or later); exit status 77 (skipped) without it.
"""
import json
import math
import os
import pathlib
import shlex
import subprocess
import sys

try:
    from jsonschema import Draft202012Validator
except ImportError:
    print("skipped: the Python module jsonschema (4.0 or later) is not installed")
    sys.exit(77)

# What the schema cannot say, because it looks at one value at a time.
BEYOND_SCHEMA = ("configured but \"order\" does not name it", "is given twice")


def numbers_around(schema):
    """Values at the ends of a number's range, on both sides of each, and some others."""
    yield from (0, 1, -1, 0.5, 1.5, 40, 40.0, 1e6, -1e6, 1e300, schema.get("default", 0))
    for key in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
        if key in schema:
            end = schema[key]
            yield from (end, end - 1, end + 1)
            yield from (math.nextafter(end, -math.inf), math.nextafter(end, math.inf))


def values_for(schema):
    """Good and bad values of a property."""
    yield from ("x", None, True, False, {}, [], [1], {"x": 1}, "random", "error", "ban")
    yield from schema.get("enum", [])
    if schema.get("type") in ("number", "integer"):
        yield from numbers_around(schema)
    if "patternProperties" in schema:
        for bias in (0, -1.5, False, None, True, "x", 1e7, -1e7, [], 1e6):
            yield from ({"5": bias}, [[5, bias]])
        for token in ("0", "00", "-1", "1.5", "", "16777215", "123456789"):
            yield {token: 1}
        for token in (0, -1, 1.5, "0", 16777215, 16777216, 5.0, None):
            yield [[token, 1]]
        yield from ([[5]], [[5, 1, 1]], [[]], [5, 1], [[5, 1], [6, None]])
    if schema.get("type") == "array" and "patternProperties" not in schema:
        for token in (0, 5, 16777215, 16777216, -1, 1.5, 5.0, "5", None, True):
            yield from ([token], [[token]], [3, token], [[3, token], [token]])
        yield from ([[]], [[1], []], [5, 5], [[5, 5]], [[5], [5]], [[[5]]], [5, [5]])
    for part in schema.get("anyOf", []) + schema.get("oneOf", []):
        if isinstance(part, dict) and part.get("type") != "object":
            yield from values_for(part)


def objects_for(schema):
    """Stage and draw objects with one parameter each, and without any."""
    kind = schema["properties"]["type"]["const"]
    yield from ({"type": kind}, {"type": kind, "x": 1}, {"type": kind + "x"}, {})
    for name, parameter in schema["properties"].items():
        if name != "type":
            yield from ({"type": kind, name: value} for value in values_for(parameter))


def object_schemas(property_schema):
    return [part for part in property_schema["oneOf"] if part.get("type") == "object"]


def flat_texts(properties):
    yield {}
    for key, schema in properties.items():
        yield from ({key: value} for value in values_for(schema))
    yield {"topp": 1}
    stages = properties["order"]["items"]["enum"]
    yield from ({"order": order} for order in (stages, stages[::-1], stages[:2] * 2, ["x"], "x"))
    for schema in object_schemas(properties["draw"]):
        yield from ({"draw": value} for value in objects_for(schema))


def explicit_texts(properties):
    yield from ({"stages": value} for value in ([], {}, None, ["top_k"], [[]], [{}]))
    for schema in object_schemas(properties["stages"]["items"]):
        yield from ({"stages": [value]} for value in objects_for(schema))
    for schema in object_schemas(properties["draw"]):
        yield from ({"stages": [], "draw": value} for value in objects_for(schema))
    for key in ("seed", "on_nan", "description", "$schema"):
        yield from ({"stages": [], key: value} for value in values_for(properties[key]))
    yield from ({"stages": [], key: value} for key, value in
                (("top_k", 3), ("order", []), ("x", 1)))


def main():
    configs, verdicts = pathlib.Path(sys.argv[1]), sys.argv[2]
    schema = json.loads((configs / "pluck.schema.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    failures = 0

    presets = sorted(set(configs.glob("*.json")) - {configs / "pluck.schema.json"})
    texts = [json.loads(path.read_text(encoding="utf-8")) for path in presets]
    for path, text in zip(presets, texts):
        for error in validator.iter_errors(text):
            print(f"{path}: {error.message}")
            failures += 1

    flat, explicit = (form["properties"] for form in schema["oneOf"])
    texts += [*flat_texts(flat), *explicit_texts(explicit), [], 3, None, "x"]
    lines = "".join(json.dumps(text) + "\n" for text in texts)
    wrapper = shlex.split(os.environ.get("MESON_EXE_WRAPPER", ""))  # an emulator, or nothing
    answers = subprocess.run([*wrapper, verdicts], input=lines, capture_output=True, text=True,
                             check=True)
    accepted = refused = 0
    for text, answer in zip(texts, answers.stdout.splitlines(), strict=True):
        valid = validator.is_valid(text)
        accepted += answer == "ok"
        refused += answer != "ok"
        if valid != (answer == "ok") and not (valid and answer.endswith(BEYOND_SCHEMA)):
            print(f"{json.dumps(text)}\n  schema: {'accepts' if valid else 'refuses'}; "
                  f"reader: {answer}")
            failures += 1
    print(f"{len(presets)} presets, {accepted} texts accepted and {refused} refused by both, "
          f"{failures} disagreements")
    return 1 if failures or not presets or not accepted or not refused else 0


if __name__ == "__main__":
    sys.exit(main())
