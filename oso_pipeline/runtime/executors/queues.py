"""States of jobs from the commands of a batch system."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

from oso_pipeline.core.errors import Problem

ANSWER_S = 60
ENDED = frozenset(
    [
        "BOOT_FAIL",
        "CANCELLED",
        "COMPLETED",
        "COMPLETING",
        "DEADLINE",
        "FAILED",
        "NODE_FAIL",
        "OUT_OF_MEMORY",
        "PREEMPTED",
        "TIMEOUT",
        "F",
        "E",
        "X",
    ]
)
"""States of jobs that give no worker any more, of Slurm and of PBS."""


@dataclass(frozen=True)
class Queue:
    """How to query a batch system.

    Parameters
    ----------
    submit
        Command that submits a job.
    ask
        Command that lists the jobs of a user.
    read
        From a line of the answer to the number of the job, its state and the reason of it;
        None for lines without a job.
    """

    submit: str
    ask: Callable[[str], list[str]]
    read: Callable[[str], tuple[str, str, str] | None]

    def jobs(self) -> list[tuple[str, str, str]] | None:
        """Return number, state and reason of every job of this user; None without an answer."""
        command = self.ask(_user())
        try:
            answer = subprocess.run(
                command, capture_output=True, text=True, timeout=ANSWER_S, check=True
            )
        except (OSError, subprocess.SubprocessError):
            return None
        lines = (self.read(line) for line in answer.stdout.splitlines())
        return [line for line in lines if line is not None]

    def alive(self) -> set[str] | None:
        """Return the jobs that run or may run; None if the batch system does not answer."""
        jobs = self.jobs()
        return None if jobs is None else {job for job, state, _ in jobs if state not in ENDED}

    def describe(self) -> str:
        """Return one line on the jobs in the queue."""
        jobs = self.jobs()
        if jobs is None:
            return "the batch system does not answer"
        if not jobs:
            return "it has no job of this user"
        said = [f"{job} {state} {reason}".rstrip() for job, state, reason in jobs[:5]]
        return f"it holds {len(jobs)} jobs: {'; '.join(said)}"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no variable is set, and passwd has no entry
        return str(os.getuid())


def _read_squeue(line: str) -> tuple[str, str, str] | None:
    job, state, reason = (*line.split("|"), "", "")[:3]
    return (job, state, f"({reason})") if job.isdigit() else None


def _read_qstat(line: str) -> tuple[str, str, str] | None:
    # 1234.server  user  queue  name  sessid  nodes  cpus  memory  time  state  elapsed
    words = line.split()
    number = words[0].partition(".")[0] if words else ""
    return (number, words[9], "") if number.isdigit() and len(words) >= 10 else None


QUEUES = {
    "slurm": Queue(
        "sbatch", lambda user: ["squeue", "-h", "-u", user, "-o", "%A|%T|%r"], _read_squeue
    ),
    "pbs": Queue("qsub", lambda user: ["qstat", "-u", user], _read_qstat),
}


def queue_problems(system: str) -> tuple[Problem, ...]:
    """Find that this machine has no command to submit jobs with (``E-CLUSTER-QUEUE``)."""
    command = QUEUES[system].submit
    if shutil.which(command) is not None:
        return ()
    hint = "run on a machine that may submit jobs, or choose another runtime.cluster"
    message = f"there is no command {command} on this machine"
    return (Problem("E-CLUSTER-QUEUE", message, None, hint),)
