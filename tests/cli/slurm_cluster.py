"""A Slurm of one node in a folder of its own, for as long as a test takes: munged, slurmctld and
slurmd with their own key, socket, ports and state, on the loopback address, without cgroups. And a
stand-in for its sbatch, for machines without Slurm: it runs a job at once and sets what Slurm sets.

    slurm_cluster.py OPTION... SCRIPT [ARGUMENT...]     the stand-in
"""
import ctypes
import getpass
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import time

# Debian's packages, by what they are needed for.
PACKAGES = {"munged": "munge", "slurmctld": "slurmctld", "slurmd": "slurmd",
            "sbatch": "slurm-client"}
SYSTEM_FOLDERS = "/usr/sbin:/sbin"
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
SECONDS_TO_START = 30

CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge/socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SwitchType=switch/none
MpiDefault=none
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0,sched_min_interval=0
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def find(program):
    return shutil.which(program, path=os.environ.get("PATH", "") + os.pathsep + SYSTEM_FOLDERS)


def missing_packages():
    return [package for program, package in PACKAGES.items() if not find(program)]


def free_ports(n):
    sockets = [socket.socket() for _ in range(n)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def children_of(pid):
    children = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name, in parentheses, may hold anything.
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            children.append(int(stat.parent.name))
    return children


def prctl(option, value):
    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


class NotStarted(Exception):
    """Raised with the reason why the cluster cannot run."""


class Cluster:
    """env has what commands of Slurm need. No process outlives the test, however it ends: the
    daemons die with it, and it ends the processes that jobs have left."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.daemons = []
        self.env = {"SLURM_CONF": str(self.folder / "slurm.conf")}

    def start(self):
        """Must be followed by stop(), even if it fails."""
        prctl(PR_SET_CHILD_SUBREAPER, 1)
        for name in ("munge", "state", "spool"):
            (self.folder / name).mkdir(parents=True)
        # munged asks that others can reach its socket.
        self.folder.chmod(0o755)
        (self.folder / "munge").chmod(0o755)
        key = self.folder / "munge" / "key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        host = socket.gethostname().split(".")[0]
        (self.folder / "slurm.conf").write_text(CONFIGURATION.format(
            host=host, ports=free_ports(2), user=getpass.getuser(), folder=self.folder))
        munge = self.folder / "munge"
        self.start_daemon("munged", "--foreground", "--force", f"--key-file={key}",
                          f"--socket={munge}/socket", f"--pid-file={munge}/pid",
                          f"--seed-file={munge}/seed", "--num-threads=2")
        self.wait_for("munged", (munge / "socket").exists)
        self.start_daemon("slurmctld", "-D", "-c", "-f", self.env["SLURM_CONF"])
        self.start_daemon("slurmd", "-D", "-c", "-f", self.env["SLURM_CONF"], "-N", host)
        self.wait_for("slurmd", lambda: self.run("sinfo", "-h", "-o", "%T") == "idle")

    def start_daemon(self, program, *arguments):
        with open(self.folder / f"{program}.out", "wb") as out:
            self.daemons.append(subprocess.Popen(
                [find(program), *arguments], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                cwd=self.folder, env={**os.environ, **self.env},
                preexec_fn=lambda: prctl(PR_SET_PDEATHSIG, signal.SIGKILL)))

    def wait_for(self, what, is_there):
        end = time.monotonic() + SECONDS_TO_START
        while not is_there():
            if time.monotonic() > end or any(d.poll() is not None for d in self.daemons):
                lines = [line for log in sorted(self.folder.glob("*.out")) + sorted(
                    self.folder.glob("*.log")) for line in log.read_text().splitlines()]
                problems = [line for line in lines if "error" in line or "fatal" in line]
                raise NotStarted(f"{what} does not start: {(problems or lines[-1:] or ['?'])[0]}")
            time.sleep(0.05)

    def run(self, *command):
        """Standard output of a command of Slurm, or None if it fails."""
        done = subprocess.run(command, env={**os.environ, **self.env}, capture_output=True,
                              text=True, stdin=subprocess.DEVNULL)
        return done.stdout.strip() if done.returncode == 0 else None

    def wait_for_jobs(self, seconds):
        """Waits until no job is left; returns False if jobs are left after the timeout."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.run("squeue", "-h") == "":
                return True
            time.sleep(0.1)
        return False

    def stop(self):
        if len(self.daemons) == 3:
            self.run("scancel", "--user", getpass.getuser())
        for daemon in reversed(self.daemons):
            daemon.terminate()
            try:
                daemon.wait(5)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        self.end_children()

    @staticmethod
    def end_children():
        """Ends the processes that jobs have left, which have become children of this process."""
        for _ in range(100):
            pids = children_of(os.getpid())
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            if not pids:
                return


def stand_in(arguments):
    """sbatch that runs the job at once; the tasks of an array in random order."""
    options = {}
    while arguments[0].startswith("--"):
        name, _, value = arguments.pop(0)[2:].partition("=")
        options[name] = value
    state = pathlib.Path(os.environ["STAND_IN_STATE"])
    number = len(list(state.iterdir())) + 1
    job = state / str(number)
    job.write_text("failed")
    after = options.get("dependency", "").partition("afterok:")[2]
    tasks = [None]
    if "array" in options:
        first, last = map(int, options["array"].split("-"))
        tasks = random.sample(range(first, last + 1), last + 1 - first)
    if after and (state / after).read_text() != "ok":
        tasks = []
    is_good = bool(tasks)
    # Slurm runs a copy.
    copy = state.parent / f"script.{number}"
    shutil.copy(arguments[0], copy)
    for task in tasks:
        env = {k: v for k, v in os.environ.items() if not k.startswith("SLURM_ARRAY")}
        env["SLURM_JOB_ID"] = str(number)
        if task is not None:
            env.update(SLURM_ARRAY_JOB_ID=str(number), SLURM_ARRAY_TASK_ID=str(task),
                       SLURM_ARRAY_TASK_MIN=str(first), SLURM_ARRAY_TASK_MAX=str(last),
                       SLURM_ARRAY_TASK_COUNT=str(last + 1 - first), SLURM_ARRAY_TASK_STEP="1")
        with open(options["output"].replace("%a", str(task)), "wb") as out:
            is_good &= subprocess.run([copy, *arguments[1:]], env=env, stdin=subprocess.DEVNULL,
                                      stdout=out, stderr=out).returncode == 0
    job.write_text("ok" if is_good else "failed")
    print(number)


if __name__ == "__main__":
    stand_in(sys.argv[1:])
