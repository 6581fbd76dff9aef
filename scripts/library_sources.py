#!/usr/bin/env python3
"""Which files make libpluck, for which systems and processors, as the Meson files say it.

    scripts/library_sources.py            writes cmake/sources.cmake
    scripts/library_sources.py --check    exit status 1 if that file is not what would be written

scripts/amalgamate imports it. A list of a Meson file has to be written out in full. Files that not
every target compiles are in the tables system_files of lib/base/meson.build and isa_flags of
lib/simd/meson.build. A file of lib/ that nothing names is an error, so that none is forgotten.
"""
import ast
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUTPUT = ROOT / "cmake" / "sources.cmake"

# What the preprocessor says on the targets that compile a file: for the tables of kernels the same
# as in lib/simd/kernels_tables.h, which asks lib/simd/fused.h about the fused multiply-add.
FUSED = ("__FP_FAST_FMAF", "__FMA__", "__ARM_FEATURE_FMA", "__riscv_flen", "__powerpc64__",
         "__s390x__")
TABLES = {
    "avx2": "defined(__x86_64__)",
    "avx512": "defined(__x86_64__)",
    "neon": "defined(__aarch64__)",
    "sse2": "defined(__SSE2__)",
    "wasm": "defined(__wasm_simd128__)",
    "vector": "!defined(__SSE2__) && !defined(__aarch64__) && !defined(__wasm_simd128__) && ("
              + " || ".join(f"defined({name})" for name in FUSED) + ")",
}
PROCESSORS = {
    "x86": "defined(__i386__)",
    "s390x": "defined(__s390x__)",
    "wasm32": "defined(__wasm__)",
}
SYSTEMS = {
    "windows": "defined(_WIN32)",
    "wasi": "defined(__wasi__)",
}

# A library of its own, and a file of the command.
OTHER_LIBRARIES = ("lib/mpi/", "lib/base/platform_program_posix.c")


class Problem(Exception):
    pass


class Source:
    """A file with what it needs: a condition of the preprocessor or None, and flags."""

    def __init__(self, path, condition=None, flags=()):
        self.path = path
        self.condition = condition
        self.flags = list(flags)
        self.name = pathlib.PurePath(path).stem


def read(path):
    return re.sub(r"^\s*#.*$", "", (ROOT / path).read_text(encoding="utf-8"), flags=re.M)


def one(pattern, path, text):
    found = re.findall(pattern, text, re.S | re.M)
    if len(found) != 1:
        raise Problem(f"{path}: {len(found)} places match {pattern}; one is expected")
    return found[0]


def version():
    return one(r"^  version: '([\d.]+)'", "meson.build", read("meson.build"))


def abi_number():
    return one(r"^pluck_abi_number = '(\d+)'", "meson.build", read("meson.build"))


def headers():
    """Of the library, from include/."""
    text = read("include/meson.build")
    names = ast.literal_eval(one(r"foreach name : (\[.*?\])", "include/meson.build", text))
    paths = [f"pluck/{name}.h" for name in names]
    return paths + re.findall(r"install_headers\('(pluck/[^']+)'", text)


def isa_sources():
    path = "lib/simd/meson.build"
    table = one(r"^isa_flags = (\{.*?^\})", path, read(path))
    table = re.sub(r"cc\.get_supported_arguments\(([^)]*)\)", r"[\1]", table)
    for isa, flags in evaluated(table, path).items():
        if isa not in TABLES:
            raise Problem(f"{path}: TABLES of scripts/library_sources.py has no {isa}")
        yield Source(f"lib/simd/kernels_{isa}.c", TABLES[isa], flags)


def evaluated(text, path):
    """A literal of Meson, which is one of Python but for sums of lists."""
    def value(node):
        if isinstance(node, ast.BinOp):
            return value(node.left) + value(node.right)
        if isinstance(node, ast.Dict):
            return {value(key): value(item) for key, item in zip(node.keys, node.values)}
        if isinstance(node, ast.List):
            return [value(item) for item in node.elts]
        if isinstance(node, ast.Constant):
            return node.value
        raise Problem(f"{path}: not a literal: {ast.unparse(node)}")
    return value(ast.parse(text, mode="eval").body)


def target_flags():
    """[(processor, condition, flags)]: of all files, by Meson's names of processors."""
    table = evaluated(one(r"^target_args = (\{.*?^\})", "meson.build", read("meson.build")),
                      "meson.build")
    return [(name, PROCESSORS[name], flags) for name, flags in table.items()]


def system_sources():
    """Of the other systems and, as the default, of POSIX."""
    path = "lib/base/meson.build"
    table = evaluated(one(r"^system_files = (\{.*?^\})", path, read(path)), path)
    usual = evaluated(one(r"system_files\.get\(host_machine\.system\(\), (\[.*?\])\)", path,
                          read(path)), path)
    if not set(table) <= set(SYSTEMS):
        raise Problem(f"{path}: SYSTEMS of scripts/library_sources.py does not have them all")
    others = [SYSTEMS[system] for system in table]
    names = usual + [name for files in table.values() for name in files]
    for name in dict.fromkeys(names):
        wanted = [SYSTEMS[system] for system, files in table.items() if name in files]
        unwanted = [condition for condition in others if condition not in wanted]
        if name in usual:
            condition = " && ".join(f"!{condition}" for condition in unwanted)
        else:
            condition = " || ".join(wanted)
        yield Source(f"lib/base/{name}", condition or None)


def sources():
    """In the order of the Meson files; a test compares them with what Meson compiles."""
    listed = []
    for part in re.findall(r"'(\w+)'", " ".join(
            re.findall(r"^foreach part : \[(.*?)\]", read("lib/meson.build"), re.S | re.M))):
        path = f"lib/{part}/meson.build"
        for names in re.findall(r"^(?:floor|pluck)_sources \+= files\(\s*('[^()]*)\)",
                                read(path), re.M):
            listed += [Source(f"lib/{part}/{name}") for name in re.findall(r"'([^']+)'", names)]
    listed += [*system_sources(), *isa_sources()]
    names = [source.path for source in listed]
    there = {str(path.relative_to(ROOT)) for path in (ROOT / "lib").rglob("*.c")}
    there = {path for path in there if not path.startswith(OTHER_LIBRARIES)}
    if sorted(names) != sorted(there):
        wrong = sorted(set(names) ^ there) or sorted({n for n in names if names.count(n) > 1})
        raise Problem(f"{wrong[0]}: it must be once in lib/ and once in a list of a Meson file")
    return listed


def as_cmake():
    def setting(name, values):
        return f"set({name}\n    " + "\n    ".join(values) + ")\n"

    listed = sources()
    conditional = [source for source in listed if source.condition]
    parts = [
        "# Written by scripts/library_sources.py from the Meson files; a test compares them.\n"
        f"set(pluck_version {version()})\nset(pluck_abi_number {abi_number()})\n",
        setting("pluck_headers", [f"include/{path}" for path in headers()]),
        setting("pluck_sources", [s.path for s in listed if not s.condition]),
        "# Compiled where the preprocessor says that the condition holds.\n"
        + setting("pluck_conditional_sources", [source.path for source in conditional]),
    ]
    for source in conditional:
        lines = f'set(pluck_condition_{source.name} "{source.condition}")\n'
        if source.flags:
            lines += f"set(pluck_flags_{source.name} {' '.join(source.flags)})\n"
        parts.append(lines)
    parts.append("# Flags of all files, where the condition holds.\n"
                 + setting("pluck_processors", [name for name, _, _ in target_flags()]))
    parts += [f'set(pluck_condition_{name} "{condition}")\n'
              f"set(pluck_flags_{name} {' '.join(flags)})\n"
              for name, condition, flags in target_flags()]
    return "\n".join(parts)


def main():
    if sys.argv[1:] not in ([], ["--check"]):
        sys.exit(__doc__)
    try:
        text = as_cmake()
    except Problem as problem:
        sys.exit(f"library_sources.py: {problem}")
    if not sys.argv[1:]:
        OUTPUT.parent.mkdir(exist_ok=True)
        OUTPUT.write_text(text, encoding="utf-8")
    elif not OUTPUT.exists() or OUTPUT.read_text(encoding="utf-8") != text:
        sys.exit("cmake/sources.cmake is not what the Meson files say; "
                 "run scripts/library_sources.py")


if __name__ == "__main__":
    main()
