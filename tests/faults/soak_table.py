"""Write the figures of the soak into docs/reliability.md."""

from __future__ import annotations

from pathlib import Path


def write_figures(path: Path) -> None:
    raise NotImplementedError
