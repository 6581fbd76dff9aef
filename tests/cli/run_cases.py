#!/usr/bin/env python3
"""Why: what the command prints is read by people and programs, so it must not change unnoticed.
Runs every case of cases.txt and compares exit status, standard output and standard error.

    run_cases.py --pluck PLUCK [--refresh | --stack KIB] [NAME...]

--refresh writes what the command prints now to expected/; look at the difference before you commit
it. --stack runs the command with a stack of this size, as small systems and cautious services do.
"""
import argparse
import pathlib
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from make_inputs import copy_inputs, environment, write_inputs  # noqa: E402


def read_cases():
    cases = {}
    for line in (HERE / "cases.txt").read_text(encoding="utf-8").split("\n"):
        if line.startswith("["):
            case = cases.setdefault(line.strip("[]"), {"stderr": []})
        elif line and not line.startswith("#"):
            key, value = line.split(": ", 1)
            if key == "stderr":
                case["stderr"].append(value)
            else:
                case[key] = value
    return cases


def check_stderr(case, text):
    lines = text.split("\n")
    if not case["stderr"]:
        return [] if text == "" else [f"standard error is not empty: {text!r}"]
    wrong = [f"standard error lacks {part!r}: {text!r}" for part in case["stderr"]
             if part not in text]
    messages = [line for line in lines[:-1] if ": warning: " not in line]
    if not text.startswith("Usage:") and (len(messages) > 1 or lines[-1] != ""):
        wrong.append(f"standard error is not one line: {text!r}")
    return wrong


def run_case(name, case, template, env, args):
    line = case["run"]
    if args.stack:
        line = f'pluck() {{ (ulimit -s {args.stack}; exec pluck "$@"); }}\n{line}'
    with tempfile.TemporaryDirectory() as parent:
        folder = pathlib.Path(parent, "work")
        copy_inputs(template, folder)
        done = subprocess.run(["sh", "-c", line], cwd=folder, env=env, capture_output=True,
                              stdin=subprocess.DEVNULL, timeout=120)
    expected = HERE / "expected" / (name + ".out")
    if args.refresh:
        if done.stdout:
            expected.write_bytes(done.stdout)
        else:
            expected.unlink(missing_ok=True)
    wrong = check_stderr(case, done.stderr.decode("utf-8", "replace"))
    if done.returncode != int(case["exit"]):
        wrong.append(f"exit status {done.returncode}, not {case['exit']}; {done.stderr!r}")
    if done.stdout != (expected.read_bytes() if expected.exists() else b""):
        wrong.append(f"standard output is not that of {expected.name}:\n"
                     + done.stdout.decode("utf-8", "replace"))
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pluck", required=True)
    parser.add_argument("--refresh", action="store_true")
    parser.add_argument("--stack", type=int)
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()

    env = environment(args.pluck)
    if subprocess.run([args.pluck, "inspect", HERE.parent / "data" / "stories260K.npy"], env=env,
                      capture_output=True).returncode == 2:
        print(f"skipped: PLUCK_ISA={env.get('PLUCK_ISA')} is not supported here")
        return 77
    cases = read_cases()
    (HERE / "expected").mkdir(exist_ok=True)
    n_failed = 0
    template = tempfile.TemporaryDirectory()
    write_inputs(template.name)
    for name in args.names or cases:
        wrong = run_case(name, cases[name], template.name, env, args)
        n_failed += bool(wrong)
        for message in wrong:
            print(f"{name}: {message}\n    {cases[name]['run']}\n    replay: {sys.argv[0]} "
                  f"--pluck {args.pluck} {name}")
    stale = {p.stem for p in (HERE / "expected").glob("*.out")} - set(cases)
    if stale:
        print(f"no case for expected/{', '.join(sorted(stale))}.out")
    print(f"{len(args.names or cases)} cases, {n_failed} failed")
    return 1 if n_failed or stale else 0


if __name__ == "__main__":
    sys.exit(main())
