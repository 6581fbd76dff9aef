#!/usr/bin/env python3
"""Why: programs read the JSON that the command prints, so keys, their order and numbers must not
change when the code behind them does. Sentences in it are for people and may be reworded: they are
held apart.

    test_cli_net.py --pluck PLUCK [--refresh]

Runs the lines of net_lines.txt. net/NAME.txt holds what one prints, every sentence replaced by its
key; net/sentences.txt holds the sentences. --refresh writes both: look at the difference.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from make_inputs import environment, write_inputs  # noqa: E402

NET = HERE / "net"
SENTENCES = {"summary", "note", "notes", "reason", "warning", "warnings", "doubts", "source",
             "cost", "formula", "description", "title", "help", "message"}


def read_lines():
    for line in (HERE / "net_lines.txt").read_text(encoding="utf-8").split("\n"):
        if line and not line.startswith("#"):
            yield line.split(": ", 1)


def without_sentences(value, name, found):
    if isinstance(value, list):
        return [without_sentences(v, name, found) for v in value]
    if not isinstance(value, dict):
        return value
    kept = {}
    for key, inner in value.items():
        texts = [inner] if isinstance(inner, str) else inner
        if key in SENTENCES and isinstance(texts, list) and all(isinstance(t, str) for t in texts):
            found.extend(f"{name}.{key}: {text}" for text in texts)
            kept[key] = [key] * len(texts)
        else:
            kept[key] = without_sentences(inner, name, found)
    return kept


class Number(str):
    """A number as it was spelt: 1.0 and 1 are different here."""


def spelt(value, indent):
    """JSON with numbers as they were spelt; short values on one line."""
    pad = " " * indent
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict):
        parts = [f"{json.dumps(k, ensure_ascii=False)}: {spelt(v, indent + 1)}"
                 for k, v in value.items()]
        opening, closing = "{", "}"
    elif isinstance(value, list):
        parts = [spelt(v, indent + 1) for v in value]
        opening, closing = "[", "]"
    else:
        return json.dumps(value, ensure_ascii=False)
    line = opening + ", ".join(parts) + closing
    if len(line) + indent <= 100 and "\n" not in line:
        return line
    return opening + "\n" + ",\n".join(pad + " " + part for part in parts) + "\n" + pad + closing


def structure(name, text, found):
    """What may not change. JSON lines are one value per line."""
    def read(part):
        return json.loads(part, parse_int=Number, parse_float=Number)
    try:
        values = [read(text)]
    except ValueError:
        try:
            values = [read(line) for line in text.split("\n") if line]
        except ValueError:
            return text
    return "".join(spelt(without_sentences(v, name, found), 0) + "\n" for v in values)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pluck", required=True)
    parser.add_argument("--refresh", action="store_true")
    args = parser.parse_args()

    env = environment(args.pluck)
    env["TZ"] = "UTC"
    names, found, n_failed = [], [], 0
    with tempfile.TemporaryDirectory() as folder:
        write_inputs(folder)
        for name, line in read_lines():
            names.append(name)
            done = subprocess.run(["sh", "-c", line], cwd=folder, env=env, capture_output=True,
                                  stdin=subprocess.DEVNULL, timeout=120, text=True)
            now = f"{line}\nexit status {done.returncode}\n" + structure(name, done.stdout, found)
            path = NET / f"{name}.txt"
            if args.refresh:
                path.write_text(now, encoding="utf-8")
            if not path.exists() or path.read_text(encoding="utf-8") != now:
                n_failed += 1
                print(f"{name}: not what net/{path.name} holds:\n{now}{done.stderr}")
    sentences = "\n".join(found) + "\n"
    if args.refresh:
        (NET / "sentences.txt").write_text(sentences, encoding="utf-8")
    if (NET / "sentences.txt").read_text(encoding="utf-8") != sentences:
        n_failed += 1
        print("net/sentences.txt: sentences were changed; ninja refresh-net writes it anew")
    stale = {p.stem for p in NET.glob("*.txt")} - set(names) - {"sentences"}
    for name in stale:
        print(f"net/{name}.txt: no line has this name")
    print(f"{len(names)} command lines, {n_failed} failed")
    return 1 if n_failed or stale else 0


if __name__ == "__main__":
    sys.exit(main())
