#!/usr/bin/env python3
"""Checks the rules of structure in docs/architecture.md that no compiler knows.

    scripts/check_includes.py [ROOT]

 * Parts of lib/ include only the parts below them (ALLOWED), by a path from lib/; a stage includes
   no other stage, a dump reader no other reader; <pluck/*.h> may be included anywhere.
 * lib/, cli/ and include/ are C11: with <> they include its headers (STANDARD) and <pluck/*.h>, and
   lib/ and cli/ have no #if that asks for an operating system. What some files may do besides is
   in EXCEPTIONS: systems are for lib/base/platform*.c, instruction sets for lib/simd/.
 * examples/ see <pluck/*.h>, their own headers and the system's, cli/ also the floor of lib/
   (FLOOR), public headers <pluck/*.h>.
 * File names are unique within a part of lib/ and outside of it, except among examples/, that
   lib/.../x.c may implement include/pluck/x.h, and that a file of cli/commands/ has the name of its
   command.
 * A header of lib/ or cli/ declares something and is included by two files or more, unless it is a
   template or a vocabulary of lib/simd/.
 * Functions have at most 80 lines and files 700, lines of tables (brace initialisers) not counted;
   lines have at most 100 columns.

Prints one line a violation, as compilers do; exit status 1 if there is any.
"""
import ast
import os
import pathlib
import re
import sys
import unicodedata

# Part of lib/: the parts that it may include besides itself.
ALLOWED = {
    "base": "",
    "json": "simd base",
    "simd": "base",
    "softmax": "simd base",
    "rng": "base",
    "history": "simd base",
    "select": "softmax simd rng base",
    "stages": "select history softmax simd rng base",
    "config": "stages json simd base",
    "sampler": "config stages select history rng softmax thread simd json base",
    "file": "json base",
    "thread": "simd base",
    "vocab": "file json base",
    "dump": "file json base simd",
    "weighted": "file json simd rng base",
    "heads": "file json thread simd rng base",
    "mpi": "",
    "tune": "dump file softmax thread simd rng base",
}

# What has no data, only decisions, and is therefore for all parts that truncate.
RULES = {"select/rules.h"}

# Parts of lib/ that cli/ may include too: what they do has nothing to do with sampling.
FLOOR = "base json file thread vocab".split()

CODE_FOLDERS = ["lib", "include", "cli", "tests", "bench", "fuzz", "examples"]
SCRIPT_FOLDERS = ["scripts", "tests", "docs", "bench", "fuzz"]
DATA_FOLDERS = ["tests/data", "tests/golden"]
# Named after the header of another project that they stand for.
COMMANDS = "cli/commands"
STAND_INS = ["tests/llama/llama.h", "tests/headers/mpi.h"]
MAX_FUNCTION_LINES = 80
MAX_FILE_LINES = 700
MAX_COLUMNS = 100

# Of lib/simd/: included by the one file that they are made for.
TEMPLATE = re.compile(r"template|^vocabulary_|^lanes_inline")
# Headers of C11, but <threads.h>: lib/thread/ has threads on systems that lack it.
STANDARD = set("""assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp
    signal stdalign stdarg stdatomic stdbool stddef stdint stdio stdlib stdnoreturn string tgmath
    time uchar wchar wctype""".split())
PLATFORM = r"lib/base/platform\w*\.c"
# Files of lib/, cli/ and include/, and headers that they may include besides.
EXCEPTIONS = [
    ("lib/simd/", r"lib/simd/.*", r"(\w*intrin|arm_\w+|wasm_simd128|cpuid|sys/platform/x86)\.h"),
    ("lib/json/cjson_nodes.c", r"lib/json/cjson_nodes\.c", r"cjson/.*"),
    ("lib/file/gzip.c and zip.c", r"lib/file/(gzip|zip)\.c", r"zlib\.h"),
    ("lib/mpi/ and cli/mpi/", r"(lib|cli)/mpi/.*|include/pluck/mpi\.h", r"mpi\.h"),
    ("include/pluck/llama.h", r"include/pluck/llama\.h", r"llama\.h"),
    ("lib/base/platform*.c", PLATFORM, r".*"),
]
SYSTEM_QUESTION = re.compile(
    r"^[ \t]*#[ \t]*(?:el)?if(?:n?def)?\b.*\b(_WIN(?:32|64)|__CYGWIN__|__MINGW\w+"
    r"|__(?:gnu_)?linux\w*|__APPLE__|__MACH__|__unix\w*|__wasi__|__\w+BSD__|__ANDROID__"
    r"|_POSIX_\w+)\b", re.MULTILINE)
# What a stage, a dump reader or an importer defines instead of functions with a header.
DESCRIPTOR = re.compile(r"^const (?:plk_stage|plk_dump_reader|plk_importer) \w+ = \{", re.MULTILINE)
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"]', re.MULTILINE)
COMMENT_OR_STRING = re.compile(
    r"""//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])*'""", re.DOTALL)
DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.MULTILINE)


def blank(match):
    """As many characters and lines as before, so that positions stay what they were."""
    return re.sub(r"[^\n]", " ", match.group())


def without_comments(text):
    def blank_comment(match):
        return blank(match) if match.group().startswith("/") else match.group()

    return COMMENT_OR_STRING.sub(blank_comment, text)


def code_only(text):
    return DIRECTIVE.sub(blank, COMMENT_OR_STRING.sub(blank, text))


def line_of(text, position):
    return text.count("\n", 0, position) + 1


class Source:
    """A C file: its place in the tree, its text, what it includes."""

    def __init__(self, root, path):
        self.path = path.relative_to(root)
        self.text = path.read_text(encoding="utf-8")
        self.top = self.path.parts[0]
        self.part = self.path.parts[1] if self.top == "lib" and len(self.path.parts) > 2 else None
        # (line, True for <...>, what is included)
        plain = without_comments(self.text)
        self.includes = [(line_of(plain, m.start()), m.group(1) == "<", m.group(2))
                         for m in INCLUDE.finditer(plain)]
        self.has_descriptor = DESCRIPTOR.search(plain) is not None


class Checker:
    def __init__(self, root):
        self.root = pathlib.Path(root).resolve()
        self.violations = []
        self.sources = [Source(self.root, path) for path in self.files(CODE_FOLDERS, is_c)]
        # Names of stages and of dump readers.
        self.siblings = {s.path.stem for s in self.sources if s.has_descriptor}

    def files(self, folders, wanted):
        for folder in folders:
            for directory, folders_below, names in os.walk(self.root / folder):
                folders_below.sort()
                place = pathlib.Path(directory)
                if any(place.is_relative_to(self.root / data) for data in DATA_FOLDERS):
                    continue
                yield from (place / name for name in sorted(names) if wanted(place / name))

    def report(self, path, line, message):
        self.violations.append(f"{path}:{line}: {message}")

    def run(self):
        for source in self.sources:
            for include in source.includes:
                self.check_include(source, *include)
            self.check_system_questions(source)
            self.check_c_lengths(source)
        self.check_unique_names()
        self.check_headers_are_shared()
        for path in self.files(SCRIPT_FOLDERS, is_script):
            self.check_script(path.relative_to(self.root), path.read_text(encoding="utf-8"))
        return self.violations

    # Includes

    def check_include(self, source, line, angled, name):
        def report(message):
            self.report(source.path, line, f"{name}: {message}")

        if name.startswith("pluck/"):
            if not (self.root / "include" / name).is_file():
                report("no such public header")
            elif not angled:
                report("a public header is included with <>")
            return
        refusal = self.refusal(source, name) if angled else None
        if refusal:
            report(refusal)
        elif source.top == "lib":
            self.check_lib_include(source, angled, name, report)
        elif source.top == "include":
            if not angled or (self.root / "lib" / name).exists():
                report("a public header includes <pluck/*.h> and headers of C11 only")
        elif source.top == "cli" and self.is_floor(angled, name):
            return
        elif source.top in ("cli", "examples") and not self.is_own(source, angled, name):
            also = f", lib/{{{','.join(FLOOR)}}}/" if source.top == "cli" else ""
            report(f"{source.top}/ includes <pluck/*.h>{also}, its own and system headers only")

    def refusal(self, source, name):
        """Why a file may not include <name>; None if it may."""
        if source.top not in ("lib", "cli", "include") or (self.root / "lib" / name).exists():
            return None
        path = source.path.as_posix()
        places = [(where, files) for where, files, headers in EXCEPTIONS
                  if re.fullmatch(headers, name)]
        known = name.endswith(".h") and name.removesuffix(".h") in STANDARD
        if known or any(re.fullmatch(files, path) for _, files in places):
            return None
        return f"is for {places[0][0]} only"

    def check_system_questions(self, source):
        if source.top not in ("lib", "cli") or re.fullmatch(PLATFORM, source.path.as_posix()):
            return
        for match in SYSTEM_QUESTION.finditer(without_comments(source.text)):
            self.report(source.path, line_of(source.text, match.start(1)),
                        f"{match.group(1)}: lib/base/platform*.c alone ask for a system")

    def is_floor(self, angled, name):
        return (not angled and name.split("/")[0] in FLOOR and ".." not in name
                and (self.root / "lib" / name).is_file())

    def is_own(self, source, angled, name):
        if angled:
            return not (self.root / "lib" / name).exists()
        folder = self.root / source.top
        places = [self.root / source.path.parent, folder, self.root]
        found = [(place / name).resolve() for place in places if (place / name).is_file()]
        return any(path.is_relative_to(folder) for path in found)

    def check_lib_include(self, source, angled, name, report):
        exists = (self.root / "lib" / name).is_file()
        if angled:
            if exists:
                report('an internal header is included with ""')
            return
        parts = pathlib.PurePosixPath(name).parts
        if not exists or len(parts) < 2 or ".." in parts:
            report("no such file in lib/; internal headers are named by their path from there")
            return
        if source.part not in ALLOWED or parts[0] not in ALLOWED:
            unknown = source.part if source.part not in ALLOWED else parts[0]
            report(f"lib/{unknown}/ is not in ALLOWED of scripts/check_includes.py")
            return
        allowed = ALLOWED[source.part].split()
        if parts[0] != source.part and parts[0] not in allowed and name not in RULES:
            report(f"lib/{source.part}/ may include {', '.join(allowed) or 'nothing'} only")
        self.check_sideways(source, parts, report)

    def check_sideways(self, source, parts, report):
        mine = self.sibling(source.path.stem)
        its = self.sibling(pathlib.PurePosixPath(parts[-1]).stem)
        if source.part == parts[0] and mine and its and mine != its:
            report(f"{mine} may not depend on {its}: stages and dump readers stand alone")

    def sibling(self, stem):
        """The stage or reader to which a file belongs: npy_header to npy."""
        owners = [name for name in self.siblings if f"{stem}_".startswith(f"{name}_")]
        return max(owners, key=len, default=None)

    # Names

    def check_unique_names(self):
        by_name, by_stem = {}, {}
        for source in self.sources:
            if source.path.as_posix() in STAND_INS:
                continue
            if source.path.parent.as_posix() == COMMANDS:
                continue
            same = [x for x in by_name.setdefault(source.path.name, []) if not apart(x, source)]
            by_name[source.path.name].append(source)
            if same:
                self.report(source.path, 1, f"{same[0].path} has the same name")
                continue
            if source.top not in ("lib", "cli", "include"):
                continue
            for other in by_stem.setdefault(source.path.stem, []):
                if (other.path.parent != source.path.parent and not implements(other, source)
                        and not apart(other, source)):
                    self.report(source.path, 1, f"{other.path} has the same name")
            by_stem[source.path.stem].append(source)

    def check_headers_are_shared(self):
        users = {}
        for source in self.sources:
            for _, _, name in source.includes:
                users.setdefault(name.split("/")[-1], set()).add(source.path)
        for source in self.sources:
            path = source.path
            if (path.suffix != ".h" or source.top not in ("lib", "cli")
                    or (source.part == "simd" and TEMPLATE.search(path.stem))):
                continue
            n = len(users.get(path.name, ()))
            if n < 2:
                self.report(path, 1, f"{n} files include this header: its text belongs there")
            if not re.search(r"[;}]", code_only(source.text)):
                self.report(path, 1, "declares nothing")

    # Lengths

    def check_c_lengths(self, source):
        self.check_columns(source.path, source.text)
        code = code_only(source.text)
        try:
            functions, table_lines = measure(code)
        except ValueError as problem:
            self.report(source.path, 1, str(problem))
            return
        for name, line, length in functions:
            self.check_function(source.path, line, name, length)
        self.check_file_length(source.path, source.text.count("\n") - table_lines)

    def check_script(self, path, text):
        self.check_columns(path, text)
        self.check_file_length(path, text.count("\n"))
        if path.suffix == ".py":
            for node in ast.walk(ast.parse(text, str(path))):
                if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    length = node.end_lineno - node.lineno + 1
                    self.check_function(path, node.lineno, node.name, length)

    def check_columns(self, path, text):
        for number, line in enumerate(text.split("\n"), 1):
            columns = len(unicodedata.normalize("NFC", line))
            if columns > MAX_COLUMNS:
                self.report(path, number, f"{columns} columns, at most {MAX_COLUMNS}")

    def check_function(self, path, line, name, length):
        if length > MAX_FUNCTION_LINES:
            self.report(path, line, f"{name}() has {length} lines, at most {MAX_FUNCTION_LINES}")

    def check_file_length(self, path, length):
        if length > MAX_FILE_LINES:
            self.report(path, 1, f"{length} lines, at most {MAX_FILE_LINES}")


def is_c(path):
    return path.suffix in (".c", ".h")


def is_script(path):
    if path.suffix in (".py", ".sh"):
        return True
    if path.suffix or not path.is_file():
        return False
    with open(path, "rb") as file:
        return file.read(2) == b"#!"


def apart(a, b):
    """Two parts of lib/ may both have a reader: includes name the part. Examples are programs that
    are read and built alone."""
    return a.top == b.top == "lib" and a.part != b.part or a.top == b.top == "examples"


def implements(a, b):
    """Whether one is lib/.../x.c and the other include/pluck/x.h."""
    header, code = (a, b) if a.top == "include" else (b, a)
    return header.top == "include" and code.top == "lib" and code.path.suffix == ".c"


def measure(code):
    """([(function, line, lines that are no table)], lines of tables) of blanked C code."""
    functions, all_table_lines = [], 0
    open_braces = []  # (kind, position, start of the declaration)
    start, table_lines = 0, 0
    for match in re.finditer(r"[{};]", code):
        position = match.start()
        at_top = all(kind == "linkage" for kind, _, _ in open_braces)
        if match.group() == "{":
            open_braces.append((kind_of_brace(code[start:position], at_top), position, start))
            if open_braces[-1][0] == "linkage":
                start = position + 1
            elif open_braces[-1][0] == "function":
                table_lines = 0
        elif match.group() == "}":
            if not open_braces:
                raise ValueError("a } has no { (is one inside an #if?)")
            kind, opened, declared = open_braces.pop()
            inside = max(line_of(code, position) - line_of(code, opened) - 1, 0)
            if kind == "table" and not any(k == "table" for k, _, _ in open_braces):
                table_lines += inside
                all_table_lines += inside
            elif kind == "function":
                head = code[declared:opened]
                first = line_of(code, declared + len(head) - len(head.lstrip()))
                length = line_of(code, position) - first + 1 - table_lines
                functions.append((function_name(head), first, length))
            if kind in ("function", "linkage"):
                start = position + 1
        elif at_top:
            start = position + 1
    if open_braces:
        line = line_of(code, open_braces[-1][1])
        raise ValueError(f"the {{ of line {line} has no }} (is one inside an #if?)")
    return functions, all_table_lines


def kind_of_brace(head, at_top):
    head = head.rstrip()
    if head.endswith("="):
        return "table"
    if at_top and head.endswith(")"):
        return "function"
    # The "C" of extern "C" is blanked.
    return "linkage" if at_top and re.search(r"\bextern$", head) else "block"


def function_name(head):
    names = re.findall(r"\b(\w+)\s*\(", head)
    return next((name for name in names if not name.startswith("__")), "?")


def main():
    if len(sys.argv) > 2 or "--help" in sys.argv or "-h" in sys.argv:
        print(__doc__)
        return 2
    here = pathlib.Path(__file__).resolve().parent.parent
    violations = Checker(sys.argv[1] if len(sys.argv) == 2 else here).run()
    for violation in violations:
        print(violation)
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
