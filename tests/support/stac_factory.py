"""Tiny images with STAC items for tests, whole or with one fault."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from oso_pipeline.simulation.writers.safe_metadata import SafeFacts
from oso_pipeline.simulation.writers.stac import Catalogue, write_item, write_json
from support.safe_factory import FACTS, facts, scene

Content = dict[str, Any]


def write(
    folder: Path, catalogue: Catalogue = "earth-search-c1", applied: bool = False, **changes: Any
) -> Path:
    made = _written(facts(**changes), catalogue, applied)
    for name, content in made.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder / next(name for name in made if name.endswith(".json"))


@cache
def _written(made: SafeFacts, catalogue: Catalogue, applied: bool) -> dict[str, bytes]:
    """Return the files of a product, by name; most tests need the same."""
    with TemporaryDirectory() as folder:
        home = Path(folder)
        write_item(home, made, scene(), catalogue, applied)
        files = sorted(path for path in home.rglob("*") if path.is_file())
        return {path.relative_to(home).as_posix(): path.read_bytes() for path in files}


def write_days(folder: Path, number: int, catalogue: Catalogue = "earth-search-c1") -> list[Path]:
    days = (FACTS.sensed + timedelta(days=5 * n) for n in range(number))
    return [write(folder, catalogue, sensed=day) for day in days]


def edit(item: Path, change: Callable[[Content], object]) -> Path:
    """Change the content of an item."""
    content = json.loads(item.read_text())
    before = json.dumps(content)
    change(content)
    assert json.dumps(content) != before, "the fault changes nothing"
    write_json(item, content)
    return item


def each_asset(content: Content, change: Callable[[Content], object]) -> None:
    for asset in content["assets"].values():
        change(asset)
