"""Formulas of users run on a chunk: one operation on a row of `CHUNK` pixels after the other."""

from __future__ import annotations

import numpy as np

from oso_pipeline.core.elementary import exponential, logarithm
from oso_pipeline.core.kernels import kernel
from oso_pipeline.timeseries.kernels import steps as op
from oso_pipeline.timeseries.kernels.doubles import (
    as_stored,
    larger,
    minus,
    negative,
    over,
    plus,
    reflectances,
    size,
    smaller,
    square_root,
    times,
)
from oso_pipeline.timeseries.kernels.rows import CHUNK, aligned
from oso_pipeline.timeseries.kernels.simd import WIDTH, load, store

_exponential, _logarithm = kernel(exponential), kernel(logarithm)


@kernel
def new_registers(programs):  # type: ignore[no-untyped-def]
    """Return the registers of formulas, rows of `CHUNK` float64, with the constants in place."""
    registers = aligned(8 * programs.n_registers * CHUNK).view(np.float64)
    for row in range(len(programs.constants)):
        registers[row * CHUNK : (row + 1) * CHUNK] = programs.constants[row]
    return registers


@kernel
def run_program(programs, number, first, row, scratch):  # type: ignore[no-untyped-def]
    """Write the values of formula `number` into `row`, for the date whose bands begin at `first`.

    Parameters
    ----------
    programs
        See `steps.Programs`.
    number
        Which formula.
    first, row
        Rows of ``scratch.features``.
    scratch
        Of it ``features`` and ``registers``.
    """
    registers = scratch.registers
    for step in range(programs.bounds[number], programs.bounds[number + 1]):
        kind, to = programs.steps[step, 0], programs.steps[step, 1] * CHUNK
        a, b = programs.steps[step, 2] * CHUNK, programs.steps[step, 3] * CHUNK
        if kind == op.LOAD:
            _load(scratch.features, first * CHUNK + a, registers, to)
        elif kind <= op.DIVIDE:
            _arithmetic(kind, registers, to, a, b)
        elif kind <= op.MOST:
            _function(kind, registers, to, a, b)
        else:
            _slow(kind, registers, to, a, b)
    result, scale = programs.results[number] * CHUNK, programs.scales[number]
    for offset in range(0, CHUNK, WIDTH):
        values = as_stored(load(registers, result + offset), scale)
        store(scratch.features, row * CHUNK + offset, values)


@kernel
def _load(features, band, registers, to):  # type: ignore[no-untyped-def]
    for offset in range(0, CHUNK, WIDTH):
        store(registers, to + offset, reflectances(load(features, band + offset)))


@kernel
def _arithmetic(kind, registers, to, a, b):  # type: ignore[no-untyped-def]
    for offset in range(0, CHUNK, WIDTH):
        one, other = load(registers, a + offset), load(registers, b + offset)
        if kind == op.ADD:
            store(registers, to + offset, plus(one, other))
        elif kind == op.SUBTRACT:
            store(registers, to + offset, minus(one, other))
        elif kind == op.MULTIPLY:
            store(registers, to + offset, times(one, other))
        else:
            store(registers, to + offset, over(one, other))


@kernel
def _function(kind, registers, to, a, b):  # type: ignore[no-untyped-def]
    for offset in range(0, CHUNK, WIDTH):
        one = load(registers, a + offset)
        if kind == op.NEGATE:
            store(registers, to + offset, negative(one))
        elif kind == op.ROOT:
            store(registers, to + offset, square_root(one))
        elif kind == op.SIZE:
            store(registers, to + offset, size(one))
        elif kind == op.LEAST:
            store(registers, to + offset, smaller(one, load(registers, b + offset)))
        else:
            store(registers, to + offset, larger(one, load(registers, b + offset)))


@kernel
def _slow(kind, registers, to, a, b):  # type: ignore[no-untyped-def]
    for p in range(CHUNK):
        value = registers[a + p]
        if kind == op.EXP:
            registers[to + p] = _exponential(value)
        elif kind == op.LOG:
            registers[to + p] = _logarithm(value)
        elif registers[b + p] == 0.0:
            registers[to + p] = 1.0
        else:
            registers[to + p] = _exponential(registers[b + p] * _logarithm(value))
