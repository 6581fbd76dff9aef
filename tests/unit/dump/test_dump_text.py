#!/usr/bin/env python3
"""Dumps as text: CSV, TSV and columns of numbers, with all that spreadsheets and scripts put around
them, and JSON in all its forms.

Why: a header, an index or a decimal comma that is taken for a logit gives rows that look right. So
each table has the rows and targets that a reader of the text expects, written here by hand.

    test_dump_text.py DUMP_ROWS [SEED]
"""
import gzip
import json
import math
import sys
import tempfile

sys.dont_write_bytecode = True
from test_dump_formats import Checker, f32, has_zlib  # noqa: E402

INF, NAN = float("inf"), float("nan")
TWO = [[0.5, -1.25, 3.0], [1.0, 2.0, -0.0]]

# What is in the file: its rows, and targets if it has any.
TABLES = {
    "commas": ("0.5,-1.25,3\n1,2,-0\n", TWO),
    "no newline at the end": ("0.5,-1.25,3\n1,2,-0", TWO),
    "carriage returns": ("0.5,-1.25,3\r\n1,2,-0\r\n", TWO),
    "spaces": ("0.5 -1.25 3\n1 2 -0\n", TWO),
    "more spaces": ("  0.5   -1.25  3  \n\n 1 2\t-0 \n \n", TWO),
    "tabs": ("0.5\t-1.25\t3\n1\t2\t-0\n", TWO),
    "semicolons": ("0.5; -1.25; 3\n1 ;2 ;-0\n", TWO),
    "commas and spaces": ("0.5, -1.25,\t3\n1 , 2 , -0\n", TWO),
    "a byte order mark": ("\ufeff0.5,-1.25,3\n1,2,-0\n", TWO),
    "quotes": ('"0.5","-1.25","3"\n"1","2","-0"\n', TWO),
    "numpy.savetxt": ("5.000000000000000000e-01 -1.250000000000000000e+00 "
                      "3.000000000000000000e+00\n1.000000000000000000e+00 2.000000000000000000e+00 "
                      "-0.000000000000000000e+00\n", TWO),
    "comments": ("# logits of a model\n#\n0.5,-1.25,3\n# and\n1,2,-0\n", TWO),
    "names": ("a,b,c\n0.5,-1.25,3\n1,2,-0\n", TWO),
    "names in quotes": ('"the","a, b","c"\n0.5,-1.25,3\n1,2,-0\n', TWO),
    "pandas": (",0,1,2\n0,0.5,-1.25,3.0\n1,1.0,2.0,-0.0\n", TWO),
    "pandas without index": ("0,1,2\n0.5,-1.25,3.0\n1.0,2.0,-0.0\n", TWO),
    "R": ('"","V1","V2","V3"\n"1",0.5,-1.25,3\n"2",1,2,-0\n', TWO),
    "R without a name": ("V1 V2 V3\n1 0.5 -1.25 3\n2 1 2 -0\n", TWO),
    "R with targets": ("V1 target V2 V3\n1 0.5 2 -1.25 3\n2 1 0 2 -0\n", TWO, [2, 0]),
    "row numbers": ("row,a,b,c\n7,0.5,-1.25,3\n9,1,2,-0\n", TWO),
    "targets": ("a,b,c,target\n0.5,-1.25,3,2\n1,2,-0,\n", TWO, [2, -1]),
    "targets first": ("index\tTargets\ta\tb\tc\n0\t1\t0.5\t-1.25\t3\n1\t-100\t1\t2\t-0\n", TWO,
                      [1, -1]),
    "targets as floats": ("a,b,c,target\n0.5,-1.25,3,2.0\n1,2,-0,nan\n", TWO, [2, -1]),
    "one row": ("0.5,-1.25,3\n", TWO[:1]),
    "integers": ("0,1,2\n3,4,5\n", [[0, 1, 2], [3, 4, 5]]),
    "a column": ("0.5\n-1.25\n3\n", TWO[:1]),
    "a column with a name": (",logit\n0,0.5\n1,-1.25\n2,3\n", TWO[:1]),
    "llama-debug": ("0: 0.5\n1: -1.25\n2: 3\n", TWO[:1]),
    "one number": ("-7.5\n", [[-7.5]]),
    "notations": ("+1,.5,5.,1E2,1e-2,007,-.5e+1\n", [[1, .5, 5, 100, .01, 7, -5]]),
    "words": ("inf,-inf,-Infinity,INF,1\n", [[INF, -INF, -INF, INF, 1]]),
    "far away": ("1e39,-1e400,1e-60,16777217\n", [[INF, -INF, 0, 16777216]]),
}

REFUSED = {
    "a short line": ("1,2,3\n4,5\n", "line 2 has 2 cells, expected 3"),
    "a long line": ("1,2,3\n4,5,6,7\n", "line 2 has more than 3 cells, expected 3"),
    "an empty cell": ("1,2,3\n4,,6\n", "line 2, column 2 is empty"),
    "a comma at the end": ("1,2,3,\n", "column 4 is empty"),
    "a word": ("1,2,3\n\n# x\n4,five,6\n", "line 4, column 2: 'five' is not a number"),
    "decimal commas": ("a;b\n0,5;1,25\n", "column 1: '0,5' is not a number; decimal commas"),
    "two signs": ("1,--2\n3,4\n5,--6\n", "line 3, column 2: '--6'"),
    "hexadecimal": ("1,2\n0x10,1\n", "'0x10' is not a number"),
    "two points": ("1,2\n1.2.3,1\n", "'1.2.3' is not a number"),
    "no digits of an exponent": ("1,2\n1e,1\n", "'1e' is not a number"),
    "names of more columns": (",0,1,2,target\n0,.5,nan\n1,2,3\n",
                              "line 1 names 5 columns, but line 2 has 3"),
    "names of fewer columns": ("a,b\n1,2,3,4\n", "line 1 names 2 columns, but line 2 has 4"),
    "a table of tokens": ("token,logprob\n5,-0.5\n7,-1.5\n", "has a column 'token'"),
    "a target too large": ("a,b,target\n1,2,2\n", "the target is '2': expected a token below 2"),
    "a target with a part": ("a,b,target\n1,2,0.5\n", "the target is '0.5'"),
    "lines out of order": ("0: 1\n2: 3\n", "expected '1: ' and a number"),
    "lines that stop": ("0: 1\n1:\n", "expected '1: ' and a number"),
    "a column with a gap": ("1\n2\n3 4\n", "has more than 1 cells"),
    "only names": ("a,b,c\n", "unknown format"),
    "prose": ("hello, there\nare no logits, here\n", "unknown format"),
    "nothing but comments": ("# 1\n# 2\n", "unknown format"),
}


def check_text(checker):
    for what, (text, rows, *targets) in TABLES.items():
        content = text.encode()
        facts = f"text text f32 {len(rows[0])} -"
        checker.check(what, content, facts, rows, *targets)
        checker.check(what, content, facts, rows, *targets,
                      arguments=["", "f32", str(len(rows[0]))], streamed=(False,))
        if has_zlib(checker):
            checker.check(what + ", packed", gzip.compress(content), facts, rows, *targets)
    result = checker.run(b"nan,1\n-NaN,2\n", (), False)
    found = [line.split()[0][1:] for line in result.stdout.splitlines()[1:]]
    assert found == ["fc00000"] * 2, result
    for what, (text, fragment) in REFUSED.items():
        checker.refuse(what, text.encode(), fragment)
    checker.refuse("another width", b"1,2,3\n", "has rows of 3 numbers, expected 4",
                   ["", "f32", "4"])
    checker.refuse("a name", b"1,2\n", "tensors of format text have no names", ["logits"])
    good = TABLES["pandas"][0].encode()
    for cut in range(len(good)):
        result = checker.run(good[:cut], (), False)
        assert result.returncode in (0, 1), (cut, result)
    # A line above 64 KiB, and more lines than the index has places.
    wide = checker.rows(2, 20000)
    text = "".join(",".join(map(repr, r)) + "\n" for r in wide).encode()
    checker.check("wide", text, "text text f32 20000 -", wide)
    many = [[float(i % 512), -1.0] for i in range(140000)]
    text = "".join(f"{int(r[0])} -1\n" for r in many).encode()
    checker.check("many", text, "text text f32 2 -", many)


ARRAYS = {
    "lists": ("[[0.5, -1.25, 3], [1, 2, -0]]", TWO),
    "lists on lines": ("[\n  [0.5,\n -1.25, 3],\n  [1, 2, -0]\n]\n", TWO),
    "a list": ("[0.5, -1.25, 3]", TWO[:1]),
    "a line for each list": ("[0.5, -1.25, 3]\n[1, 2, -0.0]\n", TWO),
    "deeper": ("[[[0.5, -1.25, 3]], [[1, 2, -0]]]", TWO),
    "a byte order mark": ("\ufeff [[0.5, -1.25, 3], [1, 2, -0]]", TWO),
    "logits": ('{"model": "m", "logits": [[0.5, -1.25, 3], [1, 2, -0]]}', TWO),
    "logits on lines": ('{\n "shape": [2, 3],\n "logits": [0.5, -1.25, 3]\n}\n', TWO[:1]),
    "logits and targets": ('{"targets": [2, null], "logits": [[0.5, -1.25, 3], [1, 2, -0]]}', TWO,
                           [2, -1]),
    "logits and nested targets": ('{"logits": [[[0.5, -1.25, 3]], [[1, 2, -0]]], "targets": '
                                  '[[-100], [0]]}', TWO, [-1, 0]),
    "targets that do not fit": ('{"logits": [[0.5, -1.25, 3], [1, 2, -0]], "targets": [1]}', TWO),
    "a list of objects": ('[{"logits": [0.5, -1.25, 3]}, {"logits": [1, 2, -0]}]', TWO),
    "words": ("[[null, -Infinity, Infinity]]", [[-INF, -INF, INF]]),
    "logprobs as a list": ('{\n"logprobs": [0.5, -1.25, 3]}', TWO[:1]),
}


def entry(token, value, *others, ids=None, name="top_logprobs"):
    made = {"token": token, "logprob": value, "bytes": list(token.encode())}
    if ids is not None:
        made["id"] = ids[token]
    if others:
        made[name] = [entry(t, v, ids=ids) for t, v in others]
    return made


IDS = {"a": 7, "b": 2, " c": 11}
STEPS = [("a", -0.5, ("a", -0.5), ("b", -1.25)), ("b", -2.0, ("a", -0.25), (" c", -1.5))]
CHAT = {"id": "chatcmpl-1", "object": "chat.completion", "choices": [{
    "index": 0, "message": {"role": "assistant", "content": "ab"}, "finish_reason": "stop",
    "logprobs": {"content": [entry(*s) for s in STEPS], "refusal": None}}],
    "usage": {"completion_tokens": 2}}
COMPLETION = {"id": "cmpl-1", "choices": [{"text": "ab", "logprobs": {
    "tokens": ["a", "b"], "token_logprobs": [-0.5, -2.0], "text_offset": [0, 1],
    "top_logprobs": [{"a": -0.5, "b": -1.25}, {"a": -0.25, " c": -1.5}]}}]}
SERVER = {"content": "ab", "completion_probabilities": [entry(*s, ids=IDS) for s in STEPS]}
OLD_SERVER = {"content": "ab", "completion_probabilities": [
    {"content": "a", "probs": [{"tok_str": "a", "prob": 0.5}, {"tok_str": "b", "prob": 0.25}]},
    {"content": "b", "probs": [{"tok_str": "a", "prob": 1.0}, {"tok_str": " c", "prob": 0.0}]}]}
PROMPT = {"choices": [{"text": "x", "logprobs": None, "prompt_logprobs": [
    None,
    {"7": {"logprob": -0.5, "rank": 1, "decoded_token": "a"},
     "2": {"logprob": -1.25, "rank": 2, "decoded_token": "b"}},
    {"2": {"logprob": -2.0, "rank": 9, "decoded_token": "b"},
     "7": {"logprob": -0.25, "rank": 1, "decoded_token": "a"},
     "11": {"logprob": -1.5, "rank": 2, "decoded_token": " c"}}]}]}
RESPONSES = {"object": "response", "output": [{"type": "message", "content": [
    {"type": "output_text", "text": "ab", "logprobs": [entry(*s) for s in STEPS]}]}]}
OLLAMA = {"model": "m", "response": "ab", "done": True, "logprobs": [entry(*s) for s in STEPS]}
# Texts in the order of their appearance: a, b, " c"; or the ids.
BY_TEXT = [[-0.5, -1.25, -INF], [-0.25, -2.0, -1.5]]


def by_id(rows=BY_TEXT):
    wide = []
    for a, b, c in rows:
        row = [-INF] * 12
        row[7], row[2], row[11] = a, b, c
        wide.append(row)
    return wide


def lines(*documents):
    return "".join(json.dumps(d) + "\n" for d in documents)


def as_ids(completion):
    text = json.dumps(completion)
    for token, number in IDS.items():
        text = text.replace(f'"{token}"', f'"token_id:{number}"')
    return text


ANSWERS = {
    "chat": (json.dumps(CHAT), "json json f32 3 logprobs", BY_TEXT, [0, 1]),
    "chat on lines": (json.dumps(CHAT, indent=2), "json json f32 3 logprobs", BY_TEXT, [0, 1]),
    "a chat after blank lines": (" \n" * 200 + json.dumps(CHAT, indent=2),
                                 "json json f32 3 logprobs", BY_TEXT, [0, 1]),
    "a batch of chats": (lines({"custom_id": "1", "response": {"body": CHAT}},
                               {"custom_id": "2", "response": {"body": CHAT}}),
                         "json json f32 3 logprobs", BY_TEXT * 2, [0, 1, 0, 1]),
    "completion": (json.dumps(COMPLETION), "json json f32 3 logprobs", BY_TEXT, [0, 1]),
    "ids as texts": (as_ids(COMPLETION), "json json f32 12 logprobs", by_id(), [7, 2]),
    "responses": (json.dumps(RESPONSES), "json json f32 3 logprobs", BY_TEXT, [0, 1]),
    "ollama": (json.dumps(OLLAMA), "json json f32 3 logprobs", BY_TEXT, [0, 1]),
    "llama-server": (json.dumps(SERVER), "json json f32 12 completion_probabilities", by_id(),
                     [7, 2]),
    "vLLM": (json.dumps(PROMPT), "json json f32 12 prompt_logprobs", by_id(), [7, 2]),
    "a stream of events": ("".join(f"event: x\ndata: {json.dumps(d)}\n\n" for d in [
        {"choices": [{"delta": {"content": "a"}, "logprobs": {"content": [entry(*s)]}}]}
        for s in STEPS]) + "data: [DONE]\n", "json json f32 3 logprobs", BY_TEXT, [0, 1]),
    "escapes": (json.dumps({"choices": [{"logprobs": {"content": [
        entry("\u00e9\n", -1.0, ("\u00e9\n", -1.0), ("\U0001f600", -2.0))]}}]}).replace(
            "\\u00e9", "\u00e9", 1), "json json f32 2 logprobs", [[-1.0, -2.0]], [0]),
}

JSON_REFUSED = {
    "a ragged list": ("[[1, 2], [3]]", "non-empty lists of the same length"),
    "levels": ("[[1, 2], 3]", "nested to the same depth"),
    "an empty list": ("[]", "non-empty lists of the same length"),
    "empty lists": ("[[], []]", "non-empty lists of the same length"),
    "truncated": ("[[1, 2], [3, 4]", "expected ',' or ']'"),
    "a word": ("[[1, two]]", "a number"),
    "another width": ("[1, 2]\n[1, 2, 3]\n", "rows of the same length"),
    "nothing in it": ('{"choices": []}', "JSON without rows"),
    "no logprobs": ('{"choices": [{"message": {"content": "a"}, "logprobs": null}]}',
                    "JSON without rows"),
    "an index of safetensors": ('{"metadata": {},\n"weight_map": {"a": "b.safetensors"}}',
                                "is the index of a model in several files"),
    "two kinds": (json.dumps({"a": SERVER, "b": PROMPT}),
                  "name one with --tensor: 'prompt_logprobs', 'completion_probabilities'"),
    "ids and texts": (json.dumps({"logprobs": [entry("a", -1.0, ids=IDS), entry("b", -1.0)]}),
                      "some tokens by their ids and some by text"),
    "an entry without a token": (json.dumps({"logprobs": [entry("a", -1.0), {"logprob": -2.0}]}),
                                 "a token before this"),
    "a large id": ('{"logprobs":\n[{"id": 16777216, "token": "a", "logprob": -1}]}',
                   "an id below 2^24"),
    "columns of other lengths": ('{"choices": [{"logprobs": {"tokens": ["a", "b"], '
                                 '"token_logprobs": [-1], "top_logprobs": [null, null]}}]}',
                                 "the same number of elements"),
    "deep": ("[" * 70 + "]" * 70, "at most 64 levels"),
    "deep objects": ('{"a":\n' * 70 + "1" + "}" * 70, "at most 64 levels"),
    "a target too large": ('{"logits": [[1, 2]], "targets": [2]}', "a target below"),
}


def check_json(checker):
    for what, (text, rows, *targets) in ARRAYS.items():
        content = text.encode()
        facts = f"json json f32 {len(rows[0])} -"
        checker.check(what, content, facts, rows, *targets)
        if has_zlib(checker):
            checker.check(what + ", packed", gzip.compress(content), facts, rows, *targets)
    for what, (text, facts, rows, targets) in ANSWERS.items():
        checker.check(what, text.encode(), facts, rows, targets)
    old = json.dumps(OLD_SERVER).encode()
    logs = [[f32(math.log(0.5)), f32(math.log(0.25)), -INF], [0.0, -INF, -INF]]
    checker.check("an old llama-server", old, "json json f32 3 completion_probabilities", logs,
                  [0, 1])
    checker.check("a wider vocabulary", json.dumps(SERVER).encode(),
                  "json json f32 16 completion_probabilities",
                  [row + [-INF] * 4 for row in by_id()], [7, 2], arguments=["", "f32", "16"])
    checker.refuse("lists, then a key without a value",
                   b'{"logprobs":{"tokens":["a"],"top_logprobs":[{"a":-1}],"x"}',
                   "byte 57: expected ':', found '}'")
    checker.refuse("a narrow vocabulary", json.dumps(SERVER).encode(), "ids up to 11, which do not",
                   ["", "f32", "11"])
    checker.check("one of two kinds", JSON_REFUSED["two kinds"][0].encode(),
                  "json json f32 12 prompt_logprobs", by_id(), [7, 2],
                  arguments=["prompt_logprobs"])
    for what, (text, fragment) in JSON_REFUSED.items():
        checker.refuse(what, text.encode(), fragment, streamed=(False, True))
    for text in (ARRAYS["logits and targets"][0], json.dumps(COMPLETION), json.dumps(PROMPT)):
        content = text.encode()
        for cut in range(len(content)):
            result = checker.run(content[:cut], (), False)
            assert result.returncode == 1 and result.stderr, (content[:cut], result)


def main():
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 20261129
    with tempfile.TemporaryDirectory() as folder, Checker(sys.argv[1], seed, folder) as checker:
        check_text(checker)
        check_json(checker)
        print(f"{checker.n_cases} cases")


if __name__ == "__main__":
    main()
