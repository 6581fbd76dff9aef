#!/usr/bin/env python3
"""Writes the tables of docs/performance.md and bench/README.md from the results of bench/run.

    bench/performance_tables.py RESULTS_FOLDER [ROOT] [--only NAME,NAME]

ROOT is the folder that holds both pages (default: the repository). A table stands between the lines
"<!-- table: NAME -->" and "<!-- end of table -->"; everything else in a page is left as it is, and
so are tables that --only does not name. A table whose results are missing says so.
"""
import argparse
import json
import pathlib
import re
import subprocess
import sys

# The table at the top of docs/performance.md.
RESULT_CHAINS = ["default", "penalties, default", "top_k 40", "min_p", "temperature 0.8", "top_p",
                 "top_p, temperature", "typical"]
RESULT_LOGITS = [("peaked", 128256), ("gpt2bpe50k", 50257)]
LOGIT_CHAINS = ["greedy", "min_p", "default", "temperature 0.8", "top_p, temperature", "typical",
                "mirostat_v2"]
SIZES = [32000, 128256, 262144, 1048576]


def load(folder, name):
    """The records of one result file; none if it is missing."""
    path = folder / f"{name}.json"
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def measured(records):
    return [record for record in records
            if record.get("record") != "machine" and "report" not in record]


def reported(records):
    return [record for record in records if "report" in record]


def table(head, rows):
    if not rows:
        return "Not measured in this run."
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def microseconds(spread):
    value = spread["median"] / 1000
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def ratio(spread):
    return f"{spread['median']:.3g}"


def with_range(spread):
    return f"{spread['median']:.2f} ({spread['p10']:.2f}–{spread['p90']:.2f})"


def times(spread):
    """How many times faster, of a ratio of pluck's time to the peer's."""
    return f"{1 / spread['median']:,.0f}" if spread["median"] < 0.1 else \
        f"{1 / spread['median']:.1f}"


def unique(records, key):
    return list(dict.fromkeys(record[key] for record in records))


def git(*arguments):
    return subprocess.run(["git", *arguments], capture_output=True, text=True,
                          check=False).stdout.strip()


def machine_table(folder):
    records = load(folder, "targets") or load(folder, "chains")
    if not records:
        return "Not measured in this run."
    machine = records[0]
    commit = f"`{git('log', '-1', '--format=%h')}` of {git('log', '-1', '--format=%cs')}"
    if git("status", "--porcelain", "--untracked-files=no", "--", "lib", "include", "bench"):
        commit += ", with changes not committed"
    cycles = "available" if machine["cycle_counter"] else "not available here"
    return table(["", ""], [
        ["processor", machine["cpu"]],
        ["second- and third-level cache", f"{machine['l2_bytes'] / 2**20:.0f} MiB, "
                                          f"{machine['l3_bytes'] / 2**20:.0f} MiB"],
        ["cycle counter", cycles],
        ["compiler", machine["compiler"]],
        ["pluck", f"{machine['pluck']}, commit {commit}"],
    ])


def targets_table(folder):
    records = [r for r in measured(load(folder, "targets")) if "target" in r]
    isas = unique(records, "isa")
    found = {(r["target"], r["kind"], r["isa"]): r for r in records}
    rows = []
    for target, kind in dict.fromkeys((r["target"], r["kind"]) for r in records):
        cells = [found.get((target, kind, isa)) for isa in isas]
        bound = next(cell["at_most"] for cell in cells if cell)
        unit = next(f" {cell['unit']}" if cell["unit"] else "" for cell in cells if cell)
        row = [target, kind, f"{bound:.3g}{unit}"]
        for cell in cells:
            is_met = cell and cell["target_ratio"]["median"] <= bound
            row.append(f"{with_range(cell['target_ratio'])} {'met' if is_met else '**not met**'}"
                       if cell else "–")
        rows.append(row)
    return table(["work", "kind", "at most", *isas], rows)


def chains_table(folder):
    records = measured(load(folder, "chains"))
    isas = [isa for isa in unique(records, "isa") if isa != "scalar"]
    found = {(r["chain"], r["isa"]): r for r in records}
    head = ["chain", "survivors"]
    for isa in isas:
        head += [f"{isa}: token, µs", "in R", "with logprob, µs", "in R"]
    rows = []
    for chain in unique(records, "chain"):
        survivors = next(r["survivors"] for r in records if r["chain"] == chain)
        row = [chain, f"{survivors:,.0f}"]
        for isa in isas:
            record = found.get((chain, isa))
            row += [microseconds(record["sample_ns"]), ratio(record["sample_ratio"]),
                    microseconds(record["draw_ns"]), ratio(record["draw_ratio"])] \
                if record else ["–"] * 4
        rows.append(row)
    return table(head, rows)


def reports_table(folder):
    records = reported(load(folder, "chains"))
    isas = [isa for isa in unique(records, "isa") if isa != "scalar"]
    found = {(r["report"], r["isa"]): r for r in records}
    head = ["in one call", "chain"]
    for isa in isas:
        head += [f"{isa}: µs", "in greedy tokens"]
    rows = []
    for report in unique(records, "report"):
        row = [report, next(r["of"] for r in records if r["report"] == report)]
        for isa in isas:
            record = found.get((report, isa))
            row += [microseconds(record["report_ns"]), with_range(record["report_ratio"])] \
                if record else ["–"] * 2
        rows.append(row)
    return table(head, rows)


def small_table(folder):
    records = measured(load(folder, "small"))
    isas = [isa for isa in unique(records, "isa") if isa != "scalar"]
    found = {(r["n_vocab"], r["isa"]): r for r in records}
    head = ["V"]
    for isa in isas:
        head += [f"{isa}: loop, ns", "sample, ns", "sample / loop", "next, ns"]
    rows = []
    for size in unique(records, "n_vocab"):
        row = [f"{size:,}"]
        for isa in isas:
            record = found.get((size, isa))
            row += [f"{record['naive_ns']['median']:.0f}", f"{record['sample_ns']['median']:.0f}",
                    ratio(record["sample_ratio"]), f"{record['next_ns']['median']:.0f}"] \
                if record else ["–"] * 4
        rows.append(row)
    return table(head, rows)


def sizes_table(folder):
    records = [r for r in measured(load(folder, "sizes")) if r["dtype"] == "f32"]
    found = {(r["chain"], r["n_vocab"]): r for r in records}
    scan = ["R"]
    for size in SIZES:
        scans = [r["scan_ns"]["median"] for r in records if r["n_vocab"] == size]
        scan.append(microseconds({"median": min(scans)}) if scans else "–")
    rows = [scan] if records else []
    for chain in unique(records, "chain"):
        row = [chain]
        for size in SIZES:
            record = found.get((chain, size))
            row.append(f"{microseconds(record['sample_ns'])} ({ratio(record['sample_ratio'])} R)"
                       if record else "–")
        rows.append(row)
    return table(["chain, token only, µs", *(f"V = {size:,}" for size in SIZES)], rows)


def types_table(folder):
    records = [r for r in measured(load(folder, "sizes")) if r["chain"] == "default"]
    rows = []
    for size in SIZES:
        by_type = {r["dtype"]: r for r in records if r["n_vocab"] == size}
        if "f32" not in by_type:
            continue
        base = by_type["f32"]["scan_ns"]["median"]
        row = [f"{size:,}"]
        for dtype in ("f32", "f16", "bf16"):
            scan = by_type[dtype]["scan_ns"]
            row += [microseconds(scan), f"{base / scan['median']:.2f}"]
        rows.append(row)
    return table(["V", "scan of f32, µs", "rate", "f16, µs", "rate", "bf16, µs", "rate"], rows)


def logits_table(folder):
    records = measured(load(folder, "logits"))
    chains = [chain for chain in LOGIT_CHAINS if chain in unique(records, "chain")]
    found = {(r["logits"], r["chain"]): r for r in records}
    rows = []
    for logits in unique(records, "logits"):
        size = next(r["n_vocab"] for r in records if r["logits"] == logits)
        row = [logits, f"{size:,}"]
        for chain in chains:
            record = found.get((logits, chain))
            row.append(f"{ratio(record['sample_ratio'])} / {ratio(record['draw_ratio'])}"
                       if record else "–")
        rows.append(row)
    return table(["logits", "V", *chains], rows)


def batch_table(folder):
    records = measured(load(folder, "batch"))
    rows = [[r["chain"], f"{r['n_vocab']:,}", str(r["batch_rows"]), str(r["threads"]),
             microseconds(r["single_ns"]), microseconds(r["batch_ns"]),
             with_range(r["sharing_ratio"]), with_range(r["cpu_ratio"])] for r in records]
    return table(["chain", "V", "rows", "threads", "single calls, µs", "batch, µs", "sharing",
                  "processor time"], rows)


def kernels_table(folder):
    records = measured(load(folder, "kernels"))
    rows = [[r["kernel"], f"{r['n']:,}", r["isa"], microseconds(r["ns"]), f"{r['gb_per_s']:.1f}",
             f"{r['cycles_per_value']:.3f}" if "cycles_per_value" in r else "–",
             times(r["scalar_ratio"]), r["bits"]] for r in records]
    return table(["kernel", "values", "table", "µs", "GB/s", "cycles per value",
                  "times faster than scalar", "bits"], rows)


def llama_table(folder):
    records = measured(load(folder, "llama"))
    rows = [[r["logits"], f"{r['n_vocab']:,}", r["chain"], r["isa"], microseconds(r["sample_ns"]),
             microseconds(r["peer_ns"]), times(r["peer_ratio"]),
             f"{r['survivors']:,.0f}", f"{r['peer_survivors']:,.0f}"] for r in records]
    return table(["logits", "V", "chain", "pluck's table", "pluck, µs", "libllama, µs", "times",
                  "survivors", "libllama's"], rows)


def end_to_end_records(folder, part):
    return [r for r in measured(load(folder, "end_to_end")) if r["part"] == part]


def end_to_end_table(folder):
    rows = []
    for r in end_to_end_records(folder, "end to end"):
        is_first = r["way"] == "llama.cpp"
        rows.append([r["chain"] if is_first else "", r["way"], microseconds(r["decode_ns"]),
                     microseconds(r["sample_ns"]), f"{1e9 / r['token_ns']['median']:,.0f}",
                     "" if is_first else f"{1 / r['token_ratio']['median']:.2f}"])
    return table(["chain", "sampler", "decoding, µs", "sampling, µs", "tokens per second",
                  "times llama.cpp's"], rows)


def in_a_chain_table(folder):
    rows = [[r["chain"], microseconds(r["llama_ns"]), microseconds(r["chain_ns"]),
             with_range(r["chain_ratio"]), microseconds(r["direct_ns"]),
             f"{r['direct_ratio']['median']:.3f}"]
            for r in end_to_end_records(folder, "in a chain")]
    return table(["chain", "llama.cpp, µs", "pluck in the chain, µs", "of llama.cpp's time",
                  "pluck alone, µs", "of llama.cpp's time"], rows)


def results_table(folder):
    found = {(r["logits"], r["n_vocab"], r["chain"]): r for r in measured(load(folder, "llama"))}
    rows = []
    for logits, n_vocab in RESULT_LOGITS:
        for chain in RESULT_CHAINS:
            r = found.get((logits, n_vocab, chain))
            if r:
                survivors = list(dict.fromkeys([f"{r['survivors']:,.0f}",
                                                f"{r['peer_survivors']:,.0f}"]))
                rows.append([logits, f"{n_vocab:,}", chain, microseconds(r["sample_ns"]),
                             microseconds(r["peer_ns"]), times(r["peer_ratio"]),
                             " and ".join(survivors)])
    return table(["logits", "V", "chain", "pluck, µs", "llama.cpp, µs", "times faster",
                  "survivors"], rows)


def python_peers_table(folder):
    records = measured(load(folder, "numpy")) + measured(load(folder, "torch"))
    rows = [[r["peer"], f"{r['n_vocab']:,}", r["chain"], microseconds(r["sample_ns"]),
             microseconds(r["peer_ns"]), times(r["peer_ratio"])] for r in records]
    return table(["peer", "V", "chain", "pluck, µs", "peer, µs", "times"], rows)


PAGES = {
    "docs/performance.md": {
        "end to end": end_to_end_table, "in a chain": in_a_chain_table, "results": results_table,
        "chains": chains_table, "reports": reports_table, "sizes": sizes_table,
        "small": small_table,
        "types": types_table, "logits": logits_table, "batch": batch_table,
        "libllama": llama_table, "python peers": python_peers_table, "machine": machine_table,
    },
    "bench/README.md": {"targets": targets_table, "kernels": kernels_table},
}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("root", type=pathlib.Path, nargs="?",
                        default=pathlib.Path(__file__).parent.parent)
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    folder, root = arguments.folder, arguments.root
    only = arguments.only.split(",") if arguments.only else []
    for name, tables in PAGES.items():
        page = root / name
        text = page.read_text(encoding="utf-8")
        for title, make in tables.items():
            if only and title not in only:
                continue
            pattern = rf"(<!-- table: {title} -->\n).*?(<!-- end of table -->)"
            text, n = re.subn(pattern, lambda m, make=make: f"{m[1]}{make(folder)}\n{m[2]}", text,
                              flags=re.DOTALL)
            if n != 1:
                print(f"{page}: {n} places for table {title}, expected one", file=sys.stderr)
                return 1
        page.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
