"""Fields of Uzbekistan and Tajikistan: NDVI of MODIS at 23 days of a year, eleven years.

Survey of Remelgado et al. (2020, doi:10.1038/s41597-020-00591-2). A field has one series; the
crops of a year are coded in its own way, so they are brought to common classes first.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import geopandas as gpd
import numpy as np

from bench.accuracy.real_set import RealSet
from oso_pipeline.studies.learners.samples import LabelledSamples
from oso_pipeline.timeseries.feature_layout import FeatureLayout
from oso_pipeline.timeseries.features import block_features
from oso_pipeline.timeseries.series import BlockSeries

DAYS = tuple(range(1, 354, 16))
_FIRST = date(2015, 1, 1)
"""The series of all years stand on the days of one."""
_WOODY = ("orchard", "vineyard")
_VEGETABLES = (
    "vegetables", "carrots", "tomatoes", "onions", "cabbages", "melons", "potatoes", "potato",
    "pumpkin", "beans",
)  # fmt: skip


def harmonised(label: str) -> str:
    """Return the common class of a crop: that of the main crop, first in the name.

    Examples
    --------
    >>> harmonised("wheat-maize"), harmonised("vineyard"), harmonised("onions-maize")
    ('wheat', 'woody', 'vegetables')
    """
    main = label.split("-")[0]
    if main in _WOODY:
        return "woody"
    return "vegetables" if main in _VEGETABLES else main


def untouched(label: str) -> str:
    """Return the label of the survey, which changes with the year, but for woody crops."""
    return "woody" if label in _WOODY else label


def read_fields(data: Path) -> gpd.GeoDataFrame:
    """Return the table of the survey; `data` is the folder of the sample data."""
    return gpd.read_parquet(data / "central_asia_fields" / "fields.parquet")


def central_asia(data: Path, name: Callable[[str], str] = harmonised) -> RealSet:
    """Return all fields; `name` gives the class of a label. Years are those of the survey."""
    table = read_fields(data)
    values = table[[f"doy{day:03d}" for day in DAYS]].to_numpy(np.float64)
    clear = np.isfinite(values)
    dates = tuple(_FIRST + timedelta(days=day - 1) for day in DAYS)
    layout = FeatureLayout.optical(("NDVI",), dates)
    scaled = np.rint(np.where(clear, values, 0) * 10_000).astype(np.int16)
    series = BlockSeries.of(
        np.ascontiguousarray(scaled.T[:, None, :]), clear.T.copy(), layout.series.days
    )
    names = [name(label) for label in table["label_1"]]
    classes = dict(enumerate(sorted(set(names)), start=1))
    code = {one: number for number, one in classes.items()}
    # Surveyed twice, a field has two rows and one outline.
    _, polygons = np.unique(table.geometry.to_wkb().to_numpy(), return_inverse=True)
    bounds = table.geometry.bounds.to_numpy()
    samples = LabelledSamples(
        "Central Asia",
        layout,
        np.ascontiguousarray(block_features(series, layout)[0].T),
        np.array([code[one] for one in names], np.int32),
        polygons.astype(np.int64),
        classes,
        {one: table[one].astype(str).to_numpy(np.str_) for one in ("region", "year")},
        (bounds[:, :2] + bounds[:, 2:]) / 2,
    )
    return RealSet(samples, series)
