"""Vector instructions that compilers do not generate from a plain loop: bit masks of pixels.

Comparing `MASK_BITS` pixels with a threshold gives one 64-bit mask. A mask selects the pixels to
which a value is added. The instructions are written in the language of the compiler (LLVM IR),
which has instructions for them on every processor: with AVX-512 one or two, with AVX2 or NEON
a handful.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from oso_pipeline.core.llvm_vectors import splat, vector_at

MASK_BITS = 64
"""Pixels of a mask."""

ALIGNMENT = 64
"""Offsets into arrays must give addresses that are multiples of this many bytes."""

_MASK = ir.VectorType(ir.IntType(1), MASK_BITS)


@intrinsic
def at_most(typing: Any, values: Any, offset: Any, threshold: Any) -> Any:
    """Return the mask of the int16 `values` from `offset` on that are at most `threshold`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = vector_at(context, builder, signature, arguments, MASK_BITS)
        row = builder.load(pointer, align=ALIGNMENT)
        return builder.bitcast(
            builder.icmp_signed("<=", row, splat(builder, arguments[2], MASK_BITS)), ir.IntType(64)
        )

    return types.uint64(values, types.uint64, types.int16), generate


@intrinsic
def add_where(typing: Any, sums: Any, offset: Any, mask: Any, amount: Any) -> Any:
    """Add `amount` to the `sums` from `offset` on at the pixels in `mask`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = vector_at(context, builder, signature, arguments, MASK_BITS)
        row = builder.load(pointer, align=ALIGNMENT)
        selected = builder.bitcast(arguments[2], _MASK)
        added = builder.select(
            selected, splat(builder, arguments[3], MASK_BITS), ir.Constant(row.type, None)
        )
        builder.store(builder.add(row, added), pointer, align=ALIGNMENT)
        return context.get_dummy_value()

    return types.void(sums, types.uint64, types.uint64, sums.dtype), generate


@intrinsic
def how_many(typing: Any, mask: Any) -> Any:
    """Return the number of pixels in a mask."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


@intrinsic
def first_of(typing: Any, mask: Any) -> Any:
    """Return the lowest pixel in a mask that is not empty."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.IntType(1)(1))

    return types.uint64(types.uint64), generate
