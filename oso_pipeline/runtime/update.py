"""New inputs since the last run in a folder, and the files to make again for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from oso_pipeline.config import Config
from oso_pipeline.config.loader import load_config
from oso_pipeline.core.commit import read_sidecar
from oso_pipeline.core.differences import change, leaves
from oso_pipeline.core.errors import ConfigError, InputDataError, Problem
from oso_pipeline.core.json_files import read_object
from oso_pipeline.runtime.folder import ownership
from oso_pipeline.runtime.planner import Planner, StagePlan
from oso_pipeline.tasks.past_seasons import PREFIX
from oso_pipeline.tasks.task import Task

FREE = (
    "imagery.as_of",
    "imagery.paths",
    "learning.freeze",
    "learning.model",
    "runtime.block_pixels",
    "runtime.memory_per_worker_gb",
)
"""Settings that an update may change, and that change what is made: it says so."""
_IMAGES = "inventory"
_SHOWN = 10


@dataclass(frozen=True)
class Changes:
    """Changes to the products of a tile since its inventory was committed, by name."""

    new: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    @classmethod
    def of(cls, task: Task) -> Changes:
        """Compare what a task would read with what its output was made from."""
        recipe = (read_sidecar(task.output()) or {}).get("recipe") or {}
        before, now = recipe.get("inputs") or {}, task.inputs
        return cls(
            tuple(sorted(now.keys() - before.keys())),
            tuple(sorted(before.keys() - now.keys())),
            tuple(sorted(name for name in now.keys() & before.keys() if now[name] != before[name])),
        )

    def __bool__(self) -> bool:
        return bool(self.new or self.gone or self.changed)


@dataclass(frozen=True)
class Update:
    """Effect of an update.

    Parameters
    ----------
    since
        When the last run began, as it wrote it down.
    settings
        Those of `FREE` that are not what they were, as text.
    products
        By tile, and by tile and year of past seasons.
    plans
        The stages of which something has to be made.
    """

    since: str
    settings: tuple[str, ...]
    products: Mapping[str, Changes]
    plans: tuple[StagePlan, ...]


def find_update(planner: Planner, before: Config) -> Update:
    """Compare a plan with what the last run has committed.

    Parameters
    ----------
    planner
        Expected products.
    before
        The configuration of the last run, see `configuration_before`.
    """
    images = [s.name for s in planner.stages if s.name.removeprefix(PREFIX) == _IMAGES]
    products = {task.name: Changes.of(task) for name in images for task in planner.tasks(name)}
    plans = [planner.plan(stage) for stage in planner.stages]
    mark = read_object(planner.run_dir / ownership.MARK)
    return Update(
        str(mark.get("started", "an unknown time")),
        _settings(before, planner.config),
        products,
        tuple(plan for plan in plans if plan.todo),
    )


def configuration_before(config: Config) -> Config:
    """Return the configuration of the last run in the run folder; refuse that of another map.

    Raises
    ------
    InputDataError
        If no run was there (``E-RUN-NONE``).
    ConfigError
        If it was another map (``E-RUN-OTHER``), with all settings that differ.
    """
    run_dir = config.run_dir
    path = run_dir / ownership.CONFIG
    if not ownership.is_run_folder(run_dir) or not path.exists():
        message = "there is nothing to update: no run was at work in the run folder"
        hint = "`oso run CONFIG` makes the first map"
        raise InputDataError(Problem("E-RUN-NONE", message, str(run_dir), hint))
    before = load_config(path, ())
    if differing := _differences(_of_the_map(before), _of_the_map(config)):
        shown = "; ".join(differing[:_SHOWN])
        more = f", and {len(differing) - _SHOWN} more" if len(differing) > _SHOWN else ""
        raise ConfigError(
            Problem(
                "E-RUN-OTHER",
                f"the run folder is of another configuration: {shown}{more}",
                str(path),
                "name the run folder of this configuration in `run_dir`; or `oso run CONFIG`, "
                "which makes this map in place of the one there",
            )
        )
    return before


def _of_the_map(config: Config) -> dict[str, Any]:
    """Return what determines the map, by the names of the settings, but what is free."""
    free = {"name", *FREE}
    return {name: value for name, value in leaves(config.science()).items() if not _is(name, free)}


def _is(name: str, free: set[str]) -> bool:
    return name.partition("[")[0] in free


def _settings(before: Config, now: Config) -> tuple[str, ...]:
    """Return the free settings that differ."""
    values = [leaves(config.model_dump(mode="json")) for config in (before, now)]
    old, new = ({key: v for key, v in one.items() if _is(key, {*FREE})} for one in values)
    return tuple(_differences(old, new))


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    found = []
    for name in sorted(old.keys() | new.keys()):
        if name not in new:
            found.append(f"{name}: {old[name]} is gone")
        elif name not in old:
            found.append(f"{name}: {new[name]} is new")
        elif old[name] != new[name]:
            found.append(f"{name}: {change(*(_or_not_set(one[name]) for one in (old, new)))}")
    return found


def _or_not_set(value: Any) -> Any:
    return "not set" if value is None else value
