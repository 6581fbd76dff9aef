"""Small dumps, vocabularies and configurations for the tests of the command, good ones and broken
ones, written with the standard library alone."""
import json
import os
import pathlib
import shutil
import struct
import zipfile

from make_models import TEXT, fasttext_model, pairs

DATA = pathlib.Path(__file__).resolve().parent.parent / "data"

NAN = float("nan")
INF = float("inf")

# Five rows of eight tokens: a spike, ties, a banned token, all equal, a slope.
SMALL = [
    [0.0, 9.0, 0.0, 1.0, -3.0, 0.5, 0.25, -8.0],
    [2.0, 1.0, 2.0, 2.0, 0.0, 1.0, 0.0, 2.0],
    [1.0, -INF, 3.0, 2.5, -INF, 0.0, -1.0, 2.0],
    [1.0] * 8,
    [3.0, 2.5, 2.0, 1.5, 1.0, 0.5, 0.0, -0.5],
]
TOKENS = [" the", "\n", 'say "hi"', "a,b", "caf\u00e9", "\x1b[31m", "back\\slash", ""]


def npy(rows, shape=None, descr="<f4"):
    """A .npy file of version 1.0 whose header may lie about the shape."""
    values = [v for row in rows for v in row]
    shape = shape or f"({len(rows)}, {len(rows[0])})"
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}"
    header += " " * (-(len(header) + 11) % 64) + "\n"
    start = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()
    return start + struct.pack(f"<{len(values)}f", *values)


def changed(row, token, value):
    rows = [list(r) for r in SMALL]
    rows[row][token] = value
    return rows


def write_broken(folder):
    good = npy(SMALL)
    wide = [[float(i % 7) for i in range(20)] for _ in range(5)]
    wide[3][17] = NAN
    files = {
        "truncated.npy": good[:-7],
        "overflow.npy": npy(SMALL, "(4611686018427387905, 4)"),
        "empty.npy": b"",
        "nan.npy": npy(wide),
        "inf.npy": npy(changed(2, 5, INF)),
        "banned.npy": npy(SMALL[:1] + [[-INF] * 8] + SMALL[2:]),
        "text.npy": b"hello, these are no logits\n",
        "norows.npy": npy([[]], "(0, 8)"),
        "deep.json": b"[" * 300 + b"]" * 300,
        "deep_key.json": b'{"logit_bias": ' + b"[" * 300 + b"]" * 300 + b"}",
        "unknown_key.json": b'{\n  "temperature": 0.8,\n  "topp": 0.9\n}\n',
        "range.json": b'{"top_p": 1.7}\n',
        "twice.json": b'{"top_k": 3, "top_k": 4}\n',
        "garbage.json": b'{"top_k": 3} x\n',
        "type.json": b'{"top_k": "many"}\n',
        "empty.json": b"",
        "vocab_short.txt": b"a\nb\nc\n",
        "vocab_bad.json": b'["a", "b", 3]\n',
        "vocab_twice.json": b'{"a": 0, "b": 0}\n',
        "vocab_id.json": b'{"a": 1.5}\n',
        "vocab_cut.json": b'["a",\n "b"\n',
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    (folder / "folder.npy").mkdir()


def gpt2_alphabet(data):
    """How GPT-2's encoder.py spells bytes."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [b for b in range(256) if b not in plain]
    return "".join(chr(b) if b in plain else chr(256 + rest.index(b)) for b in data)


def write_vocabularies(folder):
    def dump(name, value):
        (folder / name).write_text(json.dumps(value), encoding="utf-8")

    dump("vocab8.json", TOKENS)
    dump("vocab8_map.json", {f"t{i}": i for i in reversed(range(8))})
    lines = b" the\n\\n\nsay \"hi\"\na,b\n\\xC3\n\\x1b[31m\nback\\\\slash\n\\d\n"
    (folder / "vocab8.txt").write_bytes(lines)
    raw = [b" the", b"\n", b"\xc3", b"\xa9", b"\xff\x00", b"a", b"\xad\x7f", b"x"]
    spelt = [gpt2_alphabet(r) for r in raw]
    dump("vocab8_gpt2.json", spelt)
    dump("tokenizer.json", {
        "model": {"type": "BPE", "vocab": {t: i for i, t in enumerate(spelt[:7])}},
        "added_tokens": [{"id": 7, "content": "<|end of text|>"}],
    })
    dump("unigram.json", {
        "model": {"type": "Unigram", "vocab": [["\u2581the", -1.5], ["<0x0A>", 0.0], ["<0xC3>", 0],
                                               ["<0xA9>", 0], ["\u2581a\u2581b", 0], ["c", 0],
                                               ["<0xGG>", 0], ["d", 0]]},
    })


def integers(values):
    """A .npy file of 32-bit integers."""
    header = f"{{'descr': '<i4', 'fortran_order': False, 'shape': ({len(values)},), }}"
    header += " " * (-(len(header) + 11) % 64) + "\n"
    start = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()
    return start + struct.pack(f"<{len(values)}i", *values)


def write_kept(path):
    """Sets for the rows of small.npy, as sample --kept writes them, without their masses."""
    with zipfile.ZipFile(path, "w") as file:
        for name, values in (("tokens", [0, 1, 5, 2, 3, 2, 7, 0, 6, 4]),
                             ("offsets", [0, 3, 5, 7, 9, 10])):
            file.writestr(zipfile.ZipInfo(name + ".npy"), integers(values))


def write_models(folder):
    (folder / "model.ftz").write_bytes(fasttext_model())
    (folder / "ova.bin").write_bytes(fasttext_model(loss=4))
    (folder / "cut.bin").write_bytes(fasttext_model()[:300])
    (folder / "lines.txt").write_text(TEXT)
    for name, n_rows, seed in (("", 600, 1), ("valid_", 200, 2)):
        weights, hidden, targets = pairs(n_rows, 12, 4, seed)
        (folder / f"{name}hidden.npy").write_bytes(npy(hidden))
        (folder / f"{name}next.npy").write_bytes(integers(targets))
    (folder / "head.npy").write_bytes(npy(weights))
    bias = [-0.3 * token for token in range(len(weights))]
    (folder / "bias.npy").write_bytes(npy([bias], f"({len(bias)},)"))
    counts = [targets.count(token) for token in range(len(weights))]
    (folder / "counts.txt").write_text("\n".join(map(str, counts)) + "\n")


def write_inputs(folder):
    """Everything that command lines of the tests name, in folder."""
    folder = pathlib.Path(folder)
    (folder / "small.npy").write_bytes(npy(SMALL))
    (folder / "one.npy").write_bytes(npy(SMALL[4:], "(8,)"))
    (folder / "small.raw").write_bytes(b"".join(struct.pack("<8f", *r) for r in SMALL))
    (folder / "config8.json").write_text('{"temperature": 0.7, "top_k": 5, "seed": 3}\n')
    write_kept(folder / "kept8.npz")
    write_broken(folder)
    write_vocabularies(folder)
    write_models(folder)

    # The names that the examples of the help use.
    shutil.copy(DATA / "stories260K.npy", folder / "logits.npy")
    shutil.copy(DATA / "stories260K_vocab.json", folder / "vocab.json")
    shutil.copy(DATA / "stories260K_targets.npy", folder / "targets.npy")
    shutil.copy(DATA / "gpt2bpe50k_targets.npy", folder / "gpt2_targets.npy")
    shutil.copy(DATA / "gpt2bpe50k.npy", folder / "gpt2.npy")
    shutil.copy(DATA / "gpt2bpe50k_vocab.json", folder / "gpt2_vocab.json")
    shutil.copy(folder / "logits.npy", folder / "a.npy")
    shutil.copy(folder / "logits.npy", folder / "b.npy")
    stories = (folder / "logits.npy").read_bytes()
    (folder / "logits.raw").write_bytes(stories[-64 * 512 * 4:])
    shutil.copy(folder / "config8.json", folder / "config.json")
    (folder / "generation_config.json").write_text(
        '{"do_sample": true, "temperature": 0.6, "top_p": 0.9, "repetition_penalty": 1.1,\n'
        ' "num_beams": 1, "eos_token_id": [7], "transformers_version": "4.44.0"}\n')
    (folder / "Modelfile").write_text("FROM llama3.2\nPARAMETER temperature 0.6\n")


def copy_inputs(template, folder):
    """What write_inputs() wrote into template, in a new folder. The large files are links, because
    copying them would take longer than what most tests do with them: no test may change one in
    place."""
    def copy(source, target):
        if os.path.getsize(source) > 1 << 16:
            os.link(source, target)
        else:
            shutil.copyfile(source, target)
    shutil.copytree(template, folder, copy_function=copy)


def environment(pluck):
    """Variables for a run: the command is found, and nothing of the caller's terminal matters."""
    env = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "NO_COLOR")}
    env["PATH"] = str(pathlib.Path(pluck).resolve().parent) + os.pathsep + env["PATH"]
    env["LC_ALL"] = "C.UTF-8"
    return env
