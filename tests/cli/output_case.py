"""What the tests of written files share: every command with the files that it reads and writes."""
import json
import os
import pathlib
import resource
import shutil
import signal
import stat
import subprocess

from command_case import CommandCase, some

# Lines without outputs, the files that they read, and for each flag that names an output what has
# to be there besides. Every flag of the command that takes a file is in one of its lines.
COMMANDS = [
    ("sample", "small.npy --vocab vocab8.json --added-tokens added.json --config config8.json "
     "--mask kept8.npz -q", {"-o": "", "--kept": "-o x.out"}),
    ("sample", "small.npy -q", {"--partial": "--shard 0/1"}),
    ("sample", "small.npy --plan plan.0 -q", {"--partial": "--shard 0/1"}),
    ("merge", "part.0", {"-o": ""}),
    ("merge", "tune.0", {"--plan-out": ""}),
    ("inspect", "logits.npy --vocab vocab.json --added-tokens added.json --config config.json",
     {"-o": "", "--svg": "", "--csv": ""}),
    ("replay", "lines.jsonl small.npy", {"-o": ""}),
    ("tune", "logits.npy --targets targets.npy --config config.json --bootstrap 0 --no-curves -q",
     {"-o": "", "--svg": "", "--csv": ""}),
    ("report", "logits.npy --targets targets.npy --vocab vocab.json --added-tokens added.json -q",
     {"-o": ""}),
    ("compare", "small.npy --config-a config8.json --config-b config.json --targets t8.txt "
     "--vocab vocab8.json --added-tokens added.json -q", {"-o": ""}),
    ("convert", "small.npy --targets t8.txt --to npy -q", {"-o": "", "--targets-out": "-o x.out"}),
    ("bench", "small.npy --config config8.json --seconds 0", {"-o": ""}),
    ("softmax", "1 2 3", {"-o": ""}),
    ("tree predict", "model.ftz lines.txt", {"-o": ""}),
    ("tree predict", "head.npy hidden.npy --bias bias.npy --vocab vocab12.json "
     "--added-tokens added.json", {"-o": ""}),
    ("tree fit", "hidden.npy next.npy --counts counts.txt --validation valid_hidden.npy "
     "--validation-targets valid_next.npy --epochs 2 -q", {"-o": "", "--checkpoint": "-o x.out"}),
    ("tree fit", "hidden.npy next.npy --tree clusters --vectors head.npy --epochs 2 -q",
     {"-o": "", "--checkpoint": "-o x.out"}),
    ("tree fit", "hidden.npy next.npy --start start.st --epochs 2 -q",
     {"-o": "", "--checkpoint": "-o x.out"}),
    ("tree distill", "head.npy hidden.npy next.npy --bias bias.npy --counts counts.txt "
     "--epochs 2 -q",
     {"-o": "", "--checkpoint": "-o x.out"}),
    ("tree distill", "head.npy hidden.npy next.npy --tree clusters --vectors valid_head.npy "
     "--validation valid_hidden.npy --validation-targets valid_next.npy --epochs 2 -q",
     {"-o": "", "--checkpoint": "-o x.out"}),
    ("tree distill", "head.npy hidden.npy next.npy --start start.st --epochs 2 -q",
     {"-o": "", "--checkpoint": "-o x.out"}),
]

# What a command reads that its line does not name: the inputs of partials.
ALSO_READ = {"part.0": ["small.npy"], "tune.0": ["logits.npy"]}

# Commands that only print: their flags for files are all read.
PRINTING = {"config show": ["--config"], "tree stats": ["--counts"], "tree eval": ["--bias"]}

OLD = b"something that must not be lost\n"
KEPT_MODE = 0o600


ENDING_SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGXFSZ,
                  signal.SIGXCPU, signal.SIGALRM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGPIPE,
                  signal.SIGBUS, signal.SIGVTALRM, signal.SIGPROF]


def take_signals():
    """In a child: signals end it even where nohup or a shell's & has them ignored."""
    for number in ENDING_SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def files_of(line):
    return [w for w in line.split() if "." in w and not w.startswith("-")]


def rows(every_line=False):
    """Command lines, an output flag of each, and what that needs: the first line of each command,
    or every one, for what depends on the inputs."""
    chosen, seen = [], set()
    for command, line, flags in COMMANDS:
        for flag, needed in flags.items():
            if every_line or (command, flag) not in seen:
                seen.add((command, flag))
                chosen.append((command, line, flag, needed))
    return some(chosen)


def state_of(path):
    info = path.lstat()
    kind = stat.S_IFMT(info.st_mode)
    content = None
    if stat.S_ISREG(info.st_mode):
        content = path.read_bytes()
    elif stat.S_ISLNK(info.st_mode):
        content = os.readlink(path)
    return kind, stat.S_IMODE(info.st_mode), info.st_rdev, content


class OutputCase(CommandCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        template = pathlib.Path(cls.template)
        (template / "t8.txt").write_text("1\n2\n3\n4\n5\n")
        (template / "added.json").write_text("{}")
        (template / "vocab12.json").write_text(json.dumps(list("abcdefghijkl")))
        shutil.copy(template / "head.npy", template / "valid_head.npy")
        (template / "plan.0").write_text("what is refused before anybody reads it")
        for line in ("sample small.npy --format json --trace > lines.jsonl",
                     "tree fit hidden.npy next.npy -o start.st --epochs 1 -q > /dev/null",
                     "sample small.npy --shard 0/1 --partial part.0",
                     "tune logits.npy --objective entropy=1 --shard 0/1 --partial tune.0"):
            subprocess.run("pluck " + line, shell=True, check=True, cwd=template, env=cls.env)
        cls.results = {}

    def fresh(self, line):
        """A folder with what a line reads."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        self.folder.chmod(0o755)
        self.folder.parent.chmod(0o755)
        for name in files_of(line) + ALSO_READ.get(line, []):
            shutil.copy(pathlib.Path(self.template, name), self.folder / name)

    def states(self):
        return {p.name: state_of(p) for p in self.folder.iterdir()}

    def run_pluck(self, line, redirections="", **more):
        more = {"stdin": subprocess.DEVNULL, "timeout": 60, **more}
        env = {**self.env, **more.pop("env", {})}
        done = subprocess.run(["sh", "-c", f"exec pluck {line} {redirections}"], cwd=self.folder,
                              capture_output=True, env=env, **more)
        self.stderr = done.stderr.decode("utf-8", "replace")
        self.stdout = done.stdout
        return done.returncode

    def preload(self, function, nth, error):
        """The environment in which the nth call of a function fails."""
        faults = os.environ.get("SYSTEM_FAULTS")
        if not faults:
            self.skipTest("SYSTEM_FAULTS does not name the library that lets system calls fail")
        return {"LD_PRELOAD": faults, "PLUCK_FAULT": f"{function}:{nth}:{error}",
                "ASAN_OPTIONS": "verify_asan_link_order=0:" + os.environ.get("ASAN_OPTIONS", "")}

    def expected_result(self, command, line, flag, needed):
        """What a new file gets; None: it differs from run to run."""
        key = (command, line, flag)
        if key not in self.results:
            self.fresh(line)
            self.assertEqual(self.run_pluck(f"{command} {line} {needed} {flag} out"), 0,
                             f"{command} {line} {flag}: {self.stderr}")
            # A checkpoint is gone when its head is complete.
            self.assertEqual("out" in self.names(), flag != "--checkpoint")
            content = b"" if flag == "--checkpoint" else (self.folder / "out").read_bytes()
            self.results[key] = None if command == "bench" else content
        return self.results[key]

    def check_refused(self, what, before, code, expected):
        self.assertEqual(code, expected, f"{what}: {self.stderr}")
        self.assertEqual(self.states(), before, what)
        self.assertEqual(self.stderr.count("\n"), 1, f"{what}: {self.stderr!r}")
        self.assertEqual(self.stdout, b"", what)
