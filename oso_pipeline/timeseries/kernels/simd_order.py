"""Vectors of int16 put in order: the lesser, the greater, and which is which."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.extending import intrinsic

from oso_pipeline.timeseries.kernels.simd import WIDTH, Int16s

_INT16S = ir.VectorType(ir.IntType(16), WIDTH)
_INT32S = ir.VectorType(ir.IntType(32), WIDTH)


@intrinsic
def lesser(typing: Any, one: Any, other: Any) -> Any:
    """Return the smaller of two."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        one, other = arguments
        return builder.select(builder.icmp_signed("<", other, one), other, one)

    return Int16s(Int16s, Int16s), generate


@intrinsic
def greater(typing: Any, one: Any, other: Any) -> Any:
    """Return the larger of two."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        one, other = arguments
        return builder.select(builder.icmp_signed(">", other, one), other, one)

    return Int16s(Int16s, Int16s), generate


@intrinsic
def is_above(typing: Any, one: Any, other: Any) -> Any:
    """Return -1 where `one` is above `other`, else 0."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.sext(builder.icmp_signed(">", *arguments), _INT16S)

    return Int16s(Int16s, Int16s), generate


@intrinsic
def span(typing: Any, high: Any, low: Any) -> Any:
    """Return ``high - low``, at most 32767."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        high, low = (builder.sext(value, _INT32S) for value in arguments)
        difference = builder.sub(high, low)
        most = ir.Constant(_INT32S, [32_767] * WIDTH)
        beyond = builder.icmp_signed(">", difference, most)
        return builder.trunc(builder.select(beyond, most, difference), _INT16S)

    return Int16s(Int16s, Int16s), generate
