"""Start the soak: ``python tests/faults/run_soak.py --minutes 20``."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from soak.loop import main

if __name__ == "__main__":
    sys.exit(main())
