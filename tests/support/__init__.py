"""What several tests use: small worlds, configurations, toy runs, commands in processes.

Tests import from here, never from one another.
"""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests"
PYTHONPATH = os.pathsep.join((str(ROOT), str(TESTS)))
"""With this, a process imports the package and what lies here."""
