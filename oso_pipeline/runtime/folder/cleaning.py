"""Remove from a run folder what can be made again, by kind.

Only files that the run made are ever removed: they have a commit record that names a stage of this
package, or the name of a temporary file. Files that others put there, or changed, stay.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from oso_pipeline.core.commit import is_temporary, sidecar_of
from oso_pipeline.core.file_lists import folder_of, is_list
from oso_pipeline.core.json_files import read_object
from oso_pipeline.runtime.folder.ownership import MARK
from oso_pipeline.runtime.folder.verification import FOLDERS_APART, RECORD_KEYS
from oso_pipeline.tasks.stage import Makes, Stage

TEMPORARY = "temporary"
"""Temporary files of killed writers."""
OUTDATED = "outdated"
"""Files that no task of the plan makes any more, without results."""
BY_DEFAULT = (TEMPORARY, OUTDATED)
_RECORD = ".json"


@dataclass
class Found:
    """The files of a kind.

    Parameters
    ----------
    files
        Those to remove, each with its commit record where it has one.
    n_bytes
        Their size, with that of the records.
    """

    files: list[Path] = field(default_factory=list)
    n_bytes: int = 0

    def add(self, path: Path) -> None:
        """Add a file that is there, or of which the record alone is."""
        self.files.append(path)
        inside = folder_of(path).rglob("*") if is_list(path) else ()
        for one in (path, sidecar_of(path), *inside):
            with suppress(OSError):
                self.n_bytes += one.lstat().st_size


@dataclass
class Holding:
    """Removable files of a run folder.

    Parameters
    ----------
    kinds
        Files that can be removed, by kind, in the order of the stages.
    changed
        Files that are not as they were committed; they are nobody's to remove.
    """

    kinds: dict[str, Found]
    changed: list[Path] = field(default_factory=list)


def known_kinds(stages: Sequence[Stage]) -> list[str]:
    """Return the kinds that there are, in the order of the flow."""
    kinds = [*BY_DEFAULT]
    for makes in map(_makes, stages):
        kinds += [makes.kind, *makes.folders]
    return [*dict.fromkeys(kinds)]


def look(folder: Path, stages: Sequence[Stage], planned: Collection[str] | None) -> Holding:
    """Sort the files of a run folder by kind.

    Parameters
    ----------
    folder
        The run folder.
    stages
        They say what they leave there.
    planned
        Outputs of all tasks of the plan, relative to the folder; None if it is not required what
        is outdated.
    """
    makes = {stage.name: _makes(stage) for stage in stages}
    apart = {*FOLDERS_APART, *(name for stage in stages for name in stage.unverified)}
    folders = {name for one in makes.values() for name in one.folders}
    holding = Holding({kind: Found() for kind in known_kinds(stages)})
    for path, is_record in _files(folder, apart):
        if not is_record:
            holding.kinds[TEMPORARY].add(path)
            continue
        file = path.with_name(path.name.removesuffix(_RECORD))
        record = read_object(path)
        inside = file.relative_to(folder)
        kind = _kind(record, inside, makes, folders, planned)
        if kind is None:
            continue
        if not _is_as_committed(file, record):
            holding.changed.append(file)
            continue
        holding.kinds[kind].add(file)
    return holding


def remove(folder: Path, found: Found) -> None:
    """Remove files and then their commit records; hold the lock of the run folder.

    A record without its file counts for nothing, so a process killed in between leaves no result
    that is half there, and the same command finds what is left by the record.
    """
    for file in found.files:
        if is_list(file):
            shutil.rmtree(folder_of(file), ignore_errors=True)
        file.unlink(missing_ok=True)
        sidecar_of(file).unlink(missing_ok=True)
    for above in sorted({up for file in found.files for up in file.parents}, reverse=True):
        if above != folder and above.is_relative_to(folder):
            with suppress(OSError):  # not empty
                above.rmdir()


def _makes(stage: Stage) -> Makes:
    return stage.makes or Makes(stage.name, is_result=True)


def _files(folder: Path, apart: Collection[str]) -> Iterator[tuple[Path, bool]]:
    """Yield temporary files and what may be commit records, and which it is.

    Not of other runs whose folder lies in this one, as those of `oso evaluate-adaptation`.
    """
    for root, folders, names in os.walk(folder):
        here = Path(root)
        if here == folder:
            folders[:] = [name for name in folders if name not in apart]
        elif MARK in names:
            folders[:] = []
            continue
        for name in sorted(names):
            if is_temporary(name):
                yield here / name, False
            elif name.endswith(_RECORD):
                yield here / name, True


def _kind(
    record: dict[str, Any],
    inside: Path,
    makes: dict[str, Makes],
    folders: Collection[str],
    planned: Collection[str] | None,
) -> str | None:
    """Return the kind of a committed file; None of what no stage of the run has made."""
    recipe = record.get("recipe")
    if not record.keys() >= RECORD_KEYS:
        return None
    if recipe is None:
        return inside.parts[0] if inside.parts[0] in folders else None
    made = makes.get(str(recipe.get("stage"))) if isinstance(recipe, dict) else None
    if made is None:
        return None
    if planned is not None and not made.is_result and inside.as_posix() not in planned:
        return OUTDATED
    return made.kind


def _is_as_committed(file: Path, record: dict[str, Any]) -> bool:
    """Return whether a file has the size that was committed, or is gone."""
    try:
        return file.lstat().st_size == record["size"]
    except FileNotFoundError:
        return True
