#!/usr/bin/env python3
"""Runs test_null_arguments in a folder with the fastText model that it opens.

    test_null_arguments.py PROGRAM
"""
import pathlib
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "cli"))
from make_models import fasttext_model  # noqa: E402

with tempfile.TemporaryDirectory() as folder:
    pathlib.Path(folder, "model.ftz").write_bytes(fasttext_model())
    sys.exit(subprocess.run([sys.argv[1], folder]).returncode)
