"""Tiny SAFE products for tests, whole or with one fault."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from oso_pipeline.core.tiles import Tile
from oso_pipeline.simulation.world.scene import NODATA, R1_BANDS, R2_BANDS, Scene
from oso_pipeline.simulation.writers.safe import write_safe
from oso_pipeline.simulation.writers.safe_metadata import SafeFacts

SIZE = 16
TILE = "31TCJ"
GRID = Tile(TILE).geobox(SIZE)
FACTS = SafeFacts(
    tile=TILE,
    sensed=datetime(2018, 1, 5, 10, 54, 35, tzinfo=UTC),
    generated=datetime(2018, 1, 5, 12, 0, 0, tzinfo=UTC),
    platform="S2A",
    orbit=51,
    orbit_number=13_276,
    grid=GRID,
)


def facts(**changes: Any) -> SafeFacts:
    return replace(FACTS, **changes)


def scene(value: int = 500, rows: slice = slice(None)) -> Scene:
    """A clear scene of one reflectance; only some rows of 20 m lie in the swath."""
    bands, masks = {}, {}
    for group, names, size in (("R1", R1_BANDS, SIZE), ("R2", R2_BANDS, SIZE // 2)):
        edge = np.ones((size, size), np.uint8)
        zoom = 2 if group == "R1" else 1
        edge[slice(*(end and end * zoom for end in (rows.start, rows.stop)))] = 0
        for mask in ("cloud", "saturation", "geophysics"):
            masks[f"{mask}_{group}"] = np.zeros((size, size), np.uint8)
        masks[f"edge_{group}"] = edge
        for name in names:
            bands[name] = np.where(edge, NODATA, value).astype(np.int16)
    return Scene(bands, masks, {}, 0, 0)


def write(folder: Path, name: str | None = None, as_zip: bool = False, **changes: Any) -> Path:
    return write_safe(folder, facts(**changes), scene(), name, as_zip)


def edit(product: Path, change: Callable[[str], str], file: str = "MTD_MSIL2A.xml") -> None:
    """Change the text of a metadata file of a product."""
    (path,) = product.rglob(file)
    text = path.read_text(encoding="utf-8")
    assert change(text) != text, "the fault changes nothing"
    path.write_text(change(text), encoding="utf-8")


def image(product: Path, end: str) -> Path:
    (path,) = product.rglob(f"*_{end}.jp2")
    return path
