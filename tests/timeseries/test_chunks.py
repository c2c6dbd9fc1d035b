"""Chunks of neighbouring pixels take a short way through memory; the features are the same."""

from __future__ import annotations

from datetime import date, timedelta
from math import isqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oso_pipeline.core.indices import INDICES
from oso_pipeline.timeseries import plain_numpy as reference
from oso_pipeline.timeseries.feature_layout import FeatureLayout
from oso_pipeline.timeseries.features import block_features
from oso_pipeline.timeseries.kernels import chunks
from oso_pipeline.timeseries.kernels.rows import CHUNK
from oso_pipeline.timeseries.kernels.simd import WIDTH
from oso_pipeline.timeseries.series import BlockSeries

LAYOUT = FeatureLayout.optical(
    ("B2", "B4", "B5", "B8", "B11"),
    tuple(date(2018, 1, 1) + timedelta(days=9 * n) for n in range(4)),
    tuple(INDICES),
)
SLOTS = np.array([0, 1, -1, 2, -2], np.int32)


def series(columns: int, seed: int, rows: int = 3) -> BlockSeries:
    """Return a block of five dates, with bands of 10 m and of 20 m."""
    numbers = np.random.default_rng(seed)
    halves = -(-rows // 2) * -(-columns // 2)
    fine = numbers.integers(-32768, 32768, (5, 3, rows * columns)).astype(np.int16)
    coarse = numbers.integers(-32768, 32768, (5, 2, halves)).astype(np.int16)
    clear = (numbers.random((5, rows * columns)) < 0.6).astype(np.uint8)
    days = np.sort(numbers.integers(17_520, 17_580, 5)).astype(np.int32)
    return BlockSeries((rows, columns), fine, coarse, SLOTS, clear, days)


def plain(block: BlockSeries, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the features by the definition, from all bands at 10 m."""
    values, clear = block.take(pixels)
    return reference.block_features(values, clear, block.days, LAYOUT)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from([CHUNK, 2 * CHUNK - 1, 2 * CHUNK, 3 * CHUNK + 7]),
    st.integers(0, 140),
    st.integers(0, 2**32 - 1),
)
def test_pixels_in_rows_that_begin_anywhere(columns: int, skipped: int, seed: int) -> None:
    block = series(columns, seed)
    pixels = np.arange(skipped, 3 * columns)
    for fast, slow in zip(block_features(block, LAYOUT, pixels), plain(block, pixels), strict=True):
        np.testing.assert_array_equal(fast, slow)


def test_a_chunk_with_a_hole_is_not_taken_for_a_row() -> None:
    block = series(2 * CHUNK, 1)
    pixels = np.delete(np.arange(2 * CHUNK), [CHUNK // 2, CHUNK // 2 + 40])
    for fast, slow in zip(block_features(block, LAYOUT, pixels), plain(block, pixels), strict=True):
        np.testing.assert_array_equal(fast, slow)


def test_a_chunk_without_a_clear_date_between_others() -> None:
    block = series(3 * CHUNK, 3, rows=1)
    block.clear[:, CHUNK : 2 * CHUNK] = 0
    pixels = np.arange(3 * CHUNK)
    features, validity = block_features(block, LAYOUT, pixels)
    for fast, slow in zip((features, validity), plain(block, pixels), strict=True):
        np.testing.assert_array_equal(fast, slow)
    assert (features[:, CHUNK : 2 * CHUNK] == chunks.NODATA).all()
    assert (validity[:CHUNK] > 0).any()
    assert (validity[2 * CHUNK :] > 0).any()


@pytest.mark.parametrize("columns", [WIDTH, CHUNK + WIDTH, 2 * CHUNK + 3])
def test_features_written_past_the_caches_are_the_same(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    block = series(columns, 2)
    cached = block_features(block, LAYOUT)
    monkeypatch.setattr(chunks, "_CACHED_BYTES", 0)
    for fast, slow in zip(block_features(block, LAYOUT), cached, strict=True):
        np.testing.assert_array_equal(fast, slow)


def test_brightness_is_the_whole_root_whatever_the_sum() -> None:
    layout = FeatureLayout.optical(("B2", "B4"), (date(2018, 1, 1),), ("brightness",))
    whole = np.arange(1, 32_768)
    # Squares, and the sums of two squares that lie next to one.
    pairs = np.stack([np.r_[whole, whole, whole], np.r_[0 * whole, 0 * whole + 1, whole]])
    values = pairs.astype(np.int16)[None]
    flags = np.ones((1, pairs.shape[1]), np.uint8)
    block = BlockSeries.of(values, flags, layout.series.days)
    expected = [min(isqrt(int(a) ** 2 + int(b) ** 2), 32_767) for a, b in pairs.T]
    assert block_features(block, layout)[0][2].tolist() == expected
