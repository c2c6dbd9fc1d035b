"""The pixels of a parcel: those whose centre lies inside it, at least so far from its border.

Every parcel is drawn by itself, so parcels that overlap are each counted whole. A pixel belongs
to a parcel by the position of its centre alone, so the answer does not depend on blocks.

Notes
-----
Inside is decided by the even-odd rule along the row of pixel centres, half-open: of two parcels
with a common border exactly one gets a centre on it. Erosion compares the distance from the centre
to the border with the requested one. That is the erosion by a disc itself: there is no polygon in
between whose arcs are approximated.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from odc.geo.geobox import GeoBox

from oso_pipeline.core.blocks import Block
from oso_pipeline.core.kernels import kernel
from oso_pipeline.vectors.geometry import Geometries

_PIXELS_AT_ONCE = 2**24
"""Pixels of the boxes around parcels that are drawn in one go: 64 MB."""

Ints = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Outlines:
    """The borders of parcels in metres from the upper-left corner of a tile.

    Parameters
    ----------
    edges
        Lines of the borders, float64, shape ``(edge, 4)``: x and y of both ends, y downwards,
        the end with the smaller y first.
    starts
        First edge of each parcel, int64, shape ``(parcel + 1,)``.
    boxes
        Left, top, right, bottom of each, float64, shape ``(parcel, 4)``; NaN of an empty one.
    """

    edges: npt.NDArray[np.float64]
    starts: npt.NDArray[np.int64]
    boxes: npt.NDArray[np.float64]

    @classmethod
    def of(cls, geometries: Geometries, grid: GeoBox) -> Outlines:
        """Return the borders of polygons.

        Parameters
        ----------
        geometries
            Polygons and multipolygons in the coordinate system of `grid`, valid or empty.
        grid
            North-up grid of the tile.
        """
        parts, of_part = shapely.get_parts(geometries, return_index=True)
        rings, of_ring = shapely.get_rings(parts, return_index=True)
        points, of_point = shapely.get_coordinates(rings, return_index=True)
        points = (points - (grid.affine.c, grid.affine.f)) * (1.0, -1.0)
        ends = np.flatnonzero(of_point[1:] == of_point[:-1])
        edges = np.hstack([points[ends], points[ends + 1]])
        upwards = edges[:, 1] > edges[:, 3]
        # Neighbours share an edge in opposite directions: both shall round alike.
        edges[upwards] = edges[upwards][:, [2, 3, 0, 1]]
        counts = np.bincount(of_part[of_ring[of_point[ends]]], minlength=len(geometries))
        left, bottom, right, top = shapely.bounds(geometries).reshape(-1, 4).T
        x, y = grid.affine.c, grid.affine.f
        boxes = np.column_stack([left - x, y - top, right - x, y - bottom])
        return cls(edges, np.concatenate([[0], np.cumsum(counts)]), boxes)

    def __len__(self) -> int:
        """Return the number of parcels."""
        return len(self.boxes)

    def meeting(self, window: PixelWindow) -> npt.NDArray[np.intp]:
        """Return the numbers of the parcels whose box meets a window."""
        left, top, right, bottom = self.boxes.T
        size = window.resolution_m
        found = (left < (window.left + window.width) * size) & (right > window.left * size)
        found &= (top < (window.top + window.height) * size) & (bottom > window.top * size)
        return np.flatnonzero(found)


@dataclass(frozen=True, slots=True)
class PixelWindow:
    """A rectangle of pixels of a tile.

    Parameters
    ----------
    top, left, height, width
        In pixels of `resolution_m`.
    resolution_m
        Their size, metres.
    """

    top: int
    left: int
    height: int
    width: int
    resolution_m: int

    @classmethod
    def of(cls, block: Block, resolution_m: int) -> PixelWindow:
        """Return the pixels of a block at 10 m, or those of 20 m that it begins.

        Examples
        --------
        >>> PixelWindow.of(Block("31TCJ", 4, 8, 3, 6), 20)
        PixelWindow(top=2, left=4, height=2, width=3, resolution_m=20)
        """
        parts = resolution_m // 10
        return cls(
            block.row // parts,
            block.column // parts,
            -(-block.height // parts),
            -(-block.width // parts),
            resolution_m,
        )


@dataclass(frozen=True)
class ParcelPixels:
    """The pixels of some parcels in a window.

    Parameters
    ----------
    parcels
        Numbers of the parcels, ascending, shape ``(parcel,)``.
    starts
        First pixel of each, int64, shape ``(parcel + 1,)``; a parcel may have none.
    pixels
        Places in the window, row by row, int32, shape ``(pixel,)``.
    """

    parcels: npt.NDArray[np.intp]
    starts: npt.NDArray[np.int64]
    pixels: Ints

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """Number of pixels of each parcel."""
        return np.diff(self.starts)

    def within(self, mask: npt.NDArray[np.bool_]) -> ParcelPixels:
        """Return only the pixels where a mask of the window is true."""
        if mask.all():
            return self
        kept = mask.ravel()[self.pixels]
        before = np.concatenate([[0], np.cumsum(kept)])
        return ParcelPixels(self.parcels, before[self.starts], self.pixels[kept])

    def of(self, chosen: npt.NDArray[np.bool_]) -> ParcelPixels:
        """Return only some of the parcels, by a mask of shape ``(parcel,)``."""
        if chosen.all():
            return self
        counts = self.counts
        kept = np.repeat(chosen, counts)
        starts = np.concatenate([[0], np.cumsum(counts[chosen])])
        return ParcelPixels(self.parcels[chosen], starts, self.pixels[kept])


def pixels_of(outlines: Outlines, window: PixelWindow, erosion_m: float = 0.0) -> ParcelPixels:
    """Return the pixels of a window whose centre lies in a parcel.

    Parameters
    ----------
    outlines
        All parcels.
    window
        The window; only parcels whose box meets it are returned.
    erosion_m
        Least distance of a centre from the border, metres.
    """
    near = outlines.meeting(window)
    boxes = _pixel_boxes(outlines.boxes[near], window)
    parts = [
        _drawn(outlines, near[chosen], boxes[chosen], window, erosion_m)
        for chosen in _portions(boxes)
    ]
    counts = np.concatenate([np.zeros(1, np.int64), *(count for count, _ in parts)])
    pixels = [np.zeros(0, np.int32), *(one for _, one in parts)]
    return ParcelPixels(near, np.cumsum(counts), np.concatenate(pixels))


def _pixel_boxes(boxes: npt.NDArray[np.float64], window: PixelWindow) -> Ints:
    """Return first row, first column, rows and columns of each box in the window."""
    size = window.resolution_m
    low = np.floor(boxes[:, [1, 0]] / size).astype(np.int64) - (window.top, window.left)
    high = np.ceil(boxes[:, [3, 2]] / size).astype(np.int64) - (window.top, window.left)
    shape = np.array([window.height, window.width])
    low, high = low.clip(0, shape), high.clip(0, shape)
    return np.hstack([low, high - low]).astype(np.int32)


def _portions(boxes: Ints) -> Iterator[slice]:
    """Yield slices of parcels whose boxes have not too many pixels together."""
    ends = np.cumsum(boxes[:, 2].astype(np.int64) * boxes[:, 3])
    first = 0
    while first < len(boxes):
        before = ends[first - 1] if first else 0
        stop = int(np.searchsorted(ends, before + _PIXELS_AT_ONCE, side="right"))
        stop = max(stop, first + 1)
        yield slice(first, stop)
        first = stop


def _drawn(
    outlines: Outlines,
    parcels: npt.NDArray[np.intp],
    boxes: Ints,
    window: PixelWindow,
    erosion_m: float,
) -> tuple[npt.NDArray[np.int64], Ints]:
    """Return how many pixels each of some parcels has, and which."""
    areas = boxes[:, 2].astype(np.int64) * boxes[:, 3]
    mask = np.empty(int(areas.max(initial=0)), np.uint8)
    pixels = np.empty(int(areas.sum()), np.int32)
    counts = np.zeros(len(parcels), np.int64)
    place = np.array([window.top, window.left, window.width], np.int64)
    scales = np.array([window.resolution_m, erosion_m], np.float64)
    lines = outlines.edges, outlines.starts[parcels], outlines.starts[parcels + 1]
    n = _draw(lines, boxes, place, scales, (mask, counts, pixels))
    return counts, pixels[:n].copy()


@kernel
def _draw(lines: Any, boxes: Any, place: Any, scales: Any, out: Any) -> int:
    """Write counts and pixels of parcels; return the number of pixels."""
    edges, firsts, stops = lines
    scratch, counts, pixels = out
    size, erosion = scales[0], scales[1] / scales[0]
    n = 0
    for parcel in range(len(boxes)):
        top, left, height, width = boxes[parcel]
        mask = scratch[: height * width]
        mask[:] = 0
        row0, column0 = place[0] + top, place[1] + left
        for edge in range(firsts[parcel], stops[parcel]):
            x0, y0 = edges[edge, 0] / size - column0, edges[edge, 1] / size - row0
            x1, y1 = edges[edge, 2] / size - column0, edges[edge, 3] / size - row0
            _cross(mask, height, width, x0, y0, x1, y1)
        for row in range(height):
            inside = 0
            for at in range(row * width, (row + 1) * width):
                inside ^= mask[at]
                mask[at] = inside
        if erosion > 0:
            for edge in range(firsts[parcel], stops[parcel]):
                x0, y0 = edges[edge, 0] / size - column0, edges[edge, 1] / size - row0
                x1, y1 = edges[edge, 2] / size - column0, edges[edge, 3] / size - row0
                _erode(mask, height, width, x0, y0, x1, y1, erosion)
        before = n
        for row in range(height):
            first = (top + row) * place[2] + left
            for column in range(width):
                if mask[row * width + column]:
                    pixels[n] = first + column
                    n += 1
        counts[parcel] = n - before
    return n


@kernel
def _cross(mask, height, width, x0, y0, x1, y1):  # type: ignore[no-untyped-def]
    """Turn inside to outside right of an edge, in the rows whose centres it crosses."""
    if y0 == y1:
        return
    slope = (x1 - x0) / (y1 - y0)
    for row in range(max(0, int(np.ceil(y0 - 0.5))), min(height, int(np.ceil(y1 - 0.5)))):
        column = int(np.ceil(x0 + (row + 0.5 - y0) * slope - 0.5))
        if column < width:
            mask[row * width + max(column, 0)] ^= 1


@kernel
def _erode(mask, height, width, x0, y0, x1, y1, erosion):  # type: ignore[no-untyped-def]
    """Clear the pixels whose centre is nearer than the erosion to an edge."""
    dx, dy = x1 - x0, y1 - y0
    length2 = dx * dx + dy * dy
    first = max(0, int(np.ceil(y0 - erosion - 0.5)))
    last = min(height - 1, int(np.floor(y1 + erosion - 0.5)))
    for row in range(first, last + 1):
        y = row + 0.5
        low, high = 0.0, 1.0
        if dy > 0:  # the part of the edge that is near enough to the row
            low = min(1.0, max(0.0, (y - erosion - y0) / dy))
            high = max(0.0, min(1.0, (y + erosion - y0) / dy))
        a, b = x0 + low * dx, x0 + high * dx
        begin = max(0, int(np.ceil(min(a, b) - erosion - 0.5)))
        end = min(width - 1, int(np.floor(max(a, b) + erosion - 0.5)))
        for column in range(begin, end + 1):
            x = column + 0.5
            t = 0.0
            if length2 > 0:
                t = min(1.0, max(0.0, ((x - x0) * dx + (y - y0) * dy) / length2))
            ex, ey = x0 + t * dx - x, y0 + t * dy - y
            if ex * ex + ey * ey < erosion * erosion:
                mask[row * width + column] = 0
