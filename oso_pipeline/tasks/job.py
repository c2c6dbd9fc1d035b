"""Jobs: parameters and inputs of a task, as one frozen dataclass per kind of task.

The fields of a job say what they are for. A plain field decides the output and enters the key of
the task. A field made by `reads` is an input: its digest enters the key, its path does not. A
field made by `place` enters no key: where things lie, memory limits, threads.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from odc.geo.geobox import GeoBox

from oso_pipeline.core.commit import digest
from oso_pipeline.core.grids import grid_to_json

if TYPE_CHECKING:
    from oso_pipeline.tasks.task import Task

_ROLE = "oso_pipeline"
_NOTHING: Any = dataclasses.MISSING

_MOST_OBJECTS = 256
_PLAIN_OBJECTS: dict[int, tuple[Any, Any]] = {}
"""The last objects as JSON values, by identity; the object is held, so that it keeps its own."""


@dataclass(frozen=True, slots=True)
class Input:
    """A file or folder that a task reads, named by its content.

    Parameters
    ----------
    key
        Digest of the content, or the key of the task that makes it.
    path
        Where it lies: relative to the run folder, or absolute.
    """

    key: str
    path: str

    @classmethod
    def of(cls, task: Task, output: int = 0) -> Input:
        """Return an output of another task as an input."""
        return cls(task.key, task.outputs[output])

    @classmethod
    def of_each(cls, tasks: Iterable[Task], output: int = 0) -> dict[str, Input]:
        """Return an output of each of several tasks, by stage and name: ``samples/31TCJ``."""
        return {f"{task.stage}/{task.name}": cls.of(task, output) for task in tasks}

    @classmethod
    def file(cls, path: Path, digest: str) -> Input:
        """Return a file that no task makes, with the digest of its content."""
        return cls(digest, str(path.absolute()))


@dataclass(frozen=True, slots=True)
class Inputs:
    """Outputs of a stage, read as one input: a task stays small for any number of tiles.

    Parameters
    ----------
    key
        Digest of the keys of all its tasks.
    paths
        The first output of each, relative to the run folder.
    """

    key: str
    paths: tuple[str, ...]

    @classmethod
    def of(cls, tasks: Sequence[Task]) -> Inputs:
        """Return the first outputs of tasks as one input."""
        return cls(digest([task.key for task in tasks]), tuple(task.outputs[0] for task in tasks))


@dataclass(frozen=True, slots=True)
class _Role:
    kind: str
    name: str | None = None
    if_set: bool = False
    part: Callable[[Any], Any] | None = None


def decides(
    name: str | None = None,
    *,
    if_set: bool = False,
    merged: bool = False,
    part: Callable[[Any], Any] | None = None,
    default: Any = _NOTHING,
) -> Any:
    """Declare a field that decides the output, where a plain field does not do.

    Parameters
    ----------
    name
        Its name in the key, where that is not the name of the field.
    if_set
        Leave it out of the key where it is None: a setting that nobody uses outdates nothing.
    merged
        The value is a mapping, or a model, whose items enter the key one by one, so that
        ``oso status --why`` names the one that changed.
    part
        From the value to what of it decides; all of it by default.
    default
        Default of the field.
    """
    role = _Role("merged" if merged else "decides", name, if_set, part)
    return dataclasses.field(default=default, metadata={_ROLE: role})


def reads(name: str | None = None, *, default: Any = _NOTHING) -> Any:
    """Declare an input: an `Input`, `Inputs`, None, or a mapping of names to these.

    Parameters
    ----------
    name
        Its name in the key, where that is not the name of the field. For a mapping a pattern
        that takes the name of each, for example ``model/{}``; ``{}`` by default.
    default
        Default of the field.
    """
    return dataclasses.field(default=default, metadata={_ROLE: _Role("reads", name)})


def file_part(name: str | None = None, *, if_set: bool = False, default: Any = _NOTHING) -> Any:
    """Declare a part of a file of the user: an object with ``to_json`` and ``file``, or None.

    How the file is read is a parameter, its content an input, both under one name.

    Parameters
    ----------
    name
        Name in the key, where that is not the name of the field.
    if_set
        Leave it out of the parameters where it is None.
    default
        Default of the field.
    """
    return dataclasses.field(default=default, metadata={_ROLE: _Role("file", name, if_set)})


def follows(*, default: Any = _NOTHING) -> Any:
    """Declare an input that follows from what is in the key already, so that its own is not.

    As parts that only serve to make the output: it is the same however these are cut.
    """
    return dataclasses.field(default=default, metadata={_ROLE: _Role("follows")})


def place(*, default: Any = _NOTHING) -> Any:
    """Declare a field that does not change the output."""
    return dataclasses.field(default=default, metadata={_ROLE: _Role("place")})


@dataclass(frozen=True, kw_only=True)
class Job:
    """Parameters and inputs of a task; base class of all kinds of jobs.

    Values of fields are JSON values, or objects with ``to_json``, pydantic models, dates, grids,
    and mappings and tuples of these.
    """

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Refuse a job that another version made: it may lack what decides the output."""
        names = {field.name for field in dataclasses.fields(self)}
        if names != state.keys():
            differing = ", ".join(sorted(names ^ state.keys()))
            raise TypeError(
                f"a {type(self).__name__} of another version of the software: it differs in the "
                f"fields {differing}"
            )
        self.__dict__.update(state)

    @property
    def params(self) -> dict[str, Any]:
        """Parameters that decide the output, as JSON values by name."""
        found: dict[str, Any] = {}
        for name, role, value in self._fields():
            if role.kind not in ("decides", "merged", "file") or (role.if_set and value is None):
                continue
            if role.part is not None and value is not None:
                value = role.part(value)
            if role.kind == "merged":
                found |= plain(value)
            else:
                found[role.name or name] = plain(value)
        return found

    @property
    def inputs(self) -> dict[str, str]:
        """The digests of the inputs by name."""
        found: dict[str, str] = {}
        for name, role, value in self._fields():
            if role.kind not in ("reads", "file") or value is None:
                continue
            if role.kind == "file":
                value = value.file
            if isinstance(value, Input | Inputs):
                found[role.name or name] = value.key
            else:
                pattern = role.name or "{}"
                found |= {pattern.format(one): read.key for one, read in value.items()}
        return found

    @property
    def paths_read(self) -> Iterator[str]:
        """Where the inputs lie: files and folders, relative to the run folder or absolute."""
        for _, role, value in self._fields():
            if role.kind not in ("reads", "follows") or value is None:
                continue
            for read in value.values() if isinstance(value, Mapping) else (value,):
                yield from read.paths if isinstance(read, Inputs) else (read.path,)

    def _fields(self) -> Iterator[tuple[str, _Role, Any]]:
        for field in dataclasses.fields(self):
            role = field.metadata.get(_ROLE) or _Role("decides")
            yield field.name, role, getattr(self, field.name)


@dataclass(frozen=True, kw_only=True)
class ReadingJob(Job):
    """A job that reads images into memory, as much of them at once as it may.

    Parameters
    ----------
    memory_bytes
        Memory limit of the process; the output does not depend on it.
    """

    memory_bytes: float = place()


def plain(value: Any) -> Any:
    """Return a value of a field as JSON values.

    Raises
    ------
    TypeError
        If the value has no form in JSON: the key of its task would not be well defined.
    """
    if value is None or isinstance(value, str | int | float):
        return value
    if hasattr(value, "to_json") or hasattr(value, "model_dump") or isinstance(value, GeoBox):
        return _plain_object(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    raise TypeError(f"a field of a job holds a {type(value).__name__}, which has no form in JSON")


def _plain_object(value: Any) -> Any:
    """Return an immutable object as JSON values, which are kept: many tasks share the object."""
    known = _PLAIN_OBJECTS.get(id(value))
    if known is not None and known[0] is value:
        return known[1]
    if isinstance(value, GeoBox):
        content: Any = grid_to_json(value)
    elif hasattr(value, "to_json"):
        content = value.to_json()
    else:
        content = value.model_dump(mode="json")
    if len(_PLAIN_OBJECTS) >= _MOST_OBJECTS:
        _PLAIN_OBJECTS.pop(next(iter(_PLAIN_OBJECTS)))
    _PLAIN_OBJECTS[id(value)] = (value, content)
    return content
