"""The program dump_rows as the tests of dumps use it: one process reads all the files of a test,
because starting it takes longer than most files, most of all under a sanitizer or an emulator."""
import os
import pathlib
import shlex
import subprocess
import sys
import types


class DumpProgram:
    """with DumpProgram(program, folder) as dumps: dumps.run(content) reads a file of this content.
    Leaving it fails if the program has not ended well."""

    def __init__(self, program, folder):
        wrapper = shlex.split(os.environ.get("MESON_EXE_WRAPPER", ""))  # an emulator, or nothing
        self.command = [*wrapper, program]
        self.path = pathlib.Path(folder, "d\u00fcmp \u2603")
        self.n_cases = 0

    def __enter__(self):
        self.process = subprocess.Popen([*self.command, "--many"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, encoding="utf-8")
        return self

    def __exit__(self, kind, *_):
        self.process.stdin.close()
        if self.process.wait() != 0 and not kind:
            sys.exit(f"dump_rows ended with {self.process.returncode}")

    def run(self, content, arguments=(), streamed=False):
        """What the program has printed about it: returncode, stdout and stderr, as text."""
        self.n_cases += 1
        self.path.write_bytes(content)
        request = "\t".join([str(self.path), "-" if streamed else str(self.path), *arguments])
        self.process.stdin.write(request + "\n")
        self.process.stdin.flush()
        lines = []
        for line in self.process.stdout:
            if line.startswith("= "):
                code, message = line[2:-1].split(" ", 1)
                return types.SimpleNamespace(returncode=int(code), stdout="".join(lines),
                                             stderr=message)
            lines.append(line)
        sys.exit(f"dump_rows has ended with {self.process.wait()} at {request!r}")
