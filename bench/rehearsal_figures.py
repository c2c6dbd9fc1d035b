"""What each stage of a run took, from its logs and the files it left."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass
class Stage:
    """What a stage took.

    Attributes
    ----------
    tasks, failed
        Tasks that are done, and those whose last try failed.
    core_s, longest_s
        Processor time of all tasks, and the time of the longest one by the clock.
    peak_mb
        Greatest memory of one of its workers.
    files, size
        What it left, with the sidecars: number and bytes.
    """

    tasks: int = 0
    failed: int = 0
    core_s: float = 0.0
    longest_s: float = 0.0
    peak_mb: int = 0
    files: int = 0
    size: int = 0


def stages_of(run_dir: Path) -> dict[str, dict[str, Any]]:
    """Return what each stage of a run took, in the order in which they began."""
    stages: dict[str, Stage] = defaultdict(Stage)
    ended: dict[tuple[str, str], str] = {}
    for event in sorted(_events(run_dir), key=lambda event: str(event["ts"])):
        if event["event"] != "task_ended":
            continue
        stage = stages[event["stage"]]
        ended[event["stage"], event["task"]] = event["status"]
        stage.core_s += event["cpu_seconds"]
        stage.longest_s = max(stage.longest_s, event["seconds"])
        stage.peak_mb = max(stage.peak_mb, event["peak_rss_mb"])
    for (name, _), status in ended.items():
        stages[name].tasks += status == "done"
        stages[name].failed += status != "done"
    for name, sidecar, file in _committed(run_dir):
        stages[name].files += 2
        stages[name].size += file.stat().st_size + sidecar.stat().st_size
    return {name: _rounded(stage) for name, stage in stages.items()}


def size_of(folder: Path) -> tuple[int, int]:
    """Return the number of files below a folder, and the bytes that they hold."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return len(files), sum(path.stat().st_size for path in files)


def _events(run_dir: Path) -> Iterator[dict[str, Any]]:
    for log in (run_dir / "log.jsonl", *(run_dir / "activity").glob("*.jsonl")):
        if log.exists():
            yield from map(json.loads, log.read_text(encoding="utf-8").splitlines())


def _committed(run_dir: Path) -> Iterator[tuple[str, Path, Path]]:
    """Yield the stage, the sidecar and the file of everything that is committed."""
    for sidecar in run_dir.rglob("*.json"):
        file = sidecar.with_suffix("")
        if file.is_file():
            content = json.loads(sidecar.read_text(encoding="utf-8"))
            yield content["recipe"]["stage"], sidecar, file


def _rounded(stage: Stage) -> dict[str, Any]:
    content = asdict(stage)
    return {**content, "core_s": round(stage.core_s, 1), "longest_s": round(stage.longest_s, 1)}
