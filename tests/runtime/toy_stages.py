"""Two toy stages that obey the contract; importable by worker processes."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from oso_pipeline.core.commit import publish_bytes
from oso_pipeline.core.errors import InputDataError, Problem
from oso_pipeline.tasks.stage import Gathered, PlanContext, StageBase, summaries
from oso_pipeline.tasks.task import Summary, Task


def write_number(task: Task) -> Summary:
    value = int(task.params["value"])
    trouble = Path(task.options["trouble"])
    if (trouble / f"bad-{value}").exists():
        raise InputDataError(Problem("E-TOY", f"number {value} is bad", "numbers.txt", "mend it"))
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


def add_up(task: Task) -> Summary:
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
                "toy_stages:write_number",
                context.run_dir,
                (f"numbers/{value}.txt",),
                params={"value": value, "seed": context.config.seed},
                options={"trouble": str(self.trouble)},
            )
            for value in self.values
        ]

    def gather(self, tasks: tuple[Task, ...]) -> Gathered:
        return Gathered({"count": len(summaries(tasks))})


class Total(StageBase):
    name = "total"

    def plan(self, context: PlanContext) -> list[Task]:
        inputs = {task.name: task.key for task in context.tasks("numbers")}
        return [
            Task(
                "total", "sum", "toy_stages:add_up", context.run_dir, ("total.txt",), inputs=inputs
            )
        ]
