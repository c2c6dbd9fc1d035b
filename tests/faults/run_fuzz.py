"""Start the fuzz: ``python tests/faults/run_fuzz.py --minutes 20``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

# Before any library starts its threads: cases are forked from this process.
for _name in ("OMP", "OPENBLAS", "MKL", "NUMBA"):
    os.environ[f"{_name}_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).parents[1]))

from fuzz.runner import main  # noqa: E402 - the environment comes first

if __name__ == "__main__":
    sys.exit(main())
