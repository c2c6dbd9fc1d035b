"""Run the stages of a plan in order, side by side where their inputs allow it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from oso_pipeline.core.regular_files import real_place
from oso_pipeline.runtime.events import (
    Event,
    Observer,
    RunStarted,
    StageEnded,
    StageStarted,
    TaskEnded,
)
from oso_pipeline.runtime.executors import Executor
from oso_pipeline.runtime.folder.lock import RunLock
from oso_pipeline.runtime.forecast import Ledger
from oso_pipeline.runtime.outcome import Outcome
from oso_pipeline.runtime.planner import Planner, StagePlan, is_per_tile
from oso_pipeline.runtime.ready_tasks import ReadyTasks, plans_together
from oso_pipeline.runtime.selection import Selection
from oso_pipeline.runtime.stopping import Stop
from oso_pipeline.tasks.past_seasons import of_its_season
from oso_pipeline.tasks.stage import Gathered, Stage
from oso_pipeline.tasks.task import TaskResult


@dataclass
class _Part:
    """A stage and its progress.

    Parameters
    ----------
    plan
        Plan of the stage.
    todo, ended, failed
        Tasks to do, those that have ended, and those of them that failed.
    begun, over
        Whether the observers were notified.
    """

    plan: StagePlan
    todo: int
    ended: int = 0
    failed: int = 0
    begun: bool = False
    over: bool = False


@dataclass
class StageRunner:
    """Runs the stages of a plan.

    Stages whose plans are known run together: a task starts as soon as its inputs exist, even if
    other tasks of earlier stages are left. A stage runs alone if its plan depends on the output of
    earlier stages, if the map may have holes, or in a shard, which waits for no other shard.
    """

    planner: Planner
    executor: Executor
    observers: Sequence[Observer]
    selection: Selection
    lock: RunLock
    stop: Stop
    ledger: Ledger | None = None
    outcome: Outcome = field(default_factory=Outcome)

    def run(self, stages: Sequence[Stage]) -> None:
        """Run the stages until some do not allow the next to follow."""
        self.notify(RunStarted(self.planner.run_dir, tuple(stage.name for stage in stages)))
        left = list(stages)
        while left:
            self.stop.raise_if_stopped()
            if self._must_wait(left[0]):
                break
            plans = plans_together(self.planner, left, self.selection)
            del left[: len(plans)]
            if not self._do([plan for plan in plans if plan.tasks]):
                break
        if self.ledger is not None:
            self.outcome.needs = self.ledger.needs()

    def notify(self, event: Event) -> None:
        """Notify all observers."""
        for observer in self.observers:
            observer.notice(event)

    def _do(self, plans: Sequence[StagePlan]) -> bool:
        """Do what is to do of stages that go together; return whether the next may follow."""
        tasks = ReadyTasks(plans, self._is_stopping)
        parts = {plan.name: _Part(plan, len(plan.todo)) for plan in plans}
        self._announce(parts, tasks)
        for result in self.executor.run(tasks, self._name()):
            self.stop.raise_if_stopped()
            tasks.ended(result)
            self._note(result, parts[result.stage])
            self._announce(parts, tasks)
        for part in parts.values():
            if part.begun and not part.over:
                self._end(part, tasks)
        self.planner.forget()
        left = sum(part.todo - part.ended for part in parts.values())
        return self._may_go_on(list(parts.values()), left - tasks.blocked.total())

    def _note(self, result: TaskResult, part: _Part) -> None:
        """Count a task that has ended, and notify observers."""
        part.ended += 1
        if result.status == "failed":
            part.failed += 1
            self.outcome.failures.append(result)
        else:
            self.outcome.done += 1
        if self.ledger is not None:
            self.ledger.add(result)
        self.notify(TaskEnded(result))

    def _announce(self, parts: dict[str, _Part], tasks: ReadyTasks) -> None:
        """Notify observers of stages that have begun or ended."""
        all_over = True
        for name, part in parts.items():
            if not part.begun and (name in tasks.begun or (all_over and not part.todo)):
                self._begin(part)
            if part.begun and not part.over and part.todo == part.ended + tasks.blocked[name]:
                self._end(part, tasks)
            all_over &= part.over

    def _begin(self, part: _Part) -> None:
        part.begun = True
        if self.ledger is not None:
            self.ledger.expect(part.plan)
        self.notify(StageStarted(part.plan))

    def _end(self, part: _Part, tasks: ReadyTasks) -> None:
        part.over = True
        blocked = tasks.blocked[part.plan.name]
        self.notify(StageEnded(part.plan, part.failed, self._gathered(part.plan), blocked))

    def _may_go_on(self, parts: Sequence[_Part], left: int) -> bool:
        """Return whether later stages may follow; `left` tasks were not started in time."""
        self.outcome.up_to_date += sum(part.plan.count("done") for part in parts if part.begun)
        if left:
            self.outcome.stopped = True
            return False
        failed = [part.plan.stage for part in parts if part.failed]
        self.outcome.passed_over |= {stage.name for stage in failed if stage.optional}
        needed = [stage for stage in failed if not stage.optional]
        return not needed or self.planner.config.map.allow_partial

    def _name(self) -> str:
        """Return a name that separates runs of the same settings on one scheduler."""
        place = sha256(os.fsencode(real_place(self.planner.run_dir))).hexdigest()[:8]
        return f"{self.planner.config.run_id}-{place}"

    def _gathered(self, plan: StagePlan) -> Gathered:
        """Return the summary of the stage; empty for a part of it."""
        if self.selection.others:
            return Gathered()
        return of_its_season(plan.stage.gather(plan.tasks), plan.stage, self.planner)

    def _is_stopping(self) -> bool:
        return self.stop.announced or self.lock.lost

    def _must_wait(self, stage: Stage) -> bool:
        """Return whether a part of a run ends here, since others have not done their part."""
        others = self.selection.others
        if others is None:
            return False
        tasks = self.planner.tasks(stage.name)
        if others == "tiles" and (not tasks or is_per_tile(tasks, self.planner.config)):
            return False
        before = self.planner.upstream(stage)
        unfinished = [one.name for one in before if self.planner.plan(one).todo]
        if unfinished:
            names = ", ".join(unfinished)
            self.outcome.waiting = f"stage {stage.name} waits for {names} of the other {others}"
        return bool(unfinished)
