"""Arithmetic of float32 on vectors of pixels, in the language of the compiler (LLVM IR)."""

from __future__ import annotations

from math import factorial, log
from typing import Any

from llvmlite import ir
from numba import types
from numba.core.cgutils import get_or_insert_function
from numba.extending import intrinsic

from oso_pipeline.core.llvm_vectors import splat, vector_at
from oso_pipeline.timeseries.kernels.simd import WIDTH, Float32s

_FLOAT, _INT32 = ir.FloatType(), ir.IntType(32)
_FLOATS, _WHOLES = ir.VectorType(_FLOAT, WIDTH), ir.VectorType(_INT32, WIDTH)
_ROUNDER = 12_582_912.0  # 1.5 * 2 ** 23: a float32 this large has no fraction
_LEAST = -126.0
_MANTISSA_BITS, _EXPONENT_OF_ONE = 23, 127
_TERMS = [log(2) ** n / factorial(n) for n in range(7)]
"""Of the exponential series: at half a step from a whole number the rest is 1.2e-7."""


@intrinsic
def load_wholes(typing: Any, row: Any, offset: Any) -> Any:
    """Return the int16 of `row` from `offset` on as float32."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = vector_at(context, builder, signature, arguments, WIDTH)
        return builder.sitofp(builder.load(pointer, align=2), _FLOATS)

    return Float32s(row, types.uint64), generate


@intrinsic
def multiply_add(typing: Any, one: Any, other: Any, total: Any) -> Any:
    """Return ``one * other + total``, rounded once on every processor."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _fused(builder, *arguments)

    return Float32s(Float32s, Float32s, Float32s), generate


@intrinsic
def times(typing: Any, one: Any, other: Any) -> Any:
    """Return ``one * other``."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fmul(*arguments)

    return Float32s(Float32s, Float32s), generate


@intrinsic
def plus(typing: Any, one: Any, other: Any) -> Any:
    """Return ``one + other``."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fadd(*arguments)

    return Float32s(Float32s, Float32s), generate


@intrinsic
def larger(typing: Any, one: Any, other: Any) -> Any:
    """Return the larger number, in each place."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _larger(builder, *arguments)

    return Float32s(Float32s, Float32s), generate


@intrinsic
def inverse(typing: Any, value: Any) -> Any:
    """Return ``1 / value``."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fdiv(_same(builder, 1.0), arguments[0])

    return Float32s(Float32s), generate


@intrinsic
def inverse_root(typing: Any, value: Any) -> Any:
    """Return ``1 / sqrt(value)``."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(_FLOATS, [_FLOATS])
        root = get_or_insert_function(builder.module, kind, f"llvm.sqrt.v{WIDTH}f32")
        return builder.fdiv(_same(builder, 1.0), builder.call(root, arguments))

    return Float32s(Float32s), generate


@intrinsic
def power_of_2(typing: Any, value: Any, largest: Any) -> Any:
    """Return ``2 ** (value - largest)``, where `value` is at most `largest`; within 3e-7 of it.

    A difference below -126 counts as -126.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        difference = _larger(builder, builder.fsub(*arguments), _same(builder, _LEAST))
        rounder = _same(builder, _ROUNDER)
        shifted = builder.fadd(difference, rounder)
        rest = builder.fsub(difference, builder.fsub(shifted, rounder))
        power = _same(builder, _TERMS[-1])
        for term in reversed(_TERMS[:-1]):
            power = _fused(builder, power, rest, _same(builder, term))
        # The whole number stands in the low bits of `shifted`; the others leave with the shift.
        one = splat(builder, _INT32(_EXPONENT_OF_ONE), WIDTH)
        bits = splat(builder, _INT32(_MANTISSA_BITS), WIDTH)
        exponent = builder.add(builder.bitcast(shifted, _WHOLES), one)
        return builder.fmul(power, builder.bitcast(builder.shl(exponent, bits), _FLOATS))

    return Float32s(Float32s, Float32s), generate


def _same(builder: Any, number: float) -> Any:
    return splat(builder, ir.Constant(_FLOAT, number), WIDTH)


def _larger(builder: Any, one: Any, other: Any) -> Any:
    return builder.select(builder.fcmp_ordered(">", one, other), one, other)


def _fused(builder: Any, one: Any, other: Any, total: Any) -> Any:
    kind = ir.FunctionType(_FLOATS, [_FLOATS] * 3)
    fma = get_or_insert_function(builder.module, kind, f"llvm.fma.v{WIDTH}f32")
    return builder.call(fma, [one, other, total])
