"""Parcels against programs that are not ours: exactextract and rasterstats (issue 18)."""

from __future__ import annotations

import geopandas
import numpy as np
import pytest
import shapely
from odc.geo.geobox import GeoBox

from bench.series_parcels import Stack, exactextract, ours, rasterstats, world


def small() -> tuple[Stack, geopandas.GeoDataFrame, GeoBox]:
    stack, frame, grid = world(60, 2)
    return Stack(stack.values, 64), frame, grid


def test_18_parcels_along_pixels_equal_exactextract() -> None:
    pytest.importorskip("exactextract")
    stack, frame, grid = small()
    # Its median is a weighted one, which lies between other values.
    # Where borders run along pixels a covered share is 0 or 1: both count the same pixels.
    bounds = np.round(frame.bounds.to_numpy() / 10) * 10
    frame = frame.set_geometry(shapely.box(*bounds.T), crs=frame.crs)
    found, table = ours(stack, frame, grid, 0.0), exactextract(stack, frame, grid)
    for step in range(2):
        for name, values in (
            ("mean", found.statistics.mean / 1e-3),
            ("stdev", found.statistics.std / 1e-3),
            ("count", found.valid),
        ):
            theirs = table[f"d{step}_{name}"].to_numpy()
            np.testing.assert_allclose(values[:, step], theirs, rtol=1e-5, atol=1e-3)


def test_18_parcels_equal_rasterstats() -> None:
    pytest.importorskip("rasterstats")
    stack, frame, grid = small()
    found = ours(stack, frame, grid, 0.0)
    for step, rows in enumerate(rasterstats(stack, frame, grid)):
        for name, values in (
            ("mean", found.statistics.mean / 1e-3),
            ("median", found.statistics.median / 1e-3),
            ("std", found.statistics.std / 1e-3),
            ("count", found.valid),
        ):
            theirs = np.array([row[name] for row in rows], float)
            np.testing.assert_allclose(values[:, step], theirs, rtol=1e-5, atol=1e-3)
