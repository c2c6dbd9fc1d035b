"""Gap-filling and features: published cases, and the kernels against the plain definition."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from oso_pipeline.core.families import FAMILIES
from oso_pipeline.core.indices import INDICES
from oso_pipeline.timeseries import plain_numpy as reference
from oso_pipeline.timeseries.feature_layout import FeatureLayout
from oso_pipeline.timeseries.features import block_features
from oso_pipeline.timeseries.gapfill import gapfill, longest_gap_days
from oso_pipeline.timeseries.kernels.rows import CHUNK
from oso_pipeline.timeseries.series import BlockSeries

NAMES = tuple(INDICES)


def features_of(values, clear, days, layout) -> tuple[np.ndarray, np.ndarray]:
    """Return the features by the kernel, from plain arrays as the definition takes them."""
    return block_features(BlockSeries.of(values, clear, days), layout)


def series(case: dict) -> tuple[np.ndarray, ...]:
    values = np.array(case["values"], dtype=np.int16).reshape(-1, 1, 1)
    clear = np.array(case["usable"], dtype=bool).reshape(-1, 1)
    return values, clear, *(np.array(case[k], dtype=np.int32) for k in ("days_in", "days_out"))


@pytest.mark.parametrize("fill", [gapfill, reference.gapfill])
def test_published_cases_of_gap_filling(shared_data: Path, fill) -> None:
    oracle = json.loads((shared_data / "oracles.json").read_text())["gap_filling"]
    assert len(oracle["cases"]) >= 20
    for case in oracle["cases"]:
        filled, validity = fill(*series(case))
        assert np.abs(filled.ravel() - np.array(case["expected"])).max() <= 0.5, case["id"]
        assert validity.tolist() == [case["validity"]], case["id"]


def test_published_block_of_gap_filling(shared_data: Path) -> None:
    oracle = json.loads((shared_data / "oracles.json").read_text())["gap_filling"]["block"]
    values = np.array(oracle["values"], dtype=np.int16).transpose(2, 1, 0)
    clear = np.array(oracle["usable"]).T
    days_in, days_out = (np.array(oracle[k], dtype=np.int32) for k in ("days_in", "days_out"))
    filled, validity = gapfill(values, clear, days_in, days_out)
    np.testing.assert_array_equal(filled.transpose(2, 1, 0), oracle["expected"])
    assert validity.tolist() == oracle["validity"]


def test_published_cases_of_features(shared_data: Path) -> None:
    oracle = json.loads((shared_data / "oracles.json").read_text())["features"]
    bands = tuple(oracle["bands_sentinel2"])
    layout = FeatureLayout.optical(bands, (date(2018, 1, 1),), NAMES)
    values = np.array([[case[band] for case in oracle["cases"]] for band in bands], np.int16)
    clear = np.ones((1, values.shape[1]), dtype=bool)
    for compute in (features_of, reference.block_features):
        features, _ = compute(values[None], clear, layout.series.days, layout)
        rows = dict(zip(layout.names, features, strict=True))
        for name in ("NDVI", "NDWI"):
            assert rows[f"{name}_20180101"].tolist() == [case[name] for case in oracle["cases"]]
        exact = [int(case["brightness_exact"]) for case in oracle["cases"]]
        assert rows["brightness_20180101"].tolist() == exact


@st.composite
def blocks(draw: st.DrawFn) -> tuple:
    """Blocks of all sizes around that of a chunk, with any int16 and any mask."""
    n_time = draw(st.integers(0, 7))
    n_pixels = draw(st.sampled_from([1, 3, CHUNK - 1, CHUNK, CHUNK + 5]))
    bands = draw(st.sampled_from([("B4", "B8", "B11"), ("B11", "B2", "B8", "B4")]))
    numbers = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    low, high = draw(st.sampled_from([(-9999, 32767), (-60, 60), (0, 6000), (-32768, 32767)]))
    values = numbers.integers(low, high, (n_time, len(bands), n_pixels), np.int16, endpoint=True)
    clear = numbers.random((n_time, n_pixels)) < draw(st.sampled_from([0.1, 0.5, 0.95, 1.0]))
    days = draw(hnp.arrays(np.int32, n_time, elements=st.integers(17_500, 17_560)))
    start = date(2017, 12, 1) + timedelta(days=draw(st.integers(-30, 90)))
    step = draw(st.integers(1, 20))
    dates = tuple(start + timedelta(days=step * i) for i in range(draw(st.integers(1, 6))))
    indices = tuple(draw(st.permutations(NAMES))[: draw(st.integers(0, 3))])
    derived = tuple(draw(st.permutations(tuple(FAMILIES)))[: draw(st.integers(0, len(FAMILIES)))])
    return values, clear, np.sort(days), FeatureLayout.optical(bands, dates, indices, derived)


@settings(max_examples=60, deadline=None)
@given(blocks())
def test_kernels_equal_the_plain_definition(block: tuple) -> None:
    values, clear, days, layout = block
    for fast, plain in zip(
        gapfill(values, clear, days, layout.series.days),
        reference.gapfill(values, clear, days, layout.series.days),
        strict=True,
    ):
        np.testing.assert_array_equal(fast, plain)
    for fast, plain in zip(features_of(*block), reference.block_features(*block), strict=True):
        np.testing.assert_array_equal(fast, plain)
        assert fast.dtype == plain.dtype


@settings(max_examples=50, deadline=None)
@given(blocks(), st.integers(17_490, 17_520), st.integers(0, 60))
def test_longest_gap_equals_the_plain_definition(block: tuple, first: int, length: int) -> None:
    _, clear, days, _ = block
    np.testing.assert_array_equal(
        longest_gap_days(clear, days, first, first + length),
        reference.longest_gap_days(clear, days, first, first + length),
    )


@settings(max_examples=25, deadline=None)
@given(blocks(), st.integers(0, 2**32 - 1))
def test_a_pixel_does_not_depend_on_its_neighbours(block: tuple, seed: int) -> None:
    values, clear, days, layout = block
    order = np.random.default_rng(seed).permutation(values.shape[2])
    whole, validity = features_of(*block)
    shuffled, other = features_of(
        np.ascontiguousarray(values[:, :, order]), clear[:, order], days, layout
    )
    np.testing.assert_array_equal(whole[:, order], shuffled)
    np.testing.assert_array_equal(validity[order], other)


def test_ratio_truncates_as_integers_do_near_whole_numbers() -> None:
    numbers = np.random.default_rng(1)
    red, nir = numbers.integers(-10_000, 32_768, (2, 400_000)).astype(np.int16)
    layout = FeatureLayout.optical(("B4", "B8"), (date(2018, 1, 1),), ("NDVI",))
    values = np.stack([red, nir])[None]
    clear = np.ones((1, values.shape[2]), dtype=np.uint8)
    ndvi = features_of(values, clear, layout.series.days, layout)[0][2].astype(np.int64)
    top, total = nir.astype(np.int64) - red, nir.astype(np.int64) + red
    size = np.abs(top) * 1000 // np.maximum(np.abs(total), 1)
    expected = np.where((top < 0) == (total < 0), size, -size) * (total != 0)
    np.testing.assert_array_equal(ndvi, np.clip(expected, -32768, 32767))


class TestTooFewClearDates:
    """Rows 26 to 29 of the bad-input matrix."""

    DAYS = np.array([17_532, 17_542, 17_552], dtype=np.int32)
    LAYOUT = FeatureLayout.optical(
        ("B4", "B8"), tuple(date(2018, 1, d) for d in (1, 6, 26)), ("NDVI",)
    )

    def features(self, *clear: int) -> tuple[list[int], int]:
        values = np.array([[100, 300], [200, 600], [400, 1200]], dtype=np.int16)[:, :, None]
        flags = np.array(clear, dtype=np.uint8)[:, None]
        features, validity = features_of(values, flags, self.DAYS, self.LAYOUT)
        return features.ravel().tolist(), int(validity[0])

    def test_row_026_one_clear_date_is_a_constant_series(self) -> None:
        assert self.features(0, 1, 0) == ([200, 600] * 3 + [500] * 3, 1)

    def test_row_027_no_clear_date_is_no_data_and_never_made_from_zeros(self) -> None:
        assert self.features(0, 0, 0) == ([-10_000] * 9, 0)

    def test_row_028_edges_take_the_nearest_clear_date_and_validity_tells(self) -> None:
        features, validity = self.features(0, 1, 1)
        assert (features[:2], validity) == ([200, 600], 2)
        assert self.features(1, 1, 0)[0][4:6] == [200, 600]

    def test_row_029_longest_gap_tells_where_interpolation_is_weak(self) -> None:
        clear = np.array([[1, 1, 0, 0], [1, 0, 1, 0], [1, 1, 0, 0]], dtype=np.uint8)
        gaps = longest_gap_days(clear, self.DAYS, 17_532, 17_562)
        assert gaps.tolist() == [10, 20, 20, 30]


@pytest.mark.parametrize(
    ("values", "clear", "days", "message"),
    [
        (np.zeros((2, 1, 3), np.int32), np.ones((2, 3), bool), [0, 1], "int16"),
        (np.zeros((2, 1, 3), np.int16), np.ones((2, 2), bool), [0, 1], "do not fit"),
        (np.zeros((2, 1, 3), np.int16), np.ones((2, 3), float), [0, 1], "uint8 or bool"),
        (np.zeros((2, 1, 3), np.int16), np.ones((2, 3), bool), [1, 0], "descend"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(values, clear, days, message) -> None:
    with pytest.raises(ValueError, match=message):
        gapfill(values, clear, np.array(days, dtype=np.int32), np.array([0], dtype=np.int32))
