"""What a formula gives: its values by NumPy, and whether it can serve as an index."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.expressions import FormulaError, Term

Floats = npt.NDArray[np.float64]

LOWEST, HIGHEST = -32_768, 32_767
"""Range of a stored value."""
NUDGE = 1e-6
"""A value that lies less than this below a whole number counts as that number.

Reflectances are multiples of 1e-4, which binary fractions are not: 0.29 * 1000 is a hair below 290.
Quotients of whole reflectances lie at least 1.5e-5 below the next number or on it.
"""

_TRIALS, _DARKEST, _BRIGHTEST = 64, 0.01, 0.6
_NOTHING = 1e-14


def _power(base: Floats, exponent: Floats) -> Floats:
    """Return powers; of a base below 0 only with a whole number as the exponent."""
    if np.ndim(exponent) == 0 and float(exponent) % 1 == 0:
        return np.power(base, exponent)
    return np.where(exponent == 0, 1.0, np.exp(exponent * np.log(base)))


_OPERATIONS: Mapping[str, Callable[..., Any]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "**": _power,
    "neg": np.negative,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "exp": np.exp,
    "log": np.log,
    "min": np.minimum,
    "max": np.maximum,
}


def evaluated(term: Term, bands: Mapping[str, Floats]) -> Floats:
    """Return the values of a formula.

    Parameters
    ----------
    term
        The formula.
    bands
        Reflectances from 0 to 1 by common name, arrays of one shape.

    Returns
    -------
    ndarray
        float64; infinite or not a number where the formula divides by 0 and the like.
    """
    if term.kind == "number":
        return np.float64(term.value)  # type: ignore[return-value]
    if term.kind == "band":
        return bands[term.name]
    parts = [evaluated(part, bands) for part in term.parts]
    with np.errstate(all="ignore"):
        found: Floats = _OPERATIONS[term.kind](*parts)
    return found


def stored(values: Floats, scale: int) -> npt.NDArray[np.int16]:
    """Return values as they are stored: scaled, truncated toward zero, clipped to int16.

    A value that is no number, or infinite, becomes 0, as an index whose denominator is 0.

    Examples
    --------
    >>> stored(np.array([0.29, -0.2999, 99.0, np.inf]), 1000).tolist()
    [290, -299, 32767, 0]
    """
    scaled = np.where(np.isfinite(values), values, 0.0) * scale
    nudged = np.clip(scaled + np.copysign(NUDGE, scaled), LOWEST, HIGHEST)
    return np.trunc(nudged).astype(np.int16)


def refuse_useless(term: Term, scale: int) -> None:
    """Refuse a formula that gives nothing to tell pixels apart by.

    It is tried on reflectances from 0.01 to 0.6, each band by itself.

    Raises
    ------
    FormulaError
        If a division is by zero everywhere, no value is a number, or all stored values are equal.
    """
    numbers = np.random.default_rng(0)
    bands = {name: numbers.uniform(_DARKEST, _BRIGHTEST, _TRIALS) for name in sorted(term.bands)}
    for divisor in _divisors(term):
        if (np.abs(evaluated(divisor, bands)) < _NOTHING).all():
            raise FormulaError(f"divides by ({divisor}), which is zero everywhere")
    values = np.broadcast_to(evaluated(term, bands), _TRIALS)
    if not np.isfinite(values).any():
        raise FormulaError("gives no number for reflectances from 0.01 to 0.6")
    found = stored(values, scale)
    if (np.isin(found, (LOWEST, HIGHEST))).all():
        raise FormulaError(
            f"exceeds int16 at scale {scale} for all reflectances; use a lower scale"
        )
    if (found == found[0]).all():
        raise FormulaError(f"is {found[0]} for all reflectances at scale {scale}")


def _divisors(term: Term) -> Iterator[Term]:
    if term.kind == "/":
        yield term.parts[1]
    for part in term.parts:
        yield from _divisors(part)
