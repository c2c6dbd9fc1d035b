"""From formulas to the steps that the kernel runs: one operation on rows of numbers each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.expressions import Term
from oso_pipeline.core.indices import Index, term_of
from oso_pipeline.core.sensors import Sensor

LOAD, ADD, SUBTRACT, MULTIPLY, DIVIDE, NEGATE, ROOT, SIZE, LEAST, MOST, EXP, LOG, POWER = range(13)
"""Operations."""

_KINDS = {
    "+": ADD,
    "-": SUBTRACT,
    "*": MULTIPLY,
    "/": DIVIDE,
    "neg": NEGATE,
    "sqrt": ROOT,
    "abs": SIZE,
    "min": LEAST,
    "max": MOST,
    "exp": EXP,
    "log": LOG,
}
_MOST_PRODUCTS = 1024
SLOW = frozenset({EXP, LOG, POWER})
"""Operations that are computed pixel by pixel."""


class Programs(NamedTuple):
    """The formulas of a layout.

    Parameters
    ----------
    steps
        Operation, register of the result, and registers of what it is applied to (or the place of
        a band among the bands), int64, shape ``(step, 4)``.
    bounds
        First step of each formula, and the number of steps, int64.
    results
        Register of the result of each formula, int64.
    scales
        Scale of each formula, float64.
    constants
        Values of the first registers, float64.
    n_registers
        Number of registers.
    """

    steps: npt.NDArray[np.int64]
    bounds: npt.NDArray[np.int64]
    results: npt.NDArray[np.int64]
    scales: npt.NDArray[np.float64]
    constants: npt.NDArray[np.float64]
    n_registers: int


def programs_of(indices: Sequence[Index], bands: tuple[str, ...], sensor: Sensor) -> Programs:
    """Return the steps of formulas whose bands are all there."""
    written = [_Writer(bands, sensor).written(index) for index in indices]
    pool = list(dict.fromkeys(c for one in written for c in one.constants))
    n_own = max((one.n_registers for one in written), default=0)
    steps, bounds, results = [], [0], []
    for one in written:
        # Registers below 0 are constants of the formula, -1 the first.
        places = {-1 - n: pool.index(value) for n, value in enumerate(one.constants)}
        for operation, to, first, second in one.steps:
            operands = (
                (first, second)
                if operation == LOAD
                else (
                    places.get(first, first + len(pool)),
                    places.get(second, second + len(pool)),
                )
            )
            steps.append((operation, to + len(pool), *operands))
        bounds.append(len(steps))
        results.append(places.get(one.result, one.result + len(pool)))
    return Programs(
        np.array(steps, np.int64).reshape(-1, 4),
        np.array(bounds, np.int64),
        np.array(results, np.int64),
        np.array([index.scale for index in indices], np.float64),
        np.array(pool, np.float64),
        len(pool) + n_own,
    )


@dataclass(frozen=True)
class _Written:
    steps: list[tuple[int, int, int, int]]
    constants: list[float]
    result: int
    n_registers: int


class _Writer:
    """Writes one formula; what occurs twice in it is computed once."""

    def __init__(self, bands: tuple[str, ...], sensor: Sensor) -> None:
        self._bands, self._sensor = bands, sensor
        self._known: dict[tuple[int, int, int], int] = {}
        self._constants: list[float] = []

    def written(self, index: Index) -> _Written:
        result = self._value(term_of(index))
        steps = [(operation, to, a, b) for (operation, a, b), to in self._known.items()]
        return _with_few_registers(steps, self._constants, result)

    def _value(self, term: Term) -> int:
        """Return the register of a term: a step counted from 0, or a constant below 0."""
        if term.kind == "number":
            return self._constant(term.value)
        if term.kind == "band":
            place = self._bands.index(self._sensor.named(term.name))
            return self._step(LOAD, place, place)
        values = [self._value(part) for part in term.parts]
        if term.kind == "**":
            return self._power(values[0], term.parts[1], values[1])
        return self._step(_KINDS[term.kind], values[0], values[-1])

    def _power(self, base: int, exponent: Term, value: int) -> int:
        number = _number(exponent)
        if number is None:
            return self._step(POWER, base, value)
        if abs(number) == 0.5:
            root = self._step(ROOT, base, base)
            return root if number > 0 else self._step(DIVIDE, self._constant(1.0), root)
        if number % 1 or abs(number) > _MOST_PRODUCTS:
            return self._step(POWER, base, value)
        product = self._product(base, int(abs(number)))
        return product if number >= 0 else self._step(DIVIDE, self._constant(1.0), product)

    def _product(self, base: int, times: int) -> int:
        if times == 0:
            return self._constant(1.0)
        if times == 1:
            return base
        half = self._product(base, times // 2)
        square = self._step(MULTIPLY, half, half)
        return self._step(MULTIPLY, square, base) if times % 2 else square

    def _constant(self, value: float) -> int:
        if value not in self._constants:
            self._constants.append(value)
        return -1 - self._constants.index(value)

    def _step(self, operation: int, first: int, second: int) -> int:
        return self._known.setdefault((operation, first, second), len(self._known))


def _number(term: Term) -> float | None:
    """Return the value of a number with or without a sign; None for any other term."""
    if term.kind == "neg":
        value = _number(term.parts[0])
        return None if value is None else -value
    return term.value if term.kind == "number" else None


def _with_few_registers(
    steps: list[tuple[int, int, int, int]], constants: list[float], result: int
) -> _Written:
    """Reuse the register of a step after its last use, so that all of them stay in the cache."""
    last = {result: len(steps)}
    for number, (operation, _, first, second) in enumerate(steps):
        if operation != LOAD:
            last |= {used: max(number, last.get(used, 0)) for used in (first, second) if used >= 0}
    place: dict[int, int] = {}
    free: list[int] = []
    n_registers, renamed = 0, []
    for number, (operation, to, first, second) in enumerate(steps):
        operands = (first, second)
        if operation != LOAD:
            operands = (place.get(first, first), place.get(second, second))
            free += [place[used] for used in {first, second} if used >= 0 and last[used] == number]
        if not free:
            free.append(n_registers)
            n_registers += 1
        place[to] = free.pop()
        renamed.append((operation, place[to], *operands))
    return _Written(renamed, constants, place.get(result, result), n_registers)
