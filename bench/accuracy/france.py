"""Parcels of the RPG 2023 in two regions, with ten-day Sentinel-2 series of 9 bands.

Beauce and Maine (30UYU and what adjoins it) against the Gironde (30TYP). One pixel a parcel.
"""

from __future__ import annotations

import csv
from datetime import date
from pathlib import Path

import numpy as np

from bench.accuracy.real_set import RealSet
from oso_pipeline.core.nomenclature import load_nomenclature
from oso_pipeline.studies.learners.samples import LabelledSamples
from oso_pipeline.timeseries.feature_layout import FeatureLayout
from oso_pipeline.timeseries.features import block_features
from oso_pipeline.timeseries.series import BlockSeries

INDICES = ("NDVI", "NDWI", "brightness")
_SEASON = date(2022, 9, 1), date(2023, 12, 31)


def france(data: Path) -> RealSet:
    """Return all parcels of a known class of 23 that were seen once at least.

    Column ``region`` is the tile. `data` is the folder of the sample data.
    """
    with np.load(data / "france_parcels_2023.npz", allow_pickle=False) as file:
        values, dates, label = file["X"], file["dates"].astype("datetime64[D]"), file["label"]
        tile, names, nodata = file["tile"], file["bands"], int(file["nodata"])
        places = np.stack([file["lon"], file["lat"]], axis=1).astype(np.float64)
    code = np.array([_codes(data).get(str(one), 0) for one in label], np.int32)
    clear = ~(values == nodata).any(axis=2)
    usable = clear.any(axis=1) & (code > 0)
    layout = FeatureLayout.optical(
        tuple(f"B{name[1:].lstrip('0')}" for name in names),
        tuple(day for day in dates.tolist() if _SEASON[0] <= day <= _SEASON[1]),
        INDICES,
    )
    series = BlockSeries.of(
        np.where(clear[..., None], values, 0)[usable].transpose(1, 2, 0).astype(np.int16),
        clear[usable].T,
        dates.astype(np.int32),
    )
    known = load_nomenclature("oso23").by_code
    samples = LabelledSamples(
        "France 2023",
        layout,
        np.ascontiguousarray(block_features(series, layout)[0].T),
        code[usable],
        np.flatnonzero(usable).astype(np.int64),
        {one: known[one].name_en for one in sorted(set(code[usable].tolist()))},
        {"region": tile[usable].astype(np.str_), "year": np.full(usable.sum(), "2023")},
        places[usable],
    )
    return RealSet(samples, series)


def _codes(data: Path) -> dict[str, int]:
    """Return the class of 23 of each label of the data, where there is one."""
    with (data / "nomenclatures" / "worldcereal_to_oso.csv").open(encoding="utf-8") as file:
        return {row["label"]: int(row["oso23"]) for row in csv.DictReader(file) if row["oso23"]}
