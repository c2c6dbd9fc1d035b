"""The warnings of all stages, each once, with the season that it is of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from oso_pipeline.core.commit import read_sidecar
from oso_pipeline.tasks.past_seasons import PREFIX
from oso_pipeline.tasks.run_files import RunFiles
from oso_pipeline.tasks.stage import warnings_of

_MOST_WARNINGS = 200


def warnings_content(files: RunFiles, problems: Sequence[str]) -> dict[str, Any]:
    """Return distinct warnings of all stages; beyond a readable number they are counted.

    Parameters
    ----------
    files
        The run.
    problems
        Warnings of the page itself.
    """
    seen = {Path(path).stem for path in files.outputs.get("inventory", ())}
    texts = [
        f"warning[W-TILE-NO-IMAGE] tile {tile} has no product: the map has a hole there"
        for tile in files.tiles
        if tile not in seen
    ]
    texts += problems
    for stage in files.outputs:
        texts += _of_stage(files, stage)
    accuracy = files.json("validation/accuracy.json") if files.committed_files("validate") else {}
    texts += warnings_of([accuracy])
    distinct = list(dict.fromkeys(texts))
    shown = {"shown": distinct[:_MOST_WARNINGS], "more": max(0, len(distinct) - _MOST_WARNINGS)}
    return {"warnings": shown}


def _of_stage(files: RunFiles, stage: str) -> list[str]:
    """Return the warnings of a stage; of one that is repeated for past seasons, with the year."""
    texts = []
    for path in files.outputs[stage]:
        record = read_sidecar(files.folder / path)
        found = warnings_of([record.get("summary") or {}] if record else [])
        season = ""
        if stage.startswith(PREFIX):
            season = f"season {Path(path).parts[1]}: "
        elif PREFIX + stage in files.outputs:
            season = f"season {files.year}: "
        texts += [season + text for text in found]
    return texts
