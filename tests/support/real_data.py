"""Sample data that cannot be part of the repository."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def real_data(folder: Path) -> Path:
    """Return the folder, or skip the test where it is missing.

    With ``OSO_REQUIRE_DATA=1``, as ``.ci/run`` sets it, the test fails instead: a skipped test
    would hide a broken promise.
    """
    if folder.is_dir():
        return folder
    if os.environ.get("OSO_REQUIRE_DATA") == "1":
        pytest.fail(f"real sample data is missing: {folder}")
    pytest.skip(f"real sample data is not here: {folder} (with OSO_REQUIRE_DATA=1 the test fails)")
