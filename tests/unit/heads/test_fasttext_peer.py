"""Compares predictions with those of the fasttext command, on models that it trains here.

    test_fasttext_peer.py FASTTEXT_LINES

FASTTEXT_LINES is the program of fasttext_lines.c. The odd corners of the format (subwords, hashes
of n-grams, pruned and quantised matrices) show only in models that fastText itself has written. The
exact prediction must give the same labels in the same order, unless probabilities are nearly equal,
within 1e-5 for each logarithm that fastText adds 1e-5 to; its own arithmetic must be met within a
relative 1e-4. With PLUCK_SHARED_DATA in the environment the published model lid.176.ftz in that
folder is compared too. Skips (77) without the command.
"""
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile

DEPTH = 40  # no code is longer: the bound of the differences
# Name, arguments of training, arguments of quantisation or None.
MODELS = [
    ("hs", "-loss hs -dim 12", None),
    ("hs_bigrams", "-loss hs -dim 10 -wordNgrams 3 -bucket 5000", None),
    ("hs_subwords", "-loss hs -dim 9 -minn 2 -maxn 5 -bucket 3000", None),
    ("hs_all", "-loss hs -dim 16 -minn 1 -maxn 3 -wordNgrams 2 -bucket 4000", None),
    ("hs_quantised", "-loss hs -dim 16 -minn 2 -maxn 4 -bucket 2000", "-qnorm"),
    ("hs_pruned", "-loss hs -dim 17 -wordNgrams 2 -minn 2 -maxn 3 -bucket 2000",
     "-qnorm -cutoff 400 -dsub 3"),
    ("softmax", "-loss softmax -dim 12 -wordNgrams 2 -bucket 1000", None),
    ("softmax_qout", "-loss softmax -dim 12 -wordNgrams 2 -bucket 1000",
     "-qnorm -qout -cutoff 500"),
    ("hs_qout", "-loss hs -dim 12", "-qout -dsub 5"),
    ("ova", "-loss ova -dim 12 -minn 3 -maxn 3 -bucket 1000", None),
    ("ns", "-loss ns -dim 8", None),
]
# Models of words, whose vectors are compared: fasttext predicts with supervised ones only.
WORD_MODELS = [
    ("skipgram", "-loss hs -dim 10 -minn 2 -maxn 4 -bucket 2000"),
    ("skipgram", "-loss ns -dim 9 -bucket 1500 -minn 3 -maxn 6"),
    ("cbow", "-loss hs -dim 11 -maxn 0"),
    ("cbow", "-loss softmax -dim 8 -minn 1 -maxn 2 -bucket 1000"),
]
SYLLABLES = "ba ké lo müh né ri sø ta žu đa ни мо ლი 世 界 o e 😀".split()


def make_word(source):
    return "".join(source.choice(SYLLABLES) for _ in range(source.randint(1, 4)))


def make_lines(source, vocabulary, n, n_labels, with_label):
    """Lines whose label depends on their words; now and then an unknown word, odd spaces, none."""
    lines = []
    for _ in range(n):
        label = int(source.expovariate(8 / n_labels)) % n_labels
        words = [vocabulary[(label * 7 + int(source.expovariate(0.08))) % len(vocabulary)]
                 for _ in range(source.randint(0 if not with_label else 1, 12))]
        if source.random() < 0.2:
            words.append(make_word(source))
        if not with_label and source.random() < 0.1:
            words.append("__label__unknown")
        separator = source.choice([" ", "  ", "\t", " \v", "\f "])
        text = separator.join(words)
        lines.append(f"__label__l{label} {text}" if with_label else text)
    return lines


def run(*arguments):
    done = subprocess.run([str(a) for a in arguments], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, arguments))}: {done.stderr.decode()[-500:]}")
    return [line.split(" ") for line in done.stdout.decode().split("\n")[:-1]]


def pairs(fields):
    fields = [f for f in fields if f]
    return list(zip(fields[0::2], map(float, fields[1::2])))


def allowed(name, exact, theirs):
    """fastText's table of sigmoids has steps of 1/32, and a sigmoid no slope above 1/4."""
    if not exact:
        return 2e-6 + 1e-4 * theirs
    return 1 / 128 + 1e-5 if has_table(name) else DEPTH * 1e-5


def has_table(name):
    return name.startswith(("ova", "ns"))


def compare_line(name, number, mine, theirs, exact):
    """Labels in the same places unless near a tie; probabilities near."""
    all_mine = dict(mine)
    problems = []
    for place, (label, prob) in enumerate(theirs):
        margin = allowed(name, exact, prob)
        if label not in all_mine:
            if mine and len(mine) == len(theirs) and mine[-1][1] > prob + margin:
                problems.append(f"{label} {prob} is missing")
            continue
        if abs(all_mine[label] - prob) > margin:
            problems.append(f"{label}: {all_mine[label]}, fasttext {prob}")
        if place < len(mine) and mine[place][0] != label and \
                abs(mine[place][1] - prob) > 2 * margin:
            problems.append(f"place {place}: {mine[place]}, fasttext {label} {prob}")
    # Sigmoids from a table tie often, and then fastText's own order is asked for.
    if not exact and has_table(name) and [m[0] for m in mine] != [t[0] for t in theirs]:
        problems.append(f"order {mine}, fasttext {theirs}")
    if bool(mine) != bool(theirs):
        problems.append(f"{len(mine)} labels, fasttext {len(theirs)}")
    return [f"{name} ({'exact' if exact else 'compat'}), line {number}: {p}" for p in problems]


def compare(name, model, text, k, program):
    theirs = [pairs(fields) for fields in run("fasttext", "predict-prob", model, text, k)]
    problems = []
    for mode in ("exact", "compat"):
        mine = [pairs(fields) for fields in run(program, model, text, k, mode)]
        if len(mine) != len(theirs):
            sys.exit(f"{name}: {len(mine)} lines, fasttext {len(theirs)}")
        for number, (a, b) in enumerate(zip(mine, theirs), 1):
            problems += compare_line(name, number, a, b, mode == "exact")
        if not has_table(name):
            same = sum(a[:1] and b[:1] and a[0][0] == b[0][0] for a, b in zip(mine, theirs))
            answered = sum(bool(b) for b in theirs)
            print(f"{name}, {mode}, k = {k}: {same} of {answered} top labels equal")
    return problems


def compare_vectors(kind, training, folder, train, words, program):
    """print-word-vectors gives five digits."""
    base, text = folder / f"words_{kind}", folder / "words.txt"
    text.write_text("\n".join(words) + "\n")
    run("fasttext", kind, "-input", train, "-output", base, "-epoch", "1", "-thread", "1",
        "-minCount", "1", "-verbose", "0", *training.split())
    with open(text, encoding="utf-8") as file:
        done = subprocess.run(["fasttext", "print-word-vectors", f"{base}.bin"], stdin=file,
                              stdout=subprocess.PIPE, check=True)
    theirs = [line.split() for line in done.stdout.decode().split("\n")[:-1]]
    mine = run(program, f"{base}.bin", text, 1, "hidden")
    # A model without a distribution or with one: words are asked for like labels.
    answered = run(program, f"{base}.bin", text, 3, "exact")
    problems = [] if len(answered) == len(words) else [f"{kind}: {len(answered)} answers"]
    if len(mine) != len(theirs):
        sys.exit(f"{kind}: {len(mine)} vectors, fasttext {len(theirs)}")
    for a, b in zip(mine, theirs):
        x, y = list(map(float, a[1:])), list(map(float, b[1:]))
        # An unknown word without subwords has no features here, and a vector of zeros there.
        x = x or [0.0] * len(y)
        if a[0] != b[0] or any(abs(p - q) > 1e-5 * max(1, abs(q)) for p, q in zip(x, y)):
            problems.append(f"{kind} {training}: {a[0]}: {x[:3]}, fasttext {y[:3]}")
    print(f"{kind} {training}: {len(mine)} vectors compared")
    return problems


def main():
    program = sys.argv[1]
    if not shutil.which("fasttext"):
        print("skipped: the fasttext command is not installed (Debian: fasttext)")
        return 77
    source = random.Random(5)
    vocabulary = sorted({make_word(source) for _ in range(900)})
    problems = []
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        text = folder / "text.txt"
        text.write_text("\n".join(make_lines(source, vocabulary, 400, 60, False)) + "\n")
        # A quantised output needs 256 labels or more.
        trains = {n: folder / f"train{n}.txt" for n in (60, 700)}
        for n, train in trains.items():
            train.write_text("\n".join(make_lines(source, vocabulary, 4000, n, True)) + "\n")
        for name, training, quantisation in MODELS:
            base = folder / name
            train = trains[700 if "qout" in name else 60]
            run("fasttext", "supervised", "-input", train, "-output", base, "-epoch", "8",
                "-thread", "1", "-verbose", "0", *training.split())
            model = base.with_suffix(".bin")
            if quantisation:
                run("fasttext", "quantize", "-input", train, "-output", base, "-verbose", "0",
                    "-thread", "1", *quantisation.split())
                model = base.with_suffix(".ftz")
            for k in (1, 5, 60):
                problems += compare(name, model, text, k, program)
        for kind, training in WORD_MODELS:
            words = vocabulary[:200] + ["unknown", "</s>x"]
            problems += compare_vectors(kind, training, folder, text, words, program)
    shared = os.environ.get("PLUCK_SHARED_DATA")
    if shared:
        shared = pathlib.Path(shared)
        problems += compare("lid.176", shared / "lid.176.ftz", shared / "hs_lid176_sentences.txt",
                            5, program)
    else:
        print("PLUCK_SHARED_DATA is not set: the published model was not compared")
    for problem in problems[:20]:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
