"""A small tile whose blocks of series lie on disk."""

from __future__ import annotations

import pytest
from support.series_blocks import series_in

from oso_pipeline.products.series.tile_series import TileSeries


@pytest.fixture(scope="session")
def series(tmp_path_factory: pytest.TempPathFactory) -> TileSeries:
    return series_in(tmp_path_factory.mktemp("series"))
