#!/usr/bin/env python3
"""JSON that is nested too deep is refused by every reader of the command, with a clear message:
readers x depths. What is nested as deep as is allowed is not refused for that."""
import struct

import command_case

DEEPEST = 64
TOO_DEEP = "64 levels"


def nested(depth):
    return "[" * depth + "]" * depth


def header(note):
    text = ('{"logits":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},"__metadata__":{"n":%s}}'
            % note).encode()
    return struct.pack("<Q", len(text)) + text + struct.pack("<2f", 1, 2)


# Name: the levels around what is nested, the file, the command line, and whether the deepest text
# is read.
READERS = {
    "dump .safetensors": (2, lambda note: header(note), "pluck inspect deep.st", True),
    "dump .jsonl": (1, lambda note: ('{"n":%s,"logits":[1,2]}\n' % note).encode(),
                    "pluck inspect deep.jsonl", True),
    "head": (2, lambda note: header(note), "pluck tree eval deep.st small.npy small.npy", False),
    "configuration": (1, lambda note: ('{"n":%s}' % note).encode(),
                      "pluck config check deep.json", False),
    "--config": (1, lambda note: ('{"n":%s}' % note).encode(),
                 "pluck sample small.npy --config deep.json", False),
    "flag of JSON": (0, lambda note: note.encode(),
                     "pluck sample small.npy --logit-bias \"$(cat deep.txt)\"", False),
    "import": (1, lambda note: ('{"temperature":0.5,"n":%s}' % note).encode(),
               "pluck config import --from openai deep.json", True),
    "vocabulary": (1, lambda note: ('{"n":%s}' % note).encode(),
                   "pluck inspect small.npy --vocab deep.json", False),
    "tokenizer.json": (1, lambda note: ('{"n":%s,"model":{"vocab":{"a":0}}}' % note).encode(),
                       "pluck inspect small.npy --vocab deep.json --short-vocab", True),
    "replay": (1, lambda note: ('{"n":%s}\n' % note).encode(),
               "pluck replay small.npy deep.jsonl", False),
}


class Depth(command_case.CommandCase):
    def test_every_reader_refuses_what_is_nested_too_deep(self):
        for name, (around, content, line, reads_deepest) in READERS.items():
            depths = [DEEPEST, 65, 990, 100000]
            if name == "flag of JSON":
                depths[-1] = 50000  # as much as the system passes in one argument
            for depth in depths:
                with self.subTest(reader=name, depth=depth):
                    bytes_of = content(nested(depth - around))
                    for suffix in ("st", "jsonl", "json", "txt"):
                        (self.folder / f"deep.{suffix}").write_bytes(bytes_of)
                    wanted = 0 if depth == DEEPEST and reads_deepest else 3
                    try:
                        self.run_line(f"ulimit -s 64; {line}", wanted)
                    except AssertionError:
                        # With so small a stack the program itself may not start.
                        self.run_line(line, wanted)
                    if depth == DEEPEST:
                        self.assertNotIn(TOO_DEEP, self.stderr)
                    else:
                        self.assertIn(TOO_DEEP, self.stderr)


if __name__ == "__main__":
    command_case.main()
