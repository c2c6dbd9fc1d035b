"""Which tasks may begin: those whose inputs are there, before all those that most waits for."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from heapq import heappop, heappush
from pathlib import PurePosixPath

from oso_pipeline.core.errors import InputDataError
from oso_pipeline.runtime.planner import Planner, StagePlan
from oso_pipeline.runtime.selection import Selection
from oso_pipeline.tasks.stage import Stage
from oso_pipeline.tasks.task import Task, TaskResult


def goes_with(stage: Stage, plans: Sequence[StagePlan]) -> bool:
    """Return whether tasks of a stage may begin while stages before it are done."""
    looked_at = stage.plans_from
    busy = {plan.name for plan in plans if plan.todo}
    return not busy if looked_at is None else busy.isdisjoint(looked_at)


def plans_together(
    planner: Planner, stages: Sequence[Stage], selection: Selection
) -> list[StagePlan]:
    """Plan the first stage, and those behind it whose plans what it does cannot change.

    Raises
    ------
    InputDataError
        If the first stage cannot be planned. A later one ends the list: what stands before it is
        done first.
    """
    apart = bool(selection.others) or planner.config.map.allow_partial
    plans: list[StagePlan] = []
    for stage in stages:
        if plans and (apart or not goes_with(stage, plans)):
            break
        try:
            plan = planner.plan(stage, selection.tiles, selection.shard)
        except InputDataError:
            if not plans:
                raise
            break
        plans.append(plan)
    return plans


class ReadyTasks:
    """The tasks to do of several stages, each given out when what it reads has been made.

    A task waits for the tasks of other stages whose outputs its inputs name; where an input is a
    folder, for all that write below it. Of the tasks that may begin, the one comes first whose own
    time, with that of the longest way from it to the end, is the longest.

    Parameters
    ----------
    plans
        The stages, in the order of the flow.
    stopping
        Nothing more is given out once it says so.
    """

    def __init__(self, plans: Sequence[StagePlan], stopping: Callable[[], bool]) -> None:
        self._tasks = [task for plan in plans for task in plan.todo]
        self._stopping = stopping
        self._numbers = {(task.stage, task.name): n for n, task in enumerate(self._tasks)}
        needed = makers_of(self._tasks)
        self._open = [len(before) for before in needed]
        self._dependents: list[list[int]] = [[] for _ in self._tasks]
        for number, before in enumerate(needed):
            for one in before:
                self._dependents[one].append(number)
        self._length = self._lengths()
        self._ready: list[tuple[float, int]] = []
        self._given = 0
        self._lost: set[int] = set()
        self.begun: set[str] = set()
        """Stages of which a task may begin, or has begun."""
        self.blocked: Counter[str] = Counter()
        """Tasks of each stage that cannot be done, as what they read was not made."""
        for number, count in enumerate(self._open):
            if not count:
                self._add(number)

    def __len__(self) -> int:
        """Return how many tasks there are to do."""
        return len(self._tasks)

    def __iter__(self) -> Iterator[Task | None]:
        """Give the tasks out; None where nothing may begin until another task has ended."""
        while not self._stopping():
            if self._ready:
                self._given += 1
                yield self._tasks[heappop(self._ready)[1]]
            elif self._given:
                yield None
            else:
                return

    def ended(self, result: TaskResult) -> None:
        """Take note of the end of a task that was given out."""
        number = self._numbers[result.stage, result.name]
        self._given -= 1
        if result.status == "failed":
            self._block(number)
            return
        for one in self._dependents[number]:
            self._open[one] -= 1
            if not self._open[one] and one not in self._lost:
                self._add(one)

    def _add(self, number: int) -> None:
        heappush(self._ready, (-self._length[number], number))
        self.begun.add(self._tasks[number].stage)

    def _block(self, number: int) -> None:
        """Give up all that needs the output of a task, directly or not."""
        ends = [number]
        while ends:
            for one in self._dependents[ends.pop()]:
                if one not in self._lost:
                    self._lost.add(one)
                    self.blocked[self._tasks[one].stage] += 1
                    ends.append(one)

    def _lengths(self) -> list[float]:
        """Return the core seconds from the begin of each task to the end of all that needs it."""
        found = [task.cost.core_seconds for task in self._tasks]
        for number in reversed(range(len(found))):  # what needs a task stands behind it
            found[number] += max((found[one] for one in self._dependents[number]), default=0.0)
        return found


def makers_of(tasks: Sequence[Task]) -> list[set[int]]:
    """Return for each task the numbers of those of earlier stages that make its inputs."""
    makers: defaultdict[str, list[int]] = defaultdict(list)
    for number, task in enumerate(tasks):
        for output in task.outputs:
            path = PurePosixPath(output)
            for place in (path, *path.parents):
                makers[str(place)].append(number)
    return [
        {
            one
            for path in set(task.job.paths_read)
            for one in makers.get(path, ())
            if one < number and tasks[one].stage != task.stage
        }
        for number, task in enumerate(tasks)
    ]
