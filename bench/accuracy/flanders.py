"""Two sites of Flanders in two years, pixels of Sentinel-2, up to 19 parcels each.

Samples come from the pipeline itself, run on ``configs/flanders_*.yaml`` up to its samples.
"""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from bench import PROJECT
from bench.accuracy.real_set import RealSet
from oso_pipeline.config.loader import load_config
from oso_pipeline.studies.learners.samples import LabelledSamples
from oso_pipeline.timeseries.feature_layout import FeatureLayout

YEARS = (2018, 2019)
_OFFSET = 1_000_000
"""Polygons of the two sites are numbered apart."""


def prepare(data: Path, work: Path) -> None:
    """Sample both sites; `data` is the folder of the sample data, runs go below `work`."""
    for year in YEARS:
        overrides = [*_where(data, year), f"run_dir={_run(year, work)}"]
        command = [sys.executable, "-m", "oso_pipeline.cli", "run", str(_config(year))]
        command += ["--until", "samples", "--workers", "1"]
        command += [part for override in overrides for part in ("--set", override)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def flanders(data: Path, work: Path, year: int) -> RealSet:
    """Return the pixels of one site; :func:`prepare` has been called before."""
    layout = FeatureLayout.of(load_config(_config(year), _where(data, year)))
    (path,) = sorted((_run(year, work) / "samples").glob("*.parquet"))
    table = pq.read_table(path)
    codes = table["code"].to_numpy().astype(np.int32)
    samples = LabelledSamples(
        f"Flanders {year}",
        layout,
        np.stack([table[name].to_numpy() for name in layout.names], axis=1),
        codes,
        table["polygon_id"].to_numpy().astype(np.int64) + _OFFSET * year,
        {code: name for code, name in names_of(data, year).items() if code in codes},
        {one: np.full(len(codes), str(year)) for one in ("region", "year")},
        np.stack([table[axis].to_numpy() for axis in ("x", "y")], axis=1).astype(np.float64),
    )
    return RealSet(samples)


def names_of(data: Path, year: int) -> dict[int, str]:
    """Return the names of the classes of a site."""
    table = data / f"flanders_{year}" / "reference" / "nomenclature.csv"
    with table.open(encoding="utf-8") as file:
        return {int(row["code"]): row["name"] for row in csv.DictReader(file)}


def _where(data: Path, year: int) -> list[str]:
    """Return the settings that name the data."""
    site = data / f"flanders_{year}"
    return [
        f"nomenclature={site / 'reference' / 'nomenclature.csv'}",
        f"imagery.paths=[{site / 'products'}]",
        f"reference.sources.0.path={site / 'reference' / 'parcels.gpkg'}",
    ]


def _config(year: int) -> Path:
    return PROJECT / "configs" / f"flanders_{year}.yaml"


def _run(year: int, work: Path) -> Path:
    return work / f"flanders_{year}"
