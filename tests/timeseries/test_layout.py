"""The feature layout: order, names, what it refuses."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import pytest

from oso_pipeline.timeseries.feature_layout import FeatureLayout

DATES = (date(2018, 1, 1), date(2018, 1, 11))


def test_order_is_that_of_the_oracle(shared_data: Path) -> None:
    oracle = json.loads((shared_data / "oracles.json").read_text())["features"]
    layout = FeatureLayout(tuple(oracle["bands_sentinel2"]), DATES, ("NDVI", "NDWI", "brightness"))
    number = {f"{day:%Y%m%d}": str(i + 1) for i, day in enumerate(DATES)}
    names = [name.rsplit("_", 1) for name in layout.names]
    assert [f"{what}@{number[day]}" for what, day in names] == oracle["order_example"]["names"]
    assert layout.size == len(layout.names) == 26


def test_survives_json() -> None:
    layout = FeatureLayout(("B4", "B8"), DATES, ("NDVI",))
    assert FeatureLayout.from_json(json.loads(json.dumps(layout.to_json()))) == layout
    later = tuple(day + timedelta(days=1) for day in DATES)
    assert FeatureLayout(("B4", "B8"), later, ("NDVI",)) != layout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((), DATES, ()), "at least one band"),
        ((("B4",), (), ()), "at least one band and one date"),
        ((("B4",), DATES[::-1], ()), "ascend"),
        ((("B4", "B4"), DATES, ()), "twice"),
        ((("B4", "B8"), DATES, ("EVI",)), "unknown index 'EVI'"),
        ((("B4",), DATES, ("NDVI",)), "NDVI needs B8"),
    ],
)
def test_refuses_what_has_no_meaning(arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FeatureLayout(*arguments)
