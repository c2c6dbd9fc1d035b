"""Compiled evaluation of the networks on int16 reflectances.

Angles are the same for all pixels of an image, so they, the normalisation and the scale of the
stored numbers enter the weights before the pixels are looked at. Each hidden neuron is one plain
loop over a piece of a row, which the compiler turns into vector instructions. Arithmetic is
float32 without reordering, so that all processors give the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.kernels import kernel
from oso_pipeline.timeseries.biophysical.network import (
    INPUT_BANDS,
    Network,
    definition_domain,
    network_of,
)
from oso_pipeline.timeseries.kernels.chunks import NODATA

_UNIT = 1e-4  # reflectance of one stored unit
_N_BANDS = len(INPUT_BANDS)
_PIECE = 512

_ONE, _HALF, _TWO = np.float32(1), np.float32(0.5), np.float32(2)
# Of the continued fraction of tanh (Lambert), cut after its seventh term.
_N0, _N2, _N4 = np.float32(135_135), np.float32(17_325), np.float32(378)
_D2, _D4, _D6 = np.float32(62_370), np.float32(3_150), np.float32(28)
_MOST = np.float32(9)  # tanh(9) is 1 in float32
_BINS, _LAST_BIN = np.int32(10), np.int32(9)


def estimate(
    variable: str,
    reflectance: npt.NDArray[np.int16],
    cosines: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.uint8]]:
    """Estimate a variable at the pixels of one image.

    Parameters
    ----------
    variable
        ``LAI``, ``FAPAR`` or ``FCOVER``.
    reflectance
        Reflectances of `INPUT_BANDS` in 1e-4 units, int16, shape ``(8, n)``; -10000 is no data.
    cosines
        Cosines of view zenith, sun zenith and relative azimuth, float64, shape ``(3,)``.

    Returns
    -------
    values
        int16, shape ``(n,)``, in units of 1e-3 (LAI) or 1e-4 (FAPAR, FCOVER), between the limits
        of the variable; -10000 where a band has no data.
    flags
        uint8, shape ``(n,)``: bits as in :data:`~oso_pipeline.timeseries.biophysical.FLAGS`.
        Outputs outside the limits are set to the nearer one: within the tolerance with the bit of
        a thresholded output, beyond it with the bit of an output that is too low or too high.

    Raises
    ------
    ValueError
        If the variable is unknown, or shapes or types do not fit.

    Examples
    --------
    >>> crop = np.array([[580], [79], [936], [2585], [2825], [3087], [1708], [698]], np.int16)
    >>> values, flags = estimate("LAI", crop, np.array([0.98434, 0.40581, -0.55142]))
    >>> values.tolist(), flags.tolist()
    ([1489], [0])
    """
    if reflectance.dtype != np.int16:
        raise ValueError(f"reflectance must be int16, got {reflectance.dtype}")
    network = network_of(variable)
    output = network_output(variable, reflectance, cosines)
    n_pixels = reflectance.shape[1]
    values, flags = np.empty(n_pixels, np.int16), np.empty(n_pixels, np.uint8)
    _domain(np.ascontiguousarray(reflectance), *_domain_tables(), flags)
    stored = (network.least, network.greatest, network.tolerance, 1 / network.scale)
    _limit(output, np.array(stored, dtype=np.float32), values, flags)
    return values, flags


def network_output(
    variable: str,
    reflectance: npt.NDArray[np.int16] | npt.NDArray[np.float32],
    cosines: npt.NDArray[np.float64],
) -> npt.NDArray[np.float32]:
    """Return what a network says of some pixels, neither limited nor rounded.

    Parameters
    ----------
    variable, cosines
        As for :func:`estimate`.
    reflectance
        Of `INPUT_BANDS` in 1e-4 units, int16 or float32, shape ``(8, n)``.

    Returns
    -------
    output
        Physical values, float32, shape ``(n,)``; they mean nothing where a band has no data.

    Raises
    ------
    ValueError
        If the variable is unknown, or shapes or types do not fit.
    """
    if reflectance.ndim != 2 or reflectance.shape[0] != _N_BANDS or cosines.shape != (3,):
        raise ValueError(
            f"reflectance must have the shape ({_N_BANDS}, pixel) and cosines (3,), got "
            f"{reflectance.shape} and {cosines.shape}"
        )
    if reflectance.dtype not in (np.int16, np.float32):
        raise ValueError(f"reflectance must be int16 or float32, got {reflectance.dtype}")
    folded = _folded(network_of(variable), cosines)
    output = np.empty(reflectance.shape[1], np.float32)
    _forward(
        np.ascontiguousarray(reflectance), folded.hidden, folded.bias, folded.output, folded.last,
        output,
    )  # fmt: skip
    return output


@dataclass(frozen=True)
class _Folded:
    """Weights that act on stored reflectances and give physical values; float32."""

    hidden: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]
    output: npt.NDArray[np.float32]
    last: np.float32


def _folded(network: Network, cosines: npt.NDArray[np.float64]) -> _Folded:
    """Fold normalisation, unit and angles into the weights.

    Inputs are normalised to ``2 (x - minimum) / (maximum - minimum) - 1``, outputs are
    ``0.5 (y + 1) (maximum - minimum) + minimum`` (document of the networks, section 2).
    """
    slope = 2 / (network.input_maximum - network.input_minimum)
    shift = -slope * network.input_minimum - 1
    weights = network.hidden_weights
    fixed = weights @ shift + weights[:, _N_BANDS:] @ (slope[_N_BANDS:] * cosines)
    half = 0.5 * (network.output_maximum - network.output_minimum)
    return _Folded(
        (weights[:, :_N_BANDS] * slope[:_N_BANDS] * _UNIT).astype(np.float32),
        (network.hidden_bias + fixed).astype(np.float32),
        (network.output_weights * half).astype(np.float32),
        np.float32((network.output_bias + 1) * half + network.output_minimum),
    )


@cache
def _domain_tables() -> tuple[Any, ...]:
    """Return minimum, maximum and bins per unit of stored reflectances, and the cells."""
    domain = definition_domain()
    low, high = domain.minimum / _UNIT, domain.maximum / _UNIT
    numbers = np.stack([low, high, int(_BINS) / (high - low)]).astype(np.float32)
    return numbers, domain.first, domain.last, domain.pairs


@kernel(error_model="numpy")
def _forward(reflectance, hidden, bias, output, last, out):  # type: ignore[no-untyped-def]
    """Write the outputs of a network into `out`."""
    n_pixels = len(out)
    numbers = np.empty((_N_BANDS, _PIECE), np.float32)
    for start in range(0, n_pixels, _PIECE):
        end = min(start + _PIECE, n_pixels)
        for band in range(_N_BANDS):
            _as_float(reflectance[band, start:end], numbers[band])
        piece = out[start:end]
        for p in range(len(piece)):
            piece[p] = last
        for neuron in range(len(bias)):
            _add_neuron(numbers, hidden[neuron], bias[neuron], output[neuron], piece)


@kernel(error_model="numpy")
def _as_float(row, out):  # type: ignore[no-untyped-def]
    for p in range(len(row)):
        out[p] = np.float32(row[p])


@kernel(error_model="numpy")
def _add_neuron(numbers, weights, bias, output, out):  # type: ignore[no-untyped-def]
    """Add ``output * tanh(bias + weights @ numbers)`` to `out`.

    The hyperbolic tangent is that of the doubled argument of its continued fraction n / d, with
    one division: ``tanh(2 y) = 2 n d / (n^2 + d^2)``; its error is below 1e-6 everywhere.
    """
    b0, b1, b2, b3 = numbers[0], numbers[1], numbers[2], numbers[3]
    b4, b5, b6, b7 = numbers[4], numbers[5], numbers[6], numbers[7]
    w0, w1, w2, w3 = weights[0], weights[1], weights[2], weights[3]
    w4, w5, w6, w7 = weights[4], weights[5], weights[6], weights[7]
    for p in range(len(out)):
        x = bias + w0 * b0[p] + w1 * b1[p]
        x += w2 * b2[p] + w3 * b3[p]
        x += w4 * b4[p] + w5 * b5[p]
        x += w6 * b6[p] + w7 * b7[p]
        x = _MOST if x > _MOST else x
        x = -_MOST if x < -_MOST else x
        y = x * _HALF
        square = y * y
        n = y * (_N0 + square * (_N2 + square * (_N4 + square)))
        d = _N0 + square * (_D2 + square * (_D4 + square * _D6))
        out[p] += output * (_TWO * n * d / (n * n + d * d))


@kernel(error_model="numpy")
def _domain(reflectance, numbers, first, last, pairs, flags):  # type: ignore[no-untyped-def]
    """Write 1 into `flags` where the inputs lie outside the definition domain, 255 for no data."""
    n_pixels = len(flags)
    cells = np.empty((2, _PIECE), np.int32)
    least = np.empty(_PIECE, np.int16)
    for start in range(0, n_pixels, _PIECE):
        size = min(_PIECE, n_pixels - start)
        least[:] = 0
        for half in range(2):
            rows = reflectance[4 * half : 4 * half + 4]
            limits = numbers[:, 4 * half : 4 * half + 4]
            _cells(rows, limits, start, cells[half, :size], least)
        for p in range(size):
            # Outside the range of a band the number is negative.
            row, column = max(cells[0, p], 0), max(cells[1, p], 0)
            inside = pairs[first[row], last[column]]
            inside = 0 if min(cells[0, p], cells[1, p]) < 0 else inside
            flags[start + p] = 255 if least[p] == NODATA else 1 - inside


@kernel(error_model="numpy")
def _cells(rows, limits, start, cells, least):  # type: ignore[no-untyped-def]
    """Write the number of four digits of four bands, negative outside their ranges; the minimum."""
    end = start + len(cells)
    b0, b1, b2, b3 = rows[0, start:end], rows[1, start:end], rows[2, start:end], rows[3, start:end]
    l0, l1, l2, l3 = limits[0, 0], limits[0, 1], limits[0, 2], limits[0, 3]
    h0, h1, h2, h3 = limits[1, 0], limits[1, 1], limits[1, 2], limits[1, 3]
    u0, u1, u2, u3 = limits[2, 0], limits[2, 1], limits[2, 2], limits[2, 3]
    for p in range(len(cells)):
        x0, x1, x2, x3 = np.float32(b0[p]), np.float32(b1[p]), np.float32(b2[p]), np.float32(b3[p])
        outside = (x0 < l0) | (x0 > h0) | (x1 < l1) | (x1 > h1)
        outside |= (x2 < l2) | (x2 > h2) | (x3 < l3) | (x3 > h3)
        d0, d1 = min(np.int32((x0 - l0) * u0), _LAST_BIN), min(np.int32((x1 - l1) * u1), _LAST_BIN)
        d2, d3 = min(np.int32((x2 - l2) * u2), _LAST_BIN), min(np.int32((x3 - l3) * u3), _LAST_BIN)
        cell = ((d0 * _BINS + d1) * _BINS + d2) * _BINS + d3
        cells[p] = np.int32(-1) if outside else cell
        least[p] = min(least[p], min(min(b0[p], b1[p]), min(b2[p], b3[p])))


@kernel(error_model="numpy")
def _limit(output, limits, values, flags):  # type: ignore[no-untyped-def]
    """Write outputs as stored numbers between the limits; add the bits of those outside."""
    least, greatest, tolerance, units = limits[0], limits[1], limits[2], limits[3]
    for p in range(len(output)):
        y = output[p]
        bits = np.uint8(0)
        bits = np.uint8(2) if y < least else bits
        bits = np.uint8(8) if y < least - tolerance else bits
        bits = np.uint8(4) if y > greatest else bits
        bits = np.uint8(16) if y > greatest + tolerance else bits
        y = least if y < least else y
        y = greatest if y > greatest else y
        stored = np.int16(np.rint(y * units))
        missing = flags[p] == 255
        values[p] = np.int16(NODATA) if missing else stored
        flags[p] = np.uint8(0) if missing else flags[p] | bits
