"""The feature layout: order, names, what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from oso_pipeline.timeseries.feature_layout import FeatureGroup, FeatureLayout
from oso_pipeline.timeseries.features import block_features
from oso_pipeline.timeseries.series import BlockSeries

DATES = (date(2018, 1, 1), date(2018, 1, 11))


def test_order_is_that_of_the_oracle(shared_data: Path) -> None:
    oracle = json.loads((shared_data / "oracles.json").read_text())["features"]
    layout = FeatureLayout.optical(
        tuple(oracle["bands_sentinel2"]), DATES, ("NDVI", "NDWI", "brightness")
    )
    number = {f"{day:%Y%m%d}": str(i + 1) for i, day in enumerate(DATES)}
    names = [name.rsplit("_", 1) for name in layout.names]
    assert [f"{what}@{number[day]}" for what, day in names] == oracle["order_example"]["names"]
    assert layout.size == len(layout.names) == 26


def test_survives_json() -> None:
    layout = FeatureLayout.optical(("B4", "B8"), DATES, ("NDVI",))
    assert FeatureLayout.from_json(json.loads(json.dumps(layout.to_json()))) == layout
    later = tuple(day + timedelta(days=1) for day in DATES)
    assert FeatureLayout.optical(("B4", "B8"), later, ("NDVI",)) != layout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((), DATES, ()), "at least one band"),
        ((("B4",), (), ()), "at least one band and one date"),
        ((("B4",), DATES[::-1], ()), "ascend"),
        ((("B4", "B4"), DATES, ()), "twice"),
        ((("B4", "B8"), DATES, ("EVI",)), "unknown index 'EVI'"),
        ((("B4",), DATES, ("NDVI",)), "NDVI needs B8"),
        ((("B4",), DATES, (), ("relative", "relative")), "twice"),
        ((("B4",), DATES, (), ("wavelets",)), "unknown derived features 'wavelets'"),
    ],
)
def test_refuses_what_has_no_meaning(arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FeatureLayout.optical(*arguments)


OPTICAL = FeatureGroup("sentinel2", ("B4", "B8"), DATES, ("NDVI",))
RADAR = FeatureGroup("sentinel1", ("VV", "VH"), DATES[:1])
TERRAIN = FeatureGroup("terrain", ("slope",), None)


def test_several_groups_have_names_and_json_of_their_own() -> None:
    layout = FeatureLayout((OPTICAL, RADAR, TERRAIN))
    assert layout.names[:2] == ("sentinel2_B4_20180101", "sentinel2_B8_20180101")
    assert layout.names[-3:] == (
        "sentinel1_VV_20180101",
        "sentinel1_VH_20180101",
        "terrain_slope",
    )
    assert layout.size == len(set(layout.names)) == 9
    assert FeatureLayout.from_json(json.loads(json.dumps(layout.to_json()))) == layout


def test_one_optical_group_is_written_as_ever_any_other_with_its_sensor() -> None:
    content = FeatureLayout((OPTICAL,)).to_json()
    assert content == {
        "bands": ["B4", "B8"],
        "dates": ["2018-01-01", "2018-01-11"],
        "indices": ["NDVI"],
    }
    alone = FeatureLayout((RADAR,))
    assert alone.names == ("sentinel1_VV_20180101", "sentinel1_VH_20180101")
    assert FeatureLayout.from_json(alone.to_json()) == alone


def test_derived_features_follow_the_others_channel_by_channel() -> None:
    layout = FeatureLayout.optical(("B4", "B8"), DATES, ("NDVI",), ("harmonics", "relative"))
    plain = FeatureLayout.optical(("B4", "B8"), DATES, ("NDVI",))
    assert layout.names[: plain.size] == plain.names
    derived = layout.names[plain.size :]
    assert derived[:3] == ("harmonics_B4_mean", "harmonics_B4_amplitude1", "harmonics_B4_cosine1")
    assert derived[-2:] == ("relative_NDVI_20180101", "relative_NDVI_20180111")
    assert len(set(layout.names)) == layout.size == 6 + 3 * 10 + 6
    content = json.loads(json.dumps(layout.to_json()))
    assert content == plain.to_json() | {"derived": ["harmonics", "relative"]}
    assert FeatureLayout.from_json(content) == layout
    beside = FeatureLayout((layout.series, RADAR))
    assert "sentinel2_relative_NDVI_20180111" in beside.names


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (lambda: FeatureLayout(()), "at least one group"),
        (lambda: FeatureLayout((OPTICAL, OPTICAL)), "two groups are of one sensor"),
        (lambda: FeatureGroup("a_b", ("B4",), DATES), "letters and digits"),
        (lambda: FeatureGroup("sentinel1", ("VV",), DATES, ("NDVI",)), "unknown sensor"),
        (lambda: FeatureGroup("sentinel2", ("B4", "B8"), None, ("NDVI",)), "bands with dates"),
        (lambda: FeatureGroup("terrain", ("slope",), None, (), ("relative",)), "bands with dates"),
    ],
)
def test_groups_without_meaning_are_refused(groups: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        groups()


@pytest.mark.parametrize("groups", [(OPTICAL, RADAR), (TERRAIN,)])
def test_the_kernels_refuse_what_they_cannot_compute(groups: tuple[FeatureGroup, ...]) -> None:
    series = BlockSeries.of(
        np.zeros((1, 2, 1), np.int16), np.ones((1, 1), np.uint8), OPTICAL.days[:1]
    )
    with pytest.raises(ValueError, match="compute one group of features with dates, the layout"):
        block_features(series, FeatureLayout(groups))
