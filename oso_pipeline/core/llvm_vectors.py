"""Helpers to write vector instructions in LLVM IR, the language of numba's compiler."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

_INT32 = ir.IntType(32)


def vector_at(context: Any, builder: Any, signature: Any, arguments: Any, width: int) -> Any:
    """Return a pointer to `width` elements of the first argument, from the second on.

    Parameters
    ----------
    context, builder, signature, arguments
        As numba hands them to the code generator of an intrinsic, whose first two arguments are
        an array of one dimension and an offset.
    width
        Elements of the vector.
    """
    array = context.make_array(signature.args[0])(context, builder, arguments[0])
    first = builder.gep(array.data, [arguments[1]])
    return builder.bitcast(first, ir.VectorType(array.data.type.pointee, width).as_pointer())


def splat(builder: Any, value: Any, width: int) -> Any:
    """Return a vector with `value` in all of its `width` places."""
    nothing = ir.Constant(ir.VectorType(value.type, width), ir.Undefined)
    first = builder.insert_element(nothing, value, _INT32(0))
    zeros = ir.Constant(ir.VectorType(_INT32, width), [0] * width)
    return builder.shuffle_vector(first, nothing, zeros)
