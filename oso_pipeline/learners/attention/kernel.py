"""From features to probabilities in compiled code, `WIDTH` pixels at a time.

Lines of scratch memory hold one number of each of these pixels; all that a group of pixels needs
stays in the cache. See `network` for what is computed.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from oso_pipeline.core.kernels import kernel
from oso_pipeline.learners.attention.packed import ROWS
from oso_pipeline.learners.attention.vectors import (
    inverse,
    inverse_root,
    larger,
    load_wholes,
    multiply_add,
    plus,
    power_of_2,
    times,
)
from oso_pipeline.timeseries.kernels.chunks import features_chunk, new_scratch
from oso_pipeline.timeseries.kernels.rows import CHUNK, aligned
from oso_pipeline.timeseries.kernels.simd import WIDTH, everywhere, load, store

_NO_LESS = np.float32(-3.0e38)
_EPSILON = np.float32(1e-5)
_HALF = 0.5


class Lines(NamedTuple):
    """Flat lines of `WIDTH` pixels: inputs of all series, and what a member makes of them."""

    inputs: Any
    size: Any
    shares: Any
    weighted: Any
    sums: Any
    outputs: Any
    others: Any
    chances: Any


@kernel
def new_lines(net):  # type: ignore[no-untyped-def]
    """Return the memory for one group of pixels; constants are written."""
    n_inputs = n_dates = n_sums = 0
    for one in net.series:
        n_inputs += one.n_dates * one.n_channels
        n_dates = max(n_dates, one.n_dates)
        n_sums = max(n_sums, one.n_channels)
    widest = len(net.series) * net.width + len(net.static)
    for layer in net.layers:
        widest = max(widest, layer.constants.shape[1])
    line = 4 * WIDTH
    lines = Lines(
        aligned(n_inputs * line).view(np.float32),
        aligned(n_dates * line).view(np.float32),
        aligned(ROWS * n_dates * line).view(np.float32),
        aligned(ROWS * n_dates * line).view(np.float32),
        aligned(ROWS * n_sums * line).view(np.float32),
        aligned(widest * line).view(np.float32),
        aligned(widest * line).view(np.float32),
        aligned(net.layers[-1].constants.shape[1] * line).view(np.float32),
    )
    first = 0
    for one in net.series:
        constant = len(one.rows) // one.n_dates
        for date in range(one.n_dates):
            place = first + (date * one.n_channels + constant) * WIDTH
            lines.inputs[place : place + WIDTH] = 1
        first += one.n_dates * one.n_channels * WIDTH
    return lines


@kernel
def chances_of_group(net, features, offset, lines):  # type: ignore[no-untyped-def]
    """Write the mean probabilities of all members for `WIDTH` pixels into ``lines.chances``.

    Parameters
    ----------
    net
        A `packed.Packed`.
    features
        Flat rows of `CHUNK` pixels, int16.
    offset
        Where the group begins in a row.
    lines
        Memory of :func:`new_lines`.
    """
    _load_series(net, features, offset, lines)
    n_members, n_classes = len(net.layers[0].weights), len(net.codes)
    beside = len(net.series) * net.width
    for member in range(n_members):
        first = 0
        for number, one in enumerate(net.series):
            _spread(one, member, first, lines)
            for head in range(0, one.offsets.shape[1], ROWS):
                _scores(one, member, head, first, lines)
                _sums(one, first, lines)
                _answers(one, member, head, number * net.width, lines)
            first += one.n_dates * one.n_channels * WIDTH
        for n in range(len(net.static)):
            raw = load_wholes(features, net.static[n] * CHUNK + offset)
            value = multiply_add(raw, everywhere(net.factor[n]), everywhere(net.offset[n]))
            store(lines.outputs, (beside + n) * WIDTH, value)
        given, made = lines.outputs, lines.others
        last = len(net.layers) - 1
        for number, layer in enumerate(net.layers):
            least = np.float32(0) if number < last else _NO_LESS
            _layer(layer.weights[member], layer.constants[member], least, given, made)
            given, made = made, given
        _softmax(given, n_classes, member, np.float32(1 / n_members), lines.chances)


@kernel
def _load_series(net, features, offset, lines):  # type: ignore[no-untyped-def]
    first = 0
    for one in net.series:
        for n in range(len(one.rows)):
            raw = load_wholes(features, one.rows[n] * CHUNK + offset)
            made = multiply_add(raw, everywhere(one.factor[n]), everywhere(one.offset[n]))
            store(lines.inputs, first + one.lines[n] * WIDTH, made)
        first += one.n_dates * one.n_channels * WIDTH


@kernel
def _products(weights, sums, given, inputs):  # type: ignore[no-untyped-def]
    """Return the sums of `ROWS` outputs with the products of weights and inputs added.

    Parameters
    ----------
    weights
        Of one block, shape ``(input, ROWS)``.
    sums
        A vector for each output.
    given
        Lines with the inputs.
    inputs
        The first input that is added, the place of input 0, and the distance of two.
    """
    a, b, c, d = sums
    begin, start, step = inputs
    for n in range(begin, len(weights)):
        x = load(given, start + n * step)
        a = multiply_add(everywhere(weights[n, 0]), x, a)
        b = multiply_add(everywhere(weights[n, 1]), x, b)
        c = multiply_add(everywhere(weights[n, 2]), x, c)
        d = multiply_add(everywhere(weights[n, 3]), x, d)
    return a, b, c, d


@kernel
def _nothing():  # type: ignore[no-untyped-def]
    zero = everywhere(np.float32(0))
    return zero, zero, zero, zero


@kernel
def _store(lines, start, step, values):  # type: ignore[no-untyped-def]
    a, b, c, d = values
    store(lines, start, a)
    store(lines, start + step, b)
    store(lines, start + 2 * step, c)
    store(lines, start + 3 * step, d)


@kernel
def _spread(one, member, first, lines):  # type: ignore[no-untyped-def]
    """Write one over the deviation of the embedding of each date."""
    root = one.root[member]
    for date in range(one.n_dates):
        start = first + date * one.n_channels * WIDTH
        total = everywhere(_EPSILON)
        for block in range(len(root)):
            # The weights of inputs before are 0: `root` is a triangle.
            inputs = ROWS * block, start, WIDTH
            a, b, c, d = _products(root[block], _nothing(), lines.inputs, inputs)
            total = multiply_add(a, a, multiply_add(b, b, total))
            total = multiply_add(c, c, multiply_add(d, d, total))
        store(lines.size, date * WIDTH, inverse_root(total))


@kernel
def _scores(one, member, head, first, lines):  # type: ignore[no-untyped-def]
    """Write the scores of `ROWS` heads for all dates, and make shares of them."""
    keys, offsets = one.keys[member, head // ROWS], one.offsets[member]
    for date in range(one.n_dates):
        start = first + date * one.n_channels * WIDTH
        a, b, c, d = _products(keys, _nothing(), lines.inputs, (0, start, WIDTH))
        size = load(lines.size, date * WIDTH)
        a = multiply_add(a, size, everywhere(offsets[head, date]))
        b = multiply_add(b, size, everywhere(offsets[head + 1, date]))
        c = multiply_add(c, size, everywhere(offsets[head + 2, date]))
        d = multiply_add(d, size, everywhere(offsets[head + 3, date]))
        _store(lines.shares, date * ROWS * WIDTH, WIDTH, (a, b, c, d))
    for own in range(0, ROWS * WIDTH, WIDTH):
        most = everywhere(_NO_LESS)
        for date in range(one.n_dates):
            most = larger(load(lines.shares, date * ROWS * WIDTH + own), most)
        total = everywhere(np.float32(0))
        for date in range(one.n_dates):
            share = power_of_2(load(lines.shares, date * ROWS * WIDTH + own), most)
            total = plus(total, share)
            store(lines.shares, date * ROWS * WIDTH + own, share)
        factor = inverse(total)
        for date in range(one.n_dates):
            place = date * ROWS * WIDTH + own
            share = times(load(lines.shares, place), factor)
            store(lines.shares, place, share)
            store(lines.weighted, place, times(share, load(lines.size, date * WIDTH)))


@kernel
def _sums(one, first, lines):  # type: ignore[no-untyped-def]
    """Write the weighted sums of the channels for `ROWS` heads, two channels at a time."""
    n_channels = one.n_channels
    for n in range(0, n_channels, 2):
        (a, b, c, d), (e, f, g, h) = _nothing(), _nothing()
        for date in range(one.n_dates):
            start = first + (date * n_channels + n) * WIDTH
            x, y = load(lines.inputs, start), load(lines.inputs, start + WIDTH)
            place = date * ROWS * WIDTH
            weight = load(lines.weighted, place)
            a, e = multiply_add(weight, x, a), multiply_add(weight, y, e)
            weight = load(lines.weighted, place + WIDTH)
            b, f = multiply_add(weight, x, b), multiply_add(weight, y, f)
            weight = load(lines.weighted, place + 2 * WIDTH)
            c, g = multiply_add(weight, x, c), multiply_add(weight, y, g)
            weight = load(lines.weighted, place + 3 * WIDTH)
            d, h = multiply_add(weight, x, d), multiply_add(weight, y, h)
        _store(lines.sums, n * WIDTH, n_channels * WIDTH, (a, b, c, d))
        _store(lines.sums, (n + 1) * WIDTH, n_channels * WIDTH, (e, f, g, h))


@kernel
def _answers(one, member, head, start, lines):  # type: ignore[no-untyped-def]
    """Write what `ROWS` heads answer, from output `start` of the series on."""
    values, position = one.values[member], one.position[0]
    per_head = len(values) // one.offsets.shape[1]
    for own in range(ROWS):
        for block in range((head + own) * per_head, (head + own + 1) * per_head):
            inputs = 0, own * one.n_channels * WIDTH, WIDTH
            found = _products(values[block], _nothing(), lines.sums, inputs)
            inputs = 0, own * WIDTH, ROWS * WIDTH
            found = _products(position[block], found, lines.shares, inputs)
            _store(lines.outputs, (start + ROWS * block) * WIDTH, WIDTH, found)


@kernel
def _layer(weights, constants, least, given, made):  # type: ignore[no-untyped-def]
    """Write the outputs of a layer, no smaller than `least`."""
    floor = everywhere(least)
    for block in range(len(weights)):
        row = ROWS * block
        sums = (
            everywhere(constants[row]),
            everywhere(constants[row + 1]),
            everywhere(constants[row + 2]),
            everywhere(constants[row + 3]),
        )
        a, b, c, d = _products(weights[block], sums, given, (0, 0, WIDTH))
        found = larger(a, floor), larger(b, floor), larger(c, floor), larger(d, floor)
        _store(made, row * WIDTH, WIDTH, found)


@kernel
def _softmax(scores, n_classes, member, part, chances):  # type: ignore[no-untyped-def]
    """Add a member's part of the probabilities to `chances`; the first member begins with none."""
    power = everywhere(np.float32(np.log2(np.e)))
    most = everywhere(_NO_LESS)
    for number in range(n_classes):
        score = times(load(scores, number * WIDTH), power)
        store(scores, number * WIDTH, score)
        most = larger(score, most)
    total = everywhere(np.float32(0))
    for number in range(n_classes):
        share = power_of_2(load(scores, number * WIDTH), most)
        store(scores, number * WIDTH, share)
        total = plus(total, share)
    factor = times(inverse(total), everywhere(part))
    for number in range(n_classes):
        before = everywhere(np.float32(0))
        if member > 0:
            before = load(chances, number * WIDTH)
        share = multiply_add(load(scores, number * WIDTH), factor, before)
        store(chances, number * WIDTH, share)


@kernel
def shares_of_features(net, features, shares):  # type: ignore[no-untyped-def]
    """Write the probabilities of all pixels, float32, shape ``(class, pixel)``."""
    values, lines = aligned(2 * features.shape[0] * CHUNK).view(np.int16), new_lines(net)
    for start in range(0, features.shape[1], CHUNK):
        size = min(CHUNK, features.shape[1] - start)
        for row in range(features.shape[0]):
            for p in range(size):
                values[row * CHUNK + p] = features[row, start + p]
        for offset in range(0, size, WIDTH):
            chances_of_group(net, values, offset, lines)
            for number in range(len(shares)):
                for p in range(min(WIDTH, size - offset)):
                    shares[number, start + offset + p] = lines.chances[number * WIDTH + p]


@kernel
def classify_pixels(source, plan, net, layers, shares):  # type: ignore[no-untyped-def]
    """Write class, confidence and validity of the pixels of a block, from its images on.

    `shares` takes the probabilities, float32, shape ``(class, pixel)``; with no rows nothing.
    """
    scratch, lines = new_scratch(source, plan), new_lines(net)
    for start in range(0, layers.shape[1], CHUNK):
        size = features_chunk(source, plan, start, scratch)
        for offset in range(0, size, WIDTH):
            n_pixels, seen = min(WIDTH, size - offset), False
            for p in range(n_pixels):
                seen |= scratch.validity[offset + p] > 0
            if not seen:
                continue
            chances_of_group(net, scratch.features, offset, lines)
            for p in range(n_pixels):
                if scratch.validity[offset + p] > 0:
                    winner = 0
                    for number in range(1, len(net.codes)):
                        if lines.chances[number * WIDTH + p] > lines.chances[winner * WIDTH + p]:
                            winner = number
                    chance = np.float64(lines.chances[winner * WIDTH + p])
                    place = start + offset + p
                    layers[0, place] = net.codes[winner]
                    layers[1, place] = np.floor(100 * chance + _HALF)
                    layers[2, place] = scratch.validity[offset + p]
                    for number in range(len(shares)):
                        shares[number, place] = lines.chances[number * WIDTH + p]
