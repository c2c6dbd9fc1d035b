"""A stage whose tasks take their time and note where they ran; importable by workers."""

from __future__ import annotations

import os
import time
from pathlib import Path

from oso_pipeline.core.commit import publish_bytes
from oso_pipeline.tasks.stage import PlanContext, StageBase
from oso_pipeline.tasks.task import Summary, Task

ENOUGH = ".enough"
"""With this file among the notes, naps are over at once."""


def nap(task: Task) -> Summary:
    note = Path(task.options["notes"]) / f"{task.name}.{time.monotonic_ns()}"
    note.write_text(os.environ.get("SLURM_JOB_ID") or os.environ.get("PBS_JOBID") or "none")
    ends = time.monotonic() + float(task.options["seconds"])
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
        options = {"seconds": self.seconds, "notes": str(self.notes)}
        return [
            Task(
                "naps",
                f"t{number}",
                "napping:nap",
                context.run_dir,
                (f"naps/{number}.txt",),
                params={"number": number},
                options=options,
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
