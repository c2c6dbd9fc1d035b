"""What a run is expected to write is compared with the room on its disk, before anything starts."""

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
"""Estimates are taken for no better than a factor of two: with less room than this share of what
is expected, a run is refused."""


@dataclass(frozen=True)
class Room:
    """Room on the disk of a run folder, and what is expected to be written there.

    Parameters
    ----------
    free_bytes
        What is free now; None where the system does not tell.
    to_write
        Bytes expected, by stage. What a file to be replaced takes now is taken off.
    """

    free_bytes: int | None
    to_write: dict[str, int]

    @property
    def needed_bytes(self) -> int:
        """Bytes that are still to be written."""
        return sum(self.to_write.values())

    def __str__(self) -> str:
        """Return what people are told."""
        said = f"about {self.needed_bytes / 1e9:.2f} GB to write"
        free = self.free_bytes
        return said if free is None else f"{said}, {free / 1e9:.2f} GB free on the disk"


def room_for(planner: Planner, stages: Iterable[Stage], tiles: Sequence[str] = ()) -> Room:
    """Return what some stages have still to write, and the room that there is.

    A stage that cannot be planned yet, since its input is missing, is not counted.
    """
    to_write = {stage.name: _to_write(_tasks(planner, stage, tiles)) for stage in stages}
    return Room(_free_bytes(planner.run_dir), to_write)


def refuse_full_disk(planner: Planner, stages: Iterable[Stage], tiles: Sequence[str] = ()) -> None:
    """Refuse to begin where the disk has clearly less room than what is still to be written.

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
    """Find a disk that has clearly less room than what is still to be written.

    That is ``E-RUN-DISK``, with the stage that writes most. Who shares the work of a run shares
    its disk, so all tasks of the stages count, or those of some tiles where only these are to be
    run.
    """
    wanted, free = list(stages), _free_bytes(planner.run_dir)
    most = sum(task.cost.bytes_written for one in wanted for task in _tasks(planner, one, tiles))
    if free is None or free >= ENOUGH * most:  # spares a look at every commit
        return ()
    room = room_for(planner, wanted, tiles)
    if free >= ENOUGH * room.needed_bytes:
        return ()
    stage, size = max(room.to_write.items(), key=lambda item: item[1])
    hint = next(one.disk_hint for one in wanted if one.name == stage)
    itself = f"{hint}, or " if hint else ""
    return (
        Problem(
            "E-RUN-DISK",
            f"{room}; most is for stage {stage}, {size / 1e9:.2f} GB",
            str(planner.run_dir),
            f"free some room, set `run_dir` to a larger disk, {itself}run a part "
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
    """Return the bytes that tasks still add, those that are done apart."""
    return sum(
        max(0, task.cost.bytes_written - _there(task))
        for task in tasks
        if task.cost.bytes_written and task.committed() is None
    )


def _there(task: Task) -> int:
    """Return the bytes that the outputs of a task take now."""
    total = 0
    for output in task.outputs:
        with suppress(OSError):
            total += (task.run_dir / output).stat().st_size
    return total


def _free_bytes(run_dir: Path) -> int | None:
    """Return what is free for this user on the disk that holds, or will hold, a folder."""
    for folder in (run_dir, *run_dir.parents):
        with suppress(OSError):
            return shutil.disk_usage(folder).free
    return None
