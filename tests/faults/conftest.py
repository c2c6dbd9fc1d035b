"""Small run folders that faults are done to."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_runner import World
from toys import Toy


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    return Toy(tmp_path)
