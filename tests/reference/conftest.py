"""A map, a nomenclature and vector files written for one test."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import shapely
from support.reference_world import World, square

from oso_pipeline.reference.polygons import stage as polygons_stage
from oso_pipeline.reference.polygons.cells import cells_of


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    # Two large cells instead of sixteen, which nearly all hold nothing.
    monkeypatch.setattr(polygons_stage, "cells_of", partial(cells_of, side_m=200_000.0))
    return World(tmp_path)


@pytest.fixture
def places() -> Callable[..., shapely.Polygon]:
    return square
