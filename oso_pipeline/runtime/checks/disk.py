"""Check free disk space against the expected output size before a run starts."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from oso_pipeline.core.errors import EnvironmentFailure, OsoError, Problem
from oso_pipeline.runtime.planner import Planner, is_per_tile
from oso_pipeline.tasks.stage import Stage
from oso_pipeline.tasks.task import Task, tile_of

ENOUGH = 0.5
"""Estimates may be wrong by a factor of two: a run is refused if less than this fraction of the
expected output size is free."""


@dataclass(frozen=True)
class DiskSpace:
    """Free space on the disk of a run folder, and the expected output size.

    Parameters
    ----------
    free_bytes
        Free bytes; None if the system does not report them.
    to_write
        Expected bytes by stage, minus the size of the files that are replaced.
    """

    free_bytes: int | None
    to_write: dict[str, int]

    @property
    def needed_bytes(self) -> int:
        """Bytes that are still to be written."""
        return sum(self.to_write.values())

    def __str__(self) -> str:
        """Return the sizes as text for messages."""
        said = f"about {self.needed_bytes / 1e9:.2f} GB to write"
        free = self.free_bytes
        return said if free is None else f"{said}, {free / 1e9:.2f} GB free on the disk"


def disk_space(planner: Planner, stages: Iterable[Stage], tiles: Sequence[str] = ()) -> DiskSpace:
    """Return the bytes that some stages still have to write, and the free disk space.

    A stage that cannot be planned yet, since its input is missing, is not counted.
    """
    to_write = {stage.name: _to_write(_tasks(planner, stage, tiles)) for stage in stages}
    return DiskSpace(_free_bytes(planner.run_dir), to_write)


def refuse_full_disk(planner: Planner, stages: Iterable[Stage], tiles: Sequence[str] = ()) -> None:
    """Refuse to start if the disk clearly has less free space than the output needs.

    Raises
    ------
    EnvironmentFailure
        As `disk_problems` finds.
    """
    if problems := disk_problems(planner, stages, tiles):
        raise EnvironmentFailure(*problems)


def disk_problems(
    planner: Planner, stages: Iterable[Stage], tiles: Sequence[str] = ()
) -> tuple[Problem, ...]:
    """Find a disk that clearly has less free space than the output needs.

    Reported as ``E-RUN-DISK`` with the stage that writes most. Shards of a run share its disk, so
    all tasks of the stages count, or only those of `tiles` if these are given.
    """
    wanted, free = list(stages), _free_bytes(planner.run_dir)
    most = sum(task.cost.bytes_written for one in wanted for task in _tasks(planner, one, tiles))
    if free is None or free >= ENOUGH * most:  # avoids reading every commit record
        return ()
    space = disk_space(planner, wanted, tiles)
    if free >= ENOUGH * space.needed_bytes:
        return ()
    stage, size = max(space.to_write.items(), key=lambda item: item[1])
    hint = next(one.disk_hint for one in wanted if one.name == stage)
    itself = f"{hint}, or " if hint else ""
    return (
        Problem(
            "E-RUN-DISK",
            f"{space}; most is for stage {stage}, {size / 1e9:.2f} GB",
            str(planner.run_dir),
            f"free some disk space, set `run_dir` to a larger disk, {itself}run a part "
            "(`--until`, `--tiles`)",
        ),
    )


def _tasks(planner: Planner, stage: Stage, tiles: Sequence[str]) -> Sequence[Task]:
    with suppress(OsoError):
        tasks = planner.tasks(stage.name)
        if tiles and is_per_tile(tasks, planner.config):
            return [task for task in tasks if tile_of(task) in tiles]
        return tasks
    return ()


def _to_write(tasks: Iterable[Task]) -> int:
    """Return the bytes that unfinished tasks still add."""
    return sum(
        max(0, task.cost.bytes_written - _there(task))
        for task in tasks
        if task.cost.bytes_written and task.commit_record() is None
    )


def _there(task: Task) -> int:
    """Return the current size of the outputs of a task in bytes."""
    total = 0
    for output in task.outputs:
        with suppress(OSError):
            total += (task.run_dir / output).stat().st_size
    return total


def _free_bytes(run_dir: Path) -> int | None:
    """Return the bytes free for this user on the disk that holds, or will hold, a folder."""
    for folder in (run_dir, *run_dir.parents):
        with suppress(OSError):
            return shutil.disk_usage(folder).free
    return None
