"""Two toy stages that obey the contract; importable by worker processes."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from oso_pipeline.core.commit import publish_bytes
from oso_pipeline.core.errors import InputDataError, Problem
from oso_pipeline.tasks.job import Input, Job, place, reads
from oso_pipeline.tasks.stage import Gathered, PlanContext, StageBase, summaries
from oso_pipeline.tasks.task import Summary, Task


@dataclass(frozen=True, kw_only=True)
class NumberJob(Job):
    """A number to double, and the folder with files that name the troubles to come."""

    value: int
    seed: int
    trouble: Path = place()


@dataclass(frozen=True, kw_only=True)
class TotalJob(Job):
    """Numbers to add up, by the task that wrote them."""

    numbers: Mapping[str, Input] = reads()


def write_number(job: NumberJob, task: Task) -> Summary:
    value, trouble = job.value, job.trouble
    if (trouble / f"bad-{value}").exists():
        raise InputDataError(Problem("E-TOY", f"number {value} is bad", "numbers.txt", "fix it"))
    if (trouble / f"bug-{value}").exists():
        raise RuntimeError("a bug")
    if (trouble / f"kill-{value}").exists():
        (trouble / f"kill-{value}").unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    if (trouble / f"kill-job-{value}").exists():
        (trouble / f"kill-job-{value}").unlink()
        os.killpg(0, signal.SIGKILL)
    if (trouble / f"kill-always-{value}").exists():
        os.kill(os.getpid(), signal.SIGKILL)
    if (trouble / f"hang-{value}").exists():
        (trouble / f"hangs-{value}").touch()
        time.sleep(120)
    publish_bytes(task.output(), str(value * 2).encode())
    return {"value": value}


def add_up(job: TotalJob, task: Task) -> Summary:
    files = sorted((task.run_dir / "numbers").glob("*.txt"))
    total = sum(int(file.read_text()) for file in files)
    publish_bytes(task.output(), str(total).encode())
    return {"total": total}


class Numbers(StageBase):
    name = "numbers"

    def __init__(self, values: list[int], trouble: Path) -> None:
        self.values, self.trouble = values, trouble

    def plan(self, context: PlanContext) -> list[Task]:
        return [
            Task(
                "numbers",
                f"n{value}",
                "support.toy_stages:write_number",
                context.run_dir,
                (f"numbers/{value}.txt",),
                NumberJob(value=value, seed=context.config.seed, trouble=self.trouble),
            )
            for value in self.values
        ]

    def gather(self, tasks: tuple[Task, ...]) -> Gathered:
        return Gathered({"count": len(summaries(tasks))})


class Total(StageBase):
    name = "total"

    def plan(self, context: PlanContext) -> list[Task]:
        job = TotalJob(numbers={task.name: Input.of(task) for task in context.tasks("numbers")})
        return [
            Task("total", "sum", "support.toy_stages:add_up", context.run_dir, ("total.txt",), job)
        ]
