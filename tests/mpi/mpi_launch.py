"""Starts a program under the launcher of the MPI that it is linked with."""
import os
import shutil
import subprocess
import sys

# What --version of the program says, launchers to try, what --version of the right one says, and
# the packages of Debian.
KINDS = [("Open MPI", ["mpirun.openmpi", "mpirun"], "Open MPI", "openmpi-bin libopenmpi-dev"),
         ("MPICH", ["mpiexec.mpich", "mpiexec.hydra", "mpiexec"], "HYDRA", "mpich libmpich-dev")]


def environment(base=None):
    env = dict(os.environ if base is None else base)
    if os.geteuid() == 0:
        env["OMPI_ALLOW_RUN_AS_ROOT"] = env["OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] = "1"
    return env


def output_of(line):
    return subprocess.run(line, capture_output=True, text=True, env=environment(),
                          stdin=subprocess.DEVNULL, timeout=60).stdout


def is_right(name, said):
    return shutil.which(name) and said in output_of([name, "--version"])


class Launcher:
    """Ends the test as skipped if there is no launcher for this program."""

    def __init__(self, program):
        self.program = str(program)
        self.version = output_of([self.program, "--version"]).split("MPI: ")[-1].strip()
        self.kind, names, said, packages = next(k for k in KINDS if self.version.startswith(k[0]))
        found = [name for name in names if is_right(name, said)]
        if not found:
            print(f"skipped: no launcher of {self.version}; install {packages}")
            sys.exit(77)
        self.name = found[0]

    def line(self, n_ranks, *words, env=None, kill_seconds=None):
        """The command line that starts the program with these arguments; env: variables of the
        ranks; kill_seconds: how long ranks that are told to end may take."""
        line = [self.name]
        if self.kind == "Open MPI":
            line += ["--oversubscribe"]
            if kill_seconds:
                line += ["--mca", "odls_base_sigkill_timeout", str(kill_seconds)]
            line += [w for name in env or {} for w in ("-x", name)]
        return [*line, "-n", str(n_ranks), self.program, *map(str, words)]

    def messages(self, text):
        """Standard error without what the launcher says about a status other than 0."""
        rule, kept, is_own = "-" * 74, [], True
        for line in text.splitlines(keepends=True):
            if line.rstrip() == rule:
                is_own = not is_own
            elif is_own:
                kept.append(line)
        return "".join(kept)
