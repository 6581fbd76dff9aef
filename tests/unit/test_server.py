#!/usr/bin/env python3
"""Runs examples/server: its text has to be the expected one, on every machine and every time.

    test_server.py SERVER EXPECTED
"""
import pathlib
import subprocess
import sys

server, expected = sys.argv[1], pathlib.Path(sys.argv[2]).read_text(encoding="utf-8")
for attempt in range(3):
    run = subprocess.run([server], capture_output=True, text=True, timeout=60, check=False)
    if run.returncode != 0 or run.stdout != expected:
        sys.exit(f"status {run.returncode}, output:\n{run.stdout}{run.stderr}expected:\n{expected}")
