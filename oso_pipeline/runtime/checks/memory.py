"""Check the memory needs of tasks against the limits of workers before a run starts."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from math import ceil

from oso_pipeline.core.errors import ConfigError, OsoError, Problems
from oso_pipeline.runtime.planner import Planner
from oso_pipeline.tasks.stage import Stage
from oso_pipeline.tasks.task import Task


def refuse_memory(planner: Planner, stages: Iterable[Stage]) -> None:
    """Refuse to begin where a task to be done declares more memory than a worker may use.

    Raises
    ------
    ConfigError
        As `memory_problems` finds.
    """
    memory_problems(planner, stages).raise_errors(ConfigError)


def memory_problems(planner: Planner, stages: Iterable[Stage]) -> Problems:
    """Find tasks to be done that declare more memory than a worker may use.

    These are ``E-RUN-MEMORY`` for every stage concerned, with its greediest task. A stage that
    cannot be planned yet, since its input is missing, is left to the run.
    """
    limit = planner.config.runtime.memory_per_worker_bytes
    problems = Problems()
    for stage in stages:
        tasks: tuple[Task, ...] = ()
        with suppress(OsoError):
            tasks = planner.tasks(stage.name)
        greedy = [task for task in tasks if task.cost.memory_bytes > limit]
        todo = [task for task in greedy if task.commit_record() is None]
        if not todo:
            continue
        task = max(todo, key=lambda one: one.cost.memory_bytes)
        needed = ceil(task.cost.memory_bytes / 1e8) / 10
        problems.error(
            "E-RUN-MEMORY",
            f"task {task.stage} {task.name} needs about {needed:.1f} GB of memory, a worker has "
            f"runtime.memory_per_worker_gb: {limit / 1e9:g}"
            + (f"; so do {len(todo) - 1} more of its stage" if len(todo) > 1 else ""),
            planner.config.file,
            f"set runtime.memory_per_worker_gb to {needed:.1f}, with fewer runtime.workers where "
            "the machine has no more" + (f"; {stage.memory_hint}" if stage.memory_hint else ""),
        )
    return problems
