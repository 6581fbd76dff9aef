#!/usr/bin/env python3
"""Writes the C table of calls for test_null_arguments: one entry for every function that the public
headers declare, made of the call that valid_calls.txt writes down.

    null_calls.py INCLUDE_DIR CALLS_FILE > null_calls.inc

A function that has no call there, or a call of no function, becomes a line of problems[], and the
test fails.
"""
import json
import pathlib
import re
import sys

from public_names import header_paths, statements

# By value, with a pointer inside.
STRUCTS = {"pluck_logits": "NULL_LOGITS", "pluck_weights": "NULL_WEIGHTS"}
FUNCTION_TYPES = ("pluck_new_logit", "pluck_import_report")
CALL = re.compile(r"(\w+)\((.*)\)(?: = (.+))?")


def split(text):
    """At commas that are in no brackets and no string."""
    parts, depth, start, quoted = [], 0, 0, False
    for i, char in enumerate(text):
        if char == '"' and text[i - 1] != "\\":
            quoted = not quoted
        elif not quoted:
            depth += (char in "([{") - (char in ")]}")
            if char == "," and depth == 0:
                parts.append(text[start:i].strip())
                start = i + 1
    last = text[start:].strip()
    return parts + [last] if last else parts


def declared(include_dir):
    """{name: (return type, [parameters])}"""
    found = {}
    for path in header_paths(include_dir):
        for statement in statements(path.read_text(encoding="utf-8")):
            match = re.fullmatch(r"PLUCK_API (.*?)\b(\w+)\s*\((.*)\)", statement)
            if match:
                parameters = split(match.group(3))
                parameters = [] if parameters == ["void"] else parameters
                found[match.group(2)] = (match.group(1).strip(), parameters)
    return found


def null_of(parameter):
    """What stands for it when it is absent; None if it is no pointer."""
    words = parameter.split()
    if words[0] in STRUCTS and "*" not in parameter:
        return STRUCTS[words[0]]
    return "NULL" if "*" in parameter or words[0] in FUNCTION_TYPES else None


def entry(name, result, parameters, arguments, when_null, in_stage):
    pointers, written = [], []
    for i, (parameter, argument) in enumerate(zip(parameters, arguments)):
        null = null_of(parameter)
        optional = argument.startswith("?") or argument == "err"
        argument = argument.lstrip("?")
        if null:
            pointers.append((i, optional))
            argument = f"(at == {i} ? {null} : ({argument}))"
        written.append(argument)
    call = f"{name}({', '.join(written)})"
    if result == "pluck_status":
        body = f"seen->has_status = true, seen->status = {call};"
    elif result == "void" or re.fullmatch(r"pluck_\w+_(info|stats|progress)", result):
        body = f"(void){call}, seen->is_nothing = true;"
    else:
        body = f"seen->is_nothing = {call} == ({when_null or 0});"
    function = (f"static void call_{name}(int at, outcome *seen, pluck_error *err)\n{{\n"
                f"    (void)at, (void)err;\n    {body}\n}}\n")
    row = "".join(f"{{{i}, {str(optional).lower()}}}, " for i, optional in pointers)
    return function, (f'    {{"{name}", call_{name}, {str(in_stage).lower()}, {len(pointers)}, '
                      f"{{{row or '{0, false}'}}}}},\n")


def main():
    functions = declared(sys.argv[1])
    calls, in_stage, problems = {}, False, []
    for line in pathlib.Path(sys.argv[2]).read_text(encoding="utf-8").split("\n"):
        if line == "[stage]":
            in_stage = True
        elif line and not line.startswith("#"):
            match = CALL.fullmatch(line)
            if not match or match.group(1) not in functions:
                problems.append(f"{line}: no call of a public function")
                continue
            calls[match.group(1)] = (split(match.group(2)), match.group(3), in_stage)
    code, table = "", ""
    for name, (result, parameters) in sorted(functions.items()):
        if name not in calls:
            problems.append(f"{name}: valid_calls.txt has no call of it")
            continue
        arguments, when_null, staged = calls[name]
        if len(arguments) != len(parameters):
            problems.append(f"{name}: {len(arguments)} arguments, {len(parameters)} parameters")
            continue
        function, row = entry(name, result, parameters, arguments, when_null, staged)
        code, table = code + function, table + row
    print(f"{code}\nstatic const null_call calls[] = {{\n{table}}};")
    lines = "".join(f"    {json.dumps(problem)},\n" for problem in problems)
    print(f"\nstatic const char *const problems[] = {{\n{lines}    NULL,\n}};")


if __name__ == "__main__":
    main()
