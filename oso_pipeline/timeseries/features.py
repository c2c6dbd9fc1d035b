"""Features of a block: gap-filled reflectances and the indices computed from them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from oso_pipeline.timeseries.gapfill import CHUNK, blank, checked_clear, fill_chunk, new_scratch
from oso_pipeline.timeseries.layout import INDEX_BANDS, FeatureLayout

_CODES = {name: code for code, name in enumerate(INDEX_BANDS)}
_NDVI, _NDWI = _CODES["NDVI"], _CODES["NDWI"]


def block_features(
    values: npt.NDArray[np.int16],
    clear: npt.NDArray[np.uint8] | npt.NDArray[np.bool_],
    days_in: npt.NDArray[np.int32],
    layout: FeatureLayout,
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.uint16]]:
    """Compute the features of pixels; the one way to features for training and for the map.

    Parameters
    ----------
    values
        Reflectances in 1e-4 units, int16, shape ``(time, band, pixel)``, bands as in `layout`.
    clear
        Whether a date counts at a pixel, uint8 or bool, shape ``(time, pixel)``.
    days_in
        Days of the acquisitions since 1970-01-01, not descending, int32, shape ``(time,)``.
    layout
        Bands, dates and indices wanted.

    Returns
    -------
    features
        int16, shape ``(layout.size, pixel)``, rows as in ``layout.names``. Reflectances as
        :func:`~oso_pipeline.timeseries.gapfill.gapfill` gives them. From these integers:
        NDVI ``(B8 - B4) / (B8 + B4)`` and NDWI ``(B11 - B8) / (B11 + B8)``, times 1000,
        truncated toward zero, 0 where the denominator is 0, clipped to int16; brightness, the
        root of the sum of squares over all bands of the layout, truncated, at most 32767.
        -10000 throughout at pixels without a clear date.
    validity
        Number of clear dates, uint16, shape ``(pixel,)``.

    Raises
    ------
    ValueError
        If shapes, types or the number of bands do not fit, or days descend.
    """
    flags = checked_clear(values, clear, days_in)
    if values.shape[1] != len(layout.bands):
        raise ValueError(f"{values.shape[1]} bands given, the layout has {len(layout.bands)}")
    features = np.empty((layout.size, values.shape[2]), dtype=np.int16)
    validity = np.empty(values.shape[2], dtype=np.uint16)
    codes = np.array([_CODES[name] for name in layout.indices], dtype=np.int32)
    place = {band: number for number, band in enumerate(layout.bands)}
    # An index that is not asked for does not look at the band it would need.
    rows = (place.get("B4", 0), place.get("B8", 0), place.get("B11", 0))
    _features_block(values, flags, (days_in, layout.days), codes, rows, features, validity)
    return features, validity


@njit(cache=True, nogil=True)
def _features_block(values, clear, days, codes, rows, features, validity):  # type: ignore[no-untyped-def]
    n_dates, n_bands = len(days[1]), values.shape[1]
    scratch = new_scratch(len(days[0]), n_dates)
    squares = np.zeros(CHUNK, dtype=np.float64)
    red, nir, swir = rows
    for start in range(0, values.shape[2], CHUNK):
        span = (start, min(start + CHUNK, values.shape[2]))
        fill_chunk(values, clear, days, span, scratch, features, validity)
        row = n_dates * n_bands
        for code in codes:
            for date in range(n_dates):
                first = date * n_bands
                if code == _NDVI:
                    _ratio(features, first + nir, first + red, row, span)
                elif code == _NDWI:
                    _ratio(features, first + swir, first + nir, row, span)
                else:
                    _brightness(features, (first, n_bands), row, span, squares)
                row += 1
        blank(features, row, span[0], span[1], validity)


@njit(cache=True, nogil=True, error_model="numpy")
def _ratio(features, plus, minus, row, span):  # type: ignore[no-untyped-def]
    """Write the normalised difference of two rows, times 1000, truncated, into a third."""
    a, b = features[plus, span[0] : span[1]], features[minus, span[0] : span[1]]
    out = features[row, span[0] : span[1]]
    for p in range(span[1] - span[0]):
        # Quotients of such integers are either whole or at least 1 / 65536 from a whole
        # number, so float64 truncates as integer division would, and it vectorises.
        total = float(np.int32(a[p]) + np.int32(b[p]))
        difference = float(np.int32(a[p]) - np.int32(b[p]))
        quotient = 1000.0 * difference / total if total != 0.0 else 0.0
        out[p] = np.int16(np.int32(min(max(quotient, -32768.0), 32767.0)))


@njit(cache=True, nogil=True)
def _brightness(features, bands, row, span, squares):  # type: ignore[no-untyped-def]
    """Write the root of the sum of squares over the bands of one date."""
    first, n_bands = bands
    size = span[1] - span[0]
    for p in range(size):
        squares[p] = 0.0
    for band in range(n_bands):
        values = features[first + band, span[0] : span[1]]
        for p in range(size):
            squares[p] += np.float64(values[p]) * np.float64(values[p])
    out = features[row, span[0] : span[1]]
    for p in range(size):
        # Sums stay below 2 ** 53, and the root is rounded correctly: truncation is exact.
        out[p] = np.int16(np.int32(min(np.sqrt(squares[p]), 32767.0)))
