"""A batch system of two nodes on this machine: munge, slurmctld and two slurmd on loopback."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

DAEMONS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol", "sinfo")
NODES = ("n1", "n2")
CONF = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
JobAcctGatherType=jobacct_gather/none
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=2,bf_interval=2
MpiDefault=none
ReturnToService=2
KillWait=2
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=8 RealMemory=16000
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=8 RealMemory=16000
PartitionName=all Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
"""
# Nodes claim more cores and memory than there are: jobs share the machine.


class Slurm:
    """The daemons and the commands to talk to them.

    Parameters
    ----------
    folder
        Gets configuration, keys, state and logs; its path must be short, as it holds a socket.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.conf = folder / "slurm.conf"
        self.environ = {**os.environ, "SLURM_CONF": str(self.conf)}

    def start(self) -> None:
        """Start all daemons; raise RuntimeError with their words where one does not start."""
        missing = [name for name in DAEMONS if shutil.which(name) is None]
        if missing or os.geteuid() != 0:
            raise RuntimeError(
                f"a real Slurm cannot be started here: {', '.join(missing) or 'root'} is missing; "
                "as root: apt-get install slurmctld slurmd slurm-client munge"
            )
        munge = self.folder / "munge"
        munge.mkdir(mode=0o700)
        (self.folder / "state").mkdir()
        key = munge / "key"
        key.write_bytes(secrets.token_bytes(1024))
        key.chmod(0o400)
        self.conf.write_text(
            CONF.format(folder=self.folder, host=socket.gethostname(), ports=_free_ports(3))
        )
        options = {"key-file": key, "socket": self.folder / "munge.socket"}
        options |= {f"{name}-file": munge / name for name in ("pid", "log", "seed")}
        self.call("munged", *(f"--{name}={path}" for name, path in options.items()))
        self.call("slurmctld", "-c")
        for node in NODES:
            self.call("slurmd", "-N", node)
        wait_until(lambda: self.states() == dict.fromkeys(NODES, "idle"), 60, self.logs)

    def stop(self) -> None:
        """Cancel all jobs and end the daemons."""
        if not self.conf.exists():
            return
        subprocess.run(["scancel", "--user=root"], env=self.environ, check=False)
        wait_until(lambda: not self.jobs(), 30, self.logs)
        files = [*self.folder.glob("slurm*.pid"), self.folder / "munge" / "pid"]
        daemons = [Path("/proc") / file.read_text().strip() for file in files]
        for daemon in daemons:
            subprocess.run(["kill", daemon.name], check=False)
        wait_until(lambda: not any(daemon.exists() for daemon in daemons), 30, self.logs)

    def call(self, *command: object) -> str:
        """Run a command and return what it says."""
        words = [str(word) for word in command]
        done = subprocess.run(
            words, env=self.environ, capture_output=True, text=True, check=False, timeout=60
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(words)}: {done.stderr}{done.stdout}{self.logs()}")
        return done.stdout

    def jobs(self, state: str | None = None) -> dict[str, str]:
        """Return the jobs in the queue and their states, only of one state where given."""
        lines = self.call("squeue", "-h", "-o", "%A %T").split("\n")
        pairs = [line.split() for line in lines if line]
        return {job: found for job, found in pairs if state in (None, found)}

    def states(self) -> dict[str, str]:
        """Return the states of the nodes."""
        lines = self.call("sinfo", "-h", "-N", "-o", "%N %t").split("\n")
        return dict(line.split() for line in lines if line)

    def node_of(self, job: str) -> str:
        """Return the node a job runs on."""
        return self.call("squeue", "-h", "-j", job, "-o", "%N").strip()

    def logs(self) -> str:
        """Return the ends of the daemons' logs."""
        found = sorted(self.folder.glob("*.log"))
        return "\n".join(f"{log.name}:\n{log.read_text()[-2000:]}" for log in found)


def wait_until(
    holds: Callable[[], object],
    seconds: float,
    explain: Callable[[], str] = lambda: "",
    pause_s: float = 0.3,
) -> None:
    """Wait until something holds; raise TimeoutError with an explanation when it does not."""
    ends = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > ends:
            raise TimeoutError(explain())
        time.sleep(pause_s)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
