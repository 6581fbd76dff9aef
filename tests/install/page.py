"""docs/install.md as a list of things to do: each section is a way to build a program with pluck.

A section has blocks of console, whose comment says in which folder they run, and the file that they
need: a block of cmake is CMakeLists.txt, one of meson is meson.build. The lines run as they are,
with these differences: the installation goes below a scratch folder, Meson installs what is built,
and nothing is optimised, which takes a fifth of the time.
"""
import pathlib
import re
import shlex
import subprocess

FENCED = re.compile(r"(?:<!--([^>]*)-->\n)?```(\w+)\n(.*?)^```$", re.S | re.M)
FOLDER = re.compile(r"runs it in the folder of (pluck|the program)\b")
FILES = {"cmake": "CMakeLists.txt", "meson": "meson.build"}
INSTEAD = [("sudo ", ""), ("meson install", "meson install --no-rebuild"),
           ("CMAKE_BUILD_TYPE=Release", "CMAKE_BUILD_TYPE=Debug"), (" -O2 ", " -O0 ")]


def ways(source):
    """{heading: [(language, folder or None, text)]}"""
    page = (source / "docs" / "install.md").read_text(encoding="utf-8")
    found = {}
    for section in re.split(r"^## ", page, flags=re.M)[1:]:
        heading, text = section.split("\n", 1)
        blocks = []
        for comment, language, body in FENCED.findall(text):
            folder = FOLDER.search(comment)
            blocks.append((language, folder and folder.group(1), body))
        if blocks:
            found[heading] = blocks
    return found


def run(command, cwd, env):
    """Runs a line or a list of words that must succeed; returns what it wrote."""
    words = command if isinstance(command, list) else ["bash", "-c", command]
    done = subprocess.run([str(word) for word in words], cwd=cwd, env=env, text=True,
                          stdin=subprocess.DEVNULL, capture_output=True)
    if done.returncode != 0:
        shown = command if isinstance(command, str) else shlex.join(words)
        raise AssertionError(f"{shown}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def copy_of(source, folder):
    """A folder of pluck that can be built in: the files are links."""
    folder.mkdir(parents=True)
    for path in source.iterdir():
        if not path.name.startswith((".", "build")):
            (folder / path.name).symlink_to(path, target_is_directory=path.is_dir())
    return folder


def follow(blocks, folders, env, files_end="", instead=()):
    """Does what the blocks of a way say. folders: {"pluck": path, "the program": path}; files_end
    is written at the end of the project's file; instead: more (text, other text) of the lines."""
    for language, folder, text in blocks:
        if language in FILES:
            path = pathlib.Path(folders["the program"]) / FILES[language]
            path.write_text(text + files_end, encoding="utf-8")
            continue
        for line in re.findall(r"^\$ ((?:.*\\\n)*.*)", text, re.M):
            for said, done in [*INSTEAD, *instead]:
                line = line.replace(said, done)
            run(line, folders[folder], env)
