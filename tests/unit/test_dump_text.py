#!/usr/bin/env python3
"""Dumps as text: CSV, TSV and columns of numbers, with all that spreadsheets and scripts put around
them, and JSON in all its forms.

Why: a header, an index or a decimal comma that is taken for a logit gives rows that look right. So
each table has the rows and targets that a reader of the text expects, written here by hand.

    test_dump_text.py DUMP_ROWS [SEED]
"""
import gzip
import sys
import tempfile

sys.dont_write_bytecode = True
from test_dump_formats import Checker, has_zlib  # noqa: E402

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
    checker.refuse("a name", b"1,2\n", "the tensors of format text have no names", ["logits"])
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


def main():
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 20261129
    with tempfile.TemporaryDirectory() as folder:
        checker = Checker(sys.argv[1], seed, folder)
        check_text(checker)
        print(f"{checker.n_cases} cases")


if __name__ == "__main__":
    main()
