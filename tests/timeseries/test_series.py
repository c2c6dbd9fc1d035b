"""Series as they are stored, and the parts of a block that are read."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from oso_pipeline.timeseries.reading.windows import bounding
from oso_pipeline.timeseries.series import BlockSeries

SIZES = st.tuples(st.integers(1, 9), st.integers(1, 9))


@settings(deadline=None)
@given(SIZES, st.integers(0, 3), st.lists(st.booleans(), min_size=1, max_size=4), st.data())
def test_taken_pixels_are_those_of_bands_repeated_2_by_2(shape, n_days, at_20m, data) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    half = tuple(-(-size // 2) for size in shape)
    stored: tuple[list, list] = ([], [])
    plain, slots = [], []
    for coarse in at_20m:
        image = rng.integers(-9999, 32767, (n_days, *(half if coarse else shape)), np.int16)
        slots.append(-1 - len(stored[1]) if coarse else len(stored[0]))
        stored[coarse].append(image.reshape(n_days, image.shape[1] * image.shape[2]))
        whole = np.kron(image, np.ones((1, 2, 2), np.int16)) if coarse else image
        plain.append(whole[:, : shape[0], : shape[1]].reshape(n_days, shape[0] * shape[1]))
    n_pixels = shape[0] * shape[1]
    sizes = (n_pixels, half[0] * half[1])
    fine, coarse = (
        np.stack(bands, axis=1) if bands else np.empty((n_days, 0, size), np.int16)
        for bands, size in zip(stored, sizes, strict=True)
    )
    clear = rng.integers(0, 2, (n_days, n_pixels), np.uint8)
    days = np.arange(n_days, dtype=np.int32)
    series = BlockSeries(shape, fine, coarse, np.array(slots, np.int32), clear, days)
    pixels = rng.permutation(n_pixels)[: data.draw(st.integers(0, n_pixels))]
    values, flags = series.take(pixels)
    expected = np.stack(plain, axis=1)
    np.testing.assert_array_equal(values, expected[:, :, pixels])
    np.testing.assert_array_equal(flags, clear[:, pixels])
    masked = np.where(clear[:, None] == 1, expected, -10_000)
    np.testing.assert_array_equal(series.values, masked)


@given(SIZES, st.data())
def test_the_bounding_part_is_even_and_as_small_as_can_be(shape, data) -> None:
    flags = np.zeros(shape, np.uint8)
    for row, column in data.draw(
        st.sets(st.tuples(st.integers(0, shape[0] - 1), st.integers(0, shape[1] - 1)), min_size=1)
    ):
        flags[row, column] = 1
    part = bounding(flags)
    rows, columns = np.nonzero(flags)
    assert part.rows == (rows.min() // 2 * 2, rows.max() + 1)
    assert part.columns == (columns.min() // 2 * 2, columns.max() + 1)
    assert part.of(flags).sum() == flags.sum()
    half = flags[::2, ::2]
    assert part.of(half, 2).shape == tuple(-(-size // 2) for size in part.of(flags).shape)
    assert part.moved(10, 20).rows == (part.rows[0] + 10, part.rows[1] + 10)
