"""Whether a matrix of features is what a function takes: type, sides, and which way it lies.

Compiled code does not look: a transposed matrix would give an answer, and a narrow one would be
read beyond its end.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def require_columns(features: Array, n_features: int | None) -> None:
    """Raise ValueError unless pixels are the columns: int16, shape ``(feature, pixel)``.

    Parameters
    ----------
    features
        The matrix.
    n_features
        How many features there must be; None where that is not known.
    """
    if fault := _fault(features, n_features, 0):
        raise ValueError(f"features: {fault}")


def require_rows(features: Array, n_features: int | None) -> None:
    """Raise ValueError unless pixels are the rows: int16, shape ``(pixel, feature)``.

    Parameters
    ----------
    features, n_features
        As of :func:`require_columns`.
    """
    if fault := _fault(features, n_features, 1):
        raise ValueError(f"features: {fault}")


def require_length(name: str, values: Array, n_pixels: int) -> None:
    """Raise ValueError unless there is one value for each pixel, shape ``(pixel,)``."""
    if values.shape != (n_pixels,):
        raise ValueError(f"{name}: found shape {values.shape}, expected ({n_pixels},)")


def _fault(features: Array, n_features: int | None, side: int) -> str | None:
    sides = ("(feature, pixel)", "(pixel, feature)")
    expected = f"expected int16 of shape {sides[side]}"
    if not isinstance(features, np.ndarray):
        return f"found {type(features).__name__}, {expected}"
    found = f"found {features.dtype} of shape {features.shape}"
    if features.dtype != np.int16 or features.ndim != 2:
        return f"{found}, {expected}"
    if n_features is None or features.shape[side] == n_features:
        return None
    lies = "; it is transposed" if features.shape[1 - side] == n_features else ""
    return f"{found}, {expected} with {n_features} features{lies}"
