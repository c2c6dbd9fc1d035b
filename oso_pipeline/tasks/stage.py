"""The contract of a stage: its interface for `runtime` and `report`.

A stage is a folder, or a module, and one line in the list of stages. All that belongs to it is
said by it; general packages loop over the stages and name none. Derive from `StageBase` and
write ``name`` and ``plan``, and the function that does a task::

    check(config)   -> problems   what can be known before any work, all at once, with notes
    plan(context)   -> tasks      pure: decides from the config and what is committed
    do(job, task)   -> a summary  the function that a task names; commits the outputs
    gather(tasks)   -> Gathered   values, warnings and a headline of what was committed
    reusable, unverified, makes, section, in_array, disk_hint, memory_hint, optional,
    plans_from      see `Stage`

**A national file** is made of parts of bounded size, and no driver has to be there to put it
together. It is a stage of its own, with one task whose inputs are the keys of all parts. Every
shard plans that task, and `Shard.share` gives it to exactly one of them. A shard that comes to a
stage while parts of the stages before it are missing does not wait for the others: it ends
there, and its outcome names what it waits for. So whoever commits the last part, or comes after
it, makes the file: the shard that owns the task when it is run again, or a run without
``--shard``, which is what the job ``finish`` of ``oso submit`` does. Within one stage tasks are
done in any order, so a task must not read what another of its own stage makes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

from oso_pipeline.core.errors import OsoError, Problems
from oso_pipeline.tasks.file_digests import FileDigests
from oso_pipeline.tasks.task import Summary, Task

ConfigT_co = TypeVar("ConfigT_co", covariant=True)


class PlanContext(Protocol[ConfigT_co]):
    """Information for the planning of a stage."""

    @property
    def config(self) -> ConfigT_co:
        """The validated configuration."""
        ...

    @property
    def run_dir(self) -> Path:
        """The run folder, which may not exist yet."""
        ...

    @property
    def stages(self) -> Sequence[Stage]:
        """All stages of the run, in the order of the flow."""
        ...

    @property
    def digests(self) -> FileDigests:
        """Digests of the files of the user."""
        ...

    def tasks(self, stage: str) -> tuple[Task, ...]:
        """Return the tasks of an earlier stage."""
        ...


@dataclass(frozen=True)
class Gathered:
    """Summary of a stage after its tasks have ended.

    Parameters
    ----------
    summary
        Values, as in JSON.
    warnings
        Distinct warnings for the user, formatted as `core.errors.Problem`.
    headline
        One line for the terminal; empty where there is nothing to say.
    """

    summary: Summary = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    headline: str = ""


@dataclass(frozen=True)
class Makes:
    """Output of a stage in the run folder, as `oso clean` names and treats it.

    Parameters
    ----------
    kind
        A word for its outputs; several stages may share one.
    is_result
        Whether they are what a run is made for: then only who names the kind removes them.
    folders
        Folders at the top of the run folder for committed files that are not outputs of tasks and
        can be made again from the input; each is a kind of its own.
    """

    kind: str
    is_result: bool = False
    folders: tuple[str, ...] = ()


class Stage(Protocol):
    """Protocol of stages; `StageBase` has defaults for all members but `name` and `plan`."""

    @property
    def name(self) -> str:
        """Name of the stage, as users type it."""
        ...

    @property
    def reusable(self) -> tuple[str, ...]:
        """Patterns of outputs, relative to the run folder, that another run may begin with.

        Only what names no file of this run folder: inventories do, so they are not reusable.
        The commit records come along.
        """
        ...

    @property
    def unverified(self) -> tuple[str, ...]:
        """Folders at the top of the run folder that hold no outputs; `oso verify` passes by."""
        ...

    @property
    def makes(self) -> Makes | None:
        """Its output in the run folder; None for results of a kind named as the stage."""
        ...

    @property
    def section(self) -> str | None:
        """Section of the stage in the report, as ``package.module:function``.

        A worker calls the function with a `RunFiles`; it returns a `Section`, or None where
        there is nothing to show.
        """
        ...

    @property
    def in_array(self) -> bool:
        """Whether the tasks are worth an array of jobs, as they read all images."""
        ...

    @property
    def disk_hint(self) -> str:
        """How the user can make the stage write less; empty where there is no way."""
        ...

    @property
    def memory_hint(self) -> str:
        """Hint for tasks that need more memory than a worker has, else empty."""
        ...

    @property
    def optional(self) -> bool:
        """Whether the stages after it are done though it failed; they say that it is missing."""
        ...

    @property
    def plans_from(self) -> tuple[str, ...] | None:
        """Stages whose committed files decide what is planned; None for all stages before.

        The keys of other tasks do not count: they are known before anything has run. While the
        stages named here are done, tasks of this stage do not begin; beside all others a task
        begins as soon as the files that its job reads are there.
        """
        ...

    def check(self, config: Any) -> Problems:
        """Find what is wrong with the input before any work, from metadata.

        All at once; its notes are shown by `oso check`. A path that is not there and a nomenclature
        that cannot be used are reported by others.
        """
        ...

    def plan(self, context: PlanContext[Any]) -> list[Task]:
        """List the tasks; decide from the config and what is committed, write nothing."""
        ...

    def gather(self, tasks: tuple[Task, ...]) -> Gathered:
        """Sum up what the tasks committed; those that are not committed do not count."""
        ...


MEMBERS = (
    *("name", "reusable", "unverified", "makes", "section", "in_array", "disk_hint"),
    *("memory_hint", "optional", "plans_from", "check", "plan", "gather"),
)


class StageBase:
    """Defaults of the contract."""

    reusable: ClassVar[tuple[str, ...]] = ()
    unverified: ClassVar[tuple[str, ...]] = ()
    makes: ClassVar[Makes | None] = None
    section: ClassVar[str | None] = None
    in_array: ClassVar[bool] = False
    disk_hint: ClassVar[str] = ""
    memory_hint: ClassVar[str] = ""
    optional: ClassVar[bool] = False
    plans_from: ClassVar[tuple[str, ...] | None] = None

    def check(self, config: Any) -> Problems:
        """Find nothing."""
        return Problems()

    def gather(self, tasks: tuple[Task, ...]) -> Gathered:
        """Return the summaries, and what they hold as ``warnings``."""
        done = summaries(tasks)
        return Gathered({"tasks": done}, warnings_of(done), f"{len(done)} of {len(tasks)} done")


class StageError(OsoError, TypeError):
    """An object in the list of stages does not obey the contract."""


def require_contract(stages: Sequence[object]) -> None:
    """Refuse stages that lack a member of the contract, and two of one name.

    Raises
    ------
    StageError
        With every stage concerned and the members that it lacks (``E-STAGE-MEMBER``), and the
        names that occur twice (``E-STAGE-NAME``).
    """
    problems, seen = Problems(), set[str]()
    for stage in stages:
        kind = type(stage)
        where = f"{kind.__module__}.{kind.__qualname__}"
        name = getattr(stage, "name", kind.__qualname__)
        if lacking := [member for member in MEMBERS if not hasattr(stage, member)]:
            problems.error(
                "E-STAGE-MEMBER",
                f"stage {name} lacks {', '.join(lacking)}",
                where,
                "derive it from oso_pipeline.tasks.stage.StageBase, and write what has no default",
            )
        if name in seen:
            message = f"two stages are called {name}; names of tasks and files would mix"
            problems.error("E-STAGE-NAME", message, where, "give one of them another name")
        seen.add(name)
    problems.raise_errors(StageError)


def summaries(tasks: Sequence[Task]) -> list[Summary]:
    """Return the summaries that the committed ones among `tasks` left in their sidecars."""
    records = (task.commit_record() for task in tasks)
    return [record.get("summary", {}) for record in records if record is not None]


def warnings_of(found: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the distinct ``warnings`` of summaries, in their order."""
    texts = (_text(one) for summary in found for one in summary.get("warnings") or ())
    return tuple(dict.fromkeys(texts))


def _text(warning: str | Mapping[str, str]) -> str:
    """Return a warning as it is shown; accuracies hold code and message apart."""
    if isinstance(warning, str):
        return warning
    return f"warning[{warning['code']}] {warning['message']}"
