"""A run folder with toy stages; processes that only run it import no pytest."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from oso_pipeline.runtime.executors import SerialExecutor
from oso_pipeline.runtime.folder.lock import lock_path
from oso_pipeline.runtime.outcome import Outcome
from oso_pipeline.runtime.planner import Planner
from oso_pipeline.runtime.runner import Selection, run
from oso_pipeline.runtime.shard import Shard
from support.minimal_config import minimal_config
from support.toy_stages import Numbers, Total


class World:
    """A run folder with toy stages, and ways to make their tasks fail."""

    def __init__(self, folder: Path) -> None:
        self.trouble = folder / "trouble"
        self.trouble.mkdir()
        self.run_dir = folder / "run"
        self.values = [1, 2, 3, 4]

    def run(self, executor=None, selection: Selection | None = None, **changes: object) -> Outcome:
        planner = self.planner(**changes)
        return run(planner, executor or SerialExecutor(), [], selection or Selection())

    def planner(self, **changes: object) -> Planner:
        stages = [Numbers(self.values, self.trouble), Total()]
        return Planner(minimal_config(self.run_dir, **changes), stages)

    def total(self) -> int:
        return int((self.run_dir / "total.txt").read_text())


def held_elsewhere(run_dir: Path, silent_s: float, role: str = "driver") -> Path:
    """Write the lock of a run on another host, which renewed it `silent_s` ago."""
    shard = None if role == "driver" else Shard.parse(role.removeprefix("shard "))
    path = lock_path(run_dir, shard)
    path.parent.mkdir(parents=True, exist_ok=True)
    holder = {"role": role, "host": "node17", "pid": 1, "job": "42"}
    path.write_text(json.dumps(holder))
    os.utime(path, (time.time() - silent_s,) * 2)
    return path
