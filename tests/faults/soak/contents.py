"""What two files hold, apart from the version of the software that wrote them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import rasterio

_OF_SOFTWARE = ("TIFFTAG_SOFTWARE",)


def same_content(one: Path, other: Path) -> bool:
    """Tell whether two files are the same, but for the software that they name."""
    if one.suffix == ".tif":
        return _raster(one) == _raster(other)
    if one.name == "model.json":
        return _model(one) == _model(other)
    return one.read_bytes() == other.read_bytes()


def _raster(path: Path) -> Any:
    with rasterio.open(path) as source:
        tags = {name: text for name, text in source.tags().items() if name not in _OF_SOFTWARE}
        return (source.read().tobytes(), source.profile, tags, source.descriptions)


def _model(path: Path) -> Any:
    content = json.loads(path.read_text(encoding="utf-8"))
    return {name: value for name, value in content.items() if name not in ("software", "sha256")}
