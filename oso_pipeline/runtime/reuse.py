"""Reuse committed files of another run.

Resume compares keys and checksums, not the origin of a file: files that do not match are made
again. So files of another run can only save work, never change a result.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from oso_pipeline.core.commit import read_sidecar, temporary_beside, withdraw_unless
from oso_pipeline.core.errors import InputDataError
from oso_pipeline.runtime.folder.ownership import claim
from oso_pipeline.runtime.planner import Planner
from oso_pipeline.runtime.stages import STAGES
from oso_pipeline.tasks.stage import Stage
from oso_pipeline.tasks.task import Task

_NO_LINKS = {errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK}


def begin_with_preparation(other: Path, run_dir: Path, stages: Iterable[Stage] = STAGES) -> int:
    """Link what stages call reusable from the run in `other` into `run_dir`, where it has none.

    These are labels, samples and copies of images, of all seasons.

    A committed file is replaced, never written to, so that both runs may go on with a link; where
    the file system has none, the file is copied. Inventories are not taken: they name files that
    were extracted into the folder of the other run.

    Parameters
    ----------
    other, run_dir
        Folders of runs.
    stages
        The stages that say what is reusable.

    Returns
    -------
    int
        How many files were linked or copied.
    """
    return _taken(other, run_dir, [pattern for stage in stages for pattern in stage.reusable])


def begin_with_equal(planner: Planner, stages: Iterable[Stage], others: Sequence[Path]) -> int:
    """Link what other runs committed under the keys of the tasks to do.

    Two tasks with one key make the same outputs. Outdated outputs are replaced.

    Parameters
    ----------
    planner
        Of the run that is to begin.
    stages
        Its stages that count. A stage that cannot be planned yet is passed over, and so is one that
        leaves folders beside its outputs: these name files that lie there.
    others
        Folders of runs; the first that has the outputs of a task gives them.

    Returns
    -------
    int
        How many tasks have their outputs from another run.
    """
    count = 0
    for stage in stages:
        if stage.makes is not None and stage.makes.folders:
            continue
        with suppress(InputDataError):
            for task in planner.plan(stage).todo:
                count += _taken_from_first(task, others)
    planner.forget()
    return count


def _taken_from_first(task: Task, others: Sequence[Path]) -> bool:
    other = next((one for one in others if is_committed_in(task, one)), None)
    if other is None:
        return False
    claim(task.run_dir)
    for output in task.outputs:
        withdraw_unless(task.run_dir / output, task.key)
    # The records come last, as of every commit.
    for name in (*task.outputs, *(f"{output}.json" for output in task.outputs)):
        _replace_by_link(other / name, task.run_dir / name)
    return True


def is_committed_in(task: Task, other: Path) -> bool:
    """Tell whether another run committed the outputs of a task under its key."""
    records = [read_sidecar(other / output) for output in task.outputs]
    return bool(records) and all(
        record is not None
        and record.get("key") == task.key
        and record.get("layout", 1) == task.layout
        for record in records
    )


def _replace_by_link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = temporary_beside(target)
    _linked(source, partial)
    partial.replace(target)


def begin_with_extracted(other: Path, run_dir: Path, stages: Iterable[Stage] = STAGES) -> int:
    """Link what was extracted from archives in the run in `other` into `run_dir`.

    An inventory made there compares the files with the archives, and extracts none again.

    Parameters
    ----------
    other, run_dir, stages
        As of `begin_with_preparation`.

    Returns
    -------
    int
        How many files were linked or copied.
    """
    folders = {name for stage in stages if stage.makes for name in stage.makes.folders}
    return _taken(other, run_dir, [f"{name}/**/*" for name in sorted(folders)])


def _taken(other: Path, run_dir: Path, patterns: Iterable[str]) -> int:
    found = {path for one in patterns for name in (one, f"{one}.json") for path in other.glob(name)}
    # Temporary files of a run under way begin with a dot.
    whole = sorted(path for path in found if path.is_file() and not path.name.startswith("."))
    if whole:
        claim(run_dir)
    return sum(_linked(path, run_dir / path.relative_to(other)) for path in whole)


def _linked(source: Path, target: Path) -> bool:
    target.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        try:
            os.link(source, target)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            _copy(source, target)
        return True
    return False


def _copy(source: Path, target: Path) -> None:
    """Copy under another name first: a copy that is cut short must not bear the name."""
    if target.exists():
        raise FileExistsError(target)
    partial = temporary_beside(target)
    shutil.copy2(source, partial)
    partial.replace(target)
