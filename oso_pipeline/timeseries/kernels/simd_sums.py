"""Sums over a series and what follows from them, as `simd.Vector` values.

Whole numbers are exact. Operations in float32 are single operations of IEEE 754, rounded to nearest
and never fused, so that NumPy in float32 gives the same bits.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core.cgutils import get_or_insert_function
from numba.extending import intrinsic

from oso_pipeline.core.llvm_vectors import splat
from oso_pipeline.timeseries.kernels.simd import WIDTH, Float32s, Int16s, Vector

Int32s, Int64s = Vector(types.int32), Vector(types.int64)

_INT16, _INT32, _INT64, _FLOAT = ir.IntType(16), ir.IntType(32), ir.IntType(64), ir.FloatType()
_SCALE = 1000.0  # of what has no unit
_ROUNDER = 12_582_912.0  # 1.5 * 2 ** 23, see `simd.between`


@intrinsic
def add(typing: Any, total: Any, values: Any) -> Any:
    """Return ``total + values``."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.add(arguments[0], builder.sext(arguments[1], _vector(_INT32)))

    return Int32s(Int32s, Int16s), generate


@intrinsic
def add_exact_square(typing: Any, total: Any, values: Any) -> Any:
    """Return ``total + values ** 2``."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values = builder.sext(arguments[1], _vector(_INT32))
        square = builder.zext(builder.mul(values, values), _vector(_INT64))
        return builder.add(arguments[0], square)

    return Int64s(Int64s, Int16s), generate


@intrinsic
def deviation_factor(typing: Any, total: Any, squares: Any, count: Any) -> Any:
    """Return ``1000 / sqrt(count * squares - total ** 2)``; 0 where that is the root of 0."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        total = builder.sext(arguments[0], _vector(_INT64))
        count = splat(builder, builder.sext(arguments[2], _INT64), WIDTH)
        spread = builder.sub(builder.mul(count, arguments[1]), builder.mul(total, total))
        return _over(builder, _root(builder, builder.sitofp(spread, _vector(_FLOAT))))

    return Float32s(Int32s, Int64s, types.int32), generate


@intrinsic
def less_mean(typing: Any, values: Any, total: Any, count: Any, factor: Any) -> Any:
    """Return ``rint((count * values - total) * factor)``, within int16."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values = builder.sext(arguments[0], _vector(_INT32))
        product = builder.mul(values, splat(builder, arguments[2], WIDTH))
        change = builder.sitofp(builder.sub(product, arguments[1]), _vector(_FLOAT))
        return _rounded(builder, builder.fmul(change, arguments[3]))

    return Int16s(Int16s, Int32s, types.int32, Float32s), generate


@intrinsic
def mean(typing: Any, total: Any, count: Any) -> Any:
    """Return ``total / count``."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        total = builder.sitofp(arguments[0], _vector(_FLOAT))
        count = builder.sitofp(splat(builder, arguments[1], WIDTH), _vector(_FLOAT))
        return builder.fdiv(total, count)

    return Float32s(Int32s, types.int32), generate


@intrinsic
def add_product(typing: Any, total: Any, values: Any, weight: Any) -> Any:
    """Return ``total + values * weight``, both operations rounded."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values = builder.sitofp(arguments[1], _vector(_FLOAT))
        product = builder.fmul(values, splat(builder, arguments[2], WIDTH))
        return builder.fadd(arguments[0], product)

    return Float32s(Float32s, Int16s, types.float32), generate


@intrinsic
def length(typing: Any, one: Any, other: Any) -> Any:
    """Return ``sqrt(one ** 2 + other ** 2)``."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        first, second = (builder.fmul(value, value) for value in arguments)
        return _root(builder, builder.fadd(first, second))

    return Float32s(Float32s, Float32s), generate


@intrinsic
def angle_factor(typing: Any, amplitude: Any) -> Any:
    """Return ``1000 / amplitude``; 0 where that is 0."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _over(builder, arguments[0])

    return Float32s(Float32s), generate


@intrinsic
def times(typing: Any, one: Any, other: Any) -> Any:
    """Return ``one * other``."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fmul(*arguments)

    return Float32s(Float32s, Float32s), generate


@intrinsic
def rounded(typing: Any, values: Any) -> Any:
    """Return whole numbers, ties to even, within int16; `values` lie within 2 ** 22."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _rounded(builder, arguments[0])

    return Int16s(Float32s), generate


def _vector(element: Any) -> ir.VectorType:
    return ir.VectorType(element, WIDTH)


def _number(builder: Any, value: float) -> Any:
    return splat(builder, ir.Constant(_FLOAT, value), WIDTH)


def _root(builder: Any, values: Any) -> Any:
    kind = ir.FunctionType(_vector(_FLOAT), [_vector(_FLOAT)])
    return builder.call(
        get_or_insert_function(builder.module, kind, f"llvm.sqrt.v{WIDTH}f32"), [values]
    )


def _over(builder: Any, values: Any) -> Any:
    """Return ``1000 / values``, 0 where they are 0."""
    nothing = builder.fcmp_ordered("==", values, _number(builder, 0.0))
    quotient = builder.fdiv(_number(builder, _SCALE), values)
    return builder.select(nothing, _number(builder, 0.0), quotient)


def _rounded(builder: Any, values: Any) -> Any:
    low, high = _number(builder, -32768.0), _number(builder, 32767.0)
    values = builder.select(builder.fcmp_ordered("<", values, low), low, values)
    values = builder.select(builder.fcmp_ordered(">", values, high), high, values)
    bits = builder.bitcast(builder.fadd(values, _number(builder, _ROUNDER)), _vector(_INT32))
    return builder.trunc(bits, _vector(_INT16))
