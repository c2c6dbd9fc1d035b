"""What is wrong with the arrays of a stored classifier."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from oso_pipeline.learners.attention.places import Places
from oso_pipeline.learners.protocol import Arrays
from oso_pipeline.timeseries.feature_layout import FeatureLayout

LAYERS = 3
"""Layers after attention."""
MOST = 1e5
"""Size of the greatest number: with these no sum of the compiled code leaves float32."""
_BLOCK = 4
"""Heads, and outputs of a head, come in multiples of this."""


def faults(arrays: Arrays, layout: FeatureLayout) -> list[str]:
    """Return all faults of arrays that may come from anywhere, for features of `layout`."""
    try:
        places = Places.of(layout)
    except ValueError as error:
        return [str(error)]
    names = names_of(places)
    if missing := [name for name in names if name not in arrays]:
        return [f"{', '.join(missing)} is missing"]
    if unknown := sorted(set(arrays) - set(names)):
        return [f"{', '.join(unknown)} is no part of such a classifier"]
    found = list(_of_numbers(arrays))
    return found or list(_of_shapes(arrays, layout, places))


def names_of(places: Places) -> tuple[str, ...]:
    """Return the names of the arrays of a classifier."""
    of_series = ("root", "keys", "offsets", "values")
    series = [f"{name}{n}" for n in range(len(places.series)) for name in of_series]
    layers = [f"{name}{n}" for n in range(LAYERS) for name in ("weights", "constants")]
    return ("codes", "centre", "spread", *series, *layers)


def _of_numbers(arrays: Arrays) -> Iterator[str]:
    codes = arrays["codes"]
    if codes.dtype != np.int32 or codes.ndim != 1 or len(codes) < 2:
        yield "codes are not at least two int32"
    elif (np.diff(codes) < 1).any() or codes[0] < 1 or codes[-1] > np.iinfo(np.uint16).max:
        yield "codes do not ascend from 1 to 65535"
    for name, array in arrays.items():
        if name == "codes":
            continue
        if array.dtype != np.float32:
            yield f"{name} is {array.dtype}, expected float32"
        elif not np.isfinite(array).all():
            yield f"{name} holds numbers that are not finite"
        elif (np.abs(array) > MOST).any():
            yield f"{name} holds numbers beyond {MOST:g}"
    if (arrays["spread"] < 1).any():
        yield "spread holds numbers below 1"


def _of_shapes(arrays: Arrays, layout: FeatureLayout, places: Places) -> Iterator[str]:
    if any(arrays[name].ndim != 3 for name in ("keys0", "values0", "weights0", "weights1")):
        yield "weights do not have the axes member, output and input"
        return
    members, heads, _ = arrays["keys0"].shape
    width = arrays["values0"].shape[1]
    if not members or not heads or heads % _BLOCK or width % (_BLOCK * heads) or not width:
        yield f"there are {members} members of {heads} heads and width {width}"
        return
    expected: dict[str, tuple[int, ...]] = {
        "centre": (layout.size,),
        "spread": (layout.size,),
    }
    for n, one in enumerate(places.series):
        n_dates, n_inputs = one.rows.shape[0], one.rows.shape[1] + 1
        expected |= {
            f"root{n}": (members, min(width, n_inputs), n_inputs),
            f"keys{n}": (members, heads, n_inputs),
            f"offsets{n}": (members, heads, n_dates),
            f"values{n}": (members, width, n_inputs),
        }
    sizes = [len(places.series) * width + len(places.static)]
    sizes += [arrays[f"weights{n}"].shape[1] for n in range(LAYERS - 1)] + [len(arrays["codes"])]
    for n in range(LAYERS):
        expected[f"weights{n}"] = (members, sizes[n + 1], sizes[n])
        expected[f"constants{n}"] = (members, sizes[n + 1])
    for name, shape in expected.items():
        if arrays[name].shape != shape:
            yield f"{name} has shape {arrays[name].shape}, expected {shape}"
    if any(size % _BLOCK or not size for size in sizes[1:-1]):
        yield f"layers have {sizes[1:-1]} neurons, expected multiples of {_BLOCK}"
