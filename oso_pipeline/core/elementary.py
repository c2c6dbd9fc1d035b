"""Exponential and logarithm from the four operations alone, so that every machine agrees.

Libraries of different machines round them differently in the last bit, and a feature must be the
same integer everywhere. These are within 1e-14 of the truth, relatively.
"""

from __future__ import annotations

import math

_LN2_HIGH = 0.6931471803691238  # the upper bits, so that products with small integers are exact
_LN2_LOW = 1.9082149292705877e-10
_LARGEST, _SMALLEST = 709.0, -745.0
_TERMS = 14


def exponential(x: float) -> float:
    """Return e to the power of `x`; infinite above 709, 0 below -745.

    The argument is reduced by multiples of ln 2, and the rest summed as a Taylor series.

    Examples
    --------
    >>> exponential(0.0), abs(exponential(1.0) - math.e) < 1e-15
    (1.0, True)
    """
    if x != x:
        return x
    if x > _LARGEST:
        return math.inf
    if x < _SMALLEST:
        return 0.0
    whole = math.floor(x / 0.6931471805599453 + 0.5)
    rest = (x - whole * _LN2_HIGH) - whole * _LN2_LOW
    total = 1.0
    for n in range(_TERMS, 0, -1):
        total = 1.0 + rest * total / n
    return math.ldexp(total, int(whole))


def logarithm(x: float) -> float:
    """Return the natural logarithm of `x`; minus infinity of 0, not a number below.

    With x = m 2**e and s = (m - 1) / (m + 1): ln x = e ln 2 + 2 (s + s**3 / 3 + s**5 / 5 + ...).

    Examples
    --------
    >>> logarithm(1.0), abs(logarithm(10.0) - math.log(10)) < 1e-15
    (0.0, True)
    """
    if x != x or x < 0.0:
        return math.nan
    if x == 0.0:
        return -math.inf
    if x == math.inf:
        return x
    part, power = math.frexp(x)
    if part < 0.7071067811865476:
        part, power = part * 2.0, power - 1
    s = (part - 1.0) / (part + 1.0)
    square, total = s * s, 0.0
    for n in range(_TERMS, -1, -1):
        total = total * square + 1.0 / (2 * n + 1)
    return power * _LN2_HIGH + (2.0 * s * total + power * _LN2_LOW)
