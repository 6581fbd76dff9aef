#!/usr/bin/env python3
"""Dumps as other programs leave them: files of torch.save(), steps in many arrays, targets next to
the logits, bfloat16 in integers, text, JSON and gzip.

Why: whoever brings such a file cannot see how it was read. So every value, row and target must be
the one that was stored, and what cannot be read must be refused with its name and what to do.

    test_dump_foreign.py DUMP_ROWS [SEED]
"""
import gzip
import io
import itertools
import json
import os
import struct
import sys
import tempfile
import zipfile

sys.dont_write_bytecode = True
from test_dump_formats import Checker, has_zlib, llama_kl, npy, npz  # noqa: E402


def name_of(text):
    return b"X" + struct.pack("<I", len(text)) + text.encode()


def integer(value):
    if value < 256:
        return b"K" + bytes([value])
    return b"J" + struct.pack("<i", value) if value < 2**31 else \
        b"\x8a\x08" + struct.pack("<q", value)


def tuple_of(*items):
    if len(items) <= 3:
        return b"".join(items) + [b")", b"\x85", b"\x86", b"\x87"][len(items)]
    return b"(" + b"".join(items) + b"t"


def strides_of(shape):
    strides, step = [], 1
    for size in reversed(shape):
        strides.insert(0, step)
        step *= size
    return strides


class Torch:
    """Writes what torch.save() writes, opcode by opcode, with the same memory of every object."""

    def __init__(self, method=zipfile.ZIP_STORED, order="little", folder="archive"):
        self.storages, self.n_memo = [], 0
        self.method, self.order, self.folder = method, order, folder

    def memo(self):
        self.n_memo += 1
        return b"q" + bytes([self.n_memo - 1]) if self.n_memo < 257 else \
            b"r" + struct.pack("<I", self.n_memo - 1)

    def storage(self, data):
        self.storages.append(data)
        return len(self.storages) - 1

    def tensor(self, shape, data, kind="FloatStorage", offset=0, strides=None, storage=None):
        key = self.storage(data) if storage is None else storage
        strides = strides_of(shape) if strides is None else strides
        return (b"ctorch._utils\n_rebuild_tensor_v2\n" + self.memo() + b"(" +
                b"(" + name_of("storage") + self.memo() + b"ctorch\n" + kind.encode() + b"\n" +
                self.memo() + name_of(str(key)) + self.memo() + name_of("cpu") + self.memo() +
                integer(7) + b"t" + self.memo() + b"Q" + integer(offset) +
                tuple_of(*map(integer, shape)) + self.memo() +
                tuple_of(*map(integer, strides)) + self.memo() + b"\x89" +
                b"ccollections\nOrderedDict\n" + self.memo() + b")R" + self.memo() + b"t" +
                self.memo() + b"R" + self.memo())

    def dict(self, **items):
        return b"}" + self.memo() + b"(" + b"".join(
            name_of(k) + self.memo() + v for k, v in items.items()) + b"u"

    def list(self, *items):
        return b"]" + self.memo() + b"(" + b"".join(items) + b"e"

    def file(self, program):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", self.method) as archive:
            archive.writestr(f"{self.folder}/data.pkl", b"\x80\x02" + program + b".")
            archive.writestr(f"{self.folder}/byteorder", self.order)
            for i, data in enumerate(self.storages):
                archive.writestr(f"{self.folder}/data/{i}", data)
            archive.writestr(f"{self.folder}/version", "3\n")
        return out.getvalue()


def floats(rows, code="<f"):
    return b"".join(struct.pack(code[0] + str(len(r)) + code[1], *r) for r in rows)


def bf16(rows):
    return [struct.unpack("<I", struct.pack("<f", v))[0] >> 16 for r in rows for v in r]


def check_torch(checker):
    rows = checker.rows(6, 5)
    for method in [zipfile.ZIP_STORED] + [zipfile.ZIP_DEFLATED] * has_zlib(checker):
        t = Torch(method)
        bare = t.file(t.tensor((6, 5), floats(rows)))
        checker.check("a tensor", bare, "torch float32 f32 5 tensor", rows, streamed=(False,))
        checker.refuse("a tensor from a pipe", bare, "from a stream", streamed=(True,))
        t = Torch(method, folder="other name")
        named = t.dict(ids=t.tensor((6,), struct.pack("<6q", 0, 1, 2, 3, 4, 0), "LongStorage"),
                       hidden=t.tensor((6, 5), floats(rows[::-1])),
                       logits=t.tensor((3, 2, 5), floats(rows)))
        named = t.file(named)
        checker.check("logits among others", named, "torch float32 f32 5 logits", rows,
                      streamed=(False,))
        checker.check("another one", named, "torch float32 f32 5 hidden", rows[::-1],
                      arguments=["hidden"], streamed=(False,))
        checker.refuse("integers", named, "values of int64 are not logits", ["ids"])
        checker.refuse("no such tensor", named, "did you mean 'hidden'?", ["hiden"])
        t = Torch(method)
        both = t.file(t.dict(logits=t.tensor((6, 5), floats(rows)),
                             targets=t.tensor((6, 1), struct.pack("<6q", 4, 3, -100, 1, 0, 2),
                                              "LongStorage")))
        checker.check("with targets", both, "torch float32 f32 5 logits", rows,
                      [4, 3, -1, 1, 0, 2], streamed=(False,))
        t = Torch(method)
        scores = t.file(t.dict(
            sequences=t.tensor((1, 6), struct.pack("<6q", *range(6)), "LongStorage"),
            hidden=t.tensor((2, 2), floats([[1, 2, 3, 4]])),
            scores=t.list(*(t.tensor((1, 5), floats([r])) for r in rows))))
        checker.check("steps in a list", scores, "torch float32 f32 5 scores.0 to scores.5", rows,
                      streamed=(False,))
    t = Torch()
    many = checker.rows(12, 3)
    steps = t.file(t.list(*(t.tensor((3,), floats([r])) for r in many)))
    checker.check("twelve steps", steps, "torch float32 f32 3 0 to 11", many, streamed=(False,))
    for kind, code, name in [("DoubleStorage", "<d", "float64"), ("HalfStorage", "<e", "float16")]:
        small = [[0.5, -2.0, 3.0]]
        t = Torch()
        content = t.file(t.tensor((1, 3), floats(small, code), kind))
        result = checker.run(content, (), False)
        assert result.stdout.startswith(f"torch {name} "), (result.stdout, result.stderr)
    t = Torch()
    codes = struct.pack(f"<{5 * 6}H", *bf16(rows))
    result = checker.run(t.file(t.tensor((6, 5), codes, "BFloat16Storage")), (), False)
    expected = [" ".join(f"{c:04x}" for c in bf16([r])) for r in rows]
    assert result.stdout.splitlines()[1:] == expected, (result.stdout, result.stderr)
    t = Torch(order="big")
    checker.check("big-endian", t.file(t.tensor((6, 5), floats(rows, ">f"))),
                  "torch float32 f32 5 tensor", rows, streamed=(False,))
    # One storage, of which two tensors are parts; and a parameter in an OrderedDict.
    t = Torch()
    whole = t.storage(floats(rows))
    shared = t.dict(logits=t.tensor((2, 5), b"", offset=20, storage=whole),
                    b=t.tensor((6, 5), b"", storage=whole))
    checker.check("a part", t.file(shared), "torch float32 f32 5 logits", rows[4:],
                  streamed=(False,))
    t = Torch()
    ordered = (b"ccollections\nOrderedDict\n" + t.memo() + b")R" + t.memo() + b"(" +
               name_of("weight") + t.memo() + b"ctorch._utils\n_rebuild_parameter\n" + t.memo() +
               t.tensor((6, 5), floats(rows)) + b"\x88" + b"ccollections\nOrderedDict\n" +
               b")R" + b"\x87R" + b"u" + b"}" + name_of("_metadata") + b"}sb")
    checker.check("a parameter", t.file(ordered), "torch float32 f32 5 weight", rows,
                  streamed=(False,))
    # Protocol 4: other opcodes for the same.
    t = Torch()
    key = t.storage(floats(rows))

    def short(text):
        return b"\x8c" + bytes([len(text)]) + text.encode() + b"\x94"
    program = (b"\x95" + struct.pack("<Q", 99) + short("torch._utils") +
               short("_rebuild_tensor_v2") + b"\x93\x94" + b"((" + short("storage") +
               short("torch") + short("FloatStorage") + b"\x93\x94" + short(str(key)) +
               short("cpu") + b"K\x1et\x94Q\x8a\x01\x00K\x06K\x05\x86\x94K\x05K\x01\x86\x94\x89" +
               short("collections") + short("OrderedDict") + b"\x93\x94)R\x94t\x94R\x94")
    checker.check("protocol 4", t.file(program), "torch float32 f32 5 tensor", rows,
                  streamed=(False,))


def check_torch_refused(checker):
    rows = checker.rows(4, 3)
    data = floats(rows)

    def file(program_of, **options):
        t = Torch(**options)
        return t.file(program_of(t))
    refused = [
        ("transposed", lambda t: t.tensor((3, 4), data, strides=(1, 3)), "is not contiguous"),
        ("expanded", lambda t: t.tensor((4, 3), data, strides=(0, 1)), "is not contiguous"),
        ("too large", lambda t: t.tensor((5, 3), data), "needs 60 bytes"),
        ("past the end", lambda t: t.tensor((4, 3), data, offset=1), "from byte 4 of its storage"),
        ("huge", lambda t: t.tensor((2**31, 2**30, 4), data), "needs"),
        ("no storage", lambda t: t.tensor((4, 3), data, storage=9), "data/9, which is missing"),
        ("a key that is a path", lambda t: t.tensor((4, 3), data, storage="../data.pkl"),
         "which is missing"),
        ("negative", lambda t: t.tensor((4, 3), data).replace(b"K\x04K\x03\x86",
                                                             b"J\xff\xff\xff\xffK\x03\x86"),
         "impossible sizes"),
        ("a call", lambda t: b"cos\nsystem\n" + name_of("true") + b"\x85R", "os.system"),
        ("a class", lambda t: b"cmodel\nNet\n)\x81}b", "an object of model.Net"),
        ("NumPy", lambda t: b"cnumpy._core.multiarray\n_reconstruct\n" + b"K\x01\x85R",
         "numpy._core.multiarray._reconstruct"),
        ("a callable from a text", lambda t: name_of("os") + b"K\x01\x85R", "not a function"),
        ("nothing", lambda t: b"", "ends with more or less"),
        ("two objects", lambda t: b"NN", "ends with more or less"),
        ("a mark", lambda t: b"(", "ends with more or less"),
        ("an empty place", lambda t: b"h\x07", "is empty"),
        ("a far place", lambda t: b"Nr\xff\xff\xff\xff", "too far"),
        ("memory of nothing", lambda t: b"q\x00", "nothing to remember"),
        ("a tuple of nothing", lambda t: b"\x86", "more objects than there are"),
        ("elements of nothing", lambda t: b"(e", "elements of"),
        ("pairs", lambda t: b"}(K\x01u", "elements without"),
        ("an integer that is long", lambda t: b"\x8a\xff", "more than 8 bytes"),
        ("a text that is long", lambda t: b"X\xff\xff\xff\xff", "truncated"),
        ("an old operation", lambda t: b"I5\n", "no file of plain tensors"),
        ("protocol 9", lambda t: b"\x80\x09N", "a protocol above 5"),
        ("a list in itself", lambda t: b"]q\x00h\x00a", "16 levels"),
        ("deep", lambda t: b"]" * 40 + b"a" * 39, "16 levels"),
        ("nothing in lists", lambda t: b"]" * 9 + b"a" * 8, "no tensor of floats"),
    ]
    for what, program, fragment in refused:
        checker.refuse(what, file(program), fragment)
    # Each list names the one before twice: 2^14 visits, in 200 places.
    bomb = b"]q\x00" + b"".join(b"](h" + bytes([i]) + b"h" + bytes([i]) + b"eq" + bytes([i + 1])
                                for i in range(14))
    checker.refuse("a bomb", Torch().file(b"(" + bomb + b"h\x0e" * 200 + b"t"), "16 levels")
    good = file(lambda t: t.dict(logits=t.tensor((4, 3), data)))
    for cut in range(len(good)):
        result = checker.run(good[:cut], (), False)
        assert result.returncode == 1 and result.stderr, (cut, result)
    pickled = Torch()
    program = pickled.dict(logits=pickled.tensor((4, 3), data))
    for cut in range(len(program)):
        result = checker.run(pickled.file(program[:cut]), (), False)
        assert result.returncode == 1 and result.stderr, (cut, result)
    for at in range(0, len(program)):
        for bit in (0x01, 0x20):
            changed = bytearray(program)
            changed[at] ^= bit
            result = checker.run(pickled.file(bytes(changed)), (), False)
            assert result.returncode in (0, 1), (at, bit, result)


def check_steps(checker):
    """arr_0, arr_1, ... of one shape are rows of consecutive steps."""
    rows = checker.rows(24, 4)
    methods = [zipfile.ZIP_STORED] + [zipfile.ZIP_DEFLATED] * has_zlib(checker)
    for method in methods:
        # In an order that is not that of the numbers.
        shuffled = {f"arr_{i}": npy([rows[i]], shape=(4,)) for i in sorted(range(12), key=str)}
        checker.check("flat steps", npz(method, **shuffled), "npz <f4 f32 4 arr_0 to arr_11",
                      rows[:12], streamed=(False,))
        pairs = {f"s.{i + 1}": npy(rows[2 * i:2 * i + 2]) for i in range(12)}
        checker.check("pairs of rows", npz(method, **pairs), "npz <f4 f32 4 s.1 to s.12", rows,
                      streamed=(False,))
        with_targets = npz(method, targets=npy([[1, 3, -1]], "<i2", "h", (3,)),
                           **{f"arr_{i}": npy([rows[i]], shape=(1, 4)) for i in range(3)})
        checker.check("steps with targets", with_targets, "npz <f4 f32 4 arr_0 to arr_2", rows[:3],
                      [1, 3, -1], streamed=(False,))
        checker.check("targets that do not fit", npz(method, logits=npy(rows),
                                                     targets=npy([[1, 2]], "<i4", "i", (2,))),
                      "npz <f4 f32 4 logits", rows, streamed=(False,))
        checker.refuse("targets outside", npz(method, logits=npy(rows[:2]),
                                              targets=npy([[1, 4]], "<i4", "i", (2,))),
                       "target 1 of 'targets' is 4: expected a token below 4")
        checker.check("a stem", npz(method, x=npy(rows[:2]), **pairs), "npz <f4 f32 4 s.1 to s.12",
                      rows, arguments=["s"], streamed=(False,))
        for what, arrays in [("a gap", {"a0": rows[:1], "a2": rows[1:2]}),
                             ("from 2", {"a2": rows[:1], "a3": rows[1:2]}),
                             ("twice", {"a1": rows[:1], "a01": rows[1:2]}),
                             ("shapes", {"a0": rows[:1], "a1": rows[1:3]}),
                             ("stems", {"a0": rows[:1], "b1": rows[1:2]})]:
            checker.refuse(what, npz(method, **{k: npy(v) for k, v in arrays.items()}),
                           "name one with --tensor")
        checker.refuse("types", npz(method, a0=npy(rows[:1]), a1=npy(rows[:1], "<f8", "d")),
                       "name one with --tensor")
    mixed = io.BytesIO()
    with zipfile.ZipFile(mixed, "w") as archive:
        archive.writestr("a0.npy", npy(rows[:1]))
        archive.writestr("a1.npy", npy(rows[1:2]), zipfile.ZIP_DEFLATED)
    if has_zlib(checker):
        checker.refuse("some packed", mixed.getvalue(), "logits are compressed and some are not")
    header = {f"scores.{i}": {"dtype": "F32", "shape": [1, 4],
                              "data_offsets": [16 * i, 16 * i + 16]} for i in range(11)}
    for code, dtype in zip("bhiqBHIQ", ("I8", "I16", "I32", "I64", "U8", "U16", "U32", "U64")):
        last = 100 if code.isupper() else -100
        targets = struct.pack(f"<11{code}", *[3, 0, 1, 2] * 2, 3, 0, last)
        header["targets"] = {"dtype": dtype, "shape": [11],
                             "data_offsets": [176, 176 + len(targets)]}
        text = json.dumps(header).encode()
        content = struct.pack("<Q", len(text)) + text + floats(rows[:11]) + targets
        if code.isupper():
            checker.refuse(dtype, content, "target 10 of 'targets' is 100")
        else:
            checker.check(dtype, content, "safetensors F32 f32 4 scores.0 to scores.10", rows[:11],
                          [3, 0, 1, 2] * 2 + [3, 0, -1], streamed=(False,))


def check_bfloat16(checker):
    rows = checker.rows(3, 4)
    codes = bf16(rows)
    expected = [" ".join(f"{c:04x}" for c in bf16([r])) for r in rows]
    array = npy([codes], "<u2", "H", (3, 4))
    text = json.dumps({"a": {"dtype": "U16", "shape": [3, 4], "data_offsets": [0, 24]}}).encode()
    t = Torch()
    files = {"npy": array, "npz": npz(zipfile.ZIP_STORED, a=array),
             "signed": npy([[c - 65536 if c > 32767 else c for c in codes]], "<i2", "h", (3, 4)),
             "big": npy([codes], ">u2", "H", (3, 4)),
             "safetensors": struct.pack("<Q", len(text)) + text + struct.pack("<12H", *codes),
             "torch": t.file(t.tensor((3, 4), struct.pack("<12H", *codes), "ShortStorage"))}
    for what, content in files.items():
        result = checker.run(content, ["", "bf16", "0"], False)
        assert result.stdout.splitlines()[1:] == expected, (what, result)
        assert " bf16 4 " in result.stdout.splitlines()[0], (what, result)
        name = {"npz": "a", "safetensors": "a", "torch": "tensor"}.get(what, "")
        checker.refuse(what, content, "--dtype bf16", [name] if name else [])


REFUSED = [
    (b"\x89HDF\r\n\x1a\n" + bytes(88), "is an HDF5 file", "h5py.File"),
    (b"GGUF\x03\0\0\0" + bytes(16), "is a GGUF model", "llama-perplexity"),
    (b"PAR1" + bytes(40) + b"PAR1", "is a Parquet file", "read_parquet"),
    (b"ARROW1\0\0" + bytes(40), "is an Arrow file", "read_feather"),
    (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.", "before PyTorch 1.6",
     "torch.save(torch.load(FILE)"),
    (b"\x80\x04\x95\x0b\0\0\0\0\0\0\0]\x94(K\x01K\x02e.", "is a Python pickle",
     "numpy.save('x.npy', pickle.load(open(FILE, 'rb')))"),
    (b"MATLAB 5.0 MAT-file, Platform: GLNXA64" + bytes(100), "is a MATLAB file", "scipy.io"),
    (b"SQLite format 3\0" + bytes(84), "is an SQLite database", "as CSV"),
    (b"\xfd7zXZ\0\0\x04" + bytes(24), "packed by xz", "xz -d"),
    (b"\x28\xb5\x2f\xfd" + bytes(24), "packed by zstd", "zstd -d"),
    (b"BZh91AY&SY" + bytes(24), "packed by bzip2", "bunzip2"),
    (b"logits.npy".ljust(257, b"\0") + b"ustar\00000".ljust(255, b"\0"), "is a tar archive",
     "tar xf"),
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "pointer of Git LFS",
     "git lfs pull"),
    ("1,2\n3,4\n".encode("utf-16"), "is UTF-16 text", "iconv"),
    (b"<!DOCTYPE html><html></html>", "is an HTML page", "download"),
    (b"\xba\x16\x4f\x2f" + bytes(60), "is a fastText model", "pluck tree"),
]


def check_refused_names(checker):
    for content, name, advice in REFUSED:
        for fragment in (name, advice):
            checker.refuse(name, content, fragment)
        if has_zlib(checker):
            checker.refuse(name + ", packed", gzip.compress(content), name)
        # Rows of one value of two bytes fit every length: what is known is no rows of raw values.
        if content[:2] not in (b"\x80\x02", b"\x80\x04", b"\xff\xfe", b"BZ"):
            even = content + bytes(len(content) % 2)
            checker.refuse(name + " as raw", even, name, ["", "f16", "1"])
    values = struct.pack("<6f", *range(6))
    checker.refuse("raw values", values, "raw values (--vocab-size 6 if it is one row of f32)")
    checker.refuse("three bytes", b"\1\2\3", "or raw values (--vocab-size N)")


def check_gzip(checker):
    if not has_zlib(checker):
        checker.refuse("without zlib", gzip.compress(npy([[1.0]])), "no zlib: unpack it (gunzip)")
        return
    rows = checker.rows(40, 300)
    t = Torch()
    header = json.dumps({"a": {"dtype": "F32", "shape": [40, 300], "data_offsets": [0, 48000]}})
    lines = "".join(json.dumps({"logits": r}) + "\n" for r in rows).encode()
    files = {
        "npy <f4 f32 300 -": npy(rows),
        "npz <f4 f32 300 a": npz(zipfile.ZIP_DEFLATED, a=npy(rows)),
        "safetensors F32 f32 300 a": struct.pack("<Q", len(header)) + header.encode() +
        floats(rows),
        "torch float32 f32 300 tensor": t.file(t.tensor((40, 300), floats(rows))),
        "jsonl json f32 300 -": lines,
    }
    for facts, content in files.items():
        for level in (0, 1, 9):
            checker.check(facts, gzip.compress(content, level), facts, rows)
        half = len(content) // 2
        members = gzip.compress(content[:half]) + gzip.compress(b"") + gzip.compress(content[half:])
        checker.check(facts + " in members", members, facts, rows)
        checker.check(facts + " and zeros", members + bytes(512), facts, rows)
    checker.check("raw", gzip.compress(floats(rows)), "raw f32 f32 300 -", rows,
                  arguments=["", "f32", "300"])
    good = gzip.compress(npy(rows[:2]))
    for cut in [*range(4, 60), *range(60, len(good), 97), len(good) - 1]:
        checker.refuse(f"cut at {cut}", good[:cut], "its gzip data is damaged",
                       streamed=(False, True))
    damaged = bytearray(good)
    damaged[-6] ^= 1
    checker.refuse("a wrong checksum", bytes(damaged), "its gzip data is damaged")
    checker.refuse("bytes after it", good + b"x", "bytes follow its end")
    checker.refuse("nothing in it", gzip.compress(b""), "is empty")
    checker.refuse("twice", gzip.compress(good), "unknown format (begins with 1f 8b")
    # 5 MiB that unpack to 1 GiB and 1 MiB, in members of 64 MiB.
    if not os.environ.get("PLUCK_CASE_STEP"):  # slow with a sanitizer or an emulator
        zeros = gzip.compress(bytes(1 << 26), 1)
        checker.refuse("a bomb", zeros * 16 + gzip.compress(bytes(1 << 20)),
                       "has more than 1073741824 bytes")


def zip64_ending(archive, moved=(True, True, True)):
    """The same archive with the records of zip64; only these have the numbers that are moved."""
    end = archive.rindex(b"PK\x05\x06")
    n, size, offset = struct.unpack("<HII", archive[end + 10:end + 20])
    record = b"PK\x06\x06" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, n, n, size, offset)
    locator = b"PK\x06\x07" + struct.pack("<IQI", 0, end, 1)
    n, size, offset = (mark if is_moved else number for number, mark, is_moved in
                       zip((n, size, offset), (0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF), moved))
    return archive[:end] + record + locator + b"PK\x05\x06" + struct.pack(
        "<HHHHIIH", 0, 0, n, n, size, offset, 0)


def check_long(checker):
    """What passes the sizes of buffers, counters and records of old formats."""
    wide = checker.rows(3, 9000)
    lines = [json.dumps({"logits": r, "target": i}) for i, r in enumerate(wide)]
    assert min(map(len, lines)) > 1 << 16
    checker.check("lines above 64 KiB", "\n".join(lines).encode(), "jsonl json f32 9000 -", wide,
                  [0, 1, 2])
    many = [[float(i % 509), float(i // 509)] for i in range((1 << 16) + 300)]
    lines = "".join(f'{{"logits": [{a}, {b}], "target": {int(a) % 2}}}\n' for a, b in many)
    checker.check("more than 65,536 rows", lines.encode(), "jsonl json f32 2 -", many,
                  [int(a) % 2 for a, _ in many])
    # One row for each chunk of three tokens: its target is the third.
    n_chunk = 30000
    tokens = [(7 * i) % 4 for i in range(3 * n_chunk)]
    rows = [(0.5, float(-(i % 7)), [i % 5, 1, 2, 3]) for i in range(n_chunk)]
    checker.check("a long list of tokens", llama_kl(3, tokens, rows, 4), "llama-kl u16 f32 4 -",
                  [[low + scale * c for c in codes] for scale, low, codes in rows], tokens[2::3])
    rows = checker.rows(4, 5)
    for method in [zipfile.ZIP_STORED] + [zipfile.ZIP_DEFLATED] * has_zlib(checker):
        archive = npz(method, ids=npy([[1]], "<i4", "i"), logits=npy(rows))
        for moved in itertools.product((True, False), repeat=3):
            if any(moved):
                checker.check("an ending of zip64", zip64_ending(archive, moved),
                              "npz <f4 f32 5 logits", rows, streamed=(False,))
        checker.check("members of zip64", zip64_ending(npz(method, True, logits=npy(rows))),
                      "npz <f4 f32 5 logits", rows, streamed=(False,))
    # What ends a directory without zip64 may look like a locator.
    member = zipfile.ZipInfo("logits.npy")
    member.comment = b"PK\x06\x07" + bytes(16)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as plain:
        plain.writestr(member, npy(rows))
    checker.check("no zip64", out.getvalue(), "npz <f4 f32 5 logits", rows, streamed=(False,))
    wrong = zip64_ending(archive)
    end = wrong.rindex(b"PK\x06\x06")
    for at, value, fragment in [(32, 1 << 40, "members"), (40, 1 << 62, "does not end before"),
                                (48, 1 << 62, "does not end before")]:
        changed = bytearray(wrong)
        struct.pack_into("<Q", changed, end + at, value)
        checker.refuse(f"zip64, byte {at}", bytes(changed), fragment)
    locator = wrong.rindex(b"PK\x06\x07")
    for value in (0, end - 1, end + 1, 1 << 63, (1 << 64) - 1):
        changed = bytearray(wrong)
        struct.pack_into("<Q", changed, locator + 8, value)
        checker.refuse(f"a locator to {value}", bytes(changed), "which is not an end record")


def main():
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 20261129
    with tempfile.TemporaryDirectory() as folder, Checker(sys.argv[1], seed, folder) as checker:
        check_torch(checker)
        check_torch_refused(checker)
        check_steps(checker)
        check_bfloat16(checker)
        check_refused_names(checker)
        check_gzip(checker)
        check_long(checker)
        print(f"{checker.n_cases} cases")


if __name__ == "__main__":
    main()
