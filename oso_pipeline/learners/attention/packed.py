"""The arrays of a classifier as the compiled code reads them.

Weights stand in blocks of `ROWS` outputs, input by input, so that a block is read once through.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from oso_pipeline.learners.attention.places import Places

ROWS = 4
"""Outputs that are computed together: their sums stay in registers."""

_LOG2_E = np.float64(np.log2(np.e))


class PackedSeries(NamedTuple):
    """One series of all members.

    Parameters
    ----------
    rows, lines
        Feature of each date and channel, and the line of the scratch memory that it goes to.
    factor, offset
        What turns the feature into that line.
    n_dates, n_channels
        Numbers of dates, and of channels with the constant, made even.
    root, keys, values, position
        Packed weights, shape ``(member, block, input, ROWS)``; those of `position`, for which a
        date is an input, are the same for all.
    offsets
        Shape ``(member, head, date)``. Scores are in powers of 2.
    """

    rows: npt.NDArray[np.int64]
    lines: npt.NDArray[np.int64]
    factor: npt.NDArray[np.float32]
    offset: npt.NDArray[np.float32]
    n_dates: int
    n_channels: int
    root: npt.NDArray[np.float32]
    keys: npt.NDArray[np.float32]
    values: npt.NDArray[np.float32]
    position: npt.NDArray[np.float32]
    offsets: npt.NDArray[np.float32]


class PackedLayer(NamedTuple):
    """One layer of all members: packed weights, and constants of shape ``(member, output)``."""

    weights: npt.NDArray[np.float32]
    constants: npt.NDArray[np.float32]


class Packed(NamedTuple):
    """All that the compiled code needs.

    Parameters
    ----------
    codes
        Code of each class.
    series
        Series of each group.
    static, factor, offset
        Features beside the series, and what turns them into inputs.
    width
        Outputs of attention to one series.
    layers
        Layers after attention.
    """

    codes: npt.NDArray[np.int32]
    series: tuple[PackedSeries, ...]
    static: npt.NDArray[np.int64]
    factor: npt.NDArray[np.float32]
    offset: npt.NDArray[np.float32]
    width: int
    layers: tuple[PackedLayer, ...]


def packed(arrays: Mapping[str, npt.NDArray[Any]], places: Places) -> Packed:
    """Return the arrays of a sound classifier in their order for the compiled code."""
    factor = (1 / arrays["spread"].astype(np.float64)).astype(np.float32)
    offset = (-arrays["centre"].astype(np.float64) / arrays["spread"]).astype(np.float32)
    layers = list[PackedLayer]()
    while (number := len(layers)) < sum(name.startswith("weights") for name in arrays):
        constants = arrays[f"constants{number}"]
        missing = -constants.shape[1] % ROWS
        lowest = np.finfo(np.float32).min  # of a class that is not there
        constants = np.pad(constants, ((0, 0), (0, missing)), constant_values=lowest)
        layers.append(PackedLayer(_blocks(arrays[f"weights{number}"]), constants))
    series = []
    for number, one in enumerate(places.series):
        n_dates, n_channels = one.rows.shape
        even = n_channels + 1 + (n_channels + 1) % 2
        lines = np.arange(n_dates)[:, None] * even + np.arange(n_channels)
        keys, offsets = (_LOG2_E * arrays[f"{name}{number}"] for name in ("keys", "offsets"))
        values = arrays[f"values{number}"]
        series.append(
            PackedSeries(
                one.rows.ravel(),
                lines.ravel(),
                factor[one.rows.ravel()],
                offset[one.rows.ravel()],
                n_dates,
                even,
                _blocks(arrays[f"root{number}"]),
                _blocks(keys),
                _blocks(values),
                _blocks(one.position(values.shape[1]).T[None]),
                offsets.astype(np.float32),
            )
        )
    width = arrays["values0"].shape[1]
    beside = places.static
    return Packed(
        arrays["codes"], tuple(series), beside, factor[beside], offset[beside], width, tuple(layers)
    )


def _blocks(weights: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return weights of shape ``(member, output, input)`` in blocks of outputs, 0 at the end."""
    n_members, n_out, n_in = weights.shape
    full = np.zeros((n_members, n_out + -n_out % ROWS, n_in), np.float32)
    full[:, :n_out] = weights
    blocks = full.reshape(n_members, -1, ROWS, n_in).transpose(0, 1, 3, 2)
    return np.ascontiguousarray(blocks)
