"""Small run folders that faults are done to."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.toy_world import World
from support.toys import Toy


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    return Toy(tmp_path)
