"""Time of each task of an experiment, in any of its runs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from oso_pipeline.core.commit import digest, publish_json, write_sidecar
from oso_pipeline.core.json_files import ODD_VALUES, read_object
from oso_pipeline.runtime.events import Event, StageEnded, StageStarted, TaskEnded
from oso_pipeline.runtime.folder.lock import shard_logs
from oso_pipeline.runtime.reuse import is_committed_in
from oso_pipeline.tasks.task import Task


@dataclass(frozen=True, slots=True)
class Taken:
    """Time of a task.

    Parameters
    ----------
    core_seconds
        Processor time.
    held_seconds
        Time by the clock, of every core that the task kept.
    """

    core_seconds: float
    held_seconds: float


@dataclass
class Cost:
    """Total time of the tasks of a variant.

    Parameters
    ----------
    core_seconds, held_seconds
        Of all tasks, as of `Taken`.
    shared_seconds
        The part of `held_seconds` that the runs of other variants, or of the base, took.
    unknown
        Tasks whose time is not known.
    """

    core_seconds: float = 0.0
    held_seconds: float = 0.0
    shared_seconds: float = 0.0
    unknown: int = 0


@dataclass
class TaskTimes:
    """Times of tasks by key, in a file: an experiment goes on after an interruption.

    Parameters
    ----------
    path
        The file.
    taken
        By the key of the task, then by who did it: the name of a variant, or nothing for the run of
        the base. Several do tasks whose files cannot be shared, as inventories.
    """

    path: Path
    taken: dict[str, dict[str, Taken]] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> TaskTimes:
        """Return what a file holds; times that cannot be read are unknown."""
        times = cls(path)
        for key, of_runs in read_object(path).items():
            for run, content in of_runs.items() if isinstance(of_runs, dict) else ():
                with suppress(*ODD_VALUES):
                    core, held = float(content["core_seconds"]), float(content["held_seconds"])
                    times.add(key, run, Taken(core, held))
        return times

    def add(self, key: str, run: str, taken: Taken) -> None:
        """Note what a task took in a run."""
        self.taken.setdefault(key, {})[run] = taken

    def save(self) -> None:
        """Write the file, committed."""
        content = {
            key: {run: asdict(one) for run, one in of_runs.items()}
            for key, of_runs in self.taken.items()
        }
        publish_json(self.path, content)
        write_sidecar(self.path, {"stage": "experiment", "key": digest(content)})

    def learn(self, run_dir: Path, tasks: Iterable[Task]) -> None:
        """Take the times of tasks that a run outside the experiment did from its log."""
        logged = dict(_logged(run_dir))
        for task in tasks:
            record = logged.get((task.stage, task.name))
            if record is None or task.key in self.taken or not is_committed_in(task, run_dir):
                continue
            with suppress(*ODD_VALUES):
                core, seconds = float(record["cpu_seconds"]), float(record["seconds"])
                self.add(task.key, "", Taken(core, seconds * _threads(task)))

    def cost_of(self, variant: str, tasks: Iterable[Task]) -> Cost:
        """Return what the tasks of a variant took, each once, whichever run did it."""
        cost = Cost()
        for task in tasks:
            of_runs = self.taken.get(task.key)
            if not of_runs:
                cost.unknown += 1
                continue
            taken = of_runs.get(variant) or next(iter(of_runs.values()))
            cost.core_seconds += taken.core_seconds
            cost.held_seconds += taken.held_seconds
            if variant not in of_runs:
                cost.shared_seconds += taken.held_seconds
        return cost


@dataclass
class TimeKeeper:
    """Notes what the tasks of the run of a variant take."""

    times: TaskTimes
    variant: str
    _tasks: dict[tuple[str, str], Task] = field(default_factory=dict)

    def notice(self, event: Event) -> None:
        """Note the time of a task that was done."""
        match event:
            case StageStarted(plan):
                self._tasks |= {(task.stage, task.name): task for task in plan.todo}
            case TaskEnded(result) if result.status == "done":
                task = self._tasks[result.stage, result.name]
                held = result.seconds * _threads(task)
                self.times.add(task.key, self.variant, Taken(result.cpu_seconds, held))
            case StageEnded():
                self.times.save()


def _threads(task: Task) -> int:
    return int(getattr(task.job, "threads", 1))


def _logged(run_dir: Path) -> Iterator[tuple[tuple[str, str], Mapping[str, Any]]]:
    """Yield the tasks that the logs of a run call done, and what they say of each."""
    for path in (run_dir / "log.jsonl", *sorted(shard_logs(run_dir))):
        try:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            continue
        for line in lines:
            try:
                record = json.loads(line)
                if record["event"] == "task_ended" and record["status"] == "done":
                    yield (record["stage"], record["task"]), record
            except (*ODD_VALUES, ValueError):
                continue
