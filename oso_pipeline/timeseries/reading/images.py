"""The bands of products, decoded straight into the arrays of a series."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

from oso_pipeline.core.kernels import kernel
from oso_pipeline.imagery.acquisition import Asset
from oso_pipeline.timeseries.kernels.chunks import NODATA
from oso_pipeline.timeseries.reading.rasters import HIGHEST, LOWEST, STORED, OpenRasters, to_stored
from oso_pipeline.timeseries.reading.windows import Part

_Int16 = npt.NDArray[np.int16]


Resolutions = Mapping[str, int]
"""Resolution of each band, 10 or 20 m, in the order of the features."""


def slots_of(resolutions: Resolutions) -> npt.NDArray[np.int32]:
    """Return where each band is stored: a row of the 10 m bands, or -1 - one of the 20 m."""
    slots, counts = [], [0, 0]
    for resolution_m in resolutions.values():
        at_20m = resolution_m == 20
        slots.append(-1 - counts[1] if at_20m else counts[0])
        counts[at_20m] += 1
    return np.array(slots, dtype=np.int32)


@dataclass(frozen=True)
class ProductBands:
    """The bands of one product on a block or a part of it.

    Parameters
    ----------
    slots
        Where each band is stored, see :func:`slots_of`.
    fine, coarse
        int16, shape ``(band, row, column)``, those of 10 m and those of 20 m.
    """

    slots: npt.NDArray[np.int32]
    fine: _Int16
    coarse: _Int16

    def part(self, part: Part) -> ProductBands:
        """Return views of a part."""
        return ProductBands(self.slots, part.of(self.fine), part.of(self.coarse, 2))

    def band(self, number: int) -> tuple[_Int16, int]:
        """Return the pixels of a band, and 1 where they are of 10 m, 2 where of 20 m."""
        slot = int(self.slots[number])
        return (self.fine[slot], 1) if slot >= 0 else (self.coarse[-1 - slot], 2)


@dataclass(frozen=True)
class Images:
    """The bands of several products on a block, as :class:`ProductBands` has them for one."""

    slots: npt.NDArray[np.int32]
    fine: _Int16
    coarse: _Int16

    @classmethod
    def empty(cls, number: int, resolutions: Resolutions, shape: tuple[int, int]) -> Images:
        """Return memory for a number of products on a block of a shape."""
        slots = slots_of(resolutions)
        n_fine = int((slots >= 0).sum())
        half = tuple(-(-size // 2) for size in shape)
        return cls(
            slots,
            np.empty((number, n_fine, *shape), np.int16),
            np.empty((number, len(slots) - n_fine, *half), np.int16),
        )

    def layer(self, number: int) -> ProductBands:
        """Return the memory of one product."""
        return ProductBands(self.slots, self.fine[number], self.coarse[number])

    def flat(self) -> tuple[_Int16, _Int16]:
        """Return both arrays with pixels row by row on the last axis."""
        fine, coarse = self.fine, self.coarse
        return (
            fine.reshape(*fine.shape[:2], fine.shape[2] * fine.shape[3]),
            coarse.reshape(*coarse.shape[:2], coarse.shape[2] * coarse.shape[3]),
        )


def read_band(
    rasters: OpenRasters, asset: Asset, window: Window, values: _Int16
) -> npt.NDArray[np.bool_] | None:
    """Read a band as reflectances in 1e-4 units; -10000 where there is no data.

    Parameters
    ----------
    rasters
        Where files are kept open, within a session.
    asset
        The file, its scale and offset, and its number for no data.
    window
        The part of it.
    values
        Output array, at least as large as the window; no data beyond the window.

    Returns
    -------
    outside
        Which values had to be clipped to the range that is stored; None if none had to.
    """
    covered = values[: window.height, : window.width]
    if covered.shape != values.shape:
        values[:] = NODATA
    as_stored = (asset.scale, asset.offset, asset.nodata) == (*STORED, NODATA)
    if as_stored and rasters.dtype(asset.path) == "int16":
        # No copy, no further pass.
        rasters.read(asset.path, window, covered)
        if covered.size == 0 or covered.min() >= NODATA:
            return None
        cut = covered < NODATA
        covered[cut] = LOWEST
    else:
        stored, missing, cut = to_stored(rasters.read(asset.path, window), asset)
        covered[:] = np.where(missing, NODATA, stored)
    outside = np.zeros(values.shape, bool)
    outside[: window.height, : window.width] = cut
    return outside


@kernel
def spoil(values, clear, factor):  # type: ignore[no-untyped-def]
    """Take pixels without data out of `clear`, of `factor` times as many rows and columns."""
    for row in range(values.shape[0]):
        line = values[row]
        least = line[0]
        for column in range(len(line)):
            least = min(least, line[column])
        if least > NODATA:
            continue
        for fine_row in range(row * factor, min((row + 1) * factor, clear.shape[0])):
            flags = clear[fine_row]
            for column in range(len(flags)):
                if line[column // factor] == NODATA:
                    flags[column] = 0


@kernel
def overlap(outside, clear, factor):  # type: ignore[no-untyped-def]
    """Count the clear pixels whose value, at `factor` times their size, is marked."""
    count = 0
    for row in range(clear.shape[0]):
        for column in range(clear.shape[1]):
            count += clear[row, column] & outside[row // factor, column // factor]
    return count


def stored_zeros(assets: Iterable[Asset]) -> npt.NDArray[np.int16]:
    """Return what a 0 in the file of each band becomes as it is stored."""
    offsets = [round(asset.offset * 10_000) for asset in assets]
    return np.clip(offsets, LOWEST, HIGHEST).astype(np.int16)


@kernel
def hide_blank(fine, coarse, slots, zeros, clear):  # type: ignore[no-untyped-def]
    """Take pixels that are 0 in every band out of `clear`; return how many.

    Some producers store 0, not the no data value, off the swath and leave the masks empty. Of
    rows where the first band is nowhere 0, as nearly everywhere, the others are not read.
    """
    count, first = 0, slots[0]
    for row in range(clear.shape[0]):
        line = fine[first, row] if first >= 0 else coarse[-1 - first, row // 2]
        hits = 0
        for column in range(len(line)):
            hits += line[column] == zeros[0]
        if hits == 0:
            continue
        for column in range(clear.shape[1]):
            blank = clear[row, column] != 0
            band = 0
            while blank and band < len(slots):
                slot = slots[band]
                if slot >= 0:
                    value = fine[slot, row, column]
                else:
                    value = coarse[-1 - slot, row // 2, column // 2]
                blank = value == zeros[band]
                band += 1
            if blank:
                clear[row, column] = 0
                count += 1
    return count
