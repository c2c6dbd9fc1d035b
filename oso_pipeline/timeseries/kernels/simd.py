"""Vectors of `WIDTH` pixels as values of compiled functions.

The compiler turns a plain loop over the pixels of a row into vector instructions, but it begins
every loop with checks that its arrays do not overlap, and between two loops it keeps nothing in
registers. Rows of a chunk are short, so that costs more than the arithmetic. A `Vector` is a value
that compiled code holds in registers from one date to the next. Operations are written in the
language of the compiler (LLVM IR), which has them on every processor: with AVX-512 a vector of
int16 is one register, with AVX2 two, with NEON four.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core.cgutils import get_or_insert_function
from numba.extending import intrinsic, models, register_model

from oso_pipeline.core.llvm_vectors import splat, vector_at

WIDTH = 32
"""Pixels of a vector."""

_INT16, _INT32, _FLOAT = ir.IntType(16), ir.IntType(32), ir.FloatType()
_ROUNDER = 12_582_912.0  # 1.5 * 2 ** 23: a float32 this large has no fraction
_LOCALITY, _DATA, _READ = 3, 1, 0


class Vector(types.Type):
    """The type of `WIDTH` numbers of one type, a value of compiled functions only."""

    def __init__(self, dtype: types.Number) -> None:
        self.dtype = dtype
        super().__init__(name=f"Vector({dtype})")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    """Says that a vector is a vector of the compiler."""

    def __init__(self, manager: Any, fe_type: Vector) -> None:
        element = manager.lookup(fe_type.dtype).get_value_type()
        super().__init__(manager, fe_type, ir.VectorType(element, WIDTH))


Int16s, UInt32s, Float32s = Vector(types.int16), Vector(types.uint32), Vector(types.float32)


@intrinsic
def load(typing: Any, row: Any, offset: Any) -> Any:
    """Return the numbers of `row` from `offset` on."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _load(context, builder, signature, arguments, WIDTH)

    return Vector(row.dtype)(row, types.uint64), generate


@intrinsic
def load_in_turn(typing: Any, row: Any, first: Any, second: Any) -> Any:
    """Return half as many numbers from `first` on, in turn with those from `second` on."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, *offsets = arguments
        halves = [
            _load(context, builder, signature, (array, offset), WIDTH // 2) for offset in offsets
        ]
        in_turn = [place for n in range(WIDTH // 2) for place in (n, n + WIDTH // 2)]
        return builder.shuffle_vector(*halves, ir.Constant(_vector(_INT32), in_turn))

    return Vector(row.dtype)(row, types.uint64, types.uint64), generate


@intrinsic
def load_mask(typing: Any, row: Any, offset: Any) -> Any:
    """Return -1 where the bytes of `row` from `offset` on are not 0, else 0."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        flags = _load(context, builder, signature, arguments, WIDTH)
        set_ = builder.icmp_unsigned("!=", flags, ir.Constant(flags.type, None))
        return builder.sext(set_, _vector(_INT16))

    return Int16s(row, types.uint64), generate


@intrinsic
def store(typing: Any, row: Any, offset: Any, values: Any) -> Any:
    """Write `values` into `row` from `offset` on."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer, align = _pointer(context, builder, signature, arguments, WIDTH)
        builder.store(arguments[2], pointer, align=align)
        return context.get_dummy_value()

    return types.void(row, types.uint64, values), generate


@intrinsic
def store_past_caches(typing: Any, row: Any, offset: Any, values: Any) -> Any:
    """Write `values` where the address is a multiple of their size, not by way of the caches.

    Memory that is not read soon is written without being fetched first and without using the cache.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer, align = _pointer(context, builder, signature, arguments, WIDTH)
        written = builder.store(arguments[2], pointer, align=align * WIDTH)
        written.set_metadata("nontemporal", builder.module.add_metadata([_INT32(1)]))
        return context.get_dummy_value()

    return types.void(row, types.uint64, values), generate


@intrinsic
def fetch_early(typing: Any, row: Any, offset: Any) -> Any:
    """Prefetch memory at `offset`, which may be beyond the end, to the cache."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        place = builder.gep(array.data, [arguments[1]])
        pointer = builder.bitcast(place, ir.IntType(8).as_pointer())
        numbers = [ir.Constant(_INT32, n) for n in (_READ, _LOCALITY, _DATA)]
        function = builder.module.declare_intrinsic(
            "llvm.prefetch",
            [pointer.type],
            ir.FunctionType(ir.VoidType(), [pointer.type, _INT32, _INT32, _INT32]),
        )
        builder.call(function, [pointer, *numbers])
        return context.get_dummy_value()

    return types.void(row, types.uint64), generate


@intrinsic
def everywhere(typing: Any, value: Any) -> Any:
    """Return a vector with `value` in all places."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return splat(builder, arguments[0], WIDTH)

    return Vector(value)(value), generate


@intrinsic
def choose(typing: Any, mask: Any, yes: Any, no: Any) -> Any:
    """Return `yes` where `mask` is -1 and `no` where it is 0."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        mask, yes, no = arguments
        return builder.or_(builder.and_(yes, mask), builder.and_(no, builder.not_(mask)))

    return yes(mask, yes, no), generate


@intrinsic
def subtract(typing: Any, one: Any, other: Any) -> Any:
    """Return ``one - other``."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.sub(*arguments)

    return one(one, other), generate


@intrinsic
def between(typing: Any, before: Any, after: Any, weight: Any) -> Any:
    """Return ``rint(before + (after - before) * weight)`` in float32, ties to even.

    Adding a number so large that the sum has no fraction left rounds, and leaves the result in
    the low bits of the sum.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        before, after = (builder.sitofp(value, _vector(_FLOAT)) for value in arguments[:2])
        change = builder.fmul(builder.fsub(after, before), arguments[2])
        value = builder.fadd(before, change)
        rounder = splat(builder, ir.Constant(_FLOAT, _ROUNDER), WIDTH)
        bits = builder.bitcast(builder.fadd(value, rounder), _vector(_INT32))
        return builder.trunc(bits, _vector(_INT16))

    return Int16s(Int16s, Int16s, Float32s), generate


@intrinsic
def ratio(typing: Any, plus: Any, minus: Any) -> Any:
    """Return ``1000 (plus - minus) / (plus + minus)``, truncated, clipped; 0 where the sum is 0.

    The quotient of sizes in float32 is at most one off where it is not clipped; the remainder
    corrects it.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        plus, minus = (builder.sext(value, _vector(_INT32)) for value in arguments)
        total, change = builder.add(plus, minus), builder.sub(plus, minus)
        negative = builder.icmp_signed("<", builder.xor(total, change), _whole(builder, 0))
        size, part = _absolute(builder, total), _absolute(builder, change)
        part = builder.mul(part, _whole(builder, 1000))
        nothing = builder.icmp_signed("==", size, _whole(builder, 0))
        size = builder.select(nothing, _whole(builder, 1), size)
        part = builder.select(nothing, _whole(builder, 0), part)
        quotient = builder.fptosi(
            builder.fdiv(
                builder.sitofp(part, _vector(_FLOAT)), builder.sitofp(size, _vector(_FLOAT))
            ),
            _vector(_INT32),
        )
        rest = builder.sub(part, builder.mul(quotient, size))
        too_small = builder.zext(builder.icmp_signed(">=", rest, size), _vector(_INT32))
        too_large = builder.sext(
            builder.icmp_signed("<", rest, _whole(builder, 0)), _vector(_INT32)
        )
        quotient = builder.add(quotient, builder.add(too_small, too_large))
        signed = builder.select(negative, builder.neg(quotient), quotient)
        return builder.trunc(_clipped(builder, signed, -32768, 32767), _vector(_INT16))

    return Int16s(Int16s, Int16s), generate


@intrinsic
def add_square(typing: Any, total: Any, values: Any) -> Any:
    """Return `total` plus the squares of `values`, at most 2 ** 30."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        total, values = arguments[0], builder.sext(arguments[1], _vector(_INT32))
        return _smaller(builder, builder.add(total, builder.mul(values, values)), 2**30)

    return UInt32s(UInt32s, Int16s), generate


@intrinsic
def root(typing: Any, total: Any) -> Any:
    """Return the root of `total`, at most 2 ** 30, truncated, at most 32767."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        (total,) = arguments
        one = _whole(builder, 1)
        kind = ir.FunctionType(_vector(_FLOAT), [_vector(_FLOAT)])
        sqrt = get_or_insert_function(builder.module, kind, f"llvm.sqrt.v{WIDTH}f32")
        guess = builder.call(sqrt, [builder.uitofp(total, _vector(_FLOAT))])
        whole = builder.fptosi(guess, _vector(_INT32))
        # float32 is within one of the truth.
        too_large = builder.icmp_signed(">", builder.mul(whole, whole), total)
        whole = builder.select(too_large, builder.sub(whole, one), whole)
        above = builder.add(whole, one)
        too_small = builder.icmp_signed("<=", builder.mul(above, above), total)
        whole = builder.select(too_small, above, whole)
        return builder.trunc(_smaller(builder, whole, 32767), _vector(_INT16))

    return Int16s(UInt32s), generate


def _vector(element: Any) -> ir.VectorType:
    return ir.VectorType(element, WIDTH)


def _pointer(
    context: Any, builder: Any, signature: Any, arguments: Any, width: int
) -> tuple[Any, int]:
    """Return where `width` elements of the array begin, and the bytes of one."""
    pointer = vector_at(context, builder, signature, arguments, width)
    return pointer, signature.args[0].dtype.bitwidth // 8


def _load(context: Any, builder: Any, signature: Any, arguments: Any, width: int) -> Any:
    pointer, align = _pointer(context, builder, signature, arguments, width)
    return builder.load(pointer, align=align)


def _whole(builder: Any, number: int) -> Any:
    return splat(builder, ir.Constant(_INT32, number), WIDTH)


def _absolute(builder: Any, value: Any) -> Any:
    negative = builder.icmp_signed("<", value, _whole(builder, 0))
    return builder.select(negative, builder.neg(value), value)


def _smaller(builder: Any, value: Any, most: int) -> Any:
    limit = _whole(builder, most)
    return builder.select(builder.icmp_unsigned("<", value, limit), value, limit)


def _clipped(builder: Any, value: Any, least: int, most: int) -> Any:
    low, high = _whole(builder, least), _whole(builder, most)
    value = builder.select(builder.icmp_signed("<", value, low), low, value)
    return builder.select(builder.icmp_signed(">", value, high), high, value)
