#!/usr/bin/env python3
"""Dumps in the formats of other programs than NumPy, written here from their descriptions: .npz
with Python's own ZIP writer, llama.cpp's KL-divergence base, JSON lines.

Why: these files come from elsewhere, so what counts is that every value, row and target is the one
that was stored, and that a file which is cut, damaged or not what it says is refused with the
place.

    test_dump_formats.py DUMP_ROWS [SEED]

DUMP_ROWS is the program built from dump_rows.c; SEED chooses the values and is printed when a case
fails.
"""
import io
import json
import random
import struct
import subprocess
import sys
import tempfile
import zipfile

sys.dont_write_bytecode = True
from dump_program import DumpProgram  # noqa: E402


def f32(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


def bits(values):
    return " ".join(f"{b:08x}" for b in struct.unpack(f"<{len(values)}I",
                                                      struct.pack(f"<{len(values)}f", *values)))


def npy(rows, descr="<f4", code="f", shape=None):
    flat = [v for row in rows for v in row]
    shape = shape or (len(rows), len(rows[0]))
    text = repr({"descr": descr, "fortran_order": False, "shape": tuple(shape)}) + "\n"
    order = ">" if descr[0] == ">" else "<"
    return (b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() +
            struct.pack(f"{order}{len(flat)}{code}", *flat))


def npz(method, force_zip64=False, comment=b"", **arrays):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in arrays.items():
            with archive.open(name + ".npy", "w", force_zip64=force_zip64) as member:
                member.write(content)
        archive.comment = comment
    return out.getvalue()


def llama_kl(n_ctx, tokens, rows, n_vocab):
    """rows: (scale, minimum, codes)."""
    out = b"_logits_" + struct.pack("<iii", n_ctx, n_vocab, len(tokens) // n_ctx)
    out += struct.pack(f"<{len(tokens)}i", *tokens)
    for scale, minimum, codes in rows:
        codes = list(codes) + [0xABCD] * (n_vocab % 2)
        out += struct.pack(f"<ff{len(codes)}H", scale, minimum, *codes)
    return out


class Checker(DumpProgram):
    def __init__(self, program, seed, folder):
        super().__init__(program, folder)
        self.seed, self.random = seed, random.Random(seed)

    def check(self, what, content, facts, rows, targets=None, arguments=(), streamed=(False, True)):
        expected = [facts]
        for i, row in enumerate(rows):
            expected.append(bits(row))
            if targets is not None:
                expected.append(f"target {targets[i]}")
        for stream in streamed:
            result = self.run(content, arguments, stream)
            if result.returncode != 0 or result.stdout.splitlines() != expected:
                sys.exit(f"seed {self.seed}: {what}, streamed {stream}: "
                         f"{result.stdout.splitlines()[:4]} instead of {expected[:4]} "
                         f"{result.stderr}")

    def refuse(self, what, content, fragment, arguments=(), streamed=(False,)):
        for stream in streamed:
            result = self.run(content, arguments, stream)
            if result.returncode != 1 or fragment not in result.stderr:
                sys.exit(f"seed {self.seed}: {what}, streamed {stream}: {result.stderr!r} instead "
                         f"of {fragment!r}")

    def rows(self, n_rows, n_vocab):
        return [[f32(self.random.gauss(0, 5)) for _ in range(n_vocab)] for _ in range(n_rows)]


def has_zlib(checker):
    content = npz(zipfile.ZIP_DEFLATED, a=npy([[1.0]]))
    return "no zlib" not in checker.run(content, (), False).stderr


def check_npz(checker):
    rows, other = checker.rows(7, 1000), checker.rows(2, 3)
    half = struct.unpack("<3e", struct.pack("<3e", 1, -2, 0.5))
    methods = [zipfile.ZIP_STORED] + [zipfile.ZIP_DEFLATED] * has_zlib(checker)
    for method in methods:
        for zip64 in (False, True):
            what = f"npz method {method} zip64 {zip64}"
            content = npz(method, zip64, b"a comment" * zip64, ids=npy([[1, 2]], "<i4", "i"),
                          logits=npy(rows), bias=npy([half], "<f2", "e", (3,)))
            checker.check(what, content, "npz <f4 f32 1000 logits", rows, streamed=(False,))
            checker.check(what, content, "npz <f4 f32 1000 logits", rows, arguments=["logits"],
                          streamed=(False,))
            checker.refuse(what, content, "cannot be read from a stream", streamed=(True,))
            checker.refuse(what, content, "did you mean 'logits'?", ["logit"])
            checker.refuse(what, content, "has no array 'q'; it has 'ids', 'logits', 'bias'", ["q"])
            checker.refuse(what, content, "are not logits", ["ids"])
        wide = npz(method, a=npy(other, ">f8", "d"))
        checker.check("npz of >f8", wide, "npz >f8 f32 3 a", other, streamed=(False,))
        two = npz(method, a=npy(other), b=npy(rows))
        checker.refuse("two arrays", two, "has 2 arrays that may be logits; name one with "
                       "--tensor: 'a', 'b'")
        checker.check("one of two", two, "npz <f4 f32 3 a", other, arguments=["a"],
                      streamed=(False,))
        checker.refuse("no array", npz(method, ids=npy([[1]], "<i8", "q")),
                       "has no array of floats with an axis; it has 'ids'")
        long = npz(method, a=npy(rows, shape=(7, 999)))
        checker.refuse("an array with too many bytes", long, "oversized")
        checker.refuse("an array with too few bytes", npz(method, a=npy(rows, shape=(8, 1000))),
                       "truncated")
        damaged = bytearray(npz(method, a=npy(rows)))
        damaged[9000] ^= 0x10
        checker.refuse("a changed bit", bytes(damaged), "damaged")
        for cut in (1, 30, 9000):
            checker.refuse(f"cut by {cut}", npz(method, a=npy(rows))[:-cut],
                           "truncated: no ZIP end record")
    lzma = npz(zipfile.ZIP_LZMA, a=npy(other))
    checker.refuse("another method", lzma, "compressed by method 14")
    checker.refuse("no members", npz(zipfile.ZIP_STORED),
                   "has no array of floats with an axis; it has none")


def patched(content, at, format_code, value):
    out = bytearray(content)
    struct.pack_into(format_code, out, at if at >= 0 else len(out) + at, value)
    return bytes(out)


def check_npz_lies(checker):
    """Numbers of the ZIP records that do not fit the file."""
    good = npz(zipfile.ZIP_STORED, a=npy([[1.0, 2.0]]))
    entry = good.index(b"PK\x01\x02")
    lies = [
        ("directory beyond the end", -6, "<I", 0x7FFFFFFF, "does not end before its end record"),
        ("directory size", -10, "<I", 0x7FFFFFFF, "does not end before its end record"),
        ("more members", -12, "<H", 7, "with 7 members"),
        ("an entry elsewhere", -6, "<I", 3, "no whole ZIP directory entry at byte 3"),
        ("packed size", entry + 20, "<I", 0x7FFFFFFF, "do not end before the ZIP directory"),
        ("size", entry + 24, "<I", 5, "unpacks to more than the 5 bytes"),
        ("zip64 size without the block", entry + 24, "<I", 0xFFFFFFFF, "64-bit sizes are missing"),
        ("local header", entry + 42, "<I", 0x7FFFFFFF, "no local ZIP header at byte 2147483647"),
        ("encrypted", entry + 8, "<H", 1, "is encrypted"),
        ("name length", entry + 28, "<H", 0xFFFF, "no whole ZIP directory entry"),
        ("checksum", entry + 16, "<I", 1, "expected 00000001"),
    ]
    for what, at, code, value, fragment in lies:
        checker.refuse(what, patched(good, at, code, value), fragment)


def zip64(content, fields=(), other_block=b"", end=True, **values):
    """A ZIP file of one member with 64-bit numbers in its directory entry, for these fields, and,
    if end, in an end record of its own. values: what to write instead of the true numbers."""
    entry, last = content.index(b"PK\x01\x02"), content.index(b"PK\x05\x06")
    head = bytearray(content[entry:entry + 46])
    name_length = struct.unpack_from("<H", head, 28)[0]
    block = b""
    for field, at in (("size", 24), ("packed", 20), ("local", 42)):
        if field in fields:
            true = struct.unpack_from("<I", head, at)[0]
            block += struct.pack("<Q", values.get(field, true))
            struct.pack_into("<I", head, at, 0xFFFFFFFF)
    block = struct.pack("<HH", 1, values.get("block", len(block))) + block if fields else b""
    struct.pack_into("<H", head, 30, len(other_block + block))
    directory = bytes(head) + content[entry + 46:entry + 46 + name_length] + other_block + block
    out = content[:entry] + directory
    if not end:
        return out + struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 1, 1, len(directory), entry, 0)
    out += struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 45, 45, 0, 0, 1, values.get("members", 1),
                       values.get("bytes", len(directory)), values.get("offset", entry))
    at = values.get("locator", entry + len(directory))
    out += struct.pack("<IIQI", 0x07064B50, 0, at, 1)
    return out + struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF,
                             len(content) - last - 22)


def check_zip64(checker):
    """Numbers of 64 bits wherever they may stand, and those that cannot be right."""
    rows = checker.rows(2, 3)
    good = npz(zipfile.ZIP_STORED, a=npy(rows))
    others = (b"", struct.pack("<HH5s", 0x5455, 5, b"times"))
    names = ("size", "packed", "local")
    for chosen in range(8):
        fields = [name for i, name in enumerate(names) if chosen >> i & 1]
        for block in others:
            for end in (False, True):
                checker.check(f"zip64 {fields} {end}", zip64(good, fields, block, end),
                              "npz <f4 f32 3 a", rows, streamed=(False,))
    for huge in (2**31, 2**32 - 1, 2**63, 2**64 - 1):
        for what, fragment in (("locator", "which is not an end record"),
                               ("members", "members: expected 46 bytes or more each"),
                               ("bytes", "does not end before its end record"),
                               ("offset", "does not end before its end record")):
            checker.refuse(f"zip64 {what} {huge}", zip64(good, **{what: huge}), fragment)
        for what, fragment in (("packed", "do not end before the ZIP directory"),
                               ("local", "no local ZIP header at byte")):
            checker.refuse(f"zip64 {what} {huge}", zip64(good, [what], **{what: huge}), fragment)
    checker.refuse("zip64 size", zip64(good, ["size"], size=2**63),
                   "unpacks to less than the 9223372036854775808 bytes")
    for length in (0, 7, 0xFFFF):
        checker.refuse(f"zip64 block of {length}", zip64(good, ["size"], block=length),
                       "64-bit sizes are missing")
    checker.refuse("zip64 without a number", zip64(good, ["size", "local"], block=8),
                   "64-bit sizes are missing")


def check_llama_kl(checker):
    for n_ctx, n_vocab, n_chunk in [(3, 1, 1), (4, 5, 2), (8, 6, 3), (9, 301, 2)]:
        pick = checker.random
        tokens = [pick.randrange(n_vocab) for _ in range(n_ctx * n_chunk)]
        n = n_ctx - 1 - n_ctx // 2
        rows, expected, targets = [], [], []
        for chunk in range(n_chunk):
            for r in range(n):
                scale, minimum = f32(pick.random() / 4096), f32(-pick.random() * 20)
                codes = [pick.randrange(65536) for _ in range(n_vocab)]
                rows.append((scale, minimum, codes))
                expected.append([f32(minimum + scale * c) for c in codes])
                targets.append(tokens[chunk * n_ctx + n_ctx // 2 + r + 1])
        content = llama_kl(n_ctx, tokens, rows, n_vocab)
        checker.check(f"n_ctx {n_ctx}", content, f"llama-kl u16 f32 {n_vocab} -", expected, targets)
        both = (False, True)
        checker.refuse("cut", content[:-1], "truncated", streamed=both)
        checker.refuse("cut in the tokens", content[:22], "truncated", streamed=both)
        checker.refuse("longer", content + b"x", "oversized", streamed=both)
        checker.refuse("n_ctx", patched(content, 8, "<i", 2), "n_ctx 2 at byte 8", streamed=both)
        checker.refuse("n_ctx < 0", patched(content, 8, "<i", -5), "n_ctx -5", streamed=both)
        checker.refuse("n_vocab", patched(content, 12, "<i", 0), "n_vocab 0 at byte 12")
        checker.refuse("n_vocab", patched(content, 12, "<i", 1 << 25), "n_vocab 33554432")
        checker.refuse("n_chunk", patched(content, 16, "<i", -1), "n_chunk -1 at byte 16")
        huge = patched(patched(content, 8, "<i", 2**31 - 1), 16, "<i", 2**31 - 1)
        checker.refuse("all is huge", huge, "truncated", streamed=both)
        last = 20 + 4 * (n_ctx * n_chunk - 1)
        checker.refuse("a token outside", patched(content, last, "<i", n_vocab),
                       f"token {n_vocab} at byte {last}", streamed=both)
        at = 20 + 4 * n_ctx * n_chunk
        checker.refuse("scale", patched(content, at, "<f", float("nan")), "row 0 has the scale nan",
                       streamed=both)
    checker.refuse("the magic alone", b"_logits_",
                   "expected a header of 20 bytes: _logits_ and three numbers",
                   streamed=(False, True))


def check_json_lines(checker):
    pick, both = checker.random, (False, True)
    rows = checker.rows(6, 40)
    rows[2][7], rows[3][0], rows[4][1] = float("-inf"), -0.0, 1e-45
    targets = [pick.randrange(40) for _ in rows]
    text = "".join(json.dumps({"id": i, "logits": row, "target": t}) + "\n"
                   for i, (row, t) in enumerate(zip(rows, targets)))
    checker.check("json lines", text.encode(), "jsonl json f32 40 -", rows, targets)
    checker.check("no last newline", text[:-1].encode(), "jsonl json f32 40 -", rows, targets)
    spaced = "\n \r\n".join(" " + line for line in text.splitlines())
    checker.check("blank lines", spaced.replace("-Infinity", "null").encode(),
                  "jsonl json f32 40 -", rows, targets)
    sparse = [{i: f32(pick.gauss(-5, 3)) for i in pick.sample(range(50), pick.randrange(1, 20))}
              for _ in range(5)]
    text = "".join(json.dumps({"logprobs": row, "top": [{"a": [1, "\"}"]}, None, True]}) + "\n"
                   for row in sparse)
    dense = [[row.get(i, float("-inf")) for i in range(50)] for row in sparse]
    size = ["", "f32", "50"]
    checker.check("sparse", text.encode(), "jsonl json f32 50 -", dense, arguments=size)
    checker.refuse("sparse, no size", text.encode(), "the vocabulary size is not in the file",
                   streamed=both)
    many = [[f32(i)] for i in range(3000)]
    checker.check("many lines", "".join(f'{{"logits":[{i}]}}\n' for i in range(3000)).encode(),
                  "jsonl json f32 1 -", many)


def check_json_refused(checker):
    good = '{"logits": [1, 2]}\n'
    refused = [
        ('{"logits": [1, 2, 3]}', "row 1 has more than 2 values, expected 2"),
        ('{"logits": [1]}', "row 1 has 1 values, expected 2"),
        ('{"logits": [1, 2]', "row 1, column 18: expected ',' or '}', found the end of the line"),
        ('{"logits": [1, 2]} x', "row 1, column 20: expected the end of the line, found 'x'"),
        ('{"logits": [1, 02]}', "row 1, column 16: expected a number, found '0'"),
        ('{"logits": [1, .5]}', "expected a number, found '.'"),
        ('{"logits": [1, 5.]}', "expected a digit after the point"),
        ('{"logits": [1, 5e]}', "expected a digit of the exponent"),
        ('{"logits": [1, "2"]}', "expected a number, found '\"'"),
        ('{"logits": [1, 2,]}', "expected a number, found ']'"),
        ('{"logits": []}', "expected a value for each token"),
        ('{"logits": 5}', "expected '[' or '{'"),
        ('{"logits": [1, 2], "logprobs": [1, 2]}', "expected only one \"logits\" or \"logprobs\""),
        ('{"logits": [1, 2], "target": 2}', "the target is 2: expected a token from 0 to 1"),
        ('{"logits": [1, 2], "target": 0.5}', "the target is 0.5"),
        ('{"logits": [1, 2], "target": 0, "target": 0}', "expected only one \"target\""),
        ('{"target": 1}', "has neither \"logits\" nor \"logprobs\""),
        ("{}", "has neither"),
        ("[1, 2]", "expected '{' and a row on one line"),
        ('{"logprobs": {"2": 0.5}}', "\"2\" is not a token: expected an id from 0 to 1"),
        ('{"logprobs": {"the": 0.5}}', "\"the\" is not a token"),
        ('{"logprobs": {"1": 0.5, "01": 2}}', "token 1 is given twice"),
        ('{"logprobs": {}}', "expected a value for some token"),
        ('{"a\\', "expected a closing quote"),
        ('{"x": ' + "[" * 70 + "]" * 70 + ', "logits": [1, 2]}', "at most 64 levels of nesting"),
        ('{"logits": [1, ' + "1" * 200 + "]}", "a number of at most 127 characters"),
        ('{"logits": [1,\n2]}', "expected a number, found the end of the line"),
    ]
    for line, fragment in refused:
        checker.refuse(line, (good + line + "\n").encode(), fragment, streamed=(False, True))
    checker.refuse("blank", b"{", "expected a string", streamed=(False, True))


def check_system(checker):
    folder = str(checker.path.parent)
    for path, fragment in [(folder, "is a directory"), ("/nonexistent", "opened")]:
        result = subprocess.run([*checker.command, path], capture_output=True, encoding="utf-8")
        if result.returncode != 1 or fragment not in result.stderr:
            sys.exit(f"{path}: {result.stderr!r} instead of {fragment!r}")
    checker.refuse("nothing", b"", "is empty", streamed=(False, True))


def main():
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 20240303
    with tempfile.TemporaryDirectory() as folder, Checker(sys.argv[1], seed, folder) as checker:
        check_npz(checker)
        check_npz_lies(checker)
        check_zip64(checker)
        check_llama_kl(checker)
        check_json_lines(checker)
        check_json_refused(checker)
        check_system(checker)
    print(f"{checker.n_cases} dumps are read as they were written, or refused as they should be")


if __name__ == "__main__":
    main()
