"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real sample data, which lies beside the checkout.

    A test that needs it is skipped on a machine without it, but fails in continuous
    integration, where its absence would hide a broken promise.
    """
    if not SHARED_DATA.is_dir():
        if os.environ.get("CI") == "true":
            pytest.fail(f"real sample data is missing: {SHARED_DATA}")
        pytest.skip(f"real sample data is not there: {SHARED_DATA}")
    return SHARED_DATA


@pytest.fixture(scope="session")
def small_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a small simulated world: ``products/`` and ``reference.gpkg``."""
    from oso_pipeline.simulation import WorldSpec, simulate

    folder = tmp_path_factory.mktemp("small") / "world"
    simulate(folder, WorldSpec(size_px=128))
    return folder


@pytest.fixture(scope="session")
def two_years_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the same of two years, plants 12 days earlier in the first."""
    from oso_pipeline.simulation import PastYear, WorldSpec, simulate

    folder = tmp_path_factory.mktemp("two_years") / "world"
    simulate(folder, WorldSpec(size_px=128, past=PastYear(season_shift_days=-12)))
    return folder
