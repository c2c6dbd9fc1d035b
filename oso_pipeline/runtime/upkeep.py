"""Maintenance of a run folder: remove files that can be made again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from oso_pipeline.runtime import session
from oso_pipeline.runtime.folder import cleaning
from oso_pipeline.runtime.folder.lock import RunLock
from oso_pipeline.runtime.stages import STAGES


def clean(run_folder: Path, kinds: Sequence[str], dry_run: bool = False) -> cleaning.Holding:
    """Remove the files of some kinds from a run folder; return what was there.

    Parameters
    ----------
    run_folder
        Folder of a run, or its YAML file.
    kinds
        See `cleaning.known_kinds`.
    dry_run
        Look only.

    Raises
    ------
    ConfigError, InputDataError
        If no run has written the folder; if outdated files are requested and the run cannot be
        planned, as its images or labels are not there.
    EnvironmentFailure
        If a run works in the folder.
    """
    folder = session.folder_of(run_folder)
    if dry_run:
        return _look(run_folder, folder, kinds)
    with RunLock(folder):
        holding = _look(run_folder, folder, kinds)
        for kind in kinds:
            cleaning.remove(folder, holding.kinds[kind])
    return holding


def _look(run_folder: Path, folder: Path, kinds: Sequence[str]) -> cleaning.Holding:
    planned = _planned(run_folder, folder) if cleaning.OUTDATED in kinds else None
    return cleaning.look(folder, STAGES, planned)


def _planned(run_folder: Path, folder: Path) -> set[str]:
    """Return the outputs of all tasks in the folder that is cleaned, which may have moved."""
    config = session.load_to_look(run_folder).config.model_copy(update={"run_dir": folder})
    planner = session.planner_of(config)
    tasks = [task for stage in planner.stages for task in planner.tasks(stage.name)]
    return {output for task in tasks for output in task.outputs}
