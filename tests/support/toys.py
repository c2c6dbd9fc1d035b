"""Start toy runs in processes of their own, with faults in them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support import PYTHONPATH, TESTS

_PATHS = (PYTHONPATH, TESTS / "faults" / "hook")


@dataclass
class Ended:
    """How a toy run ended."""

    code: int
    output: str
    errors: str

    @property
    def summary(self) -> dict[str, Any]:
        """What the run told at its end."""
        return dict(json.loads(self.output.splitlines()[-1]))


@dataclass
class Toy:
    """A run folder of toy stages."""

    folder: Path
    count: int = 6
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("trouble", "state"):
            (self.folder / name).mkdir(exist_ok=True)

    @property
    def run_dir(self) -> Path:
        return self.folder / "run"

    def start(
        self, kind: str = "serial", fault: str = "", prepare: Callable[[], None] | None = None
    ) -> subprocess.Popen[str]:
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, _PATHS)),
            "FAULT_STATE": str(self.folder / "state"),
            **self.environment,
        }
        if fault:
            environment["FAULT"] = fault
        if prepare is not None:
            # Below a limit on the size of files Python leaves cut .pyc files for all who follow.
            environment["PYTHONDONTWRITEBYTECODE"] = "1"
        return subprocess.Popen(
            [sys.executable, "-m", "support.toy_run", str(self.folder), kind, str(self.count)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            preexec_fn=prepare,
            start_new_session=True,
        )

    def run(
        self, kind: str = "serial", fault: str = "", prepare: Callable[[], None] | None = None
    ) -> Ended:
        process = self.start(kind, fault, prepare)
        output, errors = process.communicate(timeout=200)
        return Ended(process.returncode, output, errors)

    def struck(self) -> list[str]:
        """Return which faults struck, in order."""
        note = self.folder / "state" / "struck"
        return note.read_text().splitlines() if note.exists() else []

    def total(self) -> int:
        return int((self.run_dir / "total.txt").read_text())

    @property
    def expected_total(self) -> int:
        return self.count * (self.count + 1)
