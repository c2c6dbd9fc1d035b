"""Vector instructions that a plain loop does not turn into: masks of lanes.

A lane is a pixel. Compared to a threshold, `LANES` pixels make one 64-bit mask; a mask selects
to which pixels something is added. They are written in the language of the compiler (LLVM IR),
which has instructions for them on every processor: with AVX-512 one or two, with AVX2 or NEON
a handful.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from oso_pipeline.core.llvm_vectors import splat, vector_at

LANES = 64
"""Lanes of a mask."""

ALIGNMENT = 64
"""Offsets into arrays must give addresses that are multiples of this many bytes."""

_MASK = ir.VectorType(ir.IntType(1), LANES)


@intrinsic
def at_most(typing: Any, values: Any, offset: Any, threshold: Any) -> Any:
    """Return the mask of the int16 `values` from `offset` on that are at most `threshold`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = vector_at(context, builder, signature, arguments, LANES)
        row = builder.load(pointer, align=ALIGNMENT)
        return builder.bitcast(
            builder.icmp_signed("<=", row, splat(builder, arguments[2], LANES)), ir.IntType(64)
        )

    return types.uint64(values, types.uint64, types.int16), generate


@intrinsic
def add_where(typing: Any, sums: Any, offset: Any, mask: Any, amount: Any) -> Any:
    """Add `amount` to the `sums` from `offset` on whose lanes are in `mask`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = vector_at(context, builder, signature, arguments, LANES)
        row = builder.load(pointer, align=ALIGNMENT)
        lanes = builder.bitcast(arguments[2], _MASK)
        added = builder.select(
            lanes, splat(builder, arguments[3], LANES), ir.Constant(row.type, None)
        )
        builder.store(builder.add(row, added), pointer, align=ALIGNMENT)
        return context.get_dummy_value()

    return types.void(sums, types.uint64, types.uint64, sums.dtype), generate


@intrinsic
def how_many(typing: Any, mask: Any) -> Any:
    """Return the number of lanes in a mask."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


@intrinsic
def first_of(typing: Any, mask: Any) -> Any:
    """Return the lowest lane in a mask that is not empty."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.IntType(1)(1))

    return types.uint64(types.uint64), generate
