"""Vectors of float64 as values of compiled functions: arithmetic of IEEE 754, nothing else.

Written as `kernels.simd`. No operation is contracted with another, so the result is the same on
every processor.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.cgutils import get_or_insert_function
from numba.extending import intrinsic

from oso_pipeline.core.formulas import HIGHEST, LOWEST, NUDGE
from oso_pipeline.core.llvm_vectors import splat
from oso_pipeline.timeseries.kernels.simd import WIDTH, Int16s, Vector

Float64s = Vector(types.float64)

_DOUBLE = ir.DoubleType()
_DOUBLES = ir.VectorType(_DOUBLE, WIDTH)
_INT32S = ir.VectorType(ir.IntType(32), WIDTH)
_INT16S = ir.VectorType(ir.IntType(16), WIDTH)
_UNIT = 1e-4


def _of_two(emit: Callable[[Any, Any, Any], Any], text: str) -> Any:
    """Return an intrinsic of two vectors."""

    def operation(typing: Any, one: Any, other: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return emit(builder, *arguments)

        return Float64s(Float64s, Float64s), generate

    operation.__doc__ = text
    return intrinsic(operation)


def _of_one(emit: Callable[[Any, Any], Any], text: str) -> Any:
    """Return an intrinsic of one vector."""

    def operation(typing: Any, one: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return emit(builder, *arguments)

        return Float64s(Float64s), generate

    operation.__doc__ = text
    return intrinsic(operation)


def _extreme(order: str) -> Callable[[Any, Any, Any], Any]:
    """Return what emits the smaller or the larger one; not a number where one of them is none."""

    def emit(builder: Any, one: Any, other: Any) -> Any:
        chosen = builder.select(builder.fcmp_ordered(order, other, one), other, one)
        odd = builder.fcmp_unordered("uno", one, other)
        return builder.select(odd, builder.fadd(one, other), chosen)

    return emit


def _of_llvm(name: str) -> Callable[[Any, Any], Any]:
    def emit(builder: Any, one: Any) -> Any:
        kind = ir.FunctionType(_DOUBLES, [_DOUBLES])
        function = get_or_insert_function(builder.module, kind, f"llvm.{name}.v{WIDTH}f64")
        return builder.call(function, [one])

    return emit


plus = _of_two(lambda builder, one, other: builder.fadd(one, other), "Return the sum.")
minus = _of_two(lambda builder, one, other: builder.fsub(one, other), "Return the difference.")
times = _of_two(lambda builder, one, other: builder.fmul(one, other), "Return the product.")
over = _of_two(lambda builder, one, other: builder.fdiv(one, other), "Return the quotient.")
smaller = _of_two(_extreme("<"), "Return the smaller of two.")
larger = _of_two(_extreme(">"), "Return the larger of two.")
negative = _of_one(lambda builder, one: builder.fneg(one), "Return the value with its sign turned.")
square_root = _of_one(_of_llvm("sqrt"), "Return the root.")
size = _of_one(_of_llvm("fabs"), "Return the value without its sign.")


@intrinsic
def reflectances(typing: Any, values: Any) -> Any:
    """Return stored reflectances times 1e-4."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        unit = splat(builder, ir.Constant(_DOUBLE, _UNIT), WIDTH)
        return builder.fmul(builder.sitofp(arguments[0], _DOUBLES), unit)

    return Float64s(Int16s), generate


@intrinsic
def as_stored(typing: Any, values: Any, scale: Any) -> Any:
    """Return values times a scale as `core.formulas.stored` does."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def constant(value: float) -> Any:
            return splat(builder, ir.Constant(_DOUBLE, value), WIDTH)

        value, scale = arguments
        zero = constant(0.0)
        finite = builder.fcmp_ordered("==", builder.fsub(value, value), zero)
        value = builder.fmul(builder.select(finite, value, zero), splat(builder, scale, WIDTH))
        below = builder.fcmp_ordered("<", value, zero)
        value = builder.fadd(value, builder.select(below, constant(-NUDGE), constant(NUDGE)))
        for order, limit in (("<", constant(LOWEST)), (">", constant(HIGHEST))):
            value = builder.select(builder.fcmp_ordered(order, value, limit), limit, value)
        return builder.trunc(builder.fptosi(value, _INT32S), _INT16S)

    return Int16s(Float64s, types.float64), generate
