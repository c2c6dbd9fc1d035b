"""Two sites of Flanders in two years, pixels of Sentinel-2: grass and maize alone are in both.

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
from oso_pipeline.adaptation.space import SeriesSpace
from oso_pipeline.config.loader import load_config
from oso_pipeline.core.errors import Problems
from oso_pipeline.studies.adaptation.domain import Domain
from oso_pipeline.studies.adaptation.setting import Rule, Setting
from oso_pipeline.timeseries.feature_layout import FeatureLayout

_OFFSET = 1_000_000
"""Polygons of the two sites are numbered apart."""


def site_pairs(data: Path, work: Path) -> list[Setting]:
    """Return 2018 -> 2019 and back."""
    names: dict[int, str] = {}
    for year in (2018, 2019):
        table = data / f"flanders_{year}" / "reference" / "nomenclature.csv"
        with table.open(encoding="utf-8") as file:
            names |= {int(row["code"]): row["name"] for row in csv.DictReader(file)}
    rule = Rule(names, tuple(code for code, name in names.items() if "grass" in name.lower()))
    first, second = (_site(data, year, work) for year in (2018, 2019))
    made = [
        rule.setting(f"Flanders {a.name}->{b.name}", "site", [a], b, Problems())
        for a, b in ((first, second), (second, first))
    ]
    return [one for one in made if one is not None]


def prepare(data: Path, work: Path) -> None:
    """Sample both sites."""
    for year in (2018, 2019):
        overrides = [*_where(data, year), f"run_dir={_run(year, work)}"]
        command = [sys.executable, "-m", "oso_pipeline.cli", "run", str(_config(year))]
        command += ["--until", "samples", "--workers", "1"]
        command += [part for override in overrides for part in ("--set", override)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _site(data: Path, year: int, work: Path) -> Domain:
    layout = FeatureLayout.of(load_config(_config(year), _where(data, year)))
    (path,) = sorted((_run(year, work) / "samples").glob("*.parquet"))
    table = pq.read_table(path)
    return Domain(
        str(year),
        SeriesSpace.of(layout),
        np.stack([table[name].to_numpy() for name in layout.names], axis=1),
        table["code"].to_numpy().astype(np.int32),
        table["polygon_id"].to_numpy().astype(np.int64) + _OFFSET * year,
    )


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
