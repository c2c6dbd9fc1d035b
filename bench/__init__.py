"""Measures the pipeline against its peers; see README.md beside this file."""

from __future__ import annotations

import os
from pathlib import Path

HERE = Path(__file__).parent
"""Folder of the bench."""
PROJECT = HERE.parent
"""Folder of the project: what the methods import from."""
WORK = Path(os.environ.get("OSO_BENCH_WORK", HERE / "work"))
"""Everything the bench makes and can make again; ignored by git."""
RESULTS = HERE / "results"
"""What the last runs of all commands measured, the soak and the fuzz of the tests included."""

ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": "1",
    "OTB_LOGGER_LEVEL": "WARNING",
    "GDAL_NUM_THREADS": "1",
}
"""Environment that keeps every method to one thread."""
