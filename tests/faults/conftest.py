"""Small run folders that faults are done to."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_runner import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)
