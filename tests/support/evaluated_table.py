"""A table of series of two years, and the file that describes it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

DAYS = (1, 33, 65, 97, 129)
YAML = """\
table:
  kind: parquet
  path: table.parquet
  label: crop
  season: year
  polygon: field
  bands: {NDVI: "n{day}"}
classes: {"wheat*": wheat, maize: maize, orchard: woody}
perennial: [woody]
sources: [2016]
target: 2018
run_dir: out
"""


def table(n: int = 120) -> pd.DataFrame:
    """Fields of two years; the crop shows in the series, which come later in 2018."""
    rng = np.random.default_rng(0)
    rows = []
    for year, late in ((2016, 0), (2018, 20)):
        for field in range(n):
            crop = ("wheat-maize", "maize", "orchard")[field % 3]
            peak = {"wheat-maize": 40, "maize": 100, "orchard": 70}[crop] + late
            ndvi = 0.2 + 0.6 * np.exp(-(((np.array(DAYS) - peak) / 30) ** 2))
            ndvi += rng.normal(0, 0.03, len(DAYS))
            series = {f"n{day}": value for day, value in zip(DAYS, ndvi, strict=True)}
            rows.append({"crop": crop, "year": str(year), "field": field + 1000 * year, **series})
    return pd.DataFrame(rows)


def changed(path: Path, old: str, new: str) -> Path:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    return path
