"""Tasks that take much longer than their peers are named once, long before their deadline."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from oso_pipeline.core.errors import EnvironmentFailure
from oso_pipeline.runtime.events import (
    Event,
    Observer,
    StageEnded,
    StageStarted,
    TaskEnded,
    TaskStraggles,
)
from oso_pipeline.runtime.planner import StagePlan
from oso_pipeline.tasks.heartbeat import Heartbeat, live_heartbeats
from oso_pipeline.tasks.task import TaskResult

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Usual:
    """When a task takes much longer than usual.

    The rule is that of Spark's speculative execution (``spark.speculation.multiplier`` times the
    median of the tasks that have ended), with more patience, as nothing depends on it but a
    line that people read.

    Parameters
    ----------
    peers
        Minimum number of ended tasks for a comparison.
    times
        Times the median of the peers. A task that was planned to be longer than they has that
        much longer.
    least_s
        Shorter tasks are not worth a line.
    """

    peers: int = 3
    times: float = 5.0
    least_s: float = 30.0


class StragglerWatch:
    """Reads the heartbeat files of running tasks; follows a run.

    It does so from a thread of its own, so it works wherever the tasks run. Times are counted
    from when a heartbeat was first seen: clocks of other hosts may differ.

    Parameters
    ----------
    run_dir
        The run folder.
    longest_s
        Signs of other hosts that are older are taken for left behind.
    observers
        Notified of `TaskStraggles`, once for each attempt at a task.
    usual
        When a task is slow.
    every_s
        How often to look.
    host
        Only tasks of this host, for shards: hundreds of them would read each other's heartbeats.
    """

    def __init__(
        self,
        run_dir: Path,
        longest_s: float,
        observers: Sequence[Observer],
        usual: Usual | None = None,
        every_s: float = 10.0,
        host: str | None = None,
    ) -> None:
        self.run_dir, self.longest_s, self.observers = run_dir, longest_s, observers
        self.usual, self.every_s, self.host = usual or Usual(), every_s, host
        self._planned: dict[tuple[str, str], float] = {}
        self._open: set[tuple[str, str]] = set()
        self._took: dict[str, list[tuple[float, float]]] = {}
        self._seen: dict[Heartbeat, float] = {}
        self._ended = threading.Event()

    def __enter__(self) -> StragglerWatch:
        threading.Thread(target=self._keep_looking, name="stragglers", daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()

    def notice(self, event: Event) -> None:
        """Note which tasks are to come and how long those that ended took."""
        match event:
            case StageStarted(plan):
                self._begin(plan)
            case TaskEnded(result):
                self._add(result)
            case StageEnded(plan):
                self._open = {task for task in self._open if task[0] != plan.name}
            case _:
                pass

    def look(self) -> list[TaskStraggles]:
        """Return the tasks that have become slow since the last look."""
        now = time.monotonic()
        mine = [
            beat
            for beat in live_heartbeats(self.run_dir, self.longest_s, self.host)
            if (beat.stage, beat.task) in self._open
        ]
        self._seen = {beat: self._seen.get(beat, now) for beat in mine}
        usual = {
            stage: tuple(map(median, zip(*list(took), strict=True)))
            for stage, took in list(self._took.items())
            if len(took) >= self.usual.peers
        }
        # A killed worker leaves its heartbeat file; only the latest attempt at a task counts.
        latest = {
            (beat.stage, beat.task): beat for beat in sorted(mine, key=self._seen.__getitem__)
        }
        found = []
        for task, beat in latest.items():
            if beat.stage not in usual:
                continue
            usual_s, usually_planned = usual[beat.stage]
            larger = max(1.0, self._planned[task] / usually_planned) if usually_planned else 1.0
            allowed_s = max(self.usual.least_s, self.usual.times * usual_s * larger)
            if (seconds := now - self._seen[beat]) > allowed_s:
                self._open.discard(task)
                found.append(TaskStraggles(beat, seconds, usual_s))
        return found

    def _begin(self, plan: StagePlan) -> None:
        """Note which tasks are to come, and how long each was planned to be."""
        planned = {(task.stage, task.name): task.cost.core_seconds for task in plan.todo}
        self._planned |= planned
        self._took[plan.name] = []
        self._open = self._open | set(planned)

    def _add(self, result: TaskResult) -> None:
        task = (result.stage, result.name)
        self._open.discard(task)
        if result.status == "done":
            self._took[result.stage].append((result.seconds, self._planned.get(task, 0.0)))

    def _keep_looking(self) -> None:
        while not self._ended.wait(self.every_s):
            if not self._open:
                continue
            try:
                for straggler in self.look():
                    for observer in self.observers:
                        observer.notice(straggler)
            except (OSError, EnvironmentFailure) as error:  # the run meets it too, and says so
                log.debug("stragglers cannot be looked for: %s", error)
