"""Tasks whose outputs only serve to make those of another task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from oso_pipeline.core.commit import digest, read_sidecar
from oso_pipeline.core.errors import InputDataError, Problem
from oso_pipeline.tasks.job import Inputs
from oso_pipeline.tasks.task import Task, TaskState


@dataclass(frozen=True)
class PartTask(Task):
    """A task that counts as done once what it serves is committed.

    So its outputs may be removed then, and a run of an older version without parts does not make
    them for what is there already. The whole must have the same key whatever the parts are.

    Parameters
    ----------
    whole
        The task that reads the outputs. Workers do not need it, so it is not sent to them.
    """

    whole: Task | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the whole."""
        return {**self.__dict__, "whole": None}

    def commit_record(self) -> dict[str, Any] | None:
        """Return the commit record, one without a summary where the whole alone is committed."""
        record = super().commit_record()
        if record is None and self.whole is not None and self.whole.commit_record() is not None:
            return {"key": self.key}
        return record

    def state(self) -> TaskState:
        """Compare what is committed with what the task would make, or the whole."""
        state = super().state()
        if (
            state.status != "done"
            and self.whole is not None
            and self.whole.commit_record() is not None
        ):
            return TaskState("done", "the output made from it is up to date")
        return state


def require_parts(task: Task, parts: Inputs) -> None:
    """Refuse parts that are not committed for the settings of a task.

    The key of the task does not follow theirs. Where one failed and the run goes on, as
    ``map.allow_partial`` lets it, its place may hold what other settings made.

    Raises
    ------
    InputDataError
        If one is missing or outdated (``E-RUN-STAGE``).
    """
    records = [read_sidecar(task.run_dir / path) or {} for path in parts.paths]
    keys = [record.get("key") for record in records]
    if digest(keys) == parts.key:
        return
    missing = [path for path, key in zip(parts.paths, keys, strict=True) if key is None]
    found = f"{len(missing)} of {len(keys)} parts are missing" if missing else "a part is outdated"
    raise InputDataError(
        Problem(
            "E-RUN-STAGE",
            f"task {task.stage} {task.name} cannot be done: {found}, as their tasks have failed",
            str(task.run_dir / (missing or parts.paths)[0]),
            "see why they failed, then run again",
        )
    )
