"""Which part of a plan to run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from oso_pipeline.runtime.planner import Planner
from oso_pipeline.runtime.shard import Shard
from oso_pipeline.tasks.stage import Stage


@dataclass(frozen=True)
class Selection:
    """Which part of the plan to run; everything by default.

    Parameters
    ----------
    until
        Last stage to run.
    only
        The one stage to run; the stages before it must be done.
    goal
        A stage, or several, to run with those that they read, and no others.
    tiles
        Do only the share of these tiles in stages that work per tile. Stages that need all
        tiles run when the others are done too.
    shard
        Do only this share of each stage. A shard never waits: it ends where a stage needs
        what other shards have not done yet.
    """

    until: str | None = None
    only: str | None = None
    goal: str | tuple[str, ...] | None = None
    tiles: tuple[str, ...] = ()
    shard: Shard | None = None

    @property
    def others(self) -> str | None:
        """Other workers on the same stages, if this is only a part: shards or tiles."""
        return "shards" if self.shard else "tiles" if self.tiles else None


def concerned(planner: Planner, selection: Selection) -> Sequence[Stage]:
    """Return the stages that a selection runs.

    Raises
    ------
    InputDataError
        If a goal cannot be planned because its input is missing.
    """
    if selection.only is not None:
        return [planner.stage(selection.only)]
    if selection.goal is not None:
        goals = (selection.goal,) if isinstance(selection.goal, str) else selection.goal
        found = {one.name for goal in goals for one in planner.needed(planner.stage(goal))}
        return [stage for stage in planner.stages if stage.name in found]
    if selection.until is not None:
        return planner.stages[: planner.stages.index(planner.stage(selection.until)) + 1]
    return planner.stages
