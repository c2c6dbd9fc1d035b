"""A stage whose tasks take their time and note where they ran; importable by workers."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from oso_pipeline.core.commit import publish_bytes
from oso_pipeline.tasks.job import Job, place
from oso_pipeline.tasks.stage import PlanContext, StageBase
from oso_pipeline.tasks.task import Summary, Task

ENOUGH = ".enough"
"""With this file among the notes, naps are over at once."""


@dataclass(frozen=True, kw_only=True)
class NapJob(Job):
    """The number of a nap, its length, and the folder of the notes."""

    number: int
    seconds: float = place()
    notes: Path = place()


def nap(job: NapJob, task: Task) -> Summary:
    note = job.notes / f"{task.name}.{time.monotonic_ns()}"
    note.write_text(os.environ.get("SLURM_JOB_ID") or os.environ.get("PBS_JOBID") or "none")
    ends = time.monotonic() + job.seconds
    while time.monotonic() < ends and not (note.parent / ENOUGH).exists():
        time.sleep(0.05)
    publish_bytes(task.output(), f"{task.name}\n".encode())
    return {}


class Naps(StageBase):
    """A stage of `count` tasks that take `seconds` each."""

    name = "naps"

    def __init__(self, count: int, seconds: float, notes: Path) -> None:
        self.count, self.seconds, self.notes = count, seconds, notes
        notes.mkdir(exist_ok=True)

    def plan(self, context: PlanContext) -> list[Task]:
        return [
            Task(
                "naps",
                f"t{number}",
                "support.napping:nap",
                context.run_dir,
                (f"naps/{number}.txt",),
                NapJob(number=number, seconds=self.seconds, notes=self.notes),
            )
            for number in range(self.count)
        ]

    def begun(self) -> list[str]:
        """Return the jobs in which tasks began, once for each beginning."""
        notes = [note for note in self.notes.iterdir() if note.name != ENOUGH]
        return [note.read_text() for note in notes]

    def enough(self) -> None:
        """Let all naps be over."""
        (self.notes / ENOUGH).touch()
