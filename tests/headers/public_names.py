"""What the public headers declare: the names that they mark PLUCK_API, and functions that they
should have marked.

    public_names.py list INCLUDE_DIR   prints the paths of the headers, one a line
    public_names.py cpp INCLUDE_DIR    prints a C++ program that needs every function
"""
import pathlib
import re
import sys

NOT_CODE = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"', re.DOTALL)
DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.MULTILINE)
FUNCTION = re.compile(r"\b(\w+)\s*\(")
VARIABLE = re.compile(r"\b(\w+)\s*(?:\[[^\]]*\]\s*)*$")


def header_paths(include_dir):
    """mpi.h is of a library of its own."""
    paths = pathlib.Path(include_dir, "pluck").glob("*.h")
    return sorted(path for path in paths if path.name != "mpi.h")


def statements(text):
    """The declarations at file level, without what is between their braces."""
    text = DIRECTIVE.sub("", NOT_CODE.sub(" ", text))
    text = re.sub(r"\bextern\s*\{", "", text)
    statement, depth = "", 0
    for char in text:
        if char == "{":
            depth += 1
        elif char == "}":
            # The brace that closes extern "C" is one too many.
            depth = max(depth - 1, 0)
        elif char == ";" and depth == 0:
            yield " ".join(statement.split())
            statement = ""
        elif depth == 0:
            statement += char


def declared_names(include_dir):
    """(functions, variables, unmarked functions), each a sorted list of names."""
    functions, variables, unmarked = set(), set(), set()
    for path in header_paths(include_dir):
        for statement in statements(path.read_text(encoding="utf-8")):
            function = FUNCTION.search(statement)
            if statement.startswith("PLUCK_API"):
                if function:
                    functions.add(function.group(1))
                else:
                    variables.add(VARIABLE.search(statement).group(1))
            elif function and not re.match(r"typedef\b|static\b", statement):
                unmarked.add(function.group(1))
    return sorted(functions), sorted(variables), sorted(unmarked)


CPP_PROGRAM = """\
%s

using function = void (*)();

static const function functions[] = {
    %s
};

int main()
{
    for (const function &f : functions)
        if (!f)
            return 1;
    return 0;
}
"""


def cpp_program(include_dir):
    functions, _, _ = declared_names(include_dir)
    # llama.h needs llama.cpp's header, and is all inline.
    headers = [path.name for path in header_paths(include_dir) if path.name != "llama.h"]
    return CPP_PROGRAM % ("\n".join(f"#include <pluck/{name}>" for name in headers),
                          "\n    ".join(f"reinterpret_cast<function>(&{f})," for f in functions))


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in ("list", "cpp"):
        sys.exit(__doc__)
    if sys.argv[1] == "list":
        print("\n".join(str(path) for path in header_paths(sys.argv[2])))
    else:
        print(cpp_program(sys.argv[2]), end="")


if __name__ == "__main__":
    main()
