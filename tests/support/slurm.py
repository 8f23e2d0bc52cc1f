"""A Slurm of one node on loopback: the real daemons, with files, ports and a key of their own in a temporary folder."""

from __future__ import annotations

import contextlib
import getpass
import os
import re
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from .builds import parent_of

DAEMONS = ("munged", "slurmctld", "slurmd")
CLIENTS = ("sbatch", "scontrol", "squeue")
FINAL = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY")

_CONFIG = """\
ClusterName=mmprolong
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={control_port}
SlurmdPort={node_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
KillWait=5
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory=16000 State=UNKNOWN
PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def missing_programs() -> list[str]:
    """What of Slurm is not installed."""
    return [name for name in DAEMONS + CLIENTS if _program(name) is None]


class Slurm:
    """A running cluster.

    Attributes:
        folder: Where its files lie.
        environment: For a process that shall use this cluster.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}

    def call(self, name: str, *arguments: str | Path) -> str:
        """Run one of its commands. Returns what it printed."""
        line = [_program(name) or name, *map(str, arguments)]
        done = subprocess.run(line, env=self.environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, f"{line}: {done.stderr}\n{self.logs()}"
        return done.stdout.strip()

    def submit(self, *arguments: str | Path) -> str:
        """Call ``sbatch``. Returns the job's number."""
        return self.call("sbatch", "--parsable", "--output", self.folder / "job-%A-%a.txt", *arguments)

    def states(self, job: str) -> dict[str, str]:
        """Name -> state of a job or of the tasks of an array: ``7`` or ``7_0``."""
        found = {}
        for line in self.call("scontrol", "show", "job", "--oneliner", job).splitlines():
            words = dict(word.split("=", 1) for word in line.split() if "=" in word)
            task = words.get("ArrayTaskId", "")
            found[f"{job.partition('_')[0]}_{task}" if task else words["JobId"]] = words["JobState"]
        return found

    def wait(self, job: str) -> dict[str, str]:
        """Wait for the end of a job or of all tasks of an array. Returns ``states``."""
        self.until(lambda: all(state in FINAL for state in self.states(job).values()))
        return self.states(job)

    def until(self, condition: Callable[[], object], patience: float = 240) -> None:
        """Wait until a condition holds."""
        deadline = time.monotonic() + patience
        while not condition():
            assert time.monotonic() < deadline, f"the condition never held\n{self.logs()}"
            time.sleep(0.05)

    def process(self, task: str) -> int:
        """Process id of the script of a running job or task, or of what it was replaced by."""
        self.until(lambda: self._processes(task))  # a job that runs has none yet for a moment
        own = self._processes(task)
        return next(pid for pid in own if parent_of(pid) not in own)

    def _processes(self, task: str) -> set[int]:
        number = re.search(r"JobId=(\d+)", self.call("scontrol", "show", "job", "--oneliner", task))
        assert number is not None
        try:
            lines = self.call("scontrol", "listpids", number[1]).splitlines()[1:]
        except AssertionError:
            return set()
        return {int(line.split()[0]) for line in lines} - {-1}

    def requeue(self, task: str) -> None:
        """Put a running or failed job in the queue again, as an administrator or a preemption does."""
        self.call("scontrol", "requeue", task)
        self.until(lambda: self.states(task)[task] == "PENDING")
        # Slurm lets it wait two minutes for whatever ended it to be over; in the same second a node refuses it.
        self.call("scontrol", "update", f"jobid={task}", "StartTime=now+2")

    def output(self, job: str) -> str:
        """What a job or the tasks of an array printed."""
        return "\n".join(path.read_text() for path in sorted(self.folder.glob(f"job-{job}-*.txt")))

    def logs(self) -> str:
        """The end of what daemons and jobs wrote."""
        files = sorted([*self.folder.glob("*.log"), *self.folder.glob("job-*.txt")])
        return "\n".join(f"--- {path.name}\n{path.read_text(errors='replace')[-3000:]}" for path in files)


@contextlib.contextmanager
def one_node() -> Iterator[Slurm]:
    """Start munged, slurmctld and slurmd as the current user; end them, and what they started, at the end."""
    folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))  # short: the path of a socket has 108 bytes
    folder.chmod(0o755)
    slurm = Slurm(folder)
    daemons: list[subprocess.Popen[bytes]] = []
    try:
        for name in ("state", "spool"):
            (folder / name).mkdir()
        key = folder / "munge.key"
        key.touch(0o600)
        key.write_bytes(secrets.token_bytes(128))
        control_port, node_port = _free_ports(2)
        config = _CONFIG.format(
            host=socket.gethostname().partition(".")[0], folder=folder, user=getpass.getuser(),
            control_port=control_port, node_port=node_port,
        )  # fmt: skip
        (folder / "slurm.conf").write_text(config)
        munge = {"key-file": key, "socket": folder / "munge.socket", "pid-file": folder / "munged.pid"}
        munge |= {"log-file": folder / "munged.log", "seed-file": folder / "munged.seed"}
        lines = [
            ["munged", "--foreground", "--num-threads=1", *(f"--{name}={value}" for name, value in munge.items())],
            ["slurmctld", "-D", "-f", str(folder / "slurm.conf")],
            ["slurmd", "-D", "-f", str(folder / "slurm.conf")],
        ]
        for name, *arguments in lines:
            with (folder / f"{name}-output.log").open("wb") as output:
                daemons.append(
                    subprocess.Popen(
                        [_program(name) or name, *arguments], env=slurm.environment, stdout=output, stderr=output
                    )
                )
            if name == "munged":
                slurm.until((folder / "munge.socket").exists, 30)
        slurm.until(lambda: _idle(slurm), 60)
        yield slurm
    finally:
        with contextlib.suppress(AssertionError, subprocess.SubprocessError, OSError):
            for line in slurm.call("squeue", "--noheader", "--format=%A").split():
                slurm.call("scancel", "--signal=KILL", line)
                slurm.call("scancel", line)
            slurm.until(lambda: not slurm.call("squeue", "--noheader"), 20)
        for daemon in reversed(daemons):
            daemon.terminate()
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _idle(slurm: Slurm) -> bool:
    try:
        return "State=IDLE" in slurm.call("scontrol", "show", "node")
    except AssertionError:  # the controller is starting
        return False


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _program(name: str) -> str | None:
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"]))
