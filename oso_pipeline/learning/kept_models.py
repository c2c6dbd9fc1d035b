"""Models that stay as they are though what trained them has changed: ``learning.freeze``."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from oso_pipeline.core.commit import digest, read_sidecar, sidecar_of
from oso_pipeline.core.json_files import read_object
from oso_pipeline.tasks.past_seasons import PREFIX
from oso_pipeline.tasks.task import Task

_REFERENCE = "reference/"
"""In the names of the references of all seasons, as ``past_reference/reference/2017``."""


@dataclass(frozen=True)
class KeptTask(Task):
    """A task whose outputs stay those that another state of its inputs made.

    Parameters
    ----------
    kept_key
        Key of their commit; files made from them depend on it.
    """

    kept_key: str = ""

    @cached_property
    def key(self) -> str:
        """The key of what is kept."""
        return self.kept_key


def kept(task: Task) -> Task:
    """Return a task that keeps what is committed, if samples or labels of `task` alone changed.

    `task` itself where nothing is committed, all is up to date, or a parameter, the version of
    the algorithm or the reference is another one: polygons that trained the old model might be
    held out in a new reference, and would evaluate it.
    """
    records = [read_sidecar(task.run_dir / output) for output in task.outputs]
    keys = {None if record is None else record.get("key") for record in records}
    (key, *others) = keys
    recipe: Any = (records[0] or {}).get("recipe")
    if others or not isinstance(key, str) or key == task.key or not _is_recipe(recipe):
        return task
    if _but_samples(recipe) != _but_samples(task.recipe):
        return task
    values = {field.name: getattr(task, field.name) for field in fields(Task)}
    return KeptTask(**values, kept_key=key)


def kept_inputs(run_dir: Path, output: str) -> list[str]:
    """Return what has been made again since a model was trained from it, by stage and task.

    From the run folder: the commits of samples and labels under other keys than the model was
    trained from.
    """
    inputs = ((read_sidecar(run_dir / output) or {}).get("recipe") or {}).get("inputs") or {}
    found = []
    for name, key in inputs.items():
        now = read_object(sidecar_of(run_dir / f"{_place(name)}.parquet")).get("key")
        if now is not None and now != key:
            found.append(name)
    return sorted(found)


def _place(name: str) -> str:
    """Return where a task leaves its file, without its ending.

    Examples
    --------
    >>> _place("samples/31TCJ"), _place("past_samples/31TCJ/2017")
    ('samples/31TCJ', 'past/2017/samples/31TCJ')
    """
    if name.startswith(PREFIX):
        within, _, year = name.removeprefix(PREFIX).rpartition("/")
        return f"past/{year}/{_place(within)}"
    return name


def _is_recipe(found: Any) -> bool:
    return isinstance(found, dict) and isinstance(found.get("inputs"), dict)


def _but_samples(recipe: dict[str, Any]) -> str:
    """Return the digest of a recipe without samples and checks of labels."""
    inputs = {name: key for name, key in recipe["inputs"].items() if _REFERENCE in name}
    return digest({**recipe, "inputs": inputs})
