"""Files of a run folder, read for the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from oso_pipeline.core.commit import read_sidecar
from oso_pipeline.core.json_files import object_in, read_object
from oso_pipeline.core.nomenclature import Nomenclature
from oso_pipeline.core.regular_files import read_regular


@dataclass(frozen=True)
class RunFiles:
    """Where to find what a run made.

    Parameters
    ----------
    folder
        The run folder.
    name, year
        Name of the run and year of the map.
    nomenclature
        Classes of the map.
    outputs
        First output of each task by stage, relative to `folder`.
    tiles
        The requested tiles, whether they have products or not.
    as_of
        Day up to which images count, where the configuration sets one.
    """

    folder: Path
    name: str
    year: int
    nomenclature: Nomenclature
    outputs: Mapping[str, Sequence[str]]
    tiles: tuple[str, ...] = ()
    as_of: date | None = None

    def summaries(self, stage: str) -> list[dict[str, Any]]:
        """Return what the tasks of a stage reported when they committed."""
        records = (read_sidecar(self.folder / path) for path in self.outputs.get(stage, ()))
        return [record.get("summary") or {} for record in records if record is not None]

    def committed_files(self, stage: str) -> list[Path]:
        """Return the committed first outputs of a stage."""
        paths = [self.folder / path for path in self.outputs.get(stage, ())]
        return [path for path in paths if read_sidecar(path) is not None]

    def failure(self, stage: str) -> str | None:
        """Return why a stage with tasks has no output, from the log of the run.

        None where it has left something, or nobody tried.
        """
        if stage not in self.outputs or self.committed_files(stage):
            return None
        found = None
        for entry in self.log():
            if entry.get("stage") == stage and entry.get("status") == "failed":
                found = str(entry.get("error") or "no reason was given")
        return found

    def log(self) -> list[dict[str, Any]]:
        """Return the entries of ``log.jsonl``; unreadable lines are skipped."""
        try:
            text = read_regular(self.folder / "log.jsonl").decode("utf-8", "replace")
        except OSError:
            return []
        entries = map(object_in, text.splitlines())  # a kill may have cut the last one
        return [entry for entry in entries if entry]

    def json(self, relative: str) -> dict[str, Any]:
        """Return a JSON file of the run folder; empty where there is none that can be read."""
        return read_object(self.folder / relative)
