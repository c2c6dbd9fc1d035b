"""Ownership of a folder: a run works only in its own folder, and removes only its own files.

A run folder is recognised by ``run.json``, which a run writes first. Without it, a user who names
the folder of a project would lose ``config.yaml`` and files that look temporary.
"""

from __future__ import annotations

import io
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from oso_pipeline.core.commit import is_temporary, publish_json
from oso_pipeline.core.errors import Problems
from oso_pipeline.core.json_files import read_object
from oso_pipeline.core.regular_files import read_regular
from oso_pipeline.tasks.heartbeat import ACTIVITY

MARK = "run.json"
CONFIG = "config.yaml"
_BEFORE_A_RUN = {ACTIVITY, "batch", "extracted", "jobs", "log.jsonl", "run.lock"}
"""Files allowed without a mark: of `oso submit`, of a driver that was killed at once, of a
notebook that has read products in archives."""


def is_run_folder(folder: Path) -> bool:
    """Return whether a run has written a folder; its mark may be damaged."""
    mark = folder / MARK
    return "run_id" in read_object(mark) or (mark.is_file() and (folder / ACTIVITY).is_dir())


def claim(folder: Path) -> None:
    """Make a folder that of a run which has not begun."""
    if not is_run_folder(folder):
        publish_json(folder / MARK, {"run_id": None})


def check_own(folder: Path) -> Problems:
    """Check that a run may work in a folder (``E-RUN-FOREIGN``).

    It may if the folder is absent, empty, or of a run, and if no configuration lies there that
    somebody wrote: the run puts its own there.
    """
    problems, hint = Problems(), "set `run_dir` to a folder that is new, empty, or of a run"
    try:
        entries = sorted(entry.name for entry in folder.iterdir())
    except OSError:  # absent, or found by other checks
        return problems
    if (folder / CONFIG).is_file() and not _is_dump(folder / CONFIG):
        problems.error(
            "E-RUN-FOREIGN",
            "run_dir: the folder holds a configuration that somebody wrote; the run would "
            "replace it by its own",
            folder / CONFIG,
            f"move {CONFIG} elsewhere, or set `run_dir` to another folder",
        )
    others = [name for name in entries if name not in _BEFORE_A_RUN and not is_temporary(name)]
    if others and not is_run_folder(folder):
        named = ", ".join(others[:3]) + (f" and {len(others) - 3} more" if len(others) > 3 else "")
        message = f"run_dir: the folder is not that of a run (it has no {MARK}), and holds {named}"
        problems.error("E-RUN-FOREIGN", message, folder, hint)
    return problems


def dump(content: object) -> str:
    """Return a configuration as a run writes it."""
    text = io.StringIO()
    YAML(typ="safe", pure=True).dump(content, text)
    return text.getvalue()


def _is_dump(path: Path) -> bool:
    """Return whether a file holds just what `dump` makes of it: then nobody's words get lost.

    Lines may be wrapped elsewhere, as of a folder that was moved and whose paths were fixed.
    """
    try:
        text = read_regular(path).decode("utf-8")
        again = dump(YAML(typ="safe", pure=True).load(text))
        return "".join(again.split()) == "".join(text.split())
    except (OSError, ValueError, YAMLError, RecursionError):
        return False
