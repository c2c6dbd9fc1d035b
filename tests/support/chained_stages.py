"""Toy stages whose tasks begin as soon as their inputs are there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from oso_pipeline.core.commit import publish_bytes
from oso_pipeline.tasks.job import Input, Job, reads
from oso_pipeline.tasks.stage import PlanContext, StageBase
from oso_pipeline.tasks.task import Summary, Task
from support.toy_stages import Numbers


@dataclass(frozen=True, kw_only=True)
class SumJob(Job):
    numbers: Mapping[str, Input] = reads()


def add_up(job: SumJob, task: Task) -> Summary:
    total = sum(int(task.path_of(one).read_text()) for one in job.numbers.values())
    publish_bytes(task.output(), str(total).encode())
    return {"total": total}


class KnownNumbers(Numbers):
    plans_from = ()


class Pairs(StageBase):
    """Sums of two numbers that follow each other."""

    name = "pairs"
    plans_from = ()

    def plan(self, context: PlanContext) -> list[Task]:
        numbers = context.tasks("numbers")
        groups = [numbers[i : i + 2] for i in range(0, len(numbers), 2)]
        return [self.task(context, f"p{i}", group) for i, group in enumerate(groups)]

    def task(self, context: PlanContext, name: str, read: tuple[Task, ...]) -> Task:
        job = SumJob(numbers={one.name: Input.of(one) for one in read})
        output = (f"{self.name}/{name}.txt",)
        return Task(self.name, name, f"{__name__}:add_up", context.run_dir, output, job)


class Sheet(Pairs):
    """The sum of all pairs."""

    name = "sheet"

    def plan(self, context: PlanContext) -> list[Task]:
        return [self.task(context, "all", context.tasks("pairs"))]
