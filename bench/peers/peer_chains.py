"""What the peers in Python share: pluck through ctypes, timing by turns, records.

A peer gives a table from chain name to a function (logits row -> token). pluck runs the same chain
in the same process on the same row; both are timed in turn within each repetition, and medians
over repetitions are reported, of processor time, as bench/support/interleave.h says. Peers are
kept to one thread.
"""
import argparse
import ctypes
import json
import pathlib
import statistics
import time

STAGES = {
    "temperature 0.8": [{"type": "temperature", "t": 0.8}],
    "top_k 40": [{"type": "top_k", "k": 40}],
    "min_p": [{"type": "min_p", "p": 0.05}],
    "top_p": [{"type": "top_p", "p": 0.95}],
    "default": [{"type": "top_k", "k": 40}, {"type": "top_p", "p": 0.95},
                {"type": "min_p", "p": 0.05}, {"type": "temperature", "t": 0.8}],
}
CONFIGS = {name: {"seed": 7, "stages": stages} for name, stages in STAGES.items()}
CONFIGS["greedy"] = {"seed": 7, "stages": [], "draw": "greedy"}
CONFIGS["softmax"] = {"seed": 7, "stages": []}


class Error(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int), ("message", ctypes.c_char * 256)]


class Logits(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("dtype", ctypes.c_int), ("n_vocab", ctypes.c_uint32)]


class Pluck:
    """libpluck, as much of it as sampling takes."""

    def __init__(self, path):
        self.library = ctypes.CDLL(path)
        self.library.pluck_sampler_sample.argtypes = [ctypes.c_void_p, Logits, ctypes.c_void_p,
                                                      ctypes.c_void_p]
        self.library.pluck_sampler_accept.argtypes = [ctypes.c_void_p, ctypes.c_int32,
                                                      ctypes.c_void_p]

    def stepper(self, config, row):
        """A function that samples from the row and accepts the token."""
        text = json.dumps(config).encode()
        sampler, error, token = ctypes.c_void_p(), Error(), ctypes.c_int32()
        status = self.library.pluck_sampler_from_json(
            ctypes.byref(sampler), text, ctypes.c_size_t(len(text)), ctypes.c_uint32(len(row)),
            ctypes.byref(error))
        if status != 0:
            raise RuntimeError(error.message.decode())
        logits = Logits(row.ctypes.data, 0, len(row))
        sample, accept = self.library.pluck_sampler_sample, self.library.pluck_sampler_accept
        place = ctypes.byref(token)

        def step():
            if sample(sampler, logits, place, None) != 0:
                raise RuntimeError("pluck_sampler_sample failed")
            accept(sampler, token.value, None)
            return token.value

        return step


def seconds_a_run(function, runs):
    start = time.thread_time()
    for _ in range(runs):
        function()
    return (time.thread_time() - start) / runs


def runs_in_batch(function, batch_seconds):
    runs = 1
    while seconds_a_run(function, runs) * runs < batch_seconds:
        runs *= 2
    return runs


def spread(values, scale=1.0):
    ordered = sorted(value * scale for value in values)
    return {"median": statistics.median(ordered), "p10": ordered[len(ordered) // 10],
            "p90": ordered[-1 - len(ordered) // 10]}


def measure(mine, peer, budget_seconds):
    """([seconds of mine], [seconds of the peer's]), taken by turns."""
    functions = [mine, peer]
    batches = [runs_in_batch(function, 5e-4) for function in functions]
    times = [[], []]
    end = time.perf_counter() + budget_seconds
    while len(times[0]) < 5 or (time.perf_counter() < end and len(times[0]) < 63):
        for function, runs, taken in zip(functions, batches, times):
            function()
            taken.append(seconds_a_run(function, runs))
    return times


def compare_row(peer_name, chains, pluck, row, name, file, budget_seconds):
    for chain, function in chains.items():
        mine, theirs = measure(pluck.stepper(CONFIGS[chain], row), lambda: function(row),
                               budget_seconds)
        ratios = [a / b for a, b in zip(mine, theirs)]
        record = {
            "program": f"bench_{peer_name}", "peer": peer_name, "chain": chain, "logits": name,
            "n_vocab": len(row), "sample_ns": spread(mine, 1e9), "peer_ns": spread(theirs, 1e9),
            "peer_ratio": spread(ratios)}
        print(f"{chain:<20} {record['sample_ns']['median']:12.0f} "
              f"{record['peer_ns']['median']:12.0f} {1 / record['peer_ratio']['median']:9.1f}")
        if file:
            file.write(json.dumps(record) + "\n")


def main(peer_name, make_chains, numpy):
    parser = argparse.ArgumentParser(description=f"pluck against {peer_name}, in one process.")
    parser.add_argument("logits", nargs="+", help=".npy files of logits; row 0 is used")
    parser.add_argument("--library", required=True, help="path of libpluck.so")
    parser.add_argument("--json", help="results as JSON, one object a line")
    parser.add_argument("--quick", action="store_true", help="fewer repetitions")
    options = parser.parse_args()
    pluck = Pluck(options.library)
    file = open(options.json, "w", encoding="utf-8") if options.json else None
    for path in options.logits:
        rows = numpy.load(path, mmap_mode="r")
        row = numpy.ascontiguousarray(numpy.atleast_2d(rows)[0], dtype=numpy.float32)
        print(f"\n{pathlib.Path(path).stem}, V = {len(row)}\n{'chain':<20} {'pluck ns':>12} "
              f"{peer_name + ' ns':>12} {'times':>9}")
        compare_row(peer_name, make_chains(row), pluck, row, pathlib.Path(path).stem, file,
                    0.1 if options.quick else 0.6)
    if file:
        file.close()
