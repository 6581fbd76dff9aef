#!/usr/bin/env python3
"""Why: what the shared library exports is its interface, whatever the headers say. A function that
is marked but missing fails to link; one that is exported by accident gets used and can never be
changed.

    test_symbols.py exports NM SHARED_LIBRARY INCLUDE_DIR   exactly the names marked PLUCK_API:
                                                            those of symbols.txt and
                                                            of debian/libpluck1.symbols
    test_symbols.py prefixes NM STATIC_LIBRARY              every linker name is plk_ or pluck_
    test_symbols.py conduct NM SHARED_LIBRARY               nothing prints, exits, reads the
                                                            environment or changes the process
    test_symbols.py state NM STATIC_LIBRARY                 no variable that can be written
    test_symbols.py libm NM STATIC_LIBRARY_OR_PROGRAM       of the system's libm only functions
                                                            whose results are exact or correctly
                                                            rounded everywhere; and not fmaf(),
                                                            slow where it is software
    test_symbols.py sse2 OBJDUMP STATIC_LIBRARY             no instruction newer than SSE, so that
                                                            it runs where only SSE2 is
"""
import pathlib
import re
import subprocess
import sys

from public_names import declared_names

# Of a private cJSON. Nothing that pluck calls writes to them.
CJSON_STATE = {"global_error", "global_hooks", "version"}

# What linkers and instrumentation add to any library.
FROM_TOOLS = re.compile(r"_init|_fini|_edata|_end|__.*")
# The version of the exported symbols, of lib/pluck.map.
VERSION = "PLUCK_1"

FORBIDDEN = set(
    """printf puts putchar vprintf perror stdout stderr __printf_chk __vprintf_chk
       abort exit _exit quick_exit raise signal sigaction getenv secure_getenv setenv putenv
       setlocale rand srand random srandom strtok umask chdir sigprocmask""".split()
)

# Functions of <math.h> by their names for double; with the suffixes f and l they are others.
LIBM = set(
    """acos acosh asin asinh atan atan2 atanh cbrt ceil copysign cos cosh erf erfc exp exp2
       exp10 expm1 fabs fdim floor fma fmax fmin fmod frexp hypot ilogb j0 j1 jn ldexp lgamma
       lgamma_r llrint llround log log10 log1p log2 logb lrint lround modf nan nearbyint
       nextafter nexttoward pow pow10 remainder remquo rint round roundeven scalbln scalbn
       significand sin sincos sinh sqrt tan tanh tgamma trunc y0 y1 yn cexp clog cpow
       csqrt""".split()
)
# IEEE 754 demands the exact or the correctly rounded result of these.
EXACT = set(
    """ceil copysign fabs fdim floor fma fmax fmin fmod frexp ilogb ldexp llrint llround logb lrint
       lround modf nearbyint nextafter remainder rint round roundeven scalbln scalbn sqrt
       trunc""".split()
)
# What compilers and glibc make of calls: exp -> __exp_finite, _ZGVdN4v_exp.
DECORATED = re.compile(r"_*(?:ZGV\w+?v+_)?(\w+?)(?:_finite)?")


def nm(program, *arguments):
    run = subprocess.run([program, *arguments], capture_output=True, text=True, check=True)
    return run.stdout.splitlines()


def defined_names(program, *arguments):
    names = set()
    for line in nm(program, "--defined-only", "-g", *arguments):
        fields = line.split()
        if len(fields) == 3:
            names.add(fields[2])
    return {name for name in names if not FROM_TOOLS.fullmatch(name)}


def check_exports(program, library, include_dir):
    functions, variables, unmarked = declared_names(include_dir)
    declared = set(functions) | set(variables)
    versioned = defined_names(program, "-D", library) - {VERSION, f"{VERSION}@@{VERSION}"}
    exported = {name.split("@")[0] for name in versioned}
    unversioned = {name for name in versioned if not name.endswith(f"@@{VERSION}")}
    problems = [f"{name}: exported without the version {VERSION}" for name in unversioned]
    problems += [f"{name}: declared in a public header without PLUCK_API" for name in unmarked]
    problems += [f"{name}: marked PLUCK_API, but not exported" for name in declared - exported]
    problems += [f"{name}: exported, but in no public header" for name in exported - declared]
    listed = set((pathlib.Path(__file__).parent / "symbols.txt").read_text().split())
    problems += [f"{name}: exported, but not in symbols.txt" for name in exported - listed]
    problems += [f"{name}: in symbols.txt, but not exported" for name in listed - exported]
    debian = pathlib.Path(__file__).parents[2] / "debian" / "libpluck1.symbols"
    packaged = set(re.findall(rf"^ (pluck_\w+)@{VERSION} ", debian.read_text(), re.M))
    problems += [f"{name}: not the same in symbols.txt and debian/libpluck1.symbols"
                 for name in listed ^ packaged]
    if not declared:
        problems.append(f"{include_dir}/pluck declares nothing")
    return problems


def check_prefixes(program, library):
    names = defined_names(program, library)
    problems = [f"{name}: neither plk_ nor pluck_" for name in names
                if not re.match(r"plk_|pluck_", name)]
    return problems if names else [f"{library} defines nothing"]


def check_conduct(program, library):
    undefined = [line.split()[-1].split("@")[0] for line in nm(program, "-D", "-u", library)]
    if not undefined:
        return [f"{library} needs nothing from outside, which cannot be"]
    return [f"{name}: the library may not use it" for name in undefined if name in FORBIDDEN]


def check_state(program, library):
    """Sections of variables that are constant once the loader is done are .data.rel.ro*."""
    problems, n_objects = [], 0
    for line in nm(program, "--defined-only", "-f", "sysv", library):
        fields = [field.strip() for field in line.split("|")]
        if len(fields) != 7:
            continue
        name, section = fields[0], fields[6]
        n_objects += 1
        writable = re.match(r"\.t?data|\.t?bss|\*COM\*", section)
        constant = section.startswith(".data.rel.ro")
        if name.split(".")[0] in CJSON_STATE:
            continue
        if writable and not constant and not FROM_TOOLS.fullmatch(name):
            problems.append(f"{name}: a variable in {section}")
    return problems if n_objects else [f"{library} defines nothing"]


def check_libm(program, library):
    problems, n_symbols = [], 0
    for line in nm(program, "-u", library):
        fields = line.split()
        if len(fields) != 2:
            continue
        n_symbols += 1
        if fields[1].split("@")[0] == "fmaf":
            problems.append("fmaf: without an instruction for it a slow call; simd/fused.h has "
                            "another way")
        name = DECORATED.fullmatch(fields[1].split("@")[0]).group(1)
        plain = name if name in LIBM else name[:-1] if name[-1:] in ("f", "l") else name
        if plain in LIBM and plain not in EXACT:
            problems.append(f"{name}: its last bits differ between systems; lib/base/scalar_math.h "
                            "has a logarithm and an exponential")
    return sorted(set(problems)) if n_symbols else [f"{library} needs nothing, which cannot be"]


def check_sse2(program, library):
    """The names of the instructions of AVX and FMA begin with a v."""
    run = subprocess.run([program, "-d", "--no-show-raw-insn", library], capture_output=True,
                         text=True, check=True)
    names = set(re.findall(r"^ +[0-9a-f]+:\t(\w+)", run.stdout, re.MULTILINE))
    if "mulpd" not in names:
        return [f"{library} has no vectors of doubles, which cannot be"]
    return [f"{name}: not an instruction of SSE2" for name in names if name.startswith("v")]


CHECKS = {
    "exports": check_exports,
    "prefixes": check_prefixes,
    "conduct": check_conduct,
    "state": check_state,
    "libm": check_libm,
    "sse2": check_sse2,
}


def main():
    problems = CHECKS[sys.argv[1]](*sys.argv[2:])
    for problem in sorted(problems):
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
