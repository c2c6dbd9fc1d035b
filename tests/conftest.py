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
