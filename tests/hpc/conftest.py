"""A real Slurm for the tests marked `hpc`; without one they fail, they are never skipped."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.slurm import Slurm


@pytest.fixture(scope="session")
def slurm() -> Iterator[Slurm]:
    """Return a batch system of two nodes; `SLURM_CONF` points at it while it lives."""
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    folder.chmod(0o755)
    system = Slurm(folder)
    patch = pytest.MonkeyPatch()
    try:
        system.start()
        patch.setenv("SLURM_CONF", str(system.conf))
        yield system
    finally:
        patch.undo()
        system.stop()
        shutil.rmtree(folder, ignore_errors=True)
